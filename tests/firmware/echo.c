/* SPDX-License-Identifier: MIT */
/* UART echo by interrupt on the CMSDK UART at UART: characters come back in upper case; a dot ends the program. */
#include "fw.h"

#define DATA REG(UART)
#define STATE REG(UART + 4)
#define CTRL REG(UART + 8)
#define INTCLEAR REG(UART + 12)
#define BAUD REG(UART + 16)

static volatile int last;

static void rx(void)
{
    INTCLEAR = 2;
    while (STATE & 2) {
        int c = (int)DATA;
        DATA = (uint32_t)(c >= 'a' && c <= 'z' ? c - 32 : c);
        last = c;
    }
}

int main(void)
{
    set_handler(16 + RX_IRQ, rx);
    BAUD = 16;
    CTRL = 1 | 2 | 8;
    ISER(RX_IRQ / 32) = 1u << RX_IRQ % 32;
    DATA = '>';
    while (last != '.') /* masked, so that the last character cannot come between the test and the wait */
        __asm__ volatile("cpsid i\n ldr r0, [%0]\n cmp r0, #'.'\n beq 1f\n wfi\n1: cpsie i\n isb" ::"r"(&last)
                         : "r0", "cc", "memory");
    return 7;
}
