/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk: what its properties are to the guest; how many queues it has, where their doorbells are, and that each
 * can be reset.
 */
#include "virtio-rig.h"
#include "bad-medium.h"

enum {
    DISK = 1 << 20,
    SECTOR = 512,
    STATUS_OK = 0,
    STATUS_IOERR = 1,
    CONFIG_SIZES = 24,
    CONFIG_GEOMETRY = 16,
    NOTIFY_BAR = 0x2000
};

static VRig rig_new(const char *options, unsigned cpus)
{
    Error *err = NULL;
    Machine *m = vrig_machine();
    m->config.cpus = cpus;
    g_autofree char *file = bare_image(DISK), *device = g_strdup_printf("virtio-blk-pci,id=d,drive=d%s", options);
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "test-bad");
    opts_set(o, "file.driver", "file");
    opts_set(o, "file.filename", file);
    BlockNode *n = block_open(NULL, o, BLOCK_RDWR | BLOCK_UNMAP, &err);
    g_assert_no_error(err);
    blk_new("d", n);
    unlink(file);
    VRig r = vrig_of(m, bare_add(device));
    device_reset_all();
    return vrig_of(m, r.d);
}

static void rig_end(VRig *r)
{
    vrig_free(r);
    blk_free_all();
}

static unsigned ask_read(VRig *r, unsigned q, uint64_t sector)
{
    uint8_t header[16] = { 0 };
    store_le64(header + 8, sector);
    return vrig_add_buffer(r, q, header, sizeof header, SECTOR + 1);
}

static uint8_t status_of(VRig *r, unsigned q)
{
    unsigned slot = 0;
    uint32_t len = 0;
    uint8_t status;
    g_assert_true(vrig_used(r, q, 60000, &slot, &len));
    vrig_read(r, q, slot, 16 + SECTOR, &status, 1);
    return status;
}

static uint8_t read_sector(VRig *r, unsigned q, uint64_t sector)
{
    ask_read(r, q, sector);
    vrig_kick(r, q);
    return status_of(r, q);
}

static unsigned vectors(VRig *r)
{
    const PciDevice *p = pci_device(r->d);
    return p->cap_msix ? (pci_config_get(p, p->cap_msix + 2u, 2) & 0x7ff) + 1 : 0;
}

static void test_sizes(void)
{
    VRig r = rig_new(",logical_block_size=4k,physical_block_size=16k,min_io_size=32k,opt_io_size=1M,discard_"
                     "granularity=8k,cyls=7,heads=3,secs=11",
                     1);
    g_assert_cmpuint(vrig_config(&r, 20, 4), ==, 4096);
    g_assert_cmpuint(vrig_config(&r, CONFIG_SIZES, 1), ==, 2);
    g_assert_cmpuint(vrig_config(&r, CONFIG_SIZES + 2, 2), ==, 8);
    g_assert_cmpuint(vrig_config(&r, CONFIG_SIZES + 4, 4), ==, 256);
    g_assert_cmpuint(vrig_config(&r, 44, 4), ==, 16);
    g_assert_cmphex(vrig_config(&r, CONFIG_GEOMETRY, 4), ==, 7 | 3 << 16 | 11u << 24);
    rig_end(&r);
    r = rig_new("", 1);
    g_assert_cmphex(vrig_config(&r, CONFIG_GEOMETRY, 4), ==, DISK / SECTOR / (16 * 63) | 16 << 16 | 63u << 24);
    rig_end(&r);
}

static void test_queues(void)
{
    static const struct { const char *options; unsigned cpus, queues, vectors;
    } rows[] = {
        { "", 1, 1, 2 },
        { "", 5, 5, 6 },
        { "", 200, 64, 65 },
        { ",num-queues=3", 5, 3, 4 },
        { ",num-queues=2,vectors=0", 5, 2, 0 },
        { ",vectors=9", 2, 2, 9 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        VRig r = rig_new(rows[i].options, rows[i].cpus);
        g_assert_cmpuint(vrig_get(&r, 0, 18, 2), ==, rows[i].queues);
        g_assert_cmpuint(vrig_config(&r, 34, 2), ==, rows[i].queues);
        g_assert_cmpuint(vectors(&r), ==, rows[i].vectors);
        rig_end(&r);
    }
}

/* Requests that can't be, and requests that fail. */
static void test_accounting(void)
{
    VRig r = rig_new(",rerror=report,account-failed=off", 1);
    vrig_start(&r, 0, 1);
    g_assert_cmpuint(read_sector(&r, 0, DISK / SECTOR), ==, STATUS_IOERR);
    atomic_store(&failures, 1);
    g_assert_cmpuint(read_sector(&r, 0, 1), ==, STATUS_IOERR);
    BlkStats s = blk_stats(blk_find("d"));
    g_assert_cmpuint(s.invalid[BLK_READ], ==, 1);
    g_assert_cmpuint(s.failed[BLK_READ], ==, 1);
    g_assert_cmpuint(s.time_ns[BLK_READ], ==, 0);
    g_assert_cmpuint(read_sector(&r, 0, 1), ==, STATUS_OK);
    g_assert_cmpuint(blk_stats(blk_find("d")).time_ns[BLK_READ], >, 0);
    rig_end(&r);
}

/* A page from doorbell to doorbell; and one by I/O port. */
static void test_doorbells(void)
{
    VRig r = rig_new(",num-queues=3,page-per-vq=on,modern-pio-notify=on", 1);
    vrig_start(&r, 0, 3);
    ask_read(&r, 2, 0);
    vrig_set(&r, 0, RIG_NOTIFY + 4 * 2, 4, 2); /* that is queue 0's page */
    g_assert_false(vrig_used(&r, 2, 0, &(unsigned){ 0 }, &(uint32_t){ 0 }));
    vrig_set(&r, 0, RIG_NOTIFY + 0x1000 * 2, 4, 2);
    g_assert_cmpuint(status_of(&r, 2), ==, STATUS_OK);
    as_store(r.m->as_io, 0xcf8, 4, 0x80000018 | (uint32_t)pci_device(r.d)->devfn << 8, MEM_ATTRS_DEVICE);
    as_store(r.m->as_io, 0xcfc, 4, NOTIFY_BAR, MEM_ATTRS_DEVICE);
    ask_read(&r, 1, 0);
    as_store(r.m->as_io, NOTIFY_BAR, 2, 1, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(status_of(&r, 1), ==, STATUS_OK);
    as_store(r.m->as_io, NOTIFY_BAR, 2, 77, MEM_ATTRS_DEVICE); /* there is none: harmless */
    rig_end(&r);
}

/* One queue is reset, with what is held for it; the other one keeps its own. */
static void test_queue_reset(void)
{
    VRig r = rig_new(",num-queues=2,rerror=stop", 1);
    vrig_set(&r, 0, 0, 4, 1);
    g_assert_cmphex(vrig_get(&r, 0, 4, 4) >> 8 & 1, ==, 1);
    vrig_start(&r, VIRTIO_F_RING_RESET, 2);
    atomic_store(&failures, 2);
    for (unsigned q = 0; q < 2; q++) {
        ask_read(&r, q, 5);
        vrig_kick(&r, q);
    }
    wait_held("d");
    vrig_set(&r, 0, 22, 2, 1);
    vrig_set(&r, 0, 58, 2, 1);
    g_assert_cmpuint(vrig_get(&r, 0, 58, 2), ==, 0);
    g_assert_cmpuint(vrig_get(&r, 0, 28, 2), ==, 0);
    g_assert_cmphex(vrig_get(&r, 0, 32, 4), ==, 0);
    vrig_queue(&r, 1);
    go_on("d", false);
    g_assert_cmpuint(status_of(&r, 0), ==, STATUS_OK);
    g_assert_false(vrig_used(&r, 1, 0, &(unsigned){ 0 }, &(uint32_t){ 0 }));
    g_assert_cmpuint(read_sector(&r, 1, 5), ==, STATUS_OK);
    rig_end(&r);
    r = rig_new(",queue_reset=off", 1);
    vrig_set(&r, 0, 0, 4, 1);
    g_assert_cmphex(vrig_get(&r, 0, 4, 4) >> 8 & 1, ==, 0);
    vrig_start(&r, 0, 1);
    vrig_set(&r, 0, 58, 2, 1); /* nothing that was not agreed on */
    g_assert_cmpuint(vrig_get(&r, 0, 28, 2), ==, 1);
    rig_end(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-blk/sizes", test_sizes);
    g_test_add_func("/virtio-blk/queues", test_queues);
    g_test_add_func("/virtio-blk/accounting", test_accounting);
    g_test_add_func("/virtio-blk/doorbells", test_doorbells);
    g_test_add_func("/virtio-blk/queue-reset", test_queue_reset);
    return g_test_run();
}
