/* SPDX-License-Identifier: MIT */
/* Vector table of the images over newlib: its start code does the rest. */
#include <stdint.h>

extern void _start(void);
extern uint32_t STACK[];

/* newlib's start code uses FP registers where the ABI does. */
static void reset(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    _start();
}

__attribute__((section(".vectors"), used)) static const struct {
    void *sp;
    void (*reset)(void);
} vectors = { STACK, reset };
