/* SPDX-License-Identifier: MIT */
/*
 * qcow2: persistent dirty bitmaps (specification, "Bitmaps"): loaded at opening, in memory while in use, stored anew at
 * closing.
 */
#include <string.h>
#include "block/bitmap.h"
#include "block/qcow2/qcow2.h"

enum { FLAG_IN_USE = 1, FLAG_AUTO = 2, TYPE_DIRTY = 1, BITMAPS_MAX = 65535, ENTRY_HEAD = 24, TABLE_BYTES_MAX = 8 << 20,
       GRANULARITY_MIN = 9, GRANULARITY_MAX = 31 };
#define TABLE_ALL_ONES BIT(0)
#define TABLE_RESERVED ~(OFFSET_MASK | TABLE_ALL_ONES)

/* One entry of the directory. */
typedef struct Entry {
    uint64_t table;
    uint32_t words, flags;
    uint8_t type, bits;
    char *name;
    const uint8_t *at;   /* in the directory */
    size_t len;
    bool kept;           /* an inconsistent one: goes into the new directory as it is */
} Entry;

typedef struct Directory { uint32_t count; uint64_t offset, size; uint8_t *data; Entry *entry; } Directory;

static bool bad(BlockNode *n, Error **errp, const char *what)
{
    error_setf(errp, "image '%s': its bitmaps can't be used: %s; rhea-img check -r all, or remove them",
               block_filename(n), what);
    return false;
}

/* --- the directory --- */

static Q2Extension *extension(const Qcow2 *q)
{
    for (unsigned i = 0; i < q->extensions->len; i++) {
        Q2Extension *e = &g_array_index(q->extensions, Q2Extension, i);
        if (e->magic == EXT_BITMAPS && e->len >= 24)
            return e;
    }
    return NULL;
}

static void directory_free(Directory *d)
{
    for (uint32_t i = 0; d->entry && i < d->count; i++)
        g_free(d->entry[i].name);
    g_free(d->entry);
    g_free(d->data);
    *d = (Directory){ 0 };
}

static bool parse_entry(const Directory *d, uint64_t *at, Entry *e)
{
    const uint8_t *p = d->data + *at;
    if (*at + ENTRY_HEAD > d->size)
        return false;
    uint64_t name_len = load_be(p + 18, 2), extra = load_be(p + 20, 4),
             len = align_up(ENTRY_HEAD + extra + name_len, 8);
    if (len > d->size - *at || !name_len || name_len > BLOCK_BITMAP_NAME_MAX)
        return false;
    *e = (Entry){ .table = load_be(p, 8),
                  .words = (uint32_t)load_be(p + 8, 4),
                  .flags = (uint32_t)load_be(p + 12, 4),
                  .type = p[16],
                  .bits = p[17],
                  .name = g_strndup((const char *)p + ENTRY_HEAD + extra, name_len),
                  .at = p,
                  .len = len };
    *at += len;
    return e->type == TYPE_DIRTY && e->bits >= GRANULARITY_MIN && e->bits <= GRANULARITY_MAX;
}

/* An image without bitmaps has an empty directory. */
static bool read_directory(BlockNode *n, Directory *d, Error **errp)
{
    Qcow2 *q = q2_of(n);
    const Q2Extension *e = extension(q);
    *d = (Directory){ 0 };
    if (!e || !(q->autoclear & AUTOCLEAR_BITMAPS))
        return true;
    d->count = (uint32_t)load_be(e->data, 4);
    d->size = load_be(e->data + 8, 8);
    d->offset = load_be(e->data + 16, 8);
    uint32_t count = d->count;
    d->count = 0;
    if (!count || count > BITMAPS_MAX || d->size > QCOW2_MAX_BITMAP_DIRECTORY ||
        d->size < (uint64_t)count * ENTRY_HEAD || d->offset & (q->cluster_size - 1))
        return bad(n, errp, "the directory's place or size is not possible");
    d->data = g_try_malloc(d->size);
    d->entry = g_try_new0(Entry, count);
    int r = d->data && d->entry ? block_pread(n->file, d->offset, d->data, d->size) : -ENOMEM;
    bool ok = !r || bad(n, errp, "the directory can't be read");
    for (uint64_t at = 0; ok && d->count < count;)
        ok = parse_entry(d, &at, &d->entry[d->count++]) || bad(n, errp, "an entry of the directory is not valid");
    if (!ok)
        directory_free(d);
    return ok;
}

/* --- loading --- */

static bool load_one(BlockNode *n, BlockBitmap *b, const Entry *e, Error **errp)
{
    Qcow2 *q = q2_of(n);
    uint64_t need = q2_clusters(q, block_bitmap_bytes(b));
    if (e->words != need || e->table & (q->cluster_size - 1))
        return bad(n, errp, "a table does not fit the size of the disk");
    g_autofree uint8_t *table = g_try_malloc(MAX(need * 8, 1u)), *data = g_malloc(q->cluster_size);
    int r = !table ? -ENOMEM : need ? block_pread(n->file, e->table, table, need * 8) : 0;
    for (uint64_t i = 0; !r && i < need; i++) {
        uint64_t word = load_be(table + i * 8, 8), host = word & OFFSET_MASK;
        if (word & TABLE_RESERVED || host & (q->cluster_size - 1) || (host && word & TABLE_ALL_ONES))
            return bad(n, errp, "an entry of a table is not valid");
        if (!host && !(word & TABLE_ALL_ONES))
            continue;
        memset(data, 0xff, q->cluster_size);
        r = host ? block_pread(n->file, host, data, q->cluster_size) : 0;
        if (!r)
            block_bitmap_load(b, i << q->cluster_bits, data, q->cluster_size);
    }
    return !r || bad(n, errp, "their data can't be read");
}

/* From now on a crash leaves them marked: what the file holds of them is old. */
static int mark_in_use(BlockNode *n, const Directory *d)
{
    int r = 0;
    for (uint32_t i = 0; !r && i < d->count; i++) {
        const Entry *e = &d->entry[i];
        uint64_t field = d->offset + (uint64_t)(e->at - d->data) + 12;
        r = e->flags & FLAG_IN_USE ? 0 : q2_write_field(n, field, e->flags | FLAG_IN_USE, 4);
    }
    return r ? r : block_flush(n->file);
}

bool q2_load_bitmaps(BlockNode *n, Error **errp)
{
    Directory d;
    bool ok = !(n->flags & BLOCK_CHECK) && read_directory(n, &d, errp);
    if (n->flags & BLOCK_CHECK)
        return true;
    for (uint32_t i = 0; ok && i < d.count; i++) {
        const Entry *e = &d.entry[i];
        bool old = e->flags & FLAG_IN_USE;
        BlockBitmap *b = block_bitmap_add(n, e->name, BIT(e->bits),
                                          BITMAP_PERSISTENT | (old ? BITMAP_INCONSISTENT : 0) |
                                              (e->flags & FLAG_AUTO ? 0 : BITMAP_DISABLED),
                                          errp);
        ok = b && (old || n->flags & BLOCK_NO_IO || load_one(n, b, e, errp));
    }
    int r = ok && d.count && block_writable(n) && !(n->flags & BLOCK_NO_IO) ? mark_in_use(n, &d) : 0;
    directory_free(&d);
    q2_of(n)->bitmaps_loaded = ok && block_writable(n) && !(n->flags & BLOCK_NO_IO);
    return ok && (!r || bad(n, errp, "they can't be marked as in use"));
}

/* --- storing --- */

static bool all_same(const uint8_t *data, size_t len, uint8_t value)
{
    return data[0] == value && !memcmp(data, data + 1, len - 1);
}

/* Clusters with mixed contents are stored, others are a word in the table. */
static int store_data(BlockNode *n, const BlockBitmap *b, uint8_t *table, uint64_t words)
{
    Qcow2 *q = q2_of(n);
    g_autofree uint8_t *data = g_malloc(q->cluster_size);
    int r = 0;
    for (uint64_t i = 0; !r && i < words; i++) {
        block_bitmap_save(b, i << q->cluster_bits, data, q->cluster_size);
        uint64_t word = all_same(data, q->cluster_size, 0xff) ? TABLE_ALL_ONES : 0;
        if (!word && !all_same(data, q->cluster_size, 0)) {
            int64_t at = q2_alloc(n, 1);
            r = at < 0 ? (int)at : block_pwrite(n->file, (uint64_t)at, data, q->cluster_size);
            word = (uint64_t)at;
        }
        store_be(table + i * 8, 8, word);
    }
    return r;
}

static void add(GByteArray *out, uint64_t value, unsigned size)
{
    uint8_t raw[8];
    store_be(raw, size, value);
    g_byte_array_append(out, raw, size);
}

static bool keep(Directory *old, const char *name, GByteArray *dir)
{
    for (uint32_t i = 0; i < old->count; i++) {
        Entry *e = &old->entry[i];
        if (strcmp(e->name, name) || !(e->flags & FLAG_IN_USE))
            continue;
        g_byte_array_append(dir, e->at, (guint)e->len);
        return e->kept = true;
    }
    return false;
}

static int store_one(BlockNode *n, const BlockBitmap *b, Directory *old, GByteArray *dir)
{
    Qcow2 *q = q2_of(n);
    BlockBitmapInfo info;
    block_bitmap_info(b, &info);
    if (info.inconsistent)
        return keep(old, info.name, dir) ? 0 : -EIO;
    uint64_t words = q2_clusters(q, block_bitmap_bytes(b)), bytes = words * 8;
    g_autofree uint8_t *table = g_try_malloc0(MAX(align_up(bytes, q->cluster_size), 1u));
    int64_t at = words ? q2_alloc(n, q2_clusters(q, bytes)) : 0;
    int r = !table ? -ENOMEM : at < 0 ? (int)at : store_data(n, b, table, words);
    if (!r && words)
        r = block_pwrite(n->file, (uint64_t)at, table, align_up(bytes, q->cluster_size));
    size_t name_len = strlen(info.name);
    add(dir, (uint64_t)at, 8);
    add(dir, words, 4);
    add(dir, info.enabled ? FLAG_AUTO : 0, 4);
    add(dir, TYPE_DIRTY, 1);
    add(dir, (unsigned)__builtin_ctzll(info.granularity), 1);
    add(dir, name_len, 2);
    add(dir, 0, 4);
    g_byte_array_append(dir, (const uint8_t *)info.name, (guint)name_len);
    while (dir->len & 7)
        add(dir, 0, 1);
    return r;
}

/* What the directory on disk names is given back once nothing points to it any more. */
static void free_old(BlockNode *n, const Directory *d)
{
    Qcow2 *q = q2_of(n);
    for (uint32_t i = 0; i < d->count; i++) {
        const Entry *e = &d->entry[i];
        uint64_t bytes = e->words * 8ull;
        g_autofree uint8_t *table = bytes <= TABLE_BYTES_MAX ? g_try_malloc(MAX(bytes, 1u)) : NULL;
        if (!table || !bytes || e->kept || e->table & (q->cluster_size - 1) ||
            block_pread(n->file, e->table, table, bytes))
            continue;
        for (uint64_t k = 0; k < e->words; k++) {
            uint64_t host = load_be(table + k * 8, 8) & OFFSET_MASK;
            if (host && !(host & (q->cluster_size - 1)))
                q2_free_later(n, host, 1);
        }
        q2_free_later(n, e->table, q2_clusters(q, bytes));
    }
    if (d->count)
        q2_free_later(n, d->offset, q2_clusters(q, d->size));
}

static void set_extension(Qcow2 *q, uint32_t count, uint64_t size, uint64_t offset)
{
    Q2Extension *e = extension(q);
    q->layout_stale = true;
    if (!count) {
        if (e) {
            g_free(e->data);
            g_array_remove_index(q->extensions, (guint)(e - &g_array_index(q->extensions, Q2Extension, 0)));
        }
        q->autoclear &= ~(uint64_t)AUTOCLEAR_BITMAPS;
        return;
    }
    if (!e) {
        Q2Extension fresh = { EXT_BITMAPS, 24, g_malloc0(24) };
        g_array_append_val(q->extensions, fresh);
        e = extension(q);
    }
    store_be(e->data, 4, count);
    store_be(e->data + 4, 4, 0);
    store_be(e->data + 8, 8, size);
    store_be(e->data + 16, 8, offset);
    q->autoclear |= AUTOCLEAR_BITMAPS;
}

/* (locked) New tables and a new directory beside the old ones, then the header, then the old ones go. */
bool q2_store_bitmaps(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    Directory old;
    g_autoptr(GByteArray) dir = g_byte_array_new();
    uint32_t count = 0;
    int r = 0;
    BlockBitmap *b;
    if (!q->bitmaps_loaded || !read_directory(n, &old, errp))
        return !q->bitmaps_loaded;
    for (unsigned i = 0; !r && (b = block_bitmap_nth(n, i)); i++) {
        BlockBitmapInfo info;
        block_bitmap_info(b, &info);
        if (info.persistent) {
            r = store_one(n, b, &old, dir);
            count++;
        }
    }
    if (!r && (count || old.count)) {
        int64_t at = count ? q2_alloc(n, q2_clusters(q, dir->len)) : 0;
        r = at < 0 ? (int)at : count ? block_pwrite(n->file, (uint64_t)at, dir->data, dir->len) : 0;
        r = r ? r : q2_sync(n); /* refcounts, tables, directory */
        if (!r) {
            set_extension(q, count, dir->len, (uint64_t)at);
            r = q2_write_header(n, errp) ? 0 : -EIO;
        }
        if (!r)
            free_old(n, &old);
    }
    directory_free(&old);
    if (r && !(errp && *errp))
        error_set_errno(errp, -r, "image '%s': its bitmaps can't be stored; they are inconsistent now",
                        block_filename(n));
    return !r;
}

/* --- for the core --- */

bool q2_bitmap_can_store(BlockNode *n, const char *name, uint64_t granularity, Error **errp)
{
    Qcow2 *q = q2_of(n);
    unsigned count = 0;
    while (block_bitmap_nth(n, count))
        count++;
    uint64_t bytes = (block_size(n) / granularity + 7) / 8;
    if (q->version < 3)
        error_setf(errp, "image '%s' is of version 2, which has no bitmaps; amend it to compat=1.1", block_filename(n));
    else if (count >= BITMAPS_MAX)
        error_setf(errp, "image '%s' has the largest number of bitmaps already", block_filename(n));
    else if (q2_clusters(q, bytes) * 8 > TABLE_BYTES_MAX)
        error_setf(errp, "bitmap '%s': the table would be too large; use a larger granularity", name);
    else
        return true;
    return false;
}

/* JSON for info: as they stand in the file. NULL: none. */
char *q2_bitmaps_info(BlockNode *n)
{
    Directory d;
    if (!read_directory(n, &d, NULL) || !d.count)
        return NULL;
    GString *s = g_string_new("[");
    for (uint32_t i = 0; i < d.count; i++) {
        const Entry *e = &d.entry[i];
        bool in_use = e->flags & FLAG_IN_USE, is_auto = e->flags & FLAG_AUTO;
        g_string_append_printf(s, "%s{\"flags\": [%s%s%s], \"name\": ", i ? ", " : "", in_use ? "\"in-use\"" : "",
                               in_use && is_auto ? ", " : "", is_auto ? "\"auto\"" : "");
        block_json_string(s, e->name);
        g_string_append_printf(s, ", \"granularity\": %" PRIu64 "}", BIT(e->bits));
    }
    g_string_append_c(s, ']');
    directory_free(&d);
    return g_string_free(s, FALSE);
}
