/* SPDX-License-Identifier: MIT */
/*
 * The guest of `rhea-img torture`: its requests, by one or two threads, and what that promises. Sectors hold numbers of
 * their own.
 */
#include <unistd.h>
#include "base/thread.h"
#include "tools/img/torture.h"

/* A part of the disk, to which one thread writes. */
typedef struct Lane { Torture *r; GRand *rand; uint8_t *buf; uint32_t first, end; bool beside; } Lane;

static uint32_t pick(Lane *l, uint32_t n) { return n ? g_rand_int(l->rand) % n : 0; }

/* --- what was done, and what is durable --- */

static unsigned record(Torture *r, OpKind kind, uint32_t sector, uint32_t count, uint32_t value)
{
    TortureOp op = { kind, tape_length(r->tape), sector, count, value, NULL, block_size(r->n) };
    g_array_append_val(r->ops, op);
    return r->ops->len - 1;
}

TortureOp *torture_begin(Torture *r, OpKind kind, uint32_t sector, uint32_t count, uint32_t value)
{
    unsigned op = record(r, kind, sector, count, value);
    return &g_array_index(r->ops, TortureOp, op);
}

uint32_t torture_number(Torture *r)
{
    pthread_mutex_lock(&r->ops_lock);
    uint32_t value = ++r->next_value;
    pthread_mutex_unlock(&r->ops_lock);
    return value;
}

static void begin(Lane *l, OpKind kind, uint32_t sector, uint32_t count, uint32_t value)
{
    pthread_mutex_lock(&l->r->ops_lock);
    unsigned op = record(l->r, kind, sector, count, value);
    l->r->open = l->beside ? op : l->r->open;
    pthread_mutex_unlock(&l->r->ops_lock);
}

static void end(Lane *l)
{
    pthread_mutex_lock(&l->r->ops_lock);
    l->r->open = l->beside ? UINT_MAX : l->r->open;
    pthread_mutex_unlock(&l->r->ops_lock);
}

static TorturePromise until_now(Torture *r)
{
    pthread_mutex_lock(&r->ops_lock);
    TorturePromise p = { .ops = r->ops->len, .open = r->open };
    pthread_mutex_unlock(&r->ops_lock);
    return p;
}

static void promise(Torture *r, TorturePromise p)
{
    p.event = tape_length(r->tape);
    g_array_append_val(r->promises, p);
}

void torture_promise(Torture *r) { promise(r, until_now(r)); }

void torture_state(Torture *r)
{
    r->now.event = tape_length(r->tape);
    g_array_append_val(r->states, r->now);
}

/* --- requests --- */

static void fill(uint8_t *p, uint32_t value, uint32_t sectors)
{
    for (size_t i = 0; i < (size_t)sectors * SECTOR; i += 4)
        memcpy(p + i, &value, 4);
}

static int write_some(Lane *l, uint32_t at, uint32_t count, unsigned flags)
{
    uint32_t value = torture_number(l->r);
    begin(l, OP_SET, at, count, value);
    fill(l->buf, value, count);
    struct iovec iov = { l->buf, (size_t)count * SECTOR };
    return block_pwritev(l->r->n, (uint64_t)at * SECTOR, &iov, 1, flags);
}

static int write_compressed(Lane *l, uint32_t at, uint32_t end)
{
    BlockInfo info;
    block_info(l->r->n, &info, NULL);
    uint32_t unit = (uint32_t)MAX(info.cluster_size / SECTOR, 1u), disk = (uint32_t)(block_size(l->r->n) / SECTOR);
    block_info_clear(&info);
    at -= at % unit;
    unit = MIN(unit, disk - at);
    return at < l->first || at + unit > end ? 0 : write_some(l, at, unit, BLOCK_REQ_COMPRESSED);
}

static int guest_op(Lane *l)
{
    BlockNode *n = l->r->n;
    uint32_t stop = MIN(l->end, (uint32_t)(MIN(block_size(n), (uint64_t)DISK) / SECTOR));
    if (stop <= l->first)
        return 0;
    uint32_t at = l->first + pick(l, stop - l->first);
    uint32_t count = 1 + pick(l, pick(l, 4) ? 16 : REQUEST_MAX / SECTOR), kind = pick(l, 20);
    count = MIN(count, stop - at);
    if (kind == 13 && l->r->compress)
        return write_compressed(l, at, stop);
    if (kind < 14)
        return write_some(l, at, count, 0);
    begin(l, kind < 17 ? OP_SET : OP_DISCARD, at, count, 0);
    uint64_t from = (uint64_t)at * SECTOR, bytes = (uint64_t)count * SECTOR;
    return kind < 17 ? block_pwrite_zeroes(n, from, bytes, BLOCK_REQ_MAY_UNMAP) : block_pdiscard(n, from, bytes);
}

/* --- the second thread --- */

static void *write_beside(void *opaque)
{
    Lane *l = opaque;
    Torture *r = l->r;
    while (!r->stop && !r->beside_error) {
        sem_wait(&r->turns);
        while (r->paused && !r->stop)
            g_usleep(20);
        pthread_mutex_lock(&r->beside_lock);
        r->beside_error = r->stop ? 0 : guest_op(l);
        end(l);
        pthread_mutex_unlock(&r->beside_lock);
    }
    return NULL;
}

void torture_pause(Torture *r)
{
    if (r->pauses++)
        return;
    r->paused = true;
    pthread_mutex_lock(&r->beside_lock);
}

void torture_resume(Torture *r)
{
    if (--r->pauses)
        return;
    r->paused = false;
    pthread_mutex_unlock(&r->beside_lock);
}

/* --- what is for the image as a whole --- */

static bool make_snapshot(Torture *r, Error **errp)
{
    BlockSnapshot s = { .icount = UINT64_MAX };
    TortureSnap *snap = g_new(TortureSnap, 1);
    snap->size = block_size(r->n);
    g_snprintf(s.name, sizeof s.name, "s%u", torture_number(r));
    if (!torture_read(r, r->n, snap->image, errp)) {
        g_free(snap);
        return false;
    }
    g_hash_table_insert(r->snaps, g_strdup(s.name), snap); /* known before it is made: a cut may find it */
    return block_snapshot_create(r->n, &s, errp);
}

static bool snapshot_op(Torture *r, Error **errp)
{
    GArray *list;
    if (!block_snapshot_list(r->n, &list, errp))
        return false;
    const BlockSnapshot *one = list->len ? &g_array_index(list, BlockSnapshot, torture_pick(r, list->len)) : NULL;
    bool ok;
    if (list->len < 2 && (!one || torture_pick(r, 2))) {
        ok = make_snapshot(r, errp);
    } else if (torture_pick(r, 2)) {
        const TortureSnap *s = g_hash_table_lookup(r->snaps, one->name);
        TortureOp *op = torture_begin(r, OP_APPLY, 0, SECTORS, 0);
        op->image = s->image;
        op->size = s->size;
        ok = block_snapshot_apply(r->n, one->id, errp);
    } else {
        ok = block_snapshot_delete(r->n, one->id, errp);
    }
    g_array_unref(list);
    torture_promise(r);
    return ok;
}

static bool has_snapshots(Torture *r)
{
    GArray *list;
    bool any = block_snapshot_list(r->n, &list, NULL) && list->len;
    g_array_unref(list);
    return any;
}

static bool resize_op(Torture *r, Error **errp)
{
    if (r->old && has_snapshots(r)) /* they have no size of their own */
        return true;
    uint64_t was = block_size(r->n), size = DISK / 2 + (uint64_t)torture_pick(r, SECTORS / 2) * SECTOR,
             low = MIN(was, size);
    torture_begin(r, OP_RESIZE, (uint32_t)(low / SECTOR), (uint32_t)((MAX(was, size) - low) / SECTOR), 0)->size = size;
    bool ok = block_truncate(r->n, size, torture_pick(r, 4) ? PREALLOC_OFF : PREALLOC_METADATA, true, errp);
    torture_promise(r);
    return ok;
}

static int flush_op(Torture *r)
{
    TorturePromise p = until_now(r);
    int e = block_flush(r->n);
    promise(r, p);
    torture_chain_flushed(r);
    return e;
}

typedef bool WholeOp(Torture *r, Error **errp);

/* What comes along rarely, and has the image for itself. */
static WholeOp *choose_whole(Torture *r)
{
    return r->snapshots && torture_pick(r, 50) == 0 ? snapshot_op : r->resize && torture_pick(r, 80) == 0 ? resize_op :
           r->amend && torture_pick(r, 50) == 0 ? torture_amend : NULL;
}

static bool whole(Torture *r, WholeOp *op, Error **errp)
{
    torture_pause(r);
    bool ok = op(r, errp);
    torture_resume(r);
    return ok;
}

static bool step(Lane *l, uint64_t i, Error **errp)
{
    Torture *r = l->r;
    WholeOp *op = NULL;
    int e = r->beside_error;
    sem_post(&r->turns);
    if (r->chain && !whole(r, torture_chain_step, errp))
        return false;
    if (!e && torture_pick(r, 12) == 0)
        e = flush_op(r);
    else if (!e && (op = choose_whole(r)))
        return whole(r, op, errp);
    else if (!e)
        e = guest_op(l);
    if (e)
        error_set_errno(errp, -e, "torture: request %" PRIu64, i);
    return !e;
}

static pthread_t start_beside(Lane *l)
{
    *l = (Lane){ l->r, g_rand_new_with_seed(g_rand_int(l->r->rand)), g_malloc(DISK), SECTORS / 2, SECTORS, true };
    return thread_start("guest", write_beside, l);
}

static void end_beside(Lane *l, pthread_t thread)
{
    sem_post(&l->r->turns);
    pthread_join(thread, NULL);
    g_rand_free(l->rand);
    g_free(l->buf);
}

bool torture_work(Torture *r, uint64_t count, bool beside, Error **errp)
{
    Lane own = { r, r->rand, r->buf, 0, beside ? SECTORS / 2 : SECTORS, false }, other = { .r = r };
    pthread_t thread = beside ? start_beside(&other) : pthread_self();
    bool ok = true;
    for (uint64_t i = 0; ok && i < count; i++)
        ok = step(&own, i, errp);
    r->stop = true;
    ok = ok && (!r->chain || whole(r, torture_chain_end, errp));
    while (r->pauses)
        torture_resume(r);
    if (beside)
        end_beside(&other, thread);
    return ok;
}
