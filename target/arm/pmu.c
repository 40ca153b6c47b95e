/* SPDX-License-Identifier: MIT */
/* Performance monitors (DDI 0487, D12): the cycle counter at 1 GHz of virtual time, software increments, overflow. */
#include "target/arm/sysregs.h"

enum {
    PMCR_E = 1,
    PMCR_P = 2,
    PMCR_C = 4,
    PMCR_D = 8,
    PMCR_LC = 64,
    EVENT_SW_INCR = 0,
    EVENT_INST_RETIRED = 8,
    EVENT_CYCLES = 0x11,
    CYCLE = 31
};

/* A counter that runs is held as its distance from the clock; arm_pmu_stop() and arm_pmu_resume() convert. */

static unsigned counters(const ArmCpu *c) { return MIN(c->model->pmu_counters, 6u); }
static uint64_t valid_bits(const ArmCpu *c) { return BIT(CYCLE) | (counters(c) ? bits_mask(counters(c)) : 0); }

static bool enabled(const ArmCpu *c, unsigned n)
{
    unsigned hpmn = c->mdcr_el2 & 31;
    bool high = arm_el2_enabled(c) && n != CYCLE && n >= hpmn;
    return (high ? c->mdcr_el2 & BIT(7) : c->pmcr_el0 & PMCR_E) && c->pmcnten >> n & 1;
}

static bool runs(const ArmCpu *c, unsigned n)
{
    if (n == CYCLE)
        return enabled(c, n);
    unsigned event = c->pmevtyper[n] & 0xffff;
    return enabled(c, n) && (event == EVENT_CYCLES || event == EVENT_INST_RETIRED);
}

static uint64_t now(const ArmCpu *c, unsigned n)
{
    uint64_t ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
    return n == CYCLE && c->pmcr_el0 & PMCR_D && !(c->pmcr_el0 & PMCR_LC) ? ns / 64 : ns;
}

static uint64_t *counter(ArmCpu *c, unsigned n) { return n == CYCLE ? &c->pmccntr : &c->pmevcntr[n]; }
static unsigned width(const ArmCpu *c, unsigned n) { return n == CYCLE && c->pmcr_el0 & PMCR_LC ? 64 : 32; }

static void set_irq(ArmCpu *c) { irq_set(&c->pmu_out, c->pmcr_el0 & PMCR_E && (c->pmovs & c->pminten) != 0); }

static void convert(ArmCpu *c, bool to_values)
{
    for (unsigned i = 0; i <= counters(c); i++) {
        unsigned n = i == counters(c) ? CYCLE : i;
        if (runs(c, n))
            *counter(c, n) += to_values ? now(c, n) : -now(c, n);
    }
}

static void arm_overflow(ArmCpu *c)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i <= counters(c); i++) {
        unsigned n = i == counters(c) ? CYCLE : i;
        if (!runs(c, n) || !(c->pminten >> n & 1))
            continue;
        uint64_t left = width(c, n) == 64 ? -(*counter(c, n) + now(c, n))
                                          : UINT64_C(0x100000000) - (uint32_t)(*counter(c, n) + now(c, n));
        if (n == CYCLE && c->pmcr_el0 & PMCR_D && !(c->pmcr_el0 & PMCR_LC))
            left *= 64;
        best = MIN(best, left);
    }
    int64_t ns = clock_ns(CLOCK_VIRTUAL_NS);
    if (best > (uint64_t)(INT64_MAX - ns))
        timer_cancel(c->pmu_timer);
    else
        timer_arm(c->pmu_timer, ns + (int64_t)best);
    c->pmu_armed_ns = ns;
}

/* Counters are values from here to arm_pmu_resume(). */
static void stop(ArmCpu *c)
{
    lock_domain_lock(c->timer_lock);
    convert(c, true);
}

static void go_on(ArmCpu *c)
{
    convert(c, false);
    arm_overflow(c);
    set_irq(c);
    lock_domain_unlock(c->timer_lock);
}

void arm_pmu_values(ArmCpu *c, bool values)
{
    if (c->has.pmuv3)
        convert(c, values);
}

void arm_pmu_resume(ArmCpu *c)
{
    if (!c->has.pmuv3)
        return;
    lock_domain_lock(c->timer_lock);
    arm_overflow(c);
    set_irq(c);
    lock_domain_unlock(c->timer_lock);
}

void arm_pmu_due(void *opaque)
{
    ArmCpu *c = opaque;
    uint64_t since = (uint64_t)(clock_ns(CLOCK_VIRTUAL_NS) - c->pmu_armed_ns);
    for (unsigned i = 0; i <= counters(c); i++) {
        unsigned n = i == counters(c) ? CYCLE : i;
        if (!runs(c, n))
            continue;
        uint64_t value = *counter(c, n) + now(c, n), before = value - since;
        if (width(c, n) == 64 ? value < before : (value ^ before) >> 32)
            c->pmovs |= BIT(n);
    }
    arm_overflow(c);
    set_irq(c);
}

/* --- registers --- */

uint64_t arm_rd_pmcr(ArmCpu *c, const ArmSysreg *r)
{
    uint64_t v = c->pmcr_el0;
    if (c->el <= 1 && arm_el2_enabled(c))
        v = bits_set(v, 11, 5, c->mdcr_el2 & 31);
    return v;
}

void arm_wr_pmcr(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    stop(c);
    if (value & PMCR_C)
        c->pmccntr = 0;
    if (value & PMCR_P)
        memset(c->pmevcntr, 0, sizeof c->pmevcntr);
    c->pmcr_el0 = (c->pmcr_el0 & ~UINT64_C(0x79)) | (value & 0x79);
    go_on(c);
}

static void set_masked(ArmCpu *c, uint64_t *field, uint64_t value)
{
    stop(c);
    *field = value & valid_bits(c);
    go_on(c);
}
void arm_wr_pmcnten_set(ArmCpu *c, const ArmSysreg *r, uint64_t v) { set_masked(c, &c->pmcnten, c->pmcnten | v); }
void arm_wr_pmcnten_clr(ArmCpu *c, const ArmSysreg *r, uint64_t v) { set_masked(c, &c->pmcnten, c->pmcnten & ~v); }
void arm_wr_pmovs_set(ArmCpu *c, const ArmSysreg *r, uint64_t v) { set_masked(c, &c->pmovs, c->pmovs | v); }
void arm_wr_pmovs_clr(ArmCpu *c, const ArmSysreg *r, uint64_t v) { set_masked(c, &c->pmovs, c->pmovs & ~v); }
void arm_wr_pmint_set(ArmCpu *c, const ArmSysreg *r, uint64_t v) { set_masked(c, &c->pminten, c->pminten | v); }
void arm_wr_pmint_clr(ArmCpu *c, const ArmSysreg *r, uint64_t v) { set_masked(c, &c->pminten, c->pminten & ~v); }

void arm_wr_pmswinc(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    stop(c);
    for (unsigned n = 0; n < counters(c); n++) {
        if (!(value >> n & 1) || !enabled(c, n) || (c->pmevtyper[n] & 0xffff) != EVENT_SW_INCR)
            continue;
        c->pmevcntr[n] = (uint32_t)(c->pmevcntr[n] + 1);
        c->pmovs |= c->pmevcntr[n] ? 0 : BIT(n);
    }
    go_on(c);
}

uint64_t arm_rd_pmceid(ArmCpu *c, const ArmSysreg *r)
{
    return BIT(EVENT_SW_INCR) | BIT(EVENT_INST_RETIRED) | BIT(EVENT_CYCLES);
}

uint64_t arm_rd_pmccntr(ArmCpu *c, const ArmSysreg *r)
{
    uint64_t v = c->pmccntr + (runs(c, CYCLE) ? now(c, CYCLE) : 0);
    return r->size == 4 ? (uint32_t)v : v;
}
void arm_wr_pmccntr(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    stop(c);
    c->pmccntr = r->size == 4 ? (c->pmccntr & ~UINT64_C(0xffffffff)) | (uint32_t)value : value;
    go_on(c);
}
void arm_wr_pmccfiltr(ArmCpu *c, const ArmSysreg *r, uint64_t value) { c->pmccfiltr_el0 = value & 0xfc000000; }

/* Which counter a PMEVCNTRn, PMEVTYPERn or PMXEV* row means; -1: none. */
static int selected(const ArmCpu *c, const ArmSysreg *r, uint32_t base)
{
    unsigned n = r->offset ? (r->offset - base) / 8 : (unsigned)c->pmselr_el0;
    return n < counters(c) || (n == CYCLE && !r->offset) ? (int)n : -1;
}

uint64_t arm_rd_pmevcntr(ArmCpu *c, const ArmSysreg *r)
{
    int n = selected(c, r, offsetof(ArmCpu, pmevcntr));
    return n < 0 || n == CYCLE ? 0 : (uint32_t)(c->pmevcntr[n] + (runs(c, (unsigned)n) ? now(c, (unsigned)n) : 0));
}
void arm_wr_pmevcntr(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    int n = selected(c, r, offsetof(ArmCpu, pmevcntr));
    if (n < 0 || n == CYCLE)
        return;
    stop(c);
    c->pmevcntr[n] = (uint32_t)value;
    go_on(c);
}
uint64_t arm_rd_pmevtyper(ArmCpu *c, const ArmSysreg *r)
{
    int n = selected(c, r, offsetof(ArmCpu, pmevtyper));
    return n < 0 ? 0 : n == CYCLE ? c->pmccfiltr_el0 : c->pmevtyper[n];
}
void arm_wr_pmevtyper(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    int n = selected(c, r, offsetof(ArmCpu, pmevtyper));
    if (n < 0)
        return;
    stop(c);
    if (n == CYCLE)
        c->pmccfiltr_el0 = value & 0xfc000000;
    else
        c->pmevtyper[n] = value & 0xfc00ffff;
    go_on(c);
}
