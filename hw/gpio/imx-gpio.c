/* SPDX-License-Identifier: MIT */
/*
 * The GPIO block of i.MX (IMX6DQRM, chapter 28): 32 lines, inputs "gpio", interrupts "irq" 0 for lines 0 to 15 and 1
 * for the others.
 */
#include "base/bits.h"
#include "hw/core/device.h"

typedef struct ImxGpio {
    Device dev; /* always first */
    uint32_t dr, gdir, icr[2], imr, isr, edge, in, last;
} ImxGpio;

static uint32_t pads(const ImxGpio *s) { return (s->dr & s->gdir) | (s->in & ~s->gdir); }

/* ICR: two bits a line: low, high, rising, falling; EDGE: both edges. */
static void update(ImxGpio *s)
{
    uint32_t now = pads(s), changed = now ^ s->last;
    for (unsigned i = 0; i < 32; i++) {
        unsigned kind = s->icr[i / 16] >> i % 16 * 2 & 3;
        bool high = now >> i & 1, moved = changed >> i & 1;
        bool hit = s->edge >> i & 1 ? moved : kind == 0 ? !high : kind == 1 ? high : moved && high == (kind == 2);
        s->isr |= hit ? 1u << i : 0;
    }
    s->last = now;
    device_out(&s->dev, 0, (s->isr & s->imr & 0xffff) != 0);
    device_out(&s->dev, 1, (s->isr & s->imr) >> 16 != 0);
}

static void input(Device *d, unsigned pin, int level)
{
    ImxGpio *s = (ImxGpio *)d;
    s->in = level ? s->in | 1u << pin : s->in & ~(1u << pin);
    update(s);
}
static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((ImxGpio *)d); }
static uint64_t pads_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return pads((ImxGpio *)d); }

#define R(name_, at_, f, ...) \
    { .name = name_, .at = at_, .size = 4, .field = offsetof(ImxGpio, f), .wrote = wrote, __VA_ARGS__ }
static const Reg regs[] = {
    R("DR", 0x00, dr),
    R("GDIR", 0x04, gdir),
    { .name = "PSR", .at = 0x08, .size = 4, .field = REG_NO_FIELD, .read = pads_read, .access = REG_RO },
    R("ICR", 0x0c, icr, .count = 2, .stride = 4),
    R("IMR", 0x14, imr),
    R("ISR", 0x18, isr, .w1c = UINT32_MAX),
    R("EDGE", 0x1c, edge),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const in_pins[] = { "gpio*32", NULL }, *const out_pins[] = { "irq*2", NULL };
static const StateField state[] = { STATE_U32(ImxGpio, in), STATE_U32(ImxGpio, last), STATE_END_OF_TABLE };
static void reset(Device *d, ResetPhase phase)
{
    ImxGpio *s = (ImxGpio *)d;
    if (phase == RESET_ENTER)
        s->last = s->in = UINT32_MAX; /* pulled up: nothing is connected */
    else if (phase == RESET_HOLD)
        update(s);
}
static const DeviceType type = { .name = "imx.gpio",
                                 .desc = "i.MX GPIO",
                                 .category = "Misc",
                                 .size = sizeof(ImxGpio),
                                 .banks = banks,
                                 .state = state,
                                 .in_pins = in_pins,
                                 .out_pins = out_pins,
                                 .input = input,
                                 .reset = reset };
DEVICE_REGISTER(type)
