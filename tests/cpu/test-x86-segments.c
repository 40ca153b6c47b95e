/* SPDX-License-Identifier: MIT */
/*
 * Segment loads, far transfers, tasks and the frames of exceptions: what is checked, what is pushed, which error comes.
 */
#include "tests/cpu/x86-fixture.h"

#define HELP(name) ((const void *)x86_help_##name)

static uint64_t mem(uint64_t at, unsigned size) { return load_le(fix_ram + at, size); }

static void expect_fault(const X86Cpu *c, bool ok, int vector, uint32_t error)
{
    if (vector < 0) {
        if (!ok)
            g_error("unexpected exception %u, error %x", c->event.vector, c->event.error);
        return;
    }
    g_assert_false(ok);
    g_assert_cmpint(c->event.vector, ==, vector);
    g_assert_cmphex(c->event.error, ==, error);
}

/* --- loads of data segments and SS --- */

typedef struct LoadCase { unsigned seg, cpl; uint16_t sel; int vector; uint32_t error; } LoadCase;
static const LoadCase loads[] = {
    { SEG_DS, 0, SEL_DATA0, -1, 0 },
    { SEG_DS, 0, 0, -1, 0 },                             /* null is fine for data */
    { SEG_DS, 0, 3, -1, 0 },
    { SEG_DS, 3, SEL_DATA0, X86_GP, SEL_DATA0 },         /* DPL 0 from ring 3 */
    { SEG_DS, 3, SEL_DATA3, -1, 0 },
    { SEG_DS, 0, SEL_DATA0 | 3, X86_GP, SEL_DATA0 },     /* RPL 3 of DPL 0 */
    { SEG_ES, 0, SEL_CODE0, -1, 0 },                     /* readable code */
    { SEG_ES, 0, SEL_EXEC_ONLY, X86_GP, SEL_EXEC_ONLY },
    { SEG_ES, 3, SEL_CONFORMING | 3, -1, 0 },            /* conforming: no privilege check */
    { SEG_FS, 0, SEL_NOT_PRESENT, X86_NP, SEL_NOT_PRESENT },
    { SEG_GS, 0, 0xf8, X86_GP, 0xf8 },                   /* empty descriptor: a system type */
    { SEG_GS, 0, 0x108, X86_GP, 0x108 },                 /* beyond the GDT */
    { SEG_DS, 0, SEL_TSS, X86_GP, SEL_TSS },
    { SEG_DS, 0, 0x0c, X86_GP, 0x0c },                   /* no LDT */
    { SEG_SS, 0, SEL_DATA0, -1, 0 },
    { SEG_SS, 0, 0, X86_GP, 0 },
    { SEG_SS, 0, SEL_DATA3, X86_GP, SEL_DATA3 & ~3 },
    { SEG_SS, 0, SEL_CODE0, X86_GP, SEL_CODE0 },
    { SEG_SS, 0, SEL_READ_ONLY, X86_GP, SEL_READ_ONLY },
    { SEG_SS, 0, SEL_NOT_PRESENT, X86_SS, SEL_NOT_PRESENT },
    { SEG_SS, 3, SEL_DATA3, -1, 0 },
};

static void test_loads(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    for (unsigned i = 0; i < ARRAY_LEN(loads); i++) {
        fix_protected32(c);
        if (loads[i].cpl)
            fix_ring3(c);
        bool ok = fix_call(c, HELP(load_seg), loads[i].seg, loads[i].sel, 0, NULL);
        expect_fault(c, ok, loads[i].vector, loads[i].error);
        if (ok) {
            g_assert_cmphex(c->seg[loads[i].seg].sel, ==, loads[i].sel);
            g_assert_cmpint(c->shadow, ==, loads[i].seg == SEG_SS);
            if (loads[i].sel & ~3)
                g_assert_true(mem(FIX_GDT + (loads[i].sel & ~7u) + 5, 1) & 1); /* accessed */
        }
        c->shadow = 0;
    }
    fix_free(c);
}

static void test_limits(void)
{
    static const struct { uint16_t sel; uint64_t off; unsigned size; bool write, ok;
    } t[] = {
        { SEL_SMALL, 0xfc, 4, false, true },
        { SEL_SMALL, 0xfd, 4, false, false },
        { SEL_SMALL, 0xff, 1, true, true },
        { SEL_SMALL, 0x100, 1, true, false },
        { SEL_READ_ONLY, 0, 4, false, true },
        { SEL_READ_ONLY, 0, 4, true, false },
        { SEL_DATA0, 0xffffffff, 1, true, true },
        { SEL_DATA0, 0xffffffff, 2, true, false },
        /* expand-down */
        { 0xa8, 0xfff, 1, false, false },
        { 0xa8, 0x1000, 4, true, true },
        { 0xa8, 0xfffffffd, 4, true, false },
        { 0, 0, 1, false, false },
    };
    X86Cpu *c = fix_cpu("qemu32");
    fix_protected32(c);
    fix_desc(0xa8, 0, 0xfff, SEG_P | SEG_S | SEG_W | SEG_E | SEG_D);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        g_assert_true(fix_call(c, HELP(load_seg), SEG_DS, t[i].sel, 0, NULL));
        bool ok = fix_call(c, HELP(seg_check), t[i].off, t[i].size | SEG_DS << 8 | (unsigned)t[i].write << 16, 0, NULL);
        expect_fault(c, ok, t[i].ok ? -1 : X86_GP, 0);
        g_assert_true(t[i].ok || c->v.mode & X86_MODE_CHECK(SEG_DS) || t[i].sel == SEL_DATA0);
    }
    fix_free(c);
}

/* --- far jumps and calls --- */

static void call_gate(unsigned sel, uint16_t target, uint32_t offset, unsigned dpl, unsigned params)
{
    store_le32(fix_ram + FIX_GDT + (sel & ~7u), (uint32_t)target << 16 | (offset & 0xffff));
    store_le32(fix_ram + FIX_GDT + (sel & ~7u) + 4,
               (offset & 0xffff0000) | SEG_P | dpl << 13 | DESC_CALL32 << 8 | params);
}

typedef struct FarCase { unsigned cpl; uint16_t sel; int vector; uint32_t error; unsigned cs; } FarCase;
static const FarCase jumps[] = {
    { 0, SEL_CODE0, -1, 0, SEL_CODE0 },
    { 0, 0, X86_GP, 0, 0 },
    { 0, SEL_DATA0, X86_GP, SEL_DATA0, 0 },
    { 0, SEL_CODE3, X86_GP, SEL_CODE3 & ~3, 0 },
    { 3, SEL_CODE0, X86_GP, SEL_CODE0, 0 },
    { 3, SEL_CONFORMING, -1, 0, SEL_CONFORMING | 3 },
    { 0, SEL_CONFORMING, -1, 0, SEL_CONFORMING },
    { 0, SEL_NOT_PRESENT, X86_GP, SEL_NOT_PRESENT, 0 }, /* data: the type comes first */
    { 0, SEL_GATE, -1, 0, SEL_CODE0 },
    { 3, SEL_GATE | 3, X86_GP, SEL_CODE0, 0 },          /* JMP through a gate can't change the level */
};

static void test_far_jump(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    for (unsigned i = 0; i < ARRAY_LEN(jumps); i++) {
        fix_protected32(c);
        call_gate(SEL_GATE, SEL_CODE0, 0x12345678, 3, 0);
        if (jumps[i].cpl)
            fix_ring3(c);
        bool ok = fix_call(c, HELP(ljmp), jumps[i].sel, 0x21000, 4, NULL);
        expect_fault(c, ok, jumps[i].vector, jumps[i].error);
        if (ok) {
            g_assert_cmphex(c->seg[SEG_CS].sel, ==, jumps[i].cs);
            g_assert_cmphex(c->v.pc, ==, (jumps[i].sel & ~3) == SEL_GATE ? 0x12345678 : 0x21000);
        }
    }
    fix_free(c);
}

/* Through a gate to ring 0 with two parameters, and back with RETF 8. */
static void test_call_gate(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    fix_protected32(c);
    call_gate(SEL_GATE, SEL_CODE0, 0x22000, 3, 2);
    fix_ring3(c);
    store_le32(fix_ram + FIX_STACK3, 0xaaaa);
    store_le32(fix_ram + FIX_STACK3 + 4, 0xbbbb);
    c->next_pc = 0x20007;
    expect_fault(c, fix_call(c, HELP(lcall), SEL_GATE | 3, 0, 4, NULL), -1, 0);
    g_assert_cmpuint(c->cpl, ==, 0);
    g_assert_cmphex(c->seg[SEG_CS].sel, ==, SEL_CODE0);
    g_assert_cmphex(c->seg[SEG_SS].sel, ==, SEL_DATA0);
    g_assert_cmphex(c->v.pc, ==, 0x22000);
    g_assert_cmphex(c->v.g[RSP], ==, FIX_STACK - 24);
    static const uint32_t frame[] = { 0x20007, SEL_CODE3, 0xaaaa, 0xbbbb, FIX_STACK3, SEL_DATA3 };
    for (unsigned i = 0; i < 6; i++)
        g_assert_cmphex(mem(FIX_STACK - 24 + i * 4, 4), ==, frame[i]);
    expect_fault(c, fix_call(c, HELP(load_seg), SEG_ES, SEL_DATA0, 0, NULL), -1, 0);
    expect_fault(c, fix_call(c, HELP(lret), 4, 8, 0, NULL), -1, 0);
    g_assert_cmpuint(c->cpl, ==, 3);
    g_assert_cmphex(c->v.pc, ==, 0x20007);
    g_assert_cmphex(c->v.g[RSP], ==, FIX_STACK3 + 8);
    g_assert_cmphex(c->seg[SEG_SS].sel, ==, SEL_DATA3);
    g_assert_cmphex(c->seg[SEG_ES].sel, ==, 0); /* ring 0 data is taken away */
    g_assert_cmphex(c->seg[SEG_DS].sel, ==, SEL_DATA3);
    fix_free(c);
}

/* --- IRET --- */

static void push32(X86Cpu *c, uint32_t value)
{
    c->v.g[RSP] -= 4;
    store_le32(fix_ram + c->v.g[RSP], value);
}

static void test_iret_vm86(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    fix_protected32(c);
    static const uint32_t frame[] = { 0x4444, 0x3333, 0x2222, 0x1111, 0x5555, 0xfffe, EFL_VM | EFL_IOPL | EFL_IF | 2,
                                      0x6666, 0x100 };
    for (unsigned i = 0; i < ARRAY_LEN(frame); i++)
        push32(c, frame[i]);
    expect_fault(c, fix_call(c, HELP(iret), 4, 0, 0, NULL), -1, 0);
    g_assert_true(x86_vm86(c));
    g_assert_cmpuint(c->cpl, ==, 3);
    g_assert_cmphex(c->seg[SEG_CS].base, ==, 0x66660);
    g_assert_cmphex(c->seg[SEG_ES].sel, ==, 0x1111);
    g_assert_cmphex(c->seg[SEG_GS].sel, ==, 0x4444);
    g_assert_cmphex(c->v.g[RSP], ==, 0xfffe);
    g_assert_true(c->v.mode & X86_MODE_VM86);
    g_assert_cmphex(x86_get_eflags(c) & EFL_IOPL, ==, EFL_IOPL);

    /* A fault from VM86 goes to ring 0 and pushes all segment registers. */
    fix_gate(X86_GP, 8, SEL_CODE0, 0x23000, DESC_INT32, 0, 0);
    x86_record_fault(c, X86_GP, true, 0);
    fix_deliver(c);
    g_assert_false(x86_vm86(c));
    g_assert_cmphex(c->v.g[RSP], ==, FIX_STACK - 40);
    static const uint32_t pushed[] = { 0,      0x100,  0x6666, EFL_VM | EFL_IOPL | EFL_IF | EFL_RF | 2,
                                       0xfffe, 0x5555, 0x1111, 0x2222,
                                       0x3333, 0x4444 };
    for (unsigned i = 0; i < ARRAY_LEN(pushed); i++)
        g_assert_cmphex(mem(FIX_STACK - 40 + i * 4, 4), ==, pushed[i]);
    g_assert_cmphex(c->seg[SEG_DS].sel, ==, 0);
    fix_free(c);
}

/* Ring 3 can't change IOPL or IF; popping them keeps the old ones. */
static void test_iret_flags(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    fix_protected32(c);
    fix_ring3(c);
    x86_set_eflags(c, 2 | EFL_IF);
    push32(c, EFL_IOPL | FLAG_C | EFL_DF | 2);
    push32(c, SEL_CODE3);
    push32(c, 0x20100);
    expect_fault(c, fix_call(c, HELP(iret), 4, 0, 0, NULL), -1, 0);
    g_assert_cmphex(x86_get_eflags(c), ==, 2 | EFL_IF | FLAG_C | EFL_DF);
    push32(c, 2);
    push32(c, SEL_CODE0); /* inward */
    push32(c, 0x20100);
    expect_fault(c, fix_call(c, HELP(iret), 4, 0, 0, NULL), X86_GP, SEL_CODE0);
    fix_free(c);
}

/* --- delivery --- */

static void test_deliver_real(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    c->v.g[RSP] = 0x12340200;
    c->v.pc = 0x7c00;
    x86_set_real_seg(c, SEG_CS, 0);
    c->idt.base = 0, c->idt.limit = 0x3ff;
    store_le32(fix_ram + 0x10 * 4, 0xf0001234);
    x86_set_eflags(c, 2 | EFL_IF | FLAG_Z);
    c->event = (X86Event){ .kind = X86_EVENT_SOFT_INT, .vector = 0x10, .next_pc = 0x7c02 };
    fix_deliver(c);
    g_assert_cmphex(c->v.pc, ==, 0x1234);
    g_assert_cmphex(c->seg[SEG_CS].base, ==, 0xf0000);
    g_assert_cmphex(c->v.g[RSP], ==, 0x123401fa);
    g_assert_cmphex(mem(0x1fa, 2), ==, 0x7c02);
    g_assert_cmphex(mem(0x1fe, 2), ==, 2 | EFL_IF | FLAG_Z);
    g_assert_false(x86_get_eflags(c) & EFL_IF);
    expect_fault(c, fix_call(c, HELP(iret), 2, 0, 0, NULL), -1, 0);
    g_assert_cmphex(c->v.pc, ==, 0x7c02);
    g_assert_cmphex(c->v.g[RSP], ==, 0x12340200);
    g_assert_cmphex(x86_get_eflags(c), ==, 2 | EFL_IF | FLAG_Z);
    fix_free(c);
}

static void test_deliver_long(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c);
    fix_ring3(c);
    fix_gate(X86_PF, 16, SEL_CODE64, 0x24000, DESC_INT32, 0, 0);
    fix_gate(X86_BP, 16, SEL_CODE64, 0x25000, DESC_TRAP32, 3, 2);
    store_le64(fix_ram + FIX_TSS + 0x24 + 8, FIX_STACK - 0x1008); /* IST 2, misaligned */
    x86_set_eflags(c, 2 | EFL_IF | EFL_TF);
    x86_record_fault(c, X86_PF, true, 7);
    c->event.cr2 = 0xdeadb000;
    fix_deliver(c);
    g_assert_cmphex(c->cr2, ==, 0xdeadb000);
    g_assert_cmphex(c->v.pc, ==, 0x24000);
    g_assert_cmphex(c->seg[SEG_CS].sel, ==, SEL_CODE64);
    g_assert_cmphex(c->seg[SEG_SS].sel, ==, 0);
    static const uint64_t frame[] = { 7, FIX_CODE, SEL_CODE64_3, 2 | EFL_IF | EFL_TF | EFL_RF, FIX_STACK3, SEL_DATA3 };
    for (unsigned i = 0; i < ARRAY_LEN(frame); i++)
        g_assert_cmphex(mem(FIX_STACK - 48 + i * 8, 8), ==, frame[i]);
    g_assert_cmphex(x86_get_eflags(c), ==, 2);
    c->v.g[RSP] += 8;
    expect_fault(c, fix_call(c, HELP(iret), 8, 0, 0, NULL), -1, 0);
    g_assert_cmpuint(c->cpl, ==, 3);
    g_assert_cmphex(x86_get_eflags(c) & ~EFL_RF, ==, 2 | EFL_IF | EFL_TF);

    c->event = (X86Event){ .kind = X86_EVENT_SOFT_INT, .vector = X86_BP, .next_pc = FIX_CODE + 1 };
    fix_deliver(c);
    g_assert_cmphex(c->v.g[RSP], ==, FIX_STACK - 0x1010 - 40);
    g_assert_true(x86_get_eflags(c) & EFL_IF); /* a trap gate */
    fix_free(c);
}

/* A page of the stack is missing: #PF while delivering #GP gives #DF; no #DF gate: shutdown. */
static void test_double_fault(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c);
    fix_ring3(c);
    fix_gate(X86_DF, 16, SEL_CODE64, 0x26000, DESC_INT32, 0, 1);
    store_le64(fix_ram + FIX_TSS + 4, 0x800000);    /* RSP0: not mapped */
    store_le64(fix_ram + FIX_TSS + 0x24, FIX_STACK); /* IST 1 */
    x86_record_fault(c, X86_GP, true, 0);            /* no gate for #GP: #NP or #GP, contributory */
    fix_deliver(c);
    g_assert_cmphex(c->v.pc, ==, 0x26000);
    g_assert_cmphex(mem(FIX_STACK - 48, 8), ==, 0);  /* error code */
    g_assert_cmphex(mem(FIX_STACK - 40, 8), ==, FIX_CODE);

    fix_long64(c);
    fix_ring3(c);
    fix_gate(X86_UD, 16, SEL_CODE64, 0x27000, DESC_INT32, 0, 0);
    fix_gate(X86_PF, 16, SEL_CODE64, 0x28000, DESC_INT32, 0, 1);
    store_le64(fix_ram + FIX_TSS + 4, 0x800000);
    x86_record_fault(c, X86_UD, false, 0); /* benign, then #PF: the #PF is delivered */
    fix_deliver(c);
    g_assert_cmphex(c->v.pc, ==, 0x28000);
    g_assert_cmphex(c->cr2, ==, 0x800000 - 8);

    fix_long64(c);
    memset(fix_ram + FIX_IDT, 0, 0x1000);
    x86_record_fault(c, X86_GP, true, 0);
    fix_deliver(c);
    g_assert_true(c->triple_faulted);
    g_assert_false(x86_poll(&c->v));
    fix_free(c);
}

/* Error codes of a bad gate name it: vector * 8 + 2, and EXT unless a program asked. */
static void test_gate_errors(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    fix_protected32(c);
    fix_gate(X86_GP, 8, SEL_CODE0, 0x29000, DESC_INT32, 0, 0);
    fix_gate(0x40, 8, SEL_DATA0, 0, DESC_INT32, 0, 0);
    fix_gate(0x41, 8, SEL_CODE0, 0, DESC_INT32, 0, 0);
    static const struct { unsigned vector; X86EventKind kind; bool ring3; uint32_t error; } t[] = {
        { 0x42, X86_EVENT_SOFT_INT, false, 0x42 * 8 + 2 }, { 0x42, X86_EVENT_INTR, false, 0x42 * 8 + 3 },
        { 0x40, X86_EVENT_SOFT_INT, false, SEL_DATA0 }, { 0x40, X86_EVENT_INTR, false, SEL_DATA0 | 1 },
        { 0x41, X86_EVENT_SOFT_INT, true, 0x41 * 8 + 2 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        fix_protected32(c);
        if (t[i].ring3)
            fix_ring3(c);
        c->event = (X86Event){ .kind = t[i].kind, .vector = (uint8_t)t[i].vector, .next_pc = FIX_CODE + 2 };
        fix_deliver(c);
        g_assert_cmphex(c->v.pc, ==, 0x29000);
        g_assert_cmphex(mem(c->v.g[RSP], 4), ==, t[i].error);
        g_assert_cmphex(mem(c->v.g[RSP] + 4, 4), ==, FIX_CODE); /* the INT itself */
    }
    fix_free(c);
}

/* --- tasks --- */

static void new_task(void)
{
    uint8_t *t = fix_ram + FIX_TSS2;
    store_le32(t + 0x20, 0x2a000);
    store_le32(t + 0x24, 2 | FLAG_C);
    for (unsigned i = 0; i < 8; i++)
        store_le32(t + 0x28 + i * 4, 0x100 + i);
    store_le32(t + 0x28 + RSP * 4, FIX_STACK3);
    static const uint16_t sel[6] = { SEL_DATA0, SEL_CODE0, SEL_DATA0, SEL_DATA0, 0, 0 };
    for (unsigned i = 0; i < 6; i++)
        store_le32(t + 0x48 + i * 4, sel[i]);
}

static void test_task_switch(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    fix_protected32(c);
    fix_desc(SEL_TSS, FIX_TSS, 0x2068, SEG_P | DESC_TSS32_BUSY << 8);
    new_task();
    c->v.g[RCX] = 0xc0ffee;
    c->next_pc = FIX_CODE + 7;
    expect_fault(c, fix_call(c, HELP(lcall), SEL_TSS2, 0, 4, NULL), -1, 0);
    g_assert_cmphex(c->v.pc, ==, 0x2a000);
    g_assert_cmphex(c->v.g[RCX], ==, 0x101);
    g_assert_cmphex(x86_get_eflags(c), ==, 2 | FLAG_C | EFL_NT);
    g_assert_cmphex(c->seg[SEG_TR].sel, ==, SEL_TSS2);
    g_assert_true(c->cr0 & CR0_TS);
    g_assert_cmphex(mem(FIX_TSS2, 2), ==, SEL_TSS);
    g_assert_cmphex(mem(FIX_TSS + 0x20, 4), ==, FIX_CODE + 7);
    g_assert_cmphex(mem(FIX_TSS + 0x28 + 4, 4), ==, 0xc0ffee);
    g_assert_cmpuint(mem(FIX_GDT + SEL_TSS2 + 5, 1) & 15, ==, DESC_TSS32_BUSY);
    c->next_pc = 0x2a001;
    expect_fault(c, fix_call(c, HELP(iret), 4, 0, 0, NULL), -1, 0);
    g_assert_cmphex(c->v.pc, ==, FIX_CODE + 7);
    g_assert_cmphex(c->v.g[RCX], ==, 0xc0ffee);
    g_assert_cmphex(c->seg[SEG_TR].sel, ==, SEL_TSS);
    g_assert_cmpuint(mem(FIX_GDT + SEL_TSS2 + 5, 1) & 15, ==, DESC_TSS32);
    expect_fault(c, fix_call(c, HELP(ljmp), SEL_TSS, 0, 4, NULL), X86_GP, SEL_TSS); /* busy */
    /* An exception through a task gate: the error code stands on the new task's stack. */
    fix_gate(X86_GP, 8, SEL_TSS2, 0, DESC_TASK_GATE, 0, 0);
    x86_record_fault(c, X86_GP, true, 0x18);
    fix_deliver(c);
    g_assert_cmphex(c->v.pc, ==, 0x2a001); /* where it had left */
    g_assert_cmphex(c->v.g[RSP], ==, FIX_STACK3 - 4);
    g_assert_cmphex(mem(c->v.g[RSP], 4), ==, 0x18);
    fix_free(c);
}

/* --- system calls, odd descriptors --- */

static void test_syscall(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c);
    fix_ring3(c);
    c->star = UINT64_C(0x33) << 48 | (uint64_t)SEL_CODE64 << 32;
    c->lstar = UINT64_C(0xffffffff80001000);
    c->fmask = EFL_IF | EFL_TF;
    x86_set_eflags(c, 2 | EFL_IF | FLAG_Z);
    c->next_pc = 0x400002;
    expect_fault(c, fix_call(c, HELP(syscall), 0, 0, 0, NULL), -1, 0);
    g_assert_cmphex(c->v.pc, ==, c->lstar);
    g_assert_cmphex(c->v.g[RCX], ==, 0x400002);
    g_assert_cmphex(c->v.g[R11], ==, 2 | EFL_IF | FLAG_Z);
    g_assert_cmphex(x86_get_eflags(c), ==, 2 | FLAG_Z);
    g_assert_cmphex(c->seg[SEG_SS].sel, ==, SEL_CODE64 + 8);
    g_assert_cmpuint(c->cpl, ==, 0);
    expect_fault(c, fix_call(c, HELP(sysret), 8, 0, 0, NULL), -1, 0);
    g_assert_cmphex(c->seg[SEG_CS].sel, ==, 0x43);
    g_assert_cmphex(c->seg[SEG_SS].sel, ==, 0x3b);
    g_assert_true(x86_is_64(c) && c->cpl == 3);
    g_assert_cmphex(c->v.pc, ==, 0x400002);
    expect_fault(c, fix_call(c, HELP(sysret), 8, 0, 0, NULL), X86_GP, 0);
    fix_free(c);
}

static void test_lar_lsl(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    uint64_t r;
    fix_protected32(c);
    g_assert_true(fix_call(c, HELP(lar), SEL_DATA3, 0x55, 4, &r));
    g_assert_cmphex(r & SEG_ATTR_MASK, ==, SEG_G | SEG_D | SEG_P | SEG_S | SEG_W | SEG_DPL); /* 19:16 are undefined */
    g_assert_true(x86_get_eflags(c) & FLAG_Z);
    g_assert_true(fix_call(c, HELP(lsl), SEL_SMALL, 0x55, 4, &r));
    g_assert_cmphex(r, ==, 0xff);
    fix_ring3(c);
    g_assert_true(fix_call(c, HELP(lar), SEL_DATA0, 0x55, 4, &r));
    g_assert_cmphex(r, ==, 0x55);
    g_assert_false(x86_get_eflags(c) & FLAG_Z);
    g_assert_true(fix_call(c, HELP(verw), SEL_DATA3, 0, 0, NULL));
    g_assert_true(x86_get_eflags(c) & FLAG_Z);
    g_assert_true(fix_call(c, HELP(verw), SEL_CODE3, 0, 0, NULL));
    g_assert_false(x86_get_eflags(c) & FLAG_Z);
    fix_free(c);
}

/* The TSS's permission map: byte of the port and the one after it. */
static void test_io_map(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    uint64_t r;
    fix_protected32(c);
    store_le16(fix_ram + FIX_TSS + 0x66, 0x68);
    memset(fix_ram + FIX_TSS + 0x68, 0xff, 0x2001);
    fix_ram[FIX_TSS + 0x68 + 0x60 / 8] = 0xee; /* ports 0x60 and 0x64 are free */
    fix_ring3(c);
    fix_port_value = 0x5a;
    g_assert_true(fix_call(c, HELP(in), 0x60, 1, 0, &r));
    g_assert_cmphex(r, ==, 0x5a);
    expect_fault(c, fix_call(c, HELP(in), 0x60, 2, 0, &r), X86_GP, 0);
    expect_fault(c, fix_call(c, HELP(out), 0x61, 1, 0, NULL), X86_GP, 0);
    x86_set_eflags(c, 2 | EFL_IOPL);
    g_assert_true(fix_call(c, HELP(out), 0x61, 1, 0x77, NULL));
    g_assert_cmphex(fix_port_value, ==, 0x77);
    c->seg[SEG_TR].limit = 0x67;
    x86_set_eflags(c, 2);
    expect_fault(c, fix_call(c, HELP(in), 0x60, 1, 0, &r), X86_GP, 0);
    fix_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86/segments/load", test_loads);
    g_test_add_func("/x86/segments/limits", test_limits);
    g_test_add_func("/x86/far/jump", test_far_jump);
    g_test_add_func("/x86/far/call-gate", test_call_gate);
    g_test_add_func("/x86/iret/vm86", test_iret_vm86);
    g_test_add_func("/x86/iret/flags", test_iret_flags);
    g_test_add_func("/x86/deliver/real", test_deliver_real);
    g_test_add_func("/x86/deliver/long", test_deliver_long);
    g_test_add_func("/x86/deliver/double-fault", test_double_fault);
    g_test_add_func("/x86/deliver/gate-errors", test_gate_errors);
    g_test_add_func("/x86/task/switch", test_task_switch);
    g_test_add_func("/x86/syscall", test_syscall);
    g_test_add_func("/x86/segments/lar-lsl", test_lar_lsl);
    g_test_add_func("/x86/io-map", test_io_map);
    return g_test_run();
}
