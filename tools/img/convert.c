/* SPDX-License-Identifier: MIT */
/* rhea-img convert, dd. */
#include <unistd.h>
#include "tools/img/img.h"

/* --- convert --- */

typedef struct Convert {
    ImgOpen in;
    gchar *format, *cache, *backing, *backing_format, *snapshot, *sparse, **lists;
    gboolean compressed, progress, quiet, no_create, out_of_order, target_is_zero, target_opts, bitmaps, skip_broken,
        salvage, offload;
    uint64_t rate_bytes;
    gchar *rate;
    gint jobs;
} Convert;

static bool fits(BlockNode *n, const char *name, uint64_t size, Error **errp)
{
    if (block_size(n) >= size)
        return true;
    error_setf(errp, "image '%s' is smaller than the source; resize it first", name);
    block_unref(n);
    return false;
}

static BlockNode *make_target(const Convert *c, const char *name, uint64_t size, Opts *o, bool *is_zero, Error **errp)
{
    const char *format = c->format ? c->format : "raw";
    if (c->target_opts) {
        unsigned flags = BLOCK_RDWR | BLOCK_UNMAP;
        g_autoptr(Opts) how = opts_parse(name, NULL, errp);
        BlockNode *n = how && block_cache_mode(c->cache ? c->cache : "unsafe", &flags, errp)
                           ? block_open(NULL, how, flags, errp)
                           : NULL;
        *is_zero = c->target_is_zero;
        return n && fits(n, name, size, errp) ? n : NULL;
    }
    if (c->backing) {
        opts_set(o, "backing_file", c->backing);
        if (c->backing_format)
            opts_set(o, "backing_fmt", c->backing_format);
    }
    if (c->compressed && (opts_has(o, "encrypt.format") || opts_has(o, "encryption"))) {
        error_setf(errp, "convert: compressed clusters can't be encrypted; leave -c or encrypt.format out");
        return NULL;
    }
    if (c->backing && !c->backing_format) {
        error_setf(errp, "backing file '%s': its format is not given, and guessing is not safe; add -F qcow2 or -F raw",
                   c->backing);
        return NULL;
    }
    if (!c->no_create && !block_create(name, format, size, o, errp))
        return NULL;
    g_autoptr(Opts) open = opts_new();
    opts_set(open, "driver", format);
    const char *data = opts_get(o, "data_file");
    g_autofree char *full = data ? block_full_backing_name(name, data, errp) : NULL;
    if (full)
        opts_set(open, "data-file.filename", full);
    for (unsigned i = 0; i < opts_count(o); i++) {
        if (g_str_has_suffix(opts_key(o, i), "key-secret"))
            opts_set(open, opts_key(o, i), opts_value(o, i));
    }
    unsigned flags = BLOCK_RDWR | BLOCK_UNMAP | (c->backing ? 0 : BLOCK_NO_BACKING);
    if (!block_cache_mode(c->cache ? c->cache : "unsafe", &flags, errp))
        return NULL;
    BlockNode *n = block_open(name, open, flags, errp);
    *is_zero = n && (c->target_is_zero || (!c->no_create && block_new_is_zero(n))) && !c->backing &&
               g_file_test(name, G_FILE_TEST_IS_REGULAR);
    return n && fits(n, name, size, errp) ? n : NULL;
}

/* The target gets bitmaps of the same names with the same contents. */
static bool copy_bitmaps(BlockNode *src, BlockNode *dst, bool skip_broken, Error **errp)
{
    BlockBitmap *from;
    if (!block_has_bitmaps(src)) {
        error_setf(errp, "--bitmaps: the %s format has no bitmaps to copy; qcow2 has", block_driver_name(src));
        return false;
    }
    for (unsigned i = 0; (from = block_bitmap_nth(src, i)); i++) {
        BlockBitmapInfo b;
        block_bitmap_info(from, &b);
        if (b.inconsistent && skip_broken) {
            warn_reportf("bitmap '%s' is inconsistent and is left out", b.name);
            continue;
        }
        if (b.inconsistent) {
            error_setf(errp, "bitmap '%s' is inconsistent; remove it, or add --skip-broken-bitmaps", b.name);
            return false;
        }
        BlockBitmap *to = block_bitmap_add(dst, b.name, b.granularity,
                                           BITMAP_PERSISTENT | (b.enabled ? 0 : BITMAP_DISABLED), errp);
        if (!to || !block_bitmap_merge(to, from, errp))
            return false;
    }
    return true;
}

static bool convert_all(const Convert *c, char **names, int count, Error **errp)
{
    uint64_t total = 0, sparse = 4096;
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func((GDestroyNotify)block_unref);
    g_autoptr(Opts) o = img_options(c->lists, errp);
    if (!o || !img_bytes(c->sparse, "-S", &sparse, errp))
        return false;
    if (sparse % 512 || sparse > 16 << 20) {
        error_setf(errp, "-S '%s': a multiple of 512 up to 16M, please; 0: nothing is left out", c->sparse);
        return false;
    }
    for (int i = 0; i + 1 < count; i++) {
        BlockNode *n = img_open(names[i], &c->in, 0, errp);
        if (!n)
            return false;
        g_ptr_array_add(sources, n);
        if (c->snapshot && !img_load_snapshot(n, c->snapshot, errp))
            return false;
        total += block_size(n);
    }
    if (c->backing && sources->len > 1) {
        error_setf(errp, "convert: a target with a backing file takes one source");
        return false;
    }
    bool is_zero;
    BlockNode *target = make_target(c, names[count - 1], total, o, &is_zero, errp);
    if (!target)
        return false;
    ImgProgress p;
    img_progress_start(&p, c->progress, total);
    bool ok = true;
    uint64_t at = 0;
    for (unsigned i = 0; ok && i < sources->len; i++) {
        BlockNode *src = sources->pdata[i];
        ImgCopy copy = { .src = src,
                         .dst = target,
                         .to = at,
                         .length = block_size(src),
                         .target_is_zero = is_zero,
                         .compressed = c->compressed,
                         .base = c->backing ? block_backing(src) : NULL,
                         .only_allocated = c->backing,
                         .sparse = (unsigned)MIN(sparse, 1u << 20),
                         .jobs = c->compressed ? MAX((unsigned)c->jobs, (unsigned)sysconf(_SC_NPROCESSORS_ONLN))
                                               : (unsigned)c->jobs,
                         .progress = &p,
                         .salvage = c->salvage,
                         .rate = c->rate_bytes };
        ok = img_copy(&copy, errp);
        at += block_size(src);
    }
    ok = ok && (!c->bitmaps || copy_bitmaps(sources->pdata[0], target, c->skip_broken, errp));
    if (ok) {
        img_progress_end(&p);
        int r = block_flush(target);
        if (r)
            error_set_errno(errp, -r, "image '%s'", names[count - 1]);
        ok = !r;
    }
    block_unref(target);
    return ok;
}

int img_convert(int argc, char **argv)
{
    Convert c = { .jobs = 4 };
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &c.in.format, "format of the source", "FMT" },
        { "target-format", 'O', 0, G_OPTION_ARG_STRING, &c.format, "format of the target (raw)", "FMT" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &c.lists,
          "options of the target; create -f FMT -o help lists them", "A=B,..." },
        { "compress", 'c', 0, G_OPTION_ARG_NONE, &c.compressed, "compress every cluster", NULL },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &c.progress, "show progress", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &c.quiet, "say nothing", NULL },
        { "no-create", 'n', 0, G_OPTION_ARG_NONE, &c.no_create, "the target exists already", NULL },
        { "target-is-zero", 0, 0, G_OPTION_ARG_NONE, &c.target_is_zero, "with -n: and all of it is zero", NULL },
        { "backing", 'B', 0, G_OPTION_ARG_STRING, &c.backing,
          "backing file of the target: copy only what differs from it", "FILE" },
        { "backing-format", 'F', 0, G_OPTION_ARG_STRING, &c.backing_format, "its format", "FMT" },
        { "sparse", 'S', 0, G_OPTION_ARG_STRING, &c.sparse,
          "runs of zeroes of at least so many bytes are left out (4k)", "N" },
        { "coroutines", 'm', 0, G_OPTION_ARG_INT, &c.jobs, "requests at a time (4)", "N" },
        { "out-of-order", 'W', 0, G_OPTION_ARG_NONE, &c.out_of_order, "writes need not come in order (they never do)",
          NULL },
        { "cache", 't', 0, G_OPTION_ARG_STRING, &c.cache, "cache mode of the target (unsafe, flushed at the end)",
          "MODE" },
        { "snapshot", 'l', 0, G_OPTION_ARG_STRING, &c.snapshot, "copy what an internal snapshot holds", "NAME" },
        { "source-cache", 'T', 0, G_OPTION_ARG_STRING, &c.in.cache, "cache mode of the source", "MODE" },
        { "salvage", 0, 0, G_OPTION_ARG_NONE, &c.salvage, "what can't be read becomes zeroes", NULL },
        { "copy-range", 'C', 0, G_OPTION_ARG_NONE, &c.offload, "(accepted: the host's page cache is used as it is)",
          NULL },
        { "rate", 'r', 0, G_OPTION_ARG_STRING, &c.rate, "bytes a second at most", "N" },
        { "bitmaps", 0, 0, G_OPTION_ARG_NONE, &c.bitmaps, "copy the persistent dirty bitmaps as well", NULL },
        { "skip-broken-bitmaps", 0, 0, G_OPTION_ARG_NONE, &c.skip_broken, "with --bitmaps: leave inconsistent ones out",
          NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &c.in.image_opts, "sources are lists of options", NULL },
        { "target-image-opts", 0, 0, G_OPTION_ARG_NONE, &c.target_opts, "with -n: the target is a list of options",
          NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &c.in.share, "read even while another process writes", NULL },
        { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 2, 64, &status))
        return status;
    if (c.jobs < 1 || c.jobs > 16)
        return img_failf("convert: -m takes 1 to 16");
    if (c.target_opts && !c.no_create)
        return img_failf("convert: --target-image-opts names an image that exists; add -n");
    if (c.rate && (!parse_size(c.rate, 1, &c.rate_bytes) || !c.rate_bytes))
        return img_failf("convert: -r '%s': not a size; give bytes a second, as in 10M", c.rate);
    if (c.offload && c.sparse)
        return img_failf("convert: -C copies as it is, -S looks for zeroes; give one of them");
    if (c.no_create && c.lists)
        return img_failf("convert: -o is for a new image; leave it out, or -n");
    if (c.backing_format && !c.backing)
        return img_failf("convert: -F is the format of the backing file; add -B FILE");
    if (c.skip_broken && !c.bitmaps)
        return img_failf("convert: --skip-broken-bitmaps is for --bitmaps");
    if (c.bitmaps && argc != 3)
        return img_failf("convert: --bitmaps takes one source");
    if (c.target_is_zero && !c.no_create)
        return img_failf("convert: --target-is-zero is for an image that exists; add -n");
    return convert_all(&c, argv + 1, argc - 1, &err) ? EXIT_SUCCESS : img_fail(err);
}

/* --- dd --- */

int img_dd(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *format = NULL;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the source", "FMT" },
        { "target-format", 'O', 0, G_OPTION_ARG_STRING, &format, "format of the target (raw)", "FMT" },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "if= is a list of options", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "read even while another process writes", NULL },
        { NULL }
    };
    int status;
    Error *err = NULL;
    const char *in = NULL, *out = NULL;
    uint64_t bs = 512, count = UINT64_MAX, skip = 0;
    if (!img_parse(&argc, &argv, entries, 2, 5, &status))
        return status;
    for (int i = 1; i < argc; i++) {
        bool ok = true;
        if (g_str_has_prefix(argv[i], "if="))
            in = argv[i] + 3;
        else if (g_str_has_prefix(argv[i], "of="))
            out = argv[i] + 3;
        else if (g_str_has_prefix(argv[i], "bs="))
            ok = parse_size(argv[i] + 3, 1, &bs) && bs && bs <= INT32_MAX;
        else if (g_str_has_prefix(argv[i], "count="))
            ok = parse_size(argv[i] + 6, 1, &count);
        else if (g_str_has_prefix(argv[i], "skip="))
            ok = parse_size(argv[i] + 5, 1, &skip);
        else
            ok = false;
        if (!ok)
            return img_failf("dd: '%s': valid are if=FILE of=FILE bs=SIZE count=N skip=N", argv[i]);
    }
    if (!in || !out)
        return img_failf("dd: if=FILE and of=FILE are needed");
    BlockNode *src = img_open(in, &how, 0, &err);
    if (!src)
        return img_fail(err);
    uint64_t size = block_size(src), from = skip > size / bs ? size : skip * bs;
    uint64_t len = count > (size - from) / bs ? size - from : count * bs;
    bool ok = block_create(out, format ? format : "raw", len, NULL, &err);
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", format ? format : "raw");
    BlockNode *dst = ok ? block_open(out, o, BLOCK_RDWR, &err) : NULL;
    g_autofree uint8_t *buf = g_malloc(MiB);
    ok = dst;
    for (uint64_t at = 0; ok && at < len; at += MIN(len - at, MiB)) {
        size_t n = (size_t)MIN(len - at, MiB);
        int r = block_pread(src, from + at, buf, n);
        r = r ? r : block_pwrite(dst, at, buf, n);
        if (r)
            error_set_errno(&err, -r, "dd: at %" PRIu64, at);
        ok = !r;
    }
    if (dst)
        block_unref(dst);
    block_unref(src);
    return ok ? EXIT_SUCCESS : img_fail(err);
}
