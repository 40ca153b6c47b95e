/* SPDX-License-Identifier: MIT */
/* rhea-img info, map, tree: what an image is and where its contents stand. */
#include <time.h>
#include "tools/img/img.h"

/* --- info --- */

static void json_snapshots(GString *s, const GArray *snapshots)
{
    if (!snapshots->len)
        return;
    g_string_append(s, ", \"snapshots\": [");
    for (unsigned i = 0; i < snapshots->len; i++) {
        const BlockSnapshot *b = &g_array_index(snapshots, BlockSnapshot, i);
        g_string_append(s, i ? ", {\"id\": " : "{\"id\": ");
        img_json_string(s, b->id);
        g_string_append(s, ", \"name\": ");
        img_json_string(s, b->name);
        g_string_append_printf(s,
                               ", \"vm-state-size\": %" PRIu64
                               ", \"date-sec\": %u, \"date-nsec\": %u, \"vm-clock-sec\": %" PRIu64
                               ", \"vm-clock-nsec\": %" PRIu64 "}",
                               b->vm_state_size, b->date_sec, b->date_nsec, b->vm_clock_ns / 1000000000,
                               b->vm_clock_ns % 1000000000);
    }
    g_string_append(s, "]");
}

static void print_json(GString *s, BlockNode *n, const BlockInfo *i, const GArray *snapshots)
{
    g_string_append_printf(s, "{\"virtual-size\": %" PRIu64 ", \"filename\": ", i->virtual_size);
    img_json_string(s, block_filename(n));
    if (i->cluster_size)
        g_string_append_printf(s, ", \"cluster-size\": %" PRIu64, i->cluster_size);
    g_string_append_printf(s, ", \"format\": \"%s\"", block_driver_name(n));
    if (i->has_actual)
        g_string_append_printf(s, ", \"actual-size\": %" PRIu64, i->actual_size);
    g_autofree char *details = block_details_json(i);
    if (details)
        g_string_append_printf(s, ", \"format-specific\": {\"type\": \"%s\", \"data\": %s}", block_driver_name(n),
                               details);
    if (i->encrypted)
        g_string_append(s, ", \"encrypted\": true");
    if (i->backing_full) {
        g_string_append(s, ", \"full-backing-filename\": ");
        img_json_string(s, i->backing_full);
    }
    if (i->backing_filename) {
        g_string_append(s, ", \"backing-filename\": ");
        img_json_string(s, i->backing_filename);
    }
    if (i->backing_format) {
        g_string_append(s, ", \"backing-filename-format\": ");
        img_json_string(s, i->backing_format);
    }
    json_snapshots(s, snapshots);
    g_string_append_printf(s, ", \"dirty-flag\": %s}", i->dirty ? "true" : "false");
}

static bool info_json(BlockNode *n, GString *json, Error **errp)
{
    BlockInfo i;
    GArray *snapshots = NULL;
    bool ok = block_info(n, &i, errp) && block_snapshot_list(n, &snapshots, errp);
    if (ok)
        print_json(json, n, &i, snapshots);
    block_info_clear(&i);
    if (snapshots)
        g_array_unref(snapshots);
    return ok;
}

static bool info_one(BlockNode *n, GString *json, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);
    bool ok = json ? info_json(n, json, errp) : block_describe(n, text, errp);
    fputs(text->str, stdout);
    return ok;
}

int img_info(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *output = NULL;
    gboolean chain = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image (else it is found out)", "FMT" },
        { "output", 0, 0, G_OPTION_ARG_STRING, &output, "human or json", "KIND" },
        { "backing-chain", 0, 0, G_OPTION_ARG_NONE, &chain, "tell of all images below as well", NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options (driver=...)", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "look even while another process writes", NULL },
        { NULL }
    };
    int status;
    bool json;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    if (!img_output(output, &json, &err))
        return img_fail(err);
    BlockNode *n = img_open(argv[1], &how, chain ? 0 : BLOCK_NO_BACKING | BLOCK_NO_IO, &err);
    if (!n)
        return img_fail(err);
    g_autoptr(GString) text = g_string_new(chain ? "[" : "");
    bool ok = true;
    for (BlockNode *b = n; ok && b; b = chain ? block_backing(b) : NULL) {
        if (b != n)
            json ? (void)g_string_append(text, ", ") : (void)printf("\n");
        ok = info_one(b, json ? text : NULL, &err);
    }
    if (ok && json)
        img_print_json(text->str, chain ? "]" : "");
    block_unref(n);
    return ok ? EXIT_SUCCESS : img_fail(err);
}

/* --- map --- */

typedef struct Extent { uint64_t start, len, offset; unsigned flags, depth; BlockNode *file; } Extent;

static bool joins(const Extent *e, const BlockStatus *s)
{
    return e->len && e->flags == s->flags && e->depth == s->depth && e->file == s->file &&
           (!(s->flags & BLOCK_OFFSET_VALID) || s->map == e->offset + e->len);
}

static void print_extent(const Extent *e, bool json, bool first)
{
    bool data = e->flags & BLOCK_DATA, zero = e->flags & BLOCK_ZERO;
    if (!e->len)
        return;
    if (json) {
        printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64
               ", \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s",
               first ? "[" : ",\n", e->start, e->len, e->depth, e->flags & BLOCK_ALLOCATED ? "true" : "false",
               zero ? "true" : "false", data ? "true" : "false");
        if (e->flags & BLOCK_OFFSET_VALID)
            printf(", \"offset\": %" PRIu64, e->offset);
        printf("}");
    } else if (data && !zero && e->flags & BLOCK_OFFSET_VALID) {
        printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", e->start, e->len, e->offset,
               e->file ? block_filename(e->file) : "");
    }
}

int img_map(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gchar *output = NULL;
    gchar *from_text = NULL, *limit_text = NULL;
    uint64_t from = 0, limit = INT64_MAX;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "output", 0, 0, G_OPTION_ARG_STRING, &output, "human or json", "KIND" },
        { "start-offset", 's', 0, G_OPTION_ARG_STRING, &from_text, "first byte to look at", "N" },
        { "max-length", 'l', 0, G_OPTION_ARG_STRING, &limit_text, "bytes to look at", "N" },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options (driver=...)", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "look even while another process writes", NULL },
        { NULL }
    };
    int status;
    bool json, first = true;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    if (!img_output(output, &json, &err) || !img_bytes(from_text, "--start-offset", &from, &err) ||
        !img_bytes(limit_text, "--max-length", &limit, &err))
        return img_fail(err);
    BlockNode *n = img_open(argv[1], &how, 0, &err);
    if (!n)
        return img_fail(err);
    uint64_t size = block_size(n), end = limit < size && from < size - limit ? from + limit : size;
    Extent e = { 0 };
    if (!json)
        printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    for (uint64_t at = from; at < end;) {
        BlockStatus s;
        int r = block_status_above(n, NULL, at, end - at, &s);
        if (r || !s.pnum) {
            block_unref(n);
            error_set_errno(&err, -r, "image '%s': its map can't be read at %" PRIu64, argv[1], at);
            return img_fail(err);
        }
        s.flags &= ~(unsigned)(BLOCK_EOF | BLOCK_COMPRESSED);
        if (s.flags & BLOCK_ZERO)
            s.flags &= ~(unsigned)BLOCK_DATA;
        if (!joins(&e, &s)) {
            print_extent(&e, json, first);
            first = first && !e.len;
            e = (Extent){ .start = at, .offset = s.map, .flags = s.flags, .depth = s.depth, .file = s.file };
        }
        e.len += s.pnum;
        at += s.pnum;
    }
    print_extent(&e, json, first);
    if (json)
        printf("%s]\n", e.len ? "" : "[");
    block_unref(n);
    return EXIT_SUCCESS;
}

/* --- tree --- */

static void draw_snapshots(BlockNode *n, unsigned indent, bool last)
{
    GArray *snapshots = NULL;
    if (!block_snapshot_list(n, &snapshots, NULL))
        return;
    for (unsigned k = 0; k < snapshots->len; k++) {
        const BlockSnapshot *b = &g_array_index(snapshots, BlockSnapshot, k);
        g_autofree char *vm = block_size_text(b->vm_state_size);
        time_t t = b->date_sec;
        struct tm tm;
        char date[32];
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
        printf("%*s%s %s  snapshot %s, %s%s%s\n", (int)indent, "", last && k + 1 == snapshots->len ? "╰" : "├", b->name,
               b->id, date, b->vm_state_size ? ", machine state " : "", b->vm_state_size ? vm : "");
    }
    g_array_unref(snapshots);
}

/* One image, each on its own: the one below may be missing, or not be readable. */
static bool draw(const char *name, const ImgOpen *how, unsigned depth, char **below, char **format, Error **errp)
{
    BlockInfo i;
    g_autofree char *branch = depth ? g_strdup_printf("%*s└─ ", (int)(depth - 1) * 3, "") : g_strdup("");
    Error *err = NULL;
    BlockNode *n = img_open(name, how, BLOCK_NO_BACKING | BLOCK_NO_IO, &err);
    if (!n) {
        if (depth)
            printf("%s%s  (can't be opened)\n", branch, name);
        error_propagate(errp, err);
        return false;
    }
    block_info(n, &i, NULL);
    g_autofree char *virtual = block_size_text(i.virtual_size), *actual = block_size_text(i.actual_size);
    printf("%s%s  (%s, %s, %s on disk%s%s)\n", branch, block_filename(n), block_driver_name(n), virtual,
           i.has_actual ? actual : "?", i.encrypted ? ", encrypted" : "",
           i.corrupt ? ", corrupt"
           : i.dirty ? ", not closed"
                     : "");
    draw_snapshots(n, depth * 3, !i.backing_full);
    *below = g_strdup(i.backing_full);
    *format = g_strdup(i.backing_format);
    block_info_clear(&i);
    block_unref(n);
    return true;
}

int img_tree(int argc, char **argv)
{
    ImgOpen how = { 0 };
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "look even while another process writes", NULL },
        { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    g_autofree char *name = g_strdup(argv[1]), *format = NULL;
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned depth = 0; name; depth++) {
        if (!g_hash_table_add(seen, g_strdup(name)))
            return img_failf("image '%s': it is below itself; rhea-img rebase -u -b FILE breaks the loop", name);
        char *below = NULL, *below_format = NULL;
        if (!draw(name, &how, depth, &below, &below_format, &err))
            return img_fail(err);
        g_free(name);
        g_free(format);
        name = below;
        how.format = format = below_format;
    }
    return EXIT_SUCCESS;
}
