/* SPDX-License-Identifier: MIT */
/*
 * MVE: sums and products over lanes, additions with carry, complex and saturating products; the scalar shifts that came
 * with MVE.
 */
#include "target/arm/tcg/mve.h"

typedef __int128 Wide;

static int64_t saturated(Wide v, unsigned bits, bool *sat)
{
    Wide high = ((Wide)1 << (bits - 1)) - 1, low = -high - 1;
    *sat |= v < low || v > high;
    return (int64_t)(v < low ? low : v > high ? high : v);
}
static void note(ArmTrans *x, bool sat) { x->c->v.fp_more |= sat ? FP_MORE_QC : 0; }

/* --- sums: h: with accumulation; y: pairs of Qn are exchanged; op: odd products are subtracted --- */
static Wide product(ArmTrans *x, const A32Insn *i, unsigned n)
{
    unsigned es = 1u << i->size;
    Wide p = (Wide)lane_of(Q(i->vn), es, i->y ? n ^ 1 : n, i->u) * lane_of(Q(i->vm), es, n, i->u);
    return i->op && n & 1 ? -p : p;
}

static uint64_t dot(ArmTrans *x, const A32Insn *i)
{
    unsigned es = 1u << i->size;
    uint16_t mask = mve_active(x->c);
    uint64_t sum = 0;
    for (unsigned n = 0; n < 16 / es; n++)
        if (lane_on(mask, es, n))
            sum += (uint64_t)product(x, i, n);
    return sum;
}
M(mve_mladav) { REG(i->rd) = (uint32_t)(dot(x, i) + (i->h ? REG(i->rd) : 0)); }

/* rt: the odd register's number less 1 */
static uint64_t pair(ArmTrans *x, const A32Insn *i) { return REG(i->rt + 1) << 32 | (uint32_t)REG(i->rd); }
static void set_pair(ArmTrans *x, const A32Insn *i, uint64_t v)
{
    REG(i->rd) = (uint32_t)v;
    REG(i->rt + 1) = (uint32_t)(v >> 32);
}
M(mve_mlaldav) { set_pair(x, i, dot(x, i) + (i->h ? pair(x, i) : 0)); }

M(mve_rmlaldavh) /* each product's bits 63:8, rounded */
{
    uint16_t mask = mve_active(x->c);
    uint64_t sum = i->h ? pair(x, i) : 0;
    for (unsigned n = 0; n < 4; n++)
        if (lane_on(mask, 4, n))
            sum += (uint64_t)((product(x, i, n) + 128) >> 8);
    set_pair(x, i, sum);
}

M(mve_addlv)
{
    uint16_t mask = mve_active(x->c);
    uint64_t sum = i->h ? pair(x, i) : 0;
    for (unsigned n = 0; n < 4; n++)
        if (lane_on(mask, 4, n))
            sum += (uint64_t)lane_of(Q(i->vm), 4, n, i->u);
    set_pair(x, i, sum);
}

M(mve_abav)
{
    unsigned es = 1u << i->size;
    uint16_t mask = mve_active(x->c);
    uint32_t sum = (uint32_t)REG(i->rd);
    for (unsigned n = 0; n < 16 / es; n++) {
        int64_t a = lane_of(Q(i->vn), es, n, i->u), b = lane_of(Q(i->vm), es, n, i->u);
        if (lane_on(mask, es, n))
            sum += (uint32_t)(a > b ? a - b : b - a);
    }
    REG(i->rd) = sum;
}

static uint64_t magnitude(const VecReg *r, unsigned es, unsigned n)
{
    int64_t v = get_s(r, es, n);
    return (uint64_t)(v < 0 ? -v : v);
}

M(mve_maxav) /* op: minimum */
{
    unsigned es = 1u << i->size;
    uint16_t mask = mve_active(x->c);
    uint64_t best = REG(i->rd) & bits_mask(8 * es);
    for (unsigned n = 0; n < 16 / es; n++) {
        uint64_t v = magnitude(Q(i->vm), es, n);
        if (lane_on(mask, es, n))
            best = i->op ? MIN(best, v) : MAX(best, v);
    }
    REG(i->rd) = best;
}

M(mve_maxa)
{
    unsigned es = 1u << i->size;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++) {
        uint64_t v = magnitude(Q(i->vm), es, n), d = get(Q(i->vd), es, n);
        set(&r, es, n, i->op ? MIN(d, v) : MAX(d, v));
    }
    merge(Q(i->vd), &r, mve_active(x->c));
}

/* --- carries --- */
M(mve_adc) /* op: subtract; h: the first carry is given */
{
    uint16_t mask = mve_active(x->c);
    uint64_t carry = i->h ? (uint64_t)i->op : x->c->fpscr_nzcv >> 29 & 1;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 4; n++) {
        uint64_t sum = carry + Q(i->vn)->u32[n] + (i->op ? ~Q(i->vm)->u32[n] : Q(i->vm)->u32[n]);
        r.u32[n] = (uint32_t)sum;
        if (lane_on(mask, 4, n))
            carry = sum >> 32;
    }
    if (i->h || mask & 0x1111)
        x->c->fpscr_nzcv = (uint32_t)carry << 29;
    merge(Q(i->vd), &r, mask);
}

M(mve_shlc) /* imm 0: 32 */
{
    uint16_t mask = mve_active(x->c);
    unsigned shift = i->imm ? (unsigned)i->imm : 32;
    uint64_t in = REG(i->rm);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 4; n++) {
        if (!(mask >> 4 * n & 15))
            continue;
        uint64_t v = (uint64_t)Q(i->vd)->u32[n] << shift;
        r.u32[n] = (uint32_t)(v | (in & bits_mask(shift)));
        if (lane_on(mask, 4, n))
            in = v >> 32;
    }
    REG(i->rm) = (uint32_t)in;
    merge(Q(i->vd), &r, mask);
}

/* --- complex integers, wide products --- */
M(mve_cadd) /* x: rotation 90, 270; h: halving */
{
    unsigned es = 1u << i->size;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++) {
        int64_t a = get_s(Q(i->vn), es, n), b = get_s(Q(i->vm), es, n ^ 1), sum = (n & 1) == !i->x ? a + b : a - b;
        set(&r, es, n, (uint64_t)(i->h ? sum >> 1 : sum));
    }
    merge(Q(i->vd), &r, mve_active(x->c));
}

static void qdmull(ArmTrans *x, const A32Insn *i, const VecReg *m)
{
    unsigned es = 1u << i->size;
    uint16_t mask = mve_active(x->c);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 8 / es; n++) {
        bool sat = false;
        unsigned from = 2 * n + (unsigned)i->h;
        set(&r, 2 * es, n,
            (uint64_t)saturated((Wide)get_s(Q(i->vn), es, from) * get_s(m, es, from) * 2, 16 * es, &sat));
        note(x, sat && (es == 2 ? lane_on(mask, 2, from) : mask >> 8 * n & 0x11));
    }
    merge(Q(i->vd), &r, mask);
}
M(mve_qdmull) { qdmull(x, i, Q(i->vm)); }
M(mve_qdmullr)
{
    VecReg m = all_lanes(REG(i->rm), 1u << i->size);
    qdmull(x, i, &m);
}

M(mve_pmull)
{
    unsigned es = 1u << i->size;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 8 / es; n++) {
        uint64_t a = get(Q(i->vn), es, 2 * n + (unsigned)i->h), b = get(Q(i->vm), es, 2 * n + (unsigned)i->h), p = 0;
        for (unsigned k = 0; k < 8 * es; k++)
            p ^= b >> k & 1 ? a << k : 0;
        set(&r, 2 * es, n, p);
    }
    merge(Q(i->vd), &r, mve_active(x->c));
}

M(mve_qdmladh) /* x: exchange, results in the odd lanes; op: subtract; r: round */
{
    unsigned es = 1u << i->size, bits = 8 * es;
    uint16_t mask = mve_active(x->c), written = 0;
    VecReg r = { 0 };
    for (unsigned n = (unsigned)i->x; n < 16 / es; n += 2) {
        bool sat = false;
        unsigned other = n ^ 1, mn = i->x ? other : n;
        Wide a = (Wide)get_s(Q(i->vn), es, n) * get_s(Q(i->vm), es, mn),
             b = (Wide)get_s(Q(i->vn), es, other) * get_s(Q(i->vm), es, mn ^ 1);
        Wide sum = (i->op ? a - b : a + b) * 2 + (i->r ? (Wide)1 << (bits - 1) : 0);
        set(&r, es, n, (uint64_t)saturated(sum >> bits, bits, &sat));
        note(x, sat && lane_on(mask, es, n));
        written |= (uint16_t)(((1u << es) - 1) << (n * es));
    }
    merge(Q(i->vd), &r, mask & written);
}

M(mve_qdmla) /* op: VQDMLASH, Rm is added; r: round */
{
    unsigned es = 1u << i->size, bits = 8 * es;
    uint16_t mask = mve_active(x->c);
    VecReg r = { 0 }, m = all_lanes(REG(i->rm), es);
    for (unsigned n = 0; n < 16 / es; n++) {
        bool sat = false;
        int64_t d = get_s(Q(i->vd), es, n), k = get_s(&m, es, n);
        Wide sum = (Wide)get_s(Q(i->vn), es, n) * (i->op ? d : k) * 2 + (Wide)(i->op ? k : d) * ((Wide)1 << bits);
        sum += i->r ? (Wide)1 << (bits - 1) : 0;
        set(&r, es, n, (uint64_t)saturated(sum >> bits, bits, &sat));
        note(x, sat && lane_on(mask, es, n));
    }
    merge(Q(i->vd), &r, mask);
}

/* --- scalar shifts (DDI 0553, LSLL to UQRSHLL): to the left by -127 to 128. Saturation sets APSR.Q --- */
typedef struct Shift { bool is_unsigned, saturate, round; unsigned bits; } Shift;

static uint64_t shift(ArmTrans *x, Wide v, int left, Shift s)
{
    Wide high = (Wide)((((unsigned __int128)1) << (s.bits - !s.is_unsigned)) - 1), low = s.is_unsigned ? 0 : -high - 1;
    if (left <= 0) {
        unsigned right = (unsigned)MIN(-left, 100);
        v = (v + (s.round && right ? (Wide)1 << (right - 1) : 0)) >> right;
    } else if (left > 62 && v) {
        v = !s.saturate ? (left > 63 ? 0 : v << left) : v < 0 ? low - 1 : high + 1;
    } else {
        v = (Wide)((unsigned __int128)v << MIN(left, 62));
    }
    if (!s.saturate || (v >= low && v <= high))
        return (uint64_t)v;
    x->c->q = 1;
    return (uint64_t)(v < low ? low : high);
}

M(long_shift) /* op: LSL LSR ASR; h: by a register, whose negative amounts shift the other way; else by imm */
{
    int amount = i->h ? (int8_t)REG(i->rm) : i->imm ? i->imm : 32;
    uint64_t v = pair(x, i);
    bool is_unsigned = i->op != 2;
    set_pair(x, i,
             shift(x, is_unsigned ? (Wide)v : (Wide)(int64_t)v, i->op == 0 ? amount : -amount,
                   (Shift){ is_unsigned, false, false, 64 }));
    x->it_stored = true;
}

/* op: 0 UQSHL, 1 URSHR, 2 SRSHR, 3 SQSHL, 4 UQRSHL, 5 SQRSHR (by Rm; size 48: saturate to 48 bits) */
static uint64_t rounding_shift(ArmTrans *x, const A32Insn *i, uint64_t v, unsigned bits)
{
    bool is_unsigned = i->op < 2 || i->op == 4, by_reg = i->op >= 4;
    int amount = by_reg ? (int8_t)REG(i->rm) : i->imm ? i->imm : 32;
    bool right = i->op == 1 || i->op == 2 || i->op == 5;
    Wide value = is_unsigned ? (Wide)(v & bits_mask(bits)) : bits == 64 ? (Wide)(int64_t)v : (Wide)(int32_t)v;
    bool saturate = i->op != 1 && i->op != 2;
    return shift(x, value, right ? -amount : amount,
                 (Shift){ is_unsigned, saturate, i->op != 0 && i->op != 3, i->size ? (unsigned)i->size : bits });
}
M(scalar_shift)
{
    REG(i->rd) = (uint32_t)rounding_shift(x, i, REG(i->rd), 32);
    x->it_stored = true;
}
M(scalar_shift2)
{
    set_pair(x, i, rounding_shift(x, i, pair(x, i), 64));
    x->it_stored = true;
}
