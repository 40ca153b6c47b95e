/* SPDX-License-Identifier: MIT */
/*
 * A decoded instruction of the AArch32 tables (a32, a32u, t16, t32, vfp, neon, mve): fields have the same meaning in
 * all of them.
 */
#ifndef TARGET_ARM_TCG_A32_INSN_H
#define TARGET_ARM_TCG_A32_INSN_H
#include <stddef.h>
#include "target/arm/tcg/decode.h"

typedef enum A32Dp {
    DP_AND,
    DP_EOR,
    DP_SUB,
    DP_RSB,
    DP_ADD,
    DP_ADC,
    DP_SBC,
    DP_RSC,
    DP_TST,
    DP_TEQ,
    DP_CMP,
    DP_CMN,
    DP_ORR,
    DP_MOV,
    DP_BIC,
    DP_MVN,
    DP_ORN
} A32Dp;
typedef enum A32Shift { SH_LSL, SH_LSR, SH_ASR, SH_ROR } A32Shift;

/* s: 1 flags, 2 flags outside of an IT block. p u w: pre-index, add, write back. op: what the emitter says. */
typedef struct A32Insn {
    const ArmRow *row;
    uint32_t word;
    int32_t op, s, rd, rn, rm, rs, ra, rt, rt2, imm, type, amount;
    int32_t p, u, w, l, b, list, reg, size, sgn, x, y, r, lsb, msb, cond, mask, h;
    int32_t cp, opc1, opc2, crn, crm;
    int32_t vd, vn, vm, q, f, idx, cmode, dp, rot, align;
} A32Insn;
#endif
