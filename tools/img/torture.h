/* SPDX-License-Identifier: MIT */
/*
 * The run of `rhea-img torture`: what the guest did, and what that promises of the images that cuts leave. Main thread.
 */
#ifndef TOOLS_IMG_TORTURE_H
#define TOOLS_IMG_TORTURE_H

#include <semaphore.h>
#include "block/backend.h"
#include "block/driver.h"
#include "block/job.h"
#include "tools/img/img.h"
#include "tools/img/tape.h"

enum {
    DISK = 6 << 20,
    SECTOR = TAPE_SECTOR,
    SECTORS = DISK / SECTOR,
    REQUEST_MAX = 200 * 1024,
    GRANULE = 32768,
    DATA_FILE = 1,
    KEYS = 2
};

typedef enum OpKind {
    OP_SET,
    OP_DISCARD /* as before, or zero */,
    OP_APPLY /* a snapshot: all of the disk */,
    OP_RESIZE /* zero from now on */
} OpKind;
typedef struct TortureOp {
    OpKind kind;
    unsigned event;             /* it began behind so many of the tape */
    uint32_t sector, count, value; /* value 0: zeroes */
    const uint32_t *image;      /* OP_APPLY: each sector's */
    uint64_t size;              /* of the disk afterwards */
} TortureOp;
/* At `event` the first `ops` were durable, but for `open`, which a second thread was at (UINT_MAX: none). */
typedef struct TorturePromise { unsigned event, ops, open; } TorturePromise;
typedef struct TortureSnap { uint64_t size; uint32_t image[SECTORS]; } TortureSnap;
/* From `event` on: the file whose image the user opens; what opens it. */
typedef struct TortureState { unsigned event, root; bool opens[KEYS], refused[KEYS]; } TortureState;
/* A file that must hold just this while the tape is between the two events. */
typedef struct TortureCopy {
    unsigned from, to, file;
    bool alone /* it stands on no other */;
    uint32_t *image;
} TortureCopy;

typedef struct Torture {
    GRand *rand;                /* the main thread's */
    char *path, *data_path, *format;
    Opts *create;               /* options of new images */
    const char *key_name;       /* the option that opens an encrypted image; NULL: it is not */
    const char *keys[KEYS];     /* ids of secrets */
    bool old;                   /* version 2 of qcow2 */
    bool snapshots, compress, resize, bitmap, raw_data, amend;
    Tape *tape;
    GArray *ops, *promises, *states, *copies;
    GHashTable *snaps;          /* name to TortureSnap */
    uint32_t next_value;
    uint8_t *buf;
    BlockNode *n;               /* the image that the guest writes to */
    TortureState now;
    struct TortureChain *chain; /* torture-chain.c; NULL: there is one image */
    /* a second thread of the guest */
    pthread_mutex_t ops_lock;   /* of ops, open, next_value */
    pthread_mutex_t beside_lock; /* held during each of its requests */
    sem_t turns;                /* requests that it may begin */
    unsigned open;              /* the op that it is at */
    unsigned pauses;            /* main thread */
    _Atomic bool paused, stop;
    _Atomic int beside_error;
    /* of the cut that is looked at: what the durable ops say of each sector */
    uint32_t newest[SECTORS];
    bool zero_too[SECTORS], written[SECTORS];
    unsigned settled, unsettled; /* ops of which that is; one that it is not of, or UINT_MAX */
    uint64_t first_size, cuts, leaks, seen; /* snapshots that were looked at */
} Torture;

/* One of n, by the seed; 0 of none. */
static inline uint32_t torture_pick(Torture *r, uint32_t n) { return n ? g_rand_int(r->rand) % n : 0; }

/* torture-guest.c */
bool torture_work(Torture *r, uint64_t count, bool beside, Error **errp);
uint32_t torture_number(Torture *r);             /* a new one */
/* What is about to be done, while no other thread does anything. */
TortureOp *torture_begin(Torture *r, OpKind kind, uint32_t sector, uint32_t count, uint32_t value);
void torture_promise(Torture *r);                /* all of it until now is durable */
void torture_state(Torture *r);                  /* r->now holds from now on */
void torture_pause(Torture *r);                  /* the second thread does nothing until as many torture_resume() */
void torture_resume(Torture *r);

/* torture.c */
/* what the host's file holds, on the tape */
bool torture_load(Torture *r, unsigned file, const char *path, Error **errp);

/* torture-amend.c: options of the image change. */
bool torture_amend(Torture *r, Error **errp);

/* torture-chain.c: jobs, overlays and commands on a chain of images. */
void torture_chain_begin(Torture *r);            /* r->n is the drive's from now on */
/* before each request of the guest; r->n may be another image then */
bool torture_chain_step(Torture *r, Error **errp);
void torture_chain_flushed(Torture *r);          /* the guest's flush has ended */
bool torture_chain_end(Torture *r, Error **errp);

/* torture-cuts.c */
/* the image as it lies on the tape's disk */
BlockNode *torture_open(const Torture *r, unsigned file, unsigned flags, Error **errp);
/* each sector's number; zeroes beyond the end */
bool torture_read(Torture *r, BlockNode *n, uint32_t *value, Error **errp);
/* from event `first` of the tape on */
bool torture_cut_everywhere(Torture *r, unsigned first, unsigned tries, ImgProgress *p, Error **errp);
#endif
