/* SPDX-License-Identifier: MIT */
/* The port through which a guest tells that it has panicked (QEMU docs/specs/pvpanic). */
#include "base/log.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"

enum { PANICKED = 1, CRASH_LOADED = 2, SHUTDOWN = 4, ALL_EVENTS = PANICKED | CRASH_LOADED | SHUTDOWN };

typedef struct PvPanic {
    Device dev;
    uint16_t ioport;
    uint8_t events;
} PvPanic;

static MemResult pvpanic_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = ((PvPanic *)o)->events;
    return MEM_OK;
}

static MemResult pvpanic_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    unsigned events = value & ((PvPanic *)o)->events;

    if (value & ~ALL_EVENTS & 0xff)
        log_guest_error("pvpanic", "unknown event 0x%x", (unsigned)value);
    if (events & CRASH_LOADED)
        info_reportf("the guest has panicked and loads its crash kernel");
    if (events & PANICKED)
        machine_guest_panicked("pvpanic");
    else if (events & SHUTDOWN)
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    return MEM_OK;
}

static const MemOps pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write, .min_size = 1, .max_size = 1 };

static bool pvpanic_start(Device *d, Error **errp)
{
    isa_io_new(d, "pvpanic", ((PvPanic *)d)->ioport, 1, &pvpanic_ops);
    return true;
}

static const Property props[] = {
    DEFINE_PROP_U16("ioport", PvPanic, ioport, 0x505, "the I/O port"),
    PROP_(PROP_U8, "events", PvPanic, events, ALL_EVENTS, "mask: 1 panicked, 2 crash kernel loaded, 4 shutdown", .max = 7),
    DEFINE_PROP_END,
};

static const DeviceType pvpanic_type = {
    .name = "pvpanic", .desc = "Guest panic notification port", .category = "Misc", .size = sizeof(PvPanic), .bus = "isa",
    .user_creatable = true, .props = props, .start = pvpanic_start,
};
DEVICE_REGISTER(pvpanic_type)
