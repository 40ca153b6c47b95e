/* SPDX-License-Identifier: MIT */
/* What a user does with devices: -device, -global, the help texts; and the buses by name. */
#include <string.h>
#include "base/bits.h"
#include "hw/core/device-internal.h"
#include "hw/core/machine.h"

/* ---- buses ---- */

static Bus *buses, **buses_end = &buses;

void bus_init(Bus *b, const BusType *type, const char *name, Device *parent)
{
    *b = (Bus){ .type = type, .name = g_strdup(name), .parent = parent };
    *buses_end = b;
    buses_end = &b->next;
}

char *bus_new_name(const Device *parent, const char *stem)
{
    g_autofree char *made_up = g_strconcat(parent->type->name, "-", NULL);
    if (!g_str_has_prefix(parent->id, made_up))
        return g_strconcat(parent->id, ".0", NULL);
    for (unsigned n = 0;; n++) {
        char *name = g_strdup_printf("%s.%u", stem, n);
        if (!bus_find(name))
            return name;
        g_free(name);
    }
}

void bus_fini(Bus *b)
{
    Bus **p = &buses;
    while (*p && *p != b)
        p = &(*p)->next;
    if (!*p)
        return; /* never initialised: a device that failed before */
    *p = b->next;
    if (buses_end == &b->next)
        buses_end = p;
    g_free(b->name);
    b->name = NULL;
}

Bus *bus_first(void) { return buses; }

Bus *bus_find(const char *name)
{
    Bus *b = buses;
    while (b && strcmp(b->name, name))
        b = b->next;
    return b;
}

Bus *bus_find_kind(const char *kind)
{
    Bus *b = buses;
    while (b && strcmp(b->type->kind, kind))
        b = b->next;
    return b;
}

static void append_path(const Device *d, GString *out)
{
    if (!d || !d->bus)
        return;
    append_path(d->bus->parent, out);
    if (d->bus->type->path)
        d->bus->type->path(d->bus, d, out);
}

char *device_firmware_path(const Device *d)
{
    g_autoptr(GString) path = g_string_new(NULL);
    append_path(d, path);
    return g_string_free(g_steal_pointer(&path), false);
}

Bus *bus_find_room(const char *kind)
{
    Bus *room = NULL;
    for (Bus *b = buses; b && (!room || room->type->latest); b = b->next) {
        if (!strcmp(b->type->kind, kind) && !(b->type->full && b->type->full(b)))
            room = b;
    }
    return room ? room : bus_find_kind(kind);
}

/* ---- globals ---- */

typedef struct Global {
    char *driver, *prop, *value;
    bool used;
} Global;

static GArray *globals; /* of Global */

static bool is_a(const DeviceType *t, const char *name)
{
    while (t && strcmp(t->name, name))
        t = t->base;
    return t != NULL;
}

/* The type or base type of that name. */
static const DeviceType *find_type_or_base(const char *name)
{
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    for (unsigned i = 0; i < count; i++) {
        for (const DeviceType *t = all[i]; t; t = t->base) {
            if (!strcmp(t->name, name))
                return t;
        }
    }
    return NULL;
}

static void set_unknown_prop(const DeviceType *t, const char *prop, Error **errp)
{
    g_autofree Property *all = device_all_props(t);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const Property *p = all; p->kind != PROP_END; p++)
        g_ptr_array_add(names, (void *)p->name);
    g_ptr_array_add(names, NULL);
    Error *err = NULL;
    error_set_unknown(&err, "property", prop, (const char *const *)names->pdata);
    error_prependf(&err, "device '%s'", t->name);
    error_propagate(errp, err);
}

bool device_add_global(const char *driver, const char *prop, const char *value, Error **errp)
{
    const DeviceType *t = find_type_or_base(driver);
    if (!t) {
        device_set_unknown_type(driver, false, errp);
        error_prependf(errp, "-global");
        return false;
    }
    if (!device_find_prop(t, prop)) {
        set_unknown_prop(t, prop, errp);
        error_prependf(errp, "-global");
        return false;
    }
    if (!globals)
        globals = g_array_new(false, false, sizeof(Global));
    Global g = { g_strdup(driver), g_strdup(prop), g_strdup(value), false };
    g_array_append_val(globals, g);
    return true;
}

void device_apply_globals(Device *d)
{
    for (unsigned i = 0; globals && i < globals->len; i++) {
        Global *g = &g_array_index(globals, Global, i);
        if (!is_a(d->type, g->driver))
            continue;
        g->used = true;
        Error *err = NULL;
        if (!device_set(d, g->prop, g->value, &err)) {
            error_prependf(&err, "-global %s.%s=%s", g->driver, g->prop, g->value);
            error_propagate(d->pending_error ? NULL : &d->pending_error, err);
        }
    }
}

bool device_check_globals(Error **errp)
{
    for (unsigned i = 0; globals && i < globals->len; i++) {
        const Global *g = &g_array_index(globals, Global, i);
        if (g->used)
            continue;
        error_setf(errp, "-global %s.%s=%s: this machine has no device of that type", g->driver, g->prop, g->value);
        return false;
    }
    return true;
}

/* ---- -device ---- */

static bool set_bus(Device *d, const char *name, Error **errp)
{
    d->bus = bus_find(name);
    if (d->bus)
        return true;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (Bus *b = buses; b; b = b->next)
        g_ptr_array_add(names, b->name);
    g_ptr_array_add(names, NULL);
    error_set_unknown(errp, "bus", name, (const char *const *)names->pdata);
    error_prependf(errp, "device '%s'", d->id);
    return false;
}

static bool set_all(Device *d, Opts *opts, Error **errp)
{
    for (unsigned i = 0; i < opts_count(opts); i++) {
        const char *key = opts_key(opts, i), *value = opts_get(opts, key);
        if (!strcmp(key, "driver") || !strcmp(key, "id"))
            continue;
        bool ok = !strcmp(key, "bus") && !device_find_prop(d->type, "bus") ? set_bus(d, value, errp)
                                                                           : device_set(d, key, value, errp);
        if (!ok)
            return false;
    }
    return true;
}

Device *device_add(Opts *opts, Error **errp)
{
    const char *driver = opts_get(opts, "driver"), *id = opts_get(opts, "id");
    if (!driver) {
        error_setf(errp, "-device: the device type is missing; '-device help' lists them");
        return NULL;
    }
    const DeviceType *t = device_type_find(driver);
    if (!t) {
        device_set_unknown_type(driver, true, errp);
        return NULL;
    }
    if (!t->user_creatable) {
        error_setf(errp, "device '%s': only the machine itself can make one", driver);
        return NULL;
    }
    bool hot = device_live();
    if (hot)
        machine_stand_still();
    Device *d = device_new_named(driver, id, errp);
    if (d && !(device_set_list(d, device_variant_props(t, driver), errp) && set_all(d, opts, errp) &&
               (hot ? device_start_hot(d, errp) : device_start(d, errp)))) {
        device_free(d);
        d = NULL;
    }
    if (hot)
        machine_go_on();
    return d;
}

/* ---- help ---- */

static const char *category_of(const DeviceType *t)
{
    return t->category ? t->category : "Misc";
}

void device_print_list(GString *out)
{
    static const char *const categories[] = { "Bridge", "Storage", "Network", "Input", "Display", "Sound", "USB", "CPU",
                                              "Watchdog", "Misc" };
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    for (unsigned c = 0; c < ARRAY_LEN(categories); c++) {
        bool any = false;
        for (unsigned i = 0; i < count; i++) {
            if (!all[i]->user_creatable || strcmp(category_of(all[i]), categories[c]))
                continue;
            if (!any)
                g_string_append_printf(out, "%s%s devices:\n", out->len ? "\n" : "", categories[c]);
            any = true;
            const char *bus = device_type_bus(all[i]);
            g_string_append_printf(out, "  %-24s %-8s %s\n", all[i]->name, bus ? bus : "",
                                   all[i]->desc ? all[i]->desc : "");
        }
    }
}

bool device_print_help(const char *type, GString *out, Error **errp)
{
    const DeviceType *t = device_type_find(type);
    if (!t) {
        device_set_unknown_type(type, true, errp);
        return false;
    }
    g_autofree Property *all = device_all_props(t);
    g_string_append_printf(out, "%s: %s\n", t->name, t->desc ? t->desc : "");
    for (const DeviceType *b = t; b; b = b->base) {
        for (const DeviceVariant *v = b->variants; v && v->suffix; v++)
            g_string_append_printf(out, "  (%s%s: with %s)\n", t->name, v->suffix, v->props);
    }
    props_print_help(all, out);
    return true;
}
