/* SPDX-License-Identifier: MIT */
/*
 * GICv3 distributor (IHI 0069G section 12.9), and the register banks that it shares with the redistributors. Affinity
 * routing is always on.
 */
#include "hw/intc/arm-gicv3-internal.h"

enum {
    R_CTLR = 0x0000,
    R_TYPER = 0x0004,
    R_IIDR = 0x0008,
    R_SETSPI_NS = 0x0040,
    R_CLRSPI_NS = 0x0048,
    R_SETSPI_S = 0x0050,
    R_CLRSPI_S = 0x0058,
    R_BANKS = 0x0080,
    R_PRIORITY = 0x0400,
    R_TARGETS = 0x0800,
    R_CONFIG = 0x0c00,
    R_MODIFIER = 0x0d00,
    R_NSAC = 0x0e00,
    R_ROUTE = 0x6000,
    R_ROUTE_END = 0x8000,
    R_ID = 0xffd0
};
enum {
    BANK_GROUP,
    BANK_SET_ENABLE,
    BANK_CLEAR_ENABLE,
    BANK_SET_PENDING,
    BANK_CLEAR_PENDING,
    BANK_SET_ACTIVE,
    BANK_CLEAR_ACTIVE
};
enum { CTLR_ARE_S = 0x10, CTLR_ARE_NS = 0x20, CTLR_DS = 0x40 };

/* ---- banks ---- */

/* The Non-secure side sees group 1 of its own only. */
static uint32_t visible(const Gic3 *g, const Gic3Word *w, bool secure)
{
    return gic3_secure(g, secure) ? UINT32_MAX : w->group;
}

uint32_t gic3_bank_read(const Gic3 *g, const Gic3Word *w, unsigned at, bool secure)
{
    switch (at / 0x80) {
    case BANK_GROUP: return gic3_secure(g, secure) ? w->group : 0;
    case BANK_SET_ENABLE: case BANK_CLEAR_ENABLE: return w->enabled & visible(g, w, secure);
    case BANK_SET_PENDING: case BANK_CLEAR_PENDING: return gic3_pending(w) & visible(g, w, secure);
    default: return w->active & visible(g, w, secure);
    }
}

void gic3_bank_write(Gic3 *g, Gic3Word *w, unsigned at, uint32_t value, uint32_t mask, bool secure, uint32_t settable)
{
    uint32_t v = value & mask & visible(g, w, secure);
    switch (at / 0x80) {
    case BANK_GROUP:
        if (gic3_secure(g, secure))
            w->group = (w->group & ~mask) | (value & mask);
        break;
    case BANK_SET_ENABLE: w->enabled |= v; break;
    case BANK_CLEAR_ENABLE: w->enabled &= ~v; break;
    case BANK_SET_PENDING: w->latch |= v & settable; break;
    case BANK_CLEAR_PENDING: w->latch &= ~v; break;
    case BANK_SET_ACTIVE: w->active |= v; break;
    case BANK_CLEAR_ACTIVE: w->active &= ~v; break;
    default: break;
    }
}

/* Section 4.8.1: the Non-secure view is shifted by one. */
uint8_t gic3_priority_view(const Gic3 *g, const Gic3Word *w, unsigned bit, uint8_t priority, bool secure)
{
    if (gic3_secure(g, secure))
        return priority;
    return w->group >> bit & 1 ? (uint8_t)(priority << 1) : 0;
}

void gic3_priority_set(const Gic3 *g, const Gic3Word *w, unsigned bit, uint8_t *priority, uint8_t v, bool secure)
{
    if (gic3_secure(g, secure))
        *priority = v & GIC3_PRIORITY_MASK;
    else if (w->group >> bit & 1)
        *priority = (0x80 | v >> 1) & GIC3_PRIORITY_MASK;
}

/* Sixteen interrupts a register, the upper of two bits says "edge". */
uint32_t gic3_config_read(const Gic3 *g, const Gic3Word *w, unsigned half, bool secure)
{
    uint32_t v = 0, edge = w->edge & visible(g, w, secure);
    for (unsigned i = 0; i < 16; i++)
        v |= (edge >> (half * 16 + i) & 1) << (2 * i + 1);
    return v;
}

void gic3_config_write(const Gic3 *g, Gic3Word *w, unsigned half, uint32_t value, uint32_t mask, bool secure)
{
    for (unsigned i = 0; i < 16; i++) {
        uint32_t bit = (uint32_t)BIT(half * 16 + i);
        if (mask >> (2 * i + 1) & 1 && bit & visible(g, w, secure))
            w->edge = value >> (2 * i + 1) & 1 ? w->edge | bit : w->edge & ~bit;
    }
}

/* ---- control ---- */

static uint32_t ctlr_read(const Gic3 *g, bool secure)
{
    uint32_t e = g->enabled;
    if (!g->security)
        return CTLR_DS | CTLR_ARE_S | (e >> GROUP_0 & 1) | (e >> GROUP_1NS & 1) << 1;
    if (!secure)
        return CTLR_ARE_S /* ARE_NS in this view */ | (e >> GROUP_1NS & 1) << 1;
    return CTLR_ARE_S | CTLR_ARE_NS | (e >> GROUP_0 & 1) | (e >> GROUP_1NS & 1) << 1 | (e >> GROUP_1S & 1) << 2;
}

static void ctlr_write(Gic3 *g, uint32_t v, bool secure)
{
    uint32_t all = (v & 1) << GROUP_0 | (v >> 1 & 1) << GROUP_1NS | (g->security ? (v >> 2 & 1) << GROUP_1S : 0);
    if (gic3_secure(g, secure))
        g->enabled = all;
    else
        g->enabled = (g->enabled & ~(1u << GROUP_1NS)) | (v >> 1 & 1) << GROUP_1NS;
}

static uint32_t typer(const Gic3 *g)
{
    return ((g->num_irq + 31) / 32 - 1) | (g->security ? 1u << 10 : 0) | 1u << 16 /* message-based SPIs */ |
           (g->has_lpi ? 1u << 17 : 0) | (GIC3_ID_BITS - 1u) << 19 | 1u << 24 /* A3V */ | 1u << 25 /* No1N */;
}

/* ---- dispatch ---- */

static uint32_t id_read(unsigned at)
{
    static const uint8_t id[] = { 0x44, 0, 0, 0, 0x92, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return (at - R_ID) / 4 < sizeof(id) ? id[(at - R_ID) / 4] : 0;
}

static bool route_allowed(const Gic3 *g, unsigned irq, bool secure)
{
    return irq >= GIC_INTERNAL && irq < g->num_irq && visible(g, &g->shared[irq / 32], secure) >> irq % 32 & 1;
}

static uint32_t reg_read(Gic3 *g, unsigned at, bool secure)
{
    unsigned irq = (at & 0x7f) * 8;
    if (at >= R_ID)
        return id_read(at);
    if (at >= R_ROUTE && at < R_ROUTE_END) {
        irq = (at - R_ROUTE) / 8;
        return route_allowed(g, irq, secure) ? (uint32_t)(g->route[irq] >> 8 * (at & 4)) : 0;
    }
    if (at >= R_BANKS && at < R_PRIORITY)
        return irq >= GIC_INTERNAL && irq < g->num_irq ? gic3_bank_read(g, &g->shared[irq / 32], at - R_BANKS, secure)
                                                       : 0;
    if (at >= R_PRIORITY && at < R_TARGETS) {
        uint32_t v = 0;
        for (unsigned i = 0; i < 4; i++) {
            irq = at - R_PRIORITY + i;
            if (irq >= GIC_INTERNAL && irq < g->num_irq)
                v |= (uint32_t)gic3_priority_view(g, &g->shared[irq / 32], irq % 32, g->priority[irq], secure) << 8 * i;
        }
        return v;
    }
    if (at >= R_CONFIG && at < R_MODIFIER) {
        irq = (at - R_CONFIG) * 4;
        return irq >= GIC_INTERNAL && irq < g->num_irq ? gic3_config_read(g, &g->shared[irq / 32], irq / 16 & 1, secure)
                                                       : 0;
    }
    if (at >= R_MODIFIER && at < R_MODIFIER + 0x80)
        return g->security && secure && irq >= GIC_INTERNAL && irq < g->num_irq ? g->shared[irq / 32].modifier : 0;
    return at == R_CTLR ? ctlr_read(g, secure) : at == R_TYPER ? typer(g) : at == R_IIDR ? 0x0200143b : 0;
}

static void message_spi(Gic3 *g, unsigned at, uint32_t v, bool secure)
{
    unsigned irq = v & 0x3ff;
    bool secure_frame = at >= R_SETSPI_S;
    if ((secure_frame && !gic3_secure(g, secure)) || irq < GIC_INTERNAL || irq >= g->num_irq ||
        !(visible(g, &g->shared[irq / 32], secure_frame) >> irq % 32 & 1))
        return;
    gic3_latch_shared(g, irq, at == R_SETSPI_NS || at == R_SETSPI_S);
}

static void route_write(Gic3 *g, unsigned at, uint32_t v, uint32_t mask, bool secure)
{
    unsigned irq = (at - R_ROUTE) / 8, shift = 8 * (at & 4);
    if (!route_allowed(g, irq, secure))
        return;
    g->route[irq] = (g->route[irq] & ~((uint64_t)mask << shift)) | (uint64_t)(v & mask) << shift;
    g->route[irq] &= UINT64_C(0xff80ffffff);
    gic3_retarget(g, irq);
}

/* One naturally aligned word, of which `mask` is written. */
static void reg_write(Gic3 *g, unsigned at, uint32_t v, uint32_t mask, bool secure)
{
    unsigned irq = (at & 0x7f) * 8;
    if (at == R_CTLR) {
        ctlr_write(g, v, secure);
    } else if (at == R_SETSPI_NS || at == R_CLRSPI_NS || at == R_SETSPI_S || at == R_CLRSPI_S) {
        message_spi(g, at, v, secure);
    } else if (at >= R_ROUTE && at < R_ROUTE_END) {
        route_write(g, at, v, mask, secure);
    } else if (at >= R_BANKS && at < R_PRIORITY) {
        if (irq >= GIC_INTERNAL && irq < g->num_irq)
            gic3_bank_write(g, &g->shared[irq / 32], at - R_BANKS, v, mask, secure, UINT32_MAX);
    } else if (at >= R_PRIORITY && at < R_TARGETS) {
        for (unsigned i = 0; i < 4; i++) {
            irq = at - R_PRIORITY + i;
            if (mask >> 8 * i & 0xff && irq >= GIC_INTERNAL && irq < g->num_irq)
                gic3_priority_set(g, &g->shared[irq / 32], irq % 32, &g->priority[irq], (uint8_t)(v >> 8 * i), secure);
        }
    } else if (at >= R_CONFIG && at < R_MODIFIER) {
        irq = (at - R_CONFIG) * 4;
        if (irq >= GIC_INTERNAL && irq < g->num_irq)
            gic3_config_write(g, &g->shared[irq / 32], irq / 16 & 1, v, mask, secure);
    } else if (at >= R_MODIFIER && at < R_MODIFIER + 0x80 && g->security && secure && irq >= GIC_INTERNAL &&
               irq < g->num_irq) {
        g->shared[irq / 32].modifier = (g->shared[irq / 32].modifier & ~mask) | (v & mask);
    } else if (at < R_TARGETS || at >= R_ID) {
        log_guest_error(g->dev.id, "write to distributor register 0x%x", at);
    }
}

static MemResult dist_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Gic3 *g = opaque;
    g_mutex_lock(&g->lock);
    *value = reg_read(g, (unsigned)at & ~3u, attrs.secure) >> 8 * (at & 3) & bits_mask(8 * size);
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

static MemResult dist_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Gic3 *g = opaque;
    unsigned shift = 8 * (at & 3);
    g_mutex_lock(&g->lock);
    reg_write(g, (unsigned)at & ~3u, (uint32_t)(value << shift), (uint32_t)(bits_mask(8 * size) << shift),
              attrs.secure);
    gic3_update_all(g);
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

const MemOps gic3_dist_ops = { dist_read, dist_write, 1, 4 };
