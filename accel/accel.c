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

static bool unknown(const char *name, Error **errp)
{
    const char *names[MAX_ACCELS + 1] = { NULL };
    for (unsigned i = 0; i < type_count; i++)
        names[i] = types[i]->name;
    error_set_unknown(errp, "accelerator", name, names);
    return false;
}

bool accel_setup(Machine *m, const char *name, Opts *opts, Error **errp)
{
    const AccelType *t = accel_find(name);
    if (!t)
        return unknown(name, errp);
    g_autofree char *why = NULL;
    if (t->available && !t->available(m->type ? m->type->arch : NULL, &why)) {
        error_setf(errp, "accelerator '%s': %s", name, why ? why : "not available on this host");
        return false;
    }
    if (!t->init(m, opts, errp))
        return false;
    if (opts && !opts_all_used(opts, name, t->option_names, errp))
        return false;
    current = t;
    return true;
}

const AccelType *accel_current(void) { return current; }
