/* SPDX-License-Identifier: MIT */
/* Operands of an op: where they are, scratch registers, how its result and its flags are put away. */
#include "accel/tcg/host-x86/jit.h"

Loc loc_of(Jit *j, IrRef r)
{
    unsigned n = ir_num(r);
    switch (ir_kind(r)) {
    case IR_KIND_G:
        return jit_home[n] != NO_REG ? loc_reg(jit_home[n]) : vcpu_loc(VOFF(g) + 8 * (int32_t)n);
    case IR_KIND_GH:
        if (jit_home[n] == NO_REG)
            return vcpu_loc(VOFF(g) + 8 * (int32_t)n + 1);
        return (Loc){ .kind = L_HIGH, .reg = jit_home[n] };
    case IR_KIND_T: return n == 0 ? loc_reg(REG_T0) : vcpu_loc(VOFF(tmp) + 8 * (int32_t)n);
    case IR_KIND_IMM: return loc_imm(j->i->imm);
    case IR_KIND_MEM: return j->gm;
    default: return (Loc){ .kind = L_NONE };
    }
}

int scratch_t0(Jit *j)
{
    if (j->t0_used || j->busy >> REG_T0 & 1)
        return -1;
    flags_will_write(j, REG_T0);
    j->busy |= 1u << REG_T0;
    return REG_T0;
}

unsigned scratch(Jit *j)
{
    int t0 = scratch_t0(j);
    if (t0 >= 0)
        return (unsigned)t0;
    unsigned r = !(j->busy >> REG_S0 & 1) ? REG_S0 : REG_S1;
    if (r == REG_S1 && j->busy >> REG_S1 & 1) {
        g_assert(j->gm.index == REG_S1);
        mem_simplify(j);
    }
    flags_will_write(j, r);
    coalesce_forget(j);
    j->busy |= 1u << r;
    return r;
}

/* Bits 15:8 of a home whose number has no such register name, or into a register that needs REX: by way of memory. */
void load_high(Jit *j, unsigned reg, unsigned home)
{
    if (home < 4 && reg < 8) {
        op_rm(&j->a, 0xb6 | OP_0F, 4, reg, (Loc){ .kind = L_HIGH, .reg = (uint8_t)home });
    } else {
        store_r(&j->a, 4, vcpu_loc(VOFF(slow[3])), home);
        load_zx(&j->a, 1, reg, vcpu_loc(VOFF(slow[3]) + 1));
    }
}
static void store_high(Jit *j, unsigned home, unsigned reg)
{
    store_r(&j->a, 1, vcpu_loc(VOFF(slow[3])), reg);
    if (home < 4) {
        emit_op(&j->a, 0x8a | OP_BYTES, 1, home + 4, vcpu_loc(VOFF(slow[3])), true);
        return;
    }
    /* homes without a high byte: replace it in memory */
    store_r(&j->a, 8, vcpu_loc(VOFF(scratch)), home);
    load_zx(&j->a, 1, reg, vcpu_loc(VOFF(slow[3])));
    store_r(&j->a, 1, vcpu_loc(VOFF(scratch) + 1), reg);
    load_zx(&j->a, 8, home, vcpu_loc(VOFF(scratch)));
}

void load_to(Jit *j, unsigned size, unsigned reg, Loc l)
{
    if (l.kind == L_IMM)
        mov_ri(&j->a, reg, l.imm & bits_mask(8 * size));
    else if (l.kind == L_HIGH)
        load_high(j, reg, l.reg);
    else if (l.kind == L_REG && size >= 4)
        mov_rr(&j->a, size, reg, l.reg);
    else
        load_zx(&j->a, size, reg, l);
}

void write_begin(Jit *j, IrRef r)
{
    j->need = j->keep[j->k];
    unsigned n = ir_num(r);
    switch (ir_kind(r)) {
    case IR_KIND_G:
    case IR_KIND_GH:
        if (jit_home[n] != NO_REG)
            flags_will_write(j, jit_home[n]);
        else
            flags_will_write_mem(j, VOFF(g) + 8 * (int32_t)n);
        coalesce_write(j, IR_G(n));
        break;
    case IR_KIND_T:
        if (n == 0)
            flags_will_write(j, REG_T0);
        else
            flags_will_write_mem(j, VOFF(tmp) + 8 * (int32_t)n);
        coalesce_write(j, r);
        break;
    default: break;
    }
}

void store_result(Jit *j, unsigned size, IrRef d, unsigned reg)
{
    Loc l = loc_of(j, d);
    if (l.kind == L_HIGH) {
        store_high(j, l.reg, reg);
    } else if (l.kind == L_REG) {
        if (size >= 4 || ir_is_temp(d))
            mov_rr(&j->a, size == 8 ? 8 : 4, l.reg, reg);
        else
            store_r(&j->a, size, l, reg);
    } else {
        bool widen = size == 4 && ir_kind(d) != IR_KIND_MEM; /* the upper half becomes zero */
        store_r(&j->a, widen ? 8 : size, l, reg);
    }
}

bool needs_flags(const Jit *j) { return j->i->flags & IR_SETF && j->after[j->k]; }

/*
 * After an op that has changed EFLAGS without giving guest flags: were the guest's killed, or do they stay as
 * described?
 */
void flags_not_set(Jit *j)
{
    j->native = 0;
    if (j->i->flags & IR_SETF)
        flags_dead(j);
}

uint64_t sign_extended(uint64_t v, unsigned size) { return (uint64_t)bits_sget(v & bits_mask(8 * size), 0, 8 * size); }

/* An operand as the source of an instruction: register, memory (unless no_mem) or 32-bit immediate. */
Loc operand_source(Jit *j, unsigned size, IrRef r, bool no_mem)
{
    Loc l = loc_of(j, r);
    if (l.kind == L_IMM) {
        l.imm = sign_extended(l.imm, size);
        if (fits32(l.imm))
            return l;
        unsigned s = scratch(j);
        mov_ri(&j->a, s, l.imm);
        return loc_reg(s);
    }
    if (l.kind == L_HIGH || (l.kind == L_MEM && no_mem)) {
        unsigned s = scratch(j);
        load_to(j, size, s, loc_of(j, r)); /* scratch() may have moved j->gm */
        return loc_reg(s);
    }
    return l;
}

/* EFLAGS hold the guest's flags of this op, or nobody wants them. */
void flags_from_result(Jit *j, unsigned groups)
{
    if (!needs_flags(j)) {
        flags_not_set(j);
        return;
    }
    flags_set_native(j, groups);
    if (j->i->flags & IR_NOTC)
        flags_invert_carry(j);
}

/* The register that the op works in: d itself after a is in it, or a scratch register that store_result() puts away. */
unsigned result_register(Jit *j, bool *direct)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d);
    *direct = d.kind == L_REG && (i->size >= 4 || ir_is_temp(i->d) || i->d == i->a) && i->b != i->d && i->c != i->d;
    unsigned t = *direct ? d.reg : scratch(j);
    if (*direct)
        write_begin(j, i->d);
    if (!(*direct && i->d == i->a))
        load_to(j, i->size, t, loc_of(j, i->a));
    if (!*direct)
        write_begin(j, i->d);
    return t;
}

void swap_bytes(Jit *j, unsigned size, unsigned reg)
{
    if (size == 2) {
        flags_clobber(j);
        shift_i(&j->a, 0, 2, loc_reg(reg), 8);
    } else if (size > 2) {
        e8(&j->a, (size == 8 ? 0x48 : 0x40) | reg >> 3);
        e8(&j->a, 0x0f);
        e8(&j->a, 0xc8 | (reg & 7));
    }
}
