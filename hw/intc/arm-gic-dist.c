/* SPDX-License-Identifier: MIT */
/* GICv2 distributor registers (IHI 0048B chapter 4.3). */
#include "hw/intc/arm-gic-internal.h"

enum {
    R_CTLR = 0x000,
    R_TYPER = 0x004,
    R_IIDR = 0x008,
    R_GROUP = 0x080,
    R_PRIORITY = 0x400,
    R_TARGETS = 0x800,
    R_CONFIG = 0xc00,
    R_NSAC = 0xe00,
    R_SGI = 0xf00,
    R_CPENDSGI = 0xf10,
    R_SPENDSGI = 0xf20,
    R_ID = 0xfd0
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

/* Interrupts of a word that the access may touch: the Non-secure side sees group 1 only (section 4.3.4 and others). */
static uint32_t visible(const Gic *g, const GicWord *w, MemAttrs attrs)
{
    return gic_secure(g, attrs) ? UINT32_MAX : w->group;
}

static uint32_t bank_read(Gic *g, unsigned bank, unsigned word, MemAttrs attrs)
{
    if (word * 32 >= g->num_irq)
        return 0;
    const GicWord *w = gic_word(g, gic_accessor(g, attrs), word * 32);
    switch (bank) {
    case BANK_GROUP: return g->security && attrs.secure ? w->group : !g->security ? w->group : 0;
    case BANK_SET_ENABLE: case BANK_CLEAR_ENABLE: return w->enabled & visible(g, w, attrs);
    case BANK_SET_PENDING: case BANK_CLEAR_PENDING: return gic_pending(w) & visible(g, w, attrs);
    default: return w->active & visible(g, w, attrs);
    }
}

static void bank_write(Gic *g, unsigned bank, unsigned word, uint32_t value, uint32_t mask, MemAttrs attrs)
{
    if (word * 32 >= g->num_irq)
        return;
    GicWord *w = gic_word(g, gic_accessor(g, attrs), word * 32);
    uint32_t sgis = word ? 0 : 0xffff, v = value & visible(g, w, attrs);
    switch (bank) {
    case BANK_GROUP:
        if (gic_secure(g, attrs))
            w->group = (w->group & ~mask) | value;
        break;
    case BANK_SET_ENABLE: w->enabled |= v; break;
    case BANK_CLEAR_ENABLE: w->enabled &= ~(v & ~sgis); break;
    case BANK_SET_PENDING: w->latch |= v & ~sgis; break;
    case BANK_CLEAR_PENDING: w->latch &= ~(v & ~sgis); break;
    case BANK_SET_ACTIVE: w->active |= v; break;
    case BANK_CLEAR_ACTIVE: w->active &= ~v; break;
    default: break;
    }
}

/* A Non-secure access sees priorities shifted, and only of group 1 (section 3.8.1). */
static uint8_t priority_read(Gic *g, unsigned irq, MemAttrs attrs)
{
    unsigned cpu = gic_accessor(g, attrs);
    uint8_t p = *gic_priority(g, cpu, irq);
    if (gic_secure(g, attrs))
        return p;
    return gic_word(g, cpu, irq)->group >> irq % 32 & 1 ? (uint8_t)(p << 1) : 0;
}

static void priority_write(Gic *g, unsigned irq, uint8_t v, MemAttrs attrs)
{
    unsigned cpu = gic_accessor(g, attrs);
    if (!gic_secure(g, attrs)) {
        if (!(gic_word(g, cpu, irq)->group >> irq % 32 & 1))
            return;
        v = 0x80 | v >> 1;
    }
    *gic_priority(g, cpu, irq) = v & GIC_PRIORITY_MASK;
}

static bool group1_only(const Gic *g, unsigned irq, MemAttrs attrs)
{
    return !gic_secure(g, attrs) && !(g->shared[irq / 32].group >> irq % 32 & 1);
}

static uint8_t target_read(Gic *g, unsigned irq, MemAttrs attrs)
{
    if (g->num_cpu == 1)
        return 0;
    if (irq < GIC_INTERNAL)
        return (uint8_t)BIT(gic_accessor(g, attrs));
    return group1_only(g, irq, attrs) ? 0 : g->target[irq];
}

static void target_write(Gic *g, unsigned irq, uint8_t v, MemAttrs attrs)
{
    if (g->num_cpu > 1 && irq >= GIC_INTERNAL && !group1_only(g, irq, attrs))
        g->target[irq] = v & (uint8_t)(BIT(g->num_cpu) - 1);
}

/* Two bits an interrupt, of which the upper one says "edge"; four interrupts a byte. */
static uint8_t config_read(Gic *g, unsigned first, MemAttrs attrs)
{
    const GicWord *w = gic_word(g, gic_accessor(g, attrs), first);
    uint32_t edge = w->edge & visible(g, w, attrs);
    uint8_t v = 0;
    for (unsigned i = 0; i < 4; i++)
        v |= (uint8_t)((edge >> (first + i) % 32 & 1) << (2 * i + 1));
    return v;
}

static void config_write(Gic *g, unsigned first, uint8_t v, MemAttrs attrs)
{
    GicWord *w = gic_word(g, gic_accessor(g, attrs), first);
    for (unsigned i = 0; i < 4 && first >= 16; i++) {
        uint32_t bit = (uint32_t)BIT((first + i) % 32);
        if (bit & visible(g, w, attrs))
            w->edge = v >> (2 * i + 1) & 1 ? w->edge | bit : w->edge & ~bit;
    }
}

/* ---- software-generated interrupts (section 4.3.15) ---- */

static void sgi_pend(Gic *g, unsigned cpu, unsigned irq, unsigned sources)
{
    g->cpu[cpu].sgi_source[irq] |= (uint8_t)sources;
    g->cpu[cpu].word.latch |= (uint32_t)BIT(irq);
}

static void sgi_write(Gic *g, uint32_t v, MemAttrs attrs)
{
    unsigned from = gic_accessor(g, attrs), irq = v & 15;
    uint32_t all = (uint32_t)BIT(g->num_cpu) - 1;
    static const char *const reserved = "GICD_SGIR: reserved target filter";
    uint32_t targets = 0;
    switch (v >> 24 & 3) {
    case 0: targets = v >> 16 & 0xff & all; break;
    case 1: targets = all & ~(uint32_t)BIT(from); break;
    case 2: targets = (uint32_t)BIT(from); break;
    default: log_guest_error(g->dev.id, "%s", reserved);
    }
    for (unsigned cpu = 0; cpu < g->num_cpu; cpu++) {
        bool group1 = g->cpu[cpu].word.group >> irq & 1;
        /* NSATT: a secure write chooses the group; a Non-secure one reaches group 1 only */
        if (targets >> cpu & 1 && (!g->security || group1 == (attrs.secure ? v >> 15 & 1 : 1)))
            sgi_pend(g, cpu, irq, (unsigned)BIT(from));
    }
}

static uint8_t sgi_pending_read(Gic *g, unsigned irq, MemAttrs attrs)
{
    const GicCpu *c = &g->cpu[gic_accessor(g, attrs)];
    return visible(g, &c->word, attrs) >> irq & 1 ? c->sgi_source[irq] : 0;
}

static void sgi_pending_write(Gic *g, unsigned irq, uint8_t v, bool set, MemAttrs attrs)
{
    GicCpu *c = &g->cpu[gic_accessor(g, attrs)];
    if (!(visible(g, &c->word, attrs) >> irq & 1))
        return;
    c->sgi_source[irq] = set ? c->sgi_source[irq] | v : c->sgi_source[irq] & (uint8_t)~v;
    c->word.latch = c->sgi_source[irq] ? c->word.latch | (uint32_t)BIT(irq) : c->word.latch & ~(uint32_t)BIT(irq);
}

/* ---- dispatch ---- */

static uint32_t ctlr_read(const Gic *g, MemAttrs attrs) { return gic_secure(g, attrs) ? g->ctlr : g->ctlr >> 1 & 1; }

static void ctlr_write(Gic *g, uint32_t v, MemAttrs attrs)
{
    g->ctlr = gic_secure(g, attrs) ? v & 3 : (g->ctlr & 1) | (v & 1) << 1;
}

static uint8_t byte_read(Gic *g, unsigned at, MemAttrs attrs)
{
    static const uint8_t id[] = { 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
    static const uint8_t id2[] = { 0x90, 0xb4, 0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
    if (at >= R_PRIORITY && at < R_TARGETS)
        return at - R_PRIORITY < g->num_irq ? priority_read(g, at - R_PRIORITY, attrs) : 0;
    if (at >= R_TARGETS && at < R_CONFIG)
        return at - R_TARGETS < g->num_irq ? target_read(g, at - R_TARGETS, attrs) : 0;
    if (at >= R_CONFIG && at < R_NSAC)
        return (at - R_CONFIG) * 4 < g->num_irq ? config_read(g, (at - R_CONFIG) * 4, attrs) : 0;
    if (at >= R_CPENDSGI && at < R_SPENDSGI + 16)
        return sgi_pending_read(g, at & 15, attrs);
    if (at >= R_ID && at < R_ID + 0x10)
        return at % 4 ? 0 : id[(at - R_ID) / 4];
    if (at >= R_ID + 0x10)
        return at % 4 || (at - R_ID - 0x10) / 4 >= sizeof(id2) ? 0 : id2[(at - R_ID - 0x10) / 4];
    return 0;
}

static void byte_write(Gic *g, unsigned at, uint8_t v, MemAttrs attrs)
{
    if (at >= R_PRIORITY && at < R_TARGETS && at - R_PRIORITY < g->num_irq)
        priority_write(g, at - R_PRIORITY, v, attrs);
    else if (at >= R_TARGETS && at < R_CONFIG && at - R_TARGETS < g->num_irq)
        target_write(g, at - R_TARGETS, v, attrs);
    else if (at >= R_CONFIG && at < R_NSAC && (at - R_CONFIG) * 4 < g->num_irq)
        config_write(g, (at - R_CONFIG) * 4, v, attrs);
    else if (at >= R_CPENDSGI && at < R_SPENDSGI + 16)
        sgi_pending_write(g, at & 15, v, at >= R_SPENDSGI, attrs);
}

static uint32_t word_read(Gic *g, unsigned at, MemAttrs attrs)
{
    if (at >= R_GROUP && at < R_PRIORITY)
        return bank_read(g, (at - R_GROUP) / 0x80, at % 0x80 / 4, attrs);
    switch (at) {
    case R_CTLR: return ctlr_read(g, attrs);
    case R_TYPER: return (g->num_irq + 31) / 32 - 1 + ((g->num_cpu - 1) << 5) + (g->security ? 1 << 10 : 0);
    case R_IIDR: return 0x0200143b;
    default: return 0;
    }
}

static bool is_word_register(unsigned at) { return at < R_PRIORITY || at == R_SGI; }

static MemResult dist_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Gic *g = opaque;
    unsigned at = (unsigned)offset;
    *value = 0;
    g_mutex_lock(&g->lock);
    if (is_word_register(at)) {
        *value = word_read(g, at & ~3u, attrs) >> 8 * (at & 3) & bits_mask(size * 8);
    } else {
        for (unsigned i = 0; i < size; i++)
            *value |= (uint64_t)byte_read(g, at + i, attrs) << 8 * i;
    }
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

static MemResult dist_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    Gic *g = opaque;
    unsigned at = (unsigned)offset, shift = 8 * (at & 3);
    g_mutex_lock(&g->lock);
    if (at >= R_GROUP && at < R_PRIORITY)
        bank_write(g, (at - R_GROUP) / 0x80, at % 0x80 / 4, (uint32_t)(value << shift),
                   (uint32_t)(bits_mask(size * 8) << shift), attrs);
    else if (at == R_CTLR)
        ctlr_write(g, (uint32_t)value, attrs);
    else if (at == R_SGI && size == 4)
        sgi_write(g, (uint32_t)value, attrs);
    else if (!is_word_register(at)) {
        for (unsigned i = 0; i < size; i++)
            byte_write(g, at + i, (uint8_t)(value >> 8 * i), attrs);
    } else {
        log_guest_error(g->dev.id, "%u-byte write to distributor register 0x%x", size, at);
    }
    gic_update_all(g);
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

const MemOps gic_dist_ops = { dist_read, dist_write, 1, 4 };
