/* SPDX-License-Identifier: MIT */
/* A payload for the debugger to walk: functions to stop in, variables to watch. Never ends by itself. */
#include <stdint.h>

volatile uint32_t counter, other;
volatile uint32_t stop;

/* The answer is different once the debugger has changed the code. */
__attribute__((noinline)) uint32_t answer(void)
{
    uint32_t n;
    __asm__ volatile("movl $42, %0" : "=a"(n));
    return n;
}

__attribute__((noinline)) void tick(uint32_t n) { counter += n; }
__attribute__((noinline)) uint32_t look(void) { return other; }
void on_timer(void) { }

void main(void)
{
    while (!stop) {
        tick(answer());
        other = counter * 2;
        if (look() == 0xffffffff)
            tick(1);
    }
}
