/* SPDX-License-Identifier: MIT */
/* The RAM blocks, for those who save, load or dump all memory. */
#ifndef HW_CORE_RAM_H
#define HW_CORE_RAM_H

#include <stdint.h>

typedef struct RamBlock {
    uint64_t start, size; /* in the ram_addr space; size is a multiple of 4096 */
    uint8_t *host;
    char name[40];
} RamBlock;

/* Every block in order of start; the caller's fn must not make or free regions. Includes ROM and flash contents. */
typedef void RamBlockFn(const RamBlock *block, void *opaque);
void ram_foreach_block(RamBlockFn *fn, void *opaque);
#endif
