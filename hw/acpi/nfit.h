/* SPDX-License-Identifier: MIT */
/*
 * Persistent memory modules in ACPI: the NFIT, their root device, and the registers by which its methods learn of
 * modules that come later.
 */
#ifndef HW_ACPI_NFIT_H
#define HW_ACPI_NFIT_H

#include "hw/acpi/aml.h"
#include "hw/acpi/builder.h"
#include "hw/core/memory.h"
#include "hw/core/state.h"

void acpi_build_nfit(AcpiBuilder *b); /* nothing when there is no module */
/*
 * \_SB.NVDR with a device for each slot and the method CAME, which tells the system to look again. Inside of the scope
 * \_SB.
 */
void acpi_nfit_aml(Aml *a, unsigned slots, AmlSpace space, uint64_t base);

/* The registers are ours: nobody but those methods uses them. */
enum { ACPI_NVDIMM_SIZE = 0x14, ACPI_NVDIMM_PORT = 0xa18, ACPI_NVDIMM_GPE = 4 };
typedef struct AcpiFit {
    GByteArray *table; /* the NFIT's structures as they were when the system began to read them */
    uint32_t at, slot;
} AcpiFit;
extern const MemOps acpi_fit_ops; /* opaque: an AcpiFit */
extern const StateField acpi_fit_state[];
void acpi_fit_init(AcpiFit *f);
void acpi_fit_reset(AcpiFit *f);
void acpi_fit_free(AcpiFit *f);
#endif
