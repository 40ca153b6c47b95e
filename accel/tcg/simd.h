/* SPDX-License-Identifier: MIT */
/* IR op SIMD: guest-neutral vector and floating-point operations, and how a front end emits them.
 *
 * One op is one row of simd.def: d = row(a, b, c), with insn.size = bytes of an element, insn.size2 = bytes of the
 * operation (16: whole Q register, 8: its low half, = size: a scalar), insn.imm2 = the row's immediate. Operands are
 * V(0..31), the vector temporaries IR_SIMD_TEMP(0..3), and G, T or MEM where the row says so. The rest of the 16 bytes
 * of d becomes zero; a front end with longer vectors clears the rest itself. Every row has a portable function
 * (simd_fn[]): the interpreter's, the oracle of the back ends, and what generated code calls when the host has no
 * recipe or a result needs care (a NaN, a saturation). A row never raises.
 *
 * FP: rounding mode and sticky flags are in Vcpu.fp_control (x86 MXCSR layout; its FZ and DAZ bits stay clear), the
 * rest of the rules in Vcpu.fp_rules. NaN: signalling ones first, then in the order a, b (fused: c, a, b). Set
 * IR_FP_SLOW in insn.flags when fp_rules has more than FP_RULE_DN (then the portable function does it), IR_FP_STANDARD
 * for AArch32 Advanced SIMD arithmetic.
 *
 *   simd3(t, SIMD_FADD, 8, 8, IR_V(0), IR_V(1), IR_V(2), IR_NONE, 0);      D0 = D1 + D2
 *   simd3(t, SIMD_ADD, 4, 16, IR_V(0), IR_V(1), IR_V(2), IR_NONE, 0);      V0.4S = V1.4S + V2.4S
 *   simd_load(t, 8, IR_V(3), &m); simd_store(t, 16, &m, IR_V(3));          LDR D3; STR Q3
 * By-element forms: DUPE into a temporary, then the plain row. AArch32 S and odd D registers are lanes of V: INSE/DUPE
 * to a temporary and back.
 */
#ifndef ACCEL_TCG_SIMD_H
#define ACCEL_TCG_SIMD_H

#include "accel/tcg/trans.h"

typedef enum SimdRow {
#define X(id, kind) SIMD_##id,
#include "accel/tcg/simd.def"
#undef X
    SIMD_ROWS
} SimdRow;

#define IR_SIMD_TEMP(n) IR_V(VCPU_VREGS + (n))

/* Vcpu.fp_control: MXCSR, exceptions masked; Vcpu.fp_rules */
enum { FP_CONTROL_MASKS = 0x1f80 }; /* of Vcpu.fp_control: exceptions do not trap */
enum { FP_RULE_DN = 1, FP_RULE_FZ = 2, FP_RULE_FZ16 = 4, FP_RULE_AHP = 8 };
/* Vcpu.fp_more: sticky flags that the host's control word does not have */
enum { FP_MORE_QC = 1, FP_MORE_IDC = 2 };
/* Rounding in immediates: the MXCSR's four, ties away, and the one in force. 6: round to odd */
enum { FP_ROUND_NEAREST, FP_ROUND_DOWN, FP_ROUND_UP, FP_ROUND_ZERO, FP_ROUND_AWAY, FP_ROUND_CURRENT, FP_ROUND_ODD };

typedef struct SimdArgs {
    Vcpu *v;
    VecReg d;             /* the result: zero on entry; `out` instead for a general register */
    const VecReg *a, *b, *c; /* never NULL: absent operands are zero; a G, T or MEM operand is in u64[0] .. */
    uint64_t out, imm;
    unsigned es, bytes;
    bool standard;        /* IR_FP_STANDARD */
} SimdArgs;
typedef void SimdFn(SimdArgs *x);
extern SimdFn *const simd_fn[SIMD_ROWS];
extern const char *const simd_name[SIMD_ROWS];
extern const char simd_kind[SIMD_ROWS]; /* 'I', 'F', 'G' */

static inline IrInsn *simd3(TransCtx *t, SimdRow row, unsigned es, unsigned bytes, IrRef d, IrRef a, IrRef b, IrRef c,
                            uint64_t imm)
{
    IrInsn *i = ir_emit(t, IR_SIMD, es);
    i->vec = (uint16_t)row, i->size2 = (uint8_t)bytes, i->d = d, i->a = a, i->b = b, i->c = c, i->imm2 = imm;
    return i;
}
static inline IrInsn *simd_load(TransCtx *t, unsigned bytes, IrRef d, const IrMem *m)
{
    IrInsn *i = simd3(t, SIMD_LD, 1, bytes, d, IR_MEM, IR_NONE, IR_NONE, 0);
    i->m = *m;
    return i;
}
static inline IrInsn *simd_store(TransCtx *t, unsigned bytes, const IrMem *m, IrRef a)
{
    IrInsn *i = simd3(t, SIMD_ST, 1, bytes, IR_MEM, a, IR_NONE, IR_NONE, 0);
    i->m = *m;
    return i;
}
/* The operands have the same bits as insn.a .. of the row in the interpreter: run one op on v. */
void simd_run(Vcpu *v, const IrInsn *i);
#endif
