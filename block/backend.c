/* SPDX-License-Identifier: MIT */
/* Drives: requests go to worker threads, unless they can be done at once without waiting. */
#include <string.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "base/trace.h"
#include "block/aio.h"
#include "block/backend.h"
#include "block/driver.h"
#include "block/in-flight.h"
#include "block/throttle.h"

enum { WORKERS = 8 };

struct BlockBackend {
    char *name, *user, *serial;
    bool with_device;      /* made for a device, goes with it */
    BlockNode *_Atomic node; /* read inside an RCU section, or with a request in flight */
    BlkOnError rerror, werror;
    const BlkDeviceOps *ops;
    void *opaque;
    ThrottleLanes *_Atomic throttle;
    Uring *ring;           /* NULL: the process's own */
    InFlight in_flight;
    _Atomic bool held;
    BlkRequest *parked, **parked_last; /* under hold_lock, as what follows */
    unsigned waiting;      /* parked, or being submitted anew */
    pthread_mutex_t hold_lock;
    pthread_cond_t released;
    struct {               /* each counter for itself, relaxed */
        _Atomic uint64_t bytes[BLK_OPS], failed[BLK_OPS], time_ns[BLK_OPS], latency[BLK_OPS][BLK_LATENCIES], inline_ops, ring_ops, last_ns;
    } stats;
};

static GPtrArray *backends;

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
    case BLK_OPS: break;
    }
    return -EINVAL;
}

#define COUNT(counter, n) atomic_fetch_add_explicit(&(counter), n, memory_order_relaxed)

static void account(BlockBackend *b, const BlkRequest *r, int error)
{
    int64_t now = clock_ns(CLOCK_REALTIME_NS), took = now - r->start_ns;
    unsigned slot = took < 1000 ? 0 : 64 - (unsigned)__builtin_clzll((uint64_t)took / 1000);
    COUNT(b->stats.time_ns[r->op], (uint64_t)took);
    if (error) {
        COUNT(b->stats.failed[r->op], 1);
    } else {
        COUNT(b->stats.latency[r->op][MIN(slot, BLK_LATENCIES - 1u)], 1);
        COUNT(b->stats.bytes[r->op], r->bytes);
    }
    atomic_store_explicit(&b->stats.last_ns, (uint64_t)now, memory_order_relaxed);
}

static void finish(BlkRequest *r, int error)
{
    BlockBackend *b = r->blk;
    account(b, r, error);
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
    COUNT(r->blk->stats.ring_ops, 1);
    finish(r, error);
}

static bool start_aio(BlockBackend *b, BlkRequest *r)
{
    Uring *ring = b->ring ? b->ring : uring_default();
    if (!ring || r->flags & BLOCK_REQ_FUA)
        return false;
    Started *s = g_new(Started, 1);
    s->aio = (BlockAio){ .op = r->op, .flags = r->flags, .bytes = r->bytes, .iov = r->iov, .iovcnt = r->iovcnt, .done = started_done, .ring = ring };
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
    if (lanes && r->node && r->op != BLK_SCSI && throttle_lanes_put(lanes, r))
        return;
    int error = r->node ? -EAGAIN : -ENOMEDIUM;
    if (r->op == BLK_READ && r->node)
        error = block_preadv_nowait(r->node, r->offset, r->iov, r->iovcnt);
    else if (r->op == BLK_WRITE && r->node && !(r->flags & BLOCK_REQ_FUA))
        error = block_pwritev_nowait(r->node, r->offset, r->iov, r->iovcnt);
    if (error == -EAGAIN) {
        if (!r->node->aio || r->op == BLK_SCSI || !start_aio(b, r))
            enqueue(r);
        return;
    }
    COUNT(b->stats.inline_ops, 1);
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

/* A throttle filter on the medium counts as the drive's own limits. */
static void adopt_throttle(BlockBackend *b)
{
    ThrottleGroup *g = b->node && !b->throttle ? throttle_of_node(b->node) : NULL;
    if (g)
        blk_set_throttle(b, throttle_group_of(object_take(throttle_group_name(g), NULL, NULL)));
}

/* --- life --- */

BlockBackend *blk_new(const char *name, BlockNode *node)
{
    BlockBackend *b = g_new0(BlockBackend, 1);
    b->name = g_strdup(name ? name : "");
    b->with_device = !name;
    b->node = node;
    b->werror = BLK_ERROR_ENOSPC;
    in_flight_init(&b->in_flight);
    pthread_mutex_init(&b->hold_lock, NULL);
    pthread_cond_init(&b->released, NULL);
    if (!backends)
        backends = g_ptr_array_new();
    g_ptr_array_add(backends, b);
    adopt_throttle(b);
    return b;
}

/* The medium goes: nobody finds it any more, requests on their way end, then it is given back. */
static void drop_node(BlockBackend *b)
{
    BlockNode *n = b->node;
    b->node = NULL;
    blk_drain(b);
    synchronize_rcu();
    block_unref(n);
}

void blk_free(BlockBackend *b)
{
    drop_node(b);
    blk_set_throttle(b, NULL);
    g_ptr_array_remove(backends, b);
    in_flight_destroy(&b->in_flight);
    pthread_mutex_destroy(&b->hold_lock);
    pthread_cond_destroy(&b->released);
    g_free(b->name);
    g_free(b->user);
    g_free(b->serial);
    g_free(b);
}

void blk_free_all(void)
{
    while (backends && backends->len)
        blk_free(backends->pdata[backends->len - 1]);
}

BlockBackend *blk_find(const char *name)
{
    for (unsigned i = 0; backends && i < backends->len; i++) {
        if (*name && !strcmp(((BlockBackend *)backends->pdata[i])->name, name))
            return backends->pdata[i];
    }
    BlockNode *n = block_node_find(name);
    BlockBackend *b = n ? blk_new(name, block_ref(n)) : NULL;
    if (b)
        b->with_device = true;
    return b;
}

unsigned blk_count(void) { return backends ? backends->len : 0; }
BlockBackend *blk_nth(unsigned i) { return i < blk_count() ? backends->pdata[i] : NULL; }
const char *blk_name(const BlockBackend *b) { return b->name; }
BlockNode *blk_node(const BlockBackend *b) { return b->node; }
bool blk_inserted(const BlockBackend *b) { return b->node; }
const char *blk_user(const BlockBackend *b) { return b->user; }
const char *blk_serial(const BlockBackend *b) { return b->serial; }

uint64_t blk_size(const BlockBackend *b)
{
    rcu_read_lock();
    const BlockNode *n = b->node;
    uint64_t size = n ? block_size(n) : 0;
    rcu_read_unlock();
    return size;
}

bool blk_writable(const BlockBackend *b)
{
    rcu_read_lock();
    const BlockNode *n = b->node;
    bool writable = n && block_writable(n);
    rcu_read_unlock();
    return writable;
}

void blk_set_on_error(BlockBackend *b, BlkOnError rerror, BlkOnError werror)
{
    b->rerror = rerror;
    b->werror = werror;
}

void blk_get_on_error(const BlockBackend *b, BlkOnError *rerror, BlkOnError *werror)
{
    *rerror = b->rerror;
    *werror = b->werror;
}

void blk_set_serial(BlockBackend *b, const char *serial)
{
    g_free(b->serial);
    b->serial = g_strdup(serial);
}

bool blk_attach(BlockBackend *b, const char *device, Error **errp)
{
    if (b->user) {
        error_setf(errp, "device '%s': drive '%s' is in use by device '%s'; give each device a drive of its own", device, b->name, b->user);
        return false;
    }
    b->user = g_strdup(device);
    return true;
}

void blk_detach(BlockBackend *b)
{
    blk_drain(b);
    g_clear_pointer(&b->user, g_free);
    b->ops = NULL;
    b->ring = NULL;
    if (b->with_device)
        blk_free(b);
}

/* --- media --- */

void blk_set_device_ops(BlockBackend *b, const BlkDeviceOps *ops, void *opaque)
{
    b->ops = ops;
    b->opaque = opaque;
}

bool blk_removable(const BlockBackend *b) { return b->ops && b->ops->medium_changed; }
bool blk_tray_open(const BlockBackend *b) { return b->ops && b->ops->tray_open && b->ops->tray_open(b->opaque); }
bool blk_locked(const BlockBackend *b) { return b->ops && b->ops->medium_locked && b->ops->medium_locked(b->opaque); }

static bool need_removable(const BlockBackend *b, Error **errp)
{
    if (!b->user || blk_removable(b))
        return true;
    error_setf(errp, "drive '%s': the medium of device '%s' can't be changed; remove the device, or use a CD or floppy drive", b->name, b->user);
    return false;
}

bool blk_insert(BlockBackend *b, BlockNode *node, Error **errp)
{
    if (!need_removable(b, errp))
        return false;
    if (b->node) {
        error_setf(errp, "drive '%s' has a medium; take it out first", b->name);
        return false;
    }
    b->node = node;
    adopt_throttle(b);
    if (b->ops)
        b->ops->medium_changed(b->opaque, true);
    return true;
}

bool blk_remove(BlockBackend *b, Error **errp)
{
    if (!need_removable(b, errp))
        return false;
    bool had = b->node;
    drop_node(b);
    if (had && b->ops)
        b->ops->medium_changed(b->opaque, false);
    return true;
}

bool blk_eject(BlockBackend *b, bool force, Error **errp)
{
    if (b->node && blk_locked(b) && !blk_tray_open(b)) {
        if (b->ops->eject_request)
            b->ops->eject_request(b->opaque, force);
        if (!force) {
            error_setf(errp, "drive '%s': the guest has locked the medium; it has been asked to give it back: try again, or use -f", b->name);
            return false;
        }
    }
    return blk_remove(b, errp);
}

void blk_tray_changed(BlockBackend *b, bool open)
{
    TRACE(blk_tray, "drive '%s': the guest has %s the tray", b->name, open ? "opened" : "closed");
}

bool blk_resize(BlockBackend *b, uint64_t size, Error **errp)
{
    if (!b->node) {
        error_setf(errp, "drive '%s' has no medium to resize", b->name);
        return false;
    }
    if (!block_truncate(b->node, size, PREALLOC_OFF, true, errp))
        return false;
    if (b->ops && b->ops->resized)
        b->ops->resized(b->opaque);
    return true;
}

BlkStats blk_stats(const BlockBackend *b)
{
    uint64_t last = b->stats.last_ns;
    BlkStats s = { .inline_ops = b->stats.inline_ops, .ring_ops = b->stats.ring_ops, .idle_ns = last ? (uint64_t)clock_ns(CLOCK_REALTIME_NS) - last : 0 };
    for (unsigned op = 0; op < ARRAY_LEN(s.ops); op++) {
        s.bytes[op] = b->stats.bytes[op];
        s.failed[op] = b->stats.failed[op];
        s.time_ns[op] = b->stats.time_ns[op];
        for (unsigned i = 0; i < BLK_LATENCIES; i++)
            s.ops[op] += s.latency[op][i] = b->stats.latency[op][i];
    }
    return s;
}
