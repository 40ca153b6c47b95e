/* SPDX-License-Identifier: MIT */
/* The Arm generic interrupt controllers as boards use them: inputs, frames, MSI. */
#ifndef HW_INTC_ARM_GIC_H
#define HW_INTC_ARM_GIC_H

#include "hw/core/device.h"

enum { GIC_INTERNAL = 32 /* SGIs and PPIs of each CPU */, GIC_MAINTENANCE_PPI = 25 };

/*
 * "arm_gic" (GICv2): regions 0 distributor, 1 CPU interface; with virtualization also 2 GICH, 3 GICV. Made after the
 * CPUs: start() takes their ports. Properties num-cpu, num-irq (32 internal ones included), has-security-extensions,
 * has-virtualization-extensions.
 */
Irq arm_gic_spi(Device *gic, unsigned n);               /* n from 0 */
Irq arm_gic_ppi(Device *gic, unsigned cpu, unsigned n); /* n: interrupt id 16..31 */
/* A kernel is booted directly in Non-secure state: every interrupt is reset into group 1. */
void arm_gic_reset_nonsecure(Device *gic);
/*
 * Where its frames are mapped: an accelerator that runs the GIC makes its own there, and may refuse. Nothing else
 * otherwise.
 */
bool arm_gic_place(Device *gic, hwaddr dist, hwaddr cpu, Error **errp);

/* "arm-gicv3": regions 0 distributor, 1.. redistributors. The same, for GICv3; property lists in arm-gicv3.c. */
Irq arm_gicv3_spi(Device *gic, unsigned n);
Irq arm_gicv3_ppi(Device *gic, unsigned cpu, unsigned n);
void arm_gicv3_reset_nonsecure(Device *gic);
/* as arm_gicv3_map_redistributors() */
bool arm_gicv3_place(Device *gic, hwaddr dist, hwaddr low, unsigned low_count, hwaddr high, Error **errp);

/* "arm-gicv2m": an MSI frame (SBSA appendix E): region 0; "spi" output pins in order from its base-spi. */

void arm_gicv3_map_redistributors(Device *gic, MemRegion *into, hwaddr low, unsigned low_count, hwaddr high);

/* "arm-gicv3-its": region 0 (128 KiB); property parent-gicv3. */
bool arm_gicv3_its_place(Device *its, hwaddr at, Error **errp); /* as arm_gicv3_place() */
#endif
