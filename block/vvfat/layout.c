/* SPDX-License-Identifier: MIT */
/*
 * vvfat: where everything stands: partition, boot sector, FATs, root, clusters [Boot Sector and BPB, FAT Data
 * Structure, FAT Type Determination].
 */
#include <inttypes.h>
#include <string.h>
#include "block/vvfat/vvfat.h"

enum { ROOT_ENTRIES_MAX = 65520, FAT32_RESERVED = 32, BACKUP_BOOT = 6 };

/* Disks of QEMU's sizes. */
typedef struct Shape { bool floppy; unsigned type, cylinders, heads, track, cluster, root_entries; } Shape;
static const Shape shapes[] = {
    { false, 16, 1024, 16, 63, 16, 512 }, { false, 12, 64, 16, 63, 16, 512 }, { false, 32, 1024, 16, 63, 8, 0 },
    { true, 0, 80, 2, 36, 2, 240 }, { true, 12, 80, 2, 18, 1, 224 }, { true, 16, 80, 2, 36, 1, 240 },
};

static uint64_t clusters_of(const FatDisk *d, const FatEntry *e)
{
    uint64_t bytes = (uint64_t)d->cluster * FAT_SECTOR;
    return (e->size + bytes - 1) / bytes;
}

static bool in_root_area(const FatDisk *d, uint32_t entry) { return !entry && d->type != 32; }

static uint64_t clusters_needed(const FatDisk *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->entries->len; i++)
        sum += in_root_area(d, i) ? 0 : clusters_of(d, fat_entry(d, i));
    return sum;
}

/* A FAT that reaches all clusters, which are what it leaves. */
static void divide(FatDisk *d)
{
    uint64_t fixed = d->reserved + d->root_area, clusters;
    for (d->fat = 1;; d->fat++) {
        uint64_t taken = fixed + (uint64_t)FAT_COUNT * d->fat;
        clusters = taken < d->total ? (d->total - taken) / d->cluster : 0;
        uint64_t sectors = ((clusters + 2) * d->type / 4 + 2 * FAT_SECTOR - 1) / (2 * FAT_SECTOR);
        if (sectors <= d->fat)
            break;
        d->fat += (uint32_t)((sectors - d->fat) / 2);
    }
    d->clusters = (uint32_t)clusters;
}

/* As large as what it holds, with clusters as Microsoft's table has them. */
static bool grow_fat32(FatDisk *d)
{
    static const struct {
        uint32_t cluster;
        uint64_t below;
    } sizes[] = { { 8, 8 * GiB }, { 16, 16 * GiB }, { 32, 32 * GiB }, { 64, 2048 * GiB } };
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        d->cluster = sizes[i].cluster;
        uint64_t need = clusters_needed(d), cylinder = (uint64_t)d->heads * d->track;
        uint64_t sectors = need * d->cluster + FAT_COUNT * ((need + 2 + 2048) * 4 / FAT_SECTOR + 1) + FAT32_RESERVED +
                           d->start + MiB / FAT_SECTOR;
        sectors = MAX((sectors + cylinder - 1) / cylinder, (uint64_t)d->cylinders) * cylinder;
        if (sectors * FAT_SECTOR >= sizes[i].below || sectors > UINT32_MAX)
            continue;
        d->cylinders = (uint32_t)(sectors / cylinder);
        d->total = sectors - d->start;
        return true;
    }
    return false;
}

static bool shape_disk(FatDisk *d, const Shape *s)
{
    d->type = s->type ? s->type : 12;
    d->cylinders = s->cylinders;
    d->heads = s->heads;
    d->track = s->track;
    d->cluster = s->cluster;
    d->start = s->floppy ? 0 : s->track;
    d->total = (uint64_t)s->cylinders * s->heads * s->track - d->start;
    d->reserved = d->type == 32 ? FAT32_RESERVED : 1;
    uint32_t entries = fat_entry(d, 0)->table->len / FAT_DIRENT;
    uint32_t root = d->type == 32 ? 0 : (uint32_t)align_up(MAX(entries, s->root_entries), FAT_SECTOR / FAT_DIRENT);
    d->root_area = root * FAT_DIRENT / FAT_SECTOR;
    if (root > ROOT_ENTRIES_MAX || (d->type == 32 && !grow_fat32(d)))
        return false;
    divide(d);
    /* the number of clusters is what tells the type */
    bool valid = d->type == 12   ? d->clusters < 4085
                 : d->type == 16 ? d->clusters >= 4085 && d->clusters < 65525
                                 : d->clusters >= 65525;
    return valid && clusters_needed(d) <= d->clusters;
}

static const Shape *find_shape(bool floppy, unsigned type)
{
    for (unsigned i = 0; i < ARRAY_LEN(shapes); i++) {
        if (shapes[i].floppy == floppy && (shapes[i].type == type || (!floppy && !type)))
            return &shapes[i];
    }
    return NULL;
}

/* --- clusters --- */

static void set_cluster(GByteArray *table, uint32_t dirent, uint32_t cluster)
{
    store_le16(table->data + dirent + 20, (uint16_t)(cluster >> 16));
    store_le16(table->data + dirent + 26, (uint16_t)cluster);
}

static void place_all(FatDisk *d)
{
    d->used = 2;
    for (uint32_t i = 0; i < d->entries->len; i++) {
        FatEntry *e = fat_entry(d, i);
        e->clusters = in_root_area(d, i) ? 0 : (uint32_t)clusters_of(d, e);
        e->first = e->clusters ? d->used : 0;
        d->used += e->clusters;
        if (e->clusters)
            g_array_append_val(d->runs, i);
        if (i)
            set_cluster(fat_entry(d, e->parent)->table, e->dirent, e->first);
    }
    for (uint32_t i = 1; i < d->entries->len; i++) {
        FatEntry *e = fat_entry(d, i);
        if (e->folder) {
            set_cluster(e->table, 0, e->first);
            /* the root is 0 for all types */
            set_cluster(e->table, FAT_DIRENT, e->parent ? fat_entry(d, e->parent)->first : 0);
        }
    }
}

uint32_t fat_owner(const FatDisk *d, uint32_t cluster)
{
    uint32_t low = 0, high = d->runs->len;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const FatEntry *e = fat_entry(d, g_array_index(d->runs, uint32_t, middle));
        if (cluster < e->first)
            high = middle;
        else if (cluster - e->first < e->clusters)
            return g_array_index(d->runs, uint32_t, middle);
        else
            low = middle + 1;
    }
    return UINT32_MAX;
}

static uint32_t entry_of(const FatDisk *d, uint32_t cluster)
{
    const uint32_t end = d->type == 32 ? 0x0fffffff : (uint32_t)BIT(d->type) - 1;
    if (cluster < 2)
        return cluster ? end : (end & ~0xffu) | (d->floppy ? 0xf0 : 0xf8);
    uint32_t owner = cluster < d->used ? fat_owner(d, cluster) : UINT32_MAX;
    if (owner == UINT32_MAX)
        return 0;
    const FatEntry *e = fat_entry(d, owner);
    return cluster - e->first + 1 < e->clusters ? cluster + 1 : end;
}

void fat_fill_fat(const FatDisk *d, uint32_t sector, uint8_t *out)
{
    for (uint32_t i = 0; d->type == 12 && i < FAT_SECTOR; i++) { /* two entries in three bytes */
        uint32_t at = sector * FAT_SECTOR + i, pair = at / 3 * 2, a = entry_of(d, pair), b = entry_of(d, pair + 1);
        out[i] = (uint8_t)(at % 3 == 0 ? a : at % 3 == 1 ? a >> 8 | b << 4 : b >> 4);
    }
    uint32_t size = d->type / 8, count = FAT_SECTOR / size;
    if ((uint64_t)sector * count >= d->used) {
        if (d->type != 12)
            memset(out, 0, FAT_SECTOR);
        return;
    }
    for (uint32_t i = 0; d->type != 12 && i < count; i++)
        store_le(out + i * size, size, entry_of(d, sector * count + i));
}

/* --- boot sectors --- */

/* INT 18h: this disk boots nothing, try the next. */
static void put_boot_code(uint8_t *sector, unsigned at)
{
    static const uint8_t code[] = { 0xcd, 0x18, 0xeb, 0xfe };
    memcpy(sector + at, code, sizeof code);
    store_le16(sector + 510, 0xaa55);
}

static void make_mbr(FatDisk *d)
{
    uint8_t *p = d->mbr + 446;
    unsigned last = MIN(d->cylinders, 1024u) - 1;
    put_boot_code(d->mbr, 0);
    store_le32(d->mbr + 440, 0xbe1afdfa);
    p[0] = 0x80;
    p[1] = 1; /* head 1, sector 1 */
    p[2] = 1;
    p[4] = d->type == 12 ? 0x01 : d->type == 16 ? 0x06 : d->cylinders > 1024 ? 0x0c : 0x0b;
    p[5] = (uint8_t)(d->heads - 1);
    p[6] = (uint8_t)(d->track | last >> 8 << 6);
    p[7] = (uint8_t)last;
    store_le32(p + 8, (uint32_t)d->start);
    store_le32(p + 12, (uint32_t)d->total);
}

static void make_boot(FatDisk *d)
{
    bool wide = d->type == 32;
    uint8_t *b = d->head = g_malloc0((size_t)d->reserved * FAT_SECTOR), *rest = b + (wide ? 64 : 36);
    unsigned code = wide ? 90 : 62;
    g_autofree char *type = g_strdup_printf("FAT%u   ", d->type);
    b[0] = 0xeb;
    b[1] = (uint8_t)(code - 2);
    b[2] = 0x90;
    memcpy(b + 3, "MSWIN4.1", 8);
    store_le16(b + 11, FAT_SECTOR);
    b[13] = (uint8_t)d->cluster;
    store_le16(b + 14, (uint16_t)d->reserved);
    b[16] = FAT_COUNT;
    store_le16(b + 17, (uint16_t)(d->root_area * FAT_SECTOR / FAT_DIRENT));
    store_le16(b + 19, wide || d->total > UINT16_MAX ? 0 : (uint16_t)d->total);
    b[21] = d->floppy ? 0xf0 : 0xf8;
    store_le16(b + 22, wide ? 0 : (uint16_t)d->fat);
    store_le16(b + 24, (uint16_t)d->track);
    store_le16(b + 26, (uint16_t)d->heads);
    store_le32(b + 28, (uint32_t)d->start);
    store_le32(b + 32, wide || d->total > UINT16_MAX ? (uint32_t)d->total : 0);
    rest[0] = d->floppy ? 0 : 0x80;
    rest[2] = 0x29;
    store_le32(rest + 3, 0xfabe1afd);
    memcpy(rest + 7, d->label, 11);
    memcpy(rest + 18, type, 8);
    put_boot_code(b, code);
    if (!wide)
        return;
    store_le32(b + 36, d->fat);
    store_le32(b + 44, fat_entry(d, 0)->first);
    store_le16(b + 48, 1);
    store_le16(b + 50, BACKUP_BOOT);
    uint8_t *info = b + FAT_SECTOR; /* [FAT32 FSInfo Sector Structure] */
    store_le32(info, 0x41615252);
    store_le32(info + 484, 0x61417272);
    store_le32(info + 488, d->clusters - (d->used - 2));
    store_le32(info + 492, d->used);
    store_le32(info + 508, 0xaa550000);
    memcpy(b + BACKUP_BOOT * FAT_SECTOR, b, 2 * FAT_SECTOR);
}

bool fat_lay_out(FatDisk *d, unsigned type, const char *path, Error **errp)
{
    const Shape *s = find_shape(d->floppy, type), *wide = find_shape(d->floppy, 32);
    if (!s) {
        error_setf(errp, "folder '%s': a floppy disk has no FAT32; leave 32 out", path);
        return false;
    }
    if (!shape_disk(d, s) && (type || !wide || !shape_disk(d, wide))) {
        error_setf(errp, "folder '%s' does not fit: it needs %" PRIu64 " KiB, a FAT%u %s has %" PRIu64 "; %s", path,
                   clusters_needed(d) * d->cluster / 2, d->type, d->floppy ? "floppy disk" : "disk",
                   (uint64_t)d->clusters * d->cluster / 2,
                   type == 32  ? "choose a part of it"
                   : d->floppy ? "leave floppy out"
                               : "use fat-type=32");
        return false;
    }
    place_all(d);
    make_boot(d);
    if (!d->floppy)
        make_mbr(d);
    return true;
}
