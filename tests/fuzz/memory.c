/* SPDX-License-Identifier: MIT */
/* A file in memory, see memory.h. */
#include <pthread.h>
#include <string.h>
#include "block/driver.h"
#include "tests/fuzz/memory.h"

enum { GROWN_MAX = 96 << 20 };

GByteArray *memory_file;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool mem_open(BlockNode *n, Opts *o, Error **errp)
{
    opts_get(o, "filename");
    n->size = memory_file->len;
    return true;
}
static int mem_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    pthread_mutex_lock(&lock);
    uint64_t have = offset < memory_file->len ? MIN(len, memory_file->len - offset) : 0;
    iov_from_buf(iov, iovcnt, 0, memory_file->data + (have ? offset : 0), have);
    iov_zero(iov, iovcnt, have, len - have);
    pthread_mutex_unlock(&lock);
    return 0;
}
static bool grow(BlockNode *n, uint64_t size)
{
    if (size > GROWN_MAX)
        return false;
    guint old = memory_file->len;
    if (size > old) {
        g_byte_array_set_size(memory_file, (guint)size);
        memset(memory_file->data + old, 0, size - old);
    }
    n->size = memory_file->len;
    return true;
}
static int mem_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    pthread_mutex_lock(&lock);
    bool fits = offset <= GROWN_MAX && grow(n, offset + len);
    if (fits)
        iov_to_buf(iov, iovcnt, 0, memory_file->data + offset, len);
    pthread_mutex_unlock(&lock);
    return fits ? 0 : -ENOSPC;
}
static bool mem_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    pthread_mutex_lock(&lock);
    bool fits = grow(n, size);
    pthread_mutex_unlock(&lock);
    if (!fits)
        error_setf(errp, "full");
    return fits;
}
static const BlockDriver mem_driver = { .name = "fuzz-mem",
                                        .desc = "an image in memory",
                                        .protocol = true,
                                        .grows = true,
                                        .open = mem_open,
                                        .preadv = mem_preadv,
                                        .pwritev = mem_pwritev,
                                        .truncate = mem_truncate };

void memory_register(void) { block_driver_register(&mem_driver); }
