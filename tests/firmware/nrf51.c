/* SPDX-License-Identifier: MIT */
/* nRF51: UART echo by interrupt, TIMER and RTC interrupts with their periods, GPIO, GPIOTE and PPI, a page of flash. */
#include "fw.h"

#define CLOCK 0x40000000u
#define UART 0x40002000u
#define GPIOTE 0x40006000u
#define TIMER0 0x40008000u
#define TIMER1 0x40009000u
#define RTC0 0x4000b000u
#define NVMC 0x4001e000u
#define PPI 0x4001f000u
#define GPIO 0x50000000u

static volatile uint32_t timer_irqs, rtc_irqs, gpiote_irqs;

static void timer(void)
{
    REG(TIMER0 + 0x140) = 0;
    timer_irqs++;
}
static void rtc(void)
{
    REG(RTC0 + 0x140) = 0;
    rtc_irqs++;
    REG(RTC0 + 0x540) = (REG(RTC0 + 0x504) + 33) & 0xffffff;
}
static void gpiote(void)
{
    REG(GPIOTE + 0x100) = 0;
    gpiote_irqs++;
}

static void test_timer(void)
{
    set_handler(16 + 8, timer);
    ISER(0) = 1 << 8;
    REG(TIMER0 + 0x508) = 3;       /* 32 bits */
    REG(TIMER0 + 0x510) = 4;       /* 1 MHz */
    REG(TIMER0 + 0x540) = 1000;
    REG(TIMER0 + 0x200) = 1;       /* COMPARE0 clears */
    REG(TIMER0 + 0x304) = 1 << 16;
    REG(TIMER0) = 1;
    while (timer_irqs < 5)
        __asm__ volatile("wfi");
    REG(TIMER0 + 4) = 1;
    REG(TIMER0 + 0x44) = 1;        /* CAPTURE1 */
    CHECK(REG(TIMER0 + 0x544) < 1000);
}

static void test_rtc(void)
{
    set_handler(16 + 11, rtc);
    ISER(0) = 1 << 11;
    REG(CLOCK + 8) = 1; /* LFCLKSTART */
    while (!REG(CLOCK + 0x104))
        ;
    REG(RTC0 + 0x540) = 33;
    REG(RTC0 + 0x304) = 1 << 16;
    REG(RTC0) = 1;
    while (rtc_irqs < 5)
        __asm__ volatile("wfi");
    CHECK(REG(RTC0 + 0x504) >= 5 * 33);
    REG(RTC0 + 4) = 1;
}

/* A pin that the port drives is an input of GPIOTE; PPI carries its event to a counter. */
static void test_gpiote(void)
{
    set_handler(16 + 6, gpiote);
    ISER(0) = 1 << 6;
    REG(GPIO + 0x700 + 4 * 5) = 1;                  /* pin 5: output, input buffer on */
    REG(GPIOTE + 0x510) = 1 | 5 << 8 | 1 << 16;     /* event at a rising edge */
    REG(GPIOTE + 0x304) = 1;
    REG(TIMER1 + 0x504) = 1;                        /* counter */
    REG(TIMER1) = 1;
    REG(PPI + 0x510) = GPIOTE + 0x100;
    REG(PPI + 0x514) = TIMER1 + 8;                  /* COUNT */
    REG(PPI + 0x504) = 1;
    for (int i = 0; i < 3; i++) {
        REG(GPIO + 0x508) = 1 << 5;
        REG(GPIO + 0x50c) = 1 << 5;
        BARRIER();
    }
    BARRIER();
    CHECK_EQ(gpiote_irqs, 3);
    REG(TIMER1 + 0x40) = 1;
    CHECK_EQ(REG(TIMER1 + 0x540), 3);
    /* task mode: a timer toggles pin 6 by PPI */
    REG(GPIOTE + 0x514) = 3 | 6 << 8 | 3 << 16;     /* toggle, first low */
    REG(PPI + 0x518) = TIMER0 + 0x140;
    REG(PPI + 0x51c) = GPIOTE + 4;
    REG(PPI + 0x504) = 2;
    CHECK_EQ(REG(GPIO + 0x510) >> 6 & 1, 0);
    timer_irqs = 0;
    REG(TIMER0) = 1;
    while (timer_irqs < 1)
        __asm__ volatile("wfi");
    REG(TIMER0 + 4) = 1;
    CHECK_EQ(REG(GPIO + 0x510) >> 6 & 1, timer_irqs & 1);
}

static void test_flash(void)
{
    volatile uint32_t *page = (volatile uint32_t *)0x3fc00;
    REG(NVMC + 0x504) = 2;
    REG(NVMC + 0x508) = (uint32_t)page;
    CHECK_EQ(page[0], 0xffffffff);
    REG(NVMC + 0x504) = 1;
    page[0] = 0x12345678;
    page[0] = 0xffff0000;
    REG(NVMC + 0x504) = 0;
    CHECK_EQ(page[0], 0x12340000);
}

/* --- UART --- */

static volatile uint32_t last;
static void uart(void)
{
    while (REG(UART + 0x108)) {
        REG(UART + 0x108) = 0;
        uint32_t c = REG(UART + 0x518);
        REG(UART + 0x51c) = c >= 'a' && c <= 'z' ? c - 32 : c;
        last = c;
    }
}

__attribute__((unused)) static void test_uart(void)
{
    set_handler(16 + 2, uart);
    ISER(0) = 1 << 2;
    REG(UART + 0x500) = 4;
    REG(UART + 0x304) = 1 << 2;
    REG(UART) = 1;     /* STARTRX */
    REG(UART + 8) = 1; /* STARTTX */
    REG(UART + 0x51c) = '>';
    while (last != '.') {
        __asm__ volatile("cpsid i" ::: "memory");
        if (last != '.')
            __asm__ volatile("wfi");
        __asm__ volatile("cpsie i\n isb" ::: "memory");
    }
}

int main(void)
{
    test_timer();
    test_rtc();
    test_gpiote();
    test_flash();
#ifdef ECHO
    test_uart();
#endif
    print("nrf51: ok\n");
    return 0;
}
