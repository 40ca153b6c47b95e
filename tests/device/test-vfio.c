/* SPDX-License-Identifier: MIT */
/* vfio-pci before a host made of memory: what is mapped for DMA, configuration space, BARs, interrupts, reset, and each way to fail. */
#include "hw/core/ram.h"
#include "hw/vfio/vfio-pci.h"
#include "vfio-mock.h"
#include "virtio-rig.h"

enum { BAR0 = 0x30000000, BAR2 = 0x30100000, IO = 0xc000 };

static void config_set(VRig *r, unsigned at, unsigned size, uint32_t value)
{
    as_store(r->m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)pci_device(r->d)->devfn << 8 | (at & ~3u), MEM_ATTRS_DEVICE);
    as_store(r->m->as_io, 0xcfc + (at & 3), size, value, MEM_ATTRS_DEVICE);
}

static uint32_t config(VRig *r, unsigned at, unsigned size)
{
    uint64_t v;
    as_store(r->m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)pci_device(r->d)->devfn << 8 | (at & ~3u), MEM_ATTRS_DEVICE);
    as_load(r->m->as_io, 0xcfc + (at & 3), size, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}

static uint32_t load(VRig *r, hwaddr at)
{
    uint64_t v;
    as_load(r->m->as_memory, at, 4, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}

static void store(VRig *r, hwaddr at, uint32_t value) { as_store(r->m->as_memory, at, 4, value, MEM_ATTRS_DEVICE); }

static VRig rig(const char *options)
{
    mock_begin();
    VRig r = { .m = vrig_machine() };
    r.d = vrig_add(options);
    device_reset_all();
    config_set(&r, 0x10, 4, BAR0);
    config_set(&r, 0x18, 4, BAR2);
    config_set(&r, 0x20, 4, IO);
    config_set(&r, 4, 2, 7);
    return r;
}

static void end(VRig *r)
{
    vrig_free(r);
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
    mock_end();
}

static void test_config(void)
{
    VRig r = rig("vfio-pci,host=05:00.0");
    g_assert_cmphex(config(&r, 0, 4), ==, 0x56781234);
    g_assert_cmphex(config(&r, 8, 4), ==, 0x02000007);
    g_assert_cmphex(config(&r, 0x2c, 4), ==, 0x00010002);
    g_assert_cmphex(config(&r, 0x3d, 1), ==, 1);
    unsigned seen = 0;
    for (unsigned at = config(&r, 0x34, 1); at; at = config(&r, at + 1, 1))
        seen |= 1u << config(&r, at, 1);
    g_assert_cmphex(seen, ==, 1 << 1 | 1 << 5 | 1 << 17 | 1 << 9);
    g_assert_cmphex(load_le16(mock.config + 4), ==, 7); /* the command reaches the device */
    config_set(&r, 0x44, 2, 3);                         /* so does what nobody emulates */
    g_assert_cmphex(load_le16(mock.config + 0x44), ==, 3);
    mock.config[0x83] = 0x77;
    g_assert_cmphex(config(&r, 0x83, 1), ==, 0x77);
    config_set(&r, 0x54, 4, 0xfee00000);                /* MSI's address is ours */
    g_assert_cmphex(load_le32(mock.config + 0x54), ==, 0);
    unsigned resets = mock.resets;
    device_reset_all();
    g_assert_cmpuint(mock.resets, ==, resets + 1);
    g_assert_cmphex(load_le16(mock.config + 4), ==, 0);
    end(&r);
}

static const MockMap *find_map(uint64_t iova)
{
    for (unsigned i = 0; i < mock.maps->len; i++) {
        if (g_array_index(mock.maps, MockMap, i).iova == iova)
            return &g_array_index(mock.maps, MockMap, i);
    }
    return NULL;
}

static void test_maps(void)
{
    VRig r = rig("vfio-pci,host=0000:05:00.0");
    Error *err = NULL;
    g_assert_cmpuint(mock.maps->len, ==, 1);
    const MockMap *ram = find_map(0);
    g_assert_cmpuint(ram->size, ==, RIG_RAM);
    g_assert_true((uint8_t *)(uintptr_t)ram->vaddr == mem_host(r.m->ram));
    g_assert_cmphex(ram->flags, ==, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
    g_assert_cmpuint(ram_discard(0, RIG_RAM), ==, 0); /* its pages stay */

    MemRegion *more = mem_ram_new("more", 1 << 20, &err), *rom = mem_rom_new("rom", 65536, NULL, 0, &err);
    g_assert_no_error(err);
    mem_map(r.m->memory, 0x40000000, more, 0);
    mem_map(r.m->memory, 0x100000, rom, 1); /* in the midst of RAM */
    g_assert_cmpuint(mock.maps->len, ==, 4);
    g_assert_cmpuint(find_map(0x40000000)->size, ==, 1 << 20);
    g_assert_cmpuint(find_map(0)->size, ==, 0x100000);
    g_assert_cmphex(find_map(0x100000)->flags, ==, VFIO_DMA_MAP_FLAG_READ);
    g_assert_cmpuint(find_map(0x110000)->size, ==, RIG_RAM - 0x110000);
    mem_region_free(rom);
    mem_region_free(more);
    g_assert_cmpuint(mock.maps->len, ==, 1);

    device_free(r.d);
    g_assert_cmpint(mock.opened, ==, 0);
    g_assert_cmpuint(mock.maps->len, ==, 0);
    g_assert_cmpuint(ram_discard(0, RIG_RAM), ==, RIG_RAM);
    end(&r);
}

static void test_bars(void)
{
    VRig r = rig("vfio-pci,host=05:00.0");
    store(&r, BAR0 + 0x10, 0x11223344);
    g_assert_cmphex(load_le32(mock.bar0 + 0x10), ==, 0x11223344);
    g_assert_cmphex(load(&r, BAR0 + MOCK_FAST), ==, 0xabababab); /* not mapped: asked for */
    store_le32(mock.bar2 + 0x900, 0x55667788);
    g_assert_cmphex(load(&r, BAR2 + 0x900), ==, 0x55667788);
    as_store(r.m->as_io, IO + 4, 4, 0x99, MEM_ATTRS_DEVICE);
    g_assert_cmphex(load_le32(mock.io + 4), ==, 0x99);
    end(&r);
    r = rig("vfio-pci,host=05:00.0,x-no-mmap=on");
    g_assert_null(mock.bar0);
    g_assert_cmphex(load(&r, BAR0), ==, 0xabababab);
    end(&r);
}

static void ring(unsigned index, unsigned vector)
{
    const uint64_t one = 1;
    g_assert_cmpuint(vector, <, mock.count[index]);
    g_assert_cmpint(write(mock.fd[index][vector], &one, sizeof(one)), ==, sizeof(one));
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
}

static void test_irqs(void)
{
    VRig r = rig("vfio-pci,host=05:00.0");
    PciDevice *d = pci_device(r.d);
    ring(VFIO_PCI_INTX_IRQ_INDEX, 0);
    g_assert_true(d->intx_level);
    g_assert_cmphex(load(&r, BAR0), ==, 0xabababab); /* direct access has an end till the guest has looked */
    g_assert_false(d->intx_level);
    g_assert_cmpuint(mock.unmasked, ==, 1);
    clock_virtual_step(2000 * INT64_C(1000000));
    store(&r, BAR0, 0x1234);
    g_assert_cmphex(load_le32(mock.bar0), ==, 0x1234);

    config_set(&r, 0x54, 4, 0x2000); /* MSI: a message to memory */
    config_set(&r, 0x5c, 2, 0x40);
    config_set(&r, 0x52, 2, 0x0021);
    g_assert_cmpuint(mock.count[VFIO_PCI_INTX_IRQ_INDEX], ==, 0);
    g_assert_cmpuint(mock.count[VFIO_PCI_MSI_IRQ_INDEX], ==, 4);
    ring(VFIO_PCI_MSI_IRQ_INDEX, 3);
    g_assert_cmphex(load(&r, 0x2000), ==, 0x43);
    config_set(&r, 0x52, 2, 0);
    g_assert_cmpuint(mock.count[VFIO_PCI_INTX_IRQ_INDEX], ==, 1);

    store(&r, BAR2 + 0x20, 0x3000); /* MSI-X: vector 2 */
    store(&r, BAR2 + 0x28, 0x99);
    store(&r, BAR2 + 0x2c, 0);
    config_set(&r, 0x72, 2, 0x8000);
    g_assert_cmpuint(mock.count[VFIO_PCI_MSIX_IRQ_INDEX], ==, MOCK_VECTORS);
    ring(VFIO_PCI_MSIX_IRQ_INDEX, 2);
    g_assert_cmphex(load(&r, 0x3000), ==, 0x99);
    device_reset_all();
    g_assert_cmpuint(mock.count[VFIO_PCI_MSIX_IRQ_INDEX], ==, 0);
    g_assert_cmpuint(mock.count[VFIO_PCI_INTX_IRQ_INDEX], ==, 1);
    end(&r);
}

static void test_errors(void)
{
    static const struct { MockFault fault; const char *options, *line; } cases[] = {
        { MOCK_FINE, "vfio-pci", "add host=" }, { MOCK_NO_SYSFS, "vfio-pci,host=05:00.0", "iommu_group: No such file" },
        { MOCK_NO_VFIO, "vfio-pci,host=05:00.0", "can't open /dev/vfio/vfio: No such file or directory; load the host's modules" },
        { MOCK_NO_TYPE1, "vfio-pci,host=05:00.0", "no IOMMU of type 1, version 2; load vfio_iommu_type1" },
        { MOCK_NO_GROUP, "vfio-pci,sysfsdev=" MOCK_PATH, "can't open /dev/vfio/42: Permission denied; give the user access" },
        { MOCK_NOT_VIABLE, "vfio-pci,host=05:00.0", "group 42 is not whole; bind all devices" },
        { MOCK_BUSY, "vfio-pci,host=05:00.0", "does not give '0000:05:00.0' as a PCI device: Device or resource busy" },
        { MOCK_NO_MEMORY, "vfio-pci,host=05:00.0", "can't be mapped for DMA: Cannot allocate memory; raise the limit" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        Error *err = NULL;
        mock_begin();
        mock.fault = cases[i].fault;
        Machine *m = vrig_machine();
        g_autoptr(Opts) o = opts_parse(cases[i].options, "driver", &err);
        g_assert_null(device_add(o, &err));
        if (!strstr(err->message, cases[i].line))
            g_error("'%s' is not in '%s'", cases[i].line, err->message);
        error_free(err);
        machine_free(m);
        mock_end();
    }
}

static void be_quiet(void *opaque, const char *line) {}

int main(int argc, char **argv)
{
    evloop_init();
    g_test_init(&argc, &argv, NULL);
    error_set_sink(be_quiet, NULL);
    g_test_add_func("/vfio/config", test_config);
    g_test_add_func("/vfio/maps", test_maps);
    g_test_add_func("/vfio/bars", test_bars);
    g_test_add_func("/vfio/irqs", test_irqs);
    g_test_add_func("/vfio/errors", test_errors);
    return g_test_run();
}
