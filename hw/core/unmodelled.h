/* SPDX-License-Identifier: MIT */
/* Ranges that a board decodes, but whose device is not modelled: named in the log, once in a while. */
#ifndef HW_CORE_UNMODELLED_H
#define HW_CORE_UNMODELLED_H

#include "hw/core/memory.h"

/* A board has a table of them, ended by name NULL. */
typedef struct UnmodelledRange {
    const char *name;
    hwaddr base;
    uint64_t size;
    bool io;    /* in the space of I/O ports */
    bool quiet; /* by design: delay ports */
} UnmodelledRange;

/*
 * A region of u->size bytes that reads as `reads` (cut to the access's size) and ignores writes. *u must live as long.
 */
MemRegion *unmodelled_new(const UnmodelledRange *u, uint64_t reads);
#endif
