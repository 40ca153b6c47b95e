/* SPDX-License-Identifier: MIT */
/* Drives: media that come and go, requests without one, resizing. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "base/bits.h"
#include "block/backend.h"
#include "block/driver.h"
#include "block/throttle.h"

typedef struct Drive {
    BlockBackend *blk;
    unsigned changed, asked, resized;
    bool present, locked;
} Drive;

static void medium_changed(void *opaque, bool present)
{
    Drive *d = opaque;
    d->changed++;
    d->present = present;
}
static void eject_request(void *opaque, bool force) { ((Drive *)opaque)->asked++; }
static bool medium_locked(void *opaque) { return ((Drive *)opaque)->locked; }
static void resized(void *opaque) { ((Drive *)opaque)->resized++; }
static const BlkDeviceOps cd_ops = { .medium_changed = medium_changed,
                                     .eject_request = eject_request,
                                     .medium_locked = medium_locked };
static const BlkDeviceOps disk_ops = { .resized = resized };

static BlockNode *memory_node(uint64_t size)
{
    g_autoptr(Opts) o = opts_new();
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)size);
    Error *err = NULL;
    opts_set(o, "driver", "null-co");
    opts_set(o, "size", text);
    BlockNode *n = block_open(NULL, o, BLOCK_RDWR, &err);
    g_assert_no_error(err);
    return n;
}

typedef struct Wait {
    BlkRequest req;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;
    int error;
} Wait;

static void done(BlkRequest *r, int error)
{
    Wait *w = r->opaque;
    pthread_mutex_lock(&w->lock);
    w->error = error;
    w->over = true;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->lock);
}

static int request(BlockBackend *b, BlkOp op, uint64_t offset, size_t len)
{
    g_autofree uint8_t *buf = g_malloc0(len);
    struct iovec iov = { buf, len };
    Wait w = { .req = {
                   .op = op, .offset = offset, .bytes = len, .iov = &iov, .iovcnt = 1, .done = done, .opaque = &w } };
    blk_submit(b, &w.req);
    pthread_mutex_lock(&w.lock);
    while (!w.over)
        pthread_cond_wait(&w.ended, &w.lock);
    pthread_mutex_unlock(&w.lock);
    return w.error;
}

static void test_media(void)
{
    Drive d = { .blk = blk_new("cd", NULL) };
    Error *err = NULL;
    g_assert_true(blk_attach(d.blk, "drive0", &err));
    blk_set_device_ops(d.blk, &cd_ops, &d);
    g_assert_false(blk_inserted(d.blk));
    g_assert_cmpint(request(d.blk, BLK_READ, 0, 512), ==, -ENOMEDIUM);
    g_assert_cmpint(request(d.blk, BLK_FLUSH, 0, 0), ==, -ENOMEDIUM);
    g_assert_true(blk_insert(d.blk, memory_node(MiB), &err));
    g_assert_true(d.present && d.changed == 1 && blk_size(d.blk) == MiB);
    g_assert_cmpint(request(d.blk, BLK_READ, 0, 512), ==, 0);
    g_assert_cmpint(request(d.blk, BLK_READ, MiB, 512), ==, -EIO);
    d.locked = true;
    g_assert_false(blk_eject(d.blk, false, &err));
    g_assert_nonnull(strstr(err->message, "locked"));
    g_clear_error(&err);
    g_assert_true(d.asked == 1 && blk_inserted(d.blk));
    g_assert_true(blk_eject(d.blk, true, &err));
    g_assert_true(!d.present && d.changed == 2 && !blk_inserted(d.blk) && !blk_size(d.blk));
    g_assert_cmpint(request(d.blk, BLK_WRITE, 0, 512), ==, -ENOMEDIUM);
    blk_detach(d.blk);
    blk_free(d.blk);
}

/* A fixed disk keeps its medium; a drive without a name goes with its device. */
static void test_fixed(void)
{
    Drive d = { .blk = blk_new(NULL, memory_node(MiB)) };
    Error *err = NULL;
    unsigned before = blk_count();
    g_assert_true(blk_attach(d.blk, "disk0", &err));
    blk_set_device_ops(d.blk, &disk_ops, &d);
    g_assert_false(blk_remove(d.blk, &err));
    g_assert_nonnull(strstr(err->message, "disk0"));
    g_clear_error(&err);
    g_assert_false(blk_attach(d.blk, "disk1", &err));
    g_clear_error(&err);
    blk_detach(d.blk);
    g_assert_cmpuint(blk_count(), ==, before - 1);
}

typedef struct Storm {
    Drive *d;
    gint stop;
} Storm;

static gpointer storm(gpointer opaque)
{
    Storm *s = opaque;
    while (!g_atomic_int_get(&s->stop)) {
        int r = request(s->d->blk, BLK_WRITE_ZEROES, 0, 4096); /* goes to a worker */
        g_assert_true(!r || r == -ENOMEDIUM);
    }
    return NULL;
}

/* The medium is taken while requests are on their way: they end, and none sees a node that is gone. */
static void test_change_under_load(void)
{
    Drive d = { .blk = blk_new("busy", NULL) };
    Storm s = { .d = &d };
    Error *err = NULL;
    blk_set_device_ops(d.blk, &cd_ops, &d);
    GThread *t = g_thread_new("storm", storm, &s);
    for (unsigned i = 0; i < 200; i++) {
        g_assert_true(blk_insert(d.blk, memory_node(MiB), &err));
        g_usleep(200);
        g_assert_true(blk_remove(d.blk, &err));
    }
    g_atomic_int_set(&s.stop, 1);
    g_thread_join(t);
    blk_free(d.blk);
}

/* --- limits --- */

static BlockBackend *limited(const char *name, const char *group)
{
    BlockBackend *b = blk_new(name, memory_node(MiB));
    blk_set_throttle(b, throttle_group_of(object_take(group, "throttle-group", NULL)));
    return b;
}

/*
 * Seconds that `count` requests one after the other take by the limits alone: the clock of the test moves when a
 * request waits.
 */
static double seconds_for(ThrottleBuckets *b, const ThrottleConfig *c, bool write, unsigned count, uint64_t bytes)
{
    int64_t start = b->last_ns, now = start;
    for (unsigned i = 0; i < count; i++) {
        int64_t ns;
        while ((ns = throttle_delay_ns(b, c, write, now)) > 0)
            now += ns + 1;
        throttle_fill(b, c, write, bytes);
    }
    throttle_delay_ns(b, c, write, now);
    return (double)(now - start) / 1e9;
}

static void assert_seconds(double got, double want)
{
    g_test_message("%.4f s, expected %.4f s", got, want);
    g_assert_cmpfloat_with_epsilon(got, want, 0.003);
}

/* 1000 a second: a tenth of a second at once, then one each millisecond; reads and writes have limits of their own. */
static void test_limits(void)
{
    ThrottleConfig c = { .limit = { [THROTTLE_OPS_READ] = { 1000, 0, 1 }, [THROTTLE_BPS_WRITE] = { 1000000, 0, 1 } } };
    ThrottleBuckets b = { .last_ns = 5 };
    assert_seconds(seconds_for(&b, &c, false, 400, 512), 0.3);
    assert_seconds(seconds_for(&b, &c, true, 100, 4096), 0.3055);
    c.iops_size = 4096; /* each counts as four */
    b = (ThrottleBuckets){ .last_ns = 5 };
    assert_seconds(seconds_for(&b, &c, false, 100, 16384), 0.296);
    c = (ThrottleConfig){ 0 };
    assert_seconds(seconds_for(&b, &c, false, 400, 512), 0);
}

/* A burst: 100 a second, 500 at once; or 500 a second for two seconds. */
static void test_burst(void)
{
    ThrottleConfig c = { .limit = { { 100, 500, 1 } } };
    ThrottleBuckets b = { .last_ns = 0 };
    assert_seconds(seconds_for(&b, &c, false, 500, 512), 0);
    assert_seconds(seconds_for(&b, &c, false, 100, 512), 0.99);
    c.limit[THROTTLE_OPS].length = 2;
    b = (ThrottleBuckets){ .last_ns = 0 };
    assert_seconds(seconds_for(&b, &c, false, 550, 512), 1.0);
}

/* A drive waits as its group says, and no longer when the limits go. */
static void test_limited_drive(void)
{
    Error *err = NULL;
    g_assert_nonnull(object_new("throttle-group", "g", &err, "x-iops-total", "1000", "x-iops-total-max", "1000", NULL));
    BlockBackend *b = limited("limited", "g");
    gint64 start = g_get_monotonic_time();
    for (unsigned i = 0; i < 1300; i++)
        g_assert_cmpint(request(b, BLK_READ, 0, 512), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 290000);
    ThrottleConfig config = { .limit = { { 1, 0, 1 } } };
    g_assert_true(throttle_group_set(blk_throttle(b), &config, &err));
    config = (ThrottleConfig){ 0 };
    g_assert_true(throttle_group_set(blk_throttle(b), &config, &err));
    for (unsigned i = 0; i < 1000; i++) /* a quarter of an hour with the limit */
        g_assert_cmpint(request(b, BLK_READ, 0, 512), ==, 0);
    blk_free(b);
    g_assert_true(object_del("g", &err));
    g_assert_null(object_new("throttle-group", "g", &err, "x-iops-total", "100", "x-iops-read", "5", NULL));
    g_assert_nonnull(strstr(err->message, "total"));
    g_clear_error(&err);
    g_assert_null(object_new("throttle-group", "g", &err, "x-bps-total", "100", "x-bps-total-max", "5", NULL));
    g_clear_error(&err);
}

typedef struct Member { BlockBackend *blk; unsigned count; gint *stop; } Member;

static gpointer member(gpointer opaque)
{
    Member *m = opaque;
    for (; !g_atomic_int_get(m->stop); m->count++)
        g_assert_cmpint(request(m->blk, BLK_READ, 0, 512), ==, 0);
    return NULL;
}

/* Two drives of a group get half each; draining does not wait for limits. */
static void test_group(void)
{
    Error *err = NULL;
    gint stop = 0;
    g_assert_nonnull(object_new("throttle-group", "g", &err, "x-iops-total", "500", NULL));
    Member m[2] = { { limited("one", "g"), 0, &stop }, { limited("two", "g"), 0, &stop } };
    GThread *t[2];
    gint64 begin = g_get_monotonic_time();
    for (unsigned i = 0; i < 2; i++)
        t[i] = g_thread_new("member", member, &m[i]);
    g_usleep(600000);
    g_atomic_int_set(&stop, 1);
    for (unsigned i = 0; i < 2; i++)
        g_thread_join(t[i]);
    unsigned all = m[0].count + m[1].count;
    g_test_message("%u and %u requests", m[0].count, m[1].count);
    g_assert_cmpfloat(all, <=, 50 + 500e-6 * (double)(g_get_monotonic_time() - begin) + 4);
    g_assert_true(m[0].count * 5 > all && m[1].count * 5 > all);
    ThrottleConfig slow = { .limit = { { 1, 0, 0 } } };
    g_assert_true(throttle_group_set(blk_throttle(m[0].blk), &slow, &err));
    Wait w[100];
    for (unsigned i = 0; i < G_N_ELEMENTS(w); i++) {
        w[i] = (Wait){ .req = { .op = BLK_WRITE_ZEROES, .bytes = 512, .done = done, .opaque = &w[i] } };
        blk_submit(m[0].blk, &w[i].req);
    }
    gint64 start = g_get_monotonic_time();
    blk_drain(m[0].blk);
    for (unsigned i = 0; i < G_N_ELEMENTS(w); i++)
        g_assert_true(w[i].over);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 60 * G_TIME_SPAN_SECOND);
    for (unsigned i = 0; i < 2; i++)
        blk_free(m[i].blk);
    g_assert_true(object_del("g", &err));
}

/* --- a request that ends at once does not wait for the host's flush --- */

static BlockNode *flushed;      /* the image: flushed by another thread as soon as data is read below it */
static _Atomic bool flushing, has_read, too_late;
static GThread *flusher;

static gpointer flush_image(gpointer unused)
{
    g_assert_cmpint(block_flush(flushed), ==, 0);
    return NULL;
}
static int slow_preadv(BlockNode *n, uint64_t at, uint64_t len, const struct iovec *iov, int count)
{
    return block_preadv(n->file, at, iov, count);
}
static int slow_pwritev(BlockNode *n, uint64_t at, uint64_t len, const struct iovec *iov, int count, unsigned flags)
{
    return block_pwritev(n->file, at, iov, count, flags);
}
static int slow_nowait(BlockNode *n, uint64_t at, uint64_t len, const struct iovec *iov, int count)
{
    if (!flushed)
        return -EAGAIN;
    flusher = g_thread_new("flush", flush_image, NULL);
    while (!atomic_load(&flushing))
        g_usleep(100);
    return block_preadv(n->file, at, iov, count);
}
static int slow_flush(BlockNode *n)
{
    if (!flushed)
        return block_flush(n->file);
    atomic_store(&flushing, true);
    for (unsigned i = 0; !atomic_load(&has_read) && !too_late; i++) { /* ten seconds for what takes none */
        g_usleep(1000);
        too_late = i >= 10000;
    }
    return 0;
}
static bool slow_open(BlockNode *n, Opts *options, Error **errp)
{
    n->size = n->file->size;
    return true;
}
static const BlockDriver slow_driver = { .name = "test-slow",
                                         .desc = "flushes slowly",
                                         .open = slow_open,
                                         .preadv = slow_preadv,
                                         .pwritev = slow_pwritev,
                                         .preadv_nowait = slow_nowait,
                                         .flush = slow_flush };
BLOCK_DRIVER_REGISTER(slow_driver)

static void test_flush_aside(void)
{
    Error *err = NULL;
    g_autofree char *folder = g_dir_make_tmp("rhea-backend-XXXXXX", NULL),
                    *image = g_build_filename(folder, "a.qcow2", NULL);
    g_autofree char *text = g_strdup_printf("driver=qcow2,file.driver=test-slow,file.file.filename=%s", image);
    uint8_t buf[4096];
    memset(buf, 0x5a, sizeof buf);
    g_autoptr(Opts) create = opts_parse("preallocation=full", NULL, &err);
    g_assert_true(block_create(image, "qcow2", MiB, create, &err));
    g_autoptr(Opts) o = opts_parse(text, NULL, &err);
    BlockNode *n = block_open(NULL, o, BLOCK_RDWR, &err);
    g_assert_no_error(err);
    g_assert_cmpint(block_pwrite(n, 0, buf, sizeof buf), ==, 0);
    g_assert_cmpint(block_flush(n), ==, 0);
    memset(buf, 0, sizeof buf);
    struct iovec iov = { buf, sizeof buf };
    flushed = n;
    g_assert_cmpint(block_preadv_nowait(n, 0, &iov, 1), ==, 0);
    atomic_store(&has_read, true);
    g_assert_cmpuint(buf[77], ==, 0x5a);
    g_thread_join(flusher);
    g_assert_false(too_late);
    flushed = NULL;
    block_unref(n);
    g_remove(image);
    g_rmdir(folder);
}

/* What a guest writes to an image whose format was guessed must not make it one of another format. */
static void test_guessed(void)
{
    static const struct { char bytes[24]; unsigned len; } heads[] = {
        { "QFI\xfb\0\0\0\3", 8 }, { "KDMV", 4 }, { "vhdxfile", 8 }, { "LUKS\xba\xbe\0\1", 8 }, { "conectix", 8 },
    };
    g_autofree char *file = NULL;
    int fd = g_file_open_tmp("rhea-guessed-XXXXXX", &file, NULL);
    g_assert_cmpint(ftruncate(fd, 1 << 20), ==, 0);
    close(fd);
    for (unsigned guessed = 0; guessed < 2; guessed++) {
        Error *err = NULL;
        g_autoptr(Opts) o = opts_new();
        if (!guessed)
            opts_set(o, "driver", "raw");
        for (unsigned i = 0; i < ARRAY_LEN(heads); i++) {
            BlockNode *n = block_open(file, o, BLOCK_RDWR, &err);
            g_assert_no_error(err);
            uint8_t sector[512] = { 0 };
            memcpy(sector, heads[i].bytes, heads[i].len);
            g_assert_cmpint(block_pwrite(n, 0, sector, sizeof sector), ==, guessed ? -EPERM : 0);
            memset(sector, 0x55, sizeof sector);
            g_assert_cmpint(block_pwrite(n, 0, sector, sizeof sector), ==, 0);
            block_unref(n);
        }
    }
    unlink(file);
}

/*
 * Requests of the last seconds: how long they took; what failed counts if that is wanted; what nobody asked for is not
 * there.
 */
static void test_statistics(void)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "null-co");
    opts_set(o, "size", "1M");
    opts_set(o, "latency-ns", "2000000");
    BlockBackend *b = blk_new("d", block_open(NULL, o, BLOCK_RDWR, &err));
    BlkIntervalStats v;
    g_assert_false(blk_interval_stats(b, 0, &v));
    g_assert_false(blk_add_interval(b, 0, NULL));
    g_assert_true(blk_add_interval(b, 3600, &err) && blk_add_interval(b, 30000000, &err));
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(request(b, BLK_READ, 0, 512), ==, 0);
    g_assert_cmpint(request(b, BLK_WRITE, 8192, 512), ==, 0);
    g_assert_cmpint(request(b, BLK_WRITE, 4096, 512), ==, 0);
    BlkStats s = blk_stats(b);
    g_assert_cmpuint(s.highest, ==, 8704);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(blk_interval_stats(b, i, &v));
        g_assert_cmpuint(v.seconds, ==, i ? 30000000 : 3600);
        g_assert_cmpuint(v.min_ns[BLK_READ], >=, 2000000);
        g_assert_true(v.min_ns[BLK_READ] <= v.avg_ns[BLK_READ] && v.avg_ns[BLK_READ] <= v.max_ns[BLK_READ]);
        g_assert_cmpuint(v.avg_ns[BLK_READ], ==, s.time_ns[BLK_READ] / 3);
        g_assert_true(!v.max_ns[BLK_FLUSH] && v.depth[BLK_READ] > 0 && v.depth[BLK_READ] < 2 && v.depth[BLK_WRITE] > 0);
    }
    g_assert_false(blk_interval_stats(b, 2, &v));
    blk_set_accounting(b, false, true);
    g_assert_cmpint(request(b, BLK_READ, 1 << 20, 512), ==, -EIO);
    g_assert_true(blk_stats(b).failed[BLK_READ] == 1 && blk_stats(b).time_ns[BLK_READ] == s.time_ns[BLK_READ]);
    blk_set_accounting(b, true, true);
    g_assert_cmpint(request(b, BLK_READ, 1 << 20, 512), ==, -EIO);
    g_assert_true(blk_stats(b).failed[BLK_READ] == 2 && blk_stats(b).time_ns[BLK_READ] > s.time_ns[BLK_READ]);
    blk_free(b);
}

static BlockNode *make_and_open(const char *file, const char *format, uint64_t size, Opts *options)
{
    Error *err = NULL;
    block_create(file, format, size, options, &err);
    g_assert_no_error(err);
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", format);
    BlockNode *n = block_open(file, o, BLOCK_RDWR, &err);
    g_assert_no_error(err);
    return n;
}

/* So many blocks that their tables are written back meanwhile: none of them is left out. */
static void test_many_zeroes(void)
{
    const uint64_t size = 3ull << 30, step = 64 << 20;
    Error *err = NULL;
    g_autofree char *folder = g_dir_make_tmp("rhea-zeroes-XXXXXX", &err),
                    *base = g_build_filename(folder, "base", NULL);
    g_autofree char *image = g_build_filename(folder, "image", NULL);
    g_assert_no_error(err);
    g_autoptr(Opts) o = opts_parse("cluster_size=4k,table_size=2,backing_fmt=raw", NULL, &err);
    opts_set(o, "backing_file", base);
    block_unref(make_and_open(base, "raw", size, NULL));
    BlockNode *n = make_and_open(image, "qed", size, o);
    for (uint64_t at = 0; at < size; at += step)
        g_assert_cmpint(block_pwrite_zeroes(n, at, step, 0), ==, 0);
    for (uint64_t at = 0; at < size;) {
        BlockStatus s;
        g_assert_cmpint(block_status(n, at, size - at, &s), ==, 0);
        g_assert_cmpuint(s.flags & (BLOCK_ZERO | BLOCK_ALLOCATED), ==, BLOCK_ZERO | BLOCK_ALLOCATED);
        at += s.pnum;
    }
    block_unref(n);
    g_remove(image);
    g_remove(base);
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/backend/media", test_media);
    g_test_add_func("/backend/guessed", test_guessed);
    g_test_add_func("/backend/many-zeroes", test_many_zeroes);
    g_test_add_func("/backend/fixed", test_fixed);
    g_test_add_func("/backend/statistics", test_statistics);
    g_test_add_func("/backend/limits", test_limits);
    g_test_add_func("/backend/burst", test_burst);
    g_test_add_func("/backend/limited-drive", test_limited_drive);
    g_test_add_func("/backend/group", test_group);
    g_test_add_func("/backend/change-under-load", test_change_under_load);
    g_test_add_func("/backend/flush-aside", test_flush_aside);
    return g_test_run();
}
