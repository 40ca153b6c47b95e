/* SPDX-License-Identifier: MIT */
/*
 * Filter "copy-before-write": before the image is written to, what stands there goes to a target. "snapshot-access":
 * the image as it was at the start.
 */
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "block/filter.h"

enum { UNIT_MIN = 65536, UNIT_MAX = 2 << 20 };

typedef struct CbwNode {
    BlockNode *target;
    uint64_t unit, units;
    bool keep_guest;       /* on-cbw-error=break-snapshot: the guest's write goes on, the target is no longer good */
    bool broken;
    pthread_mutex_t lock;  /* of what follows, and while a unit is copied: who else writes to it waits */
    uint8_t *copied;       /* a bit for each unit */
    uint8_t *unwanted;     /* the same, of those that the bitmap does not have; NULL: all are wanted */
} CbwNode;

static CbwNode *cbw_of(BlockNode *n) { return n->opaque; }

static bool is_copied(const CbwNode *c, uint64_t unit) { return c->copied[unit / 8] >> unit % 8 & 1; }

/* Units that the bitmap does not have are not wanted. */
static bool use_bitmap(BlockNode *n, Opts *o, Error **errp)
{
    CbwNode *c = cbw_of(n);
    const char *node = opts_get(o, "bitmap.node"), *name = opts_get(o, "bitmap.name");
    if (!node && !name)
        return true;
    BlockNode *owner = node && name ? block_node_find(node) : NULL;
    if (!owner) {
        error_setf(errp, "copy-before-write: bitmap.node= and bitmap.name= go together; no node is called '%s'",
                   node ? node : "");
        return false;
    }
    BlockBitmap *b = block_bitmap_find(owner, name, errp);
    if (!b)
        return false;
    memset(c->copied, 0xff, c->units / 8 + 1);
    for (uint64_t at = 0, len = UINT64_MAX; block_bitmap_next(b, &at, &len); at += len, len = UINT64_MAX) {
        for (uint64_t u = at / c->unit; u < c->units && u * c->unit < at + len; u++)
            c->copied[u / 8] &= (uint8_t)~(1u << u % 8);
    }
    c->unwanted = g_memdup2(c->copied, c->units / 8 + 1);
    return true;
}

static bool open_target(BlockNode *n, Opts *o, Error **errp)
{
    static const char *const words[] = { "break-guest-write", "break-snapshot", NULL };
    CbwNode *c = cbw_of(n);
    unsigned how = 0;
    BlockInfo i = { 0 };
    if (!opts_get_enum(o, "on-cbw-error", words, &how, errp))
        return false;
    c->keep_guest = how;
    c->target = block_filter_other(n, o, "target", errp);
    if (!c->target)
        return false;
    if (block_size(c->target) != block_size(n->file) || !block_writable(c->target)) {
        error_setf(errp, "copy-before-write: target '%s' must be writable, and as large as '%s'",
                   block_filename(c->target), block_filename(n->file));
        return false;
    }
    uint64_t cluster = block_info(c->target, &i, NULL) ? i.cluster_size : 0;
    block_info_clear(&i);
    c->unit = CLAMP(cluster, (uint64_t)UNIT_MIN, (uint64_t)UNIT_MAX);
    c->units = (block_size(n->file) + c->unit - 1) / c->unit;
    c->copied = g_try_malloc0(c->units / 8 + 1);
    if (!c->copied)
        error_setf(errp, "copy-before-write: image '%s' is too large", block_filename(n->file));
    return c->copied && use_bitmap(n, o, errp);
}

static void cbw_close(BlockNode *n)
{
    CbwNode *c = cbw_of(n);
    g_free(c->copied);
    g_free(c->unwanted);
    block_unref(c->target);
    pthread_mutex_destroy(&c->lock);
}

static bool cbw_open(BlockNode *n, Opts *o, Error **errp)
{
    pthread_mutex_init(&cbw_of(n)->lock, NULL);
    block_filter_init(n);
    if (open_target(n, o, errp))
        return true;
    cbw_close(n);
    return false;
}

static int copy_unit(BlockNode *n, uint64_t unit)
{
    CbwNode *c = cbw_of(n);
    uint64_t at = unit * c->unit, len = MIN(c->unit, block_size(n->file) - at);
    void *buf = NULL;
    if (posix_memalign(&buf, 4096, len))
        return -ENOMEM;
    int r = block_pread(n->file, at, buf, len);
    if (!r)
        r = buf_is_zero(buf, len) ? block_pwrite_zeroes(c->target, at, len, BLOCK_REQ_MAY_UNMAP)
                                  : block_pwrite(c->target, at, buf, len);
    free(buf);
    if (!r)
        c->copied[unit / 8] |= (uint8_t)(1u << unit % 8);
    return r;
}

static int before_write(BlockNode *n, uint64_t offset, uint64_t len)
{
    CbwNode *c = cbw_of(n);
    int r = 0;
    pthread_mutex_lock(&c->lock);
    for (uint64_t u = offset / c->unit; !c->broken && !r && len && u < c->units && u <= (offset + len - 1) / c->unit;
         u++)
        r = is_copied(c, u) ? 0 : copy_unit(n, u);
    if (r && c->keep_guest) {
        warn_reportf("copy-before-write: target '%s' is no copy any more: %s", block_filename(c->target),
                     g_strerror(-r));
        c->broken = true;
        r = 0;
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

static int cbw_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    int r = before_write(n, offset, len);
    return r ? r : filter_pwritev(n, offset, len, iov, iovcnt, flags);
}

static int cbw_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    int r = before_write(n, offset, len);
    return r ? r : filter_pwrite_zeroes(n, offset, len, flags);
}

static int cbw_pdiscard(BlockNode *n, uint64_t offset, uint64_t len)
{
    int r = before_write(n, offset, len);
    return r ? r : filter_pdiscard(n, offset, len);
}

/* What is kept must be on disk before what it was kept from is overwritten there for good. */
static int cbw_flush(BlockNode *n)
{
    int r = block_flush(cbw_of(n)->target);
    return r && !cbw_of(n)->keep_guest ? r : filter_flush(n);
}

static const char *const cbw_options[] = { "target", "bitmap", "on-cbw-error", NULL };
static const BlockDriver cbw_driver = {
    .name = "copy-before-write",
    .desc = "filter: old contents go to a target before they are overwritten",
    .instance_size = sizeof(CbwNode),
    .options = cbw_options,
    .filter = true,
    .open = cbw_open,
    .close = cbw_close,
    .preadv = filter_preadv,
    .preadv_nowait = filter_preadv_nowait,
    .pwritev = cbw_pwritev,
    .pwrite_zeroes = cbw_pwrite_zeroes,
    .pdiscard = cbw_pdiscard,
    .flush = cbw_flush,
    .status = filter_status,
};
BLOCK_DRIVER_REGISTER(cbw_driver)

/* --- snapshot-access: above such a filter --- */

static bool access_open(BlockNode *n, Opts *o, Error **errp)
{
    if (n->file->drv != &cbw_driver) {
        error_setf(errp, "snapshot-access: file '%s' is no copy-before-write filter; give the name of one",
                   block_filename(n->file));
        return false;
    }
    n->size = block_size(n->file);
    n->flags &= ~(unsigned)BLOCK_RDWR;
    return true;
}

/* A part of one unit. While the lock is held nobody writes to what has not been copied. */
static int access_unit(BlockNode *filter, uint64_t unit, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    CbwNode *c = cbw_of(filter);
    pthread_mutex_lock(&c->lock);
    bool there = !c->broken && !(c->unwanted && c->unwanted[unit / 8] >> unit % 8 & 1), copied = is_copied(c, unit);
    int r = !there ? -EACCES : copied ? 0 : block_preadv(filter->file, offset, iov, iovcnt);
    pthread_mutex_unlock(&c->lock);
    return there && copied ? block_preadv(c->target, offset, iov, iovcnt) : r;
}

static int access_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    uint64_t unit = cbw_of(n->file)->unit;
    g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
    int r = 0;
    for (uint64_t done = 0, piece; !r && done < len; done += piece) {
        uint64_t at = offset + done;
        piece = MIN(len - done, unit - at % unit);
        r = access_unit(n->file, at / unit, at, part, iov_part(part, iov, iovcnt, done, piece));
    }
    return r;
}

static const BlockDriver access_driver = {
    .name = "snapshot-access",
    .desc = "what a copy-before-write filter keeps (read-only)",
    .open = access_open,
    .preadv = access_preadv,
};
BLOCK_DRIVER_REGISTER(access_driver)
