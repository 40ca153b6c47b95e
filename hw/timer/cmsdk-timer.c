/* SPDX-License-Identifier: MIT */
/* The timer and the dual timer of Arm's Cortex-M System Design Kit (DDI 0479, 4.1 and 4.2). */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/timer/ticks.h"

/* A 32-bit counter that goes down and reloads: up-counting ticks underneath. */
typedef struct Down {
    Ticks t;
    uint64_t from;     /* value when the ticks were 0 */
    uint64_t period;   /* ticks from reload to reload; 0: stops at 0 */
} Down;

static const StateField down_state[] = {
    STATE_STRUCT(Down, t, ticks_state), STATE_U64(Down, from), STATE_U64(Down, period), STATE_END_OF_TABLE,
};

static uint32_t down_value(const Down *d)
{
    uint64_t n = ticks_get(&d->t);
    if (n <= d->from)
        return (uint32_t)(d->from - n);
    return d->period ? (uint32_t)(d->period - 1 - (n - d->from - 1) % d->period) : 0;
}

/* Ticks at which the count next reaches zero after having been above it. */
static uint64_t down_next_zero(const Down *d)
{
    uint64_t n = ticks_get(&d->t);
    if (n < d->from)
        return d->from;
    return d->period ? d->from + ((n - d->from) / d->period + 1) * d->period : UINT64_MAX;
}

static void down_load(Down *d, uint64_t value, uint64_t period)
{
    ticks_set(&d->t, 0);
    d->from = value;
    d->period = period;
}

static void arm(Timer *timer, const Down *d)
{
    uint64_t zero = down_next_zero(d);
    int64_t when = zero == UINT64_MAX ? INT64_MAX : ticks_when(&d->t, zero);
    if (when == INT64_MAX)
        timer_cancel(timer);
    else
        timer_arm(timer, when);
}

/* --- the simple timer --- */

enum { TIMER_ENABLE = 1, TIMER_IRQEN = 8 };

typedef struct CmsdkTimer {
    Device dev; /* always first */
    Down down;
    uint32_t ctrl, reload, intstatus, hz;
    Timer *timer;
} CmsdkTimer;

static void timer_update(CmsdkTimer *s) { device_out(&s->dev, 0, s->intstatus & 1); }

static void timer_expired(void *opaque)
{
    CmsdkTimer *s = opaque;
    s->intstatus |= s->ctrl & TIMER_IRQEN ? 1 : 0;
    timer_update(s);
    arm(s->timer, &s->down);
}

static uint64_t period_of(uint32_t reload) { return reload ? (uint64_t)reload + 1 : 0; }

static void timer_ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkTimer *s = (CmsdkTimer *)d;
    ticks_run(&s->down.t, s->ctrl & TIMER_ENABLE);
    arm(s->timer, &s->down);
}

static uint64_t timer_value_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return down_value(&((CmsdkTimer *)d)->down);
}

static void timer_value_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkTimer *s = (CmsdkTimer *)d;
    down_load(&s->down, (uint32_t)value, period_of(s->reload));
    arm(s->timer, &s->down);
}

static void timer_reload_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkTimer *s = (CmsdkTimer *)d;
    uint32_t now = down_value(&s->down);
    down_load(&s->down, now ? now : s->reload, period_of(s->reload));
    arm(s->timer, &s->down);
}

static void timer_int_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    timer_update((CmsdkTimer *)d);
}

static uint64_t timer_id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x22, 0xb8, 0x1b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

static const Reg timer_regs[] = {
    { .name = "CTRL",
      .at = 0,
      .size = 4,
      .field = offsetof(CmsdkTimer, ctrl),
      .rsvd = 0xfffffff0,
      .wrote = timer_ctrl_wrote },
    { .name = "VALUE",
      .at = 4,
      .size = 4,
      .field = REG_NO_FIELD,
      .read = timer_value_read,
      .wrote = timer_value_wrote },
    { .name = "RELOAD", .at = 8, .size = 4, .field = offsetof(CmsdkTimer, reload), .wrote = timer_reload_wrote },
    { .name = "INTSTATUS",
      .at = 12,
      .size = 4,
      .field = offsetof(CmsdkTimer, intstatus),
      .w1c = 1,
      .rsvd = 0xfffffffe,
      .wrote = timer_int_wrote },
    { .name = "ID",
      .at = 0xfd0,
      .size = 4,
      .count = 12,
      .field = REG_NO_FIELD,
      .read = timer_id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank timer_bank = { .name = "regs", .size = 0x1000, .regs = timer_regs };
static const RegBank *const timer_banks[] = { &timer_bank, NULL };
static const Property timer_props[] = { DEFINE_PROP_U32("pclk-frq", CmsdkTimer, hz, 25000000, "Hz of its clock"),
                                        DEFINE_PROP_END };
static const StateField timer_state[] = { STATE_STRUCT(CmsdkTimer, down, down_state), STATE_TIMER(CmsdkTimer, timer),
                                          STATE_END_OF_TABLE };
static const char *const timer_pins[] = { "irq", NULL };

static void timer_init(Device *d)
{
    CmsdkTimer *s = (CmsdkTimer *)d;
    s->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, timer_expired, s);
}

static void timer_reset(Device *d, ResetPhase phase)
{
    CmsdkTimer *s = (CmsdkTimer *)d;
    if (phase == RESET_ENTER) {
        s->down = (Down){ .t = { .hz = s->hz ? s->hz : 1, .div = 1 } };
        timer_cancel(s->timer);
    } else if (phase == RESET_HOLD) {
        timer_update(s);
    }
}

static bool timer_loaded(Device *d, Error **errp)
{
    ticks_loaded(&((CmsdkTimer *)d)->down.t, ((CmsdkTimer *)d)->hz);
    return true;
}

static void timer_stop(Device *d) { timer_free(((CmsdkTimer *)d)->timer); }

static const DeviceType cmsdk_timer_type = {
    .name = "cmsdk-apb-timer",
    .desc = "Arm CMSDK timer",
    .category = "Misc",
    .size = sizeof(CmsdkTimer),
    .banks = timer_banks,
    .props = timer_props,
    .state = timer_state,
    .out_pins = timer_pins,
    .init = timer_init,
    .reset = timer_reset,
    .loaded = timer_loaded,
    .stop = timer_stop,
};
DEVICE_REGISTER(cmsdk_timer_type)

/* --- the dual timer --- */

enum { DUAL_ONESHOT = 1, DUAL_SIZE32 = 2, DUAL_IE = 32, DUAL_PERIODIC = 64, DUAL_ENABLE = 128 };

typedef struct Half {
    Down down;
    Timer *timer;
    struct CmsdkDual *dual;
} Half;

typedef struct CmsdkDual {
    Device dev; /* always first */
    Half half[2];
    uint32_t load[2], ctrl[2], ris[2], hz;
} CmsdkDual;

static void dual_update(CmsdkDual *s)
{
    bool on[2];
    for (unsigned i = 0; i < 2; i++)
        on[i] = s->ris[i] && s->ctrl[i] & DUAL_IE;
    device_out(&s->dev, 0, on[0] || on[1]);
    device_out(&s->dev, 1, on[0]);
    device_out(&s->dev, 2, on[1]);
}

static uint64_t dual_mask(const CmsdkDual *s, unsigned i) { return s->ctrl[i] & DUAL_SIZE32 ? UINT32_MAX : 0xffff; }

/* What follows zero: the load value (periodic), all ones (free-running), nothing (one-shot). */
static void dual_load(CmsdkDual *s, unsigned i, uint64_t value)
{
    uint64_t mask = dual_mask(s, i), top = s->ctrl[i] & DUAL_PERIODIC ? s->load[i] & mask : mask;
    down_load(&s->half[i].down, value & mask, s->ctrl[i] & DUAL_ONESHOT ? 0 : top + 1);
    arm(s->half[i].timer, &s->half[i].down);
}

static void dual_expired(void *opaque)
{
    Half *h = opaque;
    CmsdkDual *s = h->dual;
    s->ris[h - s->half] = 1;
    dual_update(s);
    arm(h->timer, &h->down);
}

/*
 * A one-shot count that has reached zero while its host timer was still on the way: it must not be lost by what is
 * written now.
 */
static void dual_catch_up(CmsdkDual *s, unsigned i)
{
    Half *h = &s->half[i];
    if (timer_armed(h->timer) && !h->down.period && ticks_get(&h->down.t) >= h->down.from) {
        timer_cancel(h->timer);
        s->ris[i] = 1;
        dual_update(s);
    }
}

static void dual_load_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkDual *s = (CmsdkDual *)d;
    dual_catch_up(s, i);
    if (!strcmp(r->name, "LOAD")) {
        dual_load(s, i, s->load[i]);
        return;
    }
    s->load[i] = (uint32_t)value; /* BGLOAD: from the next reload on */
    dual_load(s, i, down_value(&s->half[i].down));
}

static uint64_t dual_value_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return down_value(&((CmsdkDual *)d)->half[i].down);
}
static uint64_t dual_bgload_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((CmsdkDual *)d)->load[i];
}

static void dual_ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    static const uint16_t divs[4] = { 1, 16, 256, 256 };
    CmsdkDual *s = (CmsdkDual *)d;
    Half *h = &s->half[i];
    dual_catch_up(s, i);
    uint32_t now = down_value(&h->down);
    ticks_rate(&h->down.t, s->hz, divs[s->ctrl[i] >> 2 & 3]);
    ticks_run(&h->down.t, s->ctrl[i] & DUAL_ENABLE);
    dual_load(s, i, now);
    dual_update(s);
}

static void dual_clear(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((CmsdkDual *)d)->ris[i] = 0;
    dual_update((CmsdkDual *)d);
}

static uint64_t dual_mis_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const CmsdkDual *s = (CmsdkDual *)d;
    return s->ris[i] && s->ctrl[i] & DUAL_IE;
}

static uint64_t dual_id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x23, 0xb8, 0x1b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

#define DUAL(name_, at_, ...) { .name = name_, .at = at_, .size = 4, .count = 2, .stride = 0x20, __VA_ARGS__ }
static const Reg dual_regs[] = {
    DUAL("LOAD", 0x00, .field = offsetof(CmsdkDual, load), .wrote = dual_load_wrote),
    DUAL("VALUE", 0x04, .field = REG_NO_FIELD, .read = dual_value_read, .access = REG_RO),
    DUAL("CONTROL", 0x08, .field = offsetof(CmsdkDual, ctrl), .reset = DUAL_IE, .rsvd = 0xffffff10,
         .wrote = dual_ctrl_wrote),
    DUAL("INTCLR", 0x0c, .field = REG_NO_FIELD, .wrote = dual_clear, .access = REG_WO),
    DUAL("RIS", 0x10, .field = offsetof(CmsdkDual, ris), .access = REG_RO),
    DUAL("MIS", 0x14, .field = REG_NO_FIELD, .read = dual_mis_read, .access = REG_RO),
    DUAL("BGLOAD", 0x18, .field = REG_NO_FIELD, .read = dual_bgload_read, .wrote = dual_load_wrote),
    { .name = "ID",
      .at = 0xfd0,
      .size = 4,
      .count = 12,
      .field = REG_NO_FIELD,
      .read = dual_id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank dual_bank = { .name = "regs", .size = 0x1000, .regs = dual_regs };
static const RegBank *const dual_banks[] = { &dual_bank, NULL };
static const Property dual_props[] = { DEFINE_PROP_U32("timclk-frq", CmsdkDual, hz, 25000000, "Hz of its clock"),
                                       DEFINE_PROP_END };
static const StateField half_state[] = { STATE_STRUCT(Half, down, down_state), STATE_TIMER(Half, timer),
                                         STATE_END_OF_TABLE };
static const StateField dual_state[] = { STATE_STRUCT_ARRAY(CmsdkDual, half, half_state), STATE_END_OF_TABLE };
static const char *const dual_pins[] = { "irq*3", NULL };

static void dual_init(Device *d)
{
    CmsdkDual *s = (CmsdkDual *)d;
    for (unsigned i = 0; i < 2; i++) {
        s->half[i].dual = s;
        s->half[i].timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, dual_expired, &s->half[i]);
    }
}

static void dual_reset(Device *d, ResetPhase phase)
{
    CmsdkDual *s = (CmsdkDual *)d;
    for (unsigned i = 0; i < 2 && phase == RESET_ENTER; i++) {
        s->half[i].down = (Down){ .t = { .hz = s->hz ? s->hz : 1, .div = 1 }, .from = 0xffff, .period = 0x10000 };
        timer_cancel(s->half[i].timer);
    }
    if (phase == RESET_HOLD)
        dual_update(s);
}

static bool dual_loaded(Device *d, Error **errp)
{
    for (unsigned i = 0; i < 2; i++)
        ticks_loaded(&((CmsdkDual *)d)->half[i].down.t, ((CmsdkDual *)d)->hz);
    return true;
}

static void dual_stop(Device *d)
{
    timer_free(((CmsdkDual *)d)->half[0].timer);
    timer_free(((CmsdkDual *)d)->half[1].timer);
}

static const DeviceType cmsdk_dual_type = {
    .name = "cmsdk-apb-dualtimer",
    .desc = "Arm CMSDK dual timer",
    .category = "Misc",
    .size = sizeof(CmsdkDual),
    .banks = dual_banks,
    .props = dual_props,
    .state = dual_state,
    .out_pins = dual_pins,
    .init = dual_init,
    .reset = dual_reset,
    .loaded = dual_loaded,
    .stop = dual_stop,
};
DEVICE_REGISTER(cmsdk_dual_type)

/* --- SP804 (DDI 0271D): the same registers --- */
static uint64_t sp804_id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[8] = { 0x04, 0x18, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}
static const Reg sp804_regs[] = {
    DUAL("LOAD", 0x00, .field = offsetof(CmsdkDual, load), .wrote = dual_load_wrote),
    DUAL("VALUE", 0x04, .field = REG_NO_FIELD, .read = dual_value_read),
    DUAL("CONTROL", 0x08, .field = offsetof(CmsdkDual, ctrl), .reset = DUAL_IE, .rsvd = 0xffffff10,
         .wrote = dual_ctrl_wrote),
    DUAL("INTCLR", 0x0c, .field = REG_NO_FIELD, .wrote = dual_clear, .access = REG_WO),
    DUAL("RIS", 0x10, .field = offsetof(CmsdkDual, ris), .access = REG_RO),
    DUAL("MIS", 0x14, .field = REG_NO_FIELD, .read = dual_mis_read, .access = REG_RO),
    DUAL("BGLOAD", 0x18, .field = REG_NO_FIELD, .read = dual_bgload_read, .wrote = dual_load_wrote),
    { .name = "ID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = sp804_id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank sp804_bank = { .name = "regs", .size = 0x1000, .regs = sp804_regs };
static const RegBank *const sp804_banks[] = { &sp804_bank, NULL };
static const Property sp804_props[] = { DEFINE_PROP_U32("freq0", CmsdkDual, hz, 1000000, "Hz of its clock"),
                                        DEFINE_PROP_END };
static const DeviceType sp804_type = {
    .name = "sp804",
    .desc = "Arm SP804 dual timer",
    .category = "Misc",
    .size = sizeof(CmsdkDual),
    .banks = sp804_banks,
    .props = sp804_props,
    .state = dual_state,
    .out_pins = dual_pins,
    .init = dual_init,
    .reset = dual_reset,
    .loaded = dual_loaded,
    .stop = dual_stop,
};
DEVICE_REGISTER(sp804_type)
