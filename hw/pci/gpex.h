/* SPDX-License-Identifier: MIT */
/* The generic PCI Express host bridge, as boards use it. */
#ifndef HW_PCI_GPEX_H
#define HW_PCI_GPEX_H

#include "hw/pci/pci-host.h"

enum { GPEX_LINES = 4 };

/*
 * "gpex-pcihost": ECAM (region[0]), memory space of the bus, PIO space (the machine's I/O container), four interrupt
 * lines (output pins "irq"). Fields are set between device_new and device_start; without spaces the bridge has no bus.
 */
typedef struct Gpex {
    Device dev; /* always first */
    uint32_t buses;         /* 1..256, property "buses" */
    MemRegion *io;          /* I/O ports */
    MemRegion *dma_region;  /* what bus masters see */
    AddressSpace *dma;
    hwaddr msi_first, msi_last; /* as in PciBus */
    PciBus bus;
    MemRegion *mem;         /* made by start: PCI memory addresses; the board maps windows (aliases) of it */
} Gpex;

/*
 * What answers where no BAR lies: reads of all ones, writes to nowhere (PCIe 4.0 section 2.3.2). The board maps it
 * below its windows.
 */
MemRegion *gpex_background_new(uint64_t size);
/* After start: the root complex's own function at 00.0. */
bool gpex_add_root(Gpex *g, Error **errp);
#endif
