/* SPDX-License-Identifier: MIT */
/* Requests that are started: what the core does around a driver's part, as block/io.c does it around blocking ones. */
#include "block/aio.h"
#include "block/bitmap.h"

static bool is_write(BlkOp op) { return op != BLK_READ && op != BLK_FLUSH; }

/* Whatever the core would do besides passing it on is left to the blocking function. */
static bool passes(const BlockNode *n, const BlockAio *a, uint64_t offset)
{
    unsigned special = a->op == BLK_WRITE     ? BLOCK_WRITETHROUGH | BLOCK_ZERO_DETECT
                       : a->op == BLK_DISCARD ? 0
                                              : BLOCK_WRITETHROUGH;
    if (!n->aio || a->depth == BLOCK_AIO_DEPTH || (a->op != BLK_READ && !block_writable(n)))
        return false;
    if (a->op == BLK_FLUSH)
        return !(n->flags & BLOCK_NO_FLUSH);
    if (!a->bytes || offset > block_size(n) || a->bytes > block_size(n) - offset ||
        (is_write(a->op) && n->flags & special) || (a->op == BLK_DISCARD && !(n->flags & BLOCK_UNMAP)))
        return false;
    return a->op == BLK_READ || a->op == BLK_WRITE ? block_is_aligned(n, offset, a->bytes, a->iov, a->iovcnt)
                                                   : n->zero_align <= 1;
}

static void leave(BlockAioStep *s)
{
    if (s->aligned)
        in_flight_leave(&s->n->aligned);
    in_flight_leave(&s->n->in_flight);
}

int block_aio(BlockNode *n, BlockAio *a, uint64_t offset)
{
    if (!passes(n, a, offset) || !in_flight_try(&n->in_flight))
        return -EAGAIN;
    BlockAioStep *s = &a->step[a->depth++];
    *s = (BlockAioStep){ .n = n, .offset = offset };
    bool ok = !(is_write(a->op) && n->watch);
    if (ok && a->op == BLK_WRITE && n->request_align > 1)
        ok = s->aligned = in_flight_try(&n->aligned);
    if (ok && !n->drv->aio(n, a, s))
        return 0;
    a->depth--;
    leave(s);
    return -EAGAIN;
}

void block_aio_end(BlockAio *a, int error)
{
    while (a->depth) {
        BlockAioStep *s = &a->step[--a->depth];
        if (s->n->drv->aio_ended)
            s->n->drv->aio_ended(s->n, s);
        if (is_write(a->op))
            block_bitmaps_dirty(s->n, s->offset, a->bytes);
        leave(s);
    }
    a->done(a, error);
}
