/* SPDX-License-Identifier: MIT */
/* The formats and protocols that there are, and probing. */
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/node.h"

enum { MAX_DRIVERS = 64 };
static const BlockDriver *drivers[MAX_DRIVERS];
static unsigned driver_count;

void block_driver_register(const BlockDriver *d)
{
    g_assert(driver_count < MAX_DRIVERS);
    drivers[driver_count++] = d;
}

const BlockDriver *block_driver_find(const char *name)
{
    for (unsigned i = 0; i < driver_count; i++) {
        if (!strcmp(drivers[i]->name, name))
            return drivers[i];
    }
    return NULL;
}

const BlockDriver *block_driver_for_scheme(const char *scheme)
{
    for (unsigned i = 0; i < driver_count; i++) {
        if (drivers[i]->schemes && g_strv_contains(drivers[i]->schemes, scheme))
            return drivers[i];
    }
    return NULL;
}

const BlockDriver *block_driver_probe(const uint8_t *head, size_t len, const char *filename)
{
    const BlockDriver *best = block_driver_find("raw");
    unsigned score = 1;
    for (unsigned i = 0; i < driver_count; i++) {
        unsigned s = drivers[i]->probe ? drivers[i]->probe(head, len, filename) : 0;
        if (s > score) {
            score = s;
            best = drivers[i];
        }
    }
    return best;
}

GPtrArray *block_driver_keys(const BlockDriver *d)
{
    static const char *const common[] = { "driver",       "node-name",      "filename",        "file",
                                          "backing",      "read-only",      "auto-read-only",  "force-share",
                                          "cache.direct", "cache.no-flush", "cache.writeback", "discard",
                                          "detect-zeroes" };
    GPtrArray *keys = g_ptr_array_new();
    for (unsigned i = 0; i < ARRAY_LEN(common); i++)
        g_ptr_array_add(keys, (void *)common[i]);
    for (const char *const *k = d->options; k && *k; k++)
        g_ptr_array_add(keys, (void *)*k);
    g_ptr_array_add(keys, NULL);
    return keys;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *const *names(bool (*wanted)(const BlockDriver *d))
{
    GPtrArray *list = g_ptr_array_new();
    for (unsigned i = 0; i < driver_count; i++) {
        if (wanted(drivers[i]))
            g_ptr_array_add(list, (void *)drivers[i]->name);
    }
    g_ptr_array_sort(list, by_name);
    g_ptr_array_add(list, NULL);
    return (const char *const *)g_ptr_array_free(list, FALSE);
}

static bool is_any(const BlockDriver *d) { return true; }

const char *const *block_formats(void)
{
    static const char *const *list;
    if (g_once_init_enter(&list))
        g_once_init_leave(&list, names(is_any));
    return list;
}

static const BlockDriver *for_creation(const char *format, Error **errp)
{
    const BlockDriver *d = block_driver_find(format);
    if (!d) {
        error_set_unknown(errp, "image format", format, block_formats());
        return NULL;
    }
    if (!d->create) {
        error_setf(errp, "image format '%s': images of this format can be read, not created; use -O qcow2", format);
        return NULL;
    }
    return d;
}

const BlockCreateOption *block_create_options(const char *format, Error **errp)
{
    static const BlockCreateOption none[] = { { NULL } };
    const BlockDriver *d = for_creation(format, errp);
    return !d ? NULL : d->create_options ? d->create_options : none;
}

const BlockCreateOption *block_amend_options(const char *format, Error **errp)
{
    const BlockDriver *d = block_driver_find(format);
    if (!d)
        error_set_unknown(errp, "image format", format, block_formats());
    else if (!d->amend_options)
        error_setf(errp, "image format '%s': nothing of an image can be changed; convert it instead", format);
    return d ? d->amend_options : NULL;
}

bool block_check_keys(const BlockDriver *d, const BlockCreateOption *list, const Opts *options, Error **errp)
{
    g_autoptr(GPtrArray) valid = g_ptr_array_new();
    for (const BlockCreateOption *o = list; o && o->name; o++)
        g_ptr_array_add(valid, (void *)o->name);
    g_ptr_array_add(valid, NULL);
    for (unsigned i = 0; i < opts_count(options); i++) {
        if (!g_strv_contains((const char *const *)valid->pdata, opts_key(options, i))) {
            g_autofree char *object = g_strdup_printf("format '%s': option", d->name);
            error_set_unknown(errp, object, opts_key(options, i), (const char *const *)valid->pdata);
            return false;
        }
    }
    return true;
}

bool block_create(const char *filename, const char *format, uint64_t size, Opts *options, Error **errp)
{
    const BlockDriver *d = for_creation(format, errp);
    g_autoptr(Opts) none = opts_new();
    options = options ? options : none;
    if (!d || !block_check_keys(d, d->create_options, options, errp))
        return false;
    if (size > INT64_MAX / 2) {
        error_setf(errp, "image '%s': a size of %" G_GUINT64_FORMAT " bytes is too large", filename, (guint64)size);
        return false;
    }
    bool is_new = access(filename, F_OK);
    bool ok = d->create(filename, size, options, errp);
    if (!ok && is_new)
        unlink(filename); /* half an image is none; what was there before is its owner's */
    return ok;
}

bool block_measure(const char *format, Opts *options, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully,
                   Error **errp)
{
    const BlockDriver *d = for_creation(format, errp);
    g_autoptr(Opts) none = opts_new();
    options = options ? options : none;
    if (!d || !block_check_keys(d, d->create_options, options, errp))
        return false;
    if (!d->measure) {
        error_setf(errp, "image format '%s': its size can't be measured in advance; qcow2 and raw can", format);
        return false;
    }
    return d->measure(options, n, n ? block_size(n) : size, required, fully, errp);
}

bool block_parse_prealloc(const char *text, BlockPrealloc *out, Error **errp)
{
    static const char *const words[] = { "off", "metadata", "falloc", "full", NULL };
    unsigned i;
    bool ok = parse_enum("preallocation", text, words, &i, errp);
    if (ok)
        *out = (BlockPrealloc)i;
    return ok;
}

void block_print_formats(GString *out)
{
    static const char *const titles[] = { "Image formats", "Protocols", "Filters" };
    for (unsigned group = 0; group < ARRAY_LEN(titles); group++) {
        g_string_append_printf(out, "%s%s:\n", group ? "\n" : "", titles[group]);
        for (const char *const *name = block_formats(); *name; name++) {
            const BlockDriver *d = block_driver_find(*name);
            if ((d->filter ? 2 : d->protocol) == group)
                g_string_append_printf(out, "  %-17s %s\n", d->name, d->desc);
        }
    }
}

bool block_print_options(const char *format, GString *out, Error **errp)
{
    const BlockDriver *d = block_driver_find(format);
    if (!d) {
        error_set_unknown(errp, "block driver", format, block_formats());
        return false;
    }
    g_string_append_printf(out, "Options of block driver %s, %s:\n", d->name, d->desc);
    g_autoptr(GPtrArray) keys = block_driver_keys(d);
    for (unsigned i = 0; keys->pdata[i]; i++)
        g_string_append_printf(out, "  %s\n", (const char *)keys->pdata[i]);
    return true;
}
