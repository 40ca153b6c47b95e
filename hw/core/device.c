/* SPDX-License-Identifier: MIT */
/* Devices: the registry of types, and the life of an instance. */
#include "hw/core/device.h"

#include <stdlib.h>
#include <string.h>
#include "hw/core/device-internal.h"

static GPtrArray *types; /* of const DeviceType *, sorted by name on demand */
static bool types_sorted;
static Device *devices, **devices_end = &devices;

/* ---- registry ---- */

void device_register(const DeviceType *type)
{
    if (!types)
        types = g_ptr_array_new();
    g_ptr_array_add(types, (void *)type);
    types_sorted = false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const DeviceType *const *)a)->name, (*(const DeviceType *const *)b)->name);
}

const DeviceType *const *device_types(unsigned *count)
{
    static const DeviceType *const none[] = { NULL };
    *count = types ? types->len : 0;
    if (!types)
        return none;
    if (!types_sorted) {
        g_ptr_array_sort(types, by_name);
        types_sorted = true;
        for (unsigned i = 1; i < types->len; i++)
            g_assert(by_name(&types->pdata[i - 1], &types->pdata[i]) != 0);
    }
    return (const DeviceType *const *)types->pdata;
}

static bool is_named(const DeviceType *t, const char *name, size_t len)
{
    return (strlen(t->name) == len && !strncmp(t->name, name, len)) ||
           (t->alias && strlen(t->alias) == len && !strncmp(t->alias, name, len));
}

static const DeviceVariant *variant_of(const DeviceType *t, const char *name)
{
    for (const DeviceType *b = t; b; b = b->base) {
        for (const DeviceVariant *v = b->variants; v && v->suffix; v++) {
            if (g_str_has_suffix(name, v->suffix) && is_named(t, name, strlen(name) - strlen(v->suffix)))
                return v;
        }
    }
    return NULL;
}

const DeviceType *device_type_find(const char *name)
{
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    for (unsigned i = 0; i < count; i++) {
        if (is_named(all[i], name, strlen(name)) || variant_of(all[i], name))
            return all[i];
    }
    return NULL;
}

const char *device_variant_props(const DeviceType *t, const char *name)
{
    const DeviceVariant *v = variant_of(t, name);
    return v ? v->props : NULL;
}

const char *device_type_bus(const DeviceType *t)
{
    while (t && !t->bus)
        t = t->base;
    return t ? t->bus : NULL;
}

void device_set_unknown_type(const char *name, bool creatable_only, Error **errp)
{
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; i < count; i++) {
        if (!creatable_only || all[i]->user_creatable)
            g_ptr_array_add(names, (void *)all[i]->name);
    }
    g_ptr_array_add(names, NULL);
    const char *near = nearest_name(name, (const char *const *)names->pdata);
    if (near)
        error_setf(errp, "device '%s': no such device type; did you mean '%s'?", name, near);
    else
        error_setf(errp, "device '%s': no such device type; '-device help' lists them", name);
}

/* ---- pins ---- */

/* "name" or "name*count" */
static size_t pin_name_len(const char *spec, unsigned *count)
{
    const char *star = strchr(spec, '*');
    *count = star ? (unsigned)strtoul(star + 1, NULL, 10) : 1;
    return star ? (size_t)(star - spec) : strlen(spec);
}

/* The pin tables of the base types come first. */
static const char *const *pins_of(const DeviceType *t, bool out)
{
    return out ? t->out_pins : t->in_pins;
}

static unsigned pin_total(const DeviceType *t, bool out)
{
    unsigned total = t->base ? pin_total(t->base, out) : 0, count;
    for (const char *const *p = pins_of(t, out); p && *p; p++) {
        pin_name_len(*p, &count);
        total += count;
    }
    return total;
}

/* The flat number of a pin, or -1. */
static int pin_find(const DeviceType *t, bool out, const char *name, unsigned index)
{
    if (t->base) {
        int n = pin_find(t->base, out, name, index);
        if (n >= 0)
            return n;
    }
    unsigned flat = t->base ? pin_total(t->base, out) : 0, count;
    for (const char *const *p = pins_of(t, out); p && *p; p++) {
        size_t len = pin_name_len(*p, &count);
        if (strlen(name) == len && !strncmp(*p, name, len) && index < count)
            return (int)(flat + index);
        flat += count;
    }
    return -1;
}

void device_connect(Device *d, const char *pin, unsigned index, Irq to)
{
    int n = pin_find(d->type, true, pin, index);
    if (n < 0)
        g_error("device '%s' has no output pin %s[%u]", d->id, pin, index);
    d->out[n] = to;
}

static void input_set(void *opaque, int n, int level)
{
    Device *d = opaque;
    const DeviceType *t = d->type;
    while (t && !t->input)
        t = t->base;
    if (!t)
        return;
    lock_domain_lock(d->domain);
    t->input(d, (unsigned)n, level);
    lock_domain_unlock(d->domain);
}

Irq device_input(Device *d, const char *pin, unsigned index)
{
    int n = pin_find(d->type, false, pin, index);
    if (n < 0)
        g_error("device '%s' has no input pin %s[%u]", d->id, pin, index);
    return (Irq){ .set = input_set, .opaque = d, .n = n };
}

/* ---- life ---- */

static char *fresh_id(const char *type)
{
    for (unsigned n = 0;; n++) {
        char *id = g_strdup_printf("%s-%u", type, n);
        if (!device_find(id))
            return id;
        g_free(id);
    }
}

static void init_chain(Device *d, const DeviceType *t)
{
    if (t->base)
        init_chain(d, t->base);
    if (t->init)
        t->init(d);
}

static void defaults_chain(Device *d, const DeviceType *t)
{
    if (t->base)
        defaults_chain(d, t->base);
    props_set_defaults(t->props, d);
}

Device *device_new(const DeviceType *type, const char *id)
{
    g_assert(type->size >= sizeof(Device));
    g_assert(!id || !device_find(id));
    Device *d = g_malloc0(type->size);
    d->type = type;
    d->id = id ? g_strdup(id) : fresh_id(type->name);
    d->domain = machine_domain();
    d->out_count = pin_total(type, true);
    d->out = g_new0(Irq, d->out_count + 1);
    *devices_end = d;
    devices_end = &d->next;
    defaults_chain(d, type);
    init_chain(d, type);
    device_apply_globals(d);
    return d;
}

Device *device_new_named(const char *type_name, const char *id, Error **errp)
{
    const DeviceType *t = device_type_find(type_name);
    if (!t) {
        device_set_unknown_type(type_name, false, errp);
        return NULL;
    }
    if (id && device_find(id)) {
        error_setf(errp, "device '%s': the id '%s' is taken by another device", type_name, id);
        return NULL;
    }
    return device_new(t, id);
}

const Property *device_find_prop(const DeviceType *t, const char *name)
{
    const Property *p = NULL;
    for (; t && !p; t = t->base)
        p = props_find(t->props, name);
    return p;
}

Property *device_all_props(const DeviceType *t)
{
    GArray *all = g_array_new(true, true, sizeof(Property));
    for (; t; t = t->base) {
        for (const Property *p = t->props; p && p->kind != PROP_END; p++)
            g_array_append_val(all, *p);
    }
    return (Property *)g_array_free(all, false);
}

bool device_set(Device *d, const char *prop, const char *value, Error **errp)
{
    g_autofree Property *all = device_all_props(d->type);
    g_autofree char *what = g_strcmp0(d->type->name, d->id) ? g_strdup_printf("device '%s' (%s)", d->id, d->type->name)
                                                            : g_strdup_printf("device '%s'", d->id);
    return props_set(all, d, what, prop, value, errp);
}

bool device_set_list(Device *d, const char *pairs, Error **errp)
{
    g_auto(GStrv) each = g_strsplit(pairs ? pairs : "", ",", -1);
    for (char **p = each; *p && **p; p++) {
        char *eq = strchr(*p, '=');
        g_assert(eq);
        *eq = 0;
        if (!device_set(d, *p, eq + 1, errp))
            return false;
    }
    return true;
}

void device_set_default(Device *d, const char *prop, const char *value)
{
    Error *err = NULL;
    if (!device_set(d, prop, value, &err))
        g_error("%s", err->message);
}

static void set_no_bus(const Device *d, const char *kind, Error **errp)
{
    g_autoptr(GString) makers = g_string_new(NULL);
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    for (unsigned i = 0; i < count; i++) {
        if (all[i]->user_creatable && all[i]->provides && g_strv_contains(all[i]->provides, kind))
            g_string_append_printf(makers, "%s-device %s",
                                   makers->len ? ", " : "; put one of these before it: ", all[i]->name);
    }
    if (!strcmp(kind, "memory-slot"))
        g_string_assign(makers, "; make room: -m SIZE,slots=N,maxmem=MAX, on a machine that takes memory modules");
    error_setf(errp, "device '%s': this machine has no %s bus to plug it into%s", d->type->name, kind, makers->str);
}

void device_choose_bus(Device *d)
{
    const char *kind = device_type_bus(d->type);
    if (!d->bus && kind)
        d->bus = bus_find_room(kind);
}

static bool plug(Device *d, Error **errp)
{
    const char *kind = device_type_bus(d->type);
    device_choose_bus(d);
    if (!d->bus) {
        if (!kind || !strcmp(kind, "system"))
            return true;
        set_no_bus(d, kind, errp);
        return false;
    }
    if (kind && strcmp(kind, d->bus->type->kind)) {
        error_setf(errp, "device '%s': it needs a bus of kind '%s', but '%s' is of kind '%s'", d->id, kind,
                   d->bus->name, d->bus->type->kind);
        return false;
    }
    if (d->bus->type->plug && !d->bus->type->plug(d->bus, d, errp)) {
        error_prependf(errp, "device '%s'", d->id);
        return false;
    }
    d->plugged = true;
    return true;
}

static void make_bank_regions(Device *d, const DeviceType *t, unsigned *n)
{
    if (t->base)
        make_bank_regions(d, t->base, n);
    for (const RegBank *const *b = t->banks; b && *b; b++) {
        g_assert(*n < DEVICE_MAX_REGIONS);
        d->region[(*n)++] = regs_region_new(d, *b);
    }
}

static bool start_chain(Device *d, const DeviceType *t, Error **errp)
{
    if (t->base && !start_chain(d, t->base, errp))
        return false;
    return !t->start || t->start(d, errp);
}

bool device_start(Device *d, Error **errp)
{
    g_assert(!d->started);
    if (d->pending_error) {
        error_propagate(errp, g_steal_pointer(&d->pending_error));
        return false;
    }
    unsigned banks = 0;
    make_bank_regions(d, d->type, &banks);
    if (!plug(d, errp))
        return false;
    Error *err = NULL;
    if (!start_chain(d, d->type, &err)) {
        g_autofree char *quoted = g_strdup_printf("'%s'", d->id);
        if (!strstr(err->message, quoted))
            error_prependf(&err, "device '%s'", d->id);
        error_propagate(errp, err);
        return false;
    }
    d->started = true;
    return true;
}

static void stop_chain(Device *d, const DeviceType *t)
{
    for (; t; t = t->base) {
        if (t->stop)
            t->stop(d);
    }
}

static void unlink_device(Device *d)
{
    Device **p = &devices;
    while (*p != d)
        p = &(*p)->next;
    *p = d->next;
    if (devices_end == &d->next)
        devices_end = p;
}

void device_free(Device *d)
{
    if (!d)
        return;
    lock_domain_lock(d->domain);
    stop_chain(d, d->type); /* may take other domains, which come before the map's lock */
    if (d->plugged && d->bus->type->unplug)
        d->bus->type->unplug(d->bus, d);
    mem_begin();
    for (unsigned i = 0; i < DEVICE_MAX_REGIONS; i++)
        mem_region_free(d->region[i]);
    mem_commit();
    lock_domain_unlock(d->domain);
    if (d->owns_domain)
        lock_domain_free(d->domain);
    unlink_device(d);
    for (const DeviceType *t = d->type; t; t = t->base)
        props_free(t->props, d);
    error_free(d->pending_error);
    g_free(d->out);
    g_free(d->id);
    g_free(d);
}

void device_own_domain(Device *d, const char *name)
{
    d->domain = lock_domain_new(name);
    d->owns_domain = true;
}

Device *device_first(void) { return devices; }

Device *device_find(const char *id)
{
    Device *d = devices;
    while (d && strcmp(d->id, id))
        d = d->next;
    return d;
}

static void *link_find(const char *id)
{
    return device_find(id);
}

static const char *link_id(const void *target)
{
    return ((const Device *)target)->id;
}

static void __attribute__((constructor)) link_resolver_register(void)
{
    static const PropResolver resolver = { link_find, link_id };
    props_set_resolver(PROP_LINK, &resolver);
}

void device_foreach(DeviceFn *fn, void *opaque)
{
    for (Device *d = devices, *next; d; d = next) {
        next = d->next;
        fn(d, opaque);
    }
}
