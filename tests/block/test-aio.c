/* SPDX-License-Identifier: MIT */
/* aio=io_uring: many requests at a time beside a model, what the kernel refuses; I/O threads. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "base/bits.h"
#include "base/iothread.h"
#include "base/iov.h"
#include "block/backend.h"

enum { DISK = 8 << 20, SLOTS = 32, SLOT = DISK / SLOTS, ROUNDS = 2400 };

/* Each slot has one request at a time in a stretch of the disk of its own. */
typedef struct Slot {
    BlkRequest req;
    struct iovec iov[3];
    uint8_t *buf, *model;
    GRand *rand;
    BlockBackend *blk;
    unsigned number, left;
    uint64_t offset, bytes;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;
} Slot;

static void slot_next(Slot *s);

static void slot_done(BlkRequest *r, int error)
{
    Slot *s = r->opaque;
    g_assert_cmpint(error, ==, 0);
    if (r->op == BLK_READ)
        g_assert_cmpmem(s->buf, s->bytes, s->model + (s->offset - (uint64_t)s->number * SLOT), s->bytes);
    pthread_mutex_lock(&s->lock);
    s->over = true;
    pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->lock);
}

static void slot_next(Slot *s)
{
    static const BlkOp ops[] = { BLK_READ,  BLK_READ,  BLK_READ,  BLK_READ,         BLK_WRITE,
                                 BLK_WRITE, BLK_WRITE, BLK_FLUSH, BLK_WRITE_ZEROES, BLK_WRITE_ZEROES };
    BlkOp op = ops[g_rand_int_range(s->rand, 0, ARRAY_LEN(ops))];
    unsigned unit = g_rand_boolean(s->rand) ? 4096 : 512;
    uint64_t from = (uint64_t)g_rand_int_range(s->rand, 0, SLOT / (int)unit) * unit;
    uint64_t want = (uint64_t)g_rand_int_range(s->rand, 1, 40) * unit;
    s->bytes = MIN(want, SLOT - from);
    s->offset = (uint64_t)s->number * SLOT + from;
    if (op == BLK_WRITE) {
        memset(s->buf, g_rand_int_range(s->rand, 1, 256), s->bytes);
        memcpy(s->model + from, s->buf, s->bytes);
    } else if (op == BLK_WRITE_ZEROES) {
        memset(s->model + from, 0, s->bytes);
    }
    uint64_t cut = s->bytes / 1024 * 512;
    s->iov[0] = (struct iovec){ s->buf, cut };
    s->iov[1] = (struct iovec){ s->buf + cut, s->bytes - cut };
    s->over = false;
    s->req = (BlkRequest){ .op = op,
                           .flags = g_rand_boolean(s->rand) ? BLOCK_REQ_MAY_UNMAP : 0,
                           .offset = s->offset,
                           .bytes = op == BLK_FLUSH ? 0 : s->bytes,
                           .iov = cut ? s->iov : s->iov + 1,
                           .iovcnt = cut ? 2 : 1,
                           .done = slot_done,
                           .opaque = s };
    blk_submit(s->blk, &s->req);
}

static void slot_wait(Slot *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->over)
        pthread_cond_wait(&s->ended, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static char *image_path(const char *format)
{
    g_autofree char *dir = g_dir_make_tmp("rhea-aio-XXXXXX", NULL);
    return g_strdup_printf("%s/disk.%s", dir, format);
}

static void image_gone(char *path)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_unlink(path);
    g_rmdir(dir);
    g_free(path);
}

static BlockNode *open_image(const char *path, const char *format, bool direct)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", format);
    opts_set(o, "file.aio", "io_uring");
    BlockNode *n = block_open(path, o, BLOCK_RDWR | BLOCK_UNMAP | (direct ? BLOCK_DIRECT : 0), &err);
    if (!n && direct) { /* a file system without it */
        g_test_message("%s", err->message);
        error_free(err);
        return NULL;
    }
    g_assert_no_error(err);
    return n;
}

/* Random requests; returns how many io_uring did. */
static uint64_t run(const char *path, const char *format, bool direct, Uring *ring)
{
    BlockNode *n = open_image(path, format, direct);
    if (!n)
        return 0;
    BlockBackend *b = blk_new("disk", n);
    blk_set_ring(b, ring);
    Slot slot[SLOTS];
    memset(slot, 0, sizeof slot);
    for (unsigned i = 0; i < SLOTS; i++) {
        slot[i] = (Slot){ .blk = b,
                          .number = i,
                          .buf = g_aligned_alloc0(1, SLOT, 4096),
                          .model = g_malloc0(SLOT),
                          .rand = g_rand_new_with_seed(i + 1) };
        pthread_mutex_init(&slot[i].lock, NULL);
        pthread_cond_init(&slot[i].ended, NULL);
        block_pread(n, (uint64_t)i * SLOT, slot[i].model, SLOT);
        slot[i].over = true;
    }
    for (unsigned round = 0; round < ROUNDS; round += 8) {
        blk_plug();
        for (unsigned i = 0; i < 8; i++) {
            Slot *s = &slot[(round + i) % SLOTS];
            uring_kick(); /* slot_wait() waits */
            slot_wait(s);
            slot_next(s);
        }
        blk_unplug();
        if (round % 1000 == 0)
            blk_drain(b);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        slot_wait(&slot[i]);
    BlkStats s = blk_stats(b);
    for (unsigned i = 0; i < SLOTS; i++) {
        g_autofree uint8_t *now = g_malloc(SLOT);
        g_assert_cmpint(block_pread(n, (uint64_t)i * SLOT, now, SLOT), ==, 0);
        g_assert_cmpmem(now, SLOT, slot[i].model, SLOT);
        g_free(slot[i].model);
        g_aligned_free(slot[i].buf);
        g_rand_free(slot[i].rand);
        pthread_mutex_destroy(&slot[i].lock);
        pthread_cond_destroy(&slot[i].ended);
    }
    blk_free(b);
    return s.ring_ops;
}

static bool have_ring(void)
{
    int why;
    Uring *u = uring_new(&why);
    uring_free(u);
    if (!u)
        g_test_skip("the kernel has no io_uring for us");
    return u;
}

static void test_random(const void *data)
{
    const char *format = data;
    if (!have_ring())
        return;
    char *path = image_path(format);
    Error *err = NULL;
    g_assert_true(block_create(path, format, DISK, NULL, &err));
    run(path, format, false, NULL);                          /* allocates */
    uint64_t direct = run(path, format, true, NULL);
    g_test_message("%" G_GUINT64_FORMAT " by io_uring", (guint64)direct);
    BlockNode *n = open_image(path, format, true);
    g_assert_true(!n || direct > 0);
    block_unref(n);
    image_gone(path);
}

static void test_iothread_ring(void)
{
    if (!have_ring())
        return;
    char *path = image_path("raw");
    Error *err = NULL;
    g_assert_true(block_create(path, "raw", DISK, NULL, &err));
    g_assert_nonnull(object_new("iothread", "t0", &err, NULL));
    IoThread *t = iothread_take("t0", &err);
    run(path, "raw", false, iothread_ring(t));
    run(path, "raw", true, iothread_ring(t));
    IoThreadInfo i;
    iothread_info(object_find("t0", NULL), &i);
    g_assert_cmpuint(i.reaped, >, 0);
    iothread_release(t);
    g_assert_true(object_del("t0", &err));
    image_gone(path);
}

/* --- the kernel refuses --- */

static void refuse_ring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { ARRAY_LEN(code), code };
    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    g_assert_cmpint(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
}

static void test_refused(void)
{
    if (g_test_subprocess()) {
        refuse_ring();
        char *path = image_path("raw");
        Error *err = NULL;
        g_assert_true(block_create(path, "raw", DISK, NULL, &err));
        uint64_t by_ring = run(path, "raw", true, NULL) + run(path, "raw", false, NULL);
        g_assert_cmpuint(by_ring, ==, 0);
        g_assert_nonnull(object_new("iothread", "t0", &err, NULL)); /* lives without */
        g_assert_true(object_del("t0", &err));
        image_gone(path);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*aio=io_uring: *; worker threads carry out the requests*");
}

/* --- I/O threads --- */

typedef struct Calls {
    LockDomain *domain;
    pthread_mutex_t lock;
    pthread_cond_t came;
    unsigned count, in_domain, signals;
    pthread_t thread;
} Calls;

static void called(void *opaque)
{
    Calls *c = opaque;
    pthread_mutex_lock(&c->lock);
    c->count++;
    c->in_domain += lock_domain_held(c->domain);
    c->thread = pthread_self();
    pthread_cond_signal(&c->came);
    pthread_mutex_unlock(&c->lock);
}

static bool signalled(int fd, unsigned ready, void *opaque)
{
    Calls *c = opaque;
    eventfd_t count;
    g_assert_cmpint(eventfd_read(fd, &count), ==, 0);
    pthread_mutex_lock(&c->lock);
    c->signals++;
    pthread_cond_signal(&c->came);
    pthread_mutex_unlock(&c->lock);
    return true;
}

static void wait_for(Calls *c, unsigned *what, unsigned n)
{
    pthread_mutex_lock(&c->lock);
    while (*what < n)
        pthread_cond_wait(&c->came, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

static void test_calls(void)
{
    Error *err = NULL;
    Calls c = { .domain = lock_domain_new("test") };
    g_assert_null(iothread_take("t", &err));
    g_clear_pointer(&err, error_free);
    g_assert_nonnull(object_new("iothread", "t", &err, "poll-max-ns", "1000", NULL));
    IoThread *t = iothread_take("t", &err);
    IoCall call = { c.domain, called, &c };
    iothread_call(t, &call);
    wait_for(&c, &c.count, 1);
    g_assert_cmpuint(c.in_domain, ==, 1);
    g_assert_false(pthread_equal(c.thread, pthread_self()));

    /* asked for several times before it can run: once, or not at all */
    lock_domain_lock(c.domain);
    IoCall first = { c.domain, called, &c }, second = { c.domain, called, &c };
    iothread_call(t, &first); /* the thread may wait for the domain with it */
    for (unsigned i = 0; i < 5; i++)
        iothread_call(t, &second);
    g_assert_true(iothread_cancel(t, &second));
    g_assert_false(iothread_cancel(t, &second));
    bool queued = iothread_cancel(t, &first);
    g_assert_true(lock_domain_held(c.domain));
    g_assert_cmpuint(c.count, ==, queued ? 1 : 2);
    lock_domain_unlock(c.domain);

    int fd = eventfd(0, EFD_NONBLOCK);
    unsigned id = iothread_watch(t, fd, signalled, &c);
    for (unsigned i = 1; i < 4; i++) {
        eventfd_write(fd, 1);
        wait_for(&c, &c.signals, i);
    }
    lock_domain_lock(c.domain);
    iothread_unwatch(t, id, c.domain);
    lock_domain_unlock(c.domain);
    eventfd_write(fd, 1);
    unsigned before = c.count;
    iothread_call(t, &call);
    wait_for(&c, &c.count, before + 1);
    g_assert_cmpuint(c.signals, ==, 3);
    close(fd);

    g_assert_false(object_del("t", &err)); /* in use */
    g_clear_pointer(&err, error_free);
    iothread_release(t);
    g_assert_true(object_del("t", &err));
    lock_domain_free(c.domain);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_data_func("/aio/random/raw", "raw", test_random);
    g_test_add_data_func("/aio/random/qcow2", "qcow2", test_random);
    g_test_add_func("/aio/random/iothread", test_iothread_ring);
    g_test_add_func("/aio/refused", test_refused);
    g_test_add_func("/iothread/calls", test_calls);
    return g_test_run();
}
