/* SPDX-License-Identifier: MIT */
/* Devices of the host for the guest, through Linux's VFIO (Documentation/driver-api/vfio.rst, <linux/vfio.h>). */
#ifndef HW_VFIO_VFIO_H
#define HW_VFIO_VFIO_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/* The system calls, so that tests can be the host. As the calls of these names; errors by errno. */
typedef struct VfioHost {
    int (*open)(const char *path, int flags);
    int (*close)(int fd);
    int (*ioctl)(int fd, unsigned long request, void *arg);
    void *(*mmap)(size_t len, int prot, int fd, uint64_t offset); /* shared; undone by munmap(); NULL: refused */
    ssize_t (*pread)(int fd, void *buf, size_t len, uint64_t offset);
    ssize_t (*pwrite)(int fd, const void *buf, size_t len, uint64_t offset);
    ssize_t (*readlink)(const char *path, char *buf, size_t len);
} VfioHost;
extern const VfioHost *vfio_host;

/* A region of the device's file. */
typedef struct VfioRegion {
    uint64_t size, offset;
    uint32_t flags;
} VfioRegion;

/* The device itself; its group is in the one container, in which all of the guest's memory is mapped for DMA. */
typedef struct VfioDevice {
    int fd, group; /* group: number; -1: not attached */
    uint32_t flags, regions, irqs;
} VfioDevice;

/* Main thread. path: of the device in sysfs, "/sys/bus/pci/devices/0000:01:00.0". `who` is the guest's device, for messages. */
bool vfio_attach(VfioDevice *v, const char *who, const char *path, Error **errp);
void vfio_detach(VfioDevice *v);
bool vfio_region(const VfioDevice *v, unsigned index, VfioRegion *out); /* false: there is none */
/* The part of a region that may be mapped whole: [*at, *at + *len); false: none of it. */
bool vfio_region_mappable(const VfioDevice *v, unsigned index, uint64_t *at, uint64_t *len);
unsigned vfio_irq_count(const VfioDevice *v, unsigned index);
/* Signal these eventfds; count 0: none of them any more. */
bool vfio_irq_signal(const VfioDevice *v, unsigned index, const int *fd, unsigned count);
bool vfio_irq_unmask(const VfioDevice *v, unsigned index);
/* The function's own reset; where it has none, that of its slot or bus, if all functions there are this machine's (alone: this one only). */
void vfio_reset(const VfioDevice *v, const char *who, bool alone);
#endif
