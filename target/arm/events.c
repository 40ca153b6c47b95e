/* SPDX-License-Identifier: MIT */
/*
 * Interrupts, waiting and events: when they are taken, what wakes a CPU; SVC, HVC, SMC, BKPT (DDI 0487, D1.3.6, D1.6).
 */
#include "base/log.h"
#include "target/arm/helpers.h"
#include "target/arm/m/m.h"
#include "target/arm/semihost.h"
#include "target/arm/system.h"

/* --- interrupts --- */

/*
 * Is a physical interrupt for `target` taken now? Levels above the present one are not masked, but for EL1's from EL0.
 */
static bool unmasked(const ArmCpu *c, unsigned target, uint32_t mask_bit)
{
    if (target < c->el)
        return false;
    if (target > c->el && target >= 2) {
        if (c->has.aarch64 || target == 2)
            return true;
        /* AArch32 Monitor: SCR.FW and AW say whether the Non-secure state may mask; Secure PL1 is EL3 */
        return !arm_secure(c) || !(c->daif & mask_bit);
    }
    return !(c->daif & mask_bit);
}

static bool virtual_deliverable(const ArmCpu *c, uint64_t hcr_enable, uint32_t mask_bit)
{
    return c->el < 2 && arm_hcr(c) & hcr_enable && !(c->daif & mask_bit);
}

/* The interrupt to take now. FIQ before IRQ (IMPLEMENTATION DEFINED order). */
static ArmEventKind pending_kind(const ArmCpu *c, unsigned *target)
{
    const Vcpu *v = &c->v;
    uint64_t hcr = arm_hcr(c);
    if (vcpu_line(v, CPU_LINE_NMI)) {
        *target = arm_route_async(c, SCR_FIQ, HCR_FMO);
        if (unmasked(c, *target, ARM_PSTATE_F))
            return ARM_EVENT_FIQ;
    }
    if (vcpu_line(v, CPU_LINE_INTR)) {
        *target = arm_route_async(c, SCR_IRQ, HCR_IMO);
        if (unmasked(c, *target, ARM_PSTATE_I))
            return ARM_EVENT_IRQ;
    }
    *target = 1;
    if (!hcr || c->hcr_el2 & HCR_TGE)
        return ARM_EVENT_NONE;
    if ((vcpu_line(v, CPU_LINE_VFIQ) || hcr & HCR_VF) && virtual_deliverable(c, HCR_FMO, ARM_PSTATE_F))
        return ARM_EVENT_VFIQ;
    if ((vcpu_line(v, CPU_LINE_VIRQ) || hcr & HCR_VI) && virtual_deliverable(c, HCR_IMO, ARM_PSTATE_I))
        return ARM_EVENT_VIRQ;
    if (hcr & HCR_VSE && virtual_deliverable(c, HCR_AMO, ARM_PSTATE_A))
        return ARM_EVENT_VSERROR;
    return ARM_EVENT_NONE;
}

/* Masks do not keep a CPU asleep; virtual interrupts count where they are enabled. */
static bool wakes(const ArmCpu *c)
{
    const Vcpu *v = &c->v;
    if (vcpu_line(v, CPU_LINE_INTR) || vcpu_line(v, CPU_LINE_NMI))
        return true;
    if (c->wfx_kind & 1 && atomic_load(&((ArmCpu *)c)->event_register))
        return true;
    if (c->wfx_until != INT64_MAX && clock_ns(CLOCK_VIRTUAL_NS) >= c->wfx_until)
        return true;
    uint64_t hcr = c->has.el2 && c->el < 2 ? arm_hcr(c) : 0;
    return (hcr & HCR_IMO && (vcpu_line(v, CPU_LINE_VIRQ) || hcr & HCR_VI)) ||
           (hcr & HCR_FMO && (vcpu_line(v, CPU_LINE_VFIQ) || hcr & HCR_VF)) || (hcr & HCR_AMO && hcr & HCR_VSE);
}

bool arm_has_work(Vcpu *v)
{
    ArmCpu *c = arm_cpu(v);
    if (c->m)
        return arm_m_has_work(v);
    return !v->powered_off && (!v->halted || wakes(c));
}

bool arm_poll(Vcpu *v)
{
    ArmCpu *c = arm_cpu(v);
    if (c->m)
        return arm_m_poll(v);
    if (v->powered_off)
        return false;
    if (v->halted) {
        if (!wakes(c))
            return false;
        v->halted = false;
        c->wfx_deadline = ~UINT64_C(0);
        c->wfx_until = INT64_MAX;
        atomic_store(&c->event_register, 0);
        if (c->suspended)
            arm_cpu_resume(c);
    }
    if (arm_step_pending(c)) {
        c->event = (ArmEvent){ .kind = ARM_EVENT_SYNC, .ec = EC_STEP, .iss = 0x22, .il32 = true };
        arm_deliver(v);
        return true;
    }
    unsigned target;
    ArmEventKind kind = pending_kind(c, &target);
    if (kind == ARM_EVENT_NONE)
        return true;
    c->event = (ArmEvent){ .kind = (uint8_t)kind, .target_el = (uint8_t)target };
    if (kind == ARM_EVENT_VSERROR) {
        c->hcr_el2 &= ~HCR_VSE;
        c->event.iss = (uint32_t)c->vsesr_el2 & 0x1ffffff;
    }
    arm_deliver(v);
    return true;
}

/* --- waiting --- */

static void trap_wait(ArmCpu *c, uint64_t kind, uint64_t length)
{
    uint32_t iss = 0x1e << 20 | (uint32_t)kind;
    bool wfe = kind & 1;
    uint64_t hcr = arm_hcr(c), sctlr = arm_sctlr(c);
    unsigned target = 0;
    if (c->el == 0 && (c->has.v8 || c->has.aarch64) && !(sctlr & (wfe ? SCTLR_NTWE : SCTLR_NTWI)))
        target = hcr & HCR_TGE ? 2 : 1;
    else if (c->el < 2 && hcr & (wfe ? HCR_TWE : HCR_TWI))
        target = 2;
    else if (c->has.el3 && c->el < 3 && c->has.aarch64 && c->scr_el3 & (wfe ? SCR_TWE : SCR_TWI))
        target = 3;
    if (target)
        arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC,
                                        .ec = EC_WFX,
                                        .iss = iss,
                                        .target_el = (uint8_t)target,
                                        .il32 = length == 4 });
}

enum { WFE_QUICK_NS = 20000, WFE_SPINS = 64, WFE_NAP_NS = 100000 };

/*
 * WFE: another CPU's store to the monitored address would end the wait, which nobody sees here. So a WFE goes on at
 * once, as the manual allows; code that does nothing but wait is made to nap.
 */
static bool wfe_naps(ArmCpu *c)
{
    int64_t now = clock_ns(CLOCK_REALTIME_NS);
    c->wfe_streak = now - c->wfe_last_ns < WFE_QUICK_NS + WFE_NAP_NS ? c->wfe_streak + 1 : 0;
    c->wfe_last_ns = now;
    return c->wfe_streak > WFE_SPINS;
}

ARM_HELPER_VOID(wfi)
{
    ArmCpu *c = arm_cpu(v);
    if (c->m) {
        arm_m_wait(c, (unsigned)a);
        return;
    }
    bool wfe = a & 1;
    if (wfe && atomic_exchange(&c->event_register, 0))
        return;
    c->wfx_kind = (uint8_t)a; /* what wakes() goes by */
    if (!wfe && wakes(c))
        return;
    uint64_t deadline = a & 2 ? b : ~UINT64_C(0);
    if (a & 2 && arm_count_virtual(c) >= b)
        return;
    trap_wait(c, a, a3);
    if (wfe && !wfe_naps(c))
        return;
    c->wfx_deadline = deadline;
    arm_timer_wait(c, wfe ? WFE_NAP_NS : -1);
    v->halted = true;
}

ARM_HELPER_VOID(yield) {}

void arm_send_event(void)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (!v)
            continue;
        if (!atomic_exchange(&arm_cpu(v)->event_register, 1))
            vcpu_kick(v);
    }
}

ARM_HELPER_VOID(sev)
{
    if (arm_cpu(v)->m)
        arm_m_event_all();
    else
        arm_send_event();
}

/* --- calls --- */

static _Noreturn void raise_call(ArmCpu *c, unsigned ec, uint64_t imm, uint64_t length, unsigned target, bool after)
{
    if (after)
        c->ss = false; /* the step is done: SSAdvance() */
    arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC,
                                    .ec = (uint8_t)ec,
                                    .iss = (uint32_t)imm & 0xffff,
                                    .target_el = (uint8_t)target,
                                    .il32 = length == 4,
                                    .skip = after ? (uint32_t)length : 0 });
}

ARM_HELPER_VOID(svc)
{
    ArmCpu *c = arm_cpu(v);
    if (semihost_config.enabled && !c->aarch64 && !c->m) {
        vcpu_sync(v);
        if (arm_semihost(c, c->t32 ? SEMIHOST_SVC_T32 : SEMIHOST_SVC_A32, (uint32_t)a, (unsigned)b, c->el > 0)) {
            v->call_site = 0;
            vcpu_unwind(v);
        }
    }
    if (arm_fgt_traps_bit(c, c->el ? FGT_SVC_EL1 : FGT_SVC_EL0))
        raise_call(c, EC_SVC64, a, b, 2, false);
    raise_call(c, c->aarch64 ? EC_SVC64 : EC_SVC32, a, b, 0, true);
}

static _Noreturn void undefined(ArmCpu *c) { arm_raise(c, EC_UNKNOWN, 0, 0); }

static void firmware_call(ArmCpu *c, uint64_t length)
{
    arm_take_state(c);
    c->v.pc += length;
    arm_psci_call(c);
}

ARM_HELPER_VOID(hvc)
{
    ArmCpu *c = arm_cpu(v);
    if (c->el == 0)
        undefined(c);
    if (c->psci_hvc) {
        firmware_call(c, b);
        return;
    }
    bool enabled = c->has.el3 ? c->scr_el3 & SCR_HCE : !(c->hcr_el2 & HCR_HCD);
    if (!c->has.el2 || !enabled || (c->el == 1 && !arm_el2_enabled(c)) ||
        (c->el == 3 && !c->has.aarch64 && arm_secure_below_el3(c)))
        undefined(c);
    raise_call(c, c->aarch64 ? EC_HVC64 : EC_HVC32, a, b, MAX(c->el, 2), true);
}

ARM_HELPER_VOID(smc)
{
    ArmCpu *c = arm_cpu(v);
    if (c->el == 0)
        undefined(c);
    unsigned ec = c->aarch64 ? EC_SMC64 : EC_SMC32;
    if (c->el == 1 && arm_hcr(c) & HCR_TSC)
        raise_call(c, ec, c->aarch64 ? a : 0, b, 2, false);
    if (c->psci_smc) {
        firmware_call(c, b);
        return;
    }
    if (!c->has.el3 || c->scr_el3 & SCR_SMD)
        undefined(c);
    raise_call(c, ec, c->aarch64 ? a : 0, b, 3, true);
}

ARM_HELPER_VOID(bkpt)
{
    ArmCpu *c = arm_cpu(v);
    SemihostInsn insn = c->m         ? SEMIHOST_BKPT_T32
                        : c->aarch64 ? SEMIHOST_HLT_A64
                        : c->t32     ? SEMIHOST_HLT_T32
                                     : SEMIHOST_HLT_A32;
    if (semihost_config.enabled && (a3 || c->m)) {
        arm_take_state(c);
        if (arm_semihost(c, insn, (uint32_t)a, (unsigned)b, c->el > 0))
            return;
    }
    if (a3)
        undefined(c);
    raise_call(c, c->aarch64 ? EC_BRK64 : EC_BKPT32, a, b, 0, false);
}
