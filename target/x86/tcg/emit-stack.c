/* SPDX-License-Identifier: MIT */
/* Emitters: the stack. The store or load comes first, then rSP and the register: a fault leaves both as they were. */
#include "target/x86/tcg/emit.h"

void x86_emit_push(X86Trans *x, const X86Insn *i)
{
    IrRef value = x86_ref(&i->o[0]);
    if (value == IR_MEM) {
        x86_mem(x, i, i->osize, false);
        value = ir_temp(x->t);
        ir_load(x->t, i->osize, value, &x->mem);
    }
    x86_gen_push(x, i, i->osize, value, i->imm);
}

/* POP [mem]: an address that names rSP uses its value after the increment (SDM volume 2, POP). */
static void pop_memory(X86Trans *x, const X86Insn *i)
{
    IrRef value = x86_pop_load(x, i->osize);
    X86Insn after = *i;
    if (i->base == RSP)
        after.disp += i->osize;
    x86_mem(x, &after, i->osize, true);
    ir_store(x->t, i->osize, &x->mem, value);
    x86_sp_add(x, i->osize);
}

void x86_emit_pop(X86Trans *x, const X86Insn *i)
{
    if (x86_is_mem(&i->o[0])) {
        pop_memory(x, i);
        return;
    }
    IrRef d = x86_ref(&i->o[0]);
    if (d == IR_G(RSP)) {
        IrRef value = x86_pop_load(x, i->osize);
        x86_sp_add(x, i->osize);
        ir_op2(x->t, IR_MOV, i->osize, d, value);
        return;
    }
    IrMem m = x86_stack(x, 0, i->osize, false);
    ir_load(x->t, i->osize, d, &m);
    x86_sp_add(x, i->osize);
}

void x86_emit_pusha(X86Trans *x, const X86Insn *i)
{
    int size = i->osize;
    for (int r = RAX; r <= RDI; r++) {
        IrMem m = x86_stack(x, -size * (r + 1), size, true);
        ir_store(x->t, size, &m, IR_G(r));
    }
    x86_sp_add(x, -8 * size);
}

/* SP is skipped. */
void x86_emit_popa(X86Trans *x, const X86Insn *i)
{
    int size = i->osize;
    IrRef value[8];
    for (int r = RAX; r <= RDI; r++) {
        if (r == RSP)
            continue;
        IrMem m = x86_stack(x, size * (7 - r), size, false);
        value[r] = ir_temp(x->t);
        ir_load(x->t, size, value[r], &m);
    }
    for (int r = RAX; r <= RDI; r++) {
        if (r != RSP)
            ir_op2(x->t, IR_MOV, size, IR_G(r), value[r]);
    }
    x86_sp_add(x, 8 * size);
}

void x86_emit_pushf(X86Trans *x, const X86Insn *i)
{
    IrRef image = ir_temp(x->t);
    x86_call(x, x86_help_pushf, H_R | H_F | H_P, image, A_IMM(i->osize), A_NONE, A_NONE);
    x86_gen_push(x, i, i->osize, image, 0);
}

/* The helper faults before rSP moves; flags it sets may change the mode. */
void x86_emit_popf(X86Trans *x, const X86Insn *i)
{
    IrRef image = x86_pop_load(x, i->osize), changed = ir_temp(x->t);
    unsigned same = ir_new_label(x->t);
    x86_call(x, x86_help_popf, H_R | H_W | H_P, changed, A_REF(image), A_IMM(i->osize), A_NONE);
    x86_sp_add(x, i->osize);
    ir_brz(x->t, IR_BRZ, 4, changed, same);
    ir_stei(x->t, 8, offsetof(X86Cpu, v.pc), i->next_pc);
    x86_step_end(x);
    ir_emit(x->t, IR_LOOKUP, 8);
    ir_label(x->t, IR_LABEL, same);
    if (!x->one)
        ir_goto(x->t, IR_CHECK, i->next_pc);
}

void x86_emit_enter(X86Trans *x, const X86Insn *i)
{
    x86_call(x, x86_help_enter, H_R, IR_NONE, A_IMM(i->imm), A_IMM(i->imm2 & 31), A_IMM(i->osize));
}

void x86_emit_leave(X86Trans *x, const X86Insn *i)
{
    IrMem m = x86_addr(x, SEG_SS, IR_G(RBP), IR_NONE, 0, 0, x->ss_size, i->osize, false);
    IrRef value = ir_temp(x->t);
    ir_load(x->t, i->osize, value, &m);
    ir_op3i(x->t, IR_ADD, x->ss_size, IR_G(RSP), IR_G(RBP), i->osize);
    ir_op2(x->t, IR_MOV, i->osize, IR_G(RBP), value);
}
