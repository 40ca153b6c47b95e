/* SPDX-License-Identifier: MIT */
/* A PCI function of the host for the guest: what its parts share. */
#ifndef HW_VFIO_VFIO_PCI_H
#define HW_VFIO_VFIO_PCI_H

#include "base/event-watch.h"
#include "hw/pci/pci.h"
#include "hw/vfio/vfio.h"

typedef struct VfioPci VfioPci;

/*
 * A vector: the host signals `event`; `door`: the accelerator sends the message for each signal then, -1: the main loop
 * does.
 */
typedef struct VfioVector {
    EventWatch *event;
    int door;
    MsiMessage message;
} VfioVector;

typedef struct VfioBar {
    VfioPci *owner;
    unsigned index;
    VfioRegion region;
    MemRegion *whole, *slow, *fast; /* fast: the part that is mapped, or NULL */
} VfioBar;

/* The INTx line. */
typedef struct VfioLine {
    int wanted;          /* where the accelerator can raise it (event_doors()->line_fd); -1: nowhere */
    /* it does so for each signal of `event`, and signals `resample` at the guest's EOI; else all is ours */
    bool connected;
    int event, resample;
    bool pending;        /* we: it is up; the host has masked it until the guest has looked */
} VfioLine;

struct VfioPci {
    PciDevice pci; /* always first */
    VfioDevice host;
    VfioRegion config;
    VfioBar bar[6];
    uint8_t emulated[PCIE_CONFIG_SIZE]; /* bytes of configuration space that the base keeps; others are the host's */
    /* properties */
    char *address, *sysfsdev;
    char *iommufd;
    bool no_mmap, request, no_kvm_intx, no_kvm_msi, no_kvm_msix;
    uint32_t mmap_timeout_ms, vendor, device, subsystem_vendor, subsystem;
    int display;
    int32_t bootindex;
    /* interrupts: VFIO_PCI_INTX_IRQ_INDEX ..., or -1 */
    int irq_mode;
    unsigned irq_count;
    VfioVector *vector; /* one for each; the domain is the device's */
    VfioLine line;
    Timer *remap;
    EventWatch *error, *wanted; /* the host's notices; NULL: none */
};

/* Take the way that the guest has chosen in configuration space. none: no way (reset, end). */
void vfio_irqs_update(VfioPci *p, bool none);
/* The message of a vector, or its mask, may be another. */
void vfio_vector_changed(PciDevice *d, unsigned vector);
/*
 * line.c. rose: the host has signalled the line that we drive; eoi: the guest has touched the device: a pending line
 * goes down.
 */
void vfio_line_rose(VfioPci *p);
void vfio_line_eoi(VfioPci *p);
int vfio_line_gsi(const VfioPci *p);    /* what line.wanted should be now */
bool vfio_line_connect(VfioPci *p);     /* the host's signals go to line.wanted; false: somebody refuses */
void vfio_line_down(VfioPci *p);        /* and it is nobody's; the host does not signal it any more */
/* notices.c: what the host says of the device besides its interrupts. */
void vfio_notices_open(VfioPci *p);
void vfio_notices_close(VfioPci *p);
void vfio_bars_fast(VfioPci *p, bool fast);
/* What the host's configuration space has: capabilities that it keeps, those that the base emulates. */
bool vfio_make_config(VfioPci *p, Error **errp);
uint32_t vfio_config_read(PciDevice *d, uint32_t at, unsigned size, uint32_t stored);
void vfio_config_wrote(PciDevice *d, uint32_t at, unsigned size);
uint32_t vfio_host_config(VfioPci *p, uint32_t at, unsigned size);
void vfio_set_host_config(VfioPci *p, uint32_t at, unsigned size, uint32_t value);
#endif
