/* SPDX-License-Identifier: MIT */
/*
 * EL2 with a guest at EL1 in miniature: stage 2 faults and their syndromes, traps, virtual interrupts, the guest's own
 * timer.
 */
#include "lib.h"

#define CODE(name, text) void name(void); __asm__(".text\n" #name ":\n\t" text "\n\thvc #0x7f\n")
#define HCR_BASE BIT(31)
enum { HCR_VM = 1, HCR_IMO = 1 << 4, HCR_FMO = 1 << 3 };

static Map s2, own; /* stage 2; EL2's own tables */
static u64 guest_stack;
enum { S2_R = 1 << 6, S2_W = 1 << 7, S2_NORMAL = 0xf << 2, S2_DEVICE = 1 << 2 };

static void el2_mmu_on(void)
{
    own = map_new(12, 39);
    *map_entry(&own, 0, 1) = PTE_AF | PTE_DEVICE | PTE_UXN | PTE_USER | 1;
    *map_entry(&own, 1ul << 30, 1) = 1ul << 30 | PTE_AF | PTE_SH | PTE_USER | 1;
    wr("mair_el2", 0xff);
    wr("tcr_el2", BIT(31) | BIT(23) | 2 << 16 | 0x3500 | 25);
    wr("ttbr0_el2", (u64)own.root);
    op("tlbi alle2\n\tdsb sy\n\tisb // %0", 0);
    wr("sctlr_el2", rd("sctlr_el2") | 0x1005);
}

static void flush_guest(void) { op("dsb sy\n\ttlbi vmalls12e1\n\tdsb sy\n\tisb // %0", 0); }

static void stage2_on(void)
{
    s2 = map_new(12, 39);
    *map_entry(&s2, 0, 1) = PTE_AF | S2_R | S2_W | S2_DEVICE | 1;
    *map_entry(&s2, 1ul << 30, 1) = 1ul << 30 | PTE_AF | S2_R | S2_W | S2_NORMAL | PTE_SH | 1;
    wr("vtcr_el2", BIT(31) | 2 << 16 | 0x3500 | 1 << 6 | 25);
    wr("vttbr_el2", (u64)s2.root | 7ul << 48);
    wr("hcr_el2", HCR_BASE | HCR_VM);
    flush_guest();
}

static void guest(void (*code)(void), u64 x0) { run_lower(EL1H, code, guest_stack, x0); }
#define GUEST(what, code, x0, ec, iss) \
    do { guest(code, x0); EXPECT_EXC(what, ec, iss); EXPECT(what ": level", caught.level, 2); } while (0)
#define ISV(sas, sse, srt, sf, ar) (BIT(24) | (u64)(sas) << 22 | (sse) << 21 | (srt) << 16 | (sf) << 15 | (ar) << 14)
#define HPFAR(what, ipa) EXPECT(what ": HPFAR", rd("hpfar_el2"), (u64)(ipa) >> 12 << 4)

/* --- stage 2 --- */

CODE(g_hvc, "hvc #0x321");
CODE(g_load, "ldr x7, [x0]");
CODE(g_load_w, "ldrsb w3, [x0]");
CODE(g_load_sx, "ldrsh x3, [x0]");
CODE(g_store_h, "strh w5, [x0]");
CODE(g_store_zero, "str xzr, [x0, #8]");
CODE(g_pair, "ldp x1, x2, [x0]");
CODE(g_index, "ldr x1, [x0], #8");
CODE(g_acquire, "ldar w1, [x0]");
CODE(g_jump, "br x0");
CODE(g_loop, "ldr x7, [x0]\n\tmov x0, x7");

static u64 mmio_hook(Frame *f)
{
    if (f->level != 2 || f->esr >> 26 != 0x24)
        return 0;
    f->x[f->esr >> 16 & 31] = 0xabcd;
    f->elr += 4;
    return 1;
}

static void test_stage2(void)
{
    u64 *page = pages(12), va = TEST_VA;
    page[0] = 99;
    GUEST("HVC", g_hvc, 0, 0x16, 0x321);
    EXPECT("HVC: vector", caught.vector, 8);
    GUEST("LDR", g_load, va + 0x10, 0x24, ISV(3, 0, 7, 1, 0) | 5);
    EXPECT_FAR("LDR", va + 0x10);
    HPFAR("LDR", va);
    GUEST("LDRSB", g_load_w, va + 1, 0x24, ISV(0, 1, 3, 0, 0) | 5);
    GUEST("LDRSH", g_load_sx, va + 2, 0x24, ISV(1, 1, 3, 1, 0) | 5);
    GUEST("STRH", g_store_h, va + 0x2002, 0x24, ISV(1, 0, 5, 0, 0) | 0x45);
    HPFAR("STRH", va + 0x2000);
    GUEST("STR XZR", g_store_zero, va, 0x24, ISV(3, 0, 31, 1, 0) | 0x45);
    EXPECT_FAR("STR XZR", va + 8);
    GUEST("LDP", g_pair, va, 0x24, 5);
    GUEST("post-index", g_index, va, 0x24, 5);
    GUEST("LDAR", g_acquire, va, 0x24, ISV(2, 0, 1, 0, 1) | 5);
    GUEST("fetch", g_jump, va + 0x40, 0x20, 5);
    EXPECT_FAR("fetch", va + 0x40);
    HPFAR("fetch", va);
    *map_entry(&s2, va, 3) = (u64)page | PTE_AF | S2_R | S2_NORMAL | PTE_SH | 3;
    *map_entry(&s2, va + 0x1000, 3) = (u64)page | S2_R | S2_NORMAL | PTE_SH | 3;
    *map_entry(&s2, va + 0x2000, 3) = (u64)page | BIT(54) | PTE_AF | S2_R | S2_W | S2_NORMAL | PTE_SH | 3;
    flush_guest();
    guest(g_loop, va);
    EXPECT("mapped", caught.x0, 99);
    GUEST("read-only", g_store_h, va + 4, 0x24, ISV(1, 0, 5, 0, 0) | 0x4f);
    HPFAR("read-only", va);
    GUEST("access flag", g_load, va + 0x1000, 0x24, ISV(3, 0, 7, 1, 0) | 0xb);
    GUEST("XN", g_jump, va + 0x2000, 0x20, 0xf);
    *map_entry(&s2, va + 0x1000, 3) = 0;
    flush_guest();
    caught.hook = mmio_hook;
    guest(g_loop, va + 0x1000);
    caught.hook = 0;
    EXPECT("emulated load", caught.x0, 0xabcd);
    /* stage 1 whose tables lie where nothing is */
    wr("tcr_el1", 25ul | 25ul << 16 | 0x3500 | 0x35000000 | 2ul << 30 | 2ul << 32);
    wr("mair_el1", 0xff);
    wr("ttbr0_el1", va + 0x3000);
    wr("sctlr_el1", 0x30d00801);
    flush_guest();
    guest(g_load, 0x40200000);
    EXPECT("stage 1's walk: ESR", caught.esr, ESR(0x20, 0x87));
    HPFAR("stage 1's walk", va + 0x3000);
    /* AT of EL2 on behalf of the guest */
    wr("sctlr_el1", 0x30d00800);
    op("at s12e1r, %0\n\tisb", va + 0x10);
    EXPECT("AT S12E1R", rd("par_el1") & 0xfffffffff001, (u64)page);
    op("at s12e1w, %0\n\tisb", va + 0x10);
    EXPECT("AT S12E1W: fault", rd("par_el1") & 0x27f, 0x200 | 0xf << 1 | 1);
    /* VMIDs */
    Map other = map_new(12, 39);
    *map_entry(&other, 0, 1) = *map_entry(&s2, 0, 1);
    *map_entry(&other, 1ul << 30, 1) = *map_entry(&s2, 1ul << 30, 1);
    u64 *page2 = pages(12);
    page2[0] = 100;
    *map_entry(&other, va, 3) = (u64)page2 | PTE_AF | S2_R | S2_NORMAL | PTE_SH | 3;
    for (unsigned i = 0; i < 200; i++) {
        wr("vttbr_el2", (u64)(i & 1 ? other : s2).root | (u64)(7 + (i & 1)) << 48);
        guest(g_loop, va);
        if (caught.x0 != 99 + (i & 1))
            check(0, "VMID switch", caught.x0, 99 + (i & 1));
    }
    wr("vttbr_el2", (u64)s2.root | 7ul << 48);
}

/* --- traps --- */

CODE(g_sctlr_w, "msr sctlr_el1, x3");
CODE(g_sctlr_r, "mrs x3, sctlr_el1");
CODE(g_id, "mrs x4, id_aa64isar0_el1");
CODE(g_midr, "mrs x0, midr_el1\n\tmrs x1, mpidr_el1");
CODE(g_actlr, "mrs x4, actlr_el1");
CODE(g_fp, ".inst 0x1e2e1000"); /* fmov s0, #1.0 */
CODE(g_wfi, "wfi");
CODE(g_smc, ".inst 0xd4000103"); /* smc #8 */
CODE(g_tlbi, "tlbi vmalle1");
CODE(g_brk, "brk #5");
CODE(g_pct, "mrs x2, cntpct_el0");
CODE(g_svc, "svc #9");
CODE(g_hcr, "mrs x0, hcr_el2");
CODE(g_vct, "mrs x0, cntvct_el0");
CODE(g_isr, "mrs x0, isr_el1");
CODE(g_pac, "mrs x0, s3_0_c2_c1_0");
#define SYS_ISS(op0, op1, crn, crm, op2, rt, read) \
    ((op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (rt) << 5 | (crm) << 1 | (read))

CODE(g_tpidr, "mrs x0, tpidr_el1");
CODE(g_tpidr_w, "msr tpidr_el1, x0");
CODE(g_mdscr, "mrs x6, mdscr_el1");
CODE(g_eret, "eret");
CODE(g_zva, "dc zva, x0");

/* FEAT_FGT: a bit a register, and an instruction. */
static void test_fine_traps(void)
{
    GUEST("TPIDR_EL1", g_tpidr, 0, 0x16, 0x7f);
    wr("s3_4_c1_c1_4", BIT(33) | BIT(25)); /* HFGRTR_EL2: TPIDR_EL1, MIDR_EL1 */
    GUEST("HFGRTR: TPIDR_EL1", g_tpidr, 0, 0x18, SYS_ISS(3, 0, 13, 0, 4, 0, 1));
    GUEST("HFGRTR: its write", g_tpidr_w, 0, 0x16, 0x7f);
    GUEST("HFGRTR: MIDR_EL1", g_midr, 0, 0x18, SYS_ISS(3, 0, 0, 0, 0, 0, 1));
    rd("tpidr_el1"); /* EL2 itself is not trapped */
    wr("s3_4_c1_c1_4", 0);
    GUEST("TPIDR_EL1 again", g_tpidr, 0, 0x16, 0x7f);
    wr("s3_4_c1_c1_5", BIT(33)); /* HFGWTR_EL2 */
    GUEST("HFGWTR: TPIDR_EL1", g_tpidr_w, 0, 0x18, SYS_ISS(3, 0, 13, 0, 4, 0, 0));
    GUEST("HFGWTR: its read", g_tpidr, 0, 0x16, 0x7f);
    wr("s3_4_c1_c1_5", 0);
    wr("s3_4_c1_c1_6", BIT(42) | BIT(51) | BIT(53) | BIT(11)); /* HFGITR_EL2: TLBI VMALLE1, ERET, SVC at EL1, DC ZVA */
    GUEST("HFGITR: TLBI", g_tlbi, 0, 0x18, SYS_ISS(1, 0, 8, 7, 0, 31, 0));
    GUEST("HFGITR: ERET", g_eret, 0, 0x1a, 0);
    EXPECT("HFGITR: ERET: ELR", caught.elr, (u64)g_eret);
    GUEST("HFGITR: SVC", g_svc, 0, 0x15, 9);
    EXPECT("HFGITR: SVC: ELR", caught.elr, (u64)g_svc);
    GUEST("HFGITR: DC ZVA", g_zva, 0x40000000, 0x18, SYS_ISS(1, 3, 7, 4, 1, 0, 0));
    wr("s3_4_c1_c1_6", 0);
    wr("s3_4_c3_c1_4", BIT(4)); /* HDFGRTR_EL2 */
    GUEST("HDFGRTR: MDSCR_EL1", g_mdscr, 0, 0x18, SYS_ISS(2, 0, 0, 2, 2, 6, 1));
    wr("s3_4_c3_c1_4", 0);
    GUEST("MDSCR_EL1", g_mdscr, 0, 0x16, 0x7f);
}

static void test_traps(void)
{
    u64 base = HCR_BASE | HCR_VM;
    wr("cpacr_el1", 3 << 20);
    wr("hcr_el2", base | BIT(26));
    GUEST("TVM", g_sctlr_w, 0, 0x18, SYS_ISS(3, 0, 1, 0, 0, 3, 0));
    GUEST("TVM, read", g_sctlr_r, 0, 0x16, 0x7f);
    wr("hcr_el2", base | BIT(30));
    GUEST("TRVM", g_sctlr_r, 0, 0x18, SYS_ISS(3, 0, 1, 0, 0, 3, 1));
    wr("hcr_el2", base | BIT(18));
    GUEST("TID3", g_id, 0, 0x18, SYS_ISS(3, 0, 0, 6, 0, 4, 1));
    wr("hcr_el2", base | BIT(21));
    GUEST("TACR", g_actlr, 0, 0x18, SYS_ISS(3, 0, 1, 0, 1, 4, 1));
    wr("hcr_el2", base | BIT(13));
    GUEST("TWI", g_wfi, 0, 1, 0x1e00000);
    wr("hcr_el2", base | BIT(19));
    GUEST("TSC", g_smc, 0, 0x17, 8);
    EXPECT("TSC: ELR", caught.elr, (u64)g_smc);
    wr("hcr_el2", base | BIT(25));
    GUEST("TTLB", g_tlbi, 0, 0x18, SYS_ISS(1, 0, 8, 7, 0, 31, 0));
    wr("hcr_el2", base);
    wr("cptr_el2", 0x33ff | 1 << 10);
    GUEST("TFP", g_fp, 0, 7, 0x1e00000);
    TRY("fmov s0, #1.0", 0, 0);
    EXPECT_EXC("TFP at EL2", 7, 0x1e00000);
    wr("cptr_el2", 0x33ff);
    GUEST("FP", g_fp, 0, 0x16, 0x7f);
    wr("mdcr_el2", rd("mdcr_el2") | 1 << 8);
    GUEST("TDE", g_brk, 0, 0x3c, 5);
    wr("mdcr_el2", rd("mdcr_el2") & ~(1ul << 8));
    wr("cnthctl_el2", 0);
    GUEST("EL1PCTEN", g_pct, 0, 0x18, SYS_ISS(3, 3, 14, 0, 1, 2, 1));
    wr("cnthctl_el2", 3);
    GUEST("counter", g_pct, 0, 0x16, 0x7f);
    wr("vpidr_el2", 0x12345678);
    guest(g_midr, 0);
    EXPECT("VPIDR_EL2", caught.x0, 0x12345678);
    wr("cntvoff_el2", 1ul << 60);
    guest(g_vct, 0);
    check(caught.x0 > 15ul << 60, "CNTVOFF_EL2", caught.x0, 0);
    wr("cntvoff_el2", 0);
    if (rd("id_aa64isar1_el1") & 0xff0) {
        GUEST("APK", g_pac, 0, 0x18, SYS_ISS(3, 0, 2, 1, 0, 0, 1));
        wr("hcr_el2", base | BIT(40) | BIT(41));
        GUEST("no APK", g_pac, 0, 0x16, 0x7f);
    }
    if (rd("id_aa64mmfr0_el1") >> 56 & 15)
        test_fine_traps();
    /* TGE: EL0's exceptions go to EL2 */
    wr("hcr_el2", HCR_BASE | BIT(27));
    run_lower(EL0T, g_svc, 0, 0);
    EXPECT_EXC("TGE: SVC", 0x15, 9);
    EXPECT("TGE: vector", caught.vector, 8);
    run_lower(EL0T, g_hcr, 0, 0);
    EXPECT_EXC("TGE: UNDEFINED", 0, 0);
    wr("hcr_el2", base);
}

/* --- the guest in C: its vectors, its interrupts --- */

static volatile u32 guest_irqs, guest_id, host_irqs;

static u64 both_hook(Frame *f)
{
    if (f->level == 1 && (f->vector & 3) == 1) {
        u32 ack = gic_version == 3 ? (u32)rd("s3_0_c12_c12_0") : *mmio(0x801000c);
        guest_id = ack & 0x3ff;
        guest_irqs++;
        if (guest_id == 27)
            wr("cntv_ctl_el0", 2);
        if (gic_version == 3)
            wr("s3_0_c12_c12_1", ack);
        else
            *mmio(0x8010010) = ack;
        return 1;
    }
    /* the guest's timer: handed on by a list register, deactivated by the guest */
    if (f->level == 2 && (f->vector & 3) == 1) {
        u32 ack = gic_version == 3 ? (u32)rd("s3_0_c12_c12_0") : *mmio(0x801000c);
        host_irqs++;
        if (gic_version == 3) {
            wr("s3_0_c12_c12_1", ack); /* drops the priority: EOImode 1 */
            wr("s3_4_c12_c12_0",
               1ul << 62 | 1ul << 61 | 1ul << 60 | 0xa0ul << 48 | (u64)(ack & 0x3ff) << 32 | (ack & 0x3ff));
        } else {
            *mmio(0x8010010) = ack;
            *mmio(0x8030100) = 1u << 31 | 1u << 28 | 0x14u << 23 | (ack & 0x3ff) << 10 | (ack & 0x3ff);
        }
        return 1;
    }
    return 0;
}

static void guest_main(void)
{
    if (gic_version == 3) {
        wr("s3_0_c4_c6_0", 0xff);
        wr("s3_0_c12_c12_7", 1);
    } else {
        *mmio(0x8010004) = 0xff;
        *mmio(0x8010000) = 1;
    }
    op("msr daifclr, #2\n\tisb // %0", 0);
    for (unsigned i = 0; i < 100000 && !guest_irqs; i++)
        ;
    EXPECT("virtual interrupt", guest_irqs, 1);
    EXPECT("virtual interrupt: id", guest_id, 42);
    for (unsigned round = 0; round < 3; round++) {
        u32 seen = guest_irqs;
        wr("cntv_tval_el0", rd("cntfrq_el0") / 500);
        wr("cntv_ctl_el0", 1);
        SLEEP_UNTIL(guest_irqs != seen);
        EXPECT("the guest's timer", guest_id, 27);
    }
    op("msr daifset, #2 // %0", 0);
    mmu_on();
    TRY("ldr x0, [x0]", TEST_VA, 0);
    EXPECT_EXC("stage 1 fault of the guest", 0x25, 5);
    EXPECT("... stays at EL1", caught.level, 1);
    run_lower(EL0T, g_svc, 0, 0);
    EXPECT_EXC("EL0 of the guest", 0x15, 9);
    __asm__ volatile("hvc #0x55");
}

static void test_guest(void)
{
    gic_init();
    print(gic_version == 3 ? "GICv3\n" : "GICv2\n");
    gic_enable(27);
    wr("sctlr_el1", 0x30d00800);
    wr("vmpidr_el2", rd("mpidr_el1"));
    if (gic_version == 3) {
        wr("s3_0_c12_c12_4", 2); /* EOImode */
        wr("s3_4_c12_c11_0", 1); /* ICH_HCR_EL2.En */
        wr("s3_4_c12_c12_0", 1ul << 62 | 1ul << 60 | 0xa0ul << 48 | 42);
    } else {
        *mmio(0x8010000) = 1 | 1 << 9;
        *map_entry(&s2, 0, 1) = 0; /* the CPU interface of the guest is the virtual one */
        for (u64 a = 0x8000000; a < 0x8040000; a += 0x1000)
            *map_entry(&s2, a, 3) = (a + ((a & ~0xfffful) == 0x8010000 ? 0x30000 : 0)) | PTE_AF | S2_R | S2_W |
                                    S2_DEVICE | 3;
        *map_entry(&s2, 0x9000000, 3) = 0x9000000 | PTE_AF | S2_R | S2_W | S2_DEVICE | 3;
        *mmio(0x8030000) = 1;
        *mmio(0x8030100) = 1u << 28 | 0x14u << 23 | 42;
    }
    wr("hcr_el2", HCR_BASE | HCR_VM | HCR_IMO | HCR_FMO | BIT(40) | BIT(41));
    flush_guest();
    caught.hook = both_hook;
    run_lower(EL1H, guest_main, guest_stack, 0);
    caught.hook = 0;
    EXPECT_EXC("the guest's end", 0x16, 0x55);
    EXPECT("guest's interrupts", guest_irqs, 4);
    EXPECT("physical interrupts", host_irqs, 3);
    /* HCR_EL2.VI */
    wr("hcr_el2", HCR_BASE | HCR_VM | HCR_IMO | BIT(7));
    guest(g_isr, 0);
    EXPECT("VI: ISR_EL1", caught.x0, 0x80);
    wr("hcr_el2", HCR_BASE | HCR_VM);
}

void payload_main(void)
{
    EXPECT("level", rd("currentel") >> 2, 2);
    psci_by_smc = 1;
    guest_stack = (u64)pages(14) + 0x4000;
    wr("vmpidr_el2", rd("mpidr_el1"));
    wr("cnthctl_el2", 3);
    el2_mmu_on();
    stage2_on();
    TRY("ldr x0, [x0]", TEST_VA, 0);
    EXPECT_EXC("EL2's own fault", 0x25, 5);
    print("stage 2\n");
    test_stage2();
    print("traps\n");
    test_traps();
    print("guest\n");
    test_guest();
    done();
}
