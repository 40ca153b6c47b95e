/* SPDX-License-Identifier: MIT */
/* Registry of the CPU families that the targets provide. */
#include "hw/core/cpu-port.h"

#define MAX_FAMILIES 8

static const CpuFamily *families[MAX_FAMILIES];
static unsigned family_count;

void cpu_family_register(const CpuFamily *family)
{
    g_assert(family_count < MAX_FAMILIES && !cpu_family_find(family->arch));
    families[family_count++] = family;
}

const CpuFamily *cpu_family_find(const char *arch)
{
    for (unsigned i = 0; i < family_count; i++) {
        if (!g_strcmp0(families[i]->arch, arch))
            return families[i];
    }
    return NULL;
}

bool cpu_unknown_property(const char *name, GPtrArray *known, Error **errp)
{
    g_ptr_array_add(known, NULL);
    const char *near = nearest_name(name, (const char *const *)known->pdata);
    if (near)
        error_setf(errp, "-cpu: '%s': no such feature or property; did you mean '%s'?", name, near);
    else
        error_setf(errp, "-cpu: '%s': no such feature or property; -cpu help lists them", name);
    return false;
}
