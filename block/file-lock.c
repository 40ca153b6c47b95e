/* SPDX-License-Identifier: MIT */
/* Advisory image locks: open-file-description locks (fcntl(2), F_OFD_SETLK) on single bytes. */
#include "block/file-lock.h"
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { BASE_USED = 100, BASE_UNSHARED = 200, PERM_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };

static int lock_byte(int fd, off_t at)
{
    struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
    return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* Would an exclusive lock of the byte fail because somebody else holds it? */
static int others_hold(int fd, off_t at)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
    if (fcntl(fd, F_OFD_GETLK, &l))
        return -errno;
    return l.l_type != F_UNLCK;
}

/* Has this process the file open a second time? The locks don't tell whose they are. */
static bool open_here(int fd)
{
    struct stat wanted, other;
    if (fstat(fd, &wanted))
        return false;
    GDir *all = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;
    bool found = false;
    while (all && !found && (name = g_dir_read_name(all))) {
        int n = atoi(name);
        found = n != fd && !fstat(n, &other) && other.st_dev == wanted.st_dev && other.st_ino == wanted.st_ino;
    }
    if (all)
        g_dir_close(all);
    return found;
}

bool file_lock(int fd, bool write, const char *name, Error **errp)
{
    static const int writer_uses[] = { PERM_READ, PERM_WRITE, PERM_RESIZE };
    unsigned uses = write ? 3 : 1;
    int r = 0;
    for (unsigned i = 0; i < uses && !r; i++)
        r = lock_byte(fd, BASE_USED + writer_uses[i]);
    /* nobody shares writing and resizing with anybody */
    for (unsigned i = 1; i < 3 && !r; i++)
        r = lock_byte(fd, BASE_UNSHARED + writer_uses[i]);
    for (unsigned i = 0; i < uses && !r; i++)
        r = others_hold(fd, BASE_UNSHARED + writer_uses[i]) > 0 ? 1 : 0;
    for (unsigned i = 1; i < 3 && !r; i++)
        r = others_hold(fd, BASE_USED + writer_uses[i]) > 0 ? 1 : 0;
    if (r == -ENOTSUP || r == -EINVAL || r == -ENOLCK || r == -ENOSYS)
        return true;
    if (r) {
        if (open_here(fd))
            error_setf(errp,
                       "image '%s' is opened twice by this program, and one of the two writes; give it to one drive "
                       "only, or name one node "
                       "(-blockdev) twice",
                       name);
        else
            error_setf(errp,
                       "image '%s' is in use by another process%s; end that one, or look at the image read-only with "
                       "-U / force-share=on",
                       name, write ? "" : " that writes to it");
        return false;
    }
    return true;
}

void file_unlock(int fd)
{
    struct flock l = { .l_type = F_UNLCK,
                       .l_whence = SEEK_SET,
                       .l_start = BASE_USED,
                       .l_len = BASE_UNSHARED + PERM_RESIZE + 1 - BASE_USED };
    fcntl(fd, F_OFD_SETLK, &l);
}
