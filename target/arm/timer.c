/* SPDX-License-Identifier: MIT */
/* The generic timer (DDI 0487, D11): counts of the virtual clock, five timers with outputs, WFIT and WFET. */
#include "target/arm/sysregs.h"

enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

static uint64_t ns_to_count(const ArmCpu *c, uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * c->cntfrq / 1000000000);
}

/* First nanosecond at which the count has reached `count`; INT64_MAX: never. */
static int64_t count_to_ns(const ArmCpu *c, uint64_t count)
{
    unsigned __int128 ns = ((unsigned __int128)count * 1000000000 + c->cntfrq - 1) / c->cntfrq;
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

uint64_t arm_count(const ArmCpu *c) { return ns_to_count(c, (uint64_t)clock_ns(CLOCK_VIRTUAL_NS)); }

/* CNTVOFF does not apply to EL2 and EL0 of a host with E2H (D11.2.2). */
static uint64_t virtual_offset(const ArmCpu *c)
{
    if (!c->has.el2)
        return 0;
    bool host = c->has.vhe && c->hcr_el2 & HCR_E2H && (c->el == 2 || (c->el == 0 && arm_e2h_host(arm_hcr(c))));
    return host ? 0 : c->cntvoff_el2;
}

uint64_t arm_count_virtual(const ArmCpu *c) { return arm_count(c) - virtual_offset(c); }
uint64_t arm_rd_cntpct(ArmCpu *c, const ArmSysreg *r) { return arm_count(c); }
uint64_t arm_rd_cntvct(ArmCpu *c, const ArmSysreg *r) { return arm_count_virtual(c); }

static uint64_t offset_of(const ArmCpu *c, unsigned n)
{
    return n == ARM_TIMER_VIRT && c->has.el2 ? c->cntvoff_el2 : 0;
}

/* Under c->timer_lock. */
static void update_one(ArmCpu *c, unsigned n)
{
    uint64_t count = arm_count(c) - offset_of(c, n), cval = c->timer_cval[n];
    bool enabled = c->timer_ctl[n] & CTL_ENABLE, due = count >= cval;
    irq_set(&c->timer_out[n], enabled && due && !(c->timer_ctl[n] & CTL_IMASK));
    if (!c->timer[n])
        return;
    uint64_t at = cval + offset_of(c, n);
    int64_t ns = enabled && !due && at >= cval ? count_to_ns(c, at) : INT64_MAX;
    if (ns == INT64_MAX)
        timer_cancel(c->timer[n]);
    else
        timer_arm(c->timer[n], ns);
}

static void update(ArmCpu *c, unsigned n)
{
    lock_domain_lock(c->timer_lock);
    update_one(c, n);
    lock_domain_unlock(c->timer_lock);
}

void arm_timers_update(ArmCpu *c)
{
    if (c->v.kvm) /* the kernel's are the ones that run */
        return;
    for (unsigned n = 0; n < ARM_TIMER_COUNT && !c->m; n++)
        update(c, n);
    arm_pmu_resume(c);
}

/* --- registers --- */

static unsigned timer_of(const ArmSysreg *r) { return (r->offset - (unsigned)offsetof(ArmCpu, timer_cval)) / 8; }

/* TVAL and CTL see the offset that the count has for this access. */
static uint64_t count_for(const ArmCpu *c, unsigned n) { return arm_count(c) - offset_of(c, n); }

uint64_t arm_rd_timer_tval(ArmCpu *c, const ArmSysreg *r)
{
    unsigned n = timer_of(r);
    return (uint32_t)(c->timer_cval[n] - count_for(c, n));
}

uint64_t arm_rd_timer_ctl(ArmCpu *c, const ArmSysreg *r)
{
    unsigned n = timer_of(r);
    bool due = count_for(c, n) >= c->timer_cval[n] && c->timer_ctl[n] & CTL_ENABLE;
    return (c->timer_ctl[n] & (CTL_ENABLE | CTL_IMASK)) | (due ? CTL_ISTATUS : 0);
}

static void set(ArmCpu *c, unsigned n, uint64_t *field, uint64_t value)
{
    lock_domain_lock(c->timer_lock);
    *field = value;
    update_one(c, n);
    lock_domain_unlock(c->timer_lock);
}

void arm_wr_timer_tval(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    unsigned n = timer_of(r);
    set(c, n, &c->timer_cval[n], count_for(c, n) + (uint64_t)(int64_t)(int32_t)value);
}
void arm_wr_timer_ctl(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    unsigned n = timer_of(r);
    set(c, n, &c->timer_ctl[n], value & (CTL_ENABLE | CTL_IMASK));
}
void arm_wr_timer_cval(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    unsigned n = timer_of(r);
    set(c, n, &c->timer_cval[n], value);
}
void arm_wr_cntvoff(ArmCpu *c, const ArmSysreg *r, uint64_t value) { set(c, ARM_TIMER_VIRT, &c->cntvoff_el2, value); }
void arm_wr_cntkctl(ArmCpu *c, const ArmSysreg *r, uint64_t value)
{
    *arm_sysreg_field(c, r) = r->size == 4 ? (uint32_t)value : value;
}

/* --- waiting --- */

void arm_timer_wait(ArmCpu *c, int64_t ns)
{
    int64_t at = INT64_MAX;
    if (ns >= 0)
        at = clock_ns(CLOCK_VIRTUAL_NS) + ns;
    if (c->wfx_deadline != ~UINT64_C(0))
        at = MIN(at, count_to_ns(c, c->wfx_deadline + virtual_offset(c)));
    c->wfx_until = at;
    if (at != INT64_MAX)
        timer_arm(c->wfx_timer, at);
}

static void wfx_due(void *opaque)
{
    ArmCpu *c = opaque;
    vcpu_kick(&c->v);
}

/* --- making --- */

typedef struct TimerSlot { ArmCpu *c; unsigned n; } TimerSlot;

static void due(void *opaque)
{
    TimerSlot *s = opaque;
    update_one(s->c, s->n); /* the lock is held: it is the timer's domain */
}

void arm_timers_init(ArmCpu *c)
{
    c->timer_lock = lock_domain_new("arm timers");
    TimerSlot *slots = g_new0(TimerSlot, ARM_TIMER_COUNT);
    c->timer_slots = slots;
    for (unsigned n = 0; n < ARM_TIMER_COUNT; n++) {
        slots[n] = (TimerSlot){ c, n };
        c->timer[n] = timer_new(CLOCK_VIRTUAL_NS, c->timer_lock, due, &slots[n]);
    }
    c->wfx_timer = timer_new(CLOCK_VIRTUAL_NS, NULL, wfx_due, c);
    c->pmu_timer = timer_new(CLOCK_VIRTUAL_NS, c->timer_lock, arm_pmu_due, c);
}

void arm_timers_free(ArmCpu *c)
{
    for (unsigned n = 0; n < ARM_TIMER_COUNT; n++)
        timer_free(c->timer[n]);
    timer_free(c->wfx_timer);
    timer_free(c->pmu_timer);
    g_free(c->timer_slots);
    lock_domain_free(c->timer_lock);
}
