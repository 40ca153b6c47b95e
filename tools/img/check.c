/* SPDX-License-Identifier: MIT */
/* rhea-img check, compare, snapshot. */
#include <time.h>
#include "block/driver.h"
#include "tools/img/img.h"

/* --- check --- */

enum { STATUS_OK = 0, STATUS_ERROR = 1, STATUS_CORRUPT = 2, STATUS_LEAKS = 3, STATUS_UNSUPPORTED = 63 };

static void say(void *opaque, const char *line)
{
    if (!*(gboolean *)opaque)
        printf("%s\n", line);
}

static void print_check_json(const BlockCheck *c, const char *file, const char *format)
{
    g_autoptr(GString) s = g_string_new("{\n    \"image-end-offset\": ");
    g_string_append_printf(s, "%" PRIu64 ",\n    \"total-clusters\": %" PRIu64 ",\n    \"check-errors\": %" PRIu64,
                           c->image_end, c->total_clusters, c->check_errors);
    const struct { const char *key; uint64_t value;
    } rows[] = {
        { "corruptions", c->corruptions },
        { "leaks", c->leaks },
        { "corruptions-fixed", c->corruptions_fixed },
        { "leaks-fixed", c->leaks_fixed },
        { "allocated-clusters", c->allocated_clusters },
        { "fragmented-clusters", c->fragmented_clusters },
        { "compressed-clusters", c->compressed_clusters },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].value)
            g_string_append_printf(s, ",\n    \"%s\": %" PRIu64, rows[i].key, rows[i].value);
    }
    g_string_append(s, ",\n    \"filename\": ");
    img_json_string(s, file);
    printf("%s,\n    \"format\": \"%s\"\n}\n", s->str, format);
}

static void print_check(const BlockCheck *c)
{
    if (c->corruptions_fixed || c->leaks_fixed)
        printf("The following inconsistencies were found and repaired:\n\n    %" PRIu64 " leaked clusters\n    %" PRIu64
               " corruptions\n\n",
               c->leaks_fixed, c->corruptions_fixed);
    if (!c->corruptions && !c->leaks && !c->check_errors)
        printf("No errors were found on the image.\n");
    if (c->corruptions)
        printf(
            "\n%" PRIu64
            " errors were found on the image.\nData may be corrupted, or further writes to the image may corrupt it.\n",
            c->corruptions);
    if (c->leaks)
        printf("\n%" PRIu64
               " leaked clusters were found on the image.\nThis means waste of disk space, but no harm to data.\n",
               c->leaks);
    if (c->check_errors)
        printf("\n%" PRIu64 " internal errors have occurred during the check.\n", c->check_errors);
    if (c->total_clusters)
        printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n",
               c->allocated_clusters, c->total_clusters,
               (double)c->allocated_clusters * 100 / (double)c->total_clusters,
               c->allocated_clusters ? (double)c->fragmented_clusters * 100 / (double)c->allocated_clusters : 0,
               c->allocated_clusters ? (double)c->compressed_clusters * 100 / (double)c->allocated_clusters : 0);
    if (c->image_end)
        printf("Image end offset: %" PRIu64 "\n", c->image_end);
}

int img_check(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *repair = NULL, *output = NULL;
    gboolean quiet = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "repair", 'r', 0, G_OPTION_ARG_STRING, &repair, "leaks or all: what to repair", "WHAT" },
        { "cache", 'T', 0, G_OPTION_ARG_STRING, &how.cache, "cache mode", "MODE" },
        { "output", 0, 0, G_OPTION_ARG_STRING, &output, "human or json", "KIND" },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "look even while another process writes", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing but errors", NULL }, { NULL }
    };
    int status;
    bool json;
    Error *err = NULL;
    static const char *const repairs[] = { "leaks", "all", NULL };
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    if (!img_output(output, &json, &err))
        return img_fail(err);
    unsigned fix = !repair ? 0 : !strcmp(repair, "leaks") ? BLOCK_FIX_LEAKS : BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS;
    if (repair && !g_strv_contains(repairs, repair)) {
        error_set_unknown(&err, "-r", repair, repairs);
        return img_fail(err);
    }
    BlockNode *n = img_open(argv[1], &how, BLOCK_CHECK | BLOCK_NO_BACKING | (fix ? BLOCK_RDWR : 0), &err);
    if (!n)
        return img_fail(err);
    if (!n->drv->check) {
        block_unref(n);
        img_failf("image '%s': this format has no consistency check", argv[1]);
        return STATUS_UNSUPPORTED;
    }
    gboolean silent = quiet || json;
    BlockCheck c = { .say = say, .opaque = &silent };
    bool ok = block_check(n, &c, fix, &err);
    if (ok && json)
        print_check_json(&c, argv[1], block_driver_name(n));
    else if (ok && !quiet)
        print_check(&c);
    block_unref(n);
    if (!ok)
        return img_fail(err);
    return c.check_errors ? STATUS_ERROR : c.corruptions ? STATUS_CORRUPT : c.leaks ? STATUS_LEAKS : STATUS_OK;
}

/* --- compare --- */

enum { PIECE = 2 << 20 };

/* 0: equal, 1: differ (first place in *where), else -errno. Beyond the end an image is zero. */
static int compare_piece(BlockNode *const n[2], uint64_t at, uint64_t len, uint8_t *const buf[2], bool strict,
                         uint64_t *where)
{
    bool zero[2], allocated[2];
    uint64_t run = len;
    for (int i = 0; i < 2; i++) {
        BlockStatus s = { .flags = BLOCK_ZERO, .pnum = len };
        int r = at < block_size(n[i]) ? block_status_above(n[i], NULL, at, MIN(len, block_size(n[i]) - at), &s) : 0;
        if (r)
            return r;
        run = MIN(run, s.pnum);
        zero[i] = s.flags & BLOCK_ZERO;
        allocated[i] = s.flags & BLOCK_ALLOCATED && !(s.flags & BLOCK_ZERO);
    }
    *where = at;
    if (strict && allocated[0] != allocated[1])
        return 1;
    for (int i = 0; i < 2; i++) {
        memset(buf[i], 0, run);
        int r = zero[i] ? 0 : block_pread(n[i], at, buf[i], MIN(run, block_size(n[i]) - at));
        if (r)
            return r;
    }
    if (!(zero[0] && zero[1]) && memcmp(buf[0], buf[1], run)) {
        uint64_t i = 0;
        while (buf[0][i] == buf[1][i])
            i++;
        *where = at + i;
        return 1;
    }
    *where = run;
    return 0;
}

int img_compare(int argc, char **argv)
{
    ImgOpen first = { 0 }, second = { 0 };
    gboolean strict = FALSE, quiet = FALSE, show = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &first.format, "format of the first image", "FMT" },
        { "second-format", 'F', 0, G_OPTION_ARG_STRING, &second.format, "format of the second image", "FMT" },
        { "cache", 'T', 0, G_OPTION_ARG_STRING, &first.cache, "cache mode", "MODE" },
        { "strict", 's', 0, G_OPTION_ARG_NONE, &strict, "sizes and allocation must be the same, too", NULL },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &show, "show progress", NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &first.image_opts, "the names are lists of options", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &first.share, "look even while another process writes", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "only the exit status tells", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 2, 2, &status))
        return status == EXIT_SUCCESS ? 0 : 2;
    second.cache = first.cache, second.image_opts = first.image_opts, second.share = first.share;
    BlockNode *n[2] = { img_open(argv[1], &first, 0, &err), NULL };
    n[1] = n[0] ? img_open(argv[2], &second, 0, &err) : NULL;
    if (!n[1]) {
        img_fail(err);
        if (n[0])
            block_unref(n[0]);
        return 2;
    }
    uint64_t a = block_size(n[0]), b = block_size(n[1]), size = MAX(a, b), where = 0;
    int r = strict && a != b;
    if (r && !quiet)
        printf("Strict mode: Image size mismatch!\n");
    else if (a != b && !quiet)
        printf("Warning: Image size mismatch!\n");
    bool told = r;
    g_autofree uint8_t *one = g_malloc(PIECE), *two = g_malloc(PIECE);
    uint8_t *const buf[2] = { one, two };
    ImgProgress p;
    img_progress_start(&p, show, size);
    for (uint64_t at = 0; at < size && !r; at += where) {
        r = compare_piece(n, at, MIN(size - at, (uint64_t)PIECE), buf, strict, &where);
        img_progress_add(&p, r ? 0 : where);
    }
    img_progress_end(&p);
    block_unref(n[0]);
    block_unref(n[1]);
    if (r < 0)
        return img_failf("compare: reading at %" PRIu64 ": %s", where, g_strerror(-r)) + 2;
    if (!quiet && !told)
        r ? printf("Content mismatch at offset %" PRIu64 "!\n", where) : printf("Images are identical.\n");
    return r;
}

/* --- snapshot --- */

int img_snapshot(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *apply = NULL, *create = NULL, *delete = NULL;
    gboolean list = FALSE, quiet = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "list", 'l', 0, G_OPTION_ARG_NONE, &list, "list them", NULL },
        { "create", 'c', 0, G_OPTION_ARG_STRING, &create, "make one", "NAME" },
        { "apply", 'a', 0, G_OPTION_ARG_STRING, &apply, "go back to one", "NAME" },
        { "delete", 'd', 0, G_OPTION_ARG_STRING, &delete, "delete one", "NAME" },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "look even while another process writes", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    if (!!apply + !!create + !!delete + !!list > 1)
        return img_failf("snapshot: only one of -l, -c, -a, -d at a time");
    bool change = apply || create || delete;
    BlockNode *n = img_open(argv[1], &how, change ? BLOCK_RDWR | BLOCK_UNMAP | BLOCK_NO_BACKING : BLOCK_NO_BACKING,
                            &err);
    if (!n)
        return img_fail(err);
    bool ok;
    if (create) {
        gint64 now = g_get_real_time();
        BlockSnapshot s = { .date_sec = (uint32_t)(now / 1000000),
                            .date_nsec = (uint32_t)(now % 1000000) * 1000,
                            .icount = UINT64_MAX };
        g_strlcpy(s.name, create, sizeof s.name);
        ok = block_snapshot_create(n, &s, &err);
    } else if (apply) {
        ok = block_snapshot_apply(n, apply, &err);
    } else if (delete) {
        ok = block_snapshot_delete(n, delete, &err);
    } else {
        GArray *snapshots;
        ok = block_snapshot_list(n, &snapshots, &err);
        g_autoptr(GString) text = g_string_new(NULL);
        if (ok && snapshots->len)
            block_describe_snapshots(snapshots, text);
        fputs(text->str, stdout);
        g_array_unref(snapshots);
    }
    block_unref(n);
    return ok ? EXIT_SUCCESS : img_fail(err);
}
