/* SPDX-License-Identifier: MIT */
/*
 * Writes of the guest that only signal an eventfd, or that the kernel collects in a ring which all vCPUs share (kernel
 * documentation: virt/kvm/api.rst, 4.59, 4.116): follows the memory and port maps.
 */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/memory.h"

typedef struct IoEvent {
    hwaddr at;
    MemNotifier n;
    bool port, failed;
} IoEvent;

static GArray *events; /* of IoEvent, as the kernel has them; map lock */

/* Where the kernel signals: a copy for other threads. */
typedef struct Places {
    struct rcu_head rcu;
    unsigned count;
    struct { hwaddr at; bool port; } place[];
} Places;
static Places *places; /* rcu_publish() */
static _Atomic unsigned count;
static bool can_signal;
static int ring_page;  /* of a vCPU's structure; 0: the kernel does not collect */
static bool ports_too;
static struct kvm_coalesced_mmio_ring *_Atomic ring;
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER; /* who takes entries out; before any device's domain */
static uint64_t collected; /* under it */

unsigned kvm_ioevents_count(void) { return atomic_load(&count); }
uint64_t kvm_ioevents_collected(void) { return __atomic_load_n(&collected, __ATOMIC_RELAXED); }

/* --- the ring --- */

void kvm_ioevents_vcpu_init(const KvmVcpu *k)
{
    /* the first one's mapping, which stays as long as the VM */
    if (ring_page && !atomic_load(&ring) && ((size_t)ring_page + 1) * kvm_page() <= kvm.run_size)
        atomic_store(&ring, (struct kvm_coalesced_mmio_ring *)((uint8_t *)k->run + (size_t)ring_page * kvm_page()));
}

static void do_write(const struct kvm_coalesced_mmio *w)
{
    AddressSpace *as = w->pio ? kvm.machine->as_io : kvm.machine->as_memory;
    if (as && is_pow2(w->len) && w->len <= sizeof(w->data))
        as_store(as, w->phys_addr, w->len, load_le(w->data, w->len), (MemAttrs){ .cpu = 0 });
}

void kvm_ioevents_flush(void)
{
    struct kvm_coalesced_mmio_ring *r = atomic_load_explicit(&ring, memory_order_relaxed);
    if (!r || __atomic_load_n(&r->first, __ATOMIC_ACQUIRE) == __atomic_load_n(&r->last, __ATOMIC_ACQUIRE))
        return;
    const uint32_t entries = (uint32_t)((kvm_page() - sizeof(struct kvm_coalesced_mmio_ring)) /
                                        sizeof(struct kvm_coalesced_mmio));
    pthread_mutex_lock(&ring_lock);
    for (uint32_t at = r->first; at != __atomic_load_n(&r->last, __ATOMIC_ACQUIRE); at = (at + 1) % entries) {
        struct kvm_coalesced_mmio w = r->coalesced_mmio[at];
        do_write(&w);
        collected++;
        __atomic_store_n(&r->first, (at + 1) % entries, __ATOMIC_RELEASE); /* done: others need not wait for it */
    }
    pthread_mutex_unlock(&ring_lock);
}

/* --- places --- */

static bool collect(const IoEvent *e, bool assign)
{
    struct kvm_coalesced_mmio_zone z = { .addr = e->at, .size = e->n.size, .pio = e->port };
    return ring_page && (!e->port || ports_too) &&
           !kvm_ioctl(kvm.vm, assign ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO, &z);
}

static bool tell_kernel(const IoEvent *e, bool assign)
{
    if (e->n.fd == MEM_COALESCED)
        return collect(e, assign);
    if (!can_signal)
        return false;
    struct kvm_ioeventfd i = { .addr = e->at, .len = e->n.size, .fd = e->n.fd, .datamatch = e->n.value };
    i.flags = (e->port ? KVM_IOEVENTFD_FLAG_PIO : 0) | (e->n.match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
              (assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN);
    return !kvm_ioctl(kvm.vm, KVM_IOEVENTFD, &i);
}

static bool same(const IoEvent *a, const IoEvent *b)
{
    return a->at == b->at && a->port == b->port && a->n.size == b->n.size && a->n.match == b->n.match &&
           a->n.value == b->n.value && a->n.fd == b->n.fd;
}

static int find(const GArray *in, const IoEvent *e)
{
    for (unsigned i = 0; i < in->len; i++) {
        if (same(&g_array_index(in, IoEvent, i), e))
            return (int)i;
    }
    return -1;
}

typedef struct Wanted { GArray *list; bool port; } Wanted;
static void want(hwaddr at, const MemNotifier *n, void *opaque)
{
    const Wanted *w = opaque;
    IoEvent e = { .at = at, .n = *n, .port = w->port };
    g_array_append_val(w->list, e);
}

static void free_places(struct rcu_head *head) { g_free(caa_container_of(head, Places, rcu)); }

static void set_places(Places *new)
{
    Places *old = places;
    rcu_publish(places, new);
    if (old)
        call_rcu(&old->rcu, free_places);
}

static void publish_places(void)
{
    Places *p = g_malloc0(sizeof(*p) + events->len * sizeof(p->place[0]));
    for (unsigned i = 0; i < events->len; i++) {
        const IoEvent *e = &g_array_index(events, IoEvent, i);
        if (e->failed || e->n.fd == MEM_COALESCED)
            continue;
        p->place[p->count].at = e->at;
        p->place[p->count++].port = e->port;
    }
    atomic_store(&count, p->count);
    set_places(p);
}

bool kvm_ioevents_at(bool port, uint64_t at)
{
    const Places *p = rcu_get(places);
    for (unsigned i = 0; p && i < p->count; i++) {
        if (p->place[i].at == at && p->place[i].port == port)
            return true;
    }
    return false;
}

/* Old ones go first: another may take their place. One that the kernel refuses stays a plain access. */
static void refresh(void)
{
    if (kvm.vm < 0)
        return;
    g_autoptr(GArray) list = g_array_new(false, false, sizeof(IoEvent));
    as_foreach_notifier(kvm.machine->as_memory, want, &(Wanted){ list, false });
    if (kvm.machine->as_io)
        as_foreach_notifier(kvm.machine->as_io, want, &(Wanted){ list, true });
    for (unsigned i = events->len; i-- > 0;) {
        const IoEvent *e = &g_array_index(events, IoEvent, i);
        if (find(list, e) >= 0)
            continue;
        if (!e->failed)
            tell_kernel(e, false);
        g_array_remove_index_fast(events, i);
    }
    for (unsigned i = 0; i < list->len; i++) {
        IoEvent *e = &g_array_index(list, IoEvent, i);
        if (find(events, e) >= 0)
            continue;
        e->failed = !tell_kernel(e, true);
        if (e->failed && e->n.fd != MEM_COALESCED)
            log_unimp("kvm", "doorbell at 0x%" G_GINT64_MODIFIER "x: %s", (guint64)e->at, g_strerror(errno));
        g_array_append_val(events, *e);
    }
    publish_places();
}

static void map_changed(void *opaque)
{
    if (events)
        refresh();
}

bool kvm_ioevents_init(void)
{
    static bool listening;
    can_signal = kvm_check(KVM_CAP_IOEVENTFD) > 0 && kvm_check(KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
    ring_page = kvm_check(KVM_CAP_COALESCED_MMIO);
    ports_too = kvm_check(KVM_CAP_COALESCED_PIO) > 0;
    collected = 0;
    events = g_array_new(false, false, sizeof(IoEvent));
    mem_set_notifier_hook(refresh);
    if (!listening) {
        as_add_listener(kvm.machine->as_memory, map_changed, NULL);
        if (kvm.machine->as_io)
            as_add_listener(kvm.machine->as_io, map_changed, NULL);
        listening = true;
    }
    return can_signal;
}

void kvm_ioevents_forget(void)
{
    mem_set_notifier_hook(NULL);
    g_clear_pointer(&events, g_array_unref);
    set_places(NULL);
    atomic_store(&count, 0);
    atomic_store(&ring, NULL);
}
