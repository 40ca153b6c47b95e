/* SPDX-License-Identifier: MIT */
/* The ISA bus: mapping and wiring helpers for its devices. */
#include "hw/isa/isa.h"
#include "base/bits.h"

static const BusType isa_bus_type = { .kind = "isa" };

void isa_bus_init(IsaBus *b, const char *name, Device *parent, MemRegion *io, MemRegion *memory, const Irq *irq)
{
    bus_init(&b->bus, &isa_bus_type, name, parent);
    b->io = io;
    b->memory = memory;
    for (unsigned i = 0; irq && i < ISA_IRQ_COUNT; i++)
        b->irq[i] = irq[i];
}

void isa_bus_fini(IsaBus *b)
{
    bus_fini(&b->bus);
}

IsaBus *isa_bus_first(void)
{
    Bus *b = bus_find_kind("isa");
    return b ? container_of(b, IsaBus, bus) : NULL;
}

Device *isa_new(IsaBus *b, const char *type, const char *id, Error **errp)
{
    Device *d = device_new_named(type, id, errp);
    if (d)
        d->bus = &b->bus;
    return d;
}

static IsaBus *bus_of(Device *d)
{
    return d->bus && d->bus->type == &isa_bus_type ? container_of(d->bus, IsaBus, bus) : NULL;
}

static void keep_region(Device *d, MemRegion *r)
{
    unsigned i = 0;
    while (i < DEVICE_MAX_REGIONS && d->region[i])
        i++;
    g_assert(i < DEVICE_MAX_REGIONS);
    d->region[i] = r;
}

void isa_register_ioport(Device *d, MemRegion *r, uint16_t base)
{
    IsaBus *b = bus_of(d);
    if (b && b->io)
        mem_map(b->io, base, r, 0);
}

MemRegion *isa_io_new(Device *d, const char *name, uint16_t base, uint32_t size, const MemOps *ops)
{
    MemRegion *r = mem_io_new(name, size, ops, d, d->domain);
    keep_region(d, r);
    isa_register_ioport(d, r, base);
    return r;
}

MemRegion *isa_mem_new(Device *d, const char *name, hwaddr base, uint64_t size, const MemOps *ops)
{
    IsaBus *b = bus_of(d);
    MemRegion *r = mem_io_new(name, size, ops, d, d->domain);
    keep_region(d, r);
    if (b && b->memory)
        mem_map(b->memory, base, r, 1);
    return r;
}

bool isa_connect_irq(Device *d, unsigned pin, unsigned irq, Error **errp)
{
    IsaBus *b = bus_of(d);
    if (irq >= ISA_IRQ_COUNT) {
        error_setf(errp, "device '%s': interrupt line %u: the ISA bus has lines 0 to 15", d->id, irq);
        return false;
    }
    if (b && !d->out[pin].set)
        d->out[pin] = b->irq[irq];
    return true;
}
