/* SPDX-License-Identifier: MIT */
/* qcow2: reference counts, allocation and release of clusters. */
#include <string.h>
#include "block/qcow2/qcow2.h"

/* --- entries of 1 to 64 bits (specification, "Refcount tables") --- */

uint64_t q2_refcount_max(const Qcow2 *q)
{
    return q->refcount_order == 6 ? ~UINT64_C(0) : BIT(1u << q->refcount_order) - 1;
}

uint64_t q2_get_count(const Qcow2 *q, const uint8_t *block, uint64_t index)
{
    unsigned bits = 1u << q->refcount_order;
    if (bits >= 8)
        return load_be(block + index * (bits / 8), bits / 8);
    unsigned per_byte = 8 / bits;
    return block[index / per_byte] >> (index % per_byte * bits) & (BIT(bits) - 1);
}

void q2_set_count(const Qcow2 *q, uint8_t *block, uint64_t index, uint64_t value)
{
    unsigned bits = 1u << q->refcount_order;
    if (bits >= 8) {
        store_be(block + index * (bits / 8), bits / 8, value);
        return;
    }
    unsigned per_byte = 8 / bits, shift = (unsigned)(index % per_byte) * bits;
    uint8_t *b = &block[index / per_byte];
    *b = (uint8_t)((*b & ~((BIT(bits) - 1) << shift)) | value << shift);
}

int q2_read_reftable(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    q->reftable_size = (uint64_t)q->reftable_clusters << (q->cluster_bits - 3);
    q->reftable = g_try_malloc0(MAX(q->reftable_size, 1u) * 8);
    int r = q->reftable ? block_pread(n->file, q->reftable_offset, q->reftable, q->reftable_size * 8) : -ENOMEM;
    if (r)
        error_set_errno(errp, -r, "image '%s': its refcount table can't be read", block_filename(n));
    for (uint64_t i = 0; !r && i < q->reftable_size; i++)
        q->reftable[i] = GUINT64_FROM_BE(q->reftable[i]);
    return r;
}

static uint64_t block_index(const Qcow2 *q, uint64_t cluster) { return cluster >> q->refblock_bits; }
static uint64_t index_in_block(const Qcow2 *q, uint64_t cluster) { return cluster & (BIT(q->refblock_bits) - 1); }

/* The block that counts `cluster`, pinned; NULL with *error 0: none yet. */
static Q2Table *refblock(BlockNode *n, uint64_t cluster, int *error)
{
    Qcow2 *q = q2_of(n);
    uint64_t i = block_index(q, cluster);
    *error = 0;
    uint64_t at = i < q->reftable_size ? q->reftable[i] & ~UINT64_C(0x1ff) : 0;
    if (!at)
        return NULL;
    if (at & (q->cluster_size - 1)) {
        *error = q2_corrupt(n, "refcount block %" PRIu64 " is not aligned to a cluster (0x%" PRIx64 ")", i, at);
        return NULL;
    }
    return q2_cache_get(n, &q->refblocks, at, false, error);
}

int q2_refcount(BlockNode *n, uint64_t cluster, uint64_t *count)
{
    int error;
    Q2Table *t = refblock(n, cluster, &error);
    *count = 0;
    if (!t)
        return error;
    *count = q2_get_count(q2_of(n), t->data, index_in_block(q2_of(n), cluster));
    q2_cache_put(t);
    return 0;
}

/* --- growing --- */

static void reftable_dirty(Qcow2 *q, uint64_t i)
{
    q->reftable_first = q->reftable_dirty ? MIN(q->reftable_first, i) : i;
    q->reftable_last = q->reftable_dirty ? MAX(q->reftable_last, i) : i;
    q->reftable_dirty = true;
}

/* First cluster behind everything that is counted. */
static int end_of_image(BlockNode *n, uint64_t *cluster)
{
    Qcow2 *q = q2_of(n);
    uint64_t per_block = BIT(q->refblock_bits);
    for (uint64_t i = q->reftable_size; i-- > 0;) {
        int error;
        Q2Table *t = q->reftable[i] ? refblock(n, i * per_block, &error) : NULL;
        if (!t && q->reftable[i])
            return error;
        for (uint64_t k = per_block; t && k-- > 0;) {
            if (q2_get_count(q, t->data, k)) {
                q2_cache_put(t);
                *cluster = i * per_block + k + 1;
                return 0;
            }
        }
        if (t)
            q2_cache_put(t);
    }
    *cluster = 0;
    return 0;
}

/*
 * A larger refcount table that reaches `cluster`: it and the blocks that count it stand together at the end of the
 * image, written and flushed before the header points there.
 */
static int grow_reftable(BlockNode *n, uint64_t cluster)
{
    Qcow2 *q = q2_of(n);
    uint64_t start, per_block = BIT(q->refblock_bits);
    int r = q2_writeback(n);
    r = r ? r : end_of_image(n, &start);
    if (r)
        return r;
    start = align_up(MAX(start, q->reftable_size * per_block), per_block); /* a block of its own */
    uint64_t blocks = 1, table_clusters, entries;
    for (;;) { /* until the new blocks cover themselves and the table */
        entries = MAX(MAX(start / per_block + blocks, block_index(q, cluster) + 1),
                      q->reftable_size + q->reftable_size / 2);
        table_clusters = q2_clusters(q, entries * 8);
        uint64_t need = (blocks + table_clusters + per_block - 1) / per_block;
        if (need <= blocks)
            break;
        blocks = need;
    }
    entries = table_clusters << (q->cluster_bits - 3);
    if (table_clusters << q->cluster_bits > QCOW2_MAX_REFTABLE)
        return -EFBIG;
    uint64_t *table = g_try_malloc0(entries * 8);
    g_autofree uint8_t *block = g_try_malloc0(q->cluster_size);
    if (!table || !block) {
        g_free(table);
        return -ENOMEM;
    }
    memcpy(table, q->reftable, q->reftable_size * 8);
    uint64_t used = blocks + table_clusters;
    for (uint64_t b = 0; !r && b < blocks; b++) {
        memset(block, 0, q->cluster_size);
        for (uint64_t k = 0; k < per_block && b * per_block + k < used; k++)
            q2_set_count(q, block, k, 1);
        table[start / per_block + b] = (start + b) << q->cluster_bits;
        r = block_pwrite(n->file, (start + b) << q->cluster_bits, block, q->cluster_size);
    }
    uint64_t at = (start + blocks) << q->cluster_bits;
    g_autofree uint64_t *raw = g_try_malloc(entries * 8);
    for (uint64_t i = 0; raw && i < entries; i++)
        raw[i] = GUINT64_TO_BE(table[i]);
    r = r ? r : raw ? block_pwrite(n->file, at, raw, entries * 8) : -ENOMEM;
    r = r ? r : block_flush(n->file);
    uint8_t field[12];
    store_be(field, 8, at);
    store_be(field + 8, 4, table_clusters);
    r = r ? r : block_pwrite(n->file, 48, field, sizeof field); /* both at once: one sector */
    r = r ? r : block_flush(n->file);
    if (r) {
        g_free(table);
        return r;
    }
    uint64_t old = q->reftable_offset, old_clusters = q->reftable_clusters;
    g_free(q->reftable);
    q->reftable = table;
    q->reftable_size = entries;
    q->reftable_offset = at;
    q->reftable_clusters = (uint32_t)table_clusters;
    q2_overlap_add(q, start << q->cluster_bits, blocks << q->cluster_bits, Q2_IS_REFBLOCK);
    q2_overlap_add(q, at, entries * 8, Q2_IS_REFTABLE);
    q2_free_later(n, old, old_clusters);
    return 0;
}

static int64_t find_free(BlockNode *n, uint64_t clusters);

/* Make the block that counts `cluster`. It may count itself. */
static int new_refblock(BlockNode *n, uint64_t cluster)
{
    Qcow2 *q = q2_of(n);
    uint64_t i = block_index(q, cluster);
    if (i >= q->reftable_size) {
        int r = grow_reftable(n, cluster);
        if (r || q->reftable[i])
            return r;
    }
    int64_t at = find_free(n, 1);
    if (at < 0)
        return (int)at;
    int error;
    uint64_t own = (uint64_t)at >> q->cluster_bits;
    if (block_index(q, own) >= q->reftable_size)
        return grow_reftable(n, own);
    Q2Table *t = q2_cache_get(n, &q->refblocks, (uint64_t)at, true, &error);
    if (!t)
        return error;
    if (block_index(q, own) == i)
        q2_set_count(q, t->data, index_in_block(q, own), 1);
    q2_cache_dirty(&q->refblocks, t);
    q2_cache_put(t);
    q->reftable[i] = (uint64_t)at;
    q2_overlap_add(q, (uint64_t)at, 1, Q2_IS_REFBLOCK);
    reftable_dirty(q, i);
    return block_index(q, own) == i ? 0 : q2_change_refcount(n, own, 1, true);
}

int q2_change_refcount(BlockNode *n, uint64_t first, uint64_t clusters, bool up)
{
    Qcow2 *q = q2_of(n);
    for (uint64_t c = first; c < first + clusters; c++) {
        int error;
        Q2Table *t = refblock(n, c, &error);
        for (unsigned tries = 0; !t && !error && up && tries < 4; tries++) {
            error = new_refblock(n, c);
            t = error ? NULL : refblock(n, c, &error);
        }
        if (!t)
            return error ? error
                   : up  ? -EIO
                         : q2_corrupt(n, "cluster %" PRIu64 " is given back but was not counted", c);
        uint64_t index = index_in_block(q, c), count = q2_get_count(q, t->data, index);
        if (up && count == q2_refcount_max(q)) { /* too narrow: as if nothing had been asked */
            q2_cache_put(t);
            error = c > first ? q2_change_refcount(n, first, c - first, false) : 0;
            return error ? error : -EOVERFLOW;
        }
        if (!up && !count) {
            q2_cache_put(t);
            return q2_corrupt(n, "cluster %" PRIu64 " is given back but is free", c);
        }
        q2_set_count(q, t->data, index, up ? count + 1 : count - 1);
        q2_cache_dirty(&q->refblocks, t);
        q2_cache_put(t);
        if (!up && count == 1) {
            q->free_hint = MIN(q->free_hint, c);
            if (q->packed_offset >> q->cluster_bits == c)
                q->packed_offset = 0;
            q2_cache_forget(&q->l2, c << q->cluster_bits);
            q2_cache_forget(&q->refblocks, c << q->cluster_bits);
        }
    }
    return 0;
}

int q2_set_refcount(BlockNode *n, uint64_t cluster, uint64_t count)
{
    Qcow2 *q = q2_of(n);
    uint64_t have;
    int error = q2_refcount(n, cluster, &have);
    if (!error && !have && count)
        error = q2_change_refcount(n, cluster, 1, true); /* makes the block that counts it */
    Q2Table *t = error || (!have && !count) ? NULL : refblock(n, cluster, &error);
    if (!t)
        return error;
    if (count > q2_refcount_max(q)) {
        q2_cache_put(t);
        return -EOVERFLOW;
    }
    q2_set_count(q, t->data, index_in_block(q, cluster), count ? count : 1);
    q2_cache_dirty(&q->refblocks, t);
    q2_cache_put(t);
    return count ? 0 : q2_change_refcount(n, cluster, 1, false);
}

/* --- allocation --- */

/* Host offset of `clusters` adjacent free ones, from the hint on. */
static int64_t find_free(BlockNode *n, uint64_t clusters)
{
    Qcow2 *q = q2_of(n);
    uint64_t run = 0, c = q->free_hint;
    bool first = true;
    for (;;) {
        uint64_t stop = (c | (BIT(q->refblock_bits) - 1)) + 1;
        int error;
        Q2Table *t = refblock(n, c, &error);
        if (error)
            return error;
        for (; c < stop && run < clusters; c++) {
            bool is_free = !t || !q2_get_count(q, t->data, index_in_block(q, c));
            if (is_free && first) {
                q->free_hint = c;
                first = false;
            }
            run = is_free ? run + 1 : 0;
        }
        if (t)
            q2_cache_put(t);
        if (run >= clusters)
            break;
        if (c >= (uint64_t)INT64_MAX >> q->cluster_bits)
            return -EFBIG;
    }
    uint64_t start = (c - clusters) << q->cluster_bits, bytes = clusters << q->cluster_bits;
    if (start + bytes > OFFSET_MASK)
        return -EFBIG;
    int r = q2_overlap_check(n, start, bytes, 0); /* the counts may be wrong */
    return r ? r : (int64_t)start;
}

int64_t q2_alloc(BlockNode *n, uint64_t clusters)
{
    Qcow2 *q = q2_of(n);
    for (unsigned tries = 0; tries < 8; tries++) {
        int64_t at = find_free(n, clusters);
        if (at < 0)
            return at;
        /* the blocks that count them may have to be made first, and take the place */
        int error = 0;
        uint64_t first = (uint64_t)at >> q->cluster_bits;
        bool made = false;
        for (uint64_t b = block_index(q, first); !error && b <= block_index(q, first + clusters - 1); b++) {
            if (b >= q->reftable_size || !q->reftable[b]) {
                error = new_refblock(n, b << q->refblock_bits);
                made = true;
            }
        }
        if (error)
            return error;
        if (made)
            continue;
        error = q2_change_refcount(n, first, clusters, true);
        return error ? error : at;
    }
    return -ENOSPC;
}

/* Compressed clusters share host clusters: every user counts once. */
int64_t q2_alloc_bytes(BlockNode *n, uint64_t bytes)
{
    Qcow2 *q = q2_of(n);
    uint64_t room = q->packed_offset ? q->cluster_size - (q->packed_offset & (q->cluster_size - 1)) : 0;
    if (q->packed_offset && !(q->packed_offset & (q->cluster_size - 1)))
        room = 0;
    if (room) {
        uint64_t count;
        int r = q2_refcount(n, q->packed_offset >> q->cluster_bits, &count);
        if (r)
            return r;
        if (count == q2_refcount_max(q))
            room = 0;
    }
    uint64_t at;
    if (room < bytes) {
        int64_t got = q2_alloc(n, 1);
        if (got < 0)
            return got;
        bool follows = room && (uint64_t)got == align_up(q->packed_offset, q->cluster_size);
        at = follows ? q->packed_offset : (uint64_t)got;
        if (follows) { /* goes across the boundary: another user of the first cluster */
            int r = q2_change_refcount(n, at >> q->cluster_bits, 1, true);
            if (r)
                return r;
        }
    } else {
        at = q->packed_offset;
        int r = q2_change_refcount(n, at >> q->cluster_bits, 1, true);
        if (r)
            return r;
    }
    q->packed_offset = at + bytes;
    return (int64_t)at;
}

/* --- release --- */

void q2_free_later(BlockNode *n, uint64_t offset, uint64_t clusters)
{
    Qcow2 *q = q2_of(n);
    Q2Free f = { offset, clusters, ++q->stamp, q->why, false };
    if (q->pending->len) { /* often the neighbour of the last one */
        Q2Free *last = &g_array_index(q->pending, Q2Free, q->pending->len - 1);
        if (!last->durable && last->why == f.why && last->offset + (last->clusters << q->cluster_bits) == offset) {
            last->clusters += clusters;
            last->stamp = f.stamp;
            return;
        }
    }
    g_array_append_val(q->pending, f);
}

void q2_free_entry(BlockNode *n, uint64_t entry)
{
    Qcow2 *q = q2_of(n);
    if (entry & OFLAG_COMPRESSED) {
        uint64_t offset, len;
        q2_compressed_range(q, entry, &offset, &len);
        uint64_t first = align_down(offset, q->cluster_size), last = align_down(offset + len - 1, q->cluster_size);
        q2_free_later(n, first, ((last - first) >> q->cluster_bits) + 1);
    } else if (entry & OFFSET_MASK && !q->data_node) {
        q2_free_later(n, entry & OFFSET_MASK, 1);
    }
}

static bool still_used(Qcow2 *q, const Q2Free *f)
{
    bool used = false;
    pthread_mutex_lock(&q->requests_lock);
    for (const Q2Request *r = q->requests; r && !used; r = r->next)
        used = r->stamp <= f->stamp;
    pthread_mutex_unlock(&q->requests_lock);
    return used;
}

/* The host may have the place of those that nobody uses any more, adjacent ones at once. */
int q2_unmap_free(BlockNode *n, const Q2Free *f)
{
    Qcow2 *q = q2_of(n);
    uint64_t run = 0, first = f->offset >> q->cluster_bits, whole = block_size(n->file) >> q->cluster_bits;
    int r = 0;
    if (!(n->flags & BLOCK_UNMAP) || !q->pass_discard[f->why])
        return 0;
    for (uint64_t i = 0; i <= f->clusters && !r; i++) {
        uint64_t count = 1;
        if (i < f->clusters && first + i < whole)
            r = q2_refcount(n, first + i, &count);
        if (!count)
            run++;
        else if (run)
            block_pdiscard(n->file, (first + i - run) << q->cluster_bits, run << q->cluster_bits), run = 0;
    }
    return r;
}

int q2_give_back(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    int r = 0;
    for (unsigned i = 0; i < q->pending->len && !r;) {
        Q2Free f = g_array_index(q->pending, Q2Free, i);
        if (!f.durable || still_used(q, &f)) {
            i++;
            continue;
        }
        g_array_remove_index(q->pending, i);
        r = q2_change_refcount(n, f.offset >> q->cluster_bits, f.clusters, false);
        r = r ? r : q2_unmap_free(n, &f);
    }
    return r;
}
