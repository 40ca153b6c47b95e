/* SPDX-License-Identifier: MIT */
/* Emitters of the x87: each instruction is one helper call. */
#include "target/x86/fpu.h"
#include "target/x86/tcg/emit.h"

/* CR0.EM or CR0.TS: #NM (SDM vol. 3, table 2-2). When not usable, the instruction is done: it faults. */
static bool x87_usable(X86Trans *x)
{
    if (x->mode & (X86_MODE_EM | X86_MODE_TS))
        x86_raise_now(x, X86_NM);
    return !x->ended;
}

static uint64_t insn_word(const X86Insn *i)
{
    return (uint64_t)(i->opcode & 7) << 8 | i->modrm | (uint64_t)(i->seg & 7) << 16 |
           (uint64_t)(i->osize == 2 ? 2 : 4) << 20;
}

void x86_emit_x87(X86Trans *x, const X86Insn *i)
{
    if (!x87_usable(x))
        return;
    X86Arg ea = A_NONE;
    if (i->mod != 3) {
        x86_mem(x, i, i->o[0].size ? i->o[0].size : i->osize == 2 ? 14 : 28, i->op->arg);
        ea = A_REF(x86_linear(x, &x->mem));
    }
    x86_call(x, x86_help_x87, H_R, IR_NONE, A_IMM(insn_word(i)), ea, A_IMM(i->pc));
}

void x86_emit_x87_comi(X86Trans *x, const X86Insn *i)
{
    if (!x87_usable(x))
        return;
    IrRef flags = ir_temp(x->t);
    x86_call(x, x86_help_x87_comi, H_R, flags, A_IMM(insn_word(i)), A_NONE, A_IMM(i->pc));
    IrInsn *put = ir_op2(x->t, IR_PUTF, 4, IR_NONE, flags);
    put->imm = FLAG_ALL; /* O, S and A are cleared */
    put->flags |= IR_SETF;
}

/* arg: the condition (IRC_*). */
void x86_emit_x87_cmov(X86Trans *x, const X86Insn *i)
{
    if (!x87_usable(x))
        return;
    IrRef cond = ir_temp(x->t);
    ir_op2(x->t, IR_SETCC, 1, cond, IR_NONE)->cond = i->op->arg;
    ir_extend(x->t, IR_ZEXT, 1, 8, cond, cond);
    x86_call(x, x86_help_x87_cmov, H_R, IR_NONE, A_IMM(i->rm & 7), A_REF(cond), A_IMM(i->pc));
}

/* WAIT: #NM only when both MP and TS are set. */
void x86_emit_fwait(X86Trans *x, const X86Insn *i)
{
    if ((x->mode & (X86_MODE_MP | X86_MODE_TS)) == (X86_MODE_MP | X86_MODE_TS))
        x86_raise_now(x, X86_NM);
    else
        x86_call0(x, x86_help_x87_wait, H_R | H_P);
}
