/* SPDX-License-Identifier: MIT */
/*
 * Vectored interrupt controller PL190 (DDI 0181E), and the secondary controller of the Versatile boards (DUI 0225D,
 * 4.9).
 */
#include "base/bits.h"
#include "hw/core/device.h"

/* ---- PL190: 32 lines, 16 vectors with priorities, one IRQ and one FIQ ---- */

enum { VECTORS = 16, LEVEL_DEFAULT = VECTORS, LEVEL_NONE = VECTORS + 1, CNTL_ENABLE = 0x20 };

typedef struct Pl190 {
    Device dev; /* always first */
    uint32_t level, soft, enable, select, protection, default_address, address[VECTORS], control[VECTORS];
    uint8_t active, outer[LEVEL_NONE + 1]; /* the level in service, and what it interrupted */
} Pl190;

static uint32_t raw(const Pl190 *s) { return s->level | s->soft; }
static uint32_t irqs(const Pl190 *s) { return raw(s) & s->enable & ~s->select; }

/* The highest level that asks: a vector, the others together, or none. */
static unsigned wanted(const Pl190 *s)
{
    uint32_t on = irqs(s);
    for (unsigned i = 0; i < VECTORS; i++)
        if (s->control[i] & CNTL_ENABLE && on >> (s->control[i] & 31) & 1)
            return i;
    return on ? LEVEL_DEFAULT : LEVEL_NONE;
}

static void update(Pl190 *s)
{
    device_out(&s->dev, 0, wanted(s) < s->active);
    device_out(&s->dev, 1, (raw(s) & s->enable & s->select) != 0);
}

static void input(Device *d, unsigned pin, int level)
{
    Pl190 *s = (Pl190 *)d;
    s->level = level ? s->level | 1u << pin : s->level & ~(1u << pin);
    update(s);
}

static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Pl190 *s = (Pl190 *)d;
    return i == 0 ? irqs(s) : i == 1 ? raw(s) & s->enable & s->select : raw(s);
}

/* Offsets 0x10 and 0x18 set bits, 0x14 and 0x1c clear them. */
static uint64_t bits_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return r->at == 0x10 ? ((Pl190 *)d)->enable : ((Pl190 *)d)->soft;
}
static void bits_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl190 *s = (Pl190 *)d;
    uint32_t *bits = r->at < 0x18 ? &s->enable : &s->soft;
    *bits = r->at & 4 ? *bits & ~(uint32_t)value : *bits | (uint32_t)value;
    update(s);
}
static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Pl190 *)d); }

/* Reading takes the interrupt: its level masks those below until something is written here (2.2.4). */
static uint64_t vector_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Pl190 *s = (Pl190 *)d;
    unsigned level = wanted(s);
    if (level < s->active) {
        s->outer[level] = s->active;
        s->active = (uint8_t)level;
        update(s);
    }
    return level < VECTORS ? s->address[level] : s->default_address;
}
static void vector_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl190 *s = (Pl190 *)d;
    if (s->active < LEVEL_NONE)
        s->active = s->outer[s->active];
    update(s);
}

static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[8] = { 0x90, 0x11, 0x04, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

#define R(name_, at_, n, ...) { .name = name_, .at = at_, .size = 4, .count = n, .stride = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(Pl190, f)
#define NONE .field = REG_NO_FIELD
static const Reg pl190_regs[] = {
    R("STATUS", 0x00, 3, NONE, .read = status_read, .access = REG_RO),
    R("INTSELECT", 0x0c, 1, F(select), .wrote = wrote),
    R("INTENABLE", 0x10, 1, NONE, .read = bits_read, .wrote = bits_wrote),
    R("INTENCLEAR", 0x14, 1, NONE, .wrote = bits_wrote, .access = REG_WO),
    R("SOFTINT", 0x18, 1, NONE, .read = bits_read, .wrote = bits_wrote),
    R("SOFTINTCLEAR", 0x1c, 1, NONE, .wrote = bits_wrote, .access = REG_WO),
    R("PROTECTION", 0x20, 1, F(protection), .rsvd = 0xfffffffe),
    R("VECTADDR", 0x30, 1, NONE, .read = vector_read, .wrote = vector_wrote),
    R("DEFVECTADDR", 0x34, 1, F(default_address)),
    R("VECTADDRS", 0x100, VECTORS, F(address)),
    R("VECTCNTL", 0x200, VECTORS, F(control), .rsvd = 0xffffffc0, .wrote = wrote),
    R("ID", 0xfe0, 8, NONE, .read = id_read, .access = REG_RO),
    { .name = NULL },
};
static const RegBank pl190_bank = { .name = "regs", .size = 0x1000, .regs = pl190_regs };
static const RegBank *const pl190_banks[] = { &pl190_bank, NULL };
static const char *const pl190_in[] = { "in*32", NULL }, *const pl190_out[] = { "irq", "fiq", NULL };
static const StateField pl190_state[] = { STATE_U32(Pl190, level), STATE_U32(Pl190, soft),    STATE_U32(Pl190, enable),
                                          STATE_U8(Pl190, active), STATE_BYTES(Pl190, outer), STATE_END_OF_TABLE };

static void pl190_reset(Device *d, ResetPhase phase)
{
    Pl190 *s = (Pl190 *)d;
    if (phase == RESET_ENTER) {
        s->soft = s->enable = 0;
        s->active = LEVEL_NONE;
        memset(s->outer, LEVEL_NONE, sizeof s->outer);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool pl190_loaded(Device *d, Error **errp)
{
    const Pl190 *s = (Pl190 *)d;
    bool ok = s->active <= LEVEL_NONE;
    for (unsigned i = 0; i < ARRAY_LEN(s->outer); i++)
        ok = ok && s->outer[i] > i - (i == LEVEL_NONE) && s->outer[i] <= LEVEL_NONE;
    if (!ok)
        error_setf(errp, "pl190: impossible levels in service");
    return ok;
}

static const DeviceType pl190_type = {
    .name = "pl190",
    .desc = "Arm PL190 vectored interrupt controller",
    .category = "Misc",
    .size = sizeof(Pl190),
    .banks = pl190_banks,
    .state = pl190_state,
    .in_pins = pl190_in,
    .out_pins = pl190_out,
    .input = input,
    .reset = pl190_reset,
    .loaded = pl190_loaded,
};
DEVICE_REGISTER(pl190_type)

/*
 * ---- secondary controller: "irq" for all that is enabled, "out" for lines 21 to 30 that are passed on as they are
 * ----
 */

enum { PASS_FIRST = 21, PASS_COUNT = 10, PASS_MASK = 0x7fe00000 };

typedef struct Sic {
    Device dev; /* always first */
    uint32_t level, soft, enable, pass;
} Sic;

static uint32_t sic_raw(const Sic *s) { return s->level | s->soft; }

static void sic_update(Sic *s)
{
    device_out(&s->dev, 0, (sic_raw(s) & s->enable) != 0);
    for (unsigned i = 0; i < PASS_COUNT; i++)
        device_out(&s->dev, 1 + i, s->level & s->pass & 1u << (PASS_FIRST + i) ? 1 : 0);
}

static void sic_input(Device *d, unsigned pin, int level)
{
    Sic *s = (Sic *)d;
    s->level = level ? s->level | 1u << pin : s->level & ~(1u << pin);
    sic_update(s);
}

static uint64_t sic_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Sic *s = (Sic *)d;
    const uint32_t v[] = { sic_raw(s) & s->enable, sic_raw(s), s->enable, 0, s->soft, 0, 0, 0, s->pass, 0 };
    return v[i];
}

static void sic_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Sic *s = (Sic *)d;
    uint32_t *bits = i == 2 || i == 3   ? &s->enable
                     : i == 4 || i == 5 ? &s->soft
                     : i == 8 || i == 9 ? &s->pass
                                        : NULL,
             v = (uint32_t)value;
    if (bits == &s->pass)
        v &= PASS_MASK;
    if (bits)
        *bits = i & 1 ? *bits & ~v : *bits | v;
    sic_update(s);
}

static const Reg sic_regs[] = {
    R("SIC", 0x00, 10, NONE, .read = sic_read, .wrote = sic_wrote), { .name = NULL },
};
static const RegBank sic_bank = { .name = "regs", .size = 0x1000, .regs = sic_regs };
static const RegBank *const sic_banks[] = { &sic_bank, NULL };
static const char *const sic_in[] = { "in*32", NULL }, *const sic_out[] = { "irq", "out*10", NULL };
static const StateField sic_state[] = { STATE_U32(Sic, level), STATE_U32(Sic, soft), STATE_U32(Sic, enable),
                                        STATE_U32(Sic, pass), STATE_END_OF_TABLE };

static void sic_reset(Device *d, ResetPhase phase)
{
    Sic *s = (Sic *)d;
    if (phase == RESET_ENTER)
        s->soft = s->enable = s->pass = 0;
    else if (phase == RESET_HOLD)
        sic_update(s);
}

static const DeviceType sic_type = {
    .name = "versatilepb_sic",
    .desc = "Versatile secondary interrupt controller",
    .category = "Misc",
    .size = sizeof(Sic),
    .banks = sic_banks,
    .state = sic_state,
    .in_pins = sic_in,
    .out_pins = sic_out,
    .input = sic_input,
    .reset = sic_reset,
};
DEVICE_REGISTER(sic_type)
