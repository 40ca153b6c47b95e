/* SPDX-License-Identifier: MIT */
/*
 * Long work on the images of a running machine: each job is a thread that copies between nodes while the guest reads
 * and writes.
 */
#ifndef BLOCK_JOB_H
#define BLOCK_JOB_H

#include "block/backend.h"

/*
 * stream: what backing files hold above `base` is copied into the drive's image, which then stands on `base`.
 * commit: what the drive's image, and those below it down to `base`, hold is copied into `base`; completed, the drive
 * stands on that. mirror: a copy that follows the drive; completed, the drive stands on it. backup: a copy of the
 * moment when the job began.
 */
typedef enum BlockJobType { JOB_STREAM, JOB_COMMIT, JOB_MIRROR, JOB_BACKUP } BlockJobType;
typedef struct BlockJob BlockJob;

typedef struct BlockJobSpec {
    BlockJobType type;
    uint64_t speed;          /* bytes a second, 0: no limit */
    /* stream, commit: file name of the image below; NULL: stream: none, commit: the drive's backing file */
    const char *base;
    const char *target, *format; /* mirror, backup: the image; format NULL: that of the drive's */
    /* mirror, backup: all data; else what the drive's own image holds, on the same backing file */
    bool full;
    bool existing;           /* the target is there */
    bool compress;           /* backup */
} BlockJobSpec;

/*
 * All functions: main thread. One job at a time for a drive. A job ends by itself in the main loop, with a line when it
 * has failed.
 */
BlockJob *block_job_start(BlockBackend *b, const BlockJobSpec *spec, Error **errp);
BlockJob *block_job_find(const char *drive, Error **errp);
bool block_job_pause(BlockJob *j, Error **errp);
bool block_job_resume(BlockJob *j, Error **errp);
void block_job_set_speed(BlockJob *j, uint64_t bytes_per_second);
/* commit, mirror, once they are ready: the drive goes over to the target. */
bool block_job_complete(BlockJob *j, Error **errp);
/* A ready mirror ends as a copy of this moment, unless `force`; others end where they are. */
void block_job_cancel(BlockJob *j, bool force);
void block_jobs_end(void); /* at exit: cancels all and waits */

typedef struct BlockJobInfo {
    const char *type, *drive;
    uint64_t offset, length, speed;
    bool paused, ready;
} BlockJobInfo;
unsigned block_job_count(void);
BlockJobInfo block_job_info(unsigned i);

/* At once, with the drive's requests held back; main thread. */
/* A new image on top of the drive's. file is made, unless `existing`; format NULL: qcow2. */
bool block_overlay(BlockBackend *b, const char *file, const char *format, bool existing, Error **errp);
/* Everything in the drive's image goes into its backing file; the image is empty then. */
bool block_commit_now(BlockBackend *b, Error **errp);
#endif
