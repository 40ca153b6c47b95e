/* SPDX-License-Identifier: MIT */
/* A64: branches, exceptions, hints (DDI 0487, C4.1.93). */
#include "target/arm/system.h"
#include "target/arm/tcg/a64.h"

void arm_a64_undef(ArmTrans *x, const A64Insn *i) { arm_undefined(x); }
void arm_a64_nop(ArmTrans *x, const A64Insn *i) {}

/* --- direct --- */
void arm_a64_b(ArmTrans *x, const A64Insn *i) { arm_go_to(x, x->pc + (int64_t)i->imm); }

void arm_a64_bl(ArmTrans *x, const A64Insn *i)
{
    ir_movi(x->t, 8, IR_G(30), x->pc + 4);
    arm_go_to(x, x->pc + (int64_t)i->imm);
}

void arm_a64_b_cond(ArmTrans *x, const A64Insn *i)
{
    uint64_t target = x->pc + (int64_t)i->imm;
    if (i->cond >= 14)
        arm_go_to(x, target);
    else
        arm_branch_cond(x, (unsigned)i->cond, target);
}

void arm_a64_cbz(ArmTrans *x, const A64Insn *i)
{
    arm_branch_zero(x, !i->op, a64_size(i), arm_value(x, i->rt), x->pc + (int64_t)i->imm);
}

void arm_a64_tbz(ArmTrans *x, const A64Insn *i)
{
    unsigned bit = (unsigned)i->bit, size = bit < 32 ? 4 : 8;
    arm_branch_bits(x, !i->op, size, arm_value(x, i->rt), UINT64_C(1) << bit, x->pc + (int64_t)i->imm);
}

/* --- computed: BTYPE is kept only where SCTLR.BT asks for checks --- */
static void set_btype(ArmTrans *x, unsigned btype)
{
    if (x->has->bti && x->mode & ARM_MODE_BTI)
        ir_stei(x->t, 1, offsetof(ArmCpu, btype), btype);
}

/* BR by another register than X16 and X17 from a guarded page counts as a jump, not as a veneer's call. */
static void set_btype_br(ArmTrans *x, unsigned rn)
{
    if (x->has->bti && x->mode & ARM_MODE_BTI)
        set_btype(x, rn == 16 || rn == 17 || !arm_page_is_guarded(x->c, x->pc) ? 1 : 3);
}

void arm_a64_br(ArmTrans *x, const A64Insn *i)
{
    set_btype_br(x, i->rn);
    arm_end_jump(x, arm_value(x, i->rn));
}

void arm_a64_blr(ArmTrans *x, const A64Insn *i)
{
    IrRef target = arm_value(x, i->rn);
    if (i->rn == 30) {
        target = ir_temp(x->t);
        ir_op2(x->t, IR_MOV, 8, target, IR_G(30));
    }
    set_btype(x, 2);
    ir_movi(x->t, 8, IR_G(30), x->pc + 4);
    arm_end_jump(x, target);
}

void arm_a64_ret(ArmTrans *x, const A64Insn *i) { arm_end_jump(x, arm_value(x, i->rn)); }

/* --- authenticated --- */
void a64_pauth(ArmTrans *x, IrRef d, IrRef ptr, ArmArg modifier, unsigned what)
{
    bool traps = x->has->el2 || x->has->el3, fails = x->has->fpac && what & PAUTH_CHECK && !(what & PAUTH_COMBINED);
    IrRef r = fails ? ir_temp(x->t) : d;
    arm_call(x, arm_help_pauth, traps ? H_R | H_P : H_G | H_P, r, A_REF(ptr), modifier, A_IMM(what));
    if (!fails)
        return;
    IrRef failed = ir_temp(x->t);
    ir_lde(x->t, 1, failed, offsetof(ArmCpu, fpac_failed));
    ir_trap(x->t, 4, failed, 0, arm_help_fpac);
    ir_op2(x->t, IR_MOV, 8, d, r);
}

static IrRef authenticated(ArmTrans *x, IrRef ptr, ArmArg modifier, unsigned key)
{
    IrRef r = ir_temp(x->t);
    a64_pauth(x, r, ptr, modifier, PAUTH_CHECK | PAUTH_COMBINED | key);
    return r;
}

/* BRAA, BLRAA and their B and Z forms: the modifier is rm (31: SP), or 0. */
void arm_a64_bra(ArmTrans *x, const A64Insn *i)
{
    IrRef target = authenticated(x, arm_value(x, i->rn), i->zero ? A_IMM(0) : A_REF(IR_G(i->rm)),
                                 i->m ? PAUTH_IB : PAUTH_IA);
    if (i->link) {
        set_btype(x, 2);
        ir_movi(x->t, 8, IR_G(30), x->pc + 4);
    } else {
        set_btype_br(x, i->rn);
    }
    arm_end_jump(x, target);
}

void arm_a64_reta(ArmTrans *x, const A64Insn *i)
{
    arm_end_jump(x, authenticated(x, IR_G(30), A_REF(IR_G(ARM_SP)), i->m ? PAUTH_IB : PAUTH_IA));
}

/* --- exceptions --- */
static void eret_trap(ArmTrans *x, unsigned iss)
{
    if (x->mode & ARM_MODE_FGT)
        arm_call(x, arm_help_eret_trap, H_R | H_F, IR_NONE, A_IMM(iss), A_NONE, A_NONE);
}

void arm_a64_eret(ArmTrans *x, const A64Insn *i)
{
    if (x->el == 0) {
        arm_undefined(x);
        return;
    }
    eret_trap(x, 0);
    arm_call0(x, arm_help_eret, H_R | H_F | H_W);
    arm_end_lookup(x);
}

void arm_a64_ereta(ArmTrans *x, const A64Insn *i)
{
    if (x->el == 0) {
        arm_undefined(x);
        return;
    }
    eret_trap(x, 2u | i->m);
    IrRef elr = ir_temp(x->t);
    ir_lde(x->t, 8, elr, offsetof(ArmCpu, elr_el[0]) + 8u * x->el);
    IrRef target = authenticated(x, elr, A_REF(IR_G(ARM_SP)), i->m ? PAUTH_IB : PAUTH_IA);
    ir_ste(x->t, 8, offsetof(ArmCpu, elr_el[0]) + 8u * x->el, target);
    arm_call0(x, arm_help_eret, H_R | H_F | H_W);
    arm_end_lookup(x);
}

void arm_a64_svc(ArmTrans *x, const A64Insn *i)
{
    arm_call(x, arm_help_svc, H_R | H_F, IR_NONE, A_IMM((unsigned)i->imm), A_IMM(4), A_NONE);
    arm_end_lookup(x);
}

static void call_firmware(ArmTrans *x, const void *helper, unsigned imm)
{
    if (x->el == 0) {
        arm_undefined(x);
        return;
    }
    arm_call(x, helper, H_R | H_F | H_W, IR_NONE, A_IMM(imm), A_IMM(4), A_NONE);
    arm_end_lookup(x);
}
void arm_a64_hvc(ArmTrans *x, const A64Insn *i) { call_firmware(x, arm_help_hvc, (unsigned)i->imm); }
void arm_a64_smc(ArmTrans *x, const A64Insn *i) { call_firmware(x, arm_help_smc, (unsigned)i->imm); }

static void breakpoint(ArmTrans *x, unsigned imm, unsigned hlt)
{
    arm_call(x, arm_help_bkpt, H_R | H_F | H_W, IR_NONE, A_IMM(imm), A_IMM(4), A_IMM(hlt));
    arm_end_lookup(x);
}
void arm_a64_brk(ArmTrans *x, const A64Insn *i) { breakpoint(x, (unsigned)i->imm, 0); }
void arm_a64_hlt(ArmTrans *x, const A64Insn *i) { breakpoint(x, (unsigned)i->imm, 1); }

/* --- hints --- */
void arm_a64_yield(ArmTrans *x, const A64Insn *i)
{
    arm_call0(x, arm_help_yield, H_R);
    arm_end_exit(x);
}

void arm_a64_wfx(ArmTrans *x, const A64Insn *i)
{
    arm_call(x, arm_help_wfi, H_R, IR_NONE, A_IMM((unsigned)i->kind), A_NONE, A_IMM(4));
    arm_end_exit(x);
}

void arm_a64_wfxt(ArmTrans *x, const A64Insn *i)
{
    arm_call(x, arm_help_wfi, H_R, IR_NONE, A_IMM(i->wfi ? 2 : 3), A_REF(arm_value(x, i->rd)), A_IMM(4));
    arm_end_exit(x);
}

void arm_a64_sev(ArmTrans *x, const A64Insn *i)
{
    arm_call(x, arm_help_sev, H_P, IR_NONE, A_IMM((unsigned)i->local), A_NONE, A_NONE);
}

/* PACIA1716, PACIASP, AUTIAZ ...: rn 32 is a zero modifier, 31 is SP. */
void arm_a64_pach(ArmTrans *x, const A64Insn *i)
{
    unsigned what = (i->k ? PAUTH_IB : PAUTH_IA) | (i->kind ? PAUTH_CHECK : PAUTH_ADD);
    a64_pauth(x, IR_G(i->rd), IR_G(i->rd), i->rn == 32 ? A_IMM(0) : A_REF(IR_G(i->rn)), what);
}

void arm_a64_pac1(ArmTrans *x, const A64Insn *i)
{
    unsigned what = (unsigned)i->key | (i->kind ? PAUTH_CHECK : PAUTH_ADD);
    if (i->rd == 31)
        return;
    a64_pauth(x, IR_G(i->rd), IR_G(i->rd), i->zero ? A_IMM(0) : A_REF(IR_G(i->rn)), what);
}

void arm_a64_xpac(ArmTrans *x, const A64Insn *i)
{
    if (i->rd != 31)
        arm_call(x, arm_help_xpac, 0, IR_G(i->rd), A_REF(IR_G(i->rd)), A_IMM((unsigned)i->data), A_NONE);
}

void arm_a64_pacga(ArmTrans *x, const A64Insn *i)
{
    arm_call(x, arm_help_pacga, H_R | H_F, arm_xw(x, i->rd), A_REF(arm_value(x, i->rn)), A_REF(IR_G(i->rm)), A_NONE);
}
