/* SPDX-License-Identifier: MIT */
/* The x87 instruction set over the register stack (SDM vol. 1, chapter 8; vol. 2). */
#include "base/log.h"
#include "target/x86/f80.h"
#include "target/x86/fpu.h"

/* The instruction in progress. */
typedef struct X87 {
    X86Cpu *c;
    unsigned opcode, reg, rm; /* opcode & 7; modrm fields */
    uint64_t ea;
    unsigned bank;
} X87;

uint16_t x87_status(const X86Cpu *c) { return (c->fp_sw & ~0x3800) | (uint16_t)(c->fp_top << 11); }

void x87_set_status(X86Cpu *c, uint16_t sw)
{
    c->fp_sw = sw & ~0x3800;
    c->fp_top = sw >> 11 & 7;
}

void x87_update_summary(X86Cpu *c)
{
    bool es = c->fp_sw & ~c->fp_cw & F80_EXCEPTIONS;
    c->fp_sw = es ? c->fp_sw | F80_ES | F80_BUSY : c->fp_sw & ~(F80_ES | F80_BUSY);
}

void x87_init(X86Cpu *c)
{
    c->fp_cw = 0x37f;
    c->fp_sw = 0, c->fp_top = 0, c->fp_tags = 0;
    c->fp_ip = c->fp_dp = 0;
    c->fp_cs = c->fp_ds = c->fp_op = 0;
    x87_update_summary(c);
}

/* Tag of FSTENV's image: 0 valid, 1 zero, 2 special, 3 empty. */
uint16_t x87_tag_word(const X86Cpu *c)
{
    uint16_t w = 0;
    for (unsigned i = 0; i < 8; i++) {
        const X86FpReg *r = &c->fpr[i];
        unsigned e = r->sign_exp & 0x7fff, tag;
        if (!(c->fp_tags >> i & 1))
            tag = 3;
        else if (!e && !r->mant)
            tag = 1;
        else
            tag = !e || e == 0x7fff || !(r->mant >> 63) ? 2 : 0;
        w |= tag << 2 * i;
    }
    return w;
}

/*
 * Merge the exceptions of an operation, C1 and those condition codes that it defines. True: an unmasked exception among
 * `block` forbids the result.
 */
static bool merge(X87 *x, uint16_t sw, uint16_t codes, uint16_t block)
{
    X86Cpu *c = x->c;
    uint16_t take = F80_C1 | codes;
    c->fp_sw = (c->fp_sw & ~take) | (sw & (take | F80_EXCEPTIONS));
    if (sw & ~c->fp_cw & F80_EXCEPTIONS) {
        x87_update_summary(c);
        return sw & ~c->fp_cw & block;
    }
    return false;
}
enum { BLOCK_REGISTER = F80_IE | F80_DE | F80_ZE, BLOCK_MEMORY = BLOCK_REGISTER | F80_OE | F80_UE };

/* Stack underflow (overflow: C1 = 1). True when the exception is unmasked: the instruction does nothing. */
static bool stack_fault(X87 *x, bool overflow)
{
    x->c->fp_sw |= F80_SF;
    return merge(x, F80_IE | (overflow ? F80_C1 : 0), 0, F80_IE);
}

static bool is_nan(const X86FpReg *r) { return (r->sign_exp & 0x7fff) == 0x7fff && r->mant << 1; }

static void put(X87 *x, unsigned i, const X86FpReg *v)
{
    unsigned p = x87_phys(x->c, i);
    x->c->fpr[p].mant = v->mant;
    x->c->fpr[p].sign_exp = v->sign_exp;
    x->c->fp_tags |= 1 << p;
}
static void pop(X87 *x)
{
    x->c->fp_tags &= ~(1 << x->c->fp_top);
    x->c->fp_top = (x->c->fp_top + 1) & 7;
}
static void push(X87 *x, const X86FpReg *v)
{
    x->c->fp_top = (x->c->fp_top - 1) & 7;
    put(x, 0, v);
}
static void push_checked(X87 *x, const X86FpReg *v)
{
    if (x87_empty(x->c, 7))
        push(x, v);
    else if (!stack_fault(x, true))
        push(x, &f80_indefinite);
}

static const F80Op arith_op[8] = { F80_ADD, F80_MUL, F80_COM, F80_COM, F80_SUB, F80_SUBR, F80_DIV, F80_DIVR };
enum { CODES = F80_C0 | F80_C2 | F80_C3 };

/* Compare ST(0) with b (NULL: an empty register); pops 0, 1 or 2. */
static void compare(X87 *x, F80Op op, const X86FpReg *b, unsigned pops)
{
    X86FpReg r;
    bool blocked;
    if (x87_empty(x->c, 0) || !b)
        blocked = stack_fault(x, false), x->c->fp_sw |= CODES;
    else
        blocked = merge(x, f80_run(op, x->c->fp_cw, x87_st(x->c, 0), b, &r, &r), CODES, BLOCK_REGISTER);
    while (!blocked && pops--)
        pop(x);
}
static const X86FpReg *st_or_null(X87 *x, unsigned i) { return x87_empty(x->c, i) ? NULL : x87_st(x->c, i); }

/* ST(dest) = ST(0) op b. */
static void arith(X87 *x, F80Op op, const X86FpReg *b, unsigned dest, bool pops)
{
    X86FpReg r, unused;
    bool blocked;
    if (x87_empty(x->c, 0) || !b) {
        blocked = stack_fault(x, false);
        r = f80_indefinite;
    } else {
        blocked = merge(x, f80_run(op, x->c->fp_cw, x87_st(x->c, 0), b, &r, &unused), 0, BLOCK_REGISTER);
    }
    if (blocked)
        return;
    put(x, dest, &r);
    if (pops)
        pop(x);
}

static void load_bytes(X87 *x, F80Format f, void *buf)
{
    guest_read(&x->c->v, x->ea, buf, f80_format_size(f), x->bank);
}

static void arith_memory(X87 *x, F80Format f)
{
    uint8_t buf[16];
    X86FpReg r;
    F80Op op = arith_op[x->reg];
    load_bytes(x, f, buf);
    if (x87_empty(x->c, 0)) {
        if (op == F80_COM)
            compare(x, op, NULL, x->reg == 3);
        else
            arith(x, op, NULL, 0, false);
        return;
    }
    uint16_t sw = f80_run_memory(op, x->c->fp_cw, x87_st(x->c, 0), f, buf, &r);
    if (merge(x, sw, op == F80_COM ? CODES : 0, BLOCK_REGISTER))
        return;
    if (op != F80_COM)
        put(x, 0, &r);
    else if (x->reg == 3)
        pop(x);
}

static void load_memory(X87 *x, F80Format f)
{
    uint8_t buf[16];
    X86FpReg m;
    load_bytes(x, f, buf);
    if (!x87_empty(x->c, 7)) {
        if (!stack_fault(x, true))
            push(x, &f80_indefinite);
        return;
    }
    x->c->fp_sw &= ~F80_C1;
    if (!merge(x, f80_load(f, x->c->fp_cw, buf, &m), 0, BLOCK_REGISTER))
        push(x, &m);
}

/* What a masked stack underflow stores. */
static void store_indefinite(F80Format f, uint8_t *buf)
{
    static const uint8_t bcd[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };
    switch (f) {
    case F80_F32: store_le32(buf, 0xffc00000); break;
    case F80_F64: store_le64(buf, UINT64_C(0xfff8000000000000)); break;
    case F80_F80: store_le64(buf, f80_indefinite.mant), store_le16(buf + 8, f80_indefinite.sign_exp); break;
    case F80_S16: case F80_T16: store_le16(buf, 0x8000); break;
    case F80_S32: case F80_T32: store_le32(buf, 0x80000000); break;
    case F80_S64: case F80_T64: store_le64(buf, UINT64_C(1) << 63); break;
    case F80_BCD: memcpy(buf, bcd, 10); break;
    }
}

static void store_memory(X87 *x, F80Format f, bool pops)
{
    uint8_t buf[16];
    unsigned n = f80_format_size(f);
    guest_probe(&x->c->v, x->ea, n, ACCESS_WRITE, x->bank);
    bool blocked;
    if (x87_empty(x->c, 0)) {
        blocked = stack_fault(x, false);
        store_indefinite(f, buf);
    } else {
        blocked = merge(x, f80_store(f, x->c->fp_cw, x87_st(x->c, 0), buf), 0, BLOCK_MEMORY);
    }
    if (blocked)
        return;
    guest_write(&x->c->v, x->ea, buf, n, x->bank);
    if (pops)
        pop(x);
}

static void unary(X87 *x, F80Op op)
{
    X86FpReg r = f80_indefinite, unused;
    bool blocked;
    if (x87_empty(x->c, 0)) {
        blocked = stack_fault(x, false);
        x->c->fp_sw &= op == F80_SIN || op == F80_COS ? ~F80_C2 : ~0;
    } else {
        uint16_t codes = op == F80_SIN || op == F80_COS ? F80_C2 : 0;
        blocked = merge(x, f80_run(op, x->c->fp_cw, x87_st(x->c, 0), &f80_indefinite, &r, &unused), codes,
                        BLOCK_REGISTER);
    }
    if (!blocked)
        put(x, 0, &r);
}

/* ST(1) and ST(0) give ST(0), or with `pops` ST(1) and a pop. */
static void binary(X87 *x, F80Op op, bool pops)
{
    X86FpReg r = f80_indefinite, unused;
    bool blocked;
    if (x87_empty(x->c, 0) || x87_empty(x->c, 1)) {
        blocked = stack_fault(x, false);
        x->c->fp_sw &= op == F80_PREM || op == F80_PREM1 ? ~F80_C2 : ~0;
    } else {
        uint16_t sw = f80_run(op, x->c->fp_cw, x87_st(x->c, 0), x87_st(x->c, 1), &r, &unused), codes = 0;
        if (op == F80_PREM || op == F80_PREM1) /* a NaN has no quotient bits */
            codes = is_nan(&r) ? F80_C2 : CODES;
        blocked = merge(x, sw, codes, BLOCK_REGISTER);
    }
    if (blocked)
        return;
    put(x, pops ? 1 : 0, &r);
    if (pops)
        pop(x);
}

/* FPTAN, FSINCOS, FXTRACT: one value in, two out. */
static void unary_push(X87 *x, F80Op op)
{
    X86FpReg r0 = f80_indefinite, r1 = f80_indefinite;
    uint16_t sw = 0;
    bool blocked;
    if (x87_empty(x->c, 0) || !x87_empty(x->c, 7)) {
        blocked = stack_fault(x, !x87_empty(x->c, 0));
        x->c->fp_sw &= op == F80_XTRACT ? ~0 : ~F80_C2;
    } else {
        sw = f80_run(op, x->c->fp_cw, x87_st(x->c, 0), &f80_indefinite, &r0, &r1);
        blocked = merge(x, sw, op == F80_XTRACT ? 0 : F80_C2, BLOCK_REGISTER);
    }
    if (blocked)
        return;
    put(x, 0, &r0);
    if (op == F80_XTRACT || !(sw & F80_C2))
        push(x, &r1);
}

static void examine(X87 *x)
{
    X86FpReg r;
    uint16_t sw = f80_run(F80_XAM, x->c->fp_cw, x87_st(x->c, 0), &f80_indefinite, &r, &r);
    if (x87_empty(x->c, 0))
        sw = F80_C3 | F80_C0 | (x87_st(x->c, 0)->sign_exp >> 15 ? F80_C1 : 0);
    x->c->fp_sw = (x->c->fp_sw & ~(CODES | F80_C1)) | (sw & (CODES | F80_C1));
}

static void constant(X87 *x, F80Op op)
{
    X86FpReg r, unused;
    f80_run(op, x->c->fp_cw | F80_EXCEPTIONS, &f80_indefinite, &f80_indefinite, &r, &unused);
    x->c->fp_sw &= ~F80_C1;
    push_checked(x, &r);
}

static void exchange(X87 *x, unsigned i)
{
    x->c->fp_sw &= ~F80_C1;
    if (x87_empty(x->c, 0) || x87_empty(x->c, i)) {
        if (stack_fault(x, false))
            return;
        if (x87_empty(x->c, 0))
            put(x, 0, &f80_indefinite);
        if (x87_empty(x->c, i))
            put(x, i, &f80_indefinite);
    }
    X86FpReg a = *x87_st(x->c, 0), b = *x87_st(x->c, i);
    put(x, 0, &b);
    put(x, i, &a);
}

static void load_register(X87 *x, unsigned i)
{
    const X86FpReg *s = st_or_null(x, i);
    x->c->fp_sw &= ~F80_C1;
    if (s) {
        X86FpReg copy = *s;
        push_checked(x, &copy);
    } else if (!stack_fault(x, false)) {
        push(x, &f80_indefinite);
    }
}

static void store_register(X87 *x, unsigned i, bool pops)
{
    const X86FpReg *s = st_or_null(x, 0);
    x->c->fp_sw &= ~F80_C1;
    if (!s && stack_fault(x, false))
        return;
    X86FpReg copy = s ? *s : f80_indefinite;
    put(x, i, &copy);
    if (pops)
        pop(x);
}

static void rotate(X87 *x, unsigned by)
{
    x->c->fp_sw &= ~F80_C1;
    x->c->fp_top = (x->c->fp_top + by) & 7;
}

/* D9 E0..FF. */
static void d9_register(X87 *x)
{
    unsigned n = (x->reg & 3) << 3 | x->rm;
    switch (n) {
    case 0x00: unary(x, F80_CHS); break;
    case 0x01: unary(x, F80_ABS); break;
    case 0x04: compare(x, F80_TST, &f80_indefinite, 0); break;
    case 0x05: examine(x); break;
    case 0x08 ... 0x0e: constant(x, F80_LD1 + (n - 8)); break;
    case 0x10: unary(x, F80_2XM1); break;
    case 0x11: binary(x, F80_YL2X, true); break;
    case 0x12: unary_push(x, F80_TAN); break;
    case 0x13: binary(x, F80_PATAN, true); break;
    case 0x14: unary_push(x, F80_XTRACT); break;
    case 0x15: binary(x, F80_PREM1, false); break;
    case 0x16: rotate(x, 7); break;
    case 0x17: rotate(x, 1); break;
    case 0x18: binary(x, F80_PREM, false); break;
    case 0x19: binary(x, F80_YL2XP1, true); break;
    case 0x1a: unary(x, F80_SQRT); break;
    case 0x1b: unary_push(x, F80_SINCOS); break;
    case 0x1c: unary(x, F80_RNDINT); break;
    case 0x1d: binary(x, F80_SCALE, false); break;
    case 0x1e: unary(x, F80_SIN); break;
    case 0x1f: unary(x, F80_COS); break;
    default: x86_raise_ud(x->c);
    }
}

static void clear_exceptions(X86Cpu *c)
{
    c->fp_sw &= ~(F80_EXCEPTIONS | F80_SF | F80_ES | F80_BUSY);
    x87_update_summary(c);
}

static void register_form(X87 *x)
{
    X86Cpu *c = x->c;
    switch (x->opcode << 3 | x->reg) {
    case 000 ... 001: case 004 ... 007: arith(x, arith_op[x->reg], st_or_null(x, x->rm), 0, false); break;
    case 002: case 042: compare(x, F80_COM, st_or_null(x, x->rm), 0); break;
    case 003: case 043: case 062: compare(x, F80_COM, st_or_null(x, x->rm), 1); break;
    case 010: load_register(x, x->rm); break;
    case 011: case 051: case 071: exchange(x, x->rm); break;
    case 012:
        if (x->rm)
            x86_raise_ud(c);
        break; /* FNOP */
    case 013: case 053: case 072: case 073: store_register(x, x->rm, true); break;
    case 014 ... 017: d9_register(x); break;
    case 025: case 063: /* FUCOMPP, FCOMPP */
        if (x->rm != 1)
            x86_raise_ud(c);
        compare(x, x->opcode == 2 ? F80_UCOM : F80_COM, st_or_null(x, 1), 2);
        break;
    case 034:
        if (x->rm == 2)
            clear_exceptions(c);
        else if (x->rm == 3)
            x87_init(c);
        else if (x->rm > 4)
            x86_raise_ud(c);
        break; /* FNENI, FNDISI, FNSETPM: no operation since the 387 */
    case 040 ... 041: case 044 ... 047: arith(x, arith_op[x->reg], st_or_null(x, x->rm), x->rm, false); break;
    case 050:
        c->fp_sw &= ~F80_C1;
        c->fp_tags &= ~(1 << x87_phys(c, x->rm));
        break;
    case 052: store_register(x, x->rm, false); break;
    case 054: compare(x, F80_UCOM, st_or_null(x, x->rm), 0); break;
    case 055: compare(x, F80_UCOM, st_or_null(x, x->rm), 1); break;
    case 060 ... 061: case 064 ... 067: arith(x, arith_op[x->reg], st_or_null(x, x->rm), x->rm, true); break;
    case 070:
        c->fp_sw &= ~F80_C1;
        c->fp_tags &= ~(1 << x87_phys(c, x->rm));
        pop(x);
        break;
    case 074:
        if (x->rm)
            x86_raise_ud(c);
        c->v.g[RAX] = (c->v.g[RAX] & ~UINT64_C(0xffff)) | x87_status(c);
        break;
    default: x86_raise_ud(c);
    }
}

static void load_control(X87 *x)
{
    x->c->fp_cw = (guest_load(&x->c->v, x->ea, 2, x->bank) & 0x1f3f) | 0x40;
    x87_update_summary(x->c);
}

static void memory_form(X87 *x, unsigned osize)
{
    Vcpu *v = &x->c->v;
    switch (x->opcode << 3 | x->reg) {
    case 000 ... 007: arith_memory(x, F80_F32); break;
    case 010: load_memory(x, F80_F32); break;
    case 012: case 013: store_memory(x, F80_F32, x->reg & 1); break;
    case 014: x87_load_env(v, x->ea, osize, x->bank); break;
    case 015: load_control(x); break;
    case 016: x87_store_env(v, x->ea, osize, x->bank); break;
    case 017: guest_store(v, x->ea, 2, x->c->fp_cw, x->bank); break;
    case 020 ... 027: arith_memory(x, F80_S32); break;
    case 030: load_memory(x, F80_S32); break;
    case 031: store_memory(x, F80_T32, true); break;
    case 032: case 033: store_memory(x, F80_S32, x->reg & 1); break;
    case 035: load_memory(x, F80_F80); break;
    case 037: store_memory(x, F80_F80, true); break;
    case 040 ... 047: arith_memory(x, F80_F64); break;
    case 050: load_memory(x, F80_F64); break;
    case 051: store_memory(x, F80_T64, true); break;
    case 052: case 053: store_memory(x, F80_F64, x->reg & 1); break;
    case 054: x87_restore(v, x->ea, osize, x->bank); break;
    case 056: x87_save(v, x->ea, osize, x->bank); break;
    case 057: guest_store(v, x->ea, 2, x87_status(x->c), x->bank); break;
    case 060 ... 067: arith_memory(x, F80_S16); break;
    case 070: load_memory(x, F80_S16); break;
    case 071: store_memory(x, F80_T16, true); break;
    case 072: case 073: store_memory(x, F80_S16, x->reg & 1); break;
    case 074: load_memory(x, F80_BCD); break;
    case 075: load_memory(x, F80_S64); break;
    case 076: store_memory(x, F80_BCD, true); break;
    case 077: store_memory(x, F80_S64, true); break;
    default: x86_raise_ud(x->c);
    }
}

/* Control instructions leave the instruction and data pointers alone (SDM vol. 1, 8.1.8). */
static bool is_control(const X87 *x, bool memory)
{
    unsigned n = x->opcode << 3 | x->reg;
    if (memory)
        return n == 014 || n == 015 || n == 016 || n == 017 || n == 054 || n == 056 || n == 057;
    return n == 034 || n == 074;
}

X86_HELPER_VOID(x87_wait)
{
    X86Cpu *cpu = x86_cpu(v);
    if (!(cpu->fp_sw & F80_ES))
        return;
    if (cpu->cr0 & CR0_NE)
        x86_raise(cpu, X86_MF);
    log_unimp("x87", "error with CR0.NE clear: the FERR# line is not wired");
}

/* Non-waiting instructions: FNSTENV, FNSTCW, FNSAVE, FNSTSW, FNCLEX, FNINIT and their obsolete kin. */
static bool waits(const X87 *x, bool memory)
{
    unsigned n = x->opcode << 3 | x->reg;
    return memory ? n != 016 && n != 017 && n != 056 && n != 057 : n != 034 && n != 074;
}

X86_HELPER_VOID(x87)
{
    X86Cpu *cpu = x86_cpu(v);
    X87 x = { .c = cpu, .opcode = a >> 8 & 7, .reg = a >> 3 & 7, .rm = a & 7, .ea = b, .bank = x86_bank(v->mode) };
    bool memory = (a & 0xc0) != 0xc0;
    if (waits(&x, memory))
        x86_help_x87_wait(v, 0, 0, 0);
    if (memory)
        memory_form(&x, a >> 20 & 15);
    else
        register_form(&x);
    if (is_control(&x, memory))
        return;
    cpu->fp_ip = a3;
    cpu->fp_cs = cpu->seg[SEG_CS].sel;
    cpu->fp_op = a & 0x7ff;
    if (memory) {
        unsigned seg = a >> 16 & 7;
        cpu->fp_dp = b - cpu->seg[seg].base;
        cpu->fp_ds = cpu->seg[seg].sel;
    }
}

/* FCOMI and its kin: ordered compares signal on any NaN, unordered ones on signalling NaNs only. */
X86_HELPER(x87_comi)
{
    X86Cpu *cpu = x86_cpu(v);
    X87 x = { .c = cpu, .opcode = a >> 8 & 7, .reg = a >> 3 & 7, .rm = a & 7 };
    x86_help_x87_wait(v, 0, 0, 0);
    uint16_t kept = CODES | F80_C1, codes = cpu->fp_sw & kept;
    cpu->fp_sw &= ~kept;
    bool empty = x87_empty(cpu, 0) || x87_empty(cpu, x.rm);
    compare(&x, x.reg == 5 ? F80_UCOM : F80_COM, st_or_null(&x, x.rm), 0);
    uint16_t sw = cpu->fp_sw;
    bool blocked = sw & ~cpu->fp_cw & BLOCK_REGISTER;
    if (empty)
        codes &= ~F80_C1;
    cpu->fp_sw = (sw & ~kept) | codes; /* FCOMI leaves the condition codes; a stack fault clears C1 */
    if (x.opcode == 7 && !blocked)
        pop(&x);
    cpu->fp_ip = a3;
    cpu->fp_cs = cpu->seg[SEG_CS].sel;
    cpu->fp_op = a & 0x7ff;
    if (empty)
        return FLAG_Z | FLAG_P | FLAG_C;
    return (sw & F80_C3 ? FLAG_Z : 0) | (sw & F80_C2 ? FLAG_P : 0) | (sw & F80_C0 ? FLAG_C : 0);
}

X86_HELPER_VOID(x87_cmov)
{
    X87 x = { .c = x86_cpu(v) };
    unsigned i = a & 7;
    x86_help_x87_wait(v, 0, 0, 0);
    if (x87_empty(x.c, 0) || x87_empty(x.c, i)) {
        if (!stack_fault(&x, false))
            put(&x, 0, &f80_indefinite);
    } else if (b) {
        X86FpReg copy = *x87_st(x.c, i);
        put(&x, 0, &copy);
    }
    x.c->fp_ip = a3;
    x.c->fp_cs = x.c->seg[SEG_CS].sel;
}
