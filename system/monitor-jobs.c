/* SPDX-License-Identifier: MIT */
/* Monitor: snapshots and jobs on the images of a running machine. */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/opts.h"
#include "block/job.h"
#include "system/monitor.h"
#include "system/snapshot.h"

/* Leading flags, one letter each, of `known`; moves argv behind them. */
static bool take_flags(int *argc, char ***argv, const char *known, unsigned *flags, Error **errp)
{
    const char *command = (*argv)[0];
    *flags = 0;
    while (*argc > 1 && (*argv)[1][0] == '-') {
        const char *at = (*argv)[1][1] && !(*argv)[1][2] ? strchr(known, (*argv)[1][1]) : NULL;
        if (!at) {
            error_setf(errp, "%s: '%s' is no option of it", command, (*argv)[1]);
            return false;
        }
        *flags |= 1u << (at - known);
        ++*argv;
        --*argc;
    }
    return true;
}

static bool parse_speed(const char *text, uint64_t *out, Error **errp)
{
    if (!text || parse_size(text, 1, out))
        return true;
    error_setf(errp, "'%s' is no speed; give bytes per second, as in 10M", text);
    return false;
}

static bool start(const char *drive, const BlockJobSpec *s, Error **errp)
{
    BlockBackend *b = monitor_find_drive(drive, errp);
    return b && snapshot_idle(errp) && block_job_start(b, s, errp);
}

static bool copy_job(BlockJobType type, int argc, char **argv, Error **errp)
{
    unsigned flags;
    const char *command = argv[0];
    if (!take_flags(&argc, &argv, type == JOB_BACKUP ? "nfc" : "nf", &flags, errp))
        return false;
    if (argc < 3 || argc > 4) {
        error_setf(errp, "%s: usage: %s [-n] [-f] DRIVE FILE [FORMAT]", command, command);
        return false;
    }
    BlockJobSpec s = { .type = type,
                       .target = argv[2],
                       .format = argc > 3 ? argv[3] : NULL,
                       .existing = flags & 1,
                       .full = flags & 2,
                       .compress = flags & 4 };
    return start(argv[1], &s, errp);
}

static bool do_mirror(Monitor *mon, int argc, char **argv, Error **errp)
{
    return copy_job(JOB_MIRROR, argc, argv, errp);
}
static bool do_backup(Monitor *mon, int argc, char **argv, Error **errp)
{
    return copy_job(JOB_BACKUP, argc, argv, errp);
}

static bool based_job(BlockJobType type, int argc, char **argv, Error **errp)
{
    BlockJobSpec s = { .type = type, .base = argc > 3 ? argv[3] : NULL };
    return parse_speed(argc > 2 ? argv[2] : NULL, &s.speed, errp) && start(argv[1], &s, errp);
}

static bool do_stream(Monitor *mon, int argc, char **argv, Error **errp)
{
    return based_job(JOB_STREAM, argc, argv, errp);
}
static bool do_block_commit(Monitor *mon, int argc, char **argv, Error **errp)
{
    return based_job(JOB_COMMIT, argc, argv, errp);
}

static bool do_commit(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (strcmp(argv[1], "all")) {
        BlockBackend *b = monitor_find_drive(argv[1], errp);
        return b && block_commit_now(b, errp);
    }
    for (unsigned i = 0; i < blk_count(); i++) {
        BlockBackend *b = blk_nth(i);
        if (blk_writable(b) && block_backing(blk_node(b)) && !block_commit_now(b, errp))
            return false;
    }
    return true;
}

static bool do_cancel(Monitor *mon, int argc, char **argv, Error **errp)
{
    unsigned flags;
    if (!take_flags(&argc, &argv, "f", &flags, errp))
        return false;
    BlockJob *j = argc > 1 ? block_job_find(argv[1], errp) : NULL;
    if (j)
        block_job_cancel(j, flags);
    else if (argc < 2)
        error_setf(errp, "block_job_cancel: usage: block_job_cancel [-f] DRIVE");
    return j;
}

static bool do_pause(Monitor *mon, int argc, char **argv, Error **errp)
{
    BlockJob *j = block_job_find(argv[1], errp);
    return j && block_job_pause(j, errp);
}

static bool do_resume(Monitor *mon, int argc, char **argv, Error **errp)
{
    BlockJob *j = block_job_find(argv[1], errp);
    return j && block_job_resume(j, errp);
}

static bool do_complete(Monitor *mon, int argc, char **argv, Error **errp)
{
    BlockJob *j = block_job_find(argv[1], errp);
    return j && block_job_complete(j, errp);
}

static bool do_set_speed(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t speed = 0;
    BlockJob *j = block_job_find(argv[1], errp);
    if (!j || !parse_speed(argv[2], &speed, errp))
        return false;
    block_job_set_speed(j, speed);
    return true;
}

static bool do_snapshot_blkdev(Monitor *mon, int argc, char **argv, Error **errp)
{
    unsigned flags;
    if (!take_flags(&argc, &argv, "n", &flags, errp))
        return false;
    if (argc < 3) {
        error_setf(errp, "snapshot_blkdev: usage: snapshot_blkdev [-n] DRIVE FILE [FORMAT]");
        return false;
    }
    BlockBackend *b = monitor_find_drive(argv[1], errp);
    return b && block_overlay(b, argv[2], argc > 3 ? argv[3] : NULL, flags, errp);
}

static bool do_snapshot_internal(Monitor *mon, int argc, char **argv, Error **errp)
{
    BlockBackend *b = monitor_find_drive(argv[1], errp);
    if (!b)
        return false;
    if (!blk_node(b)) {
        error_setf(errp, "drive '%s' has no medium", argv[1]);
        return false;
    }
    BlockSnapshot s = { .vm_clock_ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS),
                        .icount = UINT64_MAX,
                        .date_sec = (uint32_t)time(NULL) };
    g_strlcpy(s.name, argv[2], sizeof s.name);
    return block_snapshot_create(blk_node(b), &s, errp);
}

static bool do_snapshot_delete(Monitor *mon, int argc, char **argv, Error **errp)
{
    BlockBackend *b = monitor_find_drive(argv[1], errp);
    if (b && blk_node(b))
        return block_snapshot_delete(blk_node(b), argc > 3 ? argv[3] : argv[2], errp);
    if (b)
        error_setf(errp, "drive '%s' has no medium", argv[1]);
    return false;
}

bool monitor_info_block_jobs(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (!block_job_count())
        monitor_printf(mon, "No active jobs\n");
    for (unsigned i = 0; i < block_job_count(); i++) {
        BlockJobInfo j = block_job_info(i);
        bool stream = !strcmp(j.type, "stream");
        monitor_printf(mon,
                       "%s%s%s device %s: Completed %" PRIu64 " of %" PRIu64 " bytes, speed limit %" PRIu64
                       " bytes/s%s%s\n",
                       stream ? "Streaming" : "Type ", stream ? "" : j.type, stream ? "" : ",", j.drive, j.offset,
                       j.length, j.speed, j.ready ? ", ready" : "", j.paused ? ", paused" : "");
    }
    return true;
}

const MonitorCommand monitor_commands_jobs[] = {
    { "snapshot_blkdev", "[-n] DRIVE FILE [FORMAT]",
      "go on in a new image on top of the drive's (-n: the image is there)", 2, 4, false, do_snapshot_blkdev,
      monitor_complete_drive },
    { "snapshot_blkdev_internal", "DRIVE NAME", "a snapshot inside the drive's image", 2, 2, false,
      do_snapshot_internal, monitor_complete_drive },
    { "snapshot_delete_blkdev_internal", "DRIVE NAME [ID]", "delete a snapshot inside the drive's image", 2, 3, false,
      do_snapshot_delete, monitor_complete_drive },
    { "commit", "DRIVE|all", "copy what the drive's image holds into its backing file, and empty it", 1, 1, false,
      do_commit, monitor_complete_drive },
    { "block_stream", "DRIVE [SPEED [BASE]]", "copy into the drive's image what its backing files hold, down to BASE",
      1, 3, false, do_stream, monitor_complete_drive },
    { "block_commit", "DRIVE [SPEED [BASE]]",
      "copy the drive's image into its backing file, or all down to BASE; block_job_complete goes over to it", 1, 3,
      false, do_block_commit, monitor_complete_drive },
    { "drive_mirror", "[-n] [-f] DRIVE FILE [FORMAT]",
      "a copy that follows the drive (-f: all data, -n: the image is there)", 2, 5, false, do_mirror,
      monitor_complete_drive },
    { "drive_backup", "[-n] [-f] [-c] DRIVE FILE [FORMAT]",
      "a copy of this moment (-f: all data, -n: the image is there, -c: compressed)", 2, 6, false, do_backup,
      monitor_complete_drive },
    { "block_job_cancel", "[-f] DRIVE", "end a job; a ready mirror is a copy of this moment then, unless -f", 1, 2,
      false, do_cancel, monitor_complete_drive },
    { "block_job_pause", "DRIVE", "let a job wait", 1, 1, false, do_pause, monitor_complete_drive },
    { "block_job_resume", "DRIVE", "let a paused job go on", 1, 1, false, do_resume, monitor_complete_drive },
    { "block_job_complete", "DRIVE", "let the drive go over to the target of a commit or mirror that is ready", 1, 1,
      false, do_complete, monitor_complete_drive },
    { "block_job_set_speed", "DRIVE SPEED", "limit a job to bytes per second, 0: no limit", 2, 2, false, do_set_speed,
      monitor_complete_drive },
    { 0 },
};
