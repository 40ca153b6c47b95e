/* SPDX-License-Identifier: MIT */
/* virtio-rng: the driver's buffers are filled with random bytes (VIRTIO 1.2 section 5.4). */
#include "base/bits.h"
#include "hw/virtio/rng-backend.h"
#include "hw/virtio/virtio-proxy.h"

enum { QUEUE_SIZE = 8 };
#define NS_PER_MS INT64_C(1000000)

typedef struct VirtioRng {
    VirtioProxy proxy;
    VirtioDevice v;
    RngBackend *backend;
    /* properties */
    char *rng;
    uint64_t max_bytes;
    uint32_t period_ms;
    /* state */
    uint64_t quota;      /* bytes left in this period */
    bool asked;
    VirtqHeld held;      /* the buffer to be filled next */
    Timer *period;
} VirtioRng;

static VirtioRng *rng_of(VirtioDevice *v) { return container_of(v, VirtioRng, v); }

static void fill(void *opaque, const uint8_t *data, size_t len);

/* The period begins with the first bytes that are wanted. */
static bool take_quota(VirtioRng *r)
{
    if (!timer_armed(r->period)) {
        r->quota = r->max_bytes;
        timer_arm(r->period, clock_ns(CLOCK_VIRTUAL_NS) + r->period_ms * NS_PER_MS);
    }
    return r->quota;
}

static void ask(VirtioRng *r)
{
    if (!virtq_held_pop(&r->held, &r->v.queue[0]) || r->asked || !take_quota(r))
        return;
    r->asked = true;
    rng_request(r->backend, MIN(MAX(r->held.buffer.in.bytes, 1), r->quota), fill, r);
}

/* Main thread, no lock. */
static void fill(void *opaque, const uint8_t *data, size_t len)
{
    VirtioRng *r = opaque;
    LockDomain *domain = r->v.dev->domain;
    lock_domain_lock(domain);
    if (r->asked && r->held.have) {
        size_t n = virtq_scatter(&r->held.buffer.in, 0, data, MIN(len, r->quota));
        r->asked = false;
        r->quota -= n;
        virtq_held_push(&r->held, &r->v.queue[0], (uint32_t)n);
        ask(r);
    }
    lock_domain_unlock(domain);
}

static void period_over(void *opaque) { ask(opaque); }
static void queue_notified(VirtioDevice *v, VirtQueue *q) { ask(rng_of(v)); }

static void drop(VirtioRng *r)
{
    virtq_held_drop(&r->held);
    r->asked = false;
    if (r->backend)
        rng_cancel(r->backend, r);
}

static void rng_reset(VirtioDevice *v)
{
    VirtioRng *r = rng_of(v);
    drop(r);
    timer_cancel(r->period);
    r->quota = r->max_bytes;
}

static const VirtioClass rng_class = {
    .name = "virtio-rng", .id = VIRTIO_ID_RNG, .queue_notified = queue_notified, .reset = rng_reset
};

static void init(Device *d)
{
    VirtioRng *r = (VirtioRng *)d;
    device_own_domain(d, "virtio-rng");
    virtq_held_init(&r->held);
    r->period = timer_new(CLOCK_VIRTUAL_NS, d->domain, period_over, r);
}

static bool start(Device *d, Error **errp)
{
    VirtioRng *r = (VirtioRng *)d;
    r->backend = rng_take(r->rng, errp);
    if (!r->backend)
        return false;
    r->quota = r->max_bytes;
    virtio_proxy_init(&r->proxy, &r->v, &rng_class);
    virtio_add_queue(&r->v, QUEUE_SIZE);
    return virtio_proxy_ready(&r->proxy, &r->v, errp);
}

static void saving(Device *d) { virtq_held_saving(&((VirtioRng *)d)->held, &((VirtioRng *)d)->v.queue[0]); }

static bool loaded(Device *d, Error **errp)
{
    VirtioRng *r = (VirtioRng *)d;
    drop(r);
    if (!virtio_loaded(&r->v, errp) || !virtq_held_loaded(&r->held, &r->v.queue[0], errp))
        return false;
    r->quota = MIN(r->quota, r->max_bytes);
    if (r->held.have)
        ask(r);
    return true;
}

static void stop(Device *d)
{
    VirtioRng *r = (VirtioRng *)d;
    drop(r);
    timer_free(r->period);
    virtq_held_free(&r->held);
    if (r->backend)
        object_release((Object *)r->backend);
}

static const Property props[] = {
    DEFINE_PROP_STRING("rng", VirtioRng, rng, NULL, "id of the -object rng-*; none: the host's generator"),
    PROP_(PROP_U64, "max-bytes", VirtioRng, max_bytes, INT64_MAX, "bytes in a period at most", .min = 1,
          .max = INT64_MAX),
    PROP_(PROP_U32, "period", VirtioRng, period_ms, 1 << 16, "milliseconds", .min = 1, .max = UINT32_MAX),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(VirtioRng, v, virtio_state), STATE_U64(VirtioRng, quota),
                                    VIRTQ_HELD_STATE(VirtioRng, held), STATE_TIMER(VirtioRng, period),
                                    STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0x1af4,
                                        .device = 0x1005,
                                        .class_code = 0x00ff00,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = VIRTIO_ID_RNG,
                                        .interrupt_pin = 1,
                                        .express = true };
#define COMMON \
    .category = "Misc", .size = sizeof(VirtioRng), .user_creatable = true, .props = props, .state = state, \
    .init = init, .start = start, \
    .saving = saving, .loaded = loaded, .stop = stop
static const DeviceType rng_pci = { .name = "virtio-rng-pci",
                                    .alias = "virtio-rng",
                                    .desc = "virtio random bytes",
                                    .bus = "pci",
                                    .base = &virtio_pci_type,
                                    .class_data = &pci_info,
                                    COMMON };
DEVICE_REGISTER(rng_pci)
static const DeviceType rng_mmio = { .name = "virtio-rng-device",
                                     .desc = "virtio random bytes, behind a virtio-bus",
                                     .bus = "virtio-bus",
                                     .base = &virtio_device_type,
                                     COMMON };
DEVICE_REGISTER(rng_mmio)
