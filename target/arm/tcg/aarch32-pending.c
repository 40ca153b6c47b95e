/* SPDX-License-Identifier: MIT */
/* A32 and T32 until their front ends stand: everything is UNDEFINED. */
#include "target/arm/tcg/translate.h"

void arm_a32_insn(ArmTrans *x) { arm_undefined(x); }
void arm_t32_insn(ArmTrans *x) { arm_undefined(x); }
void arm_t32_begin(ArmTrans *x) { x->it = 0; }
void arm_t32_leave(ArmTrans *x) {}
