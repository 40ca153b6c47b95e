/* SPDX-License-Identifier: MIT */
/*
 * What the bare-metal A64 tests share: output by the PL011, caught exceptions, page tables, CPUs, the interrupt
 * controllers.
 */
#ifndef PAYLOAD_ARM_LIB_H
#define PAYLOAD_ARM_LIB_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

__asm__(".arch armv8.5-a+memtag+rng");
#define BIT(n) (1ul << (n))
#define STR_(x) #x
#define STR(x) STR_(x)
#define rd(reg) ({ u64 v_; __asm__ volatile("mrs %0, " reg : "=r"(v_) : : "memory"); v_; })
#define wr(reg, value) __asm__ volatile("msr " reg ", %0\n\tisb" : : "r"((u64)(value)) : "memory")
#define op(text, value) __asm__ volatile(text : : "r"((u64)(value)) : "memory")
/*
 * Sleep until cond, which an interrupt handler makes true; masked between the test and WFI, so that the only interrupt
 * cannot slip in between.
 */
#define SLEEP_UNTIL(cond) do { \
        op("msr daifset, #2 // %0", 0); \
        if (!(cond)) \
            __asm__ volatile("wfi" : : : "memory"); \
        op("msr daifclr, #2\n\tisb // %0", 0); \
    } while (!(cond))
#define isb() __asm__ volatile("isb" : : : "memory")
#define dsb() __asm__ volatile("dsb sy" : : : "memory")
#define SYNC() __asm__ volatile("dsb sy\n\tisb" : : : "memory")

typedef struct Frame { u64 x[31], elr, spsr, esr, far, vector, level, pad; } Frame;

/* The last exception of this CPU. esr ~0: none. at: the address of the tried instruction. */
typedef struct Caught { u64 resume, at, esr, far, elr, spsr, vector, level, count, x0; u64 (*hook)(Frame *f); } Caught;
extern volatile Caught caught_of[4];
static inline u64 cpu_id(void) { return rd("mpidr_el1") & 3; }
#define caught (caught_of[cpu_id()])

/* Runs an instruction (or a few) with x0, x1; an exception goes on behind it. The value is x0. */
#define TRY(insn, a_, b_) ({ \
    volatile Caught *c_ = &caught; \
    u64 va_ = (u64)(a_), vb_ = (u64)(b_); \
    c_->esr = ~0ul; \
    register u64 r0_ __asm__("x0") = va_; \
    register u64 r1_ __asm__("x1") = vb_; \
    __asm__ volatile("adr x16, 77f\n\tadr x17, 76f\n\tstp x16, x17, [%2]\n\tmov x16, %2\n76:\n\t" insn "\n" \
                     "77:\n\tstr xzr, [%2]" \
                     : "+r"(r0_), "+r"(r1_) : "r"(c_) : "x16", "x17", "x2", "x3", "x30", "cc", "memory"); \
    r0_; })

void print(const char *s);
void print_hex(u64 v);
void check(int ok, const char *what, u64 got, u64 want);
#define EXPECT(what, got, want) \
    do { u64 got_ = (u64)(got), want_ = (u64)(want); check(got_ == want_, what, got_, want_); } while (0)
#define NO_EXC(what) EXPECT(what ": no exception", caught.esr, ~0ul)
#define ESR(ec, iss) ((u64)(ec) << 26 | BIT(25) | (iss))
#define EXPECT_EXC(what, ec, iss) EXPECT(what ": ESR", caught.esr, ESR(ec, iss))
#define EXPECT_FAR(what, va) EXPECT(what ": FAR", caught.far, va)
void exit_now(int status) __attribute__((noreturn));
void done(void) __attribute__((noreturn)); /* prints the count; status 0 = all passed */
void handle(Frame *f);

/* Enters a lower level at pc and comes back at the first exception from there that the hook does not deal with. */
u64 enter(u64 spsr, u64 pc, u64 stack, u64 x0, u64 *save);
void leave(u64 *save, u64 value);
u64 run_lower(u64 spsr, const void *pc, u64 stack, u64 x0);
enum { EL0T = 0x3c0, EL1H = 0x3c5, EL2H = 0x3c9 };
extern u8 user_stack[4][8192];

/* Translation tables for one range of addresses. */
typedef struct Map { u64 *root; unsigned granule, bits; } Map;
enum {
    PTE_AF = 1 << 10,
    PTE_NG = 1 << 11,
    PTE_USER = 1 << 6,
    PTE_RO = 1 << 7,
    PTE_SH = 3 << 8,
    PTE_DEVICE = 1 << 2,
    PTE_TAGGED = 2 << 2
};
#define PTE_PXN BIT(53)
#define PTE_UXN BIT(54)
#define PTE_DBM BIT(51)
Map map_new(unsigned granule, unsigned bits);
volatile u64 *map_entry(Map *m, u64 va, unsigned level); /* tables on the way are made */
void map_page(Map *m, u64 va, u64 pa, u64 flags);        /* level 3 */
void *pages(unsigned bits);                              /* 1 << bits bytes, aligned, zeroed */
/* Identity map of 4 GiB by TTBR0 at EL1 (4 KiB granule, 39 bits), MMU and caches on. Every CPU calls it. */
void mmu_on(void);
extern Map low_map;
#define TEST_VA 0x100000000ul /* nothing is mapped there */
static inline void tlbi_all(void) { __asm__ volatile("dsb sy\n\ttlbi vmalle1\n\tdsb sy\n\tisb" : : : "memory"); }
static inline void tlbi_va(u64 va) { __asm__ volatile("dsb sy\n\ttlbi vaae1is, %0\n\tdsb sy\n\t"
                                                      "isb" : : "r"(va >> 12 & 0xffffffffffful) : "memory"); }

/* PSCI, and CPUs. */
u64 psci(u64 fn, u64 a, u64 b, u64 c);
extern int psci_by_smc;
void start_second(void);
u64 cpu_on(unsigned cpu, void (*fn)(void));

/* Interrupts: of either GIC. */
extern int gic_version;
void gic_init(void);              /* per CPU */
void gic_enable(unsigned id);     /* SGI or PPI of this CPU */
void gic_sgi(unsigned id, unsigned cpu);
u32 gic_ack(void);
void gic_eoi(u32 id);
static inline volatile u32 *mmio(u64 a) { return (volatile u32 *)a; }
void bytes_copy(void *to, const void *from, u64 n);
void code_sync(const void *p, u64 n); /* DC CVAU, IC IVAU */
#endif
