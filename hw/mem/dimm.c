/* SPDX-License-Identifier: MIT */
/* pc-dimm: a memory module from a back end, in one of the slots of -m. */
#include "hw/mem/dimm.h"

static bool start(Device *d, Error **errp)
{
    MemoryDevice *m = &((Dimm *)d)->mem;
    const DimmClass *c = d->type->class_data;
    if (!memory_device_take(m, d, c->kind, errp))
        return false;
    if (m->size % DIMM_UNIT == 0)
        return memory_device_plug(m, c->align, errp);
    error_setf(errp, "device '%s': the size of memory back end '%s' is not a multiple of 2 MiB", d->id, m->memdev);
    return false;
}

static void stop(Device *d) { memory_device_unplug(&((Dimm *)d)->mem); }

static const Property props[] = {
    MEMORY_DEVICE_PROPS(Dimm, mem, "addr"),
    MEMORY_DEVICE_NODE_PROP(Dimm, mem),
    PROP_(PROP_I32, "slot", Dimm, mem.slot, -1, "slot, -1: any"),
    DEFINE_PROP_END,
};
static const DimmClass class = { .kind = "dimm", .align = DIMM_UNIT };
const DeviceType dimm_type = {
    .name = "pc-dimm",
    .desc = "memory module",
    .category = "Misc",
    .size = sizeof(Dimm),
    .bus = "memory-slot",
    .user_creatable = true,
    .props = props,
    .start = start,
    .stop = stop,
    .class_data = &class,
};
DEVICE_REGISTER(dimm_type)
