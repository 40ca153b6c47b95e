/* SPDX-License-Identifier: MIT */
/* Exact IEEE 754 arithmetic on integers, for half, BF16, single and double: the oracle of FP in generated code.
 *
 * Numbers are bit patterns; `es` names the format: 2 half, 4 single, 8 double, FP_BF16. Rules that IEEE 754 leaves open
 * are those of Arm DDI 0487 (NaN priority and default NaN, tininess before rounding, input denormals).
 */
#ifndef ACCEL_TCG_SOFTFP_H
#define ACCEL_TCG_SOFTFP_H

#include <stdbool.h>
#include <stdint.h>

enum { FP_BF16 = 3 };
/* Sticky flags, x86 MXCSR's places; FPF_ID: an input denormal was flushed. */
enum { FPF_INVALID = 1, FPF_DIVZERO = 4, FPF_OVERFLOW = 8, FPF_UNDERFLOW = 16, FPF_INEXACT = 32, FPF_ID = 256 };
typedef struct FpEnv {
    uint8_t rmode;        /* FP_ROUND_* of simd.h, not CURRENT */
    bool dn, fz, fz16, ahp;
    bool alternative;     /* private: a result in the alternative half-precision format */
    uint32_t flags;       /* sticky */
} FpEnv;

uint64_t fp_add(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
uint64_t fp_sub(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
uint64_t fp_mul(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
uint64_t fp_mulx(FpEnv *e, unsigned es, uint64_t a, uint64_t b); /* 0 * inf = 2 */
uint64_t fp_div(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
uint64_t fp_sqrt(FpEnv *e, unsigned es, uint64_t a);
/* c + a * b with one rounding; a and b may have another format than c and the result. */
uint64_t fp_muladd(FpEnv *e, unsigned es, unsigned es_ab, uint64_t c, uint64_t a, uint64_t b);
uint64_t fp_max(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
uint64_t fp_min(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
uint64_t fp_maxnm(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
uint64_t fp_minnm(FpEnv *e, unsigned es, uint64_t a, uint64_t b);
/* -1, 0, 1, or 2: unordered. signal: quiet NaNs are invalid too. */
int fp_compare(FpEnv *e, unsigned es, uint64_t a, uint64_t b, bool signal);
uint64_t fp_recpe(FpEnv *e, unsigned es, uint64_t a);
uint64_t fp_rsqrte(FpEnv *e, unsigned es, uint64_t a);
uint64_t fp_recpx(FpEnv *e, unsigned es, uint64_t a);
uint64_t fp_recps(FpEnv *e, unsigned es, uint64_t a, uint64_t b);  /* 2 - a * b */
uint64_t fp_rsqrts(FpEnv *e, unsigned es, uint64_t a, uint64_t b); /* (3 - a * b) / 2 */
uint64_t fp_rint(FpEnv *e, unsigned es, uint64_t a, unsigned rmode, bool exact);
uint64_t fp_rint_sized(FpEnv *e, unsigned es, uint64_t a, unsigned rmode, unsigned bits); /* FRINT32, FRINT64 */
uint64_t fp_convert(FpEnv *e, unsigned from, unsigned to, uint64_t a);
uint64_t fp_to_int(FpEnv *e, unsigned es, uint64_t a, unsigned rmode, unsigned bits, bool is_unsigned,
                   unsigned fraction_bits);
uint64_t fp_from_int(FpEnv *e, unsigned es, uint64_t a, unsigned bits, bool is_unsigned, unsigned fraction_bits);
uint64_t fp_jcvt(FpEnv *e, uint64_t a, bool *exact);
uint32_t fp_recip_estimate(uint32_t a);      /* 9 bits -> 9 bits */
uint32_t fp_rsqrt_estimate(uint32_t a);
#endif
