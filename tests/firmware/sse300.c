/* SPDX-License-Identifier: MIT */
/* SSE-300: the system counter and its timers; GPIO of the board. */
#include "fw.h"

#define CONTROL 0x58100000
#define STATUS 0x58101000
#define TIMER0 0x58000000
#define TIMER3 0x58003000
enum { IRQ0 = 3, IRQ3 = 27 };

static volatile uint32_t fired, again;

static void on_timer0(void)
{
    fired++;
    REG(TIMER0 + 0x2c) = 3; /* IMASK */
}

static void on_timer3(void)
{
    again++;
    REG(TIMER3 + 0x4c) = 1; /* clears CLR, goes on */
}

/* The Non-secure watchdog: interrupt 1 at the first time-out, interrupt 0 asks for a reset. */
#define DOG 0x48040000
#define REFRESH 0x48041000
static volatile uint32_t barked, bit;

static void on_bark(void)
{
    barked++;
    CHECK_EQ(REG(DOG) & 3, 3);
    if (barked == 1)
        REG(REFRESH) = 0;
    else
        ICER(0) = 1 << 1;
}

static void on_bite(void)
{
    bit++;
    CHECK_EQ(REG(DOG), 7);
    REG(DOG) = 0;
}

static void test_watchdog(void)
{
    CHECK_EQ(REG(DOG), 0);
    set_handler(16 + 1, on_bark);
    set_handler(16 + 0, on_bite);
    ISER(0) = 3;
    REG(DOG + 8) = 32000;
    REG(DOG) = 1;
    while (!barked)
        __asm__ volatile("wfi");
    CHECK_EQ(REG(DOG), 1);
    while (!bit)
        __asm__ volatile("wfi");
    CHECK_EQ(barked, 2);
    CHECK_EQ(REG(DOG), 0);
}

static uint64_t now(void)
{
    uint32_t high, low;
    do {
        high = REG(STATUS + 4);
        low = REG(STATUS);
    } while (high != REG(STATUS + 4));
    return (uint64_t)high << 32 | low;
}

int main(void)
{
    CHECK_EQ(REG(CONTROL), 0);
    CHECK_EQ(REG(STATUS), 0);
    CHECK_EQ(REG(CONTROL + 0x1c), 0x20001);
    CHECK_EQ(REG(CONTROL + 0x10), 1u << 24);
    REG(CONTROL + 8) = 0xfffffff0;
    REG(CONTROL + 12) = 5;
    CHECK_EQ(REG(STATUS), 0xfffffff0);
    REG(CONTROL) = 1;
    uint64_t a = now();
    while (now() < a + 32000)
        ;
    CHECK_EQ(REG(STATUS + 4), 6);
    CHECK_EQ(REG(TIMER0 + 4), 6);
    /* compare value */
    set_handler(16 + IRQ0, on_timer0);
    set_handler(16 + IRQ3, on_timer3);
    ISER(0) = 1 << IRQ0 | 1 << IRQ3;
    REG(TIMER0 + 0x28) = 64000;
    CHECK_EQ(REG(TIMER0 + 0x2c), 0);
    REG(TIMER0 + 0x2c) = 1;
    a = now();
    while (!fired)
        __asm__ volatile("wfi");
    CHECK(now() - a >= 60000);
    CHECK_EQ(fired, 1);
    CHECK_EQ(REG(TIMER0 + 0x2c), 7);
    CHECK((int32_t)REG(TIMER0 + 0x28) <= 0);
    /* auto-increment */
    CHECK_EQ(REG(TIMER3 + 0x50) & 0xf, 1);
    REG(TIMER3 + 0x48) = 32000;
    REG(TIMER3 + 0x4c) = 1;
    REG(TIMER3 + 0x2c) = 1;
    a = now();
    while (again < 5)
        __asm__ volatile("wfi");
    CHECK(now() - a >= 4 * 32000);
    REG(TIMER3 + 0x2c) = 0;
    test_watchdog();
    /* twice as fast: a step of 2 */
    REG(CONTROL) = 0;
    REG(CONTROL + 0x10) = 2u << 24;
    REG(CONTROL) = 5;
    a = now();
    CHECK_EQ(now() & 1, a & 1);
    while (now() < a + 64000)
        ;
    print("sse300: ok\n");
    return 0;
}
