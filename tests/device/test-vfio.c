/* SPDX-License-Identifier: MIT */
/*
 * vfio-pci before a host made of memory: what is mapped for DMA, configuration space, BARs, option ROM, interrupts,
 * resets, and each way to fail.
 */
#include "hw/core/event-doors.h"
#include "hw/core/ram.h"
#include "vfio-rig.h"

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
    g_assert_cmphex(seen, ==, 1 << 1 | 1 << 5 | 1 << 17 | 1 << 9 | 1 << 16);
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

/* Express space: what means something on the host only is left out of the list, the rest is the host's. */
static void test_extended(void)
{
    VRig r = rig("vfio-pci,host=05:00.0");
    MemRegion *ecam = pci_ecam_new(&((BarePciHost *)device_find("host"))->bus, 1);
    hwaddr at = 0x70000000 + ((hwaddr)pci_device(r.d)->devfn << 12);
    mem_map(r.m->memory, 0x70000000, ecam, 1);
    g_assert_cmphex(load(&r, at + 0x100) & 0xffff, ==, 0); /* no SR-IOV, but the list begins there */
    g_assert_cmphex(load(&r, at + 0x100) >> 20, ==, 0x140);
    g_assert_cmphex(load(&r, at + 0x140), ==, 0x18020001);
    g_assert_cmphex(load(&r, at + 0x180), ==, 0x00010003);
    g_assert_cmphex(load(&r, at + 0x184), ==, 0x12345678);
    store_le32(mock.config + 0x148, 0xaabbccdd);
    g_assert_cmphex(load(&r, at + 0x148), ==, 0xaabbccdd);
    store(&r, at + 0x14c, 0x1234);
    g_assert_cmphex(load_le32(mock.config + 0x14c), ==, 0x1234);
    store_le32(mock.config + 0x110, 0x55);
    g_assert_cmphex(load(&r, at + 0x110), ==, 0);
    store(&r, at + 0x110, 0x77);
    g_assert_cmphex(load_le32(mock.config + 0x110), ==, 0x55);

    /* an endpoint on the root bus is an integrated one, without a link */
    g_assert_cmphex(config(&r, 0xa2, 2), ==, 0x92);
    g_assert_cmphex(config(&r, 0xa4, 4), ==, load_le32(mock.config + 0xa4));
    g_assert_cmphex(config(&r, 0xac, 4), ==, 0);
    mem_region_free(ecam);
    end(&r);
}

static void test_rom(void)
{
    VRig r = rig("vfio-pci,host=05:00.0");
    config_set(&r, 0x30, 4, 0x30200001);
    g_assert_cmphex(load(&r, 0x30200000), ==, 0x7204aa55);
    end(&r);
    r = rig("vfio-pci,host=05:00.0,rombar=0");
    config_set(&r, 0x30, 4, 0xfffff801);
    g_assert_cmphex(config(&r, 0x30, 4), ==, 0);
    end(&r);
}

/* Without a reset of its own a function is reset with its slot, if nobody else is concerned. */
static void test_reset(void)
{
    VRig r = rig("vfio-pci,host=05:00.0");
    unsigned own = mock.resets;
    device_reset_all();
    g_assert_cmpuint(mock.resets, ==, own + 1);
    g_assert_cmpuint(mock.hot_resets, ==, 0);
    ((VfioPci *)r.d)->host.flags &= ~(uint32_t)VFIO_DEVICE_FLAGS_RESET;
    device_reset_all();
    g_assert_cmpuint(mock.resets, ==, own + 1);
    g_assert_cmpuint(mock.hot_resets, ==, 1);
    mock.neighbour = 43; /* not ours */
    device_reset_all();
    g_assert_cmpuint(mock.hot_resets, ==, 1);
    mock.neighbour = 42;
    device_reset_all();
    g_assert_cmpuint(mock.hot_resets, ==, 2);
    device_free(r.d); /* it goes alone */
    g_assert_cmpuint(mock.hot_resets, ==, 2);
    end(&r);
}

static void test_not_saved(void)
{
    VRig r = rig("vfio-pci,host=05:00.0,id=v");
    Error *err = NULL;
    g_autofree char *path = g_strdup_printf("%s/rhea-vfio-%d", g_get_tmp_dir(), (int)getpid());
    g_assert_false(machine_save(path, &err));
    g_assert_nonnull(strstr(
        err->message,
        "device 'v': the state of the host's device can't be saved; let the guest give it back first (device_del)"));
    error_free(err);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
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

static void test_irqs(void)
{
    VRig r = rig("vfio-pci,host=05:00.0");
    PciDevice *d = pci_device(r.d);
    ring(VFIO_PCI_INTX_IRQ_INDEX, 0);
    g_assert_true(d->intx_level);
    g_assert_true(d->intx_driven); /* on the bus, too: the pin is the host's */
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

/* ---- messages that the accelerator sends ---- */

enum { NO_DOOR = -1 };
static struct { int fd; uint64_t address; uint32_t data; } door[8];

static int door_new(int fd, uint64_t address, uint32_t data, uint32_t requester)
{
    for (int i = 0; i < (int)ARRAY_LEN(door); i++) {
        if (door[i].fd)
            continue;
        door[i].fd = fd, door[i].address = address, door[i].data = data;
        return i;
    }
    return NO_DOOR;
}
static bool door_set(int handle, uint64_t address, uint32_t data, uint32_t requester)
{
    door[handle].address = address, door[handle].data = data;
    return true;
}
static void door_free(int handle, int fd)
{
    g_assert_cmpint(door[handle].fd, ==, fd);
    door[handle].fd = 0;
}
static const EventDoors doors = { .msi_fd_new = door_new, .msi_fd_set = door_set, .msi_fd_free = door_free };

/* Those of eventfds that the host signals: what was pending the base sends by one of its own. */
static unsigned open_doors(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(door); i++) {
        for (unsigned k = 0; k < 3 * MOCK_VECTORS; k++)
            n += door[i].fd && k % MOCK_VECTORS < mock.count[k / MOCK_VECTORS] &&
                 door[i].fd == mock.fd[k / MOCK_VECTORS][k % MOCK_VECTORS];
    }
    return n;
}

static uint32_t data_of(unsigned index, unsigned vector)
{
    for (unsigned i = 0; i < ARRAY_LEN(door); i++) {
        if (door[i].fd == mock.fd[index][vector])
            return door[i].data;
    }
    return 0;
}

static void test_doors(void)
{
    event_doors_set(&doors);
    VRig r = rig("vfio-pci,host=05:00.0");
    store(&r, BAR2 + 0x20, 0xfee01000);
    store(&r, BAR2 + 0x28, 0x99);
    store(&r, BAR2 + 0x2c, 0);
    g_assert_cmpuint(open_doors(), ==, 0); /* MSI-X is not on */
    config_set(&r, 0x72, 2, 0x8000);
    g_assert_cmpuint(open_doors(), ==, 1);
    g_assert_cmpint(door[0].fd, ==, mock.fd[VFIO_PCI_MSIX_IRQ_INDEX][2]);
    g_assert_cmphex(door[0].address, ==, 0xfee01000);
    g_assert_cmphex(door[0].data, ==, 0x99);
    store(&r, BAR2 + 0x28, 0x9a); /* the guest moves it */
    g_assert_cmphex(door[0].data, ==, 0x9a);
    store(&r, BAR2 + 0x2c, 1); /* masked: what comes becomes pending here */
    g_assert_cmpuint(open_doors(), ==, 0);
    ring(VFIO_PCI_MSIX_IRQ_INDEX, 2);
    g_assert_cmphex(load(&r, BAR2 + 0x800), ==, 4);
    store(&r, BAR2 + 0x2c, 0);
    g_assert_cmpuint(open_doors(), ==, 1);
    config_set(&r, 0x72, 2, 0xc000); /* all are masked */
    g_assert_cmpuint(open_doors(), ==, 0);
    config_set(&r, 0x72, 2, 0x8000);
    config_set(&r, 4, 2, 3); /* no messages without bus mastering */
    g_assert_cmpuint(open_doors(), ==, 0);
    config_set(&r, 4, 2, 7);
    store(&r, BAR2 + 0x20, 0x3000); /* elsewhere a message is a write to memory */
    g_assert_cmpuint(open_doors(), ==, 0);
    config_set(&r, 0x72, 2, 0);

    config_set(&r, 0x54, 4, 0xfee00000); /* MSI: two vectors, one masked */
    config_set(&r, 0x5c, 2, 0x40);
    config_set(&r, 0x60, 4, 1);
    config_set(&r, 0x52, 2, 0x0011);
    g_assert_cmpuint(open_doors(), ==, 1);
    g_assert_cmphex(data_of(VFIO_PCI_MSI_IRQ_INDEX, 1), ==, 0x41);
    config_set(&r, 0x60, 4, 0);
    g_assert_cmpuint(open_doors(), ==, 2);
    device_reset_all();
    g_assert_cmpuint(open_doors(), ==, 0);
    config_set(&r, 4, 2, 7);
    config_set(&r, 0x54, 4, 0xfee00000);
    config_set(&r, 0x52, 2, 1);
    g_assert_cmpuint(open_doors(), ==, 1);
    end(&r);
    g_assert_cmpuint(open_doors(), ==, 0);
    event_doors_set(NULL);
}

static void test_errors(void)
{
    static const struct { MockFault fault; const char *options, *line;
    } cases[] = {
        { MOCK_FINE, "vfio-pci", "add host=" },
        { MOCK_NO_SYSFS, "vfio-pci,host=05:00.0", "iommu_group: No such file" },
        { MOCK_NO_VFIO, "vfio-pci,host=05:00.0",
          "can't open /dev/vfio/vfio: No such file or directory; load the host's modules" },
        { MOCK_NO_TYPE1, "vfio-pci,host=05:00.0", "no IOMMU of type 1, version 2; load vfio_iommu_type1" },
        { MOCK_NO_GROUP, "vfio-pci,sysfsdev=" MOCK_PATH,
          "can't open /dev/vfio/42: Permission denied; give the user access" },
        { MOCK_NOT_VIABLE, "vfio-pci,host=05:00.0", "group 42 is not whole; bind all devices" },
        { MOCK_BUSY, "vfio-pci,host=05:00.0", "does not give '0000:05:00.0' as a PCI device: Device or resource busy" },
        { MOCK_NO_MEMORY, "vfio-pci,host=05:00.0", "can't be mapped for DMA: Cannot allocate memory; raise the limit" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        vfio_expect_error(cases[i].fault, NULL, cases[i].options, cases[i].line);
}

int main(int argc, char **argv)
{
    evloop_init();
    g_test_init(&argc, &argv, NULL);
    error_set_sink(vfio_be_quiet, NULL);
    g_test_add_func("/vfio/config", test_config);
    g_test_add_func("/vfio/maps", test_maps);
    g_test_add_func("/vfio/bars", test_bars);
    g_test_add_func("/vfio/irqs", test_irqs);
    g_test_add_func("/vfio/extended", test_extended);
    g_test_add_func("/vfio/rom", test_rom);
    g_test_add_func("/vfio/reset", test_reset);
    g_test_add_func("/vfio/not-saved", test_not_saved);
    g_test_add_func("/vfio/doors", test_doors);
    g_test_add_func("/vfio/errors", test_errors);
    return g_test_run();
}
