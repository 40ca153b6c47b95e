/* SPDX-License-Identifier: MIT */
/*
 * "bcm2835_gpio" (BCM2835 ARM Peripherals, chapter 6): functions, outputs that read back, event detection, and the SD
 * slot on pins 48 to 53: their function 0 is sdhost, 3 the Arasan SDHCI (table 6-31).
 */
#include <string.h>
#include "base/bits.h"
#include "hw/misc/bcm2835.h"

enum { PINS = 54, BANKS = 2, SLOT_FIRST = 48, FSEL_ALT0 = 4, FSEL_ALT3 = 7, FSEL_OUTPUT = 1 };
enum { RISING, FALLING, HIGH, LOW, ASYNC_RISING, ASYNC_FALLING, DETECTORS };

typedef struct Gpio {
    Device dev; /* always first */
    uint32_t fsel[6], out[BANKS], in[BANKS], event[BANKS], detect[DETECTORS][BANKS], pud, pudclk[BANKS];
    SdBus slot;
    SdPort *sdhost, *sdhci;
} Gpio;

/* ---- the slot ---- */

static void connect_slot(Gpio *g)
{
    unsigned alt0 = 0, alt3 = 0;
    for (unsigned pin = SLOT_FIRST; pin < PINS; pin++) {
        unsigned f = g->fsel[pin / 10] >> pin % 10 * 3 & 7;
        alt0 += f == FSEL_ALT0;
        alt3 += f == FSEL_ALT3;
    }
    if (g->sdhost && alt0 == PINS - SLOT_FIRST)
        sd_bus_connect(&g->slot, g->sdhost);
    else if (g->sdhci && alt3 == PINS - SLOT_FIRST)
        sd_bus_connect(&g->slot, g->sdhci);
}

void bcm2835_gpio_controllers(Device *gpio, SdPort *sdhost, SdPort *sdhci)
{
    Gpio *g = (Gpio *)gpio;
    g->sdhost = sdhost;
    g->sdhci = sdhci;
    sdhost->bus = sdhci->bus = &g->slot;
    sd_bus_connect(&g->slot, sdhci);
}

/* ---- pins ---- */

static uint32_t outputs(const Gpio *g, unsigned bank)
{
    uint32_t mask = 0;
    for (unsigned n = 0; n < 32 && bank * 32 + n < PINS; n++)
        mask |= (g->fsel[(bank * 32 + n) / 10] >> (bank * 32 + n) % 10 * 3 & 7) == FSEL_OUTPUT ? 1u << n : 0;
    return mask;
}

static uint32_t level(const Gpio *g, unsigned bank)
{
    uint32_t mask = outputs(g, bank);
    return (g->out[bank] & mask) | (g->in[bank] & ~mask);
}

/* Two interrupts: pins 0 to 31 and the others; the third, of all, is for neither driver nor board. */
static void update(Gpio *g)
{
    for (unsigned b = 0; b < BANKS; b++)
        device_out(&g->dev, b, g->event[b] != 0);
}

/* What levels and their changes set off (6.1: GPEDS). */
static void detect(Gpio *g, unsigned b, uint32_t before)
{
    uint32_t now = level(g, b), rose = now & ~before, fell = before & ~now;
    g->event[b] |= (rose & (g->detect[RISING][b] | g->detect[ASYNC_RISING][b])) |
                   (fell & (g->detect[FALLING][b] | g->detect[ASYNC_FALLING][b])) | (now & g->detect[HIGH][b]) |
                   (~now & g->detect[LOW][b]);
    update(g);
}

static void input(Device *d, unsigned pin, int on)
{
    Gpio *g = (Gpio *)d;
    uint32_t before = level(g, pin / 32), bit = 1u << pin % 32;
    g->in[pin / 32] = on ? g->in[pin / 32] | bit : g->in[pin / 32] & ~bit;
    detect(g, pin / 32, before);
}

static void fsel_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Gpio *g = (Gpio *)d;
    for (unsigned b = 0; b < BANKS; b++)
        detect(g, b, level(g, b));
    connect_slot(g);
}
static uint64_t level_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return level((Gpio *)d, i); }
static void set_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Gpio *g = (Gpio *)d;
    uint32_t before = level(g, i);
    g->out[i] |= (uint32_t)value;
    detect(g, i, before);
}
static void clear_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Gpio *g = (Gpio *)d;
    uint32_t before = level(g, i);
    g->out[i] &= ~(uint32_t)value;
    detect(g, i, before);
}
static void detect_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    detect((Gpio *)d, i, level((Gpio *)d, i));
}

#define G(name_, at_, n, ...) { .name = name_, .at = at_, .size = 4, .count = n, .stride = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(Gpio, f)
#define DETECT(name_, at_, which) G(name_, at_, 2, F(detect[which]), .wrote = detect_wrote)
static const Reg regs[] = {
    G("GPFSEL", 0x00, 6, F(fsel), .wrote = fsel_wrote),
    G("GPSET", 0x1c, 2, .field = REG_NO_FIELD, .wrote = set_wrote, .access = REG_WO),
    G("GPCLR", 0x28, 2, .field = REG_NO_FIELD, .wrote = clear_wrote, .access = REG_WO),
    G("GPLEV", 0x34, 2, .field = REG_NO_FIELD, .read = level_read, .access = REG_RO),
    G("GPEDS", 0x40, 2, F(event), .w1c = 0xffffffff, .wrote = detect_wrote),
    DETECT("GPREN", 0x4c, RISING),
    DETECT("GPFEN", 0x58, FALLING),
    DETECT("GPHEN", 0x64, HIGH),
    DETECT("GPLEN", 0x70, LOW),
    DETECT("GPAREN", 0x7c, ASYNC_RISING),
    DETECT("GPAFEN", 0x88, ASYNC_FALLING),
    G("GPPUD", 0x94, 1, F(pud)),
    G("GPPUDCLK", 0x98, 2, F(pudclk)),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const out_pins[] = { "irq*2", NULL }, *const in_pins[] = { "pin*54", NULL },
                         *const makes[] = { "sd", NULL };
static const StateField state[] = { STATE_U32_ARRAY(Gpio, out), STATE_U32_ARRAY(Gpio, in), STATE_END_OF_TABLE };

static bool start(Device *d, Error **errp)
{
    sd_bus_init(&((Gpio *)d)->slot, d);
    return true;
}

/* The slot starts with the SDHCI, as under QEMU; levels of inputs are their drivers'. */
static void reset(Device *d, ResetPhase phase)
{
    Gpio *g = (Gpio *)d;
    if (phase == RESET_ENTER) {
        memset(g->out, 0, sizeof g->out);
        if (g->sdhci)
            sd_bus_connect(&g->slot, g->sdhci);
    } else if (phase == RESET_HOLD) {
        update(g);
    }
}

static bool loaded(Device *d, Error **errp)
{
    connect_slot((Gpio *)d);
    return true;
}
static void stop(Device *d) { sd_bus_fini(&((Gpio *)d)->slot); }

static const DeviceType gpio_type = {
    .name = "bcm2835_gpio",
    .desc = "BCM2835 GPIO with the SD slot",
    .category = "Misc",
    .size = sizeof(Gpio),
    .provides = makes,
    .banks = banks,
    .state = state,
    .out_pins = out_pins,
    .in_pins = in_pins,
    .input = input,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(gpio_type)
