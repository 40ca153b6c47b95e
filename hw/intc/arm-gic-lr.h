/* SPDX-License-Identifier: MIT */
/*
 * List registers, which hold the interrupts of a VM, as GICv2 and GICv3 share them (IHI 0048B section 5.3, IHI 0069G
 * section 12.4).
 */
#ifndef HW_INTC_ARM_GIC_LR_H
#define HW_INTC_ARM_GIC_LR_H

#include <stdbool.h>
#include <stdint.h>

/* GICH_HCR, ICH_HCR_EL2 and GICH_VMCR, ICH_VMCR_EL2: the bits that are the same in both. */
enum {
    HCR_EN = 1,
    HCR_UIE = 2,
    HCR_LRENPIE = 4,
    HCR_NPIE = 8,
    HCR_G0E = 0x10,
    HCR_G0D = 0x20,
    HCR_G1E = 0x40,
    HCR_G1D = 0x80
};
enum { VM_G0 = 1, VM_G1 = 2, VM_ACK_CTL = 4, VM_FIQ_EN = 8, VM_CBPR = 0x10, VM_EOIMODE = 0x200 };

/* The registers of a CPU, taken apart. */
typedef struct GicLr { bool pending, active, hw, group1, eoi; uint8_t priority; } GicLr;
typedef struct GicLrs { unsigned count; GicLr lr[16]; } GicLrs;

int gic_lr_highest(GicLrs l, uint32_t vmcr); /* whose interrupt a VM would take; -1: none */
/* The maintenance interrupt's registers. */
uint32_t gic_lr_eisr(GicLrs l);
uint32_t gic_lr_elrsr(GicLrs l);
uint32_t gic_lr_misr(GicLrs l, uint32_t hcr, uint32_t vmcr);
#endif
