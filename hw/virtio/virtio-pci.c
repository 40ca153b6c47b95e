/* SPDX-License-Identifier: MIT */
/* virtio over PCI: modern and transitional (VIRTIO 1.2, section 4.1). */
#include "hw/virtio/virtio-pci.h"
#include <errno.h>
#include "base/bits.h"

enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI };
enum {
    AT_COMMON = 0,
    AT_ISR = 0x1000,
    AT_DEVICE = 0x2000,
    AT_NOTIFY = 0x3000,
    WINDOW = 0x1000,
    NOTIFY_MULTIPLIER = 4,
    PAGE = 4096,
    LEGACY_SIZE = 128,
    LEGACY_NOTIFY = 16
};
enum { ISR_QUEUE = 1, ISR_CONFIG = 2, MODERN_ID = 0x1040 };

static VirtioPci *of_device(VirtioDevice *v) { return (VirtioPci *)v->dev; }

/* --- interrupts --- */

static void update_intx(VirtioPci *p)
{
    pci_set_irq(&p->pci, p->v->isr != 0 && !msix_enabled(&p->pci));
}

static void virtio_pci_notify(VirtioDevice *v, VirtQueue *q)
{
    VirtioPci *p = of_device(v);
    uint16_t vector = q ? q->vector : v->config_vector;
    if (msix_enabled(&p->pci)) {
        if (vector != VIRTIO_NO_VECTOR)
            msix_notify(&p->pci, vector);
        return;
    }
    v->isr |= q ? ISR_QUEUE : ISR_QUEUE | ISR_CONFIG;
    update_intx(p);
}

static uint8_t take_isr(VirtioPci *p)
{
    uint8_t isr = p->v->isr;
    p->v->isr = 0;
    update_intx(p);
    return isr;
}

static uint16_t checked_vector(VirtioPci *p, uint64_t value)
{
    return value < p->vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

/* --- doorbells that are no exits --- */

/* Each queue has a doorbell of its own, a word or a page from the next. */
static unsigned notify_step(const VirtioPci *p) { return p->page_per_vq ? PAGE : NOTIFY_MULTIPLIER; }
static unsigned notify_size(const VirtioPci *p) { return p->page_per_vq ? VIRTIO_QUEUES_MAX * PAGE : WINDOW; }

static void door_places(Doorbell *door, void *transport, unsigned queue)
{
    VirtioPci *p = transport;
    if (p->modern)
        doorbell_add_place(door, p->modern, (MemNotifier){ .offset = AT_NOTIFY + queue * notify_step(p) });
    if (p->notify_port)
        doorbell_add_place(door, p->notify_port, (MemNotifier){ .size = 2, .match = true, .value = queue });
    if (p->legacy)
        doorbell_add_place(door, p->legacy,
                           (MemNotifier){ .offset = LEGACY_NOTIFY, .size = 2, .match = true, .value = queue });
}

static void update_doors(VirtioPci *p) { virtio_doors_update(&p->doors, p->v, p->ioeventfd, door_places, p); }

void virtio_pci_leave_iothread(VirtioPci *p)
{
    if (!p->v)
        return;
    virtio_doors_close(&p->doors);
    virtio_drop_iothread(p->v);
}

static void saving(Device *d) { virtio_doors_look(&((VirtioPci *)d)->doors); }

static bool loaded(Device *d, Error **errp)
{
    VirtioPci *p = (VirtioPci *)d;
    if (p->v)
        update_doors(p);
    return true;
}

/* --- common configuration (4.1.4.3): one row a field --- */

typedef struct Field {
    uint8_t at, size;
    uint64_t (*get)(VirtioPci *p, VirtQueue *q);
    void (*set)(VirtioPci *p, VirtQueue *q, uint64_t value);
} Field;
#define GET(name) static uint64_t get_##name(VirtioPci *p, VirtQueue *q)
#define SET(name) static void set_##name(VirtioPci *p, VirtQueue *q, uint64_t value)

static uint64_t host_features(VirtioPci *p)
{
    VirtioDevice *v = p->v;
    return v->host_features | (v->cls->get_features ? v->cls->get_features(v) : 0);
}
static void set_half(uint64_t *field, unsigned half, uint64_t value)
{
    *field = half > 1 ? *field : bits_set(*field, half * 32, 32, value);
}

GET(dfselect) { return p->device_feature_select; }
SET(dfselect) { p->device_feature_select = (uint32_t)value; }
GET(df) { return p->device_feature_select > 1 ? 0 : host_features(p) >> (32 * p->device_feature_select) & UINT32_MAX; }
GET(gfselect) { return p->driver_feature_select; }
SET(gfselect) { p->driver_feature_select = (uint32_t)value; }
GET(gf)
{
    return p->driver_feature_select > 1 ? 0 : p->driver_features >> (32 * p->driver_feature_select) & UINT32_MAX;
}
SET(gf)
{
    set_half(&p->driver_features, p->driver_feature_select, value);
    virtio_set_features(p->v, p->driver_features);
}
GET(config_vector) { return p->v->config_vector; }
SET(config_vector) { p->v->config_vector = checked_vector(p, value); }
GET(queues) { return p->v->queue_count; }
GET(status) { return p->v->status; }
SET(status)
{
    VirtioDevice *v = p->v;
    if (value & VIRTIO_STATUS_FEATURES_OK && !(v->status & VIRTIO_STATUS_FEATURES_OK) &&
        !virtio_features_fit(p->driver_features, host_features(p)))
        value &= ~(uint64_t)VIRTIO_STATUS_FEATURES_OK;
    virtio_set_status(v, (uint8_t)value);
    update_doors(p);
    if (!value) {
        p->driver_features = 0;
        update_intx(p);
    }
}
GET(generation) { return p->v->generation; }
GET(qselect) { return p->queue_select; }
SET(qselect) { p->queue_select = (uint16_t)value; }
GET(qsize) { return q ? q->size : 0; }
SET(qsize)
{
    bool packed = virtio_has(p->v, VIRTIO_F_RING_PACKED);
    if (q && !q->enabled && value && value <= q->max_size && (packed || is_pow2(value)))
        q->size = (uint16_t)value;
}
GET(qvector) { return q ? q->vector : VIRTIO_NO_VECTOR; }
SET(qvector)
{
    if (q)
        q->vector = checked_vector(p, value);
}
GET(qenable) { return q && q->enabled; }
SET(qenable)
{
    if (q && value == 1 && !q->enabled)
        virtio_queue_enable(q);
}
GET(qnotify) { return q ? q->index : 0; }
GET(qreset) { return 0; } /* it is over when the write is */
SET(qreset)
{
    if (q && value == 1 && virtio_has(p->v, VIRTIO_F_RING_RESET))
        virtio_queue_reset(p->v, q);
}
#define ADDRESS(name, field) \
    GET(name##_lo) { return q ? q->field & UINT32_MAX : 0; } \
    SET(name##_lo) { if (q && !q->enabled) set_half(&q->field, 0, value); } \
    GET(name##_hi) { return q ? q->field >> 32 : 0; } \
    SET(name##_hi) { if (q && !q->enabled) set_half(&q->field, 1, value); }
ADDRESS(desc, desc)
ADDRESS(driver, driver)
ADDRESS(device, device)

static const Field common[] = {
    { 0, 4, get_dfselect, set_dfselect },
    { 4, 4, get_df, NULL },
    { 8, 4, get_gfselect, set_gfselect },
    { 12, 4, get_gf, set_gf },
    { 16, 2, get_config_vector, set_config_vector },
    { 18, 2, get_queues, NULL },
    { 20, 1, get_status, set_status },
    { 21, 1, get_generation, NULL },
    { 22, 2, get_qselect, set_qselect },
    { 24, 2, get_qsize, set_qsize },
    { 26, 2, get_qvector, set_qvector },
    { 28, 2, get_qenable, set_qenable },
    { 30, 2, get_qnotify, NULL },
    { 32, 4, get_desc_lo, set_desc_lo },
    { 36, 4, get_desc_hi, set_desc_hi },
    { 40, 4, get_driver_lo, set_driver_lo },
    { 44, 4, get_driver_hi, set_driver_hi },
    { 48, 4, get_device_lo, set_device_lo },
    { 52, 4, get_device_hi, set_device_hi },
    { 56, 2, get_qnotify, NULL },
    { 58, 2, get_qreset, set_qreset },
};

static VirtQueue *selected(VirtioPci *p)
{
    return p->queue_select < p->v->queue_count ? &p->v->queue[p->queue_select] : NULL;
}

static const Field *find_field(const Field *table, unsigned count, hwaddr at, unsigned size)
{
    for (unsigned i = 0; i < count; i++) {
        if (table[i].at == at && table[i].size == size)
            return &table[i];
    }
    return NULL;
}

static void common_access(VirtioPci *p, hwaddr at, unsigned size, uint64_t *value, bool write)
{
    const Field *f = find_field(common, ARRAY_LEN(common), at, size);
    if (!f && size == 8 && at >= 32) { /* an address in one access */
        uint64_t low = *value & UINT32_MAX, high = *value >> 32;
        common_access(p, at, 4, &low, write);
        common_access(p, at + 4, 4, &high, write);
        *value = low | high << 32;
        return;
    }
    if (!f && !write)
        *value = 0;
    else if (f && write && f->set)
        f->set(p, selected(p), *value);
    else if (f && !write)
        *value = f->get(p, selected(p));
}

static void window_access(VirtioPci *p, hwaddr at, unsigned size, uint64_t *value, bool write)
{
    unsigned offset = at < AT_NOTIFY ? (unsigned)at & (WINDOW - 1) : (unsigned)at - AT_NOTIFY;
    switch (at < AT_NOTIFY ? at - offset : AT_NOTIFY) {
    case AT_COMMON: common_access(p, offset, size, value, write); break;
    case AT_ISR:
        if (!write)
            *value = offset ? 0 : take_isr(p);
        break;
    case AT_DEVICE:
        if (write)
            virtio_write_config(p->v, offset, size, *value);
        else
            virtio_read_config(p->v, offset, size, value);
        break;
    case AT_NOTIFY:
        if (write) {
            p->notifies++;
            virtio_queue_notify(p->v, offset / notify_step(p));
        } else {
            *value = 0;
        }
        break;
    }
}

static MemResult modern_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = 0;
    window_access(opaque, at, size, value, false);
    return MEM_OK;
}
static MemResult modern_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    window_access(opaque, at, size, &value, true);
    return MEM_OK;
}
static const MemOps modern_ops = { modern_read, modern_write, 1, 8, .unaligned = true };

/* --- a doorbell by I/O port: which queue is in the value (4.1.4.4) --- */

static MemResult port_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = 0;
    return MEM_OK;
}
static MemResult port_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    VirtioPci *p = opaque;
    p->notifies++;
    if (!at)
        virtio_queue_notify(p->v, (unsigned)value & 0xffff);
    return MEM_OK;
}
static const MemOps port_ops = { port_read, port_write, 1, 4 };

/* --- the legacy window (4.1.4.10) --- */

static uint32_t legacy_header(VirtioPci *p) { return msix_enabled(&p->pci) ? 24 : 20; }

/* One page number stands for all three areas (2.7.2). */
static void set_legacy_page(VirtioPci *p, VirtQueue *q, uint64_t page)
{
    if (!q)
        return;
    q->desc = page << 12;
    q->driver = q->desc + 16ull * q->size;
    q->device = align_up(q->driver + 6 + 2ull * q->size, 4096);
    q->enabled = false;
    if (page)
        virtio_queue_enable(q);
}

static uint64_t legacy_load(VirtioPci *p, hwaddr at, unsigned size)
{
    VirtQueue *q = selected(p);
    uint64_t value = 0;
    uint32_t header = legacy_header(p);
    if (at >= header) {
        virtio_read_config(p->v, (unsigned)(at - header), size, &value);
        return value;
    }
    switch (at) {
    case 0: return host_features(p) & UINT32_MAX;
    case 4: return p->v->guest_features & UINT32_MAX;
    case 8: return q ? q->desc >> 12 : 0;
    case 12: return q ? q->max_size : 0;
    case 14: return p->queue_select;
    case 18: return p->v->status;
    case 19: return take_isr(p);
    case 20: return p->v->config_vector;
    case 22: return q ? q->vector : VIRTIO_NO_VECTOR;
    default: return 0;
    }
}

static void legacy_store(VirtioPci *p, hwaddr at, unsigned size, uint64_t value)
{
    VirtQueue *q = selected(p);
    uint32_t header = legacy_header(p);
    if (at >= header) {
        virtio_write_config(p->v, (unsigned)(at - header), size, value);
        return;
    }
    switch (at) {
    case 4: virtio_set_features(p->v, value & UINT32_MAX); break;
    case 8: set_legacy_page(p, q, value & UINT32_MAX); break;
    case 14: p->queue_select = (uint16_t)value; break;
    case LEGACY_NOTIFY:
        p->notifies++;
        virtio_queue_notify(p->v, (unsigned)value & 0xffff);
        break;
    case 18:
        virtio_set_status(p->v, (uint8_t)value);
        update_doors(p);
        if (!(value & 0xff))
            update_intx(p);
        break;
    case 20: p->v->config_vector = checked_vector(p, value & 0xffff); break;
    case 22: set_qvector(p, q, value & 0xffff); break;
    }
}

static MemResult legacy_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = legacy_load(opaque, at, size);
    return MEM_OK;
}
static MemResult legacy_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    legacy_store(opaque, at, size, value);
    return MEM_OK;
}
static const MemOps legacy_ops = { legacy_read, legacy_write, 1, 4, .unaligned = true };

/* --- the device --- */

static uint16_t add_cap(VirtioPci *p, uint8_t type, uint8_t bar, uint32_t offset, uint32_t length, uint8_t cap_len)
{
    uint16_t at = pci_add_capability(&p->pci, 0x09, 0, cap_len);
    pci_config_define(&p->pci, at + 2u, 1, cap_len, 0);
    pci_config_define(&p->pci, at + 3u, 1, type, 0);
    pci_config_define(&p->pci, at + 4u, 1, bar, 0);
    pci_config_define(&p->pci, at + 8u, 4, offset, 0);
    pci_config_define(&p->pci, at + 12u, 4, length, 0);
    return at;
}

static void add_modern(VirtioPci *p)
{
    uint64_t size = AT_NOTIFY;
    while (!is_pow2(size) || size < AT_NOTIFY + notify_size(p))
        size = is_pow2(size) ? size * 2 : AT_NOTIFY + WINDOW;
    p->modern = mem_io_new("virtio-pci-modern", size, &modern_ops, p, p->pci.dev.domain);
    pci_register_bar(&p->pci, 4, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH, p->modern);
    add_cap(p, CAP_COMMON, 4, AT_COMMON, WINDOW, 16);
    add_cap(p, CAP_ISR, 4, AT_ISR, WINDOW, 16);
    add_cap(p, CAP_DEVICE, 4, AT_DEVICE, WINDOW, 16);
    uint16_t at = add_cap(p, CAP_NOTIFY, 4, AT_NOTIFY, notify_size(p), 20);
    pci_config_define(&p->pci, at + 16u, 4, notify_step(p), 0);
    if (!p->pio_notify)
        return;
    p->notify_port = mem_io_new("virtio-pci-notify", 4, &port_ops, p, p->pci.dev.domain);
    pci_register_bar(&p->pci, 2, PCI_BAR_IO, p->notify_port);
    add_cap(p, CAP_NOTIFY, 2, 0, 4, 20); /* the multiplier is 0 */
}

static bool on_root_bus(const VirtioPci *p)
{
    return !p->pci.bus || !p->pci.dev.bus->parent || p->pci.dev.bus->parent->type->base != &pci_device_type;
}

/* Without VIRTIO_F_ACCESS_PLATFORM the driver's addresses are those of memory, whatever stands between (6.1). */
void virtio_pci_init(VirtioPci *p, VirtioDevice *v, const VirtioClass *cls)
{
    if (!p->iommu_platform)
        pci_bypass_iommu(&p->pci);
    virtio_init(v, cls, &p->pci.dev, pci_dma_space(&p->pci), pci_attrs(&p->pci), virtio_pci_notify, p->packed);
    if (p->iommu_platform)
        v->host_features |= VIRTIO_F_ACCESS_PLATFORM;
}

bool virtio_pci_ready(VirtioPci *p, VirtioDevice *v, Error **errp)
{
    PciDevice *d = &p->pci;
    p->v = v;
    if (!p->event_idx)
        v->host_features &= ~VIRTIO_F_EVENT_IDX;
    if (!p->indirect)
        v->host_features &= ~VIRTIO_F_INDIRECT_DESC;
    bool legacy = p->disable_legacy == PCI_OFF || (p->disable_legacy == PCI_AUTO && on_root_bus(p));
    if (!legacy && p->disable_modern) {
        error_setf(errp, "device '%s': disable-legacy=on and disable-modern=on leave nothing", d->dev.id);
        return false;
    }
    if (legacy && p->iommu_platform) {
        error_setf(
            errp,
            "device '%s': iommu_platform=on: drivers from before VIRTIO 1.0 do not know it; add disable-legacy=on",
            d->dev.id);
        return false;
    }
    if (p->vectors == UINT32_MAX)
        p->vectors = v->queue_count + 1;
    if (p->queue_reset && v->cls->queue_reset && !p->disable_modern)
        v->host_features |= VIRTIO_F_RING_RESET;
    pcie_cap_init(d, 0, PCIE_ENDPOINT, 0);
    pci_pm_init(d, 0);
    if (p->ats)
        pcie_ats_init(d, 0x100, p->ats_aligned);
    if (!legacy) {
        pci_config_define(d, 2, 2, MODERN_ID + v->cls->id, 0);
        pci_config_define(d, 8, 1, 1, 0);
        pci_config_define(d, 0x2e, 2, MODERN_ID + v->cls->id, 0);
    } else {
        p->legacy = mem_io_new("virtio-pci-legacy", LEGACY_SIZE, &legacy_ops, p, d->dev.domain);
        pci_register_bar(d, 0, PCI_BAR_IO, p->legacy);
        pci_config_define(d, 0x2e, 2, v->cls->id, 0);
    }
    if (p->disable_modern)
        v->host_features &= ~(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED);
    else
        add_modern(p);
    return !p->vectors || msix_init_exclusive_bar(d, p->vectors, 1, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    VirtioPci *p = (VirtioPci *)d;
    if (phase != RESET_ENTER || !p->v)
        return;
    virtio_reset(p->v);
    virtio_doors_close(&p->doors);
    p->device_feature_select = p->driver_feature_select = 0;
    p->queue_select = 0;
    p->driver_features = 0;
}

static void stop(Device *d)
{
    VirtioPci *p = (VirtioPci *)d;
    virtio_doors_close(&p->doors);
    mem_region_free(p->modern);
    mem_region_free(p->legacy);
    mem_region_free(p->notify_port);
}

static void info(Device *d, GString *out)
{
    const VirtioPci *p = (VirtioPci *)d;
    if (p->v)
        virtio_doors_info(&p->doors, p->v, p->notifies, out);
}

static const Property props[] = {
    DEFINE_PROP_ENUM("disable-legacy", VirtioPci, disable_legacy, PCI_AUTO, pci_on_off_auto,
                     "no interface for drivers older than VIRTIO 1.0"),
    DEFINE_PROP_BOOL("disable-modern", VirtioPci, disable_modern, false,
                     "only the interface for drivers older than VIRTIO 1.0"),
    DEFINE_PROP_BOOL("packed", VirtioPci, packed, false, "offer packed rings"),
    DEFINE_PROP_BOOL("event_idx", VirtioPci, event_idx, true, "offer event indexes"),
    DEFINE_PROP_BOOL("indirect_desc", VirtioPci, indirect, true, "offer indirect descriptors"),
    DEFINE_PROP_BOOL("iommu_platform", VirtioPci, iommu_platform, false,
                     "memory is reached through the IOMMU, if there is one"),
    DEFINE_PROP_BOOL("ats", VirtioPci, ats, false, "show the capability of address translation services"),
    DEFINE_PROP_BOOL("x-ats-page-aligned", VirtioPci, ats_aligned, true,
                     "in it: untranslated addresses of requests are those of pages"),
    DEFINE_PROP_BOOL("ioeventfd", VirtioPci, ioeventfd, true, "doorbells that are no exits, where the accelerator can"),
    PROP_(PROP_U32, "vectors", VirtioPci, vectors, UINT32_MAX,
          "MSI-X vectors, 0: none; 4294967295: one for each queue and one more", .max = UINT32_MAX),
    DEFINE_PROP_BOOL("page-per-vq", VirtioPci, page_per_vq, false, "the doorbells of queues are a page apart"),
    DEFINE_PROP_BOOL("modern-pio-notify", VirtioPci, pio_notify, false, "a doorbell by I/O port, too"),
    DEFINE_PROP_BOOL("queue_reset", VirtioPci, queue_reset, true,
                     "queues can be reset one by one, where the device knows how"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_U32(VirtioPci, device_feature_select),
                                    STATE_U32(VirtioPci, driver_feature_select), STATE_U16(VirtioPci, queue_select),
                                    STATE_U64(VirtioPci, driver_features), STATE_END_OF_TABLE };

static const DeviceVariant variants[] = {
    { "-transitional", "disable-legacy=off,disable-modern=off" },
    { "-non-transitional", "disable-legacy=on,disable-modern=off" },
    { NULL },
};

const DeviceType virtio_pci_type = {
    .name = "virtio-pci",
    .desc = "virtio over PCI",
    .category = "Misc",
    .size = sizeof(VirtioPci),
    .bus = "pci",
    .base = &pci_device_type,
    .props = props,
    .state = state,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
    .info = info,
    .variants = variants,
};
