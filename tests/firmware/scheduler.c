/* SPDX-License-Identifier: MIT */
/* SysTick, and a small preemptive scheduler on it: three tasks on their own stacks, switched in PendSV. */
#include "fw.h"

enum { TASKS = 3, STACK = 128 };
static uint32_t stacks[TASKS][STACK] __attribute__((aligned(8)));
static uint32_t *sp_of[TASKS];
static volatile uint32_t current, ticks, work[TASKS], done;

static void systick(void)
{
    ticks++;
    ICSR = PENDSVSET;
}

__attribute__((used)) static uint32_t *switch_task(uint32_t *sp)
{
    sp_of[current] = sp;
    current = (current + 1) % TASKS;
    return sp_of[current];
}

/* R4-R11 lie above the hardware's frame; ARMv6-M has no wide STM. */
static __attribute__((naked)) void pendsv(void)
{
    __asm__ volatile(
        ".syntax unified\n"
        "mrs r0, psp\n subs r0, #32\n mov r1, r0\n stmia r1!, {r4-r7}\n"
        "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n stmia r1!, {r4-r7}\n"
        "push {r3, lr}\n bl switch_task\n pop {r3}\n pop {r2}\n mov lr, r2\n"
        "mov r1, r0\n adds r1, #16\n ldmia r1!, {r4-r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        "msr psp, r1\n ldmia r0!, {r4-r7}\n bx lr");
}

/* Each keeps values in many registers while it is preempted. */
static void task(uint32_t n)
{
    uint32_t a = n, b = n * 3, c = n * 5, d = n * 7;
    for (uint32_t i = 0; i < 20000; i++) {
        a += b ^ i;
        b = b << 1 | b >> 31;
        c ^= a;
        d += c;
        work[n]++;
        if (i % 1000 == 999)
            ICSR = PENDSVSET;
    }
    uint32_t a1 = n, b1 = n * 3, c1 = n * 5, d1 = n * 7;
    for (uint32_t i = 0; i < 20000; i++) {
        a1 += b1 ^ i;
        b1 = b1 << 1 | b1 >> 31;
        c1 ^= a1;
        d1 += c1;
    }
    CHECK_EQ(d, d1);
    done |= 1u << n;
    while (done != 7)
        ;
    if (n == 0) {
        CHECK(ticks > 2);
        print("scheduler: ok\n");
        finish(0);
    }
    for (;;)
        ;
}

int main(void)
{
    set_handler(14, pendsv);
    set_handler(15, systick);
    SHPR3 = 0xff << 16 | 0xc0u << 24;
    CHECK_EQ(SYST_CSR & 3, 0);
    SYST_RVR = 999;
    SYST_CVR = 5;
    CHECK_EQ(SYST_CVR, 0);
    SYST_CSR = 5;
    while (!(SYST_CSR >> 16 & 1))
        ;
    CHECK(SYST_CVR <= 999);
    for (uint32_t n = 1; n < TASKS; n++) {
        uint32_t *f = &stacks[n][STACK - 16];
        f[8] = n;
        f[14] = (uint32_t)task & ~1u;
        f[15] = 0x01000000;
        sp_of[n] = f;
    }
    SYST_RVR = 19999;
    SYST_CVR = 0;
    MSR("psp", &stacks[0][STACK]);
    MSR("control", 2);
    BARRIER();
    SYST_CSR = 7;
    task(0);
    return 1;
}
