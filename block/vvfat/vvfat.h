/* SPDX-License-Identifier: MIT */
/*
 * Private to block/vvfat: a host's folder as a FAT file system. Source: Microsoft's FAT specification ("fatgen103"),
 * its sections in brackets.
 */
#ifndef BLOCK_VVFAT_VVFAT_H
#define BLOCK_VVFAT_VVFAT_H

#include "base/bits.h"
#include "block/driver.h"

enum {
    FAT_SECTOR = 512,
    FAT_DIRENT = 32,
    FAT_TABLE_MAX = 65536 * FAT_DIRENT,
    FAT_ENTRIES_MAX = 1 << 20,
    FAT_DEPTH_MAX = 60,
    FAT_COUNT = 2
};
enum { FAT_READ_ONLY = 0x01, FAT_VOLUME = 0x08, FAT_LONG_NAME = 0x0f, FAT_DIRECTORY = 0x10, FAT_ARCHIVE = 0x20 };

/* A file or folder as it was when the disk was opened. The root is entry 0; a folder's entries stand side by side. */
typedef struct FatEntry {
    char *name;                    /* the host's; "." of the root */
    uint32_t parent, depth;
    uint32_t child, children;      /* folders: number of the first, how many */
    uint32_t first, clusters;      /* first 0: it has no clusters */
    uint32_t dirent;               /* where its own 8.3 entry stands in its parent's table */
    uint64_t size;
    int64_t written, made, read;   /* seconds since 1970 */
    uint32_t made_ns;
    bool folder, read_only;
    GByteArray *table;             /* folders: what the guest reads */
} FatEntry;

typedef struct FatDisk {
    int root;                      /* the folder, open */
    unsigned type;                 /* 12, 16, 32 */
    bool floppy;
    char label[12];
    GArray *entries;               /* of FatEntry */
    GArray *runs;                  /* of uint32_t: entries that have clusters, in their order on the disk */
    /* geometry, in sectors */
    uint32_t cylinders, heads, track;
    uint64_t start, total;         /* of the volume */
    uint32_t cluster, reserved, fat, root_area;
    uint32_t clusters, used;       /* clusters 2 to used - 1 are taken */
    uint8_t mbr[FAT_SECTOR], *head; /* head: the reserved sectors */
    /* host files that are open */
    pthread_mutex_t lock;
    struct { uint32_t entry; int fd; uint64_t stamp; } file[16]; /* entry 0: none */
    uint64_t stamp;
} FatDisk;

static inline FatEntry *fat_entry(const FatDisk *d, uint32_t i) { return &g_array_index(d->entries, FatEntry, i); }

/*
 * scan.c: what the folder holds; links and special files are left out. A file or folder below it, by its entry: a
 * descriptor or a negative errno.
 */
bool fat_scan(FatDisk *d, const char *path, Error **errp);
int fat_open_host(const FatDisk *d, uint32_t entry, int flags);
/* names.c: names that are unique and valid, and the folder's table of them, without clusters */
bool fat_make_table(FatDisk *d, uint32_t folder, Error **errp);
/* layout.c: type, geometry, boot sectors, clusters of all entries */
bool fat_lay_out(FatDisk *d, unsigned type, const char *path, Error **errp);
void fat_fill_fat(const FatDisk *d, uint32_t sector, uint8_t *out); /* a sector of a FAT */
uint32_t fat_owner(const FatDisk *d, uint32_t cluster);             /* entry number; UINT32_MAX: nobody */
#endif
