/* SPDX-License-Identifier: MIT */
/* dmg: Apple's disk images, for reading: raw, zero, zlib (UDZO) and bzip2 (UDBZ) chunks. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>
#include "rhea-config.h"
#ifdef HAVE_BZIP2
#include <bzlib.h>
#endif
#include "base/bits.h"
#include "block/sparse/sparse.h"

/*
 * The last 512 bytes ("koly", big endian) say where a property list stands; its "blkx" entries hold tables ("mish",
 * base64) of chunks: 40 bytes each: type, comment, first sector, sectors, offset, length.
 */
enum {
    DMG_TRAILER = 512,
    DMG_TABLE = 204,
    DMG_ENTRY = 40,
    DMG_PLIST_MAX = 32 << 20,
    DMG_CHUNKS_MAX = 1 << 20,
    DMG_CHUNK_MAX = 64 << 20
};
enum { K_DATA = 24, K_XML = 216, K_XML_LENGTH = 224 };
enum { C_ZERO = 0, C_RAW = 1, C_IGNORE = 2, C_COMMENT = 0x7ffffffe };
static const uint32_t C_ZLIB = 0x80000005, C_BZIP2 = 0x80000006, C_END = 0xffffffff;

typedef struct Chunk { uint64_t start, len, offset, packed; uint32_t type; } Chunk;
typedef struct Dmg {
    Sparse sparse;
    GArray *chunks;
    pthread_mutex_t inflate_lock;
    uint8_t *inflated;
    uint64_t inflated_room, current; /* number of the chunk in `inflated`, and one */
} Dmg;

static Dmg *dmg_of(BlockNode *n) { return n->opaque; }

static int dmg_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    GArray *chunks = dmg_of(n)->chunks;
    unsigned low = 0, high = chunks->len;
    while (low < high) { /* the first that ends behind the offset */
        unsigned mid = (low + high) / 2;
        const Chunk *c = &g_array_index(chunks, Chunk, mid);
        if (c->start + c->len <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    const Chunk *c = low < chunks->len ? &g_array_index(chunks, Chunk, low) : NULL;
    *m = (SparseMap){
        .kind = SPARSE_ZERO, .file = n->file, .len = len, .block = offset, .unit = len, .limit = block_size(n)
    };
    if (!c || c->start > offset) { /* between chunks */
        m->len = c ? MIN(len, c->start - offset) : len;
        return 0;
    }
    m->len = c->start + c->len - offset;
    m->block = c->start;
    m->unit = c->len;
    m->cookie = low;
    if (c->type == C_RAW) {
        m->kind = SPARSE_DATA;
        m->host = c->offset + (offset - c->start);
    } else if (c->type != C_ZERO && c->type != C_IGNORE) {
        m->kind = SPARSE_PACKED;
    }
    return 0;
}

static bool unpack(uint32_t type, const uint8_t *in, uint64_t in_len, uint8_t *out, uint64_t out_len)
{
    if (type == C_ZLIB) {
        uLongf len = (uLongf)out_len;
        return uncompress(out, &len, in, (uLong)in_len) == Z_OK && len == out_len;
    }
#ifdef HAVE_BZIP2
    unsigned len = (unsigned)out_len;
    return BZ2_bzBuffToBuffDecompress((char *)out, &len, (char *)in, (unsigned)in_len, 0, 0) == BZ_OK && len == out_len;
#else
    return false;
#endif
}

static int dmg_inflate(BlockNode *n, const SparseMap *m, size_t skip, const struct iovec *iov, int iovcnt, size_t at,
                       size_t len)
{
    Dmg *d = dmg_of(n);
    const Chunk *c = &g_array_index(d->chunks, Chunk, m->cookie);
    int r = 0;
    pthread_mutex_lock(&d->inflate_lock);
    if (d->current != m->cookie + 1) {
        g_autofree uint8_t *in = g_try_malloc(MAX(c->packed, 1u));
        d->current = 0;
        if (d->inflated_room < c->len) {
            g_free(d->inflated);
            d->inflated = g_try_malloc(c->len);
            d->inflated_room = d->inflated ? c->len : 0;
        }
        r = !in || !d->inflated ? -ENOMEM : block_pread(n->file, c->offset, in, c->packed);
        if (!r && !unpack(c->type, in, c->packed, d->inflated, c->len))
            r = -EIO;
        d->current = r ? 0 : m->cookie + 1;
    }
    if (!r)
        iov_from_buf(iov, iovcnt, at, d->inflated + skip, len);
    pthread_mutex_unlock(&d->inflate_lock);
    return r;
}

static int dmg_sync(BlockNode *n) { return 0; }
static const SparseOps dmg_ops = { .map = dmg_map, .sync = dmg_sync, .inflate = dmg_inflate };

/* --- opening --- */

static bool add_chunk(BlockNode *n, const uint8_t *e, uint64_t first, uint64_t data, Error **errp)
{
    Chunk c = { .type = (uint32_t)load_be(e, 4) };
    uint64_t sector = load_be(e + 8, 8), count = load_be(e + 16, 8), offset = load_be(e + 24, 8),
             file = block_size(n->file);
    c.packed = load_be(e + 32, 8);
    if (c.type == (uint32_t)C_COMMENT || c.type == C_END || !count)
        return true;
    bool packed = c.type == C_ZLIB || c.type == C_BZIP2, stored = packed || c.type == C_RAW;
    if (!stored && c.type != C_ZERO && c.type != C_IGNORE) {
        error_setf(errp,
                   "image '%s': chunks of type 0x%08x (ADC, LZFSE, LZMA …) can't be read here; convert it with macOS's "
                   "hdiutil",
                   block_filename(n), c.type);
        return false;
    }
#ifndef HAVE_BZIP2
    if (c.type == C_BZIP2) {
        error_setf(errp, "image '%s' is compressed by bzip2, which this program was built without", block_filename(n));
        return false;
    }
#endif
    const uint64_t limit = INT64_MAX / 2048;
    if (sector > limit || first > limit || count > limit || offset > INT64_MAX / 4 || data > INT64_MAX / 4)
        return sparse_bad(n, errp, "a chunk lies where no disk reaches");
    c.start = (first + sector) * 512;
    c.len = count * 512;
    c.offset = data + offset;
    if (stored && (c.offset > file || c.packed > file - c.offset || (c.type == C_RAW && c.packed < c.len)))
        return sparse_bad(n, errp, "a chunk does not lie within the file");
    if (packed && (c.len > DMG_CHUNK_MAX || c.packed > DMG_CHUNK_MAX))
        return sparse_bad(n, errp, "a compressed chunk is larger than 64 MiB");
    if (dmg_of(n)->chunks->len >= DMG_CHUNKS_MAX)
        return sparse_bad(n, errp, "it has more than a million chunks");
    g_array_append_val(dmg_of(n)->chunks, c);
    return true;
}

static bool add_table(BlockNode *n, const char *base64, size_t len, uint64_t data, Error **errp)
{
    g_autofree char *text = g_strndup(base64, len);
    gsize size;
    g_autofree uint8_t *t = g_base64_decode(text, &size);
    if (size < DMG_TABLE || memcmp(t, "mish", 4))
        return true; /* some other resource */
    uint64_t count = load_be(t + 200, 4), first = load_be(t + 8, 8);
    if (count > (size - DMG_TABLE) / DMG_ENTRY)
        return sparse_bad(n, errp, "a table of chunks is shorter than it says");
    for (uint64_t i = 0; i < count; i++) {
        if (!add_chunk(n, t + DMG_TABLE + i * DMG_ENTRY, first, data, errp))
            return false;
    }
    return true;
}

/* The <data> elements behind <key>blkx</key>, up to the end of that array. */
static bool add_tables(BlockNode *n, const char *xml, uint64_t data, Error **errp)
{
    const char *at = strstr(xml, "<key>blkx</key>"), *end = at ? strstr(at, "</array>") : NULL;
    if (!end)
        return sparse_bad(n, errp, "its property list has no tables of chunks");
    while ((at = strstr(at, "<data>")) && at < end) {
        const char *stop = strstr(at, "</data>");
        if (!stop || !add_table(n, at + 6, (size_t)(stop - at - 6), data, errp))
            return stop ? false : sparse_bad(n, errp, "its property list is cut short");
        at = stop;
    }
    return true;
}

static gint by_start(gconstpointer a, gconstpointer b)
{
    const Chunk *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static bool read_tables(BlockNode *n, Error **errp)
{
    Dmg *d = dmg_of(n);
    uint8_t k[DMG_TRAILER] = { 0 };
    uint64_t file = block_size(n->file);
    if (file < DMG_TRAILER || block_pread(n->file, file - DMG_TRAILER, k, sizeof k) || memcmp(k, "koly", 4))
        return sparse_bad(n, errp, "it does not end with the format's trailer");
    uint64_t at = load_be(k + K_XML, 8), len = load_be(k + K_XML_LENGTH, 8);
    if (!len || len > DMG_PLIST_MAX || at > file || len > file - at)
        return sparse_bad(
            n, errp,
            "its property list does not lie within the file (images of Mac OS 9 have none: convert them with hdiutil)");
    g_autofree char *xml = g_malloc0(len + 1);
    if (block_pread(n->file, at, xml, len))
        return sparse_bad(n, errp, "its property list can't be read");
    if (!add_tables(n, xml, load_be(k + K_DATA, 8), errp))
        return false;
    g_array_sort(d->chunks, by_start);
    uint64_t end = 0;
    for (unsigned i = 0; i < d->chunks->len; i++) {
        const Chunk *c = &g_array_index(d->chunks, Chunk, i);
        if (c->start < end)
            return sparse_bad(n, errp, "two chunks tell of the same sectors");
        end = c->start + c->len;
    }
    n->size = end;
    return true;
}

static bool dmg_open(BlockNode *n, Opts *o, Error **errp)
{
    Dmg *d = dmg_of(n);
    if (block_writable(n) && n->flags & BLOCK_AUTO_RDONLY)
        n->flags &= ~(unsigned)BLOCK_RDWR;
    if (block_writable(n)) {
        error_setf(errp, "image '%s': dmg images can only be read; use read-only=on", block_filename(n));
        return false;
    }
    d->chunks = g_array_new(false, true, sizeof(Chunk));
    if (!read_tables(n, errp)) {
        g_array_unref(d->chunks);
        return false;
    }
    pthread_mutex_init(&d->inflate_lock, NULL);
    sparse_init(n, &dmg_ops);
    return true;
}

static void dmg_close(BlockNode *n)
{
    Dmg *d = dmg_of(n);
    g_array_unref(d->chunks);
    g_free(d->inflated);
    pthread_mutex_destroy(&d->inflate_lock);
    sparse_destroy(n);
}

/* The head of the file says nothing: its name must do. */
static unsigned dmg_probe(const uint8_t *head, size_t len, const char *filename)
{
    return g_str_has_suffix(filename, ".dmg") ? 2 : 0;
}

static const BlockDriver dmg_driver = {
    .name = "dmg",
    .desc = "Apple disk image (read-only)",
    .instance_size = sizeof(Dmg),
    .probe = dmg_probe,
    .open = dmg_open,
    .close = dmg_close,
    .preadv = sparse_preadv,
    .status = sparse_status,
};
BLOCK_DRIVER_REGISTER(dmg_driver)
