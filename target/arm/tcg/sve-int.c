/* SPDX-License-Identifier: MIT */
/* SVE: integer arithmetic by element, reductions, compares (DDI 0487, C8.2). */
#include "target/arm/tcg/sve.h"

static const VecReg zero_register;

/* By-element forms: an element (or a pair) of each 128 bits of m in all elements of that segment. */
static void broadcast(Sve *s, const VecReg *m, unsigned es, unsigned per, unsigned index)
{
    for (unsigned i = 0; i < s->bytes >> es; i++)
        sve_put(&s->tmp, es, i, sve_get(m, es, (i & ~((16u >> es) - 1)) + index * per + i % per));
    s->m = &s->tmp;
}

void sve_open(Sve *s, Vcpu *v, uint64_t desc, uint64_t x1)
{
    s->v = v, s->c = arm_cpu(v), s->desc = desc, s->x1 = x1;
    s->rd = desc & 31, s->rn = desc >> 5 & 31, s->rm = desc >> 10 & 31, s->ra = desc >> 15 & 31,
    s->pgn = desc >> 20 & 31;
    s->es = desc >> SVE_ES_SHIFT & 7, s->esize = 1u << s->es,
    s->bytes = 16 * ((unsigned)(desc >> SVE_VL_SHIFT & 15) + 1);
    s->imm = (int16_t)(desc >> SVE_IMM_SHIFT);
    s->d = &v->v[s->rd], s->n = &v->v[s->rn], s->m = &v->v[s->rm], s->a = &v->v[s->ra];
    s->all = sve_all(s->bytes) & sve_element_bits(s->es);
    s->pg = s->all & (s->pgn == 16 ? ~UINT64_C(0) : s->c->pred[s->pgn][0]);
    switch (desc >> SVE_IM_SHIFT & 15) {
    case SVE_IM_VALUE:
        for (unsigned i = 0; i < sve_elements(s); i++)
            sve_put(&s->tmp, s->es, i, x1);
        s->m = &s->tmp;
        break;
    case SVE_IM_ELEMENT: broadcast(s, s->m, s->es, 1, (unsigned)s->imm); break;
    case SVE_IM_PAIR: broadcast(s, s->m, s->es, 2, (unsigned)s->imm); break;
    case SVE_IM_HALF: broadcast(s, s->m, s->es - 1, 1, (unsigned)s->imm); break;
    default: break;
    }
    if (s->m == s->d) { /* results may be stored before all of it is read */
        s->tmp = *s->m;
        s->m = &s->tmp;
    }
    if (desc >> SVE_REV_SHIFT & 1) {
        const VecReg *n = s->n;
        s->n = s->m, s->m = n;
    }
}

void sve_merge(Sve *s, const VecReg *value)
{
    SVE_SIZES(s, {
        U *dst = (U *)s->d;
        const U *src = (const U *)value;
        for (unsigned i = 0; i < s->bytes / E; i++)
            dst[i] = sve_active(s, i * E) ? src[i] : dst[i];
    })
}

/* --- arithmetic --- */
SVE_EACH(ADD, n + m)
SVE_EACH(SUB, n - m)
SVE_EACH(MUL, (uint64_t)n * m)
SVE_EACH(MLA, a + (uint64_t)n * m)
SVE_EACH(MLS, a - (uint64_t)n * m)
SVE_EACH(SMAX, (S)n > (S)m ? n : m)
SVE_EACH(SMIN, (S)n < (S)m ? n : m)
SVE_EACH(UMAX, n > m ? n : m)
SVE_EACH(UMIN, n < m ? n : m)
SVE_EACH(SABD, (S)n > (S)m ? n - m : m - n)
SVE_EACH(UABD, n > m ? n - m : m - n)
SVE_EACH(SABA, d + ((S)n > (S)m ? n - m : m - n))
SVE_EACH(UABA, d + (n > m ? n - m : m - n))
SVE_EACH(SMULH, (unsigned __int128)((__int128)(S)n * (S)m) >> (8 * E))
SVE_EACH(UMULH, (unsigned __int128)n * m >> (8 * E))
SVE_EACH(SDIV, m == 0 ? 0 : (U)~m == 0 ? (U)-n : (U)((S)n / (S)m))
SVE_EACH(UDIV, m == 0 ? 0 : n / m)
SVE_EACH(ORR, n | m)
SVE_EACH(EOR, n ^ m)
SVE_EACH(AND, n & m)
SVE_EACH(BIC, n & ~m)
SVE_EACH(EOR3, n ^ m ^ a)
SVE_EACH(BCAX, n ^ (m & ~a))
SVE_EACH(BSL, (n & a) | (m & ~a))
SVE_EACH(BSL1N, (~n & a) | (m & ~a))
SVE_EACH(BSL2N, (n & a) | (~m & ~a))
SVE_EACH(NBSL, ~((n & a) | (m & ~a)))
SVE_EACH(MOV, n)
SVE_EACH(ABS, (S)n < 0 ? -n : n)
SVE_EACH(NEG, -n)
SVE_EACH(NOT, ~n)
SVE_EACH(CNOT, n == 0)
SVE_EACH(CNT, __builtin_popcountll(n))
SVE_EACH(CLZ, n ? __builtin_clzll(n) - (64 - 8 * E) : 8 * E)
static unsigned sign_bits(uint64_t v, unsigned bits) /* of v, sign-extended, below the sign */
{
    v ^= (uint64_t)((int64_t)v >> 63);
    return (v ? (unsigned)__builtin_clzll(v) : 64) - (64 - bits) - 1;
}
SVE_EACH(CLS, sign_bits((uint64_t)(int64_t)(S)n, 8 * E))
SVE_EACH(SXTB, (int64_t)(int8_t)n)
SVE_EACH(UXTB, (uint8_t)n)
SVE_EACH(SXTH, (int64_t)(int16_t)n)
SVE_EACH(UXTH, (uint16_t)n)
SVE_EACH(SXTW, (int64_t)(int32_t)n)
SVE_EACH(UXTW, (uint32_t)n)
SVE_EACH(FABS, n & (U)~((U)1 << (8 * E - 1)))
SVE_EACH(FNEG, n ^ (U)((U)1 << (8 * E - 1)))

static uint64_t reverse(uint64_t v, unsigned bytes, unsigned step) /* elements of `step` bytes in an element */
{
    uint64_t r = 0;
    for (unsigned at = 0; at < bytes; at += step)
        r |= (v >> 8 * at & sve_ones(8 * step)) << 8 * (bytes - step - at);
    return r;
}
static uint64_t reverse_bits(uint64_t v, unsigned bits)
{
    uint64_t r = 0;
    for (unsigned n = 0; n < bits; n++)
        r |= (v >> n & 1) << (bits - 1 - n);
    return r;
}
SVE_EACH(REVB, reverse(n, E, 1))
SVE_EACH(REVH, reverse(n, E, 2))
SVE_EACH(REVW, reverse(n, E, 4))
SVE_EACH(RBIT, reverse_bits(n, 8 * E))

/* --- shifts; counts beyond the element shift everything out --- */
SVE_EACH(ASR, (S)n >> (m >= 8 * E ? 8 * E - 1 : m))
SVE_EACH(LSR, m >= 8 * E ? 0 : n >> m)
SVE_EACH(LSL, m >= 8 * E ? 0 : (uint64_t)n << m)
#define WIDE s->m->u64[i * E / 8]
SVE_EACH(ASRW, (S)n >> (WIDE >= 8 * E ? 8 * E - 1 : WIDE))
SVE_EACH(LSRW, WIDE >= 8 * E ? 0 : n >> WIDE)
SVE_EACH(LSLW, WIDE >= 8 * E ? 0 : (uint64_t)n << WIDE)
/* Division by a power of two, towards zero. */
static int64_t divide_shift(int64_t n, unsigned shift)
{
    return (int64_t)(((__int128)n + (n < 0 ? (__int128)sve_ones(shift) : 0)) >> shift);
}
SVE_EACH(ASRD, divide_shift((S)n, (unsigned)m))
SVE(XAR) /* x1: the amount, m: the shift is not a register there */
{
    const VecReg *m = &s->v->v[s->rm];
    unsigned bits = 8 * s->esize, by = (unsigned)s->x1 % bits;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        uint64_t e = sve_get(s->n, s->es, i) ^ sve_get(m, s->es, i);
        sve_put(s->d, s->es, i, by ? e >> by | e << (bits - by) : e);
    }
}

/* --- saturation --- */
#define SMAX_OF(E) ((int64_t)(sve_ones(8 * (E)) >> 1))
static int64_t sat_s(__int128 v, unsigned bytes)
{
    int64_t max = SMAX_OF(bytes);
    return v > max ? max : v < -(__int128)max - 1 ? -max - 1 : (int64_t)v;
}
static uint64_t sat_u(__int128 v, unsigned bytes)
{
    uint64_t max = sve_ones(8 * bytes);
    return v > (__int128)max ? max : v < 0 ? 0 : (uint64_t)v;
}
SVE_EACH(SQADD, sat_s((__int128)(S)n + (S)m, E))
SVE_EACH(SQADDI, sat_s((__int128)(S)n + s->x1, E)) /* immediates are unsigned */
SVE_EACH(SQSUBI, sat_s((__int128)(S)n - s->x1, E))
SVE_EACH(UQADD, sat_u((__int128)n + m, E))
SVE_EACH(SQSUB, sat_s((__int128)(S)n - (S)m, E))
SVE_EACH(UQSUB, sat_u((__int128)n - m, E))
/* All of a vector by x1, or by -x1. imm: 1 minus, 2 unsigned. */
SVE(SATV)
{
    __int128 by = s->imm & 1 ? -(__int128)s->x1 : (__int128)s->x1;
    for (unsigned i = 0; i < sve_elements(s); i++)
        sve_put(s->d, s->es, i,
                s->imm & 2 ? sat_u(sve_get(s->d, s->es, i) + by, s->esize)
                           : (uint64_t)sat_s(sve_gets(s->d, s->es, i) + by, s->esize));
}
/* A general register by x1; imm: 1 minus, 2 unsigned, 4: 64 bits. */
static void saturate_x(Sve *s, uint64_t count)
{
    unsigned bytes = s->imm & 4 ? 8 : 4;
    __int128 by = s->imm & 1 ? -(__int128)count : (__int128)count;
    uint64_t x = sve_x(s, s->rd);
    if (s->imm & 2)
        sve_put_x(s, s->rd, sat_u((bytes == 8 ? x : (uint32_t)x) + by, bytes));
    else
        sve_put_x(s, s->rd, (uint64_t)sat_s((bytes == 8 ? (int64_t)x : (int32_t)x) + by, bytes));
}
SVE(SATX) { saturate_x(s, s->x1); }

/* --- by a count of a predicate's elements (INCP and kin): pn is rn --- */
static uint64_t pred_count(Sve *s, unsigned n) { return (uint64_t)__builtin_popcountll(*sve_pred(s, n) & s->all); }
SVE(INCPV)
{
    uint64_t by = pred_count(s, s->rm);
    for (unsigned i = 0; i < sve_elements(s); i++)
        sve_put(s->d, s->es, i, sve_get(s->d, s->es, i) + (s->imm & 1 ? -by : by));
}
SVE(INCPX) { sve_put_x(s, s->rd, sve_x(s, s->rd) + (s->imm & 1 ? -pred_count(s, s->rm) : pred_count(s, s->rm))); }
SVE(SATPV)
{
    s->x1 = pred_count(s, s->rm);
    body_SATV(s);
}
SVE(SATPX) { saturate_x(s, pred_count(s, s->rm)); }
SVE(CNTP) { sve_put_x(s, s->rd, (uint64_t)__builtin_popcountll(*sve_pred(s, s->rn) & s->pg)); }

/* --- reductions --- */
#define REDUCE(id, type, start, op, out_es) \
    SVE(id) \
    { \
        SVE_SIZES(s, { \
            const type *src = (const type *)s->n; \
            uint64_t r = (uint64_t)(start); \
            for (unsigned i = 0; i < s->bytes / E; i++) { \
                if (sve_active(s, i * E)) { \
                    const type e = src[i]; \
                    r = (uint64_t)(op); \
                } \
            } \
            sve_set_scalar(s, out_es, r); \
        }) \
    }
REDUCE(SADDV, S, 0, r + (uint64_t)(int64_t)e, 3)
REDUCE(UADDV, U, 0, r + e, 3)
REDUCE(ORV, U, 0, r | e, s->es)
REDUCE(EORV, U, 0, r ^ e, s->es)
REDUCE(ANDV, U, ~UINT64_C(0), r & e, s->es)
REDUCE(SMAXV, S, -SMAX_OF(E) - 1, e > (int64_t)r ? e : (int64_t)r, s->es)
REDUCE(SMINV, S, SMAX_OF(E), e < (int64_t)r ? e : (int64_t)r, s->es)
REDUCE(UMAXV, U, 0, e > r ? e : r, s->es)
REDUCE(UMINV, U, sve_ones(8 * E), e < r ? e : r, s->es)

/* --- compares: a predicate and the flags --- */
#define COMPARE_AS(id, type, wide, expr) \
    SVE(id) \
    { \
        uint64_t r = 0; \
        SVE_SIZES(s, { \
            const type *src_n = (const type *)s->n, *src_m = (const type *)s->m; \
            for (unsigned i = 0; i < s->bytes / E; i++) { \
                const type n = src_n[i]; \
                wide \
                r |= (uint64_t)(expr) << (i * E); \
            } \
        }) \
        r &= s->pg; \
        sve_test(s, s->pg, r); \
        *sve_pred(s, s->rd) = r; \
    }
#define NARROW const __typeof__(n) m = src_m[i];
#define WIDE_S const int64_t m = s->m->s64[i * E / 8]; (void)src_m;
#define WIDE_U const uint64_t m = s->m->u64[i * E / 8]; (void)src_m;
COMPARE_AS(CMPHS, U, NARROW, n >= m)
COMPARE_AS(CMPHI, U, NARROW, n > m)
COMPARE_AS(CMPLO, U, NARROW, n < m)
COMPARE_AS(CMPLS, U, NARROW, n <= m)
COMPARE_AS(CMPGE, S, NARROW, n >= m)
COMPARE_AS(CMPGT, S, NARROW, n > m)
COMPARE_AS(CMPLT, S, NARROW, n < m)
COMPARE_AS(CMPLE, S, NARROW, n <= m)
COMPARE_AS(CMPEQ, U, NARROW, n == m)
COMPARE_AS(CMPNE, U, NARROW, n != m)
COMPARE_AS(CMPWEQ, S, WIDE_S, n == m)
COMPARE_AS(CMPWNE, S, WIDE_S, n != m)
COMPARE_AS(CMPWGE, S, WIDE_S, n >= m)
COMPARE_AS(CMPWGT, S, WIDE_S, n > m)
COMPARE_AS(CMPWLT, S, WIDE_S, n < m)
COMPARE_AS(CMPWLE, S, WIDE_S, n <= m)
COMPARE_AS(CMPWHS, U, WIDE_U, n >= m)
COMPARE_AS(CMPWHI, U, WIDE_U, n > m)
COMPARE_AS(CMPWLO, U, WIDE_U, n < m)
COMPARE_AS(CMPWLS, U, WIDE_U, n <= m)

/* --- others --- */
SVE(INDEX) /* ra: 1 the start, 2 the step is a register; imm: the immediates */
{
    int64_t start = bits_sget((uint64_t)s->imm, 0, 5), step = bits_sget((uint64_t)s->imm, 5, 5);
    uint64_t at = s->ra & 1 ? sve_x(s, s->rn) : (uint64_t)start, by = s->ra & 2 ? sve_x(s, s->rm) : (uint64_t)step;
    for (unsigned i = 0; i < sve_elements(s); i++, at += by)
        sve_put(s->d, s->es, i, at);
}
SVE(ADR) /* ra: 0 sxtw, 1 uxtw, 2 and 3 packed */
{
    for (unsigned i = 0; i < sve_elements(s); i++) {
        uint64_t m = sve_get(s->m, s->es, i);
        m = s->ra == 0 ? (uint64_t)(int64_t)(int32_t)m : s->ra == 1 ? (uint32_t)m : m;
        sve_put(s->d, s->es, i, sve_get(s->n, s->es, i) + (m << s->imm));
    }
}
/* Sums of products of elements of a quarter of the size. */
static void dot(Sve *s, bool signed_n, bool signed_m)
{
    unsigned q = s->es - 2;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        uint64_t sum = sve_get(s->d, s->es, i);
        for (unsigned k = 4 * i; k < 4 * i + 4; k++)
            sum += (uint64_t)((signed_n ? sve_gets(s->n, q, k) : (int64_t)sve_get(s->n, q, k)) *
                              (signed_m ? sve_gets(s->m, q, k) : (int64_t)sve_get(s->m, q, k)));
        sve_put(s->d, s->es, i, sum);
    }
}
SVE(SDOT) { dot(s, true, true); }
SVE(UDOT) { dot(s, false, false); }
SVE(USDOT) { dot(s, false, true); }
SVE(SUDOT) { dot(s, true, false); }

/* 2 x 8 by 8 x 2 bytes in each 128 bits. */
static void matrix(Sve *s, bool signed_n, bool signed_m)
{
    VecReg r = *s->d;
    for (unsigned e = 0; e < s->bytes / 4; e++) {
        unsigned base = e / 4 * 16, row = base + (e >> 1 & 1) * 8, column = base + (e & 1) * 8;
        int32_t sum = 0;
        for (unsigned k = 0; k < 8; k++)
            sum += (signed_n ? s->n->s8[row + k] : s->n->u8[row + k]) *
                   (signed_m ? s->m->s8[column + k] : s->m->u8[column + k]);
        r.u32[e] += (uint32_t)sum;
    }
    sve_set(s, &r);
}
SVE(SMMLA) { matrix(s, true, true); }
SVE(UMMLA) { matrix(s, false, false); }
SVE(USMMLA) { matrix(s, false, true); }

SVE(MOVZ)
{
    VecReg r = zero_register;
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            sve_put(&r, s->es, i, sve_get(s->n, s->es, i));
    sve_set(s, &r);
}
/* An immediate; imm: inactive elements become zero. */
SVE(MOVM)
{
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (s->imm || sve_active(s, i << s->es))
            sve_put(s->d, s->es, i, sve_active(s, i << s->es) ? s->x1 : 0);
}
