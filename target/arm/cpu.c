/* SPDX-License-Identifier: MIT */
/* Making, resetting and saving Arm CPUs; the tables that an accelerator sees. */
#include "accel/accel.h"
#include "base/log.h"
#include "target/arm/m/m.h"
#include "target/arm/models.h"
#include "target/arm/system.h"

static ArmBoardCpus board_config;

void arm_board_configure(const ArmBoardCpus *b) { board_config = *b; }

bool arm_secure_only(hwaddr pa)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(board_config.secure_only); i++)
        if (pa - board_config.secure_only[i].base < board_config.secure_only[i].size)
            return true;
    return false;
}

static ArmCpu *cpu_at(unsigned index)
{
    Vcpu *v = vcpu_get(index);
    return v && (v->arch == &arm64_guest_arch || v->arch == &arm32_guest_arch) ? arm_cpu(v) : NULL;
}

void arm_board_timer_irq(unsigned index, unsigned timer, Irq to)
{
    ArmCpu *c = cpu_at(index);
    if (c && timer < ARM_TIMER_COUNT)
        c->timer_out[timer] = to;
}

void arm_board_pmu_irq(unsigned index, Irq to)
{
    ArmCpu *c = cpu_at(index);
    if (c)
        c->pmu_out = to;
}

bool arm_board_wants_steal_time(void)
{
    const ArmCpu *c = cpu_at(0);
    return c && c->kvm_steal_time;
}

void arm_board_steal_time(uint64_t at)
{
    enum { RECORD = 64 };
    for (unsigned i = 0; i < vcpu_count() && i < ARM_STEAL_SIZE / RECORD; i++) {
        ArmCpu *c = cpu_at(i);
        if (c)
            c->steal_at = at + i * RECORD;
    }
}

/* --- reset --- */

static unsigned highest_el(const ArmCpu *c) { return c->has.el3 ? 3 : c->has.el2 ? 2 : 1; }

/* DDI 0487, AArch64.TakeReset and AArch32.TakeReset. */
static void reset_pstate(ArmCpu *c)
{
    c->aarch64 = c->has.aarch64;
    c->el = (uint8_t)highest_el(c);
    c->sp_sel = true;
    c->daif = ARM_PSTATE_D | ARM_PSTATE_A | ARM_PSTATE_I | ARM_PSTATE_F;
    c->pan = c->uao = c->dit = c->ssbs = c->tco = c->il = c->ss = false;
    c->btype = 0;
    c->t32 = c->j = false;
    c->e = c->reset_sctlr & BIT(25) && !c->has.aarch64;
    c->it = 0;
    c->mode32 = c->has.el2 && !c->has.el3 && !c->has.aarch64 ? ARM_HYP : ARM_SVC;
    if (!c->aarch64)
        c->daif &= ~ARM_PSTATE_D;
    if (c->has.r_profile && c->has.el2)
        c->el = 2, c->mode32 = ARM_HYP;
}

static void reset_registers(ArmCpu *c)
{
    Vcpu *v = &c->v;
    memset(v->g, 0, sizeof v->g);
    memset(v->v, 0, sizeof v->v);
    memset(c->pred, 0, sizeof c->pred);
    memset(c->ffr, 0, sizeof c->ffr);
    memset(c->tpidr_el, 0, sizeof c->tpidr_el);
    memset(c->sp_el, 0, sizeof c->sp_el);
    memset(c->elr_el, 0, sizeof c->elr_el);
    memset(c->spsr_el, 0, sizeof c->spsr_el);
    memset(c->r13_bank, 0, sizeof c->r13_bank);
    memset(c->r14_bank, 0, sizeof c->r14_bank);
    memset(c->spsr_bank, 0, sizeof c->spsr_bank);
    memset(c->r8_usr, 0, sizeof c->r8_usr);
    memset(c->r8_fiq, 0, sizeof c->r8_fiq);
    c->elr_hyp = 0;
    c->tpidrro_el0 = 0;
    c->excl_addr = ~UINT64_C(0);
    c->ge = c->q = c->vpr = 0;
    c->ltpsize = 4;
    c->fpscr_nzcv = 0;
    arm_set_fpsr(c, 0);
}

void arm_reset(Vcpu *v)
{
    ArmCpu *c = arm_cpu(v);
    reset_pstate(c);
    reset_registers(c);
    v->pc = c->reset_pc;
    v->call_site = 0;
    v->halted = false;
    v->powered_off = c->psci_off = c->start_off;
    c->suspended = false;
    c->event = (ArmEvent){ 0 };
    c->wfx_deadline = ~UINT64_C(0);
    c->wfx_until = INT64_MAX;
    atomic_store(&c->on_pending, false);
    c->reset_seen = true;
    c->serror_pending = false;
    atomic_store(&c->event_register, 0);
    flags_set_explicit(v, FLAG_C); /* PSTATE.C = 0 */
    arm_sysregs_reset(c);
    c->dbg_bps = c->dbg_wps = 0;
    tlb_flush_all(v);
    arm_set_fpcr(c, 0);
    if (c->m)
        arm_m_reset(c);
    arm_asid_changed(c);
    arm_update_mode(c);
}

/* --- direct boot and CPU_ON --- */

/* As firmware at the highest level would have left things for the level below (docs "Booting arm64", PSCI 1.1 6.4). */
static void enter_el(ArmCpu *c, unsigned el, bool aarch64, bool secure)
{
    if (c->has.el3 && el < 3) {
        c->scr_el3 |= BIT(4) | BIT(5) | (secure ? 0 : BIT(0)); /* RES1, NS */
        c->scr_el3 |= aarch64 ? BIT(10) : 0;                   /* RW */
        c->scr_el3 |= BIT(8);                                  /* HCE */
        if (c->has.pauth)
            c->scr_el3 |= BIT(16) | BIT(17);
        if (c->has.mte)
            c->scr_el3 |= BIT(26);
        if (c->has.sve)
            c->cptr_el[3] |= BIT(8), c->zcr_el[3] = 0xf;
        if (c->has.fgt)
            c->scr_el3 |= BIT(27);
        c->nsacr = 0xc00;
        c->mdcr_el3 &= ~(BIT(6) | BIT(9) | BIT(10)); /* TPM, TDA, TDOSA */
    }
    if (c->has.el2 && el < 2 && aarch64)
        c->hcr_el2 |= BIT(31);
    c->el = (uint8_t)el;
    c->aarch64 = aarch64;
    c->sp_sel = true;
    c->daif = ARM_PSTATE_A | ARM_PSTATE_I | ARM_PSTATE_F | (aarch64 ? ARM_PSTATE_D : 0);
    c->mode32 = el == 2 ? ARM_HYP : ARM_SVC;
}

static void start_at(ArmCpu *c, uint64_t pc)
{
    c->t32 = !c->aarch64 && pc & 1;
    c->v.pc = c->aarch64 ? pc : (uint32_t)pc & ~UINT32_C(1);
    c->v.powered_off = c->psci_off = c->v.halted = false;
    tlb_flush_all(&c->v);
    arm_asid_changed(c);
    arm_update_mode(c);
}

static void boot_direct(ArmCpu *c, const MachineBoot *b)
{
    bool a64 = b->arm_a64 && c->has.aarch64;
    unsigned el = b->arm_el ? b->arm_el : c->has.el2 ? 2 : 1;
    if (el == 2 && !c->has.el2)
        el = 1;
    if (el == 3 && !c->has.el3)
        el = c->has.el2 ? 2 : 1;
    if (b->arm_secure && c->has.el3 && !b->arm_el)
        el = 3; /* bare firmware: as reset, but at that pc */
    if (el == 3 && !a64)
        el = c->has.aarch64 ? 1 : 3;
    if (el == 3 && a64)
        c->psci_smc = false; /* the program is the firmware: its SMCs are its own */
    enter_el(c, el, a64, b->arm_secure);
    for (unsigned i = 0; i < 4; i++)
        c->v.g[i] = a64 ? b->r[i] : (uint32_t)b->r[i];
    start_at(c, b->rip);
}

static void enter_requested(ArmCpu *c)
{
    arm_reset(&c->v);
    enter_el(c, c->on_el, c->on_aarch64, c->machine_secure);
    c->v.g[0] = c->on_aarch64 ? c->on_context : (uint32_t)c->on_context;
    start_at(c, c->on_pc);
}

static void work_on(Vcpu *v, void *opaque)
{
    ArmCpu *c = arm_cpu(v);
    if (!v->powered_off)
        return;
    enter_requested(c);
    atomic_store(&c->on_pending, false);
}

void arm_cpu_suspend(ArmCpu *c, uint64_t pc, uint64_t context)
{
    c->on_pc = pc;
    c->on_context = context;
    c->on_el = c->el;
    c->on_aarch64 = c->aarch64;
    c->suspended = true;
}

/* The timers are always on, as the machine's description says: one of them may be what wakes. */
void arm_cpu_resume(ArmCpu *c)
{
    uint64_t cval[ARM_TIMER_COUNT], ctl[ARM_TIMER_COUNT], offset = c->cntvoff_el2;
    memcpy(cval, c->timer_cval, sizeof cval);
    memcpy(ctl, c->timer_ctl, sizeof ctl);
    enter_requested(c);
    memcpy(c->timer_cval, cval, sizeof cval);
    memcpy(c->timer_ctl, ctl, sizeof ctl);
    c->cntvoff_el2 = offset;
    arm_timers_update(c);
}

void arm_cpu_on(ArmCpu *c, uint64_t pc, uint64_t context, unsigned el, bool aarch64)
{
    c->on_pc = pc;
    c->on_context = context;
    c->on_el = (uint8_t)el;
    c->on_aarch64 = aarch64;
    vcpu_run_on(&c->v, work_on, NULL);
}

void arm_board_cpu_on(unsigned index, uint64_t pc, uint64_t context)
{
    ArmCpu *c = cpu_at(index);
    if (!c)
        return;
    const MachineBoot *b = &c->v.machine->boot;
    bool a64 = c->has.aarch64 && (b->mode != BOOT_ARM || b->arm_a64);
    unsigned el = b->mode == BOOT_ARM && b->arm_el ? b->arm_el : c->has.el2 ? 2 : 1;
    arm_cpu_on(c, pc, context, MIN(el, highest_el(c)), a64);
}

static void work_m_on(Vcpu *v, void *opaque)
{
    ArmCpu *c = arm_cpu(v);
    if (!v->powered_off)
        return;
    arm_reset(v);
    arm_m_set_vtor(c, (uint32_t)c->on_pc);
    arm_m_start(c);
    v->powered_off = c->psci_off = v->halted = false;
}

void arm_board_m_cpu_on(unsigned index, uint32_t vtor)
{
    ArmCpu *c = cpu_at(index);
    if (!c || !c->m)
        return;
    c->on_pc = vtor;
    vcpu_run_on(&c->v, work_m_on, NULL);
}

void arm_cpu_off(ArmCpu *c)
{
    c->v.powered_off = c->psci_off = true;
    c->v.halted = true;
}

/* --- state --- */

static const StateField flags_state[] = { STATE_U64(LazyFlags, dst),      STATE_U64(LazyFlags, src),
                                          STATE_U64(LazyFlags, src2),     STATE_U16(LazyFlags, op),
                                          STATE_U16(LazyFlags, rest_op),  STATE_U16(LazyFlags, nz_op),
                                          STATE_U16(LazyFlags, carry_op), STATE_U64(LazyFlags, rest_dst),
                                          STATE_U64(LazyFlags, rest_src), STATE_U64(LazyFlags, nz_dst),
                                          STATE_U64(LazyFlags, carry),    STATE_END_OF_TABLE };
static const StateField vec_state[] = { STATE_BYTES(VecReg, u8), STATE_END_OF_TABLE };

#define U64(f) STATE_U64(ArmCpu, f)
#define U64S(f) STATE_U64_ARRAY(ArmCpu, f)
#define U32(f) STATE_U32(ArmCpu, f)
#define U8(f) STATE_U8(ArmCpu, f)
#define BOOL(f) STATE_BOOL(ArmCpu, f)
static const StateField cpu_state[] = { U64S(v.g),
                                        U64(v.pc),
                                        STATE_STRUCT(ArmCpu, v.fl, flags_state),
                                        U32(v.fp_control),
                                        STATE_STRUCT_ARRAY(ArmCpu, v.v, vec_state),
                                        U32(v.lines),
                                        BOOL(v.halted),
                                        BOOL(v.powered_off),
                                        U64(excl_addr),
                                        U64S(excl_value),
                                        U32(excl_size),
                                        U32(fpcr),
                                        U32(v.fp_more),
                                        U32(fpscr_nzcv),
                                        U32(ge),
                                        U32(q),
                                        U32(vpr),
                                        U64S(tpidr_el),
                                        U64(tpidrro_el0),
                                        U64S(sp_el),
                                        U64S(elr_el),
                                        U64S(spsr_el),
                                        U64S(ffr),
                                        STATE_BYTES(ArmCpu, pred),
                                        BOOL(aarch64),
                                        U8(el),
                                        BOOL(sp_sel),
                                        U32(daif),
                                        BOOL(pan),
                                        BOOL(uao),
                                        BOOL(dit),
                                        BOOL(ssbs),
                                        BOOL(tco),
                                        BOOL(il),
                                        BOOL(ss),
                                        U8(btype),
                                        BOOL(t32),
                                        BOOL(e),
                                        BOOL(j),
                                        U8(it),
                                        U8(mode32),
                                        U8(ltpsize),
                                        STATE_U32_ARRAY(ArmCpu, r13_bank),
                                        STATE_U32_ARRAY(ArmCpu, r14_bank),
                                        STATE_U32_ARRAY(ArmCpu, spsr_bank),
                                        STATE_U32_ARRAY(ArmCpu, r8_usr),
                                        STATE_U32_ARRAY(ArmCpu, r8_fiq),
                                        U32(elr_hyp),
                                        U8(event_register),
                                        U64(wfx_deadline),
                                        U8(wfx_kind),
                                        BOOL(psci_off),
                                        U64(on_pc),
                                        U64(on_context),
                                        U8(on_el),
                                        BOOL(on_aarch64),
                                        BOOL(machine_secure),
                                        BOOL(suspended),
                                        U64S(sctlr_el),
                                        U64S(actlr_el),
                                        U64(cpacr_el1),
                                        U64S(cptr_el),
                                        U64S(ttbr0_el),
                                        U64S(ttbr1_el),
                                        U64S(tcr_el),
                                        U64S(esr_el),
                                        U64S(far_el),
                                        U64S(afsr0_el),
                                        U64S(afsr1_el),
                                        U64(par_el1),
                                        U64(par_s),
                                        U64S(mair_el),
                                        U64S(amair_el),
                                        U64S(vbar_el),
                                        U64S(contextidr_el),
                                        U64(ifsr32_el2),
                                        U64(ifsr_s),
                                        U64(dacr32_el2),
                                        U64(dacr_s),
                                        U64(fpexc32_el2),
                                        U64(sder32_el3),
                                        U64(teecr32),
                                        U64(teehbr32),
                                        U64S(fcseidr),
                                        U64S(tpidr_s),
                                        U64(hcr_el2),
                                        U64(hcrx_el2),
                                        U64(scr_el3),
                                        U64(nsacr),
                                        U64(mvbar),
                                        U64(vttbr_el2),
                                        U64(vtcr_el2),
                                        U64(hpfar_el2),
                                        U64(hstr_el2),
                                        U64(vpidr_el2),
                                        U64(vmpidr_el2),
                                        U64(mdcr_el2),
                                        U64(mdcr_el3),
                                        U64(vstcr_el2),
                                        U64(vsttbr_el2),
                                        U64(hacr_el2),
                                        U64(vdisr_el2),
                                        U64(vsesr_el2),
                                        U64(disr_el1),
                                        U64(hfgrtr_el2),
                                        U64(hfgwtr_el2),
                                        U64(hfgitr_el2),
                                        U64(hdfgrtr_el2),
                                        U64(hdfgwtr_el2),
                                        U64(csselr_el1),
                                        U64(csselr_s),
                                        U64(rgsr_el1),
                                        U64(gcr_el1),
                                        U64S(tfsr_el),
                                        U64(tfsre0_el1),
                                        U64S(zcr_el),
                                        U64S(scxtnum_el),
                                        U64(lorc_el1),
                                        U64S(lor_regs),
                                        STATE_BYTES(ArmCpu, ap_keys),
                                        U64(mdscr_el1),
                                        U64S(dbgbvr),
                                        U64S(dbgbcr),
                                        U64S(dbgwvr),
                                        U64S(dbgwcr),
                                        U64(osdlr_el1),
                                        U64(oslsr_el1),
                                        U64(dbgclaim),
                                        U64(dbgdtr),
                                        U64(oseccr_el1),
                                        U64(mdccint_el1),
                                        U64(dbgvcr32_el2),
                                        U64(cntkctl_el1),
                                        U64(cnthctl_el2),
                                        U64(cntvoff_el2),
                                        U64(cntfrq_el0),
                                        U64S(timer_cval),
                                        U64S(timer_ctl),
                                        U64(pmcr_el0),
                                        U64(pmcnten),
                                        U64(pmovs),
                                        U64(pmselr_el0),
                                        U64(pmuserenr_el0),
                                        U64(pminten),
                                        U64(pmccntr),
                                        U64(pmccfiltr_el0),
                                        U64S(pmevcntr),
                                        U64S(pmevtyper),
                                        U64(pmsa_rnr),
                                        U64S(pmsa_drbar),
                                        U64S(pmsa_drsr),
                                        U64S(pmsa_dracr),
                                        U64S(prselr_el),
                                        STATE_BYTES(ArmCpu, prbar_el),
                                        STATE_BYTES(ArmCpu, prlar_el),
                                        U64S(impdef),
                                        STATE_END_OF_TABLE };

static bool valid_mode32(unsigned m)
{
    return m >= ARM_USR &&
           (m <= ARM_SVC || m == ARM_MON || m == ARM_ABT || m == ARM_HYP || m == ARM_UND || m == ARM_SYS);
}

static bool flag_op_ok(uint16_t op) { return (op >> 2 & ~FLAGS_NOTC) < FLAG_OP_COUNT; }

/* Loaded values are untrusted: bring them into the ranges that the rest of the code takes for granted. */
static bool check_loaded(ArmCpu *c, Error **errp)
{
    bool ok = c->el <= highest_el(c) && c->btype <= 3 && (!c->aarch64 || c->has.aarch64) && !(c->daif & ~0x3c0u);
    ok = ok && (c->aarch64 || c->has.m_profile || valid_mode32(c->mode32)) && c->on_el <= 3;
    ok = ok && flag_op_ok(c->v.fl.op) && flag_op_ok(c->v.fl.rest_op) && flag_op_ok(c->v.fl.nz_op) &&
         !(c->v.fp_control & ~0xffffu);
    ok = ok && c->excl_size <= 16 && c->wfx_kind <= 3;
    if (!ok)
        error_setf(errp, "CPU %u: the saved state is not one that this CPU can be in", c->v.index);
    return ok;
}

static void part_reset(void *opaque, ResetPhase phase)
{
    ArmCpu *c = opaque;
    if (phase == RESET_ENTER) {
        arm_reset(&c->v);
        c->v.lines = 0;
        c->v.irq_pending = 0;
    } else if (phase == RESET_EXIT) {
        const MachineBoot *b = &c->v.machine->boot;
        if (c->m)
            arm_m_start(c);
        else if (b->mode == BOOT_ARM && !c->v.powered_off)
            boot_direct(c, b);
        arm_timers_update(c);
    }
}

static char *section_name(const ArmCpu *c) { return g_strdup_printf("cpu.%u", c->v.index); }

static void part_save(void *opaque, StateWriter *w)
{
    ArmCpu *c = opaque;
    g_autofree char *name = section_name(c);
    state_save_section(w, name, cpu_state, c);
    if (c->m) {
        g_autofree char *m_name = g_strdup_printf("cpu.%u.m", c->v.index);
        state_save_section(w, m_name, arm_m_state, c->m);
    }
}

static bool part_load(void *opaque, StateReader *r, Error **errp)
{
    ArmCpu *c = opaque;
    g_autofree char *name = section_name(c);
    if (!state_load_section(r, name, cpu_state, c, errp) || !check_loaded(c, errp))
        return false;
    if (c->m) {
        g_autofree char *m_name = g_strdup_printf("cpu.%u.m", c->v.index);
        if (!state_load_section(r, m_name, arm_m_state, c->m, errp) || !arm_m_loaded(c, errp))
            return false;
    }
    c->v.irq_pending = c->v.lines != 0;
    c->v.call_site = 0;
    c->event.kind = ARM_EVENT_NONE;
    arm_set_fpcr(c, c->fpcr);
    tlb_flush_all(&c->v);
    arm_asid_changed(c);
    c->wfx_until = 0; /* a halted CPU looks for itself */
    arm_debug_changed(c);
    return true;
}

/*
 * A timer may have been due when the machine stood, its line not yet raised: the interrupt controller, loaded, has to
 * see it now.
 */
static void part_loaded(void *opaque) { arm_timers_update(opaque); }

static const MachinePart cpu_part = {
    .name = "cpu", .reset = part_reset, .save = part_save, .load = part_load, .loaded = part_loaded
};

/* --- the families --- */

static void free_cpu(ArmCpu *c)
{
    if (c->m)
        arm_m_free(c);
    arm_timers_free(c);
    vcpu_memory_free(c, sizeof(ArmCpu));
}

static bool create(Machine *m, unsigned index, uint32_t arch_id, const char *model, Error **errp)
{
    ArmCpu *c = vcpu_memory_new(sizeof(ArmCpu));
    Vcpu *v = &c->v;
    v->port = (CpuPort){ .index = index, .arch_id = arch_id, .bsp = index == 0 };
    if (!arm_model_apply(c, model, &board_config, arch_id, errp) ||
        !vcpu_init(v, c->has.aarch64 ? &arm64_guest_arch : &arm32_guest_arch, m, index, errp)) {
        vcpu_memory_free(c, sizeof(ArmCpu));
        return false;
    }
    c->start_off = board_config.secondaries_off && index != 0;
    arm_timers_init(c);
    cpu_port_add(&v->port);
    if (c->has.m_profile)
        arm_m_create(c, &board_config);
    machine_part_add(&cpu_part, c);
    if (index == 0 && c->has.mte2)
        machine_part_add(&arm_mte_part, NULL);
    arm_reset(v);
    if (accel_current())
        vcpu_start_thread(v); /* it stands still until the machine runs */
    return true;
}

static void destroy_all(Machine *m)
{
    vcpus_stop_threads();
    for (unsigned i = vcpu_count(); i-- > 0;) {
        ArmCpu *c = cpu_at(i);
        if (!c)
            continue;
        vcpu_destroy(&c->v);
        free_cpu(c);
    }
    board_config = (ArmBoardCpus){ 0 };
}

static unsigned phys_bits(Machine *m)
{
    ArmCpu *c = cpu_at(0);
    return c ? arm_phys_bits(c) : 40;
}

static const CpuFamily arm64_family = { .arch = "aarch64",
                                        .create = create,
                                        .destroy_all = destroy_all,
                                        .print_help = arm_models_print_help,
                                        .phys_bits = phys_bits };
static const CpuFamily arm32_family = { .arch = "arm",
                                        .create = create,
                                        .destroy_all = destroy_all,
                                        .print_help = arm_models_print_help,
                                        .phys_bits = phys_bits };
CPU_FAMILY_REGISTER(arm64_family)
CPU_FAMILY_REGISTER(arm32_family)

/* --- GuestArch --- */

static uint64_t code_address(const Vcpu *v, unsigned *bank)
{
    *bank = arm_mode_bank(v->mode);
    return v->pc;
}

static MemAttrs attrs(const Vcpu *v)
{
    if (v->mode & ARM_MODE_M)
        return arm_m_attrs(v);
    return (MemAttrs){ .cpu = v->index & 0xffff,
                       .secure = !!(v->mode & ARM_MODE_SECURE),
                       .user = arm_mode_el(v->mode) == 0 };
}

static int8_t preferred_home(const char *host, unsigned g) { return -1; }
/* A- and R-profile front ends test for 0 themselves: the quotient is 0. */
static void divide_error(Vcpu *v)
{
    if (arm_cpu(v)->m)
        arm_m_divide_error(v);
}

static const uint8_t home_order64[] = { ARM_SP, 0, 1, 2, 19, 3, 20, 4, 21, 22, 5, 29, 30, 23, 24, 6, 0xff };
static const uint8_t home_order32[] = { ARM_R13, 0, 1, 2, 3, 4, 5, 6, 7, 12, ARM_R14, 8, 9, 10, 11, 0xff };

static void set_pc(Vcpu *v, uint64_t pc)
{
    ArmCpu *c = arm_cpu(v);
    if (c->aarch64) {
        v->pc = pc;
        return;
    }
    v->pc = pc & ~UINT64_C(1);
    c->t32 = c->m || pc & 1;
    c->it = 0;
    arm_update_mode(c);
}

#define ARCH_COMMON \
    .banks = ARM_BANK_COUNT, .own_banks = 1 << ARM_BANK_EL0, \
    .preferred_home = preferred_home, .translate = arm_translate, .code_address = code_address, .walk = arm_walk, \
    .bus_error = arm_bus_error, .misaligned = arm_misaligned, .divide_error = divide_error, .deliver = arm_deliver, \
    .poll = arm_poll, \
    .has_work = arm_has_work, .reset = arm_reset, .attrs = attrs, .print_regs = arm_print_regs, \
    .disassemble = arm_disassemble, .gdb = arm_gdb, \
    .set_pc = set_pc, \
    .state = cpu_state

/* Arguments and temporaries of the procedure call standard first; 32 is the first temporary of an instruction. */
static const uint8_t vec_order64[] = { 0,  1,  2,  3,  4,  5,  6,  7,  32, 16, 17, 18, 19, 20,  21,
                                       22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 8,  9,  10, 0xff };
static const uint8_t vec_order32[] = { 32, 0, 1, 2, 3, 8, 9, 10, 11, 33, 34, 4, 5, 6, 7, 12, 13, 14, 15, 35, 0xff };
const GuestArch arm64_guest_arch = {
    .name = "aarch64", .gregs = 32, .home_order = home_order64, .vec_home_order = vec_order64, ARCH_COMMON
};
const GuestArch arm32_guest_arch = {
    .name = "arm", .gregs = 16, .home_order = home_order32, .vec_home_order = vec_order32, ARCH_COMMON
};
