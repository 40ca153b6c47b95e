/* SPDX-License-Identifier: MIT */
/* A port that ends the emulator: a write of v gives exit status (v << 1) | 1. For test guests. */
#include "hw/core/machine.h"
#include "hw/isa/isa.h"

typedef struct DebugExit {
    Device dev;
    uint32_t iobase, iosize;
} DebugExit;

static MemResult exit_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = 0;
    return MEM_OK;
}

static MemResult exit_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    machine_request_exit((int)((value << 1 | 1) & 0xff));
    return MEM_OK;
}

static const MemOps exit_ops = { .read = exit_read, .write = exit_write, .min_size = 1, .max_size = 4 };

static bool exit_start(Device *d, Error **errp)
{
    DebugExit *s = (DebugExit *)d;

    isa_io_new(d, "isa-debug-exit", s->iobase, s->iosize, &exit_ops);
    return true;
}

static const Property props[] = {
    PROP_(PROP_U32, "iobase", DebugExit, iobase, 0x501, "first I/O port", .max = 0xffff),
    PROP_(PROP_U32, "iosize", DebugExit, iosize, 2, "number of ports", .min = 1, .max = 256),
    DEFINE_PROP_END,
};

static const DeviceType exit_type = {
    .name = "isa-debug-exit", .desc = "Ends the emulator with a status that the guest chooses", .category = "Misc",
    .size = sizeof(DebugExit), .bus = "isa", .user_creatable = true, .props = props, .start = exit_start,
};
DEVICE_REGISTER(exit_type)
