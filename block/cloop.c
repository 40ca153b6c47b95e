/* SPDX-License-Identifier: MIT */
/* cloop: compressed loop images (version 2, zlib), for reading. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

/*
 * 128 bytes of a shell script, then (big endian) the block size, the number of blocks, and the offsets of the blocks
 * and of the end.
 */
enum { CL_HEADER = 128, CL_TABLE = CL_HEADER + 8, CL_BLOCK_MAX = 64 << 20, CL_TABLE_MAX = 512 << 20 };

typedef struct Cloop {
    Sparse sparse;
    Meta meta;
    uint64_t block, blocks;
    pthread_mutex_t inflate_lock;
    uint8_t *inflated;
    uint64_t current; /* number of the block in `inflated`, and one */
} Cloop;

static Cloop *cloop_of(BlockNode *n) { return n->opaque; }

/* host: where the compressed block stands; cookie: its length. */
static int cloop_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Cloop *c = cloop_of(n);
    uint64_t in = offset % c->block, from, to;
    int r = meta_load(&c->meta, CL_TABLE + offset / c->block * 8, 8, true, &from);
    r = r ? r : meta_load(&c->meta, CL_TABLE + offset / c->block * 8 + 8, 8, true, &to);
    if (r || to < from || to - from > 2 * c->block + 1024 || to > block_size(n->file))
        return r ? r : -EIO;
    *m = (SparseMap){ .kind = SPARSE_PACKED,
                      .file = n->file,
                      .host = from,
                      .cookie = to - from,
                      .len = c->block - in,
                      .block = offset - in,
                      .unit = c->block,
                      .limit = block_size(n) };
    return 0;
}

static int cloop_inflate(BlockNode *n, const SparseMap *m, size_t skip, const struct iovec *iov, int iovcnt, size_t at,
                         size_t len)
{
    Cloop *c = cloop_of(n);
    uint64_t number = m->block / c->block + 1;
    int r = 0;
    pthread_mutex_lock(&c->inflate_lock);
    if (c->current != number) {
        g_autofree uint8_t *in = g_try_malloc(MAX(m->cookie, 1u));
        uLongf out = (uLongf)c->block;
        c->current = 0;
        r = in ? block_pread(n->file, m->host, in, m->cookie) : -ENOMEM;
        if (!r && (uncompress(c->inflated, &out, in, (uLong)m->cookie) != Z_OK || out != c->block))
            r = -EIO;
        c->current = r ? 0 : number;
    }
    if (!r)
        iov_from_buf(iov, iovcnt, at, c->inflated + skip, len);
    pthread_mutex_unlock(&c->inflate_lock);
    return r;
}

static int cloop_sync(BlockNode *n) { return 0; }
static const SparseOps cloop_ops = { .map = cloop_map, .sync = cloop_sync, .inflate = cloop_inflate };

static bool cloop_open(BlockNode *n, Opts *o, Error **errp)
{
    Cloop *c = cloop_of(n);
    uint8_t h[CL_TABLE] = { 0 };
    if (block_writable(n) && n->flags & BLOCK_AUTO_RDONLY)
        n->flags &= ~(unsigned)BLOCK_RDWR;
    if (block_writable(n)) {
        error_setf(errp, "image '%s': cloop images can only be read; use read-only=on", block_filename(n));
        return false;
    }
    if (block_size(n->file) < CL_TABLE || block_pread(n->file, 0, h, sizeof h))
        return sparse_bad(n, errp, "its header can't be read");
    c->block = load_be(h + CL_HEADER, 4);
    c->blocks = load_be(h + CL_HEADER + 4, 4);
    if (!c->block || c->block % 512 || c->block > CL_BLOCK_MAX)
        return sparse_bad(n, errp, "its block size is not between 512 bytes and 64 MiB");
    if ((c->blocks + 1) * 8 > CL_TABLE_MAX || CL_TABLE + (c->blocks + 1) * 8 > block_size(n->file))
        return sparse_bad(n, errp, "its table of offsets does not lie within the file");
    c->inflated = g_try_malloc(c->block);
    if (!c->inflated) {
        error_set_errno(errp, ENOMEM, "image '%s'", block_filename(n));
        return false;
    }
    n->size = c->blocks * c->block;
    pthread_mutex_init(&c->inflate_lock, NULL);
    meta_init(&c->meta, n->file);
    sparse_init(n, &cloop_ops);
    return true;
}

static void cloop_close(BlockNode *n)
{
    Cloop *c = cloop_of(n);
    meta_free(&c->meta);
    g_free(c->inflated);
    pthread_mutex_destroy(&c->inflate_lock);
    sparse_destroy(n);
}

static bool cloop_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->cluster_size = cloop_of(n)->block;
    return true;
}

static unsigned cloop_probe(const uint8_t *head, size_t len, const char *filename)
{
    static const char script[] = "#!/bin/sh\n#V2.0 Format\nmodprobe cloop";
    return len >= sizeof script && !memcmp(head, script, sizeof script - 1) ? 2 : 0;
}

static const BlockDriver cloop_driver = {
    .name = "cloop",
    .desc = "compressed loop image (read-only)",
    .instance_size = sizeof(Cloop),
    .probe = cloop_probe,
    .open = cloop_open,
    .close = cloop_close,
    .preadv = sparse_preadv,
    .status = sparse_status,
    .info = cloop_info,
};
BLOCK_DRIVER_REGISTER(cloop_driver)
