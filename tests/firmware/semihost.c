/* SPDX-License-Identifier: MIT */
/*
 * A bare program for A-profile CPUs: console, a file, errno, the exit status, by the instruction CALL (HLT 0xf000 in
 * A64).
 */
#include <stdint.h>

typedef uintptr_t Word;

__asm__(".globl _start\n.type _start, %function\n_start:\n"
#ifdef __aarch64__
        "adrp x0, stack + 4096\n add x0, x0, :lo12:stack + 4096\n mov sp, x0\n b program\n"
#else
        "ldr r0, =stack + 4096\n mov sp, r0\n b program\n.ltorg\n"
#endif
);
uint8_t stack[4096] __attribute__((aligned(16)));

static Word call(Word op, const void *arg)
{
#ifdef __aarch64__
    register Word r0 __asm__("x0") = op;
    register const void *r1 __asm__("x1") = arg;
    __asm__ volatile("hlt 0xf000" : "+r"(r0) : "r"(r1) : "memory");
#else
    register Word r0 __asm__("r0") = op;
    register const void *r1 __asm__("r1") = arg;
    __asm__ volatile(CALL : "+r"(r0) : "r"(r1) : "memory", "lr");
#endif
    return r0;
}

static Word call3(Word op, Word a, Word b, Word c)
{
    volatile Word block[3];
    block[0] = a;
    block[1] = b;
    block[2] = c;
    return call(op, (const void *)block);
}

static void finish(Word status) { call3(0x20, 0x20026, status, 0); }

static void check(int good, const char *what)
{
    if (good)
        return;
    call(4, what);
    finish(1);
}

__attribute__((used, noreturn)) void program(void)
{
    static const char features[] = ":semihosting-features", tt[] = ":tt", none[] = "/no/such/file";
    volatile uint8_t magic[5];
    Word h = call3(1, (Word)features, 0, sizeof features - 1);
    check(h != (Word)-1, "FAIL: features: open\n");
    check(call3(6, h, (Word)magic, 5) == 0 && magic[0] == 'S' && magic[3] == 'B' && (magic[4] & 1), "FAIL: features\n");
    check(call3(2, h, 0, 0) == 0, "FAIL: close\n");
    check(call3(1, (Word)none, 0, sizeof none - 1) == (Word)-1, "FAIL: no such file\n");
    check(call(0x13, 0) == 2, "FAIL: errno\n");
    h = call3(1, (Word)tt, 4, sizeof tt - 1);
    check(call3(9, h, 0, 0) == 1 || h != (Word)-1, "FAIL: :tt\n");
    check(call3(5, h, (Word)"semihost: ok\n", 13) == 0, "FAIL: write\n");
    finish(9);
    for (;;)
        ;
}
