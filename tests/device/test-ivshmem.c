/* SPDX-License-Identifier: MIT */
/* ivshmem: memory that is shared, doorbells to peers that come and go, interrupts from them. */
#include <sys/eventfd.h>
#include "hw/mem/backend.h"
#include "ivshmem-server.h"
#include "virtio-rig.h"

static Device *add(Machine *m, const char *options)
{
    Device *d = bare_add(options);
    device_reset_all();
    as_store(m->as_io, 0xcf8, 4, 0x80000004 | (uint32_t)pci_device(d)->devfn << 8, MEM_ATTRS_DEVICE);
    as_store(m->as_io, 0xcfc, 2, 7, MEM_ATTRS_DEVICE);
    return d;
}

static uint32_t config(Machine *m, Device *d, unsigned at)
{
    uint64_t v;
    as_store(m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)pci_device(d)->devfn << 8 | at, MEM_ATTRS_DEVICE);
    as_load(m->as_io, 0xcfc, 4, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}

static void place_bar(Machine *m, Device *d, unsigned bar, uint32_t at)
{
    as_store(m->as_io, 0xcf8, 4, 0x80000010 | (uint32_t)pci_device(d)->devfn << 8 | bar * 4, MEM_ATTRS_DEVICE);
    as_store(m->as_io, 0xcfc, 4, at, MEM_ATTRS_DEVICE);
}

static void test_plain(void)
{
    Error *err = NULL;
    Machine *m = vrig_machine();
    object_new("memory-backend-memfd", "mb", &err, "size", "1M", "share", "on", NULL);
    g_assert_no_error(err);
    Device *d = add(m, "ivshmem-plain,memdev=mb");
    g_assert_cmphex(config(m, d, 0), ==, 0x11101af4);
    g_assert_cmphex(config(m, d, 8), ==, 0x05000001);
    place_bar(m, d, 2, 0x30000000);
    as_store(m->as_memory, 0x30000010, 4, 0x12345678, MEM_ATTRS_DEVICE);
    g_assert_cmphex(load_le32((uint8_t *)mem_host(((MemoryBackend *)object_find("mb", NULL))->region) + 0x10), ==,
                    0x12345678);
    machine_free(m);
    objects_free_all();
}

static uint64_t count_of(int fd)
{
    uint64_t n = 0;
    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void turn(void)
{
    for (unsigned i = 0; i < 20; i++)
        evloop_iterate(false);
}

static void test_doorbell(void)
{
    Machine *m = vrig_machine();
    ShmServer server = server_new("shm", 7);
    int other[2], own[2];
    for (unsigned i = 0; i < 2; i++) {
        other[i] = eventfd(0, EFD_NONBLOCK);
        own[i] = eventfd(0, EFD_NONBLOCK);
        server_send(&server, 9, other[i]);
    }
    server_send(&server, 7, own[0]);
    server_send(&server, 7, own[1]);
    Device *d = add(m, "ivshmem-doorbell,chardev=shm,vectors=2");
    turn();
    place_bar(m, d, 0, 0x30000000);
    place_bar(m, d, 1, 0x30010000);
    place_bar(m, d, 2, 0x30100000);

    uint64_t v;
    as_load(m->as_memory, 0x30000008, 4, &v, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(v, ==, 7);
    as_store(m->as_memory, 0x30100040, 4, 0xcafe, MEM_ATTRS_DEVICE);
    uint8_t bytes[4];
    g_assert_cmpint(pread(server.memory, bytes, 4, 0x40), ==, 4);
    g_assert_cmphex(load_le32(bytes), ==, 0xcafe);

    as_store(m->as_memory, 0x3000000c, 4, 9 << 16 | 1, MEM_ATTRS_DEVICE); /* peer 9, vector 1 */
    g_assert_cmpuint(count_of(other[1]), ==, 1);
    g_assert_cmpuint(count_of(other[0]), ==, 0);
    as_store(m->as_memory, 0x3000000c, 4, 9 << 16 | 2, MEM_ATTRS_DEVICE); /* neither is there */
    as_store(m->as_memory, 0x3000000c, 4, 8 << 16, MEM_ATTRS_DEVICE);

    /* vector 1 of ours: a message to memory at 0x1000 */
    as_store(m->as_memory, 0x30010010, 4, 0x1000, MEM_ATTRS_DEVICE);
    as_store(m->as_memory, 0x30010014, 4, 0, MEM_ATTRS_DEVICE);
    as_store(m->as_memory, 0x30010018, 4, 0x77, MEM_ATTRS_DEVICE);
    as_store(m->as_memory, 0x3001001c, 4, 0, MEM_ATTRS_DEVICE);
    uint16_t cap = pci_device(d)->cap_msix;
    as_store(m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)pci_device(d)->devfn << 8 | cap, MEM_ATTRS_DEVICE);
    as_store(m->as_io, 0xcfe, 2, 0x8000, MEM_ATTRS_DEVICE);
    const uint64_t one = 1;
    g_assert_cmpint(write(own[1], &one, 8), ==, 8);
    turn();
    as_load(m->as_memory, 0x1000, 4, &v, MEM_ATTRS_DEVICE);
    g_assert_cmphex(v, ==, 0x77);

    server_send(&server, 9, -1); /* peer 9 goes */
    turn();
    as_store(m->as_memory, 0x3000000c, 4, 9 << 16 | 1, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(count_of(other[1]), ==, 0);
    machine_free(m);
    chardevs_close_all();
    server_free(&server);
    for (unsigned i = 0; i < 2; i++) {
        close(other[i]);
        close(own[i]);
    }
}

static void test_errors(void)
{
    static const char *const lines[][2] = {
        { "ivshmem-plain", "no memory; add memdev=" },
        { "ivshmem-plain,memdev=mb", "no power of two" },
        { "ivshmem-doorbell", "no server; add chardev=" },
        { "ivshmem-doorbell,chardev=none", "no unix socket that is connected" },
    };
    Error *err = NULL;
    Machine *m = vrig_machine();
    object_new("memory-backend-ram", "mb", &err, "size", "3M", NULL);
    g_autoptr(Opts) chr = opts_parse("null,id=none", "backend", &err);
    chardev_new_opts(chr, &err);
    g_assert_no_error(err);
    for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
        g_autoptr(Opts) o = opts_parse(lines[i][0], "driver", &err);
        g_assert_null(device_add(o, &err));
        g_assert_nonnull(strstr(err->message, lines[i][1]));
        g_clear_error(&err);
    }
    machine_free(m);
    objects_free_all();
    chardevs_close_all();
}

static void be_quiet(void *opaque, const char *line) {}

int main(int argc, char **argv)
{
    evloop_init();
    g_test_init(&argc, &argv, NULL);
    error_set_sink(be_quiet, NULL);
    g_test_add_func("/ivshmem/plain", test_plain);
    g_test_add_func("/ivshmem/doorbell", test_doorbell);
    g_test_add_func("/ivshmem/errors", test_errors);
    return g_test_run();
}
