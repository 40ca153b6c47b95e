/* SPDX-License-Identifier: MIT */
/* Filter "copy-on-read": what a read finds in a backing file only is written to the image, whole clusters at a time. */
#include <stdlib.h>
#include "base/bits.h"
#include "block/filter.h"

enum { PIECE_MAX = 1 << 20 };

typedef struct CopyNode {
    uint64_t unit;
    /* held for writing while a cluster is copied: a guest's write must not fall between its reading and writing */
    pthread_rwlock_t lock;
} CopyNode;

static CopyNode *copy_of(BlockNode *n) { return n->opaque; }

static bool copy_open(BlockNode *n, Opts *o, Error **errp)
{
    BlockInfo i = { 0 };
    CopyNode *c = copy_of(n);
    if (!block_info(n->file, &i, errp)) {
        block_info_clear(&i);
        return false;
    }
    c->unit = MIN(i.cluster_size ? i.cluster_size : 65536, (uint64_t)PIECE_MAX);
    block_info_clear(&i);
    pthread_rwlock_init(&c->lock, NULL);
    return block_filter_init(n);
}

static void copy_close(BlockNode *n) { pthread_rwlock_destroy(&copy_of(n)->lock); }

/* Is all of the range in the image itself? *len: how far that answer holds. */
static int in_image(BlockNode *n, uint64_t offset, uint64_t *len, bool *here)
{
    BlockNode *image = block_skip_filters(n);
    BlockStatus s;
    int r = block_status(image, offset, *len, &s);
    *here = s.flags & BLOCK_ALLOCATED || !block_backing(image);
    *len = MIN(*len, MAX(s.pnum, 1u));
    return r;
}

/* Clusters around the range: read through the image, written to it. */
static int copy_up(BlockNode *n, uint64_t offset, uint64_t len)
{
    CopyNode *c = copy_of(n);
    uint64_t start = align_down(offset, c->unit), end = MIN(align_up(offset + len, c->unit), block_size(n->file));
    uint8_t *buf;
    if (posix_memalign((void **)&buf, 4096, PIECE_MAX))
        return -ENOMEM;
    int r = 0;
    pthread_rwlock_wrlock(&c->lock);
    while (!r && start < end) {
        uint64_t piece = MIN(end - start, (uint64_t)PIECE_MAX);
        bool here;
        r = in_image(n, start, &piece, &here);
        if (!r && !here) {
            r = block_pread(n->file, start, buf, piece);
            if (!r)
                r = buf_is_zero(buf, piece) ? block_pwrite_zeroes(n->file, start, piece, BLOCK_REQ_MAY_UNMAP)
                                            : block_pwrite(n->file, start, buf, piece);
        }
        start += piece;
    }
    pthread_rwlock_unlock(&c->lock);
    free(buf);
    return r;
}

static int copy_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    int r = 0;
    for (uint64_t at = offset; !r && block_writable(n->file) && at < offset + len;) {
        uint64_t piece = offset + len - at;
        bool here;
        r = in_image(n, at, &piece, &here);
        if (!r && !here)
            r = copy_up(n, at, piece);
        at += piece;
    }
    return r ? r : block_preadv(n->file, offset, iov, iovcnt);
}

static int copy_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                        unsigned flags)
{
    pthread_rwlock_rdlock(&copy_of(n)->lock);
    int r = filter_pwritev(n, offset, len, iov, iovcnt, flags);
    pthread_rwlock_unlock(&copy_of(n)->lock);
    return r;
}

static int copy_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    pthread_rwlock_rdlock(&copy_of(n)->lock);
    int r = filter_pwrite_zeroes(n, offset, len, flags);
    pthread_rwlock_unlock(&copy_of(n)->lock);
    return r;
}

static const BlockDriver copy_driver = {
    .name = "copy-on-read",
    .desc = "filter: what is read from a backing file is kept in the image",
    .instance_size = sizeof(CopyNode),
    .filter = true,
    .open = copy_open,
    .close = copy_close,
    .preadv = copy_preadv,
    .pwritev = copy_pwritev,
    .pwrite_zeroes = copy_pwrite_zeroes,
    .pdiscard = filter_pdiscard,
    .flush = filter_flush,
    .status = filter_status,
    .truncate = filter_truncate,
};
BLOCK_DRIVER_REGISTER(copy_driver)
