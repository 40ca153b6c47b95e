/* SPDX-License-Identifier: MIT */
/* A saved machine in a file of the host. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bits.h"
#include "hw/core/machine.h"
#include "hw/core/save.h"

enum { IOV_LIMIT = 1024 };

/* All of the vector, whatever the host does in one call. */
static int transfer(int fd, uint64_t offset, const struct iovec *iov, int iovcnt, bool write)
{
    struct iovec part[IOV_LIMIT];
    int at = 0;
    size_t skip = 0;
    while (at < iovcnt) {
        int count = 0;
        for (; at + count < iovcnt && count < IOV_LIMIT; count++)
            part[count] = iov[at + count];
        part[0].iov_base = (char *)part[0].iov_base + skip;
        part[0].iov_len -= skip;
        ssize_t n = write ? pwritev(fd, part, count, (off_t)offset) : preadv(fd, part, count, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : write ? -ENOSPC : -EIO;
        offset += (uint64_t)n;
        for (skip += (size_t)n; at < iovcnt && skip >= iov[at].iov_len; at++)
            skip -= iov[at].iov_len;
    }
    return 0;
}

static int file_read(void *opaque, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    return transfer(*(int *)opaque, offset, iov, iovcnt, false);
}
static int file_write(void *opaque, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    return transfer(*(int *)opaque, offset, iov, iovcnt, true);
}

static int file_reserve(void *opaque, uint64_t offset, uint64_t len)
{
    int r = fallocate(*(int *)opaque, 0, (off_t)offset, (off_t)len) ? -errno : 0;
    return r == -ENOSPC || r == -EFBIG || r == -EDQUOT ? r : -ENOTSUP;
}

static void file_write_out(void *opaque) { sync_file_range(*(int *)opaque, 0, 0, SYNC_FILE_RANGE_WRITE); }

static bool write_file(const char *path, int fd, Error **errp)
{
    SaveIo io = { .write = file_write, .reserve = file_reserve, .write_out = file_write_out, .opaque = &fd };
    uint64_t size;
    Save *s = save_new(&io, false, errp);
    bool ok = s && save_end(s, &size, errp);
    save_free(s);
    return ok;
}

bool machine_save(const char *path, Error **errp)
{
    RunState before = machine_run_state();
    if (!device_check_savable(errp)) {
        error_prependf(errp, "saving the machine to '%s'", path);
        return false;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        error_set_errno(errp, errno, "saving the machine to '%s'", path);
        return false;
    }
    machine_pause(RUN_SAVING);
    struct stat st;
    bool ok = write_file(path, fd, errp);
    if (!ok && !fstat(fd, &st) && S_ISREG(st.st_mode))
        unlink(path);
    if (close(fd) && ok) {
        error_set_errno(errp, errno, "closing it failed");
        ok = false;
    }
    if (!ok)
        error_prependf(errp, "saving the machine to '%s'", path);
    machine_pause(before == RUN_RUNNING ? RUN_PAUSED : before);
    if (before == RUN_RUNNING)
        machine_resume();
    return ok;
}

bool machine_load(const char *path, Error **errp)
{
    RunState before = machine_run_state();
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        error_set_errno(errp, errno, "loading the machine from '%s'", path);
        return false;
    }
    SaveIo io = { .read = file_read, .opaque = &fd, .size = (uint64_t)st.st_size };
    machine_pause(RUN_LOADING);
    Load *l = load_check(&io, errp);
    bool checked = l, ok = l && load_all(l, errp);
    load_free(l);
    close(fd);
    if (!ok)
        error_prependf(errp, "loading the machine from '%s'", path);
    /* What was never begun leaves the machine as it was, but paused. */
    machine_pause(ok || !checked ? (before == RUN_RUNNING ? RUN_PAUSED : before) : RUN_INTERNAL_ERROR);
    if (ok && before == RUN_RUNNING)
        machine_resume();
    return ok;
}
