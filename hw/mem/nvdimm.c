/* SPDX-License-Identifier: MIT */
/*
 * nvdimm: a memory back end whose contents stay, as a persistent module; the guest finds it in the NFIT
 * (hw/acpi/nfit.c).
 */
#include "base/bits.h"
#include "hw/mem/dimm.h"
#include "hw/mem/nvdimm.h"

#define LABEL_MIN (128 * KiB)
#define LABEL_MAX MiB

typedef struct Nvdimm {
    Dimm dimm; /* always first */
    uint64_t label_size;
} Nvdimm;

static const DeviceType nvdimm_type;

bool is_nvdimm(const MemoryDevice *m) { return m->dev->type == &nvdimm_type; }
uint64_t nvdimm_label_size(const MemoryDevice *m) { return ((const Nvdimm *)m->dev)->label_size; }
uint64_t nvdimm_data_size(const MemoryDevice *m) { return align_down(m->size - nvdimm_label_size(m), DIMM_UNIT); }

static bool start(Device *d, Error **errp)
{
    uint64_t label = ((Nvdimm *)d)->label_size, size = ((Nvdimm *)d)->dimm.mem.size;
    if (!label || (label >= LABEL_MIN && label % 4096 == 0 && label <= MIN(LABEL_MAX, size / 2)))
        return true;
    error_setf(errp,
               "device '%s': label-size=%" G_GUINT64_FORMAT
               " is no multiple of 4K from 128K to 1M, or more than half of the module",
               d->id, (guint64)label);
    return false;
}

static const Property props[] = {
    DEFINE_PROP_SIZE("label-size", Nvdimm, label_size, 0,
                     "bytes at the end for the guest's table of namespaces, 0: none"),
    DEFINE_PROP_END,
};
static const DimmClass class = { .kind = "nvdimm", .align = 128 * MiB };
static const DeviceType nvdimm_type = {
    .name = "nvdimm",
    .desc = "persistent memory module",
    .category = "Misc",
    .size = sizeof(Nvdimm),
    .bus = "memory-slot",
    .base = &dimm_type,
    .user_creatable = true,
    .props = props,
    .start = start,
    .class_data = &class,
};
DEVICE_REGISTER(nvdimm_type)
