/* SPDX-License-Identifier: MIT */
/* SVE: emitters of sve.decode. Nearly all are one call of a function of sve.def (DDI 0487, C8). */
#include "target/arm/tcg/sve.h"
#include "target/arm/tcg/sve.decode.h"
#include "target/arm/tcg/a64.h"

static SveFn *const functions[] = {
#define X(id) sve_##id,
#include "target/arm/tcg/sve.def"
#undef X
};

static unsigned vector_bytes(const ArmTrans *x) { return 16 * ((unsigned)(x->mode >> ARM_MODE_VL_SHIFT & 15) + 1); }

/* The call; `more` has bits of desc. */
static void call(ArmTrans *x, const SveInsn *i, unsigned es, int imm, uint64_t more, unsigned flags, ArmArg x1)
{
    if (!arm_sve_usable(x))
        return;
    uint64_t desc = (uint64_t)i->rd | (uint64_t)(i->dn ? i->rd : i->rn) << 5 | (uint64_t)i->rm << 10 |
                    (uint64_t)(i->acc ? i->rd : i->ra) << 15 | (uint64_t)i->pg << 20 | (uint64_t)es << SVE_ES_SHIFT |
                    (x->mode >> ARM_MODE_VL_SHIFT & 15) << SVE_VL_SHIFT | (uint64_t)i->im << SVE_IM_SHIFT |
                    (uint64_t)i->rev << SVE_REV_SHIFT | (uint64_t)(uint16_t)imm << SVE_IMM_SHIFT | more;
    arm_call(x, functions[i->op], flags | (i->fl ? H_W : 0) | (i->fl == 2 ? H_F : 0), IR_NONE, A_IMM(desc), x1, A_NONE);
}
static void simple(ArmTrans *x, const SveInsn *i, unsigned es, int imm) { call(x, i, es, imm, 0, 0, A_NONE); }

void arm_sve_op(ArmTrans *x, const SveInsn *i) { simple(x, i, (unsigned)i->size, i->imm); }
void arm_sve_incp(ArmTrans *x, const SveInsn *i) { simple(x, i, (unsigned)i->size, i->dec | i->uns << 1 | i->sf << 2); }
void arm_sve_ptrue(ArmTrans *x, const SveInsn *i) { simple(x, i, (unsigned)i->size, i->pattern); }
void arm_sve_whilecc(ArmTrans *x, const SveInsn *i)
{
    simple(x, i, i->op == SVE_ADCL ? 2 + (unsigned)i->sf : (unsigned)i->size, i->imm | i->sf << 4);
}
/* PMULLB, PMULLT of doublewords: with the AES feature. */
void arm_sve_pmull(ArmTrans *x, const SveInsn *i)
{
    if (i->size || x->has->sve2_aes)
        simple(x, i, i->size ? (unsigned)i->size : 4, 0);
    else
        arm_undefined(x);
}
/* Elements of 128 bits need a vector of two of them. */
void arm_sve_quad(ArmTrans *x, const SveInsn *i)
{
    if (vector_bytes(x) >= 32)
        simple(x, i, (unsigned)i->size, i->imm);
    else if (arm_sve_usable(x))
        arm_undefined(x);
}

/* --- immediates --- */
static void with_value(ArmTrans *x, const SveInsn *i, unsigned es, uint64_t value)
{
    call(x, i, es, 0, (uint64_t)SVE_IM_VALUE << SVE_IM_SHIFT, 0, A_IMM(value));
}
void arm_sve_opi(ArmTrans *x, const SveInsn *i)
{
    with_value(x, i, (unsigned)i->size, (uint64_t)(int64_t)i->imm << (i->sh ? 8 : 0));
}
void arm_sve_cpyi(ArmTrans *x, const SveInsn *i)
{
    call(x, i, (unsigned)i->size, !i->m, (uint64_t)SVE_IM_VALUE << SVE_IM_SHIFT, 0,
         A_IMM((uint64_t)(int64_t)i->imm << (i->sh ? 8 : 0)));
}
/* VFPExpandImm */
static uint64_t expand_fp(unsigned es, unsigned imm8)
{
    unsigned bits = 8u << es, exp = es == 1 ? 5 : es == 2 ? 8 : 11;
    uint64_t sign = imm8 >> 7, b = imm8 >> 6 & 1;
    uint64_t e = (b ^ 1) << (exp - 1) | (b ? sve_ones(exp - 3) << 2 : 0) | (imm8 >> 4 & 3);
    return sign << (bits - 1) | e << (bits - 1 - exp) | (uint64_t)(imm8 & 15) << (bits - 5 - exp);
}
void arm_sve_fdup(ArmTrans *x, const SveInsn *i)
{
    with_value(x, i, (unsigned)i->size, expand_fp((unsigned)i->size, (unsigned)i->imm));
}
void arm_sve_fpi(ArmTrans *x, const SveInsn *i)
{
    static const uint8_t imm8[] = { 0, 0x60, 0x70, 0x00 }; /* -, 0.5, 1, 2 */
    unsigned which = (unsigned)i->ra >> (i->imm ? 2 : 0) & 3;
    SveInsn copy = *i;
    copy.ra = 0;
    with_value(x, &copy, (unsigned)i->size, which ? expand_fp((unsigned)i->size, imm8[which]) : 0);
}
/* DecodeBitMasks of N:immr:imms. */
static bool bitmask(unsigned imm, uint64_t *out)
{
    unsigned n = imm >> 12, r = imm >> 6 & 63, s = imm & 63, both = n << 6 | (~s & 63);
    if (both < 2)
        return false;
    unsigned len = 31 - (unsigned)__builtin_clz(both), size = 1u << len;
    s &= size - 1, r &= size - 1;
    if (s == size - 1)
        return false;
    uint64_t e = sve_ones(s + 1);
    if (r)
        e = (e >> r | e << (size - r)) & sve_ones(size);
    for (unsigned at = size; at < 64; at *= 2)
        e |= e << at;
    *out = e;
    return true;
}
void arm_sve_bitmask(ArmTrans *x, const SveInsn *i)
{
    uint64_t value;
    if (bitmask((unsigned)i->imm, &value))
        with_value(x, i, 3, value);
    else
        arm_undefined(x);
}

/* --- shifts by tsz:imm3 --- */
static bool shift_size(ArmTrans *x, const SveInsn *i, unsigned *es)
{
    if (i->imm >> 3 == 0) {
        arm_undefined(x);
        return false;
    }
    *es = 31 - (unsigned)__builtin_clz((unsigned)i->imm >> 3);
    return true;
}
void arm_sve_shr(ArmTrans *x, const SveInsn *i)
{
    unsigned es;
    if (shift_size(x, i, &es))
        with_value(x, i, es, (16u << es) - (unsigned)i->imm);
}
void arm_sve_shl(ArmTrans *x, const SveInsn *i)
{
    unsigned es;
    if (shift_size(x, i, &es))
        with_value(x, i, es, (unsigned)i->imm - (8u << es));
}
void arm_sve_shll(ArmTrans *x, const SveInsn *i) /* es: of the result */
{
    unsigned es;
    if (shift_size(x, i, &es))
        simple(x, i, es + 1, i->imm - (8 << es));
}
void arm_sve_shrn(ArmTrans *x, const SveInsn *i) /* es: of the source */
{
    unsigned es;
    if (shift_size(x, i, &es))
        simple(x, i, es + 1, (16 << es) - i->imm);
}
void arm_sve_xtn(ArmTrans *x, const SveInsn *i)
{
    unsigned tsz = (unsigned)i->imm >> 3;
    if (tsz != 1 && tsz != 2 && tsz != 4)
        arm_undefined(x);
    else
        simple(x, i, tsz == 1 ? 1 : tsz == 2 ? 2 : 3, 0);
}

/* --- others with a rule of their own --- */
void arm_sve_index(ArmTrans *x, const SveInsn *i) { simple(x, i, (unsigned)i->size, (i->a & 31) | (i->b & 31) << 5); }
void arm_sve_ext2(ArmTrans *x, const SveInsn *i) /* of a pair of registers */
{
    SveInsn copy = *i;
    copy.rm = (i->rn + 1) & 31;
    simple(x, &copy, (unsigned)i->size, i->imm);
}
void arm_sve_dupx(ArmTrans *x, const SveInsn *i)
{
    unsigned tsz = (unsigned)i->imm & 31;
    if (!tsz) {
        arm_undefined(x);
        return;
    }
    unsigned es = (unsigned)__builtin_ctz(tsz);
    simple(x, i, es, i->imm >> (es + 1));
}
void arm_sve_addvl(ArmTrans *x, const SveInsn *i)
{
    if (!arm_sve_usable(x))
        return;
    int64_t n = (int64_t)i->imm * i->op * (vector_bytes(x) / 16);
    ir_op3i(x->t, IR_ADD, 8, IR_G(i->rd), IR_G(i->rn), (uint64_t)n);
    if (i->rd == 31)
        x->sp_checked = false;
}
void arm_sve_rdvl(ArmTrans *x, const SveInsn *i)
{
    if (arm_sve_usable(x))
        ir_movi(x->t, 8, arm_xw(x, (unsigned)i->rd), (uint64_t)((int64_t)i->imm * vector_bytes(x)));
}
void arm_sve_nop(ArmTrans *x, const SveInsn *i) { arm_sve_usable(x); }

static uint64_t count(const ArmTrans *x, const SveInsn *i)
{
    return (uint64_t)sve_pattern((unsigned)i->pattern, vector_bytes(x) >> i->size) * ((unsigned)i->mul + 1);
}
void arm_sve_cntx(ArmTrans *x, const SveInsn *i)
{
    if (!arm_sve_usable(x))
        return;
    IrRef d = arm_xw(x, (unsigned)i->rd);
    if (!i->op)
        ir_movi(x->t, 8, d, count(x, i));
    else if (i->rd != 31)
        ir_op3i(x->t, IR_ADD, 8, d, d, i->dec ? -count(x, i) : count(x, i));
}
/* SQINC and kin: the count goes into x1. */
void arm_sve_satx(ArmTrans *x, const SveInsn *i)
{
    call(x, i, (unsigned)i->size, i->dec | i->uns << 1 | i->sf << 2, 0, 0, A_IMM(count(x, i)));
}
void arm_sve_cntv(ArmTrans *x, const SveInsn *i)
{
    SveInsn copy = *i;
    copy.pg = 16, copy.dn = 1;
    if (i->op == SVE_ADD)
        with_value(x, &copy, (unsigned)i->size, i->dec ? -count(x, i) : count(x, i));
    else
        call(x, &copy, (unsigned)i->size, i->dec | i->uns << 1, 0, 0, A_IMM(count(x, i)));
}

/* --- memory --- */
static void memory(ArmTrans *x, const SveInsn *i, int imm, bool scalar_base)
{
    if (!arm_sve_usable(x))
        return;
    if (scalar_base && i->rn == 31)
        arm_check_sp(x);
    uint64_t more = (uint64_t)i->msz << SVE_MSZ_SHIFT | (uint64_t)i->sign << SVE_SIGN_SHIFT |
                    (uint64_t)i->regs << SVE_REGS_SHIFT | (uint64_t)i->kind << SVE_KIND_SHIFT |
                    (uint64_t)i->scaled << SVE_SCALED_SHIFT;
    call(x, i, (unsigned)i->size, imm, more, H_R, A_NONE);
}
void arm_sve_ld(ArmTrans *x, const SveInsn *i)
{
    int imm = i->imm;
    if (i->kind == 0) /* in vectors, as they are in memory */
        imm *= (int)(vector_bytes(x) >> i->size << i->msz) * (i->regs + 1);
    else if (i->kind == 7)
        imm <<= i->msz;
    else if (i->kind == 8)
        imm *= 16 << i->regs;
    if (i->op == SVE_LD1RQ && i->regs && vector_bytes(x) < 32) {
        if (arm_sve_usable(x))
            arm_undefined(x);
        return;
    }
    memory(x, i, imm, true);
}
void arm_sve_ldr(ArmTrans *x, const SveInsn *i)
{
    bool pred = i->op == SVE_LDRP || i->op == SVE_STRP;
    memory(x, i, i->imm * (int)(vector_bytes(x) / (pred ? 8 : 1)), true);
}
void arm_sve_gather(ArmTrans *x, const SveInsn *i)
{
    SveInsn copy = *i;
    if (i->kind < 2) /* the bit xs */
        copy.kind = i->kind + 2;
    memory(x, &copy, i->imm << i->msz, i->kind < 5);
}
