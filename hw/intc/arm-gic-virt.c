/* SPDX-License-Identifier: MIT */
/* GICv2 virtualization extensions: hypervisor control registers and the virtual CPU interface (IHI 0048B chapter 5). */
#include "hw/intc/arm-gic-internal.h"
#include "hw/intc/arm-gic-lr.h"

enum {
    H_HCR = 0x00,
    H_VTR = 0x04,
    H_VMCR = 0x08,
    H_MISR = 0x10,
    H_EISR = 0x20,
    H_ELRSR = 0x30,
    H_APR = 0xf0,
    H_LR = 0x100
};
enum { LR_PENDING = 1 << 28, LR_ACTIVE = 1 << 29, LR_GROUP1 = 1 << 30, LR_EOI = 1 << 19 };
#define LR_HW UINT32_C(0x80000000)

static unsigned lr_priority(uint32_t lr) { return (lr >> 23 & 31) << 3; }
static unsigned vm_pmr(const GicCpu *c) { return (c->vmcr >> 27) << 3; }

static unsigned virtual_bpr(const GicCpu *c, unsigned group)
{
    unsigned bpr = c->vmcr >> 21 & 7, abpr = c->vmcr >> 18 & 7;
    return group && !(c->vmcr & VM_CBPR) ? MAX(abpr, GIC_MIN_BPR + 1) - 1 : MAX(bpr, GIC_MIN_BPR);
}

static unsigned group_priority(const GicCpu *c, uint32_t lr)
{
    return lr_priority(lr) & (0xffu << (virtual_bpr(c, (lr & LR_GROUP1) != 0) + 1)) & 0xff;
}

static unsigned running(const GicCpu *c) { return c->vapr ? (unsigned)__builtin_ctz(c->vapr) << 3 : 0x100; }

static GicLrs take_apart(const GicCpu *c)
{
    GicLrs l = { .count = GIC_LRS };
    for (unsigned i = 0; i < GIC_LRS; i++) {
        uint32_t v = c->lr[i];
        l.lr[i] = (GicLr){ (v & LR_PENDING) != 0, (v & LR_ACTIVE) != 0, (v & LR_HW) != 0,
                           (v & LR_GROUP1) != 0,  (v & LR_EOI) != 0,    (uint8_t)lr_priority(v) };
    }
    return l;
}

static int highest(const GicCpu *c) { return gic_lr_highest(take_apart(c), c->vmcr); }
static uint32_t misr(const GicCpu *c) { return gic_lr_misr(take_apart(c), c->hcr, c->vmcr); }

static bool deliverable(const GicCpu *c, int n)
{
    return n >= 0 && c->hcr & HCR_EN && lr_priority(c->lr[n]) < vm_pmr(c) && group_priority(c, c->lr[n]) < running(c);
}

void gic_virt_update(Gic *g, unsigned cpu)
{
    GicCpu *c = &g->cpu[cpu];
    if (!g->virtualization || !c->port || !c->port->ops->set_line)
        return;
    int n = highest(c);
    bool signal = deliverable(c, n), fiq = signal && !(c->lr[n] & LR_GROUP1) && c->vmcr & VM_FIQ_EN;
    c->port->ops->set_line(c->port, CPU_LINE_VIRQ, signal && !fiq);
    c->port->ops->set_line(c->port, CPU_LINE_VFIQ, fiq);
    gic_set_private(g, cpu, GIC_MAINTENANCE_PPI, misr(c) != 0);
}

void gic_virt_reset(GicCpu *c)
{
    c->hcr = c->vapr = 0;
    c->vmcr = GIC_MIN_BPR << 21 | (GIC_MIN_BPR + 1) << 18;
    memset(c->lr, 0, sizeof(c->lr));
}

/* ---- GICH ---- */

static uint32_t hyp_reg_read(const GicCpu *c, unsigned at)
{
    if (at >= H_LR && at < H_LR + 4 * GIC_LRS)
        return c->lr[(at - H_LR) / 4];
    switch (at) {
    case H_HCR: return c->hcr;
    case H_VTR: return 4u << 29 | 4u << 26 | (GIC_LRS - 1);
    case H_VMCR: return c->vmcr;
    case H_MISR: return misr(c);
    case H_EISR: return gic_lr_eisr(take_apart(c));
    case H_ELRSR: return gic_lr_elrsr(take_apart(c));
    case H_APR: return c->vapr;
    default: return 0;
    }
}

static MemResult hyp_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Gic *g = opaque;
    g_mutex_lock(&g->lock);
    *value = hyp_reg_read(&g->cpu[gic_accessor(g, attrs)], (unsigned)at);
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

static MemResult hyp_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Gic *g = opaque;
    unsigned cpu = gic_accessor(g, attrs);
    GicCpu *c = &g->cpu[cpu];
    uint32_t v = (uint32_t)value;
    g_mutex_lock(&g->lock);
    if (at >= H_LR && at < H_LR + 4 * GIC_LRS)
        c->lr[(at - H_LR) / 4] = v;
    else if (at == H_HCR)
        c->hcr = v & 0xf80000ff;
    else if (at == H_VMCR)
        c->vmcr = v & 0xf8fc021f;
    else if (at == H_APR)
        c->vapr = v;
    gic_virt_update(g, cpu);
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

/* ---- GICV: the registers of GICC, seen by a VM ---- */

static uint32_t lr_irq_id(uint32_t lr)
{
    uint32_t id = lr & 0x3ff;
    return id < 16 && !(lr & LR_HW) ? id | (lr & 0x1c00) : id;
}

static unsigned group_rule(const GicCpu *c, int n, bool alias)
{
    if (n < 0)
        return GIC_SPURIOUS;
    if (c->lr[n] & LR_GROUP1)
        return alias || c->vmcr & VM_ACK_CTL ? 0 : GIC_GROUP1_SPURIOUS;
    return alias ? GIC_SPURIOUS : 0;
}

static uint32_t v_acknowledge(GicCpu *c, bool alias)
{
    int n = highest(c);
    if (!deliverable(c, n))
        return GIC_SPURIOUS;
    unsigned refused = group_rule(c, n, alias);
    if (refused)
        return refused;
    c->vapr |= (uint32_t)BIT(group_priority(c, c->lr[n]) >> 3);
    c->lr[n] = (c->lr[n] & ~(uint32_t)LR_PENDING) | LR_ACTIVE;
    return lr_irq_id(c->lr[n]);
}

static void v_deactivate(Gic *g, unsigned cpu, uint32_t id)
{
    GicCpu *c = &g->cpu[cpu];
    for (unsigned i = 0; i < GIC_LRS; i++) {
        uint32_t lr = c->lr[i], phys = lr >> 10 & 0x3ff;
        if (!(lr & LR_ACTIVE) || lr_irq_id(lr) != id)
            continue;
        c->lr[i] = lr & ~(uint32_t)LR_ACTIVE;
        if (lr & LR_HW && phys >= 16 && phys < g->num_irq)
            gic_deactivate(g, cpu, phys);
        return;
    }
    if ((id & 0x3ff) < GIC_IRQS) /* not in a list register: EOICount */
        c->hcr = (c->hcr & 0x07ffffff) | ((c->hcr >> 27) + 1) << 27;
}

static void v_end(Gic *g, unsigned cpu, uint32_t v)
{
    GicCpu *c = &g->cpu[cpu];
    if ((v & 0x3ff) >= GIC_IRQS)
        return;
    c->vapr &= c->vapr - 1;
    if (!(c->vmcr & VM_EOIMODE))
        v_deactivate(g, cpu, v & 0x1fff);
}

static uint32_t v_reg_read(GicCpu *c, unsigned at)
{
    int n;
    switch (at) {
    case 0x00: return c->vmcr & 0x21f;
    case 0x04: return vm_pmr(c);
    case 0x08: return c->vmcr >> 21 & 7;
    case 0x0c: return v_acknowledge(c, false);
    case 0x14: return MIN(running(c), 0xff);
    case 0x18: case 0x28:
        n = highest(c);
        return group_rule(c, n, at == 0x28) ? group_rule(c, n, at == 0x28) : lr_irq_id(c->lr[n]);
    case 0x1c: return c->vmcr >> 18 & 7;
    case 0x20: return v_acknowledge(c, true);
    case 0xd0: return c->vapr;
    case 0xfc: return 0x0002043b;
    default: return 0;
    }
}

static MemResult v_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Gic *g = opaque;
    unsigned cpu = gic_accessor(g, attrs);
    g_mutex_lock(&g->lock);
    *value = v_reg_read(&g->cpu[cpu], (unsigned)at);
    gic_virt_update(g, cpu);
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

static void set_field(uint32_t *word, unsigned start, unsigned len, uint32_t v)
{
    *word = (uint32_t)bits_set(*word, start, len, v);
}

static MemResult v_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Gic *g = opaque;
    unsigned cpu = gic_accessor(g, attrs);
    GicCpu *c = &g->cpu[cpu];
    uint32_t v = (uint32_t)value;
    g_mutex_lock(&g->lock);
    switch (at) {
    case 0x00: c->vmcr = (c->vmcr & ~0x21fu) | (v & 0x21f); break;
    case 0x04: set_field(&c->vmcr, 27, 5, v >> 3 & 31); break;
    case 0x08: set_field(&c->vmcr, 21, 3, MAX(v & 7, GIC_MIN_BPR)); break;
    case 0x1c: set_field(&c->vmcr, 18, 3, MAX(v & 7, GIC_MIN_BPR + 1u)); break;
    case 0x10: case 0x24: v_end(g, cpu, v); break;
    case 0xd0: c->vapr = v; break;
    case 0x1000: if (c->vmcr & VM_EOIMODE) v_deactivate(g, cpu, v & 0x1fff); break;
    default: break;
    }
    gic_virt_update(g, cpu);
    g_mutex_unlock(&g->lock);
    return MEM_OK;
}

const MemOps gic_hyp_ops = { hyp_read, hyp_write, 4, 4 };
const MemOps gic_vcpu_ops = { v_read, v_write, 4, 4 };
