/* SPDX-License-Identifier: MIT */
/* qcow2: reading and writing of guest data; requests in flight. */
#include <stdlib.h>
#include <string.h>
#include "block/qcow2/qcow2.h"

enum { ALLOC_MAX = 4 << 20 }; /* bytes that one pass allocates at most */

/* --- requests in flight --- */

/* Reads go along with everything: what a request may have looked up is not reused while it runs. */
static bool conflict(const Q2Request *a, const Q2Request *b)
{
    if (a->use == Q2_READS || b->use == Q2_READS || (a->use == Q2_WRITES && b->use == Q2_WRITES))
        return false;
    return a->start < b->end && b->start < a->end;
}

static bool has_conflict(const Qcow2 *q, const Q2Request *r)
{
    for (const Q2Request *o = q->requests; o; o = o->next) {
        if (conflict(o, r))
            return true;
    }
    return false;
}

bool q2_request_conflicts(Qcow2 *q, const Q2Request *r)
{
    pthread_mutex_lock(&q->requests_lock);
    bool wait = has_conflict(q, r);
    pthread_mutex_unlock(&q->requests_lock);
    return wait;
}

void q2_request_begin(Qcow2 *q, Q2Request *r, uint64_t start, uint64_t len, Q2Use use)
{
    *r = (Q2Request){ .start = start, .end = start + len, .use = use };
    pthread_mutex_lock(&q->requests_lock);
    while (has_conflict(q, r)) {
        pthread_mutex_unlock(&q->lock);
        pthread_cond_wait(&q->changed, &q->requests_lock);
        pthread_mutex_unlock(&q->requests_lock);
        pthread_mutex_lock(&q->lock);
        pthread_mutex_lock(&q->requests_lock);
    }
    r->stamp = ++q->stamp;
    r->next = q->requests;
    if (r->next)
        r->next->prev = r;
    q->requests = r;
    pthread_mutex_unlock(&q->requests_lock);
}

void q2_request_end(Qcow2 *q, Q2Request *r)
{
    pthread_mutex_lock(&q->requests_lock);
    if (r->next)
        r->next->prev = r->prev;
    if (r->prev)
        r->prev->next = r->next;
    else
        q->requests = r->next;
    if (r->use != Q2_READS)
        pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->requests_lock);
}

/* --- reading --- */

static int read_run(BlockNode *n, const Q2Map *m, uint64_t offset, const struct iovec *iov, int iovcnt, size_t skip)
{
    Qcow2 *q = q2_of(n);
    size_t len = (size_t)m->len;
    if (m->kind == Q2_COMPRESSED)
        return q2_inflate(n, m->entry, (unsigned)(offset & (q->cluster_size - 1)), iov, iovcnt, skip, len);
    if (m->kind == Q2_ZERO || m->kind == Q2_ZERO_ALLOCATED || (m->kind == Q2_UNALLOCATED && !n->backing)) {
        iov_zero(iov, iovcnt, skip, len);
        return 0;
    }
    struct iovec small[16], *part = iovcnt > 16 ? g_new(struct iovec, iovcnt) : small;
    int count = iov_part(part, iov, iovcnt, skip, len);
    int r = m->kind == Q2_DATA ? q2_data_preadv(n, offset, m->host, part, count)
                               : block_read_backing(n, offset, part, count);
    if (part != small)
        g_free(part);
    return r;
}

/* l1 NULL: the active one. */
int q2_preadv_in(BlockNode *n, const uint64_t *l1, uint32_t l1_size, uint64_t offset, uint64_t len,
                 const struct iovec *iov, int iovcnt)
{
    Qcow2 *q = q2_of(n);
    int r = 0;
    for (uint64_t done = 0; !r && done < len;) {
        Q2Map m;
        pthread_mutex_lock(&q->lock);
        r = l1 ? q2_map_in(n, l1, l1_size, offset + done, len - done, &m) : q2_map(n, offset + done, len - done, &m);
        pthread_mutex_unlock(&q->lock);
        r = r ? r : read_run(n, &m, offset + done, iov, iovcnt, done);
        done += m.len;
    }
    return r;
}

int q2_read_range(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return q2_preadv_in(n, NULL, 0, offset, len, iov, iovcnt);
}

int q2_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    Qcow2 *q = q2_of(n);
    Q2Request request;
    pthread_mutex_lock(&q->lock);
    q2_request_begin(q, &request, offset, len, Q2_READS);
    pthread_mutex_unlock(&q->lock);
    int r = q2_read_range(n, offset, len, iov, iovcnt);
    q2_request_end(q, &request);
    return r;
}

/* --- writing --- */

/* A pass of a write that has to allocate: guest clusters [start, end) go to host clusters from `host` on. */
typedef struct Alloc {
    uint64_t start, end;     /* guest, whole clusters */
    uint64_t host;
    bool in_place;           /* the cluster is ours already: only its zero or subcluster bits change */
    bool fresh;              /* host clusters lie beyond the end of the file: zero */
} Alloc;

/* How far from `offset` on the mapping asks for new clusters; first cluster's entry in *entry. */
static int needs_alloc(BlockNode *n, uint64_t offset, uint64_t len, bool *in_place, uint64_t *bytes, uint64_t *host)
{
    Qcow2 *q = q2_of(n);
    *bytes = 0;
    for (uint64_t at = offset; at < offset + len && *bytes < ALLOC_MAX;) {
        uint64_t step = MIN(align_down(at, q->cluster_size) + q->cluster_size, offset + len) - at;
        unsigned index;
        int error;
        Q2Table *t = q2_l2(n, at, false, &index, &error);
        if (error)
            return error;
        uint64_t entry = t ? q2_entry(q, t, index) : 0;
        Q2Map m = { 0 };
        if (t)
            q2_cache_put(t);
        int r = q2_map(n, at, step, &m);
        if (r)
            return r;
        bool ours = !(entry & OFLAG_COMPRESSED) && entry & OFLAG_COPIED && (entry & OFFSET_MASK || q->data_node);
        if (m.kind == Q2_DATA && m.copied && m.len == step)
            break;
        if (*bytes && ours != *in_place)
            break;
        if (ours && *bytes && (entry & OFFSET_MASK) != align_down(*host, q->cluster_size) +
                                 (align_down(at, q->cluster_size) - align_down(offset, q->cluster_size)))
            break;
        if (!*bytes) {
            *in_place = ours;
            *host = entry & OFFSET_MASK;
        }
        *bytes += step;
        at += step;
    }
    return 0;
}

static int allocate(BlockNode *n, uint64_t offset, uint64_t *bytes, Alloc *a)
{
    Qcow2 *q = q2_of(n);
    a->start = align_down(offset, q->cluster_size);
    a->end = align_up(offset + *bytes, q->cluster_size);
    uint64_t clusters = (a->end - a->start) >> q->cluster_bits;
    a->fresh = false;
    if (a->in_place)
        return 0;
    if (q->data_node) { /* external: guest offset = host offset */
        a->host = a->start;
        return 0;
    }
    uint64_t file_end = block_size(n->file);
    int64_t at = q2_alloc(n, clusters);
    while (at == -ENOSPC && clusters > 1) {
        clusters /= 2;
        at = q2_alloc(n, clusters);
    }
    if (at < 0)
        return (int)at;
    a->end = a->start + (clusters << q->cluster_bits);
    *bytes = MIN(*bytes, a->end - offset);
    a->host = (uint64_t)at;
    a->fresh = a->host >= align_up(file_end, q->cluster_size);
    return 0;
}

/*
 * Bytes in front of and behind the written range that must come from the old contents: to the edges of subclusters or
 * clusters.
 */
static void cow_range(const Qcow2 *q, const Alloc *a, bool moved, uint64_t offset, uint64_t bytes, uint64_t *from,
                      uint64_t *to)
{
    uint64_t unit = BIT(q->subcluster_bits);
    *from = moved ? a->start : align_down(offset, unit);
    *to = moved ? a->end : align_up(offset + bytes, unit);
}

/* Is there anything but zeroes to be copied? */
static bool old_is_zero(BlockNode *n, uint64_t from, uint64_t to)
{
    Qcow2 *q = q2_of(n);
    while (from < to) {
        Q2Map m;
        pthread_mutex_lock(&q->lock);
        int r = q2_map(n, from, to - from, &m);
        pthread_mutex_unlock(&q->lock);
        if (r || m.kind == Q2_DATA || m.kind == Q2_COMPRESSED ||
            (m.kind == Q2_UNALLOCATED && n->backing && from < block_size(n->backing)))
            return false;
        from += m.len;
    }
    return true;
}

static int fill(BlockNode *n, uint64_t from, uint64_t to, void **buf)
{
    uint64_t disk = block_size(n), len = to - from;
    *buf = NULL;
    if (!len)
        return 0;
    if (posix_memalign(buf, 4096, align_up(len, 4096)))
        return -ENOMEM;
    uint64_t have = from < disk ? MIN(len, disk - from) : 0;
    struct iovec iov = { *buf, have };
    memset((uint8_t *)*buf + have, 0, len - have);
    return have ? q2_read_range(n, from, have, &iov, 1) : 0;
}

/* Old contents around, new contents between: one write. */
static int write_with_cow(BlockNode *n, const Alloc *a, uint64_t from, uint64_t to, uint64_t offset, uint64_t bytes,
                          const struct iovec *iov, int iovcnt, size_t skip)
{
    Qcow2 *q = q2_of(n);
    uint64_t data_at = a->host + (offset - a->start);
    g_autofree struct iovec *part = g_new(struct iovec, iovcnt + 2);
    void *head = NULL, *tail = NULL;
    bool plain = from == offset && to == offset + bytes;
    if (!plain && !q->crypt_method && old_is_zero(n, from, offset) && old_is_zero(n, offset + bytes, to)) {
        /* new clusters at the end of the file are zero; else let the host zero them */
        int r = block_pwrite_zeroes(q->data, a->host + (from - a->start), to - from, BLOCK_REQ_NO_FALLBACK);
        plain = !r;
    }
    int count = 0, r = 0;
    if (!plain) {
        r = fill(n, from, offset, &head);
        r = r ? r : fill(n, offset + bytes, to, &tail);
        if (offset > from)
            part[count++] = (struct iovec){ head, offset - from };
        data_at -= offset - from;
    }
    count += iov_part(part + count, iov, iovcnt, skip, bytes);
    if (!plain && to > offset + bytes)
        part[count++] = (struct iovec){ tail, to - offset - bytes };
    r = r ? r : q2_data_pwritev(n, a->start + (data_at - a->host), data_at, part, count);
    free(head);
    free(tail);
    return r;
}

/* The entries of the pass point to what was written. (locked) */
static int link_clusters(BlockNode *n, const Alloc *a, uint64_t from, uint64_t to)
{
    Qcow2 *q = q2_of(n);
    for (uint64_t at = a->start; at < a->end; at += q->cluster_size) {
        unsigned index;
        int error;
        Q2Table *t = q2_l2(n, at, true, &index, &error);
        if (!t)
            return error;
        uint64_t old = q2_entry(q, t, index), bitmap = q2_bitmap(q, t, index);
        uint64_t host = a->host + (at - a->start);
        if (!a->in_place)
            q2_free_entry(n, old);
        if (old & OFLAG_COMPRESSED || (!a->in_place && old & OFFSET_MASK && !q->data_node))
            bitmap = q->subclusters > 1 && !(old & OFLAG_COMPRESSED) ? bitmap : 0;
        uint64_t first = MAX(from, at), last = MIN(to, at + q->cluster_size);
        if (q->subclusters > 1 && first < last) {
            unsigned s = (unsigned)((first - at) >> q->subcluster_bits),
                     e = (unsigned)((last - 1 - at) >> q->subcluster_bits);
            uint64_t mask = bits_mask(e - s + 1) << s;
            bitmap = (bitmap & ~(mask << 32)) | mask;
        }
        q2_set_entry(q, t, index, host | OFLAG_COPIED, bitmap);
        q2_cache_put(t);
    }
    return 0;
}

/*
 * Does the pass move clusters that have contents (a snapshot's, a compressed one)? Then all of each is copied. (locked)
 */
static int moves_data(BlockNode *n, const Alloc *a, bool *moved)
{
    Qcow2 *q = q2_of(n);
    *moved = false;
    for (uint64_t at = a->start; !a->in_place && at < a->end; at += q->cluster_size) {
        unsigned index;
        int error;
        Q2Table *t = q2_l2(n, at, false, &index, &error);
        if (error)
            return error;
        if (t) {
            uint64_t entry = q2_entry(q, t, index);
            *moved |= entry & (OFLAG_COMPRESSED | OFFSET_MASK);
            q2_cache_put(t);
        }
    }
    return 0;
}

/* Clusters that the tables call ours, and that are written to where they stand. (locked) */
static int check_in_place(BlockNode *n, uint64_t host, uint64_t len)
{
    Qcow2 *q = q2_of(n);
    return q->data_node || q2_overlap_clear(q, host, len) ? 0 : q2_overlap_check(n, host, len, 0);
}

/* One pass of a write; returns how much it did. */
static int write_some(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, size_t skip,
                      uint64_t *did)
{
    Qcow2 *q = q2_of(n);
    Q2Request request;
    Q2Map m;
    Alloc a = { 0 };
    uint64_t bytes = 0;
    pthread_mutex_lock(&q->lock);
    q2_request_begin(q, &request, offset, len, Q2_WRITES);
    int r = q->broken ? -EIO : q2_map(n, offset, len, &m);
    bool in_place = !r && m.kind == Q2_DATA && m.copied;
    if (in_place)
        r = check_in_place(n, m.host, m.len);
    if (!r && in_place) {
        pthread_mutex_unlock(&q->lock);
        g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
        r = q2_data_pwritev(n, offset, m.host, part, iov_part(part, iov, iovcnt, skip, m.len));
        *did = m.len;
        q2_request_end(q, &request);
        return r;
    }
    q2_request_end(q, &request);
    if (r)
        goto out;
    uint64_t first = align_down(offset, q->cluster_size);
    q2_request_begin(q, &request, first, align_up(offset + MIN(len, (uint64_t)ALLOC_MAX), q->cluster_size) - first,
                     Q2_ALLOCATES);
    bool moved = false;
    r = q->lazy && !q->dirty_written ? q2_mark_dirty(n) : 0;
    r = r ? r : needs_alloc(n, offset, MIN(len, (uint64_t)ALLOC_MAX), &a.in_place, &bytes, &a.host);
    if (!r && bytes) {
        r = allocate(n, offset, &bytes, &a);
        r = r || !a.in_place ? r : check_in_place(n, a.host, a.end - a.start);
        r = r ? r : moves_data(n, &a, &moved);
        pthread_mutex_unlock(&q->lock);
        uint64_t from, to;
        cow_range(q, &a, moved, offset, bytes, &from, &to);
        r = r ? r : write_with_cow(n, &a, from, to, offset, bytes, iov, iovcnt, skip);
        pthread_mutex_lock(&q->lock);
        if (!r)
            r = link_clusters(n, &a, from, to);
        else if (!a.in_place && a.host && !q->data_node)
            q2_free_later(n, a.host, (a.end - a.start) >> q->cluster_bits);
    }
    q2_request_end(q, &request);
    *did = bytes; /* 0: somebody else allocated it meanwhile, try again */
out:
    pthread_mutex_unlock(&q->lock);
    return r;
}

/*
 * One step of q2_reserve(): clusters that nothing was written to yet, and how far they go. (locked, but while the host
 * makes room)
 */
static int reserve_some(BlockNode *n, uint64_t offset, uint64_t len, uint64_t *did)
{
    Qcow2 *q = q2_of(n);
    Alloc a = { 0 };
    Q2Map m;
    int r = q2_map(n, offset, len, &m);
    *did = m.len;
    if (r || (m.kind == Q2_DATA && m.copied))
        return r;
    r = needs_alloc(n, offset, MIN(len, (uint64_t)ALLOC_MAX), &a.in_place, did, &a.host);
    r = r ? r : allocate(n, offset, did, &a);
    if (r)
        return r;
    pthread_mutex_unlock(&q->lock);
    r = a.in_place ? 0 : block_reserve(q->data, a.host, a.end - a.start);
    pthread_mutex_lock(&q->lock);
    if (!r || r == -ENOTSUP)
        return link_clusters(n, &a, a.start, a.end);
    if (!q->data_node)
        q2_free_later(n, a.host, (a.end - a.start) >> q->cluster_bits);
    return r;
}

int q2_reserve(BlockNode *n, uint64_t offset, uint64_t len)
{
    Qcow2 *q = q2_of(n);
    Q2Request request;
    pthread_mutex_lock(&q->lock);
    uint64_t first = align_down(offset, q->cluster_size);
    q2_request_begin(q, &request, first, align_up(offset + len, q->cluster_size) - first, Q2_ALLOCATES);
    int r = q->broken ? -EIO : q->lazy && !q->dirty_written ? q2_mark_dirty(n) : 0;
    for (uint64_t done = 0, did; !r && done < len; done += did)
        r = reserve_some(n, offset + done, len - done, &did);
    q2_request_end(q, &request);
    pthread_mutex_unlock(&q->lock);
    return r;
}

static int write_compressed(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    Qcow2 *q = q2_of(n);
    if (q->crypt_method)
        return -ENOSPC; /* compressed clusters would stand there in the clear */
    if (q->data_node || offset & (q->cluster_size - 1) || len > q->cluster_size ||
        (len < q->cluster_size && offset + len != block_size(n)))
        return -EINVAL;
    g_autofree uint8_t *in = g_malloc0(q->cluster_size), *out = g_malloc(q->cluster_size);
    iov_to_buf(iov, iovcnt, 0, in, len);
    ssize_t size = q2_deflate(q, in, out, q->cluster_size - 1);
    if (size == -ENOSPC)
        return -ENOSPC; /* the caller writes it plain */
    if (size < 0)
        return (int)size;
    Q2Request request;
    unsigned index;
    int error = 0;
    pthread_mutex_lock(&q->lock);
    q2_request_begin(q, &request, offset, q->cluster_size, Q2_ALLOCATES);
    int64_t at = q->broken ? -EIO : q2_alloc_bytes(n, (uint64_t)size);
    error = at < 0 ? (int)at : 0;
    pthread_mutex_unlock(&q->lock);
    if (!error)
        error = block_pwrite(n->file, (uint64_t)at, out, (size_t)size);
    pthread_mutex_lock(&q->inflate_lock);
    q->inflated_entry = 0; /* the place may have been another compressed cluster's */
    pthread_mutex_unlock(&q->inflate_lock);
    pthread_mutex_lock(&q->lock);
    Q2Table *t = error ? NULL : q2_l2(n, offset, true, &index, &error);
    if (t) {
        unsigned x = 62 - (q->cluster_bits - 8);
        uint64_t sectors = (((uint64_t)at + (uint64_t)size - 1) >> 9) - ((uint64_t)at >> 9);
        q2_free_entry(n, q2_entry(q, t, index));
        q2_set_entry(q, t, index, OFLAG_COMPRESSED | (uint64_t)at | sectors << x, 0);
        q2_cache_put(t);
    }
    q2_request_end(q, &request);
    pthread_mutex_unlock(&q->lock);
    return error;
}

int q2_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    if (flags & BLOCK_REQ_COMPRESSED) {
        int r = write_compressed(n, offset, len, iov, iovcnt);
        if (r != -ENOSPC)
            return r;
    }
    int r = 0;
    for (uint64_t done = 0; !r && done < len;) {
        uint64_t did = 0;
        r = write_some(n, offset + done, len - done, iov, iovcnt, done, &did);
        done += did;
    }
    return r;
}
