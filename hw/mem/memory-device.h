/* SPDX-License-Identifier: MIT */
/* Devices that are memory (pc-dimm, nvdimm, virtio-mem, virtio-pmem): their place in the machine's device memory. */
#ifndef HW_MEM_MEMORY_DEVICE_H
#define HW_MEM_MEMORY_DEVICE_H

#include "hw/core/machine.h"
#include "hw/mem/backend.h"

typedef struct MemoryDevice MemoryDevice;
struct MemoryDevice {
    /* the device's properties */
    char *memdev;
    uint64_t addr;        /* 0 before plugging: any */
    uint32_t node;
    int32_t slot;         /* of -m slots=; -1: any; MEMORY_DEVICE_NO_SLOT: it takes none */
    /* memory_device_take() */
    Device *dev;
    MemoryBackend *backend;
    MemRegion *region;    /* what is mapped */
    uint64_t size;
    uint64_t plugged;     /* bytes that the guest may use now: all, unless the device says otherwise */
    const char *kind;     /* for `info memory-devices` */
    /* memory_device_plug() */
    bool hotplugged;
    MemoryDevice *next;
};
enum { MEMORY_DEVICE_NO_SLOT = -2 };

/* f: the MemoryDevice in T. */
#define MEMORY_DEVICE_PROPS(T, f, addr_name) \
    DEFINE_PROP_STRING("memdev", T, f.memdev, NULL, "id of the memory back end"), \
    DEFINE_PROP_U64(addr_name, T, f.addr, 0, "guest address, 0: any")
#define MEMORY_DEVICE_NODE_PROP(T, f) DEFINE_PROP_U32("node", T, f.node, 0, "NUMA node")

/*
 * All in the main thread. take: the back end that `memdev` names becomes d's memory. plug: give it an address and a
 * slot and map it; fails when -m leaves no room, or the place asked for is taken. unplug undoes both, whatever of them
 * was done.
 */
bool memory_device_take(MemoryDevice *d, Device *dev, const char *kind, Error **errp);
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
