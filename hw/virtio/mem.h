/* SPDX-License-Identifier: MIT */
/* What the monitor asks of virtio-mem devices. */
#ifndef HW_VIRTIO_MEM_H
#define HW_VIRTIO_MEM_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

/* The guest shall have `size` bytes of the device's memory. Main thread. */
bool virtio_mem_request(const char *id, uint64_t size, Error **errp);
#endif
