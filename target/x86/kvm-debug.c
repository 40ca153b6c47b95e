/* SPDX-License-Identifier: MIT */
/* The debugger's points in the debug registers, and what a debug exit means (Intel SDM vol. 3B, chapter 18). */
#include "target/x86/kvm.h"

#include "accel/debug.h"

enum { DR7_FIXED = 0x400, DR6_STEP = 1 << 14, DR6_POINTS = 15, POINTS = 4 };

/* R/W and LEN fields of DR7 for one point; there is no read-only watch: it watches both. */
static uint32_t dr7_of(unsigned n, const DebugPoint *p)
{
    uint32_t rw = p->kind <= DEBUG_BREAK_HW ? 0 : p->kind == DEBUG_WATCH_WRITE ? 1 : 3;
    uint32_t len = !rw || p->len <= 1 ? 0 : p->len == 2 ? 1 : p->len == 8 ? 2 : 3;
    return 2u << (2 * n) | (rw | len << 2) << (16 + 4 * n);
}

bool kvm_x86_set_debug(KvmVcpu *k, const DebugPoint *points, unsigned count, bool insns)
{
    struct kvm_guest_debug d = { .control = insns ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP : 0 };
    uint8_t step = k->v->debug.step;
    if (step != DEBUG_RUN)
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    if (step == DEBUG_STEP && kvm_check(KVM_CAP_SET_GUEST_DEBUG2) & (int)KVM_GUESTDBG_BLOCKIRQ)
        d.control |= KVM_GUESTDBG_BLOCKIRQ;
    for (unsigned n = 0; n < MIN(count, (unsigned)POINTS); n++) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        d.arch.debugreg[n] = points[n].va;
        d.arch.debugreg[7] |= DR7_FIXED | dr7_of(n, &points[n]);
    }
    return kvm_ioctl(k->fd, KVM_SET_GUEST_DEBUG, &d) == 0;
}

/* The guest's own: it gets what the debugger has taken from it. */
static void give_back(KvmVcpu *k, unsigned what)
{
    struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | what };
    kvm_ioctl(k->fd, KVM_SET_GUEST_DEBUG, &d);
    k->debug_stepping = true; /* the control word is made anew before the next entry */
}

void kvm_x86_debug_exit(KvmVcpu *k)
{
    uint64_t at = k->run->debug.arch.pc, dr6 = k->run->debug.arch.dr6;
    if (k->run->debug.arch.exception == X86_BP) {
        if (debug_find_break(at))
            kvm_debug_stopped(k, (KvmDebugHit){ KVM_HIT_BREAK_INSN, 0 }, at);
        else
            give_back(k, KVM_GUESTDBG_INJECT_BP);
        return;
    }
    for (unsigned n = 0; n < MIN(kvm_debug_points(), (unsigned)POINTS); n++) {
        if (dr6 & DR6_POINTS & 1u << n) {
            kvm_debug_stopped(k, (KvmDebugHit){ KVM_HIT_POINT, n }, at);
            return;
        }
    }
    if (dr6 & DR6_STEP && k->v->debug.step != DEBUG_RUN)
        kvm_debug_stopped(k, (KvmDebugHit){ KVM_HIT_STEP, 0 }, at);
    else
        give_back(k, KVM_GUESTDBG_INJECT_DB);
}
