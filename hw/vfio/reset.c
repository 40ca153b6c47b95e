/* SPDX-License-Identifier: MIT */
/*
 * Resets of a host's device: its own, or that of its slot or bus, which the host carries out for who has all functions
 * there.
 */
#include <errno.h>
#include "hw/vfio/iommufd-abi.h"
#include "hw/vfio/vfio.h"

enum { RESET_MAX = 4096 };

/* The functions that a reset of the slot or bus concerns; caller frees. NULL: the host has no such reset for it. */
static struct vfio_pci_hot_reset_info *reset_info(const VfioDevice *v)
{
    struct vfio_pci_hot_reset_info *i = g_malloc0(sizeof(*i));
    i->argsz = sizeof(*i);
    if (vfio_host->ioctl(v->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, i) && errno == ENOSPC && i->count <= RESET_MAX) {
        uint32_t size = (uint32_t)(sizeof(*i) + i->count * sizeof(i->devices[0]));
        i = g_realloc(i, size);
        *i = (struct vfio_pci_hot_reset_info){ .argsz = size };
        if (!vfio_host->ioctl(v->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, i) && i->count && i->argsz <= size)
            return i;
    }
    g_free(i);
    return NULL;
}

static bool is_ours(const VfioDevice *v, const struct vfio_pci_dependent_device *d)
{
    return v->iommufd ? d->group_id != VFIO_HOT_RESET_NOT_OURS : vfio_group_fd((int)d->group_id) >= 0;
}

static bool may_reset(const VfioDevice *v, const struct vfio_pci_hot_reset_info *info, const char *who, bool alone)
{
    for (unsigned i = 0; i < info->count; i++) {
        const struct vfio_pci_dependent_device *d = &info->devices[i];
        if (is_ours(v, d))
            continue;
        warn_reportf("device '%s' can't be reset: the host's function %04x:%02x:%02x.%u goes with it, but is not this "
                     "machine's; add it, too",
                     who, d->segment, d->bus, d->devfn >> 3, d->devfn & 7u);
        return false;
    }
    return !alone || info->count == 1;
}

/* The groups prove whose the functions are; with an iommufd there are none to name. */
static void hot_reset(const VfioDevice *v, const char *who, bool alone)
{
    g_autofree struct vfio_pci_hot_reset_info *info = reset_info(v);
    if (!info || !may_reset(v, info, who, alone))
        return;
    unsigned count = v->iommufd ? 0 : alone ? 1 : vfio_group_fds(NULL);
    g_autofree struct vfio_pci_hot_reset *r = g_malloc0(sizeof(*r) + count * sizeof(r->group_fds[0]));
    r->argsz = (uint32_t)(sizeof(*r) + count * sizeof(r->group_fds[0]));
    r->count = count;
    if (count && alone)
        r->group_fds[0] = vfio_group_fd(v->group);
    else if (count)
        vfio_group_fds(r->group_fds);
    if (vfio_host->ioctl(v->fd, VFIO_DEVICE_PCI_HOT_RESET, r))
        warn_reportf("device '%s': the host does not reset it: %s", who, g_strerror(errno));
}

void vfio_reset(const VfioDevice *v, const char *who, bool alone)
{
    if (!(v->flags & VFIO_DEVICE_FLAGS_RESET) || vfio_host->ioctl(v->fd, VFIO_DEVICE_RESET, NULL))
        hot_reset(v, who, alone);
}
