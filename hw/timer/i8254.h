/* SPDX-License-Identifier: MIT */
/* The 8254 interval timer ("isa-pit") as the speaker port sees it. */
#ifndef HW_TIMER_I8254_H
#define HW_TIMER_I8254_H

#include "hw/core/device.h"

#define PIT_HZ 1193182

/* Caller holds the device's domain. Channel 0..2. */
void i8254_set_gate(Device *pit, unsigned channel, bool level);
bool i8254_out(Device *pit, unsigned channel);
#endif
