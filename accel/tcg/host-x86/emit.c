/* SPDX-License-Identifier: MIT */
/* Operands, two-operand arithmetic, moves. */
#include "accel/tcg/host-x86/jit.h"

/* --- operands --- */
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
static void load_high(Jit *j, unsigned reg, unsigned home)
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


static bool is_temp(IrRef r) { return ir_kind(r) == IR_KIND_T; }

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
        if (size >= 4 || is_temp(d))
            mov_rr(&j->a, size == 8 ? 8 : 4, l.reg, reg);
        else
            store_r(&j->a, size, l, reg);
    } else {
        bool widen = size == 4 && ir_kind(d) != IR_KIND_MEM; /* the upper half becomes zero */
        store_r(&j->a, widen ? 8 : size, l, reg);
    }
}

bool needs_flags(const Jit *j) { return j->i->flags & IR_SETF && j->after[j->k]; }

/* After an op that has changed EFLAGS without giving guest flags: were the guest's killed, or do they stay as described? */
static void flags_not_set(Jit *j)
{
    j->native = 0;
    if (j->i->flags & IR_SETF)
        flags_dead(j);
}

static uint64_t sign_extended(uint64_t v, unsigned size) { return (uint64_t)bits_sget(v & bits_mask(8 * size), 0, 8 * size); }

/* An operand as the source of an instruction: register, memory (unless no_mem) or 32-bit immediate. */
static Loc source(Jit *j, unsigned size, IrRef r, bool no_mem)
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

enum { ALU_TEST = 8 };
static void alu_loc(Jit *j, unsigned op, unsigned size, Loc d, Loc s)
{
    Asm *a = &j->a;
    if (d.kind == L_MEM && j->i->flags & IR_LOCK && j->i->d == IR_MEM)
        e8(a, 0xf0);
    if (op == ALU_TEST) {
        if (s.kind == L_IMM)
            test_ri(a, size, d, s.imm);
        else if (s.kind == L_MEM)
            test_rr(a, size, s, d.reg);
        else
            test_rr(a, size, d, s.reg);
    } else if (s.kind == L_IMM) {
        alu_ri(a, op, size, d, s.imm);
    } else if (d.kind == L_MEM) {
        alu_mr(a, op, size, d, s.reg);
    } else {
        alu_rm(a, op, size, d.reg, s);
    }
}

static unsigned alu_code(IrOp op)
{
    switch (op) {
    case IR_ADD: return ALU_ADD;
    case IR_SUB: return ALU_SUB;
    case IR_ADC: return ALU_ADC;
    case IR_SBB: return ALU_SBB;
    case IR_AND: return ALU_AND;
    case IR_OR: return ALU_OR;
    case IR_XOR: return ALU_XOR;
    case IR_TEST: return ALU_TEST;
    default: return ALU_CMP;
    }
}

static void alu_flags(Jit *j, Loc d, Loc s)
{
    const IrInsn *i = j->i;
    FlagValue dst = flag_value(d), src = loc_same(d, s) ? (FlagValue){ .kind = VAL_NONE } : flag_value(s);
    switch ((IrOp)i->op) {
    case IR_ADD: flags_set(j, FLAGS_ADD, i->size, dst, src, 0); break;
    case IR_SUB: flags_set(j, FLAGS_SUB, i->size, dst, src, 0); break;
    case IR_AND: case IR_OR: case IR_XOR: flags_set(j, FLAGS_LOGIC, i->size, dst, (FlagValue){ 0 }, 0); break;
    default: flags_set_native(j, GROUP_ALL); break;
    }
    if (i->flags & IR_NOTC)
        flags_invert_carry(j);
}

static void emit_compare(Jit *j)
{
    const IrInsn *i = j->i;
    bool test = i->op == IR_TEST, in_memory = i->a == IR_MEM || i->b == IR_MEM;
    if (in_memory)
        mem_access(j, i->size, false);
    if (!needs_flags(j)) {
        if (i->flags & IR_SETF)
            flags_dead(j);
        return;
    }
    Loc a = loc_of(j, i->a);
    bool later = j->after[j->k] & NEED_SEEN; /* then the value read must outlive its register */
    if (a.kind == L_IMM || (a.kind == L_HIGH && (i->b != IR_IMM || a.reg >= 4)) ||
        (a.kind == L_MEM && a.reg != RBP && later && !j->t0_used && !(j->busy >> REG_T0 & 1))) {
        unsigned s = scratch(j);
        load_to(j, i->size, s, loc_of(j, i->a));
        a = loc_reg(s);
    }
    bool b_memory = loc_of(j, i->b).kind == L_MEM && loc_of(j, i->b).reg != RBP;
    bool keep_b = b_memory && later && !j->t0_used && !(j->busy >> REG_T0 & 1);
    Loc b = source(j, i->size, i->b, a.kind != L_REG || keep_b);
    if (a.kind == L_MEM && a.reg != RBP)
        a = j->gm; /* may have been simplified */
    j->need = j->keep[j->k];
    flags_clobber(j);
    alu_loc(j, alu_code(i->op), i->size, a, b);
    bool same = test && loc_same(a, b) && a.kind == L_REG;
    if (same)
        flags_set(j, FLAGS_LOGIC, i->size, flag_value(a), (FlagValue){ 0 }, 0);
    else
        flags_set(j, test ? FLAGS_TEST : FLAGS_CMP, i->size, flag_value(a), flag_value(b), 0);
    if (i->flags & IR_NOTC)
        flags_invert_carry(j);
}

/* d = a + b without touching EFLAGS, when the operands allow it. */
static bool try_lea(Jit *j)
{
    const IrInsn *i = j->i;
    if ((i->op != IR_ADD && i->op != IR_SUB) || i->size < 4 || i->d == IR_MEM || i->a == IR_MEM || i->b == IR_MEM)
        return false;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a), b = loc_of(j, i->b);
    if (d.kind != L_REG || a.kind != L_REG || (b.kind != L_IMM && (b.kind != L_REG || i->op == IR_SUB)))
        return false;
    if (b.kind == L_IMM) {
        uint64_t n = sign_extended(i->op == IR_ADD ? b.imm : -b.imm, i->size);
        if (!fits32(n))
            return false;
        write_begin(j, i->d);
        lea(&j->a, i->size, d.reg, loc_mem(a.reg, (int32_t)n));
    } else {
        write_begin(j, i->d);
        lea(&j->a, i->size, d.reg, loc_mem2(a.reg, b.reg, 0, 0));
    }
    return true;
}

static bool commutes(IrOp op) { return op == IR_ADD || op == IR_AND || op == IR_OR || op == IR_XOR || op == IR_ADC; }

/* x - x and x ^ x: a constant. */
static bool try_zero(Jit *j)
{
    const IrInsn *i = j->i;
    if ((i->op != IR_SUB && i->op != IR_XOR) || i->a != i->b || i->a == IR_MEM || i->size < 4 || loc_of(j, i->d).kind != L_REG)
        return false;
    unsigned r = loc_of(j, i->d).reg;
    write_begin(j, i->d);
    flags_clobber(j);
    alu_rm(&j->a, ALU_XOR, 4, r, loc_reg(r));
    if (needs_flags(j))
        flags_set(j, i->op == IR_XOR ? FLAGS_LOGIC : FLAGS_CMP, i->size, flag_value(loc_imm(0)), flag_value(loc_imm(0)), 0);
    else
        flags_not_set(j);
    if (needs_flags(j) && i->flags & IR_NOTC)
        flags_invert_carry(j);
    return true;
}

void emit_alu_op(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->op == IR_CMP || i->op == IR_TEST) {
        emit_compare(j);
        return;
    }
    bool carry = i->op == IR_ADC || i->op == IR_SBB, in_memory = i->d == IR_MEM || i->a == IR_MEM || i->b == IR_MEM;
    bool set = needs_flags(j);
    if (!set && !(i->flags & IR_SETF) && try_lea(j))
        return;
    if (try_zero(j))
        return;
    if (!set && i->d == i->a && j->native && (j->keep[j->k]) && try_lea(j))
        return;
    if (carry && in_memory)
        flags_carry_to_slot(j);
    if (in_memory)
        mem_access(j, i->size, i->d == IR_MEM);
    IrRef ra = i->a, rb = i->b;
    if (i->d == rb && i->d != ra && commutes(i->op))
        ra = i->b, rb = i->a;
    unsigned op = alu_code(i->op), size = i->size;
    Loc d = loc_of(j, i->d);
    bool wide_memory = d.kind == L_MEM && i->d != IR_MEM && size == 4;
    if (carry) {
        if (!(i->flags & IR_SETF)) { /* then the present flags outlive EFLAGS */
            j->need |= NEED_READ_C;
            flags_clobber(j);
        }
        flags_carry(j);
        j->need = j->keep[j->k];
    } else {
        j->need = j->keep[j->k];
        flags_clobber(j);
    }
    if (ra == i->d && d.kind != L_HIGH && !wide_memory) {
        Loc s = source(j, size, rb, d.kind == L_MEM);
        d = loc_of(j, i->d);
        write_begin(j, i->d);
        alu_loc(j, op, size, d, s);
        if (set) {
            if (rb == i->d)
                s = d;
            alu_flags(j, d, s);
        } else {
            flags_not_set(j);
        }
        return;
    }
    bool direct = d.kind == L_REG && (size >= 4 || is_temp(i->d)) && rb != i->d;
    Loc s = source(j, size, rb, false);
    unsigned t = direct ? d.reg : scratch(j);
    if (s.kind == L_MEM && s.reg != RBP)
        s = j->gm;
    write_begin(j, i->d);
    load_to(j, size, t, loc_of(j, ra));
    alu_loc(j, op, size, loc_reg(t), s);
    if (!direct)
        store_result(j, size, i->d, t);
    d = loc_of(j, i->d);
    if (set)
        alu_flags(j, d, rb == i->d ? d : s);
    else
        flags_not_set(j);
}

/* -a as ~a + 1, which leaves EFLAGS alone. */
static bool try_negate(Jit *j)
{
    const IrInsn *i = j->i;
    Loc d = loc_of(j, i->d), a = loc_of(j, i->a);
    if (i->op != IR_NEG || i->flags & IR_SETF || i->size < 4 || d.kind != L_REG || !j->native || !j->keep[j->k])
        return false;
    write_begin(j, i->d);
    load_to(j, i->size, d.reg, a);
    op_rm(&j->a, 0xf7, i->size, 2, d);
    lea(&j->a, i->size, d.reg, loc_mem(d.reg, 1));
    return true;
}

/* INC DEC NEG NOT */
void emit_unary(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->d != IR_MEM && i->a != IR_MEM && try_negate(j))
        return;
    unsigned size = i->size, w = size == 1 ? OP_RM8 : 1;
    bool inc = i->op == IR_INC || i->op == IR_DEC, set = needs_flags(j);
    if (i->a == IR_MEM || i->d == IR_MEM)
        mem_access(j, size, i->d == IR_MEM);
    Loc d = loc_of(j, i->d);
    bool direct = i->d == i->a && d.kind != L_HIGH && !(d.kind == L_MEM && i->d != IR_MEM && size == 4);
    unsigned t = 0;
    if (!direct) {
        t = scratch(j);
        load_to(j, size, t, loc_of(j, i->a));
    }
    if (i->d == IR_MEM)
        d = j->gm;
    j->need = j->keep[j->k];
    unsigned kept = j->native & (GROUP_C | NATIVE_NOTC);
    if (i->op == IR_NOT) {
    } else if (inc && kept && j->r.op != FD_NATIVE) {
        /* INC and DEC leave EFLAGS.C */
    } else if (inc && kept && j->c.op == FD_NATIVE && !(j->keep[j->k] & group_needs(GROUP_RO))) {
        /* likewise; the rest is dropped */
    } else {
        flags_clobber(j);
        kept = 0;
    }
    write_begin(j, i->d);
    if (direct && d.kind == L_MEM && i->flags & IR_LOCK && i->d == IR_MEM)
        e8(&j->a, 0xf0);
    Loc at = direct ? d : loc_reg(t);
    if (inc)
        op_rm(&j->a, 0xfe | w, size, i->op == IR_DEC, at);
    else
        op_rm(&j->a, 0xf6 | w, size, i->op == IR_NEG ? 3 : 2, at);
    if (!direct)
        store_result(j, size, i->d, t);
    if (i->op == IR_NOT)
        return;
    FlagValue v = flag_value(loc_of(j, i->d));
    if (!set) {
        j->native = inc ? kept : 0;
        if (i->flags & IR_SETF)
            j->r.op = j->o.op = FD_DEAD;
        if (i->flags & IR_SETF && !inc)
            j->c.op = FD_DEAD;
    } else if (!inc) {
        flags_set(j, FLAGS_NEG, size, v, (FlagValue){ 0 }, 0);
    } else {
        FlagDesc c = j->c;
        flags_set(j, i->op == IR_INC ? FLAGS_INC : FLAGS_DEC, size, v, v, 0);
        j->c = c;
        j->native = GROUP_RO | kept;
    }
}

/* --- moves --- */
static void move_imm(Jit *j, unsigned size, IrRef d, uint64_t v)
{
    Loc l = loc_of(j, d);
    if (l.kind == L_REG && (size >= 4 || is_temp(d))) {
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
    bool whole = d.kind == L_REG && (size >= 4 || is_temp(i->d));
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
    bool whole = d.kind == L_REG && (i->size2 >= 4 || is_temp(i->d));
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
    bool whole = d.kind == L_REG && (i->size >= 4 || is_temp(i->d)) && m->asize >= 4 && !base_mem && !index_mem;
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
