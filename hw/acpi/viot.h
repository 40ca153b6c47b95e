/* SPDX-License-Identifier: MIT */
/* The ACPI table of a virtio-iommu. */
#ifndef HW_ACPI_VIOT_H
#define HW_ACPI_VIOT_H

#include "hw/acpi/builder.h"

/* For boards' tables; without an IOMMU on the first PCI bus: nothing. */
void acpi_build_viot(AcpiBuilder *b);
#endif
