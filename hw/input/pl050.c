/* SPDX-License-Identifier: MIT */
/* PL050 keyboard and mouse interface (DDI 0143C) with the PS/2 device behind it. */
#include "base/bits.h"
#include "hw/input/ps2.h"

enum { CR_ENABLE = 4, CR_TX_INT = 8, CR_RX_INT = 16 };
enum { STAT_RXPARITY = 4, STAT_RXFULL = 16, STAT_TXEMPTY = 64 };

typedef struct Pl050 {
    Device dev; /* always first */
    bool mouse;
    uint32_t cr, clk, last;
    Ps2Keyboard keyboard;
    Ps2Mouse pointer;
} Pl050;

static Ps2Port *port_of(Pl050 *s) { return s->mouse ? &s->pointer.port : &s->keyboard.port; }
static bool waits(Pl050 *s) { return port_of(s)->count; }

static void update(void *opaque)
{
    Pl050 *s = opaque;
    device_out(&s->dev, 0, (waits(s) && s->cr & CR_RX_INT) || s->cr & CR_TX_INT);
}

static void cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update(d); }

static uint64_t stat_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Pl050 *s = (Pl050 *)d;
    bool odd = !(__builtin_popcount(s->last) & 1);
    return 3 | (odd ? STAT_RXPARITY : 0) | STAT_TXEMPTY | (waits(s) ? STAT_RXFULL : 0);
}

static uint64_t data_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Pl050 *s = (Pl050 *)d;
    if (waits(s))
        s->last = ps2_read(port_of(s));
    update(s);
    return s->last;
}

static void data_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl050 *s = (Pl050 *)d;
    if (s->mouse)
        ps2_mouse_write(&s->pointer, (uint8_t)value);
    else
        ps2_keyboard_write(&s->keyboard, (uint8_t)value);
}

static uint64_t ir_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return 2 | waits((Pl050 *)d); }
static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[8] = { 0x50, 0x10, 0x04, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

static const Reg pl050_regs[] = {
    { .name = "KMICR", .at = 0, .size = 4, .field = offsetof(Pl050, cr), .wrote = cr_wrote },
    { .name = "KMISTAT", .at = 4, .size = 4, .field = REG_NO_FIELD, .read = stat_read, .access = REG_RO },
    { .name = "KMIDATA", .at = 8, .size = 4, .field = REG_NO_FIELD, .read = data_read, .wrote = data_wrote },
    { .name = "KMICLKDIV", .at = 12, .size = 4, .field = offsetof(Pl050, clk) },
    { .name = "KMIIR", .at = 16, .size = 4, .field = REG_NO_FIELD, .read = ir_read, .access = REG_RO },
    { .name = "ID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank pl050_bank = { .name = "regs", .size = 0x1000, .regs = pl050_regs };
static const RegBank *const pl050_banks[] = { &pl050_bank, NULL };
static const char *const pl050_pins[] = { "irq", NULL };
static const StateField pl050_state[] = { STATE_U32(Pl050, last), STATE_STRUCT(Pl050, keyboard, ps2_keyboard_state),
                                          STATE_STRUCT(Pl050, pointer, ps2_mouse_state), STATE_END_OF_TABLE };

static void pl050_init(Device *d)
{
    Pl050 *s = (Pl050 *)d;
    ps2_keyboard_init(&s->keyboard, update, s);
    ps2_mouse_init(&s->pointer, update, s);
}

static void pl050_reset(Device *d, ResetPhase phase)
{
    Pl050 *s = (Pl050 *)d;
    if (phase == RESET_ENTER) {
        s->last = 0;
        ps2_keyboard_reset(&s->keyboard);
        ps2_mouse_reset(&s->pointer);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool pl050_loaded(Device *d, Error **errp)
{
    return ps2_keyboard_loaded(&((Pl050 *)d)->keyboard, errp) && ps2_mouse_loaded(&((Pl050 *)d)->pointer, errp);
}

static void pl050_mouse_init(Device *d)
{
    pl050_init(d);
    ((Pl050 *)d)->mouse = true;
}

#define PL050(var_, name_, desc_, init_) \
    static const DeviceType var_ = { .name = name_, .desc = desc_, .category = "Input", .size = sizeof(Pl050), \
        .banks = pl050_banks, \
                                     .state = pl050_state, .out_pins = pl050_pins, .init = init_, \
                                     .reset = pl050_reset, .loaded = pl050_loaded }; \
    DEVICE_REGISTER(var_)
PL050(pl050_keyboard, "pl050_keyboard", "Arm PL050 with a keyboard", pl050_init)
PL050(pl050_mouse, "pl050_mouse", "Arm PL050 with a mouse", pl050_mouse_init)
