/* SPDX-License-Identifier: MIT */
/*
 * PCI core: sizing and moving of BARs, command bits, capabilities, MSI, MSI-X, INTx sharing and swizzle, bridges, ECAM,
 * placement.
 */
#include "base/bits.h"
#include "base/evloop.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-host.h"

/* ---- A machine of one root bus, with recorders for interrupts ---- */

typedef struct Rig {
    Machine machine;
    PciBus bus;
    Device *parent;
    PciConfigPorts ports;
    MemRegion *pci, *ecam, *ram_alias, *msi;
    int line[4];
    uint64_t msi_address;
    uint32_t msi_data;
    unsigned msi_count;
} Rig;

static bool rig_build(Machine *m, Error **errp) { return true; }
static const MachineType rig_type = { .name = "pci-rig", .arch = "x86_64", .max_cpus = 1,
                                      .default_ram = 1 << 20,
                                      .size = sizeof(Rig), .build = rig_build };
static const DeviceType parent_type = { .name = "rig-host", .size = sizeof(Device) };

static unsigned rig_map(void *opaque, uint8_t devfn, unsigned pin) { return (PCI_SLOT(devfn) + pin) % 4; }
static void rig_set(void *opaque, unsigned line, int level) { ((Rig *)opaque)->line[line] = level; }
static const PciIntxOps rig_intx = { .lines = 4, .map = rig_map, .set = rig_set };

static MemResult msi_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                           MemAttrs attrs)
{
    Rig *r = opaque;

    r->msi_address = 0xfee00000 + offset;
    r->msi_data = (uint32_t)value;
    r->msi_count++;
    return MEM_OK;
}
static const MemOps msi_ops = { .write = msi_write, .min_size = 4, .max_size = 4 };

static Rig *rig_new(void)
{
    Rig *r = (Rig *)machine_new(&rig_type);
    Machine *m = &r->machine;
    PciRootSpaces spaces;

    g_assert_true(machine_build(m, NULL));
    m->ram = mem_ram_new("ram", 1 << 20, NULL);
    mem_map(m->memory, 0, m->ram, 0);
    r->pci = mem_container_new("pci", UINT64_MAX);
    mem_map(m->memory, 0, r->pci, -1);
    r->msi = mem_io_new("msi", 0x100000, &msi_ops, r, NULL);
    mem_map(m->memory, 0xfee00000, r->msi, 2);
    r->parent = device_new(&parent_type, "host");
    g_assert_true(device_start(r->parent, NULL));
    spaces =
        (PciRootSpaces){.mem = r->pci, .io = m->io, .dma_region = m->memory, .dma = m->as_memory};
    pci_root_bus_init(&r->bus, "pcie.0", r->parent, &spaces, true);
    pci_root_bus_set_intx(&r->bus, &rig_intx, r);
    pci_config_ports_init(&r->ports, &r->bus);
    mem_map(m->io, 0xcf8, r->ports.region, 0);
    r->ecam = pci_ecam_new(&r->bus, 256);
    mem_map(m->memory, 0xb0000000, r->ecam, 1);
    return r;
}

static void rig_free(Rig *r)
{
    while (device_first()) {
        Device *d = device_first();
        while (d->next)
            d = d->next;
        if (d == r->parent) {
            pci_config_ports_fini(&r->ports);
            pci_bus_fini(&r->bus);
        }
        device_free(d);
    }
    mem_region_free(r->ecam);
    mem_region_free(r->msi);
    mem_region_free(r->pci);
    machine_free(&r->machine);
}

/* ---- The device under test ---- */

typedef struct Dut {
    PciDevice pci;
    MemRegion *bar0, *bar1, *bar2;
    uint32_t last_write;
} Dut;

static MemResult dut_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value,
                          MemAttrs attrs)
{
    *value = 0xd0000000 | offset;
    return MEM_OK;
}
static MemResult dut_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                           MemAttrs attrs)
{
    ((Dut *)opaque)->last_write = (uint32_t)value;
    return MEM_OK;
}
static const MemOps dut_ops = { .read = dut_read, .write = dut_write, .min_size = 4,
                                .max_size = 4 };

static bool dut_start(Device *dev, Error **errp)
{
    Dut *d = (Dut *)dev;

    d->bar0 = dev->region[0] = mem_io_new("dut-mem", 0x1000, &dut_ops, d, dev->domain);
    d->bar1 = dev->region[1] = mem_io_new("dut-io", 0x20, &dut_ops, d, dev->domain);
    d->bar2 = dev->region[2] = mem_io_new("dut-mem64", UINT64_C(1) << 33, &dut_ops, d, dev->domain);
    pci_register_bar(&d->pci, 0, PCI_BAR_MEM, d->bar0);
    pci_register_bar(&d->pci, 1, PCI_BAR_IO, d->bar1);
    pci_register_bar(&d->pci, 2, PCI_BAR_64 | PCI_BAR_PREFETCH, d->bar2);
    msi_init(&d->pci, 0, 4, true, true);
    pci_pm_init(&d->pci, 0);
    pcie_cap_init(&d->pci, 0, PCIE_ENDPOINT, 0);
    return msix_init_exclusive_bar(&d->pci, 70, 4, errp);
}

static const PciDeviceInfo dut_info = { .vendor = 0x1234, .device = 0x5678, .revision = 9,
                                        .class_code = PCI_CLASS_OTHERS,
                                        .interrupt_pin = 1, .express = true };
static const DeviceType dut_type = { .name = "dut", .desc = "device under test",
                                     .size = sizeof(Dut), .bus = "pci",
                                     .base = &pci_device_type, .start = dut_start,
                                     .class_data = &dut_info };
DEVICE_REGISTER(dut_type)

static Dut *dut_new(Rig *r, const char *addr, PciBus *bus)
{
    Device *d = device_new(&dut_type, NULL);
    Error *err = NULL;

    d->bus = bus ? &bus->bus : &r->bus.bus;
    if (addr)
        device_set_default(d, "addr", addr);
    if (!device_start(d, &err))
        g_error("%s", err->message);
    return (Dut *)d;
}

static void cfg_write(Rig *r, uint8_t bus, uint8_t devfn, uint32_t at, unsigned size, uint32_t v)
{
    as_store(r->machine.as_io, 0xcf8, 4,
             0x80000000u | (uint32_t)bus << 16 | (uint32_t)devfn << 8 | (at & 0xfc),
             MEM_ATTRS_DEVICE);
    as_store(r->machine.as_io, 0xcfc + (at & 3), size, v, MEM_ATTRS_DEVICE);
}

static uint32_t cfg_read(Rig *r, uint8_t bus, uint8_t devfn, uint32_t at, unsigned size)
{
    uint64_t v;

    as_store(r->machine.as_io, 0xcf8, 4,
             0x80000000u | (uint32_t)bus << 16 | (uint32_t)devfn << 8 | (at & 0xfc),
             MEM_ATTRS_DEVICE);
    as_load(r->machine.as_io, 0xcfc + (at & 3), size, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}

static uint64_t mem_load(Rig *r, hwaddr at, unsigned size)
{
    uint64_t v;

    as_load(r->machine.as_memory, at, size, &v, MEM_ATTRS_DEVICE);
    return v;
}

static void mem_store(Rig *r, hwaddr at, unsigned size, uint64_t v)
{
    as_store(r->machine.as_memory, at, size, v, MEM_ATTRS_DEVICE);
}

enum { SLOT5 = PCI_DEVFN(5, 0) };

/* ---- Tests ---- */

static void test_config(void)
{
    Rig *r = rig_new();
    uint64_t v;

    dut_new(r, "5.0", NULL);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, 0, 4), ==, 0x56781234);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, 2, 2), ==, 0x5678);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, 3, 1), ==, 0x56);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_REVISION, 4), ==, 0xff000009);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_SUBSYS_VENDOR, 4), ==, 0x11001af4);
    g_assert_cmphex(cfg_read(r, 0, PCI_DEVFN(6, 0), 0, 4), ==, 0xffffffff);
    g_assert_cmphex(cfg_read(r, 7, SLOT5, 0, 2), ==, 0xffff);
    cfg_write(r, 0, SLOT5, 0, 4, 0); /* read-only */
    g_assert_cmphex(mem_load(r, 0xb0000000 + (SLOT5 << 12), 4), ==, 0x56781234);
    g_assert_cmphex(mem_load(r, 0xb0000000 + (SLOT5 << 12) + 0x100, 4), ==, 0);
    as_store(r->machine.as_io, 0xcf8, 4, 0, MEM_ATTRS_DEVICE);
    as_load(r->machine.as_io, 0xcfc, 4, &v, MEM_ATTRS_DEVICE);
    g_assert_cmphex(v, ==, 0xffffffff); /* not enabled */
    rig_free(r);
}

static void test_bars(void)
{
    Rig *r = rig_new();
    Dut *d = dut_new(r, "5.0", NULL);
    uint64_t v;

    cfg_write(r, 0, SLOT5, PCI_BAR0, 4, 0xffffffff);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_BAR0, 4), ==, 0xfffff000);
    cfg_write(r, 0, SLOT5, PCI_BAR0 + 4, 4, 0xffffffff);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_BAR0 + 4, 4), ==, 0xffffffe1);
    cfg_write(r, 0, SLOT5, PCI_BAR0 + 8, 4, 0xffffffff);
    cfg_write(r, 0, SLOT5, PCI_BAR0 + 12, 4, 0xffffffff);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_BAR0 + 8, 4), ==, 0x0000000c);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_BAR0 + 12, 4), ==, 0xfffffffe);

    cfg_write(r, 0, SLOT5, PCI_BAR0, 4, 0xc0000000);
    g_assert_cmphex(mem_load(r, 0xc0000010, 4), ==, 0xffffffff); /* decoding still off */
    cfg_write(r, 0, SLOT5, PCI_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_IO);
    g_assert_cmphex(mem_load(r, 0xc0000010, 4), ==, 0xd0000010);
    cfg_write(r, 0, SLOT5, PCI_BAR0, 4, 0xc8000000);
    g_assert_cmphex(mem_load(r, 0xc0000010, 4), ==, 0xffffffff);
    mem_store(r, 0xc8000000, 4, 0x42);
    g_assert_cmphex(d->last_write, ==, 0x42);
    cfg_write(r, 0, SLOT5, PCI_BAR0 + 4, 4, 0xd000);
    as_load(r->machine.as_io, 0xd004, 4, &v, MEM_ATTRS_DEVICE);
    g_assert_cmphex(v, ==, 0xd0000004);
    cfg_write(r, 0, SLOT5, PCI_BAR0 + 8, 4, 0);
    cfg_write(r, 0, SLOT5, PCI_BAR0 + 12, 4, 0x10);
    g_assert_cmphex(mem_load(r, UINT64_C(0x1000000020), 4), ==, 0xd0000020);
    cfg_write(r, 0, SLOT5, PCI_COMMAND, 2, PCI_CMD_IO);
    g_assert_cmphex(mem_load(r, 0xc8000000, 4), ==, 0xffffffff);
    device_reset_all();
    g_assert_cmphex(pci_bar_addr(&d->pci, 1), ==, UINT64_MAX);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_BAR0, 4), ==, 0);
    rig_free(r);
}

static unsigned find_cap(Rig *r, uint8_t devfn, uint8_t id)
{
    unsigned at = cfg_read(r, 0, devfn, PCI_CAP_PTR, 1);

    for (unsigned n = 0; at && n < 48; n++) {
        if (cfg_read(r, 0, devfn, at, 1) == id)
            return at;
        at = cfg_read(r, 0, devfn, at + 1, 1);
    }
    return 0;
}

static void test_msi(void)
{
    Rig *r = rig_new();
    Dut *d = dut_new(r, "5.0", NULL);
    unsigned at = find_cap(r, SLOT5, PCI_CAP_MSI);

    g_assert_cmpuint(at, !=, 0);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, at + 2, 2), ==, 0x184);
    cfg_write(r, 0, SLOT5, at + 4, 4, 0xfee01000);
    cfg_write(r, 0, SLOT5, at + 12, 2, 0x4050);
    cfg_write(r, 0, SLOT5, at + 2, 2, 1 | 2 << 4);
    msi_notify(&d->pci, 1);
    g_assert_cmpuint(r->msi_count, ==, 0); /* bus mastering off */
    cfg_write(r, 0, SLOT5, PCI_COMMAND, 2, PCI_CMD_MASTER);
    msi_notify(&d->pci, 3);
    g_assert_cmpuint(r->msi_count, ==, 1);
    g_assert_cmphex(r->msi_address, ==, 0xfee01000);
    g_assert_cmphex(r->msi_data, ==, 0x4053);
    cfg_write(r, 0, SLOT5, at + 16, 4, 2); /* mask vector 1 */
    msi_notify(&d->pci, 1);
    g_assert_cmpuint(r->msi_count, ==, 1);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, at + 20, 4), ==, 2);
    cfg_write(r, 0, SLOT5, at + 16, 4, 0);
    g_assert_cmpuint(r->msi_count, ==, 2);
    g_assert_cmphex(r->msi_data, ==, 0x4051);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, at + 20, 4), ==, 0);
    rig_free(r);
}

static void test_msix(void)
{
    Rig *r = rig_new();
    Dut *d = dut_new(r, "5.0", NULL);
    unsigned at = find_cap(r, SLOT5, PCI_CAP_MSIX);

    g_assert_cmphex(cfg_read(r, 0, SLOT5, at + 2, 2), ==, 69);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, at + 4, 4), ==, 4);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, at + 8, 4), ==, 2048 + 4);
    cfg_write(r, 0, SLOT5, PCI_BAR0 + 16, 4, 0xc1000000);
    cfg_write(r, 0, SLOT5, PCI_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_MASTER);
    g_assert_cmphex(mem_load(r, 0xc1000000 + 69 * 16 + 12, 4), ==, 1); /* masked after reset */
    mem_store(r, 0xc1000000 + 69 * 16, 8, 0xfee02000);
    mem_store(r, 0xc1000000 + 69 * 16 + 8, 4, 0x77);
    cfg_write(r, 0, SLOT5, at + 2, 2, 0x8000);
    g_assert_true(msix_enabled(&d->pci));
    msix_notify(&d->pci, 69);
    g_assert_cmpuint(r->msi_count, ==, 0);
    g_assert_cmphex(mem_load(r, 0xc1000000 + 2048 + 8, 8), ==, BIT(69 - 64));
    mem_store(r, 0xc1000000 + 69 * 16 + 12, 4, 0); /* unmask: fires */
    g_assert_cmpuint(r->msi_count, ==, 1);
    g_assert_cmphex(r->msi_data, ==, 0x77);
    g_assert_cmphex(mem_load(r, 0xc1000000 + 2048 + 8, 8), ==, 0);
    cfg_write(r, 0, SLOT5, at + 2, 2, 0xc000); /* function mask */
    msix_notify(&d->pci, 69);
    g_assert_cmpuint(r->msi_count, ==, 1);
    cfg_write(r, 0, SLOT5, at + 2, 2, 0x8000);
    g_assert_cmpuint(r->msi_count, ==, 2);
    msix_notify(&d->pci, 70); /* no such vector */
    g_assert_cmpuint(r->msi_count, ==, 2);
    rig_free(r);
}

static void test_intx(void)
{
    Rig *r = rig_new();
    Dut *a = dut_new(r, "5.0", NULL), *b = dut_new(r, "9.0", NULL); /* both on line 1 */

    pci_set_irq(&a->pci, 1);
    pci_set_irq(&b->pci, 1);
    g_assert_cmpint(r->line[1], ==, 1);
    pci_set_irq(&a->pci, 0);
    g_assert_cmpint(r->line[1], ==, 1);
    g_assert_cmphex(cfg_read(r, 0, PCI_DEVFN(9, 0), PCI_STATUS, 2) & PCI_STATUS_INTX, ==,
                    PCI_STATUS_INTX);
    cfg_write(r, 0, PCI_DEVFN(9, 0), PCI_COMMAND, 2, PCI_CMD_INTX_DISABLE);
    g_assert_cmpint(r->line[1], ==, 0);
    cfg_write(r, 0, PCI_DEVFN(9, 0), PCI_COMMAND, 2, 0);
    g_assert_cmpint(r->line[1], ==, 1);
    device_reset_all();
    g_assert_cmpint(r->line[1], ==, 0);
    rig_free(r);
}

static void test_dma(void)
{
    Rig *r = rig_new();
    Dut *d = dut_new(r, "5.0", NULL);
    uint32_t v = 0x12345678;
    uint64_t got;

    AddressSpace *as = pci_dma_space(&d->pci);
    g_assert_cmpint(pci_dma_write(&d->pci, 0x1000, &v, 4), ==, MEM_ERROR);
    g_assert_cmphex(mem_load(r, 0x1000, 4), ==, 0);
    g_assert_cmpint(as_load(as, 0x1000, 4, &got, MEM_ATTRS_DEVICE), ==, MEM_UNMAPPED);
    cfg_write(r, 0, SLOT5, PCI_COMMAND, 2, PCI_CMD_MASTER);
    g_assert_cmpint(pci_dma_write(&d->pci, 0x1000, &v, 4), ==, MEM_OK);
    g_assert_cmphex(mem_load(r, 0x1000, 4), ==, 0x12345678);
    g_assert_cmpint(as_load(as, 0x1000, 4, &got, MEM_ATTRS_DEVICE), ==, MEM_OK);
    g_assert_cmphex(got, ==, 0x12345678);
    rig_free(r);
}

static void test_bridge(void)
{
    Rig *r = rig_new();
    PciDevice *port = pci_new(&r->bus, "pcie-root-port", "rp", PCI_DEVFN(3, 0), NULL);
    Error *err = NULL;
    PciBus *sec;
    Dut *d;

    g_assert_true(device_start(&port->dev, NULL));
    sec = (PciBus *)bus_find("rp");
    g_assert_nonnull(sec);
    d = dut_new(r, NULL, sec);
    cfg_write(r, 0, PCI_DEVFN(3, 0), PCI_PRIMARY_BUS, 4, 0x00020200);
    g_assert_cmphex(cfg_read(r, 2, 0, 0, 4), ==, 0x56781234);
    g_assert_cmphex(cfg_read(r, 1, 0, 0, 4), ==, 0xffffffff);
    g_assert_cmphex(mem_load(r, 0xb0200000, 4), ==, 0x56781234);

    cfg_write(r, 2, 0, PCI_BAR0, 4, 0xc0100000);
    cfg_write(r, 2, 0, PCI_COMMAND, 2, PCI_CMD_MEM);
    g_assert_cmphex(mem_load(r, 0xc0100000, 4), ==, 0xffffffff); /* window closed */
    cfg_write(r, 0, PCI_DEVFN(3, 0), PCI_MEM_BASE, 4, 0xc010c010);
    cfg_write(r, 0, PCI_DEVFN(3, 0), PCI_COMMAND, 2, PCI_CMD_MEM);
    g_assert_cmphex(mem_load(r, 0xc0100000, 4), ==, 0xd0000000);
    cfg_write(r, 0, PCI_DEVFN(3, 0), PCI_MEM_BASE, 4, 0xc010c020); /* limit below base: closed */
    g_assert_cmphex(mem_load(r, 0xc0100000, 4), ==, 0xffffffff);

    pci_set_irq(&d->pci, 1); /* slot 0 pin A behind slot 3: line 3 */
    g_assert_cmpint(r->line[3], ==, 1);
    pci_set_irq(&d->pci, 0);

    Device *second = device_new(&dut_type, "second");
    second->bus = &sec->bus;
    g_assert_false(device_start(second, &err));
    g_assert_nonnull(strstr(err->message, "no free slot"));
    error_free(err);

    cfg_write(r, 0, PCI_DEVFN(3, 0), PCI_PRIMARY_BUS, 4, 0x00ff0000); /* a bus that leads to itself is none */
    g_assert_cmphex(cfg_read(r, 3, 0, 0, 4), ==, 0xffffffff);
    rig_free(r);
}

static void check_addr_error(Rig *r, const char *addr, const char *what)
{
    Device *d = device_new(&dut_type, NULL);
    Error *err = NULL;

    d->bus = &r->bus.bus;
    device_set_default(d, "addr", addr);
    g_assert_false(device_start(d, &err));
    g_assert_nonnull(strstr(err->message, what));
    error_free(err);
    device_free(d);
}

static void test_placement(void)
{
    Rig *r = rig_new();

    dut_new(r, "1f.3", NULL);
    g_assert_cmphex(cfg_read(r, 0, 0xfb, 0, 2), ==, 0x1234);
    dut_new(r, NULL, NULL);
    g_assert_cmphex(cfg_read(r, 0, 0, 0, 2), ==, 0x1234);
    check_addr_error(r, "1f.3", "taken");
    check_addr_error(r, "20", "hexadecimal");
    check_addr_error(r, "3.8", "hexadecimal");
    check_addr_error(r, "3.0z", "hexadecimal");
    check_addr_error(r, "0.1", "multifunction");
    rig_free(r);
}

static void test_save_load(void)
{
    Rig *r = rig_new();
    Dut *d = dut_new(r, "5.0", NULL);
    Error *err = NULL;
    StateWriter *w;

    cfg_write(r, 0, SLOT5, PCI_BAR0, 4, 0xc0000000);
    cfg_write(r, 0, SLOT5, PCI_COMMAND, 2, PCI_CMD_MEM);
    pci_set_irq(&d->pci, 1);
    w = state_writer_new();
    device_save_all(w);
    g_autoptr(GBytes) saved = state_writer_finish(w);
    device_reset_all();
    g_assert_cmpint(r->line[1], ==, 0);
    StateReader *reader = state_reader_new(saved, &err);
    g_assert_no_error(err);
    g_assert_true(device_load_all(reader, &err));
    state_reader_free(reader);
    g_assert_cmpint(r->line[1], ==, 1);
    g_assert_cmphex(mem_load(r, 0xc0000000, 4), ==, 0xd0000000);
    rig_free(r);
}

/* Random writes over all of configuration space: nothing may fall over, and reset brings everything back. */
static void test_storm(void)
{
    Rig *r = rig_new();
    PciDevice *port = pci_new(&r->bus, "pcie-root-port", "rp", PCI_DEVFN(3, 0), NULL);
    PciDevice *bridge = pci_new(&r->bus, "pci-bridge", "br", PCI_DEVFN(4, 0), NULL);

    g_assert_true(device_start(&port->dev, NULL) && device_start(&bridge->dev, NULL));
    dut_new(r, "5.0", NULL);
    dut_new(r, NULL, (PciBus *)bus_find("rp"));
    dut_new(r, "7.0", (PciBus *)bus_find("br"));
    for (unsigned n = 0; n < 20000; n++) {
        unsigned size = 1u << g_test_rand_int_range(0, 3);
        uint32_t at = (uint32_t)g_test_rand_int_range(0, n % 4 ? 0x60 : 0x1000) & ~(size - 1);
        uint32_t devfn = (uint32_t)g_test_rand_int_range(3, 6) << 3,
                 bus = n % 8 ? 0 : (uint32_t)g_test_rand_int_range(0, 256);
        mem_store(r, 0xb0000000u + (bus << 20) + (devfn << 12) + at, size,
                  (uint32_t)g_test_rand_int());
    }
    device_reset_all();
    g_assert_cmphex(cfg_read(r, 0, SLOT5, PCI_BAR0, 4), ==, 0);
    g_assert_cmphex(cfg_read(r, 0, SLOT5, 0, 4), ==, 0x56781234);
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/pci/config", test_config);
    g_test_add_func("/pci/bars", test_bars);
    g_test_add_func("/pci/msi", test_msi);
    g_test_add_func("/pci/msix", test_msix);
    g_test_add_func("/pci/intx", test_intx);
    g_test_add_func("/pci/dma", test_dma);
    g_test_add_func("/pci/bridge", test_bridge);
    g_test_add_func("/pci/placement", test_placement);
    g_test_add_func("/pci/save-load", test_save_load);
    g_test_add_func("/pci/storm", test_storm);
    return g_test_run();
}
