/* SPDX-License-Identifier: MIT */
/*
 * qcow2: does a write hit the image's own metadata? It can't but where tables contradict each other; then it is not
 * carried out.
 */
#include <string.h>
#include "block/qcow2/qcow2.h"

/*
 * The clusters of all metadata stand in one table (cluster → what is there). It is filled when it is first asked, gets
 * what is allocated later, and may hold what has become free meanwhile: so a hit counts only if it is found again in a
 * table that was made anew.
 */
enum {
    CONSTANT = Q2_IS_HEADER | Q2_IS_L1 | Q2_IS_REFTABLE | Q2_IS_SNAPSHOTS | Q2_IS_BITMAPS,
    CACHED = CONSTANT | Q2_IS_L2 | Q2_IS_REFBLOCK | Q2_IS_OLD_L1,
    ALL = CACHED | Q2_IS_OLD_L2
};
enum { SNAPSHOT_L1_MAX = 256 << 20, CLUSTERS_MAX = 8 << 20 };

static const struct { const char *option, *name; unsigned bit;
} parts[] = {
    { "overlap-check.main-header", "the header", Q2_IS_HEADER },
    { "overlap-check.active-l1", "the L1 table", Q2_IS_L1 },
    { "overlap-check.active-l2", "an L2 table", Q2_IS_L2 },
    { "overlap-check.refcount-table", "the refcount table", Q2_IS_REFTABLE },
    { "overlap-check.refcount-block", "a refcount block", Q2_IS_REFBLOCK },
    { "overlap-check.snapshot-table", "the snapshot table", Q2_IS_SNAPSHOTS },
    { "overlap-check.inactive-l1", "a snapshot's L1 table", Q2_IS_OLD_L1 },
    { "overlap-check.inactive-l2", "a snapshot's L2 table", Q2_IS_OLD_L2 },
    { "overlap-check.bitmap-directory", "the bitmap directory", Q2_IS_BITMAPS },
};

bool q2_overlap_options(BlockNode *n, Opts *o, Error **errp)
{
    static const char *const plates[] = { "none", "constant", "cached", "all", NULL };
    static const unsigned masks[] = { 0, CONSTANT, CACHED, ALL };
    Qcow2 *q = q2_of(n);
    const char *plain = opts_get(o, "overlap-check"), *dotted = opts_get(o, "overlap-check.template");
    unsigned plate = 2;
    if (plain && dotted && strcmp(plain, dotted)) {
        error_setf(errp,
                   "image '%s': overlap-check='%s' and overlap-check.template='%s' contradict each other; give one",
                   block_filename(n), plain, dotted);
        return false;
    }
    if (!opts_get_enum(o, plain ? "overlap-check" : "overlap-check.template", plates, &plate, errp))
        return false;
    unsigned mask = masks[plate];
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        bool on;
        if (!opts_get_bool(o, parts[i].option, mask & parts[i].bit, &on, errp))
            return false;
        mask = on ? mask | parts[i].bit : mask & ~parts[i].bit;
    }
    q->overlap = mask;
    return true;
}

void q2_overlap_free(Qcow2 *q)
{
    if (q->layout)
        g_hash_table_unref(q->layout);
    q->layout = NULL;
}

/* --- what stands where --- */

void q2_overlap_add(Qcow2 *q, uint64_t offset, uint64_t bytes, unsigned what)
{
    uint64_t end = (offset + bytes + q->cluster_size - 1) >> q->cluster_bits;
    for (uint64_t c = offset >> q->cluster_bits; q->layout && c < end; c++) {
        unsigned there = GPOINTER_TO_UINT(g_hash_table_lookup(q->layout, GSIZE_TO_POINTER(c)));
        g_hash_table_insert(q->layout, GSIZE_TO_POINTER(c), GUINT_TO_POINTER(there | what));
    }
}

static void add_old_tables(BlockNode *n, const Q2Snapshot *s)
{
    Qcow2 *q = q2_of(n);
    g_autofree uint64_t *l1 = s->l1_size <= QCOW2_MAX_L1 / 8 ? g_try_malloc0(MAX(s->l1_size, 1u) * 8u) : NULL;
    if (!l1 || block_pread(n->file, s->l1_offset, l1, s->l1_size * 8u)) /* whoever uses the snapshot will be told */
        return;
    for (uint32_t i = 0; i < s->l1_size; i++) {
        uint64_t at = GUINT64_FROM_BE(l1[i]) & OFFSET_MASK;
        if (at)
            q2_overlap_add(q, at, 1, Q2_IS_OLD_L2);
    }
}

/* As many as images have that nobody has tampered with. */
static void add_snapshots(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    uint64_t bytes = q2_snapshot_table_bytes(q), l1_bytes = 0;
    if (q->snapshots_offset && bytes)
        q2_overlap_add(q, q->snapshots_offset, bytes, Q2_IS_SNAPSHOTS);
    for (unsigned i = 0;
         i < q->snapshots->len && l1_bytes < SNAPSHOT_L1_MAX && g_hash_table_size(q->layout) < CLUSTERS_MAX; i++) {
        const Q2Snapshot *s = &g_array_index(q->snapshots, Q2Snapshot, i);
        l1_bytes += s->l1_size * UINT64_C(8);
        if (s->l1_size && s->l1_size <= QCOW2_MAX_L1 / 8)
            q2_overlap_add(q, s->l1_offset, s->l1_size * UINT64_C(8), Q2_IS_OLD_L1);
        if (q->overlap & Q2_IS_OLD_L2)
            add_old_tables(n, s);
    }
}

static void make_layout(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    q2_overlap_free(q);
    q->layout = g_hash_table_new(NULL, NULL);
    q->layout_stale = false;
    q2_overlap_add(q, 0, 1, Q2_IS_HEADER);
    if (q->l1_size)
        q2_overlap_add(q, q->l1_offset, q->l1_size * UINT64_C(8), Q2_IS_L1);
    q2_overlap_add(q, q->reftable_offset, q->reftable_size * 8, Q2_IS_REFTABLE);
    for (uint32_t i = 0; i < q->l1_size; i++) {
        if (q->l1[i] & OFFSET_MASK)
            q2_overlap_add(q, q->l1[i] & OFFSET_MASK, 1, Q2_IS_L2);
    }
    for (uint64_t i = 0; i < q->reftable_size; i++) {
        if (q->reftable[i] & ~UINT64_C(0x1ff))
            q2_overlap_add(q, q->reftable[i] & ~UINT64_C(0x1ff), 1, Q2_IS_REFBLOCK);
    }
    for (unsigned i = 0; i < q->extensions->len; i++) {
        const Q2Extension *e = &g_array_index(q->extensions, Q2Extension, i);
        uint64_t bytes = e->magic == EXT_BITMAPS && e->len >= 24 && q->autoclear & AUTOCLEAR_BITMAPS
                             ? load_be(e->data + 8, 8)
                             : 0;
        if (bytes && bytes <= QCOW2_MAX_BITMAP_DIRECTORY)
            q2_overlap_add(q, load_be(e->data + 16, 8), bytes, Q2_IS_BITMAPS);
    }
    add_snapshots(n);
}

/* --- looking --- */

static unsigned find(const Qcow2 *q, uint64_t offset, uint64_t bytes, unsigned wanted, uint64_t *where)
{
    uint64_t end = (offset + bytes + q->cluster_size - 1) >> q->cluster_bits;
    for (uint64_t c = offset >> q->cluster_bits; c < end; c++) {
        unsigned there = GPOINTER_TO_UINT(g_hash_table_lookup(q->layout, GSIZE_TO_POINTER(c))) & wanted;
        if (there) {
            *where = c << q->cluster_bits;
            return there;
        }
    }
    return 0;
}

bool q2_overlap_clear(const Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    uint64_t where;
    return !q->overlap || (q->layout && !q->layout_stale && !find(q, offset, bytes, q->overlap, &where));
}

int q2_overlap_check(BlockNode *n, uint64_t offset, uint64_t bytes, unsigned own)
{
    Qcow2 *q = q2_of(n);
    unsigned wanted = q->overlap & ~own, there;
    uint64_t where;
    if (!wanted || n->flags & BLOCK_CHECK || q->broken)
        return 0;
    bool fresh = !q->layout || q->layout_stale;
    if (fresh)
        make_layout(n);
    there = find(q, offset, bytes, wanted, &where);
    if (there && !fresh) {
        make_layout(n);
        there = find(q, offset, bytes, wanted, &where);
    }
    for (unsigned i = 0; there && i < ARRAY_LEN(parts); i++) {
        if (there & parts[i].bit)
            return q2_corrupt(n, "a write to 0x%" PRIx64 " would overwrite %s", where, parts[i].name);
    }
    return 0;
}
