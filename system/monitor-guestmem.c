/* SPDX-License-Identifier: MIT */
/* Monitor: the guest's memory: balloon, NUMA nodes, memory back ends. */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "base/clock.h"
#include "hw/core/machine.h"
#include "hw/mem/backend.h"
#include "hw/virtio/balloon.h"
#include "system/monitor.h"

static bool do_balloon(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t bytes;
    if (parse_size(argv[1], MiB, &bytes))
        return balloon_set(bytes, errp);
    error_setf(errp, "balloon: '%s' is not a size; give what the guest shall keep, in MiB or with a suffix", argv[1]);
    return false;
}

static bool do_balloon_stats(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t seconds;
    if (parse_u64(argv[1], &seconds) && seconds <= 86400)
        return balloon_poll((uint32_t)seconds, errp);
    error_setf(errp, "balloon_stats: '%s' is not a number of seconds from 0 to 86400", argv[1]);
    return false;
}

bool monitor_info_balloon(Monitor *mon, int argc, char **argv, Error **errp)
{
    BalloonInfo b;
    if (!balloon_info(&b, errp))
        return false;
    monitor_printf(mon, "balloon: actual=%" PRIu64 " target=%" PRIu64 " inflated=%" PRIu64 " reported=%" PRIu64 " (MiB)\n", b.actual / MiB,
                   b.target / MiB, b.inflated / MiB, b.reported / MiB);
    if (!b.stats_ns)
        return true;
    monitor_printf(mon, "  last-update=%.1f s ago\n", (double)(clock_ns(CLOCK_VIRTUAL_NS) - b.stats_ns) / 1e9);
    for (unsigned i = 0; i < BALLOON_STATS; i++) {
        if (b.stat[i] != UINT64_MAX)
            monitor_printf(mon, "  %s=%" PRIu64 "\n", balloon_stat_names[i], b.stat[i]);
    }
    return true;
}

bool monitor_info_numa(Monitor *mon, int argc, char **argv, Error **errp)
{
    const MachineConfig *c = &machine_current()->config;
    monitor_printf(mon, "%u nodes\n", c->numa ? c->numa->nodes : 0);
    for (unsigned i = 0; c->numa && i < c->numa->nodes; i++) {
        monitor_printf(mon, "node %u cpus:", i);
        for (unsigned k = 0; k < c->cpus; k++) {
            if (c->numa->cpu_node[k] == i)
                monitor_printf(mon, " %u", k);
        }
        monitor_printf(mon, "\nnode %u size: %" PRIu64 " MB\n", i, c->numa->memory[i] / MiB);
    }
    return true;
}

bool monitor_info_memdev(Monitor *mon, int argc, char **argv, Error **errp)
{
    for (Object *o = object_first(); o; o = o->next) {
        if (!o->type->kind || strcmp(o->type->kind, MEMORY_BACKEND_KIND))
            continue;
        const MemoryBackend *m = (MemoryBackend *)o;
        monitor_printf(mon, "memory backend: %s\n  type: %s\n  size: %" PRIu64 "\n", o->id, o->type->name, m->size);
        for (const Property *p = o->type->props; p->name; p++) {
            g_autofree char *value = p->kind == PROP_BOOL || p->kind == PROP_ENUM ? props_get(o->type->props, o, p->name) : NULL;
            if (value)
                monitor_printf(mon, "  %s: %s\n", p->name, value);
        }
    }
    return true;
}

const MonitorCommand monitor_commands_guestmem[] = {
    { "balloon", "SIZE", "ask the guest to keep SIZE (MiB) and give the rest back", 1, 1, false, do_balloon },
    { "balloon_stats", "SECONDS", "ask the guest for statistics every SECONDS; 0: no more", 1, 1, false, do_balloon_stats },
    { 0 },
};
