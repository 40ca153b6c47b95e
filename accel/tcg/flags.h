/* SPDX-License-Identifier: MIT */
/* Lazily held flags: what LazyFlags.op means and how it is evaluated. */
#ifndef ACCEL_TCG_FLAGS_H
#define ACCEL_TCG_FLAGS_H

#include "accel/vcpu.h"

enum { FLAG_C = 1 << 0, FLAG_P = 1 << 2, FLAG_A = 1 << 4, FLAG_Z = 1 << 6, FLAG_S = 1 << 7, FLAG_O = 1 << 11,
       FLAG_ALL = FLAG_C | FLAG_P | FLAG_A | FLAG_Z | FLAG_S | FLAG_O };

/* dst = result of the operation at its size; src = second operand unless said otherwise. */
typedef enum FlagOp {
    FLAGS_EXPLICIT, /* dst holds the bits themselves */
    FLAGS_ADD, FLAGS_SUB,
    FLAGS_ADC, FLAGS_SBB,  /* src2: carry in */
    FLAGS_LOGIC,           /* A is 0 */
    FLAGS_INC, FLAGS_DEC,  /* src: the kept carry (0 or 1); as rest_op: src is not used */
    FLAGS_SHL, FLAGS_SHR, FLAGS_SAR, /* dst = result, src = operand before the shift, src2 = count (not 0) */
    FLAGS_MUL,             /* dst = low result, src = 1: C = O = 1 */
    FLAGS_BT,              /* src: carry; others from src2 = explicit bits before */
    FLAGS_BMI,             /* Z, S from dst; C = src; O = 0 */
    FLAGS_CMP,             /* like SUB, but dst is the first operand, not the result */
    FLAGS_TEST,            /* like LOGIC of dst & src */
    FLAGS_NEG,             /* like SUB of 0 - src; dst = result, src unused */
    FLAG_OP_COUNT,
    FLAGS_NOTC = 32        /* or-ed to one of the above: the C of that operation, inverted */
} FlagOp;
#define LAZY_OP(op, size) ((uint16_t)((op) << 2 | __builtin_ctz(size)))

/* The explicit bits; pure. Built with general registers only. */
uint32_t flags_eval(const LazyFlags *f);
static inline void flags_set_explicit(Vcpu *v, uint32_t bits)
{
    v->fl = (LazyFlags){ .dst = bits & FLAG_ALL, .op = LAZY_OP(FLAGS_EXPLICIT, 4) };
}
#endif
