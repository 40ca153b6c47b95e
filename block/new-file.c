/* SPDX-License-Identifier: MIT */
/* What making images has in common: the file below, and how much data it will hold. */
#include "block/driver.h"

BlockNode *block_new_file(const char *filename, Error **errp)
{
    g_autoptr(Opts) o = opts_new(), none = opts_new();
    opts_set(o, "driver", "file");
    return block_driver_find("file")->create(filename, 0, none, errp)
               ? block_open(filename, o, BLOCK_RDWR | BLOCK_NO_FLUSH, errp)
               : NULL;
}

uint64_t block_used_units(BlockNode *n, uint64_t unit)
{
    uint64_t used = 0, counted_to = 0;
    for (uint64_t at = 0, size = n ? block_size(n) : 0; at < size;) {
        BlockStatus s;
        if (block_status_above(n, NULL, at, size - at, &s) || !s.pnum)
            break;
        if (s.flags & BLOCK_DATA && !(s.flags & BLOCK_ZERO)) {
            uint64_t first = MAX(at / unit, counted_to), last = (at + s.pnum + unit - 1) / unit;
            used += last > first ? last - first : 0;
            counted_to = MAX(counted_to, last);
        }
        at += s.pnum;
    }
    return used;
}

bool block_new_file_end(BlockNode *f, const char *filename, int error, bool ok, Error **errp)
{
    block_unref(f);
    if (error)
        error_set_errno(errp, -error, "image '%s': can't be written", filename);
    return ok && !error;
}
