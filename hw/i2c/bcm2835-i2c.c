/* SPDX-License-Identifier: MIT */
/*
 * The three BSC (I2C) masters of BCM2835 (ARM Peripherals, chapter 3) with one interrupt; the buses are empty:
 * transfers end unacknowledged.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum {
    C_ENABLE = 1 << 15,
    C_INTD = 1 << 8,
    C_START = 1 << 7,
    S_DONE = 2,
    S_TXD = 0x10,
    S_TXE = 0x40,
    S_ERR = 0x100,
    S_CLKT = 0x200
};

typedef struct Bsc {
    uint32_t c, s, dlen, a, div, del, clkt;
} Bsc;

typedef struct I2c {
    Device dev; /* always first */
    Bsc bus[3];
} I2c;

static void update(I2c *s)
{
    bool on = false;
    for (unsigned i = 0; i < 3; i++)
        on |= s->bus[i].c & C_INTD && s->bus[i].s & S_DONE;
    device_out(&s->dev, 0, on);
}

static Bsc *bus_of(Device *d, const Reg *r) { return &((I2c *)d)->bus[(r->field - offsetof(I2c, bus)) / sizeof(Bsc)]; }

static void c_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Bsc *b = bus_of(d, r);
    b->c &= ~(uint32_t)(C_START | 0x30);
    if (value & C_START && value & C_ENABLE)
        b->s |= S_DONE | S_ERR;
    update((I2c *)d);
}
static void s_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((I2c *)d); }

#define R(n, name_, at_, f, ...) { .name = name_, .at = at_, .size = 4, .field = offsetof(I2c, bus[n].f), __VA_ARGS__ }
#define BSC(n) \
    static const Reg regs##n[] = { \
        R(n, "C", 0x00, c, .wrote = c_wrote), \
        R(n, "S", 0x04, s, .reset = S_TXD | S_TXE, .ro = 0xfffffcfd, .w1c = S_DONE | S_ERR | S_CLKT, \
            .wrote = s_wrote), \
        R(n, "DLEN", 0x08, dlen), R(n, "A", 0x0c, a), \
        { .name = "FIFO", .at = 0x10, .size = 4, .field = REG_NO_FIELD }, \
        R(n, "DIV", 0x14, div, .reset = 0x5dc), R(n, "DEL", 0x18, del, .reset = 0x00300030), \
        R(n, "CLKT", 0x1c, clkt, .reset = 0x40), { .name = NULL } }; \
    static const RegBank bank##n = { .name = "bsc" #n, .size = 0x20, .regs = regs##n };
BSC(0)
BSC(1)
BSC(2)
static const RegBank *const banks[] = { &bank0, &bank1, &bank2, NULL };
static const char *const pins[] = { "irq", NULL };
static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        update((I2c *)d);
}
static const DeviceType i2c_type = { .name = "bcm2835-i2c",
                                     .desc = "BCM2835 I2C masters",
                                     .category = "Misc",
                                     .size = sizeof(I2c),
                                     .banks = banks,
                                     .out_pins = pins,
                                     .reset = reset };
DEVICE_REGISTER(i2c_type)
