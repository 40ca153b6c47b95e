/* SPDX-License-Identifier: MIT */
/* What boards (hw/machine) use of Arm CPUs. */
#ifndef TARGET_ARM_BOARD_H
#define TARGET_ARM_BOARD_H

#include "hw/core/cpu-port.h"
#include "hw/core/irq.h"
#include "hw/core/machine.h"

typedef enum ArmPsci { ARM_PSCI_NONE, ARM_PSCI_HVC, ARM_PSCI_SMC } ArmPsci;

/* Set before the CPUs are made (cpu_family_find("aarch64" | "arm")->create); the same for all. Zero is the default. */
typedef struct ArmBoardCpus {
    bool el2, el3;             /* let the model's EL2 / EL3 be seen (virtualization=on, secure=on) */
    ArmPsci psci;
    bool mte;                  /* let FEAT_MTE2 (tag memory) be seen */
    bool secondaries_off;      /* CPUs but the first stand powered off until PSCI or arm_board_cpu_on() */
    uint64_t reset_cbar;       /* peripheral base (CBAR) */
    uint64_t cntfrq;           /* Hz; 0: the model's */
    uint64_t rvbar;            /* reset address with firmware */
    bool hivecs, big_endian;
    uint32_t m_init_svtor, m_init_nsvtor, m_cpuclk_hz, m_refclk_hz; /* M-profile */
    unsigned m_irqs, m_prio_bits, m_mpu_regions, m_sau_regions;     /* 0: the model's */
    /* M-profile: where the map shows 4 GiB as Non-secure transactions see them; 0: as all others do */
    uint64_t m_ns_window;
    /* of what Non-secure accesses do not find (external abort); size 0: none */
    struct { uint64_t base, size; } secure_only[4];
} ArmBoardCpus;
void arm_board_configure(const ArmBoardCpus *b);

/*
 * After create: outputs of CPU `index`. Timer: 0 physical, 1 virtual, 2 EL2 physical, 3 secure physical, 4 EL2 virtual.
 */
void arm_board_timer_irq(unsigned index, unsigned timer, Irq to);
void arm_board_pmu_irq(unsigned index, Irq to);
/*
 * -cpu ...,kvm-steal-time=on: the board maps ARM_STEAL_SIZE bytes of RAM at `at` for it (kernel documentation:
 * virt/kvm/arm/pvtime.rst).
 */
enum { ARM_STEAL_SIZE = 0x10000 };
bool arm_board_wants_steal_time(void); /* the CPUs are made */
void arm_board_steal_time(uint64_t at);
/* Any thread: start CPU `index` at pc in the highest EL that the boot protocol leaves to the kernel; x0 = context. */
void arm_board_cpu_on(unsigned index, uint64_t pc, uint64_t context);

/*
 * M-profile: external interrupt n of CPU index's NVIC; and the System Control Space etc. are mapped into `container` by
 * create().
 */
Irq arm_board_nvic_input(unsigned index, unsigned n);
Irq arm_board_nvic_nmi(unsigned index);
/* Any thread: an M-profile CPU that stands powered off leaves reset, with its (Secure) vector table at vtor. */
void arm_board_m_cpu_on(unsigned index, uint32_t vtor);
/* SoCs with an IDAU: is addr secure / non-secure callable / exempt? NULL: SAU alone. */
typedef struct ArmIdau { bool secure, callable, exempt; int region; } ArmIdau;
void arm_board_set_idau(ArmIdau (*idau)(void *opaque, uint32_t addr), void *opaque);
#endif
