/* SPDX-License-Identifier: MIT */
/*
 * The Gigabit Ethernet controller of Zynq-7000 (UG585, chapter 16 and B.18) without a PHY and without a cable:
 * registers and management frames only.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum {
    WORDS = 0x2a0 / 4,
    NWSTATUS = 0x08,
    TXSTATUS = 0x14,
    RXSTATUS = 0x20,
    ISR = 0x24,
    IER = 0x28,
    IDR = 0x2c,
    IMR = 0x30,
    PHYMNTNC = 0x34,
    MODID = 0xfc,
    DESCONF2 = 0x284,
    ISR_MGMT = 1
};

typedef struct Gem {
    Device dev; /* always first */
    uint32_t reg[WORDS];
} Gem;

static uint32_t *word(Gem *s, unsigned at) { return &s->reg[at / 4]; }
static void update(Gem *s) { device_out(&s->dev, 0, (*word(s, ISR) & ~*word(s, IMR)) != 0); }

static uint64_t gem_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Gem *s = (Gem *)d;
    if (i * 4 == NWSTATUS)
        return 4; /* management is idle */
    if (i * 4 == IER || i * 4 == IDR)
        return 0;
    if (i * 4 == ISR) { /* cleared by reading */
        *word(s, ISR) = 0;
        update(s);
    }
    return stored;
}

static void gem_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Gem *s = (Gem *)d;
    uint32_t v = (uint32_t)value;
    switch (i * 4) {
    case NWSTATUS: case IMR: case MODID: case DESCONF2: s->reg[i] = (uint32_t)old; break;
    case TXSTATUS: case RXSTATUS: case ISR: s->reg[i] = (uint32_t)old & ~v; break;
    case IER: *word(s, IMR) &= ~v; break;
    case IDR: *word(s, IMR) |= v; break;
    case PHYMNTNC:
        s->reg[i] = v | 0xffff; /* nobody drives the bus */
        *word(s, ISR) |= ISR_MGMT;
        break;
    default: break;
    }
    update(s);
}

static const Reg regs[] = {
    { .name = "GEM",
      .at = 0,
      .size = 4,
      .count = WORDS,
      .stride = 4,
      .field = offsetof(Gem, reg),
      .read = gem_read,
      .wrote = gem_wrote },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const pins[] = { "irq", NULL };
static void reset(Device *d, ResetPhase phase)
{
    static const struct { uint16_t at; uint32_t value;
    } presets[] = {
        { 0x04, 0x00080000 },  { 0x10, 0x00020784 },  { IMR, 0x07ffffff },
        { MODID, 0x00020118 }, { 0x280, 0x02500111 }, { DESCONF2, 0x2ab13fff },
    };
    for (unsigned i = 0; phase == RESET_ENTER && i < ARRAY_LEN(presets); i++)
        ((Gem *)d)->reg[presets[i].at / 4] = presets[i].value;
    if (phase == RESET_HOLD)
        update((Gem *)d);
}
static const DeviceType gem_type = { .name = "cadence_gem",
                                     .desc = "Cadence GEM without a cable",
                                     .category = "Network",
                                     .size = sizeof(Gem),
                                     .banks = banks,
                                     .out_pins = pins,
                                     .reset = reset };
DEVICE_REGISTER(gem_type)
