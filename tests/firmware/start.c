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
#if __ARM_ARCH >= 7
    print_hex(CFSR);
#endif
    finish(2);
}

__attribute__((aligned(512))) Handler *vectors[128];

static void reset(void)
{
    uint32_t *from = data_load;
    for (uint32_t *p = data_start; p < data_end;)
        *p++ = *from++;
    for (uint32_t *p = bss_start; p < bss_end;)
        *p++ = 0;
    for (unsigned i = 2; i < 128; i++)
        vectors[i] = unexpected;
#if __ARM_ARCH >= 7
    VTOR = (uint32_t)vectors;
#endif
    BARRIER();
    finish(main());
}

#if __ARM_ARCH >= 7
#define BOOT unexpected
#define COUNT 15
#else /* without VTOR: all enter here, and go on at vectors[IPSR] */
static __attribute__((naked)) void dispatch(void)
{
    __asm__ volatile("mrs r0, ipsr\n lsls r0, r0, #2\n ldr r1, =vectors\n ldr r0, [r1, r0]\n bx r0\n .ltorg");
}
#define BOOT dispatch
#define COUNT 47
#endif

__attribute__((section(".vectors"), used)) static const struct { void *sp; Handler *rest[COUNT]; } boot_vectors = {
    stack_top, { reset, [1 ... COUNT - 1] = BOOT },
};
