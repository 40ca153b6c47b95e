/* SPDX-License-Identifier: MIT */
/* vhdx: new images. */
#include <inttypes.h>
#include <string.h>
#include "block/vhdx/vhdx.h"

const BlockCreateOption vhdx_create_options[] = {
    { "size", "size", "virtual disk size, up to 64T", NULL },
    { "subformat", "string", "dynamic or fixed", "dynamic" },
    { "block_size", "size", "1M to 256M, a power of two; 0: by the disk's size", "0" },
    { "log_size", "size", "size of the log, a multiple of 1M", "1M" },
    { "block_state_zero", "bool", "blocks without data are marked as zero", "on" }, { NULL }
};

typedef struct Params { bool fixed, zero; uint64_t block, log, size, blocks, entries, bat_length, data; } Params;

static uint64_t default_block(uint64_t size)
{
    return size > 32 * 1024 * GiB ? 64 * MiB : size > 100 * GiB ? 32 * MiB : size > GiB ? 16 * MiB : 8 * MiB;
}

static bool parse(Opts *o, uint64_t size, Params *p, Error **errp)
{
    static const char *const subformats[] = { "dynamic", "fixed", NULL };
    unsigned sub = 0;
    opts_get(o, "size");
    if (!opts_get_enum(o, "subformat", subformats, &sub, errp) || !opts_get_size(o, "block_size", 0, &p->block, errp) ||
        !opts_get_size(o, "log_size", MiB, &p->log, errp) ||
        !opts_get_bool(o, "block_state_zero", true, &p->zero, errp))
        return false;
    p->fixed = sub;
    p->size = align_up(size, 512);
    p->block = p->block ? p->block : default_block(size);
    if (!is_pow2(p->block) || p->block < MiB || p->block > 256 * MiB) {
        error_setf(errp, "block_size: a power of two from 1M to 256M, please");
        return false;
    }
    if (!p->log || p->log % MiB || p->log > VHDX_LOG_MAX) {
        error_setf(errp, "log_size: a multiple of 1M up to 256M, please");
        return false;
    }
    if (p->size > 64 * 1024 * GiB) {
        error_setf(errp, "vhdx: a disk of %" PRIu64 " bytes is larger than the format's limit of 64T", size);
        return false;
    }
    uint64_t ratio = (UINT64_C(1) << 32) / p->block;
    p->blocks = (p->size + p->block - 1) / p->block;
    p->entries = p->blocks + (p->blocks ? (p->blocks - 1) / ratio : 0);
    p->bat_length = align_up(MAX(p->entries, 1u) * 8, VHDX_ALIGN);
    p->data = VHDX_ALIGN + p->log + p->bat_length + VHDX_ALIGN;
    return true;
}

static int write_headers(BlockNode *f, const Params *p)
{
    static const gunichar2 creator[] = { 'R', 'h', 'e', 'a' };
    g_autofree uint8_t *b = g_malloc0(VHDX_REGION_SIZE);
    memcpy(b, "vhdxfile", 8);
    for (unsigned i = 0; i < ARRAY_LEN(creator); i++)
        store_le16(b + 8 + i * 2, creator[i]);
    int r = block_pwrite(f, 0, b, VHDX_REGION_SIZE);
    memset(b, 0, VHDX_REGION_SIZE);
    memcpy(b, "head", 4);
    sparse_uuid(b + HE_FILE_GUID);
    sparse_uuid(b + HE_DATA_GUID);
    store_le16(b + HE_VERSION, 1);
    store_le32(b + HE_LOG_LENGTH, (uint32_t)p->log);
    store_le64(b + HE_LOG_OFFSET, VHDX_ALIGN);
    for (unsigned i = 0; !r && i < 2; i++) {
        store_le64(b + HE_SEQUENCE, i + 1);
        store_le32(b + HE_CHECKSUM, vhdx_checksum(b, VHDX_HEADER, HE_CHECKSUM));
        r = block_pwrite(f, i ? VHDX_HEADER2 : VHDX_HEADER1, b, VHDX_HEADER);
    }
    memset(b, 0, VHDX_REGION_SIZE);
    memcpy(b, "regi", 4);
    store_le32(b + 8, 2);
    const struct { const uint8_t *guid; uint64_t offset, length;
    } regions[] = {
        { vhdx_guid_bat, VHDX_ALIGN + p->log, p->bat_length },
        { vhdx_guid_metadata, VHDX_ALIGN + p->log + p->bat_length, VHDX_ALIGN },
    };
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *e = b + 16 + i * 32;
        memcpy(e, regions[i].guid, 16);
        store_le64(e + 16, regions[i].offset);
        store_le32(e + 24, (uint32_t)regions[i].length);
        store_le32(e + 28, 1);
    }
    store_le32(b + 4, vhdx_checksum(b, VHDX_REGION_SIZE, 4));
    for (unsigned i = 0; !r && i < 2; i++)
        r = block_pwrite(f, VHDX_REGIONS + i * VHDX_REGION_SIZE, b, VHDX_REGION_SIZE);
    return r;
}

static int write_metadata(BlockNode *f, const Params *p)
{
    g_autofree uint8_t *t = g_malloc0(VHDX_REGION_SIZE + 4096);
    static const struct { uint8_t length, flags; } items[5] = { { 8, 4 }, { 8, 6 }, { 16, 6 }, { 4, 6 }, { 4, 6 } };
    uint8_t *v = t + VHDX_REGION_SIZE;
    uint32_t at = 0;
    memcpy(t, "metadata", 8);
    store_le16(t + 10, 5);
    for (unsigned i = 0; i < 5; i++) {
        uint8_t *e = t + 32 + i * 32;
        memcpy(e, vhdx_items[i], 16);
        store_le32(e + 16, VHDX_REGION_SIZE + at);
        store_le32(e + 20, items[i].length);
        store_le32(e + 24, items[i].flags);
        at += items[i].length;
    }
    store_le32(v, (uint32_t)p->block);
    store_le32(v + 4, p->fixed);
    store_le64(v + 8, p->size);
    sparse_uuid(v + 16);
    store_le32(v + 32, 512);
    store_le32(v + 36, 512);
    return block_pwrite(f, VHDX_ALIGN + p->log + p->bat_length, t, VHDX_REGION_SIZE + 4096);
}

static int write_bat(BlockNode *f, const Params *p)
{
    g_autofree uint8_t *buf = g_malloc0(64 * KiB);
    uint64_t ratio = (UINT64_C(1) << 32) / p->block, block = 0;
    int r = 0;
    for (uint64_t i = 0; !r && i < p->entries;) {
        uint64_t run = MIN(p->entries - i, 64 * KiB / 8);
        for (uint64_t k = 0; k < run; k++) {
            bool bitmap = (i + k) % (ratio + 1) == ratio;
            uint64_t e = bitmap     ? 0
                         : p->fixed ? (p->data + block * p->block) | ST_FULL
                         : p->zero  ? ST_ZERO
                                    : ST_NOT_PRESENT;
            store_le64(buf + k * 8, e);
            block += !bitmap;
        }
        r = block_pwrite(f, VHDX_ALIGN + p->log + i * 8, buf, run * 8);
        i += run;
    }
    return r;
}

bool vhdx_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    Params p;
    BlockNode *f = parse(o, size, &p, errp) ? block_new_file(filename, errp) : NULL;
    if (!f)
        return false;
    int r = write_headers(f, &p);
    r = r ? r : write_metadata(f, &p);
    r = r ? r : write_bat(f, &p);
    bool ok = !r && block_truncate(f, p.data + (p.fixed ? p.blocks * p.block : 0), PREALLOC_OFF, false, errp);
    return block_new_file_end(f, filename, r, ok, errp);
}

bool vhdx_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    Params p;
    if (!parse(o, size, &p, errp))
        return false;
    *fully = p.data + p.blocks * p.block;
    *required = p.fixed ? *fully : p.data + block_used_units(n, p.block) * p.block;
    return true;
}
