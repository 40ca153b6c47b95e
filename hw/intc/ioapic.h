/* SPDX-License-Identifier: MIT */
/* The I/O APIC ("ioapic") and the fan-out of interrupt lines to it and the 8259 pair. */
#ifndef HW_INTC_IOAPIC_H
#define HW_INTC_IOAPIC_H

#include "hw/core/device.h"

#define IOAPIC_PINS 24
#define IOAPIC_DEFAULT_BASE 0xfec00000u

/*
 * "ioapic": input pins "irq" 0..23 (level = asserted, whatever the polarity); region 0 is its 4 KiB register window,
 * mapped by the machine. It has a lock domain of its own; lines may be set from any thread.
 */

/*
 * Global system interrupts: line n goes to 8259 input n (n < 16, not the cascade) and to I/O APIC pin n, except that
 * line 0 (ISA timer interrupt) goes to pin 2. Either device may be NULL.
 */
typedef struct GsiRouter {
    Irq irq[IOAPIC_PINS]; /* the lines, for bridges and the ISA bus */
    Irq pic[IOAPIC_PINS], ioapic[IOAPIC_PINS];
} GsiRouter;
void gsi_router_init(GsiRouter *g, Device *pic, Device *ioapic);
#endif
