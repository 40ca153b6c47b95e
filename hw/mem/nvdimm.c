/* SPDX-License-Identifier: MIT */
/* nvdimm: a memory back end whose contents stay, as a persistent module; the guest finds it in the NFIT (hw/acpi/nfit.c). */
#include "base/bits.h"
#include "hw/mem/backend.h"
#include "hw/mem/nvdimm.h"

#define LABEL_MIN (128 * KiB)
#define LABEL_MAX MiB

typedef struct Nvdimm {
    Device dev; /* always first */
    char *memdev;
    uint64_t addr, label_size;
    uint32_t node;
    MemoryBackend *backend;
    MemoryDevice mem;
} Nvdimm;

static const DeviceType nvdimm_type;

bool is_nvdimm(const MemoryDevice *m) { return m->dev->type == &nvdimm_type; }
uint64_t nvdimm_label_size(const MemoryDevice *m) { return ((const Nvdimm *)m->dev)->label_size; }
uint64_t nvdimm_data_size(const MemoryDevice *m) { return align_down(m->size - nvdimm_label_size(m), 2 * MiB); }

static bool start(Device *d, Error **errp)
{
    Nvdimm *m = (Nvdimm *)d;
    if (!m->memdev) {
        error_setf(errp, "device '%s': no memory; add memdev=ID of an -object memory-backend-file,share=on", d->id);
        return false;
    }
    m->backend = memory_backend_take(m->memdev, errp);
    if (!m->backend)
        return false;
    if (m->backend->size % (2 * MiB)) {
        error_setf(errp, "device '%s': the size of memory back end '%s' is not a multiple of 2 MiB", d->id, m->memdev);
        return false;
    }
    if (m->label_size && (m->label_size < LABEL_MIN || m->label_size % 4096 || m->label_size > MIN(LABEL_MAX, m->backend->size / 2))) {
        error_setf(errp, "device '%s': label-size=%" G_GUINT64_FORMAT " is no multiple of 4K from 128K to 1M, or more than half of the module", d->id,
                   (guint64)m->label_size);
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
    DEFINE_PROP_SIZE("label-size", Nvdimm, label_size, 0, "bytes at the end for the guest's table of namespaces, 0: none"),
    DEFINE_PROP_U64("addr", Nvdimm, addr, 0, "guest address, 0: any"),
    DEFINE_PROP_U32("node", Nvdimm, node, 0, "NUMA node"),
    DEFINE_PROP_END,
};
static const DeviceType nvdimm_type = {
    .name = "nvdimm", .desc = "persistent memory module", .category = "Misc", .size = sizeof(Nvdimm), .user_creatable = true, .props = props,
    .start = start, .stop = stop,
};
DEVICE_REGISTER(nvdimm_type)
