/* SPDX-License-Identifier: MIT */
/* GICv2 state shared by the distributor, the CPU interface and the virtual CPU interface. References: IHI 0048B. */
#ifndef HW_INTC_ARM_GIC_INTERNAL_H
#define HW_INTC_ARM_GIC_INTERNAL_H

#include "base/bits.h"
#include "hw/core/irqchip-host.h"
#include "base/log.h"
#include "hw/core/cpu-port.h"
#include "hw/core/device.h"
#include "hw/intc/arm-gic.h"

enum { GIC_CPUS = 8, GIC_IRQS = 1020, GIC_WORDS = 32, GIC_SPURIOUS = 1023, GIC_GROUP1_SPURIOUS = 1022,
       GIC_PRIORITY_MASK = 0xf8, GIC_MIN_BPR = 2, GIC_LRS = 4 };

/* GICC_CTLR, the Secure view */
enum {
    GICC_EN0 = 1,
    GICC_EN1 = 2,
    GICC_ACK_CTL = 4,
    GICC_FIQ_EN = 8,
    GICC_CBPR = 0x10,
    GICC_EOIMODE = 0x200,
    GICC_EOIMODE_NS = 0x400
};

/* 32 interrupts. An interrupt is pending when latched, or when level-sensitive and its line is high. */
typedef struct GicWord {
    uint32_t group, enabled, latch, active, level, edge;
} GicWord;

typedef struct GicCpu {
    GicWord word; /* SGIs and PPIs */
    uint8_t priority[GIC_INTERNAL];
    uint8_t sgi_source[16]; /* bit per CPU that has sent it */
    uint32_t ctlr, pmr, bpr, abpr, apr, nsapr;
    /* virtual interface */
    uint32_t hcr, vmcr, vapr, lr[GIC_LRS];
    CpuPort *port;
} GicCpu;

/* One lock for all of it, a leaf but for the vCPUs' lines: inputs come under any device's domain. */
typedef struct Gic {
    Device dev; /* always first */
    GMutex lock;
    uint32_t num_cpu, num_irq;
    bool security, virtualization, reset_nonsecure;
    uint32_t ctlr;               /* bit 0: group 0, bit 1: group 1 */
    GicWord shared[GIC_WORDS];   /* [0] is not used */
    uint8_t priority[GIC_IRQS], target[GIC_IRQS];
    GicCpu cpu[GIC_CPUS];
    MemRegion *own[4];
    Irq maintenance[GIC_CPUS];
} Gic;

static inline GicWord *gic_word(Gic *g, unsigned cpu, unsigned irq)
{
    return irq < GIC_INTERNAL ? &g->cpu[cpu].word : &g->shared[irq / 32];
}
static inline uint8_t *gic_priority(Gic *g, unsigned cpu, unsigned irq)
{
    return irq < GIC_INTERNAL ? &g->cpu[cpu].priority[irq] : &g->priority[irq];
}
static inline unsigned gic_accessor(const Gic *g, MemAttrs attrs) { return attrs.cpu < g->num_cpu ? attrs.cpu : 0; }
/* May this access see and change what is secure? */
static inline bool gic_secure(const Gic *g, MemAttrs attrs) { return !g->security || attrs.secure; }
static inline uint32_t gic_pending(const GicWord *w) { return w->latch | (w->level & ~w->edge); }

/* All with the lock held. */
void gic_update(Gic *g, unsigned cpu); /* drive the lines of one CPU */
void gic_update_all(Gic *g);
/* The pending interrupt of the highest priority that both enables let through; GIC_SPURIOUS: none. */
unsigned gic_highest(Gic *g, unsigned cpu, unsigned *priority);
bool gic_preempts(Gic *g, unsigned cpu, unsigned irq, unsigned priority); /* the mask and what is running */
void gic_deactivate(Gic *g, unsigned cpu, unsigned irq);
void gic_virt_update(Gic *g, unsigned cpu);
void gic_virt_reset(GicCpu *c);
void gic_set_private(Gic *g, unsigned cpu, unsigned irq, bool level);

/* arm-gic-host.c: one that the accelerator runs; nothing where it is ours. vCPUs stand, the lock is held. */
void gic_host_fetch(Gic *g);
void gic_host_put(const Gic *g);
/* A register of the accelerator's, of either version; 0 where there is none. */
uint64_t gic_host_reg(IrqchipGicPart part, unsigned cpu, unsigned at);
void gic_host_set_reg(IrqchipGicPart part, unsigned cpu, unsigned at, uint64_t value);
/* Two bits an interrupt, of which the upper one says "edge"; both versions. */
uint32_t gic_edges(uint32_t low, uint32_t high);
uint32_t gic_config_of(uint32_t edge, unsigned half);

extern const MemOps gic_dist_ops, gic_cpu_ops, gic_hyp_ops, gic_vcpu_ops; /* the opaque is the Gic */
#endif
