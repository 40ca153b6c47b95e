/* SPDX-License-Identifier: MIT */
/* Firmware that goes wrong in the way that BAD says, and whose fault handler goes wrong as well: lockup. */
#include "fw.h"

#ifndef BAD
#define BAD 1
#endif

static void broken_handler(void) { (void)REG(0xb0000004); }

__attribute__((noinline, unused)) static uint32_t reads_nothing(void) { return REG(0xb0000000); }
__attribute__((noinline, unused)) static void touches_peripheral(void) { REG(0x40090000) = 1; }
__attribute__((noinline, unused)) static void undefined(void) { __asm__ volatile("udf #7"); }

int main(void)
{
    set_handler(3, broken_handler);
#if BAD == 1
    return (int)reads_nothing();
#elif BAD == 2
    touches_peripheral();
#elif BAD == 3
    ((void (*)(void))0xa0000001)();
#elif BAD == 4
    undefined();
#else
    __asm__ volatile("msr msp, %0\n svc 0" :: "r"(0xb0001000));
#endif
    return 0;
}
