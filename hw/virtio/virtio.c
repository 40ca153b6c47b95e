/* SPDX-License-Identifier: MIT */
/* virtio devices: features, status, configuration, save and load. */
#include "hw/virtio/virtio.h"
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/machine.h"

void virtio_init(VirtioDevice *v, const VirtioClass *cls, Device *dev, AddressSpace *as, MemAttrs attrs,
                 VirtioNotifyFn *notify, bool packed)
{
    *v = (VirtioDevice){ .cls = cls, .dev = dev, .as = as, .attrs = attrs, .notify = notify, .packed_offered = packed,
                         .config_vector = VIRTIO_NO_VECTOR };
    v->host_features = cls->features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
                       (packed ? VIRTIO_F_RING_PACKED : 0);
}

static void serve(void *opaque)
{
    VirtQueue *q = opaque;
    if (virtio_running(q->dev) && q->enabled)
        q->dev->cls->queue_notified(q->dev, q);
}

static VirtQueue fresh_queue(VirtioDevice *v, uint16_t index, uint16_t size)
{
    return (VirtQueue){ .dev = v,
                        .index = index,
                        .size = size,
                        .max_size = size,
                        .vector = VIRTIO_NO_VECTOR,
                        .avail_wrap = true,
                        .used_wrap = true,
                        .served = { v->dev->domain, serve, &v->queue[index] } };
}

VirtQueue *virtio_add_queue(VirtioDevice *v, uint16_t size)
{
    g_assert(v->queue_count < VIRTIO_QUEUES_MAX && size && size <= VIRTIO_QUEUE_SIZE_MAX);
    VirtQueue *q = &v->queue[v->queue_count];
    *q = fresh_queue(v, (uint16_t)v->queue_count++, size);
    return q;
}

static void renew_queue(VirtioDevice *v, VirtQueue *q)
{
    if (v->iothread)
        iothread_cancel(v->iothread, &q->served);
    *q = fresh_queue(v, q->index, q->max_size);
}

void virtio_reset(VirtioDevice *v)
{
    v->status = 0;
    if (v->cls->reset)
        v->cls->reset(v);
    v->guest_features = 0;
    v->isr = 0;
    v->broken = false;
    v->config_vector = VIRTIO_NO_VECTOR;
    for (unsigned i = 0; i < v->queue_count; i++)
        renew_queue(v, &v->queue[i]);
}

void virtio_queue_reset(VirtioDevice *v, VirtQueue *q)
{
    q->enabled = false; /* nothing more is taken from it */
    v->cls->queue_reset(v, q);
    renew_queue(v, q);
}

unsigned virtio_queue_for_each_cpu(unsigned others)
{
    const Machine *m = machine_current();
    return m ? CLAMP(m->config.cpus, 1, VIRTIO_QUEUES_MAX - others) : 1;
}

void virtio_broken(VirtioDevice *v, const char *why)
{
    log_guest_error(v->dev->id, "%s: %s; the device stands until it is reset", v->cls->name, why);
    v->broken = true;
    if (virtio_has(v, VIRTIO_F_VERSION_1)) {
        v->status |= VIRTIO_STATUS_NEEDS_RESET;
        virtio_config_changed(v);
    }
}

void virtio_config_changed(VirtioDevice *v)
{
    v->generation++;
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        v->notify(v, NULL);
}

static uint64_t offered(VirtioDevice *v)
{
    return v->host_features | (v->cls->get_features ? v->cls->get_features(v) : 0);
}

bool virtio_features_fit(uint64_t wanted, uint64_t offered_)
{
    uint64_t needed = VIRTIO_F_VERSION_1 | (offered_ & VIRTIO_F_ACCESS_PLATFORM);
    return !(wanted & ~offered_) && !(needed & ~wanted);
}

void virtio_set_features(VirtioDevice *v, uint64_t features)
{
    if (v->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    v->guest_features = features & (offered(v) | VIRTIO_F_NOTIFY_ON_EMPTY | VIRTIO_F_ANY_LAYOUT);
}

void virtio_set_status(VirtioDevice *v, uint8_t status)
{
    if (!status) {
        virtio_reset(v);
        return;
    }
    uint8_t old = v->status;
    v->status = status | (old & VIRTIO_STATUS_NEEDS_RESET);
    if (!(old & VIRTIO_STATUS_DRIVER_OK) && status & VIRTIO_STATUS_DRIVER_OK) {
        if (v->cls->driver_ok)
            v->cls->driver_ok(v);
        for (unsigned i = 0; i < v->queue_count; i++) /* buffers that came before */
            virtio_queue_notify(v, i);
    }
}

void virtio_queue_notify(VirtioDevice *v, unsigned queue)
{
    if (queue >= v->queue_count) {
        log_guest_error(v->dev->id, "%s: there is no queue %u", v->cls->name, queue);
        return;
    }
    if (v->iothread && !iothread_is_current(v->iothread))
        iothread_call(v->iothread, &v->queue[queue].served);
    else
        serve(&v->queue[queue]);
}

/* --- I/O threads --- */

bool virtio_use_iothread(VirtioDevice *v, const char *id, Error **errp)
{
    v->iothread = id ? iothread_take(id, errp) : NULL;
    if (id && !v->iothread)
        error_prependf(errp, "device '%s': iothread=%s", v->dev->id, id);
    return v->iothread || !id;
}

void virtio_drop_iothread(VirtioDevice *v)
{
    if (!v->iothread)
        return;
    for (unsigned i = 0; i < v->queue_count; i++)
        iothread_cancel(v->iothread, &v->queue[i].served);
    iothread_release(v->iothread);
    v->iothread = NULL;
}

void virtio_settle_queues(VirtioDevice *v)
{
    for (unsigned i = 0; v->iothread && i < v->queue_count; i++) {
        if (iothread_cancel(v->iothread, &v->queue[i].served))
            serve(&v->queue[i]);
    }
}

/* --- configuration --- */

void virtio_read_config(VirtioDevice *v, unsigned at, unsigned size, uint64_t *value)
{
    uint8_t config[VIRTIO_CONFIG_MAX] = { 0 };
    *value = 0;
    if (at >= v->cls->config_size || size > v->cls->config_size - at)
        return;
    v->cls->get_config(v, config);
    *value = load_le(config + at, size);
}

void virtio_write_config(VirtioDevice *v, unsigned at, unsigned size, uint64_t value)
{
    uint8_t config[VIRTIO_CONFIG_MAX] = { 0 };
    if (!v->cls->set_config || at >= v->cls->config_size || size > v->cls->config_size - at)
        return;
    v->cls->get_config(v, config);
    store_le(config + at, size, value);
    v->cls->set_config(v, config, at, size);
}

/* --- state --- */

static const StateField queue_state[] = { STATE_U16(VirtQueue, size),
                                          STATE_U16(VirtQueue, vector),
                                          STATE_BOOL(VirtQueue, enabled),
                                          STATE_U64(VirtQueue, desc),
                                          STATE_U64(VirtQueue, driver),
                                          STATE_U64(VirtQueue, device),
                                          STATE_U16(VirtQueue, next_avail),
                                          STATE_U16(VirtQueue, next_used),
                                          STATE_BOOL(VirtQueue, avail_wrap),
                                          STATE_BOOL(VirtQueue, used_wrap),
                                          STATE_U16(VirtQueue, signalled),
                                          STATE_BOOL(VirtQueue, signalled_valid),
                                          STATE_END_OF_TABLE };
const StateField virtio_state[] = { STATE_U64(VirtioDevice, guest_features),
                                    STATE_U8(VirtioDevice, status),
                                    STATE_U8(VirtioDevice, generation),
                                    STATE_U8(VirtioDevice, isr),
                                    STATE_U16(VirtioDevice, config_vector),
                                    STATE_BOOL(VirtioDevice, broken),
                                    STATE_STRUCT_ARRAY(VirtioDevice, queue, queue_state),
                                    STATE_END_OF_TABLE };

bool virtio_loaded(VirtioDevice *v, Error **errp)
{
    bool ok = !(v->guest_features & ~(offered(v) | VIRTIO_F_NOTIFY_ON_EMPTY | VIRTIO_F_ANY_LAYOUT));
    for (unsigned i = 0; ok && i < v->queue_count; i++) {
        VirtQueue *q = &v->queue[i];
        ok = q->size && q->size <= q->max_size && (virtio_has(v, VIRTIO_F_RING_PACKED) || is_pow2(q->size)) &&
             (!virtio_has(v, VIRTIO_F_RING_PACKED) || (q->next_avail < q->size && q->next_used < q->size));
        q->in_use = 0;
        if (ok && q->enabled)
            virtio_queue_enable(q);
    }
    if (!ok)
        error_setf(errp, "%s '%s': the saved state is not one that this device can be in", v->cls->name, v->dev->id);
    return ok;
}
