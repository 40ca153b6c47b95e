/* SPDX-License-Identifier: MIT */
/* Format "raw": the file as it is, or a window of it (offset, size). */
#include <string.h>
#include "base/bits.h"
#include "base/iov.h"
#include "block/aio.h"
#include "block/node.h"

typedef struct RawNode {
    uint64_t offset;
    bool fixed; /* size= was given */
    bool told;  /* of a write that was refused */
} RawNode;

static RawNode *raw_of(BlockNode *n) { return n->opaque; }

static bool raw_open(BlockNode *n, Opts *o, Error **errp)
{
    RawNode *r = raw_of(n);
    uint64_t below = block_size(n->file), size;
    r->fixed = opts_has(o, "size");
    if (!opts_get_size(o, "offset", 0, &r->offset, errp))
        return false;
    if (r->offset > below) {
        error_setf(errp, "image '%s': offset=%" G_GUINT64_FORMAT " lies beyond its end", block_filename(n),
                   (guint64)r->offset);
        return false;
    }
    if (!opts_get_size(o, "size", below - r->offset, &size, errp))
        return false;
    if (size > below - r->offset) {
        error_setf(errp, "image '%s': size=%" G_GUINT64_FORMAT " is more than the file holds behind the offset",
                   block_filename(n), (guint64)size);
        return false;
    }
    n->size = size;
    n->request_align = n->file->request_align;
    if (n->request_align > 1 && (r->offset | size) & (n->request_align - 1) && (r->offset || r->fixed))
        n->request_align = 1; /* the layer below copies */
    return true;
}

/*
 * A guest must not make an image look like one of another format when the format is guessed: at the next start the
 * header that it wrote would be believed, and name files of the host.
 */
static bool in_head(const BlockNode *n, uint64_t offset)
{
    return n->guessed && !((RawNode *)n->opaque)->offset && offset < BLOCK_PROBE_SIZE;
}

static int check_head(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    uint8_t head[BLOCK_PROBE_SIZE] = { 0 };
    size_t have = (size_t)MIN(sizeof head, block_size(n));
    int r = block_pread(n->file, 0, head, have);
    if (r)
        return r;
    iov_to_buf(iov, iovcnt, 0, head + offset, (size_t)MIN(len, sizeof head - offset));
    const BlockDriver *looks = block_driver_probe(head, have, n->filename);
    if (looks == n->drv)
        return 0;
    if (!raw_of(n)->told)
        warn_reportf(
            "image '%s': a write that makes it look like %s is refused, because its format was guessed; add format=raw",
            block_filename(n), looks->name);
    raw_of(n)->told = true;
    return -EPERM;
}

static int raw_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return block_preadv(n->file, raw_of(n)->offset + offset, iov, iovcnt);
}
static int raw_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    if (flags & BLOCK_REQ_COMPRESSED)
        return -ENOTSUP;
    int r = in_head(n, offset) ? check_head(n, offset, len, iov, iovcnt) : 0;
    return r ? r : block_pwritev(n->file, raw_of(n)->offset + offset, iov, iovcnt, 0);
}
static int raw_preadv_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return block_preadv_nowait(n->file, raw_of(n)->offset + offset, iov, iovcnt);
}
static int raw_pwritev_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return in_head(n, offset) ? -EAGAIN : block_pwritev_nowait(n->file, raw_of(n)->offset + offset, iov, iovcnt);
}
static int raw_aio(BlockNode *n, BlockAio *a, BlockAioStep *step)
{
    return a->op != BLK_READ && in_head(n, step->offset) ? -EAGAIN
                                                         : block_aio(n->file, a, raw_of(n)->offset + step->offset);
}

static int raw_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    return block_pwrite_zeroes(n->file, raw_of(n)->offset + offset, len, flags & ~(unsigned)BLOCK_REQ_FUA);
}
static int raw_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    return block_pdiscard(n->file, raw_of(n)->offset + offset, len);
}
static int raw_flush(BlockNode *n) { return block_flush(n->file); }

static bool raw_passes_scsi(BlockNode *n) { return !raw_of(n)->offset && !raw_of(n)->fixed; }

static int raw_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    int r = block_status(n->file, raw_of(n)->offset + offset, len, out);
    if (!r && out->flags & BLOCK_EOF && !out->pnum) /* the file has become shorter */
        *out = (BlockStatus){ .flags = BLOCK_ZERO, .pnum = len };
    out->flags = (out->flags & ~(unsigned)BLOCK_EOF) | BLOCK_ALLOCATED;
    return r;
}

static bool raw_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    RawNode *r = raw_of(n);
    if (r->fixed) {
        error_setf(errp, "image '%s' was opened with a fixed size=; open it without to resize it", block_filename(n));
        return false;
    }
    if (!block_truncate(n->file, r->offset + size, prealloc, true, errp))
        return false;
    n->size = size;
    return true;
}

/* Filenames with a scheme are created by their protocol. */
static bool raw_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    return block_driver_find("file")->create(filename, align_up(size, 512), o, errp);
}

static bool raw_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    *required = *fully = size;
    return true;
}

static const char *const raw_options[] = { "offset", "size", NULL };
static const BlockCreateOption raw_create_options[] = {
    { "preallocation", "string", "off, falloc or full: what of the file is allocated at once", "off" }, { NULL }
};
static const BlockDriver raw_driver = {
    .name = "raw",
    .desc = "the disk's bytes as they are",
    .instance_size = sizeof(RawNode),
    .options = raw_options,
    .create_options = raw_create_options,
    .open = raw_open,
    .preadv = raw_preadv,
    .pwritev = raw_pwritev,
    .preadv_nowait = raw_preadv_nowait,
    .pwritev_nowait = raw_pwritev_nowait,
    .aio = raw_aio,
    .pwrite_zeroes = raw_zeroes,
    .pdiscard = raw_discard,
    .flush = raw_flush,
    .status = raw_status,
    .truncate = raw_truncate,
    .create = raw_create,
    .measure = raw_measure,
    .passes_scsi = raw_passes_scsi,
};
BLOCK_DRIVER_REGISTER(raw_driver)
