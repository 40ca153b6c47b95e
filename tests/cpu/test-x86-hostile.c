/* SPDX-License-Identifier: MIT */
/*
 * System instructions and events over random tables and registers: no crash, no endless loop, and a CPU state that can
 * be.
 */
#include "tests/cpu/x86-fixture.h"

enum { ROUNDS = 60000 };

#define H(name, a, b, c) { #name, (const void *)x86_help_##name, a, b, c }
typedef enum Arg { ANY, SELECTOR, SEGMENT, OSIZE, ADDRESS, CR, SMALL, PORT, VECTOR8, MSR } Arg;
static const struct { const char *name; const void *fn; Arg a, b, c;
} helpers[] = {
    H(ljmp, SELECTOR, ADDRESS, OSIZE),
    H(lcall, SELECTOR, ADDRESS, OSIZE),
    H(lret, OSIZE, SMALL, ANY),
    H(iret, OSIZE, ANY, ANY),
    H(syscall, ANY, ANY, ANY),
    H(sysret, OSIZE, ANY, ANY),
    H(sysenter, ANY, ANY, ANY),
    H(sysexit, OSIZE, ANY, ANY),
    H(rsm, ANY, ANY, ANY),
    H(load_seg, SEGMENT, SELECTOR, ANY),
    H(load_seg, SEGMENT, SELECTOR, ANY),
    H(lldt, SELECTOR, ANY, ANY),
    H(ltr, SELECTOR, ANY, ANY),
    H(lar, SELECTOR, ANY, OSIZE),
    H(lsl, SELECTOR, ANY, OSIZE),
    H(verr, SELECTOR, ANY, ANY),
    H(verw, SELECTOR, ANY, ANY),
    H(enter, SMALL, SMALL, OSIZE),
    H(swapgs, ANY, ANY, ANY),
    H(lgdt, ADDRESS, OSIZE, ANY),
    H(lidt, ADDRESS, OSIZE, ANY),
    H(sgdt, ADDRESS, OSIZE, ANY),
    H(write_cr, CR, ANY, ANY),
    H(read_cr, CR, ANY, ANY),
    H(write_dr, CR, ANY, ANY),
    H(read_dr, CR, ANY, ANY),
    H(wrmsr, ANY, ANY, ANY),
    H(rdmsr, ANY, ANY, ANY),
    H(popf, ANY, OSIZE, ANY),
    H(pushf, OSIZE, ANY, ANY),
    H(sti, SMALL, ANY, ANY),
    H(cli, ANY, ANY, ANY),
    H(int, VECTOR8, SMALL, ANY),
    H(icebp, ANY, ANY, ANY),
    H(hlt, ANY, ANY, ANY),
    H(in, PORT, OSIZE, ANY),
    H(out, PORT, OSIZE, ANY),
    H(ins, ADDRESS, OSIZE, OSIZE),
    H(outs, ADDRESS, OSIZE, ANY),
    H(invlpg, ADDRESS, ANY, ANY),
    H(invpcid, SMALL, ADDRESS, ANY),
    H(set_ac, SMALL, ANY, ANY),
    H(lmsw, ANY, ANY, ANY),
    H(clts, ANY, ANY, ANY),
    H(cpuid, ANY, ANY, ANY),
    H(cmpxchg16b, ADDRESS, ANY, ANY),
    H(xsetbv, ANY, ANY, ANY),
    H(mwait, ANY, ANY, ANY),
    H(monitor, ADDRESS, ANY, ANY),
};

static uint64_t any(GRand *r)
{
    uint64_t v = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    return v >> g_rand_int_range(r, 0, 64);
}

static uint64_t argument(GRand *r, Arg kind)
{
    static const uint8_t osizes[] = { 2, 4, 8 };
    switch (kind) {
    case SELECTOR: return (uint64_t)g_rand_int_range(r, 0, 0x110);
    case SEGMENT: {
        static const uint8_t segs[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };
        return segs[g_rand_int_range(r, 0, 5)];
    }
    case OSIZE: return osizes[g_rand_int_range(r, 0, 3)];
    case ADDRESS: return g_rand_int_range(r, 0, 10) ? (uint64_t)g_rand_int_range(r, 0, FIX_RAM) : any(r);
    case CR: return (uint64_t)g_rand_int_range(r, 0, 9) & 7;
    case SMALL: return (uint64_t)g_rand_int_range(r, 0, 40);
    case PORT: return (uint64_t)g_rand_int_range(r, 0, 65536);
    case VECTOR8: return (uint64_t)g_rand_int_range(r, 0, 256);
    default: return any(r);
    }
}

static void random_tables(GRand *r)
{
    for (unsigned i = 0; i < 0x4000; i += 4)
        store_le32(fix_ram + FIX_GDT + i, g_rand_int(r));
    for (unsigned i = 8; i < 0x100; i += 8) { /* mostly present, mostly small bases */
        uint8_t *at = fix_ram + FIX_GDT + i;
        if (g_rand_int_range(r, 0, 4))
            at[5] |= 0x80;
        if (g_rand_int_range(r, 0, 3))
            at[4] &= 0x0f, at[7] = 0;
    }
    for (unsigned i = 0; i < 256; i++) { /* gates to selectors that exist */
        uint8_t *at = fix_ram + FIX_IDT + i * (g_rand_boolean(r) ? 8 : 16) % 0xff0;
        store_le16(at + 2, (uint16_t)g_rand_int_range(r, 0, 0x100));
        at[5] |= 0x80;
    }
}

static void random_start(GRand *r, X86Cpu *c)
{
    x86_reset(&c->v);
    switch (g_rand_int_range(r, 0, 4)) {
    case 0: break; /* real mode */
    case 1: fix_protected32(c); break;
    case 2: fix_long64(c); break;
    default:
        fix_protected32(c);
        for (unsigned i = 0; i < SEG_COUNT; i++)
            c->seg[i] = x86_vm86_seg((uint16_t)g_rand_int(r));
        c->cpl = 3;
        c->cr4 |= g_rand_boolean(r) ? CR4_VME : 0;
        x86_set_eflags(c, 2 | EFL_VM | (g_rand_int(r) & 0x247fd5));
    }
    if (!x86_real_mode(c) && !x86_vm86(c) && g_rand_boolean(r))
        fix_ring3(c);
    if (g_rand_boolean(r))
        random_tables(r);
    for (unsigned i = 0; i < 16; i++)
        c->v.g[i] = g_rand_boolean(r) ? any(r) : (uint64_t)g_rand_int_range(r, 0, FIX_RAM);
    c->smm = !g_rand_int_range(r, 0, 8);
    c->next_pc = c->v.pc + 2;
    c->v.halted = false;
    if (!x86_vm86(c) && g_rand_boolean(r))
        x86_set_eflags(c, 2 | (g_rand_int(r) & 0x3c7fd5));
    x86_update_mode(c);
}

static void check_state(const char *after, X86Cpu *c)
{
    uint64_t mode = c->v.mode;
    bool ok = c->cpl <= 3 && (!x86_real_mode(c) || (c->cpl == 0 && !x86_vm86(c))) && (!x86_vm86(c) || c->cpl == 3);
    ok = ok && (!x86_lma(c) || (c->cr0 & CR0_PG && c->cr4 & CR4_PAE && c->efer & EFER_LME));
    ok = ok && (!(c->cr0 & CR0_PG) || c->cr0 & CR0_PE) && c->iflag <= 1 && (c->df == 1 || c->df == -1);
    x86_update_mode(c);
    if (!ok || mode != c->v.mode)
        g_error("after %s: cpl %u cr0 %" PRIx64 " cr4 %" PRIx64 " efer %" PRIx64 " eflags %x mode %" PRIx64
                ", should be %" PRIx64,
                after, c->cpl, c->cr0, c->cr4, c->efer, x86_get_eflags(c), mode, c->v.mode);
}

/* A fault, what it leads to, and so on: it ends in a handler or in a shutdown after three at most. */
static void settle(const char *after, X86Cpu *c)
{
    unsigned depth = 0;
    for (; c->event.kind != X86_EVENT_NONE; depth++) {
        if (depth > 8)
            g_error("after %s: exceptions without end", after);
        fix_deliver(c);
    }
    check_state(after, c);
}

static void test_helpers(gconstpointer model)
{
    X86Cpu *c = fix_cpu(model);
    g_autoptr(GRand) r = g_rand_new_with_seed(4711);
    for (unsigned n = 0; n < ROUNDS; n++) {
        if (n % 4 == 0)
            random_start(r, c);
        unsigned h = (unsigned)g_rand_int_range(r, 0, ARRAY_LEN(helpers));
        if (helpers[h].fn == (const void *)x86_help_wrmsr || helpers[h].fn == (const void *)x86_help_rdmsr)
            c->v.g[RCX] = g_rand_boolean(r) ? (uint64_t)g_rand_int_range(r, 0, 0x900)
                                            : 0xc0000080u + (uint64_t)g_rand_int_range(r, 0, 0x100);
        uint64_t result;
        fix_call(c, helpers[h].fn, argument(r, helpers[h].a), argument(r, helpers[h].b), argument(r, helpers[h].c),
                 &result);
        settle(helpers[h].name, c);
    }
    fix_free(c);
}

static void test_exceptions(void)
{
    X86Cpu *c = fix_cpu("max");
    g_autoptr(GRand) r = g_rand_new_with_seed(1147);
    for (unsigned n = 0; n < ROUNDS; n++) {
        random_start(r, c);
        c->event = (X86Event){ .kind = (uint8_t)g_rand_int_range(r, X86_EVENT_FAULT, X86_EVENT_NMI + 1),
                               .vector = (uint8_t)g_rand_int(r),
                               .has_error = g_rand_boolean(r),
                               .error = g_rand_int(r) & 0xffff };
        settle("an event", c);
    }
    fix_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/x86/hostile/max", "max", test_helpers);
    g_test_add_data_func("/x86/hostile/qemu32", "qemu32", test_helpers);
    g_test_add_data_func("/x86/hostile/Nehalem", "Nehalem", test_helpers);
    g_test_add_func("/x86/hostile/events", test_exceptions);
    return g_test_run();
}
