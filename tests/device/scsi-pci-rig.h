/* SPDX-License-Identifier: MIT */
/*
 * For tests of SCSI adapters at their registers: one on a PCI bus, with a disk; its BAR, and the machine's memory.
 * Included once in a program.
 */
#ifndef TESTS_DEVICE_SCSI_PCI_RIG_H
#define TESTS_DEVICE_SCSI_PCI_RIG_H

#include "tests/device/scsi-rig.h"

typedef struct PciRig { Rig base; BarePciHost *host; Device *adapter; AddressSpace *as; } PciRig;

static inline PciRig *pci_rig_new(const char *adapter, unsigned bar)
{
    Error *err = NULL;
    PciRig *p = g_new0(PciRig, 1);
    Rig *r = &p->base;
    r->file = bare_image(BLOCKS * BLOCK);
    blk_new("d0", open_image(r->file, BLOCK_RDWR));
    r->m = bare_machine(&rig_type);
    p->host = (BarePciHost *)bare_host(&bare_pci_type);
    p->adapter = device_new_named(adapter, "hba", &err);
    g_assert_true(device_start(p->adapter, &err));
    r->disk = add_disk(r, "d0", "");
    PciDevice *d = pci_device(p->adapter);
    p->as = as_new("bar", d->bar[bar].region);
    MemRegion *ecam = pci_ecam_new(&p->host->bus, 256);
    AddressSpace *config = as_new("config", ecam);
    as_store(config, (hwaddr)d->devfn << 12 | 4, 2, 6, MEM_ATTRS_DEVICE); /* memory, bus master */
    as_free(config);
    mem_region_free(ecam);
    device_reset_all();
    pci_config_set(d, 4, 2, 6);
    return p;
}

static inline void pci_rig_free(PciRig *p)
{
    as_free(p->as);
    device_free(p->base.disk);
    device_free(p->adapter);
    bare_end(p->base.m, p->base.file);
    g_free(p);
}

static inline uint32_t peek(PciRig *p, hwaddr at)
{
    uint8_t b[4];
    as_read(p->base.m->as_memory, at, b, 4, MEM_ATTRS_DEVICE);
    return load_le32(b);
}
static inline void poke(PciRig *p, hwaddr at, uint32_t v)
{
    uint8_t b[4];
    store_le32(b, v);
    as_write(p->base.m->as_memory, at, b, 4, MEM_ATTRS_DEVICE);
}

static inline uint32_t reg(PciRig *p, hwaddr at)
{
    uint64_t value = 0;
    as_load(p->as, at, 4, &value, MEM_ATTRS_DEVICE);
    return (uint32_t)value;
}
static inline void set_reg(PciRig *p, hwaddr at, uint32_t value) { as_store(p->as, at, 4, value, MEM_ATTRS_DEVICE); }
#endif
