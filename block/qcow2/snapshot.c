/* SPDX-License-Identifier: MIT */
/* qcow2: internal snapshots: a table of saved L1 tables. */
#include <string.h>
#include <time.h>
#include "block/qcow2/qcow2.h"

static Q2Snapshot *nth(const Qcow2 *q, unsigned i) { return &g_array_index(q->snapshots, Q2Snapshot, i); }

static void clear(Q2Snapshot *s)
{
    g_free(s->id);
    g_free(s->name);
    g_free(s->extra);
    *s = (Q2Snapshot){ 0 };
}

void q2_free_snapshots(Qcow2 *q)
{
    for (unsigned i = 0; i < q->snapshots->len; i++)
        clear(nth(q, i));
    g_array_unref(q->snapshots);
}

/* --- the table --- */

/* One entry at *at (specification, "Snapshots"). */
static int read_one(BlockNode *n, uint64_t *at, Q2Snapshot *s)
{
    Qcow2 *q = q2_of(n);
    uint8_t h[40], known[24] = { 0 };
    int r = block_pread(n->file, *at, h, sizeof h);
    if (r)
        return r;
    unsigned id_len = load_be(h + 12, 2), name_len = load_be(h + 14, 2);
    *s = (Q2Snapshot){ .l1_offset = load_be(h, 8),
                       .l1_size = (uint32_t)load_be(h + 8, 4),
                       .date_sec = (uint32_t)load_be(h + 16, 4),
                       .date_nsec = (uint32_t)load_be(h + 20, 4),
                       .vm_clock_ns = load_be(h + 24, 8),
                       .vm_state_size32 = (uint32_t)load_be(h + 32, 4),
                       .extra_len = (uint32_t)load_be(h + 36, 4) };
    if (s->extra_len > QCOW2_MAX_SNAPSHOT_EXTRA)
        return -EINVAL;
    r = block_pread(n->file, *at + 40, known, MIN(s->extra_len, (uint32_t)sizeof known));
    s->vm_state_size = s->extra_len >= 8 ? load_be(known, 8) : s->vm_state_size32;
    s->disk_size = s->extra_len >= 16 ? load_be(known + 8, 8) : block_size(n);
    s->icount = s->extra_len >= 24 ? load_be(known + 16, 8) : ~UINT64_C(0);
    s->unknown_len = s->extra_len > 24 ? s->extra_len - 24 : 0;
    s->extra = g_malloc0(s->unknown_len + 1u);
    s->id = g_malloc0(id_len + 1u);
    s->name = g_malloc0(name_len + 1u);
    r = r ? r : block_pread(n->file, *at + 64, s->extra, s->unknown_len);
    uint64_t strings = *at + 40 + s->extra_len;
    r = r ? r : block_pread(n->file, strings, s->id, id_len);
    r = r ? r : block_pread(n->file, strings + id_len, s->name, name_len);
    *at = align_up(strings + id_len + name_len, 8);
    if (!r && (s->l1_size > QCOW2_MAX_L1 / 8 || s->l1_offset & (q->cluster_size - 1) || s->l1_offset > INT64_MAX / 2))
        r = -EINVAL;
    return r;
}

bool q2_read_snapshots(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    uint64_t at = q->snapshots_offset;
    for (unsigned i = 0; i < q->snapshots->len; i++) {
        int r = read_one(n, &at, nth(q, i));
        if (!r && at - q->snapshots_offset > QCOW2_MAX_SNAPSHOT_TABLE)
            r = -EINVAL;
        if (r) {
            error_setf(
                errp, "image '%s': snapshot %u of %u can't be read from its table (%s); rhea-img check -r all may help",
                block_filename(n), i + 1, q->snapshots->len, r == -EINVAL ? "a field is not possible" : g_strerror(-r));
            return false;
        }
    }
    return true;
}

static void add(GByteArray *b, uint64_t value, unsigned size)
{
    uint8_t buf[8];
    store_be(buf, size, value);
    g_byte_array_append(b, buf, size);
}

static void add_one(GByteArray *b, const Q2Snapshot *s)
{
    static const uint8_t padding[8];
    size_t id_len = strlen(s->id), name_len = strlen(s->name);
    add(b, s->l1_offset, 8);
    add(b, s->l1_size, 4);
    add(b, id_len, 2);
    add(b, name_len, 2);
    add(b, s->date_sec, 4);
    add(b, s->date_nsec, 4);
    add(b, s->vm_clock_ns, 8);
    add(b, s->vm_state_size <= UINT32_MAX ? s->vm_state_size : 0, 4);
    add(b, 24 + s->unknown_len, 4);
    add(b, s->vm_state_size, 8);
    add(b, s->disk_size, 8);
    add(b, s->icount, 8);
    g_byte_array_append(b, s->extra ? s->extra : padding, s->unknown_len);
    g_byte_array_append(b, (const uint8_t *)s->id, (guint)id_len);
    g_byte_array_append(b, (const uint8_t *)s->name, (guint)name_len);
    g_byte_array_append(b, padding, (guint)(align_up(b->len, 8) - b->len));
}

uint64_t q2_snapshot_table_bytes(const Qcow2 *q)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < q->snapshots->len; i++) {
        const Q2Snapshot *s = nth(q, i);
        total += align_up(64 + s->unknown_len + strlen(s->id) + strlen(s->name), 8);
    }
    return total;
}

int q2_write_snapshots(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    g_autoptr(GByteArray) b = g_byte_array_new();
    for (unsigned i = 0; i < q->snapshots->len; i++)
        add_one(b, nth(q, i));
    if (b->len > QCOW2_MAX_SNAPSHOT_TABLE)
        return -EFBIG;
    int64_t at = b->len ? q2_alloc(n, q2_clusters(q, b->len)) : 0;
    int r = at < 0 ? (int)at : 0;
    if (!r && b->len)
        r = block_pwrite(n->file, (uint64_t)at, b->data, b->len);
    r = r ? r : q2_writeback(n);
    r = r ? r : block_flush(n->file);
    uint8_t field[12];
    store_be(field, 4, q->snapshots->len);
    store_be(field + 4, 8, (uint64_t)at);
    r = r ? r : block_pwrite(n->file, 60, field, sizeof field);
    r = r ? r : block_flush(n->file);
    if (!r)
        q->snapshots_offset = (uint64_t)at;
    q->layout_stale = true;
    return r;
}

/* --- counting what an L1 table reaches --- */

/*
 * A private copy of a snapshot's L1 table, host byte order, with room for `size` entries; none is the active table's
 * own.
 */
static uint64_t *read_l1(BlockNode *n, const Q2Snapshot *s, uint32_t size, int *error)
{
    uint64_t *l1 = g_try_malloc0(MAX(size, 1u) * 8u);
    *error = l1 ? block_pread(n->file, s->l1_offset, l1, s->l1_size * 8u) : -ENOMEM;
    for (uint32_t i = 0; !*error && i < s->l1_size; i++)
        l1[i] = GUINT64_FROM_BE(l1[i]) & ~OFLAG_COPIED;
    return l1;
}

/* One user more or less of each. */
static int count_range(BlockNode *n, uint64_t first, uint64_t clusters, bool up)
{
    Qcow2 *q = q2_of(n);
    int r = q2_change_refcount(n, first, clusters, up);
    if (r || up || !q->counted_down)
        return r;
    Q2Free f = { .offset = first << q->cluster_bits, .clusters = clusters, .why = Q2_BY_SNAPSHOT };
    Q2Free *last = q->counted_down->len ? &g_array_index(q->counted_down, Q2Free, q->counted_down->len - 1) : NULL;
    if (last && last->offset + (last->clusters << q->cluster_bits) == f.offset)
        last->clusters += clusters;
    else
        g_array_append_val(q->counted_down, f);
    return 0;
}

static int change_entry(BlockNode *n, uint64_t entry, bool up)
{
    Qcow2 *q = q2_of(n);
    if (entry & OFLAG_COMPRESSED) {
        uint64_t offset, len;
        q2_compressed_range(q, entry, &offset, &len);
        uint64_t first = offset >> q->cluster_bits, last = (offset + len - 1) >> q->cluster_bits;
        return count_range(n, first, last - first + 1, up);
    }
    uint64_t at = entry & OFFSET_MASK;
    if (!at || q->data_node)
        return 0;
    if (at & (q->cluster_size - 1))
        return q2_corrupt(n, "L2 entry 0x%" PRIx64 " is not aligned to a cluster", entry);
    return count_range(n, at >> q->cluster_bits, 1, up);
}

/* As far as *tables whole ones and *entries of the next. */
static int count_part(BlockNode *n, const uint64_t *l1, uint32_t *tables, uint64_t *entries, bool up)
{
    Qcow2 *q = q2_of(n);
    int r = 0;
    for (uint32_t i = 0; !r && (i < *tables || (i == *tables && *entries)); i++) {
        uint64_t at = l1[i] & OFFSET_MASK, want = i < *tables ? q2_l2_entries(q) : *entries, done = 0;
        if (!at)
            continue;
        Q2Table *t = q2_cache_get(n, &q->l2, at, false, &r);
        for (; t && !r && done < want; done += !r) {
            uint64_t entry = q2_entry(q, t, (unsigned)done);
            r = entry ? change_entry(n, entry, up) : 0;
        }
        if (t)
            q2_cache_put(t);
        if (!r && i < *tables)
            r = count_range(n, at >> q->cluster_bits, 1, up);
        if (r) {
            *tables = i;
            *entries = done;
        }
    }
    return r;
}

/*
 * Every cluster that the table reaches counts one more or one less. -EOVERFLOW: the counts are too narrow, nothing has
 * changed.
 */
static int count_l1(BlockNode *n, const uint64_t *l1, uint32_t size, bool up)
{
    uint64_t entries = 0;
    int r = count_part(n, l1, &size, &entries, up),
        undone = r == -EOVERFLOW ? count_part(n, l1, &size, &entries, false) : 0;
    return undone ? undone : r;
}

/* COPIED of the active tables, from the counts. */
static int refresh_copied(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    int r = 0;
    for (uint32_t i = 0; i < q->l1_size && !r; i++) {
        uint64_t at = q->l1[i] & OFFSET_MASK, count, was = q->l1[i];
        if (!at)
            continue;
        r = q2_refcount(n, at >> q->cluster_bits, &count);
        q->l1[i] = at | (count == 1 ? OFLAG_COPIED : 0);
        if (q->l1[i] != was)
            q2_l1_dirty(q, i);
        Q2Table *t = r ? NULL : q2_cache_get(n, &q->l2, at, false, &r);
        for (unsigned k = 0; t && !r && k < q2_l2_entries(q); k++) {
            uint64_t entry = q2_entry(q, t, k);
            if (entry & OFLAG_COMPRESSED || !(entry & OFFSET_MASK) || q->data_node)
                continue;
            r = q2_refcount(n, (entry & OFFSET_MASK) >> q->cluster_bits, &count);
            uint64_t now = (entry & ~OFLAG_COPIED) | (count == 1 ? OFLAG_COPIED : 0);
            if (!r && now != entry)
                q2_set_entry(q, t, k, now, q2_bitmap(q, t, k));
        }
        if (t)
            q2_cache_put(t);
    }
    return r;
}

static int write_l1(BlockNode *n, uint64_t at, const uint64_t *l1, uint32_t size)
{
    Qcow2 *q = q2_of(n);
    uint64_t bytes = q2_clusters(q, size * 8u) << q->cluster_bits;
    g_autofree uint64_t *raw = g_try_malloc0(MAX(bytes, 8u));
    for (uint32_t i = 0; raw && i < size; i++)
        raw[i] = GUINT64_TO_BE(l1[i]);
    return raw ? block_pwrite(n->file, at, raw, bytes) : -ENOMEM;
}

/*
 * Until the end the counts and the flags don't fit: a crash in between is mended when the image is opened (version 3).
 */
static int begin_change(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    int r = q->broken ? -EIO : q2_sync(n);
    q->why = Q2_BY_SNAPSHOT;
    if (n->flags & BLOCK_UNMAP && q->pass_discard[Q2_BY_SNAPSHOT])
        q->counted_down = g_array_new(false, false, sizeof(Q2Free));
    return r ? r : q->version >= 3 ? q2_mark_dirty(n) : 0;
}

/* The host may have the place of what nobody uses any more. It is a hint: an error here changes nothing. */
static void unmap_counted(BlockNode *n, bool ok)
{
    Qcow2 *q = q2_of(n);
    GArray *list = g_steal_pointer(&q->counted_down);
    q->why = Q2_BY_OTHER;
    for (unsigned i = 0; ok && list && i < list->len; i++)
        q2_unmap_free(n, &g_array_index(list, Q2Free, i));
    g_clear_pointer(&list, g_array_unref);
}

static int end_change(BlockNode *n, int r)
{
    Qcow2 *q = q2_of(n);
    q->dirty_written = false;
    r = r ? r : q2_sync(n);
    if (!r && !q->lazy)
        r = q2_mark_clean(n);
    q->dirty_written = q->lazy && q->incompatible & INCOMPAT_DIRTY;
    if (r)
        q->broken = true; /* what is in memory and what is on disk may differ */
    unmap_counted(n, !r);
    return r;
}

static bool too_narrow(BlockNode *n, Error **errp)
{
    error_setf(errp, "image '%s': its %u-bit reference counts can't hold that; convert it with refcount_bits=16",
               block_filename(n), 1u << q2_of(n)->refcount_order);
    return false;
}

static bool failed(BlockNode *n, int r, const char *what, Error **errp)
{
    if (r)
        error_set_errno(errp, -r, "image '%s': %s", block_filename(n), what);
    return !r;
}

/* --- the operations --- */

static int find(const Qcow2 *q, const char *id_or_name)
{
    for (unsigned i = 0; i < q->snapshots->len; i++) {
        if (!strcmp(nth(q, i)->id, id_or_name))
            return (int)i;
    }
    for (unsigned i = 0; i < q->snapshots->len; i++) {
        if (!strcmp(nth(q, i)->name, id_or_name))
            return (int)i;
    }
    return -1;
}

static int find_or_fail(BlockNode *n, const char *id_or_name, Error **errp)
{
    Qcow2 *q = q2_of(n);
    int i = find(q, id_or_name);
    if (i >= 0)
        return i;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned k = 0; k < q->snapshots->len; k++)
        g_ptr_array_add(names, nth(q, k)->name);
    g_ptr_array_add(names, NULL);
    g_autofree char *object = g_strdup_printf("image '%s': snapshot", block_filename(n));
    error_set_unknown(errp, object, id_or_name, (const char *const *)names->pdata);
    return -1;
}

static char *next_id(const Qcow2 *q)
{
    uint64_t max = 0;
    for (unsigned i = 0; i < q->snapshots->len; i++)
        max = MAX(max, g_ascii_strtoull(nth(q, i)->id, NULL, 10));
    return g_strdup_printf("%" PRIu64, max + 1);
}

bool q2_snapshot_create(BlockNode *n, const BlockSnapshot *info, Error **errp)
{
    Qcow2 *q = q2_of(n);
    if (q->data_node) {
        error_setf(errp,
                   "image '%s' has an external data file, which internal snapshots don't cover; use an overlay image",
                   block_filename(n));
        return false;
    }
    if (q->snapshots->len + 2 > q2_refcount_max(q))
        return too_narrow(n, errp);
    if (q->snapshots->len >= QCOW2_MAX_SNAPSHOTS) {
        error_setf(errp, "image '%s' has 65536 snapshots; delete one", block_filename(n));
        return false;
    }
    if (info->id[0] && find(q, info->id) >= 0) {
        error_setf(errp, "image '%s': a snapshot with id %s exists", block_filename(n), info->id);
        return false;
    }
    pthread_mutex_lock(&q->lock);
    int r = begin_change(n);
    Q2Snapshot s = { .id = info->id[0] ? g_strdup(info->id) : next_id(q),
                     .name = g_strdup(info->name),
                     .l1_size = q->l1_size,
                     .vm_state_size = info->vm_state_size,
                     .disk_size = block_size(n),
                     .date_sec = info->date_sec,
                     .date_nsec = info->date_nsec,
                     .vm_clock_ns = info->vm_clock_ns,
                     .icount = info->icount };
    int64_t at = r ? r : q2_alloc(n, MAX(q2_clusters(q, q->l1_size * 8u), 1u));
    r = at < 0 ? (int)at : count_l1(n, q->l1, q->l1_size, true);
    if (!r) {
        s.l1_offset = (uint64_t)at;
        r = refresh_copied(n);
        r = r ? r : write_l1(n, s.l1_offset, q->l1, q->l1_size);
        g_array_append_val(q->snapshots, s);
        uint64_t old = q->snapshots_offset,
                 old_bytes = q2_snapshot_table_bytes(q) - align_up(64 + strlen(s.id) + strlen(s.name), 8);
        r = r ? r : q2_write_snapshots(n);
        if (!r && old)
            q2_free_later(n, old, q2_clusters(q, old_bytes));
    } else {
        clear(&s);
    }
    bool narrow = r == -EOVERFLOW;
    if (narrow)
        q2_free_later(n, (uint64_t)at, MAX(q2_clusters(q, q->l1_size * 8u), 1u));
    r = end_change(n, narrow ? 0 : r);
    pthread_mutex_unlock(&q->lock);
    return narrow && !r ? too_narrow(n, errp) : failed(n, r, "the snapshot can't be made", errp);
}

/*
 * The active table becomes `l1`, with its own place for it at `at`, by one sector of the header: a crash leaves the one
 * state or the other. Narrow counts may only suffice when those of the old table go first (the dirty bit stands).
 * -EOVERFLOW: nothing has changed. Takes l1.
 */
static int exchange(BlockNode *n, uint64_t *l1, uint32_t size, uint64_t at, uint64_t disk_size)
{
    Qcow2 *q = q2_of(n);
    g_autofree uint64_t *fresh = l1;
    int r = count_l1(n, l1, size, true);
    bool early = r == -EOVERFLOW && q->version >= 3;
    if (early) {
        r = count_l1(n, q->l1, q->l1_size, false);
        r = r ? r : count_l1(n, l1, size, true);
        if (r == -EOVERFLOW && count_l1(n, q->l1, q->l1_size, true))
            return -EIO;
    }
    uint8_t field[24];
    store_be(field, 8, disk_size);
    store_be(field + 8, 4, q->crypt_method);
    store_be(field + 12, 4, size);
    store_be(field + 16, 8, at);
    r = r ? r : q2_writeback(n);
    r = r ? r : write_l1(n, at, l1, size);
    r = r ? r : block_flush(n->file);
    r = r ? r : block_pwrite(n->file, 24, field, sizeof field);
    r = r ? r : block_flush(n->file);
    r = r || early ? r : count_l1(n, q->l1, q->l1_size, false);
    if (r)
        return r;
    q2_free_later(n, q->l1_offset, q2_clusters(q, q->l1_size * 8u));
    fresh = q->l1;
    q->l1 = l1;
    q->l1_size = size;
    q->l1_offset = at;
    q->layout_stale = true;
    n->size = disk_size;
    return 0;
}

bool q2_snapshot_apply(BlockNode *n, const char *id_or_name, Error **errp)
{
    Qcow2 *q = q2_of(n);
    int i = find_or_fail(n, id_or_name, errp);
    if (i < 0)
        return false;
    const Q2Snapshot *s = nth(q, (unsigned)i);
    pthread_mutex_lock(&q->lock);
    int r = begin_change(n);
    if (!r && q2_l1_needed(q, s->disk_size) > s->l1_size)
        r = -EINVAL;
    uint32_t size = MAX(MAX(q->l1_size, s->l1_size), 1u);
    uint64_t *l1 = r ? NULL : read_l1(n, s, size, &r);
    int64_t at = r ? r : q2_alloc(n, q2_clusters(q, size * 8u));
    r = at < 0 ? (int)at : exchange(n, g_steal_pointer(&l1), size, (uint64_t)at, s->disk_size);
    bool narrow = r == -EOVERFLOW;
    if (narrow)
        q2_free_later(n, (uint64_t)at, q2_clusters(q, size * 8u));
    r = r ? r : refresh_copied(n);
    r = end_change(n, narrow ? 0 : r);
    pthread_mutex_unlock(&q->lock);
    g_free(l1);
    return narrow && !r ? too_narrow(n, errp) : failed(n, r, "the snapshot can't be applied", errp);
}

bool q2_snapshot_delete(BlockNode *n, const char *id_or_name, Error **errp)
{
    Qcow2 *q = q2_of(n);
    int i = find_or_fail(n, id_or_name, errp);
    if (i < 0)
        return false;
    pthread_mutex_lock(&q->lock);
    uint64_t old = q->snapshots_offset, old_bytes = q2_snapshot_table_bytes(q);
    int r = begin_change(n);
    Q2Snapshot s = *nth(q, (unsigned)i);
    uint64_t *l1 = r ? NULL : read_l1(n, &s, s.l1_size, &r);
    if (!r) {
        g_array_remove_index(q->snapshots, (guint)i);
        r = q2_write_snapshots(n); /* from here on nothing points to it */
        if (!r && old)
            q2_free_later(n, old, q2_clusters(q, old_bytes));
        r = r ? r : count_l1(n, l1, s.l1_size, false);
        if (!r)
            q2_free_later(n, s.l1_offset, MAX(q2_clusters(q, s.l1_size * 8u), 1u));
        r = r ? r : refresh_copied(n);
        clear(&s);
    }
    r = end_change(n, r);
    pthread_mutex_unlock(&q->lock);
    g_free(l1);
    return failed(n, r, "the snapshot can't be deleted", errp);
}

bool q2_snapshot_load(BlockNode *n, const char *id_or_name, Error **errp)
{
    Qcow2 *q = q2_of(n);
    int r, i = find_or_fail(n, id_or_name, errp);
    if (i < 0)
        return false;
    if (block_writable(n)) {
        error_setf(errp, "image '%s' is open for writing: apply the snapshot, or open it read-only", block_filename(n));
        return false;
    }
    const Q2Snapshot *s = nth(q, (unsigned)i);
    uint64_t *l1 = read_l1(n, s, s->l1_size, &r);
    if (!r && q2_l1_needed(q, s->disk_size) > s->l1_size)
        r = -EINVAL;
    if (r) {
        g_free(l1);
        return failed(n, r, "the snapshot can't be read", errp);
    }
    pthread_mutex_lock(&q->lock);
    g_free(q->l1);
    q->l1 = l1;
    q->l1_size = s->l1_size;
    n->size = s->disk_size;
    pthread_mutex_unlock(&q->lock);
    return true;
}

int q2_snapshot_vmstate_preadv(BlockNode *n, const char *id_or_name, uint64_t offset, const struct iovec *iov,
                               int iovcnt)
{
    Qcow2 *q = q2_of(n);
    uint64_t len = iov_bytes(iov, iovcnt);
    int r = 0, i = find(q, id_or_name);
    if (i < 0)
        return -ENOENT;
    const Q2Snapshot *s = nth(q, (unsigned)i);
    if (offset > s->vm_state_size || len > s->vm_state_size - offset)
        return -EIO;
    g_autofree uint64_t *l1 = read_l1(n, s, s->l1_size, &r);
    return r ? r : q2_preadv_in(n, l1, s->l1_size, q2_vmstate_start(q, s->disk_size) + offset, len, iov, iovcnt);
}

bool q2_snapshot_list(BlockNode *n, GArray *out, Error **errp)
{
    Qcow2 *q = q2_of(n);
    for (unsigned i = 0; i < q->snapshots->len; i++) {
        const Q2Snapshot *s = nth(q, i);
        BlockSnapshot b = { .vm_state_size = s->vm_state_size,
                            .disk_size = s->disk_size,
                            .date_sec = s->date_sec,
                            .date_nsec = s->date_nsec,
                            .vm_clock_ns = s->vm_clock_ns,
                            .icount = s->icount };
        g_strlcpy(b.id, s->id, sizeof b.id);
        g_strlcpy(b.name, s->name, sizeof b.name);
        g_array_append_val(out, b);
    }
    return true;
}
