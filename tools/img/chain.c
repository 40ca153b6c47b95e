/* SPDX-License-Identifier: MIT */
/* rhea-img commit, rebase: contents between the layers of a chain. */
#include "block/driver.h"
#include "tools/img/img.h"

/* The layer of the chain whose file is `name`; NULL and an error when there is none. */
static BlockNode *find_layer(BlockNode *n, const char *name, Error **errp)
{
    g_autofree char *full = block_full_backing_name(block_filename(n), name, NULL);
    for (BlockNode *b = block_backing(n); b; b = block_backing(b)) {
        if (!strcmp(block_filename(b), name) || (full && !strcmp(block_filename(b), full)))
            return b;
    }
    error_setf(errp, "'%s' is not in the backing chain of '%s'; rhea-img info --backing-chain shows it", name,
               block_filename(n));
    return NULL;
}

/* A second node of the same file, for writing: the chain holds the read-only one, whose locks allow no writer. */
static BlockNode *open_writable(BlockNode *layer, uint64_t size, Error **errp)
{
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", block_driver_name(layer));
    if (!strcmp(block_driver_name(block_file(layer)), "file")) {
        opts_set(o, "file.driver", "file");
        opts_set(o, "file.locking", "off");
    }
    BlockNode *n = block_open(block_filename(layer), o, BLOCK_RDWR, errp);
    if (!n || block_size(n) >= size || block_truncate(n, size, PREALLOC_OFF, false, errp))
        return n;
    block_unref(n);
    return NULL;
}

bool img_commit_into(BlockNode *n, BlockNode *layer, bool empty, uint64_t rate, ImgProgress *p, Error **errp)
{
    BlockNode *base = open_writable(layer, block_size(n), errp);
    ImgCopy copy = { .src = n,
                     .dst = base,
                     .base = layer,
                     .length = block_size(n),
                     .only_allocated = true,
                     .jobs = 1,
                     .progress = p,
                     .rate = rate };
    if (base)
        base->merging = true;
    bool ok = base && img_copy(&copy, errp);
    int e = ok ? block_flush(base) : 0;
    if (e)
        error_set_errno(errp, -e, "image '%s'", block_filename(base));
    block_unref(base);
    return ok && !e && (!empty || block_make_empty(n, errp));
}

int img_commit(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *base_name = NULL, *rate = NULL;
    gboolean keep = FALSE, show = FALSE, quiet = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "base", 'b', 0, G_OPTION_ARG_STRING, &base_name, "layer that takes the contents (the next one)", "FILE" },
        { "drop", 'd', 0, G_OPTION_ARG_NONE, &keep, "leave the overlay as it is instead of emptying it", NULL },
        { "rate", 'r', 0, G_OPTION_ARG_STRING, &rate, "bytes a second at most", "N" },
        { "cache", 't', 0, G_OPTION_ARG_STRING, &how.cache, "cache mode", "MODE" },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &show, "show progress", NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    uint64_t bytes_per_second = 0;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    if (!img_bytes(rate, "-r", &bytes_per_second, &err))
        return img_fail(err);
    BlockNode *n = img_open(argv[1], &how, BLOCK_RDWR, &err);
    if (!n)
        return img_fail(err);
    BlockNode *layer = base_name ? find_layer(n, base_name, &err) : block_backing(n);
    if (!layer && !err)
        error_setf(&err, "image '%s' has no backing file to commit to", argv[1]);
    ImgProgress p;
    img_progress_start(&p, show, block_size(n));
    bool ok = layer && img_commit_into(n, layer, !keep && !base_name, bytes_per_second, &p, &err);
    if (ok)
        img_progress_end(&p);
    block_unref(n);
    if (ok && !quiet)
        printf("Image committed.\n");
    return ok ? EXIT_SUCCESS : img_fail(err);
}

/* --- rebase --- */

/*
 * Where the old and the new backing file differ, and the overlay has nothing of its own, it gets a copy of the old
 * contents.
 */
static bool copy_differences(BlockNode *n, BlockNode *new_base, ImgProgress *p, Error **errp)
{
    uint64_t size = block_size(n), old_size = block_backing(n) ? block_size(block_backing(n)) : 0,
             new_size = new_base ? block_size(new_base) : 0;
    g_autofree uint8_t *old = g_malloc(MiB), *now = g_malloc(MiB);
    for (uint64_t at = 0; at < size;) {
        BlockStatus s;
        int r = block_status(n, at, MIN(size - at, MiB), &s);
        if (!r && !s.pnum)
            r = -EIO;
        uint64_t len = s.pnum;
        if (!r && !(s.flags & BLOCK_ALLOCATED)) {
            memset(old, 0, len);
            memset(now, 0, len);
            r = at < old_size ? block_pread(block_backing(n), at, old, MIN(len, old_size - at)) : 0;
            r = r || at >= new_size ? r : block_pread(new_base, at, now, MIN(len, new_size - at));
            for (uint64_t i = 0; !r && i < len; i += 4096) {
                uint64_t k = MIN(len - i, 4096u);
                if (memcmp(old + i, now + i, k))
                    r = buf_is_zero(old + i, k) ? block_pwrite_zeroes(n, at + i, k, 0)
                                                : block_pwrite(n, at + i, old + i, k);
            }
        }
        if (r) {
            error_set_errno(errp, -r, "rebase: at %" PRIu64, at);
            return false;
        }
        img_progress_add(p, len);
        at += len;
    }
    return true;
}

bool img_put_on(BlockNode *n, BlockNode *base, const char *name, const char *format, ImgProgress *p, Error **errp)
{
    return copy_differences(n, base, p, errp) && block_change_backing(n, name, format, errp);
}

int img_rebase(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *base_name = NULL, *base_format = NULL, *source_cache = NULL;
    gboolean unsafe = FALSE, show = FALSE, quiet = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "backing", 'b', 0, G_OPTION_ARG_STRING, &base_name, "the new backing file; \"\" for none", "FILE" },
        { "backing-format", 'F', 0, G_OPTION_ARG_STRING, &base_format, "its format", "FMT" },
        { "unsafe", 'u', 0, G_OPTION_ARG_NONE, &unsafe, "change the name only: the contents are known to be the same",
          NULL },
        { "cache", 't', 0, G_OPTION_ARG_STRING, &how.cache, "cache mode", "MODE" },
        { "source-cache", 'T', 0, G_OPTION_ARG_STRING, &source_cache, "cache mode of the new backing file", "MODE" },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &show, "show progress", NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "(accepted)", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing", NULL },
        { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    if (!base_name)
        return img_failf("rebase: which backing file? add -b FILE, or -b \"\" for none");
    if (*base_name && !base_format)
        return img_failf("rebase: the format of '%s' is not given, and guessing is not safe; add -F qcow2 or -F raw",
                         base_name);
    how.share = FALSE;
    BlockNode *n = img_open(argv[1], &how, BLOCK_RDWR | (unsafe ? BLOCK_NO_BACKING : 0), &err), *base = NULL;
    if (!n)
        return img_fail(err);
    bool ok = true;
    if (!unsafe && *base_name) {
        g_autofree char *full = block_full_backing_name(argv[1], base_name, &err);
        g_autoptr(Opts) o = opts_new();
        opts_set(o, "driver", base_format);
        unsigned flags = 0;
        base = full && block_cache_mode(source_cache, &flags, &err) ? block_open(full, o, flags, &err) : NULL;
        ok = base;
    }
    const char *name = *base_name ? base_name : NULL;
    ImgProgress p;
    img_progress_start(&p, show, block_size(n));
    ok = ok &&
         (unsafe ? block_change_backing(n, name, base_format, &err) : img_put_on(n, base, name, base_format, &p, &err));
    if (ok && !unsafe)
        img_progress_end(&p);
    block_unref(n);
    block_unref(base);
    return ok ? EXIT_SUCCESS : img_fail(err);
}
