/* SPDX-License-Identifier: MIT */
/* Port instructions with their permission checks; time-stamp, random numbers, CPUID, MSRs, HLT and MWAIT. */
#include <sched.h>
#include <sys/random.h>
#include "base/log.h"
#include "target/x86/helpers.h"
#include "target/x86/models.h"
#include "target/x86/segments.h"

/* IOPL, else the TSS's permission map (SDM vol. 1, 19.5.2). */
static void check_port(X86Cpu *c, uint16_t port, unsigned size)
{
    bool free = x86_real_mode(c) || (!x86_vm86(c) && c->cpl <= (c->eflags & EFL_IOPL) >> EFL_IOPL_SHIFT);
    if (free)
        return;
    const X86Seg *tr = &c->seg[SEG_TR];
    if (!(tr->attr & SEG_P) || !(seg_type(tr->attr) & 8) || tr->limit < 0x67)
        x86_raise_gp(c);
    uint32_t at = (uint32_t)guest_load(&c->v, tr->base + 0x66, 2, X86_BANK_KERNEL) + port / 8;
    if (at + 1 > tr->limit)
        x86_raise_gp(c);
    uint32_t map = (uint32_t)guest_load(&c->v, tr->base + at, 2, X86_BANK_KERNEL);
    if (map >> (port & 7) & ((1u << size) - 1))
        x86_raise_gp(c);
}

/* I/O breakpoints trap after the insn: noted here, raised by insn_end when armed with others, else on the next poll. */
static void note_io_breakpoint(X86Cpu *c, uint16_t port, unsigned size)
{
    if (c->dr[7] & 0xff && c->cr4 & CR4_DE)
        c->data_bp_hits |= x86_breakpoint_hits(c, 2, port, size);
}

static uint64_t port_in(X86Cpu *c, uint16_t port, unsigned size)
{
    uint64_t value = guest_space_load(&c->v, c->v.machine->as_io, port, size);
    note_io_breakpoint(c, port, size);
    return value;
}

static void port_out(X86Cpu *c, uint16_t port, unsigned size, uint64_t value)
{
    guest_space_store(&c->v, c->v.machine->as_io, port, size, value);
    note_io_breakpoint(c, port, size);
}

X86_HELPER(in)
{
    X86Cpu *c = x86_cpu(v);
    check_port(c, (uint16_t)a, (unsigned)b);
    return port_in(c, (uint16_t)a, (unsigned)b);
}

X86_HELPER_VOID(out)
{
    X86Cpu *c = x86_cpu(v);
    check_port(c, (uint16_t)a, (unsigned)b);
    port_out(c, (uint16_t)a, (unsigned)b, a3);
}

static uint64_t string_linear(X86Cpu *c, unsigned seg, uint64_t off, unsigned size, bool write)
{
    if (x86_is_64(c))
        return seg >= SEG_FS ? c->seg[seg].base + off : off;
    if (c->v.mode & X86_MODE_CHECK(seg) || (write && seg == SEG_CS))
        x86_help_seg_check(&c->v, off, size | seg << 8 | (uint64_t)write << 16, 0);
    return (uint32_t)(c->seg[seg].base + off);
}

X86_HELPER_VOID(ins)
{
    X86Cpu *c = x86_cpu(v);
    unsigned size = (unsigned)b, bank = x86_bank(v->mode);
    uint16_t port = (uint16_t)v->g[RDX];
    check_port(c, port, size);
    uint64_t at = string_linear(c, SEG_ES, a, size, true);
    guest_probe(v, at, size, ACCESS_WRITE, bank); /* before the device is read */
    guest_store(v, at, size, port_in(c, port, size), bank);
}

X86_HELPER_VOID(outs)
{
    X86Cpu *c = x86_cpu(v);
    unsigned size = b & 0xff, seg = b >> 8 & 0xff;
    uint16_t port = (uint16_t)v->g[RDX];
    check_port(c, port, size);
    port_out(c, port, size, guest_load(v, string_linear(c, seg, a, size, false), size, x86_bank(v->mode)));
}

/* --- time, identity, random numbers --- */

static void set_edx_eax(Vcpu *v, uint64_t value)
{
    v->g[RAX] = (uint32_t)value;
    v->g[RDX] = value >> 32;
}

static void check_tsd(X86Cpu *c)
{
    if (c->cr4 & CR4_TSD && c->cpl)
        x86_raise_gp(c);
}

X86_HELPER_VOID(rdtsc)
{
    check_tsd(x86_cpu(v));
    set_edx_eax(v, x86_tsc(x86_cpu(v)));
}

X86_HELPER_VOID(rdtscp)
{
    X86Cpu *c = x86_cpu(v);
    if (!x86_has_feature(c, X86_FEATURE_RDTSCP))
        x86_raise_ud(c);
    check_tsd(c);
    set_edx_eax(v, x86_tsc(c));
    v->g[RCX] = (uint32_t)c->tsc_aux;
}

X86_HELPER(rdpid)
{
    return (uint32_t)x86_cpu(v)->tsc_aux;
}

/* No performance counters: every index is out of range. */
X86_HELPER_VOID(rdpmc) { x86_raise_gp(x86_cpu(v)); }

X86_HELPER_VOID(cpuid)
{
    uint32_t out[4];
    x86_cpuid(x86_cpu(v), (uint32_t)v->g[RAX], (uint32_t)v->g[RCX], out);
    v->g[RAX] = out[0];
    v->g[RBX] = out[1];
    v->g[RCX] = out[2];
    v->g[RDX] = out[3];
}

static uint64_t random_number(Vcpu *v, unsigned size)
{
    uint64_t value = 0;
    bool ok = getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value);
    flags_set_explicit(v, ok ? FLAG_C : 0);
    return ok ? value & bits_mask(size * 8) : 0;
}

X86_HELPER(rdrand) { return random_number(v, (unsigned)a); }
X86_HELPER(rdseed) { return random_number(v, (unsigned)a); }

/* --- MSRs --- */

X86_HELPER_VOID(rdmsr)
{
    X86Cpu *c = x86_cpu(v);
    uint64_t value = 0;
    if (c->cpl || !x86_read_msr(c, (uint32_t)v->g[RCX], &value))
        x86_raise_gp(c);
    set_edx_eax(v, value);
}

X86_HELPER_VOID(wrmsr)
{
    X86Cpu *c = x86_cpu(v);
    uint64_t value = (uint32_t)v->g[RAX] | v->g[RDX] << 32;
    if (c->cpl || !x86_write_msr(c, (uint32_t)v->g[RCX], value))
        x86_raise_gp(c);
}

/* --- waiting --- */

static _Noreturn void wait_for_event(X86Cpu *c, bool mwait)
{
    x86_take_state(c);
    c->v.pc = c->next_pc;
    c->wait_mwait = mwait;
    c->v.halted = true;
    x86_leave(c);
}

X86_HELPER_VOID(hlt)
{
    X86Cpu *c = x86_cpu(v);
    if (c->cpl)
        x86_raise_gp(c);
    wait_for_event(c, false);
}

static void check_monitor(X86Cpu *c)
{
    if (!x86_has_feature(c, X86_FEATURE_MONITOR) || c->cpl)
        x86_raise_ud(c);
}

X86_HELPER_VOID(monitor)
{
    X86Cpu *c = x86_cpu(v);
    check_monitor(c);
    if ((uint32_t)v->g[RCX])
        x86_raise_gp(c);
    guest_probe(v, a, 1, ACCESS_READ, x86_bank(v->mode));
    c->monitor_armed = 1;
}

/*
 * Stores of other CPUs are not watched. MWAIT may return for reasons of its own (SDM vol. 2, MWAIT), so with other CPUs
 * about it gives up its slice and goes on; alone, only an interrupt can end the wait.
 */
X86_HELPER_VOID(mwait)
{
    X86Cpu *c = x86_cpu(v);
    check_monitor(c);
    if ((uint32_t)v->g[RCX] & ~1u)
        x86_raise_gp(c);
    bool armed = c->monitor_armed;
    c->monitor_armed = 0;
    if (!armed || vcpu_count() > 1) {
        x86_take_state(c);
        v->pc = c->next_pc;
        sched_yield();
        x86_leave(c);
    }
    wait_for_event(c, (uint32_t)v->g[RCX] & 1);
}

X86_HELPER_VOID(pause)
{
    if (vcpu_count() > 1)
        sched_yield();
}
