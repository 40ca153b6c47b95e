/* SPDX-License-Identifier: MIT */
/* Machine "none": nothing but RAM; for tools that only want to ask the program questions, and for tests. */
#include "hw/core/machine.h"

static bool none_build(Machine *m, Error **errp)
{
    m->ram = mem_ram_new("ram", m->config.ram_size, errp);
    if (!m->ram)
        return false;
    mem_map(m->memory, 0, m->ram, 0);
    if (!m->config.kernel && !m->config.bios)
        return true;
    error_setf(errp, "machine 'none': it has no CPU to run a kernel or firmware; choose another with -M");
    return false;
}

static const MachineType none_type = {
    .name = "none",
    .desc = "empty machine",
    .max_cpus = 1,
    .default_ram = 128 * 1024 * 1024,
    .size = sizeof(Machine),
    .build = none_build,
};
MACHINE_REGISTER(none_type)
