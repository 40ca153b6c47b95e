/* SPDX-License-Identifier: MIT */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS and the FS/GS base instructions. */
#include "target/x86/helpers.h"
#include "target/x86/segments.h"

static bool intel(const X86Cpu *c) { return c->vendor[0] == 'G'; }

static X86Seg flat_code(unsigned sel, unsigned dpl, bool is64)
{
    return x86_flat_seg((uint16_t)sel, SEG_CODE | SEG_W | dpl << SEG_DPL_SHIFT | (is64 ? SEG_L : SEG_D));
}

static X86Seg flat_data(unsigned sel, unsigned dpl)
{
    return x86_flat_seg((uint16_t)sel, SEG_W | SEG_D | dpl << SEG_DPL_SHIFT);
}

X86_HELPER_VOID(syscall)
{
    X86Cpu *c = x86_cpu(v);
    bool from64 = x86_is_64(c);
    if (!(c->efer & EFER_SCE) || !x86_protected(c) || (intel(c) && !from64))
        x86_raise_ud(c);
    x86_take_state(c);
    uint32_t flags = x86_get_eflags(c) & ~EFL_RF;
    uint16_t sel = (uint16_t)(c->star >> 32) & 0xfffc;
    v->g[RCX] = from64 ? c->next_pc : (uint32_t)c->next_pc;
    if (x86_lma(c)) {
        v->g[R11] = flags;
        flags &= ~(uint32_t)c->fmask;
        v->pc = from64 ? c->lstar : c->cstar;
    } else {
        flags &= ~(EFL_IF | EFL_VM);
        v->pc = (uint32_t)c->star;
    }
    c->seg[SEG_CS] = flat_code(sel, 0, x86_lma(c));
    c->seg[SEG_SS] = flat_data(sel + 8u, 0);
    c->cpl = 0;
    x86_set_eflags(c, flags & ~EFL_RF);
}

X86_HELPER_VOID(sysret)
{
    X86Cpu *c = x86_cpu(v);
    bool to64 = a == 8;
    if (!(c->efer & EFER_SCE) || !x86_protected(c) || (intel(c) && !x86_is_64(c)))
        x86_raise_ud(c);
    if (c->cpl || (to64 && intel(c) && !x86_canonical(c, v->g[RCX])))
        x86_raise_gp(c);
    x86_take_state(c);
    uint16_t sel = (uint16_t)(c->star >> 48);
    uint32_t flags = x86_get_eflags(c);
    if (x86_lma(c))
        flags = (uint32_t)v->g[R11] & 0x3c7fd7;
    else
        flags |= EFL_IF;
    v->pc = to64 ? v->g[RCX] : (uint32_t)v->g[RCX];
    c->seg[SEG_CS] = flat_code((sel + (to64 ? 16u : 0)) | 3, 3, to64);
    c->seg[SEG_SS] = flat_data((sel + 8u) | 3, 3);
    c->cpl = 3;
    x86_set_eflags(c, flags);
}

X86_HELPER_VOID(sysenter)
{
    X86Cpu *c = x86_cpu(v);
    bool lma = x86_lma(c);
    if (x86_real_mode(c) || !(c->sysenter_cs & 0xfffc))
        x86_raise_gp(c);
    if (lma && !intel(c))
        x86_raise_ud(c);
    x86_take_state(c);
    uint16_t sel = (uint16_t)c->sysenter_cs & 0xfffc;
    c->seg[SEG_CS] = flat_code(sel, 0, lma);
    c->seg[SEG_SS] = flat_data(sel + 8u, 0);
    v->g[RSP] = lma ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    v->pc = lma ? c->sysenter_eip : (uint32_t)c->sysenter_eip;
    c->cpl = 0;
    c->eflags &= ~(EFL_VM | EFL_RF);
    c->iflag = 0;
    x86_update_mode(c);
}

X86_HELPER_VOID(sysexit)
{
    X86Cpu *c = x86_cpu(v);
    bool to64 = a == 8;
    if (!x86_protected(c) || c->cpl || !(c->sysenter_cs & 0xfffc))
        x86_raise_gp(c);
    if (x86_lma(c) && !intel(c))
        x86_raise_ud(c);
    if (to64 && (!x86_canonical(c, v->g[RCX]) || !x86_canonical(c, v->g[RDX])))
        x86_raise_gp(c);
    x86_take_state(c);
    uint16_t sel = (uint16_t)((c->sysenter_cs & 0xfffc) + (to64 ? 32 : 16));
    c->seg[SEG_CS] = flat_code(sel | 3, 3, to64);
    c->seg[SEG_SS] = flat_data((sel + 8u) | 3, 3);
    v->g[RSP] = to64 ? v->g[RCX] : (uint32_t)v->g[RCX];
    v->pc = to64 ? v->g[RDX] : (uint32_t)v->g[RDX];
    c->cpl = 3;
    x86_update_mode(c);
}

X86_HELPER_VOID(swapgs)
{
    X86Cpu *c = x86_cpu(v);
    if (c->cpl)
        x86_raise_gp(c);
    uint64_t base = c->seg[SEG_GS].base;
    c->seg[SEG_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = base;
}

static void need_fsgsbase(X86Cpu *c)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        x86_raise_ud(c);
}

X86_HELPER(rdfsgs)
{
    need_fsgsbase(x86_cpu(v));
    return x86_cpu(v)->seg[a].base;
}

X86_HELPER_VOID(wrfsgs)
{
    X86Cpu *c = x86_cpu(v);
    need_fsgsbase(c);
    if (!x86_canonical(c, b))
        x86_raise_gp(c);
    c->seg[a].base = b;
}
