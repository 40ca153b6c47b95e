/* SPDX-License-Identifier: MIT */
/* Raw deflate, as the clusters of qcow and qcow2 have it. */
#include "block/deflate.h"
#include <errno.h>
#include <zlib.h>

bool raw_inflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    z_stream z = { .next_in = (uint8_t *)in, .avail_in = (uInt)in_len, .next_out = out, .avail_out = (uInt)out_len };
    if (inflateInit2(&z, -12) != Z_OK)
        return false;
    int r = inflate(&z, Z_FINISH);
    bool ok = (r == Z_STREAM_END || r == Z_BUF_ERROR) && !z.avail_out;
    inflateEnd(&z);
    return ok;
}

ssize_t raw_deflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    z_stream z = { 0 };
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    z.next_in = (uint8_t *)in;
    z.avail_in = (uInt)in_len;
    z.next_out = out;
    z.avail_out = (uInt)out_len;
    int r = deflate(&z, Z_FINISH);
    ssize_t used = (ssize_t)(out_len - z.avail_out);
    deflateEnd(&z);
    return r == Z_STREAM_END ? used : -ENOSPC;
}
