/* SPDX-License-Identifier: MIT */
/* The port through which a guest tells that it has panicked (QEMU docs/specs/pvpanic). */
#include "base/log.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

enum { PANICKED = 1, CRASH_LOADED = 2, SHUTDOWN = 4, ALL_EVENTS = PANICKED | CRASH_LOADED | SHUTDOWN };

/* Behind an I/O port or a PCI function: both read as the events that are known, and take one. */
static void take_event(uint8_t known, uint64_t value)
{
    unsigned events = value & known;

    if (value & ~ALL_EVENTS & 0xff)
        log_guest_error("pvpanic", "unknown event 0x%x", (unsigned)value);
    if (events & CRASH_LOADED)
        info_reportf("the guest has panicked and loads its crash kernel");
    if (events & PANICKED)
        machine_guest_panicked("pvpanic");
    else if (events & SHUTDOWN)
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
}

static MemResult pvpanic_read(void *events, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = at ? 0 : *(uint8_t *)events;
    return MEM_OK;
}

static MemResult pvpanic_write(void *events, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    if (!at)
        take_event(*(uint8_t *)events, value);
    return MEM_OK;
}

static const MemOps pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write, .min_size = 1, .max_size = 1 };

#define EVENTS_PROP(T) \
    PROP_(PROP_U8, "events", T, events, ALL_EVENTS, "mask: 1 panicked, 2 crash kernel loaded, 4 shutdown", .max = 7)

/* ---- ISA ---- */

typedef struct PvPanic {
    Device dev; /* always first */
    uint16_t ioport;
    uint8_t events;
} PvPanic;

static bool isa_start(Device *d, Error **errp)
{
    PvPanic *p = (PvPanic *)d;
    MemRegion *r = mem_io_new("pvpanic", 1, &pvpanic_ops, &p->events, d->domain);

    d->region[0] = r;
    isa_register_ioport(d, r, p->ioport);
    return true;
}

static const Property props[] = { DEFINE_PROP_U16("ioport", PvPanic, ioport, 0x505, "the I/O port"),
                                  EVENTS_PROP(PvPanic), DEFINE_PROP_END };
static const DeviceType pvpanic_type = {
    .name = "pvpanic",
    .desc = "Guest panic notification port",
    .category = "Misc",
    .size = sizeof(PvPanic),
    .bus = "isa",
    .user_creatable = true,
    .props = props,
    .start = isa_start,
};
DEVICE_REGISTER(pvpanic_type)

/* ---- PCI ---- */

typedef struct PvPanicPci {
    PciDevice pci; /* always first */
    uint8_t events;
} PvPanicPci;

static bool pci_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("pvpanic", 16, &pvpanic_ops, &((PvPanicPci *)d)->events, d->domain);
    pci_register_bar(pci_device(d), 0, PCI_BAR_MEM, d->region[0]);
    return true;
}

static const Property pci_props[] = { EVENTS_PROP(PvPanicPci), DEFINE_PROP_END };
static const PciDeviceInfo pci_info = { .vendor = 0x1b36, .device = 0x0011, .revision = 1, .class_code = 0x088000 };
static const DeviceType pvpanic_pci = {
    .name = "pvpanic-pci",
    .desc = "Guest panic notification, a PCI function",
    .category = "Misc",
    .size = sizeof(PvPanicPci),
    .bus = "pci",
    .base = &pci_device_type,
    .user_creatable = true,
    .props = pci_props,
    .start = pci_start,
    .class_data = &pci_info,
};
DEVICE_REGISTER(pvpanic_pci)
