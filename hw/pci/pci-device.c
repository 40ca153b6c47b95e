/* SPDX-License-Identifier: MIT */
/* The common part of every PCI function: configuration space, BARs, INTx, reset and state. */
#include <inttypes.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/pci/pci-internal.h"

/* ---- Configuration space ---- */

uint32_t pci_config_get(const PciDevice *d, uint32_t at, unsigned size)
{
    return (uint32_t)load_le(d->config + at, size);
}

void pci_config_set(PciDevice *d, uint32_t at, unsigned size, uint32_t value)
{
    store_le(d->config + at, size, value);
}

void pci_config_define(PciDevice *d, uint32_t at, unsigned size, uint32_t value, uint32_t wmask)
{
    g_assert(at + size <= d->config_size);
    store_le(d->config + at, size, value);
    store_le(d->reset_value + at, size, value);
    store_le(d->wmask + at, size, wmask);
}

void pci_config_define_w1c(PciDevice *d, uint32_t at, unsigned size, uint32_t mask)
{
    g_assert(at + size <= d->config_size);
    store_le(d->w1c + at, size, mask);
}

static void define_type0(PciDevice *d)
{
    const PciDeviceInfo *info = d->info;
    bool dflt = !info->subsystem_vendor && !info->subsystem && !info->no_subsystem;

    pci_config_define(d, PCI_SUBSYS_VENDOR, 2, dflt ? PCI_VENDOR_QUMRANET : info->subsystem_vendor,
                      0);
    pci_config_define(d, PCI_SUBSYS_ID, 2, dflt ? PCI_SUBSYS_QEMU : info->subsystem, 0);
}

/* PCI-to-PCI Bridge 1.2 section 3.2: 16-bit I/O window, 64-bit prefetchable window. */
static void define_type1(PciDevice *d)
{
    pci_config_define(d, PCI_PRIMARY_BUS, 4, 0, d->info->express ? 0x00ffffff : 0xffffffff);
    pci_config_define(d, PCI_IO_BASE, 2, 0, 0xf0f0);
    pci_config_define(d, PCI_SEC_STATUS, 2, 0, 0);
    pci_config_define_w1c(d, PCI_SEC_STATUS, 2, PCI_STATUS_W1C);
    pci_config_define(d, PCI_MEM_BASE, 4, 0, 0xfff0fff0);
    pci_config_define(d, PCI_PREF_BASE, 4, 0x00010001, 0xfff0fff0);
    pci_config_define(d, PCI_PREF_BASE_UPPER, 4, 0, 0xffffffff);
    pci_config_define(d, PCI_PREF_LIMIT_UPPER, 4, 0, 0xffffffff);
    pci_config_define(d, PCI_BRIDGE_CONTROL, 2, 0,
                      PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_ISA |
                          PCI_BRIDGE_CTL_VGA | PCI_BRIDGE_CTL_VGA16 | PCI_BRIDGE_CTL_RESET);
}

static void define_header(PciDevice *d)
{
    const PciDeviceInfo *info = d->info;
    uint8_t type =
        (info->bridge ? PCI_HEADER_BRIDGE : 0) | (d->multifunction ? PCI_HEADER_MULTI : 0);

    pci_config_define(d, PCI_VENDOR_ID, 2, info->vendor, 0);
    pci_config_define(d, PCI_DEVICE_ID, 2, info->device, 0);
    pci_config_define(d, PCI_COMMAND, 2, 0,
                      PCI_CMD_IO | PCI_CMD_MEM | PCI_CMD_MASTER | PCI_CMD_PARITY | PCI_CMD_SERR |
                          PCI_CMD_INTX_DISABLE);
    pci_config_define(d, PCI_STATUS, 2, 0, 0);
    pci_config_define_w1c(d, PCI_STATUS, 2, PCI_STATUS_W1C);
    pci_config_define(d, PCI_REVISION, 4, info->class_code << 8 | info->revision, 0);
    pci_config_define(d, PCI_CACHE_LINE, 1, 0, 0xff);
    pci_config_define(d, PCI_LATENCY, 1, 0, info->express ? 0 : 0xff);
    pci_config_define(d, PCI_HEADER_TYPE, 1, type, 0);
    pci_config_define(d, PCI_INT_LINE, 1, 0, 0xff);
    pci_config_define(d, PCI_INT_PIN, 1, info->interrupt_pin, 0);
    if (info->bridge)
        define_type1(d);
    else
        define_type0(d);
}

uint32_t pci_device_config_read(PciDevice *d, uint32_t at, unsigned size)
{
    uint32_t v;

    if (at + size > d->config_size)
        return (uint32_t)bits_mask(size * 8);
    lock_domain_lock(d->dev.domain);
    v = pci_config_get(d, at, size);
    if (d->info->config_read)
        v = d->info->config_read(d, at, size, v);
    lock_domain_unlock(d->dev.domain);
    TRACE(pci_config_read, "%s %02x.%x [%#x] -> %#x", d->dev.id, PCI_SLOT(d->devfn),
          PCI_FUNC(d->devfn), at, v);
    return v;
}

static void config_effects(PciDevice *d, uint32_t at, unsigned size)
{
    uint32_t rom = d->info->bridge ? PCI_BRIDGE_ROM_BAR : PCI_ROM_BAR;
    unsigned bars = d->info->bridge ? 2 : 6;

    if (pci_overlaps(at, size, PCI_COMMAND, 2) || pci_overlaps(at, size, PCI_BAR0, bars * 4) ||
        pci_overlaps(at, size, rom, 4))
        pci_bars_update(d);
    if (pci_overlaps(at, size, PCI_COMMAND, 2)) {
        pci_intx_update(d);
        pci_dma_update(d);
    }
    msi_config_wrote(d, at, size);
    msix_config_wrote(d, at, size);
    if (d->info->config_wrote)
        d->info->config_wrote(d, at, size);
}

void pci_device_config_write(PciDevice *d, uint32_t at, unsigned size, uint32_t value)
{
    if (at + size > d->config_size)
        return;
    TRACE(pci_config_write, "%s %02x.%x [%#x] <- %#x", d->dev.id, PCI_SLOT(d->devfn),
          PCI_FUNC(d->devfn), at, value);
    lock_domain_lock(d->dev.domain);
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i)), wm = d->wmask[at + i];
        uint8_t v = (uint8_t)((d->config[at + i] & ~wm) | (byte & wm));
        d->config[at + i] = (uint8_t)(v & ~(byte & d->w1c[at + i]));
    }
    config_effects(d, at, size);
    lock_domain_unlock(d->dev.domain);
}

/* ---- BARs ---- */

static uint32_t bar_offset(const PciDevice *d, unsigned i)
{
    if (i == PCI_ROM_SLOT)
        return d->info->bridge ? PCI_BRIDGE_ROM_BAR : PCI_ROM_BAR;
    return PCI_BAR0 + i * 4;
}

void pci_register_bar(PciDevice *d, unsigned index, uint8_t flags, MemRegion *region)
{
    PciBar *b = &d->bar[index];
    uint64_t size = mem_size(region), mask = ~(size - 1);
    uint32_t at = bar_offset(d, index);

    g_assert(index < PCI_BARS && !b->region && is_pow2(size) &&
             size >= (flags & PCI_BAR_IO ? 4 : 16));
    b->region = region;
    b->size = size;
    b->flags = flags;
    b->addr = UINT64_MAX;
    if (index == PCI_ROM_SLOT) {
        pci_config_define(d, at, 4, 0, (uint32_t)mask | 1);
        return;
    }
    pci_config_define(d, at, 4, flags & (PCI_BAR_IO | PCI_BAR_64 | PCI_BAR_PREFETCH),
                      (uint32_t)mask);
    if (flags & PCI_BAR_64)
        pci_config_define(d, at + 4, 4, 0, (uint32_t)(mask >> 32));
}

/* Where the guest wants the BAR now. Address 0 and the all-ones of a sizing probe mean: nowhere. */
static uint64_t bar_wanted(const PciDevice *d, unsigned i)
{
    const PciBar *b = &d->bar[i];
    uint32_t at = bar_offset(d, i), low = pci_config_get(d, at, 4);
    uint16_t cmd = (uint16_t)pci_config_get(d, PCI_COMMAND, 2);
    uint64_t addr = low, limit = UINT32_MAX;

    if (!(cmd & (b->flags & PCI_BAR_IO ? PCI_CMD_IO : PCI_CMD_MEM)) ||
        (i == PCI_ROM_SLOT && !(low & 1)))
        return UINT64_MAX;
    if (b->flags & PCI_BAR_IO)
        limit = 0x10000;
    if (b->flags & PCI_BAR_64) {
        addr |= (uint64_t)pci_config_get(d, at + 4, 4) << 32;
        limit = UINT64_MAX;
    }
    addr &= ~(b->size - 1);
    return addr && addr <= limit - b->size ? addr : UINT64_MAX;
}

void pci_bars_update(PciDevice *d)
{
    mem_begin();
    for (unsigned i = 0; i < PCI_BARS; i++) {
        PciBar *b = &d->bar[i];
        uint64_t want = b->region ? bar_wanted(d, i) : UINT64_MAX;

        if (!b->region || want == b->addr)
            continue;
        if (b->addr != UINT64_MAX)
            mem_unmap(b->region);
        if (want != UINT64_MAX)
            mem_map(b->flags & PCI_BAR_IO ? d->bus->io : d->bus->mem, want, b->region, 1);
        TRACE(pci_bar_moved, "%s bar %u %#" PRIx64 " -> %#" PRIx64, d->dev.id, i, b->addr, want);
        b->addr = want;
    }
    mem_commit();
}

uint64_t pci_bar_addr(const PciDevice *d, unsigned index)
{
    return d->bar[index].region ? d->bar[index].addr : UINT64_MAX;
}

/* Rounded up to a power of two of at least 2 KiB. */
bool pci_set_option_rom(PciDevice *d, const void *data, size_t len, Error **errp)
{
    uint64_t size = d->romsize == UINT32_MAX ? 2048 : d->romsize;

    while (d->romsize == UINT32_MAX && size < len)
        size *= 2;
    if (size < len) {
        error_setf(errp, "device '%s': an option ROM of %zu bytes does not fit into romsize=%u", d->dev.id, len,
                   d->romsize);
        return false;
    }
    d->rom = mem_rom_new("option-rom", size, data, len, errp);
    if (!d->rom)
        return false;
    pci_register_bar(d, PCI_ROM_SLOT, PCI_BAR_MEM, d->rom);
    return true;
}

static bool is_pci(const Device *d)
{
    const DeviceType *t = d->type;

    while (t && t != &pci_device_type)
        t = t->base;
    return t;
}

static bool check_properties(PciDevice *d, Error **errp)
{
    if (d->romsize != UINT32_MAX && (!is_pow2(d->romsize) || d->romsize < 2048 || d->romsize > PCI_ROM_MAX)) {
        error_setf(errp, "device '%s': romsize=%u: a power of two from 2048 to %u", d->dev.id, d->romsize, PCI_ROM_MAX);
        return false;
    }
    if (d->failover_pair_id) {
        error_setf(errp, "device '%s': failover_pair_id=%s: it is no network card", d->dev.id, d->failover_pair_id);
        return false;
    }
    for (Device *o = device_first(); d->acpi_index && o; o = o->next) {
        if (o != &d->dev && is_pci(o) && pci_device(o)->acpi_index == d->acpi_index) {
            error_setf(errp, "device '%s': acpi-index=%u is that of device '%s', too; give each its own", d->dev.id,
                       d->acpi_index, o->id);
            return false;
        }
    }
    return true;
}

static bool load_option_rom(PciDevice *d, Error **errp)
{
    g_autofree char *data = NULL;
    gsize len;
    GError *err = NULL;

    if (!d->romfile || !*d->romfile || !d->rombar)
        return true;
    if (!g_file_get_contents(d->romfile, &data, &len, &err)) {
        error_setf(errp, "device '%s': cannot read option ROM '%s': %s", d->dev.id, d->romfile,
                   err->message);
        g_error_free(err);
        return false;
    }
    if (len && len <= PCI_ROM_MAX)
        return pci_set_option_rom(d, data, len, errp);
    error_setf(errp, "device '%s': option ROM '%s' has %zu bytes; it must have 1 byte to 16 MiB", d->dev.id, d->romfile,
               len);
    return false;
}

/* ---- INTx ---- */

void pci_intx_update(PciDevice *d)
{
    bool want = d->intx_level && !(pci_config_get(d, PCI_COMMAND, 2) & PCI_CMD_INTX_DISABLE);

    if (want == d->intx_driven || !d->config[PCI_INT_PIN])
        return;
    d->intx_driven = want;
    pci_bus_drive_intx(d, want);
}

void pci_set_irq(PciDevice *d, int level)
{
    d->intx_level = level;
    d->config[PCI_STATUS] = (uint8_t)(level ? d->config[PCI_STATUS] | PCI_STATUS_INTX
                                            : d->config[PCI_STATUS] & ~PCI_STATUS_INTX);
    pci_intx_update(d);
}

const char *const pci_on_off_auto[] = { "on", "off", "auto", NULL };

/* ---- The device type all others are based on ---- */

static void pci_init(Device *dev)
{
    PciDevice *d = pci_device(dev);

    d->info = dev->type->class_data;
    d->config_size = d->info->express ? PCIE_CONFIG_SIZE : PCI_CONFIG_SIZE;
    d->wmask = g_malloc0(d->config_size);
    d->w1c = g_malloc0(d->config_size);
    d->reset_value = g_malloc0(d->config_size);
    d->cap_end = 0x40;
    d->msix_state = g_byte_array_new();
}

static bool pci_start(Device *dev, Error **errp)
{
    PciDevice *d = pci_device(dev);

    define_header(d);
    pci_dma_start(d);
    return check_properties(d, errp) && load_option_rom(d, errp);
}

static void pci_reset(Device *dev, ResetPhase phase)
{
    PciDevice *d = pci_device(dev);

    if (phase == RESET_HOLD)
        pci_set_irq(d, 0);
    if (phase != RESET_ENTER)
        return;
    memcpy(d->config, d->reset_value, d->config_size);
    if (d->intx_level)
        d->config[PCI_STATUS] |= PCI_STATUS_INTX;
    pci_dma_update(d);
    pci_bars_update(d);
    msi_reset(d);
    msix_reset(d);
}

static bool pci_loaded(Device *dev, Error **errp)
{
    PciDevice *d = pci_device(dev);

    if (load_le32(d->config) != load_le32(d->reset_value)) {
        error_setf(errp, "device '%s': the saved state is of PCI device %08x, this one is %08x",
                   dev->id, load_le32(d->config), load_le32(d->reset_value));
        return false;
    }
    if (!msix_loaded(d, errp))
        return false;
    pci_bars_update(d);
    pci_intx_update(d);
    pci_dma_update(d);
    return true;
}

static void pci_stop(Device *dev)
{
    PciDevice *d = pci_device(dev);

    for (unsigned i = 0; i < PCI_BARS; i++) {
        if (d->bar[i].region && d->bar[i].addr != UINT64_MAX)
            mem_unmap(d->bar[i].region);
        d->bar[i].region = NULL;
    }
    pci_dma_stop(d);
    msix_free(d);
    g_clear_pointer(&d->rom, mem_region_free);
    g_clear_pointer(&d->wmask, g_free);
    g_clear_pointer(&d->w1c, g_free);
    g_clear_pointer(&d->reset_value, g_free);
    if (d->msix_state)
        g_byte_array_unref(d->msix_state);
    d->msix_state = NULL;
}

static const Property pci_props[] = {
    DEFINE_PROP_STRING("addr", PciDevice, addr_prop, NULL, "slot[.function] on the bus, hexadecimal"),
    DEFINE_PROP_BOOL("multifunction", PciDevice, multifunction, false, "other functions share this slot"),
    DEFINE_PROP_STRING("romfile", PciDevice, romfile, NULL, "option ROM image"),
    PROP_(PROP_U32, "rombar", PciDevice, rombar, 1, "1: show the option ROM in a BAR; 0: do not", .max = 1),
    PROP_(PROP_U32, "romsize", PciDevice, romsize, UINT32_MAX,
          "bytes of that BAR, a power of two; 4294967295: as the image needs", .max = UINT32_MAX),
    PROP_(PROP_U32, "acpi-index", PciDevice, acpi_index, 0, "number by which firmware knows it, of its own; 0: none",
          .max = 16383),
    DEFINE_PROP_STRING("failover_pair_id", PciDevice, failover_pair_id, NULL,
                       "network card that stands in for this one"),
    DEFINE_PROP_END,
};

static const StateField pci_state[] = {
    STATE_BYTES(PciDevice, config),
    STATE_BOOL(PciDevice, intx_level),
    STATE_BUF(PciDevice, msix_state, 2048 * 16 + 256),
    STATE_END_OF_TABLE,
};

const DeviceType pci_device_type = {
    .name = "pci-device",
    .size = sizeof(PciDevice),
    .props = pci_props,
    .state = pci_state,
    .init = pci_init,
    .start = pci_start,
    .reset = pci_reset,
    .loaded = pci_loaded,
    .stop = pci_stop,
};
