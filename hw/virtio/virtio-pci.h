/* SPDX-License-Identifier: MIT */
/* The PCI transport of virtio: base type of the virtio-*-pci devices. */
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio-doors.h"
#include "hw/virtio/virtio.h"

/*
 * A type says .base = &virtio_pci_type and gives the identity of a transitional device (1af4:1000 + …) as
 * PciDeviceInfo; its structure begins with a VirtioPci. Its start() calls virtio_pci_init(), adds queues, then
 * virtio_pci_ready().
 */
typedef struct VirtioPci {
    PciDevice pci;
    VirtioDevice *v;
    MemRegion *modern, *legacy, *notify_port;
    /* properties */
    int disable_legacy; /* on, off, auto */
    bool disable_modern, packed, event_idx, indirect, iommu_platform, ats, ats_aligned, page_per_vq, pio_notify,
        queue_reset;
    uint32_t vectors;   /* 0: no MSI-X; UINT32_MAX: as many as are useful */
    /* registers of the common configuration and of the legacy window */
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;
    uint64_t driver_features;
    uint32_t notifies;  /* counted for `info` */
    bool ioeventfd;     /* property: doorbells signal file descriptors where the accelerator can */
    VirtioDoors doors;
} VirtioPci;
extern const DeviceType virtio_pci_type;
void virtio_pci_init(VirtioPci *p, VirtioDevice *v, const VirtioClass *cls);
bool virtio_pci_ready(VirtioPci *p, VirtioDevice *v, Error **errp);
/* First in stop() of a device whose queues an I/O thread serves (virtio_use_iothread()). */
void virtio_pci_leave_iothread(VirtioPci *p);
#endif
