/* SPDX-License-Identifier: MIT */
/* rhea-img: what the commands share: options, opening, progress, numbers as text. */
#include <stdarg.h>
#include <unistd.h>
#include <json-glib/json-glib.h>
#include "base/object.h"
#include "tools/img/img.h"

int img_fail(Error *err)
{
    fprintf(stderr, "rhea-img: %s\n", err ? err->message : "failed");
    error_free(err);
    return EXIT_FAILURE;
}

int img_failf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    fprintf(stderr, "rhea-img: %s\n", text);
    return EXIT_FAILURE;
}

static bool make_objects(gchar **texts, Error **errp)
{
    for (gchar **t = texts; t && *t; t++) {
        g_autoptr(Opts) o = **t == '{' ? opts_new() : opts_parse(*t, "qom-type", errp);
        if (!o || (**t == '{' && !opts_add_json(o, *t, errp)) || !object_add(o, errp))
            return false;
    }
    return true;
}

/* Does the option take a value? */
static bool takes_value(const GOptionEntry *entries, char letter)
{
    while (entries->long_name && entries->short_name != letter)
        entries++;
    return entries->long_name && entries->arg != G_OPTION_ARG_NONE;
}

/* The words of the command line and the values of its options: commands use them until the program ends. */
static GPtrArray *kept;

static char *keep(char *text)
{
    g_ptr_array_add(kept, text);
    return text;
}

static void keep_values(const GOptionEntry *e)
{
    for (; e->long_name; e++) {
        if (e->arg == G_OPTION_ARG_STRING || e->arg == G_OPTION_ARG_STRING_ARRAY)
            keep(*(void **)e->arg_data);
    }
}

/* "-m1" and "-pOqcow2" as "-m 1" and "-pO qcow2", which GOption knows. */
static char **split_glued(int *argc, char **argv, const GOptionEntry *entries)
{
    static GPtrArray *out;
    int i = 0;
    out = g_ptr_array_new();
    kept = g_ptr_array_new();
    while (i < *argc && strcmp(argv[i], "--")) {
        const char *a = argv[i++];
        size_t end = 1;
        while (a[0] == '-' && a[1] != '-' && a[end] && !takes_value(entries, a[end]))
            end++;
        bool value = a[0] == '-' && a[1] != '-' && a[end];
        g_ptr_array_add(out, keep(value ? g_strndup(a, end + 1) : g_strdup(a)));
        if (value && a[end + 1])
            g_ptr_array_add(out, keep(g_strdup(a + end + 1)));
        else if (value && i < *argc)
            g_ptr_array_add(out, keep(g_strdup(argv[i++])));
    }
    while (i < *argc)
        g_ptr_array_add(out, keep(g_strdup(argv[i++])));
    *argc = (int)out->len;
    g_ptr_array_add(out, NULL);
    return (char **)out->pdata;
}

bool img_parse(int *argc, char ***argv, const GOptionEntry *entries, int min_names, int max_names, int *status)
{
    const ImgCommandInfo *c = img_commands;
    while (strcmp(c->name, (*argv)[0]))
        c++;
    g_autofree char *usage = g_strdup_printf("- %s\n\n  rhea-img %s %s", c->what, c->name, c->usage);
    g_autofree char *program = g_strdup_printf("rhea-img %s", c->name);
    g_autoptr(GOptionContext) context = g_option_context_new(usage);
    gchar **objects = NULL;
    const GOptionEntry common[] = { { "object", 0, 0, G_OPTION_ARG_STRING_ARRAY, &objects,
                                      "make an object, as in secret,id=key,file=PATH", "TYPE,id=ID..." },
                                    { NULL } };
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, common, NULL);
    g_set_prgname(program);
    Error *err = NULL;
    *argv = split_glued(argc, *argv, entries);
    *status = EXIT_FAILURE;
    if (!g_option_context_parse(context, argc, argv, &err)) {
        img_failf("%s: %s; rhea-img %s --help tells the options", c->name, err->message, c->name);
        error_free(err);
        return false;
    }
    keep_values(entries);
    bool made = make_objects(objects, &err);
    g_strfreev(objects);
    if (!made) {
        img_fail(err);
        return false;
    }
    if (*argc > 1 && !strcmp((*argv)[1], "--")) {
        memmove(*argv + 1, *argv + 2, (size_t)(*argc - 1) * sizeof **argv);
        --*argc;
    }
    if (*argc - 1 < min_names || *argc - 1 > max_names) {
        img_failf("%s: %s; usage: rhea-img %s %s", c->name,
                  *argc - 1 < min_names ? "a file name is missing" : "too many file names", c->name, c->usage);
        return false;
    }
    return true;
}

BlockNode *img_open(const char *name, const ImgOpen *how, unsigned flags, Error **errp)
{
    g_autoptr(Opts) o = NULL;
    if (!block_cache_mode(how->cache, &flags, errp))
        return NULL;
    if (how->share)
        flags |= BLOCK_FORCE_SHARE;
    if (!how->image_opts) {
        o = opts_new();
        if (how->format)
            opts_set(o, "driver", how->format);
        if (how->aio)
            opts_set(o, "file.aio", how->aio);
        return block_open(name, o, flags, errp);
    }
    if (how->format) {
        error_setf(errp, "--image-opts: the format is named by driver= there, not by -f");
        return NULL;
    }
    o = opts_parse(name, NULL, errp);
    return o ? block_open(NULL, o, flags, errp) : NULL;
}

Opts *img_options(gchar **lists, Error **errp)
{
    Opts *all = opts_new();
    for (gchar **l = lists; l && *l; l++) {
        g_autoptr(Opts) o = opts_parse(*l, NULL, errp);
        if (!o) {
            opts_free(all);
            return NULL;
        }
        for (unsigned i = 0; i < opts_count(o); i++)
            opts_set(all, opts_key(o, i), opts_value(o, i));
    }
    return all;
}

bool img_load_snapshot(BlockNode *n, const char *text, Error **errp)
{
    if (!g_str_has_prefix(text, "snapshot."))
        return block_snapshot_load(n, text, errp);
    g_autoptr(Opts) o = opts_parse(text, NULL, errp);
    const char *id = o ? opts_get(o, "snapshot.id") : NULL, *name = o ? opts_get(o, "snapshot.name") : NULL;
    if (o && !id && !name)
        error_setf(errp, "-l '%s': give snapshot.id=ID or snapshot.name=NAME", text);
    return (id || name) && block_snapshot_load(n, id ? id : name, errp);
}

bool img_bytes(const char *text, const char *option, uint64_t *out, Error **errp)
{
    bool ok = !text || (parse_size(text, 1, out) && *out <= INT64_MAX);
    if (!ok)
        error_setf(errp, "%s '%s' is not a number of bytes, as in 512 or 1M", option, text);
    return ok;
}

bool img_output(const gchar *output, bool *json, Error **errp)
{
    static const char *const kinds[] = { "human", "json", NULL };
    unsigned i = 0;
    bool ok = !output || parse_enum("--output", output, kinds, &i, errp);
    *json = i;
    return ok;
}

void img_json_string(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_printf(out, "\\%c", *p);
        else if (*p < 0x20)
            g_string_append_printf(out, "\\u%04x", *p);
        else
            g_string_append_c(out, (gchar)*p);
    }
    g_string_append_c(out, '"');
}

/* "key" : value becomes "key": value, which is how QEMU writes it and what scripts look for. */
static void print_keys_close(const char *text)
{
    bool in_string = false;
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            in_string = !in_string;
        else if (in_string && *p == '\\' && p[1])
            putchar(*p++);
        else if (!in_string && *p == ' ' && p[1] == ':')
            continue;
        putchar(*p);
    }
    putchar('\n');
}

void img_print_json(const char *text, const char *more)
{
    g_autofree char *all = g_strconcat(text, more, NULL);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(JsonGenerator) out = json_generator_new();
    if (!json_parser_load_from_data(parser, all, -1, NULL)) { /* names in it that are no UTF-8 */
        printf("%s\n", all);
        return;
    }
    json_generator_set_root(out, json_parser_get_root(parser));
    json_generator_set_pretty(out, TRUE);
    json_generator_set_indent(out, 4);
    g_autofree char *pretty = json_generator_to_data(out, NULL);
    print_keys_close(pretty);
}

/* --- progress --- */

void img_progress_start(ImgProgress *p, bool on, uint64_t total)
{
    *p = (ImgProgress){ .on = on, .total = total, .last = -1 };
    img_progress_add(p, 0);
}

void img_progress_add(ImgProgress *p, uint64_t bytes)
{
    if (!p)
        return;
    p->done += bytes;
    int now = p->total ? (int)(p->done * 10000 / p->total) : 10000;
    if (!p->on || (now == p->last) || (now / 100 == p->last / 100 && !isatty(STDOUT_FILENO)))
        return;
    p->last = now;
    int bar = now / 250;
    printf("    (%d.%02d/100%%) [%.*s%.*s]\r", now / 100, now % 100, bar, "########################################",
           40 - bar, "                                        ");
    fflush(stdout);
}

void img_progress_end(ImgProgress *p)
{
    if (p->on) {
        p->done = p->total;
        p->last = -1;
        img_progress_add(p, 0);
        printf("\n");
    }
}
