/* SPDX-License-Identifier: MIT */
/* The PrimeCell GPIO PL061 (DDI 0190B): eight lines, inputs "gpio" and outputs "gpio", one interrupt. */
#include "base/bits.h"
#include "hw/core/device.h"

enum { LINES = 8, PIN_IRQ = 0, PIN_GPIO = 1 };

typedef struct Pl061 {
    Device dev; /* always first */
    uint32_t dir, is, ibe, iev, ie, ris, afsel;
    uint8_t in, out; /* levels at the pins, and what the guest drives */
    uint8_t last;    /* levels that edge detection has seen */
} Pl061;

/* What the lines carry: ours where dir says so. */
static uint8_t levels(const Pl061 *s) { return (uint8_t)((s->out & s->dir) | (s->in & ~s->dir)); }

static void update(Pl061 *s)
{
    uint8_t now = levels(s), changed = now ^ s->last, rose = changed & now;
    uint8_t edge = (uint8_t)((changed & s->ibe) | (rose & s->iev & ~s->ibe) | (changed & ~now & ~s->iev & ~s->ibe));
    s->last = now;
    s->ris = (s->ris & ~s->is) | (edge & ~s->is);
    s->ris |= s->is & ~(now ^ s->iev) & 0xff; /* level-sensitive lines follow (section 3.3.4) */
    for (unsigned i = 0; i < LINES; i++)
        device_out(&s->dev, PIN_GPIO + i, s->dir >> i & s->out >> i & 1);
    device_out(&s->dev, PIN_IRQ, (s->ris & s->ie) != 0);
}

static void pl061_input(Device *d, unsigned pin, int level)
{
    Pl061 *s = (Pl061 *)d;
    s->in = (uint8_t)((s->in & ~(1u << pin)) | (level ? 1u << pin : 0));
    update(s);
}

/* Address bits 9:2 select the lines of an access (section 3.3.1). */
static uint64_t data_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return levels((Pl061 *)d) & i; }

static void data_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl061 *s = (Pl061 *)d;
    s->out = (uint8_t)((s->out & ~i) | (value & i));
    update(s);
}

static void any_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Pl061 *)d); }
static uint64_t ris_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Pl061 *)d)->ris; }
static uint64_t mis_read(Device *d, const Reg *r, unsigned i, uint64_t v)
{
    return ((Pl061 *)d)->ris & ((Pl061 *)d)->ie;
}

static void ic_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl061 *s = (Pl061 *)d;
    s->ris &= ~(uint32_t)value | s->is;
    update(s);
}

/* Section 3.3.11 */
static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[] = { 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

#define FIELD(f) offsetof(Pl061, f)
#define ROW(n, a, f) { .name = n, .at = a, .size = 4, .field = FIELD(f), .rsvd = 0xffffff00, .wrote = any_wrote }
static const Reg pl061_regs[] = {
    { .name = "GPIODATA",
      .at = 0x000,
      .size = 4,
      .count = 256,
      .field = REG_NO_FIELD,
      .read = data_read,
      .wrote = data_wrote },
    ROW("GPIODIR", 0x400, dir),
    ROW("GPIOIS", 0x404, is),
    ROW("GPIOIBE", 0x408, ibe),
    ROW("GPIOIEV", 0x40c, iev),
    ROW("GPIOIE", 0x410, ie),
    { .name = "GPIORIS", .at = 0x414, .size = 4, .field = REG_NO_FIELD, .read = ris_read, .access = REG_RO },
    { .name = "GPIOMIS", .at = 0x418, .size = 4, .field = REG_NO_FIELD, .read = mis_read, .access = REG_RO },
    { .name = "GPIOIC", .at = 0x41c, .size = 4, .field = REG_NO_FIELD, .wrote = ic_wrote, .access = REG_WO },
    { .name = "GPIOAFSEL", .at = 0x420, .size = 4, .field = FIELD(afsel), .rsvd = 0xffffff00 },
    { .name = "GPIOPeriphID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .field = REG_NO_FIELD,
      .read = id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank pl061_bank = { .name = "regs", .size = 0x1000, .regs = pl061_regs };
static const RegBank *const pl061_banks[] = { &pl061_bank, NULL };
static const StateField pl061_state[] = { STATE_U32(Pl061, ris), STATE_U8(Pl061, in), STATE_U8(Pl061, out),
                                          STATE_U8(Pl061, last), STATE_END_OF_TABLE };

static void pl061_reset(Device *d, ResetPhase phase)
{
    Pl061 *s = (Pl061 *)d;
    if (phase == RESET_ENTER) {
        s->out = 0;
        s->ris = 0;
        s->last = s->in;
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool pl061_loaded(Device *d, Error **errp)
{
    ((Pl061 *)d)->ris &= 0xff;
    return true;
}

static const char *const pl061_out[] = { "irq", "gpio*8", NULL }, *const pl061_in[] = { "gpio*8", NULL };

static const DeviceType pl061_type = {
    .name = "pl061", .desc = "PrimeCell GPIO PL061", .category = "Misc", .size = sizeof(Pl061), .banks = pl061_banks,
    .state = pl061_state, .out_pins = pl061_out, .in_pins = pl061_in, .input = pl061_input, .reset = pl061_reset,
    .loaded = pl061_loaded,
};
DEVICE_REGISTER(pl061_type)
