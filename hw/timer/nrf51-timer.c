/* SPDX-License-Identifier: MIT */
/* TIMER and RTC of the nRF51 (Reference Manual 3.0, chapters 17 and 18). */
#include "hw/misc/nrf51.h"
#include "hw/timer/ticks.h"

enum { CC_COUNT = 4, EVENT_COMPARE = 16, EVENT_TICK = 0, EVENT_OVERFLOW = 1 };
enum { TASK_START, TASK_STOP, TASK_COUNT, TASK_CLEAR, TASK_SHUTDOWN, TASK_CAPTURE = 16 };

typedef struct NrfTimer {
    NrfPeriph p;
    Ticks t;
    uint64_t seen;        /* compares up to this count have had their events */
    uint32_t mode, bitmode, prescaler, cc[CC_COUNT], evten;
    Timer *timer;
} NrfTimer;

static bool is_rtc(const NrfTimer *s) { return !strcmp(s->p.dev.type->name, "nrf51-rtc"); }

static uint32_t mask(const NrfTimer *s)
{
    static const uint32_t masks[4] = { 0xffff, 0xff, 0xffffff, 0xffffffff };
    return is_rtc(s) ? 0xffffff : masks[s->bitmode & 3];
}

/* The first count above `from` that compare n matches. */
static uint64_t next_match(const NrfTimer *s, unsigned n, uint64_t from)
{
    uint64_t period = (uint64_t)mask(s) + 1, at = (from / period) * period + (s->cc[n] & mask(s));
    return at > from ? at : at + period;
}

static uint64_t next_overflow(const NrfTimer *s, uint64_t from)
{
    uint64_t period = (uint64_t)mask(s) + 1;
    return (from / period + 1) * period;
}

static uint32_t watched(const NrfTimer *s)
{
    return is_rtc(s) ? s->p.inten | s->evten : s->p.inten | UINT32_C(0xf) << EVENT_COMPARE;
}

static void rearm(NrfTimer *s)
{
    uint64_t when = UINT64_MAX;
    if (!s->t.running) {
        timer_cancel(s->timer);
        return;
    }
    for (unsigned n = 0; n < CC_COUNT; n++) {
        if (watched(s) >> (EVENT_COMPARE + n) & 1 || s->p.shorts)
            when = MIN(when, next_match(s, n, s->seen));
    }
    if (is_rtc(s) && watched(s) >> EVENT_OVERFLOW & 1)
        when = MIN(when, next_overflow(s, s->seen));
    if (is_rtc(s) && watched(s) >> EVENT_TICK & 1)
        when = MIN(when, s->seen + 1);
    int64_t ns = when == UINT64_MAX ? INT64_MAX : ticks_when(&s->t, when);
    if (ns == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, ns);
}

static void clear(NrfTimer *s, uint64_t value)
{
    ticks_set(&s->t, value);
    s->seen = value;
}

/* Give the events of all that was counted since the last look. */
static void advance(NrfTimer *s)
{
    uint64_t now = ticks_get(&s->t), overrun = 0;
    bool stop = false, back = false;
    if (now <= s->seen)
        return;
    for (unsigned n = 0; n < CC_COUNT; n++) {
        uint64_t at = next_match(s, n, s->seen);
        if (at > now)
            continue;
        nrf_event(&s->p, EVENT_COMPARE + n);
        if (!is_rtc(s) && s->p.shorts >> n & 1)
            back = true, overrun = now - at;
        if (!is_rtc(s) && s->p.shorts >> (8 + n) & 1)
            stop = true;
    }
    if (is_rtc(s) && next_overflow(s, s->seen) <= now)
        nrf_event(&s->p, EVENT_OVERFLOW);
    if (is_rtc(s))
        nrf_event(&s->p, EVENT_TICK);
    s->seen = now;
    if (back) { /* COMPAREn_CLEAR: what was counted since stays, modulo the period */
        uint64_t period = UINT64_MAX;
        for (unsigned n = 0; n < CC_COUNT; n++) {
            if (s->p.shorts >> n & 1 && s->cc[n])
                period = MIN(period, s->cc[n]);
        }
        clear(s, period == UINT64_MAX ? 0 : overrun % period);
    }
    if (stop)
        ticks_run(&s->t, false);
}

static void expired(void *opaque)
{
    NrfTimer *s = opaque;
    advance(s);
    rearm(s);
}

static void rate(NrfTimer *s)
{
    if (is_rtc(s))
        ticks_rate(&s->t, 32768, s->prescaler + UINT64_C(1));
    else
        ticks_rate(&s->t, 16000000, UINT64_C(1) << MIN(s->prescaler, 9u));
}

static void timer_task(NrfPeriph *p, unsigned n)
{
    NrfTimer *s = (NrfTimer *)p;
    bool counter = s->mode & 1;
    advance(s);
    if (n == TASK_START)
        ticks_run(&s->t, !counter);
    else if (n == TASK_STOP || n == TASK_SHUTDOWN)
        ticks_run(&s->t, false);
    else if (n == TASK_COUNT && counter)
        ticks_set(&s->t, ticks_get(&s->t) + 1);
    else if (n == TASK_CLEAR)
        clear(s, 0);
    else if (n >= TASK_CAPTURE && n < TASK_CAPTURE + CC_COUNT)
        s->cc[n - TASK_CAPTURE] = (uint32_t)ticks_get(&s->t) & mask(s);
    advance(s);
    rearm(s);
}

static void rtc_task(NrfPeriph *p, unsigned n)
{
    NrfTimer *s = (NrfTimer *)p;
    advance(s);
    if (n == 0 || n == 1)
        ticks_run(&s->t, n == 0);
    else if (n == 2)
        clear(s, 0);
    else if (n == 3)
        clear(s, 0xfffff0);
    rearm(s);
}

static uint32_t read_reg(NrfPeriph *p, uint32_t at)
{
    NrfTimer *s = (NrfTimer *)p;
    advance(s);
    if (at >= 0x540 && at < 0x540 + 4 * CC_COUNT)
        return s->cc[(at - 0x540) / 4];
    if (is_rtc(s))
        return at == 0x504                  ? (uint32_t)ticks_get(&s->t) & 0xffffff
               : at == 0x508                ? s->prescaler
               : at >= 0x340 && at <= 0x348 ? s->evten
                                            : 0;
    return at == 0x504 ? s->mode : at == 0x508 ? s->bitmode : at == 0x510 ? s->prescaler : 0;
}

static void rtc_write(NrfTimer *s, uint32_t at, uint32_t value)
{
    switch (at) {
    case 0x340: s->evten = value; break;
    case 0x344: s->evten |= value; break;
    case 0x348: s->evten &= ~value; break;
    case 0x508: s->prescaler = value & 0xfff; break;
    }
}

static void write_reg(NrfPeriph *p, uint32_t at, uint32_t value)
{
    NrfTimer *s = (NrfTimer *)p;
    advance(s);
    if (at >= 0x540 && at < 0x540 + 4 * CC_COUNT)
        s->cc[(at - 0x540) / 4] = value & mask(s);
    else if (is_rtc(s))
        rtc_write(s, at, value);
    else if (at == 0x504)
        s->mode = value & 1;
    else if (at == 0x508)
        s->bitmode = value & 3;
    else if (at == 0x510)
        s->prescaler = value & 15;
    rate(s);
    rearm(s);
}

static void cleared(NrfPeriph *p, unsigned event) { rearm((NrfTimer *)p); }

static void init(Device *d) { ((NrfTimer *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, expired, d); }
static void stop(Device *d) { timer_free(((NrfTimer *)d)->timer); }

static void reset(Device *d, ResetPhase phase)
{
    NrfTimer *s = (NrfTimer *)d;
    nrf51_base_type.reset(d, phase);
    if (phase != RESET_ENTER)
        return;
    timer_cancel(s->timer);
    s->mode = s->bitmode = s->evten = 0;
    s->prescaler = is_rtc(s) ? 0 : 4;
    memset(s->cc, 0, sizeof s->cc);
    s->seen = 0;
    s->t = (Ticks){ 0 };
    rate(s);
}

static bool loaded(Device *d, Error **errp)
{
    ticks_loaded(&((NrfTimer *)d)->t, 16000000);
    return true;
}

static const StateField state[] = {
    STATE_STRUCT(NrfTimer, t, ticks_state),
    STATE_U64(NrfTimer, seen),
    STATE_U32(NrfTimer, mode),
    STATE_U32(NrfTimer, bitmode),
    STATE_U32(NrfTimer, prescaler),
    STATE_U32_ARRAY(NrfTimer, cc),
    STATE_U32(NrfTimer, evten),
    STATE_TIMER(NrfTimer, timer),
    STATE_END_OF_TABLE,
};
static const NrfType timer_class = { .task = timer_task, .read = read_reg, .write = write_reg, .cleared = cleared };
static const NrfType rtc_class = { .task = rtc_task, .read = read_reg, .write = write_reg, .cleared = cleared };
#define COMMON \
    .category = "Misc", .size = sizeof(NrfTimer), .base = &nrf51_base_type, .state = state, .init = init, \
    .reset = reset, \
    .loaded = loaded, .stop = stop
static const DeviceType nrf51_timer_type = {
    .name = "nrf51-timer", .desc = "nRF51 timer", COMMON, .class_data = &timer_class
};
static const DeviceType nrf51_rtc_type = {
    .name = "nrf51-rtc", .desc = "nRF51 real-time counter", COMMON, .class_data = &rtc_class
};
DEVICE_REGISTER(nrf51_timer_type)
DEVICE_REGISTER(nrf51_rtc_type)
