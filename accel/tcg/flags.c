/* SPDX-License-Identifier: MIT */
/*
 * Evaluation of lazily held flags. Built with general registers only: generated code calls it with guest vectors live.
 */
#include "accel/tcg/flags.h"

typedef struct FlagIn { uint64_t dst, src, src2, mask; unsigned bits; } FlagIn;

static unsigned parity_flag(uint64_t v)
{
    v ^= v >> 4;
    return (0x9669 >> (v & 15)) & 1 ? FLAG_P : 0; /* bit n: n has an even number of ones */
}
static uint32_t zsp(const FlagIn *f, uint64_t result)
{
    result &= f->mask;
    return (result ? 0 : FLAG_Z) | (result >> (f->bits - 1) & 1 ? FLAG_S : 0) | parity_flag(result);
}
static bool top(const FlagIn *f, uint64_t v) { return v >> (f->bits - 1) & 1; }

static uint32_t flags_add(const FlagIn *f, uint64_t result, uint64_t b, unsigned carry)
{
    uint64_t a = (result - b - carry) & f->mask;
    bool c = carry ? result <= a : result < a;
    return zsp(f, result) | (c ? FLAG_C : 0) | ((a ^ b ^ result) & FLAG_A) |
           (top(f, (a ^ result) & (b ^ result)) ? FLAG_O : 0);
}
static uint32_t flags_sub(const FlagIn *f, uint64_t a, uint64_t b, unsigned borrow)
{
    uint64_t result = (a - b - borrow) & f->mask;
    bool c = borrow ? a <= b : a < b;
    return zsp(f, result) | (c ? FLAG_C : 0) | ((a ^ b ^ result) & FLAG_A) |
           (top(f, (a ^ b) & (a ^ result)) ? FLAG_O : 0);
}
static uint32_t flags_shl(const FlagIn *f)
{
    bool c = f->src2 <= f->bits && (f->src >> (f->bits - f->src2) & 1);
    return zsp(f, f->dst) | (c ? FLAG_C : 0) | (c != top(f, f->dst) ? FLAG_O : 0);
}
static uint32_t flags_shr(const FlagIn *f)
{
    bool c = f->src >> (f->src2 - 1) & 1;
    return zsp(f, f->dst) | (c ? FLAG_C : 0) | (top(f, f->dst) != top(f, f->dst << 1) ? FLAG_O : 0);
}
static uint32_t flags_sar(const FlagIn *f)
{
    int64_t v = (int64_t)(f->src << (64 - f->bits)) >> (64 - f->bits);
    return zsp(f, f->dst) | (v >> (f->src2 - 1) & 1 ? FLAG_C : 0);
}
static uint32_t flags_inc(const FlagIn *f)
{
    bool o = (f->dst & f->mask) == (f->mask >> 1) + 1;
    return zsp(f, f->dst) | (f->dst & 15 ? 0 : FLAG_A) | (o ? FLAG_O : 0);
}
static uint32_t flags_dec(const FlagIn *f)
{
    bool o = (f->dst & f->mask) == f->mask >> 1;
    return zsp(f, f->dst) | ((f->dst & 15) == 15 ? FLAG_A : 0) | (o ? FLAG_O : 0);
}

static uint32_t eval_plain(uint32_t lazy_op, uint64_t dst, uint64_t src, uint64_t src2)
{
    unsigned bits = 8u << (lazy_op & 3);
    uint64_t mask = ~UINT64_C(0) >> (64 - bits);
    FlagIn f = { dst & mask, src & mask, src2, mask, bits };
    switch ((FlagOp)(lazy_op >> 2)) {
    case FLAGS_EXPLICIT: return (uint32_t)dst & FLAG_ALL;
    case FLAGS_ADD: return flags_add(&f, f.dst, f.src, 0);
    case FLAGS_ADC: return flags_add(&f, f.dst, f.src, f.src2 & 1);
    case FLAGS_SUB: return flags_sub(&f, (f.dst + f.src) & mask, f.src, 0);
    case FLAGS_SBB: return flags_sub(&f, (f.dst + f.src + (f.src2 & 1)) & mask, f.src, f.src2 & 1);
    case FLAGS_CMP: return flags_sub(&f, f.dst, f.src, 0);
    case FLAGS_NEG: return flags_sub(&f, 0, -f.dst & mask, 0);
    case FLAGS_LOGIC: return zsp(&f, f.dst);
    case FLAGS_TEST: return zsp(&f, f.dst & f.src);
    case FLAGS_INC: return flags_inc(&f) | (src & 1 ? FLAG_C : 0);
    case FLAGS_DEC: return flags_dec(&f) | (src & 1 ? FLAG_C : 0);
    case FLAGS_SHL: return flags_shl(&f);
    case FLAGS_SHR: return flags_shr(&f);
    case FLAGS_SAR: return flags_sar(&f);
    case FLAGS_MUL: return zsp(&f, f.dst) | (src & 1 ? FLAG_C | FLAG_O : 0);
    case FLAGS_BT: return ((uint32_t)src2 & FLAG_ALL & ~FLAG_C) | (src & 1 ? FLAG_C : 0);
    case FLAGS_BMI: return (zsp(&f, f.dst) & ~FLAG_P) | (src & 1 ? FLAG_C : 0);
    default: return 0;
    }
}

static uint32_t eval(uint32_t lazy_op, uint64_t dst, uint64_t src, uint64_t src2)
{
    uint32_t notc = lazy_op & LAZY_OP(FLAGS_NOTC, 1);
    return eval_plain(lazy_op ^ notc, dst, src, src2) ^ (notc ? FLAG_C : 0);
}

uint32_t flags_eval(const LazyFlags *f)
{
    uint32_t bits = eval(f->op, f->dst, f->src, f->src2);
    const uint32_t nz = FLAG_Z | FLAG_S | FLAG_P | FLAG_A;
    if (f->rest_op)
        bits = (bits & FLAG_C) | (eval(f->rest_op, f->rest_dst, f->rest_src, 0) & ~(uint32_t)FLAG_C);
    if (f->nz_op)
        bits = (bits & ~nz) | (eval(f->nz_op, f->nz_dst, 0, 0) & nz);
    if (f->carry_op)
        bits = (bits & ~(uint32_t)FLAG_C) | (uint32_t)(f->carry & FLAG_C);
    return bits;
}
