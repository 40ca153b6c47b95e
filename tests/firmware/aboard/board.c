/* SPDX-License-Identifier: MIT */
/*
 * A program for an A-profile board: text on its UART, and ten interrupts of a timer through its interrupt controller.
 */
#include <stdint.h>

#define REG(at) (*(volatile uint32_t *)(uintptr_t)(at))

static volatile unsigned ticks;

#if defined VERSATILE
enum { VIC = 0x10140000, TIMER = 0x101e2000, UART = 0x101f1000 };
static void put(char c) { REG(UART) = (uint32_t)c; }
static void start(void)
{
    REG(VIC + 0x100) = 0x1234;
    REG(VIC + 0x200) = 0x20 | 4;
    REG(VIC + 0x10) = 1 << 4;
    REG(TIMER) = 1000;
    REG(TIMER + 8) = 0xe2; /* on, periodic, interrupt, 32 bits */
}
static void interrupt(void)
{
    if (REG(VIC + 0x30) == 0x1234 && REG(TIMER + 0x14) == 1)
        ticks++;
    REG(TIMER + 0xc) = 0;
    REG(VIC + 0x30) = 0;
}
/*
 * ARMv5 with SCTLR.A clear: a word from an address that is not aligned comes rotated, everything else from the aligned
 * address (DDI 0406C, D15.3).
 */
static void text(const char *s);
static void more(void)
{
    static uint32_t words[4] __attribute__((aligned(8)));
    uint32_t at = (uint32_t)words, got[8];
    words[0] = 0x33221100, words[1] = 0x77665544;
    __asm__ volatile("ldr %0, [%1, #1]" : "=&r"(got[0]) : "r"(at) : "memory");
    __asm__ volatile("ldr %0, [%1, %2]" : "=&r"(got[1]) : "r"(at), "r"(6) : "memory");
    __asm__ volatile("mov %0, %1\n ldr %0, [%0, #3]" : "=&r"(got[2]) : "r"(at) : "memory");
    __asm__ volatile("ldrh %0, [%1, #3]" : "=&r"(got[3]) : "r"(at) : "memory");
    __asm__ volatile("ldmia %2, {r2, r3}\n mov %0, r2\n mov %1, r3"
                     : "=&r"(got[4]), "=&r"(got[5])
                     : "r"(at + 2)
                     : "r2", "r3", "memory");
    __asm__ volatile("swp %0, %1, [%2]" : "=&r"(got[6]) : "r"(0xaabbccdd), "r"(at + 9) : "memory");
    __asm__ volatile("str %0, [%1, #15]\n strh %0, [%1, #11]" : : "r"(0x01020304), "r"(at) : "memory");
    __asm__ volatile("adr r1, 2f\n ldr %0, [r1, #1]\n b 3f\n 2: .word 0x89abcdef\n 3:"
                     : "=&r"(got[7])
                     :
                     : "r1", "memory");
    static const uint32_t right[8] = {
        0x00332211, 0x55447766, 0x22110033, 0x3322, 0x33221100, 0x77665544, 0, 0xef89abcd
    };
    unsigned wrong = words[2] != 0x0304ccdd || words[3] != 0x01020304;
    for (unsigned n = 0; n < 8; n++)
        wrong |= (unsigned)(got[n] != right[n]) << (n + 1);
    text(wrong ? "board: alignment wrong " : "board: alignment good");
    for (; wrong; wrong >>= 1)
        put((char)('0' + (wrong & 1)));
    text("\r\n");
}
#elif defined RASPI
#include "raspi.h"
#else
static void more(void) { }
#if defined VEXPRESS
enum { GIC = 0x1e000000, ID = 34, TIMER = 0x10011000, UART = 0x10009000 };
static void put(char c) { REG(UART) = (uint32_t)c; }
static void timer(void)
{
    REG(TIMER) = 1000;
    REG(TIMER + 8) = 0xe2;
}
static unsigned ack(void)
{
    unsigned on = REG(TIMER + 0x14);
    REG(TIMER + 0xc) = 0;
    return on;
}
#elif defined ZYNQ
enum { GIC = 0xf8f00000, ID = 42, TIMER = 0xf8001000, UART = 0xe0000000 };
static void put(char c)
{
    REG(UART) = 0x14; /* transmitter and receiver on */
    while (REG(UART + 0x2c) & 0x10)
        ;
    REG(UART + 0x30) = (uint32_t)c;
}
static void timer(void)
{
    REG(TIMER) = 0x7; /* clock / 16 */
    REG(TIMER + 0x24) = 8000;
    REG(TIMER + 0x60) = 1;
    REG(TIMER + 0xc) = 0x32; /* interval, restart */
}
static unsigned ack(void) { return REG(TIMER + 0x54) & 1; }
#elif defined IMX6
enum { GIC = 0x00a00000, ID = 88, TIMER = 0x020d0000, UART = 0x02020000 };
static void put(char c)
{
    REG(UART + 0x80) = 1;
    REG(UART + 0x84) = 0x4007;
    while (REG(UART + 0xb4) & 0x10)
        ;
    REG(UART + 0x40) = (uint32_t)c;
}
static void timer(void)
{
    REG(TIMER + 0x00) = 1 << 24 | 8 | 4 | 2; /* peripheral clock, reload, interrupt */
    REG(TIMER + 0x08) = 60000;
    REG(TIMER + 0x0c) = 0;
    REG(TIMER + 0x00) |= 1;
}
static unsigned ack(void)
{
    unsigned on = REG(TIMER + 4) & 1;
    REG(TIMER + 4) = 1;
    return on;
}
#endif
static void start(void)
{
    REG(GIC + 0x1000) = 1;
    REG(GIC + 0x1100 + ID / 32 * 4) = 1u << ID % 32;
    ((volatile uint8_t *)(GIC + 0x1400))[ID] = 0x50;
    ((volatile uint8_t *)(GIC + 0x1800))[ID] = 1;
    REG(GIC + 0x104) = 0xf0;
    REG(GIC + 0x100) = 1;
    timer();
}
static void interrupt(void)
{
    uint32_t id = REG(GIC + 0x10c);
    if ((id & 0x3ff) == ID && ack())
        ticks++;
    REG(GIC + 0x110) = id;
}
#endif

__attribute__((interrupt("IRQ"))) void irq(void) { interrupt(); }

static void text(const char *s)
{
    while (*s)
        put(*s++);
}

void run(void);
void run(void)
{
    text("board: up\r\n");
    start();
    __asm__ volatile("mrs r0, cpsr\n bic r0, r0, #0x80\n msr cpsr_c, r0" ::: "r0", "memory");
    while (ticks < 10)
        ;
    text("board: 10 interrupts\r\n");
    more();
    for (;;)
        ;
}
