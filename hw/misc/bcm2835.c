/* SPDX-License-Identifier: MIT */
/* Small parts of BCM2835 (ARM Peripherals): system timer (12), power management and watchdog, random numbers, GPIO (6), an SD host without a card. */
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
 * The next match; `fresh`: of a value just written. A guest that the host has held up between reading the count and writing the sum would wait
 * 71 minutes: a value up to a second in the past matches at once.
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

static uint64_t count_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return (uint32_t)(us_now() >> 32 * i); }
static void cs_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { systimer_update((SysTimer *)d); }
static void compare_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { systimer_arm((SysTimer *)d, i, true); }

static const Reg systimer_regs[] = {
    { .name = "CS", .at = 0, .size = 4, .field = offsetof(SysTimer, cs), .w1c = 15, .rsvd = 0xfffffff0, .wrote = cs_wrote },
    { .name = "COUNT", .at = 4, .size = 4, .count = 2, .stride = 4, .field = REG_NO_FIELD, .read = count_read, .access = REG_RO },
    { .name = "COMPARE", .at = 12, .size = 4, .count = 4, .stride = 4, .field = offsetof(SysTimer, compare), .wrote = compare_wrote },
    { .name = NULL },
};
static const RegBank systimer_bank = { .name = "regs", .size = 0x20, .regs = systimer_regs };
static const RegBank *const systimer_banks[] = { &systimer_bank, NULL };
static const char *const systimer_pins[] = { "irq*4", NULL };
static const StateField systimer_state[] = { STATE_TIMER(SysTimer, timer[0]), STATE_TIMER(SysTimer, timer[1]), STATE_TIMER(SysTimer, timer[2]),
                                             STATE_TIMER(SysTimer, timer[3]), STATE_END_OF_TABLE };

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
    .name = "bcm2835-sys-timer", .desc = "BCM2835 system timer", .category = "Misc", .size = sizeof(SysTimer), .banks = systimer_banks,
    .state = systimer_state, .out_pins = systimer_pins, .init = systimer_init, .reset = systimer_reset, .stop = systimer_stop,
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
static const DeviceType pm_type = { .name = "bcm2835-powermgt", .desc = "BCM2835 power management", .category = "Misc", .size = sizeof(Pm), .banks = pm_banks };
DEVICE_REGISTER(pm_type)

/* ---- random numbers ---- */

typedef struct Rng {
    Device dev; /* always first */
    uint32_t ctrl, status;
} Rng;
static uint64_t rng_data(Device *d, const Reg *r, unsigned i, uint64_t stored) { return g_random_int(); }
static uint64_t rng_status(Device *d, const Reg *r, unsigned i, uint64_t stored) { return (stored & 0xfffff) | 1u << 24; }
static const Reg rng_regs[] = {
    { .name = "CTRL", .at = 0, .size = 4, .field = offsetof(Rng, ctrl) },
    { .name = "STATUS", .at = 4, .size = 4, .field = offsetof(Rng, status), .read = rng_status },
    { .name = "DATA", .at = 8, .size = 4, .field = REG_NO_FIELD, .read = rng_data, .access = REG_RO }, { .name = NULL },
};
static const RegBank rng_bank = { .name = "regs", .size = 0x10, .regs = rng_regs };
static const RegBank *const rng_banks[] = { &rng_bank, NULL };
static const DeviceType rng_type = { .name = "bcm2835-rng", .desc = "BCM2835 random numbers", .category = "Misc", .size = sizeof(Rng), .banks = rng_banks };
DEVICE_REGISTER(rng_type)

/* ---- GPIO: functions and outputs that read back; nothing is connected ---- */

typedef struct Gpio {
    Device dev; /* always first */
    uint32_t fsel[6], out[2], detect[12], pud, pudclk[2];
} Gpio;
static uint64_t gpio_level(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Gpio *)d)->out[i]; }
static void gpio_set(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { ((Gpio *)d)->out[i] |= (uint32_t)value; }
static void gpio_clear(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { ((Gpio *)d)->out[i] &= ~(uint32_t)value; }
#define G(name_, at_, n, ...) { .name = name_, .at = at_, .size = 4, .count = n, .stride = 4, __VA_ARGS__ }
static const Reg gpio_regs[] = {
    G("GPFSEL", 0x00, 6, .field = offsetof(Gpio, fsel)), G("GPSET", 0x1c, 2, .field = REG_NO_FIELD, .wrote = gpio_set, .access = REG_WO),
    G("GPCLR", 0x28, 2, .field = REG_NO_FIELD, .wrote = gpio_clear, .access = REG_WO), G("GPLEV", 0x34, 2, .field = REG_NO_FIELD, .read = gpio_level),
    G("GPEDS", 0x40, 2, .field = REG_NO_FIELD), G("GPREN", 0x4c, 2, .field = offsetof(Gpio, detect)), G("GPFEN", 0x58, 2, .field = offsetof(Gpio, detect[2])),
    G("GPHEN", 0x64, 2, .field = offsetof(Gpio, detect[4])), G("GPLEN", 0x70, 2, .field = offsetof(Gpio, detect[6])),
    G("GPAREN", 0x7c, 2, .field = offsetof(Gpio, detect[8])), G("GPAFEN", 0x88, 2, .field = offsetof(Gpio, detect[10])),
    G("GPPUD", 0x94, 1, .field = offsetof(Gpio, pud)), G("GPPUDCLK", 0x98, 2, .field = offsetof(Gpio, pudclk)), { .name = NULL },
};
static const RegBank gpio_bank = { .name = "regs", .size = 0x1000, .regs = gpio_regs };
static const RegBank *const gpio_banks[] = { &gpio_bank, NULL };
static const StateField gpio_state[] = { STATE_U32_ARRAY(Gpio, out), STATE_END_OF_TABLE };
static void gpio_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        memset(((Gpio *)d)->out, 0, sizeof ((Gpio *)d)->out);
}
static const DeviceType gpio_type = { .name = "bcm2835_gpio", .desc = "BCM2835 GPIO", .category = "Misc", .size = sizeof(Gpio), .banks = gpio_banks,
                                      .state = gpio_state, .reset = gpio_reset };
DEVICE_REGISTER(gpio_type)

/* ---- SD host: no card, every command times out ---- */

enum { SDCMD_NEW = 0x8000, SDCMD_FAIL = 0x4000, SDHSTS_TIMEOUT = 0x40 };
typedef struct SdHost {
    Device dev; /* always first */
    uint32_t cmd, arg, tout, cdiv, sts, vdd, edm, cfg, hbct, hblc;
} SdHost;
static void sdcmd_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SdHost *s = (SdHost *)d;
    s->cmd = (uint32_t)value & 0x7fff;
    if (value & SDCMD_NEW) {
        s->cmd |= SDCMD_FAIL;
        s->sts |= SDHSTS_TIMEOUT;
    }
}
#define S(name_, at_, f, ...) { .name = name_, .at = at_, .size = 4, .field = offsetof(SdHost, f), __VA_ARGS__ }
static const Reg sd_regs[] = {
    S("SDCMD", 0x00, cmd, .wrote = sdcmd_wrote), S("SDARG", 0x04, arg), S("SDTOUT", 0x08, tout), S("SDCDIV", 0x0c, cdiv),
    { .name = "SDRSP", .at = 0x10, .size = 4, .count = 4, .stride = 4, .field = REG_NO_FIELD, .access = REG_RO },
    S("SDHSTS", 0x20, sts, .w1c = 0x7f8), S("SDVDD", 0x30, vdd), S("SDEDM", 0x34, edm), S("SDHCFG", 0x38, cfg), S("SDHBCT", 0x3c, hbct),
    { .name = "SDDATA", .at = 0x40, .size = 4, .field = REG_NO_FIELD }, S("SDHBLC", 0x50, hblc), { .name = NULL },
};
static const RegBank sd_bank = { .name = "regs", .size = 0x100, .regs = sd_regs };
static const RegBank *const sd_banks[] = { &sd_bank, NULL };
static const char *const sd_pins[] = { "irq", NULL };
static const DeviceType sd_type = { .name = "bcm2835-sdhost", .desc = "BCM2835 SD host without a card", .category = "Storage", .size = sizeof(SdHost),
                                    .banks = sd_banks, .out_pins = sd_pins };
DEVICE_REGISTER(sd_type)
