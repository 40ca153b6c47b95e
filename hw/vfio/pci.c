/* SPDX-License-Identifier: MIT */
/*
 * "vfio-pci": header, BARs, MSI and MSI-X of the function are the base's, as for any device; everything else of its
 * configuration space and the contents of its BARs are the host's.
 */
#include "hw/vfio/vfio-pci.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/ram-source.h"

enum { HOST_PAGE = 4096 };
#define ANY_ID UINT32_MAX

/* ---- BARs ---- */

static MemResult slow_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    VfioBar *b = opaque;
    uint8_t bytes[8];
    bool ok = vfio_host->pread(b->owner->host.fd, bytes, size, b->region.offset + at) == (ssize_t)size;
    *value = ok ? load_le(bytes, size) : bits_mask(size * 8);
    vfio_line_eoi(b->owner);
    return MEM_OK;
}

static MemResult slow_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    VfioBar *b = opaque;
    uint8_t bytes[8];
    store_le(bytes, size, value);
    if (vfio_host->pwrite(b->owner->host.fd, bytes, size, b->region.offset + at) != (ssize_t)size)
        log_unimp(b->owner->pci.dev.id, "the host refuses a write of BAR %u at 0x%x", b->index, (unsigned)at);
    vfio_line_eoi(b->owner);
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
    if (!p->line.pending)
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
    uint32_t low = vfio_host_config(p, PCI_BAR0 + 4 * index, 4);
    uint8_t flags = low & 1 ? PCI_BAR_IO : (uint8_t)(low & (PCI_BAR_64 | PCI_BAR_PREFETCH));
    *b = (VfioBar){ .owner = p, .index = index };
    if (!vfio_region(&p->host, index, &b->region) || !is_pow2(b->region.size) ||
        b->region.size < (flags & PCI_BAR_IO ? 4 : 16))
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

/* The function's own option ROM, unless romfile= gives one or rombar=0; what is no ROM image is left out. */
static void add_rom(VfioPci *p)
{
    VfioRegion r;
    if (p->pci.rom || !p->pci.rombar || p->pci.romfile || !vfio_region(&p->host, VFIO_PCI_ROM_REGION_INDEX, &r) ||
        r.size > PCI_ROM_MAX)
        return;
    g_autofree uint8_t *data = g_malloc(r.size);
    ssize_t n = vfio_host->pread(p->host.fd, data, r.size, r.offset);
    if (n < 2 || load_le16(data) != 0xaa55)
        warn_reportf(
            "device '%s': the host's option ROM can't be read; add romfile=FILE if the guest's firmware needs it",
            p->pci.dev.id);
    else
        pci_set_option_rom(&p->pci, data, (size_t)n, NULL);
}

/* ---- life ---- */

static char *sysfs_path(const VfioPci *p, Error **errp)
{
    if (p->sysfsdev)
        return g_strdup(p->sysfsdev);
    if (!p->address) {
        error_setf(errp, "device '%s': which one? add host=DDDD:BB:DD.F, as lspci -D shows it, or sysfsdev=PATH",
                   p->pci.dev.id);
        return NULL;
    }
    bool domain = strchr(p->address, ':') != strrchr(p->address, ':');
    return g_strconcat("/sys/bus/pci/devices/", domain ? "" : "0000:", p->address, NULL);
}

static void init(Device *d)
{
    VfioPci *p = (VfioPci *)d;
    p->host = (VfioDevice){ .fd = -1, .group = -1 };
    p->irq_mode = p->line.wanted = -1;
    memset(p->emulated, 1, sizeof(p->emulated)); /* until the host is known */
    p->remap = timer_new(CLOCK_VIRTUAL_NS, d->domain, remap, p);
}

static bool start(Device *d, Error **errp)
{
    VfioPci *p = (VfioPci *)d;
    if (p->display == PCI_ON) {
        error_setf(errp, "device '%s': display=on: there is no display for it; use display=off", d->id);
        return false;
    }
    g_autofree char *path = sysfs_path(p, errp);
    if (!path || !vfio_attach(&p->host, d->id, path, p->iommufd, pci_is_translated(&p->pci) ? &p->pci : NULL, errp))
        return false;
    if (!vfio_region(&p->host, VFIO_PCI_CONFIG_REGION_INDEX, &p->config) || p->config.size < PCI_CONFIG_SIZE) {
        error_setf(errp, "device '%s': the host shows no configuration space of '%s'", d->id, path);
        return false;
    }
    memset(p->emulated, 0, sizeof(p->emulated));
    add_bars(p);
    add_rom(p);
    if (!vfio_make_config(p, errp))
        return false;
    vfio_notices_open(p);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    VfioPci *p = (VfioPci *)d;
    if (phase == RESET_ENTER) {
        vfio_irqs_update(p, true);
        vfio_set_host_config(p, PCI_COMMAND, 2, 0);
        vfio_reset(&p->host, d->id, false);
    } else if (phase == RESET_EXIT) {
        vfio_irqs_update(p, false);
    }
}

static bool loaded(Device *d, Error **errp)
{
    VfioPci *p = (VfioPci *)d;
    vfio_set_host_config(p, PCI_COMMAND, 2, pci_config_get(&p->pci, PCI_COMMAND, 2));
    vfio_irqs_update(p, false);
    return true;
}

static void stop(Device *d)
{
    VfioPci *p = (VfioPci *)d;
    if (p->host.fd >= 0) {
        vfio_notices_close(p);
        vfio_irqs_update(p, true);
        vfio_set_host_config(p, PCI_COMMAND, 2, 0);
        vfio_reset(&p->host, d->id, true);
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
    g_string_append_printf(out, "vfio: group %d, interrupts: %s, %u%s\n", p->host.group,
                           p->irq_mode < 0 ? "none" : mode_names[p->irq_mode], p->irq_count,
                           p->line.connected ? ", by file descriptor" : "");
}

/* The chipset has led the line elsewhere. */
static void rerouted(PciDevice *d)
{
    VfioPci *p = (VfioPci *)d;
    if (p->irq_mode == VFIO_PCI_INTX_IRQ_INDEX)
        vfio_irqs_update(p, false);
}

static const Property props[] = {
    DEFINE_PROP_STRING("host", VfioPci, address, NULL, "address on the host, as 0000:01:00.0"),
    DEFINE_PROP_STRING("sysfsdev", VfioPci, sysfsdev, NULL, "the device's folder in sysfs"),
    DEFINE_PROP_STRING("iommufd", VfioPci, iommufd, NULL, "an -object iommufd for its DMA, instead of its group"),
    PROP_(PROP_I32, "bootindex", VfioPci, bootindex, -1, "place of its option ROM in the firmware's boot order"),
    DEFINE_PROP_ENUM("display", VfioPci, display, PCI_OFF, pci_on_off_auto, "show its picture: there is no display"),
    DEFINE_PROP_BOOL("x-req", VfioPci, request, true, "unplug it when the host wants it back"),
    DEFINE_PROP_BOOL("x-no-mmap", VfioPci, no_mmap, false, "every access of its BARs is a call of the host"),
    PROP_(PROP_U32, "x-intx-mmap-timeout-ms", VfioPci, mmap_timeout_ms, 1100,
          "how long after an INTx interrupt they are", .min = 1),
    DEFINE_PROP_BOOL("x-no-kvm-intx", VfioPci, no_kvm_intx, false, "INTx interrupts go through the main loop"),
    DEFINE_PROP_BOOL("x-no-kvm-msi", VfioPci, no_kvm_msi, false, "MSI interrupts do"),
    DEFINE_PROP_BOOL("x-no-kvm-msix", VfioPci, no_kvm_msix, false, "MSI-X interrupts do"),
    DEFINE_PROP_U32("x-pci-vendor-id", VfioPci, vendor, ANY_ID, "id that the guest sees instead of the device's own"),
    DEFINE_PROP_U32("x-pci-device-id", VfioPci, device, ANY_ID, "the same"),
    DEFINE_PROP_U32("x-pci-sub-vendor-id", VfioPci, subsystem_vendor, ANY_ID, "the same"),
    DEFINE_PROP_U32("x-pci-sub-device-id", VfioPci, subsystem, ANY_ID, "the same"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_TIMER(VfioPci, remap), STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0xffff,
                                        .device = 0xffff,
                                        .express = true,
                                        .config_read = vfio_config_read,
                                        .config_wrote = vfio_config_wrote,
                                        .intx_rerouted = rerouted,
                                        .host_dma = true };
static const DeviceType type = {
    .name = "vfio-pci",
    .desc = "a PCI device of the host",
    .category = "Misc",
    .size = sizeof(VfioPci),
    .bus = "pci",
    .base = &pci_device_type,
    .user_creatable = true,
    .props = props,
    .state = state,
    .init = init,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
    .info = info,
    .class_data = &pci_info,
    .unsavable = "the state of the host's device can't be saved; let the guest give it back first (device_del)",
};
DEVICE_REGISTER(type)
