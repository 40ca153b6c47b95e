/* SPDX-License-Identifier: MIT */
/* System registers: the tables, look-up, and what MRS, MSR, MRC, MCR, SYS do. */
#include <sys/random.h>
#include "base/log.h"
#include "target/arm/sysregs.h"

enum { X = 4 };
#define K(op0, op1, crn, crm, op2) ARM_SYS_KEY(op0, op1, crn, crm, op2)
#define C(cp, op1, crn, crm, op2) ARM_CP_KEY(cp, op1, crn, crm, op2, 0)
#define C64(cp, op1, crm) ARM_CP_KEY(cp, op1, 0, crm, 0, 1)
#define NO -1
#define N(f) (int16_t)offsetof(ArmFeatures, f)
#define NEVER -2
#define OFF(f) offsetof(ArmCpu, f)
#define NOF .offset = 0, .size = 8
#define ZERO .read = rd_zero, .size = 8
#define F8(f) .offset = OFF(f), .size = 8
#define F4(f) .offset = OFF(f), .size = 4
#define H4(f) .offset = OFF(f) + 4, .size = 4
#define B4(f) .offset = OFF(f[1]), .alt = OFF(f[3]), .size = 4
#define BH(f) .offset = OFF(f[1]) + 4, .alt = OFF(f[3]) + 4, .size = 4
#define B8(f) .offset = OFF(f[1]), .alt = OFF(f[3]), .size = 8
#define S4(f, s) .offset = OFF(f), .alt = OFF(s), .size = 4
#define S8(f, s) .offset = OFF(f), .alt = OFF(s), .size = 8
#define TIMER(n) .offset = OFF(timer_cval[n]), .size = 8
#define TIMER32(n) .offset = OFF(timer_cval[n]), .size = 8
/* The hook of ZERO stands in the field part; NULL after it would undo it. */
#define ROW(name_, key_, rd_, wr_, trap_, need_, field_, flags_, read_, write_) \
    { .name = name_, .key = key_, .rd = rd_, .wr = wr_, .trap = trap_, .need = need_, .flags = flags_, .read = read_, \
        .write = write_, field_ },

/* --- hooks --- */
#define READ(name) static uint64_t name(ArmCpu *c, const ArmSysreg *r)
#define WRITE(name) static void name(ArmCpu *c, const ArmSysreg *r, uint64_t value)

READ(rd_zero) { return 0; }
WRITE(wr_nothing) {}

static void store(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    uint64_t *f = arm_sysreg_field(c, r);
    if (!f)
        return;
    if (r->size == 4)
        *(uint32_t *)f = (uint32_t)value;
    else
        *f = value;
}

static uint64_t load(ArmCpu *c, const ArmSysreg *r)
{
    uint64_t *f = arm_sysreg_field(c, r);
    return !f ? 0 : r->size == 4 ? *(uint32_t *)f : *f;
}

READ(rd_midr) { return c->el == 1 && arm_el2_enabled(c) ? c->vpidr_el2 : c->midr; }
READ(rd_mpidr) { return c->el == 1 && arm_el2_enabled(c) ? c->vmpidr_el2 : c->mpidr; }
static bool has_gic_regs(const ArmCpu *c) { return c->v.port.intc_ops && c->v.port.intc_ops->sysreg_read; }
READ(rd_aa64pfr0) { return c->id_aa64pfr0 | (has_gic_regs(c) ? BIT(24) : 0); }
READ(rd_pfr1) { return c->id_pfr1 | (has_gic_regs(c) ? BIT(28) : 0); }
READ(rd_ccsidr)
{
    uint64_t sel = arm_bank32(c) == 3 ? c->csselr_s : c->csselr_el1;
    return c->ccsidr[sel & 15];
}
WRITE(wr_csselr) { store(c, r, value & 15); }
READ(rd_gmid) { return 6; } /* blocks of 256 bytes: LDGM, STGM */
READ(rd_dczid)
{
    bool off = (c->el == 0 && !(arm_sctlr(c) & SCTLR_DZE)) || (c->el < 2 && arm_hcr(c) & HCR_TDZ);
    return c->dczid | (off ? 16 : 0);
}

/* What cached translations depend on. */
#define SCTLR_TLB                                                                                                      \
    (SCTLR_M | SCTLR_EE | SCTLR_WXN | SCTLR_UWXN | SCTLR_TRE | SCTLR_AFE | SCTLR_BR | SCTLR_EPAN | SCTLR_XP | BIT(8) | \
     BIT(9))

WRITE(wr_sctlr)
{
    uint64_t old = load(c, r);
    if (!c->has.aarch64)
        value = c->has.v7 ? value | 0x00c50878u : value;
    if (c->has.pmsa && !c->has.v8)
        value &= ~SCTLR_XP;
    store(c, r, value);
    if ((old ^ value) & SCTLR_TLB)
        tlb_flush_all(&c->v);
    arm_update_mode(c);
}
WRITE(wr_cpacr32)
{
    if (c->has.el3 && !c->has.aarch64 && !arm_secure(c) && !(c->nsacr & BIT(10)))
        value = (value & ~UINT64_C(0x00f00000)) | (c->cpacr_el1 & 0x00f00000);
    c->cpacr_el1 = value & 0xf0f00000;
}
WRITE(wr_zcr)
{
    store(c, r, value & 15);
    arm_sve_narrow(c);
    arm_update_mode(c);
}
WRITE(wr_flush)
{
    uint64_t old = load(c, r);
    store(c, r, value);
    if (old != (r->size == 4 ? (uint32_t)value : value))
        tlb_flush_all(&c->v);
}
WRITE(wr_ttbr)
{
    store(c, r, value);
    arm_asid_changed(c);
}
WRITE(wr_ttbr32)
{
    bool lpae = c->has.lpae32 && c->tcr_el[arm_bank32(c)] & BIT(31);
    uint64_t *f = arm_sysreg_field(c, r);
    *f = lpae ? (*f & ~UINT64_C(0xffffffff)) | (uint32_t)value : (uint32_t)value;
    arm_asid_changed(c);
}
WRITE(wr_tcr)
{
    uint64_t old = load(c, r);
    if (r->size == 4 && !c->has.lpae32)
        value &= c->has.el3 ? 0x37 : 7;
    store(c, r, value);
    if (old != load(c, r))
        tlb_flush_all(&c->v);
    arm_asid_changed(c);
}
WRITE(wr_contextidr)
{
    store(c, r, value);
    arm_asid_changed(c);
    if (c->dbg_context)
        arm_update_mode(c);
}
WRITE(wr_fcseidr)
{
    wr_flush(c, r, value & 0xfe000000);
}

static void set_hcr(ArmCpu *c, uint64_t value)
{
    uint64_t old = c->hcr_el2;
    if (!c->has.vhe)
        value &= ~HCR_E2H;
    if (!c->has.aarch32_el1)
        value |= HCR_RW;
    c->hcr_el2 = value;
    if ((old ^ value) & (HCR_DC | HCR_PTW | HCR_E2H))
        tlb_flush_all(&c->v);
    arm_asid_changed(c);
    arm_poll_after_return(c);
}
WRITE(wr_hcr) { set_hcr(c, r->size == 4 ? (c->hcr_el2 & ~UINT64_C(0xffffffff)) | (uint32_t)value : value); }
WRITE(wr_hcr2) { set_hcr(c, (uint32_t)c->hcr_el2 | value << 32); }

WRITE(wr_scr)
{
    if (c->has.aarch64)
        value |= BIT(4) | BIT(5) | (c->has.aarch32_el1 || c->has.aarch32_el0 ? 0 : SCR_RW);
    if (!c->has.secure_el2)
        value &= ~SCR_EEL2;
    c->scr_el3 = r->size == 4 ? value & 0x3fff : value;
    arm_asid_changed(c);
    arm_poll_after_return(c);
}
/* EL1's is AArch32's VBAR too, with vectors of 32 bytes: a hypervisor saves and restores it by the AArch64 name. */
WRITE(wr_vbar)
{
    bool fine = r->size == 4 || (r->offset == OFF(vbar_el[1]) && c->has.aarch32_el1);
    store(c, r, value & (fine ? ~UINT64_C(31) : ~UINT64_C(0x7ff)));
}
READ(rd_rvbar)
{
    unsigned highest = c->has.el3 ? 3 : c->has.el2 ? 2 : 1;
    unsigned el = r->rd;
    if (el != highest)
        arm_raise(c, EC_UNKNOWN, 0, 0);
    return c->reset_pc;
}
READ(rd_rmr) { return 1; }
WRITE(wr_rmr)
{
    if (value & 2)
        machine_request_reset(CAUSE_GUEST_RESET);
}

/* ISR: what is pending as this level would see it. */
READ(rd_isr)
{
    const Vcpu *v = &c->v;
    uint64_t hcr = c->el == 1 ? arm_hcr(c) : 0, isr = 0;
    bool vi = hcr & HCR_IMO, vf = hcr & HCR_FMO, va = hcr & HCR_AMO;
    if (vi ? vcpu_line(v, CPU_LINE_VIRQ) || hcr & HCR_VI : vcpu_line(v, CPU_LINE_INTR))
        isr |= ARM_PSTATE_I;
    if (vf ? vcpu_line(v, CPU_LINE_VFIQ) || hcr & HCR_VF : vcpu_line(v, CPU_LINE_NMI))
        isr |= ARM_PSTATE_F;
    return isr | (va && hcr & HCR_VSE ? ARM_PSTATE_A : 0);
}

READ(rd_spsel) { return c->sp_sel; }
WRITE(wr_spsel) { arm_select_sp(c, c->el, value & 1); }
READ(rd_currentel) { return (uint64_t)c->el << 2; }
READ(rd_pan) { return c->pan ? BIT(22) : 0; }
WRITE(wr_pan) { c->pan = value >> 22 & 1; }
READ(rd_uao) { return c->uao ? BIT(23) : 0; }
WRITE(wr_uao) { c->uao = value >> 23 & 1; }
READ(rd_nzcv) { return arm_get_nzcv(c); }
WRITE(wr_nzcv) { arm_set_nzcv(c, (uint32_t)value); }
WRITE(wr_daif)
{
    c->daif = value & 0x3c0;
    arm_poll_after_return(c);
}
READ(rd_dit) { return c->dit ? BIT(24) : 0; }
WRITE(wr_dit) { c->dit = value >> 24 & 1; }
READ(rd_ssbs) { return c->ssbs ? BIT(12) : 0; }
WRITE(wr_ssbs) { c->ssbs = value >> 12 & 1; }
READ(rd_tco) { return c->tco ? BIT(25) : 0; }
WRITE(wr_tco) { c->tco = value >> 25 & 1; }
READ(rd_fpcr) { return arm_get_fpcr(c); }
WRITE(wr_fpcr) { arm_set_fpcr(c, (uint32_t)value); }
READ(rd_fpsr) { return arm_get_fpsr(c); }
WRITE(wr_fpsr) { arm_set_fpsr(c, (uint32_t)value); }
WRITE(wr_fpexc) { c->fpexc32_el2 = value & BIT(30); }

/* FEAT_RNG: NZCV = 0000 on success. */
READ(rd_rndr)
{
    uint64_t n;
    bool ok = getrandom(&n, sizeof n, 0) == sizeof n;
    arm_set_nzcv(c, ok ? 0 : 1u << 30);
    return ok ? n : 0;
}
WRITE(wr_cntfrq)
{
    c->cntfrq_el0 = (uint32_t)value;
}
READ(rd_cval) { return c->timer_cval[(r->offset - OFF(timer_cval)) / 8]; }
WRITE(wr_pmselr) { c->pmselr_el0 = value & 31; }
WRITE(wr_pmuserenr) { c->pmuserenr_el0 = value & 15; }
READ(rd_l2ctlr) { return (uint64_t)(MIN(vcpu_count(), 4u) - 1) << 24; }
READ(rd_all_clean) { return 0x40000000; } /* Z for the loop that asks */
READ(rd_dbgprsr) { return 1 | (c->oslsr_el1 & 1 ? 0 : 1 << 5); }
WRITE(wr_dsb) { tlb_broadcast_wait(&c->v); }
WRITE(wr_wfi) { arm_help_wfi(&c->v, 0, 0, 4); }

/* --- PMSA --- */
READ(rd_pmsa7)
{
    unsigned n = c->pmsa_rnr & 31, op = r->key & 7;
    return op == 0 ? c->pmsa_drbar[n] : op == 2 ? c->pmsa_drsr[n] : c->pmsa_dracr[n];
}
WRITE(wr_pmsa7)
{
    unsigned n = c->pmsa_rnr & 31, op = r->key & 7;
    *(op == 0 ? &c->pmsa_drbar[n] : op == 2 ? &c->pmsa_drsr[n] : &c->pmsa_dracr[n]) = value;
    tlb_flush_all(&c->v);
}
WRITE(wr_rnr)
{
    if (value < c->model->mpu_regions)
        store(c, r, value);
}
static uint64_t *pmsa8(ArmCpu *c, const ArmSysreg *r)
{
    unsigned el = r->rd == 2 ? 2 : 1, n = c->prselr_el[el] & 31;
    return r->key & 1 ? &c->prlar_el[el][n] : &c->prbar_el[el][n];
}
READ(rd_pmsa8) { return *pmsa8(c, r); }
WRITE(wr_pmsa8)
{
    *pmsa8(c, r) = value;
    tlb_flush_all(&c->v);
}

/* HPRENR: the enable bits of EL2's regions. */
READ(rd_hprenr)
{
    uint64_t bits = 0;
    for (unsigned n = 0; n < MIN(c->model->mpu_regions, 32u); n++)
        bits |= (c->prlar_el[2][n] & 1) << n;
    return bits;
}
WRITE(wr_hprenr)
{
    for (unsigned n = 0; n < MIN(c->model->mpu_regions, 32u); n++)
        c->prlar_el[2][n] = bits_set(c->prlar_el[2][n], 0, 1, value >> n & 1);
    tlb_flush_all(&c->v);
}
WRITE(wr_prn) { wr_flush(c, r, (uint32_t)value); }

/* --- the tables --- */


#define PMU_ROWS(n) \
    ROW("PMEVCNTR" #n "_EL0", K(3, 3, 14, 8, n), 0, 0, T_PMU_EVT, N(pmuv3), F8(pmevcntr[n]), 0, arm_rd_pmevcntr, \
        arm_wr_pmevcntr) \
    ROW("PMEVTYPER" #n "_EL0", K(3, 3, 14, 12, n), 0, 0, T_PMU, N(pmuv3), F8(pmevtyper[n]), 0, arm_rd_pmevtyper, \
        arm_wr_pmevtyper)
#define DBG_ROWS(n) \
    ROW("DBGBVR" #n "_EL1", K(2, 0, 0, n, 4), 1, 1, T_DBG, NO, F8(dbgbvr[n]), F_LOOKUP, NULL, arm_wr_bvr) \
    ROW("DBGBCR" #n "_EL1", K(2, 0, 0, n, 5), 1, 1, T_DBG, NO, F8(dbgbcr[n]), F_LOOKUP, NULL, arm_wr_bvr) \
    ROW("DBGWVR" #n "_EL1", K(2, 0, 0, n, 6), 1, 1, T_DBG, NO, F8(dbgwvr[n]), F_LOOKUP, NULL, arm_wr_bvr) \
    ROW("DBGWCR" #n "_EL1", K(2, 0, 0, n, 7), 1, 1, T_DBG, NO, F8(dbgwcr[n]), F_LOOKUP, NULL, arm_wr_bvr)
#define PMU_ROWS32(n) \
    ROW("PMEVCNTR" #n, C(15, 0, 14, 8, n), 0, 0, T_PMU_EVT, N(pmuv3), F4(pmevcntr[n]), 0, arm_rd_pmevcntr, \
        arm_wr_pmevcntr) \
    ROW("PMEVTYPER" #n, C(15, 0, 14, 12, n), 0, 0, T_PMU, N(pmuv3), F4(pmevtyper[n]), 0, arm_rd_pmevtyper, \
        arm_wr_pmevtyper)
#define DBG_ROWS32(n) \
    ROW("DBGBVR" #n, C(14, 0, 0, n, 4), 1, 1, T_DBG, N(v6), F4(dbgbvr[n]), F_LOOKUP, NULL, arm_wr_bvr) \
    ROW("DBGBCR" #n, C(14, 0, 0, n, 5), 1, 1, T_DBG, N(v6), F4(dbgbcr[n]), F_LOOKUP, NULL, arm_wr_bvr) \
    ROW("DBGWVR" #n, C(14, 0, 0, n, 6), 1, 1, T_DBG, N(v6), F4(dbgwvr[n]), F_LOOKUP, NULL, arm_wr_bvr) \
    ROW("DBGWCR" #n, C(14, 0, 0, n, 7), 1, 1, T_DBG, N(v6), F4(dbgwcr[n]), F_LOOKUP, NULL, arm_wr_bvr) \
    ROW("DBGBXVR" #n, C(14, 0, 1, n, 1), 1, 1, T_DBG, N(v7ve), H4(dbgbvr[n]), F_LOOKUP, NULL, arm_wr_bvr)

/* The regions by number (DDI 0568, E2.2): 0 to 15 of each level. */
#define PMSA_ROWS(n) \
    ROW("PRBAR" #n, C(15, 0, 6, 8 + (n) / 2, (n) % 2 * 4), 1, 1, T_HSTR, N(pmsa), F8(prbar_el[1][n]), 0, NULL, wr_prn) \
    ROW("PRLAR" #n, C(15, 0, 6, 8 + (n) / 2, (n) % 2 * 4 + 1), 1, 1, T_HSTR, N(pmsa), F8(prlar_el[1][n]), 0, NULL, \
        wr_prn) \
    ROW("HPRBAR" #n, C(15, 4, 6, 8 + (n) / 2, (n) % 2 * 4), 2, 2, T_NONE, N(pmsa), F8(prbar_el[2][n]), 0, NULL, \
        wr_prn) \
    ROW("HPRLAR" #n, C(15, 4, 6, 8 + (n) / 2, (n) % 2 * 4 + 1), 2, 2, T_NONE, N(pmsa), F8(prlar_el[2][n]), 0, NULL, \
        wr_prn)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* ZERO's hook follows the row's NULL */
static const ArmSysreg rows[] = {
#include "target/arm/sysregs.def"
#include "target/arm/sysregs32.def"
};
#pragma GCC diagnostic pop

enum { HASH = 2048 };
static uint16_t hash_table[HASH]; /* row + 1 */

static unsigned hash_of(uint32_t key) { return (key * 0x9e3779b1u) >> 21; }

static void __attribute__((constructor)) build_hash(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned h = hash_of(rows[i].key);
        while (hash_table[h])
            h = (h + 1) % HASH;
        hash_table[h] = (uint16_t)(i + 1);
    }
}

const ArmSysreg *arm_sysreg_rows(unsigned *count)
{
    *count = ARRAY_LEN(rows);
    return rows;
}

const ArmSysreg *arm_sysreg_find(uint32_t key)
{
    for (unsigned h = hash_of(key); hash_table[h]; h = (h + 1) % HASH)
        if (rows[hash_table[h] - 1].key == key)
            return &rows[hash_table[h] - 1];
    return NULL;
}

uint64_t *arm_sysreg_field(ArmCpu *c, const ArmSysreg *r)
{
    if (!r->offset)
        return NULL;
    uint32_t at = r->alt && arm_bank32(c) == 3 ? r->alt : r->offset;
    return (uint64_t *)((char *)c + at);
}

/* --- spaces that are ruled as a whole --- */

static const ArmSysreg raz_id = {
    .name = "reserved ID register", .rd = 1, .wr = 4, .trap = T_TID3, .need = NO, .size = 8, .read = rd_zero
};
static const ArmSysreg old_c7 = {
    .name = "cache operation", .rd = 4, .wr = 1, .trap = T_NONE, .need = NO, .size = 8, .flags = F_NOP
};
static const ArmSysreg old_dscr = {
    .name = "DSCR", .rd = 0, .wr = 1, .trap = T_DBG, .need = NO, .flags = F_LOOKUP, F4(mdscr_el1), .write = arm_wr_mdscr
};
static const ArmSysreg old_c15 = {
    .name = "c15", .rd = 1, .wr = 1, .trap = T_NONE, .need = NO, .size = 8, .flags = F_NOP, .read = rd_zero
};

static uint32_t k_op0(uint32_t k) { return k >> 14 & 3; }
static uint32_t k_op1(uint32_t k) { return k >> 11 & 7; }
static uint32_t k_crn(uint32_t k) { return k >> 7 & 15; }
static uint32_t k_crm(uint32_t k) { return k >> 3 & 15; }
static uint32_t k_op2(uint32_t k) { return k & 7; }
static bool k_is32(uint32_t k) { return k >> 31; }
static unsigned k_cp(uint32_t k) { return k >> 16 & 15; }

static const ArmSysreg *find_space(const ArmCpu *c, uint32_t key)
{
    if (!k_is32(key))
        return k_op0(key) == 3 && k_op1(key) == 0 && k_crn(key) == 0 && k_crm(key) >= 1 && k_crm(key) <= 7 ? &raz_id
                                                                                                           : NULL;
    if (key == C(14, 0, 0, 1, 0)) /* v6 has one for reads and writes (DDI 0301H, 13.3.3) */
        return c->has.v6 && !c->has.v7 ? &old_dscr : NULL;
    if (k_cp(key) == 15 && key >> 20 & 1) /* ARM1176: ranges of addresses (DDI 0301H, 3.2.22) */
        return c->has.mmu_v6 && !c->has.v7 && k_op1(key) == 0 && 0x5060 >> k_crm(key) & 1 ? &old_c7 : NULL;
    if (k_cp(key) != 15)
        return NULL;
    if (k_crn(key) == 0 && k_op1(key) == 0 && c->has.v7)
        return k_crm(key) >= 2 && k_crm(key) <= 7 ? &raz_id : NULL;
    if (k_crn(key) == 0 && k_op1(key) == 0 && k_crm(key) == 0)
        return arm_sysreg_find(ARM_CP_KEY(15, 0, 0, 0, 0, 0)); /* unassigned: MIDR */
    if (k_crn(key) == 7 && !c->has.v7)
        return &old_c7;
    if (k_crn(key) == 15 && (c->has.v7 ? c->midr >> 24 == 0x41 : true))
        return &old_c15;
    return NULL;
}

/* E2H: EL1's names mean EL2's registers at EL2, and *_EL12, *_EL02 mean EL1's and EL0's. false: UNDEFINED. */
static bool resolve_e2h(const ArmCpu *c, uint32_t *key)
{
    uint32_t k = *key;
    if (k_is32(k) || k_op0(k) != 3)
        return true;
    bool e2h = c->has.vhe && c->hcr_el2 & HCR_E2H;
    if (k_op1(k) == 5) {
        if (!e2h || c->el < 2 || !arm_el2_enabled(c))
            return false;
        uint32_t op1 = k_crn(k) == 14 && k_crm(k) != 1 ? 3 : 0;
        *key = (k & ~UINT32_C(0x3800)) | op1 << 11;
        const ArmSysreg *r = arm_sysreg_find(*key);
        return r && r->flags & F_E2H;
    }
    if (!e2h || c->el != 2)
        return true;
    const ArmSysreg *r = arm_sysreg_find(k);
    if (!r || !(r->flags & F_E2H))
        return true;
    if (k == ARM_SYS_KEY(3, 0, 1, 0, 2))
        *key = ARM_SYS_KEY(3, 4, 1, 1, 2);
    else
        *key = (k & ~UINT32_C(0x3800)) | 4u << 11;
    return true;
}

static bool is_gic_key(uint32_t k)
{
    if (k_is32(k)) {
        if (k_cp(k) != 15)
            return false;
        if (k >> 20 & 1)
            return k_crm(k) == 12;
        return (k_crn(k) == 12 && k_crm(k) >= 8) || (k_crn(k) == 4 && k_crm(k) == 6) ||
               (k_crn(k) == 12 && k_op1(k) == 4);
    }
    if (k_op0(k) != 3)
        return false;
    if (k_crn(k) == 4)
        return k_op1(k) == 0 && k_crm(k) == 6 && k_op2(k) == 0;
    return k_crn(k) == 12 && k_crm(k) >= 8;
}

/* AArch32's names of the GIC's registers as AArch64's. */
static uint32_t gic_key64(uint32_t k)
{
    if (!k_is32(k))
        return k;
    if (k >> 20 & 1) /* SGI1R, ASGI1R, SGI0R */
        return ARM_SYS_KEY(3, 0, 12, 11, 5 + k_op1(k));
    return ARM_SYS_KEY(3, k_op1(k), k_crn(k), k_crm(k), k_op2(k));
}

/* --- access --- */

static _Noreturn void undefined(ArmCpu *c) { arm_raise(c, EC_UNKNOWN, 0, 0); }

static unsigned trap_ec(uint32_t key)
{
    if (!k_is32(key))
        return EC_SYSREG;
    bool wide = key >> 20 & 1;
    return k_cp(key) == 15   ? (wide ? EC_CP15_RRT : EC_CP15_RT)
           : k_cp(key) == 14 ? (wide ? EC_CP14_RRT : EC_CP14_RT)
                             : EC_FPID;
}

static char *key_text(uint32_t k)
{
    if (!k_is32(k))
        return g_strdup_printf("S%u_%u_C%u_C%u_%u", k_op0(k), k_op1(k), k_crn(k), k_crm(k), k_op2(k));
    if (k >> 20 & 1)
        return g_strdup_printf("p%u, %u, c%u (64 bits)", k_cp(k), k_op1(k), k_crm(k));
    return g_strdup_printf("p%u, %u, c%u, c%u, %u", k_cp(k), k_op1(k), k_crn(k), k_crm(k), k_op2(k));
}

static _Noreturn void unknown(ArmCpu *c, uint32_t key, bool write, uint32_t iss)
{
    vcpu_sync(&c->v);
    bool impdef = k_is32(key) ? k_crn(key) == 15 || k_crn(key) == 9 : k_crn(key) == 11 || k_crn(key) == 15;
    if (impdef && c->el < 2 && arm_hcr(c) & HCR_TIDCP)
        arm_raise(c, trap_ec(key), iss, 2);
    if (log_enabled(LOG_UNIMP)) {
        g_autofree char *text = key_text(key);
        log_unimp("arm", "system register %s %s at 0x%" PRIx64 ": not known", text, write ? "written" : "read",
                  c->v.pc);
    }
    undefined(c);
}

static bool has_need(const ArmCpu *c, const ArmSysreg *r)
{
    if (r->need == NEVER)
        return false;
    if (r->write == arm_wr_bvr && k_crm(r->key) >= (k_op2(r->key) >= 6 ? c->model->watchpoints : c->model->breakpoints))
        return false;
    if ((r->write == wr_prn || r->write == wr_pmsa8 || r->write == wr_hprenr) && !c->has.v8)
        return false;
    return r->need < 0 || *((const bool *)&c->has + r->need);
}

/* EL2's registers at EL3 without EL2: RES0 (DDI 0487, D19.1.2). */
static const ArmSysreg res0_row;
static bool is_res0(const ArmCpu *c, const ArmSysreg *r)
{
    return r->need == (int)offsetof(ArmFeatures, el2) && !c->has.el2 && c->el == 3 && !k_is32(r->key);
}

/* The row of an access that is allowed; raises otherwise. NULL: the interrupt controller's. */
static const ArmSysreg *checked(ArmCpu *c, uint32_t *key, bool write, uint32_t iss)
{
    uint32_t asked = *key;
    if (!resolve_e2h(c, key))
        undefined(c);
    const ArmSysreg *r = arm_sysreg_find(*key);
    if (r && is_res0(c, r))
        return &res0_row;
    if (r && !has_need(c, r))
        r = NULL;
    if (!r)
        r = find_space(c, *key);
    if (!r && is_gic_key(*key))
        return NULL;
    if (!r)
        unknown(c, *key, write, iss);
    if (c->el < (write ? r->wr : r->rd) || (r->flags & F_SECURE && !arm_secure(c)))
        undefined(c);
    if (asked != *key)
        return r;
    if (k_is32(*key) && k_cp(*key) == 15 && c->el < 2 && arm_el2_enabled(c) &&
        c->hstr_el2 >> (key[0] >> 20 & 1 ? k_crm(*key) : k_crn(*key)) & 1)
        arm_raise(c, trap_ec(*key), iss, 2);
    int t = r->trap ? arm_sysreg_trap(c, r, write) : 0;
    if (t < 0)
        undefined(c);
    if (!t && arm_fgt_traps(c, *key, write))
        t = 2;
    if (t > 0)
        arm_raise(c, trap_ec(*key), iss, (unsigned)t);
    return r;
}

static uint64_t gic_access(ArmCpu *c, uint32_t key, bool write, uint64_t value, uint32_t iss)
{
    const CpuIntcOps *o = c->v.port.intc_ops;
    uint64_t v = value;
    if (c->el == 0 || !o || !o->sysreg_read)
        unknown(c, key, write, iss);
    uint32_t k = gic_key64(key);
    uint64_t hcr = c->el == 1 ? arm_hcr(c) : 0;
    bool sgi = k_crn(k) == 12 && k_crm(k) == 11 && k_op2(k) >= 5;
    if ((sgi && hcr & (HCR_FMO | HCR_IMO)) || arm_fgt_traps(c, key, write))
        arm_raise(c, trap_ec(key), iss, 2);
    k |= (hcr & HCR_IMO ? ARM_SYS_KEY_VIRQ : 0) | (hcr & HCR_FMO ? ARM_SYS_KEY_VFIQ : 0);
    bool secure = arm_secure(c);
    if (!(write ? o->sysreg_write(c->v.port.intc, k, c->el, secure, value)
                : o->sysreg_read(c->v.port.intc, k, c->el, secure, &v)))
        undefined(c);
    return v;
}

static uint64_t do_read(ArmCpu *c, uint32_t key, uint32_t iss)
{
    const ArmSysreg *r = checked(c, &key, false, iss);
    if (r == &res0_row)
        return 0;
    if (!r)
        return gic_access(c, key, false, 0, iss);
    return r->read ? r->read(c, r) : load(c, r);
}

static void do_write(ArmCpu *c, uint32_t key, uint64_t value, uint32_t iss)
{
    if ((k_is32(key) ? k_cp(key) == 15 : k_op0(key) == 1) && k_crn(key) >= 8 && k_crn(key) <= 9 &&
        arm_tlbi_known(c, key)) {
        bool hyp = k_op1(key) >= 4;
        if (c->el < (k_op1(key) == 6 ? 3 : hyp ? 2 : 1))
            undefined(c);
        if (c->el == 1 && (arm_hcr(c) & HCR_TTLB || arm_fgt_traps(c, key, true)))
            arm_raise(c, trap_ec(key), iss, 2);
        if (k_is32(key) && c->el < 2 && arm_el2_enabled(c) && c->hstr_el2 >> 8 & 1)
            arm_raise(c, trap_ec(key), iss, 2);
        arm_tlbi(c, key, value);
        return;
    }
    const ArmSysreg *r = checked(c, &key, true, iss);
    if (!r) {
        gic_access(c, key, true, value, iss);
        return;
    }
    if (r->flags & F_NOP || r == &res0_row)
        return;
    if (r->write)
        r->write(c, r, value);
    else
        store(c, r, value);
    if (r->flags & (F_LOOKUP | F_EXIT))
        arm_update_mode(c);
}

ARM_HELPER(mrs) { return do_read(arm_cpu(v), (uint32_t)a, (uint32_t)b); }
ARM_HELPER_VOID(msr) { do_write(arm_cpu(v), (uint32_t)a, b, (uint32_t)a3); }
ARM_HELPER(mrc) { return do_read(arm_cpu(v), (uint32_t)a, (uint32_t)b); }
ARM_HELPER_VOID(mcr) { do_write(arm_cpu(v), (uint32_t)a, b, (uint32_t)a3); }
ARM_HELPER_VOID(sys) { do_write(arm_cpu(v), (uint32_t)a, b, (uint32_t)a3); }

ARM_HELPER_VOID(msr_imm)
{
    ArmCpu *c = arm_cpu(v);
    unsigned field = (unsigned)a, imm = (unsigned)b;
    bool ok = true;
    if ((field & 0x38) == 0x18 && field >= 0x1e && c->el == 0) { /* DAIFSet, DAIFClr from EL0: SCTLR.UMA */
        const ArmSysreg *r = arm_sysreg_find(ARM_SYS_KEY(3, 3, 4, 2, 1));
        int t = arm_sysreg_trap(c, r, true);
        if (t > 0)
            arm_raise(c, EC_SYSREG, 0x1f << 5 | field >> 3 << 14 | (field & 7) << 17 | 4 << 10 | imm << 1, (unsigned)t);
    }
    switch (field) {
    case 0 << 3 | 5: ok = c->el > 0, arm_select_sp(c, c->el, ok ? imm & 1 : c->sp_sel); break;
    case 0 << 3 | 4: ok = c->has.pan && c->el, c->pan = ok ? imm & 1 : c->pan; break;
    case 0 << 3 | 3: ok = c->has.uao && c->el, c->uao = ok ? imm & 1 : c->uao; break;
    case 3 << 3 | 1: ok = c->has.ssbs, c->ssbs = imm & 1; break;
    case 3 << 3 | 2: ok = c->has.dit, c->dit = imm & 1; break;
    case 3 << 3 | 4: ok = c->has.mte, c->tco = imm & 1; break;
    case 3 << 3 | 6: c->daif |= imm << 6; break;
    case 3 << 3 | 7: c->daif &= ~(imm << 6), arm_poll_after_return(c); break;
    default: ok = false; break;
    }
    if (!ok)
        undefined(c);
    arm_update_mode(c);
}

/* --- what front ends may do without a helper --- */

static bool direct(const ArmCpu *c, const ArmSysreg *r, bool write)
{
    if (!r->offset || r->read || (write && r->write) || r->alt || r->flags & F_NO_DIRECT)
        return false;
    if (r->flags & F_E2H && c->has.vhe && c->el >= 2)
        return false;
    return r->trap == T_NONE || (r->trap == T_VM && !c->has.el2);
}

ArmSysregUse arm_sysreg_lookup(const ArmCpu *c, uint32_t key, bool write)
{
    ArmSysregUse u = { 0 };
    if (write && (k_is32(key) ? k_cp(key) == 15 : k_op0(key) == 1) && k_crn(key) >= 8 && k_crn(key) <= 9 &&
        arm_tlbi_known(c, key)) {
        u.known = u.lookup = true;
        return u;
    }
    uint32_t asked = key;
    if (!resolve_e2h(c, &key))
        return u;
    const ArmSysreg *r = arm_sysreg_find(key);
    if (r && is_res0(c, r)) {
        u.known = u.lookup = true;
        return u;
    }
    if (r && !has_need(c, r))
        r = NULL;
    if (!r)
        r = find_space(c, key);
    if (!r) {
        u.known = is_gic_key(key) && c->v.port.intc_ops && c->v.port.intc_ops->sysreg_read;
        u.exit = write;
        return u;
    }
    u.known = true;
    u.exit = write && r->flags & F_EXIT;
    u.lookup = (write || r->flags & F_LOOKUP) && r->flags & F_LOOKUP;
    if (c->el < (write ? r->wr : r->rd) || r->flags & F_SECURE || c->v.mode & ARM_MODE_FGT)
        return u;
    if (r->key == ARM_SYS_KEY(3, 0, 4, 1, 0)) { /* SP_EL0 while it is not the one in use */
        if (c->sp_sel)
            u.offset = r->offset, u.size = 8;
        return u;
    }
    if (r->key == ARM_SYS_KEY(3, 0, 4, 2, 2)) {
        u.constant = true, u.value = (uint64_t)c->el << 2;
        return u;
    }
    if (r->key == ARM_SYS_KEY(3, 3, 4, 2, 1) && !write && c->el)
        u.offset = r->offset, u.size = 4;
    bool never_trapped = !c->has.el2 || c->el >= 2;
    u.nop = write && r->flags & F_NOP && c->el >= 1 && never_trapped;
    if (asked == key && direct(c, r, write) && !(k_is32(key) && c->has.el2))
        u.offset = r->offset, u.size = r->size;
    return u;
}

/* --- reset --- */

void arm_sysregs_reset(ArmCpu *c)
{
    memset((char *)c + OFF(sctlr_el), 0, OFF(midr) - OFF(sctlr_el));
    for (unsigned i = 1; i < 4; i++)
        c->sctlr_el[i] = c->reset_sctlr;
    c->cntfrq_el0 = c->cntfrq;
    c->vpidr_el2 = c->midr;
    c->vmpidr_el2 = c->mpidr;
    c->hcr_el2 = c->has.aarch64 && !c->has.aarch32_el1 ? HCR_RW : 0;
    c->scr_el3 = c->has.aarch64 ? BIT(4) | BIT(5) | (c->has.aarch32_el1 ? 0 : SCR_RW) : 0;
    c->mdcr_el2 = c->model->pmu_counters;
    c->pmcr_el0 = (c->midr >> 24) << 24 | (uint64_t)c->model->pmu_counters << 11;
    c->oslsr_el1 = c->has.v8 || c->has.aarch64 ? 1 : 0; /* OSLK */
    c->cptr_el[2] = c->has.aarch64 ? 0x32ff : 0;
    c->nsacr = c->has.el3 ? 0xc00 : 0;
    c->fpexc32_el2 = 0;
    c->vbar_el[2] = 0;
    c->cnthctl_el2 = c->has.el2 ? 3 : 0;
    c->dbgclaim = 0;
    c->mair_el[1] = c->has.aarch64 ? 0 : UINT64_C(0x44e048e000098aa4);
    c->mair_el[3] = c->mair_el[1];
    c->actlr_el[1] = c->actlr_el[3] = (c->midr & 0xff00fff0) == 0x4100c090 ? 0x40 : 0;
    /* banked registers that a boot without EL3's firmware finds as that left them */
    if (!c->has.v6)
        c->cpacr_el1 = 0x00f00000, c->fpexc32_el2 = 0;
}
