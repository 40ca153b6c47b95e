/* SPDX-License-Identifier: MIT */
/*
 * A GICv2 that the accelerator runs: its registers to and from the model's state (irqchip-host.h; kernel documentation:
 * virt/kvm/devices/arm-vgic.rst). It has one enable for both groups and does not tell the level of its inputs.
 */
#include "hw/core/irqchip-host.h"
#include "hw/intc/arm-gic-internal.h"

enum {
    R_CTLR = 0x000,
    R_IIDR = 0x008,
    R_GROUP = 0x080,
    R_SET_ENABLE = 0x100,
    R_CLEAR_ENABLE = 0x180,
    R_SET_PENDING = 0x200,
    R_CLEAR_PENDING = 0x280,
    R_SET_ACTIVE = 0x300,
    R_CLEAR_ACTIVE = 0x380,
    R_PRIORITY = 0x400,
    R_TARGETS = 0x800,
    R_CONFIG = 0xc00,
    R_CLEAR_SGI = 0xf10,
    R_SET_SGI = 0xf20
};
enum { C_CTLR = 0x00, C_PMR = 0x04, C_BPR = 0x08, C_ABPR = 0x1c, C_APR = 0xd0, PMR_SHIFT = 3 };

uint64_t gic_host_reg(IrqchipGicPart part, unsigned cpu, unsigned at)
{
    uint64_t v = 0;
    irqchip_host_gic()->gic_reg(part, cpu, at, false, &v);
    return v;
}

void gic_host_set_reg(IrqchipGicPart part, unsigned cpu, unsigned at, uint64_t value)
{
    irqchip_host_gic()->gic_reg(part, cpu, at, true, &value);
}

static uint32_t reg(IrqchipGicPart part, unsigned cpu, unsigned at) { return (uint32_t)gic_host_reg(part, cpu, at); }

/* Four bytes a register. */
static void get_bytes(unsigned cpu, unsigned at, uint8_t *out, unsigned count)
{
    for (unsigned i = 0; i < count; i += 4)
        store_le32(out + i, reg(IRQCHIP_GIC_DIST, cpu, at + i));
}

static void put_bytes(unsigned cpu, unsigned at, const uint8_t *in, unsigned count)
{
    for (unsigned i = 0; i < count; i += 4)
        gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, at + i, load_le32(in + i));
}

uint32_t gic_edges(uint32_t low, uint32_t high)
{
    uint32_t edge = 0;
    for (unsigned i = 0; i < 32; i++)
        edge |= ((i < 16 ? low : high) >> (2 * (i % 16) + 1) & 1) << i;
    return edge;
}

uint32_t gic_config_of(uint32_t edge, unsigned half)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 16; i++)
        v |= (edge >> (16 * half + i) & 1) << (2 * i + 1);
    return v;
}

/* ---- to the model ---- */

static void fetch_word(GicWord *w, unsigned cpu, unsigned word)
{
    w->group = reg(IRQCHIP_GIC_DIST, cpu, R_GROUP + 4 * word);
    w->enabled = reg(IRQCHIP_GIC_DIST, cpu, R_SET_ENABLE + 4 * word);
    w->active = reg(IRQCHIP_GIC_DIST, cpu, R_SET_ACTIVE + 4 * word);
    w->edge = gic_edges(reg(IRQCHIP_GIC_DIST, cpu, R_CONFIG + 8 * word),
                        reg(IRQCHIP_GIC_DIST, cpu, R_CONFIG + 8 * word + 4));
    uint32_t pending = reg(IRQCHIP_GIC_DIST, cpu, R_SET_PENDING + 4 * word);
    if (!word) /* whoever drives the private ones in there: a level, which its owner drives anew */
        w->level = pending & ~w->edge & 0xffff0000;
    w->latch = pending & ~(w->level & ~w->edge);
}

static void fetch_cpu(Gic *g, unsigned n)
{
    GicCpu *c = &g->cpu[n];
    fetch_word(&c->word, n, 0);
    c->word.edge |= 0xffff;
    get_bytes(n, R_PRIORITY, c->priority, GIC_INTERNAL);
    get_bytes(n, R_SET_SGI, c->sgi_source, sizeof(c->sgi_source));
    c->ctlr = reg(IRQCHIP_GIC_CPU, n, C_CTLR);
    c->pmr = reg(IRQCHIP_GIC_CPU, n, C_PMR) << PMR_SHIFT & 0xff;
    c->bpr = CLAMP(reg(IRQCHIP_GIC_CPU, n, C_BPR) & 7, GIC_MIN_BPR, 7);
    c->abpr = CLAMP(reg(IRQCHIP_GIC_CPU, n, C_ABPR) & 7, GIC_MIN_BPR + 1, 7);
    /* one word for both groups: a level belongs to group 1 where that group's interrupts have been used */
    uint32_t active = reg(IRQCHIP_GIC_CPU, n, C_APR);
    c->nsapr = c->ctlr & GICC_EN0 ? 0 : active;
    c->apr = active & ~c->nsapr;
}

void gic_host_fetch(Gic *g)
{
    if (!irqchip_host_gic())
        return;
    uint32_t group1 = 0;
    for (unsigned i = 1; i * 32 < g->num_irq; i++) {
        fetch_word(&g->shared[i], 0, i);
        group1 |= g->shared[i].group;
    }
    for (unsigned i = GIC_INTERNAL; i < g->num_irq; i += 4) {
        get_bytes(0, R_PRIORITY + i, &g->priority[i], MIN(4, g->num_irq - i));
        get_bytes(0, R_TARGETS + i, &g->target[i], MIN(4, g->num_irq - i));
    }
    for (unsigned i = 0; i < g->num_cpu; i++) {
        fetch_cpu(g, i);
        group1 |= g->cpu[i].word.group;
    }
    g->ctlr = !(reg(IRQCHIP_GIC_DIST, 0, R_CTLR) & 1) ? 0 : group1 ? 3 : 1;
    if (g->num_cpu == 1)
        memset(g->target, 1, sizeof(g->target));
}

/* ---- from the model ---- */

static void put_word(const GicWord *w, unsigned cpu, unsigned word)
{
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_CLEAR_ENABLE + 4 * word, UINT32_MAX);
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_GROUP + 4 * word, w->group);
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_CONFIG + 8 * word, gic_config_of(w->edge, 0));
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_CONFIG + 8 * word + 4, gic_config_of(w->edge, 1));
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_SET_ENABLE + 4 * word, w->enabled);
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_CLEAR_PENDING + 4 * word, UINT32_MAX);
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_SET_PENDING + 4 * word, word ? w->latch : w->latch & 0xffff0000);
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_CLEAR_ACTIVE + 4 * word, UINT32_MAX);
    gic_host_set_reg(IRQCHIP_GIC_DIST, cpu, R_SET_ACTIVE + 4 * word, w->active);
    for (unsigned i = 0; i < 32 && word; i++)
        irqchip_host_gic()->gic_line(32 * word + i, 0, w->level >> i & 1);
}

static void put_cpu(const Gic *g, unsigned n)
{
    static const uint8_t all[16] = { [0 ... 15] = 0xff };
    const GicCpu *c = &g->cpu[n];
    put_word(&c->word, n, 0);
    put_bytes(n, R_PRIORITY, c->priority, GIC_INTERNAL);
    put_bytes(n, R_CLEAR_SGI, all, sizeof(all));
    put_bytes(n, R_SET_SGI, c->sgi_source, sizeof(c->sgi_source));
    gic_host_set_reg(IRQCHIP_GIC_CPU, n, C_CTLR, c->ctlr);
    gic_host_set_reg(IRQCHIP_GIC_CPU, n, C_PMR, c->pmr >> PMR_SHIFT);
    gic_host_set_reg(IRQCHIP_GIC_CPU, n, C_BPR, c->bpr);
    gic_host_set_reg(IRQCHIP_GIC_CPU, n, C_ABPR, c->abpr);
    gic_host_set_reg(IRQCHIP_GIC_CPU, n, C_APR, c->apr | c->nsapr);
}

void gic_host_put(const Gic *g)
{
    if (!irqchip_host_gic())
        return;
    gic_host_set_reg(IRQCHIP_GIC_DIST, 0, R_CTLR, 0);
    gic_host_set_reg(IRQCHIP_GIC_DIST, 0, R_IIDR, reg(IRQCHIP_GIC_DIST, 0, R_IIDR)); /* with it groups can be written */
    for (unsigned i = 1; i * 32 < g->num_irq; i++)
        put_word(&g->shared[i], 0, i);
    for (unsigned i = GIC_INTERNAL; i < g->num_irq; i += 4) {
        put_bytes(0, R_PRIORITY + i, &g->priority[i], MIN(4, g->num_irq - i));
        put_bytes(0, R_TARGETS + i, &g->target[i], MIN(4, g->num_irq - i));
    }
    for (unsigned i = 0; i < g->num_cpu; i++)
        put_cpu(g, i);
    gic_host_set_reg(IRQCHIP_GIC_DIST, 0, R_CTLR, g->ctlr != 0);
}

bool arm_gic_place(Device *gic, hwaddr dist, hwaddr cpu, Error **errp)
{
    const Gic *g = (Gic *)gic;
    const IrqchipHost *h = irqchip_host_gic();
    return !h || h->gic_new(2, g->num_irq, &(IrqchipGicMap){ .dist = dist, .cpu = cpu }, errp);
}
