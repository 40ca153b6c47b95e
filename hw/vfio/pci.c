/* SPDX-License-Identifier: MIT */
/*
 * "vfio-pci": header, BARs, MSI and MSI-X of the function are the base's, as for any device; everything else of its configuration space and the
 * contents of its BARs are the host's.
 */
#include "hw/vfio/vfio-pci.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/ram-source.h"

enum { CAP_ID_MSI = 5, CAP_ID_MSIX = 0x11, CAP_PTR = 0x34, HEADER_END = 0x40, CONFIG_STANDARD = 256, MSI_FLAGS = 2, MSIX_TABLE_AT = 4, MSIX_PBA_AT = 8,
       HOST_PAGE = 4096 };

/* ---- configuration space ---- */

static uint32_t host_config(VfioPci *p, uint32_t at, unsigned size)
{
    uint8_t b[4] = { 0xff, 0xff, 0xff, 0xff };
    if (at + size > p->config.size || vfio_host->pread(p->host.fd, b, size, p->config.offset + at) != (ssize_t)size)
        return (uint32_t)bits_mask(size * 8);
    return (uint32_t)load_le(b, size);
}

static void set_host_config(VfioPci *p, uint32_t at, unsigned size, uint32_t value)
{
    uint8_t b[4];
    store_le(b, size, value);
    if (vfio_host->pwrite(p->host.fd, b, size, p->config.offset + at) != (ssize_t)size)
        log_unimp(p->pci.dev.id, "the host refuses a write of its configuration at 0x%x", at);
}

static void emulate(VfioPci *p, uint32_t at, unsigned size) { memset(p->emulated + at, 1, size); }

static uint32_t config_read(PciDevice *d, uint32_t at, unsigned size, uint32_t stored)
{
    VfioPci *p = (VfioPci *)d;
    uint32_t value = 0;
    bool asked = false;
    uint32_t host = 0;
    for (unsigned i = 0; i < size; i++) {
        if (!p->emulated[at + i] && !asked) {
            host = host_config(p, at, size);
            asked = true;
        }
        value |= ((p->emulated[at + i] ? stored : host) >> 8 * i & 0xff) << 8 * i;
    }
    return value;
}

static void config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    VfioPci *p = (VfioPci *)d;
    if (p->host.fd < 0)
        return;
    if (at < PCI_COMMAND + 2 && at + size > PCI_COMMAND)
        set_host_config(p, PCI_COMMAND, 2, pci_config_get(d, PCI_COMMAND, 2));
    bool all = true, none = true;
    for (unsigned i = 0; i < size; i++) {
        all &= !p->emulated[at + i];
        none &= p->emulated[at + i];
    }
    if (all) {
        set_host_config(p, at, size, pci_config_get(d, at, size));
    } else if (!none) {
        for (unsigned i = 0; i < size; i++) {
            if (!p->emulated[at + i])
                set_host_config(p, at + i, 1, d->config[at + i]);
        }
    }
    vfio_irqs_update(p, false);
}

/* The capability of the host's list that begins at `at` ends where the next one of all begins. */
static uint16_t cap_size(const uint8_t *config, unsigned at)
{
    unsigned end = CONFIG_STANDARD;
    for (unsigned c = config[CAP_PTR] & 0xfc, n = 0; c >= HEADER_END && n < 48; c = config[c + 1] & 0xfc, n++) {
        if (c > at && c < end)
            end = c;
    }
    return (uint16_t)(end - at);
}

static bool add_msix(VfioPci *p, const uint8_t *config, unsigned at, Error **errp)
{
    uint32_t table = load_le32(config + at + MSIX_TABLE_AT), pba = load_le32(config + at + MSIX_PBA_AT);
    unsigned vectors = (load_le16(config + at + 2) & 0x7ffu) + 1, bir[2] = { table & 7, pba & 7 };
    for (unsigned i = 0; i < 2; i++) {
        if (bir[i] < 6 && p->bar[bir[i]].whole)
            continue;
        error_setf(errp, "device '%s': the host's MSI-X structures are in BAR %u, which it does not have", p->pci.dev.id, bir[i]);
        return false;
    }
    return msix_init(&p->pci, (uint16_t)at, vectors, bir[0], p->bar[bir[0]].whole, table & ~7u, bir[1], p->bar[bir[1]].whole, pba & ~7u, errp);
}

static bool add_cap(VfioPci *p, const uint8_t *config, unsigned at, Error **errp)
{
    uint16_t flags = load_le16(config + at + MSI_FLAGS), size = cap_size(config, at);
    switch (config[at]) {
    case CAP_ID_MSI:
        msi_init(&p->pci, (uint16_t)at, 1u << MIN(flags >> 1 & 7, 5), flags & BIT(7), flags & BIT(8));
        emulate(p, at, MIN(size, 24u));
        return true;
    case CAP_ID_MSIX:
        emulate(p, at, 12);
        return add_msix(p, config, at, errp);
    default:
        pci_add_capability(&p->pci, config[at], (uint16_t)at, size);
        emulate(p, at, 2);
        for (unsigned i = 2; i < size; i++) /* what may be written there is the host's matter */
            pci_config_define(&p->pci, at + i, 1, config[at + i], 0xff);
        return true;
    }
}

/* Extended capabilities (above 256 bytes) are not shown. */
static bool make_config(VfioPci *p, Error **errp)
{
    uint8_t config[CONFIG_STANDARD];
    uint64_t seen = 0;
    if (vfio_host->pread(p->host.fd, config, sizeof(config), p->config.offset) != sizeof(config)) {
        error_setf(errp, "device '%s': the host's configuration space can't be read: %s", p->pci.dev.id, g_strerror(errno));
        return false;
    }
    pci_config_define(&p->pci, PCI_VENDOR_ID, 4, load_le32(config), 0);
    pci_config_define(&p->pci, PCI_REVISION, 4, load_le32(config + PCI_REVISION), 0);
    pci_config_define(&p->pci, 0x2c, 4, load_le32(config + 0x2c), 0);
    pci_config_define(&p->pci, PCI_INT_PIN, 1, config[PCI_INT_PIN], 0);
    emulate(p, 0, PCI_STATUS);
    emulate(p, PCI_REVISION, 0x34 - PCI_REVISION);
    emulate(p, CAP_PTR, PCI_INT_PIN + 1 - CAP_PTR);
    emulate(p, CONFIG_STANDARD, PCIE_CONFIG_SIZE - CONFIG_STANDARD);
    for (unsigned at = config[CAP_PTR] & 0xfc; at >= HEADER_END && !(seen & BIT(at / 4)); at = config[at + 1] & 0xfc) {
        seen |= BIT(at / 4);
        if (cap_size(config, at) < (config[at] == CAP_ID_MSI ? 10 : config[at] == CAP_ID_MSIX ? 12 : 2)) {
            error_setf(errp, "device '%s': the host's capability at 0x%x has no room", p->pci.dev.id, at);
            return false;
        }
        if (!add_cap(p, config, at, errp))
            return false;
    }
    return true;
}

/* ---- BARs ---- */

static MemResult slow_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    VfioBar *b = opaque;
    uint8_t bytes[8];
    bool ok = vfio_host->pread(b->owner->host.fd, bytes, size, b->region.offset + at) == (ssize_t)size;
    *value = ok ? load_le(bytes, size) : bits_mask(size * 8);
    vfio_intx_eoi(b->owner);
    return MEM_OK;
}

static MemResult slow_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    VfioBar *b = opaque;
    uint8_t bytes[8];
    store_le(bytes, size, value);
    if (vfio_host->pwrite(b->owner->host.fd, bytes, size, b->region.offset + at) != (ssize_t)size)
        log_unimp(b->owner->pci.dev.id, "the host refuses a write of BAR %u at 0x%x", b->index, (unsigned)at);
    vfio_intx_eoi(b->owner);
    return MEM_OK;
}
static const MemOps slow_ops = { slow_read, slow_write, 1, 8 };

void vfio_bars_fast(VfioPci *p, bool fast)
{
    mem_begin();
    for (unsigned i = 0; i < ARRAY_LEN(p->bar); i++) {
        if (p->bar[i].fast)
            mem_set_enabled(p->bar[i].fast, fast);
    }
    mem_commit();
}

/* After a while without interrupts accesses are direct again. */
static void remap(void *opaque)
{
    VfioPci *p = opaque;
    if (!p->intx_pending)
        vfio_bars_fast(p, true);
    else
        timer_arm(p->remap, clock_ns(CLOCK_VIRTUAL_NS) + p->mmap_timeout_ms * INT64_C(1000000));
}

static void map_fast(VfioPci *p, VfioBar *b)
{
    uint64_t at, len;
    if (p->no_mmap || !vfio_region_mappable(&p->host, b->index, &at, &len) || (at | len) % HOST_PAGE)
        return;
    RamSource src = ram_source_default();
    src.host = vfio_host->mmap(len, PROT_READ | PROT_WRITE, p->host.fd, b->region.offset + at);
    src.shared = true;
    if (!src.host)
        return;
    b->fast = mem_ram_new_from("vfio-bar", len, &src, NULL);
    if (b->fast)
        mem_map(b->whole, at, b->fast, 0);
    else
        munmap(src.host, len);
}

static void add_bar(VfioPci *p, unsigned index)
{
    VfioBar *b = &p->bar[index];
    uint32_t low = host_config(p, PCI_BAR0 + 4 * index, 4);
    uint8_t flags = low & 1 ? PCI_BAR_IO : (uint8_t)(low & (PCI_BAR_64 | PCI_BAR_PREFETCH));
    *b = (VfioBar){ .owner = p, .index = index };
    if (!vfio_region(&p->host, index, &b->region) || !is_pow2(b->region.size) || b->region.size < (flags & PCI_BAR_IO ? 4 : 16))
        return;
    b->whole = mem_container_new("vfio-bar", b->region.size);
    b->slow = mem_io_new("vfio-bar", b->region.size, &slow_ops, b, p->pci.dev.domain);
    mem_map(b->whole, 0, b->slow, -1);
    if (!(flags & PCI_BAR_IO))
        map_fast(p, b);
    pci_register_bar(&p->pci, index, flags, b->whole);
}

/* The upper half of a 64-bit BAR is none of its own. */
static void add_bars(VfioPci *p)
{
    for (unsigned i = 0; i < ARRAY_LEN(p->bar); i++) {
        add_bar(p, i);
        if (p->bar[i].whole && p->pci.bar[i].flags & PCI_BAR_64)
            i++;
    }
}

/* ---- life ---- */

static char *sysfs_path(const VfioPci *p, Error **errp)
{
    if (p->sysfsdev)
        return g_strdup(p->sysfsdev);
    if (!p->address) {
        error_setf(errp, "device '%s': which one? add host=DDDD:BB:DD.F, as lspci -D shows it, or sysfsdev=PATH", p->pci.dev.id);
        return NULL;
    }
    bool domain = strchr(p->address, ':') != strrchr(p->address, ':');
    return g_strconcat("/sys/bus/pci/devices/", domain ? "" : "0000:", p->address, NULL);
}

static void init(Device *d)
{
    VfioPci *p = (VfioPci *)d;
    p->host = (VfioDevice){ .fd = -1, .group = -1 };
    p->irq_mode = -1;
    memset(p->emulated, 1, sizeof(p->emulated)); /* until the host is known */
    p->remap = timer_new(CLOCK_VIRTUAL_NS, d->domain, remap, p);
}

static bool start(Device *d, Error **errp)
{
    VfioPci *p = (VfioPci *)d;
    g_autofree char *path = sysfs_path(p, errp);
    if (!path || !vfio_attach(&p->host, d->id, path, errp))
        return false;
    if (!vfio_region(&p->host, VFIO_PCI_CONFIG_REGION_INDEX, &p->config) || p->config.size < CONFIG_STANDARD) {
        error_setf(errp, "device '%s': the host shows no configuration space of '%s'", d->id, path);
        return false;
    }
    memset(p->emulated, 0, sizeof(p->emulated));
    add_bars(p);
    return make_config(p, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    VfioPci *p = (VfioPci *)d;
    if (phase == RESET_ENTER) {
        vfio_irqs_update(p, true);
        set_host_config(p, PCI_COMMAND, 2, 0);
        vfio_reset(&p->host);
    } else if (phase == RESET_EXIT) {
        vfio_irqs_update(p, false);
    }
}

/* What the device itself holds is on the host and stays there. */
static void saving(Device *d)
{
    warn_reportf("device '%s': the state of the host's device is not saved; let the guest's driver go before (device_del)", d->id);
}

static bool loaded(Device *d, Error **errp)
{
    VfioPci *p = (VfioPci *)d;
    set_host_config(p, PCI_COMMAND, 2, pci_config_get(&p->pci, PCI_COMMAND, 2));
    vfio_irqs_update(p, false);
    return true;
}

static void stop(Device *d)
{
    VfioPci *p = (VfioPci *)d;
    if (p->host.fd >= 0) {
        vfio_irqs_update(p, true);
        set_host_config(p, PCI_COMMAND, 2, 0);
        vfio_reset(&p->host);
    }
    for (unsigned i = 0; i < ARRAY_LEN(p->bar); i++) {
        mem_region_free(p->bar[i].fast);
        mem_region_free(p->bar[i].slow);
        mem_region_free(p->bar[i].whole);
    }
    timer_free(p->remap);
    vfio_detach(&p->host);
}

static const char *const mode_names[] = { "INTx", "MSI", "MSI-X" };
static void info(Device *d, GString *out)
{
    const VfioPci *p = (VfioPci *)d;
    g_string_append_printf(out, "vfio: group %d, interrupts: %s, %u\n", p->host.group, p->irq_mode < 0 ? "none" : mode_names[p->irq_mode], p->irq_count);
}

static const Property props[] = {
    DEFINE_PROP_STRING("host", VfioPci, address, NULL, "address on the host, as 0000:01:00.0"),
    DEFINE_PROP_STRING("sysfsdev", VfioPci, sysfsdev, NULL, "the device's folder in sysfs"),
    DEFINE_PROP_BOOL("x-no-mmap", VfioPci, no_mmap, false, "every access of its BARs is a call of the host"),
    PROP_(PROP_U32, "x-intx-mmap-timeout-ms", VfioPci, mmap_timeout_ms, 1100, "how long after an INTx interrupt they are", .min = 1),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_TIMER(VfioPci, remap), STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0xffff, .device = 0xffff, .express = true, .config_read = config_read, .config_wrote = config_wrote };
static const DeviceType type = {
    .name = "vfio-pci", .desc = "a PCI device of the host", .category = "Misc", .size = sizeof(VfioPci), .bus = "pci", .base = &pci_device_type,
    .user_creatable = true, .props = props, .state = state, .init = init, .start = start, .reset = reset, .saving = saving, .loaded = loaded, .stop = stop,
    .info = info, .class_data = &pci_info,
};
DEVICE_REGISTER(type)
