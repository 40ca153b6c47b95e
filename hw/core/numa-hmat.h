/* SPDX-License-Identifier: MIT */
/* How fast memory is, and what caches stand before it: -numa hmat-lb, hmat-cache. */
#ifndef HW_CORE_NUMA_HMAT_H
#define HW_CORE_NUMA_HMAT_H

#include "hw/core/numa.h"

/*
 * The numbers are those of ACPI 6.4, tables 5.59 and 5.60: memory, then caches of levels 1 to 3; latencies, then
 * bandwidths.
 */
enum {
    HMAT_HIERARCHIES = 4,
    HMAT_DATA_TYPES = 6,
    HMAT_FIRST_BANDWIDTH = 3,
    HMAT_CACHE_LEVELS = 3,
    HMAT_NO_INITIATOR = 0xff
};

typedef struct NumaCache {
    uint64_t size; /* 0: there is none */
    uint8_t associativity, policy;
    uint16_t line;
} NumaCache;

typedef struct NumaHmat {
    /*
     * From node i to node t: [i * NUMA_NODES_MAX + t]; ns, or bytes in a second; 0: nothing is known. NULL: nothing of
     * that kind.
     */
    uint64_t *value[HMAT_HIERARCHIES][HMAT_DATA_TYPES];
    NumaCache cache[NUMA_NODES_MAX][HMAT_CACHE_LEVELS];
    uint8_t initiator[NUMA_NODES_MAX]; /* whose CPUs are nearest to the memory */
} NumaHmat;
#endif
