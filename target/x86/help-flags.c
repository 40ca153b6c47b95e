/* SPDX-License-Identifier: MIT */
/* Instructions on EFLAGS: PUSHF, POPF, CLI, STI, CLAC/STAC; also ARPL, BOUND, ENTER and wide CMPXCHG. */
#include "target/x86/helpers.h"
#include "target/x86/segments.h"

static unsigned iopl(const X86Cpu *c) { return (c->eflags & EFL_IOPL) >> EFL_IOPL_SHIFT; }

X86_HELPER(read_eflags) { return x86_get_eflags(x86_cpu(v)); }

X86_HELPER(pushf)
{
    X86Cpu *c = x86_cpu(v);
    uint32_t f = x86_get_eflags(c);
    if (x86_vm86(c) && iopl(c) < 3) {
        if (!(c->cr4 & CR4_VME) || a != 2)
            x86_raise_gp(c);
        f = (f & ~EFL_IF) | EFL_IOPL | (f & EFL_VIF ? EFL_IF : 0);
    }
    return f & ~(EFL_RF | EFL_VM);
}

/* Which bits POPF may change (SDM vol. 2, POPF). */
static uint32_t popf_mask(X86Cpu *c, uint32_t *value, unsigned osize)
{
    uint32_t may = FLAG_ALL | EFL_TF | EFL_DF | EFL_NT | (osize > 2 ? EFL_AC | EFL_ID : 0);
    if (x86_vm86(c)) {
        if (iopl(c) == 3)
            return may | EFL_IF;
        if (!(c->cr4 & CR4_VME) || osize != 2 || *value & EFL_TF || (*value & EFL_IF && c->eflags & EFL_VIP))
            x86_raise_gp(c);
        *value = (*value & ~EFL_VIF) | (*value & EFL_IF ? EFL_VIF : 0);
        return may | EFL_VIF;
    }
    if (c->cpl <= iopl(c))
        may |= EFL_IF;
    if (!c->cpl)
        may |= EFL_IOPL;
    return may;
}

X86_HELPER(popf)
{
    X86Cpu *c = x86_cpu(v);
    uint32_t value = (uint32_t)a, may = popf_mask(c, &value, (unsigned)b);
    uint64_t mode = v->mode;
    uint32_t kept = c->eflags | (c->iflag ? EFL_IF : 0);
    x86_set_eflags(c, (kept & ~may) | (value & may));
    c->eflags &= ~EFL_RF;
    return v->mode != mode;
}

static void set_virtual_if(X86Cpu *c, bool on)
{
    bool vme = x86_vm86(c) && c->cr4 & CR4_VME;
    bool pvi = !x86_vm86(c) && c->cr4 & CR4_PVI && c->cpl == 3;
    if ((!vme && !pvi) || (on && c->eflags & EFL_VIP))
        x86_raise_gp(c);
    c->eflags = on ? c->eflags | EFL_VIF : c->eflags & ~EFL_VIF;
}

X86_HELPER_VOID(cli)
{
    X86Cpu *c = x86_cpu(v);
    if (v->mode & X86_MODE_IOPL_OK)
        c->iflag = 0;
    else
        set_virtual_if(c, false);
}

X86_HELPER_VOID(sti)
{
    X86Cpu *c = x86_cpu(v);
    if (!(v->mode & X86_MODE_IOPL_OK)) {
        set_virtual_if(c, true);
        return;
    }
    if (a && !c->iflag) {
        c->shadow = 1;
        x86_update_mode(c);
    }
    c->iflag = 1;
    x86_poll_soon(c);
}

X86_HELPER_VOID(set_ac)
{
    X86Cpu *c = x86_cpu(v);
    if (c->cpl)
        x86_raise_ud(c);
    c->eflags = a ? c->eflags | EFL_AC : c->eflags & ~EFL_AC;
    x86_update_mode(c);
}

static void set_z(Vcpu *v, bool z)
{
    flags_set_explicit(v, (flags_eval(&v->fl) & ~FLAG_Z) | (z ? FLAG_Z : 0));
}

/* What LAR, LSL, VERR and VERW ask of a descriptor before their own conditions. */
static bool visible_desc(X86Cpu *c, uint16_t sel, X86Desc *d)
{
    if (!x86_protected(c))
        x86_raise_ud(c);
    if (sel_null(sel) || !x86_desc_read(c, sel, d))
        return false;
    bool conforming = desc_is_code(d) && desc_conforming(d);
    return conforming || (desc_dpl(d) >= c->cpl && desc_dpl(d) >= sel_rpl(sel));
}

/* System types that LAR and LSL accept (SDM vol. 2, tables of LAR and LSL). */
static bool system_type_ok(const X86Cpu *c, const X86Desc *d, bool lsl)
{
    enum { TSS_LDT = 1 << DESC_TSS16 | 1 << DESC_LDT | 1 << DESC_TSS16_BUSY | 1 << DESC_TSS32 | 1 << DESC_TSS32_BUSY,
           GATES = 1 << DESC_CALL16 | 1 << DESC_TASK_GATE | 1 << DESC_CALL32,
           LONG = 1 << DESC_LDT | 1 << DESC_TSS32 | 1 << DESC_TSS32_BUSY };
    unsigned ok = x86_lma(c) ? LONG | (lsl ? 0 : 1 << DESC_CALL32) : TSS_LDT | (lsl ? 0 : GATES);
    return ok >> seg_type(d->hi) & 1;
}

X86_HELPER(lar)
{
    X86Cpu *c = x86_cpu(v);
    X86Desc d;
    bool ok = visible_desc(c, (uint16_t)a, &d) && (d.hi & SEG_S || system_type_ok(c, &d, false));
    x86_take_state(c);
    set_z(v, ok);
    return ok ? d.hi & (a3 == 2 ? 0xff00 : 0xffff00) : b;
}

X86_HELPER(lsl)
{
    X86Cpu *c = x86_cpu(v);
    X86Desc d;
    bool ok = visible_desc(c, (uint16_t)a, &d) && (d.hi & SEG_S || system_type_ok(c, &d, true));
    x86_take_state(c);
    set_z(v, ok);
    return ok ? x86_desc_seg(0, &d).limit : b;
}

X86_HELPER_VOID(verr)
{
    X86Cpu *c = x86_cpu(v);
    X86Desc d;
    bool ok = visible_desc(c, (uint16_t)a, &d) && d.hi & SEG_S && (!(d.hi & SEG_CODE) || d.hi & SEG_W);
    x86_take_state(c);
    set_z(v, ok);
}

X86_HELPER_VOID(verw)
{
    X86Cpu *c = x86_cpu(v);
    X86Desc d;
    bool ok = visible_desc(c, (uint16_t)a, &d) && (d.hi & (SEG_S | SEG_CODE | SEG_W)) == (SEG_S | SEG_W);
    x86_take_state(c);
    set_z(v, ok);
}

X86_HELPER_VOID(enter)
{
    X86Cpu *c = x86_cpu(v);
    unsigned size = (unsigned)a3, level = b & 31;
    X86Stack s;
    x86_stack_current(&s, c);
    X86Stack frame = s; /* reads of the enclosing frames' pointers */
    x86_stack_push(&s, size, v->g[RBP]);
    uint64_t new_bp = s.sp;
    frame.sp = v->g[RBP];
    for (unsigned i = 1; i < level; i++) {
        X86Stack one = frame;
        one.sp -= i * size;
        x86_stack_push(&s, size, x86_stack_pop(&one, size));
    }
    if (level)
        x86_stack_push(&s, size, new_bp);
    s.sp -= a & 0xffff;
    uint64_t sp = x86_stack_rsp(&s, v->g[RSP]);
    /* The insn faults when the new top of stack can't be written (SDM vol. 2, ENTER). */
    uint64_t off = sp & s.mask;
    if (s.mask != UINT64_MAX && !x86_seg_in_limit(&s.ss, off, size))
        x86_raise_err(c, X86_SS, 0);
    guest_probe(v, s.mask == UINT64_MAX ? off : (uint32_t)(s.ss.base + off), size, ACCESS_WRITE, s.bank);
    v->g[RSP] = sp;
    v->g[RBP] = size == 2 ? (v->g[RBP] & ~UINT64_C(0xffff)) | (new_bp & 0xffff)
              : size == 4 ? (uint32_t)new_bp : new_bp;
}

X86_HELPER_VOID(bound)
{
    if ((int64_t)a < (int64_t)b || (int64_t)a > (int64_t)a3)
        x86_raise(x86_cpu(v), X86_BR);
}

X86_HELPER_VOID(cmpxchg8b)
{
    X86Cpu *c = x86_cpu(v);
    uint64_t expected = (uint32_t)v->g[RAX] | v->g[RDX] << 32, desired = (uint32_t)v->g[RBX] | v->g[RCX] << 32;
    bool ok = guest_cmpxchg(v, a, 8, &expected, desired, x86_bank(v->mode));
    x86_take_state(c);
    if (!ok) {
        v->g[RAX] = (uint32_t)expected;
        v->g[RDX] = expected >> 32;
    }
    set_z(v, ok);
}

X86_HELPER_VOID(cmpxchg16b)
{
    X86Cpu *c = x86_cpu(v);
    if (a & 15)
        x86_raise_gp(c);
    uint64_t expected[2] = { v->g[RAX], v->g[RDX] }, desired[2] = { v->g[RBX], v->g[RCX] };
    bool ok = guest_cmpxchg16(v, a, expected, desired, x86_bank(v->mode));
    x86_take_state(c);
    if (!ok) {
        v->g[RAX] = expected[0];
        v->g[RDX] = expected[1];
    }
    set_z(v, ok);
}
