/* SPDX-License-Identifier: MIT */
/* A counter that follows the virtual clock at a frequency: what the timers of microcontrollers are made of. */
#ifndef HW_TIMER_TICKS_H
#define HW_TIMER_TICKS_H

#include "base/bits.h"
#include "base/clock.h"
#include "hw/core/state.h"

#define TICKS_NS_PER_S UINT64_C(1000000000)
#define TICKS_MIN_NS 10000 /* host timers are not armed closer than that: faster periods come in bundles */

/*
 * Counts up from `base`, which it had at since_ns; ticks take `div` periods of `hz`. Plain state: the owner saves it.
 */
typedef struct Ticks {
    uint64_t base, since_ns;
    uint64_t hz, div;
    bool running;
} Ticks;

#define STATE_TICKS_FIELDS \
    STATE_U64(Ticks, base), STATE_U64(Ticks, since_ns), STATE_U64(Ticks, hz), STATE_U64(Ticks, div), \
        STATE_BOOL(Ticks, running)
extern const StateField ticks_state[];

uint64_t ticks_get(const Ticks *t);
void ticks_set(Ticks *t, uint64_t value);           /* counts on from there */
void ticks_run(Ticks *t, bool run);
void ticks_rate(Ticks *t, uint64_t hz, uint64_t div); /* 0: 1 */
/* Virtual time at which the count is `value` (not before TICKS_MIN_NS from now); INT64_MAX when it never is. */
int64_t ticks_when(const Ticks *t, uint64_t value);
/* Bring untrusted state into range. */
void ticks_loaded(Ticks *t, uint64_t hz);
#endif
