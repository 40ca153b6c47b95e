/* SPDX-License-Identifier: MIT */
/* What filters have in common: nodes that show the node below, their `file`, as it is. */
#ifndef BLOCK_FILTER_H
#define BLOCK_FILTER_H

#include "block/aio.h"

/* In open(): the alignment of the node below. Always true. */
bool block_filter_init(BlockNode *n);
/* In open(): a second image, by its node's name in the option `key` or by options "KEY.…"; NULL: error. */
BlockNode *block_filter_other(BlockNode *n, Opts *o, const char *key, Error **errp);

/* What passes everything on; a driver's own functions stand behind it in the table. */
int filter_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
int filter_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags);
int filter_preadv_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
int filter_pwritev_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
int filter_aio(BlockNode *n, BlockAio *a, BlockAioStep *step);
int filter_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags);
int filter_pdiscard(BlockNode *n, uint64_t offset, uint64_t len);
int filter_flush(BlockNode *n);
int filter_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out);
bool filter_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp);
#define BLOCK_FILTER_SLOW \
    .filter = true, .preadv = filter_preadv, .pwritev = filter_pwritev, .pwrite_zeroes = filter_pwrite_zeroes, \
    .pdiscard = filter_pdiscard, \
    .flush = filter_flush, .status = filter_status, .truncate = filter_truncate
#define BLOCK_FILTER_FUNCTIONS \
    BLOCK_FILTER_SLOW, .preadv_nowait = filter_preadv_nowait, .pwritev_nowait = filter_pwritev_nowait, .aio = filter_aio
#endif
