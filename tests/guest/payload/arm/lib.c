/* SPDX-License-Identifier: MIT */
/* What the bare-metal A64 tests share. */
#include "lib.h"

volatile Caught caught_of[4];
u8 user_stack[4][8192] __attribute__((aligned(4096)));
static u32 passed, failed;
static u64 saves[4][4][16];
Map low_map;
int psci_by_smc, gic_version;

/* --- output, results --- */

static void put(char ch)
{
    while (*mmio(0x9000018) & 0x20)
        ;
    *mmio(0x9000000) = (u8)ch;
}

void print(const char *s)
{
    for (; *s; s++)
        put(*s);
}

void print_hex(u64 v)
{
    print("0x");
    int shift = 60;
    while (shift && !(v >> shift & 15))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put("0123456789abcdef"[v >> shift & 15]);
}

void check(int ok, const char *what, u64 got, u64 want)
{
    if (ok) {
        __atomic_add_fetch(&passed, 1, __ATOMIC_RELAXED);
        return;
    }
    failed++;
    print("FAIL ");
    print(what);
    print(": ");
    print_hex(got);
    print(", expected ");
    print_hex(want);
    print("\n");
}

/* Under KVM (it says so by its vendor UID) the board's user looks at the output, and power off ends it. */
static void exit_kvm(void)
{
    if (rd("currentel") >> 2 == 1 && !psci_by_smc && (u32)psci(0x8600ff01, 0, 0, 0) == 0xb66fb428)
        psci(0x84000008, 0, 0, 0);
}

void exit_now(int status)
{
    exit_kvm();
    u64 block[2] = { 0x20026, (u64)status };
    register u64 x0 __asm__("x0") = 0x18;
    register void *x1 __asm__("x1") = block;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    for (;;)
        __asm__ volatile("wfi");
}

void done(void)
{
    print_hex(passed);
    print(failed ? " passed, some failed\nPAYLOAD FAILED\n" : " passed\nPAYLOAD OK\n");
    exit_now(failed != 0);
}

void *memset(void *p, int v, u64 n)
{
    for (volatile u8 *b = p; n; n--)
        *b++ = (u8)v;
    return p;
}

void *memcpy(void *to, const void *from, u64 n)
{
    for (u64 i = 0; i < n; i++)
        ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
    return to;
}

void bytes_copy(void *to, const void *from, u64 n) { memcpy(to, from, n); }

void code_sync(const void *p, u64 n)
{
    for (u64 a = (u64)p & ~15ul; a < (u64)p + n; a += 16)
        __asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0" : : "r"(a) : "memory");
    SYNC();
}

/* --- exceptions --- */

void handle(Frame *f)
{
    volatile Caught *c = &caught;
    if (c->hook && c->hook(f))
        return;
    c->esr = f->esr, c->far = f->far, c->elr = f->elr, c->spsr = f->spsr, c->vector = f->vector, c->level = f->level,
    c->x0 = f->x[0];
    c->count++;
    u64 *save = saves[cpu_id()][f->level];
    if (f->vector >= 8 && save[12]) {
        f->x[0] = (u64)save, f->x[1] = c->x0;
        f->elr = (u64)leave;
        f->spsr = 0x3c1 | f->level << 2;
        return;
    }
    if (c->resume) {
        f->elr = c->resume;
        f->spsr &= ~BIT(20); /* IL */
        c->resume = 0;
        return;
    }
    print("unexpected exception: vector ");
    print_hex(f->vector);
    print(" level ");
    print_hex(f->level);
    print(" ESR ");
    print_hex(f->esr);
    print(" ELR ");
    print_hex(f->elr);
    print(" FAR ");
    print_hex(f->far);
    print("\nPAYLOAD FAILED\n");
    exit_now(1);
}

u64 run_lower(u64 spsr, const void *pc, u64 stack, u64 x0)
{
    u64 *save = saves[cpu_id()][rd("currentel") >> 2];
    caught.esr = ~0ul;
    u64 r = enter(spsr, (u64)pc, stack, x0, save);
    save[12] = 0;
    return r;
}

/* --- tables --- */

static u8 pool[0x400000] __attribute__((aligned(65536)));
static u64 pool_used;

void *pages(unsigned bits)
{
    u64 size = 1ul << bits;
    pool_used = (pool_used + size - 1) & ~(size - 1);
    u8 *p = pool + pool_used;
    pool_used += size;
    if (pool_used > sizeof(pool)) {
        print("no memory\nPAYLOAD FAILED\n");
        exit_now(1);
    }
    return memset(p, 0, size);
}

Map map_new(unsigned granule, unsigned bits) { return (Map){ pages(granule), granule, bits }; }

volatile u64 *map_entry(Map *m, u64 va, unsigned level)
{
    unsigned stride = m->granule - 3, at = 4 - (m->bits - m->granule + stride - 1) / stride;
    volatile u64 *table = m->root;
    va &= (1ul << m->bits) - 1;
    for (;; at++) {
        volatile u64 *e = table + ((va >> (m->granule + (3 - at) * stride)) & ((1ul << stride) - 1));
        if (at == level)
            return e;
        if (!*e)
            *e = (u64)pages(m->granule) | 3;
        table = (u64 *)(*e & 0xfffffffff000);
    }
}

void map_page(Map *m, u64 va, u64 pa, u64 flags) { *map_entry(m, va, 3) = pa | flags | 3; }

void mmu_on(void)
{
    if (!low_map.root) {
        low_map = map_new(12, 39);
        *map_entry(&low_map, 0, 1) = PTE_AF | PTE_DEVICE | PTE_PXN | PTE_UXN | 1;
        for (u64 g = 1; g < 4; g++)
            *map_entry(&low_map, g << 30, 1) = g << 30 | PTE_AF | PTE_SH | 1;
    }
    wr("mair_el1", 0xf000ff); /* 0 normal, 1 device, 2 tagged */
    wr("tcr_el1", 25ul | 25ul << 16 | 0x3500 | 0x35000000 | 2ul << 30 | 2ul << 32);
    wr("ttbr0_el1", (u64)low_map.root);
    wr("ttbr1_el1", (u64)low_map.root);
    tlbi_all();
    wr("sctlr_el1", rd("sctlr_el1") | 0x1005 | BIT(23)); /* M, C, I, SPAN */
}

/* --- PSCI --- */

u64 psci(u64 fn, u64 a, u64 b, u64 c)
{
    register u64 x0 __asm__("x0") = fn;
    register u64 x1 __asm__("x1") = a;
    register u64 x2 __asm__("x2") = b;
    register u64 x3 __asm__("x3") = c;
    if (psci_by_smc)
        __asm__ volatile(".inst 0xd4000003"
                         : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                         :
                         : "memory", "x4", "x5", "x6", "x7");
    else
        __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory", "x4", "x5", "x6", "x7");
    return x0;
}

u64 cpu_on(unsigned cpu, void (*fn)(void)) { return psci(0xc4000003, cpu, (u64)start_second, (u64)fn); }

/* --- interrupt controllers: the virt machine's --- */

enum { GICD = 0x8000000, GICC = 0x8010000, GICR = 0x80a0000 };
static u64 redist(void) { return GICR + cpu_id() * 0x20000; }

void gic_init(void)
{
    gic_version = rd("id_aa64pfr0_el1") >> 24 & 15 ? 3 : 2;
    if (gic_version == 2) {
        *mmio(GICD) = 1;
        *mmio(GICC + 4) = 0xff;
        *mmio(GICC) = 1;
        return;
    }
    *mmio(GICD) = 0x12; /* ARE, group 1 */
    *mmio(redist() + 0x14) = 0; /* awake */
    while (*mmio(redist() + 0x14) & 4)
        ;
    *mmio(redist() + 0x10080) = ~0u; /* group 1 */
    wr("s3_0_c12_c12_5", rd("s3_0_c12_c12_5") | 1);
    wr("s3_0_c4_c6_0", 0xff);
    wr("s3_0_c12_c12_7", 1);
}

void gic_enable(unsigned id) { *mmio(gic_version == 2 ? GICD + 0x100 : redist() + 0x10100) = 1u << id; }

void gic_sgi(unsigned id, unsigned cpu)
{
    dsb();
    if (gic_version == 2)
        *mmio(GICD + 0xf00) = 1u << (16 + cpu) | id;
    else
        wr("s3_0_c12_c11_5", (u64)id << 24 | 1u << cpu);
}

u32 gic_ack(void) { return gic_version == 2 ? *mmio(GICC + 0xc) : (u32)rd("s3_0_c12_c12_0"); }

void gic_eoi(u32 id)
{
    if (gic_version == 2)
        *mmio(GICC + 0x10) = id;
    else
        wr("s3_0_c12_c12_1", id);
}
