/* SPDX-License-Identifier: MIT */
/* EL1 and EL0: exceptions with their syndromes, translation, debug, timers and interrupts, two CPUs, PAuth, MTE. */
#include "lib.h"

#define ARROW(name, text) void name(void); __asm__(".text\n" #name ":\n\t" text "\n\tsvc #0x7f\n")

/* --- exceptions --- */

ARROW(user_svc, "svc #0x123");
ARROW(user_brk, "brk #7");
ARROW(user_udf, "udf #0");
ARROW(user_sysreg, "mrs x0, sctlr_el1");
ARROW(user_ctr, "mrs x3, ctr_el0");
ARROW(user_daif, "msr daifset, #2");
ARROW(user_wfi, "wfi");
ARROW(user_wfe, "wfe\n\twfe"); /* the first takes the event of the ERET */
ARROW(user_zva, "dc zva, x0");
ARROW(user_counter, "mrs x5, cntvct_el0");
ARROW(user_fp, "fmov s0, #1.0");
ARROW(user_load, "ldr x0, [x0]");
ARROW(user_store, "str x0, [x0]");
ARROW(user_branch, "br x0");
ARROW(user_sp, "mov sp, x0\n\tldr x1, [sp]");
ARROW(user_ivau, "ic ivau, x0");
ARROW(user_hvc, "hvc #1");
ARROW(user_tpidr, "mrs x1, tpidr_el0\n\tadd x0, x1, #1\n\tmsr tpidr_el0, x0");

static void user(void (*code)(void), u64 x0) { run_lower(EL0T & ~0x3c0ul, code, 0, x0); }
#define USER(what, code, x0, ec, iss) \
    do { user(code, x0); EXPECT_EXC(what, ec, iss); EXPECT(what ": vector", caught.vector, 8); } while (0)

static void test_exceptions(void)
{
    TRY("svc #0x456", 0, 0);
    EXPECT_EXC("SVC at EL1", 0x15, 0x456);
    EXPECT("SVC: vector", caught.vector, 4);
    EXPECT("SVC: ELR", caught.elr, caught.at + 4);
    EXPECT("SVC: SPSR", caught.spsr & 0x3cf, 0x3c5);
    TRY("udf #1", 0, 0);
    EXPECT_EXC("UDF", 0, 0);
    EXPECT("UDF: ELR", caught.elr, caught.at);
    TRY("brk #0xbeef", 0, 0);
    EXPECT_EXC("BRK", 0x3c, 0xbeef);
    EXPECT("BRK: ELR", caught.elr, caught.at);
    TRY("mrs x0, s3_0_c15_c15_7", 0, 0);
    EXPECT_EXC("no such register", 0, 0);
    TRY("mrs x0, s3_3_c4_c4_7", 0, 0);
    EXPECT_EXC("no such register of EL0", 0, 0);
    TRY("ldr x0, [x0]", TEST_VA, 0);
    EXPECT_EXC("unmapped load", 0x25, 5);
    EXPECT_FAR("unmapped load", TEST_VA);
    TRY("str x1, [x0, #8]", TEST_VA, 0);
    EXPECT_EXC("unmapped store", 0x25, 0x45);
    EXPECT_FAR("unmapped store", TEST_VA + 8);
    TRY("ldr x0, [x0]", 0x7f00000000000008, 0);
    EXPECT_EXC("load outside the ranges", 0x25, 4);
    EXPECT_FAR("load outside the ranges", 0x7f00000000000008);
    TRY("blr x0", TEST_VA + 0x40, 0);
    EXPECT_EXC("unmapped fetch", 0x21, 5);
    EXPECT_FAR("unmapped fetch", TEST_VA + 0x40);
    EXPECT("unmapped fetch: ELR", caught.elr, TEST_VA + 0x40);
    TRY("blr x0", 0x40200002, 0);
    EXPECT_EXC("unaligned branch", 0x22, 0);
    EXPECT_FAR("unaligned branch", 0x40200002);
}

static void test_user(void)
{
    wr("sctlr_el1", (rd("sctlr_el1") & ~(BIT(9) | BIT(14) | BIT(15) | BIT(16) | BIT(18) | BIT(26))) | BIT(4));
    wr("cntkctl_el1", 0);
    wr("cpacr_el1", 0);
    USER("SVC at EL0", user_svc, 0, 0x15, 0x123);
    EXPECT("SVC at EL0: SPSR", caught.spsr & 0x3df, 0);
    USER("BRK at EL0", user_brk, 0, 0x3c, 7);
    USER("UDF at EL0", user_udf, 0, 0, 0);
    USER("HVC at EL0", user_hvc, 0, 0, 0);
    USER("register of EL1 at EL0", user_sysreg, 0, 0, 0);
    USER("CTR_EL0 trapped", user_ctr, 0, 0x18, 3 << 20 | 1 << 17 | 3 << 14 | 0 << 10 | 3 << 5 | 0 << 1 | 1);
    USER("DAIFSet trapped", user_daif, 0, 0x18, 0 << 20 | 6 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | 2 << 1);
    USER("WFI trapped", user_wfi, 0, 1, 0x1e00000);
    USER("WFE trapped", user_wfe, 0, 1, 0x1e00001);
    USER("DC ZVA trapped", user_zva, 0, 0x18, 1 << 20 | 1 << 17 | 3 << 14 | 7 << 10 | 0 << 5 | 4 << 1);
    USER("IC IVAU trapped", user_ivau, 0, 0x18, 1 << 20 | 1 << 17 | 3 << 14 | 7 << 10 | 0 << 5 | 5 << 1);
    USER("CNTVCT_EL0 trapped", user_counter, 0, 0x18, 3 << 20 | 2 << 17 | 3 << 14 | 14 << 10 | 5 << 5 | 0 << 1 | 1);
    USER("FP trapped at EL0", user_fp, 0, 7, 0x1e00000);
    TRY(".arch_extension fp\n\tfmov s0, #1.0", 0, 0);
    EXPECT_EXC("FP trapped at EL1", 7, 0x1e00000);
    wr("cpacr_el1", 1 << 20);
    USER("FP trapped at EL0 only", user_fp, 0, 7, 0x1e00000);
    TRY("fmov s0, #1.0", 0, 0);
    NO_EXC("FP at EL1");
    wr("cpacr_el1", 3 << 20);
    USER("FP at EL0", user_fp, 0, 0x15, 0x7f);
    USER("kernel page read at EL0", user_load, (u64)&low_map, 0x24, 0xd);
    EXPECT_FAR("kernel page read at EL0", (u64)&low_map);
    USER("kernel page written at EL0", user_store, (u64)&low_map, 0x24, 0x4d);
    USER("unmapped load at EL0", user_load, TEST_VA + 16, 0x24, 5);
    USER("unmapped fetch at EL0", user_branch, TEST_VA + 16, 0x20, 5);
    EXPECT_FAR("unmapped fetch at EL0", TEST_VA + 16);
    USER("unaligned branch at EL0", user_branch, TEST_VA + 2, 0x22, 0);
    USER("unaligned SP at EL0", user_sp, TEST_VA + 8, 0x26, 0);
    wr("tpidr_el0", 41);
    user(user_tpidr, 0);
    EXPECT("TPIDR_EL0", rd("tpidr_el0"), 42);
    wr("sctlr_el1", rd("sctlr_el1") | BIT(14) | BIT(15) | BIT(26));
    USER("CTR_EL0", user_ctr, 0, 0x15, 0x7f);
    /* illegal return: EL2 from EL1, then any instruction */
    wr("spsr_el1", 0x3c9);
    TRY("adr x0, 1f\n\tmsr elr_el1, x0\n\teret\n1:\tnop", 0, 0);
    EXPECT_EXC("illegal return", 0xe, 0);
    EXPECT("illegal return: SPSR.IL", caught.spsr >> 20 & 1, 1);
}

/* --- alignment --- */

static void test_alignment(void)
{
    static u64 data[4] __attribute__((aligned(64))) = { 0x8877665544332211, 0xffeeddccbbaa9988 };
    EXPECT("unaligned load", TRY("ldr x0, [x0]", (u64)data + 3, 0), 0xaa99888877665544);
    TRY("ldxr x0, [x0]", (u64)data + 4, 0);
    EXPECT_EXC("unaligned exclusive", 0x25, 0x21);
    EXPECT_FAR("unaligned exclusive", (u64)data + 4);
    wr("sctlr_el1", rd("sctlr_el1") | 2);
    TRY("ldr x0, [x0]", (u64)data + 1, 0);
    EXPECT_EXC("SCTLR.A, load", 0x25, 0x21);
    EXPECT_FAR("SCTLR.A, load", (u64)data + 1);
    TRY("strh w1, [x0]", (u64)data + 1, 0);
    EXPECT_EXC("SCTLR.A, store", 0x25, 0x61);
    TRY("ldrb w0, [x0]", (u64)data + 1, 0);
    NO_EXC("SCTLR.A, byte");
    wr("sctlr_el1", rd("sctlr_el1") & ~2ul);
    map_page(&low_map, TEST_VA, (u64)data & ~0xffful, PTE_AF | PTE_DEVICE);
    tlbi_all();
    u64 va = TEST_VA | ((u64)data & 0xfff);
    TRY("ldr x0, [x0]", va + 1, 0);
    EXPECT_EXC("unaligned device load", 0x25, 0x21);
    TRY("ldr x0, [x0]", va, 0);
    NO_EXC("aligned device load");
    *map_entry(&low_map, TEST_VA, 1) = 0;
    tlbi_all();
}

/* --- translation --- */

enum { RET_CODE = 0xd65f03c0 };
static u8 *frame_page; /* 64 KiB of memory that test pages map */

static void test_granule(unsigned granule, const char *name)
{
    static const u8 tg1[] = { [12] = 2, [14] = 1, [16] = 3 };
    u64 page = 1ul << granule, old_tcr = rd("tcr_el1"), old_ttbr = rd("ttbr1_el1");
    Map m = map_new(granule, 42);
    u64 va = -1ul << 42 | 0x12345ul << granule;
    map_page(&m, va, (u64)frame_page, PTE_AF | PTE_SH);
    map_page(&m, va + page, (u64)frame_page, PTE_AF | PTE_SH | PTE_RO);
    map_page(&m, va + 2 * page, (u64)frame_page, PTE_SH);
    map_page(&m, va + 3 * page, (u64)frame_page, PTE_AF | PTE_SH | PTE_PXN);
    map_page(&m, va + 4 * page, (u64)frame_page, PTE_AF | PTE_SH | PTE_USER);
    map_page(&m, va + 5 * page, (u64)frame_page | BIT(45), PTE_AF | PTE_SH);
    unsigned block_level = 2;
    u64 block = 1ul << (granule + granule - 3);
    u64 block_va = -1ul << 42 | block * 5;
    *map_entry(&m, block_va, block_level) = 0x40000000ul / block * block | PTE_AF | PTE_SH | 1;
    wr("tcr_el1", (old_tcr & ~(63ul << 16 | 3ul << 30)) | (64 - 42) << 16 | (u64)tg1[granule] << 30);
    wr("ttbr1_el1", (u64)m.root);
    tlbi_all();
    print(name);
    print("\n");
    *(volatile u64 *)frame_page = 0x1122334455667788;
    EXPECT("page load", TRY("ldr x0, [x0]", va, 0), 0x1122334455667788);
    TRY("str x1, [x0]", va + page - 8, 77);
    EXPECT("page store", *(volatile u64 *)(frame_page + page - 8), 77);
    TRY("str x1, [x0]", va + page, 1);
    EXPECT_EXC("read-only page", 0x25, 0x4f);
    EXPECT_FAR("read-only page", va + page);
    EXPECT("read-only page is read", TRY("ldr x0, [x0]", va + page, 0), 0x1122334455667788);
    TRY("ldr x0, [x0]", va + 2 * page, 0);
    EXPECT_EXC("access flag", 0x25, 0xb);
    *(volatile u32 *)frame_page = RET_CODE;
    code_sync(frame_page, 4);
    TRY("blr x0", va + page, 0);
    NO_EXC("execute read-only");
    TRY("blr x0", va, 0);
    NO_EXC("execute writable");
    TRY("blr x0", va + 3 * page, 0);
    EXPECT_EXC("PXN", 0x21, 0xf);
    TRY("blr x0", va + 4 * page, 0);
    EXPECT_EXC("writable at EL0 is not executable at EL1", 0x21, 0xf);
    TRY("ldr x0, [x0]", va + 5 * page, 0);
    EXPECT_EXC("output address size", 0x25, 3);
    TRY("ldr x0, [x0]", va + 6 * page, 0);
    EXPECT_EXC("no page", 0x25, 7);
    TRY("ldr x0, [x0]", va + BIT(40), 0);
    EXPECT_EXC("no table", 0x25, (u64)granule / 2 - 2);
    EXPECT("block", TRY("ldr w0, [x0]", block_va | ((u64)frame_page & (block - 1)), 0),
           *(volatile u32 *)(0x40000000ul / block * block | ((u64)frame_page & (block - 1))));
    /* AT */
    op("at s1e1r, %0\n\tisb", va + 0x123);
    EXPECT("AT: page", rd("par_el1") & 0xfffffffff001, (u64)frame_page);
    op("at s1e1w, %0\n\tisb", va + page);
    EXPECT("AT: no write", rd("par_el1") & 0x7f, 1 | 0xf << 1);
    op("at s1e0r, %0\n\tisb", va);
    EXPECT("AT: not for EL0", rd("par_el1") & 0x7f, 1 | 0xf << 1);
    op("at s1e0r, %0\n\tisb", va + 4 * page);
    EXPECT("AT: for EL0", rd("par_el1") & 0xfffffffff001, (u64)frame_page);
    /* A and D by hardware */
    if ((rd("id_aa64mmfr1_el1") & 15) == 2) {
        wr("tcr_el1", rd("tcr_el1") | BIT(39) | BIT(40));
        volatile u64 *e = map_entry(&m, va + 7 * page, 3);
        *e = (u64)frame_page | PTE_SH | PTE_RO | PTE_DBM | 3;
        tlbi_all();
        TRY("ldr x0, [x0]", va + 7 * page, 0);
        NO_EXC("hardware access flag");
        EXPECT("A is set, D is not", *e & (PTE_AF | PTE_RO), PTE_AF | PTE_RO);
        TRY("str x1, [x0]", va + 7 * page + 8, 5);
        NO_EXC("hardware dirty state");
        EXPECT("D is set", *e & (PTE_AF | PTE_RO), PTE_AF);
        wr("tcr_el1", rd("tcr_el1") & ~(BIT(39) | BIT(40)));
    }
    wr("tcr_el1", old_tcr);
    wr("ttbr1_el1", old_ttbr);
    tlbi_all();
}

/* FEAT_LPA2: 52 bits with 4 and 16 KiB pages. */
static void test_lpa2(unsigned granule)
{
    u64 page = 1ul << granule, old_tcr = rd("tcr_el1"), old_ttbr = rd("ttbr1_el1"), old_low = rd("ttbr0_el1");
    Map m = map_new(granule, 52), low = map_new(12, 39);
    *map_entry(&low, 0, 1) = PTE_AF | PTE_DEVICE | PTE_PXN | PTE_UXN | 1;
    *map_entry(&low, 1ul << 30, 1) = 1ul << 30 | PTE_AF | 1; /* shareability is TCR's now */
    u64 va = -1ul << 52 | 0x5a5a512345000 << 1;
    va &= -page;
    map_page(&m, va, (u64)frame_page, PTE_AF);
    map_page(&m, va + page, BIT(46), PTE_AF | PTE_SH); /* bits 9:8 are those of the address from 50 on */
    map_page(&m, va + 2 * page, BIT(49) | (u64)frame_page, PTE_AF);
    wr("ttbr0_el1", (u64)low.root);
    tlbi_all();
    wr("tcr_el1", (old_tcr & ~(63ul << 16 | 3ul << 30 | 7ul << 32)) | 12ul << 16 | (granule == 12 ? 2ul : 1ul) << 30 |
                      6ul << 32 | BIT(59));
    wr("ttbr1_el1", (u64)m.root);
    tlbi_all();
    *(volatile u64 *)frame_page = 0x1234;
    EXPECT("52-bit address", TRY("ldr x0, [x0]", va, 0), 0x1234);
    NO_EXC("52-bit address");
    TRY("ldr x0, [x0]", va ^ BIT(51), 0);
    EXPECT_EXC("no table: level", 0x25, granule == 12 ? 0x2b : 4); /* of the first level, which is -1 with 4 KiB */
    TRY("ldr x0, [x0]", va ^ BIT(53), 0);
    EXPECT_EXC("beyond 52 bits", 0x25, 4);
    op("at s1e1r, %0\n\tisb", va + page);
    EXPECT("52-bit output", rd("par_el1") & 0xffffffffff001, 3ul << 50 | BIT(46));
    op("at s1e1r, %0\n\tisb", va + 2 * page);
    EXPECT("bit 49 of the output", rd("par_el1") & 0xffffffffff001, BIT(49) | (u64)frame_page);
    if (granule == 12) { /* a block of level 0 */
        *map_entry(&m, -1ul << 52 | 7ul << 39, 0) = PTE_AF | 1;
        tlbi_all();
        EXPECT("block of 512 GiB", TRY("ldr x0, [x0]", (-1ul << 52 | 7ul << 39) + (u64)frame_page, 0), 0x1234);
    }
    wr("tcr_el1", old_tcr);
    wr("ttbr1_el1", old_ttbr);
    wr("ttbr0_el1", old_low);
    tlbi_all();
}

static void test_permissions(void)
{
    u64 va = TEST_VA, *page = (u64 *)frame_page;
    page[0] = 0x55;
    map_page(&low_map, va, (u64)page, PTE_AF | PTE_SH | PTE_USER | PTE_PXN | PTE_UXN);
    map_page(&low_map, va + 0x1000, (u64)page, PTE_AF | PTE_SH | PTE_USER | PTE_RO);
    tlbi_all();
    user(user_load, va);
    EXPECT("EL0 loads", caught.x0, 0x55);
    user(user_branch, va);
    EXPECT_EXC("UXN", 0x20, 0xf);
    user(user_store, va + 0x1000);
    EXPECT_EXC("read-only at EL0", 0x24, 0x4f);
    if (rd("id_aa64mmfr1_el1") >> 20 & 15) {
        op(".inst 0xd500419f // %0", 0); /* MSR PAN, #1 */
        isb();
        TRY("ldr x0, [x0]", va, 0);
        EXPECT_EXC("PAN", 0x25, 0xf);
        EXPECT("PAN: LDTR", TRY("ldtr x0, [x0]", va, 0), 0x55);
        NO_EXC("PAN: LDTR");
        op(".inst 0xd500409f // %0", 0);
    }
    EXPECT("no PAN", TRY("ldr x0, [x0]", va, 0), 0x55);
    TRY("ldtr x0, [x0]", (u64)&low_map, 0);
    EXPECT_EXC("LDTR of a kernel page", 0x25, 0xd);
    /* APTable of the level 2 descriptor */
    volatile u64 *e = map_entry(&low_map, va, 1);
    *e |= BIT(62);
    tlbi_all();
    TRY("str x1, [x0]", va, 5);
    EXPECT_EXC("APTable: no write", 0x25, 0x4f);
    *e = (*e & ~BIT(62)) | BIT(61);
    tlbi_all();
    user(user_load, va);
    EXPECT_EXC("APTable: no EL0", 0x24, 0xf);
    *e &= ~BIT(61);
    *(volatile u32 *)frame_page = 0xd4000fe1; /* svc #0x7f */
    code_sync(frame_page, 4);
    map_page(&low_map, va, (u64)page, PTE_AF | PTE_SH | PTE_USER | PTE_PXN);
    tlbi_all();
    user(user_branch, va);
    EXPECT_EXC("writable, executed at EL0", 0x15, 0x7f);
    /* TBI */
    u64 tcr = rd("tcr_el1");
    wr("tcr_el1", tcr | BIT(37));
    tlbi_all();
    TRY("ldr x0, [x0]", va | 0x5aul << 56, 0);
    NO_EXC("TBI");
    TRY("ldr x0, [x0]", (va + 0x2000) | 0x5aul << 56, 0);
    EXPECT_FAR("TBI: FAR keeps the tag", (va + 0x2000) | 0x5aul << 56);
    wr("tcr_el1", tcr);
    /* EPD0 ends the low range; the code runs there, so EPD1 */
    wr("tcr_el1", tcr | BIT(23));
    tlbi_all();
    TRY("ldr x0, [x0]", -1ul << 39 | 0x40200000, 0);
    EXPECT_EXC("EPD1", 0x25, 4);
    wr("tcr_el1", tcr);
    tlbi_all();
    EXPECT("TTBR1", TRY("ldr w0, [x0]", -1ul << 39 | 0x40200000, 0), *(volatile u32 *)0x40200000);
    *map_entry(&low_map, va, 1) = 0;
    tlbi_all();
}

/* Two address spaces with ASIDs; a change that is not yet flushed may be seen or not, a flushed one must be. */
static void test_asid(void)
{
    Map one = map_new(12, 39), two = map_new(12, 39);
    u64 *a = pages(12), *b = pages(12);
    a[0] = 1, b[0] = 2;
    for (unsigned g = 0; g < 4; g++)
        *map_entry(&one, (u64)g << 30, 1) = *map_entry(&two, (u64)g << 30, 1) = *map_entry(&low_map, (u64)g << 30, 1);
    map_page(&one, TEST_VA, (u64)a, PTE_AF | PTE_SH | PTE_NG);
    map_page(&two, TEST_VA, (u64)b, PTE_AF | PTE_SH | PTE_NG);
    u64 sum = 0;
    for (unsigned i = 0; i < 100; i++) {
        wr("ttbr0_el1", (u64)(i & 1 ? two : one).root | (u64)(1 + (i & 1)) << 48);
        sum = sum * 3 + TRY("ldr x0, [x0]", TEST_VA, 0);
        if (TRY("ldr x0, [x0]", TEST_VA, 0) != 1 + (i & 1))
            check(0, "ASID switch", i, 0);
    }
    map_page(&two, TEST_VA, (u64)a, PTE_AF | PTE_SH | PTE_NG);
    dsb();
    op("tlbi aside1, %0\n\tdsb sy\n\tisb", 2ul << 48);
    wr("ttbr0_el1", (u64)two.root | 2ul << 48);
    EXPECT("TLBI ASIDE1", TRY("ldr x0, [x0]", TEST_VA, 0), 1);
    map_page(&two, TEST_VA, (u64)b, PTE_AF | PTE_SH | PTE_NG);
    dsb();
    op("tlbi vae1, %0\n\tdsb sy\n\tisb", 2ul << 48 | TEST_VA >> 12);
    EXPECT("TLBI VAE1", TRY("ldr x0, [x0]", TEST_VA, 0), 2);
    *map_entry(&two, TEST_VA, 3) = 0;
    dsb();
    op("tlbi vaale1, %0\n\tdsb sy\n\tisb", TEST_VA >> 12);
    TRY("ldr x0, [x0]", TEST_VA, 0);
    EXPECT_EXC("TLBI VAALE1", 0x25, 7);
    wr("ttbr0_el1", (u64)low_map.root);
    tlbi_all();
}

static void test_code(void)
{
    u32 *code = pages(12);
    for (unsigned i = 0; i < 200; i++) {
        code[0] = 0xd2800000 | i << 5; /* mov x0, #i */
        code[1] = RET_CODE;
        code_sync(code, 8);
        u64 got = TRY("blr x0", code, 0);
        if (got != i)
            check(0, "changed code", got, i);
    }
    /* an instruction that rewrites the one behind it */
    code[0] = 0xb9000001; /* str w1, [x0] */
    code[1] = 0xd50b7b20; /* dc cvau, x0 */
    code[2] = 0xd5033f9f; /* dsb sy */
    code[3] = 0xd50b7520; /* ic ivau, x0 */
    code[4] = 0xd5033f9f;
    code[5] = 0xd5033fdf; /* isb */
    code[6] = 0xd2800020; /* mov x0, #1 */
    code[7] = RET_CODE;
    code_sync(code, 32);
    EXPECT("code changes itself", TRY("mov x16, x0\n\tadd x0, x0, #24\n\tblr x16", code, 0xd2800540), 42);
}

/* --- debug --- */

ARROW(user_steps, "mov x1, #1\n\tmov x2, #2\n\tadd x0, x1, x2");
static u64 steps[8], step_count;

static u64 step_hook(Frame *f)
{
    if (f->esr >> 26 != 0x32)
        return 0;
    if (step_count < 8)
        steps[step_count] = f->elr;
    step_count++;
    EXPECT("step: ESR", f->esr, ESR(0x32, BIT(24) | 0x22));
    f->spsr |= BIT(21);
    return 1;
}

static void test_debug(void)
{
    static u64 data[8] __attribute__((aligned(64)));
    wr("oslar_el1", 0);
    /* software step of EL0 */
    step_count = 0;
    caught.hook = step_hook;
    wr("mdscr_el1", 1);
    run_lower(BIT(21), user_steps, 0, 0);
    wr("mdscr_el1", 0);
    caught.hook = 0;
    EXPECT_EXC("stepped: the end", 0x15, 0x7f);
    EXPECT("stepped: x0", caught.x0, 3);
    EXPECT("stepped: count", step_count, 3);
    for (u64 i = 0; i < 3; i++)
        EXPECT("stepped: place", steps[i], (u64)user_steps + 4 * i + 4);
    /* breakpoint on EL0 code */
    wr("dbgbvr0_el1", (u64)user_steps + 8);
    wr("dbgbcr0_el1", 1 | 2 << 1 | 15 << 5);
    wr("mdscr_el1", 1 << 15);
    user(user_steps, 0);
    EXPECT_EXC("breakpoint", 0x30, 0x22);
    EXPECT("breakpoint: ELR", caught.elr, (u64)user_steps + 8);
    wr("dbgbcr0_el1", 1 | 1 << 1 | 15 << 5); /* EL1 only */
    user(user_steps, 0);
    EXPECT_EXC("breakpoint of the other level", 0x15, 0x7f);
    wr("dbgbcr0_el1", 0);
    /* watchpoint, at EL1 with KDE */
    wr("dbgwvr0_el1", (u64)&data[2]);
    wr("dbgwcr0_el1", 1 | 1 << 1 | 2 << 3 | 0xff << 5);
    wr("mdscr_el1", 1 << 15 | 1 << 13);
    op("msr daifclr, #8 // %0", 0);
    TRY("ldr x0, [x0]", &data[2], 0);
    NO_EXC("watchpoint of stores, load");
    TRY("str x1, [x0]", &data[1], 5);
    NO_EXC("watchpoint, the next word");
    TRY("strb w1, [x0]", (u64)&data[2] + 5, 5);
    EXPECT("watchpoint: EC", caught.esr >> 26, 0x35);
    EXPECT("watchpoint: WnR, DFSC", caught.esr & 0x7f, 0x62);
    EXPECT_FAR("watchpoint", (u64)&data[2] + 5);
    EXPECT("watchpoint: not stored", data[2], 0);
    TRY("stp x1, x1, [x0]", (u64)&data[1], 5);
    EXPECT("watchpoint, pair: EC", caught.esr >> 26, 0x35);
    wr("dbgwcr0_el1", 1 | 1 << 1 | 1 << 3 | 1 << 5); /* loads, byte 0 */
    TRY("ldrb w0, [x0]", (u64)&data[2] + 1, 0);
    NO_EXC("watchpoint, another byte");
    TRY("ldr x0, [x0]", &data[2], 0);
    EXPECT("watchpoint, load", caught.esr & ~BIT(25), 0x35ul << 26 | 0x22);
    op("msr daifset, #8 // %0", 0);
    TRY("ldr x0, [x0]", &data[2], 0);
    NO_EXC("watchpoint masked by D");
    wr("dbgwcr0_el1", 0);
    wr("mdscr_el1", 0);
}

/* --- interrupts and timers --- */

static volatile u32 irq_count[4], irq_last[4];

static u64 irq_hook(Frame *f)
{
    if ((f->vector & 3) != 1)
        return 0;
    u32 ack = gic_ack(), id = ack & 0x3ff;
    u64 me = cpu_id();
    irq_last[me] = id;
    irq_count[me]++;
    if (id == 27)
        wr("cntv_ctl_el0", 2);
    if (id == 30)
        wr("cntp_ctl_el0", 2);
    gic_eoi(ack);
    return 1;
}

ARROW(user_spin, "1: ldr x1, [x0]\n\tcbz x1, 1b");

static void test_interrupts(void)
{
    gic_init();
    print(gic_version == 3 ? "GICv3\n" : "GICv2\n");
    gic_enable(1), gic_enable(27), gic_enable(30);
    caught.hook = irq_hook;
    gic_sgi(1, 0);
    dsb();
    isb();
    EXPECT("masked", irq_count[0], 0);
    EXPECT("ISR_EL1", rd("isr_el1"), 0x80);
    op("msr daifclr, #2\n\tisb // %0", 0);
    for (unsigned i = 0; i < 1000000 && !irq_count[0]; i++)
        ;
    EXPECT("SGI to itself", irq_last[0], 1);
    EXPECT("SGI once", irq_count[0], 1);
    u64 freq = rd("cntfrq_el0"), from = rd("cntvct_el0");
    wr("cntv_tval_el0", freq / 100);
    wr("cntv_ctl_el0", 1);
    EXPECT("timer: not yet", rd("cntv_ctl_el0"), 1);
    SLEEP_UNTIL(irq_count[0] >= 2);
    check(rd("cntvct_el0") - from >= freq / 100, "virtual timer: time", rd("cntvct_el0") - from, freq / 100);
    EXPECT("virtual timer: id", irq_last[0], 27);
    from = rd("cntpct_el0");
    wr("cntp_cval_el0", from + freq / 200);
    wr("cntp_ctl_el0", 1);
    SLEEP_UNTIL(irq_count[0] >= 3);
    EXPECT("physical timer: id", irq_last[0], 30);
    EXPECT("timer: status", rd("cntp_ctl_el0") & 3, 2); /* ISTATUS is UNKNOWN without ENABLE */
    /* WFI with interrupts masked goes on and takes none */
    op("msr daifset, #2 // %0", 0);
    wr("cntv_tval_el0", freq / 1000);
    wr("cntv_ctl_el0", 1);
    __asm__ volatile("wfi");
    EXPECT("WFI, masked", irq_count[0], 3);
    EXPECT("timer: status, due", rd("cntv_ctl_el0"), 5);
    op("msr daifclr, #2\n\tisb // %0", 0);
    for (unsigned i = 0; i < 1000000 && irq_count[0] < 4; i++)
        ;
    EXPECT("unmasked", irq_count[0], 4);
    op("msr daifset, #2 // %0", 0);
    caught.hook = 0;
}

/* --- two CPUs --- */

static volatile u64 turn, stop, second_error;
static u64 counter_x, counter_lse;
static volatile u64 *shared_va = (u64 *)TEST_VA;
static u64 *shared_a, *shared_b;
enum { ROUNDS = 20000 };

static void add_exclusive(u64 *p)
{
    __asm__ volatile("1: ldaxr x2, [%0]\n\tadd x2, x2, #1\n\tstlxr w3, x2, [%0]\n\t"
                     "cbnz w3, 1b" : : "r"(p) : "x2", "x3", "memory");
}
static void add_lse(u64 *p) { __asm__ volatile("ldaddal %0, x2, [%1]" : : "r"(1ul), "r"(p) : "x2", "memory"); }

static void count_both(void)
{
    int lse = rd("id_aa64isar0_el1") >> 20 & 15;
    for (unsigned i = 0; i < ROUNDS; i++) {
        add_exclusive(&counter_x);
        if (lse)
            add_lse(&counter_lse);
    }
}

static void second_main(void)
{
    mmu_on();
    gic_init();
    gic_enable(2);
    caught.hook = irq_hook;
    EXPECT("second CPU: MPIDR", rd("mpidr_el1") & 0xff, 1);
    turn = 1;
    count_both();
    turn = 2;
    /* sees what CPU 0 maps, flush by flush */
    while (turn < 1000) {
        u64 t = turn;
        if (t >= 10 && t & 1) {
            u64 got = *shared_va, want = t & 2 ? 2 : 1;
            if (got != want)
                second_error = t;
            dsb();
            turn = t + 1;
        }
    }
    /* SGI while in WFI */
    op("msr daifclr, #2\n\tisb // %0", 0);
    turn = 2000;
    SLEEP_UNTIL(irq_count[1]);
    EXPECT("SGI to the second CPU", irq_last[1], 2);
    turn = 2001;
    psci(0x84000002, 0, 0, 0);
    second_error = 1;
    turn = 2002;
}

static volatile u64 by_kvm;

/* As after CPU_ON, but what has woken us is still pending. */
static void after_wake(void)
{
    u32 ack = gic_ack();
    gic_eoi(ack);
    turn = 3000 + (ack & 0x3ff);
    psci(0x84000002, 0, 0, 0);
}

static void woken(void)
{
    second_error = rd("sctlr_el1") & 5;
    mmu_on();
    after_wake();
}

static void sleeper(void)
{
    mmu_on();
    gic_init();
    gic_enable(2);
    turn = 2999;
    psci(0xc4000001, 1 << 16, (u64)start_second, (u64)woken);
    second_error = by_kvm ? 0 : 1; /* which waits, but does not power down */
    after_wake();
}

static void wait_turn(u64 t)
{
    u64 until = rd("cntvct_el0") + 60 * rd("cntfrq_el0");
    while (turn != t)
        if (rd("cntvct_el0") > until) {
            check(0, "the second CPU does not come to", turn, t);
            done();
        }
}

static void second_is_off(void)
{
    u64 until = rd("cntvct_el0") + 20 * rd("cntfrq_el0");
    while (psci(0xc4000004, 1, 0, 0) != 1 && rd("cntvct_el0") < until)
        ;
    EXPECT("AFFINITY_INFO: off", psci(0xc4000004, 1, 0, 0), 1);
}

static void test_suspend(void)
{
    by_kvm = (u32)psci(0x8600ff01, 0, 0, 0) == 0xb66fb428;
    second_error = 0;
    EXPECT("CPU_ON for CPU_SUSPEND", cpu_on(1, sleeper), 0);
    wait_turn(2999);
    if (!by_kvm) {
        EXPECT("SYSTEM_SUSPEND beside others", psci(0xc400000e, (u64)start_second, 0, 0), -3ul);
        EXPECT("CPU_SUSPEND of a cluster", psci(0xc4000001, 1 << 24 | 1 << 16, (u64)start_second, 0), -2ul);
        EXPECT("CPU_SUSPEND to an odd place", psci(0xc4000001, 1 << 16, (u64)start_second + 2, 0), -9ul);
        EXPECT("features of CPU_SUSPEND", psci(0x8400000a, 0xc4000001, 0, 0), 0);
    }
    gic_sgi(2, 1);
    wait_turn(3002);
    EXPECT("power down by CPU_SUSPEND", second_error, 0);
    second_is_off();
}

static void test_second(void)
{
    EXPECT("PSCI version", psci(0x84000000, 0, 0, 0) >> 16, 1);
    EXPECT("CPU_ON of no CPU", psci(0xc4000003, 77, 0, 0), -2ul);
    if (psci(0xc4000004, 1, 0, 0) != 1) {
        print("one CPU\n");
        return;
    }
    shared_a = pages(12), shared_b = pages(12);
    shared_a[0] = 1, shared_b[0] = 2;
    EXPECT("CPU_ON of itself", psci(0xc4000003, 0, 0, 0), -4ul);
    dsb();
    EXPECT("CPU_ON", cpu_on(1, second_main), 0);
    while (turn < 1)
        ;
    EXPECT("AFFINITY_INFO: on", psci(0xc4000004, 1, 0, 0), 0);
    EXPECT("CPU_ON again", cpu_on(1, second_main), -4ul);
    count_both();
    wait_turn(2);
    EXPECT("exclusives", counter_x, 2 * ROUNDS);
    if (rd("id_aa64isar0_el1") >> 20 & 15)
        EXPECT("LSE", counter_lse, 2 * ROUNDS);
    for (u64 t = 11; t < 400; t += 2) {
        map_page(&low_map, TEST_VA, t & 2 ? (u64)shared_b : (u64)shared_a, PTE_AF | PTE_SH);
        *map_entry(&low_map, TEST_VA, 3) &= ~0ul;
        tlbi_va(TEST_VA);
        turn = t;
        wait_turn(t + 1);
        *map_entry(&low_map, TEST_VA, 3) = 0;
        tlbi_va(TEST_VA);
    }
    EXPECT("broadcast TLBI", second_error, 0);
    turn = 1000;
    wait_turn(2000);
    gic_sgi(2, 1);
    wait_turn(2001);
    second_is_off();
    EXPECT("CPU_OFF does not return", second_error, 0);
    test_suspend();
    *map_entry(&low_map, TEST_VA, 1) = 0;
    tlbi_all();
}

/* --- PAuth, MTE, RNDR --- */

static void test_pauth(void)
{
    u64 isar = rd("id_aa64isar1_el1");
    if (!(isar & 0xff0)) {
        print("no PAuth\n");
        return;
    }
    wr("s3_0_c2_c1_0", 0x1234567887654321);
    wr("s3_0_c2_c1_1", 0xfedcba9889abcdef);
    u64 p = (u64)&low_map;
    EXPECT("PACIA, disabled", TRY("pacia x0, x1", p, 5), p);
    wr("sctlr_el1", rd("sctlr_el1") | BIT(31));
    u64 s = TRY("pacia x0, x1", p, 5);
    check(s != p, "PACIA", s, p);
    EXPECT("AUTIA", TRY("autia x0, x1", s, 5), p);
    u64 bad = TRY("autia x0, x1", s, 6);
    check(bad != p, "AUTIA with another modifier", bad, p);
    EXPECT("XPACI", TRY("xpaci x0", s, 0), p);
    wr("sctlr_el1", rd("sctlr_el1") & ~BIT(31));
}

static void test_mte(void)
{
    if ((rd("id_aa64pfr1_el1") >> 8 & 15) < 2) {
        print("no MTE\n");
        return;
    }
    u64 *mem = pages(12), tcr = rd("tcr_el1");
    map_page(&low_map, TEST_VA, (u64)mem, PTE_AF | PTE_SH | PTE_TAGGED);
    wr("tcr_el1", tcr | BIT(37));
    wr("sctlr_el1", rd("sctlr_el1") | BIT(43) | 1ul << 40); /* ATA, TCF = 1: synchronous */
    op("msr tco, %0\n\tisb", 0);
    tlbi_all();
    u64 tagged = TEST_VA | 5ul << 56;
    TRY("stg x0, [x0]", tagged, 0);
    NO_EXC("STG");
    EXPECT("LDG", TRY("ldg x0, [x0]", TEST_VA, 0), tagged);
    TRY("str x1, [x0]", tagged, 9);
    NO_EXC("the right tag");
    TRY("ldr x0, [x0]", TEST_VA, 0);
    EXPECT_EXC("another tag, load", 0x25, 0x11);
    EXPECT("another tag: FAR", caught.far & ~(15ul << 60), TEST_VA);
    TRY("str x1, [x0]", TEST_VA | 6ul << 56, 9);
    EXPECT_EXC("another tag, store", 0x25, 0x51);
    EXPECT("exception entry sets TCO", caught.spsr >> 25 & 1, 0);
    TRY("ldr x0, [x0]", tagged + 16, 0);
    EXPECT("the next granule", caught.esr & 0x3f, 0x11);
    wr("tco", BIT(25));
    TRY("ldr x0, [x0]", TEST_VA, 0);
    NO_EXC("TCO");
    wr("tco", 0);
    wr("sctlr_el1", (rd("sctlr_el1") & ~(3ul << 40)) | 2ul << 40); /* asynchronous */
    wr("s3_0_c5_c6_0", 0);
    TRY("ldr x0, [x0]", TEST_VA, 0);
    NO_EXC("asynchronous");
    EXPECT("TFSR_EL1", rd("s3_0_c5_c6_0"), 1);
    wr("sctlr_el1", rd("sctlr_el1") & ~(3ul << 40 | BIT(43)));
    wr("tcr_el1", tcr);
    *map_entry(&low_map, TEST_VA, 1) = 0;
    tlbi_all();
}

static void test_random(void)
{
    if (!(rd("id_aa64isar0_el1") >> 60))
        return;
    u64 a = TRY("mrs x0, rndr", 0, 0), b = TRY("mrs x0, rndr", 0, 0);
    NO_EXC("RNDR");
    check(a != b, "RNDR", a, b);
}

void payload_main(void)
{
    frame_page = pages(16);
    mmu_on();
    print("exceptions\n");
    test_exceptions();
    test_user();
    test_alignment();
    print("translation\n");
    u64 mmfr0 = rd("id_aa64mmfr0_el1");
    test_granule(12, "4 KiB");
    if ((mmfr0 >> 20 & 15) != 0)
        test_granule(14, "16 KiB");
    if ((mmfr0 >> 24 & 15) == 0)
        test_granule(16, "64 KiB");
    if ((rd("id_aa64mmfr0_el1") >> 28 & 15) == 1) {
        print("52 bits\n");
        test_lpa2(12);
        test_lpa2(14);
    }
    test_permissions();
    test_asid();
    test_code();
    print("debug\n");
    test_debug();
    print("interrupts\n");
    test_interrupts();
    print("second CPU\n");
    test_second();
    print("features\n");
    test_pauth();
    test_mte();
    test_random();
    done();
}
