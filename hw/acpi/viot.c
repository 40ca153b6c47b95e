/* SPDX-License-Identifier: MIT */
/*
 * VIOT: which PCI functions the virtio-iommu translates (the Virtual I/O Translation table, ACPI 6.5 section 5.2.33).
 */
#include "base/bits.h"
#include "hw/acpi/viot.h"
#include "hw/pci/pci-host.h"

enum { NODE_PCI_RANGE = 1, NODE_PCI_IOMMU = 3, NODES_AT = ACPI_HEADER_SIZE + 12, RANGE_SIZE = 24, IOMMU_SIZE = 16 };

void acpi_build_viot(AcpiBuilder *b)
{
    Bus *bus = bus_find_kind("pci");
    const PciDevice *iommu = bus ? pci_bus_root(container_of(bus, PciBus, bus))->iommu_device : NULL;
    if (!iommu)
        return;
    uint32_t at = acpi_table_begin(b, "VIOT", 0);
    acpi_put(b, 2, 2);           /* nodes */
    acpi_put(b, 2, NODES_AT);
    acpi_put(b, 8, 0);
    acpi_put(b, 1, NODE_PCI_IOMMU);
    acpi_put(b, 1, 0);
    acpi_put(b, 2, IOMMU_SIZE);
    acpi_put(b, 2, 0);           /* segment */
    acpi_put(b, 2, iommu->devfn);
    acpi_put(b, 8, 0);
    acpi_put(b, 1, NODE_PCI_RANGE);
    acpi_put(b, 1, 0);
    acpi_put(b, 2, RANGE_SIZE);
    acpi_put(b, 4, 0);           /* the id of the first */
    acpi_put(b, 2, 0);           /* first and last segment */
    acpi_put(b, 2, 0);
    acpi_put(b, 2, 0);           /* first and last function */
    acpi_put(b, 2, 0xffff);
    acpi_put(b, 2, NODES_AT);    /* the node that translates */
    acpi_put(b, 6, 0);
    acpi_table_end(b, at, true);
}
