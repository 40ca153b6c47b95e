/* SPDX-License-Identifier: MIT */
/* Back ends on named files: file, and pipe (a pair of FIFOs). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "chardev/chardev-internal.h"

typedef struct FileChr {
    Chardev c;
    FdPort port;
    int in, out; /* owned; -1: none */
} FileChr;

static bool need_path(Opts *o, const char **path, Error **errp)
{
    *path = opts_get(o, "path");
    if (!*path)
        error_setf(errp, "the option 'path' is missing");
    return *path != NULL;
}

static int open_or_fail(const char *path, int flags, Error **errp)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        error_set_errno(errp, errno, "file '%s'", path);
    return fd;
}

static void ready(FileChr *f, const char *kind, const char *path)
{
    f->c.label = g_strdup_printf("%s:%s", kind, path);
    fdport_init(&f->port, &f->c, f->in, f->out);
    chr_event(&f->c, CHR_OPENED);
}

static bool file_open(Chardev *c, Opts *o, Error **errp)
{
    FileChr *f = (FileChr *)c;
    const char *path, *input = opts_get(o, "input-path");
    bool append;
    f->in = f->out = -1;
    if (!opts_get_bool(o, "append", false, &append, errp) || !need_path(o, &path, errp))
        return false;
    f->out = open_or_fail(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), errp);
    if (f->out < 0)
        return false;
    if (input) {
        f->in = open_or_fail(input, O_RDONLY | O_NONBLOCK, errp);
        if (f->in < 0)
            return false;
    }
    ready(f, "file", path);
    return true;
}

/* PATH.in and PATH.out as the guest's peer sees them: what is written into .in reaches the guest. Else PATH itself. */
static bool pipe_open(Chardev *c, Opts *o, Error **errp)
{
    FileChr *f = (FileChr *)c;
    const char *path;
    f->in = f->out = -1;
    if (!need_path(o, &path, errp))
        return false;
    g_autofree char *in = g_strconcat(path, ".in", NULL), *out = g_strconcat(path, ".out", NULL);
    if (access(in, F_OK) == 0 && access(out, F_OK) == 0) {
        f->in = open_or_fail(in, O_RDWR | O_NONBLOCK, errp);
        f->out = f->in < 0 ? -1 : open_or_fail(out, O_RDWR | O_NONBLOCK, errp);
    } else if (access(path, F_OK) == 0) {
        f->in = f->out = open_or_fail(path, O_RDWR | O_NONBLOCK, errp);
    } else {
        error_setf(errp, "pipe '%s': neither it nor %s and %s exist; make them with mkfifo", path, in, out);
    }
    if (f->in < 0 || f->out < 0)
        return false;
    ready(f, "pipe", path);
    return true;
}

static void file_close(Chardev *c)
{
    FileChr *f = (FileChr *)c;
    if (f->port.pending)
        fdport_flush(&f->port, 200);
    fdport_fini(&f->port);
    if (f->in >= 0)
        close(f->in);
    if (f->out >= 0 && f->out != f->in)
        close(f->out);
}

static size_t file_write(Chardev *c, const uint8_t *data, size_t len)
{
    return fdport_write(&((FileChr *)c)->port, data, len);
}
static void file_accept_input(Chardev *c) { fdport_accept_input(&((FileChr *)c)->port); }
static int file_wait_fd(Chardev *c) { return ((FileChr *)c)->port.out; }

static const char *const file_options[] = { "path", "input-path", "append", NULL };
const ChardevBackend chardev_file = {
    .name = "file",
    .help = "output into a file, input from another",
    .options = file_options,
    .size = sizeof(FileChr),
    .open = file_open,
    .close = file_close,
    .write = file_write,
    .accept_input = file_accept_input,
    .wait_fd = file_wait_fd,
};

static const char *const pipe_options[] = { "path", NULL };
const ChardevBackend chardev_pipe = {
    .name = "pipe",
    .help = "a pair of FIFOs PATH.in and PATH.out, or one PATH",
    .options = pipe_options,
    .size = sizeof(FileChr),
    .open = pipe_open,
    .close = file_close,
    .write = file_write,
    .accept_input = file_accept_input,
    .wait_fd = file_wait_fd,
};
