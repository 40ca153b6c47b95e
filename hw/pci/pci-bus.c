/* SPDX-License-Identifier: MIT */
/* PCI buses: placing functions, finding them, and INTx up to the chipset. */
#include <stdio.h>
#include "base/bits.h"
#include "base/trace.h"
#include "hw/core/event-doors.h"
#include "hw/pci/pci-internal.h"

static void bus_common_init(PciBus *b, const char *name, Device *parent, MemRegion *mem,
                            MemRegion *io)
{
    b->mem = mem;
    b->io = io;
    g_mutex_init(&b->intx_lock);
    bus_init(&b->bus, &pci_bus_type, name, parent);
}

void pci_root_bus_init(PciBus *b, const char *name, Device *parent, const PciRootSpaces *spaces,
                       bool express)
{
    b->dma_region = spaces->dma_region;
    b->dma = spaces->dma;
    b->msi_first = spaces->msi_first;
    b->msi_last = spaces->msi_last;
    b->express = express;
    b->max_slots = PCI_SLOTS;
    bus_common_init(b, name, parent, spaces->mem, spaces->io);
}

void pci_secondary_bus_init(PciBus *b, const char *name, PciDevice *bridge, MemRegion *mem,
                            MemRegion *io)
{
    b->bridge = bridge;
    b->express = bridge->info->express;
    b->max_slots = b->express ? 1 : PCI_SLOTS;
    bus_common_init(b, name, &bridge->dev, mem, io);
}

void pci_bus_fini(PciBus *b)
{
    if (!b->bus.type)
        return;
    bus_fini(&b->bus);
    g_mutex_clear(&b->intx_lock);
    b->bus.type = NULL;
}

PciBus *pci_bus_root(const PciBus *b)
{
    while (b->bridge)
        b = b->bridge->bus;
    return (PciBus *)b;
}

uint8_t pci_bus_number(const PciBus *b)
{
    return b->bridge ? b->bridge->config[PCI_SECONDARY_BUS] : 0;
}

/* ---- Placing ---- */

static bool parse_addr(PciDevice *d, unsigned *slot, unsigned *func, Error **errp)
{
    int used = 0;

    *func = 0;
    if (sscanf(d->addr_prop, "%x%n.%x%n", slot, &used, func, &used) >= 1 && !d->addr_prop[used] &&
        *slot < PCI_SLOTS && *func < PCI_FUNCS)
        return true;
    error_setf(errp, "addr '%s' is not SLOT[.FUNCTION], hexadecimal, 0..1f and 0..7", d->addr_prop);
    return false;
}

static bool slot_is_free(const PciBus *b, unsigned slot)
{
    for (unsigned f = 0; f < PCI_FUNCS; f++) {
        if (b->child[PCI_DEVFN(slot, f)])
            return false;
    }
    return !(b->reserved_slots & BIT(slot));
}

static bool place_anywhere(PciBus *b, PciDevice *d, unsigned *slot, Error **errp)
{
    for (*slot = b->min_slot; *slot < b->max_slots; (*slot)++) {
        if (slot_is_free(b, *slot))
            return true;
    }
    error_setf(errp, "no free slot on bus '%s'; add a pcie-root-port or a pci-bridge", b->bus.name);
    return false;
}

static bool check_place(PciBus *b, PciDevice *d, unsigned slot, unsigned func, Error **errp)
{
    PciDevice *other = b->child[PCI_DEVFN(slot, func)], *first = b->child[PCI_DEVFN(slot, 0)];

    if (slot >= b->max_slots) {
        error_setf(errp, "bus '%s' has slot 0 only", b->bus.name);
        return false;
    }
    if (other) {
        error_setf(errp, "addr %02x.%x of bus '%s' is taken by '%s'", slot, func, b->bus.name,
                   other->dev.id);
        return false;
    }
    if (func && first && !first->multifunction) {
        error_setf(errp, "'%s' at addr %02x.0 has a single function; give it multifunction=on",
                   first->dev.id, slot);
        return false;
    }
    return true;
}

static bool pci_plug(Bus *bus, Device *dev, Error **errp)
{
    PciBus *b = container_of(bus, PciBus, bus);
    PciDevice *d = pci_device(dev);
    unsigned slot, func = 0;

    if (d->addr_prop && *d->addr_prop ? !parse_addr(d, &slot, &func, errp)
                                      : !place_anywhere(b, d, &slot, errp))
        return false;
    if (!check_place(b, d, slot, func, errp))
        return false;
    d->bus = b;
    d->devfn = PCI_DEVFN(slot, func);
    b->child[d->devfn] = d;
    return true;
}

static void pci_unplug(Bus *bus, Device *dev)
{
    PciBus *b = container_of(bus, PciBus, bus);
    PciDevice *d = pci_device(dev);

    if (d->bus != b || b->child[d->devfn] != d)
        return;
    if (d->intx_driven) {
        d->intx_driven = false;
        pci_bus_drive_intx(d, false);
    }
    b->child[d->devfn] = NULL;
    d->bus = NULL;
}

/* The names that firmware expects for classes; others have their numbers (PCI bus binding to IEEE 1275, 2.5). */
static void pci_path(Bus *bus, const Device *dev, GString *out)
{
    static const struct { uint16_t class_code; const char *name;
    } names[] = {
        { 0x0100, "scsi" }, { 0x0101, "ide" },  { 0x0102, "fdc" },      { 0x0104, "raid" },
        { 0x0107, "scsi" }, { 0x0108, "nvme" }, { 0x0200, "ethernet" }, { 0x0604, "pci-bridge" },
    };
    const PciBus *b = container_of(bus, PciBus, bus);
    const PciDevice *d = (const PciDevice *)dev;
    const char *name = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        name = pci_config_get(d, PCI_CLASS_DEVICE, 2) == names[i].class_code ? names[i].name : name;
    g_string_append(out, b->bridge ? "" : "/pci@i0cf8");
    if (name)
        g_string_append_printf(out, "/%s", name);
    else
        g_string_append_printf(out, "/pci%x,%x", pci_config_get(d, PCI_VENDOR_ID, 2),
                               pci_config_get(d, PCI_DEVICE_ID, 2));
    g_string_append_printf(out, "@%x", PCI_SLOT(d->devfn));
    if (PCI_FUNC(d->devfn))
        g_string_append_printf(out, ",%x", PCI_FUNC(d->devfn));
}

/* ---- Hot plug ---- */

static bool pci_may_hot_plug(Bus *bus, Device *dev, Error **errp)
{
    PciBus *b = container_of(bus, PciBus, bus);

    if (b->hotplug)
        return true;
    error_setf(errp,
               "device '%s': bus '%s' takes and gives no devices while the machine runs; start with -device %s on it "
               "and use that one's bus",
               dev->id, bus->name, b->express && !b->bridge ? "pcie-root-port,id=rp1" : "pci-bridge");
    return false;
}

/* A slot becomes alive with its function 0, which comes last. */
static void pci_hot_plugged(Bus *bus, Device *dev)
{
    PciBus *b = container_of(bus, PciBus, bus);

    lock_domain_lock(machine_domain());
    if (!PCI_FUNC(pci_device(dev)->devfn))
        b->hotplug->plugged(b->hotplug_opaque, pci_device(dev));
    lock_domain_unlock(machine_domain());
}

static bool pci_ask_unplug(Bus *bus, Device *dev, Error **errp)
{
    PciBus *b = container_of(bus, PciBus, bus);

    lock_domain_lock(machine_domain());
    bool ok = b->hotplug->ask(b->hotplug_opaque, pci_device(dev), errp);
    lock_domain_unlock(machine_domain());
    return ok;
}

void pci_slot_unplugged(PciBus *b, unsigned slot)
{
    for (unsigned f = 0; f < PCI_FUNCS; f++) {
        PciDevice *d = b->child[PCI_DEVFN(slot, f)];
        if (d)
            device_unplugged(&d->dev);
    }
}

bool pci_slot_occupied(const PciBus *b, unsigned slot)
{
    for (unsigned f = 0; f < PCI_FUNCS; f++) {
        const PciDevice *d = b->child[PCI_DEVFN(slot, f)];
        if (d && !d->dev.leaving)
            return true;
    }
    return false;
}

const BusType pci_bus_type = { .kind = "pci",
                               .plug = pci_plug,
                               .unplug = pci_unplug,
                               .path = pci_path,
                               .may_hot_plug = pci_may_hot_plug,
                               .hot_plugged = pci_hot_plugged,
                               .ask_unplug = pci_ask_unplug };

PciDevice *pci_new(PciBus *bus, const char *type, const char *id, uint8_t devfn, Error **errp)
{
    Device *dev = device_new_named(type, id, errp);

    if (!dev)
        return NULL;
    dev->bus = &bus->bus;
    g_autofree char *addr = g_strdup_printf("%x.%x", PCI_SLOT(devfn), PCI_FUNC(devfn));
    device_set_default(dev, "addr", addr);
    return pci_device(dev);
}

/* ---- Finding ---- */

PciDevice *pci_bus_find(PciBus *root, uint8_t bus, uint8_t devfn)
{
    if (bus == pci_bus_number(root)) {
        PciDevice *here = root->child[devfn];
        return here && !here->dev.leaving ? here : NULL;
    }
    for (unsigned i = 0; i < PCI_DEVFNS; i++) {
        PciDevice *d = root->child[i];
        if (!d || !d->info->bridge)
            continue;
        uint8_t first = d->config[PCI_SECONDARY_BUS], last = d->config[PCI_SUBORDINATE_BUS];
        /* A bridge must lead to a higher number, so that a guest's loop of buses ends. */
        if (first && first <= bus && bus <= last && first > pci_bus_number(root))
            return pci_bus_find(&((PciBridge *)d)->secondary, bus, devfn);
    }
    return NULL;
}

uint32_t pci_bus_config_read(PciBus *root, uint8_t bus, uint8_t devfn, uint32_t at, unsigned size)
{
    PciDevice *d = pci_bus_find(root, bus, devfn);

    return d ? pci_device_config_read(d, at, size) : (uint32_t)bits_mask(size * 8);
}

void pci_bus_config_write(PciBus *root, uint8_t bus, uint8_t devfn, uint32_t at, unsigned size,
                          uint32_t value)
{
    PciDevice *d = pci_bus_find(root, bus, devfn);

    if (d)
        pci_device_config_write(d, at, size, value);
}

/* ---- INTx ---- */

void pci_root_bus_set_intx(PciBus *b, const PciIntxOps *ops, void *opaque)
{
    g_assert(ops->lines <= PCI_MAX_LINES);
    b->intx = ops;
    b->intx_opaque = opaque;
}

/* Bridges rotate the pins by the slot (PCI-to-PCI Bridge 1.2 section 9.1). The line at the root, -1: not connected. */
static int intx_line(const PciDevice *d, PciBus **root)
{
    unsigned pin = d->config[PCI_INT_PIN] - 1u; /* guests can't change it */
    uint8_t devfn = d->devfn;
    PciBus *b = d->bus;

    for (; b->bridge; b = b->bridge->bus) {
        pin = (pin + PCI_SLOT(devfn)) % PCI_PINS;
        devfn = b->bridge->devfn;
    }
    *root = b;
    return b->intx ? (int)b->intx->map(b->intx_opaque, devfn, pin) : -1;
}

void pci_bus_drive_intx(PciDevice *d, bool level)
{
    PciBus *root;
    int line = intx_line(d, &root);

    if (line < 0)
        return;
    TRACE(pci_intx, "%s line %d level %d", d->dev.id, line, level);
    g_mutex_lock(&root->intx_lock);
    root->line_count[line] += level ? 1 : -1u;
    if (root->line_count[line] == (level ? 1u : 0u))
        root->intx->set(root->intx_opaque, (unsigned)line, level);
    g_mutex_unlock(&root->intx_lock);
}

static void count_driven(PciBus *b)
{
    PciBus *root;

    for (unsigned i = 0; i < PCI_DEVFNS; i++) {
        PciDevice *d = b->child[i];
        if (!d)
            continue;
        if (d->intx_driven)
            pci_bus_root(b)->line_count[intx_line(d, &root)]++;
        if (d->info->bridge)
            count_driven(&((PciBridge *)d)->secondary);
    }
}

static void tell_rerouted(PciBus *b)
{
    for (unsigned i = 0; i < PCI_DEVFNS; i++) {
        PciDevice *d = b->child[i];
        if (d && d->info->intx_rerouted)
            d->info->intx_rerouted(d);
        if (d && d->info->bridge)
            tell_rerouted(&((PciBridge *)d)->secondary);
    }
}

int pci_intx_by_eventfd(const PciDevice *d)
{
    PciBus *root;
    int line = d->config[PCI_INT_PIN] ? intx_line(d, &root) : -1;

    return line >= 0 && root->intx->wire ? event_doors_line(root->intx->wire(root->intx_opaque, (unsigned)line)) : -1;
}

void pci_intx_reroute(PciBus *b)
{
    if (!b->intx)
        return;
    g_mutex_lock(&b->intx_lock);
    memset(b->line_count, 0, sizeof(b->line_count));
    count_driven(b);
    for (unsigned i = 0; i < b->intx->lines; i++)
        b->intx->set(b->intx_opaque, i, b->line_count[i] != 0);
    g_mutex_unlock(&b->intx_lock);
    tell_rerouted(b);
}
