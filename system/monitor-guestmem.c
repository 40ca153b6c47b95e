/* SPDX-License-Identifier: MIT */
/* Monitor: the guest's memory: balloon, NUMA nodes, back ends, memory devices. */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "base/clock.h"
#include "hw/core/machine.h"
#include "hw/mem/backend.h"
#include "hw/mem/memory-device.h"
#include "hw/virtio/balloon.h"
#include "hw/virtio/mem.h"
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
    monitor_printf(mon,
                   "balloon: actual=%" PRIu64 " target=%" PRIu64 " inflated=%" PRIu64 " reported=%" PRIu64 " (MiB)\n",
                   b.actual / MiB, b.target / MiB, b.inflated / MiB, b.reported / MiB);
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
            g_autofree char *value = p->kind == PROP_BOOL || p->kind == PROP_ENUM
                                         ? props_get(o->type->props, o, p->name)
                                         : NULL;
            if (value)
                monitor_printf(mon, "  %s: %s\n", p->name, value);
        }
    }
    return true;
}

bool monitor_info_memory_devices(Monitor *mon, int argc, char **argv, Error **errp)
{
    for (const MemoryDevice *d = memory_device_first(); d; d = d->next) {
        monitor_printf(mon, "Memory device [%s]: \"%s\"\n  addr: 0x%" PRIx64 "\n", d->kind, d->dev->id, d->addr);
        if (d->slot >= 0)
            monitor_printf(mon, "  slot: %d\n", d->slot);
        monitor_printf(mon, "  node: %u\n  size: %" PRIu64 "\n  plugged: %" PRIu64 "\n  hotplugged: %s\n", d->node,
                       d->size, d->plugged, d->hotplugged ? "true" : "false");
    }
    return true;
}

bool monitor_info_memory_size(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t plugged = 0;
    for (const MemoryDevice *d = memory_device_first(); d; d = d->next)
        plugged += d->plugged;
    monitor_printf(mon, "base memory: %" PRIu64 "\nplugged memory: %" PRIu64 "\n", machine_current()->config.ram_size,
                   plugged);
    return true;
}

/* qom-set ID PROPERTY VALUE: of those that mean something while the machine runs. */
static bool do_qom_set(Monitor *mon, int argc, char **argv, Error **errp)
{
    static const char *const valid[] = { "requested-size", "guest-stats-polling-interval", NULL };
    uint64_t v;
    if (!g_strv_contains(valid, argv[2])) {
        error_set_unknown(errp, "property", argv[2], valid);
        return false;
    }
    if (!parse_size(argv[3], 1, &v)) {
        error_setf(errp, "qom-set: '%s' is not a number", argv[3]);
        return false;
    }
    return !strcmp(argv[2], valid[0]) ? virtio_mem_request(argv[1], v, errp)
                                      : balloon_poll((uint32_t)MIN(v, 86400u), errp);
}

/* ---- objects while the machine stands or runs ---- */

static bool do_object_add(Monitor *mon, int argc, char **argv, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(argv[1], "qom-type", errp);
    return o && object_add(o, errp);
}

static bool do_object_del(Monitor *mon, int argc, char **argv, Error **errp) { return object_del(argv[1], errp); }

const MonitorCommand monitor_commands_guestmem[] = {
    { "balloon", "SIZE", "ask the guest to keep SIZE (MiB) and give the rest back", 1, 1, false, do_balloon },
    { "balloon_stats", "SECONDS", "ask the guest for statistics every SECONDS; 0: no more", 1, 1, false,
      do_balloon_stats },
    { "qom-set", "ID PROPERTY VALUE",
      "requested-size of a virtio-mem device, guest-stats-polling-interval of the balloon", 3, 3, false, do_qom_set },
    { "object_add", "TYPE,id=ID[,PROPERTY=VALUE...]", "make an object, as -object does", 1, 1, true, do_object_add },
    { "object_del", "ID", "remove an object that nobody uses", 1, 1, false, do_object_del },
    { 0 },
};
