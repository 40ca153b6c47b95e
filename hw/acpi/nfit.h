/* SPDX-License-Identifier: MIT */
/* Persistent memory modules in ACPI: the NFIT and their root device. */
#ifndef HW_ACPI_NFIT_H
#define HW_ACPI_NFIT_H

#include "hw/acpi/aml.h"
#include "hw/acpi/builder.h"

void acpi_build_nfit(AcpiBuilder *b); /* nothing when there is no module */
void acpi_nfit_aml(Aml *a);           /* the same; inside of the scope \_SB */
#endif
