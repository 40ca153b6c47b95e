/* SPDX-License-Identifier: MIT */
/* Bit tests, scans, counts, masks, CRC and reversals. What has no direct form here goes to the interpreter. */
#include "accel/tcg/host-x86/jit.h"

static void emit_bit_test(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size, code = i->op - IR_BT; /* BT BTS BTR BTC */
    bool stores = i->op != IR_BT;
    IrRef at = i->a;
    if (size == 1 || (stores && i->d != i->a) || at == IR_IMM) {
        emit_step(j);
        return;
    }
    if (i->a == IR_MEM)
        mem_access(j, size, stores);
    j->need = j->keep[j->k];
    bool set = needs_flags(j);
    if (!set && i->flags & IR_SETF)
        j->c.op = FD_DEAD;
    flags_clobber(j);
    Loc a = loc_of(j, at), b = loc_of(j, i->b);
    bool through = a.kind == L_MEM && (i->a != IR_MEM) && (i->b != IR_IMM || (stores && size == 4));
    unsigned t = 0;
    if (through || a.kind == L_HIGH) {
        t = scratch(j);
        load_to(j, size, t, a);
        a = loc_reg(t);
    }
    /* an offset beyond the operand would reach other memory */
    if (b.kind == L_MEM || b.kind == L_HIGH || (i->a == IR_MEM && b.kind == L_REG)) {
        unsigned s = scratch(j);
        load_to(j, size, s, b);
        if (i->a == IR_MEM)
            alu_ri(&j->a, ALU_AND, 4, loc_reg(s), size * 8 - 1);
        b = loc_reg(s);
    }
    if (i->a == IR_MEM)
        a = j->gm;
    if (stores)
        write_begin(j, i->d);
    if (stores && i->a == IR_MEM && i->flags & IR_LOCK)
        e8(&j->a, 0xf0);
    if (b.kind == L_IMM) {
        op_rm(&j->a, 0xba | OP_0F, size, 4 + code, a);
        e8(&j->a, b.imm & (size * 8 - 1));
    } else {
        op_rm(&j->a, (0xa3 + 8 * code) | OP_0F, size, b.reg, a);
    }
    if (stores && through)
        store_result(j, size, i->d, t);
    j->native = 0;
    if (set)
        flags_set_native(j, GROUP_C);
    if (set && i->flags & IR_NOTC)
        flags_invert_carry(j);
}

static bool bmi_op(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->size < 4 || ir_has_memory(i))
        return false;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a), b = loc_of(j, i->b);
    if (d.kind != L_REG || a.kind != L_REG || (i->b != IR_NONE && b.kind != L_REG))
        return false;
    bool bmi1 = i->op == IR_BLSI || i->op == IR_BLSR || i->op == IR_BLSMSK || i->op == IR_BEXTR;
    if (bmi1 ? !jit_host.bmi1 : !jit_host.bmi2)
        return false;
    j->need = j->keep[j->k];
    if (i->op != IR_PDEP && i->op != IR_PEXT)
        flags_clobber(j);
    write_begin(j, i->d);
    switch ((IrOp)i->op) {
    case IR_BLSR: op_vex(&j->a, 0, 2, 0xf3, i->size, 1, d.reg, a); break;
    case IR_BLSMSK: op_vex(&j->a, 0, 2, 0xf3, i->size, 2, d.reg, a); break;
    case IR_BLSI: op_vex(&j->a, 0, 2, 0xf3, i->size, 3, d.reg, a); break;
    case IR_BEXTR: op_vex(&j->a, 0, 2, 0xf7, i->size, d.reg, b.reg, a); break;
    case IR_BZHI: op_vex(&j->a, 0, 2, 0xf5, i->size, d.reg, b.reg, a); break;
    case IR_PDEP: op_vex(&j->a, 3, 2, 0xf5, i->size, d.reg, a.reg, b); return true;
    default: op_vex(&j->a, 2, 2, 0xf5, i->size, d.reg, a.reg, b); return true;
    }
    flags_from_result(j, GROUP_ALL);
    return true;
}

/* ~a & b with operands anywhere. */
static bool and_not(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a), b = loc_of(j, i->b);
    if (i->size < 4 || ir_has_memory(i) || a.kind == L_HIGH || b.kind == L_HIGH || d.kind == L_HIGH)
        return false;
    j->need = j->keep[j->k];
    flags_clobber(j);
    bool direct = d.kind == L_REG && !loc_same(d, b);
    unsigned t = direct ? d.reg : scratch(j);
    if (b.kind == L_IMM) {
        b.imm = (uint64_t)bits_sget(b.imm & bits_mask(8 * i->size), 0, 8 * i->size);
        if (!fits32(b.imm)) {
            unsigned s = scratch(j);
            mov_ri(&j->a, s, b.imm);
            b = loc_reg(s);
        }
    }
    write_begin(j, i->d);
    bool vex = jit_host.bmi1 && a.kind == L_REG && b.kind != L_IMM;
    if (vex) {
        op_vex(&j->a, 0, 2, 0xf2, i->size, t, a.reg, b);
    } else {
        load_to(j, i->size, t, a);
        op_rm(&j->a, 0xf7, i->size, 2, loc_reg(t)); /* not */
        if (b.kind == L_IMM)
            alu_ri(&j->a, ALU_AND, i->size, loc_reg(t), b.imm);
        else
            alu_rm(&j->a, ALU_AND, i->size, t, b);
    }
    if (!direct)
        store_result(j, i->size, i->d, t);
    if (!needs_flags(j)) {
        flags_not_set(j);
        return true;
    }
    flags_set(j, FLAGS_LOGIC, i->size, flag_value(loc_of(j, i->d)), (FlagValue){ 0 }, 0);
    if (i->flags & IR_NOTC)
        flags_invert_carry(j);
    return true;
}

/* BSF BSR TZCNT LZCNT POPCNT */
static void emit_scan(Jit *j)
{
    const IrInsn *i = j->i;
    static const struct { unsigned op;
    } code[] = { [IR_BSF - IR_BSF] = { 0xbc | OP_0F },
                 [IR_BSR - IR_BSF] = { 0xbd | OP_0F },
                 [IR_TZCNT - IR_BSF] = { 0xbc | OP_0F | OP_F3 },
                 [IR_LZCNT - IR_BSF] = { 0xbd | OP_0F | OP_F3 },
                 [IR_POPCNT - IR_BSF] = { 0xb8 | OP_0F | OP_F3 } };
    bool can = (i->op != IR_TZCNT || jit_host.bmi1) && (i->op != IR_LZCNT || jit_host.lzcnt) &&
               (i->op != IR_POPCNT || jit_host.popcnt);
    if (!can || i->size == 1 || i->a == IR_IMM || i->d == IR_MEM) {
        emit_step(j);
        return;
    }
    if (i->a == IR_MEM)
        mem_access(j, i->size, false);
    j->need = j->keep[j->k];
    flags_clobber(j);
    Loc d = loc_of(j, i->d);
    unsigned t = d.kind == L_REG ? d.reg : scratch(j);
    if (d.kind != L_REG) /* BSF and BSR may leave it */
        load_zx(&j->a, 8, t, d);
    Loc a = loc_of(j, i->a);
    write_begin(j, i->d);
    op_rm(&j->a, code[i->op - IR_BSF].op, i->size, t, a);
    if (d.kind != L_REG)
        store_r(&j->a, i->size == 2 ? 2 : 8, d, t);
    flags_from_result(j, GROUP_ALL);
}

static void emit_crc(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.sse42 || i->d == IR_MEM || i->a == IR_MEM || i->a == IR_IMM || i->b == IR_IMM ||
        loc_of(j, i->b).kind == L_HIGH) {
        emit_step(j);
        return;
    }
    if (i->b == IR_MEM)
        mem_access(j, i->size, false);
    Loc d = loc_of(j, i->d);
    bool direct = d.kind == L_REG && i->d != i->b;
    unsigned t = direct ? d.reg : scratch(j);
    Loc b = loc_of(j, i->b);
    write_begin(j, i->d);
    load_to(j, 4, t, loc_of(j, i->a));
    if (i->size == 2)
        e8(&j->a, 0x66);
    op_rm(&j->a, (i->size == 1 ? 0xf0 | OP_RM8 : 0xf1) | OP_0F38 | OP_F2 | OP_NO16, i->size == 8 ? 8 : 4, t, b);
    if (!direct)
        store_result(j, 4, i->d, t);
}

/* Bytes in reverse, then nibbles, pairs and bits within each byte. */
static void emit_reverse(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    Loc from = loc_of(j, i->a);
    if (i->size < 4 || from.kind == L_HIGH) {
        emit_step(j);
        return;
    }
    flags_clobber(j);
    unsigned t = scratch(j), s = scratch(j);
    load_to(j, i->size, t, from);
    swap_bytes(j, i->size, t);
    static const struct {
        uint64_t mask;
        unsigned by;
    } step[] = { { UINT64_C(0x0f0f0f0f0f0f0f0f), 4 },
                 { UINT64_C(0x3333333333333333), 2 },
                 { UINT64_C(0x5555555555555555), 1 } };
    for (unsigned n = 0; n < ARRAY_LEN(step); n++) {
        mov_ri(a, s, step[n].mask & bits_mask(8 * i->size));
        store_r(a, 8, vcpu_loc(VOFF(slow[3])), s);
        alu_rm(a, ALU_AND, i->size, s, loc_reg(t));
        shift_i(a, 5, i->size, loc_reg(t), step[n].by);
        alu_rm(a, ALU_AND, i->size, t, vcpu_loc(VOFF(slow[3])));
        shift_i(a, 4, i->size, loc_reg(s), step[n].by);
        alu_rm(a, ALU_OR, i->size, t, loc_reg(s));
    }
    write_begin(j, i->d);
    store_result(j, i->size, i->d, t);
    j->native = 0;
}

void emit_bits(Jit *j)
{
    switch ((IrOp)j->i->op) {
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: emit_bit_test(j); break;
    case IR_BSF: case IR_BSR: case IR_TZCNT: case IR_LZCNT: case IR_POPCNT: emit_scan(j); break;
    case IR_CRC32C: emit_crc(j); break;
    case IR_RBIT: emit_reverse(j); break;
    default:
        if (j->i->op == IR_ANDN ? !and_not(j) : !bmi_op(j))
            emit_step(j);
        break;
    }
}
