/* SPDX-License-Identifier: MIT */
/* Guest flags as values: who needs them, where they can be re-made from, and how they get back into EFLAGS. */
#include "accel/tcg/host-x86/jit.h"
#include "accel/tcg/vec.h"

/*
 * At any point of the block, per group (C; O; the rest):
 *  - the descriptor says where the flags are: FD_MEMORY (v->fl), FD_NATIVE (only in EFLAGS), or an operation with
 * operands that still stand in registers or fields of the Vcpu; FD_DEAD: nobody will look.
 *  - j->native says whether EFLAGS hold them as well.
 * j->need says for which groups anybody may still read (or a fault may show) the present flags. What is not needed is
 * dropped instead of being saved. All of it is exact: a descriptor gives the same bits as the operation did.
 * Some operations set C alone, or all but C, or (SETNZ) only the rest; the rest is never older than O.
 */

_Static_assert(FLAG_OP_COUNT <= 31, "SiteFlags.op has room for these and FLAGS_NOTC");

/* --- descriptors --- */
FlagValue flag_value(Loc l)
{
    switch (l.kind) {
    case L_REG: return (FlagValue){ .kind = VAL_REG, .reg = l.reg };
    case L_IMM:
        if (fits32(l.imm))
            return (FlagValue){ .kind = VAL_IMM, .imm = l.imm };
        return (FlagValue){ .kind = VAL_NONE };
    case L_MEM:
        if (l.reg == RBP && l.index == NO_REG)
            return (FlagValue){ .kind = VAL_MEM, .off = l.disp };
        /* fall through */
    default: return (FlagValue){ .kind = VAL_NONE };
    }
}

static bool is_desc(const FlagDesc *d) { return d->op < FD_NATIVE; }
static bool same_desc(const FlagDesc *a, const FlagDesc *b)
{
    return a->op == b->op && (!is_desc(a) || !memcmp(a, b, sizeof *a));
}
static unsigned group_need(const Jit *j, unsigned group) { return j->need & group_needs(group); }

void flags_dead(Jit *j)
{
    j->c.op = j->r.op = j->o.op = FD_DEAD;
    j->native = 0;
}

bool flags_in_memory(const Jit *j)
{
    const FlagDesc *all[] = { &j->c, &j->r, &j->o };
    for (unsigned n = 0; n < ARRAY_LEN(all); n++)
        if (all[n]->op != FD_MEMORY && all[n]->op != FD_DEAD)
            return false;
    return true;
}

static bool uses_slot(const FlagDesc *d, int32_t off)
{
    return is_desc(d) &&
           ((d->dst.kind == VAL_MEM && d->dst.off == off) || (d->src.kind == VAL_MEM && d->src.off == off));
}
static int32_t free_slot(Jit *j)
{
    for (unsigned n = 0; n < ARRAY_LEN(j->v->flag_slot); n++) {
        int32_t off = VOFF(flag_slot) + 8 * (int32_t)n;
        if (!uses_slot(&j->c, off) && !uses_slot(&j->r, off) && !uses_slot(&j->o, off) && off != j->reserved_slot)
            return off;
    }
    g_assert_not_reached();
}

FlagValue save_value(Jit *j, unsigned reg)
{
    int32_t slot = j->reserved_slot = free_slot(j);
    store_r(&j->a, 8, vcpu_loc(slot), reg);
    return (FlagValue){ .kind = VAL_MEM, .off = slot };
}
FlagValue save_value_ref(Jit *j, IrRef r)
{
    Loc l = loc_of(j, r);
    if (l.kind == L_REG)
        return save_value(j, l.reg);
    int32_t slot = j->reserved_slot = free_slot(j);
    op_rm(&j->a, 0xff, 4, 6, l);
    pop_m(&j->a, vcpu_loc(slot));
    return (FlagValue){ .kind = VAL_MEM, .off = slot };
}

static FlagDesc make_desc(unsigned op, unsigned size, FlagValue dst, FlagValue src, unsigned src2)
{
    FlagDesc d;
    memset(&d, 0, sizeof d); /* compared bytewise */
    d.op = (uint8_t)op, d.size = (uint8_t)size, d.src2 = (uint8_t)src2;
    d.dst.kind = dst.kind, d.dst.reg = dst.reg, d.dst.off = dst.off, d.dst.imm = dst.imm;
    d.src.kind = src.kind, d.src.reg = src.reg, d.src.off = src.off, d.src.imm = src.imm;
    return d;
}
static const FlagValue no_value;
static FlagDesc plain_desc(unsigned op) { return make_desc(op, 8, no_value, no_value, 0); }

/* Drop what nobody needs, so that nothing is saved for it. */
static void forget_dead(Jit *j)
{
    if (!group_need(j, GROUP_C))
        j->c = plain_desc(FD_DEAD);
    if (!group_need(j, GROUP_R))
        j->r = plain_desc(FD_DEAD);
    if (!group_need(j, GROUP_O))
        j->o = plain_desc(FD_DEAD);
}

/* EFLAGS.C becomes the guest's when it is the opposite. */
static void straighten(Jit *j)
{
    if (!(j->native & NATIVE_NOTC))
        return;
    e8(&j->a, 0xf5); /* cmc */
    j->native ^= NATIVE_NOTC | GROUP_C;
}

static bool rest_is_native(const Jit *j) { return j->r.op == FD_NATIVE || j->o.op == FD_NATIVE; }

/* The flags are in EFLAGS alone and must survive: all of them to a slot, or just the carry. */
static void capture(Jit *j)
{
    int32_t slot = free_slot(j);
    FlagDesc d = make_desc(FLAGS_EXPLICIT, 4, (FlagValue){ .kind = VAL_MEM, .off = slot }, no_value, 0);
    if (j->c.op == FD_NATIVE)
        straighten(j);
    if (rest_is_native(j)) {
        pushfq_(&j->a);
        pop_m(&j->a, vcpu_loc(slot));
    } else {
        setcc(&j->a, IRC_C, vcpu_loc(slot));
    }
    j->c = j->c.op == FD_NATIVE ? d : j->c;
    j->r = j->r.op == FD_NATIVE ? d : j->r;
    j->o = j->o.op == FD_NATIVE ? d : j->o;
}

void flags_clobber(Jit *j)
{
    forget_dead(j);
    if (j->c.op == FD_NATIVE || rest_is_native(j))
        capture(j);
    j->native = 0;
}

static void move_value(Jit *j, FlagDesc *d, FlagValue *v, unsigned reg)
{
    if (!is_desc(d) || v->kind != VAL_REG || v->reg != reg)
        return;
    int32_t slot = free_slot(j);
    store_r(&j->a, 8, vcpu_loc(slot), reg);
    FlagValue to = { .kind = VAL_MEM, .off = slot };
    FlagDesc *both[] = { &j->c, &j->r, &j->o };
    for (unsigned n = 0; n < ARRAY_LEN(both); n++) {
        if (!is_desc(both[n]))
            continue;
        FlagValue *vals[] = { &both[n]->dst, &both[n]->src };
        for (unsigned m = 0; m < 2; m++) {
            if (vals[m]->kind == VAL_REG && vals[m]->reg == reg) {
                memset(vals[m], 0, sizeof *vals[m]);
                vals[m]->kind = VAL_MEM, vals[m]->off = to.off;
            }
        }
    }
}

void flags_will_write(Jit *j, unsigned reg)
{
    forget_dead(j);
    move_value(j, &j->c, &j->c.dst, reg);
    move_value(j, &j->c, &j->c.src, reg);
    move_value(j, &j->r, &j->r.dst, reg);
    move_value(j, &j->r, &j->r.src, reg);
    move_value(j, &j->o, &j->o.dst, reg);
    move_value(j, &j->o, &j->o.src, reg);
}

void flags_will_write_mem(Jit *j, int32_t off)
{
    forget_dead(j);
    if (!uses_slot(&j->c, off) && !uses_slot(&j->r, off) && !uses_slot(&j->o, off))
        return;
    FlagDesc *both[] = { &j->c, &j->r, &j->o };
    int32_t slot = free_slot(j);
    op_rm(&j->a, 0xff, 4, 6, vcpu_loc(off)); /* push, pop: without a register */
    pop_m(&j->a, vcpu_loc(slot));
    for (unsigned n = 0; n < ARRAY_LEN(both); n++) {
        if (!is_desc(both[n]))
            continue;
        if (both[n]->dst.kind == VAL_MEM && both[n]->dst.off == off)
            both[n]->dst.off = slot;
        if (both[n]->src.kind == VAL_MEM && both[n]->src.off == off)
            both[n]->src.off = slot;
    }
}

void flags_set(Jit *j, unsigned flag_op, unsigned size, FlagValue dst, FlagValue src, unsigned src2)
{
    bool one_operand = flag_op == FLAGS_LOGIC || flag_op == FLAGS_NEG || flag_op == FLAGS_EXPLICIT;
    j->native = GROUP_ALL;
    j->reserved_slot = 0;
    if (dst.kind == VAL_NONE || (!one_operand && src.kind == VAL_NONE)) {
        j->c = j->r = j->o = plain_desc(FD_NATIVE);
        return;
    }
    j->c = j->r = j->o = make_desc(flag_op, size, dst, src, src2);
}

void flags_set_native(Jit *j, unsigned groups)
{
    j->native |= groups;
    if (groups & GROUP_C) {
        j->c = plain_desc(FD_NATIVE);
        j->native &= ~(unsigned)NATIVE_NOTC;
    }
    if (groups & GROUP_R)
        j->r = plain_desc(FD_NATIVE);
    if (groups & GROUP_O)
        j->o = plain_desc(FD_NATIVE);
}

void flags_set_nz(Jit *j, unsigned size, FlagValue v)
{
    j->native = GROUP_R;
    j->r = make_desc(FLAGS_LOGIC, size, v, no_value, 0);
    j->reserved_slot = 0;
}

void flags_invert_carry(Jit *j)
{
    if (is_desc(&j->c)) /* all three, so that they stay the same */
        j->c.op |= FLAGS_NOTC, j->r.op |= FLAGS_NOTC, j->o.op |= FLAGS_NOTC;
    if (j->native & GROUP_C)
        j->native ^= NATIVE_NOTC | GROUP_C;
}

void flags_unknown(Jit *j)
{
    j->c = j->r = j->o = plain_desc(FD_MEMORY);
    j->native = 0;
}

/* --- into v->fl --- */
static void store_value(Jit *j, int32_t to, const FlagValue *v)
{
    switch (v->kind) {
    case VAL_REG: store_r(&j->a, 8, vcpu_loc(to), v->reg); break;
    case VAL_IMM:
        if (fits32(v->imm)) {
            store_i(&j->a, 8, vcpu_loc(to), v->imm);
            break;
        }
        mov_ri(&j->a, REG_S0, v->imm);
        store_r(&j->a, 8, vcpu_loc(to), REG_S0);
        break;
    case VAL_MEM:
        load_zx(&j->a, 8, REG_S0, vcpu_loc(v->off));
        store_r(&j->a, 8, vcpu_loc(to), REG_S0);
        break;
    default: break;
    }
}

static bool wants_scratch(const FlagValue *v) { return v->kind == VAL_MEM || (v->kind == VAL_IMM && !fits32(v->imm)); }

static void store_eflags(Jit *j, int32_t to)
{
    pushfq_(&j->a);
    pop_m(&j->a, vcpu_loc(to));
}

/* All flags from this, or C with nothing said of the others yet. */
static void store_main(Jit *j, const FlagDesc *d)
{
    if (d->op == FD_NATIVE) {
        if (rest_is_native(j))
            store_eflags(j, VOFF(fl.dst));
        else
            setcc(&j->a, IRC_C, vcpu_loc(VOFF(fl.dst)));
        store_i(&j->a, 8, vcpu_loc(VOFF(fl.op)), LAZY_OP(FLAGS_EXPLICIT, 4));
        return;
    }
    store_value(j, VOFF(fl.dst), &d->dst);
    store_value(j, VOFF(fl.src), &d->src);
    if (d->src2)
        store_i(&j->a, 8, vcpu_loc(VOFF(fl.src2)), d->src2);
    store_i(&j->a, 8, vcpu_loc(VOFF(fl.op)), LAZY_OP(d->op, d->size)); /* rest_op, nz_op, carry_op = 0 */
}

/* All flags but C. */
static void store_rest(Jit *j, const FlagDesc *d)
{
    if (d->op == FD_NATIVE) {
        store_eflags(j, VOFF(fl.rest_dst));
        store_i(&j->a, 4, vcpu_loc(VOFF(fl.rest_op)), LAZY_OP(FLAGS_EXPLICIT, 4));
        return;
    }
    store_value(j, VOFF(fl.rest_dst), &d->dst);
    store_value(j, VOFF(fl.rest_src), &d->src);
    store_i(&j->a, 4, vcpu_loc(VOFF(fl.rest_op)), LAZY_OP(d->op, d->size)); /* nz_op = 0 */
}

/* Z and S. */
static void store_nz(Jit *j, const FlagDesc *d)
{
    bool native = d->op == FD_NATIVE;
    if (native)
        store_eflags(j, VOFF(fl.nz_dst));
    else
        store_value(j, VOFF(fl.nz_dst), &d->dst);
    store_i(&j->a, 2, vcpu_loc(VOFF(fl.nz_op)), native ? LAZY_OP(FLAGS_EXPLICIT, 4) : LAZY_OP(d->op, d->size));
}

/* C alone, which stands in EFLAGS or in a slot. */
static void store_carry(Jit *j)
{
    if (j->native & GROUP_C) {
        setcc(&j->a, IRC_C, vcpu_loc(VOFF(fl.carry)));
    } else {
        load_zx(&j->a, 8, REG_S0, vcpu_loc(j->c.dst.off));
        store_r(&j->a, 8, vcpu_loc(VOFF(fl.carry)), REG_S0);
    }
    store_i(&j->a, 2, vcpu_loc(VOFF(fl.carry_op)), 1);
}

/* A descriptor with three operands can't be the rest part. */
static bool can_be_rest(const FlagDesc *d) { return !is_desc(d) || !d->src2; }

static bool wants_scratch_desc(const FlagDesc *d)
{
    return is_desc(d) && (wants_scratch(&d->dst) || wants_scratch(&d->src));
}
static bool is_elsewhere(const FlagDesc *d) { return d->op != FD_MEMORY && d->op != FD_DEAD; }

bool flags_flush_is_simple(const Jit *j)
{
    bool memory_r = (j->r.op == FD_MEMORY && group_need(j, GROUP_R)) ||
                    (j->o.op == FD_MEMORY && group_need(j, GROUP_O));
    bool memory_c = j->c.op == FD_MEMORY || !group_need(j, GROUP_C);
    return (!memory_r || memory_c) && can_be_rest(&j->o) && can_be_rest(&j->r) &&
           !(j->native & NATIVE_NOTC && j->c.op == FD_NATIVE);
}

/* What nobody needs of O and the rest is stored like the other. */
static void rest_as_one(Jit *j)
{
    if (j->o.op == FD_DEAD)
        j->o = j->r;
    else if (j->r.op == FD_DEAD)
        j->r = j->o;
}

/* O and C; then what SETNZ has set since, and a C that can't be stored with O. */
void flags_flush(Jit *j)
{
    forget_dead(j);
    FlagDesc *c = &j->c, *r = &j->r, *o = &j->o;
    if (flags_in_memory(j)) {
        *c = *r = *o = plain_desc(FD_MEMORY);
        return;
    }
    if (c->op == FD_NATIVE)
        straighten(j);
    rest_as_one(j);
    bool over = !same_desc(r, o);
    bool carry_over = is_elsewhere(c) && !same_desc(c, o) && (o->op == FD_MEMORY || !can_be_rest(o));
    if (wants_scratch_desc(c) || wants_scratch_desc(r) || wants_scratch_desc(o) || carry_over) {
        flags_will_write(j, REG_S0);
        flags_will_write(j, REG_S1);
        coalesce_forget(j);
    }
    if (carry_over && !(j->native & GROUP_C))
        flags_carry_to_slot(j);
    rest_as_one(j);
    if (o->op == FD_DEAD || (is_elsewhere(c) && !carry_over))
        store_main(j, c);
    else if (is_elsewhere(o) && c->op != FD_MEMORY)
        store_main(j, o);
    if (is_elsewhere(o) && !carry_over && c->op != FD_DEAD && !same_desc(c, o))
        store_rest(j, o);
    if (over)
        store_nz(j, r);
    if (carry_over)
        store_carry(j);
    *c = *r = *o = plain_desc(FD_MEMORY);
}

/* --- back into EFLAGS --- */
static Loc value_loc(const FlagValue *v)
{
    return v->kind == VAL_REG ? loc_reg(v->reg) : v->kind == VAL_MEM ? vcpu_loc(v->off) : loc_imm(v->imm);
}
static void take_scratch(Jit *j)
{
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
}
static void load_value_to(Jit *j, unsigned reg, const FlagValue *v, unsigned size)
{
    Loc l = value_loc(v);
    if (l.kind == L_IMM)
        mov_ri(&j->a, reg, l.imm);
    else if (l.kind == L_REG)
        mov_rr(&j->a, 8, reg, l.reg);
    else
        load_zx(&j->a, 8, reg, l);
}
/* op a, b at the size, neither is written (CMP, TEST), or the first is REG_S0. */
static void two(Jit *j, unsigned alu, unsigned size, unsigned reg, const FlagValue *b)
{
    Loc l = value_loc(b);
    if (l.kind == L_IMM && (size < 8 || fits32(l.imm))) {
        alu_ri(&j->a, alu, size, loc_reg(reg), l.imm);
    } else if (l.kind == L_IMM) {
        mov_ri(&j->a, REG_S1, l.imm);
        alu_rm(&j->a, alu, size, reg, loc_reg(REG_S1));
    } else {
        alu_rm(&j->a, alu, size, reg, l);
    }
}
static unsigned in_register(Jit *j, const FlagValue *v, unsigned size)
{
    if (v->kind == VAL_REG)
        return v->reg;
    load_value_to(j, REG_S0, v, size);
    return REG_S0;
}
static void test_value(Jit *j, const FlagValue *v, unsigned size)
{
    unsigned r = in_register(j, v, size);
    test_rr(&j->a, size, loc_reg(r), r);
}

/* EFLAGS as the operation left them, but for INC and DEC's carry, and C before FLAGS_NOTC. */
static bool remake(Jit *j, const FlagDesc *d_, bool sign_zero_only)
{
    FlagDesc d = *d_;
    d.op &= (uint8_t)~FLAGS_NOTC;
    bool result_is_dst = d.op == FLAGS_ADD || d.op == FLAGS_SUB || d.op == FLAGS_LOGIC || d.op == FLAGS_INC ||
                         d.op == FLAGS_DEC || d.op == FLAGS_NEG || d.op == FLAGS_SHL || d.op == FLAGS_SHR ||
                         d.op == FLAGS_SAR;
    const FlagValue one = { .kind = VAL_IMM, .imm = 1 };
    if (result_is_dst && (sign_zero_only || d.op == FLAGS_LOGIC)) {
        test_value(j, &d.dst, d.size);
        return true;
    }
    switch (d.op) {
    case FLAGS_CMP: two(j, ALU_CMP, d.size, in_register(j, &d.dst, d.size), &d.src); return true;
    case FLAGS_TEST:
        if (d.src.kind == VAL_IMM) {
            load_value_to(j, REG_S0, &d.dst, d.size);
            two(j, ALU_AND, d.size, REG_S0, &d.src);
        } else {
            load_value_to(j, REG_S0, &d.src, d.size);
            two(j, ALU_AND, d.size, REG_S0, &d.dst);
        }
        return true;
    case FLAGS_ADD:
        load_value_to(j, REG_S0, &d.dst, d.size);
        two(j, ALU_SUB, d.size, REG_S0, &d.src);
        two(j, ALU_ADD, d.size, REG_S0, &d.src);
        return true;
    case FLAGS_SUB:
        load_value_to(j, REG_S0, &d.dst, d.size);
        two(j, ALU_ADD, d.size, REG_S0, &d.src);
        two(j, ALU_CMP, d.size, REG_S0, &d.src);
        return true;
    case FLAGS_NEG:
        load_value_to(j, REG_S0, &d.dst, d.size);
        op_rm(&j->a, d.size == 1 ? 0xf6 | OP_RM8 : 0xf7, d.size, 3, loc_reg(REG_S0));
        op_rm(&j->a, d.size == 1 ? 0xf6 | OP_RM8 : 0xf7, d.size, 3, loc_reg(REG_S0));
        return true;
    case FLAGS_INC:
    case FLAGS_DEC:
        load_value_to(j, REG_S0, &d.dst, d.size);
        two(j, d.op == FLAGS_INC ? ALU_SUB : ALU_ADD, d.size, REG_S0, &one);
        two(j, d.op == FLAGS_INC ? ALU_ADD : ALU_SUB, d.size, REG_S0, &one);
        return true;
    default: return false;
    }
}

/* The condition over explicit bits in memory. */
static unsigned explicit_condition(Jit *j, int32_t off, IrCond cond)
{
    static const uint16_t mask[8] = { FLAG_O, FLAG_C, FLAG_Z, FLAG_C | FLAG_Z, FLAG_S, FLAG_P, 0, 0 };
    unsigned inverted = cond & 1, kind = cond >> 1;
    if (mask[kind]) {
        test_ri(&j->a, 4, vcpu_loc(off), mask[kind]);
        return IRC_NZ ^ inverted;
    }
    load_zx(&j->a, 4, REG_S0, vcpu_loc(off));
    mov_rr(&j->a, 8, REG_S1, REG_S0);
    shift_i(&j->a, 5, 4, loc_reg(REG_S1), 4); /* O to the place of S */
    alu_rm(&j->a, ALU_XOR, 4, REG_S1, loc_reg(REG_S0));
    alu_ri(&j->a, ALU_AND, 4, loc_reg(REG_S1), FLAG_S);
    if (kind == 7) {
        alu_ri(&j->a, ALU_AND, 4, loc_reg(REG_S0), FLAG_Z);
        alu_rm(&j->a, ALU_OR, 4, REG_S1, loc_reg(REG_S0));
    }
    return IRC_NZ ^ inverted;
}

/* All flags explicit in v->fl.dst, by C code. */
static void eval_in_memory(Jit *j)
{
    flags_flush(j);
    take_scratch(j);
    mov_ri(&j->a, REG_S0, (uintptr_t)jit_eval_flags);
    call_stub(&j->a, jit_stubs.call_gpr);
    j->native = 0;
}

static bool sign_zero_cond(IrCond c) { return c >> 1 == IRC_Z >> 1 || c >> 1 == IRC_S >> 1 || c >> 1 == IRC_P >> 1; }

/* For a condition over groups that EFLAGS hold, but for an inverted C. */
static unsigned native_condition(Jit *j, IrCond cond)
{
    if (!(flags_read_by(cond) & GROUP_C) || !(j->native & NATIVE_NOTC))
        return cond;
    if (cond >> 1 == IRC_C >> 1)
        return cond ^ 1u;
    straighten(j);
    return cond;
}

unsigned flags_condition(Jit *j, IrCond cond)
{
    unsigned groups = flags_read_by(cond), have = j->native | (j->native & NATIVE_NOTC ? GROUP_C : 0);
    if ((have & groups) == groups)
        return native_condition(j, cond);
    j->need |= groups;
    flags_clobber(j);
    take_scratch(j);
    const FlagDesc *d = groups & GROUP_O ? &j->o : groups & GROUP_R ? &j->r : &j->c;
    bool one_desc = (!(groups & GROUP_C) || same_desc(&j->c, d)) && (!(groups & GROUP_R) || same_desc(&j->r, d));
    if (one_desc && is_desc(d)) {
        unsigned op = d->op & (unsigned)~FLAGS_NOTC;
        bool notc = d->op & FLAGS_NOTC;
        if (op == FLAGS_EXPLICIT && d->dst.kind == VAL_MEM)
            return explicit_condition(j, d->dst.off, cond);
        if (cond >> 1 == IRC_C >> 1 && op == FLAGS_ADD) { /* a + b carries when the sum is below b */
            two(j, ALU_CMP, d->size, in_register(j, &d->dst, d->size), &d->src);
            return cond ^ notc;
        }
        if (remake(j, d, sign_zero_cond(cond))) {
            if (sign_zero_cond(cond))
                return cond;
            j->native = (same_desc(&j->c, d) && op != FLAGS_INC && op != FLAGS_DEC ? GROUP_C : 0) |
                        (same_desc(&j->r, d) ? GROUP_R : 0) | (same_desc(&j->o, d) ? GROUP_O : 0);
            if (j->native & GROUP_C && notc)
                j->native ^= GROUP_C | NATIVE_NOTC;
            return native_condition(j, cond);
        }
    }
    eval_in_memory(j);
    return explicit_condition(j, VOFF(fl.dst), cond);
}

/* EFLAGS.C = bit 0 of a field. */
static void carry_from(Jit *j, int32_t off)
{
    op_rm(&j->a, 0xba | OP_0F, 4, 4, vcpu_loc(off)); /* bt */
    e8(&j->a, 0);
    j->native = GROUP_C;
}

void flags_carry(Jit *j)
{
    straighten(j);
    if (j->native & GROUP_C)
        return;
    j->need |= NEED_READ_C;
    forget_dead(j);
    bool fixed = j->c.op == FLAGS_EXPLICIT && j->c.dst.kind == VAL_MEM;
    flags_clobber(j);
    if (fixed) {
        carry_from(j, j->c.dst.off);
        return;
    }
    unsigned cond = flags_condition(j, IRC_C);
    if (cond == IRC_NZ) /* test [slot], C: make C of it */
        carry_from(j, is_desc(&j->c) ? j->c.dst.off : VOFF(fl.dst));
    else if (cond == IRC_NC)
        e8(&j->a, 0xf5); /* cmc */
    j->native = GROUP_C;
}

void flags_carry_to_slot(Jit *j)
{
    j->need |= NEED_READ_C;
    if (j->c.op == FLAGS_EXPLICIT && j->c.dst.kind == VAL_MEM)
        return;
    flags_carry(j);
    int32_t slot = free_slot(j);
    setcc(&j->a, IRC_C, vcpu_loc(slot));
    j->c = make_desc(FLAGS_EXPLICIT, 4, (FlagValue){ .kind = VAL_MEM, .off = slot }, no_value, 0);
}

/* --- call sites --- */
static void site_value(const FlagValue *v, uint8_t *kind, uint16_t *off, int32_t *imm)
{
    *kind = v->kind;
    int32_t at = 0;
    switch (v->kind) {
    case VAL_REG:
        *kind = VAL_MEM;
        at = (int32_t)offsetof(Vcpu, tmp[0]);
        g_assert(v->reg != REG_S0 && v->reg != REG_S1);
        for (unsigned g = 0; v->reg != REG_T0 && g < VCPU_GREGS; g++)
            if (jit_home[g] == v->reg)
                at = (int32_t)(offsetof(Vcpu, g) + 8 * g);
        break;
    case VAL_MEM: at = v->off + VCPU_BIAS; break;
    case VAL_IMM: *imm = (int32_t)v->imm; break;
    default: break;
    }
    *off = (uint16_t)at;
}

void site_flags(const FlagDesc *d, SiteFlags *out)
{
    *out = (SiteFlags){ .op = d->op, .src2 = d->src2 };
    if (!is_desc(d))
        return;
    out->op = (uint8_t)LAZY_OP(d->op, d->size);
    site_value(&d->dst, &out->dst_kind, &out->dst_off, &out->imm);
    site_value(&d->src, &out->src_kind, &out->src_off, &out->imm);
}
