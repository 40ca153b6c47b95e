/* SPDX-License-Identifier: MIT */
/*
 * T32: what A32 does not have: IT, PUSH and POP, wide branches, conditional select, low-overhead loops, M-profile
 * system instructions.
 */
#include "target/arm/tcg/a32.h"
#include "target/arm/tcg/a32-fp.h"
#include "target/arm/tcg/help-a32.h"

E(it) { x->it_next = (uint8_t)i->imm; }

/* r: LR or PC too. */
E(push)
{
    A32Insn n = *i;
    n.rn = 13, n.p = 1, n.w = 1, n.list |= i->r << 14;
    arm_a32_ldm(x, &n);
}

E(pop)
{
    A32Insn n = *i;
    n.rn = 13, n.u = 1, n.w = 1, n.l = 1, n.list |= i->r << 15;
    arm_a32_ldm(x, &n);
}

/* A load writes back when the base is not loaded. */
E(t16_ldm)
{
    A32Insn n = *i;
    n.u = 1, n.w = !(i->l && i->list >> i->rn & 1);
    arm_a32_ldm(x, &n);
}

E(t16_cps)
{
    A32Insn n = *i;
    n.op = 2 | i->op;
    arm_a32_cps(x, &n);
}

/* J1 and J2 are I1 and I2 inverted when S is 0 (DDI 0406C, A8.8.18, A8.8.25). */
static A32Insn wide_branch(const A32Insn *i)
{
    A32Insn n = *i;
    if (n.imm >= 0)
        n.imm ^= 0xc00000;
    return n;
}

E(t32_b)
{
    A32Insn n = wide_branch(i);
    arm_a32_b(x, &n);
}

E(t32_bl)
{
    A32Insn n = wide_branch(i);
    arm_a32_bl(x, &n);
}

E(t32_blx)
{
    A32Insn n = wide_branch(i);
    arm_a32_blx(x, &n);
}

E(t32_msr)
{
    A32Insn n = *i;
    n.rm = i->rn;
    arm_a32_msr(x, &n);
}

E(t32_msr_bank)
{
    A32Insn n = *i;
    n.rm = i->rn;
    arm_a32_msr_bank(x, &n);
}

/* --- v8.1-M: conditional select; register 15 is zero --- */
static IrRef zero_reg(ArmTrans *x, int n) { return n == 15 ? a32_const(x, 0) : IR_G(n); }

E(csel) /* op: 0 CSEL, 1 CSINC, 2 CSINV, 3 CSNEG */
{
    IrRef no = a32_copy(x, zero_reg(x, i->rm)), yes = zero_reg(x, i->rn), d = ir_temp(x->t);
    if (i->op == 1)
        ir_op3i(x->t, IR_ADD, 4, no, no, 1);
    else if (i->op == 2)
        ir_op2(x->t, IR_NOT, 4, no, no);
    else if (i->op == 3)
        ir_op2(x->t, IR_NEG, 4, no, no);
    if (i->cond >= 14) {
        ir_op2(x->t, IR_MOV, 4, d, yes);
    } else {
        IrInsn *op = ir_op3(x->t, IR_CMOV, 4, d, no, yes);
        op->cond = arm_cond((unsigned)i->cond);
    }
    a32_set(x, (unsigned)i->rd, d);
}

/* CLRM: bit 15 is APSR. */
E(clrm)
{
    for (unsigned n = 0; n < 15; n++)
        if (i->list >> n & 1)
            ir_movi(x->t, 4, IR_G(n), 0);
    if (!(i->list >> 15 & 1))
        return;
    ir_op2(x->t, IR_PUTF, 4, IR_NONE, a32_const(x, FLAG_C))->imm = FLAG_S | FLAG_Z | FLAG_C | FLAG_O;
    x->flags_changed = true;
    ir_stei(x->t, 4, offsetof(ArmCpu, q), 0);
    ir_stei(x->t, 4, offsetof(ArmCpu, ge), 0);
}

/* --- v8.1-M: low-overhead loops (DDI 0553, C2.4: DLS, WLS, LE, LCTP). size 4: no tail predication --- */
static void set_ltpsize(ArmTrans *x, unsigned size)
{
    arm_call(x, arm_help_a32_set_ltpsize, H_R, IR_NONE, A_IMM(size), A_NONE, A_NONE);
}

E(dls)
{
    if (i->size < 4 && !a32_fp_usable(x, false))
        return;
    ir_op2(x->t, IR_MOV, 4, IR_G(14), a32_reg(x, (unsigned)i->rn));
    if (i->size < 4) {
        set_ltpsize(x, (unsigned)i->size);
        a32_end_next(x);
    }
}

E(wls)
{
    if (i->size < 4 && !a32_fp_usable(x, false))
        return;
    unsigned skip = ir_new_label(x->t);
    IrRef n = a32_copy(x, a32_reg(x, (unsigned)i->rn));
    ir_brz(x->t, IR_BRZ, 4, n, skip);
    ir_op2(x->t, IR_MOV, 4, IR_G(14), n);
    if (i->size < 4)
        set_ltpsize(x, (unsigned)i->size);
    arm_set_pc(x, (uint32_t)x->next_pc);
    ir_emit(x->t, IR_LOOKUP, 8);
    ir_label(x->t, IR_LABEL, skip);
    a32_branch(x, a32_pc(x) + (uint32_t)i->imm);
}

E(le) /* op: 0 counts by 1, 1 by the elements of a vector, 2 without count */
{
    uint32_t to = a32_pc(x) - (uint32_t)i->imm;
    if (i->op == 1 ? !a32_fp_usable(x, false) : x->mode & ARM_MODE_MVE_TAIL && !(x->mode & ARM_MODE_FP_CONTEXT)) {
        if (i->op != 1) /* a loop with tail predication ends with LETP: INVSTATE */
            arm_call(x, arm_help_a32_invstate, H_R, IR_NONE, A_NONE, A_NONE, A_NONE);
        return;
    }
    if (i->op == 2) {
        a32_branch(x, to);
        return;
    }
    unsigned out = ir_new_label(x->t);
    IrRef step = a32_const(x, 1), done = ir_temp(x->t);
    if (i->op == 1)
        arm_call(x, arm_help_a32_tail_elements, H_P, step, A_NONE, A_NONE, A_NONE);
    arm_call(x, arm_help_a32_not_above, H_P | H_G, done, A_REF(IR_G(14)), A_REF(step), A_NONE);
    ir_brz(x->t, IR_BRNZ, 4, done, out);
    ir_op3(x->t, IR_SUB, 4, IR_G(14), IR_G(14), step);
    ir_goto(x->t, IR_CHECK, to);
    ir_goto(x->t, IR_GOTO, to);
    ir_label(x->t, IR_LABEL, out);
    if (i->op == 1) {
        set_ltpsize(x, 4);
        a32_end_next(x);
    }
}

E(lctp)
{
    if (!a32_fp_usable(x, false))
        return;
    set_ltpsize(x, 4);
    a32_end_next(x);
}

/* --- M-profile system --- */
E(m_cps) /* op: disable; mask: I F */
{
    if (x->el) {
        arm_call(x, arm_help_m_cps, H_R, IR_NONE, A_IMM((uint32_t)i->op), A_IMM((uint32_t)i->mask), A_NONE);
        a32_end_exit(x);
    }
}

E(m_mrs)
{
    IrRef d = ir_temp(x->t);
    arm_call(x, arm_help_m_mrs, H_R | H_F, d, A_IMM((uint32_t)i->imm), A_NONE, A_NONE);
    a32_set(x, (unsigned)i->rd, d);
}

E(m_msr)
{
    arm_call(x, arm_help_m_msr, H_R | H_F | H_W, IR_NONE, A_IMM((uint32_t)i->imm), A_REF(a32_reg(x, (unsigned)i->rn)),
             A_IMM((uint32_t)i->mask));
    x->flags_changed = true;
    a32_end_exit(x);
}

E(sg)
{
    arm_call(x, arm_help_m_sg, H_R | H_F | H_W, IR_NONE, A_IMM((uint32_t)x->pc), A_NONE, A_NONE);
    a32_end_lookup(x);
}

E(tt) /* op: A, T */
{
    IrRef d = ir_temp(x->t);
    arm_call(x, arm_help_m_tt, H_R | H_F, d, A_REF(IR_G(i->rn)), A_IMM((uint32_t)(i->op >> 1 | (i->op & 1) << 1)),
             A_NONE);
    a32_set(x, (unsigned)i->rd, d);
}

E(bxns)
{
    if (!(x->mode & ARM_MODE_SECURE)) {
        arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_m_bxns, H_R | H_F | H_W, IR_NONE, A_REF(IR_G(i->rm)), A_NONE, A_NONE);
    a32_end_lookup(x);
}

E(blxns)
{
    if (!(x->mode & ARM_MODE_SECURE)) {
        arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_m_blxns, H_R | H_F | H_W, IR_NONE, A_REF(IR_G(i->rm)), A_IMM(((uint32_t)x->pc + 2) | 1),
             A_NONE);
    a32_end_lookup(x);
}
