/* SPDX-License-Identifier: MIT */
/* vvfat: what a folder of the host holds. Nothing is followed out of it, and nothing is opened that could block. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block/vvfat/vvfat.h"

typedef struct Skipped { unsigned special, unreadable; } Skipped;

/* Folder by folder, so that a link that has taken a folder's place is not followed. */
int fat_open_host(const FatDisk *d, uint32_t entry, int flags)
{
    uint32_t way[FAT_DEPTH_MAX + 1];
    unsigned depth = 0;
    for (uint32_t e = entry; e && depth < FAT_DEPTH_MAX; e = fat_entry(d, e)->parent)
        way[depth++] = e;
    int at = d->root, fd = -1;
    for (unsigned i = depth; i--;) {
        fd = openat(at, fat_entry(d, way[i])->name, O_CLOEXEC | O_NOFOLLOW | (i ? O_PATH | O_DIRECTORY : flags));
        int error = errno;
        if (at != d->root)
            close(at);
        if (fd < 0)
            return -error;
        at = fd;
    }
    return depth ? fd : fcntl(d->root, F_DUPFD_CLOEXEC, 0);
}

static void times_of(FatEntry *e, const struct statx *st)
{
    const struct statx_timestamp *made = st->stx_mask & STATX_BTIME ? &st->stx_btime : &st->stx_ctime;
    e->written = st->stx_mtime.tv_sec;
    e->read = st->stx_atime.tv_sec;
    e->made = made->tv_sec;
    e->made_ns = made->tv_nsec;
    e->read_only = !(st->stx_mode & 0222);
}

/* False: it is not shown. */
static bool look(int at, const char *name, FatEntry *e, Skipped *skipped)
{
    struct statx st;
    if (statx(at, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &st)) {
        skipped->unreadable += errno != ENOENT; /* it has gone meanwhile */
        return false;
    }
    if (!S_ISDIR(st.stx_mode) && !S_ISREG(st.stx_mode)) {
        skipped->special++;
        return false;
    }
    e->folder = S_ISDIR(st.stx_mode);
    e->size = e->folder ? 0 : st.stx_size;
    if (faccessat(at, name, e->folder ? R_OK | X_OK : R_OK, AT_EACCESS)) {
        skipped->unreadable++;
        return false;
    }
    times_of(e, &st);
    return true;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(((const FatEntry *)a)->name, ((const FatEntry *)b)->name);
}

static bool too_large(const char *path, const FatEntry *e, Error **errp)
{
    if (e->size <= UINT32_MAX)
        return false;
    error_setf(errp, "folder '%s': '%s' is 4 GiB or more, which no FAT disk can hold; move it elsewhere", path,
               e->name);
    return true;
}

static bool read_folder(FatDisk *d, uint32_t number, const char *path, Skipped *skipped, Error **errp)
{
    int fd = fat_open_host(d, number, O_RDONLY | O_DIRECTORY), error = fd < 0 ? -fd : 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    uint32_t first = d->entries->len, depth = fat_entry(d, number)->depth + 1;
    if (!dir) {
        error = error ? error : errno;
        if (fd >= 0)
            close(fd);
        error_set_errno(errp, error, "folder '%s': '%s' can't be read", path, fat_entry(d, number)->name);
        return false;
    }
    rewinddir(dir); /* the root's descriptor may have been read before */
    bool ok = true;
    for (struct dirent *h; ok && (h = readdir(dir));) {
        FatEntry e = { .parent = number, .depth = depth };
        if (!strcmp(h->d_name, ".") || !strcmp(h->d_name, "..") || !look(fd, h->d_name, &e, skipped))
            continue;
        e.name = h->d_name;
        ok = !too_large(path, &e, errp);
        if (ok && (d->entries->len >= FAT_ENTRIES_MAX || (e.folder && depth >= FAT_DEPTH_MAX))) {
            error_setf(errp,
                       e.folder && depth >= FAT_DEPTH_MAX
                           ? "folder '%s' has folders in more than %u layers; choose one of them"
                           : "folder '%s' has more than %u files; choose a part of it",
                       path, e.folder && depth >= FAT_DEPTH_MAX ? (unsigned)FAT_DEPTH_MAX : (unsigned)FAT_ENTRIES_MAX);
            ok = false;
        }
        if (ok) {
            e.name = g_strdup(h->d_name);
            g_array_append_val(d->entries, e);
        }
    }
    closedir(dir);
    FatEntry *folder = fat_entry(d, number);
    folder->child = first;
    folder->children = d->entries->len - first;
    if (ok && folder->children)
        /* their own entries come later: nobody refers to them yet */
        qsort(fat_entry(d, first), folder->children, sizeof(FatEntry), by_name);
    return ok;
}

bool fat_scan(FatDisk *d, const char *path, Error **errp)
{
    Skipped skipped = { 0 };
    struct statx st;
    d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->root < 0 || statx(d->root, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st)) {
        error_set_errno(errp, errno, "folder '%s'", path);
        return false;
    }
    FatEntry root = { .name = g_strdup("."), .folder = true };
    times_of(&root, &st);
    g_array_append_val(d->entries, root);
    for (uint32_t i = 0; i < d->entries->len; i++) {
        if (fat_entry(d, i)->folder && !read_folder(d, i, path, &skipped, errp))
            return false;
    }
    if (skipped.special || skipped.unreadable)
        warn_reportf("folder '%s': not shown as FAT: %u links and special files, %u that can't be read", path,
                     skipped.special, skipped.unreadable);
    return true;
}
