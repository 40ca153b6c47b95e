/* SPDX-License-Identifier: MIT */
/* GICv3 state shared by distributor, redistributors, CPU interfaces and ITS. References: IHI 0069G. */
#ifndef HW_INTC_ARM_GICV3_INTERNAL_H
#define HW_INTC_ARM_GICV3_INTERNAL_H

#include "base/bits.h"
#include "base/log.h"
#include "hw/core/cpu-port.h"
#include "hw/core/device.h"
#include "hw/intc/arm-gic.h"

enum { GIC3_CPUS = 512, GIC3_IRQS = 1020, GIC3_WORDS = 32, GIC3_LRS = 4, GIC3_ID_BITS = 16, GIC3_SPURIOUS = 1023,
       GIC3_PRIORITY_MASK = 0xf8, GIC3_MIN_BPR = 2, GIC3_NO_CPU = 0xffff };
enum { GIC3_LPI_FIRST = 8192, GIC3_LPI_END = 1 << GIC3_ID_BITS, GIC3_LPI_WORDS = (GIC3_LPI_END - GIC3_LPI_FIRST) / 32 };
#define GIC3_REDIST_SIZE 0x20000u

/* Groups: 0, Secure 1, Non-secure 1 (section 4.6). Without security extensions there is no Secure 1. */
typedef enum Gic3Group { GROUP_0, GROUP_1S, GROUP_1NS, GROUP_COUNT } Gic3Group;

typedef struct Gic3Word {
    uint32_t group, modifier, enabled, latch, active, level, edge;
} Gic3Word;

typedef struct Gic3 Gic3;

typedef struct Gic3Cpu {
    Gic3 *gic;
    CpuPort *port;
    uint16_t index;
    bool last;            /* of its run of redistributors */
    bool was_secure;      /* the CPU is in Secure state or EL3: FIQ and IRQ change places */
    /* the interrupt to be taken next: derived */
    uint32_t best;
    uint8_t best_priority, best_group;
    uint32_t lpis;        /* how many are pending */
    uint32_t *lpi;        /* pending bit per LPI; NULL: no LPIs */
    /* redistributor */
    Gic3Word word;
    uint8_t priority[GIC_INTERNAL];
    uint32_t nsacr, ctlr, waker;
    uint64_t propbaser, pendbaser;
    /* CPU interface */
    uint32_t pmr, bpr[GROUP_COUNT], apr[GROUP_COUNT], enabled[GROUP_COUNT];
    uint32_t cpu_ctlr[2]; /* ICC_CTLR_EL1 of Secure, Non-secure: CBPR, EOImode, PMHE */
    uint32_t eoimode_el3;
    /* virtual interface */
    uint32_t hcr, vmcr, vapr[2];
    uint64_t lr[GIC3_LRS];
} Gic3Cpu;

/* One lock for everything, a leaf but for the vCPUs' lines and guest RAM; inputs come under any device's domain. */
struct Gic3 {
    Device dev; /* always first */
    GMutex lock;
    uint32_t num_cpu, num_irq;
    bool security, has_lpi, reset_nonsecure;
    uint32_t enabled;            /* bit per group */
    Gic3Word shared[GIC3_WORDS]; /* [0] is not used */
    uint8_t priority[GIC3_IRQS];
    uint64_t route[GIC3_IRQS];
    uint16_t target[GIC3_IRQS];  /* index of the CPU that route means, GIC3_NO_CPU: none */
    GByteArray *pending_lpis;    /* only while saving and loading */
    Gic3Cpu cpu[GIC3_CPUS];
    MemRegion *redist[GIC3_CPUS];
    AddressSpace *memory;        /* where tables lie */
};

static inline Gic3Word *gic3_word(Gic3 *g, Gic3Cpu *c, unsigned irq)
{
    return irq < GIC_INTERNAL ? &c->word : &g->shared[irq / 32];
}
static inline uint32_t gic3_pending(const Gic3Word *w) { return w->latch | (w->level & ~w->edge); }
static inline bool gic3_secure(const Gic3 *g, bool secure) { return !g->security || secure; }
static inline Gic3Group gic3_group(const Gic3 *g, const Gic3Word *w, unsigned bit)
{
    return w->group >> bit & 1 ? GROUP_1NS : g->security && w->modifier >> bit & 1 ? GROUP_1S : GROUP_0;
}

/* All with the lock held. */
void gic3_update(Gic3Cpu *c);                       /* what is next, and the CPU's lines */
void gic3_update_all(Gic3 *g);
void gic3_irq_changed(Gic3 *g, Gic3Cpu *c, unsigned irq); /* private: c; shared: the CPU that it goes to */
void gic3_set_private(Gic3Cpu *c, unsigned irq, bool level);
void gic3_set_shared(Gic3 *g, unsigned irq, bool level);
void gic3_latch_shared(Gic3 *g, unsigned irq, bool pending);
void gic3_retarget(Gic3 *g, unsigned irq);
void gic3_lpi_set(Gic3Cpu *c, uint32_t id, bool pending);
void gic3_lpi_enable(Gic3Cpu *c, bool enable);
void gic3_lpi_best(Gic3Cpu *c, uint32_t *irq, unsigned *priority);
bool gic3_lpi_pending(const Gic3Cpu *c, uint32_t id);

/*
 * The register banks that distributor and redistributor have alike; `own` says which of the 32 interrupts the access
 * may touch. at: offset of the register from IGROUPR (0x80), value and mask: the bytes that were written, in place.
 */
uint32_t gic3_bank_read(const Gic3 *g, const Gic3Word *w, unsigned at, bool secure);
void gic3_bank_write(Gic3 *g, Gic3Word *w, unsigned at, uint32_t value, uint32_t mask, bool secure, uint32_t settable);
uint8_t gic3_priority_view(const Gic3 *g, const Gic3Word *w, unsigned bit, uint8_t priority, bool secure);
void gic3_priority_set(const Gic3 *g, const Gic3Word *w, unsigned bit, uint8_t *priority, uint8_t v, bool secure);
uint32_t gic3_config_read(const Gic3 *g, const Gic3Word *w, unsigned half, bool secure);
void gic3_config_write(const Gic3 *g, Gic3Word *w, unsigned half, uint32_t value, uint32_t mask, bool secure);

/* arm-gicv3-host.c: one that the accelerator runs; nothing where it is ours. vCPUs stand, the lock is held. */
void gic3_host_fetch(Gic3 *g);
void gic3_host_put(Gic3 *g);

extern const MemOps gic3_dist_ops /* opaque: Gic3 */, gic3_redist_ops /* opaque: Gic3Cpu */;
extern const CpuIntcOps gic3_intc_ops; /* opaque: Gic3Cpu */

/* CPU interface */
bool gic3_signalled(const Gic3Cpu *c); /* does c->best preempt what runs? */
void gic3_cpu_reset(Gic3Cpu *c);
bool gic3_virtual_read(Gic3Cpu *c, uint32_t key, uint64_t *value);  /* ICV_* */
bool gic3_virtual_write(Gic3Cpu *c, uint32_t key, uint64_t value);
bool gic3_hyp_read(Gic3Cpu *c, uint32_t key, uint64_t *value);      /* ICH_* */
bool gic3_hyp_write(Gic3Cpu *c, uint32_t key, uint64_t value);
void gic3_virtual_update(Gic3Cpu *c);
void gic3_deactivate(Gic3Cpu *c, uint32_t irq);

/* Guest RAM only, so that no other device's lock is taken; false: not RAM. */
bool gic3_ram_read(Gic3 *g, hwaddr at, void *buf, uint64_t len);
bool gic3_ram_write(Gic3 *g, hwaddr at, const void *buf, uint64_t len);

/* Keys of system registers. */
#define GIC3_KEY(op1, crn, crm, op2) ((uint32_t)(3 << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)))
enum {
    ICC_PMR = GIC3_KEY(0, 4, 6, 0), ICC_IAR0 = GIC3_KEY(0, 12, 8, 0), ICC_EOIR0 = GIC3_KEY(0, 12, 8, 1),
    ICC_HPPIR0 = GIC3_KEY(0, 12, 8, 2), ICC_BPR0 = GIC3_KEY(0, 12, 8, 3), ICC_AP0R0 = GIC3_KEY(0, 12, 8, 4),
    ICC_AP0R3 = GIC3_KEY(0, 12, 8, 7), ICC_AP1R0 = GIC3_KEY(0, 12, 9, 0), ICC_AP1R3 = GIC3_KEY(0, 12, 9, 3),
    ICC_DIR = GIC3_KEY(0, 12, 11, 1), ICC_RPR = GIC3_KEY(0, 12, 11, 3), ICC_SGI1R = GIC3_KEY(0, 12, 11, 5),
    ICC_ASGI1R = GIC3_KEY(0, 12, 11, 6), ICC_SGI0R = GIC3_KEY(0, 12, 11, 7), ICC_IAR1 = GIC3_KEY(0, 12, 12, 0),
    ICC_EOIR1 = GIC3_KEY(0, 12, 12, 1), ICC_HPPIR1 = GIC3_KEY(0, 12, 12, 2), ICC_BPR1 = GIC3_KEY(0, 12, 12, 3),
    ICC_CTLR = GIC3_KEY(0, 12, 12, 4), ICC_SRE = GIC3_KEY(0, 12, 12, 5), ICC_IGRPEN0 = GIC3_KEY(0, 12, 12, 6),
    ICC_IGRPEN1 = GIC3_KEY(0, 12, 12, 7), ICC_SRE_EL2 = GIC3_KEY(4, 12, 9, 5), ICC_CTLR_EL3 = GIC3_KEY(6, 12, 12, 4),
    ICC_SRE_EL3 = GIC3_KEY(6, 12, 12, 5), ICC_IGRPEN1_EL3 = GIC3_KEY(6, 12, 12, 7),
    ICH_AP0R0 = GIC3_KEY(4, 12, 8, 0), ICH_AP0R3 = GIC3_KEY(4, 12, 8, 3), ICH_AP1R0 = GIC3_KEY(4, 12, 9, 0),
    ICH_AP1R3 = GIC3_KEY(4, 12, 9, 3), ICH_HCR = GIC3_KEY(4, 12, 11, 0), ICH_VTR = GIC3_KEY(4, 12, 11, 1),
    ICH_MISR = GIC3_KEY(4, 12, 11, 2), ICH_EISR = GIC3_KEY(4, 12, 11, 3), ICH_ELRSR = GIC3_KEY(4, 12, 11, 5),
    ICH_VMCR = GIC3_KEY(4, 12, 11, 7), ICH_LR0 = GIC3_KEY(4, 12, 12, 0), ICH_LR15 = GIC3_KEY(4, 12, 13, 7),
};
enum {
    ICC_CTLR_CBPR = 1,
    ICC_CTLR_EOIMODE = 2,
    ICC_CTLR_PMHE = 0x40,
    ICC_CTLR_FIXED = 0x8400 /* A3V, five priority bits */
};
#endif
