/* SPDX-License-Identifier: MIT */
/*
 * Raising exceptions, segment and branch checks: built with general registers only, so that calls from generated code
 * are cheap.
 */
#include "target/x86/helpers.h"
#include "target/x86/segments.h"

void x86_record_fault(X86Cpu *c, unsigned vector, bool has_error, uint32_t error)
{
    c->event = (X86Event){ .kind = X86_EVENT_FAULT, .vector = (uint8_t)vector, .has_error = has_error, .error = error };
}

_Noreturn void x86_raise(X86Cpu *c, unsigned vector)
{
    x86_record_fault(c, vector, false, 0);
    vcpu_unwind(&c->v);
}

_Noreturn void x86_raise_err(X86Cpu *c, unsigned vector, uint32_t error)
{
    x86_record_fault(c, vector, true, error);
    vcpu_unwind(&c->v);
}

X86_HELPER_VOID(raise) { x86_raise(x86_cpu(v), (unsigned)a); }
X86_HELPER_VOID(raise_err) { x86_raise_err(x86_cpu(v), (unsigned)a, (uint32_t)b); }
X86_HELPER_VOID(divide_error) { x86_raise(x86_cpu(v), X86_DE); }

/* SDM vol. 3, 5.3-5.5: limit, presence and direction. Real mode and VM86 know limits only. */
X86_HELPER_VOID(seg_check)
{
    X86Cpu *c = x86_cpu(v);
    unsigned size = b & 0xff, seg = b >> 8 & 0xff;
    bool write = b >> 16 & 1, ok = true;
    const X86Seg *s = &c->seg[seg];
    if (x86_protected(c)) {
        bool code = s->attr & SEG_CODE, rw = s->attr & SEG_W;
        ok = s->attr & SEG_P && (write ? !code && rw : !code || rw);
    }
    if (ok && x86_seg_in_limit(s, a, size ? size : 1))
        return;
    x86_raise_err(c, seg == SEG_SS ? X86_SS : X86_GP, 0);
}

X86_HELPER_VOID(code_check)
{
    X86Cpu *c = x86_cpu(v);
    if (a > c->seg[SEG_CS].limit)
        x86_raise_err(c, X86_GP, 0);
}

bool x86_seg_in_limit(const X86Seg *s, uint64_t off, unsigned size)
{
    uint64_t last = off + size - 1;
    bool expand_down = (s->attr & (SEG_S | SEG_CODE | SEG_E)) == (SEG_S | SEG_E);
    if (!expand_down)
        return last <= s->limit;
    return off > s->limit && last <= (s->attr & SEG_D ? 0xffffffff : 0xffff);
}

/*
 * DR6 bits of the enabled breakpoints of `kind` (DR7.R/W: 0 code, 1 write, 2 I/O, 3 any data access) that the range
 * touches.
 */
uint64_t x86_breakpoint_hits(const X86Cpu *c, unsigned kind, uint64_t addr, unsigned size)
{
    uint64_t hits = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (!(c->dr[7] >> (i * 2) & 3))
            continue;
        unsigned rw = c->dr[7] >> (16 + i * 4) & 3, len = c->dr[7] >> (18 + i * 4) & 3;
        bool fits = rw == kind || (kind == 1 && rw == 3);
        uint64_t bytes = len == 2 ? 8 : len + 1, first = c->dr[i] & ~(bytes - 1);
        if (fits && addr < first + bytes && first < addr + size)
            hits |= BIT(i);
    }
    return hits;
}

X86_HELPER_VOID(data_bp)
{
    X86Cpu *c = x86_cpu(v);
    c->data_bp_hits |= x86_breakpoint_hits(c, a3 ? 1 : 3, a, (unsigned)b);
}
