/* SPDX-License-Identifier: MIT */
/* Firmware that goes wrong: BAD=1 reads where nothing is; its fault handler does the same: lockup. */
#include "fw.h"

static void broken_handler(void) { (void)REG(0xb0000004); }

__attribute__((noinline)) static uint32_t reads_nothing(void) { return REG(0xb0000000); }

int main(void)
{
    set_handler(3, broken_handler);
    return (int)reads_nothing();
}
