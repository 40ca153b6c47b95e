/* SPDX-License-Identifier: MIT */
/* QED, the QEMU enhanced disk format: two levels of tables, backing files, no reference counts. */
#include <inttypes.h>
#include <string.h>
#include "block/qed/qed.h"

/*
 * Header (little endian): magic, cluster size, table size and header size in clusters, features, compatible features,
 * autoclear bits, L1 table, disk size, backing file name. Tables have entries of 8 bytes: an offset; 0: not allocated;
 * in L2 tables 1: zero. New clusters and tables are in the file before what points to them, so an image that was not
 * closed has leaks at worst; the need-check bit is set while tables change for other programs' sake, and opening an
 * image with it checks it.
 */
enum {
    H_MAGIC = 0,
    H_CLUSTER = 4,
    H_TABLE = 8,
    H_HEADER = 12,
    H_FEATURES = 16,
    H_COMPATIBLE = 24,
    H_AUTOCLEAR = 32,
    H_L1 = 40,
    H_SIZE = 48,
    H_NAME = 56,
    H_NAME_SIZE = 60
};

bool qed_valid_offset(const Qed *q, uint64_t offset, uint64_t len, uint64_t end)
{
    return offset >= q->header && !(offset & (q->cluster - 1)) && offset <= end && len <= end - offset;
}

/* --- tables --- */

static int load_entry(BlockNode *n, uint64_t table, uint64_t index, uint64_t *out)
{
    return meta_load(&qed_of(n)->meta, table + index * 8, 8, false, out);
}

/* The L2 table for a disk offset: 0 when there is none. */
static int find_l2(BlockNode *n, uint64_t offset, uint64_t *l2)
{
    Qed *q = qed_of(n);
    int r = load_entry(n, q->l1, offset / q->cluster / q->entries, l2);
    return r ? r : *l2 && !qed_valid_offset(q, *l2, q->table, q->end) ? -EIO : 0;
}

static int qed_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Qed *q = qed_of(n);
    uint64_t in = offset & (q->cluster - 1), l2, e = 0;
    int r = find_l2(n, offset, &l2);
    *m = (SparseMap){ .file = n->file,
                      .len = q->cluster - in,
                      .block = offset - in,
                      .unit = q->cluster,
                      .limit = align_up(block_size(n), q->cluster) };
    if (!r && l2)
        r = load_entry(n, l2, offset / q->cluster % q->entries, &e);
    if (r)
        return r;
    if (!l2) { /* the whole table's range */
        uint64_t span = q->cluster * q->entries;
        m->len = span - offset % span;
    }
    m->kind = e == 0 ? SPARSE_ABSENT : e == 1 ? SPARSE_ZERO : SPARSE_DATA;
    m->host = e + in;
    return m->kind == SPARSE_DATA && !qed_valid_offset(q, e, q->cluster, q->end) ? -EIO : 0;
}

static int qed_alloc(BlockNode *n, SparseMap *m, bool *fresh)
{
    Qed *q = qed_of(n);
    m->file = n->file;
    m->host = q->end;
    q->end += q->cluster;
    *fresh = m->host >= block_size(n->file);
    return 0;
}

static int qed_link(BlockNode *n, const SparseMap *m)
{
    Qed *q = qed_of(n);
    uint64_t l2, cluster = m->block / q->cluster;
    int r = find_l2(n, m->block, &l2);
    if (!r && !l2) {
        l2 = q->end;
        r = meta_zero(&q->meta, l2, q->table, META_LEAF);
        r = r ? r : meta_store(&q->meta, q->l1 + cluster / q->entries * 8, 8, false, l2, META_ROOT);
        q->end += r ? 0 : q->table;
    }
    return r ? r
             : meta_store(&q->meta, l2 + cluster % q->entries * 8, 8, false, m->kind == SPARSE_ZERO ? 1 : m->host,
                          META_LEAF);
}

static int qed_sync(BlockNode *n)
{
    Meta *m = &qed_of(n)->meta;
    return sparse_sync_tables(&m, 1);
}

/* Tables can be larger than what is kept in memory before a write: their pages count. */
static bool qed_full(BlockNode *n) { return meta_is_full(&qed_of(n)->meta); }

static int qed_first_write(BlockNode *n)
{
    Qed *q = qed_of(n);
    q->features |= QED_NEED_CHECK;
    int r = qed_write_header(n);
    return r ? r : block_flush(n->file);
}

static const SparseOps qed_ops = { .map = qed_map,
                                   .alloc = qed_alloc,
                                   .link = qed_link,
                                   .sync = qed_sync,
                                   .full = qed_full,
                                   .first_write = qed_first_write,
                                   .can_zero = true,
                                   .pads = true };

/* --- header --- */

int qed_write_header(BlockNode *n)
{
    Qed *q = qed_of(n);
    size_t name = n->backing_file ? strlen(n->backing_file) : 0;
    g_autofree uint8_t *h = g_malloc0(QED_HEADER + name);
    q->features &= ~(uint64_t)(QED_BACKING | QED_BACKING_RAW);
    if (name)
        q->features |= QED_BACKING | (n->backing_format && !strcmp(n->backing_format, "raw") ? QED_BACKING_RAW : 0);
    store_le32(h + H_MAGIC, QED_MAGIC);
    store_le32(h + H_CLUSTER, (uint32_t)q->cluster);
    store_le32(h + H_TABLE, (uint32_t)(q->table / q->cluster));
    store_le32(h + H_HEADER, (uint32_t)(q->header / q->cluster));
    store_le64(h + H_FEATURES, q->features);
    store_le64(h + H_COMPATIBLE, q->compatible);
    store_le64(h + H_AUTOCLEAR, q->autoclear);
    store_le64(h + H_L1, q->l1);
    store_le64(h + H_SIZE, n->size);
    store_le32(h + H_NAME, name ? QED_HEADER : 0);
    store_le32(h + H_NAME_SIZE, (uint32_t)name);
    if (name)
        memcpy(h + QED_HEADER, n->backing_file, name);
    return block_pwrite(n->file, 0, h, QED_HEADER + name);
}

static bool parse(BlockNode *n, const uint8_t *h, uint32_t *name, uint32_t *name_size, Error **errp)
{
    Qed *q = qed_of(n);
    if (load_le32(h) != QED_MAGIC)
        return sparse_bad(n, errp, "it does not start with the format's magic number");
    uint64_t table = load_le32(h + H_TABLE), header = load_le32(h + H_HEADER);
    q->cluster = load_le32(h + H_CLUSTER);
    q->features = load_le64(h + H_FEATURES);
    q->compatible = load_le64(h + H_COMPATIBLE);
    q->autoclear = load_le64(h + H_AUTOCLEAR);
    q->l1 = load_le64(h + H_L1);
    n->size = load_le64(h + H_SIZE);
    *name = load_le32(h + H_NAME);
    *name_size = load_le32(h + H_NAME_SIZE);
    if (q->features & ~(uint64_t)QED_KNOWN) {
        error_setf(errp, "image '%s' has QED features (0x%" PRIx64 ") that this program does not know",
                   block_filename(n), q->features);
        return false;
    }
    if (!is_pow2(q->cluster) || q->cluster < 4096 || q->cluster > 64 * MiB)
        return sparse_bad(n, errp, "its cluster size is not a power of two from 4 KiB to 64 MiB");
    if (!is_pow2(table) || table > 16 || !header || header > 64)
        return sparse_bad(n, errp, "the size of its tables or header is not possible");
    q->table = table * q->cluster;
    q->entries = q->table / 8;
    q->header = header * q->cluster;
    q->end = align_up(MAX(block_size(n->file), q->header), q->cluster);
    if (!qed_valid_offset(q, q->l1, q->table, q->end))
        return sparse_bad(n, errp, "its L1 table does not lie within the file");
    if (block_size(n) & 511 || block_size(n) > INT64_MAX / 2 || block_size(n) / q->cluster > q->entries * q->entries)
        return sparse_bad(n, errp, "the size of its disk is not possible");
    if (q->features & QED_BACKING && (*name_size > QED_NAME_MAX || *name > q->header || *name_size > q->header - *name))
        return sparse_bad(n, errp, "the name of its backing file does not lie in the header");
    return true;
}

static bool repair_at_open(BlockNode *n, Error **errp)
{
    Qed *q = qed_of(n);
    if (!(q->features & QED_NEED_CHECK) || n->flags & (BLOCK_CHECK | BLOCK_NO_IO) || !block_writable(n))
        return true;
    BlockCheck c = { 0 };
    return qed_check(n, &c, BLOCK_FIX_ERRORS | BLOCK_FIX_LEAKS, errp);
}

static void qed_close(BlockNode *n)
{
    meta_free(&qed_of(n)->meta);
    sparse_destroy(n);
}

static bool qed_open(BlockNode *n, Opts *o, Error **errp)
{
    Qed *q = qed_of(n);
    uint8_t h[QED_HEADER] = { 0 };
    uint32_t name = 0, name_size = 0;
    int r = block_size(n->file) < sizeof h ? -EINVAL : block_pread(n->file, 0, h, sizeof h);
    if (r) {
        error_set_errno(errp, -r, "image '%s': its header can't be read", block_filename(n));
        return false;
    }
    if (!parse(n, h, &name, &name_size, errp))
        return false;
    if (q->features & QED_BACKING && name_size) {
        n->backing_file = g_malloc0(name_size + 1u);
        if (block_pread(n->file, name, n->backing_file, name_size))
            return sparse_bad(n, errp, "the name of its backing file can't be read");
        n->backing_format = q->features & QED_BACKING_RAW ? g_strdup("raw") : NULL;
    }
    meta_init(&q->meta, n->file);
    sparse_init(n, &qed_ops);
    n->zero_align = (unsigned)q->cluster;
    if (q->autoclear && block_writable(n) && !(n->flags & (BLOCK_CHECK | BLOCK_NO_IO)))
        q->autoclear = 0; /* written with the first change */
    if (!repair_at_open(n, errp)) {
        qed_close(n);
        return false;
    }
    return true;
}

static bool qed_inactivate(BlockNode *n, Error **errp)
{
    Qed *q = qed_of(n);
    if (!sparse_inactivate(n, errp))
        return false;
    if (!q->sparse.touched)
        return true;
    q->features &= ~(uint64_t)QED_NEED_CHECK;
    int r = qed_write_header(n);
    if (r)
        error_set_errno(errp, -r, "image '%s': its header can't be written", block_filename(n));
    return !r;
}

static bool qed_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->cluster_size = qed_of(n)->cluster;
    out->dirty = qed_of(n)->features & QED_NEED_CHECK;
    return true;
}

static bool qed_change_backing(BlockNode *n, const char *file, const char *format, Error **errp)
{
    Qed *q = qed_of(n);
    if (file && (strlen(file) > QED_NAME_MAX || strlen(file) > q->header - QED_HEADER)) {
        error_setf(errp, "image '%s': the name of the backing file is too long for its header", block_filename(n));
        return false;
    }
    char *old = n->backing_file, *old_format = n->backing_format;
    n->backing_file = file && *file ? g_strdup(file) : NULL;
    n->backing_format = n->backing_file ? g_strdup(format) : NULL;
    pthread_mutex_lock(&q->sparse.lock);
    int r = qed_sync(n);
    r = r ? r : qed_write_header(n);
    r = r ? r : block_flush(n->file);
    pthread_mutex_unlock(&q->sparse.lock);
    if (r) {
        error_set_errno(errp, -r, "image '%s': its header can't be written", block_filename(n));
        g_free(n->backing_file);
        g_free(n->backing_format);
        n->backing_file = old;
        n->backing_format = old_format;
        return false;
    }
    g_free(old);
    g_free(old_format);
    return true;
}

/* What the disk gains is zero, also where a longer backing file has data. */
static int clear_gain(BlockNode *n, uint64_t old, uint64_t size)
{
    Qed *q = qed_of(n);
    uint64_t end = n->backing        ? MIN(block_size(n->backing), size)
                   : n->backing_file ? size
                                     : 0,
             edge = MIN(align_up(old, q->cluster), end);
    g_autofree uint8_t *zeroes = g_malloc0(q->cluster);
    int r = old < edge ? sparse_pwritev(n, old, edge - old, &(struct iovec){ zeroes, edge - old }, 1, 0) : 0;
    return !r && edge < end ? sparse_pwrite_zeroes(n, edge, align_up(end, q->cluster) - edge, 0) : r;
}

static bool qed_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    Qed *q = qed_of(n);
    size = align_up(size, 512);
    if (size < block_size(n) || prealloc != PREALLOC_OFF || size / q->cluster > q->entries * q->entries) {
        error_setf(errp,
                   "image '%s': a qed image can only be made larger, without preallocation, up to %" PRIu64
                   " clusters; convert it instead",
                   block_filename(n), q->entries * q->entries);
        return false;
    }
    uint64_t old = block_size(n);
    n->size = size;
    int r = clear_gain(n, old, size);
    r = r ? r : sparse_flush(n);
    r = r ? r : qed_write_header(n);
    r = r ? r : block_flush(n->file);
    if (r) {
        n->size = old;
        error_set_errno(errp, -r, "image '%s': its header can't be written", block_filename(n));
    }
    return !r;
}

/* --- creation --- */

typedef struct Params { uint64_t cluster, table; const char *backing, *format; } Params;

static bool parse_create(Opts *o, uint64_t size, Params *p, Error **errp)
{
    opts_get(o, "size");
    p->backing = opts_get(o, "backing_file");
    p->format = opts_get(o, "backing_fmt");
    if (!opts_get_size(o, "cluster_size", 64 * KiB, &p->cluster, errp) ||
        !opts_get_u64(o, "table_size", 4, &p->table, errp))
        return false;
    p->cluster = p->cluster ? p->cluster : 64 * KiB;
    p->table = p->table ? p->table : 4;
    if (!is_pow2(p->cluster) || p->cluster < 4096 || p->cluster > 64 * MiB) {
        error_setf(errp, "cluster_size: a power of two from 4k to 64M, please");
        return false;
    }
    if (!is_pow2(p->table) || p->table > 16) {
        error_setf(errp, "table_size: 1, 2, 4, 8 or 16 clusters, please");
        return false;
    }
    uint64_t entries = p->table * p->cluster / 8;
    if (size / p->cluster > entries * entries) {
        error_setf(errp,
                   "qed: a disk of %" PRIu64
                   " bytes is more than tables of this size can map; use a larger cluster_size",
                   size);
        return false;
    }
    if (p->backing && strlen(p->backing) > QED_NAME_MAX) {
        error_setf(errp, "backing_file: the name is longer than %d characters", QED_NAME_MAX);
        return false;
    }
    return true;
}

static const BlockDriver qed_driver;

static bool qed_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    Params p;
    BlockNode *f = parse_create(o, size, &p, errp) ? block_new_file(filename, errp) : NULL;
    if (!f)
        return false;
    Qed q = { .cluster = p.cluster, .table = p.table * p.cluster, .header = p.cluster, .l1 = p.cluster };
    BlockNode fake = { .drv = &qed_driver,
                       .opaque = &q,
                       .file = f,
                       .size = align_up(size, 512),
                       .backing_file = (char *)p.backing,
                       .backing_format = (char *)p.format };
    int r = qed_write_header(&fake);
    bool ok = !r && block_truncate(f, p.cluster + q.table, PREALLOC_OFF, false, errp);
    return block_new_file_end(f, filename, r, ok, errp);
}

static bool qed_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    Params p;
    if (!parse_create(o, size, &p, errp))
        return false;
    uint64_t table = p.table * p.cluster, span = p.cluster * (table / 8), all = (size + p.cluster - 1) / p.cluster,
             used = block_used_units(n, p.cluster);
    uint64_t tables = (size + span - 1) / span;
    *fully = p.cluster + table + tables * table + all * p.cluster;
    *required = p.cluster + table + MIN(tables, used) * table + used * p.cluster;
    return true;
}

static unsigned qed_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 4 && load_le32(head) == QED_MAGIC ? 100 : 0;
}

static const BlockCreateOption qed_create_options[] = {
    { "size", "size", "virtual disk size", NULL },
    { "backing_file", "string", "image that unallocated clusters come from", NULL },
    { "backing_fmt", "string", "format of the backing file", NULL },
    { "cluster_size", "size", "4k to 64M, a power of two", "65536" },
    { "table_size", "number", "clusters of a table: 1, 2, 4, 8 or 16", "4" }, { NULL }
};
static const BlockDriver qed_driver = {
    .name = "qed",
    .desc = "QEMU enhanced disk",
    .instance_size = sizeof(Qed),
    .create_options = qed_create_options,
    .probe = qed_probe,
    .open = qed_open,
    .close = qed_close,
    .inactivate = qed_inactivate,
    .preadv = sparse_preadv,
    .pwritev = sparse_pwritev,
    .pwrite_zeroes = sparse_pwrite_zeroes,
    .pdiscard = sparse_pdiscard,
    .flush = sparse_flush,
    .status = sparse_status,
    .truncate = qed_truncate,
    .info = qed_info,
    .create = qed_create,
    .measure = qed_measure,
    .check = qed_check,
    .change_backing = qed_change_backing,
};
BLOCK_DRIVER_REGISTER(qed_driver)
