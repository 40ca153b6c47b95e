/* SPDX-License-Identifier: MIT */
/*
 * Groups and the container: the one I/O address space of all devices, type 1 version 2. Whatever is RAM in the guest's memory is mapped there at its
 * guest address, and unmapped when it goes; so its pages stay where they are, and none goes back to the host meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "base/rcu.h"
#include "hw/core/machine.h"
#include "hw/core/ram.h"
#include "hw/vfio/vfio.h"

enum { PAGE = 4096, RESET_MAX = 4096 };

typedef struct Mapping { uint64_t at, size; uint8_t *host; bool readonly; } Mapping;
typedef struct Group { int number, fd; unsigned devices; } Group;

static struct {
    int fd;
    AddressSpace *as;
    GArray *maps;   /* of Mapping, in order of address; map lock */
    GArray *groups; /* of Group; main thread */
} container = { .fd = -1 };

/* ---- mapping ---- */

static void add_section(hwaddr at, const MemSection *s, void *opaque)
{
    GArray *out = opaque;
    RamBlock block;
    uint64_t skip = align_up(at, PAGE) - at, len = s->len > skip ? align_down(s->len - skip, PAGE) : 0;
    if (!len || !s->host || s->ram_addr == UINT64_MAX || !ram_block_find(s->ram_addr, &block) || block.foreign)
        return;
    Mapping m = { at + skip, MIN(len, block.start + block.size - s->ram_addr - skip), s->host + skip, s->readonly };
    g_array_append_val(out, m);
}

/* RAM as the guest's memory shows it now. */
static GArray *present_maps(AddressSpace *as)
{
    GArray *out = g_array_new(false, false, sizeof(Mapping));
    as_foreach_section(as, add_section, out);
    return out;
}

static bool same(const Mapping *a, const Mapping *b)
{
    return a->at == b->at && a->size == b->size && a->host == b->host && a->readonly == b->readonly;
}

static bool contains(const GArray *list, const Mapping *m)
{
    for (unsigned i = 0; i < list->len; i++) {
        if (same(&g_array_index(list, Mapping, i), m))
            return true;
    }
    return false;
}

static void unmap(const Mapping *m)
{
    struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u), .iova = m->at, .size = m->size };
    if (vfio_host->ioctl(container.fd, VFIO_IOMMU_UNMAP_DMA, &u))
        warn_reportf("vfio: memory at 0x%" PRIx64 " can't be taken from the host's IOMMU: %s", m->at, g_strerror(errno));
}

static bool map(const Mapping *m, Error **errp)
{
    struct vfio_iommu_type1_dma_map d = { .argsz = sizeof(d), .vaddr = (uintptr_t)m->host, .iova = m->at, .size = m->size,
                                          .flags = VFIO_DMA_MAP_FLAG_READ | (m->readonly ? 0 : VFIO_DMA_MAP_FLAG_WRITE) };
    if (!vfio_host->ioctl(container.fd, VFIO_IOMMU_MAP_DMA, &d))
        return true;
    error_setf(errp, "vfio: %" PRIu64 " KiB at 0x%" PRIx64 " can't be mapped for DMA: %s%s", m->size / KiB, m->at, g_strerror(errno),
               errno == ENOMEM ? "; raise the limit of locked memory (ulimit -l)" : "");
    return false;
}

/* What is not there any more goes first: addresses may be taken again. */
static bool update(Error **errp)
{
    GArray *now = present_maps(container.as);
    Error *err = NULL;
    for (unsigned i = 0; i < container.maps->len; i++) {
        if (!contains(now, &g_array_index(container.maps, Mapping, i)))
            unmap(&g_array_index(container.maps, Mapping, i));
    }
    for (unsigned i = 0; i < now->len;) {
        const Mapping *m = &g_array_index(now, Mapping, i);
        if (contains(container.maps, m) || map(m, err ? NULL : &err))
            i++;
        else
            g_array_remove_index(now, i);
    }
    g_array_unref(container.maps);
    container.maps = now;
    if (!err)
        return true;
    error_propagate(errp, err);
    return false;
}

static void memory_changed(void *opaque)
{
    Error *err = NULL;
    if (update(&err))
        return;
    warn_reportf("%s; devices can't reach it", err->message);
    error_free(err);
}

/* ---- container ---- */

static bool open_container(const char *who, Error **errp)
{
    if (container.fd >= 0)
        return true;
    container.fd = vfio_host->open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (container.fd < 0) {
        error_setf(errp, "device '%s': can't open /dev/vfio/vfio: %s; %s", who, g_strerror(errno),
                   errno == ENOENT ? "load the host's modules vfio-pci and vfio_iommu_type1, and switch its IOMMU on (intel_iommu=on, amd_iommu=on)"
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
    container.maps = g_array_new(false, false, sizeof(Mapping));
    container.groups = g_array_new(false, false, sizeof(Group));
    return true;
}

static void close_container(void)
{
    if (container.fd < 0 || container.groups->len)
        return;
    if (container.as) {
        as_remove_listener(container.as, memory_changed, NULL);
        ram_discard_inhibit(false);
    }
    vfio_host->close(container.fd); /* with it go the mappings */
    g_array_unref(container.maps);
    g_array_unref(container.groups);
    container.fd = -1;
    container.as = NULL;
    container.maps = container.groups = NULL;
}

/* The IOMMU can be chosen once there is a group. */
static bool start_container(Error **errp)
{
    if (container.as)
        return true;
    if (vfio_host->ioctl(container.fd, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU)) {
        error_setf(errp, "vfio: the host refuses the IOMMU: %s; may interrupts be remapped there?", g_strerror(errno));
        return false;
    }
    container.as = machine_current()->as_memory;
    ram_discard_inhibit(true);
    as_add_listener(container.as, memory_changed, NULL);
    return update(errp);
}

/* ---- groups ---- */

static Group *find_group(int number)
{
    for (unsigned i = 0; i < container.groups->len; i++) {
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
                   errno == ENOENT ? "bind the host's device to vfio-pci (driverctl set-override ADDRESS vfio-pci)" : "give the user access to it");
        return -1;
    }
    if (vfio_host->ioctl(fd, VFIO_GROUP_GET_STATUS, &status) || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        error_setf(errp, "device '%s': group %d is not whole; bind all devices in /sys/kernel/iommu_groups/%d/devices to vfio-pci", who, number, number);
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
        vfio_host->ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
        vfio_host->close(g->fd);
        g_array_remove_index(container.groups, (guint)(g - (Group *)container.groups->data));
    }
    close_container();
}

static Group *get_group(const char *who, int number, Error **errp)
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
        g_array_append_val(container.groups, made);
        g = find_group(number);
    }
    g->devices++;
    if (start_container(errp))
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
        error_setf(errp, "device '%s': %s: %s; does the host have this device, and its IOMMU switched on (intel_iommu=on, amd_iommu=on)?", who, link,
                   g_strerror(errno));
        return -1;
    }
    target[n] = 0;
    return atoi(strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

bool vfio_attach(VfioDevice *v, const char *who, const char *path, Error **errp)
{
    struct vfio_device_info info = { .argsz = sizeof(info) };
    g_autofree char *name = g_path_get_basename(path);
    int number = group_number(who, path, errp);
    *v = (VfioDevice){ .fd = -1, .group = -1 };
    Group *g = number < 0 ? NULL : get_group(who, number, errp);
    if (!g)
        return false;
    v->group = number;
    v->fd = vfio_host->ioctl(g->fd, VFIO_GROUP_GET_DEVICE_FD, name);
    if (v->fd < 0 || vfio_host->ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info) || !(info.flags & VFIO_DEVICE_FLAGS_PCI)) {
        error_setf(errp, "device '%s': the host does not give '%s' as a PCI device: %s; is it in use by another program?", who, name, g_strerror(errno));
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
    if (v->group < 0)
        return;
    if (v->fd >= 0)
        vfio_host->close(v->fd);
    put_group(v->group);
    *v = (VfioDevice){ .fd = -1, .group = -1 };
}

/* ---- reset ---- */

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

static bool may_reset(const struct vfio_pci_hot_reset_info *info, const char *who, bool alone)
{
    for (unsigned i = 0; i < info->count; i++) {
        const struct vfio_pci_dependent_device *d = &info->devices[i];
        if (!find_group((int)d->group_id)) {
            warn_reportf("device '%s' can't be reset: the host's function %04x:%02x:%02x.%u goes with it, but is not this machine's; add it, too", who,
                         d->segment, d->bus, d->devfn >> 3, d->devfn & 7u);
            return false;
        }
    }
    return !alone || info->count == 1;
}

static void hot_reset(const VfioDevice *v, const char *who, bool alone)
{
    g_autofree struct vfio_pci_hot_reset_info *info = reset_info(v);
    if (!info || !may_reset(info, who, alone))
        return;
    unsigned count = alone ? 1 : container.groups->len;
    g_autofree struct vfio_pci_hot_reset *r = g_malloc0(sizeof(*r) + count * sizeof(r->group_fds[0]));
    r->argsz = (uint32_t)(sizeof(*r) + count * sizeof(r->group_fds[0]));
    r->count = count;
    for (unsigned i = 0; i < count; i++)
        r->group_fds[i] = alone ? find_group(v->group)->fd : g_array_index(container.groups, Group, i).fd;
    if (vfio_host->ioctl(v->fd, VFIO_DEVICE_PCI_HOT_RESET, r))
        warn_reportf("device '%s': the host does not reset it: %s", who, g_strerror(errno));
}

void vfio_reset(const VfioDevice *v, const char *who, bool alone)
{
    if (!(v->flags & VFIO_DEVICE_FLAGS_RESET) || vfio_host->ioctl(v->fd, VFIO_DEVICE_RESET, NULL))
        hot_reset(v, who, alone);
}
