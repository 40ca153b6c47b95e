/* SPDX-License-Identifier: MIT */
/* Counters on the virtual clock. */
#include "hw/timer/ticks.h"

#include <glib.h>

const StateField ticks_state[] = { STATE_TICKS_FIELDS, STATE_END_OF_TABLE };

static uint64_t now_ns(void) { return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS); }

uint64_t ticks_get(const Ticks *t)
{
    uint64_t now = now_ns();
    if (!t->running || now <= t->since_ns)
        return t->base;
    return t->base + (uint64_t)((unsigned __int128)(now - t->since_ns) * t->hz / t->div / TICKS_NS_PER_S);
}

void ticks_set(Ticks *t, uint64_t value)
{
    t->base = value;
    t->since_ns = now_ns();
}

void ticks_run(Ticks *t, bool run)
{
    if (run == t->running)
        return;
    ticks_set(t, ticks_get(t));
    t->running = run;
}

void ticks_rate(Ticks *t, uint64_t hz, uint64_t div)
{
    if (t->hz && t->div)
        ticks_set(t, ticks_get(t));
    t->hz = hz ? hz : 1;
    t->div = div ? div : 1;
}

int64_t ticks_when(const Ticks *t, uint64_t value)
{
    if (!t->running)
        return INT64_MAX;
    if (value <= t->base)
        return (int64_t)now_ns() + TICKS_MIN_NS;
    unsigned __int128 ns = ((unsigned __int128)(value - t->base) * t->div * TICKS_NS_PER_S + t->hz - 1) / t->hz;
    if (ns > INT64_MAX / 2 || t->since_ns > INT64_MAX / 4)
        return INT64_MAX;
    return MAX((int64_t)(t->since_ns + (uint64_t)ns), (int64_t)now_ns() + TICKS_MIN_NS);
}

void ticks_loaded(Ticks *t, uint64_t hz)
{
    t->hz = t->hz ? t->hz : hz ? hz : 1;
    t->div = t->div ? t->div : 1;
}
