/* SPDX-License-Identifier: MIT */
/* Private to block/qed. */
#ifndef BLOCK_QED_H
#define BLOCK_QED_H

#include "base/bits.h"
#include "block/sparse/sparse.h"

enum {
    QED_MAGIC = 0x00444551,
    QED_BACKING = 1,
    QED_NEED_CHECK = 2,
    QED_BACKING_RAW = 4,
    QED_KNOWN = 7,
    QED_NAME_MAX = 1023
};
enum { QED_HEADER = 64 };

typedef struct Qed {
    Sparse sparse;
    Meta meta;
    uint64_t cluster, table;      /* bytes of a cluster, of a table */
    uint64_t header, entries;     /* bytes of the header, entries of a table */
    uint64_t features, compatible, autoclear, l1, end; /* end: where the next cluster goes */
} Qed;

static inline Qed *qed_of(BlockNode *n) { return n->opaque; }
bool qed_valid_offset(const Qed *q, uint64_t offset, uint64_t len, uint64_t end);
bool qed_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp);
int qed_write_header(BlockNode *n);
#endif
