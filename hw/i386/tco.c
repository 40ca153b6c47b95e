/* SPDX-License-Identifier: MIT */
/* TCO watchdog: a 10-bit down counter at 0.6 s a tick; the second time-out resets (ICH9 datasheet section 13.9). */
#include "base/bits.h"
#include "hw/i386/tco.h"

#define TCO_TICK_NS INT64_C(600000000)

static void arm(Tco *t)
{
    unsigned ticks = t->tmr & 0x3ffu;

    if (t->tco1_cnt & TCO1_CNT_HALT)
        timer_cancel(t->timer);
    else
        timer_arm(t->timer, clock_ns(CLOCK_VIRTUAL_NS) + MAX(ticks, 2u) * TCO_TICK_NS);
}

static void fired(void *opaque)
{
    Tco *t = opaque;
    bool second = t->timed_out_once;

    if (second)
        t->tco2_sts |= TCO2_STS_SECOND_TO;
    else
        t->tco1_sts |= TCO1_STS_TIMEOUT;
    t->timed_out_once = !second;
    t->expired(t->owner, second);
    arm(t);
}

void tco_start(Tco *t, Device *owner, void (*expired)(Device *owner, bool second))
{
    t->owner = owner;
    t->expired = expired;
    t->timer = timer_new(CLOCK_VIRTUAL_NS, owner->domain, fired, t);
}

void tco_stop(Tco *t)
{
    g_clear_pointer(&t->timer, timer_free);
}

/* The counter stands still until software that feeds it has reloaded it once. */
void tco_reset(Tco *t, ResetPhase phase)
{
    if (phase != RESET_ENTER)
        return;
    t->timed_out_once = false;
    timer_cancel(t->timer);
}

void tco_loaded(Tco *t)
{
    if (t->tco1_cnt & TCO1_CNT_HALT)
        timer_cancel(t->timer);
}

#define TCO_OF(d, r, member) ((Tco *)((char *)(d) + (r)->field - offsetof(Tco, member)))

uint64_t tco_rld_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Tco *t = TCO_OF(d, r, rld);
    int64_t left =
        timer_armed(t->timer) ? timer_deadline(t->timer) - clock_ns(CLOCK_VIRTUAL_NS) : 0;

    return left > 0 ? (uint64_t)(left / TCO_TICK_NS) & 0x3ff : t->tmr & 0x3ffu;
}

void tco_rld_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Tco *t = TCO_OF(d, r, rld);

    t->timed_out_once = false;
    t->tco1_sts &= (uint16_t)~TCO1_STS_TIMEOUT;
    arm(t);
}

void tco_cnt_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Tco *t = TCO_OF(d, r, tco1_cnt);

    t->tco1_cnt |= (uint16_t)(old & TCO1_CNT_LOCK);
    if ((t->tco1_cnt ^ old) & TCO1_CNT_HALT)
        arm(t);
}
