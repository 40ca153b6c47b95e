/* SPDX-License-Identifier: MIT */
/* Properties: defaults, parsing, printing and help from one table. */
#include "base/props.h"

#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "base/opts.h"

/* What a kind holds: its width in bytes (0: not an integer) and the name in help texts. */
static const struct { uint8_t width; const char *name;
} kinds[] = {
    [PROP_BOOL] = { 0, "bool" },          [PROP_U8] = { 1, "uint8" },       [PROP_U16] = { 2, "uint16" },
    [PROP_U32] = { 4, "uint32" },         [PROP_U64] = { 8, "uint64" },     [PROP_I32] = { 4, "int32" },
    [PROP_SIZE] = { 8, "size" },          [PROP_STRING] = { 0, "str" },     [PROP_ENUM] = { 4, "enum" },
    [PROP_CHARDEV] = { 0, "chardev id" }, [PROP_LINK] = { 0, "device id" },
};

static const PropResolver *resolvers[PROP_LINK + 1];

void props_set_resolver(PropKind kind, const PropResolver *r)
{
    resolvers[kind] = r;
}

static void store_int(const Property *p, void *object, uint64_t v)
{
    void *at = (char *)object + p->offset;
    switch (kinds[p->kind].width) {
    case 1: *(uint8_t *)at = (uint8_t)v; break;
    case 2: *(uint16_t *)at = (uint16_t)v; break;
    case 4: *(uint32_t *)at = (uint32_t)v; break;
    default: *(uint64_t *)at = v; break;
    }
}

static void store_string(const Property *p, void *object, const char *value)
{
    char **at = (char **)((char *)object + p->offset);
    char *copy = g_strdup(value);
    g_free(*at);
    *at = copy;
}

void props_set_defaults(const Property *table, void *object)
{
    for (const Property *p = table; p && p->kind != PROP_END; p++) {
        switch (p->kind) {
        case PROP_BOOL:
            *(bool *)((char *)object + p->offset) = p->dflt != 0;
            break;
        case PROP_STRING:
            store_string(p, object, p->dflt_str);
            break;
        case PROP_CHARDEV:
        case PROP_LINK:
            *(void **)((char *)object + p->offset) = NULL;
            break;
        default:
            store_int(p, object, (uint64_t)p->dflt);
        }
    }
}

static bool set_integer(const Property *p, void *object, const char *value, Error **errp)
{
    uint64_t min = p->min, max = p->max, v;
    if (!min && !max)
        max = bits_mask(8 * kinds[p->kind].width);
    bool ok = p->kind == PROP_SIZE ? parse_size(value, 1, &v) : parse_u64(value, &v);
    if (!ok) {
        error_setf(errp, "'%s' is not a %s", value,
                   p->kind == PROP_SIZE ? "size (a number with k, M, G or T)" : "number");
        return false;
    }
    if (v < min || v > max) {
        error_setf(errp, "%s is out of range; valid: %" PRIu64 " to %" PRIu64, value, min, max);
        return false;
    }
    store_int(p, object, v);
    return true;
}

static bool set_signed(const Property *p, void *object, const char *value, Error **errp)
{
    int64_t min = INT32_MIN, max = INT32_MAX, v;
    if (p->min || p->max) {
        min = (int64_t)p->min;
        max = (int64_t)p->max;
    }
    char *end;
    v = g_ascii_strtoll(value, &end, 0);
    if (end == value || *end || v < min || v > max) {
        error_setf(errp, "'%s' is not a number from %" PRId64 " to %" PRId64, value, min, max);
        return false;
    }
    store_int(p, object, (uint64_t)v);
    return true;
}

static bool set_enum(const Property *p, void *object, const char *value, Error **errp)
{
    for (unsigned i = 0; p->choices[i]; i++) {
        if (!strcmp(p->choices[i], value)) {
            store_int(p, object, i);
            return true;
        }
    }
    error_set_unknown(errp, "value", value, p->choices);
    return false;
}

static bool set_pointer(const Property *p, void *object, const char *value, Error **errp)
{
    void *target = resolvers[p->kind] ? resolvers[p->kind]->find(value) : NULL;
    if (!target) {
        error_setf(errp, p->kind == PROP_LINK ? "there is no device with the id '%s'"
                                              : "there is no chardev '%s'; add -chardev ...,id=%s", value, value);
        return false;
    }
    *(void **)((char *)object + p->offset) = target;
    return true;
}

static bool set_one(const Property *p, void *object, const char *value, Error **errp)
{
    switch (p->kind) {
    case PROP_BOOL:
        if (parse_bool(value, (bool *)((char *)object + p->offset)))
            return true;
        error_setf(errp, "'%s' is neither 'on' nor 'off'", value);
        return false;
    case PROP_STRING:
        store_string(p, object, value);
        return true;
    case PROP_ENUM:
        return set_enum(p, object, value, errp);
    case PROP_I32:
        return set_signed(p, object, value, errp);
    case PROP_CHARDEV:
    case PROP_LINK:
        return set_pointer(p, object, value, errp);
    default:
        return set_integer(p, object, value, errp);
    }
}

const Property *props_find(const Property *table, const char *name)
{
    for (const Property *p = table; p && p->kind != PROP_END; p++) {
        if (!strcmp(p->name, name))
            return p;
    }
    return NULL;
}

bool props_set(const Property *table, void *object, const char *what, const char *name, const char *value, Error **errp)
{
    const Property *p = props_find(table, name);
    Error *err = NULL;
    if (!p) {
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (p = table; p && p->kind != PROP_END; p++)
            g_ptr_array_add(names, (void *)p->name);
        g_ptr_array_add(names, NULL);
        error_set_unknown(&err, "property", name, (const char *const *)names->pdata);
        error_prependf(&err, "%s", what);
    } else if (!set_one(p, object, value, &err)) {
        error_prependf(&err, "%s: property '%s'", what, name);
    }
    error_propagate(errp, err);
    return !err;
}

static uint64_t load_int(const Property *p, const void *object)
{
    const void *at = (const char *)object + p->offset;
    switch (kinds[p->kind].width) {
    case 1: return *(const uint8_t *)at;
    case 2: return *(const uint16_t *)at;
    case 4: return *(const uint32_t *)at;
    default: return *(const uint64_t *)at;
    }
}

char *props_get(const Property *table, const void *object, const char *name)
{
    const Property *p = props_find(table, name);
    if (!p)
        return NULL;
    const void *at = (const char *)object + p->offset;
    switch (p->kind) {
    case PROP_BOOL:
        return g_strdup(*(const bool *)at ? "on" : "off");
    case PROP_STRING:
        return g_strdup(*(char *const *)at ? *(char *const *)at : "");
    case PROP_ENUM:
        return g_strdup(p->choices[load_int(p, object)]);
    case PROP_I32:
        return g_strdup_printf("%" PRId32, (int32_t)load_int(p, object));
    case PROP_LINK:
    case PROP_CHARDEV:
        return g_strdup(*(void *const *)at ? resolvers[p->kind]->id(*(void *const *)at) : "");
    default:
        return g_strdup_printf("%" PRIu64, load_int(p, object));
    }
}

void props_free(const Property *table, void *object)
{
    for (const Property *p = table; p && p->kind != PROP_END; p++) {
        if (p->kind == PROP_STRING)
            store_string(p, object, NULL);
    }
}

static void print_default(const Property *p, GString *out)
{
    switch (p->kind) {
    case PROP_BOOL:
        g_string_append_printf(out, " (default: %s)", p->dflt ? "on" : "off");
        break;
    case PROP_STRING:
        if (p->dflt_str)
            g_string_append_printf(out, " (default: %s)", p->dflt_str);
        break;
    case PROP_ENUM:
        g_string_append_printf(out, " (default: %s)", p->choices[p->dflt]);
        break;
    case PROP_CHARDEV:
    case PROP_LINK:
        break;
    default:
        g_string_append_printf(out, " (default: %" PRId64 ")", p->dflt);
    }
}

void props_print_help(const Property *table, GString *out)
{
    for (const Property *p = table; p && p->kind != PROP_END; p++) {
        g_autofree char *type = p->kind == PROP_ENUM ? g_strjoinv("|", (char **)p->choices)
                                                     : g_strdup(kinds[p->kind].name);
        g_string_append_printf(out, "  %s=<%s>%*s - %s", p->name, type,
                               MAX(0, 24 - (int)(strlen(p->name) + strlen(type))), "", p->help ? p->help : "");
        print_default(p, out);
        g_string_append_c(out, '\n');
    }
}
