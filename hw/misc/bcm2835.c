/* SPDX-License-Identifier: MIT */
/* Small parts of BCM2835 (ARM Peripherals): system timer (12), power management and watchdog, random numbers. */
#include <glib.h>
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

/* ---- system timer: 1 MHz, 64 bits, four comparators of the low half ---- */

typedef struct SysTimer {
    Device dev; /* always first */
    uint32_t cs, compare[4];
    Timer *timer[4];
    struct SysTimerSlot { struct SysTimer *owner; unsigned n; } slot[4];
} SysTimer;

static uint64_t us_now(void) { return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) / 1000; }

static void systimer_update(SysTimer *s)
{
    for (unsigned i = 0; i < 4; i++)
        device_out(&s->dev, i, s->cs >> i & 1);
}

/*
 * The next match; `fresh`: of a value just written. A guest that the host has held up between reading the count and
 * writing the sum would wait 71 minutes: a value up to a second in the past matches at once.
 */
enum { LATE_US = 1000000 };
static void systimer_arm(SysTimer *s, unsigned i, bool fresh)
{
    uint64_t now = us_now();
    uint32_t wait = s->compare[i] - (uint32_t)now;
    if (fresh && (uint32_t)-wait <= LATE_US)
        wait = 1;
    timer_arm(s->timer[i], (int64_t)((now + (wait ? wait : UINT64_C(1) << 32)) * 1000));
}

static void systimer_expired(void *opaque)
{
    const struct SysTimerSlot *slot = opaque;
    slot->owner->cs |= 1u << slot->n;
    systimer_update(slot->owner);
    systimer_arm(slot->owner, slot->n, false);
}

static uint64_t count_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return (uint32_t)(us_now() >> 32 * i);
}
static void cs_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    systimer_update((SysTimer *)d);
}
static void compare_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    systimer_arm((SysTimer *)d, i, true);
}

static const Reg systimer_regs[] = {
    { .name = "CS",
      .at = 0,
      .size = 4,
      .field = offsetof(SysTimer, cs),
      .w1c = 15,
      .rsvd = 0xfffffff0,
      .wrote = cs_wrote },
    { .name = "COUNT",
      .at = 4,
      .size = 4,
      .count = 2,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = count_read,
      .access = REG_RO },
    { .name = "COMPARE",
      .at = 12,
      .size = 4,
      .count = 4,
      .stride = 4,
      .field = offsetof(SysTimer, compare),
      .wrote = compare_wrote },
    { .name = NULL },
};
static const RegBank systimer_bank = { .name = "regs", .size = 0x20, .regs = systimer_regs };
static const RegBank *const systimer_banks[] = { &systimer_bank, NULL };
static const char *const systimer_pins[] = { "irq*4", NULL };
static const StateField systimer_state[] = { STATE_TIMER(SysTimer, timer[0]), STATE_TIMER(SysTimer, timer[1]),
                                             STATE_TIMER(SysTimer, timer[2]), STATE_TIMER(SysTimer, timer[3]),
                                             STATE_END_OF_TABLE };

static void systimer_init(Device *d)
{
    SysTimer *s = (SysTimer *)d;
    for (unsigned i = 0; i < 4; i++) {
        s->slot[i] = (struct SysTimerSlot){ s, i };
        s->timer[i] = timer_new(CLOCK_VIRTUAL_NS, d->domain, systimer_expired, &s->slot[i]);
    }
}

static void systimer_reset(Device *d, ResetPhase phase)
{
    for (unsigned i = 0; i < 4 && phase == RESET_ENTER; i++)
        timer_cancel(((SysTimer *)d)->timer[i]);
    if (phase == RESET_HOLD)
        systimer_update((SysTimer *)d);
}

static void systimer_stop(Device *d)
{
    for (unsigned i = 0; i < 4; i++)
        timer_free(((SysTimer *)d)->timer[i]);
}

static const DeviceType systimer_type = {
    .name = "bcm2835-sys-timer",
    .desc = "BCM2835 system timer",
    .category = "Misc",
    .size = sizeof(SysTimer),
    .banks = systimer_banks,
    .state = systimer_state,
    .out_pins = systimer_pins,
    .init = systimer_init,
    .reset = systimer_reset,
    .stop = systimer_stop,
};
DEVICE_REGISTER(systimer_type)

/* ---- power management: reset and halt; the watchdog's time is not waited for ---- */

enum { PM_PASSWORD = 0x5a, RSTC_RESET = 0x20, RSTC_MASK = 0x30, RSTS_HALT = 0x555 };

typedef struct Pm {
    Device dev; /* always first */
    uint32_t rstc, rsts, wdog;
} Pm;

static void pm_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pm *s = (Pm *)d;
    uint32_t *field = (uint32_t *)((char *)d + r->field);
    *field = value >> 24 == PM_PASSWORD ? (uint32_t)value & 0xffffff : (uint32_t)old;
    if (r->at != 0x1c || value >> 24 != PM_PASSWORD || (value & RSTC_MASK) != RSTC_RESET)
        return;
    if ((s->rsts & RSTS_HALT) == RSTS_HALT) /* boot partition 63: the firmware stays off */
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    else
        machine_request_reset(CAUSE_GUEST_RESET);
}

static const Reg pm_regs[] = {
    { .name = "RSTC", .at = 0x1c, .size = 4, .field = offsetof(Pm, rstc), .reset = 0x102, .wrote = pm_wrote },
    { .name = "RSTS", .at = 0x20, .size = 4, .field = offsetof(Pm, rsts), .reset = 0x1000, .wrote = pm_wrote },
    { .name = "WDOG", .at = 0x24, .size = 4, .field = offsetof(Pm, wdog), .wrote = pm_wrote }, { .name = NULL },
};
static const RegBank pm_bank = { .name = "regs", .size = 0x1000, .regs = pm_regs };
static const RegBank *const pm_banks[] = { &pm_bank, NULL };
static const DeviceType pm_type = { .name = "bcm2835-powermgt",
                                    .desc = "BCM2835 power management",
                                    .category = "Misc",
                                    .size = sizeof(Pm),
                                    .banks = pm_banks };
DEVICE_REGISTER(pm_type)

/* ---- random numbers ---- */

typedef struct Rng {
    Device dev; /* always first */
    uint32_t ctrl, status;
} Rng;
static uint64_t rng_data(Device *d, const Reg *r, unsigned i, uint64_t stored) { return g_random_int(); }
static uint64_t rng_status(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return (stored & 0xfffff) | 1u << 24;
}
static const Reg rng_regs[] = {
    { .name = "CTRL", .at = 0, .size = 4, .field = offsetof(Rng, ctrl) },
    { .name = "STATUS", .at = 4, .size = 4, .field = offsetof(Rng, status), .read = rng_status },
    { .name = "DATA", .at = 8, .size = 4, .field = REG_NO_FIELD, .read = rng_data, .access = REG_RO }, { .name = NULL },
};
static const RegBank rng_bank = { .name = "regs", .size = 0x10, .regs = rng_regs };
static const RegBank *const rng_banks[] = { &rng_bank, NULL };
static const DeviceType rng_type = {
    .name = "bcm2835-rng", .desc = "BCM2835 random numbers", .category = "Misc", .size = sizeof(Rng), .banks = rng_banks
};
DEVICE_REGISTER(rng_type)
