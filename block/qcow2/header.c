/* SPDX-License-Identifier: MIT */
/* qcow2: the header and its extensions; feature bits. */
#include <stdarg.h>
#include <string.h>
#include "block/qcow2/qcow2.h"

static const struct { uint8_t type, bit; const char *name; } feature_names[] = {
    { 0, 0, "dirty bit" }, { 0, 1, "corrupt bit" }, { 0, 2, "external data file" }, { 0, 3, "compression type" },
    { 0, 4, "extended L2 entries" }, { 1, 0, "lazy refcounts" }, { 2, 0, "bitmaps" }, { 2, 1, "raw external data" },
};

int q2_write_field(BlockNode *n, uint64_t offset, uint64_t value, unsigned size)
{
    uint8_t buf[8];
    store_be(buf, size, value);
    return block_pwrite(n->file, offset, buf, size);
}

int q2_set_features(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    uint8_t buf[24];
    if (q->version < 3)
        return 0;
    store_be(buf, 8, q->incompatible);
    store_be(buf + 8, 8, q->compatible);
    store_be(buf + 16, 8, q->autoclear);
    int r = block_pwrite(n->file, 72, buf, sizeof buf);
    return r ? r : block_flush(n->file);
}

int q2_mark_dirty(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    if (q->incompatible & INCOMPAT_DIRTY) {
        q->dirty_written = true;
        return 0;
    }
    q->incompatible |= INCOMPAT_DIRTY;
    int r = q2_set_features(n);
    if (r)
        q->incompatible &= ~(uint64_t)INCOMPAT_DIRTY;
    q->dirty_written = !r;
    return r;
}

int q2_mark_clean(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    if (!(q->incompatible & INCOMPAT_DIRTY))
        return 0;
    q->dirty_written = false; /* refcounts are written from here on */
    int r = q2_sync(n);
    if (r)
        return r;
    q->incompatible &= ~(uint64_t)INCOMPAT_DIRTY;
    q->dirty_written = false;
    return q2_set_features(n);
}

int q2_corrupt(BlockNode *n, const char *fmt, ...)
{
    Qcow2 *q = q2_of(n);
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *what = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    if (!q->broken && !(n->flags & BLOCK_CHECK)) {
        warn_reportf("image '%s' is corrupt: %s; writing to it ends here, rhea-img check -r all repairs what can be",
                     block_filename(n), what);
        if (block_writable(n) && q->version >= 3) {
            q->incompatible |= INCOMPAT_CORRUPT;
            q2_set_features(n);
        }
    }
    q->broken = true;
    return -EIO;
}

/* --- writing the whole header --- */

static void add(GByteArray *b, uint64_t value, unsigned size)
{
    uint8_t buf[8];
    store_be(buf, size, value);
    g_byte_array_append(b, buf, size);
}

static void add_extension(GByteArray *b, uint32_t magic, const void *data, size_t len)
{
    static const uint8_t padding[8];
    add(b, magic, 4);
    add(b, len, 4);
    g_byte_array_append(b, data, (guint)len);
    g_byte_array_append(b, padding, (guint)(align_up(len, 8) - len));
}

enum { SECTOR = 512, FEATURES_BYTES = 8 + ARRAY_LEN(feature_names) * 48, END_BYTES = 8 };

static void add_features(GByteArray *b)
{
    uint8_t table[FEATURES_BYTES - 8] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(feature_names); i++) {
        table[i * 48] = feature_names[i].type;
        table[i * 48 + 1] = feature_names[i].bit;
        memcpy(table + i * 48 + 2, feature_names[i].name, strlen(feature_names[i].name));
    }
    add_extension(b, EXT_FEATURES, table, sizeof table);
}

static void add_fixed(GByteArray *b, const Qcow2 *q, const BlockNode *n)
{
    add(b, QCOW2_MAGIC, 4);
    add(b, q->version, 4);
    add(b, 0, 8); /* backing file name: filled in behind */
    add(b, 0, 4);
    add(b, q->cluster_bits, 4);
    add(b, block_size(n), 8);
    add(b, q->crypt_method, 4);
    add(b, q->l1_size, 4);
    add(b, q->l1_offset, 8);
    add(b, q->reftable_offset, 8);
    add(b, q->reftable_clusters, 4);
    add(b, q->snapshots->len, 4);
    add(b, q->snapshots_offset, 8);
    if (q->version < 3)
        return;
    add(b, q->incompatible, 8);
    add(b, q->compatible, 8);
    add(b, q->autoclear, 8);
    add(b, q->refcount_order, 4);
    add(b, 112, 4);
    add(b, q->compression, 1);
    static const uint8_t padding[7];
    g_byte_array_append(b, padding, 7);
}

/* Where the present header has the backing file's name; a new image: nowhere. */
static int present_name(BlockNode *n, uint64_t *start, uint64_t *end)
{
    uint8_t h[12] = { 0 };
    int r = block_pread(n->file, 8, h, sizeof h);
    *start = load_be(h, 8);
    *end = *start + load_be(h + 8, 4);
    return r;
}

/* A name that does not fit into the first sector comes to a place where the present one is not. */
static int name_place(BlockNode *n, uint64_t behind, uint64_t len, uint64_t *place)
{
    uint64_t start, end, cluster = q2_of(n)->cluster_size;
    *place = behind;
    if (behind + len <= SECTOR)
        return 0;
    int r = present_name(n, &start, &end);
    for (uint64_t at = 1024; !r && at <= 2048 && at + len <= cluster; at += 1024) {
        if (at >= behind && (at >= end || at + len <= start)) {
            *place = at;
            break;
        }
    }
    return r;
}

/* Extensions and the end of them. */
static void add_extensions(GByteArray *b, const Qcow2 *q, const BlockNode *n, size_t name_len)
{
    if (n->backing_format)
        add_extension(b, (uint32_t)EXT_BACKING_FORMAT, n->backing_format, strlen(n->backing_format));
    if (q->data_file_name)
        add_extension(b, EXT_DATA_FILE, q->data_file_name, strlen(q->data_file_name));
    for (unsigned i = 0; i < q->extensions->len; i++) {
        const Q2Extension *e = &g_array_index(q->extensions, Q2Extension, i);
        add_extension(b, e->magic, e->data, e->len);
    }
    if (q->version >= 3 && b->len + FEATURES_BYTES + END_BYTES + name_len <= SECTOR)
        add_features(b);
    add(b, EXT_END, 4);
    add(b, 0, 4);
}

/*
 * A power cut leaves any of the sectors that were being written. So the header is its first sector: the table of the
 * features' names, which others can do without, is left out where there is no room for it, and only a long name stands
 * behind, durable before the first sector says so.
 */
bool q2_write_header(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    g_autoptr(GByteArray) b = g_byte_array_new();
    size_t name_len = n->backing_file ? strlen(n->backing_file) : 0;
    uint64_t place;
    add_fixed(b, q, n);
    add_extensions(b, q, n, name_len);
    int r = name_place(n, b->len, name_len, &place);
    if (!r && (name_len > 1023 || place + name_len > q->cluster_size)) {
        error_setf(
            errp,
            "image '%s': the header with the backing file's name does not fit into one cluster; use a shorter name",
            block_filename(n));
        return false;
    }
    guint used = b->len;
    g_byte_array_set_size(b, (guint)q->cluster_size);
    memset(b->data + used, 0, b->len - used);
    if (name_len) {
        store_be(b->data + 8, 8, place);
        store_be(b->data + 16, 4, name_len);
        memcpy(b->data + place, n->backing_file, name_len);
    }
    uint64_t end = name_len ? place + name_len : used;
    if (!r && end > SECTOR) {
        uint64_t from = MAX(align_down(MIN(used > SECTOR ? SECTOR : place, place), SECTOR), (uint64_t)SECTOR);
        r = block_pwrite(n->file, from, b->data + from, end - from);
        r = r ? r : block_flush(n->file);
    }
    r = r ? r : block_pwrite(n->file, 0, b->data, SECTOR);
    r = r ? r : block_flush(n->file);
    if (r)
        error_set_errno(errp, -r, "image '%s': its header can't be written", block_filename(n));
    return !r;
}
