/* SPDX-License-Identifier: MIT */
/*
 * SMSC LAN91C111 Ethernet (data sheet DS00002276) without a cable: frames are taken and count as sent, none ever comes.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum { PACKETS = 4, INT_TX = 2, INT_TX_EMPTY = 4, INT_ALLOC = 8, CTR_AUTO_RELEASE = 0x800, FIFO_EMPTY = 0x80 };

typedef struct Smc {
    Device dev; /* always first */
    uint8_t bank, regs[4][14]; /* what is stored, byte by byte; little-endian 16-bit registers */
    uint8_t busy;              /* packets that are taken: a bit each */
    uint8_t done[PACKETS], done_count, level, mask;
} Smc;

static uint16_t half(const Smc *s, unsigned bank, unsigned at)
{
    return (uint16_t)(s->regs[bank][at] | s->regs[bank][at + 1] << 8);
}

static void update(Smc *s)
{
    s->level = (uint8_t)((s->level & ~INT_TX) | (s->done_count ? INT_TX : 0));
    device_out(&s->dev, 0, s->level & s->mask ? 1 : 0);
}

static void reset_chip(Smc *s)
{
    static const struct { uint8_t bank, at, value;
    } start[] = {
        { 0, 8, PACKETS },    { 1, 0, 0xb1 }, { 1, 1, 0xa0 }, { 1, 2, 0x01 },  { 1, 3, 0x18 },  { 1, 4, 0x52 },
        { 1, 5, 0x54 },       { 1, 7, 0x12 }, { 1, 8, 0x34 }, { 1, 9, 0x56 },  { 1, 12, 0x10 }, { 1, 13, 0x12 },
        { 2, 3, FIFO_EMPTY }, { 3, 8, 0x30 }, { 3, 9, 0x33 }, { 3, 10, 0x91 }, { 3, 11, 0x33 }, { 3, 12, 0x1f },
    };
    s->bank = 0;
    s->busy = s->done_count = s->mask = 0;
    s->level = INT_TX_EMPTY;
    memset(s->done, 0, sizeof s->done);
    memset(s->regs, 0, sizeof s->regs);
    for (unsigned i = 0; i < ARRAY_LEN(start); i++)
        s->regs[start[i].bank][start[i].at] = start[i].value;
}

static void release(Smc *s, unsigned packet) { s->busy &= (uint8_t)~(1u << (packet & (PACKETS - 1))); }

static void pop_done(Smc *s)
{
    if (s->done_count)
        memmove(s->done, s->done + 1, --s->done_count);
}

/* Commands to the memory manager (bank 2, offset 0): bits 7 to 5. */
static void command(Smc *s, unsigned op)
{
    unsigned packet = s->regs[2][2];
    switch (op) {
    case 1:
        s->regs[2][3] = FIFO_EMPTY;
        for (unsigned i = 0; i < PACKETS; i++) {
            if (!(s->busy >> i & 1)) {
                s->busy |= (uint8_t)(1u << i);
                s->regs[2][3] = (uint8_t)i;
                s->level |= INT_ALLOC;
                break;
            }
        }
        break;
    case 2:
        s->busy = s->done_count = 0;
        s->level = (s->level & ~INT_ALLOC) | INT_TX_EMPTY;
        s->regs[2][3] = FIFO_EMPTY;
        break;
    case 5: release(s, packet); break;
    case 6:
        if (half(s, 1, 12) & CTR_AUTO_RELEASE)
            release(s, packet);
        else if (s->done_count < PACKETS)
            s->done[s->done_count++] = (uint8_t)(packet & (PACKETS - 1));
        s->level |= INT_TX_EMPTY;
        break;
    case 7: s->done_count = 0; break;
    default: break;
    }
}

static uint8_t free_packets(const Smc *s)
{
    uint8_t n = 0;
    for (unsigned i = 0; i < PACKETS; i++)
        n += !(s->busy >> i & 1);
    return n;
}

static uint8_t reg_read(const Smc *s, unsigned bank, unsigned at)
{
    if (bank == 0 && at == 9)
        return free_packets(s);
    if (bank == 2) {
        switch (at) {
        case 0: case 1: return 0; /* never busy */
        case 4: return s->done_count ? s->done[0] : FIFO_EMPTY;
        case 5: return FIFO_EMPTY;
        case 8: case 9: case 10: case 11: return 0;
        case 12: return s->level;
        case 13: return s->mask;
        default: break;
        }
    }
    return bank == 3 && at == 8 ? s->regs[3][8] | 2 : s->regs[bank][at]; /* no PHY answers: ones */
}

static void reg_write(Smc *s, unsigned bank, unsigned at, uint8_t value)
{
    static const uint16_t writable[4] = { 0x3c33, 0x3fff, 0x00c4, 0x31ff }; /* a bit each byte */
    if (bank == 2 && at == 0)
        command(s, value >> 5);
    else if (bank == 2 && at == 12 && value & INT_TX)
        pop_done(s);
    else if (bank == 2 && at == 13)
        s->mask = value;
    if (bank == 2 && at == 12)
        s->level &= (uint8_t)~(value & (INT_TX_EMPTY | 0x10));
    if (bank == 2 && at == 2)
        s->level &= (uint8_t)~INT_ALLOC;
    if (writable[bank] >> at & 1)
        s->regs[bank][at] = value;
    if (bank == 0 && at == 5 && value & 0x80) /* RCR's soft reset */
        reset_chip(s);
    update(s);
}

static MemResult smc_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const Smc *s = opaque;
    unsigned at = offset & 15;
    *value = at == 14 ? s->bank : at == 15 ? 0x33 : s->bank < 4 ? reg_read(s, s->bank, at) : 0;
    return MEM_OK;
}

static MemResult smc_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    Smc *s = opaque;
    unsigned at = offset & 15;
    if (at == 14)
        s->bank = value & 7;
    else if (at < 14 && s->bank < 4)
        reg_write(s, s->bank, at, (uint8_t)value);
    return MEM_OK;
}

static const MemOps ops = { .read = smc_read, .write = smc_write, .min_size = 1, .max_size = 1 };

static bool start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("smc91c111", 0x1000, &ops, d, d->domain);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        reset_chip((Smc *)d);
    else if (phase == RESET_HOLD)
        update((Smc *)d);
}

static bool loaded(Device *d, Error **errp)
{
    const Smc *s = (Smc *)d;
    if (s->bank < 8 && s->done_count <= PACKETS)
        return true;
    error_setf(errp, "smc91c111: impossible state");
    return false;
}

static const char *const pins[] = { "irq", NULL };
static const StateField state[] = {
    STATE_U8(Smc, bank),       STATE_BYTES(Smc, regs), STATE_U8(Smc, busy), STATE_BYTES(Smc, done),
    STATE_U8(Smc, done_count), STATE_U8(Smc, level),   STATE_U8(Smc, mask), STATE_END_OF_TABLE,
};
static const DeviceType smc_type = {
    .name = "smc91c111",
    .desc = "SMSC LAN91C111 without a cable",
    .category = "Network",
    .size = sizeof(Smc),
    .state = state,
    .out_pins = pins,
    .start = start,
    .reset = reset,
    .loaded = loaded,
};
DEVICE_REGISTER(smc_type)
