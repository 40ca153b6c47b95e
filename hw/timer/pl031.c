/* SPDX-License-Identifier: MIT */
/*
 * The PrimeCell real-time clock PL031 (DDI 0224B): seconds, a match register, one interrupt. Not ticked: an offset to a
 * clock.
 */
#include <glib.h>
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/timer/calendar.h"

#define S_NS INT64_C(1000000000)
static const char *const clock_names[] = { "host", "rt", "vm", NULL };
static const ClockId clock_ids[] = { CLOCK_HOST_NS, CLOCK_REALTIME_NS, CLOCK_VIRTUAL_NS };

typedef struct Pl031 {
    Device dev; /* always first */
    char *base;
    int clock;
    uint32_t mr, lr, cr, imsc, ris;
    uint32_t offset; /* DR = seconds of the clock + offset, modulo 2^32 */
    Timer *timer;
} Pl031;

static uint32_t clock_seconds(const Pl031 *s) { return (uint32_t)(clock_ns(clock_ids[s->clock]) / S_NS); }
static uint32_t now(const Pl031 *s) { return clock_seconds(s) + s->offset; }
static void update_irq(Pl031 *s) { device_out(&s->dev, 0, s->ris & s->imsc & 1); }

static void arm(Pl031 *s)
{
    uint32_t wait = s->mr - now(s);
    int64_t second = clock_ns(clock_ids[s->clock]) / S_NS;
    timer_arm(s->timer, (second + (wait ? wait : UINT32_MAX)) * S_NS);
}

static void matched(void *opaque)
{
    Pl031 *s = opaque;
    s->ris |= 1;
    update_irq(s);
    arm(s);
}

static uint64_t dr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return now((Pl031 *)d); }
static uint64_t one_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return 1; }
static uint64_t ris_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Pl031 *)d)->ris; }
static uint64_t mis_read(Device *d, const Reg *r, unsigned i, uint64_t v)
{
    return ((Pl031 *)d)->ris & ((Pl031 *)d)->imsc;
}
static void imsc_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update_irq((Pl031 *)d); }
static void mr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { arm((Pl031 *)d); }

static void lr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl031 *s = (Pl031 *)d;
    s->offset = s->lr - clock_seconds(s);
    arm(s);
}

static void icr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl031 *s = (Pl031 *)d;
    s->ris &= ~(uint32_t)value;
    update_irq(s);
}

/* Section 3.3.9 */
static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[] = { 0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

#define FIELD(f) offsetof(Pl031, f)
static const Reg pl031_regs[] = {
    { .name = "RTCDR", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .read = dr_read, .access = REG_RO },
    { .name = "RTCMR", .at = 0x04, .size = 4, .field = FIELD(mr), .wrote = mr_wrote },
    { .name = "RTCLR", .at = 0x08, .size = 4, .field = FIELD(lr), .wrote = lr_wrote },
    { .name = "RTCCR", .at = 0x0c, .size = 4, .field = FIELD(cr), .rsvd = 0xfffffffe, .read = one_read },
    { .name = "RTCIMSC", .at = 0x10, .size = 4, .field = FIELD(imsc), .rsvd = 0xfffffffe, .wrote = imsc_wrote },
    { .name = "RTCRIS", .at = 0x14, .size = 4, .field = REG_NO_FIELD, .read = ris_read, .access = REG_RO },
    { .name = "RTCMIS", .at = 0x18, .size = 4, .field = REG_NO_FIELD, .read = mis_read, .access = REG_RO },
    { .name = "RTCICR", .at = 0x1c, .size = 4, .field = REG_NO_FIELD, .wrote = icr_wrote, .access = REG_WO },
    { .name = "RTCPeriphID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .field = REG_NO_FIELD,
      .read = id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank pl031_bank = { .name = "regs", .size = 0x1000, .regs = pl031_regs };
static const RegBank *const pl031_banks[] = { &pl031_bank, NULL };
static const StateField pl031_state[] = { STATE_U32(Pl031, offset), STATE_U32(Pl031, ris), STATE_TIMER(Pl031, timer),
                                          STATE_END_OF_TABLE };

static bool base_seconds(const Pl031 *s, int64_t *t, Error **errp)
{
    int64_t host = clock_ns(CLOCK_HOST_NS) / S_NS;
    *t = !s->base || strcmp(s->base, "localtime") ? host : calendar_local_from_utc(host);
    if (!s->base || !strcmp(s->base, "utc") || !strcmp(s->base, "localtime") || calendar_parse(s->base, t))
        return true;
    error_setf(errp, "-rtc base '%s': not a date; valid: utc, localtime, 2026-01-31, 2026-01-31T23:59:58", s->base);
    return false;
}

static bool pl031_start(Device *d, Error **errp)
{
    Pl031 *s = (Pl031 *)d;
    int64_t t;
    if (!base_seconds(s, &t, errp))
        return false;
    s->offset = (uint32_t)t - clock_seconds(s);
    s->timer = timer_new(clock_ids[s->clock], d->domain, matched, s);
    return true;
}

/* The clock goes on through a reset. */
static void pl031_reset(Device *d, ResetPhase phase)
{
    Pl031 *s = (Pl031 *)d;
    if (phase == RESET_ENTER) {
        s->ris = 0;
        timer_cancel(s->timer);
    } else if (phase == RESET_HOLD) {
        update_irq(s);
    }
}

static bool pl031_loaded(Device *d, Error **errp)
{
    ((Pl031 *)d)->ris &= 1;
    return true;
}

static void pl031_stop(Device *d)
{
    Pl031 *s = (Pl031 *)d;
    if (s->timer)
        timer_free(s->timer);
    s->timer = NULL;
}

static const Property pl031_props[] = {
    DEFINE_PROP_STRING("base", Pl031, base, "utc", "utc, localtime or a date: what the clock shows at start"),
    DEFINE_PROP_ENUM("clock", Pl031, clock, 0, clock_names, "what drives it: -rtc clock="),
    DEFINE_PROP_END,
};
static const char *const pl031_pins[] = { "irq", NULL };

static const DeviceType pl031_type = {
    .name = "pl031",
    .desc = "PrimeCell real-time clock PL031",
    .category = "Misc",
    .size = sizeof(Pl031),
    .banks = pl031_banks,
    .props = pl031_props,
    .state = pl031_state,
    .out_pins = pl031_pins,
    .start = pl031_start,
    .reset = pl031_reset,
    .loaded = pl031_loaded,
    .stop = pl031_stop,
};
DEVICE_REGISTER(pl031_type)
