/* SPDX-License-Identifier: MIT */
/* What disk controllers have in common: the drive property, sector sizes. */
#ifndef HW_STORAGE_DRIVE_H
#define HW_STORAGE_DRIVE_H

#include "block/backend.h"
#include "hw/core/device.h"

/* Properties of every disk: put DRIVE_PROPS(Type, field) into the table. */
typedef struct DriveProps {
    char *drive, *serial;
    uint32_t logical_block_size, physical_block_size;
    int32_t bootindex;
    bool share_rw, write_cache;
} DriveProps;
#define DRIVE_PROPS(T, f) \
    DEFINE_PROP_STRING("drive", T, f.drive, NULL, "id of a -drive if=none, or node-name of a -blockdev"), \
    DEFINE_PROP_STRING("serial", T, f.serial, NULL, "serial number that the guest sees"), \
    PROP_(PROP_U32, "logical_block_size", T, f.logical_block_size, 512, "bytes of a sector", .min = 512, .max = 32768), \
    PROP_(PROP_U32, "physical_block_size", T, f.physical_block_size, 512, "bytes of a sector on the medium", .min = 512, .max = 32768), \
    { .name = "bootindex", .kind = PROP_I32, .offset = offsetof(T, f.bootindex), .dflt = -1, .help = "place in the firmware's boot order" }, \
    DEFINE_PROP_BOOL("share-rw", T, f.share_rw, false, "others may write, too"), \
    DEFINE_PROP_BOOL("write-cache", T, f.write_cache, true, "the disk has a volatile write cache")

/*
 * The drive named by the property, attached to d. removable: the drive may be without a medium, and without the property the device gets an
 * empty one of its own; follow with blk_set_device_ops(). In stop(): blk_detach().
 */
bool drive_open(Device *d, const DriveProps *p, bool removable, BlockBackend **out, Error **errp);
/* The serial number: of the property, of -drive, or made from the device's name. */
const char *drive_serial(const Device *d, const DriveProps *p, const BlockBackend *b);
#endif
