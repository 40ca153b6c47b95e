/* SPDX-License-Identifier: MIT */
/* Scalar floating-point primitives with x86 SSE semantics, under the present FP control (MXCSR or fenv). */
#ifndef ACCEL_TCG_VEC_PRIM_H
#define ACCEL_TCG_VEC_PRIM_H

#include <fenv.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Unordered, less, equal, greater: also raises Invalid as (U)COMISS does. */
typedef struct FpOrder { bool z, p, c; } FpOrder;

#if defined(__x86_64__)
/* The host's own instructions; volatile keeps them between the loads of MXCSR. Operand order decides which NaN wins. */
#define FP_BIN(name, type, insn) \
    static inline type name(type d, type a) \
    { \
        __asm__ volatile(insn " %1, %0" : "+x"(d) : "x"(a)); \
        return d; \
    }
#define FP_UN(name, to, from, insn, out, in) \
    static inline to name(from a) \
    { \
        to d; \
        __asm__ volatile(insn " %1, %0" : out(d) : in(a)); \
        return d; \
    }
/* Instructions that merge into an XMM register: break the dependency first. */
#define FP_UNX(name, to, from, insn, in) \
    static inline to name(from a) \
    { \
        to d = 0; \
        __asm__ volatile(insn " %1, %0" : "+x"(d) : in(a)); \
        return d; \
    }
#define FP_BOTH(op) FP_BIN(f32_##op, float, #op "ss") FP_BIN(f64_##op, double, #op "sd")
FP_BOTH(add) FP_BOTH(sub) FP_BOTH(mul) FP_BOTH(div) FP_BOTH(min) FP_BOTH(max)
FP_UNX(f32_sqrt, float, float, "sqrtss", "x")
FP_UNX(f64_sqrt, double, double, "sqrtsd", "x")
FP_UNX(f32_rsqrt, float, float, "rsqrtss", "x")
FP_UNX(f32_rcp, float, float, "rcpss", "x")
FP_UNX(f32_to_f64, double, float, "cvtss2sd", "x")
FP_UNX(f64_to_f32, float, double, "cvtsd2ss", "x")
FP_UNX(s32_to_f32, float, int32_t, "cvtsi2ssl", "r")
FP_UNX(s64_to_f32, float, int64_t, "cvtsi2ssq", "r")
FP_UNX(s32_to_f64, double, int32_t, "cvtsi2sdl", "r")
FP_UNX(s64_to_f64, double, int64_t, "cvtsi2sdq", "r")
FP_UN(f32_to_s32, int32_t, float, "cvtss2si", "=r", "x")
FP_UN(f32_to_s64, int64_t, float, "cvtss2si", "=r", "x")
FP_UN(f64_to_s32, int32_t, double, "cvtsd2si", "=r", "x")
FP_UN(f64_to_s64, int64_t, double, "cvtsd2si", "=r", "x")
FP_UN(f32_trunc_s32, int32_t, float, "cvttss2si", "=r", "x")
FP_UN(f32_trunc_s64, int64_t, float, "cvttss2si", "=r", "x")
FP_UN(f64_trunc_s32, int32_t, double, "cvttsd2si", "=r", "x")
FP_UN(f64_trunc_s64, int64_t, double, "cvttsd2si", "=r", "x")
#define FP_ORDER(name, type, insn) \
    static inline FpOrder name(type d, type a) \
    { \
        FpOrder o; \
        __asm__ volatile(insn " %4, %3" : "=@ccz"(o.z), "=@ccp"(o.p), "=@ccc"(o.c) : "x"(d), "x"(a)); \
        return o; \
    }
FP_ORDER(f32_comi, float, "comiss")
FP_ORDER(f64_comi, double, "comisd")
FP_ORDER(f32_ucomi, float, "ucomiss")
FP_ORDER(f64_ucomi, double, "ucomisd")
#define FP_CMP(name, type, insn) \
    static inline type name(type d, type a, unsigned predicate) \
    { \
        switch (predicate & 7) { \
        case 0: __asm__ volatile(insn " $0, %1, %0" : "+x"(d) : "x"(a)); break; \
        case 1: __asm__ volatile(insn " $1, %1, %0" : "+x"(d) : "x"(a)); break; \
        case 2: __asm__ volatile(insn " $2, %1, %0" : "+x"(d) : "x"(a)); break; \
        case 3: __asm__ volatile(insn " $3, %1, %0" : "+x"(d) : "x"(a)); break; \
        case 4: __asm__ volatile(insn " $4, %1, %0" : "+x"(d) : "x"(a)); break; \
        case 5: __asm__ volatile(insn " $5, %1, %0" : "+x"(d) : "x"(a)); break; \
        case 6: __asm__ volatile(insn " $6, %1, %0" : "+x"(d) : "x"(a)); break; \
        default: __asm__ volatile(insn " $7, %1, %0" : "+x"(d) : "x"(a)); break; \
        } \
        return d; \
    }
FP_CMP(f32_cmp, float, "cmpss")
FP_CMP(f64_cmp, double, "cmpsd")
/* imm as ROUNDSS has it: 1:0 mode, 2 = mode from the control word, 3 = no Precision exception. */
#define FP_ROUND_CASE(n, insn) case n: __asm__ volatile(insn " $" #n ", %1, %0" : "+x"(d) : "x"(a)); break;
#define FP_ROUND(name, type, insn) \
    static inline type name(type a, unsigned imm) \
    { \
        type d = 0; \
        switch (imm & 4 ? imm & 12 : imm & 11) { \
            FP_ROUND_CASE(0, insn) FP_ROUND_CASE(1, insn) FP_ROUND_CASE(2, insn) FP_ROUND_CASE(3, insn) \
            FP_ROUND_CASE(4, insn) FP_ROUND_CASE(8, insn) FP_ROUND_CASE(9, insn) FP_ROUND_CASE(10, insn) \
            FP_ROUND_CASE(11, insn) FP_ROUND_CASE(12, insn) \
        } \
        return d; \
    }
FP_ROUND(f32_round, float, "roundss")
FP_ROUND(f64_round, double, "roundsd")

static inline uint32_t fp_control_swap_in(uint32_t control)
{
    uint32_t host;
    __asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(host) : "m"(control) : "memory");
    return host;
}
static inline uint32_t fp_control_swap_out(uint32_t control, uint32_t host)
{
    __asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(control) : "m"(host) : "memory");
    return control;
}
#else
/*
 * Other hosts: C under fenv. Rounding, sticky flags and NaN choice follow the x86 rules; flush-to-zero and
 * denormals-are-zero are not modelled, nor the Denormal flag (docs/deviations.md).
 */
#define FP_NAN_RULES(w, type, bits, quiet) \
    static inline type f##w##_quieten(type v) \
    { \
        uint##w##_t u; \
        memcpy(&u, &v, sizeof u); \
        u |= (uint##w##_t)quiet; \
        memcpy(&v, &u, sizeof u); \
        return v; \
    } \
    static inline type f##w##_default_nan(void) \
    { \
        uint##w##_t u = (uint##w##_t)(bits); \
        type v; \
        memcpy(&v, &u, sizeof u); \
        return v; \
    } \
    static inline type f##w##_result(type d, type a, type r) \
    { \
        return isnan(d) ? f##w##_quieten(d) : isnan(a) ? f##w##_quieten(a) : isnan(r) ? f##w##_default_nan() : r; \
    }
FP_NAN_RULES(32, float, 0xffc00000u, 0x400000u)
FP_NAN_RULES(64, double, UINT64_C(0xfff8000000000000), UINT64_C(0x8000000000000))
#define FP_BIN(name, w, type, expr) \
    static inline type name(type d, type a) { volatile type r = (expr); return f##w##_result(d, a, r); }
#define FP_BOTH(op, sym) FP_BIN(f32_##op, 32, float, d sym a) FP_BIN(f64_##op, 64, double, d sym a)
FP_BOTH(add, +) FP_BOTH(sub, -) FP_BOTH(mul, *) FP_BOTH(div, /)
static inline float f32_min(float d, float a) { return d < a ? d : a; }
static inline double f64_min(double d, double a) { return d < a ? d : a; }
static inline float f32_max(float d, float a) { return d > a ? d : a; }
static inline double f64_max(double d, double a) { return d > a ? d : a; }
static inline float f32_sqrt(float a) { volatile float r = sqrtf(a); return f32_result(a, a, r); }
static inline double f64_sqrt(double a) { volatile double r = sqrt(a); return f64_result(a, a, r); }
static inline float f32_rsqrt(float a) { return 1.0f / sqrtf(a); }
static inline float f32_rcp(float a) { return 1.0f / a; }
static inline double f32_to_f64(float a) { volatile double r = a; return r; }
static inline float f64_to_f32(double a) { volatile float r = (float)a; return r; }
static inline float s32_to_f32(int32_t a) { volatile float r = (float)a; return r; }
static inline float s64_to_f32(int64_t a) { volatile float r = (float)a; return r; }
static inline double s32_to_f64(int32_t a) { return a; }
static inline double s64_to_f64(int64_t a) { volatile double r = (double)a; return r; }
#define FP_TO_INT(name, from, to, min, round) \
    static inline to name(from a) \
    { \
        from r = (from)round(a); \
        if (isnan(a) || r < (from)min || r >= -(from)min) { \
            feraiseexcept(FE_INVALID); \
            return min; \
        } \
        return (to)r; \
    }
FP_TO_INT(f32_to_s32, float, int32_t, INT32_MIN, rintf)
FP_TO_INT(f32_to_s64, float, int64_t, INT64_MIN, rintf)
FP_TO_INT(f64_to_s32, double, int32_t, INT32_MIN, rint)
FP_TO_INT(f64_to_s64, double, int64_t, INT64_MIN, rint)
FP_TO_INT(f32_trunc_s32, float, int32_t, INT32_MIN, truncf)
FP_TO_INT(f32_trunc_s64, float, int64_t, INT64_MIN, truncf)
FP_TO_INT(f64_trunc_s32, double, int32_t, INT32_MIN, trunc)
FP_TO_INT(f64_trunc_s64, double, int64_t, INT64_MIN, trunc)
#define FP_ORDER(name, type, cmp) \
    static inline FpOrder name(type d, type a) \
    { \
        bool u = isunordered(d, a); \
        volatile bool less = cmp; \
        return (FpOrder){ .z = u || d == a, .p = u, .c = u || less }; \
    }
FP_ORDER(f32_comi, float, d < a)
FP_ORDER(f64_comi, double, d < a)
FP_ORDER(f32_ucomi, float, isless(d, a))
FP_ORDER(f64_ucomi, double, isless(d, a))
#define FP_CMP(name, type, utype, order, uorder) \
    static inline type name(type d, type a, unsigned predicate) \
    { \
        FpOrder o = (predicate & 3) == 1 || (predicate & 3) == 2 ? order(d, a) : uorder(d, a); \
        bool eq = o.z && !o.p, lt = o.c && !o.p, r[4] = { eq, lt, eq || lt, o.p }; \
        utype u = (r[predicate & 3] != (predicate >> 2 & 1)) ? (utype)-1 : 0; \
        memcpy(&d, &u, sizeof d); \
        return d; \
    }
FP_CMP(f32_cmp, float, uint32_t, f32_comi, f32_ucomi)
FP_CMP(f64_cmp, double, uint64_t, f64_comi, f64_ucomi)
static inline double f64_round(double a, unsigned imm)
{
    static const int modes[4] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
    int old = fegetround();
    if (!(imm & 4))
        fesetround(modes[imm & 3]);
    double r = imm & 8 ? nearbyint(a) : rint(a);
    fesetround(old);
    return isnan(a) ? f64_quieten(a) : r;
}
static inline float f32_round(float a, unsigned imm) { return isnan(a) ? f32_quieten(a) : (float)f64_round(a, imm); }

static inline uint32_t fp_control_swap_in(uint32_t control)
{
    static const int modes[4] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
    feclearexcept(FE_ALL_EXCEPT);
    fesetround(modes[control >> 13 & 3]);
    return 0;
}
static inline uint32_t fp_control_swap_out(uint32_t control, uint32_t host)
{
    int e = fetestexcept(FE_ALL_EXCEPT);
    fesetround(FE_TONEAREST);
    return control | (e & FE_INVALID ? 1 : 0) | (e & FE_DIVBYZERO ? 4 : 0) | (e & FE_OVERFLOW ? 8 : 0) |
           (e & FE_UNDERFLOW ? 16 : 0) | (e & FE_INEXACT ? 32 : 0);
}
#endif
#endif
