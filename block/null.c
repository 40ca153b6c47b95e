/* SPDX-License-Identifier: MIT */
/* Protocols "null-co" and "null-aio": take everything, give zeroes; for tests and for measuring what is above. */
#include <time.h>
#include "base/bits.h"
#include "block/driver.h"

typedef struct NullNode { uint64_t latency_ns; } NullNode;

static bool null_open(BlockNode *n, Opts *o, Error **errp)
{
    NullNode *z = n->opaque;
    uint64_t size;
    bool zeroes;
    opts_get(o, "filename");
    if (!opts_get_size(o, "size", GiB, &size, errp) || !opts_get_u64(o, "latency-ns", 0, &z->latency_ns, errp) ||
        !opts_get_bool(o, "read-zeroes", true, &zeroes, errp))
        return false;
    n->size = size;
    return true;
}

static void rest(BlockNode *n)
{
    const NullNode *z = n->opaque;
    struct timespec t = { (time_t)(z->latency_ns / 1000000000), (long)(z->latency_ns % 1000000000) };
    if (z->latency_ns)
        nanosleep(&t, NULL);
}

static int null_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    rest(n);
    iov_zero(iov, iovcnt, 0, len);
    return 0;
}
static int null_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                        unsigned flags)
{
    rest(n);
    return 0;
}
static int null_range(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags) { return 0; }
static int null_flush(BlockNode *n)
{
    rest(n);
    return 0;
}
static int null_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    *out = (BlockStatus){ BLOCK_ZERO | BLOCK_ALLOCATED, len, 0, NULL, 0 };
    return 0;
}

static const char *const null_options[] = { "size", "latency-ns", "read-zeroes", NULL };
#define NULL_DRIVER(id, text) \
    static const BlockDriver id##_driver = { \
        .name = text, .desc = "nothing: zeroes", .protocol = true, .instance_size = sizeof(NullNode), \
        .options = null_options, .open = null_open, \
        .preadv = null_preadv, .pwritev = null_pwritev, .pwrite_zeroes = null_range, .flush = null_flush, \
        .status = null_status, \
    }; \
    BLOCK_DRIVER_REGISTER(id##_driver)
NULL_DRIVER(null_co, "null-co")
NULL_DRIVER(null_aio, "null-aio")
