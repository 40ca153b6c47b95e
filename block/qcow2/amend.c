/* SPDX-License-Identifier: MIT */
/* qcow2: changes of an image's options (rhea-img amend). */
#include <string.h>
#include "block/crypto/crypto.h"
#include "block/qcow2/qcow2.h"

const BlockCreateOption q2_amend_options[] = {
    { "size", "size", "virtual disk size", NULL },
    { "compat", "string", "0.10 (version 2) or 1.1 (version 3)", NULL },
    { "backing_file", "string", "as it is: rhea-img rebase changes it", NULL },
    { "backing_fmt", "string", "as it is", NULL },
    { "lazy_refcounts", "bool", "refcounts are written late; the image is checked after a crash", NULL },
    { "refcount_bits", "number", "1, 2, 4, 8, 16, 32 or 64", NULL },
    { "data_file", "string", "name of the file that holds the guest's data", NULL },
    { "data_file_raw", "bool", "off: the data file need not be a raw image by itself", NULL },
    LUKS_AMEND_OPTIONS("encrypt."),
    { NULL }
};

typedef struct Changes {
    unsigned version, refcount_order;
    uint64_t size;
    bool lazy, raw;
} Changes;

static bool cannot(BlockNode *n, Error **errp, const char *why)
{
    error_setf(errp, "image '%s' %s", block_filename(n), why);
    return false;
}

static bool parse(BlockNode *n, Opts *o, Changes *c, Error **errp)
{
    static const char *const compats[] = { "0.10", "1.1", "v2", "v3", NULL };
    const Qcow2 *q = q2_of(n);
    unsigned compat = q->version == 3;
    uint64_t bits;
    if (!opts_get_enum(o, "compat", compats, &compat, errp) ||
        !opts_get_bool(o, "lazy_refcounts", q->compatible & COMPAT_LAZY_REFCOUNTS, &c->lazy, errp) ||
        !opts_get_bool(o, "data_file_raw", q->raw_external, &c->raw, errp) ||
        !opts_get_size(o, "size", block_size(n), &c->size, errp) ||
        !opts_get_u64(o, "refcount_bits", BIT(q->refcount_order), &bits, errp))
        return false;
    const char *file = opts_get(o, "backing_file"), *format = opts_get(o, "backing_fmt");
    if ((file && g_strcmp0(file, n->backing_file)) || (format && g_strcmp0(format, n->backing_format)))
        return cannot(n, errp, "gets another backing file by rhea-img rebase");
    c->version = compat & 1 ? 3 : 2;
    c->lazy &= c->version == 3 || opts_has(o, "lazy_refcounts");
    if (!bits || bits > 64 || bits & (bits - 1))
        return cannot(n, errp, "can't have that: refcount_bits is 1, 2, 4, 8, 16, 32 or 64");
    c->refcount_order = (unsigned)__builtin_ctzll(bits);
    if (c->version == 2 && bits != 16)
        return cannot(n, errp,
                      "would have refcounts of another width than 16 bits, which version 2 lacks; add "
                      "refcount_bits=16, or leave out compat");
    if (c->version == 2 && c->lazy)
        return cannot(n, errp, "can't have lazy_refcounts in version 2; leave one of them out");
    if (c->raw && !q->raw_external)
        return cannot(
            n, errp,
            "holds data already, which need not stand where a raw image has them; convert it with -o data_file_raw=on");
    if (opts_has(o, "data_file") && !q->data_node)
        return cannot(n, errp, "holds its data itself; convert it with -o data_file=FILE");
    return true;
}

/* What version 2 can't express is refused, or, zeroes that no backing file is below, given up. */
static bool downgrade(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    if (q->subclusters > 1 || q->data_node || q->compression || q->incompatible & ~(uint64_t)INCOMPAT_DIRTY)
        return cannot(n, errp, "uses features that version 2 does not have; convert it instead");
    if (q->snapshots->len)
        return cannot(n, errp,
                      "has snapshots, which may hold what version 2 does not have; delete them first, or convert it");
    if (q->autoclear & AUTOCLEAR_BITMAPS)
        return cannot(
            n, errp,
            "has bitmaps, which version 2 does not have; remove them first (rhea-img bitmap --remove), or convert it");
    for (uint64_t at = 0, size = align_up(block_size(n), q->cluster_size); at < size;) {
        Q2Map m;
        if (q2_map(n, at, size - at, &m))
            return cannot(n, errp, "can't be read; rhea-img check tells more");
        if (m.kind == Q2_ZERO || m.kind == Q2_ZERO_ALLOCATED) {
            if (n->backing_file)
                return cannot(
                    n, errp,
                    "has zero clusters above a backing file, which version 2 can't express; convert it instead");
            q2_discard_range(n, at, m.len, true);
        }
        at += m.len;
    }
    if (q2_mark_clean(n) || q2_sync(n))
        return cannot(n, errp, "can't be written");
    q->version = 2;
    q->header_length = 72;
    q->compatible = q->autoclear = q->incompatible = 0;
    q->lazy = false;
    return q2_write_header(n, errp);
}

static bool upgrade(BlockNode *n, Error **errp)
{
    Qcow2 *q = q2_of(n);
    q->version = 3;
    q->header_length = 112;
    return q2_write_header(n, errp);
}

static bool set_lazy(BlockNode *n, bool lazy, Error **errp)
{
    Qcow2 *q = q2_of(n);
    int r = lazy ? 0 : q2_mark_clean(n);
    q->compatible ^= COMPAT_LAZY_REFCOUNTS;
    q->lazy = lazy;
    r = r ? r : q2_set_features(n);
    if (r)
        error_set_errno(errp, -r, "image '%s': its header can't be written", block_filename(n));
    return !r;
}

static bool set_data_file(BlockNode *n, const char *name, bool raw, Error **errp)
{
    Qcow2 *q = q2_of(n);
    if (name) {
        g_free(q->data_file_name);
        q->data_file_name = *name ? g_strdup(name) : NULL;
    }
    if (!raw)
        q->autoclear &= ~(uint64_t)AUTOCLEAR_RAW_EXTERNAL;
    q->raw_external = raw;
    return q2_write_header(n, errp);
}

bool q2_amend(BlockNode *n, Opts *o, bool force, Error **errp)
{
    Qcow2 *q = q2_of(n);
    Changes c;
    const char *data_file = opts_get(o, "data_file");
    if (!parse(n, o, &c, errp) || !q2_crypt_amend(n, o, force, errp))
        return false;
    pthread_mutex_lock(&q->lock);
    bool ok = q->version >= c.version || upgrade(n, errp);
    ok = ok && (c.refcount_order == q->refcount_order || q2_change_refcount_width(n, c.refcount_order, errp));
    ok = ok && (q->version <= c.version || downgrade(n, errp));
    ok = ok && (c.lazy == !!(q->compatible & COMPAT_LAZY_REFCOUNTS) || set_lazy(n, c.lazy, errp));
    ok = ok && ((!data_file && c.raw == q->raw_external) || set_data_file(n, data_file, c.raw, errp));
    pthread_mutex_unlock(&q->lock);
    return ok && (c.size == block_size(n) || q2_truncate(n, c.size, PREALLOC_OFF, errp));
}
