/* SPDX-License-Identifier: MIT */
/* Private to target/arm/m: the Private Peripheral Bus's parts. */
#ifndef TARGET_ARM_M_SCS_H
#define TARGET_ARM_M_SCS_H

#include "target/arm/m/m.h"

/* ID registers at 0xd40..0xd80 and MVFR0-2 by their offsets. */
uint32_t arm_m_id(const ArmM *m, uint32_t at);
#endif
