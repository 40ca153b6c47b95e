/* SPDX-License-Identifier: MIT */
/*
 * A program that knows whether it was loaded as it is: data, zeros, bytes at odd places, its command line, and words
 * that -device loader put somewhere.
 */
#include <stdint.h>

#ifdef BAD
__attribute__((noinline, noipa)) static int touches(uintptr_t at) { return (int)*(volatile uint32_t *)at; }

/* Vectors whose handlers do the same as what went wrong; microcontrollers have start.c's, AArch64 what is at 0. */
static void break_vectors(void)
{
#if defined __ARM_ARCH_PROFILE && __ARM_ARCH_PROFILE == 'M' || defined __aarch64__
#else
    static volatile uint32_t own[16] __attribute__((aligned(32)));
    volatile uint32_t *vectors = own;
#if __ARM_ARCH >= 7
    __asm__ volatile("mcr p15, 0, %0, c12, c0, 0" :: "r"(own));
#else
    __asm__("mov %0, #0" : "=r"(vectors));
#endif
    for (unsigned i = 0; i < 8; i++) {
        vectors[i] = 0xe59ff018; /* ldr pc, [pc, #24] */
        vectors[8 + i] = (uint32_t)(uintptr_t)touches;
    }
#endif
}
#endif

static uintptr_t semihost(uintptr_t op, const void *arg)
{
#if defined __aarch64__
    register uintptr_t r0 __asm__("x0") = op, r1 __asm__("x1") = (uintptr_t)arg;
    __asm__ volatile("hlt #0xf000" : "+r"(r0) : "r"(r1) : "memory");
#else
    register uintptr_t r0 __asm__("r0") = op, r1 __asm__("r1") = (uintptr_t)arg;
#if __ARM_ARCH_PROFILE == 'M'
    __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
#else
    __asm__ volatile("svc #0x123456" : "+r"(r0) : "r"(r1) : "memory", "lr");
#endif
#endif
    return r0;
}

__attribute__((section(".odd"), used)) static const uint8_t odd[7] = { 1, 2, 3, 5, 8, 13, 21 };
static volatile uint32_t initialised = 0x12345678, zero;
static char line[200];

static const char *hex(uint32_t v)
{
    static char text[9];
    for (int i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[v >> (28 - 4 * i) & 15];
    return text;
}

int main(void);
int main(void)
{
#ifdef BAD
    break_vectors();
    touches(BAD);
#endif
    const uint8_t *volatile p = odd;
    unsigned sum = 0;
    for (unsigned i = 0; i < sizeof odd; i++)
        sum += p[i];
    struct { char *at; uintptr_t len; } ask = { line, sizeof line };
    int got = semihost(0x15, &ask) == 0;
    semihost(4, got ? line : "no command line");
    semihost(4, "\nload: ");
    semihost(4, hex(*(volatile uint32_t *)PATCH));
    semihost(4, hex(*(volatile uint32_t *)(PATCH + 4)));
    semihost(4, initialised == 0x12345678 && !zero && sum == 53 ? " ok\n" : " damaged\n");
    static uintptr_t end[2] = { 0x20026, 42 };
    semihost(0x20, end);
    return 1;
}

#if !defined __ARM_ARCH_PROFILE || __ARM_ARCH_PROFILE != 'M'
__attribute__((used)) static uint8_t stack[2048] __attribute__((aligned(16)));
#if defined __aarch64__
__asm__(
    ".section .start, \"ax\"\n.globl start\nstart: mrs x0, mpidr_el1\n and x0, x0, #0xff\n 1: cbnz x0, 1b\n"
    "ldr x0, =stack + 2048\n mov sp, x0\n b main\n");
#else
__asm__(".section .start, \"ax\"\n.globl start\nstart: ldr sp, =stack + 2048\n ldr r0, =main\n bx r0\n");
#endif
#endif
