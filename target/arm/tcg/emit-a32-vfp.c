/* SPDX-License-Identifier: MIT */
/* AArch32 floating point (VFPv2 to v8): tables vfp and vfpu. */
#include "target/arm/tcg/a32-fp.h"

/* --- registers --- */
bool a32_fp_usable(ArmTrans *x, bool simd)
{
    uint32_t cond = 1u << 24 | (uint32_t)x->cond << 20;
    if (!arm_fp_usable(x, simd, cond))
        return false;
    if (!(x->mode & ARM_MODE_FP_CONTEXT))
        return true;
    arm_call0(x, arm_help_fp_context, H_R);
    arm_set_pc(x, x->pc); /* again, with the context */
    ir_emit(x->t, IR_LOOKUP, 8);
    x->ended = true;
    return false;
}

IrInsn *a32_simd(ArmTrans *x, bool standard, unsigned row, unsigned es, unsigned bytes, IrRef d, IrRef a, IrRef b,
                 IrRef c, uint64_t imm)
{
    IrInsn *i = simd3(x->t, row, es, bytes, d, a, b, c, imm);
    if (simd_kind[row] == 'F')
        i->flags |= standard ? IR_FP_STANDARD : x->mode & ARM_MODE_FP_SLOW ? IR_FP_SLOW : 0;
    return i;
}

IrRef a32_vsrc(ArmTrans *x, unsigned slot, unsigned n, unsigned bytes)
{
    unsigned lane = a32_lane(n, bytes);
    if (bytes == 16)
        return IR_V(n / 2);
    if (!lane)
        return a32_v(n, bytes);
    simd3(x->t, SIMD_DUPE, bytes, bytes, VT(slot), a32_v(n, bytes), NONE, NONE, lane);
    return VT(slot);
}

IrRef a32_vdst(unsigned n, unsigned bytes) { return bytes == 16 ? IR_V(n / 2) : VT(3); }

void a32_vput(ArmTrans *x, unsigned n, unsigned bytes)
{
    if (bytes == 16)
        return;
    IrRef v = a32_v(n, bytes);
    simd3(x->t, SIMD_INSE, bytes, 16, v, VT(3), v, NONE, a32_lane(n, bytes));
}

/* Scalars: half precision stands in S registers, whose upper half becomes zero. */
static unsigned es_of(const A32Insn *i) { return 1u << i->size; }
static unsigned reg_bytes(const A32Insn *i) { return i->size == 3 ? 8 : 4; }
static IrRef src(ArmTrans *x, const A32Insn *i, unsigned slot, int n)
{
    return a32_vsrc(x, slot, (unsigned)n, reg_bytes(i));
}
static void put(ArmTrans *x, const A32Insn *i, int n) { a32_vput(x, (unsigned)n, reg_bytes(i)); }

static IrRef scalar(ArmTrans *x, const A32Insn *i, unsigned row, IrRef d, IrRef a, IrRef b, IrRef c, uint64_t imm)
{
    a32_simd(x, false, row, es_of(i), es_of(i), d, a, b, c, imm);
    return d;
}

static bool usable_regs(ArmTrans *x, unsigned doubles) /* numbers of D registers, ORed */
{
    if (!x->has->vfp_d32 && doubles & 16) {
        arm_undefined(x);
        return false;
    }
    return a32_fp_usable(x, false);
}

static bool usable(ArmTrans *x, const A32Insn *i)
{
    return usable_regs(x, i->size == 3 ? (unsigned)(i->vd | i->vn | i->vm) : 0);
}
/* Conversions: only the one side may be doubles. */
static bool usable_from(ArmTrans *x, const A32Insn *i) { return usable_regs(x, i->size == 3 ? (unsigned)i->vm : 0); }
static bool usable_to(ArmTrans *x, const A32Insn *i) { return usable_regs(x, i->size == 3 ? (unsigned)i->vd : 0); }

/* --- short vectors (DDI 0406C, D11.2): banks of 8 S or 4 D registers; the first bank is scalar --- */
typedef struct Walk { unsigned count, step, mask; bool m_scalar; } Walk;

static Walk walk_of(const ArmTrans *x, const A32Insn *i)
{
    Walk w = { .count = 1, .mask = i->size == 3 ? 3 : 7 };
    unsigned len = x->mode >> ARM_MODE_VLEN_SHIFT & 7, stride = x->mode >> (ARM_MODE_VLEN_SHIFT + 3) & 3;
    unsigned banks = i->size == 3 ? 0xc : 0x18;
    if (!(x->mode & ARM_MODE_FPX) || a32_m(x) || i->size == 1 || !((unsigned)i->vd & banks))
        return w;
    w.count = len + 1;
    w.step = stride == 3 ? 2 : 1;
    w.m_scalar = !((unsigned)i->vm & banks);
    return w;
}

static int next_reg(const Walk *w, int n)
{
    return (int)(((unsigned)n & ~w->mask) | (((unsigned)n + w->step) & w->mask));
}

/* Runs one() for each element. */
static void each(ArmTrans *x, const A32Insn *i, void (*one)(ArmTrans *x, const A32Insn *i))
{
    if (!usable(x, i))
        return;
    A32Insn n = *i;
    Walk w = walk_of(x, i);
    for (unsigned k = 0; k < w.count; k++) {
        one(x, &n);
        n.vd = next_reg(&w, n.vd);
        n.vn = next_reg(&w, n.vn);
        if (!w.m_scalar)
            n.vm = next_reg(&w, n.vm);
    }
}

/* --- arithmetic --- */
static void one3(ArmTrans *x, const A32Insn *i)
{
    IrRef a = src(x, i, 0, i->vn), b = src(x, i, 1, i->vm);
    scalar(x, i, (unsigned)i->op, VT(3), a, b, NONE, 0);
    put(x, i, i->vd);
}
E(vfp3) { each(x, i, one3); }

static void one2(ArmTrans *x, const A32Insn *i)
{
    scalar(x, i, (unsigned)i->op, VT(3), src(x, i, 1, i->vm), NONE, NONE, 0);
    put(x, i, i->vd);
}
E(vfp2) { each(x, i, one2); }

/* op: 0 VMLA, 1 VMLS, 2 VNMLS, 3 VNMLA: the product is rounded; signs are those of operands. */
static void one_mac(ArmTrans *x, const A32Insn *i)
{
    IrRef a = src(x, i, 0, i->vn), b = src(x, i, 1, i->vm), d = src(x, i, 2, i->vd);
    IrRef p = scalar(x, i, SIMD_FMUL, VT(3), a, b, NONE, 0);
    if (i->op == 1 || i->op == 3)
        scalar(x, i, SIMD_FNEG, p, p, NONE, NONE, 0);
    if (i->op >= 2)
        d = scalar(x, i, SIMD_FNEG, VT(2), d, NONE, NONE, 0);
    scalar(x, i, SIMD_FADD, VT(3), d, p, NONE, 0);
    put(x, i, i->vd);
}
E(vfp_mac) { each(x, i, one_mac); }

static void one_fma(ArmTrans *x, const A32Insn *i)
{
    IrRef a = src(x, i, 0, i->vn), b = src(x, i, 1, i->vm), d = src(x, i, 2, i->vd);
    scalar(x, i, (unsigned)i->op, VT(3), a, b, d, 0);
    put(x, i, i->vd);
}
E(vfp_fma) { each(x, i, one_fma); }

uint64_t a32_fp_immediate(unsigned imm8, unsigned es)
{
    unsigned ebits = es == 8 ? 11 : es == 4 ? 8 : 5, fbits = 8 * es - ebits - 1;
    uint64_t b = imm8 >> 6 & 1, exp = (b ^ 1) << (ebits - 1) | (b ? bits_mask(ebits - 3) << 2 : 0) | (imm8 >> 4 & 3);
    return (uint64_t)(imm8 >> 7) << (8 * es - 1) | exp << fbits | (uint64_t)(imm8 & 15) << (fbits - 4);
}

static void one_imm(ArmTrans *x, const A32Insn *i)
{
    simd3(x->t, SIMD_MOVI, 8, 8, VT(3), NONE, NONE, NONE, 0)->imm = a32_fp_immediate((unsigned)i->imm, es_of(i));
    put(x, i, i->vd);
}
E(vfp_imm) { each(x, i, one_imm); }

/* --- comparison: FPSCR.NZCV, and the row's own result for a VMRS that follows --- */
E(vcmp) /* op: with 0; y: quiet NaNs are invalid too */
{
    if (!usable(x, i))
        return;
    IrRef r = ir_temp(x->t), d = src(x, i, 0, i->vd), m = i->op ? NONE : src(x, i, 1, i->vm);
    a32_simd(x, false, SIMD_FCMP, es_of(i), es_of(i), r, d, m, NONE, (uint64_t)i->y);
    r = a32_ext(x, IR_ZEXT, 1, 4, r);
    /* 0 less, 1 equal, 2 greater, 0x80 unordered: nibbles of a constant */
    IrRef at = a32_op(x, IR_OR, a32_opi(x, IR_SHL, r, 2), a32_opi(x, IR_MUL, a32_opi(x, IR_SHR, r, 7), 12));
    at = a32_opi(x, IR_AND, at, 12);
    IrRef nzcv = a32_opi(x, IR_SHL, a32_op(x, IR_SHR, a32_const(x, 0x3268), at), 28);
    ir_ste(x->t, 4, offsetof(ArmCpu, fpscr_nzcv), nzcv);
    ir_ste(x->t, 1, offsetof(ArmCpu, fcmp), r);
    x->fcmp_known = !x->conditional;
}

/* --- status registers --- */
enum { SYS_FPSCR = 1, SYS_NZCVQC = 2, SYS_VPR = 12, SYS_P0 = 13, SYS_FPCXT_NS = 14, SYS_FPCXT_S = 15 };

/* M-profile: is there that register, and may it be used now? FPCXT looks for itself. False: dealt with. */
static bool m_sys_usable(ArmTrans *x, unsigned reg)
{
    bool fpcxt = reg >= SYS_FPCXT_NS, known = reg == SYS_FPSCR ||
                                              (x->has->v8_1m && (reg == SYS_NZCVQC || reg >= SYS_FPCXT_NS)) ||
                                              (x->has->m_mve_int && (reg == SYS_VPR || reg == SYS_P0));
    if (!known || (fpcxt && !(x->mode & ARM_MODE_SECURE))) {
        arm_undefined(x);
        return false;
    }
    return fpcxt || a32_fp_usable(x, false);
}

/* The part that cannot fault after a successful m_sys_usable() and an access to memory is done by sys_taken(). */
static IrRef sys_get(ArmTrans *x, unsigned reg)
{
    IrRef v = ir_temp(x->t);
    if (a32_m(x) && reg >= SYS_FPCXT_NS)
        arm_call(x, arm_help_m_fpcxt, H_R, v, A_IMM(reg), A_NONE, A_NONE);
    else
        arm_call(x, arm_help_a32_vmrs, H_R | H_F, v, A_IMM(reg), A_NONE, A_NONE);
    return v;
}

static void sys_taken(ArmTrans *x, unsigned reg)
{
    if (!a32_m(x) || reg != SYS_FPCXT_S)
        return;
    arm_call(x, arm_help_m_fpcxt_s_taken, H_R, NONE, A_NONE, A_NONE, A_NONE);
    a32_end_next(x);
}

static void sys_set(ArmTrans *x, unsigned reg, IrRef v)
{
    if (a32_m(x) && reg >= SYS_FPCXT_NS)
        arm_call(x, arm_help_m_set_fpcxt, H_R, NONE, A_IMM(reg), A_REF(v), A_NONE);
    else
        arm_call(x, arm_help_a32_vmsr, H_R | H_F, NONE, A_IMM(reg), A_REF(v), A_NONE);
    a32_end_next(x);
}

/* VLDR, VSTR of a system register (v8.1-M; DDI 0553, C2.4.385 and C2.4.479). imm: words. */
E(vldst_sys)
{
    unsigned reg = (unsigned)i->reg;
    int32_t offset = i->u ? i->imm * 4 : -i->imm * 4;
    if (i->rn == 15) { /* UNPREDICTABLE */
        arm_undefined(x);
        return;
    }
    if (!m_sys_usable(x, reg))
        return;
    IrRef base = a32_reg(x, (unsigned)i->rn), v;
    if (i->w && i->rn == 13)
        arm_call(x, arm_help_m_sp_limit, H_R | H_P, NONE, A_REF(a32_opi(x, IR_ADD, base, (uint32_t)offset)), A_NONE,
                 A_NONE);
    IrMem m = a32_mem(x, base, i->p ? offset : 0, 4, ARM_MEM_ALIGN | (i->l ? 0 : ARM_MEM_WRITE));
    m.align = 4;
    if (i->l) {
        v = ir_temp(x->t);
        arm_load(x, 4, v, &m);
    } else {
        v = sys_get(x, reg);
        arm_store(x, 4, &m, v);
    }
    if (i->w)
        ir_op3i(x->t, IR_ADD, 4, IR_G(i->rn), IR_G(i->rn), (uint32_t)offset);
    if (i->l)
        sys_set(x, reg, v);
    else
        sys_taken(x, reg);
}

E(vmrs)
{
    bool control = i->rn != SYS_FPSCR; /* FPSID, MVFRn, FPEXC: from EL1 on, whatever FPEXC.EN */
    if (a32_m(x) ? !m_sys_usable(x, (unsigned)i->rn) : control ? !x->el : !a32_fp_usable(x, false)) {
        if (!a32_m(x) && control)
            arm_undefined(x);
        return;
    }
    if (i->rt == 15 && !control && x->fcmp_known) {
        IrRef r = ir_temp(x->t);
        ir_lde(x->t, 1, r, offsetof(ArmCpu, fcmp));
        ir_op3i(x->t, IR_CMP, 1, NONE, r, 1)->flags = IR_SETF;
        x->flags_changed = true;
        return;
    }
    if (!control && i->rt == 15) {
        IrRef v = ir_temp(x->t), flags = ir_temp(x->t);
        ir_lde(x->t, 4, v, offsetof(ArmCpu, fpscr_nzcv));
        arm_call(x, arm_help_a32_nzcv, H_P | H_G, flags, A_REF(v), A_NONE, A_NONE);
        ir_op2(x->t, IR_PUTF, 4, NONE, flags)->imm = FLAG_S | FLAG_Z | FLAG_C | FLAG_O;
        x->flags_changed = true;
        return;
    }
    a32_set(x, (unsigned)i->rt, sys_get(x, (unsigned)i->rn));
    sys_taken(x, (unsigned)i->rn);
}

E(vmsr)
{
    bool control = i->rn != SYS_FPSCR;
    if (a32_m(x) ? !m_sys_usable(x, (unsigned)i->rn) : control ? !x->el : !a32_fp_usable(x, false)) {
        if (!a32_m(x) && control)
            arm_undefined(x);
        return;
    }
    sys_set(x, (unsigned)i->rn, a32_reg(x, (unsigned)i->rt));
}

/* --- rounding and conversion --- */
static void round_to(ArmTrans *x, const A32Insn *i, unsigned imm)
{
    if (!usable(x, i))
        return;
    scalar(x, i, SIMD_FRINT, VT(3), src(x, i, 1, i->vm), NONE, NONE, imm);
    put(x, i, i->vd);
}
static const uint8_t modes[4] = { FP_ROUND_AWAY, FP_ROUND_NEAREST, FP_ROUND_UP, FP_ROUND_DOWN }; /* A N P M */
E(vrint) { round_to(x, i, (unsigned)i->op); }
E(vrint_mode) { round_to(x, i, modes[i->r]); }

static void to_int(ArmTrans *x, const A32Insn *i, unsigned round)
{
    if (!usable_from(x, i))
        return;
    IrRef r = ir_temp(x->t);
    a32_simd(x, false, SIMD_FTOI, es_of(i), 4, r, src(x, i, 1, i->vm), NONE, NONE, round | (i->sgn ? 0 : 8) | 16);
    IrRef d = a32_v((unsigned)i->vd, 4);
    simd3(x->t, SIMD_INSG, 4, 16, d, r, d, NONE, a32_lane((unsigned)i->vd, 4));
}
E(vcvt_to_int) { to_int(x, i, i->r ? FP_ROUND_ZERO : FP_ROUND_CURRENT); }
E(vcvt_mode) { to_int(x, i, modes[i->r]); }

static IrRef lane_value(ArmTrans *x, unsigned es, unsigned n, unsigned bytes, unsigned sub)
{
    IrRef t = ir_temp(x->t);
    simd3(x->t, SIMD_UMOV, es, 4, t, a32_v(n, bytes), NONE, NONE, a32_lane(n, bytes) * (bytes / es) + sub);
    return t;
}

E(vcvt_from_int)
{
    if (!usable_to(x, i))
        return;
    IrRef v = lane_value(x, 4, (unsigned)i->vm, 4, 0);
    scalar(x, i, SIMD_ITOF, VT(3), v, NONE, NONE, (i->sgn ? 0 : 8) | 4u << 16);
    put(x, i, i->vd);
}

/* op: to fixed point; l: 32 bits, else 16; imm: size - fraction bits. The register is its own source. */
E(vcvt_fixed)
{
    unsigned bits = i->l ? 32 : 16, fraction = bits - (unsigned)i->imm;
    if (fraction > bits) { /* UNPREDICTABLE */
        arm_undefined(x);
        return;
    }
    if (!usable(x, i))
        return;
    unsigned bytes = reg_bytes(i);
    IrRef d = a32_v((unsigned)i->vd, bytes), v = ir_temp(x->t);
    if (!i->op) {
        v = lane_value(x, bits / 8, (unsigned)i->vd, bytes, 0);
        if (bits == 16)
            v = a32_ext(x, i->u ? IR_ZEXT : IR_SEXT, 2, 4, v);
        /* to nearest */
        a32_simd(x, true, SIMD_ITOF, es_of(i), es_of(i), VT(3), v, NONE, NONE,
                 (i->u ? 8u : 0) | fraction << 8 | 4u << 16);
        put(x, i, i->vd);
        return;
    }
    if (bits == 32) {
        a32_simd(x, false, SIMD_FTOI, es_of(i), 4, v, src(x, i, 1, i->vd), NONE, NONE,
                 FP_ROUND_ZERO | (i->u ? 8u : 0) | 16 | fraction << 8);
    } else {
        IrRef wide = ir_temp(x->t);
        simd3(x->t, SIMD_UMOV, es_of(i), 8, wide, src(x, i, 1, i->vd), NONE, NONE, 0);
        arm_call(x, arm_help_a32_to_fixed16, 0, v, A_REF(wide), A_IMM(es_of(i) | (unsigned)i->u << 4 | fraction << 8),
                 A_NONE);
    }
    if (bytes == 8)
        v = a32_ext(x, i->u ? IR_ZEXT : IR_SEXT, 4, 8, v);
    simd3(x->t, SIMD_INSG, bytes, 16, d, v, d, NONE, a32_lane((unsigned)i->vd, bytes));
}

E(vcvt_fp) /* size: of the result */
{
    unsigned to = i->size == 3 ? 8 : 4, from = 12 - to;
    if (!usable_regs(x, (unsigned)(to == 8 ? i->vd : i->vm)))
        return;
    a32_simd(x, false, SIMD_FCVT, to, to, VT(3), a32_vsrc(x, 1, (unsigned)i->vm, from), NONE, NONE, from);
    a32_vput(x, (unsigned)i->vd, to);
}

/* op: to half; h: the top half of the S register; size: of the other side */
E(vcvt_half)
{
    unsigned other = reg_bytes(i);
    if (i->op ? !usable_from(x, i) : !usable_to(x, i))
        return;
    if (i->op) {
        IrRef d = a32_v((unsigned)i->vd, 4);
        a32_simd(x, false, SIMD_FCVT, 2, 2, VT(3), a32_vsrc(x, 1, (unsigned)i->vm, other), NONE, NONE, other);
        simd3(x->t, SIMD_INSE, 2, 16, d, VT(3), d, NONE, a32_lane((unsigned)i->vd, 4) * 2 + (unsigned)i->h);
        return;
    }
    simd3(x->t, SIMD_DUPE, 2, 2, VT(1), a32_v((unsigned)i->vm, 4), NONE, NONE,
          a32_lane((unsigned)i->vm, 4) * 2 + (unsigned)i->h);
    a32_simd(x, false, SIMD_FCVT, other, other, VT(3), VT(1), NONE, NONE, 2);
    a32_vput(x, (unsigned)i->vd, other);
}

E(vcvt_bf16)
{
    if (!a32_fp_usable(x, false))
        return;
    IrRef d = a32_v((unsigned)i->vd, 4);
    a32_simd(x, false, SIMD_BFCVT, 2, 2, VT(3), a32_vsrc(x, 1, (unsigned)i->vm, 4), NONE, NONE, 0);
    simd3(x->t, SIMD_INSE, 2, 16, d, VT(3), d, NONE, a32_lane((unsigned)i->vd, 4) * 2 + (unsigned)i->h);
}

E(vjcvt)
{
    if (!usable_regs(x, (unsigned)i->vm))
        return;
    IrRef exact = ir_temp(x->t), value = ir_temp(x->t), m = a32_vsrc(x, 1, (unsigned)i->vm, 8),
          d = a32_v((unsigned)i->vd, 4);
    a32_simd(x, false, SIMD_FJCVTZS, 8, 8, exact, m, NONE, NONE, 1);
    a32_simd(x, false, SIMD_FJCVTZS, 8, 8, value, m, NONE, NONE, 0);
    simd3(x->t, SIMD_INSG, 4, 16, d, value, d, NONE, a32_lane((unsigned)i->vd, 4));
    ir_ste(x->t, 4, offsetof(ArmCpu, fpscr_nzcv), a32_opi(x, IR_SHL, exact, 30));
    x->fcmp_known = false;
}

E(vsel)
{
    static const uint8_t conds[4] = { 0, 6, 10, 12 }; /* EQ VS GE GT */
    if (!usable(x, i))
        return;
    IrRef t = ir_temp(x->t), a = src(x, i, 0, i->vn), b = src(x, i, 1, i->vm);
    ir_op2(x->t, IR_SETCC, 1, t, NONE)->cond = arm_cond(conds[i->cond]);
    scalar(x, i, SIMD_CSEL, VT(3), a, b, t, 0);
    put(x, i, i->vd);
}

E(vmovx) /* the top half, zero-extended */
{
    if (!a32_fp_usable(x, false))
        return;
    simd3(x->t, SIMD_DUPE, 2, 2, VT(3), a32_v((unsigned)i->vm, 4), NONE, NONE, a32_lane((unsigned)i->vm, 4) * 2 + 1);
    a32_vput(x, (unsigned)i->vd, 4);
}

E(vins) /* the bottom half into the top half */
{
    if (!a32_fp_usable(x, false))
        return;
    IrRef d = a32_v((unsigned)i->vd, 4);
    simd3(x->t, SIMD_DUPE, 2, 2, VT(3), a32_v((unsigned)i->vm, 4), NONE, NONE, a32_lane((unsigned)i->vm, 4) * 2);
    simd3(x->t, SIMD_INSE, 2, 16, d, VT(3), d, NONE, a32_lane((unsigned)i->vd, 4) * 2 + 1);
}

/* --- moves between the register files --- */
E(vmov_core) /* op: to the core register; size 1: half precision */
{
    if (!a32_fp_usable(x, false))
        return;
    IrRef v = a32_v((unsigned)i->vn, 4);
    if (i->op) {
        a32_set(x, (unsigned)i->rt, lane_value(x, es_of(i), (unsigned)i->vn, 4, 0));
        return;
    }
    IrRef r = a32_reg(x, (unsigned)i->rt);
    if (i->size == 1)
        r = a32_ext(x, IR_ZEXT, 2, 4, r);
    simd3(x->t, SIMD_INSG, 4, 16, v, r, v, NONE, a32_lane((unsigned)i->vn, 4));
}

E(vmov_lane) /* l: to the core register, u: zero-extended; x or idx: lane */
{
    unsigned es = 1u << i->size,
             idx = (i->size == 2 ? (unsigned)i->x : (unsigned)i->idx) + a32_lane((unsigned)i->vd, 8) * (8 / es);
    if (!x->has->vfp_d32 && i->vd & 16) {
        arm_undefined(x);
        return;
    }
    if (!a32_fp_usable(x, i->size < 2))
        return;
    IrRef v = a32_v((unsigned)i->vd, 8);
    if (!i->l) {
        simd3(x->t, SIMD_INSG, es, 16, v, a32_reg(x, (unsigned)i->rt), v, NONE, idx);
        return;
    }
    IrRef t = ir_temp(x->t);
    simd3(x->t, i->u || es == 4 ? SIMD_UMOV : SIMD_SMOV, es, 4, t, v, NONE, NONE, idx);
    a32_set(x, (unsigned)i->rt, t);
}

E(vdup_core) /* b, h: bytes, halfwords */
{
    if ((i->b && i->h) || (i->q && i->vd & 1)) {
        arm_undefined(x);
        return;
    }
    if (!a32_fp_usable(x, true))
        return;
    unsigned es = i->b ? 1 : i->h ? 2 : 4, bytes = i->q ? 16 : 8;
    simd3(x->t, SIMD_DUPG, es, bytes, a32_vdst((unsigned)i->vd, bytes), a32_reg(x, (unsigned)i->rt), NONE, NONE, 0);
    a32_vput(x, (unsigned)i->vd, bytes);
}

E(vmov_pair) /* op: to the core registers; size 2: Sm and the next, 3: Dm */
{
    unsigned m = (unsigned)(i->size == 3 ? i->vm * 2 : i->vm); /* as S numbers; D16.. have them here too */
    if ((i->size == 2 && m == 31) || (i->size == 3 && !x->has->vfp_d32 && i->vm & 16)) {
        arm_undefined(x);
        return;
    }
    if (!a32_fp_usable(x, false))
        return;
    if (i->op) {
        IrRef lo = lane_value(x, 4, m, 4, 0), hi = lane_value(x, 4, m + 1, 4, 0);
        a32_set(x, (unsigned)i->rt, lo);
        a32_set(x, (unsigned)i->rt2, hi);
        return;
    }
    for (unsigned n = 0; n < 2; n++) {
        IrRef v = a32_v(m + n, 4);
        simd3(x->t, SIMD_INSG, 4, 16, v, a32_reg(x, (unsigned)(n ? i->rt2 : i->rt)), v, NONE, a32_lane(m + n, 4));
    }
}

/* --- loads and stores: words are aligned --- */
static void transfer_reg(ArmTrans *x, bool load, unsigned bytes, unsigned n, const IrMem *m)
{
    unsigned holder = bytes == 8 ? 8 : 4;
    IrRef v = a32_v(n, holder), t = ir_temp(x->t);
    if (load) {
        arm_load(x, bytes, t, m);
        simd3(x->t, SIMD_INSG, holder, 16, v, t, v, NONE, a32_lane(n, holder));
    } else {
        simd3(x->t, SIMD_UMOV, bytes, bytes == 8 ? 8 : 4, t, v, NONE, NONE, a32_lane(n, holder) * (holder / bytes));
        arm_store(x, bytes, m, t);
    }
}

E(vldr)
{
    unsigned bytes = 1u << i->size;
    int32_t offset = i->imm * (bytes == 2 ? 2 : 4);
    offset = i->u ? offset : -offset;
    if (i->rn == 15 && !i->l && a32_t32(x)) {
        arm_undefined(x);
        return;
    }
    if (!usable(x, i))
        return;
    unsigned flags = ARM_MEM_ALIGN | (i->l ? 0 : ARM_MEM_WRITE);
    IrMem m = i->rn == 15 ? a32_mem(x, NONE, (int32_t)((a32_pc(x) & ~3u) + (uint32_t)offset), bytes, flags)
                          : a32_mem(x, IR_G(i->rn), offset, bytes, flags);
    m.align = bytes == 2 ? 2 : 4;
    transfer_reg(x, i->l, bytes, (unsigned)i->vd, &m);
}

E(vldm) /* imm: words */
{
    unsigned bytes = 1u << i->size, count = (unsigned)i->imm / (bytes / 4), n = (unsigned)i->vd;
    int32_t words = i->imm * 4;
    bool bad = !count || n + count > 32 || (bytes == 8 && count > 16) || (i->rn == 15 && (i->w || a32_t32(x)));
    if (bad) { /* UNPREDICTABLE */
        arm_undefined(x);
        return;
    }
    if (!usable_regs(x, bytes == 8 ? n | (n + count - 1) : 0))
        return;
    IrRef base = a32_reg(x, (unsigned)i->rn);
    if (i->w && i->rn == 13 && a32_m(x) && x->has->v8m) {
        IrRef sp = a32_opi(x, IR_ADD, base, (uint32_t)(i->u ? words : -words));
        arm_call(x, arm_help_m_sp_limit, H_R | H_P, NONE, A_REF(sp), A_NONE, A_NONE);
    }
    IrMem m = a32_mem(x, base, i->u ? 0 : -words, 4, ARM_MEM_ALIGN | (i->l ? 0 : ARM_MEM_WRITE));
    for (unsigned k = 0; k < count;) {
        if (bytes == 8 && !x->be && !(n & 1) && k + 2 <= count) { /* a whole Q */
            if (i->l)
                simd_load(x->t, 16, IR_V(n / 2), &m);
            else
                simd_store(x->t, 16, &m, IR_V(n / 2));
            n += 2, k += 2, m.disp += 16;
        } else {
            transfer_reg(x, i->l, bytes, n, &m);
            n++, k++, m.disp += (int32_t)bytes;
        }
        m.align = 0;
    }
    if (i->w)
        ir_op3i(x->t, IR_ADD, 4, IR_G(i->rn), IR_G(i->rn), (uint32_t)(i->u ? words : -words));
}

/* VSCCLRM: imm registers from vd on, and VPR (v8.1-M). */
E(vscclrm)
{
    unsigned bytes = 1u << i->size, count = (unsigned)i->imm / (bytes / 4);
    if (!a32_fp_usable(x, false))
        return;
    IrRef zero = a32_const(x, 0);
    for (unsigned n = (unsigned)i->vd; n < (unsigned)i->vd + count && n < (bytes == 4 ? 32u : 16u); n++)
        simd3(x->t, SIMD_INSG, bytes, 16, a32_v(n, bytes), zero, a32_v(n, bytes), NONE, a32_lane(n, bytes));
    ir_stei(x->t, 4, offsetof(ArmCpu, vpr), 0);
}

/* VLSTM, VLLDM: lazy saving of the secure FP context. */
E(vlldm)
{
    if (!(x->mode & ARM_MODE_SECURE)) {
        arm_undefined(x);
        return;
    }
    arm_call(x, arm_help_m_vlstm, H_R, NONE, A_REF(IR_G(i->rn)), A_IMM((uint32_t)i->l), A_NONE);
    a32_end_exit(x);
}
