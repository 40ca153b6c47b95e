/* SPDX-License-Identifier: MIT */
/*
 * virtio-balloon seen by a driver: pages that go and come, what the user asks for, statistics, free pages that are
 * reported; saved and loaded meanwhile.
 */
#include "hw/virtio/balloon.h"
#include "tests/device/whole-state.h"
#include "virtio-rig.h"

enum { INFLATE, DEFLATE, STATS, REPORTING, PAGE = 4096, VICTIM = 0x800000, WAIT = 2000 };
#define F_STATS BIT(1)
#define F_DEFLATE_ON_OOM BIT(2)
#define F_PAGE_POISON BIT(4)
#define F_REPORTING BIT(5)

static VRig rig(const char *options, uint64_t features, unsigned queues)
{
    Machine *m = vrig_machine();
    m->config.ram_size = RIG_RAM;
    Device *d = bare_add(options);
    device_reset_all();
    VRig r = vrig_of(m, d);
    vrig_start(&r, features, queues);
    return r;
}

static uint32_t features(VRig *r)
{
    vrig_set(r, 0x14, 0, 4, 0);
    return vrig_get(r, 0x10, 4, 4);
}

static void fill(VRig *r, hwaddr at, unsigned pages)
{
    for (unsigned i = 0; i < pages * PAGE; i += 8)
        as_store(r->m->as_memory, at + i, 8, UINT64_C(0x5a5a5a5a5a5a5a5a), MEM_ATTRS_DEVICE);
}

static bool is_zero(VRig *r, hwaddr at)
{
    uint64_t v;
    as_load(r->m->as_memory, at + PAGE - 8, 8, &v, MEM_ATTRS_DEVICE);
    return !v;
}

static void send_pages(VRig *r, unsigned q, hwaddr at, unsigned pages)
{
    uint8_t list[64];
    unsigned slot;
    uint32_t len;
    for (unsigned i = 0; i < pages; i++)
        store_le32(list + 4 * i, (uint32_t)(at / PAGE + i));
    vrig_add_buffer(r, q, list, 4 * pages, 0);
    vrig_kick(r, q);
    g_assert_true(vrig_used(r, q, WAIT, &slot, &len));
}

static BalloonInfo told(void)
{
    BalloonInfo i;
    g_assert_true(balloon_info(&i, NULL));
    return i;
}

static void test_pages(const void *device)
{
    Error *err = NULL;
    VRig r = rig(device, 0, 2);
    g_assert_false(features(&r) & F_DEFLATE_ON_OOM);
    g_assert_false(features(&r) & F_REPORTING);
    g_assert_true(balloon_set(RIG_RAM - 16 * PAGE, &err)); /* the user takes 16 pages */
    g_assert_cmpuint(vrig_config(&r, 0, 4), ==, 16);
    g_assert_cmpuint(told().target, ==, RIG_RAM - 16 * PAGE);
    g_assert_cmpuint(told().actual, ==, RIG_RAM);
    fill(&r, VICTIM, 9);
    send_pages(&r, INFLATE, VICTIM, 8);
    for (unsigned i = 0; i < 8; i++)
        g_assert_true(is_zero(&r, VICTIM + i * PAGE));
    g_assert_false(is_zero(&r, VICTIM + 8 * PAGE));
    g_assert_cmpuint(told().inflated, ==, 8 * PAGE);
    as_store(r.m->as_memory, (r.pci ? RIG_WINDOW + RIG_CONFIG : RIG_MMIO + 0x100) + 4, 4, 8, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(told().actual, ==, RIG_RAM - 8 * PAGE);
    send_pages(&r, DEFLATE, VICTIM, 8);
    fill(&r, VICTIM, 1);
    g_assert_false(is_zero(&r, VICTIM));
    send_pages(&r, INFLATE, (hwaddr)1 << 40, 4); /* no RAM: nothing happens */
    g_assert_cmpuint(told().inflated, ==, 8 * PAGE);
    g_assert_false(balloon_set(0, &err));
    g_assert_nonnull(strstr(err->message, "a guest needs some memory"));
    error_free(err);
    vrig_free(&r);
}

/* tag, value; of those that are named in VIRTIO 1.2 section 5.5.6.3 */
static unsigned send_stats(VRig *r, uint64_t free_bytes)
{
    uint8_t s[20] = { 0 };
    store_le16(s, 4), store_le64(s + 2, free_bytes);
    store_le16(s + 10, 5), store_le64(s + 12, RIG_RAM);
    unsigned slot = vrig_add_buffer(r, STATS, s, sizeof(s), 0);
    vrig_kick(r, STATS);
    return slot;
}

/* The driver's buffer stays until news are wanted: every second, and once at once. */
static void test_stats(void)
{
    VRig r = rig("virtio-balloon-pci", F_STATS, 3);
    unsigned slot;
    uint32_t len;
    g_assert_cmpint((int)told().stats_ns, ==, 0);
    send_stats(&r, 1000);
    g_assert_false(vrig_used(&r, STATS, 50, &slot, &len));
    g_assert_cmpuint(told().stat[4], ==, 1000);
    g_assert_cmpuint(told().stat[5], ==, RIG_RAM);
    g_assert_cmpuint(told().stat[0], ==, UINT64_MAX); /* not told */
    g_assert_true(balloon_poll(1, NULL));
    g_assert_true(vrig_used(&r, STATS, WAIT, &slot, &len));
    for (unsigned i = 2; i < 5; i++) {
        send_stats(&r, 1000 * i);
        g_assert_cmpuint(told().stat[4], ==, 1000 * i);
        g_assert_false(vrig_used(&r, STATS, 20, &slot, &len));
        clock_virtual_step(INT64_C(1100000000));
        g_assert_true(vrig_used(&r, STATS, WAIT, &slot, &len));
    }
    send_stats(&r, 7);
    g_autoptr(GBytes) held = save_all(); /* with the buffer */
    g_assert_true(balloon_poll(0, NULL));
    load_all(held);
    g_assert_cmpuint(told().stat[4], ==, 7);
    clock_virtual_step(INT64_C(1100000000));
    g_assert_true(vrig_used(&r, STATS, WAIT, &slot, &len));
    g_assert_true(balloon_poll(0, NULL));
    send_stats(&r, 8);
    clock_virtual_step(INT64_C(9000000000));
    g_assert_false(vrig_used(&r, STATS, 20, &slot, &len));
    vrig_free(&r);
}

/* A reported buffer's own pages are free. A guest that counts on a pattern in free pages keeps them. */
static void test_reporting(void)
{
    for (unsigned poison = 0; poison < 2; poison++) {
        VRig r = rig("virtio-balloon-pci,free-page-reporting=on,deflate-on-oom=on",
                     F_STATS | F_REPORTING | F_PAGE_POISON, 4);
        unsigned slot;
        uint32_t len;
        g_assert_cmphex(features(&r) & (F_REPORTING | F_DEFLATE_ON_OOM), ==, F_REPORTING | F_DEFLATE_ON_OOM);
        if (poison)
            as_store(r.m->as_memory, RIG_WINDOW + RIG_CONFIG + 12, 4, 0xaaaaaaaa, MEM_ATTRS_DEVICE);
        hwaddr at = vrig_buffer(REPORTING, 0);
        fill(&r, at, 4);
        vrig_add_buffer(&r, REPORTING, NULL, 0, 3 * PAGE);
        vrig_kick(&r, REPORTING);
        g_assert_true(vrig_used(&r, REPORTING, WAIT, &slot, &len));
        g_assert_cmpint(is_zero(&r, at), ==, !poison);
        g_assert_cmpint(is_zero(&r, at + 2 * PAGE), ==, !poison);
        g_assert_false(is_zero(&r, at + 3 * PAGE));
        g_assert_cmpuint(told().reported, ==, poison ? 0 : 3 * PAGE);
        g_assert_cmpuint(told().inflated, ==, 0);
        vrig_free(&r);
    }
}

static void test_refusals(void)
{
    static const struct { const char *options, *line;
    } cases[] = {
        { "virtio-balloon-pci", "the machine has a balloon ('first') already" },
        { "virtio-balloon-pci,free-page-hint=on",
          "free-page-hint is for live migration, which is not in this program; use free-page-reporting=on" },
    };
    Error *err = NULL;
    g_assert_false(balloon_set(1 << 20, &err));
    g_assert_nonnull(strstr(err->message, "add -device virtio-balloon-pci"));
    g_clear_pointer(&err, error_free);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        Machine *m = vrig_machine();
        if (!i)
            bare_add("virtio-balloon-pci,id=first");
        g_autoptr(Opts) o = opts_parse(cases[i].options, "driver", &err);
        g_assert_null(device_add(o, &err));
        g_assert_nonnull(strstr(err->message, cases[i].line));
        g_clear_pointer(&err, error_free);
        machine_free(m);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_data_func("/balloon/pages/pci", "virtio-balloon-pci", test_pages);
    g_test_add_data_func("/balloon/pages/mmio", "virtio-balloon-device", test_pages);
    g_test_add_func("/balloon/stats", test_stats);
    g_test_add_func("/balloon/reporting", test_reporting);
    g_test_add_func("/balloon/refusals", test_refusals);
    return g_test_run();
}
