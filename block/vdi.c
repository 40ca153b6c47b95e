/* SPDX-License-Identifier: MIT */
/* VirtualBox disk images, version 1.1: dynamic and static. */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

/*
 * Layout: a header of 512 bytes, a map with the number of the place of each block (little endian, 4 bytes), the blocks.
 * VirtualBox and QEMU take the next place from the count in the header, so places are used without gaps, and the count
 * is in the file before the map has the blocks: after a power cut it may be too large, which is a leak. Opening here
 * finds the next place by the map itself.
 */
enum {
    VDI_SIGNATURE = (int)0xbeda107f, VDI_VERSION = 0x00010001, VDI_HEADER = 512, VDI_DYNAMIC = 1, VDI_STATIC = 2,
    VDI_BLOCK = 1 << 20, VDI_MAP_MAX = 512 << 20,
    VDI_FREE = (int)0xffffffff, VDI_ZERO = (int)0xfffffffe,
};
enum {
    O_SIGNATURE = 0x40,
    O_VERSION = 0x44,
    O_HEADER_SIZE = 0x48,
    O_TYPE = 0x4c,
    O_MAP = 0x154,
    O_DATA = 0x158,
    O_SECTOR = 0x168,
    O_SIZE = 0x170,
    O_BLOCK = 0x178,
    O_EXTRA = 0x17c,
    O_BLOCKS = 0x180,
    O_ALLOCATED = 0x184,
    O_UUID = 0x188,
    O_UUID_SNAP = 0x198,
    O_UUID_LINK = 0x1a8
};

typedef struct Vdi {
    Sparse sparse;
    Meta meta;
    uint64_t map_offset, data_offset, blocks;
    uint32_t block_size, type, next, written_next; /* next place; what the header says */
} Vdi;

static Vdi *vdi_of(BlockNode *n) { return n->opaque; }

/* --- tables --- */

static int entry_of(BlockNode *n, uint64_t block, uint32_t *out)
{
    uint64_t v;
    int r = meta_load(&vdi_of(n)->meta, vdi_of(n)->map_offset + block * 4, 4, false, &v);
    *out = (uint32_t)v;
    return r;
}

static int vdi_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Vdi *v = vdi_of(n);
    uint32_t e;
    uint64_t in = offset % v->block_size;
    int r = entry_of(n, offset / v->block_size, &e);
    if (r)
        return r;
    *m = (SparseMap){ .kind = SPARSE_DATA,
                      .file = n->file,
                      .len = v->block_size - in,
                      .block = offset - in,
                      .unit = v->block_size,
                      .limit = v->blocks * v->block_size };
    if (e == (uint32_t)VDI_FREE || e == (uint32_t)VDI_ZERO)
        m->kind = e == (uint32_t)VDI_FREE ? SPARSE_ABSENT : SPARSE_ZERO;
    else if (e >= v->next)
        return -EIO;
    m->host = v->data_offset + (uint64_t)e * v->block_size + in;
    return 0;
}

static int vdi_alloc(BlockNode *n, SparseMap *m, bool *fresh)
{
    Vdi *v = vdi_of(n);
    if (v->next >= (uint32_t)VDI_ZERO)
        return -ENOSPC;
    m->file = n->file;
    m->host = v->data_offset + (uint64_t)v->next++ * v->block_size;
    *fresh = m->host >= block_size(n->file);
    return 0;
}

static int vdi_link(BlockNode *n, const SparseMap *m)
{
    Vdi *v = vdi_of(n);
    uint32_t e = m->kind == SPARSE_ZERO ? (uint32_t)VDI_ZERO : (uint32_t)((m->host - v->data_offset) / v->block_size);
    return meta_store(&v->meta, v->map_offset + m->block / v->block_size * 4, 4, false, e, META_ROOT);
}

static int vdi_sync(BlockNode *n)
{
    Vdi *v = vdi_of(n);
    Meta *m = &v->meta;
    int r = 0;
    if (v->next != v->written_next)
        r = meta_store(m, O_ALLOCATED, 4, false, v->next, META_LEAF);
    r = r ? r : sparse_sync_tables(&m, 1);
    if (!r)
        v->written_next = v->next;
    return r;
}

static bool vdi_full(BlockNode *n) { return meta_is_full(&vdi_of(n)->meta); }

static const SparseOps vdi_ops = { .map = vdi_map,
                                   .alloc = vdi_alloc,
                                   .link = vdi_link,
                                   .sync = vdi_sync,
                                   .full = vdi_full,
                                   .can_zero = true,
                                   .pads = true };

/* --- opening --- */

static bool is_null(const uint8_t *uuid) { return buf_is_zero(uuid, 16); }

static bool parse(BlockNode *n, const uint8_t *h, Error **errp)
{
    Vdi *v = vdi_of(n);
    if (load_le32(h + O_SIGNATURE) != (uint32_t)VDI_SIGNATURE)
        return sparse_bad(n, errp, "it does not have the format's signature");
    if (load_le32(h + O_VERSION) != VDI_VERSION) {
        error_setf(errp, "image '%s': VDI version %u.%u is not known here; 1.1 is", block_filename(n),
                   load_le16(h + O_VERSION + 2), load_le16(h + O_VERSION));
        return false;
    }
    v->type = load_le32(h + O_TYPE);
    v->map_offset = load_le32(h + O_MAP);
    v->data_offset = load_le32(h + O_DATA);
    v->block_size = load_le32(h + O_BLOCK);
    v->blocks = load_le32(h + O_BLOCKS);
    v->written_next = load_le32(h + O_ALLOCATED);
    uint64_t size = load_le64(h + O_SIZE);
    if (v->type != VDI_DYNAMIC && v->type != VDI_STATIC)
        return sparse_bad(n, errp, "it is a differencing or undo image, which can't be opened without VirtualBox");
    if (!is_null(h + O_UUID_LINK))
        return sparse_bad(n, errp, "it has a parent image, which VirtualBox only knows by its UUID");
    if (load_le32(h + O_SECTOR) != 512 || load_le32(h + O_EXTRA))
        return sparse_bad(n, errp, "its sectors are not of 512 bytes, or its blocks have extra data");
    if (!is_pow2(v->block_size) || v->block_size < 4096 || v->block_size > 64 * MiB)
        return sparse_bad(n, errp, "its block size is not a power of two from 4 KiB to 64 MiB");
    if (v->map_offset % 512 || v->data_offset % 512 || v->map_offset < VDI_HEADER)
        return sparse_bad(n, errp, "its tables are not aligned to sectors");
    if (v->blocks * 4 > VDI_MAP_MAX || size > v->blocks * v->block_size)
        return sparse_bad(n, errp, "its block map is too short for the disk");
    if (v->data_offset < v->map_offset + v->blocks * 4)
        return sparse_bad(n, errp, "its data starts within its block map");
    n->size = align_up(size, 512);
    return true;
}

/*
 * The next free place: the map is right, the count in the header may be older. Map entries beyond the file's end are no
 * data.
 */
static bool scan_map(BlockNode *n, Error **errp)
{
    Vdi *v = vdi_of(n);
    uint64_t file = block_size(n->file), last = 0,
             places = file > v->data_offset ? (file - v->data_offset + v->block_size - 1) / v->block_size : 0;
    g_autofree uint8_t *buf = g_malloc(64 * KiB);
    for (uint64_t at = 0; at < v->blocks * 4; at += 64 * KiB) {
        size_t len = (size_t)MIN(v->blocks * 4 - at, 64 * KiB);
        if (v->map_offset + at + len > file)
            return sparse_bad(n, errp, "the file ends within its block map");
        int r = block_pread(n->file, v->map_offset + at, buf, len);
        if (r) {
            error_set_errno(errp, -r, "image '%s': its block map can't be read", block_filename(n));
            return false;
        }
        for (size_t i = 0; i < len; i += 4) {
            uint32_t e = load_le32(buf + i);
            if (e < (uint32_t)VDI_ZERO && e >= last && (e < v->blocks || e < places))
                last = e + UINT64_C(1);
        }
    }
    v->next = (uint32_t)last;
    return true;
}

static bool vdi_open(BlockNode *n, Opts *o, Error **errp)
{
    Vdi *v = vdi_of(n);
    uint8_t h[VDI_HEADER] = { 0 };
    int r = block_size(n->file) < sizeof h ? -EINVAL : block_pread(n->file, 0, h, sizeof h);
    if (r) {
        error_set_errno(errp, -r, "image '%s': its header can't be read", block_filename(n));
        return false;
    }
    if (!parse(n, h, errp) || !scan_map(n, errp))
        return false;
    meta_init(&v->meta, n->file);
    sparse_init(n, &vdi_ops);
    n->zero_align = 1; /* there is no backing file: any range can be zeroed in place */
    return true;
}

static void vdi_close(BlockNode *n)
{
    meta_free(&vdi_of(n)->meta);
    sparse_destroy(n);
}

static bool vdi_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->cluster_size = vdi_of(n)->block_size;
    return true;
}

/* --- checking --- */

static void finding(BlockCheck *c, const char *fmt, uint64_t a, uint64_t b)
{
    g_autofree char *line = g_strdup_printf(fmt, a, b);
    if (c->say)
        c->say(c->opaque, line);
}

static bool vdi_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    Vdi *v = vdi_of(n);
    uint64_t allocated = 0;
    if (fix) {
        error_setf(errp, "image '%s': the vdi format has no redundancy to repair it by; convert it", block_filename(n));
        return false;
    }
    g_autofree uint8_t *seen = g_try_malloc0(v->next / 8 + 1);
    if (!seen) {
        error_set_errno(errp, ENOMEM, "image '%s': check", block_filename(n));
        return false;
    }
    for (uint64_t i = 0; i < v->blocks; i++) {
        uint32_t e;
        if (entry_of(n, i, &e)) {
            c->check_errors++;
        } else if (e < (uint32_t)VDI_ZERO) {
            allocated++;
            if (e >= v->blocks || e >= v->next) {
                finding(c, "ERROR: block %" PRIu64 " stands at place %" PRIu64 ", beyond all places", i, e);
                c->corruptions++;
            } else if (seen[e / 8] >> (e % 8) & 1) {
                finding(c, "ERROR: block %" PRIu64 " shares place %" PRIu64 " with another", i, e);
                c->corruptions++;
            } else {
                seen[e / 8] |= (uint8_t)(1u << (e % 8));
            }
        }
    }
    if (allocated != v->written_next) {
        finding(c, "the header counts %2$" PRIu64 " blocks, the map has %1$" PRIu64, allocated, v->written_next);
        c->leaks += v->written_next > allocated ? v->written_next - allocated : 0;
        c->corruptions += v->written_next < allocated;
    }
    c->total_clusters = v->blocks;
    c->allocated_clusters = allocated;
    c->image_end = v->data_offset + (uint64_t)v->next * v->block_size;
    return true;
}

/* --- creation --- */

static bool parse_create(Opts *o, uint64_t size, bool *fixed, Error **errp)
{
    opts_get(o, "size");
    if (!opts_get_bool(o, "static", false, fixed, errp))
        return false;
    if (size / VDI_BLOCK > VDI_MAP_MAX / 4 - 1) {
        error_setf(errp, "vdi: a disk of %" PRIu64 " bytes is larger than the format's map allows (128T)", size);
        return false;
    }
    return true;
}

static bool vdi_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    bool fixed;
    if (!parse_create(o, size, &fixed, errp))
        return false;
    BlockNode *f = block_new_file(filename, errp);
    if (!f)
        return false;
    uint64_t blocks = (size + VDI_BLOCK - 1) / VDI_BLOCK, map = align_up(blocks * 4, 512), data = VDI_HEADER + map;
    g_autofree uint8_t *head = g_malloc0(data);
    g_strlcpy((char *)head, "<<< Rhea VM Virtual Disk Image >>>\n", 64);
    store_le32(head + O_SIGNATURE, (uint32_t)VDI_SIGNATURE);
    store_le32(head + O_VERSION, VDI_VERSION);
    store_le32(head + O_HEADER_SIZE, 0x180);
    store_le32(head + O_TYPE, fixed ? VDI_STATIC : VDI_DYNAMIC);
    store_le32(head + O_MAP, VDI_HEADER);
    store_le32(head + O_DATA, (uint32_t)data);
    store_le32(head + O_SECTOR, 512);
    store_le64(head + O_SIZE, align_up(size, 512));
    store_le32(head + O_BLOCK, VDI_BLOCK);
    store_le32(head + O_BLOCKS, (uint32_t)blocks);
    store_le32(head + O_ALLOCATED, fixed ? (uint32_t)blocks : 0);
    sparse_uuid(head + O_UUID);
    sparse_uuid(head + O_UUID_SNAP);
    for (uint64_t i = 0; i < blocks; i++)
        store_le32(head + VDI_HEADER + i * 4, fixed ? (uint32_t)i : (uint32_t)VDI_FREE);
    int r = block_pwrite(f, 0, head, data);
    bool ok = !r && (!fixed || block_truncate(f, data + blocks * VDI_BLOCK, PREALLOC_OFF, false, errp));
    return block_new_file_end(f, filename, r, ok, errp);
}

static bool vdi_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    bool fixed;
    if (!parse_create(o, size, &fixed, errp))
        return false;
    uint64_t blocks = (size + VDI_BLOCK - 1) / VDI_BLOCK, head = VDI_HEADER + align_up(blocks * 4, 512);
    *fully = head + blocks * VDI_BLOCK;
    *required = fixed ? *fully : head + block_used_units(n, VDI_BLOCK) * VDI_BLOCK;
    return true;
}

/* The map may grow into what is left of its last sector. */
static bool vdi_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    Vdi *v = vdi_of(n);
    uint64_t room = (v->data_offset - v->map_offset) / 4, blocks = (size + v->block_size - 1) / v->block_size;
    size = align_up(size, 512);
    if (size < block_size(n) || blocks > room || prealloc != PREALLOC_OFF || v->type == VDI_STATIC) {
        error_setf(errp,
                   "image '%s': its block map has room for disks up to %" PRIu64
                   " bytes, and it can't become smaller; convert it instead",
                   block_filename(n), room * v->block_size);
        return false;
    }
    pthread_mutex_lock(&v->sparse.lock);
    int r = 0;
    for (uint64_t i = v->blocks; !r && i < blocks; i++)
        r = meta_store(&v->meta, v->map_offset + i * 4, 4, false, (uint32_t)VDI_FREE, META_LEAF);
    r = r ? r : meta_store(&v->meta, O_BLOCKS, 4, false, blocks, META_ROOT);
    r = r ? r : meta_store(&v->meta, O_SIZE, 8, false, size, META_ROOT);
    r = r ? r : vdi_sync(n);
    if (!r) {
        v->blocks = blocks;
        n->size = size;
    } else {
        error_set_errno(errp, -r, "image '%s'", block_filename(n));
    }
    pthread_mutex_unlock(&v->sparse.lock);
    return !r;
}

static unsigned vdi_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 0x48 && load_le32(head + O_SIGNATURE) == (uint32_t)VDI_SIGNATURE ? 100 : 0;
}

static const BlockCreateOption vdi_create_options[] = {
    { "size", "size", "virtual disk size", NULL },
    { "static", "bool", "all blocks have their place from the start", "off" }, { NULL }
};
static const BlockDriver vdi_driver = {
    .name = "vdi",
    .desc = "VirtualBox disk image",
    .instance_size = sizeof(Vdi),
    .create_options = vdi_create_options,
    .probe = vdi_probe,
    .open = vdi_open,
    .close = vdi_close,
    .inactivate = sparse_inactivate,
    .preadv = sparse_preadv,
    .pwritev = sparse_pwritev,
    .pwrite_zeroes = sparse_pwrite_zeroes,
    .pdiscard = sparse_pdiscard,
    .flush = sparse_flush,
    .status = sparse_status,
    .truncate = vdi_truncate,
    .info = vdi_info,
    .create = vdi_create,
    .measure = vdi_measure,
    .check = vdi_check,
};
BLOCK_DRIVER_REGISTER(vdi_driver)
