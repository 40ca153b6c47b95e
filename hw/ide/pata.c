/* SPDX-License-Identifier: MIT */
/* A parallel ATA channel: registers of two drives, interrupt, bus master (ATA8-ACS; SFF-8038i 1.0). */
#include "hw/ide/pata.h"
#include <string.h>
#include "base/bits.h"

enum { DATA, FEATURE, COUNT, LOW, MID, HIGH, DEVICE, COMMAND };
enum { PRD_SIZE = 8, PRD_TABLE_MAX = 65536 };
#define PRD_END 0x80000000u

static AtaDrive *unit(const PataChannel *ch, unsigned n)
{
    return ch->bus.drive[n] && ch->bus.drive[n]->blk ? ch->bus.drive[n] : NULL;
}
static AtaDrive *selected(const PataChannel *ch) { return unit(ch, ch->select & ATA_DEV ? 1 : 0); }

static void update_irq(PataChannel *ch)
{
    const AtaDrive *a = selected(ch);
    bool irq = a && a->intrq && !(ch->control & ATA_NIEN);

    if (irq && !ch->irq)
        ch->bm_status |= BM_INTERRUPT;
    ch->irq = irq;
    device_out(ch->owner, ch->pin, irq);
}

/* --- the drives' side --- */

static void data_ready(AtaDrive *a, bool interrupt)
{
    a->intrq |= interrupt;
    update_irq(a->bus->host);
}

static void finished(AtaDrive *a, AtaCommand *c, bool interrupt)
{
    PataChannel *ch = a->bus->host;

    if (c->dma && c->flow != FLOW_NONE && (ch->list_done || c->error))
        ch->bm_status &= (uint8_t)~BM_ACTIVE;
    a->intrq |= interrupt;
    update_irq(ch);
}

static bool dma_ready(AtaDrive *a) { return ((PataChannel *)a->bus->host)->bm_status & BM_ACTIVE; }

/* The list is too short: the bus master stops without interrupt; a start with another list goes on (SFF-8038i 3.1). */
static void dma_short(AtaDrive *a)
{
    PataChannel *ch = a->bus->host;

    ch->bm_status &= (uint8_t)~BM_ACTIVE;
    ch->bm_command &= (uint8_t)~BM_START;
    if (ch->failed)
        ch->bm_status |= BM_ERROR;
    a->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
}

static bool fetch(PataChannel *ch, uint8_t prd[PRD_SIZE])
{
    return ch->dma && ch->may_dma(ch->owner) &&
           as_read(ch->dma, (uint64_t)ch->bm_table + (uint64_t)ch->index * PRD_SIZE, prd, PRD_SIZE, ch->attrs) ==
               MEM_OK;
}

/* Entries: address, length (0: 64 KiB), end mark. A table has 64 KiB at most, whatever marks it lacks. */
static uint64_t map(AtaDrive *a, AtaCommand *c, DmaVec *v, uint64_t at, uint64_t len)
{
    PataChannel *ch = a->bus->host;
    uint64_t got = 0;

    at -= c->map_base;
    dma_vec_init(v, ch->dma, ch->attrs, c->flow == FLOW_READ || c->flow == FLOW_IN);
    if (at < ch->base)
        ch->index = 0, ch->base = 0, ch->list_done = false;
    while (got < len && !ch->list_done && v->count < DMA_VEC_MAX - 2) {
        uint8_t prd[PRD_SIZE];
        if (ch->index >= PRD_TABLE_MAX / PRD_SIZE || !fetch(ch, prd)) {
            ch->failed = true;
            break;
        }
        uint32_t addr = load_le32(prd) & ~1u, word = load_le32(prd + 4), size = word & 0xfffe ? word & 0xfffe : 65536;
        if (at + got < ch->base + size) {
            uint64_t skip = at + got - ch->base, piece = MIN(size - skip, len - got);
            if (!dma_vec_add(v, addr + skip, piece)) {
                ch->failed = v->count < DMA_VEC_MAX;
                break;
            }
            got += piece;
            if (skip + piece < size)
                break;
        }
        ch->base += size;
        ch->index++;
        ch->list_done = word & PRD_END;
    }
    return got;
}

static const AtaHostOps pata_host_ops = {
    .map = map, .dma_ready = dma_ready, .dma_short = dma_short, .data_ready = data_ready, .finished = finished
};

/* --- command block --- */

static void put(uint8_t pair[2], uint8_t value)
{
    pair[1] = pair[0];
    pair[0] = value;
}

static void write_register(AtaRegs *r, unsigned at, uint8_t value)
{
    switch (at) {
    case FEATURE: put(r->feature, value); break;
    case COUNT: put(r->count, value); break;
    case LOW: put(r->low, value); break;
    case MID: put(r->mid, value); break;
    case HIGH: put(r->high, value); break;
    default: break;
    }
}

static void write_command(PataChannel *ch, uint8_t opcode)
{
    AtaDrive *a = selected(ch);

    if (opcode == 0x90) { /* both drives test themselves, device 0 answers */
        AtaDrive *one = unit(ch, 1);
        if (one) {
            ata_command(one, opcode);
            one->intrq = false;
        }
        ch->select = 0;
        a = unit(ch, 0);
    }
    if (a) {
        a->intrq = false;
        update_irq(ch);
        ata_command(a, opcode);
    }
    update_irq(ch);
}

static void write_byte(PataChannel *ch, unsigned at, uint8_t value)
{
    ch->control &= (uint8_t)~ATA_HOB;
    if (at == COMMAND) {
        write_command(ch, value);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        AtaDrive *a = unit(ch, i);
        if (!a)
            continue;
        if (at == DEVICE)
            a->r.device = value;
        else if (!a->cmd.active)
            write_register(&a->r, at, value);
    }
    if (at == DEVICE) {
        ch->select = value;
        update_irq(ch);
    }
}

static uint8_t read_byte(PataChannel *ch, unsigned at)
{
    AtaDrive *a = selected(ch);
    unsigned hob = ch->control & ATA_HOB ? 1 : 0;

    if (!a)
        return 0;
    switch (at) {
    case FEATURE: return a->r.error;
    case COUNT: return a->r.count[hob];
    case LOW: return a->r.low[hob];
    case MID: return a->r.mid[hob];
    case HIGH: return a->r.high[hob];
    case DEVICE: return a->r.device | 0xa0;
    case COMMAND:
        a->intrq = false;
        update_irq(ch);
        return a->r.status;
    default: return 0;
    }
}

static MemResult command_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    PataChannel *ch = opaque;
    AtaDrive *a = selected(ch);

    *value = 0;
    if (*ch->bus.guard)
        return MEM_ERROR;
    if (at == DATA) {
        *value = a ? ata_data_read(a, MAX(size, 2)) & bits_mask(8 * size) : bits_mask(8 * size);
        return MEM_OK;
    }
    for (unsigned i = 0; i < size && at + i <= COMMAND; i++)
        *value |= (uint64_t)read_byte(ch, (unsigned)at + i) << 8 * i;
    return MEM_OK;
}

static MemResult command_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    PataChannel *ch = opaque;
    AtaDrive *a = selected(ch);

    if (*ch->bus.guard)
        return MEM_ERROR;
    if (at == DATA) {
        if (a)
            ata_data_write(a, MAX(size, 2), (uint32_t)value);
        return MEM_OK;
    }
    for (unsigned i = 0; i < size && at + i <= COMMAND; i++)
        write_byte(ch, (unsigned)at + i, (uint8_t)(value >> 8 * i));
    return MEM_OK;
}
const MemOps pata_command_ops = { command_read, command_write, 1, 4, .unaligned = true };

/* --- control block --- */

static MemResult control_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const AtaDrive *a = selected(opaque);

    *value = a ? a->r.status : 0;
    return MEM_OK;
}

static void software_reset(PataChannel *ch, bool end)
{
    for (unsigned i = 0; i < 2; i++) {
        AtaDrive *a = unit(ch, i);
        if (!a)
            continue;
        if (end) {
            ata_reset(a, false);
        } else {
            ata_quiesce(a);
            a->r.status = ATA_BSY;
        }
    }
    if (end)
        ch->select = 0;
    ch->bm_status &= (uint8_t)~BM_ACTIVE;
}

static MemResult control_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    PataChannel *ch = opaque;
    uint8_t old = ch->control;

    if (*ch->bus.guard)
        return MEM_ERROR;
    ch->control = (uint8_t)value;
    if ((old ^ value) & ATA_SRST)
        software_reset(ch, old & ATA_SRST);
    update_irq(ch);
    return MEM_OK;
}
const MemOps pata_control_ops = { control_read, control_write, 1, 1 };

/* --- bus master --- */

static void write_bm_command(PataChannel *ch, uint8_t value)
{
    bool start = value & BM_START && !(ch->bm_command & BM_START),
         stop = !(value & BM_START) && ch->bm_command & BM_START;

    ch->bm_command = value & (BM_START | BM_TO_MEMORY);
    if (stop) {
        AtaDrive *a = selected(ch);
        if (a)
            ata_dma_stop(a); /* what is on its way ends well rather than half */
        ch->bm_status &= (uint8_t)~BM_ACTIVE;
    }
    if (start) {
        ch->bm_status |= BM_ACTIVE;
        ch->index = 0;
        ch->base = 0;
        ch->list_done = ch->failed = false;
        for (unsigned i = 0; i < 2; i++) {
            AtaDrive *a = unit(ch, i);
            if (a)
                ata_dma_start(a);
        }
    }
}

static MemResult bm_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const PataChannel *ch = opaque;

    switch (at) {
    case 0: *value = ch->bm_command; break;
    case 2: *value = ch->bm_status; break;
    case 4: case 5: case 6: case 7: *value = ch->bm_table >> 8 * (at - 4) & 0xff; break;
    default: *value = 0xff; break;
    }
    return MEM_OK;
}

static MemResult bm_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    PataChannel *ch = opaque;

    if (*ch->bus.guard)
        return MEM_ERROR;
    switch (at) {
    case 0: write_bm_command(ch, (uint8_t)value); break;
    case 2: /* write 1 to clear; the capability bits are the BIOS's */
        ch->bm_status = (uint8_t)((value & BM_CAPABLE) | (ch->bm_status & BM_ACTIVE) |
                                  (ch->bm_status & ~value & (BM_ERROR | BM_INTERRUPT)));
        break;
    case 4:
    case 5:
    case 6:
    case 7: ch->bm_table = (uint32_t)bits_set(ch->bm_table, 8 * ((unsigned)at - 4), 8, value) & ~3u; break;
    default: break;
    }
    return MEM_OK;
}
const MemOps pata_bm_ops = { bm_read, bm_write, 1, 1 };

/* --- life --- */

void pata_init(PataChannel *ch, const char *bus_name, Device *owner, unsigned pin, unsigned *guard)
{
    ch->owner = owner;
    ch->pin = pin;
    ide_bus_init(&ch->bus, bus_name, owner, &pata_host_ops, ch, guard, 2, pin);
}

void pata_reset(PataChannel *ch)
{
    ch->select = ch->control = ch->bm_command = ch->bm_status = 0;
    ch->bm_table = 0;
    ch->irq = ch->list_done = ch->failed = false;
    ch->index = 0;
    ch->base = 0;
}

void pata_saving(PataChannel *ch)
{
    for (unsigned i = 0; i < 2; i++) {
        if (unit(ch, i))
            ata_drain(unit(ch, i));
    }
}

void pata_loaded(PataChannel *ch)
{
    ch->index = 0;
    ch->base = 0;
    ch->list_done = ch->failed = false;
}

void pata_stop(PataChannel *ch)
{
    if (ch->bus.bus.type)
        bus_fini(&ch->bus.bus);
}

const StateField pata_state[] = { STATE_U8(PataChannel, select),
                                  STATE_U8(PataChannel, control),
                                  STATE_U8(PataChannel, bm_command),
                                  STATE_U8(PataChannel, bm_status),
                                  STATE_U32(PataChannel, bm_table),
                                  STATE_BOOL(PataChannel, irq),
                                  STATE_END_OF_TABLE };
