/* SPDX-License-Identifier: MIT */
/* SRAT: which CPUs and memory are in which node; SLIT: how far nodes are from each other. */
#include "hw/acpi/numa.h"

#include "base/bits.h"

enum { MEM_ENABLED = 1, MEM_HOT_PLUGGABLE = 2 };

static void put_memory(AcpiBuilder *b, uint64_t base, uint64_t size, unsigned node, uint32_t flags)
{
    acpi_put(b, 2, 0x2801);
    acpi_put(b, 4, node);
    acpi_put(b, 2, 0);
    acpi_put(b, 8, base);
    acpi_put(b, 8, size);
    acpi_put(b, 4, 0);
    acpi_put(b, 4, flags);
    acpi_put(b, 8, 0);
}

/* Nodes take the stretches of RAM one after the other; one that does not fit goes on in the next. */
static void put_ram(AcpiBuilder *b, const AcpiNuma *n)
{
    AcpiRange left[ARRAY_LEN(n->ram)];
    unsigned at = 0;
    memcpy(left, n->ram, sizeof(left));
    for (unsigned node = 0; node < n->config->nodes; node++) {
        uint64_t need = n->config->memory[node];
        while (need && at < ARRAY_LEN(left)) {
            uint64_t take = MIN(need, left[at].size);
            if (take)
                put_memory(b, left[at].base, take, node, MEM_ENABLED);
            left[at].base += take;
            left[at].size -= take;
            need -= take;
            at += left[at].size == 0;
        }
    }
}

static void build_slit(AcpiBuilder *b, const NumaConfig *c)
{
    uint32_t at = acpi_table_begin(b, "SLIT", 1);
    acpi_put(b, 8, c->nodes);
    for (unsigned i = 0; i < c->nodes; i++) {
        for (unsigned k = 0; k < c->nodes; k++)
            acpi_put(b, 1, c->distance[i][k]);
    }
    acpi_table_end(b, at, true);
}

void acpi_build_numa(AcpiBuilder *b, const AcpiNuma *n)
{
    const NumaConfig *c = n->config;
    if (!c)
        return;
    uint32_t at = acpi_table_begin(b, "SRAT", 3);
    acpi_put(b, 4, 1);
    acpi_put(b, 8, 0);
    for (unsigned i = 0; i < n->cpus; i++)
        n->cpu(b, n->board, i, c->cpu_node[i]);
    put_ram(b, n);
    if (n->devices.size) /* each device says its own node when it comes; up to here memory may grow */
        put_memory(b, n->devices.base, n->devices.size, c->nodes - 1, MEM_ENABLED | MEM_HOT_PLUGGABLE);
    acpi_table_end(b, at, true);
    if (c->has_distances)
        build_slit(b, c);
    if (c->hmat)
        acpi_build_hmat(b, c);
}
