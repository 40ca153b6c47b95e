/* SPDX-License-Identifier: MIT */
/* Raw deflate (RFC 1951) with a window of 4 KiB. */
#ifndef BLOCK_DEFLATE_H
#define BLOCK_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of out; what stands behind the data in `in` does not matter. */
bool raw_inflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);
/* Bytes of out used; -ENOSPC: it does not fit. */
ssize_t raw_deflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);
#endif
