/* SPDX-License-Identifier: MIT */
/* qcow2: new images, their size in advance, preallocation, resizing. */
#include <string.h>
#include "block/crypto/crypto.h"
#include "block/qcow2/qcow2.h"

const BlockCreateOption q2_create_options[] = {
    { "size", "size", "virtual disk size", NULL },
    { "compat", "string", "0.10 (version 2) or 1.1 (version 3)", "1.1" },
    { "backing_file", "string", "image that unallocated clusters come from", NULL },
    { "backing_fmt", "string", "format of the backing file", NULL },
    { "cluster_size", "size", "512 bytes to 2 MiB, a power of two", "65536" },
    { "preallocation", "string", "off, metadata, falloc or full", "off" },
    { "lazy_refcounts", "bool", "refcounts are written late; the image is checked after a crash", "off" },
    { "refcount_bits", "number", "1, 2, 4, 8, 16, 32 or 64", "16" },
    { "compression_type", "string", "zlib or zstd", "zlib" },
    { "extended_l2", "bool", "32 subclusters in each cluster", "off" },
    { "data_file", "string", "file that holds the guest's data", NULL },
    { "data_file_raw", "bool", "the data file is a raw image by itself", "off" },
    { "encrypt.format", "string", "luks, or aes (of old images, not secure)", NULL },
    LUKS_CREATE_OPTIONS("encrypt."),
    { "encryption", "bool", "the old word for encrypt.format=aes", "off" },
    { NULL }
};

typedef struct Params {
    unsigned version, cluster_bits, refcount_order, compression;
    bool lazy, extended, raw_external;
    BlockPrealloc prealloc;
    const char *backing_file, *backing_fmt, *data_file;
    Q2CryptParams crypt;
} Params;

static bool fits(bool ok, Error **errp, const char *what)
{
    if (!ok)
        error_setf(errp, "%s", what);
    return ok;
}

static bool parse(Opts *o, Params *p, Error **errp)
{
    static const char *const compats[] = { "0.10", "1.1", "v2", "v3", NULL }, *const compressions[] = { "zlib", "zstd",
                                                                                                        NULL };
    uint64_t cluster, bits;
    unsigned compat = 1;
    const char *prealloc = opts_get(o, "preallocation");
    *p = (Params){ .backing_file = opts_get(o, "backing_file"),
                   .backing_fmt = opts_get(o, "backing_fmt"),
                   .data_file = opts_get(o, "data_file") };
    opts_get(o, "size");
    if (!opts_get_enum(o, "compat", compats, &compat, errp) ||
        !opts_get_enum(o, "compression_type", compressions, &p->compression, errp) ||
        !opts_get_bool(o, "extended_l2", false, &p->extended, errp) ||
        !opts_get_size(o, "cluster_size", 64 * KiB, &cluster, errp) ||
        !opts_get_u64(o, "refcount_bits", 16, &bits, errp) ||
        !opts_get_bool(o, "lazy_refcounts", false, &p->lazy, errp) ||
        !opts_get_bool(o, "data_file_raw", false, &p->raw_external, errp) ||
        (prealloc && !block_parse_prealloc(prealloc, &p->prealloc, errp)) || !q2_crypt_params(o, &p->crypt, errp))
        return false;
    p->version = compat & 1 ? 3 : 2;
    p->cluster_bits = (unsigned)__builtin_ctzll(cluster ? cluster : 1);
    p->refcount_order = (unsigned)__builtin_ctzll(bits ? bits : 1);
    bool v3 = p->version >= 3;
    return fits(is_pow2(cluster) && cluster >= 512 && cluster <= 2 * MiB, errp,
                "cluster_size: a power of two from 512 to 2M, please") &&
           fits(is_pow2(bits) && bits <= 64, errp, "refcount_bits: 1, 2, 4, 8, 16, 32 or 64, please") &&
           fits(v3 || bits == 16, errp, "refcount_bits: version 2 images have 16; use compat=1.1") &&
           fits(v3 || !p->lazy, errp, "lazy_refcounts: version 2 images have none; use compat=1.1") &&
           fits(v3 || !p->extended, errp, "extended_l2: version 2 images have none; use compat=1.1") &&
           fits(v3 || !p->data_file, errp, "data_file: version 2 images have none; use compat=1.1") &&
           fits(v3 || !p->compression, errp, "compression_type: version 2 images have zlib only; use compat=1.1") &&
           fits(!p->extended || cluster >= 16 * KiB, errp, "extended_l2: clusters must be 16K at least") &&
           fits(!p->raw_external || p->data_file, errp, "data_file_raw: needs data_file=") &&
           fits(!p->raw_external || !p->backing_file, errp, "data_file_raw: no backing file is possible with it") &&
           fits(q2_compression_known(p->compression), errp, "compression_type: this program was built without zstd") &&
           fits(!p->raw_external || !p->crypt.method, errp,
                "data_file_raw: an encrypted file is no raw image; leave one of them out") &&
           fits(v3 || !p->crypt.method || !p->prealloc, errp,
                "preallocation: what is preallocated in an encrypted version 2 image is noise; use compat=1.1") &&
           fits(!p->backing_fmt || p->backing_file, errp, "backing_fmt: needs backing_file=");
}

/*
 * Tables of an image of `size` bytes: what the header, L1, refcount table and blocks take; also with all clusters
 * allocated.
 */
static uint64_t metadata_size(const Params *p, uint64_t size, uint64_t data_clusters, bool external)
{
    uint64_t cs = BIT(p->cluster_bits), entries = cs / (p->extended ? 16 : 8), per_block = cs * 8 >> p->refcount_order;
    uint64_t l2 = (size + cs * entries - 1) / (cs * entries);
    uint64_t used_l2 = MIN(l2, data_clusters);
    uint64_t fixed = 1 + used_l2 + (l2 * 8 + cs - 1) / cs + (q2_crypt_header_size(&p->crypt) + cs - 1) / cs;
    uint64_t stored = external ? 0 : data_clusters, blocks = 1, table = 1;
    for (;;) {
        uint64_t need = (fixed + stored + blocks + table + per_block - 1) / per_block;
        table = (need * 8 + cs - 1) / cs;
        if (need <= blocks)
            break;
        blocks = need;
    }
    return (fixed + blocks + table) * cs;
}

/* A file that opens: header, refcount table with one block, L1 table of the smallest kind. */
static bool write_minimal(const char *filename, const Params *p, Error **errp)
{
    BlockNode *f = block_new_file(filename, errp);
    if (!f)
        return false;
    uint64_t cs = BIT(p->cluster_bits);
    Qcow2 q = { .refcount_order = p->refcount_order };
    g_autofree uint8_t *buf = g_malloc0(cs * 4);
    store_be(buf, 4, QCOW2_MAGIC);
    store_be(buf + 4, 4, p->version);
    store_be(buf + 20, 4, p->cluster_bits);
    store_be(buf + 36, 4, 0); /* L1: made when the size is set */
    store_be(buf + 40, 8, 0);
    store_be(buf + 48, 8, cs);
    store_be(buf + 56, 4, 1);
    if (p->version >= 3) {
        store_be(buf + 72, 8, (p->data_file ? INCOMPAT_DATA_FILE : 0) | (p->compression ? INCOMPAT_COMPRESSION : 0) |
                                  (p->extended ? INCOMPAT_EXTENDED_L2 : 0));
        store_be(buf + 80, 8, p->lazy ? COMPAT_LAZY_REFCOUNTS : 0);
        store_be(buf + 88, 8, p->raw_external ? AUTOCLEAR_RAW_EXTERNAL : 0);
        store_be(buf + 96, 4, p->refcount_order);
        store_be(buf + 100, 4, 112);
        buf[104] = (uint8_t)p->compression;
    }
    store_be(buf + cs, 8, 2 * cs); /* refcount table */
    for (uint64_t i = 0; i < 3; i++)
        q2_set_count(&q, buf + 2 * cs, i, 1);
    int r = block_pwrite(f, 0, buf, cs * 3);
    return block_new_file_end(f, filename, r, true, errp);
}

static bool create_data_file(const char *filename, const Params *p, uint64_t size, Error **errp)
{
    g_autoptr(Opts) none = opts_new();
    g_autofree char *full = block_full_backing_name(filename, p->data_file, errp);
    return full && block_driver_find("file")->create(full, p->raw_external ? size : 0, none, errp);
}

bool q2_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    Params p;
    if (!parse(o, &p, errp) || !write_minimal(filename, &p, errp) ||
        (p.data_file && !create_data_file(filename, &p, size, errp)))
        return false;
    g_autoptr(Opts) open = opts_new();
    opts_set(open, "driver", "qcow2");
    g_autofree char *data = p.data_file ? block_full_backing_name(filename, p.data_file, errp) : NULL;
    if (data)
        opts_set(open, "data-file.filename", data);
    /* No order is kept while nobody relies on the image. */
    BlockNode *n = block_open(filename, open, BLOCK_RDWR | BLOCK_NO_BACKING | BLOCK_NO_FLUSH, errp);
    if (!n)
        return false;
    Qcow2 *q = q2_of(n);
    q->data_file_name = g_strdup(p.data_file);
    size = p.crypt.method ? align_up(size, CRYPTO_SECTOR) : size;
    bool ok = q2_crypt_create(n, &p.crypt, errp) && q2_truncate(n, size, p.prealloc, errp);
    /* only now: growing hides it */
    n->backing_file = p.backing_file && *p.backing_file ? g_strdup(p.backing_file) : NULL;
    n->backing_format = g_strdup(p.backing_fmt);
    ok = ok && q2_write_header(n, errp);
    block_unref(n);
    return ok;
}

/* --- sizes in advance --- */

bool q2_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    Params p;
    if (!parse(o, &p, errp))
        return false;
    uint64_t cs = BIT(p.cluster_bits), all = (size + cs - 1) >> p.cluster_bits;
    uint64_t used = p.prealloc >= PREALLOC_FALLOC ? all : block_used_units(n, cs);
    bool external = p.data_file;
    *fully = metadata_size(&p, size, all, external) + (external ? 0 : all * cs);
    *required = metadata_size(&p, size, all, external) + (external ? 0 : used * cs);
    return true;
}

/* --- preallocation and size --- */

/*
 * Map every cluster of the range, in steps that bound what is held in memory. The file has the clusters before a table
 * says so.
 */
static int map_all(BlockNode *n, uint64_t from, uint64_t to, BlockPrealloc prealloc, Error **errp)
{
    Qcow2 *q = q2_of(n);
    BlockPrealloc below = prealloc == PREALLOC_METADATA ? PREALLOC_OFF : prealloc;
    uint64_t used = block_size(q->data); /* what is allocated below it may hold anything */
    /* in the cluster that the old end lies in there may be the backing file's data */
    for (uint64_t at = n->backing_file ? align_up(from, q->cluster_size) : align_down(from, q->cluster_size);
         at < to;) {
        uint64_t stop = MIN(align_up(to, q->cluster_size),
                            align_down(at, BIT(q->cluster_bits + q->l2_bits)) + BIT(q->cluster_bits + q->l2_bits));
        uint64_t clusters = (stop - at) >> q->cluster_bits;
        int64_t host = q->data_node ? (int64_t)at : q2_alloc(n, clusters);
        if (host < 0)
            return (int)host;
        uint64_t end = q->data_node ? MIN(stop, to) : (uint64_t)host + (clusters << q->cluster_bits);
        if (end > block_size(q->data) && !block_truncate(q->data, end, below, false, errp))
            return -EIO;
        int e = (uint64_t)host < used && !q->data_node
                    ? block_pwrite_zeroes(q->data, (uint64_t)host, MIN(stop - at, used - (uint64_t)host), 0)
                    : 0;
        if (e)
            return e;
        for (uint64_t i = 0; i < clusters; i++) {
            unsigned index;
            int r;
            Q2Table *t = q2_l2(n, at + (i << q->cluster_bits), true, &index, &r);
            if (!t)
                return r;
            uint64_t old = q2_entry(q, t, index), own = (uint64_t)host + (i << q->cluster_bits);
            bool mapped = old & (OFFSET_MASK | OFLAG_COMPRESSED) || (q->data_node && old & OFLAG_COPIED);
            if (!mapped && q->crypt_method) /* zeroes of the file are none of the disk */
                q2_set_entry(q, t, index, own | OFLAG_COPIED | (q->subclusters > 1 ? 0 : OFLAG_ZERO),
                             UINT64_C(0xffffffff) << 32);
            else if (!mapped)
                q2_set_entry(q, t, index, own | OFLAG_COPIED, UINT32_MAX);
            else if (!q->data_node)
                q2_free_later(n, own, 1);
            q2_cache_put(t);
            if (!mapped && q->data_node && own < used)
                r = block_pwrite_zeroes(q->data, own, MIN(q->cluster_size, used - own), 0);
            if (r)
                return r;
        }
        at = stop;
    }
    return 0;
}

bool q2_preallocate(BlockNode *n, uint64_t from, uint64_t to, BlockPrealloc prealloc, Error **errp)
{
    Error *err = NULL;
    int r = map_all(n, from, to, prealloc, &err);
    r = r ? r : q2_sync(n);
    if (err)
        error_propagate(errp, err);
    else if (r)
        error_set_errno(errp, -r, "image '%s': preallocation", block_filename(n));
    return !r;
}

/* The range reads as zero afterwards, whatever kind of cluster stands there. (not locked) */
static int write_zeroes(BlockNode *n, uint64_t from, uint64_t to)
{
    enum { PIECE = 2 << 20 };
    struct iovec iov = { g_malloc(MIN(to - from, (uint64_t)PIECE)), 0 };
    int r = 0;
    for (uint64_t at = from; !r && at < to; at += iov.iov_len) {
        iov.iov_len = MIN(to - at, (uint64_t)PIECE);
        r = q2_preadv_in(n, NULL, 0, at, iov.iov_len, &iov, 1);
        if (r || buf_is_zero(iov.iov_base, iov.iov_len))
            continue;
        memset(iov.iov_base, 0, iov.iov_len);
        r = q2_pwritev(n, at, iov.iov_len, &iov, 1, 0);
    }
    g_free(iov.iov_base);
    return r;
}

/*
 * What the disk gains is zero: neither what once stood in the last cluster or behind the disk, nor what a longer
 * backing file has there.
 */
static int clear_gain(BlockNode *n, uint64_t old, uint64_t size)
{
    Qcow2 *q = q2_of(n);
    uint64_t edge = MIN(align_up(old, q->cluster_size), size), below = n->backing        ? block_size(n->backing)
                                                                       : n->backing_file ? size
                                                                                         : 0;
    int r = write_zeroes(n, old, edge);
    if (r || edge == size) /* no other cluster */
        return r;
    below = MIN(below, size);
    pthread_mutex_lock(&q->lock);
    uint64_t mapped = MIN(align_up(size, q->cluster_size), (uint64_t)q->l1_size << (q->cluster_bits + q->l2_bits));
    if (edge < mapped)
        r = q2_discard_range(n, edge, mapped - edge, true);
    if (!r && edge < below && q->version >= 3)
        r = q2_zero_range(n, edge, align_up(below, q->cluster_size) - edge, false);
    pthread_mutex_unlock(&q->lock);
    return !r && edge < below && q->version < 3 ? write_zeroes(n, edge, below) : r;
}

static int clear_loss(BlockNode *n, uint64_t old, uint64_t size)
{
    Qcow2 *q = q2_of(n);
    uint64_t edge = align_up(size, q->cluster_size);
    int r = write_zeroes(n, size, MIN(edge, old)); /* whoever makes the disk larger again may not do so */
    pthread_mutex_lock(&q->lock);
    if (!r && edge < old)
        r = q2_discard_range(n, edge, align_up(old, q->cluster_size) - edge, true);
    pthread_mutex_unlock(&q->lock);
    return r;
}

bool q2_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    Qcow2 *q = q2_of(n);
    uint64_t old = block_size(n);
    if (size & 511 && (q->version < 3 || q->crypt_method))
        size = align_up(size, 512);
    if (q->snapshots->len && q->version < 3) {
        error_setf(errp, "image '%s' has snapshots: a version 2 image can't be resized then; amend it to compat=1.1",
                   block_filename(n));
        return false;
    }
    if (prealloc && q->crypt_method && q->version < 3) {
        error_setf(errp,
                   "image '%s': what is preallocated in an encrypted version 2 image is noise; amend it to compat=1.1",
                   block_filename(n));
        return false;
    }
    if (q2_l1_needed(q, size) > QCOW2_MAX_L1 / 8) {
        error_setf(errp,
                   "image '%s': %" PRIu64 " bytes are more than clusters of %" PRIu64
                   " can hold; use a larger cluster_size",
                   block_filename(n), size, q->cluster_size);
        return false;
    }
    pthread_mutex_lock(&q->lock);
    int r = q->broken ? -EIO : q->lazy && !q->dirty_written ? q2_mark_dirty(n) : 0;
    pthread_mutex_unlock(&q->lock);
    r = r || size == old ? r : size < old ? clear_loss(n, old, size) : clear_gain(n, old, size);
    pthread_mutex_lock(&q->lock);
    r = r ? r : q2_grow_l1(n, MAX(q2_l1_needed(q, size), 1u), true);
    r = r ? r : q2_sync(n);
    r = r ? r : q2_write_field(n, 24, size, 8);
    r = r ? r : block_flush(n->file);
    if (!r)
        n->size = size;
    bool ok = !r && (prealloc == PREALLOC_OFF || size <= old || q2_preallocate(n, old, size, prealloc, errp));
    if (ok && q->data_node && q->raw_external)
        ok = block_truncate(q->data, size, PREALLOC_OFF, true, errp);
    pthread_mutex_unlock(&q->lock);
    if (r)
        error_set_errno(errp, -r, "image '%s': can't be made %" PRIu64 " bytes large", block_filename(n), size);
    return ok;
}
