/* SPDX-License-Identifier: MIT */
/* ivshmem-plain and ivshmem-doorbell: memory that machines share, as a PCI BAR (QEMU docs/specs/ivshmem-spec). */
#include "hw/misc/ivshmem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/event-watch.h"
#include "base/evloop.h"
#include "base/log.h"
#include "chardev/chardev.h"
#include "hw/core/event-doors.h"
#include "hw/mem/backend.h"
#include "hw/pci/pci.h"

enum { MASK = 0, STATUS = 4, POSITION = 8, DOORBELL = 12, REGS_SIZE = 256, VECTORS_MAX = 1024, PEERS_AT_A_TIME = 64 };

typedef struct Ivshmem Ivshmem;

/* A vector: of ours, then served, or of a peer, then perhaps with a place in the memory map. */
typedef struct Vector {
    int fd;
    EventWatch *event; /* owns fd */
    MemNotifier bell;
    bool noticed; /* bell is registered */
} Vector;

typedef struct Peer {
    Ivshmem *owner;
    unsigned count;
    Vector *vector;
} Peer;

struct Ivshmem {
    PciDevice pci; /* always first */
    MemRegion *regs, *shared;
    MemoryBackend *backend;
    IvshmemLink link;
    unsigned link_watch;
    uint16_t id;
    Peer own;
    GHashTable *peers; /* id: Peer */
    /* properties */
    char *memdev;
    Chardev *chr;
    uint32_t vectors;
    bool ioeventfd;
    /* registers */
    uint32_t mask, status;
};

/* ---- peers ---- */

static void peer_clear(Peer *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        Vector *v = &p->vector[i];
        if (v->noticed)
            mem_remove_notifier(p->owner->regs, &v->bell);
        if (v->event)
            event_watch_free(v->event);
        else
            close(v->fd);
    }
    g_clear_pointer(&p->vector, g_free);
    p->count = 0;
}

static void peer_free(void *p)
{
    peer_clear(p);
    g_free(p);
}

static void ours_rang(void *opaque, unsigned vector) { msix_notify(&((Ivshmem *)opaque)->pci, vector); }

static void add_vector(Ivshmem *s, Peer *p, uint16_t id, int fd)
{
    if (p->count >= s->vectors) { /* the server has more than this device wants */
        close(fd);
        return;
    }
    if (!p->vector)
        p->vector = g_new0(Vector, s->vectors);
    unsigned number = p->count++;
    Vector *v = &p->vector[number];
    *v = (Vector){ .fd = fd };
    if (p == &s->own) {
        v->event = event_watch_new(fd, s->pci.dev.domain, NULL, ours_rang, s, number);
    } else if (s->ioeventfd && event_doors()->notifiers) {
        v->bell = (MemNotifier){
            .offset = DOORBELL, .size = 4, .match = true, .value = (uint64_t)id << 16 | number, .fd = fd
        };
        mem_add_notifier(s->regs, &v->bell);
        v->noticed = true;
    }
}

static Peer *find_peer(Ivshmem *s, uint16_t id)
{
    return id == s->id ? &s->own : g_hash_table_lookup(s->peers, GUINT_TO_POINTER(id));
}

/* A number with a descriptor is a vector of that peer, without one: the peer has gone. */
static bool take_message(Ivshmem *s, IvshmemMessage m)
{
    if (m.value < 0 || m.value >= IVSHMEM_PEERS) {
        if (m.fd >= 0)
            close(m.fd);
        return false;
    }
    uint16_t id = (uint16_t)m.value;
    Peer *p = find_peer(s, id);
    if (m.fd < 0) {
        if (p && p != &s->own)
            g_hash_table_remove(s->peers, GUINT_TO_POINTER(id));
        return true;
    }
    if (!p) {
        p = g_new0(Peer, 1);
        p->owner = s;
        g_hash_table_insert(s->peers, GUINT_TO_POINTER(id), p);
    }
    add_vector(s, p, id, m.fd);
    return true;
}

static bool link_ready(int fd, unsigned ready, void *opaque)
{
    Ivshmem *s = opaque;
    LockDomain *domain = s->pci.dev.domain;
    IvshmemMessage m;
    int r = 0;
    bool ok = true;
    lock_domain_lock(domain);
    for (unsigned i = 0; ok && i < PEERS_AT_A_TIME && (r = ivshmem_link_read(&s->link, false, &m)) == 1; i++)
        ok = take_message(s, m);
    ok = ok && r >= 0;
    if (!ok) {
        warn_reportf("device '%s': the ivshmem server has gone; peers stay as they are", s->pci.dev.id);
        s->link_watch = 0;
    }
    lock_domain_unlock(domain);
    return ok;
}

/* ---- registers ---- */

static MemResult bar_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Ivshmem *s = opaque;
    switch (at) {
    case MASK: *value = s->mask; break;
    case STATUS:
        *value = s->status;
        s->status = 0;
        break;
    case POSITION: *value = s->id; break;
    default: *value = 0;
    }
    return MEM_OK;
}

static void ring(Ivshmem *s, uint16_t id, uint16_t vector)
{
    const uint64_t one = 1;
    Peer *p = s->chr ? find_peer(s, id) : NULL;
    if (!p || vector >= p->count)
        log_guest_error(s->pci.dev.id, "peer %u has no vector %u", id, vector);
    else if (write(p->vector[vector].fd, &one, sizeof(one)) != sizeof(one))
        log_guest_error(s->pci.dev.id, "peer %u does not take vector %u", id, vector);
}

static MemResult bar_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Ivshmem *s = opaque;
    switch (at) {
    case MASK: s->mask = (uint32_t)value; break;
    case STATUS: s->status = (uint32_t)value; break;
    case DOORBELL: ring(s, (uint16_t)(value >> 16), (uint16_t)value); break;
    }
    return MEM_OK;
}
static const MemOps bar_ops = { bar_read, bar_write, 4, 4 };

/* ---- life ---- */

static void add_bars(Ivshmem *s)
{
    s->regs = mem_io_new("ivshmem", REGS_SIZE, &bar_ops, s, s->pci.dev.domain);
    s->pci.dev.region[0] = s->regs;
    pci_register_bar(&s->pci, 0, PCI_BAR_MEM, s->regs);
    pci_register_bar(&s->pci, 2, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH, s->shared);
}

static bool plain_start(Device *d, Error **errp)
{
    Ivshmem *s = (Ivshmem *)d;
    s->backend = memory_backend_of(d, s->memdev, errp);
    if (!s->backend)
        return false;
    if (!is_pow2(s->backend->size)) {
        error_setf(errp, "device '%s': the size of memory back end '%s' is no power of two", d->id, s->memdev);
        return false;
    }
    s->shared = memory_backend_alias(s->backend, d->id);
    add_bars(s);
    return true;
}

/* The server's memory is as big as its file. */
static bool map_memory(Ivshmem *s, int fd, Error **errp)
{
    struct stat st;
    RamSource src = ram_source_default();
    if (fstat(fd, &st) || st.st_size < 4096 || !is_pow2((uint64_t)st.st_size)) {
        error_setf(errp, "device '%s': the server's memory is not a power of two of at least 4 KiB", s->pci.dev.id);
        close(fd);
        return false;
    }
    src.fd = fd;
    src.shared = true;
    s->shared = mem_ram_new_from(s->pci.dev.id, (uint64_t)st.st_size, &src, errp);
    return s->shared;
}

static bool doorbell_start(Device *d, Error **errp)
{
    Ivshmem *s = (Ivshmem *)d;
    int memory = -1;
    if (!s->chr) {
        error_setf(errp, "device '%s': no server; add chardev=ID of a -chardev socket,path=PATH", d->id);
        return false;
    }
    ivshmem_link_init(&s->link, chardev_take_socket(s->chr, errp));
    s->own.owner = s;
    s->peers = g_hash_table_new_full(NULL, NULL, NULL, peer_free);
    if (s->link.socket < 0 || !ivshmem_link_greet(&s->link, &s->id, &memory, errp) || !map_memory(s, memory, errp))
        return false;
    add_bars(s);
    if (!msix_init_exclusive_bar(&s->pci, s->vectors, 1, errp))
        return false;
    s->link_watch = evloop_watch(s->link.socket, 1, link_ready, s);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((Ivshmem *)d)->mask = ((Ivshmem *)d)->status = 0;
}

static void stop(Device *d)
{
    Ivshmem *s = (Ivshmem *)d;
    if (s->link_watch)
        evloop_unwatch(s->link_watch);
    if (s->peers) {
        g_hash_table_destroy(s->peers);
        peer_clear(&s->own);
        ivshmem_link_close(&s->link);
    }
    mem_region_free(s->shared);
    if (s->backend)
        object_release(&s->backend->object);
}

static void info(Device *d, GString *out)
{
    const Ivshmem *s = (Ivshmem *)d;
    if (s->peers)
        g_string_append_printf(out, "ivshmem: peer %u of %u\n", s->id, g_hash_table_size(s->peers) + 1);
}

static const StateField state[] = { STATE_U32(Ivshmem, mask), STATE_U32(Ivshmem, status), STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0x1af4, .device = 0x1110, .revision = 1, .class_code = 0x050000 };
#define COMMON \
    .category = "Misc", .size = sizeof(Ivshmem), .bus = "pci", .base = &pci_device_type, .user_creatable = true, \
    .state = state, .reset = reset, \
    .stop = stop, .info = info, .class_data = &pci_info
static const Property plain_props[] = {
    DEFINE_PROP_STRING("memdev", Ivshmem, memdev, NULL, "id of the memory back end"), DEFINE_PROP_END
};
static const DeviceType plain_type = {
    .name = "ivshmem-plain", .desc = "memory that machines share", .props = plain_props, .start = plain_start, COMMON
};
DEVICE_REGISTER(plain_type)
static const Property doorbell_props[] = {
    DEFINE_PROP_CHARDEV("chardev", Ivshmem, chr),
    PROP_(PROP_U32, "vectors", Ivshmem, vectors, 1, "interrupts of each peer", .min = 1, .max = VECTORS_MAX),
    DEFINE_PROP_BOOL("ioeventfd", Ivshmem, ioeventfd, true, "doorbells that are no exits, where the accelerator can"),
    DEFINE_PROP_END,
};
static const DeviceType doorbell_type = { .name = "ivshmem-doorbell",
                                          .desc = "memory that machines share, with interrupts",
                                          .props = doorbell_props,
                                          .start = doorbell_start,
                                          COMMON };
DEVICE_REGISTER(doorbell_type)
