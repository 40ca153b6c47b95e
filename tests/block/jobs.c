/* SPDX-License-Identifier: MIT */
/*
 * Jobs beside a model: two threads write at random while images are streamed, committed, mirrored, backed up and given
 * overlays.
 */
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <string.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "block/job.h"

enum { SIZE = 24 << 20, WRITERS = 2, PART = SIZE / WRITERS };

static char *folder;
static uint8_t *model;
static BlockBackend *drive;
static struct { GThread *thread; pthread_mutex_t lock; unsigned number; _Atomic unsigned done; } writer[WRITERS];
static _Atomic bool stop;

static char *path(const char *name) { return g_build_filename(folder, name, NULL); }

static void check(Error *err)
{
    if (err)
        g_error("%s", err->message);
}

/* --- the guest --- */

typedef struct Waiting { BlkRequest r; pthread_mutex_t lock; pthread_cond_t done; int error; } Waiting;

static void done(BlkRequest *r, int error)
{
    Waiting *w = r->opaque;
    pthread_mutex_lock(&w->lock);
    w->error = error;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

static int guest_write(uint64_t at, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    Waiting w = {
        .r = { .op = BLK_WRITE, .offset = at, .bytes = len, .iov = &iov, .iovcnt = 1, .done = done, .opaque = &w },
        .error = 1
    };
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.done, NULL);
    blk_submit(drive, &w.r);
    pthread_mutex_lock(&w.lock);
    while (w.error > 0)
        pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    return w.error;
}

static void one_write(unsigned n, GRand *r)
{
    uint8_t buf[256 * 1024];
    uint64_t at = n * (uint64_t)PART + (uint64_t)g_rand_int_range(r, 0, PART - (int)sizeof buf);
    uint64_t len = (uint64_t)g_rand_int_range(r, 1, 1 << g_rand_int_range(r, 1, 18));
    int what = g_rand_int_range(r, 0, 10), value = what == 0 ? 0 : g_rand_int_range(r, 0, 256);
    memset(buf, value, len);
    for (uint64_t i = 0; value && i < len; i += 512)
        buf[i] = (uint8_t)g_rand_int_range(r, 0, 256);
    pthread_mutex_lock(&writer[n].lock);
    g_assert_cmpint(guest_write(at, buf, len), ==, 0);
    memcpy(model + at, buf, len);
    if (what == 9) {
        g_assert_cmpint(blk_pread(drive, at, buf, len), ==, 0);
        g_assert_true(!memcmp(model + at, buf, len));
    }
    pthread_mutex_unlock(&writer[n].lock);
    writer[n].done++;
}

static void *write_on(void *opaque)
{
    unsigned n = GPOINTER_TO_UINT(opaque);
    g_autoptr(GRand) r = g_rand_new_with_seed(n + (unsigned)g_test_rand_int());
    while (!stop) {
        one_write(n, r);
        g_usleep(200);
    }
    return NULL;
}

static void writers_start(void)
{
    stop = false;
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_mutex_init(&writer[i].lock, NULL);
        writer[i].thread = g_thread_new("writer", write_on, GUINT_TO_POINTER(i));
    }
}

static void writers_stop(void)
{
    stop = true;
    for (unsigned i = 0; i < WRITERS; i++)
        g_thread_join(writer[i].thread);
}

static void pump(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        evloop_iterate(false);
        g_usleep(1000);
    }
}

/* --- images --- */

static void make(const char *name, const char *backing, const char *options)
{
    Error *err = NULL;
    g_autofree char *file = path(name);
    g_autoptr(Opts) o = opts_parse(options ? options : "", NULL, &err);
    if (backing) {
        opts_set(o, "backing_file", backing);
        opts_set(o, "backing_fmt", "qcow2");
    }
    block_create(file, "qcow2", SIZE, o, &err);
    check(err);
}

static void fill(const char *name, unsigned count)
{
    Error *err = NULL;
    g_autofree char *file = path(name);
    BlockNode *n = block_open(file, NULL, BLOCK_RDWR, &err);
    check(err);
    for (unsigned i = 0; i < count; i++) {
        uint8_t buf[90000];
        uint64_t at = (uint64_t)g_test_rand_int_range(0, SIZE - (int)sizeof buf);
        memset(buf, g_test_rand_int_range(0, 256), sizeof buf);
        g_assert_cmpint(block_pwrite(n, at, buf, sizeof buf), ==, 0);
    }
    block_unref(n);
}

/* base <- mid <- top, each with something of its own; the drive on top. */
static void begin(const char *options)
{
    Error *err = NULL;
    g_autofree char *top = path("top");
    make("base", NULL, options);
    fill("base", 80);
    make("mid", "base", options);
    fill("mid", 40);
    make("top", "mid", options);
    fill("top", 20);
    BlockNode *n = block_open(top, NULL, BLOCK_RDWR | BLOCK_UNMAP, &err);
    check(err);
    drive = blk_new("disk", n);
    g_assert_cmpint(blk_pread(drive, 0, model, SIZE), ==, 0);
    writers_start();
    pump(20);
}

static void compare(BlockNode *n, const uint8_t *want)
{
    g_autofree uint8_t *have = g_malloc(SIZE);
    g_assert_cmpint(block_pread(n, 0, have, SIZE), ==, 0);
    for (unsigned i = 0; i < SIZE; i++) {
        if (have[i] != want[i])
            g_error("byte 0x%x is 0x%02x, not 0x%02x", i, have[i], want[i]);
    }
}

static void end(unsigned layers)
{
    writers_stop();
    unsigned have = 0;
    for (BlockNode *n = blk_node(drive); n; n = block_backing(n))
        have++;
    g_assert_cmpuint(have, ==, layers);
    compare(blk_node(drive), model);
    g_autofree char *name = g_strdup(block_filename(blk_node(drive)));
    blk_free(drive);
    Error *err = NULL;
    BlockNode *n = block_open(name, NULL, 0, &err);
    check(err);
    compare(n, model);
    BlockCheck c = { 0 };
    block_check(n, &c, 0, &err);
    check(err);
    g_assert_cmpuint(c.corruptions + c.leaks, ==, 0);
    block_unref(n);
}

static BlockJob *job(const BlockJobSpec *s)
{
    Error *err = NULL;
    BlockJob *j = block_job_start(drive, s, &err);
    check(err);
    return j;
}

static void until_done(void)
{
    for (unsigned i = 0; block_job_count(); i++) {
        g_assert_cmpuint(i, <, 6000);
        pump(10);
    }
}

static void until_ready(void)
{
    for (unsigned i = 0; !block_job_info(0).ready; i++) {
        g_assert_cmpuint(i, <, 6000);
        pump(10);
    }
}

/* The drive goes over to the target, some time after that is possible. */
static void complete_ready(BlockJob *j)
{
    Error *err = NULL;
    until_ready();
    pump(100);
    block_job_complete(j, &err);
    check(err);
    until_done();
    pump(50);
}

/* --- the tests --- */

static void test_stream(const void *options)
{
    begin(options);
    job(&(BlockJobSpec){ .type = JOB_STREAM, .base = "base" });
    until_done();
    end(2);
    begin(options);
    job(&(BlockJobSpec){ .type = JOB_STREAM, .speed = 20 << 20 });
    pump(100);
    BlockJob *j = block_job_find("disk", NULL);
    Error *err = NULL;
    block_job_pause(j, &err);
    pump(50);
    uint64_t at = block_job_info(0).offset;
    pump(100);
    g_assert_true(block_job_info(0).paused && block_job_info(0).offset == at && at < SIZE);
    block_job_resume(j, &err);
    block_job_set_speed(j, 0);
    until_done();
    end(1);
}

static void test_commit(const void *options)
{
    for (unsigned deep = 0; deep < 2; deep++) {
        begin(options);
        g_autofree char *base = path("base");
        BlockJob *j = job(&(BlockJobSpec){ .type = JOB_COMMIT, .base = deep ? base : NULL });
        complete_ready(j);
        end(deep ? 1 : 2);
    }
}

static void test_commit_now(const void *options)
{
    begin(options);
    for (unsigned i = 0; i < 4; i++) {
        Error *err = NULL;
        pump(30);
        block_commit_now(drive, &err);
        check(err);
    }
    end(3);
}

static void test_mirror(const void *options)
{
    for (unsigned full = 0; full < 2; full++) {
        begin(options);
        g_autofree char *file = path("copy");
        BlockJob *j = job(&(BlockJobSpec){ .type = JOB_MIRROR, .target = file, .full = full });
        complete_ready(j);
        g_assert_cmpstr(block_filename(blk_node(drive)), ==, file);
        end(full ? 1 : 3);
    }
}

/*
 * A ready mirror that is cancelled is the drive as it was then; a job that is cancelled before leaves the drive as it
 * is.
 */
static void test_cancel(const void *options)
{
    begin(options);
    g_autofree char *file = path("copy");
    BlockJob *j = job(&(BlockJobSpec){ .type = JOB_MIRROR, .target = file, .full = true });
    until_ready();
    writers_stop();
    block_job_cancel(j, false);
    until_done();
    Error *err = NULL;
    BlockNode *n = block_open(file, NULL, 0, &err);
    check(err);
    compare(n, model);
    block_unref(n);
    writers_start();
    for (BlockJobType t = JOB_STREAM; t <= JOB_BACKUP; t++) {
        j = job(&(BlockJobSpec){ .type = t, .target = file, .speed = 1 << 20 });
        pump(30);
        block_job_cancel(j, t & 1);
        until_done();
    }
    end(3);
}

static void test_backup(const void *options)
{
    /* of the image alone, of all, of all and compressed into an image that is there */
    for (unsigned how = 0; how < 3; how++) {
        begin(options);
        g_autofree char *file = path("copy");
        if (how == 2)
            make("copy", NULL, options);
        g_autofree uint8_t *then = g_malloc(SIZE);
        for (unsigned i = 0; i < WRITERS; i++)
            pthread_mutex_lock(&writer[i].lock);
        memcpy(then, model, SIZE);
        job(&(BlockJobSpec){ .type = JOB_BACKUP,
                             .target = file,
                             .full = how,
                             .existing = how == 2,
                             .compress = how == 2,
                             .speed = 40 << 20 });
        for (unsigned i = 0; i < WRITERS; i++)
            pthread_mutex_unlock(&writer[i].lock);
        until_done();
        Error *err = NULL;
        BlockNode *n = block_open(file, NULL, 0, &err);
        check(err);
        compare(n, then);
        block_unref(n);
        end(3);
    }
}

static void test_overlays(const void *options)
{
    begin(options);
    for (unsigned i = 0; i < 8; i++) {
        Error *err = NULL;
        g_autofree char *name = g_strdup_printf("over%u", i), *file = path(name);
        block_overlay(drive, file, NULL, false, &err);
        check(err);
        pump(20);
    }
    job(&(BlockJobSpec){ .type = JOB_STREAM, .base = "mid" });
    until_done();
    end(3);
}

static void test_errors(void)
{
    Error *err = NULL;
    begin(NULL);
    g_assert_null(block_job_start(drive, &(BlockJobSpec){ .type = JOB_STREAM, .base = "nothing" }, &err));
    g_assert_true(strstr(err->message, "does not stand on 'nothing'"));
    g_clear_error(&err);
    BlockJob *j = job(&(BlockJobSpec){ .type = JOB_STREAM, .speed = 1 << 20 });
    g_assert_null(block_job_start(drive, &(BlockJobSpec){ .type = JOB_COMMIT }, &err));
    g_assert_true(strstr(err->message, "has a job"));
    g_clear_error(&err);
    g_assert_false(block_job_complete(j, &err));
    g_clear_error(&err);
    block_job_cancel(j, true);
    until_done();
    g_assert_null(block_job_find("disk", &err));
    g_clear_error(&err);
    end(3);
}

int main(int argc, char **argv)
{
    static const char *const options[] = { "", "cluster_size=4k", "extended_l2=on",
                                           "lazy_refcounts=on,refcount_bits=64" };
    static const struct { const char *name; void (*fn)(const void *options);
    } tests[] = { { "stream", test_stream },    { "commit", test_commit }, { "commit-now", test_commit_now },
                  { "mirror", test_mirror },    { "cancel", test_cancel }, { "backup", test_backup },
                  { "overlays", test_overlays } };
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    folder = g_dir_make_tmp("rhea-jobs-XXXXXX", NULL);
    g_assert_cmpint(g_chdir(folder), ==, 0);
    model = g_malloc(SIZE);
    for (unsigned t = 0; t < G_N_ELEMENTS(tests); t++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(options); i++) {
            g_autofree char *name = g_strdup_printf("/jobs/%s/%s", tests[t].name, *options[i] ? options[i] : "default");
            g_test_add_data_func(name, options[i], tests[t].fn);
        }
    }
    g_test_add_func("/jobs/errors", test_errors);
    int status = g_test_run();
    g_autofree char *remove = g_strdup_printf("rm -rf '%s'", folder);
    return system(remove) ? 1 : status;
}
