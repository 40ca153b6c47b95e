/* SPDX-License-Identifier: MIT */
/* The monitor's "info pci": functions, their BARs and bridges' windows. */
#include <inttypes.h>
#include "base/bits.h"
#include "hw/pci/pci-host.h"

static void print_bars(const PciDevice *d, GString *out)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const PciBar *b = &d->bar[i];
        const char *kind = b->flags & PCI_BAR_IO   ? "I/O"
                           : b->flags & PCI_BAR_64 ? "64 bit memory"
                                                   : "32 bit memory";

        if (!b->region)
            continue;
        g_string_append_printf(out, "      BAR%u: %s%s", i, kind,
                               b->flags & PCI_BAR_PREFETCH ? ", prefetchable" : "");
        if (b->addr == UINT64_MAX)
            g_string_append_printf(out, ", %#" PRIx64 " bytes, not mapped\n", b->size);
        else
            g_string_append_printf(out, " at %#" PRIx64 " [%#" PRIx64 "]\n", b->addr,
                                   b->addr + b->size - 1);
    }
}

static void print_bus(const PciBus *b, GString *out);

static void print_bridge(const PciBridge *b, GString *out)
{
    static const char *const names[] = { "I/O", "memory", "prefetchable memory" };
    const uint8_t *c = b->pci.config;

    g_string_append_printf(out, "      buses: primary %u, secondary %u, subordinate %u\n",
                           c[PCI_PRIMARY_BUS], c[PCI_SECONDARY_BUS], c[PCI_SUBORDINATE_BUS]);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (b->window_size[i])
            g_string_append_printf(out, "      %s window [%#" PRIx64 ", %#" PRIx64 "]\n", names[i],
                                   b->window_base[i], b->window_base[i] + b->window_size[i] - 1);
    }
    print_bus(&b->secondary, out);
}

static void print_bus(const PciBus *b, GString *out)
{
    for (unsigned i = 0; i < PCI_DEVFNS; i++) {
        const PciDevice *d = b->child[i];

        if (!d)
            continue;
        g_string_append_printf(out,
                               "  Bus %2u, device %3u, function %u:\n    %s: PCI device %04x:%04x "
                               "class %06x id \"%s\"\n",
                               pci_bus_number(b), PCI_SLOT(d->devfn), PCI_FUNC(d->devfn),
                               d->dev.type->desc ? d->dev.type->desc : d->dev.type->name, load_le16(d->config),
                               load_le16(d->config + 2), load_le32(d->config + 8) >> 8, d->dev.id);
        if (d->config[PCI_INT_PIN])
            g_string_append_printf(out, "      IRQ %u, pin %c\n", d->config[PCI_INT_LINE],
                                   '@' + d->config[PCI_INT_PIN]);
        print_bars(d, out);
        if (d->info->bridge)
            print_bridge((const PciBridge *)d, out);
    }
}

void pci_print_info(GString *out)
{
    for (Bus *b = bus_first(); b; b = b->next) {
        if (b->type == &pci_bus_type && !((const PciBus *)b)->bridge)
            print_bus((const PciBus *)b, out);
    }
}
