/* SPDX-License-Identifier: MIT */
/*
 * Ways between guest and process that need no exit of the vCPU, where the accelerator has them: interrupts that an
 * eventfd sends, and writes of the guest that only signal an eventfd (mem_add_notifier() in memory.h). Devices work
 * without them.
 */
#ifndef HW_CORE_EVENT_DOORS_H
#define HW_CORE_EVENT_DOORS_H

#include <stdbool.h>
#include <stdint.h>
#include "hw/core/irq.h"

/*
 * NULL functions: not possible here; then send the message or set the line yourself. Main thread or the device's
 * domain.
 */
typedef struct EventDoors {
    /* Each signal of the eventfd sends this message, as if the PCI function `requester` had; a handle >= 0, or -1. */
    int (*msi_fd_new)(int fd, uint64_t address, uint32_t data, uint32_t requester);
    /* another message from now on */
    bool (*msi_fd_set)(int handle, uint64_t address, uint32_t data, uint32_t requester);
    void (*msi_fd_free)(int handle, int fd);
    /*
     * Each signal of the eventfd raises the line; resample_fd >= 0: level-triggered, it is lowered by the guest's EOI,
     * which signals resample_fd. assign false: undo.
     */
    bool (*line_fd)(unsigned gsi, int fd, int resample_fd, bool assign);
    bool notifiers; /* mem_add_notifier() has an effect */
} EventDoors;

const EventDoors *event_doors(void); /* never NULL */
int event_doors_line(const Irq *wire); /* the gsi of line_fd; -1: eventfds can't raise it. NULL: -1 */
void event_doors_set(const EventDoors *doors); /* NULL: none */
#endif
