/* SPDX-License-Identifier: MIT */
/* Where the host memory of a RAM region comes from: what -object memory-backend-* and the machine's options choose. */
#ifndef HW_CORE_RAM_SOURCE_H
#define HW_CORE_RAM_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "hw/core/memory.h"

enum { RAM_NODES_MAX = 128 };
/* mbind()'s modes */
typedef enum RamPolicy { RAM_POLICY_DEFAULT, RAM_POLICY_PREFERRED, RAM_POLICY_BIND, RAM_POLICY_INTERLEAVE } RamPolicy;

typedef struct RamSource {
    int fd;                    /* -1: anonymous; taken over when the region is made */
    bool shared, readonly, pmem;
    bool merge, dump;          /* KSM may merge its pages; core dumps contain it */
    bool reserve, prealloc;    /* swap or huge pages are reserved; all pages are there from the start */
    uint32_t prealloc_threads; /* at least 1 */
    uint64_t page_size;        /* of the file system behind fd; 0: the host's */
    uint64_t align;            /* of the mapping; 0: as is best */
    /* mapped already, of a device of the host (taken over, as fd): no memory that is saved or given back; else NULL */
    uint8_t *host;
    RamPolicy policy;
    uint64_t nodes[RAM_NODES_MAX / 64]; /* host nodes of the policy */
} RamSource;

/* Private anonymous memory with the machine's defaults. */
RamSource ram_source_default(void);
/* -machine mem-merge=, dump-guest-core=: of all regions made from now on. */
void ram_source_set_defaults(bool merge, bool dump);
/* As mem_ram_new(). */
MemRegion *mem_ram_new_from(const char *name, uint64_t size, RamSource *src, Error **errp);
#endif
