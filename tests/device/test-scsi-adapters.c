/* SPDX-License-Identifier: MIT */
/* SCSI adapters at their registers: requests that are held and saved, and what a hostile guest gives them: circles, wrong lengths, endless programs. */
#include "tests/device/scsi-rig.h"

/* ---- an adapter on a PCI bus ---- */

typedef struct PciRig { Rig base; PciBus bus; Device *parent; Device *adapter; AddressSpace *as; } PciRig;
static const DeviceType parent_type = { .name = "scsi-rig-host", .size = sizeof(Device) };

static PciRig *pci_rig_new(const char *adapter, unsigned bar)
{
    Error *err = NULL;
    PciRig *p = g_new0(PciRig, 1);
    Rig *r = &p->base;
    int fd = g_file_open_tmp("rhea-scsi-XXXXXX", &r->file, NULL);
    g_assert_cmpint(ftruncate(fd, BLOCKS * BLOCK), ==, 0);
    close(fd);
    blk_new("d0", open_image(r->file, BLOCK_RDWR));
    r->m = machine_new(&rig_type);
    g_assert_true(machine_build(r->m, NULL));
    p->parent = device_new(&parent_type, "host");
    g_assert_true(device_start(p->parent, NULL));
    PciRootSpaces spaces = { .mem = r->m->memory, .io = r->m->io, .dma_region = r->m->memory, .dma = r->m->as_memory };
    pci_root_bus_init(&p->bus, "pci.0", p->parent, &spaces, true);
    p->adapter = device_new_named(adapter, "hba", &err);
    g_assert_true(device_start(p->adapter, &err));
    r->disk = add_disk(r, "d0", "");
    PciDevice *d = pci_device(p->adapter);
    p->as = as_new("bar", d->bar[bar].region);
    MemRegion *ecam = pci_ecam_new(&p->bus, 256);
    AddressSpace *config = as_new("config", ecam);
    as_store(config, (hwaddr)d->devfn << 12 | 4, 2, 6, MEM_ATTRS_DEVICE); /* memory, bus master */
    as_free(config);
    mem_region_free(ecam);
    device_reset_all();

    pci_config_set(d, 4, 2, 6);
    return p;
}

static void pci_rig_free(PciRig *p)
{
    as_free(p->as);
    device_free(p->base.disk);
    device_free(p->adapter);
    pci_bus_fini(&p->bus);
    machine_free(p->base.m);
    blk_free_all();
    unlink(p->base.file);
    g_free(p->base.file);
    g_free(p);
}

static void test_lsi_endless(void)
{
    PciRig *p = pci_rig_new("lsi53c895a", 1);
    static const uint32_t programs[][3] = {
        { 0x80080000, 0x1000 },              /* jump to itself */
        { 0xc0ffffff, 0x1000, 0x2000 },      /* move 16 MiB onto itself, for ever */
        { 0x06000001, 0x1000 },              /* a message to nobody */
        { 0x50000000, 0x1000 },              /* wait for a reselection that does not come */
    };
    for (unsigned i = 0; i < ARRAY_LEN(programs); i++) {
        uint8_t code[12];
        for (unsigned k = 0; k < 3; k++)
            store_le32(code + 4 * k, programs[i][k]);
        as_write(p->base.m->as_memory, 0x1000, code, sizeof code, MEM_ATTRS_DEVICE);
        as_store(p->as, 0x2c, 4, 0x1000, MEM_ATTRS_DEVICE); /* DSP: it returns */
        clock_virtual_step(10000000);
        as_store(p->as, 0x14, 1, 0x80, MEM_ATTRS_DEVICE);   /* ISTAT: abort */
        uint64_t dstat;
        as_load(p->as, 0x0c, 1, &dstat, MEM_ATTRS_DEVICE);
        g_assert_true(dstat & 0x10 || i == 1);
        as_store(p->as, 0x14, 1, 0x40, MEM_ATTRS_DEVICE);
        as_store(p->as, 0x14, 1, 0, MEM_ATTRS_DEVICE);
    }
    pci_rig_free(p);
}

static void pvscsi_command(PciRig *p, uint32_t command, const uint32_t *words, unsigned n)
{
    as_store(p->as, 0, 4, command, MEM_ATTRS_DEVICE);
    for (unsigned i = 0; i < n; i++)
        as_store(p->as, 4, 4, words[i], MEM_ATTRS_DEVICE);
}

static uint32_t peek(PciRig *p, hwaddr at)
{
    uint8_t b[4];
    as_read(p->base.m->as_memory, at, b, 4, MEM_ATTRS_DEVICE);
    return load_le32(b);
}
static void poke(PciRig *p, hwaddr at, uint32_t v)
{
    uint8_t b[4];
    store_le32(b, v);
    as_write(p->base.m->as_memory, at, b, 4, MEM_ATTRS_DEVICE);
}

/* States at 0x10000, requests at 0x11000, completions at 0x12000. */
static uint32_t setup[132] = { 1, 1, 0x10, 0, 0x11, [4 + 64] = 0x12 };

static void pvscsi_request(PciRig *p, unsigned n, uint32_t flags, uint64_t data, uint32_t len, const uint8_t *cdb, unsigned cdb_len)
{
    hwaddr at = 0x11000 + 128 * n;
    poke(p, at, 0x55 + n);
    poke(p, at + 8, (uint32_t)data);
    poke(p, at + 16, len);
    poke(p, at + 36, flags);
    as_write(p->base.m->as_memory, at + 40, cdb, cdb_len, MEM_ATTRS_DEVICE);
    poke(p, at + 56, cdb_len);
    poke(p, 0x10000, n + 1);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
}

static void test_pvscsi_held(gconstpointer load)
{
    static const uint8_t ready[6] = { 0 }, write[10] = { 0x2a, 0, 0, 0, 0, 9, 0, 0, 8, 0 }, read[10] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 8, 0 };
    bad_medium = true;
    PciRig *p = pci_rig_new("pvscsi", 0);
    bad_medium = false;
    failure = -ENOSPC; /* the policy that is there without a word */
    pvscsi_command(p, 3, setup, 132);
    pvscsi_request(p, 0, 0, 0, 0, ready, 6); /* the unit attention */
    for (unsigned i = 0; i < 4096; i += 4)
        poke(p, 0x20000 + i, i * 7 + 1);
    failures = 1;
    pvscsi_request(p, 1, 16, 0x20000, 4096, write, 10);
    wait_held("d0");
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 1);
    go_on("d0", load);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    g_assert_cmphex(peek(p, 0x12000 + 32), ==, 0x56);
    g_assert_cmphex(peek(p, 0x12000 + 32 + 20), ==, 0);
    g_assert_cmpuint(peek(p, 0x12000 + 32 + 8), ==, 4096);
    pvscsi_request(p, 2, 8, 0x21000, 4096, read, 10);
    blk_drain(blk_find("d0"));
    for (unsigned i = 0; i < 4096; i += 4)
        g_assert_cmphex(peek(p, 0x21000 + i), ==, i * 7 + 1);
    pci_rig_free(p);
}

static void test_pvscsi_rings(void)
{
    PciRig *p = pci_rig_new("pvscsi", 0);
    uint64_t status;
    setup[0] = 33; /* more pages than there are */
    pvscsi_command(p, 3, setup, 132);
    as_load(p->as, 8, 4, &status, MEM_ATTRS_DEVICE);
    g_assert_cmphex(status, ==, UINT32_MAX);
    setup[0] = 1;
    pvscsi_command(p, 3, setup, 132);
    as_load(p->as, 8, 4, &status, MEM_ATTRS_DEVICE);
    g_assert_cmphex(status, ==, 0);
    g_assert_cmpuint(peek(p, 0x10000 + 8), ==, 5);
    g_assert_cmpuint(peek(p, 0x10000 + 20), ==, 7);
    /* a list that leads to itself */
    poke(p, 0x20000, 0x20000);
    poke(p, 0x2000c, 1);
    poke(p, 0x11000, 0x55);       /* context */
    poke(p, 0x11008, 0x20000);    /* list */
    poke(p, 0x11010, 4096);
    poke(p, 0x11000 + 36, 1 | 8);
    poke(p, 0x11000 + 40, 0x12);  /* INQUIRY, 36 bytes */
    poke(p, 0x11000 + 44, 36);
    poke(p, 0x11000 + 56, 6);
    poke(p, 0x10000, 1);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 1); /* one completion: the adapter's fault */
    g_assert_cmphex(peek(p, 0x12000), ==, 0x55);
    g_assert_cmphex(peek(p, 0x12000 + 20) & 0xffff, ==, 0x20);
    /* the same without a list */
    poke(p, 0x11000 + 128 + 8, 0x30000);
    poke(p, 0x11000 + 128 + 16, 36);
    poke(p, 0x11000 + 128 + 36, 8);
    poke(p, 0x11000 + 128 + 40, 0x12);
    poke(p, 0x11000 + 128 + 44, 36);
    poke(p, 0x11000 + 128 + 56, 6);
    poke(p, 0x10000, 2);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    g_assert_cmphex(peek(p, 0x12000 + 32 + 20), ==, 0);
    g_assert_cmphex(peek(p, 0x30000 + 8), ==, load_le32("QEMU"));
    /* far more requests than the ring holds */
    poke(p, 0x10000, 0x80000000);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    pci_rig_free(p);
}

#define ADD(path, fn) g_test_add_func(path, fn)
int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/scsi/pvscsi-held", NULL, test_pvscsi_held);
    g_test_add_data_func("/scsi/pvscsi-held-loaded", "", test_pvscsi_held);
    ADD("/scsi/lsi-endless", test_lsi_endless);
    ADD("/scsi/pvscsi-rings", test_pvscsi_rings);
    return g_test_run();
}
