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
