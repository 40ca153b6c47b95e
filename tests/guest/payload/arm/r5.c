/* SPDX-License-Identifier: MIT */
/*
 * Cortex-R5 (on versatilepb): exceptions by the vectors at 0, the PMSAv7 MPU with its faults, interrupts by the PL190,
 * FP, division.
 */
#define UART 0x101f1000
#include "lib32.h"

enum { VIC = 0x10140000, TIMER = 0x101e2000, SCRATCH = 0x400000 };
void stacks_pl1(void);
extern u32 vectors[], vectors_end[];

static volatile u32 kind, lr, dfsr, dfar, ifsr, ifar, resume, irqs;

static void __attribute__((noreturn)) end(void)
{
    print_result();
    leave();
}

void handle(Frame *f)
{
    if (f->kind == 6) {
        irqs++;
        MMIO(TIMER + 0xc) = 0; /* clear */
        f->lr -= 4;
        return;
    }
    kind = f->kind, lr = f->lr;
    dfsr = cp("p15, 0, %0, c5, c0, 0"), dfar = cp("p15, 0, %0, c6, c0, 0"), ifsr = cp("p15, 0, %0, c5, c0, 1"),
    ifar = cp("p15, 0, %0, c6, c0, 2");
    if (!resume) {
        print("unexpected exception "), print_hex(kind), print(" "), print_hex(lr), print(" "), print_hex(dfsr),
            print(" "), print_hex(dfar), print("\n");
        failed++;
        end();
    }
    f->lr = resume;
    f->spsr = (f->spsr & ~0x3fu) | 0x1f;
    resume = 0;
}


/* Region n: 2^bits bytes at base; DRACR, subregions that are off. */
static void region(u32 n, u32 base, u32 bits, u32 dracr, u32 off)
{
    cp_write("p15, 0, %0, c6, c2, 0", n);
    cp_write("p15, 0, %0, c6, c1, 0", base);
    cp_write("p15, 0, %0, c6, c1, 4", dracr);
    cp_write("p15, 0, %0, c6, c1, 2", off << 8 | (bits - 1) << 1 | 1);
}
enum { FULL = 3 << 8, PRIV = 1 << 8, USER_RO = 2 << 8, READ_ONLY = 6 << 8, XN = 1 << 12, NORMAL = 0xb };

static void test_mpu(void)
{
    EXPECT("MPUIR", cp("p15, 0, %0, c0, c0, 4"), 16 << 8);
    region(0, 0, 27, FULL | NORMAL, 0);
    region(1, 0x10000000, 28, FULL | XN | 1, 0);
    region(2, SCRATCH, 12, READ_ONLY | XN | NORMAL, 0);
    region(3, SCRATCH + 0x1000, 12, PRIV | NORMAL, 0);
    region(4, SCRATCH + 0x2000, 12, 0, 0xf0); /* no access, in the lower half of its page */
    region(5, SCRATCH + 0x3000, 5, READ_ONLY | NORMAL, 0);
    MMIO(SCRATCH) = 0xe12fff1e;
    cp_write("p15, 0, %0, c1, c0, 0", cp("p15, 0, %0, c1, c0, 0") | 1);
    TRY1("ldr r0, [r0]", SCRATCH);
    EXPECT("read-only memory is read", kind, 0);
    TRY1("str r0, [r0]", SCRATCH + 4);
    EXPECT("... and written: vector", kind, 4);
    EXPECT("... DFSR", dfsr, 0x80d);
    EXPECT("... DFAR", dfar, SCRATCH + 4);
    TRY1("blx r0", SCRATCH);
    EXPECT("XN: vector", kind, 3);
    EXPECT("... IFSR", ifsr, 0xd);
    EXPECT("... IFAR", ifar, SCRATCH);
    TRY1("ldr r0, [r0]", 0x9000000);
    EXPECT("no region: DFSR", dfsr, 0);
    EXPECT("... DFAR", dfar, 0x9000000);
    TRY1("ldr r0, [r0]", SCRATCH + 0x2010);
    EXPECT("no access: DFSR", dfsr, 0xd);
    TRY1("ldr r0, [r0]", SCRATCH + 0x2810);
    EXPECT("a subregion that is off", kind, 0);
    TRY1("str r0, [r0]", SCRATCH + 0x301c);
    EXPECT("a region of 32 bytes: DFSR", dfsr, 0x80d);
    TRY1("str r0, [r0]", SCRATCH + 0x3020);
    EXPECT("... and behind it", kind, 0);
    TRY1("mov r1, r0\n\tldrt r0, [r1]", SCRATCH + 0x1000);
    EXPECT("LDRT of privileged memory: DFSR", dfsr, 0xd);
    TRY1("mov r1, r0\n\tldrt r0, [r1]", SCRATCH);
    EXPECT("LDRT of read-only memory", kind, 0);
    /* BR: the default map behind the regions */
    cp_write("p15, 0, %0, c1, c0, 0", cp("p15, 0, %0, c1, c0, 0") | 1 << 17);
    TRY1("ldr r0, [r0]", 0x34000000);
    EXPECT("background region", kind, 0);
    TRY1("mov r1, r0\n\tldrt r0, [r1]", 0x34000000);
    EXPECT("... is for privileged code: DFSR", dfsr, 0);
}

static void test_instructions(void)
{
    u32 q, sum;
    __asm__("sdiv %0, %1, %2" : "=r"(q) : "r"(-100), "r"(7));
    EXPECT("SDIV", q, -14);
    __asm__("udiv %0, %1, %2" : "=r"(q) : "r"(100), "r"(0));
    EXPECT("UDIV by 0", q, 0);
    cp_write("p15, 0, %0, c1, c0, 0", cp("p15, 0, %0, c1, c0, 0") | 1 << 19); /* DZ */
    TRY1("mov r1, #0\n\tudiv r0, r0, r1", 5);
    EXPECT("SCTLR.DZ", kind, 1);
    cp_write("p15, 0, %0, c1, c0, 2", 0xf << 20);
    __asm__ volatile(
        ".fpu vfpv3-d16\n\tvmsr fpexc, %1\n\tvmov.f32 s0, #1.5\n\tvadd.f32 s0, s0, s0\n\t"
        "vcvt.s32.f32 s0, s0\n\tvmov %0, s0"
        : "=r"(sum)
        : "r"(1 << 30)
        : "memory");
    EXPECT("FP", sum, 3);
    TRY1("svc #5", 0);
    EXPECT("SVC", kind, 2);
    TRY1("udf #7", 0);
    EXPECT("UDF", kind, 1);
    TRY1("bkpt #1", 0);
    EXPECT("BKPT: IFSR", ifsr & 0x40f, 2);
}

static void test_timer(void)
{
    MMIO(VIC + 0x10) = 1 << 4; /* timers 0 and 1 */
    MMIO(TIMER) = 1000, MMIO(TIMER + 8) = 0xe2; /* periodic, 32 bits, interrupt */
    for (u32 round = 0; round < 3; round++) {
        u32 seen = irqs;
        __asm__ volatile("cpsid i");
        while (irqs == seen)
            __asm__ volatile("wfi\n\tcpsie i\n\tisb\n\tcpsid i" : : : "memory");
    }
    MMIO(TIMER + 8) = 0;
    check("interrupts", irqs >= 3, 1);
}

void payload_main(void)
{
    stacks_pl1();
    for (u32 *from = vectors, *to = 0; from < vectors_end;) {
        u32 word = *from++;
        __asm__ volatile("str %0, [%1], #4" : "+r"(word), "+r"(to) : : "memory");
    }
    __asm__ volatile("dsb\n\tmcr p15, 0, %0, c7, c5, 0\n\tisb" : : "r"(0) : "memory");
    test_instructions();
    test_mpu();
    test_timer();
    end();
}
