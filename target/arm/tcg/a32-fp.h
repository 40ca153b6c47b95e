/* SPDX-License-Identifier: MIT */
/* AArch32 FP and Advanced SIMD emitters: registers as parts of V, and rows of IR op SIMD on them. */
#ifndef TARGET_ARM_TCG_A32_FP_H
#define TARGET_ARM_TCG_A32_FP_H

#include "accel/tcg/simd.h"
#include "target/arm/tcg/a32.h"
#include "target/arm/tcg/help-a32.h"
#include "target/arm/tcg/neon.decode.h"
#include "target/arm/tcg/vfp.decode.h"
#include "target/arm/tcg/vfpu.decode.h"

#define VT(n) IR_SIMD_TEMP(n)
#define NONE IR_NONE

/* FP (simd: Advanced SIMD) may be used; else the insn has become a trap and the block has ended. */
bool a32_fp_usable(ArmTrans *x, bool simd);
/* One row; FP rows with the rules of the mode (scalar) or, `standard`, with the standard FPSCR value. */
IrInsn *a32_simd(ArmTrans *x, bool standard, unsigned row, unsigned es, unsigned bytes, IrRef d, IrRef a, IrRef b,
                 IrRef c, uint64_t imm);
/*
 * The register in the low lanes of a V operand: it itself, or temporary `slot`. bytes: 4 (S), 8 (D), 16 (Q, number of
 * its first D).
 */
IrRef a32_vsrc(ArmTrans *x, unsigned slot, unsigned n, unsigned bytes);
/* Where to compute the register; then a32_vput() puts it in its place. */
IrRef a32_vdst(unsigned n, unsigned bytes);
void a32_vput(ArmTrans *x, unsigned n, unsigned bytes);
static inline IrRef a32_v(unsigned n, unsigned bytes) { return IR_V(bytes == 16 ? n / 2 : n / (16 / bytes)); }
static inline unsigned a32_lane(unsigned n, unsigned bytes) { return n % (16 / bytes); }
uint64_t a32_fp_immediate(unsigned imm8, unsigned es); /* VFPExpandImm() */
#endif
