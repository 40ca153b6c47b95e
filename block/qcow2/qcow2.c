/* SPDX-License-Identifier: MIT */
/* qcow2: opening, closing, and the table of what the format can do. */
#include <string.h>
#include "block/qcow2/qcow2.h"

/* --- header --- */

static bool bad(BlockNode *n, Error **errp, const char *what)
{
    error_setf(errp, "image '%s' is no valid qcow2 image: %s", block_filename(n), what);
    return false;
}

static bool parse_fixed(BlockNode *n, const uint8_t *h, uint64_t *backing_offset, uint32_t *backing_len,
                        uint32_t *snapshots, Error **errp)
{
    Qcow2 *q = q2_of(n);
    if (load_be(h, 4) != QCOW2_MAGIC)
        return bad(n, errp, "it does not start with the format's magic number");
    q->version = (unsigned)load_be(h + 4, 4);
    if (q->version != 2 && q->version != 3) {
        error_setf(errp, "image '%s': qcow2 version %u is not known here; 2 and 3 are", block_filename(n), q->version);
        return false;
    }
    *backing_offset = load_be(h + 8, 8);
    *backing_len = (uint32_t)load_be(h + 16, 4);
    q->cluster_bits = (unsigned)load_be(h + 20, 4);
    n->size = load_be(h + 24, 8);
    q->crypt_method = (uint32_t)load_be(h + 32, 4);
    q->l1_size = (uint32_t)load_be(h + 36, 4);
    q->l1_offset = load_be(h + 40, 8);
    q->reftable_offset = load_be(h + 48, 8);
    q->reftable_clusters = (uint32_t)load_be(h + 56, 4);
    *snapshots = (uint32_t)load_be(h + 60, 4);
    q->snapshots_offset = load_be(h + 64, 8);
    q->refcount_order = 4;
    q->header_length = 72;
    if (q->version >= 3) {
        q->incompatible = load_be(h + 72, 8);
        q->compatible = load_be(h + 80, 8);
        q->autoclear = load_be(h + 88, 8);
        q->refcount_order = (unsigned)load_be(h + 96, 4);
        q->header_length = (unsigned)load_be(h + 100, 4);
        q->compression = q->header_length >= 105 ? h[104] : 0;
    }
    return true;
}

/* Features that we don't know, by the image's own names for them when it has some. */
static bool refuse_features(BlockNode *n, uint64_t unknown, const uint8_t *table, uint32_t len, Error **errp)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(unknown >> bit & 1))
            continue;
        const char *name = NULL;
        for (uint32_t i = 0; table && i + 48 <= len; i += 48) {
            if (table[i] == 0 && table[i + 1] == bit && memchr(table + i + 2, 0, 46))
                name = (const char *)table + i + 2;
        }
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", name ? name : "");
        if (!name)
            g_string_append_printf(names, "incompatible feature %u", bit);
    }
    error_setf(errp, "image '%s' uses what this program does not know: %s; a newer version may", block_filename(n),
               names->str);
    return false;
}

static bool derive(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    if (q->cluster_bits < 9 || q->cluster_bits > 21)
        return bad(n, errp, "its cluster size is not between 512 bytes and 2 MiB");
    q->cluster_size = BIT(q->cluster_bits);
    if (q->version >= 3 && (q->header_length < 104 || q->header_length > q->cluster_size || q->header_length & 7))
        return bad(n, errp, "its header length is not possible");
    if (q->refcount_order > 6)
        return bad(n, errp, "its reference counts are wider than 64 bits");
    if (q->crypt_method > 2)
        return bad(n, errp, "its encryption method is not known");
    bool extended = q->incompatible & INCOMPAT_EXTENDED_L2;
    if (extended && q->cluster_bits < 14)
        return bad(n, errp, "extended L2 entries need clusters of 16 KiB and more");
    if (!(q->incompatible & INCOMPAT_COMPRESSION) && q->compression)
        return bad(n, errp, "it names a compression type but lacks the feature bit for it");
    if (!q2_compression_known(q->compression)) {
        error_setf(errp, "image '%s' is compressed by a method (%u) that this program was built without",
                   block_filename(n), q->compression);
        return false;
    }
    q->l2_entry_size = extended ? 16 : 8;
    q->l2_bits = q->cluster_bits - (extended ? 4 : 3);
    q->subclusters = extended ? QCOW2_SUBCLUSTERS : 1;
    q->subcluster_bits = q->cluster_bits - (extended ? 5 : 0);
    q->refblock_bits = q->cluster_bits + 3 - q->refcount_order;
    q->lazy = q->compatible & COMPAT_LAZY_REFCOUNTS;
    uint64_t mask = q->cluster_size - 1, need = q2_l1_needed(q, block_size(n));
    if (block_size(n) > INT64_MAX / 2)
        return bad(n, errp, "its disk size is not possible");
    if (need > QCOW2_MAX_L1 / 8 || q->l1_size > QCOW2_MAX_L1 / 8)
        return bad(n, errp, "its L1 table is larger than 32 MiB");
    if (q->l1_size < need)
        return bad(n, errp, "its L1 table is too short for the size of the disk");
    if (q->l1_offset & mask || q->reftable_offset & mask || q->snapshots_offset & mask)
        return bad(n, errp, "a table of it is not aligned to a cluster");
    if ((uint64_t)q->reftable_clusters << q->cluster_bits > QCOW2_MAX_REFTABLE)
        return bad(n, errp, "its refcount table is larger than 8 MiB");
    if (q->l1_offset > INT64_MAX / 2 || q->reftable_offset > INT64_MAX / 2 || q->snapshots_offset > INT64_MAX / 2)
        return bad(n, errp, "a table of it lies beyond the end of any file");
    if (!q->reftable_clusters && !(n->flags & BLOCK_CHECK))
        return bad(n, errp, "it has no refcount table");
    return true;
}

static bool read_extensions(BlockNode *n, uint64_t end, GByteArray *features, Error **errp)
{
    Qcow2 *q = q2_of(n);
    uint64_t at = q->header_length;
    while (at + 8 <= end) {
        uint8_t head[8];
        int r = block_pread(n->file, at, head, sizeof head);
        uint32_t magic = (uint32_t)load_be(head, 4), len = (uint32_t)load_be(head + 4, 4);
        at += 8;
        if (r || magic == EXT_END)
            break;
        if (len > end - at)
            return bad(n, errp, "a header extension reaches beyond the header");
        g_autofree uint8_t *data = g_malloc0(len + 1u);
        r = block_pread(n->file, at, data, len);
        if (r)
            return bad(n, errp, "a header extension can't be read");
        if (magic == (uint32_t)EXT_BACKING_FORMAT) {
            n->backing_format = g_strndup((char *)data, len);
        } else if (magic == EXT_DATA_FILE) {
            q->data_file_name = g_strndup((char *)data, len);
        } else if (magic == EXT_FEATURES) {
            g_byte_array_append(features, data, len);
        } else {
            Q2Extension e = { magic, len, g_memdup2(data, len ? len : 1) };
            g_array_append_val(q->extensions, e);
        }
        at += align_up(len, 8);
    }
    return true;
}

static bool read_header(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    uint8_t h[112] = { 0 };
    uint64_t backing_offset;
    uint32_t backing_len, snapshots;
    int r = block_pread(n->file, 0, h, sizeof h);
    if (r) {
        error_set_errno(errp, -r, "image '%s': its header can't be read", block_filename(n));
        return false;
    }
    if (!parse_fixed(n, h, &backing_offset, &backing_len, &snapshots, errp))
        return false;
    if (q->cluster_bits < 9 || q->cluster_bits > 21)
        return bad(n, errp, "its cluster size is not between 512 bytes and 2 MiB");
    q->cluster_size = BIT(q->cluster_bits);
    g_autoptr(GByteArray) features = g_byte_array_new();
    bool named = backing_offset && backing_len;
    if (named &&
        (backing_len > 1023 || backing_offset > q->cluster_size || backing_offset + backing_len > q->cluster_size))
        return bad(n, errp, "the name of its backing file does not lie in the header");
    if (q->header_length <= q->cluster_size &&
        !read_extensions(n, named ? backing_offset : q->cluster_size, features, errp))
        return false;
    uint64_t unknown = q->incompatible & ~(uint64_t)INCOMPAT_KNOWN;
    if (unknown)
        return refuse_features(n, unknown, features->data, features->len, errp);
    if (named) {
        n->backing_file = g_malloc0(backing_len + 1u);
        if (block_pread(n->file, backing_offset, n->backing_file, backing_len))
            return bad(n, errp, "the name of its backing file can't be read");
    }
    if (snapshots > QCOW2_MAX_SNAPSHOTS)
        return bad(n, errp, "it has more than 65536 snapshots");
    g_array_set_size(q->snapshots, snapshots);
    return derive(n, errp);
}

static bool read_l1(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    q->l1 = g_try_malloc0(MAX(q->l1_size, 1u) * 8u);
    int r = !q->l1 ? -ENOMEM : q->l1_size ? block_pread(n->file, q->l1_offset, q->l1, q->l1_size * 8u) : 0;
    if (r)
        error_set_errno(errp, -r, "image '%s': its L1 table can't be read", block_filename(n));
    for (uint32_t i = 0; !r && i < q->l1_size; i++)
        q->l1[i] = GUINT64_FROM_BE(q->l1[i]);
    return !r;
}

static bool open_data_file(BlockNode *n, Opts *o, Error **errp)
{
    Qcow2 *q = q2_of(n);
    g_autoptr(Opts) sub = block_sub_options(o, "data-file.");
    const char *reference = opts_get(o, "data-file");
    q->data = n->file;
    if (!(q->incompatible & INCOMPAT_DATA_FILE)) {
        if (!reference && !opts_count(sub))
            return true;
        error_setf(errp, "image '%s' has no external data file; leave data-file out", block_filename(n));
        return false;
    }
    if (reference) {
        BlockNode *d = block_node_find(reference);
        q->data_node = d ? block_ref(d) : NULL;
        if (!d)
            error_setf(errp, "data-file='%s': there is no node of that name", reference);
    } else {
        g_autofree char *name = q->data_file_name && !opts_count(sub)
                                    ? block_full_backing_name(block_filename(n), q->data_file_name, errp)
                                    : NULL;
        if (!name && !opts_count(sub)) {
            if (!q->data_file_name)
                error_setf(errp, "image '%s' does not say where its external data file is; give data-file.filename=",
                           block_filename(n));
            return false;
        }
        if (!opts_has(sub, "driver"))
            opts_set(sub, "driver", "file");
        if (name) /* an image may name a file, but no options ("json:...") and no other protocol */
            opts_set(sub, "filename", name);
        unsigned flags = n->flags &
                         ~(unsigned)(BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH | BLOCK_CHECK);
        q->data_node = block_open(NULL, sub, flags, errp);
    }
    q->data = q->data_node;
    q->raw_external = q->autoclear & AUTOCLEAR_RAW_EXTERNAL;
    return q->data_node;
}

/* --- opening and closing --- */

static void free_all(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    q2_clean_end(q);
    q2_cache_free(&q->l2);
    q2_cache_free(&q->refblocks);
    q2_free_snapshots(q);
    for (unsigned i = 0; i < q->extensions->len; i++)
        g_free(g_array_index(q->extensions, Q2Extension, i).data);
    g_array_unref(q->extensions);
    g_array_unref(q->pending);
    g_free(q->data_file_name);
    g_free(q->l1);
    g_free(q->reftable);
    g_free(q->inflated);
    q2_overlap_free(q);
    q2_crypt_close(q);
    if (q->data_node)
        block_unref(q->data_node);
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->inflate_lock);
    pthread_mutex_destroy(&q->requests_lock);
    pthread_cond_destroy(&q->changed);
}

/* What an image that was not closed needs before it can be written to. */
static bool recover(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    if (n->flags & (BLOCK_CHECK | BLOCK_NO_IO) || !block_writable(n))
        return true;
    if (q->incompatible & INCOMPAT_CORRUPT) {
        error_setf(errp, "image '%s' is marked corrupt and can't be written to; repair it with rhea-img check -r all",
                   block_filename(n));
        return false;
    }
    if (q->incompatible & INCOMPAT_DIRTY) {
        BlockCheck c = { 0 };
        n->flags |= BLOCK_CHECK;
        bool ok = q2_check(n, &c, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS, errp);
        n->flags &= ~(unsigned)BLOCK_CHECK;
        if (!ok)
            return false;
    }
    /* bits whose data we don't keep current */
    if (q->autoclear & ~(uint64_t)(AUTOCLEAR_RAW_EXTERNAL | AUTOCLEAR_BITMAPS)) {
        q->autoclear &= AUTOCLEAR_RAW_EXTERNAL | AUTOCLEAR_BITMAPS;
        return !q2_set_features(n) || bad(n, errp, "its feature bits can't be written");
    }
    return true;
}

static bool q2_open(BlockNode *n, Opts *o, Error **errp)
{
    Qcow2 *q = q2_of(n);
    bool lazy;
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->inflate_lock, NULL);
    pthread_mutex_init(&q->requests_lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    q->extensions = g_array_new(false, true, sizeof(Q2Extension));
    q->pending = g_array_new(false, true, sizeof(Q2Free));
    q->snapshots = g_array_new(false, true, sizeof(Q2Snapshot));
    bool ok = read_header(n, errp) && read_l1(n, errp) && (!q->reftable_clusters || !q2_read_reftable(n, errp)) &&
              open_data_file(n, o, errp) && opts_get_bool(o, "lazy-refcounts", q->lazy, &lazy, errp);
    if (ok) {
        q->lazy = lazy && q->version >= 3;
        n->zero_align = (unsigned)q->cluster_size;
        ok = q2_apply_options(n, o, errp) && q2_crypt_open(n, o, errp) && q2_read_snapshots(n, errp) &&
             recover(n, errp) && q2_load_bitmaps(n, errp);
    }
    if (!ok) {
        free_all(n);
        return false;
    }
    return true;
}

static bool q2_reopened(BlockNode *n, Error **errp) { return recover(n, errp); }

static bool q2_inactivate(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    pthread_mutex_lock(&q->lock);
    int r = 0;
    bool stored = q->broken || q2_store_bitmaps(n, errp);
    if (!q->broken) {
        r = q2_sync(n);
        r = r ? r : q2_sync(n); /* what the first gave back */
        if (!r && q->incompatible & INCOMPAT_DIRTY && q->dirty_written)
            r = q2_mark_clean(n);
    }
    pthread_mutex_unlock(&q->lock);
    if (r && stored)
        error_set_errno(errp, -r, "image '%s': its metadata can't be written back", block_filename(n));
    return !r && stored;
}

static void q2_close(BlockNode *n) { free_all(n); }

/* --- requests --- */

static int locked_range(BlockNode *n, uint64_t offset, uint64_t len,
                        int (*fn)(BlockNode *n, uint64_t offset, uint64_t len, bool how), bool how)
{
    Qcow2 *q = q2_of(n);
    Q2Request request;
    len = align_up(offset + len, q->cluster_size) - offset;
    pthread_mutex_lock(&q->lock);
    q2_request_begin(q, &request, offset, len, Q2_ALLOCATES);
    int r = q->broken ? -EIO : q->lazy && !q->dirty_written ? q2_mark_dirty(n) : 0;
    q->why = Q2_BY_REQUEST;
    r = r ? r : fn(n, offset, len, how);
    q->why = Q2_BY_OTHER;
    q2_request_end(q, &request);
    pthread_mutex_unlock(&q->lock);
    return r;
}

static int q2_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    Qcow2 *q = q2_of(n);
    bool backed = n->backing || n->backing_file; /* which need not be open now */
    if (q->version < 3 && (backed || offset & (q->cluster_size - 1)))
        return -ENOTSUP;
    if (q->version < 3) /* no zero flag: without a backing file unallocated clusters are zero */
        return locked_range(n, offset, len, q2_discard_range, true);
    /* raw by itself: must hold them */
    int r = q->raw_external ? block_pwrite_zeroes(q->data, offset, len, flags & BLOCK_REQ_MAY_UNMAP) : 0;
    return r ? r : locked_range(n, offset, len, q2_zero_range, flags & BLOCK_REQ_MAY_UNMAP);
}

/* An external data file that is raw by itself shows what it has: its clusters stay mapped. (locked) */
static int discard_both(BlockNode *n, uint64_t offset, uint64_t len, bool full)
{
    Qcow2 *q = q2_of(n);
    uint64_t end = q->data_node ? MIN(offset + len, block_size(q->data)) : 0;
    int r = q->raw_external ? 0 : q2_discard_range(n, offset, len, full);
    return !r && end > offset ? block_pdiscard(q->data, offset, end - offset) : r;
}

static int q2_pdiscard(BlockNode *n, uint64_t offset, uint64_t len)
{
    return locked_range(n, offset, len, discard_both, false);
}

static int q2_flush(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    pthread_mutex_lock(&q->lock);
    int r = q2_sync_shared(n);
    pthread_mutex_unlock(&q->lock);
    return r;
}

static int q2_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    Qcow2 *q = q2_of(n);
    Q2Map m;
    pthread_mutex_lock(&q->lock);
    int r = q2_map(n, offset, len, &m);
    pthread_mutex_unlock(&q->lock);
    static const unsigned flags[] = {
        [Q2_UNALLOCATED] = 0,
        [Q2_ZERO] = BLOCK_ZERO | BLOCK_ALLOCATED,
        [Q2_ZERO_ALLOCATED] = BLOCK_ZERO | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID,
        [Q2_DATA] = BLOCK_DATA | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID,
        [Q2_COMPRESSED] = BLOCK_DATA | BLOCK_ALLOCATED | BLOCK_COMPRESSED,
        [Q2_INVALID] = 0,
    };
    *out = (BlockStatus){ flags[m.kind], m.len, m.host, q->data, 0 };
    return r;
}

static void detail(BlockInfo *out, const char *key, const char *value)
{
    g_ptr_array_add(out->details, g_strdup(key));
    g_ptr_array_add(out->details, g_strdup(value));
}

static void crypt_detail(const Qcow2 *q, BlockInfo *out)
{
    g_autofree char *text = q->crypt_method ? q2_crypt_info(q) : NULL;
    out->encrypted = text;
    if (text)
        detail(out, "encrypt", text);
}

static bool q2_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    Qcow2 *q = q2_of(n);
    out->cluster_size = q->cluster_size;
    out->dirty = q->incompatible & INCOMPAT_DIRTY;
    out->corrupt = q->incompatible & INCOMPAT_CORRUPT;
    detail(out, "compat", q->version < 3 ? "0.10" : "1.1");
    detail(out, "compression-type", q->compression ? "zstd" : "zlib");
    if (q->version >= 3) {
        g_autofree char *bits = g_strdup_printf("%u", 1u << q->refcount_order);
        detail(out, "lazy-refcounts", q->compatible & COMPAT_LAZY_REFCOUNTS ? "true" : "false");
        g_autofree char *bitmaps = q2_bitmaps_info(n);
        if (bitmaps)
            detail(out, "bitmaps", bitmaps);
        detail(out, "refcount-bits", bits);
        crypt_detail(q, out);
        if (q->data_file_name) {
            detail(out, "data-file", q->data_file_name);
            detail(out, "data-file-raw", q->raw_external ? "true" : "false");
        }
        detail(out, "corrupt", out->corrupt ? "true" : "false");
        detail(out, "extended-l2", q->subclusters > 1 ? "true" : "false");
    } else {
        crypt_detail(q, out);
    }
    return true;
}

static bool q2_change_backing_file(BlockNode *n, const char *file, const char *format, Error **errp)
{
    Qcow2 *q = q2_of(n);
    char *old_file = n->backing_file, *old_format = n->backing_format;
    if (q->raw_external && file) {
        error_setf(errp, "image '%s': its raw external data file leaves no room for a backing file", block_filename(n));
        return false;
    }
    n->backing_file = file && *file ? g_strdup(file) : NULL;
    n->backing_format = n->backing_file && format ? g_strdup(format) : NULL;
    pthread_mutex_lock(&q->lock);
    int r = q2_sync(n);
    bool ok = !r && q2_write_header(n, errp);
    pthread_mutex_unlock(&q->lock);
    if (r)
        error_set_errno(errp, -r, "image '%s': its metadata can't be written", block_filename(n));
    g_free(ok ? old_file : n->backing_file);
    g_free(ok ? old_format : n->backing_format);
    if (!ok) {
        n->backing_file = old_file;
        n->backing_format = old_format;
    }
    return ok;
}

static bool q2_make_empty(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    pthread_mutex_lock(&q->lock);
    int r = q2_discard_range(n, 0, align_up(block_size(n), q->cluster_size), true);
    r = r ? r : q2_sync(n);
    pthread_mutex_unlock(&q->lock);
    if (r)
        error_set_errno(errp, -r, "image '%s': can't be emptied", block_filename(n));
    return !r;
}

static unsigned q2_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 8 && load_be(head, 4) == QCOW2_MAGIC && load_be(head + 4, 4) >= 2 ? 100 : 0;
}

static const char *const q2_options[] = { "lazy-refcounts",
                                          "data-file",
                                          "l2-cache-size",
                                          "refcount-cache-size",
                                          "cache-size",
                                          "cache-clean-interval",
                                          "pass-discard-request",
                                          "pass-discard-snapshot",
                                          "pass-discard-other",
                                          "l2-cache-entry-size",
                                          "overlap-check",
                                          "overlap-check.template",
                                          "overlap-check.main-header",
                                          "overlap-check.active-l1",
                                          "overlap-check.active-l2",
                                          "overlap-check.refcount-table",
                                          "overlap-check.refcount-block",
                                          "overlap-check.snapshot-table",
                                          "overlap-check.inactive-l1",
                                          "overlap-check.inactive-l2",
                                          "overlap-check.bitmap-directory",
                                          "discard-no-unref",
                                          "encrypt.format",
                                          "encrypt.key-secret",
                                          NULL };
static const BlockDriver qcow2_driver = {
    .name = "qcow2",
    .desc = "QEMU copy-on-write, version 2 and 3",
    .instance_size = sizeof(Qcow2),
    .options = q2_options,
    .create_options = q2_create_options,
    .amend_options = q2_amend_options,
    .probe = q2_probe,
    .open = q2_open,
    .close = q2_close,
    .inactivate = q2_inactivate,
    .reopened = q2_reopened,
    .preadv = q2_preadv,
    .pwritev = q2_pwritev,
    .preadv_nowait = q2_preadv_nowait,
    .pwritev_nowait = q2_pwritev_nowait,
    .aio = q2_aio,
    .aio_ended = q2_aio_ended,
    .pwrite_zeroes = q2_pwrite_zeroes,
    .pdiscard = q2_pdiscard,
    .flush = q2_flush,
    .status = q2_status,
    .truncate = q2_truncate,
    .info = q2_info,
    .create = q2_create,
    .amend = q2_amend,
    .measure = q2_measure,
    .check = q2_check,
    .change_backing = q2_change_backing_file,
    .make_empty = q2_make_empty,
    .snapshot_list = q2_snapshot_list,
    .snapshot_create = q2_snapshot_create,
    .snapshot_apply = q2_snapshot_apply,
    .snapshot_delete = q2_snapshot_delete,
    .snapshot_load = q2_snapshot_load,
    .vmstate_pwritev = q2_vmstate_pwritev,
    .vmstate_reserve = q2_vmstate_reserve,
    .vmstate_discard = q2_vmstate_discard,
    .snapshot_vmstate_preadv = q2_snapshot_vmstate_preadv,
    .bitmap_can_store = q2_bitmap_can_store,
};
BLOCK_DRIVER_REGISTER(qcow2_driver)
