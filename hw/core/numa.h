/* SPDX-License-Identifier: MIT */
/* NUMA nodes of the guest, as -numa asks for them. */
#ifndef HW_CORE_NUMA_H
#define HW_CORE_NUMA_H

#include <stdbool.h>
#include <stdint.h>

enum { NUMA_NODES_MAX = 128, NUMA_DISTANCE_LOCAL = 10, NUMA_DISTANCE_REMOTE = 20, NUMA_UNREACHABLE = 255 };

typedef struct NumaConfig {
    unsigned nodes;                  /* at least 1 */
    uint64_t memory[NUMA_NODES_MAX]; /* of the RAM that -m sizes, in order of nodes; the sum is ram_size */
    bool has_distances;              /* else firmware says nothing and the guest assumes 10 and 20 */
    uint8_t distance[NUMA_NODES_MAX][NUMA_NODES_MAX];
    struct NumaHmat *hmat;           /* hw/core/numa-hmat.h; NULL: nothing is known */
    uint8_t *cpu_node;               /* of CPUs 0 to max_cpus - 1 */
} NumaConfig;
#endif
