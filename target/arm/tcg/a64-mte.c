/* SPDX-License-Identifier: MIT */
/* A64: memory tagging (DDI 0487, D10): tags of pointers here, tags of memory in help-mte.c. */
#include "target/arm/tcg/a64.h"

enum { TAG_POST = 1, TAG_PRE = 3, GRANULE_BITS = 4 };

void arm_a64_addg(ArmTrans *x, const A64Insn *i)
{
    uint64_t offset = (uint64_t)i->imm << GRANULE_BITS;
    arm_call(x, arm_help_addg, 0, IR_G(i->rd), A_REF(IR_G(i->rn)), A_IMM(i->sub ? -offset : offset),
             A_IMM((unsigned)i->tag));
    a64_sp_moved(x, i->rd, 1);
}

void arm_a64_irg(ArmTrans *x, const A64Insn *i)
{
    arm_call(x, arm_help_irg, 0, IR_G(i->rd), A_REF(IR_G(i->rn)), A_REF(arm_value(x, i->rm)), A_NONE);
    a64_sp_moved(x, i->rd, 1);
}

/* rd = rm with the bit of rn's tag set. */
void arm_a64_gmi(ArmTrans *x, const A64Insn *i)
{
    IrRef tag = ir_temp(x->t), bit = ir_temp(x->t);
    ir_op3i(x->t, IR_SHR, 8, tag, IR_G(i->rn), 56);
    ir_op3i(x->t, IR_AND, 4, tag, tag, 15);
    ir_movi(x->t, 4, bit, 1);
    ir_op3(x->t, IR_SHL, 4, bit, bit, tag);
    ir_op3(x->t, IR_OR, 8, arm_xw(x, i->rd), arm_value(x, i->rm), bit);
}

/* The difference of two addresses of 56 bits, sign-extended. */
void arm_a64_subp(ArmTrans *x, const A64Insn *i)
{
    IrRef a = ir_temp(x->t), b = ir_temp(x->t);
    ir_op3i(x->t, IR_SHL, 8, a, IR_G(i->rn), 8);
    ir_op3i(x->t, IR_SAR, 8, a, a, 8);
    ir_op3i(x->t, IR_SHL, 8, b, IR_G(i->rm), 8);
    ir_op3i(x->t, IR_SAR, 8, b, b, 8);
    ir_op3(x->t, IR_SUB, 8, arm_xw(x, i->rd), a, b)->flags = i->setf ? IR_SETF : 0;
}

/* STG, STZG, ST2G, STZ2G: the tag of rt's value (rt 31: SP) for one granule or two. */
void arm_a64_stg(ArmTrans *x, const A64Insn *i)
{
    int64_t offset = (int64_t)i->imm * (1 << GRANULE_BITS);
    IrMem m = arm_mem_index(x, IR_G(i->rn), IR_NONE, 0, i->mode == TAG_POST ? 0 : offset, i->pair ? 32 : 16, 1,
                            ARM_MEM_WRITE | ARM_MEM_NO_TAG);
    IrRef at = arm_address(x, &m);
    arm_call(x, arm_help_stg, H_R, IR_NONE, A_REF(at), A_REF(IR_G(i->rt)),
             A_IMM((unsigned)i->pair | (unsigned)i->zero << 1));
    if (i->mode != 2)
        a64_writeback(x, i->rn, offset);
}

void arm_a64_ldg(ArmTrans *x, const A64Insn *i)
{
    IrMem m = arm_mem_index(x, IR_G(i->rn), IR_NONE, 0, (int64_t)i->imm * (1 << GRANULE_BITS), 16, 1, ARM_MEM_NO_TAG);
    IrRef at = arm_address(x, &m);
    arm_call(x, arm_help_ldg, H_R, arm_xw(x, i->rt), A_REF(at), A_REF(arm_value(x, i->rt)), A_NONE);
}

/* The tag comes from the address; two registers are stored, too. */
void arm_a64_stgp(ArmTrans *x, const A64Insn *i)
{
    int64_t offset = (int64_t)i->imm * (1 << GRANULE_BITS);
    IrMem m = arm_mem_index(x, IR_G(i->rn), IR_NONE, 0, i->mode == TAG_POST ? 0 : offset, 16, 1,
                            ARM_MEM_WRITE | ARM_MEM_NO_TAG);
    m = arm_mem_pin(x, &m);
    IrMem second = m;
    second.disp = 8;
    arm_call(x, arm_help_stg, H_R, IR_NONE, A_REF(m.base), A_REF(m.base), A_IMM(0));
    arm_store(x, 8, &m, arm_xr(i->rt));
    arm_store(x, 8, &second, arm_xr(i->rt2));
    if (i->mode & 1)
        a64_writeback(x, i->rn, offset);
}

/* Blocks of tags: EL1 and above. */
void arm_a64_stgm(ArmTrans *x, const A64Insn *i)
{
    if (x->el == 0)
        arm_undefined(x);
    else
        arm_call(x, arm_help_stgm, H_R, IR_NONE, A_REF(IR_G(i->rn)), A_REF(arm_value(x, i->rt)),
                 A_IMM((unsigned)i->zero));
}

void arm_a64_ldgm(ArmTrans *x, const A64Insn *i)
{
    if (x->el == 0)
        arm_undefined(x);
    else
        arm_call(x, arm_help_ldgm, H_R, arm_xw(x, i->rt), A_REF(IR_G(i->rn)), A_NONE, A_NONE);
}
