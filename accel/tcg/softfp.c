/* SPDX-License-Identifier: MIT */
/*
 * Exact IEEE 754 arithmetic on integers. IEEE 754-2008; DDI 0487 J1.3 "shared/functions/float" for what it leaves open.
 */
#include "accel/tcg/simd.h"
#include "accel/tcg/softfp.h"
#include "base/bits.h"

typedef unsigned __int128 u128;
typedef enum Class { ZERO, FINITE, INF, QNAN, SNAN } Class;
/* FINITE: frac (bit 63 set) * 2^(exp - 63). NaN: the fraction field from bit 62 down. */
typedef struct Num { Class cls; bool sign; int exp; uint64_t frac; } Num;
typedef struct Format { uint8_t ebits, mbits, bits; } Format;

static Format format_of(unsigned es)
{
    static const Format f[9] = {
        [2] = { 5, 10, 16 }, [FP_BF16] = { 8, 7, 16 }, [4] = { 8, 23, 32 }, [8] = { 11, 52, 64 }
    };
    return f[es];
}
static int bias(Format f) { return (1 << (f.ebits - 1)) - 1; }
static uint64_t sign_bit(Format f, bool s) { return (uint64_t)s << (f.bits - 1); }
static uint64_t exp_max(Format f) { return bits_mask(f.ebits) << f.mbits; }
static uint64_t quiet_bit(Format f) { return UINT64_C(1) << (f.mbits - 1); }
static uint64_t default_nan(Format f) { return exp_max(f) | quiet_bit(f); }
static uint64_t infinity(Format f, bool s) { return sign_bit(f, s) | exp_max(f); }
static bool flushes(const FpEnv *e, unsigned es) { return es == 2 ? e->fz16 : e->fz; }
static bool is_nan(const Num *n) { return n->cls >= QNAN; }

static Num unpack_plain(unsigned es, uint64_t x)
{
    Format f = format_of(es);
    Num n = { .sign = x >> (f.bits - 1) & 1 };
    uint64_t m = x & bits_mask(f.mbits), ex = x >> f.mbits & bits_mask(f.ebits);
    if (ex == bits_mask(f.ebits)) {
        n.cls = !m ? INF : m & quiet_bit(f) ? QNAN : SNAN;
        n.frac = m << (63 - f.mbits);
    } else if (!ex && !m) {
        n.cls = ZERO;
    } else {
        n.cls = FINITE;
        n.exp = ex ? (int)ex - bias(f) : 1 - bias(f);
        n.frac = (m | (ex ? UINT64_C(1) << f.mbits : 0)) << (63 - f.mbits);
        int shift = __builtin_clzll(n.frac);
        n.frac <<= shift, n.exp -= shift;
    }
    return n;
}

/* An operand: with the flush of denormals. */
static Num unpack(FpEnv *e, unsigned es, uint64_t x)
{
    Num n = unpack_plain(es, x);
    if (n.cls == FINITE && n.exp < 1 - bias(format_of(es)) && flushes(e, es)) {
        n.cls = ZERO;
        if (es != 2)
            e->flags |= FPF_ID;
    }
    return n;
}

static uint64_t nan_result(FpEnv *e, unsigned es, const Num *n)
{
    Format f = format_of(es);
    if (n->cls == SNAN)
        e->flags |= FPF_INVALID;
    if (e->dn)
        return default_nan(f);
    return infinity(f, n->sign) | quiet_bit(f) | n->frac >> (63 - f.mbits);
}

static uint64_t invalid(FpEnv *e, unsigned es)
{
    e->flags |= FPF_INVALID;
    return default_nan(format_of(es));
}

/* The NaN that results, or NULL: signalling ones first, each kind in order. */
static const Num *pick_nan(const Num *a, const Num *b, const Num *c)
{
    const Num *n[3] = { a, b, c };
    for (int k = 0; k < 3; k++)
        if (n[k] && n[k]->cls == SNAN)
            return n[k];
    for (int k = 0; k < 3; k++)
        if (n[k] && n[k]->cls == QNAN)
            return n[k];
    return NULL;
}

static bool rounds_up(unsigned rmode, bool sign, bool odd,
                      int half /* remainder against one half: -2 exact, -1, 0, 1 */)
{
    switch (rmode) {
    case FP_ROUND_NEAREST: return half > 0 || (half == 0 && odd);
    case FP_ROUND_AWAY: return half >= 0;
    case FP_ROUND_DOWN: return half > -2 && sign;
    case FP_ROUND_UP: return half > -2 && !sign;
    case FP_ROUND_ODD: return half > -2 && !odd;
    default: return false;
    }
}

/* m >> drop; how what is lost compares with one half of the last bit. */
static u128 split(u128 m, unsigned drop, int *half)
{
    if (!drop) {
        *half = -2;
        return m;
    }
    if (drop > 128) {
        *half = m ? -1 : -2;
        return 0;
    }
    u128 rest = drop == 128 ? m : m & (((u128)1 << drop) - 1), middle = (u128)1 << (drop - 1);
    *half = !rest ? -2 : rest < middle ? -1 : rest == middle ? 0 : 1;
    return drop == 128 ? 0 : m >> drop;
}

static uint64_t overflowed(FpEnv *e, unsigned es, bool sign)
{
    Format f = format_of(es);
    if (es == 2 && e->alternative) { /* no infinities: saturates */
        e->flags |= FPF_INVALID;
        return sign_bit(f, sign) | 0x7fff;
    }
    e->flags |= FPF_OVERFLOW | FPF_INEXACT;
    bool to_inf = e->rmode == FP_ROUND_NEAREST || e->rmode == FP_ROUND_AWAY || (e->rmode == FP_ROUND_UP && !sign) ||
                  (e->rmode == FP_ROUND_DOWN && sign);
    return infinity(f, sign) - !to_inf;
}

/* m * 2^(exp - 127), m not 0 (its last bit may be sticky), as a number of the format. */
static uint64_t round_pack(FpEnv *e, unsigned es, bool sign, int exp, u128 m)
{
    Format f = format_of(es);
    while (!(m >> 127)) {
        int n = (uint64_t)(m >> 64) ? __builtin_clzll((uint64_t)(m >> 64)) : 64;
        m <<= n, exp -= n;
    }
    int emin = 1 - bias(f), half;
    bool tiny = exp < emin;
    if (tiny && flushes(e, es)) {
        e->flags |= FPF_UNDERFLOW;
        return sign_bit(f, sign);
    }
    unsigned drop = 127u - f.mbits + (tiny ? (unsigned)(emin - exp) : 0);
    uint64_t q = (uint64_t)split(m, drop, &half);
    q += rounds_up(e->rmode, sign, q & 1, half);
    uint64_t r = tiny ? q : ((uint64_t)(exp - emin) << f.mbits) + q;
    bool ahp = es == 2 && e->alternative;
    if (exp > bias(f) + 1 || r > exp_max(f) + (ahp ? bits_mask(f.mbits) : 0) || (r == exp_max(f) && !ahp))
        return overflowed(e, es, sign);
    if (half != -2)
        e->flags |= FPF_INEXACT | (tiny ? FPF_UNDERFLOW : 0);
    return sign_bit(f, sign) | r;
}

static uint64_t zero_sum(const FpEnv *e, unsigned es, bool same, bool sign)
{
    return sign_bit(format_of(es), same ? sign : e->rmode == FP_ROUND_DOWN);
}

static u128 shift_sticky(u128 m, unsigned n)
{
    if (!n)
        return m;
    return n > 127 ? m != 0 : m >> n | ((m & (((u128)1 << n) - 1)) != 0);
}

/*
 * The exact sum of ma * 2^(ea - 126) and mb * 2^(eb - 126) (bits 126 and 127 may both be the first of an operand's up
 * to bit 126), rounded.
 */
static uint64_t add_finite(FpEnv *e, unsigned es, bool sa, int ea, u128 ma, bool sb, int eb, u128 mb)
{
    if (ea < eb || (ea == eb && ma < mb)) {
        bool s = sa;
        int x = ea;
        u128 m = ma;
        sa = sb, ea = eb, ma = mb, sb = s, eb = x, mb = m;
    }
    mb = shift_sticky(mb, (unsigned)(ea - eb));
    u128 m = sa == sb ? ma + mb : ma - mb;
    if (!m)
        return zero_sum(e, es, false, false);
    return round_pack(e, es, sa, ea + 1, m);
}

static uint64_t add_signed(FpEnv *e, unsigned es, uint64_t a, uint64_t b, bool negate)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a), y = unpack(e, es, b);
    const Num *n = pick_nan(&x, &y, NULL);
    if (n)
        return nan_result(e, es, n);
    y.sign ^= negate;
    if (x.cls == INF && y.cls == INF && x.sign != y.sign)
        return invalid(e, es);
    if (x.cls == INF || y.cls == INF)
        return infinity(f, x.cls == INF ? x.sign : y.sign);
    if (x.cls == ZERO && y.cls == ZERO)
        return zero_sum(e, es, x.sign == y.sign, x.sign);
    if (x.cls == ZERO)
        return round_pack(e, es, y.sign, y.exp, (u128)y.frac << 64);
    if (y.cls == ZERO)
        return round_pack(e, es, x.sign, x.exp, (u128)x.frac << 64);
    return add_finite(e, es, x.sign, x.exp, (u128)x.frac << 63, y.sign, y.exp, (u128)y.frac << 63);
}
uint64_t fp_add(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return add_signed(e, es, a, b, false); }
uint64_t fp_sub(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return add_signed(e, es, a, b, true); }

static uint64_t multiply(FpEnv *e, unsigned es, uint64_t a, uint64_t b, bool x_form)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a), y = unpack(e, es, b);
    const Num *n = pick_nan(&x, &y, NULL);
    bool sign = x.sign != y.sign;
    if (n)
        return nan_result(e, es, n);
    if ((x.cls == INF && y.cls == ZERO) || (x.cls == ZERO && y.cls == INF))
        return x_form ? sign_bit(f, sign) | (uint64_t)(bias(f) + 1) << f.mbits : invalid(e, es);
    if (x.cls == INF || y.cls == INF)
        return infinity(f, sign);
    if (x.cls == ZERO || y.cls == ZERO)
        return sign_bit(f, sign);
    return round_pack(e, es, sign, x.exp + y.exp + 1, (u128)x.frac * y.frac);
}
uint64_t fp_mul(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return multiply(e, es, a, b, false); }
uint64_t fp_mulx(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return multiply(e, es, a, b, true); }

uint64_t fp_div(FpEnv *e, unsigned es, uint64_t a, uint64_t b)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a), y = unpack(e, es, b);
    const Num *n = pick_nan(&x, &y, NULL);
    bool sign = x.sign != y.sign;
    if (n)
        return nan_result(e, es, n);
    if ((x.cls == INF && y.cls == INF) || (x.cls == ZERO && y.cls == ZERO))
        return invalid(e, es);
    if (x.cls == INF || y.cls == ZERO) {
        if (x.cls != INF)
            e->flags |= FPF_DIVZERO;
        return infinity(f, sign);
    }
    if (x.cls == ZERO || y.cls == INF)
        return sign_bit(f, sign);
    u128 m = (u128)x.frac << 63, q = m / y.frac; /* 63 or 64 bits */
    return round_pack(e, es, sign, x.exp - y.exp, (q << 64) | (m % y.frac != 0));
}

static uint64_t root(u128 m, bool *exact) /* the integer square root */
{
    u128 r = 0, rest = m;
    for (u128 bit = (u128)1 << 126; bit; bit >>= 2) {
        if (rest >= r + bit) {
            rest -= r + bit;
            r = (r >> 1) + bit;
        } else {
            r >>= 1;
        }
    }
    *exact = rest == 0;
    return (uint64_t)r;
}

uint64_t fp_sqrt(FpEnv *e, unsigned es, uint64_t a)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a);
    if (is_nan(&x))
        return nan_result(e, es, &x);
    if (x.cls == ZERO)
        return sign_bit(f, x.sign);
    if (x.sign)
        return invalid(e, es);
    if (x.cls == INF)
        return infinity(f, false);
    bool exact;
    uint64_t r = root((u128)x.frac << (x.exp & 1 ? 64 : 63), &exact); /* bit 63 is set */
    return round_pack(e, es, false, x.exp >> 1, (u128)r << 64 | !exact);
}

/* c + a * b scaled by 2^-scale, with one rounding; no NaN among them, and no infinity. */
static uint64_t fused(FpEnv *e, unsigned es, Num c, Num a, Num b, int scale)
{
    bool sign = a.sign != b.sign;
    if (a.cls == ZERO || b.cls == ZERO) {
        if (c.cls == ZERO)
            return zero_sum(e, es, c.sign == sign, sign);
        return round_pack(e, es, c.sign, c.exp - scale, (u128)c.frac << 64);
    }
    u128 p = (u128)a.frac * b.frac;
    int ep = a.exp + b.exp + 1;
    if (!(p >> 127))
        p <<= 1, ep--;
    if (c.cls == ZERO)
        return round_pack(e, es, sign, ep - scale, p);
    /* products have 106 bits at most: what the shift loses is zero */
    return add_finite(e, es, sign, ep - scale, p >> 1, c.sign, c.exp - scale, (u128)c.frac << 63);
}

uint64_t fp_muladd(FpEnv *e, unsigned es, unsigned es_ab, uint64_t c, uint64_t a, uint64_t b)
{
    Format f = format_of(es);
    Num z = unpack(e, es, c), x = unpack(e, es_ab, a), y = unpack(e, es_ab, b);
    bool bad = (x.cls == INF && y.cls == ZERO) || (x.cls == ZERO && y.cls == INF), sign = x.sign != y.sign;
    const Num *n = pick_nan(&z, &x, &y);
    if (n && !(bad && z.cls == QNAN))
        return nan_result(e, es, n);
    if (bad || (z.cls == INF && (x.cls == INF || y.cls == INF) && z.sign != sign))
        return invalid(e, es);
    if (z.cls == INF || x.cls == INF || y.cls == INF)
        return infinity(f, z.cls == INF ? z.sign : sign);
    return fused(e, es, z, x, y, 0);
}

static uint64_t step(FpEnv *e, unsigned es, uint64_t a, uint64_t b, uint64_t constant, int scale, uint64_t special)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a ^ sign_bit(f, true)), y = unpack(e, es, b);
    const Num *n = pick_nan(&x, &y, NULL);
    if (n)
        return nan_result(e, es, n);
    if ((x.cls == INF && y.cls == ZERO) || (x.cls == ZERO && y.cls == INF))
        return special;
    if (x.cls == INF || y.cls == INF)
        return infinity(f, x.sign != y.sign);
    return fused(e, es, unpack_plain(es, constant), x, y, scale);
}
uint64_t fp_recps(FpEnv *e, unsigned es, uint64_t a, uint64_t b)
{
    Format f = format_of(es);
    uint64_t two = (uint64_t)(bias(f) + 1) << f.mbits;
    return step(e, es, a, b, two, 0, two);
}
uint64_t fp_rsqrts(FpEnv *e, unsigned es, uint64_t a, uint64_t b)
{
    Format f = format_of(es);
    uint64_t three = (uint64_t)(bias(f) + 1) << f.mbits | quiet_bit(f),
             one_and_half = (uint64_t)bias(f) << f.mbits | quiet_bit(f);
    return step(e, es, a, b, three, 1, one_and_half);
}

/* --- comparisons --- */
static int order(const Num *x, const Num *y) /* no NaNs */
{
    if (x->cls == ZERO && y->cls == ZERO)
        return 0;
    if (x->cls == ZERO || (y->cls != ZERO && x->sign != y->sign))
        return (x->cls == ZERO ? !y->sign : x->sign) ? -1 : 1;
    if (y->cls == ZERO)
        return x->sign ? -1 : 1;
    int r = x->cls != y->cls     ? (x->cls > y->cls ? 1 : -1)
            : x->cls == INF      ? 0
            : x->exp != y->exp   ? (x->exp > y->exp ? 1 : -1)
            : x->frac != y->frac ? (x->frac > y->frac ? 1 : -1)
                                 : 0;
    return x->sign ? -r : r;
}

int fp_compare(FpEnv *e, unsigned es, uint64_t a, uint64_t b, bool signal)
{
    Num x = unpack(e, es, a), y = unpack(e, es, b);
    if (is_nan(&x) || is_nan(&y)) {
        if (signal || x.cls == SNAN || y.cls == SNAN)
            e->flags |= FPF_INVALID;
        return 2;
    }
    return order(&x, &y);
}

static uint64_t extreme(FpEnv *e, unsigned es, uint64_t a, uint64_t b, int which, bool number)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a), y = unpack(e, es, b);
    if (number && x.cls == QNAN && y.cls < QNAN)
        x.cls = INF, x.sign = which > 0, x.exp = 0, x.frac = 0;
    else if (number && y.cls == QNAN && x.cls < QNAN)
        y.cls = INF, y.sign = which > 0, y.exp = 0, y.frac = 0;
    const Num *n = pick_nan(&x, &y, NULL);
    if (n)
        return nan_result(e, es, n);
    bool first = order(&x, &y) * which > 0;
    const Num *r = first ? &x : &y;
    if (r->cls == INF)
        return infinity(f, r->sign);
    if (r->cls == ZERO) /* of two zeros: + for the maximum, - for the minimum */
        return sign_bit(f, x.cls != y.cls ? r->sign : which > 0 ? x.sign && y.sign : x.sign || y.sign);
    return first ? a : b;
}
uint64_t fp_max(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return extreme(e, es, a, b, 1, false); }
uint64_t fp_min(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return extreme(e, es, a, b, -1, false); }
uint64_t fp_maxnm(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return extreme(e, es, a, b, 1, true); }
uint64_t fp_minnm(FpEnv *e, unsigned es, uint64_t a, uint64_t b) { return extreme(e, es, a, b, -1, true); }

/* --- estimates: DDI 0487, RecipEstimate(), RecipSqrtEstimate() --- */
uint32_t fp_recip_estimate(uint32_t a)
{
    a = a * 2 + 1;
    return ((1u << 19) / a + 1) / 2;
}
uint32_t fp_rsqrt_estimate(uint32_t a)
{
    a = a < 256 ? a * 2 + 1 : ((a >> 1 << 1) + 1) * 2;
    uint32_t b = 512;
    while ((uint64_t)a * (b + 1) * (b + 1) < (1u << 28))
        b++;
    return (b + 1) / 2;
}

uint64_t fp_recpe(FpEnv *e, unsigned es, uint64_t a)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a);
    if (is_nan(&x))
        return nan_result(e, es, &x);
    if (x.cls == INF)
        return sign_bit(f, x.sign);
    if (x.cls == ZERO) {
        e->flags |= FPF_DIVZERO;
        return infinity(f, x.sign);
    }
    if (x.exp < -bias(f) - 1) /* 1 / x overflows */
        return overflowed(e, es, x.sign);
    if (flushes(e, es) && x.exp >= bias(f) - 1) {
        e->flags |= FPF_UNDERFLOW;
        return sign_bit(f, x.sign);
    }
    int exp = 2 * bias(f) - 1 - (x.exp + bias(f)); /* biased */
    uint64_t frac = (uint64_t)(fp_recip_estimate((uint32_t)(x.frac >> 55)) & 0xff) << 44; /* 52 bits */
    if (exp == 0)
        frac = UINT64_C(1) << 51 | frac >> 1;
    else if (exp == -1)
        frac = UINT64_C(1) << 50 | frac >> 2;
    return sign_bit(f, x.sign) | (uint64_t)(exp < 0 ? 0 : exp) << f.mbits | frac >> (52 - f.mbits);
}

uint64_t fp_rsqrte(FpEnv *e, unsigned es, uint64_t a)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a);
    if (is_nan(&x))
        return nan_result(e, es, &x);
    if (x.cls == ZERO) {
        e->flags |= FPF_DIVZERO;
        return infinity(f, x.sign);
    }
    if (x.sign)
        return invalid(e, es);
    if (x.cls == INF)
        return 0;
    int exp = x.exp + bias(f);
    uint32_t scaled = (uint32_t)(x.frac >> (exp & 1 ? 56 : 55));
    int result = (3 * bias(f) - 1 - exp) / 2;
    return (uint64_t)result << f.mbits | (uint64_t)(fp_rsqrt_estimate(scaled) & 0xff) << (f.mbits - 8);
}

uint64_t fp_recpx(FpEnv *e, unsigned es, uint64_t a)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a);
    if (is_nan(&x))
        return nan_result(e, es, &x);
    uint64_t exp = a & exp_max(f), sign = a & sign_bit(f, true);
    return sign | (exp ? ~exp & exp_max(f) : exp_max(f) - (UINT64_C(1) << f.mbits));
}

/* --- integers --- */
/* |x| * 2^scale rounded to an integer; false: 2^64 or more. */
static bool round_to_int(const Num *x, int scale, unsigned rmode, uint64_t *out, bool *inexact)
{
    *inexact = false;
    *out = 0;
    if (x->cls == ZERO)
        return true;
    int exp = x->exp + scale, half;
    if (exp > 63)
        return false;
    u128 q = split((u128)x->frac << 63, exp < -10 ? 136 : (unsigned)(126 - exp), &half);
    q += rounds_up(rmode, x->sign, (uint64_t)q & 1, half);
    *inexact = half != -2;
    *out = (uint64_t)q;
    return q >> 64 == 0;
}

uint64_t fp_rint(FpEnv *e, unsigned es, uint64_t a, unsigned rmode, bool exact)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a);
    if (is_nan(&x))
        return nan_result(e, es, &x);
    if (x.cls == ZERO)
        return sign_bit(f, x.sign);
    if (x.cls == INF || x.exp >= f.mbits)
        return a;
    bool inexact;
    uint64_t q;
    round_to_int(&x, 0, rmode, &q, &inexact);
    if (inexact && exact)
        e->flags |= FPF_INEXACT;
    if (!q)
        return sign_bit(f, x.sign);
    return round_pack(e, es, x.sign, 63, (u128)q << 64);
}

uint64_t fp_rint_sized(FpEnv *e, unsigned es, uint64_t a, unsigned rmode, unsigned bits)
{
    Format f = format_of(es);
    Num x = unpack(e, es, a);
    bool inexact;
    uint64_t q = 0, limit = UINT64_C(1) << (bits - 1);
    /* the most negative integer */
    if (x.cls >= INF || !round_to_int(&x, 0, rmode, &q, &inexact) || q > limit - !x.sign) {
        e->flags |= FPF_INVALID;
        return sign_bit(f, true) | (uint64_t)(bias(f) + (int)bits - 1) << f.mbits;
    }
    if (inexact)
        e->flags |= FPF_INEXACT;
    return q ? round_pack(e, es, x.sign, 63, (u128)q << 64) : sign_bit(f, x.sign);
}

uint64_t fp_to_int(FpEnv *e, unsigned es, uint64_t a, unsigned rmode, unsigned bits, bool is_unsigned,
                   unsigned fraction_bits)
{
    Num x = unpack(e, es, a);
    if (is_nan(&x)) {
        e->flags |= FPF_INVALID;
        return 0;
    }
    bool inexact = false, fits = x.cls != INF;
    uint64_t q = 0, limit = is_unsigned ? (x.sign ? 0 : bits_mask(bits)) : (UINT64_C(1) << (bits - 1)) - !x.sign;
    fits = fits && round_to_int(&x, (int)fraction_bits, rmode, &q, &inexact) && q <= limit;
    if (!fits) {
        e->flags |= FPF_INVALID;
        q = limit;
    } else if (inexact) {
        e->flags |= FPF_INEXACT;
    }
    return (x.sign ? -q : q) & bits_mask(bits);
}

uint64_t fp_from_int(FpEnv *e, unsigned es, uint64_t a, unsigned bits, bool is_unsigned, unsigned fraction_bits)
{
    a &= bits_mask(bits);
    bool sign = !is_unsigned && a >> (bits - 1) & 1;
    if (sign)
        a = -(uint64_t)bits_sget(a, 0, bits);
    if (!a)
        return 0;
    return round_pack(e, es, sign, 63 - (int)fraction_bits, (u128)a << 64);
}

/* ToInt32 of ECMAScript: modulo 2^32. */
uint64_t fp_jcvt(FpEnv *e, uint64_t a, bool *exact)
{
    Num x = unpack(e, 8, a);
    *exact = false;
    if (x.cls >= INF) {
        e->flags |= FPF_INVALID;
        return 0;
    }
    uint64_t q = 0;
    bool inexact = false;
    if (x.cls == FINITE && x.exp > 63)
        q = x.exp - 63 < 32 ? x.frac << (x.exp - 63) : 0;
    else
        round_to_int(&x, 0, FP_ROUND_ZERO, &q, &inexact);
    bool fits = (x.cls == ZERO || x.exp <= 63) && q <= UINT64_C(0x7fffffff) + x.sign;
    if (!fits)
        e->flags |= FPF_INVALID;
    else if (inexact)
        e->flags |= FPF_INEXACT;
    *exact = fits && !inexact && !(x.cls == ZERO && a >> 63);
    return (uint32_t)(x.sign ? -q : q);
}

/* --- between formats --- */
uint64_t fp_convert(FpEnv *e, unsigned from, unsigned to, uint64_t a)
{
    Format f = format_of(to);
    bool ahp_in = from == 2 && e->ahp, ahp_out = to == 2 && e->ahp, fz16 = e->fz16;
    Num x = unpack_plain(from, a);
    if (ahp_in && (a & 0x7c00) == 0x7c00) {
        x = (Num){ .cls = FINITE, .sign = a >> 15 & 1, .exp = 16, .frac = (a & 0x3ff) << 53 | UINT64_C(1) << 63 };
    } else if (from != 2) { /* conversions from half do not look at FZ16 */
        x = unpack(e, from, a);
    }
    if (is_nan(&x)) {
        if (ahp_out) {
            e->flags |= FPF_INVALID;
            return sign_bit(f, x.sign);
        }
        return nan_result(e, to, &x);
    }
    if (x.cls == INF && ahp_out) {
        e->flags |= FPF_INVALID;
        return sign_bit(f, x.sign) | 0x7fff;
    }
    if (x.cls == INF)
        return infinity(f, x.sign);
    if (x.cls == ZERO)
        return sign_bit(f, x.sign);
    e->alternative = ahp_out;
    e->fz16 = false; /* nor do those to half */
    uint64_t r = round_pack(e, to, x.sign, x.exp, (u128)x.frac << 64);
    e->fz16 = fz16;
    e->alternative = false;
    return r;
}
