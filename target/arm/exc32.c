/* SPDX-License-Identifier: MIT */
/*
 * Exceptions taken to AArch32: Monitor, Hyp and the PL1 modes; returns and status registers (DDI 0487, G1.11-G1.13; DDI
 * 0406C, B1.8).
 */
#include "base/log.h"
#include "target/arm/helpers.h"
#include "target/arm/system.h"

enum { VEC_UND = 4, VEC_SVC = 8, VEC_PABT = 12, VEC_DABT = 16, VEC_HYP = 20, VEC_IRQ = 24, VEC_FIQ = 28 };

/* What an exception class means to AArch32: mode, vector, and what is added to pc for LR (ARM, Thumb). */
typedef struct Entry32 { uint8_t mode, vector, lr_arm, lr_thumb; } Entry32;

static Entry32 entry_of(const ArmEvent *e)
{
    switch (e->kind) {
    case ARM_EVENT_IRQ: case ARM_EVENT_VIRQ: return (Entry32){ ARM_IRQ, VEC_IRQ, 4, 4 };
    case ARM_EVENT_FIQ: case ARM_EVENT_VFIQ: return (Entry32){ ARM_FIQ, VEC_FIQ, 4, 4 };
    case ARM_EVENT_SERROR: case ARM_EVENT_VSERROR: return (Entry32){ ARM_ABT, VEC_DABT, 8, 8 };
    default: break;
    }
    switch (e->ec) {
    case EC_SVC32: case EC_SVC64: return (Entry32){ ARM_SVC, VEC_SVC, 0, 0 };
    case EC_SMC32: case EC_SMC64: return (Entry32){ ARM_MON, VEC_SVC, 0, 0 };
    case EC_HVC32: case EC_HVC64: return (Entry32){ ARM_HYP, VEC_SVC, 0, 0 };
    case EC_INSN_ABORT: case EC_PC_ALIGN: case EC_BREAKPOINT: case EC_BKPT32: case EC_BRK64: case EC_STEP:
        return (Entry32){ ARM_ABT, VEC_PABT, 4, 4 };
    case EC_DATA_ABORT: case EC_WATCHPOINT: return (Entry32){ ARM_ABT, VEC_DABT, 8, 8 };
    default: return (Entry32){ ARM_UND, VEC_UND, 4, 2 };
    }
}

/* DFSR, DFAR, IFSR, IFAR of the bank that the exception is taken to. */
static void write_fault(ArmCpu *c, const ArmEvent *e, const Entry32 *n, unsigned bank)
{
    bool lpae = c->tcr_el[bank] & BIT(31) && c->has.lpae32;
    uint32_t debug = lpae ? 0x222 : 2;
    if (n->vector == VEC_DABT) {
        uint32_t fsr = e->kind != ARM_EVENT_SYNC ? (lpae ? 0x211 : 0x406) : e->ec == EC_WATCHPOINT ? debug : e->fsr;
        fsr |= e->kind == ARM_EVENT_SYNC && e->iss & BIT(6) ? BIT(11) : 0;
        c->esr_el[bank] = fsr;
        if (e->far_valid)
            c->far_el[bank] = (c->far_el[bank] & ~UINT64_C(0xffffffff)) | (uint32_t)e->far;
    } else if (n->vector == VEC_PABT) {
        uint32_t fsr = e->ec == EC_PC_ALIGN ? (lpae ? 0x221 : 1) : e->ec == EC_INSN_ABORT ? e->fsr : debug;
        if (bank == 3)
            c->ifsr_s = fsr;
        else
            c->ifsr32_el2 = fsr;
        uint64_t far = e->far_valid ? e->far : c->v.pc;
        c->far_el[bank] = (c->far_el[bank] & 0xffffffff) | far << 32;
    }
}

static uint32_t vector_base(const ArmCpu *c, unsigned mode, unsigned bank)
{
    if (mode == ARM_MON)
        return (uint32_t)c->mvbar;
    if (mode == ARM_HYP)
        return (uint32_t)c->vbar_el[2];
    if (c->sctlr_el[bank] & SCTLR_V)
        return 0xffff0000;
    return c->has.v7 || c->has.el3 ? (uint32_t)c->vbar_el[bank] & ~0x1fu : 0;
}

/* PSTATE at an entry: masks by kind and mode. */
static void entry_pstate(ArmCpu *c, unsigned mode, bool abort_or_irq, bool fiq, uint64_t sctlr)
{
    c->daif |= ARM_PSTATE_I;
    if (mode == ARM_MON || fiq)
        c->daif |= ARM_PSTATE_F;
    if ((mode == ARM_MON || abort_or_irq || fiq) && c->has.v6)
        c->daif |= ARM_PSTATE_A;
    c->t32 = sctlr & SCTLR_TE && c->has.thumb2;
    c->e = sctlr & SCTLR_EE && c->has.v6;
    c->it = 0;
    c->j = c->il = c->ss = false;
    if (c->has.pan && mode != ARM_HYP && mode != ARM_MON && !(sctlr & SCTLR_SPAN))
        c->pan = true;
    c->ssbs = c->has.ssbs && sctlr >> 31 & 1;
    c->excl_addr = ~UINT64_C(0);
}

static void enter_hyp(ArmCpu *c, const ArmEvent *e)
{
    Entry32 n = entry_of(e);
    unsigned vector = c->el < 2 ? VEC_HYP : n.vector;
    if (e->kind != ARM_EVENT_SYNC)
        vector = n.vector;
    else if (e->ec == EC_HVC64 || e->ec == EC_HVC32)
        vector = c->el < 2 ? VEC_HYP : VEC_SVC;
    if (e->kind == ARM_EVENT_SYNC) {
        bool lower = c->el < 2;
        unsigned ec = e->ec == EC_SVC64 || e->ec == EC_HVC64 || e->ec == EC_SMC64 ? e->ec - 4u
                      : e->ec == EC_BRK64                                         ? EC_BKPT32
                                                                                  : e->ec;
        if (ec == EC_INSN_ABORT || ec == EC_DATA_ABORT)
            ec -= lower;
        uint32_t iss = e->iss | (ec == EC_DATA_ABORT_LOWER && arm_fault_is_stage2(e) ? arm_data_abort_isv(c) : 0);
        /* no syndrome is given for 16-bit instructions */
        bool il = e->il32 || (ec | 1) == EC_DATA_ABORT || (ec | 1) == EC_INSN_ABORT;
        c->esr_el[2] = (uint32_t)ec << 26 | (il ? BIT(25) : 0) | (iss & 0x1ffffff);
        if (e->far_valid && n.vector == VEC_PABT)
            c->far_el[2] = (c->far_el[2] & 0xffffffff) | e->far << 32;
        else if (e->far_valid)
            c->far_el[2] = (c->far_el[2] & ~UINT64_C(0xffffffff)) | (uint32_t)e->far;
        if (arm_fault_is_stage2(e))
            c->hpfar_el2 = e->hpfar & 0xfffffff0;
    }
    uint32_t cpsr = arm_get_cpsr(c), pc = (uint32_t)c->v.pc + e->skip;
    arm_switch_mode32(c, ARM_HYP);
    c->spsr_bank[ARM_BANKED_HYP] = cpsr;
    c->elr_hyp = pc;
    uint64_t scr = c->has.el3 ? c->scr_el3 : 0;
    uint32_t masks = (scr & SCR_EA ? 0 : ARM_PSTATE_A) | (scr & SCR_IRQ ? 0 : ARM_PSTATE_I) |
                     (scr & SCR_FIQ ? 0 : ARM_PSTATE_F);
    uint32_t daif = c->daif | masks;
    entry_pstate(c, ARM_HYP, false, false, c->sctlr_el[2]);
    c->daif = daif;
    c->v.pc = ((uint32_t)c->vbar_el[2] & ~0x1fu) + vector;
    arm_update_mode(c);
}

static bool to_monitor(const ArmCpu *c, const ArmEvent *e, const Entry32 *n)
{
    if (!c->has.el3 || c->has.aarch64)
        return false;
    bool external = e->kind == ARM_EVENT_SERROR ||
                    (e->kind == ARM_EVENT_SYNC && n->mode == ARM_ABT && (e->iss & 0x3c) == 0x10);
    return n->mode == ARM_MON || (external && c->scr_el3 & SCR_EA) ||
           (e->kind == ARM_EVENT_IRQ && c->scr_el3 & SCR_IRQ) || (e->kind == ARM_EVENT_FIQ && c->scr_el3 & SCR_FIQ);
}

void arm_enter32(ArmCpu *c, const ArmEvent *e, unsigned target)
{
    if (target == 2) {
        enter_hyp(c, e);
        return;
    }
    Entry32 n = entry_of(e);
    bool from_monitor = c->mode32 == ARM_MON;
    unsigned mode = to_monitor(c, e, &n) ? ARM_MON : n.mode == ARM_MON ? ARM_UND : n.mode;
    if (from_monitor)
        c->scr_el3 &= ~SCR_NS;
    unsigned bank = c->has.el3 && !c->has.aarch64 && (mode == ARM_MON || arm_secure_below_el3(c)) ? 3 : 1;
    uint32_t cpsr = arm_get_cpsr(c), lr = (uint32_t)c->v.pc + e->skip + (c->t32 ? n.lr_thumb : n.lr_arm);
    write_fault(c, e, &n, bank);
    arm_switch_mode32(c, mode);
    c->spsr_bank[arm_bank_index(mode)] = cpsr;
    c->v.g[ARM_R14] = lr;
    bool fiq = e->kind == ARM_EVENT_FIQ || e->kind == ARM_EVENT_VFIQ;
    entry_pstate(c, mode, n.mode == ARM_IRQ || n.mode == ARM_ABT, fiq, c->sctlr_el[bank]);
    uint32_t base = vector_base(c, mode, bank);
    c->v.pc = base + n.vector;
    arm_update_mode(c);
}

/* --- returns and status registers --- */

/* Bits of CPSR that software at this level may write by MSR, exception returns aside. */
static uint32_t writable_cpsr(const ArmCpu *c)
{
    uint32_t m = 0xf0000000 | (c->has.dsp || c->has.v5 ? 1u << 27 : 0) | (c->has.v6 ? 0xf0000 | 1u << 9 : 0);
    if (c->has.dit)
        m |= 1u << 21;
    if (c->has.ssbs)
        m |= 1u << 23;
    if (c->el == 0)
        return m & ~(1u << 23);
    m |= 0x1df | (c->has.pan ? 1u << 22 : 0);
    if (!c->has.v6)
        m &= ~(1u << 8);
    /* SCR.FW, AW without the Virtualization Extensions */
    if (c->has.el3 && !c->has.aarch64 && !arm_secure(c) && !c->has.el2) {
        m &= ~(c->scr_el3 & SCR_FW ? 0 : (uint32_t)ARM_PSTATE_F);
        m &= ~(c->scr_el3 & SCR_AW ? 0 : (uint32_t)ARM_PSTATE_A);
    }
    return m;
}

static bool mode_change_allowed(const ArmCpu *c, unsigned m, bool is_return)
{
    switch (m) {
    case ARM_USR: case ARM_FIQ: case ARM_IRQ: case ARM_SVC: case ARM_ABT: case ARM_UND: case ARM_SYS:
        break;
    case ARM_MON:
        return c->has.el3 && !c->has.aarch64 && arm_secure(c);
    case ARM_HYP:
        return arm_el2_enabled(c) && (c->mode32 == ARM_HYP || (c->mode32 == ARM_MON && c->scr_el3 & SCR_NS));
    default:
        return false;
    }
    if (c->mode32 == ARM_HYP && !is_return)
        return false;
    return !(arm_el2_enabled(c) && c->hcr_el2 & HCR_TGE && m != ARM_USR && c->mode32 == ARM_HYP);
}

void arm_return32(ArmCpu *c, uint32_t pc, uint32_t spsr)
{
    c->endless = 0;
    uint32_t mask = writable_cpsr(c) | 0x0700fc20 | 1u << 20 | 1u << 5;
    if (c->el == 0 || c->mode32 == ARM_SYS) {
        mask &= 0xf80f0200;
        spsr = (spsr & mask) | (arm_get_cpsr(c) & ~mask);
        mask = 0xffffffff;
    }
    if (!mode_change_allowed(c, spsr & 0x1f, true)) {
        log_guest_error("arm", "exception return to mode 0x%02x at 0x%08x", spsr & 0x1f, (uint32_t)c->v.pc);
        if (c->has.v8)
            spsr |= 1u << 20;
        spsr = (spsr & ~0x1fu) | c->mode32;
    }
    c->excl_addr = ~UINT64_C(0);
    atomic_store(&c->event_register, 1);
    arm_set_cpsr(c, spsr, mask | 0x1f);
    c->v.pc = pc & ~(c->t32 ? 1u : 3u);
    arm_asid_changed(c);
    arm_poll_after_return(c);
}

ARM_HELPER_VOID(return32)
{
    ArmCpu *c = arm_cpu(v);
    arm_take_state(c);
    arm_return32(c, (uint32_t)a, (uint32_t)b);
}

ARM_HELPER(mrs_cpsr)
{
    ArmCpu *c = arm_cpu(v);
    if (!a) {
        uint32_t r = arm_get_cpsr(c) & ~(0x0700fc00u | 1u << 24 | 1u << 5 | 1u << 20); /* IT, J, T read as 0 */
        return c->el ? r : r & ~(c->has.v8 ? 1u << 22 | 1u << 23 : 0);
    }
    if (c->mode32 == ARM_USR || c->mode32 == ARM_SYS)
        return 0; /* UNPREDICTABLE */
    return c->spsr_bank[arm_bank_index(c->mode32)];
}

ARM_HELPER_VOID(msr_cpsr)
{
    ArmCpu *c = arm_cpu(v);
    uint32_t value = (uint32_t)a, mask = (uint32_t)b;
    if (a3) {
        if (c->mode32 != ARM_USR && c->mode32 != ARM_SYS) {
            uint32_t *s = &c->spsr_bank[arm_bank_index(c->mode32)];
            *s = (*s & ~mask) | (value & mask);
        }
        return;
    }
    mask &= writable_cpsr(c);
    vcpu_sync(v);
    if (mask & 0x1f && (value & 0x1f) != c->mode32 && !mode_change_allowed(c, value & 0x1f, false)) {
        mask &= ~0x1fu;
        log_guest_error("arm", "MSR CPSR to mode 0x%02x at 0x%08x", value & 0x1f, (uint32_t)v->pc);
        if (c->has.v8)
            c->il = true;
    }
    arm_set_cpsr(c, value, mask);
}

ARM_HELPER_VOID(cps)
{
    ArmCpu *c = arm_cpu(v);
    uint32_t value = 0, mask = 0, aif = a & 0x1c0, imod = a >> 10 & 3;
    if (c->el == 0)
        return;
    if (imod & 2) {
        mask |= aif;
        value |= imod & 1 ? aif : 0;
    }
    if (a3) {
        mask |= 0x1f;
        value |= b & 0x1f;
    }
    arm_help_msr_cpsr(v, value, mask, 0);
}

/* --- banked registers by number --- */

/* MRS/MSR (banked): where R:SYSm stands (DDI 0487, F6.1.140): NULL: UNPREDICTABLE, taken as UNDEFINED. */
typedef struct Banked { uint32_t *slot; int g; } Banked;

static bool banked_find(ArmCpu *c, unsigned r, unsigned sysm, Banked *out)
{
    static const uint8_t banks[] = { [0] = ARM_IRQ, [1] = ARM_SVC, [2] = ARM_ABT, [3] = ARM_UND };
    *out = (Banked){ NULL, -1 };
    unsigned mode;
    if (r) {
        static const uint8_t modes[32] = { [0x0e] = ARM_FIQ, [0x10] = ARM_IRQ, [0x12] = ARM_SVC, [0x14] = ARM_ABT,
                                           [0x16] = ARM_UND, [0x1c] = ARM_MON, [0x1e] = ARM_HYP };
        mode = modes[sysm];
        if (!mode)
            return false;
        out->slot = &c->spsr_bank[arm_bank_index(mode)];
    } else if (sysm < 7) {
        mode = ARM_USR;
        if (sysm < 5)
            out->slot = &c->r8_usr[sysm], out->g = c->mode32 == ARM_FIQ ? -1 : 8 + (int)sysm;
        else
            out->slot = sysm == 5 ? &c->r13_bank[ARM_BANKED_USR] : &c->r14_bank[ARM_BANKED_USR];
    } else if (sysm >= 8 && sysm < 15) {
        mode = ARM_FIQ;
        if (sysm < 13)
            out->slot = &c->r8_fiq[sysm - 8], out->g = c->mode32 == ARM_FIQ ? 8 + (int)(sysm - 8) : -1;
        else
            out->slot = sysm == 13 ? &c->r13_bank[ARM_BANKED_FIQ] : &c->r14_bank[ARM_BANKED_FIQ];
    } else if (sysm >= 16 && sysm < 24) {
        mode = banks[(sysm - 16) / 2];
        out->slot = sysm & 1 ? &c->r13_bank[arm_bank_index(mode)] : &c->r14_bank[arm_bank_index(mode)];
    } else if (sysm == 28 || sysm == 29) {
        mode = ARM_MON;
        out->slot = sysm & 1 ? &c->r13_bank[ARM_BANKED_MON] : &c->r14_bank[ARM_BANKED_MON];
    } else if (sysm == 30 || sysm == 31) {
        mode = ARM_HYP;
        out->slot = sysm == 30 ? &c->elr_hyp : &c->r13_bank[ARM_BANKED_HYP];
    } else {
        return false;
    }
    if (out->g < 0 && !r && mode != ARM_MON && (sysm & 7) >= 5 && sysm < 16 &&
        arm_bank_index(c->mode32) == arm_bank_index(mode))
        out->g = sysm == 5 || sysm == 13 ? 13 : 14;
    if (!r && sysm == 6 && c->mode32 == ARM_HYP)
        out->g = 14;
    if (!r && sysm >= 16 && sysm != 30 && arm_bank_index(c->mode32) == arm_bank_index(mode))
        out->g = sysm & 1 ? 13 : 14;
    if (c->el == 0 || (mode == ARM_MON && (!c->has.el3 || !arm_secure(c))))
        return false;
    /* SPSR_hyp in Hyp mode is UNPREDICTABLE by the manual; cores do it, and firmware for Cortex-R52 relies on it */
    if (mode == ARM_HYP && c->mode32 != ARM_MON && !(c->mode32 == ARM_HYP && (r || sysm == 30)))
        return false;
    return true;
}

static Banked banked_or_undef(ArmCpu *c, uint64_t a)
{
    Banked b;
    if (!banked_find(c, a >> 5 & 1, a & 31, &b))
        arm_raise(c, EC_UNKNOWN, 0, 0);
    return b;
}

ARM_HELPER(banked_get)
{
    Banked from = banked_or_undef(arm_cpu(v), a);
    return from.g >= 0 ? (uint32_t)v->g[from.g] : *from.slot;
}

ARM_HELPER_VOID(banked_set)
{
    Banked to = banked_or_undef(arm_cpu(v), a);
    if (to.g >= 0)
        v->g[to.g] = (uint32_t)b;
    else
        *to.slot = (uint32_t)b;
}

/* LDM, STM of User registers: slot outside G, or NULL: G itself. */
static uint32_t *user_slot(ArmCpu *c, unsigned n)
{
    if (n >= 8 && n <= 12)
        return c->mode32 == ARM_FIQ ? &c->r8_usr[n - 8] : NULL;
    if (n < 8 || n > 14 || arm_bank_index(c->mode32) == ARM_BANKED_USR)
        return NULL;
    if (n == 14 && c->mode32 == ARM_HYP)
        return NULL;
    return n == 13 ? &c->r13_bank[ARM_BANKED_USR] : &c->r14_bank[ARM_BANKED_USR];
}

ARM_HELPER(bank_user_get)
{
    uint32_t *slot = user_slot(arm_cpu(v), (unsigned)a);
    return slot ? *slot : (uint32_t)v->g[a & 15];
}

ARM_HELPER_VOID(bank_user_set)
{
    uint32_t *slot = user_slot(arm_cpu(v), (unsigned)a);
    if (slot)
        *slot = (uint32_t)b;
    else
        v->g[a & 15] = (uint32_t)b;
}
