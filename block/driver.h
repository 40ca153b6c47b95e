/* SPDX-License-Identifier: MIT */
/* What a format, protocol or filter is: one const table; and what drivers use of each other. */
#ifndef BLOCK_DRIVER_H
#define BLOCK_DRIVER_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/iov.h"
#include "block/block.h"
#include "block/in-flight.h"

typedef struct BlockAio BlockAio;
typedef struct BlockAioStep BlockAioStep;

/*
 * All functions that do I/O may be called from several threads at once and lock for themselves. The core has checked
 * ranges: offset + length never passes the node's size for reads and writes, and is aligned to `request_align`. Files
 * are untrusted: every field is checked before it is used, no allocation follows a length from a file without a limit.
 */
struct BlockDriver {
    const char *name, *desc;
    bool protocol;               /* reaches the host itself, has no `file` */
    bool filter;                 /* shows its `file` as it is (block/filter.h) */
    bool own_size;               /* filter: its file may be longer */
    const char *child;           /* another name of `file` in options ("image"), whose format is looked for; or NULL */
    bool grows;                  /* writes beyond the end make it longer, reads there give zeroes */
    bool new_is_noise;           /* a new image does not read as zeroes */
    size_t instance_size;        /* of BlockNode.opaque, zeroed */
    const char *const *schemes;  /* protocols: "nbd", "https" … */
    const char *const *options;  /* keys of -blockdev beyond the common ones, for errors */
    const BlockCreateOption *create_options, *amend_options;

    unsigned (*probe)(const uint8_t *head, size_t len, const char *filename); /* 0..100 */
    /* protocols: "SCHEME:rest" into options */
    bool (*parse_filename)(const char *filename, Opts *options, Error **errp);
    bool (*open)(BlockNode *n, Opts *options, Error **errp);
    void (*close)(BlockNode *n);
    bool (*inactivate)(BlockNode *n, Error **errp); /* write back all that is cached; before close */
    /*
     * The flags say another thing about writing now (block_reopen()). Protocols without it can't change; formats need
     * it only for what opening does.
     */
    bool (*reopened)(BlockNode *n, Error **errp);

    int (*preadv)(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
    int (*pwritev)(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags);
    /* -EAGAIN: would wait */
    int (*preadv_nowait)(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
    int (*pwritev_nowait)(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);
    /*
     * block/aio.h: pass on by block_aio(), or carry out and end by block_aio_end(); -EAGAIN: nothing has happened.
     * aio_ended: what aio made for step
     */
    int (*aio)(BlockNode *n, BlockAio *a, BlockAioStep *step);
    void (*aio_ended)(BlockNode *n, BlockAioStep *step);
    /* -ENOTSUP: the core writes zeroes */
    int (*pwrite_zeroes)(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags);
    int (*pdiscard)(BlockNode *n, uint64_t offset, uint64_t len);
    int (*flush)(BlockNode *n);
    int (*reserve)(BlockNode *n, uint64_t offset, uint64_t len); /* block_reserve(), block_write_out() */
    void (*write_out)(BlockNode *n);
    int (*scsi)(BlockNode *n, BlockScsi *s, const struct iovec *iov, int iovcnt);
    bool (*passes_scsi)(BlockNode *n); /* SCSI commands are for its `file`: it shows all of it, as it is */
    /* absent: all data, allocated, same offset in file */
    int (*status)(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out);
    bool (*truncate)(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp);
    bool (*info)(BlockNode *n, BlockInfo *out, Error **errp);

    bool (*create)(const char *filename, uint64_t size, Opts *options, Error **errp);
    bool (*amend)(BlockNode *n, Opts *options, bool force, Error **errp);
    bool (*measure)(Opts *options, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp);
    bool (*check)(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp);
    bool (*change_backing)(BlockNode *n, const char *file, const char *format, Error **errp);
    bool (*make_empty)(BlockNode *n, Error **errp);

    bool (*snapshot_list)(BlockNode *n, GArray *out, Error **errp);
    bool (*snapshot_create)(BlockNode *n, const BlockSnapshot *info, Error **errp);
    bool (*snapshot_apply)(BlockNode *n, const char *id_or_name, Error **errp);
    bool (*snapshot_delete)(BlockNode *n, const char *id_or_name, Error **errp);
    bool (*snapshot_load)(BlockNode *n, const char *id_or_name, Error **errp);
    /* May a persistent bitmap be made? Absent: the format stores none. */
    bool (*bitmap_can_store)(BlockNode *n, const char *name, uint64_t granularity, Error **errp);
    int (*vmstate_pwritev)(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);
    int (*vmstate_reserve)(BlockNode *n, uint64_t offset, uint64_t len);
    int (*vmstate_discard)(BlockNode *n);
    int (*snapshot_vmstate_preadv)(BlockNode *n, const char *id_or_name, uint64_t offset, const struct iovec *iov,
                                   int iovcnt);
};

/*
 * Who looks at a node's writes (jobs): before() may wait, after() is called once the driver is done, both in the
 * writer's thread. hold(): returns when the watcher itself has no request on its way and begins none until release();
 * block_drain_begin() calls it first.
 */
typedef struct BlockWrite { uint64_t start, end; struct BlockWrite *next; } BlockWrite;
typedef struct BlockWatch BlockWatch;
struct BlockWatch {
    void (*before)(BlockWatch *w, BlockWrite *e);
    void (*after)(BlockWatch *w, BlockWrite *e);
    void (*hold)(BlockWatch *w);
    void (*release)(BlockWatch *w);
};
enum { BLOCK_REQ_UNWATCHED = 1 << 8 }; /* the watcher's own write */

struct BlockNode {
    const BlockDriver *drv;
    void *opaque;
    char *filename, *node_name;
    unsigned flags;
    _Atomic unsigned refs;
    BlockNode *file;             /* layer below */
    BlockNode *backing;
    char *backing_file, *backing_format; /* as the image's header has them; NULL: none */
    _Atomic uint64_t size;       /* what the layer above sees; most filters: block_size() is that of `file` */
    unsigned request_align;      /* 1, or what O_DIRECT and the host device ask */
    bool any_memory;             /* request_align is about offsets and lengths only */
    unsigned zero_align;         /* pwrite_zeroes and pdiscard work in these units; 0: any */
    InFlight in_flight;
    BlockWatch *watch;           /* or NULL; changes while drained, main thread */
    /* writes of whole units; blocked (by the holder of `partial`) while part of one is read, changed and written */
    InFlight aligned;
    pthread_mutex_t partial;
    bool guessed;                /* nobody said which format it is */
    /*
     * a commit writes to it what an image above it holds, which must still take it for its backing file after a power
     * cut
     */
    bool merging;
    bool aio;                    /* requests may be carried out without a thread that waits: block/aio.h */
    GPtrArray *bitmaps;          /* of BlockBitmap; NULL: none. Changes while drained */
};

/* Around reading, changing and writing parts of units. */
void block_partial_begin(BlockNode *n);
void block_partial_end(BlockNode *n);
bool block_is_aligned(const BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt);

/* A read inside another request of this node, by whom it is counted. */
int block_preadv_inner(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);

void block_driver_register(const BlockDriver *d);
const BlockDriver *block_driver_find(const char *name);
#define BLOCK_DRIVER_REGISTER(drv_) \
    static void __attribute__((constructor)) drv_##_register(void) { block_driver_register(&drv_); }

bool block_grows(const BlockNode *n);
/* For protocols that grow: something was written up to `end`. Any thread. */
void block_grown(BlockNode *n, uint64_t end);

/* Read through to the backing file, zeroes beyond its end and without one. */
int block_read_backing(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt);

/* For create(): an empty file of the host, open to be written; NULL: error. */
BlockNode *block_new_file(const char *filename, Error **errp);
/* ... and its end: closes it, tells of a negative errno. ok: what else went well (else *errp is set). */
bool block_new_file_end(BlockNode *f, const char *filename, int error, bool ok, Error **errp);
/* For measure(): units of n (NULL: none) in which there are data. */
uint64_t block_used_units(BlockNode *n, uint64_t unit);

/* Options with a prefix taken out: "file.filename" → "filename". */
Opts *block_sub_options(Opts *o, const char *prefix);

enum { BLOCK_IOV_MAX = 1024 };
#endif
