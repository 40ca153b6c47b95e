/* SPDX-License-Identifier: MIT */
/*
 * DMA of STM32F1 (channels; RM0041, chapter 9) and F4 (streams; RM0090, chapter 10). Transfers between memories and towards a peripheral
 * are done when they are enabled; from a peripheral, which would have to ask for each item, nothing is moved.
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

enum { CHANNELS = 8 };
enum { FLAG_TC = 1, FLAG_HT = 2, FLAG_TE = 4 }; /* in flags[] */

typedef struct Stm32Dma {
    Device dev; /* always first */
    uint32_t cr[CHANNELS], ndtr[CHANNELS], par[CHANNELS], m0ar[CHANNELS], m1ar[CHANNELS], fcr[CHANNELS];
    uint8_t flags[CHANNELS];
    bool f1;
} Stm32Dma;

/* A control register of either kind, taken apart. */
typedef struct Control { bool to_memory, m2m, pinc, minc; unsigned psize, msize; uint8_t enabled; } Control;

static Control control(const Stm32Dma *s, unsigned n)
{
    uint32_t cr = s->cr[n];
    if (s->f1)
        return (Control){ !(cr >> 4 & 1), cr >> 14 & 1, cr >> 6 & 1, cr >> 7 & 1, 1u << (cr >> 8 & 3 & (cr >> 9 & 1 ? 2 : 3)),
                          1u << (cr >> 10 & 3 & (cr >> 11 & 1 ? 2 : 3)), (cr >> 1 & 1 ? FLAG_TC : 0) | (cr >> 2 & 1 ? FLAG_HT : 0) |
                          (cr >> 3 & 1 ? FLAG_TE : 0) };
    unsigned dir = cr >> 6 & 3;
    return (Control){ dir != 1, dir == 2, cr >> 9 & 1, cr >> 10 & 1, 1u << (cr >> 11 & 3 & (cr >> 12 & 1 ? 2 : 3)),
                      1u << (cr >> 13 & 3 & (cr >> 14 & 1 ? 2 : 3)), (cr >> 4 & 1 ? FLAG_TC : 0) | (cr >> 3 & 1 ? FLAG_HT : 0) |
                      (cr >> 2 & 1 ? FLAG_TE : 0) };
}

static void update(Stm32Dma *s)
{
    for (unsigned n = 0; n < CHANNELS; n++)
        device_out(&s->dev, n, (s->flags[n] & control(s, n).enabled) != 0);
}

/* At most 65535 items. */
static void transfer(Stm32Dma *s, unsigned n)
{
    Control c = control(s, n);
    AddressSpace *as = machine_current() ? machine_current()->as_memory : NULL;
    bool from_p = c.to_memory; /* between memories the peripheral port is the source */
    uint32_t p = s->par[n], m = s->m0ar[n];
    if (!as || (c.to_memory && !c.m2m)) {
        log_unimp(s->dev.id, "channel %u: transfers from peripheral 0x%08x are not modelled", n, p);
        return;
    }
    MemResult r = MEM_OK;
    for (uint32_t i = s->ndtr[n] & 0xffff; i && r == MEM_OK; i--) {
        uint64_t v = 0;
        r = as_load(as, from_p ? p : m, from_p ? c.psize : c.msize, &v, MEM_ATTRS_DEVICE);
        r |= as_store(as, from_p ? m : p, from_p ? c.msize : c.psize, v, MEM_ATTRS_DEVICE);
        p += c.pinc ? c.psize : 0;
        m += c.minc ? c.msize : 0;
    }
    s->flags[n] |= r == MEM_OK ? FLAG_TC | FLAG_HT : FLAG_TE;
    s->ndtr[n] = 0;
    if (!s->f1)
        s->cr[n] &= ~1u;
}

static void cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Dma *s = (Stm32Dma *)d;
    if (value & 1 && !(old & 1))
        transfer(s, i);
    update(s);
}

/* F1: four bits a channel: GIF, TCIF, HTIF, TEIF. F4: FEIF 0, DMEIF 2, TEIF 3, HTIF 4, TCIF 5 of four streams in two words. */
static uint64_t isr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t shift[4] = { 0, 6, 16, 22 };
    const Stm32Dma *s = (Stm32Dma *)d;
    uint32_t v = 0;
    for (unsigned n = 0; n < CHANNELS; n++) {
        uint32_t f = s->flags[n];
        if (s->f1 && n < 7)
            v |= ((f ? 1u : 0) | (f & FLAG_TC ? 2 : 0) | (f & FLAG_HT ? 4 : 0) | (f & FLAG_TE ? 8 : 0)) << 4 * n;
        else if (!s->f1 && n / 4 == i)
            v |= ((f & FLAG_TE ? 8u : 0) | (f & FLAG_HT ? 16 : 0) | (f & FLAG_TC ? 32 : 0)) << shift[n % 4];
    }
    return v;
}

static void ifcr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    static const uint8_t shift[4] = { 0, 6, 16, 22 };
    Stm32Dma *s = (Stm32Dma *)d;
    for (unsigned n = 0; n < CHANNELS; n++) {
        uint32_t v = s->f1 ? (uint32_t)value >> 4 * (n & 7) & 15 : (uint32_t)value >> shift[n % 4] & 63;
        if (!s->f1 && n / 4 != i)
            continue;
        if (s->f1)
            s->flags[n] &= ~(uint8_t)((v & 3 ? FLAG_TC : 0) | (v & 5 ? FLAG_HT : 0) | (v & 9 ? FLAG_TE : 0));
        else
            s->flags[n] &= ~(uint8_t)((v & 32 ? FLAG_TC : 0) | (v & 16 ? FLAG_HT : 0) | (v & 8 ? FLAG_TE : 0));
    }
    update(s);
}

#define CH(n, a, f, st, cnt, ...) { .name = n, .at = a, .size = 4, .count = cnt, .stride = st, .field = offsetof(Stm32Dma, f), __VA_ARGS__ }
static const Reg f1_regs[] = {
    { .name = "ISR", .at = 0, .size = 4, .field = REG_NO_FIELD, .read = isr_read, .access = REG_RO },
    { .name = "IFCR", .at = 4, .size = 4, .field = REG_NO_FIELD, .wrote = ifcr_wrote },
    CH("CCR", 0x08, cr, 20, 7, .wrote = cr_wrote), CH("CNDTR", 0x0c, ndtr, 20, 7), CH("CPAR", 0x10, par, 20, 7), CH("CMAR", 0x14, m0ar, 20, 7),
    { .name = NULL },
};
static const Reg f4_regs[] = {
    { .name = "ISR", .at = 0, .size = 4, .count = 2, .field = REG_NO_FIELD, .read = isr_read, .access = REG_RO },
    { .name = "IFCR", .at = 8, .size = 4, .count = 2, .field = REG_NO_FIELD, .wrote = ifcr_wrote },
    CH("CR", 0x10, cr, 24, 8, .wrote = cr_wrote), CH("NDTR", 0x14, ndtr, 24, 8), CH("PAR", 0x18, par, 24, 8), CH("M0AR", 0x1c, m0ar, 24, 8),
    CH("M1AR", 0x20, m1ar, 24, 8), CH("FCR", 0x24, fcr, 24, 8, .reset = 0x21), { .name = NULL },
};
static const RegBank f1_bank = { .name = "regs", .size = 0x400, .regs = f1_regs }, f4_bank = { .name = "regs", .size = 0x400, .regs = f4_regs };
static const RegBank *const f1_banks[] = { &f1_bank, NULL }, *const f4_banks[] = { &f4_bank, NULL };
static const StateField state[] = { STATE_U8_ARRAY(Stm32Dma, flags), STATE_END_OF_TABLE };
static const char *const pins[] = { "irq*8", NULL };

static void f1_init(Device *d) { ((Stm32Dma *)d)->f1 = true; }

static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        memset(((Stm32Dma *)d)->flags, 0, CHANNELS);
    else if (phase == RESET_HOLD)
        update((Stm32Dma *)d);
}

#define COMMON .category = "Misc", .size = sizeof(Stm32Dma), .state = state, .out_pins = pins, .reset = reset
static const DeviceType f1_type = { .name = "stm32f1xx-dma", .desc = "STM32F1 DMA", COMMON, .banks = f1_banks, .init = f1_init };
static const DeviceType f4_type = { .name = "stm32f4xx-dma", .desc = "STM32F4 DMA", COMMON, .banks = f4_banks };
DEVICE_REGISTER(f1_type)
DEVICE_REGISTER(f4_type)
