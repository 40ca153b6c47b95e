/* SPDX-License-Identifier: MIT */
/* Protocol "vvfat": a folder of the host as a FAT disk, for reading. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block/vvfat/vvfat.h"

/*
 * What there is, its names, sizes and times are those of the moment of opening; files' contents are read when the guest
 * reads them. A file that is longer by then is cut off, one that is shorter ends in zeroes, one that has gone is an I/O
 * error.
 */
enum { PIECE = 256 << 10 };

static FatDisk *disk_of(BlockNode *n) { return n->opaque; }

/* --- the host's files --- */

/* A descriptor of the entry's file, from among those that are open. (locked) */
static int host_file(FatDisk *d, uint32_t entry)
{
    unsigned victim = 0;
    struct stat st;
    for (unsigned i = 0; i < ARRAY_LEN(d->file); i++) {
        if (d->file[i].entry == entry) {
            d->file[i].stamp = ++d->stamp;
            return d->file[i].fd;
        }
        if (d->file[i].stamp < d->file[victim].stamp)
            victim = i;
    }
    int fd = fat_open_host(d, entry, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) { /* something else has taken its place */
        close(fd);
        return -EIO;
    }
    if (d->file[victim].entry)
        close(d->file[victim].fd);
    d->file[victim].entry = entry;
    d->file[victim].fd = fd;
    d->file[victim].stamp = ++d->stamp;
    return fd;
}

static int read_file(FatDisk *d, uint32_t entry, uint64_t at, uint8_t *buf, size_t len)
{
    const FatEntry *e = fat_entry(d, entry);
    size_t have = at < e->size ? (size_t)MIN(e->size - at, (uint64_t)len) : 0, done = 0;
    pthread_mutex_lock(&d->lock);
    int fd = have ? host_file(d, entry) : 0;
    ssize_t got = 1;
    while (fd >= 0 && done < have && got > 0) {
        got = pread(fd, buf + done, have - done, (off_t)(at + done));
        done += got > 0 ? (size_t)got : 0;
        got = got < 0 && errno == EINTR ? 1 : got;
    }
    int r = fd < 0 ? fd : got < 0 ? -errno : 0;
    pthread_mutex_unlock(&d->lock);
    memset(buf + done, 0, len - done);
    return r;
}

/* --- reading --- */

/* What stands at `at` of src, zeroes behind its end. */
static void copy_part(uint8_t *buf, size_t len, const uint8_t *src, uint64_t size, uint64_t at)
{
    size_t have = at < size ? (size_t)MIN(size - at, (uint64_t)len) : 0;
    memcpy(buf, src + (have ? at : 0), have);
    memset(buf + have, 0, len - have);
}

static int read_cluster_area(FatDisk *d, uint64_t at, uint8_t *buf, size_t *len)
{
    uint64_t cluster = (uint64_t)d->cluster * FAT_SECTOR, number = at / cluster + 2;
    uint32_t owner = number < d->used ? fat_owner(d, (uint32_t)number) : UINT32_MAX;
    if (owner == UINT32_MAX) {
        memset(buf, 0, *len);
        return 0;
    }
    const FatEntry *e = fat_entry(d, owner);
    uint64_t in = at - (uint64_t)(e->first - 2) * cluster;
    *len = (size_t)MIN((uint64_t)*len, e->clusters * cluster - in);
    if (!e->folder)
        return read_file(d, owner, in, buf, *len);
    copy_part(buf, *len, e->table->data, e->table->len, in);
    return 0;
}

static void read_fats(const FatDisk *d, uint64_t at, uint8_t *buf, size_t len)
{
    uint8_t sector[FAT_SECTOR];
    for (size_t done = 0, n; done < len; done += n) {
        uint64_t place = (at + done) % ((uint64_t)d->fat * FAT_SECTOR), in = place % FAT_SECTOR;
        n = MIN(len - done, FAT_SECTOR - in);
        fat_fill_fat(d, (uint32_t)(place / FAT_SECTOR), sector);
        memcpy(buf + done, sector + in, n);
    }
}

/* From one area; *len: how much it was. */
static int read_some(FatDisk *d, uint64_t at, uint8_t *buf, size_t *len)
{
    uint64_t volume = d->start * FAT_SECTOR, fat = volume + (uint64_t)d->reserved * FAT_SECTOR,
             root = fat + (uint64_t)FAT_COUNT * d->fat * FAT_SECTOR;
    uint64_t data = root + (uint64_t)d->root_area * FAT_SECTOR;
    const uint64_t end = at < volume ? volume : at < fat ? fat : at < root ? root : at < data ? data : UINT64_MAX;
    *len = (size_t)MIN((uint64_t)*len, end - at);
    if (at >= data)
        return read_cluster_area(d, at - data, buf, len);
    if (at < volume)
        copy_part(buf, *len, d->mbr, sizeof d->mbr, at);
    else if (at < fat)
        copy_part(buf, *len, d->head, fat - volume, at - volume);
    else if (at < root)
        read_fats(d, at - fat, buf, *len);
    else
        copy_part(buf, *len, fat_entry(d, 0)->table->data, fat_entry(d, 0)->table->len, at - root);
    return 0;
}

static int vvfat_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    g_autofree uint8_t *buf = g_malloc(MIN(len, (uint64_t)PIECE));
    int r = 0;
    for (uint64_t done = 0; !r && done < len;) {
        size_t piece = (size_t)MIN(len - done, (uint64_t)PIECE);
        r = read_some(disk_of(n), offset + done, buf, &piece);
        if (!r)
            iov_from_buf(iov, iovcnt, done, buf, piece);
        done += piece;
    }
    return r;
}

static int vvfat_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    const FatDisk *d = disk_of(n);
    uint64_t end = d->start + d->reserved + (uint64_t)FAT_COUNT * d->fat + d->root_area +
                   (uint64_t)(d->used - 2) * d->cluster;
    bool data = offset < end * FAT_SECTOR;
    *out = (BlockStatus){ (data ? BLOCK_DATA : BLOCK_ZERO) | BLOCK_ALLOCATED,
                          data ? MIN(len, end * FAT_SECTOR - offset) : len, 0, NULL, 0 };
    return 0;
}

/* --- opening --- */

/* fat:[floppy:][12:|16:|32:][rw:][label=NAME:]FOLDER, in any order; what is none of them begins the folder's name. */
static bool vvfat_parse(const char *filename, Opts *o, Error **errp)
{
    const char *p = filename + strlen("fat:");
    for (const char *colon; (colon = strchr(p, ':')); p = colon + 1) {
        g_autofree char *word = g_strndup(p, (size_t)(colon - p));
        if (!strcmp(word, "floppy") || !strcmp(word, "rw"))
            opts_set(o, word, "on");
        else if (!strcmp(word, "12") || !strcmp(word, "16") || !strcmp(word, "32"))
            opts_set(o, "fat-type", word);
        else if (g_str_has_prefix(word, "label="))
            opts_set(o, "label", word + strlen("label="));
        else
            break;
    }
    if (!*p) {
        error_setf(errp, "image '%s': which folder? write fat:[floppy:][12:|16:|32:][label=NAME:]FOLDER", filename);
        return false;
    }
    opts_set(o, "dir", p);
    return true;
}

static bool set_label(FatDisk *d, const char *label, Error **errp)
{
    size_t len = strlen(label);
    bool good = len && len <= 11 && *label != ' ';
    for (const char *p = label; good && *p; p++)
        good = *p >= ' ' && *p < 0x7f && !strchr("\"*+,./:;<=>?[\\]|", *p);
    if (!good) {
        error_setf(errp,
                   "label '%s': a FAT disk's label has 1 to 11 characters of ASCII, letters, digits, blanks and none "
                   "of \"*+,./:;<=>?[\\]|",
                   label);
        return false;
    }
    memset(d->label, ' ', 11);
    memcpy(d->label, label, len);
    return true;
}

static bool parse_options(BlockNode *n, Opts *o, unsigned *type, const char **path, Error **errp)
{
    static const char *const types[] = { "0", "12", "16", "32", NULL };
    static const unsigned numbers[] = { 0, 12, 16, 32 };
    FatDisk *d = disk_of(n);
    unsigned which = 0;
    bool writable;
    const char *label = opts_get(o, "label");
    *path = opts_get(o, "dir");
    opts_get(o, "filename");
    if (!opts_get_enum(o, "fat-type", types, &which, errp) || !opts_get_bool(o, "floppy", false, &d->floppy, errp) ||
        !opts_get_bool(o, "rw", false, &writable, errp) || !set_label(d, label ? label : "QEMU VVFAT", errp))
        return false;
    *type = numbers[which];
    if (!*path) {
        error_setf(errp, "block driver 'vvfat': which folder? give dir=FOLDER");
        return false;
    }
    if (writable && block_writable(n)) {
        error_setf(errp,
                   "folder '%s': a guest can't write to the host's files through a FAT disk; leave rw out, or add "
                   "snapshot=on, which forgets what "
                   "is written",
                   *path);
        return false;
    }
    n->flags &= ~(unsigned)BLOCK_RDWR;
    return true;
}

static void vvfat_close(BlockNode *n)
{
    FatDisk *d = disk_of(n);
    for (unsigned i = 0; i < ARRAY_LEN(d->file); i++) {
        if (d->file[i].entry)
            close(d->file[i].fd);
    }
    for (uint32_t i = 0; i < d->entries->len; i++) {
        FatEntry *e = fat_entry(d, i);
        g_free(e->name);
        if (e->table)
            g_byte_array_unref(e->table);
    }
    if (d->root >= 0)
        close(d->root);
    g_array_unref(d->entries);
    g_array_unref(d->runs);
    g_free(d->head);
    pthread_mutex_destroy(&d->lock);
}

static bool build(FatDisk *d, unsigned type, const char *path, Error **errp)
{
    if (!fat_scan(d, path, errp))
        return false;
    for (uint32_t i = 0; i < d->entries->len; i++) {
        if (fat_entry(d, i)->folder && !fat_make_table(d, i, errp)) {
            error_prependf(errp, "folder '%s'", path);
            return false;
        }
    }
    return fat_lay_out(d, type, path, errp);
}

static bool vvfat_open(BlockNode *n, Opts *o, Error **errp)
{
    FatDisk *d = disk_of(n);
    unsigned type;
    const char *path;
    if (!parse_options(n, o, &type, &path, errp))
        return false;
    d->root = -1;
    d->entries = g_array_new(false, true, sizeof(FatEntry));
    d->runs = g_array_new(false, false, sizeof(uint32_t));
    pthread_mutex_init(&d->lock, NULL);
    if (!build(d, type, path, errp)) {
        vvfat_close(n);
        return false;
    }
    n->size = (d->start + d->total) * FAT_SECTOR;
    return true;
}

static const char *const vvfat_schemes[] = { "fat", NULL };
static const char *const vvfat_options[] = { "dir", "fat-type", "floppy", "label", "rw", NULL };
static const BlockDriver vvfat_driver = {
    .name = "vvfat",
    .desc = "a folder of the host as a FAT disk (read-only)",
    .protocol = true,
    .instance_size = sizeof(FatDisk),
    .schemes = vvfat_schemes,
    .options = vvfat_options,
    .parse_filename = vvfat_parse,
    .open = vvfat_open,
    .close = vvfat_close,
    .preadv = vvfat_preadv,
    .status = vvfat_status,
};
BLOCK_DRIVER_REGISTER(vvfat_driver)
