/* SPDX-License-Identifier: MIT */
/*
 * GICv3 virtual CPU interface: ICV_* as a VM sees it, ICH_* as its hypervisor programs it (IHI 0069G chapter 6, section
 * 12.4).
 */
#include "hw/intc/arm-gicv3-internal.h"
#include "hw/intc/arm-gic-lr.h"

#define LR_PENDING BIT(62)
#define LR_ACTIVE BIT(63)
#define LR_HW BIT(61)
#define LR_GROUP1 BIT(60)
#define LR_EOI BIT(41)
#define LR_WRITABLE UINT64_C(0xf0ff1fff0000ffff)

static unsigned lr_priority(uint64_t lr) { return (unsigned)(lr >> 48) & GIC3_PRIORITY_MASK; }

static unsigned point(const Gic3Cpu *c, unsigned group)
{
    unsigned bpr0 = MAX(c->vmcr >> 21 & 7, GIC3_MIN_BPR), bpr1 = MAX(c->vmcr >> 18 & 7, GIC3_MIN_BPR + 1);
    return group && !(c->vmcr & VM_CBPR) ? bpr1 - 1 : bpr0;
}

static unsigned group_priority(const Gic3Cpu *c, uint64_t lr)
{
    return lr_priority(lr) & (0xffu << (point(c, (lr & LR_GROUP1) != 0) + 1)) & 0xff;
}

static unsigned running(const Gic3Cpu *c)
{
    uint32_t active = c->vapr[0] | c->vapr[1];
    return active ? (unsigned)__builtin_ctz(active) << 3 : 0x100;
}

static GicLrs take_apart(const Gic3Cpu *c)
{
    GicLrs l = { .count = GIC3_LRS };
    for (unsigned i = 0; i < GIC3_LRS; i++) {
        uint64_t v = c->lr[i];
        l.lr[i] = (GicLr){ (v & LR_PENDING) != 0, (v & LR_ACTIVE) != 0, (v & LR_HW) != 0,
                           (v & LR_GROUP1) != 0,  (v & LR_EOI) != 0,    (uint8_t)lr_priority(v) };
    }
    return l;
}

static int highest(const Gic3Cpu *c) { return gic_lr_highest(take_apart(c), c->vmcr); }
static uint32_t misr(const Gic3Cpu *c) { return gic_lr_misr(take_apart(c), c->hcr, c->vmcr); }

static bool deliverable(const Gic3Cpu *c, int n)
{
    return n >= 0 && c->hcr & HCR_EN && lr_priority(c->lr[n]) < c->vmcr >> 24 &&
           group_priority(c, c->lr[n]) < running(c);
}

void gic3_virtual_update(Gic3Cpu *c)
{
    int n = highest(c);
    bool signal = deliverable(c, n), group1 = signal && c->lr[n] & LR_GROUP1;
    if (!c->port || !c->port->ops || !c->port->ops->set_line)
        return;
    c->port->ops->set_line(c->port, CPU_LINE_VIRQ, group1);
    c->port->ops->set_line(c->port, CPU_LINE_VFIQ, signal && !group1);
    gic3_set_private(c, GIC_MAINTENANCE_PPI, misr(c) != 0);
}

/* ---- ICH_* ---- */

bool gic3_hyp_read(Gic3Cpu *c, uint32_t key, uint64_t *v)
{
    if (key >= ICH_LR0 && key <= ICH_LR15) {
        if (key - ICH_LR0 >= GIC3_LRS)
            return false;
        *v = c->lr[key - ICH_LR0];
        return true;
    }
    switch (key) {
    case ICH_AP0R0: *v = c->vapr[0]; break;
    case ICH_AP1R0: *v = c->vapr[1]; break;
    case ICH_HCR: *v = c->hcr; break;
    case ICH_VTR: *v = 4u << 29 | 4u << 26 | 1u << 21 | 1u << 20 | 1u << 19 | (GIC3_LRS - 1); break;
    case ICH_MISR: *v = misr(c); break;
    case ICH_EISR: *v = gic_lr_eisr(take_apart(c)); break;
    case ICH_ELRSR: *v = gic_lr_elrsr(take_apart(c)); break;
    case ICH_VMCR: *v = c->vmcr | VM_FIQ_EN; break;
    default: return false;
    }
    return true;
}

bool gic3_hyp_write(Gic3Cpu *c, uint32_t key, uint64_t v)
{
    if (key >= ICH_LR0 && key <= ICH_LR15) {
        if (key - ICH_LR0 >= GIC3_LRS)
            return false;
        c->lr[key - ICH_LR0] = v & LR_WRITABLE;
    } else {
        switch (key) {
        case ICH_AP0R0: c->vapr[0] = (uint32_t)v; break;
        case ICH_AP1R0: c->vapr[1] = (uint32_t)v; break;
        case ICH_HCR: c->hcr = v & 0xf8007cff; break;
        case ICH_VMCR: c->vmcr = v & 0xf8fc021f; break;
        default: return false;
        }
    }
    gic3_virtual_update(c);
    return true;
}

/* ---- ICV_* ---- */

static uint64_t v_pending(const Gic3Cpu *c, unsigned group)
{
    int n = highest(c);
    return n >= 0 && ((c->lr[n] & LR_GROUP1) != 0) == group ? c->lr[n] & UINT32_MAX : GIC3_SPURIOUS;
}

static uint64_t v_acknowledge(Gic3Cpu *c, unsigned group)
{
    int n = highest(c);
    if (!deliverable(c, n) || ((c->lr[n] & LR_GROUP1) != 0) != group)
        return GIC3_SPURIOUS;
    uint32_t id = (uint32_t)c->lr[n];
    c->vapr[group] |= (uint32_t)BIT(group_priority(c, c->lr[n]) >> 3);
    c->lr[n] &= ~LR_PENDING;
    if (id < GIC3_LPI_FIRST)
        c->lr[n] |= LR_ACTIVE;
    return id;
}

static void v_deactivate(Gic3Cpu *c, uint32_t id)
{
    for (unsigned i = 0; i < GIC3_LRS; i++) {
        uint64_t lr = c->lr[i];
        if (!(lr & LR_ACTIVE) || (uint32_t)lr != id)
            continue;
        c->lr[i] = lr & ~LR_ACTIVE;
        if (lr & LR_HW)
            gic3_deactivate(c, (uint32_t)(lr >> 32) & 0x1fff);
        return;
    }
    c->hcr = (c->hcr & 0x07ffffff) | ((c->hcr >> 27) + 1) << 27; /* EOIcount */
}

static void v_end(Gic3Cpu *c, uint64_t v, unsigned group)
{
    uint32_t id = v & 0xffffff;
    if (id >= GIC3_IRQS && id < GIC3_LPI_FIRST)
        return;
    if (!c->vapr[group])
        return;
    c->vapr[group] &= c->vapr[group] - 1;
    if (!(c->vmcr & VM_EOIMODE) && id < GIC3_LPI_FIRST)
        v_deactivate(c, id);
}

bool gic3_virtual_read(Gic3Cpu *c, uint32_t key, uint64_t *v)
{
    switch (key) {
    case ICC_PMR: *v = c->vmcr >> 24; break;
    case ICC_IAR0: *v = v_acknowledge(c, 0); break;
    case ICC_IAR1: *v = v_acknowledge(c, 1); break;
    case ICC_HPPIR0: *v = v_pending(c, 0); break;
    case ICC_HPPIR1: *v = v_pending(c, 1); break;
    case ICC_BPR0: *v = c->vmcr >> 21 & 7; break;
    case ICC_BPR1: *v = c->vmcr & VM_CBPR ? MIN((c->vmcr >> 21 & 7) + 1, 7) : c->vmcr >> 18 & 7; break;
    case ICC_AP0R0: *v = c->vapr[0]; break;
    case ICC_AP1R0: *v = c->vapr[1]; break;
    case ICC_RPR: *v = MIN(running(c), 0xff); break;
    case ICC_CTLR: *v = ICC_CTLR_FIXED | (c->vmcr & VM_CBPR ? 1 : 0) | (c->vmcr & VM_EOIMODE ? 2 : 0); break;
    case ICC_IGRPEN0: *v = c->vmcr & 1; break;
    case ICC_IGRPEN1: *v = c->vmcr >> 1 & 1; break;
    default: return false;
    }
    gic3_virtual_update(c);
    return true;
}

static void set_field(Gic3Cpu *c, unsigned start, unsigned len, uint64_t v)
{
    c->vmcr = (uint32_t)bits_set(c->vmcr, start, len, v);
}

bool gic3_virtual_write(Gic3Cpu *c, uint32_t key, uint64_t v)
{
    switch (key) {
    case ICC_PMR: set_field(c, 24, 8, v & GIC3_PRIORITY_MASK); break;
    case ICC_EOIR0: v_end(c, v, 0); break;
    case ICC_EOIR1: v_end(c, v, 1); break;
    case ICC_DIR:
        if (c->vmcr & VM_EOIMODE)
            v_deactivate(c, v & 0xffffff);
        break;
    case ICC_BPR0: set_field(c, 21, 3, MAX(v & 7, GIC3_MIN_BPR)); break;
    case ICC_BPR1:
        if (!(c->vmcr & VM_CBPR))
            set_field(c, 18, 3, MAX(v & 7, GIC3_MIN_BPR + 1u));
        break;
    case ICC_AP0R0: c->vapr[0] = (uint32_t)v; break;
    case ICC_AP1R0: c->vapr[1] = (uint32_t)v; break;
    case ICC_CTLR:
        set_field(c, 4, 1, v);
        set_field(c, 9, 1, v >> 1);
        break;
    case ICC_IGRPEN0: set_field(c, 0, 1, v); break;
    case ICC_IGRPEN1: set_field(c, 1, 1, v); break;
    default: return false;
    }
    gic3_virtual_update(c);
    return true;
}
