/* SPDX-License-Identifier: MIT */
/* The list of vCPU ports, the one whose thread this is, and who runs the interrupt controllers. */
#include "hw/core/cpu-port.h"
#include "hw/core/dma-host.h"
#include "hw/core/event-doors.h"
#include "hw/core/irqchip-host.h"

static __thread CpuPort *current;
static GPtrArray *ports; /* changes only while vCPUs stand */

CpuPort *cpu_port_current(void) { return current; }
void cpu_port_set_current(CpuPort *p) { current = p; }
unsigned cpu_port_count(void) { return ports ? ports->len : 0; }
CpuPort *cpu_port(unsigned index) { return index < cpu_port_count() ? ports->pdata[index] : NULL; }

void cpu_port_add(CpuPort *p)
{
    if (!ports)
        ports = g_ptr_array_new();
    if (p->index >= ports->len)
        g_ptr_array_set_size(ports, (int)p->index + 1);
    g_assert(!ports->pdata[p->index]);
    ports->pdata[p->index] = p;
}

void cpu_port_remove(CpuPort *p)
{
    g_assert(cpu_port(p->index) == p);
    ports->pdata[p->index] = NULL;
    while (ports->len && !ports->pdata[ports->len - 1])
        g_ptr_array_set_size(ports, (int)ports->len - 1);
}

void cpu_ports_clear(void)
{
    if (ports)
        g_ptr_array_set_size(ports, 0);
}

static const IrqchipHost *host;
const IrqchipHost *irqchip_host(void) { return host; }
const IrqchipHost *irqchip_host_gic(void) { return host && host->gic_new ? host : NULL; }
void irqchip_host_set(const IrqchipHost *h) { host = h; }

static void (*eoi_sink)(uint8_t vector);
void irqchip_set_eoi_sink(void (*sink)(uint8_t vector)) { eoi_sink = sink; }
void irqchip_eoi(uint8_t vector)
{
    if (eoi_sink)
        eoi_sink(vector);
}

static DmaHostFn *dma_host;
void dma_host_set(DmaHostFn *fn) { dma_host = fn; }
void dma_host_tell(int fd, bool there)
{
    if (dma_host)
        dma_host(fd, there);
}

static const EventDoors no_doors, *doors = &no_doors;
const EventDoors *event_doors(void) { return doors; }
int event_doors_line(const Irq *wire) { return doors->line_fd && wire ? wire->host_line - 1 : -1; }
void event_doors_set(const EventDoors *d) { doors = d ? d : &no_doors; }
