/* SPDX-License-Identifier: MIT */
/*
 * The I2C controller of i.MX (IMX6DQRM, chapter 35); nothing is on the bus, so every byte is sent and not acknowledged.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum {
    CR_IEN = 0x80,
    CR_IIEN = 0x40,
    CR_MSTA = 0x20,
    SR_ICF = 0x80,
    SR_IBB = 0x20,
    SR_IAL = 0x10,
    SR_IIF = 2,
    SR_RXAK = 1
};

typedef struct ImxI2c {
    Device dev; /* always first */
    uint16_t iadr, ifdr, i2cr, i2sr, i2dr;
} ImxI2c;

static void update(ImxI2c *s) { device_out(&s->dev, 0, s->i2sr & SR_IIF && s->i2cr & CR_IIEN); }

static void cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ImxI2c *s = (ImxI2c *)d;
    if (!(s->i2cr & CR_IEN))
        s->i2sr = SR_ICF | SR_RXAK;
    else
        s->i2sr = s->i2cr & CR_MSTA ? s->i2sr | SR_IBB : s->i2sr & ~SR_IBB;
    update(s);
}
static void sr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ImxI2c *s = (ImxI2c *)d; /* these two are cleared by a zero */
    s->i2sr = (uint16_t)(old & (~(SR_IIF | SR_IAL) | value));
    update(s);
}
static void dr_moved(ImxI2c *s)
{
    if (s->i2cr & CR_IEN && s->i2cr & CR_MSTA)
        s->i2sr |= SR_ICF | SR_IIF | SR_RXAK;
    update(s);
}
static void dr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { dr_moved((ImxI2c *)d); }
static uint64_t dr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    dr_moved((ImxI2c *)d);
    return 0xff;
}

#define R(name_, at_, f, ...) { .name = name_, .at = at_, .size = 2, .field = offsetof(ImxI2c, f), __VA_ARGS__ }
static const Reg regs[] = {
    R("IADR", 0x00, iadr),
    R("IFDR", 0x04, ifdr),
    R("I2CR", 0x08, i2cr, .wrote = cr_wrote),
    R("I2SR", 0x0c, i2sr, .reset = SR_ICF | SR_RXAK, .wrote = sr_wrote),
    R("I2DR", 0x10, i2dr, .read = dr_read, .wrote = dr_wrote),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const pins[] = { "irq", NULL };
static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        update((ImxI2c *)d);
}
static const DeviceType type = { .name = "imx.i2c",
                                 .desc = "i.MX I2C controller",
                                 .category = "Misc",
                                 .size = sizeof(ImxI2c),
                                 .banks = banks,
                                 .out_pins = pins,
                                 .reset = reset };
DEVICE_REGISTER(type)
