/* SPDX-License-Identifier: MIT */
/* Integer SIMD rows as AVX2 instructions. */
#include "accel/tcg/host-x86/simd.h"

/* --- one instruction: by row and element size --- */
typedef struct Simple { uint8_t map, op[4]; /* 0: none */ int8_t ew[4]; bool swap; } Simple;
#define ROW(id, map, b, h, s, d) [SIMD_##id] = { map, { b, h, s, d }, { 0, 0, 0, 1 }, false }
static const Simple simple[SIMD_ROWS] = {
    ROW(ADD, 1, 0xfc, 0xfd, 0xfe, 0xd4), ROW(SUB, 1, 0xf8, 0xf9, 0xfa, 0xfb),
    [SIMD_MUL] = { 1, { 0, 0xd5, 0, 0 }, { 0, 0, 0, 0 }, false },
    ROW(AND, 1, 0xdb, 0xdb, 0xdb, 0xdb), ROW(ORR, 1, 0xeb, 0xeb, 0xeb, 0xeb), ROW(EOR, 1, 0xef, 0xef, 0xef, 0xef),
    [SIMD_BIC] = { 1, { 0xdf, 0xdf, 0xdf, 0xdf }, { 0, 0, 0, 1 }, true },
    ROW(URHADD, 1, 0xe0, 0xe3, 0, 0),
    [SIMD_CMEQ] = { 1, { 0x74, 0x75, 0x76, 0 }, { -1, -1, -1, -1 }, false },
    [SIMD_CMGT] = { 1, { 0x64, 0x65, 0x66, 0 }, { -1, -1, -1, -1 }, false },
    ROW(ZIP1, 1, 0x60, 0x61, 0x62, 0x6c),
};
/* SMAX SMIN UMAX UMIN are in two maps. */
static bool minmax(SimdRow row, unsigned es, VOp *o)
{
    static const uint8_t smax[3] = { 0x3c, 0xee, 0x3d }, smin[3] = { 0x38, 0xea, 0x39 }, umax[3] = { 0xde, 0x3e, 0x3f },
                         umin[3] = { 0xda, 0x3a, 0x3b };
    if (es == 8)
        return false;
    unsigned n = log2_of(es);
    switch (row) {
    case SIMD_SMAX: *o = VOP(1, es == 2 ? 1 : 2, smax[n], 0); return true;
    case SIMD_SMIN: *o = VOP(1, es == 2 ? 1 : 2, smin[n], 0); return true;
    case SIMD_UMAX: *o = VOP(1, es == 1 ? 1 : 2, umax[n], 0); return true;
    case SIMD_UMIN: *o = VOP(1, es == 1 ? 1 : 2, umin[n], 0); return true;
    default: return false;
    }
}
static bool simple_op(SimdRow row, unsigned es, VOp *o, bool *swap)
{
    *swap = false;
    if (minmax(row, es, o))
        return true;
    if (row == SIMD_MUL && es == 4) {
        *o = VOP(1, 2, 0x40, 0);
        return true;
    }
    if ((row == SIMD_CMEQ || row == SIMD_CMGT) && es == 8) {
        *o = VOP(1, 2, row == SIMD_CMEQ ? 0x29 : 0x37, NO_EVEX);
        return true;
    }
    const Simple *s = &simple[row];
    unsigned n = log2_of(es);
    if (!s->op[n])
        return false;
    *o = VOP(1, s->map, s->op[n], s->ew[n]);
    *swap = s->swap;
    return true;
}

static bool emit_one_op(Jit *j)
{
    const IrInsn *i = j->i;
    VOp o;
    bool swap;
    if (!simple_op(i->vec, i->size, &o, &swap))
        return false;
    IrRef ra = swap ? i->b : i->a, rb = swap ? i->a : i->b;
    bool wide = i->size2 == 16, evex = o.ew != NO_EVEX;
    Loc home = v_home(i->d);
    unsigned a = evex ? v_in(j, ra, X1) : v_low(j, ra, X1);
    Loc b = rb != IR_NONE ? v_home(rb) : loc_reg(v_in(j, rb, X2));
    if (!evex && b.kind == L_REG && b.reg >= 16)
        b = loc_reg(v_low(j, rb, X2));
    unsigned t = wide && home.kind == L_REG && (evex || home.reg < 16) ? home.reg : X0;
    v_op(j, o, t, a, b);
    v_put(j, i->d, t, i->size2);
    return true;
}

/* d = a op b, registers below 16; false: there is no such instruction. */
static bool binary(Jit *j, SimdRow row, unsigned es, unsigned d, unsigned a, unsigned b)
{
    VOp o;
    bool swap;
    if (!simple_op(row, es, &o, &swap))
        return false;
    v_rr(j, o, d, swap ? b : a, swap ? a : b);
    return true;
}
static bool has_binary(SimdRow row, unsigned es)
{
    VOp o;
    bool swap;
    return simple_op(row, es, &o, &swap);
}

static void invert(Jit *j, unsigned d) /* uses X3 */
{
    v_ones(j, X3);
    v_rr(j, V_XOR, d, d, X3);
}

/* --- comparisons without an instruction --- */
static bool emit_compare_row(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, a = v_low(j, i->a, X1), b = v_low(j, i->b, X2);
    switch ((SimdRow)i->vec) {
    case SIMD_CMGE: /* !(b > a) */
        binary(j, SIMD_CMGT, es, X0, b, a);
        invert(j, X0);
        break;
    case SIMD_CMHS:
    case SIMD_CMHI:
        if (es == 8) { /* as signed ones, with the top bits flipped */
            v_op(j, V_XOR, X1, a, v_const(VC_SIGN8));
            v_op(j, V_XOR, X2, b, v_const(VC_SIGN8));
            bool hi = i->vec == SIMD_CMHI;
            binary(j, SIMD_CMGT, 8, X0, hi ? X1 : X2, hi ? X2 : X1);
            if (!hi)
                invert(j, X0);
        } else if (i->vec == SIMD_CMHS) { /* max(a, b) = a */
            binary(j, SIMD_UMAX, es, X0, a, b);
            binary(j, SIMD_CMEQ, es, X0, X0, a);
        } else { /* !(min(a, b) = a) */
            binary(j, SIMD_UMIN, es, X0, a, b);
            binary(j, SIMD_CMEQ, es, X0, X0, a);
            invert(j, X0);
        }
        break;
    default: /* CMTST */
        v_rr(j, V_AND, X0, a, b);
        v_zero(j, X3);
        binary(j, SIMD_CMEQ, es, X0, X0, X3);
        invert(j, X0);
        break;
    }
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* --- neighbours, permutations: X0 = even or odd lanes of b:a --- */
static void concat(Jit *j, unsigned *a, unsigned *b) /* 8-byte operands: both become b:a */
{
    if (j->i->size2 == 16)
        return;
    v_rr(j, V_LQDQ, X1, *a, *b);
    *a = *b = X1;
}
/* d: not a, b unless es > 2; uses X3 */
static void lanes_of_two(Jit *j, unsigned es, bool odd, unsigned d, unsigned a, unsigned b)
{
    switch (es) {
    case 1:
    case 2:
        if (odd) {
            v_shift(j, SHIFT_RIGHT, 2 * es, X3, a, 8 * es);
            v_shift(j, SHIFT_RIGHT, 2 * es, d, b, 8 * es);
        } else {
            v_op(j, V_AND, X3, a, v_const(es == 1 ? VC_W00FF : VC_D0000FFFF));
            v_op(j, V_AND, d, b, v_const(es == 1 ? VC_W00FF : VC_D0000FFFF));
        }
        v_rr(j, es == 1 ? VOP(1, 1, 0x67, NO_EVEX) : VOP(1, 2, 0x2b, NO_EVEX), d, X3, d); /* vpackuswb, vpackusdw */
        break;
    case 4: v_imm(j, VOP(0, 1, 0xc6, NO_EVEX), d, a, b, odd ? 0xdd : 0x88); break; /* vshufps */
    default: v_rr(j, odd ? V_HQDQ : V_LQDQ, d, a, b); break;
    }
}
static bool emit_permute(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, a = v_low(j, i->a, X1), b = v_low(j, i->b, X2);
    bool wide = i->size2 == 16;
    static const uint8_t high[4] = { 0x68, 0x69, 0x6a, 0x6d }, low[4] = { 0x60, 0x61, 0x62, 0x6c };
    switch ((SimdRow)i->vec) {
    case SIMD_ZIP2:
        v_rr(j, VOP(1, 1, wide ? high[log2_of(es)] : low[log2_of(es)], NO_EVEX), X0, a, b);
        if (!wide)
            v_rr(j, V_HQDQ, X0, X0, X0);
        break;
    case SIMD_UZP1:
    case SIMD_UZP2:
        concat(j, &a, &b);
        lanes_of_two(j, es, i->vec == SIMD_UZP2, X0, a, b);
        break;
    case SIMD_TRN1:
    case SIMD_TRN2: {
        bool second = i->vec == SIMD_TRN2;
        if (es == 8) {
            v_rr(j, second ? V_HQDQ : V_LQDQ, X0, a, b);
            break;
        }
        unsigned from = second ? b : a, other = second ? a : b; /* `from` keeps its lanes, `other`'s move by one */
        v_shift(j, second ? SHIFT_RIGHT : SHIFT_LEFT, 2 * es, X3, other, 8 * es);
        unsigned even = second ? X3 : from, odd = second ? from : X3;
        if (es == 4) {
            v_imm(j, VOP(1, 3, 0x02, NO_EVEX), X0, even, odd, 0xa); /* vpblendd */
        } else if (es == 2) {
            v_imm(j, VOP(1, 3, 0x0e, NO_EVEX), X0, even, odd, 0xaa); /* vpblendw */
        } else if (second) { /* even: a >> 8, zeros above; odd: b's high bytes */
            v_shift(j, SHIFT_RIGHT, 2, X0, odd, 8);
            v_shift(j, SHIFT_LEFT, 2, X0, X0, 8);
            v_rr(j, V_OR, X0, X0, even);
        } else {
            v_op(j, V_AND, X0, even, v_const(VC_W00FF));
            v_rr(j, V_OR, X0, X0, odd);
        }
        break;
    }
    default: /* EXT */
        if (wide) {
            v_imm(j, VOP(1, 3, 0x0f, NO_EVEX), X0, b, a, (unsigned)i->imm2); /* vpalignr */
        } else {
            v_rr(j, V_LQDQ, X0, a, b);
            v_shift_bytes_right(j, X0, X0, (unsigned)i->imm2);
        }
        break;
    }
    v_put(j, i->d, X0, i->size2);
    return true;
}
static bool emit_pairs(Jit *j)
{
    static const struct {
        uint16_t row, op;
    } of[] = { { SIMD_ADDP, SIMD_ADD },
               { SIMD_SMAXP, SIMD_SMAX },
               { SIMD_SMINP, SIMD_SMIN },
               { SIMD_UMAXP, SIMD_UMAX },
               { SIMD_UMINP, SIMD_UMIN } };
    const IrInsn *i = j->i;
    unsigned es = i->size, k = 0;
    while (of[k].row != i->vec)
        k++;
    if (!has_binary(of[k].op, es))
        return false;
    unsigned a = v_low(j, i->a, X1), b = v_low(j, i->b, X2);
    concat(j, &a, &b);
    lanes_of_two(j, es, false, X0, a, b);
    if (b == X2 || a == X1) { /* X1 and X2 may be taken: the odd lanes last */
        lanes_of_two(j, es, true, b == X2 ? X2 : X1, a, b);
        binary(j, of[k].op, es, X0, X0, b == X2 ? X2 : X1);
    } else {
        lanes_of_two(j, es, true, X2, a, b);
        binary(j, of[k].op, es, X0, X0, X2);
    }
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* --- a lane for all: halves upon halves --- */
static bool emit_across(Jit *j)
{
    static const struct {
        uint16_t row, op;
    } of[] = { { SIMD_ADDV, SIMD_ADD },
               { SIMD_SMAXV, SIMD_SMAX },
               { SIMD_SMINV, SIMD_SMIN },
               { SIMD_UMAXV, SIMD_UMAX },
               { SIMD_UMINV, SIMD_UMIN } };
    const IrInsn *i = j->i;
    unsigned es = i->size, a = v_low(j, i->a, X1);
    if (i->vec == SIMD_UADDLV || i->vec == SIMD_SADDLV) {
        if (es != 1 || i->vec == SIMD_SADDLV)
            return false;
        v_zero(j, X0);
        v_rr(j, VOP(1, 1, 0xf6, NO_EVEX), X0, a, X0); /* vpsadbw */
        if (i->size2 == 16) {
            v_imm(j, V_PSHUFD, X1, 0, X0, 0x4e);
            v_rr(j, v_padd(2), X0, X0, X1);
        }
        v_put(j, i->d, X0, 2);
        return true;
    }
    unsigned k = 0;
    while (of[k].row != i->vec)
        k++;
    v_mov(j, X0, a);
    for (unsigned n = i->size2 / 2; n >= es; n /= 2) {
        v_shift_bytes_right(j, X1, X0, n);
        binary(j, of[k].op, es, X0, X0, X1);
    }
    v_put(j, i->d, X0, es);
    return true;
}

/* --- one source --- */
static void nibbles(Jit *j, unsigned a, VConst low, VConst high, bool add)
{
    v_op(j, V_AND, X2, a, v_const(VC_B0F));
    v_shift(j, SHIFT_RIGHT, 2, X3, a, 4);
    v_op(j, V_AND, X3, X3, v_const(VC_B0F));
    v_op(j, VOP(0, 1, 0x10, 0), X0, 0, v_const(low));
    v_rr(j, V_PSHUFB, X0, X0, X2);
    v_op(j, VOP(0, 1, 0x10, 0), X2, 0, v_const(high));
    v_rr(j, V_PSHUFB, X2, X2, X3);
    v_rr(j, add ? v_padd(1) : V_OR, X0, X0, X2);
}
static bool emit_unary_row(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, in_group = (unsigned)i->imm2, a = v_low(j, i->a, X1);
    switch ((SimdRow)i->vec) {
    case SIMD_NEG:
        v_zero(j, X0);
        v_rr(j, VOP(1, 1, 0xf8 + log2_of(es), NO_EVEX), X0, X0, a);
        break;
    case SIMD_ABS:
        if (es == 8)
            return false;
        v_op(j, VOP(1, 2, 0x1c + log2_of(es), NO_EVEX), X0, 0, loc_reg(a));
        break;
    case SIMD_NOT:
        v_ones(j, X0);
        v_rr(j, V_XOR, X0, X0, a);
        break;
    case SIMD_ORN: {
        unsigned b = v_low(j, i->b, X2);
        v_ones(j, X0);
        v_rr(j, V_XOR, X0, X0, b);
        v_rr(j, V_OR, X0, X0, a);
        break;
    }
    case SIMD_CNT:
        if (es != 1)
            return false;
        nibbles(j, a, VC_POPCOUNT, VC_POPCOUNT, true);
        break;
    case SIMD_RBIT:
        if (es != 1)
            return false;
        nibbles(j, a, VC_RBIT_LOW, VC_RBIT_HIGH, false);
        break;
    case SIMD_REV:
        if (es == 4) {
            v_imm(j, V_PSHUFD, X0, 0, a, 0xb1);
        } else {
            VConst c = es == 2         ? (in_group == 4 ? VC_REV32H : VC_REV64H)
                       : in_group == 2 ? VC_REV16
                       : in_group == 4 ? VC_REV32
                                       : VC_REV64;
            if (in_group > 8)
                return false;
            v_op(j, V_PSHUFB, X0, a, v_const(c));
        }
        break;
    case SIMD_FABS: case SIMD_FNEG:
        if (es == 2)
            return false;
        v_op(j, i->vec == SIMD_FABS ? V_AND : V_XOR, X0, a,
             v_const(i->vec == SIMD_FABS ? (es == 8 ? VC_ABS8 : VC_ABS4) : es == 8 ? VC_SIGN8 : VC_SIGN4));
        break;
    default: return false;
    }
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* --- shifts by immediates --- */
static uint64_t lanes64(uint64_t v, unsigned es)
{
    for (; es < 8; es *= 2)
        v |= v << 8 * es;
    return v;
}
static bool has_arithmetic(unsigned es) { return es < 8 || jit_host.avx512; }
/* d = a >> n; uses X3. */
static void shift_right(Jit *j, unsigned es, bool is_signed, unsigned d, unsigned a, unsigned n)
{
    if (es == 1) { /* within words, the strangers' bits masked; the sign by (y ^ m) - m */
        if (is_signed && n == 8)
            n = 7;
        v_shift(j, SHIFT_RIGHT, 2, d, a, n);
        v_constant(j, X3, lanes64(0xffu >> n, 1));
        v_rr(j, V_AND, d, d, X3);
        if (is_signed) {
            v_constant(j, X3, lanes64(0x80u >> n, 1));
            v_rr(j, V_XOR, d, d, X3);
            v_rr(j, v_psub(1), d, d, X3);
        }
    } else if (is_signed && es == 8) {
        v_evex(j, VOP(1, 1, 0x72, 1), 4, d, loc_reg(a)); /* vpsraq */
        e8(&j->a, n > 63 ? 63 : n);
    } else {
        v_shift(j, is_signed ? SHIFT_ARITHMETIC : SHIFT_RIGHT, es, d, a, n);
    }
}
static void shift_left(Jit *j, unsigned es, unsigned d, unsigned a, unsigned n)
{
    v_shift(j, SHIFT_LEFT, es == 1 ? 2 : es, d, a, n);
    if (es == 1) {
        v_constant(j, X3, lanes64(0xffu << n & 0xff, 1));
        v_rr(j, V_AND, d, d, X3);
    }
}
static bool emit_shift_imm(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, n = (unsigned)i->imm2, bits = 8 * es, row = i->vec;
    bool is_signed = row == SIMD_SSHRI || row == SIMD_SSRAI || row == SIMD_SRSHRI || row == SIMD_SRSRAI;
    if (is_signed && !has_arithmetic(es))
        return false;
    unsigned a = v_low(j, i->a, X1);
    switch (row) {
    case SIMD_SHLI: shift_left(j, es, X0, a, n); break;
    case SIMD_SLI: {
        shift_left(j, es, X0, a, n);
        unsigned c = v_low(j, i->c, X2);
        v_constant(j, X3, lanes64((UINT64_C(1) << n) - 1, es));
        v_rr(j, V_AND, X3, X3, c);
        v_rr(j, V_OR, X0, X0, X3);
        break;
    }
    case SIMD_SRI: {
        shift_right(j, es, false, X0, a, n);
        unsigned c = v_low(j, i->c, X2);
        v_constant(j, X3, lanes64(bits_mask(bits) & ~(n >= bits ? 0 : bits_mask(bits) >> n), es));
        v_rr(j, V_AND, X3, X3, c);
        v_rr(j, V_OR, X0, X0, X3);
        break;
    }
    default:
        shift_right(j, es, is_signed, X0, a, n);
        /* + the last bit that went out */
        if (row == SIMD_SRSHRI || row == SIMD_URSHRI || row == SIMD_SRSRAI || row == SIMD_URSRAI) {
            if (es == 1) {
                v_constant(j, X3, lanes64(1u << (n - 1), 1));
                v_rr(j, V_AND, X2, a, X3);
                v_shift(j, SHIFT_RIGHT, 2, X2, X2, n - 1);
                v_op(j, V_AND, X2, X2, v_const(VC_B1));
            } else {
                v_shift(j, SHIFT_LEFT, es, X2, a, bits - n);
                v_shift(j, SHIFT_RIGHT, es, X2, X2, bits - 1);
            }
            v_rr(j, v_padd(es), X0, X0, X2);
        }
        break;
    }
    if (row == SIMD_SSRAI || row == SIMD_USRAI || row == SIMD_SRSRAI || row == SIMD_URSRAI)
        v_rr(j, v_padd(es), X0, X0, v_low(j, i->c, X2));
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* --- register shifts: 32 bits, and 64 to the left or logical --- */
static bool emit_shift_reg(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size;
    bool is_signed = i->vec == SIMD_SSHL;
    if (es < 4 || (es == 8 && !jit_host.avx512))
        return false;
    unsigned a = v_low(j, i->a, X1), b = v_low(j, i->b, X2);
    v_shift(j, SHIFT_LEFT, es, X2, b, 8 * es - 8); /* the signed low byte */
    shift_right(j, es, true, X2, X2, 8 * es - 8);
    v_zero(j, X3);
    v_rr(j, v_psub(es), X3, X3, X2);
    VOp left = (VOp){ 1, 2, 0x47, es == 8, NO_EVEX }, right = (VOp){ 1, 2, 0x45, es == 8, NO_EVEX };
    if (!is_signed) { /* a count out of range gives zero */
        v_rr(j, left, X0, a, X2);
        v_rr(j, right, X3, a, X3);
        v_rr(j, V_OR, X0, X0, X3);
    } else { /* the sign of the count chooses */
        v_rr(j, left, X0, a, X2);
        if (es == 8)
            v_evex(j, VOP(1, 2, 0x46, 1), X3, a, loc_reg(X3));
        else
            v_rr(j, VOP(1, 2, 0x46, NO_EVEX), X3, a, X3);
        v_rr(j, VOP(1, 3, es == 8 ? 0x4b : 0x4a, NO_EVEX), X0, X0, X3); /* vblendvps, vblendvpd */
        e8(&j->a, X2 << 4);
    }
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* --- tables --- */
static bool emit_table(Jit *j)
{
    const IrInsn *i = j->i;
    static const VConst by[4] = { VC_B10, VC_B10, VC_B20, VC_B30 };
    unsigned first = i->imm2 & 255, count = i->imm2 >> 8 & 255;
    bool keep = i->imm2 >> 16 & 1;
    if (first >= VCPU_VREGS || count > 4 || (keep && count > 1))
        return false;
    unsigned idx = v_low(j, i->a, X1);
    for (unsigned k = 0; k < count; k++) {
        unsigned in = idx;
        if (k) {
            v_op(j, v_psub(1), X2, idx, v_const(by[k]));
            in = X2;
        }
        v_op(j, VOP(1, 1, 0xdc, NO_EVEX), X2, in, v_const(VC_B70)); /* vpaddusb: 16 and more get the top bit */
        unsigned table = v_low(j, IR_V((first + k) % VCPU_VREGS), X3);
        v_rr(j, V_PSHUFB, k ? X3 : X0, table, X2);
        if (k)
            v_rr(j, V_OR, X0, X0, X3);
    }
    if (keep) {
        unsigned c = v_low(j, i->c, X3);
        v_rr(j, VOP(1, 3, 0x4c, NO_EVEX), X0, X0, c); /* vpblendvb */
        e8(&j->a, X2 << 4);
    }
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* --- three sources, differences, saturation --- */
static bool emit_three(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, a, b, c;
    switch ((SimdRow)i->vec) {
    case SIMD_BSL:
        a = v_low(j, i->a, X1), b = v_low(j, i->b, X2), c = v_low(j, i->c, X3);
        v_rr(j, V_ANDN, X0, c, b);
        v_rr(j, V_AND, X1, a, c);
        v_rr(j, V_OR, X0, X0, X1);
        break;
    case SIMD_MLA: case SIMD_MLS:
        if (!has_binary(SIMD_MUL, es))
            return false;
        a = v_low(j, i->a, X1), b = v_low(j, i->b, X2), c = v_low(j, i->c, X3);
        binary(j, SIMD_MUL, es, X0, a, b);
        v_rr(j, i->vec == SIMD_MLA ? v_padd(es) : v_psub(es), X0, c, X0);
        break;
    case SIMD_SABD: case SIMD_UABD: case SIMD_SABA: case SIMD_UABA: {
        bool is_signed = i->vec == SIMD_SABD || i->vec == SIMD_SABA;
        a = v_low(j, i->a, X1), b = v_low(j, i->b, X2);
        binary(j, is_signed ? SIMD_SMAX : SIMD_UMAX, es, X0, a, b);
        binary(j, is_signed ? SIMD_SMIN : SIMD_UMIN, es, X3, a, b);
        v_rr(j, v_psub(es), X0, X0, X3);
        if (i->c != IR_NONE)
            v_rr(j, v_padd(es), X0, X0, v_low(j, i->c, X1));
        break;
    }
    default: return false;
    }
    v_put(j, i->d, X0, i->size2);
    return true;
}

/* Saturated and plain result differ: QC is set out of line. */
static bool emit_saturating(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, row = i->vec;
    static const uint8_t op[4][2] = { { 0xec, 0xed }, { 0xdc, 0xdd }, { 0xe8, 0xe9 }, { 0xd8, 0xd9 } };
    if (es > 2)
        return false;
    bool sub = row == SIMD_SQSUB || row == SIMD_UQSUB;
    unsigned a = v_masked(j, i->a, i->size2, X1), b = v_masked(j, i->b, i->size2, X2);
    flags_clobber(j);
    v_rr(j, VOP(1, 1, op[row - SIMD_SQADD][es - 1], NO_EVEX), X0, a, b);
    v_rr(j, sub ? v_psub(es) : v_padd(es), X3, a, b);
    v_rr(j, V_XOR, X3, X3, X0);
    v_op(j, V_PTEST, X3, 0, loc_reg(X3));
    uint8_t *jcc = jcc32(&j->a, IRC_NZ);
    v_put(j, i->d, X0, i->size2);
    v_cold(j, jcc);
    j->native = 0;
    return true;
}

/* SQDMULH, SQRDMULH of words: -1 * -1 is the one that saturates. */
static bool emit_doubling_high(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->size != 2)
        return false;
    unsigned a = v_masked(j, i->a, i->size2, X1), b = v_masked(j, i->b, i->size2, X2);
    flags_clobber(j);
    if (i->vec == SIMD_SQRDMULH) {
        v_rr(j, VOP(1, 2, 0x0b, NO_EVEX), X0, a, b); /* vpmulhrsw */
    } else {
        v_rr(j, VOP(1, 1, 0xe5, NO_EVEX), X0, a, b); /* vpmulhw, vpmullw */
        v_rr(j, VOP(1, 1, 0xd5, NO_EVEX), X3, a, b);
        v_shift(j, SHIFT_LEFT, 2, X0, X0, 1);
        v_shift(j, SHIFT_RIGHT, 2, X3, X3, 15);
        v_rr(j, V_OR, X0, X0, X3);
    }
    v_op(j, VOP(1, 1, 0x75, NO_EVEX), X3, X0, v_const(VC_W8000));
    v_op(j, V_PTEST, X3, 0, loc_reg(X3));
    uint8_t *jcc = jcc32(&j->a, IRC_NZ);
    v_put(j, i->d, X0, i->size2);
    v_cold(j, jcc);
    j->native = 0;
    return true;
}

bool emit_simd_int(Jit *j)
{
    switch ((SimdRow)j->i->vec) {
    case SIMD_CMGE: case SIMD_CMHI: case SIMD_CMHS: case SIMD_CMTST: return emit_compare_row(j);
    case SIMD_ZIP2:
    case SIMD_UZP1:
    case SIMD_UZP2:
    case SIMD_TRN1:
    case SIMD_TRN2:
    case SIMD_EXT: return emit_permute(j);
    case SIMD_ADDP: case SIMD_SMAXP: case SIMD_SMINP: case SIMD_UMAXP: case SIMD_UMINP: return emit_pairs(j);
    case SIMD_ADDV:
    case SIMD_SMAXV:
    case SIMD_SMINV:
    case SIMD_UMAXV:
    case SIMD_UMINV:
    case SIMD_SADDLV:
    case SIMD_UADDLV: return emit_across(j);
    case SIMD_NEG:
    case SIMD_ABS:
    case SIMD_NOT:
    case SIMD_ORN:
    case SIMD_CNT:
    case SIMD_RBIT:
    case SIMD_REV:
    case SIMD_FABS:
    case SIMD_FNEG: return emit_unary_row(j);
    case SIMD_SHLI:
    case SIMD_SLI:
    case SIMD_SRI:
    case SIMD_SSHRI:
    case SIMD_USHRI:
    case SIMD_SRSHRI:
    case SIMD_URSHRI:
    case SIMD_SSRAI:
    case SIMD_USRAI: case SIMD_SRSRAI: case SIMD_URSRAI: return emit_shift_imm(j);
    case SIMD_SSHL: case SIMD_USHL: return emit_shift_reg(j);
    case SIMD_TBL: return emit_table(j);
    case SIMD_BSL:
    case SIMD_MLA:
    case SIMD_MLS:
    case SIMD_SABD:
    case SIMD_UABD:
    case SIMD_SABA:
    case SIMD_UABA: return emit_three(j);
    case SIMD_SQADD: case SIMD_UQADD: case SIMD_SQSUB: case SIMD_UQSUB: return emit_saturating(j);
    case SIMD_SQDMULH: case SIMD_SQRDMULH: return emit_doubling_high(j);
    default: return emit_one_op(j);
    }
}
