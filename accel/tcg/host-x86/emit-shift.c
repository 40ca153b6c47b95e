/* SPDX-License-Identifier: MIT */
/* Shifts and rotations, of one register and of two. What has no direct form here goes to the interpreter. */
#include "accel/tcg/host-x86/jit.h"

static unsigned shift_code(IrOp op)
{
    static const uint8_t code[] = { [IR_SHL - IR_SHL] = 4, [IR_SHR - IR_SHL] = 5, [IR_SAR - IR_SHL] = 7,
                                    [IR_ROL - IR_SHL] = 0, [IR_ROR - IR_SHL] = 1, [IR_RCL - IR_SHL] = 2,
                                    [IR_RCR - IR_SHL] = 3 };
    return code[op - IR_SHL];
}

/* The next op that does anything reads the flags: they are still in EFLAGS then. */
static bool read_next(const Jit *j)
{
    for (unsigned k = j->k + 1; k < j->ir->count; k++) {
        IrOp op = j->ir->insn[k].op;
        if (op == IR_INSN)
            continue;
        return op == IR_GOTOCC || op == IR_BRCC || op == IR_SETCC || op == IR_CMOV;
    }
    return false;
}

/*
 * Without touching EFLAGS, when they hold what is needed later; rotates always, since RORX also has a register of its
 * own for the result.
 */
static bool shift_beside_flags(Jit *j, unsigned n)
{
    const IrInsn *i = j->i;
    bool rotate = i->op == IR_ROR || i->op == IR_ROL;
    if (!jit_host.bmi2 || i->size < 4 || ir_has_memory(i) || i->flags & IR_SETF ||
        (!rotate && !(j->native && j->keep[j->k])))
        return false;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a);
    if (a.kind == L_HIGH || (rotate && d.kind != L_REG))
        return false;
    unsigned t = d.kind == L_REG ? d.reg : scratch(j), count = NO_REG;
    if (i->op == IR_SHL && n <= 3 && a.kind == L_REG) {
        write_begin(j, i->d);
        lea(&j->a, i->size, t, (Loc){ .kind = L_MEM, .reg = NO_REG, .index = a.reg, .scale = (uint8_t)n });
    } else if (rotate) {
        write_begin(j, i->d);
        op_vex(&j->a, 3, 3, 0xf0, i->size, t, 0, a);
        e8(&j->a, i->op == IR_ROR ? n : 8 * i->size - n);
    } else {
        static const uint8_t pp[] = { [IR_SHL - IR_SHL] = 1, [IR_SHR - IR_SHL] = 3, [IR_SAR - IR_SHL] = 2 };
        count = scratch(j);
        mov_ri(&j->a, count, n);
        write_begin(j, i->d);
        op_vex(&j->a, pp[i->op - IR_SHL], 2, 0xf7, i->size, t, count, a);
    }
    if (d.kind != L_REG)
        store_result(j, i->size, i->d, t);
    return true;
}

static void shift_by_constant(Jit *j, unsigned n)
{
    const IrInsn *i = j->i;
    if (n < 8u * i->size && shift_beside_flags(j, n))
        return;
    bool rotate = i->op == IR_ROL || i->op == IR_ROR, set = needs_flags(j);
    unsigned size = i->size, code = shift_code(i->op);
    if (ir_has_memory(i))
        mem_access(j, size, i->d == IR_MEM);
    Loc d = loc_of(j, i->d);
    bool in_place = i->d == i->a && d.kind != L_HIGH && !(d.kind == L_MEM && i->d != IR_MEM && size == 4),
         direct = true;
    FlagValue before = { .kind = VAL_NONE };
    bool keep_source = set && !rotate && tcg.opt.opt_flags && !read_next(j) && d.kind == L_REG && !ir_is_temp(i->d) &&
                       size >= 4 && i->d == i->a;
    if (!rotate) {
        j->need = j->keep[j->k];
        flags_clobber(j);
    } else {
        j->need = j->keep[j->k];
        if (set)
            j->need &= ~group_needs(GROUP_C);
        flags_clobber(j);
    }
    if (keep_source)
        before = save_value(j, d.reg);
    unsigned t = 0;
    if (in_place) {
        write_begin(j, i->d);
        shift_i(&j->a, code, size, d, n);
    } else {
        t = result_register(j, &direct);
        shift_i(&j->a, code, size, loc_reg(t), n);
        if (!direct)
            store_result(j, size, i->d, t);
    }
    if (!set) {
        flags_not_set(j);
    } else if (rotate) { /* n > 1: O is undefined, the rest stays */
        flags_set_native(j, GROUP_C);
        j->native = GROUP_C;
    } else if (before.kind != VAL_NONE) {
        static const uint8_t flag_op[] = { [4] = FLAGS_SHL, [5] = FLAGS_SHR, [7] = FLAGS_SAR };
        flags_set(j, flag_op[code], size, flag_value(loc_of(j, i->d)), before, n);
    } else {
        flags_set_native(j, GROUP_ALL);
    }
}

static bool shiftx(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.bmi2 || i->size < 4 || (i->op != IR_SHL && i->op != IR_SHR && i->op != IR_SAR) || needs_flags(j) ||
        i->d == IR_MEM || i->b == IR_MEM || loc_of(j, i->b).kind == L_HIGH || loc_of(j, i->a).kind == L_HIGH)
        return false;
    static const uint8_t pp[] = { [IR_SHL - IR_SHL] = 1, [IR_SHR - IR_SHL] = 3, [IR_SAR - IR_SHL] = 2 };
    if (i->a == IR_MEM)
        mem_access(j, i->size, false);
    Loc n = loc_of(j, i->b);
    if (n.kind != L_REG) {
        unsigned t = scratch(j);
        load_to(j, 4, t, n);
        n = loc_reg(t);
    }
    Loc a = loc_of(j, i->a), d = loc_of(j, i->d);
    if (a.kind == L_IMM) {
        unsigned t = scratch(j);
        load_to(j, i->size, t, a);
        a = loc_reg(t);
    }
    unsigned t = d.kind == L_REG ? d.reg : scratch(j);
    a = i->a == IR_MEM ? j->gm : a;
    write_begin(j, i->d);
    op_vex(&j->a, pp[i->op - IR_SHL], 2, 0xf7, i->size, t, n.reg, a);
    if (d.kind != L_REG)
        store_result(j, i->size, i->d, t);
    if (i->flags & IR_SETF)
        flags_dead(j);
    return true;
}

/* Shift or rotate by a register without flags, wherever the operands are: RCX is borrowed. */
static bool shift_anywhere(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    if (i->flags & IR_SETF || i->size < 4 || ir_has_memory(i) || i->b == IR_IMM || i->op == IR_RCL || i->op == IR_RCR ||
        loc_of(j, i->b).kind == L_HIGH || loc_of(j, i->a).kind == L_HIGH)
        return false;
    j->need = j->keep[j->k];
    flags_clobber(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    load_to(j, i->size, REG_S0, loc_of(j, i->a));
    load_to(j, 4, REG_S1, loc_of(j, i->b));
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RCX)); /* xchg */
    shift_cl(a, shift_code(i->op), i->size, loc_reg(REG_S0));
    mov_rr(a, 8, RCX, REG_S1);
    write_begin(j, i->d);
    store_result(j, i->size, i->d, REG_S0);
    j->native = 0;
    return true;
}

/* Count in CL as the host has it. With flags: a count of 0 leaves v->fl as it was before. */
static void shift_by_cl(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d);
    unsigned size = i->size;
    bool set = needs_flags(j);
    bool usable = loc_is(loc_of(j, i->b), RCX) && i->d == i->a && d.kind == L_REG && !(set && i->op == IR_ROL) &&
                  !(set && i->op == IR_ROR);
    if (!usable) {
        emit_step(j);
        return;
    }
    j->need = j->before[j->k];
    if (set)
        flags_flush(j);
    j->need = j->keep[j->k];
    flags_clobber(j);
    if (set && d.reg == RCX) { /* the count is gone afterwards: look at it now */
        flags_will_write(j, REG_S0);
        coalesce_forget(j);
        mov_rr(&j->a, 4, REG_S0, RCX);
        alu_ri(&j->a, ALU_AND, 4, loc_reg(REG_S0), size == 8 ? 63 : 31);
    }
    write_begin(j, i->d);
    shift_cl(&j->a, shift_code(i->op), size, d);
    if (!set) {
        flags_not_set(j);
        return;
    }
    pushfq_(&j->a);
    if (d.reg == RCX) {
        test_rr(&j->a, 4, loc_reg(REG_S0), REG_S0);
        e8(&j->a, 0x41), e8(&j->a, 0x5f); /* pop r15 */
    } else {
        flags_will_write(j, REG_S0);
        coalesce_forget(j);
        e8(&j->a, 0x41), e8(&j->a, 0x5f);
        test_ri(&j->a, 1, loc_reg(RCX), size == 8 ? 63 : 31);
    }
    e8(&j->a, 0x74);
    uint8_t *skip = j->a.p++;
    store_r(&j->a, 8, vcpu_loc(VOFF(fl.dst)), REG_S0);
    store_i(&j->a, 8, vcpu_loc(VOFF(fl.op)), LAZY_OP(FLAGS_EXPLICIT, 4));
    *skip = (uint8_t)(j->a.p - (skip + 1));
    flags_unknown(j);
}

static void double_shift_anywhere(Jit *j, unsigned n)
{
    const IrInsn *i = j->i;
    j->need = j->keep[j->k] & (needs_flags(j) ? 0 : NEED_ALL);
    flags_clobber(j);
    unsigned t = scratch(j);
    Loc b = loc_of(j, i->b);
    if (b.kind != L_REG) {
        unsigned s = scratch(j);
        load_to(j, i->size, s, b);
        b = loc_reg(s);
    }
    load_to(j, i->size, t, loc_of(j, i->a));
    op_rm(&j->a, (i->op == IR_SHLD ? 0xa4 : 0xac) | OP_0F, i->size, b.reg, loc_reg(t));
    e8(&j->a, n);
    write_begin(j, i->d);
    store_result(j, i->size, i->d, t);
    flags_from_result(j, GROUP_ALL);
}

static void emit_double_shift(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), b = loc_of(j, i->b);
    unsigned n = i->imm & (i->size == 8 ? 63 : 31);
    if (i->c != IR_IMM || !n || ir_has_memory(i) || i->size < 4 || b.kind == L_HIGH || b.kind == L_IMM) {
        emit_step(j);
        return;
    }
    if (i->d != i->a || d.kind != L_REG || b.kind != L_REG) {
        double_shift_anywhere(j, n);
        return;
    }
    j->need = j->keep[j->k] & (needs_flags(j) ? 0 : NEED_ALL);
    flags_clobber(j);
    write_begin(j, i->d);
    op_rm(&j->a, (i->op == IR_SHLD ? 0xa4 : 0xac) | OP_0F, i->size, b.reg, d);
    e8(&j->a, n);
    if (needs_flags(j))
        flags_set_native(j, GROUP_ALL);
    else
        j->native = 0;
}

void emit_shift(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned n = i->imm & (i->size == 8 ? 63 : 31), bits = 8 * i->size;
    bool rotate = i->op == IR_ROL || i->op == IR_ROR;
    if (i->op == IR_SHLD || i->op == IR_SHRD)
        emit_double_shift(j);
    else if (i->op == IR_RCL || i->op == IR_RCR)
        emit_step(j);
    else if (i->b == IR_IMM && n && i->a != IR_IMM && !(rotate && needs_flags(j) && (n == 1 || n % bits == 0)))
        shift_by_constant(j, n);
    else if (!shiftx(j) && !shift_anywhere(j))
        shift_by_cl(j);
}
