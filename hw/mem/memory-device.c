/* SPDX-License-Identifier: MIT */
/* The machine's device memory: addresses and slots of devices that are memory. */
#include "hw/mem/memory-device.h"

#include <inttypes.h>
#include "base/bits.h"

static MemoryDevice *devices;
static struct { MemRegion *region; hwaddr at; } range;

MemoryDevice *memory_device_first(void) { return devices; }

/* Every slot may waste up to a GiB by alignment. */
static uint64_t range_size(const Machine *m)
{
    return m->config.ram_max ? align_up(m->config.ram_max - m->config.ram_size + (m->config.ram_slots + 1) * GiB, GiB)
                             : 0;
}

hwaddr memory_devices_end(const Machine *m, hwaddr at)
{
    return range_size(m) ? align_up(at, GiB) + range_size(m) : at;
}

void memory_devices_init(Machine *m, hwaddr at)
{
    if (!range_size(m))
        return;
    range.at = align_up(at, GiB);
    range.region = mem_container_new("device-memory", range_size(m));
    mem_map(m->memory, range.at, range.region, 0);
}

void memory_devices_free(void)
{
    g_clear_pointer(&range.region, mem_region_free);
}

bool memory_devices_range(hwaddr *at, uint64_t *size)
{
    *at = range.region ? range.at : 0;
    *size = range.region ? mem_size(range.region) : 0;
    return range.region;
}

/* ---- plugging ---- */

static bool take_slot(MemoryDevice *d, const Machine *m, Error **errp)
{
    uint64_t taken[4] = { 0 };
    if (d->slot == MEMORY_DEVICE_NO_SLOT)
        return true;
    for (const MemoryDevice *o = devices; o; o = o->next) {
        if (o->slot >= 0)
            taken[o->slot / 64] |= BIT(o->slot % 64);
    }
    for (int i = 0; d->slot < 0 && i < (int)m->config.ram_slots; i++) {
        if (!(taken[i / 64] & BIT(i % 64)))
            d->slot = i;
    }
    if (d->slot < 0 || d->slot >= (int)m->config.ram_slots) {
        error_setf(errp,
                   "device '%s': the machine has %u memory slots, and none is left for it; raise -m slots=", d->dev->id,
                   m->config.ram_slots);
        return false;
    }
    if (!(taken[d->slot / 64] & BIT(d->slot % 64)))
        return true;
    error_setf(errp, "device '%s': slot %d is taken; leave slot= out", d->dev->id, d->slot);
    return false;
}

static bool take_address(MemoryDevice *d, uint64_t align, Error **errp)
{
    hwaddr first = range.at, end = first + mem_size(range.region), at = align_up(d->addr ? d->addr : first, align);
    if (d->addr && (d->addr % align || d->addr < first || d->addr >= end || d->size > end - d->addr)) {
        error_setf(errp,
                   "device '%s': 0x%" PRIx64 " is no multiple of 0x%" PRIx64
                   " in the range for memory devices, 0x%" PRIx64 " to 0x%" PRIx64,
                   d->dev->id, d->addr, align, first, end - 1);
        return false;
    }
    for (const MemoryDevice *o = devices; o; o = o->next) { /* sorted: the first gap that is wide enough */
        if (at >= o->addr + o->size)
            continue;
        if (at < o->addr && o->addr - at >= d->size)
            break;
        if (d->addr) {
            error_setf(errp, "device '%s': its place at 0x%" PRIx64 " is taken by '%s'; leave the address out",
                       d->dev->id, d->addr, o->dev->id);
            return false;
        }
        at = align_up(o->addr + o->size, align);
    }
    d->addr = at;
    if (at < end && d->size <= end - at)
        return true;
    error_setf(errp, "device '%s': no room for %" PRIu64 " MiB; raise -m maxmem=", d->dev->id, d->size / MiB);
    return false;
}

static bool check_sum(const MemoryDevice *d, const Machine *m, Error **errp)
{
    uint64_t all = m->config.ram_size;
    for (const MemoryDevice *o = devices; o; o = o->next)
        all += o->size;
    if (all <= m->config.ram_max && d->size <= m->config.ram_max - all)
        return true;
    error_setf(errp,
               "device '%s': %" PRIu64 " MiB on top of %" PRIu64 " MiB are more than -m maxmem=%" PRIu64 "M; raise it",
               d->dev->id, d->size / MiB, all / MiB, m->config.ram_max / MiB);
    return false;
}

bool memory_device_take(MemoryDevice *d, Device *dev, const char *kind, Error **errp)
{
    d->dev = dev;
    d->kind = kind;
    d->backend = memory_backend_of(dev, d->memdev, errp);
    if (!d->backend)
        return false;
    d->size = d->plugged = d->backend->size;
    d->region = memory_backend_alias(d->backend, dev->id);
    return true;
}

bool memory_device_plug(MemoryDevice *d, uint64_t align, Error **errp)
{
    const Machine *m = machine_current();
    if (!range.region) {
        error_setf(errp,
                   "device '%s': machine '%s' has no room for memory devices; q35, pc and virt do with -m "
                   "SIZE,slots=N,maxmem=SIZE",
                   d->dev->id, m->type->name);
        return false;
    }
    if (m->config.numa && d->node >= m->config.numa->nodes) {
        error_setf(errp, "device '%s': node=%u: the machine has nodes 0 to %u; see -numa", d->dev->id, d->node,
                   m->config.numa->nodes - 1);
        return false;
    }
    if (!check_sum(d, m, errp) || !take_slot(d, m, errp) || !take_address(d, align, errp))
        return false;
    d->hotplugged = machine_run_state() != RUN_PRELAUNCH;
    mem_map(range.region, d->addr - range.at, d->region, 0);
    MemoryDevice **at = &devices;
    while (*at && (*at)->addr < d->addr)
        at = &(*at)->next;
    d->next = *at;
    *at = d;
    return true;
}

void memory_device_unplug(MemoryDevice *d)
{
    MemoryDevice **at = &devices;
    while (*at && *at != d)
        at = &(*at)->next;
    if (*at) {
        *at = d->next;
        mem_unmap(d->region);
    }
    mem_region_free(d->region);
    if (d->backend)
        object_release(&d->backend->object);
}
