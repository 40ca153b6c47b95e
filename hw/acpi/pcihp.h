/* SPDX-License-Identifier: MIT */
/*
 * ACPI hot plug of a PCI bus: the registers that the DSDT's methods use, as QEMU has them (its
 * docs/specs/acpi_pci_hotplug).
 */
#ifndef HW_ACPI_PCIHP_H
#define HW_ACPI_PCIHP_H

#include "hw/pci/pci-host.h"

enum {
    ACPI_PCIHP_PORT_PC = 0xae00,
    ACPI_PCIHP_SIZE = 0x18,
    ACPI_PCIHP_GPE = 1,
    ACPI_PCIHP_UP = 0x00,
    ACPI_PCIHP_DOWN = 0x04,
    ACPI_PCIHP_EJECT = 0x08,
    ACPI_PCIHP_REMOVABLE = 0x0c,
    ACPI_PCIHP_SELECT = 0x10,
};

/*
 * Embedded in the power management function; its domain is held in all calls but init. Bus 0 is the only one that can
 * be selected.
 */
typedef struct AcpiPciHp {
    PciBus *bus;
    Device *owner;
    MemRegion *region;
    uint32_t up, down, select;
    void (*raise)(Device *owner, unsigned gpe); /* sets the bit of GPE0 */
} AcpiPciHp;

/* The owner maps and frees region; it belongs to its Device.region[]. */
MemRegion *acpi_pcihp_init(AcpiPciHp *h, Device *owner, PciBus *bus, void (*raise)(Device *owner, unsigned gpe));
void acpi_pcihp_reset(AcpiPciHp *h);

#define ACPI_PCIHP_STATE(T, f) STATE_U32(T, f.up), STATE_U32(T, f.down), STATE_U32(T, f.select)
#endif
