/* SPDX-License-Identifier: MIT */
/* Parallels disks (version 2), for reading and writing; new ones have clusters of 1 MiB. */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

/*
 * Header (little endian, 64 bytes): magic, version, heads, cylinders, sectors of a cluster, entries of the block table,
 * sectors of the disk, in-use mark, first data sector, flags, extension. Table entries are of 4 bytes: sectors
 * ("WithoutFreeSpace") or clusters ("WithouFreSpacExt"). Data and the table are written in order, so the mark of an
 * image that was not closed only means that clusters may have leaked.
 */
enum {
    H_VERSION = 16,
    H_HEADS = 20,
    H_CYLINDERS = 24,
    H_TRACKS = 28,
    H_ENTRIES = 32,
    H_SECTORS = 36,
    H_INUSE = 44,
    H_DATA = 48,
    H_FLAGS = 52,
    H_EXTENSION = 56,
    P_HEADER = 64,
    P_INUSE = 0x746f6e59,
    P_BAT_MAX = 512 << 20
};

typedef struct Parallels {
    Sparse sparse;
    Meta meta;
    uint64_t cluster, entries, unit, next, data; /* unit: bytes that an entry counts */
    bool dirty;
} Parallels;

static Parallels *par_of(BlockNode *n) { return n->opaque; }

static int par_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Parallels *p = par_of(n);
    uint64_t in = offset % p->cluster, e;
    int r = meta_load(&p->meta, P_HEADER + offset / p->cluster * 4, 4, false, &e);
    *m = (SparseMap){ .kind = e ? SPARSE_DATA : SPARSE_ABSENT,
                      .file = n->file,
                      .host = e * p->unit + in,
                      .len = p->cluster - in,
                      .block = offset - in,
                      .unit = p->cluster,
                      .limit = p->entries * p->cluster };
    return r ? r : e && (e * p->unit < p->data || e * p->unit + p->cluster > p->next) ? -EIO : 0;
}

static int par_alloc(BlockNode *n, SparseMap *m, bool *fresh)
{
    Parallels *p = par_of(n);
    if (p->next / p->unit > UINT32_MAX)
        return -ENOSPC;
    m->file = n->file;
    m->host = p->next;
    p->next += p->cluster;
    *fresh = m->host >= block_size(n->file);
    return 0;
}

static int par_link(BlockNode *n, const SparseMap *m)
{
    return meta_store(&par_of(n)->meta, P_HEADER + m->block / par_of(n)->cluster * 4, 4, false,
                      m->host / par_of(n)->unit, META_LEAF);
}

static int par_sync(BlockNode *n)
{
    Meta *m = &par_of(n)->meta;
    return sparse_sync_tables(&m, 1);
}

static bool par_full(BlockNode *n) { return meta_is_full(&par_of(n)->meta); }

static int set_mark(BlockNode *n, uint32_t mark)
{
    Meta *m = &par_of(n)->meta;
    int r = meta_store(m, H_INUSE, 4, false, mark, META_LEAF);
    return r ? r : sparse_sync_tables(&m, 1);
}

static int par_first_write(BlockNode *n) { return set_mark(n, P_INUSE); }

static const SparseOps par_ops = { .map = par_map,
                                   .alloc = par_alloc,
                                   .link = par_link,
                                   .sync = par_sync,
                                   .full = par_full,
                                   .first_write = par_first_write,
                                   .pads = true };

static bool find_end(BlockNode *n, Error **errp)
{
    Parallels *p = par_of(n);
    uint64_t file = block_size(n->file);
    g_autofree uint8_t *buf = g_malloc(64 * KiB);
    p->next = p->unit == p->cluster ? (MAX(file, p->data) + p->cluster - 1) / p->cluster * p->cluster
                                    : align_up(MAX(file, p->data), 512);
    for (uint64_t at = 0; at < p->entries * 4; at += 64 * KiB) {
        size_t len = (size_t)MIN(p->entries * 4 - at, 64 * KiB);
        if (block_pread(n->file, P_HEADER + at, buf, len))
            return sparse_bad(n, errp, "its block table can't be read");
        for (size_t i = 0; i < len; i += 4) {
            uint64_t start = load_le32(buf + i) * p->unit;
            if (start && start < file)
                p->next = MAX(p->next, start + p->cluster);
        }
    }
    return true;
}

static bool par_open(BlockNode *n, Opts *o, Error **errp)
{
    Parallels *p = par_of(n);
    uint8_t h[P_HEADER] = { 0 };
    uint64_t file = block_size(n->file);
    if (file < P_HEADER || block_pread(n->file, 0, h, sizeof h))
        return sparse_bad(n, errp, "its header can't be read");
    bool extended = !memcmp(h, "WithouFreSpacExt", 16);
    if (!extended && memcmp(h, "WithoutFreeSpace", 16))
        return sparse_bad(n, errp, "it does not start with the format's magic number");
    if (load_le32(h + H_VERSION) != 2)
        return sparse_bad(n, errp, "its version is not 2");
    uint64_t tracks = load_le32(h + H_TRACKS), sectors = extended ? load_le64(h + H_SECTORS) : load_le32(h + H_SECTORS);
    p->entries = load_le32(h + H_ENTRIES);
    p->cluster = tracks * 512;
    p->unit = extended ? p->cluster : 512;
    p->dirty = load_le32(h + H_INUSE) == P_INUSE;
    if (!tracks || tracks > 128 * 1024)
        return sparse_bad(n, errp, "its cluster size is not between 512 bytes and 64 MiB");
    if (sectors > INT64_MAX / 1024 || p->entries * 4 > P_BAT_MAX ||
        (sectors * 512 + p->cluster - 1) / p->cluster > p->entries)
        return sparse_bad(n, errp, "its block table is too short for the disk");
    if (P_HEADER + p->entries * 4 > align_up(file, 512))
        return sparse_bad(n, errp, "the file ends within its block table");
    p->data = MAX((uint64_t)load_le32(h + H_DATA) * 512, align_up(P_HEADER + p->entries * 4, 512));
    if (load_le64(h + H_EXTENSION) && block_writable(n) && !(n->flags & BLOCK_CHECK)) {
        error_setf(
            errp,
            "image '%s' has extensions (dirty bitmaps) that writing would make wrong; use read-only=on, or convert it",
            block_filename(n));
        return false;
    }
    n->size = sectors * 512;
    if (!find_end(n, errp))
        return false;
    meta_init(&p->meta, n->file);
    sparse_init(n, &par_ops);
    n->zero_align = 1;
    return true;
}

static void par_close(BlockNode *n)
{
    meta_free(&par_of(n)->meta);
    sparse_destroy(n);
}

static bool par_inactivate(BlockNode *n, Error **errp)
{
    if (!sparse_inactivate(n, errp))
        return false;
    int r = par_of(n)->sparse.touched ? set_mark(n, 0) : 0;
    if (r)
        error_set_errno(errp, -r, "image '%s': its header can't be written", block_filename(n));
    return !r;
}

static bool par_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->dirty = par_of(n)->dirty;
    return true;
}

static bool par_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    Parallels *p = par_of(n);
    uint64_t places = p->next / 512, file = block_size(n->file), used = 0;
    g_autofree uint8_t *seen = places / p->cluster <= UINT32_MAX ? g_try_malloc0(p->next / p->cluster / 8 + 1) : NULL;
    if (!seen || fix) {
        error_setf(errp,
                   fix ? "image '%s': the parallels format can't be repaired here; convert it"
                       : "image '%s': too large a file to be checked",
                   block_filename(n));
        return false;
    }
    for (uint64_t i = 0; i < p->entries; i++) {
        uint64_t e, at;
        const char *what = NULL;
        if (meta_load(&p->meta, P_HEADER + i * 4, 4, false, &e)) {
            c->check_errors++;
            continue;
        }
        at = e * p->unit;
        if (!e)
            continue;
        uint64_t place = at / p->cluster;
        if (at >= file || at < p->data || at + p->cluster > p->next)
            what = "stands outside the file's data";
        else if (seen[place / 8] >> (place % 8) & 1)
            what = "shares its place with another";
        else
            seen[place / 8] |= (uint8_t)(1u << (place % 8));
        used++;
        c->corruptions += what != NULL;
        g_autofree char *line = what ? g_strdup_printf("ERROR: cluster %" PRIu64 " %s", i, what) : NULL;
        if (line && c->say)
            c->say(c->opaque, line);
    }
    c->total_clusters = (block_size(n) + p->cluster - 1) / p->cluster;
    c->allocated_clusters = used;
    c->image_end = p->next;
    return true;
}

/* --- creation --- */

static bool parse(Opts *o, uint64_t size, uint64_t *cluster, Error **errp)
{
    opts_get(o, "size");
    if (!opts_get_size(o, "cluster_size", MiB, cluster, errp))
        return false;
    *cluster = *cluster ? *cluster : MiB;
    if (*cluster % 512 || *cluster > 64 * MiB) {
        error_setf(errp, "cluster_size: a multiple of 512 up to 64M, please");
        return false;
    }
    if (size / *cluster > P_BAT_MAX / 4 - 1) {
        error_setf(errp, "parallels: a disk of %" PRIu64 " bytes needs larger clusters", size);
        return false;
    }
    return true;
}

static bool par_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    uint64_t cluster;
    BlockNode *f = parse(o, size, &cluster, errp) ? block_new_file(filename, errp) : NULL;
    if (!f)
        return false;
    uint8_t h[P_HEADER] = { 0 };
    uint64_t entries = (size + cluster - 1) / cluster,
             data = (P_HEADER + entries * 4 + cluster - 1) / cluster * cluster;
    memcpy(h, "WithouFreSpacExt", 16);
    store_le32(h + H_VERSION, 2);
    store_le32(h + H_HEADS, 16);
    store_le32(h + H_CYLINDERS, (uint32_t)MIN(size / 512 / 16 / 32, (uint64_t)UINT32_MAX));
    store_le32(h + H_TRACKS, (uint32_t)(cluster / 512));
    store_le32(h + H_ENTRIES, (uint32_t)entries);
    store_le64(h + H_SECTORS, (size + 511) / 512);
    store_le32(h + H_DATA, (uint32_t)(data / 512));
    int r = block_pwrite(f, 0, h, sizeof h);
    bool ok = !r && block_truncate(f, data, PREALLOC_OFF, false, errp);
    return block_new_file_end(f, filename, r, ok, errp);
}

static bool par_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    uint64_t cluster;
    if (!parse(o, size, &cluster, errp))
        return false;
    uint64_t all = (size + cluster - 1) / cluster, data = (P_HEADER + all * 4 + cluster - 1) / cluster * cluster;
    *fully = data + all * cluster;
    *required = data + block_used_units(n, cluster) * cluster;
    return true;
}

static unsigned par_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 20 && (!memcmp(head, "WithoutFreeSpace", 16) || !memcmp(head, "WithouFreSpacExt", 16)) &&
                   load_le32(head + 16) == 2
               ? 100
               : 0;
}

static const BlockCreateOption par_create_options[] = { { "size", "size", "virtual disk size", NULL },
                                                        { "cluster_size", "size", "a multiple of 512 up to 64M", "1M" },
                                                        { NULL } };
static const BlockDriver parallels_driver = {
    .name = "parallels",
    .desc = "Parallels disk",
    .instance_size = sizeof(Parallels),
    .create_options = par_create_options,
    .probe = par_probe,
    .open = par_open,
    .close = par_close,
    .inactivate = par_inactivate,
    .preadv = sparse_preadv,
    .pwritev = sparse_pwritev,
    .pwrite_zeroes = sparse_pwrite_zeroes,
    .pdiscard = sparse_pdiscard,
    .flush = sparse_flush,
    .status = sparse_status,
    .info = par_info,
    .create = par_create,
    .measure = par_measure,
    .check = par_check,
};
BLOCK_DRIVER_REGISTER(parallels_driver)
