/* SPDX-License-Identifier: MIT */
/* Private to block/vhdx. [MS-VHDX] is Microsoft's "Virtual Hard Disk v2 (VHDX) File Format". */
#ifndef BLOCK_VHDX_H
#define BLOCK_VHDX_H

#include "base/bits.h"
#include "block/sparse/sparse.h"

enum {
    VHDX_HEADER = 4096,
    VHDX_HEADER1 = 64 << 10,
    VHDX_HEADER2 = 128 << 10,
    VHDX_REGIONS = 192 << 10,
    VHDX_REGION_SIZE = 64 << 10,
    VHDX_ALIGN = 1 << 20,
    VHDX_LOG_MAX = 256 << 20,
    VHDX_PAGE = 4096
};
/* Header fields ([MS-VHDX] 2.2.2). */
enum {
    HE_CHECKSUM = 4,
    HE_SEQUENCE = 8,
    HE_FILE_GUID = 16,
    HE_DATA_GUID = 32,
    HE_LOG_GUID = 48,
    HE_LOG_VERSION = 64,
    HE_VERSION = 66,
    HE_LOG_LENGTH = 68,
    HE_LOG_OFFSET = 72
};
/* States of blocks in the BAT (2.5.1). */
enum { ST_NOT_PRESENT, ST_UNDEFINED, ST_ZERO, ST_UNMAPPED, ST_FULL = 6, ST_PARTIAL = 7 };

typedef struct Vhdx {
    Sparse sparse;
    Meta meta;
    uint8_t header[VHDX_HEADER];    /* the current one */
    bool second;                    /* it is the second of the two */
    uint64_t log, log_length, log_next, log_sequence;
    uint64_t bat, bat_length, metadata, metadata_length, size_offset;
    uint64_t block_size, blocks, chunk_ratio, next;
    uint32_t sector, physical, flags; /* of the file parameters: 1 fixed, 2 has a parent */
} Vhdx;

static inline Vhdx *vhdx_of(BlockNode *n) { return n->opaque; }
extern const uint8_t vhdx_guid_bat[16], vhdx_guid_metadata[16], vhdx_items[6][16];
enum { IT_PARAMETERS, IT_SIZE, IT_PAGE83, IT_SECTOR, IT_PHYSICAL, IT_PARENT };

/* CRC-32C, without the final inversion when chained: start with ~0 */
uint32_t vhdx_crc(uint32_t crc, const void *data, size_t len);
/* of a structure with its checksum at `at` taken as zero */
uint32_t vhdx_checksum(const void *data, size_t len, size_t at);
/* the other one, with the next sequence number; durable */
int vhdx_write_header(BlockNode *n);
bool vhdx_replay(BlockNode *n, Error **errp);                         /* when the log is not empty */
bool vhdx_log_is_empty(const Vhdx *v);
int vhdx_sync(BlockNode *n);

extern const BlockCreateOption vhdx_create_options[];
bool vhdx_create(const char *filename, uint64_t size, Opts *o, Error **errp);
bool vhdx_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp);
#endif
