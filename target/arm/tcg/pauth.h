/* SPDX-License-Identifier: MIT */
/* The cipher of pointer authentication, for tests. */
#ifndef TARGET_ARM_TCG_PAUTH_H
#define TARGET_ARM_TCG_PAUTH_H

#include <stdint.h>

/* QARMA5 with the tweak; key0 and key1 are the high and the low half of a 128-bit key. */
uint64_t arm_qarma5(uint64_t data, uint64_t tweak, uint64_t key0, uint64_t key1);
#endif
