/* SPDX-License-Identifier: MIT */
/* Portable floating-point vector operations over scalar primitives, and vec_run(). Semantics: Intel SDM vol. 2. */
#include "accel/tcg/vec-fn.h"
#include "accel/tcg/vec-prim.h"

#define FP_FOUR(NAME, op) \
    VEC_LANES(NAME##PS, f32, 4, float, f32_##op(D, A)) \
    VEC_LANES(NAME##PD, f64, 2, double, f64_##op(D, A)) \
    VEC_LANES(NAME##SS, f32, 1, float, f32_##op(D, A)) \
    VEC_LANES(NAME##SD, f64, 1, double, f64_##op(D, A))
FP_FOUR(ADD, add)
FP_FOUR(SUB, sub)
FP_FOUR(MUL, mul)
FP_FOUR(DIV, div)
FP_FOUR(MIN, min)
FP_FOUR(MAX, max)
VEC_LANES(SQRTPS, f32, 4, float, f32_sqrt(A))
VEC_LANES(SQRTPD, f64, 2, double, f64_sqrt(A))
VEC_LANES(SQRTSS, f32, 1, float, f32_sqrt(A))
VEC_LANES(SQRTSD, f64, 1, double, f64_sqrt(A))
VEC_LANES(RSQRTPS, f32, 4, float, f32_rsqrt(A))
VEC_LANES(RSQRTSS, f32, 1, float, f32_rsqrt(A))
VEC_LANES(RCPPS, f32, 4, float, f32_rcp(A))
VEC_LANES(RCPSS, f32, 1, float, f32_rcp(A))
VEC_LANES(CMPPS, f32, 4, float, f32_cmp(D, A, x->imm))
VEC_LANES(CMPPD, f64, 2, double, f64_cmp(D, A, x->imm))
VEC_LANES(CMPSS, f32, 1, float, f32_cmp(D, A, x->imm))
VEC_LANES(CMPSD, f64, 1, double, f64_cmp(D, A, x->imm))
VEC_LANES(ROUNDPS, f32, 4, float, f32_round(A, x->imm))
VEC_LANES(ROUNDPD, f64, 2, double, f64_round(A, x->imm))
VEC_LANES(ROUNDSS, f32, 1, float, f32_round(A, x->imm))
VEC_LANES(ROUNDSD, f64, 1, double, f64_round(A, x->imm))

#define FP_COMPARE(id, lane, fn) \
    VEC_FN(id) \
    { \
        FpOrder o = fn(x->d->lane[0], x->a.lane[0]); \
        x->flags = (o.z ? FLAG_Z : 0) | (o.p ? FLAG_P : 0) | (o.c ? FLAG_C : 0); \
    }
FP_COMPARE(COMISS, f32, f32_comi)
FP_COMPARE(COMISD, f64, f64_comi)
FP_COMPARE(UCOMISS, f32, f32_ucomi)
FP_COMPARE(UCOMISD, f64, f64_ucomi)

/* --- conversions: `zero` clears the upper half --- */
#define FP_CONVERT(id, out, in, n, fn, zero) \
    VEC_FN(id) \
    { \
        for (unsigned i = 0; i < (n); i++) \
            x->d->out[i] = fn(x->a.in[i]); \
        if (zero) \
            x->d->u64[1] = 0; \
    }
FP_CONVERT(CVTPS2PD, f64, f32, 2, f32_to_f64, false)
FP_CONVERT(CVTPD2PS, f32, f64, 2, f64_to_f32, true)
FP_CONVERT(CVTSS2SD, f64, f32, 1, f32_to_f64, false)
FP_CONVERT(CVTSD2SS, f32, f64, 1, f64_to_f32, false)
FP_CONVERT(CVTDQ2PS, f32, s32, 4, s32_to_f32, false)
FP_CONVERT(CVTPS2DQ, s32, f32, 4, f32_to_s32, false)
FP_CONVERT(CVTTPS2DQ, s32, f32, 4, f32_trunc_s32, false)
FP_CONVERT(CVTDQ2PD, f64, s32, 2, s32_to_f64, false)
FP_CONVERT(CVTPD2DQ, s32, f64, 2, f64_to_s32, true)
FP_CONVERT(CVTTPD2DQ, s32, f64, 2, f64_trunc_s32, true)
FP_CONVERT(CVTSI2SS, f32, s32, 1, s32_to_f32, false)
FP_CONVERT(CVTSI2SSQ, f32, s64, 1, s64_to_f32, false)
FP_CONVERT(CVTSI2SD, f64, s32, 1, s32_to_f64, false)
FP_CONVERT(CVTSI2SDQ, f64, s64, 1, s64_to_f64, false)
#define FP_TO_REG(id, in, type, fn) VEC_FN(id) { x->d->u64[0] = (type)fn(x->a.in[0]); }
FP_TO_REG(CVTSS2SI, f32, uint32_t, f32_to_s32)
FP_TO_REG(CVTSS2SIQ, f32, uint64_t, f32_to_s64)
FP_TO_REG(CVTSD2SI, f64, uint32_t, f64_to_s32)
FP_TO_REG(CVTSD2SIQ, f64, uint64_t, f64_to_s64)
FP_TO_REG(CVTTSS2SI, f32, uint32_t, f32_trunc_s32)
FP_TO_REG(CVTTSS2SIQ, f32, uint64_t, f32_trunc_s64)
FP_TO_REG(CVTTSD2SI, f64, uint32_t, f64_trunc_s32)
FP_TO_REG(CVTTSD2SIQ, f64, uint64_t, f64_trunc_s64)

/* --- horizontal --- */
#define FP_HORIZONTAL(id, lane, n, fn) \
    VEC_FN(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < (n); i++) { \
            const VecReg *s = i < (n) / 2 ? x->d : &x->a; \
            unsigned k = 2 * (i % ((n) / 2)); \
            r.lane[i] = fn(s->lane[k], s->lane[k + 1]); \
        } \
        memcpy(x->d, &r, 16); \
    }
FP_HORIZONTAL(HADDPS, f32, 4, f32_add)
FP_HORIZONTAL(HADDPD, f64, 2, f64_add)
FP_HORIZONTAL(HSUBPS, f32, 4, f32_sub)
FP_HORIZONTAL(HSUBPD, f64, 2, f64_sub)
VEC_LANES(ADDSUBPS, f32, 4, float, i & 1 ? f32_add(D, A) : f32_sub(D, A))
VEC_LANES(ADDSUBPD, f64, 2, double, i & 1 ? f64_add(D, A) : f64_sub(D, A))
VEC_FN(DPPS)
{
    float p[4];
    for (unsigned i = 0; i < 4; i++)
        p[i] = x->imm >> (4 + i) & 1 ? f32_mul(x->d->f32[i], x->a.f32[i]) : 0.0f;
    float low = f32_add(p[0], p[1]), high = f32_add(p[2], p[3]), sum = f32_add(low, high);
    for (unsigned i = 0; i < 4; i++)
        x->d->f32[i] = x->imm >> i & 1 ? sum : 0.0f;
}
VEC_FN(DPPD)
{
    double p[2];
    for (unsigned i = 0; i < 2; i++)
        p[i] = x->imm >> (4 + i) & 1 ? f64_mul(x->d->f64[i], x->a.f64[i]) : 0.0;
    double sum = f64_add(p[0], p[1]);
    for (unsigned i = 0; i < 2; i++)
        x->d->f64[i] = x->imm >> i & 1 ? sum : 0.0;
}

uint32_t vec_run(VecOp op, VecReg *d, const VecReg *a, const VecReg *v0, unsigned imm, bool a_is_mem,
                 uint32_t *fp_control)
{
    static VecFn *const fn[VEC_OP_COUNT] = {
#define X(id, mn, shape, msize, prefix, map, opcode, ext, flags) [VEC_##id] = vec_fn_##id,
#include "accel/tcg/vec.def"
#undef X
    };
    VecArgs x = { .d = d, .imm = imm, .mem = a_is_mem };
    memcpy(&x.a, a, sizeof x.a);
    if (vec_info[op].flags & VEC_V0)
        memcpy(&x.v0, v0, sizeof x.v0);
    if (vec_info[op].flags & VEC_FP) {
        uint32_t host = fp_control_swap_in(*fp_control);
        fn[op](&x);
        *fp_control = fp_control_swap_out(*fp_control, host);
    } else {
        fn[op](&x);
    }
    return x.flags;
}
