/* SPDX-License-Identifier: MIT */
/* qcow2, what can be seen from inside only: memory of caches. */
#include <glib/gstdio.h>
#include "base/evloop.h"
#include "block/qcow2/qcow2.h"

static unsigned held(const Q2Cache *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->count; i++)
        n += c->table[i].data != NULL;
    return n;
}

/* What nobody has asked for in an interval is given back, and read again when somebody asks; what is dirty stays. */
static void test_clean(void)
{
    Error *err = NULL;
    g_autofree char *dir = g_dir_make_tmp("rhea-block-XXXXXX", NULL), *path = g_build_filename(dir, "a.qcow2", NULL);
    g_autoptr(Opts) create = opts_new(), o = opts_new();
    opts_set(create, "cluster_size", "512");
    g_assert_true(block_create(path, "qcow2", MiB, create, &err));
    opts_set(o, "driver", "qcow2");
    opts_set(o, "cache-clean-interval", "1");
    BlockNode *n = block_open(path, o, BLOCK_RDWR, &err);
    g_assert_no_error(err);
    Qcow2 *q = q2_of(n);
    uint32_t word = 7, got = 0;
    for (uint64_t at = 0; at < MiB; at += 64 * KiB)
        g_assert_cmpint(block_pwrite(n, at, &word, sizeof word), ==, 0);
    g_assert_cmpint(block_flush(n), ==, 0);
    g_assert_cmpuint(held(&q->l2), >=, 16);
    g_assert_cmpint(block_pwrite(n, 32 * KiB + 512, &word, sizeof word), ==, 0); /* its table is dirty */
    while (held(&q->l2) > 1)
        evloop_iterate(true);
    g_assert_true(q->l2.dirty == 1 && held(&q->refblocks) <= q->refblocks.dirty);
    for (uint64_t at = 0; at < MiB; at += 64 * KiB) {
        g_assert_cmpint(block_pread(n, at, &got, sizeof got), ==, 0);
        g_assert_cmpuint(got, ==, word);
    }
    g_assert_cmpuint(held(&q->l2), >=, 16);
    block_unref(n);
    g_unlink(path);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/qcow2/clean", test_clean);
    return g_test_run();
}
