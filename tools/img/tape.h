/* SPDX-License-Identifier: MIT */
/* Files in memory that record what reaches them, and what a power cut may leave of it (rhea-img torture). */
#ifndef TOOLS_IMG_TAPE_H
#define TOOLS_IMG_TAPE_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { TAPE_FILES = 6, TAPE_SECTOR = 512 };
typedef struct TapeDisk TapeDisk;

typedef enum TapeKind { TAPE_WRITE, TAPE_CUT /* to `offset` bytes */, TAPE_FLUSH } TapeKind;
typedef struct TapeEvent { TapeKind kind; unsigned file; uint64_t offset; GBytes *data; } TapeEvent;

typedef struct Tape {
    GPtrArray *events;            /* of TapeEvent */
    GByteArray *file[TAPE_FILES]; /* as they are now */
    TapeDisk *shown;              /* what the driver reads and writes instead, unrecorded; or NULL */
    pthread_mutex_t lock;
} Tape;

/* There is one at a time, which the block driver "torture-tape" (file name: "torture-tape:NUMBER") records on. */
Tape *tape_new(void);
void tape_free(Tape *t);
unsigned tape_length(Tape *t);          /* events until now; any thread */
char *tape_name(unsigned file);         /* for the driver; no two are of the same length */
unsigned tape_number(const char *name); /* TAPE_FILES: no such name */
/* The file holds this from now on, as if it had been written by others; not durable before a flush. */
void tape_load(Tape *t, unsigned file, const void *data, uint64_t len);
void tape_flush(Tape *t, unsigned file);

/*
 * The files as they are on the disk while the tape is gone through: `start` is the first event of a file that need not
 * be.
 */
struct TapeDisk { GByteArray *file[TAPE_FILES]; unsigned start[TAPE_FILES]; };
/* the driver reads and writes these instead, and nothing is recorded; NULL: no more. No image is open */
void tape_show(Tape *t, TapeDisk *d);
void tape_disk_init(TapeDisk *d);
void tape_disk_clear(TapeDisk *d);
void tape_disk_copy(TapeDisk *d, const TapeDisk *from);
/* Everything of `file` before event `to` is there. */
void tape_disk_apply(const Tape *t, TapeDisk *d, unsigned file, unsigned to);
/* Any sectors of what need not be there before event `to`; later writes may be there without earlier ones. */
void tape_disk_lose(const Tape *t, TapeDisk *d, unsigned to, GRand *rand);
#endif
