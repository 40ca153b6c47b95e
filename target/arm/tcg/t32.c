/* SPDX-License-Identifier: MIT */
/* A32 and T32: one instruction: which table, condition, IT state. */
#include "target/arm/tcg/a32.h"
#include "target/arm/m/m.h"

#define T32_SG 0xe97fe97fu /* what alone Non-secure code may enter a callable region by */

/* --- Advanced SIMD and FP have tables of their own; T32's words are brought to A32's form --- */
static const ArmRow *decode_coprocessor(const ArmTrans *x, uint32_t w)
{
    unsigned cp = w >> 8 & 0xf;
    if ((w & 0x0c000000) != 0x0c000000 || (w & 0x0f000000) == 0x0f000000 || cp < 8 || cp > 13)
        return NULL;
    if (w >> 28 == 15)
        return arm_decode(&arm_vfpu_table, x->has, w);
    return cp >= 9 && cp <= 11 ? arm_decode(&arm_vfp_table, x->has, w) : NULL;
}

static const ArmRow *decode_vector(const ArmTrans *x, uint32_t w)
{
    if ((w & 0xfe000000) == 0xf2000000 || (w & 0xff100000) == 0xf4000000)
        return arm_decode(&arm_neon_table, x->has, w);
    return decode_coprocessor(x, w);
}

static void run(ArmTrans *x, const ArmRow *row, uint32_t w)
{
    bool mve = row >= arm_mve_table.row && row < arm_mve_table.row + arm_mve_table.rows;
    if (mve)
        a32_mve_insn(x, row, w);
    else if (row)
        row->emit(x, w);
    else
        arm_undefined(x);
}

/* A plain move of a register or constant: a conditional move instead of a branch. */
static bool conditional_move(ArmTrans *x, unsigned cond, unsigned rd, IrRef from, uint32_t imm)
{
    if (!a32_plain(x, rd) || rd == 15)
        return false;
    IrRef v = from == IR_IMM ? a32_const(x, imm) : from;
    ir_op3(x->t, IR_CMOV, 4, IR_G(rd), IR_G(rd), v)->cond = arm_cond(cond);
    return true;
}

static bool a32_cmov(ArmTrans *x, uint32_t w)
{
    A32Carry carry;
    unsigned rd = fld(w, 15, 12), rm = w & 15;
    if ((w & 0x0fff0ff0) == 0x01a00000 && rm != 15)
        return conditional_move(x, x->cond, rd, IR_G(rm), 0);
    if ((w & 0x0fff0000) == 0x03a00000)
        return conditional_move(x, x->cond, rd, IR_IMM, a32_expand_imm(w & 0xfff, &carry));
    if ((w & 0x0fff0000) == 0x03e00000)
        return conditional_move(x, x->cond, rd, IR_IMM, ~a32_expand_imm(w & 0xfff, &carry));
    return false;
}

static bool t32_cmov(ArmTrans *x, uint32_t w)
{
    if (x->len == 2 && w >> 11 == 4)
        return conditional_move(x, x->cond, fld(w, 10, 8), IR_IMM, w & 0xff);
    if (x->len == 2 && w >> 8 == 0x46 && fld(w, 6, 3) != 15)
        return conditional_move(x, x->cond, (w & 7) | fld(w, 7, 7) << 3, IR_G(fld(w, 6, 3)), 0);
    return false;
}

/* Behind a condition: what the insn does is skipped when it does not hold; the block goes on in either case. */
static void conditional(ArmTrans *x, const ArmRow *row, uint32_t w)
{
    unsigned skip = ir_new_label(x->t);
    uint64_t next = x->next_pc;
    arm_brcc(x, arm_cond(x->cond) ^ 1, skip);
    x->conditional = true;
    run(x, row, w);
    ir_label(x->t, IR_LABEL, skip);
    x->conditional = false;
    x->next_pc = next;
    x->ended = false;
}

/* --- A32 --- */
static const ArmRow *decode_a32(const ArmTrans *x, uint32_t w)
{
    const ArmRow *row = decode_vector(x, w);
    return row ? row : arm_decode(w >> 28 == 15 ? &arm_a32u_table : &arm_a32_table, x->has, w);
}

void arm_a32_insn(ArmTrans *x)
{
    uint32_t w = x->insn;
    unsigned cond = w >> 28;
    x->cond = cond == 15 ? 14 : (uint8_t)cond;
    x->it_next = 0;
    const ArmRow *row = decode_a32(x, w);
    if (cond >= 14)
        run(x, row, w);
    else if ((w & 0x0f000000) == 0x0a000000)
        a32_branch_cond(x, cond, a32_pc(x) + (uint32_t)(sxt(w, 24) * 4));
    else if (!a32_cmov(x, w))
        conditional(x, row, w);
}

/* --- T32 --- */
static const ArmRow *decode_t32(const ArmTrans *x, uint32_t *word)
{
    uint32_t w = *word, top = w >> 24;
    if (x->len == 2)
        return arm_decode(&arm_t16_table, x->has, w);
    if (a32_m(x) && !x->has->v7m && !x->has->v8m_main) { /* v6-M, v8-M baseline: those that carry the tag */
        const ArmRow *row = arm_decode(&arm_t32_table, x->has, w);
        return row && strstr(row->tags, "base") ? row : NULL;
    }
    const ArmRow *row;
    if (x->has->m_mve_int && (row = arm_decode(&arm_mve_table, x->has, w)))
        return row;
    if (!a32_m(x) && ((top & 0xef) == 0xef || (top == 0xf9 && !(w & 0x00100000)))) {
        *word = (w & 0x00ffffff) | (top == 0xf9 ? 0xf4000000 : 0xf2000000 | (top & 0x10) << 20);
        return arm_decode(&arm_neon_table, x->has, *word);
    }
    row = decode_coprocessor(x, w);
    return row ? row : arm_decode(&arm_t32_table, x->has, w);
}

static uint8_t it_advance(uint8_t it) { return it & 7 ? (uint8_t)((it & 0xe0) | (it << 1 & 0x1f)) : 0; }

void arm_t32_begin(ArmTrans *x) { x->it = (uint8_t)(x->mode >> ARM_MODE_IT_SHIFT); }

void arm_t32_insn(ArmTrans *x)
{
    uint32_t w = x->insn;
    if (x->has->m_security && !(x->mode & ARM_MODE_SECURE) && w != T32_SG && arm_m_callable(x->t->v, (uint32_t)x->pc)) {
        arm_call(x, arm_help_m_invep, H_R | H_P, IR_NONE, A_NONE, A_NONE, A_NONE);
        arm_end_lookup(x);
        return;
    }
    const ArmRow *row = decode_t32(x, &w);
    x->cond = x->it & 15 ? x->it >> 4 : 14;
    x->it_next = it_advance(x->it);
    x->it_now_stored = false;
    bool bkpt = x->len == 2 && w >> 8 == 0xbe; /* unconditional even in an IT block */
    if (x->cond >= 14 || bkpt)
        run(x, row, w);
    else if (!t32_cmov(x, w))
        conditional(x, row, w);
    x->it = x->it_next;
    if (!x->it && x->it_stored && !x->ended) { /* the IT block is over: so it is for who looks from outside */
        ir_stei(x->t, 1, offsetof(ArmCpu, it), 0);
        ir_stei(x->t, 1, offsetof(ArmCpu, v.mode) + ARM_MODE_IT_SHIFT / 8, 0);
        x->it_stored = false;
    }
}
