/* SPDX-License-Identifier: MIT */
/* Filter "compress": what is written goes to the image in compressed clusters. */
#include "base/bits.h"
#include "block/filter.h"

/* An image without a cluster size compresses nothing, or tells so when it is written to. */
static bool compress_open(BlockNode *n, Opts *o, Error **errp)
{
    BlockInfo i = { 0 };
    bool ok = block_info(n->file, &i, errp);
    uint64_t unit = i.cluster_size;
    block_info_clear(&i);
    if (ok && !unit) {
        error_setf(errp, "compress: image '%s' (%s) has no clusters to compress; use qcow2 or vmdk",
                   block_filename(n->file), block_driver_name(n->file));
        return false;
    }
    block_filter_init(n);
    n->request_align = (unsigned)MAX(unit, n->request_align);
    return ok;
}

/* The core reads and writes whole clusters; the last one of the disk may be a part of one. */
static uint64_t on_disk(BlockNode *n, uint64_t offset, uint64_t len)
{
    uint64_t size = block_size(n->file);
    return offset < size ? MIN(len, size - offset) : 0;
}

static int compress_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    uint64_t have = on_disk(n, offset, len);
    g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
    iov_zero(iov, iovcnt, have, len - have);
    return have ? block_preadv(n->file, offset, part, iov_part(part, iov, iovcnt, 0, have)) : 0;
}

static int compress_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                            unsigned flags)
{
    g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
    uint64_t have = on_disk(n, offset, len);
    int r = 0;
    for (uint64_t done = 0, piece; !r && done < have; done += piece) {
        piece = MIN(have - done, (uint64_t)n->request_align);
        r = block_pwritev(n->file, offset + done, part, iov_part(part, iov, iovcnt, done, piece), BLOCK_REQ_COMPRESSED);
    }
    return r;
}

static const BlockDriver compress_driver = {
    .name = "compress",
    .desc = "filter: writes compressed clusters",
    .filter = true,
    .open = compress_open,
    .preadv = compress_preadv,
    .pwritev = compress_pwritev,
    .pwrite_zeroes = filter_pwrite_zeroes,
    .pdiscard = filter_pdiscard,
    .flush = filter_flush,
    .status = filter_status,
    .truncate = filter_truncate,
};
BLOCK_DRIVER_REGISTER(compress_driver)
