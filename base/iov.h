/* SPDX-License-Identifier: MIT */
/* Parts of I/O vectors, and whether memory is all zero. */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* `n` entries each. What lies beyond the vector's end is left out: of the copies, too. */
size_t iov_bytes(const struct iovec *iov, int n);
/* [skip, skip + len) as a vector of its own: at most `n` entries of dst; returns how many. */
int iov_part(struct iovec *dst, const struct iovec *iov, int n, size_t skip, size_t len);
void iov_to_buf(const struct iovec *iov, int n, size_t skip, void *buf, size_t len);
void iov_from_buf(const struct iovec *iov, int n, size_t skip, const void *buf, size_t len);
void iov_zero(const struct iovec *iov, int n, size_t skip, size_t len);
bool iov_is_zero(const struct iovec *iov, int n);
bool buf_is_zero(const void *buf, size_t len);
#endif
