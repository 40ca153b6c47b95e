/* SPDX-License-Identifier: MIT */
/* ACPI tables of the virt machine. */
#ifndef HW_ARM_VIRT_ACPI_H
#define HW_ARM_VIRT_ACPI_H

#include "hw/acpi/tables.h"
#include "hw/arm/virt.h"

AcpiBlobs virt_acpi_build(const VirtFacts *v);
GByteArray *virt_acpi_dsdt(const VirtFacts *v); /* the body of the DSDT */
#endif
