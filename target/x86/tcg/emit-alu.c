/* SPDX-License-Identifier: MIT */
/* Emitters: arithmetic, logic, shifts, multiplication, bits, decimal adjust, flags. */
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/table-args.h"

/* o[0] = o[0] op o[1]; CMP and TEST have no destination. */
void x86_emit_alu(X86Trans *x, const X86Insn *i)
{
    IrOp op = i->op->arg;
    bool compare = op == IR_CMP || op == IR_TEST;
    unsigned size = i->o[0].size;
    IrRef d = x86_ref(&i->o[0]), b = x86_ref(&i->o[1]);
    if (d == IR_MEM || b == IR_MEM)
        x86_mem(x, i, size, d == IR_MEM && !compare);
    x86_op(x, i, op, size, compare ? IR_NONE : d, d, b)->flags = IR_SETF | (i->lock ? IR_LOCK : 0);
}

/* INC, DEC, NEG, NOT */
void x86_emit_alu1(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    if (d == IR_MEM)
        x86_mem(x, i, i->o[0].size, true);
    IrInsn *op = x86_op(x, i, i->op->arg, i->o[0].size, d, d, IR_NONE);
    op->flags = (i->op->arg == IR_NOT ? 0 : IR_SETF) | (i->lock ? IR_LOCK : 0);
}

/* ADCX and ADOX: an addition with carry in C (O), of which only that flag comes out. */
void x86_emit_adx(X86Trans *x, const X86Insn *i)
{
    TransCtx *t = x->t;
    unsigned size = i->o[0].size;
    x86_read_operand(x, i, &i->o[1]);
    IrRef src = x86_value(x, i, &i->o[1]), before = ir_temp(t), d = x86_ref(&i->o[0]);
    ir_op2(t, IR_GETF, 4, before, IR_NONE);
    if (i->op->arg == FLAG_C) {
        ir_op3(t, IR_ADC, size, d, d, src)->flags = IR_SETF;
        ir_op2(t, IR_PUTF, 4, IR_NONE, before)->imm = FLAG_ALL & ~FLAG_C;
        return;
    }
    IrRef carry = ir_temp(t);
    ir_op3i(t, IR_SHR, 4, carry, before, 11);
    ir_op2(t, IR_PUTF, 4, IR_NONE, carry)->imm = FLAG_C;
    ir_op3(t, IR_ADC, size, d, d, src)->flags = IR_SETF;
    ir_op2(t, IR_GETF, 4, carry, IR_NONE);
    ir_op3i(t, IR_SHL, 4, carry, carry, 11);
    ir_op2(t, IR_PUTF, 4, IR_NONE, before)->imm = FLAG_ALL & ~FLAG_O;
    ir_op2(t, IR_PUTF, 4, IR_NONE, carry)->imm = FLAG_O;
}

/* --- shifts --- */
void x86_emit_shift(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    if (d == IR_MEM)
        x86_mem(x, i, i->o[0].size, true);
    x86_op(x, i, i->op->arg, i->o[0].size, d, d, x86_ref(&i->o[1]))->flags = IR_SETF;
}

void x86_emit_shiftd(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    if (d == IR_MEM)
        x86_mem(x, i, i->o[0].size, true);
    IrInsn *op = x86_op(x, i, i->op->arg, i->o[0].size, d, d, x86_ref(&i->o[1]));
    op->c = x86_ref(&i->o[2]);
    op->imm = i->imm;
    op->flags = IR_SETF;
}

/* SHLX, SHRX, SARX, RORX: no flags. */
void x86_emit_shiftx(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[1]);
    x86_op(x, i, i->op->arg, i->o[0].size, x86_ref(&i->o[0]), x86_ref(&i->o[1]), x86_ref(&i->o[2]));
}

/* --- multiplication and division --- */
void x86_emit_mul(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[0]);
    IrInsn *op = x86_op(x, i, i->op->arg, i->o[0].size, IR_G(RAX), IR_G(RAX), x86_ref(&i->o[0]));
    if (i->o[0].size > 1)
        op->c = IR_G(RDX);
    op->flags = IR_SETF;
}

void x86_emit_div(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[0]);
    IrInsn *op = x86_op(x, i, i->op->arg, i->o[0].size, IR_G(RAX), IR_G(RAX), x86_ref(&i->o[0]));
    op->c = i->o[0].size > 1 ? IR_G(RDX) : IR_GH(RAX);
}

void x86_emit_imul2(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[1]);
    IrRef d = x86_ref(&i->o[0]);
    x86_op(x, i, IR_MUL, i->osize, d, d, x86_ref(&i->o[1]))->flags = IR_SETF;
}

void x86_emit_imul3(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[1]);
    x86_op(x, i, IR_MUL, i->osize, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_IMM)->flags = IR_SETF;
}

/* o[0]:o[1] = RDX * o[2]; the high half wins when both name one register. */
void x86_emit_mulx(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[2]);
    IrRef high = x86_ref(&i->o[0]), low = x86_ref(&i->o[1]);
    if (low == high)
        low = ir_temp(x->t);
    x86_op(x, i, IR_MULU2, i->o[0].size, low, IR_G(RDX), x86_ref(&i->o[2]))->c = high;
}

/* --- bits --- */
/* BT family. A register offset into memory selects the word: EA + size * (offset >> log2(bits)). */
void x86_emit_bt(X86Trans *x, const X86Insn *i)
{
    TransCtx *t = x->t;
    IrOp op = i->op->arg;
    unsigned size = i->osize;
    IrRef d = x86_ref(&i->o[0]), b = x86_ref(&i->o[1]);
    if (d == IR_MEM && b != IR_IMM) {
        unsigned log2_size = __builtin_ctz(size);
        IrRef word = x86_svalue(x, i, &i->o[1]), bit = ir_temp(t);
        ir_op3i(t, IR_SAR, 8, word, word, log2_size + 3);
        ir_op3i(t, IR_AND, size < 4 ? 4 : size, bit, b, size * 8 - 1);
        b = bit;
        IrRef ea = x86_operand_ea(x, i);
        x->mem = x86_addr(x, i->seg, ea, word, log2_size, 0, i->asize, size, op != IR_BT);
    } else if (d == IR_MEM) {
        x86_mem(x, i, size, op != IR_BT);
    }
    IrInsn *ir = x86_op(x, i, op, size, op == IR_BT ? IR_NONE : d, d, b);
    if (b == IR_IMM)
        ir->imm &= size * 8 - 1;
    ir->flags = IR_SETF | (i->lock ? IR_LOCK : 0);
}

/* BSF, BSR, TZCNT, LZCNT, POPCNT */
void x86_emit_bitscan(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[1]);
    x86_op(x, i, i->op->arg, i->osize, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_NONE)->flags = IR_SETF;
}

/* With a 16-bit operand undefined: zero, as CPUs do. */
void x86_emit_bswap(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    if (i->osize == 2)
        ir_movi(x->t, 2, d, 0);
    else
        ir_op2(x->t, IR_BSWAP, i->osize, d, d);
}

void x86_emit_andn(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[2]);
    x86_op(x, i, IR_ANDN, i->o[0].size, x86_ref(&i->o[0]), x86_ref(&i->o[1]), x86_ref(&i->o[2]))->flags = IR_SETF;
}

/* BLSI, BLSR, BLSMSK */
void x86_emit_bls(X86Trans *x, const X86Insn *i)
{
    x86_read_operand(x, i, &i->o[1]);
    x86_op(x, i, i->op->arg, i->o[0].size, x86_ref(&i->o[0]), x86_ref(&i->o[1]), IR_NONE)->flags = IR_SETF;
}

/* BEXTR, BZHI, PDEP, PEXT */
void x86_emit_bmi3(X86Trans *x, const X86Insn *i)
{
    IrOp op = i->op->arg;
    x86_read_operand(x, i, &i->o[1]);
    x86_read_operand(x, i, &i->o[2]);
    x86_op(x, i, op, i->o[0].size, x86_ref(&i->o[0]), x86_ref(&i->o[1]), x86_ref(&i->o[2]))->flags =
        op == IR_BEXTR || op == IR_BZHI ? IR_SETF : 0;
}

void x86_emit_crc32(X86Trans *x, const X86Insn *i)
{
    IrRef d = x86_ref(&i->o[0]);
    x86_read_operand(x, i, &i->o[1]);
    x86_op(x, i, IR_CRC32C, i->o[1].size, d, d, x86_ref(&i->o[1]));
}

/* --- decimal --- */
void x86_emit_bcd(X86Trans *x, const X86Insn *i)
{
    static const void *const fn[] = { [BCD_DAA] = x86_help_daa, [BCD_DAS] = x86_help_das, [BCD_AAA] = x86_help_aaa,
                                      [BCD_AAS] = x86_help_aas, [BCD_AAD] = x86_help_aad };
    x86_call(x, fn[i->op->arg], H_G | H_F | H_W, IR_NONE, i->has_imm ? A_IMM(i->imm) : A_NONE, A_NONE, A_NONE);
}

void x86_emit_aam(X86Trans *x, const X86Insn *i)
{
    x86_call(x, x86_help_aam, H_R | H_G | H_F | H_W, IR_NONE, A_IMM(i->imm), A_NONE, A_NONE);
}

/* --- flags --- */
void x86_emit_salc(X86Trans *x, const X86Insn *i)
{
    IrRef t = ir_temp(x->t);
    ir_op2(x->t, IR_SETCC, 1, t, IR_NONE)->cond = IRC_C;
    ir_op2(x->t, IR_NEG, 1, IR_G(RAX), t);
}

void x86_emit_carry(X86Trans *x, const X86Insn *i)
{
    IrRef t = ir_temp(x->t);
    ir_movi(x->t, 4, t, i->op->arg);
    ir_op2(x->t, IR_PUTF, 4, IR_NONE, t)->imm = FLAG_C;
}

void x86_emit_cmc(X86Trans *x, const X86Insn *i)
{
    ir_emit(x->t, IR_CMC, 4)->flags = IR_SETF;
}

enum { AH_FLAGS = FLAG_C | FLAG_P | FLAG_A | FLAG_Z | FLAG_S };

void x86_emit_sahf(X86Trans *x, const X86Insn *i)
{
    IrRef t = ir_temp(x->t);
    ir_extend(x->t, IR_ZEXT, 1, 4, t, IR_GH(RAX));
    ir_op2(x->t, IR_PUTF, 4, IR_NONE, t)->imm = AH_FLAGS;
}

void x86_emit_lahf(X86Trans *x, const X86Insn *i)
{
    IrRef t = ir_temp(x->t);
    ir_op2(x->t, IR_GETF, 4, t, IR_NONE);
    ir_op3i(x->t, IR_AND, 4, t, t, AH_FLAGS);
    ir_op3i(x->t, IR_OR, 4, t, t, 2);
    ir_op2(x->t, IR_MOV, 1, IR_GH(RAX), t);
}

/* CBW, CWDE, CDQE */
void x86_emit_cbw(X86Trans *x, const X86Insn *i)
{
    ir_extend(x->t, IR_SEXT, i->osize / 2, i->osize, IR_G(RAX), IR_G(RAX));
}

/* CWD, CDQ, CQO */
void x86_emit_cwd(X86Trans *x, const X86Insn *i)
{
    ir_op3i(x->t, IR_SAR, i->osize, IR_G(RDX), IR_G(RAX), i->osize * 8 - 1);
}
