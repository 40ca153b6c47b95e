/* SPDX-License-Identifier: MIT */
/* A64: loads and stores of one register and of pairs (DDI 0487, C4.1.94). */
#include "target/arm/tcg/a64.h"

enum { MODE_UNSCALED, MODE_POST, MODE_UNPRIV, MODE_PRE, PAIR_NON_TEMPORAL = 0, PAIR_OFFSET = 2 };

void a64_writeback(ArmTrans *x, unsigned rn, int64_t imm)
{
    ir_op3i(x->t, IR_ADD, 8, IR_G(rn), IR_G(rn), (uint64_t)imm);
    a64_sp_moved(x, rn, imm);
}

/* sx: 0 zero-extended, 1 signed to 64 bits, 2 signed to 32 bits. */
static void load(ArmTrans *x, unsigned size, unsigned sx, IrRef d, const IrMem *m)
{
    if (sx)
        arm_load_signed(x, size, sx == 1 ? 8 : 4, d, m);
    else
        arm_load(x, size, d, m);
}

void arm_a64_load_lit(ArmTrans *x, const A64Insn *i)
{
    unsigned size = i->sz ? 8 : 4;
    IrMem m = arm_mem(x, IR_NONE, (int64_t)(x->pc + (int64_t)i->imm), size, ARM_MEM_NO_TAG);
    load(x, size, i->sx, arm_xw(x, i->rt), &m);
}

/* --- one register, signed 9-bit offset --- */
static IrMem operand9(ArmTrans *x, const A64Insn *i, unsigned flags)
{
    int64_t offset = i->mode == MODE_POST ? 0 : i->imm;
    unsigned plain = i->rn == 31 && (i->mode == MODE_UNSCALED || i->mode == MODE_UNPRIV) ? ARM_MEM_NO_TAG : 0;
    return arm_mem(x, IR_G(i->rn), offset, 1u << i->size,
                   flags | plain | (i->mode == MODE_UNPRIV ? ARM_MEM_UNPRIV : 0));
}

void arm_a64_store9(ArmTrans *x, const A64Insn *i)
{
    IrMem m = operand9(x, i, ARM_MEM_WRITE);
    arm_store(x, 1u << i->size, &m, arm_xr(i->rt));
    if (i->mode & 1)
        a64_writeback(x, i->rn, i->imm);
}

void arm_a64_load9(ArmTrans *x, const A64Insn *i)
{
    IrMem m = operand9(x, i, 0);
    load(x, 1u << i->size, i->sx, arm_xw(x, i->rt), &m);
    if (i->mode & 1 && (i->rt != i->rn || i->rn == 31))
        a64_writeback(x, i->rn, i->imm);
}

/* --- register offset, unsigned offset --- */
static IrMem operand_r(ArmTrans *x, const A64Insn *i, unsigned flags)
{
    IrRef index = IR_NONE;
    if (i->rm != 31)
        index = a64_extended(x, 8, i->rm, i->wide ? 3 : i->sxt ? 6 : 2, 0);
    return arm_mem_index(x, IR_G(i->rn), index, i->s ? (unsigned)i->size : 0, 0, 1u << i->size, 0, flags);
}

void arm_a64_store_r(ArmTrans *x, const A64Insn *i)
{
    IrMem m = operand_r(x, i, ARM_MEM_WRITE);
    arm_store(x, 1u << i->size, &m, arm_xr(i->rt));
}

void arm_a64_load_r(ArmTrans *x, const A64Insn *i)
{
    IrMem m = operand_r(x, i, 0);
    load(x, 1u << i->size, i->sx, arm_xw(x, i->rt), &m);
}

/* PRFM: of data, not of code; the registers only name an address. */
static void prefetch(ArmTrans *x, const A64Insn *i, IrRef index, unsigned scale, int32_t offset)
{
    if ((i->rt >> 3 & 3) == 1)
        return;
    IrInsn *op = ir_op2(x->t, IR_PREFETCH, 8, IR_NONE, IR_MEM);
    op->m = (IrMem){
        .base = IR_G(i->rn), .index = index, .scale = (uint8_t)scale, .disp = offset, .asize = 8, .bank = x->bank
    };
}

void arm_a64_prefetch_u(ArmTrans *x, const A64Insn *i) { prefetch(x, i, IR_NONE, 0, (int32_t)i->imm * 8); }

void arm_a64_prefetch_r(ArmTrans *x, const A64Insn *i)
{
    IrRef index = i->rm == 31 ? IR_NONE : a64_extended(x, 8, i->rm, i->wide ? 3 : i->sxt ? 6 : 2, 0);
    prefetch(x, i, index, i->s ? 3 : 0, 0);
}

static IrMem operand_u(ArmTrans *x, const A64Insn *i, unsigned flags)
{
    return arm_mem(x, IR_G(i->rn), (int64_t)i->imm * (1 << i->size), 1u << i->size,
                   flags | (i->rn == 31 ? ARM_MEM_NO_TAG : 0));
}

void arm_a64_store_u(ArmTrans *x, const A64Insn *i)
{
    IrMem m = operand_u(x, i, ARM_MEM_WRITE);
    arm_store(x, 1u << i->size, &m, arm_xr(i->rt));
}

void arm_a64_load_u(ArmTrans *x, const A64Insn *i)
{
    IrMem m = operand_u(x, i, 0);
    load(x, 1u << i->size, i->sx, arm_xw(x, i->rt), &m);
}

/* --- pairs: two accesses off the same base, which the back end checks as one --- */
static void pair_operands(ArmTrans *x, const A64Insn *i, IrMem m[2], unsigned flags)
{
    unsigned size = 1u << i->size;
    int64_t offset = i->mode == MODE_POST ? 0 : (int64_t)i->imm * (1 << i->size);
    if (i->rn == 31 && (i->mode == PAIR_OFFSET || i->mode == PAIR_NON_TEMPORAL))
        flags |= ARM_MEM_NO_TAG;
    m[0] = arm_mem_index(x, IR_G(i->rn), IR_NONE, 0, offset, 2 * size, size, flags);
    m[1] = m[0];
    m[1].disp += (int32_t)size;
}

void arm_a64_store_pair(ArmTrans *x, const A64Insn *i)
{
    IrMem m[2];
    pair_operands(x, i, m, ARM_MEM_WRITE);
    arm_store(x, 1u << i->size, &m[0], arm_xr(i->rt));
    arm_store(x, 1u << i->size, &m[1], arm_xr(i->rt2));
    if (i->mode & 1)
        a64_writeback(x, i->rn, (int64_t)i->imm * (1 << i->size));
}

void arm_a64_load_pair(ArmTrans *x, const A64Insn *i)
{
    IrMem m[2];
    pair_operands(x, i, m, 0);
    /* the first value waits in a temporary: the second access may fault */
    IrRef first = ir_temp(x->t);
    load(x, 1u << i->size, i->sx, first, &m[0]);
    load(x, 1u << i->size, i->sx, arm_xw(x, i->rt2), &m[1]);
    if (i->rt != 31)
        ir_op2(x->t, IR_MOV, 8, IR_G(i->rt), first);
    if (i->mode & 1 && (i->rn == 31 || (i->rt != i->rn && i->rt2 != i->rn)))
        a64_writeback(x, i->rn, (int64_t)i->imm * (1 << i->size));
}

/* LDRAA, LDRAB: the base is authenticated first (key DA or DB, modifier 0). */
void arm_a64_ldra(ArmTrans *x, const A64Insn *i)
{
    IrRef base = ir_temp(x->t), at = ir_temp(x->t);
    int64_t offset = (int64_t)i->imm * 8;
    if (i->rn == 31)
        arm_check_sp(x);
    a64_pauth(x, base, IR_G(i->rn), A_IMM(0), PAUTH_CHECK | PAUTH_COMBINED | (i->m ? PAUTH_DB : PAUTH_DA));
    ir_op3i(x->t, IR_ADD, 8, at, base, (uint64_t)offset);
    IrMem m = arm_mem(x, at, 0, 8, 0);
    arm_load(x, 8, arm_xw(x, i->rt), &m);
    if (i->w && (i->rt != i->rn || i->rn == 31)) {
        ir_op2(x->t, IR_MOV, 8, IR_G(i->rn), at);
        a64_sp_moved(x, i->rn, 1);
    }
}

/* --- ordered: x86 keeps loads and stores in order, but for a store before a later load --- */
static void fence(ArmTrans *x, bool full) { ir_emit(x->t, IR_FENCE, 8)->imm = full; }

static void store_release(ArmTrans *x, const A64Insn *i, int64_t offset)
{
    IrMem m = arm_mem(x, IR_G(i->rn), offset, 1u << i->size, ARM_MEM_WRITE | ARM_MEM_ALIGN);
    fence(x, false);
    arm_store(x, 1u << i->size, &m, arm_xr(i->rt));
    fence(x, true); /* before a later LDAR */
}

static void load_acquire(ArmTrans *x, const A64Insn *i, int64_t offset, unsigned sx)
{
    IrMem m = arm_mem(x, IR_G(i->rn), offset, 1u << i->size, ARM_MEM_ALIGN);
    load(x, 1u << i->size, sx, arm_xw(x, i->rt), &m);
    fence(x, false);
}

void arm_a64_stlr(ArmTrans *x, const A64Insn *i) { store_release(x, i, 0); }
void arm_a64_stlur(ArmTrans *x, const A64Insn *i) { store_release(x, i, i->imm); }
void arm_a64_ldar(ArmTrans *x, const A64Insn *i) { load_acquire(x, i, 0, 0); }
void arm_a64_ldapr(ArmTrans *x, const A64Insn *i) { load_acquire(x, i, 0, 0); }
void arm_a64_ldapur(ArmTrans *x, const A64Insn *i) { load_acquire(x, i, i->imm, (unsigned)i->sx); }
