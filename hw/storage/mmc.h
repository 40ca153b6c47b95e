/* SPDX-License-Identifier: MIT */
/* A CD/DVD-ROM drive without its transport: MMC commands, medium, tray, sense (MMC-6, SPC-4). For ATAPI and SCSI. */
#ifndef HW_STORAGE_MMC_H
#define HW_STORAGE_MMC_H

#include "block/backend.h"
#include "hw/core/device.h"
#include "hw/storage/spc.h"

enum { MMC_SECTOR = 2048, MMC_RAW_SECTOR = 2352, MMC_DATA_MAX = 65536 };
enum { MMC_GOOD = 0, MMC_CHECK = 2 }; /* SCSI status */

/*
 * Embedded in the drive's device. All functions are called under dev->domain. The transport fills in the first group
 * before mmc_start(), which makes the drive the backend's device (blk_set_device_ops); b may be NULL: then it is for
 * ever without a medium. The strings stay the transport's.
 */
typedef struct MmcDrive {
    Device *dev;
    BlockBackend *blk;
    const char *vendor, *product, *revision, *serial, *name; /* of INQUIRY; serial and name may be NULL */
    uint64_t wwn, port_wwn;
    uint16_t port_index;
    bool atapi;            /* what INQUIRY says of the standards */
    /* State (mmc_state) */
    uint32_t sense;        /* of the last command, for REQUEST SENSE */
    uint32_t attention[2]; /* unit attentions to come: reset, medium; 0: none */
    bool present;          /* a medium is in the drive, as the guest may know: tray closed and backend with medium */
    bool tray_open, locked;
    bool event_new_media, event_removal, event_eject; /* for GET EVENT STATUS NOTIFICATION */
    uint16_t speed;
    uint8_t error_recovery, retries; /* mode page 01h */
} MmcDrive;
extern const StateField mmc_state[];

/* What a command needs of its transport. */
typedef enum MmcPhase {
    MMC_DONE, /* no data (more): status is the result */
    MMC_DATA_IN, /* `length` bytes of `data` go to the initiator (cut to the CDB's allocation length) */
    MMC_DATA_OUT, /* get `length` bytes of parameters from the initiator, then call mmc_data_out() */
    MMC_READ, /* read `blocks` sectors from `lba` on of drive->blk (2048 bytes each there), form each with
               * mmc_form_sector() unless `plain`, send blocks * sector_bytes to the initiator; an error:
               * mmc_read_failed(). The range is checked. */
} MmcPhase;
typedef struct MmcResult {
    MmcPhase phase;
    uint8_t status;
    uint32_t length;
    uint32_t lba, blocks, sector_bytes;
    bool plain;
    uint8_t fields; /* for mmc_form_sector() */
} MmcResult;

void mmc_start(MmcDrive *m);                 /* in start(), after drive_open() */
/* RESET_ENTER, and the transport's device reset: unit attention, unlocked, tray as it is */
void mmc_reset(MmcDrive *m);
bool mmc_loaded(MmcDrive *m);                /* false: no state that a drive can be in */
/* Carry out a CDB of 12 or 16 bytes (padded with zeroes). data: MMC_DATA_MAX bytes. REPORT LUNS is the transport's. */
void mmc_execute(MmcDrive *m, const uint8_t cdb[16], uint8_t *data, MmcResult *r);
void mmc_data_out(MmcDrive *m, const uint8_t cdb[16], const uint8_t *data, uint32_t len, MmcResult *r);
/* CHECK CONDITION with this sense: for what the transport finds. */
void mmc_fail(MmcDrive *m, MmcResult *r, uint32_t sense);
void mmc_read_failed(MmcDrive *m, MmcResult *r, int error);
/*
 * One sector of READ CD: what `fields` (CDB byte 9) asks for, made from 2048 bytes of user data. Returns the bytes
 * written to out (<= 2352).
 */
unsigned mmc_form_sector(uint32_t lba, uint8_t fields, const uint8_t *user, uint8_t *out);
uint32_t mmc_take_sense(MmcDrive *m); /* of the last command, which it clears: autosense */
uint32_t mmc_sectors(const MmcDrive *m);     /* of 2048 bytes; 0: no medium */
#endif
