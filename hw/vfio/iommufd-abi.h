/* SPDX-License-Identifier: MIT */
/*
 * Calls of Linux 6.2 and later (/dev/iommu) and 6.6 (devices without groups), which the headers of older systems lack:
 * numbers and layouts as the kernel documents them (Documentation/userspace-api/iommufd.rst,
 * Documentation/driver-api/vfio.rst).
 */
#ifndef HW_VFIO_IOMMUFD_ABI_H
#define HW_VFIO_IOMMUFD_ABI_H

#include <linux/vfio.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* /dev/iommu: `size` is that of the structure. */
#define IOMMUFD_DESTROY _IO(';', 0x80)
#define IOMMUFD_IOAS_ALLOC _IO(';', 0x81)
#define IOMMUFD_IOAS_MAP _IO(';', 0x85)
#define IOMMUFD_IOAS_UNMAP _IO(';', 0x86)

typedef struct IommufdDestroy { uint32_t size, id; } IommufdDestroy;
typedef struct IommufdIoasAlloc { uint32_t size, flags, ioas /* out */; } IommufdIoasAlloc;
enum { IOMMUFD_MAP_FIXED = 1, IOMMUFD_MAP_WRITEABLE = 2, IOMMUFD_MAP_READABLE = 4 };
typedef struct IommufdIoasMap {
    uint32_t size, flags, ioas, zero;
    uint64_t host, len, at;
} IommufdIoasMap;
typedef struct IommufdIoasUnmap {
    uint32_t size, ioas;
    uint64_t at, len;
} IommufdIoasUnmap;

/* The file of a device, /dev/vfio/devices/vfioN: `argsz` is the structure's size, flags are 0. */
#define VFIO_CDEV_BIND _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_CDEV_ATTACH _IO(VFIO_TYPE, VFIO_BASE + 19)

typedef struct VfioCdevBind {
    uint32_t argsz, flags;
    int32_t iommufd;
    uint32_t device; /* out */
} VfioCdevBind;
typedef struct VfioCdevAttach { uint32_t argsz, flags, ioas; } VfioCdevAttach;

/*
 * VFIO_DEVICE_GET_PCI_HOT_RESET_INFO gives numbers in the iommufd instead of groups; this one for a function that this
 * process does not have.
 */
#define VFIO_HOT_RESET_NOT_OURS UINT32_MAX
#endif
