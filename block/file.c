/* SPDX-License-Identifier: MIT */
/* Protocols "file", "host_device" and "host_cdrom": a file or block device of the host. */
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/aio.h"
#include "block/file-lock.h"
#include "block/node.h"
#include "block/sg.h"

/*
 * A file system that caches a write in pages as large as it can is slow where the host is a guest itself: free memory
 * in pieces of 2 MiB is what it has given back to its own host. In pieces of half that it is not, and the rest costs
 * next to nothing.
 */
enum { WRITE_MAX = 1 << 20 };

typedef struct FileNode {
    int fd;
    bool device, locked;
    bool no_nowait;
    _Atomic bool no_zero_range, no_punch, no_data_seek; /* the host refused once: don't ask again */
    pthread_mutex_t lock;     /* of what follows */
    /* data, as the host said last: looking for the next hole anew for every piece is slow on tmpfs */
    uint64_t data_from, data_to;
    _Atomic int flush_error;  /* a failed fsync loses what it was to write: never say "durable" again */
} FileNode;

static FileNode *file_of(BlockNode *n) { return n->opaque; }

/* --- opening --- */

static unsigned direct_align(int fd, bool device)
{
    int sector = 0;
    if (device && !ioctl(fd, BLKSSZGET, &sector) && sector >= 512 && is_pow2((uint64_t)sector))
        return (unsigned)sector;
    return 4096; /* what every file system takes */
}

static bool measure(BlockNode *n, Error **errp)
{
    FileNode *f = file_of(n);
    struct stat st;
    if (fstat(f->fd, &st)) {
        error_set_errno(errp, errno, "image '%s'", block_filename(n));
        return false;
    }
    f->device = S_ISBLK(st.st_mode);
    uint64_t size = (uint64_t)st.st_size;
    if (f->device && ioctl(f->fd, BLKGETSIZE64, &size)) {
        error_set_errno(errp, errno, "image '%s': can't find the size of the block device", block_filename(n));
        return false;
    }
    if (S_ISCHR(st.st_mode) && sg_is_unit(f->fd)) { /* no bytes, but SCSI commands */
        n->size = 0;
        return true;
    }
    if (!f->device && !S_ISREG(st.st_mode)) {
        error_setf(errp, "image '%s' is %s; give a file or a block device", block_filename(n),
                   S_ISDIR(st.st_mode) ? "a directory" : "neither a file nor a block device");
        return false;
    }
    n->size = size;
    return true;
}

static bool open_fd(BlockNode *n, const char *path, Error **errp)
{
    FileNode *f = file_of(n);
    int extra = O_CLOEXEC | (n->flags & BLOCK_DIRECT ? O_DIRECT : 0);
    f->fd = open(path, (n->flags & BLOCK_RDWR ? O_RDWR : O_RDONLY) | extra);
    if (f->fd < 0 && n->flags & BLOCK_AUTO_RDONLY && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        n->flags &= ~(unsigned)BLOCK_RDWR;
        f->fd = open(path, O_RDONLY | extra);
    }
    if (f->fd >= 0)
        return true;
    if (errno == EINVAL && n->flags & BLOCK_DIRECT)
        error_setf(errp, "image '%s': the file system has no direct I/O; use cache=writeback", path);
    else if (errno == EACCES && n->flags & BLOCK_RDWR && !access(path, R_OK))
        error_setf(errp, "image '%s': Permission denied for writing; use read-only=on or change the file's permissions",
                   path);
    else
        error_set_errno(errp, errno, "image '%s'", path);
    return false;
}

static bool file_open(BlockNode *n, Opts *o, Error **errp)
{
    FileNode *f = file_of(n);
    const char *path = opts_get(o, "filename"), *aio = opts_get(o, "aio"), *locking = opts_get(o, "locking");
    static const char *const aios[] = { "threads", "native", "io_uring", NULL }, *const lockings[] = { "auto", "on",
                                                                                                       "off", NULL };
    f->fd = -1;
    pthread_mutex_init(&f->lock, NULL);
    if (!path) {
        error_setf(errp, "block driver '%s': which file? give filename=PATH", n->drv->name);
        return false;
    }
    if (g_str_has_prefix(path, "file:"))
        path += 5;
    if (aio && !g_strv_contains(aios, aio)) {
        error_set_unknown(errp, "aio", aio, aios);
        return false;
    }
    if (locking && !g_strv_contains(lockings, locking)) {
        error_set_unknown(errp, "locking", locking, lockings);
        return false;
    }
    if (!open_fd(n, path, errp))
        return false;
    bool lock = !(locking && !strcmp(locking, "off")) && !(n->flags & BLOCK_FORCE_SHARE);
    if (!measure(n, errp) || (lock && !file_lock(f->fd, n->flags & BLOCK_RDWR, block_filename(n), errp))) {
        close(f->fd);
        return false;
    }
    f->locked = lock;
    f->no_nowait = n->flags & BLOCK_DIRECT; /* what needs the disk waits for it, though it says otherwise */
    n->aio = aio && strcmp(aio, "threads");
    n->request_align = n->flags & BLOCK_DIRECT ? direct_align(f->fd, f->device) : 1;
    if (n->flags & BLOCK_TEMPORARY)
        unlink(path);
    return true;
}

/* Another descriptor with the new rights; the old one stays when anything fails. */
static bool file_reopened(BlockNode *n, Error **errp)
{
    FileNode *f = file_of(n);
    bool write = n->flags & BLOCK_RDWR;
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", f->fd);
    int old = f->fd,
        fd = open(self, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | (n->flags & BLOCK_DIRECT ? O_DIRECT : 0));
    if (fd < 0) {
        error_set_errno(errp, errno, "image '%s': can't be opened %s", block_filename(n),
                        write ? "for writing" : "again");
        return false;
    }
    if (f->locked)
        file_unlock(old);
    if (f->locked && !file_lock(fd, write, block_filename(n), errp)) {
        close(fd);
        file_lock(old, !write, block_filename(n), NULL);
        return false;
    }
    f->fd = fd;
    close(old);
    return true;
}

static void file_close(BlockNode *n)
{
    FileNode *f = file_of(n);
    if (f->fd >= 0)
        close(f->fd); /* drops the locks, too */
    f->fd = -1;
}

/* --- I/O --- */

/* All of the vector, whatever the host does in one call. */
static int transfer(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    int fd = file_of(n)->fd;
    struct iovec small[64], *part = iovcnt > 64 ? g_new(struct iovec, iovcnt) : small;
    bool cached = !(n->flags & BLOCK_DIRECT);
    uint64_t done = 0;
    int r = 0;
    while (done < len && !r) {
        uint64_t piece = write && cached ? WRITE_MAX - (offset + done) % WRITE_MAX : len;
        int count = iov_part(part, iov, iovcnt, done, MIN(piece, len - done));
        count = MIN(count, BLOCK_IOV_MAX);
        ssize_t got = write ? pwritev(fd, part, count, (off_t)(offset + done))
                            : preadv(fd, part, count, (off_t)(offset + done));
        if (got > 0)
            done += (uint64_t)got;
        else if (got < 0 && errno != EINTR)
            r = -errno;
        else if (got == 0 && write)
            r = -ENOSPC;
        else if (got == 0) { /* beyond the end */
            iov_zero(iov, iovcnt, done, len - done);
            done = len;
        }
    }
    if (part != small)
        g_free(part);
    return r;
}

static int file_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return transfer(n, offset, len, iov, iovcnt, false);
}

static int file_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                        unsigned flags)
{
    int r = transfer(n, offset, len, iov, iovcnt, true);
    if (!r)
        block_grown(n, offset + len);
    return r;
}

/* What the page cache has, or takes, at once. */
static int once_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    FileNode *f = file_of(n);
    if (f->no_nowait || iovcnt > BLOCK_IOV_MAX || (!write && offset + len > block_size(n)))
        return -EAGAIN;
    ssize_t got = write ? pwritev2(f->fd, iov, iovcnt, (off_t)offset, RWF_NOWAIT)
                        : preadv2(f->fd, iov, iovcnt, (off_t)offset, RWF_NOWAIT);
    if (got == (ssize_t)len)
        return 0;
    if (got < 0 && (errno == EOPNOTSUPP || errno == EINVAL))
        f->no_nowait = true;
    return -EAGAIN; /* a part may have been written: it is written again */
}

static int file_preadv_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return once_nowait(n, offset, len, iov, iovcnt, false);
}

static int file_pwritev_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return offset + len > block_size(n) ? -EAGAIN : once_nowait(n, offset, len, iov, iovcnt, true);
}

/* Bytes of known data from offset on; new: what the host says. That data has become a hole meanwhile does no harm. */
static uint64_t known_data(FileNode *f, uint64_t offset)
{
    pthread_mutex_lock(&f->lock);
    uint64_t bytes = offset >= f->data_from && offset < f->data_to ? f->data_to - offset : 0;
    pthread_mutex_unlock(&f->lock);
    return bytes;
}

static void know_data(FileNode *f, uint64_t from, uint64_t to)
{
    pthread_mutex_lock(&f->lock);
    f->data_from = from;
    f->data_to = to;
    pthread_mutex_unlock(&f->lock);
}

static int do_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
    int r;
    do {
        r = fallocate(fd, mode, (off_t)offset, (off_t)len);
    } while (r && errno == EINTR);
    return !r ? 0 : errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == ENODEV ? -ENOTSUP : -errno;
}

static int device_range(FileNode *f, unsigned long request, uint64_t offset, uint64_t len)
{
    uint64_t range[2] = { offset, len };
    return !ioctl(f->fd, request, range)                               ? 0
           : errno == ENOTTY || errno == EINVAL || errno == EOPNOTSUPP ? -ENOTSUP
                                                                       : -errno;
}

static int file_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    FileNode *f = file_of(n);
    uint64_t size = block_size(n);
    int r = -ENOTSUP;
    if (f->device)
        return f->no_zero_range ? -ENOTSUP : device_range(f, BLKZEROOUT, offset, len);
    know_data(f, 0, 0);
    /* new bytes of a file are zero; ftruncate() could cut off what another thread appends meanwhile */
    if (offset >= size) {
        static const uint8_t last;
        if (pwrite(f->fd, &last, 1, (off_t)(offset + len - 1)) != 1)
            return -errno;
        block_grown(n, offset + len);
        return 0;
    }
    if (flags & BLOCK_REQ_MAY_UNMAP && !f->no_punch && offset + len <= size) {
        r = do_fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len);
        f->no_punch |= r == -ENOTSUP;
    }
    if (r == -ENOTSUP && !f->no_zero_range) {
        r = do_fallocate(f->fd, FALLOC_FL_ZERO_RANGE, offset, len);
        f->no_zero_range |= r == -ENOTSUP;
    }
    if (!r)
        block_grown(n, offset + len);
    return r;
}

static int file_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    FileNode *f = file_of(n);
    if (f->device)
        return device_range(f, BLKDISCARD, offset, len);
    know_data(f, 0, 0);
    return do_fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len);
}

static int file_flush(BlockNode *n)
{
    FileNode *f = file_of(n);
    int r;
    if (f->flush_error)
        return f->flush_error;
    do {
        r = fdatasync(f->fd);
    } while (r && errno == EINTR);
    if (r)
        f->flush_error = -errno;
    return r ? f->flush_error : 0;
}

static int file_reserve(BlockNode *n, uint64_t offset, uint64_t len)
{
    FileNode *f = file_of(n);
    if (f->device)
        return -ENOTSUP;
    know_data(f, 0, 0);
    int r = do_fallocate(f->fd, 0, offset, len);
    if (!r)
        block_grown(n, offset + len);
    return r;
}

static void file_write_out(BlockNode *n) { sync_file_range(file_of(n)->fd, 0, 0, SYNC_FILE_RANGE_WRITE); }

static int file_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    FileNode *f = file_of(n);
    *out = (BlockStatus){ BLOCK_DATA | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID, len, offset, n, 0 };
    if (f->no_data_seek || f->device)
        return 0;
    uint64_t known = known_data(f, offset);
    if (known) {
        out->pnum = MIN(len, known);
        return 0;
    }
    off_t data = lseek(f->fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno != ENXIO) {
        f->no_data_seek = true;
        return 0;
    }
    if (data < 0 || (uint64_t)data > offset) { /* a hole up to `data`, or to the end */
        out->flags = BLOCK_ZERO | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID;
        out->pnum = data < 0 ? len : MIN(len, (uint64_t)data - offset);
        return 0;
    }
    off_t hole = lseek(f->fd, (off_t)offset, SEEK_HOLE);
    if (hole > (off_t)offset) {
        out->pnum = MIN(len, (uint64_t)hole - offset);
        know_data(f, offset, (uint64_t)hole);
    }
    return 0;
}

/* --- by io_uring --- */

/* What the kernel did only in part, or can't do so, is done again by the blocking function, which knows the rest. */
static int aio_result(BlockNode *n, BlockAio *a, uint64_t offset, int result)
{
    FileNode *f = file_of(n);
    bool again = result == -EINTR || result == -EAGAIN || result == -ECANCELED;
    if (a->op == BLK_READ || a->op == BLK_WRITE) {
        if (again || (result >= 0 && (uint64_t)result < a->bytes))
            return -EAGAIN;
        if (result > 0 && a->op == BLK_WRITE)
            block_grown(n, offset + a->bytes);
        return MIN(result, 0);
    }
    if (a->op == BLK_FLUSH && result && !again)
        f->flush_error = result;
    return !result || a->op == BLK_FLUSH ? (again ? -EAGAIN : result) : -EAGAIN;
}

static void aio_done(UringOp *op, int result)
{
    BlockAio *a = container_of(op, BlockAio, uring);
    BlockAioStep *s = block_aio_step(a);
    block_aio_end(a, aio_result(s->n, a, s->offset, result));
}

static int file_aio(BlockNode *n, BlockAio *a, BlockAioStep *step)
{
    static const UringKind kinds[] = { URING_READ, URING_WRITE, URING_FDATASYNC, URING_FALLOCATE, URING_FALLOCATE };
    FileNode *f = file_of(n);
    UringOp *op = &a->uring;
    int mode = 0;
    if (a->op == BLK_DISCARD || (a->op == BLK_WRITE_ZEROES && a->flags & BLOCK_REQ_MAY_UNMAP && !f->no_punch))
        mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    else if (a->op == BLK_WRITE_ZEROES)
        mode = FALLOC_FL_ZERO_RANGE;
    if ((mode && (f->device || (a->op == BLK_WRITE_ZEROES && mode & FALLOC_FL_ZERO_RANGE && f->no_zero_range))) ||
        a->iovcnt > BLOCK_IOV_MAX || (a->op == BLK_FLUSH && f->flush_error))
        return -EAGAIN;
    if (mode)
        know_data(f, 0, 0);
    *op = (UringOp){ .kind = kinds[a->op],
                     .fd = f->fd,
                     .mode = mode,
                     .offset = step->offset,
                     .len = a->bytes,
                     .iov = a->iov,
                     .iovcnt = a->iovcnt,
                     .done = aio_done };
    return uring_submit(a->ring, op) ? 0 : -EAGAIN;
}

/* --- size --- */

static int write_zero_range(int fd, uint64_t from, uint64_t to)
{
    g_autofree uint8_t *zeroes = g_malloc0(MiB);
    while (from < to) {
        ssize_t got = pwrite(fd, zeroes, (size_t)MIN(to - from, MiB), (off_t)from);
        if (got < 0 && errno != EINTR)
            return -errno;
        from += got > 0 ? (uint64_t)got : 0;
    }
    return 0;
}

static int preallocate(int fd, uint64_t from, uint64_t to, BlockPrealloc prealloc)
{
    if (prealloc == PREALLOC_FALLOC && to > from) {
        int r = -posix_fallocate(fd, (off_t)from, (off_t)(to - from));
        return r;
    }
    return prealloc == PREALLOC_FULL ? write_zero_range(fd, from, to) : 0;
}

static bool set_size(int fd, const char *name, uint64_t old, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    if (prealloc == PREALLOC_METADATA) {
        error_setf(errp, "image '%s': preallocation=metadata is for formats that have metadata; use falloc or full",
                   name);
        return false;
    }
    int r = ftruncate(fd, (off_t)size) ? -errno : 0;
    if (!r && size > old)
        r = preallocate(fd, old, size, prealloc);
    if (r < 0) {
        int ignored = ftruncate(fd, (off_t)old);
        (void)ignored;
        error_set_errno(errp, -r, "image '%s': can't be made %" G_GUINT64_FORMAT " bytes long", name, (guint64)size);
    }
    return r >= 0;
}

static bool file_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    FileNode *f = file_of(n);
    if (f->device) {
        if (size <= block_size(n))
            return true;
        error_setf(errp,
                   "block device '%s' has %" G_GUINT64_FORMAT
                   " bytes, fewer than asked for; a device can't be resized here",
                   block_filename(n), (guint64)block_size(n));
        return false;
    }
    know_data(f, 0, 0);
    if (!set_size(f->fd, block_filename(n), block_size(n), size, prealloc, errp))
        return false;
    n->size = size;
    return true;
}

static int file_scsi(BlockNode *n, BlockScsi *s, const struct iovec *iov, int iovcnt)
{
    return sg_command(file_of(n)->fd, s, iov, iovcnt);
}

static bool file_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    struct stat st;
    if (!fstat(file_of(n)->fd, &st)) {
        out->actual_size = (uint64_t)st.st_blocks * 512;
        out->has_actual = true;
    }
    return true;
}

/* --- creation --- */

static bool file_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    BlockPrealloc prealloc = PREALLOC_OFF;
    const char *text = opts_get(o, "preallocation");
    if (text && !block_parse_prealloc(text, &prealloc, errp))
        return false;
    if (g_str_has_prefix(filename, "file:"))
        filename += 5;
    int fd = open(filename, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        error_set_errno(errp, errno, "image '%s': can't be created", filename);
        return false;
    }
    struct stat st;
    bool device = !fstat(fd, &st) && S_ISBLK(st.st_mode), ok = true;
    ok = file_lock(fd, true, filename, errp);
    if (ok && !device && ftruncate(fd, 0)) {
        error_set_errno(errp, errno, "image '%s': can't be emptied", filename);
        ok = false;
    }
    ok = ok && (device || set_size(fd, filename, 0, size, prealloc, errp));
    close(fd);
    return ok;
}

static unsigned device_probe(const char *filename)
{
    struct stat st;
    return !stat(filename, &st) && S_ISBLK(st.st_mode);
}

static bool device_open(BlockNode *n, Opts *o, Error **errp)
{
    const char *path = opts_get(o, "filename");
    if (path && !device_probe(path)) {
        error_setf(errp, "'%s' is no block device; use driver=file", path);
        return false;
    }
    return file_open(n, o, errp);
}

static const char *const file_options[] = { "aio", "locking", NULL };
static const char *const file_schemes[] = { "file", NULL };
static const BlockCreateOption file_create_options[] = {
    { "preallocation", "string", "off, falloc or full: what of the file is allocated at once", "off" }, { NULL }
};

#define FILE_FUNCTIONS \
    .protocol = true, .grows = true, .instance_size = sizeof(FileNode), .options = file_options, .close = file_close, \
    .preadv = file_preadv, \
    .pwritev = file_pwritev, .preadv_nowait = file_preadv_nowait, .pwritev_nowait = file_pwritev_nowait, \
    .aio = file_aio, \
    .pwrite_zeroes = file_zeroes, .pdiscard = file_discard, .reopened = file_reopened, .flush = file_flush, \
    .reserve = file_reserve, \
    .write_out = file_write_out, .status = file_status, \
    .truncate = file_truncate, .scsi = file_scsi, .info = file_info
static const BlockDriver file_driver = {
    .name = "file", .desc = "a file of the host", .schemes = file_schemes, .open = file_open, .create = file_create,
    .create_options = file_create_options, FILE_FUNCTIONS
};
static const BlockDriver device_driver = {
    .name = "host_device", .desc = "a block device of the host", .open = device_open, FILE_FUNCTIONS
};
static const BlockDriver cdrom_driver = {
    .name = "host_cdrom", .desc = "a CD drive of the host", .open = device_open, FILE_FUNCTIONS
};
BLOCK_DRIVER_REGISTER(file_driver)
BLOCK_DRIVER_REGISTER(device_driver)
BLOCK_DRIVER_REGISTER(cdrom_driver)
