/* SPDX-License-Identifier: MIT */
/* The host's VFIO: system calls, and what a device's file is asked. */
#include "hw/vfio/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/bits.h"
#include "hw/core/dma-host.h"

static int host_open(const char *path, int flags) { return open(path, flags); }
static int host_ioctl(int fd, unsigned long request, void *arg) { return ioctl(fd, request, arg); }
static void *host_mmap(size_t len, int prot, int fd, uint64_t offset)
{
    void *p = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);
    return p == MAP_FAILED ? NULL : p;
}
static ssize_t host_pread(int fd, void *buf, size_t len, uint64_t offset) { return pread(fd, buf, len, (off_t)offset); }
static ssize_t host_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
    return pwrite(fd, buf, len, (off_t)offset);
}

static char *host_first_entry(const char *folder, const char *prefix)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while ((name = dir ? g_dir_read_name(dir) : NULL)) {
        if (g_str_has_prefix(name, prefix))
            return g_strdup(name);
    }
    return NULL;
}

static const VfioHost real_host = { host_open,  close,       host_ioctl, host_mmap,
                                    host_pread, host_pwrite, readlink,   host_first_entry };
const VfioHost *vfio_host = &real_host;

/* ---- life ---- */

bool vfio_attach(VfioDevice *v, const char *who, const char *path, const char *iommufd, PciDevice *behind, Error **errp)
{
    struct vfio_device_info info = { .argsz = sizeof(info) };
    *v = (VfioDevice){ .fd = -1, .group = -1, .behind = behind };
    bool ok = iommufd ? vfio_iommufd_attach(v, who, path, iommufd, errp) : vfio_group_attach(v, who, path, errp);
    if (ok && (vfio_host->ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info) || !(info.flags & VFIO_DEVICE_FLAGS_PCI))) {
        error_setf(errp, "device '%s': '%s' is not a PCI device for the host", who, path);
        ok = false;
    }
    if (!ok) {
        vfio_detach(v);
        return false;
    }
    v->flags = info.flags;
    v->regions = info.num_regions;
    v->irqs = info.num_irqs;
    return true;
}

void vfio_detach(VfioDevice *v)
{
    if (v->iommufd && v->fd >= 0)
        dma_host_tell(v->fd, false);
    if (v->fd >= 0)
        vfio_host->close(v->fd);
    if (v->iommufd)
        vfio_iommufd_detach(v);
    else if (v->group >= 0)
        vfio_group_detach(v);
    *v = (VfioDevice){ .fd = -1, .group = -1 };
}

/* ---- regions ---- */

/* With its capabilities; caller frees. NULL: there is none. */
static struct vfio_region_info *region_info(const VfioDevice *v, unsigned index)
{
    uint32_t size = sizeof(struct vfio_region_info);
    for (unsigned tries = 0; tries < 2; tries++) {
        struct vfio_region_info *r = g_malloc0(size);
        *r = (struct vfio_region_info){ .argsz = size, .index = index };
        if (vfio_host->ioctl(v->fd, VFIO_DEVICE_GET_REGION_INFO, r) == 0 && r->argsz <= size)
            return r;
        uint32_t want = r->argsz;
        g_free(r);
        if (want <= size || want > 65536)
            break;
        size = want;
    }
    return NULL;
}

bool vfio_region(const VfioDevice *v, unsigned index, VfioRegion *out)
{
    g_autofree struct vfio_region_info *r = region_info(v, index);
    *out = r ? (VfioRegion){ r->size, r->offset, r->flags } : (VfioRegion){ 0 };
    return r && r->size;
}

static const struct vfio_info_cap_header *find_cap(const struct vfio_region_info *r, uint16_t id)
{
    if (!(r->flags & VFIO_REGION_INFO_FLAG_CAPS))
        return NULL;
    for (uint32_t at = r->cap_offset; at >= sizeof(*r) && at + sizeof(struct vfio_info_cap_header) <= r->argsz;) {
        const struct vfio_info_cap_header *h = (const void *)((const char *)r + at);
        if (h->id == id)
            return h;
        at = h->next > at ? h->next : 0;
    }
    return NULL;
}

/* Of areas that are listed the largest one: the others go the slow way. */
bool vfio_region_mappable(const VfioDevice *v, unsigned index, uint64_t *at, uint64_t *len)
{
    g_autofree struct vfio_region_info *r = region_info(v, index);
    if (!r || !(r->flags & VFIO_REGION_INFO_FLAG_MMAP))
        return false;
    const struct vfio_region_info_cap_sparse_mmap *s = (const void *)find_cap(r, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
    *at = 0;
    *len = r->size;
    if (!s)
        return true;
    uint32_t room = (r->argsz - (uint32_t)((const char *)s->areas - (const char *)r)) / sizeof(s->areas[0]);
    *len = 0;
    for (unsigned i = 0; i < MIN(s->nr_areas, room); i++) {
        if (s->areas[i].size <= *len || s->areas[i].offset + s->areas[i].size > r->size)
            continue;
        *at = s->areas[i].offset;
        *len = s->areas[i].size;
    }
    return *len;
}

/* ---- interrupts ---- */

unsigned vfio_irq_count(const VfioDevice *v, unsigned index)
{
    struct vfio_irq_info i = { .argsz = sizeof(i), .index = index };
    if (index >= v->irqs || vfio_host->ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &i) || !(i.flags & VFIO_IRQ_INFO_EVENTFD))
        return 0;
    return i.count;
}

static bool set_irqs(const VfioDevice *v, unsigned index, uint32_t action, const int *fd, unsigned count)
{
    size_t size = sizeof(struct vfio_irq_set) + count * sizeof(int);
    g_autofree struct vfio_irq_set *s = g_malloc0(size);
    *s = (struct vfio_irq_set){ .argsz = (uint32_t)size, .index = index, .count = count,
                                .flags = action | (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) };
    if (count)
        memcpy(s->data, fd, count * sizeof(int));
    return vfio_host->ioctl(v->fd, VFIO_DEVICE_SET_IRQS, s) == 0;
}

bool vfio_irq_signal(const VfioDevice *v, unsigned index, const int *fd, unsigned count)
{
    return set_irqs(v, index, VFIO_IRQ_SET_ACTION_TRIGGER, fd, count);
}

bool vfio_irq_unmask(const VfioDevice *v, unsigned index)
{
    struct vfio_irq_set s = {
        .argsz = sizeof(s), .index = index, .count = 1, .flags = VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_NONE
    };
    return vfio_host->ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &s) == 0;
}

bool vfio_irq_unmask_by(const VfioDevice *v, unsigned index, int fd)
{
    return set_irqs(v, index, VFIO_IRQ_SET_ACTION_UNMASK, &fd, 1);
}
