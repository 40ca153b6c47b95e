/* SPDX-License-Identifier: MIT */
/*
 * SD Host Controller Simplified Specification 3.00: PIO, SDMA, ADMA2 with 32 and 64-bit addresses; i.MX6's uSDHC (i.MX6
 * RM, 67).
 */
#include "hw/sd/sdhci.h"
#include <string.h>
#include "base/bits.h"
#include "base/log.h"

/* ---- registers as words: number is offset / 4 (2.1) ---- */
enum {
    W_SDMA,
    W_BLOCK,
    W_ARG,
    W_CMD,
    W_RSP,
    W_DATA = 8,
    W_PRESENT,
    W_HOST,
    W_CLOCK,
    W_STATUS,
    W_ENABLE,
    W_SIGNAL,
    W_CONTROL2,
    W_CAPS,
    W_CAPS2,
    W_MIX = 18 /* uSDHC */,
    W_FORCE = 20,
    W_ADMA_ERROR,
    W_ADMA,
    W_ADMA_HIGH,
    W_VENDOR = 48 /* uSDHC: VEND_SPEC */,
    W_VERSION = 63
};
enum {
    INT_CC = 1,
    INT_TC = 2,
    INT_DMA = 8,
    INT_BWR = 16,
    INT_BRR = 32,
    INT_INSERTED = 64,
    INT_REMOVED = 128,
    INT_ERROR = 1 << 15,
    ERR_CMD_TIMEOUT = 1 << 16,
    ERR_DATA_TIMEOUT = 1 << 20,
    ERR_DATA_CRC = 1 << 21,
    ERR_ADMA = 1 << 25,
    USDHC_DMAE = 1 << 28
};
enum {
    MODE_DMA = 1,
    MODE_COUNT = 2,
    MODE_AUTO12 = 4,
    MODE_AUTO23 = 8,
    MODE_READ = 16,
    MODE_MULTI = 32,
    USDHC_AUTO23 = 128
};
enum {
    PRESENT_DAT_INHIBIT = 2,
    PRESENT_DAT_ACTIVE = 4,
    PRESENT_CLOCK = 8,
    PRESENT_SDOFF = 128 /* uSDHC: the card's clock is gated */,
    FORCE_CLOCK = 256 /* VEND_SPEC */,
    PRESENT_WRITE = 1 << 8,
    PRESENT_READ = 1 << 9,
    PRESENT_SPACE = 1 << 10,
    PRESENT_DATA = 1 << 11,
    PRESENT_CARD = 7 << 16,
    PRESENT_WRITABLE = 1 << 19,
    PRESENT_LINES = 0x1f << 20
};
enum { LINKS_MAX = 4096 };
static const uint64_t moved_max = UINT64_C(1) << 30; /* an endless list of descriptors ends here */

static bool mode_read(const Sdhci *s) { return s->reg[W_CMD] & MODE_READ; }
static unsigned block_size(const Sdhci *s)
{
    unsigned n = s->reg[W_BLOCK] & (s->usdhc ? 0x1fff : 0xfff);
    return MIN(n, SDHCI_FIFO);
}

static void update(Sdhci *s)
{
    uint32_t errors = s->reg[W_STATUS] & 0xffff0000;
    s->reg[W_STATUS] = (s->reg[W_STATUS] & ~(uint32_t)INT_ERROR) | (errors && !s->usdhc ? INT_ERROR : 0);
    s->irq(s->dev, (s->reg[W_STATUS] & s->reg[W_SIGNAL] & ~(uint32_t)INT_ERROR) != 0);
}
static void event(Sdhci *s, uint32_t bits)
{
    if (s->usdhc && bits & ERR_ADMA)
        bits = (bits & ~(uint32_t)ERR_ADMA) | USDHC_DMAE;
    s->reg[W_STATUS] |= bits & s->reg[W_ENABLE];
    update(s);
}

/* ---- DMA ---- */

static unsigned dma_select(const Sdhci *s) { return s->reg[W_HOST] >> (s->usdhc ? 8 : 3) & 3; }
static uint32_t boundary(const Sdhci *s) { return s->usdhc ? 0 : UINT32_C(4096) << (s->reg[W_BLOCK] >> 12 & 7); }

static void end_transfer(Sdhci *s, uint32_t events)
{
    s->active = s->wait_dma = false;
    s->fifo_pos = s->fifo_len = 0;
    event(s, events);
}

static bool adma_failed(Sdhci *s, unsigned state)
{
    s->reg[W_ADMA_ERROR] = state;
    end_transfer(s, ERR_ADMA);
    return false;
}

/* The next piece of memory by the list (1.13). false: the transfer has ended, or waits. */
static bool adma_next(Sdhci *s, AddressSpace *as)
{
    bool wide = dma_select(s) == 3;
    while (!s->desc_len) {
        uint64_t at = s->reg[W_ADMA] | (wide ? (uint64_t)s->reg[W_ADMA_HIGH] << 32 : 0);
        uint8_t d[12] = { 0 };
        if (s->desc_int) {
            s->desc_int = false;
            event(s, INT_DMA);
        }
        if (s->desc_end) {
            s->wait_dma = true; /* the list is over before the data */
            log_guest_error(s->dev->id, "the ADMA list is shorter than the transfer");
            s->reg[W_ADMA_ERROR] = 4; /* length mismatch */
            end_transfer(s, ERR_ADMA);
            return false;
        }
        if (as_read(as, at & ~UINT64_C(3), d, wide ? 12 : 8, MEM_ATTRS_DEVICE) != MEM_OK || !(d[0] & 1) ||
            s->links++ >= LINKS_MAX + (s->moved >> 9))
            return adma_failed(s, 1); /* ST_FDS */
        uint64_t addr = wide ? load_le64(d + 4) : load_le32(d + 4);
        unsigned len = load_le16(d + 2), act = d[0] >> 4 & 3;
        at = act == 3 ? addr : at + (wide ? 12 : 8);
        s->reg[W_ADMA] = (uint32_t)at;
        s->reg[W_ADMA_HIGH] = wide ? (uint32_t)(at >> 32) : 0;
        s->desc_end = d[0] & 2;
        s->desc_int = d[0] & 4;
        if (act == 2) {
            s->desc_addr = addr;
            s->desc_len = len ? len : 65536;
        }
    }
    return true;
}

/* Memory for up to *len bytes. */
static bool dma_place(Sdhci *s, AddressSpace *as, uint64_t *addr, uint32_t *len)
{
    if (dma_select(s) >= 2) {
        if (!adma_next(s, as))
            return false;
        *len = MIN(*len, s->desc_len);
        *addr = s->desc_addr;
        return true;
    }
    *addr = s->reg[W_SDMA];
    if (boundary(s))
        *len = MIN(*len, boundary(s) - (uint32_t)(*addr % boundary(s)));
    return true;
}

static void dma_moved(Sdhci *s, uint32_t len)
{
    s->moved += len;
    if (dma_select(s) >= 2) {
        s->desc_addr += len;
        s->desc_len -= len;
        return;
    }
    s->reg[W_SDMA] += len;
    if (boundary(s) && s->reg[W_SDMA] % boundary(s) == 0)
        s->wait_dma = true;
}

/* ---- the data engine ---- */

static void count_block(Sdhci *s)
{
    s->fifo_pos = s->fifo_len = 0;
    if (s->endless)
        return;
    s->blocks--;
    if (s->reg[W_CMD] & MODE_COUNT)
        s->reg[W_BLOCK] = (s->reg[W_BLOCK] & 0xffff) | s->blocks << 16;
}

static bool list_over(const Sdhci *s) /* without a count the descriptors say how long it is */
{
    return s->endless && dma_select(s) >= 2 && s->reg[W_CMD] & MODE_DMA && s->desc_end && !s->desc_len;
}

/* All data are moved: stop, and wait until the card has programmed them. */
static void finish(Sdhci *s)
{
    uint8_t rsp[16];
    if (s->desc_int)
        event(s, INT_DMA);
    s->desc_int = false;
    s->active = s->wait_dma = false;
    s->fifo_pos = s->fifo_len = 0;
    if (s->reg[W_CMD] & MODE_AUTO12 && s->reg[W_CMD] & MODE_MULTI) {
        sd_command(&s->port, 12, 0, rsp);
        s->reg[W_RSP + 3] = __builtin_bswap32(load_le32(rsp));
    }
    s->wait_busy = true;
}

/* One step; false: it waits for the card, the guest, or has ended. */
static bool step(Sdhci *s)
{
    bool in = mode_read(s), dma = s->reg[W_CMD] & MODE_DMA;
    unsigned size = block_size(s);
    if (!s->fifo_pos && !s->fifo_len && ((!s->endless && !s->blocks) || list_over(s))) {
        finish(s);
        return false;
    }
    if (in && s->fifo_len < size) {
        s->fifo_len += (uint32_t)sd_read(&s->port, s->fifo + s->fifo_len, size - s->fifo_len);
        if (s->fifo_len < size) {
            if (sd_failed(&s->port))
                end_transfer(s, ERR_DATA_CRC | ERR_DATA_TIMEOUT);
            return false;
        }
        if (!dma)
            event(s, INT_BRR);
    }
    if (!in && s->fifo_len == size) { /* a whole block: to the card */
        s->fifo_pos += (uint32_t)sd_write(&s->port, s->fifo + s->fifo_pos, size - s->fifo_pos);
        if (s->fifo_pos < size) {
            if (sd_failed(&s->port))
                end_transfer(s, ERR_DATA_CRC);
            return false;
        }
        count_block(s);
        if (!dma && (s->endless || s->blocks))
            event(s, INT_BWR);
        return true;
    }
    if (!dma || s->wait_dma)
        return false;
    AddressSpace *as = s->space(s->dev);
    uint64_t addr;
    uint32_t len = in ? s->fifo_len - s->fifo_pos : size - s->fifo_len;
    if (!as || s->moved > moved_max) {
        end_transfer(s, ERR_DATA_TIMEOUT);
        return false;
    }
    if (!dma_place(s, as, &addr, &len))
        return false;
    if (in) {
        as_write(as, addr, s->fifo + s->fifo_pos, len, MEM_ATTRS_DEVICE);
        s->fifo_pos += len;
    } else {
        as_read(as, addr, s->fifo + s->fifo_len, len, MEM_ATTRS_DEVICE);
        s->fifo_len += len;
    }
    dma_moved(s, len);
    if (in && s->fifo_pos == size)
        count_block(s);
    bool last = in ? !s->endless && !s->blocks : s->fifo_len == size && !s->endless && s->blocks == 1;
    if (s->wait_dma && !last) {
        event(s, INT_DMA);
        return !in && s->fifo_len == size;
    }
    s->wait_dma = false;
    return true;
}

static Sdhci *of_port(const SdPort *p) { return container_of(p, Sdhci, port); }

static void port_data(SdPort *p)
{
    Sdhci *s = of_port(p);
    while (s->active && step(s))
        continue;
    if (s->wait_busy && !sd_busy(&s->port)) {
        s->wait_busy = false;
        event(s, INT_TC | (sd_failed(&s->port) && s->reg[W_CMD] >> 21 & 1 && !mode_read(s) ? ERR_DATA_CRC : 0));
    }
}

/* ---- commands ---- */

static void start_data(Sdhci *s)
{
    bool multi = s->reg[W_CMD] & MODE_MULTI;
    s->endless = multi && !(s->reg[W_CMD] & MODE_COUNT);
    s->blocks = multi ? s->reg[W_BLOCK] >> 16 : 1;
    s->fifo_pos = s->fifo_len = s->desc_len = s->links = 0;
    s->moved = 0;
    s->desc_end = s->desc_int = s->wait_dma = false;
    s->reg[W_ADMA_ERROR] = 0;
    s->active = block_size(s) > 0;
    if (!s->active)
        s->wait_busy = true;
    else if (!mode_read(s) && !(s->reg[W_CMD] & MODE_DMA))
        event(s, INT_BWR);
}

static void issue(Sdhci *s)
{
    uint32_t cmd = s->reg[W_CMD] >> 16, kind = cmd & 3;
    uint8_t index = cmd >> 8 & 63, r[16];
    if (s->usdhc) {
        uint32_t mix = s->reg[W_MIX];
        s->reg[W_CMD] = cmd << 16 | (mix & 0x37) | (mix & USDHC_AUTO23 ? MODE_AUTO23 : 0);
    }
    if (cmd & 32 && s->active) {
        log_guest_error(s->dev->id, "command %u with data while data move", index);
        return;
    }
    if (cmd & 32 && s->reg[W_CMD] & MODE_AUTO23 && s->reg[W_CMD] & MODE_MULTI)
        sd_command(&s->port, 23, s->usdhc ? s->reg[W_BLOCK] >> 16 : s->reg[W_SDMA], r);
    if (index == 12)
        s->active = false; /* abort: 3.8 */
    unsigned n = sd_command(&s->port, index, s->reg[W_ARG], r);
    if ((kind && !n) || !sd_present(&s->port)) {
        event(s, ERR_CMD_TIMEOUT);
        return;
    }
    if (kind == 1) { /* bits 127 to 8 */
        for (unsigned i = 0; i < 3; i++)
            s->reg[W_RSP + i] = __builtin_bswap32(load_le32(r + 11 - 4 * i));
        s->reg[W_RSP + 3] = (uint32_t)r[0] << 16 | (uint32_t)r[1] << 8 | r[2];
    } else if (kind) {
        s->reg[W_RSP] = __builtin_bswap32(load_le32(r));
    }
    event(s, INT_CC);
    if (cmd & 32)
        start_data(s);
    else if (kind == 3)
        s->wait_busy = true;
    sd_port_run(&s->port);
}

/* ---- what the guest sees ---- */

static uint32_t present(const Sdhci *s)
{
    bool in = mode_read(s), pio = s->active && !(s->reg[W_CMD] & MODE_DMA), card = sd_present(&s->port);
    uint32_t v = s->active || s->wait_busy ? PRESENT_DAT_INHIBIT | PRESENT_DAT_ACTIVE : 0;
    if (s->active)
        v |= in ? PRESENT_READ : PRESENT_WRITE;
    if (pio && in && s->fifo_len && s->fifo_len == block_size(s))
        v |= PRESENT_DATA;
    if (pio && !in && s->fifo_len < block_size(s))
        v |= PRESENT_SPACE;
    if (s->usdhc)
        v |= PRESENT_CLOCK | (s->reg[W_VENDOR] & FORCE_CLOCK || s->active ? 0 : PRESENT_SDOFF);
    return v | (card ? PRESENT_CARD : 0x20000) | (card && sd_readonly(&s->port) ? 0 : PRESENT_WRITABLE) |
           (s->wait_busy ? 0x1e << 20 : PRESENT_LINES) | (s->usdhc ? 0x1f << 24 : 0);
}

static uint64_t port_read(Sdhci *s, unsigned size)
{
    uint64_t v = 0;
    if (!s->active || !mode_read(s) || s->fifo_len < block_size(s))
        return 0;
    for (unsigned i = 0; i < size && s->fifo_pos < s->fifo_len; i++)
        v |= (uint64_t)s->fifo[s->fifo_pos++] << 8 * i;
    if (s->fifo_pos >= block_size(s)) {
        count_block(s);
        sd_port_run(&s->port);
    }
    return v;
}

static void port_write(Sdhci *s, unsigned size, uint64_t v)
{
    if (!s->active || mode_read(s) || s->reg[W_CMD] & MODE_DMA)
        return;
    for (unsigned i = 0; i < size && s->fifo_len < block_size(s); i++)
        s->fifo[s->fifo_len++] = (uint8_t)(v >> 8 * i);
    if (s->fifo_len == block_size(s))
        sd_port_run(&s->port);
}

static MemResult reg_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Sdhci *s = opaque;
    unsigned w = (unsigned)at / 4, shift = (unsigned)at % 4 * 8;
    uint64_t v = s->reg[w];
    if (w == W_DATA) {
        *value = port_read(s, size);
        return MEM_OK;
    }
    if (w == W_PRESENT)
        v = present(s);
    else if (w == W_CAPS || w == W_CAPS2)
        v = (uint32_t)(s->capareg >> (w == W_CAPS ? 0 : 32));
    else if (w == W_VERSION)
        v = s->usdhc ? 2 : 0x24020000 | ((s->reg[W_STATUS] & s->reg[W_SIGNAL]) != 0);
    else if (w == W_FORCE)
        v = 0;
    *value = v >> shift;
    return MEM_OK;
}

static void soft_reset(Sdhci *s, unsigned bits);

static void write_word(Sdhci *s, unsigned w, uint32_t mask, uint32_t v)
{
    uint32_t merged = (s->reg[w] & ~mask) | (v & mask);
    switch (w) {
    case W_RSP:
    case W_RSP + 1:
    case W_RSP + 2:
    case W_RSP + 3:
    case W_PRESENT:
    case W_CAPS:
    case W_CAPS2:
    case W_VERSION: return;
    case W_CMD:
        s->reg[w] = merged;
        if (mask & 0xff000000)
            issue(s);
        return;
    case W_SDMA:
        s->reg[w] = merged;
        if (mask & 0xff000000 && s->wait_dma) {
            s->wait_dma = false;
            sd_port_run(&s->port);
        }
        return;
    case W_BLOCK:
        if (!s->active)
            s->reg[w] = merged;
        return;
    case W_CLOCK:
        s->reg[w] = (merged & 0x00ffffff) | (!s->usdhc && merged & 1 ? 2 : 0); /* the clock is stable at once */
        if (mask & 0xff000000)
            soft_reset(s, v >> 24 & 7);
        return;
    case W_STATUS:
        s->reg[w] &= ~(v & mask);
        update(s);
        return;
    case W_ENABLE:
        s->reg[w] = merged;
        s->reg[W_STATUS] &= merged | INT_ERROR;
        update(s);
        return;
    case W_SIGNAL:
        s->reg[w] = merged;
        update(s);
        return;
    case W_FORCE:
        event(s, v & mask & 0xffff0000);
        return;
    default: s->reg[w] = merged; return;
    }
}

static MemResult reg_write(void *opaque, hwaddr at, unsigned size, uint64_t v, MemAttrs attrs)
{
    unsigned w = (unsigned)at / 4, shift = (unsigned)at % 4 * 8;
    if (w == W_DATA)
        port_write(opaque, size, v);
    else
        write_word(opaque, w, (size == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * size) - 1) << shift, (uint32_t)v << shift);
    return MEM_OK;
}

const MemOps sdhci_ops = { .read = reg_read, .write = reg_write, .min_size = 1, .max_size = 4 };

/* ---- resets and cards ---- */

static void reset_values(Sdhci *s)
{
    memset(s->reg, 0, sizeof s->reg);
    s->active = s->wait_busy = s->wait_dma = s->desc_end = s->desc_int = s->endless = false;
    s->fifo_pos = s->fifo_len = s->blocks = s->links = s->desc_len = 0;
    s->desc_addr = s->moved = 0;
    if (s->usdhc) {
        s->reg[W_HOST] = 0x08800020;
        s->reg[W_CLOCK] = 0x0080800f;
        s->reg[17] = 0x08100810;
        s->reg[W_MIX] = 0x80000000;
        s->reg[W_VENDOR] = 0x20007809;
    }
}

/* 2.2.15 */
static void soft_reset(Sdhci *s, unsigned bits)
{
    if (bits & 1) {
        reset_values(s);
        if (sd_present(&s->port) && s->usdhc)
            s->reg[W_STATUS] = 0;
    }
    if (bits & 2)
        s->reg[W_STATUS] &= ~(uint32_t)INT_CC;
    if (bits & 4) {
        s->active = s->wait_busy = s->wait_dma = false;
        s->fifo_pos = s->fifo_len = 0;
        s->reg[W_STATUS] &= ~(uint32_t)(INT_TC | INT_DMA | INT_BWR | INT_BRR | 4);
    }
    update(s);
}

static void show_card(const Sdhci *s)
{
    if (s->card)
        s->card(s->dev, sd_present(&s->port), sd_readonly(&s->port));
}
static void port_card(SdPort *p)
{
    Sdhci *s = of_port(p);
    bool there = sd_present(p);
    show_card(s);
    if (!there && s->active)
        end_transfer(s, ERR_DATA_TIMEOUT);
    event(s, there ? INT_INSERTED : INT_REMOVED);
    sd_port_run(&s->port);
}
static const SdHostOps host_ops = { .data = port_data, .card = port_card };

void sdhci_start(Sdhci *s, Device *d, bool slot)
{
    s->dev = d;
    if (slot) {
        sd_bus_init(&s->bus, d);
        sd_port_init(&s->port, d, &host_ops, &s->bus);
    } else {
        s->port = (SdPort){ d, &host_ops, NULL };
    }
}

void sdhci_stop(Sdhci *s) { sd_bus_fini(&s->bus); }

void sdhci_reset(Sdhci *s, ResetPhase phase)
{
    if (phase == RESET_ENTER) {
        reset_values(s);
        memset(s->fifo, 0, sizeof s->fifo);
    } else if (phase == RESET_HOLD) {
        update(s);
        show_card(s);
    }
}

bool sdhci_loaded(Sdhci *s, Error **errp)
{
    if (s->fifo_pos <= block_size(s) && s->fifo_len <= block_size(s) && s->desc_len <= 65536 &&
        (!s->active || (block_size(s) && (s->endless || (s->blocks && s->blocks <= 65535)))))
        return true;
    reset_values(s);
    error_setf(errp, "device '%s': the saved transfer makes no sense", s->dev->id);
    return false;
}

const StateField sdhci_state[] = {
    STATE_U32_ARRAY(Sdhci, reg),  STATE_BYTES(Sdhci, fifo),    STATE_U32(Sdhci, fifo_pos),  STATE_U32(Sdhci, fifo_len),
    STATE_U32(Sdhci, blocks),     STATE_U32(Sdhci, links),     STATE_U64(Sdhci, desc_addr), STATE_U64(Sdhci, moved),
    STATE_U32(Sdhci, desc_len),   STATE_BOOL(Sdhci, desc_end), STATE_BOOL(Sdhci, desc_int), STATE_BOOL(Sdhci, active),
    STATE_BOOL(Sdhci, wait_busy), STATE_BOOL(Sdhci, wait_dma), STATE_BOOL(Sdhci, endless),  STATE_END_OF_TABLE,
};
