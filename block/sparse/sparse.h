/* SPDX-License-Identifier: MIT */
/*
 * What formats share that map blocks of the disk to places in a file by tables: requests, allocation, cached tables and
 * their order.
 */
#ifndef BLOCK_SPARSE_H
#define BLOCK_SPARSE_H

#include "block/driver.h"
#include "crypto/crypto.h"

/*
 * Tables are changed in memory only; sparse_flush() (and closing) brings them to the file: data and new tables first,
 * then, behind a flush of the file, what points to them. So a power cut leaves blocks that nothing points to at worst.
 */

/* --- tables in memory, by sectors of 512 bytes --- */

typedef struct MetaPage MetaPage;
typedef struct Meta {
    BlockNode *file;
    GHashTable *pages;   /* page number → MetaPage */
    MetaPage *last;      /* found last */
    unsigned dirty[2];   /* pages with changes of each level */
} Meta;

enum { META_PAGE = 4096, META_PAGES_MAX = 4096, META_DIRTY_MAX = 1024 };
enum { META_LEAF, META_ROOT }; /* order of writing */
void meta_init(Meta *m, BlockNode *file);
void meta_free(Meta *m);
/*
 * An entry of 4 or 8 bytes, aligned to its size. 0 or a negative errno; beyond the end of the file: 0. The caller
 * locks.
 */
int meta_load(Meta *m, uint64_t offset, unsigned size, bool big_endian, uint64_t *out);
int meta_store(Meta *m, uint64_t offset, unsigned size, bool big_endian, uint64_t v, unsigned level);
/* A new table of zeroes; offset and len in sectors' multiples. */
int meta_zero(Meta *m, uint64_t offset, uint64_t len, unsigned level);
int meta_write_back(Meta *m, unsigned level);
bool meta_is_dirty(const Meta *m);
bool meta_is_full(const Meta *m); /* time to write back */
void meta_drop(Meta *m);          /* forget all that is clean */
/* For formats that log: every page with changes; then they count as written. */
typedef int MetaVisitor(void *opaque, uint64_t offset, const uint8_t *page);
int meta_each_dirty(Meta *m, MetaVisitor *fn, void *opaque);
void meta_clean(Meta *m);

/* --- blocks --- */

typedef enum SparseKind {
    SPARSE_ABSENT /* the backing file's, or zero */,
    SPARSE_ZERO,
    SPARSE_DATA,
    SPARSE_PACKED
} SparseKind;

typedef struct SparseMap {
    SparseKind kind;
    BlockNode *file;       /* DATA, PACKED */
    uint64_t host;         /* DATA: where the byte stands; PACKED: where the block's compressed form stands */
    uint64_t len;          /* bytes from there on that are of this kind and side by side */
    uint64_t block, unit;  /* the disk's bytes [block, block + unit) are mapped as a whole */
    uint64_t limit;        /* blocks of this unit go on up to here */
    uint64_t cookie;       /* the format's own */
} SparseMap;

typedef struct SparseOps {
    /*
     * All but inflate and pack are called with the lock held. map: len at most to the end of the disk; asked for more
     * than a block it may tell of one.
     */
    int (*map)(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *out);
    /* A place for the block that *m tells of (its host and file are set); *fresh: it reads as zeroes. */
    int (*alloc)(BlockNode *n, SparseMap *m, bool *fresh);
    /* the block's kind (DATA: host is the block's start; ZERO) into the table */
    int (*link)(BlockNode *n, const SparseMap *m);
    /* tables to the file, in order, durable; data that is written is durable then as well */
    int (*sync)(BlockNode *n);
    bool (*full)(BlockNode *n);                    /* time for sync */
    int (*first_write)(BlockNode *n);              /* before anything changes; > 0: again before the next change */
    bool can_zero;                                 /* link takes ZERO */
    bool apart;                                    /* there is something between blocks: alloc gives one at a time */
    bool pads;                                     /* the file reaches to the end of its last block */
    bool packs_all;                                /* every write is packed, not only those with BLOCK_REQ_COMPRESSED */
    /* DATA are encrypted by sectors of the disk; NULL (or returns NULL): they are not */
    CryptoSectors *(*key)(BlockNode *n);
    int (*inflate)(BlockNode *n, const SparseMap *m, size_t skip, const struct iovec *iov, int iovcnt, size_t at,
                   size_t len);
    /* not locked: compress, write, link; -ENOTSUP: write it plain */
    int (*pack)(BlockNode *n, const SparseMap *m, const uint8_t *block);
} SparseOps;

typedef struct SparseRequest SparseRequest;
typedef struct Sparse { /* first in the format's own structure */
    const SparseOps *ops;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    SparseRequest *requests;
    bool touched;   /* first_write was called */
} Sparse;

void sparse_init(BlockNode *n, const SparseOps *ops);
void sparse_destroy(BlockNode *n);
/* The driver's functions. */
int sparse_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
int sparse_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags);
int sparse_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags);
int sparse_pdiscard(BlockNode *n, uint64_t offset, uint64_t len);
int sparse_flush(BlockNode *n);
int sparse_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out);
bool sparse_inactivate(BlockNode *n, Error **errp);

/* Write back, in order: what stands in `m` (count of them) with a flush of their files before each step. */
int sparse_sync_tables(Meta *const *m, unsigned count);

/* --- for creation and errors --- */
bool sparse_bad(BlockNode *n, Error **errp, const char *what); /* "image 'x' is no valid FORMAT image: WHAT" */
void sparse_detail(BlockInfo *out, const char *key, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
void sparse_random(void *buf, size_t len); /* for UUIDs */
void sparse_uuid(uint8_t uuid[16]);        /* RFC 4122, version 4 */
#endif
