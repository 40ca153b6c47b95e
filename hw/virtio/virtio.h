/* SPDX-License-Identifier: MIT */
/*
 * virtio devices without their transport: features, status, queues. Source: Virtual I/O Device (VIRTIO) 1.2, chapters 2
 * and 3.
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "base/iothread.h"
#include "hw/core/device.h"
#include "hw/core/dma.h"

typedef struct VirtioDevice VirtioDevice;
typedef struct VirtQueue VirtQueue;

enum { VIRTIO_QUEUES_MAX = 64, VIRTIO_QUEUE_SIZE_MAX = 1024, VIRTIO_CONFIG_MAX = 256, VIRTIO_NO_VECTOR = 0xffff };
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_BALLOON = 5,
    VIRTIO_ID_SCSI = 8
};
#define VIRTIO_F_NOTIFY_ON_EMPTY BIT(24)
#define VIRTIO_F_ANY_LAYOUT BIT(27)
#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX BIT(29)
#define VIRTIO_F_VERSION_1 BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33)
#define VIRTIO_F_RING_PACKED BIT(34)
#define VIRTIO_F_RING_RESET BIT(40)
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128
};

/* What a kind of device is. All functions run under the device's domain. */
typedef struct VirtioClass {
    const char *name;
    uint16_t id;
    unsigned config_size;
    uint64_t features;                                        /* offered by every instance, without those of rings */
    uint64_t (*get_features)(VirtioDevice *v);                /* optional: more of them */
    void (*get_config)(VirtioDevice *v, uint8_t *config);     /* fills config_size bytes */
    /* optional: a guest wrote there */
    void (*set_config)(VirtioDevice *v, const uint8_t *config, unsigned at, unsigned size);
    void (*queue_notified)(VirtioDevice *v, VirtQueue *q);    /* buffers are available */
    void (*driver_ok)(VirtioDevice *v);                       /* optional */
    void (*reset)(VirtioDevice *v);                           /* nothing is in flight afterwards */
    void (*queue_reset)(VirtioDevice *v, VirtQueue *q);       /* optional: the same of one queue */
} VirtioClass;

/* What a transport (PCI, MMIO) does for the core. q NULL: the configuration has changed. */
typedef void VirtioNotifyFn(VirtioDevice *v, VirtQueue *q);

struct VirtQueue {
    VirtioDevice *dev;
    uint16_t index, size, max_size, vector;
    bool enabled;
    uint64_t desc, driver, device;      /* guest addresses of the three areas */
    /* split: indexes as they run; packed: bit 15 of the guest's counters is the wrap counter, held apart */
    uint16_t next_avail, next_used;
    bool avail_wrap, used_wrap;
    uint16_t signalled;                 /* used index at the last interrupt */
    bool signalled_valid;
    uint16_t in_use;                    /* buffers taken and not given back */
    DmaWindow w_desc, w_driver, w_device;
    IoCall served;                      /* by the device's I/O thread */
};

struct VirtioDevice {
    const VirtioClass *cls;
    Device *dev;                        /* that it is part of: domain, log name */
    AddressSpace *as;                   /* where rings and buffers are */
    MemAttrs attrs;
    VirtioNotifyFn *notify;
    IoThread *iothread;                 /* serves the queues; NULL: whoever rings */
    uint64_t host_features, guest_features;
    uint8_t status, generation, isr;
    uint16_t config_vector;
    bool packed_offered, broken;
    unsigned queue_count;
    VirtQueue queue[VIRTIO_QUEUES_MAX];
};

/* A buffer: what the driver lets us read, then what we may write. */
typedef struct VirtqBuffer {
    DmaVec out, in;
    uint16_t id, descriptors; /* of the chain */
} VirtqBuffer;

/* Once, in start(). Queues are added in order; size: a power of two for split rings. */
void virtio_init(VirtioDevice *v, const VirtioClass *cls, Device *dev, AddressSpace *as, MemAttrs attrs,
                 VirtioNotifyFn *notify, bool packed);
VirtQueue *virtio_add_queue(VirtioDevice *v, uint16_t size);
/* how many request queues a device has by default, beside the others */
unsigned virtio_queue_for_each_cpu(unsigned others);
void virtio_reset(VirtioDevice *v);
/*
 * A device whose queues a -object iothread serves (id NULL: none): virtio_use_iothread() in start() before the
 * transport's ready(), virtio_settle_queues() when the machine stops and first in saving(): what was rung for is
 * served. The transport gives the thread back.
 */
bool virtio_use_iothread(VirtioDevice *v, const char *id, Error **errp);
void virtio_drop_iothread(VirtioDevice *v);
void virtio_settle_queues(VirtioDevice *v);
static inline bool virtio_has(const VirtioDevice *v, uint64_t feature) { return v->guest_features & feature; }
static inline bool virtio_running(const VirtioDevice *v) { return v->status & VIRTIO_STATUS_DRIVER_OK && !v->broken; }
/* The driver did what the specification forbids: the device stands until it is reset; one rate-limited line. */
void virtio_broken(VirtioDevice *v, const char *why);
void virtio_config_changed(VirtioDevice *v);

/*
 * For transports. fit: may a driver go on with these? Not with more than is offered, and not without what it can't do
 * without (3.1.1).
 */
bool virtio_features_fit(uint64_t wanted, uint64_t offered);
void virtio_set_status(VirtioDevice *v, uint8_t status);
void virtio_set_features(VirtioDevice *v, uint64_t features);
void virtio_queue_enable(VirtQueue *q);                    /* addresses and size are set */
void virtio_queue_reset(VirtioDevice *v, VirtQueue *q);    /* where the class can (VIRTIO_F_RING_RESET) */
void virtio_queue_notify(VirtioDevice *v, unsigned queue); /* the driver's doorbell */
void virtio_read_config(VirtioDevice *v, unsigned at, unsigned size, uint64_t *value);
void virtio_write_config(VirtioDevice *v, unsigned at, unsigned size, uint64_t value);

/*
 * For devices. pop: false when there is none (or the ring is broken). The lists of `b` are the caller's until
 * virtq_push().
 */
bool virtq_pop(VirtQueue *q, VirtqBuffer *b);
/* Give it back with `written` bytes in it, and tell the driver where it wants to be told. */
void virtq_push(VirtQueue *q, VirtqBuffer *b, uint32_t written);
void virtq_signal(VirtQueue *q);
/*
 * A buffer that a device keeps while it is saved, as bytes; and taken again from them after loading. false: they make
 * no sense (untrusted).
 */
void virtq_buffer_save(const VirtqBuffer *b, GByteArray *out);
bool virtq_buffer_load(VirtQueue *q, const uint8_t *bytes, size_t len, VirtqBuffer *b);
/* Around the handling of a queue: the driver need not ring meanwhile. enable: true when more came in between. */
void virtq_disable_notify(VirtQueue *q);
bool virtq_enable_notify(VirtQueue *q);

/*
 * A buffer that a device keeps until it has what belongs there, or can get rid of what is in it. init and free once;
 * pop: false when there is none (the driver rings for the next); push gives it back and signals. Around saving:
 * saving() and loaded(), with VIRTQ_HELD_STATE in the table.
 */
typedef struct VirtqHeld {
    bool have;
    VirtqBuffer buffer;
    GByteArray *saved;
} VirtqHeld;
void virtq_held_init(VirtqHeld *h);
void virtq_held_free(VirtqHeld *h);
bool virtq_held_pop(VirtqHeld *h, VirtQueue *q);
void virtq_held_push(VirtqHeld *h, VirtQueue *q, uint32_t written);
void virtq_held_drop(VirtqHeld *h);
void virtq_held_saving(VirtqHeld *h, const VirtQueue *q); /* a device that stands forgets it */
bool virtq_held_loaded(VirtqHeld *h, VirtQueue *q, Error **errp);
enum { VIRTQ_HELD_MAX = 65536 };
#define VIRTQ_HELD_STATE(T, f) STATE_BUF(T, f.saved, VIRTQ_HELD_MAX)
/* Bytes between a list and a buffer, from byte `at` of the list on; how many there were. */
size_t virtq_gather(const DmaVec *v, size_t at, void *to, size_t len);
size_t virtq_scatter(const DmaVec *v, size_t at, const void *from, size_t len);

/* State of a VirtioDevice inside a structure: for STATE_STRUCT. loaded: untrusted values are checked. */
extern const StateField virtio_state[];
bool virtio_loaded(VirtioDevice *v, Error **errp);
#endif
