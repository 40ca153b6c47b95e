/* SPDX-License-Identifier: MIT */
/*
 * -object iommufd: an I/O address space of Linux's /dev/iommu for devices that come by a file of their own,
 * /dev/vfio/devices/vfioN, without groups.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "hw/core/dma-host.h"
#include "hw/vfio/iommufd-abi.h"
#include "hw/vfio/vfio.h"

struct Iommufd {
    Object object;  /* always first */
    int32_t given;  /* property: a descriptor that the user has opened; -1: none */
    VfioSpace space;
    int fd;
    uint32_t ioas;
    unsigned devices;
};

static Iommufd *of_space(VfioSpace *s) { return (Iommufd *)((char *)s - offsetof(Iommufd, space)); }

static int map(VfioSpace *s, uint64_t at, uint64_t size, void *host, bool readonly)
{
    const Iommufd *i = of_space(s);
    IommufdIoasMap m = { .size = sizeof(m), .ioas = i->ioas, .host = (uintptr_t)host, .len = size, .at = at,
                         .flags = IOMMUFD_MAP_FIXED | IOMMUFD_MAP_READABLE | (readonly ? 0 : IOMMUFD_MAP_WRITEABLE) };
    return vfio_host->ioctl(i->fd, IOMMUFD_IOAS_MAP, &m);
}

static int unmap(VfioSpace *s, uint64_t at, uint64_t size)
{
    const Iommufd *i = of_space(s);
    IommufdIoasUnmap u = { .size = sizeof(u), .ioas = i->ioas, .at = at, .len = size };
    return vfio_host->ioctl(i->fd, IOMMUFD_IOAS_UNMAP, &u);
}

/* ---- the first device opens, the last one closes ---- */

static bool begin(Iommufd *i, Error **errp)
{
    IommufdIoasAlloc a = { .size = sizeof(a) };
    i->fd = i->given >= 0 ? i->given : vfio_host->open("/dev/iommu", O_RDWR | O_CLOEXEC);
    if (i->fd < 0) {
        error_setf(errp, "object '%s': can't open /dev/iommu: %s; %s", i->object.id, g_strerror(errno),
                   errno == ENOENT
                       ? "it takes Linux 6.2 with the module iommufd; without iommufd= devices come by their groups"
                       : "give the user access to it");
        return false;
    }
    if (!vfio_host->ioctl(i->fd, IOMMUFD_IOAS_ALLOC, &a)) {
        i->ioas = a.ioas;
        return true;
    }
    error_setf(errp, "object '%s': the host makes no I/O address space: %s%s", i->object.id, g_strerror(errno),
               i->given >= 0 ? "; is fd= a descriptor of /dev/iommu?" : "");
    if (i->given < 0)
        vfio_host->close(i->fd);
    return false;
}

/* A descriptor of the user's stays open, so that the address space goes by itself. */
static void end(Iommufd *i)
{
    IommufdDestroy d = { .size = sizeof(d), .id = i->ioas };
    vfio_space_stop(&i->space);
    if (vfio_host->ioctl(i->fd, IOMMUFD_DESTROY, &d))
        warn_reportf("object '%s': the host keeps its I/O address space: %s", i->object.id, g_strerror(errno));
    if (i->given < 0)
        vfio_host->close(i->fd);
}

/* ---- devices ---- */

static int open_device(const char *who, const char *path, Error **errp)
{
    g_autofree char *folder = g_build_filename(path, "vfio-dev", NULL), *name = vfio_host->first_entry(folder, "vfio");
    if (!name) {
        error_setf(errp,
                   "device '%s': %s is empty; bind the host's device to vfio-pci (driverctl set-override ADDRESS "
                   "vfio-pci) of Linux 6.6 or later",
                   who, folder);
        return -1;
    }
    g_autofree char *file = g_build_filename("/dev/vfio/devices", name, NULL);
    int fd = vfio_host->open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        error_setf(errp, "device '%s': can't open %s: %s; %s", who, file, g_strerror(errno),
                   errno == ENOENT ? "the host's kernel lacks CONFIG_VFIO_DEVICE_CDEV: leave iommufd= out"
                                   : "give the user access to it");
    return fd;
}

static bool bind(VfioDevice *v, const char *who, Error **errp)
{
    VfioCdevBind b = { .argsz = sizeof(b), .iommufd = v->iommufd->fd };
    VfioCdevAttach a = { .argsz = sizeof(a), .ioas = v->iommufd->ioas };
    if (vfio_host->ioctl(v->fd, VFIO_CDEV_BIND, &b))
        error_setf(errp, "device '%s': the host does not bind it to iommufd '%s': %s; is it in use by another program?",
                   who, v->iommufd->object.id, g_strerror(errno));
    else if (vfio_host->ioctl(v->fd, VFIO_CDEV_ATTACH, &a))
        error_setf(errp,
                   "device '%s': the host refuses the I/O address space of iommufd '%s': %s; may interrupts be "
                   "remapped there?",
                   who, v->iommufd->object.id, g_strerror(errno));
    else
        return vfio_space_start(&v->iommufd->space, v->behind, errp);
    return false;
}

bool vfio_iommufd_attach(VfioDevice *v, const char *who, const char *path, const char *id, Error **errp)
{
    Iommufd *i = (Iommufd *)object_take(id, "iommufd", errp);
    if (!i)
        return false;
    if (!i->devices && !begin(i, errp)) {
        object_release(&i->object);
        return false;
    }
    i->devices++;
    v->iommufd = i;
    v->fd = open_device(who, path, errp);
    if (v->fd < 0)
        return false;
    dma_host_tell(v->fd, true);
    return bind(v, who, errp);
}

void vfio_iommufd_detach(VfioDevice *v)
{
    if (!--v->iommufd->devices)
        end(v->iommufd);
    object_release(&v->iommufd->object);
}

static bool complete(Object *o, Error **errp)
{
    ((Iommufd *)o)->space = (VfioSpace){ .map = map, .unmap = unmap };
    return true;
}

static const Property props[] = {
    PROP_(PROP_I32, "fd", Iommufd, given, -1, "an open descriptor of /dev/iommu"),
    DEFINE_PROP_END,
};
static const ObjectType type = { .name = "iommufd",
                                 .desc = "an I/O address space for vfio-pci devices",
                                 .size = sizeof(Iommufd),
                                 .props = props,
                                 .complete = complete };
OBJECT_REGISTER(type)
