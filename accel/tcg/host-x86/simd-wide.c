/* SPDX-License-Identifier: MIT */
/* SIMD rows whose results are wider or narrower than their sources, and sums of products, as AVX2 instructions. */
#include "accel/tcg/host-x86/simd.h"

static VOp extend_op(unsigned es, bool is_signed) /* bytes to words, ... */
{
    static const uint8_t op[3] = { 0x20, 0x23, 0x25 };
    return VOP(1, 2, op[log2_of(es)] + (is_signed ? 0 : 0x10), NO_EVEX);
}

/* The half of r that is meant, with lanes twice as wide, into d. */
static void widen(Jit *j, IrRef r, unsigned es, bool is_signed, bool high, unsigned d)
{
    if (r == IR_NONE) {
        v_zero(j, d);
        return;
    }
    unsigned s = v_low(j, r, d);
    if (high) {
        v_shift_bytes_right(j, d, s, 8);
        s = d;
    }
    v_op(j, extend_op(es, is_signed), d, 0, loc_reg(s));
}

typedef enum WideKind { W_ADD = 1, W_SUB, W_MUL, W_DIFF, W_SHIFT } WideKind;
typedef struct WideRow { uint8_t kind; bool is_signed, wide_a; int8_t sum; /* 1: c + ..., -1: c - ... */ } WideRow;
static const WideRow wide_rows[SIMD_ROWS] = {
    [SIMD_SADDL] = { W_ADD, true },
    [SIMD_UADDL] = { W_ADD, false },
    [SIMD_SSUBL] = { W_SUB, true },
    [SIMD_USUBL] = { W_SUB, false },
    [SIMD_SADDW] = { W_ADD, true, true },
    [SIMD_UADDW] = { W_ADD, false, true },
    [SIMD_SSUBW] = { W_SUB, true, true },
    [SIMD_USUBW] = { W_SUB, false, true },
    [SIMD_SMULL] = { W_MUL, true },
    [SIMD_UMULL] = { W_MUL, false },
    [SIMD_SMLAL] = { W_MUL, true, false, 1 },
    [SIMD_UMLAL] = { W_MUL, false, false, 1 },
    [SIMD_SMLSL] = { W_MUL, true, false, -1 },
    [SIMD_UMLSL] = { W_MUL, false, false, -1 },
    [SIMD_SABDL] = { W_DIFF, true },
    [SIMD_UABDL] = { W_DIFF, false },
    [SIMD_SABAL] = { W_DIFF, true, false, 1 },
    [SIMD_UABAL] = { W_DIFF, false, false, 1 },
    [SIMD_SSHLL] = { W_SHIFT, true },
    [SIMD_USHLL] = { W_SHIFT, false },
};

static bool emit_wide(Jit *j)
{
    const IrInsn *i = j->i;
    const WideRow *r = &wide_rows[i->vec];
    unsigned es = i->size, to = 2 * es;
    bool high = i->imm2 & 1;
    if (es > 4 || i->size2 != 16 || (r->kind == W_DIFF && es == 4))
        return false;
    unsigned a = X0;
    if (r->wide_a)
        a = v_low(j, i->a, X0);
    else
        widen(j, i->a, es, r->is_signed, high, X0);
    if (r->kind != W_SHIFT)
        widen(j, i->b, es, r->is_signed, high, X1);
    switch ((WideKind)r->kind) {
    case W_ADD: v_rr(j, v_padd(to), X0, a, X1); break;
    case W_SUB: v_rr(j, v_psub(to), X0, a, X1); break;
    case W_DIFF:
        v_rr(j, v_psub(to), X0, X0, X1);
        v_op(j, VOP(1, 2, 0x1c + log2_of(to), NO_EVEX), X0, 0, loc_reg(X0));
        break;
    case W_MUL: {
        VOp mul = es == 1        ? VOP(1, 1, 0xd5, 0)
                  : es == 2      ? VOP(1, 2, 0x40, 0)
                  : r->is_signed ? VOP(1, 2, 0x28, NO_EVEX)
                                 : VOP(1, 1, 0xf4, NO_EVEX);
        v_rr(j, mul, X0, X0, X1);
        break;
    }
    case W_SHIFT:
        if (i->imm2 >> 1)
            v_shift(j, SHIFT_LEFT, to, X0, X0, (unsigned)(i->imm2 >> 1));
        break;
    }
    if (r->sum)
        v_rr(j, r->sum > 0 ? v_padd(to) : v_psub(to), X0, v_low(j, i->c, X1), X0);
    v_put(j, i->d, X0, 16);
    return true;
}

/* --- narrow: X0 holds lanes of 2 * es whose upper halves are dropped --- */
static void truncate_lanes(Jit *j, unsigned es)
{
    if (es == 4) {
        v_imm(j, V_PSHUFD, X0, 0, X0, 0x08);
        return;
    }
    v_op(j, V_AND, X0, X0, v_const(es == 1 ? VC_W00FF : VC_D0000FFFF));
    v_rr(j, es == 1 ? VOP(1, 1, 0x67, NO_EVEX) : VOP(1, 2, 0x2b, NO_EVEX), X0, X0, X0);
}
static void put_narrow(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->imm2 & 1) {
        v_rr(j, V_LQDQ, X0, v_low(j, i->c, X1), X0);
        v_put(j, i->d, X0, 16);
    } else {
        v_put(j, i->d, X0, 8);
    }
}
static bool emit_narrow(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, from = 2 * es, n = (unsigned)(i->imm2 >> 1), a;
    if (i->size2 <= es)
        return false;
    a = v_low(j, i->a, X1);
    switch ((SimdRow)i->vec) {
    case SIMD_XTN: v_mov(j, X0, a); break;
    case SIMD_SHRN: v_shift(j, SHIFT_RIGHT, from, X0, a, n); break;
    case SIMD_RSHRN: {
        uint64_t half = UINT64_C(1) << (n - 1);
        for (unsigned w = from; w < 8; w *= 2)
            half |= half << 8 * w;
        v_constant(j, X0, half);
        v_rr(j, v_padd(from), X0, X0, a);
        v_shift(j, SHIFT_RIGHT, from, X0, X0, n);
        break;
    }
    default: { /* ADDHN, SUBHN */
        unsigned b = v_low(j, i->b, X2);
        v_rr(j, i->vec == SIMD_ADDHN ? v_padd(from) : v_psub(from), X0, a, b);
        v_shift(j, SHIFT_RIGHT, from, X0, X0, 8 * es);
        break;
    }
    }
    truncate_lanes(j, es);
    put_narrow(j);
    return true;
}

/* X2 = a >> n, rounded by the last bit that goes out; uses X3. */
static void shift_for_narrow(Jit *j, unsigned es, bool is_signed, bool round, unsigned a, unsigned n)
{
    if (round) {
        v_shift(j, SHIFT_LEFT, es, X3, a, 8 * es - n);
        v_shift(j, SHIFT_RIGHT, es, X3, X3, 8 * es - 1);
    }
    v_shift(j, is_signed ? SHIFT_ARITHMETIC : SHIFT_RIGHT, es, X2, a, n);
    if (round)
        v_rr(j, v_padd(es), X2, X2, X3);
}

/* Saturating: when widening the result does not give the source again, QC is set out of line. */
static bool emit_narrow_saturating(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, row = i->vec;
    if (es > 2 || i->size2 <= es)
        return false;
    unsigned a = v_low(j, i->a, X1);
    flags_clobber(j);
    bool to_signed = row == SIMD_SQXTN || row == SIMD_SQSHRN || row == SIMD_SQRSHRN,
         from_unsigned = row == SIMD_UQXTN || row == SIMD_UQSHRN || row == SIMD_UQRSHRN;
    if (i->imm2 >> 1) {
        bool round = row == SIMD_SQRSHRN || row == SIMD_UQRSHRN || row == SIMD_SQRSHRUN;
        shift_for_narrow(j, 2 * es, !from_unsigned, round, a, (unsigned)(i->imm2 >> 1));
        a = X2;
    }
    if (from_unsigned) { /* sources above the signed range would count as negative */
        v_constant(j, X3, es == 1 ? 0x00ff00ff00ff00ff : 0x0000ffff0000ffff);
        v_rr(j, VOP(1, 2, es == 1 ? 0x3a : 0x3b, NO_EVEX), X0, a, X3); /* vpminuw, vpminud */
    } else {
        v_mov(j, X0, a);
    }
    VOp pack = to_signed ? VOP(1, 1, es == 1 ? 0x63 : 0x6b, NO_EVEX)
               : es == 1 ? VOP(1, 1, 0x67, NO_EVEX)
                         : VOP(1, 2, 0x2b, NO_EVEX);
    v_rr(j, pack, X0, X0, X0);
    v_op(j, extend_op(es, to_signed), X3, 0, loc_reg(X0));
    v_rr(j, V_XOR, X3, X3, a);
    v_op(j, V_PTEST, X3, 0, loc_reg(X3));
    uint8_t *jcc = jcc32(&j->a, IRC_NZ);
    put_narrow(j);
    v_cold(j, jcc);
    j->native = 0;
    return true;
}

/* --- sums of neighbours --- */
static bool emit_pair_sums(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, row = i->vec;
    bool is_signed = row == SIMD_SADDLP || row == SIMD_SADALP;
    if (es == 4 && is_signed && !jit_host.avx512)
        return false;
    unsigned a = v_low(j, i->a, X1);
    if (es == 1 && !is_signed) {
        v_op(j, VOP(1, 2, 0x04, NO_EVEX), X0, a, v_const(VC_B1)); /* vpmaddubsw: unsigned * signed */
    } else if (es == 1) {
        v_op(j, VOP(0, 1, 0x10, 0), X0, 0, v_const(VC_B1));
        v_rr(j, VOP(1, 2, 0x04, NO_EVEX), X0, X0, a);
    } else if (es == 2 && is_signed) {
        v_op(j, VOP(1, 1, 0xf5, NO_EVEX), X0, a, v_const(VC_W1)); /* vpmaddwd */
    } else {
        unsigned kind = is_signed ? SHIFT_ARITHMETIC : SHIFT_RIGHT;
        v_shift(j, SHIFT_LEFT, 2 * es, X0, a, 8 * es);
        if (es == 4 && is_signed) {
            v_evex(j, VOP(1, 1, 0x72, 1), 4, X0, loc_reg(X0));
            e8(&j->a, 32);
            v_evex(j, VOP(1, 1, 0x72, 1), 4, X2, loc_reg(a));
            e8(&j->a, 32);
        } else {
            v_shift(j, kind, 2 * es, X0, X0, 8 * es);
            v_shift(j, kind, 2 * es, X2, a, 8 * es);
        }
        v_rr(j, v_padd(2 * es), X0, X0, X2);
    }
    if (i->c != IR_NONE)
        v_rr(j, v_padd(2 * es), X0, X0, v_low(j, i->c, X1));
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* c + products of four bytes: words, sums of two, sums of four. */
static bool emit_dot(Jit *j)
{
    const IrInsn *i = j->i;
    bool sa = i->vec == SIMD_SDOT, sb = i->vec != SIMD_UDOT;
    for (unsigned half = 0; half < i->size2 / 8u; half++) {
        widen(j, i->a, 1, sa, half, X1);
        widen(j, i->b, 1, sb, half, X2);
        v_rr(j, VOP(1, 1, 0xf5, NO_EVEX), half ? X1 : X0, X1, X2); /* vpmaddwd */
    }
    v_rr(j, VOP(1, 2, 0x02, NO_EVEX), X0, X0, i->size2 == 16 ? X1 : X0); /* vphaddd */
    v_rr(j, v_padd(4), X0, X0, v_low(j, i->c, X2));
    v_put(j, i->d, X0, i->size2);
    return true;
}

bool emit_simd_narrow_wide(Jit *j)
{
    switch ((SimdRow)j->i->vec) {
    case SIMD_XTN: case SIMD_SHRN: case SIMD_RSHRN: case SIMD_ADDHN: case SIMD_SUBHN: return emit_narrow(j);
    case SIMD_SQXTN:
    case SIMD_UQXTN:
    case SIMD_SQXTUN:
    case SIMD_SQSHRN:
    case SIMD_UQSHRN:
    case SIMD_SQRSHRN:
    case SIMD_UQRSHRN:
    case SIMD_SQSHRUN:
    case SIMD_SQRSHRUN: return emit_narrow_saturating(j);
    case SIMD_SADDLP: case SIMD_UADDLP: case SIMD_SADALP: case SIMD_UADALP: return emit_pair_sums(j);
    case SIMD_SDOT: case SIMD_UDOT: case SIMD_USDOT: return emit_dot(j);
    default: return wide_rows[j->i->vec].kind && emit_wide(j);
    }
}
