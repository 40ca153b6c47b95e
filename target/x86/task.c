/* SPDX-License-Identifier: MIT */
/* Hardware task switches through 16- and 32-bit TSSs (SDM vol. 3, chapter 8). */
#include "target/x86/segments.h"

/* Layout of the part that a switch saves and loads. */
typedef struct TssLayout {
    unsigned size, min_limit, cr3, eip, eflags, gpr, seg, ldt, step;
} TssLayout;
static const TssLayout tss32 = { 4, 0x67, 0x1c, 0x20, 0x24, 0x28, 0x48, 0x60, 4 };
static const TssLayout tss16 = { 2, 0x2b, 0, 0x0e, 0x10, 0x12, 0x22, 0x2a, 2 };

typedef struct TaskImage {
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t seg[6], ldt;
    bool trap;
} TaskImage;

static const TssLayout *layout_of(uint32_t attr) { return seg_type(attr) & 8 ? &tss32 : &tss16; }

static void save_task(X86Cpu *c, const TssLayout *l, uint64_t base, uint64_t pc, uint32_t eflags)
{
    guest_store(&c->v, base + l->eip, l->size, pc, X86_BANK_KERNEL);
    guest_store(&c->v, base + l->eflags, l->size, eflags, X86_BANK_KERNEL);
    for (unsigned i = 0; i < 8; i++)
        guest_store(&c->v, base + l->gpr + i * l->step, l->size, c->v.g[i], X86_BANK_KERNEL);
    unsigned segs = l == &tss32 ? 6 : 4;
    for (unsigned i = 0; i < segs; i++)
        guest_store(&c->v, base + l->seg + i * l->step, 2, c->seg[i].sel, X86_BANK_KERNEL);
}

static TaskImage read_task(X86Cpu *c, const TssLayout *l, uint64_t base)
{
    TaskImage t = { 0 };
    t.eip = (uint32_t)guest_load(&c->v, base + l->eip, l->size, X86_BANK_KERNEL);
    t.eflags = (uint32_t)guest_load(&c->v, base + l->eflags, l->size, X86_BANK_KERNEL);
    for (unsigned i = 0; i < 8; i++)
        t.gpr[i] = (uint32_t)guest_load(&c->v, base + l->gpr + i * l->step, l->size, X86_BANK_KERNEL);
    unsigned segs = l == &tss32 ? 6 : 4;
    for (unsigned i = 0; i < segs; i++)
        t.seg[i] = (uint16_t)guest_load(&c->v, base + l->seg + i * l->step, 2, X86_BANK_KERNEL);
    t.ldt = (uint16_t)guest_load(&c->v, base + l->ldt, 2, X86_BANK_KERNEL);
    if (l == &tss32) {
        t.cr3 = (uint32_t)guest_load(&c->v, base + l->cr3, 4, X86_BANK_KERNEL);
        t.trap = guest_load(&c->v, base + 0x64, 2, X86_BANK_KERNEL) & 1;
    }
    return t;
}

static void load_task_ldt(X86Cpu *c, uint16_t sel)
{
    X86Desc d;
    c->seg[SEG_LDTR] = (X86Seg){ .sel = sel };
    if (sel_null(sel))
        return;
    if (sel & 4 || !x86_desc_read(c, sel, &d) || d.hi & SEG_S || seg_type(d.hi) != DESC_LDT || !(d.hi & SEG_P))
        x86_raise_err(c, X86_TS, sel_error(sel));
    c->seg[SEG_LDTR] = x86_desc_seg(sel, &d);
}

static void load_task_cs(X86Cpu *c, uint16_t sel)
{
    X86Desc d;
    x86_desc_need(c, sel, X86_TS, &d);
    unsigned rpl = sel_rpl(sel);
    if (!desc_is_code(&d) || (desc_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl))
        x86_raise_err(c, X86_TS, sel_error(sel));
    if (!(d.hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
    x86_desc_set_accessed(c, &d);
    c->seg[SEG_CS] = x86_desc_seg(sel, &d);
}

static void load_task_data(X86Cpu *c, unsigned seg, uint16_t sel)
{
    X86Desc d;
    if (sel_null(sel))
        return;
    x86_desc_need(c, sel, X86_TS, &d);
    bool code = d.hi & SEG_CODE;
    bool ok = d.hi & SEG_S && (!code || d.hi & SEG_W);
    if (!(code && d.hi & SEG_E))
        ok &= desc_dpl(&d) >= sel_rpl(sel) && desc_dpl(&d) >= c->cpl;
    if (!ok)
        x86_raise_err(c, X86_TS, sel_error(sel));
    if (!(d.hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
    x86_desc_set_accessed(c, &d);
    c->seg[seg] = x86_desc_seg(sel, &d);
}

/* The new task's segments: faults now happen in the new task. */
static void load_task_segs(X86Cpu *c, const TaskImage *t)
{
    if (t->eflags & EFL_VM) {
        for (unsigned i = 0; i < SEG_COUNT; i++)
            c->seg[i] = x86_vm86_seg(t->seg[i]);
        c->cpl = 3;
        x86_update_mode(c);
        load_task_ldt(c, t->ldt);
        return;
    }
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = (X86Seg){ .sel = t->seg[i] };
    c->cpl = (uint8_t)sel_rpl(t->seg[SEG_CS]);
    x86_update_mode(c);
    load_task_ldt(c, t->ldt);
    load_task_cs(c, t->seg[SEG_CS]);
    c->seg[SEG_SS] = x86_load_inner_ss(c, t->seg[SEG_SS], c->cpl, X86_TS);
    static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    for (unsigned i = 0; i < sizeof(data); i++)
        load_task_data(c, data[i], t->seg[data[i]]);
}

static void push_error(X86Cpu *c, const TssLayout *l, uint32_t error)
{
    X86Stack s;
    x86_stack_current(&s, c);
    x86_stack_push(&s, l->size, error);
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
}

void x86_task_switch(X86Cpu *c, uint16_t sel, const X86Desc *d, X86TaskSwitch kind, uint64_t next_pc, bool has_error,
                     uint32_t error)
{
    X86Seg next = x86_desc_seg(sel, d);
    const TssLayout *from = layout_of(c->seg[SEG_TR].attr), *to = layout_of(next.attr);
    uint32_t ext = c->delivering && c->event_external;
    if (next.limit < to->min_limit)
        x86_raise_err(c, X86_TS, sel_error(sel) | ext);
    uint64_t old_base = c->seg[SEG_TR].base;
    uint16_t old_sel = c->seg[SEG_TR].sel;
    bool nested = kind == TASK_CALL || kind == TASK_INT;
    guest_probe(&c->v, old_base, from->min_limit + 1, ACCESS_WRITE, X86_BANK_KERNEL);
    guest_probe(&c->v, next.base, to->min_limit + 1, nested ? ACCESS_WRITE : ACCESS_READ, X86_BANK_KERNEL);
    TaskImage t = read_task(c, to, next.base);

    uint32_t eflags = x86_get_eflags(c);
    if (kind == TASK_IRET)
        eflags &= ~EFL_NT;
    if (!nested)
        x86_desc_set_busy(c, old_sel, false);
    save_task(c, from, old_base, next_pc, eflags);
    if (nested) {
        guest_store(&c->v, next.base, 2, old_sel, X86_BANK_KERNEL);
        t.eflags |= EFL_NT;
    }
    if (kind != TASK_IRET)
        x86_desc_set_busy(c, sel, true);
    next.attr |= 1 << 9;
    c->seg[SEG_TR] = next;

    /* From here on the new task runs. */
    c->cr0 |= CR0_TS;
    if (to == &tss32 && c->cr0 & CR0_PG)
        x86_write_cr3(c, t.cr3);
    for (unsigned i = 0; i < 8; i++)
        c->v.g[i] = to == &tss32 ? t.gpr[i] : (c->v.g[i] & 0xffff0000) | t.gpr[i];
    c->v.pc = t.eip;
    c->dr[7] &= ~UINT64_C(0x155);
    c->cpl = t.eflags & EFL_VM ? 3 : (uint8_t)sel_rpl(t.seg[SEG_CS]);
    x86_set_eflags(c, to == &tss32 ? t.eflags : (t.eflags & 0xffff));
    load_task_segs(c, &t);
    if (has_error)
        push_error(c, to, error);
    x86_update_mode(c);
    if (c->v.pc > c->seg[SEG_CS].limit)
        x86_raise_err(c, X86_GP, ext);
    if (t.trap)
        x86_raise_db(c, BIT(15), true);
}

void x86_task_enter(X86Cpu *c, uint16_t sel, X86TaskSwitch kind, uint64_t next_pc, bool has_error, uint32_t error)
{
    uint32_t ext = c->delivering && c->event_external;
    unsigned bad = kind == TASK_IRET ? X86_TS : X86_GP;
    X86Desc d;
    x86_desc_need(c, sel, bad, &d);
    if (kind != TASK_IRET && !(d.hi & SEG_S) && seg_type(d.hi) == DESC_TASK_GATE) {
        if (!(d.hi & SEG_P))
            x86_raise_err(c, X86_NP, sel_error(sel) | ext);
        sel = (uint16_t)(d.lo >> 16);
        if (sel & 4)
            x86_raise_err(c, X86_GP, sel_error(sel) | ext);
        x86_desc_need(c, sel, X86_GP, &d);
    }
    unsigned want = kind == TASK_IRET ? DESC_TSS16_BUSY : DESC_TSS16;
    if (sel & 4 || d.hi & SEG_S || (seg_type(d.hi) & ~8u) != want)
        x86_raise_err(c, bad, sel_error(sel) | ext);
    if (!(d.hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel) | ext);
    x86_task_switch(c, sel, &d, kind, next_pc, has_error, error);
}
