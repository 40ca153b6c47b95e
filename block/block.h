/* SPDX-License-Identifier: MIT */
/* Disk images: a graph of nodes (protocol, format, filter) with blocking I/O that any thread may call. */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/error.h"
#include "base/opts.h"

/*
 * A node is one layer of an image: "file" (a host file), a format on top of it (qcow2), or a filter. I/O functions
 * block, may be called from any thread at the same time, take byte offsets and lengths of any alignment, and return 0
 * or a negative errno. Requests that overlap have no order among themselves. A completed write is durable once a later
 * block_flush() has returned 0. Everything that changes the graph or the meta-information (open, snapshots, resize,
 * check, backing changes) is for one thread at a time with the node quiescent: block_drain_begin() sees to that when
 * I/O may be going on.
 */
typedef struct BlockNode BlockNode;
typedef struct BlockDriver BlockDriver; /* block-driver.h */
typedef enum BlkOp {
    BLK_READ,
    BLK_WRITE,
    BLK_FLUSH,
    BLK_DISCARD,
    BLK_WRITE_ZEROES,
    BLK_SCSI,
    BLK_STATUS,
    BLK_OPS
} BlkOp;

enum { /* block_open flags */
    BLOCK_RDWR = 1 << 0,
    BLOCK_NO_BACKING = 1 << 1,  /* do not open the backing chain */
    BLOCK_CHECK = 1 << 2,       /* open as far as possible to be checked or repaired; nothing is mended by opening */
    BLOCK_DIRECT = 1 << 3,      /* O_DIRECT (cache=none, directsync) */
    BLOCK_NO_FLUSH = 1 << 4,    /* flushes do nothing (cache=unsafe) */
    BLOCK_WRITETHROUGH = 1 << 5,/* every write is durable when it completes */
    BLOCK_FORCE_SHARE = 1 << 6, /* no image locks (-U); read-only */
    BLOCK_UNMAP = 1 << 7,       /* discards reach the host */
    BLOCK_NO_IO = 1 << 8,       /* meta-information only (info, measure) */
    BLOCK_ZERO_DETECT = 1 << 9, BLOCK_ZERO_UNMAP = 1 << 10, /* detect-zeroes=on, =unmap */
    BLOCK_AUTO_RDONLY = 1 << 11,/* read-only when the host does not let us write */
    BLOCK_TEMPORARY = 1 << 12,  /* delete the file when the node goes (snapshot=on) */
};

/*
 * Open an image. filename: a path, "PROTOCOL:..." or "json:{...}"; may be NULL when options name the file. options (may
 * be NULL): as in -blockdev with dotted keys ("driver", "file.driver", "file.filename", "backing.…", "read-only",
 * "cache.direct" …); keys that nobody knows are an error. Without "driver" the format is probed. Sets one line in
 * *errp: cause, file, remedy.
 */
BlockNode *block_open(const char *filename, Opts *options, unsigned flags, Error **errp);
/* Flags of -drive cache= / qemu-img -t: writeback, writethrough, none, directsync, unsafe; NULL: none of them. */
bool block_cache_mode(const char *mode, unsigned *flags, Error **errp);
/* A filter ("copy-on-read") on top of an open node: takes the reference to it when it succeeds. */
BlockNode *block_open_filter(const char *driver, BlockNode *file, Error **errp);
/*
 * What an image shows where it has nothing of its own: it was opened with BLOCK_NO_BACKING, for this. Takes a
 * reference.
 */
void block_set_backing(BlockNode *n, BlockNode *backing);
BlockNode *block_ref(BlockNode *n);
void block_unref(BlockNode *n); /* the last one flushes and closes */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockNode, block_unref)

const char *block_driver_name(const BlockNode *n);
const char *block_filename(const BlockNode *n); /* for people; never NULL */
const char *block_node_name(const BlockNode *n); /* "" when it has none */
BlockNode *block_file(const BlockNode *n);      /* the layer below, or NULL */
BlockNode *block_backing(const BlockNode *n);   /* or NULL; a filter's is that of the image below it */
BlockNode *block_skip_filters(BlockNode *n);    /* the image itself: n, or what stands below the filters on top of it */
bool block_writable(const BlockNode *n);
bool block_new_is_zero(const BlockNode *n);     /* does an image that was just created read as zeroes? */
unsigned block_flags(const BlockNode *n);
/* Named nodes (-blockdev node-name=); main thread. */
BlockNode *block_node_find(const char *node_name);
unsigned block_node_count(void);
BlockNode *block_node_nth(unsigned i);
/*
 * -blockdev, blockdev-add: open a node that stays, by its node-name, until it is deleted or the program ends. del:
 * refused while it has users.
 */
BlockNode *block_blockdev_add(Opts *options, Error **errp);
bool block_blockdev_del(const char *node_name, Error **errp);
void block_blockdev_free_all(void); /* at exit, after blk_free_all() */

uint64_t block_size(const BlockNode *n);        /* bytes that a guest sees */

enum { BLOCK_REQ_MAY_UNMAP = 1, BLOCK_REQ_FUA = 2, BLOCK_REQ_NO_FALLBACK = 4, BLOCK_REQ_COMPRESSED = 8 };
int block_preadv(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);
int block_pwritev(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt, unsigned flags);
/* The same when it can be done without waiting for a disk or a lock; else -EAGAIN, and nothing has happened. */
int block_preadv_nowait(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);
int block_pwritev_nowait(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);
int block_pread(BlockNode *n, uint64_t offset, void *buf, size_t len);
int block_pwrite(BlockNode *n, uint64_t offset, const void *buf, size_t len);
int block_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags);
/* a hint: what it covers may read as zeroes, or as before */
int block_pdiscard(BlockNode *n, uint64_t offset, uint64_t len);
/*
 * A SCSI command for the unit that stands behind a node: a host's device by SG_IO, an iSCSI unit. -ENOTSUP: there is
 * none; another error: the command did not get there or back. 0: status says how it went, with sense data when that is
 * CHECK CONDITION (2).
 */
typedef struct BlockScsi {
    uint8_t cdb[32], cdb_len;
    bool out;             /* data go to the unit */
    uint32_t timeout_ms;
    /* result */
    uint8_t status, sense_len, sense[96];
    uint64_t done;        /* bytes moved */
} BlockScsi;
int block_scsi(BlockNode *n, BlockScsi *s, const struct iovec *iov, int iovcnt);
bool block_has_scsi(BlockNode *n);
int block_flush(BlockNode *n);
/*
 * Hints, for much that is about to be written. Reserve: all of [offset, offset + len) will be, what stands there until
 * then is undefined (what a protocol gains by it: zeroes); -ENOSPC: there is no room, -ENOTSUP: the node can't, or need
 * not. Write out: the host may begin with what it has not written yet.
 */
int block_reserve(BlockNode *n, uint64_t offset, uint64_t len);
void block_write_out(BlockNode *n);

/* What stands at [offset, offset + pnum): all the same kind. */
enum {
    BLOCK_DATA = 1,
    BLOCK_ZERO = 2,
    BLOCK_ALLOCATED = 4 /* in this layer */,
    BLOCK_OFFSET_VALID = 8,
    BLOCK_COMPRESSED = 16,
    BLOCK_EOF = 32
};
typedef struct BlockStatus {
    unsigned flags;
    uint64_t pnum;       /* bytes, > 0 unless at the end */
    uint64_t map;        /* OFFSET_VALID: where in `file` */
    BlockNode *file;
    unsigned depth;      /* block_status_above(): 0 = n itself */
} BlockStatus;
int block_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out);
/* Through the backing chain down to, not including, `base` (NULL: to the end). */
int block_status_above(BlockNode *n, const BlockNode *base, uint64_t offset, uint64_t len, BlockStatus *out);

typedef enum BlockPrealloc { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL } BlockPrealloc;
bool block_parse_prealloc(const char *text, BlockPrealloc *out, Error **errp);
bool block_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, bool shrink, Error **errp);

/*
 * From read-only to writable or back, with the layers below, its backing files excepted; when false, nothing has
 * changed. Main thread.
 */
bool block_reopen(BlockNode *n, bool writable, Error **errp);
void block_drain_begin(BlockNode *n); /* returns when no request is in flight; new ones wait */
void block_drain_end(BlockNode *n);

/* What `info` tells. Strings are owned by the structure; block_info_clear() frees them. */
typedef struct BlockInfo {
    uint64_t virtual_size, actual_size, cluster_size;
    bool has_actual, dirty, corrupt, encrypted, compressed;
    char *backing_filename, *backing_full, *backing_format;
    GPtrArray *details;  /* of char *, key and value in turn: what the format adds, in QMP's names; values that
                            begin with { or [ are JSON; the only key "": the value is all of it */
} BlockInfo;
bool block_info(BlockNode *n, BlockInfo *out, Error **errp);
void block_info_clear(BlockInfo *i);
/* For people: what `rhea-img info` prints, and a list of snapshots (of BlockSnapshot); "1.5 GiB" to be freed. */
bool block_describe(BlockNode *n, GString *out, Error **errp);
void block_describe_snapshots(const GArray *snapshots, GString *out);
char *block_size_text(uint64_t bytes);
void block_json_string(GString *out, const char *text); /* in quotes */
char *block_details_json(const BlockInfo *i); /* the details as a JSON object, to be freed; NULL: none */

/* Internal snapshots. */
typedef struct BlockSnapshot {
    char id[128], name[256];
    uint64_t vm_state_size, disk_size;
    uint32_t date_sec, date_nsec;
    uint64_t vm_clock_ns, icount;
} BlockSnapshot;
bool block_has_snapshots(const BlockNode *n);
bool block_snapshot_list(BlockNode *n, GArray **out /* of BlockSnapshot */, Error **errp);
bool block_snapshot_create(BlockNode *n, const BlockSnapshot *info, Error **errp); /* empty id: the next free number */
bool block_snapshot_apply(BlockNode *n, const char *id_or_name, Error **errp);
bool block_snapshot_delete(BlockNode *n, const char *id_or_name, Error **errp);
/* From now on n shows what the snapshot holds; for a node that is open read-only. */
bool block_snapshot_load(BlockNode *n, const char *id_or_name, Error **errp);
/*
 * The machine's saved state beside the disk's contents (savevm): written before the snapshot is made, read from the
 * snapshot, discarded from what is active after making or applying one. Any thread; 0 or a negative errno. Reserve:
 * block_reserve().
 */
int block_vmstate_reserve(BlockNode *n, uint64_t offset, uint64_t len);
int block_vmstate_writev(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);
int block_vmstate_discard(BlockNode *n);
int block_snapshot_vmstate_readv(BlockNode *n, const char *id_or_name, uint64_t offset, const struct iovec *iov,
                                 int iovcnt);

/* Consistency. */
typedef struct BlockCheck {
    uint64_t corruptions, leaks, check_errors, corruptions_fixed, leaks_fixed;
    uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters, image_end;
    void (*say)(void *opaque, const char *line); /* one line for each finding; may be NULL */
    void *opaque;
} BlockCheck;
enum { BLOCK_FIX_LEAKS = 1, BLOCK_FIX_ERRORS = 2 };
bool block_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp);

/*
 * Dirty bitmaps: which parts of the disk were written to (zeroed, discarded) while the bitmap was enabled; requests set
 * the bits as they end. Bits may be read and changed by any thread; making, finding and removing is for the main
 * thread. Persistent ones are loaded and stored by the format (qcow2).
 */
typedef struct BlockBitmap BlockBitmap;
typedef struct BlockBitmapInfo {
    const char *name;                    /* the bitmap's own */
    uint64_t granularity, size, dirty;   /* bytes */
    bool enabled, persistent, busy;
    bool inconsistent;                   /* was not stored when the image was last written to: can only be removed */
} BlockBitmapInfo;
enum { BITMAP_PERSISTENT = 1, BITMAP_DISABLED = 2, BITMAP_INCONSISTENT = 4 /* for formats */ };
bool block_has_bitmaps(const BlockNode *n); /* can it have persistent ones? */
BlockBitmap *block_bitmap_find(const BlockNode *n, const char *name, Error **errp);
BlockBitmap *block_bitmap_nth(const BlockNode *n, unsigned i); /* NULL: no more */
void block_bitmap_info(const BlockBitmap *b, BlockBitmapInfo *out);
BlockBitmap *block_bitmap_add(BlockNode *n, const char *name, uint64_t granularity /* 0: the usual */, unsigned flags,
                              Error **errp);
bool block_bitmap_remove(BlockNode *n, const char *name, Error **errp);
bool block_bitmap_clear(BlockBitmap *b, Error **errp);
bool block_bitmap_enable(BlockBitmap *b, bool on, Error **errp);
bool block_bitmap_merge(BlockBitmap *dst, const BlockBitmap *src, Error **errp);
/* A reader (job, export) keeps it from being removed or changed by users. */
bool block_bitmap_hold(BlockBitmap *b, Error **errp);
void block_bitmap_release(BlockBitmap *b);
/* Is it dirty at offset, and how far (at most len) is that so? */
bool block_bitmap_status(const BlockBitmap *b, uint64_t offset, uint64_t len, uint64_t *pnum);
/* The next dirty range at or behind *offset; false: none. */
bool block_bitmap_next(const BlockBitmap *b, uint64_t *offset, uint64_t *len);
void block_bitmap_set(BlockBitmap *b, uint64_t offset, uint64_t len);   /* every granule that is touched */
void block_bitmap_reset(BlockBitmap *b, uint64_t offset, uint64_t len); /* every granule that lies in it wholly */

/* Backing files. */
/* in the image; NULL: none */
bool block_change_backing(BlockNode *n, const char *file, const char *format, Error **errp);
bool block_make_empty(BlockNode *n, Error **errp);  /* all clusters come from the backing file again */
char *block_full_backing_name(const char *image, const char *backing, Error **errp); /* relative to the image */

/* Creation. */
typedef struct BlockCreateOption {
    const char *name;
    const char *type /* "size", "bool", "string", "number" */;
    const char *help, *dflt;
} BlockCreateOption;
const BlockCreateOption *block_create_options(const char *format, Error **errp);
const BlockCreateOption *block_amend_options(const char *format, Error **errp); /* of block_amend() */
bool block_create(const char *filename, const char *format, uint64_t size, Opts *options, Error **errp);
bool block_amend(BlockNode *n, Opts *options, bool force, Error **errp);
/*
 * Bytes that a new image of `format` would take: required (for the data in n, or `size` when n is NULL), and fully
 * allocated.
 */
bool block_measure(const char *format, Opts *options, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully,
                   Error **errp);
/* Formats and protocols: names, for help texts. */
const char *const *block_formats(void);
void block_print_formats(GString *out); /* with what each is */
bool block_print_options(const char *format, GString *out, Error **errp); /* the keys of -blockdev driver=format */
#endif
