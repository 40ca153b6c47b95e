/* SPDX-License-Identifier: MIT */
/* Far JMP, CALL, RET and IRET in every mode (SDM vol. 2 and vol. 3, 5.8 and 6.12). */
#include "target/x86/segments.h"
#include "target/x86/helpers.h"

static uint64_t osize_mask(unsigned osize) { return osize == 8 ? UINT64_MAX : osize == 4 ? 0xffffffff : 0xffff; }

static X86Seg code_seg(uint16_t sel, unsigned cpl, X86Cpu *c, X86Desc *d)
{
    x86_desc_set_accessed(c, d);
    return x86_desc_seg((uint16_t)((sel & ~3) | cpl), d);
}

/* --- real mode and VM86 --- */

static void real_jump(X86Cpu *c, uint16_t sel, uint64_t pc)
{
    if (pc > c->seg[SEG_CS].limit)
        x86_raise_gp(c);
    if (x86_vm86(c))
        c->seg[SEG_CS] = x86_vm86_seg(sel);
    else
        x86_set_real_seg(c, SEG_CS, sel);
    c->v.pc = pc;
}

static void real_call(X86Cpu *c, uint16_t sel, uint64_t pc, unsigned osize)
{
    X86Stack s;
    x86_stack_current(&s, c);
    if (pc > c->seg[SEG_CS].limit)
        x86_raise_gp(c);
    x86_stack_push(&s, osize, c->seg[SEG_CS].sel);
    x86_stack_push(&s, osize, c->next_pc);
    real_jump(c, sel, pc);
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
}

static void real_ret(X86Cpu *c, unsigned osize, uint64_t add)
{
    X86Stack s;
    x86_stack_current(&s, c);
    uint64_t pc = x86_stack_pop(&s, osize) & osize_mask(osize);
    uint16_t sel = (uint16_t)x86_stack_pop(&s, osize);
    real_jump(c, sel, pc);
    s.sp += add;
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
}

/* --- gates --- */

typedef struct X86Gate { uint16_t sel; uint64_t offset; unsigned size, params; } X86Gate;

/* Check a call gate that `sel` names and take it apart. */
static X86Gate open_gate(X86Cpu *c, uint16_t sel, const X86Desc *d)
{
    if (desc_dpl(d) < c->cpl || desc_dpl(d) < sel_rpl(sel))
        x86_raise_err(c, X86_GP, sel_error(sel));
    if (!(d->hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
    X86Gate g = { .sel = (uint16_t)(d->lo >> 16), .offset = x86_gate_offset(d), .size = seg_type(d->hi) & 8 ? 4 : 2,
                  .params = d->hi & 31 };
    if (x86_lma(c)) {
        uint32_t high, high2;
        if (!x86_desc_read_high(c, sel, d, &high, &high2) || high2 & 0x1f00)
            x86_raise_err(c, X86_GP, sel_error(sel));
        g.offset |= (uint64_t)high << 32;
        g.size = 8;
        g.params = 0;
    }
    return g;
}

static void gate_code(X86Cpu *c, const X86Gate *g, X86Desc *d, bool jump)
{
    x86_desc_need(c, g->sel, X86_GP, d);
    bool ok = desc_is_code(d) && desc_dpl(d) <= c->cpl && (!jump || desc_conforming(d) || desc_dpl(d) == c->cpl);
    if (x86_lma(c) && (d->hi & (SEG_L | SEG_D)) != SEG_L)
        ok = false;
    if (!ok)
        x86_raise_err(c, X86_GP, sel_error(g->sel));
    if (!(d->hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(g->sel));
}

static bool task_type(const X86Desc *d)
{
    unsigned t = seg_type(d->hi);
    return t == DESC_TSS16 || t == DESC_TSS32 || t == DESC_TASK_GATE;
}

static bool call_gate_type(const X86Cpu *c, const X86Desc *d)
{
    return seg_type(d->hi) == DESC_CALL32 || (seg_type(d->hi) == DESC_CALL16 && !x86_lma(c));
}

/* A system descriptor as the target of a far JMP or CALL: task switch (done: true), or a call gate (false). */
static bool far_system(X86Cpu *c, uint16_t sel, const X86Desc *d, bool call)
{
    if (task_type(d) && !x86_lma(c)) {
        if (desc_dpl(d) < c->cpl || desc_dpl(d) < sel_rpl(sel))
            x86_raise_err(c, X86_GP, sel_error(sel));
        x86_task_enter(c, sel, call ? TASK_CALL : TASK_JMP, c->next_pc, false, 0);
        return true;
    }
    if (!call_gate_type(c, d))
        x86_raise_err(c, X86_GP, sel_error(sel));
    return false;
}

X86_HELPER_VOID(ljmp)
{
    X86Cpu *c = x86_cpu(v);
    uint16_t sel = (uint16_t)a;
    uint64_t pc = b & osize_mask((unsigned)a3);
    x86_take_state(c);
    if (!x86_protected(c)) {
        real_jump(c, sel, pc);
        x86_update_mode(c);
        return;
    }
    X86Desc d;
    x86_desc_need(c, sel, X86_GP, &d);
    if (d.hi & SEG_S) {
        x86_check_code(c, sel, &d, sel_rpl(sel), false);
    } else {
        if (far_system(c, sel, &d, false))
            return;
        X86Gate g = open_gate(c, sel, &d);
        gate_code(c, &g, &d, true);
        sel = g.sel;
        pc = g.size == 2 ? g.offset & 0xffff : g.offset;
    }
    X86Seg cs = code_seg(sel, c->cpl, c, &d);
    x86_need_target(c, &cs, pc);
    x86_commit_cs(c, &cs, pc);
    x86_update_mode(c);
}

/* CALL through a gate to a more privileged segment: new stack, parameters copied. */
static void gate_call_inner(X86Cpu *c, const X86Gate *g, X86Desc *d)
{
    unsigned cpl = desc_dpl(d);
    uint16_t ss_sel;
    uint64_t sp;
    bool is64 = x86_lma(c);
    x86_tss_stack(c, cpl, 0, &ss_sel, &sp);
    X86Seg ss = is64 ? (X86Seg){ .sel = (uint16_t)cpl, .attr = cpl << SEG_DPL_SHIFT }
                     : x86_load_inner_ss(c, ss_sel, cpl, X86_TS);
    X86Stack from, to;
    x86_stack_current(&from, c);
    x86_stack_open(&to, c, &ss, sp, cpl, is64, sel_error(ss_sel));
    X86Seg cs = code_seg(g->sel, cpl, c, d);
    x86_need_target(c, &cs, g->offset);
    x86_stack_push(&to, g->size, c->seg[SEG_SS].sel);
    x86_stack_push(&to, g->size, c->v.g[RSP]);
    for (unsigned i = g->params; i-- > 0;) {
        X86Stack one = from;
        one.sp += i * g->size;
        x86_stack_push(&to, g->size, x86_stack_pop(&one, g->size));
    }
    x86_stack_push(&to, g->size, c->seg[SEG_CS].sel);
    x86_stack_push(&to, g->size, c->next_pc);
    c->cpl = (uint8_t)cpl;
    c->seg[SEG_SS] = ss;
    c->v.g[RSP] = is64 ? to.sp : x86_stack_rsp(&to, sp);
    x86_commit_cs(c, &cs, g->offset);
    x86_update_mode(c);
}

static void call_same(X86Cpu *c, uint16_t sel, X86Desc *d, uint64_t pc, unsigned size)
{
    X86Stack s;
    x86_stack_current(&s, c);
    X86Seg cs = code_seg(sel, c->cpl, c, d);
    x86_need_target(c, &cs, pc);
    x86_stack_push(&s, size, c->seg[SEG_CS].sel);
    x86_stack_push(&s, size, c->next_pc);
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
    x86_commit_cs(c, &cs, pc);
    x86_update_mode(c);
}

X86_HELPER_VOID(lcall)
{
    X86Cpu *c = x86_cpu(v);
    uint16_t sel = (uint16_t)a;
    unsigned size = (unsigned)a3;
    uint64_t pc = b & osize_mask(size);
    x86_take_state(c);
    if (!x86_protected(c)) {
        real_call(c, sel, pc, size);
        x86_update_mode(c);
        return;
    }
    X86Desc d;
    x86_desc_need(c, sel, X86_GP, &d);
    if (d.hi & SEG_S) {
        x86_check_code(c, sel, &d, sel_rpl(sel), false);
        call_same(c, sel, &d, pc, size);
        return;
    }
    if (far_system(c, sel, &d, true))
        return;
    X86Gate g = open_gate(c, sel, &d);
    gate_code(c, &g, &d, false);
    if (!desc_conforming(&d) && desc_dpl(&d) < c->cpl)
        gate_call_inner(c, &g, &d);
    else
        call_same(c, g.sel, &d, g.offset, g.size);
}

/* --- returns --- */

/* Code segment that a far RET or IRET goes to; rpl of the selector is the new CPL. */
static X86Seg return_cs(X86Cpu *c, uint16_t sel)
{
    unsigned rpl = sel_rpl(sel);
    X86Desc d;
    x86_desc_need(c, sel, X86_GP, &d);
    bool ok = desc_is_code(&d) && rpl >= c->cpl && (desc_conforming(&d) ? desc_dpl(&d) <= rpl : desc_dpl(&d) == rpl);
    if (x86_lma(c) && d.hi & SEG_L && d.hi & SEG_D)
        ok = false;
    if (!ok)
        x86_raise_err(c, X86_GP, sel_error(sel));
    if (!(d.hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
    return code_seg(sel, rpl, c, &d);
}

/* SS of the outer level; in long mode it may be null for a 64-bit target below CPL 3. */
static X86Seg return_ss(X86Cpu *c, uint16_t sel, unsigned cpl, const X86Seg *cs)
{
    if (sel_null(sel) && x86_lma(c) && cs->attr & SEG_L && cpl < 3 && sel_rpl(sel) == cpl)
        return (X86Seg){ .sel = sel, .attr = cpl << SEG_DPL_SHIFT };
    return x86_load_inner_ss(c, sel, cpl, X86_GP);
}

static void outer_stack(X86Cpu *c, const X86Seg *ss, uint64_t sp, const X86Seg *cs)
{
    bool is64 = x86_lma(c) && cs->attr & SEG_L;
    c->seg[SEG_SS] = *ss;
    if (is64)
        c->v.g[RSP] = sp;
    else if (ss->attr & SEG_D)
        c->v.g[RSP] = (uint32_t)sp;
    else
        c->v.g[RSP] = (c->v.g[RSP] & ~UINT64_C(0xffff)) | (sp & 0xffff);
}

X86_HELPER_VOID(lret)
{
    X86Cpu *c = x86_cpu(v);
    unsigned size = (unsigned)a;
    x86_take_state(c);
    if (!x86_protected(c)) {
        real_ret(c, size, b);
        x86_update_mode(c);
        return;
    }
    X86Stack s;
    x86_stack_current(&s, c);
    uint64_t pc = x86_stack_pop(&s, size);
    uint16_t sel = (uint16_t)x86_stack_pop(&s, size);
    X86Seg cs = return_cs(c, sel);
    s.sp += b;
    if (sel_rpl(sel) == c->cpl) {
        x86_need_target(c, &cs, pc);
        c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
        x86_commit_cs(c, &cs, pc);
        x86_update_mode(c);
        return;
    }
    uint64_t sp = x86_stack_pop(&s, size);
    uint16_t ss_sel = (uint16_t)x86_stack_pop(&s, size);
    X86Seg ss = return_ss(c, ss_sel, sel_rpl(sel), &cs);
    x86_need_target(c, &cs, pc);
    c->cpl = (uint8_t)sel_rpl(sel);
    outer_stack(c, &ss, sp + b, &cs);
    x86_commit_cs(c, &cs, pc);
    x86_drop_inner_segs(c);
    x86_update_mode(c);
}

/* --- IRET --- */

/* EFLAGS after IRET at the given operand size: only what CPL and IOPL let through. */
static uint32_t iret_flags(const X86Cpu *c, uint32_t value, unsigned size, unsigned old_cpl)
{
    uint32_t may = FLAG_ALL | EFL_TF | EFL_DF | EFL_NT;
    if (size > 2)
        may |= EFL_RF | EFL_AC | EFL_ID;
    if (old_cpl <= (c->eflags & EFL_IOPL) >> EFL_IOPL_SHIFT)
        may |= EFL_IF;
    if (old_cpl == 0)
        may |= EFL_IOPL | (size > 2 ? EFL_VIF | EFL_VIP : 0);
    return (x86_get_eflags(c) & ~may) | (value & may);
}

static void iret_real(X86Cpu *c, unsigned size)
{
    X86Stack s;
    x86_stack_current(&s, c);
    uint64_t pc = x86_stack_pop(&s, size);
    uint16_t sel = (uint16_t)x86_stack_pop(&s, size);
    uint32_t value = (uint32_t)x86_stack_pop(&s, size);
    real_jump(c, sel, pc);
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
    uint32_t may = FLAG_ALL | EFL_TF | EFL_IF | EFL_DF | EFL_IOPL | EFL_NT | (size > 2 ? EFL_RF | EFL_AC | EFL_ID : 0);
    x86_set_eflags(c, (x86_get_eflags(c) & ~may) | (value & may));
}

/* VM86: IOPL 3 as in real mode but IOPL kept; with VME a 16-bit IRET works on VIF (SDM vol. 3, 21.3). */
static void iret_vm86(X86Cpu *c, unsigned size)
{
    bool iopl3 = (c->eflags & EFL_IOPL) == EFL_IOPL;
    if (!iopl3 && !(c->cr4 & CR4_VME && size == 2))
        x86_raise_gp(c);
    X86Stack s;
    x86_stack_current(&s, c);
    uint64_t pc = x86_stack_pop(&s, size);
    uint16_t sel = (uint16_t)x86_stack_pop(&s, size);
    uint32_t value = (uint32_t)x86_stack_pop(&s, size);
    uint32_t may = FLAG_ALL | EFL_TF | EFL_DF | EFL_NT | (size > 2 ? EFL_RF | EFL_AC | EFL_ID : 0);
    if (iopl3) {
        may |= EFL_IF;
    } else {
        if ((value & EFL_IF && c->eflags & EFL_VIP) || value & EFL_TF)
            x86_raise_gp(c);
        may |= EFL_VIF;
        value = (value & ~EFL_VIF) | (value & EFL_IF ? EFL_VIF : 0);
    }
    real_jump(c, sel, pc);
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
    x86_set_eflags(c, (x86_get_eflags(c) & ~may) | (value & may));
}

static void iret_to_vm86(X86Cpu *c, X86Stack *s, uint64_t pc, uint16_t cs, uint32_t flags)
{
    static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    uint64_t sp = x86_stack_pop(s, 4);
    uint16_t ss = (uint16_t)x86_stack_pop(s, 4), sel[4];
    for (unsigned i = 0; i < 4; i++)
        sel[i] = (uint16_t)x86_stack_pop(s, 4);
    if (pc > 0xffff)
        x86_raise_gp(c);
    for (unsigned i = 0; i < 4; i++)
        c->seg[order[i]] = x86_vm86_seg(sel[i]);
    c->seg[SEG_CS] = x86_vm86_seg(cs);
    c->seg[SEG_SS] = x86_vm86_seg(ss);
    c->v.g[RSP] = sp;
    c->v.pc = pc;
    c->cpl = 3;
    x86_set_eflags(c, flags);
}

static void iret_task(X86Cpu *c)
{
    if (x86_lma(c))
        x86_raise_gp(c);
    uint16_t link = (uint16_t)guest_load(&c->v, c->seg[SEG_TR].base, 2, X86_BANK_KERNEL);
    x86_task_enter(c, link, TASK_IRET, c->next_pc, false, 0);
}

static void iret_protected(X86Cpu *c, unsigned size)
{
    X86Stack s;
    x86_stack_current(&s, c);
    uint64_t pc = x86_stack_pop(&s, size);
    uint16_t sel = (uint16_t)x86_stack_pop(&s, size);
    uint32_t flags = (uint32_t)x86_stack_pop(&s, size);
    unsigned old_cpl = c->cpl;
    if (flags & EFL_VM && size == 4 && !old_cpl && !x86_lma(c)) {
        iret_to_vm86(c, &s, (uint32_t)pc, sel, flags);
        return;
    }
    X86Seg cs = return_cs(c, sel);
    bool outer = sel_rpl(sel) != old_cpl, stack = outer || x86_is_64(c);
    X86Seg ss = c->seg[SEG_SS];
    uint64_t sp = 0;
    if (stack) {
        sp = x86_stack_pop(&s, size);
        ss = return_ss(c, (uint16_t)x86_stack_pop(&s, size), sel_rpl(sel), &cs);
    }
    x86_need_target(c, &cs, pc);
    flags = iret_flags(c, flags, size, old_cpl);
    if (stack)
        outer_stack(c, &ss, sp, &cs);
    else
        c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
    c->cpl = (uint8_t)sel_rpl(sel);
    x86_commit_cs(c, &cs, pc);
    if (outer)
        x86_drop_inner_segs(c);
    x86_set_eflags(c, flags);
}

X86_HELPER_VOID(iret)
{
    X86Cpu *c = x86_cpu(v);
    unsigned size = (unsigned)a;
    x86_take_state(c);
    if (x86_real_mode(c))
        iret_real(c, size);
    else if (x86_vm86(c))
        iret_vm86(c, size);
    else if (c->eflags & EFL_NT)
        iret_task(c);
    else
        iret_protected(c, size);
    c->nmi_blocked = false;
    c->shadow = 0;
    x86_update_mode(c);
    x86_poll_soon(c); /* an NMI may have waited for this */
}
