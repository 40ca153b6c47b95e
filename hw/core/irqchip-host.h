/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controllers that an accelerator runs by itself (KVM: in the kernel). The models of hw/intc and hw/timer
 * stay: they hold the state for reset, save and load, under the same names, and hand it over in the images below. NULL:
 * the models do it all.
 */
#ifndef HW_CORE_IRQCHIP_HOST_H
#define HW_CORE_IRQCHIP_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

typedef struct CpuPort CpuPort;

/* Register n of the local APIC is reg[n] (xAPIC offset n * 16; the id in bits 31:24 also in x2APIC mode). */
typedef struct IrqchipApic {
    uint32_t reg[64];
    uint64_t base;         /* IA32_APIC_BASE */
    uint64_t tsc_deadline;
} IrqchipApic;

typedef struct IrqchipIoapic {
    uint8_t id, select;
    uint32_t lines;        /* asserted */
    uint64_t redirect[24];
} IrqchipIoapic;

/* One 8259; fields as in hw/intc/i8259.c. */
typedef struct IrqchipPic {
    uint8_t irr, imr, isr, lines, elcr, vector, highest, init;
    bool need_icw4, auto_eoi, rotate_aeoi, special_nested, special_mask, read_isr, poll;
} IrqchipPic;

/* A counter of the 8254. rw: 1 low byte, 2 high byte, 3 both. */
typedef struct IrqchipPitChannel {
    uint32_t count;        /* 0: none written since the control word */
    uint8_t mode, rw, latched /* bytes left */, status, write_low;
    bool bcd, gate, read_msb, write_msb, status_latched;
    uint16_t latch;
    uint64_t age_ns;       /* since the count was loaded; counter 0 begins a new period all the same */
} IrqchipPitChannel;
typedef struct IrqchipPit {
    IrqchipPitChannel channel[3];
    bool speaker;          /* bit 1 of port 61h; bit 0 is counter 2's gate */
} IrqchipPit;

/*
 * A GIC is handed over by its registers, at their architectural places, with the differences that the kernel's
 * documentation gives (virt/kvm/devices/arm-vgic*.rst): pending bits are latches, levels are apart, what is written to
 * a set-register only sets.
 */
typedef enum IrqchipGicPart {
    IRQCHIP_GIC_DIST,   /* 32 bits; v2: `cpu` says whose banked registers */
    IRQCHIP_GIC_CPU,    /* v2: the CPU interface, 32 bits */
    IRQCHIP_GIC_REDIST, /* v3: both frames, 32 bits */
    IRQCHIP_GIC_SYSREG, /* v3: ICC_* by their keys (cpu-port.h), 64 bits */
    IRQCHIP_GIC_LEVEL,  /* v3: inputs of the 32 interrupts from `at` on */
    IRQCHIP_GIC_ITS,    /* 64 bits */
} IrqchipGicPart;
typedef struct IrqchipGicMap {
    uint64_t dist, cpu /* v2 */;
    struct { uint64_t base; unsigned count; } redist[2]; /* v3 */
} IrqchipGicMap;
typedef enum IrqchipGicOrder {
    IRQCHIP_LPIS_TO_RAM,
    IRQCHIP_ITS_TO_RAM,
    IRQCHIP_ITS_FROM_RAM,
    IRQCHIP_ITS_RESET
} IrqchipGicOrder;

/* get and put: machine paused, or for get any thread that does not mind waiting for the vCPU to stand. */
typedef struct IrqchipHost {
    /* Local APICs are there. */
    void (*msi)(uint64_t address, uint32_t data); /* a message on their bus; any thread, no lock */
    void (*apic_get)(CpuPort *p, IrqchipApic *out);
    void (*apic_put)(CpuPort *p, const IrqchipApic *in);
    /* The I/O APIC, the 8259 pair and the PIT are there too (with ports and registers), else NULL. */
    void (*set_gsi)(unsigned gsi, int level);     /* any thread */
    void (*ioapic_get)(IrqchipIoapic *out);
    void (*ioapic_put)(const IrqchipIoapic *in);
    void (*pic_get)(IrqchipPic out[2]);
    void (*pic_put)(const IrqchipPic in[2]);
    bool (*pit_new)(Error **errp);                /* the board has a PIT */
    void (*pit_get)(IrqchipPit *out);
    void (*pit_put)(const IrqchipPit *in);
    void (*pit_legacy)(bool hpet);                /* the HPET has taken interrupt line 0 over */
    /*
     * The I/O APIC is not there: what a pin sends, so that the EOI of a level-triggered one is told
     * (apic_broadcast_eoi).
     */
    void (*ioapic_pin)(unsigned pin, uint64_t address, uint32_t data);
    /* Arm. */
    unsigned gic_versions;                        /* bit per version that CPUs here can have */
    /* NULL: the model does it all. The CPUs are made; `irqs`: the 32 internal ones included. */
    bool (*gic_new)(unsigned version, unsigned irqs, const IrqchipGicMap *map, Error **errp);
    void (*gic_line)(unsigned irq, unsigned cpu /* private ones */, bool level); /* any thread */
    /* vCPUs stand. false: there is no such register. */
    bool (*gic_reg)(IrqchipGicPart part, unsigned cpu, uint64_t at, bool write, uint64_t *value);
    bool (*gic_order)(IrqchipGicOrder order);     /* vCPUs stand */
    bool (*its_new)(uint64_t base, Error **errp); /* NULL: none */
    void (*its_msi)(uint64_t address, uint32_t data, uint32_t device); /* any thread, no lock */
} IrqchipHost;

const IrqchipHost *irqchip_host(void);
const IrqchipHost *irqchip_host_gic(void); /* the same where it runs GICs, else NULL */
void irqchip_host_set(const IrqchipHost *host); /* before the machine is built; NULL after it is gone */

/*
 * The way back: a local APIC that is run elsewhere has had an EOI of a level-triggered vector. vCPU's thread, no lock.
 */
void irqchip_eoi(uint8_t vector);
void irqchip_set_eoi_sink(void (*sink)(uint8_t vector));
#endif
