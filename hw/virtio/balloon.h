/* SPDX-License-Identifier: MIT */
/* What the monitor asks of the machine's balloon. */
#ifndef HW_VIRTIO_BALLOON_H
#define HW_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

enum { BALLOON_STATS = 10 };
typedef struct BalloonInfo {
    uint64_t target, actual;      /* bytes that the guest shall have, and has, of its RAM */
    uint64_t inflated, reported;  /* bytes that were given back to the host so far, by either way */
    uint64_t stat[BALLOON_STATS]; /* of the guest; UINT64_MAX: not told */
    int64_t stats_ns;             /* virtual time when they came; 0: never */
} BalloonInfo;
extern const char *const balloon_stat_names[BALLOON_STATS]; /* QEMU's */

/* All fail when there is no balloon device, or no driver for it. Main thread. */
bool balloon_set(uint64_t bytes, Error **errp);
bool balloon_info(BalloonInfo *out, Error **errp);
/* Ask the guest for statistics every so many seconds; 0: not any more. */
bool balloon_poll(uint32_t seconds, Error **errp);
#endif
