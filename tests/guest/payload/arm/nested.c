/* SPDX-License-Identifier: MIT */
/*
 * A guest of KVM (tests/guest/nested/vmm.c is its board) on the emulated EL2: device accesses that its user completes,
 * interrupts from there, stage 2 tables that are filled, logged and taken back, FP registers over exits, WFI, two
 * vCPUs.
 */
#include "lib.h"

enum {
    TESTDEV = 0x09100000,
    CONTROL = TESTDEV + 0x100,
    SPI = 72,
    ROM = 0x60000000,
    FRESH = 0x44000000,
    DROPPED = 0x48000000
};
enum { SPI_UP = 1, SPI_DOWN, LOG_ON, LOG_COUNT, LOG_OFF, ROM_FILL, DROP };

static volatile u32 irqs, last_irq, second_rounds;
static void control(u32 command) { *mmio(CONTROL) = command; }
static volatile u64 *reg(unsigned n) { return (volatile u64 *)(u64)TESTDEV + n; }

/* --- accesses of every size; the board keeps value and size --- */

#define STORE(size_, insn, value) do { \
        __asm__ volatile(insn : : "r"((u64)(value)), "r"((u64)TESTDEV + 8) : "memory"); \
        EXPECT(insn, *reg(1), (u64)(size_) << 56 | (u64)(value)); \
    } while (0)
#define LOAD_BITS(insn, want, bits) do { \
        u64 v_; \
        __asm__ volatile(insn : "=r"(v_) : "r"((u64)TESTDEV + 16) : "memory"); \
        EXPECT(insn, v_ & (~0ul >> (64 - (bits))), want); \
    } while (0)
#define LOAD(insn, want) LOAD_BITS(insn, want, 64)

static void test_mmio(void)
{
    STORE(1, "strb %w0, [%1]", 0x91);
    STORE(2, "strh %w0, [%1]", 0x8123);
    STORE(4, "str %w0, [%1]", 0x80001234);
    STORE(8, "str %0, [%1]", 0xabcdef12345678);
    STORE(4, "stlr %w0, [%1]", 0x77);
    *reg(2) = 0x85868788898a8b;
    LOAD("ldrb %w0, [%1]", 0x8b);
    LOAD("ldrh %w0, [%1, #2]", 0x8889);
    LOAD("ldr %w0, [%1]", 0x88898a8b);
    /* Linux 6.1 drops the sign again after it has extended it; el2.c looks at the syndrome */
    LOAD_BITS("ldrsb %w0, [%1]", 0x8b, 8);
    LOAD_BITS("ldrsb %0, [%1, #1]", 0x8a, 8);
    LOAD_BITS("ldrsh %w0, [%1]", 0x8a8b, 16);
    LOAD_BITS("ldrsh %0, [%1]", 0x8a8b, 16);
    LOAD_BITS("ldrsw %0, [%1]", 0x88898a8b, 32);
    LOAD("ldr %0, [%1]", 0x0885868788898a8b);
    LOAD("ldar %w0, [%1]", 0x88898a8b);
    __asm__ volatile("str xzr, [%0]\n\tldr xzr, [%0]" : : "r"(TESTDEV + 8ul) : "memory");
    EXPECT("str xzr", *reg(1), 8ul << 56);
}

/* --- FP registers while the board's user runs --- */

static void test_fp(void)
{
    u64 bad;
    wr("cpacr_el1", 3 << 20);
    __asm__ volatile("mov x1, #1000\n1:\n\t"
                     ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"
                     "add x2, x1, #\\n\n\tdup v\\n\\().2d, x2\n\t.endr\n\t"
                     "strb w1, [%1]\n\tldrb w3, [%1]\n\tmov %0, #0\n\t"
                     ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"
                     "add x2, x1, #\\n\n\tmov x3, v\\n\\().d[1]\n\tcmp x2, x3\n\tcinc %0, %0, ne\n\t.endr\n\t"
                     "cbnz %0, 2f\n\tsub x1, x1, #50\n\tcbnz x1, 1b\n2:"
                     : "=&r"(bad) : "r"(TESTDEV + 24ul) : "x1", "x2", "x3", "cc", "memory");
    EXPECT("FP registers over exits", bad, 0);
}

/* --- interrupts --- */

static u64 irq_hook(Frame *f)
{
    if ((f->vector & 3) != 1)
        return 0;
    u32 ack = gic_ack();
    last_irq = ack & 0x3ff;
    if (last_irq == SPI)
        control(SPI_DOWN);
    else if (last_irq == 27)
        wr("cntv_ctl_el0", 2);
    irqs++;
    gic_eoi(ack);
    return 1;
}

static void spi_enable(void)
{
    if (gic_version == 3)
        *mmio(0x8000000 + 0x80 + SPI / 32 * 4) |= 1u << SPI % 32; /* group 1 */
    *((volatile u8 *)0x8000800 + SPI) = 1;                   /* GICv2: to CPU 0 */
    *mmio(0x8000000 + 0x100 + SPI / 32 * 4) = 1u << SPI % 32;
}

static void test_interrupts(void)
{
    gic_init();
    print(gic_version == 3 ? "GICv3\n" : "GICv2\n");
    gic_enable(27);
    spi_enable();
    caught.hook = irq_hook;
    for (unsigned i = 0; i < 20; i++) {
        u32 seen = irqs;
        op("msr daifclr, #2\n\tisb // %0", 0);
        control(SPI_UP);
        SLEEP_UNTIL(irqs != seen);
        EXPECT("SPI", last_irq, SPI);
        u64 until = rd("cntvct_el0") + rd("cntfrq_el0") / 1000;
        wr("cntv_cval_el0", until);
        wr("cntv_ctl_el0", 1);
        seen = irqs;
        SLEEP_UNTIL(irqs != seen);
        EXPECT("timer", last_irq, 27);
        check(rd("cntvct_el0") >= until, "the timer is not early", rd("cntvct_el0"), until);
    }
    op("msr daifset, #2 // %0", 0);
    caught.hook = 0;
    EXPECT("interrupts", irqs, 40);
}

/* --- stage 2 --- */

static void test_stage2(void)
{
    enum { SIZE = 32 << 20, STEP = 4096 };
    u64 wrong = 0;
    for (u64 a = 0; a < SIZE; a += STEP)
        *(volatile u64 *)(FRESH + a) = a ^ 0x1234;
    for (u64 a = 0; a < SIZE; a += STEP)
        wrong += *(volatile u64 *)(FRESH + a) != (a ^ 0x1234);
    EXPECT("fresh memory", wrong, 0);
    volatile u64 *d = (volatile u64 *)(u64)DROPPED;
    d[0] = 7, d[512] = 8;
    control(DROP);
    EXPECT("memory that was taken back", d[0] + d[512], 0);
    control(ROM_FILL);
    EXPECT("ROM", *mmio(ROM + 0x100), 0x5a5a5a5a);
    *mmio(ROM + 0x1004) = 1;
    EXPECT("a write to ROM leaves", *reg(1), ROM + 0x1004);
    EXPECT("... and changes nothing", *mmio(ROM + 0x1004), 0x5a5a5a5a);
    control(LOG_ON);
    control(LOG_COUNT);
    for (unsigned i = 0; i < 200; i++)
        *(volatile u64 *)(FRESH + i * 8192ul) = i;
    control(LOG_COUNT);
    u64 dirty = *reg(0);
    check(dirty >= 200 && dirty < 210, "dirty log", dirty, 200);
    wrong = 0;
    for (unsigned i = 0; i < 200; i++)
        wrong += *(volatile u64 *)(FRESH + i * 8192ul) != i;
    EXPECT("logged writes", wrong, 0);
    control(LOG_OFF);
    TRY("ldr x0, [x0]", TEST_VA, 0);
    EXPECT_EXC("stage 1 fault under KVM", 0x25, 5);
}

/* New code at one place, again and again. */
static void test_code(void)
{
    volatile u32 *code = (volatile u32 *)(FRESH + 0x100000ul);
    code[1] = 0xd65f03c0; /* ret */
    for (unsigned i = 0; i < 50; i++) {
        code[0] = 0xd2800000 | i << 5; /* mov x0, #i */
        code_sync((const void *)code, 8);
        u64 got = ((u64 (*)(void))(u64)code)();
        if (got != i)
            check(0, "new code", got, i);
    }
}

/* --- two vCPUs: an SGI there and back --- */

static u64 second_hook(Frame *f)
{
    if ((f->vector & 3) != 1)
        return 0;
    gic_eoi(gic_ack());
    second_rounds++;
    gic_sgi(2, 0);
    return 1;
}

static void second(void)
{
    mmu_on();
    caught.hook = second_hook;
    gic_init();
    gic_enable(3);
    second_rounds = 1;
    op("msr daifclr, #2\n\tisb // %0", 0);
    while (second_rounds != 51)
        __asm__ volatile("wfi" : : : "memory");
    psci(0x84000002, 0, 0, 0);
}

static void test_second(void)
{
    if (psci(0xc4000004, 1, 0, 0) != 1)
        return;
    gic_enable(2);
    caught.hook = irq_hook;
    EXPECT("CPU_ON", cpu_on(1, second), 0);
    while (!second_rounds)
        ;
    for (unsigned i = 0; i < 50; i++) {
        u32 seen = irqs;
        op("msr daifclr, #2\n\tisb // %0", 0);
        gic_sgi(3, 1);
        SLEEP_UNTIL(irqs != seen);
        EXPECT("the other vCPU's SGI", last_irq, 2);
    }
    op("msr daifset, #2 // %0", 0);
    caught.hook = 0;
    while (psci(0xc4000004, 1, 0, 0) != 1)
        ;
}

void payload_main(void)
{
    EXPECT("level", rd("currentel") >> 2, 1);
    EXPECT("PSCI version", psci(0x84000000, 0, 0, 0) >> 16, 1);
    EXPECT("no such function", psci(0x84001234, 0, 0, 0), ~0ul);
    test_mmio();
    test_fp();
    mmu_on();
    test_mmio();
    print("interrupts\n");
    test_interrupts();
    print("stage 2\n");
    test_stage2();
    test_code();
    test_second();
    done();
}
