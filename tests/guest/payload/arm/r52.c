/* SPDX-License-Identifier: MIT */
/*
 * Cortex-R52 on mps3-an536: exceptions at EL2 and EL1, both MPUs with their faults, generic timer and SGI by the GICv3,
 * FP.
 */
#define UART 0xe7c00000
#include "lib32.h"

enum { GICD = 0xf0000000, GICR = 0xf0100000, SCRATCH = 0x10000000 };
void enter_el1(void (*f)(void));
void leave_el1(void);
void stacks_pl1(void);
extern char vectors[];

static volatile u32 kind, lr, spsr, hsr, hdfar, hpfar, hifar, dfsr, dfar, ifsr, ifar, resume, irqs, irq_id;

static void __attribute__((noreturn)) end(void)
{
    print_result();
    leave();
}

static u32 mode(void)
{
    u32 v;
    __asm__ volatile("mrs %0, cpsr" : "=r"(v));
    return v & 0x1f;
}

void handle(Frame *f)
{
    if (f->kind == 6) {
        u32 ack = cp("p15, 0, %0, c12, c12, 0"); /* ICC_IAR1 */
        irq_id = ack, irqs++;
        if (ack == 27)
            cp_write("p15, 0, %0, c14, c3, 1", 2);
        cp_write("p15, 0, %0, c12, c12, 1", ack);
        f->lr -= 4;
        return;
    }
    kind = f->kind, spsr = f->spsr, lr = f->lr;
    if (mode() == 0x1a) {
        hsr = cp("p15, 4, %0, c5, c2, 0"), hdfar = cp("p15, 4, %0, c6, c0, 0"), hifar = cp("p15, 4, %0, c6, c0, 2"),
        hpfar = cp("p15, 4, %0, c6, c0, 4");
        if (kind == 5 && hsr >> 26 == 0x12 && !(hsr & 0xffff)) { /* HVC #0: back from EL1 */
            u32 to = (u32)leave_el1;
            __asm__ volatile("msr elr_hyp, %0" : : "r"(to));
            f->spsr = 0x1da;
            return;
        }
        if (resume)
            __asm__ volatile("msr elr_hyp, %0" : : "r"(resume));
    } else {
        dfsr = cp("p15, 0, %0, c5, c0, 0"), dfar = cp("p15, 0, %0, c6, c0, 0"), ifsr = cp("p15, 0, %0, c5, c0, 1"),
        ifar = cp("p15, 0, %0, c6, c0, 2");
        f->lr = resume;
        f->spsr = (f->spsr & ~0x3fu) | 0x1f;
    }
    if (!resume) {
        print("unexpected exception "), print_hex(kind), print(" "), print_hex(lr), print(" "), print_hex(hsr),
            print(" "), print_hex(dfsr), print("\n");
        failed++;
        end();
    }
    resume = 0;
}


/* Region n of the MPU at the present level: [from, to], attribute index 0, flags of PRBAR. */
#define REGION(op1, n, from, to, flags, attr) do { \
        cp_write("p15, " #op1 ", %0, c6, c2, 1", n); \
        cp_write("p15, " #op1 ", %0, c6, c3, 0", (from) | (flags)); \
        cp_write("p15, " #op1 ", %0, c6, c3, 1", ((to) & ~63u) | (attr) << 1 | 1); \
    } while (0)
enum { XN = 1, LOWER = 2, RO = 4 };

static void test_el2_mpu(void)
{
    EXPECT("HMPUIR", cp("p15, 4, %0, c0, c0, 4") >> 8 & 0xff, 16);
    cp_write("p15, 4, %0, c10, c2, 0", 0x00ff); /* HMAIR0: normal, device */
    REGION(4, 0, 0x20000000, 0x2fffffff, LOWER, 0);
    REGION(4, 1, 0xe0000000, 0xffffffc0, LOWER | XN, 1);
    REGION(4, 2, SCRATCH, SCRATCH + 0xfff, LOWER | XN, 0);
    REGION(4, 3, SCRATCH + 0x1000, SCRATCH + 0x103f, RO | LOWER, 0);
    REGION(4, 4, SCRATCH + 0x2000, SCRATCH + 0x2fff, 0, 0); /* EL2's own */
    MMIO(SCRATCH + 0x1000) = 0x77;
    cp_write("p15, 4, %0, c1, c0, 0", cp("p15, 4, %0, c1, c0, 0") | 1); /* HSCTLR.M, no background */
    EXPECT("PRBAR by number", cp("p15, 4, %0, c6, c9, 4"), (SCRATCH + 0x1000) | RO | LOWER);
    EXPECT("HPRENR", cp("p15, 4, %0, c6, c1, 1"), 0x1f);
    TRY1("ldr r0, [r0]", SCRATCH + 0x1000);
    EXPECT("EL2 reads read-only memory", kind, 0);
    TRY1("str r0, [r0]", SCRATCH + 0x1004);
    EXPECT("EL2 writes it: vector", kind, 4);
    EXPECT("... HSR", hsr, 0x25u << 26 | 1 << 25 | 1 << 6 | 0xc);
    EXPECT("... HDFAR", hdfar, SCRATCH + 0x1004);
    TRY1("ldr r0, [r0]", SCRATCH + 0x1040);
    EXPECT("no region", hsr, 0x25u << 26 | 1 << 25 | 4);
    EXPECT("... HDFAR", hdfar, SCRATCH + 0x1040);
    MMIO(SCRATCH) = 0xe12fff1e; /* bx lr */
    TRY1("blx r0", SCRATCH);
    EXPECT("execute never: vector", kind, 3);
    EXPECT("... HSR", hsr, 0x21u << 26 | 1 << 25 | 0xc);
    EXPECT("... HIFAR", hifar, SCRATCH);
    cp_write("p15, 4, %0, c6, c1, 1", 0xf); /* HPRENR: region 4 goes */
    TRY1("ldr r0, [r0]", SCRATCH + 0x2000);
    EXPECT("a region that is off", hsr, 0x25u << 26 | 1 << 25 | 4);
    cp_write("p15, 4, %0, c6, c1, 1", 0x1f);
    TRY1("udf #1", 0);
    EXPECT("UDF at EL2", kind, 1);
    TRY1("svc #1", 0);
    EXPECT("SVC at EL2", kind, 2);
}

static void el1_main(void)
{
    stacks_pl1();
    cp_write("p15, 0, %0, c12, c0, 0", vectors); /* VBAR */
    EXPECT("System mode", mode(), 0x1f);
    TRY1("svc #5", 0);
    EXPECT("SVC", kind, 2);
    TRY1("udf #7", 0);
    EXPECT("UDF", kind, 1);
    TRY1("mrc p15, 4, r0, c1, c0, 0", 0);
    EXPECT("HSCTLR at EL1", kind, 1);
    /* stage 1: EL1's MPU */
    cp_write("p15, 0, %0, c10, c2, 0", 0x00ff); /* MAIR0 */
    REGION(0, 0, 0x20000000, 0x2fffffff, LOWER, 0);
    REGION(0, 1, 0xe0000000, 0xffffffc0, LOWER | XN, 1);
    REGION(0, 2, SCRATCH, SCRATCH + 0x3fff, XN, 0);
    cp_write("p15, 0, %0, c1, c0, 0", cp("p15, 0, %0, c1, c0, 0") | 1);
    MMIO(SCRATCH + 0x10) = 5;
    EXPECT("EL1's memory", MMIO(SCRATCH + 0x10), 5);
    TRY1("ldr r0, [r0]", 0x11000000);
    EXPECT("no region of EL1: vector", kind, 4);
    EXPECT("... DFSR", dfsr & 0x3f, 4);
    EXPECT("... DFAR", dfar, 0x11000000);
    TRY1("blx r0", SCRATCH);
    EXPECT("XN: vector", kind, 3);
    EXPECT("... IFSR", ifsr & 0x3f, 0xc);
    EXPECT("... IFAR", ifar, SCRATCH);
    REGION(0, 3, SCRATCH + 0x3000, SCRATCH + 0x30ff, 0, 0);
    TRY1("ldr r0, [r0]", SCRATCH + 0x3000);
    EXPECT("two regions: DFSR", dfsr & 0x3f, 4);
    cp_write("p15, 0, %0, c6, c2, 1", 3);
    cp_write("p15, 0, %0, c6, c3, 1", 0);
    /* FP and NEON */
    cp_write("p15, 0, %0, c1, c0, 2", 0xf << 20);
    u32 sum;
    __asm__ volatile(".fpu neon-fp-armv8\n\tvmsr fpexc, %1\n\tvmov.f32 s0, #1.5\n\tvadd.f32 s0, s0, s0\n\t"
                     "vcvt.s32.f32 s0, s0\n\tvmov %0, s0\n\t"
                     "vmov.i32 q1, #7\n\tvadd.i32 q1, q1, q1\n\tvmov.32 r1, d3[1]\n\t"
                     "add %0, %0, r1" : "=&r"(sum) : "r"(1 << 30) : "r1", "memory");
    EXPECT("FP and NEON", sum, 17);
    /* interrupts: SGI, virtual timer */
    cp_write("p15, 0, %0, c4, c6, 0", 0xff);
    cp_write("p15, 0, %0, c12, c12, 7", 1); /* ICC_IGRPEN1 */
    __asm__ volatile("cpsie i");
    __asm__ volatile("mcrr p15, 0, %0, %1, c12\n\t"
                     "isb" : : "r"(3 << 24 | 1), "r"(0) : "memory"); /* ICC_SGI1R: SGI 3 to core 0 */
    for (u32 i = 0; i < 1000000 && !irqs; i++)
        ;
    EXPECT("SGI", irq_id, 3);
    for (u32 round = 0; round < 3; round++) {
        u32 seen = irqs;
        cp_write("p15, 0, %0, c14, c3, 0", cp("p15, 0, %0, c14, c0, 0") / 1000); /* CNTV_TVAL: 1 ms */
        __asm__ volatile("cpsid i");
        cp_write("p15, 0, %0, c14, c3, 1", 1);
        while (irqs == seen)
            __asm__ volatile("wfi\n\tcpsie i\n\tisb\n\tcpsid i" : : : "memory");
    }
    EXPECT("virtual timer", irq_id, 27);
    EXPECT("interrupts", irqs, 4);
    /* stage 2: EL2's MPU; its faults and traps go to Hyp mode and come back behind the instruction */
    TRY1("hvc #9", 0);
    EXPECT("HVC: vector", kind, 5);
    EXPECT("HVC: HSR", hsr, 0x12u << 26 | 1 << 25 | 9);
    TRY1("ldr r0, [r0]", SCRATCH + 0x2004);
    EXPECT("EL2's own memory: vector", kind, 5);
    EXPECT("... HSR", hsr & ~0x1ff0000u, 0x24u << 26 | 1 << 25 | 0xc);
    EXPECT("... HDFAR", hdfar, SCRATCH + 0x2004);
    EXPECT("... HPFAR", hpfar >> 4, (SCRATCH + 0x2000) >> 12);
    __asm__ volatile("hvc #0");
}

void payload_main(void)
{
    MMIO(UART + 8) = 1;
    EXPECT("Hyp mode", mode(), 0x1a);
    cp_write("p15, 4, %0, c12, c0, 0", vectors); /* HVBAR */
    print("EL2\n");
    test_el2_mpu();
    MMIO(GICD) = 0x12;
    MMIO(GICR + 0x14) = 0;
    while (MMIO(GICR + 0x14) & 4)
        ;
    MMIO(GICR + 0x10080) = ~0u;
    MMIO(GICR + 0x10100) = 1u << 27 | 1u << 3;
    cp_write("p15, 4, %0, c1, c1, 0", 1); /* HCR.VM: EL2's MPU is stage 2 */
    print("EL1\n");
    enter_el1(el1_main);
    EXPECT("back at EL2", mode(), 0x1a);
    end();
}
