/* SPDX-License-Identifier: MIT */
/* fw_cfg as a guest sees it: ports, directory, DMA with hostile descriptors, save and load. */
#include <glib.h>
#include <string.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "hw/firmware/fw_cfg.h"

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
#define DESC 0x1000
#define BUF 0x2000
#define RAM_SIZE (2 * MiB)

typedef struct Fixture {
    Machine *m;
    FwCfg *f;
} Fixture;

static void set_up(Fixture *x, gconstpointer unused)
{
    Error *err = NULL;
    x->m = machine_new(machine_type_find("none"));
    x->m->config.ram_size = RAM_SIZE;
    g_assert_true(machine_build(x->m, &err));
    x->m->config.cpus = 3;
    x->f = fw_cfg_io_create(x->m, &err);
    g_assert_no_error(err);
    device_reset_all();
}

static void tear_down(Fixture *x, gconstpointer unused)
{
    machine_free(x->m);
}

static void out(Fixture *x, uint16_t port, unsigned size, uint64_t v)
{
    as_store(x->m->as_io, port, size, v, MEM_ATTRS_DEVICE);
}

static uint64_t in(Fixture *x, uint16_t port, unsigned size)
{
    uint64_t v;
    as_load(x->m->as_io, port, size, &v, MEM_ATTRS_DEVICE);
    return v;
}

static void read_port(Fixture *x, uint16_t key, void *buf, size_t len)
{
    out(x, 0x510, 2, key);
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)in(x, 0x511, 1);
}

/* Run one descriptor; returns the control field afterwards. */
static uint32_t dma(Fixture *x, uint32_t control, uint32_t len, uint64_t addr)
{
    uint8_t d[16];
    store_be(d, 4, control);
    store_be(d + 4, 4, len);
    store_be(d + 8, 8, addr);
    as_write(x->m->as_memory, DESC, d, sizeof(d), MEM_ATTRS_DEVICE);
    out(x, 0x514, 4, 0);
    out(x, 0x518, 4, GUINT32_SWAP_LE_BE(DESC));
    as_read(x->m->as_memory, DESC, d, 4, MEM_ATTRS_DEVICE);
    return (uint32_t)load_be(d, 4);
}

static uint16_t key_of(Fixture *x, const char *name)
{
    uint8_t head[4], row[64];
    out(x, 0x510, 2, FW_CFG_FILE_DIR);
    for (unsigned i = 0; i < 4; i++)
        head[i] = (uint8_t)in(x, 0x511, 1);
    for (uint64_t n = load_be(head, 4); n; n--) {
        for (unsigned i = 0; i < 64; i++)
            row[i] = (uint8_t)in(x, 0x511, 1);
        if (!strcmp((char *)row + 8, name))
            return (uint16_t)load_be(row + 4, 2);
    }
    return 0;
}

static void test_ports(Fixture *x, gconstpointer unused)
{
    uint8_t b[8];
    read_port(x, FW_CFG_SIGNATURE, b, 6);
    g_assert_cmpmem(b, 6, "QEMU\0\0", 6); /* zeros past the end */
    read_port(x, FW_CFG_ID, b, 4);
    g_assert_cmpuint(load_le32(b), ==, 3);
    read_port(x, FW_CFG_NB_CPUS, b, 2);
    g_assert_cmpuint(load_le16(b), ==, 3);
    read_port(x, FW_CFG_RAM_SIZE, b, 8);
    g_assert_cmpuint(load_le64(b), ==, RAM_SIZE);
    read_port(x, 0x7fff, b, 2);
    g_assert_cmpuint(load_le16(b), ==, 0);
    g_assert_cmphex(in(x, 0x514, 4), ==, GUINT32_SWAP_LE_BE(0x51454d55)); /* "QEMU" */
    g_assert_cmphex(in(x, 0x518, 4), ==, GUINT32_SWAP_LE_BE(0x20434647)); /* " CFG" */
}

static void test_directory_is_sorted(Fixture *x, gconstpointer unused)
{
    static const char *const names[] = { "etc/z", "bootorder", "etc/a", "opt/x" };
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        g_assert_true(fw_cfg_add_file(x->f, names[i], names[i], strlen(names[i]), NULL));
    g_assert_cmpuint(key_of(x, "bootorder"), ==, 0x20);
    g_assert_cmpuint(key_of(x, "etc/a"), ==, 0x21);
    g_assert_cmpuint(key_of(x, "etc/z"), ==, 0x22);
    g_assert_cmpuint(key_of(x, "opt/x"), ==, 0x23);
    char b[5];
    read_port(x, 0x22, b, 5);
    g_assert_cmpmem(b, 5, "etc/z", 5);
}

static void test_dma_read(Fixture *x, gconstpointer unused)
{
    uint8_t b[8];
    fw_cfg_add_file(x->f, "f", "abcdef", 6, NULL);
    g_assert_cmphex(dma(x, (uint32_t)key_of(x, "f") << 16 | DMA_SELECT | DMA_SKIP, 2, 0), ==, 0);
    g_assert_cmphex(dma(x, DMA_READ, 8, BUF), ==, 0);
    as_read(x->m->as_memory, BUF, b, 8, MEM_ATTRS_DEVICE);
    g_assert_cmpmem(b, 8, "cdef\0\0\0\0", 8);
}

static void test_dma_hostile(Fixture *x, gconstpointer unused)
{
    fw_cfg_add_file(x->f, "f", "abcdef", 6, NULL);
    uint32_t select = (uint32_t)key_of(x, "f") << 16 | DMA_SELECT;
    g_assert_cmphex(dma(x, select | DMA_READ, UINT32_MAX, BUF), ==, DMA_ERROR);       /* runs out of RAM */
    g_assert_cmphex(dma(x, select | DMA_READ, 16, UINT64_MAX - 7), ==, DMA_ERROR);
    g_assert_cmphex(dma(x, select | DMA_READ, 6, RAM_SIZE), ==, DMA_ERROR);
    g_assert_cmphex(dma(x, select | DMA_WRITE, 6, BUF), ==, DMA_ERROR);               /* not writable */
    g_assert_cmphex(dma(x, 0xffffu << 16 | DMA_SELECT | DMA_WRITE, 0, BUF), ==, DMA_ERROR); /* no such key */
    g_assert_cmphex(dma(x, 0xffffffe0, UINT32_MAX, UINT64_MAX), ==, 0);               /* no command: nothing */
    out(x, 0x514, 4, 0xffffffff);
    out(x, 0x518, 4, 0xffffffff); /* descriptor outside RAM */
    out(x, 0x514, 8, GUINT64_SWAP_LE_BE(RAM_SIZE - 8)); /* half of it */
    out(x, 0x516, 2, 1);
    for (unsigned i = 0; i < 100; i++)
        dma(x, DMA_SKIP, UINT32_MAX, 0); /* the offset saturates */
    g_assert_cmphex(dma(x, DMA_READ, 1, BUF), ==, 0);
}

static size_t wrote_at, wrote_len;
static unsigned selected;

static void on_select(void *opaque)
{
    selected++;
    fw_cfg_replace_file(opaque, "made", "second", 6);
}

static void on_wrote(void *opaque, const uint8_t *contents, size_t offset, size_t len)
{
    wrote_at = offset;
    wrote_len = len;
}

static const FwCfgFileOps file_ops = { on_select, on_wrote };
static const FwCfgFileOps write_ops = { NULL, on_wrote };

static void test_writable_and_saved(Fixture *x, gconstpointer unused)
{
    Error *err = NULL;
    fw_cfg_add_file_ops(x->f, "w", "12345678", 8, true, &write_ops, x->f, NULL);
    uint32_t select = (uint32_t)key_of(x, "w") << 16 | DMA_SELECT;
    as_write(x->m->as_memory, BUF, "xyz", 3, MEM_ATTRS_DEVICE);
    g_assert_cmphex(dma(x, select | DMA_SKIP, 4, 0), ==, 0);
    g_assert_cmphex(dma(x, DMA_WRITE, 3, BUF), ==, 0);
    g_assert_cmpuint(wrote_at, ==, 4);
    g_assert_cmpuint(wrote_len, ==, 3);
    g_assert_cmphex(dma(x, DMA_WRITE, 2, BUF), ==, DMA_ERROR); /* one byte too far */

    StateWriter *w = state_writer_new();
    device_save((Device *)x->f, w);
    g_autoptr(GBytes) stream = state_writer_finish(w);
    as_write(x->m->as_memory, BUF, "0000", 4, MEM_ATTRS_DEVICE);
    g_assert_cmphex(dma(x, select | DMA_WRITE, 4, BUF), ==, 0);
    StateReader *r = state_reader_new(stream, &err);
    g_assert_true(device_load((Device *)x->f, r, &err));
    g_assert_no_error(err);
    state_reader_free(r);
    char b[8];
    read_port(x, key_of(x, "w"), b, 8);
    g_assert_cmpmem(b, 8, "1234xyz8", 8);
}

static void test_select_hook(Fixture *x, gconstpointer unused)
{
    char b[6];
    fw_cfg_add_file_ops(x->f, "made", "first", 5, false, &file_ops, x->f, NULL);
    selected = 0;
    read_port(x, key_of(x, "made"), b, 6);
    g_assert_cmpmem(b, 6, "second", 6);
    g_assert_cmpuint(selected, ==, 1);
}

static void test_bad_names(Fixture *x, gconstpointer unused)
{
    Error *err = NULL;
    g_autofree char *name = g_strnfill(56, 'x');
    g_assert_false(fw_cfg_add_file(x->f, name, "", 0, &err));
    g_assert_nonnull(strstr(err->message, "55 characters"));
    g_clear_error(&err);
    name[55] = '\0';
    g_assert_true(fw_cfg_add_file(x->f, name, "", 0, &err));
    for (unsigned i = 1; i < FW_CFG_FILE_SLOTS; i++) {
        g_autofree char *n = g_strdup_printf("n%u", i);
        g_assert_true(fw_cfg_add_file(x->f, n, "", 0, &err));
    }
    g_assert_false(fw_cfg_add_file(x->f, "one-more", "", 0, &err));
    g_clear_error(&err);
}

static void test_boot_order(Fixture *x, gconstpointer unused)
{
    fw_cfg_add_boot_path(x->f, "/second", 5, NULL);
    fw_cfg_add_boot_path(x->f, "/first", 0, NULL);
    GBytes *b = fw_cfg_get_file(x->f, "bootorder");
    g_assert_cmpstr(g_bytes_get_data(b, NULL), ==, "/first\n/second");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
#define ADD(name, fn) g_test_add("/fw_cfg/" name, Fixture, NULL, set_up, fn, tear_down)
    ADD("ports", test_ports);
    ADD("directory", test_directory_is_sorted);
    ADD("dma-read", test_dma_read);
    ADD("dma-hostile", test_dma_hostile);
    ADD("writable", test_writable_and_saved);
    ADD("select", test_select_hook);
    ADD("names", test_bad_names);
    ADD("bootorder", test_boot_order);
    return g_test_run();
}
