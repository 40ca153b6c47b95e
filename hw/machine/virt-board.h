/* SPDX-License-Identifier: MIT */
/*
 * The virt machine between its files: virt.c (options, memory map), virt-devices.c (parts), virt-boot.c (device tree,
 * tables, kernel).
 */
#ifndef HW_MACHINE_VIRT_BOARD_H
#define HW_MACHINE_VIRT_BOARD_H

#include "hw/arm/virt.h"
#include "hw/core/machine.h"
#include "hw/firmware/arm.h"
#include "hw/firmware/fw_cfg.h"
#include "hw/pci/gpex.h"

enum { VIRT_REDIST_LOW_CPUS = VIRT_GIC_REDIST_SIZE / 0x20000 }; /* whose redistributors lie below RAM */

typedef struct VirtBoard {
    Machine machine;
    /* -machine properties */
    int gic_version, iommu, irqchip;
    bool secure, virtualization, highmem, high_ecam, high_mmio, high_redist, its, mte, usb, ras, randomness;
    char *dumpdtb;
    /* Parts */
    VirtFacts facts;
    uint32_t *mpidr;
    char *cpu_name;
    Device *gic, *flash[2], *key;
    Gpex *pcie;
    FwCfg *fw;
    MemRegion *secure_ram, *steal, *pio, *mmio, *mmio_high, *nothing, *nothing_high;
    ArmBoot *boot;
    GBytes *dtb; /* with firmware: at the start of RAM */
} VirtBoard;

bool virt_refuse(VirtBoard *b, Error **errp, const char *why);
/* In this order; the ranges above RAM are chosen before the devices. */
bool virt_add_ram(VirtBoard *b, Error **errp);
bool virt_add_cpus(VirtBoard *b, Error **errp);
bool virt_add_devices(VirtBoard *b, Error **errp);
/* Load what starts; and, once all devices are there, describe the machine to it. */
bool virt_load(VirtBoard *b, Error **errp);
bool virt_describe(VirtBoard *b, Error **errp);
#endif
