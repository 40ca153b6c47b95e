/* SPDX-License-Identifier: MIT */
/*
 * General-purpose timers of STM32F1 and STM32F4 (RM0090, chapter 18): up-counting, update and four compare channels as
 * outputs.
 */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/timer/ticks.h"

enum { CR1_CEN = 1, CR1_UDIS = 2, CR1_URS = 4, CR1_OPM = 8, CHANNELS = 4, MAX_REQUESTS = 1024 };

typedef struct Stm32Timer {
    Device dev; /* always first */
    Ticks t;
    uint64_t seen;
    uint32_t cr1, cr2, smcr, dier, sr, ccmr[2], ccer, psc, arr, rcr, ccr[CHANNELS], bdtr, dcr, dmar, hz;
    bool wide;
    Timer *timer;
} Stm32Timer;

static void update(Stm32Timer *s) { device_out(&s->dev, 0, (s->sr & s->dier & 0xff) != 0); }
static uint64_t period(const Stm32Timer *s) { return (uint64_t)s->arr + 1; }

/* The next count after `from` at which the counter, modulo the period, is `at`; period() itself: an update. */
static uint64_t next(const Stm32Timer *s, uint64_t from, uint64_t at)
{
    uint64_t p = period(s), n = from / p * p + at;
    return n > from ? n : n + p;
}

static void rearm(Stm32Timer *s)
{
    uint64_t when = UINT64_MAX;
    if (s->t.running && (s->dier & 0x101 || s->cr1 & CR1_OPM))
        when = next(s, s->seen, period(s));
    for (unsigned i = 0; i < CHANNELS && s->t.running; i++) {
        if (s->dier >> (i + 1) & 0x101 && s->ccr[i] < period(s))
            when = MIN(when, next(s, s->seen, s->ccr[i]));
    }
    int64_t ns = when == UINT64_MAX ? INT64_MAX : ticks_when(&s->t, when);
    if (ns == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, ns);
}

/* A request to the DMA for each time that the counter was `at` after `from`, up to `to`. */
static void ask(Stm32Timer *s, unsigned event, uint64_t from, uint64_t to, uint64_t at)
{
    uint64_t first = next(s, from, at);
    if (!(s->dier >> (8 + event) & 1) || first > to)
        return;
    for (uint64_t n = MIN((to - first) / period(s) + 1, (uint64_t)MAX_REQUESTS); n; n--)
        irq_pulse(&s->dev.out[1 + event]);
}

static void advance(Stm32Timer *s)
{
    uint64_t now = ticks_get(&s->t);
    if (now <= s->seen)
        return;
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (s->ccr[i] < period(s) && next(s, s->seen, s->ccr[i]) <= now)
            s->sr |= 2u << i;
        if (s->ccr[i] < period(s))
            ask(s, i + 1, s->seen, now, s->ccr[i]);
    }
    if (!(s->cr1 & CR1_UDIS))
        ask(s, 0, s->seen, now, period(s));
    if (next(s, s->seen, period(s)) <= now && !(s->cr1 & CR1_UDIS)) {
        s->sr |= 1;
        if (s->cr1 & CR1_OPM) {
            s->cr1 &= ~(uint32_t)CR1_CEN;
            ticks_run(&s->t, false);
            ticks_set(&s->t, 0);
            now = 0;
        }
    }
    s->seen = now;
    update(s);
}

static void expired(void *opaque)
{
    advance(opaque);
    rearm(opaque);
}

static void restart(Stm32Timer *s, uint64_t count)
{
    ticks_rate(&s->t, s->hz, (s->psc & 0xffff) + UINT64_C(1));
    ticks_set(&s->t, count);
    s->seen = count;
}

static uint64_t cnt_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Stm32Timer *s = (Stm32Timer *)d;
    advance(s);
    return ticks_get(&s->t) % period(s);
}
static uint64_t sr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    advance((Stm32Timer *)d);
    return ((Stm32Timer *)d)->sr;
}

/* Status bits are cleared by writing 0. */
static void sr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Timer *s = (Stm32Timer *)d;
    advance(s);
    s->sr &= (uint32_t)value;
    update(s);
    rearm(s);
}

static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Timer *s = (Stm32Timer *)d;
    switch (r->at) {
    case 0x00: ticks_run(&s->t, s->cr1 & CR1_CEN); break;
    case 0x14:
        if (value & 1) { /* UG: reinitialise */
            restart(s, 0);
            s->sr |= s->cr1 & CR1_URS ? 0 : 1;
        }
        s->sr |= (uint32_t)value & 0x5e;
        break;
    case 0x24: restart(s, s->wide ? (uint32_t)value : value & 0xffff); break;
    case 0x2c:
    case 0x34:
        if (!s->wide)
            s->arr &= 0xffff, s->ccr[i] &= 0xffff;
        break;
    }
    advance(s);
    update(s);
    rearm(s);
}

#define R(n, a, f) { .name = n, .at = a, .size = 4, .field = offsetof(Stm32Timer, f), .wrote = wrote }
static const Reg regs[] = {
    R("CR1", 0x00, cr1), R("CR2", 0x04, cr2), R("SMCR", 0x08, smcr), R("DIER", 0x0c, dier),
    { .name = "SR", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = sr_read, .wrote = sr_wrote },
    { .name = "EGR", .at = 0x14, .size = 4, .field = REG_NO_FIELD, .wrote = wrote },
    { .name = "CCMR", .at = 0x18, .size = 4, .count = 2, .field = offsetof(Stm32Timer, ccmr), .wrote = wrote },
    R("CCER", 0x20, ccer),
    { .name = "CNT", .at = 0x24, .size = 4, .field = REG_NO_FIELD, .read = cnt_read, .wrote = wrote },
    R("PSC", 0x28, psc),
    { .name = "ARR", .at = 0x2c, .size = 4, .field = offsetof(Stm32Timer, arr), .reset = 0xffff, .wrote = wrote },
    R("RCR", 0x30, rcr),
    { .name = "CCR", .at = 0x34, .size = 4, .count = CHANNELS, .field = offsetof(Stm32Timer, ccr), .wrote = wrote },
    R("BDTR", 0x44, bdtr), R("DCR", 0x48, dcr), R("DMAR", 0x4c, dmar),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x400, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = {
    STATE_STRUCT(Stm32Timer, t, ticks_state), STATE_U64(Stm32Timer, seen), STATE_U32(Stm32Timer, sr),
    STATE_TIMER(Stm32Timer, timer),           STATE_END_OF_TABLE,
};
static const Property props[] = {
    DEFINE_PROP_U32("clock-frequency", Stm32Timer, hz, 1000000000, "Hz of its clock"),
    DEFINE_PROP_BOOL("wide", Stm32Timer, wide, 0, "32 bits (TIM2 and TIM5)"), DEFINE_PROP_END,
};
static const char *const pins[] = { "irq", "dma*5", NULL };

static void init(Device *d) { ((Stm32Timer *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, expired, d); }
static void stop(Device *d) { timer_free(((Stm32Timer *)d)->timer); }

static void reset(Device *d, ResetPhase phase)
{
    Stm32Timer *s = (Stm32Timer *)d;
    if (phase == RESET_ENTER) {
        timer_cancel(s->timer);
        s->t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 1 };
        s->seen = s->sr = 0;
        s->arr = s->wide ? UINT32_MAX : 0xffff;
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool loaded(Device *d, Error **errp)
{
    ticks_loaded(&((Stm32Timer *)d)->t, ((Stm32Timer *)d)->hz);
    return true;
}

static const DeviceType stm32_timer_type = {
    .name = "stm32f2xx-timer",
    .desc = "STM32F1/F2/F4 timer",
    .category = "Misc",
    .size = sizeof(Stm32Timer),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = pins,
    .init = init,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(stm32_timer_type)
