/* SPDX-License-Identifier: MIT */
/*
 * Doorbells of queues that are no exits: where the accelerator can, the guest's write signals an eventfd. The main loop
 * or an I/O thread serves the queue.
 */
#ifndef HW_CORE_DOORBELL_H
#define HW_CORE_DOORBELL_H

#include "base/event-watch.h"
#include "hw/core/memory.h"

typedef struct Doorbell Doorbell;

bool doorbells_possible(void);
/*
 * All under `domain`. new: served by that thread, NULL: by the main loop. NULL when the host has no descriptor left;
 * then the writes arrive as writes.
 */
Doorbell *doorbell_new(LockDomain *domain, IoThread *thread, EventFn *rung, void *opaque, unsigned number);
/* A place that rings it: `where` without fd. May be called for several. */
void doorbell_add_place(Doorbell *b, MemRegion *r, MemNotifier where);
/* Serve it now if it has rung and the main loop has not come to it: the machine stands and is about to be saved. */
void doorbell_look(Doorbell *b);
void doorbell_free(Doorbell *b); /* NULL: no-op; before its regions are freed */
#endif
