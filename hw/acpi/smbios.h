/* SPDX-License-Identifier: MIT */
/* SMBIOS 2.8 structures that describe the machine (DMTF DSP0134). */
#ifndef HW_ACPI_SMBIOS_H
#define HW_ACPI_SMBIOS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct SmbiosFacts {
    const char *product, *version, *cpu_version;
    const char *uuid;       /* text form, NULL: none */
    bool bios_info;         /* type 0: only where no firmware describes itself */
    unsigned sockets, cores, threads; /* cores and threads per socket / per core */
    uint64_t below_4g, above_4g;
    uint64_t base;          /* of memory: 0 on a PC */
    bool entry_64;          /* the 64-bit entry point of SMBIOS 3.0: for firmware only, smbios_link() is not for it */
} SmbiosFacts;

/*
 * The structure table, and the entry point (31 bytes, 64-bit form: 24) whose table address is 0 and whose checksums are
 * not yet set.
 */
typedef struct SmbiosBlobs {
    GByteArray *tables, *anchor;
} SmbiosBlobs;
SmbiosBlobs smbios_build(const SmbiosFacts *f);
/* Table at this address: fill in the entry point and its checksums. */
void smbios_link(SmbiosBlobs *b, uint32_t tables_at);
void smbios_blobs_free(SmbiosBlobs *b);
#endif
