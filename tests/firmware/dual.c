/* SPDX-License-Identifier: MIT */
/*
 * The second CPU of mps2-an521: out of reset with a vector table of its own, its own NVIC and SysTick, messages both
 * ways.
 */
#include "fw.h"

#define SYSCTL 0x50021000
#define MHU0 0x50003000
#define CPUID REG(0x5001f000)
enum { MHU_IRQ = 6, ROUNDS = 20 };

static volatile uint32_t answered, ticks1, ticks0, got1, running1;
static uint32_t stack1[256] __attribute__((aligned(8)));
static Handler *vectors1[32] __attribute__((aligned(128)));

static void tick1(void) { ticks1++; }
static void tick0(void) { ticks0++; }

/* On CPU 1: what came, plus one, goes back. */
static void message1(void)
{
    uint32_t v = REG(MHU0 + 0x10);
    REG(MHU0 + 0x18) = v;
    got1++;
    REG(MHU0 + 0x04) = v + 1;
}

static void message0(void)
{
    uint32_t v = REG(MHU0);
    REG(MHU0 + 0x08) = v;
    answered = v;
}

static void fault1(void)
{
    running1 = 0xbad;
    for (;;)
        ;
}

static void main1(void)
{
    running1 = CPUID == 1 && VTOR == (uint32_t)vectors1 ? 1 : 2;
    ISER(0) = 1 << MHU_IRQ;
    SYST_RVR = 19999;
    SYST_CVR = 0;
    SYST_CSR = 7;
    for (;;)
        __asm__ volatile("wfi");
}

int main(void)
{
    CHECK_EQ(CPUID, 0);
    CHECK_EQ(REG(SYSCTL + 0x118), 2);
    vectors1[0] = (Handler *)(stack1 + 256);
    vectors1[1] = main1;
    for (unsigned i = 2; i < 32; i++)
        vectors1[i] = fault1;
    vectors1[15] = tick1;
    vectors1[16 + MHU_IRQ] = message1;
    set_handler(15, tick0);
    set_handler(16 + MHU_IRQ, message0);
    REG(SYSCTL + 0x114) = (uint32_t)vectors1;
    BARRIER();
    REG(SYSCTL + 0x118) = 0;
    while (!running1)
        ;
    CHECK_EQ(running1, 1);
    ISER(0) = 1 << MHU_IRQ;
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        REG(MHU0 + 0x14) = 2 * i;
        while (answered != 2 * i + 1)
            __asm__ volatile("wfe");
    }
    CHECK_EQ(got1, ROUNDS);
    CHECK_EQ(REG(MHU0 + 0x10), 0);
    while (ticks1 < 3) /* its SysTick is not ours */
        CHECK_EQ(ticks0, 0);
    CHECK_EQ(running1, 1);
    print("dual: ok\n");
    return 0;
}
