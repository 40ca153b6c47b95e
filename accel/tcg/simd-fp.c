/* SPDX-License-Identifier: MIT */
/* Portable floating-point rows of simd.def, and running one row. */
#include "accel/tcg/simd-fn.h"
#include "accel/tcg/softfp.h"

static FpEnv fp_begin(const SimdArgs *x)
{
    if (x->standard)
        return (FpEnv){ .rmode = FP_ROUND_NEAREST, .dn = true, .fz = true, .fz16 = x->v->fp_rules & FP_RULE_FZ16,
                        .ahp = x->v->fp_rules & FP_RULE_AHP };
    uint32_t r = x->v->fp_rules;
    return (FpEnv){ .rmode = x->v->fp_control >> 13 & 3,
                    .dn = r & FP_RULE_DN,
                    .fz = r & FP_RULE_FZ,
                    .fz16 = r & FP_RULE_FZ16,
                    .ahp = r & FP_RULE_AHP };
}
static void fp_end(SimdArgs *x, const FpEnv *e)
{
    x->v->fp_control |= e->flags & 0x3f;
    if (e->flags & FPF_ID)
        x->v->fp_more |= FP_MORE_IDC;
}
#define FP_FN(id, ...) \
    SIMD_FN(id) \
    { \
        FpEnv env = fp_begin(x), *e = &env; \
        unsigned es = x->es, n = x->bytes / es; \
        (void)es, (void)n; \
        __VA_ARGS__ \
        fp_end(x, e); \
    }
#define FP_LANES(id, expr) \
    FP_FN(id, for (unsigned i = 0; i < n; i++) { \
        const uint64_t A = lane(x->a, es, i), B = lane(x->b, es, i), C = lane(x->c, es, i); \
        (void)A, (void)B, (void)C; \
        put_lane(&x->d, es, i, (expr)); \
    })

static uint64_t negated(unsigned es, uint64_t a) { return a ^ UINT64_C(1) << (8 * es - 1); }
static uint64_t absolute(unsigned es, uint64_t a) { return a & bits_mask(8 * es - 1); }

FP_LANES(FADD, fp_add(e, es, A, B))
FP_LANES(FSUB, fp_sub(e, es, A, B))
FP_LANES(FMUL, fp_mul(e, es, A, B))
FP_LANES(FDIV, fp_div(e, es, A, B))
FP_LANES(FMAX, fp_max(e, es, A, B))
FP_LANES(FMIN, fp_min(e, es, A, B))
FP_LANES(FMAXNM, fp_maxnm(e, es, A, B))
FP_LANES(FMINNM, fp_minnm(e, es, A, B))
FP_LANES(FMULX, fp_mulx(e, es, A, B))
FP_LANES(FNMUL, negated(es, fp_mul(e, es, A, B)))
FP_LANES(FABD, absolute(es, fp_sub(e, es, A, B)))
FP_LANES(FMLA, fp_muladd(e, es, es, C, A, B))
FP_LANES(FMLS, fp_muladd(e, es, es, C, negated(es, A), B))
FP_LANES(FNMLA, fp_muladd(e, es, es, negated(es, C), negated(es, A), B))
FP_LANES(FNMLS, fp_muladd(e, es, es, negated(es, C), A, B))
FP_LANES(FRECPS, fp_recps(e, es, A, B))
FP_LANES(FRSQRTS, fp_rsqrts(e, es, A, B))
FP_LANES(FSQRT, fp_sqrt(e, es, A))
FP_LANES(FRECPE, fp_recpe(e, es, A))
FP_LANES(FRSQRTE, fp_rsqrte(e, es, A))
FP_LANES(FRECPX, fp_recpx(e, es, A))

static unsigned rounding(const FpEnv *e, uint64_t imm) { return (imm & 7) == FP_ROUND_CURRENT ? e->rmode : imm & 7; }
FP_LANES(FRINT, x->imm & 48 ? fp_rint_sized(e, es, A, rounding(e, x->imm), x->imm & 16 ? 32 : 64)
                            : fp_rint(e, es, A, rounding(e, x->imm), x->imm & 8))

#define ONES_IF(c) ((c) ? ~UINT64_C(0) : 0)
static bool less_than_2(int r, bool equal) { return r == 1 || (equal && r == 0); }
FP_LANES(FCMEQ, ONES_IF(fp_compare(e, es, A, B, false) == 0))
FP_LANES(FCMGE, ONES_IF(less_than_2(fp_compare(e, es, A, B, true), true)))
FP_LANES(FCMGT, ONES_IF(less_than_2(fp_compare(e, es, A, B, true), false)))
FP_LANES(FACGE, ONES_IF(less_than_2(fp_compare(e, es, absolute(es, A), absolute(es, B), true), true)))
FP_LANES(FACGT, ONES_IF(less_than_2(fp_compare(e, es, absolute(es, A), absolute(es, B), true), false)))

#define FP_PAIRS(id, fn) \
    FP_FN(id, for (unsigned i = 0; i < n; i++) { \
        const VecReg *from = 2 * i < n ? x->a : x->b; \
        unsigned k = 2 * i < n ? 2 * i : 2 * i - n; \
        put_lane(&x->d, es, i, fn(e, es, lane(from, es, k), lane(from, es, k + 1))); \
    })
FP_PAIRS(FADDP, fp_add)
FP_PAIRS(FMAXP, fp_max)
FP_PAIRS(FMINP, fp_min)
FP_PAIRS(FMAXNMP, fp_maxnm)
FP_PAIRS(FMINNMP, fp_minnm)

typedef uint64_t Fp2(FpEnv *, unsigned, uint64_t, uint64_t);
/* DDI 0487, Reduce(): halves first. */
static uint64_t reduce(FpEnv *e, unsigned es, const VecReg *r, unsigned first, unsigned n, Fp2 *fn)
{
    if (n == 1)
        return lane(r, es, first);
    return fn(e, es, reduce(e, es, r, first, n / 2, fn), reduce(e, es, r, first + n / 2, n / 2, fn));
}
#define FP_ACROSS(id, fn) FP_FN(id, put_lane(&x->d, es, 0, reduce(e, es, x->a, 0, n, fn));)
FP_ACROSS(FMAXV, fp_max)
FP_ACROSS(FMINV, fp_min)
FP_ACROSS(FMAXNMV, fp_maxnm)
FP_ACROSS(FMINNMV, fp_minnm)

/* --- conversions --- */
FP_FN(FCVT, put_lane(&x->d, es, 0, fp_convert(e, (unsigned)x->imm, es, lane(x->a, (unsigned)x->imm, 0)));)
FP_FN(FCVTL, for (unsigned i = 0; i < 8 / es; i++)
    put_lane(&x->d, 2 * es, i, fp_convert(e, es, 2 * es, lane(x->a, es, i + (x->imm & 1 ? 8 / es : 0))));)

static void narrow(SimdArgs *x, FpEnv *e, unsigned from, unsigned to_format)
{
    unsigned es = x->es, count = x->bytes <= es ? 1 : 8 / es, first = x->imm & 1 ? count : 0;
    if (first)
        x->d.u64[0] = x->c->u64[0];
    for (unsigned i = 0; i < count; i++)
        put_lane(&x->d, es, first + i, fp_convert(e, from, to_format, lane(x->a, from, i)));
}
FP_FN(FCVTN, narrow(x, e, 2 * es, es);)
FP_FN(FCVTXN, e->rmode = FP_ROUND_ODD; narrow(x, e, 2 * es, es);)
FP_FN(BFCVT, put_lane(&x->d, 2, 0, fp_convert(e, 4, FP_BF16, x->a->u32[0]));)
FP_FN(BFCVTN, narrow(x, e, 4, FP_BF16);)

FP_FN(FTOI, unsigned rmode = rounding(e, x->imm); bool is_unsigned = x->imm >> 3 & 1;
      unsigned fraction = x->imm >> 8 & 255;
      if (x->imm >> 4 & 1) x->out = fp_to_int(e, es, lane(x->a, es, 0), rmode, 8 * x->bytes, is_unsigned, fraction);
      else for (unsigned i = 0; i < n; i++)
          put_lane(&x->d, es, i, fp_to_int(e, es, lane(x->a, es, i), rmode, 8 * es, is_unsigned, fraction));)
FP_FN(ITOF, bool is_unsigned = x->imm >> 3 & 1; unsigned fraction = x->imm >> 8 & 255;
      unsigned from = (unsigned)(x->imm >> 16);
      if (from) put_lane(&x->d, es, 0, fp_from_int(e, es, x->a->u64[0], 8 * from, is_unsigned, fraction));
      else for (unsigned i = 0; i < n; i++)
          put_lane(&x->d, es, i, fp_from_int(e, es, lane(x->a, es, i), 8 * es, is_unsigned, fraction));)
FP_FN(FJCVTZS, bool exact; uint64_t r = fp_jcvt(e, x->a->u64[0], &exact); x->out = x->imm ? exact : r;)
FP_FN(FCMP, static const uint8_t code[4] = { 0, 1, 2, 0x80 };
    x->out = code[fp_compare(e, es, lane(x->a, es, 0), lane(x->b, es, 0), x->imm) + 1];)

/* --- complex numbers --- */
FP_FN(FCADD, for (unsigned i = 0; i < n; i += 2) {
    uint64_t re = lane(x->b, es, i), im = lane(x->b, es, i + 1);
    put_lane(&x->d, es, i, fp_add(e, es, lane(x->a, es, i), x->imm == 1 ? negated(es, im) : im));
    put_lane(&x->d, es, i + 1, fp_add(e, es, lane(x->a, es, i + 1), x->imm == 1 ? re : negated(es, re)));
})
FP_FN(FCMLA, for (unsigned i = 0; i < n; i += 2) {
    unsigned k = x->imm & 4 ? 2 * (unsigned)(x->imm >> 8) : i, rot = x->imm & 3;
    uint64_t a = lane(x->a, es, i + (rot & 1)), br = lane(x->b, es, k), bi = lane(x->b, es, k + 1);
    uint64_t p = rot == 0 ? br : rot == 1 ? negated(es, bi) : rot == 2 ? negated(es, br) : bi;
    uint64_t q = rot == 0 ? bi : rot == 1 ? br : rot == 2 ? negated(es, bi) : negated(es, br);
    put_lane(&x->d, es, i, fp_muladd(e, es, es, lane(x->c, es, i), a, p));
    put_lane(&x->d, es, i + 1, fp_muladd(e, es, es, lane(x->c, es, i + 1), a, q));
})

/* --- half and BF16 into single --- */
static void half_long(SimdArgs *x, FpEnv *e, uint16_t sign)
{
    unsigned count = x->bytes / 4, first = x->imm & 1 ? count : 0;
    for (unsigned i = 0; i < count; i++)
        x->d.u32[i] = (uint32_t)fp_muladd(e, 4, 2, x->c->u32[i], x->a->u16[first + i] ^ sign, x->b->u16[first + i]);
}
FP_FN(FMLAL, half_long(x, e, 0);)
FP_FN(FMLSL, half_long(x, e, 0x8000);)

/* DDI 0487, BFMulAdd and BFDotAdd: round to odd, denormals are zero both ways, default NaN, no flags. */
static const FpEnv bf_env = { .rmode = FP_ROUND_ODD, .dn = true, .fz = true };
static uint32_t bf_infinite(uint32_t r) { return (r & 0x7fffffff) == 0x7f7fffff ? r + 1 : r; }
static uint32_t bf_product(uint16_t a, uint16_t b)
{
    FpEnv e = bf_env;
    uint32_t r = (uint32_t)fp_mul(&e, 4, (uint32_t)a << 16, (uint32_t)b << 16);
    return e.flags & FPF_OVERFLOW ? bf_infinite(r) : r;
}
static uint32_t bf_add(uint32_t a, uint32_t b)
{
    FpEnv e = bf_env;
    uint32_t r = (uint32_t)fp_add(&e, 4, a, b);
    return e.flags & FPF_OVERFLOW ? bf_infinite(r) : r;
}
static uint32_t bf_dot(uint32_t sum, const uint16_t *a, const uint16_t *b)
{
    return bf_add(sum, bf_add(bf_product(a[0], b[0]), bf_product(a[1], b[1])));
}
SIMD_FN(BFDOT)
{
    for (unsigned i = 0; i < x->bytes / 4; i++)
        x->d.u32[i] = bf_dot(x->c->u32[i], &x->a->u16[2 * i], &x->b->u16[2 * i]);
}
SIMD_FN(BFMMLA)
{
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 2; k++)
            x->d.u32[i] = bf_dot(k ? x->d.u32[i] : x->c->u32[i], &x->a->u16[i / 2 * 4 + 2 * k],
                                 &x->b->u16[i % 2 * 4 + 2 * k]);
}
FP_FN(BFMLAL, for (unsigned i = 0; i < 4; i++)
    x->d.u32[i] = (uint32_t)fp_muladd(e, 4, 4, x->c->u32[i], (uint64_t)x->a->u16[2 * i + (x->imm & 1)] << 16,
                                      (uint64_t)x->b->u16[2 * i + (x->imm & 1)] << 16);)

/* --- tables, running --- */
SimdFn *const simd_fn[SIMD_ROWS] = {
#define X(id, kind) simd_fn_##id,
#include "accel/tcg/simd.def"
#undef X
};
const char *const simd_name[SIMD_ROWS] = {
#define X(id, kind) #id,
#include "accel/tcg/simd.def"
#undef X
};
enum { KIND_I = 0x49, KIND_F = 0x46, KIND_G = 0x47 };
const char simd_kind[SIMD_ROWS] = {
#define X(id, kind) KIND_##kind,
#include "accel/tcg/simd.def"
#undef X
};
