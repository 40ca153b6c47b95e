/* SPDX-License-Identifier: MIT */
/*
 * The two 8237A DMA controllers of a PC, with their page registers (Intel 8237A data sheet; IBM AT technical
 * reference).
 */
#include "hw/dma/i8237.h"
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/machine.h"

enum { CHIPS = 2, CHANNELS = 4, BYTE_PORTS = 0x00, WORD_PORTS = 0xc0, PAGE_PORTS = 0x81, PAGES = 15, CASCADE = 4 };
enum { R_STATUS = 8, R_REQUEST, R_MASK, R_MODE, R_FLIP_FLOP, R_MASTER_CLEAR, R_CLEAR_MASK, R_ALL_MASK };
enum {
    COMMAND_DISABLE = 4,
    MODE_AUTO = 1 << 4,
    MODE_DOWN = 1 << 5,
    MODE_CASCADE = 3 << 6,
    TYPE_VERIFY = 0,
    TYPE_WRITE = 1,
    TYPE_READ = 2
};

typedef struct Channel {
    uint16_t base_addr, base_count, addr, count;
    uint8_t mode;
    /* not state */
    IsaDmaFn *ready;
    void *opaque;
} Channel;

typedef struct Chip {
    Channel ch[CHANNELS];
    /* bit per channel: masked; terminal count since it was read; asked for by software */
    uint8_t command, mask, reached, asked;
    bool high;                             /* flip-flop: the next byte is the high one */
} Chip;

typedef struct I8237 {
    Device dev;
    Chip chip[CHIPS];
    uint8_t page[PAGES];
    uint8_t wanted;      /* request lines, bit per channel 0 to 7; derived by devices again */
    bool serving, again;
} I8237;

/* Offsets in the page registers, by channel. */
static const uint8_t page_of[CHIPS * CHANNELS] = { 0x87 - PAGE_PORTS, 0x83 - PAGE_PORTS, 0x81 - PAGE_PORTS,
                                                   0x82 - PAGE_PORTS, 0x8f - PAGE_PORTS, 0x8b - PAGE_PORTS,
                                                   0x89 - PAGE_PORTS, 0x8a - PAGE_PORTS };

static const DeviceType i8237_type;

static I8237 *of_bus(const Device *d)
{
    Device *c = d->bus ? device_first() : NULL;
    while (c && !(c->type == &i8237_type && c->bus == d->bus))
        c = c->next;
    return (I8237 *)c;
}

/* --- moving --- */

static bool open_for(const I8237 *s, unsigned n)
{
    const Chip *c = &s->chip[n / CHANNELS];
    const Channel *ch = &c->ch[n % CHANNELS];
    bool through = n >= CASCADE || (!(s->chip[1].mask & 1) && !(s->chip[1].command & COMMAND_DISABLE));
    return through && !(c->command & COMMAND_DISABLE) && !(c->mask >> n % CHANNELS & 1) &&
           (ch->mode & MODE_CASCADE) != MODE_CASCADE;
}

static void serve_once(I8237 *s)
{
    for (unsigned n = 0; n < CHIPS * CHANNELS; n++) {
        Channel *ch = &s->chip[n / CHANNELS].ch[n % CHANNELS];
        if (s->wanted >> n & 1 && ch->ready && open_for(s, n))
            ch->ready(ch->opaque);
    }
}

static void serve(I8237 *s)
{
    s->again = true; /* a device asks again while it is served */
    if (s->serving)
        return;
    s->serving = true;
    while (s->again) {
        s->again = false;
        serve_once(s);
    }
    s->serving = false;
}

void isa_dma_request(Device *d, unsigned channel, bool on)
{
    I8237 *s = of_bus(d);
    if (!s)
        return;
    s->wanted = (uint8_t)(on ? s->wanted | 1u << channel : s->wanted & ~(1u << channel));
    if (on)
        serve(s);
}

/* One piece that goes one way in memory: up, or a unit at a time. */
static void copy(Channel *ch, uint64_t at, uint8_t *buf, unsigned len, bool to_memory)
{
    AddressSpace *as = machine_current()->as_memory;
    unsigned type = ch->mode >> 2 & 3;
    if (to_memory && type == TYPE_WRITE)
        as_write(as, at, buf, len, MEM_ATTRS_DEVICE);
    else if (!to_memory && type == TYPE_READ)
        as_read(as, at, buf, len, MEM_ATTRS_DEVICE);
    else if (!to_memory)
        memset(buf, 0xff, len); /* nobody drives the bus */
}

unsigned isa_dma_move(Device *d, unsigned channel, void *buf, unsigned len, bool to_memory, bool *end)
{
    I8237 *s = of_bus(d);
    *end = false;
    if (!s || !open_for(s, channel))
        return 0;
    Chip *c = &s->chip[channel / CHANNELS];
    Channel *ch = &c->ch[channel % CHANNELS];
    unsigned shift = channel > CASCADE, units = MIN(len >> shift, ch->count + 1u), done = 0;
    while (done < units) {
        bool down = ch->mode & MODE_DOWN;
        unsigned piece = down ? 1 : MIN(units - done, 0x10000u - ch->addr);
        uint64_t page = s->page[page_of[channel]],
                 at = shift ? (page & 0xfe) << 16 | (uint64_t)ch->addr << 1 : page << 16 | ch->addr;
        copy(ch, at, (uint8_t *)buf + (done << shift), piece << shift, to_memory);
        ch->addr = (uint16_t)(down ? ch->addr - 1 : ch->addr + piece);
        done += piece;
    }
    *end = units == ch->count + 1u;
    ch->count = (uint16_t)(ch->count - units);
    if (*end) {
        c->reached |= (uint8_t)(1u << channel % CHANNELS);
        if (ch->mode & MODE_AUTO) {
            ch->addr = ch->base_addr;
            ch->count = ch->base_count;
        } else {
            c->mask |= (uint8_t)(1u << channel % CHANNELS);
        }
    }
    return units << shift;
}

/* --- for devices --- */

bool isa_dma_exists(const Device *d) { return of_bus(d) != NULL; }

bool isa_dma_take(Device *d, unsigned channel, IsaDmaFn *ready, void *opaque, Error **errp)
{
    I8237 *s = of_bus(d);
    if (!s || channel >= CHIPS * CHANNELS || channel == CASCADE ||
        s->chip[channel / CHANNELS].ch[channel % CHANNELS].ready) {
        error_setf(errp, !s ? "device '%s': DMA channel %u: the bus has no DMA controller" :
                   "device '%s': DMA channel %u is taken, or not one of 0 to 3 and 5 to 7", d->id, channel);
        return false;
    }
    s->chip[channel / CHANNELS].ch[channel % CHANNELS].ready = ready;
    s->chip[channel / CHANNELS].ch[channel % CHANNELS].opaque = opaque;
    return true;
}

void isa_dma_give_back(Device *d, unsigned channel)
{
    I8237 *s = of_bus(d);
    if (!s)
        return;
    s->chip[channel / CHANNELS].ch[channel % CHANNELS].ready = NULL;
    s->wanted &= (uint8_t)~(1u << channel);
}

/* --- registers --- */

static void master_clear(Chip *c)
{
    c->command = c->reached = c->asked = 0;
    c->mask = 15;
    c->high = false;
}

static uint8_t read_half(Chip *c, uint16_t value)
{
    c->high = !c->high;
    return c->high ? (uint8_t)value : (uint8_t)(value >> 8);
}

static uint16_t write_half(const Chip *c, uint16_t old, uint8_t value)
{
    return c->high ? (uint16_t)((old & 0xff) | value << 8) : (old & 0xff00) | value;
}

static uint8_t chip_read(I8237 *s, unsigned n, unsigned at)
{
    Chip *c = &s->chip[n];
    if (at < 8) {
        const Channel *ch = &c->ch[at / 2];
        return read_half(c, at & 1 ? ch->count : ch->addr);
    }
    if (at == R_ALL_MASK)
        return c->mask | 0xf0;
    if (at != R_STATUS)
        return 0;
    uint8_t v = (uint8_t)(c->reached | c->asked << 4 | (s->wanted >> n * CHANNELS & 15) << 4);
    c->reached = 0;
    return v;
}

static void set_bit(uint8_t *field, uint8_t value)
{
    *field = (uint8_t)(value & 4 ? *field | 1u << (value & 3) : *field & ~(1u << (value & 3)));
}

static void chip_write(I8237 *s, unsigned n, unsigned at, uint8_t v)
{
    Chip *c = &s->chip[n];
    if (at < 8) {
        Channel *ch = &c->ch[at / 2];
        uint16_t *base = at & 1 ? &ch->base_count : &ch->base_addr;
        *base = write_half(c, *base, v);
        *(at & 1 ? &ch->count : &ch->addr) = *base;
        c->high = !c->high;
        return;
    }
    switch (at) {
    case R_STATUS:
        c->command = v;
        if (v & 1)
            log_unimp(s->dev.id, "DMA from memory to memory");
        break;
    case R_REQUEST: set_bit(&c->asked, v); break; /* no device answers a request of software */
    case R_MASK: set_bit(&c->mask, v); break;
    case R_MODE: c->ch[v & 3].mode = v; break;
    case R_FLIP_FLOP: c->high = false; break;
    case R_MASTER_CLEAR: master_clear(c); break;
    case R_CLEAR_MASK: c->mask = 0; break;
    case R_ALL_MASK: c->mask = v & 15; break;
    }
    serve(s);
}

static MemResult byte_read(void *o, hwaddr at, unsigned size, uint64_t *v, MemAttrs attrs)
{
    *v = chip_read(o, 0, (unsigned)at);
    return MEM_OK;
}
static MemResult byte_write(void *o, hwaddr at, unsigned size, uint64_t v, MemAttrs attrs)
{
    chip_write(o, 0, (unsigned)at, (uint8_t)v);
    return MEM_OK;
}
static MemResult word_read(void *o, hwaddr at, unsigned size, uint64_t *v, MemAttrs attrs)
{
    *v = at & 1 ? 0xff : chip_read(o, 1, (unsigned)at / 2);
    return MEM_OK;
}
static MemResult word_write(void *o, hwaddr at, unsigned size, uint64_t v, MemAttrs attrs)
{
    if (!(at & 1))
        chip_write(o, 1, (unsigned)at / 2, (uint8_t)v);
    return MEM_OK;
}
static MemResult page_read(void *o, hwaddr at, unsigned size, uint64_t *v, MemAttrs attrs)
{
    *v = ((I8237 *)o)->page[at];
    return MEM_OK;
}
static MemResult page_write(void *o, hwaddr at, unsigned size, uint64_t v, MemAttrs attrs)
{
    ((I8237 *)o)->page[at] = (uint8_t)v;
    return MEM_OK;
}
static const MemOps byte_ops = { byte_read, byte_write, 1, 1 }, word_ops = { word_read, word_write, 1, 1 },
                    page_ops = { page_read, page_write, 1, 1 };

/* --- the device --- */

static bool start(Device *d, Error **errp)
{
    if (of_bus(d) != (I8237 *)d && of_bus(d)) {
        error_setf(errp, "device '%s': the bus has DMA controllers already", d->id);
        return false;
    }
    isa_io_new(d, "dma-bytes", BYTE_PORTS, 16, &byte_ops);
    isa_io_new(d, "dma-words", WORD_PORTS, 32, &word_ops);
    isa_io_new(d, "dma-pages", PAGE_PORTS, PAGES, &page_ops);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    I8237 *s = (I8237 *)d;
    if (phase != RESET_ENTER)
        return;
    for (unsigned n = 0; n < CHIPS; n++) {
        master_clear(&s->chip[n]);
        for (unsigned i = 0; i < CHANNELS; i++) {
            Channel *ch = &s->chip[n].ch[i];
            *ch = (Channel){ .ready = ch->ready, .opaque = ch->opaque };
        }
    }
    s->wanted = 0;
    memset(s->page, 0, sizeof s->page);
}

static const StateField channel_state[] = { STATE_U16(Channel, base_addr), STATE_U16(Channel, base_count),
                                            STATE_U16(Channel, addr),      STATE_U16(Channel, count),
                                            STATE_U8(Channel, mode),       STATE_END_OF_TABLE };
static const StateField chip_state[] = { STATE_STRUCT_ARRAY(Chip, ch, channel_state),
                                         STATE_U8(Chip, command),
                                         STATE_U8(Chip, mask),
                                         STATE_U8(Chip, reached),
                                         STATE_U8(Chip, asked),
                                         STATE_BOOL(Chip, high),
                                         STATE_END_OF_TABLE };
static const StateField state[] = { STATE_STRUCT_ARRAY(I8237, chip, chip_state), STATE_BYTES(I8237, page),
                                    STATE_U8(I8237, wanted), STATE_END_OF_TABLE };
static const DeviceType i8237_type = {
    .name = "i8257",
    .desc = "ISA DMA controllers (two 8237A)",
    .category = "Misc",
    .size = sizeof(I8237),
    .bus = "isa",
    .state = state,
    .start = start,
    .reset = reset,
};
DEVICE_REGISTER(i8237_type)
