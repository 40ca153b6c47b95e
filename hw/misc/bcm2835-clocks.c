/* SPDX-License-Identifier: MIT */
/* Clock manager of BCM2835 (ARM Peripherals, 6.3) as the firmware leaves it, and the temperature sensor. */
#include "base/bits.h"
#include "hw/core/device.h"

/* ---- clock manager: control and divisor of each clock, the phase-locked loops behind 0x1000 ---- */

enum { WORDS = 0x2000 / 4, CTL_ENAB = 0x10, CTL_BUSY = 0x80, CM_LOCK = 0x114, PLL_PWRDN = 1 << 16 };
#define PASSWORD 0x5au

typedef struct Cprman {
    Device dev; /* always first */
    uint32_t reg[WORDS];
} Cprman;

/*
 * The oscillator has 19.2 MHz. Loops: multiplier in the control word (bit 17: runs), fraction of 2^20; PLLC 1 GHz, PLLD
 * 2 GHz, PLLB 1.4 GHz, PLLA and PLLH 1.08 GHz. Clocks: source (1 oscillator, 5 PLLC, 6 PLLD's peripheral output) and
 * enable bit; divisors with 12 bits of fraction.
 */
static const struct { uint16_t at; uint32_t value;
} left_by_firmware[] = {
    { 0x1100, 0x21038 }, { 0x1200, 0x40000 }, { 0x1120, 0x21034 }, { 0x1220, 0x15555 }, { 0x1140, 0x21068 },
    { 0x1240, 0x2aaab }, { 0x1160, 0x21038 }, { 0x1260, 0x40000 }, { 0x11e0, 0x21048 }, { 0x12e0, 0xeaaab },
    { 0x1190, 0x3f },    { 0x1300, 0x100 },   { 0x1400, 2 },       { 0x1500, 4 },       { 0x1600, 0x100 },
    { 0x1320, 5 },       { 0x1420, 5 },       { 0x1520, 4 },       { 0x1620, 2 },       { 0x1340, 0x100 },
    { 0x1440, 4 },       { 0x1540, 4 },       { 0x1640, 0x100 },   { 0x1360, 4 },       { 0x1460, 0x100 },
    { 0x1560, 10 },      { 0x13e0, 2 },       { 0x104, 0x2aa },    { 0x108, 0x0 },      { 0x10c, 0x2a },
    { 0x110, 0x0 },      { 0x008, 0x15 },     { 0x00c, 0x2000 },   { 0x028, 0x15 },     { 0x02c, 0x2000 },
    { 0x030, 0x15 },     { 0x034, 0x2000 },   { 0x038, 0x15 },     { 0x03c, 0x2000 },   { 0x088, 0x16 },
    { 0x08c, 0x3100 },   { 0x090, 0x11 },     { 0x094, 0x4000 },   { 0x0e0, 0x11 },     { 0x0e4, 0xa000 },
    { 0x0e8, 0x11 },     { 0x0ec, 0x13333 },  { 0x0f0, 0x16 },     { 0x0f4, 0xa6aa },   { 0x0f8, 0x16 },
    { 0x0fc, 0x4a00 },   { 0x1b0, 0x14 },     { 0x1c0, 0x16 },     { 0x1c4, 0xa000 },
};

/* Loops A, C, D, H, B: bits 8 to 12 in the order A, B, C, D, H. */
static uint32_t locked(const Cprman *s)
{
    static const uint16_t control[] = { 0x1100, 0x11e0, 0x1120, 0x1140, 0x1160 };
    uint32_t bits = 0;
    for (unsigned i = 0; i < ARRAY_LEN(control); i++)
        bits |= s->reg[control[i] / 4] & PLL_PWRDN ? 0 : 0x100u << i;
    return bits;
}

static bool is_control(unsigned at) { return at < 0x200 && !(at & 4) && !(at >= 0x100 && at < 0x120); }

static uint64_t cm_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    if (i * 4 == CM_LOCK)
        return locked((Cprman *)d);
    return is_control(i * 4) && stored & CTL_ENAB ? stored | CTL_BUSY : stored;
}

static void cm_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Cprman *)d)->reg[i] = value >> 24 == PASSWORD ? (uint32_t)value & 0xffffff : (uint32_t)old;
}

static const Reg cm_regs[] = {
    { .name = "CM",
      .at = 0,
      .size = 4,
      .count = WORDS,
      .stride = 4,
      .field = offsetof(Cprman, reg),
      .read = cm_read,
      .wrote = cm_wrote },
    { .name = NULL },
};
static const RegBank cm_bank = { .name = "regs", .size = 0x2000, .regs = cm_regs };
static const RegBank *const cm_banks[] = { &cm_bank, NULL };

static void cm_reset(Device *d, ResetPhase phase)
{
    for (unsigned i = 0; phase == RESET_ENTER && i < ARRAY_LEN(left_by_firmware); i++)
        ((Cprman *)d)->reg[left_by_firmware[i].at / 4] = left_by_firmware[i].value;
}

static const DeviceType cm_type = { .name = "bcm2835-cprman",
                                    .desc = "BCM2835 clock manager",
                                    .category = "Misc",
                                    .size = sizeof(Cprman),
                                    .banks = cm_banks,
                                    .reset = cm_reset };
DEVICE_REGISTER(cm_type)

/* ---- temperature: 25 degrees ---- */

typedef struct Thermal {
    Device dev; /* always first */
    uint32_t ctl;
} Thermal;

static uint64_t temperature_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return 0x400 | (407000 - 25000) / 538; /* valid */
}
static const Reg thermal_regs[] = {
    { .name = "TSENSCTL", .at = 0, .size = 4, .field = offsetof(Thermal, ctl) },
    { .name = "TSENSSTAT", .at = 4, .size = 4, .field = REG_NO_FIELD, .read = temperature_read }, { .name = NULL },
};
static const RegBank thermal_bank = { .name = "regs", .size = 8, .regs = thermal_regs };
static const RegBank *const thermal_banks[] = { &thermal_bank, NULL };
static const DeviceType thermal_type = { .name = "bcm2835-thermal",
                                         .desc = "BCM2835 temperature sensor",
                                         .category = "Misc",
                                         .size = sizeof(Thermal),
                                         .banks = thermal_banks };
DEVICE_REGISTER(thermal_type)
