/* SPDX-License-Identifier: MIT */
/* PCI-to-PCI bridges: what all have in common, and "pci-bridge" (PCI-to-PCI Bridge 1.2 chapter 3). */
#include "base/bits.h"
#include "hw/pci/pci-internal.h"

enum { WINDOW_IO, WINDOW_MEM, WINDOW_PREF };

typedef struct Range {
    uint64_t base, size; /* size 0: closed */
} Range;

static Range range_of(uint64_t base, uint64_t limit, bool open)
{
    return open && limit >= base ? (Range){ base, limit - base + 1 } : (Range){ 0, 0 };
}

static Range wanted_window(const PciDevice *d, unsigned i)
{
    uint8_t cmd = d->config[PCI_COMMAND];
    uint64_t base, limit;

    switch (i) {
    case WINDOW_IO:
        return range_of((d->config[PCI_IO_BASE] & 0xf0u) << 8,
                        (d->config[PCI_IO_LIMIT] & 0xf0u) << 8 | 0xfff, cmd & PCI_CMD_IO);
    case WINDOW_MEM:
        return range_of((uint64_t)(pci_config_get(d, PCI_MEM_BASE, 2) & 0xfff0) << 16,
                        (uint64_t)(pci_config_get(d, PCI_MEM_LIMIT, 2) & 0xfff0) << 16 | 0xfffff,
                        cmd & PCI_CMD_MEM);
    default:
        base = (uint64_t)pci_config_get(d, PCI_PREF_BASE_UPPER, 4) << 32 |
               (pci_config_get(d, PCI_PREF_BASE, 2) & 0xfff0) << 16;
        limit = (uint64_t)pci_config_get(d, PCI_PREF_LIMIT_UPPER, 4) << 32 |
                (pci_config_get(d, PCI_PREF_LIMIT, 2) & 0xfff0) << 16 | 0xfffff;
        return range_of(base, limit, cmd & PCI_CMD_MEM);
    }
}

static const char *const window_names[] = { "bridge-io", "bridge-mem", "bridge-pref" };

static void windows_update(PciBridge *b)
{
    PciDevice *d = &b->pci;

    mem_begin();
    for (unsigned i = 0; i < ARRAY_LEN(b->window); i++) {
        Range r = wanted_window(d, i);
        bool io = i == WINDOW_IO;

        if (r.base == b->window_base[i] && r.size == b->window_size[i])
            continue;
        g_clear_pointer(&b->window[i], mem_region_free);
        b->window_base[i] = r.base;
        b->window_size[i] = r.size;
        if (!r.size)
            continue;
        b->window[i] = mem_alias_new(window_names[i], io ? b->io : b->mem, r.base, r.size);
        mem_map(io ? d->bus->io : d->bus->mem, r.base, b->window[i], 1);
    }
    mem_commit();
}

void pci_bridge_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    if (pci_overlaps(at, size, PCI_COMMAND, 2) ||
        pci_overlaps(at, size, PCI_IO_BASE, PCI_CAP_PTR - PCI_IO_BASE))
        windows_update((PciBridge *)d);
}

void pci_bridge_make_bus(PciBridge *b)
{
    b->mem = mem_container_new("bridge-secondary-mem", UINT64_MAX);
    b->io = mem_container_new("bridge-secondary-io", 0x10000);
    pci_secondary_bus_init(&b->secondary, b->pci.dev.id, &b->pci, b->mem, b->io);
}

void pci_bridge_reset(Device *dev, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        windows_update((PciBridge *)dev);
}

bool pci_bridge_loaded(Device *dev, Error **errp)
{
    windows_update((PciBridge *)dev);
    return true;
}

void pci_bridge_stop(Device *dev)
{
    PciBridge *b = (PciBridge *)dev;

    for (unsigned i = 0; i < ARRAY_LEN(b->window); i++)
        g_clear_pointer(&b->window[i], mem_region_free);
    pci_bus_fini(&b->secondary);
    g_clear_pointer(&b->mem, mem_region_free);
    g_clear_pointer(&b->io, mem_region_free);
}

const char *const pci_bridge_provides[] = { "pci", NULL };

/*
 * ---- pci-bridge: a conventional bridge; slot numbering capability as PCI-to-PCI Bridge 1.2 section 13.1 has it ----
 */

static bool pci_bridge_start(Device *dev, Error **errp)
{
    PciBridge *b = (PciBridge *)dev;
    uint16_t at = pci_add_capability(&b->pci, 0x04, 0, 4);

    pci_config_define(&b->pci, at + 3, 1, b->chassis, 0xff);
    pci_bridge_make_bus(b);
    return true;
}

static const Property pci_bridge_props[] = {
    DEFINE_PROP_U8("chassis_nr", PciBridge, chassis, 0, "chassis number"),
    DEFINE_PROP_END,
};

static const PciDeviceInfo pci_bridge_info = {
    .vendor = PCI_VENDOR_REDHAT, .device = 0x0001, .class_code = PCI_CLASS_PCI_BRIDGE,
    .bridge = true,
    .config_wrote = pci_bridge_config_wrote,
};

static const DeviceType pci_bridge_type = {
    .name = "pci-bridge", .desc = "PCI-to-PCI bridge", .category = "Bridge",
    .size = sizeof(PciBridge), .bus = "pci",
    .provides = pci_bridge_provides, .user_creatable = true, .props = pci_bridge_props,
    .base = &pci_device_type,
    .start = pci_bridge_start, .reset = pci_bridge_reset, .loaded = pci_bridge_loaded, .stop = pci_bridge_stop,
    .class_data = &pci_bridge_info,
};
DEVICE_REGISTER(pci_bridge_type)
