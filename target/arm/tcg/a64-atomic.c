/* SPDX-License-Identifier: MIT */
/* A64: exclusive accesses (LL/SC by compare-and-swap with the value that was loaded), LSE atomics. */
#include "target/arm/tcg/a64.h"

/* --- the monitor: excl_addr, excl_value --- */
static void set_monitor(ArmTrans *x, IrRef address, unsigned size)
{
    ir_ste(x->t, 8, offsetof(ArmCpu, excl_addr), address);
    ir_stei(x->t, 4, offsetof(ArmCpu, excl_size), size);
}

static void clear_monitor(ArmTrans *x) { ir_stei(x->t, 8, offsetof(ArmCpu, excl_addr), UINT64_MAX); }

void arm_a64_clrex(ArmTrans *x, const A64Insn *i) { clear_monitor(x); }

void arm_a64_ldxr(ArmTrans *x, const A64Insn *i)
{
    unsigned size = 1u << i->size;
    IrMem m = arm_mem(x, IR_G(i->rn), 0, size, ARM_MEM_ALIGN);
    m = arm_mem_pin(x, &m);
    IrRef value = ir_temp(x->t);
    arm_load(x, size, value, &m);
    set_monitor(x, m.base, size);
    ir_ste(x->t, 8, offsetof(ArmCpu, excl_value), value);
    if (i->rt != 31)
        ir_op2(x->t, IR_MOV, 8, IR_G(i->rt), value);
    if (i->o0)
        ir_emit(x->t, IR_FENCE, 8);
}

/* d = 0 when a == 0 (size bytes of it), else 1; a is changed. */
static void not_zero(ArmTrans *x, unsigned size, IrRef d, IrRef a)
{
    if (size < 4)
        ir_extend(x->t, IR_ZEXT, size, 8, a, a);
    ir_op2(x->t, IR_NEG, 8, d, a);
    ir_op3(x->t, IR_OR, 8, d, d, a);
    ir_op3i(x->t, IR_SHR, 8, d, d, 63);
}

/* [m] = value if the monitor is set for it and the memory still holds what was loaded; rs = 0, else 1. */
static void store_exclusive(ArmTrans *x, unsigned size, unsigned rs, IrMem m, IrRef value)
{
    TransCtx *t = x->t;
    unsigned done = ir_new_label(t);
    IrRef status = ir_temp(t), other = ir_temp(t), expected = ir_temp(t), old = ir_temp(t);
    m = arm_mem_pin(x, &m);
    ir_movi(t, 8, status, 1);
    ir_lde(t, 8, other, offsetof(ArmCpu, excl_addr));
    ir_op3(t, IR_XOR, 8, other, other, m.base);
    ir_brz(t, IR_BRNZ, 8, other, done);
    ir_lde(t, 8, expected, offsetof(ArmCpu, excl_value));
    ir_op2(t, IR_MOV, 8, old, expected);
    IrInsn *swap = ir_op2(t, IR_CMPXCHG, size, old, value);
    swap->m = m;
    swap->flags = IR_LOCK | x->be;
    ir_op3(t, IR_XOR, size, old, old, expected);
    not_zero(x, size, status, old);
    ir_label(t, IR_LABEL, done);
    clear_monitor(x);
    if (rs != 31)
        ir_op2(t, IR_MOV, 8, IR_G(rs), status);
}

void arm_a64_stxr(ArmTrans *x, const A64Insn *i)
{
    unsigned size = 1u << i->size;
    IrMem m = arm_mem(x, IR_G(i->rn), 0, size, ARM_MEM_WRITE | ARM_MEM_ALIGN);
    store_exclusive(x, size, i->rs, m, arm_value(x, i->rt));
}

/* --- pairs: 2 x 32 bits are one access of 64; 2 x 64 bits are compared as a whole when they are stored --- */
/* The 64-bit value of a pair of 32-bit registers in the order in which they stand in memory. */
static IrRef join(ArmTrans *x, unsigned first, unsigned second)
{
    IrRef low = ir_temp(x->t), high = ir_temp(x->t);
    ir_op2(x->t, IR_MOV, 4, low, arm_value(x, x->be ? second : first));
    ir_op3i(x->t, IR_SHL, 8, high, arm_value(x, x->be ? first : second), 32);
    ir_op3(x->t, IR_OR, 8, low, low, high);
    return low;
}

static void split(ArmTrans *x, IrRef value, unsigned first, unsigned second)
{
    unsigned low = x->be ? second : first, high = x->be ? first : second;
    if (low != 31)
        ir_op2(x->t, IR_MOV, 4, IR_G(low), value);
    if (high != 31)
        ir_op3i(x->t, IR_SHR, 8, IR_G(high), value, 32);
}

static void load_exclusive_128(ArmTrans *x, const A64Insn *i)
{
    IrMem m = arm_mem(x, IR_G(i->rn), 0, 16, ARM_MEM_ALIGN);
    m = arm_mem_pin(x, &m);
    IrMem second = m;
    second.disp = 8, second.align = 0;
    IrRef a = ir_temp(x->t), b = ir_temp(x->t);
    arm_load(x, 8, a, &m);
    arm_load(x, 8, b, &second);
    set_monitor(x, m.base, 16);
    ir_ste(x->t, 8, offsetof(ArmCpu, excl_value[0]), a);
    ir_ste(x->t, 8, offsetof(ArmCpu, excl_value[1]), b);
    if (i->rt != 31)
        ir_op2(x->t, IR_MOV, 8, IR_G(i->rt), a);
    if (i->rt2 != 31)
        ir_op2(x->t, IR_MOV, 8, IR_G(i->rt2), b);
}

void arm_a64_ldxp(ArmTrans *x, const A64Insn *i)
{
    if (i->sz) {
        load_exclusive_128(x, i);
    } else {
        IrMem m = arm_mem(x, IR_G(i->rn), 0, 8, ARM_MEM_ALIGN);
        m = arm_mem_pin(x, &m);
        IrRef value = ir_temp(x->t);
        arm_load(x, 8, value, &m);
        set_monitor(x, m.base, 8);
        ir_ste(x->t, 8, offsetof(ArmCpu, excl_value), value);
        split(x, value, i->rt, i->rt2);
    }
    if (i->o0)
        ir_emit(x->t, IR_FENCE, 8);
}

void arm_a64_stxp(ArmTrans *x, const A64Insn *i)
{
    IrMem m = arm_mem(x, IR_G(i->rn), 0, i->sz ? 16 : 8, ARM_MEM_WRITE | ARM_MEM_ALIGN);
    if (!i->sz) {
        store_exclusive(x, 8, i->rs, m, join(x, i->rt, i->rt2));
        return;
    }
    IrRef status = arm_xw(x, i->rs), at = arm_address(x, &m);
    arm_call(x, arm_help_stxp, H_R, status, A_REF(at), A_REF(arm_value(x, i->rt)), A_REF(arm_value(x, i->rt2)));
}

/* --- LSE: every access is aligned; acquire and release come with the host's locked operations --- */
static IrMem atomic_operand(ArmTrans *x, unsigned rn, unsigned size)
{
    return arm_mem(x, IR_G(rn), 0, size, ARM_MEM_READ | ARM_MEM_WRITE | ARM_MEM_ALIGN);
}

/* rt = the low `size` bytes of value. */
static void result(ArmTrans *x, unsigned size, unsigned rt, IrRef value)
{
    if (rt == 31)
        return;
    if (size < 4)
        ir_extend(x->t, IR_ZEXT, size, 8, IR_G(rt), value);
    else
        ir_op2(x->t, IR_MOV, size, IR_G(rt), value);
}

/* d = [m], [m] = a (SWP) or += a (LDADD). */
static void exchange(ArmTrans *x, const A64Insn *i, IrOp op)
{
    unsigned size = 1u << i->size;
    IrMem m = atomic_operand(x, i->rn, size);
    IrRef value = ir_temp(x->t);
    if (i->rs == 31)
        ir_movi(x->t, 8, value, 0);
    else
        ir_op2(x->t, IR_MOV, 8, value, IR_G(i->rs));
    IrInsn *swap = ir_op2(x->t, op, size, value, value);
    swap->m = m;
    swap->flags = IR_LOCK | x->be;
    result(x, size, i->rt, value);
}

/* [m] op= value, without a result. */
static void modify(ArmTrans *x, const A64Insn *i, IrOp op)
{
    unsigned size = 1u << i->size;
    IrMem m = atomic_operand(x, i->rn, size);
    IrRef value = arm_value(x, i->rs);
    if (op == IR_ANDN) {
        IrRef inverted = ir_temp(x->t);
        ir_op2(x->t, IR_NOT, 8, inverted, value);
        value = inverted, op = IR_AND;
    }
    IrInsn *rmw = ir_op3(x->t, op, size, IR_MEM, IR_MEM, value);
    rmw->m = m;
    rmw->flags = IR_LOCK | x->be;
}

void arm_a64_swp(ArmTrans *x, const A64Insn *i) { exchange(x, i, IR_XCHG); }

void arm_a64_ldadd(ArmTrans *x, const A64Insn *i)
{
    if (i->rt == 31)
        modify(x, i, IR_ADD);
    else
        exchange(x, i, IR_XADD);
}

/* The loop's body: fresh = op(old, operand), size < 4 works on extended values. */
typedef void NewValue(ArmTrans *x, const A64Insn *i, unsigned size, IrRef fresh, IrRef old, IrRef operand);

static void swap_loop(ArmTrans *x, const A64Insn *i, IrRef operand, bool sign, NewValue *make)
{
    TransCtx *t = x->t;
    unsigned size = 1u << i->size, again = ir_new_label(t), done = ir_new_label(t);
    IrMem m = atomic_operand(x, i->rn, size);
    IrRef old = ir_temp(t), fresh = ir_temp(t), seen = ir_temp(t);
    m = arm_mem_pin(x, &m);
    arm_load(x, size, seen, &m);
    ir_label(t, IR_LABEL, again);
    if (size < 8)
        ir_extend(t, sign ? IR_SEXT : IR_ZEXT, size, 8, old, seen);
    else
        ir_op2(t, IR_MOV, 8, old, seen);
    make(x, i, size, fresh, old, operand);
    ir_op2(t, IR_MOV, 8, seen, old);
    IrInsn *swap = ir_op2(t, IR_CMPXCHG, size, seen, fresh);
    swap->m = m;
    swap->flags = IR_LOCK | x->be;
    IrRef differ = fresh;
    ir_op3(t, IR_XOR, size, differ, seen, old);
    ir_brz(t, IR_BRZ, size, differ, done);
    ir_goto(t, IR_CHECK, x->pc); /* devices may answer otherwise each time */
    ir_label(t, IR_BR, again);
    ir_label(t, IR_LABEL, done);
    result(x, size, i->rt, old);
}

static void make_logic(ArmTrans *x, const A64Insn *i, unsigned size, IrRef fresh, IrRef old, IrRef operand)
{
    ir_op3(x->t, i->op == IR_ANDN ? IR_AND : i->op, 8, fresh, old, operand);
}

/* LDCLR, LDEOR, LDSET. */
void arm_a64_ldop(ArmTrans *x, const A64Insn *i)
{
    if (i->rt == 31) {
        modify(x, i, i->op);
        return;
    }
    IrRef operand = ir_temp(x->t);
    ir_op2(x->t, i->op == IR_ANDN ? IR_NOT : IR_MOV, 8, operand, arm_value(x, i->rs));
    swap_loop(x, i, operand, false, make_logic);
}

/*
 * The greater or the smaller, without flags: d = old - operand at 65 bits decides. Values are extended to 64 bits but
 * for size 8.
 */
static void make_max(ArmTrans *x, const A64Insn *i, unsigned size, IrRef fresh, IrRef old, IrRef operand)
{
    TransCtx *t = x->t;
    IrRef less = ir_temp(t), a = ir_temp(t);
    /*
     * less = all ones when old < operand: the sign of ((old ^ operand) & (old - operand ^ old)) ^ (old - operand), both
     * biased if unsigned
     */
    ir_op3(t, IR_SUB, 8, less, old, operand);
    ir_op3(t, IR_XOR, 8, a, old, operand);
    ir_op3(t, IR_XOR, 8, fresh, less, old);
    ir_op3(t, IR_AND, 8, fresh, fresh, a);
    ir_op3(t, IR_XOR, 8, less, less, fresh);
    if (i->uns && size == 8) /* unsigned: the order turns round when the top bits differ */
        ir_op3(t, IR_XOR, 8, less, less, a);
    ir_op3i(t, IR_SAR, 8, less, less, 63);
    if (!i->min)
        ir_op2(t, IR_NOT, 8, less, less);
    /* fresh = less ? old : operand */
    ir_op3(t, IR_AND, 8, a, a, less);
    ir_op3(t, IR_XOR, 8, fresh, operand, a);
}

void arm_a64_ldmax(ArmTrans *x, const A64Insn *i)
{
    unsigned size = 1u << i->size;
    IrRef operand = ir_temp(x->t), value = arm_value(x, i->rs);
    if (size == 8)
        ir_op2(x->t, IR_MOV, 8, operand, value);
    else
        ir_extend(x->t, i->uns ? IR_ZEXT : IR_SEXT, size, 8, operand, value);
    swap_loop(x, i, operand, !i->uns, make_max);
}

void arm_a64_cas(ArmTrans *x, const A64Insn *i)
{
    unsigned size = 1u << i->size;
    IrMem m = atomic_operand(x, i->rn, size);
    IrRef old = ir_temp(x->t);
    ir_op2(x->t, IR_MOV, 8, old, arm_value(x, i->rs));
    IrInsn *swap = ir_op2(x->t, IR_CMPXCHG, size, old, arm_value(x, i->rt));
    swap->m = m;
    swap->flags = IR_LOCK | x->be;
    result(x, size, i->rs, old);
}

void arm_a64_casp(ArmTrans *x, const A64Insn *i)
{
    IrMem m = atomic_operand(x, i->rn, i->sz ? 16 : 8);
    IrRef at = arm_address(x, &m);
    arm_call(x, arm_help_casp, H_R, IR_NONE, A_REF(at), A_IMM((unsigned)i->rs | (unsigned)i->rt << 8), A_IMM(i->sz));
}
