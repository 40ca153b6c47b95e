/* SPDX-License-Identifier: MIT */
/* Multiplication and division. What has no direct form here goes to the interpreter. */
#include "accel/tcg/host-x86/jit.h"

static void emit_imul(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size;
    if (size == 1 || i->d == IR_MEM || i->a == IR_IMM) {
        emit_step(j);
        return;
    }
    if (ir_has_memory(i))
        mem_access(j, size, false);
    j->need = j->keep[j->k];
    flags_clobber(j);
    Loc d = loc_of(j, i->d);
    bool whole = d.kind == L_REG && (size >= 4 || ir_is_temp(i->d));
    if (i->b == IR_IMM && fits32((uint64_t)bits_sget(i->imm & bits_mask(8 * size), 0, 8 * size))) {
        unsigned t = whole ? d.reg : scratch(j);
        Loc a = loc_of(j, i->a);
        write_begin(j, i->d);
        int64_t n = bits_sget(i->imm & bits_mask(8 * size), 0, 8 * size);
        op_rm(&j->a, n == (int8_t)n ? 0x6b : 0x69, size, t, a);
        if (n == (int8_t)n)
            e8(&j->a, (unsigned)n);
        else
            emit_imm(&j->a, size, (uint64_t)n);
        if (!whole)
            store_result(j, size, i->d, t);
        flags_from_result(j, GROUP_ALL);
        return;
    }
    Loc b = loc_of(j, i->b);
    if (b.kind == L_IMM) {
        unsigned s = scratch(j);
        mov_ri(&j->a, s, b.imm);
        b = loc_reg(s);
    }
    bool direct;
    unsigned t = result_register(j, &direct);
    if (i->b == IR_MEM)
        b = j->gm;
    op_rm(&j->a, 0xaf | OP_0F, size, t, b);
    if (!direct)
        store_result(j, size, i->d, t);
    flags_from_result(j, GROUP_ALL);
}

static bool mulx(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.bmi2 || i->size < 4 || i->op != IR_MULU2 || i->flags & IR_SETF || !loc_is(loc_of(j, i->a), RDX))
        return false;
    Loc low = loc_of(j, i->d), high = loc_of(j, i->c), b = loc_of(j, i->b);
    if (low.kind != L_REG || high.kind != L_REG || b.kind != L_REG || i->d == i->c)
        return false;
    write_begin(j, i->d);
    write_begin(j, i->c);
    op_vex(&j->a, 3, 2, 0xf6, i->size, high.reg, low.reg, b);
    return true;
}

/*
 * The high half, or both, with operands and results anywhere: RAX and RDX are borrowed. EFLAGS have been given up. The
 * low half is in REG_S1 then, the high one in REG_S0.
 */
static void multiply_anywhere(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    Loc saved = vcpu_loc(VOFF(slow[3]));
    load_to(j, i->size, REG_S1, loc_of(j, i->a));
    load_to(j, i->size, REG_S0, loc_of(j, i->b));
    store_r(a, 8, saved, RDX);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
    op_rm(a, 0xf7, i->size, i->op == IR_MULU2 ? 4 : 5, loc_reg(REG_S0));
    mov_rr(a, i->size, REG_S0, RDX);
    load_zx(a, 8, RDX, saved);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
}

static bool mul2_anywhere(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->size < 4 || ir_has_memory(i) || i->flags & IR_SETF || ir_kind(i->d) == IR_KIND_GH)
        return false;
    flags_clobber(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    multiply_anywhere(j);
    write_begin(j, i->d);
    store_result(j, i->size, i->d, REG_S1);
    write_begin(j, i->c);
    store_result(j, i->size, i->c, REG_S0);
    return true;
}

static void emit_mul2(Jit *j)
{
    const IrInsn *i = j->i;
    bool byte = i->size == 1;
    bool fixed = loc_is(loc_of(j, i->d), RAX) && loc_is(loc_of(j, i->a), RAX) && (byte || loc_is(loc_of(j, i->c), RDX));
    Loc b = loc_of(j, i->b);
    if (i->b != IR_MEM && (!fixed || b.kind == L_IMM || b.kind == L_HIGH)) {
        if (!mulx(j) && !mul2_anywhere(j))
            emit_step(j);
        return;
    }
    if (!fixed) {
        emit_step(j);
        return;
    }
    if (i->b == IR_MEM)
        mem_access(j, i->size, false);
    b = loc_of(j, i->b);
    j->need = j->keep[j->k];
    flags_clobber(j);
    write_begin(j, i->d);
    if (!byte)
        write_begin(j, i->c);
    op_rm(&j->a, byte ? 0xf6 | OP_RM8 : 0xf7, i->size, i->op == IR_MULU2 ? 4 : 5, b);
    flags_from_result(j, GROUP_ALL);
}

void emit_mul(Jit *j)
{
    if (j->i->op == IR_MUL)
        emit_imul(j);
    else
        emit_mul2(j);
}

/* UDIV, SDIV: RAX and RDX are borrowed. REG_S1 is the quotient. */
static void emit_plain_div(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    unsigned size = i->size;
    bool is_signed = i->op == IR_SDIV;
    Loc saved = vcpu_loc(VOFF(slow[3]));
    j->need = j->keep[j->k];
    flags_clobber(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    load_to(j, size, REG_S1, loc_of(j, i->a));
    load_to(j, size, REG_S0, loc_of(j, i->b));
    uint8_t *done[2] = { NULL, NULL };
    if (is_signed) { /* 0 and -1 apart: q = -a for the latter */
        op_rm(a, 0xf7, size, 3, loc_reg(REG_S1));
        alu_ri(a, ALU_CMP, size, loc_reg(REG_S0), ~UINT64_C(0));
        e8(a, 0x74);
        done[0] = a->p++;
        op_rm(a, 0xf7, size, 3, loc_reg(REG_S1));
    }
    test_rr(a, size, loc_reg(REG_S0), REG_S0);
    e8(a, 0x75); /* jnz over: q = 0 */
    uint8_t *divide = a->p++;
    alu_rm(a, ALU_XOR, 4, REG_S1, loc_reg(REG_S1));
    e8(a, 0xeb);
    done[1] = a->p++;
    *divide = (uint8_t)(a->p - (divide + 1));
    store_r(a, 8, saved, RDX);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX)); /* xchg */
    if (is_signed) {
        if (size == 8)
            e8(a, 0x48);
        e8(a, 0x99); /* cdq, cqo */
    } else {
        alu_rm(a, ALU_XOR, 4, RDX, loc_reg(RDX));
    }
    op_rm(a, 0xf7, size, is_signed ? 7 : 6, loc_reg(REG_S0));
    load_zx(a, 8, RDX, saved);
    op_rm(a, 0x87, 8, REG_S1, loc_reg(RAX));
    for (unsigned n = 0; n < 2; n++)
        if (done[n])
            *done[n] = (uint8_t)(a->p - (done[n] + 1));
    write_begin(j, i->d);
    store_result(j, size, i->d, REG_S1);
    j->native = 0;
}

/* --- division: in line when the quotient surely fits, else by the interpreter (which also raises the error) --- */
void emit_div(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned size = i->size;
    if (i->op == IR_UDIV || i->op == IR_SDIV) {
        emit_plain_div(j);
        return;
    }
    bool fixed = loc_is(loc_of(j, i->d), RAX) && loc_is(loc_of(j, i->a), RAX) && loc_is(loc_of(j, i->c), RDX);
    if (!fixed || size < 4 || i->b == IR_IMM) {
        emit_step(j);
        return;
    }
    if (i->b == IR_MEM)
        mem_access(j, size, false);
    flags_clobber(j);
    if (i->b == IR_MEM) { /* the cold way reads it again through the interpreter */
        load_zx(&j->a, size, REG_S0, j->gm);
        mem_done(j);
    } else {
        flags_will_write(j, REG_S0);
        load_to(j, size, REG_S0, loc_of(j, i->b));
    }
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    flags_will_write(j, RAX); /* before the ways part, and while what the site shows still counts as needed */
    flags_will_write(j, RDX);
    CallSite *site = new_site(j);
    write_begin(j, i->d);
    write_begin(j, i->c);
    uint8_t *from[2] = { NULL, NULL };
    if (i->op == IR_DIVU) {
        alu_rm(&j->a, ALU_CMP, size, RDX, loc_reg(REG_S0));
        from[0] = jcc32(&j->a, IRC_NC);
    } else {
        lea(&j->a, size, REG_S1, loc_mem(REG_S0, 1));
        alu_ri(&j->a, ALU_CMP, size, loc_reg(REG_S1), 1);
        from[0] = jcc32(&j->a, IRC_CZ); /* divisor 0 or -1 */
        mov_rr(&j->a, size, REG_S1, RAX);
        shift_i(&j->a, 7, size, loc_reg(REG_S1), size * 8 - 1);
        alu_rm(&j->a, ALU_CMP, size, REG_S1, loc_reg(RDX));
        from[1] = jcc32(&j->a, IRC_NZ); /* a dividend of more than one word */
    }
    op_rm(&j->a, 0xf7, size, i->op == IR_DIVU ? 6 : 7, loc_reg(REG_S0));
    for (unsigned n = 0; n < 2; n++)
        if (from[n])
            add_cold(j, (Cold){ .kind = COLD_STEP, .from = from[n], .insn = i, .site = site, .back = j->a.p });
    j->native = 0;
}
