/* SPDX-License-Identifier: MIT */
/* Shifts, multiplication, division, bit operations, flag moves, exchanges. What has no direct form here goes to the interpreter. */
#include "accel/tcg/host-x86/jit.h"

static bool is_temp(IrRef r) { return ir_kind(r) == IR_KIND_T; }
static bool has_memory(const IrInsn *i) { return i->d == IR_MEM || i->a == IR_MEM || i->b == IR_MEM || i->c == IR_MEM; }

static void not_set(Jit *j)
{
    j->native = 0;
    if (j->i->flags & IR_SETF)
        flags_dead(j);
}
/* EFLAGS hold the guest's flags of this op, or nobody wants them. */
static void native_result(Jit *j, unsigned groups)
{
    if (!needs_flags(j)) {
        not_set(j);
        return;
    }
    flags_set_native(j, groups);
    if (j->i->flags & IR_NOTC)
        flags_invert_carry(j);
}
/* The register that the op works in: d itself after a is in it, or a scratch register that store_result() puts away. */
static unsigned work_register(Jit *j, bool *direct)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d);
    *direct = d.kind == L_REG && (i->size >= 4 || is_temp(i->d) || i->d == i->a) && i->b != i->d && i->c != i->d;
    unsigned t = *direct ? d.reg : scratch(j);
    if (*direct)
        write_begin(j, i->d);
    if (!(*direct && i->d == i->a))
        load_to(j, i->size, t, loc_of(j, i->a));
    if (!*direct)
        write_begin(j, i->d);
    return t;
}

/* --- shifts --- */
static unsigned shift_code(IrOp op)
{
    static const uint8_t code[] = { [IR_SHL - IR_SHL] = 4, [IR_SHR - IR_SHL] = 5, [IR_SAR - IR_SHL] = 7, [IR_ROL - IR_SHL] = 0,
                                    [IR_ROR - IR_SHL] = 1, [IR_RCL - IR_SHL] = 2, [IR_RCR - IR_SHL] = 3 };
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

/* Without touching EFLAGS, when they hold what is needed later; rotates always, since RORX also has a register of its own for the result. */
static bool shift_beside_flags(Jit *j, unsigned n)
{
    const IrInsn *i = j->i;
    bool rotate = i->op == IR_ROR || i->op == IR_ROL;
    if (!jit_host.bmi2 || i->size < 4 || has_memory(i) || i->flags & IR_SETF || (!rotate && !(j->native && j->keep[j->k])))
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
    if (has_memory(i))
        mem_access(j, size, i->d == IR_MEM);
    Loc d = loc_of(j, i->d);
    bool in_place = i->d == i->a && d.kind != L_HIGH && !(d.kind == L_MEM && i->d != IR_MEM && size == 4), direct = true;
    FlagValue before = { .kind = VAL_NONE };
    bool keep_source = set && !rotate && tcg.opt.opt_flags && !read_next(j) && d.kind == L_REG && !is_temp(i->d) && size >= 4 &&
                       i->d == i->a;
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
        t = work_register(j, &direct);
        shift_i(&j->a, code, size, loc_reg(t), n);
        if (!direct)
            store_result(j, size, i->d, t);
    }
    if (!set) {
        not_set(j);
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
    if (!jit_host.bmi2 || i->size < 4 || (i->op != IR_SHL && i->op != IR_SHR && i->op != IR_SAR) || needs_flags(j) || i->d == IR_MEM ||
        i->b == IR_MEM || loc_of(j, i->b).kind == L_HIGH || loc_of(j, i->a).kind == L_HIGH)
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
    if (i->flags & IR_SETF || i->size < 4 || has_memory(i) || i->b == IR_IMM || i->op == IR_RCL || i->op == IR_RCR ||
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
        not_set(j);
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
    native_result(j, GROUP_ALL);
}

static void emit_double_shift(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), b = loc_of(j, i->b);
    unsigned n = i->imm & (i->size == 8 ? 63 : 31);
    if (i->c != IR_IMM || !n || has_memory(i) || i->size < 4 || b.kind == L_HIGH || b.kind == L_IMM) {
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

/* --- multiplication --- */
static void emit_imul(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size;
    if (size == 1 || i->d == IR_MEM || i->a == IR_IMM) {
        emit_step(j);
        return;
    }
    if (has_memory(i))
        mem_access(j, size, false);
    j->need = j->keep[j->k];
    flags_clobber(j);
    Loc d = loc_of(j, i->d);
    bool whole = d.kind == L_REG && (size >= 4 || is_temp(i->d));
    if (i->b == IR_IMM && fits32((uint64_t)bits_sget(i->imm & bits_mask(8 * size), 0, 8 * size))) {
        unsigned t = whole ? d.reg : scratch(j);
        Loc a = loc_of(j, i->a);
        write_begin(j, i->d);
        int64_t n = bits_sget(i->imm & bits_mask(8 * size), 0, 8 * size);
        op_rm(&j->a, n == (int8_t)n ? 0x6b : 0x69, size, t, a);
        if (n == (int8_t)n)
            e8(&j->a, (unsigned)n);
        else
            emit_imm(&j->a, size, (uint64_t)n);
        if (!whole)
            store_result(j, size, i->d, t);
        native_result(j, GROUP_ALL);
        return;
    }
    Loc b = loc_of(j, i->b);
    if (b.kind == L_IMM) {
        unsigned s = scratch(j);
        mov_ri(&j->a, s, b.imm);
        b = loc_reg(s);
    }
    bool direct;
    unsigned t = work_register(j, &direct);
    if (i->b == IR_MEM)
        b = j->gm;
    op_rm(&j->a, 0xaf | OP_0F, size, t, b);
    if (!direct)
        store_result(j, size, i->d, t);
    native_result(j, GROUP_ALL);
}

static bool mulx(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.bmi2 || i->size < 4 || i->op != IR_MULU2 || i->flags & IR_SETF || !loc_is(loc_of(j, i->a), RDX))
        return false;
    Loc low = loc_of(j, i->d), high = loc_of(j, i->c), b = loc_of(j, i->b);
    if (low.kind != L_REG || high.kind != L_REG || b.kind != L_REG || i->d == i->c)
        return false;
    write_begin(j, i->d);
    write_begin(j, i->c);
    op_vex(&j->a, 3, 2, 0xf6, i->size, high.reg, low.reg, b);
    return true;
}

/*
 * The high half, or both, with operands and results anywhere: RAX and RDX are borrowed. EFLAGS have been given up. The low half is
 * in REG_S1 then, the high one in REG_S0.
 */
static void multiply_anywhere(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    Loc saved = vcpu_loc(VOFF(slow[3]));
    load_to(j, i->size, REG_S1, loc_of(j, i->a));
    load_to(j, i->size, REG_S0, loc_of(j, i->b));
    store_r(a, 8, saved, RDX);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
    op_rm(a, 0xf7, i->size, i->op == IR_MULU2 ? 4 : 5, loc_reg(REG_S0));
    mov_rr(a, i->size, REG_S0, RDX);
    load_zx(a, 8, RDX, saved);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
}

static bool mul2_anywhere(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->size < 4 || has_memory(i) || i->flags & IR_SETF || ir_kind(i->d) == IR_KIND_GH)
        return false;
    flags_clobber(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    multiply_anywhere(j);
    write_begin(j, i->d);
    store_result(j, i->size, i->d, REG_S1);
    write_begin(j, i->c);
    store_result(j, i->size, i->c, REG_S0);
    return true;
}

static void emit_mul2(Jit *j)
{
    const IrInsn *i = j->i;
    bool byte = i->size == 1;
    bool fixed = loc_is(loc_of(j, i->d), RAX) && loc_is(loc_of(j, i->a), RAX) && (byte || loc_is(loc_of(j, i->c), RDX));
    Loc b = loc_of(j, i->b);
    if (i->b != IR_MEM && (!fixed || b.kind == L_IMM || b.kind == L_HIGH)) {
        if (!mulx(j) && !mul2_anywhere(j))
            emit_step(j);
        return;
    }
    if (!fixed) {
        emit_step(j);
        return;
    }
    if (i->b == IR_MEM)
        mem_access(j, i->size, false);
    b = loc_of(j, i->b);
    j->need = j->keep[j->k];
    flags_clobber(j);
    write_begin(j, i->d);
    if (!byte)
        write_begin(j, i->c);
    op_rm(&j->a, byte ? 0xf6 | OP_RM8 : 0xf7, i->size, i->op == IR_MULU2 ? 4 : 5, b);
    native_result(j, GROUP_ALL);
}

void emit_mul(Jit *j)
{
    if (j->i->op == IR_MUL)
        emit_imul(j);
    else
        emit_mul2(j);
}

/* UDIV, SDIV: RAX and RDX are borrowed. REG_S1 is the quotient. */
static void emit_plain_div(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    unsigned size = i->size;
    bool is_signed = i->op == IR_SDIV;
    Loc saved = vcpu_loc(VOFF(slow[3]));
    j->need = j->keep[j->k];
    flags_clobber(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    load_to(j, size, REG_S1, loc_of(j, i->a));
    load_to(j, size, REG_S0, loc_of(j, i->b));
    uint8_t *done[2] = { NULL, NULL };
    if (is_signed) { /* 0 and -1 apart: q = -a for the latter */
        op_rm(a, 0xf7, size, 3, loc_reg(REG_S1));
        alu_ri(a, ALU_CMP, size, loc_reg(REG_S0), ~UINT64_C(0));
        e8(a, 0x74);
        done[0] = a->p++;
        op_rm(a, 0xf7, size, 3, loc_reg(REG_S1));
    }
    test_rr(a, size, loc_reg(REG_S0), REG_S0);
    e8(a, 0x75); /* jnz over: q = 0 */
    uint8_t *divide = a->p++;
    alu_rm(a, ALU_XOR, 4, REG_S1, loc_reg(REG_S1));
    e8(a, 0xeb);
    done[1] = a->p++;
    *divide = (uint8_t)(a->p - (divide + 1));
    store_r(a, 8, saved, RDX);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX)); /* xchg */
    if (is_signed) {
        if (size == 8)
            e8(a, 0x48);
        e8(a, 0x99); /* cdq, cqo */
    } else {
        alu_rm(a, ALU_XOR, 4, RDX, loc_reg(RDX));
    }
    op_rm(a, 0xf7, size, is_signed ? 7 : 6, loc_reg(REG_S0));
    load_zx(a, 8, RDX, saved);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
    for (unsigned n = 0; n < 2; n++)
        if (done[n])
            *done[n] = (uint8_t)(a->p - (done[n] + 1));
    write_begin(j, i->d);
    store_result(j, size, i->d, REG_S1);
    j->native = 0;
}

/* --- division: in line when the quotient surely fits, else by the interpreter (which also raises the error) --- */
void emit_div(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size;
    if (i->op == IR_UDIV || i->op == IR_SDIV) {
        emit_plain_div(j);
        return;
    }
    bool fixed = loc_is(loc_of(j, i->d), RAX) && loc_is(loc_of(j, i->a), RAX) && loc_is(loc_of(j, i->c), RDX);
    if (!fixed || size < 4 || i->b == IR_IMM) {
        emit_step(j);
        return;
    }
    if (i->b == IR_MEM)
        mem_access(j, size, false);
    flags_clobber(j);
    if (i->b == IR_MEM) { /* the cold way reads it again through the interpreter */
        load_zx(&j->a, size, REG_S0, j->gm);
        mem_done(j);
    } else {
        flags_will_write(j, REG_S0);
        load_to(j, size, REG_S0, loc_of(j, i->b));
    }
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    flags_will_write(j, RAX); /* before the ways part, and while what the site shows still counts as needed */
    flags_will_write(j, RDX);
    CallSite *site = new_site(j);
    write_begin(j, i->d);
    write_begin(j, i->c);
    uint8_t *from[2] = { NULL, NULL };
    if (i->op == IR_DIVU) {
        alu_rm(&j->a, ALU_CMP, size, RDX, loc_reg(REG_S0));
        from[0] = jcc32(&j->a, IRC_NC);
    } else {
        lea(&j->a, size, REG_S1, loc_mem(REG_S0, 1));
        alu_ri(&j->a, ALU_CMP, size, loc_reg(REG_S1), 1);
        from[0] = jcc32(&j->a, IRC_CZ); /* divisor 0 or -1 */
        mov_rr(&j->a, size, REG_S1, RAX);
        shift_i(&j->a, 7, size, loc_reg(REG_S1), size * 8 - 1);
        alu_rm(&j->a, ALU_CMP, size, REG_S1, loc_reg(RDX));
        from[1] = jcc32(&j->a, IRC_NZ); /* a dividend of more than one word */
    }
    op_rm(&j->a, 0xf7, size, i->op == IR_DIVU ? 6 : 7, loc_reg(REG_S0));
    for (unsigned n = 0; n < 2; n++)
        if (from[n])
            add_cold(j, (Cold){ .kind = COLD_STEP, .from = from[n], .insn = i, .site = site, .back = j->a.p });
    j->native = 0;
}

/* --- bits --- */
static void emit_bit_test(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size, code = i->op - IR_BT; /* BT BTS BTR BTC */
    bool stores = i->op != IR_BT;
    IrRef at = i->a;
    if (size == 1 || (stores && i->d != i->a) || at == IR_IMM) {
        emit_step(j);
        return;
    }
    if (i->a == IR_MEM)
        mem_access(j, size, stores);
    j->need = j->keep[j->k];
    bool set = needs_flags(j);
    if (!set && i->flags & IR_SETF)
        j->c.op = FD_DEAD;
    flags_clobber(j);
    Loc a = loc_of(j, at), b = loc_of(j, i->b);
    bool through = a.kind == L_MEM && (i->a != IR_MEM) && (i->b != IR_IMM || (stores && size == 4));
    unsigned t = 0;
    if (through || a.kind == L_HIGH) {
        t = scratch(j);
        load_to(j, size, t, a);
        a = loc_reg(t);
    }
    if (b.kind == L_MEM || b.kind == L_HIGH || (i->a == IR_MEM && b.kind == L_REG)) { /* an offset beyond the operand would reach other memory */
        unsigned s = scratch(j);
        load_to(j, size, s, b);
        if (i->a == IR_MEM)
            alu_ri(&j->a, ALU_AND, 4, loc_reg(s), size * 8 - 1);
        b = loc_reg(s);
    }
    if (i->a == IR_MEM)
        a = j->gm;
    if (stores)
        write_begin(j, i->d);
    if (stores && i->a == IR_MEM && i->flags & IR_LOCK)
        e8(&j->a, 0xf0);
    if (b.kind == L_IMM) {
        op_rm(&j->a, 0xba | OP_0F, size, 4 + code, a);
        e8(&j->a, b.imm & (size * 8 - 1));
    } else {
        op_rm(&j->a, (0xa3 + 8 * code) | OP_0F, size, b.reg, a);
    }
    if (stores && through)
        store_result(j, size, i->d, t);
    j->native = 0;
    if (set)
        flags_set_native(j, GROUP_C);
    if (set && i->flags & IR_NOTC)
        flags_invert_carry(j);
}

static bool bmi_op(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->size < 4 || has_memory(i))
        return false;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a), b = loc_of(j, i->b);
    if (d.kind != L_REG || a.kind != L_REG || (i->b != IR_NONE && b.kind != L_REG))
        return false;
    bool bmi1 = i->op == IR_BLSI || i->op == IR_BLSR || i->op == IR_BLSMSK || i->op == IR_BEXTR;
    if (bmi1 ? !jit_host.bmi1 : !jit_host.bmi2)
        return false;
    j->need = j->keep[j->k];
    if (i->op != IR_PDEP && i->op != IR_PEXT)
        flags_clobber(j);
    write_begin(j, i->d);
    switch ((IrOp)i->op) {
    case IR_BLSR: op_vex(&j->a, 0, 2, 0xf3, i->size, 1, d.reg, a); break;
    case IR_BLSMSK: op_vex(&j->a, 0, 2, 0xf3, i->size, 2, d.reg, a); break;
    case IR_BLSI: op_vex(&j->a, 0, 2, 0xf3, i->size, 3, d.reg, a); break;
    case IR_BEXTR: op_vex(&j->a, 0, 2, 0xf7, i->size, d.reg, b.reg, a); break;
    case IR_BZHI: op_vex(&j->a, 0, 2, 0xf5, i->size, d.reg, b.reg, a); break;
    case IR_PDEP: op_vex(&j->a, 3, 2, 0xf5, i->size, d.reg, a.reg, b); return true;
    default: op_vex(&j->a, 2, 2, 0xf5, i->size, d.reg, a.reg, b); return true;
    }
    native_result(j, GROUP_ALL);
    return true;
}

/* ~a & b with operands anywhere. */
static bool and_not(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a), b = loc_of(j, i->b);
    if (i->size < 4 || has_memory(i) || a.kind == L_HIGH || b.kind == L_HIGH || d.kind == L_HIGH)
        return false;
    j->need = j->keep[j->k];
    flags_clobber(j);
    bool direct = d.kind == L_REG && !loc_same(d, b);
    unsigned t = direct ? d.reg : scratch(j);
    if (b.kind == L_IMM) {
        b.imm = (uint64_t)bits_sget(b.imm & bits_mask(8 * i->size), 0, 8 * i->size);
        if (!fits32(b.imm)) {
            unsigned s = scratch(j);
            mov_ri(&j->a, s, b.imm);
            b = loc_reg(s);
        }
    }
    write_begin(j, i->d);
    bool vex = jit_host.bmi1 && a.kind == L_REG && b.kind != L_IMM;
    if (vex) {
        op_vex(&j->a, 0, 2, 0xf2, i->size, t, a.reg, b);
    } else {
        load_to(j, i->size, t, a);
        op_rm(&j->a, 0xf7, i->size, 2, loc_reg(t)); /* not */
        if (b.kind == L_IMM)
            alu_ri(&j->a, ALU_AND, i->size, loc_reg(t), b.imm);
        else
            alu_rm(&j->a, ALU_AND, i->size, t, b);
    }
    if (!direct)
        store_result(j, i->size, i->d, t);
    if (!needs_flags(j)) {
        not_set(j);
        return true;
    }
    flags_set(j, FLAGS_LOGIC, i->size, flag_value(loc_of(j, i->d)), (FlagValue){ 0 }, 0);
    if (i->flags & IR_NOTC)
        flags_invert_carry(j);
    return true;
}

/* BSF BSR TZCNT LZCNT POPCNT */
static void emit_scan(Jit *j)
{
    const IrInsn *i = j->i;
    static const struct { unsigned op; } code[] = {
        [IR_BSF - IR_BSF] = { 0xbc | OP_0F }, [IR_BSR - IR_BSF] = { 0xbd | OP_0F }, [IR_TZCNT - IR_BSF] = { 0xbc | OP_0F | OP_F3 },
        [IR_LZCNT - IR_BSF] = { 0xbd | OP_0F | OP_F3 }, [IR_POPCNT - IR_BSF] = { 0xb8 | OP_0F | OP_F3 } };
    bool can = (i->op != IR_TZCNT || jit_host.bmi1) && (i->op != IR_LZCNT || jit_host.lzcnt) && (i->op != IR_POPCNT || jit_host.popcnt);
    if (!can || i->size == 1 || i->a == IR_IMM || i->d == IR_MEM) {
        emit_step(j);
        return;
    }
    if (i->a == IR_MEM)
        mem_access(j, i->size, false);
    j->need = j->keep[j->k];
    flags_clobber(j);
    Loc d = loc_of(j, i->d);
    unsigned t = d.kind == L_REG ? d.reg : scratch(j);
    if (d.kind != L_REG) /* BSF and BSR may leave it */
        load_zx(&j->a, 8, t, d);
    Loc a = loc_of(j, i->a);
    write_begin(j, i->d);
    op_rm(&j->a, code[i->op - IR_BSF].op, i->size, t, a);
    if (d.kind != L_REG)
        store_r(&j->a, i->size == 2 ? 2 : 8, d, t);
    native_result(j, GROUP_ALL);
}

static void emit_crc(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.sse42 || i->d == IR_MEM || i->a == IR_MEM || i->a == IR_IMM || i->b == IR_IMM || loc_of(j, i->b).kind == L_HIGH) {
        emit_step(j);
        return;
    }
    if (i->b == IR_MEM)
        mem_access(j, i->size, false);
    Loc d = loc_of(j, i->d);
    bool direct = d.kind == L_REG && i->d != i->b;
    unsigned t = direct ? d.reg : scratch(j);
    Loc b = loc_of(j, i->b);
    write_begin(j, i->d);
    load_to(j, 4, t, loc_of(j, i->a));
    if (i->size == 2)
        e8(&j->a, 0x66);
    op_rm(&j->a, (i->size == 1 ? 0xf0 | OP_RM8 : 0xf1) | OP_0F38 | OP_F2 | OP_NO16, i->size == 8 ? 8 : 4, t, b);
    if (!direct)
        store_result(j, 4, i->d, t);
}

/* Bytes in reverse, then nibbles, pairs and bits within each byte. */
static void emit_reverse(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    Loc from = loc_of(j, i->a);
    if (i->size < 4 || from.kind == L_HIGH) {
        emit_step(j);
        return;
    }
    flags_clobber(j);
    unsigned t = scratch(j), s = scratch(j);
    load_to(j, i->size, t, from);
    swap_bytes(j, i->size, t);
    static const struct { uint64_t mask; unsigned by; } step[] = { { UINT64_C(0x0f0f0f0f0f0f0f0f), 4 }, { UINT64_C(0x3333333333333333), 2 },
                                                                   { UINT64_C(0x5555555555555555), 1 } };
    for (unsigned n = 0; n < ARRAY_LEN(step); n++) {
        mov_ri(a, s, step[n].mask & bits_mask(8 * i->size));
        store_r(a, 8, vcpu_loc(VOFF(slow[3])), s);
        alu_rm(a, ALU_AND, i->size, s, loc_reg(t));
        shift_i(a, 5, i->size, loc_reg(t), step[n].by);
        alu_rm(a, ALU_AND, i->size, t, vcpu_loc(VOFF(slow[3])));
        shift_i(a, 4, i->size, loc_reg(s), step[n].by);
        alu_rm(a, ALU_OR, i->size, t, loc_reg(s));
    }
    write_begin(j, i->d);
    store_result(j, i->size, i->d, t);
    j->native = 0;
}

void emit_bits(Jit *j)
{
    switch ((IrOp)j->i->op) {
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: emit_bit_test(j); break;
    case IR_BSF: case IR_BSR: case IR_TZCNT: case IR_LZCNT: case IR_POPCNT: emit_scan(j); break;
    case IR_CRC32C: emit_crc(j); break;
    case IR_RBIT: emit_reverse(j); break;
    default:
        if (j->i->op == IR_ANDN ? !and_not(j) : !bmi_op(j))
            emit_step(j);
        break;
    }
}

/* --- flags as values --- */
/*
 * EFLAGS = S Z C O of `bits`, by an operation on constants; what none gives (Z with S, Z with O but not C) by way of the stack.
 * t is a free register.
 */
static void explicit_to_eflags(Jit *j, unsigned t, uint32_t bits)
{
    static const struct { uint32_t bits, a, b, alu; } how[] = {
        { 0, 1, 0, ALU_CMP }, { FLAG_Z, 0, 0, ALU_CMP }, { FLAG_S, UINT32_MAX, 0, ALU_CMP }, { FLAG_C, 1, UINT32_MAX, ALU_CMP },
        { FLAG_S | FLAG_C, 0, 1, ALU_CMP }, { FLAG_O, 1u << 31, 1, ALU_CMP }, { FLAG_S | FLAG_C | FLAG_O, INT32_MAX, UINT32_MAX, ALU_CMP },
        { FLAG_S | FLAG_O, INT32_MAX, 1, ALU_ADD }, { FLAG_C | FLAG_O, 1u << 31, UINT32_MAX, ALU_ADD },
        { FLAG_Z | FLAG_C, 1, UINT32_MAX, ALU_ADD }, { FLAG_Z | FLAG_C | FLAG_O, 1u << 31, 1u << 31, ALU_ADD },
    };
    bits &= FLAG_S | FLAG_Z | FLAG_C | FLAG_O;
    for (unsigned n = 0; n < ARRAY_LEN(how); n++) {
        if (how[n].bits == bits) {
            mov_ri(&j->a, t, how[n].a);
            alu_ri(&j->a, how[n].alu, 4, loc_reg(t), (uint64_t)(int64_t)(int32_t)how[n].b);
            return;
        }
    }
    e8(&j->a, 0x68); /* push imm32; popfq */
    e32(&j->a, bits | 0x202);
    e8(&j->a, 0x9d);
}

/* Both ways leave their flags in EFLAGS. */
static void emit_conditional_compare(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    bool add = i->op == IR_CCMN;
    if (!j->after[j->k]) {
        flags_dead(j);
        return;
    }
    unsigned cc = flags_condition(j, i->cond);
    j->need = j->keep[j->k];
    unsigned t = scratch(j);
    Loc x = loc_of(j, i->a), y = loc_of(j, i->b);
    uint64_t imm = (uint64_t)bits_sget(i->imm & bits_mask(8 * i->size), 0, 8 * i->size);
    if (y.kind == L_IMM && !fits32(imm)) {
        unsigned s = scratch(j);
        mov_ri(a, s, imm);
        y = loc_reg(s);
    }
    e8(a, 0x70 | (cc ^ 1));
    uint8_t *other = a->p++;
    if (add || x.kind != L_REG) {
        load_to(j, i->size, t, x);
        x = loc_reg(t);
    }
    if (y.kind == L_IMM)
        alu_ri(a, add ? ALU_ADD : ALU_CMP, i->size, x, imm);
    else
        alu_rm(a, add ? ALU_ADD : ALU_CMP, i->size, x.reg, y);
    e8(a, 0xeb);
    uint8_t *end = a->p++;
    *other = (uint8_t)(a->p - (other + 1));
    explicit_to_eflags(j, t, (uint32_t)i->imm2 ^ (add ? FLAG_C : 0));
    *end = (uint8_t)(a->p - (end + 1));
    j->native = 0;
    flags_set_native(j, GROUP_ALL);
    if (add)
        flags_invert_carry(j);
}

static void emit_set_nz(Jit *j)
{
    const IrInsn *i = j->i;
    Loc a = loc_of(j, i->a);
    j->need = j->keep[j->k];
    if (!(need_groups(j->after[j->k]) & GROUP_R)) {
        j->r.op = FD_DEAD;
        j->native &= ~(unsigned)GROUP_R;
        return;
    }
    flags_clobber(j);
    if (a.kind == L_IMM || a.kind == L_HIGH) {
        unsigned t = scratch(j);
        load_to(j, i->size, t, a);
        a = loc_reg(t);
    }
    if (a.kind == L_REG)
        test_rr(&j->a, i->size, a, a.reg);
    else
        alu_ri(&j->a, ALU_CMP, i->size, a, 0);
    flags_set_nz(j, i->size, flag_value(a));
}

static void emit_fence(Jit *j)
{
    if (!(j->i->imm & 1))
        return; /* the host orders all but earlier stores and later loads */
    j->need = j->keep[j->k];
    flags_clobber(j);
    e8(&j->a, 0xf0);
    alu_ri(&j->a, ALU_OR, 4, loc_mem(RSP, 0), 0);
}

void emit_condition(Jit *j)
{
    if (j->i->op == IR_FENCE)
        emit_fence(j);
    else if (j->i->op == IR_SETNZ)
        emit_set_nz(j);
    else
        emit_conditional_compare(j);
}

void emit_flag_op(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->op == IR_CMC) {
        flags_carry(j);
        j->need = j->keep[j->k];
        e8(&j->a, 0xf5);
        unsigned keep = j->native & GROUP_RO;
        flags_set_native(j, GROUP_C);
        j->native = GROUP_C | keep;
        return;
    }
    uint32_t mask = (uint32_t)i->imm & FLAG_ALL;
    if (i->op == IR_GETF || (mask != FLAG_ALL && mask != FLAG_C) || i->a == IR_MEM || i->a == IR_IMM || loc_of(j, i->a).kind == L_HIGH) {
        emit_step(j);
        return;
    }
    j->need = j->keep[j->k];
    if (mask == FLAG_C && j->r.op == FD_NATIVE && j->c.op == FD_NATIVE)
        flags_clobber(j);
    FlagDesc r = j->r, o = j->o;
    unsigned native = j->native & GROUP_RO;
    flags_set(j, FLAGS_EXPLICIT, 4, save_value_ref(j, i->a), (FlagValue){ .kind = VAL_NONE }, 0);
    j->native = 0;
    if (mask == FLAG_C) {
        j->r = r, j->o = o;
        j->native = native;
    }
}

/* --- exchanges --- */
static void lock_prefix(Jit *j)
{
    if (j->i->flags & IR_LOCK && j->i->op != IR_XCHG)
        e8(&j->a, 0xf0);
}
static void exchange_op(Jit *j, unsigned reg)
{
    const IrInsn *i = j->i;
    unsigned byte = i->size == 1 ? OP_BYTES : 1;
    unsigned op = i->op == IR_XCHG ? 0x86 : (i->op == IR_XADD ? 0xc0 : 0xb0) | OP_0F;
    lock_prefix(j);
    op_rm(&j->a, op | byte, i->size, reg, j->gm);
}

/* With operands anywhere: the address is in REG_S0, the value in REG_S1. CMPXCHG borrows RAX, and RBX for a value that was in memory. */
static void exchange_anywhere(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    mem_access(j, i->size, true);
    j->need = j->keep[j->k];
    flags_clobber(j);
    mem_simplify(j);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    if (i->op != IR_CMPXCHG) {
        load_to(j, 8, REG_S1, loc_of(j, i->a));
        exchange_op(j, REG_S1);
    } else {
        Loc value = loc_of(j, i->a), saved = vcpu_loc(VOFF(slow[3]));
        bool borrow = value.kind != L_REG;
        load_to(j, 8, REG_S1, loc_of(j, i->d));
        if (borrow) {
            store_r(a, 8, saved, RBX);
            load_to(j, 8, RBX, value);
            value = loc_reg(RBX);
        } else if (value.reg == RAX) {
            value = loc_reg(REG_S1); /* where RAX is by then */
        }
        op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX)); /* xchg */
        exchange_op(j, value.reg);
        op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
        if (borrow)
            load_zx(a, 8, RBX, saved);
    }
    mem_done(j);
    write_begin(j, i->d);
    store_result(j, i->size, i->d, REG_S1);
}

void emit_exchange(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a);
    bool fixed = i->op == IR_CMPXCHG ? loc_is(d, RAX) && a.kind == L_REG : i->d == i->a && d.kind == L_REG;
    bool plain = i->b == IR_NONE && d.kind != L_HIGH && a.kind != L_HIGH && a.kind != L_IMM && !(i->size == 1 && d.kind == L_REG);
    if (!fixed && plain && !(i->flags & IR_SETF)) {
        exchange_anywhere(j);
        return;
    }
    if (!fixed) {
        emit_step(j);
        return;
    }
    mem_access(j, i->size, true);
    j->need = j->keep[j->k];
    if (i->op != IR_XCHG)
        flags_clobber(j);
    write_begin(j, i->d);
    exchange_op(j, a.reg);
    if (i->op != IR_XCHG)
        native_result(j, GROUP_ALL);
}
