/* SPDX-License-Identifier: MIT */
/*
 * NVMe controllers on a bare PCI bus, driven by their registers and queues. One is talked to at a time:
 * use_controller().
 */
#ifndef TESTS_DEVICE_NVME_RIG_H
#define TESTS_DEVICE_NVME_RIG_H

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/backend.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-host.h"
#include "hw/storage/nvme-regs.h"
#include "tests/device/bare-machine.h"
#include "tests/device/whole-state.h"

enum { RAM = 8 << 20, BAR = 0x10000000, CMB_BAR = 0x20000000, PMR_BAR = 0x30000000,
       ASQ = 0x10000, ACQ = 0x20000, SQ1 = 0x30000, CQ1 = 0x40000, DATA = 0x100000, ENTRIES = 16 };
enum {
    DISK_A = 1 << 20,
    DISK_B = 3 << 20,
    CONTROLLERS = 3,
    BAR_STEP = 0x1000000 /* from one controller's BARs to the next one's */,
    QUEUES_STEP = 0x200000
};

typedef struct Queue { uint64_t sq, cq; uint16_t id, tail, head; bool phase; } Queue;
typedef struct Queues { Queue admin, io; } Queues;
typedef struct Rig {
    Machine *m;
    MemRegion *pci;
    PciBus bus;
    PciConfigPorts ports;
    Device *parent, *device[8]; /* in order of their making */
    PciDevice *nvme[CONTROLLERS];
    unsigned devices, controllers, now; /* of nvme[]: the one talked to */
    Queues of[CONTROLLERS];
    char *file[3];
    Queue admin, io;
    uint32_t result;
    uint16_t cid;
} Rig;

BARE_MACHINE(rig_type, "nvme-rig", RAM);
static const DeviceType parent_type = { .name = "nvme-rig-host", .size = sizeof(Device) };

static inline void open_disk(Rig *r, unsigned i, const char *name, off_t size)
{
    Error *err = NULL;
    r->file[i] = bare_image(size);
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "raw");
    BlockNode *n = block_open(r->file[i], o, BLOCK_RDWR | BLOCK_UNMAP, &err);
    g_assert_no_error(err);
    blk_new(name, n);
}

static hwaddr rig_bar; /* where the BARs of the controller talked to are, behind those of the first */

static inline void reg_write(hwaddr at, unsigned size, uint64_t v)
{
    as_store(machine_current()->as_memory, BAR + rig_bar + at, size, v, MEM_ATTRS_DEVICE);
}
static inline uint64_t reg_read(hwaddr at, unsigned size)
{
    uint64_t v;
    as_load(machine_current()->as_memory, BAR + rig_bar + at, size, &v, MEM_ATTRS_DEVICE);
    return v;
}
static inline uint8_t *ram(Rig *r, hwaddr at) { return (uint8_t *)mem_host(r->m->ram) + at; }

static inline void config(Rig *r, uint32_t at, unsigned size, uint32_t v)
{
    as_store(r->m->as_io, 0xcf8, 4, 0x80000000u | (uint32_t)r->nvme[r->now]->devfn << 8 | (at & 0xfc),
             MEM_ATTRS_DEVICE);
    as_store(r->m->as_io, 0xcfc + (at & 3), size, v, MEM_ATTRS_DEVICE);
}

/* One command; its status. */
static inline uint16_t command(Rig *r, Queue *q, uint8_t *cmd)
{
    uint8_t *cqe = ram(r, q->cq + q->head * 16u);
    store_le16(cmd + 2, ++r->cid);
    memcpy(ram(r, q->sq + q->tail * 64u), cmd, 64);
    q->tail = (uint16_t)((q->tail + 1) % ENTRIES);
    reg_write(NVME_DOORBELLS + q->id * 8u, 4, q->tail);
    for (gint64 stop = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
         (__atomic_load_n(cqe + 14, __ATOMIC_ACQUIRE) & 1) != q->phase;) {
        g_assert_cmpint(g_get_monotonic_time(), <, stop);
        g_usleep(50);
    }
    g_assert_cmpuint(load_le16(cqe + 12), ==, r->cid);
    uint16_t status = load_le16(cqe + 14) >> 1;
    r->result = load_le32(cqe);
    q->head = (uint16_t)((q->head + 1) % ENTRIES);
    q->phase ^= !q->head;
    reg_write(NVME_DOORBELLS + q->id * 8u + 4, 4, q->head);
    return status & ~SC_DNR;
}

static inline uint16_t run(Rig *r, Queue *q, uint8_t op, uint32_t nsid, uint64_t prp, uint32_t d10, uint32_t d11,
                           uint32_t d12)
{
    uint8_t cmd[64] = { op };
    store_le32(cmd + 4, nsid);
    store_le64(cmd + 24, prp);
    store_le32(cmd + 40, d10);
    store_le32(cmd + 44, d11);
    store_le32(cmd + 48, d12);
    return command(r, q, cmd);
}
#define ADMIN(r, op, nsid, d10, d11) run(r, &(r)->admin, op, nsid, DATA, d10, d11, 0)
#define IDENTIFY(r, cns, nsid) ADMIN(r, ADM_IDENTIFY, nsid, cns, 0)
#define IO(r, op, nsid, lba, blocks) run(r, &(r)->io, op, nsid, DATA, lba, 0, (blocks) - 1)

static inline void enable(Rig *r)
{
    uint64_t at = r->now * (uint64_t)QUEUES_STEP;
    r->admin = (Queue){ ASQ + at, ACQ + at, 0, 0, 0, true };
    r->io = (Queue){ SQ1 + at, CQ1 + at, 1, 0, 0, true };
    memset(ram(r, r->admin.cq), 0, ENTRIES * 16);
    memset(ram(r, r->io.cq), 0, ENTRIES * 16);
    reg_write(NVME_AQA, 4, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    reg_write(NVME_ASQ, 8, r->admin.sq);
    reg_write(NVME_ACQ, 8, r->admin.cq);
    reg_write(NVME_CC, 4, 4 << 20 | 6 << 16 | CC_EN);
    g_assert_cmphex(reg_read(NVME_CSTS, 4), ==, CSTS_RDY);
    g_assert_cmphex(run(r, &r->admin, ADM_CREATE_CQ, 0, r->io.cq, (ENTRIES - 1) << 16 | 1, 1, 0), ==, 0);
    g_assert_cmphex(run(r, &r->admin, ADM_CREATE_SQ, 0, r->io.sq, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1, 0), ==, 0);
}

static inline void use_controller(Rig *r, unsigned i)
{
    r->of[r->now] = (Queues){ r->admin, r->io };
    r->now = i;
    r->admin = r->of[i].admin;
    r->io = r->of[i].io;
    rig_bar = i * (hwaddr)BAR_STEP;
}

static inline void map_bars(Rig *r)
{
    config(r, 0x10, 4, (uint32_t)(BAR + rig_bar));
    config(r, 0x14, 4, 0);
    config(r, 0x18, 4, (uint32_t)(CMB_BAR + rig_bar));
    config(r, 0x1c, 4, 0);
    config(r, 0x20, 4, (uint32_t)(PMR_BAR + rig_bar));
    config(r, 0x24, 4, 0);
    config(r, PCI_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_MASTER);
}

static inline void reset_all(Rig *r)
{
    device_reset_all();
    for (unsigned i = r->controllers; i--;) {
        use_controller(r, i);
        map_bars(r);
    }
}

static inline Device *rig_take(Rig *r, Device *d)
{
    r->device[r->devices++] = d;
    if (!strcmp(d->type->name, "nvme"))
        r->nvme[r->controllers++] = pci_device(d);
    return d;
}

/* One more device, as -device has it. */
static inline Device *rig_add(Rig *r, const char *options) { return rig_take(r, bare_add(options)); }

/* While the machine runs, on a bus that does not care. */
static inline Device *rig_hot_add(Rig *r, const char *type, const char *id, const char *bus, const char *props)
{
    Error *err = NULL;
    Device *d = device_new_named(type, id, &err);
    g_assert_no_error(err);
    d->bus = bus_find(bus);
    if (!device_set_list(d, props, &err) || !device_start(d, &err))
        g_error("%s", err->message);
    device_reset_one(d);
    return rig_take(r, d);
}

static inline Rig *rig_bare(void)
{
    Rig *r = g_new0(Rig, 1);
    rig_bar = 0;
    open_disk(r, 0, "a", DISK_A);
    open_disk(r, 1, "b", DISK_B);
    open_disk(r, 2, "c", DISK_A);
    r->m = bare_machine(&rig_type);
    r->pci = mem_container_new("pci", UINT64_MAX);
    mem_map(r->m->memory, 0, r->pci, -1);
    r->parent = device_new(&parent_type, "host");
    g_assert_true(device_start(r->parent, NULL));
    PciRootSpaces spaces = { .mem = r->pci, .io = r->m->io, .dma_region = r->m->memory, .dma = r->m->as_memory };
    pci_root_bus_init(&r->bus, "pcie.0", r->parent, &spaces, true);
    pci_config_ports_init(&r->ports, &r->bus);
    mem_map(r->m->io, 0xcf8, r->ports.region, 0);
    return r;
}

/* With these devices (a NULL ends them early), reset. */
static inline Rig *rig_new(const char *first, const char *second)
{
    Rig *r = rig_bare();
    rig_add(r, first);
    if (second)
        rig_add(r, second);
    reset_all(r);
    return r;
}

static inline void rig_remove(Rig *r, Device *d)
{
    for (unsigned i = 0; i < r->devices; i++)
        r->device[i] = r->device[i] == d ? NULL : r->device[i];
    device_free(d);
}

static inline void rig_free(Rig *r)
{
    while (r->devices)
        device_free(r->device[--r->devices]);
    pci_config_ports_fini(&r->ports);
    pci_bus_fini(&r->bus);
    device_free(r->parent);
    mem_region_free(r->pci);
    machine_free(r->m);
    blk_free_all();
    for (unsigned i = 0; i < ARRAY_LEN(r->file); i++) {
        unlink(r->file[i]);
        g_free(r->file[i]);
    }
    g_free(r);
}

static inline void assert_list(Rig *r, uint32_t first, uint32_t second)
{
    g_assert_cmpuint(load_le32(ram(r, DATA)), ==, first);
    g_assert_cmpuint(load_le32(ram(r, DATA + 4)), ==, second);
    g_assert_cmpuint(load_le32(ram(r, DATA + 8)), ==, 0);
}

/* Attach or detach: `count` controllers from number `first` on. */
static inline uint16_t attach(Rig *r, uint32_t nsid, bool on, uint16_t count, uint16_t first)
{
    memset(ram(r, DATA), 0, 4096);
    store_le16(ram(r, DATA), count);
    for (unsigned i = 0; i < count; i++)
        store_le16(ram(r, DATA + 2 + 2 * i), (uint16_t)(first + i));
    return ADMIN(r, ADM_NS_ATTACH, nsid, !on, 0);
}

/* The command stays until there is something to tell. */
static inline void ask_event(Rig *r)
{
    uint8_t cmd[64] = { ADM_ASYNC_EVENT };
    store_le16(cmd + 2, 0x7000);
    memcpy(ram(r, r->admin.sq + r->admin.tail * 64u), cmd, 64);
    r->admin.tail = (uint16_t)((r->admin.tail + 1) % ENTRIES);
    reg_write(NVME_DOORBELLS, 4, r->admin.tail);
}

static inline bool told(Rig *r)
{
    const uint8_t *cqe = ram(r, r->admin.cq + r->admin.head * 16u);
    if ((cqe[14] & 1) != r->admin.phase)
        return false;
    g_assert_cmphex(load_le16(cqe + 12), ==, 0x7000);
    g_assert_cmphex(load_le32(cqe), ==, 4 << 16 | 0 << 8 | 2); /* changed namespaces, attribute changed, notice */
    r->admin.head = (uint16_t)((r->admin.head + 1) % ENTRIES);
    r->admin.phase ^= !r->admin.head;
    reg_write(NVME_DOORBELLS + 4, 4, r->admin.head);
    return true;
}

static inline void changed_log(Rig *r, uint32_t first, uint32_t second)
{
    g_assert_cmphex(ADMIN(r, ADM_GET_LOG, 0, 1023 << 16 | 4, 0), ==, 0);
    assert_list(r, first, second);
}
#endif
