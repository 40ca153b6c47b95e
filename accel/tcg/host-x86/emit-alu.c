/* SPDX-License-Identifier: MIT */
/* Two-operand arithmetic and logic, comparisons, negation. */
#include "accel/tcg/host-x86/jit.h"

enum { ALU_TEST = 8 };
static void alu_loc(Jit *j, unsigned op, unsigned size, Loc d, Loc s)
{
    Asm *a = &j->a;
    if (d.kind == L_MEM && j->i->flags & IR_LOCK && j->i->d == IR_MEM)
        e8(a, 0xf0);
    if (op == ALU_TEST) {
        if (s.kind == L_IMM)
            test_ri(a, size, d, s.imm);
        else if (s.kind == L_MEM)
            test_rr(a, size, s, d.reg);
        else
            test_rr(a, size, d, s.reg);
    } else if (s.kind == L_IMM) {
        alu_ri(a, op, size, d, s.imm);
    } else if (d.kind == L_MEM) {
        alu_mr(a, op, size, d, s.reg);
    } else {
        alu_rm(a, op, size, d.reg, s);
    }
}

static unsigned alu_code(IrOp op)
{
    switch (op) {
    case IR_ADD: return ALU_ADD;
    case IR_SUB: return ALU_SUB;
    case IR_ADC: return ALU_ADC;
    case IR_SBB: return ALU_SBB;
    case IR_AND: return ALU_AND;
    case IR_OR: return ALU_OR;
    case IR_XOR: return ALU_XOR;
    case IR_TEST: return ALU_TEST;
    default: return ALU_CMP;
    }
}

static void alu_flags(Jit *j, Loc d, Loc s)
{
    const IrInsn *i = j->i;
    FlagValue dst = flag_value(d), src = loc_same(d, s) ? (FlagValue){ .kind = VAL_NONE } : flag_value(s);
    switch ((IrOp)i->op) {
    case IR_ADD: flags_set(j, FLAGS_ADD, i->size, dst, src, 0); break;
    case IR_SUB: flags_set(j, FLAGS_SUB, i->size, dst, src, 0); break;
    case IR_AND: case IR_OR: case IR_XOR: flags_set(j, FLAGS_LOGIC, i->size, dst, (FlagValue){ 0 }, 0); break;
    default: flags_set_native(j, GROUP_ALL); break;
    }
    if (i->flags & IR_NOTC)
        flags_invert_carry(j);
}

static void emit_compare(Jit *j)
{
    const IrInsn *i = j->i;
    bool test = i->op == IR_TEST, in_memory = i->a == IR_MEM || i->b == IR_MEM;
    if (in_memory)
        mem_access(j, i->size, false);
    if (!needs_flags(j)) {
        if (i->flags & IR_SETF)
            flags_dead(j);
        return;
    }
    Loc a = loc_of(j, i->a);
    bool later = j->after[j->k] & NEED_SEEN; /* then the value read must outlive its register */
    if (a.kind == L_IMM || (a.kind == L_HIGH && (i->b != IR_IMM || a.reg >= 4)) ||
        (a.kind == L_MEM && a.reg != RBP && later && !j->t0_used && !(j->busy >> REG_T0 & 1))) {
        unsigned s = scratch(j);
        load_to(j, i->size, s, loc_of(j, i->a));
        a = loc_reg(s);
    }
    bool b_memory = loc_of(j, i->b).kind == L_MEM && loc_of(j, i->b).reg != RBP;
    bool keep_b = b_memory && later && !j->t0_used && !(j->busy >> REG_T0 & 1);
    Loc b = operand_source(j, i->size, i->b, a.kind != L_REG || keep_b);
    if (a.kind == L_MEM && a.reg != RBP)
        a = j->gm; /* may have been simplified */
    j->need = j->keep[j->k];
    flags_clobber(j);
    alu_loc(j, alu_code(i->op), i->size, a, b);
    bool same = test && loc_same(a, b) && a.kind == L_REG;
    if (same)
        flags_set(j, FLAGS_LOGIC, i->size, flag_value(a), (FlagValue){ 0 }, 0);
    else
        flags_set(j, test ? FLAGS_TEST : FLAGS_CMP, i->size, flag_value(a), flag_value(b), 0);
    if (i->flags & IR_NOTC)
        flags_invert_carry(j);
}

/* d = a + b without touching EFLAGS, when the operands allow it. */
static bool try_lea(Jit *j)
{
    const IrInsn *i = j->i;
    if ((i->op != IR_ADD && i->op != IR_SUB) || i->size < 4 || i->d == IR_MEM || i->a == IR_MEM || i->b == IR_MEM)
        return false;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a), b = loc_of(j, i->b);
    if (d.kind != L_REG || a.kind != L_REG || (b.kind != L_IMM && (b.kind != L_REG || i->op == IR_SUB)))
        return false;
    if (b.kind == L_IMM) {
        uint64_t n = sign_extended(i->op == IR_ADD ? b.imm : -b.imm, i->size);
        if (!fits32(n))
            return false;
        write_begin(j, i->d);
        lea(&j->a, i->size, d.reg, loc_mem(a.reg, (int32_t)n));
    } else {
        write_begin(j, i->d);
        lea(&j->a, i->size, d.reg, loc_mem2(a.reg, b.reg, 0, 0));
    }
    return true;
}

static bool commutes(IrOp op) { return op == IR_ADD || op == IR_AND || op == IR_OR || op == IR_XOR || op == IR_ADC; }

/* x - x and x ^ x: a constant. */
static bool try_zero(Jit *j)
{
    const IrInsn *i = j->i;
    if ((i->op != IR_SUB && i->op != IR_XOR) || i->a != i->b || i->a == IR_MEM || i->size < 4 ||
        loc_of(j, i->d).kind != L_REG)
        return false;
    unsigned r = loc_of(j, i->d).reg;
    write_begin(j, i->d);
    flags_clobber(j);
    alu_rm(&j->a, ALU_XOR, 4, r, loc_reg(r));
    if (needs_flags(j))
        flags_set(j, i->op == IR_XOR ? FLAGS_LOGIC : FLAGS_CMP, i->size, flag_value(loc_imm(0)), flag_value(loc_imm(0)),
                  0);
    else
        flags_not_set(j);
    if (needs_flags(j) && i->flags & IR_NOTC)
        flags_invert_carry(j);
    return true;
}

void emit_alu_op(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->op == IR_CMP || i->op == IR_TEST) {
        emit_compare(j);
        return;
    }
    bool carry = i->op == IR_ADC || i->op == IR_SBB, in_memory = i->d == IR_MEM || i->a == IR_MEM || i->b == IR_MEM;
    bool set = needs_flags(j);
    if (!set && !(i->flags & IR_SETF) && try_lea(j))
        return;
    if (try_zero(j))
        return;
    if (!set && i->d == i->a && j->native && (j->keep[j->k]) && try_lea(j))
        return;
    if (carry && in_memory)
        flags_carry_to_slot(j);
    if (in_memory)
        mem_access(j, i->size, i->d == IR_MEM);
    IrRef ra = i->a, rb = i->b;
    if (i->d == rb && i->d != ra && commutes(i->op))
        ra = i->b, rb = i->a;
    unsigned op = alu_code(i->op), size = i->size;
    Loc d = loc_of(j, i->d);
    bool wide_memory = d.kind == L_MEM && i->d != IR_MEM && size == 4;
    if (carry) {
        if (!(i->flags & IR_SETF)) { /* then the present flags outlive EFLAGS */
            j->need |= NEED_READ_C;
            flags_clobber(j);
        }
        flags_carry(j);
        j->need = j->keep[j->k];
    } else {
        j->need = j->keep[j->k];
        flags_clobber(j);
    }
    if (ra == i->d && d.kind != L_HIGH && !wide_memory) {
        Loc s = operand_source(j, size, rb, d.kind == L_MEM);
        d = loc_of(j, i->d);
        write_begin(j, i->d);
        alu_loc(j, op, size, d, s);
        if (set) {
            if (rb == i->d)
                s = d;
            alu_flags(j, d, s);
        } else {
            flags_not_set(j);
        }
        return;
    }
    bool direct = d.kind == L_REG && (size >= 4 || ir_is_temp(i->d)) && rb != i->d;
    Loc s = operand_source(j, size, rb, false);
    unsigned t = direct ? d.reg : scratch(j);
    if (s.kind == L_MEM && s.reg != RBP)
        s = j->gm;
    write_begin(j, i->d);
    load_to(j, size, t, loc_of(j, ra));
    alu_loc(j, op, size, loc_reg(t), s);
    if (!direct)
        store_result(j, size, i->d, t);
    d = loc_of(j, i->d);
    if (set)
        alu_flags(j, d, rb == i->d ? d : s);
    else
        flags_not_set(j);
}

/* -a as ~a + 1, which leaves EFLAGS alone. */
static bool try_negate(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a);
    if (i->op != IR_NEG || i->flags & IR_SETF || i->size < 4 || d.kind != L_REG || !j->native || !j->keep[j->k])
        return false;
    write_begin(j, i->d);
    load_to(j, i->size, d.reg, a);
    op_rm(&j->a, 0xf7, i->size, 2, d);
    lea(&j->a, i->size, d.reg, loc_mem(d.reg, 1));
    return true;
}

/* INC DEC NEG NOT */
void emit_unary(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->d != IR_MEM && i->a != IR_MEM && try_negate(j))
        return;
    unsigned size = i->size, w = size == 1 ? OP_RM8 : 1;
    bool inc = i->op == IR_INC || i->op == IR_DEC, set = needs_flags(j);
    if (i->a == IR_MEM || i->d == IR_MEM)
        mem_access(j, size, i->d == IR_MEM);
    Loc d = loc_of(j, i->d);
    bool direct = i->d == i->a && d.kind != L_HIGH && !(d.kind == L_MEM && i->d != IR_MEM && size == 4);
    unsigned t = 0;
    if (!direct) {
        t = scratch(j);
        load_to(j, size, t, loc_of(j, i->a));
    }
    if (i->d == IR_MEM)
        d = j->gm;
    j->need = j->keep[j->k];
    unsigned kept = j->native & (GROUP_C | NATIVE_NOTC);
    if (i->op == IR_NOT) {
    } else if (inc && kept && j->r.op != FD_NATIVE) {
        /* INC and DEC leave EFLAGS.C */
    } else if (inc && kept && j->c.op == FD_NATIVE && !(j->keep[j->k] & group_needs(GROUP_RO))) {
        /* likewise; the rest is dropped */
    } else {
        flags_clobber(j);
        kept = 0;
    }
    write_begin(j, i->d);
    if (direct && d.kind == L_MEM && i->flags & IR_LOCK && i->d == IR_MEM)
        e8(&j->a, 0xf0);
    Loc at = direct ? d : loc_reg(t);
    if (inc)
        op_rm(&j->a, 0xfe | w, size, i->op == IR_DEC, at);
    else
        op_rm(&j->a, 0xf6 | w, size, i->op == IR_NEG ? 3 : 2, at);
    if (!direct)
        store_result(j, size, i->d, t);
    if (i->op == IR_NOT)
        return;
    FlagValue v = flag_value(loc_of(j, i->d));
    if (!set) {
        j->native = inc ? kept : 0;
        if (i->flags & IR_SETF)
            j->r.op = j->o.op = FD_DEAD;
        if (i->flags & IR_SETF && !inc)
            j->c.op = FD_DEAD;
    } else if (!inc) {
        flags_set(j, FLAGS_NEG, size, v, (FlagValue){ 0 }, 0);
    } else {
        FlagDesc c = j->c;
        flags_set(j, i->op == IR_INC ? FLAGS_INC : FLAGS_DEC, size, v, v, 0);
        j->c = c;
        j->native = GROUP_RO | kept;
    }
}
