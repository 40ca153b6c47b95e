/* SPDX-License-Identifier: MIT */
/* A64 Advanced SIMD: emitters of simd.decode for vectors and their scalar forms (DDI 0487, C7.2). */
#include "target/arm/tcg/simd.h"

bool simd_usable(ArmTrans *x) { return arm_fp_usable(x, 0, 0x1e00000); }

IrInsn *simd_op(ArmTrans *x, unsigned row, unsigned es, unsigned bytes, IrRef d, IrRef a, IrRef b, IrRef c,
                uint64_t imm)
{
    unsigned vl = (unsigned)(x->mode >> ARM_MODE_VL_SHIFT & 15);
    if (ir_kind(d) == IR_KIND_V && ir_num(d) < VCPU_VREGS && vl && x->has->sve && !(x->mode & ARM_MODE_SVE_TRAP))
        for (unsigned n = 2; n < 2 * (vl + 1); n++)
            ir_stei(x->t, 8, offsetof(Vcpu, v) + ir_num(d) * sizeof(VecReg) + 8 * n, 0);
    IrInsn *i = simd3(x->t, row, es, bytes, d, a, b, c, imm);
    if (simd_kind[row] == 'F' && x->mode & ARM_MODE_FP_SLOW)
        i->flags |= IR_FP_SLOW;
    return i;
}

static unsigned width(unsigned q) { return q ? 16 : 8; }
static IrRef acc(const SimdInsn *i) { return i->acc ? V(i->rd) : NONE; }
/* A vector of doublewords has two of them. */
static bool one_lane(ArmTrans *x, unsigned es, unsigned q)
{
    if (es == 8 && !q)
        arm_undefined(x);
    return es == 8 && !q;
}

/* --- three registers --- */
static void three(ArmTrans *x, const SimdInsn *i, unsigned es, unsigned bytes)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, es, bytes, V(i->rd), V(i->rn), V(i->rm), acc(i), 0);
}
void arm_simd_v3(ArmTrans *x, const SimdInsn *i)
{
    if (!one_lane(x, 1u << i->size, i->q))
        three(x, i, 1u << i->size, width(i->q));
}
void arm_simd_s3(ArmTrans *x, const SimdInsn *i) { three(x, i, 1u << i->size, 1u << i->size); }
void arm_simd_v3f(ArmTrans *x, const SimdInsn *i)
{
    if (!one_lane(x, i->sz ? 8 : 4, i->q))
        three(x, i, i->sz ? 8 : 4, width(i->q));
}
void arm_simd_v3h(ArmTrans *x, const SimdInsn *i) { three(x, i, 2, width(i->q)); }
void arm_simd_s3f(ArmTrans *x, const SimdInsn *i) { three(x, i, i->sz ? 8 : 4, i->sz ? 8 : 4); }
void arm_simd_s3h(ArmTrans *x, const SimdInsn *i) { three(x, i, 2, 2); }
void arm_simd_vlogic(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    if (i->op == SIMD_ORR && i->rn == i->rm)
        simd_op(x, SIMD_MOV, 8, width(i->q), V(i->rd), V(i->rn), NONE, NONE, 0);
    else
        three(x, i, 8, width(i->q));
}
void arm_simd_vselect(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    IrRef d = V(i->rd), n = V(i->rn), m = V(i->rm);
    simd_op(x, SIMD_BSL, 8, width(i->q), d, i->op == 3 ? d : n,
            i->op == 2   ? d
            : i->op == 1 ? m
                         : n,
            i->op == 1 ? d : m, 0);
}
void arm_simd_vfhm(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 4, width(i->q), V(i->rd), V(i->rn), V(i->rm), V(i->rd), (uint64_t)i->high);
}
void arm_simd_vdot(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 4, width(i->q), V(i->rd), V(i->rn), V(i->rm), V(i->rd), 0);
}
void arm_simd_vbfmlal(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_BFMLAL, 4, 16, V(i->rd), V(i->rn), V(i->rm), V(i->rd), (uint64_t)i->q);
}
void arm_simd_vcomplex(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = 1u << i->size;
    if (es == 2 && !x->has->fp16) {
        arm_undefined(x);
    } else if (!one_lane(x, es, i->q) && simd_usable(x)) {
        uint64_t rotation = i->op == SIMD_FCADD ? (i->rot ? 3 : 1) : (uint64_t)i->rot;
        simd_op(x, (unsigned)i->op, es, width(i->q), V(i->rd), V(i->rn), V(i->rm), acc(i), rotation);
    }
}

/* --- two registers --- */
static void two(ArmTrans *x, const SimdInsn *i, unsigned es, unsigned bytes)
{
    if (!simd_usable(x))
        return;
    IrRef a = i->swap ? NONE : V(i->rn), b = i->swap ? V(i->rn) : i->with_d ? V(i->rd) : NONE;
    simd_op(x, (unsigned)i->op, es, bytes, V(i->rd), a, b, acc(i), (uint64_t)i->imm);
}
void arm_simd_v2(ArmTrans *x, const SimdInsn *i)
{
    if (!one_lane(x, 1u << i->size, i->q))
        two(x, i, 1u << i->size, width(i->q));
}
void arm_simd_s2(ArmTrans *x, const SimdInsn *i) { two(x, i, 1u << i->size, 1u << i->size); }
void arm_simd_v2f(ArmTrans *x, const SimdInsn *i)
{
    if (!one_lane(x, i->sz ? 8 : 4, i->q))
        two(x, i, i->sz ? 8 : 4, width(i->q));
}
void arm_simd_v2h(ArmTrans *x, const SimdInsn *i) { two(x, i, 2, width(i->q)); }
void arm_simd_s2f(ArmTrans *x, const SimdInsn *i) { two(x, i, i->sz ? 8 : 4, i->sz ? 8 : 4); }
void arm_simd_s2h(ArmTrans *x, const SimdInsn *i) { two(x, i, 2, 2); }

static void narrow(ArmTrans *x, unsigned row, unsigned es, unsigned q, const SimdInsn *i, unsigned shift)
{
    if (simd_usable(x))
        simd_op(x, row, es, width(q), V(i->rd), V(i->rn), NONE, q ? V(i->rd) : NONE, shift << 1 | q);
}
void arm_simd_vnarrow(ArmTrans *x, const SimdInsn *i)
{
    narrow(x, (unsigned)i->op, 1u << i->size, (unsigned)i->q, i, 0);
}
void arm_simd_snarrow(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 1u << i->size, 1u << i->size, V(i->rd), V(i->rn), NONE, NONE, 0);
}
void arm_simd_vfcvtn(ArmTrans *x, const SimdInsn *i)
{
    narrow(x, (unsigned)i->op, i->op == SIMD_BFCVTN ? 2 : i->sz ? 4 : 2, (unsigned)i->q, i, 0);
}
void arm_simd_sfcvtxn(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_FCVTXN, 4, 4, V(i->rd), V(i->rn), NONE, NONE, 0);
}
void arm_simd_vfcvtl(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_FCVTL, i->sz ? 4 : 2, 16, V(i->rd), V(i->rn), NONE, NONE, (uint64_t)i->q);
}
void arm_simd_vshll(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_USHLL, 1u << i->size, 16, V(i->rd), V(i->rn), NONE, NONE,
                (8u << i->size) << 1 | (unsigned)i->q);
}

/* --- across lanes --- */
void arm_simd_vacross(ArmTrans *x, const SimdInsn *i)
{
    if (i->size == 2 && !i->q)
        arm_undefined(x);
    else if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 1u << i->size, width(i->q), V(i->rd), V(i->rn), NONE, NONE, 0);
}
void arm_simd_vfacross(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, i->half ? 2 : 4, width(i->q), V(i->rd), V(i->rn), NONE, NONE, 0);
}
/* The pair in the low lanes of rn: the row works on two pairs, of which the second is made of zeros. */
void arm_simd_spair(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = i->half ? 2 : i->sz ? 8 : 4;
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, es, 2 * es, V(i->rd), V(i->rn), NONE, NONE, 0);
}

/* --- different widths --- */
void arm_simd_vwide(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 1u << i->size, 16, V(i->rd), V(i->rn), V(i->rm), acc(i), (uint64_t)i->q);
}
void arm_simd_swide(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 1u << i->size, 2u << i->size, V(i->rd), V(i->rn), V(i->rm), acc(i), 0);
}
void arm_simd_vnarrow3(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 1u << i->size, width(i->q), V(i->rd), V(i->rn), V(i->rm), i->q ? V(i->rd) : NONE,
                (uint64_t)i->q);
}

/* --- by element --- */
IrRef simd_dup(ArmTrans *x, unsigned es, unsigned rm, unsigned index)
{
    simd_op(x, SIMD_DUPE, es, 16, VT(0), V(rm), NONE, NONE, index);
    return VT(0);
}
static IrRef element(ArmTrans *x, const SimdInsn *i, unsigned es)
{
    if (es == 2)
        return simd_dup(x, 2, (unsigned)i->rm, (unsigned)(i->hi << 2 | i->l << 1 | i->m));
    unsigned rm = (unsigned)(i->m << 4 | i->rm);
    return es == 4 ? simd_dup(x, 4, rm, (unsigned)(i->hi << 1 | i->l)) : simd_dup(x, 8, rm, (unsigned)i->hi);
}
static void by_element(ArmTrans *x, const SimdInsn *i, unsigned es, unsigned bytes, uint64_t imm)
{
    if (simd_usable(x)) {
        IrRef m = element(x, i, es);
        simd_op(x, (unsigned)i->op, es, bytes, V(i->rd), V(i->rn), m, acc(i), imm);
    }
}
void arm_simd_ve(ArmTrans *x, const SimdInsn *i) { by_element(x, i, 1u << i->size, width(i->q), 0); }
void arm_simd_se(ArmTrans *x, const SimdInsn *i) { by_element(x, i, 1u << i->size, 1u << i->size, 0); }
void arm_simd_vewide(ArmTrans *x, const SimdInsn *i) { by_element(x, i, 1u << i->size, 16, (uint64_t)i->q); }
void arm_simd_sewide(ArmTrans *x, const SimdInsn *i) { by_element(x, i, 1u << i->size, 2u << i->size, 0); }
static unsigned element_fp_size(ArmTrans *x, const SimdInsn *i, bool vector)
{
    unsigned es = i->size == 0 ? 2 : 1u << i->size;
    if (es == 8 && (i->l || (vector && !i->q))) {
        arm_undefined(x);
        return 0;
    }
    return es;
}
void arm_simd_vef(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = element_fp_size(x, i, true);
    if (es)
        by_element(x, i, es, width(i->q), 0);
}
void arm_simd_sef(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = element_fp_size(x, i, false);
    if (es)
        by_element(x, i, es, es, 0);
}
void arm_simd_vedot(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    IrRef m = element(x, i, 4), n = V(i->rn);
    simd_op(x, (unsigned)i->op, 4, width(i->q), V(i->rd), i->swap ? m : n, i->swap ? n : m, V(i->rd), 0);
}
void arm_simd_vebfmlal(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    IrRef m = element(x, i, 2);
    simd_op(x, SIMD_BFMLAL, 4, 16, V(i->rd), V(i->rn), m, V(i->rd), (uint64_t)i->q);
}
void arm_simd_vefhm(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    IrRef m = element(x, i, 2);
    simd_op(x, (unsigned)i->op, 4, width(i->q), V(i->rd), V(i->rn), m, V(i->rd), (uint64_t)i->high);
}
void arm_simd_vefcmla(ArmTrans *x, const SimdInsn *i)
{
    bool half = i->size == 1;
    if ((half && (!x->has->fp16 || (!i->q && i->hi))) || (!half && (i->l || !i->q))) {
        arm_undefined(x);
        return;
    }
    if (!simd_usable(x))
        return;
    unsigned rm = (unsigned)(i->m << 4 | i->rm);
    IrRef m = half ? simd_dup(x, 4, rm, (unsigned)(i->hi << 1 | i->l)) : simd_dup(x, 8, rm, (unsigned)i->hi);
    simd_op(x, SIMD_FCMLA, half ? 2 : 4, width(i->q), V(i->rd), V(i->rn), m, V(i->rd), (uint64_t)i->rot);
}

/* --- shifts by immediates: immh's first bit gives the size --- */
static unsigned shift_size(const SimdInsn *i) { return 1u << (31 - (unsigned)__builtin_clz((unsigned)i->immh)); }
static unsigned right_amount(const SimdInsn *i, unsigned es) { return 16 * es - (unsigned)(i->immh << 3 | i->immb); }
static unsigned shift_amount(const SimdInsn *i, unsigned es)
{
    return i->right ? right_amount(i, es) : (unsigned)(i->immh << 3 | i->immb) - 8 * es;
}
void arm_simd_vshift(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = shift_size(i);
    if (!one_lane(x, es, i->q) && simd_usable(x))
        simd_op(x, (unsigned)i->op, es, width(i->q), V(i->rd), V(i->rn), NONE, acc(i), shift_amount(i, es));
}
void arm_simd_sshift(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = shift_size(i);
    if (i->dword && es != 8)
        arm_undefined(x);
    else if (simd_usable(x))
        simd_op(x, (unsigned)i->op, es, es, V(i->rd), V(i->rn), NONE, acc(i), shift_amount(i, es));
}
void arm_simd_vshrn(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = shift_size(i);
    if (es == 8)
        arm_undefined(x);
    else
        narrow(x, (unsigned)i->op, es, (unsigned)i->q, i, right_amount(i, es));
}
void arm_simd_sshrn(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = shift_size(i);
    if (es == 8)
        arm_undefined(x);
    else if (simd_usable(x))
        simd_op(x, (unsigned)i->op, es, es, V(i->rd), V(i->rn), NONE, NONE, right_amount(i, es) << 1);
}
void arm_simd_vshiftl(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = shift_size(i);
    if (es == 8)
        arm_undefined(x);
    else if (simd_usable(x))
        simd_op(x, (unsigned)i->op, es, 16, V(i->rd), V(i->rn), NONE, NONE, shift_amount(i, es) << 1 | (unsigned)i->q);
}
static bool fixed_size(ArmTrans *x, const SimdInsn *i, unsigned es, bool vector)
{
    bool good = es > 1 && (es != 2 || x->has->fp16) && !(vector && es == 8 && !i->q);
    if (!good)
        arm_undefined(x);
    return good && simd_usable(x);
}
void arm_simd_vfixed(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = shift_size(i);
    if (fixed_size(x, i, es, true))
        simd_op(x, (unsigned)i->op, es, width(i->q), V(i->rd), V(i->rn), NONE, NONE,
                (unsigned)i->imm | right_amount(i, es) << 8);
}
void arm_simd_sfixed(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = shift_size(i);
    if (fixed_size(x, i, es, false))
        simd_op(x, (unsigned)i->op, es, es, V(i->rd), V(i->rn), NONE, NONE,
                (unsigned)i->imm | right_amount(i, es) << 8);
}

/* --- immediates: DDI 0487, AdvSIMDExpandImm() --- */
static uint64_t fp_immediate(unsigned imm8, unsigned es) /* VFPExpandImm() */
{
    unsigned ebits = es == 8 ? 11 : es == 4 ? 8 : 5, fbits = 8 * es - ebits - 1;
    uint64_t b = imm8 >> 6 & 1, exp = (b ^ 1) << (ebits - 1) | (b ? bits_mask(ebits - 3) << 2 : 0) | (imm8 >> 4 & 3);
    return (uint64_t)(imm8 >> 7) << (8 * es - 1) | exp << fbits | (uint64_t)(imm8 & 15) << (fbits - 4);
}
static uint64_t repeat(uint64_t v, unsigned es)
{
    for (; es < 8; es *= 2)
        v |= v << 8 * es;
    return v;
}
static uint64_t expand(unsigned op, unsigned cmode, unsigned imm8)
{
    uint64_t v = imm8;
    if (cmode < 8)
        return repeat(v << 8 * (cmode >> 1 & 3), 4);
    if (cmode < 12)
        return repeat(v << 8 * (cmode >> 1 & 1), 2);
    if (cmode < 14)
        return repeat(cmode & 1 ? v << 16 | 0xffff : v << 8 | 0xff, 4);
    if (cmode == 14 && !op)
        return repeat(v, 1);
    if (cmode == 15)
        return repeat(fp_immediate(imm8, op ? 8 : 4), op ? 8 : 4);
    uint64_t r = 0;
    for (unsigned k = 0; k < 8; k++)
        r |= imm8 >> k & 1 ? UINT64_C(0xff) << 8 * k : 0;
    return r;
}
static void set_imm(ArmTrans *x, unsigned bytes, IrRef d, uint64_t v)
{
    simd_op(x, SIMD_MOVI, 8, bytes, d, NONE, NONE, NONE, 0)->imm = v;
}
void arm_simd_vmovi(ArmTrans *x, const SimdInsn *i)
{
    unsigned cmode = (unsigned)i->cmode, op = i->word >> 29 & 1;
    bool logic = cmode < 12 && cmode & 1;
    if (cmode == 15 && op && !i->q) {
        arm_undefined(x);
        return;
    }
    if (!simd_usable(x))
        return;
    uint64_t v = expand(op, cmode, (unsigned)i->imm8);
    if (logic) { /* ORR, BIC */
        set_imm(x, 16, VT(0), v);
        simd_op(x, op ? SIMD_BIC : SIMD_ORR, 8, width(i->q), V(i->rd), V(i->rd), VT(0), NONE, 0);
    } else { /* MOVI, MVNI, FMOV */
        set_imm(x, width(i->q), V(i->rd), op && cmode < 14 ? ~v : v);
    }
}
void arm_simd_vfmovh(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        set_imm(x, width(i->q), V(i->rd), repeat(fp_immediate((unsigned)i->imm8, 2), 2));
}
void arm_simd_fmovi(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = simd_fp_size(x, (unsigned)i->type);
    if (es && simd_usable(x))
        set_imm(x, 8, V(i->rd), fp_immediate((unsigned)i->imm8, es));
}

/* --- copies: the lowest bit set in imm5 gives the size --- */
static unsigned copy_size(ArmTrans *x, const SimdInsn *i)
{
    if (!(i->imm5 & 15)) {
        arm_undefined(x);
        return 0;
    }
    return 1u << __builtin_ctz((unsigned)i->imm5);
}
static unsigned copy_lane(const SimdInsn *i, unsigned es) { return (unsigned)i->imm5 / (2 * es); }
void arm_simd_dupe(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = copy_size(x, i);
    if (es && !one_lane(x, es, i->q) && simd_usable(x))
        simd_op(x, SIMD_DUPE, es, width(i->q), V(i->rd), V(i->rn), NONE, NONE, copy_lane(i, es));
}
void arm_simd_dups(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = copy_size(x, i);
    if (es && simd_usable(x))
        simd_op(x, SIMD_DUPE, es, es, V(i->rd), V(i->rn), NONE, NONE, copy_lane(i, es));
}
void arm_simd_dupg(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = copy_size(x, i);
    if (es && !one_lane(x, es, i->q) && simd_usable(x)) {
        IrRef a = arm_value(x, (unsigned)i->rn);
        simd_op(x, SIMD_DUPG, es, width(i->q), V(i->rd), a, NONE, NONE, 0);
    }
}
void arm_simd_insg(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = copy_size(x, i);
    if (es && simd_usable(x)) {
        IrRef a = arm_value(x, (unsigned)i->rn);
        simd_op(x, SIMD_INSG, es, 16, V(i->rd), a, V(i->rd), NONE, copy_lane(i, es));
    }
}
void arm_simd_inse(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = copy_size(x, i);
    if (es && simd_usable(x))
        simd_op(x, SIMD_INSE, es, 16, V(i->rd), V(i->rn), V(i->rd), NONE,
                copy_lane(i, es) | (unsigned)i->imm4 / es << 8);
}
void arm_simd_movg(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = copy_size(x, i);
    if (!es)
        return;
    bool good = i->op == SIMD_SMOV ? es < (i->q ? 8u : 4u) : i->q ? es == 8 : es < 8;
    if (!good)
        arm_undefined(x);
    else if (simd_usable(x))
        simd_op(x, (unsigned)i->op, es, i->q ? 8 : 4, arm_xw(x, (unsigned)i->rd), V(i->rn), NONE, NONE,
                copy_lane(i, es));
}
void arm_simd_ext(ArmTrans *x, const SimdInsn *i)
{
    if (!i->q && i->imm4 & 8)
        arm_undefined(x);
    else if (simd_usable(x))
        simd_op(x, SIMD_EXT, 1, width(i->q), V(i->rd), V(i->rn), V(i->rm), NONE, (uint64_t)i->imm4);
}
void arm_simd_tbl(ArmTrans *x, const SimdInsn *i)
{
    if (!simd_usable(x))
        return;
    /* the first table register is an operand so that others know it is read; the rest the row finds itself */
    simd_op(x, SIMD_TBL, 1, width(i->q), V(i->rd), V(i->rm), V(i->rn), i->tbx ? V(i->rd) : NONE,
            (unsigned)i->rn | (unsigned)(i->len + 1) << 8 | (unsigned)i->tbx << 16);
}

/* --- cryptography --- */
void arm_simd_aes(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 1, 16, V(i->rd), i->with_d ? V(i->rd) : V(i->rn), i->with_d ? V(i->rn) : NONE, NONE,
                0);
}
void arm_simd_crypto2(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 4, 16, V(i->rd), V(i->rn), NONE, acc(i), 0);
}
void arm_simd_crypto3(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 4, 16, V(i->rd), V(i->rn), V(i->rm), acc(i), 0);
}
void arm_simd_crypto4(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, (unsigned)i->op, 4, 16, V(i->rd), V(i->rn), V(i->rm), V(i->ra), 0);
}
void arm_simd_xar(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_XAR, 8, 16, V(i->rd), V(i->rn), V(i->rm), NONE, (uint64_t)i->imm6);
}
void arm_simd_sm3tt(ArmTrans *x, const SimdInsn *i)
{
    if (simd_usable(x))
        simd_op(x, SIMD_SM3TT, 4, 16, V(i->rd), V(i->rn), V(i->rm), V(i->rd), (unsigned)(i->kind | i->imm2 << 2));
}
