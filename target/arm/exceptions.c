/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: recording, routing, entry to AArch64 and return from it (DDI 0487, D1.3 and the AArch64.TakeException
 * pseudocode).
 */
#include "base/log.h"
#include "base/symbols.h"
#include "hw/core/machine.h"
#include "target/arm/helpers.h"
#include "target/arm/m/m.h"
#include "target/arm/semihost.h"
#include "target/arm/system.h"

/* --- recording --- */

void arm_record(ArmCpu *c, const ArmEvent *e) { c->event = *e; }

void arm_raise_event(ArmCpu *c, const ArmEvent *e)
{
    arm_record(c, e);
    vcpu_unwind(&c->v);
}

void arm_raise(ArmCpu *c, unsigned ec, uint32_t iss, unsigned target_el)
{
    arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC,
                                    .ec = (uint8_t)ec,
                                    .iss = iss,
                                    .target_el = (uint8_t)target_el,
                                    .il32 = true });
}

/* --- routing --- */

/* The level that stands for PL1 software of AArch32 in the present security state. */
static unsigned pl1_el(const ArmCpu *c) { return c->has.el3 && !c->has.aarch64 && arm_secure_below_el3(c) ? 3 : 1; }

static unsigned route_sync(const ArmCpu *c, const ArmEvent *e)
{
    uint64_t hcr = arm_hcr(c);
    if (e->target_el)
        return MAX(e->target_el, c->el);
    if (c->el >= 2)
        return c->el;
    bool debug = e->ec == EC_BREAKPOINT || e->ec == EC_WATCHPOINT || e->ec == EC_STEP || e->ec == EC_BKPT32 ||
                 e->ec == EC_BRK64;
    if (arm_el2_enabled(c) && debug && (c->mdcr_el2 & BIT(8) || hcr & HCR_TGE))
        return 2;
    unsigned fsc = e->iss & 0x3f; /* external aborts: of the access, of walks at levels -1 to 3 */
    bool external = (e->ec == EC_DATA_ABORT || e->ec == EC_INSN_ABORT) && (fsc == 0x10 || (fsc >= 0x13 && fsc <= 0x17));
    if (external && c->has.el3 && c->scr_el3 & SCR_EA)
        return 3;
    if (external && hcr & HCR_TEA)
        return 2;
    if (c->el == 0 && hcr & HCR_TGE)
        return 2;
    return pl1_el(c);
}

unsigned arm_route_async(const ArmCpu *c, uint64_t scr_bit, uint64_t hcr_bit)
{
    if (c->has.el3 && c->scr_el3 & scr_bit)
        return 3;
    if (arm_el2_enabled(c) && (arm_hcr(c) & hcr_bit || c->hcr_el2 & HCR_TGE))
        return 2;
    return pl1_el(c);
}

/* --- registers between the states (DDI 0487, D1.21.1) --- */

void arm_regs_32_to_64(ArmCpu *c)
{
    arm_switch_mode32(c, ARM_USR); /* R8-R14 in G are those of User mode */
    uint64_t *g = c->v.g;
    g[15] = c->r13_bank[ARM_BANKED_HYP];
    g[16] = c->r14_bank[ARM_BANKED_IRQ], g[17] = c->r13_bank[ARM_BANKED_IRQ];
    g[18] = c->r14_bank[ARM_BANKED_SVC], g[19] = c->r13_bank[ARM_BANKED_SVC];
    g[20] = c->r14_bank[ARM_BANKED_ABT], g[21] = c->r13_bank[ARM_BANKED_ABT];
    g[22] = c->r14_bank[ARM_BANKED_UND], g[23] = c->r13_bank[ARM_BANKED_UND];
    for (unsigned i = 0; i < 5; i++)
        g[24 + i] = c->r8_fiq[i];
    g[29] = c->r13_bank[ARM_BANKED_FIQ], g[30] = c->r14_bank[ARM_BANKED_FIQ];
    for (unsigned i = 0; i < 31; i++)
        g[i] = (uint32_t)g[i];
    c->spsr_el[1] = c->spsr_bank[ARM_BANKED_SVC];
    c->spsr_el[2] = c->spsr_bank[ARM_BANKED_HYP];
    c->elr_el[2] = c->elr_hyp;
}

void arm_regs_64_to_32(ArmCpu *c, unsigned mode)
{
    uint64_t *g = c->v.g;
    c->r13_bank[ARM_BANKED_HYP] = (uint32_t)g[15];
    c->r14_bank[ARM_BANKED_IRQ] = (uint32_t)g[16], c->r13_bank[ARM_BANKED_IRQ] = (uint32_t)g[17];
    c->r14_bank[ARM_BANKED_SVC] = (uint32_t)g[18], c->r13_bank[ARM_BANKED_SVC] = (uint32_t)g[19];
    c->r14_bank[ARM_BANKED_ABT] = (uint32_t)g[20], c->r13_bank[ARM_BANKED_ABT] = (uint32_t)g[21];
    c->r14_bank[ARM_BANKED_UND] = (uint32_t)g[22], c->r13_bank[ARM_BANKED_UND] = (uint32_t)g[23];
    for (unsigned i = 0; i < 5; i++)
        c->r8_fiq[i] = (uint32_t)g[24 + i];
    c->r13_bank[ARM_BANKED_FIQ] = (uint32_t)g[29], c->r14_bank[ARM_BANKED_FIQ] = (uint32_t)g[30];
    for (unsigned i = 0; i < 15; i++)
        g[i] = (uint32_t)g[i];
    c->spsr_bank[ARM_BANKED_SVC] = (uint32_t)c->spsr_el[1];
    c->spsr_bank[ARM_BANKED_HYP] = (uint32_t)c->spsr_el[2];
    c->elr_hyp = (uint32_t)c->elr_el[2];
    c->mode32 = ARM_USR;
    arm_switch_mode32(c, mode);
}

/* --- stack pointers --- */

void arm_select_sp(ArmCpu *c, unsigned el, bool sp_sel)
{
    unsigned from = c->sp_sel ? c->el : 0, to = sp_sel ? el : 0;
    if (from != to) {
        c->sp_el[from] = c->v.g[ARM_SP];
        c->v.g[ARM_SP] = c->sp_el[to];
    }
    c->el = (uint8_t)el;
    c->sp_sel = sp_sel;
}

/* --- entry to AArch64 --- */

static unsigned vector_offset(const ArmCpu *c, unsigned target, bool was_aa64)
{
    if (c->el == target)
        return c->sp_sel ? 0x200 : 0;
    unsigned below = target - 1;
    if (below == 2 && !arm_el2_enabled(c))
        below = 1;
    bool lower64 = below > c->el ? arm_el_is_aa64(c, below) : was_aa64;
    if (target == 2 && c->el == 0 && arm_hcr(c) & HCR_TGE)
        lower64 = was_aa64;
    return lower64 ? 0x400 : 0x600;
}

/* ECs that say whether they came from a lower level. */
static unsigned entry_ec(const ArmCpu *c, const ArmEvent *e, unsigned target)
{
    switch (e->ec) {
    case EC_INSN_ABORT: case EC_DATA_ABORT: case EC_BREAKPOINT: case EC_STEP: case EC_WATCHPOINT:
        return c->el < target ? e->ec - 1u : e->ec;
    case EC_SVC64: case EC_HVC64: case EC_SMC64:
        return c->aarch64 ? e->ec : e->ec - 4u;
    case EC_BRK64:
        return c->aarch64 ? EC_BRK64 : EC_BKPT32;
    default:
        return e->ec;
    }
}

static void write_syndrome(ArmCpu *c, const ArmEvent *e, unsigned target)
{
    if (e->kind != ARM_EVENT_SYNC) {
        if (e->kind == ARM_EVENT_SERROR || e->kind == ARM_EVENT_VSERROR)
            c->esr_el[target] = (uint64_t)EC_SERROR << 26 | BIT(25) | e->iss;
        return;
    }
    uint32_t iss = arm_syndrome64(c, e->ec, e->iss);
    if (e->ec == EC_DATA_ABORT && target == 2 && arm_fault_is_stage2(e))
        iss |= arm_data_abort_isv(c);
    /* no syndrome is given for 16-bit instructions */
    bool il = e->il32 || e->ec == EC_DATA_ABORT || e->ec == EC_INSN_ABORT;
    c->esr_el[target] = (uint64_t)entry_ec(c, e, target) << 26 | (il ? BIT(25) : 0) | (iss & 0x1ffffff);
    if (e->far_valid)
        c->far_el[target] = e->far;
    if (target == 2 && arm_fault_is_stage2(e))
        c->hpfar_el2 = e->hpfar & ~BIT(63);
}

static void enter64(ArmCpu *c, const ArmEvent *e, unsigned target)
{
    static const uint16_t kinds[] = {
        [ARM_EVENT_IRQ] = 0x80,     [ARM_EVENT_VIRQ] = 0x80,     [ARM_EVENT_FIQ] = 0x100, [ARM_EVENT_VFIQ] = 0x100,
        [ARM_EVENT_SERROR] = 0x180, [ARM_EVENT_VSERROR] = 0x180, [ARM_EVENT_SYNC] = 0
    };
    unsigned offset = vector_offset(c, target, c->aarch64) + kinds[e->kind];
    uint64_t spsr = arm_get_pstate(c);
    write_syndrome(c, e, target);
    if (!c->aarch64) {
        unsigned el = c->el;
        arm_regs_32_to_64(c);
        c->el = (uint8_t)el;
        c->aarch64 = true;
        c->sp_sel = false; /* SP_EL0 stands in G(31): AArch32 has no use for it */
        c->v.g[ARM_SP] = c->sp_el[0];
        c->daif |= ARM_PSTATE_D;
    }
    c->spsr_el[target] = spsr;
    c->elr_el[target] = c->v.pc + e->skip;
    arm_select_sp(c, target, true);
    uint64_t sctlr = c->sctlr_el[target];
    bool host = target == 2 && arm_e2h_host(arm_hcr(c));
    if (c->has.pan && (target == 1 || host) && !(sctlr & SCTLR_SPAN))
        c->pan = true;
    c->uao = false;
    c->ssbs = c->has.ssbs && sctlr & SCTLR_DSSBS;
    c->tco = c->has.mte;
    c->ss = c->il = c->t32 = c->j = false;
    c->it = 0;
    c->btype = 0;
    c->daif = ARM_PSTATE_D | ARM_PSTATE_A | ARM_PSTATE_I | ARM_PSTATE_F;
    c->v.pc = (c->vbar_el[target] & ~UINT64_C(0x7ff)) + offset;
    arm_update_mode(c);
}

/*
 * A program whose fault handler faults: the same instruction raises an exception again and again, at the level where it
 * is taken, and nothing returns from one. The hypervisor's guests may do that as they like.
 */
enum { ENDLESS = 1000 };
static void tell_endless(ArmCpu *c, const ArmEvent *e, unsigned from_el, uint64_t from_pc)
{
    if (e->kind != ARM_EVENT_SYNC || c->el != from_el || c->endless_pc != from_pc) {
        c->endless_pc = from_pc;
        c->endless = 0;
        return;
    }
    if (++c->endless != ENDLESS || arm_hcr(c) & HCR_VM)
        return;
    static const struct { uint8_t ec; const char *name; } names[] = {
        { EC_INSN_ABORT, "prefetch abort" }, { EC_DATA_ABORT, "data abort" }, { EC_SVC32, "SVC" }, { EC_SVC64, "SVC" },
    };
    const char *name = "undefined instruction";
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        name = e->ec == names[i].ec ? names[i].name : name;
    g_autofree char *at = symbols_describe(from_pc);
    warn_reportf("CPU %u: lockup at pc %s: %s, and its handler ends there again and again", c->v.index, at, name);
    if (semihost_config.enabled)
        machine_request_exit(1);
    else if (symbols_known())
        machine_guest_panicked("lockup");
}

void arm_deliver(Vcpu *v)
{
    ArmCpu *c = arm_cpu(v);
    if (c->m) {
        arm_m_deliver(v);
        return;
    }
    ArmEvent e = c->event;
    c->event.kind = ARM_EVENT_NONE;
    if (e.kind == ARM_EVENT_NONE || e.kind == ARM_EVENT_M)
        return;
    unsigned target = e.kind == ARM_EVENT_SYNC ? route_sync(c, &e) : MAX(e.target_el, c->el);
    if (target > c->el && !(target == 3 ? c->has.el3 : target == 2 ? c->has.el2 : true))
        target = MAX(c->el, 1);
    log_printf(LOG_INT,
               "%u: exception kind %u ec 0x%02x iss 0x%07x far 0x%" PRIx64 " from EL%u pc 0x%" PRIx64 " to EL%u\n",
               v->index, e.kind, e.ec, e.iss, e.far, c->el, v->pc, target);
    v->halted = false;
    unsigned from_el = c->el;
    uint64_t from_pc = v->pc;
    if (arm_el_is_aa64(c, target))
        enter64(c, &e, target);
    else
        arm_enter32(c, &e, target);
    tell_endless(c, &e, from_el, from_pc);
    arm_asid_changed(c);
    arm_poll_soon(c);
}

/* --- return --- */

/* Interrupts and virtual interrupts may have become deliverable. */
void arm_poll_after_return(ArmCpu *c)
{
    if (arm_hcr(c) & (HCR_VI | HCR_VF | HCR_VSE) || arm_step_pending(c))
        atomic_store_explicit(&c->v.exit_request, 1, memory_order_relaxed);
    arm_poll_soon(c);
}

static bool mode32_valid(const ArmCpu *c, unsigned m)
{
    if (m == ARM_MON)
        return c->has.el3 && !c->has.aarch64;
    if (m == ARM_HYP)
        return arm_el2_enabled(c);
    return m == ARM_USR || m == ARM_FIQ || m == ARM_IRQ || m == ARM_SVC || m == ARM_ABT || m == ARM_UND || m == ARM_SYS;
}

/* The level that SPSR names, -1: illegal (DDI 0487, D1.11.4 IllegalExceptionReturn). */
static int return_el(const ArmCpu *c, uint64_t spsr)
{
    unsigned el;
    bool to64 = !(spsr & BIT(4));
    if (to64) {
        if (spsr & 2 || (spsr & 0xf) == 1)
            return -1;
        el = spsr >> 2 & 3;
        if (el == 0 && spsr & 1)
            return -1;
    } else {
        if (!mode32_valid(c, spsr & 0x1f))
            return -1;
        el = arm_mode32_el(c, spsr & 0x1f);
    }
    if (el > c->el || (el == 2 && !arm_el2_enabled(c)) || (el == 3 && !c->has.el3))
        return -1;
    if (el == 1 && arm_el2_enabled(c) && c->hcr_el2 & HCR_TGE)
        return -1;
    if (el == 0) {
        bool el1_64 = arm_el_is_aa64(c, 1);
        if (to64 ? !el1_64 : !c->has.aarch32_el0)
            return -1;
    } else if (to64 != arm_el_is_aa64(c, el)) {
        return -1;
    }
    return (int)el;
}

/* Tagged addresses reach the pc sign-extended (AArch64.BranchAddr). */
static uint64_t branch_addr(const ArmCpu *c, uint64_t pc)
{
    unsigned el = c->el ? c->el : arm_e2h_host(arm_hcr(c)) ? 2 : 1;
    uint64_t tcr = c->tcr_el[el];
    bool two = el == 1 || (el == 2 && c->has.vhe && c->hcr_el2 & HCR_E2H);
    bool tbi = two ? (pc & BIT(55) ? tcr & BIT(38) : tcr & BIT(37)) : tcr & BIT(20);
    if (!tbi)
        return pc;
    return two ? (uint64_t)bits_sget(pc, 0, 56) : pc & bits_mask(56);
}

/* SS as of the state returned to: software step is enabled there and not here (D2.12.3). */
static bool stepping_after(const ArmCpu *c, uint64_t spsr, unsigned from_el, unsigned el)
{
    return spsr & BIT(21) && c->mdscr_el1 & 1 && arm_debug_target(c) > el && arm_debug_target(c) <= from_el;
}

void arm_eret64(ArmCpu *c)
{
    c->endless = 0;
    uint64_t spsr = c->spsr_el[c->el], pc = c->elr_el[c->el];
    unsigned from = c->el;
    int el = return_el(c, spsr);
    arm_set_nzcv(c, (uint32_t)spsr);
    c->daif = spsr & 0x3c0;
    c->excl_addr = ~UINT64_C(0);
    atomic_store(&c->event_register, 1);
    if (el < 0) {
        c->il = true;
        c->ss = false;
        c->btype = 0;
        c->v.pc = pc;
        arm_update_mode(c);
        arm_poll_after_return(c);
        return;
    }
    c->ss = stepping_after(c, spsr, from, (unsigned)el);
    c->il = spsr >> 20 & 1;
    c->pan = c->has.pan && spsr >> 22 & 1;
    c->dit = c->has.dit && spsr >> 24 & 1;
    c->btype = 0;
    if (spsr & BIT(4)) {
        arm_select_sp(c, 0, false); /* parks SP_ELx */
        c->sp_el[0] = c->v.g[ARM_SP];
        c->aarch64 = false;
        arm_regs_64_to_32(c, spsr & 0x1f);
        c->el = (uint8_t)el;
        c->daif &= ~ARM_PSTATE_D;
        c->ssbs = c->has.ssbs && spsr >> 23 & 1;
        uint32_t cpsr = (uint32_t)spsr & 0x0f0ffe20;
        arm_set_cpsr(c, cpsr, 0x0f0ffe20);
        c->v.pc = (uint32_t)pc & ~(c->t32 ? 1u : 3u);
    } else {
        arm_select_sp(c, (unsigned)el, spsr & 1);
        c->uao = c->has.uao && spsr >> 23 & 1;
        c->tco = c->has.mte && spsr >> 25 & 1;
        c->ssbs = c->has.ssbs && spsr >> 12 & 1;
        c->btype = c->has.bti ? spsr >> 10 & 3 : 0;
        c->v.pc = branch_addr(c, pc);
    }
    arm_asid_changed(c);
    arm_update_mode(c);
    arm_poll_after_return(c);
}

ARM_HELPER_VOID(eret)
{
    ArmCpu *c = arm_cpu(v);
    arm_take_state(c);
    if (c->el == 0)
        arm_raise(c, EC_UNKNOWN, 0, 0);
    arm_eret64(c);
}

ARM_HELPER_VOID(eret_trap)
{
    ArmCpu *c = arm_cpu(v);
    if (arm_fgt_traps_bit(c, FGT_ERET))
        arm_raise(c, EC_ERET, (uint32_t)a, 2);
}

/* --- what instructions raise --- */

ARM_HELPER_VOID(undef)
{
    ArmCpu *c = arm_cpu(v);
    log_printf(LOG_UNIMP, "arm: undefined instruction at 0x%" PRIx64 "\n", v->pc);
    arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC, .ec = EC_UNKNOWN, .il32 = a || c->aarch64 });
}

ARM_HELPER_VOID(raise)
{
    ArmEvent e = { .kind = ARM_EVENT_SYNC,
                   .ec = (uint8_t)a,
                   .iss = (uint32_t)b & 0x1ffffff,
                   .target_el = a3 & 3,
                   .il32 = a3 >> 8 & 1 };
    arm_raise_event(arm_cpu(v), &e);
}

ARM_HELPER_VOID(pc_align)
{
    ArmCpu *c = arm_cpu(v);
    arm_take_state(c);
    v->pc = a;
    arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC,
                                    .ec = EC_PC_ALIGN,
                                    .il32 = true,
                                    .far_valid = true,
                                    .far = a,
                                    .fsr = 1 });
}

/* FPTrap: which control refuses (CPACR first, then EL2's, then EL3's). */
static unsigned vector_trap_target(const ArmCpu *c, unsigned shift, unsigned bit)
{
    uint64_t hcr = arm_hcr(c);
    bool host = arm_e2h_host(hcr);
    unsigned en = c->cpacr_el1 >> shift & 3;
    if (c->el <= 1 && !host && (c->el == 0 ? en != 3 : !(en & 1)))
        return c->el == 0 && hcr & HCR_TGE ? 2 : 1;
    if (c->el <= 2 && arm_el2_enabled(c)) {
        unsigned en2 = c->cptr_el[2] >> shift & 3;
        bool trapped = c->has.vhe && c->hcr_el2 & HCR_E2H ? (c->el == 0 && hcr & HCR_TGE ? en2 != 3 : !(en2 & 1))
                                                          : c->cptr_el[2] >> bit & 1;
        if (trapped)
            return 2;
    }
    return c->has.el3 ? 3 : 0;
}

ARM_HELPER_VOID(fp_trap)
{
    ArmCpu *c = arm_cpu(v);
    uint32_t cond = c->aarch64 ? 0x1e << 20 : (uint32_t)b & 0x1f00000;
    if (c->m)
        arm_raise(c, EC_FP, 0, 0);
    if (!c->has.aarch64) {
        bool hyp = c->el <= 2 && arm_el2_enabled(c) && c->cptr_el[2] & BIT(10) && c->cpacr_el1 >> 20 & 1;
        if (hyp)
            arm_raise(c, EC_FP, cond | (a ? BIT(5) : 0xa), 2);
        arm_raise(c, EC_UNKNOWN, 0, 0);
    }
    unsigned target = vector_trap_target(c, 20, 10);
    if (target == 3 && !(c->cptr_el[3] & BIT(10)))
        target = 0;
    if (!target) /* FPEXC.EN */
        arm_raise(c, EC_UNKNOWN, 0, 0);
    arm_raise(c, EC_FP, cond, target);
}

ARM_HELPER_VOID(sve_trap)
{
    ArmCpu *c = arm_cpu(v);
    if (!c->has.sve)
        arm_raise(c, EC_UNKNOWN, 0, 0);
    arm_raise(c, EC_SVE, 0, vector_trap_target(c, 16, 8));
}

ARM_HELPER_VOID(bti_check)
{
    ArmCpu *c = arm_cpu(v);
    if (a >> c->btype & 1 || !arm_page_is_guarded(c, v->pc))
        return;
    arm_raise(c, EC_BTI, c->btype, 0);
}
