/* SPDX-License-Identifier: MIT */
/* Moves, extensions, fields, conditional moves. */
#include "accel/tcg/host-x86/jit.h"

static void move_imm(Jit *j, unsigned size, IrRef d, uint64_t v)
{
    Loc l = loc_of(j, d);
    if (l.kind == L_REG && (size >= 4 || ir_is_temp(d))) {
        mov_ri(&j->a, l.reg, v & bits_mask(8 * size));
    } else if (l.kind == L_HIGH && l.reg >= 4) {
        unsigned t = scratch(j);
        mov_ri(&j->a, t, v & 0xff);
        store_result(j, size, d, t);
    } else {
        unsigned store = size == 4 && d != IR_MEM ? 8 : size;
        v &= bits_mask(8 * size);
        if (store == 8 && !fits32(v)) {
            unsigned t = scratch(j);
            mov_ri(&j->a, t, v);
            store_r(&j->a, 8, loc_of(j, d), t);
        } else {
            store_i(&j->a, store, l, v);
        }
    }
}

static void emit_mov(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size;
    if (i->a == IR_MEM || i->d == IR_MEM)
        mem_access(j, size, i->d == IR_MEM);
    if (i->a == IR_IMM && !(i->flags & IR_BE)) {
        write_begin(j, i->d);
        move_imm(j, size, i->d, i->imm);
        return;
    }
    Loc a = loc_of(j, i->a), d = loc_of(j, i->d);
    bool whole = d.kind == L_REG && (size >= 4 || ir_is_temp(i->d));
    if (i->flags & IR_BE) {
        unsigned t = scratch(j);
        load_to(j, size, t, loc_of(j, i->a));
        swap_bytes(j, size, t);
        write_begin(j, i->d);
        store_result(j, size, i->d, t);
    } else if (whole) {
        write_begin(j, i->d);
        load_to(j, size, d.reg, a);
    } else if (d.kind == L_REG && a.kind == L_MEM) { /* merge */
        write_begin(j, i->d);
        op_rm(&j->a, size == 1 ? 0x8a | OP_BYTES : 0x8b, size, d.reg, a);
    } else if (a.kind == L_REG && d.kind != L_HIGH && !(d.kind == L_MEM && i->d != IR_MEM && size == 4)) {
        write_begin(j, i->d);
        store_r(&j->a, size, d, a.reg);
    } else {
        unsigned t = scratch(j);
        load_to(j, size, t, loc_of(j, i->a));
        write_begin(j, i->d);
        store_result(j, size, i->d, t);
    }
}

static void emit_extend(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->a == IR_MEM)
        mem_access(j, i->size, false);
    Loc a = loc_of(j, i->a), d = loc_of(j, i->d);
    bool whole = d.kind == L_REG && (i->size2 >= 4 || ir_is_temp(i->d));
    unsigned t = whole ? d.reg : scratch(j);
    a = loc_of(j, i->a);
    write_begin(j, i->d);
    if (a.kind == L_HIGH && (t >= 8 || a.reg >= 4 || i->size2 == 8)) { /* no REX prefix with a high byte */
        load_high(j, t, a.reg);
        a = loc_reg(t);
    } else if (a.kind == L_IMM) {
        mov_ri(&j->a, t, a.imm);
        a = loc_reg(t);
    }
    unsigned to = i->size2 == 8 ? 8 : 4;
    if (i->op == IR_ZEXT)
        load_zx(&j->a, i->size, t, a);
    else if (i->size == 4)
        op_rm(&j->a, to == 8 ? 0x63 : 0x8b, to, t, a);
    else if (i->size == 8)
        load_zx(&j->a, 8, t, a);
    else
        op_rm(&j->a, (i->size == 1 ? 0xbe | OP_RM8 : 0xbf) | OP_0F, to, t, a);
    if (!whole)
        store_result(j, i->size2, i->d, t);
}

static void emit_lea(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d);
    IrMem narrow = i->m;
    if (i->size == 4 && narrow.asize == 8)
        narrow.asize = 4;
    const IrMem *m = &narrow;
    bool base_mem = m->base != IR_NONE && loc_of(j, m->base).kind != L_REG;
    bool index_mem = m->index != IR_NONE && loc_of(j, m->index).kind != L_REG;
    bool whole = d.kind == L_REG && (i->size >= 4 || ir_is_temp(i->d)) && m->asize >= 4 && !base_mem && !index_mem;
    int t0 = whole || index_mem ? -1 : scratch_t0(j);
    unsigned t = whole ? d.reg : t0 >= 0 ? (unsigned)t0 : REG_S1;
    if (!whole && t0 < 0) {
        flags_will_write(j, REG_S0);
        flags_will_write(j, REG_S1);
        coalesce_forget(j);
    }
    if (whole)
        write_begin(j, i->d);
    emit_address(j, m, t, m->disp, false);
    if (!whole) {
        write_begin(j, i->d);
        store_result(j, i->size, i->d, t);
    }
}

static void emit_bswap(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d);
    unsigned t = d.kind == L_REG ? d.reg : scratch(j);
    if (d.kind == L_REG)
        write_begin(j, i->d);
    load_to(j, i->size, t, loc_of(j, i->a));
    swap_bytes(j, i->size, t);
    if (d.kind != L_REG) {
        write_begin(j, i->d);
        store_result(j, i->size, i->d, t);
    }
}

static void emit_field(Jit *j)
{
    const IrInsn *i = j->i;
    Loc field = vcpu_loc((int32_t)i->imm - VCPU_BIAS);
    if (i->op == IR_LDE) {
        Loc d = loc_of(j, i->d);
        unsigned t = d.kind == L_REG ? d.reg : scratch(j);
        write_begin(j, i->d);
        load_zx(&j->a, i->size, t, field);
        if (d.kind != L_REG)
            store_result(j, 8, i->d, t);
    } else if (i->a == IR_IMM && (i->size < 8 || fits32(i->imm2))) {
        store_i(&j->a, i->size, field, i->imm2);
    } else {
        Loc a = i->a == IR_IMM ? loc_imm(i->imm2) : loc_of(j, i->a);
        unsigned t = a.kind == L_REG ? a.reg : scratch(j);
        if (a.kind != L_REG)
            load_to(j, i->size, t, a);
        store_r(&j->a, i->size, field, t);
    }
}

static void emit_setcc(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->d == IR_MEM) { /* the access needs the scratch registers and EFLAGS: first the value */
        unsigned cc = flags_condition(j, i->cond);
        setcc(&j->a, cc, vcpu_loc(VOFF(slow[2])));
        mem_access(j, 1, true);
        unsigned t = scratch(j);
        load_zx(&j->a, 1, t, vcpu_loc(VOFF(slow[2])));
        store_r(&j->a, 1, j->gm, t);
        return;
    }
    unsigned cc = flags_condition(j, i->cond);
    Loc d = loc_of(j, i->d);
    write_begin(j, i->d);
    if (d.kind == L_HIGH && d.reg >= 4) {
        unsigned t = scratch(j);
        setcc(&j->a, cc, loc_reg(t));
        store_result(j, 1, i->d, t);
    } else {
        setcc(&j->a, cc, d);
    }
}

static void emit_cmov(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size;
    if (size == 1 || i->d == IR_MEM || i->a == IR_MEM) {
        emit_step(j);
        return;
    }
    Loc b = loc_of(j, i->b);
    if (i->b == IR_MEM) { /* read first: the condition may need what the access destroys */
        mem_access(j, size, false);
        unsigned t = scratch(j);
        load_zx(&j->a, size, t, j->gm);
        mem_done(j);
        if (j->native == 0 && t != REG_T0) {
            store_r(&j->a, 8, vcpu_loc(VOFF(slow[2])), t);
            b = vcpu_loc(VOFF(slow[2]));
            j->busy = 0;
        } else {
            b = loc_reg(t);
        }
    }
    unsigned cc = flags_condition(j, i->cond);
    j->busy &= 1u << REG_T0;
    if (b.kind == L_IMM) {
        unsigned t = scratch(j);
        mov_ri(&j->a, t, sign_extended(b.imm, size));
        b = loc_reg(t);
    }
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a);
    bool direct = d.kind == L_REG && size >= 4 && !(loc_same(b, d) && !loc_same(a, d));
    unsigned t = direct ? d.reg : scratch(j);
    write_begin(j, i->d);
    if (!(direct && loc_same(a, d)))
        load_to(j, size, t, a);
    op_rm(&j->a, 0x40 | cc | OP_0F, size == 2 ? 4 : size, t, b);
    if (!direct)
        store_result(j, size, i->d, t);
}

void emit_move(Jit *j)
{
    switch ((IrOp)j->i->op) {
    case IR_MOV: emit_mov(j); break;
    case IR_ZEXT: case IR_SEXT: emit_extend(j); break;
    case IR_LEA: emit_lea(j); break;
    case IR_BSWAP: emit_bswap(j); break;
    case IR_LDE: case IR_STE: emit_field(j); break;
    case IR_SETCC: emit_setcc(j); break;
    default: emit_cmov(j); break;
    }
}
