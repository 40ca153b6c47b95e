/* SPDX-License-Identifier: MIT */
/*
 * Bare-metal test of what KVM gives a guest beside a CPU: steal time, asynchronous page faults, its clock; registers
 * beyond AVX, counters, guests of its own. The word "wait" on the command line: the guest's guest runs until a
 * character comes to COM1.
 */
#include "lib64.h"

enum {
    MSR_TIME = 0x4b564d01,
    MSR_ASYNC = 0x4b564d02,
    MSR_STEAL = 0x4b564d03,
    MSR_ASYNC_VECTOR = 0x4b564d06,
    VECTOR = 0xec
};
enum { HAS_CLOCK = 1 << 3, HAS_ASYNC = 1 << 4, HAS_STEAL = 1 << 5, HAS_ASYNC_VECTOR = 1 << 14 };

static u32 features(void)
{
    u32 r[4];
    cpuid(0x40000000, 0, r);
    if (r[1] != 0x4b4d564b)
        return 0;
    cpuid(0x40000001, 0, r);
    return r[0];
}

/* Leave the guest so many times. */
static void exits(u32 n)
{
    while (n--)
        outb(0x80, (u8)n);
}

/* Time that the CPU wanted to run and another had: { steal, version and flags }, written on the way in. */
static void test_steal(void)
{
    static volatile u64 area[8] __attribute__((aligned(64)));
    if (!(features() & HAS_STEAL))
        return;
    wrmsr(MSR_STEAL, (u64)area | 1);
    EXPECT("steal time: the register keeps its value", rdmsr(MSR_STEAL), (u64)area | 1);
    u64 last = 0;
    for (u32 i = 0; i < 100; i++) {
        exits(20);
        u64 now = area[0];
        check(now >= last, "steal time does not run back", now, last);
        last = now;
    }
    check((u32)area[1] != 0, "steal time is written", (u32)area[1], 2);
    EXPECT("steal time: no update is in progress", (u32)area[1] & 1, 0);
    TRY("mov $0x4b564d03, %%ecx\n\tmov $3, %%eax\n\txor %%edx, %%edx\n\twrmsr", : : : "rax", "rcx", "rdx", "memory");
    EXPECT("steal time: reserved bits fault", caught.vector, 13);
    wrmsr(MSR_STEAL, 0);
}

static void test_async(void)
{
    static volatile u64 area[8] __attribute__((aligned(64)));
    u32 has = features();
    if (!(has & HAS_ASYNC) || !(has & HAS_ASYNC_VECTOR))
        return;
    *apic(0xf0) = 0x1ff;
    wrmsr(MSR_ASYNC_VECTOR, VECTOR);
    wrmsr(MSR_ASYNC, (u64)area | 9);
    exits(20);
    EXPECT("asynchronous page faults: vector", rdmsr(MSR_ASYNC_VECTOR), VECTOR);
    EXPECT("asynchronous page faults: area", rdmsr(MSR_ASYNC), (u64)area | 9);
    EXPECT("asynchronous page faults: none yet", (u32)area[0], 0);
    wrmsr(MSR_ASYNC, 0);
}

/* The clock's page says how fast the TSC is; so does CPUID 15H. */
static void test_clock(void)
{
    static volatile u32 page[8] __attribute__((aligned(64)));
    u32 r[4];
    cpuid(0, 0, r);
    if (!(features() & HAS_CLOCK) || r[0] < 0x15)
        return;
    cpuid(0x15, 0, r);
    wrmsr(MSR_TIME, (u64)page | 1);
    exits(20);
    u32 mul = page[6], hz = r[2];
    signed char shift = (signed char)(page[7] & 0xff);
    check(mul != 0 && !(page[0] & 1), "the clock's page is written", mul, 1);
    if (!mul || !hz)
        return;
    u64 told = (1000000000ul << 32) / mul;
    told = shift < 0 ? told << -shift : told >> shift;
    u64 apart = told > hz ? told - hz : hz - told;
    check(apart < hz / 1000, "the clock's rate of the TSC is CPUID's", told, hz);
    wrmsr(MSR_TIME, 0);
}

/* PKRU and the upper halves of vectors are a part of the CPU's state: what is there stays over exits. */
static void test_registers(void)
{
    u32 r[4], lo, hi;
    cpuid(1, 0, r);
    if (!(r[2] >> 26 & 1))
        return;
    cpuid(7, 0, r);
    bool_t pku = r[2] >> 3 & 1, avx512 = r[1] >> 16 & 1;
    cpuid(0xd, 0, r);
    u32 all = r[0];
    write_cr4(read_cr4() | 1u << 18 | 1u << 9);
    __asm__ volatile("xsetbv" : : "c"(0), "a"(all), "d"(0));
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    EXPECT("XCR0 takes what CPUID shows", lo, all);
    EXPECT("CPUID: protection keys have a component", pku, all >> 9 & 1);
    EXPECT("CPUID: AVX-512 has its components", avx512 ? 0xe0 : 0, all & 0xe0);
    cpuid(0xd, 0, r);
    check(r[1] >= 576 && r[1] <= r[2], "CPUID: size of the area", r[1], r[2]);
    if (pku) {
        write_cr4(read_cr4() | 1u << 22);
        __asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(0x55555550), "c"(0), "d"(0)); /* WRPKRU */
        exits(50);
        __asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(lo), "=d"(hi) : "c"(0));       /* RDPKRU */
        EXPECT("PKRU stays", lo, 0x55555550);
        cpuid(7, 0, r);
        EXPECT("CPUID: OSPKE", r[2] >> 4 & 1, 1);
        write_cr4(read_cr4() & ~(1ul << 22));
    }
}

static void test_counters(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    if (r[0] < 0xa)
        return;
    cpuid(0xa, 0, r);
    if ((r[0] & 0xff) < 2 || !(r[3] & 31))
        return;
    wrmsr(0x309, 0);
    wrmsr(0x38d, 1); /* instructions retired, ring 0 */
    wrmsr(0x38f, 1ul << 32);
    exits(50);
    wrmsr(0x38f, 0);
    check(rdmsr(0x309) >= 50, "instructions are counted", rdmsr(0x309), 50);
    wrmsr(0x38d, 0);
}

/* --- a guest of the guest (AMD APM vol. 2, chapter 15 and appendix B) --- */

enum { MSR_EFER = 0xc0000080, MSR_HSAVE = 0xc0010117, EFER_SVME = 1 << 12, VMEXIT_HLT = 0x78 };
enum {
    C_INTERCEPT3 = 0x0c,
    INTERCEPT_HLT = 1 << 24,
    C_INTERCEPT4 = 0x10,
    INTERCEPT_VMRUN = 1,
    C_ASID = 0x58,
    C_EXIT = 0x70
};
enum {
    S_ES = 0x400,
    S_CS = 0x410,
    S_SS = 0x420,
    S_DS = 0x430,
    S_GDTR = 0x460,
    S_IDTR = 0x480,
    S_EFER = 0x4d0,
    S_CR4 = 0x548,
    S_CR3 = 0x550,
    S_CR0 = 0x558,
    S_DR7 = 0x560,
    S_DR6 = 0x568,
    S_RFLAGS = 0x570,
    S_RIP = 0x578,
    S_RSP = 0x5d8
};
extern u8 l2_code[], l2_waits[];
__asm__("l2_waits: mov $0x3fd, %edx\n1: in %dx, %al\n\ttest $1, %al\n\tjz 1b\n\tmov $0x3f8, %edx\n\tin %dx, %al\n"
        "l2_code: mov $0x1234, %ebx\n\thlt\n");

static void put64(u8 *at, u64 v) { *(volatile u64 *)at = v; }

static void put_segment(u8 *at, u16 selector, u16 attributes)
{
    put64(at, selector | (u64)attributes << 16 | 0xfffffffful << 32);
    put64(at + 8, 0);
}

static u8 *make_vmcb(u8 *code)
{
    u8 *v = page_alloc(), *stack = page_alloc();
    put64(v + C_INTERCEPT3, INTERCEPT_HLT | (u64)INTERCEPT_VMRUN << 32);
    put64(v + C_ASID, 1);
    put_segment(v + S_ES, 0x18, 0xc93);
    put_segment(v + S_CS, 0x10, 0x29b);
    put_segment(v + S_SS, 0x18, 0xc93);
    put_segment(v + S_DS, 0x18, 0xc93);
    put_segment(v + S_GDTR, 0, 0);
    put_segment(v + S_IDTR, 0, 0);
    put64(v + S_EFER, rdmsr(MSR_EFER));
    put64(v + S_CR4, read_cr4());
    put64(v + S_CR3, read_cr3());
    put64(v + S_CR0, read_cr0());
    put64(v + S_DR7, 0x400);
    put64(v + S_DR6, 0xffff0ff0);
    put64(v + S_RFLAGS, 2);
    put64(v + S_RIP, (u64)code);
    put64(v + S_RSP, (u64)stack + 4096);
    return v;
}

static void run_l2(const char *what, u8 *code)
{
    u8 *vmcb = make_vmcb(code);
    u64 rbx = 0;
    __asm__ volatile(".byte 0x0f, 0x01, 0xdd, 0x0f, 0x01, 0xd8, 0x0f, 0x01, 0xdc" /* CLGI, VMRUN, STGI */
                     : "+b"(rbx) : "a"(vmcb) : "rcx", "rdx", "memory", "cc");
    EXPECT("nested guest: exit code", *(volatile u64 *)(vmcb + C_EXIT), VMEXIT_HLT);
    check(rbx == 0x1234, what, rbx, 0x1234);
}

static void test_nested(void)
{
    u32 r[4];
    cpuid(0x80000001, 0, r);
    if (!(r[2] >> 2 & 1))
        return;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    u64 area = (u64)page_alloc();
    wrmsr(MSR_HSAVE, area);
    cpuid(0x8000000a, 0, r);
    check(r[0] && r[1], "CPUID: revision and identifiers", r[0], 1);
    if (named("wait")) {
        print("waits\n");
        run_l2("nested guest waited", l2_waits);
    }
    EXPECT("the area for the host's state stays", rdmsr(MSR_HSAVE), area);
    for (u32 i = 0; i < 20; i++)
        run_l2("nested guest ran", l2_code);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(u64)EFER_SVME);
}

void ap_main(void); /* one CPU is enough */
void ap_main(void) {}

void main(void)
{
    init();
    part("steal", test_steal);
    part("async", test_async);
    part("clock", test_clock);
    part("registers", test_registers);
    part("counters", test_counters);
    part("nested", test_nested);
    done();
}
