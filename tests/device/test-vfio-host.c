/* SPDX-License-Identifier: MIT */
/*
 * vfio-pci before a host made of memory: its INTx line by eventfds, an iommufd instead of groups, what the host says of
 * the device, other ids.
 */
#include "hw/core/dma-host.h"
#include "hw/core/event-doors.h"
#include "hw/core/ram.h"
#include "vfio-rig.h"

/* ---- the line ---- */

static struct { int gsi, fd, resample; unsigned opened, closed; bool refuse; } wire = { .gsi = -1 };

static bool line_fd(unsigned gsi, int fd, int resample_fd, bool assign)
{
    if (assign && wire.refuse)
        return false;
    g_assert_true(assign ? wire.gsi < 0 : wire.gsi == (int)gsi && wire.fd == fd);
    wire.gsi = assign ? (int)gsi : -1;
    wire.fd = fd;
    wire.resample = resample_fd;
    *(assign ? &wire.opened : &wire.closed) += 1;
    return true;
}
static const EventDoors doors = { .line_fd = line_fd };

/* A chipset with one line for all pins, which leads to `gsi`. */
static Irq out;
static unsigned map_pin(void *opaque, uint8_t devfn, unsigned pin) { return 0; }
static void set_line(void *opaque, unsigned line, int level) {}
static const Irq *wire_of(void *opaque, unsigned line) { return out.host_line ? &out : NULL; }
static const PciIntxOps chipset = { .lines = 1, .map = map_pin, .set = set_line, .wire = wire_of };

static PciBus *root_bus(void) { return &((BarePciHost *)device_find("host"))->bus; }

static void route(int gsi)
{
    out.host_line = gsi + 1;
    pci_intx_reroute(root_bus());
}

static VRig line_rig(const char *options, int gsi, MockFault fault)
{
    mock_begin();
    mock.fault = fault;
    event_doors_set(&doors);
    out.host_line = gsi + 1;
    wire.opened = wire.closed = 0;
    VRig r = { .m = vrig_machine() };
    pci_root_bus_set_intx(root_bus(), &chipset, NULL);
    r.d = bare_add(options);
    device_reset_all();
    config_set(&r, 0x10, 4, BAR0);
    config_set(&r, 4, 2, 7);
    return r;
}

static void line_end(VRig *r)
{
    end(r);
    g_assert_cmpint(wire.gsi, ==, -1);
    g_assert_cmpuint(wire.opened, ==, wire.closed);
    event_doors_set(NULL);
}

static void test_line(void)
{
    VRig r = line_rig("vfio-pci,host=05:00.0", 11, MOCK_FINE);
    PciDevice *d = pci_device(r.d);
    g_assert_cmpint(wire.gsi, ==, 11);
    g_assert_cmpint(wire.fd, ==, mock.fd[VFIO_PCI_INTX_IRQ_INDEX][0]);
    g_assert_cmpint(wire.resample, ==, mock.unmask_fd);
    ring(VFIO_PCI_INTX_IRQ_INDEX, 0); /* nothing of it comes through here */
    g_assert_false(d->intx_level);
    g_assert_cmpuint(mock.unmasked, ==, 0);
    store(&r, BAR0, 0x1234); /* and its memory stays direct */
    g_assert_cmphex(load_le32(mock.bar0), ==, 0x1234);
    g_autoptr(GString) info = g_string_new(NULL);
    device_print_info(r.d, info);
    g_assert_nonnull(strstr(info->str, "interrupts: INTx, 1, by file descriptor"));

    route(10); /* the guest moves it */
    g_assert_cmpint(wire.gsi, ==, 10);
    g_assert_cmpint(wire.fd, ==, mock.fd[VFIO_PCI_INTX_IRQ_INDEX][0]);
    g_assert_cmpuint(wire.opened, ==, 2);
    config_set(&r, 4, 2, 6);
    g_assert_cmpuint(wire.opened, ==, 2);
    route(-1); /* to several places */
    g_assert_cmpint(wire.gsi, ==, -1);
    ring(VFIO_PCI_INTX_IRQ_INDEX, 0);
    g_assert_true(d->intx_level);
    g_assert_cmphex(load(&r, BAR0), ==, 0xabababab);
    g_assert_false(d->intx_level);
    ring(VFIO_PCI_INTX_IRQ_INDEX, 0);
    route(12); /* while it is up */
    g_assert_false(d->intx_level);
    g_assert_cmpint(wire.gsi, ==, 12);

    config_set(&r, 0x54, 4, 0x2000); /* MSI instead */
    config_set(&r, 0x52, 2, 0x0001);
    g_assert_cmpint(wire.gsi, ==, -1);
    route(13);
    g_assert_cmpint(wire.gsi, ==, -1);
    config_set(&r, 0x52, 2, 0);
    g_assert_cmpint(wire.gsi, ==, 13);
    device_reset_all();
    g_assert_cmpint(wire.gsi, ==, 13);
    line_end(&r);
}

/* Whoever refuses: the main loop does it. */
static void test_line_refused(void)
{
    static const struct { const char *options; MockFault fault; bool refuse; unsigned opened;
    } cases[] = {
        { "vfio-pci,host=05:00.0,x-no-kvm-intx=on", MOCK_FINE, false, 0 },
        { "vfio-pci,host=05:00.0", MOCK_FINE, true, 0 },
        { "vfio-pci,host=05:00.0", MOCK_NO_UNMASK, false, 1 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        wire.refuse = cases[i].refuse;
        VRig r = line_rig(cases[i].options, 11, cases[i].fault);
        g_assert_cmpint(wire.gsi, ==, -1);
        g_assert_cmpuint(wire.opened, ==, cases[i].opened); /* it is not tried again and again */
        ring(VFIO_PCI_INTX_IRQ_INDEX, 0);
        g_assert_true(pci_device(r.d)->intx_level);
        g_assert_cmphex(load(&r, BAR0), ==, 0xabababab);
        g_assert_cmpuint(mock.unmasked, ==, 1);
        line_end(&r);
    }
    wire.refuse = false;
}

static bool no_msi_new_called;
static int door_new(int fd, uint64_t address, uint32_t data, uint32_t requester)
{
    no_msi_new_called = true;
    return -1;
}

static void test_no_kvm_messages(void)
{
    static const EventDoors messages = { .msi_fd_new = door_new };
    event_doors_set(&messages);
    no_msi_new_called = false;
    VRig r = rig("vfio-pci,host=05:00.0,x-no-kvm-msi=on,x-no-kvm-msix=on");
    config_set(&r, 0x54, 4, 0xfee00000);
    config_set(&r, 0x52, 2, 0x0001);
    config_set(&r, 0x52, 2, 0);
    store(&r, BAR2 + 0x20, 0xfee01000);
    store(&r, BAR2 + 0x2c, 0);
    config_set(&r, 0x72, 2, 0x8000);
    g_assert_cmpuint(mock.count[VFIO_PCI_MSIX_IRQ_INDEX], ==, MOCK_VECTORS);
    g_assert_false(no_msi_new_called);
    end(&r);
    event_doors_set(NULL);
}

/* ---- iommufd ---- */

static VRig iommufd_rig(const char *object)
{
    Error *err = NULL;
    mock_begin();
    VRig r = { .m = vrig_machine() };
    g_autoptr(Opts) o = opts_parse(object, "qom-type", &err);
    g_assert_nonnull(object_add(o, &err));
    r.d = bare_add("vfio-pci,host=05:00.0,iommufd=i");
    device_reset_all();
    return r;
}

static void test_iommufd(void)
{
    Error *err = NULL;
    VRig r = iommufd_rig("iommufd,id=i");
    g_assert_true(mock.bound && mock.attached);
    g_assert_cmpint(mock.opened, ==, 2); /* /dev/iommu and the device: no container, no group */
    g_assert_cmpuint(mock.maps->len, ==, 1);
    const MockMap *ram = &g_array_index(mock.maps, MockMap, 0);
    g_assert_true(!ram->iova && ram->size == RIG_RAM && (uint8_t *)(uintptr_t)ram->vaddr == mem_host(r.m->ram));
    g_assert_cmphex(ram->flags, ==, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
    g_assert_cmpuint(ram_discard(0, RIG_RAM), ==, 0);
    MemRegion *rom = mem_rom_new("rom", 65536, NULL, 0, &err);
    mem_map(r.m->memory, 0x40000000, rom, 0);
    g_assert_cmpuint(mock.maps->len, ==, 2);
    g_assert_cmphex(g_array_index(mock.maps, MockMap, 1).flags, ==, VFIO_DMA_MAP_FLAG_READ);
    mem_region_free(rom);
    g_assert_cmpuint(mock.maps->len, ==, 1);
    g_assert_false(object_del("i", &err)); /* in use */
    g_clear_pointer(&err, error_free);
    device_free(r.d);
    g_assert_cmpint(mock.opened, ==, 0);
    g_assert_cmpuint(mock.maps->len, ==, 0);
    g_assert_cmpuint(ram_discard(0, RIG_RAM), ==, RIG_RAM);
    g_assert_true(object_del("i", &err));
    g_assert_no_error(err);
    end(&r);

    r = iommufd_rig("iommufd,id=i,fd=55"); /* the user's stays open, but nothing of ours stays in it */
    g_assert_cmpint(mock.opened, ==, 1);
    device_free(r.d);
    g_assert_cmpuint(mock.maps->len, ==, 0);
    end(&r);
}

/* Without groups the host tells whose the functions are. */
static void test_iommufd_reset(void)
{
    VRig r = iommufd_rig("iommufd,id=i");
    ((VfioPci *)r.d)->host.flags &= ~(uint32_t)VFIO_DEVICE_FLAGS_RESET;
    device_reset_all();
    g_assert_cmpuint(mock.hot_resets, ==, 1);
    mock.neighbour = 9;
    device_reset_all();
    g_assert_cmpuint(mock.hot_resets, ==, 2);
    mock.stranger = true;
    device_reset_all();
    g_assert_cmpuint(mock.hot_resets, ==, 2);
    end(&r);
}

static void test_iommufd_errors(void)
{
    static const struct { MockFault fault; const char *object, *line;
    } cases[] = {
        { MOCK_FINE, NULL, "no object 'i'" },
        { MOCK_NO_IOMMU, "iommufd,id=i", "can't open /dev/iommu: No such file or directory; it takes Linux 6.2" },
        { MOCK_NO_IOAS, "iommufd,id=i,fd=3",
          "makes no I/O address space: Bad file descriptor; is fd= a descriptor of /dev/iommu?" },
        { MOCK_NO_CDEV, "iommufd,id=i", "vfio-dev is empty; bind the host's device to vfio-pci" },
        { MOCK_NO_CDEV_FILE, "iommufd,id=i",
          "can't open /dev/vfio/devices/vfio3: No such file or directory; the host's kernel lacks" },
        { MOCK_NO_BIND, "iommufd,id=i", "does not bind it to iommufd 'i': Device or resource busy" },
        { MOCK_NO_ATTACH, "iommufd,id=i", "refuses the I/O address space of iommufd 'i': Operation not permitted" },
        { MOCK_NO_MEMORY, "iommufd,id=i", "can't be mapped for DMA: Cannot allocate memory; raise the limit" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        vfio_expect_error(cases[i].fault, cases[i].object, "vfio-pci,host=05:00.0,iommufd=i", cases[i].line);
}

/* ---- who must know ---- */

static int known[2], knowns;
static void note(int fd, bool there)
{
    g_assert_true(there ? knowns < 2 : knowns && known[knowns - 1] == fd);
    if (there)
        known[knowns++] = fd;
    else
        knowns--;
}

static void test_dma_host(void)
{
    dma_host_set(note);
    VRig r = rig("vfio-pci,host=05:00.0");
    g_assert_true(knowns == 1 && known[0] == MOCK_GROUP);
    end(&r);
    g_assert_cmpint(knowns, ==, 0);
    r = iommufd_rig("iommufd,id=i");
    g_assert_true(knowns == 1 && known[0] == MOCK_DEVICE);
    end(&r);
    g_assert_cmpint(knowns, ==, 0);
    vfio_expect_error(MOCK_NO_BIND, "iommufd,id=i", "vfio-pci,host=05:00.0,iommufd=i", "does not bind");
    g_assert_cmpint(knowns, ==, 0);
    dma_host_set(NULL);
}

/* ---- what the host says ---- */

static void test_error_notice(void)
{
    VRig r = rig("vfio-pci,host=05:00.0,id=v");
    machine_take_requests();
    ring(VFIO_PCI_ERR_IRQ_INDEX, 0);
    MachineRequests q = machine_take_requests();
    g_assert_true(q.pause && q.pause_state == RUN_INTERNAL_ERROR);
    end(&r);
}

/* As device_del: a bus without hot plug says no, and the device stays; one that has it lets go. */
static bool may_go(Bus *b, Device *d, Error **errp) { return true; }
static void test_request_notice(void)
{
    VRig r = rig("vfio-pci,host=05:00.0,id=v");
    BusType with_plug = pci_bus_type;
    with_plug.may_hot_plug = may_go;
    with_plug.ask_unplug = NULL;
    ring(VFIO_PCI_REQ_IRQ_INDEX, 0);
    g_assert_nonnull(device_find("v"));
    root_bus()->bus.type = &with_plug;
    ring(VFIO_PCI_REQ_IRQ_INDEX, 0);
    g_assert_null(device_find("v"));
    g_assert_cmpint(mock.opened, ==, 0);
    root_bus()->bus.type = &pci_bus_type;
    end(&r);
    r = rig("vfio-pci,host=05:00.0,x-req=off");
    g_assert_cmpuint(mock.count[VFIO_PCI_REQ_IRQ_INDEX], ==, 0);
    end(&r);
}

/* ---- what the guest is told ---- */

static void test_ids(void)
{
    VRig r = rig(
        "vfio-pci,host=05:00.0,x-pci-vendor-id=0x8086,x-pci-device-id=0x10d3,x-pci-sub-device-id=0xa01f,display=auto");
    g_assert_cmphex(config(&r, 0, 4), ==, 0x10d38086);
    g_assert_cmphex(config(&r, 0x2c, 4), ==, 0xa01f0002);
    end(&r);
    r = rig("vfio-pci,host=05:00.0,addr=5,bootindex=1"); /* as its class says: a network card */
    g_autofree char *path = device_firmware_path(r.d);
    g_assert_cmpstr(path, ==, "/pci@i0cf8/ethernet@5");
    end(&r);
    vfio_expect_error(MOCK_FINE, NULL, "vfio-pci,host=05:00.0,display=on", "display=on: there is no display for it");
}

/* ---- behind the guest's IOMMU ---- */

static unsigned iommu_ask(VRig *r, const void *request, uint32_t len)
{
    unsigned slot = 0;
    uint32_t written = 0;
    uint8_t status[4];
    vrig_add_buffer(r, 0, request, len, 4);
    vrig_kick(r, 0);
    g_assert_true(vrig_used(r, 0, 5000, &slot, &written));
    vrig_read(r, 0, slot, len, status, 4);
    return status[0];
}

static unsigned iommu_attach(VRig *r, uint8_t type, uint32_t domain, uint32_t endpoint)
{
    uint8_t q[20] = { type };
    store_le32(q + 4, domain), store_le32(q + 8, endpoint);
    return iommu_ask(r, q, sizeof(q));
}

static unsigned iommu_map(VRig *r, uint64_t first, uint64_t last, uint64_t to, uint32_t flags)
{
    uint8_t q[36] = { 3 };
    store_le64(q + 8, first), store_le64(q + 16, last), store_le64(q + 24, to), store_le32(q + 32, flags);
    return iommu_ask(r, q, sizeof(q));
}

static unsigned iommu_unmap(VRig *r, uint64_t first, uint64_t last)
{
    uint8_t q[28] = { 4 };
    store_le64(q + 8, first), store_le64(q + 16, last);
    return iommu_ask(r, q, sizeof(q));
}

static const MockMap *host_map(unsigned i) { return &g_array_index(mock.maps, MockMap, i); }

/* What the guest maps is mapped in the host, and nothing else; without a domain it is all memory. */
static void test_translated(void)
{
    mock_begin();
    VRig r = { .m = vrig_machine() };
    Device *iommu = bare_add("virtio-iommu-pci,id=iommu"), *d = bare_add("vfio-pci,host=05:00.0,id=v");
    const uint32_t id = pci_attrs(pci_device(d)).requester;
    device_reset_all();
    r = vrig_of(r.m, iommu);
    vrig_start(&r, 0x77, 2);
    g_assert_cmpuint(mock.maps->len, ==, 1);
    g_assert_cmphex(host_map(0)->size, ==, RIG_RAM);
    const uint64_t ram = host_map(0)->vaddr;
    g_assert_cmpuint(iommu_attach(&r, 1, 0, id), ==, 0);
    g_assert_cmpuint(mock.maps->len, ==, 0);
    g_assert_cmpuint(iommu_map(&r, 0x80000000, 0x80003fff, 0x100000, 3), ==, 0);
    g_assert_cmpuint(iommu_map(&r, 0x70000000, 0x70000fff, 0x200000, 1), ==, 0);
    g_assert_cmpuint(iommu_map(&r, 0x90000000, 0x90000fff, 0xfff00000, 3), ==, 0); /* leads to no memory */
    g_assert_cmpuint(mock.maps->len, ==, 2);
    g_assert_cmphex(host_map(0)->iova, ==, 0x80000000);
    g_assert_cmphex(host_map(0)->size, ==, 0x4000);
    g_assert_cmphex(host_map(0)->vaddr, ==, ram + 0x100000);
    g_assert_cmphex(host_map(0)->flags, ==, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
    g_assert_cmphex(host_map(1)->flags, ==, VFIO_DMA_MAP_FLAG_READ);
    g_assert_cmpuint(iommu_unmap(&r, 0x60000000, 0x7fffffff), ==, 0);
    g_assert_cmpuint(mock.maps->len, ==, 1);
    g_assert_cmphex(host_map(0)->iova, ==, 0x80000000);
    g_assert_cmpuint(iommu_attach(&r, 2, 0, id), ==, 0); /* detached: bypass */
    g_assert_cmpuint(mock.maps->len, ==, 1);
    g_assert_cmphex(host_map(0)->size, ==, RIG_RAM);
    g_assert_cmpuint(iommu_attach(&r, 1, 0, id), ==, 0);
    g_assert_cmpuint(iommu_map(&r, 0x1000, 0x1fff, 0, 3), ==, 0);
    vrig_set(&r, 0x70, 20, 1, 0); /* the driver goes */
    g_assert_cmpuint(mock.maps->len, ==, 1);
    g_assert_cmphex(host_map(0)->iova, ==, 0);
    end(&r);
}

/* One address space for each device; and the IOMMU is there before them. */
static void test_translated_errors(void)
{
    static const char *const bad[][3] = {
        { "virtio-iommu-pci", "vfio-pci,host=05:00.0,id=v", "vfio-pci,host=05:00.0" },
        { "vfio-pci,host=05:00.0,id=v", NULL, "virtio-iommu-pci" },
    };
    static const char *const lines[] = { "add -object iommufd,id=ID and iommufd=ID for each",
                                         "'v' must know of it from its start; put it before that one" };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        Error *err = NULL;
        mock_begin();
        Machine *m = vrig_machine();
        for (unsigned k = 0; k < 2 && bad[i][k]; k++)
            bare_add(bad[i][k]);
        g_autoptr(Opts) o = opts_parse(bad[i][2], "driver", NULL);
        g_assert_null(device_add(o, &err));
        g_assert_nonnull(strstr(err->message, lines[i]));
        error_free(err);
        machine_free(m);
        objects_free_all();
        mock_end();
    }
}

int main(int argc, char **argv)
{
    evloop_init();
    g_test_init(&argc, &argv, NULL);
    error_set_sink(vfio_be_quiet, NULL);
    g_test_add_func("/vfio-host/line", test_line);
    g_test_add_func("/vfio-host/line-refused", test_line_refused);
    g_test_add_func("/vfio-host/no-kvm-messages", test_no_kvm_messages);
    g_test_add_func("/vfio-host/iommufd", test_iommufd);
    g_test_add_func("/vfio-host/iommufd-reset", test_iommufd_reset);
    g_test_add_func("/vfio-host/iommufd-errors", test_iommufd_errors);
    g_test_add_func("/vfio-host/dma-host", test_dma_host);
    g_test_add_func("/vfio-host/error", test_error_notice);
    g_test_add_func("/vfio-host/request", test_request_notice);
    g_test_add_func("/vfio-host/ids", test_ids);
    g_test_add_func("/vfio-host/translated", test_translated);
    g_test_add_func("/vfio-host/translated/errors", test_translated_errors);
    return g_test_run();
}
