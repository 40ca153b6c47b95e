/* SPDX-License-Identifier: MIT */
/* Bochs' growing redologs, for reading. */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

/*
 * Header of 512 bytes (little endian): names, version, then the number of extents in the catalog, bytes of an extent's
 * bitmap and of an extent, and the size of the disk. The catalog has the place of each extent: its bitmap, then its
 * sectors, each in whole sectors.
 */
enum {
    H_VERSION = 64,
    H_HEADER = 68,
    H_CATALOG = 72,
    H_BITMAP = 76,
    H_EXTENT = 80,
    H_DISK_V1 = 84,
    H_DISK_V2 = 88,
    B_HEADER = 512,
    B_CATALOG_MAX = 64 << 20
};

typedef struct Bochs {
    Sparse sparse;
    Meta meta;
    uint64_t catalog, entries, extent, bitmap_sectors, extent_sectors, data;
} Bochs;

static Bochs *bochs_of(BlockNode *n) { return n->opaque; }

static int bochs_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Bochs *b = bochs_of(n);
    uint64_t in = offset % b->extent, sector = in / 512, e, bits;
    *m = (SparseMap){ .kind = SPARSE_ZERO,
                      .file = n->file,
                      .len = b->extent - in,
                      .block = offset - in,
                      .unit = b->extent,
                      .limit = block_size(n) };
    int r = meta_load(&b->meta, b->catalog + offset / b->extent * 4, 4, false, &e);
    if (r || e == UINT32_MAX)
        return r;
    uint64_t bitmap = b->data + e * (b->bitmap_sectors + b->extent_sectors) * 512;
    r = meta_load(&b->meta, bitmap + sector / 32 * 4, 4, false, &bits);
    unsigned bit = sector % 32, run = 1;
    bool own = bits >> bit & 1;
    while (bit + run < 32 && (bits >> (bit + run) & 1) == own)
        run++;
    m->kind = own ? SPARSE_DATA : SPARSE_ZERO;
    m->host = bitmap + b->bitmap_sectors * 512 + in;
    m->len = MIN(m->len, run * UINT64_C(512) - in % 512);
    return r;
}

static int bochs_sync(BlockNode *n) { return 0; }
static const SparseOps bochs_ops = { .map = bochs_map, .sync = bochs_sync };

static bool bochs_open(BlockNode *n, Opts *o, Error **errp)
{
    Bochs *b = bochs_of(n);
    uint8_t h[B_HEADER] = { 0 };
    if (block_writable(n) && n->flags & BLOCK_AUTO_RDONLY)
        n->flags &= ~(unsigned)BLOCK_RDWR;
    if (block_writable(n)) {
        error_setf(errp, "image '%s': bochs images can only be read; use read-only=on", block_filename(n));
        return false;
    }
    if (block_size(n->file) < B_HEADER || block_pread(n->file, 0, h, sizeof h) ||
        memcmp(h, "Bochs Virtual HD Image", 23))
        return sparse_bad(n, errp, "it does not start with the format's name");
    if (memcmp(h + 32, "Redolog", 8) || memcmp(h + 48, "Growing", 8))
        return sparse_bad(n, errp, "it is no growing redolog; other kinds can't be read");
    uint32_t version = load_le32(h + H_VERSION), header = load_le32(h + H_HEADER), bitmap = load_le32(h + H_BITMAP);
    if ((version != 0x10000 && version != 0x20000) || header < B_HEADER || header > MiB || header % 4)
        return sparse_bad(n, errp, "its version is neither 1 nor 2");
    b->catalog = header;
    b->entries = load_le32(h + H_CATALOG);
    b->extent = load_le32(h + H_EXTENT);
    b->data = header + b->entries * 4;
    b->bitmap_sectors = 1 + (bitmap ? (bitmap - 1) / 512 : 0);
    b->extent_sectors = 1 + (b->extent ? (b->extent - 1) / 512 : 0);
    n->size = load_le64(h + (version == 0x20000 ? H_DISK_V2 : H_DISK_V1)) / 512 * 512;
    if (!is_pow2(b->extent) || b->extent < 512 || b->extent > 64 * MiB || !bitmap ||
        (uint64_t)bitmap * 8 < b->extent / 512)
        return sparse_bad(n, errp, "the size of its extents or bitmaps is not possible");
    if (b->entries * 4 > B_CATALOG_MAX || block_size(n) > b->entries * b->extent)
        return sparse_bad(n, errp, "its catalog is too short for the disk");
    meta_init(&b->meta, n->file);
    sparse_init(n, &bochs_ops);
    return true;
}

static void bochs_close(BlockNode *n)
{
    meta_free(&bochs_of(n)->meta);
    sparse_destroy(n);
}

static unsigned bochs_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 72 && !memcmp(head, "Bochs Virtual HD Image", 23) && !memcmp(head + 32, "Redolog", 8) &&
                   !memcmp(head + 48, "Growing", 8)
               ? 100
               : 0;
}

static const BlockDriver bochs_driver = {
    .name = "bochs",
    .desc = "Bochs growing redolog (read-only)",
    .instance_size = sizeof(Bochs),
    .probe = bochs_probe,
    .open = bochs_open,
    .close = bochs_close,
    .preadv = sparse_preadv,
    .status = sparse_status,
};
BLOCK_DRIVER_REGISTER(bochs_driver)
