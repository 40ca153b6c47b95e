/* SPDX-License-Identifier: MIT */
/* Places for CPUs: which are filled, and CPUs as devices that come and go ("MODEL-x86_64-cpu"). */
#ifndef HW_CORE_CPU_SLOTS_H
#define HW_CORE_CPU_SLOTS_H

#include "hw/core/cpu-port.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

typedef struct CpuSlot {
    uint32_t socket, die, core, thread; /* die counts over the socket, core over the die, thread over the core */
    uint32_t arch_id;
    bool filled;
    Device *dev;   /* that fills it; NULL: made with the machine, it stays */
} CpuSlot;

/* A board's; the index is the vCPU's, SMP order. Machine.cpu_slots; main thread. */
typedef struct CpuSlots {
    CpuSlot *slot;
    unsigned count;
    bool with_dies;          /* the topology has a level of dies */
    char *type_name;         /* of the devices that fit: "qemu64-x86_64-cpu" */
    const uint8_t *node;     /* NUMA nodes of the CPUs, or NULL */
    /* Make the vCPU of the slot and its interrupt controller, or free them; the vCPUs stand. */
    bool (*fill)(Machine *m, unsigned n, Error **errp);
    void (*empty)(Machine *m, unsigned n);
} CpuSlots;

/* model: of -cpu, with or without features; suffix: of the architecture's device types. */
CpuSlots *cpu_slots_new(const MachineConfig *c, const char *model, const char *suffix);
void cpu_slots_free(CpuSlots *s);
unsigned cpu_slots_filled(const CpuSlots *s);
int cpu_slots_find(const CpuSlots *s, const Device *d); /* -1: it fills none */
/* `info hotpluggable-cpus`. */
void cpu_slots_print(const CpuSlots *s, GString *out);

/* Device types "MODEL-SUFFIX" for each model, on a bus of kind "cpu-slot". Before main. */
void cpu_slots_register_types(const char *const *models, const char *suffix);
#endif
