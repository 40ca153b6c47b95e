/* SPDX-License-Identifier: MIT */
/* Where interrupt controllers meet CPUs: neither includes the other. */
#ifndef HW_CORE_CPU_PORT_H
#define HW_CORE_CPU_PORT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "hw/core/irq.h"

/* Request lines of a vCPU. Level lines stay until lowered; events are consumed by the vCPU. */
typedef enum CpuLine {
    CPU_LINE_INTR,  /* x86: external interrupt pending in the local APIC or the PIC; Arm: IRQ */
    CPU_LINE_NMI,   /* event on x86; Arm: FIQ level */
    CPU_LINE_SMI,   /* event */
    CPU_LINE_INIT,  /* event */
    CPU_LINE_SIPI,  /* event; vector in cpu_port_sipi() */
    CPU_LINE_MCE,   /* event */
    CPU_LINE_VIRQ, CPU_LINE_VFIQ, /* Arm virtual lines, level */
    CPU_LINE_COUNT
} CpuLine;

typedef struct CpuPort CpuPort;

/* Made by the CPU. All may be called from any thread without a lock, and they never wait for the vCPU. */
typedef struct CpuPortOps {
    void (*set_line)(CpuPort *p, CpuLine line, bool level); /* event lines: level is true */
    void (*sipi)(CpuPort *p, uint8_t vector);
    /* machine paused: where it goes on (Arm: bit 0 selects T32); may be NULL */
    void (*set_pc)(CpuPort *p, uint64_t pc);
    void (*set_a20)(CpuPort *p, bool enabled); /* x86: false masks physical address bit 20; may be NULL */
} CpuPortOps;

/*
 * Made by the interrupt controller of this CPU (x86: the local APIC); called in the vCPU's thread without a lock.
 * Absent functions are NULL.
 */
typedef struct CpuIntcOps {
    int (*acknowledge)(void *intc);      /* the vector to deliver now (marks it in service), -1: none (spurious) */
    bool (*pending)(void *intc);         /* would acknowledge() return a vector? (TPR/PPR taken into account) */
    uint8_t (*get_tpr)(void *intc);      /* the whole TPR byte; CR8 = TPR[7:4] */
    void (*set_tpr)(void *intc, uint8_t tpr);
    uint64_t (*get_base)(void *intc);    /* IA32_APIC_BASE */
    bool (*set_base)(void *intc, uint64_t value); /* false: #GP */
    bool (*msr_read)(void *intc, uint32_t msr, uint64_t *value); /* x2APIC 0x800.., TSC deadline 0x6e0; false: #GP */
    bool (*msr_write)(void *intc, uint32_t msr, uint64_t value);
    void (*cpu_reset)(void *intc, bool init); /* INIT reached the CPU */
    /* the accelerator runs it and the vCPU has stopped: take the registers (irqchip-host.h) */
    void (*fetch)(void *intc);
    /*
     * Arm: the interrupt controller's system registers (AArch64 ICC_*, ICH_* keys op0<<14|op1<<11|CRn<<7|CRm<<3|op2;
     * AArch32 accesses come with the key of the AArch64 register of the same function); el, secure: of the access.
     * false: UNDEFINED. Absent: the CPU has no GIC system registers, and ID_AA64PFR0_EL1.GIC (ID_PFR1.GIC) reads 0,
     * else 1. The CPU has checked what its own registers trap (SCR_EL3.IRQ/FIQ, HCR_EL2.IMO/FMO for the SGI registers).
     * Accesses at EL1 while the effective HCR_EL2.IMO / FMO is set carry the bits below: the controller gives the
     * virtual registers (ICV_*) then.
     */
#define CPU_SYSREG_IMO (UINT32_C(1) << 24) /* ARM_SYS_KEY_VIRQ */
#define CPU_SYSREG_FMO (UINT32_C(1) << 25) /* ARM_SYS_KEY_VFIQ */
    bool (*sysreg_read)(void *intc, uint32_t key, unsigned el, bool secure, uint64_t *value);
    bool (*sysreg_write)(void *intc, uint32_t key, unsigned el, bool secure, uint64_t value);
    /*
     * Arm, optional: the CPU went to another exception level of another Security state; decides whether group 1 is IRQ
     * or FIQ.
     */
    void (*state_changed)(void *intc, unsigned el, bool secure);
} CpuIntcOps;

struct CpuPort {
    const CpuPortOps *ops;
    const CpuIntcOps *intc_ops;
    void *intc;
    unsigned index;   /* of the vCPU */
    uint32_t arch_id; /* APIC id / MPIDR affinity */
    bool bsp;
    /* Guest TSC for the deadline timer; set by the CPU. Any thread. */
    uint64_t (*read_tsc)(CpuPort *p);
    uint64_t tsc_hz;
};

/* The port of the vCPU whose thread this is, or NULL. */
CpuPort *cpu_port_current(void);
void cpu_port_set_current(CpuPort *p);
/* All vCPUs of the machine: by index below the count; NULL: there is none now (CPUs come and go). */
unsigned cpu_port_count(void);
CpuPort *cpu_port(unsigned index);
void cpu_port_add(CpuPort *p); /* p->index is set */
void cpu_port_remove(CpuPort *p);
void cpu_ports_clear(void);

/*
 * A family of CPUs: target/<arch> registers one, so that boards make CPUs without knowing the target. create() is
 * called by the board in index order, with the machine's spaces made (Machine.as_memory, as_io, as_smm); it makes the
 * vCPU and adds its port; it stands in reset until the machine runs. The board then makes the interrupt controller of
 * that port.
 */
typedef struct Machine Machine;
typedef struct CpuFamily {
    const char *arch; /* as in MachineType.arch */
    /* model: "name,+feature,..."; arch_id: APIC id / affinity. An error names the model and the nearest one. */
    bool (*create)(Machine *m, unsigned index, uint32_t arch_id, const char *model, Error **errp);
    void (*destroy_all)(Machine *m);   /* frees what create() made; optional */
    /* one of them, while the others stand; optional: CPUs stay. None of that index: no-op */
    void (*destroy)(Machine *m, unsigned index);
    void (*print_help)(GString *out);  /* -cpu help */
    /* Bits of a guest-physical address that this model implements (after create). */
    unsigned (*phys_bits)(Machine *m); /* optional: 40 */
} CpuFamily;
void cpu_family_register(const CpuFamily *family);
const CpuFamily *cpu_family_find(const char *arch);
/* false, with the error of -cpu; known: const char *, gets a NULL */
bool cpu_unknown_property(const char *name, GPtrArray *known, Error **errp);
#define CPU_FAMILY_REGISTER(family_) \
    static void __attribute__((constructor)) family_##_register(void) { cpu_family_register(&family_); }

/* The A20 gate of the machine (keyboard controller, port 92): all vCPUs see it. */
static inline void cpu_ports_set_a20(bool enabled)
{
    for (unsigned i = 0; i < cpu_port_count(); i++) {
        CpuPort *p = cpu_port(i);
        if (p && p->ops && p->ops->set_a20)
            p->ops->set_a20(p, enabled);
    }
}
static inline void cpu_ports_a20_input(void *opaque, int n, int level) { cpu_ports_set_a20(level != 0); }
/* The gate as a line: connect the "a20" pins of "i8042" and "port92" to it; the last change wins. */
#define CPU_PORTS_A20_IRQ ((Irq){ .set = cpu_ports_a20_input })
#endif
