/* SPDX-License-Identifier: MIT */
/* A64: data processing, immediate and register (DDI 0487, C4.1.86 and C4.1.95). */
#include "target/arm/tcg/a64.h"

static uint64_t ones(unsigned n) { return n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1; }

/* --- address and constants: MOVZ, MOVK ... and ADRP, ADD are one value --- */
void a64_set_known(ArmTrans *x, unsigned rd, uint64_t value)
{
    ir_movi(x->t, 8, IR_G(rd), value);
    x->known_reg = (uint8_t)rd;
    x->known_at = x->t->b->guest_insns;
    x->known_value = value;
}

bool a64_known(const ArmTrans *x, unsigned rn, uint64_t *value)
{
    *value = x->known_value;
    return x->known_at && x->known_at + 1 == x->t->b->guest_insns && x->known_reg == rn;
}

void arm_a64_adr(ArmTrans *x, const A64Insn *i)
{
    int64_t offset = i->page ? (int64_t)i->imm * 4096 : i->imm;
    uint64_t base = i->page ? x->pc & ~UINT64_C(4095) : x->pc;
    if (i->rd != 31)
        a64_set_known(x, (unsigned)i->rd, base + offset);
}

/* MOVN, MOVZ, MOVK (op 0, 2, 3). */
void arm_a64_movw(ArmTrans *x, const A64Insn *i)
{
    unsigned shift = i->hw * 16u, size = a64_size(i);
    uint64_t imm = (uint64_t)(uint32_t)i->imm << shift;
    uint64_t known;
    IrRef d = IR_G(i->rd);
    if (i->rd == 31)
        return;
    if (i->op != 3) {
        uint64_t value = i->op ? imm : ~imm;
        a64_set_known(x, (unsigned)i->rd, i->sf ? value : (uint32_t)value);
    } else if (a64_known(x, (unsigned)i->rd, &known)) {
        known = (known & ~(UINT64_C(0xffff) << shift)) | imm;
        a64_set_known(x, (unsigned)i->rd, i->sf ? known : (uint32_t)known);
    } else if (i->sf && !shift) {
        ir_movi(x->t, 2, d, imm); /* the other bits stay */
    } else {
        ir_op3i(x->t, IR_AND, size, d, d, i->sf ? ~(UINT64_C(0xffff) << shift) : (uint32_t)~(0xffffu << shift));
        if (imm)
            ir_op3i(x->t, IR_OR, size, d, d, imm);
    }
}

/* --- addition and subtraction --- */
void arm_a64_add_i(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    uint64_t imm = (uint64_t)(uint32_t)i->imm << (i->sh ? 12 : 0);
    uint64_t known;
    IrRef a = IR_G(i->rn);
    if (!i->setf) {
        if (i->sf && !i->sub && i->rd != 31 && i->rn != 31 && a64_known(x, (unsigned)i->rn, &known))
            a64_set_known(x, (unsigned)i->rd, known + imm);
        else if (imm)
            ir_op3i(x->t, i->sub ? IR_SUB : IR_ADD, size, IR_G(i->rd), a, imm);
        else
            ir_op2(x->t, IR_MOV, size, IR_G(i->rd), a);
        a64_sp_moved(x, i->rd, i->rn == 31 && i->sf ? (int64_t)imm : 1);
    } else if (i->sub && i->rd == 31) {
        ir_op3i(x->t, IR_CMP, size, IR_NONE, a, imm)->flags = IR_SETF;
    } else {
        ir_op3i(x->t, i->sub ? IR_SUB : IR_ADD, size, arm_xw(x, i->rd), a, imm)->flags = i->sub ? IR_SETF
                                                                                                : IR_SETF | IR_NOTC;
    }
}

IrRef a64_shifted(ArmTrans *x, unsigned size, unsigned rm, unsigned type, unsigned amount)
{
    static const uint8_t op[4] = { IR_SHL, IR_SHR, IR_SAR, IR_ROR };
    if (rm == 31)
        return arm_const(x, 0);
    if (!amount)
        return IR_G(rm);
    IrRef r = ir_temp(x->t);
    ir_op3i(x->t, op[type], size, r, IR_G(rm), amount);
    return r;
}

/* rd = a + b or a - b with flags; rd 31 is nothing, a may be IR_IMM for zero. */
static void add_sub_flags(ArmTrans *x, unsigned size, bool sub, unsigned rd, IrRef a, IrRef b)
{
    IrRef d = arm_xw(x, rd);
    if (sub && a == IR_IMM)
        ir_op2(x->t, IR_NEG, size, d, b)->flags = IR_SETF;
    else if (sub && rd == 31)
        ir_op3(x->t, IR_CMP, size, IR_NONE, a, b)->flags = IR_SETF;
    else
        ir_op3(x->t, sub ? IR_SUB : IR_ADD, size, d, a == IR_IMM ? arm_const(x, 0) : a, b)->flags = sub ? IR_SETF
                                                                                                        : IR_SETF |
                                                                                                              IR_NOTC;
}

static void add_scaled(ArmTrans *x, unsigned size, IrRef d, IrRef a, IrRef index, unsigned scale)
{
    IrInsn *lea = ir_op2(x->t, IR_LEA, size, d, IR_NONE);
    lea->m = (IrMem){ .base = a, .index = index, .scale = (uint8_t)scale, .asize = (uint8_t)size };
}

void arm_a64_add_s(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    if (i->setf) {
        IrRef shifted = a64_shifted(x, size, i->rm, i->shift, i->imm);
        add_sub_flags(x, size, i->sub, i->rd, arm_xr(i->rn), shifted);
        return;
    }
    if (i->rd == 31)
        return;
    IrRef d = IR_G(i->rd);
    if (!i->sub && i->shift == 0 && i->imm && i->imm <= 3 && i->rn != 31 && i->rm != 31) {
        add_scaled(x, size, d, IR_G(i->rn), IR_G(i->rm), i->imm);
        return;
    }
    IrRef b = a64_shifted(x, size, i->rm, i->shift, i->imm);
    if (i->rn == 31)
        ir_op2(x->t, i->sub ? IR_NEG : IR_MOV, size, d, b);
    else
        ir_op3(x->t, i->sub ? IR_SUB : IR_ADD, size, d, IR_G(i->rn), b);
}

IrRef a64_extended(ArmTrans *x, unsigned size, unsigned rm, unsigned option, unsigned amount)
{
    unsigned from = 1u << (option & 3);
    if (rm == 31)
        return arm_const(x, 0);
    IrRef r = IR_G(rm);
    if (from < size) {
        r = ir_temp(x->t);
        ir_extend(x->t, option & 4 ? IR_SEXT : IR_ZEXT, from, size, r, IR_G(rm));
    }
    if (amount) {
        IrRef shifted = r == IR_G(rm) ? ir_temp(x->t) : r;
        ir_op3i(x->t, IR_SHL, size, shifted, r, amount);
        r = shifted;
    }
    return r;
}

void arm_a64_add_x(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    if (i->setf) {
        add_sub_flags(x, size, i->sub, i->rd, IR_G(i->rn), a64_extended(x, size, i->rm, i->ext, i->imm));
        return;
    }
    if (!i->sub && i->imm <= 3) {
        add_scaled(x, size, IR_G(i->rd), IR_G(i->rn), a64_extended(x, size, i->rm, i->ext, 0), i->imm);
    } else {
        IrRef b = a64_extended(x, size, i->rm, i->ext, i->imm);
        ir_op3(x->t, i->sub ? IR_SUB : IR_ADD, size, IR_G(i->rd), IR_G(i->rn), b);
    }
    a64_sp_moved(x, i->rd, 1);
}

/* The guest's flag holds NOT C: a + b + C = a - ~b - NOT C, a - b - 1 + C = a - b - NOT C. */
void arm_a64_adc(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    IrRef a = arm_value(x, i->rn), b = arm_value(x, i->rm);
    if (!i->sub) {
        IrRef inverted = ir_temp(x->t);
        ir_op2(x->t, IR_NOT, size, inverted, b);
        b = inverted;
    }
    ir_op3(x->t, IR_SBB, size, arm_xw(x, i->rd), a, b)->flags = i->setf ? IR_SETF : 0;
}

/* --- logic --- */
/* The value of a logical immediate; false: reserved (DDI 0487, DecodeBitMasks). */
static bool logical_immediate(unsigned n, unsigned immr, unsigned imms, uint64_t *value)
{
    unsigned key = n << 6 | (~imms & 63);
    if (key < 2)
        return false;
    unsigned esize = 1u << (31 - __builtin_clz(key)), s = imms & (esize - 1), r = immr & (esize - 1);
    if (s == esize - 1)
        return false;
    uint64_t element = ones(s + 1);
    if (r)
        element = (element >> r | element << (esize - r)) & ones(esize);
    for (unsigned w = esize; w < 64; w *= 2)
        element |= element << w;
    *value = element;
    return true;
}

void arm_a64_logic_i(ArmTrans *x, const A64Insn *i)
{
    static const uint8_t op[4] = { IR_AND, IR_OR, IR_XOR, IR_AND };
    unsigned size = a64_size(i);
    uint64_t imm;
    if (!logical_immediate(i->n, i->immr, i->imms, &imm)) {
        arm_undefined(x);
        return;
    }
    imm &= ones(size * 8);
    if (i->op == 3 && i->rd == 31) {
        ir_op3i(x->t, IR_TEST, size, IR_NONE, arm_value(x, i->rn), imm)->flags = IR_SETF | IR_NOTC;
    } else if (i->op == 3) {
        ir_op3i(x->t, IR_AND, size, IR_G(i->rd), arm_value(x, i->rn), imm)->flags = IR_SETF | IR_NOTC;
    } else if (i->rn == 31) {
        ir_movi(x->t, size, IR_G(i->rd), i->op == 0 ? 0 : imm);
    } else {
        ir_op3i(x->t, op[i->op], size, IR_G(i->rd), IR_G(i->rn), imm);
    }
    if (i->op != 3)
        a64_sp_moved(x, i->rd, (imm & 15) || i->op != 0 ? 1 : 0);
}

/* b = the shifted operand; inverted for BIC, ORN, EON. */
static void logic_values(ArmTrans *x, const A64Insn *i, unsigned size, IrRef d, IrRef a, IrRef b)
{
    static const uint8_t op[4] = { IR_AND, IR_OR, IR_XOR, IR_AND };
    unsigned flags = i->op == 3 ? IR_SETF | IR_NOTC : 0;
    if (i->neg && op[i->op] == IR_AND) {
        ir_op3(x->t, IR_ANDN, size, d, b, a)->flags = flags;
        return;
    }
    if (i->neg) {
        IrRef inverted = ir_temp(x->t);
        ir_op2(x->t, IR_NOT, size, inverted, b);
        b = inverted;
    }
    ir_op3(x->t, op[i->op], size, d, a, b)->flags = flags;
}

void arm_a64_logic_s(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    if (i->rd == 31 && i->op != 3)
        return;
    IrRef b = a64_shifted(x, size, i->rm, i->shift, i->imm);
    if (i->rn == 31 && i->op == 1) { /* MOV, MVN */
        ir_op2(x->t, i->neg ? IR_NOT : IR_MOV, size, IR_G(i->rd), b);
        return;
    }
    IrRef a = arm_value(x, i->rn);
    if (i->op == 3 && i->rd == 31 && !i->neg)
        ir_op3(x->t, IR_TEST, size, IR_NONE, a, b)->flags = IR_SETF | IR_NOTC;
    else
        logic_values(x, i, size, arm_xw(x, i->rd), a, b);
}

/* --- bit fields --- */
/* d = the field of a, `width` bits from lsb, moved to bit 0 and extended. */
static void extract(ArmTrans *x, unsigned size, IrRef d, IrRef a, unsigned lsb, unsigned width, bool sign)
{
    unsigned bits = size * 8;
    if (!lsb && (width == 8 || width == 16 || (width == 32 && size == 8))) {
        ir_extend(x->t, sign ? IR_SEXT : IR_ZEXT, width / 8, size, d, a);
    } else if (lsb + width == bits) {
        ir_op3i(x->t, sign ? IR_SAR : IR_SHR, size, d, a, lsb);
    } else if (sign) {
        ir_op3i(x->t, IR_SHL, size, d, a, bits - lsb - width);
        ir_op3i(x->t, IR_SAR, size, d, d, bits - width);
    } else if (width < 32) {
        if (lsb)
            ir_op3i(x->t, IR_SHR, size, d, a, lsb);
        ir_op3i(x->t, IR_AND, 4, d, lsb ? d : a, ones(width));
    } else {
        ir_op3i(x->t, IR_SHL, size, d, a, bits - lsb - width);
        ir_op3i(x->t, IR_SHR, size, d, d, bits - width);
    }
}

/* d = the low `width` bits of a at lsb, extended on the left, zero below. */
static void place(ArmTrans *x, unsigned size, IrRef d, IrRef a, unsigned lsb, unsigned width, bool sign)
{
    unsigned bits = size * 8;
    if (lsb + width == bits) {
        ir_op3i(x->t, IR_SHL, size, d, a, lsb);
    } else if (sign) {
        ir_op3i(x->t, IR_SHL, size, d, a, bits - width);
        ir_op3i(x->t, IR_SAR, size, d, d, bits - width - lsb);
    } else if (width <= 8 || width == 16) {
        if (width == 8 || width == 16)
            ir_extend(x->t, IR_ZEXT, width / 8, size, d, a);
        else
            ir_op3i(x->t, IR_AND, 4, d, a, ones(width));
        ir_op3i(x->t, IR_SHL, size, d, d, lsb);
    } else {
        ir_op3i(x->t, IR_SHL, size, d, a, bits - width);
        ir_op3i(x->t, IR_SHR, size, d, d, bits - width - lsb);
    }
}

/* BFI, BFXIL: `width` bits of a from `from` go to `to` of d. */
static void insert(ArmTrans *x, unsigned size, IrRef d, IrRef a, unsigned from, unsigned to, unsigned width)
{
    if (!to && !from && size == 8 && (width == 8 || width == 16)) {
        ir_op2(x->t, IR_MOV, width / 8, d, a);
        return;
    }
    IrRef field = ir_temp(x->t);
    if (from)
        extract(x, size, field, a, from, width, false);
    else
        place(x, size, field, a, to, width, false);
    if (width == size * 8) {
        ir_op2(x->t, IR_MOV, size, d, field);
        return;
    }
    ir_op3i(x->t, IR_AND, size, d, d, ~(ones(width) << to) & ones(size * 8));
    ir_op3(x->t, IR_OR, size, d, d, field);
}

/* SBFM, BFM, UBFM (op 0, 1, 2). */
void arm_a64_bitfield(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i), bits = size * 8, r = i->immr, s = i->imms;
    bool down = s >= r;
    unsigned width = down ? s - r + 1 : s + 1, lsb = down ? r : bits - r;
    if (i->rd == 31)
        return;
    IrRef d = IR_G(i->rd), a = arm_value(x, i->rn);
    if (i->op == 1)
        insert(x, size, d, a, down ? lsb : 0, down ? 0 : lsb, width);
    else if (down)
        extract(x, size, d, a, lsb, width, i->op == 0);
    else
        place(x, size, d, a, lsb, width, i->op == 0);
}

void arm_a64_extr(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    if (i->rd == 31)
        return;
    IrRef d = IR_G(i->rd);
    if (!i->imms) {
        ir_op2(x->t, IR_MOV, size, d, arm_value(x, i->rm));
    } else if (i->rn == i->rm) {
        ir_op3i(x->t, IR_ROR, size, d, arm_value(x, i->rm), i->imms);
    } else {
        IrInsn *op = ir_op3(x->t, IR_SHRD, size, d, arm_value(x, i->rm), arm_value(x, i->rn));
        op->c = IR_IMM, op->imm = i->imms;
    }
}

/* --- conditions --- */
uint32_t a64_flag_bits(unsigned nzcv)
{
    return (nzcv & 8 ? FLAG_S : 0) | (nzcv & 4 ? FLAG_Z : 0) | (nzcv & 2 ? 0 : FLAG_C) | (nzcv & 1 ? FLAG_O : 0);
}

void arm_a64_ccmp(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    bool imm = i->imm >= 0;
    IrRef a = arm_value(x, i->rn);
    IrInsn *op;
    if (i->cond >= 14) { /* always */
        op = ir_op3(x->t, i->sub ? IR_CMP : IR_ADD, size, i->sub ? IR_NONE : ir_temp(x->t), a,
                    imm ? IR_IMM : arm_value(x, i->rm));
        op->flags = i->sub ? IR_SETF : IR_SETF | IR_NOTC;
    } else {
        IrRef b = imm ? IR_IMM : arm_value(x, i->rm);
        op = ir_op3(x->t, i->sub ? IR_CCMP : IR_CCMN, size, IR_NONE, a, b);
        op->cond = arm_cond(i->cond);
        op->flags = IR_SETF;
        op->imm2 = a64_flag_bits(i->nzcv);
    }
    if (imm)
        op->imm = (uint32_t)i->imm;
}

static IrRef else_value(ArmTrans *x, const A64Insn *i, unsigned size)
{
    if (!i->inc && !i->inv)
        return arm_value(x, i->rm);
    IrRef r = ir_temp(x->t);
    if (i->rm == 31)
        ir_movi(x->t, size, r, i->inv ? (i->inc ? 0 : ones(size * 8)) : 1);
    else if (!i->inv)
        ir_op3i(x->t, IR_ADD, size, r, IR_G(i->rm), 1);
    else
        ir_op2(x->t, i->inc ? IR_NEG : IR_NOT, size, r, IR_G(i->rm));
    return r;
}

/* CSET, CSETM: 0 or 1, 0 or -1. */
static void set_condition(ArmTrans *x, const A64Insn *i, unsigned size)
{
    IrRef bit = ir_temp(x->t);
    ir_op2(x->t, IR_SETCC, 1, bit, IR_NONE)->cond = arm_cond(i->cond) ^ 1;
    ir_extend(x->t, IR_ZEXT, 1, size, IR_G(i->rd), bit);
    if (i->inv)
        ir_op2(x->t, IR_NEG, size, IR_G(i->rd), IR_G(i->rd));
}

void arm_a64_csel(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    if (i->rd == 31)
        return;
    if (i->cond >= 14) {
        ir_op2(x->t, IR_MOV, size, IR_G(i->rd), arm_value(x, i->rn));
        return;
    }
    if (i->rn == 31 && i->rm == 31 && i->inc != i->inv) {
        set_condition(x, i, size);
        return;
    }
    IrRef other = else_value(x, i, size), value = arm_value(x, i->rn);
    IrInsn *op;
    if (i->rd == i->rn) {
        op = ir_op3(x->t, IR_CMOV, size, IR_G(i->rd), value, other);
        op->cond = arm_cond(i->cond) ^ 1;
    } else {
        op = ir_op3(x->t, IR_CMOV, size, IR_G(i->rd), other, value);
        op->cond = arm_cond(i->cond);
    }
}

/* --- flags as data --- */
/* (bits in FLAG_* places) -> NZCV 31:28 and back; C is inverted on the way. */
void a64_get_nzcv(ArmTrans *x, IrRef d)
{
    TransCtx *t = x->t;
    IrRef f = ir_temp(t), part = ir_temp(t);
    ir_op2(t, IR_GETF, 4, f, IR_NONE);
    ir_op3i(t, IR_XOR, 4, f, f, FLAG_C);
    ir_op3i(t, IR_AND, 4, part, f, FLAG_S | FLAG_Z);
    ir_op3i(t, IR_SHL, 4, part, part, 24);
    IrRef c = ir_temp(t);
    ir_op3i(t, IR_AND, 4, c, f, FLAG_C);
    ir_op3i(t, IR_SHL, 4, c, c, 29);
    ir_op3(t, IR_OR, 4, part, part, c);
    ir_op3i(t, IR_AND, 4, f, f, FLAG_O);
    ir_op3i(t, IR_SHL, 4, f, f, 17);
    ir_op3(t, IR_OR, 4, d, part, f);
}

void a64_put_nzcv(ArmTrans *x, IrRef value, uint32_t mask)
{
    TransCtx *t = x->t;
    IrRef f = ir_temp(t), part = ir_temp(t);
    ir_op3i(t, IR_SHR, 4, f, value, 24);
    ir_op3i(t, IR_AND, 4, f, f, FLAG_S | FLAG_Z);
    ir_op3i(t, IR_SHR, 4, part, value, 29);
    ir_op3i(t, IR_AND, 4, part, part, 1);
    ir_op3i(t, IR_XOR, 4, part, part, 1);
    ir_op3(t, IR_OR, 4, f, f, part);
    ir_op3i(t, IR_SHR, 4, part, value, 17);
    ir_op3i(t, IR_AND, 4, part, part, FLAG_O);
    ir_op3(t, IR_OR, 4, f, f, part);
    IrInsn *put = ir_op2(t, IR_PUTF, 4, IR_NONE, f);
    put->imm = (mask & BIT(31) ? FLAG_S : 0) | (mask & BIT(30) ? FLAG_Z : 0) | (mask & BIT(29) ? FLAG_C : 0) |
               (mask & BIT(28) ? FLAG_O : 0);
    put->flags = IR_SETF;
}

void arm_a64_rmif(ArmTrans *x, const A64Insn *i)
{
    IrRef r = ir_temp(x->t);
    ir_op3i(x->t, IR_ROR, 8, r, arm_value(x, i->rn), (unsigned)i->imm);
    ir_op3i(x->t, IR_SHL, 4, r, r, 28);
    if (i->mask)
        a64_put_nzcv(x, r, (uint32_t)i->mask << 28);
}

/* SETF8, SETF16: N, Z of the low bits; V = the bit above differs from the sign. */
void arm_a64_setf(ArmTrans *x, const A64Insn *i)
{
    unsigned size = i->sz ? 2 : 1, top = size * 8 - 1;
    IrRef a = arm_value(x, i->rn), v = ir_temp(x->t);
    ir_op3i(x->t, IR_SHR, 4, v, a, 1);
    ir_op3(x->t, IR_XOR, 4, v, v, a);
    ir_op3i(x->t, IR_SHR, 4, v, v, top);
    ir_op3i(x->t, IR_AND, 4, v, v, 1);
    ir_op3i(x->t, IR_SHL, 4, v, v, 11);
    ir_op2(x->t, IR_SETNZ, size, IR_NONE, a)->flags = IR_SETF;
    IrInsn *put = ir_op2(x->t, IR_PUTF, 4, IR_NONE, v);
    put->imm = FLAG_O;
    put->flags = IR_SETF;
}

void arm_a64_cfinv(ArmTrans *x, const A64Insn *i) { ir_emit(x->t, IR_CMC, 8)->flags = IR_SETF; }

/* d = flag bit `from` of f at bit 0. */
static IrRef flag_at(ArmTrans *x, IrRef f, unsigned from)
{
    IrRef r = ir_temp(x->t);
    ir_op3i(x->t, IR_SHR, 4, r, f, from);
    ir_op3i(x->t, IR_AND, 4, r, r, 1);
    return r;
}

/*
 * XAFLAG: N = !C & !Z, Z = Z & C, C = C | Z, V = !C & Z. AXFLAG: N = 0, Z = Z | V, C = C & !V, V = 0. c below is NOT C.
 */
static void put_parts(ArmTrans *x, IrRef n, IrRef z, IrRef not_c, IrRef v)
{
    TransCtx *t = x->t;
    if (n != IR_NONE) {
        ir_op3i(t, IR_SHL, 4, n, n, 7);
        ir_op3(t, IR_OR, 4, not_c, not_c, n);
    }
    ir_op3i(t, IR_SHL, 4, z, z, 6);
    ir_op3(t, IR_OR, 4, not_c, not_c, z);
    if (v != IR_NONE) {
        ir_op3i(t, IR_SHL, 4, v, v, 11);
        ir_op3(t, IR_OR, 4, not_c, not_c, v);
    }
    IrInsn *put = ir_op2(t, IR_PUTF, 4, IR_NONE, not_c);
    put->imm = FLAG_S | FLAG_Z | FLAG_C | FLAG_O;
    put->flags = IR_SETF;
}

void arm_a64_xaflag(ArmTrans *x, const A64Insn *i)
{
    TransCtx *t = x->t;
    IrRef f = ir_temp(t);
    ir_op2(t, IR_GETF, 4, f, IR_NONE);
    IrRef c = flag_at(x, f, 0), z = flag_at(x, f, 6), n = ir_temp(t), v = ir_temp(t), new_c = ir_temp(t),
          new_z = ir_temp(t);
    ir_op3(t, IR_ANDN, 4, n, z, c);      /* !C & !Z */
    ir_op3(t, IR_ANDN, 4, new_z, c, z);  /* Z & C */
    ir_op3(t, IR_AND, 4, v, c, z);       /* !C & Z */
    ir_op3(t, IR_ANDN, 4, new_c, z, c);  /* NOT (C | Z) */
    put_parts(x, n, new_z, new_c, v);
}

void arm_a64_axflag(ArmTrans *x, const A64Insn *i)
{
    TransCtx *t = x->t;
    IrRef f = ir_temp(t);
    ir_op2(t, IR_GETF, 4, f, IR_NONE);
    IrRef c = flag_at(x, f, 0), z = flag_at(x, f, 6), v = flag_at(x, f, 11);
    ir_op3(t, IR_OR, 4, z, z, v);
    ir_op3(t, IR_OR, 4, c, c, v); /* NOT (C & !V) */
    put_parts(x, IR_NONE, z, c, IR_NONE);
}

/* --- multiplication, division, variable shifts --- */
static void accumulate(ArmTrans *x, unsigned size, unsigned rd, unsigned ra, bool sub, IrRef product)
{
    if (ra == 31) {
        ir_op2(x->t, sub ? IR_NEG : IR_MOV, size, IR_G(rd), product);
    } else {
        ir_op3(x->t, sub ? IR_SUB : IR_ADD, size, IR_G(rd), IR_G(ra), product);
    }
}

void arm_a64_madd(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    if (i->rd == 31)
        return;
    IrRef a = arm_value(x, i->rn), b = arm_value(x, i->rm);
    if (i->ra == 31 && !i->sub) {
        ir_op3(x->t, IR_MUL, size, IR_G(i->rd), a, b);
        return;
    }
    IrRef product = ir_temp(x->t);
    ir_op3(x->t, IR_MUL, size, product, a, b);
    accumulate(x, size, i->rd, i->ra, i->sub, product);
}

void arm_a64_maddl(ArmTrans *x, const A64Insn *i)
{
    if (i->rd == 31)
        return;
    IrRef a = ir_temp(x->t), b = ir_temp(x->t);
    ir_extend(x->t, i->is_signed ? IR_SEXT : IR_ZEXT, 4, 8, a, arm_value(x, i->rn));
    ir_extend(x->t, i->is_signed ? IR_SEXT : IR_ZEXT, 4, 8, b, arm_value(x, i->rm));
    if (i->ra == 31 && !i->sub) {
        ir_op3(x->t, IR_MUL, 8, IR_G(i->rd), a, b);
        return;
    }
    ir_op3(x->t, IR_MUL, 8, a, a, b);
    accumulate(x, 8, i->rd, i->ra, i->sub, a);
}

void arm_a64_mulh(ArmTrans *x, const A64Insn *i)
{
    if (i->rd == 31)
        return;
    IrRef low = ir_temp(x->t);
    IrInsn *op = ir_op3(x->t, i->is_signed ? IR_MULS2 : IR_MULU2, 8, low, arm_value(x, i->rn), arm_value(x, i->rm));
    op->c = IR_G(i->rd);
}

void arm_a64_div(ArmTrans *x, const A64Insn *i)
{
    if (i->rd != 31)
        ir_op3(x->t, i->is_signed ? IR_SDIV : IR_UDIV, a64_size(i), IR_G(i->rd), arm_value(x, i->rn),
               arm_value(x, i->rm));
}

void arm_a64_shiftv(ArmTrans *x, const A64Insn *i)
{
    if (i->rd != 31)
        ir_op3(x->t, i->op, a64_size(i), IR_G(i->rd), arm_value(x, i->rn), arm_value(x, i->rm));
}

void arm_a64_crc32(ArmTrans *x, const A64Insn *i)
{
    unsigned size = 1u << i->sz;
    if (i->rd == 31)
        return;
    IrRef crc = arm_value(x, i->rn), data = arm_value(x, i->rm);
    if (i->c)
        ir_op3(x->t, IR_CRC32C, size, IR_G(i->rd), crc, data);
    else
        arm_call(x, arm_help_crc32, H_G | H_P, IR_G(i->rd), A_REF(crc), A_REF(data), A_IMM(size));
}

/* --- one source --- */
static void unary(ArmTrans *x, const A64Insn *i, IrOp op)
{
    if (i->rd != 31)
        ir_op2(x->t, op, a64_size(i), IR_G(i->rd), arm_value(x, i->rn));
}
void arm_a64_rbit(ArmTrans *x, const A64Insn *i) { unary(x, i, IR_RBIT); }
void arm_a64_clz(ArmTrans *x, const A64Insn *i) { unary(x, i, IR_LZCNT); }

void arm_a64_rev(ArmTrans *x, const A64Insn *i)
{
    unary(x, i, IR_BSWAP);
    if (i->half && i->rd != 31)
        ir_op3i(x->t, IR_ROR, 8, IR_G(i->rd), IR_G(i->rd), 32);
}

void arm_a64_rev16(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    uint64_t even = i->sf ? UINT64_C(0x00ff00ff00ff00ff) : 0x00ff00ff;
    if (i->rd == 31)
        return;
    IrRef high = ir_temp(x->t), low = ir_temp(x->t), a = arm_value(x, i->rn);
    ir_op3i(x->t, IR_AND, size, high, a, even);
    ir_op3i(x->t, IR_SHL, size, high, high, 8);
    ir_op3i(x->t, IR_SHR, size, low, a, 8);
    ir_op3i(x->t, IR_AND, size, low, low, even);
    ir_op3(x->t, IR_OR, size, IR_G(i->rd), high, low);
}

void arm_a64_cls(ArmTrans *x, const A64Insn *i)
{
    unsigned size = a64_size(i);
    if (i->rd == 31)
        return;
    IrRef sign = ir_temp(x->t), a = arm_value(x, i->rn);
    ir_op3i(x->t, IR_SAR, size, sign, a, size * 8 - 1);
    ir_op3(x->t, IR_XOR, size, sign, sign, a);
    ir_op2(x->t, IR_LZCNT, size, sign, sign);
    ir_op3i(x->t, IR_SUB, size, IR_G(i->rd), sign, 1);
}
