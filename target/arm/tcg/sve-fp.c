/* SPDX-License-Identifier: MIT */
/* SVE: floating point (DDI 0487, C8.2; shared pseudocode of the same names). Inactive elements raise no flags. */
#include <float.h>
#include <math.h>
#include "target/arm/tcg/sve.h"

static FpEnv fp_open(const Sve *s)
{
    uint32_t r = s->v->fp_rules;
    /* AHP is not for SVE */
    return (FpEnv){
        .rmode = s->v->fp_control >> 13 & 3, .dn = r & FP_RULE_DN, .fz = r & FP_RULE_FZ, .fz16 = r & FP_RULE_FZ16
    };
}
static void fp_close(Sve *s, const FpEnv *e)
{
    s->v->fp_control |= e->flags & 0x3f;
    if (e->flags & FPF_ID)
        s->v->fp_more |= FP_MORE_IDC;
}
/* A function with `e` (FpEnv) and es (bytes of an element). */
#define SVE_FP(id, ...) \
    SVE(id) \
    { \
        FpEnv env = fp_open(s), *e = &env; \
        const unsigned es = s->esize, count = sve_elements(s); \
        (void)es, (void)count; \
        __VA_ARGS__ \
        fp_close(s, e); \
    }
#define FP_EACH(id, expr) \
    SVE_FP(id, for (unsigned i = 0; i < count; i++) { \
        if (!sve_active(s, i << s->es)) \
            continue; \
        const uint64_t N = sve_get(s->n, s->es, i), M = sve_get(s->m, s->es, i), A = sve_get(s->a, s->es, i); \
        (void)N, (void)M, (void)A; \
        sve_put(s->d, s->es, i, (expr)); \
    })

/*
 * The host's own arithmetic, where all that a result can raise is "inexact" and that is raised already: normal numbers
 * come out, rounded to nearest.
 */
static bool host_may(const Sve *s)
{
    return s->v->fp_control & FPF_INEXACT && !(s->v->fp_control >> 13 & 3) && !(s->v->fp_rules & FP_RULE_FZ);
}
#define HOST_LANES(type, lanes, least, most, host) \
    { \
        const type a = s->n->lanes[i], b = s->m->lanes[i], c = s->a->lanes[i], r = (host); \
        (void)a, (void)b, (void)c; \
        if (fabs(r) > least && fabs(r) <= most) { /* the least one may have been rounded up: underflow */ \
            s->d->lanes[i] = r; \
            continue; \
        } \
    }
/* As FP_EACH; host: of a, b (n, m) and c (the addend). */
#define FP_EACH_HOST(id, expr, host) \
    SVE_FP(id, const bool fast = host_may(s); for (unsigned i = 0; i < count; i++) { \
        if (!sve_active(s, i << s->es)) \
            continue; \
        if (fast && es == 8) \
            HOST_LANES(double, f64, DBL_MIN, DBL_MAX, host) \
        else if (fast && es == 4) \
            HOST_LANES(float, f32, FLT_MIN, FLT_MAX, host) \
        const uint64_t N = sve_get(s->n, s->es, i), M = sve_get(s->m, s->es, i), A = sve_get(s->a, s->es, i); \
        (void)N, (void)M, (void)A; \
        sve_put(s->d, s->es, i, (expr)); \
    })

static uint64_t sign_of(unsigned es) { return UINT64_C(1) << (8 * es - 1); }
static uint64_t negated(unsigned es, uint64_t a) { return a ^ sign_of(es); }
static uint64_t absolute(unsigned es, uint64_t a) { return a & (sign_of(es) - 1); }
static unsigned mantissa_bits(unsigned es) { return es == 2 ? 10 : es == 4 ? 23 : 52; }
static int bias_of(unsigned es) { return es == 2 ? 15 : es == 4 ? 127 : 1023; }
static uint64_t power_of_two(unsigned es, int n) { return (uint64_t)(n + bias_of(es)) << mantissa_bits(es); }
static uint64_t infinity_of(unsigned es) { return power_of_two(es, bias_of(es) + 1); }
static bool is_nan(unsigned es, uint64_t a) { return absolute(es, a) > infinity_of(es); }

FP_EACH_HOST(FADD, fp_add(e, es, N, M), a + b)
FP_EACH_HOST(FSUB, fp_sub(e, es, N, M), a - b)
FP_EACH_HOST(FMUL, fp_mul(e, es, N, M), a * b)
FP_EACH_HOST(FDIV, fp_div(e, es, N, M), a / b)
FP_EACH_HOST(FMAX, fp_max(e, es, N, M), a > b ? a : a <= b ? b : 0)
FP_EACH_HOST(FMIN, fp_min(e, es, N, M), a < b ? a : a >= b ? b : 0)
FP_EACH(FMAXNM, fp_maxnm(e, es, N, M))
FP_EACH(FMINNM, fp_minnm(e, es, N, M))
FP_EACH(FMULX, fp_mulx(e, es, N, M))
FP_EACH(FABD, absolute(es, fp_sub(e, es, N, M)))
FP_EACH(FRECPS, fp_recps(e, es, N, M))
FP_EACH(FRSQRTS, fp_rsqrts(e, es, N, M))
FP_EACH(FRECPE, fp_recpe(e, es, N))
FP_EACH(FRSQRTE, fp_rsqrte(e, es, N))
FP_EACH(FRECPX, fp_recpx(e, es, N))
FP_EACH_HOST(FSQRT, fp_sqrt(e, es, N), sizeof(a) == 4 ? sqrtf((float)a) : sqrt(a))
FP_EACH(FRINT, fp_rint(e, es, N, (s->imm & 7) == FP_ROUND_CURRENT ? e->rmode : (unsigned)s->imm & 7, s->imm & 8))
FP_EACH_HOST(FMLA, fp_muladd(e, es, es, A, N, M), sizeof(a) == 4 ? fmaf((float)a, (float)b, (float)c) : fma(a, b, c))
FP_EACH_HOST(FMLS, fp_muladd(e, es, es, A, negated(es, N), M),
             sizeof(a) == 4 ? fmaf((float)-a, (float)b, (float)c) : fma(-a, b, c))
FP_EACH_HOST(FNMLA, fp_muladd(e, es, es, negated(es, A), negated(es, N), M),
             sizeof(a) == 4 ? fmaf((float)-a, (float)b, (float)-c) : fma(-a, b, -c))
FP_EACH_HOST(FNMLS, fp_muladd(e, es, es, negated(es, A), N, M),
             sizeof(a) == 4 ? fmaf((float)a, (float)b, (float)-c) : fma(a, b, -c))

/* n * 2^m with one rounding. */
static uint64_t scale(FpEnv *e, unsigned es, uint64_t n, int64_t m)
{
    int emax = bias_of(es), emin = 1 - emax;
    uint64_t exp = absolute(es, n) >> mantissa_bits(es);
    if (!absolute(es, n) || absolute(es, n) >= infinity_of(es))
        return fp_mul(e, es, n, power_of_two(es, 0));
    for (unsigned steps = 0; m > emax && steps < 3; steps++, m -= emax)
        n = fp_mul(e, es, n, power_of_two(es, emax));
    if (m < emin && exp > 1) { /* what the exponent allows is exact */
        int64_t by = MIN((int64_t)exp - 1, emin - m);
        n -= (uint64_t)by << mantissa_bits(es);
        m += by;
    }
    return fp_mul(e, es, n, power_of_two(es, (int)CLAMP(m, emin, emax)));
}
FP_EACH(FSCALE, scale(e, es, N, sve_gets(s->m, s->es, i)))

/* --- trigonometry and exponentials --- */
static uint64_t signed_square(FpEnv *e, unsigned es, uint64_t n, uint64_t m)
{
    uint64_t r = fp_mul(e, es, n, n);
    return is_nan(es, r) ? r : absolute(es, r) | (m & 1) << (8 * es - 1);
}
FP_EACH(FTSMUL, signed_square(e, es, N, M))
FP_EACH(FTSSEL, (M & 1 ? power_of_two(es, 0) : N) ^ (M & 2 ? sign_of(es) : 0))
/* 2^(i/64), the fraction alone */
static uint64_t exponential(unsigned es, uint64_t n)
{
    unsigned index = es == 2 ? 5 : 6, mantissa = mantissa_bits(es);
    long double f = exp2l((long double)(n & sve_ones(index)) / (1u << index)) - 1;
    uint64_t fraction = (uint64_t)llroundl(ldexpl(f, (int)mantissa));
    return (n >> index & sve_ones(8 * es - 1 - mantissa)) << mantissa | fraction;
}
FP_EACH(FEXPA, exponential(es, N))
static uint64_t trig_coefficient(unsigned es, unsigned i)
{
    static const uint16_t h[16] = { 0x3c00, 0xb155, 0x2030, 0, 0, 0, 0, 0, 0x3c00, 0xb800, 0x293a };
    static const uint32_t f[16] = { 0x3f800000, 0xbe2aaaab, 0x3c088886, 0xb95008b9, 0x36369d6d, 0, 0, 0,
                                    0x3f800000, 0xbf000000, 0x3d2aaaa6, 0xbab60705, 0x37cd37cc };
    static const uint64_t d[16] = { 0x3ff0000000000000, 0xbfc5555555555543, 0x3f8111111110f30c, 0xbf2a01a019b92fc6,
                                    0x3ec71de351f3d22b, 0xbe5ae5e2b60f7b91, 0x3de5d8408868552f, 0,
                                    0x3ff0000000000000, 0xbfe0000000000000, 0x3fa5555555555536, 0xbf56c16c16c13a0b,
                                    0x3efa01a019b1e8d8, 0xbe927e4f7282f468, 0x3e21ee96d2641b13, 0xbda8f76380fbb401 };
    return es == 2 ? h[i] : es == 4 ? f[i] : d[i];
}
FP_EACH(FTMAD,
        fp_muladd(e, es, es, trig_coefficient(es, (unsigned)s->imm + (M & sign_of(es) ? 8 : 0)), N, absolute(es, M)))

/* --- compares: no flags of PSTATE --- */
#define FP_COMPARE(id, a, b, signal, expr) \
    SVE_FP(id, uint64_t r = 0; for (unsigned i = 0; i < count; i++) { \
        if (!sve_active(s, i << s->es)) \
            continue; \
        const uint64_t N = sve_get(s->n, s->es, i), M = sve_get(s->m, s->es, i); \
        const int o = fp_compare(e, es, a, b, signal); \
        r |= (uint64_t)(expr) << (i << s->es); \
    } *sve_pred(s, s->rd) = r;)
FP_COMPARE(FCMEQ, N, M, false, o == 0)
FP_COMPARE(FCMNE, N, M, false, o != 0)
FP_COMPARE(FCMUO, N, M, false, o == 2)
FP_COMPARE(FCMGE, N, M, true, o == 0 || o == 1)
FP_COMPARE(FCMGT, N, M, true, o == 1)
FP_COMPARE(FCMLE, N, M, true, o <= 0)
FP_COMPARE(FCMLT, N, M, true, o == -1)
FP_COMPARE(FACGE, absolute(es, N), absolute(es, M), true, o == 0 || o == 1)
FP_COMPARE(FACGT, absolute(es, N), absolute(es, M), true, o == 1)

/* --- reductions: halves by halves; inactive elements are `identity` --- */
typedef uint64_t FpOp(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
static uint64_t reduce(FpEnv *e, unsigned es, const uint64_t *p, unsigned n, FpOp *op)
{
    return n == 1 ? p[0] : op(e, es, reduce(e, es, p, n / 2, op), reduce(e, es, p + n / 2, n / 2, op));
}
#define FP_REDUCE(id, op, identity) \
    SVE_FP(id, uint64_t part[32]; for (unsigned i = 0; i < count; i++) \
        part[i] = sve_active(s, i << s->es) ? sve_get(s->n, s->es, i) : (identity); \
    sve_set_scalar(s, s->es, reduce(e, es, part, count, op));)
FP_REDUCE(FADDV, fp_add, 0)
FP_REDUCE(FMAXV, fp_max, infinity_of(es) | sign_of(es))
FP_REDUCE(FMINV, fp_min, infinity_of(es))
FP_REDUCE(FMAXNMV, fp_maxnm, infinity_of(es) | (UINT64_C(1) << (mantissa_bits(es) - 1)))
FP_REDUCE(FMINNMV, fp_minnm, infinity_of(es) | (UINT64_C(1) << (mantissa_bits(es) - 1)))
SVE_FP(FADDA, uint64_t r = sve_get(s->d, s->es, 0); for (unsigned i = 0; i < count; i++)
    if (sve_active(s, i << s->es))
        r = fp_add(e, es, r, sve_get(s->m, s->es, i));
    sve_set_scalar(s, s->es, r);)

/* --- pairs --- */
#define FP_PAIRS(id, op) \
    SVE_FP(id, VecReg r = *s->d; for (unsigned i = 0; i < count; i++) { \
        const VecReg *from = i & 1 ? s->m : s->n; \
        if (sve_active(s, i << s->es)) \
            sve_put(&r, s->es, i, op(e, es, sve_get(from, s->es, i & ~1u), sve_get(from, s->es, i | 1))); \
    } sve_set(s, &r);)
FP_PAIRS(FADDP, fp_add)
FP_PAIRS(FMAXP, fp_max)
FP_PAIRS(FMINP, fp_min)
FP_PAIRS(FMAXNMP, fp_maxnm)
FP_PAIRS(FMINNMP, fp_minnm)

/* Complex numbers: ra is the rotation. */
SVE_FP(FCADD, VecReg r = *s->d; for (unsigned i = 0; i < count; i++) {
    uint64_t m = sve_get(s->m, s->es, i ^ 1);
    if ((i & 1) == s->ra)
        m = negated(es, m);
    if (sve_active(s, i << s->es))
        sve_put(&r, s->es, i, fp_add(e, es, sve_get(s->n, s->es, i), m));
} sve_set(s, &r);)
SVE_FP(FCMLA, VecReg r = *s->d; for (unsigned i = 0; i < count; i++) {
    unsigned flip = s->ra & 1, odd = i & 1;
    uint64_t n = sve_get(s->n, s->es, (i & ~1u) + flip), m = sve_get(s->m, s->es, i ^ flip);
    if (odd ? s->ra >> 1 : (s->ra ^ s->ra >> 1) & 1)
        m = negated(es, m);
    if (sve_active(s, i << s->es))
        sve_put(&r, s->es, i, fp_muladd(e, es, es, sve_get(s->d, s->es, i), n, m));
} sve_set(s, &r);)

/* --- wider accumulators; ra: 1 n's, 2 m's top elements --- */
#define FP_LONG(id, format, sign, shift) \
    SVE_FP(id, for (unsigned i = 0; i < count; i++) { \
        uint64_t n = (sve_get(s->n, 1, 2 * i + (s->ra & 1)) ^ (sign)) << (shift), \
        m = sve_get(s->m, 1, 2 * i + (s->ra >> 1 & 1)) << (shift); \
        sve_put(s->d, 2, i, fp_muladd(e, 4, format, sve_get(s->d, 2, i), n, m)); \
    })
FP_LONG(FMLAL, 2, 0, 0)
FP_LONG(FMLSL, 2, 0x8000, 0)
FP_LONG(BFMLAL, 4, 0, 16)

/* 2 x 2 matrices: rows of n by rows of m. */
SVE_FP(FMMLA, VecReg r = *s->d; for (unsigned i = 0; i < count; i++) {
    unsigned base = i & ~3u, row = base + (i >> 1 & 1) * 2, column = base + (i & 1) * 2;
    uint64_t p0 = fp_mul(e, es, sve_get(s->n, s->es, row), sve_get(s->m, s->es, column));
    uint64_t p1 = fp_mul(e, es, sve_get(s->n, s->es, row + 1), sve_get(s->m, s->es, column + 1));
    sve_put(&r, s->es, i, fp_add(e, es, sve_get(s->d, s->es, i), fp_add(e, es, p0, p1)));
} sve_set(s, &r);)

/* Rows of simd.def that do not care for the number of elements. */
static void row(Sve *s, SimdRow n)
{
    SimdArgs x = { .v = s->v, .a = s->n, .b = s->m, .c = s->d, .es = 4, .bytes = s->bytes };
    simd_fn[n](&x);
    sve_set(s, &x.d);
}
SVE(BFDOT) { row(s, SIMD_BFDOT); }

/* --- conversions: imm: from | to << 4 in bytes, 3: BF16, 128: to odd. The element holds the larger of the two --- */
static uint64_t convert(Sve *s, FpEnv *e, uint64_t n)
{
    unsigned from = (unsigned)s->imm & 15, to = (unsigned)s->imm >> 4 & 15;
    FpEnv odd = *e;
    if (s->imm >> 11 & 1)
        odd.rmode = FP_ROUND_ODD;
    uint64_t r = fp_convert(&odd, from, to, n & sve_ones(8 * from));
    e->flags = odd.flags;
    return r;
}
FP_EACH(FCVT, convert(s, e, N))
SVE_FP(FCVTNT, for (unsigned i = 0; i < count; i++)
    if (sve_active(s, i << s->es))
        sve_put(s->d, s->es - 1, 2 * i + 1, convert(s, e, sve_get(s->n, s->es, i)));)
SVE_FP(FCVTLT, for (unsigned i = 0; i < count; i++)
    if (sve_active(s, i << s->es))
        sve_put(s->d, s->es, i, convert(s, e, sve_get(s->n, s->es - 1, 2 * i + 1)));)
FP_EACH(CVTF, fp_from_int(e, (unsigned)s->imm >> 4, N, 8 * ((unsigned)s->imm & 15), s->ra, 0))
static uint64_t to_integer(Sve *s, FpEnv *e, uint64_t n)
{
    unsigned from = (unsigned)s->imm & 15, bits = 8 * ((unsigned)s->imm >> 4);
    uint64_t r = fp_to_int(e, from, n & sve_ones(8 * from), FP_ROUND_ZERO, bits, s->ra, 0);
    return s->ra ? r : (uint64_t)bits_sget(r, 0, bits);
}
FP_EACH(FCVTZ, to_integer(s, e, N))
static uint64_t logarithm(FpEnv *e, unsigned es, uint64_t n)
{
    uint64_t a = absolute(es, n), exp = a >> mantissa_bits(es);
    if (a && !exp && (es == 2 ? e->fz16 : e->fz)) {
        a = 0;
        e->flags |= es == 2 ? 0 : FPF_ID;
    }
    if (!a || a > infinity_of(es)) {
        e->flags |= FPF_INVALID;
        return sign_of(es);
    }
    if (a == infinity_of(es))
        return sign_of(es) - 1;
    int r = exp ? (int)exp - bias_of(es) : 64 - __builtin_clzll(a) - (int)mantissa_bits(es) - bias_of(es);
    return (uint64_t)(int64_t)r;
}
FP_EACH(FLOGB, logarithm(e, es, N))
