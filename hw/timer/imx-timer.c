/* SPDX-License-Identifier: MIT */
/*
 * Timers of i.MX6: EPIT (IMX6DQRM, chapter 24), counting down, and GPT (chapter 30), counting up with three compare
 * channels.
 */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/timer/ticks.h"

enum { CR_EN = 1, CR_ENMOD = 2 };

/* Both choose their clock: off, peripheral, the same, 32 kHz; GPT's 4 to 7 are slow clocks too. */
static uint64_t source_hz(unsigned source, uint32_t peripheral_hz)
{
    return source == 0 ? 1 : source < 3 ? peripheral_hz : 32768;
}

/* ---- EPIT ---- */

enum { EPIT_OCIEN = 4, EPIT_RLD = 8, EPIT_IOVW = 1 << 17, EPIT_SWR = 1 << 16 };

typedef struct Epit {
    Device dev; /* always first */
    Ticks t;
    uint64_t from; /* value when the ticks were 0 */
    uint32_t hz, cr, sr, lr, cmp;
    Timer *timer;
} Epit;

static uint64_t epit_period(const Epit *s) { return (s->cr & EPIT_RLD ? (uint64_t)s->lr : UINT32_MAX) + 1; }

static uint32_t epit_value(const Epit *s)
{
    uint64_t n = ticks_get(&s->t);
    return (uint32_t)(n <= s->from ? s->from - n : epit_period(s) - 1 - (n - s->from - 1) % epit_period(s));
}

/* Ticks at which the count next equals the compare register. */
static void epit_arm(Epit *s)
{
    uint64_t n = ticks_get(&s->t), period = epit_period(s), match = UINT64_MAX;
    if (s->cmp <= s->from && n < s->from - s->cmp)
        match = s->from - s->cmp;
    else if (s->cmp < period) {
        match = s->from + period - s->cmp;
        if (match <= n)
            match += ((n - match) / period + 1) * period;
    }
    int64_t when = match == UINT64_MAX ? INT64_MAX : ticks_when(&s->t, match);
    if (when == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, when);
}

static void epit_update(Epit *s) { device_out(&s->dev, 0, s->sr && s->cr & EPIT_OCIEN); }

static void epit_expired(void *opaque)
{
    Epit *s = opaque;
    s->sr = 1;
    epit_update(s);
    epit_arm(s);
}

static void epit_load(Epit *s, uint64_t value)
{
    ticks_set(&s->t, 0);
    s->from = value;
    epit_arm(s);
}

static void epit_cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Epit *s = (Epit *)d;
    if (value & EPIT_SWR) {
        s->cr &= CR_EN | CR_ENMOD;
        s->sr = s->cmp = 0;
        s->lr = UINT32_MAX;
    }
    unsigned source = s->cr >> 24 & 3;
    uint64_t now = epit_value(s);
    bool starts = s->cr & CR_EN && !(old & CR_EN) && s->cr & CR_ENMOD;
    ticks_rate(&s->t, source_hz(source, s->hz), (s->cr >> 4 & 0xfff) + 1);
    ticks_run(&s->t, s->cr & CR_EN && source);
    epit_load(s, !starts ? now : s->cr & EPIT_RLD ? s->lr : UINT32_MAX);
    epit_update(s);
}
static void epit_sr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { epit_update((Epit *)d); }
static void epit_lr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Epit *s = (Epit *)d;
    epit_load(s, s->cr & EPIT_IOVW ? s->lr : epit_value(s));
}
static void epit_cmp_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { epit_arm((Epit *)d); }
static uint64_t epit_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return epit_value((Epit *)d); }

static const Reg epit_regs[] = {
    { .name = "CR", .at = 0x00, .size = 4, .field = offsetof(Epit, cr), .wrote = epit_cr_wrote },
    { .name = "SR",
      .at = 0x04,
      .size = 4,
      .field = offsetof(Epit, sr),
      .w1c = 1,
      .rsvd = 0xfffffffe,
      .wrote = epit_sr_wrote },
    { .name = "LR", .at = 0x08, .size = 4, .field = offsetof(Epit, lr), .reset = UINT32_MAX, .wrote = epit_lr_wrote },
    { .name = "CMPR", .at = 0x0c, .size = 4, .field = offsetof(Epit, cmp), .wrote = epit_cmp_wrote },
    { .name = "CNR", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = epit_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank epit_bank = { .name = "regs", .size = 0x1000, .regs = epit_regs };
static const RegBank *const epit_banks[] = { &epit_bank, NULL };
static const char *const pins[] = { "irq", NULL };
static const Property epit_props[] = { DEFINE_PROP_U32("ipg-frq", Epit, hz, 66000000, "Hz of the peripheral clock"),
                                       DEFINE_PROP_END };
static const StateField epit_state[] = { STATE_STRUCT(Epit, t, ticks_state), STATE_U64(Epit, from),
                                         STATE_TIMER(Epit, timer), STATE_END_OF_TABLE };

static void epit_init(Device *d) { ((Epit *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, epit_expired, d); }
static void epit_stop(Device *d) { timer_free(((Epit *)d)->timer); }

static void epit_reset(Device *d, ResetPhase phase)
{
    Epit *s = (Epit *)d;
    if (phase == RESET_ENTER) {
        s->t = (Ticks){ .hz = 1, .div = 1 };
        s->from = UINT32_MAX;
        timer_cancel(s->timer);
    } else if (phase == RESET_HOLD) {
        epit_update(s);
    }
}

static bool epit_loaded(Device *d, Error **errp)
{
    Epit *s = (Epit *)d;
    ticks_loaded(&s->t, s->hz);
    s->from = (uint32_t)s->from;
    return true;
}

static const DeviceType epit_type = {
    .name = "imx.epit",
    .desc = "i.MX periodic timer",
    .category = "Misc",
    .size = sizeof(Epit),
    .banks = epit_banks,
    .props = epit_props,
    .state = epit_state,
    .out_pins = pins,
    .init = epit_init,
    .reset = epit_reset,
    .loaded = epit_loaded,
    .stop = epit_stop,
};
DEVICE_REGISTER(epit_type)

/* ---- GPT ---- */

enum { GPT_FRR = 1 << 9, GPT_SWR = 1 << 15, GPT_CHANNELS = 3, GPT_ROV = 1 << 5 };

typedef struct Gpt {
    Device dev; /* always first */
    Ticks t;
    uint64_t seen; /* ticks up to which compare events are in SR */
    uint32_t hz, cr, pr, sr, ir, ocr[GPT_CHANNELS];
    Timer *timer;
} Gpt;

/* Channel 1 restarts the count unless FRR is set. */
static uint64_t gpt_period(const Gpt *s) { return (s->cr & GPT_FRR ? (uint64_t)UINT32_MAX : s->ocr[0]) + 1; }
static void gpt_update(Gpt *s) { device_out(&s->dev, 0, (s->sr & s->ir & 0x3f) != 0); }

/* Ticks after `n` at which the count is `value`. */
static uint64_t gpt_next(const Gpt *s, uint64_t n, uint32_t value)
{
    uint64_t period = gpt_period(s);
    if (value >= period)
        return UINT64_MAX;
    uint64_t at = n - n % period + value;
    return at > n ? at : at + period;
}

static void gpt_arm(Gpt *s)
{
    uint64_t n = ticks_get(&s->t), next = UINT64_MAX;
    for (unsigned i = 0; i < GPT_CHANNELS; i++) {
        if (gpt_next(s, s->seen, s->ocr[i]) <= n)
            s->sr |= 1u << i;
        next = MIN(next, gpt_next(s, n, s->ocr[i]));
    }
    if (s->cr & GPT_FRR && n / gpt_period(s) > s->seen / gpt_period(s))
        s->sr |= GPT_ROV;
    s->seen = n;
    gpt_update(s);
    int64_t when = s->ir & 0x3f && next != UINT64_MAX ? ticks_when(&s->t, next) : INT64_MAX;
    if (when == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, when);
}

static void gpt_expired(void *opaque) { gpt_arm(opaque); }

static void gpt_restart(Gpt *s)
{
    ticks_set(&s->t, 0);
    s->seen = 0;
}

static void gpt_cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    static const uint32_t fixed[8] = { 1, 0, 0, 32768, 32768, 24000000 / 8, 1, 24000000 };
    Gpt *s = (Gpt *)d;
    if (value & GPT_SWR) {
        s->cr = (uint32_t)value & 0x1ff & ~1u;
        s->pr = s->sr = s->ir = 0;
        memset(s->ocr, 0xff, sizeof s->ocr);
        gpt_restart(s);
    }
    unsigned source = s->cr >> 6 & 7;
    if (s->cr & CR_EN && !(old & CR_EN) && s->cr & CR_ENMOD)
        gpt_restart(s);
    ticks_rate(&s->t, fixed[source] ? fixed[source] : s->hz, (s->pr & 0xfff) + 1);
    ticks_run(&s->t, s->cr & CR_EN && source);
    gpt_arm(s);
}
static void gpt_pr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ticks_rate(&((Gpt *)d)->t, ((Gpt *)d)->t.hz, (value & 0xfff) + 1);
    gpt_arm((Gpt *)d);
}
static void gpt_sr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { gpt_update((Gpt *)d); }
static void gpt_ir_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { gpt_arm((Gpt *)d); }
static void gpt_ocr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Gpt *s = (Gpt *)d;
    if (i == 0 && !(s->cr & GPT_FRR))
        gpt_restart(s);
    s->seen = ticks_get(&s->t); /* the new value counts from now on */
    gpt_arm(s);
}
static uint64_t gpt_cnt_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return (uint32_t)(ticks_get(&((Gpt *)d)->t) % gpt_period((Gpt *)d));
}

static const Reg gpt_regs[] = {
    { .name = "CR", .at = 0x00, .size = 4, .field = offsetof(Gpt, cr), .wrote = gpt_cr_wrote },
    { .name = "PR", .at = 0x04, .size = 4, .field = offsetof(Gpt, pr), .wrote = gpt_pr_wrote },
    { .name = "SR",
      .at = 0x08,
      .size = 4,
      .field = offsetof(Gpt, sr),
      .w1c = 0x3f,
      .rsvd = 0xffffffc0,
      .wrote = gpt_sr_wrote },
    { .name = "IR", .at = 0x0c, .size = 4, .field = offsetof(Gpt, ir), .rsvd = 0xffffffc0, .wrote = gpt_ir_wrote },
    { .name = "OCR",
      .at = 0x10,
      .size = 4,
      .count = 3,
      .stride = 4,
      .field = offsetof(Gpt, ocr),
      .reset = UINT32_MAX,
      .wrote = gpt_ocr_wrote },
    { .name = "ICR", .at = 0x1c, .size = 4, .count = 2, .stride = 4, .field = REG_NO_FIELD, .access = REG_RO },
    { .name = "CNT", .at = 0x24, .size = 4, .field = REG_NO_FIELD, .read = gpt_cnt_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank gpt_bank = { .name = "regs", .size = 0x1000, .regs = gpt_regs };
static const RegBank *const gpt_banks[] = { &gpt_bank, NULL };
static const Property gpt_props[] = { DEFINE_PROP_U32("ipg-frq", Gpt, hz, 66000000, "Hz of the peripheral clock"),
                                      DEFINE_PROP_END };
static const StateField gpt_state[] = { STATE_STRUCT(Gpt, t, ticks_state), STATE_U64(Gpt, seen),
                                        STATE_TIMER(Gpt, timer), STATE_END_OF_TABLE };

static void gpt_init(Device *d) { ((Gpt *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, gpt_expired, d); }
static void gpt_stop(Device *d) { timer_free(((Gpt *)d)->timer); }

static void gpt_reset(Device *d, ResetPhase phase)
{
    Gpt *s = (Gpt *)d;
    if (phase == RESET_ENTER) {
        s->t = (Ticks){ .hz = 1, .div = 1 };
        s->seen = 0;
        timer_cancel(s->timer);
    } else if (phase == RESET_HOLD) {
        gpt_update(s);
    }
}

static bool gpt_loaded(Device *d, Error **errp)
{
    Gpt *s = (Gpt *)d;
    ticks_loaded(&s->t, s->hz);
    s->seen = MIN(s->seen, UINT64_MAX / 4);
    return true;
}

static const DeviceType gpt_type = {
    .name = "imx6.gpt",
    .desc = "i.MX6 general-purpose timer",
    .category = "Misc",
    .size = sizeof(Gpt),
    .banks = gpt_banks,
    .props = gpt_props,
    .state = gpt_state,
    .out_pins = pins,
    .init = gpt_init,
    .reset = gpt_reset,
    .loaded = gpt_loaded,
    .stop = gpt_stop,
};
DEVICE_REGISTER(gpt_type)
