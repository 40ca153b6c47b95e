/* SPDX-License-Identifier: MIT */
/*
 * The debugger's points in the debug registers of the host's CPU, and what a debug exit means (DDI 0487, D2.8-D2.10;
 * kernel: api.rst, 4.87).
 */
#include "target/arm/kvm.h"

#include "base/bits.h"

enum {
    BCR_ENABLE = 1,
    BCR_EL01 = 3 << 1,
    BCR_ALL_BYTES = 15 << 5,
    WCR_LOAD = 1 << 3,
    WCR_STORE = 2 << 3,
    WCR_BYTES = 5,
    WCR_MASK = 24,
    MAX_MASK = 31
};

/* A watchpoint is eight bytes, of which some are chosen, or a naturally aligned power of two of more. */
static bool watch(const DebugPoint *p, uint64_t *wcr, uint64_t *wvr)
{
    uint64_t kinds = p->kind == DEBUG_WATCH_READ    ? WCR_LOAD
                     : p->kind == DEBUG_WATCH_WRITE ? WCR_STORE
                                                    : WCR_LOAD | WCR_STORE;
    uint64_t first = p->va & 7, len = MAX(p->len, 1);
    *wcr = BCR_ENABLE | BCR_EL01 | kinds;
    if (first + len <= 8) {
        *wvr = p->va & ~UINT64_C(7);
        *wcr |= (bits_mask((unsigned)len) << first) << WCR_BYTES;
        return true;
    }
    if (!is_pow2(len) || p->va & (len - 1))
        return false;
    *wvr = p->va;
    *wcr |= UINT64_C(0xff) << WCR_BYTES | (uint64_t)__builtin_ctzll(len) << WCR_MASK;
    return true;
}

static void tell_unused(const KvmVcpu *k, const DebugPoint *p)
{
    if (!k->v->index)
        warn_reportf("debugger: the CPU has no debug register left that fits the point at 0x%" PRIx64 ", %" PRIu64
                     " bytes",
                     p->va, p->len);
}

bool kvm_arm_set_debug(KvmVcpu *k, const DebugPoint *points, unsigned count, bool insns)
{
    struct kvm_guest_debug d = { .control = insns ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP : 0 };
    unsigned breaks = (unsigned)MIN(kvm_check(KVM_CAP_GUEST_DEBUG_HW_BPS), KVM_ARM_MAX_DBG_REGS), b = 0;
    unsigned watches = (unsigned)MIN(kvm_check(KVM_CAP_GUEST_DEBUG_HW_WPS), KVM_ARM_MAX_DBG_REGS), w = 0;
    if (k->v->debug.step != DEBUG_RUN)
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    for (unsigned n = 0; n < count; n++) {
        const DebugPoint *p = &points[n];
        uint64_t wcr, wvr;
        if (p->kind <= DEBUG_BREAK_HW && b < breaks) {
            d.arch.dbg_bvr[b] = p->va & ~UINT64_C(3);
            d.arch.dbg_bcr[b++] = BCR_ENABLE | BCR_EL01 | BCR_ALL_BYTES;
        } else if (p->kind > DEBUG_BREAK_HW && w < watches && watch(p, &wcr, &wvr)) {
            d.arch.dbg_wcr[w] = wcr;
            d.arch.dbg_wvr[w++] = wvr;
        } else {
            tell_unused(k, p);
        }
    }
    if (b || w)
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW;
    return kvm_ioctl(k->fd, KVM_SET_GUEST_DEBUG, &d) == 0;
}

/* The guest's own breakpoint instruction: it gets the exception that the debugger has taken from it. */
static void give_back(KvmVcpu *k, unsigned ec, uint32_t syndrome)
{
    ArmCpu *c = arm_cpu(k->v);
    ArmEvent e = { .kind = ARM_EVENT_SYNC,
                   .ec = (uint8_t)ec,
                   .iss = syndrome & 0x1ffffff,
                   .il32 = syndrome >> 25 & 1,
                   .target_el = 1 };
    kvm_fetch_state(k);
    c->event = e;
    arm_deliver(k->v);
}

void kvm_arm_debug_exit(KvmVcpu *k)
{
    uint32_t syndrome = k->run->debug.arch.hsr;
    unsigned ec = syndrome >> 26;
    uint64_t at = 0;
    kvm_arm_reg(k->fd, KVM_GET_ONE_REG,
                KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc), &at);
    switch (ec) {
    case EC_STEP_LOWER:
        kvm_debug_stopped(k, (KvmDebugHit){ KVM_HIT_STEP, 0 }, at);
        break;
    case EC_BREAKPOINT_LOWER:
        kvm_debug_stopped(k, (KvmDebugHit){ KVM_HIT_BREAK_INSN, 0 }, at);
        break;
    case EC_WATCHPOINT_LOWER: {
        uint64_t va;
        const DebugPoint *p = debug_find_watch(k->run->debug.arch.far, 8, true, &va);
        p = p ? p : debug_find_watch(k->run->debug.arch.far, 8, false, &va);
        debug_stop_here(k->v, DEBUG_AT_WATCHPOINT, p, p ? va : k->run->debug.arch.far);
        break;
    }
    case EC_BRK64:
    case EC_BKPT32:
        if (debug_find_break(at))
            kvm_debug_stopped(k, (KvmDebugHit){ KVM_HIT_BREAK_INSN, 0 }, at);
        else
            give_back(k, EC_BRK64, syndrome);
        break;
    default:
        kvm_fail(k, "-accel tcg runs the guest", "a debug exit for exception class 0x%x", ec);
    }
}
