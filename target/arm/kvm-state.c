/* SPDX-License-Identifier: MIT */
/*
 * The state of a vCPU to and from the kernel: general, FP and vector registers, system registers by the kernel's list,
 * timers, events (kernel documentation: virt/kvm/api.rst, 4.31, 4.38, 4.68, 4.69).
 */
#include "target/arm/kvm.h"

#include <errno.h>
#include "base/log.h"
#include "hw/core/machine.h"
#include "target/arm/sysregs.h"

#define CORE(field, size) (KVM_REG_ARM64 | (size) | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
#define CORE64(field) CORE(field, KVM_REG_SIZE_U64)
enum { SYSREG_KEY = 0xffff, PSTATE_NRW = 0x10, SLICE = 256 /* bytes of a vector in one register of the interface */ };

bool kvm_arm_reg(int vcpu, unsigned long request, uint64_t id, void *at)
{
    struct kvm_one_reg r = { .id = id, .addr = (uintptr_t)at };
    return !kvm_ioctl(vcpu, request, &r);
}

bool kvm_arm_one_reg(const KvmVcpu *k, bool set, uint64_t id, void *at)
{
    return kvm_arm_reg(k->fd, set ? KVM_SET_ONE_REG : KVM_GET_ONE_REG, id, at);
}

/* --- system registers --- */

enum {
    PMCNTENCLR = ARM_SYS_KEY(3, 3, 9, 12, 2),
    PMOVSCLR = ARM_SYS_KEY(3, 3, 9, 12, 3),
    PMINTENCLR = ARM_SYS_KEY(3, 0, 9, 14, 2)
};
static const uint32_t clearing[] = { PMCNTENCLR, PMOVSCLR, PMINTENCLR };

/* Those that the core registers have, or that mean something else here (the timers: move_timers). */
static bool elsewhere(uint32_t key)
{
    static const uint32_t keys[] = {
        ARM_SYS_KEY(3, 0, 4, 0, 0),
        ARM_SYS_KEY(3, 0, 4, 0, 1),
        ARM_SYS_KEY(3, 0, 4, 1, 0),
        ARM_SYS_KEY(3, 4, 4, 1, 0),
        PMCNTENCLR,
        PMOVSCLR,
        PMINTENCLR,
    };
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        if (key == keys[i])
            return true;
    return (key & ~UINT32_C(0x3f)) == ARM_SYS_KEY(3, 3, 14, 0, 0); /* CNT*_EL0 */
}

/* The kernel's number of a system register is the architecture's encoding, as our keys are. */
static uint64_t *sysreg_place(ArmCpu *c, uint64_t id)
{
    uint32_t key = (uint32_t)(id & SYSREG_KEY);
    if ((id & (KVM_REG_ARM_COPROC_MASK | KVM_REG_SIZE_MASK)) != (KVM_REG_ARM64_SYSREG | KVM_REG_SIZE_U64) ||
        elsewhere(key))
        return NULL;
    const ArmSysreg *r = arm_sysreg_find(key);
    return r && r->offset && r->size == 8 ? arm_sysreg_field(c, r) : NULL;
}

/* Of the kernel's own, too: versions of what it answers as firmware. */
static bool unknown(uint64_t id)
{
    uint64_t space = id & KVM_REG_ARM_COPROC_MASK;
    if ((id & KVM_REG_SIZE_MASK) != KVM_REG_SIZE_U64)
        return false;
    return space == KVM_REG_ARM64_SYSREG ? !elsewhere((uint32_t)(id & SYSREG_KEY))
                                         : space == KVM_REG_ARM_FW || space == KVM_REG_ARM_FW_FEAT_BMAP;
}

bool kvm_arm_list_sysregs(KvmVcpu *k, Error **errp)
{
    struct kvm_reg_list probe = { .n = 0 };
    kvm_ioctl(k->fd, KVM_GET_REG_LIST, &probe); /* E2BIG, and the number */
    g_autofree struct kvm_reg_list *list = g_malloc0(sizeof(*list) + probe.n * sizeof(list->reg[0]));
    list->n = probe.n;
    if (kvm_ioctl(k->fd, KVM_GET_REG_LIST, list) < 0) {
        error_set_errno(errp, errno, "kvm: vCPU %u: the kernel does not tell its list of registers; use -accel tcg",
                        k->v->index);
        return false;
    }
    KvmArm *a = kvm_arm(k);
    a->ids = g_new0(uint64_t, list->n + 1);
    for (uint64_t i = 0; i < list->n; i++) {
        if (sysreg_place(arm_cpu(k->v), list->reg[i]))
            a->ids[a->count++] = list->reg[i];
        else if (unknown(list->reg[i]))
            kvm_arm_rest_add(k, list->reg[i]);
    }
    kvm_arm_rest_begin(k);
    return true;
}

/* Bits of the performance monitors that writes only set are cleared first. */
static void clear_pmu(KvmVcpu *k)
{
    uint64_t all = UINT32_MAX;
    for (unsigned i = 0; i < ARRAY_LEN(clearing) && arm_cpu(k->v)->has.pmuv3; i++)
        kvm_arm_one_reg(k, true, KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | clearing[i], &all);
}

/* What only identifies is the kernel's: it refuses another value, and needs none. */
static void move_sysregs(KvmVcpu *k, bool set)
{
    const KvmArm *a = kvm_arm(k);
    ArmCpu *c = arm_cpu(k->v);
    if (set) {
        arm_pmu_values(c, true);
        clear_pmu(k);
    }
    for (unsigned i = 0; i < a->count; i++) {
        if (!kvm_arm_one_reg(k, set, a->ids[i], sysreg_place(c, a->ids[i])) && !set)
            log_unimp("kvm", "the kernel does not tell register %" G_GINT64_MODIFIER "x", (guint64)a->ids[i]);
    }
    arm_pmu_values(c, false);
}

/* --- timers --- */

static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;
/* under it: the kernel's counter is to be set by ours before the next entry of any vCPU */
static bool clock_due = true;

void kvm_arm_follow_clock(void)
{
    pthread_mutex_lock(&clock_lock);
    clock_due = true;
    pthread_mutex_unlock(&clock_lock);
}

/* After a pause every vCPU comes here before it enters: the first one sets the count, the others wait for it. */
static void put_count(KvmVcpu *k)
{
    pthread_mutex_lock(&clock_lock);
    uint64_t count = arm_count(arm_cpu(k->v));
    if (clock_due && !arm_cpu(k->v)->kvm_no_adjvtime && !kvm_arm_one_reg(k, true, KVM_REG_ARM_TIMER_CNT, &count))
        log_unimp("kvm", "the kernel does not take the virtual count: %s", g_strerror(errno));
    clock_due = false;
    pthread_mutex_unlock(&clock_lock);
}

/*
 * The virtual count is our virtual clock's, which stands while the machine does and comes with a saved one; one write
 * sets it for all vCPUs. The physical count is the host's: its timer moves with the distance.
 */
static void put_timers(KvmVcpu *k)
{
    ArmCpu *c = arm_cpu(k->v);
    put_count(k);
    uint64_t count = arm_count(c), physical = count;
    kvm_arm_one_reg(k, false, KVM_REG_ARM_PTIMER_CNT, &physical);
    uint64_t cval = c->timer_cval[ARM_TIMER_PHYS] - count + physical;
    kvm_arm_one_reg(k, true, KVM_REG_ARM_TIMER_CVAL, &c->timer_cval[ARM_TIMER_VIRT]);
    kvm_arm_one_reg(k, true, KVM_REG_ARM_TIMER_CTL, &c->timer_ctl[ARM_TIMER_VIRT]);
    kvm_arm_one_reg(k, true, KVM_REG_ARM_PTIMER_CVAL, &cval);
    kvm_arm_one_reg(k, true, KVM_REG_ARM_PTIMER_CTL, &c->timer_ctl[ARM_TIMER_PHYS]);
}

static void get_timers(KvmVcpu *k)
{
    enum { CTL_BITS = 3 }; /* ISTATUS follows */
    ArmCpu *c = arm_cpu(k->v);
    uint64_t count = arm_count(c), physical = count;
    kvm_arm_one_reg(k, false, KVM_REG_ARM_TIMER_CVAL, &c->timer_cval[ARM_TIMER_VIRT]);
    kvm_arm_one_reg(k, false, KVM_REG_ARM_TIMER_CTL, &c->timer_ctl[ARM_TIMER_VIRT]);
    kvm_arm_one_reg(k, false, KVM_REG_ARM_PTIMER_CVAL, &c->timer_cval[ARM_TIMER_PHYS]);
    kvm_arm_one_reg(k, false, KVM_REG_ARM_PTIMER_CTL, &c->timer_ctl[ARM_TIMER_PHYS]);
    kvm_arm_one_reg(k, false, KVM_REG_ARM_PTIMER_CNT, &physical);
    c->timer_cval[ARM_TIMER_PHYS] += count - physical;
    c->timer_ctl[ARM_TIMER_VIRT] &= CTL_BITS;
    c->timer_ctl[ARM_TIMER_PHYS] &= CTL_BITS;
}

/* --- vectors --- */

/* Up to the host's longest vector; ours keep the first 512 bits, which are all that the guest has. */
static bool move_sve(KvmVcpu *k, bool set)
{
    ArmCpu *c = arm_cpu(k->v);
    uint8_t z[SLICE] = { 0 }, p[SLICE / 8] = { 0 };
    bool ok = true;
    for (unsigned i = 0; i < 32; i++) {
        memcpy(z, k->v->v[i].u8, sizeof(VecReg));
        ok &= kvm_arm_one_reg(k, set, KVM_REG_ARM64_SVE_ZREG(i, 0), z);
        memcpy(k->v->v[i].u8, z, sizeof(VecReg));
    }
    for (unsigned i = 0; i < 17; i++) {
        uint64_t *bits = i < 16 ? c->pred[i] : c->ffr;
        memcpy(p, bits, sizeof(c->ffr));
        ok &= kvm_arm_one_reg(k, set, i < 16 ? KVM_REG_ARM64_SVE_PREG(i, 0) : KVM_REG_ARM64_SVE_FFR(0), p);
        memcpy(bits, p, sizeof(c->ffr));
    }
    return ok;
}

static bool move_vectors(KvmVcpu *k, bool set)
{
    ArmCpu *c = arm_cpu(k->v);
    uint32_t fpsr = arm_get_fpsr(c) | (c->aarch64 ? 0 : c->fpscr_nzcv & 0xf0000000), fpcr = arm_get_fpcr(c);
    bool ok = true;
    if (kvm_arm(k)->sve) {
        ok = move_sve(k, set);
    } else {
        for (unsigned i = 0; i < 32; i++)
            ok &= kvm_arm_one_reg(k, set, CORE(fp_regs.vregs[i], KVM_REG_SIZE_U128), &k->v->v[i]);
    }
    ok = ok && kvm_arm_one_reg(k, set, CORE(fp_regs.fpsr, KVM_REG_SIZE_U32), &fpsr) &&
         kvm_arm_one_reg(k, set, CORE(fp_regs.fpcr, KVM_REG_SIZE_U32), &fpcr);
    if (!set) {
        arm_set_fpsr(c, fpsr);
        arm_set_fpcr(c, fpcr);
        if (!c->aarch64)
            c->fpscr_nzcv = fpsr & 0xf0000000;
    }
    return ok;
}

/* --- general registers --- */

/* As AArch64 would see them, whatever state the guest is in: what both ways have in common. */
typedef struct Core { uint64_t x[31], pc, pstate, sp_el0, sp_el1, elr_el1, spsr[KVM_NR_SPSR]; } Core;
static const uint8_t spsr_banks[KVM_NR_SPSR] = { [KVM_SPSR_EL1] = ARM_BANKED_SVC,
                                                 [KVM_SPSR_ABT] = ARM_BANKED_ABT,
                                                 [KVM_SPSR_UND] = ARM_BANKED_UND,
                                                 [KVM_SPSR_IRQ] = ARM_BANKED_IRQ,
                                                 [KVM_SPSR_FIQ] = ARM_BANKED_FIQ };

static bool move_core(KvmVcpu *k, bool set, Core *r)
{
    bool ok = true;
    for (unsigned i = 0; i < 31; i++)
        ok &= kvm_arm_one_reg(k, set, CORE64(regs.regs[i]), &r->x[i]);
    for (unsigned i = 0; i < KVM_NR_SPSR; i++)
        ok &= kvm_arm_one_reg(k, set, CORE64(spsr[i]), &r->spsr[i]);
    return ok && kvm_arm_one_reg(k, set, CORE64(regs.pc), &r->pc) &&
           kvm_arm_one_reg(k, set, CORE64(regs.sp), &r->sp_el0) &&
           kvm_arm_one_reg(k, set, CORE64(sp_el1), &r->sp_el1) &&
           kvm_arm_one_reg(k, set, CORE64(elr_el1), &r->elr_el1) &&
           kvm_arm_one_reg(k, set, CORE64(regs.pstate), &r->pstate);
}

static void gather(ArmCpu *c, Core *r)
{
    Vcpu *v = &c->v;
    *r = (Core){
        .pc = v->pc, .pstate = arm_get_pstate(c), .sp_el0 = c->sp_el[0], .sp_el1 = c->sp_el[1], .elr_el1 = c->elr_el[1]
    };
    for (unsigned i = 0; i < KVM_NR_SPSR; i++)
        r->spsr[i] = c->spsr_bank[spsr_banks[i]];
    if (c->aarch64) {
        *(c->sp_sel && c->el ? &r->sp_el1 : &r->sp_el0) = v->g[ARM_SP];
        memcpy(r->x, v->g, sizeof(r->x));
        r->spsr[KVM_SPSR_EL1] = c->spsr_el[1];
        return;
    }
    unsigned mode = c->mode32;
    arm_regs_32_to_64(c);
    memcpy(r->x, v->g, sizeof(r->x));
    arm_regs_64_to_32(c, mode);
}

static void set_pstate(ArmCpu *c, uint64_t pstate)
{
    c->el = (uint8_t)(pstate >> 2 & 3);
    c->sp_sel = pstate & 1;
    c->daif = (uint32_t)(pstate & (ARM_PSTATE_D | ARM_PSTATE_A | ARM_PSTATE_I | ARM_PSTATE_F));
    c->il = pstate >> 20 & 1, c->ss = pstate >> 21 & 1, c->pan = pstate >> 22 & 1, c->uao = pstate >> 23 & 1;
    c->btype = (uint8_t)(pstate >> 10 & 3), c->ssbs = pstate >> 12 & 1, c->dit = pstate >> 24 & 1,
    c->tco = pstate >> 25 & 1;
    c->t32 = c->e = c->j = false;
    c->it = 0;
    arm_set_nzcv(c, (uint32_t)pstate & 0xf0000000);
}

static void scatter(ArmCpu *c, const Core *r)
{
    Vcpu *v = &c->v;
    memcpy(v->g, r->x, sizeof(r->x));
    c->sp_el[0] = r->sp_el0, c->sp_el[1] = r->sp_el1, c->elr_el[1] = r->elr_el1, c->spsr_el[1] = r->spsr[KVM_SPSR_EL1];
    for (unsigned i = 0; i < KVM_NR_SPSR; i++)
        c->spsr_bank[spsr_banks[i]] = (uint32_t)r->spsr[i];
    c->aarch64 = !(r->pstate & PSTATE_NRW);
    v->pc = r->pc;
    if (c->aarch64) {
        set_pstate(c, r->pstate);
        v->g[ARM_SP] = c->sp_el[c->sp_sel && c->el ? 1 : 0];
        return;
    }
    arm_regs_64_to_32(c, r->pstate & 0x1f);
    arm_set_cpsr(c, (uint32_t)r->pstate, ~UINT32_C(0x0120001f)); /* DIT and SS have other places here */
    c->il = r->pstate >> 20 & 1, c->ss = r->pstate >> 21 & 1, c->dit = r->pstate >> 24 & 1;
}

/* --- all --- */

static bool failed(const KvmVcpu *k, const char *how, Error **errp)
{
    error_set_errno(errp, errno, "kvm: vCPU %u: the kernel %s its registers; use -accel tcg", k->v->index, how);
    return false;
}

/* A reset is the kernel's too: what it keeps and we don't know begins anew. */
static bool reset_in_kernel(KvmVcpu *k)
{
    ArmCpu *c = arm_cpu(k->v);
    bool ok = !c->reset_seen || !kvm_ioctl(k->fd, KVM_ARM_VCPU_INIT, &kvm_arm(k)->init);
    c->reset_seen = false;
    return ok;
}

static void tell_steal(KvmVcpu *k)
{
    uint64_t at = arm_cpu(k->v)->steal_at;
    if (!at || kvm_arm(k)->steal_told)
        return;
    kvm_arm(k)->steal_told = true;
    if (!kvm_arm_set_attr(k->fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &at))
        log_unimp("kvm", "vCPU %u: the kernel does not account stolen time: %s", k->v->index, g_strerror(errno));
}

/* An SError that is due. */
static void move_events(KvmVcpu *k, bool set)
{
    ArmCpu *c = arm_cpu(k->v);
    struct kvm_vcpu_events e = { .exception.serror_pending = set && c->serror_pending,
                                 .exception.serror_has_esr = set && c->serror_esr,
                                 .exception.serror_esr = set ? c->serror_esr : 0 };
    if (kvm_check(KVM_CAP_VCPU_EVENTS) <= 0 ||
        kvm_ioctl(k->fd, set ? KVM_SET_VCPU_EVENTS : KVM_GET_VCPU_EVENTS, &e) < 0 || set)
        return;
    c->serror_pending = e.exception.serror_pending;
    c->serror_esr = e.exception.serror_has_esr ? e.exception.serror_esr : 0;
}

bool kvm_arm_put(KvmVcpu *k, Error **errp)
{
    bool suspended = arm_cpu(k->v)->suspended;
    struct kvm_mp_state m = { .mp_state = k->v->powered_off ? KVM_MP_STATE_STOPPED
                                          : suspended       ? KVM_MP_STATE_SUSPENDED
                                                            : KVM_MP_STATE_RUNNABLE };
    Core r;
    if (!reset_in_kernel(k))
        return failed(k, "does not reset", errp);
    tell_steal(k);
    kvm_arm_rest_move(k, true);
    move_sysregs(k, true);
    put_timers(k);
    gather(arm_cpu(k->v), &r);
    if (!move_core(k, true, &r) || !move_vectors(k, true) || kvm_ioctl(k->fd, KVM_SET_MP_STATE, &m) < 0)
        return failed(k, "refuses", errp);
    move_events(k, true);
    return true;
}

bool kvm_arm_get(KvmVcpu *k, Error **errp)
{
    ArmCpu *c = arm_cpu(k->v);
    struct kvm_mp_state m = { 0 };
    Core r;
    kvm_arm_rest_move(k, false);
    move_sysregs(k, false);
    get_timers(k);
    if (!move_core(k, false, &r))
        return failed(k, "does not tell", errp);
    scatter(c, &r);
    if (!move_vectors(k, false) || kvm_ioctl(k->fd, KVM_GET_MP_STATE, &m) < 0)
        return failed(k, "does not tell", errp);
    move_events(k, false);
    k->v->powered_off = c->psci_off = m.mp_state == KVM_MP_STATE_STOPPED;
    c->excl_addr = ~UINT64_C(0);
    tlb_flush_all(k->v);
    arm_asid_changed(c);
    arm_update_mode(c);
    return true;
}
