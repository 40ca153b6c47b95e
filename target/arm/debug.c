/* SPDX-License-Identifier: MIT */
/* Self-hosted debug: breakpoints, watchpoints, software step, the OS lock (DDI 0487, D2). */
#include "target/arm/sysregs.h"

enum { MDSCR_SS = 1 << 0, MDSCR_KDE = 1 << 13, MDSCR_MDE = 1 << 15 };

unsigned arm_debug_target(const ArmCpu *c)
{
    if (arm_el2_enabled(c) && (c->mdcr_el2 & BIT(8) || c->hcr_el2 & HCR_TGE))
        return 2;
    return c->has.el3 && !c->has.aarch64 && arm_secure_below_el3(c) ? 3 : 1;
}

/* AArch64.GenerateDebugExceptions; AArch32 below an AArch32 EL1: by the level alone. */
static bool enabled(const ArmCpu *c)
{
    if (c->oslsr_el1 & 1 || c->osdlr_el1 & 1)
        return false;
    if (arm_secure(c) && c->has.aarch64 && c->mdcr_el3 & BIT(16)) /* SDD */
        return false;
    unsigned target = arm_debug_target(c);
    if (!arm_el_is_aa64(c, MIN(target, 2)))
        return c->el <= target;
    return c->el < target || (c->el == target && c->mdscr_el1 & MDSCR_KDE && !(c->daif & ARM_PSTATE_D));
}

bool arm_step_active(const ArmCpu *c)
{
    return c->mdscr_el1 & MDSCR_SS && enabled(c) && arm_el_is_aa64(c, MIN(arm_debug_target(c), 2));
}

uint64_t arm_debug_mode(const ArmCpu *c)
{
    uint64_t m = 0;
    if (!(c->mdscr_el1 & (MDSCR_SS | MDSCR_MDE)))
        return 0;
    m |= arm_step_active(c) ? ARM_MODE_STEP : 0;
    if (c->mdscr_el1 & MDSCR_MDE && (c->dbg_bps || c->dbg_wps) && enabled(c))
        m |= (c->dbg_bps ? ARM_MODE_BREAKPOINT : 0) | (c->dbg_wps ? ARM_MODE_WATCHPOINT : 0);
    return m;
}

void arm_debug_changed(ArmCpu *c)
{
    c->dbg_bps = c->dbg_wps = 0;
    c->dbg_context = false;
    for (unsigned i = 0; i < c->model->breakpoints && i < 16; i++) {
        c->dbg_bps |= (uint16_t)((c->dbgbcr[i] & 1) << i);
        c->dbg_context |= c->dbgbcr[i] & 1 && c->dbgbcr[i] >> 21 & 1;
    }
    for (unsigned i = 0; i < c->model->watchpoints && i < 16; i++)
        c->dbg_wps |= (uint16_t)((c->dbgwcr[i] & 1) << i);
    arm_update_mode(c);
}

/* --- registers --- */

void arm_wr_mdscr(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    c->mdscr_el1 = value & UINT64_C(0xffffffff);
    arm_update_mode(c);
}

/* DBGBVR, BCR, WVR, WCR. */
void arm_wr_bvr(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    uint64_t *f = arm_sysreg_field(c, r);
    if (r->size == 4)
        *(uint32_t *)f = (uint32_t)value;
    else
        *f = value;
    arm_debug_changed(c);
}

void arm_wr_oslar(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    c->oslsr_el1 = r->key >> 31 ? (uint32_t)value == 0xc5acce55 : value & 1;
    arm_update_mode(c);
}
uint64_t arm_rd_oslsr(ArmCpu *c, const ArmSysreg *r) { return 8 | (c->oslsr_el1 & 1) << 1; } /* OSLM = 10, OSLK */
uint64_t arm_rd_dbgclaim_set(ArmCpu *c, const ArmSysreg *r) { return 0xff; }
void arm_wr_dbgclaim_set(ArmCpu *c, const ArmSysreg *r, uint64_t value) { c->dbgclaim |= value & 0xff; }
void arm_wr_dbgclaim_clr(ArmCpu *c, const ArmSysreg *r, uint64_t value) { c->dbgclaim &= ~value; }

/* --- matching (D2.8, D2.9) --- */

/* PMC or PAC, HMC, SSC of a control register against the present state. */
static bool state_matches(const ArmCpu *c, uint64_t control)
{
    unsigned pmc = control >> 1 & 3, hmc = control >> 13 & 1, ssc = control >> 14 & 3;
    bool secure = arm_secure(c);
    if ((ssc == 1 && secure) || (ssc == 2 && !secure))
        return false;
    switch (c->el) {
    case 0: return pmc & 2 || (!pmc && !hmc && !c->has.aarch64);
    case 1: return pmc & 1 || (!c->aarch64 && !pmc && !hmc);
    case 2: return hmc && (ssc == 3 || ssc == 1 || ssc == 0);
    default: return hmc && ssc != 3 && ssc != 1;
    }
}

static bool context_matches(const ArmCpu *c, unsigned n)
{
    unsigned type = c->dbgbcr[n] >> 20 & 15;
    if (n >= c->model->breakpoints || !(c->dbgbcr[n] & 1))
        return false;
    uint32_t context = (uint32_t)c->contextidr_el[arm_e2h_host(arm_hcr(c)) ? 2 : 1];
    return (type == 2 || type == 3) && (uint32_t)c->dbgbvr[n] == context;
}

static bool breakpoint_matches(const ArmCpu *c, unsigned n, uint64_t pc)
{
    uint64_t bcr = c->dbgbcr[n], bvr = c->dbgbvr[n];
    unsigned type = bcr >> 20 & 15, bas = bcr >> 5 & 15;
    if (!state_matches(c, bcr))
        return false;
    if (type == 2)
        return context_matches(c, n);
    if (type != 0 && type != 1 && type != 4 && type != 5)
        return false;
    uint64_t mask = c->aarch64 ? bits_mask(49) & ~UINT64_C(3) : 0xfffffffc;
    bool hit = !((bvr ^ pc) & mask) && (c->aarch64 || bas >> (pc & 3) & 1);
    if (type & 4) /* mismatch: AArch32 */
        hit = !c->aarch64 && !hit;
    return hit && (!(type & 1) || context_matches(c, bcr >> 16 & 15));
}

ARM_HELPER_VOID(breakpoint)
{
    ArmCpu *c = arm_cpu(v);
    for (unsigned n = 0; c->dbg_bps >> n; n++) {
        if (c->dbg_bps >> n & 1 && breakpoint_matches(c, n, a))
            arm_raise(c, EC_BREAKPOINT, 0x22, 0);
    }
}

static bool watchpoint_matches(const ArmCpu *c, unsigned n, uint64_t va, uint64_t size, bool write)
{
    uint64_t wcr = c->dbgwcr[n], base = c->dbgwvr[n] & bits_mask(49) & ~UINT64_C(3), at = va & bits_mask(49);
    if (!state_matches(c, wcr) || !(wcr >> 3 & (write ? 2 : 1)))
        return false;
    if (wcr >> 20 & 1 && !context_matches(c, wcr >> 16 & 15))
        return false;
    unsigned mask = wcr >> 24 & 31, bas = wcr >> 5 & 0xff;
    if (mask >= 3)
        return !(((at ^ base) | 0) >> mask) ||
               (at < (base & ~bits_mask(mask)) && at + size > (base & ~bits_mask(mask)));
    if (base & 4)
        bas &= 15;
    for (unsigned i = 0; i < 8; i++)
        if (bas >> i & 1 && base + i >= at && base + i < at + size)
            return true;
    return false;
}

ARM_HELPER_VOID(watchpoint)
{
    ArmCpu *c = arm_cpu(v);
    for (unsigned n = 0; c->dbg_wps >> n; n++) {
        if (c->dbg_wps >> n & 1 && watchpoint_matches(c, n, a, b, a3))
            arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC,
                                            .ec = EC_WATCHPOINT,
                                            .iss = 0x22 | (a3 ? BIT(6) : 0),
                                            .far = a,
                                            .far_valid = true,
                                            .il32 = true });
    }
}

/* --- software step (D2.12) --- */

bool arm_step_pending(const ArmCpu *c) { return c->v.mode & ARM_MODE_STEP && !c->ss && arm_step_active(c); }

ARM_HELPER_VOID(insn_end)
{
    ArmCpu *c = arm_cpu(v);
    uint64_t pc = v->pc;
    arm_take_state(c);
    v->pc = pc;
    if (!c->ss || !arm_step_active(c)) {
        if (arm_step_pending(c))
            arm_raise(c, EC_STEP, 0x22, 0);
        return;
    }
    c->ss = false;
    arm_raise(c, EC_STEP, BIT(24) | 0x22, 0);
}
