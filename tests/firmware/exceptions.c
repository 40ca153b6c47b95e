/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: entry, frame, priorities, nesting, tail-chaining, masks, PendSV, SVC, faults with their status registers.
 */
#include "fw.h"

static volatile uint32_t trace[16], count;
static volatile uint32_t seen_lr, seen_msp, seen_cfsr, seen_hfsr, seen_bfar, seen_pc, seen_xpsr, seen_ipsr;

static void note(uint32_t v) { trace[count++ & 15] = v; }

/* --- SVC: arguments and frame --- */

__attribute__((used)) static void svc_c(Frame *f)
{
    seen_pc = f->pc;
    seen_xpsr = f->xpsr;
    seen_ipsr = MRS("ipsr");
    f->r0 = f->r0 + f->r1 + f->r2 + f->r3;
}
static __attribute__((naked)) void svc(void)
{
    __asm__ volatile("mov r0, sp\n push {r4, lr}\n bl svc_c\n pop {r4, pc}");
}

static void test_svc(void)
{
    set_handler(11, svc);
    register uint32_t r0 __asm__("r0") = 1, r1 __asm__("r1") = 20, r2 __asm__("r2") = 300, r3 __asm__("r3") = 4000;
    uint32_t sp0, sp1;
    __asm__ volatile("mov %0, sp" : "=r"(sp0));
    __asm__ volatile("svc 7" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r3) : "memory");
    uint32_t sum = r0;
    __asm__ volatile("mov %0, sp" : "=r"(sp1));
    CHECK_EQ(sum, 4321);
    CHECK_EQ(sp0, sp1);
    CHECK_EQ(seen_ipsr, 11);
    CHECK_EQ(REG16(seen_pc - 2), 0xdf07);
    CHECK_EQ(seen_xpsr & 0x010001ff, 0x01000000);
}

/* --- interrupts: priority, nesting, tail-chaining --- */

static void irq0(void) { note(100); }
static void irq1(void)
{
    note(200);
    ISPR(0) = 1; /* of higher priority: nests */
    BARRIER();
    note(201);
}
static void irq2(void)
{
    note(300);
    ISPR(0) = 1 << 3; /* of lower priority: waits */
    BARRIER();
    note(301);
}
#if __ARM_ARCH >= 7
static void irq3(void) { note(400 + (IABR(0) & 0xff)); }
#else /* no IABR */
static void irq3(void) { note(408); }
#endif

static void test_priorities(void)
{
    set_handler(16, irq0);
    set_handler(17, irq1);
    set_handler(18, irq2);
    set_handler(19, irq3);
    for (unsigned i = 0; i < 4; i++)
        *(volatile uint32_t *)(0xe000e400) = 0xc0804000 | 0; /* 0x00, 0x40, 0x80, 0xc0 */
    ISER(0) = 0xf;
    CHECK_EQ(ISER(0) & 0xf, 0xf);
    ISPR(0) = 1 << 1;
    BARRIER();
    CHECK_EQ(count, 3);
    CHECK_EQ(trace[0], 200);
    CHECK_EQ(trace[1], 100);
    CHECK_EQ(trace[2], 201);
    ISPR(0) = 1 << 2;
    BARRIER();
    CHECK_EQ(count, 6);
    CHECK_EQ(trace[3], 300);
    CHECK_EQ(trace[4], 301);
    CHECK_EQ(trace[5], 408);
#if __ARM_ARCH >= 7
    CHECK_EQ(IABR(0), 0);
#endif
    /* all at once: by priority, then by number */
    count = 0;
    __asm__ volatile("cpsid i" ::: "memory");
    ISPR(0) = 0xd;
    BARRIER();
    CHECK_EQ(count, 0);
    CHECK_EQ(ISPR(0) & 0xf, 0xd);
    CHECK_EQ(ICSR >> 12 & 0x1ff, 16);
    __asm__ volatile("cpsie i\n isb" ::: "memory");
    CHECK_EQ(count, 4);
    CHECK_EQ(trace[0], 100);
    CHECK_EQ(trace[1], 300);
    CHECK_EQ(trace[2], 301);
    CHECK_EQ(trace[3], 408);
    ICPR(0) = 0xf;
    ICER(0) = 2;
    ISPR(0) = 2;
    BARRIER();
    CHECK_EQ(count, 4); /* not enabled */
    CHECK_EQ(ISPR(0) & 0xf, 2);
    ICPR(0) = 2;
    CHECK_EQ(ISPR(0) & 0xf, 0);
}

#if __ARM_ARCH >= 7
static void test_basepri(void)
{
    count = 0;
    MSR("basepri", 0x80);
    ISPR(0) = 1 << 2 | 1 << 3 | 1;
    BARRIER();
    CHECK_EQ(count, 1); /* only priority 0x00 */
    CHECK_EQ(trace[0], 100);
    MSR("basepri_max", 0xc0);
    CHECK_EQ(MRS("basepri"), 0x80);
    MSR("basepri_max", 0x40);
    CHECK_EQ(MRS("basepri"), 0x40);
    MSR("basepri", 0);
    BARRIER();
    CHECK_EQ(count, 4);
    __asm__ volatile("cpsid f\n isb" ::: "memory");
    CHECK_EQ(MRS("faultmask"), 1);
    ISPR(0) = 1;
    BARRIER();
    CHECK_EQ(count, 4);
    __asm__ volatile("cpsie f\n isb" ::: "memory");
    CHECK_EQ(count, 5);
}
#endif

static void pendsv(void) { note(14); }
static void systick(void) { note(15); }

static void test_system_handlers(void)
{
    count = 0;
    set_handler(14, pendsv);
    set_handler(15, systick);
    SHPR3 = 0xc0 << 16 | 0x40u << 24; /* SysTick before PendSV */
    __asm__ volatile("cpsid i" ::: "memory");
    ICSR = PENDSVSET | SYSTSET;
    BARRIER();
    CHECK_EQ(ICSR & (PENDSVSET | SYSTSET), PENDSVSET | SYSTSET);
    __asm__ volatile("cpsie i\n isb" ::: "memory");
    CHECK_EQ(count, 2);
    CHECK_EQ(trace[0], 15);
    CHECK_EQ(trace[1], 14);
    ICSR = PENDSVSET;
    BARRIER();
    CHECK_EQ(count, 3);
}

/* --- faults --- */

__attribute__((used)) static void fault_c(Frame *f)
{
    seen_ipsr = MRS("ipsr");
    seen_pc = f->pc;
#if __ARM_ARCH >= 7
    seen_cfsr = CFSR;
    seen_hfsr = HFSR;
    seen_bfar = BFAR;
    CFSR = seen_cfsr;
    HFSR = seen_hfsr;
#endif
    uint16_t insn = REG16(f->pc);
    f->pc += insn >> 11 >= 0x1d ? 4 : 2;
    f->xpsr &= ~0x0600fc00u;
}
static __attribute__((naked)) void fault(void)
{
    __asm__ volatile("mov r0, sp\n push {r4, lr}\n bl fault_c\n pop {r4, pc}");
}

static void expect(uint32_t ipsr, uint32_t cfsr, uint32_t hfsr)
{
    CHECK_EQ(seen_ipsr, ipsr);
#if __ARM_ARCH >= 7
    CHECK_EQ(seen_cfsr, cfsr);
    CHECK_EQ(seen_hfsr, hfsr);
#endif
    seen_ipsr = 0;
}

static void test_faults(void)
{
    set_handler(3, fault);
    __asm__ volatile("udf #1");
    expect(3, 0x00010000, 0x40000000);
    (void)REG(0xe8000000); /* nothing there */
    expect(3, 0x00008200, 0x40000000);
#if __ARM_ARCH >= 7
    CHECK_EQ(seen_bfar, 0xe8000000);
    for (unsigned i = 4; i < 7; i++)
        set_handler(i, fault);
    SHCSR = 7 << 16;
    CHECK_EQ(SHCSR, 7 << 16);
    __asm__ volatile("udf #1");
    expect(6, 0x00010000, 0);
    REG(0xe8000000) = 1;
    expect(5, 0x00008200, 0);
    CCR |= 1 << 4;
    BARRIER();
    { volatile uint32_t zero = 0, one = 1, q; __asm__ volatile("udiv %0, %1, %2" : "=r"(q) : "r"(one), "r"(zero)); }
    expect(6, 0x02000000, 0);
    CCR &= ~(1u << 4);
    BARRIER();
    {
        uint32_t zero = 0, one = 1, q = 5;
        __asm__ volatile("udiv %0, %1, %2" : "=r"(q) : "r"(one), "r"(zero));
        CHECK_EQ(q, 0);
    }
    static uint32_t words[2] = { 0x11223344, 0x55667788 };
    { uint32_t v; __asm__ volatile("ldr %0, [%1, #1]" : "=r"(v) : "r"(words)); CHECK_EQ(v, 0x88112233); }
    CCR |= 1 << 3;
    BARRIER();
    { uint32_t v; __asm__ volatile("ldr.w %0, [%1, #1]" : "=r"(v) : "r"(words)); }
    expect(6, 0x01000000, 0);
    CCR &= ~(1u << 3);
    BARRIER();
    SHCSR = 0;
    BARRIER();
    /* SVC with a priority that cannot be taken: HardFault */
    __asm__ volatile("cpsid i" ::: "memory");
    __asm__ volatile("svc 1\n nop");
    __asm__ volatile("cpsie i" ::: "memory");
    CHECK_EQ(seen_ipsr, 3);
    CHECK_EQ(seen_hfsr, 0x40000000);
#endif
}

/* --- Thread mode on PSP, unprivileged --- */

static uint32_t process_stack[64] __attribute__((aligned(8)));
static volatile uint32_t svc_psp, svc_exc_return;
__attribute__((used)) static void svc_priv_c(Frame *f, uint32_t lr)
{
    svc_psp = (uint32_t)f;
    svc_exc_return = lr;
    MSR("control", MRS("control") & ~1u);
}
static __attribute__((naked)) void svc_priv(void)
{
    __asm__ volatile("mrs r0, psp\n mov r1, lr\n push {r4, lr}\n bl svc_priv_c\n pop {r4, pc}");
}

static void test_process_stack(void)
{
    uint32_t msp = MRS("msp"), control, psp;
    set_handler(11, svc_priv);
    MSR("psp", process_stack + 64);
    __asm__ volatile(
        "mov r4, sp\n movs r0, #3\n msr control, r0\n isb\n mrs %0, control\n mov %1, sp\n svc 0\n"
        "movs r0, #0\n msr control, r0\n isb\n"
        : "=r"(control), "=r"(psp)::"r0", "r1", "r2", "r3", "r4", "r12", "lr", "memory");
    CHECK_EQ(control & 3, __ARM_ARCH >= 7 ? 3 : 2); /* the M0 has no unprivileged state */
    CHECK_EQ(psp, process_stack + 64);
    CHECK_EQ(svc_psp, process_stack + 64 - 8);
#if __ARM_ARCH >= 8
    CHECK_EQ(svc_exc_return & 0xff00008f, 0xff00008d & 0xff00008f);
#else
    CHECK_EQ(svc_exc_return, 0xfffffffd);
#endif
    CHECK_EQ(MRS("msp"), msp);
    CHECK_EQ(MRS("control") & 3, 0);
}

int main(void)
{
    test_svc();
    test_priorities();
#if __ARM_ARCH >= 7
    test_basepri();
#endif
    test_system_handlers();
    test_faults();
    test_process_stack();
    print("exceptions: ok\n");
    return 0;
}
