/* SPDX-License-Identifier: MIT */
/* A drive, for backend.c (what it is) and backend-io.c (its requests). */
#ifndef BLOCK_BACKEND_INTERNAL_H
#define BLOCK_BACKEND_INTERNAL_H

#include "block/backend.h"
#include "block/driver.h"
#include "block/in-flight.h"
#include "block/throttle.h"

typedef struct BlkIntervals BlkIntervals;
struct BlockBackend {
    char *name, *user, *serial;
    bool with_device;      /* made for a device, goes with it */
    BlockNode *_Atomic node; /* read inside an RCU section, or with a request in flight */
    BlkOnError rerror, werror;
    _Atomic bool ignore_failed, ignore_invalid; /* in times */
    BlkIntervals *intervals; /* NULL: none */
    const BlkDeviceOps *ops;
    void *opaque;
    ThrottleLanes *_Atomic throttle;
    Uring *ring;           /* NULL: the process's own */
    InFlight in_flight;
    _Atomic bool held;
    BlkRequest *parked, **parked_last; /* under hold_lock, as what follows */
    unsigned waiting;      /* parked, or being submitted anew */
    pthread_mutex_t hold_lock;
    pthread_cond_t released;
    struct {               /* each counter for itself, relaxed */
        _Atomic uint64_t bytes[BLK_OPS], failed[BLK_OPS], invalid[BLK_OPS], time_ns[BLK_OPS],
            latency[BLK_OPS][BLK_LATENCIES], inline_ops, ring_ops, last_ns, highest;
    } stats;
};
#define BLK_COUNT(counter, n) atomic_fetch_add_explicit(&(counter), n, memory_order_relaxed)

/* statistics.c */
void blk_account(BlockBackend *b, const BlkRequest *r, int error); /* any thread */
void blk_free_intervals(BlkIntervals *all);
#endif
