/* SPDX-License-Identifier: MIT */
/* Requests to a node: ranges, alignment, draining, what drivers need not do themselves. */
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "block/bitmap.h"
#include "block/driver.h"

enum { BOUNCE_MAX = 1 << 20 };

/* --- in flight --- */

static void begin(BlockNode *n) { in_flight_admit(&n->in_flight); }

static int end(BlockNode *n, int r)
{
    in_flight_leave(&n->in_flight);
    return r;
}

/* What a watcher of writes is told; a node has none but for a job. */
static void watch_begin(BlockNode *n, BlockWrite *e, uint64_t offset, uint64_t len, unsigned flags)
{
    *e = (BlockWrite){ .start = offset, .end = offset + len };
    if (G_UNLIKELY(n->watch) && !(flags & BLOCK_REQ_UNWATCHED))
        n->watch->before(n->watch, e);
}

static void watch_end(BlockNode *n, BlockWrite *e, unsigned flags)
{
    if (G_UNLIKELY(n->watch) && !(flags & BLOCK_REQ_UNWATCHED))
        n->watch->after(n->watch, e);
}

void block_drain_begin(BlockNode *n)
{
    if (n->watch)
        n->watch->hold(n->watch);
    in_flight_block(&n->in_flight);
}

void block_drain_end(BlockNode *n)
{
    in_flight_unblock(&n->in_flight);
    if (n->watch)
        n->watch->release(n->watch);
}

static int check_range(const BlockNode *n, uint64_t offset, uint64_t len)
{
    uint64_t size = block_grows(n) ? INT64_MAX : block_size(n);
    return offset > size || len > size - offset ? -EIO : 0;
}

/* --- alignment --- */

bool block_is_aligned(const BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    uint64_t mask = n->request_align - 1;
    if (!mask)
        return true;
    if ((offset | len) & mask)
        return false;
    for (int i = 0; !n->any_memory && i < iovcnt; i++) {
        if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) & mask)
            return false;
    }
    return true;
}

static void *bounce_alloc(const BlockNode *n, size_t len)
{
    void *p = NULL;
    return posix_memalign(&p, MAX(n->request_align, 64u), len) ? NULL : p;
}

/* Reads whole units around the range into a buffer, piece by piece. */
static int read_bounced(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    uint8_t *buf = bounce_alloc(n, BOUNCE_MAX);
    int r = buf ? 0 : -ENOMEM;
    for (uint64_t done = 0; !r && done < len;) {
        uint64_t at = offset + done, start = align_down(at, n->request_align);
        uint64_t n_bytes = MIN(len - done, BOUNCE_MAX - (at - start));
        struct iovec one = { buf, align_up(at - start + n_bytes, n->request_align) };
        r = n->drv->preadv(n, start, one.iov_len, &one, 1);
        if (!r)
            iov_from_buf(iov, iovcnt, done, buf + (at - start), n_bytes);
        done += n_bytes;
    }
    free(buf);
    return r;
}

void block_partial_begin(BlockNode *n)
{
    pthread_mutex_lock(&n->partial);
    in_flight_block(&n->aligned);
}

void block_partial_end(BlockNode *n)
{
    in_flight_unblock(&n->aligned);
    pthread_mutex_unlock(&n->partial);
}

/* The same for writing; partial units are read first. Between block_partial_begin() and _end(). */
static int write_bounced(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                         unsigned flags)
{
    uint8_t *buf = bounce_alloc(n, BOUNCE_MAX);
    int r = buf ? 0 : -ENOMEM;
    uint64_t unit = n->request_align;
    for (uint64_t done = 0; !r && done < len;) {
        uint64_t at = offset + done, start = align_down(at, unit);
        uint64_t n_bytes = MIN(len - done, BOUNCE_MAX - (at - start));
        struct iovec one = { buf, align_up(at - start + n_bytes, unit) };
        uint64_t last = start + one.iov_len - unit;
        struct iovec head = { buf, unit }, tail = { buf + (last - start), unit };
        if (at != start || one.iov_len < unit + (at - start))
            r = n->drv->preadv(n, start, unit, &head, 1);
        if (!r && last != start && (at + n_bytes) & (unit - 1))
            r = n->drv->preadv(n, last, unit, &tail, 1);
        else if (!r && last == start && at == start && n_bytes < unit)
            r = n->drv->preadv(n, start, unit, &head, 1);
        if (r)
            break;
        iov_to_buf(iov, iovcnt, done, buf + (at - start), n_bytes);
        r = n->drv->pwritev(n, start, one.iov_len, &one, 1, flags);
        done += n_bytes;
    }
    free(buf);
    return r;
}

/* --- reading and writing --- */

int block_preadv(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    uint64_t len = iov_bytes(iov, iovcnt);
    int r = check_range(n, offset, len);
    if (r || !len)
        return r;
    begin(n);
    r = block_is_aligned(n, offset, len, iov, iovcnt) ? n->drv->preadv(n, offset, len, iov, iovcnt)
                                                      : read_bounced(n, offset, len, iov, iovcnt);
    return end(n, r);
}

int block_preadv_inner(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    uint64_t len = iov_bytes(iov, iovcnt);
    int r = check_range(n, offset, len);
    if (r || !len)
        return r;
    return block_is_aligned(n, offset, len, iov, iovcnt) ? n->drv->preadv(n, offset, len, iov, iovcnt)
                                                         : read_bounced(n, offset, len, iov, iovcnt);
}

static int write_aligned(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                         unsigned flags)
{
    if (n->request_align == 1)
        return n->drv->pwritev(n, offset, len, iov, iovcnt, flags);
    bool fits = block_is_aligned(n, offset, len, iov, iovcnt);
    int r;
    if (fits) {
        in_flight_admit(&n->aligned);
        r = n->drv->pwritev(n, offset, len, iov, iovcnt, flags);
        in_flight_leave(&n->aligned);
    } else {
        block_partial_begin(n);
        r = write_bounced(n, offset, len, iov, iovcnt, flags);
        block_partial_end(n);
    }
    return r;
}

static int finish_write(BlockNode *n, unsigned flags, int r)
{
    if (!r && (flags & BLOCK_REQ_FUA || n->flags & BLOCK_WRITETHROUGH) && n->drv->flush && !(n->flags & BLOCK_NO_FLUSH))
        r = n->drv->flush(n);
    return r;
}

static int write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags);

int block_pwritev(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt, unsigned flags)
{
    uint64_t len = iov_bytes(iov, iovcnt);
    if (!block_writable(n))
        return -EROFS;
    int r = check_range(n, offset, len);
    if (r || !len)
        return r;
    begin(n);
    BlockWrite e;
    watch_begin(n, &e, offset, len, flags);
    if (n->flags & BLOCK_ZERO_DETECT && !(flags & BLOCK_REQ_COMPRESSED) && iov_is_zero(iov, iovcnt))
        r = write_zeroes(n, offset, len, n->flags & BLOCK_ZERO_UNMAP ? BLOCK_REQ_MAY_UNMAP : 0);
    else
        r = write_aligned(n, offset, len, iov, iovcnt, flags & ~(unsigned)BLOCK_REQ_UNWATCHED);
    block_bitmaps_dirty(n, offset, len);
    watch_end(n, &e, flags);
    return end(n, finish_write(n, flags, r));
}

int block_preadv_nowait(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    uint64_t len = iov_bytes(iov, iovcnt);
    if (!n->drv->preadv_nowait || check_range(n, offset, len) || !len ||
        !block_is_aligned(n, offset, len, iov, iovcnt) || !in_flight_try(&n->in_flight))
        return -EAGAIN;
    return end(n, n->drv->preadv_nowait(n, offset, len, iov, iovcnt));
}

int block_pwritev_nowait(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    uint64_t len = iov_bytes(iov, iovcnt);
    if (!n->drv->pwritev_nowait || !block_writable(n) || n->flags & (BLOCK_WRITETHROUGH | BLOCK_ZERO_DETECT) ||
        n->request_align > 1 || check_range(n, offset, len) || !len || !in_flight_try(&n->in_flight))
        return -EAGAIN;
    int r = G_UNLIKELY(n->watch) ? -EAGAIN : n->drv->pwritev_nowait(n, offset, len, iov, iovcnt);
    if (!r)
        block_bitmaps_dirty(n, offset, len);
    return end(n, r);
}

int block_pread(BlockNode *n, uint64_t offset, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    return block_preadv(n, offset, &iov, 1);
}

int block_pwrite(BlockNode *n, uint64_t offset, const void *buf, size_t len)
{
    struct iovec iov = { (void *)buf, len };
    return block_pwritev(n, offset, &iov, 1, 0);
}

int block_read_backing(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    uint64_t len = iov_bytes(iov, iovcnt), size = n->backing ? block_size(n->backing) : 0;
    uint64_t have = offset < size ? MIN(len, size - offset) : 0;
    int r = 0;
    if (have == len)
        return block_preadv(n->backing, offset, iov, iovcnt);
    if (have) {
        g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
        r = block_preadv(n->backing, offset, part, iov_part(part, iov, iovcnt, 0, have));
    }
    if (!r)
        iov_zero(iov, iovcnt, have, len - have);
    return r;
}

/* --- zeroes, discards, flushes --- */

static int write_zero_buffers(BlockNode *n, uint64_t offset, uint64_t len)
{
    size_t size = (size_t)MIN(len, (uint64_t)BOUNCE_MAX) + n->request_align;
    void *buf = bounce_alloc(n, align_up(size, n->request_align));
    if (!buf)
        return -ENOMEM;
    memset(buf, 0, size);
    int r = 0;
    while (!r && len) {
        struct iovec iov = { buf, MIN(len, (uint64_t)BOUNCE_MAX) };
        r = write_aligned(n, offset, iov.iov_len, &iov, 1, 0);
        offset += iov.iov_len;
        len -= iov.iov_len;
    }
    free(buf);
    return r;
}

/* Whole units by the driver, the edges as data. */
static int write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    uint64_t unit = MAX(n->zero_align, 1u), stop = offset + len;
    uint64_t head = MIN(align_up(offset, unit), stop), tail = MAX(align_down(stop, unit), head);
    if (stop == block_size(n)) /* the last unit may be a partial one */
        tail = stop;
    if (!n->drv->pwrite_zeroes)
        return flags & BLOCK_REQ_NO_FALLBACK ? -ENOTSUP : write_zero_buffers(n, offset, len);
    int r = head > offset ? write_zero_buffers(n, offset, head - offset) : 0;
    if (!r && tail > head) {
        r = n->drv->pwrite_zeroes(n, head, tail - head, flags);
        if (r == -ENOTSUP && !(flags & BLOCK_REQ_NO_FALLBACK))
            r = write_zero_buffers(n, head, tail - head);
    }
    return !r && stop > tail ? write_zero_buffers(n, tail, stop - tail) : r;
}

int block_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    if (!block_writable(n))
        return -EROFS;
    int r = check_range(n, offset, len);
    if (r || !len)
        return r;
    begin(n);
    BlockWrite e;
    watch_begin(n, &e, offset, len, flags);
    r = finish_write(n, flags, write_zeroes(n, offset, len, flags & ~(unsigned)BLOCK_REQ_UNWATCHED));
    block_bitmaps_dirty(n, offset, len);
    watch_end(n, &e, flags);
    return end(n, r);
}

int block_pdiscard(BlockNode *n, uint64_t offset, uint64_t len)
{
    if (!block_writable(n))
        return -EROFS;
    int r = check_range(n, offset, len);
    if (r || !len || !n->drv->pdiscard || !(n->flags & BLOCK_UNMAP))
        return r;
    uint64_t unit = MAX(n->zero_align, 1u), stop = offset + len;
    uint64_t head = align_up(offset, unit), tail = stop == block_size(n) ? stop : align_down(stop, unit);
    if (head >= tail)
        return 0;
    begin(n);
    BlockWrite e;
    watch_begin(n, &e, head, tail - head, 0);
    r = n->drv->pdiscard(n, head, tail - head);
    block_bitmaps_dirty(n, head, tail - head);
    watch_end(n, &e, 0);
    return end(n, r == -ENOTSUP ? 0 : r);
}

int block_flush(BlockNode *n)
{
    if (!block_writable(n) || !n->drv->flush)
        return 0;
    begin(n);
    int r = n->flags & BLOCK_NO_FLUSH ? 0 : n->drv->flush(n);
    return end(n, r);
}

int block_reserve(BlockNode *n, uint64_t offset, uint64_t len)
{
    if (!block_writable(n) || !n->drv->reserve)
        return -ENOTSUP;
    begin(n);
    return end(n, n->drv->reserve(n, offset, len));
}

void block_write_out(BlockNode *n)
{
    while (n->file)
        n = n->file;
    if (n->flags & BLOCK_NO_FLUSH || !block_writable(n) || !n->drv->write_out)
        return;
    begin(n);
    n->drv->write_out(n);
    end(n, 0);
}

/* --- SCSI commands --- */

static BlockNode *scsi_node(BlockNode *n)
{
    while (n && !n->drv->scsi)
        n = n->drv->filter || (n->drv->passes_scsi && n->drv->passes_scsi(n)) ? n->file : NULL;
    return n;
}

bool block_has_scsi(BlockNode *n) { return scsi_node(n); }

int block_scsi(BlockNode *n, BlockScsi *s, const struct iovec *iov, int iovcnt)
{
    BlockNode *unit = scsi_node(n);
    if (!unit)
        return -ENOTSUP;
    begin(n);
    return end(n, unit->drv->scsi(unit, s, iov, iovcnt));
}

/* --- status --- */

int block_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    uint64_t size = block_size(n);
    *out = (BlockStatus){ 0 };
    if (offset >= size) {
        out->flags = BLOCK_EOF;
        return 0;
    }
    len = MIN(len, size - offset);
    if (!n->drv->status) {
        *out = (BlockStatus){ BLOCK_DATA | BLOCK_ALLOCATED | (n->file ? BLOCK_OFFSET_VALID : 0), len, offset, n->file,
                              0 };
        return 0;
    }
    begin(n);
    int r = n->drv->status(n, offset, len, out);
    if (!r) {
        out->pnum = MIN(out->pnum, len);
        if (offset + out->pnum == size)
            out->flags |= BLOCK_EOF;
    }
    end(n, r);
    return r;
}

int block_status_above(BlockNode *n, const BlockNode *base, uint64_t offset, uint64_t len, BlockStatus *out)
{
    unsigned depth = 0;
    bool cut = false;
    n = block_skip_filters(n);
    int r = block_status(n, offset, len, out);
    uint64_t first_eof = out->flags & BLOCK_EOF;
    while (!r && !(out->flags & BLOCK_ALLOCATED) && n->backing && n->backing != base) {
        n = block_skip_filters(n->backing);
        depth++;
        uint64_t pnum = out->pnum;
        if (offset >= block_size(n)) { /* a shorter backing file reads as zeroes from here on */
            *out = (BlockStatus){ .flags = BLOCK_ZERO | BLOCK_ALLOCATED | (first_eof ? BLOCK_EOF : 0),
                                  .pnum = pnum,
                                  .depth = depth };
            return 0;
        }
        r = block_status(n, offset, pnum, out);
        cut |= out->pnum < pnum;
        out->flags &= ~(unsigned)BLOCK_EOF;
    }
    if (!r && !(out->flags & BLOCK_ALLOCATED) && !base && !n->backing)
        out->flags |= BLOCK_ZERO; /* nowhere allocated */
    if (!r && first_eof && !cut)
        out->flags |= BLOCK_EOF;
    out->depth = depth;
    return r;
}

bool block_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, bool shrink, Error **errp)
{
    if (!block_writable(n)) {
        error_setf(errp, "image '%s' is open read-only and can't be resized", block_filename(n));
        return false;
    }
    if (size > INT64_MAX / 2) {
        error_setf(errp, "image '%s': a size of %" G_GUINT64_FORMAT " bytes is too large", block_filename(n),
                   (guint64)size);
        return false;
    }
    if (size < block_size(n) && !shrink) {
        error_setf(errp,
                   "image '%s': shrinking would lose data beyond %" G_GUINT64_FORMAT
                   " bytes; use --shrink if that is meant",
                   block_filename(n), (guint64)size);
        return false;
    }
    if (!n->drv->truncate) {
        error_setf(errp, "image '%s': the %s format can't be resized", block_filename(n), n->drv->name);
        return false;
    }
    block_drain_begin(n);
    bool ok = n->drv->truncate(n, size, prealloc, errp) && block_bitmaps_resize(n, size, errp);
    block_drain_end(n);
    return ok;
}
