/* SPDX-License-Identifier: MIT */
/* Portable integer rows of simd.def. */
#include "accel/tcg/simd-fn.h"
#include "accel/tcg/softfp.h"

typedef __int128 s128;

static s128 shift_left(s128 a, unsigned n) { return (s128)((unsigned __int128)a << n); }

/* Each lane: A B C are the operands' lanes (u or s: how they are extended to 64 bits). */
#define LANES(id, get, type, expr) \
    SIMD_FN(id) \
    { \
        unsigned es = x->es, bits = 8 * es, n = x->bytes / es; \
        (void)bits; \
        for (unsigned i = 0; i < n; i++) { \
            const type A = get(x->a, es, i), B = get(x->b, es, i), C = get(x->c, es, i); \
            (void)A, (void)B, (void)C; \
            put_lane(&x->d, es, i, (uint64_t)(expr)); \
        } \
    }
#define U(id, expr) LANES(id, lane, uint64_t, expr)
#define S(id, expr) LANES(id, slane, int64_t, expr)
#define ABSDIFF(a, b) ((a) > (b) ? (uint64_t)(a) - (uint64_t)(b) : (uint64_t)(b) - (uint64_t)(a))

static void saturated(SimdArgs *x) { x->v->fp_more |= FP_MORE_QC; }
static uint64_t sat_s(SimdArgs *x, s128 r, unsigned bits)
{
    s128 max = ((s128)1 << (bits - 1)) - 1;
    if (r > max || r < -max - 1) {
        saturated(x);
        r = r > max ? max : -max - 1;
    }
    return (uint64_t)r;
}
static uint64_t sat_u(SimdArgs *x, s128 r, unsigned bits)
{
    s128 max = (s128)bits_mask(bits);
    if (r > max || r < 0) {
        saturated(x);
        r = r > max ? max : 0;
    }
    return (uint64_t)r;
}

/* --- moves --- */
SIMD_FN(MOV) { memcpy(&x->d, x->a, x->bytes); }
SIMD_FN(LD) { memcpy(&x->d, x->a, x->bytes); }
SIMD_FN(ST) { memcpy(&x->d, x->a, x->bytes); }
SIMD_FN(MOVI) { x->d.u64[0] = x->imm, x->d.u64[1] = x->bytes > 8 ? x->imm : 0; }
SIMD_FN(DUPE)
{
    for (unsigned i = 0; i < x->bytes / x->es; i++)
        put_lane(&x->d, x->es, i, lane(x->a, x->es, (unsigned)x->imm));
}
SIMD_FN(DUPG)
{
    for (unsigned i = 0; i < x->bytes / x->es; i++)
        put_lane(&x->d, x->es, i, x->a->u64[0]);
}
SIMD_FN(INSE)
{
    x->d = *x->b;
    put_lane(&x->d, x->es, x->imm & 255, lane(x->a, x->es, x->imm >> 8 & 255));
}
SIMD_FN(INSG)
{
    x->d = *x->b;
    put_lane(&x->d, x->es, (unsigned)x->imm, x->a->u64[0]);
}
SIMD_FN(UMOV) { x->out = lane(x->a, x->es, (unsigned)x->imm); }
SIMD_FN(SMOV) { x->out = (uint64_t)slane(x->a, x->es, (unsigned)x->imm) & bits_mask(8 * x->bytes); }
SIMD_FN(CSEL) { memcpy(&x->d, x->c->u8[0] ? x->a : x->b, x->bytes); }

/* --- two and three sources --- */
U(ADD, A + B)
U(SUB, A - B)
U(MUL, A * B)
U(AND, A & B)
U(BIC, A & ~B)
U(ORR, A | B)
U(ORN, A | ~B)
U(EOR, A ^ B)
U(BSL, (A & C) | (B & ~C))
U(MLA, C + A * B)
U(MLS, C - A * B)
S(SMAX, A > B ? A : B)
S(SMIN, A < B ? A : B)
U(UMAX, A > B ? A : B)
U(UMIN, A < B ? A : B)
S(SABD, ABSDIFF(A, B))
U(UABD, ABSDIFF(A, B))
S(SABA, (uint64_t)C + ABSDIFF(A, B))
U(UABA, C + ABSDIFF(A, B))
S(SHADD, (A + B) >> 1)
U(UHADD, (A + B) >> 1)
S(SRHADD, (A + B + 1) >> 1)
U(URHADD, (A + B + 1) >> 1)
S(SHSUB, (A - B) >> 1)
U(UHSUB, (A - B) >> 1)
S(SQADD, sat_s(x, (s128)A + B, bits))
U(UQADD, sat_u(x, (s128)A + B, bits))
S(SQSUB, sat_s(x, (s128)A - B, bits))
U(UQSUB, sat_u(x, (s128)A - B, bits))
S(SUQADD, sat_s(x, (s128)((uint64_t)A & bits_mask(bits)) + B, bits))
S(USQADD, sat_u(x, (s128)A + (s128)((uint64_t)B & bits_mask(bits)), bits))
U(CMEQ, A == B ? ~UINT64_C(0) : 0)
S(CMGT, A > B ? ~UINT64_C(0) : 0)
S(CMGE, A >= B ? ~UINT64_C(0) : 0)
U(CMHI, A > B ? ~UINT64_C(0) : 0)
U(CMHS, A >= B ? ~UINT64_C(0) : 0)
U(CMTST, A & B ? ~UINT64_C(0) : 0)

/* --- shifts by the signed low byte of a register: < 0 to the right --- */
static s128 shift_right(s128 a, int n, bool round)
{
    if (round && n > 0 && n <= 64)
        a += (s128)1 << (n - 1);
    else if (round && n > 64)
        return 0;
    return n > 65 ? (a < 0 ? -1 : 0) : a >> n;
}
static uint64_t shift(SimdArgs *x, s128 a, int n, bool is_signed, bool round, bool sat)
{
    unsigned bits = 8 * x->es;
    if (n < 0)
        return (uint64_t)shift_right(a, -n, round);
    if (!sat)
        return n >= 64 ? 0 : (uint64_t)a << n;
    if (n >= (int)bits) /* everything but zero is too large */
        n = a ? (int)bits : 0;
    s128 r = shift_left(a, (unsigned)n);
    return is_signed ? sat_s(x, a && n == (int)bits ? (a < 0 ? -((s128)1 << 100) : (s128)1 << 100) : r, bits)
                     : sat_u(x, a && n == (int)bits ? (s128)1 << 100 : r, bits);
}
S(SSHL, shift(x, A, (int8_t)B, true, false, false))
U(USHL, shift(x, A, (int8_t)B, false, false, false))
S(SRSHL, shift(x, A, (int8_t)B, true, true, false))
U(URSHL, shift(x, A, (int8_t)B, false, true, false))
S(SQSHL, shift(x, A, (int8_t)B, true, false, true))
U(UQSHL, shift(x, A, (int8_t)B, false, false, true))
S(SQRSHL, shift(x, A, (int8_t)B, true, true, true))
U(UQRSHL, shift(x, A, (int8_t)B, false, true, true))

S(SQDMULH, sat_s(x, (s128)A * B >> (bits - 1), bits))
S(SQRDMULH, sat_s(x, ((s128)A * B + ((s128)1 << (bits - 2))) >> (bits - 1), bits))
S(SQRDMLAH, sat_s(x, (shift_left(C, bits - 1) + (s128)A * B + ((s128)1 << (bits - 2))) >> (bits - 1), bits))
S(SQRDMLSH, sat_s(x, (shift_left(C, bits - 1) - (s128)A * B + ((s128)1 << (bits - 2))) >> (bits - 1), bits))

static unsigned __int128 poly(uint64_t a, uint64_t b, unsigned bits)
{
    unsigned __int128 r = 0;
    for (unsigned k = 0; k < bits; k++)
        r ^= b >> k & 1 ? (unsigned __int128)a << k : 0;
    return r;
}
U(PMUL, poly(A, B, bits))

/* --- neighbours --- */
#define PAIRS(id, get, type, expr) \
    SIMD_FN(id) \
    { \
        unsigned es = x->es, n = x->bytes / es; \
        for (unsigned i = 0; i < n; i++) { \
            const VecReg *from = 2 * i < n ? x->a : x->b; \
            unsigned k = 2 * i < n ? 2 * i : 2 * i - n; \
            const type A = get(from, es, k), B = get(from, es, k + 1); \
            put_lane(&x->d, es, i, (uint64_t)(expr)); \
        } \
    }
PAIRS(ADDP, lane, uint64_t, A + B)
PAIRS(SMAXP, slane, int64_t, A > B ? A : B)
PAIRS(SMINP, slane, int64_t, A < B ? A : B)
PAIRS(UMAXP, lane, uint64_t, A > B ? A : B)
PAIRS(UMINP, lane, uint64_t, A < B ? A : B)

/* --- permutations: lane i comes from lane `k` of a or (second) b --- */
#define PERMUTE(id, second_, k_) \
    SIMD_FN(id) \
    { \
        unsigned es = x->es, n = x->bytes / es; \
        for (unsigned i = 0; i < n; i++) \
            put_lane(&x->d, es, i, lane((second_) ? x->b : x->a, es, (k_))); \
    }
PERMUTE(ZIP1, i & 1, i / 2)
PERMUTE(ZIP2, i & 1, n / 2 + i / 2)
PERMUTE(UZP1, 2 * i >= n, 2 * i >= n ? 2 * i - n : 2 * i)
PERMUTE(UZP2, 2 * i >= n, 2 * i >= n ? 2 * i - n + 1 : 2 * i + 1)
PERMUTE(TRN1, i & 1, i & ~1u)
PERMUTE(TRN2, i & 1, i | 1)
SIMD_FN(EXT)
{
    for (unsigned i = 0; i < x->bytes; i++) {
        unsigned k = i + (unsigned)x->imm;
        x->d.u8[i] = k < x->bytes ? x->a->u8[k] : x->b->u8[k - x->bytes];
    }
}
SIMD_FN(TBL)
{
    unsigned first = x->imm & 255, count = x->imm >> 8 & 255;
    for (unsigned i = 0; i < x->bytes; i++) {
        unsigned k = x->a->u8[i];
        if (k < 16 * count)
            x->d.u8[i] = x->v->v[first >= VCPU_VREGS ? first : (first + k / 16) % VCPU_VREGS].u8[k % 16];
        else
            x->d.u8[i] = x->imm >> 16 & 1 ? x->c->u8[i] : 0;
    }
}
SIMD_FN(LD3P)
{
    const uint8_t *p[3] = { x->a->u8, x->b->u8, x->c->u8 };
    unsigned es = x->es, part = (unsigned)x->imm;
    for (unsigned i = 0; i < x->bytes / es; i++)
        for (unsigned k = 0; k < es; k++) {
            unsigned at = (3 * i + part) * es + k;
            x->d.u8[i * es + k] = p[at / x->bytes][at % x->bytes];
        }
}
SIMD_FN(ST3P)
{
    const VecReg *r[3] = { x->a, x->b, x->c };
    unsigned es = x->es;
    for (unsigned i = 0; i < x->bytes / es; i++) {
        unsigned at = (unsigned)x->imm * (x->bytes / es) + i;
        put_lane(&x->d, es, i, lane(r[at % 3], es, at / 3));
    }
}

/* --- one source --- */
static unsigned leading(uint64_t a, unsigned bits) { return a ? (unsigned)__builtin_clzll(a) - (64 - bits) : bits; }
static uint64_t reverse(uint64_t a, unsigned bits)
{
    uint64_t r = 0;
    for (unsigned k = 0; k < bits; k++)
        r |= (a >> k & 1) << (bits - 1 - k);
    return r;
}
U(NEG, -A)
S(ABS, A < 0 ? -(uint64_t)A : (uint64_t)A)
S(SQABS, sat_s(x, A < 0 ? -(s128)A : A, bits))
S(SQNEG, sat_s(x, -(s128)A, bits))
U(NOT, ~A)
U(CNT, (unsigned)__builtin_popcountll(A))
S(CLS, leading((uint64_t)(A < 0 ? ~A : A) & bits_mask(bits), bits) - 1)
U(CLZ, leading(A, bits))
U(RBIT, reverse(A, bits))
PERMUTE(REV, false, i ^ ((unsigned)x->imm / es - 1))

#define ADDLP(id, get, add) \
    SIMD_FN(id) \
    { \
        unsigned es = x->es; \
        for (unsigned i = 0; i < x->bytes / (2 * es); i++) \
            put_lane(&x->d, 2 * es, i, (add ? lane(x->c, 2 * es, i) : 0) + (uint64_t)get(x->a, es, 2 * i) + \
                (uint64_t)get(x->a, es, 2 * i + 1)); \
    }
ADDLP(SADDLP, slane, false)
ADDLP(UADDLP, lane, false)
ADDLP(SADALP, slane, true)
ADDLP(UADALP, lane, true)

/* --- immediate shifts --- */
#define N ((int)x->imm)
U(SHLI, A << N)
S(SSHRI, shift_right(A, N, false))
U(USHRI, shift_right(A, N, false))
S(SRSHRI, shift_right(A, N, true))
U(URSHRI, shift_right(A, N, true))
S(SSRAI, (uint64_t)C + (uint64_t)shift_right(A, N, false))
U(USRAI, C + (uint64_t)shift_right(A, N, false))
S(SRSRAI, (uint64_t)C + (uint64_t)shift_right(A, N, true))
U(URSRAI, C + (uint64_t)shift_right(A, N, true))
U(SLI, A << N | (C & ((UINT64_C(1) << N) - 1)))
U(SRI, (uint64_t)shift_right(A, N, false) | (C & ~(N >= (int)bits ? 0 : bits_mask(bits) >> N)))
S(SQSHLI, shift(x, A, N, true, false, true))
U(UQSHLI, shift(x, A, N, false, false, true))
S(SQSHLUI, sat_u(x, shift_left(A, (unsigned)N), bits))
#undef N

/* --- narrow: A B are 2 * es wide --- */
#define NARROW(id, get, type, expr) \
    SIMD_FN(id) \
    { \
        unsigned es = x->es, bits = 8 * es, n = x->bytes <= es ? 1 : 8 / es, first = x->imm & 1 ? n : 0; \
        int N = (int)(x->imm >> 1); \
        (void)N, (void)bits; \
        if (first) \
            x->d.u64[0] = x->c->u64[0]; \
        for (unsigned i = 0; i < n; i++) { \
            const type A = get(x->a, 2 * es, i), B = get(x->b, 2 * es, i); \
            (void)B; \
            put_lane(&x->d, es, first + i, (uint64_t)(expr)); \
        } \
    }
#define NU(id, expr) NARROW(id, lane, uint64_t, expr)
#define NS(id, expr) NARROW(id, slane, int64_t, expr)
NU(XTN, A)
NS(SQXTN, sat_s(x, A, bits))
NU(UQXTN, sat_u(x, A, bits))
NS(SQXTUN, sat_u(x, A, bits))
NU(SHRN, A >> N)
NU(RSHRN, shift_right(A, N, true))
NS(SQSHRN, sat_s(x, A >> N, bits))
NU(UQSHRN, sat_u(x, A >> N, bits))
NS(SQRSHRN, sat_s(x, shift_right(A, N, true), bits))
NU(UQRSHRN, sat_u(x, shift_right(A, N, true), bits))
NS(SQSHRUN, sat_u(x, A >> N, bits))
NS(SQRSHRUN, sat_u(x, shift_right(A, N, true), bits))
NU(ADDHN, (A + B) >> bits)
NU(RADDHN, (A + B + (UINT64_C(1) << (bits - 1))) >> bits)
NU(SUBHN, (A - B) >> bits)
NU(RSUBHN, (A - B + (UINT64_C(1) << (bits - 1))) >> bits)

/* --- wide --- */
#define WIDE(id, get, type, wide_a, expr) \
    SIMD_FN(id) \
    { \
        unsigned es = x->es, bits = 8 * es, n = x->bytes <= 2 * es ? 1 : 8 / es, first = x->imm & 1 ? n : 0; \
        int N = (int)(x->imm >> 1); \
        (void)N, (void)bits; \
        for (unsigned i = 0; i < n; i++) { \
            const type A = wide_a ? get(x->a, 2 * es, i) : get(x->a, es, first + i), B = get(x->b, es, first + i); \
            const type C = get(x->c, 2 * es, i); \
            (void)B, (void)C; \
            put_lane(&x->d, 2 * es, i, (uint64_t)(expr)); \
        } \
    }
#define WU(id, expr) WIDE(id, lane, uint64_t, false, expr)
#define WS(id, expr) WIDE(id, slane, int64_t, false, expr)
WS(SSHLL, (uint64_t)A << N)
WU(USHLL, A << N)
WS(SADDL, A + B)
WU(UADDL, A + B)
WS(SSUBL, A - B)
WU(USUBL, A - B)
WIDE(SADDW, slane, int64_t, true, (uint64_t)A + (uint64_t)B)
WIDE(UADDW, lane, uint64_t, true, A + B)
WIDE(SSUBW, slane, int64_t, true, (uint64_t)A - (uint64_t)B)
WIDE(USUBW, lane, uint64_t, true, A - B)
WS(SABDL, ABSDIFF(A, B))
WU(UABDL, ABSDIFF(A, B))
WS(SABAL, (uint64_t)C + ABSDIFF(A, B))
WU(UABAL, C + ABSDIFF(A, B))
WS(SMULL, A * B)
WU(UMULL, A * B)
WS(SMLAL, (uint64_t)C + (uint64_t)(A * B))
WU(UMLAL, C + A * B)
WS(SMLSL, (uint64_t)C - (uint64_t)(A * B))
WU(UMLSL, C - A * B)
static int64_t doubled(SimdArgs *x, int64_t a, int64_t b) { return (int64_t)sat_s(x, 2 * (s128)a * b, 16 * x->es); }
WS(SQDMULL, doubled(x, A, B))
WS(SQDMLAL, sat_s(x, (s128)C + doubled(x, A, B), 2 * bits))
WS(SQDMLSL, sat_s(x, (s128)C - doubled(x, A, B), 2 * bits))
SIMD_FN(PMULL)
{
    unsigned es = x->es, n = 8 / es, first = x->imm & 1 ? n : 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned __int128 p = poly(lane(x->a, es, first + i), lane(x->b, es, first + i), 8 * es);
        if (es == 8)
            x->d.u64[0] = (uint64_t)p, x->d.u64[1] = (uint64_t)(p >> 64);
        else
            put_lane(&x->d, 2 * es, i, (uint64_t)p);
    }
}

/* --- across --- */
#define ACROSS(id, get, type, wide, expr) \
    SIMD_FN(id) \
    { \
        unsigned es = x->es; \
        type A = get(x->a, es, 0); \
        for (unsigned i = 1; i < x->bytes / es; i++) { \
            const type B = get(x->a, es, i); \
            A = (expr); \
        } \
        put_lane(&x->d, wide ? 2 * es : es, 0, (uint64_t)A); \
    }
ACROSS(ADDV, lane, uint64_t, false, A + B)
ACROSS(SADDLV, slane, int64_t, true, A + B)
ACROSS(UADDLV, lane, uint64_t, true, A + B)
ACROSS(SMAXV, slane, int64_t, false, A > B ? A : B)
ACROSS(UMAXV, lane, uint64_t, false, A > B ? A : B)
ACROSS(SMINV, slane, int64_t, false, A < B ? A : B)
ACROSS(UMINV, lane, uint64_t, false, A < B ? A : B)

/* --- sums of products --- */
#define DOT(id, la, lb) \
    SIMD_FN(id) \
    { \
        for (unsigned i = 0; i < x->bytes / 4; i++) { \
            x->d.u32[i] = x->c->u32[i]; \
            for (unsigned k = 4 * i; k < 4 * i + 4; k++) \
                x->d.u32[i] += (uint32_t)(x->a->la[k] * x->b->lb[k]); \
        } \
    }
DOT(SDOT, s8, s8)
DOT(UDOT, u8, u8)
DOT(USDOT, u8, s8)
#define MATRIX(id, la, lb) \
    SIMD_FN(id) \
    { \
        for (unsigned i = 0; i < 4; i++) { \
            x->d.u32[i] = x->c->u32[i]; \
            for (unsigned k = 0; k < 8; k++) \
                x->d.u32[i] += (uint32_t)(x->a->la[i / 2 * 8 + k] * x->b->lb[i % 2 * 8 + k]); \
        } \
    }
MATRIX(SMMLA, s8, s8)
MATRIX(UMMLA, u8, u8)
MATRIX(USMMLA, u8, s8)

U(URECPE, A >> 31 ? (uint64_t)fp_recip_estimate((uint32_t)A >> 23) << 23 : 0xffffffffu)
U(URSQRTE, A >> 30 ? (uint64_t)fp_rsqrt_estimate((uint32_t)A >> 23) << 23 : 0xffffffffu)

/* --- signs of floating point: not operations on numbers --- */
U(FABS, A & ~(UINT64_C(1) << (bits - 1)))
U(FNEG, A ^ UINT64_C(1) << (bits - 1))
