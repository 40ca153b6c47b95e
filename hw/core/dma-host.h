/* SPDX-License-Identifier: MIT */
/*
 * Devices of the host that reach the guest's memory by themselves (VFIO), for an accelerator that must know of them:
 * with some the guest's caches have to behave as on bare hardware.
 */
#ifndef HW_CORE_DMA_HOST_H
#define HW_CORE_DMA_HOST_H

#include <stdbool.h>

/* fd: of the device or its group; before the device is opened, or before it is bound. Main thread. */
typedef void DmaHostFn(int fd, bool there);

void dma_host_set(DmaHostFn *fn); /* NULL: nobody has to know */
void dma_host_tell(int fd, bool there);
#endif
