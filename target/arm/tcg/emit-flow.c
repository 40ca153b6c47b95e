/* SPDX-License-Identifier: MIT */
/* Branches and ends of blocks for all Arm instruction sets. */
#include "target/arm/tcg/translate.h"

IrCond arm_cond(unsigned cond)
{
    static const uint8_t of[14] = { IRC_Z,  IRC_NZ,  IRC_NC, IRC_C,  IRC_S,  IRC_NS, IRC_O,
                                    IRC_NO, IRC_NCZ, IRC_CZ, IRC_GE, IRC_LT, IRC_GT, IRC_LE };
    return of[cond];
}

void arm_brcc(ArmTrans *x, IrCond cond, unsigned label)
{
    IrInsn *br = ir_emit(x->t, IR_BRCC, 8);
    br->cond = cond, br->imm = label;
}

void arm_leave_stepping(ArmTrans *x)
{
    if (x->step)
        arm_call0(x, arm_help_insn_end, H_R | H_F);
    ir_emit(x->t, IR_LOOKUP, 8);
}

static void leave(ArmTrans *x)
{
    if (x->mode & ARM_MODE_T32)
        arm_t32_leave(x);
}

void arm_end_lookup(ArmTrans *x)
{
    arm_leave_stepping(x);
    x->ended = true;
}

void arm_end_next(ArmTrans *x)
{
    leave(x);
    arm_set_pc(x, x->next_pc);
    arm_end_lookup(x);
}

void arm_end_exit(ArmTrans *x)
{
    if (x->step) {
        arm_end_next(x);
        return;
    }
    leave(x);
    ir_goto(x->t, IR_EXIT, x->next_pc);
    x->ended = true;
}

void arm_side_goto(ArmTrans *x, uint64_t pc)
{
    leave(x);
    if (x->step) {
        arm_set_pc(x, pc);
        arm_leave_stepping(x);
        return;
    }
    if (pc <= x->pc)
        ir_goto(x->t, IR_CHECK, pc);
    ir_goto(x->t, IR_GOTO, pc);
}

void arm_end_goto(ArmTrans *x, uint64_t pc)
{
    arm_side_goto(x, pc);
    x->ended = true;
}

void arm_end_jump(ArmTrans *x, IrRef pc)
{
    leave(x);
    if (x->step) {
        ir_ste(x->t, 8, offsetof(ArmCpu, v.pc), pc);
        arm_end_lookup(x);
        return;
    }
    ir_op2(x->t, IR_JMP, 8, IR_NONE, pc);
    x->ended = true;
}

void arm_go_to(ArmTrans *x, uint64_t pc)
{
    if (!x->one && !x->it && pc > x->pc && (pc ^ x->pc) >> TCG_PAGE_BITS == 0)
        x->next_pc = pc;
    else
        arm_end_goto(x, pc);
}

/* Backward: the block ends here, the way on is the side exit. Forward: the jump is the side exit. */
void arm_branch_cond(ArmTrans *x, unsigned cond, uint64_t pc)
{
    IrCond c = arm_cond(cond);
    if (x->step || x->mode & ARM_MODE_T32) {
        unsigned label = ir_new_label(x->t);
        arm_brcc(x, c ^ 1, label);
        arm_side_goto(x, pc);
        ir_label(x->t, IR_LABEL, label);
    } else if (pc <= x->pc) {
        ir_goto_cond(x->t, c ^ 1, x->next_pc);
        arm_end_goto(x, pc);
    } else {
        ir_goto_cond(x->t, c, pc);
    }
}

void arm_branch_bits(ArmTrans *x, bool if_zero, unsigned size, IrRef a, uint64_t mask, uint64_t pc)
{
    if (x->step || x->mode & ARM_MODE_T32) {
        unsigned label = ir_new_label(x->t);
        if (mask) {
            IrRef bits = ir_temp(x->t);
            ir_op3i(x->t, IR_AND, size, bits, a, mask);
            a = bits;
        }
        ir_brz(x->t, if_zero ? IR_BRNZ : IR_BRZ, size, a, label);
        arm_side_goto(x, pc);
        ir_label(x->t, IR_LABEL, label);
        return;
    }
    bool back = pc <= x->pc;
    ir_goto_zero(x->t, if_zero != back ? IR_GOTOZ : IR_GOTONZ, size, a, mask, back ? x->next_pc : pc);
    if (back)
        arm_end_goto(x, pc);
}

void arm_branch_zero(ArmTrans *x, bool if_zero, unsigned size, IrRef a, uint64_t pc)
{
    arm_branch_bits(x, if_zero, size, a, 0, pc);
}
