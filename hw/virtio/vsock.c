/* SPDX-License-Identifier: MIT */
/* virtio-vsock: queues, configuration, life. */
#include "hw/virtio/vsock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/log.h"

enum {
    RX,
    TX,
    EVENT,
    QUEUES,
    QUEUE_SIZE = 128,
    CONFIG_SIZE = 8,
    PACKETS_MAX = 256,
    VIRTIO_ID_VSOCK = 19,
    TRANSPORT_RESET = 0
};

static Vsock *vsock_of(VirtioDevice *v) { return container_of(v, Vsock, v); }

static void parse(const uint8_t *b, VsockHeader *h)
{
    *h = (VsockHeader){ load_le64(b),      load_le64(b + 8),  load_le32(b + 16), load_le32(b + 20), load_le32(b + 24),
                        load_le16(b + 28), load_le16(b + 30), load_le32(b + 32), load_le32(b + 36), load_le32(b + 40) };
}

static void format(const VsockHeader *h, uint8_t *b)
{
    store_le64(b, h->src_cid);
    store_le64(b + 8, h->dst_cid);
    store_le32(b + 16, h->src_port);
    store_le32(b + 20, h->dst_port);
    store_le32(b + 24, h->len);
    store_le16(b + 28, h->type);
    store_le16(b + 30, h->op);
    store_le32(b + 32, h->flags);
    store_le32(b + 36, h->buf_alloc);
    store_le32(b + 40, h->fwd_cnt);
}

/* ---- to the guest ---- */

/* A buffer is taken only when there is something for it: what is found first tells how. */
static bool send_one(Vsock *s, VirtqHeld *room)
{
    uint8_t packet[VSOCK_HEADER + VSOCK_PIECE];
    VirtQueue *q = &s->v.queue[RX];
    VsockHeader h;
    if (!virtq_held_pop(room, q))
        return false;
    uint64_t bytes = room->buffer.in.bytes;
    if (bytes < VSOCK_HEADER) {
        virtq_held_push(room, q, 0);
        virtio_broken(&s->v, "a receive buffer without room for a header");
        return false;
    }
    if (!vsock_next(s, &h, packet + VSOCK_HEADER, (uint32_t)MIN(bytes - VSOCK_HEADER, VSOCK_PIECE)))
        return false;
    format(&h, packet);
    virtq_scatter(&room->buffer.in, 0, packet, VSOCK_HEADER + h.len);
    virtq_held_push(room, q, VSOCK_HEADER + h.len);
    return true;
}

static void tell_reset(Vsock *s)
{
    const uint8_t id[4] = { TRANSPORT_RESET };
    VirtqHeld room = { 0 };
    if (!s->tell_reset || !virtq_held_pop(&room, &s->v.queue[EVENT]))
        return;
    s->tell_reset = false;
    virtq_held_push(&room, &s->v.queue[EVENT], (uint32_t)virtq_scatter(&room.buffer.in, 0, id, sizeof(id)));
}

void vsock_kick(Vsock *s)
{
    if (virtio_running(&s->v)) {
        tell_reset(s);
        for (unsigned n = 0; n < PACKETS_MAX && send_one(s, &s->rx); n++)
            ;
    }
    vsock_watch_all(s);
}

/* ---- from the guest ---- */

static void take_packets(Vsock *s, VirtQueue *q)
{
    VirtqHeld b = { 0 };
    for (unsigned n = 0; n < q->size && virtq_held_pop(&b, q); n++) {
        uint8_t bytes[VSOCK_HEADER];
        VsockHeader h;
        if (virtq_gather(&b.buffer.out, 0, bytes, sizeof(bytes)) == sizeof(bytes)) {
            parse(bytes, &h);
            if (h.len <= b.buffer.out.bytes - VSOCK_HEADER && h.src_cid == s->cid)
                vsock_take(s, &h, &b.buffer.out);
            else
                log_guest_error(s->v.dev->id, "a packet of %u bytes from %u is not what it says", h.len,
                                (unsigned)h.src_cid);
        } else {
            log_guest_error(s->v.dev->id, "a packet without a header");
        }
        virtq_held_push(&b, q, 0);
    }
}

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    Vsock *s = vsock_of(v);
    if (q->index == TX)
        take_packets(s, q);
    vsock_kick(s);
}

static void vsock_reset(VirtioDevice *v)
{
    Vsock *s = vsock_of(v);
    vsock_drop_all(s);
    virtq_held_drop(&s->rx);
    s->tell_reset = false;
}

static void get_config(VirtioDevice *v, uint8_t *c) { store_le64(c, vsock_of(v)->cid); }

static const VirtioClass vsock_class = { .name = "virtio-vsock",
                                         .id = VIRTIO_ID_VSOCK,
                                         .config_size = CONFIG_SIZE,
                                         .get_config = get_config,
                                         .queue_notified = queue_notified,
                                         .reset = vsock_reset };

/* ---- life ---- */

static void init(Device *d)
{
    Vsock *s = (Vsock *)d;
    device_own_domain(d, "virtio-vsock");
    s->listener = -1;
    s->conns = g_ptr_array_new();
    virtq_held_init(&s->rx);
}

static bool check(Vsock *s, Error **errp)
{
    const char *id = s->proxy.dev.id;
    if (s->cid < 3 || s->cid > UINT32_MAX - 1) {
        error_setf(errp, "device '%s': guest-cid=%" G_GUINT64_FORMAT ": addresses of guests are 3 to 4294967294", id,
                   (guint64)s->cid);
        return false;
    }
    if (!s->uds && access("/dev/vhost-vsock", R_OK | W_OK)) {
        error_setf(errp, "device '%s': /dev/vhost-vsock: %s; give uds=PATH: the guest's streams are unix sockets then",
                   id, g_strerror(errno));
        return false;
    }
    if (!s->uds)
        error_setf(errp,
                   "device '%s': the host kernel's vsock is not used by this program; give uds=PATH: the guest's "
                   "streams are unix sockets then",
                   id);
    return s->uds;
}

static bool start(Device *d, Error **errp)
{
    Vsock *s = (Vsock *)d;
    if (!check(s, errp) || !vsock_listen(s, errp))
        return false;
    virtio_proxy_init(&s->proxy, &s->v, &vsock_class);
    for (unsigned i = 0; i < QUEUES; i++)
        virtio_add_queue(&s->v, QUEUE_SIZE);
    if (d->type->base == &virtio_pci_type)
        s->proxy.pci.disable_legacy = 0; /* there is no older interface for it */
    return virtio_proxy_ready(&s->proxy, &s->v, errp);
}

static void saving(Device *d) { virtq_held_saving(&((Vsock *)d)->rx, &((Vsock *)d)->v.queue[RX]); }

/* The host's ends did not come along: the guest is told to give all of its streams up. */
static bool loaded(Device *d, Error **errp)
{
    Vsock *s = (Vsock *)d;
    vsock_drop_all(s);
    if (!virtio_loaded(&s->v, errp) || !virtq_held_loaded(&s->rx, &s->v.queue[RX], errp))
        return false;
    s->tell_reset = virtio_running(&s->v);
    return true;
}

static void stop(Device *d)
{
    Vsock *s = (Vsock *)d;
    vsock_unlisten(s);
    vsock_drop_all(s);
    virtq_held_free(&s->rx);
    g_ptr_array_free(s->conns, true);
}

static void info(Device *d, GString *out)
{
    const Vsock *s = (Vsock *)d;
    g_string_append_printf(out, "vsock: guest %" G_GUINT64_FORMAT " at '%s', %u streams\n", (guint64)s->cid, s->uds,
                           s->conns->len);
}

static const Property props[] = {
    DEFINE_PROP_U64("guest-cid", Vsock, cid, 0, "the guest's address, 3 or more"),
    DEFINE_PROP_STRING("uds", Vsock, uds, NULL,
                       "unix socket for programs that connect to the guest; the guest's port P is reached as PATH_P"),
    DEFINE_PROP_END,
};
/* tell_reset follows from loading */
static const StateField state[] = { STATE_STRUCT(Vsock, v, virtio_state), VIRTQ_HELD_STATE(Vsock, rx),
                                    STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0x1af4,
                                        .device = 0x1053,
                                        .class_code = 0x078000,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = 0x1100,
                                        .interrupt_pin = 1,
                                        .express = true };
#define COMMON \
    .category = "Misc", .size = sizeof(Vsock), .user_creatable = true, .props = props, .state = state, .init = init, \
    .start = start, \
    .saving = saving, .loaded = loaded, .stop = stop, .info = info
static const DeviceType vsock_pci = { .name = "vhost-vsock-pci",
                                      .desc = "virtio sockets to the host",
                                      .bus = "pci",
                                      .base = &virtio_pci_type,
                                      .class_data = &pci_info,
                                      COMMON };
DEVICE_REGISTER(vsock_pci)
static const DeviceType vsock_mmio = { .name = "vhost-vsock-device",
                                       .desc = "virtio sockets to the host, behind a virtio-bus",
                                       .bus = "virtio-bus",
                                       .base = &virtio_device_type,
                                       COMMON };
DEVICE_REGISTER(vsock_mmio)
