/* SPDX-License-Identifier: MIT */
/* Small things that several formats need: errors, details, UUIDs. */
#include <stdarg.h>
#include <sys/random.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

bool sparse_bad(BlockNode *n, Error **errp, const char *what)
{
    error_setf(errp, "image '%s' is no valid %s image: %s", block_filename(n), n->drv->name, what);
    return false;
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
