/* SPDX-License-Identifier: MIT */
/*
 * A payload that measures: a timer interrupts a counting loop; each time the count and the time stamp go to the debug
 * console. With -icount the output is the same each time. Ends through isa-debug-exit.
 */
#include <stdint.h>

enum { TICKS = 40, PIT_DIVISOR = 1193 };

static volatile uint32_t count, ticks;

static void outb(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static uint64_t rdtsc(void)
{
    uint64_t t;
    __asm__ volatile("rdtsc" : "=A"(t));
    return t;
}

static void hex(uint32_t v, char end)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        outb(0xe9, (uint8_t)"0123456789abcdef"[v >> shift & 15]);
    outb(0xe9, (uint8_t)end);
}

void on_timer(void)
{
    uint64_t now = rdtsc();
    hex(count, ' ');
    hex((uint32_t)(now >> 32), ' ');
    hex((uint32_t)now, '\n');
    ticks++;
    outb(0x20, 0x20);
}

void main(void)
{
    static const uint8_t pic[] = { 0x20, 0x11, 0xa0, 0x11, 0x21, 0x20, 0xa1, 0x28, 0x21, 4,
                                   0xa1, 2,    0x21, 1,    0xa1, 1,    0x21, 0xfe, 0xa1, 0xff };
    for (unsigned i = 0; i < sizeof pic; i += 2)
        outb(pic[i], pic[i + 1]);
    outb(0x43, 0x34);
    outb(0x40, PIT_DIVISOR & 0xff);
    outb(0x40, PIT_DIVISOR >> 8);
    __asm__ volatile("sti");
    while (ticks < TICKS / 2)
        count++;
    while (ticks < TICKS) { /* and from sleep */
        count++;
        __asm__ volatile("hlt");
    }
    outb(0xf4, 0x10);
}
