/* SPDX-License-Identifier: MIT */
/* Virtual PC and Hyper-V disks (VHD 1.0): fixed and dynamic. */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

/*
 * Microsoft, "Virtual Hard Disk Image Format Specification" 1.0. A footer of 512 bytes (big endian) ends the file;
 * dynamic disks have a copy of it at the start, then the dynamic header and the block allocation table (BAT). A block
 * is a bitmap of its sectors and the sectors. New blocks overwrite the footer; it is written behind them with the
 * tables, and after a power cut its copy at the start tells the same.
 */
enum {
    VPC_FOOTER = 512,
    VPC_HEADER = 1024,
    VPC_BLOCK = 2 << 20,
    VPC_FIXED = 2,
    VPC_DYNAMIC = 3,
    VPC_DIFFERENCING = 4,
    VPC_EPOCH = 946684800,
    VPC_FREE = (int)0xffffffff,
    VPC_BAT_MAX = 64 << 20
};
enum {
    F_FEATURES = 8,
    F_VERSION = 12,
    F_DATA = 16,
    F_TIME = 24,
    F_CREATOR = 28,
    F_CREATOR_VERSION = 32,
    F_OS = 36,
    F_ORIGINAL = 40,
    F_SIZE = 48,
    F_CYLINDERS = 56,
    F_HEADS = 58,
    F_SECTORS = 59,
    F_TYPE = 60,
    F_CHECKSUM = 64,
    F_UUID = 68
};
enum { D_NEXT = 8, D_BAT = 16, D_VERSION = 24, D_ENTRIES = 28, D_BLOCK = 32, D_CHECKSUM = 36 };
static const uint64_t VPC_CHS_MAX = UINT64_C(65535) * 16 * 255, VPC_MAX = UINT64_C(2040) << 30;

typedef struct Vpc {
    Sparse sparse;
    Meta meta;
    bool fixed, footer_stale;
    uint64_t bat, next;
    uint32_t entries, block_size, bitmap;
    uint8_t footer[VPC_FOOTER];
} Vpc;

static Vpc *vpc_of(BlockNode *n) { return n->opaque; }

/* The sum of all bytes but the checksum's own, inverted. */
static uint32_t checksum(const uint8_t *p, size_t len, size_t at)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i >= at && i < at + 4 ? 0 : p[i];
    return ~sum;
}

/* --- tables --- */

static int vpc_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Vpc *v = vpc_of(n);
    uint64_t in = offset % v->block_size, e;
    *m = (SparseMap){ .kind = SPARSE_DATA,
                      .file = n->file,
                      .len = v->block_size - in,
                      .block = offset - in,
                      .unit = v->block_size,
                      .limit = align_up(block_size(n), v->block_size),
                      .host = offset };
    if (v->fixed) {
        m->len = len;
        return 0;
    }
    int r = meta_load(&v->meta, v->bat + offset / v->block_size * 4, 4, true, &e);
    if (r)
        return r;
    if (e == (uint32_t)VPC_FREE)
        m->kind = SPARSE_ABSENT;
    else if (e * 512 + v->bitmap + v->block_size > v->next)
        return -EIO;
    m->host = e * 512 + v->bitmap + in;
    return 0;
}

static int vpc_alloc(BlockNode *n, SparseMap *m, bool *fresh)
{
    Vpc *v = vpc_of(n);
    uint64_t at = v->next;
    if (at / 512 >= (uint32_t)VPC_FREE)
        return -ENOSPC;
    g_autofree uint8_t *bitmap = g_malloc(v->bitmap);
    memset(bitmap, 0xff, v->bitmap);
    *fresh = at + v->bitmap >= block_size(n->file); /* the footer is shorter than the bitmap, or as long */
    int r = block_pwrite(n->file, at, bitmap, v->bitmap);
    if (r)
        return r;
    m->file = n->file;
    m->host = at + v->bitmap;
    v->next = at + v->bitmap + v->block_size;
    v->footer_stale = true;
    return 0;
}

static int vpc_link(BlockNode *n, const SparseMap *m)
{
    Vpc *v = vpc_of(n);
    return meta_store(&v->meta, v->bat + m->block / v->block_size * 4, 4, true, (m->host - v->bitmap) / 512, META_LEAF);
}

static int vpc_sync(BlockNode *n)
{
    Vpc *v = vpc_of(n);
    Meta *m = &v->meta;
    int r = 0;
    if (v->fixed)
        return block_flush(n->file);
    if (v->footer_stale)
        r = block_pwrite(n->file, v->next, v->footer, VPC_FOOTER);
    if (!r)
        v->footer_stale = false;
    return r ? r : sparse_sync_tables(&m, 1);
}

static bool vpc_full(BlockNode *n) { return meta_is_full(&vpc_of(n)->meta); }

static const SparseOps vpc_ops = {
    .map = vpc_map, .alloc = vpc_alloc, .link = vpc_link, .sync = vpc_sync, .full = vpc_full, .apart = true
};

/* --- opening --- */

/* Does the size follow from the geometry? Virtual PC and older QEMU did so; a footer tells by who wrote it. */
static bool size_by_chs(const uint8_t *footer)
{
    static const char *const exact[] = { "win ", "d2v ", "qem2", "tap", "CTXS", "vbox", "rhea" };
    for (unsigned i = 0; i < ARRAY_LEN(exact); i++) {
        if (!strncmp((const char *)footer + F_CREATOR, exact[i], 4))
            return false;
    }
    return true;
}

static uint64_t footer_size(const uint8_t *f, unsigned force)
{
    uint64_t chs = 512 * load_be(f + F_CYLINDERS, 2) * f[F_HEADS] * f[F_SECTORS], exact = load_be(f + F_SIZE, 8);
    if (force == 1 || chs == VPC_CHS_MAX * 512)
        return force == 2 ? chs : exact;
    return force == 2 || size_by_chs(f) ? chs : exact;
}

static bool valid_footer(const uint8_t *f) { return !memcmp(f, "conectix", 8); }

static bool open_dynamic(BlockNode *n, uint64_t size, Error **errp)
{
    Vpc *v = vpc_of(n);
    uint8_t d[VPC_HEADER];
    uint64_t at = load_be(v->footer + F_DATA, 8), file = block_size(n->file);
    if (at > file || file - at < VPC_HEADER || block_pread(n->file, at, d, sizeof d) || memcmp(d, "cxsparse", 8))
        return sparse_bad(n, errp, "its dynamic header is not where the footer says");
    if (checksum(d, VPC_HEADER, D_CHECKSUM) != load_be(d + D_CHECKSUM, 4) && !(n->flags & BLOCK_CHECK))
        return sparse_bad(n, errp, "the checksum of its dynamic header is wrong");
    v->bat = load_be(d + D_BAT, 8);
    v->entries = (uint32_t)load_be(d + D_ENTRIES, 4);
    v->block_size = (uint32_t)load_be(d + D_BLOCK, 4);
    if (!is_pow2(v->block_size) || v->block_size < 512 || v->block_size > 256 * MiB)
        return sparse_bad(n, errp, "its block size is not a power of two from 512 bytes to 256 MiB");
    v->bitmap = (uint32_t)align_up(v->block_size / 4096 + !(v->block_size / 4096), 512);
    uint64_t table = align_up((uint64_t)v->entries * 4, 512);
    if (table > VPC_BAT_MAX || size > (uint64_t)v->entries * v->block_size)
        return sparse_bad(n, errp, "its block table does not fit the size of the disk");
    if (v->bat % 512 || v->bat > file || (uint64_t)v->entries * 4 > file - v->bat)
        return sparse_bad(n, errp, "its block table does not lie within the file");
    v->next = align_up(MAX(v->bat + table, at + VPC_HEADER), 512);
    g_autofree uint8_t *bat = g_malloc(MAX(table, 1u));
    if (block_pread(n->file, v->bat, bat, (size_t)v->entries * 4))
        return sparse_bad(n, errp, "its block table can't be read");
    for (uint32_t i = 0; i < v->entries; i++) {
        uint64_t e = load_be(bat + i * 4, 4), end = e * 512 + v->bitmap + v->block_size;
        if (e != (uint32_t)VPC_FREE && end <= align_up(file, 512) + v->bitmap + v->block_size)
            v->next = MAX(v->next, end);
    }
    meta_init(&v->meta, n->file);
    return true;
}

static bool vpc_open(BlockNode *n, Opts *o, Error **errp)
{
    static const char *const forces[] = { "auto", "current_size", "chs", NULL };
    Vpc *v = vpc_of(n);
    unsigned force = 0;
    uint64_t file = block_size(n->file);
    if (!opts_get_enum(o, "force-size-calc", forces, &force, errp) ||
        !opts_get_enum(o, "force_size_calc", forces, &force, errp))
        return false;
    bool head = file >= VPC_FOOTER && !block_pread(n->file, 0, v->footer, VPC_FOOTER) && valid_footer(v->footer);
    if (!head) { /* fixed disks have it at the end only; 511 bytes are those of Virtual PC before 2004 */
        uint64_t at = file >= VPC_FOOTER ? (file - 1) / 512 * 512 : 0;
        memset(v->footer, 0, VPC_FOOTER);
        if (file < VPC_FOOTER || block_pread(n->file, at, v->footer, MIN(file - at, (uint64_t)VPC_FOOTER)) ||
            !valid_footer(v->footer))
            return sparse_bad(n, errp, "it has no footer");
    }
    if (checksum(v->footer, VPC_FOOTER, F_CHECKSUM) != load_be(v->footer + F_CHECKSUM, 4) && !(n->flags & BLOCK_CHECK))
        return sparse_bad(n, errp, "the checksum of its footer is wrong");
    unsigned type = (unsigned)load_be(v->footer + F_TYPE, 4);
    uint64_t size = footer_size(v->footer, force);
    if (type == VPC_DIFFERENCING)
        return sparse_bad(n, errp, "it is a differencing disk; merge it with its parent, or convert it with Hyper-V");
    if ((type != VPC_FIXED && type != VPC_DYNAMIC) || size > (UINT64_C(1) << 46))
        return sparse_bad(n, errp, "its type or size is not possible");
    v->fixed = type == VPC_FIXED;
    v->block_size = VPC_BLOCK;
    if (v->fixed && size > file)
        return sparse_bad(n, errp, "the file is shorter than the disk");
    if (!v->fixed && !open_dynamic(n, size, errp))
        return false;
    n->size = size;
    n->zero_align = 1;
    sparse_init(n, &vpc_ops);
    return true;
}

static void vpc_close(BlockNode *n)
{
    meta_free(&vpc_of(n)->meta);
    sparse_destroy(n);
}

static bool vpc_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->cluster_size = vpc_of(n)->fixed ? 0 : vpc_of(n)->block_size;
    return true;
}

/* --- creation --- */

/* Cylinders, heads and sectors for a number of sectors, as the specification's appendix has them. */
static void geometry(uint64_t total, unsigned *c, unsigned *h, unsigned *s)
{
    uint64_t tracks;
    total = MIN(total, VPC_CHS_MAX);
    if (total >= UINT64_C(65535) * 16 * 63) {
        *s = 255;
        *h = 16;
        tracks = total / *s;
    } else {
        *s = 17;
        tracks = total / *s;
        *h = (unsigned)MAX((tracks + 1023) / 1024, 4u);
        if (tracks >= *h * UINT64_C(1024) || *h > 16) {
            *s = 31;
            *h = 16;
            tracks = total / *s;
        }
        if (tracks >= *h * UINT64_C(1024)) {
            *s = 63;
            *h = 16;
            tracks = total / *s;
        }
    }
    *c = (unsigned)(tracks / *h);
}

/* The smallest geometry that holds so many sectors, unless the size is forced or beyond what a geometry can tell. */
static uint64_t fit(uint64_t sectors, bool force, unsigned *c, unsigned *h, unsigned *s)
{
    uint64_t got = 0;
    if (force || sectors > VPC_CHS_MAX) {
        geometry(VPC_CHS_MAX, c, h, s);
        return sectors;
    }
    for (uint64_t want = sectors; got < sectors; want++) {
        geometry(want, c, h, s);
        got = (uint64_t)*c * *h * *s;
        if (want > sectors + 16 * 255)
            return sectors;
    }
    return got;
}

typedef struct Params { bool fixed, force; uint64_t size; unsigned c, h, s; } Params;

static bool parse(Opts *o, uint64_t size, Params *p, Error **errp)
{
    static const char *const subformats[] = { "dynamic", "fixed", NULL };
    unsigned sub = 0;
    opts_get(o, "size");
    if (!opts_get_enum(o, "subformat", subformats, &sub, errp) ||
        !opts_get_bool(o, "force_size", false, &p->force, errp))
        return false;
    if (size > VPC_MAX) {
        error_setf(errp, "vpc: a disk of %" PRIu64 " bytes is larger than the format's limit of 2040 GiB; use vhdx",
                   size);
        return false;
    }
    p->fixed = sub;
    p->size = 512 * fit((size + 511) / 512, p->force, &p->c, &p->h, &p->s);
    return true;
}

static void make_footer(uint8_t *f, const Params *p)
{
    memset(f, 0, VPC_FOOTER);
    memcpy(f, "conectix", 8);
    store_be(f + F_FEATURES, 4, 2);
    store_be(f + F_VERSION, 4, 0x10000);
    store_be(f + F_DATA, 8, p->fixed ? UINT64_MAX : VPC_FOOTER);
    store_be(f + F_TIME, 4, (uint64_t)time(NULL) - VPC_EPOCH);
    memcpy(f + F_CREATOR, p->force ? "qem2" : "qemu", 4); /* readers tell by it which size counts */
    store_be(f + F_CREATOR_VERSION, 4, 0x50003);
    memcpy(f + F_OS, "Wi2k", 4);
    store_be(f + F_ORIGINAL, 8, p->size);
    store_be(f + F_SIZE, 8, p->size);
    store_be(f + F_CYLINDERS, 2, p->c);
    f[F_HEADS] = (uint8_t)p->h;
    f[F_SECTORS] = (uint8_t)p->s;
    store_be(f + F_TYPE, 4, p->fixed ? VPC_FIXED : VPC_DYNAMIC);
    sparse_uuid(f + F_UUID);
    store_be(f + F_CHECKSUM, 4, checksum(f, VPC_FOOTER, F_CHECKSUM));
}

static int write_dynamic(BlockNode *f, const uint8_t *footer, uint64_t entries)
{
    uint64_t table = align_up(entries * 4, 512), bat = VPC_FOOTER + VPC_HEADER;
    g_autofree uint8_t *buf = g_malloc0(bat + table + VPC_FOOTER);
    uint8_t *d = buf + VPC_FOOTER;
    memcpy(buf, footer, VPC_FOOTER);
    memcpy(d, "cxsparse", 8);
    store_be(d + D_NEXT, 8, UINT64_MAX);
    store_be(d + D_BAT, 8, bat);
    store_be(d + D_VERSION, 4, 0x10000);
    store_be(d + D_ENTRIES, 4, entries);
    store_be(d + D_BLOCK, 4, VPC_BLOCK);
    store_be(d + D_CHECKSUM, 4, checksum(d, VPC_HEADER, D_CHECKSUM));
    memset(buf + bat, 0xff, table);
    memcpy(buf + bat + table, footer, VPC_FOOTER);
    return block_pwrite(f, 0, buf, bat + table + VPC_FOOTER);
}

static bool vpc_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    Params p;
    uint8_t footer[VPC_FOOTER];
    BlockNode *f = parse(o, size, &p, errp) ? block_new_file(filename, errp) : NULL;
    if (!f)
        return false;
    make_footer(footer, &p);
    int r = p.fixed ? block_pwrite(f, p.size, footer, VPC_FOOTER)
                    : write_dynamic(f, footer, (p.size + VPC_BLOCK - 1) / VPC_BLOCK);
    return block_new_file_end(f, filename, r, true, errp);
}

static bool vpc_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    Params p;
    if (!parse(o, size, &p, errp))
        return false;
    uint64_t blocks = (p.size + VPC_BLOCK - 1) / VPC_BLOCK,
             head = 2 * VPC_FOOTER + VPC_HEADER + align_up(blocks * 4, 512);
    *fully = p.fixed ? p.size + VPC_FOOTER : head + blocks * (VPC_BLOCK + 512);
    *required = p.fixed ? *fully : head + block_used_units(n, VPC_BLOCK) * (VPC_BLOCK + 512);
    return true;
}

static unsigned vpc_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 8 && !memcmp(head, "conectix", 8) ? 100 : 0;
}

static const char *const vpc_options[] = { "force-size-calc", "force_size_calc", NULL };
static const BlockCreateOption vpc_create_options[] = {
    { "size", "size", "virtual disk size", NULL },
    { "subformat", "string", "dynamic or fixed", "dynamic" },
    { "force_size", "bool", "exactly this size, not the next that cylinders, heads and sectors can tell", "off" },
    { NULL }
};
static const BlockDriver vpc_driver = {
    .name = "vpc",
    .desc = "Virtual PC and Hyper-V disk (VHD)",
    .instance_size = sizeof(Vpc),
    .options = vpc_options,
    .create_options = vpc_create_options,
    .probe = vpc_probe,
    .open = vpc_open,
    .close = vpc_close,
    .inactivate = sparse_inactivate,
    .preadv = sparse_preadv,
    .pwritev = sparse_pwritev,
    .pwrite_zeroes = sparse_pwrite_zeroes,
    .pdiscard = sparse_pdiscard,
    .flush = sparse_flush,
    .status = sparse_status,
    .info = vpc_info,
    .create = vpc_create,
    .measure = vpc_measure,
};
BLOCK_DRIVER_REGISTER(vpc_driver)
