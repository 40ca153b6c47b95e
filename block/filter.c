/* SPDX-License-Identifier: MIT */
/* Filters: requests go to the node below. */
#include "block/filter.h"

bool block_filter_init(BlockNode *n)
{
    n->request_align = n->file->request_align;
    n->any_memory = n->file->any_memory;
    n->zero_align = n->file->zero_align;
    return true;
}

BlockNode *block_filter_other(BlockNode *n, Opts *o, const char *key, Error **errp)
{
    g_autofree char *prefix = g_strconcat(key, ".", NULL);
    g_autoptr(Opts) sub = block_sub_options(o, prefix);
    const char *name = opts_get(o, key);
    BlockNode *other = name ? block_node_find(name) : NULL;
    if (other)
        return block_ref(other);
    if (name) {
        error_setf(errp, "%s='%s': there is no node of that name; define it by an earlier -blockdev", key, name);
        return NULL;
    }
    if (!opts_has(sub, "driver"))
        opts_set(sub, "driver", "raw");
    return block_open(NULL, sub, n->flags & (BLOCK_RDWR | BLOCK_UNMAP), errp);
}

int filter_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return block_preadv(n->file, offset, iov, iovcnt);
}
int filter_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    return block_pwritev(n->file, offset, iov, iovcnt, flags & ~(unsigned)BLOCK_REQ_FUA);
}
int filter_preadv_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return block_preadv_nowait(n->file, offset, iov, iovcnt);
}
int filter_pwritev_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return block_pwritev_nowait(n->file, offset, iov, iovcnt);
}
int filter_aio(BlockNode *n, BlockAio *a, BlockAioStep *step) { return block_aio(n->file, a, step->offset); }
int filter_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    return block_pwrite_zeroes(n->file, offset, len, flags & ~(unsigned)BLOCK_REQ_FUA);
}
int filter_pdiscard(BlockNode *n, uint64_t offset, uint64_t len) { return block_pdiscard(n->file, offset, len); }
int filter_flush(BlockNode *n) { return block_flush(n->file); }
int filter_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    return block_status(n->file, offset, len, out);
}

bool filter_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    return block_truncate(n->file, size, prealloc, true, errp);
}

BlockNode *block_skip_filters(BlockNode *n)
{
    while (n && n->drv->filter)
        n = n->file;
    return n;
}
