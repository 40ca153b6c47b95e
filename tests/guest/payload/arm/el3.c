/* SPDX-License-Identifier: MIT */
/* EL3: calls from below, both security states, routing of interrupts by group, traps, AArch32 below. */
#include "lib.h"

#define CODE(name, text) void name(void); __asm__(".text\n" #name ":\n\t" text "\n\t.inst 0xd4000fe3\n") /* smc #0x7f */
enum { SCR_NS = 1, SCR_IRQ = 2, SCR_FIQ = 4, SCR_EA = 8, SCR_SMD = 1 << 7, SCR_RW = 1 << 10, SCR_BASE = SCR_RW | 0x30 };
#define SECURE_RAM 0xe000000ul
static u64 stack;

static void below(u64 scr, void (*code)(void), u64 x0)
{
    wr("scr_el3", scr | SCR_BASE);
    run_lower(EL1H, code, stack, x0);
}
#define BELOW(what, scr, code, x0, ec, iss) \
    do { below(scr, code, x0); EXPECT_EXC(what, ec, iss); EXPECT(what ": level", caught.level, 3); } while (0)

CODE(b_smc, ".inst 0xd4002463"); /* smc #0x123 */
CODE(b_load, "ldr x0, [x0]");
CODE(b_store, "str x1, [x0]");
CODE(b_fp, ".inst 0x1e2e1000");
CODE(b_wfi, "wfi");
CODE(b_isr, "msr daifset, #3\n\tmrs x0, isr_el1");
CODE(b_spin, "msr daifclr, #3\n1:\tb 1b");
CODE(b_masked, "msr daifset, #3\n1:\tb 1b");

static void test_calls(void)
{
    BELOW("SMC, Non-secure", SCR_NS, b_smc, 0, 0x17, 0x123);
    EXPECT("SMC: vector", caught.vector, 8);
    EXPECT("SMC: ELR", caught.elr, (u64)b_smc + 4);
    EXPECT("SMC: SPSR", caught.spsr & 0x1f, 5);
    BELOW("SMC, Secure", 0, b_smc, 0, 0x17, 0x123);
    TRY(".inst 0xd4000023", 0, 0);
    EXPECT_EXC("SMC at EL3", 0x17, 1);
    EXPECT("SMC at EL3: vector", caught.vector, 4);
    wr("cptr_el3", 1 << 10);
    wr("cpacr_el1", 3 << 20);
    BELOW("CPTR_EL3.TFP", SCR_NS, b_fp, 0, 7, 0x1e00000);
    wr("cptr_el3", 0);
    BELOW("FP", SCR_NS, b_fp, 0, 0x17, 0x7f);
    BELOW("SCR_EL3.TWI", SCR_NS | 1 << 12, b_wfi, 0, 1, 0x1e00000);
}

static volatile u64 el1_esr;

static u64 el1_hook(Frame *f)
{
    if (f->level != 1)
        return 0;
    el1_esr = f->esr;
    f->elr = (u64)b_smc;
    return 1;
}

static void test_memory(void)
{
    caught.hook = el1_hook;
    below(SCR_NS, b_load, SECURE_RAM);
    EXPECT("external abort at EL1", el1_esr, ESR(0x25, 0x10));
    *(volatile u64 *)SECURE_RAM = 0x5ec;
    below(0, b_load, SECURE_RAM);
    EXPECT("Secure memory from Secure", caught.x0, 0x5ec);
    BELOW("Secure memory from Non-secure", SCR_NS | SCR_EA, b_load, SECURE_RAM, 0x24, 0x10);
    EXPECT_FAR("Secure memory from Non-secure", SECURE_RAM);
    BELOW("store to it", SCR_NS | SCR_EA, b_store, SECURE_RAM, 0x24, 0x50);
    EXPECT("not stored", *(volatile u64 *)SECURE_RAM, 0x5ec);
    for (unsigned i = 0; i < 50; i++) { /* the TLB knows the state */
        below(i & 1 ? SCR_NS | SCR_EA : 0, b_load, SECURE_RAM);
        EXPECT("switches of the state", caught.esr >> 26, i & 1 ? 0x24 : 0x17);
    }
    /* Secure EL1's tables with NS set lead to Non-secure memory */
    Map m = map_new(12, 39);
    *map_entry(&m, 0, 1) = PTE_AF | PTE_DEVICE | PTE_UXN | 1;
    *map_entry(&m, 1ul << 30, 1) = 1ul << 30 | PTE_AF | PTE_SH | 1;
    map_page(&m, TEST_VA, SECURE_RAM, PTE_AF | PTE_SH);
    map_page(&m, TEST_VA + 0x1000, SECURE_RAM, PTE_AF | PTE_SH | 1 << 5);
    wr("mair_el1", 0xff);
    wr("tcr_el1", 25 | 25 << 16 | 0x3500 | 0x35000000 | 2ul << 30 | 2ul << 32);
    wr("ttbr0_el1", (u64)m.root);
    wr("sctlr_el1", 0x30d00801);
    op("tlbi alle1\n\tdsb sy\n\tisb // %0", 0);
    below(SCR_EA, b_load, TEST_VA);
    EXPECT("mapped Secure", caught.x0, 0x5ec);
    BELOW("mapped Non-secure", SCR_EA, b_load, TEST_VA + 0x1000, 0x24, 0x10);
    wr("sctlr_el1", 0x30d00800);
    caught.hook = 0;
}

/* --- interrupts: SGI 8 in group 0, 9 in group 1 Non-secure --- */

static volatile u32 kind, id;

static u64 hook(Frame *f)
{
    if (f->level != 3 || !((f->vector & 3) == 1 || (f->vector & 3) == 2))
        return 0;
    kind = f->vector;
    if (gic_version == 3) {
        id = (u32)rd("s3_0_c12_c8_0"); /* IAR0 */
        if (id >= 1020) {
            wr("scr_el3", rd("scr_el3") | SCR_NS);
            id = (u32)rd("s3_0_c12_c12_0");
            wr("s3_0_c12_c12_1", id);
        } else {
            wr("s3_0_c12_c8_1", id);
        }
    } else {
        id = *mmio(0x801000c);
        if (id == 1022) {
            id = *mmio(0x8010020); /* aliased: group 1 */
            *mmio(0x8010024) = id;
        } else {
            *mmio(0x8010010) = id;
        }
    }
    f->elr = (u64)b_smc;
    return 1;
}

static void send(unsigned sgi)
{
    if (gic_version == 3)
        *mmio(0x80b0200) = 1u << sgi; /* pending */
    else
        *mmio(0x8000f00) = 1u << 16 | (sgi == 9 ? 1u << 15 : 0) | sgi; /* NSATT */
    dsb();
}

static void test_interrupts(void)
{
    gic_version = rd("id_aa64pfr0_el1") >> 24 & 15 ? 3 : 2;
    print(gic_version == 3 ? "GICv3\n" : "GICv2\n");
    if (gic_version == 3) {
        *mmio(0x8000000) = 0x37; /* ARE_S, ARE_NS, all groups */
        *mmio(0x80a0014) = 0;
        while (*mmio(0x80a0014) & 4)
            ;
        *mmio(0x80b0080) = 0xfffffeff;
        *mmio(0x80b0d00) = 0;
        *mmio(0x80b0100) = 0x300;
        wr("scr_el3", SCR_BASE | SCR_NS);
        wr("s3_6_c12_c12_5", 0xf); /* SRE of EL3 */
        wr("s3_0_c12_c12_5", 7);
        wr("s3_0_c4_c6_0", 0xff);
        wr("s3_6_c12_c12_7", 3); /* group 1 of both states */
        wr("s3_0_c12_c12_6", 1); /* group 0 */
    } else {
        *mmio(0x8000000) = 3;
        *mmio(0x8000080) = 0xfffffeff;
        *mmio(0x8000100) = 0x300;
        *mmio(0x8010004) = 0xff;
        *mmio(0x8010000) = 1 | 2 | 8; /* both groups, FIQEn */
    }
    for (unsigned i = 0; i < 16; i++)
        ((volatile u8 *)(gic_version == 3 ? 0x80b0400ul : 0x8000400ul))[i] = 0x80;
    static const struct { const char *what; u64 scr; unsigned sgi, vector; } runs[] = {
        { "group 0 from Non-secure", SCR_NS | SCR_FIQ, 8, 10 },
        { "group 0 from Secure", SCR_FIQ, 8, 10 },
        { "group 1 from Non-secure", SCR_NS | SCR_IRQ | SCR_FIQ, 9, 9 },
    };
    caught.hook = hook;
    for (unsigned i = 0; i < 3; i++) {
        kind = id = 0;
        wr("scr_el3", SCR_BASE | SCR_NS);
        send(runs[i].sgi);
        below(runs[i].scr, b_spin, 0);
        EXPECT(runs[i].what, kind, runs[i].vector);
        EXPECT("... id", id, runs[i].sgi);
    }
    /* routed to EL3: EL1's masks do not count */
    kind = id = 0;
    send(8);
    below(SCR_NS | SCR_FIQ, b_masked, 0);
    EXPECT("FIQ masked at EL1, routed to EL3", kind, 10);
    if (gic_version == 3) {
        /* group 1 of the other state is FIQ */
        kind = id = 0;
        wr("scr_el3", SCR_BASE | SCR_NS);
        send(9);
        below(SCR_FIQ | SCR_IRQ, b_spin, 0);
        EXPECT("group 1 Non-secure from Secure", kind, 10);
        EXPECT("... id", id, 9);
    }
    caught.hook = 0;
    /* not routed: pending at EL1 */
    wr("scr_el3", SCR_BASE | SCR_NS);
    send(9);
    below(SCR_NS, b_isr, 0);
    EXPECT("ISR_EL1", caught.x0, 0x80);
}

/* --- AArch32 at EL1 --- */

extern u32 a32_smc[], a32_fiq[];
__asm__(".text\na32_smc:\n\t.inst 0xe3a00042\n\t.inst 0xe1600071\n" /* mov r0, #0x42; smc #1 */
        "a32_fiq:\n\t.inst 0xe3a0d001\n\t.inst 0xe10f0000\n\t"
        ".inst 0xe1600072\n"); /* mov sp, #1; mrs r0, cpsr; smc #2 */

static void test_aarch32(void)
{
    if ((rd("id_aa64pfr0_el1") >> 4 & 15) != 2) {
        print("no AArch32 at EL1\n");
        return;
    }
    wr("sctlr_el1", 0x30c50838 & ~1ul);
    wr("scr_el3", 0x30 | SCR_NS);
    run_lower(0x1d3, a32_smc, 0, 0);
    EXPECT("SMC of AArch32: EC", caught.esr >> 26, 0x13);
    EXPECT("SMC of AArch32: vector", caught.vector, 12);
    EXPECT("SMC of AArch32: SPSR", caught.spsr & 0x3f, 0x13);
    EXPECT("SMC of AArch32: R0", caught.x0, 0x42);
    EXPECT("SMC of AArch32: ELR", caught.elr, (u64)a32_smc + 8);
    run_lower(0x1d1, a32_fiq, 0, 0);
    EXPECT("FIQ mode: CPSR", caught.x0 & 0x1f, 0x11);
    EXPECT("FIQ mode: SPSR", caught.spsr & 0x1f, 0x11);
}

void payload_main(void)
{
    EXPECT("level", rd("currentel") >> 2, 3);
    stack = (u64)pages(14) + 0x4000;
    wr("sctlr_el1", 0x30d00800);
    wr("hcr_el2", BIT(31));
    print("calls\n");
    test_calls();
    print("memory\n");
    test_memory();
    print("interrupts\n");
    test_interrupts();
    print("AArch32\n");
    test_aarch32();
    done();
}
