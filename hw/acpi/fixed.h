/* SPDX-License-Identifier: MIT */
/*
 * "acpi-pm": ACPI fixed hardware for boards without a chipset. Region 0 is mapped by the machine; pin "sci" is level.
 */
#ifndef HW_ACPI_FIXED_H
#define HW_ACPI_FIXED_H

#include "hw/acpi/pm.h"

enum { ACPI_FIXED_SIZE = 0x20, ACPI_FIXED_RESET = 0x10, ACPI_FIXED_RESET_VALUE = 0x42 };

AcpiPm *acpi_fixed_pm(Device *d);
#endif
