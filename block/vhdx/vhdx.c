/* SPDX-License-Identifier: MIT */
/* vhdx: Hyper-V's disks: opening, the BAT, checking. */
#include <inttypes.h>
#include <string.h>
#include "block/vhdx/vhdx.h"

const uint8_t vhdx_guid_bat[16] = { 0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                    0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08 };
const uint8_t vhdx_guid_metadata[16] = { 0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                         0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e };
const uint8_t vhdx_items[6][16] = {
    { 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b },
    { 0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8 },
    { 0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46 },
    { 0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f },
    { 0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56 },
    { 0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c },
};

/* --- the BAT --- */

/* Behind each chunk_ratio payload entries there is one for the chunk's sector bitmap ([MS-VHDX] 2.5). */
static uint64_t payload_entry(const Vhdx *v, uint64_t block) { return v->bat + (block + block / v->chunk_ratio) * 8; }
static uint64_t bitmap_entry(const Vhdx *v, uint64_t block)
{
    return v->bat + ((block / v->chunk_ratio + 1) * (v->chunk_ratio + 1) - 1) * 8;
}

/*
 * The block's own sectors and the parent's are mixed: the kind of the one at `offset`, up to where the bitmap's word
 * changes.
 */
static int map_partial(BlockNode *n, uint64_t offset, uint64_t block, SparseMap *m)
{
    Vhdx *v = vhdx_of(n);
    uint64_t entry, word, sector = offset / v->sector % (v->chunk_ratio * (v->block_size / v->sector));
    int r = meta_load(&v->meta, bitmap_entry(v, block), 8, false, &entry);
    if (r || (entry & 7) != ST_FULL)
        return r ? r : -EIO;
    r = meta_load(&v->meta, align_down(entry, VHDX_ALIGN) + sector / 64 * 8, 8, false, &word);
    if (r)
        return r;
    unsigned bit = sector % 64, run = 1;
    bool own = word >> bit & 1;
    while (bit + run < 64 && (word >> (bit + run) & 1) == own)
        run++;
    m->len = MIN(m->len, (uint64_t)run * v->sector - offset % v->sector);
    m->kind = own ? SPARSE_DATA : SPARSE_ABSENT;
    return 0;
}

static int vhdx_map(BlockNode *n, uint64_t offset, uint64_t len, SparseMap *m)
{
    Vhdx *v = vhdx_of(n);
    uint64_t block = offset / v->block_size, in = offset % v->block_size, e;
    *m = (SparseMap){ .file = n->file, .len = v->block_size - in, .block = offset - in, .unit = v->block_size,
                      .limit = align_up(block_size(n), v->block_size) };
    int r = meta_load(&v->meta, payload_entry(v, block), 8, false, &e);
    if (r)
        return r;
    unsigned state = e & 7;
    bool parent = v->flags & 2;
    m->host = align_down(e, VHDX_ALIGN) + in;
    if (state == ST_FULL || (state == ST_PARTIAL && parent)) {
        if (align_down(e, VHDX_ALIGN) < VHDX_ALIGN || align_down(e, VHDX_ALIGN) + v->block_size > v->next)
            return -EIO;
        m->kind = SPARSE_DATA;
        return state == ST_PARTIAL ? map_partial(n, offset, block, m) : 0;
    }
    if (state == ST_PARTIAL || state == 4 || state == 5)
        return -EIO;
    m->kind = state == ST_NOT_PRESENT ? SPARSE_ABSENT : parent ? SPARSE_ZERO : SPARSE_ABSENT;
    return 0;
}

static int vhdx_alloc(BlockNode *n, SparseMap *m, bool *fresh)
{
    Vhdx *v = vhdx_of(n);
    if (v->next > INT64_MAX / 2)
        return -ENOSPC;
    m->file = n->file;
    m->host = v->next;
    v->next += v->block_size;
    *fresh = m->host >= block_size(n->file);
    return 0;
}

static int vhdx_link(BlockNode *n, const SparseMap *m)
{
    Vhdx *v = vhdx_of(n);
    return meta_store(&v->meta, payload_entry(v, m->block / v->block_size), 8, false, m->host | ST_FULL, META_LEAF);
}

static bool vhdx_full(BlockNode *n) { return meta_is_full(&vhdx_of(n)->meta); }

/* 2.2.2: who changes the file gives it new IDs first, and the log one of its own. */
static int vhdx_first_write(BlockNode *n)
{
    Vhdx *v = vhdx_of(n);
    sparse_uuid(v->header + HE_FILE_GUID);
    sparse_uuid(v->header + HE_DATA_GUID);
    sparse_uuid(v->header + HE_LOG_GUID);
    v->log_next = v->log_sequence = 0;
    return vhdx_write_header(n);
}

static const SparseOps vhdx_ops = { .map = vhdx_map,
                                    .alloc = vhdx_alloc,
                                    .link = vhdx_link,
                                    .sync = vhdx_sync,
                                    .full = vhdx_full,
                                    .first_write = vhdx_first_write,
                                    .pads = true };

/* --- opening --- */

static bool valid_header(const uint8_t *h)
{
    return !memcmp(h, "head", 4) && load_le16(h + HE_VERSION) == 1 &&
           vhdx_checksum(h, VHDX_HEADER, HE_CHECKSUM) == load_le32(h + HE_CHECKSUM);
}

static bool read_headers(BlockNode *n, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    g_autofree uint8_t *h = g_malloc(2 * VHDX_HEADER);
    if (block_size(n->file) < VHDX_ALIGN || block_pread(n->file, VHDX_HEADER1, h, VHDX_HEADER) ||
        block_pread(n->file, VHDX_HEADER2, h + VHDX_HEADER, VHDX_HEADER))
        return sparse_bad(n, errp, "its headers can't be read");
    bool one = valid_header(h), two = valid_header(h + VHDX_HEADER);
    if (!one && !two)
        return sparse_bad(n, errp, "neither of its two headers has the right checksum");
    v->second = two && (!one || load_le64(h + VHDX_HEADER + HE_SEQUENCE) > load_le64(h + HE_SEQUENCE));
    memcpy(v->header, h + (v->second ? VHDX_HEADER : 0), VHDX_HEADER);
    v->log = load_le64(v->header + HE_LOG_OFFSET);
    v->log_length = load_le32(v->header + HE_LOG_LENGTH);
    if (load_le16(v->header + HE_LOG_VERSION) && !vhdx_log_is_empty(v))
        return sparse_bad(n, errp, "its log is of an unknown version");
    uint64_t file = block_size(n->file);
    if (!v->log_length || v->log_length % VHDX_ALIGN || v->log_length > VHDX_LOG_MAX || v->log % VHDX_ALIGN ||
        v->log < VHDX_ALIGN || v->log > file || v->log_length > file - v->log)
        return sparse_bad(n, errp, "the place or size of its log is not possible");
    return true;
}

static bool read_regions(BlockNode *n, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    g_autofree uint8_t *t = g_malloc(VHDX_REGION_SIZE);
    bool ok = false;
    for (unsigned i = 0; i < 2 && !ok; i++)
        ok = !block_pread(n->file, VHDX_REGIONS + i * VHDX_REGION_SIZE, t, VHDX_REGION_SIZE) && !memcmp(t, "regi", 4) &&
             vhdx_checksum(t, VHDX_REGION_SIZE, 4) == load_le32(t + 4) && load_le32(t + 8) <= 2047;
    if (!ok)
        return sparse_bad(n, errp, "neither of its region tables has the right checksum");
    uint64_t file = block_size(n->file);
    for (uint32_t i = 0; i < load_le32(t + 8); i++) {
        const uint8_t *e = t + 16 + i * 32;
        uint64_t offset = load_le64(e + 16), length = load_le32(e + 24);
        bool bat = !memcmp(e, vhdx_guid_bat, 16), metadata = !memcmp(e, vhdx_guid_metadata, 16);
        if (!bat && !metadata && load_le32(e + 28) & 1)
            return sparse_bad(n, errp, "it needs a kind of region that this program does not know");
        if ((bat || metadata) && (offset < VHDX_ALIGN || offset % VHDX_ALIGN || !length || length % VHDX_ALIGN ||
                                  offset > file || length > file - offset))
            return sparse_bad(n, errp, "a region does not lie within the file");
        if (bat) {
            v->bat = offset;
            v->bat_length = length;
        } else if (metadata) {
            v->metadata = offset;
            v->metadata_length = length;
        }
    }
    return (v->bat && v->metadata) || sparse_bad(n, errp, "a region that every image has is missing");
}

/* The value of a parent locator's key, as UTF-8 (2.6.2.6). */
static char *locator_value(const uint8_t *p, uint32_t len, const char *key)
{
    unsigned count = len >= 20 ? load_le16(p + 18) : 0;
    for (unsigned i = 0; i < count && 20 + (i + 1) * 12 <= len; i++) {
        const uint8_t *e = p + 20 + i * 12;
        uint32_t ko = load_le32(e), vo = load_le32(e + 4), kl = load_le16(e + 8), vl = load_le16(e + 10);
        if (ko > len || kl > len - ko || vo > len || vl > len - vo)
            continue;
        g_autofree char *k = g_convert((const char *)p + ko, kl, "UTF-8", "UTF-16LE", NULL, NULL, NULL);
        if (k && !strcmp(k, key))
            return g_convert((const char *)p + vo, vl, "UTF-8", "UTF-16LE", NULL, NULL, NULL);
    }
    return NULL;
}

static bool read_parent(BlockNode *n, const uint8_t *item, uint32_t len, Error **errp)
{
    g_autofree char *path = locator_value(item, len, "relative_path");
    if (block_writable(n) && !(n->flags & BLOCK_CHECK)) {
        error_setf(errp,
                   "image '%s': differencing vhdx images can only be read; convert it, or open it with read-only=on",
                   block_filename(n));
        return false;
    }
    if (!path || !*path)
        return sparse_bad(n, errp,
                          "it has a parent but does not say where in a relative path; give backing.file.filename=");
    g_strdelimit(path, "\\", '/');
    n->backing_file = g_strdup(g_str_has_prefix(path, "./") ? path + 2 : path);
    n->backing_format = g_strdup("vhdx");
    return true;
}

/* Items are found by their IDs; their values must lie within the region. */
static bool read_metadata(BlockNode *n, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    g_autofree uint8_t *t = g_malloc(VHDX_REGION_SIZE), *parent = NULL;
    uint8_t values[5][16] = { { 0 } };
    unsigned found = 0;
    uint32_t parent_len = 0;
    if (block_pread(n->file, v->metadata, t, VHDX_REGION_SIZE) || memcmp(t, "metadata", 8) || load_le16(t + 10) > 2047)
        return sparse_bad(n, errp, "its metadata table can't be read");
    for (unsigned i = 0; i < load_le16(t + 10); i++) {
        const uint8_t *e = t + 32 + i * 32;
        uint32_t offset = load_le32(e + 16), len = load_le32(e + 20), flags = load_le32(e + 24);
        unsigned which = 0;
        while (which < 6 && memcmp(e, vhdx_items[which], 16))
            which++;
        if (which == 6 && flags & 4)
            return sparse_bad(n, errp, "it needs metadata that this program does not know");
        if (which == 6)
            continue;
        if (offset < VHDX_REGION_SIZE || offset > v->metadata_length || len > v->metadata_length - offset ||
            len > 64 * KiB)
            return sparse_bad(n, errp, "an item of its metadata does not lie within the region");
        if (which == IT_PARENT) {
            parent = g_malloc(MAX(len, 1u));
            parent_len = len;
        }
        if (block_pread(n->file, v->metadata + offset, which == IT_PARENT ? parent : values[which],
                        which == IT_PARENT ? len : MIN(len, 16u)))
            return sparse_bad(n, errp, "its metadata can't be read");
        if (which == IT_SIZE)
            v->size_offset = v->metadata + offset;
        found |= 1u << which;
    }
    if ((found & 0x1b) != 0x1b)
        return sparse_bad(n, errp, "metadata that every image has is missing");
    v->block_size = load_le32(values[IT_PARAMETERS]);
    v->flags = load_le32(values[IT_PARAMETERS] + 4);
    v->sector = load_le32(values[IT_SECTOR]);
    v->physical = load_le32(values[IT_PHYSICAL]);
    n->size = load_le64(values[IT_SIZE]);
    return !(v->flags & 2) ||
           (parent ? read_parent(n, parent, parent_len, errp) : sparse_bad(n, errp, "its parent locator is missing"));
}

static bool derive(BlockNode *n, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    if (!is_pow2(v->block_size) || v->block_size < MiB || v->block_size > 256 * MiB)
        return sparse_bad(n, errp, "its block size is not a power of two from 1 MiB to 256 MiB");
    if (v->sector != 512 && v->sector != 4096)
        return sparse_bad(n, errp, "its sectors have neither 512 nor 4096 bytes");
    if (block_size(n) > 64 * 1024 * GiB || block_size(n) % v->sector)
        return sparse_bad(n, errp, "the size of its disk is not possible");
    v->chunk_ratio = (UINT64_C(1) << 23) * v->sector / v->block_size;
    v->blocks = (block_size(n) + v->block_size - 1) / v->block_size;
    uint64_t chunks = (v->blocks + v->chunk_ratio - 1) / v->chunk_ratio;
    uint64_t entries = v->flags & 2 ? chunks * (v->chunk_ratio + 1)
                                    : v->blocks + (v->blocks ? (v->blocks - 1) / v->chunk_ratio : 0);
    if (entries * 8 > v->bat_length)
        return sparse_bad(n, errp, "its BAT is too short for the disk");
    return true;
}

/* Where new blocks go: behind everything that is there. */
static bool find_end(BlockNode *n, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    uint64_t file = block_size(n->file);
    v->next = align_up(file, VHDX_ALIGN);
    g_autofree uint8_t *buf = g_malloc(64 * KiB);
    uint64_t used = v->blocks + (v->blocks ? (v->blocks - 1) / v->chunk_ratio : 0);
    for (uint64_t at = 0; at < used * 8; at += 64 * KiB) {
        size_t len = (size_t)MIN(used * 8 - at, 64 * KiB);
        if (block_pread(n->file, v->bat + at, buf, len))
            return sparse_bad(n, errp, "its BAT can't be read");
        for (size_t i = 0; i < len; i += 8) {
            uint64_t e = load_le64(buf + i), start = align_down(e, VHDX_ALIGN);
            if ((e & 7) >= ST_FULL && start < file && start + v->block_size > v->next) /* its end was never written */
                v->next = start + v->block_size;
        }
    }
    return true;
}

static bool vhdx_open(BlockNode *n, Opts *o, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    uint8_t head[8] = { 0 };
    if (block_size(n->file) < VHDX_ALIGN || block_pread(n->file, 0, head, 8) || memcmp(head, "vhdxfile", 8))
        return sparse_bad(n, errp, "it does not start with the format's signature");
    if (!read_headers(n, errp) || !vhdx_replay(n, errp) || !read_regions(n, errp) || !read_metadata(n, errp) ||
        !derive(n, errp) || !find_end(n, errp))
        return false;
    meta_init(&v->meta, n->file);
    sparse_init(n, &vhdx_ops);
    n->zero_align = 1;
    return true;
}

static void vhdx_close(BlockNode *n)
{
    meta_free(&vhdx_of(n)->meta);
    sparse_destroy(n);
}

static bool vhdx_inactivate(BlockNode *n, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    if (!sparse_inactivate(n, errp))
        return false;
    if (!v->sparse.touched)
        return true;
    memset(v->header + HE_LOG_GUID, 0, 16); /* all of the log is in place */
    v->sparse.touched = false;
    int r = vhdx_write_header(n);
    if (r)
        error_set_errno(errp, -r, "image '%s': its header can't be written", block_filename(n));
    return !r;
}

/* --- the rest --- */

static bool vhdx_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->cluster_size = vhdx_of(n)->block_size;
    return true;
}

static bool vhdx_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    uint64_t places = v->next / VHDX_ALIGN, per = v->block_size / VHDX_ALIGN;
    g_autofree uint8_t *seen = places <= UINT32_MAX ? g_try_malloc0(places / 8 + 1) : NULL;
    if (!seen) {
        error_setf(errp, "image '%s': too large a file to be checked", block_filename(n));
        return false;
    }
    const uint64_t fixed[][2] = {
        { 0, VHDX_ALIGN }, { v->log, v->log_length }, { v->bat, v->bat_length }, { v->metadata, v->metadata_length }
    };
    for (unsigned k = 0; k < ARRAY_LEN(fixed); k++) {
        for (uint64_t p = fixed[k][0] / VHDX_ALIGN; p < (fixed[k][0] + fixed[k][1]) / VHDX_ALIGN && p < places; p++)
            seen[p / 8] |= (uint8_t)(1u << (p % 8));
    }
    for (uint64_t i = 0; i < v->blocks; i++) {
        uint64_t e, start;
        const char *what = NULL;
        if (meta_load(&v->meta, payload_entry(v, i), 8, false, &e)) {
            c->check_errors++;
            continue;
        }
        start = e / VHDX_ALIGN;
        if ((e & 7) == 4 || (e & 7) == 5 || ((e & 7) == ST_PARTIAL && !(v->flags & 2)))
            what = "has a state that is not possible";
        else if ((e & 7) >= ST_FULL && (start + per > places || !start))
            what = "stands beyond the end of the file";
        for (uint64_t p = start; !what && (e & 7) >= ST_FULL && p < start + per; p++) {
            if (seen[p / 8] >> (p % 8) & 1)
                what = "shares its place with something else";
            seen[p / 8] |= (uint8_t)(1u << (p % 8));
        }
        c->allocated_clusters += (e & 7) >= ST_FULL;
        c->corruptions += what != NULL;
        g_autofree char *line = what ? g_strdup_printf("ERROR: block %" PRIu64 " %s", i, what) : NULL;
        if (line && c->say)
            c->say(c->opaque, line);
    }
    c->total_clusters = v->blocks;
    c->image_end = v->next;
    return true;
}

/* Larger, as far as the BAT's region reaches. */
static bool vhdx_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    Vhdx *v = vhdx_of(n);
    size = align_up(size, v->sector);
    uint64_t blocks = (size + v->block_size - 1) / v->block_size, room = v->bat_length / 8;
    if (size < block_size(n) || prealloc != PREALLOC_OFF || v->flags & 1 || blocks + blocks / v->chunk_ratio > room ||
        size > 64 * 1024 * GiB) {
        error_setf(errp,
                   "image '%s': its block table has room for disks up to %" PRIu64
                   " bytes, and it can't become smaller or be preallocated; "
                   "convert it instead",
                   block_filename(n),
                   v->flags & 1 ? block_size(n) : (room - room / (v->chunk_ratio + 1) - 1) * v->block_size);
        return false;
    }
    pthread_mutex_lock(&v->sparse.lock);
    int r = v->sparse.touched ? 0 : vhdx_first_write(n);
    v->sparse.touched |= !r;
    for (uint64_t i = v->blocks; !r && i < blocks; i++)
        r = meta_store(&v->meta, payload_entry(v, i), 8, false, ST_ZERO, META_LEAF);
    r = r ? r : meta_store(&v->meta, v->size_offset, 8, false, size, META_LEAF);
    r = r ? r : vhdx_sync(n);
    if (!r) {
        v->blocks = blocks;
        n->size = size;
    }
    pthread_mutex_unlock(&v->sparse.lock);
    if (r)
        error_set_errno(errp, -r, "image '%s'", block_filename(n));
    return !r;
}

static unsigned vhdx_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 8 && !memcmp(head, "vhdxfile", 8) ? 100 : 0;
}

static const BlockDriver vhdx_driver = {
    .name = "vhdx",
    .desc = "Hyper-V virtual disk",
    .instance_size = sizeof(Vhdx),
    .create_options = vhdx_create_options,
    .probe = vhdx_probe,
    .open = vhdx_open,
    .close = vhdx_close,
    .inactivate = vhdx_inactivate,
    .preadv = sparse_preadv,
    .pwritev = sparse_pwritev,
    .pwrite_zeroes = sparse_pwrite_zeroes,
    .pdiscard = sparse_pdiscard,
    .flush = sparse_flush,
    .status = sparse_status,
    .truncate = vhdx_truncate,
    .info = vhdx_info,
    .create = vhdx_create,
    .measure = vhdx_measure,
    .check = vhdx_check,
};
BLOCK_DRIVER_REGISTER(vhdx_driver)
