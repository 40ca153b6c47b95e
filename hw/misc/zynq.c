/* SPDX-License-Identifier: MIT */
/*
 * System parts of Zynq-7000 (UG585): system-level control registers (4.3, B.28) and the DDR controller's registers
 * (B.7).
 */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

/* ---- SLCR ---- */

enum { SLCR_WORDS = 0xc00 / 4, SLCR_LOCK = 0x004, SLCR_UNLOCK = 0x008, LOCKSTA = 0x00c, PLL_STATUS = 0x10c,
       PSS_RST_CTRL = 0x200, A9_CPU_RST_CTRL = 0x244, PSS_IDCODE = 0x530 };
enum { KEY_LOCK = 0x767b, KEY_UNLOCK = 0xdf0d };

typedef struct Slcr {
    Device dev; /* always first */
    uint32_t reg[SLCR_WORDS];
    bool open;
} Slcr;

static const struct { uint16_t at; uint32_t value;
} presets[] = {
    { 0x100, 0x0001a008 }, { 0x104, 0x0001a008 }, { 0x108, 0x0001a008 }, { 0x110, 0x00177ea0 }, { 0x114, 0x00177ea0 },
    { 0x118, 0x00177ea0 }, { 0x120, 0x1f000400 }, { 0x124, 0x18400003 }, { 0x128, 0x01e03201 }, { 0x12c, 0x01ffcccd },
    { 0x130, 0x00101941 }, { 0x134, 0x00101941 }, { 0x138, 0x00000001 }, { 0x13c, 0x00000001 }, { 0x140, 0x00003c01 },
    { 0x144, 0x00003c01 }, { 0x148, 0x00003c21 }, { 0x14c, 0x00002821 }, { 0x150, 0x00001e03 }, { 0x154, 0x00003f03 },
    { 0x158, 0x00003f03 }, { 0x15c, 0x00501903 }, { 0x164, 0x00000f03 }, { 0x168, 0x00000f01 }, { 0x170, 0x00101800 },
    { 0x180, 0x00101800 }, { 0x190, 0x00101800 }, { 0x1a0, 0x00101800 }, { 0x1c4, 0x00000001 }, { 0x240, 0x01f33f0f },
    { 0x24c, 0x00000001 }, { 0x258, 0x00400000 }, { 0x600, 0x00000200 },
};

static uint64_t slcr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    switch (i * 4) {
    case SLCR_LOCK: case SLCR_UNLOCK: return 0;
    case LOCKSTA: return !((Slcr *)d)->open;
    case PLL_STATUS: return 0x3f;        /* all have locked */
    case PSS_IDCODE: return 0x13727093;  /* XC7Z020 */
    default: return stored;
    }
}

static void slcr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Slcr *s = (Slcr *)d;
    bool was_open = s->open;
    if (i * 4 == SLCR_LOCK || i * 4 == SLCR_UNLOCK) {
        if ((value & 0xffff) == (i * 4 == SLCR_LOCK ? KEY_LOCK : KEY_UNLOCK))
            s->open = i * 4 == SLCR_UNLOCK;
        s->reg[i] = 0;
    } else if (!was_open) {
        s->reg[i] = (uint32_t)old;
    } else if (i * 4 == A9_CPU_RST_CTRL) {
        device_out(d, 0, old & 2 && !(value & 2)); /* CPU 1 leaves reset: it starts at 0 */
        device_out(d, 0, 0);
    } else if (i * 4 == PSS_RST_CTRL) {
        s->reg[i] = 0;
        if (value & 1)
            machine_request_reset(CAUSE_GUEST_RESET);
    }
}

static const Reg slcr_regs[] = {
    { .name = "SLCR",
      .at = 0,
      .size = 4,
      .count = SLCR_WORDS,
      .stride = 4,
      .field = offsetof(Slcr, reg),
      .read = slcr_read,
      .wrote = slcr_wrote },
    { .name = NULL },
};
static const RegBank slcr_bank = { .name = "regs", .size = 0x1000, .regs = slcr_regs };
static const RegBank *const slcr_banks[] = { &slcr_bank, NULL };
static const char *const slcr_pins[] = { "start", NULL };
static const StateField slcr_state[] = { STATE_BOOL(Slcr, open), STATE_END_OF_TABLE };
static void slcr_reset(Device *d, ResetPhase phase)
{
    Slcr *s = (Slcr *)d;
    if (phase != RESET_ENTER)
        return;
    s->open = false;
    for (unsigned i = 0; i < ARRAY_LEN(presets); i++)
        s->reg[presets[i].at / 4] = presets[i].value;
    for (unsigned pin = 0; pin < 54; pin++)
        s->reg[0x700 / 4 + pin] = 0x1601;
}
static const DeviceType slcr_type = { .name = "xilinx-zynq_slcr",
                                      .desc = "Zynq-7000 system control",
                                      .category = "Misc",
                                      .size = sizeof(Slcr),
                                      .banks = slcr_banks,
                                      .out_pins = slcr_pins,
                                      .state = slcr_state,
                                      .reset = slcr_reset };
DEVICE_REGISTER(slcr_type)

/* ---- DDR controller: registers; it is always in normal mode ---- */

enum { DDRC_WORDS = 0x2bc / 4, MODE_STS = 0x54 / 4 };
typedef struct Ddrc {
    Device dev; /* always first */
    uint32_t reg[DDRC_WORDS];
} Ddrc;
static uint64_t ddrc_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return i == MODE_STS ? 1 : stored; }
static const Reg ddrc_regs[] = {
    { .name = "DDRC",
      .at = 0,
      .size = 4,
      .count = DDRC_WORDS,
      .stride = 4,
      .field = offsetof(Ddrc, reg),
      .read = ddrc_read },
    { .name = NULL },
};
static const RegBank ddrc_bank = { .name = "regs", .size = 0x1000, .regs = ddrc_regs };
static const RegBank *const ddrc_banks[] = { &ddrc_bank, NULL };
static void ddrc_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((Ddrc *)d)->reg[0] = 0x200;
}
static const DeviceType ddrc_type = { .name = "zynq.ddr-ctlr",
                                      .desc = "Zynq-7000 DDR controller",
                                      .category = "Misc",
                                      .size = sizeof(Ddrc),
                                      .banks = ddrc_banks,
                                      .reset = ddrc_reset };
DEVICE_REGISTER(ddrc_type)
