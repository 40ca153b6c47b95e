/* SPDX-License-Identifier: MIT */
/* Entry point: options, machine, accelerator, main loop. */
#include <stdio.h>

int main(void)
{
    puts("rhea " RHEA_VERSION);
    return 0;
}
