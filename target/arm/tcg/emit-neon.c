/* SPDX-License-Identifier: MIT */
/*
 * AArch32 Advanced SIMD: data processing (table neon, and the SIMD rows of vfpu). FP here uses the standard FPSCR
 * value.
 */
#include "target/arm/tcg/a32-fp.h"

/* --- operands: D registers, or Q registers by the number of their first D --- */
static unsigned es_of(const A32Insn *i) { return 1u << i->size; }
static unsigned bytes_of(const A32Insn *i) { return i->q ? 16 : 8; }

/* regs: the numbers that name Q registers here. */
static bool usable(ArmTrans *x, int q_regs)
{
    if (q_regs & 1) {
        arm_undefined(x);
        return false;
    }
    return a32_fp_usable(x, true);
}
static bool usable3(ArmTrans *x, const A32Insn *i) { return usable(x, i->q ? i->vd | i->vn | i->vm : 0); }
static bool usable2(ArmTrans *x, const A32Insn *i) { return usable(x, i->q ? i->vd | i->vm : 0); }

static IrRef src(ArmTrans *x, unsigned slot, int n, unsigned bytes) { return a32_vsrc(x, slot, (unsigned)n, bytes); }

/* vd = row(a, b, c) */
static void op(ArmTrans *x, const A32Insn *i, unsigned row, unsigned es, unsigned bytes, IrRef a, IrRef b, IrRef c,
               uint64_t imm)
{
    a32_simd(x, true, row, es, bytes, a32_vdst((unsigned)i->vd, bytes), a, b, c, imm);
    a32_vput(x, (unsigned)i->vd, bytes);
}

/* Temporary t (8 bytes) to D register n, or all of it to a Q register. */
static void put_from(ArmTrans *x, IrRef t, unsigned n, unsigned bytes)
{
    IrRef v = a32_v(n, bytes);
    if (bytes == 16)
        simd3(x->t, SIMD_MOV, 8, 16, v, t, NONE, NONE, 0);
    else
        simd3(x->t, SIMD_INSE, 8, 16, v, t, v, NONE, a32_lane(n, 8));
}

/* --- three registers of the same length --- */
static void three(ArmTrans *x, const A32Insn *i, bool acc, bool swap)
{
    unsigned bytes = bytes_of(i);
    if (!usable3(x, i))
        return;
    if (i->op == SIMD_ORR && i->vn == i->vm) {
        put_from(x, src(x, 0, i->vm, bytes), (unsigned)i->vd, bytes);
        return;
    }
    IrRef a = src(x, 0, i->vn, bytes), b = src(x, 1, i->vm, bytes), c = acc ? src(x, 2, i->vd, bytes) : NONE;
    op(x, i, (unsigned)i->op, es_of(i), bytes, swap ? b : a, swap ? a : b, c, 0);
}
E(neon3) { three(x, i, false, false); }
E(neon3_acc) { three(x, i, true, false); }
E(neon3_swap) { three(x, i, false, true); }
E(neon3f) { three(x, i, false, false); }
E(neon3f_acc) { three(x, i, true, false); }

/* The product is rounded. op: subtract */
static void mla_f(ArmTrans *x, const A32Insn *i, IrRef a, IrRef b)
{
    unsigned bytes = bytes_of(i);
    IrRef d = src(x, 2, i->vd, bytes);
    a32_simd(x, true, SIMD_FMUL, es_of(i), bytes, VT(3), a, b, NONE, 0);
    op(x, i, i->op ? SIMD_FSUB : SIMD_FADD, es_of(i), bytes, d, VT(3), NONE, 0);
}
E(neon3f_mla)
{
    if (usable3(x, i))
        mla_f(x, i, src(x, 0, i->vn, bytes_of(i)), src(x, 1, i->vm, bytes_of(i)));
}

E(neon_step) /* VRECPS, VRSQRTS: not fused in AArch32 */
{
    if (!usable3(x, i))
        return;
    arm_call(x, arm_help_a32_step, 0, NONE, A_IMM((unsigned)(i->vd | i->vn << 8 | i->vm << 16)),
             A_IMM((unsigned)(i->op | i->q << 1 | i->size << 2)), A_NONE);
}

E(vbsl) /* op: 1 VBSL, 2 VBIT, 3 VBIF */
{
    unsigned bytes = bytes_of(i);
    if (!usable3(x, i))
        return;
    IrRef n = src(x, 0, i->vn, bytes), m = src(x, 1, i->vm, bytes), d = src(x, 2, i->vd, bytes);
    op(x, i, SIMD_BSL, 8, bytes, i->op == 3 ? d : n, i->op == 2 ? d : i->op == 1 ? m : n, i->op == 1 ? d : m, 0);
}

/* --- two registers --- */
E(neon2)
{
    if (usable2(x, i))
        op(x, i, (unsigned)i->op, es_of(i), bytes_of(i), src(x, 0, i->vm, bytes_of(i)), NONE, NONE, (uint64_t)i->imm);
}
E(neon2f) { arm_a32_neon2(x, i); }
E(neon2_acc)
{
    if (usable2(x, i))
        op(x, i, (unsigned)i->op, es_of(i), bytes_of(i), src(x, 0, i->vm, bytes_of(i)), NONE,
           src(x, 2, i->vd, bytes_of(i)), 0);
}
E(neon2_zero) /* x: 0 is the first operand */
{
    if (!usable2(x, i))
        return;
    IrRef m = src(x, 0, i->vm, bytes_of(i));
    op(x, i, (unsigned)i->op, es_of(i), bytes_of(i), i->x ? NONE : m, i->x ? m : NONE, NONE, 0);
}

E(vswp)
{
    unsigned bytes = bytes_of(i);
    if (!usable2(x, i))
        return;
    simd3(x->t, SIMD_MOV, 8, bytes, VT(2), src(x, 0, i->vd, bytes), NONE, NONE, 0);
    put_from(x, src(x, 1, i->vm, bytes), (unsigned)i->vd, bytes);
    put_from(x, VT(2), (unsigned)i->vm, bytes);
}

/* Vd and Vm = first and second row of both. */
static void permute(ArmTrans *x, const A32Insn *i, unsigned first, unsigned second)
{
    unsigned bytes = bytes_of(i);
    if (!usable2(x, i))
        return;
    IrRef d = src(x, 0, i->vd, bytes), m = src(x, 1, i->vm, bytes);
    simd3(x->t, first, es_of(i), bytes, VT(2), d, m, NONE, 0);
    simd3(x->t, second, es_of(i), bytes, VT(3), d, m, NONE, 0);
    put_from(x, VT(2), (unsigned)i->vd, bytes);
    put_from(x, VT(3), (unsigned)i->vm, bytes);
}
E(vtrn) { permute(x, i, SIMD_TRN1, SIMD_TRN2); }
E(vuzp)
{
    if (i->size == 2 && !i->q)
        arm_undefined(x);
    else
        permute(x, i, SIMD_UZP1, SIMD_UZP2);
}
E(vzip)
{
    if (i->size == 2 && !i->q)
        arm_undefined(x);
    else
        permute(x, i, SIMD_ZIP1, SIMD_ZIP2);
}

E(vext)
{
    if (!i->q && i->imm & 8)
        arm_undefined(x);
    else if (usable3(x, i))
        op(x, i, SIMD_EXT, 1, bytes_of(i), src(x, 0, i->vn, bytes_of(i)), src(x, 1, i->vm, bytes_of(i)), NONE,
           (uint64_t)i->imm);
}

/* The table is put together in V30 and V31, which AArch32 does not have. imm: D registers - 1; op: VTBX */
enum { TABLE = 30 };
E(vtbl)
{
    unsigned len = (unsigned)i->imm + 1, n = (unsigned)i->vn;
    if (n + len > 32) {
        arm_undefined(x);
        return;
    }
    if (!usable(x, 0))
        return;
    for (unsigned k = 0; k < 4; k++) {
        IrRef t = IR_V(TABLE + k / 2);
        if (k < len && !(k & 1))
            simd3(x->t, SIMD_MOV, 8, 8, t, src(x, 0, (int)(n + k), 8), NONE, NONE, 0);
        else if (k < len)
            simd3(x->t, SIMD_INSE, 8, 16, t, a32_v(n + k, 8), t, NONE, 1 | a32_lane(n + k, 8) << 8);
    }
    unsigned count = (len + 1) / 2;
    IrRef idx = src(x, 1, i->vm, 8), d = src(x, 2, i->vd, 8);
    /* the row's bound is 16 * count: what is beyond 8 * len keeps its value by selection */
    bool odd = i->op && len & 1;
    simd3(x->t, SIMD_TBL, 1, 8, VT(3), idx, IR_V(TABLE), i->op ? d : NONE, TABLE | count << 8 | (unsigned)i->op << 16);
    if (odd) {
        simd3(x->t, SIMD_MOVI, 8, 8, VT(0), NONE, NONE, NONE, 0)->imm = UINT64_C(0x0101010101010101) * (8 * len - 1);
        simd3(x->t, SIMD_CMHI, 1, 8, VT(0), idx, VT(0), NONE, 0);
        simd3(x->t, SIMD_BSL, 8, 8, VT(3), d, VT(3), VT(0), 0);
    }
    a32_vput(x, (unsigned)i->vd, 8);
}

E(vdup_lane) /* idx: lane and, by its lowest bit set, the size */
{
    if (!(i->idx & 7)) {
        arm_undefined(x);
        return;
    }
    if (!usable(x, i->q ? i->vd : 0))
        return;
    unsigned log = (unsigned)__builtin_ctz((unsigned)i->idx), es = 1u << log, m = (unsigned)i->vm, bytes = bytes_of(i);
    op(x, i, SIMD_DUPE, es, bytes, a32_v(m, 8), NONE, NONE,
       a32_lane(m, 8) * (8 / es) + ((unsigned)i->idx >> (log + 1)));
}

/* --- immediates --- */
static uint64_t repeat(uint64_t v, unsigned es)
{
    for (; es < 8; es *= 2)
        v |= v << 8 * es;
    return v;
}
static uint64_t expand(unsigned inverted, unsigned cmode, unsigned imm8)
{
    uint64_t v = imm8, r = 0;
    if (cmode < 8)
        return repeat(v << 8 * (cmode >> 1 & 3), 4);
    if (cmode < 12)
        return repeat(v << 8 * (cmode >> 1 & 1), 2);
    if (cmode < 14)
        return repeat(cmode & 1 ? v << 16 | 0xffff : v << 8 | 0xff, 4);
    if (cmode == 15)
        return repeat(a32_fp_immediate(imm8, 4), 4);
    if (!inverted)
        return repeat(v, 1);
    for (unsigned k = 0; k < 8; k++)
        r |= imm8 >> k & 1 ? UINT64_C(0xff) << 8 * k : 0;
    return r;
}
E(neon_imm)
{
    unsigned bytes = bytes_of(i), cmode = (unsigned)i->cmode;
    if (cmode == 15 && i->op) {
        arm_undefined(x);
        return;
    }
    if (!usable(x, i->q ? i->vd : 0))
        return;
    uint64_t v = expand((unsigned)i->op, cmode, (unsigned)i->imm);
    if (cmode < 12 && cmode & 1) { /* VORR, VBIC */
        simd3(x->t, SIMD_MOVI, 8, bytes, VT(1), NONE, NONE, NONE, 0)->imm = v;
        op(x, i, i->op ? SIMD_BIC : SIMD_ORR, 8, bytes, src(x, 0, i->vd, bytes), VT(1), NONE, 0);
        return;
    }
    simd3(x->t, SIMD_MOVI, 8, bytes, a32_vdst((unsigned)i->vd, bytes), NONE, NONE, NONE, 0)->imm = i->op && cmode < 14
                                                                                                       ? ~v
                                                                                                       : v;
    a32_vput(x, (unsigned)i->vd, bytes);
}

/* --- shifts by immediates: the first bit set of l:imm gives the size --- */
static unsigned shift_value(const A32Insn *i) { return (unsigned)(i->l << 6 | i->imm); }
static unsigned shift_size(const A32Insn *i) { return 1u << (28 - (unsigned)__builtin_clz(shift_value(i))); }

static void shift(ArmTrans *x, const A32Insn *i, bool right)
{
    unsigned es, bytes = bytes_of(i);
    if (shift_value(i) < 8) {
        arm_undefined(x);
        return;
    }
    if (!usable2(x, i))
        return;
    es = shift_size(i);
    IrRef c = i->h ? src(x, 2, i->vd, bytes) : NONE;
    op(x, i, (unsigned)i->op, es, bytes, src(x, 0, i->vm, bytes), NONE, c,
       right ? 16 * es - shift_value(i) : shift_value(i) - 8 * es);
}
E(neon_shr) { shift(x, i, true); }
E(neon_shl) { shift(x, i, false); }

E(neon_shrn)
{
    if (shift_value(i) < 8) {
        arm_undefined(x);
        return;
    }
    unsigned es = shift_size(i);
    if (usable(x, i->vm))
        op(x, i, (unsigned)i->op, es, 8, IR_V(i->vm / 2), NONE, NONE, (16 * es - shift_value(i)) << 1);
}
E(neon_shll)
{
    if (shift_value(i) < 8) {
        arm_undefined(x);
        return;
    }
    unsigned es = shift_size(i);
    if (usable(x, i->vd))
        op(x, i, (unsigned)i->op, es, 16, src(x, 0, i->vm, 8), NONE, NONE, (shift_value(i) - 8 * es) << 1);
}
E(vshll_max)
{
    if (usable(x, i->vd))
        op(x, i, SIMD_USHLL, es_of(i), 16, src(x, 0, i->vm, 8), NONE, NONE, (8u << i->size) << 1);
}

E(neon_fixed) /* op: to fixed point */
{
    unsigned fraction = 64 - (unsigned)i->imm;
    if (fraction > 8 * es_of(i)) {
        arm_undefined(x);
        return;
    }
    if (usable2(x, i))
        op(x, i, i->op ? SIMD_FTOI : SIMD_ITOF, es_of(i), bytes_of(i), src(x, 0, i->vm, bytes_of(i)), NONE, NONE,
           (i->op ? FP_ROUND_ZERO : 0) | (unsigned)i->u << 3 | fraction << 8);
}

/* --- different lengths --- */
E(neon_long)
{
    if (usable(x, i->vd))
        op(x, i, (unsigned)i->op, es_of(i), 16, src(x, 0, i->vn, 8), src(x, 1, i->vm, 8), NONE, 0);
}
E(neon_long_acc)
{
    if (usable(x, i->vd))
        op(x, i, (unsigned)i->op, es_of(i), 16, src(x, 0, i->vn, 8), src(x, 1, i->vm, 8), IR_V(i->vd / 2), 0);
}
E(neon_wide)
{
    if (usable(x, i->vd | i->vn))
        op(x, i, (unsigned)i->op, es_of(i), 16, IR_V(i->vn / 2), src(x, 1, i->vm, 8), NONE, 0);
}
E(neon_high)
{
    if (usable(x, i->vn | i->vm))
        op(x, i, (unsigned)i->op, es_of(i), 8, IR_V(i->vn / 2), IR_V(i->vm / 2), NONE, 0);
}
E(neon_narrow)
{
    if (usable(x, i->vm))
        op(x, i, (unsigned)i->op, es_of(i), 8, IR_V(i->vm / 2), NONE, NONE, 0);
}
E(neon_cvt_half) /* op: from half */
{
    if (!usable(x, i->op ? i->vd : i->vm))
        return;
    if (i->op)
        op(x, i, SIMD_FCVTL, 2, 16, src(x, 0, i->vm, 8), NONE, NONE, 0);
    else
        op(x, i, SIMD_FCVTN, 2, 8, IR_V(i->vm / 2), NONE, NONE, 0);
}
E(neon_cvt_bf)
{
    if (usable(x, i->vm))
        op(x, i, SIMD_BFCVTN, 2, 8, IR_V(i->vm / 2), NONE, NONE, 0);
}

/* --- by a scalar: halfwords of D0-D7, words of D0-D15 --- */
static IrRef scalar(ArmTrans *x, const A32Insn *i, unsigned es)
{
    unsigned m = (unsigned)i->vm & (es == 2 ? 7 : 15), idx = (unsigned)i->vm >> (es == 2 ? 3 : 4);
    simd3(x->t, SIMD_DUPE, es, 16, VT(1), a32_v(m, 8), NONE, NONE, a32_lane(m, 8) * (8 / es) + idx);
    return VT(1);
}
static void by_scalar(ArmTrans *x, const A32Insn *i, bool acc)
{
    unsigned bytes = bytes_of(i);
    if (!usable(x, i->q ? i->vd | i->vn : 0))
        return;
    IrRef m = scalar(x, i, es_of(i));
    op(x, i, (unsigned)i->op, es_of(i), bytes, src(x, 0, i->vn, bytes), m, acc ? src(x, 2, i->vd, bytes) : NONE, 0);
}
E(neon_e) { by_scalar(x, i, false); }
E(neon_e_acc) { by_scalar(x, i, true); }
E(neon_ef) { by_scalar(x, i, false); }
E(neon_ef_mla)
{
    if (usable(x, i->q ? i->vd | i->vn : 0))
        mla_f(x, i, src(x, 0, i->vn, bytes_of(i)), scalar(x, i, es_of(i)));
}
static void by_scalar_long(ArmTrans *x, const A32Insn *i, bool acc)
{
    if (!usable(x, i->vd))
        return;
    IrRef m = scalar(x, i, es_of(i));
    op(x, i, (unsigned)i->op, es_of(i), 16, src(x, 0, i->vn, 8), m, acc ? IR_V(i->vd / 2) : NONE, 0);
}
E(neon_el) { by_scalar_long(x, i, false); }
E(neon_el_acc) { by_scalar_long(x, i, true); }

/* --- cryptography --- */
E(aes) /* x: with the destination */
{
    if (!usable(x, i->vd | i->vm))
        return;
    IrRef d = IR_V(i->vd / 2), m = IR_V(i->vm / 2);
    simd3(x->t, (unsigned)i->op, 1, 16, d, i->x ? d : m, i->x ? m : NONE, NONE, 0);
}
E(sha2op)
{
    if (usable(x, i->vd | i->vm))
        simd3(x->t, (unsigned)i->op, 4, 16, IR_V(i->vd / 2), IR_V(i->vm / 2), NONE, i->x ? IR_V(i->vd / 2) : NONE, 0);
}
E(sha3op)
{
    if (usable(x, i->vd | i->vn | i->vm))
        simd3(x->t, (unsigned)i->op, 4, 16, IR_V(i->vd / 2), IR_V(i->vn / 2), IR_V(i->vm / 2), IR_V(i->vd / 2), 0);
}

/* --- rows of vfpu: complex numbers, dot products, matrices, half-precision and BFloat16 multiplication --- */
static bool complex_size(ArmTrans *x, const A32Insn *i)
{
    if (!i->size && !x->has->fp16)
        arm_undefined(x);
    return i->size || x->has->fp16;
}
E(vcadd) /* size: 0 half, 1 single */
{
    if (complex_size(x, i) && usable3(x, i))
        op(x, i, SIMD_FCADD, i->size ? 4 : 2, bytes_of(i), src(x, 0, i->vn, bytes_of(i)), src(x, 1, i->vm, bytes_of(i)),
           NONE, i->rot ? 3 : 1);
}
E(vcmla)
{
    unsigned bytes = bytes_of(i);
    if (complex_size(x, i) && usable3(x, i))
        op(x, i, SIMD_FCMLA, i->size ? 4 : 2, bytes, src(x, 0, i->vn, bytes), src(x, 1, i->vm, bytes),
           src(x, 2, i->vd, bytes), (uint64_t)i->rot);
}
E(vcmla_e)
{
    unsigned bytes = bytes_of(i), es = i->size ? 8 : 4, m = (unsigned)i->vm, idx = i->size ? 0 : (unsigned)i->idx;
    if (!complex_size(x, i) || !usable(x, i->q ? i->vd | i->vn : 0))
        return;
    simd3(x->t, SIMD_DUPE, es, 16, VT(1), a32_v(m, 8), NONE, NONE, a32_lane(m, 8) * (8 / es) + idx);
    op(x, i, SIMD_FCMLA, es / 2, bytes, src(x, 0, i->vn, bytes), VT(1), src(x, 2, i->vd, bytes), (uint64_t)i->rot);
}

static unsigned dot_row(const A32Insn *i) { return i->op ? (unsigned)i->op : i->u ? SIMD_UDOT : SIMD_SDOT; }
E(vdot)
{
    unsigned bytes = bytes_of(i);
    if (usable3(x, i))
        op(x, i, dot_row(i), 4, bytes, src(x, 0, i->vn, bytes), src(x, 1, i->vm, bytes), src(x, 2, i->vd, bytes), 0);
}
E(vdot_e) /* u with USDOT: signed by unsigned */
{
    unsigned bytes = bytes_of(i), m = (unsigned)i->vm;
    if (!usable(x, i->q ? i->vd | i->vn : 0))
        return;
    simd3(x->t, SIMD_DUPE, 4, 16, VT(1), a32_v(m, 8), NONE, NONE, a32_lane(m, 8) * 2 + (unsigned)i->idx);
    IrRef n = src(x, 0, i->vn, bytes);
    bool swap = i->op == SIMD_USDOT && i->u;
    op(x, i, dot_row(i), 4, bytes, swap ? VT(1) : n, swap ? n : VT(1), src(x, 2, i->vd, bytes), 0);
}
E(vmmla)
{
    if (usable(x, i->vd | i->vn | i->vm))
        op(x, i,
           i->op  ? (unsigned)i->op
           : i->u ? SIMD_UMMLA
                  : SIMD_SMMLA,
           4, 16, IR_V(i->vn / 2), IR_V(i->vm / 2), IR_V(i->vd / 2), 0);
}
E(vbfmal) /* q: top */
{
    if (usable(x, i->vd | i->vn | i->vm))
        op(x, i, SIMD_BFMLAL, 4, 16, IR_V(i->vn / 2), IR_V(i->vm / 2), IR_V(i->vd / 2), (uint64_t)i->q);
}
E(vbfmal_e)
{
    unsigned m = (unsigned)i->vm;
    if (!usable(x, i->vd | i->vn))
        return;
    simd3(x->t, SIMD_DUPE, 2, 16, VT(1), a32_v(m, 8), NONE, NONE, a32_lane(m, 8) * 4 + (unsigned)i->idx);
    op(x, i, SIMD_BFMLAL, 4, 16, IR_V(i->vn / 2), VT(1), IR_V(i->vd / 2), (uint64_t)i->q);
}

/* Sources are S registers for a D result, D registers for a Q result. op: subtract */
static void half_mal(ArmTrans *x, const A32Insn *i, IrRef m)
{
    unsigned bytes = bytes_of(i);
    op(x, i, i->op ? SIMD_FMLSL : SIMD_FMLAL, 4, bytes, src(x, 0, i->vn, bytes / 2), m, src(x, 2, i->vd, bytes), 0);
}
E(vfmal)
{
    if (usable(x, i->q ? i->vd : 0))
        half_mal(x, i, src(x, 1, i->vm, bytes_of(i) / 2));
}
E(vfmal_e)
{
    unsigned m = (unsigned)i->vm, bytes = bytes_of(i) / 2;
    if (!usable(x, i->q ? i->vd : 0))
        return;
    simd3(x->t, SIMD_DUPE, 2, 16, VT(1), a32_v(m, bytes), NONE, NONE,
          a32_lane(m, bytes) * (bytes / 2) + (unsigned)i->idx);
    half_mal(x, i, VT(1));
}
