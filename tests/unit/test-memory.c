/* SPDX-License-Identifier: MIT */
/*
 * The memory map: priorities, aliases, splitting, ROM, transactions, RAM addresses; and random trees against a model.
 */
#include <glib.h>
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "base/rcu.h"
#include "hw/core/dma.h"

static char trail[512]; /* what the hooks saw: "r4@10 w2@6=abcd" */

static MemResult hook_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    size_t n = strlen(trail);
    g_snprintf(trail + n, sizeof(trail) - n, "r%u@%x ", size, (unsigned)offset);
    *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value |= (uint64_t)(uint8_t)(offset + i) << (8 * i);
    return MEM_OK;
}

static MemResult hook_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    size_t n = strlen(trail);
    g_snprintf(trail + n, sizeof(trail) - n, "w%u@%x=%" PRIx64 " ", size, (unsigned)offset, value);
    return MEM_OK;
}

static uint64_t load(AddressSpace *as, hwaddr at, unsigned size, MemResult want)
{
    uint64_t v;
    trail[0] = '\0';
    g_assert_cmpint(as_load(as, at, size, &v, MEM_ATTRS_DEVICE), ==, want);
    return v;
}

static void store(AddressSpace *as, hwaddr at, unsigned size, uint64_t v, MemResult want)
{
    trail[0] = '\0';
    g_assert_cmpint(as_store(as, at, size, v, MEM_ATTRS_DEVICE), ==, want);
}

static void test_ram(void)
{
    MemRegion *root = mem_container_new("root", UINT64_MAX);
    MemRegion *ram = mem_ram_new("ram", 3 * MiB, NULL), *ram2 = mem_ram_new("ram2", 4096, NULL);
    AddressSpace *as = as_new("test", root);
    g_assert_cmphex(load(as, 0x1000, 4, MEM_UNMAPPED), ==, 0xffffffff);
    mem_map(root, 0, ram, 0);
    mem_map(root, 3 * MiB, ram2, 0);
    store(as, 0x1001, 8, 0x1122334455667788, MEM_OK);
    g_assert_cmphex(load(as, 0x1003, 2, MEM_OK), ==, 0x5566);
    store(as, 3 * MiB - 2, 4, 0xaabbccdd, MEM_OK); /* across two regions */
    g_assert_cmphex(load(as, 3 * MiB - 2, 4, MEM_OK), ==, 0xaabbccdd);
    g_assert_cmphex(*(uint8_t *)mem_host(ram2), ==, 0xbb);
    g_assert_cmphex(load(as, 3 * MiB + 4095, 2, MEM_UNMAPPED), ==, 0xff00);
    uint8_t big[70000], back[70000];
    memset(big, 0x5a, sizeof(big));
    g_assert_cmpint(as_write(as, 0x12345, big, sizeof(big), MEM_ATTRS_DEVICE), ==, MEM_OK);
    g_assert_cmpint(as_read(as, 0x12345, back, sizeof(back), MEM_ATTRS_DEVICE), ==, MEM_OK);
    g_assert_cmpmem(big, sizeof(big), back, sizeof(back));

    as_free(as);
    mem_region_free(ram);
    mem_region_free(ram2);
    mem_region_free(root);
}

static uint64_t reported_at, reported_len;

static void reported(void *opaque, uint64_t ram_addr, uint64_t len)
{
    reported_at = ram_addr;
    reported_len = len;
}

static void test_ram_addr(void)
{
    MemRegion *root = mem_container_new("root", UINT64_MAX), *a = mem_ram_new("a", 8192, NULL),
              *b = mem_ram_new("b", 5000, NULL);
    AddressSpace *as = as_new("test", root);
    MemSection s;
    mem_map(root, 0x10000, b, 0);
    mem_map(root, 0x20000, a, 0);
    mem_set_ram_written_hook(reported, NULL);
    rcu_read_lock();
    as_translate(as, 0x10010, &s);
    rcu_read_unlock();
    g_assert_true(mem_ram_host(s.ram_addr) == (uint8_t *)mem_host(b) + 0x10);
    g_assert_cmpuint(s.len, ==, 5000 - 0x10);
    store(as, 0x10010, 2, 1, MEM_OK);
    g_assert_cmphex(reported_at, ==, s.ram_addr);
    g_assert_cmpuint(reported_len, ==, 2);
    g_assert_null(mem_ram_host(mem_ram_addr_limit()));
    mem_region_free(b);
    /* where a block was, maybe: what was translated of that is stale */
    MemRegion *c = mem_rom_new("c", 5000, "new", 3, NULL);
    g_assert_true(mem_ram_host(reported_at) == mem_host(c));
    g_assert_cmpuint(reported_len, ==, 8192);
    mem_set_ram_written_hook(NULL, NULL);
    as_free(as);
    mem_region_free(a);
    mem_region_free(c);
    mem_region_free(root);
}

static void test_rom(void)
{
    static const MemOps ops = { .read = hook_read, .write = hook_write };
    MemRegion *root = mem_container_new("root", UINT64_MAX), *rom = mem_rom_new("rom", 4096, "hello", 5, NULL);
    MemRegion *romd = mem_romd_new("flash", 4096, &ops, NULL, machine_domain(), NULL),
              *ram = mem_ram_new("ram", 4096, NULL);
    AddressSpace *as = as_new("test", root);
    mem_map(root, 0, rom, 0);
    mem_map(root, 4096, romd, 0);
    mem_map(root, 8192, ram, 0);
    store(as, 0, 1, 'X', MEM_OK);
    g_assert_cmphex(load(as, 0, 1, MEM_OK), ==, 'h');
    as_write_rom(as, 0, "J", 1);
    g_assert_cmphex(load(as, 0, 1, MEM_OK), ==, 'J');
    store(as, 4096 + 16, 4, 0x77, MEM_OK);
    g_assert_cmpstr(trail, ==, "w4@10=77 ");
    g_assert_cmphex(load(as, 4096 + 16, 4, MEM_OK), ==, 0);
    g_assert_cmpstr(trail, ==, "");
    mem_set_readonly(ram, true);
    store(as, 8192, 4, 5, MEM_OK);
    g_assert_cmphex(load(as, 8192, 4, MEM_OK), ==, 0);
    mem_set_readonly(ram, false);
    store(as, 8192, 4, 5, MEM_OK);
    g_assert_cmphex(load(as, 8192, 4, MEM_OK), ==, 5);
    MemRegion *view = mem_alias_new("view", romd, 0, 4096), *io = mem_io_new("io", 16, &ops, NULL, NULL);
    MemRegion *io_view = mem_alias_new("io view", io, 0, 16);
    mem_map(root, 0x10000, io, 0);
    mem_map(root, 0x20000, io_view, 0);
    mem_map(root, 0x30000, view, 0);
    mem_set_readonly(io_view, true);
    store(as, 0x20000, 4, 5, MEM_OK); /* a read-only view of a device: the device hears nothing */
    g_assert_cmpstr(trail, ==, "");
    store(as, 0x30000, 1, 5, MEM_OK);
    g_assert_cmpstr(trail, ==, "w1@0=5 ");
    mem_region_free(view);
    mem_region_free(io_view);
    mem_region_free(io);
    uint8_t buf[64] = { 0 };
    g_assert_cmpint(as_write(as, 0, buf, sizeof(buf), MEM_ATTRS_DEVICE), ==, MEM_OK); /* a long write to ROM ends */
    g_assert_cmphex(load(as, 0, 1, MEM_OK), ==, 'J');
    as_free(as);
    mem_region_free(rom);
    mem_region_free(romd);
    mem_region_free(ram);
    mem_region_free(root);
}

static void test_split(void)
{
    static const MemOps wide = { .read = hook_read, .write = hook_write, .min_size = 4, .max_size = 4 };
    static const MemOps narrow = { .read = hook_read, .write = hook_write, .max_size = 1 };
    static const MemOps any = { .read = hook_read, .write = hook_write };
    static const MemOps loose = { .read = hook_read, .write = hook_write, .unaligned = true };
    static const MemOps big = { .read = hook_read, .write = hook_write, .big_endian = true };
    static const MemOps deaf = { .read = NULL };
    static const struct {
        const MemOps *ops;
        hwaddr at;
        unsigned size;
        const char *reads;
        uint64_t value;
        const char *writes; /* of 0x8877665544332211 */
    } cases[] = {
        { &wide, 0x10, 8, "r4@10 r4@14 ", 0x1716151413121110, "w4@10=44332211 w4@14=88776655 " },
        { &wide, 0x11, 1, "r4@10 ", 0x11, "w4@10=1100 " },
        { &wide, 0x12, 4, "r4@10 r4@14 ", 0x15141312, "w4@10=22110000 w4@14=4433 " },
        { &narrow, 0x10, 4, "r1@10 r1@11 r1@12 r1@13 ", 0x13121110, "w1@10=11 w1@11=22 w1@12=33 w1@13=44 " },
        { &any, 0x10, 8, "r8@10 ", 0x1716151413121110, "w8@10=8877665544332211 " },
        { &any, 0x11, 4, "r1@11 r2@12 r1@14 ", 0x14131211, "w1@11=11 w2@12=3322 w1@14=44 " },
        { &loose, 0x11, 4, "r4@11 ", 0x14131211, "w4@11=44332211 " },
        { &big, 0x10, 4, "r4@10 ", 0x10111213, "w4@10=11223344 " },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        MemRegion *root = mem_container_new("root", UINT64_MAX);
        MemRegion *io = mem_io_new("io", 0x20, cases[i].ops, NULL, machine_domain());
        AddressSpace *as = as_new("test", root);
        mem_map(root, 0x1000, io, 0);
        g_assert_cmphex(load(as, 0x1000 + cases[i].at, cases[i].size, MEM_OK), ==, cases[i].value);
        g_assert_cmpstr(trail, ==, cases[i].reads);
        store(as, 0x1000 + cases[i].at, cases[i].size, 0x8877665544332211, MEM_OK);
        g_assert_cmpstr(trail, ==, cases[i].writes);
        as_free(as);
        mem_region_free(io);
        mem_region_free(root);
    }
    MemRegion *root = mem_container_new("root", UINT64_MAX), *io = mem_io_new("deaf", 0x10, &deaf, NULL, NULL);
    MemRegion *odd = mem_io_new("odd", 2, &wide, NULL, NULL);
    AddressSpace *as = as_new("test", root);
    mem_map(root, 0, io, 0);
    mem_map(root, 0x100, odd, 0);
    g_assert_cmphex(load(as, 0, 4, MEM_ERROR), ==, 0xffffffff);
    store(as, 0, 4, 0, MEM_ERROR);
    load(as, 0x100, 2, MEM_ERROR); /* the least access does not fit into the region: refused, not overrun */
    g_assert_cmpstr(trail, ==, "");
    as_free(as);
    mem_region_free(io);
    mem_region_free(odd);
    mem_region_free(root);
}

static unsigned notified;

static void notice(void *opaque) { notified++; }

static void test_transaction(void)
{
    MemRegion *root = mem_container_new("root", UINT64_MAX), *ram = mem_ram_new("ram", 4096, NULL);
    MemRegion *other = mem_container_new("other", UINT64_MAX);
    AddressSpace *as = as_new("test", root), *as2 = as_new("other", other);
    notified = 0;
    as_add_listener(as, notice, NULL);
    uint64_t generation = mem_generation();
    mem_begin();
    mem_map(root, 0, ram, 0);
    mem_begin();
    mem_move(ram, 0x5000);
    mem_commit();
    load(as, 0x5000, 1, MEM_UNMAPPED); /* not yet */
    mem_commit();
    load(as, 0x5000, 1, MEM_OK);
    g_assert_cmpuint(notified, ==, 1);
    g_assert_cmpuint(mem_generation(), ==, generation + 1); /* one view of one space */
    mem_begin();
    mem_set_enabled(ram, false);
    mem_set_enabled(ram, true);
    mem_commit();
    g_assert_cmpuint(notified, ==, 1); /* the same in the end: nobody is told */
    mem_set_enabled(ram, false);
    load(as, 0x5000, 1, MEM_UNMAPPED);
    g_assert_cmpuint(notified, ==, 2);
    as_free(as);
    as_free(as2);
    mem_region_free(ram);
    mem_region_free(root);
    mem_region_free(other);
}

/* An alias of itself, and a space that covers all 2^64, end. */
static void test_extremes(void)
{
    static const MemOps any = { .read = hook_read, .write = hook_write };
    MemRegion *root = mem_container_new("root", UINT64_MAX), *io = mem_io_new("all", UINT64_MAX, &any, NULL, NULL);
    MemRegion *self = mem_alias_new("self", root, 0x1000, 0x1000);
    AddressSpace *as = as_new("test", root);
    mem_map(root, 0, io, -1);
    mem_map(root, 0x1000, self, 0);
    MemSection s;
    rcu_read_lock();
    as_translate(as, UINT64_MAX, &s);
    rcu_read_unlock();
    g_assert_cmpuint(s.len, ==, 1);
    g_assert_true(s.region == io);
    load(as, 0x1800, 4, MEM_OK);
    g_autoptr(GString) text = g_string_new(NULL);
    mem_print_tree(text);
    as_print_flat(as, text);
    g_assert_nonnull(strstr(text->str, "(prio 0, alias): self -> root @1000"));
    as_free(as);
    mem_region_free(self);
    mem_region_free(io);
    mem_region_free(root);
}

static void test_refused(void)
{
    Error *err = NULL;
    g_assert_null(mem_ram_new("huge", UINT64_C(1) << 62, &err));
    g_assert_nonnull(strstr(err->message, "memory 'huge': the host refuses"));
    g_clear_error(&err);
    g_assert_null(mem_ram_new("huge", UINT64_MAX, &err));
    g_clear_error(&err);
}

/* ---- random trees against a model that paints each address ---- */

enum { SPACE = 256, NODES = 14 };

typedef struct Node {
    MemRegion *r;
    bool is_alias, is_container, enabled, readonly;
    int parent, target, priority; /* parent -1: not mapped */
    unsigned at, size, offset, order;
} Node;

static Node node[NODES];
static unsigned order_counter;

/* Which leaf shows at `pos` of node n: index, offset in *off, readonly in *ro; -1: none. */
static int model_find(int n, int pos, unsigned depth, int *off, bool *ro)
{
    const Node *x = &node[n];
    if (!x->enabled || pos < 0 || pos >= (int)x->size || depth > 20)
        return -1;
    bool mine = x->readonly;
    for (int pass = 2; pass >= -2; pass--) { /* by priority, then the latest first */
        for (int o = (int)order_counter; o >= 0; o--) {
            for (int c = 0; c < NODES; c++) {
                if (node[c].parent != n || node[c].priority != pass || (int)node[c].order != o)
                    continue;
                int hit = model_find(c, pos - (int)node[c].at, depth + 1, off, ro);
                if (hit >= 0) {
                    *ro |= mine;
                    return hit;
                }
            }
        }
    }
    if (x->is_container)
        return -1;
    if (x->is_alias) {
        int hit = model_find(x->target, pos + (int)x->offset, depth + 1, off, ro);
        *ro |= mine;
        return hit;
    }
    *off = pos;
    *ro = mine;
    return n;
}

static void random_change(void)
{
    int n = g_test_rand_int_range(1, NODES);
    Node *x = &node[n];
    switch (g_test_rand_int_range(0, 6)) {
    case 0:
        if (x->parent >= 0) {
            mem_unmap(x->r);
            x->parent = -1;
        }
        break;
    case 1: {
        int p = g_test_rand_int_range(0, n); /* parents have lower numbers: no loops */
        if (x->parent < 0 && node[p].is_container) {
            x->parent = p;
            x->at = (unsigned)g_test_rand_int_range(0, SPACE);
            x->priority = g_test_rand_int_range(-2, 3);
            x->order = ++order_counter;
            mem_map(node[p].r, x->at, x->r, x->priority);
        }
        break;
    }
    case 2:
        x->enabled = g_test_rand_int_range(0, 4) > 0;
        mem_set_enabled(x->r, x->enabled);
        break;
    case 3:
        x->readonly = g_test_rand_bit();
        mem_set_readonly(x->r, x->readonly);
        break;
    case 4:
        x->at = (unsigned)g_test_rand_int_range(0, SPACE);
        mem_move(x->r, x->at);
        break;
    default:
        if (x->is_alias) {
            x->offset = (unsigned)g_test_rand_int_range(0, SPACE);
            mem_set_alias_offset(x->r, x->offset);
        }
    }
}

static void compare_with_model(AddressSpace *as)
{
    for (int a = 0; a < SPACE; a++) {
        int off = 0;
        bool ro = false;
        int n = model_find(0, a, 0, &off, &ro);
        MemSection s;
        rcu_read_lock();
        as_translate(as, (hwaddr)a, &s);
        rcu_read_unlock();
        g_assert_true(s.region == (n < 0 ? NULL : node[n].r));
        if (n >= 0) {
            g_assert_cmpuint(s.offset, ==, (unsigned)off);
            g_assert_cmpint(s.readonly, ==, ro);
        }
        g_assert_cmpuint(s.len, >=, 1);
    }
}

static void test_random(void)
{
    static const MemOps any = { .read = hook_read, .write = hook_write };
    for (unsigned round = 0; round < 20; round++) {
        order_counter = 0;
        for (int i = 0; i < NODES; i++) {
            Node *x = &node[i];
            unsigned size = i ? (unsigned)g_test_rand_int_range(1, SPACE) : SPACE;
            *x = (Node){ .parent = -1, .enabled = true, .size = size };
            if (i == 0 || i % 4 == 1) {
                x->is_container = true;
                x->r = mem_container_new("c", size);
            } else if (i % 4 == 3) {
                x->is_alias = true;
                x->target = i - 1 - g_test_rand_int_range(0, i - 1); /* never an ancestor's ancestor beyond MAX_DEPTH */
                while (node[x->target].is_container)
                    x->target++;
                x->r = mem_alias_new("a", node[x->target].r, 0, size);
            } else {
                x->r = mem_io_new("io", size, &any, NULL, NULL);
            }
        }
        AddressSpace *as = as_new("random", node[0].r);
        for (unsigned step = 0; step < 60; step++) {
            random_change();
            compare_with_model(as);
        }
        as_free(as);
        for (int i = NODES - 1; i >= 0; i--)
            mem_region_free(node[i].r);
    }
    rcu_barrier();
}

/* Memory that goes amid a transfer: it is out of the map at once, and stays for the transfer. */
static void test_unplugged(void)
{
    static const MemOps none = { 0 };
    MemRegion *root = mem_container_new("root", UINT64_MAX), *gone = mem_ram_new("gone", 8192, NULL),
              *kept = mem_ram_new("kept", 4096, NULL);
    MemRegion *io = mem_io_new("io", 4096, &none, NULL, NULL);
    mem_map(root, 0, gone, 0);
    mem_map(root, 8192, kept, 0);
    mem_map(root, 12288, io, 0);
    AddressSpace *as = as_new("unplugged", root);
    DmaVec v;
    DmaWindow w;
    uint32_t word = 0x55555555;
    dma_vec_init(&v, as, MEM_ATTRS_DEVICE, true);
    g_assert_true(dma_vec_add(&v, 0, 4096) && dma_vec_add(&v, 4096, 4096) && dma_vec_add(&v, 8192, 8192) &&
                  dma_vec_add(&v, 0, 4096));
    g_assert_false(dma_vec_add(&v, 1 << 20, 1));
    dma_window_set(&w, as, 0, 4096);
    dma_window_write(&w, 16, &word, sizeof word);
    uint64_t ram_addr = v.piece[0].ram_addr;
    mem_region_free(gone);
    rcu_barrier();
    dma_window_read(&w, 16, &word, sizeof word);
    g_assert_cmphex(word, ==, UINT32_MAX);
    g_assert_cmphex(load_le32((uint8_t *)v.iov[0].iov_base + 16), ==, 0x55555555);
    for (unsigned i = 0; i < v.count; i++)
        memset(v.iov[i].iov_base, 0xaa, v.iov[i].iov_len);
    g_assert_nonnull(mem_ram_host(ram_addr));
    dma_vec_finish(&v, 20480);
    rcu_barrier();
    g_assert_null(mem_ram_host(ram_addr));
    g_assert_cmphex(*(uint8_t *)mem_host(kept), ==, 0xaa);
    as_free(as);
    mem_region_free(io);
    mem_region_free(kept);
    mem_region_free(root);
    rcu_barrier();
}

/* Readers look up while a writer remaps: they always see one of the two whole maps. */
static AddressSpace *busy;
static bool stop_readers;

static void *reader(void *opaque)
{
    unsigned long n = 0;
    while (!__atomic_load_n(&stop_readers, __ATOMIC_RELAXED)) {
        uint64_t v;
        MemResult r = as_load(busy, 0x1000, 4, &v, MEM_ATTRS_DEVICE);
        g_assert_cmpint(r, ==, MEM_OK);
        g_assert_true(v == 0x11111111 || v == 0x22222222);
        n++;
    }
    return (void *)n;
}

static void test_concurrent(void)
{
    MemRegion *root = mem_container_new("root", UINT64_MAX), *a = mem_ram_new("a", 4096, NULL),
              *b = mem_ram_new("b", 4096, NULL);
    memset(mem_host(a), 0x11, 4096);
    memset(mem_host(b), 0x22, 4096);
    mem_map(root, 0x1000, a, 0);
    busy = as_new("busy", root);
    stop_readers = false;
    pthread_t t[2] = { thread_start("reader", reader, NULL), thread_start("reader", reader, NULL) };
    for (unsigned i = 0; i < 3000; i++) {
        mem_begin();
        mem_unmap(i % 2 ? b : a);
        mem_map(root, 0x1000, i % 2 ? a : b, 0);
        mem_commit();
    }
    __atomic_store_n(&stop_readers, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    as_free(busy);
    mem_region_free(a);
    mem_region_free(b);
    mem_region_free(root);
    rcu_barrier();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/ram", test_ram);
    g_test_add_func("/memory/ram-addr", test_ram_addr);
    g_test_add_func("/memory/rom", test_rom);
    g_test_add_func("/memory/split", test_split);
    g_test_add_func("/memory/transaction", test_transaction);
    g_test_add_func("/memory/extremes", test_extremes);
    g_test_add_func("/memory/refused", test_refused);
    g_test_add_func("/memory/random", test_random);
    g_test_add_func("/memory/unplugged", test_unplugged);
    g_test_add_func("/memory/concurrent", test_concurrent);
    return g_test_run();
}
