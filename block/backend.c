/* SPDX-License-Identifier: MIT */
/* Drives: requests go to worker threads, unless they can be done at once without waiting. */
#include <string.h>
#include <time.h>
#include "base/bits.h"
#include "base/thread.h"
#include "block/backend.h"
#include "block/driver.h"

enum { WORKERS = 8 };

struct BlockBackend {
    char *name, *user, *serial;
    BlockNode *node;
    BlkOnError rerror, werror;
    pthread_mutex_t lock;  /* of the fields below */
    pthread_cond_t idle;
    unsigned in_flight;
    BlkStats stats;
};

static GPtrArray *backends;

/* --- the workers, shared by all drives --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    BlkRequest *first, **last;
    unsigned threads, sleeping;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int carry_out(const BlkRequest *r)
{
    BlockNode *n = r->blk->node;
    if (!n)
        return -ENOMEDIUM;
    switch (r->op) {
    case BLK_READ: return block_preadv(n, r->offset, r->iov, r->iovcnt);
    case BLK_WRITE: return block_pwritev(n, r->offset, r->iov, r->iovcnt, r->flags);
    case BLK_FLUSH: return block_flush(n);
    case BLK_DISCARD: return block_pdiscard(n, r->offset, r->bytes);
    case BLK_WRITE_ZEROES: return block_pwrite_zeroes(n, r->offset, r->bytes, r->flags);
    }
    return -EINVAL;
}

static void account(BlockBackend *b, const BlkRequest *r, int error)
{
    int64_t took = now_ns() - r->start_ns;
    unsigned slot = took < 1000 ? 0 : 64 - (unsigned)__builtin_clzll((uint64_t)took / 1000);
    pthread_mutex_lock(&b->lock);
    b->stats.time_ns[r->op] += (uint64_t)took;
    b->stats.latency[r->op][MIN(slot, BLK_LATENCIES - 1u)]++;
    if (error)
        b->stats.failed[r->op]++;
    else
        b->stats.ops[r->op]++, b->stats.bytes[r->op] += r->bytes;
    pthread_mutex_unlock(&b->lock);
}

static void finish(BlkRequest *r, int error)
{
    BlockBackend *b = r->blk;
    account(b, r, error);
    BlkOnError policy = r->op == BLK_READ ? b->rerror : b->werror;
    if (error && policy == BLK_ERROR_IGNORE)
        error = 0;
    r->done(r, error); /* r may be gone after it */
    pthread_mutex_lock(&b->lock);
    if (!--b->in_flight)
        pthread_cond_broadcast(&b->idle);
    pthread_mutex_unlock(&b->lock);
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

void blk_submit(BlockBackend *b, BlkRequest *r)
{
    r->blk = b;
    r->start_ns = now_ns();
    pthread_mutex_lock(&b->lock);
    b->in_flight++;
    pthread_mutex_unlock(&b->lock);
    int error = -EAGAIN;
    if (r->op == BLK_READ && b->node)
        error = block_preadv_nowait(b->node, r->offset, r->iov, r->iovcnt);
    else if (r->op == BLK_WRITE && b->node && !(r->flags & BLOCK_REQ_FUA))
        error = block_pwritev_nowait(b->node, r->offset, r->iov, r->iovcnt);
    if (error == -EAGAIN) {
        enqueue(r);
        return;
    }
    pthread_mutex_lock(&b->lock);
    b->stats.inline_ops++;
    pthread_mutex_unlock(&b->lock);
    finish(r, error);
}

/* --- blocking --- */

int blk_pread(BlockBackend *b, uint64_t offset, void *buf, size_t len) { return b->node ? block_pread(b->node, offset, buf, len) : -ENOMEDIUM; }
int blk_pwrite(BlockBackend *b, uint64_t offset, const void *buf, size_t len)
{
    return b->node ? block_pwrite(b->node, offset, buf, len) : -ENOMEDIUM;
}
int blk_flush(BlockBackend *b) { return b->node ? block_flush(b->node) : 0; }

void blk_drain(BlockBackend *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->in_flight)
        pthread_cond_wait(&b->idle, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

void blk_drain_all(void)
{
    for (unsigned i = 0; backends && i < backends->len; i++)
        blk_drain(backends->pdata[i]);
}

/* --- life --- */

BlockBackend *blk_new(const char *name, BlockNode *node)
{
    BlockBackend *b = g_new0(BlockBackend, 1);
    b->name = g_strdup(name);
    b->node = node;
    b->werror = BLK_ERROR_ENOSPC;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->idle, NULL);
    if (!backends)
        backends = g_ptr_array_new();
    g_ptr_array_add(backends, b);
    return b;
}

void blk_free(BlockBackend *b)
{
    blk_drain(b);
    g_ptr_array_remove(backends, b);
    if (b->node)
        block_unref(b->node);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->idle);
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
        if (!strcmp(((BlockBackend *)backends->pdata[i])->name, name))
            return backends->pdata[i];
    }
    BlockNode *n = block_node_find(name);
    return n ? blk_new(name, block_ref(n)) : NULL;
}

unsigned blk_count(void) { return backends ? backends->len : 0; }
BlockBackend *blk_nth(unsigned i) { return i < blk_count() ? backends->pdata[i] : NULL; }
const char *blk_name(const BlockBackend *b) { return b->name; }
BlockNode *blk_node(const BlockBackend *b) { return b->node; }
uint64_t blk_size(const BlockBackend *b) { return b->node ? block_size(b->node) : 0; }
bool blk_writable(const BlockBackend *b) { return b->node && block_writable(b->node); }
const char *blk_user(const BlockBackend *b) { return b->user; }
const char *blk_serial(const BlockBackend *b) { return b->serial; }

void blk_set_on_error(BlockBackend *b, BlkOnError rerror, BlkOnError werror)
{
    b->rerror = rerror;
    b->werror = werror;
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
    g_free(b->user);
    b->user = NULL;
}

BlkStats blk_stats(const BlockBackend *b)
{
    BlockBackend *w = (BlockBackend *)b;
    pthread_mutex_lock(&w->lock);
    BlkStats s = b->stats;
    pthread_mutex_unlock(&w->lock);
    return s;
}
