/* SPDX-License-Identifier: MIT */
/* nvdimm: a memory back end whose contents stay, as a persistent module; the guest finds it in the NFIT (hw/acpi/nfit.c). */
#include "base/bits.h"
#include "hw/mem/backend.h"
#include "hw/mem/memory-device.h"

typedef struct Nvdimm {
    Device dev; /* always first */
    char *memdev;
    uint64_t addr, label_size;
    uint32_t node;
    MemoryBackend *backend;
    MemoryDevice mem;
} Nvdimm;

static bool start(Device *d, Error **errp)
{
    Nvdimm *m = (Nvdimm *)d;
    if (!m->memdev || m->label_size) {
        error_setf(errp, m->memdev ? "device '%s': label-size=: label areas are not in this program; the whole module is one namespace"
                                   : "device '%s': no memory; add memdev=ID of an -object memory-backend-file,share=on", d->id);
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
                             .slot = MEMORY_DEVICE_NO_SLOT, .kind = "nvdimm" };
    m->mem.region = memory_backend_alias(m->backend, d->id);
    return memory_device_plug(&m->mem, 128 * MiB, errp);
}

static void stop(Device *d)
{
    Nvdimm *m = (Nvdimm *)d;
    memory_device_unplug(&m->mem);
    mem_region_free(m->mem.region);
    if (m->backend)
        object_release(&m->backend->object);
}

static const Property props[] = {
    DEFINE_PROP_STRING("memdev", Nvdimm, memdev, NULL, "id of the memory back end"),
    DEFINE_PROP_SIZE("label-size", Nvdimm, label_size, 0, "not in this program"),
    DEFINE_PROP_U64("addr", Nvdimm, addr, 0, "guest address, 0: any"),
    DEFINE_PROP_U32("node", Nvdimm, node, 0, "NUMA node"),
    DEFINE_PROP_END,
};
static const DeviceType type = { .name = "nvdimm", .desc = "persistent memory module", .category = "Misc", .size = sizeof(Nvdimm), .user_creatable = true,
                                 .props = props, .start = start, .stop = stop };
DEVICE_REGISTER(type)
