/* SPDX-License-Identifier: MIT */
/*
 * SCSI primary commands (SPC-4, SBC-3, MMC-6): what disks, CD drives and their transports share: sense, CDBs, INQUIRY,
 * mode pages. No state.
 */
#ifndef HW_STORAGE_SPC_H
#define HW_STORAGE_SPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sense: key << 16 | ASC << 8 | ASCQ. */
enum {
    SENSE_NONE = 0,
    SENSE_LUN_NOT_READY = 0x020402,
    SENSE_NO_MEDIUM = 0x023a00,
    SENSE_NO_MEDIUM_OPEN = 0x023a02,
    SENSE_READ_ERROR = 0x031100,
    SENSE_WRITE_ERROR = 0x030c00,
    SENSE_TARGET_FAILURE = 0x044400,
    SENSE_PARAMETER_LENGTH = 0x051a00,
    SENSE_INVALID_OPCODE = 0x052000,
    SENSE_LBA_RANGE = 0x052100,
    SENSE_INVALID_FIELD = 0x052400,
    SENSE_LUN_NOT_SUPPORTED = 0x052500,
    SENSE_INVALID_PARAMETER = 0x052600,
    SENSE_INVALID_RELEASE = 0x052604,
    SENSE_INCOMPATIBLE_FORMAT = 0x053000,
    SENSE_SAVING_PARAMETERS = 0x053900,
    SENSE_REMOVAL_PREVENTED = 0x055302,
    SENSE_ILLEGAL_MODE = 0x056400,
    SENSE_MEDIUM_CHANGED = 0x062800,
    SENSE_POWER_ON = 0x062900,
    SENSE_BUS_RESET = 0x062902,
    SENSE_DEVICE_RESET = 0x062903,
    SENSE_NEXUS_LOST = 0x062907,
    SENSE_MODE_CHANGED = 0x062a01,
    SENSE_CAPACITY_CHANGED = 0x062a09,
    SENSE_LUNS_CHANGED = 0x063f0e,
    SENSE_EJECT_REQUEST = 0x065a01,
    SENSE_WRITE_PROTECTED = 0x072700,
    SENSE_SPACE_FULL = 0x072707,
    SENSE_ABORTED = 0x0b0000,
    SENSE_MISCOMPARE = 0x0e1d00,
};
enum { SPC_SENSE_BYTES = 18 };
/* Fixed format; out has SPC_SENSE_BYTES. */
void spc_sense_fixed(uint32_t sense, uint8_t *out);
/* Key, ASC and ASCQ of sense data in either format; 0: none in it. */
uint32_t spc_sense_parse(const uint8_t *data, size_t len);

/* --- CDBs --- */

enum { SPC_DISK = 0, SPC_TAPE = 1, SPC_CD = 5 }; /* peripheral device types */
unsigned spc_cdb_length(uint8_t op);             /* by the group of the operation code */
uint64_t spc_lba(const uint8_t *cdb);
uint32_t spc_count(const uint8_t *cdb);          /* blocks */
unsigned spc_cd_sector(uint8_t fields);          /* bytes of a sector as byte 9 of READ CD asks for it: mode 1 */
/*
 * How many bytes a CDB moves to (*out) or from a unit of this type with blocks of this size. What is not known moves
 * none.
 */
uint64_t spc_transfer(const uint8_t *cdb, unsigned type, uint32_t block, bool *out);

/* --- what a unit says of itself --- */

enum { SPC_CURRENT, SPC_CHANGEABLE, SPC_DEFAULTS, SPC_SAVED, SPC_REPLY_MAX = 512 };
/*
 * A VPD page: fills p (zeroes) from its header on, byte 4 being the first; its length with the header, 0: this unit has
 * no such page.
 */
typedef struct SpcVpd { uint8_t page; size_t (*fill)(const void *unit, uint8_t *p); } SpcVpd;
/* A mode page: `len` bytes at p. ignored: what the initiator sets in it is taken and has no effect. */
typedef struct SpcMode {
    uint8_t page, len;
    bool ignored;
    void (*fill)(const void *unit, unsigned control, uint8_t *p);
} SpcMode;
typedef struct SpcUnit {
    const void *unit;         /* for the functions of both tables */
    uint8_t type, version, format /* byte 3 */, queueing /* byte 7 */;
    bool removable, t10;      /* t10: the name in page 83h is "vendor, serial number" */
    const char *vendor, *product, *revision, *serial, *name; /* serial, name (of page 83h): may be NULL */
    uint64_t wwn, port_wwn;   /* 0: none */
    uint16_t port_index, standards[3];
    const SpcVpd *pages;      /* behind 00h, 80h, 83h; ended by page 0 */
    const SpcMode *modes;     /* ended by len 0 */
} SpcUnit;
typedef struct SpcMedium {
    uint8_t type, specific;
    uint64_t blocks;
    uint32_t block; /* 0: no block descriptor */
} SpcMedium;

/* Replies in out (SPC_REPLY_MAX bytes, zeroes): their length, or 0 and *sense. */
size_t spc_inquiry(const SpcUnit *u, const uint8_t *cdb, uint8_t *out, uint32_t *sense);
size_t spc_mode_sense(const SpcUnit *u, const SpcMedium *m, const uint8_t *cdb, uint8_t *out, uint32_t *sense);
/*
 * Parameters of MODE SELECT: all are checked, then apply() takes each page that is not ignored, from its header on.
 * Returns sense.
 */
uint32_t spc_mode_select(const SpcUnit *u, uint32_t block, const uint8_t *cdb, const uint8_t *data, size_t len,
                         void (*apply)(void *opaque, const uint8_t *page), void *opaque);
#endif
