/* SPDX-License-Identifier: MIT */
/* AArch32 PL1 and PL0: exceptions with their syndromes, short descriptors, the generic timer through the GIC. */
#define UART 0x9000000
#include "lib32.h"

static volatile u32 got_kind, got_spsr, got_lr, got_fsr, got_far, resume, irqs, irq_id;

static u32 hypervisor_call(u32 function)
{
    register u32 r0 __asm__("r0") = function;
    __asm__ volatile(".inst 0xe1400070 @ hvc #0" : "+r"(r0) : : "r1", "r2", "r3", "memory");
    return r0;
}

static void __attribute__((noreturn)) end(void)
{
    print_result();
    if (hypervisor_call(0x8600ff01) == 0xb66fb428) /* KVM's vendor UID: power off */
        hypervisor_call(0x84000008);
    leave();
}

void handle(Frame *f)
{
    if (f->kind == 6) {
        u32 ack = MMIO(0x801000c);
        irq_id = ack & 0x3ff;
        irqs++;
        cp_write("p15, 0, %0, c14, c3, 1", 2); /* CNTV_CTL: masked */
        MMIO(0x8010010) = ack;
        f->lr -= 4;
        return;
    }
    got_kind = f->kind, got_spsr = f->spsr, got_lr = f->lr;
    got_fsr = f->kind == 3 ? cp("p15, 0, %0, c5, c0, 1") : cp("p15, 0, %0, c5, c0, 0");
    got_far = f->kind == 3 ? cp("p15, 0, %0, c6, c0, 2") : cp("p15, 0, %0, c6, c0, 0");
    if (!resume) {
        print("unexpected exception ");
        print_hex(f->kind), print(" "), print_hex(got_lr), print(" "), print_hex(got_fsr), print(" "),
            print_hex(got_far), print("\n");
        failed++;
        end();
    }
    f->lr = resume;
    f->spsr = (f->spsr & ~0x3fu) | 0x13; /* back to SVC mode */
    resume = 0;
}

/* Runs an instruction with r0 and r1; SVC mode's lr is lost. */
static u32 tried;
#define TRY(insn, a, b) ({ \
    register u32 r0_ __asm__("r0") = (u32)(a); \
    register u32 r1_ __asm__("r1") = (u32)(b); \
    got_kind = 0; \
    __asm__ volatile("ldr r2, =77f\n\tstr r2, [%2]\n\tadr r2, 76f\n\tstr r2, [%3]\n76:\t" insn "\n77:\n\t" \
                     "mov r2, #0\n\tstr r2, [%2]" \
                     : "+r"(r0_), "+r"(r1_) : "r"(&resume), "r"(&tried) : "r2", "r3", "lr", "cc", "memory"); \
    r0_; })

static u32 table[4096] __attribute__((aligned(16384)));
static u32 second[256] __attribute__((aligned(1024)));
static u32 page[1024] __attribute__((aligned(4096)));

static void test_exceptions(void)
{
    TRY("svc #5", 0, 0);
    EXPECT("SVC", got_kind, 2);
    EXPECT("SVC: LR", got_lr, tried + 4);
    EXPECT("SVC: SPSR", got_spsr & 0x3f, 0x13);
    TRY("udf #7", 0, 0);
    EXPECT("UDF", got_kind, 1);
    EXPECT("UDF: LR", got_lr, tried + 4);
    TRY("bkpt #1", 0, 0);
    EXPECT("BKPT", got_kind, 3);
    EXPECT("BKPT: IFSR", got_fsr & 0x40f, 2);
    EXPECT("BKPT: LR", got_lr, tried + 4);
    TRY("cps #0x10\n\tmov r0, r0\n\tsvc #1", 0, 0);
    EXPECT("SVC of User mode", got_kind, 2);
    EXPECT("SVC of User mode: SPSR", got_spsr & 0x1f, 0x10);
    TRY("cps #0x10\n\tmrc p15, 0, r0, c1, c0, 0", 0, 0);
    EXPECT("SCTLR in User mode", got_kind, 1);
    EXPECT("... SPSR", got_spsr & 0x1f, 0x10);
    TRY(".fpu vfpv3\n\tvmov s0, r0", 0, 0);
    EXPECT("VFP without CPACR", got_kind, 1);
    cp_write("p15, 0, %0, c1, c0, 2", 0xf << 20);
    TRY("vmov s0, r0", 0, 0);
    EXPECT("VFP without FPEXC.EN", got_kind, 1);
    __asm__ volatile("vmsr fpexc, %0" : : "r"(1u << 30));
    TRY("vmov s0, r0", 0, 0);
    EXPECT("VFP", got_kind, 0);
}

#define FSR(what, fsr) EXPECT(what, got_fsr & 0xcff, fsr)
static void test_short(void)
{
    for (u32 i = 0; i < 4096; i++)
        table[i] = 0;
    for (u32 i = 0x400; i < 0x500; i++)
        table[i] = i << 20 | 1 << 12 | 3 << 10 | 0xc | 2; /* RAM: normal, all rights */
    for (u32 i = 0x80; i < 0xa0; i++)
        table[i] = i << 20 | 3 << 10 | 1 << 4 | 2;        /* devices, XN */
    table[0x600] = 0x40000000 | 3 << 10 | 1 << 5 | 2;     /* domain 1 */
    table[0x601] = (u32)second | 1;
    table[0x602] = 0x40000000 | 1 << 10 | 2;              /* PL1 only */
    second[1] = (u32)page | 3 << 4 | 2;
    second[2] = (u32)page | 1 << 9 | 1 << 4 | 2;          /* PL1 read-only */
    second[3] = (u32)page | 3 << 4 | 3;                   /* XN */
    page[0] = 0x1234;
    page[1] = 0xe12fff1e; /* bx lr */
    cp_write("p15, 0, %0, c2, c0, 0", (u32)table);
    cp_write("p15, 0, %0, c2, c0, 2", 0);
    cp_write("p15, 0, %0, c3, c0, 0", 1);
    cp_write("p15, 0, %0, c8, c7, 0", 0);
    cp_write("p15, 0, %0, c1, c0, 0", cp("p15, 0, %0, c1, c0, 0") | 0x1005);
    EXPECT("small page", TRY("ldr r0, [r0]", 0x60101000, 0), 0x1234);
    TRY("str r1, [r0]", 0x60102000, 0);
    EXPECT("read-only page", got_kind, 4);
    FSR("read-only page: DFSR", 0x80f);
    EXPECT("read-only page: DFAR", got_far, 0x60102000);
    EXPECT("data abort: LR", got_lr, tried + 8);
    TRY("ldr r0, [r0]", 0x60000000, 0);
    FSR("domain fault", 0x19);
    TRY("ldr r0, [r0]", 0x70000004, 0);
    FSR("no section", 5);
    EXPECT("no section: DFAR", got_far, 0x70000004);
    TRY("ldr r0, [r0]", 0x60105000, 0);
    FSR("no page", 7);
    TRY("blx r0", 0x60103004, 0);
    EXPECT("XN", got_kind, 3);
    FSR("XN: IFSR", 0xf);
    EXPECT("XN: IFAR", got_far, 0x60103004);
    EXPECT("prefetch abort: LR", got_lr, 0x60103008);
    TRY("blx r0", 0x60101004, 0);
    EXPECT("execute", got_kind, 0);
    TRY("ldrt r2, [r0]", 0x60200000, 0);
    FSR("LDRT of a page of PL1", 0xd);
    TRY("ldr r2, [r0]", 0x60200000, 0);
    EXPECT("... by PL1", got_kind, 0);
    cp_write("p15, 0, %0, c3, c0, 0", 1 | 3 << 2); /* manager of domain 1 */
    cp_write("p15, 0, %0, c8, c7, 0", 0);
    TRY("ldr r0, [r0]", 0x60000000, 0);
    EXPECT("manager", got_kind, 0);
    TRY("ldrexd r2, r3, [r0]", 0x60101004, 0);
    FSR("unaligned exclusive", 1);
    cp_write("p15, 0, %0, c7, c8, 0", 0x60101000); /* ATS1CPR */
    EXPECT("ATS1CPR", cp("p15, 0, %0, c7, c4, 0") & 0xfffff001, (u32)page);
    cp_write("p15, 0, %0, c7, c8, 1", 0x60102000); /* ATS1CPW */
    EXPECT("ATS1CPW", cp("p15, 0, %0, c7, c4, 0") & 0x7f, 0xf << 1 | 1);
}

static void test_timer(void)
{
    MMIO(0x8000000) = 1;
    MMIO(0x8000100) = 1u << 27 | 2;
    MMIO(0x8010004) = 0xff;
    MMIO(0x8010000) = 1;
    __asm__ volatile("cpsie i" : : : "memory");
    MMIO(0x8000f00) = 1u << 16 | 1;
    for (u32 i = 0; i < 1000000 && !irqs; i++)
        ;
    EXPECT("SGI", irq_id, 1);
    cp_write("p15, 0, %0, c14, c3, 0", cp("p15, 0, %0, c14, c0, 0") / 100);
    cp_write("p15, 0, %0, c14, c3, 1", 1);
    while (irqs < 2) /* masked, so that it cannot come between the test and the wait */
        __asm__ volatile("cpsid i\n\tldr r0, [%0]\n\tcmp r0, #2\n\tbcs 1f\n\twfi\n1:\tcpsie i\n\t"
                         "isb" : : "r"(&irqs) : "r0", "cc", "memory");
    EXPECT("virtual timer", irq_id, 27);
    __asm__ volatile("cpsid i" : : : "memory");
}

void payload_main(void)
{
    print("exceptions\n");
    test_exceptions();
    print("short descriptors\n");
    test_short();
    print("interrupts\n");
    test_timer();
    end();
}
