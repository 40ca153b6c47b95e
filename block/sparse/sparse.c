/* SPDX-License-Identifier: MIT */
/*
 * Requests to images with mapped blocks: what each kind of block is read from, new blocks, order of requests that
 * overlap.
 */
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "block/crypto/crypto.h"
#include "block/sparse/sparse.h"

enum { ALLOC_MAX = 4 << 20, PIECE = 1 << 20, MERGE_MAX = 4096 };

static Sparse *sparse_of(BlockNode *n) { return n->opaque; }

void sparse_init(BlockNode *n, const SparseOps *ops)
{
    Sparse *s = sparse_of(n);
    s->ops = ops;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

void sparse_destroy(BlockNode *n)
{
    pthread_mutex_destroy(&sparse_of(n)->lock);
    pthread_cond_destroy(&sparse_of(n)->changed);
}

/* --- data in files: as they are, or encrypted by their offset on the disk --- */

static CryptoSectors *key_of(BlockNode *n) { return sparse_of(n)->ops->key ? sparse_of(n)->ops->key(n) : NULL; }

static int data_read(BlockNode *n, const SparseMap *m, uint64_t disk, uint64_t host, const struct iovec *iov,
                     int iovcnt)
{
    CryptoSectors *key = key_of(n);
    return key ? crypt_preadv(m->file, key, host, disk, iov, iovcnt) : block_preadv(m->file, host, iov, iovcnt);
}

static int data_write(BlockNode *n, const SparseMap *m, uint64_t disk, uint64_t host, const struct iovec *iov,
                      int iovcnt)
{
    CryptoSectors *key = key_of(n);
    return key ? crypt_pwritev(m->file, key, host, disk, iov, iovcnt) : block_pwritev(m->file, host, iov, iovcnt, 0);
}

/* It need not be open now. */
static bool has_backing(const BlockNode *n) { return n->backing || n->backing_file; }

/* --- requests in flight --- */

typedef enum Use { READS, WRITES, ALLOCATES, ZEROES } Use;
struct SparseRequest { uint64_t start, end; Use use; SparseRequest *next, *prev; };

/*
 * Reads and writes of what is mapped go along with each other; who maps a block is alone among those who write to it.
 */
static bool conflict(const SparseRequest *a, const SparseRequest *b)
{
    bool plain_a = a->use == READS || a->use == WRITES, plain_b = b->use == READS || b->use == WRITES;
    if (plain_a && plain_b)
        return false;
    if ((a->use == READS && b->use == ALLOCATES) || (a->use == ALLOCATES && b->use == READS))
        return false;
    return a->start < b->end && b->start < a->end;
}

static bool must_wait(const Sparse *s, const SparseRequest *r)
{
    for (const SparseRequest *o = s->requests; o; o = o->next) {
        if (conflict(o, r))
            return true;
    }
    return false;
}

static void request_begin(Sparse *s, SparseRequest *r, uint64_t start, uint64_t len, Use use)
{
    *r = (SparseRequest){ .start = start, .end = start + len, .use = use };
    while (must_wait(s, r))
        pthread_cond_wait(&s->changed, &s->lock);
    r->next = s->requests;
    if (r->next)
        r->next->prev = r;
    s->requests = r;
}

static void request_end(Sparse *s, SparseRequest *r)
{
    if (r->next)
        r->next->prev = r->prev;
    if (r->prev)
        r->prev->next = r->next;
    else
        s->requests = r->next;
    pthread_cond_broadcast(&s->changed);
}

/* As much as is of one kind and side by side. (locked) */
static int map_run(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    const SparseOps *ops = sparse_of(n)->ops;
    *m = (SparseMap){ 0 };
    int r = ops->map(n, offset, len, m);
    for (unsigned i = 0; !r && i < MERGE_MAX && m->len < len && m->kind != SPARSE_PACKED; i++) {
        SparseMap next = { 0 };
        if (ops->map(n, offset + m->len, len - m->len, &next) || next.kind != m->kind || !next.len ||
            (m->kind == SPARSE_DATA && (next.file != m->file || next.host != m->host + m->len)))
            break;
        m->len += next.len;
    }
    if (!r && !m->len)
        r = -EIO;
    m->len = MIN(m->len, len);
    return r;
}

/* --- reading --- */

static int read_run(BlockNode *n, const SparseMap *m, uint64_t offset, const struct iovec *iov, int iovcnt, size_t skip)
{
    size_t len = (size_t)m->len;
    if (m->kind == SPARSE_PACKED)
        return sparse_of(n)->ops->inflate(n, m, (size_t)(offset - m->block), iov, iovcnt, skip, len);
    if (m->kind == SPARSE_ZERO || (m->kind == SPARSE_ABSENT && !n->backing)) {
        iov_zero(iov, iovcnt, skip, len);
        return 0;
    }
    struct iovec small[16], *part = iovcnt > 16 ? g_new(struct iovec, iovcnt) : small;
    int count = iov_part(part, iov, iovcnt, skip, len), r;
    if (m->kind == SPARSE_ABSENT) {
        r = block_read_backing(n, offset, part, count);
    } else { /* a file may end within its last block */
        uint64_t size = block_size(m->file), have = m->host < size ? MIN((uint64_t)len, size - m->host) : 0;
        r = have == len ? data_read(n, m, offset, m->host, part, count) : 0;
        if (have < len) {
            iov_zero(part, count, have, len - have);
            count = iov_part(part, iov, iovcnt, skip, have);
            r = have ? data_read(n, m, offset, m->host, part, count) : 0;
        }
    }
    if (part != small)
        g_free(part);
    return r;
}

static int read_range(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    Sparse *s = sparse_of(n);
    int r = 0;
    for (uint64_t done = 0; !r && done < len;) {
        SparseMap m;
        pthread_mutex_lock(&s->lock);
        r = map_run(n, offset + done, len - done, &m);
        pthread_mutex_unlock(&s->lock);
        r = r ? r : read_run(n, &m, offset + done, iov, iovcnt, done);
        done += m.len;
    }
    return r;
}

int sparse_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    Sparse *s = sparse_of(n);
    SparseRequest request;
    pthread_mutex_lock(&s->lock);
    request_begin(s, &request, offset, len, READS);
    pthread_mutex_unlock(&s->lock);
    int r = read_range(n, offset, len, iov, iovcnt);
    pthread_mutex_lock(&s->lock);
    request_end(s, &request);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* --- writing --- */

/* Zeroes that must be encrypted. */
static int write_zero_data(BlockNode *n, const SparseMap *m, uint64_t from, uint64_t to)
{
    g_autofree uint8_t *zeroes = g_try_malloc0(MIN(to - from, (uint64_t)PIECE));
    int r = zeroes ? 0 : -ENOMEM;
    for (uint64_t at = from; !r && at < to;) {
        struct iovec iov = { zeroes, MIN(to - at, (uint64_t)PIECE) };
        r = data_write(n, m, at, m->host + (at - m->block), &iov, 1);
        at += iov.iov_len;
    }
    return r;
}

/* The disk's bytes [from, to) at `host`: what was there, of a block of kind `was`. They belong to new blocks. */
static int fill(BlockNode *n, const SparseMap *m, uint64_t from, uint64_t to, SparseKind was, bool fresh)
{
    bool old = was == SPARSE_PACKED || (was == SPARSE_ABSENT && n->backing);
    uint64_t end = old ? MIN(to, block_size(n)) : from;
    g_autofree uint8_t *buf = from < end ? g_try_malloc(PIECE) : NULL;
    if (from < end && !buf)
        return -ENOMEM;
    int r = 0;
    for (uint64_t at = from; !r && at < end;) {
        struct iovec iov = { buf, MIN(end - at, (uint64_t)PIECE) };
        r = was == SPARSE_PACKED ? read_range(n, at, iov.iov_len, &iov, 1) : block_read_backing(n, at, &iov, 1);
        if (!r && !(fresh && buf_is_zero(buf, iov.iov_len)))
            r = data_write(n, m, at, m->host + (at - m->block), &iov, 1);
        at += iov.iov_len;
    }
    end = MAX(end, from);
    if (!r && end < to && key_of(n))
        r = write_zero_data(n, m, end, to);
    else if (!r && end < to && !fresh)
        r = block_pwrite_zeroes(m->file, m->host + (end - m->block), to - end, BLOCK_REQ_MAY_UNMAP);
    return r;
}

/* New blocks side by side, from the one with `offset` on. `first` has the start of the first. (locked) */
typedef struct Pass { SparseMap first; uint64_t blocks; bool fresh; SparseKind first_was, last_was; } Pass;

static int allocate(BlockNode *n, uint64_t offset, uint64_t len, Pass *p)
{
    const SparseOps *ops = sparse_of(n)->ops;
    *p = (Pass){ .fresh = true };
    uint64_t at = offset, end = offset + len;
    while (at < end) {
        SparseMap m = { 0 };
        bool fresh = false;
        int r = ops->map(n, at, end - at, &m);
        if (r)
            return p->blocks ? 0 : r;
        if (m.kind == SPARSE_DATA ||
            (p->blocks && (m.block != p->first.block + p->blocks * p->first.unit || m.unit != p->first.unit)))
            break;
        if (p->blocks && p->blocks * m.unit >= ALLOC_MAX)
            break;
        SparseKind was = m.kind;
        r = ops->alloc(n, &m, &fresh);
        if (r)
            return p->blocks ? 0 : r;
        if (p->blocks && (m.file != p->first.file || m.host != p->first.host + p->blocks * m.unit))
            break; /* the place is lost: can't happen while blocks are taken from the end */
        if (!p->blocks) {
            p->first = m;
            p->first_was = was;
        }
        p->fresh &= fresh && !key_of(n);
        p->last_was = was;
        p->blocks++;
        at = m.block + m.unit;
        if (ops->apart)
            break;
    }
    return 0;
}

static int link_all(BlockNode *n, const Pass *p)
{
    const SparseOps *ops = sparse_of(n)->ops;
    int r = 0;
    for (uint64_t i = 0; !r && i < p->blocks; i++) {
        SparseMap m = p->first;
        m.kind = SPARSE_DATA;
        m.block += i * m.unit;
        m.host += i * m.unit;
        r = ops->link(n, &m);
    }
    return r;
}

static int write_new(BlockNode *n, const Pass *p, uint64_t offset, uint64_t bytes, const struct iovec *iov, int iovcnt,
                     size_t skip)
{
    const SparseMap *m = &p->first;
    uint64_t end = m->block + p->blocks * m->unit;
    g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
    int r = offset > m->block ? fill(n, m, m->block, offset, p->first_was, p->fresh) : 0;
    r = r ? r : data_write(n, m, offset, m->host + (offset - m->block), part, iov_part(part, iov, iovcnt, skip, bytes));
    if (!r && offset + bytes < end)
        r = fill(n, m, offset + bytes, end, p->last_was, p->fresh);
    uint64_t stop = m->host + p->blocks * m->unit;
    if (!r && sparse_of(n)->ops->pads && offset + bytes < end && block_size(m->file) < stop)
        r = block_pwrite_zeroes(m->file, stop - 1, 1, 0);
    return r;
}

/* One pass of a write; *did: how much it did. */
static int write_some(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, size_t skip,
                      uint64_t *did)
{
    Sparse *s = sparse_of(n);
    SparseRequest request;
    SparseMap m;
    pthread_mutex_lock(&s->lock);
    request_begin(s, &request, offset, len, WRITES);
    int r = map_run(n, offset, len, &m);
    if (!r && m.kind == SPARSE_DATA) { /* in place */
        pthread_mutex_unlock(&s->lock);
        g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
        r = data_write(n, &m, offset, m.host, part, iov_part(part, iov, iovcnt, skip, m.len));
        *did = m.len;
        pthread_mutex_lock(&s->lock);
        request_end(s, &request);
        pthread_mutex_unlock(&s->lock);
        return r;
    }
    request_end(s, &request);
    if (!r && s->ops->full && s->ops->full(n))
        r = s->ops->sync(n);
    if (!r) {
        Pass p;
        uint64_t stop = MIN(MIN(offset + len, offset + ALLOC_MAX), m.limit);
        request_begin(s, &request, m.block, (stop - m.block + m.unit - 1) / m.unit * m.unit, ALLOCATES);
        r = allocate(n, offset, stop - offset, &p);
        if (!r && p.blocks) {
            *did = MIN(stop, p.first.block + p.blocks * p.first.unit) - offset;
            pthread_mutex_unlock(&s->lock);
            r = write_new(n, &p, offset, *did, iov, iovcnt, skip);
            pthread_mutex_lock(&s->lock);
            r = r ? r : link_all(n, &p);
        }
        request_end(s, &request);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* A block that is compressed: old contents around, then as a whole. */
static int write_packed(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, size_t skip,
                        uint64_t *did)
{
    Sparse *s = sparse_of(n);
    SparseRequest request;
    SparseMap m = { 0 };
    pthread_mutex_lock(&s->lock);
    int r = s->ops->full && s->ops->full(n) ? s->ops->sync(n) : 0;
    r = r ? r : s->ops->map(n, offset, len, &m);
    if (!r)
        request_begin(s, &request, m.block, m.unit, ALLOCATES);
    pthread_mutex_unlock(&s->lock);
    if (r)
        return r;
    g_autofree uint8_t *buf = g_try_malloc0(m.unit);
    uint64_t have = MIN(m.unit, block_size(n) - m.block);
    struct iovec whole = { buf, have };
    *did = MIN(len, m.block + m.unit - offset);
    r = !buf ? -ENOMEM : *did < have ? read_range(n, m.block, have, &whole, 1) : 0;
    if (!r) {
        iov_to_buf(iov, iovcnt, skip, buf + (offset - m.block), *did);
        bool nothing = m.kind == SPARSE_ABSENT && !has_backing(n) && buf_is_zero(buf, m.unit);
        r = nothing ? 0 : s->ops->pack(n, &m, buf);
    }
    pthread_mutex_lock(&s->lock);
    request_end(s, &request);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* (locked by itself) */
static int touch(BlockNode *n)
{
    Sparse *s = sparse_of(n);
    int r = 0;
    pthread_mutex_lock(&s->lock);
    if (!s->touched && s->ops->first_write)
        r = s->ops->first_write(n);
    s->touched = s->touched || !r;
    pthread_mutex_unlock(&s->lock);
    return MIN(r, 0);
}

int sparse_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    const SparseOps *ops = sparse_of(n)->ops;
    bool pack = ops->packs_all || flags & BLOCK_REQ_COMPRESSED;
    if (pack && !ops->pack)
        return -ENOTSUP;
    int r = touch(n);
    for (uint64_t done = 0; !r && done < len;) {
        uint64_t did = 0;
        r = pack ? write_packed(n, offset + done, len - done, iov, iovcnt, done, &did) : -ENOTSUP;
        if (r == -ENOTSUP)
            r = write_some(n, offset + done, pack ? did : len - done, iov, iovcnt, done, &did);
        done += did;
    }
    return r;
}

/* --- zeroes, discards --- */

/* (locked) Whole blocks; -ENOTSUP when one can't be made zero. */
static int zero_range(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags, bool discard)
{
    const SparseOps *ops = sparse_of(n)->ops;
    int r = 0;
    for (uint64_t done = 0; !r && done < len;) {
        SparseMap m;
        r = map_run(n, offset + done, len - done, &m);
        if (r)
            return r;
        if (m.kind == SPARSE_DATA && discard) { /* a hole is no zeroes of an encrypted disk */
            r = key_of(n) ? 0 : block_pdiscard(m.file, m.host, m.len);
        } else if (m.kind == SPARSE_DATA && key_of(n)) {
            return -ENOTSUP;
        } else if (m.kind == SPARSE_DATA) {
            r = block_pwrite_zeroes(m.file, m.host, m.len, flags & ~(unsigned)BLOCK_REQ_FUA);
        } else if (!discard && (m.kind == SPARSE_PACKED || (m.kind == SPARSE_ABSENT && has_backing(n)))) {
            bool whole = m.block == offset + done && (m.len % m.unit == 0 || offset + done + m.len == block_size(n));
            if (!ops->can_zero || !whole)
                return -ENOTSUP;
            m.kind = SPARSE_ZERO;
            for (uint64_t end = offset + done + m.len; !r && m.block < end; m.block += m.unit) {
                r = ops->full && ops->full(n) ? ops->sync(n) : 0;
                r = r ? r : ops->link(n, &m);
            }
        }
        done += m.len;
    }
    return r;
}

static int zero_locked(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags, bool discard)
{
    Sparse *s = sparse_of(n);
    SparseRequest request;
    int r = touch(n);
    if (r)
        return r;
    pthread_mutex_lock(&s->lock);
    request_begin(s, &request, offset, len, ZEROES);
    r = zero_range(n, offset, len, flags, discard);
    request_end(s, &request);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int sparse_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    return zero_locked(n, offset, len, flags, false);
}
int sparse_pdiscard(BlockNode *n, uint64_t offset, uint64_t len) { return zero_locked(n, offset, len, 0, true); }

/* --- the rest --- */

int sparse_flush(BlockNode *n)
{
    Sparse *s = sparse_of(n);
    pthread_mutex_lock(&s->lock);
    int r = s->ops->sync(n);
    pthread_mutex_unlock(&s->lock);
    return r;
}

bool sparse_inactivate(BlockNode *n, Error **errp)
{
    int r = sparse_flush(n);
    if (r)
        error_set_errno(errp, -r, "image '%s': its metadata can't be written back", block_filename(n));
    return !r;
}

int sparse_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    Sparse *s = sparse_of(n);
    SparseMap m;
    static const unsigned flags[] = {
        [SPARSE_ABSENT] = 0,
        [SPARSE_ZERO] = BLOCK_ZERO | BLOCK_ALLOCATED,
        [SPARSE_DATA] = BLOCK_DATA | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID,
        [SPARSE_PACKED] = BLOCK_DATA | BLOCK_ALLOCATED | BLOCK_COMPRESSED,
    };
    pthread_mutex_lock(&s->lock);
    int r = map_run(n, offset, len, &m);
    pthread_mutex_unlock(&s->lock);
    if (!r)
        *out = (BlockStatus){ flags[m.kind], m.len, m.host, m.kind == SPARSE_DATA ? m.file : NULL, 0 };
    return r;
}

int sparse_sync_tables(Meta *const *m, unsigned count)
{
    int r = 0;
    for (unsigned level = META_LEAF; level <= META_ROOT; level++) {
        for (unsigned i = 0; !r && i < count; i++) {
            if (m[i]->dirty[level]) {
                r = block_flush(m[i]->file);
                r = r ? r : meta_write_back(m[i], level);
            }
        }
    }
    for (unsigned i = 0; !r && i < count; i++)
        r = block_flush(m[i]->file);
    return r;
}
