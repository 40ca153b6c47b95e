/* SPDX-License-Identifier: MIT */
/* From a board to its ACPI and SMBIOS tables, and these to the guest. */
#ifndef HW_I386_PC_ACPI_H
#define HW_I386_PC_ACPI_H

#include "hw/i386/pc-board.h"

/* The board's facts, from its devices as they are now. */
void pc_acpi_facts(PcBoard *b);
/* Files for the firmware; the tables are built again when it selects one, since it has placed the chipset's registers then. */
bool pc_acpi_setup(PcBoard *b, Error **errp);
bool pc_smbios_setup(PcBoard *b, Error **errp);
/*
 * Without firmware: ACPI and SMBIOS tables into RAM, entry points in 0xf0000-0xfffff, the rest at the top of low RAM. Returns
 * the address of the RSDP and in *reserved how many bytes at the top of low RAM are taken.
 */
uint64_t pc_tables_place(PcBoard *b, uint64_t *reserved);
#define PC_TABLES_RESERVE (256 * KiB)
#endif
