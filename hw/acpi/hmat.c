/* SPDX-License-Identifier: MIT */
/* HMAT: latency and bandwidth between nodes, and caches before their memory (ACPI 6.4 section 5.2.27). */
#include "base/bits.h"
#include "hw/acpi/numa.h"
#include "hw/core/numa-hmat.h"

enum { PROXIMITY = 0, LATENCY_BANDWIDTH = 1, CACHE = 2, INITIATOR_VALID = 1, UNREACHABLE = 0xffff };
#define PS_PER_NS 1000
#define BANDWIDTH_UNIT MiB

static void put_header(AcpiBuilder *b, unsigned type, uint32_t len)
{
    acpi_put(b, 2, type);
    acpi_put(b, 2, 0);
    acpi_put(b, 4, len);
}

static void put_proximity(AcpiBuilder *b, const NumaConfig *c)
{
    for (unsigned i = 0; i < c->nodes; i++) {
        uint8_t from = c->hmat->initiator[i];
        put_header(b, PROXIMITY, 40);
        acpi_put(b, 2, from == HMAT_NO_INITIATOR ? 0 : INITIATOR_VALID);
        acpi_put(b, 2, 0);
        acpi_put(b, 4, from == HMAT_NO_INITIATOR ? 0 : from);
        acpi_put(b, 4, i);
        acpi_put(b, 4, 0);
        acpi_put(b, 8, 0);
        acpi_put(b, 8, 0);
    }
}

/* An entry has 16 bits: the unit grows until the largest value fits. */
static uint64_t unit_of(const uint64_t *value, uint64_t least)
{
    uint64_t most = 0, unit = least;
    for (unsigned i = 0; i < NUMA_NODES_MAX * NUMA_NODES_MAX; i++)
        most = MAX(most, value[i]);
    while (most / unit >= UNREACHABLE - 1)
        unit *= 10;
    return unit;
}

/* To the nearest; what is known stays known. */
static uint64_t entry_of(uint64_t value, uint64_t unit) { return value ? MAX((value + unit / 2) / unit, 1) : 0; }

static void put_values(AcpiBuilder *b, const NumaConfig *c, unsigned hierarchy, unsigned type, const uint64_t *value)
{
    bool bandwidth = type >= HMAT_FIRST_BANDWIDTH, from[NUMA_NODES_MAX] = { false };
    unsigned initiators = 0;
    for (unsigned i = 0; i < c->nodes; i++) {
        for (unsigned t = 0; t < c->nodes; t++)
            from[i] |= value[i * NUMA_NODES_MAX + t] != 0;
        initiators += from[i];
    }
    uint64_t unit = unit_of(value, bandwidth ? BANDWIDTH_UNIT : 1);
    put_header(b, LATENCY_BANDWIDTH, 32 + 4 * (initiators + c->nodes) + 2 * initiators * c->nodes);
    acpi_put(b, 1, hierarchy);
    acpi_put(b, 1, type);
    acpi_put(b, 2, 0);
    acpi_put(b, 4, initiators);
    acpi_put(b, 4, c->nodes);
    acpi_put(b, 4, 0);
    acpi_put(b, 8, bandwidth ? unit / BANDWIDTH_UNIT : unit * PS_PER_NS);
    for (unsigned i = 0; i < c->nodes; i++) {
        if (from[i])
            acpi_put(b, 4, i);
    }
    for (unsigned t = 0; t < c->nodes; t++)
        acpi_put(b, 4, t);
    for (unsigned i = 0; i < c->nodes; i++) {
        for (unsigned t = 0; from[i] && t < c->nodes; t++)
            acpi_put(b, 2, entry_of(value[i * NUMA_NODES_MAX + t], unit));
    }
}

static void put_caches(AcpiBuilder *b, unsigned node, const NumaCache *cache)
{
    unsigned levels = 0;
    for (unsigned i = 0; i < HMAT_CACHE_LEVELS; i++)
        levels += cache[i].size != 0;
    for (unsigned i = 0; i < HMAT_CACHE_LEVELS; i++) {
        if (!cache[i].size)
            continue;
        put_header(b, CACHE, 32);
        acpi_put(b, 4, node);
        acpi_put(b, 4, 0);
        acpi_put(b, 8, cache[i].size);
        acpi_put(b, 4,
                 levels | (i + 1) << 4 | (uint32_t)cache[i].associativity << 8 | (uint32_t)cache[i].policy << 12 |
                     (uint32_t)cache[i].line << 16);
        acpi_put(b, 2, 0);
        acpi_put(b, 2, 0);
    }
}

void acpi_build_hmat(AcpiBuilder *b, const NumaConfig *c)
{
    uint32_t at = acpi_table_begin(b, "HMAT", 2);
    acpi_put(b, 4, 0);
    put_proximity(b, c);
    for (unsigned h = 0; h < HMAT_HIERARCHIES; h++) {
        for (unsigned t = 0; t < HMAT_DATA_TYPES; t++) {
            if (c->hmat->value[h][t])
                put_values(b, c, h, t, c->hmat->value[h][t]);
        }
    }
    for (unsigned i = 0; i < c->nodes; i++)
        put_caches(b, i, c->hmat->cache[i]);
    acpi_table_end(b, at, true);
}
