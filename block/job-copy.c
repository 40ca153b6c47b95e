/* SPDX-License-Identifier: MIT */
/* The jobs' copying, and how it stays right while the guest writes. */
#include <string.h>
#include "block/job-internal.h"

/*
 * stream: the job's piece is its own while it is looked at and written: guest writes to it wait, those on their way are
 * waited for. commit, mirror: a guest's write marks its units when it has ended; the job clears the mark before it
 * reads. backup: a guest's write waits until what it will overwrite has been copied, by the job or by itself.
 */

/* --- guest writes --- */

static bool overlaps(const BlockWrite *e, uint64_t start, uint64_t end) { return e->start < end && start < e->end; }

static int backup_unit(BlockJob *j, uint64_t unit, uint8_t *buf);

static void backup_before(BlockJob *j, const BlockWrite *e)
{
    g_autofree uint8_t *buf = NULL;
    for (uint64_t u = e->start / JOB_UNIT; u * JOB_UNIT < e->end; u++) {
        pthread_mutex_lock(&j->lock);
        bool done = job_bit(j->map, u) || j->error;
        pthread_mutex_unlock(&j->lock);
        if (done)
            continue;
        buf = buf ? buf : g_malloc(JOB_UNIT);
        int r = backup_unit(j, u, buf);
        pthread_mutex_lock(&j->lock);
        j->error = j->error ? j->error : r;
        pthread_mutex_unlock(&j->lock);
    }
}

void job_before(BlockWatch *w, BlockWrite *e)
{
    BlockJob *j = (BlockJob *)w;
    if (j->type == JOB_BACKUP)
        backup_before(j, e);
    pthread_mutex_lock(&j->lock);
    while (overlaps(e, j->own_start, j->own_end))
        pthread_cond_wait(&j->changed, &j->lock);
    e->next = j->writes;
    j->writes = e;
    pthread_mutex_unlock(&j->lock);
}

void job_after(BlockWatch *w, BlockWrite *e)
{
    BlockJob *j = (BlockJob *)w;
    pthread_mutex_lock(&j->lock);
    BlockWrite **p = &j->writes;
    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
    for (uint64_t u = e->start / JOB_UNIT; follows(j) && u * JOB_UNIT < e->end && u < j->units; u++) {
        j->length += job_bit(j->map, u) ? 0 : JOB_UNIT;
        job_set(j->map, u, true);
    }
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static void own(BlockJob *j, uint64_t start, uint64_t end)
{
    pthread_mutex_lock(&j->lock);
    for (bool wait = true; wait;) {
        wait = false;
        for (const BlockWrite *e = j->writes; e; e = e->next)
            wait |= overlaps(e, start, end);
        if (wait)
            pthread_cond_wait(&j->changed, &j->lock);
    }
    j->own_start = start;
    j->own_end = end;
    pthread_mutex_unlock(&j->lock);
}

static void disown(BlockJob *j)
{
    pthread_mutex_lock(&j->lock);
    j->own_start = j->own_end = 0;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

/* --- pieces --- */

/*
 * What [at, at + *len) is, of one kind: 0 nothing above the floor, BLOCK_ZERO, or BLOCK_DATA. floor NULL: the whole
 * chain.
 */
static int kind_of(BlockNode *n, const BlockNode *floor, uint64_t at, uint64_t *len, unsigned *kind)
{
    BlockStatus s;
    int r = block_status_above(n, floor, at, *len, &s);
    if (r)
        return r;
    if (!s.pnum)
        return -EIO;
    *len = MIN(*len, s.pnum);
    *kind = floor && !(s.flags & BLOCK_ALLOCATED) ? 0 : s.flags & BLOCK_ZERO ? BLOCK_ZERO : BLOCK_DATA;
    return 0;
}

static int write_zeroes(BlockNode *to, uint64_t at, uint64_t len, unsigned flags)
{
    return block_pwrite_zeroes(to, at, len, BLOCK_REQ_MAY_UNMAP | flags);
}

static int copy(BlockJob *j, BlockNode *to, uint64_t at, uint64_t len, unsigned flags)
{
    int r = block_pread(j->node, at, j->buf, len);
    if (!r && buf_is_zero(j->buf, len))
        return write_zeroes(to, at, len, flags);
    struct iovec iov = { j->buf, len };
    return r ? r : block_pwritev(to, at, &iov, 1, flags);
}

/* From the node to `to` whatever of the range stands above the floor. */
static int copy_range(BlockJob *j, BlockNode *to, const BlockNode *floor, uint64_t start, uint64_t end, unsigned flags)
{
    int r = 0;
    for (uint64_t at = start; at < end && !r;) {
        uint64_t len = end - at;
        unsigned kind;
        r = kind_of(j->node, floor, at, &len, &kind);
        if (!r && kind)
            r = kind == BLOCK_ZERO ? write_zeroes(to, at, len, flags) : copy(j, to, at, len, flags);
        at += len;
    }
    return r;
}

static int stream_step(BlockJob *j, uint64_t *bytes)
{
    uint64_t start = j->offset, end = MIN(start + JOB_PIECE, block_size(j->node));
    int r = 0;
    own(j, start, end);
    for (uint64_t at = start; at < end && !r;) {
        BlockStatus s;
        r = block_status(j->node, at, end - at, &s);
        uint64_t next = at + MIN(MAX(s.pnum, 1u), end - at);
        if (!r && !(s.flags & BLOCK_ALLOCATED) && j->node->backing && j->node->backing != j->base)
            r = copy_range(j, j->node, j->base, at, next, BLOCK_REQ_UNWATCHED);
        at = next;
    }
    disown(j);
    *bytes = end - start;
    return r;
}

static int follow_step(BlockJob *j, uint64_t *bytes)
{
    uint64_t first, count = 0;
    pthread_mutex_lock(&j->lock);
    for (first = 0; first < j->units; first++) {
        uint64_t u = (j->cursor + first) % j->units;
        if (job_bit(j->map, u)) {
            first = u;
            while (first + count < j->units && count < JOB_PIECE / JOB_UNIT && job_bit(j->map, first + count))
                job_set(j->map, first + count++, false);
            break;
        }
        if (u % 64 == 0 && !j->map[u / 64] && u + 64 <= j->units) /* skip empty words */
            first += 63;
    }
    pthread_mutex_unlock(&j->lock);
    if (!count)
        return 0;
    j->cursor = (first + count) % j->units;
    *bytes = count * JOB_UNIT;
    int r = copy_range(j, j->target, j->full ? NULL : j->base, first * JOB_UNIT,
                       MIN((first + count) * JOB_UNIT, block_size(j->node)), 0);
    if (r) { /* still to be done */
        pthread_mutex_lock(&j->lock);
        for (uint64_t u = first; u < first + count; u++)
            job_set(j->map, u, true);
        pthread_mutex_unlock(&j->lock);
    }
    return r;
}

static int write_unit(BlockJob *j, uint64_t at, uint8_t *buf, uint64_t len)
{
    if (buf_is_zero(buf, len))
        return block_pwrite_zeroes(j->target, at, len, BLOCK_REQ_MAY_UNMAP);
    int r = 0;
    for (uint64_t done = 0, piece; !r && done < len; done += piece) {
        piece = MIN(len - done, j->compress ? j->compress : len);
        struct iovec iov = { buf + done, piece };
        r = block_pwritev(j->target, at + done, &iov, 1, j->compress ? BLOCK_REQ_COMPRESSED : 0);
    }
    return r;
}

/* Any thread. Not by a request of its own: the guest's write, which waits for it, counts already. */
static int backup_unit(BlockJob *j, uint64_t unit, uint8_t *buf)
{
    uint64_t at = unit * JOB_UNIT, len = MIN((uint64_t)JOB_UNIT, block_size(j->node) - at);
    pthread_mutex_lock(&j->lock);
    while (job_bit(j->copying, unit))
        pthread_cond_wait(&j->changed, &j->lock);
    bool done = job_bit(j->map, unit);
    job_set(j->copying, unit, !done);
    pthread_mutex_unlock(&j->lock);
    if (done)
        return 0;
    struct iovec iov = { buf, len };
    int r = block_preadv_inner(j->node, at, &iov, 1);
    r = r ? r : write_unit(j, at, buf, len);
    pthread_mutex_lock(&j->lock);
    job_set(j->copying, unit, false);
    job_set(j->map, unit, !r);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    return r;
}

static int backup_step(BlockJob *j, uint64_t *bytes)
{
    int r = j->error;
    for (; j->cursor < j->units && *bytes < JOB_PIECE && !r; j->cursor++) {
        r = backup_unit(j, j->cursor, j->buf);
        *bytes += JOB_UNIT;
    }
    return r;
}

/* --- at the start --- */

void job_alloc(BlockJob *j)
{
    j->units = (block_size(j->node) + JOB_UNIT - 1) / JOB_UNIT;
    j->buf = g_malloc(JOB_PIECE);
    j->length = follows(j) ? 0 : block_size(j->node);
    j->map = g_new0(uint64_t, j->units / 64 + 1);
    j->copying = g_new0(uint64_t, j->units / 64 + 1);
}

/*
 * Follow: units with something above the floor are due. Backup: those with nothing are done. Guest writes are noticed
 * already.
 */
static int prepare(BlockJob *j)
{
    uint64_t size = block_size(j->node);
    for (uint64_t at = 0; at < size && j->type != JOB_STREAM;) {
        uint64_t len = size - at;
        unsigned kind = BLOCK_DATA;
        int r = j->full ? 0 : kind_of(j->node, j->base, at, &len, &kind);
        if (r)
            return r;
        pthread_mutex_lock(&j->lock);
        uint64_t first = follows(j) ? at / JOB_UNIT : (at + JOB_UNIT - 1) / JOB_UNIT,
                 last = follows(j) ? (at + len - 1) / JOB_UNIT + 1 : (at + len) / JOB_UNIT;
        for (uint64_t u = first; u < last && !kind != follows(j); u++) {
            j->length += follows(j) && !job_bit(j->map, u) ? JOB_UNIT : 0;
            job_set(j->map, u, true);
        }
        pthread_mutex_unlock(&j->lock);
        at += len;
    }
    j->prepared = true;
    return 0;
}

int job_step(BlockJob *j, uint64_t *bytes)
{
    *bytes = 0;
    int r = j->prepared ? 0 : prepare(j);
    if (r)
        return r;
    if (j->type == JOB_STREAM)
        return j->offset < block_size(j->node) ? stream_step(j, bytes) : 0;
    return j->type == JOB_BACKUP ? backup_step(j, bytes) : follow_step(j, bytes);
}

