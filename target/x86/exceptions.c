/* SPDX-License-Identifier: MIT */
/* Delivery of exceptions and interrupts in every mode; double and triple faults (SDM vol. 3, chapter 6). */
#include "base/log.h"
#include "target/x86/helpers.h"
#include "target/x86/segments.h"

/* --- software interrupts --- */

static _Noreturn void raise_soft(X86Cpu *c, X86EventKind kind, unsigned vector)
{
    c->event = (X86Event){ .kind = kind, .vector = (uint8_t)vector, .next_pc = c->next_pc };
    vcpu_unwind(&c->v);
}

/* VME: does the TSS's map send INT n to the VM86 program's own handler? */
static bool vme_redirects(X86Cpu *c, unsigned vector)
{
    const X86Seg *tr = &c->seg[SEG_TR];
    if (!(c->cr4 & CR4_VME) || !(seg_type(tr->attr) & 8) || tr->limit < 0x67)
        return false;
    unsigned map = (unsigned)guest_load(&c->v, tr->base + 0x66, 2, X86_BANK_KERNEL);
    if (map < 32 || map - 32 + vector / 8 > tr->limit)
        return false;
    return !(guest_load(&c->v, tr->base + map - 32 + vector / 8, 1, X86_BANK_KERNEL) >> (vector & 7) & 1);
}

/* INT n through the VM86 program's IVT at linear 0 (SDM vol. 3, 21.3.3). */
static void vme_int(X86Cpu *c, unsigned vector)
{
    x86_take_state(c);
    uint32_t ivt = (uint32_t)guest_load(&c->v, vector * 4, 4, X86_BANK_USER);
    uint32_t flags = x86_get_eflags(c), image = flags;
    bool iopl3 = (flags & EFL_IOPL) == EFL_IOPL;
    if (!iopl3)
        image = (image & ~EFL_IF) | EFL_IOPL | (flags & EFL_VIF ? EFL_IF : 0);
    X86Stack s;
    x86_stack_current(&s, c);
    x86_stack_push(&s, 2, image);
    x86_stack_push(&s, 2, c->seg[SEG_CS].sel);
    x86_stack_push(&s, 2, c->next_pc);
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
    c->seg[SEG_CS] = x86_vm86_seg((uint16_t)(ivt >> 16));
    c->v.pc = ivt & 0xffff;
    flags &= ~(EFL_TF | EFL_NT | (iopl3 ? EFL_IF : EFL_VIF));
    x86_set_eflags(c, flags);
    vcpu_unwind(&c->v);
}

X86_HELPER_VOID(int)
{
    X86Cpu *c = x86_cpu(v);
    if (x86_vm86(c) && !b) {
        if (vme_redirects(c, (unsigned)a))
            vme_int(c, (unsigned)a);
        if ((c->eflags & EFL_IOPL) != EFL_IOPL)
            x86_raise_gp(c);
    }
    raise_soft(c, X86_EVENT_SOFT_INT, (unsigned)a);
}

X86_HELPER_VOID(icebp) { raise_soft(x86_cpu(v), X86_EVENT_ICEBP, X86_DB); }

/* --- what is pushed --- */

static uint64_t return_pc(const X86Cpu *c, const X86Event *e)
{
    return e->kind == X86_EVENT_SOFT_INT || e->kind == X86_EVENT_ICEBP ? e->next_pc : c->v.pc;
}

static uint32_t flags_image(const X86Cpu *c, const X86Event *e)
{
    uint32_t f = x86_get_eflags(c);
    if (e->kind == X86_EVENT_FAULT && !(e->vector == X86_DB))
        f |= EFL_RF;
    return f;
}

/* --- real mode --- */

static void deliver_real(X86Cpu *c, const X86Event *e)
{
    if (e->vector * 4u + 3 > c->idt.limit)
        x86_raise_err(c, X86_GP, e->vector * 8u + 2);
    uint32_t entry = (uint32_t)guest_load(&c->v, c->idt.base + e->vector * 4u, 4, X86_BANK_KERNEL);
    X86Stack s;
    x86_stack_current(&s, c);
    x86_stack_push(&s, 2, x86_get_eflags(c));
    x86_stack_push(&s, 2, c->seg[SEG_CS].sel);
    x86_stack_push(&s, 2, return_pc(c, e));
    c->v.g[RSP] = x86_stack_rsp(&s, c->v.g[RSP]);
    x86_set_real_seg(c, SEG_CS, (uint16_t)(entry >> 16));
    c->v.pc = entry & 0xffff;
    x86_set_eflags(c, x86_get_eflags(c) & ~(EFL_IF | EFL_TF | EFL_AC | EFL_RF));
}

/* --- protected mode, 16- and 32-bit gates --- */

static uint32_t idt_error(const X86Cpu *c, const X86Event *e) { return e->vector * 8u + 2 + c->event_external; }

/* Target code segment of a gate; *cpl: the level it runs at. */
static void gate_target(X86Cpu *c, uint16_t sel, X86Desc *d, unsigned *cpl)
{
    uint32_t ext = c->event_external;
    if (sel_null(sel))
        x86_raise_err(c, X86_GP, ext);
    x86_desc_need(c, sel, X86_GP, d);
    bool ok = desc_is_code(d) && desc_dpl(d) <= c->cpl;
    if (x86_lma(c) && (d->hi & (SEG_L | SEG_D)) != SEG_L)
        ok = false;
    *cpl = desc_conforming(d) ? c->cpl : desc_dpl(d);
    if (x86_vm86(c) && *cpl != 0)
        ok = false;
    if (!ok)
        x86_raise_err(c, X86_GP, sel_error(sel) | ext);
    if (!(d->hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel) | ext);
}

static void read_gate(X86Cpu *c, const X86Event *e, unsigned entry_size, X86Desc *gate, uint64_t *high)
{
    uint64_t at = c->idt.base + e->vector * entry_size;
    if (e->vector * entry_size + entry_size - 1 > c->idt.limit)
        x86_raise_err(c, X86_GP, idt_error(c, e));
    uint64_t raw = guest_load(&c->v, at, 8, X86_BANK_KERNEL);
    *gate = (X86Desc){ .lo = (uint32_t)raw, .hi = (uint32_t)(raw >> 32), .va = at };
    *high = entry_size == 16 ? guest_load(&c->v, at + 8, 8, X86_BANK_KERNEL) : 0;
}

static void check_gate(X86Cpu *c, const X86Event *e, const X86Desc *gate, bool type_ok)
{
    if (!type_ok || gate->hi & SEG_S || (e->kind == X86_EVENT_SOFT_INT && desc_dpl(gate) < c->cpl))
        x86_raise_err(c, X86_GP, idt_error(c, e));
    if (!(gate->hi & SEG_P))
        x86_raise_err(c, X86_NP, idt_error(c, e));
}

static void enter_handler(X86Cpu *c, const X86Seg *cs, uint64_t pc, unsigned cpl, bool trap_gate)
{
    uint32_t flags = x86_get_eflags(c) & ~(EFL_TF | EFL_NT | EFL_RF | EFL_VM);
    if (!trap_gate)
        flags &= ~EFL_IF;
    c->cpl = (uint8_t)cpl;
    x86_commit_cs(c, cs, pc);
    x86_set_eflags(c, flags);
}

static void deliver_protected(X86Cpu *c, const X86Event *e)
{
    X86Desc gate, d;
    uint64_t high;
    read_gate(c, e, 8, &gate, &high);
    unsigned type = seg_type(gate.hi), cpl;
    bool code_gate = (type & ~9u) == DESC_INT16;
    check_gate(c, e, &gate, code_gate || type == DESC_TASK_GATE);
    if (type == DESC_TASK_GATE) {
        x86_task_enter(c, (uint16_t)(gate.lo >> 16), TASK_INT, return_pc(c, e), e->has_error, e->error);
        return;
    }
    uint16_t sel = (uint16_t)(gate.lo >> 16);
    gate_target(c, sel, &d, &cpl);
    unsigned size = type & 8 ? 4 : 2;
    uint64_t pc = x86_gate_offset(&gate), old_rsp = c->v.g[RSP];
    X86Stack s;
    X86Seg ss = c->seg[SEG_SS];
    bool inner = cpl < c->cpl, vm = x86_vm86(c);
    uint32_t flags = flags_image(c, e);
    if (inner) {
        uint16_t ss_sel;
        uint64_t sp;
        x86_tss_stack(c, cpl, 0, &ss_sel, &sp);
        ss = x86_load_inner_ss(c, ss_sel, cpl, X86_TS);
        x86_stack_open(&s, c, &ss, sp, cpl, false, sel_error(ss_sel) | c->event_external);
        old_rsp = sp;
        static const uint8_t order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
        for (unsigned i = 0; vm && i < 4; i++)
            x86_stack_push(&s, size, c->seg[order[i]].sel);
        x86_stack_push(&s, size, c->seg[SEG_SS].sel);
        x86_stack_push(&s, size, c->v.g[RSP]);
    } else {
        x86_stack_open(&s, c, &ss, c->v.g[RSP], cpl, false, c->event_external);
    }
    x86_stack_push(&s, size, flags);
    x86_stack_push(&s, size, c->seg[SEG_CS].sel);
    x86_stack_push(&s, size, return_pc(c, e));
    if (e->has_error)
        x86_stack_push(&s, size, e->error);
    x86_desc_set_accessed(c, &d);
    X86Seg cs = x86_desc_seg((uint16_t)((sel & ~3) | cpl), &d);
    x86_need_target(c, &cs, pc);
    for (unsigned i = SEG_ES; vm && i < SEG_COUNT; i++) {
        if (i != SEG_CS && i != SEG_SS)
            c->seg[i] = (X86Seg){ 0 };
    }
    c->seg[SEG_SS] = ss;
    c->v.g[RSP] = x86_stack_rsp(&s, old_rsp);
    enter_handler(c, &cs, pc, cpl, type & 1);
}

/* --- long mode --- */

static void deliver_long(X86Cpu *c, const X86Event *e)
{
    X86Desc gate, d;
    uint64_t high;
    read_gate(c, e, 16, &gate, &high);
    unsigned type = seg_type(gate.hi), cpl, ist = gate.hi & 7;
    check_gate(c, e, &gate, (type & ~1u) == DESC_INT32);
    uint16_t sel = (uint16_t)(gate.lo >> 16), ss_sel = 0;
    gate_target(c, sel, &d, &cpl);
    uint64_t pc = x86_gate_offset(&gate) | high << 32, sp = c->v.g[RSP];
    bool inner = cpl < c->cpl;
    if (inner || ist)
        x86_tss_stack(c, cpl, ist, &ss_sel, &sp);
    X86Stack s;
    X86Seg null_ss = { .sel = (uint16_t)cpl, .attr = cpl << SEG_DPL_SHIFT };
    x86_stack_open(&s, c, &null_ss, sp & ~UINT64_C(15), cpl, true, c->event_external);
    x86_stack_push(&s, 8, c->seg[SEG_SS].sel);
    x86_stack_push(&s, 8, c->v.g[RSP]);
    x86_stack_push(&s, 8, flags_image(c, e));
    x86_stack_push(&s, 8, c->seg[SEG_CS].sel);
    x86_stack_push(&s, 8, return_pc(c, e));
    if (e->has_error)
        x86_stack_push(&s, 8, e->error);
    x86_desc_set_accessed(c, &d);
    X86Seg cs = x86_desc_seg((uint16_t)((sel & ~3) | cpl), &d);
    x86_need_target(c, &cs, pc);
    if (inner)
        c->seg[SEG_SS] = null_ss;
    c->v.g[RSP] = s.sp;
    enter_handler(c, &cs, pc, cpl, type & 1);
}

/* --- combination of events (SDM vol. 3, table 6-5) --- */

static unsigned fault_class(unsigned vector)
{
    if (vector == X86_PF)
        return 2;
    return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP);
}

/* A fault came up while delivering: false when the CPU shuts down. */
static bool combine(X86Cpu *c, X86Event *e)
{
    unsigned first = fault_class(c->delivering_vector), second = fault_class(e->vector);
    if (c->delivering_vector == X86_DF && !c->delivering_benign && second)
        return false;
    if (!c->delivering_benign && ((first == 1 && second == 1) || (first == 2 && second)))
        *e = (X86Event){ .kind = X86_EVENT_FAULT, .vector = X86_DF, .has_error = true };
    return true;
}

static void note_side_registers(X86Cpu *c, const X86Event *e)
{
    if (e->kind == X86_EVENT_FAULT && e->vector == X86_PF)
        c->cr2 = e->cr2;
    if (e->dr6) {
        c->dr[6] = (c->dr[6] & ~UINT64_C(15)) | e->dr6;
        c->dr[7] &= ~BIT(13);
    }
}

static const char *const event_names[] = { "none", "fault", "trap", "int", "icebp", "interrupt", "nmi" };

static void log_event(const X86Cpu *c, const X86Event *e)
{
    log_printf(LOG_INT,
               "%u: %s %02x e=%04x cpl=%u pc=%04x:%016" PRIx64 " sp=%04x:%016" PRIx64 " cr2=%016" PRIx64
               " rax=%016" PRIx64 "\n",
               c->v.index, event_names[e->kind], e->vector, e->error, c->cpl, c->seg[SEG_CS].sel, c->v.pc,
               c->seg[SEG_SS].sel, c->v.g[RSP], e->vector == X86_PF ? e->cr2 : 0, c->v.g[RAX]);
}

void x86_shutdown(X86Cpu *c)
{
    log_printf(LOG_INT | LOG_RESET, "%u: shutdown (triple fault)\n", c->v.index);
    c->delivering = false;
    c->v.halted = true;
    atomic_store(&c->v.exit_request, 1); /* nothing more runs here: poll() says so */
    c->triple_faulted = true;
    machine_request_reset(CAUSE_GUEST_RESET);
}

void x86_deliver(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    if (c->event.kind == X86_EVENT_NONE)
        return;
    X86Event e = c->event;
    c->event.kind = X86_EVENT_NONE;
    note_side_registers(c, &e);
    if (c->delivering && !combine(c, &e)) {
        x86_shutdown(c);
        return;
    }
    log_event(c, &e);
    c->delivering = true;
    c->delivering_vector = e.vector;
    c->delivering_benign = e.kind != X86_EVENT_FAULT;
    c->event_external = e.kind != X86_EVENT_SOFT_INT;
    c->v.halted = false;
    c->monitor_armed = 0;
    c->data_bp_hits = 0;
    if (e.kind == X86_EVENT_FAULT && c->shadow) {
        c->shadow = 0;
        x86_update_mode(c);
    }
    if (x86_real_mode(c))
        deliver_real(c, &e);
    else if (x86_lma(c))
        deliver_long(c, &e);
    else
        deliver_protected(c, &e);
    if (c->shadow) {
        c->shadow = 0;
        x86_update_mode(c);
    }
    c->delivering = false;
}
