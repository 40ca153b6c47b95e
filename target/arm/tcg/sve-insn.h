/* SPDX-License-Identifier: MIT */
/* A decoded SVE instruction, and the numbers of the functions that rows name. */
#ifndef TARGET_ARM_TCG_SVE_INSN_H
#define TARGET_ARM_TCG_SVE_INSN_H
#include "target/arm/tcg/decode.h"

typedef enum SveOp {
#define X(id) SVE_##id,
#include "target/arm/tcg/sve.def"
#undef X
} SveOp;

/* Registers, then what sve.decode's head explains; size: log2 of an element's bytes. */
typedef struct SveInsn {
    const ArmRow *row;
    uint32_t word;
    int32_t op, size, rd, rn, rm, ra, pg, imm;
    int32_t dn, rev, acc, im, fl;
    int32_t a, b, m, sh, sf, dec, uns, mul, pattern;
    int32_t msz, sign, kind, regs, scaled; /* of memory */
} SveInsn;
#endif
