/* SPDX-License-Identifier: MIT */
/* Start of the test images: the vector table, memory, main(). */
#include "fw.h"

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];

/* What no test expects: say so and end. */
static __attribute__((naked)) void unexpected(void)
{
    __asm__ volatile("mov r0, lr\n mrs r1, msp\n bl unexpected_at");
}

__attribute__((used)) static void unexpected_at(uint32_t lr, const Frame *f)
{
    print("FAIL: unexpected exception: IPSR, pc, lr, CFSR\n");
    print_hex(MRS("ipsr"));
    print_hex(f->pc);
    print_hex(lr);
    print_hex(CFSR);
    finish(2);
}

__attribute__((aligned(512))) Handler *vectors[64];

static void reset(void)
{
    uint32_t *from = data_load;
    for (uint32_t *p = data_start; p < data_end;)
        *p++ = *from++;
    for (uint32_t *p = bss_start; p < bss_end;)
        *p++ = 0;
    for (unsigned i = 2; i < 64; i++)
        vectors[i] = unexpected;
    VTOR = (uint32_t)vectors;
    BARRIER();
    finish(main());
}

__attribute__((section(".vectors"), used)) static const struct { void *sp; Handler *rest[15]; } boot_vectors = {
    stack_top, { reset, unexpected, unexpected, unexpected, unexpected, unexpected, unexpected, unexpected, unexpected, unexpected, unexpected,
                 unexpected, unexpected, unexpected, unexpected },
};
