/* SPDX-License-Identifier: MIT */
/*
 * Filter "preallocate": a file that grows is given room ahead of what is written, and loses what was not used when it
 * is closed.
 */
#include "base/bits.h"
#include "block/filter.h"

/*
 * The node's size is where the data end; the file below may be longer. Room is what the protocol can reserve
 * (block_reserve()): holes of a file, which read as zeroes. After a crash the file keeps it: formats do not mind, a raw
 * disk is longer.
 */
typedef struct PreNode {
    uint64_t align, ahead;
    pthread_mutex_t lock;  /* of making room */
    _Atomic bool given_up; /* the file can't be given room */
} PreNode;

static PreNode *pre_of(BlockNode *n) { return n->opaque; }

static bool pre_open(BlockNode *n, Opts *o, Error **errp)
{
    PreNode *p = pre_of(n);
    if (!opts_get_size(o, "prealloc-align", MiB, &p->align, errp) ||
        !opts_get_size(o, "prealloc-size", 128 * MiB, &p->ahead, errp))
        return false;
    if (!p->align || p->align % 512 || p->align > 1024 * GiB || p->ahead > 1024 * GiB) {
        error_setf(errp, "preallocate: %s",
                   p->ahead > 1024 * GiB ? "prealloc-size= is more than 1 TiB"
                                         : "prealloc-align= must be a multiple of 512, from 512 to 1 TiB");
        return false;
    }
    pthread_mutex_init(&p->lock, NULL);
    n->size = block_size(n->file);
    return block_filter_init(n);
}

static void pre_close(BlockNode *n) { pthread_mutex_destroy(&pre_of(n)->lock); }

/* Room for what ends at `end`, and for more. */
static void make_room(BlockNode *n, uint64_t end)
{
    PreNode *p = pre_of(n);
    if (end <= block_size(n->file) || p->given_up || end > INT64_MAX / 4)
        return;
    pthread_mutex_lock(&p->lock);
    uint64_t have = block_size(n->file), want = (end + p->ahead + p->align - 1) / p->align * p->align;
    if (end > have && block_reserve(n->file, have, want - have))
        p->given_up = true;
    pthread_mutex_unlock(&p->lock);
}

/* The file ends where the data do. Nothing is on its way. */
static bool drop_room(BlockNode *n, Error **errp)
{
    return block_size(n->file) <= block_size(n) || block_truncate(n->file, block_size(n), PREALLOC_OFF, true, errp);
}

static int grown(BlockNode *n, uint64_t end, int r)
{
    if (!r)
        block_grown(n, end);
    return r;
}

static int pre_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    make_room(n, offset + len);
    return grown(n, offset + len, filter_pwritev(n, offset, len, iov, iovcnt, flags));
}

static int pre_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    make_room(n, offset + len);
    return grown(n, offset + len, filter_pwrite_zeroes(n, offset, len, flags));
}

static int pre_pwritev_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return offset + len > block_size(n) ? -EAGAIN : filter_pwritev_nowait(n, offset, len, iov, iovcnt);
}

static int pre_aio(BlockNode *n, BlockAio *a, BlockAioStep *step)
{
    bool grows = (a->op == BLK_WRITE || a->op == BLK_WRITE_ZEROES) && step->offset + a->bytes > block_size(n);
    return grows ? -EAGAIN : filter_aio(n, a, step);
}

static bool pre_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    if (!drop_room(n, errp) || !block_truncate(n->file, size, prealloc, true, errp))
        return false;
    n->size = size;
    return true;
}

static bool pre_reopened(BlockNode *n, Error **errp)
{
    pre_of(n)->given_up = false;
    return true;
}

static const char *const pre_options[] = { "prealloc-align", "prealloc-size", NULL };
static const BlockDriver pre_driver = {
    .name = "preallocate",
    .desc = "filter: makes room ahead of what is written",
    .instance_size = sizeof(PreNode),
    .options = pre_options,
    .filter = true,
    .own_size = true,
    .grows = true,
    .open = pre_open,
    .close = pre_close,
    .inactivate = drop_room,
    .reopened = pre_reopened,
    .preadv = filter_preadv,
    .pwritev = pre_pwritev,
    .preadv_nowait = filter_preadv_nowait,
    .pwritev_nowait = pre_pwritev_nowait,
    .aio = pre_aio,
    .pwrite_zeroes = pre_pwrite_zeroes,
    .pdiscard = filter_pdiscard,
    .flush = filter_flush,
    .status = filter_status,
    .truncate = pre_truncate,
};
BLOCK_DRIVER_REGISTER(pre_driver)
