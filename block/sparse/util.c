/* SPDX-License-Identifier: MIT */
/* Small things that several formats need: errors, new files, UUIDs. */
#include <stdarg.h>
#include <sys/random.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

bool sparse_bad(BlockNode *n, Error **errp, const char *what)
{
    error_setf(errp, "image '%s' is no valid %s image: %s", block_filename(n), n->drv->name, what);
    return false;
}

BlockNode *sparse_create_file(const char *filename, Error **errp)
{
    g_autoptr(Opts) o = opts_new(), none = opts_new();
    opts_set(o, "driver", "file");
    return block_driver_find("file")->create(filename, 0, none, errp) ? block_open(filename, o, BLOCK_RDWR, errp) : NULL;
}

uint64_t sparse_used_blocks(BlockNode *n, uint64_t unit)
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

void sparse_detail(BlockInfo *out, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g_ptr_array_add(out->details, g_strdup(key));
    g_ptr_array_add(out->details, g_strdup_vprintf(fmt, ap));
    va_end(ap);
}

void sparse_random(void *buf, size_t len)
{
    uint8_t *p = buf;
    while (len) {
        ssize_t got = getrandom(p, len, 0);
        g_assert(got > 0 || errno == EINTR);
        p += MAX(got, 0);
        len -= (size_t)MAX(got, 0);
    }
}

void sparse_uuid(uint8_t uuid[16])
{
    sparse_random(uuid, 16);
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
}
