/* SPDX-License-Identifier: MIT */
/*
 * "stellaris-i2c": I2C of LM3S6965 (DS-LM3S6965, chapter 15), master and slave registers. Nothing is on the bus: a
 * master's address is not acknowledged, which its status and interrupt say at once.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum { MCS_RUN = 1, MCS_STOP = 4, ST_ERROR = 2, ST_ADRACK = 4, ST_IDLE = 0x20, ST_BUSBSY = 0x40, MCR_MASTER = 0x10 };

typedef struct I2c {
    Device dev; /* always first */
    uint32_t msa, status, mdr, mtpr, mimr, mris, mcr, soar, scsr, sdr, simr, sris;
} I2c;

static void update(I2c *s) { device_out(&s->dev, 0, (s->mris & s->mimr & 1) || (s->sris & s->simr & 1)); }

/* MCS reads as status and is written as a command (table 15-3). */
static void mcs_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    I2c *s = (I2c *)d;
    if (!(s->mcr & MCR_MASTER))
        return;
    if (value & MCS_RUN) {
        s->status = ST_ERROR | ST_ADRACK | (value & MCS_STOP ? ST_IDLE : ST_BUSBSY);
        s->mris = 1;
    } else if (value & MCS_STOP) {
        s->status = ST_IDLE;
    }
    update(s);
}
static uint64_t mcs_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((I2c *)d)->status; }
static void changed(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((I2c *)d); }
static uint64_t mmis_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((I2c *)d)->mris & ((I2c *)d)->mimr;
}
static uint64_t smis_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((I2c *)d)->sris & ((I2c *)d)->simr;
}
static void clear_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    I2c *s = (I2c *)d;
    if (r->at == 0x1c)
        s->mris &= ~(uint32_t)value;
    else
        s->sris &= ~(uint32_t)value;
    update(s);
}

#define R(name_, at_, f, ...) { .name = name_, .at = at_, .size = 4, .field = offsetof(I2c, f), __VA_ARGS__ }
#define NONE(name_, at_, ...) { .name = name_, .at = at_, .size = 4, .field = REG_NO_FIELD, __VA_ARGS__ }
static const Reg regs[] = {
    R("MSA", 0x000, msa, .rsvd = ~UINT64_C(0xff)),
    NONE("MCS", 0x004, .read = mcs_read, .wrote = mcs_wrote),
    R("MDR", 0x008, mdr, .rsvd = ~UINT64_C(0xff)),
    R("MTPR", 0x00c, mtpr, .reset = 1),
    R("MIMR", 0x010, mimr, .rsvd = ~UINT64_C(1), .wrote = changed),
    R("MRIS", 0x014, mris, .access = REG_RO),
    NONE("MMIS", 0x018, .read = mmis_read, .access = REG_RO),
    NONE("MICR", 0x01c, .wrote = clear_wrote, .access = REG_WO),
    R("MCR", 0x020, mcr),
    R("SOAR", 0x800, soar, .rsvd = ~UINT64_C(0x7f)),
    R("SCSR", 0x804, scsr, .rsvd = ~UINT64_C(7)),
    R("SDR", 0x808, sdr, .rsvd = ~UINT64_C(0xff)),
    R("SIMR", 0x80c, simr, .rsvd = ~UINT64_C(1), .wrote = changed),
    R("SRIS", 0x810, sris, .access = REG_RO),
    NONE("SMIS", 0x814, .read = smis_read, .access = REG_RO),
    NONE("SICR", 0x818, .wrote = clear_wrote, .access = REG_WO),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const pins[] = { "irq", NULL };
static const StateField state[] = { STATE_U32(I2c, status), STATE_END_OF_TABLE };
static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((I2c *)d)->status = ST_IDLE;
    else if (phase == RESET_HOLD)
        update((I2c *)d);
}
static const DeviceType type = { .name = "stellaris-i2c",
                                 .desc = "Stellaris I2C",
                                 .category = "Misc",
                                 .size = sizeof(I2c),
                                 .banks = banks,
                                 .state = state,
                                 .out_pins = pins,
                                 .reset = reset };
DEVICE_REGISTER(type)
