/* SPDX-License-Identifier: MIT */
/* Registry of accelerators and the choice among them. */
#include "accel/accel.h"

enum { MAX_ACCELS = 8 };
static const AccelType *types[MAX_ACCELS];
static unsigned type_count;
static const AccelType *current;

void accel_register(const AccelType *type)
{
    g_assert(type_count < MAX_ACCELS);
    types[type_count++] = type;
}

const AccelType *accel_find(const char *name)
{
    for (unsigned i = 0; i < type_count; i++)
        if (!g_strcmp0(types[i]->name, name))
            return types[i];
    return NULL;
}

const AccelType *const *accel_types(unsigned *count)
{
    *count = type_count;
    return types;
}

bool accel_unknown(const char *name, Error **errp)
{
    const char *names[MAX_ACCELS + 1] = { NULL };
    for (unsigned i = 0; i < type_count; i++)
        names[i] = types[i]->name;
    error_set_unknown(errp, "accelerator", name, names);
    return false;
}

/* A key that was read before is the caller's. */
static bool set_options(const AccelType *t, const Opts *opts, Error **errp)
{
    props_set_defaults(t->props, t->options);
    for (unsigned i = 0; opts && i < opts_count(opts); i++) {
        if (!opts_is_used(opts, i) &&
            !props_set(t->props, t->options, t->name, opts_key(opts, i), opts_value(opts, i), errp))
            return false;
    }
    return true;
}

bool accel_setup(Machine *m, const char *name, Opts *opts, Error **errp)
{
    const AccelType *t = accel_find(name);
    if (!t)
        return accel_unknown(name, errp);
    g_autofree char *why = NULL;
    if (t->available && !t->available(m->type ? m->type->arch : NULL, &why)) {
        error_setf(errp, "accelerator '%s': %s", name, why ? why : "not available on this host");
        return false;
    }
    if (!set_options(t, opts, errp) || !t->init(m, errp))
        return false;
    current = t;
    return true;
}

const AccelType *accel_current(void) { return current; }
