/* SPDX-License-Identifier: MIT */
/* A64 loads and stores of SIMD and FP registers (DDI 0487, C3.2, C7.2). */
#include "target/arm/tcg/simd.h"

/* One register: `es` is what is swapped as a whole in big-endian state. */
static void load(ArmTrans *x, unsigned bytes, unsigned es, IrRef d, const IrMem *m)
{
    simd_op(x, SIMD_LD, 1, bytes, d, IR_MEM, NONE, NONE, 0)->m = *m;
    if (x->be && es > 1)
        simd_op(x, SIMD_REV, 1, bytes, d, d, NONE, NONE, es);
}
static void store(ArmTrans *x, unsigned bytes, unsigned es, const IrMem *m, IrRef a)
{
    if (x->be && es > 1) {
        simd_op(x, SIMD_REV, 1, bytes, VT(3), a, NONE, NONE, es);
        a = VT(3);
    }
    simd_store(x->t, bytes, m, a);
}
static void transfer(ArmTrans *x, bool is_load, unsigned bytes, unsigned es, IrRef r, const IrMem *m)
{
    if (is_load)
        load(x, bytes, es, r, m);
    else
        store(x, bytes, es, m, r);
}
static unsigned write_flag(bool is_load) { return is_load ? 0 : ARM_MEM_WRITE; }
static IrRef base(unsigned n) { return IR_G(n); }
static void advance(ArmTrans *x, unsigned rn, int64_t by)
{
    if (by)
        ir_op3i(x->t, IR_ADD, 8, base(rn), base(rn), (uint64_t)by);
}

static bool register_size(ArmTrans *x, const SimdInsn *i, unsigned *bytes)
{
    if (i->opc & 2 && i->size) {
        arm_undefined(x);
        return false;
    }
    *bytes = i->opc & 2 ? 16 : 1u << i->size;
    return simd_usable(x);
}

void arm_simd_ldr_lit(ArmTrans *x, const SimdInsn *i)
{
    unsigned bytes = 4u << i->opc;
    if (!simd_usable(x))
        return;
    IrMem m = arm_mem(x, arm_const(x, x->pc + (uint64_t)(int64_t)i->imm), 0, bytes, 0);
    load(x, bytes, bytes, V(i->rd), &m);
}

/* mode: 0 offset, 1 post-indexed, 3 pre-indexed */
void arm_simd_ldst(ArmTrans *x, const SimdInsn *i)
{
    unsigned bytes;
    if (!register_size(x, i, &bytes))
        return;
    int64_t offset = i->scaled ? (int64_t)i->imm * bytes : i->imm;
    bool is_load = i->opc & 1;
    IrMem m = arm_mem(x, base((unsigned)i->rn), i->mode == 1 ? 0 : offset, bytes, write_flag(is_load));
    transfer(x, is_load, bytes, bytes, V(i->rd), &m);
    if (i->mode)
        advance(x, (unsigned)i->rn, offset);
}

void arm_simd_ldst_reg(ArmTrans *x, const SimdInsn *i)
{
    unsigned bytes;
    if (!(i->option & 2)) {
        arm_undefined(x);
        return;
    }
    if (!register_size(x, i, &bytes))
        return;
    bool is_load = i->opc & 1;
    unsigned scale = i->shift ? (unsigned)__builtin_ctz(bytes) : 0;
    IrRef index = arm_value(x, (unsigned)i->rm);
    if (i->option != 3 && i->option != 7) { /* UXTW, SXTW */
        IrRef t = ir_temp(x->t);
        ir_extend(x->t, i->option & 4 ? IR_SEXT : IR_ZEXT, 4, 8, t, index);
        index = t;
    }
    if (scale == 4) { /* more than an operand can scale */
        IrRef t = ir_temp(x->t);
        ir_op3i(x->t, IR_SHL, 8, t, index, 4);
        index = t;
        scale = 0;
    }
    IrMem m = arm_mem_index(x, base((unsigned)i->rn), index, scale, 0, bytes, bytes, write_flag(is_load));
    transfer(x, is_load, bytes, bytes, V(i->rd), &m);
}

void arm_simd_ldp(ArmTrans *x, const SimdInsn *i)
{
    unsigned bytes = 4u << i->opc;
    if (!simd_usable(x))
        return;
    int64_t offset = (int64_t)i->imm * bytes;
    IrMem m = arm_mem_index(x, base((unsigned)i->rn), NONE, 0, i->mode == 1 ? 0 : offset, 2 * bytes, bytes,
                            write_flag(i->load));
    IrMem second = m;
    second.disp += (int32_t)bytes;
    /* when the second faults, the first register is UNKNOWN (D1.3.4); the insn can be done again */
    transfer(x, i->load, bytes, bytes, V(i->rd), &m);
    transfer(x, i->load, bytes, bytes, V(i->rd2), &second);
    if (i->mode & 1)
        advance(x, (unsigned)i->rn, offset);
}

/* --- structures --- */
typedef struct Structures { unsigned regs, elements; } Structures; /* registers in all, of one structure */
static bool structures(unsigned opcode, Structures *s)
{
    static const Structures known[16] = {
        [0] = { 4, 4 }, [2] = { 4, 1 }, [4] = { 3, 3 }, [6] = { 3, 1 }, [7] = { 1, 1 }, [8] = { 2, 2 }, [10] = { 2, 1 }
    };
    *s = known[opcode];
    return s->regs != 0;
}

static IrRef reg(const SimdInsn *i, unsigned k) { return V((unsigned)(i->rd + (int)k) % 32); }

static void permute(ArmTrans *x, unsigned row, unsigned es, unsigned bytes, IrRef d, IrRef a, IrRef b)
{
    simd_op(x, row, es, bytes, d, a, b, NONE, 0);
}

static void load_structures(ArmTrans *x, const SimdInsn *i, unsigned es, unsigned bytes, unsigned n, IrMem m)
{
    for (unsigned k = 0; k < n; k++, m.disp += (int32_t)bytes)
        load(x, bytes, es, VT(k), &m);
    IrRef r0 = reg(i, 0), r1 = reg(i, 1), r2 = reg(i, 2), r3 = reg(i, 3);
    if (n == 2) {
        permute(x, SIMD_UZP1, es, bytes, r0, VT(0), VT(1));
        permute(x, SIMD_UZP2, es, bytes, r1, VT(0), VT(1));
    } else if (n == 3) {
        for (unsigned k = 0; k < 3; k++)
            simd_op(x, SIMD_LD3P, es, bytes, reg(i, k), VT(0), VT(1), VT(2), k);
    } else {
        permute(x, SIMD_UZP1, es, bytes, r0, VT(0), VT(1)); /* elements 0 and 2 of the structures */
        permute(x, SIMD_UZP1, es, bytes, r2, VT(2), VT(3));
        permute(x, SIMD_UZP2, es, bytes, VT(0), VT(0), VT(1)); /* 1 and 3 */
        permute(x, SIMD_UZP2, es, bytes, VT(1), VT(2), VT(3));
        permute(x, SIMD_UZP1, es, bytes, VT(2), r0, r2);
        permute(x, SIMD_UZP2, es, bytes, r2, r0, r2);
        permute(x, SIMD_UZP1, es, bytes, r1, VT(0), VT(1));
        permute(x, SIMD_UZP2, es, bytes, r3, VT(0), VT(1));
        simd_op(x, SIMD_MOV, 8, 16, r0, VT(2), NONE, NONE, 0);
    }
}

static void store_structures(ArmTrans *x, const SimdInsn *i, unsigned es, unsigned bytes, unsigned n, IrMem m)
{
    IrRef r0 = reg(i, 0), r1 = reg(i, 1), r2 = reg(i, 2), r3 = reg(i, 3);
    for (unsigned k = 0; k < n; k++, m.disp += (int32_t)bytes) {
        if (n == 3) {
            simd_op(x, SIMD_ST3P, es, bytes, VT(0), r0, r1, r2, k);
        } else if (n == 2) {
            permute(x, k ? SIMD_ZIP2 : SIMD_ZIP1, es, bytes, VT(0), r0, r1);
        } else {
            if (!(k & 1)) {
                permute(x, k ? SIMD_ZIP2 : SIMD_ZIP1, es, bytes, VT(1), r0, r2);
                permute(x, k ? SIMD_ZIP2 : SIMD_ZIP1, es, bytes, VT(2), r1, r3);
            }
            permute(x, k & 1 ? SIMD_ZIP2 : SIMD_ZIP1, es, bytes, VT(0), VT(1), VT(2));
        }
        store(x, bytes, es, &m, VT(0));
    }
}

static void post_index(ArmTrans *x, const SimdInsn *i, unsigned total)
{
    if (!i->mode)
        return;
    if (i->rm == 31)
        advance(x, (unsigned)i->rn, total);
    else
        ir_op3(x->t, IR_ADD, 8, base((unsigned)i->rn), base((unsigned)i->rn), IR_G((unsigned)i->rm));
}

void arm_simd_ldn(ArmTrans *x, const SimdInsn *i)
{
    unsigned es = 1u << i->size, bytes = i->q ? 16 : 8;
    Structures s;
    if (!structures((unsigned)i->opcode, &s) || (es == 8 && !i->q && s.elements > 1)) {
        arm_undefined(x);
        return;
    }
    if (!simd_usable(x))
        return;
    IrMem m = arm_mem_index(x, base((unsigned)i->rn), NONE, 0, 0, s.regs * bytes, es, write_flag(i->load));
    if (s.elements == 1) {
        IrMem part = m;
        for (unsigned k = 0; k < s.regs; k++, part.disp += (int32_t)bytes)
            transfer(x, i->load, bytes, es, reg(i, k), &part);
    } else if (i->load) {
        load_structures(x, i, es, bytes, s.elements, m);
    } else {
        store_structures(x, i, es, bytes, s.elements, m);
    }
    post_index(x, i, s.regs * bytes);
}

/* One structure: a lane of each register, or (LDnR) all lanes. */
void arm_simd_ldlane(ArmTrans *x, const SimdInsn *i)
{
    unsigned scale = (unsigned)i->opcode >> 1, n = (unsigned)((i->opcode & 1) << 1 | i->r) + 1;
    unsigned index = (unsigned)(i->q << 3 | i->s << 2 | i->size);
    bool replicate = scale == 3, bad = false;
    switch (scale) {
    case 1: bad = i->size & 1; break;
    case 2:
        bad = i->size & 2 || (i->size & 1 && i->s);
        scale += (unsigned)i->size & 1;
        break;
    case 3:
        bad = !i->load || i->s;
        scale = (unsigned)i->size;
        break;
    default: break;
    }
    if (bad) {
        arm_undefined(x);
        return;
    }
    if (!simd_usable(x))
        return;
    unsigned es = 1u << scale, lane = index >> scale;
    IrMem m = arm_mem_index(x, base((unsigned)i->rn), NONE, 0, 0, n * es, es, write_flag(i->load));
    IrRef t = ir_temp(x->t);
    for (unsigned k = 0; k < n; k++, m.disp += (int32_t)es) {
        if (i->load) {
            arm_load(x, es, t, &m);
            if (replicate)
                simd_op(x, SIMD_DUPG, es, i->q ? 16 : 8, reg(i, k), t, NONE, NONE, 0);
            else
                simd_op(x, SIMD_INSG, es, 16, reg(i, k), t, reg(i, k), NONE, lane);
        } else {
            simd_op(x, SIMD_UMOV, es, 8, t, reg(i, k), NONE, NONE, lane);
            arm_store(x, es, &m, t);
        }
    }
    post_index(x, i, n * es);
}
