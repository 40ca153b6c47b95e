/* SPDX-License-Identifier: MIT */
/*
 * Dirty bitmaps of nodes: between the core, the formats that store them, and users (block/block.h has what users call).
 */
#ifndef BLOCK_BITMAP_H
#define BLOCK_BITMAP_H

#include "block/driver.h"

enum { BLOCK_BITMAP_NAME_MAX = 1023 };
#define BLOCK_BITMAP_BYTES_MAX (UINT64_C(1) << 30) /* of all bitmaps of a node together */

/* For the core. A request has changed the range. */
void block_bitmaps_written(BlockNode *n, uint64_t offset, uint64_t len);
static inline void block_bitmaps_dirty(BlockNode *n, uint64_t offset, uint64_t len)
{
    if (G_UNLIKELY(n->bitmaps))
        block_bitmaps_written(n, offset, len);
}
bool block_bitmaps_resize(BlockNode *n, uint64_t size, Error **errp); /* node quiescent */
void block_bitmaps_free(BlockNode *n);

/* For formats: bytes as in files, least significant bit first. */
void block_bitmap_load(BlockBitmap *b, uint64_t byte, const uint8_t *data, size_t len);
void block_bitmap_save(const BlockBitmap *b, uint64_t byte, uint8_t *data, size_t len);
uint64_t block_bitmap_bytes(const BlockBitmap *b);
#endif
