/* SPDX-License-Identifier: MIT */
/* Integer operations of the interpreter with their flags. Flag rules: Intel SDM vol. 2, per instruction. */
#include "accel/tcg/interp/interp.h"

bool interp_stores(IrOp op) { return op != IR_CMP && op != IR_TEST && op != IR_BT; }

typedef struct Alu {
    const IrInsn *i;
    uint64_t a, b, c, mask;
    unsigned size, bits;
    LazyFlags *f;
} Alu;

static uint64_t lazy(Alu *x, FlagOp op, uint64_t r, uint64_t src, uint64_t src2)
{
    r &= x->mask;
    *x->f = (LazyFlags){ .dst = r, .src = src, .src2 = src2, .op = LAZY_OP(op, x->size) };
    return r;
}
static unsigned carry_in(const Alu *x) { return flags_eval(x->f) & FLAG_C; }
static void explicit_flags(Alu *x, uint32_t bits)
{
    *x->f = (LazyFlags){ .dst = bits, .op = LAZY_OP(FLAGS_EXPLICIT, 4) };
}
/* Replace C and, by the sign rule of rotates, O. */
static void rotate_flags(Alu *x, bool c, bool o)
{
    explicit_flags(x, (flags_eval(x->f) & ~(FLAG_C | FLAG_O)) | (c ? FLAG_C : 0) | (o ? FLAG_O : 0));
}
static bool top(const Alu *x, uint64_t v) { return v >> (x->bits - 1) & 1; }
static unsigned count_of(const Alu *x, uint64_t b) { return b & (x->size == 8 ? 63 : 31); }

static uint64_t inc(Alu *x, bool up)
{
    uint64_t r = (x->a + (up ? 1 : ~UINT64_C(0))) & x->mask;
    x->f->rest_op = LAZY_OP(up ? FLAGS_INC : FLAGS_DEC, x->size);
    x->f->nz_op = 0;
    x->f->rest_dst = r;
    return r;
}

static uint64_t shift(Alu *x)
{
    unsigned n = count_of(x, x->b);
    if (!n)
        return x->a;
    switch ((IrOp)x->i->op) {
    case IR_SHL: return lazy(x, FLAGS_SHL, n < x->bits ? x->a << n : 0, x->a, n);
    case IR_SHR: return lazy(x, FLAGS_SHR, n < x->bits ? x->a >> n : 0, x->a, n);
    default: return lazy(x, FLAGS_SAR, (uint64_t)(bits_sget(x->a, 0, x->bits) >> MIN(n, 63)), x->a, n);
    }
}

static uint64_t rotate(Alu *x)
{
    unsigned masked = count_of(x, x->b), n = masked % x->bits;
    if (!masked)
        return x->a;
    bool left = x->i->op == IR_ROL;
    unsigned l = left ? n : (x->bits - n) % x->bits;
    uint64_t r = l ? ((x->a << l) | (x->a >> (x->bits - l))) & x->mask : x->a;
    bool c = left ? r & 1 : top(x, r);
    rotate_flags(x, c, left ? top(x, r) != c : top(x, r) != top(x, r << 1));
    return r;
}

static uint64_t rotate_carry(Alu *x)
{
    unsigned masked = count_of(x, x->b), n = masked % (x->bits + 1);
    if (!masked)
        return x->a;
    bool left = x->i->op == IR_RCL;
    unsigned l = left ? n : (x->bits + 1 - n) % (x->bits + 1);
    unsigned __int128 wide = (unsigned __int128)carry_in(x) << x->bits | x->a;
    unsigned __int128 all = ((unsigned __int128)1 << (x->bits + 1)) - 1;
    unsigned __int128 w = l ? ((wide << l) | (wide >> (x->bits + 1 - l))) & all : wide;
    uint64_t r = (uint64_t)w & x->mask;
    bool c = (uint64_t)(w >> x->bits) & 1;
    if (n)
        rotate_flags(x, c, left ? top(x, r) != c : top(x, r) != top(x, r << 1));
    return r;
}

static uint64_t double_shift(Alu *x)
{
    unsigned n = count_of(x, x->c);
    if (!n)
        return x->a;
    unsigned __int128 pair; /* for 16 bits, counts above 16 shift in the destination again, as CPUs do */
    uint64_t r;
    if (x->i->op == IR_SHLD) {
        pair = (unsigned __int128)x->a << x->bits | x->b;
        pair = pair << x->bits | x->a;
        if (x->bits == 64) {
            r = x->a << n | x->b >> (64 - n);
        } else {
            r = (uint64_t)(pair >> (2 * x->bits - n));
        }
        uint64_t out = x->bits == 16 && n > 16 ? x->b << 16 | 0 : 0;
        if (out || (x->bits == 16 && n > 16)) {
            r &= x->mask;
            lazy(x, FLAGS_SHL, r, x->b, n - 16);
            return r;
        }
        return lazy(x, FLAGS_SHL, r, x->a, n);
    }
    if (x->bits == 64) {
        r = x->a >> n | x->b << (64 - n);
    } else {
        pair = ((unsigned __int128)x->a << x->bits | x->b) << x->bits | x->a;
        r = (uint64_t)(pair >> n);
    }
    if (x->bits == 16 && n > 16)
        return lazy(x, FLAGS_SHR, r, x->b, n - 16);
    return lazy(x, FLAGS_SHR, r, x->a, n);
}

static uint64_t mul(Alu *x)
{
    __int128 p = (__int128)bits_sget(x->a, 0, x->bits) * bits_sget(x->b, 0, x->bits);
    bool over = p != (__int128)bits_sget((uint64_t)p & x->mask, 0, x->bits);
    return lazy(x, FLAGS_MUL, (uint64_t)p, over, 0);
}

/* TZCNT, LZCNT: C = source zero, Z = result zero. */
static uint64_t count_zeros(Alu *x)
{
    uint64_t r = !x->a                  ? x->bits
                 : x->i->op == IR_TZCNT ? (uint64_t)__builtin_ctzll(x->a)
                                        : (uint64_t)__builtin_clzll(x->a) - (64 - x->bits);
    explicit_flags(x, (x->a ? 0 : FLAG_C) | (r ? 0 : FLAG_Z));
    return r;
}

static uint64_t bit_test(Alu *x)
{
    unsigned n = x->b & (x->bits - 1);
    *x->f = (LazyFlags){ .src = x->a >> n & 1, .src2 = flags_eval(x->f), .op = LAZY_OP(FLAGS_BT, x->size) };
    uint64_t bit = BIT(n);
    switch ((IrOp)x->i->op) {
    case IR_BTS: return x->a | bit;
    case IR_BTR: return x->a & ~bit;
    case IR_BTC: return x->a ^ bit;
    default: return x->a;
    }
}

static uint64_t bextr(Alu *x)
{
    unsigned start = x->b & 0xff, len = x->b >> 8 & 0xff;
    uint64_t r = start < x->bits ? x->a >> start : 0;
    r = len < 64 ? r & (BIT(len) - 1) : r;
    explicit_flags(x, r ? 0 : FLAG_Z);
    return r;
}

static uint64_t bzhi(Alu *x)
{
    unsigned n = x->b & 0xff;
    return lazy(x, FLAGS_BMI, n < x->bits ? x->a & (BIT(n) - 1) : x->a, n > x->bits - 1, 0);
}

static uint64_t pdep(uint64_t a, uint64_t mask)
{
    uint64_t r = 0;
    for (; mask; mask &= mask - 1, a >>= 1)
        r |= a & 1 ? mask & -mask : 0;
    return r;
}
static uint64_t pext(uint64_t a, uint64_t mask)
{
    uint64_t r = 0;
    for (unsigned k = 0; mask; mask &= mask - 1, k++)
        r |= a & mask & -mask ? BIT(k) : 0;
    return r;
}
static uint64_t reverse(uint64_t a, unsigned bits)
{
    uint64_t r = 0;
    for (unsigned k = 0; k < bits; k++)
        r |= (a >> k & 1) << (bits - 1 - k);
    return r;
}

uint64_t interp_alu(Vcpu *v, const IrInsn *i, uint64_t a, uint64_t b, uint64_t c, LazyFlags *f)
{
    Alu x = { i, a, b, c, bits_mask(8 * i->size), i->size, 8 * i->size, f };
    unsigned carry;
    switch ((IrOp)i->op) {
    case IR_ADD: return lazy(&x, FLAGS_ADD, a + b, b, 0);
    case IR_SUB: return lazy(&x, FLAGS_SUB, a - b, b, 0);
    case IR_CMP: lazy(&x, FLAGS_CMP, a, b, 0); return 0;
    case IR_ADC: carry = carry_in(&x); return lazy(&x, FLAGS_ADC, a + b + carry, b, carry);
    case IR_SBB: carry = carry_in(&x); return lazy(&x, FLAGS_SBB, a - b - carry, b, carry);
    case IR_AND: return lazy(&x, FLAGS_LOGIC, a & b, 0, 0);
    case IR_OR: return lazy(&x, FLAGS_LOGIC, a | b, 0, 0);
    case IR_XOR: return lazy(&x, FLAGS_LOGIC, a ^ b, 0, 0);
    case IR_TEST: return lazy(&x, FLAGS_LOGIC, a & b, 0, 0);
    case IR_NEG: return lazy(&x, FLAGS_NEG, -a, 0, 0);
    case IR_NOT: return ~a & x.mask;
    case IR_INC: return inc(&x, true);
    case IR_DEC: return inc(&x, false);
    case IR_ANDN: return lazy(&x, FLAGS_LOGIC, ~a & b, 0, 0);
    case IR_SHL: case IR_SHR: case IR_SAR: return shift(&x);
    case IR_ROL: case IR_ROR: return rotate(&x);
    case IR_RCL: case IR_RCR: return rotate_carry(&x);
    case IR_SHLD: case IR_SHRD: return double_shift(&x);
    case IR_MUL: return mul(&x);
    case IR_TZCNT: case IR_LZCNT: return count_zeros(&x);
    case IR_POPCNT: explicit_flags(&x, a ? 0 : FLAG_Z); return (uint64_t)__builtin_popcountll(a);
    case IR_BSWAP: return __builtin_bswap64(a) >> (64 - x.bits);
    case IR_RBIT: return reverse(a, x.bits);
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: return bit_test(&x);
    case IR_BLSI: return lazy(&x, FLAGS_BMI, a & -a, a != 0, 0);
    case IR_BLSR: return lazy(&x, FLAGS_BMI, a & (a - 1), a == 0, 0);
    case IR_BLSMSK: return lazy(&x, FLAGS_BMI, a ^ (a - 1), a == 0, 0);
    case IR_BEXTR: return bextr(&x);
    case IR_BZHI: return bzhi(&x);
    case IR_PDEP: return pdep(a, b);
    case IR_PEXT: return pext(a, b);
    default: g_assert_not_reached();
    }
}
