/* SPDX-License-Identifier: MIT */
/* ACPI tables of a board: built once, delivered by firmware (loader script) or placed in RAM directly. */
#ifndef HW_ACPI_TABLES_H
#define HW_ACPI_TABLES_H

#include "hw/acpi/aml.h"
#include "hw/acpi/platform.h"

/* Names of the fw_cfg files that the loader script speaks of. */
#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_RSDP "etc/acpi/rsdp"
#define ACPI_FILE_LOADER "etc/table-loader"

/*
 * Three blobs: all tables but the RSDP (pointers hold offsets inside the blob, checksums are open), the RSDP, and the
 * script of 128-byte commands that makes them whole at the addresses that the firmware chooses.
 */
typedef struct AcpiBlobs {
    GByteArray *tables, *rsdp, *loader;
} AcpiBlobs;
AcpiBlobs acpi_build(const AcpiPlatform *p);
void acpi_blobs_free(AcpiBlobs *b);
/* Carry out the script ourselves: the blobs are whole for these addresses. */
void acpi_link(AcpiBlobs *b, uint64_t tables_at, uint64_t rsdp_at);

/* The differentiated system description table's body, header not included. */
GByteArray *acpi_build_dsdt(const AcpiPlatform *p);
/* A CPU's entry in the MADT, enabled or not. */
GByteArray *acpi_madt_cpu(const AcpiPlatform *p, unsigned i, bool enabled);
typedef struct Aml Aml;
void acpi_dsdt_pcihp(Aml *a, const AcpiPlatform *p); /* its part for ACPI hot plug of PCI */
#endif
