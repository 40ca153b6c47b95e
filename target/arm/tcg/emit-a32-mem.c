/* SPDX-License-Identifier: MIT */
/* A32 and T32: loads and stores, multiple, exclusive, swap, barriers. */
#include "target/arm/tcg/a32.h"
#include "target/arm/tcg/help-a32.h"

/* An address with its write-back. off: G, T or IR_IMM with imm; lsl for a register. */
typedef struct Addr {
    unsigned rn, lsl, flags;
    bool p, u, w;
    IrRef off;
    uint32_t imm;
    IrRef new_base;
} Addr;

static Addr addr_imm(const A32Insn *i, int32_t imm)
{
    return (Addr){ .rn = (unsigned)i->rn, .p = i->p, .u = i->u, .w = i->w || !i->p, .off = IR_IMM, .imm = (uint32_t)imm,
                   .new_base = IR_NONE };
}

static Addr addr_reg(ArmTrans *x, const A32Insn *i, unsigned type, unsigned amount)
{
    Addr a = addr_imm(i, 0);
    if (type == SH_LSL && amount <= 3) {
        a.off = a32_reg(x, (unsigned)i->rm);
        a.lsl = amount;
    } else {
        A32Op2 o = a32_shift_imm(x, (unsigned)i->rm, (A32Shift)type, amount, false);
        a.off = o.v;
        a.imm = o.imm;
    }
    return a;
}

static IrRef sum(ArmTrans *x, const Addr *a)
{
    IrRef off = a->lsl ? a32_opi(x, IR_SHL, a->off, a->lsl) : a->off, t = ir_temp(x->t);
    ir_op3(x->t, a->u ? IR_ADD : IR_SUB, 4, t, a32_reg(x, a->rn), off)->imm = a->imm;
    return t;
}

/* M: the new stack pointer is checked before the access. */
static void check_limit(ArmTrans *x, IrRef sp)
{
    if (a32_m(x) && x->has->v8m)
        arm_call(x, arm_help_m_sp_limit, H_R | H_P, IR_NONE, A_REF(sp), A_NONE, A_NONE);
}

static IrMem addr_mem(ArmTrans *x, Addr *a, unsigned size, unsigned flags)
{
    int32_t disp = a->u ? (int32_t)a->imm : -(int32_t)a->imm;
    flags |= a->flags;
    if (a->w && (a->off != IR_IMM || (a->rn == 13 && a32_m(x)))) {
        a->new_base = sum(x, a);
        if (a->rn == 13)
            check_limit(x, a->new_base);
    }
    if (!a->p)
        return a32_mem(x, a32_reg(x, a->rn), 0, size, flags);
    if (a->rn == 15 && a->off == IR_IMM)
        return a32_mem(x, IR_NONE, (int32_t)((a32_pc(x) & ~3u) + (uint32_t)disp), size, flags);
    if (a->off == IR_IMM)
        return a32_mem(x, IR_G(a->rn), disp, size, flags);
    if (a->new_base != IR_NONE || !a->u)
        return a32_mem(x, a->new_base != IR_NONE ? a->new_base : sum(x, a), 0, size, flags);
    return a32_mem_index(x, a32_reg(x, a->rn), a->off, a->lsl, size, flags);
}

static void write_back(ArmTrans *x, const Addr *a)
{
    if (!a->w || a->rn == 15)
        return;
    if (a->new_base != IR_NONE)
        ir_op2(x->t, IR_MOV, 4, IR_G(a->rn), a->new_base);
    else
        ir_op3i(x->t, a->u ? IR_ADD : IR_SUB, 4, IR_G(a->rn), IR_G(a->rn), a->imm);
}

static void transfer(ArmTrans *x, Addr *a, unsigned size, bool sgn, bool load, unsigned rt)
{
    IrMem m = addr_mem(x, a, size, load ? 0 : ARM_MEM_WRITE);
    if (!load) {
        arm_store(x, size, &m, a32_reg(x, rt));
        write_back(x, a);
        return;
    }
    bool direct = a32_plain(x, rt) && !(a->w && rt == a->rn);
    IrRef d = direct ? IR_G(rt) : ir_temp(x->t);
    if (sgn)
        arm_load_signed(x, size, 4, d, &m);
    else
        arm_load(x, size, d, &m);
    if (size == 4)
        a32_rotate_old(x, d);
    write_back(x, a);
    if (!direct)
        a32_set_loaded(x, rt, d);
}

/* Post-indexed with w: the unprivileged form. */
static void set_unpriv(Addr *a, const A32Insn *i)
{
    if (!i->p && i->w)
        a->flags |= ARM_MEM_UNPRIV;
}

E(ldst_imm)
{
    Addr a = addr_imm(i, i->imm);
    set_unpriv(&a, i);
    transfer(x, &a, i->b ? 1 : 4, false, i->l, (unsigned)i->rt);
}

E(ldst_reg)
{
    Addr a = addr_reg(x, i, (unsigned)i->type, (unsigned)i->amount);
    set_unpriv(&a, i);
    transfer(x, &a, i->b ? 1 : 4, false, i->l, (unsigned)i->rt);
}

/* LDRD, STRD: words, or one access of 64 bits where the architecture has it atomic. */
static void transfer_pair(ArmTrans *x, Addr *a, bool load, unsigned rt, unsigned rt2)
{
    IrMem m = addr_mem(x, a, 8, (load ? 0 : ARM_MEM_WRITE) | ARM_MEM_ALIGN);
    if (!(x->mode & ARM_MODE_OLD_ALIGN))
        m.align = x->has->v6 || a32_m(x) ? 4 : 8; /* ARMv5: UNPREDICTABLE or a fault, when not a doubleword */
    bool wide = (x->has->lpae32 || x->has->v8) && !a32_m(x);
    IrRef lo = ir_temp(x->t), hi = ir_temp(x->t);
    if (!wide && m.asize != 8)
        m = arm_mem_pin(x, &m);
    IrMem second = m;
    second.disp += 4;
    second.align = 0;
    if (wide && load) {
        IrRef v = ir_temp(x->t);
        arm_load(x, 8, v, &m);
        ir_op2(x->t, IR_MOV, 4, x->be ? hi : lo, v);
        ir_op3i(x->t, IR_SHR, 8, x->be ? lo : hi, v, 32);
    } else if (wide) {
        IrRef top = a32_op8i(x, IR_SHL, a32_ext(x, IR_ZEXT, 4, 8, a32_reg(x, x->be ? rt : rt2)), 32);
        arm_store(x, 8, &m, a32_op8(x, IR_OR, top, a32_ext(x, IR_ZEXT, 4, 8, a32_reg(x, x->be ? rt2 : rt))));
    } else if (load) {
        arm_load(x, 4, lo, &m);
        arm_load(x, 4, hi, &second);
    } else {
        arm_store(x, 4, &m, a32_reg(x, rt));
        arm_store(x, 4, &second, a32_reg(x, rt2));
    }
    write_back(x, a);
    if (load) {
        a32_set(x, rt, lo);
        a32_set(x, rt2, hi);
    }
}

static void misc_transfer(ArmTrans *x, const A32Insn *i, Addr *a)
{
    if (i->l) {
        set_unpriv(a, i);
        transfer(x, a, i->op ? 2 : 1, true, true, (unsigned)i->rt);
    } else if (i->rt & 1 || i->rt == 14 || !x->has->v5 || (!i->p && i->w)) {
        arm_undefined(x);
    } else {
        transfer_pair(x, a, !i->op, (unsigned)i->rt, (unsigned)i->rt + 1);
    }
}

E(ldsth_imm)
{
    Addr a = addr_imm(i, i->imm);
    set_unpriv(&a, i);
    transfer(x, &a, 2, false, i->l, (unsigned)i->rt);
}

E(ldsth_reg)
{
    Addr a = addr_reg(x, i, SH_LSL, 0);
    set_unpriv(&a, i);
    transfer(x, &a, 2, false, i->l, (unsigned)i->rt);
}

E(ldsts_imm) /* l: LDRSB, LDRSH by op; else LDRD, STRD */
{
    Addr a = addr_imm(i, i->imm);
    misc_transfer(x, i, &a);
}

E(ldsts_reg)
{
    Addr a = addr_reg(x, i, SH_LSL, 0);
    misc_transfer(x, i, &a);
}

/* T16 and T32: `size` is the logarithm, sgn, l; unprivileged by op. */
static void t32_transfer(ArmTrans *x, const A32Insn *i, Addr *a)
{
    if (i->op)
        a->flags |= ARM_MEM_UNPRIV;
    if (i->rt == 15 && i->size < 2 && i->l) /* preload hints */
        return;
    if (!i->l && i->rn == 15)
        arm_undefined(x);
    else
        transfer(x, a, 1u << i->size, i->sgn, i->l, (unsigned)i->rt);
}

E(t32_ldst_imm)
{
    Addr a = addr_imm(i, i->imm);
    t32_transfer(x, i, &a);
}

E(t32_ldst_reg)
{
    Addr a = addr_reg(x, i, SH_LSL, (unsigned)i->amount);
    t32_transfer(x, i, &a);
}

E(t32_ldrd)
{
    Addr a = addr_imm(i, i->imm);
    a.w = i->w;
    transfer_pair(x, &a, i->l, (unsigned)i->rt, (unsigned)i->rt2);
}

/* --- multiple --- */
static void user_registers(ArmTrans *x, const A32Insn *i, IrMem m)
{
    IrRef own = IR_NONE; /* what goes to the base register, which the addresses need until the end */
    for (unsigned n = 0; n < 16; n++) {
        if (!(i->list >> n & 1))
            continue;
        IrRef t = ir_temp(x->t);
        if (i->l) {
            arm_load(x, 4, t, &m);
            if (n == (unsigned)i->rn)
                own = t;
            else
                arm_call(x, arm_help_bank_user_set, 0, IR_NONE, A_IMM(n), A_REF(t), A_NONE);
        } else {
            if (n == 15)
                ir_movi(x->t, 4, t, a32_pc(x));
            else
                arm_call(x, arm_help_bank_user_get, H_P, t, A_IMM(n), A_NONE, A_NONE);
            arm_store(x, 4, &m, t);
        }
        m.disp += 4;
        m.align = 0;
    }
    if (own != IR_NONE)
        arm_call(x, arm_help_bank_user_set, 0, IR_NONE, A_IMM((unsigned)i->rn), A_REF(own), A_NONE);
}

/* Loads go to the registers at once: a fault in between leaves the base as it was, and the instruction runs again. */
static void load_registers(ArmTrans *x, const A32Insn *i, IrMem m, IrRef late[16])
{
    for (unsigned n = 0; n < 16; n++) {
        late[n] = IR_NONE;
        if (!(i->list >> n & 1))
            continue;
        bool direct = a32_plain(x, n) && n != (unsigned)i->rn;
        if (!direct)
            late[n] = ir_temp(x->t);
        arm_load(x, 4, direct ? IR_G(n) : late[n], &m);
        m.disp += 4;
        m.align = 0;
    }
}

static void store_registers(ArmTrans *x, const A32Insn *i, IrMem m)
{
    for (unsigned n = 0; n < 16; n++) {
        if (!(i->list >> n & 1))
            continue;
        arm_store(x, 4, &m, a32_reg(x, n));
        m.disp += 4;
        m.align = 0;
    }
}

/* SPSR to CPSR with the loaded pc. */
static void exception_return(ArmTrans *x, IrRef pc)
{
    IrRef spsr = ir_temp(x->t);
    arm_call(x, arm_help_a32_spsr, H_R | H_F, spsr, A_NONE, A_NONE, A_NONE);
    arm_call(x, arm_help_return32, H_R | H_F | H_W, IR_NONE, A_REF(pc), A_REF(spsr), A_NONE);
    a32_end_lookup(x);
}

E(ldm)
{
    unsigned rn = (unsigned)i->rn, count = (unsigned)__builtin_popcount((unsigned)i->list);
    int32_t bytes = 4 * (int32_t)count, start = i->u ? (i->p ? 4 : 0) : (i->p ? -bytes : 4 - bytes);
    if (rn == 15 || !count) { /* UNPREDICTABLE */
        arm_undefined(x);
        return;
    }
    IrRef new_base = IR_NONE, late[16];
    if (i->w && rn == 13 && a32_m(x)) {
        new_base = a32_opi(x, IR_ADD, IR_G(13), (uint32_t)(i->u ? bytes : -bytes));
        check_limit(x, new_base);
    }
    bool user = i->s && !(i->l && i->list >> 15 & 1);
    IrMem m = a32_mem(x, IR_G(rn), start, 4, (i->l ? 0 : ARM_MEM_WRITE) | ARM_MEM_ALIGN);
    if (user) {
        if (i->l) { /* a helper may not stand between loads that fault and the base */
            IrMem probe = m;
            probe.disp += bytes - 4;
            arm_load(x, 4, ir_temp(x->t), &probe);
            m = arm_mem_pin(x, &m); /* the base may be in the list */
        }
        user_registers(x, i, m);
    } else if (i->l) {
        load_registers(x, i, m, late);
    } else {
        store_registers(x, i, m);
    }
    if (i->w)
        ir_op3i(x->t, IR_ADD, 4, IR_G(rn), IR_G(rn), (uint32_t)(i->u ? bytes : -bytes));
    if (!i->l || user)
        return;
    for (unsigned n = 0; n < 15; n++)
        if (late[n] != IR_NONE)
            a32_set(x, n, late[n]);
    if (late[15] != IR_NONE && i->s)
        exception_return(x, late[15]);
    else if (late[15] != IR_NONE)
        a32_set_loaded(x, 15, late[15]);
}

E(swp)
{
    IrMem m = a32_mem(x, a32_reg(x, (unsigned)i->rn), 0, i->b ? 1 : 4,
                      ARM_MEM_WRITE | ARM_MEM_READ | (i->b ? 0 : ARM_MEM_ALIGN));
    IrRef d = ir_temp(x->t);
    IrInsn *op = ir_op3(x->t, IR_XCHG, i->b ? 1 : 4, d, a32_reg(x, (unsigned)i->rm), IR_NONE);
    op->m = m;
    op->flags |= x->be;
    if (!i->b)
        a32_rotate_old(x, d);
    a32_set(x, (unsigned)i->rt, i->b ? a32_ext(x, IR_ZEXT, 1, 4, d) : d);
}

/* --- exclusive (DDI 0406C, A3.4): size 0 word, 1 doubleword, 2 byte, 3 halfword --- */
static const uint8_t exclusive_size[4] = { 4, 8, 1, 2 };

static unsigned second(const A32Insn *i, const ArmTrans *x) { return (unsigned)(a32_t32(x) ? i->rt2 : i->rt + 1); }

static bool exclusive_ok(ArmTrans *x, const A32Insn *i)
{
    bool bad = (i->size && !x->has->v6k && !x->has->m_profile) ||
               (i->size == 1 && !a32_t32(x) && (i->rt & 1 || i->rt == 14)) || i->rn == 15;
    if (bad)
        arm_undefined(x);
    return !bad;
}

E(ldrex) /* op: acquire */
{
    if (!exclusive_ok(x, i))
        return;
    unsigned size = exclusive_size[i->size];
    IrRef at = ir_temp(x->t), v = ir_temp(x->t);
    ir_op3i(x->t, IR_ADD, 4, at, IR_G(i->rn), (uint32_t)i->imm);
    IrMem m = a32_mem(x, at, 0, size, ARM_MEM_ALIGN);
    arm_load(x, size, v, &m);
    ir_ste(x->t, 8, offsetof(ArmCpu, excl_addr), at);
    ir_ste(x->t, 8, offsetof(ArmCpu, excl_value), v);
    ir_stei(x->t, 4, offsetof(ArmCpu, excl_size), size);
    if (size != 8) {
        a32_set(x, (unsigned)i->rt, v);
        return;
    }
    IrRef high = a32_op8i(x, IR_SHR, v, 32);
    a32_set(x, (unsigned)i->rt, x->be ? high : v);
    a32_set(x, second(i, x), x->be ? v : high);
}

E(strex) /* op: release */
{
    if (!exclusive_ok(x, i))
        return;
    if (i->rd == i->rn || i->rd == i->rt || (i->size == 1 && i->rd == second(i, x))) { /* UNPREDICTABLE */
        arm_undefined(x);
        return;
    }
    unsigned size = exclusive_size[i->size], fail = ir_new_label(x->t), done = ir_new_label(x->t);
    IrRef at = ir_temp(x->t), expect = ir_temp(x->t), old = ir_temp(x->t), was = ir_temp(x->t),
          d = a32_reg(x, (unsigned)i->rt);
    ir_op3i(x->t, IR_ADD, 4, at, IR_G(i->rn), (uint32_t)i->imm);
    if (size == 8) {
        unsigned lo = (unsigned)i->rt, hi = second(i, x);
        IrRef top = a32_op8i(x, IR_SHL, a32_ext(x, IR_ZEXT, 4, 8, a32_reg(x, x->be ? lo : hi)), 32);
        d = a32_op8(x, IR_OR, top, a32_ext(x, IR_ZEXT, 4, 8, a32_reg(x, x->be ? hi : lo)));
    }
    IrMem m = a32_mem(x, at, 0, size, ARM_MEM_WRITE | ARM_MEM_READ | ARM_MEM_ALIGN);
    ir_lde(x->t, 8, was, offsetof(ArmCpu, excl_addr));
    ir_brz(x->t, IR_BRNZ, 8, a32_op8(x, IR_XOR, was, at), fail);
    IrRef wide = ir_temp(x->t);
    ir_lde(x->t, 4, wide, offsetof(ArmCpu, excl_size));
    ir_brz(x->t, IR_BRNZ, 4, a32_opi(x, IR_XOR, wide, size), fail);
    ir_lde(x->t, 8, expect, offsetof(ArmCpu, excl_value));
    ir_op2(x->t, IR_MOV, 8, old, expect);
    IrInsn *op = ir_op3(x->t, IR_CMPXCHG, size, old, d, IR_NONE);
    op->m = m;
    op->flags = IR_LOCK | x->be;
    IrRef differ = ir_temp(x->t);
    ir_op3(x->t, IR_XOR, size, differ, old, expect);
    ir_brz(x->t, IR_BRNZ, size, differ, fail);
    ir_movi(x->t, 4, IR_G(i->rd), 0);
    ir_label(x->t, IR_BR, done);
    ir_label(x->t, IR_LABEL, fail);
    ir_movi(x->t, 4, IR_G(i->rd), 1);
    ir_label(x->t, IR_LABEL, done);
    ir_stei(x->t, 8, offsetof(ArmCpu, excl_addr), ~UINT64_C(0));
}

E(clrex) { ir_stei(x->t, 8, offsetof(ArmCpu, excl_addr), ~UINT64_C(0)); }

E(lda)
{
    unsigned size = exclusive_size[i->size];
    IrMem m = a32_mem(x, IR_G(i->rn), 0, size, ARM_MEM_ALIGN);
    IrRef v = ir_temp(x->t);
    arm_load(x, size, v, &m);
    a32_set(x, (unsigned)i->rt, v);
}

E(stl)
{
    unsigned size = exclusive_size[i->size];
    IrMem m = a32_mem(x, IR_G(i->rn), 0, size, ARM_MEM_WRITE | ARM_MEM_ALIGN);
    arm_store(x, size, &m, a32_reg(x, (unsigned)i->rt));
    ir_emit(x->t, IR_FENCE, 8)->imm = 1;
}

E(barrier) /* imm: domain and kind, ld: 01, st: 10, all: 11 */
{
    ir_emit(x->t, IR_FENCE, 8)->imm = (i->imm & 3) == 3 || (i->imm & 3) == 0;
    if ((x->insn >> 4 & 15) == 4 && !x->has->m_profile) /* DSB */
        arm_wait_broadcasts(x);
}

E(isb) { a32_end_exit(x); }
E(nop) {}
