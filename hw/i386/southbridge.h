/* SPDX-License-Identifier: MIT */
/* South bridges: what a board does with "ICH9-LPC", "PIIX3" and "PIIX4_PM". */
#ifndef HW_I386_SOUTHBRIDGE_H
#define HW_I386_SOUTHBRIDGE_H

#include "hw/acpi/pm.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci-host.h"

/*
 * The board connects output pins "gsi" 0..23 of the bridge to the interrupt lines, then starts it; started, it has an
 * ISA bus whose lines are the board's (isa_bus_init's irq), and answers PCI interrupt routing of its bus.
 */
AcpiPm *ich9_lpc_pm(PciDevice *lpc);
uint16_t ich9_lpc_pmbase(const PciDevice *lpc);
AcpiPm *piix4_pm(PciDevice *pm);
bool piix4_pm_root_hotplug(const PciDevice *pm);

/* Port 0xb2/0xb3: the SMI command. Raises SMI on the CPU that wrote. */
void southbridge_raise_smi(void);
/* Port 0xcf9 semantics shared by both: bit 2 going up resets, bits 1 and 3 are kept. */
uint8_t southbridge_reset_control(uint8_t old, uint8_t value);
#endif
