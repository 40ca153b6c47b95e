/* SPDX-License-Identifier: MIT */
/* qcow2: compressed clusters: raw deflate (window 4 KiB) or zstd. */
#include <string.h>
#include "rhea-config.h"
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif
#include "block/deflate.h"
#include "block/qcow2/qcow2.h"

bool q2_compression_known(unsigned type)
{
#ifdef HAVE_ZSTD
    return type <= 1;
#else
    return type == 0;
#endif
}

#ifdef HAVE_ZSTD
/* The stored length is rounded up to sectors: what stands behind the frame is not part of it. */
static bool inflate_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer i = { in, in_len, 0 };
    ZSTD_outBuffer o = { out, out_len, 0 };
    size_t r = 1;
    while (d && o.pos < out_len) {
        size_t before_in = i.pos, before_out = o.pos;
        r = ZSTD_decompressStream(d, &o, &i);
        if (ZSTD_isError(r) || (i.pos == before_in && o.pos == before_out))
            break;
    }
    ZSTD_freeDCtx(d);
    return o.pos == out_len && !ZSTD_isError(r);
}
static ssize_t deflate_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    size_t r = ZSTD_compress(out, out_len, in, in_len, ZSTD_CLEVEL_DEFAULT);
    return ZSTD_isError(r) ? -ENOSPC : (ssize_t)r;
}
#else
static bool inflate_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len) { return false; }
static ssize_t deflate_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len) { return -ENOTSUP; }
#endif

int q2_inflate(BlockNode *n, uint64_t entry, unsigned skip, const struct iovec *iov, int iovcnt, size_t at, size_t len)
{
    Qcow2 *q = q2_of(n);
    uint64_t offset, in_len;
    q2_compressed_range(q, entry, &offset, &in_len);
    pthread_mutex_lock(&q->inflate_lock);
    int r = 0;
    if (!q->inflated || q->inflated_entry != entry) {
        g_autofree uint8_t *in = g_malloc(in_len);
        if (!q->inflated)
            q->inflated = g_malloc(q->cluster_size);
        q->inflated_entry = 0;
        r = block_pread(n->file, offset, in, in_len);
        if (!r && !(q->compression ? inflate_zstd(in, in_len, q->inflated, q->cluster_size)
                                   : raw_inflate(in, in_len, q->inflated, q->cluster_size)))
            r = -EIO;
        if (!r)
            q->inflated_entry = entry;
    }
    if (!r)
        iov_from_buf(iov, iovcnt, at, q->inflated + skip, len);
    pthread_mutex_unlock(&q->inflate_lock);
    return r;
}

ssize_t q2_deflate(const Qcow2 *q, const uint8_t *in, uint8_t *out, size_t out_size)
{
    return q->compression ? deflate_zstd(in, q->cluster_size, out, out_size)
                          : raw_deflate(in, q->cluster_size, out, out_size);
}
