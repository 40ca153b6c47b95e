/* SPDX-License-Identifier: MIT */
/* qcow2: from guest offsets to host offsets (L1 and L2 tables). */
#include <string.h>
#include "block/qcow2/qcow2.h"

uint64_t q2_entry(const Qcow2 *q, const Q2Table *t, unsigned index)
{
    return load_be(t->data + (size_t)index * q->l2_entry_size, 8);
}
uint64_t q2_bitmap(const Qcow2 *q, const Q2Table *t, unsigned index)
{
    return q->subclusters > 1 ? load_be(t->data + (size_t)index * q->l2_entry_size + 8, 8) : 0;
}

void q2_set_entry(Qcow2 *q, Q2Table *t, unsigned index, uint64_t entry, uint64_t bitmap)
{
    store_be(t->data + (size_t)index * q->l2_entry_size, 8, entry);
    if (q->subclusters > 1)
        store_be(t->data + (size_t)index * q->l2_entry_size + 8, 8, bitmap);
    q2_cache_dirty(&q->l2, t);
}

Q2Kind q2_kind(const Qcow2 *q, uint64_t entry, uint64_t bitmap, unsigned subcluster)
{
    bool host = entry & OFFSET_MASK || (q->data_node && entry & OFLAG_COPIED);
    if (entry & OFLAG_COMPRESSED)
        return q->data_node ? Q2_INVALID : Q2_COMPRESSED;
    if (q->subclusters > 1) {
        bool allocated = bitmap >> subcluster & 1, zero = bitmap >> (32 + subcluster) & 1;
        if (allocated && (zero || !host))
            return Q2_INVALID;
        return zero ? (host ? Q2_ZERO_ALLOCATED : Q2_ZERO) : allocated ? Q2_DATA : Q2_UNALLOCATED;
    }
    if (q->version >= 3 && entry & OFLAG_ZERO)
        return host ? Q2_ZERO_ALLOCATED : Q2_ZERO;
    return host ? Q2_DATA : Q2_UNALLOCATED;
}

/* Compressed cluster descriptor (specification, "Compressed Clusters Descriptor"). */
void q2_compressed_range(const Qcow2 *q, uint64_t entry, uint64_t *offset, uint64_t *len)
{
    unsigned x = 62 - (q->cluster_bits - 8);
    *offset = entry & (BIT(x) - 1);
    uint64_t sectors = (entry >> x & (BIT(62 - x) - 1)) + 1;
    *len = sectors * 512 - (*offset & 511);
}

void q2_l1_dirty(Qcow2 *q, uint32_t index)
{
    q->l1_first = q->l1_dirty ? MIN(q->l1_first, index) : index;
    q->l1_last = q->l1_dirty ? MAX(q->l1_last, index) : index;
    q->l1_dirty = true;
}

/* A longer L1 table at a new place; the header points to it only when it is durable. */
int q2_grow_l1(BlockNode *n, uint64_t entries, bool exact)
{
    Qcow2 *q = q2_of(n);
    if (entries <= q->l1_size)
        return 0;
    if (!exact)
        entries = MAX(entries, q->l1_size + q->l1_size / 2);
    if (entries > QCOW2_MAX_L1 / 8)
        return -EFBIG;
    uint64_t clusters = q2_clusters(q, entries * 8);
    uint64_t *l1 = g_try_malloc0(MAX(entries, 1u) * 8);
    g_autofree uint64_t *raw = g_try_malloc0(clusters << q->cluster_bits);
    int r = l1 && raw ? q2_writeback(n) : -ENOMEM;
    int64_t at = r ? r : q2_alloc(n, clusters);
    if (at < 0) {
        g_free(l1);
        return (int)at;
    }
    memcpy(l1, q->l1, q->l1_size * 8u);
    for (uint64_t i = 0; i < q->l1_size; i++)
        raw[i] = GUINT64_TO_BE(l1[i]);
    uint8_t field[12];
    store_be(field, 4, entries);
    store_be(field + 4, 8, (uint64_t)at);
    r = q2_writeback(n);
    r = r ? r : block_pwrite(n->file, (uint64_t)at, raw, clusters << q->cluster_bits);
    r = r ? r : block_flush(n->file);
    r = r ? r : block_pwrite(n->file, 36, field, sizeof field);
    r = r ? r : block_flush(n->file);
    if (r) {
        g_free(l1);
        return r;
    }
    if (q->l1_offset)
        q2_free_later(n, q->l1_offset, q2_clusters(q, q->l1_size * 8u));
    g_free(q->l1);
    q->l1 = l1;
    q->l1_size = (uint32_t)entries;
    q->l1_offset = (uint64_t)at;
    q2_overlap_add(q, q->l1_offset, entries * 8, Q2_IS_L1);
    return 0;
}

/* A table of our own: new, or a copy of one that a snapshot uses, too. */
static Q2Table *own_l2(BlockNode *n, uint32_t l1_index, int *error)
{
    Qcow2 *q = q2_of(n);
    uint64_t old = q->l1[l1_index] & OFFSET_MASK;
    int64_t at = q2_alloc(n, 1);
    Q2Table *from = NULL;
    *error = at < 0 ? (int)at : 0;
    if (!*error && old)
        from = q2_cache_get(n, &q->l2, old, false, error);
    Q2Table *t = *error ? NULL : q2_cache_get(n, &q->l2, (uint64_t)at, true, error);
    if (t) {
        if (from)
            memcpy(t->data, from->data, q->cluster_size);
        q2_cache_dirty(&q->l2, t);
        q->l1[l1_index] = (uint64_t)at | OFLAG_COPIED;
        q2_l1_dirty(q, l1_index);
        q2_overlap_add(q, (uint64_t)at, 1, Q2_IS_L2);
        if (old)
            q2_free_later(n, old, 1);
    }
    if (from)
        q2_cache_put(from);
    return t;
}

/* The table of an L1 entry, pinned; NULL with *error 0: none. */
static Q2Table *l2_at(BlockNode *n, uint64_t l1_entry, int *error)
{
    Qcow2 *q = q2_of(n);
    uint64_t at = l1_entry & OFFSET_MASK;
    *error = 0;
    if (at & (q->cluster_size - 1)) {
        *error = q2_corrupt(n, "an L2 table is not aligned to a cluster (0x%" PRIx64 ")", at);
        return NULL;
    }
    return at ? q2_cache_get(n, &q->l2, at, false, error) : NULL;
}

Q2Table *q2_l2(BlockNode *n, uint64_t offset, bool for_write, unsigned *index, int *error)
{
    Qcow2 *q = q2_of(n);
    uint64_t l1_index = offset >> (q->cluster_bits + q->l2_bits);
    *index = (unsigned)(offset >> q->cluster_bits & (q2_l2_entries(q) - 1));
    *error = 0;
    if (l1_index >= q->l1_size) {
        *error = for_write ? q2_grow_l1(n, l1_index + 1, false) : 0;
        if (*error || !for_write)
            return NULL;
    }
    if (for_write && !(q->l1[l1_index] & OFLAG_COPIED) && !(q->l1[l1_index] & OFFSET_MASK & (q->cluster_size - 1)))
        return own_l2(n, (uint32_t)l1_index, error);
    return l2_at(n, q->l1[l1_index], error);
}

bool q2_l2_cached(Qcow2 *q, uint64_t offset)
{
    uint64_t i = offset >> (q->cluster_bits + q->l2_bits), at = i < q->l1_size ? q->l1[i] & OFFSET_MASK : 0;
    return !at || q2_cache_has(&q->l2, at);
}

/* Does what follows belong to the run that `m` began? */
static bool goes_on(const Qcow2 *q, const Q2Map *m, uint64_t entry, Q2Kind kind, unsigned subcluster)
{
    if (kind != m->kind)
        return false;
    if (kind != Q2_DATA && kind != Q2_ZERO_ALLOCATED)
        return kind != Q2_COMPRESSED;
    uint64_t host = (entry & OFFSET_MASK) + ((uint64_t)subcluster << q->subcluster_bits);
    return !!(entry & OFLAG_COPIED) == m->copied && host == m->host + m->len;
}

int q2_map(BlockNode *n, uint64_t offset, uint64_t len, Q2Map *m)
{
    return q2_map_in(n, q2_of(n)->l1, q2_of(n)->l1_size, offset, len, m);
}

int q2_map_in(BlockNode *n, const uint64_t *l1, uint32_t l1_size, uint64_t offset, uint64_t len, Q2Map *m)
{
    Qcow2 *q = q2_of(n);
    unsigned index = (unsigned)(offset >> q->cluster_bits & (q2_l2_entries(q) - 1));
    int error;
    uint64_t l1_index = offset >> (q->cluster_bits + q->l2_bits);
    uint64_t reach = ((q2_l2_entries(q) - (offset >> q->cluster_bits & (q2_l2_entries(q) - 1))) << q->cluster_bits) -
                     (offset & (q->cluster_size - 1));
    *m = (Q2Map){ .kind = Q2_UNALLOCATED, .len = MIN(len, reach) };
    Q2Table *t = l2_at(n, l1_index < l1_size ? l1[l1_index] : 0, &error);
    if (!t)
        return error;
    uint64_t sub_size = BIT(q->subcluster_bits), in_cluster = offset & (q->cluster_size - 1);
    unsigned sub = (unsigned)(in_cluster >> q->subcluster_bits);
    uint64_t entry = q2_entry(q, t, index), bitmap = q2_bitmap(q, t, index);
    uint64_t start = align_down(offset, sub_size), want = offset + MIN(len, reach);
    *m = (Q2Map){ .kind = q2_kind(q, entry, bitmap, sub), .copied = entry & OFLAG_COPIED, .entry = entry };
    m->host = m->kind == Q2_DATA || m->kind == Q2_ZERO_ALLOCATED
                  ? (entry & OFFSET_MASK) + ((uint64_t)sub << q->subcluster_bits)
                  : 0;
    if (m->kind == Q2_COMPRESSED) {
        m->len = align_down(offset, q->cluster_size) + q->cluster_size - start;
    } else {
        m->len = sub_size;
        while (start + m->len < want) {
            uint64_t at = start + m->len;
            unsigned i = (unsigned)(at >> q->cluster_bits & (q2_l2_entries(q) - 1));
            sub = (unsigned)((at & (q->cluster_size - 1)) >> q->subcluster_bits);
            entry = q2_entry(q, t, i);
            if (!goes_on(q, m, entry, q2_kind(q, entry, q2_bitmap(q, t, i), sub), sub))
                break;
            m->len += sub_size;
        }
    }
    q2_cache_put(t);
    m->host += offset - start;
    m->len = MIN(m->len - (offset - start), want - offset);
    if (m->kind == Q2_INVALID ||
        ((m->kind == Q2_DATA || m->kind == Q2_ZERO_ALLOCATED) && (m->entry & OFFSET_MASK & (q->cluster_size - 1))))
        return q2_corrupt(n, "L2 entry 0x%" PRIx64 " of guest offset 0x%" PRIx64 " is not valid", m->entry, offset);
    return 0;
}

/* --- zeroes and discards: entries only --- */

/* Applies fn to the entry of each cluster of the range, which may start and end inside one. */
static int each_cluster(BlockNode *n, uint64_t offset, uint64_t len, bool create,
                        void (*fn)(BlockNode *n, Q2Table *t, unsigned index, uint32_t subclusters, unsigned how),
                        unsigned how)
{
    Qcow2 *q = q2_of(n);
    for (uint64_t at = offset; at < offset + len;) {
        uint64_t next = MIN(align_down(at, q->cluster_size) + q->cluster_size, offset + len);
        unsigned first = (unsigned)((at & (q->cluster_size - 1)) >> q->subcluster_bits);
        unsigned last = (unsigned)(((next - 1) & (q->cluster_size - 1)) >> q->subcluster_bits), index;
        uint32_t mask = (uint32_t)(bits_mask(last - first + 1) << first);
        int error;
        Q2Table *t = q2_l2(n, at, create, &index, &error);
        if (error)
            return error;
        if (!t) { /* a whole table that is not there */
            at = align_down(at, BIT(q->cluster_bits + q->l2_bits)) + BIT(q->cluster_bits + q->l2_bits);
            continue;
        }
        if (!create && !(q->l1[at >> (q->cluster_bits + q->l2_bits)] & OFLAG_COPIED)) {
            q2_cache_put(t);
            t = q2_l2(n, at, true, &index, &error);
            if (!t)
                return error;
        }
        fn(n, t, index, mask, how);
        q2_cache_put(t);
        at = next;
    }
    return 0;
}

static void zero_entry(BlockNode *n, Q2Table *t, unsigned index, uint32_t mask, unsigned unmap)
{
    Qcow2 *q = q2_of(n);
    uint64_t entry = q2_entry(q, t, index), bitmap = q2_bitmap(q, t, index);
    bool whole = q->subclusters == 1 || mask == UINT32_MAX;
    bool drop = entry & OFLAG_COMPRESSED || !(entry & OFLAG_COPIED) || (unmap && whole && !q->data_node);
    if (whole) {
        uint64_t keep = drop ? 0 : entry & (OFFSET_MASK | OFLAG_COPIED);
        if (drop)
            q2_free_entry(n, entry);
        q2_set_entry(q, t, index, keep | (q->subclusters == 1 ? OFLAG_ZERO : 0), UINT64_C(0xffffffff) << 32);
    } else { /* extended L2: the callers have seen to it that the cluster isn't a compressed one */
        q2_set_entry(q, t, index, entry, (bitmap & ~(uint64_t)mask) | (uint64_t)mask << 32);
    }
}

int q2_zero_range(BlockNode *n, uint64_t offset, uint64_t len, bool unmap)
{
    return each_cluster(n, offset, len, true, zero_entry, unmap);
}

enum { DISCARD_TO_ZERO, DISCARD_TO_NOTHING };

static void discard_entry(BlockNode *n, Q2Table *t, unsigned index, uint32_t mask, unsigned how)
{
    Qcow2 *q = q2_of(n);
    uint64_t entry = q2_entry(q, t, index), bitmap = q2_bitmap(q, t, index);
    if (q->subclusters > 1 && mask != UINT32_MAX) {
        if (entry & OFLAG_COMPRESSED || !(entry & OFLAG_COPIED))
            return;
        uint64_t left = (bitmap & ~(uint64_t)mask) & ~((uint64_t)mask << 32);
        q2_set_entry(q, t, index, entry, how == DISCARD_TO_ZERO ? left | (uint64_t)mask << 32 : left);
        return;
    }
    bool zero = how == DISCARD_TO_ZERO && q->version >= 3;
    if (how == DISCARD_TO_ZERO && q->version < 3)
        return; /* would show the backing file's contents */
    if (!zero && !entry && !bitmap)
        return;
    uint64_t keep = q->raw_external || (q->data_node && zero) ? entry & (OFFSET_MASK | OFLAG_COPIED) : 0;
    if (!keep)
        q2_free_entry(n, entry);
    q2_set_entry(q, t, index, keep | (zero && q->subclusters == 1 ? OFLAG_ZERO : 0),
                 zero ? UINT64_C(0xffffffff) << 32 : 0);
}

int q2_discard_range(BlockNode *n, uint64_t offset, uint64_t len, bool full)
{
    bool zero = n->backing_file && !full;
    return each_cluster(n, offset, len, false, discard_entry, zero ? DISCARD_TO_ZERO : DISCARD_TO_NOTHING);
}
