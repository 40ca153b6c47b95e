/* SPDX-License-Identifier: MIT */
/*
 * Bare-metal test of 64-bit mode: exceptions, paging, self-modifying code, user mode, interrupts, SMP. Oracle: the
 * manuals; real CPUs.
 */
#include "lib64.h"

enum { VA = 0x4000000000ul }; /* 256 GiB: nothing else is there */

/* --- exceptions --- */
static void test_exceptions(void)
{
    TRY("ud2", : : : "rax", "memory");
    EXPECT_EXC("ud2", 6, 0);
    TRY("xor %%edx, %%edx\n\txor %%ecx, %%ecx\n\tdiv %%ecx", : : : "rax", "rcx", "rdx", "memory");
    EXPECT_EXC("div by 0", 0, 0);
    TRY("mov $2, %%edx\n\tmov $1, %%ecx\n\tdiv %%ecx", : : : "rax", "rcx", "rdx", "memory");
    EXPECT_EXC("div overflow", 0, 0);
    TRY("mov $0x80000000, %%eax\n\tcdq\n\tmov $-1, %%ecx\n\tidiv %%ecx", : : : "rax", "rcx", "rdx", "memory");
    EXPECT_EXC("idiv overflow", 0, 0);
    u64 here;
    TRY("lea 1f(%%rip), %0\n\tint3\n1:", : "=r"(here) : : "rax", "memory");
    EXPECT_EXC("int3", 3, 0);
    EXPECT("int3 pushes the next insn", caught.rip, here);
    TRY("lea 1f(%%rip), %0\n\tint $0x55\n1:", : "=r"(here) : : "rax", "memory");
    EXPECT_EXC("int n", 0x55, 0);
    EXPECT("int n pushes the next insn", caught.rip, here);
    TRY("movabs $0x8000000000000000, %%rcx\n\tmov (%%rcx), %%ecx", : : : "rax", "rcx", "memory");
    EXPECT_EXC("non-canonical read", 13, 0);
    TRY("movabs $0x8000000000000000, %%rsp\n\tpush %%rax", : : : "rax", "memory");
    EXPECT_EXC("non-canonical push", 12, 0);
    TRY("mov $0x12345678, %%ecx\n\txor %%eax, %%eax\n\txor %%edx, %%edx\n\twrmsr", : : : "rax", "rcx", "rdx", "memory");
    EXPECT_EXC("wrmsr of no MSR", 13, 0);
    TRY("mov $0xfff8, %%ecx\n\tmov %%ecx, %%fs", : : : "rax", "rcx", "memory");
    EXPECT_EXC("selector beyond the GDT", 13, 0xfff8);
    write_cr0(read_cr0() | 8);
    TRY("fnop", : : : "rax", "memory");
    EXPECT_EXC("fnop under TS", 7, 0);
    TRY("movaps %%xmm0, %%xmm1", : : : "rax", "memory");
    EXPECT_EXC("movaps under TS", 7, 0);
    __asm__ volatile("clts");
    TRY("lea 1f(%%rip), %%rcx\n\tmovaps 1(%%rcx), %%xmm0\n1:", : : : "rax", "rcx", "memory");
    EXPECT_EXC("misaligned movaps", 13, 0);
    TRY(".byte 0xf0, 0x01, 0xc0", : : : "rax", "memory"); /* lock add %eax, %eax */
    EXPECT_EXC("lock on a register", 6, 0);
    TRY(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90", : : : "rax", "memory");
    EXPECT_EXC("16-byte insn", 13, 0);
    TRY("mov %%cr4, %%rax\n\tbts $31, %%rax\n\tmov %%rax, %%cr4", : : : "rax", "memory");
    EXPECT_EXC("cr4 reserved bits", 13, 0);
    TRY("mov %%cr0, %%rax\n\tbtr $0, %%rax\n\tmov %%rax, %%cr0", : : : "rax", "memory");
    EXPECT_EXC("cr0: PE off with PG on", 13, 0);
    TRY("mov $0xc0000080, %%ecx\n\trdmsr\n\tbtr $8, %%eax\n\twrmsr", : : : "rax", "rcx", "rdx", "memory");
    EXPECT_EXC("EFER.LME off with PG on", 13, 0);
    /* flags at a fault are those before it; an arithmetic result whose flags nobody reads is there, too */
    map4k(VA, 0, 0);
    u64 result;
    TRY("mov $0x7fffffff, %%ecx\n\tadd $1, %%ecx\n\tmov %%rcx, %0\n\tmov (%1), %%edx", : "=&r"(result) : "r"(VA)
        : "rax", "rcx", "rdx", "memory");
    EXPECT("flags at a fault", caught.rflags & 0x8d5, 0x894); /* O S A P */
    EXPECT("result before a fault", result, 0x80000000);
    TRY("mov $5, %%ecx\n\tcmp $7, %%rcx\n\tmov $1, %%ecx\n\t"
        "mov (%0), %%edx", : : "r"(VA) : "rax", "rcx", "rdx", "memory");
    EXPECT("flags at a fault after the operand has changed", caught.rflags & 0x8d5, 0x091);
    TRY("stc\n\tmov $0xff, %%ecx\n\tinc %%cl\n\tmov (%0), %%edx", : : "r"(VA) : "rax", "rcx", "rdx", "memory");
    EXPECT("inc keeps C at a fault", caught.rflags & 0x8d5, 0x055);
    TRY("mov $3, %%ecx\n\tmov $0x40000001, %%edx\n\tshl %%cl, %%edx\n\tmov $0, %%edx\n\tmov (%0), %%ecx", : : "r"(VA)
        : "rax", "rcx", "rdx", "memory");
    EXPECT("shl flags at a fault", caught.rflags & 0xc5, 0x000);
}

/* --- single step and breakpoints --- */
static u32 steps;
static u64 step_rip[8];
static int count_steps(Frame *f)
{
    if (f->vector != 1)
        return 0;
    if (steps < 8)
        step_rip[steps] = f->rip;
    steps++;
    return 1;
}
static void test_debug(void)
{
    u64 dr6, first;
    steps = 0;
    hook = count_steps;
    __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ul));
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tlea 1f(%%rip), %0\n1:\tnop\n\tmov $1, %%ecx\n\t"
                     "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tnop"
                     : "=r"(first) : : "rcx", "memory");
    hook = 0;
    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    EXPECT("single steps", steps, 6); /* lea nop mov pushf and popf */
    EXPECT("the first trap comes after the insn behind popf", step_rip[0], first);
    EXPECT("DR6.BS", dr6 & 0x4000, 0x4000);
    /* data breakpoint on write: a trap after the insn */
    static volatile u32 watched[4];
    __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ul));
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7" : : "r"(&watched[1]), "r"(0xd0403ul));
    u64 after;
    TRY("movl $1, %1\n\tlea 1f(%%rip), %0\n\tmovl $1, %2\n"
        "1:", : "=r"(after), "=m"(watched[0]), "=m"(watched[1]) : : "rax", "memory");
    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    EXPECT_EXC("data breakpoint", 1, 0);
    EXPECT("data breakpoint: rip behind the write", caught.rip, after);
    EXPECT("data breakpoint: done", watched[1], 1);
    EXPECT("DR6.B0", dr6 & 15, 1);
    /* code breakpoint: a fault before the insn */
    u64 at;
    __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ul));
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ul));
    TRY("lea 1f(%%rip), %%rcx\n\tmov %%rcx, %%dr1\n\tmov $0x40c, %%edx\n\tmov %%rdx, %%dr7\n\tmov %%rcx, %0\n1:\tnop",
        : "=&r"(at) : : "rax", "rcx", "rdx", "memory");
    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    EXPECT_EXC("code breakpoint", 1, 0);
    EXPECT("code breakpoint: rip", caught.rip, at);
    EXPECT("DR6.B1", dr6 & 15, 2);
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ul));
}

/* --- paging --- */
static void test_paging(void)
{
    volatile u32 *p = (u32 *)VA;
    volatile u32 *page = page_alloc(), *second = page_alloc();
    map4k(VA, 0, 0);
    TRY("mov (%0), %%ecx", : : "r"(p) : "rax", "rcx", "memory");
    EXPECT_EXC("read of nothing", 14, 0);
    EXPECT("cr2", caught.cr2, VA);
    TRY("movl $1, 0x123(%0)", : : "r"(p) : "rax", "memory");
    EXPECT_EXC("write to nothing", 14, 2);
    EXPECT("cr2", caught.cr2, VA + 0x123);
    map4k(VA, (u64)page, PTE_P);
    page[0] = 0x11223344;
    EXPECT("read", p[0], 0x11223344);
    EXPECT("A is set, D is not", *pte_of(VA) & (PTE_A | PTE_D), PTE_A);
    TRY("movl $1, (%0)", : : "r"(p) : "rax", "memory");
    EXPECT_EXC("write to read-only under WP", 14, 3);
    write_cr0(read_cr0() & ~0x10000ul);
    p[1] = 77;
    write_cr0(read_cr0() | 0x10000);
    EXPECT("supervisor write without WP", page[1], 77);
    EXPECT("D is set by it", *pte_of(VA) & PTE_D, PTE_D);
    TRY("movl $1, (%0)", : : "r"(p) : "rax", "memory");
    EXPECT_EXC("WP on again", 14, 3);
    map4k(VA, (u64)page, PTE_P | PTE_W);
    EXPECT("read", p[0], 0x11223344);
    EXPECT("D waits for a write", *pte_of(VA) & PTE_D, 0);
    p[0] = 5;
    EXPECT("D is set by the write", *pte_of(VA) & PTE_D, PTE_D);
    map4k(VA, (u64)page, PTE_P | PTE_W | PTE_NX);
    TRY("jmp *%0", : : "r"(p) : "rax", "memory");
    EXPECT_EXC("fetch from NX", 14, 0x11);
    *pte_of(VA) |= 1ul << 51;
    invlpg((void *)p);
    TRY("mov (%0), %%ecx", : : "r"(p) : "rax", "rcx", "memory");
    EXPECT_EXC("reserved bit", 14, 9);
    /* a store that crosses into a page that is absent changes nothing */
    map4k(VA, (u64)page, PTE_P | PTE_W);
    map4k(VA + 4096, 0, 0);
    page[1023] = 0xaaaaaaaa;
    TRY("movq $0, 0xffc(%0)", : : "r"(p) : "rax", "memory");
    EXPECT_EXC("crossing store", 14, 2);
    EXPECT("crossing store: cr2", caught.cr2, VA + 4096);
    EXPECT("crossing store: first part untouched", page[1023], 0xaaaaaaaa);
    map4k(VA + 4096, (u64)second, PTE_P | PTE_W);
    *(volatile u64 *)(VA + 0xffc) = 0x1122334455667788;
    EXPECT("crossing store, low", page[1023], 0x55667788);
    EXPECT("crossing store, high", second[0], 0x11223344);
    EXPECT("crossing load", *(volatile u64 *)(VA + 0xffd), 0x11223344556677ul | (u64)(u8)(second[1]) << 56);
    /* remapping, with and without INVLPG elsewhere */
    page[0] = 1, second[0] = 2;
    EXPECT("before remap", p[0], 1);
    map4k(VA, (u64)second, PTE_P | PTE_W);
    EXPECT("after remap", p[0], 2);
    *pte_of(VA) = (u64)page | PTE_P | PTE_W;
    write_cr3(read_cr3());
    EXPECT("after remap and cr3", p[0], 1);
    /* global pages survive a CR3 write, not a CR4.PGE change */
    map4k(VA, (u64)page, PTE_P | PTE_W | PTE_G);
    EXPECT("global", p[0], 1);
    *pte_of(VA) = (u64)second | PTE_P | PTE_W | PTE_G;
    write_cr4(read_cr4() & ~0x80ul);
    write_cr4(read_cr4() | 0x80);
    EXPECT("global, flushed by PGE", p[0], 2);
    /* SMEP and SMAP */
    u32 r[4];
    cpuid(7, 0, r);
    map4k(VA, (u64)page, PTE_P | PTE_W | PTE_U);
    if (r[1] >> 7 & 1) {
        *(volatile u8 *)p = 0xc3;
        write_cr4(read_cr4() | 1 << 20);
        TRY("call *%0", : : "r"(p) : "rax", "memory");
        EXPECT_EXC("SMEP", 14, 0x11);
        write_cr4(read_cr4() & ~(1ul << 20));
        __asm__ volatile("call *%0" : : "r"(p) : "memory");
    }
    if (r[1] >> 20 & 1) {
        write_cr4(read_cr4() | 1 << 21);
        TRY("mov (%0), %%ecx", : : "r"(p) : "rax", "rcx", "memory");
        EXPECT_EXC("SMAP", 14, 1);
        page[3] = 99;
        u32 v;
        __asm__ volatile("stac\n\tmov 12(%1), %0\n\tclac" : "=r"(v) : "r"(p) : "memory");
        EXPECT("STAC", v, 99);
        TRY("mov (%0), %%ecx", : : "r"(p) : "rax", "rcx", "memory");
        EXPECT_EXC("SMAP after CLAC", 14, 1);
        write_cr4(read_cr4() & ~(1ul << 21));
    }
}

/* --- self-modifying code --- */
typedef u32 Fn(u32);
static u8 *emit_return(u8 *p, u32 value) /* mov $value, %eax; ret */
{
    *p++ = 0xb8;
    *(volatile u32 *)p = value;
    p += 4;
    *p++ = 0xc3;
    return p;
}
static void test_smc(void)
{
    u8 *code = page_alloc(), *next = page_alloc();
    Fn *f = (Fn *)code;
    for (u32 i = 0; i < 100; i++) {
        emit_return(code, i);
        EXPECT("rewritten function", f(0), i);
    }
    /* a block that patches an instruction right behind the store */
    static const u8 patch[] = { 0xb8, 1, 0, 0, 0,                /* mov $1, %eax */
                                0xc6, 0x05, 1, 0, 0, 0, 7,       /* movb $7, 1(%rip): the immediate of the next insn */
                                0xb8, 2, 0, 0, 0, 0xc3 };        /* mov $2 -> $7, %eax; ret */
    memcopy(code + 64, patch, sizeof patch);
    EXPECT("own block patched ahead", ((Fn *)(code + 64))(0), 7);
    /* the same code through another mapping */
    map4k(VA + 0x10000, (u64)code, PTE_P | PTE_W);
    map4k(VA + 0x11000, (u64)code, PTE_P | PTE_W);
    Fn *alias = (Fn *)(VA + 0x10000);
    EXPECT("alias before", alias(0), 99);
    emit_return((u8 *)(VA + 0x11000), 1234);
    EXPECT("alias after a write by the other alias", alias(0), 1234);
    EXPECT("identity after a write by an alias", f(0), 1234);
    /* an instruction that straddles pages: the second half changes, then the second page is remapped */
    map4k(VA + 0x20000, (u64)code, PTE_P | PTE_W);
    map4k(VA + 0x21000, (u64)next, PTE_P | PTE_W);
    u8 *straddle = (u8 *)(VA + 0x20ffd);
    emit_return(straddle, 0x11111111);
    Fn *s = (Fn *)straddle;
    EXPECT("straddling insn", s(0), 0x11111111);
    next[0] = 0x22;
    EXPECT("straddling insn, second page written", s(0), 0x11221111);
    u8 *third = page_alloc();
    memcopy(third, next, 16);
    third[0] = 0x33;
    map4k(VA + 0x21000, (u64)third, PTE_P | PTE_W);
    EXPECT("straddling insn, second page remapped", s(0), 0x11331111);
    map4k(VA + 0x21000, 0, 0);
    caught.vector = -1;
    TRY("call *%0", : : "r"(s) : "rax", "memory");
    EXPECT_EXC("straddling insn, second page absent", 14, 0x10);
    EXPECT("straddling insn: cr2", caught.cr2, VA + 0x21000);
    EXPECT("straddling insn: rip", caught.rip, (u64)straddle);
    /* code page remapped under a hot direct link */
    map4k(VA + 0x30000, (u64)code, PTE_P | PTE_W);
    map4k(VA + 0x31000, (u64)next, PTE_P | PTE_W);
    u8 *j = (u8 *)(VA + 0x30800);
    j[0] = 0xe9; /* jmp to the next page */
    *(volatile u32 *)(j + 1) = 0x31000 - 0x30805;
    emit_return(next, 5);
    emit_return(third, 6);
    for (u32 i = 0; i < 50; i++)
        EXPECT("cross-page jump", ((Fn *)j)(0), 5);
    map4k(VA + 0x31000, (u64)third, PTE_P | PTE_W);
    EXPECT("cross-page jump, target remapped", ((Fn *)j)(0), 6);
    *pte_of(VA + 0x31000) |= PTE_NX;
    invlpg((void *)(VA + 0x31000));
    TRY("call *%0", : : "r"(j) : "rax", "memory");
    EXPECT_EXC("cross-page jump, target NX", 14, 0x11);
    /* rep movsb over code that has run */
    u8 image[6];
    emit_return(image, 4321);
    memcopy(code, image, 6);
    EXPECT("code written by rep movsb", f(0), 4321);
}

/* --- user mode --- */
static void user(u8 *at, const u8 *code, u32 n) { memcopy(at, code, n); }
#define USER(at, bytes, cs) do { static const u8 c_[] = bytes; user(at, c_, sizeof c_); caught.vector = -1; \
    run_user((void *)(VA + 0x40000), VA + 0x42000, cs, 0x2b, 0x202); } while (0)
#define B(...) { __VA_ARGS__ }
static void test_user(void)
{
    u8 *code = page_alloc(), *stack = page_alloc();
    pml4[0] |= PTE_U;
    map4k(VA + 0x40000, (u64)code, PTE_P | PTE_W | PTE_U);
    map4k(VA + 0x41000, (u64)stack, PTE_P | PTE_W | PTE_U);
    USER(code, B(0x0f, 0x0b), 0x33);
    EXPECT_EXC("user ud2", 6, 0);
    EXPECT("user cs", caught.cs, 0x33);
    USER(code, B(0xf4), 0x33);
    EXPECT_EXC("user hlt", 13, 0);
    USER(code, B(0xfa), 0x33);
    EXPECT_EXC("user cli", 13, 0);
    USER(code, B(0xe6, 0x80, 0xe6, 0x81), 0x33);
    EXPECT_EXC("user out: bitmap", 13, 0);
    EXPECT("user out: the allowed port went through", caught.rip, VA + 0x40002);
    USER(code, B(0x0f, 0x20, 0xc0), 0x33);
    EXPECT_EXC("user mov cr0", 13, 0);
    USER(code, B(0xcd, 0x20), 0x33);
    EXPECT_EXC("user int n, gate DPL 0", 13, 0x20 * 8 + 2);
    USER(code, B(0x8b, 0x04, 0x25, 0, 0, 0x10, 0), 0x33); /* mov 0x100000, %eax */
    EXPECT_EXC("user read of a supervisor page", 14, 5);
    USER(code, B(0xc7, 0x04, 0x25, 0, 0, 0x10, 0, 1, 0, 0, 0), 0x33);
    EXPECT_EXC("user write to a supervisor page", 14, 7);
    /* 32-bit user code: compatibility mode; addresses wrap at 4 GiB, so its code must be low */
    pd[1] |= PTE_U;
    u8 *low = (u8 *)0x200000;
    static const u8 compat[] = { 0x40, 0x90, 0x0f, 0x0b }; /* inc %eax; nop; ud2 (in 64-bit mode 40 is a REX prefix) */
    memcopy(low, compat, sizeof compat);
    write_cr3(read_cr3());
    caught.vector = -1;
    run_user(low, 0x201000, 0x23, 0x2b, 0x202);
    EXPECT_EXC("compatibility mode", 6, 0);
    EXPECT("compatibility mode: rip", caught.rip, 0x200002);
    EXPECT("compatibility mode: cs", caught.cs, 0x23);
    /* syscall and sysret */
    wrmsr(0xc0000081, 0x8ul << 32 | 0x23ul << 48);
    wrmsr(0xc0000082, (u64)syscall_entry);
    wrmsr(0xc0000084, 0x200);
    syscall_once = 1;
    USER(code, B(0x0f, 0x05, 0x0f, 0x05), 0x33); /* twice: back by sysret, then out */
    EXPECT("syscall came twice", syscall_once, 2);
    EXPECT("syscall rcx", syscall_rcx, VA + 0x40004);
    EXPECT("syscall r11", syscall_r11, 0x202);
    /* alignment check */
    write_cr0(read_cr0() | 0x40000);
    static const u8 misaligned[] = { 0x8b, 0x44, 0x24, 0xf1, 0x0f, 0x0b }; /* mov -15(%rsp), %eax */
    user(code, misaligned, sizeof misaligned);
    run_user((void *)(VA + 0x40000), VA + 0x42000, 0x33, 0x2b, 0x40202);
    EXPECT_EXC("#AC", 17, 0);
    run_user((void *)(VA + 0x40000), VA + 0x42000, 0x33, 0x2b, 0x202);
    EXPECT_EXC("no #AC without EFLAGS.AC", 6, 0);
    u32 r[4];
    cpuid(7, 0, r);
    if (r[2] >> 2 & 1) {
        write_cr4(read_cr4() | 1 << 11);
        USER(code, B(0x0f, 0x01, 0x0c, 0x24), 0x33); /* sidt (%rsp) */
        EXPECT_EXC("UMIP", 13, 0);
        write_cr4(read_cr4() & ~(1ul << 11));
    }
}

/* --- interrupts --- */
static volatile u32 ticks;
static int on_tick(Frame *f)
{
    if (f->vector != 0x40)
        return 0;
    ticks++;
    *apic(0xb0) = 0;
    return 1;
}
static void test_interrupts(void)
{
    hook = on_tick;
    *apic(0x320) = 0x40; /* one-shot */
    *apic(0x3e0) = 0xb;
    ticks = 0;
    *apic(0x380) = 10000;
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    EXPECT("timer wakes hlt", ticks, 1);
    ticks = 0;
    *apic(0x320) = 0x20040; /* periodic */
    *apic(0x380) = 100000;
    while (ticks < 5)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    *apic(0x380) = 0;
    *apic(0x320) = 0x10040;
    /* a self-IPI waits for IF, and STI's shadow covers one insn */
    ticks = 0;
    *apic(0x300) = 0x44040;
    for (volatile u32 i = 0; i < 1000; i++)
        ;
    EXPECT("IF clear holds it back", ticks, 0);
    u32 seen;
    __asm__ volatile("sti\n\tmov %1, %0\n\tnop\n\tcli" : "=&r"(seen) : "m"(ticks) : "memory");
    EXPECT("not in the shadow of STI", seen, 0);
    EXPECT("taken after it", ticks, 1);
    /* in a loop of direct jumps */
    ticks = 0;
    *apic(0x320) = 0x40;
    *apic(0x380) = 50000;
    __asm__ volatile("sti\n1:\tcmpl $0, %0\n\tje 1b\n\tcli" : : "m"(ticks) : "memory", "cc");
    EXPECT("taken in a loop", ticks, 1);
    /* priority: TPR holds it back */
    *apic(0x80) = 0x50;
    ticks = 0;
    *apic(0x300) = 0x44040;
    __asm__ volatile("sti; nop; nop; cli");
    EXPECT("TPR holds it back", ticks, 0);
    __asm__ volatile("mov %0, %%cr8" : : "r"(0ul));
    __asm__ volatile("sti; nop; nop; cli");
    EXPECT("CR8 lets it through", ticks, 1);
    hook = 0;
}

/* --- several processors --- */
static volatile u64 counter, go, acks, stop, shared_va;
static volatile u32 flushed;
static int ap_hook(Frame *f)
{
    if (f->vector == 0x50) { /* shoot-down */
        invlpg((void *)shared_va);
        *apic(0xb0) = 0;
        __asm__ volatile("lock incl %0" : "+m"(flushed));
        return 1;
    }
    return 0;
}
enum { ADDS = 100000 };
void ap_main(void)
{
    *apic(0xf0) = 0x1ff;
    __asm__ volatile("sti");
    __asm__ volatile("lock incq %0" : "+m"(acks));
    while (!go)
        __asm__ volatile("pause");
    for (u32 i = 0; i < ADDS; i++) {
        __asm__ volatile("lock incq %0" : "+m"(counter));
        u64 old = counter;
        while (!__sync_bool_compare_and_swap(&counter, old, old + 1))
            old = counter;
    }
    __asm__ volatile("lock incq %0" : "+m"(acks));
    while (!stop) {
        volatile u32 *p = (u32 *)shared_va;
        u32 v = *p;
        if (v != 1 && v != 2)
            check(0, "shared page", v, 1);
        ((Fn *)(VA + 0x61000))(0);
    }
    __asm__ volatile("lock incq %0" : "+m"(acks));
    for (;;)
        __asm__ volatile("hlt");
}
static void wait_for(volatile u64 *what, u64 n)
{
    u64 t = rdtsc();
    while (*what < n && rdtsc() - t < 60000000000ul)
        __asm__ volatile("pause");
}
static void test_smp(void)
{
    u32 *one = page_alloc(), *two = page_alloc();
    u8 *code = page_alloc();
    one[0] = 1, two[0] = 2;
    emit_return(code, 1);
    map4k(VA + 0x61000, (u64)code, PTE_P | PTE_W);
    memcopy((void *)0x8000, ap_start, ap_end - ap_start);
    shared_va = VA + 0x60000;
    map4k(shared_va, (u64)one, PTE_P | PTE_W);
    hook = ap_hook;
    *apic(0x300) = 0xc4500; /* INIT, all but self */
    for (volatile u32 i = 0; i < 200000; i++)
        ;
    *apic(0x300) = 0xc4608;
    for (volatile u32 i = 0; i < 200000; i++)
        ;
    *apic(0x300) = 0xc4608;
    u64 t = rdtsc();
    u32 n = 0;
    while (rdtsc() - t < 1000000000) /* count those that come up within a second or so */
        n = ap_count;
    if (!n) {
        hook = 0;
        return;
    }
    wait_for(&acks, n);
    EXPECT("processors up", acks, n);
    acks = 0;
    go = 1;
    wait_for(&acks, n);
    EXPECT("atomic additions", counter, (u64)n * ADDS * 2);
    /* shoot-down: after every processor has answered, nobody may see the old page */
    for (u32 i = 0; i < 200; i++) {
        u32 *to = i & 1 ? one : two, *from = i & 1 ? two : one;
        map4k(shared_va, (u64)to, PTE_P | PTE_W);
        u32 before = flushed;
        *apic(0x300) = 0xc4050;
        t = rdtsc();
        while (flushed != before + n && rdtsc() - t < 60000000000ul)
            __asm__ volatile("pause");
        EXPECT("shoot-down answered", flushed - before, n);
        from[0] = 3; /* an old translation would see it */
        emit_return(code, i); /* cross-modifying code while they run it */
        for (volatile u32 k = 0; k < 2000; k++)
            ;
        from[0] = i & 1 ? 2 : 1;
    }
    acks = 0;
    stop = 1;
    wait_for(&acks, n);
    EXPECT("processors stopped", acks, n);
    hook = 0;
}

void main(void)
{
    init();
    part("exceptions", test_exceptions);
    part("debug", test_debug);
    part("paging", test_paging);
    part("smc", test_smc);
    part("user", test_user);
    part("interrupts", test_interrupts);
    part("smp", test_smp);
    done();
}
