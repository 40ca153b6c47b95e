/* SPDX-License-Identifier: MIT */
/* Host bridges: "q35-pcihost" with its "mch" (82G33) and "i440FX-pcihost" with its "i440FX" (82441FX). */
#ifndef HW_I386_HOST_BRIDGE_H
#define HW_I386_HOST_BRIDGE_H

#include "hw/i386/pam.h"
#include "hw/pci/pci-host.h"

/*
 * First member of both host bridge devices: the root bus and configuration ports. The board fills `spaces` and `io`,
 * starts the device, and then its bus "pcie.0" / "pci.0" exists.
 */
typedef struct HostBridge {
    Device dev;
    PciBus bus;
    PciConfigPorts ports;
    MemRegion *io;
    AddressSpace *as_memory;
    SmramSpaces spaces;
    bool resuming; /* the reset is the wake-up from S3: set by the board before it */
} HostBridge;

static inline HostBridge *host_bridge(Device *d) { return (HostBridge *)d; }
/* The host bridge whose root bus `d` sits on; an error when it sits on another kind of bus. */
HostBridge *host_bridge_of(PciDevice *d, Error **errp);

/* Where the guest has put the MMCONFIG window; false: nowhere. */
bool mch_mmconfig(PciDevice *mch, uint64_t *base, uint64_t *size);
#endif
