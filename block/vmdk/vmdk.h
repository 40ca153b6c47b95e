/* SPDX-License-Identifier: MIT */
/* Private to block/vmdk. "VMware Virtual Disk Format 5.0" is cited as VDF. */
#ifndef BLOCK_VMDK_H
#define BLOCK_VMDK_H

#include "base/bits.h"
#include "block/sparse/sparse.h"

enum {
    VMDK_MAGIC = 0x564d444b,
    COWD_MAGIC = 0x44574f43,
    VMDK_SECTOR = 512,
    VMDK_DESCRIPTOR_MAX = 1 << 20,
    VMDK_EXTENTS_MAX = 4096,
    VMDK_FLAG_RGD = 2,
    VMDK_FLAG_ZEROED = 4,
    VMDK_FLAG_COMPRESSED = 1 << 16,
    VMDK_FLAG_MARKERS = 1 << 17,
    VMDK_GD_MAX = 64 << 20,
    COWD_GT_ENTRIES = 4096,
};
/* VDF "Hosted sparse extent header" (little endian). */
enum {
    VH_VERSION = 4,
    VH_FLAGS = 8,
    VH_CAPACITY = 12,
    VH_GRAIN = 20,
    VH_DESC = 28,
    VH_DESC_SIZE = 36,
    VH_GTES = 44,
    VH_RGD = 48,
    VH_GD = 56,
    VH_OVERHEAD = 64,
    VH_UNCLEAN = 72,
    VH_LINE_ENDS = 73,
    VH_COMPRESSION = 77
};
#define VMDK_GD_AT_END UINT64_MAX

typedef enum VmdkKind { VMDK_FLAT, VMDK_SPARSE, VMDK_ZERO } VmdkKind;

typedef struct VmdkExtent {
    VmdkKind kind;
    BlockNode *file;
    bool own;              /* file is not the image's own */
    char *name, *type;
    uint64_t start, size;  /* of the disk, in bytes */
    uint64_t flat_offset;
    /* sparse */
    Meta meta;
    uint64_t grain;        /* bytes */
    uint64_t gtes;         /* entries of a grain table */
    uint64_t gd, rgd, gd_entries; /* offsets in bytes; rgd 0: none */
    uint64_t next;         /* where new grains and tables go */
    uint64_t first_data;   /* header, descriptor and directories end here */
    bool compressed, markers, zeroed, at_end;
} VmdkExtent;

typedef struct Vmdk {
    Sparse sparse;
    VmdkExtent *extents;
    unsigned count;
    char *descriptor;          /* its text */
    uint64_t desc_offset, desc_room; /* where in the file; room 0: the file is the descriptor */
    char *create_type;
    uint32_t cid, parent_cid;
    bool any_path;             /* the user lets extents be anywhere */
    bool parent_checked;
    pthread_mutex_t inflate_lock;
    uint8_t *inflated;         /* the grain that was inflated last */
    uint64_t inflated_block, inflated_size;
} Vmdk;

static inline Vmdk *vmdk_of(BlockNode *n) { return n->opaque; }
VmdkExtent *vmdk_extent(BlockNode *n, uint64_t offset);
extern const SparseOps vmdk_flat_ops, vmdk_packed_ops;
bool vmdk_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp);

/* descriptor.c: the value of KEY=value or KEY="value", NULL when absent. */
char *vmdk_desc_get(const char *text, const char *key);
uint32_t vmdk_desc_hex(const char *text, const char *key, uint32_t dflt);
/* A copy of the text in which KEY has another value (added behind `after` when it had none; NULL: the line goes). */
char *vmdk_desc_set(const char *text, const char *key, const char *value, const char *after);
bool vmdk_parse_extents(BlockNode *n, unsigned flags, Error **errp);
bool vmdk_write_descriptor(BlockNode *n, Error **errp);

/* create.c */
extern const BlockCreateOption vmdk_create_options[];
bool vmdk_create(const char *filename, uint64_t size, Opts *o, Error **errp);
bool vmdk_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp);

/* extent.c: *e has its file, name and, unless it is the image itself, its size. */
bool vmdk_open_sparse(BlockNode *n, VmdkExtent *e, Error **errp);
#endif
