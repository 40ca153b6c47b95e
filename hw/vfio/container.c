/* SPDX-License-Identifier: MIT */
/* Groups and the container: the one I/O address space of all devices that come by their group, type 1 version 2. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "hw/core/dma-host.h"
#include "hw/vfio/vfio.h"

typedef struct Group { int number, fd; unsigned devices; } Group;

static int map(VfioSpace *s, uint64_t at, uint64_t size, void *host, bool readonly);
static int unmap(VfioSpace *s, uint64_t at, uint64_t size);

static struct {
    VfioSpace space;
    int fd;
    GArray *groups; /* of Group; main thread */
} container = { .space = { .map = map, .unmap = unmap }, .fd = -1 };

static int map(VfioSpace *s, uint64_t at, uint64_t size, void *host, bool readonly)
{
    struct vfio_iommu_type1_dma_map d = { .argsz = sizeof(d), .vaddr = (uintptr_t)host, .iova = at, .size = size,
                                          .flags = VFIO_DMA_MAP_FLAG_READ | (readonly ? 0 : VFIO_DMA_MAP_FLAG_WRITE) };
    return vfio_host->ioctl(container.fd, VFIO_IOMMU_MAP_DMA, &d);
}

static int unmap(VfioSpace *s, uint64_t at, uint64_t size)
{
    struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u), .iova = at, .size = size };
    return vfio_host->ioctl(container.fd, VFIO_IOMMU_UNMAP_DMA, &u);
}

/* ---- container ---- */

static bool open_container(const char *who, Error **errp)
{
    if (container.fd >= 0)
        return true;
    container.fd = vfio_host->open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (container.fd < 0) {
        error_setf(errp, "device '%s': can't open /dev/vfio/vfio: %s; %s", who, g_strerror(errno),
                   errno == ENOENT ? "load the host's modules vfio-pci and vfio_iommu_type1, and switch its IOMMU on "
                                     "(intel_iommu=on, amd_iommu=on)"
                                   : "give the user access to it");
        return false;
    }
    if (vfio_host->ioctl(container.fd, VFIO_GET_API_VERSION, NULL) != VFIO_API_VERSION ||
        !vfio_host->ioctl(container.fd, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU)) {
        error_setf(errp, "device '%s': the host's VFIO has no IOMMU of type 1, version 2; load vfio_iommu_type1", who);
        vfio_host->close(container.fd);
        container.fd = -1;
        return false;
    }
    container.groups = g_array_new(false, false, sizeof(Group));
    return true;
}

static void close_container(void)
{
    if (container.fd < 0 || container.groups->len)
        return;
    vfio_space_stop(&container.space);
    vfio_host->close(container.fd); /* with it go the mappings */
    container.fd = -1;
    g_clear_pointer(&container.groups, g_array_unref);
}

/* The IOMMU can be chosen once there is a group. */
static bool start_container(PciDevice *behind, Error **errp)
{
    if (!container.space.as && vfio_host->ioctl(container.fd, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU)) {
        error_setf(errp, "vfio: the host refuses the IOMMU: %s; may interrupts be remapped there?", g_strerror(errno));
        return false;
    }
    return vfio_space_start(&container.space, behind, errp);
}

/* ---- groups ---- */

static Group *find_group(int number)
{
    for (unsigned i = 0; container.groups && i < container.groups->len; i++) {
        Group *g = &g_array_index(container.groups, Group, i);
        if (g->number == number)
            return g;
    }
    return NULL;
}

static int open_group(const char *who, int number, Error **errp)
{
    g_autofree char *path = g_strdup_printf("/dev/vfio/%d", number);
    struct vfio_group_status status = { .argsz = sizeof(status) };
    int fd = vfio_host->open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        error_setf(errp, "device '%s': can't open %s: %s; %s", who, path, g_strerror(errno),
                   errno == ENOENT ? "bind the host's device to vfio-pci (driverctl set-override ADDRESS vfio-pci)"
                                   : "give the user access to it");
        return -1;
    }
    if (vfio_host->ioctl(fd, VFIO_GROUP_GET_STATUS, &status) || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        error_setf(
            errp,
            "device '%s': group %d is not whole; bind all devices in /sys/kernel/iommu_groups/%d/devices to vfio-pci",
            who, number, number);
    else if (vfio_host->ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container.fd))
        error_setf(errp, "device '%s': group %d: %s", who, number, g_strerror(errno));
    else
        return fd;
    vfio_host->close(fd);
    return -1;
}

static void put_group(int number)
{
    Group *g = find_group(number);
    if (g && !--g->devices) {
        dma_host_tell(g->fd, false);
        vfio_host->ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
        vfio_host->close(g->fd);
        g_array_remove_index(container.groups, (guint)(g - (Group *)container.groups->data));
    }
    close_container();
}

static Group *get_group(const VfioDevice *v, const char *who, int number, Error **errp)
{
    if (!open_container(who, errp))
        return NULL;
    Group *g = find_group(number);
    if (!g) {
        Group made = { .number = number, .fd = open_group(who, number, errp) };
        if (made.fd < 0) {
            close_container();
            return NULL;
        }
        dma_host_tell(made.fd, true);
        g_array_append_val(container.groups, made);
        g = find_group(number);
    }
    g->devices++;
    if (start_container(v->behind, errp))
        return g;
    put_group(number);
    return NULL;
}

/* ---- devices ---- */

static int group_number(const char *who, const char *path, Error **errp)
{
    g_autofree char *link = g_build_filename(path, "iommu_group", NULL);
    char target[512];
    ssize_t n = vfio_host->readlink(link, target, sizeof(target) - 1);
    if (n <= 0) {
        error_setf(errp,
                   "device '%s': %s: %s; does the host have this device, and its IOMMU switched on (intel_iommu=on, "
                   "amd_iommu=on)?",
                   who, link, g_strerror(errno));
        return -1;
    }
    target[n] = 0;
    return atoi(strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

bool vfio_group_attach(VfioDevice *v, const char *who, const char *path, Error **errp)
{
    g_autofree char *name = g_path_get_basename(path);
    int number = group_number(who, path, errp);
    Group *g = number < 0 ? NULL : get_group(v, who, number, errp);
    if (!g)
        return false;
    v->group = number;
    v->fd = vfio_host->ioctl(g->fd, VFIO_GROUP_GET_DEVICE_FD, name);
    if (v->fd >= 0)
        return true;
    error_setf(errp, "device '%s': the host does not give '%s' as a PCI device: %s; is it in use by another program?",
               who, name, g_strerror(errno));
    return false;
}

void vfio_group_detach(VfioDevice *v) { put_group(v->group); }

int vfio_group_fd(int number)
{
    const Group *g = find_group(number);
    return g ? g->fd : -1;
}

unsigned vfio_group_fds(int32_t fd[])
{
    unsigned n = container.groups ? container.groups->len : 0;
    for (unsigned i = 0; fd && i < n; i++)
        fd[i] = g_array_index(container.groups, Group, i).fd;
    return n;
}
