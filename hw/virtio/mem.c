/* SPDX-License-Identifier: MIT */
/*
 * virtio-mem: memory in blocks that the guest takes and gives back, up to what the user asks for (VIRTIO 1.2 section
 * 5.15).
 */
#include "hw/virtio/mem.h"

#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/ram.h"
#include "hw/mem/memory-device.h"
#include "hw/virtio/virtio-pci.h"

#define F_ACPI_PXM BIT(0)
#define F_UNPLUGGED_INACCESSIBLE BIT(1)
enum { REQ_PLUG = 0, REQ_UNPLUG, REQ_UNPLUG_ALL, REQ_STATE, ACK = 0, NACK, BUSY, ERROR, PLUGGED = 0, UNPLUGGED, MIXED };
enum {
    CONFIG_SIZE = 56,
    REQUEST_SIZE = 24,
    RESPONSE_SIZE = 10,
    QUEUE_SIZE = 128,
    REQUESTS_MAX = 1024,
    BLOCKS_MAX = 1 << 20,
    VIRTIO_ID_MEM = 24
};
#define DEFAULT_BLOCK (2 * MiB)

typedef struct VirtioMem {
    VirtioPci proxy;
    VirtioDevice v;
    MemoryDevice mem;
    /* properties */
    uint64_t block_size, requested;
    /* state */
    uint64_t usable;
    GByteArray *map;   /* a bit for each block: plugged */
    Timer *more;
} VirtioMem;

static VirtioMem *mem_of(VirtioDevice *v) { return container_of(v, VirtioMem, v); }

/* ---- blocks ---- */

static uint64_t blocks(const VirtioMem *m) { return m->mem.size / m->block_size; }
static bool is_plugged(const VirtioMem *m, uint64_t n) { return m->map->data[n / 8] >> n % 8 & 1; }

static void set_plugged(VirtioMem *m, uint64_t n, bool on)
{
    uint8_t bit = (uint8_t)(1u << n % 8);
    m->map->data[n / 8] = (uint8_t)(on ? m->map->data[n / 8] | bit : m->map->data[n / 8] & ~bit);
}

/* Blocks in [first, first + count) that are as wanted: all, none, or some. */
static unsigned state_of(const VirtioMem *m, uint64_t first, uint64_t count)
{
    uint64_t on = 0;
    for (uint64_t i = 0; i < count; i++)
        on += is_plugged(m, first + i);
    return on == count ? PLUGGED : on ? MIXED : UNPLUGGED;
}

/* What left is zero when it comes again. */
static void discard(VirtioMem *m, uint64_t first, uint64_t count)
{
    MemSection s;
    uint64_t at = first * m->block_size, len = count * m->block_size;
    rcu_read_lock();
    as_translate(machine_current()->as_memory, m->mem.addr + at, &s);
    rcu_read_unlock();
    if (s.region && s.ram_addr != UINT64_MAX)
        ram_discard(s.ram_addr, MIN(len, s.len));
}

/* The guest may take what lies below it: what is asked for, and some more, since not all of it may be fit. */
static void resize_usable(VirtioMem *m, bool may_shrink)
{
    uint64_t want = m->requested
                        ? MIN(m->mem.size, align_up(m->requested, m->block_size) + MAX(256 * MiB, 2 * m->block_size))
                        : 0;
    if (may_shrink || want > m->usable)
        m->usable = want;
}

static void unplug_all(VirtioMem *m)
{
    memset(m->map->data, 0, m->map->len);
    m->mem.plugged = 0;
    discard(m, 0, blocks(m));
    resize_usable(m, true);
}

/* ---- requests ---- */

static bool range_of(const VirtioMem *m, uint64_t addr, uint64_t count, uint64_t *first)
{
    uint64_t at = addr - m->mem.addr;
    *first = at / m->block_size;
    return count && addr >= m->mem.addr && at % m->block_size == 0 && at < m->usable &&
           count <= (m->usable - at) / m->block_size;
}

static unsigned set_range(VirtioMem *m, uint64_t addr, uint64_t count, bool plug)
{
    uint64_t first, len = count * m->block_size;
    if (!range_of(m, addr, count, &first) || state_of(m, first, count) != (plug ? UNPLUGGED : PLUGGED))
        return ERROR;
    if (plug && (m->mem.plugged > m->requested || len > m->requested - m->mem.plugged))
        return NACK;
    for (uint64_t i = 0; i < count; i++)
        set_plugged(m, first + i, plug);
    m->mem.plugged = plug ? m->mem.plugged + len : m->mem.plugged - len;
    if (!plug)
        discard(m, first, count);
    return ACK;
}

static void answer(VirtioMem *m, const uint8_t *request, uint8_t *response)
{
    uint64_t addr = load_le(request + 8, 8), count = load_le(request + 16, 2), first;
    unsigned type = (unsigned)load_le(request, 2), result = ERROR, state = 0;
    bool changed = false;
    switch (type) {
    case REQ_PLUG:
    case REQ_UNPLUG:
        result = set_range(m, addr, count, type == REQ_PLUG);
        changed = result == ACK;
        break;
    case REQ_UNPLUG_ALL:
        unplug_all(m);
        changed = true;
        result = ACK;
        break;
    case REQ_STATE:
        if (range_of(m, addr, count, &first)) {
            state = state_of(m, first, count);
            result = ACK;
        }
        break;
    default: log_guest_error(m->v.dev->id, "request %u is not known", type);
    }
    if (changed)
        m->v.generation++;
    memset(response, 0, RESPONSE_SIZE);
    store_le(response, 2, result);
    store_le(response + 8, 2, state);
}

static bool take_request(VirtioMem *m, VirtQueue *q, VirtqBuffer *b)
{
    uint8_t request[REQUEST_SIZE] = { 0 }, response[RESPONSE_SIZE];
    bool ok = virtq_gather(&b->out, 0, request, sizeof(request)) == sizeof(request) && b->in.bytes >= RESPONSE_SIZE;
    if (ok) {
        answer(m, request, response);
        virtq_scatter(&b->in, 0, response, sizeof(response));
    }
    virtq_push(q, b, ok ? RESPONSE_SIZE : 0);
    virtq_signal(q);
    if (!ok)
        virtio_broken(&m->v, "a request without room for its answer");
    return ok;
}

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    VirtioMem *m = mem_of(v);
    VirtqBuffer b;
    unsigned n = 0;
    do {
        virtq_disable_notify(q);
        while (n < REQUESTS_MAX && virtq_pop(q, &b) && take_request(m, q, &b))
            n++;
    } while (virtio_running(v) && n < REQUESTS_MAX && virtq_enable_notify(q));
    if (n == REQUESTS_MAX)
        timer_arm(m->more, clock_ns(CLOCK_VIRTUAL_NS));
}

static void go_on(void *opaque) { virtio_queue_notify(&((VirtioMem *)opaque)->v, 0); }

/* Memory stays over a driver's reset: it finds out what is plugged. A system reset takes all (device reset below). */
static void mem_reset(VirtioDevice *v) { timer_cancel(mem_of(v)->more); }

/* ---- configuration (5.15.4) ---- */

static uint64_t get_features(VirtioDevice *v)
{
    return F_ACPI_PXM | F_UNPLUGGED_INACCESSIBLE;
}

static void get_config(VirtioDevice *v, uint8_t *c)
{
    const VirtioMem *m = mem_of(v);
    store_le(c, 8, m->block_size);
    store_le(c + 8, 2, m->mem.node);
    store_le(c + 16, 8, m->mem.addr);
    store_le(c + 24, 8, m->mem.size);
    store_le(c + 32, 8, m->usable);
    store_le(c + 40, 8, m->mem.plugged);
    store_le(c + 48, 8, m->requested);
}

static const VirtioClass mem_class = {
    .name = "virtio-mem",
    .id = VIRTIO_ID_MEM,
    .config_size = CONFIG_SIZE,
    .get_features = get_features,
    .get_config = get_config,
    .queue_notified = queue_notified,
    .reset = mem_reset,
};

/* ---- the PCI device ---- */

static const DeviceType mem_type;

static bool check_size(const VirtioMem *m, uint64_t requested, Error **errp)
{
    if (requested <= m->mem.size && requested % m->block_size == 0)
        return true;
    error_setf(errp,
               "device '%s': requested-size=%" PRIu64 " is not a multiple of block-size=%" PRIu64 " up to %" PRIu64,
               m->v.dev->id, requested, m->block_size, m->mem.size);
    return false;
}

bool virtio_mem_request(const char *id, uint64_t size, Error **errp)
{
    Device *d = device_find(id);
    if (!d || d->type != &mem_type) {
        error_setf(errp, "there is no virtio-mem device '%s'; `info memory-devices` lists them", id);
        return false;
    }
    VirtioMem *m = (VirtioMem *)d;
    if (!check_size(m, size, errp))
        return false;
    lock_domain_lock(d->domain);
    m->requested = size;
    resize_usable(m, false);
    virtio_config_changed(&m->v);
    lock_domain_unlock(d->domain);
    return true;
}

static void init(Device *d)
{
    VirtioMem *m = (VirtioMem *)d;
    m->map = g_byte_array_new();
    m->more = timer_new(CLOCK_VIRTUAL_NS, d->domain, go_on, m);
}

static bool check_block_size(VirtioMem *m, Error **errp)
{
    m->block_size = m->block_size ? m->block_size : DEFAULT_BLOCK;
    if (m->block_size >= MiB && is_pow2(m->block_size) && m->mem.size % m->block_size == 0 && blocks(m) <= BLOCKS_MAX)
        return true;
    error_setf(errp,
               "device '%s': block-size=%" PRIu64
               " is no power of two of at least 1 MiB that divides the back end's %" PRIu64 " bytes",
               m->proxy.pci.dev.id, m->block_size, m->mem.size);
    return false;
}

static bool start(Device *d, Error **errp)
{
    VirtioMem *m = (VirtioMem *)d;
    if (!memory_device_take(&m->mem, d, "virtio-mem", errp) || !check_block_size(m, errp))
        return false;
    m->mem.slot = MEMORY_DEVICE_NO_SLOT;
    m->mem.plugged = 0;
    virtio_pci_init(&m->proxy, &m->v, &mem_class);
    virtio_add_queue(&m->v, QUEUE_SIZE);
    if (!check_size(m, m->requested, errp))
        return false;
    g_byte_array_set_size(m->map, (guint)((blocks(m) + 7) / 8));
    memset(m->map->data, 0, m->map->len);
    if (!memory_device_plug(&m->mem, MAX(m->block_size, 128 * MiB), errp))
        return false;
    resize_usable(m, true);
    m->proxy.disable_legacy = 0; /* there is no older interface for it */
    return virtio_pci_ready(&m->proxy, &m->v, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    VirtioMem *m = (VirtioMem *)d;
    if (phase == RESET_ENTER && m->mem.region)
        unplug_all(m);
}

static bool loaded(Device *d, Error **errp)
{
    VirtioMem *m = (VirtioMem *)d;
    uint64_t on = 0;
    if (!virtio_loaded(&m->v, errp) || !check_size(m, m->requested, errp))
        return false;
    if (m->map->len != (blocks(m) + 7) / 8 || m->usable > m->mem.size || m->usable % m->block_size) {
        error_setf(errp, "device '%s': it was saved with another size or block-size", d->id);
        return false;
    }
    for (uint64_t i = 0; i < blocks(m); i++)
        on += is_plugged(m, i);
    m->mem.plugged = on * m->block_size;
    return true;
}

static void stop(Device *d)
{
    VirtioMem *m = (VirtioMem *)d;
    timer_free(m->more);
    memory_device_unplug(&m->mem);
    g_byte_array_unref(m->map);
}

static const Property props[] = {
    MEMORY_DEVICE_PROPS(VirtioMem, mem, "memaddr"),
    MEMORY_DEVICE_NODE_PROP(VirtioMem, mem),
    DEFINE_PROP_SIZE("requested-size", VirtioMem, requested, 0, "bytes that the guest shall have of it"),
    DEFINE_PROP_SIZE("block-size", VirtioMem, block_size, 0, "bytes that come and go together, 0: 2 MiB"),
    DEFINE_PROP_END,
};
static const StateField state[] = {
    STATE_STRUCT(VirtioMem, v, virtio_state), STATE_U64(VirtioMem, requested), STATE_U64(VirtioMem, usable),
    STATE_BUF(VirtioMem, map, BLOCKS_MAX / 8), STATE_TIMER(VirtioMem, more), STATE_END_OF_TABLE
};
static const PciDeviceInfo pci_info = { .vendor = 0x1af4,
                                        .device = 0x1058,
                                        .class_code = 0x00ff00,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = 0x1100,
                                        .interrupt_pin = 1,
                                        .express = true };
static const DeviceType mem_type = {
    .name = "virtio-mem-pci",
    .alias = "virtio-mem",
    .desc = "virtio memory: blocks that come and go",
    .category = "Misc",
    .size = sizeof(VirtioMem),
    .bus = "pci",
    .user_creatable = true,
    .base = &virtio_pci_type,
    .props = props,
    .state = state,
    .init = init,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
    .class_data = &pci_info,
};
DEVICE_REGISTER(mem_type)
