/* SPDX-License-Identifier: MIT */
/* pc-dimm: a memory module from a back end, in one of the slots of -m. */
#include "base/bits.h"
#include "hw/mem/backend.h"
#include "hw/mem/memory-device.h"

typedef struct Dimm {
    Device dev;
    char *memdev;
    uint64_t addr;
    uint32_t node;
    int32_t slot;
    MemoryBackend *backend;
    MemoryDevice mem;
} Dimm;

static bool start(Device *d, Error **errp)
{
    Dimm *m = (Dimm *)d;
    if (!m->memdev) {
        error_setf(errp, "device '%s': no memory; add memdev=ID of an -object memory-backend-*", d->id);
        return false;
    }
    m->backend = memory_backend_take(m->memdev, errp);
    if (!m->backend)
        return false;
    if (m->backend->size % (2 * MiB)) {
        error_setf(errp, "device '%s': the size of memory back end '%s' is not a multiple of 2 MiB", d->id, m->memdev);
        return false;
    }
    m->mem = (MemoryDevice){ .dev = d, .addr = m->addr, .size = m->backend->size, .plugged = m->backend->size, .node = m->node,
                             .slot = m->slot, .kind = "dimm" };
    m->mem.region = memory_backend_alias(m->backend, d->id);
    if (!memory_device_plug(&m->mem, 2 * MiB, errp))
        return false;
    m->addr = m->mem.addr;
    m->slot = m->mem.slot;
    return true;
}

static void stop(Device *d)
{
    Dimm *m = (Dimm *)d;
    memory_device_unplug(&m->mem);
    mem_region_free(m->mem.region);
    if (m->backend)
        object_release(&m->backend->object);
}

static const Property props[] = {
    DEFINE_PROP_STRING("memdev", Dimm, memdev, NULL, "id of the memory back end"),
    DEFINE_PROP_U64("addr", Dimm, addr, 0, "guest address, 0: any"),
    DEFINE_PROP_U32("node", Dimm, node, 0, "NUMA node"),
    PROP_(PROP_I32, "slot", Dimm, slot, -1, "slot, -1: any"),
    DEFINE_PROP_END,
};
static const DeviceType type = {
    .name = "pc-dimm", .desc = "memory module", .category = "Misc", .size = sizeof(Dimm), .bus = "memory-slot", .user_creatable = true, .props = props,
    .start = start, .stop = stop,
};
DEVICE_REGISTER(type)
