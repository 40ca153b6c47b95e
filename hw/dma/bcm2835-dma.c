/* SPDX-License-Identifier: MIT */
/*
 * "bcm2835-dma" (BCM2835 ARM Peripherals, chapter 4): 15 channels of control blocks, paced by the requests of
 * peripherals. All that a request asks for moves at once; what nobody paces moves in steps, so that an endless list
 * cannot hold the machine up.
 */
#include <inttypes.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

enum {
    CHANNELS = 15,
    SHARED = 11 /* channels 11 to 14 have one interrupt */,
    STEP = 256 * KiB,
    STEP_NS = 20000,
    BLOCK_COST = 256,
    CHUNK = 4096,
    ROUNDS = 64
};
enum {
    CS_ACTIVE = 1,
    CS_END = 2,
    CS_INT = 4,
    CS_DREQ = 8,
    CS_PAUSED = 0x10,
    CS_STOPPED = 0x20,
    CS_ERROR = 0x100,
    CS_KEPT = 0x30ff0000,
    CS_ABORT = 1 << 30
};
#define CS_RESET (1u << 31)
enum { TI_INTEN = 1, TI_2D = 2, TI_DEST_INC = 0x10, TI_DEST_DREQ = 0x40, TI_DEST_IGNORE = 0x80,
       TI_SRC_INC = 0x100, TI_SRC_DREQ = 0x400, TI_SRC_IGNORE = 0x800 };
enum { DEBUG_READ_ERROR = 4, DEBUG_LITE = 1 << 28, DEBUG_VERSION = 2 << 25, FIRST_LITE = 7 };

typedef struct Dma {
    Device dev; /* always first */
    uint32_t cs[CHANNELS], block[CHANNELS], ti[CHANNELS], source[CHANNELS], dest[CHANNELS], length[CHANNELS],
        stride[CHANNELS], next[CHANNELS], debug[CHANNELS];
    uint32_t x[CHANNELS], y[CHANNELS]; /* bytes left in the row, rows left after it */
    uint32_t enable, requests;
    uint32_t peripherals;              /* where the CPU sees bus address 0x7e000000 */
    bool busy, again;
    Timer *timer;
} Dma;

/* Bus addresses: peripherals, and RAM in four aliases by caching (1.2.3). */
static uint64_t cpu_address(const Dma *s, uint32_t bus)
{
    return bus >> 24 == 0x7e ? s->peripherals + (bus & 0xffffff) : bus & 0x3fffffff;
}

static bool lite(unsigned n) { return n >= FIRST_LITE; }

static void update(Dma *s)
{
    bool shared = false;
    for (unsigned n = 0; n < CHANNELS; n++) {
        bool on = s->cs[n] & CS_INT;
        if (n < SHARED)
            device_out(&s->dev, n, on);
        shared |= n >= SHARED && on;
    }
    device_out(&s->dev, SHARED, shared);
}

/* ---- control blocks (4.2.1.1) ---- */

static void take_length(Dma *s, unsigned n)
{
    s->x[n] = s->length[n] & (s->ti[n] & TI_2D || lite(n) ? 0xffff : 0x3fffffff);
    s->y[n] = s->ti[n] & TI_2D ? s->length[n] >> 16 & 0x3fff : 0;
}

static void fault(Dma *s, unsigned n, uint64_t at)
{
    log_guest_error(s->dev.id, "channel %u: nothing answers at 0x%08" PRIx64, n, at);
    s->debug[n] |= DEBUG_READ_ERROR;
    s->cs[n] = (s->cs[n] & ~(uint32_t)CS_ACTIVE) | CS_ERROR;
}

static void load_block(Dma *s, unsigned n)
{
    uint8_t b[24];
    uint64_t at = cpu_address(s, s->block[n] & ~31u);
    if (as_read(machine_current()->as_memory, at, b, sizeof b, MEM_ATTRS_DEVICE) != MEM_OK) {
        fault(s, n, at);
        return;
    }
    s->ti[n] = load_le32(b);
    if (lite(n))
        s->ti[n] &= ~(uint32_t)(TI_2D | TI_DEST_IGNORE | TI_SRC_IGNORE);
    s->source[n] = load_le32(b + 4);
    s->dest[n] = load_le32(b + 8);
    s->length[n] = load_le32(b + 12);
    s->stride[n] = load_le32(b + 16);
    s->next[n] = load_le32(b + 20);
    take_length(s, n);
}

static void end_of_block(Dma *s, unsigned n)
{
    s->cs[n] |= CS_END | (s->ti[n] & TI_INTEN ? CS_INT : 0);
    s->block[n] = s->next[n];
    if (s->block[n])
        load_block(s, n);
    else
        s->cs[n] &= ~(uint32_t)CS_ACTIVE;
}

/* ---- moving ---- */

static bool asked(const Dma *s, unsigned n)
{
    return !(s->ti[n] & (TI_DEST_DREQ | TI_SRC_DREQ)) || s->requests >> (s->ti[n] >> 16 & 31) & 1;
}

/* One piece of the row: a word for a peripheral or a step of memory. Returns its bytes; 0: it failed. */
static uint32_t move(Dma *s, unsigned n)
{
    AddressSpace *as = machine_current()->as_memory;
    uint8_t buf[CHUNK] = { 0 };
    uint64_t from = cpu_address(s, s->source[n]), to = cpu_address(s, s->dest[n]);
    bool paced = s->ti[n] & (TI_DEST_DREQ | TI_SRC_DREQ),
         bulk = !paced && s->ti[n] & TI_SRC_INC && s->ti[n] & TI_DEST_INC;
    uint32_t len = MIN(s->x[n], bulk ? (uint32_t)CHUNK : 4);
    if (!(s->ti[n] & TI_SRC_IGNORE) && as_read(as, from, buf, len, MEM_ATTRS_DEVICE) != MEM_OK) {
        fault(s, n, from);
        return 0;
    }
    if (!(s->ti[n] & TI_DEST_IGNORE) && as_write(as, to, buf, len, MEM_ATTRS_DEVICE) != MEM_OK) {
        fault(s, n, to);
        return 0;
    }
    s->source[n] += s->ti[n] & TI_SRC_INC ? len : 0;
    s->dest[n] += s->ti[n] & TI_DEST_INC ? len : 0;
    s->x[n] -= len;
    return len;
}

/* Until the channel waits, ends, or has done its step. Returns true if it could go on. */
static bool run_channel(Dma *s, unsigned n)
{
    for (uint32_t moved = 0; s->cs[n] & CS_ACTIVE && moved < STEP;) {
        if (s->x[n]) {
            uint32_t len = asked(s, n) ? move(s, n) : 0;
            if (!len)
                return false;
            moved += len;
        } else if (s->y[n]) {
            s->y[n]--;
            s->x[n] = s->length[n] & 0xffff;
            s->source[n] += (uint32_t)(int16_t)s->stride[n];
            s->dest[n] += (uint32_t)(int16_t)(s->stride[n] >> 16);
            moved += BLOCK_COST;
        } else {
            end_of_block(s, n);
            moved += BLOCK_COST;
        }
    }
    return s->cs[n] & CS_ACTIVE;
}

/* Peripherals raise their requests from inside move(): a few rounds, then the CPU has its turn. */
static void serve(Dma *s)
{
    bool more = false;
    s->again = true;
    if (s->busy || !machine_current())
        return;
    s->busy = true;
    for (unsigned round = 0; round < ROUNDS && s->again; round++) {
        s->again = more = false;
        for (unsigned n = 0; n < CHANNELS; n++)
            more |= s->cs[n] & CS_ACTIVE && run_channel(s, n);
    }
    s->busy = false;
    if (more || s->again)
        timer_arm(s->timer, clock_ns(CLOCK_VIRTUAL_NS) + STEP_NS);
    update(s);
}
static void go_on(void *opaque) { serve(opaque); }

static void request(Device *d, unsigned line, int level)
{
    Dma *s = (Dma *)d;
    s->requests = level ? s->requests | 1u << line : s->requests & ~(1u << line);
    if (level)
        serve(s);
}

/* ---- registers: a channel's are 0x100 apart ---- */

static uint64_t cs_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Dma *s = (const Dma *)d;
    bool paced = s->ti[i] & (TI_DEST_DREQ | TI_SRC_DREQ), on = s->requests >> (s->ti[i] >> 16 & 31) & 1;
    return stored | (paced && on ? CS_DREQ : 0) | (stored & CS_ACTIVE ? paced && !on ? CS_STOPPED : 0 : CS_PAUSED);
}

static void reset_channel(Dma *s, unsigned n)
{
    s->cs[n] = s->block[n] = s->ti[n] = s->source[n] = s->dest[n] = s->length[n] = s->stride[n] = s->next[n] = s->x[n] =
        s->y[n] = 0;
    s->debug[n] = DEBUG_VERSION | n << 8 | (lite(n) ? DEBUG_LITE : 0);
}

static void cs_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Dma *s = (Dma *)d;
    uint32_t v = (uint32_t)value;
    s->cs[i] = ((uint32_t)old & (CS_END | CS_INT) & ~v) | (v & (CS_KEPT | CS_ACTIVE)) | ((uint32_t)old & CS_ERROR);
    if (v & CS_RESET)
        reset_channel(s, i);
    else if (v & CS_ABORT)
        s->x[i] = s->y[i] = 0;
    else if (v & CS_ACTIVE && !s->block[i])
        s->cs[i] &= ~(uint32_t)CS_ACTIVE;
    else if (v & CS_ACTIVE && !(old & CS_ACTIVE) && !s->x[i] && !s->y[i])
        load_block(s, i);
    serve(s);
    update(s);
}

static void block_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Dma *s = (Dma *)d;
    if (s->cs[i] & CS_ACTIVE)
        s->block[i] = (uint32_t)old;
    else
        s->x[i] = s->y[i] = 0;
}

static void debug_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Dma *s = (Dma *)d;
    s->debug[i] = (uint32_t)old & ~((uint32_t)value & 7);
    if (!(s->debug[i] & 7))
        s->cs[i] &= ~(uint32_t)CS_ERROR;
}

static uint64_t ints_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint32_t v = 0;
    for (unsigned n = 0; n < CHANNELS; n++)
        v |= ((Dma *)d)->cs[n] & CS_INT ? 1u << n : 0;
    return v;
}

#define C(name_, at_, f, ...) \
    { .name = name_, .at = at_, .size = 4, .count = CHANNELS, .stride = 0x100, .field = offsetof(Dma, f), __VA_ARGS__ }
static const Reg regs[] = {
    C("CS", 0x00, cs, .read = cs_read, .wrote = cs_wrote),
    C("CONBLK_AD", 0x04, block, .rsvd = 31, .wrote = block_wrote),
    C("TI", 0x08, ti, .access = REG_RO),
    C("SOURCE_AD", 0x0c, source, .access = REG_RO),
    C("DEST_AD", 0x10, dest, .access = REG_RO),
    C("TXFR_LEN", 0x14, length, .access = REG_RO),
    C("STRIDE", 0x18, stride, .access = REG_RO),
    C("NEXTCONBK", 0x1c, next, .rsvd = 31),
    C("DEBUG", 0x20, debug, .wrote = debug_wrote),
    { .name = "INT_STATUS", .at = 0xfe0, .size = 4, .field = REG_NO_FIELD, .read = ints_read, .access = REG_RO },
    { .name = "ENABLE", .at = 0xff0, .size = 4, .field = offsetof(Dma, enable), .reset = 0x7fff, .rsvd = 0xffff8000 },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const out_pins[] = { "irq*12", NULL }, *const in_pins[] = { "dreq*32", NULL };
static const StateField state[] = {
    STATE_U32_ARRAY(Dma, x), STATE_U32_ARRAY(Dma, y), STATE_U32(Dma, requests),
    STATE_TIMER(Dma, timer), STATE_END_OF_TABLE,
};
static const Property props[] = {
    DEFINE_PROP_U32("peripherals", Dma, peripherals, 0x20000000, "where the CPU sees bus address 0x7e000000"),
    DEFINE_PROP_END,
};

static void init(Device *d) { ((Dma *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, go_on, d); }
static void stop(Device *d) { timer_free(((Dma *)d)->timer); }

/* The requests' levels are the peripherals': they lower them themselves. */
static void reset(Device *d, ResetPhase phase)
{
    Dma *s = (Dma *)d;
    for (unsigned n = 0; n < CHANNELS && phase == RESET_ENTER; n++)
        reset_channel(s, n);
    if (phase == RESET_ENTER)
        timer_cancel(s->timer);
    else if (phase == RESET_HOLD)
        update(s);
}

static bool loaded(Device *d, Error **errp)
{
    Dma *s = (Dma *)d;
    for (unsigned n = 0; n < CHANNELS; n++) {
        s->x[n] &= 0x3fffffff;
        s->y[n] &= 0x3fff;
    }
    return true;
}

static const DeviceType dma_type = {
    .name = "bcm2835-dma",
    .desc = "BCM2835 DMA controller",
    .category = "Misc",
    .size = sizeof(Dma),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = out_pins,
    .in_pins = in_pins,
    .init = init,
    .input = request,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(dma_type)
