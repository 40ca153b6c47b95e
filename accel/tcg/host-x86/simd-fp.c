/* SPDX-License-Identifier: MIT */
/* Floating-point SIMD rows on the host's unit, exactly.
 *
 * MXCSR holds the guest's rounding mode and collects the sticky flags. A result is computed into a scratch register and
 * looked at once: a NaN goes to the portable function out of line (which NaN, its sign and payload differ between
 * architectures), and for products, quotients and narrowing so does the smallest normal number: it may have been tiny
 * before rounding, which x86 does not flag as underflow (Intel SDM vol. 1, 4.9.1.5; IEEE 754, 7.5 leaves the choice).
 * The host has then set the flags that both agree on; the portable function adds the others. Sums are exact when they
 * are tiny.
 */
#include "accel/tcg/host-x86/simd.h"

typedef enum Check { CHECK_NAN, CHECK_NAN_TINY } Check;

static unsigned prefix(unsigned es, bool scalar) { return scalar ? (es == 8 ? 3 : 2) : es == 8 ? 1 : 0; }
static VOp fp_op(unsigned es, bool scalar, unsigned op) { return VOP(prefix(es, scalar), 1, op, es == 8); }

static bool is_scalar(const IrInsn *i) { return i->size == i->size2; }
static bool simple_size(const IrInsn *i) { return i->size >= 4; }

/* A source of a vector operation of 8 bytes has zeros above, so that nothing there raises a flag. */
static unsigned source(Jit *j, IrRef r, unsigned room)
{
    return is_scalar(j->i) ? v_low(j, r, room) : v_masked(j, r, j->i->size2, room);
}

/* The jump out of line if t is to be looked at again; X3 is used. `es`, `scalar`: of t's lanes. */
static uint8_t *check(Jit *j, unsigned t, unsigned es, bool scalar, Check what)
{
    Asm *a = &j->a;
    if (what == CHECK_NAN_TINY)
        v_op(j, V_AND, X3, t, v_const(es == 8 ? VC_ABS8 : VC_ABS4));
    if (scalar) {
        VOp ucomis = VOP(es == 8 ? 1 : 0, 1, 0x2e, es == 8);
        if (what == CHECK_NAN) {
            v_op(j, ucomis, t, 0, loc_reg(t));
            return jcc32(a, IRC_P);
        }
        v_op(j, ucomis, X3, 0, v_const(es == 8 ? VC_MIN8 : VC_MIN4));
        return jcc32(a, IRC_Z); /* equal or unordered */
    }
    VOp cmp = VOP(es == 8 ? 1 : 0, 1, 0xc2, NO_EVEX);
    if (what == CHECK_NAN) {
        v_rr(j, cmp, X3, t, t);
        e8(a, 3); /* unordered */
    } else {
        v_op(j, cmp, X3, X3, v_const(es == 8 ? VC_MIN8 : VC_MIN4));
        e8(a, 8); /* equal or unordered, quiet */
    }
    v_op(j, V_PTEST, X3, 0, loc_reg(X3));
    return jcc32(a, IRC_NZ);
}

/* `t` is checked and goes into d. */
static bool finish(Jit *j, unsigned t, Check what)
{
    const IrInsn *i = j->i;
    uint8_t *jcc = check(j, t, i->size, is_scalar(i), what);
    if (i->vec == SIMD_FNMUL)
        v_op(j, V_XOR, X0, t, v_const(i->size == 8 ? VC_SIGN8 : VC_SIGN4));
    else if (i->vec == SIMD_FABD)
        v_op(j, V_AND, X0, t, v_const(i->size == 8 ? VC_ABS8 : VC_ABS4));
    v_put(j, i->d, t, i->size2);
    v_cold(j, jcc);
    j->native = 0;
    return true;
}

static bool emit_arith(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, op = 0;
    bool scalar = is_scalar(i);
    Check what = CHECK_NAN;
    switch ((SimdRow)i->vec) {
    case SIMD_FADD: op = 0x58; break;
    case SIMD_FSUB: case SIMD_FABD: op = 0x5c; break;
    case SIMD_FMUL: case SIMD_FNMUL: op = 0x59, what = CHECK_NAN_TINY; break;
    default: op = 0x5e, what = CHECK_NAN_TINY; break; /* FDIV */
    }
    if (i->vec == SIMD_FDIV && i->size2 == 8 && es == 4)
        return false; /* 0 / 0 in the unused lanes */
    unsigned a = source(j, i->a, X1), b = source(j, i->b, X2);
    flags_clobber(j);
    v_rr(j, fp_op(es, scalar, op), X0, a, b);
    return finish(j, X0, what);
}

static bool emit_sqrt(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned a = source(j, i->a, X1);
    flags_clobber(j);
    v_rr(j, fp_op(i->size, is_scalar(i), 0x51), X0, is_scalar(i) ? a : 0, a);
    return finish(j, X0, CHECK_NAN);
}

/* max(a, b) and max(b, a) give different zeros; AND makes +0 of them, OR (for the minimum) -0. */
static bool emit_extreme(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, a = source(j, i->a, X1), b = source(j, i->b, X2);
    bool scalar = is_scalar(i), max = i->vec == SIMD_FMAX || i->vec == SIMD_FMAXNM;
    VOp op = fp_op(es, scalar, max ? 0x5f : 0x5d);
    flags_clobber(j);
    if (scalar) {
        v_op(j, VOP(es == 8 ? 1 : 0, 1, 0x2e, NO_EVEX), a, 0, loc_reg(b));
    } else {
        v_rr(j, VOP(es == 8 ? 1 : 0, 1, 0xc2, NO_EVEX), X3, a, b);
        e8(&j->a, 3);
        v_op(j, V_PTEST, X3, 0, loc_reg(X3));
    }
    uint8_t *jcc = jcc32(&j->a, scalar ? IRC_P : IRC_NZ);
    v_rr(j, op, X0, a, b);
    v_rr(j, op, X3, b, a);
    v_rr(j, max ? V_AND : V_OR, X0, X0, X3);
    v_put(j, i->d, X0, i->size2);
    v_cold(j, jcc);
    j->native = 0;
    return true;
}

static bool emit_fused(Jit *j)
{
    const IrInsn *i = j->i;
    static const uint8_t packed[4] = { 0xb8, 0xbc, 0xbe, 0xba }; /* 231 forms: c + ab, c - ab, -c - ab, -c + ab */
    if (!jit_host.fma)
        return false;
    unsigned es = i->size;
    bool scalar = is_scalar(i);
    unsigned a = source(j, i->a, X1), b = source(j, i->b, X2);
    flags_clobber(j);
    v_mov(j, X0, source(j, i->c, X0));
    VOp op = { 1, 2, (uint8_t)(packed[i->vec - SIMD_FMLA] + scalar), es == 8, NO_EVEX };
    v_rr(j, op, X0, a, b);
    return finish(j, X0, CHECK_NAN_TINY);
}

/* a rounded to an integral value, into d; inexact: that is signalled. */
static void round_to(Jit *j, unsigned d, unsigned a, unsigned es, bool scalar, unsigned mode, bool inexact)
{
    unsigned imm = (mode == FP_ROUND_CURRENT ? 4 : mode) | (inexact ? 0 : 8);
    v_imm(j, VOP(1, 3, (scalar ? 0x0a : 0x08) + (es == 8), NO_EVEX), d, scalar ? a : 0, a, imm);
}

static bool emit_round(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned mode = i->imm2 & 7, es = i->size;
    if (i->imm2 & ~UINT64_C(15) || mode == FP_ROUND_AWAY || mode == FP_ROUND_ODD)
        return false;
    unsigned a = source(j, i->a, X1);
    flags_clobber(j);
    round_to(j, X0, a, es, is_scalar(i), mode, i->imm2 & 8);
    return finish(j, X0, CHECK_NAN);
}

/* --- comparisons: every bit of the result and every flag is the host's --- */
static bool emit_compare_lanes(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, row = i->vec;
    bool scalar = is_scalar(i), absolute = row == SIMD_FACGE || row == SIMD_FACGT;
    unsigned a = source(j, i->a, X1), b = source(j, i->b, X2);
    if (absolute) {
        v_op(j, V_AND, X1, a, v_const(es == 8 ? VC_ABS8 : VC_ABS4));
        v_op(j, V_AND, X2, b, v_const(es == 8 ? VC_ABS8 : VC_ABS4));
        a = X1, b = X2;
    }
    v_rr(j, VOP(prefix(es, scalar), 1, 0xc2, NO_EVEX), X0, a, b);
    e8(&j->a, row == SIMD_FCMEQ ? 0 : row == SIMD_FCMGE || row == SIMD_FACGE ? 0x0d : 0x0e); /* EQ_OQ, GE_OS, GT_OS */
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* 0 less, 1 equal, 2 greater, 0x80 unordered. */
static bool emit_fcmp(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    unsigned es = i->size, x = v_low(j, i->a, X1), y = v_low(j, i->b, X2);
    Loc d = loc_of(j, i->d);
    unsigned t = d.kind == L_REG ? d.reg : scratch(j);
    flags_clobber(j);
    write_begin(j, i->d);
    v_op(j, VOP(es == 8 ? 1 : 0, 1, i->imm2 ? 0x2f : 0x2e, NO_EVEX), x, 0, loc_reg(y)); /* vcomis, vucomis */
    mov_ri(a, t, 0x80);
    uint8_t *over = jcc32(a, IRC_P);
    setcc(a, IRC_NCZ, loc_reg(t));
    op_rm(a, 0x80 | OP_RM8, 1, ALU_SBB, loc_reg(t)); /* above - below + 1 */
    e8(a, 0xff);
    patch_rel32(over, a->p);
    if (d.kind != L_REG)
        store_result(j, 8, i->d, t);
    j->native = 0;
    return true;
}

/* Sums of pairs: even and odd lanes of b:a. */
static bool emit_pairwise(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size;
    if (i->vec != SIMD_FADDP)
        return false;
    unsigned a = v_low(j, i->a, X1);
    flags_clobber(j);
    if (i->b == IR_NONE) { /* the scalar form */
        v_imm(j, V_PSHUFD, X2, 0, a, es == 8 ? 0xee : 0x55);
        v_rr(j, fp_op(es, true, 0x58), X0, a, X2);
        uint8_t *jcc = check(j, X0, es, true, CHECK_NAN);
        v_put(j, i->d, X0, es);
        v_cold(j, jcc);
        j->native = 0;
        return true;
    }
    unsigned b = v_low(j, i->b, X2);
    if (i->size2 == 8) {
        v_rr(j, V_LQDQ, X0, a, b); /* a0 a1 b0 b1 */
        v_imm(j, V_PSHUFD, X1, 0, X0, 0xfd);
        v_imm(j, V_PSHUFD, X0, 0, X0, 0x08);
        v_op(j, V_MOVQ, X1, 0, loc_reg(X1));
        v_op(j, V_MOVQ, X0, 0, loc_reg(X0));
    } else if (es == 8) {
        v_rr(j, V_LQDQ, X0, a, b);
        v_rr(j, V_HQDQ, X1, a, b);
    } else {
        v_imm(j, VOP(0, 1, 0xc6, NO_EVEX), X0, a, b, 0x88);
        v_imm(j, VOP(0, 1, 0xc6, NO_EVEX), X1, a, b, 0xdd);
    }
    v_rr(j, fp_op(es, false, 0x58), X0, X0, X1);
    return finish(j, X0, CHECK_NAN);
}

bool emit_simd_fp(Jit *j)
{
    if (!simple_size(j->i))
        return false;
    switch ((SimdRow)j->i->vec) {
    case SIMD_FADD:
    case SIMD_FSUB:
    case SIMD_FMUL:
    case SIMD_FDIV:
    case SIMD_FNMUL:
    case SIMD_FABD: return emit_arith(j);
    case SIMD_FSQRT: return emit_sqrt(j);
    case SIMD_FMAX: case SIMD_FMIN: case SIMD_FMAXNM: case SIMD_FMINNM: return emit_extreme(j);
    case SIMD_FMLA: case SIMD_FMLS: case SIMD_FNMLA: case SIMD_FNMLS: return emit_fused(j);
    case SIMD_FRINT: return emit_round(j);
    case SIMD_FCMEQ: case SIMD_FCMGE: case SIMD_FCMGT: case SIMD_FACGE: case SIMD_FACGT: return emit_compare_lanes(j);
    case SIMD_FCMP: return emit_fcmp(j);
    case SIMD_FADDP: return emit_pairwise(j);
    default: return false;
    }
}

/* --- conversions --- */
static bool emit_between(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned from = i->vec == SIMD_FCVT ? (unsigned)i->imm2 : i->vec == SIMD_FCVTL ? i->size : 2 * i->size;
    unsigned to = i->vec == SIMD_FCVTL ? 2 * i->size : i->size;
    if (from < 4 || to < 4)
        return false;
    bool scalar = i->vec == SIMD_FCVT;
    unsigned a = v_low(j, i->a, X1);
    flags_clobber(j);
    if (i->vec == SIMD_FCVTL && i->imm2 & 1) {
        v_shift_bytes_right(j, X1, a, 8);
        a = X1;
    }
    v_rr(j, VOP(prefix(from, scalar), 1, 0x5a, NO_EVEX), X0, scalar ? a : 0, a);
    uint8_t *jcc = check(j, X0, to, scalar, to < from ? CHECK_NAN_TINY : CHECK_NAN);
    if (i->vec == SIMD_FCVTN && i->imm2 & 1) {
        v_rr(j, V_LQDQ, X0, v_low(j, i->c, X1), X0);
        v_put(j, i->d, X0, 16);
    } else {
        v_put(j, i->d, X0, scalar ? to : i->vec == SIMD_FCVTN ? 8 : 16);
    }
    v_cold(j, jcc);
    j->native = 0;
    return true;
}

/*
 * Other roundings than towards zero: first to an integral value, quietly; inexact is signalled behind the check, as an
 * operand out of range is invalid only.
 *
 * Towards zero: the host gives its "indefinite" for all that needs saturation, and flags invalid only, as the guest
 * does. */
static bool emit_to_int(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, bits = i->imm2 & 31, to = i->size2;
    bool general = i->imm2 & 16, is_unsigned = i->imm2 & 8;
    if (es < 4 || i->imm2 >> 8 || (bits & 7) > FP_ROUND_CURRENT || (bits & 7) == FP_ROUND_AWAY ||
        (is_unsigned && !jit_host.avx512))
        return false;
    Asm *a = &j->a;
    unsigned mode = bits & 7, original;
    bool rounds = mode != FP_ROUND_ZERO;
    if (general) {
        unsigned x = original = v_low(j, i->a, X1);
        unsigned t = scratch(j);
        flags_clobber(j);
        if (rounds) {
            round_to(j, X0, x, es, true, mode, false);
            x = X0;
        }
        write_begin(j, i->d); /* nothing may be emitted for it behind the jump */
        if (is_unsigned)
            v_evex(j, VOP(prefix(es, true), 1, 0x78, to == 8), t, 0, loc_reg(x)); /* vcvttsd2usi */
        else
            v_op(j, (VOp){ (uint8_t)prefix(es, true), 1, 0x2c, to == 8, NO_EVEX }, t, 0, loc_reg(x));
        alu_ri(a, ALU_CMP, to, loc_reg(t), is_unsigned ? UINT64_MAX : 1);
        uint8_t *jcc = jcc32(a, is_unsigned ? IRC_Z : IRC_O);
        if (rounds)
            round_to(j, X0, original, es, true, mode, true);
        store_result(j, to, i->d, t);
        v_cold(j, jcc);
        j->native = 0;
        return true;
    }
    if (es == 8 && !jit_host.avx512)
        return false;
    unsigned x = original = v_masked(j, i->a, i->size2, X1);
    flags_clobber(j);
    if (rounds) {
        round_to(j, X0, x, es, false, mode, false);
        x = X0;
    }
    if (es == 4 && !is_unsigned)
        v_op(j, VOP(2, 1, 0x5b, 0), X0, 0, loc_reg(x)); /* vcvttps2dq */
    else if (es == 4)
        v_evex(j, VOP(0, 1, 0x78, 0), X0, 0, loc_reg(x));
    else
        v_evex(j, VOP(1, 1, is_unsigned ? 0x78 : 0x7a, 1), X0, 0, loc_reg(x)); /* vcvttpd2uqq, vcvttpd2qq */
    if (is_unsigned)
        v_ones(j, X3);
    else
        v_op(j, VOP(0, 1, 0x10, 0), X3, 0, v_const(es == 8 ? VC_SIGN8 : VC_D80000000));
    v_rr(j, es == 8 ? VOP(1, 2, 0x29, NO_EVEX) : VOP(1, 1, 0x76, NO_EVEX), X3, X3, X0);
    v_op(j, V_PTEST, X3, 0, loc_reg(X3));
    uint8_t *jcc = jcc32(a, IRC_NZ);
    if (rounds)
        round_to(j, X3, original, es, false, mode, true);
    v_put(j, i->d, X0, i->size2);
    v_cold(j, jcc);
    j->native = 0;
    return true;
}

static bool emit_from_int(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, from = (unsigned)(i->imm2 >> 16);
    bool is_unsigned = i->imm2 & 8;
    if (es < 4 || (i->imm2 >> 8 & 255))
        return false;
    if (!from) {
        if ((is_unsigned || es == 8) && !jit_host.avx512)
            return false;
        unsigned a = v_masked(j, i->a, i->size2, X1);
        if (es == 4 && !is_unsigned)
            v_op(j, VOP(0, 1, 0x5b, 0), X0, 0, loc_reg(a));
        else if (es == 4)
            v_evex(j, VOP(3, 1, 0x7a, 0), X0, 0, loc_reg(a));
        else
            v_evex(j, VOP(2, 1, is_unsigned ? 0x7a : 0xe6, 1), X0, 0, loc_reg(a));
        v_put(j, i->d, X0, i->size2);
        return true;
    }
    Loc l = loc_of(j, i->a);
    unsigned pp = prefix(es, true);
    if (is_unsigned && from == 8 && !jit_host.avx512)
        return false;
    v_zero(j, X0);
    if (is_unsigned && from == 8) {
        unsigned g = l.kind == L_REG ? l.reg : scratch(j);
        if (l.kind != L_REG)
            load_zx(&j->a, 8, g, l);
        v_evex(j, VOP(pp, 1, 0x7b, 1), X0, X0, loc_reg(g)); /* vcvtusi2sd */
    } else if (is_unsigned) { /* 32 bits fit into a signed 64 */
        unsigned g = scratch(j);
        load_zx(&j->a, 4, g, l);
        v_op(j, (VOp){ (uint8_t)pp, 1, 0x2a, 1, NO_EVEX }, X0, X0, loc_reg(g));
    } else {
        v_op(j, (VOp){ (uint8_t)pp, 1, 0x2a, from == 8, NO_EVEX }, X0, X0, l);
    }
    v_put(j, i->d, X0, 16);
    return true;
}

bool emit_simd_fp_convert(Jit *j)
{
    switch ((SimdRow)j->i->vec) {
    case SIMD_FCVT: case SIMD_FCVTL: case SIMD_FCVTN: return emit_between(j);
    case SIMD_FTOI: return emit_to_int(j);
    case SIMD_ITOF: return emit_from_int(j);
    default: return false;
    }
}
