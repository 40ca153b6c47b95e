/* SPDX-License-Identifier: MIT */
/*
 * Limits of requests and bytes a second: groups (-object throttle-group), and the lanes in which a drive's requests
 * wait.
 */
#ifndef BLOCK_THROTTLE_H
#define BLOCK_THROTTLE_H

#include "base/object.h"
#include "block/backend.h"

typedef enum ThrottleKind {
    THROTTLE_OPS,
    THROTTLE_OPS_READ,
    THROTTLE_OPS_WRITE,
    THROTTLE_BPS,
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_KINDS
} ThrottleKind;
/* avg: a second, 0: none. max: a second in a burst of `length` seconds; 0: bursts of a tenth of a second of avg. */
typedef struct ThrottleLimit { uint64_t avg, max, length; } ThrottleLimit;
typedef struct ThrottleConfig {
    ThrottleLimit limit[THROTTLE_KINDS];
    uint64_t iops_size; /* a larger request counts as several; 0: as one */
} ThrottleConfig;
bool throttle_config_check(const ThrottleConfig *c, Error **errp);

/* What has been let through, as far as it has not leaked away yet. The caller locks. */
typedef struct ThrottleBuckets {
    struct { double level, burst; } kind[THROTTLE_KINDS];
    int64_t last_ns; /* the last leak; a new set of buckets begins now */
} ThrottleBuckets;
/* until the next request may pass; 0 or less: it may */
int64_t throttle_delay_ns(ThrottleBuckets *b, const ThrottleConfig *c, bool write, int64_t now);
void throttle_fill(ThrottleBuckets *b, const ThrottleConfig *c, bool write, uint64_t bytes);     /* a request passes */

/* A group's members share its limits, in the order in which they ask. Any thread. */
/* ThrottleGroup starts with an Object of kind "throttle-group". */
ThrottleGroup *throttle_group_of(Object *o);
const char *throttle_group_name(const ThrottleGroup *g);
ThrottleConfig throttle_group_config(ThrottleGroup *g);
bool throttle_group_set(ThrottleGroup *g, const ThrottleConfig *c, Error **errp);

/* Two queues (reads, the rest) in front of a drive; each passes a request on when its group's limits allow. */
typedef struct ThrottleLanes ThrottleLanes;
/* takes the reference to g's object */
ThrottleLanes *throttle_lanes_new(ThrottleGroup *g, void (*pass)(BlkRequest *r));
void throttle_lanes_free(ThrottleLanes *l);        /* empty ones */
ThrottleGroup *throttle_lanes_group(const ThrottleLanes *l);
bool throttle_lanes_put(ThrottleLanes *l, BlkRequest *r); /* false: there is no limit, carry it out */
/* somebody waits for all requests: limits do not count meanwhile */
void throttle_lanes_hurry(ThrottleLanes *l, bool on);
/* The group of the throttle filter that stands on top of n (or below other filters there); NULL: none. */
ThrottleGroup *throttle_of_node(const BlockNode *n);
#endif
