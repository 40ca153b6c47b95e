/* SPDX-License-Identifier: MIT */
/* A64: barriers, system registers and instructions, PSTATE by immediate (DDI 0487, C5). */
#include "target/arm/tcg/a64.h"

static const uint32_t key_nzcv = ARM_SYS_KEY(3, 3, 4, 2, 0);
enum { ZVA_BYTES = 64 };

/* --- barriers --- */
/*
 * DSB and DMB: loads are ordered on the host already; all but the load and the store kinds order stores before loads.
 */
void arm_a64_barrier(ArmTrans *x, const A64Insn *i)
{
    bool kind = (i->crm & 3) == 3 || !(i->crm & 3);
    ir_emit(x->t, IR_FENCE, 8)->imm = kind;
    if ((x->insn >> 5 & 7) == 4) /* DSB */
        arm_wait_broadcasts(x);
}
void arm_a64_sb(ArmTrans *x, const A64Insn *i) { ir_emit(x->t, IR_FENCE, 8); }
void arm_a64_isb(ArmTrans *x, const A64Insn *i) { arm_end_next(x); }

/* --- registers --- */
/* ISS of a trapped MSR, MRS or SYS (DDI 0487, D19.2.37). */
static uint32_t trap_iss(const A64Insn *i, unsigned op0, bool read)
{
    return (uint32_t)(op0 << 20 | i->op2 << 17 | i->op1 << 14 | i->crn << 10 | i->rt << 5 | i->crm << 1 | read);
}

static uint32_t key_of(const A64Insn *i, unsigned op0) { return ARM_SYS_KEY(op0, i->op1, i->crn, i->crm, i->op2); }

void arm_a64_mrs(ArmTrans *x, const A64Insn *i)
{
    unsigned op0 = 2u + (unsigned)i->o0;
    uint32_t key = key_of(i, op0);
    if (key == key_nzcv) {
        IrRef nzcv = ir_temp(x->t);
        a64_get_nzcv(x, nzcv);
        if (i->rt != 31)
            ir_op2(x->t, IR_MOV, 4, IR_G(i->rt), nzcv);
        return;
    }
    ArmSysregUse use = arm_sysreg_lookup(x->c, key, false);
    IrRef d = arm_xw(x, i->rt);
    if (use.known && use.constant)
        ir_movi(x->t, 8, d, use.value);
    else if (use.known && use.offset)
        ir_lde(x->t, use.size, d, use.offset);
    else
        arm_call(x, arm_help_mrs, H_R | H_F, d, A_IMM(key), A_IMM(trap_iss(i, op0, true)), A_NONE);
}

static void after_write(ArmTrans *x, const ArmSysregUse *use)
{
    if (use->exit)
        arm_end_exit(x);
    else if (use->lookup)
        arm_end_next(x);
}

void arm_a64_msr(ArmTrans *x, const A64Insn *i)
{
    unsigned op0 = 2u + (unsigned)i->o0;
    uint32_t key = key_of(i, op0);
    if (key == key_nzcv) {
        a64_put_nzcv(x, arm_value(x, i->rt), 0xf0000000);
        return;
    }
    ArmSysregUse use = arm_sysreg_lookup(x->c, key, true);
    if (use.known && use.nop)
        return;
    if (use.known && use.offset)
        ir_ste(x->t, use.size, use.offset, arm_value(x, i->rt));
    else
        arm_call(x, arm_help_msr, H_R | H_F, IR_NONE, A_IMM(key), A_REF(arm_value(x, i->rt)),
                 A_IMM(trap_iss(i, op0, false)));
    after_write(x, &use);
}

/* --- SYS: DC ZVA, GVA, GZVA here, the rest by sysregs.c --- */
static bool zero_block(ArmTrans *x, const A64Insn *i)
{
    if (i->op1 != 3 || i->crn != 7 || i->crm != 4 || !(i->op2 == 1 || (x->has->mte2 && (i->op2 == 3 || i->op2 == 4))))
        return false;
    IrRef at = ir_temp(x->t);
    ir_op3i(x->t, IR_AND, 8, at, arm_value(x, i->rt), ~(uint64_t)(ZVA_BYTES - 1));
    unsigned kind = i->op2 == 1 ? 0 : i->op2 == 3 ? 1 : 2;
    IrMem m = { .base = at, .index = IR_NONE };
    if (kind == 0)
        m = arm_mem(x, at, 0, ZVA_BYTES, ARM_MEM_WRITE | ARM_MEM_NO_ALIGN);
    arm_call(x, arm_help_zva, H_R | H_F, IR_NONE, A_REF(m.base), A_IMM(trap_iss(i, 1, false)), A_IMM(kind));
    return true;
}

void arm_a64_sys(ArmTrans *x, const A64Insn *i)
{
    if (zero_block(x, i))
        return;
    uint32_t key = key_of(i, 1);
    ArmSysregUse use = arm_sysreg_lookup(x->c, key, true);
    if (use.known && use.nop)
        return;
    arm_call(x, arm_help_sys, H_R | H_F, IR_NONE, A_IMM(key), A_REF(arm_value(x, i->rt)), A_IMM(trap_iss(i, 1, false)));
    after_write(x, &use);
}

void arm_a64_sysl(ArmTrans *x, const A64Insn *i)
{
    arm_call(x, arm_help_mrs, H_R | H_F, arm_xw(x, i->rt), A_IMM(key_of(i, 1)), A_IMM(trap_iss(i, 1, true)), A_NONE);
}

/* --- PSTATE fields by immediate --- */
/* DAIFSet and DAIFClr above EL0 without D, on which software step hangs: no mode changes. */
static bool daif_immediate(ArmTrans *x, const A64Insn *i)
{
    TransCtx *t = x->t;
    uint32_t bits = (uint32_t)(i->crm & 7) << 6;
    if (i->op1 != 3 || (i->op2 != 6 && i->op2 != 7) || x->el == 0 || i->crm & 8 || x->step)
        return false;
    IrRef daif = ir_temp(t);
    ir_lde(t, 4, daif, offsetof(ArmCpu, daif));
    ir_op3i(t, i->op2 == 6 ? IR_OR : IR_AND, 4, daif, daif, i->op2 == 6 ? bits : ~bits);
    ir_ste(t, 4, offsetof(ArmCpu, daif), daif);
    if (i->op2 == 7) { /* what waits is taken now */
        unsigned quiet = ir_new_label(t);
        ir_lde(t, 1, daif, offsetof(ArmCpu, v.irq_pending));
        ir_brz(t, IR_BRZ, 1, daif, quiet);
        ir_goto(t, IR_EXIT, x->next_pc);
        ir_label(t, IR_LABEL, quiet);
    }
    return true;
}

void arm_a64_msr_i(ArmTrans *x, const A64Insn *i)
{
    if (daif_immediate(x, i))
        return;
    arm_call(x, arm_help_msr_imm, H_R | H_F, IR_NONE, A_IMM((unsigned)(i->op1 << 3 | i->op2)), A_IMM((unsigned)i->crm),
             A_NONE);
    arm_end_exit(x);
}
