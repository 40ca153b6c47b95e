/* SPDX-License-Identifier: MIT */
/* What the author of a PCI device needs: identity, BARs, capabilities, interrupts, DMA. */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/core/device.h"
#include "hw/pci/pci-regs.h"

typedef struct PciDevice PciDevice;
typedef struct PciBus PciBus;
typedef struct PciMsix PciMsix;
typedef struct PciIommuWatch PciIommuWatch;

/*
 * DeviceType.class_data of every PCI device; the type also says .bus = "pci", .base = &pci_device_type and its
 * structure begins with a PciDevice. Everything else is set in start() with the calls below.
 */
typedef struct PciDeviceInfo {
    uint16_t vendor, device;
    uint8_t revision;
    uint32_t class_code;                 /* 24 bits: class << 16 | subclass << 8 | prog-if */
    uint16_t subsystem_vendor, subsystem; /* both 0: 1af4:1100, as guests expect of virtual devices */
    uint8_t interrupt_pin;               /* 1 = INTA .. 4; 0: none */
    bool bridge;                         /* type 1 header */
    bool express;                        /* has 4 KiB of configuration space */
    bool no_subsystem;                   /* the ids read as zero */
    /*
     * Optional. config_read: give the value the guest sees (stored value passed in). config_wrote: after the stored
     * bytes [at, at + size) changed by the write masks; the PCI core has updated BARs and interrupts already.
     */
    uint32_t (*config_read)(PciDevice *d, uint32_t at, unsigned size, uint32_t stored);
    void (*config_wrote)(PciDevice *d, uint32_t at, unsigned size);
    /* the host carries its DMA out: the guest's IOMMU comes before it on the command line */
    bool host_dma;
    void (*intx_rerouted)(PciDevice *d); /* pci_intx_by_eventfd() may be another; the machine's domain is held */
} PciDeviceInfo;

extern const DeviceType pci_device_type; /* base of all PCI devices: properties addr, multifunction, romfile, rombar */

typedef struct PciBar {
    MemRegion *region;  /* NULL: not registered */
    uint64_t size;
    uint64_t addr;      /* where it is mapped now, UINT64_MAX: nowhere */
    uint8_t flags;
} PciBar;

struct PciDevice {
    Device dev;
    const PciDeviceInfo *info;
    PciBus *bus;
    uint8_t devfn;
    /* Properties */
    char *addr_prop, *romfile;
    bool multifunction;
    uint32_t rombar, romsize, acpi_index;
    char *failover_pair_id;
    /* Configuration space: what is stored, what a guest may write, what 1 clears, and the value after reset. */
    uint8_t config[PCIE_CONFIG_SIZE];
    uint8_t *wmask, *w1c, *reset_value;
    uint32_t config_size, cap_end;
    PciBar bar[PCI_BARS];
    MemRegion *rom;
    bool intx_level;   /* what the device asks for */
    bool intx_driven;  /* what the bus has been told (INTx disable taken into account) */
    uint16_t cap_pm, cap_msi, cap_msix, cap_express; /* offsets, 0: absent */
    PciMsix *msix;
    GByteArray *msix_state;
    MemRegion *dma_root, *dma_view; /* dma_view: memory or the IOMMU, shown while bus mastering is on */
    AddressSpace *dma_as;
    bool past_iommu;                /* its accesses are not translated */
    const PciIommuWatch *iommu_watch;
    void *iommu_watch_opaque;
};

/* ---- Configuration space (in start(), then also at run time under the device's domain) ---- */
/* Give `size` bytes at `at` their reset value and their guest-writable bits; the stored value becomes `value` too. */
void pci_config_define(PciDevice *d, uint32_t at, unsigned size, uint32_t value, uint32_t wmask);
void pci_config_define_w1c(PciDevice *d, uint32_t at, unsigned size, uint32_t mask);
/* Stored values, no hooks and no masks. */
uint32_t pci_config_get(const PciDevice *d, uint32_t at, unsigned size);
void pci_config_set(PciDevice *d, uint32_t at, unsigned size, uint32_t value);

/* ---- BARs ---- */
enum { PCI_BAR_MEM = 0, PCI_BAR_IO = 1, PCI_BAR_64 = 4, PCI_BAR_PREFETCH = 8 };
/*
 * Region of a power-of-two size (memory >= 16 bytes, I/O 4..256 bytes) that the device keeps owning; a 64-bit BAR takes
 * two slots. The core maps it into the bus's space when the guest enables decoding.
 */
void pci_register_bar(PciDevice *d, unsigned index, uint8_t flags, MemRegion *region);
uint64_t pci_bar_addr(const PciDevice *d, unsigned index); /* UINT64_MAX: not mapped */
enum { PCI_ROM_MAX = 16 << 20 };
/* 1 .. PCI_ROM_MAX bytes, copied; instead of romfile= */
bool pci_set_option_rom(PciDevice *d, const void *data, size_t len, Error **errp);

/* ---- Capabilities ---- */
/*
 * Add a capability of `size` bytes; offset 0: the next free place. Returns the offset. The body is zero and read-only.
 */
uint16_t pci_add_capability(PciDevice *d, uint8_t id, uint16_t offset, uint16_t size);
/* PCIe extended capability at 0x100 and up (express devices). */
uint16_t pcie_add_ext_capability(PciDevice *d, uint16_t id, uint8_t version, uint16_t offset,
                                 uint16_t size);
void pci_pm_init(PciDevice *d, uint16_t offset); /* D0..D3hot, no PME */
typedef enum PcieType {
    PCIE_ENDPOINT = 0,
    PCIE_ROOT_PORT = 4,
    PCIE_UPSTREAM = 5,
    PCIE_DOWNSTREAM = 6,
    PCIE_RC_ENDPOINT = 9
} PcieType;
/* An endpoint directly on the root bus becomes a root complex integrated endpoint. */
void pcie_cap_init(PciDevice *d, uint16_t offset, PcieType type, uint8_t port);

/*
 * Address translation services at `offset` (PCIe 5.0 section 10.5.1); the guest may switch them on, translations are as
 * without.
 */
void pcie_ats_init(PciDevice *d, uint16_t offset, bool page_aligned);

/* ---- Interrupts: raise from any thread that holds the device's domain ---- */
void pci_set_irq(PciDevice *d, int level); /* the device's INTx pin */
/* the line that event_doors()->line_fd may drive for the pin now; -1: pci_set_irq() only */
int pci_intx_by_eventfd(const PciDevice *d);
/* MSI: vectors a power of two up to 32. */
void msi_init(PciDevice *d, uint16_t offset, unsigned vectors, bool is64, bool maskable);
bool msi_enabled(const PciDevice *d);
unsigned msi_vectors(const PciDevice *d); /* that the guest has enabled */
void msi_notify(PciDevice *d, unsigned vector);
/* MSI-X: table and pending bits in regions inside BARs that are containers. Vectors 1..2048. */
bool msix_init(PciDevice *d, uint16_t offset, unsigned vectors, unsigned table_bar,
               MemRegion *table_in, uint32_t table_at, unsigned pba_bar, MemRegion *pba_in,
               uint32_t pba_at, Error **errp);
/* Same, with a BAR of its own that this makes and registers. */
bool msix_init_exclusive_bar(PciDevice *d, unsigned vectors, unsigned bar, Error **errp);
bool msix_enabled(const PciDevice *d);
void msix_notify(PciDevice *d, unsigned vector); /* a masked vector becomes pending */
bool msix_vector_masked(const PciDevice *d, unsigned vector);
bool msi_vector_masked(const PciDevice *d, unsigned vector);
/* the guest has written that entry of the table */
void msix_on_change(PciDevice *d, void (*changed)(PciDevice *d, unsigned vector));
typedef struct MsiMessage { uint64_t address; uint32_t data; } MsiMessage;
MsiMessage msix_message(const PciDevice *d, unsigned vector);
MsiMessage msi_message(const PciDevice *d, unsigned vector);
bool pci_msi_by_eventfd(const PciDevice *d, MsiMessage message); /* may event_doors() send it now? */
/* Properties that are on, off or left to the device. */
enum { PCI_ON, PCI_OFF, PCI_AUTO };
extern const char *const pci_on_off_auto[];
/* Deliver as the device's bus master (a memory write). */
void pci_send_msi(PciDevice *d, MsiMessage message);

/* ---- DMA: nothing happens (MEM_ERROR) while bus mastering is off ---- */
MemResult pci_dma_read(PciDevice *d, hwaddr addr, void *buf, uint64_t len);
MemResult pci_dma_write(PciDevice *d, hwaddr addr, const void *buf, uint64_t len);
MemAttrs pci_attrs(const PciDevice *d);
/*
 * The device's view of memory, for those that cache translations: empty while bus mastering is off. Translated where
 * the bus has an IOMMU.
 */
AddressSpace *pci_dma_space(PciDevice *d);
/* In start(): the device's accesses and messages go past an IOMMU. */
void pci_bypass_iommu(PciDevice *d);

/*
 * For a device whose accesses others carry out, at addresses that they have been told before: behind an IOMMU it is
 * told of mappings that come and go, all that lay in [first, last], or that it shall look at all of them again. Under
 * the IOMMU's domain. ops NULL: no more.
 */
struct PciIommuWatch {
    void (*mapped)(void *opaque, const IommuEntry *e);
    void (*unmapped)(void *opaque, hwaddr first, hwaddr last);
    void (*changed)(void *opaque);
};
/* the bus has an IOMMU; for host_dma in start(): it is there by then, or never comes */
bool pci_is_translated(const PciDevice *d);
void pci_watch_iommu(PciDevice *d, const PciIommuWatch *ops, void *opaque);
void pci_foreach_mapping(PciDevice *d, IommuEntryFn *fn, void *opaque);

static inline PciDevice *pci_device(Device *d) { return (PciDevice *)d; }
#endif
