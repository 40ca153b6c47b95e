/* SPDX-License-Identifier: MIT */
/* Reading kernel, initrd and firmware files, with errors a user can act on. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bits.h"
#include "hw/firmware/loader.h"

/* Where distributions install firmware. */
static const char *const firmware_dirs[] = {
    "/usr/share/seabios", "/usr/share/qemu", "/usr/share/OVMF", "/usr/share/AAVMF", "/usr/share/qemu-efi-aarch64",
    "/usr/local/share/qemu", "/usr/share/firmware",
};

/* Regular files and pipes; what would never end or cannot be read whole is refused. */
static bool check_kind(const char *what, const char *path, const struct stat *st, uint64_t max, Error **errp)
{
    if (S_ISDIR(st->st_mode)) {
        error_setf(errp, "%s '%s': is a directory; give a file", what, path);
    } else if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode)) {
        error_setf(errp, "%s '%s': is not a regular file", what, path);
    } else if (S_ISREG(st->st_mode) && (uint64_t)st->st_size > max) {
        error_setf(errp, "%s '%s': %" G_GINT64_FORMAT " bytes are too many; at most %" G_GUINT64_FORMAT, what, path,
                   (gint64)st->st_size, (guint64)max);
    } else {
        return true;
    }
    return false;
}

static GBytes *read_all(const char *what, const char *path, int fd, size_t hint, uint64_t max, Error **errp)
{
    g_autoptr(GByteArray) all = g_byte_array_sized_new((guint)MIN(hint, G_MAXUINT / 2));
    size_t step = MiB;
    for (;;) {
        guint had = all->len;
        if (had > max || had > G_MAXUINT - step) {
            error_setf(errp, "%s '%s': more than %u bytes", what, path, had);
            return NULL;
        }
        g_byte_array_set_size(all, had + (guint)step);
        ssize_t n = read(fd, all->data + had, step);
        if (n < 0 && errno != EINTR) {
            error_set_errno(errp, errno, "%s '%s'", what, path);
            return NULL;
        }
        g_byte_array_set_size(all, had + (guint)MAX(n, 0));
        if (!n)
            break;
    }
    if (!all->len) {
        error_setf(errp, "%s '%s': the file is empty", what, path);
        return NULL;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&all));
}

GBytes *loader_read_file(const char *what, const char *path, uint64_t max, Error **errp)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        error_set_errno(errp, errno, "%s '%s'", what, path);
        return NULL;
    }
    if (!check_kind(what, path, &st, max, errp))
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(errp, errno, "%s '%s'", what, path);
        return NULL;
    }
    GBytes *b = read_all(what, path, fd, (size_t)st.st_size + MiB, max, errp);
    close(fd);
    return b;
}

static char *find_in(const char *dir, const char *name)
{
    char *path = g_build_filename(dir, name, NULL);
    if (access(path, F_OK) == 0)
        return path;
    g_free(path);
    return NULL;
}

GBytes *firmware_read(const MachineConfig *config, const char *name, uint64_t max, Error **errp)
{
    g_autofree char *path = NULL;
    if (access(name, F_OK) == 0)
        path = g_strdup(name);
    else if (!strchr(name, '/') && config->firmware_dir)
        path = find_in(config->firmware_dir, name);
    for (unsigned i = 0; !path && !strchr(name, '/') && i < ARRAY_LEN(firmware_dirs); i++)
        path = find_in(firmware_dirs[i], name);
    if (!path) {
        error_setf(errp, "firmware '%s': no such file%s; install the package seabios, or use -bios FILE or -L DIR",
                   name, strchr(name, '/') ? "" : " in the firmware folders");
        return NULL;
    }
    return loader_read_file("firmware", path, max, errp);
}
