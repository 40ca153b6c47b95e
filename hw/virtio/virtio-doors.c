/* SPDX-License-Identifier: MIT */
/* See virtio-doors.h. */
#include "hw/virtio/virtio-doors.h"

static void rung(void *opaque, unsigned queue)
{
    VirtioDoors *d = opaque;
    d->signals++;
    virtio_queue_notify(d->v, queue);
}

void virtio_doors_close(VirtioDoors *d)
{
    for (unsigned i = 0; i < d->count; i++)
        doorbell_free(d->door[i]);
    d->count = 0;
    g_clear_pointer(&d->door, g_free);
}

void virtio_doors_update(VirtioDoors *d, VirtioDevice *v, bool wanted, VirtioDoorPlaces *places, void *transport)
{
    bool want = wanted && doorbells_possible() && virtio_running(v);
    if (want == (d->door != NULL))
        return;
    if (!want) {
        virtio_doors_close(d);
        return;
    }
    d->v = v;
    d->count = v->queue_count;
    d->door = g_new(Doorbell *, d->count);
    for (unsigned i = 0; i < d->count; i++) {
        d->door[i] = doorbell_new(v->dev->domain, v->iothread, rung, d, i);
        if (d->door[i])
            places(d->door[i], transport, i);
    }
}

void virtio_doors_look(VirtioDoors *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->door[i])
            doorbell_look(d->door[i]);
    }
}

void virtio_doors_info(const VirtioDoors *d, const VirtioDevice *v, unsigned notifies, GString *out)
{
    g_string_append_printf(out,
                           "virtio: status 0x%02x, features 0x%" G_GINT64_MODIFIER
                           "x, doorbell rung %u times, %u by file descriptor\n",
                           v->status, (guint64)v->guest_features, notifies + d->signals, d->signals);
}
