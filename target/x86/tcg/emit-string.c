/* SPDX-License-Identifier: MIT */
/* Emitters: string instructions and their repetition, IN and OUT.
 *
 * A repeated instruction is a loop in the block: each turn commits one element (indexes and count), so a fault or an
 * interrupt leaves it restartable at its own pc. Turns end in CHECK after the commit: at least one element is done
 * between two interrupts. REP MOVS and REP STOS with many elements go through a helper that does whole pages.
 */
#include "target/x86/tcg/emit.h"

enum { BULK_SHIFT = 3 }; /* that many bits of count, and more: the helper */

static void advance(X86Trans *x, const X86Insn *i, unsigned reg, IrRef step)
{
    ir_op3(x->t, IR_ADD, i->asize, IR_G(reg), IR_G(reg), step);
}

/* Bytes to the next element: size, or -size with DF. */
static IrRef element_step(X86Trans *x, unsigned size)
{
    IrRef step = ir_temp(x->t);
    ir_lde(x->t, 8, step, offsetof(X86Cpu, df));
    if (size > 1)
        ir_op3i(x->t, IR_SHL, 8, step, step, __builtin_ctz(size));
    return step;
}

static IrMem source(X86Trans *x, const X86Insn *i, unsigned size)
{
    return x86_addr(x, i->seg, IR_G(RSI), IR_NONE, 0, 0, i->asize, size, false);
}
static IrMem dest(X86Trans *x, const X86Insn *i, unsigned size, bool write)
{
    return x86_addr(x, SEG_ES, IR_G(RDI), IR_NONE, 0, 0, i->asize, size, write);
}

/* --- one element --- */
typedef void Body(X86Trans *x, const X86Insn *i);

static unsigned element_size(const X86Insn *i)
{
    return i->o[0].kind == X86K_XSTR || i->o[0].kind == X86K_YSTR ? i->o[0].size : i->o[1].size;
}

static void movs_body(X86Trans *x, const X86Insn *i)
{
    unsigned size = element_size(i);
    IrRef value = ir_temp(x->t), step = element_step(x, size);
    IrMem from = source(x, i, size);
    ir_load(x->t, size, value, &from);
    IrMem to = dest(x, i, size, true);
    ir_store(x->t, size, &to, value);
    advance(x, i, RSI, step);
    advance(x, i, RDI, step);
}

static void stos_body(X86Trans *x, const X86Insn *i)
{
    unsigned size = element_size(i);
    IrRef step = element_step(x, size);
    IrMem to = dest(x, i, size, true);
    ir_store(x->t, size, &to, IR_G(RAX));
    advance(x, i, RDI, step);
}

static void lods_body(X86Trans *x, const X86Insn *i)
{
    unsigned size = element_size(i);
    IrRef step = element_step(x, size);
    IrMem from = source(x, i, size);
    ir_load(x->t, size, IR_G(RAX), &from);
    advance(x, i, RSI, step);
}

static void cmps_body(X86Trans *x, const X86Insn *i)
{
    unsigned size = element_size(i);
    IrRef value = ir_temp(x->t), step = element_step(x, size);
    IrMem from = source(x, i, size);
    ir_load(x->t, size, value, &from);
    IrMem to = dest(x, i, size, false);
    IrInsn *cmp = ir_op3(x->t, IR_CMP, size, IR_NONE, value, IR_MEM);
    cmp->m = to;
    cmp->flags = IR_SETF;
    advance(x, i, RSI, step);
    advance(x, i, RDI, step);
}

static void scas_body(X86Trans *x, const X86Insn *i)
{
    unsigned size = element_size(i);
    IrRef step = element_step(x, size);
    IrMem to = dest(x, i, size, false);
    IrInsn *cmp = ir_op3(x->t, IR_CMP, size, IR_NONE, IR_G(RAX), IR_MEM);
    cmp->m = to;
    cmp->flags = IR_SETF;
    advance(x, i, RDI, step);
}

/* An index register at the address size, zero-extended. */
static IrRef index_value(X86Trans *x, const X86Insn *i, unsigned reg)
{
    IrRef offset = ir_temp(x->t);
    if (i->asize == 8)
        ir_op2(x->t, IR_MOV, 8, offset, IR_G(reg));
    else
        ir_extend(x->t, IR_ZEXT, i->asize, 8, offset, IR_G(reg));
    return offset;
}

/* One iteration in the helper, port in DX; indexes are ours. */
static void ins_body(X86Trans *x, const X86Insn *i)
{
    unsigned size = element_size(i);
    IrRef step = element_step(x, size), offset = index_value(x, i, RDI);
    x86_call(x, x86_help_ins, H_R, IR_NONE, A_REF(offset), A_IMM(size), A_IMM(i->asize));
    advance(x, i, RDI, step);
}

static void outs_body(X86Trans *x, const X86Insn *i)
{
    unsigned size = element_size(i);
    IrRef step = element_step(x, size), offset = index_value(x, i, RSI);
    x86_call(x, x86_help_outs, H_R, IR_NONE, A_REF(offset), A_IMM(size | i->seg << 8), A_NONE);
    advance(x, i, RSI, step);
}

/* --- repetition --- */
enum { END_COUNT, END_COUNT_OR_FLAG }; /* MOVS ... ; CMPS, SCAS: REPE ends when not equal, REPNE when equal */

static void after_turn(X86Trans *x, const X86Insn *i, int kind, unsigned done)
{
    ir_op3i(x->t, IR_SUB, i->asize, IR_G(RCX), IR_G(RCX), 1);
    ir_brz(x->t, IR_BRZ, i->asize, IR_G(RCX), done);
    if (kind == END_COUNT_OR_FLAG) {
        IrInsn *br = ir_emit(x->t, IR_BRCC, 8);
        br->cond = i->rep ? IRC_NZ : IRC_Z, br->imm = done;
    }
}

static void repeat(X86Trans *x, const X86Insn *i, Body *body, int kind, const void *bulk)
{
    TransCtx *t = x->t;
    if (!i->rep && !i->repne) {
        body(x, i);
        return;
    }
    unsigned done = ir_new_label(t), turn = ir_new_label(t);
    if (x->one) { /* one element, then this insn again */
        ir_brz(t, IR_BRZ, i->asize, IR_G(RCX), done);
        body(x, i);
        after_turn(x, i, kind, done);
        x86_side_goto(x, i, i->pc);
        ir_label(t, IR_LABEL, done);
        return;
    }
    bulk = x->mode & (X86_MODE_CHECK(SEG_ES) | X86_MODE_CHECK(i->seg) | X86_MODE_DATA_BP | X86_MODE_ALIGN) ? NULL
                                                                                                           : bulk;
    unsigned many = bulk ? ir_new_label(t) : 0, start = bulk ? ir_new_label(t) : 0;
    if (bulk) {
        IrRef high = ir_temp(t);
        ir_label(t, IR_LABEL, start);
        ir_op3i(t, IR_SHR, i->asize == 2 ? 4 : i->asize, high, IR_G(RCX), BULK_SHIFT);
        if (i->asize == 2)
            ir_op3i(t, IR_AND, 4, high, high, 0xffff >> BULK_SHIFT);
        ir_brz(t, IR_BRNZ, i->asize == 2 ? 4 : i->asize, high, many);
    }
    ir_brz(t, IR_BRZ, i->asize, IR_G(RCX), done);
    ir_label(t, IR_LABEL, turn);
    body(x, i);
    after_turn(x, i, kind, done);
    ir_goto(t, IR_CHECK, i->pc);
    ir_label(t, IR_BR, turn);
    if (bulk) {
        ir_label(t, IR_LABEL, many);
        x86_call(x, bulk, H_R, IR_NONE, A_IMM(element_size(i) | (unsigned)i->asize << 8 | (unsigned)i->seg << 16),
                 A_NONE, A_NONE);
        ir_goto(t, IR_CHECK, i->pc);
        ir_label(t, IR_BR, start);
    }
    ir_label(t, IR_LABEL, done);
}

void x86_emit_movs(X86Trans *x, const X86Insn *i) { repeat(x, i, movs_body, END_COUNT, x86_help_rep_movs); }
void x86_emit_stos(X86Trans *x, const X86Insn *i) { repeat(x, i, stos_body, END_COUNT, x86_help_rep_stos); }
void x86_emit_lods(X86Trans *x, const X86Insn *i) { repeat(x, i, lods_body, END_COUNT, NULL); }
void x86_emit_cmps(X86Trans *x, const X86Insn *i) { repeat(x, i, cmps_body, END_COUNT_OR_FLAG, NULL); }
void x86_emit_scas(X86Trans *x, const X86Insn *i) { repeat(x, i, scas_body, END_COUNT_OR_FLAG, NULL); }
void x86_emit_ins(X86Trans *x, const X86Insn *i) { repeat(x, i, ins_body, END_COUNT, NULL); }
void x86_emit_outs(X86Trans *x, const X86Insn *i)
{
    repeat(x, i, outs_body, END_COUNT, NULL);
    if (!x->one)
        ir_goto(x->t, IR_CHECK, i->next_pc);
}

/* --- ports --- */
static X86Arg port_operand(X86Trans *x, const X86Insn *i, const X86Operand *o)
{
    return o->kind == X86K_IMM ? A_IMM(i->imm) : A_REF(x86_value(x, i, o));
}

void x86_emit_in(X86Trans *x, const X86Insn *i)
{
    IrRef value = ir_temp(x->t);
    x86_call(x, x86_help_in, H_R, value, port_operand(x, i, &i->o[1]), A_IMM(i->o[0].size), A_NONE);
    ir_op2(x->t, IR_MOV, i->o[0].size, IR_G(RAX), value);
}

void x86_emit_out(X86Trans *x, const X86Insn *i)
{
    IrRef value = x86_value(x, i, &i->o[1]);
    x86_call(x, x86_help_out, H_R, IR_NONE, port_operand(x, i, &i->o[0]), A_IMM(i->o[1].size), A_REF(value));
    if (!x->one)
        ir_goto(x->t, IR_CHECK, i->next_pc);
}
