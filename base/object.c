/* SPDX-License-Identifier: MIT */
/* Objects of -object: registry, creation from options, use counts. */
#include "base/object.h"

#include <stdarg.h>
#include <string.h>

static GPtrArray *types;
static Object *objects;

void object_type_register(const ObjectType *type)
{
    if (!types)
        types = g_ptr_array_new();
    g_ptr_array_add(types, (void *)type);
}

static const ObjectType *find_type(const char *name)
{
    for (unsigned i = 0; types && i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if (!strcmp(t->name, name))
            return t;
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const ObjectType *const *)a)->name, (*(const ObjectType *const *)b)->name);
}

static const ObjectType *get_type(const char *name, Error **errp)
{
    const ObjectType *t = find_type(name);
    if (t)
        return t;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; types && i < types->len; i++)
        g_ptr_array_add(names, (void *)((const ObjectType *)types->pdata[i])->name);
    g_ptr_array_add(names, NULL);
    error_set_unknown(errp, "object type", name, (const char *const *)names->pdata);
    return NULL;
}

static const char *kind_of(const ObjectType *t)
{
    return t->kind ? t->kind : t->name;
}

/* ---- life ---- */

static void destroy(Object *o)
{
    if (o->type->finalize)
        o->type->finalize(o);
    if (o->type->props)
        props_free(o->type->props, o);
    g_free(o->id);
    g_free(o);
}

static Object *begin(const char *type, const char *id, Error **errp)
{
    const ObjectType *t = get_type(type, errp);
    if (!t)
        return NULL;
    if (!id || !*id) {
        error_setf(errp, "object of type '%s' has no id; add id=NAME", type);
        return NULL;
    }
    if (object_find(id, NULL)) {
        error_setf(errp, "object '%s' exists already; choose another id", id);
        return NULL;
    }
    Object *o = g_malloc0(t->size);
    o->type = t;
    o->id = g_strdup(id);
    if (t->props)
        props_set_defaults(t->props, o);
    return o;
}

static bool set(Object *o, const char *name, const char *value, Error **errp)
{
    static const Property none[] = { DEFINE_PROP_END };
    g_autofree char *what = g_strdup_printf("object '%s'", o->id);
    return props_set(o->type->props ? o->type->props : none, o, what, name, value, errp);
}

static Object *end(Object *o, bool ok, Error **errp)
{
    if (!ok || (o->type->complete && !o->type->complete(o, errp))) {
        destroy(o);
        return NULL;
    }
    Object **last = &objects;
    while (*last)
        last = &(*last)->next;
    return *last = o;
}

Object *object_add(Opts *opts, Error **errp)
{
    const char *type = opts_get(opts, "qom-type");
    Object *o = begin(type ? type : "", opts_get(opts, "id"), errp);
    bool ok = o != NULL;
    for (unsigned i = 0; ok && i < opts_count(opts); i++) {
        const char *key = opts_key(opts, i);
        if (strcmp(key, "qom-type") && strcmp(key, "id"))
            ok = set(o, key, opts_get(opts, key), errp);
    }
    return o ? end(o, ok, errp) : NULL;
}

Object *object_new(const char *type, const char *id, Error **errp, ...)
{
    Object *o = begin(type, id, errp);
    bool ok = o != NULL;
    va_list args;
    va_start(args, errp);
    for (const char *name; ok && (name = va_arg(args, const char *));)
        ok = set(o, name, va_arg(args, const char *), errp);
    va_end(args);
    return o ? end(o, ok, errp) : NULL;
}

static void unlink_object(Object *o)
{
    Object **at = &objects;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
}

bool object_del(const char *id, Error **errp)
{
    Object *o = object_get(id, NULL, errp);
    if (!o)
        return false;
    if (o->users) {
        error_setf(errp, "object '%s' is in use; remove what uses it first", id);
        return false;
    }
    unlink_object(o);
    destroy(o);
    return true;
}

void objects_free_all(void)
{
    while (objects) {
        Object *last = objects;
        while (last->next)
            last = last->next;
        unlink_object(last);
        destroy(last);
    }
}

/* ---- look-up ---- */

Object *object_find(const char *id, const char *kind)
{
    for (Object *o = objects; o; o = o->next) {
        if (!strcmp(o->id, id))
            return !kind || !strcmp(kind_of(o->type), kind) ? o : NULL;
    }
    return NULL;
}

/* A type that is of the kind: the kind itself, or the first of several. */
static const char *first_of_kind(const char *kind)
{
    for (guint i = 0; types && i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        if (!strcmp(kind_of(t), kind))
            return t->name;
    }
    return kind;
}

Object *object_get(const char *id, const char *kind, Error **errp)
{
    Object *any = object_find(id, NULL);
    if (!any)
        error_setf(errp, "there is no object '%s'; add -object %s,id=%s", id, kind ? first_of_kind(kind) : "TYPE", id);
    else if (kind && strcmp(kind_of(any->type), kind))
        error_setf(errp, "object '%s' is of type '%s', not a %s", id, any->type->name, kind);
    else
        return any;
    return NULL;
}

Object *object_take(const char *id, const char *kind, Error **errp)
{
    Object *o = object_get(id, kind, errp);
    if (o)
        o->users++;
    return o;
}

void object_release(Object *o)
{
    g_assert(o->users > 0);
    o->users--;
}

Object *object_first(void)
{
    return objects;
}

/* ---- help ---- */

void object_print_list(GString *out)
{
    g_string_append(out, "Objects:\n");
    if (types)
        g_ptr_array_sort(types, by_name);
    for (unsigned i = 0; types && i < types->len; i++) {
        const ObjectType *t = types->pdata[i];
        g_string_append_printf(out, "  %-24s %s\n", t->name, t->desc);
    }
}

bool object_print_help(const char *type, GString *out, Error **errp)
{
    const ObjectType *t = get_type(type, errp);
    if (!t)
        return false;
    g_string_append_printf(out, "%s: %s\n", t->name, t->desc);
    if (t->props)
        props_print_help(t->props, out);
    return true;
}
