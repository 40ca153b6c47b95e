/* SPDX-License-Identifier: MIT */
/* Building ACPI tables: what the tables of PCs and of other boards are written with. */
#ifndef HW_ACPI_BUILDER_H
#define HW_ACPI_BUILDER_H

#include "hw/acpi/tables.h"

enum { ACPI_HEADER_SIZE = 36, ACPI_MAX_TABLES = 16, ACPI_GAS_MEMORY = 0, ACPI_GAS_IO = 1 };

typedef struct AcpiBuilder {
    const AcpiPlatform *p; /* of a PC */
    AcpiBlobs out;
    uint32_t table[ACPI_MAX_TABLES]; /* offsets of what RSDT and XSDT list */
    unsigned tables;
} AcpiBuilder;

void acpi_builder_init(AcpiBuilder *b);
/* Adds XSDT, RSDP and, with_rsdt, the RSDT, whose pointers keep the tables below 4 GiB. The caller owns the result. */
AcpiBlobs acpi_builder_finish(AcpiBuilder *b, bool with_rsdt);

/* A table is begun, filled and ended; `listed`: RSDT and XSDT point to it. The result of begin is its offset. */
uint32_t acpi_table_begin(AcpiBuilder *b, const char *signature, uint8_t revision);
void acpi_table_end(AcpiBuilder *b, uint32_t at, bool listed);
static inline GByteArray *acpi_blob(AcpiBuilder *b) { return b->out.tables; }
void acpi_put(AcpiBuilder *b, unsigned size, uint64_t v); /* little-endian, 1 to 8 bytes */
void acpi_put_zeros(AcpiBuilder *b, unsigned n);
void acpi_put_text(AcpiBuilder *b, const char *text, unsigned len);
/* A pointer of the present table to `target` in the same blob. */
void acpi_put_pointer(AcpiBuilder *b, unsigned size, uint32_t target);
/* Generic address structure; address 0: all zero. */
void acpi_put_gas(AcpiBuilder *b, uint8_t space, uint8_t bits, uint8_t access, uint64_t address);
#endif
