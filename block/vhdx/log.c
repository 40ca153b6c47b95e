/* SPDX-License-Identifier: MIT */
/* vhdx: headers, the log: replay, and entries for changes of the BAT. */
#include <inttypes.h>
#include <string.h>
#include "block/vhdx/vhdx.h"

/*
 * [MS-VHDX] 2.3. What is changed in tables goes to the log first. Our entries stand for themselves (their tail is their
 * own place): data is durable before one is written, the entry is durable before the tables are written in place, and
 * those are before the next entry is.
 */
enum {
    LE_CHECKSUM = 4,
    LE_LENGTH = 8,
    LE_TAIL = 12,
    LE_SEQUENCE = 16,
    LE_DESCRIPTORS = 24,
    LE_GUID = 32,
    LE_FLUSHED = 48,
    LE_LAST = 56,
    LE_HEADER = 64,
    DESCRIPTOR = 32,
    ENTRY_PAGES_MAX = 126
};

/* --- checksums --- */

static uint32_t crc_table[8][256];

static void __attribute__((constructor)) make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (unsigned k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (unsigned t = 1; t < 8; t++)
            crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 0xff];
    }
}

uint32_t vhdx_crc(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v = load_le64(p) ^ crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++)
            crc ^= crc_table[7 - i][v >> (8 * i) & 0xff];
    }
    while (len--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 0xff];
    return crc;
}

uint32_t vhdx_checksum(const void *data, size_t len, size_t at)
{
    static const uint8_t zero[4];
    const uint8_t *p = data;
    return ~vhdx_crc(vhdx_crc(vhdx_crc(UINT32_MAX, p, at), zero, 4), p + at + 4, len - at - 4);
}

/* --- headers --- */

int vhdx_write_header(BlockNode *n)
{
    Vhdx *v = vhdx_of(n);
    store_le64(v->header + HE_SEQUENCE, load_le64(v->header + HE_SEQUENCE) + 1);
    store_le32(v->header + HE_CHECKSUM, vhdx_checksum(v->header, VHDX_HEADER, HE_CHECKSUM));
    int r = block_pwrite(n->file, v->second ? VHDX_HEADER1 : VHDX_HEADER2, v->header, VHDX_HEADER);
    r = r ? r : block_flush(n->file);
    if (!r)
        v->second = !v->second;
    return r;
}

bool vhdx_log_is_empty(const Vhdx *v) { return buf_is_zero(v->header + HE_LOG_GUID, 16); }

/* --- reading the log --- */

typedef struct Entry { uint64_t sequence; uint32_t length, tail; bool tested, valid; } Entry;
typedef struct Log {
    BlockNode *n;
    Vhdx *v;
    uint8_t *ring;       /* all of it in memory */
    Entry *entries;      /* one for each page of the ring that an entry may start at */
    uint64_t pages, budget; /* bytes that may still be summed: a crafted log must not take for ever */
} Log;

static void copy_out(const Log *g, uint64_t at, void *out, uint64_t len)
{
    uint64_t first = MIN(len, g->v->log_length - at);
    memcpy(out, g->ring + at, first);
    memcpy((uint8_t *)out + first, g->ring, len - first);
}

static uint32_t sum_entry(const Log *g, uint64_t at, uint64_t len)
{
    static const uint8_t zero[4];
    uint64_t first = MIN(len, g->v->log_length - at);
    uint32_t crc = vhdx_crc(vhdx_crc(UINT32_MAX, g->ring + at, LE_CHECKSUM), zero, 4);
    crc = vhdx_crc(crc, g->ring + at + 8, first - 8);
    return ~vhdx_crc(crc, g->ring, len - first);
}

static uint64_t descriptor_bytes(uint64_t count) { return align_up(LE_HEADER + count * DESCRIPTOR, VHDX_PAGE); }

static const Entry *entry_at(Log *g, uint64_t page)
{
    Entry *e = &g->entries[page];
    const uint8_t *h = g->ring + page * VHDX_PAGE;
    if (e->tested)
        return e->valid ? e : NULL;
    e->tested = true;
    e->length = load_le32(h + LE_LENGTH);
    e->tail = load_le32(h + LE_TAIL);
    e->sequence = load_le64(h + LE_SEQUENCE);
    if (memcmp(h, "loge", 4) || memcmp(h + LE_GUID, g->v->header + HE_LOG_GUID, 16) || !e->length ||
        e->length % VHDX_PAGE || e->length > g->v->log_length || e->tail % VHDX_PAGE || e->tail >= g->v->log_length ||
        !e->sequence || descriptor_bytes(load_le32(h + LE_DESCRIPTORS)) > e->length || e->length > g->budget)
        return NULL;
    g->budget -= e->length;
    e->valid = sum_entry(g, page * VHDX_PAGE, e->length) == load_le32(h + LE_CHECKSUM);
    return e->valid ? e : NULL;
}

/*
 * The newest complete sequence: entries one behind the other, numbers rising by one, the last one's tail being one of
 * them (2.3.2).
 */
static bool find_sequence(Log *g, uint64_t *tail, uint64_t *head)
{
    uint64_t best = 0;
    for (uint64_t start = 0; start < g->pages; start++) {
        const Entry *e = entry_at(g, start);
        uint64_t at = start, seen = 0;
        while (e && seen < g->pages) {
            seen += e->length / VHDX_PAGE;
            /* the tail must lie in [start, at] */
            uint64_t distance = (e->tail / VHDX_PAGE + g->pages - start) % g->pages;
            if (distance <= (at + g->pages - start) % g->pages && e->sequence > best) {
                best = e->sequence;
                *tail = e->tail / VHDX_PAGE;
                *head = at;
            }
            uint64_t next = (at + e->length / VHDX_PAGE) % g->pages;
            const Entry *f = entry_at(g, next);
            if (!f || f->sequence != e->sequence + 1 ||
                (g->budget = g->budget > VHDX_PAGE ? g->budget - VHDX_PAGE : 0) == 0)
                break;
            e = f;
            at = next;
        }
    }
    return best;
}

static int replay_descriptor(const Log *g, const uint8_t *d, const Entry *e, uint64_t data_at)
{
    uint64_t offset = load_le64(d + 16);
    if (load_le64(d + 24) != e->sequence || offset % VHDX_PAGE || offset > INT64_MAX / 2)
        return -EINVAL;
    if (!memcmp(d, "zero", 4)) {
        uint64_t len = load_le64(d + 8);
        if (len % VHDX_PAGE || len > INT64_MAX / 2)
            return -EINVAL;
        uint64_t size = block_size(g->n->file), stop = MIN(offset + len, size);
        return offset < stop ? block_pwrite_zeroes(g->n->file, offset, stop - offset, 0) : 0;
    }
    uint8_t page[VHDX_PAGE];
    copy_out(g, data_at, page, VHDX_PAGE);
    if (memcmp(d, "desc", 4) || memcmp(page, "data", 4) || load_le32(page + 4) != e->sequence >> 32 ||
        load_le32(page + VHDX_PAGE - 4) != (uint32_t)e->sequence)
        return -EINVAL;
    memcpy(page, d + 8, 8);
    memcpy(page + VHDX_PAGE - 4, d + 4, 4);
    /* Only what the file has, or is to have: a page far behind its end would make it as large as the host's disk. */
    return offset + VHDX_PAGE > block_size(g->n->file) ? -EINVAL : block_pwrite(g->n->file, offset, page, VHDX_PAGE);
}

static bool replay_entry(Log *g, uint64_t page, Error **errp)
{
    const Entry *e = entry_at(g, page);
    uint64_t at = page * VHDX_PAGE, count = load_le32(g->ring + at + LE_DESCRIPTORS),
             last = load_le64(g->ring + at + LE_LAST);
    uint64_t flushed = load_le64(g->ring + at + LE_FLUSHED), size = block_size(g->n->file),
             data = descriptor_bytes(count);
    if (flushed > size)
        return sparse_bad(g->n, errp, "the file is shorter than its log says: it was cut off");
    if (last > size && (last - size > 16 * GiB || !block_truncate(g->n->file, last, PREALLOC_OFF, false, NULL)))
        return sparse_bad(g->n, errp, "its log wants the file to be longer than is possible");
    g_autofree uint8_t *d = g_malloc(data);
    copy_out(g, at, d, data);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *one = d + LE_HEADER + i * DESCRIPTOR;
        bool has_data = !memcmp(one, "desc", 4);
        if (has_data && data + VHDX_PAGE > e->length)
            return sparse_bad(g->n, errp, "an entry of its log is shorter than its contents");
        if (replay_descriptor(g, one, e, (at + data) % g->v->log_length))
            return sparse_bad(g->n, errp, "an entry of its log can't be replayed");
        data += has_data ? VHDX_PAGE : 0;
    }
    return true;
}

bool vhdx_replay(BlockNode *n, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    Log g = { .n = n, .v = v, .pages = v->log_length / VHDX_PAGE, .budget = v->log_length * 8 + 64 * MiB };
    uint64_t tail = 0, head = 0;
    if (vhdx_log_is_empty(v))
        return true;
    if (!block_writable(n)) {
        error_setf(
            errp,
            "image '%s' was not closed and has a log to be replayed; open it for writing, or run rhea-img check -r all",
            block_filename(n));
        return false;
    }
    g.ring = g_try_malloc(v->log_length);
    g.entries = g_try_new0(Entry, MAX(g.pages, 1u));
    int r = !g.ring || !g.entries ? -ENOMEM : block_pread(n->file, v->log, g.ring, v->log_length);
    bool ok = !r, found = ok && find_sequence(&g, &tail, &head);
    for (uint64_t page = tail; ok && found;) {
        ok = replay_entry(&g, page, errp);
        if (page == head)
            break;
        page = (page + g.entries[page].length / VHDX_PAGE) % g.pages;
    }
    g_free(g.ring);
    g_free(g.entries);
    if (ok && !r) {
        r = block_flush(n->file);
        memset(v->header + HE_LOG_GUID, 0, 16);
        r = r ? r : vhdx_write_header(n);
    }
    if (r)
        error_set_errno(errp, -r, "image '%s': its log can't be replayed", block_filename(n));
    return ok && !r;
}

/* --- writing --- */

typedef struct Batch { BlockNode *n; uint8_t *buf; uint64_t offsets[ENTRY_PAGES_MAX]; unsigned count, max; } Batch;

/* The entry in the ring, then the pages in place. */
static int write_batch(Batch *b)
{
    Vhdx *v = vhdx_of(b->n);
    uint64_t length = (UINT64_C(1) + b->count) * VHDX_PAGE,
             at = v->log_next + length <= v->log_length ? v->log_next : 0;
    uint8_t *h = b->buf;
    if (!b->count)
        return 0;
    v->log_sequence++;
    memset(h, 0, VHDX_PAGE);
    memcpy(h, "loge", 4);
    store_le32(h + LE_LENGTH, (uint32_t)length);
    store_le32(h + LE_TAIL, (uint32_t)at);
    store_le64(h + LE_SEQUENCE, v->log_sequence);
    store_le32(h + LE_DESCRIPTORS, b->count);
    memcpy(h + LE_GUID, v->header + HE_LOG_GUID, 16);
    store_le64(h + LE_FLUSHED, align_down(block_size(b->n->file), VHDX_ALIGN));
    store_le64(h + LE_LAST, align_down(block_size(b->n->file), VHDX_ALIGN));
    for (unsigned i = 0; i < b->count; i++) {
        uint8_t *d = h + LE_HEADER + i * DESCRIPTOR, *page = b->buf + (i + 1) * VHDX_PAGE;
        memcpy(d, "desc", 4);
        memcpy(d + 4, page + VHDX_PAGE - 4, 4);
        memcpy(d + 8, page, 8);
        store_le64(d + 16, b->offsets[i]);
        store_le64(d + 24, v->log_sequence);
        memcpy(page, "data", 4);
        store_le32(page + 4, (uint32_t)(v->log_sequence >> 32));
        store_le32(page + VHDX_PAGE - 4, (uint32_t)v->log_sequence);
    }
    store_le32(h + LE_CHECKSUM, vhdx_checksum(h, length, LE_CHECKSUM));
    int r = block_pwrite(b->n->file, v->log + at, h, length);
    r = r ? r : block_flush(b->n->file);
    for (unsigned i = 0; !r && i < b->count; i++) {
        uint8_t *d = h + LE_HEADER + i * DESCRIPTOR, *page = b->buf + (i + 1) * VHDX_PAGE;
        memcpy(page, d + 8, 8);
        memcpy(page + VHDX_PAGE - 4, d + 4, 4);
        r = block_pwrite(b->n->file, b->offsets[i], page, VHDX_PAGE);
    }
    r = r ? r : block_flush(b->n->file);
    v->log_next = (at + length) % v->log_length;
    b->count = 0;
    return r;
}

static int add_page(void *opaque, uint64_t offset, const uint8_t *page)
{
    Batch *b = opaque;
    int r = b->count == b->max ? write_batch(b) : 0;
    memcpy(b->buf + (b->count + 1) * VHDX_PAGE, page, VHDX_PAGE);
    b->offsets[b->count++] = offset;
    return r;
}

int vhdx_sync(BlockNode *n)
{
    Vhdx *v = vhdx_of(n);
    int r = block_flush(n->file);
    if (r || !meta_is_dirty(&v->meta))
        return r;
    Batch b = { .n = n, .max = (unsigned)MIN(v->log_length / VHDX_PAGE - 1, (uint64_t)ENTRY_PAGES_MAX) };
    b.buf = g_malloc((b.max + 1) * VHDX_PAGE);
    r = meta_each_dirty(&v->meta, add_page, &b);
    r = r ? r : write_batch(&b);
    if (!r)
        meta_clean(&v->meta);
    g_free(b.buf);
    return r;
}
