/* SPDX-License-Identifier: MIT */
/*
 * virtio over MMIO, with the present and the legacy interface (VIRTIO 1.2, sections 4.2.2 and 4.2.4), and its bus for
 * one device.
 */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/line-door.h"
#include "hw/core/machine.h"
#include "hw/virtio/virtio-proxy.h"

enum {
    R_MAGIC = 0x00,
    R_VERSION = 0x04,
    R_DEVICE = 0x08,
    R_VENDOR = 0x0c,
    R_FEATURES = 0x10,
    R_FEATURES_SEL = 0x14,
    R_DRIVER_FEATURES = 0x20,
    R_DRIVER_FEATURES_SEL = 0x24,
    R_PAGE_SIZE = 0x28,
    R_QUEUE_SEL = 0x30,
    R_QUEUE_MAX = 0x34,
    R_QUEUE_NUM = 0x38,
    R_QUEUE_ALIGN = 0x3c,
    R_QUEUE_PFN = 0x40,
    R_QUEUE_READY = 0x44,
    R_NOTIFY = 0x50,
    R_ISR = 0x60,
    R_ACK = 0x64,
    R_STATUS = 0x70,
    R_DESC = 0x80,
    R_DRIVER = 0x90,
    R_DEVICE_AREA = 0xa0,
    R_SHM_SEL = 0xac,
    R_SHM = 0xb0,
    R_SHM_LAST = 0xbc,
    R_GENERATION = 0xfc,
    R_CONFIG = 0x100,
    SIZE = 0x200
};
enum { MAGIC = 0x74726976, VENDOR = 0x554d4551, ISR_QUEUE = 1, ISR_CONFIG = 2 };

typedef struct VirtioBus {
    Bus bus; /* always first */
    VirtioMmio *transport;
} VirtioBus;

struct VirtioMmio {
    Device dev; /* always first */
    VirtioBus bus;
    VirtioPlug *plug; /* what sits on the bus */
    VirtioDevice *v;  /* and is ready; NULL: empty, which drivers leave alone */
    /* properties */
    bool legacy;      /* only the interface of before VIRTIO 1.0 */
    bool ioeventfd;   /* doorbells signal file descriptors where the accelerator can */
    uint32_t index;
    uint64_t addr;
    /* registers */
    uint32_t features_sel, driver_features_sel, page_size, queue_sel, queue_align[VIRTIO_QUEUES_MAX];
    uint64_t driver_features;
    uint32_t notifies; /* counted for `info` */
    VirtioDoors doors;
    LineDoor *line;    /* while the doorbells are open, where the accelerator can: raises the interrupt */
};

/* ---- interrupt ---- */

static bool wants_irq(void *transport)
{
    const VirtioMmio *m = transport;
    return m->v && m->v->isr;
}

static void update_irq(VirtioMmio *m)
{
    if (m->line)
        line_door_update(m->line);
    else
        device_out(&m->dev, 0, wants_irq(m));
}

static void mmio_notify(VirtioDevice *v, VirtQueue *q)
{
    v->isr |= q ? ISR_QUEUE : ISR_CONFIG;
    update_irq(((VirtioPlug *)v->dev)->transport);
}

/* ---- doorbells that are no exits ---- */

static void door_places(Doorbell *door, void *transport, unsigned queue)
{
    doorbell_add_place(door, ((VirtioMmio *)transport)->dev.region[0],
                       (MemNotifier){ .offset = R_NOTIFY, .size = 4, .match = true, .value = queue });
}

/* The line goes with them: by file descriptor, then as a wire, or the other way round. */
static void update_line(VirtioMmio *m)
{
    if (!m->doors.door == !m->line)
        return;
    if (m->line) {
        g_clear_pointer(&m->line, line_door_free);
    } else {
        device_out(&m->dev, 0, 0);
        m->line = line_door_new(&m->dev.out[0], m->v->dev->domain, wants_irq, m);
    }
    update_irq(m);
}

static void update_doors(VirtioMmio *m)
{
    virtio_doors_update(&m->doors, m->v, m->ioeventfd, door_places, m);
    update_line(m);
}

static void close_doors(VirtioMmio *m)
{
    virtio_doors_close(&m->doors);
    update_line(m);
}

/* ---- registers ---- */

static VirtQueue *selected(VirtioMmio *m)
{
    return m->queue_sel < m->v->queue_count ? &m->v->queue[m->queue_sel] : NULL;
}

static uint64_t offered(VirtioMmio *m)
{
    VirtioDevice *v = m->v;
    uint64_t all = v->host_features | (v->cls->get_features ? v->cls->get_features(v) : 0);
    return m->legacy ? all & UINT32_MAX : all;
}

static uint64_t *area_of(VirtQueue *q, hwaddr at)
{
    return at < R_DRIVER ? &q->desc : at < R_DEVICE_AREA ? &q->driver : &q->device;
}

static bool is_area(hwaddr at) { return (at >= R_DESC && at <= R_DEVICE_AREA + 4) && (at & 0xf) <= 4; }

static uint32_t read_reg(VirtioMmio *m, hwaddr at)
{
    VirtioDevice *v = m->v;
    VirtQueue *q = v ? selected(m) : NULL;
    switch (at) {
    case R_MAGIC: return MAGIC;
    case R_VERSION: return m->legacy ? 1 : 2;
    case R_DEVICE: return v ? v->cls->id : 0;
    case R_VENDOR: return VENDOR;
    }
    if (!v)
        return 0;
    switch (at) {
    case R_FEATURES: return m->features_sel > 1 ? 0 : (uint32_t)(offered(m) >> (32 * m->features_sel));
    case R_QUEUE_MAX: return q ? q->max_size : 0;
    case R_QUEUE_PFN: return m->legacy && q && q->enabled && m->page_size ? (uint32_t)(q->desc / m->page_size) : 0;
    case R_QUEUE_READY: return !m->legacy && q && q->enabled;
    case R_ISR: return v->isr;
    case R_STATUS: return v->status;
    case R_GENERATION: return v->generation;
    default: return at >= R_SHM && at <= R_SHM_LAST ? UINT32_MAX : 0; /* there is no shared memory */
    }
}

static void set_features(VirtioMmio *m, uint32_t value)
{
    if (m->driver_features_sel > 1)
        return;
    m->driver_features = bits_set(m->driver_features, 32 * m->driver_features_sel, 32, value);
    virtio_set_features(m->v, m->legacy ? m->driver_features & UINT32_MAX : m->driver_features);
}

static void set_status(VirtioMmio *m, uint8_t value)
{
    VirtioDevice *v = m->v;
    /* a driver that asks for more than is offered is told so (3.1.1) */
    if (!m->legacy && value & VIRTIO_STATUS_FEATURES_OK && !(v->status & VIRTIO_STATUS_FEATURES_OK) &&
        !virtio_features_fit(m->driver_features, offered(m)))
        value &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
    virtio_set_status(v, value);
    update_doors(m);
    if (value)
        return;
    m->driver_features = 0;
    update_irq(m);
}

/* One page number stands for all three areas (2.7.2). */
static void set_pfn(VirtioMmio *m, VirtQueue *q, uint32_t pfn)
{
    uint32_t align = m->queue_align[q->index];
    q->enabled = false;
    q->desc = (uint64_t)pfn * m->page_size;
    q->driver = q->desc + 16ull * q->size;
    q->device = align_up(q->driver + 6 + 2ull * q->size, align ? align : 4096);
    if (pfn)
        virtio_queue_enable(q);
}

static void write_queue(VirtioMmio *m, VirtQueue *q, hwaddr at, uint32_t value)
{
    bool packed = virtio_has(m->v, VIRTIO_F_RING_PACKED);
    if (at == R_QUEUE_NUM && !q->enabled && value && value <= q->max_size && (packed || is_pow2(value))) {
        q->size = (uint16_t)value;
    } else if (m->legacy) {
        if (at == R_QUEUE_ALIGN && is_pow2(value) && value >= 4 && value <= 65536)
            m->queue_align[q->index] = value;
        else if (at == R_QUEUE_PFN)
            set_pfn(m, q, value);
    } else if (at == R_QUEUE_READY) {
        if (value & 1 && !q->enabled)
            virtio_queue_enable(q);
        else if (!(value & 1))
            q->enabled = false;
    } else if (is_area(at) && !q->enabled) {
        *area_of(q, at) = bits_set(*area_of(q, at), at & 4 ? 32 : 0, 32, value);
    }
}

static void write_reg(VirtioMmio *m, hwaddr at, uint32_t value)
{
    switch (at) {
    case R_FEATURES_SEL: m->features_sel = value; break;
    case R_DRIVER_FEATURES: set_features(m, value); break;
    case R_DRIVER_FEATURES_SEL: m->driver_features_sel = value; break;
    case R_PAGE_SIZE: m->page_size = is_pow2(value) && value <= 65536 ? value : 0; break;
    case R_QUEUE_SEL: m->queue_sel = value; break;
    case R_NOTIFY:
        m->notifies++;
        virtio_queue_notify(m->v, value);
        break;
    case R_ACK:
        m->v->isr &= (uint8_t)~value;
        update_irq(m);
        break;
    case R_STATUS: set_status(m, (uint8_t)value); break;
    default: {
        VirtQueue *q = selected(m);
        if (q)
            write_queue(m, q, at, value);
    }
    }
}

/* The registers proper are words; the configuration takes what the device's fields are. */
static MemResult reg_access(VirtioMmio *m, hwaddr at, unsigned size, uint64_t *value, bool write)
{
    if (!write)
        *value = 0;
    if (at >= R_CONFIG) {
        if (m->v && write)
            virtio_write_config(m->v, (unsigned)(at - R_CONFIG), size, *value);
        else if (m->v)
            virtio_read_config(m->v, (unsigned)(at - R_CONFIG), size, value);
    } else if (size != 4 || at & 3) {
        log_guest_error(m->dev.id, "access of %u bytes at 0x%x", size, (unsigned)at);
    } else if (!write) {
        *value = read_reg(m, at);
    } else if (m->v) {
        write_reg(m, at, (uint32_t)*value);
    }
    return MEM_OK;
}

/* Under the device's domain, which may be another than the transport's. */
static MemResult locked_access(VirtioMmio *m, hwaddr at, unsigned size, uint64_t *value, bool write)
{
    LockDomain *domain = m->v ? m->v->dev->domain : m->dev.domain;
    lock_domain_lock(domain);
    MemResult r = reg_access(m, at, size, value, write);
    lock_domain_unlock(domain);
    return r;
}

static MemResult mmio_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    return locked_access(opaque, at, size, value, false);
}
static MemResult mmio_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    return locked_access(opaque, at, size, &value, true);
}
static const MemOps mmio_ops = { mmio_read, mmio_write, 1, 4 };

/* ---- the bus ---- */

static bool bus_full(const Bus *b) { return ((const VirtioBus *)b)->transport->plug; }

static bool bus_plug(Bus *b, Device *d, Error **errp)
{
    VirtioMmio *m = ((VirtioBus *)b)->transport;
    if (bus_full(b)) {
        error_setf(errp, "device '%s': bus '%s' has a device already, and it takes one", d->id, b->name);
        return false;
    }
    m->plug = (VirtioPlug *)d;
    m->plug->transport = m;
    return true;
}

static void bus_unplug(Bus *b, Device *d) { ((VirtioBus *)b)->transport->plug = NULL; }

static void bus_path(Bus *b, const Device *d, GString *out)
{
    g_string_append_printf(out, "/virtio-mmio@%016" G_GINT64_MODIFIER "x", (guint64)((VirtioBus *)b)->transport->addr);
}

static const BusType virtio_bus_type = {
    .kind = "virtio-bus", .plug = bus_plug, .unplug = bus_unplug, .path = bus_path, .full = bus_full
};

bool virtio_mmio_used(const Device *transport) { return ((const VirtioMmio *)transport)->plug; }

/* ---- the transport ---- */

static bool mmio_start(Device *d, Error **errp)
{
    VirtioMmio *m = (VirtioMmio *)d;
    g_autofree char *name = g_strdup_printf("virtio-mmio-bus.%u", m->index);
    d->region[0] = mem_io_new("virtio-mmio", SIZE, &mmio_ops, m, NULL);
    bus_init(&m->bus.bus, &virtio_bus_type, name, d);
    m->bus.transport = m;
    return true;
}

static void mmio_reset(Device *d, ResetPhase phase)
{
    VirtioMmio *m = (VirtioMmio *)d;
    if (phase == RESET_ENTER) {
        m->features_sel = m->driver_features_sel = m->page_size = m->queue_sel = 0;
        m->driver_features = 0;
        memset(m->queue_align, 0, sizeof(m->queue_align));
    } else if (phase == RESET_HOLD) {
        update_irq(m);
    }
}

static bool mmio_loaded(Device *d, Error **errp)
{
    VirtioMmio *m = (VirtioMmio *)d;
    bool ok = !m->page_size || (is_pow2(m->page_size) && m->page_size <= 65536);
    for (unsigned i = 0; ok && i < VIRTIO_QUEUES_MAX; i++)
        ok = !m->queue_align[i] || (is_pow2(m->queue_align[i]) && m->queue_align[i] <= 65536);
    if (!ok)
        error_setf(errp, "device '%s': sizes of pages that can't be", d->id);
    return ok;
}

static void mmio_info(Device *d, GString *out)
{
    const VirtioMmio *m = (VirtioMmio *)d;
    if (m->v)
        virtio_doors_info(&m->doors, m->v, m->notifies, out);
    if (m->line)
        g_string_append(out, "virtio: interrupts by file descriptor\n");
}

static void mmio_stop(Device *d) { bus_fini(&((VirtioMmio *)d)->bus.bus); }

static const Property mmio_props[] = {
    DEFINE_PROP_BOOL("force-legacy", VirtioMmio, legacy, true, "the interface of before VIRTIO 1.0"),
    DEFINE_PROP_BOOL("ioeventfd", VirtioMmio, ioeventfd, true,
                     "doorbells that are no exits, where the accelerator can"),
    DEFINE_PROP_U32("index", VirtioMmio, index, 0, "of its bus: virtio-mmio-bus.N"),
    DEFINE_PROP_U64("addr", VirtioMmio, addr, 0, "where the board has put it"),
    DEFINE_PROP_END,
};
static const StateField mmio_state[] = { STATE_U32(VirtioMmio, features_sel),
                                         STATE_U32(VirtioMmio, driver_features_sel),
                                         STATE_U32(VirtioMmio, page_size),
                                         STATE_U32(VirtioMmio, queue_sel),
                                         STATE_U32_ARRAY(VirtioMmio, queue_align),
                                         STATE_U64(VirtioMmio, driver_features),
                                         STATE_END_OF_TABLE };
static const char *const mmio_pins[] = { "irq", NULL };
static const char *const mmio_provides[] = { "virtio-bus", NULL };
static const DeviceType mmio_type = {
    .name = "virtio-mmio",
    .desc = "virtio over MMIO",
    .category = "Misc",
    .size = sizeof(VirtioMmio),
    .provides = mmio_provides,
    .props = mmio_props,
    .state = mmio_state,
    .out_pins = mmio_pins,
    .start = mmio_start,
    .reset = mmio_reset,
    .loaded = mmio_loaded,
    .stop = mmio_stop,
    .info = mmio_info,
};
DEVICE_REGISTER(mmio_type)

/* ---- what plugs into it ---- */

static void plug_reset(Device *d, ResetPhase phase)
{
    VirtioPlug *p = (VirtioPlug *)d;
    if (phase != RESET_ENTER || !p->v)
        return;
    virtio_reset(p->v);
    close_doors(p->transport);
}

static void plug_saving(Device *d)
{
    VirtioPlug *p = (VirtioPlug *)d;
    if (p->v)
        virtio_doors_look(&p->transport->doors);
}

static bool plug_loaded(Device *d, Error **errp)
{
    VirtioPlug *p = (VirtioPlug *)d;
    g_clear_pointer(&p->transport->line, line_door_free); /* what it has raised was of another time */
    update_irq(p->transport);
    if (p->v)
        update_doors(p->transport);
    return true;
}

static void plug_stop(Device *d)
{
    VirtioMmio *m = ((VirtioPlug *)d)->transport;
    if (!m)
        return;
    close_doors(m);
    m->v = NULL;
}

static const Property plug_props[] = {
    DEFINE_PROP_BOOL("packed", VirtioPlug, packed, false, "offer packed rings"),
    DEFINE_PROP_BOOL("event_idx", VirtioPlug, event_idx, true, "offer event indexes"),
    DEFINE_PROP_BOOL("indirect_desc", VirtioPlug, indirect, true, "offer indirect descriptors"),
    DEFINE_PROP_BOOL("iommu_platform", VirtioPlug, iommu_platform, false,
                     "tell the driver that memory is reached as by other devices"),
    DEFINE_PROP_END,
};
const DeviceType virtio_device_type = {
    .name = "virtio-device",
    .desc = "virtio behind another transport",
    .category = "Misc",
    .size = sizeof(VirtioPlug),
    .bus = "virtio-bus",
    .props = plug_props,
    .reset = plug_reset,
    .saving = plug_saving,
    .loaded = plug_loaded,
    .stop = plug_stop,
};

/* ---- either transport ---- */

static bool is_pci(const Device *d) { return d->type->base == &virtio_pci_type; }

void virtio_proxy_init(VirtioProxy *p, VirtioDevice *v, const VirtioClass *cls)
{
    if (is_pci(&p->dev))
        virtio_pci_init(&p->pci, v, cls);
    else
        virtio_init(v, cls, &p->dev, machine_current()->as_memory, MEM_ATTRS_DEVICE, mmio_notify, p->plug.packed);
}

bool virtio_proxy_ready(VirtioProxy *p, VirtioDevice *v, Error **errp)
{
    VirtioMmio *m = p->plug.transport;
    if (is_pci(&p->dev))
        return virtio_pci_ready(&p->pci, v, errp);
    if (!p->plug.event_idx)
        v->host_features &= ~VIRTIO_F_EVENT_IDX;
    if (!p->plug.indirect)
        v->host_features &= ~VIRTIO_F_INDIRECT_DESC;
    if (p->plug.iommu_platform)
        v->host_features |= VIRTIO_F_ACCESS_PLATFORM;
    if (m->legacy)
        v->host_features &= ~(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_ACCESS_PLATFORM);
    p->plug.v = v;
    m->v = v;
    return true;
}

void virtio_proxy_leave_iothread(VirtioProxy *p, VirtioDevice *v)
{
    if (is_pci(&p->dev))
        virtio_pci_leave_iothread(&p->pci);
    else if (p->plug.transport)
        close_doors(p->plug.transport);
    virtio_drop_iothread(v);
}
