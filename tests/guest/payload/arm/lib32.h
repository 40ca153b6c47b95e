/* SPDX-License-Identifier: MIT */
/*
 * What the bare-metal A32 tests share: output by the UART at UART (its data register comes first), checks, coprocessor
 * registers.
 */
#ifndef PAYLOAD_ARM_LIB32_H
#define PAYLOAD_ARM_LIB32_H

typedef unsigned int u32;
typedef unsigned char u8;
typedef struct Frame { u32 kind, spsr, r[13], lr; } Frame;

#define cp(text) ({ u32 v_; __asm__ volatile("mrc " text : "=r"(v_) : : "memory"); v_; })
#define cp_write(text, value) __asm__ volatile("mcr " text "\n\tdsb\n\tisb" : : "r"((u32)(value)) : "memory")
#define MMIO(a) (*(volatile u32 *)(a))
#define EXPECT(what, got, want) check(what, (u32)(got), (u32)(want))

static volatile u32 passed, failed;

static void print(const char *s)
{
    for (; *s; s++)
        MMIO(UART) = (u8)*s;
}

static void print_hex(u32 v)
{
    char text[9];
    for (int i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[v >> (28 - 4 * i) & 15];
    text[8] = 0;
    print(text);
}

static void check(const char *what, u32 got, u32 want)
{
    if (got == want) {
        passed++;
        return;
    }
    failed++;
    print("FAIL "), print(what), print(": "), print_hex(got), print(", expected "), print_hex(want), print("\n");
}

static void print_result(void)
{
    print_hex(passed);
    print(failed ? " passed, some failed\nPAYLOAD FAILED\n" : " passed\nPAYLOAD OK\n");
}

/*
 * R-profile: an instruction with an operand in r0; an exception sets `kind` and goes on behind it, at `resume`. r0
 * afterwards.
 */
#define TRY1(insn, a) ({ \
    register u32 r0_ __asm__("r0") = (u32)(a); \
    kind = 0; \
    __asm__ volatile("ldr r2, =77f\n\tstr r2, [%1]\n\t" insn "\n77:\n\tmov r2, #0\n\tstr r2, [%1]" \
                     : "+r"(r0_) : "r"(&resume) : "r1", "r2", "r3", "lr", "cc", "memory"); \
    r0_; })

/* Semihosting's SYS_EXIT, by SVC; R-profile has no handler of its own there when it ends. */
static void __attribute__((noreturn)) leave(void)
{
    register u32 r0 __asm__("r0") = 0x18;
    register u32 r1 __asm__("r1") = failed ? 0x20023 : 0x20026;
    __asm__ volatile("svc #0x123456" : : "r"(r0), "r"(r1) : "memory");
    for (;;)
        __asm__ volatile("wfi");
}
#endif
