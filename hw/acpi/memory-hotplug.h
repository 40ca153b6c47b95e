/* SPDX-License-Identifier: MIT */
/* The registers and the AML by which a guest learns of memory in slots that comes and goes. */
#ifndef HW_ACPI_MEMORY_HOTPLUG_H
#define HW_ACPI_MEMORY_HOTPLUG_H

#include "hw/acpi/aml.h"
#include "hw/core/device.h"

/*
 * Device "acpi-memory-hotplug": region 0 are its registers, region 1 the selector of a generic event device, region 2
 * the registers of hw/acpi/nfit.h. Pins: "event": something happened to a slot; "nvdimm": a persistent module came.
 */
enum {
    ACPI_MEMHP_SIZE = 0x18,
    ACPI_GED_SIZE = 4,
    ACPI_MEMHP_PORT = 0xa00,
    ACPI_MEMHP_GPE = 3,
    ACPI_GED_MEMORY = 1,
    ACPI_GED_NVDIMM = 4
};

/* Devices for `slots` slots and the method \_SB.MHPC.MSCN, which looks at all of them. Inside of the scope \_SB. */
void acpi_memory_hotplug_aml(Aml *a, unsigned slots, AmlSpace space, uint64_t base);
#endif
