/* SPDX-License-Identifier: MIT */
/* The registers and the AML by which a guest learns of CPUs that come and go. */
#ifndef HW_ACPI_CPU_HOTPLUG_H
#define HW_ACPI_CPU_HOTPLUG_H

#include "hw/acpi/aml.h"
#include "hw/acpi/platform.h"
#include "hw/core/device.h"

/* Device "acpi-cpu-hotplug": region 0 are its registers; pin "event": something happened. */
enum { ACPI_CPUHP_SIZE = 12, ACPI_CPUHP_PORT_PC = 0xaf00, ACPI_CPUHP_PORT_Q35 = 0x0cd8, ACPI_CPUHP_GPE = 2 };

/*
 * The devices of all CPUs (p->cpu_hotplug_port is not 0) and \_SB.CPUS.CSCN, which looks at all of them. Inside of the
 * scope \_SB.
 */
void acpi_cpu_hotplug_aml(Aml *a, const AcpiPlatform *p);
#endif
