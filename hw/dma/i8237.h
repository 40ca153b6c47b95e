/* SPDX-License-Identifier: MIT */
/* ISA DMA: what a device on the bus does with one of the eight channels of the two 8237 controllers. */
#ifndef HW_DMA_I8237_H
#define HW_DMA_I8237_H

#include "hw/isa/isa.h"

/*
 * Called with the machine's domain held: the channel is asked for and open (programmed, not masked): call
 * isa_dma_move().
 */
typedef void IsaDmaFn(void *opaque);

/*
 * In start(): false and *errp when there is no controller on the bus, no such channel, or it is taken. Channel 4 is the
 * cascade.
 */
bool isa_dma_take(Device *d, unsigned channel, IsaDmaFn *ready, void *opaque, Error **errp);
void isa_dma_give_back(Device *d, unsigned channel);
bool isa_dma_exists(const Device *d); /* does its bus have controllers? */
/* The request line. When the channel is open, ready() is called: inside of this, or later. */
void isa_dma_request(Device *d, unsigned channel, bool on);
/*
 * Move up to `len` bytes (even numbers on channels 5 to 7) between buf and memory, to_memory: the device's data.
 * Returns how many; *end: the terminal count was reached.
 */
unsigned isa_dma_move(Device *d, unsigned channel, void *buf, unsigned len, bool to_memory, bool *end);
#endif
