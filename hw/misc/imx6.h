/* SPDX-License-Identifier: MIT */
/* What the board asks i.MX6's system reset controller. */
#ifndef HW_MISC_IMX6_H
#define HW_MISC_IMX6_H

#include "hw/core/device.h"

/* The address that software has given core `cpu` (0 to 3) to start at, and its argument. */
uint32_t imx6_src_entry(const Device *d, unsigned cpu, uint32_t *argument);
#endif
