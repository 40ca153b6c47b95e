/* SPDX-License-Identifier: MIT */
/* A32 and T32: branches, status registers, coprocessors, exceptions, hints. */
#include "target/arm/tcg/a32.h"
#include "target/arm/tcg/help-a32.h"

/* --- branches --- */
static void set_link(ArmTrans *x)
{
    ir_movi(x->t, 4, IR_G(14), (uint32_t)x->pc + x->len + (a32_t32(x) ? 1 : 0));
}

E(b) { a32_branch(x, a32_pc(x) + (uint32_t)i->imm); }

E(bl)
{
    set_link(x);
    a32_branch(x, a32_pc(x) + (uint32_t)i->imm);
}

E(blx) /* h: bit 1 of the offset (A32) */
{
    uint32_t to = ((a32_pc(x) & ~3u) + (uint32_t)i->imm) | (uint32_t)i->h << 1;
    set_link(x);
    a32_branch_state(x, to, !a32_t32(x));
}

E(bx) { a32_bx(x, a32_reg(x, (unsigned)i->rm)); }
E(bxj) { a32_bx(x, a32_reg(x, (unsigned)i->rm)); } /* no Jazelle: as BX */

E(blx_reg)
{
    IrRef to = a32_copy(x, a32_reg(x, (unsigned)i->rm));
    set_link(x);
    a32_bx(x, to);
}

E(b_cond)
{
    if (x->it) { /* UNPREDICTABLE inside an IT block: the block's condition */
        a32_branch(x, a32_pc(x) + (uint32_t)i->imm);
        return;
    }
    a32_branch_cond(x, (unsigned)(i->cond | i->h), a32_pc(x) + (uint32_t)i->imm);
}

E(cbz) { a32_branch_zero(x, !i->op, IR_G(i->rn), a32_pc(x) + (uint32_t)i->imm); } /* op: CBNZ */

E(tbb) /* h: halfwords */
{
    IrRef v = ir_temp(x->t);
    IrMem m = a32_mem_index(x, a32_reg(x, (unsigned)i->rn), a32_reg(x, (unsigned)i->rm), (unsigned)i->h, i->h ? 2 : 1,
                            0);
    arm_load(x, i->h ? 2 : 1, v, &m);
    a32_jump(x, a32_opi(x, IR_ADD, a32_opi(x, IR_SHL, v, 1), a32_pc(x)));
}

/* T16 BL and BLX in two halves, before Thumb-2 (DDI 0406C, A6.7.18: v4T to v6). */
E(bl_prefix) { ir_movi(x->t, 4, IR_G(14), a32_pc(x) + (uint32_t)i->imm); }

E(bl_suffix) /* op: BLX */
{
    IrRef to = a32_opi(x, IR_ADD, IR_G(14), (uint32_t)i->imm);
    if (i->op)
        to = a32_opi(x, IR_AND, to, ~3u);
    set_link(x);
    if (i->op)
        a32_bx(x, to);
    else
        a32_jump(x, to);
}

/* --- status registers --- */
/* The new state may be another mode, byte order or interrupts: by the run loop. */
static void mode_changed(ArmTrans *x) { a32_end_exit(x); }

E(mrs)
{
    IrRef d = ir_temp(x->t);
    if (i->r)
        arm_call(x, arm_help_a32_spsr, H_R | H_F, d, A_NONE, A_NONE, A_NONE);
    else
        arm_call(x, arm_help_mrs_cpsr, H_F, d, A_IMM(0), A_NONE, A_NONE);
    a32_set(x, (unsigned)i->rd, d);
}

static void msr(ArmTrans *x, const A32Insn *i, IrRef value)
{
    uint32_t bits = 0;
    for (unsigned n = 0; n < 4; n++)
        bits |= i->mask >> n & 1 ? 0xffu << (8 * n) : 0;
    if (!i->r && !(i->mask & 7)) { /* flags only: N Z C V Q here */
        IrRef flags = ir_temp(x->t);
        arm_call(x, arm_help_a32_flags, H_P | H_G, flags, A_REF(value), A_NONE, A_NONE);
        ir_op2(x->t, IR_PUTF, 4, IR_NONE, flags)->imm = FLAG_S | FLAG_Z | FLAG_C | FLAG_O;
        x->flags_changed = true;
        return;
    }
    arm_call(x, arm_help_msr_cpsr, H_R | H_F | H_W, IR_NONE, A_REF(value), A_IMM(bits), A_IMM((uint32_t)i->r));
    x->flags_changed = true;
    mode_changed(x);
}

E(msr) { msr(x, i, a32_reg(x, (unsigned)i->rm)); }

E(msr_imm)
{
    A32Carry carry;
    if (!i->mask) { /* a hint */
        return;
    }
    msr(x, i, a32_const(x, a32_expand_imm((uint32_t)i->imm, &carry)));
}

E(mrs_bank)
{
    IrRef d = ir_temp(x->t);
    if (!x->el) {
        arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_banked_get, H_R, d, A_IMM((uint32_t)(i->r << 5 | i->imm)), A_NONE, A_NONE);
    a32_set(x, (unsigned)i->rd, d);
}

E(msr_bank)
{
    if (!x->el) {
        arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_banked_set, H_R, IR_NONE, A_IMM((uint32_t)(i->r << 5 | i->imm)),
             A_REF(a32_reg(x, (unsigned)i->rm)), A_NONE);
}

E(cps) /* op: imod, r: change of mode, mask: A I F */
{
    if (!x->el) /* no operation in User mode */
        return;
    if ((i->op == 1) || (!i->op && !i->r)) {
        if (i->op)
            arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_cps, H_R | H_F, IR_NONE, A_IMM((uint32_t)(i->op << 10 | i->mask << 6)),
             A_IMM((uint32_t)i->imm), A_IMM((uint32_t)i->r));
    mode_changed(x);
}

E(setend)
{
    arm_call(x, arm_help_a32_setend, H_P, IR_NONE, A_IMM((uint32_t)i->op), A_NONE, A_NONE);
    a32_end_next(x);
}

E(setpan)
{
    if (!x->el)
        return;
    arm_call(x, arm_help_a32_setpan, H_P, IR_NONE, A_IMM((uint32_t)i->op), A_NONE, A_NONE);
    a32_end_next(x);
}

E(srs)
{
    if (!x->el || x->mode & ARM_MODE_HYP32) {
        arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_a32_srs, H_R | H_F, IR_NONE, A_IMM((uint32_t)(i->imm | i->p << 8 | i->u << 9 | i->w << 10)),
             A_NONE, A_NONE);
}

E(rfe)
{
    if (!x->el || i->rn == 15 || x->mode & ARM_MODE_HYP32) {
        arm_undefined(x);
        return;
    }
    int start = i->u ? (i->p ? 4 : 0) : (i->p ? -8 : -4);
    IrMem m = a32_mem(x, IR_G(i->rn), start, 4, ARM_MEM_ALIGN), m2 = m;
    IrRef pc = ir_temp(x->t), spsr = ir_temp(x->t);
    m2.disp += 4;
    arm_load(x, 4, pc, &m);
    arm_load(x, 4, spsr, &m2);
    if (i->w)
        ir_op3i(x->t, IR_ADD, 4, IR_G(i->rn), IR_G(i->rn), (uint32_t)(i->u ? 8 : -8));
    arm_call(x, arm_help_return32, H_R | H_F | H_W, IR_NONE, A_REF(pc), A_REF(spsr), A_NONE);
    a32_end_lookup(x);
}

E(eret)
{
    IrRef pc = ir_temp(x->t), spsr = ir_temp(x->t);
    if (!x->el) {
        arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_a32_spsr, H_R | H_F, spsr, A_NONE, A_NONE, A_NONE);
    if (x->mode & ARM_MODE_HYP32)
        ir_lde(x->t, 4, pc, offsetof(ArmCpu, elr_hyp));
    else
        ir_op2(x->t, IR_MOV, 4, pc, IR_G(14));
    arm_call(x, arm_help_return32, H_R | H_F | H_W, IR_NONE, A_REF(pc), A_REF(spsr), A_NONE);
    a32_end_lookup(x);
}

/* T32 SUBS PC, LR, #imm. */
E(subs_pc)
{
    if (x->mode & ARM_MODE_HYP32 && !i->imm) {
        arm_a32_eret(x, i);
        return;
    }
    A32Op2 o = a32_imm_op2((uint32_t)i->imm, CARRY_KEEP);
    a32_dp(x, DP_SUB, true, 15, 14, &o);
}

/* --- exceptions --- */
/* The preferred return state is the one after this insn. */
static void advance_it(ArmTrans *x)
{
    if (x->it) {
        ir_stei(x->t, 1, offsetof(ArmCpu, it), x->it_next);
        x->it_stored = x->it_now_stored = true;
    }
}

static void exception(ArmTrans *x, const void *fn, uint32_t imm, uint32_t c)
{
    advance_it(x);
    arm_call(x, fn, H_R | H_F | H_W, IR_NONE, A_IMM(imm), A_IMM(x->len), A_IMM(c));
    a32_end_lookup(x);
}

E(svc) { exception(x, arm_help_svc, (uint32_t)i->imm, 0); }
E(bkpt) { exception(x, arm_help_bkpt, (uint32_t)i->imm, 0); }
E(hlt) { exception(x, arm_help_bkpt, (uint32_t)i->imm, 1); }

E(hvc)
{
    if (x->el)
        exception(x, arm_help_hvc, (uint32_t)i->imm, 0);
    else
        arm_undefined(x);
}

E(smc)
{
    if (x->el)
        exception(x, arm_help_smc, (uint32_t)i->imm, 0);
    else
        arm_undefined(x);
}

E(undef) { arm_undefined(x); }

E(hint)
{
    switch (i->imm) {
    case 1:
        arm_call0(x, arm_help_yield, H_R);
        a32_end_exit(x);
        break;
    case 2: case 3:
        arm_call(x, arm_help_wfi, H_R, IR_NONE, A_IMM(i->imm == 2), A_NONE, A_IMM(x->len));
        a32_end_exit(x);
        break;
    case 4:
        arm_call0(x, arm_help_sev, H_P);
        break;
    }
}

/* --- coprocessors --- */
/* The trap syndromes of DDI 0487, D19.2.37 (MCR/MRC, MCRR/MRRC): CV, COND = always when nothing is known better. */
static uint32_t iss_condition(const ArmTrans *x) { return 1u << 24 | (uint32_t)x->cond << 20; }

static uint32_t iss_mcr(const ArmTrans *x, const A32Insn *i, bool read)
{
    return iss_condition(x) | (uint32_t)(i->opc2 << 17 | i->opc1 << 14 | i->crn << 10 | i->rt << 5 | i->crm << 1) |
           read;
}

static uint32_t iss_mcrr(const ArmTrans *x, const A32Insn *i, bool read)
{
    return iss_condition(x) | (uint32_t)(i->opc1 << 16 | i->rt2 << 10 | i->rt << 5 | i->crm << 1) | read;
}

/* A read into a new temporary of 64 bits. */
static IrRef read_sysreg(ArmTrans *x, uint32_t key, uint32_t iss)
{
    ArmSysregUse use = arm_sysreg_lookup(x->c, key, false);
    IrRef d = ir_temp(x->t);
    if (use.known && use.constant)
        ir_movi(x->t, 8, d, use.value);
    else if (use.known && use.offset)
        ir_lde(x->t, use.size, d, use.offset);
    else
        arm_call(x, arm_help_mrc, H_R | H_F, d, A_IMM(key), A_IMM(iss), A_NONE);
    return d;
}

static void write_sysreg(ArmTrans *x, uint32_t key, IrRef value, uint32_t iss)
{
    ArmSysregUse use = arm_sysreg_lookup(x->c, key, true);
    if (use.known && use.nop)
        return;
    if (use.known && use.offset) {
        ir_ste(x->t, use.size, use.offset, value);
        return;
    }
    arm_call(x, arm_help_mcr, H_R | H_F, IR_NONE, A_IMM(key), A_REF(value), A_IMM(iss));
    if (use.exit)
        a32_end_exit(x);
    else if (use.lookup || !use.known)
        a32_end_next(x);
}

static bool system_cp(ArmTrans *x, const A32Insn *i)
{
    bool ok = (i->cp == 14 || i->cp == 15) && !x->has->m_profile;
    if (!ok)
        arm_undefined(x);
    return ok;
}

static uint32_t key32(const A32Insn *i)
{
    return ARM_CP_KEY((uint32_t)i->cp, (uint32_t)i->opc1, (uint32_t)i->crn, (uint32_t)i->crm, (uint32_t)i->opc2, 0u);
}

static uint32_t key64(const A32Insn *i)
{
    return ARM_CP_KEY((uint32_t)i->cp, (uint32_t)i->opc1, 0u, (uint32_t)i->crm, 0u, 1u);
}

E(mrc)
{
    if (!system_cp(x, i))
        return;
    IrRef v = read_sysreg(x, key32(i), iss_mcr(x, i, true));
    if (i->rt != 15) {
        a32_set(x, (unsigned)i->rt, v);
        return;
    }
    IrRef flags = ir_temp(x->t); /* APSR_nzcv */
    arm_call(x, arm_help_a32_nzcv, H_P | H_G, flags, A_REF(v), A_NONE, A_NONE);
    ir_op2(x->t, IR_PUTF, 4, IR_NONE, flags)->imm = FLAG_S | FLAG_Z | FLAG_C | FLAG_O;
    x->flags_changed = true;
}

E(mcr)
{
    if (system_cp(x, i))
        write_sysreg(x, key32(i), a32_copy(x, a32_reg(x, (unsigned)i->rt)), iss_mcr(x, i, false));
}

E(mrrc)
{
    if (!system_cp(x, i))
        return;
    IrRef v = read_sysreg(x, key64(i), iss_mcrr(x, i, true));
    IrRef high = a32_op8i(x, IR_SHR, v, 32);
    a32_set(x, (unsigned)i->rt, v);
    a32_set(x, (unsigned)i->rt2, high);
}

E(mcrr)
{
    if (!system_cp(x, i))
        return;
    IrRef high = a32_op8i(x, IR_SHL, a32_ext(x, IR_ZEXT, 4, 8, a32_reg(x, (unsigned)i->rt2)), 32);
    IrRef v = a32_op8(x, IR_OR, high, a32_ext(x, IR_ZEXT, 4, 8, a32_reg(x, (unsigned)i->rt)));
    write_sysreg(x, key64(i), v, iss_mcrr(x, i, false));
}
