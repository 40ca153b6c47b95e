/* SPDX-License-Identifier: MIT */
/* Private to the A64 SIMD and FP emitters. */
#ifndef TARGET_ARM_TCG_SIMD_H
#define TARGET_ARM_TCG_SIMD_H

#include "accel/tcg/simd.h"
#include "target/arm/tcg/simd.decode.h"
#include "target/arm/tcg/translate.h"

#define V(n) IR_V((unsigned)(n))
#define VT(n) IR_SIMD_TEMP(n)
#define NONE IR_NONE

/* One row with the mode's FP attributes. V operands. The rest of a longer vector register is cleared when d is one. */
IrInsn *simd_op(ArmTrans *x, unsigned row, unsigned es, unsigned bytes, IrRef d, IrRef a, IrRef b, IrRef c,
                uint64_t imm);
/* FP may be used; else the insn is a trap. */
bool simd_usable(ArmTrans *x);
/* ptype of scalar FP: bytes, or 0: UNDEFINED (the block has ended). */
unsigned simd_fp_size(ArmTrans *x, unsigned type);
/* Lane `index` of es bytes of V(rm) in all lanes of a temporary. */
IrRef simd_dup(ArmTrans *x, unsigned es, unsigned rm, unsigned index);
#endif
