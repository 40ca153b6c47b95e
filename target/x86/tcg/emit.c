/* SPDX-License-Identifier: MIT */
/* Emitters' plumbing: operands, memory, stack, helper calls, ends of blocks (emit.h). */
#include "target/x86/tcg/emit.h"

/* --- helper calls --- */
void x86_call(X86Trans *x, const void *fn, unsigned flags, IrRef d, X86Arg a, X86Arg b, X86Arg c)
{
    X86Arg *args[3] = { &a, &b, &c };
    bool imm_used = false;
    uint64_t imm = 0;
    for (unsigned n = 0; n < 3; n++) {
        if (args[n]->ref != IR_IMM)
            continue;
        if (imm_used) { /* the IR has room for one */
            args[n]->ref = ir_temp(x->t);
            ir_movi(x->t, 8, args[n]->ref, args[n]->imm);
        } else {
            imm_used = true;
            imm = args[n]->imm;
        }
    }
    if (flags & H_R) /* a helper that unwinds leaves its caller's registers behind: they are saved first, vectors too */
        flags &= ~(unsigned)H_G;
    ir_call(x->t, fn, flags, d, a.ref, b.ref, c.ref, imm);
}

void x86_set_next_pc(X86Trans *x, const X86Insn *i)
{
    ir_stei(x->t, 8, offsetof(X86Cpu, next_pc), i->next_pc);
}

/* --- memory --- */
/*
 * Limit and type of the segment; writing through CS is never right in protected mode, though the segment may be flat.
 */
static bool must_check(const X86Trans *x, unsigned seg, bool write)
{
    if (x->mode & X86_MODE_CHECK(seg))
        return true;
    return seg == SEG_CS && write && x->bits != 64 && x->protected;
}

/* Checks that a mode bit asks for; the address then stands in a temporary. */
static void check_access(X86Trans *x, IrMem *m, unsigned seg, unsigned size, bool write)
{
    if (must_check(x, seg, write)) {
        IrRef ea = x86_ea(x, m);
        x86_call(x, x86_help_seg_check, H_R | H_G | H_P, IR_NONE, A_REF(ea),
                 A_IMM(size | seg << 8 | (unsigned)write << 16), A_NONE);
        m->base = ea, m->index = IR_NONE, m->disp = 0;
    }
    if (x->mode & X86_MODE_DATA_BP)
        x86_call(x, x86_help_data_bp, H_G | H_P, IR_NONE, A_REF(x86_linear(x, m)), A_IMM(size), A_IMM(write));
}

IrMem x86_addr(X86Trans *x, unsigned seg, IrRef base, IrRef index, unsigned scale, int64_t disp, unsigned asize,
               unsigned size, bool write)
{
    IrMem m = { .base = base, .index = index, .scale = scale, .asize = asize, .bank = x->bank, .disp = (int32_t)disp };
    if (asize == 8 && disp != (int32_t)disp) { /* no base then: absolute and RIP-relative */
        m.base = ir_temp(x->t);
        m.disp = 0;
        ir_movi(x->t, 8, m.base, disp);
    }
    if (seg >= SEG_FS || x->mode & X86_MODE_ADDSEG) {
        m.segment = offsetof(X86Cpu, seg[seg].base);
        m.wrap_linear = x->bits != 64;
    }
    if (x->mode & X86_MODE_ALIGN && is_pow2(size) && size <= 8)
        m.align = size;
    if (x->mode & X86_MODE_DATA_BP || must_check(x, seg, write))
        check_access(x, &m, seg, size, write);
    return m;
}

static IrRef address_register(uint8_t r)
{
    return r == X86_NO_REG || r == X86_RIP ? IR_NONE : IR_G(r);
}

void x86_mem(X86Trans *x, const X86Insn *i, unsigned size, bool write)
{
    int64_t disp = i->base == X86_RIP ? (int64_t)(i->next_pc + i->disp) : i->disp;
    x->mem = x86_addr(x, i->seg, address_register(i->base), address_register(i->index), i->scale, disp, i->asize, size,
                      write);
}

IrRef x86_ea(X86Trans *x, const IrMem *m)
{
    IrRef ea = ir_temp(x->t);
    IrInsn *lea = ir_op2(x->t, IR_LEA, m->asize == 2 ? 2 : m->asize, ea, IR_NONE);
    lea->m = *m;
    lea->m.segment = 0, lea->m.wrap_linear = false, lea->m.align = 0;
    if (m->asize == 2)
        ir_extend(x->t, IR_ZEXT, 2, 8, ea, ea);
    return ea;
}

IrRef x86_linear(X86Trans *x, const IrMem *m)
{
    IrRef ea = x86_ea(x, m);
    if (m->segment) {
        IrRef base = ir_temp(x->t);
        ir_lde(x->t, 8, base, m->segment);
        ir_op3(x->t, IR_ADD, m->wrap_linear ? 4 : 8, ea, ea, base);
    }
    return ea;
}

IrMem x86_plain_address(const X86Insn *i)
{
    return (IrMem){ .base = address_register(i->base),
                    .index = address_register(i->index),
                    .scale = i->scale,
                    .asize = i->asize,
                    .disp = (int32_t)i->disp };
}

IrRef x86_operand_ea(X86Trans *x, const X86Insn *i)
{
    if (i->base == X86_RIP) {
        IrRef ea = ir_temp(x->t);
        uint64_t at = i->next_pc + i->disp;
        ir_movi(x->t, 8, ea, i->asize == 4 ? (uint32_t)at : at);
        return ea;
    }
    IrMem m = x86_plain_address(i);
    return x86_ea(x, &m);
}

void x86_mem_part(X86Trans *x, const X86Insn *i, IrRef ea, int offset, unsigned size)
{
    x->mem = x86_addr(x, i->seg, ea, IR_NONE, 0, offset, i->asize, size, false);
}

void x86_mem_pin(X86Trans *x)
{
    x->mem.base = x86_ea(x, &x->mem);
    x->mem.index = IR_NONE, x->mem.disp = 0;
}

/* --- operands --- */
IrRef x86_ref(const X86Operand *o)
{
    switch (o->kind) {
    case X86K_REG: return IR_G(o->reg);
    case X86K_REGH: return IR_GH(o->reg);
    case X86K_MEM: return IR_MEM;
    case X86K_IMM: return IR_IMM;
    case X86K_VEC: return IR_V(o->reg);
    }
    return IR_NONE;
}

IrInsn *x86_op(X86Trans *x, const X86Insn *i, IrOp op, unsigned size, IrRef d, IrRef a, IrRef b)
{
    IrInsn *ir = ir_op3(x->t, op, size, d, a, b);
    if (d == IR_MEM || a == IR_MEM || b == IR_MEM)
        ir->m = x->mem;
    if (a == IR_IMM || b == IR_IMM)
        ir->imm = i->imm;
    return ir;
}

void x86_read_operand(X86Trans *x, const X86Insn *i, const X86Operand *o)
{
    if (o->kind == X86K_MEM)
        x86_mem(x, i, o->size, false);
}

static IrRef extended(X86Trans *x, const X86Insn *i, const X86Operand *o, IrOp op)
{
    IrRef value = ir_temp(x->t);
    if (o->size == 8 || o->kind == X86K_IMM)
        x86_op(x, i, IR_MOV, 8, value, x86_ref(o), IR_NONE);
    else
        x86_op(x, i, op, o->size, value, x86_ref(o), IR_NONE)->size2 = 8;
    return value;
}
IrRef x86_value(X86Trans *x, const X86Insn *i, const X86Operand *o) { return extended(x, i, o, IR_ZEXT); }
IrRef x86_svalue(X86Trans *x, const X86Insn *i, const X86Operand *o) { return extended(x, i, o, IR_SEXT); }

/* --- stack --- */
IrMem x86_stack(X86Trans *x, int disp, unsigned size, bool write)
{
    return x86_addr(x, SEG_SS, IR_G(RSP), IR_NONE, 0, disp, x->ss_size, size, write);
}

void x86_sp_add(X86Trans *x, int n)
{
    ir_op3i(x->t, IR_ADD, x->ss_size, IR_G(RSP), IR_G(RSP), (uint64_t)(int64_t)n);
}

void x86_gen_push(X86Trans *x, const X86Insn *i, unsigned size, IrRef value, uint64_t imm)
{
    IrMem m = x86_stack(x, -(int)size, size, true);
    ir_store(x->t, size, &m, value)->imm = imm;
    x86_sp_add(x, -(int)size);
}

IrRef x86_pop_load(X86Trans *x, unsigned size)
{
    IrMem m = x86_stack(x, 0, size, false);
    IrRef value = ir_temp(x->t);
    if (size == 2) {
        IrInsn *load = ir_extend(x->t, IR_ZEXT, 2, 8, value, IR_MEM);
        load->m = m;
    } else {
        ir_load(x->t, size, value, &m);
    }
    return value;
}

/* --- ends of the block --- */
void x86_step_end(X86Trans *x)
{
    if (x->stepping)
        x86_call(x, x86_help_insn_end_jumped, H_R | H_F, IR_NONE, A_IMM(!!(x->mode & X86_MODE_TF)), A_NONE, A_NONE);
}

void x86_end_lookup(X86Trans *x)
{
    x86_step_end(x);
    ir_emit(x->t, IR_LOOKUP, 8);
    x->ended = true;
}

static void set_pc(X86Trans *x, uint64_t pc)
{
    ir_stei(x->t, 8, offsetof(X86Cpu, v.pc), pc);
}

void x86_end_next(X86Trans *x, const X86Insn *i)
{
    set_pc(x, i->next_pc);
    x86_end_lookup(x);
}

void x86_end_exit(X86Trans *x, const X86Insn *i)
{
    if (x->stepping) {
        x86_end_next(x, i);
        return;
    }
    ir_goto(x->t, IR_EXIT, i->next_pc);
    x->ended = true;
}

void x86_side_goto(X86Trans *x, const X86Insn *i, uint64_t pc)
{
    if (x->stepping) {
        set_pc(x, pc);
        x86_step_end(x);
        ir_emit(x->t, IR_LOOKUP, 8);
    } else if (x->mode & X86_MODE_SHADOW) {
        ir_goto(x->t, IR_EXIT, pc);
    } else {
        if (pc <= i->pc || x->check_next)
            ir_goto(x->t, IR_CHECK, pc);
        ir_goto(x->t, IR_GOTO, pc);
    }
}

void x86_end_goto(X86Trans *x, const X86Insn *i, uint64_t pc)
{
    x86_side_goto(x, i, pc);
    x->ended = true;
}

void x86_end_jump(X86Trans *x, IrRef pc)
{
    if (x->stepping || x->mode & X86_MODE_SHADOW) {
        ir_ste(x->t, 8, offsetof(X86Cpu, v.pc), pc);
        x86_end_lookup(x);
    } else {
        ir_op2(x->t, IR_JMP, 8, IR_NONE, pc);
        x->ended = true;
    }
}

uint64_t x86_branch_target(const X86Insn *i)
{
    uint64_t pc = i->next_pc + i->imm;
    return i->bits == 64 ? pc : i->osize == 2 ? pc & 0xffff : (uint32_t)pc;
}

void x86_gen_check_target(X86Trans *x, uint64_t pc)
{
    if (x->mode & X86_MODE_CHECK(SEG_CS))
        x86_call(x, x86_help_code_check, H_R | H_G | H_P, IR_NONE, A_IMM(pc), A_NONE, A_NONE);
}

void x86_raise_now(X86Trans *x, unsigned vector)
{
    x86_call(x, x86_help_raise, H_R | H_P, IR_NONE, A_IMM(vector), A_NONE, A_NONE);
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
}

void x86_raise_gp0(X86Trans *x)
{
    x86_call(x, x86_help_raise_err, H_R | H_P, IR_NONE, A_IMM(X86_GP), A_IMM(0), A_NONE);
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
}
