/* SPDX-License-Identifier: MIT */
/* virtio-iommu: the driver decides which memory each PCI function reaches, and where (VIRTIO 1.2 section 5.13). */
#include <unistd.h>
#include "base/bits.h"
#include "base/event-watch.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/pci/pci-host.h"
#include "hw/virtio/iommu-map.h"
#include "hw/virtio/virtio-pci.h"

enum {
    VIRTIO_ID_IOMMU = 23,
    REQUESTS,
    EVENTS,
    QUEUE_SIZE = 256,
    CONFIG_SIZE = 40,
    CONFIG_BYPASS = 36,
    PROBE_SIZE = 512,
    FAULTS_MAX = 32
};
enum {
    F_INPUT_RANGE = BIT(0),
    F_DOMAIN_RANGE = BIT(1),
    F_MAP_UNMAP = BIT(2),
    F_PROBE = BIT(4),
    F_MMIO = BIT(5),
    F_BYPASS_CONFIG = BIT(6)
};
enum { HEAD = 4, TAIL = 4, REQUEST_MAX = 72, ATTACH_BYPASS = 1, MAP_READ = 1, MAP_WRITE = 2, MAP_MMIO = 4 };
enum {
    EVENT_SIZE = 24,
    REASON_DOMAIN = 1,
    REASON_MAPPING = 2,
    FAULT_READ = 1,
    FAULT_WRITE = 2,
    FAULT_ADDRESS = 1 << 8
};
enum { PROPERTY_RESERVED = 1, PROPERTY_SIZE = 24, RESERVED_MSI = 1 };

typedef struct Fault { hwaddr addr; uint32_t endpoint; unsigned access; bool attached; } Fault;

typedef struct VirtioIommu {
    VirtioPci proxy;
    VirtioDevice v;
    IommuMap map;
    GByteArray *saved;      /* the map, while it is saved or loaded */
    bool bypass, boot_bypass;
    /* accesses that failed, in any thread, for the event queue */
    GMutex lock;
    Fault fault[FAULTS_MAX];
    unsigned faults;
    EventWatch *told;
    uint32_t lost;          /* for which there was no room or no buffer: for `info` */
} VirtioIommu;

static VirtioIommu *iommu_of(VirtioDevice *v) { return container_of(v, VirtioIommu, v); }
static VirtioIommu *serving(const PciDevice *d) { return (VirtioIommu *)pci_bus_root(d->bus)->iommu_device; }
static uint32_t endpoint_of(const PciDevice *d) { return pci_attrs(d).requester; }

/* ---- translation ---- */

static bool find(void *opaque, hwaddr addr, IommuEntry *out)
{
    return iommu_map_find(&serving(opaque)->map, endpoint_of(opaque), addr, out);
}

static void fault(void *opaque, hwaddr addr, unsigned access)
{
    VirtioIommu *s = serving(opaque);
    uint32_t endpoint = endpoint_of(opaque);
    Fault f = { addr, endpoint, access, iommu_map_attached(&s->map, endpoint) };
    uint64_t one = 1;
    log_guest_error(((PciDevice *)opaque)->dev.id,
                    "%s of 0x%" G_GINT64_MODIFIER "x, for which the IOMMU has no mapping",
                    access & MEM_WRITE ? "write" : "read", (guint64)addr);
    g_mutex_lock(&s->lock);
    if (s->faults < FAULTS_MAX)
        s->fault[s->faults++] = f;
    else
        s->lost++;
    g_mutex_unlock(&s->lock);
    if (write(event_watch_fd(s->told), &one, sizeof(one)) != sizeof(one))
        TRACE(iommu_fault_lost, "%s", s->proxy.pci.dev.id);
}

static void visit(void *opaque, IommuEntryFn *fn, void *fn_opaque)
{
    iommu_map_foreach(&serving(opaque)->map, endpoint_of(opaque), fn, fn_opaque);
}

static const IommuOps ops = { find, visit, fault };

/* ---- the event queue (5.13.6.8) ---- */

static bool tell(VirtioIommu *s, const Fault *f)
{
    uint8_t e[EVENT_SIZE] = { f->attached ? REASON_MAPPING : REASON_DOMAIN };
    VirtqBuffer b;
    if (!virtio_running(&s->v) || !virtq_pop(&s->v.queue[EVENTS - REQUESTS], &b))
        return false;
    store_le32(e + 4, FAULT_ADDRESS | (f->access & MEM_WRITE ? FAULT_WRITE : FAULT_READ));
    store_le32(e + 8, f->endpoint);
    store_le64(e + 16, f->addr);
    uint32_t written = (uint32_t)virtq_scatter(&b.in, 0, e, sizeof(e));
    virtq_push(&s->v.queue[EVENTS - REQUESTS], &b, written);
    return true;
}

static void tell_faults(void *opaque, unsigned number)
{
    VirtioIommu *s = opaque;
    Fault f[FAULTS_MAX];
    g_mutex_lock(&s->lock);
    unsigned count = s->faults, told = 0;
    memcpy(f, s->fault, count * sizeof(f[0]));
    s->faults = 0;
    g_mutex_unlock(&s->lock);
    while (told < count && tell(s, &f[told]))
        told++;
    s->lost += count - told;
    if (told)
        virtq_signal(&s->v.queue[EVENTS - REQUESTS]);
}

/* ---- what kept translations must look again ---- */

static void flush_one(PciDevice *d, void *opaque) { pci_iommu_flush(d); }
static void flush_all(VirtioIommu *s) { pci_foreach_function(s->proxy.pci.bus, flush_one, NULL); }

typedef struct Change { VirtioIommu *s; uint32_t domain; IommuEntry e; } Change;

static void unmapped(PciDevice *d, void *opaque)
{
    const Change *c = opaque;
    if (iommu_map_is_in(&c->s->map, endpoint_of(d), c->domain))
        pci_iommu_unmapped(d, c->e.first, c->e.last);
}

static void mapped(PciDevice *d, void *opaque)
{
    const Change *c = opaque;
    if (iommu_map_is_in(&c->s->map, endpoint_of(d), c->domain))
        pci_iommu_mapped(d, &c->e);
}

/* ---- requests (5.13.6) ---- */

static bool is_zero(const uint8_t *p, unsigned n)
{
    while (n && !*p)
        p++, n--;
    return !n;
}

/* All functions but the IOMMU itself. */
static bool endpoint_exists(const VirtioIommu *s, uint32_t id)
{
    const PciDevice *d = id <= UINT16_MAX ? pci_bus_find(s->proxy.pci.bus, (uint8_t)(id >> 8), (uint8_t)id) : NULL;
    return d && d != &s->proxy.pci;
}

static IommuStatus do_attach(VirtioIommu *s, const uint8_t *r)
{
    uint32_t domain = load_le32(r + 4), endpoint = load_le32(r + 8), flags = load_le32(r + 12);
    if (!is_zero(r + 16, 4) || flags & ~(virtio_has(&s->v, F_BYPASS_CONFIG) ? ATTACH_BYPASS : 0u))
        return IOMMU_INVAL;
    if (!endpoint_exists(s, endpoint))
        return IOMMU_NOENT;
    IommuStatus status = iommu_map_attach(&s->map, domain, endpoint, flags & ATTACH_BYPASS);
    flush_all(s);
    return status;
}

static IommuStatus do_detach(VirtioIommu *s, const uint8_t *r)
{
    if (!is_zero(r + 12, 8))
        return IOMMU_INVAL;
    if (!endpoint_exists(s, load_le32(r + 8)))
        return IOMMU_NOENT;
    IommuStatus status = iommu_map_detach(&s->map, load_le32(r + 4), load_le32(r + 8));
    flush_all(s);
    return status;
}

static IommuStatus do_map(VirtioIommu *s, const uint8_t *r)
{
    uint32_t flags = load_le32(r + 32);
    if (flags & ~(MAP_READ | MAP_WRITE | (virtio_has(&s->v, F_MMIO) ? MAP_MMIO : 0u)))
        return IOMMU_INVAL;
    Change c = { s, load_le32(r + 4), { load_le64(r + 8), load_le64(r + 16), load_le64(r + 24),
                                        (flags & MAP_READ ? MEM_READ : 0u) | (flags & MAP_WRITE ? MEM_WRITE : 0u) } };
    IommuStatus status = iommu_map_add(&s->map, c.domain, c.e.first, c.e.last, c.e.to, c.e.access);
    if (status == IOMMU_OK && s->proxy.pci.bus->iommu_watchers)
        pci_foreach_function(s->proxy.pci.bus, mapped, &c);
    return status;
}

static IommuStatus do_unmap(VirtioIommu *s, const uint8_t *r)
{
    Change c = { s, load_le32(r + 4), { .first = load_le64(r + 8), .last = load_le64(r + 16) } };
    if (!is_zero(r + 24, 4))
        return IOMMU_INVAL;
    IommuStatus status = iommu_map_remove(&s->map, c.domain, c.e.first, c.e.last);
    if (status == IOMMU_OK)
        pci_foreach_function(s->proxy.pci.bus, unmapped, &c);
    return status;
}

static IommuStatus do_probe(VirtioIommu *s, const uint8_t *r, uint8_t *properties)
{
    if (!is_zero(r + 8, 64))
        return IOMMU_INVAL;
    if (!endpoint_exists(s, load_le32(r + 4)))
        return IOMMU_NOENT;
    for (unsigned i = 0; i < s->map.reserved_count; i++, properties += PROPERTY_SIZE) {
        const IommuReserved *one = &s->map.reserved[i];
        store_le16(properties, PROPERTY_RESERVED);
        store_le16(properties + 2, PROPERTY_SIZE - 4);
        properties[4] = one->msi ? RESERVED_MSI : 0;
        store_le64(properties + 8, one->first);
        store_le64(properties + 16, one->last);
    }
    return IOMMU_OK;
}

enum { T_ATTACH = 1, T_DETACH, T_MAP, T_UNMAP, T_PROBE };
static const struct { unsigned size; IommuStatus (*carry_out)(VirtioIommu *s, const uint8_t *request);
} requests[] = {
    [T_ATTACH] = { 20, do_attach },
    [T_DETACH] = { 20, do_detach },
    [T_MAP] = { 36, do_map },
    [T_UNMAP] = { 28, do_unmap },
};

/* The status stands at the end of what the driver gives us to write; before it, properties. */
static void serve_request(VirtioIommu *s, VirtQueue *q, VirtqBuffer *b)
{
    uint8_t r[REQUEST_MAX], answer[PROBE_SIZE + TAIL] = { 0 };
    size_t len = virtq_gather(&b->out, 0, r, sizeof(r)), room = PROBE_SIZE;
    IommuStatus status = IOMMU_UNSUPP;
    if (len < HEAD || b->in.bytes < TAIL) {
        virtq_push(q, b, 0);
        virtio_broken(&s->v, "a request without head, or without room for its status");
        return;
    }
    unsigned type = r[0];
    if (type == T_PROBE && virtio_has(&s->v, F_PROBE)) {
        status = len < REQUEST_MAX || b->in.bytes < PROBE_SIZE + TAIL ? IOMMU_INVAL : do_probe(s, r, answer);
    } else if (type < ARRAY_LEN(requests) && requests[type].carry_out) {
        status = len < requests[type].size ? IOMMU_INVAL : requests[type].carry_out(s, r);
    }
    TRACE(iommu_request, "%s type %u status %u", s->proxy.pci.dev.id, type, (unsigned)status);
    if (b->in.bytes < PROBE_SIZE + TAIL)
        room = b->in.bytes - TAIL;
    answer[room] = (uint8_t)status;
    virtq_push(q, b, (uint32_t)virtq_scatter(&b->in, 0, answer, room + TAIL));
}

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    VirtqBuffer b;
    if (q->index != REQUESTS - REQUESTS)
        return; /* buffers for events wait there */
    do {
        virtq_disable_notify(q);
        while (virtio_running(v) && virtq_pop(q, &b))
            serve_request(iommu_of(v), q, &b);
        virtq_signal(q);
    } while (virtio_running(v) && virtq_enable_notify(q));
}

/* ---- configuration (5.13.4) ---- */

static void get_config(VirtioDevice *v, uint8_t *c)
{
    memset(c, 0, CONFIG_SIZE);
    store_le64(c, ~(uint64_t)(IOMMU_PAGE - 1)); /* page sizes */
    store_le64(c + 16, UINT64_MAX);             /* addresses 0 to */
    store_le32(c + 28, UINT32_MAX);             /* domains 0 to */
    store_le32(c + 32, PROBE_SIZE);
    c[CONFIG_BYPASS] = iommu_of(v)->bypass;
}

static void set_bypass(VirtioIommu *s, bool bypass)
{
    s->bypass = bypass;
    iommu_map_set_bypass(&s->map, bypass);
    flush_all(s);
}

static void set_config(VirtioDevice *v, const uint8_t *c, unsigned at, unsigned size)
{
    if (at > CONFIG_BYPASS || at + size <= CONFIG_BYPASS)
        return;
    if (!virtio_has(v, F_BYPASS_CONFIG) || c[CONFIG_BYPASS] > 1)
        log_guest_error(v->dev->id, "bypass=%u, which is not 0 or 1 or was not negotiated", c[CONFIG_BYPASS]);
    else
        set_bypass(iommu_of(v), c[CONFIG_BYPASS]);
}

static void iommu_reset(VirtioDevice *v)
{
    VirtioIommu *s = iommu_of(v);
    iommu_map_clear(&s->map);
    flush_all(s);
}

static const VirtioClass iommu_class = {
    .name = "virtio-iommu",
    .id = VIRTIO_ID_IOMMU,
    .config_size = CONFIG_SIZE,
    .get_config = get_config,
    .set_config = set_config,
    .features = F_INPUT_RANGE | F_DOMAIN_RANGE | F_MAP_UNMAP | F_PROBE | F_MMIO | F_BYPASS_CONFIG,
    .queue_notified = queue_notified,
    .reset = iommu_reset,
};

/* ---- the PCI device ---- */

static void init(Device *d)
{
    VirtioIommu *s = (VirtioIommu *)d;
    device_own_domain(d, "virtio-iommu");
    g_mutex_init(&s->lock);
    iommu_map_init(&s->map);
    s->saved = g_byte_array_new();
}

static bool start(Device *d, Error **errp)
{
    VirtioIommu *s = (VirtioIommu *)d;
    const PciBus *bus = s->proxy.pci.bus;
    if (device_live()) {
        error_setf(errp, "device '%s': an IOMMU is there from the start, or not at all; use -device", d->id);
        return false;
    }
    s->told = event_watch_new(-1, d->domain, NULL, tell_faults, s, 0);
    if (!s->told) {
        error_setf(errp, "device '%s': the host has no file descriptor left (ulimit -n)", d->id);
        return false;
    }
    s->proxy.disable_legacy = PCI_ON; /* there is no older interface for it */
    virtio_pci_init(&s->proxy, &s->v, &iommu_class);
    virtio_add_queue(&s->v, QUEUE_SIZE);
    virtio_add_queue(&s->v, QUEUE_SIZE);
    if (bus->msi_first != bus->msi_last)
        s->map.reserved[s->map.reserved_count++] = (IommuReserved){ bus->msi_first, bus->msi_last, true };
    set_bypass(s, s->boot_bypass);
    return virtio_pci_ready(&s->proxy, &s->v, errp) && pci_set_iommu(&s->proxy.pci, &ops, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        set_bypass((VirtioIommu *)d, ((VirtioIommu *)d)->boot_bypass);
}

static void saving(Device *d)
{
    VirtioIommu *s = (VirtioIommu *)d;
    event_watch_look(s->told);
    iommu_map_save(&s->map, s->saved);
}

static bool loaded(Device *d, Error **errp)
{
    VirtioIommu *s = (VirtioIommu *)d;
    if (!virtio_loaded(&s->v, errp) || !iommu_map_load(&s->map, s->saved, d->id, errp))
        return false;
    set_bypass(s, s->bypass);
    g_byte_array_set_size(s->saved, 0);
    return true;
}

static void stop(Device *d)
{
    VirtioIommu *s = (VirtioIommu *)d;
    pci_unset_iommu(&s->proxy.pci);
    event_watch_free(s->told);
    iommu_map_free(&s->map);
    g_byte_array_unref(s->saved);
    g_mutex_clear(&s->lock);
}

static void describe(Device *d, GString *out)
{
    VirtioIommu *s = (VirtioIommu *)d;
    iommu_map_print(&s->map, out);
    if (s->lost)
        g_string_append_printf(out, "%u faults were not told, for want of buffers\n", s->lost);
}

static const Property props[] = {
    DEFINE_PROP_BOOL("boot-bypass", VirtioIommu, boot_bypass, true,
                     "until a driver says otherwise, all functions reach memory"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(VirtioIommu, v, virtio_state), STATE_BOOL(VirtioIommu, bypass),
                                    STATE_BUF(VirtioIommu, saved, IOMMU_SAVED_MAX), STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0x1af4,
                                        .device = 0x1057,
                                        .class_code = 0x00ff00,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = 0x1100,
                                        .interrupt_pin = 1,
                                        .express = true };
static const DeviceType iommu_type = {
    .name = "virtio-iommu-pci",
    .alias = "virtio-iommu",
    .desc = "virtio IOMMU for all PCI functions",
    .category = "Misc",
    .size = sizeof(VirtioIommu),
    .bus = "pci",
    .user_creatable = true,
    .load_first = true,
    .base = &virtio_pci_type,
    .props = props,
    .state = state,
    .init = init,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
    .info = describe,
    .class_data = &pci_info,
};
DEVICE_REGISTER(iommu_type)
