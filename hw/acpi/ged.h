/* SPDX-License-Identifier: MIT */
/* "acpi-ged": generic event device and sleep registers of hardware-reduced ACPI (ACPI 6.4 sections 4.8.3.7 and 5.6.9). */
#ifndef HW_ACPI_GED_H
#define HW_ACPI_GED_H

#include "hw/core/device.h"

#define GED_SIZE 0x300
enum { GED_SELECTOR = 0x000, GED_SLEEP_CTL = 0x200, GED_SLEEP_STS = 0x201, GED_RESET = 0x202 };
enum { GED_EVENT_POWER_BUTTON = 2, GED_RESET_VALUE = 0x42, GED_SLEEP_S5 = 5 };

/* Pin "irq" is up while an event waits to be read. Region 0 is mapped by the machine. Caller holds no lock. */
void ged_power_button(Device *ged);
#endif
