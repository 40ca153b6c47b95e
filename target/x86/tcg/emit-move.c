/* SPDX-License-Identifier: MIT */
/* Emitters: moves, conversions, exchanges, segment registers, cache hints. */
#include "accel/accel.h"
#include "target/x86/tcg/emit.h"

void x86_emit_mov(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]), a = x86_ref(&i->o[1]);
    unsigned size = i->o[0].size;
    if (d == IR_MEM || a == IR_MEM)
        x86_mem(x, i, size, d == IR_MEM);
    x86_op(x, i, IR_MOV, size, d, a, IR_NONE);
}

/* MOVZX, MOVSX */
void x86_emit_movx(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[1]);
    if (i->o[1].size >= i->osize)
        x86_op(x, i, IR_MOV, i->osize, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_NONE);
    else
        x86_op(x, i, i->op->arg, i->o[1].size, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_NONE)->size2 = i->osize;
}

/* Without REX.W a plain move. */
void x86_emit_movsxd(X86Trans *x, const X86Insn *i)
{
    if (x86_is_mem(&i->o[1]))
        x86_mem(x, i, MIN(i->osize, 4), false);
    if (i->osize == 8)
        x86_op(x, i, IR_SEXT, 4, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_NONE)->size2 = 8;
    else
        x86_op(x, i, IR_MOV, i->osize, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_NONE);
}

void x86_emit_movbe(X86Trans *x, const X86Insn *i)
{
    x86_mem(x, i, i->osize, i->op->arg);
    x86_op(x, i, IR_MOV, i->osize, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_NONE)->flags = IR_BE;
}

void x86_emit_lea(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    if (i->base == X86_RIP) {
        uint64_t ea = i->next_pc + i->disp;
        ir_movi(x->t, i->osize, d, i->asize == 4 ? (uint32_t)ea : ea);
        return;
    }
    if (i->osize <= i->asize)
        ir_op2(x->t, IR_LEA, i->osize, d, IR_NONE)->m = x86_plain_address(i);
    else
        ir_op2(x->t, IR_MOV, i->osize, d, x86_operand_ea(x, i));
}

void x86_emit_xchg(X86Trans *x, const X86Insn *i)
{
    IrRef a = x86_ref(&i->o[0]), b = x86_ref(&i->o[1]);
    unsigned size = i->o[0].size;
    if (a == IR_MEM) {
        x86_mem(x, i, size, true);
        x86_op(x, i, IR_XCHG, size, b, b, IR_NONE)->m = x->mem;
        return;
    }
    IrRef t = ir_temp(x->t);
    ir_op2(x->t, IR_MOV, size, t, a);
    ir_op2(x->t, IR_MOV, size, a, b);
    ir_op2(x->t, IR_MOV, size, b, t);
}

void x86_emit_xadd(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]), s = x86_ref(&i->o[1]);
    unsigned size = i->o[0].size;
    if (d == IR_MEM) {
        x86_mem(x, i, size, true);
        IrInsn *op = ir_op2(x->t, IR_XADD, size, s, s);
        op->m = x->mem;
        op->flags = IR_SETF | (i->lock ? IR_LOCK : 0);
        return;
    }
    IrRef sum = ir_temp(x->t);
    ir_op3(x->t, IR_ADD, size, sum, d, s)->flags = IR_SETF;
    ir_op2(x->t, IR_MOV, size, s, d);
    ir_op2(x->t, IR_MOV, size, d, sum);
}

/* Register form: only the register that changes is written (its upper half too, with a 32-bit operand). */
static void cmpxchg_register(X86Trans *x, unsigned size, IrRef d, IrRef s)
{
    unsigned differ = ir_new_label(x->t), done = ir_new_label(x->t);
    IrRef old = ir_temp(x->t);
    ir_op2(x->t, IR_MOV, size, old, d);
    ir_op3(x->t, IR_CMP, size, IR_NONE, IR_G(RAX), old)->flags = IR_SETF;
    IrInsn *br = ir_emit(x->t, IR_BRCC, 8);
    br->cond = IRC_NZ, br->imm = differ;
    ir_op2(x->t, IR_MOV, size, d, s);
    ir_label(x->t, IR_BR, done);
    ir_label(x->t, IR_LABEL, differ);
    ir_op2(x->t, IR_MOV, size, IR_G(RAX), old);
    ir_label(x->t, IR_LABEL, done);
}

void x86_emit_cmpxchg(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]), s = x86_ref(&i->o[1]);
    unsigned size = i->o[0].size;
    if (d != IR_MEM) {
        cmpxchg_register(x, size, d, s);
        return;
    }
    x86_mem(x, i, size, true);
    IrInsn *op = ir_op2(x->t, IR_CMPXCHG, size, IR_G(RAX), s);
    op->m = x->mem;
    op->flags = IR_SETF | (i->lock ? IR_LOCK : 0);
}

static void cmpxchg_pair(X86Trans *x, const X86Insn *i, const void *fn)
{
    x86_mem(x, i, i->o[0].size, true);
    x86_call(x, fn, H_R | H_F | H_W, IR_NONE, A_REF(x86_linear(x, &x->mem)), A_NONE, A_NONE);
}
void x86_emit_cmpxchg8b(X86Trans *x, const X86Insn *i) { cmpxchg_pair(x, i, x86_help_cmpxchg8b); }
void x86_emit_cmpxchg16b(X86Trans *x, const X86Insn *i) { cmpxchg_pair(x, i, x86_help_cmpxchg16b); }

void x86_emit_cmov(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    x86_read_operand(x, i, &i->o[1]);
    x86_op(x, i, IR_CMOV, i->osize, d, d, x86_ref(&i->o[1]))->cond = i->op->arg;
}

void x86_emit_setcc(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    if (d == IR_MEM)
        x86_mem(x, i, 1, true);
    x86_op(x, i, IR_SETCC, 1, d, IR_NONE, IR_NONE)->cond = i->op->arg;
}

void x86_emit_xlat(X86Trans *x, const X86Insn *i)
{
    IrRef index = ir_temp(x->t);
    ir_extend(x->t, IR_ZEXT, 1, 8, index, IR_G(RAX));
    unsigned seg = i->seg_override == X86_NO_REG ? SEG_DS : i->seg_override;
    IrMem m = x86_addr(x, seg, IR_G(RBX), index, 0, 0, i->asize, 1, false);
    ir_load(x->t, 1, IR_G(RAX), &m);
}

/* --- segment registers --- */
void x86_emit_mov_from_seg(X86Trans *x, const X86Insn *i)
{
    IrRef sel = ir_temp(x->t);
    if (x86_is_mem(&i->o[0]))
        x86_mem(x, i, 2, true);
    ir_lde(x->t, 2, sel, offsetof(X86Cpu, seg[i->o[1].reg].sel));
    x86_op(x, i, IR_MOV, i->o[0].size, x86_ref(&i->o[0]), sel, IR_NONE);
}

/* After the commit: 64-bit code has no mode that depends on ES DS FS GS. */
static void after_segment_load(X86Trans *x, const X86Insn *i, unsigned seg)
{
    if (seg == SEG_SS || x->bits != 64)
        x86_end_next(x, i);
}

void x86_emit_mov_to_seg(X86Trans *x, const X86Insn *i)
{
    unsigned seg = i->o[0].reg;
    x86_read_operand(x, i, &i->o[1]);
    IrRef sel = x86_value(x, i, &i->o[1]);
    x86_call(x, x86_help_load_seg, H_R, IR_NONE, A_IMM(seg), A_REF(sel), A_NONE);
    after_segment_load(x, i, seg);
}

/* LDS and its kind: offset, then selector. */
void x86_emit_load_far(X86Trans *x, const X86Insn *i)
{
    IrRef offset = ir_temp(x->t), sel = ir_temp(x->t);
    IrRef ea = x86_operand_ea(x, i);
    x86_mem_part(x, i, ea, 0, i->osize);
    ir_load(x->t, i->osize, offset, &x->mem);
    x86_mem_part(x, i, ea, i->osize, 2);
    ir_extend(x->t, IR_ZEXT, 2, 8, sel, IR_MEM)->m = x->mem;
    x86_call(x, x86_help_load_seg, H_R, IR_NONE, A_IMM(i->op->arg), A_REF(sel), A_NONE);
    ir_op2(x->t, IR_MOV, i->osize, x86_ref(&i->o[0]), offset);
    after_segment_load(x, i, i->op->arg);
}

void x86_emit_push_seg(X86Trans *x, const X86Insn *i)
{
    IrRef sel = ir_temp(x->t);
    ir_lde(x->t, 2, sel, offsetof(X86Cpu, seg[i->o[0].reg].sel));
    x86_gen_push(x, i, i->osize, sel, 0);
}

void x86_emit_pop_seg(X86Trans *x, const X86Insn *i)
{
    unsigned seg = i->o[0].reg;
    IrRef sel = x86_pop_load(x, i->osize);
    ir_extend(x->t, IR_ZEXT, 2, 8, sel, sel);
    x86_call(x, x86_help_load_seg, H_R, IR_NONE, A_IMM(seg), A_REF(sel), A_NONE);
    x86_sp_add(x, i->osize);
    after_segment_load(x, i, seg);
}

/* --- hints and fences --- */
void x86_emit_nop(X86Trans *x, const X86Insn *i)
{
}

void x86_emit_pause(X86Trans *x, const X86Insn *i)
{
    if (accel_current() && accel_current()->one_thread && vcpu_count() > 1) { /* the next vCPU's turn */
        ir_stei(x->t, 1, offsetof(X86Cpu, v.exit_request), 1);
        x86_end_exit(x, i);
    } else {
        x86_call0(x, x86_help_pause, 0);
    }
}

void x86_emit_fence(X86Trans *x, const X86Insn *i)
{
    if (i->op->arg)
        x86_call0(x, x86_help_fence, H_G | H_P);
}

/* Checked as a one-byte read (SDM volume 2, CLFLUSH); caches are coherent here. */
void x86_emit_clflush(X86Trans *x, const X86Insn *i)
{
    x86_mem(x, i, 1, false);
    ir_load(x->t, 1, ir_temp(x->t), &x->mem);
}
