/* SPDX-License-Identifier: MIT */
/* Between the files of hw/pci: MSI state hooks and the pieces of the common device type. */
#ifndef HW_PCI_PCI_INTERNAL_H
#define HW_PCI_PCI_INTERNAL_H

#include "hw/pci/pci-host.h"

void pci_bars_update(PciDevice *d);
void pci_intx_update(PciDevice *d);
/* The level that `d` drives has changed: swizzle up to the root and count there. */
void pci_bus_drive_intx(PciDevice *d, bool level);

/* Common to bridges: the secondary bus, windows from configuration space, and hooks of their types. */
void pci_bridge_make_bus(PciBridge *b);
void pci_bridge_config_wrote(PciDevice *d, uint32_t at, unsigned size);
void pci_bridge_reset(Device *dev, ResetPhase phase);
bool pci_bridge_loaded(Device *dev, Error **errp);
void pci_bridge_stop(Device *dev);
extern const char *const pci_bridge_provides[];

void msi_config_wrote(PciDevice *d, uint32_t at, unsigned size);
void msi_reset(PciDevice *d);
void msix_config_wrote(PciDevice *d, uint32_t at, unsigned size);
void msix_reset(PciDevice *d);
bool msix_loaded(PciDevice *d, Error **errp);
void msix_free(PciDevice *d);

static inline bool pci_overlaps(uint32_t at, unsigned size, uint32_t reg, unsigned len)
{
    return at < reg + len && reg < at + size;
}
/* Does the guest let it master the bus? */
bool pci_dma_allowed(PciDevice *d);
void pci_dma_start(PciDevice *d);
void pci_dma_update(PciDevice *d); /* bus mastering may have been switched */
void pci_dma_stop(PciDevice *d);
#endif
