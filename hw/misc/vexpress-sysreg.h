/* SPDX-License-Identifier: MIT */
/* The system registers of Arm's development boards as the boards see them. */
#ifndef HW_MISC_VEXPRESS_SYSREG_H
#define HW_MISC_VEXPRESS_SYSREG_H

#include "hw/core/device.h"

/*
 * "realview_sysctl": properties sys_id, proc_id. Pin "flags" pulses when SYS_FLAGS was written; then this is their
 * value.
 */
uint32_t vexpress_sysreg_flags(const Device *d);
#endif
