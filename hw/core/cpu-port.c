/* SPDX-License-Identifier: MIT */
/* The list of vCPU ports, and the one whose thread this is. */
#include "hw/core/cpu-port.h"

static __thread CpuPort *current;
static GPtrArray *ports; /* changes only while the machine is built or torn down */

CpuPort *cpu_port_current(void) { return current; }
void cpu_port_set_current(CpuPort *p) { current = p; }
unsigned cpu_port_count(void) { return ports ? ports->len : 0; }
CpuPort *cpu_port(unsigned index) { return index < cpu_port_count() ? ports->pdata[index] : NULL; }

void cpu_port_add(CpuPort *p)
{
    if (!ports)
        ports = g_ptr_array_new();
    p->index = ports->len;
    g_ptr_array_add(ports, p);
}

void cpu_ports_clear(void)
{
    if (ports)
        g_ptr_array_set_size(ports, 0);
}
