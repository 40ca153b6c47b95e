/* SPDX-License-Identifier: MIT */
/*
 * What the emitters of A32 and T32 share: registers, flags, shifter operands, data processing, addresses, branches, IT
 * state.
 */
#include "target/arm/tcg/a32.h"
#include "target/arm/tcg/help-a32.h"

/* --- registers --- */
uint32_t a32_pc(const ArmTrans *x) { return (uint32_t)x->pc + (a32_t32(x) ? 4 : 8); }

IrRef a32_const(ArmTrans *x, uint32_t value)
{
    IrRef t = ir_temp(x->t);
    ir_movi(x->t, 4, t, value);
    return t;
}

IrRef a32_reg(ArmTrans *x, unsigned n) { return n == 15 ? a32_const(x, a32_pc(x)) : IR_G(n); }

IrRef a32_copy(ArmTrans *x, IrRef r)
{
    IrRef t = ir_temp(x->t);
    ir_op2(x->t, IR_MOV, 4, t, r);
    return t;
}

static IrRef op_new(ArmTrans *x, IrOp op, unsigned size, IrRef a, IrRef b, uint64_t imm)
{
    IrRef t = ir_temp(x->t);
    ir_op3(x->t, op, size, t, a, b)->imm = imm;
    return t;
}

IrRef a32_op(ArmTrans *x, IrOp op, IrRef a, IrRef b) { return op_new(x, op, 4, a, b, 0); }
IrRef a32_opi(ArmTrans *x, IrOp op, IrRef a, uint32_t imm) { return op_new(x, op, 4, a, IR_IMM, imm); }
IrRef a32_op8(ArmTrans *x, IrOp op, IrRef a, IrRef b) { return op_new(x, op, 8, a, b, 0); }
IrRef a32_op8i(ArmTrans *x, IrOp op, IrRef a, uint64_t imm) { return op_new(x, op, 8, a, IR_IMM, imm); }

IrRef a32_ext(ArmTrans *x, IrOp op, unsigned from, unsigned to, IrRef a)
{
    IrRef t = ir_temp(x->t);
    ir_extend(x->t, op, from, to, t, a);
    return t;
}

IrRef a32_dest(ArmTrans *x, unsigned n) { return a32_plain(x, n) ? IR_G(n) : ir_temp(x->t); }

static void set_sp_m(ArmTrans *x, IrRef value)
{
    IrRef t = a32_opi(x, IR_AND, value, ~3u);
    if (x->has->v8m)
        arm_call(x, arm_help_m_sp_limit, H_R | H_P, IR_NONE, A_REF(t), A_NONE, A_NONE);
    ir_op2(x->t, IR_MOV, 4, IR_G(13), t);
}

void a32_done(ArmTrans *x, unsigned n, IrRef value)
{
    if (n == 15)
        a32_alu_pc(x, value);
    else if (!a32_plain(x, n))
        set_sp_m(x, value);
}

void a32_set(ArmTrans *x, unsigned n, IrRef value)
{
    if (a32_plain(x, n))
        ir_op2(x->t, IR_MOV, 4, IR_G(n), value);
    else
        a32_done(x, n, value);
}

/* --- flags --- */
void a32_set_nz(ArmTrans *x, IrRef value, unsigned size)
{
    ir_op2(x->t, IR_SETNZ, size, IR_NONE, value)->flags = IR_SETF;
    x->flags_changed = true;
}

void a32_put_c(ArmTrans *x, IrRef not_carry)
{
    ir_op2(x->t, IR_PUTF, 4, IR_NONE, not_carry)->imm = FLAG_C;
    x->flags_changed = true;
}

void a32_put_carry(ArmTrans *x, const A32Op2 *o)
{
    if (o->carry == CARRY_KEEP)
        return;
    if (o->carry != CARRY_REF) {
        a32_put_c(x, a32_const(x, o->carry == CARRY_0));
        return;
    }
    if (o->keep_if_zero == IR_NONE) {
        a32_put_c(x, o->carry_ref);
        return;
    }
    unsigned skip = ir_new_label(x->t);
    ir_brz(x->t, IR_BRZ, 4, o->keep_if_zero, skip);
    a32_put_c(x, o->carry_ref);
    ir_label(x->t, IR_LABEL, skip);
}

IrRef a32_carry_in(ArmTrans *x)
{
    IrRef t = ir_temp(x->t);
    ir_op2(x->t, IR_SETCC, 1, t, IR_NONE)->cond = IRC_NC;
    return a32_ext(x, IR_ZEXT, 1, 4, t);
}

/* --- shifter (DDI 0406C, A8.4.3) --- */
A32Op2 a32_imm_op2(uint32_t imm, A32Carry carry)
{
    return (A32Op2){ .v = IR_IMM, .imm = imm, .carry = (uint8_t)carry, .carry_ref = IR_NONE, .keep_if_zero = IR_NONE };
}

static A32Op2 op2_ref(IrRef v, A32Carry carry, IrRef carry_ref)
{
    return (A32Op2){ .v = v, .carry = (uint8_t)carry, .carry_ref = carry_ref, .keep_if_zero = IR_NONE };
}

/* NOT bit n of r, in bit 0. */
static IrRef not_bit(ArmTrans *x, IrRef r, unsigned n)
{
    IrRef t = n ? a32_opi(x, IR_SHR, r, n) : r;
    IrRef u = ir_temp(x->t);
    ir_op2(x->t, IR_NOT, 4, u, t);
    return u;
}

static A32Op2 shift_rrx(ArmTrans *x, IrRef r, bool carry)
{
    IrRef top = a32_opi(x, IR_SHL, a32_carry_in(x), 31);
    IrRef v = a32_op(x, IR_OR, a32_opi(x, IR_SHR, r, 1), top);
    return carry ? op2_ref(v, CARRY_REF, not_bit(x, r, 0)) : op2_ref(v, CARRY_KEEP, IR_NONE);
}

A32Op2 a32_shift_imm(ArmTrans *x, unsigned rm, A32Shift type, unsigned amount, bool carry)
{
    static const IrOp ops[4] = { IR_SHL, IR_SHR, IR_SAR, IR_ROR };
    if (rm == 15 && type == SH_LSL && !amount)
        return a32_imm_op2(a32_pc(x), CARRY_KEEP);
    IrRef r = a32_reg(x, rm);
    if (type == SH_LSL && !amount)
        return op2_ref(r, CARRY_KEEP, IR_NONE);
    if (type == SH_ROR && !amount)
        return shift_rrx(x, r, carry);
    if (!amount)
        amount = 32;
    IrRef c = carry ? not_bit(x, r, type == SH_LSL ? 32 - amount : amount - 1) : IR_NONE;
    A32Op2 o = op2_ref(IR_NONE, carry ? CARRY_REF : CARRY_KEEP, c);
    if (amount == 32 && type == SH_LSR)
        o.v = IR_IMM;
    else
        o.v = a32_opi(x, ops[type], r, amount == 32 ? 31 : amount);
    return o;
}

/* The amount is Rs[7:0]; 64-bit shifts with the value in one half, and a mask for amounts of 64 and more. */
A32Op2 a32_shift_reg(ArmTrans *x, unsigned rm, A32Shift type, unsigned rs, bool carry)
{
    IrRef r = a32_reg(x, rm), n = a32_ext(x, IR_ZEXT, 1, 8, a32_reg(x, rs)), c = IR_NONE, v;
    if (type == SH_ROR) {
        v = a32_op(x, IR_ROR, r, n);
        c = carry ? not_bit(x, v, 31) : IR_NONE;
    } else {
        IrRef small = a32_op8i(x, IR_SAR, a32_op8i(x, IR_SUB, a32_op8i(x, IR_AND, n, 0xc0), 1), 63), full;
        if (type == SH_LSL) {
            full = v = a32_op8(x, IR_AND, a32_op8(x, IR_SHL, r, n), small);
        } else if (type == SH_LSR) {
            full = a32_op8(x, IR_AND, a32_op8(x, IR_SHR, a32_op8i(x, IR_SHL, r, 32), n), small);
            v = a32_op8i(x, IR_SHR, full, 32);
        } else {
            IrRef large = ir_temp(x->t);
            ir_op2(x->t, IR_NOT, 8, large, small);
            full = a32_op8(x, IR_SAR, a32_op8i(x, IR_SHL, r, 32), a32_op8(x, IR_OR, n, large));
            v = a32_op8i(x, IR_SHR, full, 32);
        }
        if (carry) {
            c = ir_temp(x->t);
            ir_op2(x->t, IR_NOT, 4, c, a32_op8i(x, IR_SHR, full, type == SH_LSL ? 32 : 31));
        }
    }
    A32Op2 o = op2_ref(v, carry ? CARRY_REF : CARRY_KEEP, c);
    if (carry)
        o.keep_if_zero = n;
    return o;
}

uint32_t a32_expand_imm(uint32_t imm12, A32Carry *carry)
{
    unsigned rotate = fld(imm12, 11, 8) * 2;
    uint32_t v = imm12 & 0xff;
    if (!rotate) {
        *carry = CARRY_KEEP;
        return v;
    }
    v = v >> rotate | v << (32 - rotate);
    *carry = v >> 31 ? CARRY_1 : CARRY_0;
    return v;
}

uint32_t t32_expand_imm(uint32_t imm12, A32Carry *carry)
{
    uint32_t b = imm12 & 0xff;
    *carry = CARRY_KEEP;
    if (!(imm12 >> 10)) {
        static const uint32_t times[4] = { 1, 0x00010001, 0x01000100, 0x01010101 };
        return b * times[fld(imm12, 9, 8)];
    }
    unsigned rotate = fld(imm12, 11, 7);
    b = 0x80 | (imm12 & 0x7f);
    b = b >> rotate | b << (32 - rotate);
    *carry = b >> 31 ? CARRY_1 : CARRY_0;
    return b;
}

/* --- data processing --- */
static IrRef op2_in_ref(ArmTrans *x, const A32Op2 *o) { return o->v == IR_IMM ? a32_const(x, o->imm) : o->v; }

static IrRef op2_not(ArmTrans *x, const A32Op2 *o)
{
    if (o->v == IR_IMM)
        return a32_const(x, ~o->imm);
    IrRef t = ir_temp(x->t);
    ir_op2(x->t, IR_NOT, 4, t, o->v);
    return t;
}

static void logical(ArmTrans *x, A32Dp op, IrRef d, unsigned rn, const A32Op2 *o)
{
    TransCtx *t = x->t;
    switch (op) {
    case DP_MOV:
        ir_op2(t, IR_MOV, 4, d, o->v)->imm = o->imm;
        break;
    case DP_MVN:
        if (o->v == IR_IMM)
            ir_movi(t, 4, d, ~o->imm);
        else
            ir_op2(t, IR_NOT, 4, d, o->v);
        break;
    case DP_BIC:
        if (o->v == IR_IMM)
            ir_op3i(t, IR_AND, 4, d, a32_reg(x, rn), ~o->imm);
        else
            ir_op3(t, IR_ANDN, 4, d, o->v, a32_reg(x, rn));
        break;
    case DP_ORN:
        ir_op3(t, IR_OR, 4, d, a32_reg(x, rn), op2_not(x, o));
        break;
    default: {
        IrOp ir = op == DP_AND || op == DP_TST ? IR_AND : op == DP_ORR ? IR_OR : IR_XOR;
        ir_op3(t, ir, 4, d, a32_reg(x, rn), o->v)->imm = o->imm;
    }
    }
}

static void arithmetic(ArmTrans *x, A32Dp op, IrRef d, unsigned rn, const A32Op2 *o, bool s)
{
    TransCtx *t = x->t;
    IrRef n = rn == 15 && o->v == IR_IMM && !s && (op == DP_ADD || op == DP_SUB) ? IR_NONE : a32_reg(x, rn);
    IrInsn *i = NULL;
    if (n == IR_NONE) {
        ir_movi(t, 4, d, op == DP_ADD ? a32_pc(x) + o->imm : a32_pc(x) - o->imm);
        return;
    }
    switch (op) {
    case DP_ADD: case DP_CMN: i = ir_op3(t, IR_ADD, 4, d, n, o->v); break;
    case DP_SUB: i = ir_op3(t, IR_SUB, 4, d, n, o->v); break;
    case DP_CMP: i = ir_op3(t, IR_CMP, 4, IR_NONE, n, o->v); break;
    case DP_SBC: i = ir_op3(t, IR_SBB, 4, d, n, o->v); break;
    case DP_ADC: i = ir_op3(t, IR_SBB, 4, d, n, op2_not(x, o)); break;
    case DP_RSC: i = ir_op3(t, IR_SBB, 4, d, op2_in_ref(x, o), n); break;
    default: /* RSB */
        if (o->v == IR_IMM && !o->imm)
            i = ir_op2(t, IR_NEG, 4, d, n);
        else
            i = ir_op3(t, IR_SUB, 4, d, op2_in_ref(x, o), n);
    }
    if (i->b == IR_IMM)
        i->imm = o->imm;
    if (s) {
        i->flags = IR_SETF | (i->op == IR_ADD ? IR_NOTC : 0);
        x->flags_changed = true;
    }
}

static bool is_logical(A32Dp op)
{
    return op == DP_AND || op == DP_EOR || op == DP_TST || op == DP_TEQ || op >= DP_ORR;
}

void a32_dp(ArmTrans *x, A32Dp op, bool s, unsigned rd, unsigned rn, const A32Op2 *o)
{
    bool compare = op >= DP_TST && op <= DP_CMN;
    if (!compare && rd == 15 && s) { /* exception return: SPSR to CPSR */
        IrRef d = ir_temp(x->t), spsr = ir_temp(x->t);
        if (is_logical(op))
            logical(x, op, d, rn, o);
        else
            arithmetic(x, op, d, rn, o, false);
        arm_call(x, arm_help_a32_spsr, H_R | H_F, spsr, A_NONE, A_NONE, A_NONE);
        arm_call(x, arm_help_return32, H_R | H_F | H_W, IR_NONE, A_REF(d), A_REF(spsr), A_NONE);
        a32_end_lookup(x);
        return;
    }
    IrRef d = compare ? ir_temp(x->t) : a32_dest(x, rd);
    if (!is_logical(op)) {
        arithmetic(x, op, d, rn, o, s);
    } else {
        logical(x, op, d, rn, o);
        if (s) {
            a32_set_nz(x, d, 4);
            a32_put_carry(x, o);
        }
    }
    if (!compare)
        a32_done(x, rd, d);
}

/* --- memory --- */
/*
 * Before ARMv7, with SCTLR.U and A clear (DDI 0406C, D15.3, D12.3): halfwords, words and doublewords are found where
 * the address without its low bits leads (doublewords: those of a word), and a word that is loaded alone is then
 * rotated: a32_rotate_old().
 */
static IrMem old_mem(ArmTrans *x, IrRef address, unsigned size, unsigned flags)
{
    x->old_address = address;
    IrRef at = a32_opi(x, IR_AND, address, size == 2 ? ~1u : ~3u);
    return arm_mem(x, at, 0, size, flags & ~(unsigned)ARM_MEM_ALIGN);
}

void a32_rotate_old(ArmTrans *x, IrRef word)
{
    if (x->mode & ARM_MODE_OLD_ALIGN)
        ir_op3(x->t, IR_ROR, 4, word, word, a32_opi(x, IR_SHL, x->old_address, 3));
}

/*
 * Without an index the address is made at 64 bits, which lets neighbours share a check: the walk drops the carry beyond
 * bit 31.
 */
IrMem a32_mem(ArmTrans *x, IrRef base, int32_t disp, unsigned size, unsigned flags)
{
    a32_may_leave(x);
    if (x->mode & ARM_MODE_OLD_ALIGN && size > 1)
        return old_mem(x, base == IR_NONE ? a32_const(x, (uint32_t)disp) : a32_opi(x, IR_ADD, base, (uint32_t)disp),
                       size, flags);
    IrMem m = arm_mem(x, base, disp, size, flags);
    if (m.base != IR_NONE)
        m.asize = 8;
    return m;
}

IrMem a32_mem_index(ArmTrans *x, IrRef base, IrRef index, unsigned lsl, unsigned size, unsigned flags)
{
    a32_may_leave(x);
    if (x->mode & ARM_MODE_OLD_ALIGN && size > 1)
        return old_mem(x, a32_op(x, IR_ADD, base, lsl ? a32_opi(x, IR_SHL, index, lsl) : index), size, flags);
    return arm_mem_index(x, base, index, lsl, 0, size, size, flags);
}

void a32_set_loaded(ArmTrans *x, unsigned rt, IrRef value)
{
    if (rt != 15)
        a32_set(x, rt, value);
    else if (x->has->v5 || a32_m(x))
        a32_bx(x, value);
    else
        a32_jump(x, value);
}

/* --- IT state ---
 * Inside a block it is the translator's; memory (ArmCpu.it and the mode bits) follows before anything that can leave
 * the block. */
static void store_it(ArmTrans *x, uint8_t it)
{
    ir_stei(x->t, 1, offsetof(ArmCpu, it), it);
    ir_stei(x->t, 1, offsetof(Vcpu, mode) + ARM_MODE_IT_SHIFT / 8, it);
}

void a32_may_leave(ArmTrans *x)
{
    if (!x->it || x->it_now_stored)
        return;
    store_it(x, x->it);
    x->it_stored = x->it_now_stored = true;
}

/* The block ends, the state is `after` then. True: the mode has changed by a helper, GOTO does not do. */
static bool leave_it(ArmTrans *x, uint8_t after)
{
    uint8_t at_start = (uint8_t)(x->t->b->mode >> ARM_MODE_IT_SHIFT);
    if (after != at_start) {
        arm_call(x, arm_help_a32_set_it, H_P, IR_NONE, A_IMM(after), A_NONE, A_NONE);
        return true;
    }
    if (x->it_stored)
        store_it(x, after);
    return false;
}

/* Behind a condition or as the end: to `pc` of the same instruction set, with the IT state `it` there. */
static void side_goto(ArmTrans *x, uint32_t pc, uint8_t it)
{
    if (leave_it(x, it) || x->step) {
        arm_set_pc(x, pc);
        arm_leave_stepping(x);
    } else {
        if (pc <= x->pc)
            ir_goto(x->t, IR_CHECK, pc);
        ir_goto(x->t, IR_GOTO, pc);
    }
}

/* --- branches --- */
void a32_branch(ArmTrans *x, uint32_t target)
{
    if (!x->one && !x->conditional && target > x->pc && (target ^ x->pc) >> TCG_PAGE_BITS == 0) {
        x->next_pc = target; /* the block follows */
        return;
    }
    side_goto(x, target, 0);
    x->ended = true;
}

void a32_branch_cond(ArmTrans *x, unsigned cond, uint32_t target)
{
    IrCond c = arm_cond(cond);
    if (x->step || (uint8_t)(x->mode >> ARM_MODE_IT_SHIFT) || x->it_stored) {
        unsigned label = ir_new_label(x->t);
        arm_brcc(x, c ^ 1, label);
        side_goto(x, target, 0);
        ir_label(x->t, IR_LABEL, label);
    } else if (target <= x->pc) {
        ir_goto_cond(x->t, c ^ 1, (uint32_t)x->next_pc);
        side_goto(x, target, 0);
        x->ended = true;
    } else {
        ir_goto_cond(x->t, c, target);
    }
}

void a32_branch_zero(ArmTrans *x, bool if_zero, IrRef a, uint32_t target)
{
    unsigned label = ir_new_label(x->t);
    ir_brz(x->t, if_zero ? IR_BRNZ : IR_BRZ, 4, a, label);
    side_goto(x, target, 0);
    ir_label(x->t, IR_LABEL, label);
}
void a32_branch_state(ArmTrans *x, uint32_t target, bool t32)
{
    if (t32 == a32_t32(x)) {
        a32_branch(x, target);
        return;
    }
    leave_it(x, 0);
    arm_call(x, arm_help_a32_state, H_P, IR_NONE, A_IMM(t32), A_NONE, A_NONE);
    arm_set_pc(x, target);
    arm_leave_stepping(x);
    x->ended = true;
}

/* To an address with the state's low bits clear. */
static void jump_aligned(ArmTrans *x, IrRef target)
{
    if (x->step) {
        ir_ste(x->t, 8, offsetof(ArmCpu, v.pc), target);
        arm_leave_stepping(x);
    } else {
        ir_op2(x->t, IR_JMP, 8, IR_NONE, target);
    }
    x->ended = true;
}

void a32_jump(ArmTrans *x, IrRef target)
{
    leave_it(x, 0);
    jump_aligned(x, a32_opi(x, IR_AND, target, a32_t32(x) ? ~1u : ~3u));
}

/* M: bit 0 clear, EXC_RETURN and FNC_RETURN are the helper's. */
static void bx_m(ArmTrans *x, IrRef target)
{
    unsigned slow = ir_new_label(x->t);
    leave_it(x, 0);
    IrRef high = a32_opi(x, IR_SHR, target, 25);
    ir_brz(x->t, IR_BRZ, 4, a32_opi(x, IR_AND, target, 1), slow);
    ir_brz(x->t, IR_BRZ, 4, a32_opi(x, IR_XOR, high, 0x7f), slow);
    jump_aligned(x, a32_opi(x, IR_AND, target, ~1u));
    ir_label(x->t, IR_LABEL, slow);
    arm_call(x, arm_help_m_bx, H_R | H_F | H_W, IR_NONE, A_REF(target), A_NONE, A_NONE);
    arm_leave_stepping(x);
}

void a32_bx(ArmTrans *x, IrRef target)
{
    if (a32_m(x)) {
        bx_m(x, target);
        return;
    }
    unsigned other = ir_new_label(x->t);
    leave_it(x, 0);
    ir_brz(x->t, a32_t32(x) ? IR_BRZ : IR_BRNZ, 4, a32_opi(x, IR_AND, target, 1), other);
    jump_aligned(x, a32_opi(x, IR_AND, target, a32_t32(x) ? ~1u : ~3u));
    ir_label(x->t, IR_LABEL, other);
    arm_call(x, arm_help_a32_state, H_P, IR_NONE, A_IMM(!a32_t32(x)), A_NONE, A_NONE);
    jump_aligned(x, a32_opi(x, IR_AND, target, a32_t32(x) ? ~3u : ~1u));
}

void a32_alu_pc(ArmTrans *x, IrRef target)
{
    if (x->has->v7 && !a32_t32(x))
        a32_bx(x, target);
    else
        a32_jump(x, target);
}

/* --- ends --- */
void a32_end_lookup(ArmTrans *x)
{
    arm_leave_stepping(x);
    x->ended = true;
}

void a32_end_next(ArmTrans *x)
{
    leave_it(x, x->it_next);
    arm_set_pc(x, (uint32_t)x->next_pc);
    a32_end_lookup(x);
}

void a32_end_exit(ArmTrans *x)
{
    if (x->step) {
        a32_end_next(x);
        return;
    }
    leave_it(x, x->it_next);
    ir_goto(x->t, IR_EXIT, (uint32_t)x->next_pc);
    x->ended = true;
}

/* The loop of translate.c ends the block here, whatever the IT state. */
void arm_t32_leave(ArmTrans *x)
{
    if (leave_it(x, x->it)) {
        arm_set_pc(x, (uint32_t)x->next_pc);
        ir_emit(x->t, IR_LOOKUP, 8);
    }
}
