/* SPDX-License-Identifier: MIT */
/* Branches within the block, ways out of it, and the cold part behind it. */
#include "accel/tcg/host-x86/jit.h"

void add_cold(Jit *j, Cold c)
{
    if (j->colds == MAX_COLD) {
        j->failed = true;
        return;
    }
    c.pc = c.pc ? c.pc : j->pc;
    c.c = j->c, c.r = j->r, c.o = j->o, c.native = j->native, c.need = j->need;
    j->cold[j->colds++] = c;
}

/* --- labels: flags are in memory there --- */
static void reference(Jit *j, uint8_t *field, uint64_t label)
{
    j->label_ref[j->label_refs].field = field;
    j->label_ref[j->label_refs++].label = (unsigned)label;
}

static void canonical(Jit *j)
{
    flags_flush(j); /* keeps EFLAGS */
    coalesce_drop(j);
}

static void emit_label(Jit *j)
{
    j->need = j->before[j->k];
    canonical(j);
    flags_unknown(j);
    j->label[j->i->imm] = j->a.p;
}

static void emit_branch(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->op == IR_BR) {
        canonical(j);
        reference(j, jmp32(&j->a), i->imm);
    } else if (i->op == IR_BRCC) {
        if (!flags_flush_is_simple(j))
            canonical(j);
        unsigned cc = flags_condition(j, i->cond);
        j->need = j->after[j->k];
        canonical(j);
        reference(j, jcc32(&j->a, cc), i->imm);
    } else {
        j->need = j->after[j->k];
        Loc a = loc_of(j, i->a);
        if (a.kind == L_HIGH || a.kind == L_IMM) {
            unsigned t = scratch(j);
            load_to(j, i->size, t, a);
            a = loc_reg(t);
        }
        flags_clobber(j);
        canonical(j);
        if (a.kind == L_REG)
            test_rr(&j->a, i->size, a, a.reg);
        else
            alu_ri(&j->a, ALU_CMP, i->size, a, 0);
        j->native = 0;
        reference(j, jcc32(&j->a, i->op == IR_BRZ ? IRC_Z : IRC_NZ), i->imm);
    }
}

/* --- direct jumps --- */
static BlockLink *new_link(Jit *j, uint64_t pc)
{
    if (j->link_count == ARRAY_LEN(j->links)) {
        j->failed = true;
        j->link_count--;
    }
    BlockLink *l = &j->links[j->link_count++];
    *l = (BlockLink){ .pc = pc };
    return l;
}
static uint32_t offset_of(const uint8_t *p) { return (uint32_t)(p - codebuf_rw); }

static bool same_page(const Jit *j, uint64_t pc)
{
    uint64_t linear = j->ir->linear + (pc - j->ir->pc);
    return !((linear ^ j->ir->linear) >> TCG_PAGE_BITS);
}

/* cmp [code_tlb slot], id: never equal while not linked. Changes EFLAGS. */
static void emit_guard(Jit *j, BlockLink *l)
{
    uint64_t linear = j->ir->linear + (l->pc - j->ir->pc);
    l->slot = (uint32_t)(linear >> TCG_PAGE_BITS & ((1 << CODE_TLB_BITS) - 1));
    align_field(&j->a, 6);
    Loc at = vcpu_loc(VOFF(code_tlb) + 4 * (int32_t)l->slot);
    op_rm(&j->a, 0x81, 4, ALU_CMP, at);
    e32(&j->a, UINT32_MAX);
    l->id = offset_of(j->a.p - 4);
}

/* The way out when not linked: to the run loop with the link's number. */
static void emit_unlinked(Jit *j, const BlockLink *l)
{
    mov_ri(&j->a, REG_S1, l->pc);
    store_r(&j->a, 8, vcpu_loc(VOFF(pc)), REG_S1);
    mov_ri(&j->a, REG_S0, (uintptr_t)(l - j->links));
    /* the link array's final place is known when the block is: see finish_links() */
    j->link_fix[l - j->links] = offset_of(j->a.p - 4);
    jump_stub(&j->a, jit_stubs.exit_link);
}

static void emit_goto(Jit *j)
{
    BlockLink *l = new_link(j, j->i->imm);
    bool near = same_page(j, l->pc);
    if (!near)
        flags_clobber(j); /* the guard changes EFLAGS */
    if (!near) {
        emit_guard(j, l);
        add_cold(j, (Cold){ .kind = COLD_MISS, .from = jcc32(&j->a, IRC_NZ), .link = l });
    }
    align_field(&j->a, 1);
    uint8_t *field = jmp32(&j->a);
    l->jmp = offset_of(field);
    add_cold(j, (Cold){ .kind = COLD_LINK, .from = field, .link = l });
}

static void emit_goto_cond(Jit *j)
{
    unsigned cc = flags_condition(j, j->i->cond);
    j->need = j->after[j->k] | NEED_SEEN;
    BlockLink *l = new_link(j, j->i->imm);
    bool near = same_page(j, l->pc);
    if (near)
        align_field(&j->a, 2);
    uint8_t *field = jcc32(&j->a, cc);
    if (near)
        l->jmp = offset_of(field);
    add_cold(j, (Cold){ .kind = COLD_LINK, .from = field, .link = l });
    j->need = j->after[j->k];
}

/* EFLAGS from the masked operand: the condition code for "all of it is 0". */
static unsigned test_masked(Jit *j)
{
    const IrInsn *i = j->i;
    uint64_t mask = i->imm2 & bits_mask(8 * i->size), all = bits_mask(8 * i->size);
    unsigned size = i->size;
    Loc a = loc_of(j, i->a);
    if (a.kind == L_HIGH || a.kind == L_IMM) {
        unsigned t = scratch(j);
        load_to(j, size, t, a);
        a = loc_reg(t);
    }
    flags_clobber(j);
    if (!mask || mask == all) {
        if (a.kind == L_REG)
            test_rr(&j->a, size, a, a.reg);
        else
            alu_ri(&j->a, ALU_CMP, size, a, 0);
        return IRC_Z;
    }
    if (mask <= 0x7fffffff && size >= 4) {
        bool byte = mask <= 0xff && (a.kind == L_MEM || a.reg < 4);
        test_ri(&j->a, byte ? 1 : 4, a, mask);
        return IRC_Z;
    }
    if (!(mask & (mask - 1))) {
        op_rm(&j->a, 0xba | OP_0F, size == 8 ? 8 : 4, 4, a); /* bt */
        e8(&j->a, (unsigned)__builtin_ctzll(mask));
        return IRC_NC;
    }
    unsigned t = scratch(j);
    mov_ri(&j->a, t, mask);
    test_rr(&j->a, size, a, t);
    return IRC_Z;
}

static void emit_goto_zero(Jit *j)
{
    const IrInsn *i = j->i;
    j->need = j->after[j->k] | NEED_SEEN;
    unsigned cc = test_masked(j) ^ (i->op == IR_GOTONZ);
    BlockLink *l = new_link(j, i->imm);
    bool near = same_page(j, l->pc);
    if (near)
        align_field(&j->a, 2);
    uint8_t *field = jcc32(&j->a, cc);
    if (near)
        l->jmp = offset_of(field);
    add_cold(j, (Cold){ .kind = COLD_LINK, .from = field, .link = l });
    j->need = j->after[j->k];
}

static void emit_trap(Jit *j)
{
    j->need = j->before[j->k];
    flags_will_write(j, REG_S0); /* the site names no scratch register */
    flags_will_write(j, REG_S1);
    unsigned cc = test_masked(j) ^ 1;
    add_cold(j, (Cold){ .kind = COLD_TRAP, .from = jcc32(&j->a, cc), .insn = j->i, .site = new_site(j) });
}

/*
 * Behind a direct jump: [guard, for a side exit across pages;] store the flags; go to the target (patched) or leave.
 * A target that kills the flags unseen is reached without storing them: then the first jump is patched to it.
 */
static void cold_link(Jit *j, Cold *c)
{
    BlockLink *l = c->link;
    bool near = same_page(j, l->pc), hot_jump = l->jmp != 0;
    patch_rel32(c->from, j->a.p);
    uint8_t *miss = NULL;
    if (hot_jump)
        l->cold = offset_of(j->a.p);
    if (!flags_in_memory(j) || !hot_jump) {
        flags_flush(j);
        if (!hot_jump && !near) {
            emit_guard(j, l);
            miss = jcc32(&j->a, IRC_NZ);
        }
        align_field(&j->a, 1);
        uint8_t *field = jmp32(&j->a);
        if (hot_jump) {
            l->jmp_flags = offset_of(field);
            l->cold_flags = offset_of(j->a.p);
        } else {
            l->jmp = offset_of(field);
            l->cold = offset_of(j->a.p);
        }
        patch_rel32(field, j->a.p);
        if (miss)
            patch_rel32(miss, j->a.p);
    }
    emit_unlinked(j, l);
}

static void cold_miss(Jit *j, Cold *c)
{
    patch_rel32(c->from, j->a.p);
    flags_flush(j);
    mov_ri(&j->a, REG_S1, c->link->pc);
    store_r(&j->a, 8, vcpu_loc(VOFF(pc)), REG_S1);
    mov_ri(&j->a, REG_S0, 0);
    j->miss_fix[c->link - j->links] = offset_of(j->a.p - 4);
    jump_stub(&j->a, jit_stubs.exit_link);
}

/* --- indirect jumps --- */
static void emit_jump(Jit *j)
{
    const IrInsn *i = j->i;
    Asm *a = &j->a;
    flags_flush(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    if (i->a == IR_MEM) {
        mem_access(j, 8, false);
        load_zx(a, 8, REG_S1, j->gm);
        mem_done(j);
    } else {
        load_to(j, 8, REG_S1, loc_of(j, i->a));
    }
    emit_dispatch(a);
    j->native = 0;
}

static void emit_exit(Jit *j, uint64_t pc, RunResult r)
{
    flags_flush(j);
    mov_ri(&j->a, REG_S1, pc);
    store_r(&j->a, 8, vcpu_loc(VOFF(pc)), REG_S1);
    mov_ri(&j->a, REG_S0, r);
    jump_stub(&j->a, jit_stubs.exit);
}

void emit_check(Jit *j, uint64_t pc)
{
    flags_clobber(j);
    alu_ri(&j->a, ALU_CMP, 1, vcpu_loc(VOFF(exit_request)), 0);
    add_cold(j, (Cold){ .kind = COLD_EXIT, .from = jcc32(&j->a, IRC_NZ), .pc = pc, .result = RUN_POLL });
}

/* CHECK and GOTO to the same place in this page, which ends a loop: one jump taken, none otherwise. */
static bool check_and_goto(Jit *j)
{
    const IrInsn *i = j->i, *next = i + 1;
    if (j->k + 1 == j->ir->count || next->op != IR_GOTO || next->imm != i->imm || !same_page(j, i->imm))
        return false;
    flags_clobber(j);
    alu_ri(&j->a, ALU_CMP, 1, vcpu_loc(VOFF(exit_request)), 0);
    BlockLink *l = new_link(j, i->imm);
    align_field(&j->a, 2);
    uint8_t *field = jcc32(&j->a, IRC_Z);
    l->jmp = offset_of(field);
    add_cold(j, (Cold){ .kind = COLD_LINK, .from = field, .link = l });
    add_cold(j, (Cold){ .kind = COLD_EXIT, .from = jmp32(&j->a), .pc = i->imm, .result = RUN_POLL });
    j->done = j->k + 1;
    return true;
}

static void emit_count(Jit *j, uint64_t pc)
{
    flags_clobber(j);
    alu_ri(&j->a, ALU_SUB, 8, vcpu_loc(VOFF(icount_left)), 1);
    add_cold(j, (Cold){ .kind = COLD_EXIT, .from = jcc32(&j->a, IRC_S), .pc = pc, .result = RUN_POLL });
}

void emit_control(Jit *j)
{
    const IrInsn *i = j->i;
    switch ((IrOp)i->op) {
    case IR_LABEL: emit_label(j); break;
    case IR_BR: case IR_BRCC: case IR_BRZ: case IR_BRNZ: emit_branch(j); break;
    case IR_GOTO:
        if (!j->done || j->done != j->k)
            emit_goto(j);
        break;
    case IR_GOTOCC: emit_goto_cond(j); break;
    case IR_GOTOZ: case IR_GOTONZ: emit_goto_zero(j); break;
    case IR_TRAPNZ: emit_trap(j); break;
    case IR_JMP: emit_jump(j); break;
    case IR_EXIT: emit_exit(j, i->imm, RUN_POLL); break;
    case IR_LOOKUP:
        flags_flush(j);
        jump_stub(&j->a, jit_stubs.lookup);
        break;
    case IR_COUNT: emit_count(j, i->imm); break;
    default:
        if (!check_and_goto(j))
            emit_check(j, i->imm);
        break;
    }
}

/* --- the cold part --- */
static void cold_access(Jit *j, Cold *c)
{
    Asm *a = &j->a;
    patch_rel32(c->from, a->p);
    if (c->from2)
        patch_rel32(c->from2, a->p);
    if (c->const_slot >= 0)
        mov_ri(a, REG_S0, (uint64_t)c->const_slot);
    store_i(a, 4, vcpu_loc(VOFF(call_site)), (uint32_t)((uint8_t *)c->site - codebuf_rw));
    call_stub(a, jit_stubs.slow);
    if (!c->site->write) {
        patch_rel32(jmp32(a), c->body);
        return;
    }
    patch_rel32(jcc32(a, IRC_NC), c->body); /* C: the access is to the bounce buffer and must be committed */
    memcpy(a->p, c->body, (size_t)(c->body_end - c->body));
    a->p += c->body_end - c->body;
    if (j->v->arch->bus_error) /* the store may unwind yet */
        store_i(a, 4, vcpu_loc(VOFF(call_site)), (uint32_t)((uint8_t *)c->site - codebuf_rw));
    call_stub(a, jit_stubs.commit);
    patch_rel32(jmp32(a), c->body_end);
}

static void cold_misaligned(Jit *j, Cold *c)
{
    patch_rel32(c->from, j->a.p);
    store_i(&j->a, 4, vcpu_loc(VOFF(call_site)), (uint32_t)((uint8_t *)c->site - codebuf_rw));
    store_r(&j->a, 8, vcpu_loc(VOFF(slow[0])), REG_S1);
    mov_ri(&j->a, REG_S0, (uintptr_t)jit_misaligned);
    call_stub(&j->a, jit_stubs.call_full);
}

static void cold_trap(Jit *j, Cold *c)
{
    patch_rel32(c->from, j->a.p);
    store_i(&j->a, 4, vcpu_loc(VOFF(call_site)), (uint32_t)((uint8_t *)c->site - codebuf_rw));
    mov_ri(&j->a, REG_S0, c->insn->imm);
    call_stub(&j->a, jit_stubs.call_full);
}

static void cold_step(Jit *j, Cold *c)
{
    patch_rel32(c->from, j->a.p);
    IrInsn insn = *c->insn;
    if (insn.b == IR_MEM) { /* the value that was read: no second access */
        insn.b = IR_T(VCPU_TEMPS - 1);
        store_r(&j->a, 8, vcpu_loc(VOFF(tmp) + 8 * (VCPU_TEMPS - 1)), REG_S0);
    }
    emit_step_call(j, &insn, c->site);
    patch_rel32(jmp32(&j->a), c->back);
}

void emit_cold(Jit *j)
{
    for (unsigned k = 0; k < j->colds && !j->failed; k++) {
        Cold *c = &j->cold[k];
        codebuf_space(&j->a.end);
        if (j->a.end - j->a.p < 1024 || (size_t)(j->a.end - j->a.p) < 1024 + (size_t)(c->body_end - c->body)) {
            j->failed = true;
            return;
        }
        j->c = c->c, j->r = c->r, j->o = c->o, j->native = c->native, j->need = c->need;
        switch (c->kind) {
        case COLD_ACCESS: cold_access(j, c); break;
        case COLD_MISALIGNED: cold_misaligned(j, c); break;
        case COLD_EXIT:
            patch_rel32(c->from, j->a.p);
            emit_exit(j, c->pc, c->result);
            break;
        case COLD_TRAP: cold_trap(j, c); break;
        case COLD_STEP: cold_step(j, c); break;
        case COLD_SIMD: cold_simd(j, c); break;
        case COLD_LINK: cold_link(j, c); break;
        case COLD_MISS: cold_miss(j, c); break;
        }
    }
}
