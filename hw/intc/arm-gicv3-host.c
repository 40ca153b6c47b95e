/* SPDX-License-Identifier: MIT */
/*
 * A GICv3 that the accelerator runs: its registers to and from the model's state (irqchip-host.h; kernel documentation:
 * virt/kvm/devices/arm-vgic-v3.rst). It has one Security state and one enable for both groups.
 */
#include "hw/core/irqchip-host.h"
#include "hw/intc/arm-gic-internal.h"
#include "hw/intc/arm-gicv3-internal.h"

enum {
    D_CTLR = 0x0000,
    D_IIDR = 0x0008,
    R_GROUP = 0x080,
    R_SET_ENABLE = 0x100,
    R_CLEAR_ENABLE = 0x180,
    R_SET_PENDING = 0x200,
    R_SET_ACTIVE = 0x300,
    R_CLEAR_ACTIVE = 0x380,
    R_PRIORITY = 0x400,
    R_CONFIG = 0xc00,
    D_ROUTE = 0x6000,
    RD_CTLR = 0x0000,
    RD_WAKER = 0x0014,
    RD_PROPBASE = 0x0070,
    RD_PENDBASE = 0x0078,
    SGI_FRAME = 0x10000
};
enum { CTLR_GROUP1 = 2, CTLR_LPIS = 1, PRIORITY_BITS = 5 };
#define PENDBASE_PTZ BIT(62)

static uint64_t get_pair(IrqchipGicPart part, unsigned cpu, unsigned at)
{
    return (uint32_t)gic_host_reg(part, cpu, at) | gic_host_reg(part, cpu, at + 4) << 32;
}

static void put_pair(IrqchipGicPart part, unsigned cpu, unsigned at, uint64_t v)
{
    gic_host_set_reg(part, cpu, at, (uint32_t)v);
    gic_host_set_reg(part, cpu, at + 4, v >> 32);
}

/* ---- 32 interrupts; `at`: of the frame that has the registers of interrupt 0 ---- */

static void fetch_word(Gic3Word *w, IrqchipGicPart part, unsigned cpu, unsigned at, unsigned word)
{
    w->group = (uint32_t)gic_host_reg(part, cpu, at + R_GROUP + 4 * word);
    w->enabled = (uint32_t)gic_host_reg(part, cpu, at + R_SET_ENABLE + 4 * word);
    w->latch = (uint32_t)gic_host_reg(part, cpu, at + R_SET_PENDING + 4 * word);
    w->active = (uint32_t)gic_host_reg(part, cpu, at + R_SET_ACTIVE + 4 * word);
    w->edge = gic_edges((uint32_t)gic_host_reg(part, cpu, at + R_CONFIG + 8 * word),
                        (uint32_t)gic_host_reg(part, cpu, at + R_CONFIG + 8 * word + 4));
    w->level = (uint32_t)gic_host_reg(IRQCHIP_GIC_LEVEL, cpu, 32 * word);
    w->modifier = 0;
}

static void put_word(const Gic3Word *w, IrqchipGicPart part, unsigned cpu, unsigned at, unsigned word)
{
    gic_host_set_reg(part, cpu, at + R_CLEAR_ENABLE + 4 * word, UINT32_MAX);
    gic_host_set_reg(part, cpu, at + R_GROUP + 4 * word, w->group);
    gic_host_set_reg(part, cpu, at + R_CONFIG + 8 * word, gic_config_of(w->edge, 0));
    gic_host_set_reg(part, cpu, at + R_CONFIG + 8 * word + 4, gic_config_of(w->edge, 1));
    gic_host_set_reg(IRQCHIP_GIC_LEVEL, cpu, 32 * word, w->level);
    gic_host_set_reg(part, cpu, at + R_SET_PENDING + 4 * word, w->latch); /* what is 0 is cleared, too */
    gic_host_set_reg(part, cpu, at + R_CLEAR_ACTIVE + 4 * word, UINT32_MAX);
    gic_host_set_reg(part, cpu, at + R_SET_ACTIVE + 4 * word, w->active);
    gic_host_set_reg(part, cpu, at + R_SET_ENABLE + 4 * word, w->enabled);
}

/* ---- CPU interface ---- */

/* Active priorities have a bit for each level that the host's CPU has; ours are 32. */
static unsigned levels_of(unsigned cpu)
{
    unsigned bits = (unsigned)(gic_host_reg(IRQCHIP_GIC_SYSREG, cpu, ICC_CTLR) >> 8 & 7) + 1;
    return CLAMP(bits, PRIORITY_BITS, 7);
}

static uint32_t get_active(unsigned cpu, uint32_t key)
{
    unsigned bits = levels_of(cpu);
    uint32_t out = 0;
    for (unsigned n = 0; n < 1u << (bits - PRIORITY_BITS); n++) {
        uint32_t v = (uint32_t)gic_host_reg(IRQCHIP_GIC_SYSREG, cpu, key + n);
        for (unsigned i = 0; i < 32; i++)
            out |= (v >> i & 1) << ((32 * n + i) >> (bits - PRIORITY_BITS));
    }
    return out;
}

static void put_active(unsigned cpu, uint32_t key, uint32_t active)
{
    unsigned bits = levels_of(cpu), words = 1u << (bits - PRIORITY_BITS);
    uint32_t v[4] = { 0 };
    for (unsigned i = 0; i < 32; i++) {
        unsigned level = i << (bits - PRIORITY_BITS);
        v[level / 32] |= (active >> i & 1) << level % 32;
    }
    for (unsigned n = 0; n < words; n++)
        gic_host_set_reg(IRQCHIP_GIC_SYSREG, cpu, key + n, v[n]);
}

static void fetch_interface(Gic3Cpu *c)
{
    unsigned n = c->index;
    c->pmr = gic_host_reg(IRQCHIP_GIC_SYSREG, n, ICC_PMR) & GIC3_PRIORITY_MASK;
    c->bpr[GROUP_0] = MAX(gic_host_reg(IRQCHIP_GIC_SYSREG, n, ICC_BPR0) & 7, GIC3_MIN_BPR);
    c->bpr[GROUP_1NS] = MAX(gic_host_reg(IRQCHIP_GIC_SYSREG, n, ICC_BPR1) & 7, GIC3_MIN_BPR + 1);
    c->enabled[GROUP_0] = gic_host_reg(IRQCHIP_GIC_SYSREG, n, ICC_IGRPEN0) & 1;
    c->enabled[GROUP_1NS] = gic_host_reg(IRQCHIP_GIC_SYSREG, n, ICC_IGRPEN1) & 1;
    c->cpu_ctlr[1] = gic_host_reg(IRQCHIP_GIC_SYSREG, n, ICC_CTLR) & (ICC_CTLR_CBPR | ICC_CTLR_EOIMODE);
    c->apr[GROUP_0] = get_active(n, ICC_AP0R0);
    c->apr[GROUP_1NS] = get_active(n, ICC_AP1R0);
}

static void put_interface(const Gic3Cpu *c)
{
    unsigned n = c->index;
    uint64_t fixed = gic_host_reg(IRQCHIP_GIC_SYSREG, n, ICC_CTLR) & ~(uint64_t)(ICC_CTLR_CBPR | ICC_CTLR_EOIMODE);
    gic_host_set_reg(IRQCHIP_GIC_SYSREG, n, ICC_CTLR, fixed | (c->cpu_ctlr[1] & (ICC_CTLR_CBPR | ICC_CTLR_EOIMODE)));
    gic_host_set_reg(IRQCHIP_GIC_SYSREG, n, ICC_PMR, c->pmr);
    gic_host_set_reg(IRQCHIP_GIC_SYSREG, n, ICC_BPR0, c->bpr[GROUP_0]);
    gic_host_set_reg(IRQCHIP_GIC_SYSREG, n, ICC_BPR1, c->bpr[GROUP_1NS]);
    gic_host_set_reg(IRQCHIP_GIC_SYSREG, n, ICC_IGRPEN0, c->enabled[GROUP_0]);
    gic_host_set_reg(IRQCHIP_GIC_SYSREG, n, ICC_IGRPEN1, c->enabled[GROUP_1NS]);
    put_active(n, ICC_AP0R0, c->apr[GROUP_0]);
    put_active(n, ICC_AP1R0, c->apr[GROUP_1NS]);
}

/* ---- redistributors ---- */

static void fetch_redist(Gic3Cpu *c)
{
    unsigned n = c->index;
    fetch_word(&c->word, IRQCHIP_GIC_REDIST, n, SGI_FRAME, 0);
    c->word.edge |= 0xffff;
    for (unsigned i = 0; i < GIC_INTERNAL; i += 4)
        store_le32(c->priority + i, (uint32_t)gic_host_reg(IRQCHIP_GIC_REDIST, n, SGI_FRAME + R_PRIORITY + i));
    c->waker = (uint32_t)gic_host_reg(IRQCHIP_GIC_REDIST, n, RD_WAKER) & 6;
    c->propbaser = get_pair(IRQCHIP_GIC_REDIST, n, RD_PROPBASE);
    c->pendbaser = get_pair(IRQCHIP_GIC_REDIST, n, RD_PENDBASE) & ~PENDBASE_PTZ;
    c->ctlr = (uint32_t)gic_host_reg(IRQCHIP_GIC_REDIST, n, RD_CTLR) & CTLR_LPIS;
    if (c->ctlr)
        gic3_lpi_enable(c, true); /* the order before has put them into RAM */
}

/* Pending LPIs go by the table in RAM, which is read when they are enabled. */
static void put_redist(Gic3Cpu *c)
{
    unsigned n = c->index;
    gic_host_set_reg(IRQCHIP_GIC_REDIST, n, RD_CTLR, 0);
    put_pair(IRQCHIP_GIC_REDIST, n, RD_PROPBASE, c->propbaser);
    put_pair(IRQCHIP_GIC_REDIST, n, RD_PENDBASE, c->pendbaser);
    if (c->ctlr & CTLR_LPIS) {
        gic3_lpi_enable(c, false);
        gic_host_set_reg(IRQCHIP_GIC_REDIST, n, RD_CTLR, CTLR_LPIS);
    }
    gic_host_set_reg(IRQCHIP_GIC_REDIST, n, RD_WAKER, c->waker);
    put_word(&c->word, IRQCHIP_GIC_REDIST, n, SGI_FRAME, 0);
    for (unsigned i = 0; i < GIC_INTERNAL; i += 4)
        gic_host_set_reg(IRQCHIP_GIC_REDIST, n, SGI_FRAME + R_PRIORITY + i, load_le32(c->priority + i));
}

/* ---- all of it ---- */

static bool uses_group0(const Gic3Word *w) { return w->enabled & ~w->group; }

void gic3_host_fetch(Gic3 *g)
{
    if (!irqchip_host_gic())
        return;
    bool group0 = false;
    if (g->has_lpi)
        irqchip_host_gic()->gic_order(IRQCHIP_LPIS_TO_RAM);
    for (unsigned i = 1; i * 32 < g->num_irq; i++) {
        fetch_word(&g->shared[i], IRQCHIP_GIC_DIST, 0, 0, i);
        group0 |= uses_group0(&g->shared[i]);
    }
    for (unsigned i = GIC_INTERNAL; i < g->num_irq; i += 4)
        store_le32(&g->priority[i], (uint32_t)gic_host_reg(IRQCHIP_GIC_DIST, 0, R_PRIORITY + i));
    for (unsigned i = GIC_INTERNAL; i < g->num_irq; i++) {
        g->route[i] = get_pair(IRQCHIP_GIC_DIST, 0, D_ROUTE + 8 * i);
        gic3_retarget(g, i);
    }
    for (unsigned i = 0; i < g->num_cpu; i++) {
        fetch_redist(&g->cpu[i]);
        fetch_interface(&g->cpu[i]);
        group0 |= uses_group0(&g->cpu[i].word);
    }
    g->enabled = !(gic_host_reg(IRQCHIP_GIC_DIST, 0, D_CTLR) & CTLR_GROUP1)
                     ? 0
                     : 1u << GROUP_1NS | (group0 ? 1u << GROUP_0 : 0);
}

void gic3_host_put(Gic3 *g)
{
    if (!irqchip_host_gic())
        return;
    gic_host_set_reg(IRQCHIP_GIC_DIST, 0, D_CTLR, 0);
    gic_host_set_reg(IRQCHIP_GIC_DIST, 0, D_IIDR, gic_host_reg(IRQCHIP_GIC_DIST, 0, D_IIDR));
    for (unsigned i = 0; i < g->num_cpu; i++)
        put_redist(&g->cpu[i]);
    for (unsigned i = 1; i * 32 < g->num_irq; i++)
        put_word(&g->shared[i], IRQCHIP_GIC_DIST, 0, 0, i);
    for (unsigned i = GIC_INTERNAL; i < g->num_irq; i += 4)
        gic_host_set_reg(IRQCHIP_GIC_DIST, 0, R_PRIORITY + i, load_le32(&g->priority[i]));
    for (unsigned i = GIC_INTERNAL; i < g->num_irq; i++)
        put_pair(IRQCHIP_GIC_DIST, 0, D_ROUTE + 8 * i, g->route[i]);
    gic_host_set_reg(IRQCHIP_GIC_DIST, 0, D_CTLR, g->enabled ? CTLR_GROUP1 : 0);
    for (unsigned i = 0; i < g->num_cpu; i++)
        put_interface(&g->cpu[i]);
}

bool arm_gicv3_place(Device *gic, hwaddr dist, hwaddr low, unsigned low_count, hwaddr high, Error **errp)
{
    const Gic3 *g = (Gic3 *)gic;
    const IrqchipHost *h = irqchip_host_gic();
    IrqchipGicMap map = { .dist = dist, .redist = { { low, low_count }, { high, g->num_cpu - low_count } } };
    return !h || h->gic_new(3, g->num_irq, &map, errp);
}
