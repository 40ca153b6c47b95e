/* SPDX-License-Identifier: MIT */
/*
 * The saved machine as bytes that are written and read at offsets: in a file, or in a disk image. Format:
 * docs/state.md.
 */
#ifndef HW_CORE_SAVE_H
#define HW_CORE_SAVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/error.h"

/* Where the bytes are. Several threads call at the same time; 0 or a negative errno. Reading: [0, size) exists. */
typedef struct SaveIo {
    int (*read)(void *opaque, uint64_t offset, const struct iovec *iov, int iovcnt);
    int (*write)(void *opaque, uint64_t offset, const struct iovec *iov, int iovcnt);
    /* all of it will be written; -ENOTSUP: no matter. May be NULL, as: */
    int (*reserve)(void *opaque, uint64_t offset, uint64_t len);
    /* the host may begin to write to the disk what it has */
    void (*write_out)(void *opaque);
    void *opaque;
    uint64_t size;
} SaveIo;

/*
 * Saving. save_ram() writes pages of all RAM blocks: the first time all, later those that the dirty log (ram.h) tells
 * of; the guest may run meanwhile, in any thread. save_end(): machine paused, main thread: devices, the pages they and
 * the guest have changed since, and the header, without which nothing is valid. save_free() at any time. *size: bytes
 * from 0 on that belong to it.
 */
typedef struct Save Save;
Save *save_new(const SaveIo *io, bool compress, Error **errp);
bool save_ram(Save *s, Error **errp);
bool save_end(Save *s, uint64_t *size, Error **errp);
void save_free(Save *s);
uint64_t save_written(const Save *s);       /* bytes so far; any thread */
void save_cancel(Save *s);                  /* any thread: save_ram() returns soon, with an error */

/* Can it be compressed in this program? */
bool save_can_compress(void);

/*
 * Loading, main thread, machine paused. load_check() reads all but RAM and changes nothing: false when it is damaged,
 * or of a machine with other memory. load_all() then overwrites RAM and devices: after a failure the machine is in no
 * defined state.
 */
typedef struct Load Load;
Load *load_check(const SaveIo *io, Error **errp);
bool load_all(Load *l, Error **errp);
void load_free(Load *l);
#endif
