/* SPDX-License-Identifier: MIT */
/* The run of `rhea-img torture`: what the guest did, and what that promises of the images that cuts leave. Main thread. */
#ifndef TOOLS_IMG_TORTURE_H
#define TOOLS_IMG_TORTURE_H

#include "block/driver.h"
#include "tools/img/img.h"
#include "tools/img/tape.h"

enum { DISK = 6 << 20, SECTOR = TAPE_SECTOR, SECTORS = DISK / SECTOR, REQUEST_MAX = 200 * 1024, GRANULE = 32768 };

typedef enum OpKind { OP_SET, OP_DISCARD /* as before, or zero */, OP_APPLY /* a snapshot: all of the disk */, OP_RESIZE /* zero from now on */ } OpKind;
typedef struct TortureOp {
    OpKind kind;
    unsigned event;             /* it began behind so many of the tape */
    uint32_t sector, count, value; /* value 0: zeroes */
    const uint32_t *image;      /* OP_APPLY: each sector's */
    uint64_t size;              /* of the disk afterwards */
} TortureOp;
typedef struct TorturePromise { unsigned event, ops; } TorturePromise; /* at `event` the first `ops` were durable */
typedef struct TortureSnap { uint64_t size; uint32_t image[SECTORS]; } TortureSnap;

typedef struct Torture {
    GRand *rand;
    char *path, *data_path, *format;
    Opts *options;              /* of opening, on the tape */
    const char *key, *key_name; /* of an encrypted image */
    bool old;                   /* version 2 of qcow2 */
    bool snapshots, compress, resize, bitmap, raw_data;
    Tape *tape;
    GArray *ops, *promises;
    GHashTable *snaps;          /* name to TortureSnap */
    uint32_t next_value;
    uint8_t *buf;
    BlockNode *n;
    /* of the cut that is looked at: what the durable ops say of each sector */
    uint32_t newest[SECTORS];
    bool zero_too[SECTORS], written[SECTORS];
    unsigned settled;           /* ops of which that is */
    uint64_t first_size, cuts, leaks, seen; /* snapshots that were looked at */
} Torture;

/* One of n, by the seed; 0 of none. */
static inline uint32_t torture_pick(Torture *r, uint32_t n) { return n ? g_rand_int(r->rand) % n : 0; }

/* torture-cuts.c */
BlockNode *torture_open(const Torture *r, unsigned flags, Error **errp);              /* the image as it lies on the tape's disk */
bool torture_read(Torture *r, BlockNode *n, uint32_t *value, Error **errp);           /* each sector's number; zeroes beyond the end */
bool torture_cut_everywhere(Torture *r, unsigned first, unsigned tries, ImgProgress *p, Error **errp); /* from event `first` of the tape on */
#endif
