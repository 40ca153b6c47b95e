/* SPDX-License-Identifier: MIT */
/* virtio devices seen by a driver: what they do, over PCI and MMIO; saved and loaded amid requests; and random rings for each of them. */
#include "base/error.h"
#include "virtio-rig.h"

#define SECOND 2000 /* ms to wait for what comes */

static GBytes *save_all(void)
{
    StateWriter *w = state_writer_new();
    device_save_all(w);
    return state_writer_finish(w);
}

static void load_all(GBytes *stream)
{
    Error *err = NULL;
    StateReader *r = state_reader_new(stream, &err);
    if (!r || !device_load_all(r, &err))
        g_error("%s", err->message);
    state_reader_free(r);
}

static void add_object(const char *text)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse(text, "qom-type", &err);
    object_add(o, &err);
    g_assert_no_error(err);
}

static VRig rig_with(const char *device)
{
    Machine *m = vrig_machine();
    Device *d = vrig_add(device);
    device_reset_all();
    return vrig_of(m, d);
}

/* ---- virtio-rng ---- */

static void test_rng(const void *device)
{
    VRig r = rig_with(device);
    unsigned slot = 0;
    uint32_t len = 0;
    uint8_t data[64];
    g_assert_cmphex(vrig_get(&r, 8, 0, 4), ==, r.pci ? 0 : VIRTIO_ID_RNG);
    for (unsigned i = 0; i < 40; i++) {
        if (i % 20 == 0)
            vrig_start(&r, i ? VIRTIO_F_EVENT_IDX : 0, 1);
        vrig_add_buffer(&r, 0, NULL, 0, sizeof(data));
        vrig_kick(&r, 0);
        g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
        g_assert_cmpuint(len, ==, sizeof(data));
        vrig_read(&r, 0, slot, 0, data, len);
        unsigned zeroes = 0;
        for (unsigned k = 0; k < len; k++)
            zeroes += !data[k];
        g_assert_cmpuint(zeroes, <, 16);
    }
    vrig_free(&r);
}

/* Ten bytes in a period, out of a file whose bytes are known. */
static void test_rng_quota(void)
{
    g_autofree char *file = NULL;
    int fd = g_file_open_tmp("rhea-rng-XXXXXX", &file, NULL);
    g_assert_cmpint(write(fd, "abcdefghijklmnopqrstuvwxyz", 26), ==, 26);
    close(fd);
    Machine *m = vrig_machine();
    g_autofree char *object = g_strdup_printf("rng-random,id=r0,filename=%s", file);
    add_object(object);
    Device *d = vrig_add("virtio-rng-pci,rng=r0,max-bytes=10,period=1000");
    device_reset_all();
    VRig r = vrig_of(m, d);
    vrig_start(&r, 0, 1);
    unsigned slot = 0;
    uint32_t len = 0;
    char text[16] = "";
    for (unsigned i = 0; i < 3; i++)
        vrig_add_buffer(&r, 0, NULL, 0, 8);
    vrig_kick(&r, 0);
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 8);
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 2);
    vrig_read(&r, 0, slot, 0, text, len);
    g_assert_cmpstr(text, ==, "ij");
    g_assert_false(vrig_used(&r, 0, 50, &slot, &len));
    g_autoptr(GBytes) waiting = save_all(); /* a buffer is held */
    load_all(waiting);
    g_assert_false(vrig_used(&r, 0, 50, &slot, &len));
    clock_virtual_step(1100 * INT64_C(1000000));
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 8);
    vrig_read(&r, 0, slot, 0, text, len);
    g_assert_cmpstr(text, ==, "klmnopqr");
    vrig_free(&r);
    unlink(file);
}

/* ---- random rings: whatever stands in them, a device neither hangs nor falls ---- */

static uint64_t random_address(void)
{
    uint32_t at = (uint32_t)g_test_rand_int();
    return g_test_rand_int_range(0, 16) ? at % RIG_RAM : (uint64_t)at << g_test_rand_int_range(0, 24);
}

static void random_ring(VRig *r, unsigned q)
{
    AddressSpace *as = r->m->as_memory;
    for (unsigned i = 0; i < r->size[q]; i++) {
        uint8_t desc[16];
        store_le64(desc, random_address());
        store_le32(desc + 8, (uint32_t)g_test_rand_int() >> g_test_rand_int_range(0, 32));
        store_le16(desc + 12, (uint16_t)g_test_rand_int_range(0, g_test_rand_bit() ? 4 : 8));
        store_le16(desc + 14, (uint16_t)g_test_rand_int_range(0, r->size[q] + 1));
        as_write(as, rig_area(q, 0) + 16 * i, desc, sizeof(desc), MEM_ATTRS_DEVICE);
        store_le16(desc, (uint16_t)g_test_rand_int_range(0, r->size[q]));
        as_write(as, rig_area(q, 1) + 4 + 2 * i, desc, 2, MEM_ATTRS_DEVICE);
    }
    uint8_t index[2];
    r->avail[q] = (uint16_t)(r->avail[q] + g_test_rand_int_range(0, r->size[q]));
    store_le16(index, r->avail[q]);
    as_write(as, rig_area(q, 1) + 2, index, 2, MEM_ATTRS_DEVICE);
}

static void storm(VRig *r, unsigned rounds)
{
    unsigned queues = 0;
    while (queues < 8 && (vrig_set(r, 0x30, 22, 2, queues), vrig_get(r, 0x34, 24, 2)))
        queues++;
    for (unsigned n = 0; n < rounds; n++) {
        uint64_t offered = 0;
        for (unsigned half = 0; half < 2; half++) {
            vrig_set(r, 0x14, 0, 4, half);
            offered |= (uint64_t)vrig_get(r, 0x10, 4, 4) << 32 * half;
        }
        for (unsigned i = 0; i < 500; i++) /* small numbers, as types of requests are */
            as_store(r->m->as_memory, random_address() % RIG_RAM, 4, (uint32_t)g_test_rand_int_range(0, 9), MEM_ATTRS_DEVICE);
        vrig_start(r, offered & ~VIRTIO_F_RING_PACKED & (g_test_rand_bit() ? UINT64_MAX : (uint64_t)g_test_rand_int() << 20), queues);
        for (unsigned k = 0; k < 8; k++) {
            for (unsigned q = 0; q < queues; q++) {
                if (g_test_rand_bit())
                    random_ring(r, q);
                if (g_test_rand_bit())
                    vrig_kick(r, q);
            }
            clock_virtual_step(g_test_rand_int_range(0, 2000000));
            evloop_iterate(false);
        }
        if (n % 4 == 3) {
            g_autoptr(GBytes) busy = save_all();
            load_all(busy);
        }
        if (g_test_rand_bit())
            device_reset_all();
        r->pci = r->d->type->base == &virtio_pci_type;
        if (r->pci) {
            as_store(r->m->as_io, 0xcf8, 4, 0x80000004 | (uint32_t)pci_device(r->d)->devfn << 8, MEM_ATTRS_DEVICE);
            as_store(r->m->as_io, 0xcfc, 2, 7, MEM_ATTRS_DEVICE);
        }
    }
}

static void test_storm(const void *device)
{
    VRig r = rig_with(device);
    storm(&r, g_test_slow() ? 2000 : 60);
    vrig_free(&r);
}

static void be_quiet(void *opaque, const char *line) {}

int main(int argc, char **argv)
{
    evloop_init();
    g_test_init(&argc, &argv, NULL);
    error_set_sink(be_quiet, NULL);
    g_test_add_data_func("/rng/pci", "virtio-rng-pci", test_rng);
    g_test_add_data_func("/rng/mmio", "virtio-rng-device", test_rng);
    g_test_add_func("/rng/quota", test_rng_quota);
    g_test_add_data_func("/storm/rng/pci", "virtio-rng-pci", test_storm);
    g_test_add_data_func("/storm/rng/mmio", "virtio-rng-device", test_storm);
    return g_test_run();
}
