/* SPDX-License-Identifier: MIT */
/* What a disk controller uses of an image: asynchronous requests, statistics, error policy. */
#ifndef BLOCK_BACKEND_H
#define BLOCK_BACKEND_H

#include "base/uring.h"
#include "block/block.h"

typedef struct BlockBackend BlockBackend;
typedef enum BlkOnError { BLK_ERROR_REPORT, BLK_ERROR_IGNORE, BLK_ERROR_ENOSPC, BLK_ERROR_STOP } BlkOnError;

/*
 * A request. The caller owns it until done() is called: exactly once, without locks, from a worker thread or from
 * inside blk_submit(); error is 0 or a negative errno. iov must hold `bytes` for reads and writes.
 */
typedef struct BlkRequest BlkRequest;
typedef void BlkDoneFn(BlkRequest *r, int error);
struct BlkRequest {
    BlkOp op;
    unsigned flags;        /* BLOCK_REQ_FUA, BLOCK_REQ_MAY_UNMAP */
    uint64_t offset, bytes;
    const struct iovec *iov;
    int iovcnt;
    union {
        BlockScsi *scsi;     /* BLK_SCSI; bytes is 0 */
        BlockStatus *status; /* BLK_STATUS: what stands at [offset, offset + bytes), backing files included */
    };
    BlkDoneFn *done;
    void *opaque;
    /* private */
    BlockBackend *blk;
    BlockNode *node;
    BlkRequest *next;
    int64_t start_ns;
};

/*
 * A drive of the machine; it has a medium (a node) or none. name: -drive id=, or the node's; NULL: it has none, and
 * goes with the device that is detached from it. Takes the reference to node; node NULL: no medium, and every request
 * ends with -ENOMEDIUM. Main thread.
 */
BlockBackend *blk_new(const char *name, BlockNode *node);
void blk_free(BlockBackend *b);       /* drains */
void blk_free_all(void);
BlockBackend *blk_find(const char *name); /* also by node-name: made on demand, and goes with its device */
unsigned blk_count(void);
BlockBackend *blk_nth(unsigned i);
const char *blk_name(const BlockBackend *b); /* "": none */
BlockNode *blk_node(const BlockBackend *b); /* NULL: no medium; main thread, or a request of the caller is on its way */
/* Any thread. */
uint64_t blk_size(const BlockBackend *b);   /* 0 without a medium */
bool blk_writable(const BlockBackend *b);
bool blk_inserted(const BlockBackend *b);
/* Kept here for whoever applies it: hw/storage/drive.h. */
void blk_set_on_error(BlockBackend *b, BlkOnError rerror, BlkOnError werror);
void blk_get_on_error(const BlockBackend *b, BlkOnError *rerror, BlkOnError *werror);
void blk_set_serial(BlockBackend *b, const char *serial);
const char *blk_serial(const BlockBackend *b); /* NULL: none given */

/* One device may use it: false names the one that does. */
bool blk_attach(BlockBackend *b, const char *device, Error **errp);
void blk_detach(BlockBackend *b);     /* drains; forgets the device's functions; b may be gone after it */
const char *blk_user(const BlockBackend *b);

/*
 * What a device is told, in the main thread, without any lock domain held: it takes its own. Devices whose medium can't
 * be changed have no medium_changed: blk_insert() and blk_remove() refuse then. opaque: what blk_set_device_ops() was
 * given.
 */
typedef struct BlkDeviceOps {
    void (*medium_changed)(void *opaque, bool present); /* another medium, none, or the tray moved: unit attention */
    void (*eject_request)(void *opaque, bool force);    /* the user wants the medium back: tell the guest */
    bool (*tray_open)(void *opaque);
    bool (*medium_locked)(void *opaque);
    void (*resized)(void *opaque);                      /* blk_size() is another one */
} BlkDeviceOps;
void blk_set_device_ops(BlockBackend *b, const BlkDeviceOps *ops, void *opaque); /* after blk_attach() */
bool blk_removable(const BlockBackend *b);  /* its device takes other media */
bool blk_tray_open(const BlockBackend *b);
bool blk_locked(const BlockBackend *b);
/*
 * Another medium: takes the reference to node when it returns true. There must be none. Main thread, no lock domain
 * held.
 */
bool blk_insert(BlockBackend *b, BlockNode *node, Error **errp);
/* Waits for requests on their way; whether the medium may be taken (tray, lock) is the caller's question. */
bool blk_remove(BlockBackend *b, Error **errp);
/* blk_remove() by a user: a medium that the guest has locked is asked for first (an error says so), unless `force`. */
bool blk_eject(BlockBackend *b, bool force, Error **errp);
void blk_tray_changed(BlockBackend *b, bool open); /* by the device, any thread: the guest moved the tray */
/*
 * Limits of the drive's requests (block/throttle.h); takes the reference to the group, whose limits may be changed
 * later. A throttle filter on top of a medium gives its group to a drive that has none. Not while requests are
 * submitted.
 */
typedef struct ThrottleGroup ThrottleGroup;
void blk_set_throttle(BlockBackend *b, ThrottleGroup *g);
ThrottleGroup *blk_throttle(const BlockBackend *b); /* NULL: none */
/*
 * Where requests end that io_uring carries out (aio=io_uring): in the thread of this ring; NULL: in the process's own.
 * Nothing is on its way. Around several submissions of one thread: blk_plug(), blk_unplug().
 */
void blk_set_ring(BlockBackend *b, Uring *ring);
static inline void blk_plug(void) { uring_plug(); }
static inline void blk_unplug(void) { uring_unplug(); }
/* Resize the medium and tell the device. */
bool blk_resize(BlockBackend *b, uint64_t size, Error **errp);

/* Any thread. Ranges are checked: beyond the end is -EIO; -ENOMEDIUM without a medium. */
void blk_submit(BlockBackend *b, BlkRequest *r);
/* Blocking, for rare and small things (configuration, boot). */
int blk_pread(BlockBackend *b, uint64_t offset, void *buf, size_t len);
int blk_flush(BlockBackend *b);
int blk_scsi(BlockBackend *b, BlockScsi *s, void *buf, size_t len);
void blk_drain(BlockBackend *b);  /* returns when all submitted requests are done */

/*
 * For a change of the graph, main thread. blk_hold(): requests on their way end, new ones wait until blk_release().
 * blk_replace_node(), while held: another image with the same contents; takes the reference.
 */
void blk_hold(BlockBackend *b);
void blk_release(BlockBackend *b);
void blk_replace_node(BlockBackend *b, BlockNode *node);

/*
 * By BlkOp. latency[op][i]: requests that took less than 2^i microseconds and not less than 2^(i-1). idle_ns: since the
 * last one ended.
 */
enum { BLK_LATENCIES = 24 };
typedef struct BlkStats {
    uint64_t ops[BLK_OPS], bytes[BLK_OPS], failed[BLK_OPS], invalid[BLK_OPS], time_ns[BLK_OPS], inline_ops, ring_ops,
        idle_ns;
    uint64_t highest; /* the end of what was written farthest */
    uint64_t latency[BLK_OPS][BLK_LATENCIES];
} BlkStats;
BlkStats blk_stats(const BlockBackend *b);
/* A request that its device has refused: it never was one to the drive. */
void blk_account_invalid(BlockBackend *b, BlkOp op);
/*
 * Do failed and invalid requests count in time_ns and idle_ns, too? Both do, to begin with. Not while requests are
 * submitted.
 */
void blk_set_accounting(BlockBackend *b, bool failed, bool invalid);
void blk_get_accounting(const BlockBackend *b, bool *failed, bool *invalid);
/*
 * Reads, writes and flushes (by BlkOp) of the last so many seconds: how long they took, and how many were on their way
 * on average. Intervals are added before requests are submitted. False: there is no i-th one.
 */
enum { BLK_TIMED = BLK_FLUSH + 1 };
typedef struct BlkIntervalStats {
    uint64_t seconds, min_ns[BLK_TIMED], max_ns[BLK_TIMED], avg_ns[BLK_TIMED];
    double depth[BLK_TIMED];
} BlkIntervalStats;
bool blk_add_interval(BlockBackend *b, uint64_t seconds, Error **errp);
bool blk_interval_stats(const BlockBackend *b, unsigned i, BlkIntervalStats *out);
#endif
