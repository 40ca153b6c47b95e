/* SPDX-License-Identifier: MIT */
/*
 * A port whose writes go to a character back end; reads tell that it is there (the protocol that Bochs' port E9
 * started).
 */
#include "chardev/chardev.h"
#include "hw/isa/isa.h"

typedef struct DebugCon {
    Device dev;
    uint32_t iobase, readback;
    Chardev *chardev;
} DebugCon;

static MemResult debugcon_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = ((DebugCon *)o)->readback;
    return MEM_OK;
}

static MemResult debugcon_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    DebugCon *s = o;
    uint8_t v = value;

    if (s->chardev)
        chardev_write_all(s->chardev, &v, 1);
    return MEM_OK;
}

static const MemOps debugcon_ops = { .read = debugcon_read, .write = debugcon_write, .min_size = 1, .max_size = 1 };

static bool debugcon_start(Device *d, Error **errp)
{
    DebugCon *s = (DebugCon *)d;
    ChardevFrontend fe = { .domain = d->domain, .opaque = s };

    if (s->chardev && !chardev_attach(s->chardev, &fe, errp)) {
        s->chardev = NULL;
        return false;
    }
    isa_io_new(d, "debugcon", s->iobase, 1, &debugcon_ops);
    return true;
}

static void debugcon_stop(Device *d)
{
    DebugCon *s = (DebugCon *)d;

    if (s->chardev && d->started)
        chardev_detach(s->chardev, s);
}

static const Property props[] = {
    PROP_(PROP_U32, "iobase", DebugCon, iobase, 0xe9, "the I/O port", .max = 0xffff),
    DEFINE_PROP_U32("readback", DebugCon, readback, 0xe9, "what the port reads as"),
    DEFINE_PROP_CHARDEV("chardev", DebugCon, chardev),
    DEFINE_PROP_END,
};

static const DeviceType debugcon_type = {
    .name = "isa-debugcon", .desc = "Debug console port", .category = "Misc", .size = sizeof(DebugCon), .bus = "isa",
    .user_creatable = true, .props = props, .start = debugcon_start, .stop = debugcon_stop,
};
DEVICE_REGISTER(debugcon_type)
