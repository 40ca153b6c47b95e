/* SPDX-License-Identifier: MIT */
/*
 * DMA of STM32F1 (channels; RM0041, chapter 9) and F4 (streams; RM0090, chapter 10). An item moves when the peripheral
 * asks for it; all requests that stand are served at once, but after each half of a circular buffer the CPU gets time
 * to look at it.
 */
#include "hw/dma/stm32-dma.h"

#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

enum { CHANNELS = 8, NS_PER_ITEM = 1000, MIN_PAUSE_NS = 20000 };
enum { FLAG_TC = 1, FLAG_HT = 2, FLAG_TE = 4 }; /* in flags[] */

typedef struct Stm32Dma {
    Device dev; /* always first */
    uint32_t cr[CHANNELS], ndtr[CHANNELS], par[CHANNELS], m0ar[CHANNELS], m1ar[CHANNELS], fcr[CHANNELS];
    uint32_t total[CHANNELS], done[CHANNELS]; /* items of this pass */
    uint8_t flags[CHANNELS];
    bool paused[CHANNELS];                    /* until `timer` */
    uint8_t level[DMA_REQUESTS], pulses[DMA_REQUESTS];
    bool f1, second, busy;
    Timer *timer;
} Stm32Dma;

/* --- who asks for what --- */

typedef uint8_t Lines[6]; /* ended by 0 */
#define U DMA_USART
#define S DMA_SPI
#define T DMA_TIM
/* RM0090, tables 42 and 43: by controller, channel selection and stream; those of modelled peripherals. */
static const Lines f4_lines[2][8][CHANNELS] = {
    {
        { { S(3, 0) }, { 0 }, { S(3, 0) }, { S(2, 0) }, { S(2, 1) }, { S(3, 1) }, { 0 }, { S(3, 1) } },
        { { 0 }, { 0 }, { T(7, 0) }, { 0 }, { T(7, 0) } },
        { { T(4, 1) }, { 0 }, { 0 }, { T(4, 2) }, { 0 }, { 0 }, { T(4, 0) }, { T(4, 3) } },
        { { 0 }, { T(2, 0), T(2, 3) }, { 0 }, { 0 }, { 0 }, { T(2, 1) }, { T(2, 2), T(2, 4) }, { T(2, 0), T(2, 4) } },
        { { U(5, 0) }, { U(3, 0) }, { U(4, 0) }, { U(3, 1) }, { U(4, 1) }, { U(2, 0) }, { U(2, 1) }, { U(5, 1) } },
        { { U(8, 1) },
          { U(7, 1) },
          { T(3, 4), T(3, 0) },
          { U(7, 0) },
          { T(3, 1) },
          { T(3, 2) },
          { U(8, 0) },
          { T(3, 3) } },
        { { T(5, 3), T(5, 0) }, { T(5, 4) }, { T(5, 1) }, { T(5, 4) }, { T(5, 2) }, { 0 }, { T(5, 0) } },
        { { 0 }, { T(6, 0) }, { 0 }, { 0 }, { U(3, 1) } },
    },
    {
        { { DMA_ADC(1) },
          { 0 },
          { T(8, 1), T(8, 2), T(8, 3) },
          { 0 },
          { DMA_ADC(1) },
          { 0 },
          { T(1, 1), T(1, 2), T(1, 3) } },
        { { 0 }, { 0 }, { DMA_ADC(2) }, { DMA_ADC(2) } },
        { { DMA_ADC(3) }, { DMA_ADC(3) } },
        { { S(1, 0) }, { 0 }, { S(1, 0) }, { S(1, 1) }, { 0 }, { S(1, 1) } },
        { { 0 }, { 0 }, { U(1, 0) }, { 0 }, { 0 }, { U(1, 0) }, { 0 }, { U(1, 1) } },
        { { 0 }, { U(6, 0) }, { U(6, 0) }, { 0 }, { 0 }, { 0 }, { U(6, 1) }, { U(6, 1) } },
        { { 0 }, { T(1, 1) }, { T(1, 2) }, { T(1, 1) }, { T(1, 4) }, { T(1, 0) }, { T(1, 3) } },
        { { 0 }, { T(8, 0) }, { T(8, 1) }, { T(8, 2) }, { T(8, 3) }, { 0 }, { 0 }, { T(8, 4) } },
    },
};
/* RM0041, table 56: by channel, which is number 1 first; the requests of one channel are OR-ed. */
static const Lines f1_lines[CHANNELS] = {
    { DMA_ADC(1), T(2, 3), T(4, 1) },
    { U(3, 1), T(1, 1), T(2, 0), T(3, 3), S(1, 0) },
    { U(3, 0), T(1, 2), T(3, 4), T(3, 0), S(1, 1), T(6, 0) },
    { U(1, 1), T(1, 4), T(4, 2), S(2, 0), T(7, 0) },
    { U(1, 0), T(1, 0), T(2, 1), T(4, 3), S(2, 1), T(15, 0) },
    { U(2, 0), T(1, 3), T(3, 1), T(16, 1), T(16, 0) },
    { U(2, 1), T(2, 2), T(4, 0), T(17, 1), T(17, 0), T(2, 4) },
};
#undef U
#undef S
#undef T

static const uint8_t *lines_of(const Stm32Dma *s, unsigned n)
{
    return s->f1 ? f1_lines[n] : f4_lines[s->second][s->cr[n] >> 25 & 7][n];
}

/* A request for channel n; a pulse is used up when `take`. */
static bool asked(Stm32Dma *s, unsigned n, bool take)
{
    const uint8_t *line = lines_of(s, n);
    for (unsigned i = 0; i < sizeof(Lines) && line[i]; i++) {
        if (s->level[line[i]])
            return true;
        if (s->pulses[line[i]]) {
            s->pulses[line[i]] -= take;
            return true;
        }
    }
    return false;
}

/* --- control registers --- */

/* A control register of either kind, taken apart. */
typedef struct Control {
    bool on, to_memory, m2m, circular, two_buffers, pinc, minc;
    unsigned psize, msize;
    uint8_t enabled;
} Control;

static Control control(const Stm32Dma *s, unsigned n)
{
    uint32_t cr = s->cr[n];
    Control c = { .on = cr & 1 };
    unsigned psize, msize;
    if (s->f1) {
        c.m2m = cr >> 14 & 1, c.to_memory = !(cr >> 4 & 1), c.circular = cr >> 5 & 1, c.pinc = cr >> 6 & 1,
        c.minc = cr >> 7 & 1;
        psize = cr >> 8 & 3, msize = cr >> 10 & 3;
        c.enabled = (cr >> 1 & 1 ? FLAG_TC : 0) | (cr >> 2 & 1 ? FLAG_HT : 0) | (cr >> 3 & 1 ? FLAG_TE : 0);
    } else {
        c.m2m = (cr >> 6 & 3) == 2, c.to_memory = (cr >> 6 & 3) != 1, c.circular = cr >> 8 & 1,
        c.two_buffers = cr >> 18 & 1;
        c.pinc = cr >> 9 & 1, c.minc = cr >> 10 & 1;
        psize = msize = cr >> 11 & 3; /* the FIFO packs: a stream of items of the peripheral's size */
        c.enabled = (cr >> 4 & 1 ? FLAG_TC : 0) | (cr >> 3 & 1 ? FLAG_HT : 0) | (cr >> 2 & 1 ? FLAG_TE : 0);
    }
    c.psize = 1u << MIN(psize, 2u);
    c.msize = 1u << MIN(msize, 2u);
    return c;
}

static void update(Stm32Dma *s)
{
    for (unsigned n = 0; n < CHANNELS; n++)
        device_out(&s->dev, n, (s->flags[n] & control(s, n).enabled) != 0);
}

/* --- transfers --- */

static void end_of_pass(Stm32Dma *s, unsigned n, const Control *c)
{
    s->flags[n] |= FLAG_TC;
    s->done[n] = 0;
    if (c->two_buffers)
        s->cr[n] ^= 1u << 19; /* CT */
    if (c->circular || c->two_buffers) {
        s->ndtr[n] = s->total[n];
        return;
    }
    s->ndtr[n] = 0;
    if (!s->f1)
        s->cr[n] &= ~1u;
}

static void failed(Stm32Dma *s, unsigned n, uint32_t p, uint32_t m)
{
    log_guest_error(s->dev.id, "channel %u: nothing answers at 0x%08x or 0x%08x", n, p, m);
    s->flags[n] |= FLAG_TE;
    s->cr[n] &= ~1u;
}

static void item(Stm32Dma *s, unsigned n, const Control *c)
{
    AddressSpace *as = machine_current()->as_memory;
    uint32_t base = s->cr[n] >> 19 & 1 && !s->f1 ? s->m1ar[n] : s->m0ar[n];
    uint32_t p = s->par[n] + (c->pinc ? s->done[n] * c->psize : 0), m = base + (c->minc ? s->done[n] * c->msize : 0);
    uint64_t v = 0;
    MemResult r = as_load(as, c->to_memory ? p : m, c->to_memory ? c->psize : c->msize, &v, MEM_ATTRS_DEVICE);
    r |= as_store(as, c->to_memory ? m : p, c->to_memory ? c->msize : c->psize, v, MEM_ATTRS_DEVICE);
    if (r != MEM_OK) {
        failed(s, n, p, m);
        return;
    }
    s->done[n]++;
    s->ndtr[n]--;
    bool half = s->done[n] == s->total[n] / 2;
    if (half)
        s->flags[n] |= FLAG_HT;
    if (!s->ndtr[n])
        end_of_pass(s, n, c);
    if ((half || !s->done[n]) && (c->circular || c->two_buffers)) {
        int64_t ns = clock_ns(CLOCK_VIRTUAL_NS) + MAX((int64_t)s->total[n] * NS_PER_ITEM / 2, (int64_t)MIN_PAUSE_NS);
        s->paused[n] = true;
        timer_arm(s->timer, ns);
    }
}

/*
 * Ends: each channel has at most 65535 items before it stops or pauses. What transfers set off meanwhile is seen by the
 * same loop.
 */
static void serve(Stm32Dma *s)
{
    if (s->busy || !machine_current())
        return;
    s->busy = true;
    for (bool more = true; more;) {
        more = false;
        for (unsigned n = 0; n < CHANNELS; n++) {
            Control c = control(s, n);
            if (!c.on || !s->ndtr[n] || s->paused[n] || (!c.m2m && !asked(s, n, true)))
                continue;
            item(s, n, &c);
            more = true;
        }
    }
    s->busy = false;
    update(s);
}

static void go_on(void *opaque)
{
    Stm32Dma *s = opaque;
    memset(s->paused, 0, sizeof s->paused);
    serve(s);
}

static void request(Device *d, unsigned line, int level)
{
    Stm32Dma *s = (Stm32Dma *)d;
    if (line >= DMA_PULSES) {
        for (unsigned n = 0; n < CHANNELS && level; n++) {
            if (s->cr[n] & 1 && memchr(lines_of(s, n), (int)line, sizeof(Lines))) {
                s->pulses[line] += s->pulses[line] < UINT8_MAX;
                break;
            }
        }
    } else {
        s->level[line] = level != 0;
    }
    if (level)
        serve(s);
}

static void cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Dma *s = (Stm32Dma *)d;
    if (value & 1 && !(old & 1)) {
        s->ndtr[i] &= 0xffff;
        s->total[i] = s->ndtr[i];
        s->done[i] = 0;
        s->paused[i] = false;
        for (const uint8_t *line = lines_of(s, i), *end = line + sizeof(Lines); line < end && *line; line++)
            s->pulses[*line] = 0;
        serve(s);
    }
    update(s);
}

/* While a channel is on its counter cannot be written. */
static void ndtr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Dma *s = (Stm32Dma *)d;
    if (s->cr[i] & 1)
        s->ndtr[i] = (uint32_t)old;
}

/*
 * F1: four bits a channel: GIF, TCIF, HTIF, TEIF. F4: FEIF 0, DMEIF 2, TEIF 3, HTIF 4, TCIF 5 of four streams in two
 * words.
 */
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

#define CH(n, a, f, st, cnt, ...) \
    { .name = n, .at = a, .size = 4, .count = cnt, .stride = st, .field = offsetof(Stm32Dma, f), __VA_ARGS__ }
static const Reg f1_regs[] = {
    { .name = "ISR", .at = 0, .size = 4, .field = REG_NO_FIELD, .read = isr_read, .access = REG_RO },
    { .name = "IFCR", .at = 4, .size = 4, .field = REG_NO_FIELD, .wrote = ifcr_wrote },
    CH("CCR", 0x08, cr, 20, 7, .wrote = cr_wrote),
    CH("CNDTR", 0x0c, ndtr, 20, 7, .rsvd = 0xffff0000, .wrote = ndtr_wrote),
    CH("CPAR", 0x10, par, 20, 7),
    CH("CMAR", 0x14, m0ar, 20, 7),
    { .name = NULL },
};
static const Reg f4_regs[] = {
    { .name = "ISR", .at = 0, .size = 4, .count = 2, .field = REG_NO_FIELD, .read = isr_read, .access = REG_RO },
    { .name = "IFCR", .at = 8, .size = 4, .count = 2, .field = REG_NO_FIELD, .wrote = ifcr_wrote },
    CH("CR", 0x10, cr, 24, 8, .wrote = cr_wrote),
    CH("NDTR", 0x14, ndtr, 24, 8, .rsvd = 0xffff0000, .wrote = ndtr_wrote),
    CH("PAR", 0x18, par, 24, 8),
    CH("M0AR", 0x1c, m0ar, 24, 8),
    CH("M1AR", 0x20, m1ar, 24, 8),
    CH("FCR", 0x24, fcr, 24, 8, .reset = 0x21),
    { .name = NULL },
};
static const RegBank f1_bank = { .name = "regs", .size = 0x400, .regs = f1_regs },
                     f4_bank = { .name = "regs", .size = 0x400, .regs = f4_regs };
static const RegBank *const f1_banks[] = { &f1_bank, NULL }, *const f4_banks[] = { &f4_bank, NULL };
static const StateField state[] = {
    STATE_U32_ARRAY(Stm32Dma, total), STATE_U32_ARRAY(Stm32Dma, done),
    STATE_U8_ARRAY(Stm32Dma, flags),  STATE_BOOL_ARRAY(Stm32Dma, paused),
    STATE_U8_ARRAY(Stm32Dma, level),  STATE_U8_ARRAY(Stm32Dma, pulses),
    STATE_TIMER(Stm32Dma, timer),     STATE_END_OF_TABLE,
};
static const char *const pins[] = { "irq*8", NULL }, *const in_pins[] = { "req*128", NULL };
static const Property f4_props[] = { DEFINE_PROP_BOOL("second", Stm32Dma, second, 0, "DMA2: its own requests"),
                                     DEFINE_PROP_END };

static void init(Device *d) { ((Stm32Dma *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, go_on, d); }
static void stop(Device *d) { timer_free(((Stm32Dma *)d)->timer); }

static void f1_init(Device *d)
{
    ((Stm32Dma *)d)->f1 = true;
    init(d);
}

/* The lines' levels are the peripherals': they lower them themselves. */
static void reset(Device *d, ResetPhase phase)
{
    Stm32Dma *s = (Stm32Dma *)d;
    if (phase == RESET_ENTER) {
        timer_cancel(s->timer);
        memset(s->flags, 0, sizeof s->flags);
        memset(s->paused, 0, sizeof s->paused);
        memset(s->pulses, 0, sizeof s->pulses);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool loaded(Device *d, Error **errp)
{
    Stm32Dma *s = (Stm32Dma *)d;
    for (unsigned n = 0; n < CHANNELS; n++) {
        s->ndtr[n] &= 0xffff;
        s->total[n] &= 0xffff;
        s->done[n] &= 0xffff;
    }
    return true;
}

#define COMMON \
    .category = "Misc", .size = sizeof(Stm32Dma), .state = state, .out_pins = pins, .in_pins = in_pins, \
    .input = request, \
               .reset = reset, .loaded = loaded, .stop = stop
static const DeviceType f1_type = {
    .name = "stm32f1xx-dma", .desc = "STM32F1 DMA", COMMON, .banks = f1_banks, .init = f1_init
};
static const DeviceType f4_type = {
    .name = "stm32f4xx-dma", .desc = "STM32F4 DMA", COMMON, .banks = f4_banks, .init = init, .props = f4_props
};
DEVICE_REGISTER(f1_type)
DEVICE_REGISTER(f4_type)
