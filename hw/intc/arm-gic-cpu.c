/* SPDX-License-Identifier: MIT */
/* GICv2 CPU interface (IHI 0048B chapter 4.4): acknowledge, priority drop, deactivation, preemption. */
#include "hw/intc/arm-gic-internal.h"

enum {
    R_CTLR = 0x00,
    R_PMR = 0x04,
    R_BPR = 0x08,
    R_IAR = 0x0c,
    R_EOIR = 0x10,
    R_RPR = 0x14,
    R_HPPIR = 0x18,
    R_ABPR = 0x1c,
    R_AIAR = 0x20,
    R_AEOIR = 0x24,
    R_AHPPIR = 0x28,
    R_APR = 0xd0,
    R_NSAPR = 0xe0,
    R_IIDR = 0xfc,
    R_DIR = 0x1000
};

/* ---- priorities ---- */

/* Group 1 uses ABPR less one, unless CBPR joins it to BPR (section 3.3.3). */
static unsigned binary_point(const GicCpu *c, unsigned group)
{
    return group && !(c->ctlr & GICC_CBPR) ? c->abpr - 1 : c->bpr;
}

static unsigned group_priority(const GicCpu *c, unsigned group, unsigned priority)
{
    return priority & (0xffu << (binary_point(c, group) + 1)) & 0xff;
}

/* APR has a bit for each of the 32 levels; the lowest set bit is the running priority. */
static unsigned running_priority(const GicCpu *c)
{
    uint32_t active = c->apr | c->nsapr;
    return active ? (unsigned)__builtin_ctz(active) << 3 : 0x100;
}

bool gic_preempts(Gic *g, unsigned cpu, unsigned irq, unsigned priority)
{
    const GicCpu *c = &g->cpu[cpu];
    unsigned group = gic_word(g, cpu, irq)->group >> irq % 32 & 1;
    return priority < c->pmr && group_priority(c, group, priority) < running_priority(c);
}

/* ---- acknowledge and end ---- */

static unsigned acknowledge(Gic *g, unsigned cpu, unsigned irq, unsigned priority)
{
    GicCpu *c = &g->cpu[cpu];
    GicWord *w = gic_word(g, cpu, irq);
    uint32_t bit = (uint32_t)BIT(irq % 32), result = irq;
    unsigned group = w->group >> irq % 32 & 1, level = group_priority(c, group, priority) >> 3;
    w->active |= bit;
    if (irq < 16) { /* one source at a time */
        unsigned source = c->sgi_source[irq] ? (unsigned)__builtin_ctz(c->sgi_source[irq]) : 0;
        c->sgi_source[irq] &= (uint8_t)~BIT(source);
        if (!c->sgi_source[irq])
            w->latch &= ~bit;
        result |= source << 10;
    } else {
        w->latch &= ~bit;
    }
    *(group ? &c->nsapr : &c->apr) |= (uint32_t)BIT(level);
    gic_update(g, cpu);
    return result;
}

/*
 * What a read of IAR or HPPIR may see (section 3.2.? of tables 3-8): secure reads of the primary register see group 0,
 * and group 1 with AckCtl; the aliased register and Non-secure reads see group 1.
 */
static unsigned visible_irq(Gic *g, unsigned cpu, bool secure, bool alias, unsigned *priority)
{
    unsigned irq = gic_highest(g, cpu, priority);
    if (irq == GIC_SPURIOUS)
        return irq;
    bool group1 = gic_word(g, cpu, irq)->group >> irq % 32 & 1;
    if (alias || !secure)
        return group1 ? irq : GIC_SPURIOUS;
    return group1 && !(g->cpu[cpu].ctlr & GICC_ACK_CTL) ? GIC_GROUP1_SPURIOUS : irq;
}

static uint32_t iar_read(Gic *g, unsigned cpu, bool secure, bool alias)
{
    unsigned priority, irq = visible_irq(g, cpu, secure, alias, &priority);
    if (irq >= GIC_IRQS || !gic_preempts(g, cpu, irq, priority))
        return irq == GIC_GROUP1_SPURIOUS ? irq : GIC_SPURIOUS;
    return acknowledge(g, cpu, irq, priority);
}

static uint32_t hppir_read(Gic *g, unsigned cpu, bool secure, bool alias)
{
    unsigned priority, irq = visible_irq(g, cpu, secure, alias, &priority);
    if (irq < 16 && g->cpu[cpu].sgi_source[irq])
        irq |= (unsigned)__builtin_ctz(g->cpu[cpu].sgi_source[irq]) << 10;
    return irq;
}

void gic_deactivate(Gic *g, unsigned cpu, unsigned irq)
{
    gic_word(g, cpu, irq)->active &= ~(uint32_t)BIT(irq % 32);
    gic_update_all(g);
}

static void drop_priority(GicCpu *c)
{
    uint32_t *apr = c->apr && (!c->nsapr || (c->apr & -c->apr) <= (c->nsapr & -c->nsapr)) ? &c->apr : &c->nsapr;
    *apr &= *apr - 1;
}

static bool eoi_mode(const GicCpu *c, bool secure)
{
    return c->ctlr & (secure ? GICC_EOIMODE : GICC_EOIMODE_NS);
}

static void eoir_write(Gic *g, unsigned cpu, uint32_t value, bool secure, bool alias)
{
    GicCpu *c = &g->cpu[cpu];
    unsigned irq = value & 0x3ff;
    if (irq >= g->num_irq)
        return; /* the spurious ids */
    bool group1 = gic_word(g, cpu, irq)->group >> irq % 32 & 1;
    if (g->security && !group1 && (!secure || alias)) {
        log_guest_error(g->dev.id, "end of secure interrupt %u from the Non-secure side", irq);
        return;
    }
    drop_priority(c);
    if (!eoi_mode(c, secure))
        gic_deactivate(g, cpu, irq);
    else
        gic_update(g, cpu);
}

static void dir_write(Gic *g, unsigned cpu, uint32_t value, bool secure)
{
    unsigned irq = value & 0x3ff;
    if (irq < g->num_irq && eoi_mode(&g->cpu[cpu], secure) &&
        (secure || gic_word(g, cpu, irq)->group >> irq % 32 & 1))
        gic_deactivate(g, cpu, irq);
}

/* ---- registers with two views ---- */

enum { CTLR_SECURE = 0x7ff, CTLR_NS_BYPASS = 0x180 /* FIQBypDisGrp1, IRQBypDisGrp1 */ };

static uint32_t ctlr_read(const GicCpu *c, bool secure)
{
    if (secure)
        return c->ctlr;
    return (c->ctlr >> 1 & 1) | (c->ctlr & CTLR_NS_BYPASS) >> 2 | (c->ctlr & GICC_EOIMODE_NS) >> 1;
}

static void ctlr_write(GicCpu *c, uint32_t v, bool secure)
{
    if (secure)
        c->ctlr = v & CTLR_SECURE;
    else
        c->ctlr = (c->ctlr & ~(GICC_EN1 | CTLR_NS_BYPASS | GICC_EOIMODE_NS)) | (v & 1) << 1 |
                  (v << 2 & CTLR_NS_BYPASS) | (v << 1 & GICC_EOIMODE_NS);
}

/* The Non-secure side sees the lower half of the priorities, shifted (section 3.8.4). */
static uint32_t nonsecure_view(uint32_t priority) { return priority & 0x80 ? priority << 1 & 0xff : 0; }

static void pmr_write(GicCpu *c, uint32_t v, bool secure)
{
    if (secure)
        c->pmr = v & GIC_PRIORITY_MASK;
    else if (c->pmr & 0x80)
        c->pmr = 0x80 | (v >> 1 & GIC_PRIORITY_MASK);
}

static uint32_t rpr_read(const GicCpu *c, bool secure)
{
    unsigned p = running_priority(c);
    return p > 0xff ? 0xff : secure ? p : nonsecure_view(p);
}

static uint32_t *bpr_of(GicCpu *c, bool secure, bool alias) { return secure && !alias ? &c->bpr : &c->abpr; }

static uint32_t bpr_read(GicCpu *c, bool secure, bool alias)
{
    if (!secure && c->ctlr & GICC_CBPR)
        return MIN(c->bpr + 1, 7);
    return *bpr_of(c, secure, alias);
}

static void bpr_write(GicCpu *c, uint32_t v, bool secure, bool alias)
{
    uint32_t *p = bpr_of(c, secure, alias);
    if (secure || !(c->ctlr & GICC_CBPR))
        *p = MAX(v & 7, p == &c->bpr ? GIC_MIN_BPR : GIC_MIN_BPR + 1u);
}

/* ---- dispatch ---- */

static uint32_t cpu_reg_read(Gic *g, unsigned cpu, unsigned at, bool secure)
{
    GicCpu *c = &g->cpu[cpu];
    switch (at) {
    case R_CTLR: return ctlr_read(c, secure);
    case R_PMR: return secure ? c->pmr : nonsecure_view(c->pmr);
    case R_BPR: return bpr_read(c, secure, false);
    case R_IAR: return iar_read(g, cpu, secure, false);
    case R_RPR: return rpr_read(c, secure);
    case R_HPPIR: return hppir_read(g, cpu, secure, false);
    case R_ABPR: return secure ? bpr_read(c, secure, true) : 0;
    case R_AIAR: return secure ? iar_read(g, cpu, secure, true) : 0;
    case R_AHPPIR: return secure ? hppir_read(g, cpu, secure, true) : 0;
    case R_APR: return secure ? c->apr : c->nsapr >> 16;
    case R_NSAPR: return secure ? c->nsapr : 0;
    case R_IIDR: return 0x0002043b;
    default: return 0;
    }
}

static void cpu_reg_write(Gic *g, unsigned cpu, unsigned at, uint32_t v, bool secure)
{
    GicCpu *c = &g->cpu[cpu];
    switch (at) {
    case R_CTLR: ctlr_write(c, v, secure); break;
    case R_PMR: pmr_write(c, v, secure); break;
    case R_BPR: bpr_write(c, v, secure, false); break;
    case R_EOIR: eoir_write(g, cpu, v, secure, false); return;
    case R_ABPR: if (secure) bpr_write(c, v, secure, true); break;
    case R_AEOIR: if (secure) eoir_write(g, cpu, v, secure, true); return;
    case R_APR: if (secure) c->apr = v; else c->nsapr = (c->nsapr & 0xffff) | v << 16; break;
    case R_NSAPR: if (secure) c->nsapr = v; break;
    case R_DIR: dir_write(g, cpu, v, secure); return;
    default: log_guest_error(g->dev.id, "write to CPU interface register 0x%x", at); return;
    }
    gic_update(g, cpu);
}

static MemResult cpu_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Gic *g = opaque;
    g_mutex_lock(&g->lock);
    *value = cpu_reg_read(g, gic_accessor(g, attrs), (unsigned)at, gic_secure(g, attrs));
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

static MemResult cpu_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Gic *g = opaque;
    g_mutex_lock(&g->lock);
    cpu_reg_write(g, gic_accessor(g, attrs), (unsigned)at, (uint32_t)value, gic_secure(g, attrs));
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

const MemOps gic_cpu_ops = { cpu_read, cpu_write, 4, 4 };
