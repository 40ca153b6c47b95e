/* SPDX-License-Identifier: MIT */
/* The generic PCI Express host bridge: ECAM, windows, INTx swizzled over four lines (PCIe 4.0 section 7.2.2). */
#include "hw/pci/gpex.h"
#include "base/bits.h"

static unsigned intx_map(void *opaque, uint8_t devfn, unsigned pin) { return (PCI_SLOT(devfn) + pin) % GPEX_LINES; }
static void intx_set(void *opaque, unsigned line, int level) { device_out(opaque, line, level); }
static const Irq *intx_wire(void *opaque, unsigned line) { return &((Device *)opaque)->out[line]; }
static const PciIntxOps intx_ops = { GPEX_LINES, intx_map, intx_set, intx_wire };

static MemResult no_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = bits_mask(8 * size);
    return MEM_OK;
}

static MemResult no_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs) { return MEM_OK; }

MemRegion *gpex_background_new(uint64_t size)
{
    static const MemOps ops = { no_read, no_write, 1, 8 };
    return mem_io_new("pcie.unmapped", size, &ops, NULL, NULL);
}

static bool gpex_start(Device *d, Error **errp)
{
    Gpex *g = (Gpex *)d;
    if (!g->dma)
        return true;
    g->mem = mem_container_new("pcie.memory", UINT64_MAX);
    PciRootSpaces spaces = { .mem = g->mem,
                             .io = g->io,
                             .dma_region = g->dma_region,
                             .dma = g->dma,
                             .msi_first = g->msi_first,
                             .msi_last = g->msi_last };
    pci_root_bus_init(&g->bus, "pcie.0", d, &spaces, true);
    pci_root_bus_set_intx(&g->bus, &intx_ops, g);
    d->region[0] = pci_ecam_new(&g->bus, g->buses);
    return true;
}

static void gpex_stop(Device *d)
{
    Gpex *g = (Gpex *)d;
    g_clear_pointer(&d->region[0], mem_region_free);
    pci_bus_fini(&g->bus);
    g_clear_pointer(&g->mem, mem_region_free);
}

bool gpex_add_root(Gpex *g, Error **errp)
{
    PciDevice *root = pci_new(&g->bus, "gpex-root", "gpex-root", 0, errp);
    return root && device_start(&root->dev, errp);
}

static const Property gpex_props[] = {
    { .name = "buses",
      .kind = PROP_U32,
      .offset = offsetof(Gpex, buses),
      .dflt = 256,
      .min = 1,
      .max = 256,
      .help = "that ECAM reaches" },
    DEFINE_PROP_END,
};
static const char *const gpex_pins[] = { "irq*4", NULL }, *const provides[] = { "pci", NULL };

static const DeviceType gpex_type = {
    .name = "gpex-pcihost", .desc = "generic PCI Express host bridge", .category = "Bridge", .size = sizeof(Gpex),
    .provides = provides, .props = gpex_props, .out_pins = gpex_pins, .start = gpex_start, .stop = gpex_stop,
};
DEVICE_REGISTER(gpex_type)

static const PciDeviceInfo root_info = { .vendor = PCI_VENDOR_REDHAT,
                                         .device = 0x0008,
                                         .class_code = PCI_CLASS_HOST_BRIDGE };
static const DeviceType root_type = {
    .name = "gpex-root",
    .desc = "generic PCI Express root",
    .category = "Bridge",
    .size = sizeof(PciDevice),
    .bus = "pci",
    .base = &pci_device_type,
    .class_data = &root_info,
};
DEVICE_REGISTER(root_type)
