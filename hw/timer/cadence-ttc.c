/* SPDX-License-Identifier: MIT */
/*
 * The triple timer counter of Zynq-7000 (UG585, 8.5 and B.32): three 16-bit counters with interval, three matches and
 * overflow.
 */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/timer/ticks.h"

enum {
    COUNTERS = 3,
    MATCHES = 3,
    CNT_DIS = 1,
    CNT_INT = 2,
    CNT_DEC = 4,
    CNT_MATCH = 8,
    CNT_RST = 0x10,
    ISR_OVERFLOW = 0x10
};

typedef struct Counter {
    Ticks t;
    uint64_t seen; /* ticks up to which events are in the status */
    Timer *timer;
    struct Ttc *owner;
} Counter;

typedef struct Ttc {
    Device dev; /* always first */
    Counter c[COUNTERS];
    uint32_t hz, clock[COUNTERS], control[COUNTERS], interval[COUNTERS], match[COUNTERS * MATCHES], isr[COUNTERS],
        ier[COUNTERS], event[COUNTERS];
} Ttc;

static uint64_t period(const Ttc *s, unsigned i)
{
    return (s->control[i] & CNT_INT ? s->interval[i] & 0xffff : 0xffff) + UINT64_C(1);
}

/* Where in a period the count has the value. */
static uint64_t place(const Ttc *s, unsigned i, uint64_t value)
{
    return s->control[i] & CNT_DEC ? (period(s, i) - value) % period(s, i) : value;
}

/* The first tick after n that is at this place of a period. */
static uint64_t next_at(const Ttc *s, unsigned i, uint64_t n, uint64_t at)
{
    uint64_t p = period(s, i), tick = n - n % p + at;
    return tick > n ? tick : tick + p;
}

/* Note what has happened since the last time, and find what is next: a wrap, or a match. */
static void step(Ttc *s, unsigned i)
{
    Counter *c = &s->c[i];
    uint64_t n = ticks_get(&c->t), next = next_at(s, i, n, 0);
    if (n / period(s, i) > c->seen / period(s, i))
        s->isr[i] |= s->control[i] & CNT_INT ? 1 : ISR_OVERFLOW;
    for (unsigned m = 0; m < MATCHES && s->control[i] & CNT_MATCH; m++) {
        uint32_t value = s->match[m * COUNTERS + i] & 0xffff;
        if (value >= period(s, i))
            continue;
        if (next_at(s, i, c->seen, place(s, i, value)) <= n)
            s->isr[i] |= 2u << m;
        next = MIN(next, next_at(s, i, n, place(s, i, value)));
    }
    c->seen = n;
    device_out(&s->dev, i, (s->isr[i] & s->ier[i]) != 0);
    int64_t when = s->ier[i] ? ticks_when(&c->t, next) : INT64_MAX;
    if (when == INT64_MAX)
        timer_cancel(c->timer);
    else
        timer_arm(c->timer, when);
}

static void expired(void *opaque)
{
    Counter *c = opaque;
    step(c->owner, (unsigned)(c - c->owner->c));
}

static void clock_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Ttc *s = (Ttc *)d;
    ticks_rate(&s->c[i].t, s->hz, value & 1 ? UINT64_C(2) << (value >> 1 & 15) : 1);
    step(s, i);
}

static void control_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Ttc *s = (Ttc *)d;
    if (s->control[i] & CNT_RST || (old ^ value) & (CNT_INT | CNT_DEC)) {
        ticks_set(&s->c[i].t, 0);
        s->c[i].seen = 0;
    }
    s->control[i] &= ~(uint32_t)CNT_RST;
    ticks_run(&s->c[i].t, !(s->control[i] & CNT_DIS));
    step(s, i);
}

/* A new interval or match counts from now on; the count goes on from where it is. */
static void limit_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Ttc *s = (Ttc *)d;
    unsigned n = i % COUNTERS;
    uint64_t now = ticks_get(&s->c[n].t) % period(s, n);
    if (r->at == 0x24)
        ticks_set(&s->c[n].t, now % period(s, n));
    s->c[n].seen = ticks_get(&s->c[n].t);
    step(s, n);
}

static uint64_t value_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Ttc *s = (Ttc *)d;
    uint64_t n = ticks_get(&s->c[i].t) % period(s, i);
    return s->control[i] & CNT_DEC ? (period(s, i) - n) % period(s, i) : n;
}

static uint64_t isr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Ttc *s = (Ttc *)d;
    step(s, i);
    uint32_t v = s->isr[i];
    s->isr[i] = 0;
    step(s, i);
    return v;
}
static void ier_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { step((Ttc *)d, i); }

#define R(name_, at_, f, ...) \
    { .name = name_, .at = at_, .size = 4, .count = COUNTERS, .stride = 4, .field = f, __VA_ARGS__ }
#define F(f) offsetof(Ttc, f)
static const Reg regs[] = {
    R("CLK_CNTRL", 0x00, F(clock), .rsvd = 0xffffff80, .wrote = clock_wrote),
    R("CNT_CNTRL", 0x0c, F(control), .reset = 0x21, .rsvd = 0xffffff80, .wrote = control_wrote),
    R("CNT_VALUE", 0x18, REG_NO_FIELD, .read = value_read, .access = REG_RO),
    R("INTERVAL", 0x24, F(interval), .rsvd = 0xffff0000, .wrote = limit_wrote),
    { .name = "MATCH",
      .at = 0x30,
      .size = 4,
      .count = COUNTERS * MATCHES,
      .stride = 4,
      .field = F(match),
      .rsvd = 0xffff0000,
      .wrote = limit_wrote },
    R("ISR", 0x54, F(isr), .read = isr_read, .access = REG_RO),
    R("IER", 0x60, F(ier), .rsvd = 0xffffffc0, .wrote = ier_wrote),
    R("EVENT_CNTRL", 0x6c, F(event)),
    R("EVENT", 0x78, REG_NO_FIELD, .access = REG_RO),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const Property props[] = { DEFINE_PROP_U32("clock-frequency", Ttc, hz, 133000000, "Hz of its clock"),
                                  DEFINE_PROP_END };
static const StateField counter_state[] = { STATE_STRUCT(Counter, t, ticks_state), STATE_U64(Counter, seen),
                                            STATE_TIMER(Counter, timer), STATE_END_OF_TABLE };
static const StateField state[] = { STATE_STRUCT_ARRAY(Ttc, c, counter_state), STATE_END_OF_TABLE };
static const char *const pins[] = { "irq*3", NULL };

static void init(Device *d)
{
    Ttc *s = (Ttc *)d;
    for (unsigned i = 0; i < COUNTERS; i++) {
        s->c[i].owner = s;
        s->c[i].timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, expired, &s->c[i]);
    }
}

static void reset(Device *d, ResetPhase phase)
{
    Ttc *s = (Ttc *)d;
    for (unsigned i = 0; i < COUNTERS; i++) {
        if (phase == RESET_ENTER) {
            s->c[i].t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 1 };
            s->c[i].seen = 0;
            timer_cancel(s->c[i].timer);
        } else if (phase == RESET_HOLD) {
            device_out(d, i, 0);
        }
    }
}

static bool loaded(Device *d, Error **errp)
{
    Ttc *s = (Ttc *)d;
    for (unsigned i = 0; i < COUNTERS; i++) {
        ticks_loaded(&s->c[i].t, s->hz);
        s->c[i].seen = MIN(s->c[i].seen, UINT64_MAX / 4);
    }
    return true;
}

static void stop(Device *d)
{
    for (unsigned i = 0; i < COUNTERS; i++)
        timer_free(((Ttc *)d)->c[i].timer);
}

static const DeviceType ttc_type = {
    .name = "cadence_ttc",
    .desc = "Cadence triple timer counter",
    .category = "Misc",
    .size = sizeof(Ttc),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = pins,
    .init = init,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(ttc_type)
