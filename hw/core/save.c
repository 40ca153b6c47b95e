/* SPDX-License-Identifier: MIT */
/*
 * Saving a machine: pages that are not zero, devices, an index. Pages may be saved while the guest runs, and again once
 * it has changed them.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include "base/thread.h"
#include "hw/core/device.h"
#include "hw/core/save-format.h"
#include "rhea-config.h"
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

enum { ZSTD_LEVEL = 1, WRITE_MAX = 1 << 20 /* why: block/file.c */ };

/* Four pages of RAM; where they are saved. */
typedef struct Unit {
    uint64_t at, sum;
    uint32_t stored, room;  /* bytes; room: of the place, which a later pass may use again */
    uint16_t mask;          /* pages that are not zero, SAVE_ZSTD */
    bool due;
} Unit;

struct Save {
    SaveIo io;
    bool compress, began;
    SaveBlocks blocks;
    Unit *unit;
    unsigned chunks;        /* pieces of SAVE_CHUNK of all blocks */
    struct { unsigned block; uint64_t offset; Unit *unit; } *chunk;
    _Atomic uint64_t end, written;
    _Atomic bool cancelled;
};

bool save_can_compress(void)
{
#ifdef HAVE_ZSTD
    return true;
#else
    return false;
#endif
}

Save *save_new(const SaveIo *io, bool compress, Error **errp)
{
    if (compress && !save_can_compress()) {
        error_setf(errp, "this program was built without zstd; save without compression");
        return NULL;
    }
    Save *s = g_new0(Save, 1);
    s->io = *io;
    s->compress = compress;
    s->end = SAVE_HEADER;
    save_blocks_init(&s->blocks);
    s->unit = g_new0(Unit, s->blocks.units + 1);
    s->chunk = g_malloc0_n(s->blocks.units / (SAVE_CHUNK / SAVE_UNIT) + s->blocks.count + 1, sizeof *s->chunk);
    uint64_t unit = 0;
    for (unsigned b = 0; b < s->blocks.count; b++) {
        for (uint64_t at = 0; at < s->blocks.block[b].size; at += SAVE_CHUNK) {
            s->chunk[s->chunks].block = b;
            s->chunk[s->chunks].offset = at;
            s->chunk[s->chunks++].unit = &s->unit[unit + at / SAVE_UNIT];
        }
        unit += (s->blocks.block[b].size + SAVE_UNIT - 1) / SAVE_UNIT;
    }
    return s;
}

void save_free(Save *s)
{
    if (!s)
        return;
    g_free(s->blocks.block);
    g_free(s->unit);
    g_free(s->chunk);
    g_free(s);
}

uint64_t save_written(const Save *s) { return atomic_load(&((Save *)s)->written); }
void save_cancel(Save *s) { atomic_store(&s->cancelled, true); }

/* --- which pages --- */

static const RamBlock *block_of(const Save *s, unsigned chunk) { return &s->blocks.block[s->chunk[chunk].block]; }
static unsigned units_in(const Save *s, unsigned chunk)
{
    uint64_t left = block_of(s, chunk)->size - s->chunk[chunk].offset;
    return (unsigned)((MIN(left, (uint64_t)SAVE_CHUNK) + SAVE_UNIT - 1) / SAVE_UNIT);
}

static uint16_t pages_of(const RamBlock *b, uint64_t offset)
{
    uint16_t mask = 0;
    for (unsigned p = 0; p < SAVE_UNIT / SAVE_PAGE && offset + p * SAVE_PAGE < b->size; p++)
        mask |= (uint16_t)(!buf_is_zero(b->host + offset + p * SAVE_PAGE, SAVE_PAGE) << p);
    return mask;
}

static uint64_t sum_pages(const Unit *u, const uint8_t *host)
{
    uint64_t sum = 0;
    if ((u->mask & SAVE_ALL_PAGES) == SAVE_ALL_PAGES)
        return save_sum(0, host, SAVE_UNIT);
    for (unsigned p = 0; p < SAVE_UNIT / SAVE_PAGE; p++) {
        if (u->mask >> p & 1)
            sum = save_sum(sum, host + p * SAVE_PAGE, SAVE_PAGE);
    }
    return sum;
}

static int look(void *opaque, unsigned chunk)
{
    Save *s = opaque;
    const RamBlock *b = block_of(s, chunk);
    for (unsigned i = 0; i < units_in(s, chunk); i++) {
        Unit *u = s->chunk[chunk].unit + i;
        uint64_t offset = s->chunk[chunk].offset + i * (uint64_t)SAVE_UNIT;
        u->due = !s->began || ram_dirty_take(b->start + offset, MIN((uint64_t)SAVE_UNIT, b->size - offset));
        if (!u->due)
            continue;
        u->mask = pages_of(b, offset);
    }
    return s->cancelled ? -ECANCELED : 0;
}

/* In order, so that neighbours in RAM are neighbours there, and one machine is saved as the same bytes each time. */
static int place(Save *s)
{
    uint64_t from = s->end;
    for (uint64_t i = 0; i < s->blocks.units; i++) {
        Unit *u = &s->unit[i];
        if (!u->due || !u->mask)
            continue;
        u->stored = (unsigned)__builtin_popcount(u->mask) * SAVE_PAGE;
        if (u->stored > u->room) {
            u->at = s->end;
            u->room = u->stored;
            s->end += u->stored;
        }
    }
    int r = s->end > from && s->io.reserve ? s->io.reserve(s->io.opaque, from, s->end - from) : 0;
    return r == -ENOTSUP ? 0 : r;
}

/* --- plain pages: straight from RAM --- */

static int write_batch(Save *s, SaveBatch *b)
{
    int r = b->count ? s->io.write(s->io.opaque, b->at, b->iov, b->count) : 0;
    atomic_fetch_add(&s->written, b->len);
    save_batch_clear(b);
    return r;
}

static int write_plain(Save *s, unsigned chunk)
{
    g_autofree SaveBatch *b = save_batch_new();
    int r = 0;
    for (unsigned i = 0; i < units_in(s, chunk) && !r; i++) {
        Unit *u = s->chunk[chunk].unit + i;
        uint8_t *host = block_of(s, chunk)->host + s->chunk[chunk].offset + i * (uint64_t)SAVE_UNIT;
        if (!u->due || !u->mask)
            continue;
        r = save_batch_goes_on(b, u->at) && b->len < WRITE_MAX ? 0 : write_batch(s, b);
        save_batch_add(b, u->at, u->mask, host);
    }
    r = r ? r : write_batch(s, b);
    return !r && s->cancelled ? -ECANCELED : r;
}

/* --- compressed: packed into pieces, in the order in which threads fill them --- */

#ifdef HAVE_ZSTD
/* At most SAVE_UNIT bytes to out: compressed, or as they are when that is no shorter. */
static uint32_t pack(ZSTD_CCtx *z, Unit *u, const uint8_t *host, uint8_t *out)
{
    uint8_t pages[SAVE_UNIT];
    uint32_t len = 0;
    for (unsigned p = 0; p < SAVE_UNIT / SAVE_PAGE; p++) {
        if (u->mask >> p & 1) {
            memcpy(pages + len, host + p * SAVE_PAGE, SAVE_PAGE);
            len += SAVE_PAGE;
        }
    }
    size_t n = ZSTD_compressCCtx(z, out, len - 1, pages, len, ZSTD_LEVEL);
    if (ZSTD_isError(n)) {
        memcpy(out, pages, len);
        return len;
    }
    u->mask |= SAVE_ZSTD;
    memset(out + n, 0, align_up(n, 8) - n);
    return (uint32_t)n;
}

static int write_packed(void *opaque, unsigned chunk)
{
    Save *s = opaque;
    g_autofree uint8_t *buf = g_malloc(SAVE_CHUNK + SAVE_UNIT);
    uint64_t len = 0;
    ZSTD_CCtx *z = ZSTD_createCCtx();
    for (unsigned i = 0; i < units_in(s, chunk); i++) {
        Unit *u = s->chunk[chunk].unit + i;
        if (!u->due || !u->mask)
            continue;
        u->stored = pack(z, u, block_of(s, chunk)->host + s->chunk[chunk].offset + i * (uint64_t)SAVE_UNIT, buf + len);
        u->sum = save_sum(0, buf + len, align_up(u->stored, 8));
        u->at = len;
        len += align_up(u->stored, 8);
    }
    ZSTD_freeCCtx(z);
    uint64_t at = atomic_fetch_add(&s->end, align_up(len, SAVE_PAGE));
    for (unsigned i = 0; i < units_in(s, chunk); i++) {
        Unit *u = s->chunk[chunk].unit + i;
        u->at += u->due && u->mask ? at : 0;
    }
    struct iovec iov = { buf, align_up(len, SAVE_PAGE) };
    memset(buf + len, 0, iov.iov_len - len);
    int r = len ? s->io.write(s->io.opaque, at, &iov, 1) : 0;
    atomic_fetch_add(&s->written, len);
    return !r && s->cancelled ? -ECANCELED : r;
}
#else
static int write_packed(void *opaque, unsigned chunk) { return -ENOTSUP; }
#endif

/*
 * One thread writes: the host lets one at a time write to a file, and others would wait for it spinning. Another
 * follows it: it sums up what was written, while caches have it, and lets the host write to the disk, so that little is
 * left when all of it must be there.
 */
enum { WRITE_OUT_CHUNKS = 16 };

typedef struct Follower {
    Save *s;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned written;       /* chunks */
    bool ended;
} Follower;

static void sum_chunk(Save *s, unsigned chunk)
{
    const uint8_t *host = block_of(s, chunk)->host + s->chunk[chunk].offset;
    for (unsigned i = 0; i < units_in(s, chunk); i++) {
        Unit *u = s->chunk[chunk].unit + i;
        if (u->due && u->mask)
            u->sum = sum_pages(u, host + i * (uint64_t)SAVE_UNIT);
    }
}

static void *follow(void *opaque)
{
    Follower *f = opaque;
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->s->chunks; i++) {
        while (f->written <= i && !f->ended)
            pthread_cond_wait(&f->changed, &f->lock);
        if (f->written <= i)
            break;
        pthread_mutex_unlock(&f->lock);
        sum_chunk(f->s, i);
        if (i % WRITE_OUT_CHUNKS == WRITE_OUT_CHUNKS - 1 && f->s->io.write_out)
            f->s->io.write_out(f->s->io.opaque);
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void tell(Follower *f, unsigned written, bool ended)
{
    pthread_mutex_lock(&f->lock);
    f->written = written;
    f->ended = ended;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static int write_all_plain(Save *s)
{
    Follower f = { .s = s, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    pthread_t thread = thread_start("saved state", follow, &f);
    unsigned written = 0;
    int r = 0;
    while (written < s->chunks && !r) {
        r = write_plain(s, written);
        tell(&f, written += !r, false);
    }
    tell(&f, written, true);
    pthread_join(thread, NULL);
    return r;
}

static int save_pages(Save *s)
{
    int r = save_parallel(s->chunks, look, s);
    s->began = true;
    if (r || s->compress)
        return r ? r : save_parallel(s->chunks, write_packed, s);
    r = place(s);
    return r ? r : write_all_plain(s);
}

static bool report(int r, Error **errp)
{
    if (r == -ECANCELED)
        error_setf(errp, "cancelled");
    else if (r)
        error_set_errno(errp, -r, "writing it failed");
    return !r;
}

bool save_ram(Save *s, Error **errp) { return report(save_pages(s), errp); }

/* --- the rest --- */

static int write_at(Save *s, uint64_t at, const void *data, size_t len)
{
    struct iovec iov = { (void *)data, len };
    atomic_fetch_add(&s->written, len);
    return len ? s->io.write(s->io.opaque, at, &iov, 1) : 0;
}

static uint8_t *make_index(const Save *s, uint64_t *units, size_t *len)
{
    *units = 0;
    for (uint64_t i = 0; i < s->blocks.units; i++)
        *units += s->unit[i].mask != 0;
    *len = s->blocks.count * 16 + *units * SAVE_ENTRY;
    uint8_t *index = g_malloc(*len + 1), *p = index;
    for (unsigned b = 0; b < s->blocks.count; b++, p += 16) {
        store_le64(p, s->blocks.block[b].start);
        store_le64(p + 8, s->blocks.block[b].size);
    }
    const Unit *u = s->unit;
    for (unsigned b = 0; b < s->blocks.count; b++) {
        for (uint64_t at = 0; at < s->blocks.block[b].size; at += SAVE_UNIT, u++) {
            if (!u->mask)
                continue;
            store_le64(p, s->blocks.block[b].start + at);
            store_le64(p + 8, u->at);
            store_le32(p + 16, u->stored);
            store_le32(p + 20, u->mask);
            store_le64(p + 24, u->sum);
            p += SAVE_ENTRY;
        }
    }
    return index;
}

static int write_end(Save *s, GBytes *stream, uint64_t *size)
{
    uint64_t units;
    size_t len, stream_len;
    const uint8_t *data = g_bytes_get_data(stream, &stream_len);
    g_autofree uint8_t *index = make_index(s, &units, &len), *padded = g_malloc0(align_up(stream_len, 8));
    memcpy(padded, data, stream_len);
    uint64_t stream_at = s->end, index_at = stream_at + align_up(stream_len, 8);
    *size = index_at + len;
    uint8_t h[SAVE_HEADER] = { 0 };
    memcpy(h, SAVE_MAGIC, 8);
    store_le32(h + H_VERSION, SAVE_VERSION);
    store_le32(h + H_BLOCKS, s->blocks.count);
    store_le64(h + H_SIZE, *size);
    store_le64(h + H_STREAM, stream_at);
    store_le64(h + H_STREAM_LEN, stream_len);
    store_le64(h + H_STREAM_SUM, save_sum(0, padded, align_up(stream_len, 8)));
    store_le64(h + H_INDEX, index_at);
    store_le64(h + H_UNITS, units);
    store_le64(h + H_INDEX_SUM, save_sum(0, index, len));
    store_le64(h + H_SUM, save_sum(0, h, H_SUM));
    int r = write_at(s, stream_at, padded, align_up(stream_len, 8));
    r = r ? r : write_at(s, index_at, index, len);
    return r ? r : write_at(s, 0, h, sizeof h);
}

bool save_end(Save *s, uint64_t *size, Error **errp)
{
    StateWriter *w = state_writer_new();
    device_save_all(w); /* what devices still had to do is in RAM after it */
    g_autoptr(GBytes) stream = state_writer_finish(w);
    if (g_bytes_get_size(stream) > SAVE_STREAM_MAX) {
        error_setf(errp, "the devices' state is larger than %" G_GUINT64_FORMAT " MiB",
                   (guint64)(SAVE_STREAM_MAX / MiB));
        return false;
    }
    ram_dirty_sync();
    int r = save_pages(s);
    return report(r ? r : write_end(s, stream, size), errp);
}
