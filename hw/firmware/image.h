/* SPDX-License-Identifier: MIT */
/* Firmware images for bare machines: ELF, Intel hex, Motorola S-records, UF2, raw. */
#ifndef HW_FIRMWARE_IMAGE_H
#define HW_FIRMWARE_IMAGE_H

#include <glib.h>
#include "base/error.h"
#include "hw/core/memory.h"

typedef struct ImagePiece {
    uint64_t addr;
    GBytes *data;
    uint64_t zeros;      /* bytes behind the data */
} ImagePiece;

typedef struct FirmwareImage {
    char *what;          /* "kernel 'x.elf'": for messages */
    const char *format;
    GArray *pieces;      /* of ImagePiece, in the file's order */
    bool has_entry;      /* ELF, hex and S-record may name one */
    uint64_t entry;
    unsigned machine;    /* ELF: e_machine, else 0 */
    bool raw, is64, big; /* the latter two: ELF */
} FirmwareImage;

/*
 * Read and take apart a file; `object` ("kernel", "loader file") names it in errors. A file of no known format is raw
 * and is placed at raw_base; force_raw: do not look at the format. ELF symbols of functions are added to
 * base/symbols.h.
 */
FirmwareImage *image_read(const char *object, const char *path, uint64_t raw_base, bool force_raw, Error **errp);
/*
 * The same of bytes that were read already. Files of no known format: NULL without an error if raw_base is
 * IMAGE_NO_RAW.
 */
#define IMAGE_NO_RAW UINT64_MAX
FirmwareImage *image_parse(const char *object, const char *path, GBytes *file, uint64_t raw_base, bool force_raw,
                           Error **errp);
void image_free(FirmwareImage *i);
/* Its entry, or where it begins. */
uint64_t image_start(const FirmwareImage *i);
/* Does all of it lie in RAM or ROM of `as`? The error names the piece. */
bool image_check(const FirmwareImage *i, AddressSpace *as, Error **errp);
/* Place it (machine paused, at each reset). */
void image_place(const FirmwareImage *i, AddressSpace *as);
#endif
