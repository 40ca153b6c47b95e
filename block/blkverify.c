/* SPDX-License-Identifier: MIT */
/* Filter "blkverify": writes go to two images, reads are compared; a difference is an error. */
#include <stdlib.h>
#include <string.h>
#include "block/filter.h"

typedef struct VerifyNode { BlockNode *raw; } VerifyNode; /* `file` is the image under test */

static BlockNode *raw_of(BlockNode *n) { return ((VerifyNode *)n->opaque)->raw; }

static bool verify_open(BlockNode *n, Opts *o, Error **errp)
{
    VerifyNode *v = n->opaque;
    v->raw = block_filter_other(n, o, "raw", errp);
    return v->raw && block_filter_init(n);
}

static void verify_close(BlockNode *n) { block_unref(raw_of(n)); }

static int differ(BlockNode *n, const char *what, uint64_t offset, int of_test, int of_raw)
{
    if (of_test == of_raw)
        return of_test;
    warn_reportf("blkverify: image '%s': %s at %" G_GUINT64_FORMAT " gives %d, the raw image %d",
                 block_filename(n->file), what, (guint64)offset, of_test, of_raw);
    return -EIO;
}

static int verify_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    g_autofree uint8_t *a = g_try_malloc(len), *b = g_try_malloc(len);
    if (!a || !b)
        return -ENOMEM;
    int r = differ(n, "reading", offset, block_preadv(n->file, offset, iov, iovcnt),
                   block_pread(raw_of(n), offset, b, len));
    iov_to_buf(iov, iovcnt, 0, a, len);
    for (uint64_t i = 0; !r && memcmp(a, b, len) && i < len; i++) {
        if (a[i] == b[i])
            continue;
        warn_reportf("blkverify: image '%s' differs from the raw image at %" G_GUINT64_FORMAT, block_filename(n->file),
                     (guint64)(offset + i));
        r = -EIO;
    }
    return r;
}

static int verify_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                          unsigned flags)
{
    return differ(n, "writing", offset, filter_pwritev(n, offset, len, iov, iovcnt, flags),
                  block_pwritev(raw_of(n), offset, iov, iovcnt, 0));
}

static int verify_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    return differ(n, "writing zeroes", offset, filter_pwrite_zeroes(n, offset, len, flags),
                  block_pwrite_zeroes(raw_of(n), offset, len, 0));
}

static int verify_flush(BlockNode *n)
{
    return differ(n, "flushing", 0, filter_flush(n), block_flush(raw_of(n)));
}

/* "blkverify:RAW:IMAGE" */
static bool verify_parse(const char *filename, Opts *o, Error **errp)
{
    const char *rest = strchr(filename, ':'), *image = rest ? strchr(rest + 1, ':') : NULL;
    if (!image) {
        error_setf(errp, "image '%s': blkverify:RAW:IMAGE is expected", filename);
        return false;
    }
    g_autofree char *raw = g_strndup(rest + 1, (gsize)(image - rest - 1));
    opts_set(o, "raw.file.filename", raw);
    opts_set(o, "file.filename", image + 1);
    return true;
}

static const char *const verify_options[] = { "test", "raw", NULL };
static const char *const verify_schemes[] = { "blkverify", NULL };
static const BlockDriver verify_driver = {
    .name = "blkverify",
    .desc = "filter: compares an image with a raw twin",
    .instance_size = sizeof(VerifyNode),
    .options = verify_options,
    .schemes = verify_schemes,
    .child = "test",
    .filter = true,
    .parse_filename = verify_parse,
    .open = verify_open,
    .close = verify_close,
    .preadv = verify_preadv,
    .pwritev = verify_pwritev,
    .pwrite_zeroes = verify_pwrite_zeroes,
    .flush = verify_flush,
};
BLOCK_DRIVER_REGISTER(verify_driver)
