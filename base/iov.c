/* SPDX-License-Identifier: MIT */
/* Parts of I/O vectors, and whether memory is all zero. */
#include "base/iov.h"
#include <glib.h>
#include <stdint.h>
#include <string.h>

size_t iov_bytes(const struct iovec *iov, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

/* Calls fn for each piece of [skip, skip + len). */
#define FOR_PIECES(iov, n, skip, len, piece, have, body) \
    do { \
        size_t skip_ = (skip), left_ = (len); \
        for (int i_ = 0; i_ < (n) && left_; i_++) { \
            if (skip_ >= (iov)[i_].iov_len) { \
                skip_ -= (iov)[i_].iov_len; \
                continue; \
            } \
            uint8_t *piece = (uint8_t *)(iov)[i_].iov_base + skip_; \
            size_t have = MIN((iov)[i_].iov_len - skip_, left_); \
            body; \
            left_ -= have; \
            skip_ = 0; \
        } \
    } while (0)

int iov_part(struct iovec *dst, const struct iovec *iov, int n, size_t skip, size_t len)
{
    int count = 0;
    FOR_PIECES(iov, n, skip, len, piece, have, dst[count++] = ((struct iovec){ piece, have }));
    return count;
}

void iov_to_buf(const struct iovec *iov, int n, size_t skip, void *buf, size_t len)
{
    uint8_t *out = buf;
    FOR_PIECES(iov, n, skip, len, piece, have, (memcpy(out, piece, have), out += have));
}

void iov_from_buf(const struct iovec *iov, int n, size_t skip, const void *buf, size_t len)
{
    const uint8_t *in = buf;
    FOR_PIECES(iov, n, skip, len, piece, have, (memcpy(piece, in, have), in += have));
}

void iov_zero(const struct iovec *iov, int n, size_t skip, size_t len)
{
    FOR_PIECES(iov, n, skip, len, piece, have, memset(piece, 0, have));
}

bool buf_is_zero(const void *buf, size_t len)
{
    const uint8_t *p = buf;
    if (!len)
        return true;
    if (p[0] || p[len - 1] || p[len / 2])
        return false;
    return len < 2 || !memcmp(p, p + 1, len - 1);
}

bool iov_is_zero(const struct iovec *iov, int n)
{
    for (int i = 0; i < n; i++) {
        if (!buf_is_zero(iov[i].iov_base, iov[i].iov_len))
            return false;
    }
    return true;
}
