/* SPDX-License-Identifier: MIT */
/* qcow, version 1: two levels of tables, backing files, compressed clusters, AES; no reference counts. */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "block/crypto/crypto.h"
#include "block/deflate.h"
#include "block/sparse/sparse.h"

/*
 * Header (big endian): magic, version 1, place and length of the backing file's name, time, disk size, log2 of the
 * cluster size and of the entries of an L2 table (a byte each), encryption (0, 1: AES), place of the L1 table. Entries
 * have 8 bytes, 0: none. Bit 63 of an L2 entry: compressed, the length stands below it in as many bits as a cluster's
 * size has, then the place in bytes.
 */
enum {
    H_VERSION = 4,
    H_NAME = 8,
    H_NAME_SIZE = 16,
    H_SIZE = 24,
    H_CLUSTER_BITS = 32,
    H_L2_BITS = 33,
    H_CRYPT = 36,
    H_L1 = 40,
    Q_HEADER = 48,
    Q_NAME_MAX = 1023,
    Q_L1_MAX = 1 << 30,
    Q_CLUSTERS_MAX = 1 << 30
};
#define Q_MAGIC 0x514649fbu
#define Q_PACKED BIT(63)

typedef struct Qcow {
    Sparse sparse;
    Meta meta;
    unsigned cluster_bits, l2_bits;
    /* table: bytes of an L2 table; end: where the next cluster goes */
    uint64_t cluster, entries, table, l1, l1_entries, end;
    uint32_t crypt;
    CryptoSectors *sectors;
    pthread_mutex_t inflate_lock;
    uint8_t *inflated;
    uint64_t current; /* the entry of what is in `inflated` */
} Qcow;

static Qcow *qcow_of(BlockNode *n) { return n->opaque; }

/* --- tables --- */

static bool in_file(const Qcow *q, uint64_t offset, uint64_t len)
{
    return offset >= Q_HEADER && offset <= q->end && len <= q->end - offset;
}

static int find_l2(BlockNode *n, uint64_t offset, uint64_t *l2)
{
    Qcow *q = qcow_of(n);
    int r = meta_load(&q->meta, q->l1 + (offset >> (q->cluster_bits + q->l2_bits)) * 8, 8, true, l2);
    return r ? r : *l2 && (*l2 & 7 || !in_file(q, *l2, q->table)) ? -EIO : 0;
}

static void packed_range(const Qcow *q, uint64_t entry, uint64_t *host, uint64_t *len)
{
    *host = entry & (BIT(63 - q->cluster_bits) - 1);
    *len = entry >> (63 - q->cluster_bits) & (q->cluster - 1);
}

static int qcow_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Qcow *q = qcow_of(n);
    uint64_t in = offset & (q->cluster - 1), l2, e = 0, span = q->cluster * q->entries;
    int r = find_l2(n, offset, &l2);
    *m = (SparseMap){ .file = n->file,
                      .len = q->cluster - in,
                      .block = offset - in,
                      .unit = q->cluster,
                      .limit = align_up(block_size(n), q->cluster) };
    if (!r && l2)
        r = meta_load(&q->meta, l2 + ((offset >> q->cluster_bits) & (q->entries - 1)) * 8, 8, true, &e);
    if (r)
        return r;
    if (!l2)
        m->len = span - (offset & (span - 1));
    m->cookie = e;
    if (e & Q_PACKED) {
        uint64_t size;
        m->kind = SPARSE_PACKED;
        packed_range(q, e, &m->host, &size);
        return size && in_file(q, m->host, size) ? 0 : -EIO;
    }
    m->kind = e ? SPARSE_DATA : SPARSE_ABSENT;
    m->host = e + in;
    return e && !in_file(q, e, q->cluster) ? -EIO : 0;
}

static int qcow_alloc(BlockNode *n, SparseMap *m, bool *fresh)
{
    Qcow *q = qcow_of(n);
    m->file = n->file;
    m->host = align_up(q->end, q->cluster);
    q->end = m->host + q->cluster;
    *fresh = m->host >= block_size(n->file);
    return 0;
}

/* (locked) */
static int set_entry(BlockNode *n, uint64_t offset, uint64_t entry)
{
    Qcow *q = qcow_of(n);
    uint64_t l2;
    int r = find_l2(n, offset, &l2);
    if (!r && !l2) {
        l2 = align_up(q->end, q->cluster);
        r = meta_zero(&q->meta, l2, q->table, META_LEAF);
        r = r ? r
              : meta_store(&q->meta, q->l1 + (offset >> (q->cluster_bits + q->l2_bits)) * 8, 8, true, l2, META_ROOT);
        q->end = r ? q->end : l2 + q->table;
    }
    return r ? r
             : meta_store(&q->meta, l2 + ((offset >> q->cluster_bits) & (q->entries - 1)) * 8, 8, true, entry,
                          META_LEAF);
}

static int qcow_link(BlockNode *n, const SparseMap *m) { return set_entry(n, m->block, m->host); }

static int qcow_sync(BlockNode *n)
{
    Meta *m = &qcow_of(n)->meta;
    return sparse_sync_tables(&m, 1);
}

static bool qcow_full(BlockNode *n) { return meta_is_full(&qcow_of(n)->meta); }
static CryptoSectors *qcow_key(BlockNode *n) { return qcow_of(n)->sectors; }

static int qcow_inflate(BlockNode *n, const SparseMap *m, size_t skip, const struct iovec *iov, int iovcnt, size_t at,
                        size_t len)
{
    Qcow *q = qcow_of(n);
    uint64_t host, size;
    int r = 0;
    packed_range(q, m->cookie, &host, &size);
    pthread_mutex_lock(&q->inflate_lock);
    if (q->current != m->cookie) {
        g_autofree uint8_t *in = g_malloc(size);
        uint64_t file = block_size(n->file);
        q->current = 0;
        r = host <= file && size <= file - host ? block_pread(n->file, host, in, size) : -EIO;
        r = r ? r : raw_inflate(in, size, q->inflated, q->cluster) ? 0 : -EIO;
        q->current = r ? 0 : m->cookie;
    }
    if (!r)
        iov_from_buf(iov, iovcnt, at, q->inflated + skip, len);
    pthread_mutex_unlock(&q->inflate_lock);
    return r;
}

static int qcow_pack(BlockNode *n, const SparseMap *m, const uint8_t *block)
{
    Qcow *q = qcow_of(n);
    g_autofree uint8_t *out = g_malloc(q->cluster);
    /* it would stand there in the clear */
    ssize_t size = q->sectors ? -ENOSPC : raw_deflate(block, q->cluster, out, q->cluster - 1);
    if (size < 0)
        return size == -ENOSPC ? -ENOTSUP : (int)size;
    pthread_mutex_lock(&q->sparse.lock);
    uint64_t host = q->end;
    q->end += (uint64_t)size;
    pthread_mutex_unlock(&q->sparse.lock);
    int r = host >> (63 - q->cluster_bits) ? -EFBIG : block_pwrite(n->file, host, out, (size_t)size);
    pthread_mutex_lock(&q->sparse.lock);
    r = r ? r : set_entry(n, m->block, Q_PACKED | (uint64_t)size << (63 - q->cluster_bits) | host);
    pthread_mutex_unlock(&q->sparse.lock);
    return r;
}

static const SparseOps qcow_ops = { .map = qcow_map,
                                    .alloc = qcow_alloc,
                                    .link = qcow_link,
                                    .sync = qcow_sync,
                                    .full = qcow_full,
                                    .pads = true,
                                    .inflate = qcow_inflate,
                                    .pack = qcow_pack,
                                    .key = qcow_key };

/* --- opening --- */

static bool parse(BlockNode *n, const uint8_t *h, Error **errp)
{
    Qcow *q = qcow_of(n);
    uint64_t size = load_be(h + H_SIZE, 8);
    if (load_be(h, 4) != Q_MAGIC || load_be(h + H_VERSION, 4) != 1)
        return sparse_bad(n, errp, "it does not start with the format's magic number and version 1");
    q->cluster_bits = h[H_CLUSTER_BITS];
    q->l2_bits = h[H_L2_BITS];
    q->crypt = (uint32_t)load_be(h + H_CRYPT, 4);
    q->l1 = load_be(h + H_L1, 8);
    if (q->cluster_bits < 9 || q->cluster_bits > 16)
        return sparse_bad(n, errp, "its cluster size is not between 512 bytes and 64 KiB");
    if (q->l2_bits < 6 || q->l2_bits > 13)
        return sparse_bad(n, errp, "its L2 tables are not between 512 bytes and 64 KiB");
    if (q->crypt > 1)
        return sparse_bad(n, errp, "its encryption method is not known");
    q->cluster = BIT(q->cluster_bits);
    q->entries = BIT(q->l2_bits);
    q->table = q->entries * 8;
    uint64_t span = q->cluster * q->entries;
    if (size < 2 || size > INT64_MAX / 2 || (size + span - 1) / span * 8 > Q_L1_MAX)
        return sparse_bad(n, errp, "the size of its disk is not possible");
    q->l1_entries = (size + span - 1) / span;
    q->end = align_up(block_size(n->file), q->cluster);
    if (q->l1 < Q_HEADER || q->l1 & 7 || q->l1 > INT64_MAX / 2 ||
        q->l1 + q->l1_entries * 8 > align_up(block_size(n->file), 512))
        return sparse_bad(n, errp, "its L1 table does not lie within the file");
    n->size = size;
    return true;
}

static bool read_name(BlockNode *n, const uint8_t *h, Error **errp)
{
    uint64_t at = load_be(h + H_NAME, 8), len = load_be(h + H_NAME_SIZE, 4), file = block_size(n->file);
    if (!at || !len)
        return true;
    if (len > Q_NAME_MAX || at > file || len > file - at)
        return sparse_bad(n, errp, "the name of its backing file does not lie within the file");
    n->backing_file = g_malloc0(len + 1);
    return !block_pread(n->file, at, n->backing_file, len) ||
           sparse_bad(n, errp, "the name of its backing file can't be read");
}

static bool open_key(BlockNode *n, Opts *o, Error **errp)
{
    static const char *const formats[] = { "", "aes", NULL };
    Qcow *q = qcow_of(n);
    const char *id = opts_get(o, "encrypt.key-secret");
    unsigned format = q->crypt;
    if (!opts_get_enum(o, "encrypt.format", formats, &format, errp))
        return false;
    if (!q->crypt) {
        if (id || format)
            error_setf(errp, "image '%s' is not encrypted; leave encrypt.* out", block_filename(n));
        return !id && !format;
    }
    if (n->flags & (BLOCK_CHECK | BLOCK_NO_IO) && !id)
        return true;
    if (block_size(n) % CRYPTO_SECTOR)
        return sparse_bad(n, errp, "it is encrypted, and its size is no multiple of 512");
    char *passphrase = crypt_passphrase(n, id, errp);
    if (!passphrase)
        return false;
    q->sectors = crypt_legacy_aes(passphrase, errp);
    crypto_wipe_free(passphrase, strlen(passphrase));
    n->request_align = CRYPTO_SECTOR;
    n->any_memory = true;
    return q->sectors;
}

static bool qcow_open(BlockNode *n, Opts *o, Error **errp)
{
    Qcow *q = qcow_of(n);
    uint8_t h[Q_HEADER] = { 0 };
    if (block_size(n->file) < sizeof h || block_pread(n->file, 0, h, sizeof h))
        return sparse_bad(n, errp, "its header can't be read");
    if (!parse(n, h, errp) || !read_name(n, h, errp) || !open_key(n, o, errp))
        return false;
    q->inflated = g_malloc(q->cluster);
    pthread_mutex_init(&q->inflate_lock, NULL);
    meta_init(&q->meta, n->file);
    sparse_init(n, &qcow_ops);
    n->zero_align = (unsigned)q->cluster;
    return true;
}

static void qcow_close(BlockNode *n)
{
    Qcow *q = qcow_of(n);
    meta_free(&q->meta);
    crypto_sectors_free(q->sectors);
    g_free(q->inflated);
    pthread_mutex_destroy(&q->inflate_lock);
    sparse_destroy(n);
}

/* Without the key only tables can be looked at. */
static int qcow_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return qcow_of(n)->crypt && !qcow_of(n)->sectors ? -ENOKEY : sparse_preadv(n, offset, len, iov, iovcnt);
}

static int qcow_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                        unsigned flags)
{
    return qcow_of(n)->crypt && !qcow_of(n)->sectors ? -ENOKEY : sparse_pwritev(n, offset, len, iov, iovcnt, flags);
}

static int qcow_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    return qcow_of(n)->crypt ? -ENOTSUP : sparse_pwrite_zeroes(n, offset, len, flags);
}

static int qcow_pdiscard(BlockNode *n, uint64_t offset, uint64_t len)
{
    return qcow_of(n)->crypt ? 0 : sparse_pdiscard(n, offset, len);
}

static bool qcow_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->cluster_size = qcow_of(n)->cluster;
    out->encrypted = qcow_of(n)->crypt;
    return true;
}

/* No table, no cluster: the file ends behind the L1 table. */
static bool qcow_make_empty(BlockNode *n, Error **errp)
{
    Qcow *q = qcow_of(n);
    int r = 0;
    pthread_mutex_lock(&q->sparse.lock);
    for (uint64_t i = 0; !r && i < q->l1_entries; i++)
        r = meta_is_full(&q->meta) ? qcow_sync(n) : meta_store(&q->meta, q->l1 + i * 8, 8, true, 0, META_ROOT);
    r = r ? r : qcow_sync(n);
    q->end = r ? q->end : align_up(q->l1 + q->l1_entries * 8, q->cluster);
    meta_drop(&q->meta);
    pthread_mutex_unlock(&q->sparse.lock);
    q->current = 0;
    if (r)
        error_set_errno(errp, -r, "image '%s': can't be emptied", block_filename(n));
    return !r && block_truncate(n->file, q->end, PREALLOC_OFF, true, errp);
}

/* --- checking --- */

typedef struct Walk { BlockCheck *c; uint8_t *used; uint64_t clusters; } Walk;

static void finding(Walk *w, const char *what, uint64_t offset)
{
    g_autofree char *line = g_strdup_printf("ERROR: the disk's offset 0x%" PRIx64 ": %s", offset, what);
    if (w->c->say)
        w->c->say(w->c->opaque, line);
    w->c->corruptions++;
}

/* Clusters of a table or of data; compressed ones may share theirs with each other. */
static void take(Walk *w, const Qcow *q, uint64_t from, uint64_t len, bool shared, uint64_t offset)
{
    bool twice = false;
    for (uint64_t i = from >> q->cluster_bits; i <= (from + len - 1) >> q->cluster_bits && i < w->clusters; i++) {
        unsigned bits = w->used[i / 4] >> (i % 4 * 2) & 3;
        twice |= bits & 2 || (bits && !shared);
        w->used[i / 4] |= (uint8_t)((shared ? 1 : 2) << (i % 4 * 2));
    }
    if (twice)
        finding(w, "what it is mapped to is used twice", offset);
}

static void check_table(BlockNode *n, Walk *w, uint64_t start, uint64_t l2)
{
    Qcow *q = qcow_of(n);
    take(w, q, l2, q->table, false, start);
    for (uint64_t k = 0; k < q->entries && start + (k << q->cluster_bits) < block_size(n); k++) {
        SparseMap m;
        uint64_t at = start + (k << q->cluster_bits), host, size = q->cluster;
        int r = qcow_map(n, at, 1, &m);
        if (r || m.kind == SPARSE_ABSENT) {
            if (r)
                finding(w, "its cluster does not lie within the file", at);
            continue;
        }
        host = m.host;
        if (m.kind == SPARSE_PACKED)
            packed_range(q, m.cookie, &host, &size);
        take(w, q, host, size, m.kind == SPARSE_PACKED, at);
        w->c->allocated_clusters++;
        w->c->compressed_clusters += m.kind == SPARSE_PACKED;
    }
}

static bool qcow_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    Qcow *q = qcow_of(n);
    Walk w = { c, NULL, q->end >> q->cluster_bits };
    if (fix) {
        error_setf(errp, "image '%s': the qcow format has nothing to repair it by; convert it", block_filename(n));
        return false;
    }
    w.used = w.clusters <= Q_CLUSTERS_MAX ? g_try_malloc0(w.clusters / 4 + 1) : NULL;
    if (!w.used) {
        error_setf(errp, "image '%s': too large a file (%" PRIu64 " clusters) to be checked", block_filename(n),
                   w.clusters);
        return false;
    }
    take(&w, q, 0, q->l1 + q->l1_entries * 8, false, 0);
    for (uint64_t i = 0; i < q->l1_entries; i++) {
        uint64_t start = i << (q->cluster_bits + q->l2_bits), l2;
        if (find_l2(n, start, &l2))
            finding(&w, "its L2 table does not lie within the file", start);
        else if (l2)
            check_table(n, &w, start, l2);
    }
    for (uint64_t i = 0; i < w.clusters && i << q->cluster_bits < block_size(n->file); i++)
        c->leaks += !(w.used[i / 4] >> (i % 4 * 2) & 3);
    g_free(w.used);
    c->total_clusters = (block_size(n) + q->cluster - 1) >> q->cluster_bits;
    c->image_end = q->end;
    return true;
}

/* --- creation --- */

typedef struct Params {
    const char *backing, *key;
    bool encrypted;
    unsigned cluster_bits, l2_bits;
    uint64_t l1, l1_entries;
} Params;

static bool parse_create(Opts *o, uint64_t size, Params *p, Error **errp)
{
    static const char *const formats[] = { "", "aes", NULL };
    bool legacy;
    unsigned format = 0;
    opts_get(o, "size");
    opts_get(o, "backing_fmt"); /* the format has no place for it */
    *p = (Params){ .backing = opts_get(o, "backing_file"), .key = opts_get(o, "encrypt.key-secret") };
    if (!opts_get_bool(o, "encryption", false, &legacy, errp) ||
        !opts_get_enum(o, "encrypt.format", formats, &format, errp))
        return false;
    p->encrypted = legacy || format;
    p->backing = p->backing && *p->backing ? p->backing : NULL;
    p->cluster_bits = p->backing ? 9 : 12; /* small ones have nothing to copy from the backing file */
    p->l2_bits = 21 - p->cluster_bits;
    p->l1 = align_up(Q_HEADER + (p->backing ? strlen(p->backing) : 0), 8);
    p->l1_entries = (size + BIT(21) - 1) >> 21;
    if (p->encrypted != (p->key != NULL)) {
        error_setf(errp, p->key ? "encrypt.key-secret needs encrypt.format=aes"
                                : "an encrypted image needs a passphrase; add --object "
                                  "secret,id=NAME,file=PATH -o encrypt.key-secret=NAME");
        return false;
    }
    if (p->backing && strlen(p->backing) > Q_NAME_MAX) {
        error_setf(errp, "backing_file: the name is longer than %d characters", Q_NAME_MAX);
        return false;
    }
    if (size < 2 || size > INT64_MAX / 4 || p->l1_entries * 8 > Q_L1_MAX) {
        error_setf(errp, "qcow: a disk of %" PRIu64 " bytes is %s; use qcow2", size,
                   size < 2 ? "too small for it" : "more than its tables can map");
        return false;
    }
    return true;
}

static bool check_key(const Params *p, const char *filename, Error **errp)
{
    BlockNode name = { .filename = (char *)filename };
    char *passphrase = p->encrypted ? crypt_passphrase(&name, p->key, errp) : NULL;
    if (passphrase)
        crypto_wipe_free(passphrase, strlen(passphrase));
    return passphrase || !p->encrypted;
}

static bool qcow_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    Params p;
    size = align_up(size, 512);
    BlockNode *f = parse_create(o, size, &p, errp) && check_key(&p, filename, errp) ? block_new_file(filename, errp)
                                                                                    : NULL;
    if (!f)
        return false;
    g_autofree uint8_t *h = g_malloc0(p.l1);
    store_be(h, 4, Q_MAGIC);
    store_be(h + H_VERSION, 4, 1);
    store_be(h + H_SIZE, 8, size);
    h[H_CLUSTER_BITS] = (uint8_t)p.cluster_bits;
    h[H_L2_BITS] = (uint8_t)p.l2_bits;
    store_be(h + H_CRYPT, 4, p.encrypted);
    store_be(h + H_L1, 8, p.l1);
    if (p.backing) {
        store_be(h + H_NAME, 8, Q_HEADER);
        store_be(h + H_NAME_SIZE, 4, strlen(p.backing));
        memcpy(h + Q_HEADER, p.backing, strlen(p.backing));
    }
    int r = block_pwrite(f, 0, h, p.l1);
    bool ok = !r && block_truncate(f, align_up(p.l1 + p.l1_entries * 8, 512), PREALLOC_OFF, false, errp);
    return block_new_file_end(f, filename, r, ok, errp);
}

static bool qcow_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    Params p;
    if (!parse_create(o, align_up(size, 512), &p, errp))
        return false;
    uint64_t cluster = BIT(p.cluster_bits), table = BIT(p.l2_bits) * 8, all = (size + cluster - 1) / cluster;
    uint64_t start = align_up(p.l1 + p.l1_entries * 8, cluster), used = block_used_units(n, cluster);
    *fully = start + p.l1_entries * table + all * cluster;
    *required = start + MIN(p.l1_entries, used) * table + used * cluster;
    return true;
}

static unsigned qcow_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 8 && load_be(head, 4) == Q_MAGIC && load_be(head + 4, 4) == 1 ? 100 : 0;
}

static const BlockCreateOption qcow_create_options[] = {
    { "size", "size", "virtual disk size", NULL },
    { "backing_file", "string", "image that unallocated clusters come from", NULL },
    { "backing_fmt", "string", "format of the backing file; not stored", NULL },
    { "encryption", "bool", "as encrypt.format=aes", "off" },
    { "encrypt.format", "string", "aes", NULL },
    { "encrypt.key-secret", "string", "id of the -object secret with the passphrase", NULL }, { NULL }
};
static const char *const qcow_options[] = { "encrypt.format", "encrypt.key-secret", NULL };
static const BlockDriver qcow_driver = {
    .name = "qcow",
    .desc = "QEMU copy-on-write, version 1",
    .instance_size = sizeof(Qcow),
    .options = qcow_options,
    .create_options = qcow_create_options,
    .probe = qcow_probe,
    .open = qcow_open,
    .close = qcow_close,
    .inactivate = sparse_inactivate,
    .preadv = qcow_preadv,
    .pwritev = qcow_pwritev,
    .pwrite_zeroes = qcow_pwrite_zeroes,
    .pdiscard = qcow_pdiscard,
    .flush = sparse_flush,
    .status = sparse_status,
    .info = qcow_info,
    .create = qcow_create,
    .measure = qcow_measure,
    .check = qcow_check,
    .make_empty = qcow_make_empty,
};
BLOCK_DRIVER_REGISTER(qcow_driver)
