/* SPDX-License-Identifier: MIT */
/* The slot between a host controller and a card. */
#include "base/bits.h"
#include "hw/sd/sd-internal.h"

bool sd_idle(const SdPort *p)
{
    const SdBus *b = p->bus;
    return b && b->port == p && b->card && b->card->state == SD_IDLE;
}

static bool plug(Bus *bus, Device *d, Error **errp)
{
    SdBus *b = container_of(bus, SdBus, bus);
    SdCard *c = (SdCard *)d;
    if (b->card) {
        error_setf(errp, "the slot '%s' has a card, '%s'; a slot takes one", bus->name, b->card->dev.id);
        return false;
    }
    d->domain = bus->parent->domain;
    c->spi |= b->spi;
    b->card = c;
    c->bus = b;
    return true;
}
static void unplug(Bus *bus, Device *d)
{
    SdBus *b = container_of(bus, SdBus, bus);
    if (b->card == (SdCard *)d)
        b->card = NULL;
    ((SdCard *)d)->bus = NULL;
}
static void path(Bus *b, const Device *d, GString *out) { g_string_append(out, "/sd-card@0"); }
static bool full(const Bus *b) { return container_of(b, SdBus, bus)->card; }
static const BusType sd_bus_type = { .kind = "sd", .plug = plug, .unplug = unplug, .path = path, .full = full };

void sd_bus_init(SdBus *b, Device *parent)
{
    char name[24];
    for (unsigned n = 0;; n++) {
        g_snprintf(name, sizeof name, "sd-bus.%u", n);
        if (!bus_find(name))
            break;
    }
    *b = (SdBus){ 0 };
    bus_init(&b->bus, &sd_bus_type, name, parent);
}
void sd_bus_fini(SdBus *b)
{
    if (b->bus.type)
        bus_fini(&b->bus);
    b->bus.type = NULL;
}
void sd_port_init(SdPort *p, Device *host, const SdHostOps *ops, SdBus *b)
{
    *p = (SdPort){ host, ops, b };
    if (!b->port)
        b->port = p;
}
void sd_bus_connect(SdBus *b, SdPort *p) { b->port = p; }

void sd_port_run(SdPort *p)
{
    p->again = true;
    if (p->running) /* the card answers from inside */
        return;
    for (p->running = true; p->again;) {
        p->again = false;
        p->ops->data(p);
    }
    p->running = false;
    if (p->ops->moved)
        p->ops->moved(p);
}
