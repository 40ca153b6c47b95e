/* SPDX-License-Identifier: MIT */
/* Advisory locks on image files, in the byte ranges that QEMU uses: either program sees the other's. */
#ifndef BLOCK_FILE_LOCK_H
#define BLOCK_FILE_LOCK_H

#include <stdbool.h>
#include "base/error.h"

/*
 * Take the locks of a reader, or of the only writer, on fd until it is closed. Byte 100 + p is held (shared) by who
 * uses permission p, byte 200 + p by who does not share it; p: 0 read, 1 write, 3 resize. A conflict is an error that
 * names who is in the way. A file system without such locks is no error.
 */
bool file_lock(int fd, bool write, const char *name, Error **errp);
/* Give up what file_lock() has taken; the lock may be taken anew. */
void file_unlock(int fd);
#endif
