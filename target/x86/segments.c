/* SPDX-License-Identifier: MIT */
/* Descriptors, segment loads, and the stacks that far transfers push to (SDM vol. 3, chapters 3 and 5). */
#include "target/x86/segments.h"
#include "target/x86/helpers.h"

bool x86_desc_read(X86Cpu *c, uint16_t sel, X86Desc *d)
{
    uint64_t base = c->gdt.base;
    uint32_t limit = c->gdt.limit;
    if (sel & 4) {
        base = c->seg[SEG_LDTR].base;
        limit = c->seg[SEG_LDTR].attr & SEG_P ? c->seg[SEG_LDTR].limit : 0;
    }
    if ((sel | 7u) > limit)
        return false;
    d->va = base + (sel & ~7u);
    uint64_t raw = guest_load(&c->v, d->va, 8, X86_BANK_KERNEL);
    d->lo = (uint32_t)raw;
    d->hi = (uint32_t)(raw >> 32);
    return true;
}

void x86_desc_need(X86Cpu *c, uint16_t sel, unsigned vector, X86Desc *d)
{
    uint32_t ext = c->delivering && c->event_external;
    if (sel_null(sel) || !x86_desc_read(c, sel, d))
        x86_raise_err(c, vector, sel_error(sel) | ext);
}

bool x86_desc_read_high(X86Cpu *c, uint16_t sel, const X86Desc *d, uint32_t *high, uint32_t *high2)
{
    uint32_t limit = sel & 4 ? c->seg[SEG_LDTR].limit : c->gdt.limit;
    if ((sel & ~7u) + 15 > limit)
        return false;
    uint64_t raw = guest_load(&c->v, d->va + 8, 8, X86_BANK_KERNEL);
    *high = (uint32_t)raw;
    *high2 = (uint32_t)(raw >> 32);
    return true;
}

X86Seg x86_desc_seg(uint16_t sel, const X86Desc *d)
{
    uint32_t limit = (d->lo & 0xffff) | (d->hi & 0xf0000);
    return (X86Seg){ .base = (d->lo >> 16) | (d->hi & 0xff) << 16 | (d->hi & 0xff000000),
                     .limit = d->hi & SEG_G ? limit << 12 | 0xfff : limit, .attr = d->hi & SEG_ATTR_MASK, .sel = sel };
}

void x86_desc_set_accessed(X86Cpu *c, X86Desc *d)
{
    if (d->hi & SEG_A)
        return;
    guest_atomic_rmw(&c->v, d->va + 4, 4, 3, SEG_A, X86_BANK_KERNEL);
    d->hi |= SEG_A;
}

void x86_desc_set_busy(X86Cpu *c, uint16_t sel, bool busy)
{
    uint64_t at = c->gdt.base + (sel & 0xfff8u) + 4;
    guest_atomic_rmw(&c->v, at, 4, busy ? 3 : 2, busy ? 1u << 9 : ~(1u << 9), X86_BANK_KERNEL);
}

uint64_t x86_gate_offset(const X86Desc *d)
{
    return (d->lo & 0xffff) | (seg_type(d->hi) & 8 ? d->hi & 0xffff0000 : 0);
}

/* Real mode keeps limit and rights ("unreal" mode depends on it). */
void x86_set_real_seg(X86Cpu *c, unsigned seg, uint16_t sel)
{
    c->seg[seg].sel = sel;
    c->seg[seg].base = (uint32_t)sel << 4;
}

X86Seg x86_vm86_seg(uint16_t sel)
{
    return (X86Seg){
        .base = (uint32_t)sel << 4, .limit = 0xffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DPL, .sel = sel
    };
}

X86Seg x86_flat_seg(uint16_t sel, uint32_t attr)
{
    return (X86Seg){ .limit = 0xffffffff, .attr = attr | SEG_P | SEG_S | SEG_A | SEG_G, .sel = sel };
}

void x86_check_code(X86Cpu *c, uint16_t sel, X86Desc *d, unsigned rpl, bool gate)
{
    bool ok = desc_is_code(d);
    if (desc_conforming(d))
        ok &= desc_dpl(d) <= c->cpl;
    else
        ok &= desc_dpl(d) == c->cpl && (gate || rpl <= c->cpl);
    if (x86_lma(c) && d->hi & SEG_L && d->hi & SEG_D)
        ok = false;
    if (!ok)
        x86_raise_err(c, X86_GP, sel_error(sel));
    if (!(d->hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
}

void x86_need_target(X86Cpu *c, const X86Seg *cs, uint64_t pc)
{
    bool is64 = x86_lma(c) && cs->attr & SEG_L;
    if (is64 ? !x86_canonical(c, pc) : pc > cs->limit)
        x86_raise_err(c, X86_GP, c->delivering && c->event_external);
}

void x86_commit_cs(X86Cpu *c, const X86Seg *cs, uint64_t pc)
{
    c->seg[SEG_CS] = *cs;
    c->v.pc = pc;
}

X86Seg x86_load_inner_ss(X86Cpu *c, uint16_t sel, unsigned cpl, unsigned vector)
{
    uint32_t ext = c->delivering && c->event_external;
    X86Desc d;
    x86_desc_need(c, sel, vector, &d);
    bool writable_data = (d.hi & (SEG_S | SEG_CODE | SEG_W)) == (SEG_S | SEG_W);
    if (sel_rpl(sel) != cpl || desc_dpl(&d) != cpl || !writable_data)
        x86_raise_err(c, vector, sel_error(sel) | ext);
    if (!(d.hi & SEG_P))
        x86_raise_err(c, X86_SS, sel_error(sel) | ext);
    x86_desc_set_accessed(c, &d);
    return x86_desc_seg(sel, &d);
}

void x86_drop_inner_segs(X86Cpu *c)
{
    static const uint8_t segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    for (unsigned i = 0; i < sizeof(segs); i++) {
        X86Seg *s = &c->seg[segs[i]];
        bool conforming = (s->attr & (SEG_CODE | SEG_E)) == (SEG_CODE | SEG_E);
        if (s->attr & SEG_P && seg_dpl(s->attr) < c->cpl && !conforming)
            *s = (X86Seg){ .base = x86_lma(c) && segs[i] >= SEG_FS ? 0 : s->base };
    }
}

void x86_stack_open(X86Stack *s, X86Cpu *c, const X86Seg *ss, uint64_t sp, unsigned cpl, bool is64, uint32_t fault)
{
    uint64_t nosmap = !(c->cr4 & CR4_SMAP) || c->eflags & EFL_AC ? X86_MODE_NOSMAP : 0;
    *s = (X86Stack){ .c = c, .ss = *ss, .sp = sp, .bank = x86_bank(cpl | nosmap), .fault = fault,
                     .mask = is64 ? UINT64_MAX : ss->attr & SEG_D ? 0xffffffff : 0xffff };
}

void x86_stack_current(X86Stack *s, X86Cpu *c)
{
    x86_stack_open(s, c, &c->seg[SEG_SS], c->v.g[RSP], c->cpl, x86_is_64(c), 0);
}

static uint64_t stack_linear(const X86Stack *s, uint64_t off, unsigned size)
{
    if (s->mask == UINT64_MAX) {
        if (!x86_canonical(s->c, off))
            x86_raise_err(s->c, X86_SS, s->fault);
        return off;
    }
    if (!x86_seg_in_limit(&s->ss, off, size))
        x86_raise_err(s->c, X86_SS, s->fault);
    return (uint32_t)(s->ss.base + off);
}

void x86_stack_push(X86Stack *s, unsigned size, uint64_t value)
{
    uint64_t off = (s->sp - size) & s->mask;
    guest_store(&s->c->v, stack_linear(s, off, size), size, value, s->bank);
    s->sp = (s->sp & ~s->mask) | off;
}

uint64_t x86_stack_pop(X86Stack *s, unsigned size)
{
    uint64_t off = s->sp & s->mask;
    uint64_t value = guest_load(&s->c->v, stack_linear(s, off, size), size, s->bank);
    s->sp = (s->sp & ~s->mask) | ((off + size) & s->mask);
    return value;
}

uint64_t x86_stack_rsp(const X86Stack *s, uint64_t old)
{
    if (s->mask == 0xffff)
        return (old & ~UINT64_C(0xffff)) | (s->sp & 0xffff);
    return s->sp & s->mask;
}

void x86_tss_stack(X86Cpu *c, unsigned cpl, unsigned ist, uint16_t *ss, uint64_t *sp)
{
    const X86Seg *tr = &c->seg[SEG_TR];
    uint32_t error = sel_error(tr->sel) | (c->delivering && c->event_external);
    bool wide = seg_type(tr->attr) & 8;
    unsigned off, size;
    if (x86_lma(c))
        off = ist ? 0x24 + (ist - 1) * 8 : 4 + cpl * 8, size = 8;
    else if (wide)
        off = 4 + cpl * 8, size = 6;
    else
        off = 2 + cpl * 4, size = 4;
    if (off + size - 1 > tr->limit)
        x86_raise_err(c, X86_TS, error);
    uint64_t at = tr->base + off;
    if (x86_lma(c)) {
        *ss = (uint16_t)cpl;
        *sp = guest_load(&c->v, at, 8, X86_BANK_KERNEL);
        return;
    }
    *sp = guest_load(&c->v, at, wide ? 4 : 2, X86_BANK_KERNEL);
    *ss = (uint16_t)guest_load(&c->v, at + (wide ? 4 : 2), 2, X86_BANK_KERNEL);
}

/* --- loads of ES SS DS FS GS --- */

static void load_null(X86Cpu *c, unsigned seg, uint16_t sel)
{
    if (seg == SEG_SS && !(x86_is_64(c) && c->cpl < 3 && sel_rpl(sel) == c->cpl))
        x86_raise_gp(c);
    c->seg[seg] = (X86Seg){ .sel = sel };
    if (seg == SEG_SS)
        c->seg[seg].attr = c->cpl << SEG_DPL_SHIFT;
}

static void check_ss(X86Cpu *c, uint16_t sel, const X86Desc *d)
{
    bool writable_data = (d->hi & (SEG_S | SEG_CODE | SEG_W)) == (SEG_S | SEG_W);
    if (!writable_data || sel_rpl(sel) != c->cpl || desc_dpl(d) != c->cpl)
        x86_raise_err(c, X86_GP, sel_error(sel));
    if (!(d->hi & SEG_P))
        x86_raise_err(c, X86_SS, sel_error(sel));
}

static void check_data(X86Cpu *c, uint16_t sel, const X86Desc *d)
{
    bool code = d->hi & SEG_CODE;
    bool ok = d->hi & SEG_S && (!code || d->hi & SEG_W);
    if (!(code && d->hi & SEG_E))
        ok &= desc_dpl(d) >= sel_rpl(sel) && desc_dpl(d) >= c->cpl;
    if (!ok)
        x86_raise_err(c, X86_GP, sel_error(sel));
    if (!(d->hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
}

X86_HELPER_VOID(load_seg)
{
    X86Cpu *c = x86_cpu(v);
    unsigned seg = (unsigned)a;
    uint16_t sel = (uint16_t)b;
    if (x86_real_mode(c)) {
        x86_set_real_seg(c, seg, sel);
    } else if (x86_vm86(c)) {
        c->seg[seg] = x86_vm86_seg(sel);
    } else if (sel_null(sel)) {
        load_null(c, seg, sel);
    } else {
        X86Desc d;
        x86_desc_need(c, sel, X86_GP, &d);
        if (seg == SEG_SS)
            check_ss(c, sel, &d);
        else
            check_data(c, sel, &d);
        x86_desc_set_accessed(c, &d);
        c->seg[seg] = x86_desc_seg(sel, &d);
    }
    if (seg == SEG_SS)
        c->shadow = 1;
    x86_update_mode(c);
}

/* --- LDTR, TR, descriptor tables --- */

static void need_protected_cpl0(X86Cpu *c)
{
    if (!x86_protected(c))
        x86_raise_ud(c);
    if (c->cpl)
        x86_raise_gp(c);
}

/* Base of an LDT or TSS descriptor; 16 bytes in long mode. */
static X86Seg system_seg(X86Cpu *c, uint16_t sel, const X86Desc *d)
{
    X86Seg s = x86_desc_seg(sel, d);
    if (x86_lma(c)) {
        uint32_t high, high2;
        if (!x86_desc_read_high(c, sel, d, &high, &high2) || high2 & 0x1f00)
            x86_raise_err(c, X86_GP, sel_error(sel));
        s.base |= (uint64_t)high << 32;
        if (!x86_canonical(c, s.base))
            x86_raise_err(c, X86_GP, sel_error(sel));
    }
    return s;
}

X86_HELPER_VOID(lldt)
{
    X86Cpu *c = x86_cpu(v);
    uint16_t sel = (uint16_t)a;
    need_protected_cpl0(c);
    if (sel_null(sel)) {
        c->seg[SEG_LDTR] = (X86Seg){ .sel = sel };
        return;
    }
    X86Desc d;
    if (sel & 4 || !x86_desc_read(c, sel, &d) || d.hi & SEG_S || seg_type(d.hi) != DESC_LDT)
        x86_raise_err(c, X86_GP, sel_error(sel));
    if (!(d.hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
    c->seg[SEG_LDTR] = system_seg(c, sel, &d);
}

X86_HELPER_VOID(ltr)
{
    X86Cpu *c = x86_cpu(v);
    uint16_t sel = (uint16_t)a;
    need_protected_cpl0(c);
    X86Desc d;
    if (sel & 4 || sel_null(sel) || !x86_desc_read(c, sel, &d) || d.hi & SEG_S ||
        (seg_type(d.hi) != DESC_TSS32 && (seg_type(d.hi) != DESC_TSS16 || x86_lma(c))))
        x86_raise_err(c, X86_GP, sel_error(sel));
    if (!(d.hi & SEG_P))
        x86_raise_err(c, X86_NP, sel_error(sel));
    X86Seg s = system_seg(c, sel, &d);
    x86_desc_set_busy(c, sel, true);
    s.attr |= 1 << 9;
    c->seg[SEG_TR] = s;
}

static void check_umip(X86Cpu *c)
{
    if (c->cr4 & CR4_UMIP && c->cpl)
        x86_raise_gp(c);
}

X86_HELPER(sldt)
{
    X86Cpu *cpu = x86_cpu(v);
    if (!x86_protected(cpu))
        x86_raise_ud(cpu);
    check_umip(cpu);
    return cpu->seg[SEG_LDTR].sel;
}

X86_HELPER(str)
{
    X86Cpu *cpu = x86_cpu(v);
    if (!x86_protected(cpu))
        x86_raise_ud(cpu);
    check_umip(cpu);
    return cpu->seg[SEG_TR].sel;
}

X86_HELPER(smsw)
{
    check_umip(x86_cpu(v));
    return x86_cpu(v)->cr0;
}

static void load_table(X86Cpu *c, X86Table *t, uint64_t at, unsigned osize)
{
    if (c->cpl)
        x86_raise_gp(c);
    unsigned bank = x86_bank(c->v.mode);
    uint16_t limit = (uint16_t)guest_load(&c->v, at, 2, bank);
    uint64_t base = guest_load(&c->v, at + 2, x86_is_64(c) ? 8 : 4, bank);
    if (x86_is_64(c) && !x86_canonical(c, base))
        x86_raise_gp(c);
    *t = (X86Table){ .base = osize == 2 ? base & 0xffffff : base, .limit = limit };
}

static void store_table(X86Cpu *c, const X86Table *t, uint64_t at)
{
    check_umip(c);
    unsigned bank = x86_bank(c->v.mode), size = x86_is_64(c) ? 8 : 4;
    guest_probe(&c->v, at, 2 + size, ACCESS_WRITE, bank);
    guest_store(&c->v, at, 2, t->limit, bank);
    guest_store(&c->v, at + 2, size, t->base, bank);
}

X86_HELPER_VOID(lgdt) { load_table(x86_cpu(v), &x86_cpu(v)->gdt, a, x86_is_64(x86_cpu(v)) ? 8 : (unsigned)b); }
X86_HELPER_VOID(lidt) { load_table(x86_cpu(v), &x86_cpu(v)->idt, a, x86_is_64(x86_cpu(v)) ? 8 : (unsigned)b); }
X86_HELPER_VOID(sgdt) { store_table(x86_cpu(v), &x86_cpu(v)->gdt, a); }
X86_HELPER_VOID(sidt) { store_table(x86_cpu(v), &x86_cpu(v)->idt, a); }
