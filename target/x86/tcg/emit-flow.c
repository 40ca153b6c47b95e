/* SPDX-License-Identifier: MIT */
/* Emitters: jumps, calls, returns, interrupts, system calls. */
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/table-args.h"

/* A branch around what follows it when `cond` holds. */
static void branch_if(X86Trans *x, IrCond cond, unsigned label)
{
    IrInsn *br = ir_emit(x->t, IR_BRCC, 8);
    br->cond = cond, br->imm = label;
}

/* Backward: the block ends here, the way on is the side exit. Forward: the jump is the side exit. */
void x86_emit_jcc(X86Trans *x, const X86Insn *i)
{
    IrCond cond = i->op->arg;
    uint64_t target = x86_branch_target(i);
    if (x->one || x->check_next || x->mode & X86_MODE_CHECK(SEG_CS)) {
        unsigned label = ir_new_label(x->t);
        branch_if(x, cond ^ 1, label);
        x86_gen_check_target(x, target);
        x86_side_goto(x, i, target);
        ir_label(x->t, IR_LABEL, label);
    } else if (target <= i->pc) {
        ir_goto_cond(x->t, cond ^ 1, i->next_pc);
        x86_end_goto(x, i, target);
    } else {
        ir_goto_cond(x->t, cond, target);
    }
}

/* Forward within the page the block goes on at the target: a jump costs nothing. */
static void go_to(X86Trans *x, const X86Insn *i, uint64_t target)
{
    if (!x->one && target > i->pc && (x->cs_base + target) >> TCG_PAGE_BITS == (x->cs_base + i->pc) >> TCG_PAGE_BITS)
        x->pc = target;
    else
        x86_end_goto(x, i, target);
}

void x86_emit_jmp_rel(X86Trans *x, const X86Insn *i)
{
    uint64_t target = x86_branch_target(i);
    x86_gen_check_target(x, target);
    go_to(x, i, target);
}

/* The target of an indirect branch, zero-extended; memory read, nothing else done. */
static IrRef indirect_target(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[0]);
    IrRef target = x86_value(x, i, &i->o[0]);
    if (x->mode & X86_MODE_CHECK(SEG_CS))
        x86_call(x, x86_help_code_check, H_R | H_G | H_P, IR_NONE, A_REF(target), A_NONE, A_NONE);
    return target;
}

void x86_emit_jmp_ind(X86Trans *x, const X86Insn *i)
{
    x86_end_jump(x, indirect_target(x, i));
}

void x86_emit_call_rel(X86Trans *x, const X86Insn *i)
{
    uint64_t target = x86_branch_target(i);
    x86_gen_check_target(x, target);
    x86_gen_push(x, i, i->osize, IR_IMM, i->next_pc);
    go_to(x, i, target);
}

void x86_emit_call_ind(X86Trans *x, const X86Insn *i)
{
    IrRef target = indirect_target(x, i);
    x86_gen_push(x, i, i->osize, IR_IMM, i->next_pc);
    x86_end_jump(x, target);
}

void x86_emit_ret(X86Trans *x, const X86Insn *i)
{
    IrRef target = x86_pop_load(x, i->osize);
    if (x->mode & X86_MODE_CHECK(SEG_CS))
        x86_call(x, x86_help_code_check, H_R | H_G | H_P, IR_NONE, A_REF(target), A_NONE, A_NONE);
    x86_sp_add(x, i->osize + (int)i->imm);
    x86_end_jump(x, target);
}

/* The count is CX, ECX or RCX by the address size. */
void x86_emit_loop(X86Trans *x, const X86Insn *i)
{
    uint64_t target = x86_branch_target(i);
    unsigned out = ir_new_label(x->t);
    x86_gen_check_target(x, target);
    ir_op3i(x->t, IR_SUB, i->asize, IR_G(RCX), IR_G(RCX), 1);
    ir_brz(x->t, IR_BRZ, i->asize, IR_G(RCX), out);
    if (i->op->arg != LOOP)
        branch_if(x, i->op->arg == LOOP_E ? IRC_NZ : IRC_Z, out);
    x86_side_goto(x, i, target);
    ir_label(x->t, IR_LABEL, out);
}

void x86_emit_jcxz(X86Trans *x, const X86Insn *i)
{
    uint64_t target = x86_branch_target(i);
    unsigned out = ir_new_label(x->t);
    ir_brz(x->t, IR_BRNZ, i->asize, IR_G(RCX), out);
    x86_gen_check_target(x, target);
    x86_side_goto(x, i, target);
    ir_label(x->t, IR_LABEL, out);
}

/* --- far transfers --- */
static void far_transfer(X86Trans *x, const X86Insn *i, const void *fn)
{
    X86Arg sel = A_IMM(i->imm2), offset = A_IMM(i->imm);
    if (x86_is_mem(&i->o[0])) {
        sel.ref = ir_temp(x->t), offset.ref = ir_temp(x->t);
        IrRef ea = x86_operand_ea(x, i);
        x86_mem_part(x, i, ea, 0, i->osize);
        if (i->osize == 2)
            ir_extend(x->t, IR_ZEXT, 2, 8, offset.ref, IR_MEM)->m = x->mem;
        else
            ir_load(x->t, i->osize, offset.ref, &x->mem);
        x86_mem_part(x, i, ea, i->osize, 2);
        ir_extend(x->t, IR_ZEXT, 2, 8, sel.ref, IR_MEM)->m = x->mem;
    }
    x86_set_next_pc(x, i);
    x86_call(x, fn, H_R | H_F, IR_NONE, sel, offset, A_IMM(i->osize));
    x86_end_lookup(x);
}
void x86_emit_jmp_far(X86Trans *x, const X86Insn *i) { far_transfer(x, i, x86_help_ljmp); }
void x86_emit_call_far(X86Trans *x, const X86Insn *i) { far_transfer(x, i, x86_help_lcall); }

void x86_emit_ret_far(X86Trans *x, const X86Insn *i)
{
    x86_call(x, x86_help_lret, H_R | H_F, IR_NONE, A_IMM(i->osize), A_IMM(i->imm), A_NONE);
    x86_end_lookup(x);
}

void x86_emit_iret(X86Trans *x, const X86Insn *i)
{
    x86_set_next_pc(x, i);
    x86_call(x, x86_help_iret, H_R | H_F | H_W, IR_NONE, A_IMM(i->osize), A_NONE, A_NONE);
    x86_end_lookup(x);
}

/* --- software interrupts and traps --- */
/* The helper never returns. */
static void software_interrupt(X86Trans *x, const X86Insn *i, unsigned vector, bool by_opcode)
{
    x86_set_next_pc(x, i);
    x86_call(x, x86_help_int, H_R | H_F | H_P, IR_NONE, A_IMM(vector), A_IMM(by_opcode), A_NONE);
    ir_emit(x->t, IR_LOOKUP, 8);
}
void x86_emit_int(X86Trans *x, const X86Insn *i)
{
    software_interrupt(x, i, i->imm, false);
    x->ended = true;
}
void x86_emit_int3(X86Trans *x, const X86Insn *i)
{
    software_interrupt(x, i, X86_BP, true);
    x->ended = true;
}
void x86_emit_into(X86Trans *x, const X86Insn *i)
{
    unsigned out = ir_new_label(x->t);
    branch_if(x, IRC_NO, out);
    software_interrupt(x, i, X86_OF, true);
    ir_label(x->t, IR_LABEL, out);
}
void x86_emit_int1(X86Trans *x, const X86Insn *i)
{
    x86_set_next_pc(x, i);
    x86_call0(x, x86_help_icebp, H_R | H_F);
    ir_emit(x->t, IR_LOOKUP, 8);
    x->ended = true;
}

void x86_emit_ud(X86Trans *x, const X86Insn *i)
{
    x86_raise_now(x, X86_UD);
}

/* Signed comparison of the index with the two bounds in memory. */
void x86_emit_bound(X86Trans *x, const X86Insn *i)
{
    IrRef index = x86_svalue(x, i, &i->o[0]), lower = ir_temp(x->t), upper = ir_temp(x->t);
    IrRef ea = x86_operand_ea(x, i);
    x86_mem_part(x, i, ea, 0, i->osize);
    ir_extend(x->t, IR_SEXT, i->osize, 8, lower, IR_MEM)->m = x->mem;
    x86_mem_part(x, i, ea, i->osize, i->osize);
    ir_extend(x->t, IR_SEXT, i->osize, 8, upper, IR_MEM)->m = x->mem;
    x86_call(x, x86_help_bound, H_R | H_P, IR_NONE, A_REF(index), A_REF(lower), A_REF(upper));
}

/* --- system calls --- */
void x86_emit_syscall(X86Trans *x, const X86Insn *i)
{
    x86_set_next_pc(x, i);
    x86_call0(x, x86_help_syscall, H_R | H_F | H_W);
    x86_end_lookup(x);
}
void x86_emit_sysret(X86Trans *x, const X86Insn *i)
{
    x86_set_next_pc(x, i);
    x86_call(x, x86_help_sysret, H_R | H_W, IR_NONE, A_IMM(i->osize == 8 ? 8 : 4), A_NONE, A_NONE);
    x86_end_lookup(x);
}
void x86_emit_sysenter(X86Trans *x, const X86Insn *i)
{
    x86_call0(x, x86_help_sysenter, H_R);
    x86_end_lookup(x);
}
void x86_emit_sysexit(X86Trans *x, const X86Insn *i)
{
    x86_call(x, x86_help_sysexit, H_R, IR_NONE, A_IMM(i->osize == 8 ? 8 : 4), A_NONE, A_NONE);
    x86_end_lookup(x);
}
void x86_emit_rsm(X86Trans *x, const X86Insn *i)
{
    x86_call0(x, x86_help_rsm, H_R | H_W);
    x86_end_lookup(x);
}
