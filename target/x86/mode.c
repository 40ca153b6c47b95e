/* SPDX-License-Identifier: MIT */
/* EFLAGS as a whole, the mode bits derived from the state, the time-stamp counter. */
#include "base/clock.h"
#include "target/x86/cpu.h"

enum { EFL_KEPT = EFL_TF | EFL_IOPL | EFL_NT | EFL_RF | EFL_VM | EFL_AC | EFL_VIF | EFL_VIP | EFL_ID };

uint32_t x86_get_eflags(const X86Cpu *c)
{
    return flags_eval(&c->v.fl) | c->eflags | 2 | (c->iflag ? EFL_IF : 0) | (c->df < 0 ? EFL_DF : 0);
}

static uint64_t debug_mode(const X86Cpu *c)
{
    uint64_t m = c->eflags & EFL_TF ? X86_MODE_TF : 0;
    for (unsigned i = 0; i < 4; i++) {
        if (!(c->dr[7] >> (i * 2) & 3))
            continue;
        unsigned kind = c->dr[7] >> (16 + i * 4) & 3;
        m |= kind == 0 ? X86_MODE_CODE_BP : kind != 2 ? X86_MODE_DATA_BP : 0;
    }
    return m;
}

void x86_set_eflags(X86Cpu *c, uint32_t value)
{
    flags_set_explicit(&c->v, value);
    c->df = value & EFL_DF ? -1 : 1;
    c->iflag = !!(value & EFL_IF);
    c->eflags = (value & EFL_KEPT) | 2;
    if (!(debug_mode(c) & X86_MODE_CODE_BP))
        c->eflags &= ~EFL_RF; /* nobody would clear it at the end of the next insn */
    if (c->iflag)
        x86_poll_soon(c);
    x86_update_mode(c);
}

/* Does an access through a data segment need more than adding the base? */
static bool seg_needs_check(const X86Seg *s, bool typed)
{
    if (s->limit != 0xffffffff)
        return true;
    if (!typed)
        return false;
    if (!(s->attr & SEG_P))
        return true;
    return s->attr & SEG_CODE || (s->attr & (SEG_W | SEG_E)) != SEG_W;
}

static uint64_t segment_mode(const X86Cpu *c)
{
    bool typed = x86_protected(c);
    uint64_t m = 0;
    m |= c->seg[SEG_CS].attr & SEG_D ? X86_MODE_CS32 : 0;
    m |= c->seg[SEG_SS].attr & SEG_D ? X86_MODE_SS32 : 0;
    if (!typed || c->seg[SEG_CS].base || c->seg[SEG_DS].base || c->seg[SEG_ES].base || c->seg[SEG_SS].base)
        m |= X86_MODE_ADDSEG;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        bool check = i == SEG_CS ? c->seg[i].limit != 0xffffffff || (typed && !(c->seg[i].attr & SEG_W))
                                 : seg_needs_check(&c->seg[i], typed);
        m |= check ? X86_MODE_CHECK(i) : 0;
    }
    /*
     * 32-bit kernels leave the program's GS in place, null or not, and don't use it: one form of their code is enough.
     */
    if (typed && c->cpl < 3)
        m |= X86_MODE_CHECK(SEG_GS);
    return m;
}

static uint64_t fpu_mode(const X86Cpu *c)
{
    uint64_t m = 0;
    m |= c->cr0 & CR0_EM ? X86_MODE_EM : 0;
    m |= c->cr0 & CR0_TS ? X86_MODE_TS : 0;
    m |= c->cr0 & CR0_MP ? X86_MODE_MP : 0;
    m |= c->cr4 & CR4_OSFXSR ? X86_MODE_OSFXSR : 0;
    m |= c->cr4 & CR4_OSXSAVE ? X86_MODE_OSXSAVE : 0;
    m |= c->cr4 & CR4_OSXSAVE && (c->xcr0 & 6) == 6 ? X86_MODE_AVX : 0;
    m |= (c->v.fp_control >> 7 & 0x3f) != 0x3f ? X86_MODE_FPTRAP : 0;
    return m;
}

void x86_update_mode(X86Cpu *c)
{
    uint64_t m = c->cpl | debug_mode(c) | fpu_mode(c);
    m |= c->cr0 & CR0_PE ? X86_MODE_PE : 0;
    m |= x86_vm86(c) ? X86_MODE_VM86 : 0;
    m |= x86_lma(c) ? X86_MODE_LMA : 0;
    if (x86_lma(c) && c->seg[SEG_CS].attr & SEG_L)
        m |= X86_MODE_CS64 | X86_MODE_SS32;
    else
        m |= segment_mode(c) | (c->seg[SEG_CS].base & UINT32_MAX) << X86_MODE_CS_BASE_SHIFT;
    if (c->cpl != 3 && (!(c->cr4 & CR4_SMAP) || c->eflags & EFL_AC))
        m |= X86_MODE_NOSMAP;
    m |= c->shadow ? X86_MODE_SHADOW : 0;
    m |= c->smm ? X86_MODE_SMM : 0;
    m |= x86_real_mode(c) || c->cpl <= (c->eflags & EFL_IOPL) >> EFL_IOPL_SHIFT ? X86_MODE_IOPL_OK : 0;
    m |= c->cr0 & CR0_AM && c->eflags & EFL_AC && c->cpl == 3 ? X86_MODE_ALIGN : 0;
    vcpu_set_mode(&c->v, m);
}

void x86_take_state(X86Cpu *c)
{
    vcpu_sync(&c->v);
    c->v.call_site = 0;
}

uint64_t x86_tsc(const X86Cpu *c)
{
    uint64_t ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
    if (c->tsc_hz != X86_TSC_HZ) /* the default needs no division */
        ns = (uint64_t)((unsigned __int128)ns * c->tsc_hz / 1000000000);
    return ns + (uint64_t)c->tsc_offset;
}

bool x86_canonical(const X86Cpu *c, uint64_t va)
{
    unsigned shift = c->cr4 & CR4_LA57 ? 7 : 16;
    return (uint64_t)((int64_t)(va << shift) >> shift) == va;
}
