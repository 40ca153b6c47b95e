/* SPDX-License-Identifier: MIT */
/* Bare-metal test of what KVM gives a guest beside a CPU: steal time, asynchronous page faults, its clock; registers beyond AVX, counters. */
#include "lib64.h"

enum { MSR_TIME = 0x4b564d01, MSR_ASYNC = 0x4b564d02, MSR_STEAL = 0x4b564d03, MSR_ASYNC_VECTOR = 0x4b564d06, VECTOR = 0xec };
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
    done();
}
