/* SPDX-License-Identifier: MIT */
/*
 * One source for a virtio device on every transport: its structure begins with a VirtioProxy, and two DeviceTypes share
 * its properties, state and functions: virtio-X-pci with .base = &virtio_pci_type and .bus = "pci", virtio-X-device
 * with .base = &virtio_device_type and .bus = "virtio-bus".
 */
#ifndef HW_VIRTIO_VIRTIO_PROXY_H
#define HW_VIRTIO_VIRTIO_PROXY_H

#include "hw/virtio/virtio-pci.h"

typedef struct VirtioMmio VirtioMmio;

/* A device that sits on the bus of an MMIO transport. */
typedef struct VirtioPlug {
    Device dev; /* always first */
    VirtioDevice *v;
    VirtioMmio *transport;
    bool packed, event_idx, indirect, iommu_platform; /* properties */
} VirtioPlug;
extern const DeviceType virtio_device_type;

typedef union VirtioProxy {
    Device dev;
    VirtioPci pci;
    VirtioPlug plug;
} VirtioProxy;

/* In start(): virtio_init() with what the transport gives; then add queues; then ready. */
void virtio_proxy_init(VirtioProxy *p, VirtioDevice *v, const VirtioClass *cls);
bool virtio_proxy_ready(VirtioProxy *p, VirtioDevice *v, Error **errp);
/* First in stop() of a device whose queues an I/O thread serves (virtio_use_iothread()). */
void virtio_proxy_leave_iothread(VirtioProxy *p, VirtioDevice *v);

/* For boards: does a device sit behind this virtio-mmio? */
bool virtio_mmio_used(const Device *transport);
#endif
