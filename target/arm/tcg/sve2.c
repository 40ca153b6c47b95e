/* SPDX-License-Identifier: MIT */
/*
 * SVE2: integer arithmetic that widens, narrows, saturates and rounds; complex numbers, bits, histograms, cryptography
 * (DDI 0487, C8.2).
 */
#include "target/arm/tcg/sve.h"

typedef __int128 s128;

static s128 shift_left(s128 a, unsigned n) { return (s128)((unsigned __int128)a << n); }
static int64_t sat_s(s128 v, unsigned bytes)
{
    int64_t max = (int64_t)(sve_ones(8 * bytes) >> 1);
    return v > max ? max : v < -(s128)max - 1 ? -max - 1 : (int64_t)v;
}
static uint64_t sat_u(s128 v, unsigned bytes)
{
    uint64_t max = sve_ones(8 * bytes);
    return v > (s128)max ? max : v < 0 ? 0 : (uint64_t)v;
}

/* --- rows of simd.def, over the whole vector; SVE has no sticky saturation flag --- */
static void run(Sve *s, SimdRow n, const VecReg *a, const VecReg *b)
{
    uint32_t more = s->v->fp_more;
    SimdArgs x = { .v = s->v, .a = a, .b = b, .c = s->d, .es = s->esize, .bytes = s->bytes };
    simd_fn[n](&x);
    s->v->fp_more = more;
    sve_merge(s, &x.d);
}
#define ROW(id) SVE(id) { run(s, SIMD_##id, s->n, s->m); }
ROW(SQDMULH) ROW(SQRDMULH) ROW(SQRDMLAH) ROW(SQRDMLSH) ROW(PMUL)
ROW(SQABS) ROW(SQNEG) ROW(URECPE) ROW(URSQRTE)
SVE_EACH(SHADD, ((s128)(S)n + (S)m) >> 1)
SVE_EACH(UHADD, ((s128)n + m) >> 1)
SVE_EACH(SHSUB, ((s128)(S)n - (S)m) >> 1)
SVE_EACH(UHSUB, ((s128)n - m) >> 1)
SVE_EACH(SRHADD, ((s128)(S)n + (S)m + 1) >> 1)
SVE_EACH(URHADD, ((s128)n + m + 1) >> 1)
SVE(SUQADD) { run(s, SIMD_SUQADD, s->m, s->n); }
SVE(USQADD) { run(s, SIMD_USQADD, s->m, s->n); }
/* Counts are whole elements here: beyond a byte's range they do what its ends do. */
static void shift(Sve *s, SimdRow n, bool right)
{
    VecReg by;
    for (unsigned i = 0; i < sve_elements(s); i++)
        sve_put(&by, s->es, i,
                (uint64_t)(right ? -sve_gets(s->m, s->es, i) : CLAMP(sve_gets(s->m, s->es, i), -100, 100)));
    run(s, n, s->n, &by);
}
#define SHIFT(id) SVE(id) { shift(s, SIMD_##id, false); }
SHIFT(SRSHL) SHIFT(URSHL) SHIFT(SQSHL) SHIFT(UQSHL) SHIFT(SQRSHL) SHIFT(UQRSHL)
SVE(SRSHR) { shift(s, SIMD_SRSHL, true); }
SVE(URSHR) { shift(s, SIMD_URSHL, true); }
static void accumulate(Sve *s, SimdRow n)
{
    VecReg old = *s->d;
    s->pg = s->all;
    shift(s, n, true);
    for (unsigned i = 0; i < sve_elements(s); i++)
        sve_put(s->d, s->es, i, sve_get(s->d, s->es, i) + sve_get(&old, s->es, i));
}
SVE(SRSRA) { accumulate(s, SIMD_SRSHL); }
SVE(URSRA) { accumulate(s, SIMD_URSHL); }
SVE_EACH(SQSHLU, sat_u(shift_left((S)n, (unsigned)m), E))
#define ALL_EACH(id, expr) \
    SVE(id) \
    { \
        for (unsigned i = 0; i < sve_elements(s); i++) { \
            const unsigned by = (unsigned)s->x1, bits = 8 * s->esize; \
            const uint64_t n = sve_get(s->n, s->es, i), d = sve_get(s->d, s->es, i); \
            const int64_t sn = sve_gets(s->n, s->es, i); \
            (void)n, (void)sn, (void)bits; \
            sve_put(s->d, s->es, i, (uint64_t)(expr)); \
        } \
    }
ALL_EACH(SSRA, d + (uint64_t)(sn >> MIN(by, 63)))
ALL_EACH(USRA, d + (by >= bits ? 0 : n >> by))
ALL_EACH(SRI, by >= bits ? d : (n >> by) | (d & ~(sve_ones(bits) >> by)))
ALL_EACH(SLI, n << by | (d & sve_ones(by)))

/* --- widening: N and M are elements of half the size; ra: 1 n's, 2 m's are the top ones --- */
#define LONG(id, get, type, expr) \
    SVE(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < sve_elements(s); i++) { \
            const type N = get(s->n, s->es - 1, 2 * i + (s->ra & 1)), \
            M = get(s->m, s->es - 1, 2 * i + (s->ra >> 1 & 1)); \
            const type W = get(s->n, s->es, i), D = get(s->d, s->es, i); \
            (void)N, (void)M, (void)W, (void)D; \
            sve_put(&r, s->es, i, (uint64_t)(expr)); \
        } \
        sve_set(s, &r); \
    }
#define S_LONG(id, expr) LONG(id, sve_gets, int64_t, expr)
#define U_LONG(id, expr) LONG(id, sve_get, uint64_t, expr)
#define UD (uint64_t)D
S_LONG(SADDL, N + M)
U_LONG(UADDL, N + M)
S_LONG(SSUBL, N - M)
U_LONG(USUBL, N - M)
S_LONG(SABDL, N > M ? N - M : M - N)
U_LONG(UABDL, N > M ? N - M : M - N)
S_LONG(SABAL, UD + (uint64_t)(N > M ? N - M : M - N))
U_LONG(UABAL, D + (N > M ? N - M : M - N))
S_LONG(SADDW, (uint64_t)W + (uint64_t)M)
U_LONG(UADDW, W + M)
S_LONG(SSUBW, (uint64_t)W - (uint64_t)M)
U_LONG(USUBW, W - M)
S_LONG(SMULL, N * M)
U_LONG(UMULL, N * M)
S_LONG(SMLAL, UD + (uint64_t)(N * M))
U_LONG(UMLAL, D + N * M)
S_LONG(SMLSL, UD - (uint64_t)(N * M))
U_LONG(UMLSL, D - N * M)
#define DOUBLED sat_s((s128)N * M * 2, s->esize)
S_LONG(SQDMULL, DOUBLED)
S_LONG(SQDMLAL, sat_s((s128)D + DOUBLED, s->esize))
S_LONG(SQDMLSL, sat_s((s128)D - DOUBLED, s->esize))
S_LONG(SSHLL, (uint64_t)N << s->imm)
U_LONG(USHLL, N << s->imm)
#define PAIR_LONG(id, get) \
    SVE(id) \
    { \
        for (unsigned i = 0; i < sve_elements(s); i++) \
            if (sve_active(s, i << s->es)) \
                sve_put(s->d, s->es, i, sve_get(s->d, s->es, i) + \
                    (uint64_t)(get(s->n, s->es - 1, 2 * i) + get(s->n, s->es - 1, 2 * i + 1))); \
    }
PAIR_LONG(SADALP, sve_gets)
PAIR_LONG(UADALP, sve_get)
static void carryless(uint64_t a, uint64_t b, uint64_t out[2])
{
    out[0] = out[1] = 0;
    for (unsigned n = 0; n < 64; n++) {
        if (b >> n & 1) {
            out[0] ^= a << n;
            out[1] ^= n ? a >> (64 - n) : 0;
        }
    }
}
SVE(PMULL) /* es 4: 64 bits by 64 bits */
{
    VecReg r;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        unsigned top = s->ra & 1;
        uint64_t p[2];
        carryless(sve_get(s->n, s->es - 1, 2 * i + top), sve_get(s->m, s->es - 1, 2 * i + top), p);
        if (s->es == 4)
            r.u64[2 * i] = p[0], r.u64[2 * i + 1] = p[1];
        else
            sve_put(&r, s->es, i, p[0]);
    }
    sve_set(s, &r);
}

/* --- narrowing: into the even elements, the odd ones zero; ra 1: into the odd ones, the even ones stay --- */
#define NARROW(id, get, type, expr) \
    SVE(id) \
    { \
        VecReg r = { 0 }; \
        if (s->ra & 1) \
            r = *s->d; \
        const unsigned half = s->esize / 2, by = (unsigned)s->imm; \
        (void)half, (void)by; \
        for (unsigned i = 0; i < sve_elements(s); i++) { \
            const type N = get(s->n, s->es, i), M = get(s->m, s->es, i); \
            (void)M; \
            sve_put(&r, s->es - 1, 2 * i + (s->ra & 1), (uint64_t)(expr)); \
        } \
        sve_set(s, &r); \
    }
#define S_NARROW(id, expr) NARROW(id, sve_gets, int64_t, expr)
#define U_NARROW(id, expr) NARROW(id, sve_get, uint64_t, expr)
#define ROUNDED(v) (((s128)(v) + ((s128)1 << (by - 1))) >> by)
S_NARROW(SQXTN, sat_s(N, half))
U_NARROW(UQXTN, sat_u(N, half))
S_NARROW(SQXTUN, sat_u(N, half))
U_NARROW(SHRN, N >> (by & 63))
U_NARROW(RSHRN, ROUNDED(N))
S_NARROW(SQSHRN, sat_s(N >> by, half))
S_NARROW(SQRSHRN, sat_s(ROUNDED(N), half))
U_NARROW(UQSHRN, sat_u(N >> by, half))
U_NARROW(UQRSHRN, sat_u(ROUNDED(N), half))
S_NARROW(SQSHRUN, sat_u(N >> by, half))
S_NARROW(SQRSHRUN, sat_u(ROUNDED(N), half))
#define HALF_ROUND (UINT64_C(1) << (8 * half - 1))
U_NARROW(ADDHN, (N + M) >> 8 * half)
U_NARROW(RADDHN, (N + M + HALF_ROUND) >> 8 * half)
U_NARROW(SUBHN, (N - M) >> 8 * half)
U_NARROW(RSUBHN, (N - M + HALF_ROUND) >> 8 * half)

/* --- pairs --- */
#define PAIRS(id, get, type, expr) \
    SVE(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < sve_elements(s); i++) { \
            const VecReg *from = i & 1 ? s->m : s->n; \
            const type A = get(from, s->es, i & ~1u), B = get(from, s->es, i | 1); \
            sve_put(&r, s->es, i, (uint64_t)(expr)); \
        } \
        sve_merge(s, &r); \
    }
PAIRS(ADDP, sve_get, uint64_t, A + B)
PAIRS(SMAXP, sve_gets, int64_t, A > B ? A : B)
PAIRS(SMINP, sve_gets, int64_t, A < B ? A : B)
PAIRS(UMAXP, sve_get, uint64_t, A > B ? A : B)
PAIRS(UMINP, sve_get, uint64_t, A < B ? A : B)
SVE(EORBT)
{
    VecReg r = *s->d;
    for (unsigned i = (unsigned)s->imm & 1; i < sve_elements(s); i += 2)
        sve_put(&r, s->es, i, sve_get(s->n, s->es, i) ^ sve_get(s->m, s->es, i ^ 1));
    sve_set(s, &r);
}
SVE(ADCL) /* imm: 1 top; ra: 1 subtracts */
{
    VecReg r;
    for (unsigned i = 0; i < sve_elements(s); i += 2) {
        uint64_t n = sve_get(s->n, s->es, i + (s->imm & 1));
        if (s->ra)
            n = ~n & sve_ones(8 * s->esize);
        unsigned __int128 sum = (unsigned __int128)sve_get(s->d, s->es, i) + n + (sve_get(s->m, s->es, i + 1) & 1);
        sve_put(&r, s->es, i, (uint64_t)sum);
        sve_put(&r, s->es, i + 1, (uint64_t)(sum >> 8 * s->esize) & 1);
    }
    sve_set(s, &r);
}

/* --- complex numbers; ra: the rotation --- */
static void complex_add(Sve *s, bool saturate)
{
    VecReg r;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        s128 n = sve_gets(s->n, s->es, i), m = sve_gets(s->m, s->es, i ^ 1);
        s128 sum = (i & 1) == s->ra ? n - m : n + m;
        sve_put(&r, s->es, i, saturate ? (uint64_t)sat_s(sum, s->esize) : (uint64_t)sum);
    }
    sve_set(s, &r);
}
SVE(CADD) { complex_add(s, false); }
SVE(SQCADD) { complex_add(s, true); }
static void complex_multiply(Sve *s, bool high)
{
    VecReg r;
    unsigned bits = 8 * s->esize, sel = s->ra & 1;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        s128 p = (s128)sve_gets(s->n, s->es, (i & ~1u) + sel) * sve_gets(s->m, s->es, i ^ sel),
             d = sve_gets(s->d, s->es, i);
        bool minus = i & 1 ? s->ra >= 2 : s->ra == 1 || s->ra == 2;
        p = minus ? -p : p;
        if (!high)
            sve_put(&r, s->es, i, (uint64_t)(d + p));
        else if (bits < 64)
            sve_put(&r, s->es, i,
                    (uint64_t)sat_s((shift_left(d, bits) + 2 * p + ((s128)1 << (bits - 1))) >> bits, s->esize));
        else /* half of it: 2^127 is beyond what there is */
            sve_put(&r, s->es, i, (uint64_t)sat_s(d + ((p + ((s128)1 << 62)) >> 63), 8));
    }
    sve_set(s, &r);
}
SVE(CMLA) { complex_multiply(s, false); }
SVE(SQRDCMLAH) { complex_multiply(s, true); }
SVE(CDOT)
{
    VecReg r;
    unsigned q = s->es - 2, sel = s->ra & 1;
    bool minus = s->ra == 0 || s->ra == 3;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        uint64_t sum = sve_get(s->d, s->es, i);
        for (unsigned k = 4 * i; k < 4 * i + 4; k += 2) {
            sum += (uint64_t)(sve_gets(s->n, q, k) * sve_gets(s->m, q, k + sel));
            uint64_t p = (uint64_t)(sve_gets(s->n, q, k + 1) * sve_gets(s->m, q, k + !sel));
            sum += minus ? -p : p;
        }
        sve_put(&r, s->es, i, sum);
    }
    sve_set(s, &r);
}

/* --- bits --- */
static uint64_t extract_bits(uint64_t v, uint64_t mask, unsigned *count)
{
    uint64_t r = 0;
    *count = 0;
    for (; mask; mask &= mask - 1)
        r |= (v >> __builtin_ctzll(mask) & 1) << (*count)++;
    return r;
}
static uint64_t deposit_bits(uint64_t v, uint64_t mask)
{
    uint64_t r = 0;
    for (unsigned n = 0; mask; mask &= mask - 1, n++)
        r |= (v >> n & 1) << __builtin_ctzll(mask);
    return r;
}
#define BITS(id, expr) \
    SVE(id) \
    { \
        for (unsigned i = 0; i < sve_elements(s); i++) { \
            const uint64_t n = sve_get(s->n, s->es, i), m = sve_get(s->m, s->es, i); \
            unsigned count = 0; \
            (void)count; \
            sve_put(s->d, s->es, i, expr); \
        } \
    }
static uint64_t group_bits(uint64_t v, uint64_t mask, unsigned bits)
{
    unsigned low, high;
    uint64_t r = extract_bits(v, mask, &low), rest = extract_bits(v, ~mask & sve_ones(bits), &high);
    return low < 64 ? r | rest << low : r;
}
BITS(BEXT, extract_bits(n, m, &count))
BITS(BDEP, deposit_bits(n, m))
BITS(BGRP, group_bits(n, m, 8 * s->esize))

/* --- histograms and matches --- */
SVE(HISTCNT)
{
    VecReg r;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        unsigned count = 0;
        for (unsigned k = 0; k <= i && sve_active(s, i << s->es); k++)
            count += sve_active(s, k << s->es) && sve_get(s->n, s->es, i) == sve_get(s->m, s->es, k);
        sve_put(&r, s->es, i, count);
    }
    sve_set(s, &r);
}
SVE(HISTSEG)
{
    VecReg r;
    for (unsigned i = 0; i < s->bytes; i++) {
        r.u8[i] = 0;
        for (unsigned k = i & ~15u; k < (i | 15) + 1; k++)
            r.u8[i] += s->n->u8[i] == s->m->u8[k];
    }
    sve_set(s, &r);
}
SVE(MATCH) /* imm: 1 none may match */
{
    uint64_t r = 0;
    unsigned per = 16u >> s->es;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        bool found = false;
        for (unsigned k = i & ~(per - 1); k < (i | (per - 1)) + 1; k++)
            found |= sve_get(s->n, s->es, i) == sve_get(s->m, s->es, k);
        r |= (uint64_t)(found != (s->imm & 1)) << (i << s->es);
    }
    r &= s->pg;
    sve_test(s, s->pg, r);
    *sve_pred(s, s->rd) = r;
}

/* --- cryptography: by 128 bits --- */
static void segments(Sve *s, SimdRow n, const VecReg *a, const VecReg *b, const VecReg *c, unsigned es)
{
    VecReg r;
    for (unsigned at = 0; at < s->bytes; at += 16) {
        VecReg part[3] = { { { 0 } } };
        memcpy(&part[0], a->u8 + at, 16);
        memcpy(&part[1], b->u8 + at, 16);
        memcpy(&part[2], c->u8 + at, 16);
        SimdArgs x = { .v = s->v, .a = &part[0], .b = &part[1], .c = &part[2], .es = es, .bytes = 16 };
        simd_fn[n](&x);
        memcpy(r.u8 + at, &x.d, 16);
    }
    sve_set(s, &r);
}
#define CRYPTO(id, es) SVE(id) { segments(s, SIMD_##id, s->n, s->m, s->d, es); }
CRYPTO(AESE, 1) CRYPTO(AESD, 1) CRYPTO(AESMC, 1) CRYPTO(AESIMC, 1) CRYPTO(SM4EKEY, 4) CRYPTO(RAX1, 8) CRYPTO(BFMMLA, 4)
SVE(SM4E) { segments(s, SIMD_SM4E, s->m, s->m, s->d, 4); }
