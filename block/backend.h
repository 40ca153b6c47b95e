/* SPDX-License-Identifier: MIT */
/* What a disk controller uses of an image: asynchronous requests, statistics, error policy. */
#ifndef BLOCK_BACKEND_H
#define BLOCK_BACKEND_H

#include "block/block.h"

typedef struct BlockBackend BlockBackend;
typedef enum BlkOp { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_WRITE_ZEROES } BlkOp;
typedef enum BlkOnError { BLK_ERROR_REPORT, BLK_ERROR_IGNORE, BLK_ERROR_ENOSPC, BLK_ERROR_STOP } BlkOnError;

/*
 * A request. The caller owns it until done() is called: exactly once, without locks, from a worker thread or from inside blk_submit();
 * error is 0 or a negative errno. iov must hold `bytes` for reads and writes.
 */
typedef struct BlkRequest BlkRequest;
typedef void BlkDoneFn(BlkRequest *r, int error);
struct BlkRequest {
    BlkOp op;
    unsigned flags;        /* BLOCK_REQ_FUA, BLOCK_REQ_MAY_UNMAP */
    uint64_t offset, bytes;
    const struct iovec *iov;
    int iovcnt;
    BlkDoneFn *done;
    void *opaque;
    /* private */
    BlockBackend *blk;
    BlkRequest *next;
    int64_t start_ns;
};

/* A drive of the machine. name: -drive id=, or the node's; takes the reference to node. Main thread. */
BlockBackend *blk_new(const char *name, BlockNode *node);
void blk_free(BlockBackend *b);       /* drains */
void blk_free_all(void);
BlockBackend *blk_find(const char *name); /* also by node-name: made on demand */
unsigned blk_count(void);
BlockBackend *blk_nth(unsigned i);
const char *blk_name(const BlockBackend *b);
BlockNode *blk_node(const BlockBackend *b); /* NULL: no medium */
uint64_t blk_size(const BlockBackend *b);
bool blk_writable(const BlockBackend *b);
void blk_set_on_error(BlockBackend *b, BlkOnError rerror, BlkOnError werror);
void blk_set_serial(BlockBackend *b, const char *serial);
const char *blk_serial(const BlockBackend *b); /* NULL: none given */

/* One device may use it: false names the one that does. */
bool blk_attach(BlockBackend *b, const char *device, Error **errp);
void blk_detach(BlockBackend *b);
const char *blk_user(const BlockBackend *b);

/* Any thread. Ranges are checked: beyond the end is -EIO. */
void blk_submit(BlockBackend *b, BlkRequest *r);
/* Blocking, for rare and small things (configuration, boot). */
int blk_pread(BlockBackend *b, uint64_t offset, void *buf, size_t len);
int blk_pwrite(BlockBackend *b, uint64_t offset, const void *buf, size_t len);
int blk_flush(BlockBackend *b);
void blk_drain(BlockBackend *b);  /* returns when all submitted requests are done */
void blk_drain_all(void);

/* Latency histogram: powers of two of microseconds; counts of reads, writes, flushes. */
enum { BLK_LATENCIES = 24 };
typedef struct BlkStats {
    uint64_t ops[5], bytes[5], failed[5], time_ns[5], inline_ops;
    uint64_t latency[5][BLK_LATENCIES];
} BlkStats;
BlkStats blk_stats(const BlockBackend *b);
#endif
