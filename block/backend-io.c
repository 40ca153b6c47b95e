/* SPDX-License-Identifier: MIT */
/*
 * A drive's requests: done at once if nothing has to be waited for, else by io_uring or by worker threads; held back,
 * limited, counted.
 */
#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"
#include "block/aio.h"
#include "block/backend-internal.h"

enum { WORKERS = 8 };

/* --- the workers, shared by all drives --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    BlkRequest *first, **last;
    unsigned threads, sleeping;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER };

static int carry_out(const BlkRequest *r)
{
    BlockNode *n = r->node;
    switch (r->op) {
    case BLK_READ: return block_preadv(n, r->offset, r->iov, r->iovcnt);
    case BLK_WRITE: return block_pwritev(n, r->offset, r->iov, r->iovcnt, r->flags);
    case BLK_FLUSH: return block_flush(n);
    case BLK_DISCARD: return block_pdiscard(n, r->offset, r->bytes);
    case BLK_WRITE_ZEROES: return block_pwrite_zeroes(n, r->offset, r->bytes, r->flags);
    case BLK_SCSI: return block_scsi(n, r->scsi, r->iov, r->iovcnt);
    case BLK_STATUS: return block_status_above(n, NULL, r->offset, r->bytes, r->status);
    case BLK_OPS: break;
    }
    return -EINVAL;
}

static void finish(BlkRequest *r, int error)
{
    BlockBackend *b = r->blk;
    blk_account(b, r, error);
    r->done(r, error); /* r may be gone after it */
    in_flight_leave(&b->in_flight);
}

static void *worker(void *opaque)
{
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (!pool.first) {
            pool.sleeping++;
            pthread_cond_wait(&pool.work, &pool.lock);
            pool.sleeping--;
        }
        BlkRequest *r = pool.first;
        pool.first = r->next;
        pthread_mutex_unlock(&pool.lock);
        finish(r, carry_out(r));
        pthread_mutex_lock(&pool.lock);
    }
    return NULL;
}

static void enqueue(BlkRequest *r)
{
    pthread_mutex_lock(&pool.lock);
    r->next = NULL;
    if (pool.first)
        *pool.last = r;
    else
        pool.first = r;
    pool.last = &r->next;
    bool start = !pool.sleeping && pool.threads < WORKERS;
    if (start)
        pool.threads++;
    else
        pthread_cond_signal(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    if (start)
        pthread_detach(thread_start("block worker", worker, NULL));
}

/* --- by io_uring --- */

typedef struct Started { BlockAio aio; BlkRequest *r; } Started;

static void started_done(BlockAio *a, int error)
{
    BlkRequest *r = container_of(a, Started, aio)->r;
    g_free(a);
    if (error == -EAGAIN) {
        enqueue(r);
        return;
    }
    BLK_COUNT(r->blk->stats.ring_ops, 1);
    finish(r, error);
}

static bool start_aio(BlockBackend *b, BlkRequest *r)
{
    Uring *ring = b->ring ? b->ring : uring_default();
    if (!ring || r->flags & BLOCK_REQ_FUA)
        return false;
    Started *s = g_new(Started, 1);
    s->aio = (BlockAio){ .op = r->op,
                         .flags = r->flags,
                         .bytes = r->bytes,
                         .iov = r->iov,
                         .iovcnt = r->iovcnt,
                         .done = started_done,
                         .ring = ring };
    s->r = r;
    bool started = !block_aio(r->node, &s->aio, r->offset);
    if (!started)
        g_free(s);
    return started;
}

void blk_set_ring(BlockBackend *b, Uring *ring) { b->ring = ring; }

/* --- holding back --- */

/* The caller has entered. True: the request waits for the release, and is not on its way. */
static bool park(BlockBackend *b, BlkRequest *r)
{
    pthread_mutex_lock(&b->hold_lock);
    bool held = b->held;
    if (held) {
        r->next = NULL;
        *(b->parked ? b->parked_last : &b->parked) = r;
        b->parked_last = &r->next;
        b->waiting++;
    }
    pthread_mutex_unlock(&b->hold_lock);
    if (held)
        in_flight_leave(&b->in_flight);
    return held;
}

/* For blocking requests. */
static void enter(BlockBackend *b)
{
    uring_kick(); /* who makes us wait may wait for what we hold back */
    for (;;) {
        in_flight_enter(&b->in_flight);
        if (!atomic_load(&b->held))
            return;
        in_flight_leave(&b->in_flight);
        pthread_mutex_lock(&b->hold_lock);
        while (b->held)
            pthread_cond_wait(&b->released, &b->hold_lock);
        pthread_mutex_unlock(&b->hold_lock);
    }
}

/* Limits do not keep those that are on their way. */
static void wait_for_all(BlockBackend *b)
{
    uring_kick();
    ThrottleLanes *lanes = b->throttle;
    if (lanes)
        throttle_lanes_hurry(lanes, true);
    in_flight_wait(&b->in_flight);
    if (lanes)
        throttle_lanes_hurry(lanes, false);
}

void blk_hold(BlockBackend *b)
{
    atomic_store(&b->held, true);
    wait_for_all(b);
}

void blk_release(BlockBackend *b)
{
    pthread_mutex_lock(&b->hold_lock);
    b->held = false;
    BlkRequest *r = b->parked, *next;
    b->parked = NULL;
    pthread_mutex_unlock(&b->hold_lock);
    unsigned count = 0;
    for (; r; r = next, count++) {
        next = r->next;
        blk_submit(b, r);
    }
    pthread_mutex_lock(&b->hold_lock);
    b->waiting -= count;
    pthread_cond_broadcast(&b->released);
    pthread_mutex_unlock(&b->hold_lock);
}

void blk_replace_node(BlockBackend *b, BlockNode *node)
{
    BlockNode *old = b->node;
    b->node = node;
    block_unref(old);
}

void blk_submit(BlockBackend *b, BlkRequest *r)
{
    r->blk = b;
    r->start_ns = clock_ns(CLOCK_REALTIME_NS);
    in_flight_enter(&b->in_flight); /* from here on the node stays */
    if (G_UNLIKELY(atomic_load(&b->held)) && park(b, r))
        return;
    r->node = b->node;
    ThrottleLanes *lanes = b->throttle;
    if (lanes && r->node && r->op < BLK_SCSI && throttle_lanes_put(lanes, r))
        return;
    int error = r->node ? -EAGAIN : -ENOMEDIUM;
    if (r->op == BLK_READ && r->node)
        error = block_preadv_nowait(r->node, r->offset, r->iov, r->iovcnt);
    else if (r->op == BLK_WRITE && r->node && !(r->flags & BLOCK_REQ_FUA))
        error = block_pwritev_nowait(r->node, r->offset, r->iov, r->iovcnt);
    if (error == -EAGAIN) {
        if (!r->node->aio || r->op >= BLK_SCSI || !start_aio(b, r))
            enqueue(r);
        return;
    }
    BLK_COUNT(b->stats.inline_ops, 1);
    finish(r, error);
}

/* --- blocking --- */

int blk_pread(BlockBackend *b, uint64_t offset, void *buf, size_t len)
{
    enter(b);
    BlockNode *n = b->node;
    int r = n ? block_pread(n, offset, buf, len) : -ENOMEDIUM;
    in_flight_leave(&b->in_flight);
    return r;
}

int blk_flush(BlockBackend *b)
{
    enter(b);
    BlockNode *n = b->node;
    int r = n ? block_flush(n) : 0;
    in_flight_leave(&b->in_flight);
    return r;
}

int blk_scsi(BlockBackend *b, BlockScsi *s, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    enter(b);
    BlockNode *n = b->node;
    int r = n ? block_scsi(n, s, &iov, len ? 1 : 0) : -ENOMEDIUM;
    in_flight_leave(&b->in_flight);
    return r;
}

void blk_drain(BlockBackend *b)
{
    pthread_mutex_lock(&b->hold_lock);
    while (b->waiting)
        pthread_cond_wait(&b->released, &b->hold_lock);
    pthread_mutex_unlock(&b->hold_lock);
    wait_for_all(b);
}

/* --- limits --- */

void blk_set_throttle(BlockBackend *b, ThrottleGroup *g)
{
    ThrottleLanes *old = b->throttle;
    b->throttle = NULL;
    if (old) {
        throttle_lanes_hurry(old, true);
        in_flight_wait(&b->in_flight);
        throttle_lanes_free(old);
    }
    b->throttle = g ? throttle_lanes_new(g, enqueue) : NULL;
}

ThrottleGroup *blk_throttle(const BlockBackend *b)
{
    return b->throttle ? throttle_lanes_group(b->throttle) : NULL;
}
