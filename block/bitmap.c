/* SPDX-License-Identifier: MIT */
/*
 * Dirty bitmaps: which parts of a disk were written to. Bits are set by requests as they end; formats load and store
 * them.
 */
#include <string.h>
#include "base/bits.h"
#include "block/bitmap.h"

typedef _Atomic uint64_t Word;

struct BlockBitmap {
    BlockNode *node;
    char *name;
    unsigned shift;      /* log2 of the granularity */
    uint64_t size, bits; /* of the disk in bytes; granules */
    Word *word;
    _Atomic bool enabled;
    bool persistent, inconsistent;
    unsigned busy;
};

static uint64_t words_for(uint64_t bits) { return (bits + 63) / 64; }

/* --- life --- */

static bool allocate(BlockBitmap *b, uint64_t size, Error **errp)
{
    uint64_t bits = (size >> b->shift) + !!(size & (BIT(b->shift) - 1)), total = words_for(bits) * 8,
             old = words_for(b->bits) * 8;
    for (unsigned i = 0; b->node->bitmaps && i < b->node->bitmaps->len; i++)
        total += words_for(((BlockBitmap *)b->node->bitmaps->pdata[i])->bits) * 8;
    Word *word = total - MIN(total, old) > BLOCK_BITMAP_BYTES_MAX
                     ? NULL
                     : g_try_malloc0_n(MAX(words_for(bits), 1u), sizeof *word);
    if (!word) {
        error_setf(errp, "bitmap '%s' of image '%s' would take too much memory; use a larger granularity", b->name,
                   block_filename(b->node));
        return false;
    }
    for (uint64_t i = 0; i < MIN(words_for(bits), words_for(b->bits)); i++)
        word[i] = b->word[i];
    if (bits < b->bits && bits & 63)
        word[bits / 64] &= bits_mask(bits & 63);
    g_free(b->word);
    b->word = word;
    b->bits = bits;
    b->size = size;
    return true;
}

static void bitmap_free(gpointer p)
{
    BlockBitmap *b = p;
    g_free(b->word);
    g_free(b->name);
    g_free(b);
}

static uint64_t default_granularity(BlockNode *n)
{
    BlockInfo info;
    block_info(n, &info, NULL);
    uint64_t cluster = info.cluster_size ? info.cluster_size : 64 * KiB;
    block_info_clear(&info);
    return CLAMP(cluster, 4 * KiB, 64 * KiB);
}

static bool name_fits(BlockNode *n, const char *name, Error **errp)
{
    if (!*name || strlen(name) > BLOCK_BITMAP_NAME_MAX)
        error_setf(errp, "bitmap '%s': a name has 1 to %d bytes", name, BLOCK_BITMAP_NAME_MAX);
    else if (block_bitmap_find(n, name, NULL))
        error_setf(errp, "image '%s' has a bitmap '%s' already; remove it first, or choose another name",
                   block_filename(n), name);
    else
        return true;
    return false;
}

BlockBitmap *block_bitmap_add(BlockNode *n, const char *name, uint64_t granularity, unsigned flags, Error **errp)
{
    granularity = granularity ? granularity : default_granularity(n);
    if (!name_fits(n, name, errp))
        return NULL;
    if (!is_pow2(granularity) || granularity < 512 || granularity > 2 * GiB) {
        error_setf(errp, "bitmap '%s': the granularity must be a power of two from 512 to 2G", name);
        return NULL;
    }
    if (flags & BITMAP_PERSISTENT &&
        (!n->drv->bitmap_can_store || !n->drv->bitmap_can_store(n, name, granularity, errp))) {
        if (!n->drv->bitmap_can_store)
            error_setf(errp, "image '%s': the %s format can't store bitmaps; qcow2 can", block_filename(n),
                       n->drv->name);
        return NULL;
    }
    BlockBitmap *b = g_new0(BlockBitmap, 1);
    *b = (BlockBitmap){ .node = n,
                        .name = g_strdup(name),
                        .shift = (unsigned)__builtin_ctzll(granularity),
                        .persistent = flags & BITMAP_PERSISTENT,
                        .inconsistent = flags & BITMAP_INCONSISTENT };
    b->enabled = !(flags & (BITMAP_DISABLED | BITMAP_INCONSISTENT));
    if (!allocate(b, b->inconsistent ? 0 : block_size(n), errp)) {
        bitmap_free(b);
        return NULL;
    }
    block_drain_begin(n);
    if (!n->bitmaps)
        n->bitmaps = g_ptr_array_new_with_free_func(bitmap_free);
    g_ptr_array_add(n->bitmaps, b);
    block_drain_end(n);
    return b;
}

static bool idle(const BlockBitmap *b, const char *what, Error **errp)
{
    if (b->busy)
        error_setf(errp, "bitmap '%s' is in use (a job or an export reads it); it can't be %s now", b->name, what);
    return !b->busy;
}

static bool usable(const BlockBitmap *b, Error **errp)
{
    if (b->inconsistent)
        error_setf(errp, "bitmap '%s' is inconsistent: the image was not closed properly; remove the bitmap", b->name);
    return !b->inconsistent;
}

bool block_bitmap_remove(BlockNode *n, const char *name, Error **errp)
{
    BlockBitmap *b = block_bitmap_find(n, name, errp);
    if (!b || !idle(b, "removed", errp))
        return false;
    block_drain_begin(n);
    g_ptr_array_remove(n->bitmaps, b);
    block_drain_end(n);
    return true;
}

void block_bitmaps_free(BlockNode *n)
{
    if (n->bitmaps)
        g_ptr_array_unref(n->bitmaps);
    n->bitmaps = NULL;
}

bool block_bitmaps_resize(BlockNode *n, uint64_t size, Error **errp)
{
    for (unsigned i = 0; n->bitmaps && i < n->bitmaps->len; i++) {
        BlockBitmap *b = n->bitmaps->pdata[i];
        if (!b->inconsistent && !allocate(b, size, errp))
            return false;
    }
    return true;
}

/* --- look-up --- */

bool block_has_bitmaps(const BlockNode *n) { return n->drv->bitmap_can_store; }

BlockBitmap *block_bitmap_nth(const BlockNode *n, unsigned i)
{
    return n->bitmaps && i < n->bitmaps->len ? n->bitmaps->pdata[i] : NULL;
}

BlockBitmap *block_bitmap_find(const BlockNode *n, const char *name, Error **errp)
{
    BlockBitmap *b;
    for (unsigned i = 0; (b = block_bitmap_nth(n, i)); i++) {
        if (!strcmp(b->name, name))
            return b;
    }
    error_setf(errp, "image '%s' has no bitmap '%s'; rhea-img info lists them", block_filename(n), name);
    return NULL;
}

void block_bitmap_info(const BlockBitmap *b, BlockBitmapInfo *out)
{
    *out = (BlockBitmapInfo){ .name = b->name,
                              .granularity = BIT(b->shift),
                              .size = b->size,
                              .enabled = b->enabled,
                              .persistent = b->persistent,
                              .busy = b->busy,
                              .inconsistent = b->inconsistent };
    for (uint64_t i = 0; i < words_for(b->bits); i++)
        out->dirty += (uint64_t)__builtin_popcountll(b->word[i]) << b->shift;
}

/* --- bits --- */

static bool bit_at(const BlockBitmap *b, uint64_t i) { return b->word[i / 64] >> (i & 63) & 1; }

/* The first granule from `i` on that is `want`, or b->bits. */
static uint64_t seek(const BlockBitmap *b, uint64_t i, bool want)
{
    while (i < b->bits) {
        uint64_t w = (want ? b->word[i / 64] : ~b->word[i / 64]) >> (i & 63);
        if (w)
            return MIN(i + (uint64_t)__builtin_ctzll(w), b->bits);
        i = (i | 63) + 1;
    }
    return b->bits;
}

bool block_bitmap_status(const BlockBitmap *b, uint64_t offset, uint64_t len, uint64_t *pnum)
{
    uint64_t i = offset >> b->shift;
    *pnum = len;
    if (i >= b->bits)
        return false;
    bool dirty = bit_at(b, i);
    uint64_t next = seek(b, i, !dirty);
    if (next < b->bits)
        *pnum = MIN(len, (next << b->shift) - offset);
    return dirty;
}

bool block_bitmap_next(const BlockBitmap *b, uint64_t *offset, uint64_t *len)
{
    uint64_t first = seek(b, *offset >> b->shift, true), next = seek(b, first, false);
    if (first >= b->bits)
        return false;
    *offset = MAX(*offset, first << b->shift);
    *len = MIN(next << b->shift, b->size) - *offset;
    return *len;
}

static void change(BlockBitmap *b, uint64_t first, uint64_t last, bool set)
{
    for (uint64_t i = first; i < last; i = (i | 63) + 1) {
        uint64_t mask = bits_mask((unsigned)(MIN(last, (i | 63) + 1) - i)) << (i & 63);
        Word *w = &b->word[i / 64];
        if (!set)
            atomic_fetch_and(w, ~mask);
        else if ((atomic_load_explicit(w, memory_order_relaxed) & mask) != mask)
            atomic_fetch_or(w, mask);
    }
}

void block_bitmap_set(BlockBitmap *b, uint64_t offset, uint64_t len)
{
    if (len && offset < b->size)
        change(b, offset >> b->shift, MIN((offset + len - 1) >> b->shift, b->bits - 1) + 1, true);
}

void block_bitmap_reset(BlockBitmap *b, uint64_t offset, uint64_t len)
{
    uint64_t end = offset + len >= b->size ? b->bits : (offset + len) >> b->shift;
    change(b, align_up(offset, BIT(b->shift)) >> b->shift, end, false);
}

void block_bitmaps_written(BlockNode *n, uint64_t offset, uint64_t len)
{
    for (unsigned i = 0; i < n->bitmaps->len; i++) {
        BlockBitmap *b = n->bitmaps->pdata[i];
        if (atomic_load_explicit(&b->enabled, memory_order_relaxed))
            block_bitmap_set(b, offset, len);
    }
}

/* --- what a user does with one --- */

bool block_bitmap_clear(BlockBitmap *b, Error **errp)
{
    if (!usable(b, errp) || !idle(b, "cleared", errp))
        return false;
    change(b, 0, b->bits, false);
    return true;
}

bool block_bitmap_enable(BlockBitmap *b, bool on, Error **errp)
{
    if (!usable(b, errp) || !idle(b, on ? "enabled" : "disabled", errp))
        return false;
    b->enabled = on;
    return true;
}

bool block_bitmap_merge(BlockBitmap *dst, const BlockBitmap *src, Error **errp)
{
    uint64_t at = 0, len;
    if (!usable(dst, errp) || !usable(src, errp) || !idle(dst, "merged into", errp))
        return false;
    if (dst->size != src->size) {
        error_setf(errp, "bitmaps '%s' and '%s' are of disks of different sizes and can't be merged", dst->name,
                   src->name);
        return false;
    }
    for (; block_bitmap_next(src, &at, &len); at += len)
        block_bitmap_set(dst, at, len);
    return true;
}

bool block_bitmap_hold(BlockBitmap *b, Error **errp)
{
    if (!usable(b, errp))
        return false;
    b->busy++;
    return true;
}

void block_bitmap_release(BlockBitmap *b) { b->busy--; }

/* --- as files hold them: bit 0 of byte 0 is the first granule --- */

void block_bitmap_load(BlockBitmap *b, uint64_t byte, const uint8_t *data, size_t len)
{
    uint64_t bytes = (b->bits + 7) / 8;
    for (size_t i = 0; i < len && byte + i < bytes; i++)
        change(b, (byte + i) * 8, MIN((byte + i) * 8 + 8, b->bits), false),
            atomic_fetch_or(&b->word[(byte + i) / 8], (uint64_t)data[i] << ((byte + i) % 8 * 8));
    if (b->bits & 63)
        b->word[b->bits / 64] &= bits_mask(b->bits & 63);
}

void block_bitmap_save(const BlockBitmap *b, uint64_t byte, uint8_t *data, size_t len)
{
    uint64_t words = words_for(b->bits);
    for (size_t i = 0; i < len; i++)
        data[i] = (byte + i) / 8 < words ? (uint8_t)(b->word[(byte + i) / 8] >> ((byte + i) % 8 * 8)) : 0;
}

uint64_t block_bitmap_bytes(const BlockBitmap *b) { return (b->bits + 7) / 8; }
