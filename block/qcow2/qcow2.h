/* SPDX-License-Identifier: MIT */
/*
 * Private to the qcow2 format: the image in memory, and what its files offer each other. Source: the qcow2
 * specification ("docs/interop/qcow2").
 */
#ifndef BLOCK_QCOW2_QCOW2_H
#define BLOCK_QCOW2_QCOW2_H

#include <inttypes.h>
#include "base/bits.h"
#include "base/clock.h"
#include "block/driver.h"
#include "crypto/luks.h"

/*
 * Locking: everything in Qcow2 belongs to q->lock, which is held during metadata I/O, never during I/O of guest data.
 * Functions marked (locked) want it held.
 *
 * What a crash may leave (any subset of the writes since the last flush of the host file): leaked clusters, never two
 * users of one. So metadata goes to the file in this order, with a flush of the host file wherever the next step
 * depends on the one before:
 *   1. refcount blocks  2. refcount table  3. guest data and L2 tables that nothing points to yet  4. L2 entries  5. L1
 * entries and a cluster that is no longer used is given back (q->pending) only when the entry that pointed to it is
 * known to be overwritten on disk, and no request that may have looked it up is still running.
 */
#define QCOW2_MAGIC 0x514649fbu
enum { /* incompatible, compatible, autoclear feature bits */
       INCOMPAT_DIRTY = 1,
       INCOMPAT_CORRUPT = 2,
       INCOMPAT_DATA_FILE = 4,
       INCOMPAT_COMPRESSION = 8,
       INCOMPAT_EXTENDED_L2 = 16,
       INCOMPAT_KNOWN = 31,
       COMPAT_LAZY_REFCOUNTS = 1,
       AUTOCLEAR_BITMAPS = 1,
       AUTOCLEAR_RAW_EXTERNAL = 2,
};
enum {
    EXT_END = 0,
    EXT_BACKING_FORMAT = (int)0xe2792acau,
    EXT_FEATURES = 0x6803f857,
    EXT_BITMAPS = 0x23852875,
    EXT_LUKS = 0x0537be77,
    EXT_DATA_FILE = 0x44415441
};
#define OFLAG_COPIED BIT(63)
#define OFLAG_COMPRESSED BIT(62)
#define OFLAG_ZERO BIT(0)
#define OFFSET_MASK UINT64_C(0x00fffffffffffe00)
enum {
    QCOW2_MAX_L1 = 32 << 20,
    QCOW2_MAX_REFTABLE = 8 << 20,
    QCOW2_MAX_SNAPSHOTS = 65536,
    QCOW2_MAX_SNAPSHOT_TABLE = 64 << 20,
    QCOW2_MAX_SNAPSHOT_EXTRA = 1024,
    QCOW2_SUBCLUSTERS = 32,
    QCOW2_MAX_BITMAP_DIRECTORY = 64 << 20
};

/* --- cache.c: whole clusters of metadata in memory --- */
typedef struct Q2Table {
    uint64_t offset;      /* 0: unused */
    uint64_t used;        /* when, for choosing the victim */
    unsigned pins;
    bool dirty;
    uint8_t *data;
} Q2Table;
typedef struct Q2Cache {
    Q2Table *table;
    GHashTable *by_offset;
    unsigned count, dirty;
    uint64_t clock, cleaned; /* cleaned: what was used up to then goes the next time */
} Q2Cache;

typedef struct Q2Snapshot {
    uint64_t l1_offset, vm_state_size, disk_size, vm_clock_ns, icount;
    uint32_t l1_size, date_sec, date_nsec;
    uint32_t vm_state_size32, extra_len;
    char *id, *name;
    uint8_t *extra;       /* extra data beyond the fields that we know */
    uint32_t unknown_len;
} Q2Snapshot;

typedef struct Q2Extension { uint32_t magic, len; uint8_t *data; } Q2Extension;

/* A request in flight: what it covers of the guest's disk. */
typedef enum Q2Use { Q2_READS, Q2_WRITES, Q2_ALLOCATES } Q2Use;
typedef struct Q2Request {
    uint64_t start, end, stamp;
    Q2Use use;
    struct Q2Request *next, *prev;
} Q2Request;

typedef enum Q2Why { Q2_BY_REQUEST, Q2_BY_SNAPSHOT, Q2_BY_OTHER, Q2_WHYS } Q2Why; /* what frees clusters */
typedef struct Q2Free { uint64_t offset, clusters, stamp; Q2Why why; bool durable; } Q2Free;

typedef struct Qcow2 {
    pthread_mutex_t lock;
    pthread_cond_t changed;     /* a request has ended; with requests_lock */
    /* header */
    unsigned version, cluster_bits, refcount_order, header_length;
    uint64_t cluster_size, incompatible, compatible, autoclear;
    uint64_t l1_offset, reftable_offset, snapshots_offset;
    uint32_t reftable_clusters, crypt_method;
    uint8_t compression; /* 0 zlib, 1 zstd */
    char *data_file_name;
    GArray *extensions;  /* of Q2Extension: kept as they are */
    /* derived */
    unsigned l2_entry_size, l2_bits, subclusters, subcluster_bits;
    unsigned refblock_bits; /* log2 of the entries of a refcount block */
    bool pass_discard[Q2_WHYS]; /* the host's file gives up the place of freed clusters */
    Q2Why why;           /* of what is being freed now */
    GArray *counted_down; /* of Q2Free, while a snapshot goes: what one user less has; NULL: nobody asks */
    bool raw_external;
    BlockNode *data;     /* where guest clusters stand: n->file or the external data file */
    BlockNode *data_node; /* the external one, owned */
    /* tables */
    uint64_t *l1;        /* host byte order */
    uint32_t l1_size;
    bool l1_dirty;
    uint32_t l1_first, l1_last; /* dirty entries */
    uint64_t *reftable;
    uint64_t reftable_size; /* entries */
    bool reftable_dirty;
    uint64_t reftable_first, reftable_last;
    Q2Cache l2, refblocks;
    Timer *clean;        /* cache-clean-interval; NULL: 0 */
    int64_t clean_ns;
    GArray *snapshots;   /* of Q2Snapshot */
    /* allocation */
    uint64_t free_hint;  /* cluster number: none below is free */
    GArray *pending;     /* of Q2Free */
    uint64_t stamp;
    /* of the list alone, taken after `lock`, never held during I/O: a request ends without waiting for a flush */
    pthread_mutex_t requests_lock;
    Q2Request *requests; /* added under both locks */
    bool lazy, dirty_written;
    unsigned overlap;    /* Q2_IS_...: what writes must not hit */
    GHashTable *layout;  /* cluster → Q2_IS_...; NULL: not made yet */
    bool layout_stale;   /* something is missing there */
    bool broken;         /* metadata could not be written, or is corrupt: no more writes */
    uint64_t packed_offset; /* where the next compressed cluster may start, 0: in a new cluster */
    bool bitmaps_loaded; /* and marked as in use in the file: they are to be stored */
    Luks *luks;          /* encryption by LUKS: its header */
    CryptoSectors *sectors; /* NULL although crypt_method isn't 0: opened without a key, no data can be read */
    /* the last decompressed cluster */
    pthread_mutex_t inflate_lock;
    uint64_t inflated_entry;
    uint8_t *inflated;
} Qcow2;

static inline Qcow2 *q2_of(BlockNode *n) { return n->opaque; }
static inline uint64_t q2_clusters(const Qcow2 *q, uint64_t bytes)
{
    return (bytes + q->cluster_size - 1) >> q->cluster_bits;
}
static inline uint64_t q2_l2_entries(const Qcow2 *q) { return BIT(q->l2_bits); }
static inline uint64_t q2_l1_needed(const Qcow2 *q, uint64_t size)
{
    unsigned shift = q->cluster_bits + q->l2_bits;
    return (size >> shift) + !!(size & (BIT(shift) - 1));
}
/* Mark the image corrupt on disk (v3), refuse further writes; one line. (locked) Returns -EIO. */
int q2_corrupt(BlockNode *n, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* header.c */
bool q2_write_header(BlockNode *n, Error **errp);             /* with extensions and backing name */
int q2_write_field(BlockNode *n, uint64_t offset, uint64_t value, unsigned size);
int q2_set_features(BlockNode *n);                             /* the three feature words; version 3 */
int q2_mark_dirty(BlockNode *n);                               /* (locked) durable before anything that relies on it */
int q2_mark_clean(BlockNode *n);                               /* (locked) */

/* cache.c (locked) */
void q2_cache_init(Qcow2 *q, Q2Cache *c, unsigned tables);
void q2_cache_free(Q2Cache *c);
/* The table at offset, pinned; read from the file unless fresh. NULL and *error on failure. */
Q2Table *q2_cache_get(BlockNode *n, Q2Cache *c, uint64_t offset, bool fresh, int *error);
bool q2_cache_has(Q2Cache *c, uint64_t offset);
static inline void q2_cache_put(Q2Table *t) { t->pins--; }
void q2_cache_dirty(Q2Cache *c, Q2Table *t);
void q2_cache_forget(Q2Cache *c, uint64_t offset);             /* the cluster is no longer such a table */
/*
 * Every so many seconds the memory of tables that nobody asked for meanwhile is given back; 0: never. Main thread,
 * once; q2_clean_end() before close.
 */
void q2_clean_every(BlockNode *n, uint64_t seconds);
void q2_clean_end(Qcow2 *q);
/* all metadata, in order; what was written may not be durable yet */
int q2_writeback(BlockNode *n);
int q2_sync(BlockNode *n);                                     /* the same, durable; gives pending clusters back */
int q2_sync_shared(BlockNode *n);                              /* the same, without the lock while the host flushes */
int q2_flush_file(BlockNode *n);

/* refcount.c (locked) */
int q2_refcount(BlockNode *n, uint64_t cluster, uint64_t *count);
int q2_change_refcount(BlockNode *n, uint64_t first, uint64_t clusters, bool up);
int q2_set_refcount(BlockNode *n, uint64_t cluster, uint64_t count); /* whatever it was: for repairs */
/* Take `clusters` adjacent free ones: host offset or negative errno. */
int64_t q2_alloc(BlockNode *n, uint64_t clusters);
int64_t q2_alloc_bytes(BlockNode *n, uint64_t bytes);          /* for compressed data */
void q2_free_later(BlockNode *n, uint64_t offset, uint64_t clusters);
void q2_free_entry(BlockNode *n, uint64_t entry);              /* what an L2 entry points to */
int q2_unmap_free(BlockNode *n, const Q2Free *f);              /* of these clusters, those that are free: discarded */
int q2_give_back(BlockNode *n);                                /* pending ones, after a sync */
uint64_t q2_refcount_max(const Qcow2 *q);
uint64_t q2_get_count(const Qcow2 *q, const uint8_t *block, uint64_t index);
void q2_set_count(const Qcow2 *q, uint8_t *block, uint64_t index, uint64_t value);
int q2_read_reftable(BlockNode *n, Error **errp);

/* map.c (locked) */
typedef enum Q2Kind { Q2_UNALLOCATED, Q2_ZERO, Q2_ZERO_ALLOCATED, Q2_DATA, Q2_COMPRESSED, Q2_INVALID } Q2Kind;
typedef struct Q2Map {
    Q2Kind kind;
    bool copied;         /* the cluster is ours alone */
    uint64_t host;       /* of the first byte asked for; ZERO_ALLOCATED, DATA */
    uint64_t entry;      /* of the first cluster */
    uint64_t len;        /* bytes that are alike and adjacent */
} Q2Map;
int q2_map(BlockNode *n, uint64_t offset, uint64_t len, Q2Map *out);
/* By another L1 table (a snapshot's), host byte order. */
int q2_map_in(BlockNode *n, const uint64_t *l1, uint32_t l1_size, uint64_t offset, uint64_t len, Q2Map *out);
/*
 * The L2 table of a guest offset, pinned. for_write: made or copied if need be, and *index is the entry's. NULL with
 * *error 0: none there.
 */
Q2Table *q2_l2(BlockNode *n, uint64_t offset, bool for_write, unsigned *index, int *error);
uint64_t q2_entry(const Qcow2 *q, const Q2Table *t, unsigned index);
uint64_t q2_bitmap(const Qcow2 *q, const Q2Table *t, unsigned index);
void q2_set_entry(Qcow2 *q, Q2Table *t, unsigned index, uint64_t entry, uint64_t bitmap);
Q2Kind q2_kind(const Qcow2 *q, uint64_t entry, uint64_t bitmap, unsigned subcluster);
bool q2_l2_cached(Qcow2 *q, uint64_t offset);                  /* is its L2 table in memory, or known not to exist? */
int q2_grow_l1(BlockNode *n, uint64_t entries, bool exact);
void q2_l1_dirty(Qcow2 *q, uint32_t index);
void q2_compressed_range(const Qcow2 *q, uint64_t entry, uint64_t *offset, uint64_t *len);
int q2_zero_range(BlockNode *n, uint64_t offset, uint64_t len, bool unmap);      /* whole clusters or subclusters */
/* full: unallocated even with a backing file */
int q2_discard_range(BlockNode *n, uint64_t offset, uint64_t len, bool full);

/* io.c */
/* (locked) waits for overlapping ones, without the lock */
void q2_request_begin(Qcow2 *q, Q2Request *r, uint64_t start, uint64_t len, Q2Use use);
bool q2_request_conflicts(Qcow2 *q, const Q2Request *r);                                 /* (locked) would it wait? */
void q2_request_end(Qcow2 *q, Q2Request *r);                                             /* locked or not */
int q2_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
int q2_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags);
int q2_preadv_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
int q2_pwritev_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
int q2_aio(BlockNode *n, BlockAio *a, BlockAioStep *step);
void q2_aio_ended(BlockNode *n, BlockAioStep *step);
int q2_preadv_in(BlockNode *n, const uint64_t *l1, uint32_t l1_size, uint64_t offset, uint64_t len,
                 const struct iovec *iov, int iovcnt);
/* inside another request */
int q2_read_range(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
/* own clusters, all to be written before anybody reads them */
int q2_reserve(BlockNode *n, uint64_t offset, uint64_t len);

/* vmstate.c */
/* guest offset of the machine's state: behind the disk */
uint64_t q2_vmstate_start(const Qcow2 *q, uint64_t disk_size);
int q2_vmstate_pwritev(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);
int q2_vmstate_reserve(BlockNode *n, uint64_t offset, uint64_t len);
int q2_vmstate_discard(BlockNode *n);

/* options.c */
bool q2_apply_options(BlockNode *n, Opts *o, Error **errp); /* makes the caches */

/* overlap.c */
enum {
    Q2_IS_HEADER = 1,
    Q2_IS_L1 = 2,
    Q2_IS_L2 = 4,
    Q2_IS_REFTABLE = 8,
    Q2_IS_REFBLOCK = 16,
    Q2_IS_SNAPSHOTS = 32,
    Q2_IS_OLD_L1 = 64 /* of snapshots */,
    Q2_IS_OLD_L2 = 128,
    Q2_IS_BITMAPS = 256
};
bool q2_overlap_options(BlockNode *n, Opts *o, Error **errp);
void q2_overlap_free(Qcow2 *q);
/* (locked) new metadata */
void q2_overlap_add(Qcow2 *q, uint64_t offset, uint64_t bytes, unsigned what);
/*
 * (locked) May the file's bytes be written, `own`: by whom they are? -EIO: there are tables; the image is marked
 * corrupt.
 */
int q2_overlap_check(BlockNode *n, uint64_t offset, uint64_t bytes, unsigned own);
/* (locked) false: ask q2_overlap_check() */
bool q2_overlap_clear(const Qcow2 *q, uint64_t offset, uint64_t bytes);

/* compress.c */
bool q2_compression_known(unsigned type);
int q2_inflate(BlockNode *n, uint64_t entry, unsigned skip, const struct iovec *iov, int iovcnt, size_t at, size_t len);
/* Bytes of out used; -ENOSPC: not smaller than a cluster. */
ssize_t q2_deflate(const Qcow2 *q, const uint8_t *in, uint8_t *out, size_t out_size);

/* crypt.c: guest data, encrypted or not; guest: its offset on the disk */
int q2_data_preadv(BlockNode *n, uint64_t guest, uint64_t host, const struct iovec *iov, int iovcnt);
int q2_data_pwritev(BlockNode *n, uint64_t guest, uint64_t host, const struct iovec *iov, int iovcnt);
int q2_data_preadv_nowait(BlockNode *n, uint64_t guest, uint64_t host, const struct iovec *iov, int iovcnt);
typedef struct Q2CryptParams { unsigned method; const char *key_secret; LuksParams luks; } Q2CryptParams;
bool q2_crypt_params(Opts *o, Q2CryptParams *p, Error **errp);
uint64_t q2_crypt_header_size(const Q2CryptParams *p);
/* in memory and beside the header; the caller writes the header */
bool q2_crypt_create(BlockNode *n, const Q2CryptParams *p, Error **errp);
bool q2_crypt_open(BlockNode *n, Opts *o, Error **errp);
void q2_crypt_close(Qcow2 *q);
char *q2_crypt_info(const Qcow2 *q);                           /* JSON */
bool q2_crypt_amend(BlockNode *n, Opts *o, bool force, Error **errp);

/* bitmaps.c */
bool q2_load_bitmaps(BlockNode *n, Error **errp);
bool q2_store_bitmaps(BlockNode *n, Error **errp);             /* (locked) */
bool q2_bitmap_can_store(BlockNode *n, const char *name, uint64_t granularity, Error **errp);
char *q2_bitmaps_info(BlockNode *n);

/* snapshot.c */
bool q2_read_snapshots(BlockNode *n, Error **errp);
void q2_free_snapshots(Qcow2 *q);
bool q2_snapshot_list(BlockNode *n, GArray *out, Error **errp);
bool q2_snapshot_create(BlockNode *n, const BlockSnapshot *info, Error **errp);
bool q2_snapshot_apply(BlockNode *n, const char *id_or_name, Error **errp);
bool q2_snapshot_load(BlockNode *n, const char *id_or_name, Error **errp);
bool q2_snapshot_delete(BlockNode *n, const char *id_or_name, Error **errp);
int q2_snapshot_vmstate_preadv(BlockNode *n, const char *id_or_name, uint64_t offset, const struct iovec *iov,
                               int iovcnt);
uint64_t q2_snapshot_table_bytes(const Qcow2 *q);
int q2_write_snapshots(BlockNode *n);                          /* (locked) the table, at a new place */

/* check.c */
bool q2_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp);
/* (locked) counts of 1 << order bits; version 3 */
bool q2_change_refcount_width(BlockNode *n, unsigned order, Error **errp);

/* create.c */
extern const BlockCreateOption q2_create_options[], q2_amend_options[];
bool q2_create(const char *filename, uint64_t size, Opts *o, Error **errp);
bool q2_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp);
bool q2_amend(BlockNode *n, Opts *o, bool force, Error **errp);
bool q2_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp);
bool q2_preallocate(BlockNode *n, uint64_t from, uint64_t to, BlockPrealloc prealloc, Error **errp);
#endif
