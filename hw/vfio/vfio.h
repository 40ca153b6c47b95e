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
#include "base/object.h"
#include "hw/core/memory.h"
#include "hw/pci/pci.h"

/* The system calls, so that tests can be the host. As the calls of these names; errors by errno. */
typedef struct VfioHost {
    int (*open)(const char *path, int flags);
    int (*close)(int fd);
    int (*ioctl)(int fd, unsigned long request, void *arg);
    void *(*mmap)(size_t len, int prot, int fd, uint64_t offset); /* shared; undone by munmap(); NULL: refused */
    ssize_t (*pread)(int fd, void *buf, size_t len, uint64_t offset);
    ssize_t (*pwrite)(int fd, const void *buf, size_t len, uint64_t offset);
    ssize_t (*readlink)(const char *path, char *buf, size_t len);
    /* a name in it that begins so; malloc'd; NULL: none */
    char *(*first_entry)(const char *folder, const char *prefix);
} VfioHost;
extern const VfioHost *vfio_host;

/* A region of the device's file. */
typedef struct VfioRegion {
    uint64_t size, offset;
    uint32_t flags;
} VfioRegion;

typedef struct Iommufd Iommufd; /* -object iommufd */

/* The device itself. All of the guest's memory is mapped for DMA, in the container of all groups or in its iommufd. */
typedef struct VfioDevice {
    int fd, group;    /* group: number; -1: it has none */
    Iommufd *iommufd; /* NULL: none */
    PciDevice *behind; /* the guest's function, whose accesses its IOMMU translates; NULL: they are not */
    uint32_t flags, regions, irqs;
} VfioDevice;

/*
 * Main thread. path: of the device in sysfs, "/sys/bus/pci/devices/0000:01:00.0". iommufd: the id of an object, NULL:
 * by its group. `who` is the guest's device, for messages. behind: as in VfioDevice.
 */
bool vfio_attach(VfioDevice *v, const char *who, const char *path, const char *iommufd, PciDevice *behind,
                 Error **errp);
void vfio_detach(VfioDevice *v);
bool vfio_region(const VfioDevice *v, unsigned index, VfioRegion *out); /* false: there is none */
/* The part of a region that may be mapped whole: [*at, *at + *len); false: none of it. */
bool vfio_region_mappable(const VfioDevice *v, unsigned index, uint64_t *at, uint64_t *len);
unsigned vfio_irq_count(const VfioDevice *v, unsigned index);
/* Signal these eventfds; count 0: none of them any more. */
bool vfio_irq_signal(const VfioDevice *v, unsigned index, const int *fd, unsigned count);
bool vfio_irq_unmask(const VfioDevice *v, unsigned index);
/* whenever this eventfd is signalled, until the signals end */
bool vfio_irq_unmask_by(const VfioDevice *v, unsigned index, int fd);
/*
 * The function's own reset; where it has none, that of its slot or bus, if all functions there are this machine's
 * (alone: this one only).
 */
void vfio_reset(const VfioDevice *v, const char *who, bool alone);

/* ---- among the parts of this folder ---- */

/*
 * An I/O address space: whatever is RAM in the guest's memory stands there at its guest address; of a device behind the
 * guest's IOMMU, which has it for itself then: where that says.
 */
typedef struct VfioSpace VfioSpace;
struct VfioSpace {
    /* 0, or -1 and errno; `at` and `size` in whole pages */
    int (*map)(VfioSpace *s, uint64_t at, uint64_t size, void *host, bool readonly);
    int (*unmap)(VfioSpace *s, uint64_t at, uint64_t size);
    AddressSpace *as; /* NULL: not started */
    GArray *maps;     /* what is mapped, in order of address; map lock */
    PciDevice *behind; /* as in VfioDevice */
};
/* from now on it follows the guest's memory; a second time: no-op */
bool vfio_space_start(VfioSpace *s, PciDevice *behind, Error **errp);
void vfio_space_stop(VfioSpace *s);                /* the host forgets what is mapped by itself */

/* container.c: groups. */
bool vfio_group_attach(VfioDevice *v, const char *who, const char *path, Error **errp);
void vfio_group_detach(VfioDevice *v);
int vfio_group_fd(int number);        /* -1: the group is not ours */
unsigned vfio_group_fds(int32_t fd[]); /* of all groups, NULL: how many */
/* iommufd.c */
bool vfio_iommufd_attach(VfioDevice *v, const char *who, const char *path, const char *id, Error **errp);
void vfio_iommufd_detach(VfioDevice *v);
#endif
