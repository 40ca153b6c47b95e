/* SPDX-License-Identifier: MIT */
/* CMSDK AHB GPIO: 16 pins with masked access and interrupts by level or edge (DDI 0479, section 4.2). */
#include "base/bits.h"
#include "hw/core/device.h"

enum { PINS = 16, IRQ = 0, OUT = 1, PIN_MASK = 0xffff };

typedef struct CmsdkGpio {
    Device dev; /* always first */
    uint32_t out, outen, altfunc, inten, inttype, intpol;
    uint32_t latched;             /* edges */
    uint32_t driven, level, seen; /* inputs: driven from outside, and how; the pins as they were */
} CmsdkGpio;

static uint32_t pins(const CmsdkGpio *s) { return (s->out & s->outen) | (s->level & s->driven & ~s->outen); }

static uint32_t status(const CmsdkGpio *s)
{
    uint32_t p = pins(s), levels = ~s->inttype & ~(p ^ s->intpol) & PIN_MASK;
    return (s->latched | levels) & s->inten;
}

static void update(CmsdkGpio *s)
{
    uint32_t p = pins(s), changed = p ^ s->seen;
    s->latched |= changed & s->inttype & s->inten & ~(p ^ s->intpol);
    s->seen = p;
    for (unsigned i = 0; i < PINS; i++) {
        if (changed >> i & 1)
            device_out(&s->dev, OUT + i, p >> i & 1);
    }
    device_out(&s->dev, IRQ, status(s) != 0);
}

/* The registers that are set and cleared through a pair. */
static uint32_t *pair(CmsdkGpio *s, uint32_t at)
{
    uint32_t *const fields[] = { &s->outen, &s->altfunc, &s->inten, &s->inttype, &s->intpol };
    return fields[(at - 0x10) / 8];
}

static uint64_t read_reg(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x20, 0xb8, 0x1b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    CmsdkGpio *s = (CmsdkGpio *)d;
    switch (r->at) {
    case 0x000: return pins(s);
    case 0x004: return s->out;
    case 0x038: return status(s);
    case 0x400: return pins(s) & i;
    case 0x800: return pins(s) & i << 8;
    case 0xfd0: return id[i];
    default: return *pair(s, r->at);
    }
}

static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t v)
{
    CmsdkGpio *s = (CmsdkGpio *)d;
    uint32_t value = (uint32_t)v & PIN_MASK, mask = r->at == 0x800 ? i << 8 : i;
    switch (r->at) {
    case 0x000:
    case 0x004: s->out = value; break;
    case 0x038: s->latched &= ~value; break;
    case 0x400:
    case 0x800: s->out = (s->out & ~mask) | (value & mask); break;
    default: *pair(s, r->at) = r->at & 4 ? *pair(s, r->at) & ~value : *pair(s, r->at) | value; break;
    }
    update(s);
}

#define R(n, a, ...) \
    { .name = n, .at = a, .size = 4, .field = REG_NO_FIELD, .read = read_reg, .wrote = wrote, __VA_ARGS__ }
static const Reg regs[] = {
    R("DATA", 0x000),
    R("DATAOUT", 0x004),
    R("OUTENSET", 0x010),
    R("OUTENCLR", 0x014),
    R("ALTFUNCSET", 0x018),
    R("ALTFUNCCLR", 0x01c),
    R("INTENSET", 0x020),
    R("INTENCLR", 0x024),
    R("INTTYPESET", 0x028),
    R("INTTYPECLR", 0x02c),
    R("INTPOLSET", 0x030),
    R("INTPOLCLR", 0x034),
    R("INTSTATUS", 0x038),
    R("MASKLOWBYTE", 0x400, .count = 256),
    R("MASKHIGHBYTE", 0x800, .count = 256),
    { .name = "ID", .at = 0xfd0, .size = 4, .count = 12, .field = REG_NO_FIELD, .read = read_reg, .access = REG_RO },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = {
    STATE_U32(CmsdkGpio, out),
    STATE_U32(CmsdkGpio, outen),
    STATE_U32(CmsdkGpio, altfunc),
    STATE_U32(CmsdkGpio, inten),
    STATE_U32(CmsdkGpio, inttype),
    STATE_U32(CmsdkGpio, intpol),
    STATE_U32(CmsdkGpio, latched),
    STATE_U32(CmsdkGpio, driven),
    STATE_U32(CmsdkGpio, level),
    STATE_U32(CmsdkGpio, seen),
    STATE_END_OF_TABLE,
};
static const char *const outs[] = { "irq", "out*16", NULL }, *const ins[] = { "in*16", NULL };

static void input(Device *d, unsigned pin, int level)
{
    CmsdkGpio *s = (CmsdkGpio *)d;
    s->driven |= 1u << pin;
    s->level = (s->level & ~(1u << pin)) | (uint32_t)!!level << pin;
    update(s);
}

static void reset(Device *d, ResetPhase phase)
{
    CmsdkGpio *s = (CmsdkGpio *)d;
    if (phase == RESET_ENTER)
        s->out = s->outen = s->altfunc = s->inten = s->inttype = s->intpol = s->latched = s->seen = 0;
    else if (phase == RESET_HOLD)
        update(s);
}

static const DeviceType cmsdk_gpio_type = {
    .name = "cmsdk-ahb-gpio",
    .desc = "CMSDK general purpose I/O",
    .category = "Misc",
    .size = sizeof(CmsdkGpio),
    .banks = banks,
    .state = state,
    .out_pins = outs,
    .in_pins = ins,
    .input = input,
    .reset = reset,
};
DEVICE_REGISTER(cmsdk_gpio_type)
