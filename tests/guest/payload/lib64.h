/* SPDX-License-Identifier: MIT */
/*
 * What the bare-metal tests share: output by the debug console and COM1, caught exceptions, page tables, the local
 * APIC.
 */
#ifndef PAYLOAD_LIB64_H
#define PAYLOAD_LIB64_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int bool_t;

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u64 read_cr0(void) { u64 v; __asm__ volatile("mov %%cr0, %0" : "=r"(v)); return v; }
static inline u64 read_cr2(void) { u64 v; __asm__ volatile("mov %%cr2, %0" : "=r"(v)); return v; }
static inline u64 read_cr3(void) { u64 v; __asm__ volatile("mov %%cr3, %0" : "=r"(v)); return v; }
static inline u64 read_cr4(void) { u64 v; __asm__ volatile("mov %%cr4, %0" : "=r"(v)); return v; }
static inline void write_cr0(u64 v) { __asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory"); }
static inline void write_cr3(u64 v) { __asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
static inline void write_cr4(u64 v) { __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }
static inline void invlpg(const void *p) { __asm__ volatile("invlpg (%0)" : : "r"(p) : "memory"); }
static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return lo | (u64)hi << 32;
}
static inline void wrmsr(u32 msr, u64 v) { __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32))); }
static inline u64 rdtsc(void) { u32 lo, hi; __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)); return lo | (u64)hi << 32; }
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

typedef struct Frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax, vector, error, rip, cs, rflags, rsp,
        ss;
} Frame;

/* The last exception; vector -1: none. TRY() sets `resume`, where a caught exception goes on. */
typedef struct Caught { long vector; u64 error, rip, cr2, rflags, rsp, cs; u32 count; } Caught;
extern volatile Caught caught;
extern volatile u64 resume, saved_rsp;
/* Called first by the handler when set; returns nonzero when it has dealt with the exception. */
extern int (*volatile hook)(Frame *f);

/* A caught exception goes on behind the insn with the stack as before it. */
#define TRY(insn, ...) do { \
    caught.vector = -1; \
    __asm__ volatile("lea 77f(%%rip), %%rax\n\tmov %%rax, resume(%%rip)\n\t" \
                     "mov %%rsp, saved_rsp(%%rip)\n\txor %%eax, %%eax\n\t" insn "\n77:" __VA_ARGS__); \
    resume = 0; \
} while (0)

void print(const char *s);
int named(const char *name);                    /* is the word on the command line? */
void part(const char *name, void (*run)(void)); /* unless the command line leaves it out */
void print_hex(u64 v);
void check(bool_t ok, const char *what, u64 got, u64 want);
#define EXPECT(what, got, want) check((u64)(got) == (u64)(want), what, (u64)(got), (u64)(want))
#define EXPECT_EXC(what, vec, err) \
    do { EXPECT(what ": vector", caught.vector, vec); EXPECT(what ": error code", caught.error, err); } while (0)
void done(void) __attribute__((noreturn)); /* prints the count, ends the machine: status 1 = all passed */
void init(void);

/*
 * Page tables: the identity map ends at 1 GiB; map4k() makes 4 KiB pages elsewhere (va in the second 512 GiB or below).
 */
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100 };
#define PTE_NX (1ul << 63)
volatile u64 *pte_of(u64 va);              /* makes the tables on the way (present, writable, user) */
void map4k(u64 va, u64 pa, u64 flags);
void *page_alloc(void);                    /* identity-mapped, zeroed */
void set_gate(unsigned vector, void *handler, u8 dpl, u8 ist, u8 type);

/* Local APIC in xAPIC mode. */
static inline volatile u32 *apic(u32 reg) { return (volatile u32 *)(0xfee00000ul + reg); }
void memcopy(void *to, const void *from, u64 n);
extern u64 pml4[], pdpt[], pd[];
extern u8 idt_stub[], ap_start[], ap_end[], user_return[], syscall_entry[];
extern u64 idt[], gdt[];
extern u32 start_info;
extern volatile u64 kernel_rsp, syscall_rcx, syscall_r11, syscall_rsp;
extern volatile u32 syscall_once, ap_count;
void run_user(void *rip, u64 rsp, u64 cs, u64 ss, u64 rflags);
#endif
