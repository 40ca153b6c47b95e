/* SPDX-License-Identifier: MIT */
/* Flags as values, conditional comparisons, exchanges. What has no direct form here goes to the interpreter. */
#include "accel/tcg/host-x86/jit.h"

/* --- flags as values --- */
/*
 * EFLAGS = S Z C O of `bits`, by an operation on constants; what none gives (Z with S, Z with O but not C) by way of
 * the stack. t is a free register.
 */
static void explicit_to_eflags(Jit *j, unsigned t, uint32_t bits)
{
    static const struct { uint32_t bits, a, b, alu;
    } how[] = {
        { 0, 1, 0, ALU_CMP },
        { FLAG_Z, 0, 0, ALU_CMP },
        { FLAG_S, UINT32_MAX, 0, ALU_CMP },
        { FLAG_C, 1, UINT32_MAX, ALU_CMP },
        { FLAG_S | FLAG_C, 0, 1, ALU_CMP },
        { FLAG_O, 1u << 31, 1, ALU_CMP },
        { FLAG_S | FLAG_C | FLAG_O, INT32_MAX, UINT32_MAX, ALU_CMP },
        { FLAG_S | FLAG_O, INT32_MAX, 1, ALU_ADD },
        { FLAG_C | FLAG_O, 1u << 31, UINT32_MAX, ALU_ADD },
        { FLAG_Z | FLAG_C, 1, UINT32_MAX, ALU_ADD },
        { FLAG_Z | FLAG_C | FLAG_O, 1u << 31, 1u << 31, ALU_ADD },
    };
    bits &= FLAG_S | FLAG_Z | FLAG_C | FLAG_O;
    for (unsigned n = 0; n < ARRAY_LEN(how); n++) {
        if (how[n].bits == bits) {
            mov_ri(&j->a, t, how[n].a);
            alu_ri(&j->a, how[n].alu, 4, loc_reg(t), (uint64_t)(int64_t)(int32_t)how[n].b);
            return;
        }
    }
    e8(&j->a, 0x68); /* push imm32; popfq */
    e32(&j->a, bits | 0x202);
    e8(&j->a, 0x9d);
}

/* Both ways leave their flags in EFLAGS. */
static void emit_conditional_compare(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    bool add = i->op == IR_CCMN;
    if (!j->after[j->k]) {
        flags_dead(j);
        return;
    }
    unsigned cc = flags_condition(j, i->cond);
    j->need = j->keep[j->k];
    unsigned t = scratch(j);
    Loc x = loc_of(j, i->a), y = loc_of(j, i->b);
    uint64_t imm = (uint64_t)bits_sget(i->imm & bits_mask(8 * i->size), 0, 8 * i->size);
    if (y.kind == L_IMM && !fits32(imm)) {
        unsigned s = scratch(j);
        mov_ri(a, s, imm);
        y = loc_reg(s);
    }
    e8(a, 0x70 | (cc ^ 1));
    uint8_t *other = a->p++;
    if (add || x.kind != L_REG) {
        load_to(j, i->size, t, x);
        x = loc_reg(t);
    }
    if (y.kind == L_IMM)
        alu_ri(a, add ? ALU_ADD : ALU_CMP, i->size, x, imm);
    else
        alu_rm(a, add ? ALU_ADD : ALU_CMP, i->size, x.reg, y);
    e8(a, 0xeb);
    uint8_t *end = a->p++;
    *other = (uint8_t)(a->p - (other + 1));
    explicit_to_eflags(j, t, (uint32_t)i->imm2 ^ (add ? FLAG_C : 0));
    *end = (uint8_t)(a->p - (end + 1));
    j->native = 0;
    flags_set_native(j, GROUP_ALL);
    if (add)
        flags_invert_carry(j);
}

static void emit_set_nz(Jit *j)
{
    const IrInsn *i = j->i;
    Loc a = loc_of(j, i->a);
    j->need = j->keep[j->k];
    if (!(need_groups(j->after[j->k]) & GROUP_R)) {
        j->r.op = FD_DEAD;
        j->native &= ~(unsigned)GROUP_R;
        return;
    }
    flags_clobber(j);
    if (a.kind == L_IMM || a.kind == L_HIGH) {
        unsigned t = scratch(j);
        load_to(j, i->size, t, a);
        a = loc_reg(t);
    }
    if (a.kind == L_REG)
        test_rr(&j->a, i->size, a, a.reg);
    else
        alu_ri(&j->a, ALU_CMP, i->size, a, 0);
    flags_set_nz(j, i->size, flag_value(a));
}

static void emit_fence(Jit *j)
{
    if (!(j->i->imm & 1))
        return; /* the host orders all but earlier stores and later loads */
    j->need = j->keep[j->k];
    flags_clobber(j);
    e8(&j->a, 0xf0);
    alu_ri(&j->a, ALU_OR, 4, loc_mem(RSP, 0), 0);
}

void emit_condition(Jit *j)
{
    if (j->i->op == IR_FENCE)
        emit_fence(j);
    else if (j->i->op == IR_SETNZ)
        emit_set_nz(j);
    else
        emit_conditional_compare(j);
}

void emit_flag_op(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->op == IR_CMC) {
        flags_carry(j);
        j->need = j->keep[j->k];
        e8(&j->a, 0xf5);
        unsigned keep = j->native & GROUP_RO;
        flags_set_native(j, GROUP_C);
        j->native = GROUP_C | keep;
        return;
    }
    uint32_t mask = (uint32_t)i->imm & FLAG_ALL;
    if (i->op == IR_GETF || (mask != FLAG_ALL && mask != FLAG_C) || i->a == IR_MEM || i->a == IR_IMM ||
        loc_of(j, i->a).kind == L_HIGH) {
        emit_step(j);
        return;
    }
    j->need = j->keep[j->k];
    if (mask == FLAG_C && j->r.op == FD_NATIVE && j->c.op == FD_NATIVE)
        flags_clobber(j);
    FlagDesc r = j->r, o = j->o;
    unsigned native = j->native & GROUP_RO;
    flags_set(j, FLAGS_EXPLICIT, 4, save_value_ref(j, i->a), (FlagValue){ .kind = VAL_NONE }, 0);
    j->native = 0;
    if (mask == FLAG_C) {
        j->r = r, j->o = o;
        j->native = native;
    }
}

/* --- exchanges --- */
static void lock_prefix(Jit *j)
{
    if (j->i->flags & IR_LOCK && j->i->op != IR_XCHG)
        e8(&j->a, 0xf0);
}
static void exchange_op(Jit *j, unsigned reg)
{
    const IrInsn *i = j->i;
    unsigned byte = i->size == 1 ? OP_BYTES : 1;
    unsigned op = i->op == IR_XCHG ? 0x86 : (i->op == IR_XADD ? 0xc0 : 0xb0) | OP_0F;
    lock_prefix(j);
    op_rm(&j->a, op | byte, i->size, reg, j->gm);
}

/*
 * With operands anywhere: the address is in REG_S0, the value in REG_S1. CMPXCHG borrows RAX, and RBX for a value that
 * was in memory.
 */
static void exchange_anywhere(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    mem_access(j, i->size, true);
    j->need = j->keep[j->k];
    flags_clobber(j);
    mem_simplify(j);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    if (i->op != IR_CMPXCHG) {
        load_to(j, 8, REG_S1, loc_of(j, i->a));
        exchange_op(j, REG_S1);
    } else {
        Loc value = loc_of(j, i->a), saved = vcpu_loc(VOFF(slow[3]));
        bool borrow = value.kind != L_REG;
        load_to(j, 8, REG_S1, loc_of(j, i->d));
        if (borrow) {
            store_r(a, 8, saved, RBX);
            load_to(j, 8, RBX, value);
            value = loc_reg(RBX);
        } else if (value.reg == RAX) {
            value = loc_reg(REG_S1); /* where RAX is by then */
        }
        op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX)); /* xchg */
        exchange_op(j, value.reg);
        op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
        if (borrow)
            load_zx(a, 8, RBX, saved);
    }
    mem_done(j);
    write_begin(j, i->d);
    store_result(j, i->size, i->d, REG_S1);
}

void emit_exchange(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a);
    bool fixed = i->op == IR_CMPXCHG ? loc_is(d, RAX) && a.kind == L_REG : i->d == i->a && d.kind == L_REG;
    bool plain = i->b == IR_NONE && d.kind != L_HIGH && a.kind != L_HIGH && a.kind != L_IMM &&
                 !(i->size == 1 && d.kind == L_REG);
    if (!fixed && plain && !(i->flags & IR_SETF)) {
        exchange_anywhere(j);
        return;
    }
    if (!fixed) {
        emit_step(j);
        return;
    }
    mem_access(j, i->size, true);
    j->need = j->keep[j->k];
    if (i->op != IR_XCHG)
        flags_clobber(j);
    write_begin(j, i->d);
    exchange_op(j, a.reg);
    if (i->op != IR_XCHG)
        flags_from_result(j, GROUP_ALL);
}
