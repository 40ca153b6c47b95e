/* SPDX-License-Identifier: MIT */
/* Which accesses to system registers trap, and where to (the "Accessibility" pseudocode of DDI 0487, D19 and G8). */
#include "target/arm/sysregs.h"

enum { UNDEF = -1 };

static int el0_target(const ArmCpu *c) { return arm_hcr(c) & HCR_TGE ? 2 : 1; }
/* EL0 was refused by EL1: AArch32 without an AArch64 EL1 sees UNDEFINED. */
static int refuse_el0(const ArmCpu *c) { return c->has.aarch64 ? el0_target(c) : UNDEF; }
static bool hcr_trap(const ArmCpu *c, uint64_t bit) { return c->el <= 1 && arm_hcr(c) & bit; }

/* --- performance monitors --- */

static int trap_pmu(ArmCpu *c, unsigned enable_bits)
{
    if (c->el == 0 && !(c->pmuserenr_el0 & (1 | enable_bits)))
        return refuse_el0(c);
    if (c->el <= 1 && arm_el2_enabled(c) && c->mdcr_el2 & BIT(6))
        return 2;
    return c->has.el3 && c->has.aarch64 && c->el < 3 && c->mdcr_el3 & BIT(6) ? 3 : 0;
}

/* --- generic timer (D11.2, CNTKCTL_EL1, CNTHCTL_EL2) --- */

/* CNTKCTL of EL0 in this regime. */
static uint64_t el0_control(const ArmCpu *c) { return arm_e2h_host(arm_hcr(c)) ? c->cnthctl_el2 : c->cntkctl_el1; }

static int trap_counter(ArmCpu *c, bool physical)
{
    uint64_t hcr = arm_hcr(c);
    if (c->el == 0 && !(el0_control(c) & (physical ? 1 : 2)))
        return refuse_el0(c);
    if (physical && c->el <= 1 && arm_el2_enabled(c) && !arm_e2h_host(hcr)) {
        bool e2h = c->has.vhe && c->hcr_el2 & HCR_E2H;
        if (!(c->cnthctl_el2 & (e2h ? BIT(10) : BIT(0))))
            return 2;
    }
    return 0;
}

static int trap_timer(ArmCpu *c, bool physical)
{
    uint64_t hcr = arm_hcr(c);
    if (c->el == 0 && !(el0_control(c) & (physical ? BIT(9) : BIT(8))))
        return refuse_el0(c);
    if (physical && c->el <= 1 && arm_el2_enabled(c) && !arm_e2h_host(hcr)) {
        bool e2h = c->has.vhe && c->hcr_el2 & HCR_E2H;
        if (!(c->cnthctl_el2 & (e2h ? BIT(11) : BIT(1))))
            return 2;
    }
    return 0;
}

static int trap_secure_timer(ArmCpu *c)
{
    if (c->el == 3)
        return 0;
    if (c->el != 1 || !arm_secure(c))
        return UNDEF;
    return c->scr_el3 & SCR_ST ? 0 : 3;
}

/* --- caches --- */

static int trap_cache_el0(ArmCpu *c, uint64_t sctlr_bit)
{
    return c->el == 0 && !(arm_sctlr(c) & sctlr_bit) ? refuse_el0(c) : 0;
}

/* --- control --- */

static int trap_cpacr(ArmCpu *c)
{
    if (c->el == 1 && arm_el2_enabled(c) && c->cptr_el[2] & BIT(31))
        return 2;
    return c->has.el3 && c->has.aarch64 && c->el < 3 && c->cptr_el[3] & BIT(31) ? 3 : 0;
}

static int trap_debug(ArmCpu *c, uint64_t el2_bit, uint64_t el3_bit)
{
    if (c->el == 0 && c->mdscr_el1 & BIT(12))
        return refuse_el0(c);
    if (c->el <= 1 && arm_el2_enabled(c) && (c->mdcr_el2 & (el2_bit | BIT(8)) || c->hcr_el2 & HCR_TGE))
        return 2;
    return c->has.el3 && c->has.aarch64 && c->el < 3 && c->mdcr_el3 & el3_bit ? 3 : 0;
}

static int trap_fp(ArmCpu *c)
{
    if (arm_fp_trapped(c) && c->aarch64)
        arm_help_fp_trap(&c->v, 0, 0, 0);
    return 0;
}

static int trap_keys(ArmCpu *c)
{
    if (c->el == 1 && arm_el2_enabled(c) && !(c->hcr_el2 & HCR_APK))
        return 2;
    return c->has.el3 && c->el < 3 && !(c->scr_el3 & SCR_APK) ? 3 : 0;
}

static int trap_tags(ArmCpu *c)
{
    if (c->el == 1 && arm_el2_enabled(c) && !(c->hcr_el2 & HCR_ATA))
        return 2;
    return c->has.el3 && c->el < 3 && !(c->scr_el3 & SCR_ATA) ? 3 : 0;
}

static int trap_nsacr(ArmCpu *c, bool write)
{
    if (!write && c->el == 1 && c->has.el3 && !arm_secure(c))
        return 0;
    return write && c->has.el3 && !arm_secure(c) ? UNDEF : 0;
}

int arm_sysreg_trap(ArmCpu *c, const ArmSysreg *r, bool write)
{
    switch ((SysregTrap)r->trap) {
    case T_VM: return hcr_trap(c, write ? HCR_TVM : HCR_TRVM) ? 2 : 0;
    case T_TID1: return hcr_trap(c, HCR_TID1) ? 2 : 0;
    case T_TID2: return hcr_trap(c, HCR_TID2 | HCR_TID4) ? 2 : 0;
    case T_CTR: {
        int t = trap_cache_el0(c, SCTLR_UCT);
        return t ? t : hcr_trap(c, HCR_TID2) ? 2 : 0;
    }
    case T_TID3: return hcr_trap(c, HCR_TID3) ? 2 : 0;
    case T_TACR: return hcr_trap(c, HCR_TACR) ? 2 : 0;
    case T_CPAC: return trap_cpacr(c);
    case T_CPTR2: return c->el == 2 && c->has.el3 && c->has.aarch64 && c->cptr_el[3] & BIT(31) ? 3 : 0;
    case T_PMU: return trap_pmu(c, 0);
    case T_PMU_SW: return trap_pmu(c, 2);
    case T_PMU_CYC: return trap_pmu(c, write ? 0 : 4);
    case T_PMU_EVT: return trap_pmu(c, 8);
    case T_PMCR: {
        int t = trap_pmu(c, 0);
        return t ? t : c->el <= 1 && arm_el2_enabled(c) && c->mdcr_el2 & BIT(5) ? 2 : 0;
    }
    case T_DBG: return trap_debug(c, BIT(9), BIT(9));
    case T_DBGOS: return trap_debug(c, BIT(10), BIT(10));
    case T_CNTPCT: return trap_counter(c, true);
    case T_CNTVCT: return trap_counter(c, false);
    case T_CNTFRQ:
        if (write && c->el < (c->has.el3 ? 3u : c->has.el2 ? 2u : 1u))
            return UNDEF;
        return c->el == 0 && !(el0_control(c) & 3) ? refuse_el0(c) : 0;
    case T_CNTP: return trap_timer(c, true);
    case T_CNTV: return trap_timer(c, false);
    case T_CNTS: return trap_secure_timer(c);
    case T_SW: return hcr_trap(c, HCR_TSW) ? 2 : 0;
    case T_POC: case T_POU: {
        int t = trap_cache_el0(c, SCTLR_UCI);
        return t ? t : hcr_trap(c, r->trap == T_POC ? HCR_TPCP : HCR_TPU) ? 2 : 0;
    }
    case T_DZ: {
        int t = trap_cache_el0(c, SCTLR_DZE);
        return t ? t : hcr_trap(c, HCR_TDZ) ? 2 : 0;
    }
    case T_DAIF: return trap_cache_el0(c, SCTLR_UMA);
    case T_TLB: return hcr_trap(c, HCR_TTLB) ? 2 : 0;
    case T_LOR: return arm_secure(c) ? UNDEF : hcr_trap(c, HCR_TLOR) ? 2 : 0;
    case T_APK: return trap_keys(c);
    case T_FP: return trap_fp(c);
    case T_SVE:
        if (c->v.mode & ARM_MODE_SVE_TRAP)
            arm_help_sve_trap(&c->v, 0, 0, 0);
        return 0;
    case T_ERR: return hcr_trap(c, HCR_TERR) ? 2 : c->has.el3 && c->el < 3 && c->scr_el3 & SCR_TERR ? 3 : 0;
    case T_ATA: return trap_tags(c);
    case T_NSACR: return trap_nsacr(c, write);
    case T_FPID:
        if (c->has.v6 && c->el && !(c->cpacr_el1 >> 20 & 1) && c->el < 2)
            return UNDEF;
        return hcr_trap(c, r->offset == offsetof(ArmCpu, fpsid) ? HCR_TID0 : HCR_TID3) ? 2 : 0;
    case T_SP0: return c->sp_sel ? 0 : UNDEF;
    case T_JAZ: return hcr_trap(c, HCR_TID0) ? 2 : 0;
    case T_THUMBEE: return c->el == 0 && c->teecr32 & 1 ? UNDEF : 0;
    case T_NONE: case T_HSTR: case T_SCXT: case T_AT: break;
    }
    return 0;
}
