/* SPDX-License-Identifier: MIT */
/* A32 and T32: data processing, multiplication, saturation, packing, bit fields. */
#include "target/arm/tcg/a32.h"
#include "target/arm/tcg/a64.h"
#include "target/arm/tcg/help-a32.h"

static bool sets_flags(const ArmTrans *x, const A32Insn *i) { return i->s == 1 || (i->s == 2 && !x->it); }

/* --- data processing --- */
static void dp_imm(ArmTrans *x, const A32Insn *i, A32Dp op, bool s)
{
    A32Carry carry;
    uint32_t imm = a32_expand_imm((uint32_t)i->imm, &carry);
    A32Op2 o = a32_imm_op2(imm, carry);
    a32_dp(x, op, s, (unsigned)i->rd, (unsigned)i->rn, &o);
}

E(dp_imm) { dp_imm(x, i, (A32Dp)i->op, i->s); }
E(cmp_imm) { dp_imm(x, i, (A32Dp)(DP_TST + i->op), true); }
E(dp2_imm) { dp_imm(x, i, (A32Dp)(DP_ORR + i->op), i->s); }
E(mov_imm) { dp_imm(x, i, (A32Dp)(DP_MOV + i->op), i->s); }

static bool wants_carry(A32Dp op, bool s)
{
    return s && (op <= DP_EOR || op == DP_TST || op == DP_TEQ || op >= DP_ORR);
}

static void dp_shift(ArmTrans *x, const A32Insn *i, A32Dp op, bool s)
{
    A32Op2 o = a32_shift_imm(x, (unsigned)i->rm, (A32Shift)i->type, (unsigned)i->amount, wants_carry(op, s));
    a32_dp(x, op, s, (unsigned)i->rd, (unsigned)i->rn, &o);
}

E(dp_shift) { dp_shift(x, i, (A32Dp)i->op, sets_flags(x, i)); }
E(cmp_shift) { dp_shift(x, i, (A32Dp)(DP_TST + i->op), true); }
E(dp2_shift) { dp_shift(x, i, (A32Dp)(DP_ORR + i->op), i->s); }
E(mov_shift) { dp_shift(x, i, (A32Dp)(DP_MOV + i->op), i->s); }

static void dp_reg(ArmTrans *x, const A32Insn *i, A32Dp op, bool s)
{
    A32Op2 o = a32_shift_reg(x, (unsigned)i->rm, (A32Shift)i->type, (unsigned)i->rs, wants_carry(op, s));
    a32_dp(x, op, s, (unsigned)i->rd, (unsigned)i->rn, &o);
}

E(dp_reg) { dp_reg(x, i, (A32Dp)i->op, sets_flags(x, i)); }
E(cmp_reg) { dp_reg(x, i, (A32Dp)(DP_TST + i->op), true); }
E(dp2_reg) { dp_reg(x, i, (A32Dp)(DP_ORR + i->op), i->s); }
E(mov_reg) { dp_reg(x, i, (A32Dp)(DP_MOV + i->op), i->s); }

/* An immediate that needs no expansion (T16, ADDW, SUBW). */
E(dp_plain)
{
    A32Op2 o = a32_imm_op2((uint32_t)i->imm, CARRY_KEEP);
    a32_dp(x, (A32Dp)i->op, sets_flags(x, i), (unsigned)i->rd, (unsigned)i->rn, &o);
}

/* T32's numbers of the operations (DDI 0406C, A6.3.1 and A6.3.11): a compare when Rd is 15, a move when Rn is. */
static A32Dp t32_dp_op(const A32Insn *i)
{
    bool compare = i->rd == 15 && i->s, move = i->rn == 15;
    switch (i->op) {
    case 0: return compare ? DP_TST : DP_AND;
    case 1: return DP_BIC;
    case 2: return move ? DP_MOV : DP_ORR;
    case 3: return move ? DP_MVN : DP_ORN;
    case 4: return compare ? DP_TEQ : DP_EOR;
    case 8: return compare ? DP_CMN : DP_ADD;
    case 10: return DP_ADC;
    case 11: return DP_SBC;
    case 13: return compare ? DP_CMP : DP_SUB;
    default: return DP_RSB;
    }
}

E(t32_dp_imm)
{
    A32Carry carry;
    uint32_t imm = t32_expand_imm((uint32_t)i->imm, &carry);
    A32Op2 o = a32_imm_op2(imm, carry);
    a32_dp(x, t32_dp_op(i), i->s, (unsigned)i->rd, (unsigned)i->rn, &o);
}

E(t32_dp_shift) { dp_shift(x, i, t32_dp_op(i), i->s); }

/* ADR: relative to the aligned pc. */
E(adr)
{
    uint32_t base = a32_pc(x) & ~3u;
    a32_set(x, (unsigned)i->rd, a32_const(x, i->op ? base - (uint32_t)i->imm : base + (uint32_t)i->imm));
}

E(movw) { a32_set(x, (unsigned)i->rd, a32_const(x, (uint32_t)i->imm)); }

E(movt)
{
    IrRef low = a32_ext(x, IR_ZEXT, 2, 4, a32_reg(x, (unsigned)i->rd));
    a32_set(x, (unsigned)i->rd, a32_opi(x, IR_OR, low, (uint32_t)i->imm << 16));
}

/* --- multiplication --- */
static IrRef mul(ArmTrans *x, IrRef a, IrRef b) { return a32_op(x, IR_MUL, a, b); }

E(mul) /* op: 0 MUL, 1 MLA, 2 MLS */
{
    IrRef p = mul(x, a32_reg(x, (unsigned)i->rn), a32_reg(x, (unsigned)i->rm));
    if (i->op)
        p = a32_op(x, i->op == 1 ? IR_ADD : IR_SUB, i->op == 1 ? p : a32_reg(x, (unsigned)i->ra),
                   i->op == 1 ? a32_reg(x, (unsigned)i->ra) : p);
    bool s = sets_flags(x, i);
    a32_set(x, (unsigned)i->rd, p);
    if (s)
        a32_set_nz(x, p, 4);
}

static IrRef wide(ArmTrans *x, unsigned n, bool sgn)
{
    return a32_ext(x, sgn ? IR_SEXT : IR_ZEXT, 4, 8, a32_reg(x, n));
}

/* RdHi:RdLo (rd:rt) as 64 bits, and back. */
static IrRef pair(ArmTrans *x, const A32Insn *i)
{
    return a32_op8(x, IR_OR, a32_op8i(x, IR_SHL, wide(x, (unsigned)i->rd, false), 32), wide(x, (unsigned)i->rt, false));
}

static void set_pair(ArmTrans *x, const A32Insn *i, IrRef v)
{
    IrRef high = a32_op8i(x, IR_SHR, v, 32);
    a32_set(x, (unsigned)i->rt, v);
    a32_set(x, (unsigned)i->rd, high);
}

E(mull) /* op: accumulate */
{
    IrRef v = a32_op8(x, IR_MUL, wide(x, (unsigned)i->rn, i->sgn), wide(x, (unsigned)i->rm, i->sgn));
    if (i->op)
        v = a32_op8(x, IR_ADD, v, pair(x, i));
    set_pair(x, i, v);
    if (i->s)
        a32_set_nz(x, v, 8);
}

E(umaal)
{
    IrRef v = a32_op8(x, IR_MUL, wide(x, (unsigned)i->rn, false), wide(x, (unsigned)i->rm, false));
    v = a32_op8(x, IR_ADD, v, wide(x, (unsigned)i->rd, false));
    set_pair(x, i, a32_op8(x, IR_ADD, v, wide(x, (unsigned)i->rt, false)));
}

static IrRef half(ArmTrans *x, unsigned n, bool top)
{
    IrRef r = a32_reg(x, n);
    return top ? a32_opi(x, IR_SAR, r, 16) : a32_ext(x, IR_SEXT, 2, 4, r);
}

/* p + Ra, with Q when the sum overflows. */
static IrRef add_q(ArmTrans *x, IrRef p, unsigned ra)
{
    IrRef d = ir_temp(x->t);
    arm_call(x, arm_help_a32_add_q, H_P | H_G, d, A_REF(p), A_REF(a32_reg(x, ra)), A_NONE);
    return d;
}

/* T32 has no forms without Ra: 15 says so. */
static bool accumulates(const ArmTrans *x, const A32Insn *i) { return i->op && !(i->ra == 15 && a32_t32(x)); }

E(smulxy) /* x: half of Rn, y: of Rm; op: accumulate */
{
    IrRef p = mul(x, half(x, (unsigned)i->rn, i->x), half(x, (unsigned)i->rm, i->y));
    a32_set(x, (unsigned)i->rd, accumulates(x, i) ? add_q(x, p, (unsigned)i->ra) : p);
}

E(smulwy)
{
    IrRef y = a32_ext(x, IR_SEXT, 4, 8, half(x, (unsigned)i->rm, i->y));
    IrRef p = a32_op8i(x, IR_SAR, a32_op8(x, IR_MUL, wide(x, (unsigned)i->rn, true), y), 16);
    a32_set(x, (unsigned)i->rd, accumulates(x, i) ? add_q(x, p, (unsigned)i->ra) : p);
}

E(smlalxy)
{
    IrRef p = a32_ext(x, IR_SEXT, 4, 8, mul(x, half(x, (unsigned)i->rn, i->x), half(x, (unsigned)i->rm, i->y)));
    set_pair(x, i, a32_op8(x, IR_ADD, p, pair(x, i)));
}

/* Both products of halves as 64 bits: low one and high one; x: the halves of Rm are exchanged. */
static void products(ArmTrans *x, const A32Insn *i, IrRef p[2])
{
    for (unsigned n = 0; n < 2; n++)
        p[n] = a32_ext(x, IR_SEXT, 4, 8, mul(x, half(x, (unsigned)i->rn, n), half(x, (unsigned)i->rm, i->x ? !n : n)));
}

E(smlad) /* op: subtract; Ra 15: no accumulation */
{
    IrRef p[2], d = ir_temp(x->t);
    products(x, i, p);
    IrRef sum = a32_op8(x, i->op ? IR_SUB : IR_ADD, p[0], p[1]);
    IrRef acc = i->ra == 15 ? a32_const(x, 0) : a32_reg(x, (unsigned)i->ra);
    arm_call(x, arm_help_a32_sum_q, H_P | H_G, d, A_REF(sum), A_REF(acc), A_IMM((uint32_t)i->op));
    a32_set(x, (unsigned)i->rd, d);
}

E(smlald)
{
    IrRef p[2];
    products(x, i, p);
    IrRef sum = a32_op8(x, i->op ? IR_SUB : IR_ADD, p[0], p[1]);
    set_pair(x, i, a32_op8(x, IR_ADD, sum, pair(x, i)));
}

E(smmla) /* op: subtract; r: round; Ra 15: no accumulation */
{
    IrRef v = a32_op8(x, IR_MUL, wide(x, (unsigned)i->rn, true), wide(x, (unsigned)i->rm, true));
    if (i->ra != 15 || i->op) {
        IrRef a = i->ra == 15 ? a32_const(x, 0) : a32_op8i(x, IR_SHL, wide(x, (unsigned)i->ra, false), 32);
        v = a32_op8(x, i->op ? IR_SUB : IR_ADD, a, v);
    }
    if (i->r)
        v = a32_op8i(x, IR_ADD, v, 0x80000000u);
    a32_set(x, (unsigned)i->rd, a32_op8i(x, IR_SHR, v, 32));
}

E(div)
{
    IrRef d = ir_temp(x->t);
    IrRef n = a32_reg(x, (unsigned)i->rn), m = a32_reg(x, (unsigned)i->rm);
    if (a32_m(x) || (x->has->r_profile && !x->has->v8)) /* CCR.DIV_0_TRP, SCTLR.DZ */
        arm_call(x, arm_help_a32_check_divisor, H_R, IR_NONE, A_REF(m), A_NONE, A_NONE);
    ir_op3(x->t, i->sgn ? IR_SDIV : IR_UDIV, 4, d, n, m);
    a32_set(x, (unsigned)i->rd, d);
}

/* --- helpers of two operands and a number --- */
static void call3(ArmTrans *x, const void *fn, unsigned rd, unsigned a, unsigned b, uint64_t c)
{
    IrRef d = ir_temp(x->t);
    arm_call(x, fn, H_P | H_G, d, A_REF(a32_reg(x, a)), A_REF(a32_reg(x, b)), A_IMM(c));
    a32_set(x, rd, d);
}

E(usada8)
{
    IrRef d = ir_temp(x->t);
    arm_call(x, arm_help_a32_usad8, H_P | H_G, d, A_REF(a32_reg(x, (unsigned)i->rn)),
             A_REF(a32_reg(x, (unsigned)i->rm)), A_NONE);
    a32_set(x, (unsigned)i->rd, i->ra == 15 ? d : a32_op(x, IR_ADD, d, a32_reg(x, (unsigned)i->ra)));
}

E(qadd) { call3(x, arm_help_a32_qadd, (unsigned)i->rd, (unsigned)i->rm, (unsigned)i->rn, (uint32_t)i->op); }
E(t32_qadd) /* T32's order: QADD QDADD QSUB QDSUB */
{
    static const uint8_t op[4] = { 0, 2, 1, 3 };
    call3(x, arm_help_a32_qadd, (unsigned)i->rd, (unsigned)i->rm, (unsigned)i->rn, op[i->op]);
}
E(parallel)
{
    call3(x, arm_help_a32_parallel, (unsigned)i->rd, (unsigned)i->rn, (unsigned)i->rm,
          (uint32_t)(i->size << 3 | i->op));
}

E(t32_parallel) /* op: 0 ADD8 1 ADD16 2 ASX 4 SUB8 5 SUB16 6 SAX; size: 0 S 1 Q 2 SH 4 U 5 UQ 6 UH */
{
    static const uint8_t op[8] = { 4, 0, 1, 0, 7, 3, 2, 0 };
    call3(x, arm_help_a32_parallel, (unsigned)i->rd, (unsigned)i->rn, (unsigned)i->rm,
          (uint64_t)((i->size + 1) << 3 | op[i->op]));
}

E(sel) { call3(x, arm_help_a32_sel, (unsigned)i->rd, (unsigned)i->rn, (unsigned)i->rm, 0); }

E(crc32)
{
    if (i->size == 3) {
        arm_undefined(x);
        return;
    }
    if (i->op) { /* CRC32C */
        IrRef d = ir_temp(x->t);
        ir_op3(x->t, IR_CRC32C, 1u << i->size, d, a32_reg(x, (unsigned)i->rn), a32_reg(x, (unsigned)i->rm));
        a32_set(x, (unsigned)i->rd, d);
        return;
    }
    call3(x, arm_help_crc32, (unsigned)i->rd, (unsigned)i->rn, (unsigned)i->rm, 1u << i->size);
}

E(sat) /* imm: bits - 1 (signed), bits (unsigned); type 2: ASR, amount 0 = 32 */
{
    IrRef r = a32_reg(x, (unsigned)i->rn), d = ir_temp(x->t);
    if (i->type == SH_ASR)
        r = a32_opi(x, IR_SAR, r, i->amount ? (uint32_t)i->amount : 31);
    else if (i->amount)
        r = a32_opi(x, IR_SHL, r, (uint32_t)i->amount);
    arm_call(x, i->sgn ? arm_help_a32_ssat : arm_help_a32_usat, H_P | H_G, d, A_REF(r),
             A_IMM((uint32_t)i->imm + (i->sgn ? 1 : 0)), A_NONE);
    a32_set(x, (unsigned)i->rd, d);
}

E(sat16)
{
    IrRef d = ir_temp(x->t);
    arm_call(x, i->sgn ? arm_help_a32_ssat16 : arm_help_a32_usat16, H_P | H_G, d, A_REF(a32_reg(x, (unsigned)i->rn)),
             A_IMM((uint32_t)i->imm + (i->sgn ? 1 : 0)), A_NONE);
    a32_set(x, (unsigned)i->rd, d);
}

/* --- packing, extension, bits --- */
E(pkh) /* type 0: BT with LSL, 2: TB with ASR */
{
    A32Op2 o = a32_shift_imm(x, (unsigned)i->rm, (A32Shift)i->type, (unsigned)i->amount, false);
    IrRef m = o.v == IR_IMM ? a32_const(x, o.imm) : o.v, n = a32_reg(x, (unsigned)i->rn);
    bool tb = i->type == SH_ASR;
    IrRef top = a32_opi(x, IR_AND, tb ? n : m, 0xffff0000u);
    a32_set(x, (unsigned)i->rd, a32_op(x, IR_OR, top, a32_ext(x, IR_ZEXT, 2, 4, tb ? m : n)));
}

/* Rm rotated by 8 * rot. */
static IrRef rotated(ArmTrans *x, const A32Insn *i)
{
    IrRef r = a32_reg(x, (unsigned)i->rm);
    return i->rot ? a32_opi(x, IR_ROR, r, 8 * (uint32_t)i->rot) : r;
}

/* op: 0 SXTB16 2 SXTB 3 SXTH, +4 unsigned; Rn 15: without addition. */
E(extend)
{
    IrRef r = rotated(x, i), v;
    bool sgn = !(i->op & 4);
    if ((i->op & 3) == 0) {
        IrRef d = ir_temp(x->t);
        IrRef n = i->rn == 15 ? a32_const(x, 0) : a32_reg(x, (unsigned)i->rn);
        arm_call(x, sgn ? arm_help_a32_sxtab16 : arm_help_a32_uxtab16, H_P | H_G, d, A_REF(n), A_REF(r), A_NONE);
        a32_set(x, (unsigned)i->rd, d);
        return;
    }
    v = a32_ext(x, sgn ? IR_SEXT : IR_ZEXT, (i->op & 3) == 2 ? 1 : 2, 4, r);
    a32_set(x, (unsigned)i->rd, i->rn == 15 ? v : a32_op(x, IR_ADD, v, a32_reg(x, (unsigned)i->rn)));
}

E(t32_extend) /* T32's order: SXTH UXTH SXTB16 UXTB16 SXTB UXTB */
{
    static const uint8_t op[6] = { 3, 7, 0, 4, 2, 6 };
    A32Insn n = *i;
    n.op = op[i->op];
    arm_a32_extend(x, &n);
}

E(rev) /* op: 0 REV, 1 REV16, 2 REVSH */
{
    IrRef v = ir_temp(x->t);
    ir_op2(x->t, IR_BSWAP, 4, v, a32_reg(x, (unsigned)i->rm));
    if (i->op == 1)
        v = a32_opi(x, IR_ROR, v, 16);
    else if (i->op == 2)
        v = a32_opi(x, IR_SAR, v, 16);
    a32_set(x, (unsigned)i->rd, v);
}

E(rbit)
{
    IrRef v = ir_temp(x->t);
    ir_op2(x->t, IR_RBIT, 4, v, a32_reg(x, (unsigned)i->rm));
    a32_set(x, (unsigned)i->rd, v);
}

E(clz)
{
    IrRef v = ir_temp(x->t);
    ir_op2(x->t, IR_LZCNT, 4, v, a32_reg(x, (unsigned)i->rm));
    a32_set(x, (unsigned)i->rd, v);
}

E(bfx) /* imm: width - 1 */
{
    unsigned width = (unsigned)i->imm + 1, lsb = (unsigned)i->lsb;
    IrRef r = a32_reg(x, (unsigned)i->rn);
    if (lsb + width > 32) { /* UNPREDICTABLE: as many bits as there are */
        arm_undefined(x);
        return;
    }
    if (i->sgn) {
        IrRef up = lsb + width == 32 ? r : a32_opi(x, IR_SHL, r, 32 - lsb - width);
        r = width == 32 ? up : a32_opi(x, IR_SAR, up, 32 - width);
    } else {
        r = lsb ? a32_opi(x, IR_SHR, r, lsb) : r;
        if (lsb + width != 32)
            r = a32_opi(x, IR_AND, r, (1u << width) - 1);
    }
    a32_set(x, (unsigned)i->rd, r);
}

E(bfi) /* Rn 15: BFC */
{
    unsigned lsb = (unsigned)i->lsb, msb = (unsigned)i->msb;
    if (msb < lsb) { /* UNPREDICTABLE */
        arm_undefined(x);
        return;
    }
    uint32_t mask = (uint32_t)(((UINT64_C(2) << (msb - lsb)) - 1) << lsb);
    IrRef keep = a32_opi(x, IR_AND, a32_reg(x, (unsigned)i->rd), ~mask);
    if (i->rn != 15) {
        IrRef in = a32_reg(x, (unsigned)i->rn);
        in = a32_opi(x, IR_AND, lsb ? a32_opi(x, IR_SHL, in, lsb) : in, mask);
        keep = a32_op(x, IR_OR, keep, in);
    }
    a32_set(x, (unsigned)i->rd, keep);
}
