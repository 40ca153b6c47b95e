/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of the whole machine inside its disk images: RAM, devices and all disks at one point (savevm, loadvm,
 * delvm).
 */
#ifndef SYSTEM_SNAPSHOT_H
#define SYSTEM_SNAPSHOT_H

#include <stdbool.h>
#include "base/error.h"
#include "block/block.h"

typedef struct SnapshotOptions {
    bool compress;   /* memory by zstd */
    bool background; /* the guest runs while its memory is written; snapshot_save() returns when that has begun */
} SnapshotOptions;

/*
 * Main thread. name NULL: "vm-" and the time. A snapshot of the same name is replaced when the new one stands. A save
 * that fails leaves nothing behind and the machine as it was. A load that fails before it has changed anything leaves
 * the machine paused, one that fails later in state `internal-error`.
 */
bool snapshot_save(const char *name, const SnapshotOptions *o, Error **errp);
bool snapshot_load(const char *name, Error **errp);
bool snapshot_delete(const char *name, Error **errp);
bool snapshot_cancel(Error **errp);      /* the save in the background */
void snapshot_end(void);                 /* at exit */

/* Every disk's own snapshots of which not all writable disks have one (name: the drive's), and those that all have. */
typedef struct SnapshotList {
    GArray *all;                         /* of BlockSnapshot */
    GPtrArray *partial;                  /* of SnapshotDisk */
} SnapshotList;
typedef struct SnapshotDisk { char *drive; GArray *snapshots; } SnapshotDisk;
bool snapshot_list(SnapshotList *out, Error **errp);
void snapshot_list_clear(SnapshotList *l);

/* What the save in the background has done. */
typedef struct SnapshotProgress { const char *name; uint64_t written; unsigned passes; } SnapshotProgress;
/* Devices, drives and media come and go only when none is being saved in the background: an error says so. */
bool snapshot_idle(Error **errp);
bool snapshot_progress(SnapshotProgress *out); /* false: none */
#endif
