/* SPDX-License-Identifier: MIT */
/* AArch32 Advanced SIMD: loads and stores of elements and structures (DDI 0406C, A7.7). */
#include "target/arm/tcg/a32-fp.h"

enum { WORK = 16 /* V16..V19 are not AArch32's */ };

static void element(ArmTrans *x, bool load, unsigned es, unsigned reg, unsigned idx, const IrMem *m)
{
    IrRef v = a32_v(reg, 8), t = ir_temp(x->t);
    unsigned lane = a32_lane(reg, 8) * (8 / es) + idx;
    if (load) {
        arm_load(x, es, t, m);
        simd3(x->t, SIMD_INSG, es, 16, v, t, v, NONE, lane);
    } else {
        simd3(x->t, SIMD_UMOV, es, es == 8 ? 8 : 4, t, v, NONE, NONE, lane);
        arm_store(x, es, m, t);
    }
}

static void write_back(ArmTrans *x, const A32Insn *i, unsigned bytes)
{
    if (i->rm == 13)
        ir_op3i(x->t, IR_ADD, 4, IR_G(i->rn), IR_G(i->rn), bytes);
    else if (i->rm != 15)
        ir_op3(x->t, IR_ADD, 4, IR_G(i->rn), IR_G(i->rn), IR_G(i->rm));
}

/* A D register from or to the low half of V(WORK + n). */
static void from_work(ArmTrans *x, unsigned reg, IrRef t)
{
    IrRef v = a32_v(reg, 8);
    simd3(x->t, SIMD_INSE, 8, 16, v, t, v, NONE, a32_lane(reg, 8));
}

static void load2(ArmTrans *x, unsigned es, unsigned d, unsigned inc, const IrMem *m)
{
    IrRef w = IR_V(WORK);
    simd_load(x->t, 16, w, m);
    simd3(x->t, SIMD_UZP1, es, 16, VT(0), w, w, NONE, 0);
    simd3(x->t, SIMD_UZP2, es, 16, VT(1), w, w, NONE, 0);
    from_work(x, d, VT(0));
    from_work(x, d + inc, VT(1));
}

static void store2(ArmTrans *x, unsigned es, unsigned d, unsigned inc, const IrMem *m)
{
    simd3(x->t, SIMD_ZIP1, es, 16, IR_V(WORK), a32_vsrc(x, 0, d, 8), a32_vsrc(x, 1, d + inc, 8), NONE, 0);
    simd_store(x->t, 16, m, IR_V(WORK));
}

static void load4(ArmTrans *x, unsigned es, unsigned d, unsigned inc, IrMem m)
{
    IrRef w = IR_V(WORK), w1 = IR_V(WORK + 1);
    simd_load(x->t, 16, w, &m);
    m.disp += 16, m.align = 0;
    simd_load(x->t, 16, w1, &m);
    simd3(x->t, SIMD_UZP1, es, 16, VT(0), w, w1, NONE, 0); /* 0 2 0 2 ... */
    simd3(x->t, SIMD_UZP2, es, 16, VT(1), w, w1, NONE, 0); /* 1 3 1 3 ... */
    for (unsigned n = 0; n < 4; n++) {
        simd3(x->t, n & 2 ? SIMD_UZP2 : SIMD_UZP1, es, 16, VT(2), VT(n & 1), VT(n & 1), NONE, 0);
        from_work(x, d + n * inc, VT(2));
    }
}

static void store4(ArmTrans *x, unsigned es, unsigned d, unsigned inc, IrMem m)
{
    simd3(x->t, SIMD_ZIP1, es, 16, IR_V(WORK), a32_vsrc(x, 0, d, 8), a32_vsrc(x, 1, d + 2 * inc, 8), NONE, 0);
    simd3(x->t, SIMD_ZIP1, es, 16, IR_V(WORK + 1), a32_vsrc(x, 0, d + inc, 8), a32_vsrc(x, 1, d + 3 * inc, 8), NONE, 0);
    simd3(x->t, SIMD_ZIP1, es, 16, VT(0), IR_V(WORK), IR_V(WORK + 1), NONE, 0);
    simd3(x->t, SIMD_ZIP2, es, 16, VT(1), IR_V(WORK), IR_V(WORK + 1), NONE, 0);
    simd_store(x->t, 16, &m, VT(0));
    m.disp += 16, m.align = 0;
    simd_store(x->t, 16, &m, VT(1));
}

/* n structures' registers element by element: memory order is element, then register. */
static void by_elements(ArmTrans *x, const A32Insn *i, unsigned n, unsigned d, unsigned inc, IrMem *m)
{
    unsigned es = 1u << i->size;
    IrRef t = ir_temp(x->t);
    for (unsigned e = 0; e < 8 / es; e++) {
        for (unsigned r = 0; r < n; r++) {
            unsigned reg = d + r * inc, lane = a32_lane(reg, 8) * (8 / es) + e;
            IrRef v = a32_v(reg, 8);
            if (i->l) {
                arm_load(x, es, t, m);
                simd3(x->t, SIMD_INSG, es, 16, v, t, v, NONE, lane);
            } else {
                simd3(x->t, SIMD_UMOV, es, es == 8 ? 8 : 4, t, v, NONE, NONE, lane);
                arm_store(x, es, m, t);
            }
            m->disp += (int32_t)es;
            m->align = 0;
        }
    }
}

/* VLD1, VST1: whole registers; two that make a Q at once. */
static void contiguous(ArmTrans *x, const A32Insn *i, unsigned regs, IrMem *m)
{
    unsigned d = (unsigned)i->vd;
    for (unsigned n = 0; n < regs;) {
        bool whole = !((d + n) & 1) && n + 2 <= regs;
        if (!whole)
            element(x, i->l, 8, d + n, 0, m);
        else if (i->l)
            simd_load(x->t, 16, IR_V((d + n) / 2), m);
        else
            simd_store(x->t, 16, m, IR_V((d + n) / 2));
        n += whole ? 2 : 1;
        m->disp += whole ? 16 : 8;
        m->align = 0;
    }
}

/* By bits 11:8: structure size, registers of one element stream, distance; 0: UNDEFINED. */
static const struct { uint8_t n, groups, inc;
} multi[16] = {
    [0] = { 4, 1, 1 }, [1] = { 4, 1, 2 }, [2] = { 1, 4, 1 }, [3] = { 2, 2, 2 }, [4] = { 3, 1, 1 },  [5] = { 3, 1, 2 },
    [6] = { 1, 3, 1 }, [7] = { 1, 1, 1 }, [8] = { 2, 1, 1 }, [9] = { 2, 1, 2 }, [10] = { 1, 2, 1 },
};

static bool multi_ok(ArmTrans *x, const A32Insn *i)
{
    unsigned n = multi[i->op].n, regs = n * multi[i->op].groups, last = (unsigned)i->vd + (n - 1) * multi[i->op].inc;
    bool bad = !n || (i->size == 3 && n > 1) || i->rn == 15;
    bad |= (n == 1 && regs == 1 && i->align & 2) || (n == 1 && regs == 2 && i->align == 3) ||
           (n == 1 && regs == 3 && i->align & 2);
    bad |= (n == 2 && regs == 2 && i->align == 3) || (n == 3 && i->align & 2);
    bad |= last > 31 || (multi[i->op].groups > 1 && (n == 1 ? (unsigned)i->vd + regs > 32 : last + 1 > 31));
    if (bad)
        arm_undefined(x);
    return !bad && a32_fp_usable(x, true);
}

E(vldst_multi)
{
    if (!multi_ok(x, i))
        return;
    unsigned n = multi[i->op].n, groups = multi[i->op].groups, inc = multi[i->op].inc, es = 1u << i->size;
    IrMem m = a32_mem(x, IR_G(i->rn), 0, es, i->l ? 0 : ARM_MEM_WRITE);
    if (i->align)
        m.align = i->align == 1 ? 8 : 16;
    if (n == 1 && !x->be) {
        contiguous(x, i, groups, &m);
    } else {
        for (unsigned g = 0; g < groups; g++) {
            unsigned d = (unsigned)i->vd + g;
            if (x->be || n == 1 || n == 3) {
                by_elements(x, i, n, d, n == 1 ? 1 : inc, &m);
                continue;
            }
            if (n == 2)
                (i->l ? load2 : store2)(x, es, d, inc, &m);
            else
                (i->l ? load4 : store4)(x, es, d, inc, m);
            m.disp += (int32_t)(8 * n);
            m.align = 0;
        }
    }
    write_back(x, i, 8 * n * groups);
}

/* idx: bits 7:4; op: structure size - 1. Index, distance and alignment in bytes; false: UNDEFINED. */
static bool one_layout(const A32Insn *i, unsigned *index, unsigned *inc, unsigned *align)
{
    unsigned n = (unsigned)i->op + 1, a = (unsigned)i->idx, es = 1u << i->size;
    *index = a >> (i->size + 1);
    *inc = i->size && a >> i->size & 1 ? 2 : 1;
    *align = 0;
    unsigned low = a & (i->size == 2 ? 3 : 1);
    switch (n) {
    case 1:
        if (i->size == 0)
            return !(a & 1);
        if (i->size == 1 ? a & 2 : a & 4 || (low != 0 && low != 3))
            return false;
        *inc = 1;
        *align = low ? es : 0;
        return true;
    case 2:
        *align = low ? 2 * es : 0;
        return low < 2;
    case 3:
        return !low;
    default:
        *align = !low ? 0 : i->size == 2 && low == 2 ? 16 : i->size == 2 ? 8 : 4 * es;
        return low < 3;
    }
}

E(vldst_one)
{
    unsigned index, inc, align, es = 1u << i->size, n = (unsigned)i->op + 1;
    if (!one_layout(i, &index, &inc, &align) || (unsigned)i->vd + i->op * inc > 31 || i->rn == 15) {
        arm_undefined(x);
        return;
    }
    if (!a32_fp_usable(x, true))
        return;
    IrMem m = a32_mem(x, IR_G(i->rn), 0, es, i->l ? 0 : ARM_MEM_WRITE);
    if (align > 1)
        m.align = (uint8_t)align;
    for (unsigned r = 0; r < n; r++) {
        element(x, i->l, es, (unsigned)i->vd + r * inc, index, &m);
        m.disp += (int32_t)es;
        m.align = 0;
    }
    write_back(x, i, n * es);
}

/* One structure to all lanes; op: structure size - 1; q: two registers (VLD1) or distance 2; align[0]. */
E(vldst_all)
{
    unsigned n = (unsigned)i->op + 1, size = (unsigned)i->size, inc = i->q ? 2 : 1, align = 0;
    bool bad = i->rn == 15 || (size == 3 && !(n == 4 && i->align)) || (n == 1 && size == 0 && i->align) ||
               (n == 3 && i->align);
    if (size == 3) {
        size = 2;
        align = 16;
    } else if (i->align) {
        align = n == 4 && size == 2 ? 8 : n << size;
    }
    unsigned es = 1u << size, regs = n == 1 ? inc : n;
    if (n == 1)
        inc = 1;
    if (bad || (unsigned)i->vd + (regs - 1) * inc > 31) {
        arm_undefined(x);
        return;
    }
    if (!a32_fp_usable(x, true))
        return;
    IrMem m = a32_mem(x, IR_G(i->rn), 0, es, 0);
    if (align > 1)
        m.align = (uint8_t)align;
    for (unsigned r = 0; r < regs; r++) {
        IrRef t = ir_temp(x->t);
        arm_load(x, es, t, &m);
        simd3(x->t, SIMD_DUPG, es, 8, VT(3), t, NONE, NONE, 0);
        a32_vput(x, (unsigned)i->vd + r * inc, 8);
        if (n > 1)
            m.disp += (int32_t)es;
        m.align = 0;
    }
    write_back(x, i, n * es);
}
