/* SPDX-License-Identifier: MIT */
/* A64: which table an instruction stands in. */
#include "target/arm/tcg/translate.h"

/* DDI 0487, C4.1: op0 (28:25) is x111, or a load or store (x1x0) with V set. */
static bool is_simd(uint32_t w) { return (w >> 25 & 7) == 7 || ((w >> 25 & 5) == 4 && w >> 26 & 1); }

static bool is_sve(uint32_t w) { return (w >> 25 & 15) == 2; }

void arm_a64_insn(ArmTrans *x)
{
    const ArmTable *table = is_sve(x->insn) ? &arm_sve_table : is_simd(x->insn) ? &arm_simd_table : &arm_a64_table;
    const ArmRow *row = arm_decode(table, x->has, x->insn);
    if (row)
        row->emit(x, x->insn);
    else
        arm_undefined(x);
}
