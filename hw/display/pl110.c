/* SPDX-License-Identifier: MIT */
/*
 * Registers of the LCD controllers PL110 (DDI 0161E), the Versatile's variant of it, and PL111 (DDI 0293C); there is no
 * picture.
 */
#include "base/bits.h"
#include "hw/core/device.h"

typedef struct Pl110 {
    Device dev; /* always first */
    uint32_t timing[4], base[2], reg18, reg1c, ris, palette[128];
} Pl110;

typedef struct Pl110Kind {
    bool swapped; /* control at 0x18 and interrupt mask at 0x1c */
    uint8_t id[8];
} Pl110Kind;

static const Pl110Kind *kind_of(const Device *d) { return d->type->class_data; }
static uint32_t imsc(const Pl110 *s) { return kind_of(&s->dev)->swapped ? s->reg1c : s->reg18; }
static void update(Pl110 *s) { device_out(&s->dev, 0, (s->ris & imsc(s)) != 0); }

static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Pl110 *)d); }
static uint64_t mis_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((Pl110 *)d)->ris & imsc((Pl110 *)d);
}
static void icr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Pl110 *)d)->ris &= ~(uint32_t)value;
    update((Pl110 *)d);
}
static uint64_t current_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Pl110 *)d)->base[i]; }
static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return kind_of(d)->id[i]; }

#define R(name_, at_, n, ...) { .name = name_, .at = at_, .size = 4, .count = n, .stride = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(Pl110, f)
#define NONE .field = REG_NO_FIELD
static const Reg regs[] = {
    R("TIMING", 0x00, 4, F(timing)),
    R("BASE", 0x10, 2, F(base)),
    R("REG18", 0x18, 1, F(reg18), .wrote = wrote),
    R("REG1C", 0x1c, 1, F(reg1c), .wrote = wrote),
    R("RIS", 0x20, 1, F(ris), .access = REG_RO),
    R("MIS", 0x24, 1, NONE, .read = mis_read, .access = REG_RO),
    R("ICR", 0x28, 1, NONE, .wrote = icr_wrote, .access = REG_WO),
    R("CURRENT", 0x2c, 2, NONE, .read = current_read, .access = REG_RO),
    R("PALETTE", 0x200, 128, F(palette)),
    R("ID", 0xfe0, 8, NONE, .read = id_read, .access = REG_RO),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const pins[] = { "irq", NULL };

static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        update((Pl110 *)d);
}

#define PL110(var_, name_, desc_, swapped_, ...) \
    static const Pl110Kind var_##_kind = { swapped_, { __VA_ARGS__, 0x0d, 0xf0, 0x05, 0xb1 } }; \
    static const DeviceType var_ = { .name = name_, .desc = desc_, .category = "Display", .size = sizeof(Pl110), \
        .banks = banks, .out_pins = pins, \
                                     .reset = reset, .class_data = &var_##_kind }; \
    DEVICE_REGISTER(var_)
PL110(pl110_type, "pl110", "Arm PL110 LCD controller (registers)", false, 0x10, 0x11, 0x04, 0x00)
PL110(pl110_versatile_type, "pl110_versatile", "Versatile's PL110 LCD controller (registers)", true, 0x10, 0x11, 0x04,
      0x00)
PL110(pl111_type, "pl111", "Arm PL111 LCD controller (registers)", true, 0x11, 0x11, 0x24, 0x00)
