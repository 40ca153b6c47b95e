/* SPDX-License-Identifier: MIT */
/* Guest memory for devices that move much of it: scatter lists as host memory, and windows that are looked up once. */
#ifndef HW_CORE_DMA_H
#define HW_CORE_DMA_H

#include <sys/uio.h>
#include "hw/core/memory.h"

/*
 * A scatter list of guest memory as host addresses, valid from dma_vec_add() until dma_vec_finish(), in any thread,
 * even if the device that has the memory is unplugged meanwhile. What is not RAM goes through a copy. to_memory: the
 * device writes. At most DMA_VEC_MAX pieces and DMA_COPY_MAX copied bytes: guests choose lists.
 */
enum { DMA_VEC_MAX = 1024, DMA_COPY_MAX = 4 << 20 };
/* region: whose RAM it is; NULL: a copy */
typedef struct DmaPiece { MemRegion *region; uint64_t ram_addr; hwaddr addr; uint8_t *copy; } DmaPiece;
typedef struct DmaVec {
    AddressSpace *as;
    MemAttrs attrs;
    bool to_memory;
    struct iovec *iov;
    DmaPiece *piece;
    unsigned count, room;
    uint64_t bytes, copied;
} DmaVec;
void dma_vec_init(DmaVec *v, AddressSpace *as, MemAttrs attrs, bool to_memory);
/* false: unmapped, or over a limit; what was added before stays. */
bool dma_vec_add(DmaVec *v, hwaddr addr, uint64_t len);
/* The transfer is over: `bytes` from the start were written (to_memory), and are made known. Frees the list. */
void dma_vec_finish(DmaVec *v, uint64_t bytes);

/* A range of guest memory that is used again and again (rings). Found again when the memory map has changed. */
typedef struct DmaWindow {
    hwaddr addr;
    uint64_t len, generation;
    AddressSpace *as;
    uint8_t *host;     /* NULL: not one piece of RAM: use as_read() and as_write() */
    uint64_t ram_addr;
} DmaWindow;
static inline void dma_window_set(DmaWindow *w, AddressSpace *as, hwaddr addr, uint64_t len)
{
    *w = (DmaWindow){ .addr = addr, .len = len, .as = as, .generation = ~UINT64_C(0) };
}
/* [offset, offset + len) within the window. */
void dma_window_read(DmaWindow *w, uint64_t offset, void *buf, uint64_t len);
void dma_window_write(DmaWindow *w, uint64_t offset, const void *buf, uint64_t len);
#endif
