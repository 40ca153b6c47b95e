/* SPDX-License-Identifier: MIT */
/* Requests that are started, and end by a call: through nodes that only say where the data stand, down to io_uring. */
#ifndef BLOCK_AIO_H
#define BLOCK_AIO_H

#include "base/uring.h"
#include "block/driver.h"

enum { BLOCK_AIO_DEPTH = 6 };

/* A node that the request went through. */
struct BlockAioStep {
    BlockNode *n;
    uint64_t offset;
    bool aligned;        /* counted in n->aligned */
    void *data;          /* the driver's, for aio_ended */
};

/*
 * The caller owns it until done() is called: once, in the ring's thread, without locks. -EAGAIN: the blocking function
 * has to do it.
 */
struct BlockAio {
    BlkOp op;
    unsigned flags;      /* BLOCK_REQ_MAY_UNMAP */
    uint64_t bytes;
    const struct iovec *iov;
    int iovcnt;
    void (*done)(BlockAio *a, int error);
    Uring *ring;
    /* private */
    unsigned depth;
    BlockAioStep step[BLOCK_AIO_DEPTH];
    UringOp uring;
};

/* Any thread; never waits. 0: done() comes. -EAGAIN: nothing has happened, use the blocking function. */
int block_aio(BlockNode *n, BlockAio *a, uint64_t offset);
/* For the driver that carried it out. */
void block_aio_end(BlockAio *a, int error);
static inline BlockAioStep *block_aio_step(BlockAio *a) { return &a->step[a->depth - 1]; }
#endif
