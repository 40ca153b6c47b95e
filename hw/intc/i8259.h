/* SPDX-License-Identifier: MIT */
/* The pair of 8259A interrupt controllers ("isa-i8259"). */
#ifndef HW_INTC_I8259_H
#define HW_INTC_I8259_H

#include "hw/core/device.h"

/*
 * Pins: inputs "irq" 0..15 (2 is the cascade and ignored), output "intr". The device has a lock domain of its own:
 * lines may be set from any thread that does not hold an APIC's or I/O APIC's domain.
 */

/*
 * INTA cycle: the vector of the interrupt to serve, now in service. Without a request it is the spurious one (base +
 * 7), as on the chip. Any thread.
 */
int i8259_acknowledge(Device *pic);
/* Is INTR up? Any thread, no lock. */
bool i8259_pending(Device *pic);

struct CpuPort;
/*
 * For a machine or CPU without a local APIC: make the pair the interrupt controller of this vCPU and drive its INTR
 * line.
 */
void i8259_attach_cpu(Device *pic, struct CpuPort *port);
#endif
