/* SPDX-License-Identifier: MIT */
/* rhea-img create, resize, amend, measure: new images and their sizes. */
#include <string.h>
#include "tools/img/img.h"

typedef const BlockCreateOption *OptionsOf(const char *format, Error **errp);

static bool asks_for_help(const Opts *o) { return opts_has(o, "help") || opts_has(o, "?"); }

/* Prints the format's options; true when "help" is among them. */
static bool options_help(Opts *o, const char *format, OptionsOf *of, int *status)
{
    Error *err = NULL;
    if (!asks_for_help(o))
        return false;
    const BlockCreateOption *list = of(format, &err);
    *status = list ? EXIT_SUCCESS : img_fail(err);
    if (list)
        printf("Supported options:\n");
    for (; list && list->name; list++)
        printf("  %s=<%s>%*s- %s%s%s%s\n", list->name, list->type,
               (int)(24 - MIN(strlen(list->name) + strlen(list->type), 23u)), "", list->help,
               list->dflt ? " (default: " : "", list->dflt ? list->dflt : "", list->dflt ? ")" : "");
    return true;
}

/* The size of a new overlay is that of its backing file, which must open. */
static bool backing_size(const char *image, const char *backing, const char *format, uint64_t *size, Error **errp)
{
    g_autofree char *full = block_full_backing_name(image, backing, errp);
    g_autoptr(Opts) o = opts_new();
    if (!full)
        return false;
    opts_set(o, "driver", format);
    BlockNode *n = block_open(full, o, BLOCK_NO_IO, errp);
    if (!n) {
        error_prependf(errp, "backing file");
        return false;
    }
    *size = block_size(n);
    block_unref(n);
    return true;
}

static bool parse_image_size(const char *text, uint64_t *size, Error **errp)
{
    if (parse_size(text, 1, size) && *size <= INT64_MAX)
        return true;
    error_setf(errp, "size '%s': not a size; give bytes, or a number with k, M, G, T, as in 20G", text);
    return false;
}

static bool create(const char *name, const char *format, const char *size_text, Opts *o, bool unsafe, bool quiet,
                   Error **errp)
{
    uint64_t size = 0;
    bool have = size_text;
    const char *backing = opts_get(o, "backing_file"), *backing_format = opts_get(o, "backing_fmt");
    if (size_text && !parse_image_size(size_text, &size, errp))
        return false;
    if (!have && opts_has(o, "size"))
        have = opts_get_size(o, "size", 0, &size, errp);
    if (backing && !backing_format) {
        error_setf(errp, "backing file '%s': its format is not given, and guessing is not safe; add -F qcow2 or -F raw",
                   backing);
        return false;
    }
    if (backing && !unsafe) {
        uint64_t below;
        if (!backing_size(name, backing, backing_format, &below, errp))
            return false;
        size = have ? size : below;
        have = true;
    }
    if (!have) {
        error_setf(errp, "image '%s': which size? add one, as in 20G", name);
        return false;
    }
    if (!block_create(name, format, size, o, errp))
        return false;
    if (!quiet) {
        printf("Formatting '%s', fmt=%s size=%" PRIu64, name, format, size);
        for (unsigned i = 0; i < opts_count(o); i++) {
            if (strcmp(opts_key(o, i), "size"))
                printf(" %s=%s", opts_key(o, i), opts_value(o, i));
        }
        printf("\n");
    }
    return true;
}

int img_create(int argc, char **argv)
{
    gchar *format = NULL, *backing = NULL, *backing_format = NULL, **lists = NULL;
    gboolean quiet = FALSE, unsafe = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &format, "format of the new image (raw)", "FMT" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &lists, "options of the format; -o help lists them",
          "A=B,..." },
        { "backing", 'b', 0, G_OPTION_ARG_STRING, &backing, "backing file", "FILE" },
        { "backing-format", 'F', 0, G_OPTION_ARG_STRING, &backing_format, "its format", "FMT" },
        { "unsafe", 'u', 0, G_OPTION_ARG_NONE, &unsafe, "do not look at the backing file", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing", NULL },
        { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 0, 2, &status))
        return status;
    g_autoptr(Opts) o = img_options(lists, &err);
    if (!o)
        return img_fail(err);
    if (options_help(o, format ? format : "raw", block_create_options, &status))
        return status;
    if (argc < 2)
        return img_failf("create: which file? usage: rhea-img create [-f FMT] FILE SIZE");
    if (backing)
        opts_set(o, "backing_file", backing);
    if (backing_format)
        opts_set(o, "backing_fmt", backing_format);
    return create(argv[1], format ? format : "raw", argc > 2 ? argv[2] : NULL, o, unsafe, quiet, &err) ? EXIT_SUCCESS
                                                                                                       : img_fail(err);
}

/* --- resize --- */

static bool new_size(const char *text, uint64_t old, uint64_t *size, Error **errp)
{
    bool plus = *text == '+', minus = *text == '-';
    uint64_t v;
    if (!parse_image_size(text + (plus || minus), &v, errp))
        return false;
    if (minus && v > old) {
        error_setf(errp, "size '%s': the disk has only %" PRIu64 " bytes", text, old);
        return false;
    }
    *size = plus ? old + v : minus ? old - v : v;
    return true;
}

int img_resize(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *prealloc_text = NULL;
    gboolean shrink = FALSE, quiet = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "preallocation", 0, 0, G_OPTION_ARG_STRING, &prealloc_text, "off, metadata, falloc or full", "MODE" },
        { "shrink", 0, 0, G_OPTION_ARG_NONE, &shrink, "what lies behind the new end may be lost", NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    BlockPrealloc prealloc = PREALLOC_OFF;
    /* "-1G" is a size, not an option */
    char *minus = NULL;
    if (argc > 2 && argv[argc - 1][0] == '-' && g_ascii_isdigit(argv[argc - 1][1])) {
        minus = argv[argc - 1];
        argv[argc - 1] = (char *)"0";
    }
    if (!img_parse(&argc, &argv, entries, 2, 2, &status))
        return status;
    if (prealloc_text && !block_parse_prealloc(prealloc_text, &prealloc, &err))
        return img_fail(err);
    BlockNode *n = img_open(argv[1], &how, BLOCK_RDWR, &err);
    uint64_t size;
    if (!n)
        return img_fail(err);
    bool ok = new_size(minus ? minus : argv[2], block_size(n), &size, &err) &&
              block_truncate(n, size, prealloc, shrink, &err);
    block_unref(n);
    if (ok && !quiet)
        printf("Image resized.\n");
    return ok ? EXIT_SUCCESS : img_fail(err);
}

/* --- amend --- */

int img_amend(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar **lists = NULL;
    gboolean progress = FALSE, quiet = FALSE, force = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &lists, "what to change", "A=B,..." },
        { "cache", 't', 0, G_OPTION_ARG_STRING, &how.cache, "cache mode", "MODE" },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &progress, "(changes are quick)", NULL },
        { "force", 0, 0, G_OPTION_ARG_NONE, &force, "also what is not safe", NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 0, 1, &status))
        return status;
    g_autoptr(Opts) o = img_options(lists, &err);
    if (!o)
        return img_fail(err);
    if (!opts_count(o))
        return img_failf("amend: which option? add -o NAME=VALUE, as in -o compat=1.1; -o help lists them");
    if (how.format && options_help(o, how.format, block_amend_options, &status))
        return status;
    if (argc < 2)
        return img_failf("amend: which file? usage: rhea-img amend [-f FMT] -o OPTIONS FILE");
    BlockNode *n = img_open(argv[1], &how, (asks_for_help(o) ? 0 : BLOCK_RDWR) | BLOCK_NO_BACKING, &err);
    if (!n)
        return img_fail(err);
    if (options_help(o, block_driver_name(n), block_amend_options, &status)) {
        block_unref(n);
        return status;
    }
    bool ok = block_amend(n, o, force, &err);
    block_unref(n);
    return ok ? EXIT_SUCCESS : img_fail(err);
}

/* --- measure --- */

/*
 * Of each bitmap data and a table, of all a directory (qcow2 specification, "Bitmaps extension"); what --bitmaps would
 * copy.
 */
static uint64_t bitmap_bytes(BlockNode *n, uint64_t cluster)
{
    uint64_t all = 0, directory = 0;
    BlockBitmap *bitmap;
    for (unsigned i = 0; (bitmap = block_bitmap_nth(n, i)); i++) {
        BlockBitmapInfo b;
        block_bitmap_info(bitmap, &b);
        if (b.inconsistent)
            continue;
        uint64_t bits = (block_size(n) + b.granularity - 1) / b.granularity,
                 clusters = (bits + cluster * 8 - 1) / (cluster * 8);
        all += clusters * cluster + align_up(clusters * 8, cluster);
        directory += align_up(24 + strlen(b.name), 8);
    }
    return all + align_up(directory, cluster);
}

int img_measure(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *format = NULL, *size_text = NULL, *output = NULL, *snapshot = NULL, **lists = NULL;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of FILE", "FMT" },
        { "target-format", 'O', 0, G_OPTION_ARG_STRING, &format, "format of the new image (raw)", "FMT" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &lists, "options of the new image", "A=B,..." },
        { "snapshot", 'l', 0, G_OPTION_ARG_STRING, &snapshot, "what an internal snapshot of FILE holds", "NAME" },
        { "size", 0, 0, G_OPTION_ARG_STRING, &size_text, "an empty disk of this size instead of FILE", "N" },
        { "output", 0, 0, G_OPTION_ARG_STRING, &output, "human or json", "KIND" },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "look even while another process writes", NULL },
        { NULL }
    };
    int status;
    bool json;
    uint64_t size = 0, required, fully;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 0, 1, &status))
        return status;
    g_autoptr(Opts) o = img_options(lists, &err);
    if (!o || !img_output(output, &json, &err) || (size_text && !parse_image_size(size_text, &size, &err)))
        return img_fail(err);
    if (!size_text == (argc < 2))
        return img_failf("measure: give either --size N or a file");
    BlockNode *n = argc > 1 ? img_open(argv[1], &how, 0, &err) : NULL;
    if (argc > 1 && !n)
        return img_fail(err);
    const char *compat = opts_get(o, "compat");
    bool bitmaps = n && block_has_bitmaps(n) && format && !strcmp(format, "qcow2") &&
                   !(compat && (!strcmp(compat, "0.10") || !strcmp(compat, "v2")));
    uint64_t cluster = 0, extra = 0;
    bool ok = (!snapshot || !n || img_load_snapshot(n, snapshot, &err)) &&
              block_measure(format ? format : "raw", o, n, size, &required, &fully, &err) &&
              (!bitmaps || opts_get_size(o, "cluster_size", 65536, &cluster, &err));
    if (ok && bitmaps)
        extra = bitmap_bytes(n, cluster);
    if (n)
        block_unref(n);
    if (!ok)
        return img_fail(err);
    if (json) {
        printf("{\n    \"required\": %" PRIu64 ",\n    \"fully-allocated\": %" PRIu64, required, fully);
        if (bitmaps)
            printf(",\n    \"bitmaps\": %" PRIu64, extra);
        printf("\n}\n");
    } else {
        printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n", required, fully);
        if (bitmaps)
            printf("bitmaps size: %" PRIu64 "\n", extra);
    }
    return EXIT_SUCCESS;
}
