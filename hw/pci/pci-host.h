/* SPDX-License-Identifier: MIT */
/* What a host bridge, a PCI-to-PCI bridge and a board need: buses, configuration access, interrupt routing. */
#ifndef HW_PCI_PCI_HOST_H
#define HW_PCI_PCI_HOST_H

#include "hw/pci/pci.h"

enum { PCI_MAX_LINES = 16 };

/*
 * Where the INTx pins of a root bus go; called with the bus's interrupt lock held (a leaf: call interrupt controllers
 * only).
 */
typedef struct PciIntxOps {
    unsigned lines;                                    /* at most PCI_MAX_LINES */
    unsigned (*map)(void *opaque, uint8_t devfn, unsigned pin); /* pin 0 = INTA; gives a line */
    /* after each change; also for all lines from pci_intx_reroute() */
    void (*set)(void *opaque, unsigned line, int level);
    /* optional: the one wire that the line drives now; NULL: none, or several */
    const Irq *(*wire)(void *opaque, unsigned line);
} PciIntxOps;

/*
 * How devices of a bus come and go while the machine runs; functions as those of BusType. ask: the guest shall let go
 * of d and the other functions of its slot; when it does, pci_slot_unplugged(). Under the vCPUs' standstill, no lock
 * held.
 */
typedef struct PciHotplug {
    void (*plugged)(void *opaque, PciDevice *d);
    bool (*ask)(void *opaque, PciDevice *d, Error **errp);
} PciHotplug;

struct PciBus {
    Bus bus;
    PciDevice *bridge;      /* the bridge whose secondary bus this is; NULL: root */
    PciDevice *child[PCI_DEVFNS];
    MemRegion *mem, *io;    /* spaces where BARs of the devices are mapped; owned by whoever made the bus */
    bool express;
    uint8_t min_slot;       /* first slot that automatic placement takes */
    uint8_t max_slots;      /* 1 behind a PCIe port */
    uint32_t reserved_slots; /* bit per slot that only the board may use */
    const PciHotplug *hotplug; /* NULL: it has none */
    void *hotplug_opaque;
    /* Root bus only */
    MemRegion *dma_region;  /* what bus masters see, and where MSI messages go */
    AddressSpace *dma;
    /* where messages of interrupts are written to, and an IOMMU lets them pass; equal: nowhere that is known */
    hwaddr msi_first, msi_last;
    const IommuOps *iommu;  /* NULL: none */
    PciDevice *iommu_device;
    unsigned iommu_watchers; /* functions that pci_iommu_mapped() matters to */
    const PciIntxOps *intx;
    void *intx_opaque;
    unsigned line_count[PCI_MAX_LINES];
    GMutex intx_lock;
};

extern const BusType pci_bus_type;

/*
 * What a root bus is connected to: spaces for BARs, the space for DMA and MSI (region and address space of the same).
 */
typedef struct PciRootSpaces {
    MemRegion *mem, *io, *dma_region;
    AddressSpace *dma;
    hwaddr msi_first, msi_last; /* as in PciBus */
} PciRootSpaces;
/* `parent` is the host bridge's Device. */
void pci_root_bus_init(PciBus *b, const char *name, Device *parent, const PciRootSpaces *spaces,
                       bool express);
void pci_root_bus_set_intx(PciBus *b, const PciIntxOps *ops, void *opaque);
/*
 * The chipset's routing has changed: map every driven pin again, tell the chipset the level of every line, and the
 * devices (intx_rerouted).
 */
void pci_intx_reroute(PciBus *b);
void pci_secondary_bus_init(PciBus *b, const char *name, PciDevice *bridge, MemRegion *mem,
                            MemRegion *io);
void pci_bus_fini(PciBus *b);
/* The guest has let go of a slot: all its functions vanish. Any thread under the machine's domain. */
void pci_slot_unplugged(PciBus *b, unsigned slot);
bool pci_slot_occupied(const PciBus *b, unsigned slot);
PciBus *pci_bus_root(const PciBus *b);
uint8_t pci_bus_number(const PciBus *b); /* as the guest has programmed it; 0: the root */

/* Configuration cycles from the root: absent functions read all ones. size 1, 2 or 4, naturally aligned. */
uint32_t pci_bus_config_read(PciBus *root, uint8_t bus, uint8_t devfn, uint32_t at, unsigned size);
void pci_bus_config_write(PciBus *root, uint8_t bus, uint8_t devfn, uint32_t at, unsigned size,
                          uint32_t value);
PciDevice *pci_bus_find(PciBus *root, uint8_t bus, uint8_t devfn);

/*
 * Configuration mechanism #1: I/O ports 0xcf8..0xcff as one region (PCI 3.0 section 3.2.2.3.2). Byte port 0xcf9, the
 * chipset's reset control register, lies in the middle; its owner hooks in with cf9_*.
 */
typedef struct PciConfigPorts {
    uint32_t address;
    PciBus *root;
    MemRegion *region;
    uint8_t (*cf9_read)(void *opaque);
    void (*cf9_write)(void *opaque, uint8_t value);
    void *cf9_opaque;
} PciConfigPorts;
void pci_config_ports_init(PciConfigPorts *p, PciBus *root);
void pci_config_ports_fini(PciConfigPorts *p);
/* Enhanced configuration access: 1 MiB a bus (PCIe 4.0 section 7.2.2); buses 1..256. The caller maps and frees it. */
MemRegion *pci_ecam_new(PciBus *root, unsigned buses);

/* All functions behind a bus. */
typedef void PciFunctionFn(PciDevice *d, void *opaque);
void pci_foreach_function(PciBus *b, PciFunctionFn *fn, void *opaque);

/*
 * An IOMMU, which is a function of the root bus, for all functions there and behind it: the opaque of `ops` is the
 * PciDevice that asks. One; main thread, in start() and stop(). Then it tells of each function for which something has
 * changed: flush: anything; mapped: there is a mapping more; unmapped: those in a range are gone.
 */
bool pci_set_iommu(PciDevice *iommu, const IommuOps *ops, Error **errp);
void pci_unset_iommu(PciDevice *iommu);
void pci_iommu_flush(PciDevice *d);
void pci_iommu_mapped(PciDevice *d, const IommuEntry *e);
void pci_iommu_unmapped(PciDevice *d, hwaddr first, hwaddr last);

/* Make a device of a board at a fixed place; the caller sets properties and calls device_start(). */
PciDevice *pci_new(PciBus *bus, const char *type, const char *id, uint8_t devfn, Error **errp);

/* A PCI-to-PCI bridge: first member of the structure of every type whose info says .bridge. */
typedef struct PciBridge {
    PciDevice pci;
    PciBus secondary;
    MemRegion *mem, *io;     /* spaces behind the bridge */
    MemRegion *window[3];    /* I/O, memory, prefetchable memory: aliases into the primary side */
    uint64_t window_base[3], window_size[3];
    uint8_t chassis, port, slot;
    bool hotplug;            /* ports: the slot has native hot plug */
    uint16_t slot_control;   /* ports: as the last write left it */
    bool hp_level;           /* ports: a hot plug interrupt stands */
} PciBridge;
/* Configuration cycles inside the core: the function is found; masks, hooks and the device's lock apply. */
uint32_t pci_device_config_read(PciDevice *d, uint32_t at, unsigned size);
void pci_device_config_write(PciDevice *d, uint32_t at, unsigned size, uint32_t value);

/* "info pci" */
void pci_print_info(GString *out);
#endif
