/* SPDX-License-Identifier: MIT */
/* qcow2: consistency: counts what is used, compares, repairs. */
#include <stdarg.h>
#include <string.h>
#include "block/qcow2/qcow2.h"

enum { CHECK_MAX_CLUSTERS = 1 << 30, BITMAP_DIR_MAX = 64 << 20, BITMAPS_MAX = 65535 };

typedef struct Check {
    BlockNode *n;
    Qcow2 *q;
    BlockCheck *out;
    unsigned fix;
    uint32_t *count;    /* by host cluster: users found */
    uint32_t weight;    /* of the user that is being counted */
    uint64_t clusters;
    GArray *tables;     /* of Table: each L2 table once, however many snapshots share it */
    GHashTable *known;  /* by its offset: its index there + 1 */
    bool rebuild;       /* the refcount structures themselves are damaged */
    uint64_t next_host; /* for fragmentation */
} Check;

typedef struct Table { int64_t at; uint64_t guest; uint32_t users; bool active; } Table;

static void G_GNUC_PRINTF(2, 3) say(Check *c, const char *fmt, ...)
{
    va_list ap;
    if (!c->out->say)
        return;
    va_start(ap, fmt);
    g_autofree char *line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    c->out->say(c->out->opaque, line);
}

/* --- counting --- */

static bool count_range(Check *c, uint64_t offset, uint64_t len, const char *what)
{
    if (!len)
        return true;
    uint64_t first = offset >> c->q->cluster_bits, last = (offset + len - 1) >> c->q->cluster_bits;
    if (offset + len < offset || last > c->clusters + 1) {
        say(c, "ERROR %s at 0x%" PRIx64 " lies beyond the end of the file", what, offset);
        c->out->corruptions++;
        return false;
    }
    for (uint64_t i = first; i <= last && i < c->clusters + 2; i++)
        c->count[i] += MIN(c->weight, UINT32_MAX - c->count[i]);
    c->out->image_end = MAX(c->out->image_end, (last + 1) << c->q->cluster_bits);
    return true;
}

static void invalid_entry(Check *c, Q2Table *t, unsigned index, uint64_t entry, uint64_t guest, const char *why)
{
    bool fix = c->fix & BLOCK_FIX_ERRORS;
    say(c, "%s guest offset 0x%" PRIx64 ": L2 entry 0x%" PRIx64 " %s", fix ? "Repairing" : "ERROR", guest, entry, why);
    if (fix) { /* reads as zero from now on: nothing better is known */
        q2_set_entry(c->q, t, index, c->q->version >= 3 && c->q->subclusters == 1 ? OFLAG_ZERO : 0,
                     c->q->subclusters > 1 ? UINT64_C(0xffffffff) << 32 : 0);
        c->out->corruptions_fixed++;
    } else {
        c->out->corruptions++;
    }
}

static void count_entry(Check *c, Q2Table *t, unsigned index, uint64_t guest, bool active)
{
    Qcow2 *q = c->q;
    uint64_t entry = q2_entry(q, t, index), bitmap = q2_bitmap(q, t, index), host = entry & OFFSET_MASK;
    for (unsigned s = 0; s < q->subclusters; s++) {
        if (q2_kind(q, entry, bitmap, s) == Q2_INVALID) {
            invalid_entry(c, t, index, entry, guest, "is not valid");
            return;
        }
    }
    if (entry & OFLAG_COMPRESSED) {
        uint64_t offset, len;
        q2_compressed_range(q, entry, &offset, &len);
        /* the last sector may be cut off by the end of the file */
        if (entry & OFLAG_COPIED)
            invalid_entry(c, t, index, entry, guest, "is compressed and claims to be writable");
        else if (count_range(c, offset, len, "compressed cluster") && active)
            c->out->compressed_clusters++, c->out->allocated_clusters++, c->out->fragmented_clusters++;
        return;
    }
    if (!host || q->data_node) {
        if (active && host)
            c->out->allocated_clusters++;
        return;
    }
    if (host & (q->cluster_size - 1)) {
        invalid_entry(c, t, index, entry, guest, "does not point to the start of a cluster");
        return;
    }
    if (!count_range(c, host, q->cluster_size, "cluster"))
        return;
    if (active) {
        c->out->allocated_clusters++;
        if (c->next_host && c->next_host != host)
            c->out->fragmented_clusters++;
        c->next_host = host + q->cluster_size;
    }
}

static void note_table(Check *c, int64_t at, uint64_t guest, bool active)
{
    guint i = GPOINTER_TO_UINT(g_hash_table_lookup(c->known, &at));
    if (i) {
        g_array_index(c->tables, Table, i - 1).users++;
        return;
    }
    Table t = { at, guest, 1, active };
    g_array_append_val(c->tables, t);
    g_hash_table_insert(c->known, g_memdup2(&at, sizeof at), GUINT_TO_POINTER(c->tables->len));
}

static void count_l1(Check *c, const uint64_t *l1, uint32_t size, uint64_t offset, bool active)
{
    Qcow2 *q = c->q;
    count_range(c, offset, size * 8ull, "L1 table");
    for (uint32_t i = 0; i < size; i++) {
        uint64_t at = l1[i] & OFFSET_MASK;
        if (!at)
            continue;
        if (at & (q->cluster_size - 1)) {
            say(c, "ERROR L1 entry %u does not point to the start of a cluster (0x%" PRIx64 ")", i, l1[i]);
            c->out->corruptions++;
            continue;
        }
        if (count_range(c, at, q->cluster_size, "L2 table"))
            note_table(c, (int64_t)at, (uint64_t)i << (q->cluster_bits + q->l2_bits), active);
    }
}

static bool count_tables(Check *c, Error **errp)
{
    bool ok = true;
    for (guint i = 0; i < c->tables->len && ok; i++) {
        const Table *u = &g_array_index(c->tables, Table, i);
        int r;
        Q2Table *t = q2_cache_get(c->n, &c->q->l2, (uint64_t)u->at, false, &r);
        if (!t) {
            error_set_errno(errp, -r, "image '%s': an L2 table can't be read", block_filename(c->n));
            c->out->check_errors++;
            ok = false;
            break;
        }
        c->weight = u->users;
        for (unsigned k = 0; k < q2_l2_entries(c->q); k++)
            count_entry(c, t, k, u->guest | (uint64_t)k << c->q->cluster_bits, u->active);
        q2_cache_put(t);
    }
    c->weight = 1;
    return ok;
}

static bool count_snapshots(Check *c, Error **errp)
{
    Qcow2 *q = c->q;
    uint64_t bytes = 0, tables = 0;
    for (unsigned i = 0; i < q->snapshots->len; i++) {
        const Q2Snapshot *s = &g_array_index(q->snapshots, Q2Snapshot, i);
        tables += q2_clusters(q, s->l1_size * 8ull);
        if (tables > c->clusters) { /* would be looked through again and again */
            error_setf(errp, "image '%s': the L1 tables of its snapshots stand upon each other; it can't be checked",
                       block_filename(c->n));
            c->out->check_errors++;
            return false;
        }
        g_autofree uint64_t *l1 = g_try_malloc0(MAX(s->l1_size, 1u) * 8u);
        int r = l1 ? block_pread(c->n->file, s->l1_offset, l1, s->l1_size * 8u) : -ENOMEM;
        for (uint32_t k = 0; !r && k < s->l1_size; k++)
            l1[k] = GUINT64_FROM_BE(l1[k]);
        if (r) {
            error_set_errno(errp, -r, "image '%s': the L1 table of snapshot '%s' can't be read", block_filename(c->n),
                            s->name);
            return false;
        }
        count_l1(c, l1, s->l1_size, s->l1_offset, false);
        if (!s->l1_size) /* an empty table has a cluster of its own all the same */
            count_range(c, s->l1_offset, s->l1_offset ? 1 : 0, "L1 table");
        bytes += align_up(40 + s->extra_len + strlen(s->id) + strlen(s->name), 8);
    }
    count_range(c, q->snapshots_offset, bytes, "snapshot table");
    return true;
}

/* Persistent bitmaps: directory, tables, clusters (specification, "Bitmaps extension"). */
static void count_bitmaps(Check *c, const Q2Extension *e)
{
    if (e->len < 24 || !(c->q->autoclear & AUTOCLEAR_BITMAPS))
        return;
    uint32_t count = (uint32_t)load_be(e->data, 4);
    uint64_t size = load_be(e->data + 8, 8), offset = load_be(e->data + 16, 8), at = 0;
    if (count > BITMAPS_MAX || size > BITMAP_DIR_MAX || !count_range(c, offset, size, "bitmap directory"))
        return;
    g_autofree uint8_t *dir = g_try_malloc0(size + 1);
    if (!dir || block_pread(c->n->file, offset, dir, size))
        return;
    for (uint32_t i = 0; i < count && at + 24 <= size; i++) {
        const uint8_t *d = dir + at;
        uint64_t table = load_be(d, 8), entries = load_be(d + 8, 4);
        at += align_up(24 + load_be(d + 20, 4) + load_be(d + 18, 2), 8);
        if (entries * 8 > BITMAP_DIR_MAX || !count_range(c, table, entries * 8, "bitmap table"))
            continue;
        g_autofree uint8_t *words = g_try_malloc0(entries * 8 + 1);
        if (!words || block_pread(c->n->file, table, words, entries * 8))
            continue;
        for (uint64_t k = 0; k < entries; k++) {
            uint64_t host = load_be(words + k * 8, 8) & OFFSET_MASK;
            if (host)
                count_range(c, host, c->q->cluster_size, "bitmap data");
        }
    }
}

static void count_extensions(Check *c)
{
    for (unsigned i = 0; i < c->q->extensions->len; i++) {
        const Q2Extension *e = &g_array_index(c->q->extensions, Q2Extension, i);
        if (e->magic == EXT_BITMAPS)
            count_bitmaps(c, e);
        else if (e->magic == EXT_LUKS && e->len >= 16)
            count_range(c, load_be(e->data, 8), load_be(e->data + 8, 8), "encryption header");
    }
}

static void count_refcounts(Check *c)
{
    Qcow2 *q = c->q;
    if (!count_range(c, q->reftable_offset, (uint64_t)q->reftable_clusters << q->cluster_bits, "refcount table"))
        c->rebuild = true;
    for (uint64_t i = 0; i < q->reftable_size; i++) {
        uint64_t at = q->reftable[i] & ~UINT64_C(0x1ff);
        if (!at)
            continue;
        bool ok = !(at & (q->cluster_size - 1)) && at >> q->cluster_bits < c->clusters;
        if (ok && c->count[at >> q->cluster_bits])
            ok = false; /* used by something else as well */
        if (!ok) {
            say(c, "ERROR refcount block %" PRIu64 " stands where it can't (0x%" PRIx64 ")", i, at);
            c->out->corruptions++;
            c->rebuild = true;
            q->reftable[i] = c->fix & BLOCK_FIX_ERRORS ? 0 : q->reftable[i];
            continue;
        }
        count_range(c, at, q->cluster_size, "refcount block");
    }
}

/* --- comparing --- */

static int stored_count(Check *c, uint64_t cluster, uint64_t *count)
{
    uint64_t i = cluster >> c->q->refblock_bits;
    *count = 0;
    if (i >= c->q->reftable_size || c->q->reftable[i] & (c->q->cluster_size - 1) ||
        c->q->reftable[i] >> c->q->cluster_bits >= c->clusters)
        return 0;
    return q2_refcount(c->n, cluster, count);
}

static bool compare(Check *c, Error **errp)
{
    for (uint64_t i = 0; i < c->clusters; i++) {
        uint64_t have, want = c->count[i];
        int r = stored_count(c, i, &have);
        if (r) {
            error_set_errno(errp, -r, "image '%s': a refcount block can't be read", block_filename(c->n));
            c->out->check_errors++;
            return false;
        }
        if (have == want)
            continue;
        uint64_t b = i >> c->q->refblock_bits;
        if (!have && (b >= c->q->reftable_size || !c->q->reftable[b]))
            c->rebuild = true; /* a new block could land on a cluster whose count is lost */
        bool leak = have > want, fix = c->fix & (leak ? BLOCK_FIX_LEAKS : BLOCK_FIX_ERRORS) && !c->rebuild;
        say(c, "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64,
            fix    ? "Repairing"
            : leak ? "Leaked"
                   : "ERROR",
            i, have, want);
        if (fix && !q2_set_refcount(c->n, i, want))
            leak ? c->out->leaks_fixed++ : c->out->corruptions_fixed++;
        else
            leak ? c->out->leaks++ : c->out->corruptions++;
        if (leak && !fix)
            c->out->image_end = MAX(c->out->image_end, (i + 1) << c->q->cluster_bits);
        c->rebuild |= !leak && !fix && c->fix & BLOCK_FIX_ERRORS;
    }
    return true;
}

/*
 * COPIED must say whether a cluster has just one user. Without it a cluster is copied for nothing: that is how a crash
 * may leave the tables of version 2, which has no dirty bit, amid a snapshot.
 */
static bool copied_fits(const Check *c, uint64_t host, bool copied)
{
    bool want = c->count[host >> c->q->cluster_bits] == 1;
    return want == copied || (want && c->q->version < 3 && !(c->fix & BLOCK_FIX_ERRORS));
}

static void check_copied_table(Check *c, uint32_t l1_index)
{
    Qcow2 *q = c->q;
    int r;
    uint64_t at = q->l1[l1_index] & OFFSET_MASK;
    bool fix = c->fix & BLOCK_FIX_ERRORS;
    if (!at || at & (q->cluster_size - 1) || at >> q->cluster_bits >= c->clusters)
        return;
    bool want = c->count[at >> q->cluster_bits] == 1;
    if (!copied_fits(c, at, q->l1[l1_index] & OFLAG_COPIED)) {
        say(c, "%s L1 entry %u: COPIED flag does not fit the refcount", fix ? "Repairing" : "ERROR", l1_index);
        fix ? c->out->corruptions_fixed++ : c->out->corruptions++;
        if (fix) {
            q->l1[l1_index] = at | (want ? OFLAG_COPIED : 0);
            q2_l1_dirty(q, l1_index);
        }
    }
    Q2Table *t = q2_cache_get(c->n, &q->l2, at, false, &r);
    for (unsigned k = 0; t && !q->data_node && k < q2_l2_entries(q); k++) {
        uint64_t entry = q2_entry(q, t, k), host = entry & OFFSET_MASK;
        if (entry & OFLAG_COMPRESSED || !host || host & (q->cluster_size - 1) || host >> q->cluster_bits >= c->clusters)
            continue;
        want = c->count[host >> q->cluster_bits] == 1;
        if (copied_fits(c, host, entry & OFLAG_COPIED))
            continue;
        say(c, "%s L2 entry 0x%" PRIx64 ": COPIED flag does not fit the refcount", fix ? "Repairing" : "ERROR", entry);
        fix ? c->out->corruptions_fixed++ : c->out->corruptions++;
        if (fix)
            q2_set_entry(q, t, k, (entry & ~OFLAG_COPIED) | (want ? OFLAG_COPIED : 0), q2_bitmap(q, t, k));
    }
    if (t)
        q2_cache_put(t);
}

/* --- all refcounts anew, behind the end of the image --- */

static int write_rebuilt(Check *c, uint64_t start, uint64_t blocks, uint64_t table_clusters, uint64_t clusters)
{
    Qcow2 *q = c->q;
    uint64_t per_block = BIT(q->refblock_bits), entries = table_clusters << (q->cluster_bits - 3);
    g_autofree uint8_t *block = g_malloc(q->cluster_size);
    uint64_t *table = g_try_malloc0(entries * 8);
    g_autofree uint64_t *raw = g_try_malloc0(entries * 8);
    int r = table && raw ? 0 : -ENOMEM;
    for (uint64_t b = 0; !r && b < blocks; b++) {
        memset(block, 0, q->cluster_size);
        for (uint64_t k = 0; k < per_block && b * per_block + k < clusters; k++) {
            uint64_t i = b * per_block + k;
            q2_set_count(q, block, k, MIN(i >= start ? 1u : c->count[i], q2_refcount_max(q)));
        }
        table[b] = (start + b) << q->cluster_bits;
        raw[b] = GUINT64_TO_BE(table[b]);
        r = block_pwrite(c->n->file, table[b], block, q->cluster_size);
    }
    /* of the header: from the table's place to, in version 3, the width of a count; in one sector */
    uint64_t at = (start + blocks) << q->cluster_bits;
    uint8_t fields[52];
    size_t len = q->version >= 3 ? 52 : 12;
    r = r ? r : block_pread(c->n->file, 48, fields, len);
    store_be(fields, 8, at);
    store_be(fields + 8, 4, table_clusters);
    store_be(fields + 48, 4, q->refcount_order);
    r = r ? r : block_pwrite(c->n->file, at, raw, entries * 8);
    r = r ? r : block_flush(c->n->file);
    r = r ? r : block_pwrite(c->n->file, 48, fields, len);
    r = r ? r : block_flush(c->n->file);
    if (r) {
        g_free(table);
        return r;
    }
    g_free(q->reftable);
    q->reftable = table;
    q->reftable_size = entries;
    q->reftable_offset = at;
    q->reftable_clusters = (uint32_t)table_clusters;
    q->reftable_dirty = false;
    q->layout_stale = true;
    q->free_hint = 0;
    unsigned tables = q->refblocks.count;
    q2_cache_free(&q->refblocks);
    q2_cache_init(q, &q->refblocks, tables);
    return 0;
}

static bool rebuild(Check *c, Error **errp)
{
    Qcow2 *q = c->q;
    uint64_t per_block = BIT(q->refblock_bits), start = c->clusters, blocks = 1, table_clusters = 1;
    /* the old structures are not counted any more */
    for (uint64_t i = 0; i < q->reftable_size; i++) {
        uint64_t at = q->reftable[i] >> q->cluster_bits;
        if (q->reftable[i] && !(q->reftable[i] & (q->cluster_size - 1)) && at < c->clusters && c->count[at])
            c->count[at]--;
    }
    for (uint64_t i = 0; i < q->reftable_clusters; i++) {
        uint64_t at = (q->reftable_offset >> q->cluster_bits) + i;
        if (at < c->clusters && c->count[at])
            c->count[at]--;
    }
    for (;;) {
        uint64_t need = (start + blocks + table_clusters + per_block - 1) / per_block;
        table_clusters = q2_clusters(q, need * 8);
        if (need <= blocks)
            break;
        blocks = need;
    }
    int r = table_clusters << q->cluster_bits > QCOW2_MAX_REFTABLE
                ? -EFBIG
                : write_rebuilt(c, start, blocks, table_clusters, start + blocks + table_clusters);
    if (r) {
        error_set_errno(errp, -r, "image '%s': its refcounts can't be made anew", block_filename(c->n));
        return false;
    }
    say(c, "Repairing: all refcounts were made anew");
    return true;
}

/* --- the whole --- */

static bool pass(Check *c, Error **errp)
{
    Qcow2 *q = c->q;
    uint64_t size = block_size(c->n->file);
    c->clusters = q2_clusters(q, size);
    if (c->clusters > CHECK_MAX_CLUSTERS) {
        error_setf(errp, "image '%s' has %" PRIu64 " clusters, more than can be checked", block_filename(c->n),
                   c->clusters);
        return false;
    }
    g_free(c->count);
    c->count = g_try_malloc0_n(c->clusters + 2, sizeof *c->count);
    if (!c->count) {
        error_setf(errp, "image '%s': not enough memory to count %" PRIu64 " clusters", block_filename(c->n),
                   c->clusters);
        return false;
    }
    c->out->total_clusters = q2_clusters(q, block_size(c->n));
    c->weight = 1;
    count_range(c, 0, q->cluster_size, "header");
    c->tables = g_array_new(false, false, sizeof(Table));
    c->known = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    count_l1(c, q->l1, q->l1_size, q->l1_offset, true);
    bool ok = count_snapshots(c, errp) && count_tables(c, errp);
    g_array_unref(c->tables);
    g_hash_table_unref(c->known);
    if (!ok)
        return false;
    count_extensions(c);
    count_refcounts(c);
    return compare(c, errp);
}

bool q2_check(BlockNode *n, BlockCheck *out, unsigned fix, Error **errp)
{
    Qcow2 *q = q2_of(n);
    Check c = { .n = n, .q = q, .out = out, .fix = fix };
    pthread_mutex_lock(&q->lock);
    bool was_broken = q->broken;
    q->broken = false;
    bool ok = pass(&c, errp);
    if (ok && c.rebuild && fix & BLOCK_FIX_ERRORS) {
        uint64_t before = out->corruptions;
        ok = rebuild(&c, errp);
        if (ok) { /* what is left after it */
            BlockCheck again = { .say = NULL };
            Check second = { .n = n, .q = q, .out = &again, .fix = fix };
            ok = pass(&second, errp);
            out->corruptions = again.corruptions;
            out->corruptions_fixed += before - MIN(again.corruptions, before);
            out->leaks_fixed += again.leaks_fixed + out->leaks;
            out->leaks = again.leaks;
            g_free(c.count);
            c.count = second.count;
            c.clusters = second.clusters;
        }
    }
    for (uint32_t i = 0; ok && i < q->l1_size; i++)
        check_copied_table(&c, i);
    int r = ok && fix ? q2_sync(n) : 0;
    if (!r && ok && fix && !out->corruptions && !out->check_errors) {
        uint64_t clear = INCOMPAT_DIRTY | (fix & BLOCK_FIX_ERRORS ? INCOMPAT_CORRUPT : 0);
        if (q->incompatible & clear) {
            q->incompatible &= ~clear;
            r = q2_set_features(n);
        }
    } else {
        q->broken |= was_broken;
    }
    if (r) {
        error_set_errno(errp, -r, "image '%s': repairs can't be written", block_filename(n));
        ok = false;
    }
    pthread_mutex_unlock(&q->lock);
    g_free(c.count);
    return ok;
}

/* --- counts of another width --- */

static void set_width(Qcow2 *q, unsigned order)
{
    q->refcount_order = order;
    q->refblock_bits = q->cluster_bits + 3 - order;
}

bool q2_change_refcount_width(BlockNode *n, unsigned order, Error **errp)
{
    Qcow2 *q = q2_of(n);
    BlockCheck out = { .say = NULL };
    Check c = { .n = n, .q = q, .out = &out };
    unsigned old = q->refcount_order;
    bool ok = !q2_sync(n) && pass(&c, errp);
    if (ok && (out.corruptions || out.check_errors)) {
        error_setf(errp, "image '%s' is damaged; rhea-img check -r all first", block_filename(n));
        ok = false;
    }
    set_width(q, order);
    for (uint64_t i = 0; ok && i < c.clusters; i++) {
        if (c.count[i] > q2_refcount_max(q)) {
            error_setf(
                errp,
                "image '%s': its snapshots share clusters up to %u times; use more refcount_bits, or delete snapshots",
                block_filename(n), c.count[i]);
            ok = false;
        }
    }
    ok = ok && rebuild(&c, errp);
    if (!ok)
        set_width(q, old);
    g_free(c.count);
    return ok;
}
