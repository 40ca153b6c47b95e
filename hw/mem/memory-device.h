/* SPDX-License-Identifier: MIT */
/* Devices that are memory (pc-dimm, nvdimm, virtio-mem, virtio-pmem): their place in the machine's device memory. */
#ifndef HW_MEM_MEMORY_DEVICE_H
#define HW_MEM_MEMORY_DEVICE_H

#include "hw/core/machine.h"

typedef struct MemoryDevice MemoryDevice;
struct MemoryDevice {
    Device *dev;
    MemRegion *region;    /* what is mapped */
    uint64_t addr, size;  /* addr 0 before plugging: any */
    uint32_t node;
    int slot;             /* of -m slots=; -1: any; MEMORY_DEVICE_NO_SLOT: it takes none */
    const char *kind;     /* for `info memory-devices` */
    uint64_t plugged;     /* bytes that the guest may use now */
    bool hotplugged;
    MemoryDevice *next;
};
enum { MEMORY_DEVICE_NO_SLOT = -2 };

/*
 * Give d an address and a slot and map its region. Fails when -m leaves no room, or the place asked for is taken.
 * Main thread.
 */
bool memory_device_plug(MemoryDevice *d, uint64_t align, Error **errp);
void memory_device_unplug(MemoryDevice *d);
MemoryDevice *memory_device_first(void); /* sorted by address */

/* The board's part: the range for them; tables and firmware then say so. config.ram_max is set. */
void memory_devices_init(Machine *m, hwaddr at);
void memory_devices_free(void);
bool memory_devices_range(hwaddr *at, uint64_t *size); /* false: there is none */
/* Where the range ends; `at` when there is none. */
hwaddr memory_devices_end(const Machine *m, hwaddr at);
#endif
