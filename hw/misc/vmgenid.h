/* SPDX-License-Identifier: MIT */
/* The generation identifier of a virtual machine: another one once its past is not its only one any more. */
#ifndef HW_MISC_VMGENID_H
#define HW_MISC_VMGENID_H

#include "hw/core/irq.h"
#include <stdint.h>

enum { VMGENID_GPE = 5 };
uint64_t vmgenid_address(void);     /* in memory; 0: there is none */
void vmgenid_set_event(Irq event);  /* by the board: where a change is told */
const char *vmgenid_guid(void);     /* NULL: there is none */
#endif
