/* SPDX-License-Identifier: MIT */
/*
 * MVE: floating point that crosses lanes or changes their size. Always as StandardFPSCRValue() says; lanes that are off
 * leave no flags.
 */
#include "accel/tcg/softfp.h"
#include "target/arm/tcg/mve.h"

static FpEnv begin(const ArmTrans *x)
{
    uint32_t rules = x->c->v.fp_rules;
    return (FpEnv){
        .rmode = FP_ROUND_NEAREST, .dn = true, .fz = true, .fz16 = rules & FP_RULE_FZ16, .ahp = rules & FP_RULE_AHP
    };
}

static void end(ArmTrans *x, const FpEnv *e)
{
    x->c->v.fp_control |= e->flags & 0x3f;
    x->c->v.fp_more |= e->flags & FPF_ID ? FP_MORE_IDC : 0;
}

/* The lane's flags count only when it is on. */
typedef uint64_t LaneFn(FpEnv *e, ArmTrans *x, const A32Insn *i, unsigned es, unsigned n);

static void lanes(ArmTrans *x, const A32Insn *i, LaneFn *fn, unsigned es)
{
    uint16_t mask = mve_active(x->c);
    FpEnv e = begin(x);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++) {
        FpEnv off = e;
        set(&r, es, n, fn(lane_on(mask, es, n) ? &e : &off, x, i, es, n));
    }
    end(x, &e);
    merge(Q(i->vd), &r, mask);
}

static uint64_t negated(unsigned es, uint64_t a) { return a ^ UINT64_C(1) << (8 * es - 1); }
static uint64_t absolute(unsigned es, uint64_t a) { return a & bits_mask(8 * es - 1); }

static uint64_t cadd(FpEnv *e, ArmTrans *x, const A32Insn *i, unsigned es, unsigned n) /* rot: 90, 270 */
{
    uint64_t a = get(Q(i->vn), es, n), b = get(Q(i->vm), es, n ^ 1);
    return (n & 1) == !i->rot ? fp_add(e, es, a, b) : fp_sub(e, es, a, b);
}
M(mve_fcadd) { lanes(x, i, cadd, 1u << i->size); }

/* The factors of lane n for a rotation by rot * 90 degrees. */
static void factors(ArmTrans *x, const A32Insn *i, unsigned es, unsigned n, uint64_t *a, uint64_t *b)
{
    static const uint8_t negative[4][2] = { { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 } };
    unsigned rot = (unsigned)i->rot, base = n & ~1u;
    *a = get(Q(i->vn), es, base + (rot & 1));
    *b = get(Q(i->vm), es, rot & 1 ? n ^ 1 : n);
    if (negative[rot][n & 1])
        *b = negated(es, *b);
}

static uint64_t cmul(FpEnv *e, ArmTrans *x, const A32Insn *i, unsigned es, unsigned n)
{
    uint64_t a, b;
    factors(x, i, es, n, &a, &b);
    return fp_mul(e, es, a, b);
}
M(mve_fcmul) { lanes(x, i, cmul, 1u << i->size); }

static uint64_t cmla(FpEnv *e, ArmTrans *x, const A32Insn *i, unsigned es, unsigned n)
{
    uint64_t a, b;
    factors(x, i, es, n, &a, &b);
    return fp_muladd(e, es, es, get(Q(i->vd), es, n), a, b);
}
M(mve_fcmla) { lanes(x, i, cmla, 1u << i->size); }

static uint64_t maxa(FpEnv *e, ArmTrans *x, const A32Insn *i, unsigned es, unsigned n) /* op: minimum */
{
    uint64_t a = absolute(es, get(Q(i->vd), es, n)), b = absolute(es, get(Q(i->vm), es, n));
    return i->op ? fp_minnm(e, es, a, b) : fp_maxnm(e, es, a, b);
}
M(mve_fmaxa) { lanes(x, i, maxa, 1u << i->size); }

/* A signaling NaN is an invalid operation, and a quiet one from then on. */
static uint64_t quieted(FpEnv *e, unsigned es, uint64_t v)
{
    unsigned top = es == 2 ? 9 : 22;
    uint64_t exponent = (es == 2 ? UINT64_C(0x1f) : UINT64_C(0xff)) << (top + 1);
    if ((v & exponent) != exponent || !(v & bits_mask(top + 1)) || v >> top & 1)
        return v;
    e->flags |= FPF_INVALID;
    return v | UINT64_C(1) << top;
}

M(mve_fmaxv) /* y: of magnitudes; op: minimum */
{
    unsigned es = 1u << i->size;
    uint16_t mask = mve_active(x->c);
    FpEnv e = begin(x);
    uint64_t best = REG(i->rd) & bits_mask(8 * es);
    for (unsigned n = 0; n < 16 / es; n++) {
        uint64_t v = get(Q(i->vm), es, n);
        v = i->y ? absolute(es, v) : v;
        if (!lane_on(mask, es, n))
            continue;
        best = quieted(&e, es, best);
        v = quieted(&e, es, v);
        best = i->op ? fp_minnm(&e, es, best, v) : fp_maxnm(&e, es, best, v);
    }
    end(x, &e);
    REG(i->rd) = best;
}

/* --- between single and half; h: the top halves --- */
M(mve_half_to_single)
{
    uint16_t mask = mve_active(x->c);
    FpEnv e = begin(x);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 4; n++) {
        FpEnv off = e;
        unsigned from = 2 * n + (unsigned)i->h;
        r.u32[n] = (uint32_t)fp_convert(lane_on(mask, 2, from) ? &e : &off, 2, 4, Q(i->vm)->u16[from]);
    }
    end(x, &e);
    merge(Q(i->vd), &r, mask);
}

M(mve_single_to_half)
{
    uint16_t mask = mve_active(x->c);
    FpEnv e = begin(x);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 4; n++) {
        FpEnv off = e;
        unsigned to = 2 * n + (unsigned)i->h;
        r.u16[to] = (uint16_t)fp_convert(lane_on(mask, 4, n) ? &e : &off, 4, 2, Q(i->vm)->u32[n]);
    }
    end(x, &e);
    merge(Q(i->vd), &r, mask & (i->h ? 0xcccc : 0x3333));
}

/* --- fixed point: imm: 64 less the fraction bits; l: to fixed point --- */
static uint64_t fixed(FpEnv *e, ArmTrans *x, const A32Insn *i, unsigned es, unsigned n)
{
    unsigned fraction = (es == 2 ? 16 : 32) - (unsigned)i->imm;
    uint64_t a = get(Q(i->vm), es, n);
    return i->l ? fp_to_int(e, es, a, FP_ROUND_ZERO, 8 * es, i->u, fraction)
                : fp_from_int(e, es, a, 8 * es, i->u, fraction);
}
M(mve_fixed) { lanes(x, i, fixed, 1u << i->size); }
