/* SPDX-License-Identifier: MIT */
/* Private to the jobs. */
#ifndef BLOCK_JOB_INTERNAL_H
#define BLOCK_JOB_INTERNAL_H

#include "base/bits.h"
#include "block/driver.h"
#include "block/job.h"

enum { JOB_UNIT = 64 << 10, JOB_PIECE = 1 << 20 };

struct BlockJob {
    BlockWatch watch;          /* first: of node */
    BlockJobType type;
    char *drive, *target_name;
    BlockNode *node, *base, *target; /* referenced; base NULL: none. commit: target = base */
    bool full, base_was_readonly;
    uint64_t compress;         /* backup: bytes of a cluster of the target, written compressed; 0: as they are */
    bool prepared;             /* of the job's thread */
    pthread_t thread;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    BlockWrite *writes;        /* of the guest, on their way */
    uint64_t own_start, own_end; /* stream: what the job is at; guest writes to it wait */
    unsigned held;             /* by drains */
    bool busy, paused, cancelled, force, completing, ready, failed;
    int error;                 /* first one, negative errno */
    uint64_t speed, offset, length;
    uint64_t units, cursor;
    uint64_t *map;             /* commit, mirror: units to be copied; backup: units that are done */
    uint64_t *copying;         /* backup */
    uint8_t *buf;
};

static inline bool follows(const BlockJob *j) { return j->type == JOB_COMMIT || j->type == JOB_MIRROR; }
static inline bool job_bit(const uint64_t *map, uint64_t i) { return map[i / 64] >> (i % 64) & 1; }
static inline void job_set(uint64_t *map, uint64_t i, bool on)
{
    map[i / 64] = on ? map[i / 64] | BIT(i % 64) : map[i / 64] & ~BIT(i % 64);
}

/* job-copy.c: one piece of work in the job's thread; *bytes 0: nothing is left. What guest writes do to it. */
int job_step(BlockJob *j, uint64_t *bytes);
void job_before(BlockWatch *w, BlockWrite *e);
void job_after(BlockWatch *w, BlockWrite *e);
/* Before guest writes are watched. */
void job_alloc(BlockJob *j);
#endif
