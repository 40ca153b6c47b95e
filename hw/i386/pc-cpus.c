/* SPDX-License-Identifier: MIT */
/* CPUs of a PC: their places and APIC ids, those that are there from the start, and those that come and go. */
#include "base/bits.h"
#include "hw/acpi/cpu-hotplug.h"
#include "hw/core/cpu-slots.h"
#include "hw/i386/pc-board.h"
#include "hw/intc/apic.h"

static unsigned width_of(unsigned count) { return count > 1 ? 32u - (unsigned)__builtin_clz(count - 1) : 0; }

/* Each topology level has a whole number of bits in the APIC id (SDM vol. 3A, 9.9.1). */
static uint32_t apic_id_of(const MachineConfig *c, const CpuSlot *s)
{
    unsigned core_at = width_of(c->threads), die_at = core_at + width_of(c->cores),
             socket_at = die_at + width_of(MAX(c->dies, 1));

    return s->thread | s->core << core_at | s->die << die_at | s->socket << socket_at;
}

static const char *model_of(const Machine *m)
{
    return m->config.cpu_model ? m->config.cpu_model : m->type->default_cpu;
}

static char *apic_name(unsigned n) { return g_strdup_printf("apic%u", n); }

static void empty(Machine *m, unsigned n)
{
    g_autofree char *id = apic_name(n);
    Device *apic = device_find(id);
    const CpuFamily *family = cpu_family_find(m->type->arch);

    if (apic)
        device_free(apic);
    if (family->destroy)
        family->destroy(m, n);
}

static bool fill(Machine *m, unsigned n, Error **errp)
{
    g_autofree char *id = apic_name(n);

    if (!cpu_family_find(m->type->arch)->create(m, n, m->cpu_slots->slot[n].arch_id, model_of(m), errp))
        return false;
    if (device_start(apic_new(cpu_port(n), id), errp))
        return true;
    empty(m, n);
    return false;
}

static CpuSlots *make_slots(PcBoard *b)
{
    const MachineConfig *c = &b->machine.config;
    CpuSlots *s = cpu_slots_new(c, model_of(&b->machine), "x86_64-cpu");

    s->fill = fill;
    s->empty = empty;
    b->apic_ids = g_new0(uint32_t, s->count);
    for (unsigned i = 0; i < s->count; i++)
        b->apic_ids[i] = s->slot[i].arch_id = apic_id_of(c, &s->slot[i]);
    b->apic_id_limit = b->apic_ids[s->count - 1] + 1;
    return s;
}

bool pc_board_add_cpus(PcBoard *b, Error **errp)
{
    Machine *m = &b->machine;

    if (!cpu_family_find(m->type->arch)) {
        error_setf(errp, "machine '%s': this build has no CPUs of architecture '%s'", m->type->name, m->type->arch);
        return false;
    }
    m->cpu_slots = make_slots(b);
    for (unsigned i = 0; i < m->config.cpus; i++) {
        if (!fill(m, i, errp))
            return false;
        m->cpu_slots->slot[i].filled = true;
    }
    return true;
}

unsigned pc_board_cpus(const PcBoard *b) { return cpu_slots_filled(b->machine.cpu_slots); }

static void cpu_event(void *opaque, int n, int level)
{
    if (level)
        pc_board_raise_gpe(opaque, ACPI_CPUHP_GPE);
}

bool pc_board_add_cpu_hotplug(PcBoard *b, Error **errp)
{
    Machine *m = &b->machine;

    if (m->config.cpus == m->config.max_cpus || m->config.no_acpi)
        return true;
    b->cpu_hotplug = device_new_named("acpi-cpu-hotplug", "cpu-hotplug", errp);
    if (!b->cpu_hotplug)
        return false;
    device_connect(b->cpu_hotplug, "event", 0, (Irq){ .set = cpu_event, .opaque = b });
    if (!device_start(b->cpu_hotplug, errp))
        return false;
    mem_map(m->io, b->model->cpu_hotplug_port, b->cpu_hotplug->region[0], 0);
    return true;
}
