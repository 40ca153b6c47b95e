/* SPDX-License-Identifier: MIT */
/* vmdk: sparse extents: their headers, grain directories and tables, grains with and without compression. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>
#include "block/vmdk/vmdk.h"

/*
 * VDF "Hosted sparse extents": the grain directory (GD) has the sectors of the grain tables (GT), those the sectors of
 * the grains; 0: none. A second copy of both is kept (redundant GD). ESX "COWD" extents are the same with another
 * header.
 */

/* --- opening --- */

static bool directory_fits(BlockNode *n, VmdkExtent *e, uint64_t at, Error **errp)
{
    uint64_t file = block_size(e->file);
    if (at > file || e->gd_entries * 4 > file - at)
        return sparse_bad(n, errp, "a grain directory does not lie within the file");
    return true;
}

static bool geometry(BlockNode *n, VmdkExtent *e, uint64_t capacity, uint64_t grain, uint64_t gtes, Error **errp)
{
    if (!is_pow2(grain) || grain < 8 || grain > 2048)
        return sparse_bad(n, errp, "its grain size is not a power of two from 8 to 2048 sectors");
    if (!gtes || gtes > 4096 || gtes % 128)
        return sparse_bad(n, errp, "the size of its grain tables is not possible");
    if (capacity > INT64_MAX / 1024)
        return sparse_bad(n, errp, "its capacity is not possible");
    e->grain = grain * VMDK_SECTOR;
    e->gtes = gtes;
    uint64_t size = capacity * VMDK_SECTOR;
    if (e->own && size < e->size)
        return sparse_bad(n, errp, "an extent is smaller than the descriptor says");
    e->size = e->own ? e->size : size;
    e->gd_entries = (e->size + e->grain * gtes - 1) / (e->grain * gtes);
    if (e->gd_entries * 4 > VMDK_GD_MAX)
        return sparse_bad(n, errp, "its grain directory is larger than 64 MiB");
    return true;
}

static bool open_cowd(BlockNode *n, VmdkExtent *e, const uint8_t *h, Error **errp)
{
    if (!geometry(n, e, load_le32(h + 12), load_le32(h + 16), COWD_GT_ENTRIES, errp))
        return false;
    e->gd = (uint64_t)load_le32(h + 20) * VMDK_SECTOR;
    e->first_data = align_up(e->gd + e->gd_entries * 4, VMDK_SECTOR);
    return directory_fits(n, e, e->gd, errp);
}

/* The footer repeats the header with the place of the directory (VDF "Stream-optimized compressed sparse extents"). */
static bool find_footer(BlockNode *n, VmdkExtent *e, uint8_t *h, Error **errp)
{
    uint8_t tail[3 * VMDK_SECTOR];
    uint64_t size = block_size(e->file);
    if (size < sizeof tail || block_pread(e->file, size - sizeof tail, tail, sizeof tail) ||
        load_le32(tail + VMDK_SECTOR) != VMDK_MAGIC || load_le32(tail + 8) != 0 || load_le32(tail + 12) != 3)
        return sparse_bad(n, errp,
                          "its directory should be at the end, but there is no footer; the file may be cut short");
    memcpy(h, tail + VMDK_SECTOR, VMDK_SECTOR);
    e->at_end = true;
    return true;
}

bool vmdk_open_sparse(BlockNode *n, VmdkExtent *e, Error **errp)
{
    uint8_t h[VMDK_SECTOR] = { 0 };
    if (block_size(e->file) < VMDK_SECTOR || block_pread(e->file, 0, h, sizeof h))
        return sparse_bad(n, errp, "the header of an extent can't be read");
    meta_init(&e->meta, e->file);
    e->next = align_up(block_size(e->file), VMDK_SECTOR);
    if (load_le32(h) == COWD_MAGIC)
        return open_cowd(n, e, h, errp);
    if (load_le32(h) != VMDK_MAGIC)
        return sparse_bad(n, errp, "an extent does not start with the format's magic number");
    if (load_le64(h + VH_GD) == VMDK_GD_AT_END && !find_footer(n, e, h, errp))
        return false;
    uint32_t version = load_le32(h + VH_VERSION), flags = load_le32(h + VH_FLAGS);
    unsigned compression = load_le16(h + VH_COMPRESSION);
    if (!version || version > 3) {
        error_setf(errp, "image '%s': vmdk extents of version %u are not known here; 1 to 3 are", block_filename(n),
                   version);
        return false;
    }
    if (compression > 1 || (compression == 1) != !!(flags & VMDK_FLAG_COMPRESSED))
        return sparse_bad(n, errp, "its method of compression is not known");
    if (flags & 1 && memcmp(h + VH_LINE_ENDS, "\n \r\n", 4))
        return sparse_bad(n, errp, "its line ends were changed, as by a transfer in text mode");
    if (!geometry(n, e, load_le64(h + VH_CAPACITY), load_le64(h + VH_GRAIN), load_le32(h + VH_GTES), errp))
        return false;
    e->compressed = compression;
    e->markers = flags & VMDK_FLAG_MARKERS;
    e->zeroed = flags & VMDK_FLAG_ZEROED && version >= 2;
    uint64_t gd = load_le64(h + VH_GD), rgd = flags & VMDK_FLAG_RGD ? load_le64(h + VH_RGD) : 0,
             over = load_le64(h + VH_OVERHEAD);
    if (gd > INT64_MAX / 1024 || rgd > INT64_MAX / 1024 || !gd)
        return sparse_bad(n, errp, "the place of its grain directory is not possible");
    e->gd = gd * VMDK_SECTOR;
    e->rgd = rgd * VMDK_SECTOR;
    e->first_data = over < INT64_MAX / 1024 ? over * VMDK_SECTOR : 0;
    if (!e->compressed)
        e->next = align_up(MAX(e->next, e->first_data), e->grain);
    return directory_fits(n, e, e->gd, errp) && (!e->rgd || directory_fits(n, e, e->rgd, errp));
}

/* --- tables --- */

VmdkExtent *vmdk_extent(BlockNode *n, uint64_t offset)
{
    Vmdk *v = vmdk_of(n);
    unsigned low = 0, high = v->count;
    while (high - low > 1) {
        unsigned mid = (low + high) / 2;
        if (v->extents[mid].start <= offset)
            low = mid;
        else
            high = mid;
    }
    VmdkExtent *e = &v->extents[low];
    return offset - e->start < e->size ? e : NULL;
}

/* The byte offset of the grain table that directory `gd` has for a grain; 0: none. */
static int find_gt(VmdkExtent *e, uint64_t gd, uint64_t grain, uint64_t *gt)
{
    int r = meta_load(&e->meta, gd + grain / e->gtes * 4, 4, false, gt);
    *gt *= VMDK_SECTOR;
    return r ? r : *gt && *gt + e->gtes * 4 > e->next ? -EIO : 0;
}

/* Data of a child comes from the parent that it was made for, or not at all. */
static int check_parent(BlockNode *n)
{
    Vmdk *v = vmdk_of(n);
    if (!v->parent_checked && n->backing && !strcmp(n->backing->drv->name, "vmdk")) {
        uint32_t cid = vmdk_of(n->backing)->cid;
        if (cid != v->parent_cid) {
            warn_reportf(
                "image '%s' was made above a parent with content ID %08x, but '%s' has %08x: the parent was changed",
                block_filename(n), v->parent_cid, block_filename(n->backing), cid);
            return -EINVAL;
        }
    }
    v->parent_checked = true;
    return 0;
}

static int vmdk_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    VmdkExtent *e = vmdk_extent(n, offset);
    if (!e)
        return -EIO;
    uint64_t in = offset - e->start, gt, entry = 0;
    *m = (SparseMap){ .kind = SPARSE_ZERO,
                      .file = e->file,
                      .len = e->size - in,
                      .block = offset,
                      .unit = e->size - in,
                      .limit = e->start + e->size };
    if (e->kind == VMDK_ZERO)
        return 0;
    if (e->kind == VMDK_FLAT) {
        m->kind = SPARSE_DATA;
        m->host = e->flat_offset + in;
        return 0;
    }
    uint64_t grain = in / e->grain;
    m->block = e->start + grain * e->grain;
    m->unit = e->grain;
    m->limit = e->start + align_up(e->size, e->grain);
    m->len = MIN(m->len, e->grain - in % e->grain);
    int r = find_gt(e, e->gd, grain, &gt);
    if (!r && gt)
        r = meta_load(&e->meta, gt + grain % e->gtes * 4, 4, false, &entry);
    if (r)
        return r;
    if (!gt) /* nothing in the range of the whole table */
        m->len = MIN(e->size - in, e->gtes * e->grain - in % (e->gtes * e->grain));
    uint64_t host = entry * VMDK_SECTOR;
    m->kind = !entry                    ? SPARSE_ABSENT
              : entry == 1 && e->zeroed ? SPARSE_ZERO
              : e->compressed           ? SPARSE_PACKED
                                        : SPARSE_DATA;
    if (m->kind == SPARSE_ABSENT)
        return n->backing ? check_parent(n) : 0;
    if (m->kind == SPARSE_DATA && host + e->grain > align_up(e->next, e->grain))
        return -EIO;
    m->host = host + (m->kind == SPARSE_DATA ? in % e->grain : 0);
    return 0;
}

static int vmdk_alloc(BlockNode *n, SparseMap *m, bool *fresh)
{
    VmdkExtent *e = vmdk_extent(n, m->block);
    if (!e || e->kind != VMDK_SPARSE)
        return -EACCES;
    if (e->next / VMDK_SECTOR + e->grain / VMDK_SECTOR > UINT32_MAX)
        return -ENOSPC;
    m->file = e->file;
    m->host = e->next;
    e->next += e->grain;
    *fresh = m->host >= block_size(e->file);
    return 0;
}

/* The entry in one of the two tables; a table that is missing is made. */
static int set_entry(VmdkExtent *e, uint64_t gd, uint64_t grain, uint64_t sector)
{
    uint64_t gt;
    int r = find_gt(e, gd, grain, &gt);
    if (!r && !gt) {
        gt = e->next;
        r = meta_zero(&e->meta, gt, e->gtes * 4, META_LEAF);
        r = r ? r : meta_store(&e->meta, gd + grain / e->gtes * 4, 4, false, gt / VMDK_SECTOR, META_ROOT);
        e->next = e->compressed ? gt + e->gtes * 4 : align_up(gt + e->gtes * 4, e->grain);
    }
    return r ? r : meta_store(&e->meta, gt + grain % e->gtes * 4, 4, false, sector, META_LEAF);
}

static int vmdk_link(BlockNode *n, const SparseMap *m)
{
    VmdkExtent *e = vmdk_extent(n, m->block);
    uint64_t grain = (m->block - e->start) / e->grain, sector = m->kind == SPARSE_ZERO ? 1 : m->host / VMDK_SECTOR;
    if (m->kind == SPARSE_ZERO && !e->zeroed)
        return -ENOTSUP;
    int r = set_entry(e, e->gd, grain, sector);
    return r || !e->rgd ? r : set_entry(e, e->rgd, grain, sector);
}

static int vmdk_sync(BlockNode *n)
{
    Vmdk *v = vmdk_of(n);
    g_autofree Meta **m = g_new(Meta *, v->count);
    unsigned count = 0;
    int r = 0;
    for (unsigned i = 0; i < v->count; i++) {
        if (v->extents[i].kind == VMDK_SPARSE)
            m[count++] = &v->extents[i].meta;
    }
    r = sparse_sync_tables(m, count);
    for (unsigned i = 0; i < v->count && !r; i++) {
        if (v->extents[i].kind == VMDK_FLAT)
            r = block_flush(v->extents[i].file);
    }
    return r;
}

static bool vmdk_full(BlockNode *n)
{
    Vmdk *v = vmdk_of(n);
    unsigned dirty = 0;
    for (unsigned i = 0; i < v->count; i++)
        dirty += v->extents[i].meta.dirty[META_LEAF];
    return dirty > META_DIRTY_MAX;
}

/* Contents change: children that were made above the old ones must notice. */
static int vmdk_first_write(BlockNode *n)
{
    Vmdk *v = vmdk_of(n);
    char hex[12];
    if (n->merging)
        return 1;
    sparse_random(&v->cid, sizeof v->cid);
    v->cid = v->cid >= 0xfffffffe ? 1 : v->cid; /* ffffffff: no parent */
    g_snprintf(hex, sizeof hex, "%08x", v->cid);
    char *text = v->descriptor ? vmdk_desc_set(v->descriptor, "CID", hex, "version") : NULL;
    if (!text)
        return 0; /* an extent that was opened by itself */
    g_free(v->descriptor);
    v->descriptor = text;
    return vmdk_write_descriptor(n, NULL) ? 0 : -EIO;
}

/* --- compressed grains --- */

/* VDF: a grain's marker is its disk sector (8 bytes), the size of the data (4), then the data, a zlib stream. */
static int read_packed(VmdkExtent *e, uint64_t host, uint8_t *out)
{
    uint8_t head[12];
    uint64_t size = e->grain, at = host, file = block_size(e->file);
    if (e->markers) {
        if (host + sizeof head > file)
            return -EIO;
        int r = block_pread(e->file, host, head, sizeof head);
        if (r)
            return r;
        size = load_le32(head + 8);
        at += sizeof head;
    }
    if (!size || size > 2 * e->grain || at > file)
        return -EIO;
    size = MIN(size, file - at);
    g_autofree uint8_t *in = g_malloc(size);
    int r = block_pread(e->file, at, in, size);
    uLongf len = (uLongf)e->grain;
    if (r)
        return r;
    int z = uncompress(out, &len, in, (uLong)size);
    if (z != Z_OK && z != Z_BUF_ERROR)
        return -EIO;
    memset(out + len, 0, e->grain - len); /* the last grain may be shorter */
    return 0;
}

static int vmdk_inflate(BlockNode *n, const SparseMap *m, size_t skip, const struct iovec *iov, int iovcnt, size_t at,
                        size_t len)
{
    Vmdk *v = vmdk_of(n);
    VmdkExtent *e = vmdk_extent(n, m->block);
    int r = 0;
    pthread_mutex_lock(&v->inflate_lock);
    if (v->inflated_block != m->host || v->inflated_size < e->grain) {
        v->inflated = v->inflated_size < e->grain ? g_realloc(v->inflated, e->grain) : v->inflated;
        v->inflated_size = MAX(v->inflated_size, e->grain);
        v->inflated_block = 0;
        r = read_packed(e, m->host, v->inflated);
        if (!r && v->count == 1)
            v->inflated_block = m->host;
    }
    if (!r)
        iov_from_buf(iov, iovcnt, at, v->inflated + skip, len);
    pthread_mutex_unlock(&v->inflate_lock);
    return r;
}

static int vmdk_pack(BlockNode *n, const SparseMap *m, const uint8_t *block)
{
    Vmdk *v = vmdk_of(n);
    VmdkExtent *e = vmdk_extent(n, m->block);
    uLongf len = compressBound((uLong)e->grain);
    size_t head = e->markers ? 12 : 0;
    g_autofree uint8_t *out = g_malloc0(align_up(head + len, VMDK_SECTOR));
    if (compress(out + head, &len, block, (uLong)e->grain) != Z_OK)
        return -ENOMEM;
    if (head) {
        store_le64(out, (m->block - e->start) / VMDK_SECTOR);
        store_le32(out + 8, (uint32_t)len);
    }
    size_t total = align_up(head + len, VMDK_SECTOR);
    SparseMap to = *m;
    pthread_mutex_lock(&v->sparse.lock);
    to.host = e->next;
    bool fits = (e->next + total) / VMDK_SECTOR <= UINT32_MAX;
    e->next += fits ? total : 0;
    pthread_mutex_unlock(&v->sparse.lock);
    int r = fits ? block_pwrite(e->file, to.host, out, total) : -ENOSPC;
    if (r)
        return r;
    pthread_mutex_lock(&v->sparse.lock);
    to.kind = SPARSE_PACKED;
    r = vmdk_link(n, &to);
    pthread_mutex_unlock(&v->sparse.lock);
    return r;
}

#define COMMON_OPS \
    .map = vmdk_map, .alloc = vmdk_alloc, .link = vmdk_link, .sync = vmdk_sync, .full = vmdk_full, \
    .first_write = vmdk_first_write, \
    .inflate = vmdk_inflate
const SparseOps vmdk_flat_ops = { COMMON_OPS, .can_zero = true, .pads = true };
const SparseOps vmdk_packed_ops = { COMMON_OPS, .pack = vmdk_pack, .packs_all = true };

/* --- checking --- */

static void check_extent(BlockNode *n, VmdkExtent *e, BlockCheck *c)
{
    uint64_t grains = (e->size + e->grain - 1) / e->grain, file = align_up(block_size(e->file), VMDK_SECTOR);
    c->total_clusters += grains;
    for (uint64_t i = 0; i < grains; i++) {
        uint64_t gt, entry = 0;
        const char *what = NULL;
        int r = find_gt(e, e->gd, i, &gt);
        if (!r && !gt) {
            i += e->gtes - i % e->gtes - 1;
            continue;
        }
        r = r ? r : meta_load(&e->meta, gt + i % e->gtes * 4, 4, false, &entry);
        if (!entry && !r)
            continue;
        if (r)
            what = "its table can't be read";
        else if (entry == 1 && e->zeroed)
            continue;
        else if (entry * VMDK_SECTOR >= file)
            what = "it stands beyond the end of the file";
        c->allocated_clusters += !r;
        c->compressed_clusters += !r && e->compressed;
        c->corruptions += what != NULL;
        g_autofree char *line = what ? g_strdup_printf("ERROR: grain at the disk's offset %" PRIu64 ": %s",
                                                       e->start + i * e->grain, what)
                                     : NULL;
        if (line && c->say)
            c->say(c->opaque, line);
        if (r)
            i += e->gtes - i % e->gtes - 1;
    }
    c->image_end = MAX(c->image_end, e->next);
}

bool vmdk_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    if (fix) {
        error_setf(errp, "image '%s': the vmdk format has nothing to repair it by; convert it", block_filename(n));
        return false;
    }
    for (unsigned i = 0; i < v->count; i++) {
        if (v->extents[i].kind == VMDK_SPARSE)
            check_extent(n, &v->extents[i], c);
    }
    return true;
}
