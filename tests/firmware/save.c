/* SPDX-License-Identifier: MIT */
/*
 * Work for two seconds of virtual time under periodic interrupts: whoever saves and loads the machine meanwhile must
 * not disturb it.
 */
#include "fw.h"

enum { TICKS = 200, PERIOD_US = 10000 };
static volatile uint32_t ticks, seed = 1, check = 1, rounds;

static void tick(void)
{
#ifdef NRF51
    REG(0x40008140) = 0;
#endif
    ticks++;
}

static void start_ticks(void)
{
#ifdef NRF51 /* TIMER0 at 1 MHz */
    set_handler(16 + 8, tick);
    ISER(0) = 1 << 8;
    REG(0x40008508) = 3;
    REG(0x40008510) = 4;
    REG(0x40008540) = PERIOD_US;
    REG(0x40008200) = 1;
    REG(0x40008304) = 1 << 16;
    REG(0x40008000) = 1;
#else
    set_handler(15, tick);
    SYST_RVR = CLOCK_HZ / 1000000 * PERIOD_US - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
#endif
}

static uint32_t mix(uint32_t v) { return v * 1664525 + 1013904223; }

int main(void)
{
    start_ticks();
    print("running\n");
    while (ticks < TICKS) {
        uint32_t a = seed, b = check;
        for (unsigned i = 0; i < 1000; i++) {
            a = mix(a);
            b = mix(b);
        }
        seed = a;
        check = b;
        rounds++;
        CHECK_EQ(seed, check);
        __asm__ volatile("wfi");
    }
    CHECK(rounds >= TICKS / 2);
    print("save: ok\n");
    finish(5);
}
