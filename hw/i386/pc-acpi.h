/* SPDX-License-Identifier: MIT */
/* From a board to its ACPI and SMBIOS tables, and these to the guest. */
#ifndef HW_I386_PC_ACPI_H
#define HW_I386_PC_ACPI_H

#include "hw/i386/pc-board.h"

/* The board's facts, from its devices as they are now. */
void pc_acpi_facts(PcBoard *b);
/*
 * Files for the firmware; the tables are built again when it selects one, since it has placed the chipset's registers
 * then.
 */
bool pc_acpi_setup(PcBoard *b, Error **errp);
bool pc_smbios_setup(PcBoard *b, Error **errp);
/*
 * Without firmware: ACPI and SMBIOS tables into RAM. Entry points lie in 0xf0000-0xfffff (the RSDP at PC_RSDP_AT), the
 * rest in the last PC_TABLES_RESERVE bytes of low RAM.
 */
#define PC_RSDP_AT 0xf0000u
#define PC_TABLES_RESERVE (256 * KiB)
void pc_tables_place(PcBoard *b);
#endif
