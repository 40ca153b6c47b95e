/* SPDX-License-Identifier: MIT */
/* io_uring, thin over liburing: one lock for those who submit, one thread that reaps. */
#include "base/uring.h"

#include <errno.h>
#include <glib.h>
#include <stdatomic.h>
#include "base/error.h"
#include "base/thread.h"
#include "rhea-config.h"

#ifdef HAVE_LIBURING
#include <liburing.h>

enum { ENTRIES = 256, REAP_AT_A_TIME = 64, BATCH_MAX = 32 };

struct Uring {
    struct io_uring ring;
    pthread_mutex_t lock;      /* of the submission side */
    unsigned pending;          /* prepared, not given to the kernel yet */
    _Atomic unsigned in_flight;
    unsigned room;             /* of the completion queue */
};

static __thread unsigned plugs;
static __thread Uring *plugged; /* has something pending of this thread's */

Uring *uring_new(int *why)
{
    Uring *u = g_new0(Uring, 1);
    int r = io_uring_queue_init(ENTRIES, &u->ring, 0);
    *why = -r;
    if (r) {
        g_free(u);
        return NULL;
    }
    io_uring_ring_dontfork(&u->ring);
    pthread_mutex_init(&u->lock, NULL);
    u->room = *u->ring.cq.kring_entries;
    return u;
}

void uring_free(Uring *u)
{
    if (!u)
        return;
    io_uring_queue_exit(&u->ring);
    pthread_mutex_destroy(&u->lock);
    g_free(u);
}

int uring_fd(const Uring *u) { return u->ring.ring_fd; }

/* --- submitting --- */

/* Under the lock. The kernel may be short of memory for a moment. */
static void give_pending(Uring *u)
{
    while (u->pending) {
        int r = io_uring_submit(&u->ring);
        if (r > 0)
            u->pending -= MIN((unsigned)r, u->pending);
        else if (r != -EINTR)
            g_usleep(100);
    }
}

static void prepare(struct io_uring_sqe *e, UringOp *op)
{
    switch (op->kind) {
    case URING_READ: io_uring_prep_readv(e, op->fd, op->iov, (unsigned)op->iovcnt, op->offset); break;
    case URING_WRITE: io_uring_prep_writev(e, op->fd, op->iov, (unsigned)op->iovcnt, op->offset); break;
    case URING_FDATASYNC: io_uring_prep_fsync(e, op->fd, IORING_FSYNC_DATASYNC); break;
    case URING_FALLOCATE: io_uring_prep_fallocate(e, op->fd, op->mode, (off_t)op->offset, (off_t)op->len); break;
    }
    io_uring_sqe_set_data(e, op);
}

bool uring_submit(Uring *u, UringOp *op)
{
    if (plugs && plugged != u)
        uring_kick();
    pthread_mutex_lock(&u->lock);
    struct io_uring_sqe *e = u->in_flight < u->room ? io_uring_get_sqe(&u->ring) : NULL;
    if (e) {
        prepare(e, op);
        u->in_flight++;
        u->pending++;
        if (!plugs || u->pending >= BATCH_MAX)
            give_pending(u);
        else
            plugged = u;
    }
    pthread_mutex_unlock(&u->lock);
    return e;
}

void uring_plug(void) { plugs++; }

void uring_kick(void)
{
    Uring *u = plugged;
    if (!u)
        return;
    plugged = NULL;
    pthread_mutex_lock(&u->lock);
    give_pending(u);
    pthread_mutex_unlock(&u->lock);
}

void uring_unplug(void)
{
    if (!--plugs)
        uring_kick();
}

/* --- reaping --- */

bool uring_reap(Uring *u)
{
    struct io_uring_cqe *cqe[REAP_AT_A_TIME];
    struct { UringOp *op; int result; } ended[REAP_AT_A_TIME];
    unsigned n = io_uring_peek_batch_cqe(&u->ring, cqe, REAP_AT_A_TIME);
    for (unsigned i = 0; i < n; i++) {
        ended[i].op = io_uring_cqe_get_data(cqe[i]);
        ended[i].result = cqe[i]->res;
    }
    io_uring_cq_advance(&u->ring, n);
    atomic_fetch_sub(&u->in_flight, n);
    uring_plug();
    for (unsigned i = 0; i < n; i++)
        ended[i].op->done(ended[i].op, ended[i].result);
    uring_unplug();
    return n;
}

static void *reaper(void *opaque)
{
    Uring *u = opaque;
    for (;;) {
        struct io_uring_cqe *cqe;
        if (!uring_reap(u))
            io_uring_wait_cqe(&u->ring, &cqe);
    }
    return NULL;
}

#else

Uring *uring_new(int *why)
{
    *why = 0;
    return NULL;
}
void uring_free(Uring *u) {}
bool uring_submit(Uring *u, UringOp *op) { return false; }
void uring_plug(void) {}
void uring_unplug(void) {}
void uring_kick(void) {}
int uring_fd(const Uring *u) { return -1; }
bool uring_reap(Uring *u) { return false; }
static void *reaper(void *opaque) { return NULL; }
#endif

static Uring *the_default;

static void make_default(void)
{
    int why;
    the_default = uring_new(&why);
    if (the_default)
        pthread_detach(thread_start("io_uring", reaper, the_default));
    else
        warn_reportf("aio=io_uring: %s; worker threads carry out the requests (aio=threads)",
                     why ? g_strerror(why) : "this build is without liburing");
}

Uring *uring_default(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_default);
    return the_default;
}
