/* SPDX-License-Identifier: MIT */
/* A machine with one virtio device, and a small driver for it: over PCI or MMIO, split rings. */
#ifndef TESTS_DEVICE_VIRTIO_RIG_H
#define TESTS_DEVICE_VIRTIO_RIG_H

#include <string.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "base/object.h"
#include "chardev/chardev.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-host.h"
#include "hw/virtio/virtio-proxy.h"
#include "tests/device/bare-machine.h"

enum {
    RIG_RAM = 16 << 20,
    RIG_MMIO = 0x10000000,
    RIG_WINDOW = 0x20000000,
    RIG_QUEUES = 0x10000,
    RIG_QUEUE_STEP = 0x4000,
    RIG_SIZE = 16,
    RIG_BUFFERS = 0x400000,
    RIG_BUFFER_STEP = 0x4000,
    RIG_NOTIFY = 0x3000,
    RIG_CONFIG = 0x2000
};

typedef struct VRig {
    Machine *m;
    Device *d;
    bool pci;
    MemRegion *window;
    uint16_t avail[VIRTIO_QUEUES_MAX], seen[VIRTIO_QUEUES_MAX], size[VIRTIO_QUEUES_MAX], rung[VIRTIO_QUEUES_MAX];
    bool events; /* event indexes are in use */
} VRig;

BARE_MACHINE(vrig_type, "virtio-rig", RIG_RAM);

static inline Machine *vrig_machine(void)
{
    Machine *m = bare_machine(&vrig_type);
    bare_host(&bare_pci_type);
    Device *t = device_new(device_type_find("virtio-mmio"), "mmio");
    device_set_default(t, "force-legacy", "off");
    g_assert_true(device_start(t, NULL));
    mem_map(m->memory, RIG_MMIO, t->region[0], 0);
    clock_virtual_set(1000000);
    return m;
}

static inline void vrig_set(VRig *r, uint32_t mmio, uint32_t pci, unsigned size, uint32_t value)
{
    as_store(r->m->as_memory, r->pci ? RIG_WINDOW + pci : RIG_MMIO + mmio, r->pci ? size : 4, value, MEM_ATTRS_DEVICE);
}
static inline uint32_t vrig_get(VRig *r, uint32_t mmio, uint32_t pci, unsigned size)
{
    uint64_t v;
    as_load(r->m->as_memory, r->pci ? RIG_WINDOW + pci : RIG_MMIO + mmio, r->pci ? size : 4, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}
static inline uint64_t vrig_config(VRig *r, unsigned at, unsigned size)
{
    uint64_t v;
    as_load(r->m->as_memory, (r->pci ? RIG_WINDOW + RIG_CONFIG : RIG_MMIO + 0x100) + at, size, &v, MEM_ATTRS_DEVICE);
    return v;
}

/* Decoding and bus mastering on, the registers at a known place. */
static inline VRig vrig_of(Machine *m, Device *d)
{
    VRig r = { .m = m, .d = d, .pci = d->type->base == &virtio_pci_type };
    if (r.pci) {
        MemRegion *modern = ((VirtioPci *)d)->modern;
        as_store(m->as_io, 0xcf8, 4, 0x80000004 | (uint32_t)pci_device(d)->devfn << 8, MEM_ATTRS_DEVICE);
        as_store(m->as_io, 0xcfc, 2, 7, MEM_ATTRS_DEVICE);
        r.window = mem_alias_new("rig", modern, 0, mem_size(modern));
        mem_map(m->memory, RIG_WINDOW, r.window, 1);
    }
    return r;
}

static inline void vrig_features(VRig *r, uint64_t features)
{
    vrig_set(r, 0x70, 20, 1, 0);
    vrig_set(r, 0x70, 20, 1, 3);
    for (unsigned half = 0; half < 2; half++) {
        vrig_set(r, 0x24, 8, 4, half);
        vrig_set(r, 0x20, 12, 4, (uint32_t)(features >> 32 * half));
    }
    vrig_set(r, 0x70, 20, 1, 11);
    g_assert_cmphex(vrig_get(r, 0x70, 20, 1) & 8, ==, 8);
}

static inline uint64_t rig_area(unsigned q, unsigned area)
{
    return RIG_QUEUES + (uint64_t)q * RIG_QUEUE_STEP + area * 0x1000;
}

static inline void vrig_queue(VRig *r, unsigned q)
{
    static const uint32_t mmio[] = { 0x80, 0x90, 0xa0 };
    vrig_set(r, 0x30, 22, 2, q);
    r->size[q] = (uint16_t)MIN(vrig_get(r, 0x34, 24, 2), RIG_SIZE);
    vrig_set(r, 0x38, 24, 2, r->size[q]);
    for (unsigned i = 0; i < 3; i++) {
        as_write(r->m->as_memory, rig_area(q, i), (uint8_t[0x1000]){ 0 }, 0x1000, MEM_ATTRS_DEVICE);
        vrig_set(r, mmio[i], 32 + 8 * i, 4, (uint32_t)rig_area(q, i));
        vrig_set(r, mmio[i] + 4, 36 + 8 * i, 4, 0);
    }
    vrig_set(r, 0x44, 28, 2, 1);
    r->avail[q] = r->seen[q] = r->rung[q] = 0;
}

/* The doorbell, when the device wants to hear it for what came since the last one. */
static inline void vrig_kick(VRig *r, unsigned q)
{
    uint8_t b[2];
    as_read(r->m->as_memory, rig_area(q, 2) + (r->events ? 4 + 8u * r->size[q] : 0), b, 2, MEM_ATTRS_DEVICE);
    uint16_t said = load_le16(b), from = r->rung[q];
    r->rung[q] = r->avail[q];
    if (r->events ? (uint16_t)(r->avail[q] - said - 1) < (uint16_t)(r->avail[q] - from) : !(said & 1))
        vrig_set(r, 0x50, RIG_NOTIFY + 4 * q, 4, q);
}

/* With all queues there are. */
static inline void vrig_start(VRig *r, uint64_t features, unsigned queues)
{
    vrig_features(r, features | VIRTIO_F_VERSION_1);
    r->events = features & VIRTIO_F_EVENT_IDX;
    for (unsigned q = 0; q < queues; q++)
        vrig_queue(r, q);
    vrig_set(r, 0x70, 20, 1, 15);
}

static inline uint64_t vrig_buffer(unsigned q, unsigned slot)
{
    return RIG_BUFFERS + ((uint64_t)q * RIG_SIZE + slot) * RIG_BUFFER_STEP;
}

/*
 * Make a buffer of `out` bytes to read and room for `in` bytes available; its slot. At most one for each two
 * descriptors.
 */
static inline unsigned vrig_add_buffer(VRig *r, unsigned q, const void *out, uint32_t out_len, uint32_t in_len)
{
    AddressSpace *as = r->m->as_memory;
    unsigned slot = r->avail[q] % (r->size[q] / 2), d = slot * 2;
    uint64_t at = vrig_buffer(q, slot);
    uint8_t desc[32] = { 0 }, entry[2];
    store_le64(desc, at);
    store_le32(desc + 8, out_len ? out_len : in_len);
    store_le16(desc + 12, (uint16_t)(out_len ? (in_len ? 1 : 0) : 2));
    store_le16(desc + 14, (uint16_t)(d + 1));
    store_le64(desc + 16, at + out_len);
    store_le32(desc + 24, in_len);
    store_le16(desc + 28, 2);
    as_write(as, at, out, out_len, MEM_ATTRS_DEVICE);
    as_write(as, rig_area(q, 0) + 16 * d, desc, sizeof(desc), MEM_ATTRS_DEVICE);
    store_le16(entry, (uint16_t)d);
    as_write(as, rig_area(q, 1) + 4 + 2 * (r->avail[q] % r->size[q]), entry, 2, MEM_ATTRS_DEVICE);
    store_le16(entry, ++r->avail[q]);
    as_write(as, rig_area(q, 1) + 2, entry, 2, MEM_ATTRS_DEVICE);
    return slot;
}

/* The next buffer that came back within `ms` of real time: its slot and length; false: none. */
static inline bool vrig_used(VRig *r, unsigned q, unsigned ms, unsigned *slot, uint32_t *len)
{
    int64_t end = clock_ns(CLOCK_REALTIME_NS) + ms * INT64_C(1000000);
    uint8_t b[8];
    for (;;) {
        as_read(r->m->as_memory, rig_area(q, 2) + 2, b, 2, MEM_ATTRS_DEVICE);
        if (load_le16(b) != r->seen[q])
            break;
        if (clock_ns(CLOCK_REALTIME_NS) >= end)
            return false;
        if (!evloop_iterate(false))
            g_usleep(200);
    }
    as_read(r->m->as_memory, rig_area(q, 2) + 4 + 8 * (r->seen[q]++ % r->size[q]), b, 8, MEM_ATTRS_DEVICE);
    *slot = load_le32(b) / 2;
    *len = load_le32(b + 4);
    return true;
}

static inline void vrig_read(VRig *r, unsigned q, unsigned slot, uint32_t at, void *to, uint32_t len)
{
    as_read(r->m->as_memory, vrig_buffer(q, slot) + at, to, len, MEM_ATTRS_DEVICE);
}

static inline void vrig_free(VRig *r)
{
    mem_region_free(r->window);
    machine_free(r->m);
    objects_free_all();
    chardevs_close_all();
}
#endif
