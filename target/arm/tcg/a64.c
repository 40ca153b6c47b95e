/* SPDX-License-Identifier: MIT */
/* A64: which table an instruction stands in. */
#include "target/arm/tcg/translate.h"
#include "target/arm/tcg/a64.decode.h"

void arm_a64_insn(ArmTrans *x)
{
    const ArmRow *row = arm_decode(&arm_a64_table, x->has, x->insn);
    if (row)
        row->emit(x, x->insn);
    else
        arm_undefined(x);
}

void arm_a64_undef(ArmTrans *x, const A64Insn *i) { arm_undefined(x); }
void arm_a64_b(ArmTrans *x, const A64Insn *i) { arm_go_to(x, x->pc + (int64_t)i->imm); }
