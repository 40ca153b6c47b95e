/* SPDX-License-Identifier: MIT */
/* A direct-access logical unit (SBC-3): what its parts share. */
#ifndef HW_SCSI_SCSI_DISK_H
#define HW_SCSI_SCSI_DISK_H

#include "base/bits.h"
#include "hw/scsi/scsi.h"

enum {
    SCSI_PARAMETERS_MAX = 4096,
    SAME_BYTES_MAX = 1 << 30,
    UNMAP_RANGES_MAX = 255,
    CAW_BLOCKS_MAX = 255,
    SCSI_CHUNK = 1 << 20
};

typedef struct ScsiDisk {
    ScsiDevice scsi;
    /* properties */
    ScsiNames names;
    uint64_t max_unmap_size, max_io_size;
    DriveGeometry geometry;
    uint16_t rotation_rate;
    int32_t scsi_version;
    bool removable, dpofua;
    /* state */
    bool wce, stopped, locked;
    bool registered;               /* the one I_T nexus there is has a key (SPC-4, 5.12) */
    uint64_t key;
    uint32_t pr_generation;
    uint8_t reservation;           /* type, 0: none */
    GQueue compares;               /* COMPARE AND WRITE: one at a time; the head is running */
} ScsiDisk;

typedef struct ScsiDiskCommand ScsiDiskCommand;
struct ScsiDiskCommand {
    uint8_t op;
    int8_t action;   /* service action in byte 1, -1: none */
    uint8_t cdb_len;
    uint8_t flags;   /* CMD_… */
    void (*run)(ScsiRequest *r, ScsiDisk *d);
};
enum { CMD_MEDIUM = 1, CMD_WRITES = 2 };

/* May there be a volatile cache? */
static inline bool disk_caches(const ScsiDisk *d) { return d->scsi.drive.write_cache && !d->scsi.bus->durable; }
static inline ScsiDisk *disk_of(const ScsiRequest *r) { return (ScsiDisk *)r->dev; }
static inline uint32_t disk_block(const ScsiDisk *d) { return (uint32_t)d->scsi.drive.logical_block_size; }
static inline bool disk_unmaps(const ScsiDisk *d)
{
    return d->scsi.drive.discard_granularity && blk_writable(d->scsi.blk);
}
static inline uint64_t disk_blocks(const ScsiDisk *d) { return blk_size(d->scsi.blk) / disk_block(d); }

extern const ScsiDiskCommand disk_commands[]; /* ended by run == NULL */
void disk_inquiry(ScsiRequest *r, ScsiDisk *d);
void disk_mode_sense(ScsiRequest *r, ScsiDisk *d);
void disk_mode_select(ScsiRequest *r, ScsiDisk *d);
void disk_report_opcodes(ScsiRequest *r, ScsiDisk *d);

void disk_read(ScsiRequest *r, ScsiDisk *d);
void disk_write(ScsiRequest *r, ScsiDisk *d);
void disk_write_verify(ScsiRequest *r, ScsiDisk *d);
void disk_verify(ScsiRequest *r, ScsiDisk *d);
void disk_write_same(ScsiRequest *r, ScsiDisk *d);
void disk_unmap(ScsiRequest *r, ScsiDisk *d);
void disk_compare_and_write(ScsiRequest *r, ScsiDisk *d);
void disk_lba_status(ScsiRequest *r, ScsiDisk *d);
void disk_flush(ScsiRequest *r, ScsiDisk *d);
void disk_in_range(ScsiRequest *r, ScsiDisk *d); /* GOOD when the blocks exist: PRE-FETCH, SEEK */

void disk_reserve_in(ScsiRequest *r, ScsiDisk *d);
void disk_reserve_out(ScsiRequest *r, ScsiDisk *d);
#endif
