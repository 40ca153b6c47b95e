/* SPDX-License-Identifier: MIT */
/*
 * The doorbells of a virtio device that are no exits (hw/core/doorbell.h): one for each queue, while the driver runs
 * it; for the transports.
 */
#ifndef HW_VIRTIO_VIRTIO_DOORS_H
#define HW_VIRTIO_VIRTIO_DOORS_H

#include "hw/core/doorbell.h"
#include "hw/virtio/virtio.h"

typedef struct VirtioDoors {
    VirtioDevice *v;
    Doorbell **door;    /* by queue, each may be NULL; NULL: none is open */
    unsigned count;
    uint32_t signals;   /* how often they rang */
} VirtioDoors;

/* Give `door` the places where the driver writes for that queue. */
typedef void VirtioDoorPlaces(Doorbell *door, void *transport, unsigned queue);

/*
 * All under the device's domain. update: the device's status may have changed; open while `wanted`, possible and
 * running.
 */
void virtio_doors_update(VirtioDoors *d, VirtioDevice *v, bool wanted, VirtioDoorPlaces *places, void *transport);
void virtio_doors_close(VirtioDoors *d);
void virtio_doors_look(VirtioDoors *d); /* before the device is saved: serve those that have rung */
/* The device's line of `info devices`; notifies: how often an exit rang. */
void virtio_doors_info(const VirtioDoors *d, const VirtioDevice *v, unsigned notifies, GString *out);
#endif
