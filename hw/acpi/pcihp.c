/* SPDX-License-Identifier: MIT */
/* ACPI hot plug of a PCI bus: slots that came, slots that shall go, and the guest's ejections. */
#include "hw/acpi/pcihp.h"
#include "base/bits.h"
#include "base/trace.h"

/* What the machine itself has made stays. */
static bool removable(const AcpiPciHp *h, unsigned slot)
{
    bool any = false;
    for (unsigned f = 0; f < PCI_FUNCS; f++) {
        const PciDevice *d = h->bus->child[PCI_DEVFN(slot, f)];
        if (d && !d->dev.type->user_creatable)
            return false;
        any |= d != NULL;
    }
    return any;
}

static uint32_t removable_slots(const AcpiPciHp *h)
{
    uint32_t bits = 0;
    for (unsigned s = 0; s < PCI_SLOTS; s++)
        bits |= removable(h, s) ? (uint32_t)BIT(s) : 0;
    return bits;
}

static void eject(AcpiPciHp *h, uint32_t slots)
{
    for (; slots; slots &= slots - 1) {
        unsigned slot = (unsigned)__builtin_ctz(slots);
        if (!removable(h, slot))
            continue;
        TRACE(acpi_pci_eject, "slot %u", slot);
        h->up &= ~(uint32_t)BIT(slot);
        h->down &= ~(uint32_t)BIT(slot);
        pci_slot_unplugged(h->bus, slot);
    }
}

static MemResult hp_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    AcpiPciHp *h = opaque;
    bool here = !h->select;

    *value = 0;
    switch (offset) {
    case ACPI_PCIHP_UP:
        *value = here ? h->up : 0;
        h->up = here ? 0 : h->up; /* told */
        break;
    case ACPI_PCIHP_DOWN: *value = here ? h->down : 0; break;
    case ACPI_PCIHP_REMOVABLE: *value = here ? removable_slots(h) : 0; break;
    case ACPI_PCIHP_SELECT: *value = h->select; break;
    }
    return MEM_OK;
}

static MemResult hp_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    AcpiPciHp *h = opaque;

    if (offset == ACPI_PCIHP_SELECT)
        h->select = (uint32_t)value;
    else if (offset == ACPI_PCIHP_EJECT && !h->select)
        eject(h, (uint32_t)value);
    return MEM_OK;
}

static const MemOps hp_ops = { .read = hp_read, .write = hp_write, .min_size = 4, .max_size = 4 };

static void plugged(void *opaque, PciDevice *d)
{
    AcpiPciHp *h = opaque;

    h->up |= (uint32_t)BIT(PCI_SLOT(d->devfn));
    h->raise(h->owner, ACPI_PCIHP_GPE);
}

static bool ask(void *opaque, PciDevice *d, Error **errp)
{
    AcpiPciHp *h = opaque;

    if (!removable(h, PCI_SLOT(d->devfn))) {
        error_setf(errp, "device '%s': a part of the machine is in the same slot", d->dev.id);
        return false;
    }
    h->down |= (uint32_t)BIT(PCI_SLOT(d->devfn));
    h->raise(h->owner, ACPI_PCIHP_GPE);
    return true;
}

static const PciHotplug by_acpi = { .plugged = plugged, .ask = ask };

MemRegion *acpi_pcihp_init(AcpiPciHp *h, Device *owner, PciBus *bus, void (*raise)(Device *owner, unsigned gpe))
{
    h->owner = owner;
    h->bus = bus;
    h->raise = raise;
    bus->hotplug = &by_acpi;
    bus->hotplug_opaque = h;
    return h->region = mem_io_new("acpi-pci-hotplug", ACPI_PCIHP_SIZE, &hp_ops, h, owner->domain);
}

void acpi_pcihp_reset(AcpiPciHp *h)
{
    h->up = h->down = h->select = 0;
}
