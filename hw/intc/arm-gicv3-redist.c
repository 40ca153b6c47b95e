/* SPDX-License-Identifier: MIT */
/*
 * GICv3 redistributors (IHI 0069G section 12.11): private interrupts, and LPIs with their tables in guest RAM (chapter
 * 5).
 */
#include "hw/intc/arm-gicv3-internal.h"

enum {
    R_CTLR = 0x0000,
    R_IIDR = 0x0004,
    R_TYPER = 0x0008,
    R_WAKER = 0x0014,
    R_SETLPI = 0x0040,
    R_CLRLPI = 0x0048,
    R_PROPBASE = 0x0070,
    R_PENDBASE = 0x0078,
    R_INVLPI = 0x00a0,
    R_INVALL = 0x00b0,
    R_ID = 0xffd0,
    SGI_FRAME = 0x10000,
    R_BANKS = 0x0080,
    R_PRIORITY = 0x0400,
    R_CONFIG = 0x0c00,
    R_MODIFIER = 0x0d00,
    R_NSAC = 0x0e00
};
enum { CTLR_ENABLE_LPIS = 1, CTLR_CES = 2, WAKER_SLEEP = 2, WAKER_ASLEEP = 4 };
#define PENDBASE_PTZ BIT(62)
#define TABLE_ADDRESS UINT64_C(0x000ffffffffff000)

/* ---- LPIs ---- */

static uint64_t lpi_ids(const Gic3Cpu *c) { return BIT(MIN((c->propbaser & 31) + 1, GIC3_ID_BITS)); }

bool gic3_lpi_pending(const Gic3Cpu *c, uint32_t id)
{
    return c->lpi && id >= GIC3_LPI_FIRST && id < GIC3_LPI_END && c->lpi[(id - GIC3_LPI_FIRST) / 32] >> id % 32 & 1;
}

void gic3_lpi_set(Gic3Cpu *c, uint32_t id, bool pending)
{
    if (!c->lpi || id < GIC3_LPI_FIRST || id >= GIC3_LPI_END || gic3_lpi_pending(c, id) == pending)
        return;
    c->lpi[(id - GIC3_LPI_FIRST) / 32] ^= (uint32_t)BIT(id % 32);
    c->lpis = pending ? c->lpis + 1 : c->lpis - 1;
}

/* The configuration byte: priority in 7:2, enable in bit 0 (section 5.1.1). */
static void consider_lpi(Gic3Cpu *c, uint32_t id, uint32_t *irq, unsigned *priority)
{
    uint8_t config;
    if (id >= lpi_ids(c) || !gic3_ram_read(c->gic, (c->propbaser & TABLE_ADDRESS) + id - GIC3_LPI_FIRST, &config, 1) ||
        !(config & 1))
        return;
    unsigned p = config & GIC3_PRIORITY_MASK;
    if (c->gic->security) /* priorities of LPIs are the Non-secure view */
        p = (0x80 | p >> 1) & GIC3_PRIORITY_MASK;
    if (p < *priority) {
        *priority = p;
        *irq = id;
    }
}

void gic3_lpi_best(Gic3Cpu *c, uint32_t *irq, unsigned *priority)
{
    for (unsigned i = 0; c->lpi && i < GIC3_LPI_WORDS; i++) {
        for (uint32_t bits = c->lpi[i]; bits; bits &= bits - 1)
            consider_lpi(c, GIC3_LPI_FIRST + i * 32 + (unsigned)__builtin_ctz(bits), irq, priority);
    }
}

/* The pending table is ours while LPIs are enabled, and in memory otherwise. */
void gic3_lpi_enable(Gic3Cpu *c, bool enable)
{
    hwaddr table = (c->pendbaser & UINT64_C(0x000fffffffff0000)) + GIC3_LPI_FIRST / 8;
    uint64_t bytes = lpi_ids(c) > GIC3_LPI_FIRST ? (lpi_ids(c) - GIC3_LPI_FIRST) / 8 : 0;
    g_autofree uint8_t *copy = g_malloc0(GIC3_LPI_WORDS * 4);
    if (!c->lpi || !bytes)
        return;
    if (!enable) {
        for (unsigned i = 0; i < GIC3_LPI_WORDS; i++)
            store_le32(copy + 4 * (size_t)i, c->lpi[i]);
        gic3_ram_write(c->gic, table, copy, bytes);
        return;
    }
    if (!(c->pendbaser & PENDBASE_PTZ) && !gic3_ram_read(c->gic, table, copy, bytes))
        log_guest_error(c->gic->dev.id, "pending table of CPU %u is not in RAM", c->index);
    c->lpis = 0;
    for (unsigned i = 0; i < GIC3_LPI_WORDS; i++) {
        c->lpi[i] = load_le32(copy + 4 * (size_t)i);
        c->lpis += (unsigned)__builtin_popcount(c->lpi[i]);
    }
}

/* ---- registers of the first frame ---- */

static uint64_t typer(const Gic3Cpu *c)
{
    uint64_t affinity = c->port ? c->port->arch_id : c->index;
    return affinity << 32 | (uint64_t)c->index << 8 | (c->last ? 0x10 : 0) | (c->gic->has_lpi ? 1 : 0);
}

static uint32_t rd_read(const Gic3Cpu *c, unsigned at)
{
    static const uint8_t id[] = { 0x44, 0, 0, 0, 0x93, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    if (at >= R_ID)
        return (at - R_ID) / 4 < sizeof(id) ? id[(at - R_ID) / 4] : 0;
    switch (at) {
    case R_CTLR: return c->ctlr | (c->gic->has_lpi ? CTLR_CES : 0);
    case R_IIDR: return 0x0200143b;
    case R_TYPER: return (uint32_t)typer(c);
    case R_TYPER + 4: return (uint32_t)(typer(c) >> 32);
    case R_WAKER: return c->waker;
    case R_PROPBASE: return (uint32_t)c->propbaser;
    case R_PROPBASE + 4: return (uint32_t)(c->propbaser >> 32);
    case R_PENDBASE: return (uint32_t)c->pendbaser;
    case R_PENDBASE + 4: return (uint32_t)((c->pendbaser & ~PENDBASE_PTZ) >> 32);
    default: return 0;
    }
}

static void ctlr_write(Gic3Cpu *c, uint32_t v)
{
    uint32_t on = c->gic->has_lpi ? v & CTLR_ENABLE_LPIS : 0;
    if (on != (c->ctlr & CTLR_ENABLE_LPIS))
        gic3_lpi_enable(c, on);
    c->ctlr = on;
}

static void put_half(uint64_t *reg, unsigned at, uint32_t v, uint32_t mask, uint64_t writable)
{
    unsigned shift = 8 * (at & 4);
    uint64_t m = (uint64_t)mask << shift & writable;
    *reg = (*reg & ~m) | ((uint64_t)v << shift & m);
}

static void rd_write(Gic3Cpu *c, unsigned at, uint32_t v, uint32_t mask, bool secure)
{
    switch (at) {
    case R_CTLR: ctlr_write(c, v); break;
    case R_WAKER:
        if (gic3_secure(c->gic, secure))
            c->waker = v & WAKER_SLEEP ? WAKER_SLEEP | WAKER_ASLEEP : 0;
        break;
    case R_PROPBASE: case R_PROPBASE + 4:
        if (c->gic->has_lpi && !(c->ctlr & CTLR_ENABLE_LPIS))
            put_half(&c->propbaser, at, v, mask, UINT64_C(0x070fffffffffff9f));
        break;
    case R_PENDBASE: case R_PENDBASE + 4:
        if (c->gic->has_lpi && !(c->ctlr & CTLR_ENABLE_LPIS))
            put_half(&c->pendbaser, at, v, mask, UINT64_C(0x470fffffffff0f80));
        break;
    case R_SETLPI: case R_CLRLPI: gic3_lpi_set(c, v, at == R_SETLPI); break;
    case R_INVLPI: case R_INVALL: break; /* nothing is cached */
    case R_SETLPI + 4: case R_CLRLPI + 4: case R_INVLPI + 4: case R_INVALL + 4: break;
    default: log_guest_error(c->gic->dev.id, "write to redistributor register 0x%x", at);
    }
}

/* ---- registers of the second frame: SGIs and PPIs ---- */

static uint32_t sgi_read(Gic3Cpu *c, unsigned at, bool secure)
{
    const Gic3 *g = c->gic;
    if (at >= R_BANKS && at < R_PRIORITY)
        return at & 0x7f ? 0 : gic3_bank_read(g, &c->word, at - R_BANKS, secure);
    if (at >= R_PRIORITY && at < R_PRIORITY + GIC_INTERNAL) {
        uint32_t v = 0;
        for (unsigned i = 0, irq = at - R_PRIORITY; i < 4; i++)
            v |= (uint32_t)gic3_priority_view(g, &c->word, irq + i, c->priority[irq + i], secure) << 8 * i;
        return v;
    }
    switch (at) {
    case R_CONFIG: case R_CONFIG + 4: return gic3_config_read(g, &c->word, at / 4 & 1, secure);
    case R_MODIFIER: return g->security && secure ? c->word.modifier : 0;
    case R_NSAC: return g->security && secure ? c->nsacr : 0;
    default: return 0;
    }
}

static void sgi_write(Gic3Cpu *c, unsigned at, uint32_t v, uint32_t mask, bool secure)
{
    Gic3 *g = c->gic;
    if (at >= R_BANKS && at < R_PRIORITY) {
        if (!(at & 0x7f))
            gic3_bank_write(g, &c->word, at - R_BANKS, v, mask, secure, UINT32_MAX);
    } else if (at >= R_PRIORITY && at < R_PRIORITY + GIC_INTERNAL) {
        for (unsigned i = 0, irq = at - R_PRIORITY; i < 4; i++) {
            if (mask >> 8 * i & 0xff)
                gic3_priority_set(g, &c->word, irq + i, &c->priority[irq + i], (uint8_t)(v >> 8 * i), secure);
        }
    } else if (at == R_CONFIG + 4) {
        gic3_config_write(g, &c->word, 1, v, mask, secure);
    } else if (at == R_MODIFIER && g->security && secure) {
        c->word.modifier = (c->word.modifier & ~mask) | (v & mask);
    } else if (at == R_NSAC && g->security && secure) {
        c->nsacr = (c->nsacr & ~mask) | (v & mask);
    }
}

static MemResult redist_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Gic3Cpu *c = opaque;
    unsigned at = (unsigned)offset & ~3u;
    g_mutex_lock(&c->gic->lock);
    uint32_t v = at < SGI_FRAME ? rd_read(c, at) : sgi_read(c, at - SGI_FRAME, attrs.secure);
    *value = v >> 8 * (offset & 3) & bits_mask(8 * size);
    g_mutex_unlock(&c->gic->lock);
    return MEM_OK;
}

static MemResult redist_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    Gic3Cpu *c = opaque;
    unsigned at = (unsigned)offset & ~3u, shift = 8 * (offset & 3);
    uint32_t v = (uint32_t)(value << shift), mask = (uint32_t)(bits_mask(8 * size) << shift);
    g_mutex_lock(&c->gic->lock);
    if (at < SGI_FRAME)
        rd_write(c, at, v, mask, attrs.secure);
    else
        sgi_write(c, at - SGI_FRAME, v, mask, attrs.secure);
    gic3_update(c);
    g_mutex_unlock(&c->gic->lock);
    return MEM_OK;
}

const MemOps gic3_redist_ops = { redist_read, redist_write, 1, 4 };
