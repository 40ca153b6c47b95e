/* SPDX-License-Identifier: MIT */
/*
 * virtio-pmem: a memory back end that the guest sees as persistent memory, and flushes by request (VIRTIO 1.2 section
 * 5.19).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "base/bits.h"
#include "base/iov.h"
#include "hw/mem/memory-device.h"
#include "hw/virtio/virtio-pci.h"

enum { CONFIG_SIZE = 16, REQUEST_SIZE = 4, RESPONSE_SIZE = 4, REQ_FLUSH = 0, QUEUE_SIZE = 128, VIRTIO_ID_PMEM = 27 };

typedef struct Flush {
    VirtqBuffer buffer;
    struct Flush *next;
} Flush;

typedef struct VirtioPmem {
    VirtioPci proxy;
    VirtioDevice v;
    MemoryDevice mem;
    /* the thread that flushes: the host takes its time */
    pthread_t thread;
    pthread_mutex_t lock;    /* of what follows; taken after the device's domain */
    pthread_cond_t changed;
    Flush *first, **last;
    unsigned in_flight;
    bool started, quit;
    uint32_t flushes;        /* that the host made: for `info` */
} VirtioPmem;

static VirtioPmem *pmem_of(VirtioDevice *v) { return container_of(v, VirtioPmem, v); }

/* ---- flushing ---- */

static void give_back(VirtioPmem *p, VirtqBuffer *b, uint32_t result)
{
    uint8_t response[RESPONSE_SIZE];
    store_le32(response, result);
    iov_from_buf(b->in.iov, (int)b->in.count, 0, response, sizeof response);
    virtq_push(&p->v.queue[0], b, RESPONSE_SIZE);
    virtq_signal(&p->v.queue[0]);
}

static void *flusher(void *opaque)
{
    VirtioPmem *p = opaque;
    MemRegion *r = p->mem.backend->region;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->first && !p->quit)
            pthread_cond_wait(&p->changed, &p->lock);
        Flush *all = p->first; /* one flush does for all that were asked for before it */
        if (!all)
            break;
        p->first = NULL;
        pthread_mutex_unlock(&p->lock);
        int error = msync(mem_host(r), mem_size(r), MS_SYNC) ? errno : 0;
        if (error)
            warn_reportf("device '%s': the host can't flush '%s': %s", p->v.dev->id, p->mem.memdev, g_strerror(error));
        unsigned done = 0;
        p->flushes++;
        lock_domain_lock(p->v.dev->domain);
        for (Flush *f = all, *next; f; f = next, done++) {
            next = f->next;
            give_back(p, &f->buffer, error ? 1 : 0);
            g_free(f);
        }
        lock_domain_unlock(p->v.dev->domain);
        pthread_mutex_lock(&p->lock);
        p->in_flight -= done;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void submit(VirtioPmem *p, const VirtqBuffer *b)
{
    Flush *f = g_new(Flush, 1);
    *f = (Flush){ *b, NULL };
    pthread_mutex_lock(&p->lock);
    if (!p->first)
        p->last = &p->first;
    *p->last = f;
    p->last = &f->next;
    p->in_flight++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Nothing is on its way afterwards; the domain is dropped meanwhile. */
static void settle(VirtioPmem *p)
{
    LockDomain *domain = p->v.dev ? p->v.dev->domain : NULL;
    unsigned held = 0;
    for (; domain && lock_domain_held(domain); held++)
        lock_domain_unlock(domain);
    pthread_mutex_lock(&p->lock);
    while (p->in_flight)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    for (; held; held--)
        lock_domain_lock(domain);
}

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    VirtioPmem *p = pmem_of(v);
    VirtqBuffer b;
    do {
        virtq_disable_notify(q);
        while (virtq_pop(q, &b)) {
            uint8_t request[REQUEST_SIZE];
            if (b.out.bytes < REQUEST_SIZE || b.in.bytes < RESPONSE_SIZE) {
                virtq_push(q, &b, 0);
                virtio_broken(v, "a request without type, or without room for its answer");
                return;
            }
            iov_to_buf(b.out.iov, (int)b.out.count, 0, request, sizeof request);
            if (load_le32(request) == REQ_FLUSH)
                submit(p, &b);
            else
                give_back(p, &b, 1);
        }
    } while (virtio_running(v) && virtq_enable_notify(q));
}

static void pmem_reset(VirtioDevice *v) { settle(pmem_of(v)); }

/* ---- configuration (5.19.4) ---- */

static void get_config(VirtioDevice *v, uint8_t *c)
{
    const VirtioPmem *p = pmem_of(v);
    store_le64(c, p->mem.addr);
    store_le64(c + 8, p->mem.size);
}

static const VirtioClass pmem_class = {
    .name = "virtio-pmem",
    .id = VIRTIO_ID_PMEM,
    .config_size = CONFIG_SIZE,
    .get_config = get_config,
    .queue_notified = queue_notified,
    .reset = pmem_reset,
};

/* ---- the PCI device ---- */

static void init(Device *d)
{
    VirtioPmem *p = (VirtioPmem *)d;
    device_own_domain(d, "virtio-pmem");
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
}

static bool start(Device *d, Error **errp)
{
    VirtioPmem *p = (VirtioPmem *)d;
    if (!memory_device_take(&p->mem, d, "virtio-pmem", errp))
        return false;
    p->mem.slot = MEMORY_DEVICE_NO_SLOT;
    virtio_pci_init(&p->proxy, &p->v, &pmem_class);
    virtio_add_queue(&p->v, QUEUE_SIZE);
    if (!memory_device_plug(&p->mem, 128 * MiB, errp))
        return false;
    p->thread = thread_start("pmem flush", flusher, p);
    p->started = true;
    p->proxy.disable_legacy = 0; /* there is no older interface for it */
    return virtio_pci_ready(&p->proxy, &p->v, errp);
}

static void saving(Device *d) { settle((VirtioPmem *)d); }
static bool loaded(Device *d, Error **errp) { return virtio_loaded(&((VirtioPmem *)d)->v, errp); }

static void stop(Device *d)
{
    VirtioPmem *p = (VirtioPmem *)d;
    if (p->started) {
        settle(p);
        pthread_mutex_lock(&p->lock);
        p->quit = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
    }
    memory_device_unplug(&p->mem);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
}

static void describe(Device *d, GString *out)
{
    g_string_append_printf(out, "persistent memory: flushed %u times\n", ((VirtioPmem *)d)->flushes);
}

static const Property props[] = { MEMORY_DEVICE_PROPS(VirtioPmem, mem, "memaddr"), DEFINE_PROP_END };
static const StateField state[] = { STATE_STRUCT(VirtioPmem, v, virtio_state), STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0x1af4,
                                        .device = 0x105b,
                                        .class_code = 0x00ff00,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = 0x1100,
                                        .interrupt_pin = 1,
                                        .express = true };
static const DeviceType pmem_type = {
    .name = "virtio-pmem-pci",
    .alias = "virtio-pmem",
    .desc = "virtio persistent memory",
    .category = "Storage",
    .size = sizeof(VirtioPmem),
    .bus = "pci",
    .user_creatable = true,
    .base = &virtio_pci_type,
    .props = props,
    .state = state,
    .init = init,
    .start = start,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
    .info = describe,
    .class_data = &pci_info,
};
DEVICE_REGISTER(pmem_type)
