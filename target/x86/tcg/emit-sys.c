/* SPDX-License-Identifier: MIT */
/* Emitters: system instructions, nearly all by helper (target/x86/helpers.h says how each is called). */
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/table-args.h"

/* --- IF, DF, HLT --- */
void x86_emit_cli(X86Trans *x, const X86Insn *i)
{
    if (x->mode & X86_MODE_IOPL_OK)
        ir_stei(x->t, 1, offsetof(X86Cpu, iflag), 0);
    else
        x86_call0(x, x86_help_cli, H_R | H_P);
}

/* x86_poll_soon(): CHECK looks at exit_request only. */
static void poll_soon(X86Trans *x)
{
    IrRef waiting = ir_temp(x->t);
    unsigned none = ir_new_label(x->t);
    ir_lde(x->t, 1, waiting, offsetof(X86Cpu, v.irq_pending));
    ir_brz(x->t, IR_BRZ, 1, waiting, none);
    ir_stei(x->t, 1, offsetof(X86Cpu, v.exit_request), 1);
    ir_label(x->t, IR_LABEL, none);
}

/*
 * Interrupts are taken after the next insn: it stays in this block with a CHECK behind it, or the shadow bit says so.
 */
void x86_emit_sti(X86Trans *x, const X86Insn *i)
{
    bool room = !x->one && (x->cs_base + i->next_pc + 15) >> TCG_PAGE_BITS == (x->cs_base + i->pc) >> TCG_PAGE_BITS &&
                x->t->b->guest_insns + 2 < x->t->max_insns;
    if (!room) {
        x86_call(x, x86_help_sti, H_R | H_P, IR_NONE, A_IMM(1), A_NONE, A_NONE);
        x86_end_next(x, i);
        return;
    }
    if (x->mode & X86_MODE_IOPL_OK) {
        ir_stei(x->t, 1, offsetof(X86Cpu, iflag), 1);
        poll_soon(x);
    } else {
        x86_call(x, x86_help_sti, H_R | H_P, IR_NONE, A_IMM(0), A_NONE, A_NONE);
    }
    x->check_next = true;
}

void x86_emit_direction(X86Trans *x, const X86Insn *i)
{
    ir_stei(x->t, 8, offsetof(X86Cpu, df), i->op->arg ? UINT64_MAX : 1);
}

void x86_emit_hlt(X86Trans *x, const X86Insn *i)
{
    x86_set_next_pc(x, i);
    x86_call0(x, x86_help_hlt, H_R | H_F);
    ir_emit(x->t, IR_LOOKUP, 8);
    x->ended = true;
}

/* --- descriptor tables and selectors --- */
/* RPL of the destination = that of the source when it was lower, then Z = 1. Memory is written only then. */
void x86_emit_arpl(X86Trans *x, const X86Insn *i)
{
    TransCtx *t = x->t;
    x86_read_operand(x, i, &i->o[0]);
    IrRef old = x86_value(x, i, &i->o[0]), rpl = x86_value(x, i, &i->o[1]), lower = ir_temp(t), z = ir_temp(t);
    unsigned same = ir_new_label(t), done = ir_new_label(t);
    ir_op3i(t, IR_AND, 4, rpl, rpl, 3);
    ir_op3i(t, IR_AND, 4, lower, old, 3);
    ir_op3(t, IR_SUB, 4, lower, lower, rpl);
    ir_op3i(t, IR_SHR, 4, lower, lower, 31);
    ir_brz(t, IR_BRZ, 4, lower, same);
    ir_op3i(t, IR_AND, 4, old, old, 0xfffc);
    ir_op3(t, IR_OR, 4, old, old, rpl);
    if (x86_is_mem(&i->o[0]))
        x86_mem(x, i, 2, true);
    x86_op(x, i, IR_MOV, 2, x86_ref(&i->o[0]), old, IR_NONE);
    ir_movi(t, 4, z, FLAG_Z);
    ir_op2(t, IR_PUTF, 4, IR_NONE, z)->imm = FLAG_Z;
    ir_label(t, IR_BR, done);
    ir_label(t, IR_LABEL, same);
    ir_movi(t, 4, z, 0);
    ir_op2(t, IR_PUTF, 4, IR_NONE, z)->imm = FLAG_Z;
    ir_label(t, IR_LABEL, done);
}

/* SLDT, STR, SMSW */
void x86_emit_store_sel(X86Trans *x, const X86Insn *i)
{
    static const void *const fn[] = {
        [SYS_SLDT] = x86_help_sldt, [SYS_STR] = x86_help_str, [SYS_SMSW] = x86_help_smsw
    };
    IrRef value = ir_temp(x->t);
    x86_call(x, fn[i->op->arg], H_R | H_P, value, A_NONE, A_NONE, A_NONE);
    if (x86_is_mem(&i->o[0]))
        x86_mem(x, i, 2, true);
    x86_op(x, i, IR_MOV, i->o[0].size, x86_ref(&i->o[0]), value, IR_NONE);
}

static X86Arg word_operand(X86Trans *x, const X86Insn *i, const X86Operand *o)
{
    x86_read_operand(x, i, o);
    return A_REF(x86_value(x, i, o));
}

void x86_emit_load_sel(X86Trans *x, const X86Insn *i)
{
    X86Arg sel = word_operand(x, i, &i->o[0]);
    x86_call(x, i->op->arg == SYS_LTR ? (const void *)x86_help_ltr : (const void *)x86_help_lldt, H_R, IR_NONE, sel,
             A_NONE, A_NONE);
}

void x86_emit_verify(X86Trans *x, const X86Insn *i)
{
    X86Arg sel = word_operand(x, i, &i->o[0]);
    x86_call(x, i->op->arg ? (const void *)x86_help_verw : (const void *)x86_help_verr, H_R | H_F | H_W, IR_NONE, sel,
             A_NONE, A_NONE);
}

/* LAR, LSL */
void x86_emit_lar(X86Trans *x, const X86Insn *i)
{
    X86Arg sel = word_operand(x, i, &i->o[1]);
    IrRef d = x86_ref(&i->o[0]), result = ir_temp(x->t);
    x86_call(x, i->op->arg ? (const void *)x86_help_lsl : (const void *)x86_help_lar, H_R | H_F | H_W, result, sel,
             A_REF(d), A_IMM(i->osize));
    unsigned same = ir_new_label(x->t);
    IrInsn *br = ir_emit(x->t, IR_BRCC, 8);
    br->cond = IRC_NZ, br->imm = same;
    ir_op2(x->t, IR_MOV, i->osize, d, result);
    ir_label(x->t, IR_LABEL, same);
}

static void table_register(X86Trans *x, const X86Insn *i, const void *fn, bool write)
{
    unsigned osize = i->bits == 64 ? 8 : i->osize;
    x86_mem(x, i, osize == 8 ? 10 : 6, write);
    x86_call(x, fn, H_R, IR_NONE, A_REF(x86_linear(x, &x->mem)), A_IMM(osize), A_NONE);
}
void x86_emit_store_dt(X86Trans *x, const X86Insn *i)
{
    table_register(x, i, i->op->arg ? (const void *)x86_help_sidt : (const void *)x86_help_sgdt, true);
}
void x86_emit_load_dt(X86Trans *x, const X86Insn *i)
{
    table_register(x, i, i->op->arg ? (const void *)x86_help_lidt : (const void *)x86_help_lgdt, false);
}

/* --- control registers, TLB, modes --- */
void x86_emit_lmsw(X86Trans *x, const X86Insn *i)
{
    x86_call(x, x86_help_lmsw, H_R | H_F, IR_NONE, word_operand(x, i, &i->o[0]), A_NONE, A_NONE);
    x86_end_exit(x, i);
}

void x86_emit_invlpg(X86Trans *x, const X86Insn *i)
{
    x86_mem(x, i, 1, false);
    x86_call(x, x86_help_invlpg, H_R, IR_NONE, A_REF(x86_linear(x, &x->mem)), A_NONE, A_NONE);
    x86_end_exit(x, i);
}

void x86_emit_invpcid(X86Trans *x, const X86Insn *i)
{
    x86_mem(x, i, 16, false);
    IrRef linear = x86_linear(x, &x->mem);
    x86_call(x, x86_help_invpcid, H_R, IR_NONE, A_REF(x86_ref(&i->o[0])), A_REF(linear), A_NONE);
    x86_end_exit(x, i);
}

void x86_emit_mov_from_cr(X86Trans *x, const X86Insn *i)
{
    IrRef value = ir_temp(x->t);
    x86_call(x, x86_help_read_cr, H_R, value, A_IMM(i->o[1].reg), A_NONE, A_NONE);
    ir_op2(x->t, IR_MOV, i->o[1].size, IR_G(i->rm), value);
}

static X86Arg system_value(X86Trans *x, const X86Insn *i)
{
    if (i->bits == 64)
        return A_REF(IR_G(i->rm));
    IrRef value = ir_temp(x->t);
    ir_extend(x->t, IR_ZEXT, 4, 8, value, IR_G(i->rm));
    return A_REF(value);
}

void x86_emit_mov_to_cr(X86Trans *x, const X86Insn *i)
{
    X86Arg value = system_value(x, i);
    x86_call(x, x86_help_write_cr, H_R | H_F, IR_NONE, A_IMM(i->o[0].reg), value, A_NONE);
    if (i->o[0].reg != 8)
        x86_end_exit(x, i);
    else if (!x->one)
        ir_goto(x->t, IR_CHECK, i->next_pc);
}

void x86_emit_mov_from_dr(X86Trans *x, const X86Insn *i)
{
    IrRef value = ir_temp(x->t);
    x86_call(x, x86_help_read_dr, H_R, value, A_IMM(i->o[1].reg), A_NONE, A_NONE);
    ir_op2(x->t, IR_MOV, i->o[1].size, IR_G(i->rm), value);
}

void x86_emit_mov_to_dr(X86Trans *x, const X86Insn *i)
{
    X86Arg value = system_value(x, i);
    x86_call(x, x86_help_write_dr, H_R | H_F, IR_NONE, A_IMM(i->o[0].reg), value, A_NONE);
    x86_end_exit(x, i);
}

void x86_emit_clts(X86Trans *x, const X86Insn *i)
{
    x86_call0(x, x86_help_clts, H_R);
    x86_end_next(x, i);
}

/* CLAC, STAC */
void x86_emit_ac(X86Trans *x, const X86Insn *i)
{
    x86_call(x, x86_help_set_ac, H_R | H_P, IR_NONE, A_IMM(i->op->arg), A_NONE, A_NONE);
    x86_end_next(x, i);
}

void x86_emit_xsetbv(X86Trans *x, const X86Insn *i)
{
    x86_call0(x, x86_help_xsetbv, H_R);
    x86_end_exit(x, i);
}

void x86_emit_wrmsr(X86Trans *x, const X86Insn *i)
{
    x86_call0(x, x86_help_wrmsr, H_R | H_F);
    x86_end_exit(x, i);
}

/* --- helpers without operands after which the block goes on --- */
#define PLAIN(name, fn, flags) \
    void x86_emit_##name(X86Trans *x, const X86Insn *i) { x86_call0(x, fn, flags); }
PLAIN(xgetbv, x86_help_xgetbv, H_R)
PLAIN(wbinvd, x86_help_wbinvd, H_R | H_P)
PLAIN(rdmsr, x86_help_rdmsr, H_R)
PLAIN(rdtsc, x86_help_rdtsc, H_R)
PLAIN(rdtscp, x86_help_rdtscp, H_R)
PLAIN(rdpmc, x86_help_rdpmc, H_R)
PLAIN(cpuid, x86_help_cpuid, 0)
PLAIN(swapgs, x86_help_swapgs, H_R | H_P)
#undef PLAIN

void x86_emit_rdpid(X86Trans *x, const X86Insn *i)
{
    IrRef value = ir_temp(x->t);
    x86_call(x, x86_help_rdpid, H_P, value, A_NONE, A_NONE, A_NONE);
    ir_op2(x->t, IR_MOV, x->bits == 64 ? 8 : 4, x86_ref(&i->o[0]), value);
}

/* RDRAND, RDSEED: the number and C = 1. */
void x86_emit_rdrand(X86Trans *x, const X86Insn *i)
{
    IrRef value = ir_temp(x->t);
    x86_call(x, i->op->arg ? (const void *)x86_help_rdseed : (const void *)x86_help_rdrand, H_W | H_P, value,
             A_IMM(i->osize), A_NONE, A_NONE);
    ir_op2(x->t, IR_MOV, i->osize, x86_ref(&i->o[0]), value);
}

/* RDFSBASE, RDGSBASE */
void x86_emit_rdbase(X86Trans *x, const X86Insn *i)
{
    IrRef value = ir_temp(x->t);
    x86_call(x, x86_help_rdfsgs, H_R | H_P, value, A_IMM(i->op->arg), A_NONE, A_NONE);
    ir_op2(x->t, IR_MOV, i->o[0].size, x86_ref(&i->o[0]), value);
}

void x86_emit_wrbase(X86Trans *x, const X86Insn *i)
{
    IrRef value = x86_value(x, i, &i->o[0]);
    x86_call(x, x86_help_wrfsgs, H_R | H_P, IR_NONE, A_IMM(i->op->arg), A_REF(value), A_NONE);
}

void x86_emit_monitor(X86Trans *x, const X86Insn *i)
{
    unsigned seg = i->seg_override == X86_NO_REG ? SEG_DS : i->seg_override;
    IrMem m = x86_addr(x, seg, IR_G(RAX), IR_NONE, 0, 0, i->asize, 1, false);
    x86_call(x, x86_help_monitor, H_R, IR_NONE, A_REF(x86_linear(x, &m)), A_NONE, A_NONE);
}

void x86_emit_mwait(X86Trans *x, const X86Insn *i)
{
    x86_set_next_pc(x, i);
    x86_call0(x, x86_help_mwait, H_R | H_F);
    ir_emit(x->t, IR_LOOKUP, 8);
    x->ended = true;
}
