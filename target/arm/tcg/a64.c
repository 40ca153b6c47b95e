/* SPDX-License-Identifier: MIT */
/* A64: which table an instruction stands in. */
#include "target/arm/tcg/translate.h"

void arm_a64_insn(ArmTrans *x)
{
    const ArmRow *row = arm_decode(&arm_a64_table, x->has, x->insn);
    if (row)
        row->emit(x, x->insn);
    else
        arm_undefined(x);
}
