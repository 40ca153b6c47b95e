/* SPDX-License-Identifier: MIT */
/*
 * The NVIC's rules: grouping, pend and active bits, tail-chaining order, late arrival, SLEEPONEXIT, SEVONPEND, STIR,
 * priority bits that are there; and with the Security Extension PRIS and BFHFNMINS.
 */
#include "fw.h"

#define STIR REG(0xe000ef00)
#define VECTACTIVE (ICSR & 0x1ff)
#define RETTOBASE (1u << 11)
#define ISRPENDING (1u << 22)

static volatile uint32_t trace[32], count, seen_icsr, seen_iabr;

static void note(uint32_t v) { trace[count++ & 31] = v; }
static void is(const uint32_t *want, unsigned n, uint32_t line)
{
    bool same = count == n;
    for (unsigned i = 0; same && i < n; i++)
        same = trace[i] == want[i];
    if (!same) {
        print("FAIL order, checked at line ");
        print_hex(line);
        for (unsigned i = 0; i < count && i < 32; i++)
            print_hex(trace[i]);
        finish(1);
    }
    count = 0;
}
#define IS(...) do { static const uint32_t want_[] = { __VA_ARGS__ }; is(want_, sizeof want_ / 4, __LINE__); } while (0)

static void set_priority(unsigned n, uint8_t p) { IPR(n) = p; }
static void pend(uint32_t bits) { ISPR(0) = bits; BARRIER(); }
static void mask(void) { __asm__ volatile("cpsid i" ::: "memory"); }
static void unmask(void) { __asm__ volatile("cpsie i\n isb" ::: "memory"); }
static void group(unsigned prigroup)
{
    AIRCR = 0x05fa0000 | (AIRCR & 0x7000) /* PRIS, BFHFNMINS */ | prigroup << 8;
    BARRIER();
}

static void plain(void) { note(VECTACTIVE); }
/* Interrupt 1 pends 0 from its handler: is it taken at once, or after it? */
static void pends_0(void)
{
    note(0x100 + VECTACTIVE);
    pend(1);
    note(0x200 + VECTACTIVE);
}
static void pends_itself(void)
{
    note(0x300 + VECTACTIVE);
    if (count < 3) {
        pend(1 << 2);
        seen_icsr = ICSR;
        seen_iabr = IABR(0);
        CHECK_EQ(ISPR(0) & 4, 4);
    }
    note(0x400);
}

static uint8_t implemented(void)
{
    set_priority(0, 0xff);
    uint8_t bits = IPR(0);
    set_priority(0, 0);
    return bits;
}

static void test_bits(void)
{
    uint8_t bits = implemented();
    CHECK(bits & 0x80 && bits & 0x20 && ((0x100 - bits) & (0xff - bits)) == 0);
    MSR("basepri", 0xff);
    CHECK_EQ(MRS("basepri"), bits);
    MSR("basepri", 0);
    REG(0xe000ed18) = 0xffffffff;
    CHECK_EQ(REG(0xe000ed18) & 0xffffff, (uint32_t)bits * 0x10101);
    REG(0xe000ed18) = 0;
    AIRCR = 0x12340700; /* wrong key */
    CHECK_EQ(AIRCR >> 8 & 7, 0);
    CHECK_EQ(AIRCR >> 16, 0xfa05);
}

/* 0x40 and 0x60: different groups with PRIGROUP 4, one group with 5: no preemption, yet the subpriority orders. */
static void test_grouping(void)
{
    set_handler(16, plain);
    set_handler(17, pends_0);
    set_priority(0, 0x40);
    set_priority(1, 0x60);
    ISER(0) = 3;
    group(4);
    pend(2);
    IS(0x111, 0x10, 0x211);
    group(5);
    pend(2);
    IS(0x111, 0x211, 0x10);
    set_handler(17, plain);
    mask();
    pend(3);
    unmask();
    IS(0x10, 0x11);
    set_priority(0, 0x60);
    set_priority(1, 0x40);
    mask();
    pend(3);
    unmask();
    IS(0x11, 0x10);
    set_priority(0, 0x40);
    mask(); /* equal: by number */
    pend(3);
    unmask();
    IS(0x10, 0x11);
    MSR("basepri", 0x60); /* compared by group: 0x40 is in it */
    pend(1);
    CHECK_EQ(count, 0);
    MSR("basepri", 0);
    BARRIER();
    IS(0x10);
    group(0);
}

static void test_pend_and_active(void)
{
    set_handler(18, pends_itself);
    ISER(0) = 4;
    CHECK_EQ(ICER(0) & 7, 7);
    pend(4);
    IS(0x312, 0x400, 0x312, 0x400);
    CHECK_EQ(seen_icsr & (ISRPENDING | RETTOBASE), ISRPENDING | RETTOBASE);
    CHECK_EQ(seen_icsr >> 12 & 0x1ff, 18);
    CHECK_EQ(seen_icsr & 0x1ff, 18);
    CHECK_EQ(seen_iabr & 7, 4);
    CHECK_EQ(IABR(0), 0);
    ICPR(0) = 4;
    STIR = 2;
    BARRIER();
    IS(0x312, 0x400, 0x312, 0x400);
    ICER(0) = 4;
    pend(4);
    CHECK_EQ(count, 0);
    CHECK_EQ(ISPR(0) & 4, 4);
    set_handler(18, plain);
    ISER(0) = 4; /* enabling takes what is pending */
    BARRIER();
    IS(0x12);
}

/* Late arrival: a fault's stacking is done once, and the more urgent one that is pended meanwhile comes first. */
static void test_order(void)
{
    for (unsigned i = 0; i < 6; i++) {
        set_handler(16 + i, plain);
        set_priority(i, (uint8_t)((5 - i) * 0x20));
    }
    set_handler(14, plain);
    set_handler(15, plain);
    SHPR3 = 0xe0u << 16 | 0x60u << 24;
    ISER(0) = 0x3f;
    mask();
    pend(0x3f);
    ICSR = PENDSVSET | SYSTSET;
    BARRIER();
    CHECK_EQ(ICSR & (PENDSVSET | SYSTSET), PENDSVSET | SYSTSET);
    unmask();
    IS(0x15, 0x14, 0x13, 0x0f, 0x12, 0x11, 0x10, 0x0e);
    mask();
    ICSR = PENDSVSET | SYSTSET;
    BARRIER();
    ICSR = 1u << 27 | 1u << 25; /* cleared again */
    BARRIER();
    unmask();
    CHECK_EQ(count, 0);
}

/* --- sleep --- */

static volatile bool stay;
static void wakes(void)
{
    note(VECTACTIVE);
    SCR = stay && count < 3 ? 2 : 0; /* the third one lets Thread mode go on */
}

static void test_sleep(void)
{
    /* SEVONPEND: a pending interrupt that is not enabled ends WFE */
    ICER(0) = 1;
    ICPR(0) = 1;
    __asm__ volatile("sev\n wfe"); /* the event register is clear now */
    SCR = 0x10;
    pend(1);
    __asm__ volatile("wfe");
    ICPR(0) = 1;
    SCR = 0;
    /* WFI ends on what PRIMASK holds back */
    set_handler(15, plain);
    SYST_RVR = 5000;
    SYST_CVR = 0;
    mask();
    SYST_CSR = 7;
    __asm__ volatile("wfi");
    CHECK_EQ(count, 0);
    CHECK_EQ(ICSR & SYSTSET, SYSTSET);
    SYST_CSR = 0;
    ICSR = 1u << 25;
    unmask();
    /* SLEEPONEXIT: three interrupts, and Thread mode sees only the last */
    set_handler(15, wakes);
    stay = true;
    SYST_CVR = 0;
    SCR = 2;
    SYST_CSR = 7;
    __asm__ volatile("wfi");
    CHECK(count >= 3);
    stay = false;
    SYST_CSR = 0;
    ICSR = 1u << 25;
    BARRIER();
    count = 0;
}

#if defined(__ARM_FEATURE_CMSE) && __ARM_FEATURE_CMSE == 3
static volatile uint32_t seen_ipsr;
__attribute__((used)) static void fault_c(Frame *f)
{
    seen_ipsr = MRS("ipsr");
    CFSR = CFSR;
    HFSR = HFSR;
    f->pc += 4;
}
static __attribute__((naked)) void fault(void)
{
    __asm__ volatile("mov r0, sp\n push {r4, lr}\n bl fault_c\n pop {r4, pc}");
}

/* PRIS: Non-secure priorities count half, below all of the upper Secure ones. The Non-secure SysTick's is 0x00. */
static void test_security(void)
{
    uint32_t keep = AIRCR & 0x7fff;
    AIRCR = 0x05fa0000 | 1u << 14;
    BARRIER();
    CHECK_EQ(AIRCR >> 14 & 1, 1);
    CHECK_EQ(REG(0xe002ed0c) >> 13 & 3, 0); /* the Non-secure view shows no PRIS */
    set_priority(0, 0x40);
    set_priority(1, 0x00);
    ISER(0) = 3;
    REG(0xe000e380) = 2; /* interrupt 1 is Non-secure: 0x00 counts as 0x80 */
    CHECK_EQ(REG(0xe002e100) & 3, 2);
    CHECK_EQ(REG8(0xe002e400), 0);
    mask();
    pend(3);
    CHECK_EQ(ICSR >> 12 & 0x1ff, 16);
    AIRCR = 0x05fa0000;
    BARRIER();
    CHECK_EQ(ICSR >> 12 & 0x1ff, 17);
    ICPR(0) = 3;
    REG(0xe000e380) = 0;
    unmask();
    /* BFHFNMINS: NMI, BusFault and HardFault are Non-secure's; its view of their registers opens */
    CHECK_EQ(REG(0xe002ed24) & 1u << 17, 0);
    REG(0xe002ed24) = 1u << 17;
    CHECK_EQ(REG(0xe002ed24) & 1u << 17, 0);
    AIRCR = 0x05fa0000 | 1u << 13;
    BARRIER();
    CHECK_EQ(REG(0xe002ed0c) >> 13 & 1, 1);
    REG(0xe002ed24) = 1u << 17;
    CHECK_EQ(REG(0xe002ed24) & 1u << 17, 1u << 17);
    REG(0xe002ed24) = 0;
    AIRCR = 0x05fa0000 | keep;
    BARRIER();
    set_handler(3, fault);
    __asm__ volatile(".inst.w 0xf7f0a000" ::: "memory");
    CHECK_EQ(seen_ipsr, 3);
}
#endif

#if __ARM_FP && __ARM_ARCH >= 8 && defined(__ARM_FEATURE_CMSE) && __ARM_FEATURE_CMSE == 3
/*
 * VLSTM keeps place for the context and VLLDM takes it back, before and after somebody else used the registers (DDI
 * 0553, C2.4).
 */
static __attribute__((noinline)) void test_lazy(void)
{
    static uint32_t area[34] __attribute__((aligned(8)));
    uint32_t s0, s16;
    __asm__ volatile("vmov.f32 s0, #1.5\n vmov.f32 s16, #2.5" ::: "s0", "s16");
    __asm__ volatile("vlstm %0" :: "r"(area) : "memory");
    CHECK_EQ(FPCCR & 1, 1);
    CHECK_EQ(FPCAR, area);
    CHECK_EQ(area[0], 0);
    __asm__ volatile("vlldm %0" :: "r"(area) : "memory", "s0", "s16");
    CHECK_EQ(FPCCR & 1, 0);
    __asm__ volatile("vmov %0, s0\n vmov %1, s16" : "=r"(s0), "=r"(s16));
    CHECK_EQ(s0, 0x3fc00000);
    CHECK_EQ(s16, 0x40200000);
    __asm__ volatile("vlstm %0" :: "r"(area) : "memory");
    __asm__ volatile("vmov.f32 s0, #4.0" ::: "s0"); /* now it is stored */
    CHECK_EQ(FPCCR & 1, 0);
    CHECK_EQ(area[0], 0x3fc00000);
    __asm__ volatile("vlldm %0" :: "r"(area) : "memory", "s0", "s16");
    __asm__ volatile("vmov %0, s0" : "=r"(s0));
    CHECK_EQ(s0, 0x3fc00000);
}
#endif

int main(void)
{
    test_bits();
    test_grouping();
    test_pend_and_active();
    test_order();
    test_sleep();
#if defined(__ARM_FEATURE_CMSE) && __ARM_FEATURE_CMSE == 3
    test_security();
#if __ARM_FP
    CPACR |= 0xf << 20;
    BARRIER();
    test_lazy();
#endif
#endif
    print("nvic: ok\n");
    return 0;
}
