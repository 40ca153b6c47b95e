/* SPDX-License-Identifier: MIT */
/* CPUs as devices: properties name a place in the topology, the board fills it. */
#include "hw/core/cpu-slots.h"
#include <string.h>

typedef struct CpuDevice {
    Device dev;
    int32_t socket, die, core, thread, node;
} CpuDevice;

CpuSlots *cpu_slots_new(const MachineConfig *c, const char *model, const char *suffix)
{
    CpuSlots *s = g_new0(CpuSlots, 1);
    unsigned dies = MAX(c->dies, 1);
    g_autofree char *name = g_strndup(model, strcspn(model, ","));
    s->type_name = g_strdup_printf("%s-%s", name, suffix);
    s->with_dies = dies > 1;
    s->node = c->numa ? c->numa->cpu_node : NULL;
    s->count = c->max_cpus;
    s->slot = g_new0(CpuSlot, s->count);
    for (unsigned i = 0; i < s->count; i++) {
        unsigned core = i / c->threads, die = core / c->cores;
        s->slot[i] =
            (CpuSlot){ .thread = i % c->threads, .core = core % c->cores, .die = die % dies, .socket = die / dies };
    }
    return s;
}

void cpu_slots_free(CpuSlots *s)
{
    if (!s)
        return;
    g_free(s->type_name);
    g_free(s->slot);
    g_free(s);
}

unsigned cpu_slots_filled(const CpuSlots *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++)
        n += s->slot[i].filled;
    return n;
}

int cpu_slots_find(const CpuSlots *s, const Device *d)
{
    for (unsigned i = 0; s && i < s->count; i++) {
        if (s->slot[i].dev == d)
            return (int)i;
    }
    return -1;
}

void cpu_slots_print(const CpuSlots *s, GString *out)
{
    g_string_append(out, "Hotpluggable CPUs:\n");
    for (unsigned i = s->count; i-- > 0;) {
        const CpuSlot *p = &s->slot[i];
        g_string_append_printf(out, "  type: \"%s\"\n  vcpus_count: \"1\"\n", s->type_name);
        if (p->dev)
            g_string_append_printf(out, "  qom_path: \"/machine/peripheral/%s\"\n", p->dev->id);
        else if (p->filled)
            g_string_append_printf(out, "  qom_path: \"/machine/unattached/device[%u]\"\n", i);
        g_string_append(out, "  CPUInstance Properties:\n");
        if (s->node)
            g_string_append_printf(out, "    node-id: \"%u\"\n", s->node[i]);
        g_string_append_printf(out, "    socket-id: \"%u\"\n", p->socket);
        if (s->with_dies)
            g_string_append_printf(out, "    die-id: \"%u\"\n", p->die);
        g_string_append_printf(out, "    core-id: \"%u\"\n    thread-id: \"%u\"\n", p->core, p->thread);
    }
}

/* --- the devices --- */

/* Each of the ids must name a place; a level that has one place only may be left out. */
static int find_place(const CpuDevice *c, const CpuSlots *s, Error **errp)
{
    const CpuSlot *last = &s->slot[s->count - 1]; /* the largest of each */
    const struct { const char *name; int32_t given; uint32_t max;
    } levels[] = {
        { "socket-id", c->socket, last->socket },
        { "die-id", c->die, last->die },
        { "core-id", c->core, last->core },
        { "thread-id", c->thread, last->thread },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (levels[i].given < 0 ? levels[i].max == 0 : (uint32_t)levels[i].given <= levels[i].max)
            continue;
        if (levels[i].given < 0)
            error_setf(errp, "device '%s': %s is not given; 'info hotpluggable-cpus' lists the places", c->dev.id,
                       levels[i].name);
        else
            error_setf(errp, "device '%s': %s=%d: this machine has 0 to %u; 'info hotpluggable-cpus' lists the places",
                       c->dev.id, levels[i].name, levels[i].given, levels[i].max);
        return -1;
    }
    for (unsigned i = 0; i < s->count; i++) {
        const CpuSlot *p = &s->slot[i];
        if (p->socket == (uint32_t)MAX(c->socket, 0) && p->die == (uint32_t)MAX(c->die, 0) &&
            p->core == (uint32_t)MAX(c->core, 0) && p->thread == (uint32_t)MAX(c->thread, 0))
            return (int)i;
    }
    return -1;
}

static bool check_place(const CpuDevice *c, const CpuSlots *s, int n, Error **errp)
{
    if (s->slot[n].filled)
        error_setf(errp, "device '%s': CPU %d is there already; 'info hotpluggable-cpus' lists the places", c->dev.id,
                   n);
    else if (c->node >= 0 && c->node != (s->node ? s->node[n] : 0))
        error_setf(errp, "device '%s': node-id=%d: the place is in node %d (-numa)", c->dev.id, c->node,
                   s->node ? s->node[n] : 0);
    else
        return true;
    return false;
}

static bool start(Device *d, Error **errp)
{
    CpuDevice *c = (CpuDevice *)d;
    Machine *m = machine_current();
    CpuSlots *s = m ? m->cpu_slots : NULL;
    if (!s) {
        error_setf(errp, "device '%s': machine '%s' takes no CPUs as devices; use -smp", d->id,
                   m ? m->type->name : "none");
        return false;
    }
    if (strcmp(d->type->name, s->type_name)) {
        error_setf(errp, "device '%s': all CPUs of a machine are of one model: use %s, or another -cpu", d->id,
                   s->type_name);
        return false;
    }
    int n = find_place(c, s, errp);
    if (n < 0 || !check_place(c, s, n, errp) || !s->fill(m, (unsigned)n, errp))
        return false;
    s->slot[n].filled = true;
    s->slot[n].dev = d;
    c->socket = (int32_t)s->slot[n].socket, c->die = (int32_t)s->slot[n].die, c->core = (int32_t)s->slot[n].core,
    c->thread = (int32_t)s->slot[n].thread;
    return true;
}

static void stop(Device *d)
{
    Machine *m = machine_current();
    int n = m ? cpu_slots_find(m->cpu_slots, d) : -1;
    if (n < 0)
        return;
    m->cpu_slots->slot[n].filled = false;
    m->cpu_slots->slot[n].dev = NULL;
    m->cpu_slots->empty(m, (unsigned)n);
}

static const Property props[] = {
    PROP_(PROP_I32, "socket-id", CpuDevice, socket, -1, "socket"),
    PROP_(PROP_I32, "die-id", CpuDevice, die, -1, "die in the socket"),
    PROP_(PROP_I32, "core-id", CpuDevice, core, -1, "core in the die"),
    PROP_(PROP_I32, "thread-id", CpuDevice, thread, -1, "thread in the core"),
    PROP_(PROP_I32, "node-id", CpuDevice, node, -1, "NUMA node, as -numa has it"),
    DEFINE_PROP_END,
};

void cpu_slots_register_types(const char *const *models, const char *suffix)
{
    for (; *models; models++) {
        DeviceType *t = g_new(DeviceType, 1); /* for good */
        *t = (DeviceType){ .name = g_strdup_printf("%s-%s", *models, suffix),
                           .desc = "A CPU",
                           .category = "CPU",
                           .size = sizeof(CpuDevice),
                           .bus = "cpu-slot",
                           .user_creatable = true,
                           .props = props,
                           .start = start,
                           .stop = stop };
        device_register(t);
    }
}
