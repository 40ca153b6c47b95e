/* SPDX-License-Identifier: MIT */
/* Memory operands of Arm emitters: banks, byte order, alignment, and the checks that mode bits ask for. */
#include "target/arm/tcg/translate.h"

/*
 * Stack pointer misaligned: SP alignment fault (DDI 0487, D1.8.2). Known for the rest of the block until SP changes by
 * other than 16s.
 */
void arm_check_sp(ArmTrans *x)
{
    if (!(x->mode & ARM_MODE_SP_ALIGN) || x->sp_checked)
        return;
    ir_trap(x->t, 4, IR_G(ARM_SP), 15, arm_help_sp_align);
    x->sp_checked = true;
}

IrRef arm_address(ArmTrans *x, const IrMem *m)
{
    IrRef at = ir_temp(x->t);
    IrInsn *lea = ir_op2(x->t, IR_LEA, m->asize, at, IR_NONE);
    lea->m = *m;
    lea->m.align = 0;
    return at;
}

IrMem arm_mem_pin(ArmTrans *x, const IrMem *m)
{
    IrMem pinned = *m;
    pinned.base = arm_address(x, m);
    pinned.index = IR_NONE, pinned.scale = 0, pinned.disp = 0;
    return pinned;
}

static void check_access(ArmTrans *x, IrMem *m, unsigned size, unsigned flags)
{
    bool watch = x->mode & ARM_MODE_WATCHPOINT;
    bool tags = !(flags & ARM_MEM_NO_TAG) && x->mode & (flags & ARM_MEM_UNPRIV ? ARM_MODE_MTE_U : ARM_MODE_MTE);
    if (!watch && !tags)
        return;
    *m = arm_mem_pin(x, m);
    if (watch)
        arm_call(x, arm_help_watchpoint, H_R | H_P, IR_NONE, A_REF(m->base), A_IMM(size),
                 A_IMM(flags & ARM_MEM_WRITE ? 1 : 0));
    if (tags)
        arm_call(x, arm_help_tag_check, H_R | H_P, IR_NONE, A_REF(m->base), A_IMM(size),
                 A_IMM(flags & (ARM_MEM_WRITE | ARM_MEM_UNPRIV)));
}

IrMem arm_mem_index(ArmTrans *x, IrRef base, IrRef index, unsigned scale, int64_t disp, unsigned size, unsigned align,
                    unsigned flags)
{
    IrMem m = { .base = base, .index = index, .scale = scale, .asize = x->a64 ? 8 : 4, .disp = (int32_t)disp,
                .bank = flags & ARM_MEM_UNPRIV ? x->ubank : x->bank };
    if (x->a64 && disp != (int32_t)disp) { /* literals */
        m.base = arm_const(x, disp);
        m.disp = 0;
    }
    if (!align)
        align = size;
    if (align > 1 && (flags & ARM_MEM_ALIGN || (x->mode & ARM_MODE_ALIGN && !(flags & ARM_MEM_NO_ALIGN))))
        m.align = align;
    if (x->a64 && base == IR_G(ARM_SP))
        arm_check_sp(x);
    check_access(x, &m, size, flags);
    return m;
}

void arm_load(ArmTrans *x, unsigned size, IrRef d, const IrMem *m)
{
    IrInsn *i = size == 8 || size == 4 ? ir_load(x->t, size, d, m)
                                       : ir_extend(x->t, IR_ZEXT, size, x->a64 ? 8 : 4, d, IR_MEM);
    i->m = *m;
    i->flags |= x->be;
}

void arm_load_signed(ArmTrans *x, unsigned size, unsigned to, IrRef d, const IrMem *m)
{
    IrInsn *i = size == to ? ir_load(x->t, size, d, m) : ir_extend(x->t, IR_SEXT, size, to, d, IR_MEM);
    i->m = *m;
    i->flags |= x->be;
}

void arm_store(ArmTrans *x, unsigned size, const IrMem *m, IrRef value)
{
    ir_store(x->t, size, m, value)->flags |= x->be;
}

/* DSB: TLB maintenance that this CPU has broadcast is complete behind it. */
void arm_wait_broadcasts(ArmTrans *x)
{
    unsigned done = ir_new_label(x->t);
    IrRef sent = ir_temp(x->t);
    ir_lde(x->t, 1, sent, offsetof(ArmCpu, tlbi_sent));
    ir_brz(x->t, IR_BRZ, 1, sent, done);
    arm_call(x, arm_help_dsb, H_R, IR_NONE, A_NONE, A_NONE, A_NONE);
    ir_label(x->t, IR_LABEL, done);
}
