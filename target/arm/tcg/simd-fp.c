/* SPDX-License-Identifier: MIT */
/* A64 scalar floating point: emitters of simd.decode (DDI 0487, C7.2). */
#include "target/arm/tcg/a64.h"
#include "target/arm/tcg/simd.h"

unsigned simd_fp_size(ArmTrans *x, unsigned type)
{
    static const uint8_t size[4] = { 4, 8, 0, 2 };
    if (!size[type] || (type == 3 && !x->has->fp16)) {
        arm_undefined(x);
        return 0;
    }
    return size[type];
}

void arm_simd_fp1(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = simd_fp_size(x, (unsigned)i->type);
    if (es && simd_usable(x))
        simd_op(x, (unsigned)i->op, es, es, V(i->rd), V(i->rn), NONE, NONE, (uint64_t)i->imm);
}
void arm_simd_fp2(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = simd_fp_size(x, (unsigned)i->type);
    if (es && simd_usable(x))
        simd_op(x, (unsigned)i->op, es, es, V(i->rd), V(i->rn), V(i->rm), NONE, 0);
}
void arm_simd_fp3(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = simd_fp_size(x, (unsigned)i->type);
    if (es && simd_usable(x))
        simd_op(x, (unsigned)i->op, es, es, V(i->rd), V(i->rn), V(i->rm), V(i->ra), 0);
}

/* Conversions exist between half and the others without FEAT_FP16. */
void arm_simd_fcvt(ArmTrans *x, const SimdInsn *i)
{
    static const uint8_t size[4] = { 4, 8, 0, 2 };
    if (!size[i->type])
        arm_undefined(x);
    else if (simd_usable(x))
        simd_op(x, SIMD_FCVT, size[i->to], size[i->to], V(i->rd), V(i->rn), NONE, NONE, size[i->type]);
}
void arm_simd_bfcvt(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_BFCVT, 2, 2, V(i->rd), V(i->rn), NONE, NONE, 0);
}

/* --- comparisons --- */
static IrRef compare(ArmTrans *x, unsigned es, IrRef a, IrRef b, unsigned signal)
{
    IrRef t = ir_temp(x->t);
    simd_op(x, SIMD_FCMP, es, es, t, a, b, NONE, signal);
    return t;
}
void arm_simd_fcmp(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = simd_fp_size(x, (unsigned)i->type);
    if (!es || !simd_usable(x))
        return;
    IrRef r = compare(x, es, V(i->rn), i->zero ? NONE : V(i->rm), (unsigned)i->signal);
    IrInsn *c = ir_op3i(x->t, IR_CMP, 1, NONE, r, 1);
    c->flags |= IR_SETF;
}
void arm_simd_fccmp(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = simd_fp_size(x, (unsigned)i->type);
    if (!es || !simd_usable(x))
        return;
    bool always = i->cond >= 14;
    unsigned label = always ? 0 : ir_new_label(x->t);
    IrRef r = ir_temp(x->t);
    if (!always) { /* no comparison, no exception, when the condition fails */
        ir_movi(x->t, 8, r, 1);
        arm_brcc(x, arm_cond((unsigned)i->cond ^ 1), label);
    }
    simd_op(x, SIMD_FCMP, es, es, r, V(i->rn), V(i->rm), NONE, (unsigned)i->signal);
    if (!always)
        ir_label(x->t, IR_LABEL, label);
    IrInsn *c = ir_op3i(x->t, always ? IR_CMP : IR_CCMP, 1, NONE, r, 1);
    c->flags |= IR_SETF;
    if (!always) {
        c->cond = arm_cond((unsigned)i->cond);
        c->imm2 = a64_flag_bits((unsigned)i->nzcv);
    }
}
void arm_simd_fcsel(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = simd_fp_size(x, (unsigned)i->type);
    if (!es || !simd_usable(x))
        return;
    if (i->cond >= 14) {
        simd_op(x, SIMD_MOV, 8, es, V(i->rd), V(i->rn), NONE, NONE, 0);
        return;
    }
    IrRef t = ir_temp(x->t);
    ir_op2(x->t, IR_SETCC, 1, t, NONE)->cond = arm_cond((unsigned)i->cond);
    simd_op(x, SIMD_CSEL, es, es, V(i->rd), V(i->rn), V(i->rm), t, 0);
}

/* --- conversions from and to integers --- */
static bool conversion(ArmTrans *x, const SimdInsn *i, unsigned *es, unsigned *fraction)
{
    *fraction = i->fixed ? 64 - (unsigned)i->scale : 0;
    if (i->fixed && !i->sf && i->scale < 32) {
        arm_undefined(x);
        return false;
    }
    *es = simd_fp_size(x, (unsigned)i->type);
    return *es && simd_usable(x);
}
void arm_simd_fcvti(ArmTrans *x, const SimdInsn *i)
{
    unsigned es, fraction;
    if (conversion(x, i, &es, &fraction))
        simd_op(x, SIMD_FTOI, es, i->sf ? 8 : 4, arm_xw(x, (unsigned)i->rd), V(i->rn), NONE, NONE,
                (unsigned)i->imm | 16 | fraction << 8);
}
void arm_simd_icvtf(ArmTrans *x, const SimdInsn *i)
{
    unsigned es, fraction;
    if (!conversion(x, i, &es, &fraction))
        return;
    IrRef a = arm_value(x, (unsigned)i->rn);
    simd_op(x, SIMD_ITOF, es, es, V(i->rd), a, NONE, NONE, (unsigned)i->imm | fraction << 8 | (i->sf ? 8u : 4u) << 16);
}
void arm_simd_fjcvtzs(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    IrRef exact = ir_temp(x->t), value = ir_temp(x->t); /* Z = exact, N C V = 0 */
    simd_op(x, SIMD_FJCVTZS, 8, 8, exact, V(i->rn), NONE, NONE, 1);
    simd_op(x, SIMD_FJCVTZS, 8, 8, value, V(i->rn), NONE, NONE, 0);
    ir_op2(x->t, IR_MOV, 4, arm_xw(x, (unsigned)i->rd), value);
    ir_op3i(x->t, IR_SHL, 4, exact, exact, 6);
    ir_op3i(x->t, IR_OR, 4, exact, exact, FLAG_C);
    ir_op2(x->t, IR_PUTF, 4, NONE, exact)->imm = FLAG_ALL;
}
void arm_simd_fmov_to(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_UMOV, (unsigned)i->es, i->sf ? 8 : 4, arm_xw(x, (unsigned)i->rd), V(i->rn), NONE, NONE,
                (uint64_t)i->top);
}
void arm_simd_fmov_from(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    IrRef a = arm_value(x, (unsigned)i->rn);
    if (i->top)
        simd_op(x, SIMD_INSG, 8, 16, V(i->rd), a, V(i->rd), NONE, 1);
    else
        simd_op(x, SIMD_DUPG, (unsigned)i->es, (unsigned)i->es, V(i->rd), a, NONE, NONE, 0);
}
