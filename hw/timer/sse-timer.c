/* SPDX-License-Identifier: MIT */
/*
 * System counter, system timers and watchdogs of SSE-300 (101773, sections 3.7, 3.8 and 5.5): one counter that all
 * timers compare with. Scaling is done with 24 fraction bits (CNTSCR) while the counter stands under CNTCR.SCEN.
 */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/timer/ticks.h"

/* --- the counter: control frame (region 0) and status frame (region 1) --- */

enum { CNTCR_EN = 1, CNTCR_SCEN = 4, FRACTION = 24, COUNTER_TIMERS = 6 };
typedef struct SseCounter {
    Device dev; /* always first */
    Ticks t;    /* in units of 2^-24 counts when scaled */
    uint64_t hz;
    uint32_t cr, scr[2];
} SseCounter;

static uint64_t step(const SseCounter *s) { return s->cr & CNTCR_SCEN ? s->scr[0] : UINT64_C(1) << FRACTION; }

/* Ticks of the clock since the count was `base` of it; the count itself is kept in 64 bits apart. */
static uint64_t count(const SseCounter *s)
{
    Ticks since = s->t;
    since.base = 0;
    return s->t.base + (uint64_t)((unsigned __int128)ticks_get(&since) * step(s) >> FRACTION);
}

static int64_t count_when(const SseCounter *s, uint64_t value)
{
    Ticks since = s->t;
    since.base = 0;
    if (!step(s))
        return INT64_MAX;
    uint64_t wait = value > s->t.base ? value - s->t.base : 0;
    unsigned __int128 ticks = (((unsigned __int128)wait << FRACTION) + step(s) - 1) / step(s);
    return ticks > INT64_MAX ? INT64_MAX : ticks_when(&since, (uint64_t)ticks);
}

static void told(SseCounter *s)
{
    for (unsigned i = 0; i < COUNTER_TIMERS; i++)
        device_out(&s->dev, i, 1);
}

static void counter_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SseCounter *s = (SseCounter *)d;
    uint64_t now = count(s);
    uint32_t v = (uint32_t)value;
    switch (r->at) {
    case 0x00:
        ticks_set(&s->t, now);
        s->cr = v & 0xf;
        s->t.running = s->cr & CNTCR_EN;
        break;
    case 0x08: ticks_set(&s->t, i ? (now & UINT32_MAX) | value << 32 : (now & ~(uint64_t)UINT32_MAX) | v); break;
    default: /* CNTSCR and its other name */
        ticks_set(&s->t, now);
        s->scr[r->at == 0xd0 ? i : 0] = v;
        break;
    }
    told(s);
}

static uint64_t counter_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const SseCounter *s = (SseCounter *)d;
    switch (r->at) {
    case 0x00: return s->cr;
    case 0x04: return 0;
    case 0x08: return count(s) >> 32 * i & UINT32_MAX;
    case 0x1c: return 0x20001; /* CNTID: scaling is there, one of two clocks is in use */
    default: return s->scr[r->at == 0xd0 ? i : 0];
    }
}

static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return count((SseCounter *)d) >> 32 * i & UINT32_MAX;
}

static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t part[] = { 0xba, 0xbb, 0xb7 },
                         rest[12] = { 4, 0, 0, 0, 0, 0xb0, 0x0b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    unsigned which = (unsigned)(r->reset & 3);
    return i == 4 ? part[which] : rest[i];
}

#define R(n, a, c, acc) \
    { .name = n, .at = a, .size = 4, .count = c, .field = REG_NO_FIELD, .read = counter_read, .wrote = counter_wrote, \
        .access = acc }
#define ID(which) \
    { .name = "ID", .at = 0xfd0, .size = 4, .count = 12, .field = REG_NO_FIELD, .reset = which, .read = id_read, \
        .access = REG_RO }
static const Reg control_regs[] = {
    R("CNTCR", 0x00, 1, 0),
    R("CNTSR", 0x04, 1, REG_RO),
    R("CNTCV", 0x08, 2, 0),
    R("CNTSCR", 0x10, 1, 0),
    R("CNTID", 0x1c, 1, REG_RO),
    R("CNTSCR0", 0xd0, 2, 0),
    ID(0),
    { .name = NULL },
};
#undef R
static const Reg status_regs[] = {
    { .name = "CNTCV", .at = 0, .size = 4, .count = 2, .field = REG_NO_FIELD, .read = status_read, .access = REG_RO },
    ID(1),
    { .name = NULL },
};
static const RegBank control_bank = { .name = "control", .size = 0x1000, .regs = control_regs },
                     status_bank = { .name = "status", .size = 0x1000, .regs = status_regs };
static const RegBank *const counter_banks[] = { &control_bank, &status_bank, NULL };
static const StateField counter_state[] = {
    STATE_STRUCT(SseCounter, t, ticks_state),
    STATE_U32(SseCounter, cr),
    STATE_U32_ARRAY(SseCounter, scr),
    STATE_END_OF_TABLE,
};
static const Property counter_props[] = {
    DEFINE_PROP_U64("clock-frequency", SseCounter, hz, 32000000, "Hz of its clock"), DEFINE_PROP_END
};
static const char *const counter_pins[] = { "changed*6", NULL };

static void counter_reset(Device *d, ResetPhase phase)
{
    SseCounter *s = (SseCounter *)d;
    if (phase == RESET_ENTER) {
        s->t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 1 };
        s->cr = 0;
        s->scr[0] = s->scr[1] = 1u << FRACTION;
    } else if (phase == RESET_HOLD) {
        told(s);
    }
}

static bool counter_loaded(Device *d, Error **errp)
{
    ticks_loaded(&((SseCounter *)d)->t, ((SseCounter *)d)->hz);
    return true;
}

static const DeviceType counter_type = {
    .name = "sse-counter",
    .desc = "SSE-300 system counter",
    .category = "Misc",
    .size = sizeof(SseCounter),
    .banks = counter_banks,
    .props = counter_props,
    .state = counter_state,
    .out_pins = counter_pins,
    .reset = counter_reset,
    .loaded = counter_loaded,
};
DEVICE_REGISTER(counter_type)

/* The one that a timer or watchdog follows; NULL: there is none. */
static SseCounter *find_counter(const Device *d, const char *id, Error **errp)
{
    Device *counter = id ? device_find(id) : NULL;
    if (counter && counter->type == &counter_type)
        return (SseCounter *)counter;
    error_setf(errp, "device '%s': counter=%s: there is no sse-counter of that name", d->id, id ? id : "");
    return NULL;
}

/* --- a timer --- */

enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4, AIVAL_EN = 1, AIVAL_CLR = 2 };
typedef struct SseTimer {
    Device dev; /* always first */
    char *counter_id;
    SseCounter *counter;
    uint64_t cval, aival;
    uint32_t frq, ctl, reload, aival_ctl;
    Timer *timer;
} SseTimer;

/* With auto-increment AIVAL is what counts, and the status stays until it is cleared. */
static bool due(const SseTimer *s)
{
    if (s->aival_ctl & AIVAL_EN)
        return s->aival_ctl & AIVAL_CLR;
    return count(s->counter) >= s->cval;
}

static void timer_update(void *opaque)
{
    SseTimer *s = opaque;
    bool on = s->ctl & CTL_ENABLE, automatic = s->aival_ctl & AIVAL_EN;
    uint64_t now = count(s->counter);
    if (on && automatic && now >= s->aival) {
        uint64_t every = MAX(s->reload, 1u);
        s->aival += ((now - s->aival) / every + 1) * every;
        s->aival_ctl |= AIVAL_CLR;
    }
    device_out(&s->dev, 0, on && due(s) && !(s->ctl & CTL_IMASK));
    uint64_t next = automatic ? s->aival : s->cval;
    int64_t ns = on && next > now ? count_when(s->counter, next) : INT64_MAX;
    if (ns == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, ns);
}

static uint64_t timer_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    SseTimer *s = (SseTimer *)d;
    timer_update(s);
    switch (r->at) {
    case 0x00: return count(s->counter) >> 32 * i & UINT32_MAX;
    case 0x10: return s->frq;
    case 0x20: return s->cval >> 32 * i & UINT32_MAX;
    case 0x28: return (uint32_t)(s->cval - count(s->counter));
    case 0x2c: return s->ctl | (s->ctl & CTL_ENABLE && due(s) ? CTL_ISTATUS : 0);
    case 0x40: return s->aival >> 32 * i & UINT32_MAX;
    case 0x48: return s->reload;
    case 0x4c: return s->aival_ctl;
    default: return 1; /* CNTP_CFG: auto-increment is there */
    }
}

static void timer_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SseTimer *s = (SseTimer *)d;
    uint32_t v = (uint32_t)value;
    timer_update(s);
    switch (r->at) {
    case 0x10: s->frq = v; break;
    case 0x20: s->cval = i ? (s->cval & UINT32_MAX) | (uint64_t)v << 32 : (s->cval & ~(uint64_t)UINT32_MAX) | v; break;
    case 0x28: s->cval = count(s->counter) + (uint64_t)(int64_t)(int32_t)v; break;
    case 0x2c: s->ctl = v & (CTL_ENABLE | CTL_IMASK); break;
    case 0x48:
        s->reload = v;
        s->aival = count(s->counter) + v;
        break;
    case 0x4c: /* CLR is cleared by writing 0 */
        if (v & AIVAL_EN && !(s->aival_ctl & AIVAL_EN))
            s->aival = count(s->counter) + s->reload;
        s->aival_ctl = (v & AIVAL_EN) | (s->aival_ctl & v & AIVAL_CLR);
        break;
    }
    timer_update(s);
}

#define R(n, a, c, acc) \
    { .name = n, .at = a, .size = 4, .count = c, .field = REG_NO_FIELD, .read = timer_read, .wrote = timer_wrote, \
        .access = acc }
static const Reg timer_regs[] = {
    R("CNTPCT", 0x00, 2, REG_RO),
    R("CNTFRQ", 0x10, 1, 0),
    R("CNTP_CVAL", 0x20, 2, 0),
    R("CNTP_TVAL", 0x28, 1, 0),
    R("CNTP_CTL", 0x2c, 1, 0),
    R("CNTP_AIVAL", 0x40, 2, REG_RO),
    R("CNTP_AIVAL_RELOAD", 0x48, 1, 0),
    R("CNTP_AIVAL_CTL", 0x4c, 1, 0),
    R("CNTP_CFG", 0x50, 1, REG_RO),
    ID(2),
    { .name = NULL },
};
static const RegBank timer_bank = { .name = "regs", .size = 0x1000, .regs = timer_regs };
static const RegBank *const timer_banks[] = { &timer_bank, NULL };
static const StateField timer_state[] = {
    STATE_U64(SseTimer, cval),   STATE_U64(SseTimer, aival),     STATE_U32(SseTimer, frq),     STATE_U32(SseTimer, ctl),
    STATE_U32(SseTimer, reload), STATE_U32(SseTimer, aival_ctl), STATE_TIMER(SseTimer, timer), STATE_END_OF_TABLE,
};
static const Property timer_props[] = {
    DEFINE_PROP_STRING("counter", SseTimer, counter_id, NULL, "the sse-counter that it follows"), DEFINE_PROP_END
};
static const char *const timer_out[] = { "irq", NULL }, *const timer_in[] = { "changed", NULL };

static void timer_changed(Device *d, unsigned pin, int level) { timer_update(d); }

static bool timer_start(Device *d, Error **errp)
{
    SseTimer *s = (SseTimer *)d;
    s->counter = find_counter(d, s->counter_id, errp);
    if (s->counter)
        s->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, timer_update, d);
    return s->counter;
}

static void timer_stop(Device *d)
{
    if (((SseTimer *)d)->timer)
        timer_free(((SseTimer *)d)->timer);
    ((SseTimer *)d)->timer = NULL;
}

static void timer_reset(Device *d, ResetPhase phase)
{
    SseTimer *s = (SseTimer *)d;
    if (phase == RESET_ENTER) {
        timer_cancel(s->timer);
        s->cval = s->aival = s->frq = s->ctl = s->reload = s->aival_ctl = 0;
    } else if (phase == RESET_HOLD) {
        timer_update(s);
    }
}

static const DeviceType timer_type = {
    .name = "sse-timer",
    .desc = "SSE-300 system timer",
    .category = "Misc",
    .size = sizeof(SseTimer),
    .banks = timer_banks,
    .props = timer_props,
    .state = timer_state,
    .out_pins = timer_out,
    .in_pins = timer_in,
    .input = timer_changed,
    .start = timer_start,
    .reset = timer_reset,
    .stop = timer_stop,
};
DEVICE_REGISTER(timer_type)

/*
 * --- a watchdog (section 3.8): the first time-out interrupts, the second one asks for a reset; frames for control and
 * refresh ---
 */

enum { WCS_EN = 1, WCS_WS0 = 2, WCS_WS1 = 4, PIN_WS0 = 0, PIN_WS1 = 1 };
typedef struct SseWatchdog {
    Device dev; /* always first */
    char *counter_id;
    SseCounter *counter;
    uint64_t wcv;
    uint32_t wcs, wor;
    bool resets;
    Timer *timer;
} SseWatchdog;

static void dog_update(void *opaque)
{
    SseWatchdog *s = opaque;
    uint64_t now = count(s->counter);
    bool bites = false;
    if (s->wcs & WCS_EN && now >= s->wcv && !(s->wcs & WCS_WS1)) {
        bites = s->wcs & WCS_WS0;
        s->wcs |= bites ? WCS_WS1 : WCS_WS0;
        s->wcv = now + s->wor;
    }
    device_out(&s->dev, PIN_WS0, s->wcs & WCS_WS0);
    device_out(&s->dev, PIN_WS1, s->wcs & WCS_WS1);
    int64_t ns = s->wcs & WCS_EN && !(s->wcs & WCS_WS1) ? count_when(s->counter, MAX(s->wcv, now + 1)) : INT64_MAX;
    if (ns == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, ns);
    if (bites && s->resets)
        machine_request_reset(CAUSE_GUEST_RESET);
}

static void dog_refresh(SseWatchdog *s)
{
    s->wcs &= WCS_EN;
    s->wcv = count(s->counter) + s->wor;
}

static uint64_t dog_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    SseWatchdog *s = (SseWatchdog *)d;
    dog_update(s);
    return r->at == 0x00 ? s->wcs : r->at == 0x08 ? s->wor : s->wcv >> 32 * i & UINT32_MAX;
}

static void dog_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SseWatchdog *s = (SseWatchdog *)d;
    dog_update(s);
    switch (r->at) {
    case 0x00: s->wcs = value & WCS_EN; break;
    case 0x08: s->wor = (uint32_t)value; break;
    default:
        s->wcv = i ? (s->wcv & UINT32_MAX) | value << 32 : (s->wcv & ~(uint64_t)UINT32_MAX) | (uint32_t)value;
        break;
    }
    if (r->at != 0x10)
        dog_refresh(s);
    dog_update(s);
}

static void refresh_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    dog_refresh((SseWatchdog *)d);
    dog_update(d);
}
/* Arm, version 0 */
static uint64_t iidr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return 0x0000043b; }

#undef R
#define R(n, a, c) \
    { .name = n, .at = a, .size = 4, .count = c, .field = REG_NO_FIELD, .read = dog_read, .wrote = dog_wrote }
#define IIDR { .name = "W_IIDR", .at = 0xfcc, .size = 4, .field = REG_NO_FIELD, .read = iidr_read, .access = REG_RO }
static const Reg dog_regs[] = { R("WCS", 0x00, 1), R("WOR", 0x08, 1), R("WCV", 0x10, 2), IIDR, { .name = NULL } };
#undef R
static const Reg refresh_regs[] = {
    { .name = "WRR", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .wrote = refresh_wrote }, IIDR, { .name = NULL },
};
static const RegBank dog_bank = { .name = "control", .size = 0x1000, .regs = dog_regs },
                     refresh_bank = { .name = "refresh", .size = 0x1000, .regs = refresh_regs };
static const RegBank *const dog_banks[] = { &dog_bank, &refresh_bank, NULL };
static const StateField dog_state[] = {
    STATE_U64(SseWatchdog, wcv),     STATE_U32(SseWatchdog, wcs), STATE_U32(SseWatchdog, wor),
    STATE_TIMER(SseWatchdog, timer), STATE_END_OF_TABLE,
};
static const Property dog_props[] = {
    DEFINE_PROP_STRING("counter", SseWatchdog, counter_id, NULL, "the sse-counter that it follows"),
    DEFINE_PROP_BOOL("resets", SseWatchdog, resets, false, "the second time-out resets the machine"), DEFINE_PROP_END,
};
static const char *const dog_out[] = { "irq*2", NULL };

static void dog_changed(Device *d, unsigned pin, int level) { dog_update(d); }

static bool dog_start(Device *d, Error **errp)
{
    SseWatchdog *s = (SseWatchdog *)d;
    s->counter = find_counter(d, s->counter_id, errp);
    if (s->counter)
        s->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, dog_update, d);
    return s->counter;
}

static void dog_stop(Device *d)
{
    if (((SseWatchdog *)d)->timer)
        timer_free(((SseWatchdog *)d)->timer);
    ((SseWatchdog *)d)->timer = NULL;
}

static void dog_reset(Device *d, ResetPhase phase)
{
    SseWatchdog *s = (SseWatchdog *)d;
    if (phase == RESET_ENTER) {
        timer_cancel(s->timer);
        s->wcv = 0;
        s->wcs = s->wor = 0;
    } else if (phase == RESET_HOLD) {
        dog_update(s);
    }
}

static bool dog_loaded(Device *d, Error **errp)
{
    ((SseWatchdog *)d)->wcs &= WCS_EN | WCS_WS0 | WCS_WS1;
    return true;
}

static const DeviceType dog_type = {
    .name = "sse-watchdog",
    .desc = "SSE-300 watchdog",
    .category = "Watchdog",
    .size = sizeof(SseWatchdog),
    .banks = dog_banks,
    .props = dog_props,
    .state = dog_state,
    .out_pins = dog_out,
    .in_pins = timer_in,
    .input = dog_changed,
    .start = dog_start,
    .reset = dog_reset,
    .loaded = dog_loaded,
    .stop = dog_stop,
};
DEVICE_REGISTER(dog_type)
