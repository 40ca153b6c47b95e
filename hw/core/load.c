/* SPDX-License-Identifier: MIT */
/*
 * Loading a saved machine, which is not trusted: everything is checked before it is used, and memory is allocated for
 * what this machine has.
 */
#include <errno.h>
#include <string.h>
#include "hw/core/device.h"
#include "hw/core/memory.h"
#include "hw/core/save-format.h"
#include "rhea-config.h"
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

typedef struct Entry { uint64_t start, at, sum; uint32_t stored, mask; } Entry;

struct Load {
    SaveIo io;
    SaveBlocks blocks;
    Entry *entry;
    uint64_t units;
    uint64_t size;
    StateReader *reader;
    unsigned chunks;
    struct { unsigned block; uint64_t offset; } *chunk;
};

static int read_at(const Load *l, uint64_t at, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    return l->io.read(l->io.opaque, at, &iov, 1);
}

static bool damaged(int r, const char *what, Error **errp)
{
    if (r)
        error_set_errno(errp, -r, "reading it failed");
    else
        error_setf(errp, "it is damaged or cut short (%s)", what);
    return false;
}

/* [at, at + len) lies in what is saved. */
static bool inside(const Load *l, uint64_t at, uint64_t len)
{
    return at >= SAVE_HEADER && at <= l->size && len <= l->size - at;
}

static bool read_header(Load *l, uint8_t *h, Error **errp)
{
    if (l->io.size < SAVE_HEADER) {
        error_setf(errp, l->io.size ? "it is damaged or cut short (shorter than its header)"
                                    : "there is no saved machine in it");
        return false;
    }
    int r = read_at(l, 0, h, SAVE_HEADER);
    if (r)
        return damaged(r, "", errp);
    if (memcmp(h, SAVE_MAGIC, 8)) {
        error_setf(errp, "this is no saved machine of rhea");
        return false;
    }
    if (load_le32(h + H_VERSION) != SAVE_VERSION) {
        error_setf(errp, "it was saved by another version of rhea (format %u, this one reads %d); use that version",
                   load_le32(h + H_VERSION), SAVE_VERSION);
        return false;
    }
    if (load_le64(h + H_SUM) != save_sum(0, h, H_SUM))
        return damaged(0, "header", errp);
    l->size = load_le64(h + H_SIZE);
    if (l->size > l->io.size)
        return damaged(0, "its end is missing", errp);
    return true;
}

static bool read_stream(Load *l, const uint8_t *h, Error **errp)
{
    uint64_t at = load_le64(h + H_STREAM), len = load_le64(h + H_STREAM_LEN);
    if (len > SAVE_STREAM_MAX || !inside(l, at, align_up(len, 8)))
        return damaged(0, "devices", errp);
    g_autofree uint8_t *data = g_try_malloc0(align_up(len, 8) + 8);
    int r = data ? read_at(l, at, data, align_up(len, 8)) : -ENOMEM;
    if (r || save_sum(0, data, align_up(len, 8)) != load_le64(h + H_STREAM_SUM))
        return damaged(r, "devices", errp);
    g_autoptr(GBytes) stream = g_bytes_new_take(g_steal_pointer(&data), len);
    l->reader = state_reader_new(stream, errp);
    return l->reader;
}

static bool same_blocks(const Load *l, const uint8_t *index)
{
    bool same = true;
    for (unsigned b = 0; b < l->blocks.count; b++)
        same = same && load_le64(index + b * 16) == l->blocks.block[b].start &&
               load_le64(index + b * 16 + 8) == l->blocks.block[b].size;
    return same;
}

/* Entries in rising order, each of one unit of a block, in place. */
static bool take_entries(Load *l, const uint8_t *p)
{
    unsigned b = 0;
    uint64_t last = 0;
    l->entry = g_new(Entry, l->units + 1);
    for (uint64_t i = 0; i < l->units; i++, p += SAVE_ENTRY) {
        Entry e = { load_le64(p), load_le64(p + 8), load_le64(p + 24), load_le32(p + 16), load_le32(p + 20) };
        while (b < l->blocks.count && e.start >= l->blocks.block[b].start + l->blocks.block[b].size)
            b++;
        if (b == l->blocks.count || e.start < l->blocks.block[b].start || (i && e.start <= last))
            return false;
        uint64_t offset = e.start - l->blocks.block[b].start, left = l->blocks.block[b].size - offset;
        unsigned pages = (unsigned)(MIN(left, (uint64_t)SAVE_UNIT) / SAVE_PAGE),
                 plain = (unsigned)__builtin_popcount(e.mask & SAVE_ALL_PAGES) * SAVE_PAGE;
        bool packed = e.mask & SAVE_ZSTD;
        if (offset % SAVE_UNIT || !plain || e.mask & ~(uint32_t)(SAVE_ALL_PAGES | SAVE_ZSTD) ||
            e.mask & SAVE_ALL_PAGES & ~(BIT(pages) - 1) ||
            (packed ? !e.stored || e.stored >= plain : e.stored != plain) || e.at % 8 ||
            !inside(l, e.at, align_up(e.stored, 8)))
            return false;
        last = e.start;
        l->entry[i] = e;
    }
    l->entry[l->units] = (Entry){ .start = UINT64_MAX };
    return true;
}

static bool read_index(Load *l, const uint8_t *h, Error **errp)
{
    uint64_t at = load_le64(h + H_INDEX);
    l->units = load_le64(h + H_UNITS);
    if (load_le32(h + H_BLOCKS) == l->blocks.count && l->units <= l->blocks.units) {
        uint64_t len = l->blocks.count * 16 + l->units * SAVE_ENTRY;
        g_autofree uint8_t *index = inside(l, at, len) ? g_try_malloc(len + 1) : NULL;
        int r = index ? read_at(l, at, index, len) : 0;
        if (r || !index || save_sum(0, index, len) != load_le64(h + H_INDEX_SUM))
            return damaged(r, "index", errp);
        if (same_blocks(l, index))
            return take_entries(l, index + l->blocks.count * 16) || damaged(0, "index", errp);
    }
    error_setf(errp, "the saved machine has other memory; start this one with the same -M, -m and -device options");
    return false;
}

Load *load_check(const SaveIo *io, Error **errp)
{
    Load *l = g_new0(Load, 1);
    uint8_t h[SAVE_HEADER];
    l->io = *io;
    save_blocks_init(&l->blocks);
    if (!read_header(l, h, errp) || !read_index(l, h, errp) || !read_stream(l, h, errp)) {
        load_free(l);
        return NULL;
    }
    l->chunk = g_malloc0_n(l->blocks.units / (SAVE_CHUNK / SAVE_UNIT) + l->blocks.count + 1, sizeof *l->chunk);
    for (unsigned b = 0; b < l->blocks.count; b++) {
        for (uint64_t at = 0; at < l->blocks.block[b].size; at += SAVE_CHUNK) {
            l->chunk[l->chunks].block = b;
            l->chunk[l->chunks++].offset = at;
        }
    }
    return l;
}

void load_free(Load *l)
{
    if (!l)
        return;
    if (l->reader)
        state_reader_free(l->reader);
    g_free(l->blocks.block);
    g_free(l->entry);
    g_free(l->chunk);
    g_free(l);
}

/* --- RAM --- */

static void clear_pages(uint8_t *host, uint64_t size, unsigned keep)
{
    for (unsigned p = 0; p * SAVE_PAGE < size; p++) {
        if (!(keep >> p & 1) && !buf_is_zero(host + p * SAVE_PAGE, SAVE_PAGE))
            memset(host + p * SAVE_PAGE, 0, SAVE_PAGE);
    }
}

static uint64_t sum_pages(const Entry *e, const uint8_t *host)
{
    uint64_t sum = 0;
    if ((e->mask & SAVE_ALL_PAGES) == SAVE_ALL_PAGES)
        return save_sum(0, host, SAVE_UNIT);
    for (unsigned p = 0; p < SAVE_UNIT / SAVE_PAGE; p++) {
        if (e->mask >> p & 1)
            sum = save_sum(sum, host + p * SAVE_PAGE, SAVE_PAGE);
    }
    return sum;
}

#ifdef HAVE_ZSTD
static int unpack(const Load *l, const Entry *e, uint8_t *host)
{
    uint8_t in[SAVE_UNIT], out[SAVE_UNIT];
    unsigned plain = (unsigned)__builtin_popcount(e->mask & SAVE_ALL_PAGES) * SAVE_PAGE;
    int r = read_at(l, e->at, in, align_up(e->stored, 8));
    if (r)
        return r;
    if (save_sum(0, in, align_up(e->stored, 8)) != e->sum || ZSTD_decompress(out, plain, in, e->stored) != plain)
        return -EBADMSG;
    for (unsigned p = 0, k = 0; p < SAVE_UNIT / SAVE_PAGE; p++) {
        if (e->mask >> p & 1)
            memcpy(host + p * SAVE_PAGE, out + k++ * SAVE_PAGE, SAVE_PAGE);
    }
    return 0;
}
#else
static int unpack(const Load *l, const Entry *e, uint8_t *host) { return -ENOTSUP; }
#endif

static int read_batch(const Load *l, SaveBatch *b)
{
    int r = b->count ? l->io.read(l->io.opaque, b->at, b->iov, b->count) : 0;
    save_batch_clear(b);
    return r;
}

static const Entry *first_entry(const Load *l, uint64_t start)
{
    uint64_t low = 0, high = l->units;
    while (low < high) {
        uint64_t mid = (low + high) / 2;
        if (l->entry[mid].start < start)
            low = mid + 1;
        else
            high = mid;
    }
    return &l->entry[low];
}

static int load_chunk(void *opaque, unsigned i)
{
    const Load *l = opaque;
    const RamBlock *block = &l->blocks.block[l->chunk[i].block];
    uint64_t from = l->chunk[i].offset, to = MIN(from + SAVE_CHUNK, block->size);
    const Entry *first = first_entry(l, block->start + from), *e = first;
    g_autofree SaveBatch *b = save_batch_new();
    int r = 0;
    for (uint64_t at = from; at < to && !r; at += SAVE_UNIT) {
        bool there = e->start == block->start + at;
        clear_pages(block->host + at, MIN((uint64_t)SAVE_UNIT, to - at), there ? e->mask : 0);
        if (there && e->mask & SAVE_ZSTD) {
            r = unpack(l, e, block->host + at);
        } else if (there) {
            r = save_batch_goes_on(b, e->at) ? 0 : read_batch(l, b);
            save_batch_add(b, e->at, e->mask, block->host + at);
        }
        e += there;
    }
    r = r ? r : read_batch(l, b);
    for (; !r && first < e; first++) {
        if (!(first->mask & SAVE_ZSTD) && sum_pages(first, block->host + (first->start - block->start)) != first->sum)
            r = -EBADMSG;
    }
    return r;
}

static void report_block(const RamBlock *b, void *opaque) { mem_ram_written(b->start, b->size); }

bool load_all(Load *l, Error **errp)
{
    int r = save_parallel(l->chunks, load_chunk, l);
    bool ok = !r || damaged(r == -EBADMSG ? 0 : r, "contents of the memory", errp);
    ok = ok && device_load_all(l->reader, errp);
    ram_foreach_block(report_block, NULL);
    return ok;
}
