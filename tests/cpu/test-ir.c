/* SPDX-License-Identifier: MIT */
/* Random IR run by the interpreter and by generated code: registers, flags, memory and faults must agree. */
#include <stdio.h>
#include <stdlib.h>
#include "accel/tcg/vec.h"
#include "tests/cpu/toy.h"

enum { CODE = 0x1000, FIRST = 16, LENGTH = 90, STOP = 1, DATA = 0x4000, DATA_PAGES = 6, READ_ONLY = 8, DEVICE = 10 };

static GRand *rng;
static unsigned pick(unsigned n) { return (unsigned)g_rand_int_range(rng, 0, (gint32)n); }
static bool chance(unsigned percent) { return pick(100) < percent; }
static uint64_t random64(void) { return (uint64_t)g_rand_int(rng) << 32 | g_rand_int(rng); }
static uint64_t value(void)
{
    static const uint64_t some[] = { 0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff };
    return chance(50) ? some[pick(G_N_ELEMENTS(some))] : chance(50) ? random64() : pick(200);
}

/* Flags that the manual leaves undefined at this point of the sequence. */
static uint32_t undefined, undefined_before[LENGTH + 1];
static unsigned position;

/* Registers 6, 12 and 13 hold addresses. */
static bool is_base(unsigned n) { return n == 6 || n == 12 || n == 13; }
static unsigned data_reg(void)
{
    unsigned n;
    do
        n = pick(TOY_GREGS);
    while (is_base(n));
    return n;
}
static IrRef reg(unsigned size)
{
    if (size == 1 && chance(15))
        return IR_GH(pick(4));
    return IR_G(data_reg());
}
static IrRef temp(void) { return IR_T(pick(3)); }

static void memory(IrInsn *i)
{
    static const unsigned bases[] = { 6, 12, 13 };
    i->m.base = IR_G(bases[pick(3)]);
    i->m.disp = (int32_t)pick(64) - 16;
    if (chance(5))
        i->m.disp = (int32_t)pick(8192) - 4096;
    if (chance(4))
        i->m.segment = offsetof(ToyCpu, segment);
    if (chance(4))
        i->m.base = IR_NONE, i->m.disp = DATA + (int32_t)pick(DATA_PAGES * 4096 - 16);
    if (chance(4))
        i->m.asize = 4;
    if (chance(3))
        i->m.align = 8;
}

static const unsigned sizes[] = { 1, 2, 4, 8 };

static void define_flags(unsigned n) /* an op that sets them all, when some are undefined that the next op reads */
{
    if (!undefined)
        return;
    toy_op(n, IR_CMP, 8, IR_NONE, IR_G(data_reg()), IR_G(data_reg()), 0)->flags = IR_SETF;
    undefined = 0;
}

static void random_alu(unsigned n)
{
    static const IrOp ops[] = { IR_ADD, IR_SUB, IR_ADC, IR_SBB, IR_AND, IR_OR, IR_XOR, IR_CMP, IR_TEST };
    IrOp op = ops[pick(G_N_ELEMENTS(ops))];
    unsigned size = sizes[pick(4)], form = pick(6);
    if (op == IR_ADC || op == IR_SBB)
        define_flags(n);
    bool compare = op == IR_CMP || op == IR_TEST;
    IrRef d = reg(size), a = chance(80) ? d : reg(size), b = reg(size);
    if (form == 0)
        b = IR_IMM;
    else if (form == 1)
        b = IR_MEM;
    else if (form == 2)
        d = a = IR_MEM;
    else if (form == 3)
        d = a = IR_MEM, b = IR_IMM;
    IrInsn *i = toy_op(n, op, size, compare ? IR_NONE : d, a, b, value());
    i->flags = (chance(90) ? IR_SETF | (op != IR_CMP && chance(20) ? IR_NOTC : 0) : 0) |
               (d == IR_MEM && !compare && chance(20) ? IR_LOCK : 0);
    if (d == IR_MEM || b == IR_MEM)
        memory(i);
    if (i->flags & IR_SETF)
        undefined = op == IR_AND || op == IR_OR || op == IR_XOR || op == IR_TEST ? FLAG_A : 0;
}

static void random_unary(unsigned n)
{
    static const IrOp ops[] = { IR_INC, IR_DEC, IR_NEG, IR_NOT };
    IrOp op = ops[pick(4)];
    unsigned size = sizes[pick(4)];
    IrRef d = chance(25) ? IR_MEM : reg(size), a = d == IR_MEM || chance(80) ? d : reg(size);
    IrInsn *i = toy_op(n, op, size, d, a, IR_NONE, 0);
    i->flags = op != IR_NOT && chance(90) ? IR_SETF : 0;
    if (d == IR_MEM)
        memory(i);
    if (i->flags & IR_SETF)
        undefined = op == IR_NEG ? 0 : undefined & FLAG_C;
}

static void random_move(unsigned n)
{
    unsigned size = sizes[pick(4)], form = pick(7);
    IrInsn *i;
    switch (form) {
    case 0: toy_op(n, IR_MOV, size, reg(size), reg(size), IR_NONE, 0); break;
    case 1: toy_op(n, IR_MOV, size, reg(size), IR_IMM, IR_NONE, value()); break;
    case 2: memory(toy_op(n, IR_MOV, size, reg(size), IR_MEM, IR_NONE, 0)); break;
    case 3: memory(toy_op(n, IR_MOV, size, IR_MEM, chance(70) ? reg(size) : IR_IMM, IR_NONE, value())); break;
    case 4: {
        unsigned from = pick(3), to = from + 1 + pick(3 - from);
        i = toy_op(n, chance(50) ? IR_ZEXT : IR_SEXT, sizes[from], IR_G(data_reg()),
                   chance(30) ? IR_MEM : reg(sizes[from]), IR_NONE, 0);
        i->size2 = (uint8_t)sizes[to];
        if (i->a == IR_MEM)
            memory(i);
        break;
    }
    case 5:
        i = toy_op(n, IR_LEA, chance(50) ? 8 : chance(50) ? 4 : 2, IR_G(data_reg()), IR_NONE, IR_NONE, 0);
        i->m.base = chance(80) ? IR_G(pick(16)) : IR_NONE, i->m.index = chance(60) ? IR_G(pick(16)) : IR_NONE;
        i->m.scale = (uint8_t)pick(4), i->m.disp = (int32_t)g_rand_int(rng);
        i->m.asize = chance(70) ? 8 : chance(70) ? 4 : 2;
        break;
    default:
        i = toy_op(n, IR_MOV, size, reg(size), IR_MEM, IR_NONE, 0);
        memory(i);
        i->flags = IR_BE;
        break;
    }
}

static void random_shift(unsigned n)
{
    static const IrOp ops[] = { IR_SHL, IR_SHR, IR_SAR, IR_ROL, IR_ROR, IR_RCL, IR_RCR, IR_SHLD, IR_SHRD };
    IrOp op = ops[pick(G_N_ELEMENTS(ops))];
    bool pair = op == IR_SHLD || op == IR_SHRD;
    unsigned size = pair ? sizes[2 + pick(2)] : sizes[pick(4)], count = pick(size * 8 + 3);
    IrRef d = chance(20) ? IR_MEM : reg(size), a = d == IR_MEM || chance(70) ? d : reg(size);
    IrRef by = chance(70) ? IR_IMM : chance(70) ? IR_G(1) : IR_G(data_reg());
    if (chance(30))
        count = 1;
    if (op == IR_RCL || op == IR_RCR || by != IR_IMM || pair || !(count & (size == 8 ? 63 : 31)) || op == IR_ROL ||
        op == IR_ROR)
        define_flags(n);
    IrInsn *i = toy_op(n, op, size, d, a, pair ? reg(size) : by, count);
    if (pair)
        i->c = by;
    i->flags = chance(85) ? IR_SETF : 0;
    if (d == IR_MEM)
        memory(i);
    if (!(i->flags & IR_SETF))
        return;
    bool rotate = op >= IR_ROL && op <= IR_RCR;
    undefined |= rotate ? (by == IR_IMM && count == 1 ? 0 : FLAG_O)
                        : FLAG_A | (by == IR_IMM && count == 1 ? 0 : FLAG_O);
    if (!rotate && (size < 4 && (by != IR_IMM || count >= size * 8)))
        undefined |= FLAG_C;
}

static void random_mul(unsigned n)
{
    unsigned size = sizes[1 + pick(3)];
    IrInsn *i;
    if (chance(60)) {
        i = toy_op(n, IR_MUL, size, reg(size), reg(size),
                   chance(30)   ? IR_IMM
                   : chance(40) ? IR_MEM
                                : reg(size),
                   value());
    } else {
        IrOp op = chance(50) ? IR_MULU2 : IR_MULS2;
        size = sizes[pick(4)];
        bool fixed = chance(60);
        IrRef low = fixed ? IR_G(0) : IR_G(data_reg()), high = fixed ? IR_G(2) : IR_G(data_reg());
        if (low == high)
            low = IR_G(0), high = IR_G(2);
        i = toy_op(n, op, size, low, fixed ? IR_G(0) : reg(size), chance(30) ? IR_MEM : reg(size), 0);
        i->c = size == 1 ? IR_NONE : high;
    }
    i->flags = chance(80) ? IR_SETF : 0;
    if (i->b == IR_MEM)
        memory(i);
    if (i->flags)
        undefined = FLAG_S | FLAG_Z | FLAG_A | FLAG_P;
}

static void random_div(unsigned n)
{
    unsigned size = sizes[pick(4)];
    if (chance(70)) { /* mostly one that fits */
        toy_op(n, IR_MOV, 8, IR_G(2), IR_IMM, IR_NONE, chance(50) ? 0 : ~UINT64_C(0));
        toy_op(n, IR_OR, 8, IR_G(3), IR_G(3), IR_IMM, 1);
    }
    IrInsn *i = toy_op(n, chance(50) ? IR_DIVU : IR_DIVS, size, IR_G(0), IR_G(0),
                       chance(70)   ? IR_G(3)
                       : chance(50) ? IR_MEM
                                    : reg(size),
                       0);
    i->c = size == 1 ? IR_GH(0) : IR_G(2);
    if (i->b == IR_MEM)
        memory(i);
}

static IrRef temp_value(unsigned n)
{
    IrRef t = temp();
    toy_op(n, IR_MOV, 8, t, IR_G(data_reg()), IR_NONE, 0);
    return t;
}

static void random_plain_div(unsigned n)
{
    unsigned size = sizes[2 + pick(2)];
    toy_op(n, chance(50) ? IR_UDIV : IR_SDIV, size, IR_G(data_reg()), chance(90) ? IR_G(data_reg()) : temp_value(n),
           chance(20) ? IR_IMM : IR_G(data_reg()), value());
}

/* The shapes of guests with three-operand instructions. */
static void random_three(unsigned n)
{
    unsigned size = sizes[2 + pick(2)];
    IrInsn *i;
    switch (pick(4)) {
    case 0:
        i = toy_op(n, chance(50) ? IR_MULU2 : IR_MULS2, size, temp(), IR_G(data_reg()), IR_G(data_reg()), 0);
        i->c = IR_G(data_reg());
        break;
    case 1: toy_op(n, IR_SHL + (IrOp)pick(5), size, IR_G(data_reg()), IR_G(data_reg()), IR_G(data_reg()), 0); break;
    case 2:
        i = toy_op(n, IR_SHRD, size, IR_G(data_reg()), IR_G(data_reg()), IR_G(data_reg()), 1 + pick(size * 8 - 1));
        i->c = IR_IMM;
        break;
    default: toy_op(n, chance(50) ? IR_RBIT : IR_NEG, size, IR_G(data_reg()), IR_G(data_reg()), IR_NONE, 0); break;
    }
}

static void random_bits(unsigned n)
{
    static const IrOp ops[] = { IR_BSF,   IR_BSR,  IR_TZCNT, IR_LZCNT, IR_POPCNT, IR_BSWAP, IR_RBIT,
                                IR_BT,    IR_BTS,  IR_BTR,   IR_BTC,   IR_BLSI,   IR_BLSR,  IR_BLSMSK,
                                IR_BEXTR, IR_BZHI, IR_PDEP,  IR_PEXT,  IR_CRC32C, IR_ANDN };
    static const uint32_t undef[] = { FLAG_ALL & ~FLAG_Z, FLAG_ALL & ~FLAG_Z, FLAG_O | FLAG_S | FLAG_P | FLAG_A,
        FLAG_O | FLAG_S | FLAG_P | FLAG_A, 0, 0, 0, 0, 0, 0, 0, FLAG_A | FLAG_P, FLAG_A | FLAG_P, FLAG_A | FLAG_P,
        FLAG_A | FLAG_S | FLAG_P, FLAG_A | FLAG_P, 0, 0, 0, FLAG_A | FLAG_P };
    unsigned k = pick(G_N_ELEMENTS(ops));
    IrOp op = ops[k];
    unsigned size = sizes[2 + pick(2)];
    bool bt = op >= IR_BT && op <= IR_BTC, scan = op >= IR_BSF && op <= IR_POPCNT;
    IrRef d = IR_G(data_reg()), a = IR_G(data_reg()), b = bt && chance(60) ? IR_IMM : IR_G(data_reg());
    if (op == IR_CRC32C)
        size = sizes[pick(4)], a = chance(70) ? d : a;
    if (bt)
        a = d;
    if (bt && chance(30))
        a = d = IR_MEM;
    if (scan && chance(30))
        a = IR_MEM;
    bool two = bt || op == IR_BEXTR || op == IR_BZHI || op == IR_PDEP || op == IR_PEXT || op == IR_CRC32C ||
               op == IR_ANDN;
    IrInsn *i = toy_op(n, op, size, op == IR_BT ? IR_NONE : d, a, two ? b : IR_NONE, pick(70));
    bool flags = op != IR_BSWAP && op != IR_RBIT && op != IR_PDEP && op != IR_PEXT && op != IR_CRC32C && chance(85);
    i->flags = flags ? IR_SETF | (op == IR_BT && chance(30) ? IR_NOTC : 0) : 0;
    if (a == IR_MEM)
        memory(i);
    if (flags)
        undefined = bt ? (undefined & ~FLAG_C) | FLAG_O | FLAG_S | FLAG_A | FLAG_P : undef[k];
}

static void random_flags(unsigned n)
{
    define_flags(n);
    unsigned size = sizes[pick(4)];
    IrInsn *i;
    switch (pick(11)) {
    case 7:
    case 8:
        size = sizes[2 + pick(2)];
        i = toy_op(n, chance(60) ? IR_CCMP : IR_CCMN, size, IR_NONE, chance(90) ? IR_G(data_reg()) : temp_value(n),
                   chance(40) ? IR_IMM : IR_G(data_reg()), chance(80) ? pick(32) : value());
        i->cond = (uint8_t)pick(16);
        i->imm2 = g_rand_int(rng) & FLAG_ALL;
        undefined = FLAG_A | FLAG_P;
        break;
    case 9:
        toy_op(n, IR_SETNZ, sizes[2 + pick(2)], IR_NONE, IR_G(data_reg()), IR_NONE, 0);
        undefined = FLAG_A | FLAG_P;
        break;
    case 10: toy_op(n, IR_FENCE, 8, IR_NONE, IR_NONE, IR_NONE, pick(2)); break;
    case 0: toy_op(n, IR_SETCC, 1, reg(1), IR_NONE, IR_NONE, 0)->cond = (uint8_t)pick(16); break;
    case 1:
        i = toy_op(n, IR_SETCC, 1, IR_MEM, IR_NONE, IR_NONE, 0);
        i->cond = (uint8_t)pick(16);
        memory(i);
        break;
    case 2:
    case 3:
        i = toy_op(n, IR_CMOV, size, reg(size), reg(size), chance(30) ? IR_MEM : reg(size), 0);
        i->cond = (uint8_t)pick(16);
        if (i->b == IR_MEM)
            memory(i);
        break;
    case 4: toy_op(n, IR_GETF, 4, IR_G(data_reg()), IR_NONE, IR_NONE, 0); break;
    case 5:
        toy_op(n, IR_PUTF, 4, IR_NONE, IR_G(data_reg()), IR_NONE,
               chance(40)   ? FLAG_C
               : chance(50) ? FLAG_ALL
                            : FLAG_Z | FLAG_S);
        break;
    default: toy_op(n, IR_CMC, 4, IR_NONE, IR_NONE, IR_NONE, 0)->flags = IR_SETF; break;
    }
}

static void random_exchange(unsigned n)
{
    static const IrOp ops[] = { IR_XCHG, IR_XADD, IR_CMPXCHG };
    IrOp op = ops[pick(3)];
    unsigned size = sizes[pick(4)];
    bool anywhere = chance(40);
    IrRef a = anywhere ? IR_G(data_reg()) : reg(size), d = op == IR_CMPXCHG ? IR_G(0) : a;
    if (anywhere)
        d = chance(50) ? temp_value(n) : IR_G(data_reg());
    IrInsn *i = toy_op(n, op, size, d, a, IR_NONE, 0);
    memory(i);
    i->flags = op == IR_XCHG || anywhere ? 0 : IR_SETF | (chance(50) ? IR_LOCK : 0);
    if (i->flags & IR_SETF)
        undefined = 0;
}

static uint64_t helper(Vcpu *v, uint64_t a, uint64_t b, uint64_t c)
{
    v->g[3] += a;
    return a * 3 + b - c;
}
static uint64_t pure_helper(Vcpu *v, uint64_t a, uint64_t b, uint64_t c) { return a ^ b << 1 ^ c; }

static uint64_t trap(Vcpu *v, uint64_t a, uint64_t b, uint64_t c)
{
    ToyCpu *t = (ToyCpu *)v;
    vcpu_sync(v);
    t->fault = TOY_RAISED, t->fault_pc = v->pc, t->fault_flags = flags_eval(&v->fl);
    vcpu_unwind(v);
}
static uint64_t mask(unsigned size)
{
    return chance(30) ? 0 : chance(50) ? UINT64_C(1) << pick(8 * size) : (value() & bits_mask(8 * size)) | 1;
}

static void random_control(unsigned n)
{
    unsigned label = position & (IR_MAX_LABELS - 1);
    IrInsn *i;
    switch (pick(8)) {
    case 6:
        define_flags(n);
        i = toy_op(n, chance(50) ? IR_GOTOZ : IR_GOTONZ, sizes[2 + pick(2)], IR_NONE, IR_G(data_reg()), IR_NONE,
                   CODE + 2 * (position + 1 + pick(LENGTH - position)));
        i->imm2 = mask(i->size);
        break;
    case 7:
        i = toy_op(n, IR_TRAPNZ, sizes[2 + pick(2)], IR_NONE, IR_G(data_reg()), IR_NONE, (uintptr_t)trap);
        i->imm2 = chance(90) ? UINT64_C(1) << pick(8 * i->size) : mask(i->size);
        break;
    case 0: /* forward within the instruction */
        define_flags(n);
        toy_op(n, IR_BRCC, 8, IR_NONE, IR_NONE, IR_NONE, label)->cond = (uint8_t)pick(16);
        toy_op(n, IR_MOV, 8, IR_G(data_reg()), IR_IMM, IR_NONE, value());
        toy_op(n, IR_LABEL, 8, IR_NONE, IR_NONE, IR_NONE, label);
        break;
    case 1:
        toy_op(n, chance(50) ? IR_BRZ : IR_BRNZ, sizes[pick(4)], IR_NONE, IR_G(data_reg()), IR_NONE, label);
        toy_op(n, IR_ADD, 8, IR_G(0), IR_G(0), IR_G(data_reg()), 0)->flags = IR_SETF;
        toy_op(n, IR_LABEL, 8, IR_NONE, IR_NONE, IR_NONE, label);
        undefined |= 0;
        break;
    case 2: /* side exit */
        define_flags(n);
        toy_op(n, IR_GOTOCC, 8, IR_NONE, IR_NONE, IR_NONE, CODE + 2 * (position + 1 + pick(LENGTH - position)))->cond =
            (uint8_t)pick(16);
        break;
    case 3:
        toy_op(n, IR_CALL, 8, IR_G(data_reg()), IR_G(data_reg()), IR_G(data_reg()), (uintptr_t)helper)->c = IR_IMM;
        toy_insn[n].op[toy_insn[n].count - 1].flags = IR_CALL_RAISES;
        break;
    case 4:
        i = toy_op(n, IR_CALL, 8, IR_G(data_reg()), IR_G(data_reg()), IR_IMM, (uintptr_t)pure_helper);
        i->flags = IR_CALL_PURE, i->c = IR_G(data_reg()), i->imm2 = 77;
        break;
    default:
        i = toy_op(n, IR_STE, 8, IR_NONE, IR_G(data_reg()), IR_NONE, offsetof(ToyCpu, field[1]));
        toy_op(n, IR_LDE, sizes[pick(4)], IR_G(data_reg()), IR_NONE, IR_NONE, offsetof(ToyCpu, field[1]));
        break;
    }
}

static void random_vec(unsigned n)
{
    unsigned op;
    do
        op = pick(VEC_OP_COUNT);
    while (strstr("rsqrtps rsqrtss rcpps rcpss", vec_info[op].mnemonic)); /* approximations */
    const VecInfo *r = &vec_info[op];
    bool mem = r->flags & VEC_MEM_ONLY || (!(r->flags & VEC_REG_ONLY) && chance(30));
    IrRef x = IR_V(pick(16)), y = IR_V(pick(16)), g = IR_G(data_reg());
    IrInsn *i = toy_op(n, IR_VEC, 8, x, y, IR_NONE, 0);
    i->vec = (uint16_t)op;
    i->imm2 = g_rand_int(rng) & 0xff;
    switch (r->shape) {
    case VEC_SHAPE_MV: i->d = mem ? IR_MEM : x; break;
    case VEC_SHAPE_GV:
    case VEC_SHAPE_GVI: i->d = mem && r->flags & VEC_RM_DST ? IR_MEM : g, mem = i->d == IR_MEM; break;
    case VEC_SHAPE_VG: case VEC_SHAPE_VGI: i->a = mem ? IR_MEM : g; break;
    case VEC_SHAPE_VI: i->a = x, mem = false; break;
    default: i->a = mem ? IR_MEM : y; break;
    }
    if (mem) {
        memory(i);
        i->m.align = 0;
        if (r->flags & VEC_ALIGN && r->msize == 16)
            i->m.disp &= ~15;
    }
    if (r->shape == VEC_SHAPE_F)
        undefined = 0;
}

static void random_stack(unsigned n) /* push and pop shapes through a temporary */
{
    IrRef t = temp(), base = IR_G(chance(50) ? 6 : 13);
    if (chance(50)) {
        IrInsn *i = toy_op(n, IR_MOV, 8, t, IR_MEM, IR_NONE, 0);
        i->m.base = base;
        toy_op(n, IR_ADD, 8, base, base, IR_IMM, 8);
        toy_op(n, IR_MOV, 8, IR_G(data_reg()), t, IR_NONE, 0);
    } else {
        IrInsn *i = toy_op(n, IR_MOV, 8, IR_MEM, chance(80) ? IR_G(data_reg()) : IR_IMM, IR_NONE, value());
        i->m.base = base, i->m.disp = -8;
        toy_op(n, IR_SUB, 8, base, base, IR_IMM, 8);
    }
}

static void generate(void)
{
    static void (*const kinds[])(
        unsigned) = { random_alu,   random_alu,   random_alu,      random_unary,     random_move,  random_move,
                      random_shift, random_mul,   random_div,      random_plain_div, random_three, random_bits,
                      random_flags, random_flags, random_exchange, random_control,   random_vec,   random_stack };
    uint16_t code[LENGTH + 1];
    undefined = 0;
    for (position = 0; position < LENGTH; position++) {
        unsigned n = FIRST + position;
        undefined_before[position] = undefined;
        toy_begin(n);
        kinds[pick(G_N_ELEMENTS(kinds))](n);
        code[position] = (uint16_t)n;
    }
    undefined_before[LENGTH] = undefined;
    code[LENGTH] = STOP;
    toy_code(CODE, code, LENGTH + 1);
}

typedef struct State {
    uint64_t g[TOY_GREGS], field, va, pc, mmio;
    VecReg v[16];
    uint32_t flags, fp;
    unsigned fault, reads, writes;
    uint8_t data[DATA_PAGES * 4096];
} State;

static void run(ToyCpu *c, const State *in, State *out, bool jit)
{
    blocks_reset();
    tcg.opt.jit = jit;
    memcpy(c->v.g, in->g, sizeof in->g);
    memset(c->v.v, 0, sizeof c->v.v);
    memcpy(c->v.v, in->v, sizeof in->v);
    memcpy(toy_ram + DATA, in->data, sizeof in->data);
    c->field[1] = in->field;
    c->segment = 0x1000;
    c->v.fp_control = in->fp;
    flags_set_explicit(&c->v, in->flags);
    toy_mmio_value = in->mmio, toy_mmio_reads = toy_mmio_writes = 0;
    toy_run(c, CODE);
    memset(out, 0, sizeof *out);
    memcpy(out->g, c->v.g, sizeof out->g);
    memcpy(out->v, c->v.v, sizeof out->v);
    memcpy(out->data, toy_ram + DATA, sizeof out->data);
    out->field = c->field[1], out->va = c->fault ? c->fault_va : 0, out->pc = c->fault_pc, out->mmio = toy_mmio_value;
    out->flags = c->fault_flags, out->fault = c->fault, out->fp = c->v.fp_control;
    out->reads = toy_mmio_reads, out->writes = toy_mmio_writes;
}

static void show(const char *what, const State *s)
{
    GString *t = g_string_new(what);
    for (unsigned n = 0; n < TOY_GREGS; n++)
        g_string_append_printf(t, " %u:%lx", n, s->g[n]);
    g_string_append_printf(t, " flags %x pc %lx fault %u va %lx fp %x mmio %lx %u %u field %lx", s->flags, s->pc,
                           s->fault, s->va, s->fp, s->mmio, s->reads, s->writes, s->field);
    fprintf(stderr, "%s\n", t->str);
    g_string_free(t, true);
}

static void fail(unsigned seed, const State *in, State *want, State *got)
{
    fprintf(stderr, "seed %u: generated code differs from the interpreter\n", seed);
    show("in  ", in);
    show("want", want);
    show("got ", got);
    for (unsigned n = 0; n < 16; n++)
        if (memcmp(&want->v[n], &got->v[n], 16))
            fprintf(stderr, "v%u: want %016lx%016lx got %016lx%016lx\n", n, want->v[n].u64[1], want->v[n].u64[0],
                    got->v[n].u64[1], got->v[n].u64[0]);
    for (unsigned n = 0; n < sizeof want->data; n++)
        if (want->data[n] != got->data[n])
            fprintf(stderr, "data %x: want %02x got %02x\n", DATA + n, want->data[n], got->data[n]);
    static IrBlock b;
    b.count = 0;
    for (unsigned p = 0; p < LENGTH; p++) {
        b.insn[b.count++] = (IrInsn){ .op = IR_INSN, .imm = CODE + 2 * p };
        for (unsigned k = 0; k < toy_insn[FIRST + p].count && b.count < IR_MAX_INSNS - 1; k++)
            b.insn[b.count++] = toy_insn[FIRST + p].op[k];
    }
    GString *text = g_string_new(NULL);
    ir_print(&b, text);
    fprintf(stderr, "%s", text->str);
    abort();
}

static bool differ(const State *want, const State *got, unsigned length)
{
    uint32_t mask = FLAG_ALL & ~undefined_before[MIN((unsigned)(want->pc - CODE) / 2, length)];
    if (want->pc == CODE + 2 * length || !want->fault)
        mask = 0; /* side exits: which flags are defined depends on the way */
    static State w, g;
    w = *want, g = *got;
    w.flags &= mask, g.flags &= mask;
    return memcmp(&w, &g, sizeof w) != 0;
}

static ToyCpu *cpu;

/* The shortest beginning of the sequence that shows the difference. */
static void shorten(const State *in, State *want, State *got)
{
    for (unsigned n = 1; n <= LENGTH; n++) {
        uint16_t saved = (uint16_t)load_le16(toy_ram + CODE + 2 * n);
        toy_code(CODE + 2 * n, (const uint16_t[]){ STOP }, 1);
        run(cpu, in, want, false);
        run(cpu, in, got, true);
        if (differ(want, got, n)) {
            fprintf(stderr, "first %u instructions:\n", n);
            return;
        }
        toy_code(CODE + 2 * n, &saved, 1);
    }
}

static void one(unsigned seed)
{
    g_rand_set_seed(rng, seed);
    static State in, want, got;
    memset(&in, 0, sizeof in);
    generate();
    for (unsigned n = 0; n < TOY_GREGS; n++)
        in.g[n] = value();
    static const unsigned bases[] = { 6, 12, 13 };
    for (unsigned n = 0; n < 3; n++) {
        unsigned place = pick(20);
        in.g[bases[n]] = place == 0 ? DEVICE * 4096 + pick(200) * 16 + 64 : place == 1 ? READ_ONLY * 4096 + pick(4000)
                         : place < 5 ? DATA + pick(3) * 4096 + 4096 - pick(64) : DATA + 64 + pick(4096 * 3);
        if (chance(50))
            in.g[bases[n]] &= ~UINT64_C(15);
    }
    for (unsigned n = 0; n < 16; n++)
        for (unsigned k = 0; k < 2; k++)
            in.v[n].u64[k] = value();
    in.flags = g_rand_int(rng) & FLAG_ALL;
    in.fp = 0x1f80 | pick(4) << 13;
    in.mmio = value();
    for (unsigned n = 0; n < sizeof in.data; n++)
        in.data[n] = (uint8_t)g_rand_int(rng);
    run(cpu, &in, &want, false);
    if (g_getenv("IR_TEST_ASM"))
        log_set_mask(LOG_OUT_ASM);
    run(cpu, &in, &got, true);
    log_set_mask(0);
    if (!differ(&want, &got, LENGTH))
        return;
    shorten(&in, &want, &got);
    fail(seed, &in, &want, &got);
}

static void test_random(void)
{
    const char *one_seed = g_getenv("IR_TEST_SEED"), *runs = g_getenv("IR_TEST_RUNS");
    if (one_seed) {
        one((unsigned)strtoul(one_seed, NULL, 0));
        return;
    }
    unsigned seed = g_test_rand_int(), count = runs ? (unsigned)atoi(runs) : 400;
    for (unsigned n = 0; n < count; n++)
        one(seed + n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!jit_available(NULL)) {
        printf("1..0 # SKIP no code generator for this host\n");
        return 0;
    }
    const char *options = g_getenv("TCG_TEST_OPTIONS");
    toy_setup(options ? options : "backend=jit");
    cpu = toy_cpu_new();
    toy_map(cpu, CODE >> TCG_PAGE_BITS, CODE, TOY_R | TOY_X);
    for (unsigned n = 0; n < 4; n++)
        toy_map(cpu, 4 + n, DATA + n * 4096, TOY_R | TOY_W);
    toy_map(cpu, READ_ONLY, DATA + 4 * 4096, TOY_R);
    toy_map(cpu, 9, DATA + 5 * 4096, TOY_R | TOY_W);
    toy_map(cpu, DEVICE, TOY_MMIO, TOY_R | TOY_W);
    toy_begin(STOP);
    toy_op(STOP, IR_CALL, 8, IR_NONE, IR_NONE, IR_NONE, (uintptr_t)toy_stop)->flags = IR_CALL_RAISES |
                                                                                      IR_CALL_READS_FLAGS;
    toy_op(STOP, IR_LOOKUP, 8, IR_NONE, IR_NONE, IR_NONE, 0);
    rng = g_rand_new();
    g_test_add_func("/ir/interpreter-and-generated-code-agree", test_random);
    return g_test_run();
}
