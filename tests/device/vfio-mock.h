/* SPDX-License-Identifier: MIT */
/* A host with one PCI device for VFIO, made of memory: it records what is mapped, and interrupts when told to. */
#ifndef TESTS_DEVICE_VFIO_MOCK_H
#define TESTS_DEVICE_VFIO_MOCK_H

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/bits.h"
#include "hw/vfio/iommufd-abi.h"
#include "hw/vfio/vfio.h"

enum {
    MOCK_CONTAINER = 100000,
    MOCK_GROUP,
    MOCK_DEVICE,
    MOCK_IOMMU,
    MOCK_IOAS = 7,
    MOCK_KINDS = 5 /* of interrupts */
};
enum { MOCK_REGION_STEP = 1 << 20, MOCK_BAR0 = 16384, MOCK_FAST = 8192, MOCK_VECTORS = 4 };
#define MOCK_PATH "/sys/bus/pci/devices/0000:05:00.0"

typedef struct MockMap { uint64_t iova, size, vaddr; uint32_t flags; } MockMap;
typedef enum MockFault {
    MOCK_FINE,
    MOCK_NO_SYSFS,
    MOCK_NO_VFIO,
    MOCK_NO_TYPE1,
    MOCK_NO_GROUP,
    MOCK_NOT_VIABLE,
    MOCK_BUSY,
    MOCK_NO_MEMORY,
    MOCK_NO_IOMMU,
    MOCK_NO_CDEV,
    MOCK_NO_CDEV_FILE,
    MOCK_NO_IOAS,
    MOCK_NO_BIND,
    MOCK_NO_ATTACH,
    MOCK_NO_UNMASK
} MockFault;

static struct Mock {
    uint8_t config[4096], bar2[4096], io[32], rom[2048], *bar0;
    GArray *maps; /* of MockMap */
    int fd[MOCK_KINDS][MOCK_VECTORS], unmask_fd, opened;
    unsigned count[MOCK_KINDS], unmasked, resets, hot_resets;
    bool bound, attached;     /* to the iommufd, to its address space */
    bool stranger;            /* by iommufd: a function on the same bus is another's */
    bool no_reset;            /* of its own */
    unsigned neighbour;       /* group of a function on the same bus; 0: none */
    MockFault fault;
} mock;

static inline int mock_fails(MockFault fault, int err)
{
    if (mock.fault != fault)
        return 0;
    errno = err;
    return 1;
}

static inline int mock_open(const char *path, int flags)
{
    static const struct { const char *path; int fd, err; MockFault fault;
    } files[] = {
        { "/dev/vfio/vfio", MOCK_CONTAINER, ENOENT, MOCK_NO_VFIO },
        { "/dev/vfio/42", MOCK_GROUP, EACCES, MOCK_NO_GROUP },
        { "/dev/iommu", MOCK_IOMMU, ENOENT, MOCK_NO_IOMMU },
        { "/dev/vfio/devices/vfio3", MOCK_DEVICE, ENOENT, MOCK_NO_CDEV_FILE },
    };
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        if (strcmp(path, files[i].path))
            continue;
        if (mock_fails(files[i].fault, files[i].err))
            return -1;
        mock.opened++;
        return files[i].fd;
    }
    g_assert_not_reached();
}

static inline int mock_close(int fd)
{
    g_assert_true(fd >= MOCK_CONTAINER && fd <= MOCK_IOMMU);
    mock.opened--;
    if (fd == MOCK_DEVICE)
        mock.bound = mock.attached = false;
    if (fd == MOCK_CONTAINER && mock.maps)
        g_array_set_size(mock.maps, 0);
    return 0;
}

static inline int mock_map(MockMap m)
{
    if (mock_fails(MOCK_NO_MEMORY, ENOMEM))
        return -1;
    for (unsigned i = 0; i < mock.maps->len; i++) { /* neither takes overlaps */
        MockMap *o = &g_array_index(mock.maps, MockMap, i);
        g_assert_true(m.iova + m.size <= o->iova || o->iova + o->size <= m.iova);
    }
    g_array_append_val(mock.maps, m);
    return 0;
}

static inline int mock_unmap(uint64_t iova, uint64_t size)
{
    for (unsigned i = 0; i < mock.maps->len; i++) {
        MockMap *o = &g_array_index(mock.maps, MockMap, i);
        if (o->iova != iova || o->size != size)
            continue;
        g_array_remove_index(mock.maps, i);
        return 0;
    }
    g_assert_not_reached();
}

static inline int mock_dma(unsigned long request, void *arg)
{
    const struct vfio_iommu_type1_dma_map *d = arg;
    const struct vfio_iommu_type1_dma_unmap *u = arg;
    return request == VFIO_IOMMU_MAP_DMA ? mock_map((MockMap){ d->iova, d->size, d->vaddr, d->flags })
                                         : mock_unmap(u->iova, u->size);
}

/* The flags become those of the other interface. */
static inline int mock_iommu(unsigned long request, void *arg)
{
    if (request == IOMMUFD_IOAS_ALLOC) {
        ((IommufdIoasAlloc *)arg)->ioas = MOCK_IOAS;
        return mock_fails(MOCK_NO_IOAS, EBADF) ? -1 : 0;
    }
    if (request == IOMMUFD_IOAS_MAP) {
        const IommufdIoasMap *m = arg;
        g_assert_true(m->size == sizeof(*m) && m->ioas == MOCK_IOAS && m->flags & IOMMUFD_MAP_FIXED &&
                      m->flags & IOMMUFD_MAP_READABLE && !m->zero);
        return mock_map(
            (MockMap){ m->at, m->len, m->host,
                       VFIO_DMA_MAP_FLAG_READ | (m->flags & IOMMUFD_MAP_WRITEABLE ? VFIO_DMA_MAP_FLAG_WRITE : 0) });
    }
    if (request == IOMMUFD_IOAS_UNMAP)
        return mock_unmap(((IommufdIoasUnmap *)arg)->at, ((IommufdIoasUnmap *)arg)->len);
    g_assert_true(request == IOMMUFD_DESTROY && ((IommufdDestroy *)arg)->id == MOCK_IOAS && !mock.attached);
    g_array_set_size(mock.maps, 0);
    return 0;
}

static inline int mock_bind(const VfioCdevBind *b)
{
    g_assert_true(b->argsz == sizeof(*b) && !b->flags && b->iommufd >= 0);
    mock.bound = !mock_fails(MOCK_NO_BIND, EBUSY);
    return mock.bound ? 0 : -1;
}

static inline int mock_attach(const VfioCdevAttach *a)
{
    g_assert_true(mock.bound && a->argsz == sizeof(*a) && !a->flags && a->ioas == MOCK_IOAS);
    mock.attached = !mock_fails(MOCK_NO_ATTACH, EPERM);
    return mock.attached ? 0 : -1;
}

static inline int mock_region(struct vfio_region_info *r)
{
    static const uint64_t size[9] = { [0] = MOCK_BAR0, [2] = 4096, [4] = 32, [6] = 2048, [7] = 4096 };
    const struct vfio_region_info_cap_sparse_mmap cap = {
        .header = { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1 }, .nr_areas = 1
    };
    const struct vfio_region_sparse_mmap_area area = { 0, MOCK_FAST };
    uint32_t have = r->argsz, index = r->index;
    if (index >= 9) {
        errno = EINVAL;
        return -1;
    }
    *r = (struct vfio_region_info){ .argsz = sizeof(*r),
                                    .index = index,
                                    .size = size[index],
                                    .offset = (uint64_t)index * MOCK_REGION_STEP,
                                    .flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE };
    if (index)
        return 0;
    r->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
    r->argsz = sizeof(*r) + sizeof(cap) + sizeof(area);
    if (have < r->argsz)
        return 0;
    r->cap_offset = sizeof(*r);
    memcpy(r + 1, &cap, sizeof(cap));
    memcpy((uint8_t *)(r + 1) + sizeof(cap), &area, sizeof(area));
    return 0;
}

static inline int mock_irqs(struct vfio_irq_set *s)
{
    g_assert_cmpuint(s->index, <, MOCK_KINDS);
    if (s->flags & VFIO_IRQ_SET_ACTION_UNMASK && s->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        g_assert_cmpuint(mock.count[s->index], ==, 1);
        memcpy(&mock.unmask_fd, s->data, sizeof(int));
        return mock_fails(MOCK_NO_UNMASK, EINVAL) ? -1 : 0;
    }
    if (s->flags & VFIO_IRQ_SET_ACTION_UNMASK) {
        mock.unmasked++;
        return 0;
    }
    g_assert_cmpuint(s->count, <=, MOCK_VECTORS);
    mock.count[s->index] = s->count;
    memcpy(mock.fd[s->index], s->data, s->count * sizeof(int));
    return 0;
}

static inline int mock_reset_info(struct vfio_pci_hot_reset_info *i)
{
    const struct vfio_pci_dependent_device all[2] = {
        { .group_id = mock.bound ? 1 : 42, .bus = 5 },
        { .group_id = mock.stranger ? VFIO_HOT_RESET_NOT_OURS : mock.neighbour, .bus = 5, .devfn = 1 }
    };
    unsigned count = mock.neighbour || mock.stranger ? 2 : 1;
    bool room = i->argsz >= sizeof(*i) + count * sizeof(all[0]);
    i->count = count;
    if (room)
        memcpy(i->devices, all, count * sizeof(all[0]));
    errno = ENOSPC;
    return room ? 0 : -1;
}

static inline int mock_hot_reset(const struct vfio_pci_hot_reset *h)
{
    g_assert_cmpuint(h->count, ==, mock.bound ? 0 : 1);
    g_assert_true(mock.bound || h->group_fds[0] == MOCK_GROUP);
    mock.hot_resets++;
    return 0;
}

static inline int mock_ioctl(int fd, unsigned long request, void *arg)
{
    if (fd == MOCK_DEVICE && request == VFIO_DEVICE_PCI_HOT_RESET) /* numbers of devices and containers overlap */
        return mock_hot_reset(arg);
    if (fd == MOCK_DEVICE && request == VFIO_CDEV_BIND)
        return mock_bind(arg);
    if (fd == MOCK_DEVICE && request == VFIO_CDEV_ATTACH)
        return mock_attach(arg);
    if (_IOC_NR(request) >= _IOC_NR(IOMMUFD_DESTROY)) /* of any descriptor: the user may give one */
        return mock_iommu(request, arg);
    switch (request) {
    case VFIO_GET_API_VERSION: return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION: return mock.fault != MOCK_NO_TYPE1;
    case VFIO_SET_IOMMU: case VFIO_GROUP_SET_CONTAINER: case VFIO_GROUP_UNSET_CONTAINER: return 0;
    case VFIO_IOMMU_MAP_DMA: case VFIO_IOMMU_UNMAP_DMA: return mock_dma(request, arg);
    case VFIO_GROUP_GET_STATUS:
        ((struct vfio_group_status *)arg)->flags = mock.fault == MOCK_NOT_VIABLE ? 0 : VFIO_GROUP_FLAGS_VIABLE;
        return 0;
    case VFIO_GROUP_GET_DEVICE_FD:
        g_assert_cmpstr(arg, ==, "0000:05:00.0");
        if (mock_fails(MOCK_BUSY, EBUSY))
            return -1;
        mock.opened++;
        return MOCK_DEVICE;
    case VFIO_DEVICE_GET_INFO:
        *(struct vfio_device_info *)arg =
            (struct vfio_device_info){ .argsz = sizeof(struct vfio_device_info),
                                       .num_regions = 9,
                                       .num_irqs = 5,
                                       .flags = VFIO_DEVICE_FLAGS_PCI | (mock.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET) };
        return 0;
    case VFIO_DEVICE_GET_REGION_INFO: return mock_region(arg);
    case VFIO_DEVICE_GET_IRQ_INFO: {
        struct vfio_irq_info *i = arg;
        i->count = i->index == VFIO_PCI_MSI_IRQ_INDEX || i->index == VFIO_PCI_MSIX_IRQ_INDEX ? MOCK_VECTORS : 1;
        i->flags = VFIO_IRQ_INFO_EVENTFD;
        return 0;
    }
    case VFIO_DEVICE_SET_IRQS: return mock_irqs(arg);
    case VFIO_DEVICE_RESET:
        mock.resets++;
        return 0;
    case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: return mock_reset_info(arg);
    default: g_assert_not_reached();
    }
}

static inline void *mock_mmap(size_t len, int prot, int fd, uint64_t offset)
{
    g_assert_cmpuint(len, ==, MOCK_FAST);
    mock.bar0 = mmap(NULL, len, prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return mock.bar0;
}

static inline uint8_t *mock_bytes(uint64_t offset, size_t len)
{
    struct { uint8_t *at; uint64_t size; } region[9] = { [2] = { mock.bar2, 4096 }, [4] = { mock.io, 32 },
                                                         [6] = { mock.rom, 2048 }, [7] = { mock.config, 4096 } };
    uint64_t index = offset / MOCK_REGION_STEP, at = offset % MOCK_REGION_STEP;
    return index < 9 && at + len <= region[index].size ? region[index].at + at : NULL;
}

static inline ssize_t mock_pread(int fd, void *buf, size_t len, uint64_t offset)
{
    const uint8_t *p = mock_bytes(offset, len);
    if (p)
        memcpy(buf, p, len);
    else
        memset(buf, 0xab, len);
    return (ssize_t)len;
}

static inline ssize_t mock_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
    uint8_t *p = mock_bytes(offset, len);
    if (p)
        memcpy(p, buf, len);
    return (ssize_t)len;
}

static inline ssize_t mock_readlink(const char *path, char *buf, size_t len)
{
    if (mock_fails(MOCK_NO_SYSFS, ENOENT))
        return -1;
    g_assert_cmpstr(path, ==, MOCK_PATH "/iommu_group");
    return (ssize_t)g_strlcpy(buf, "../../../kernel/iommu_groups/42", len);
}

static inline char *mock_first_entry(const char *folder, const char *prefix)
{
    g_assert_cmpstr(folder, ==, MOCK_PATH "/vfio-dev");
    g_assert_cmpstr(prefix, ==, "vfio");
    return mock.fault == MOCK_NO_CDEV ? NULL : g_strdup("vfio3");
}

/*
 * Capabilities: power management at 40h, MSI (64 bits, maskable) at 50h, MSI-X (table in BAR 2) at 70h, the vendor's
 * own at 80h, express at a0h; extended ones: SR-IOV at 100h, errors at 140h, a serial number at 180h. An option ROM.
 */
static inline void mock_begin(void)
{
    static const VfioHost host = { mock_open,  mock_close,  mock_ioctl,    mock_mmap,
                                   mock_pread, mock_pwrite, mock_readlink, mock_first_entry };
    static const uint8_t caps[][21] = {
        { 0x40, 1, 0x50, 3, 0 },
        { 0x50, 5, 0x70, 0x84, 1 },
        { 0x70, 0x11, 0x80, 3, 0, 2, 0, 0, 0, 2, 8, 0, 0 },
        { 0x80, 9, 0xa0, 16, 0x5a, 0x5b },
        { 0xa0, 0x10, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x41, 0xc, 3, 0, 0, 0, 0x41, 0 },
    };
    g_clear_pointer(&mock.maps, g_array_unref);
    memset(&mock, 0, sizeof(mock));
    mock.maps = g_array_new(false, false, sizeof(MockMap));
    store_le32(mock.config, 0x56781234);
    store_le16(mock.config + 6, 0x10);
    store_le32(mock.config + 8, 0x02000007);
    store_le32(mock.config + 0x10, 4); /* BAR 0: 64 bits */
    store_le32(mock.config + 0x20, 1); /* BAR 4: ports */
    store_le32(mock.config + 0x2c, 0x00010002);
    mock.config[0x34] = 0x40;
    mock.config[0x3d] = 1;
    for (unsigned i = 0; i < ARRAY_LEN(caps); i++)
        memcpy(mock.config + caps[i][0], caps[i] + 1, caps[i][0] == 0xa0 ? 20 : 15);
    store_le32(mock.config + 0x100, 0x14010010);
    store_le32(mock.config + 0x140, 0x18020001);
    store_le32(mock.config + 0x180, 0x00010003);
    store_le32(mock.config + 0x184, 0x12345678);
    memcpy(mock.rom, "\x55\xaa\x04rom", 6);
    vfio_host = &host;
}

static inline void mock_end(void)
{
    g_assert_cmpint(mock.opened, ==, 0);
    g_clear_pointer(&mock.maps, g_array_unref);
}
#endif
