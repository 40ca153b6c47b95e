/* SPDX-License-Identifier: MIT */
/* ACPI tables of NUMA nodes: SRAT and SLIT (ACPI 6.4 sections 5.2.16 and 5.2.17). */
#ifndef HW_ACPI_NUMA_H
#define HW_ACPI_NUMA_H

#include "hw/acpi/builder.h"
#include "hw/core/numa.h"

/* A stretch of guest RAM, in the order in which nodes take it; and of memory devices. */
typedef struct AcpiRange { uint64_t base, size; } AcpiRange;
/* One CPU's entry. */
typedef void AcpiCpuAffinityFn(AcpiBuilder *b, const void *board, unsigned cpu, uint8_t node);
typedef struct AcpiNuma {
    const NumaConfig *config; /* NULL: no tables */
    AcpiRange ram[2];
    AcpiRange devices;        /* size 0: none */
    unsigned cpus;
    AcpiCpuAffinityFn *cpu;
    const void *board;
} AcpiNuma;
void acpi_build_hmat(AcpiBuilder *b, const NumaConfig *c); /* c->hmat is there; section 5.2.27 */
void acpi_build_numa(AcpiBuilder *b, const AcpiNuma *n);
#endif
