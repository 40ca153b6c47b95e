/* SPDX-License-Identifier: MIT */
/* Debug registers, breakpoints and single step (SDM vol. 3, chapter 18). */
#include "target/x86/helpers.h"
#include "target/x86/models.h"
#include "target/x86/segments.h"

#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR6_WRITABLE (UINT64_C(0xf) | DR6_BD | DR6_BS | BIT(15))
#define DR7_FIXED BIT(10)
#define DR7_GD BIT(13)

_Noreturn void x86_raise_db(X86Cpu *c, uint64_t dr6, bool trap)
{
    c->event = (X86Event){ .kind = trap ? X86_EVENT_TRAP : X86_EVENT_FAULT, .vector = X86_DB, .dr6 = dr6 };
    vcpu_unwind(&c->v);
}

X86_HELPER_VOID(shadow_end)
{
    x86_cpu(v)->shadow = 0;
    vcpu_set_mode(v, v->mode & ~X86_MODE_SHADOW);
}

/* v->pc is the next insn's; `stepped`: TF was set when the insn began. A MOV SS puts the trap off by one insn. */
static void finish_insn(X86Cpu *c, bool stepped)
{
    uint64_t dr6 = c->data_bp_hits | (stepped ? DR6_BS : 0);
    if (!dr6 || (c->shadow && !(c->data_bp_hits)))
        return;
    c->data_bp_hits = 0;
    x86_raise_db(c, dr6, true);
}

X86_HELPER_VOID(insn_end)
{
    X86Cpu *c = x86_cpu(v);
    x86_take_state(c);
    v->pc = c->next_pc;
    finish_insn(c, v->mode & X86_MODE_TF);
}

X86_HELPER_VOID(insn_end_jumped)
{
    X86Cpu *c = x86_cpu(v);
    uint64_t pc = v->pc;
    x86_take_state(c);
    v->pc = pc;
    finish_insn(c, a || v->mode & X86_MODE_TF);
}

X86_HELPER_VOID(code_bp)
{
    X86Cpu *c = x86_cpu(v);
    if (c->eflags & EFL_RF) {
        c->eflags &= ~EFL_RF;
        return;
    }
    uint64_t linear = x86_is_64(c) ? a : (uint32_t)(c->seg[SEG_CS].base + a);
    uint64_t hits = x86_breakpoint_hits(c, 0, linear, 1);
    if (hits)
        x86_raise_db(c, hits, false);
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE. */
static unsigned dr_number(X86Cpu *c, unsigned n)
{
    if (n != 4 && n != 5)
        return n;
    if (c->cr4 & CR4_DE)
        x86_raise_ud(c);
    return n + 2;
}

static void dr_access(X86Cpu *c)
{
    if (c->cpl)
        x86_raise_gp(c);
    if (c->dr[7] & DR7_GD)
        x86_raise_db(c, DR6_BD, false);
}

X86_HELPER(read_dr)
{
    X86Cpu *c = x86_cpu(v);
    unsigned n = dr_number(c, (unsigned)a);
    dr_access(c);
    return c->dr[n];
}

X86_HELPER_VOID(write_dr)
{
    X86Cpu *c = x86_cpu(v);
    unsigned n = dr_number(c, (unsigned)a);
    dr_access(c);
    if (n >= 6 && b >> 32)
        x86_raise_gp(c);
    if (n == 6)
        c->dr[6] = (b & DR6_WRITABLE) | DR6_FIXED;
    else if (n == 7)
        c->dr[7] = (b & UINT64_C(0xffff2bff)) | DR7_FIXED;
    else
        c->dr[n] = b;
    x86_update_mode(c);
}
