/* SPDX-License-Identifier: MIT */
/*
 * Private to save.c and load.c: what a saved machine looks like (docs/state.md), and work that several threads share.
 */
#ifndef HW_CORE_SAVE_FORMAT_H
#define HW_CORE_SAVE_FORMAT_H

#include <glib.h>
#include "base/bits.h"
#include "base/iov.h"
#include "hw/core/ram.h"
#include "hw/core/save.h"

#define SAVE_MAGIC "RHEASAVE"
enum {
    SAVE_VERSION = 2,
    SAVE_PAGE = 4096,
    SAVE_UNIT = 4 * SAVE_PAGE,
    SAVE_HEADER = 4096,
    SAVE_CHUNK = 4 << 20,
    SAVE_ENTRY = 32,
    SAVE_IOV = SAVE_CHUNK / SAVE_PAGE
};
#define SAVE_STREAM_MAX (256 * MiB)
enum { SAVE_ALL_PAGES = 15, SAVE_ZSTD = 1 << 8 };

/*
 * Header: offsets of its fields. All little-endian; the sum, at the end, covers what is before it. Pages follow the
 * header.
 */
enum {
    H_MAGIC = 0,
    H_VERSION = 8,
    H_BLOCKS = 12,
    H_SIZE = 16,
    H_STREAM = 24,
    H_STREAM_LEN = 32,
    H_STREAM_SUM = 40,
    H_INDEX = 48,
    H_UNITS = 56,
    H_INDEX_SUM = 64,
    H_SUM = SAVE_HEADER - 8
};

typedef struct SaveBlocks { RamBlock *block; unsigned count; uint64_t units; } SaveBlocks;
void save_blocks_init(SaveBlocks *b);

/* A fast check sum of a multiple of 8 bytes: every change of one word changes it. */
uint64_t save_sum(uint64_t start, const void *data, size_t len);

/* Plain pages that stand side by side in what is saved, straight from or to RAM; of one chunk at most. */
typedef struct SaveBatch { struct iovec iov[SAVE_IOV]; int count; uint64_t at, len; } SaveBatch;
SaveBatch *save_batch_new(void); /* empty; g_free() */
/* Does what is saved at `at` come right behind it? If not, its owner reads or writes it and empties it first. */
static inline bool save_batch_goes_on(const SaveBatch *b, uint64_t at) { return !b->count || b->at + b->len == at; }
void save_batch_add(SaveBatch *b, uint64_t at, uint32_t mask, uint8_t *unit); /* the pages of mask */
static inline void save_batch_clear(SaveBatch *b) { b->count = 0, b->len = 0; }

/* Call fn(opaque, i) for each i below n from several threads, in order of i within each; returns the first error. */
int save_parallel(unsigned n, int (*fn)(void *opaque, unsigned i), void *opaque);
#endif
