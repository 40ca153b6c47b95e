/* SPDX-License-Identifier: MIT */
/* See lib64.h. */
#include "lib64.h"

volatile Caught caught;
volatile u64 resume, saved_rsp;
int (*volatile hook)(Frame *f);
static u32 passed, failed;
static u8 df_stack[4096];
static u8 heap[64 * 4096] __attribute__((aligned(4096)));
static u32 heap_used;

static struct __attribute__((packed)) {
    u32 reserved;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, iomap;
    u8 bitmap[0x200 + 1];
} tss;

void memcopy(void *to, const void *from, u64 n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/* The compiler may call these two. */
void *memset(void *p, int c, u64 n)
{
    void *d = p;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return p;
}
void *memcpy(void *to, const void *from, u64 n)
{
    memcopy(to, from, n);
    return to;
}

static void put(char c)
{
    outb(0xe9, c);
    for (u32 i = 0; i < 100000 && !(inb(0x3fd) & 0x20); i++)
        ;
    outb(0x3f8, c);
}
void print(const char *s)
{
    while (*s)
        put(*s++);
}
#include "parts.h"
int named(const char *name) { return is_named(name); }
void part(const char *name, void (*run)(void)) { run_part(name, run); }
void print_hex(u64 v)
{
    char b[19] = "0x";
    u32 n = 2;
    for (int s = 60; s >= 0; s -= 4)
        if (v >> s || s == 0)
            b[n++] = "0123456789abcdef"[v >> s & 15];
    b[n] = 0;
    print(b);
}

void check(bool_t ok, const char *what, u64 got, u64 want)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    print("FAIL ");
    print(what);
    print(": got ");
    print_hex(got);
    print(", want ");
    print_hex(want);
    print("\n");
}

void done(void)
{
    print("payload: passed ");
    print_hex(passed);
    print(" failed ");
    print_hex(failed);
    print(failed || !passed ? "\nPAYLOAD FAILED\n" : "\nPAYLOAD OK\n");
    outl(0xf4, failed || !passed ? 1 : 0);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void on_exception(Frame *f)
{
    if (hook && hook(f))
        return;
    caught.vector = f->vector;
    caught.error = f->error;
    caught.rip = f->rip;
    caught.cr2 = f->vector == 14 ? read_cr2() : 0;
    caught.rflags = f->rflags;
    caught.rsp = f->rsp;
    caught.cs = f->cs;
    caught.count++;
    if ((f->cs & 3) == 3) { /* out of user code */
        f->rip = (u64)user_return;
        f->cs = 8;
        f->ss = 0x10;
        f->rsp = kernel_rsp;
        f->rflags = 2;
        return;
    }
    if (!resume) {
        print("unexpected exception ");
        print_hex(f->vector);
        print(" error ");
        print_hex(f->error);
        print(" rip ");
        print_hex(f->rip);
        print(" cr2 ");
        print_hex(read_cr2());
        print("\n");
        failed++;
        done();
    }
    f->rip = resume;
    f->rsp = saved_rsp;
    f->rflags &= ~0x10100ul; /* TF, RF */
}

void set_gate(unsigned vector, void *handler, u8 dpl, u8 ist, u8 type)
{
    u64 a = (u64)handler;
    idt[2 * vector] = (a & 0xffff) | 8ul << 16 | (u64)ist << 32 | (u64)(0x80 | dpl << 5 | type) << 40 |
                      (a >> 16 & 0xffff) << 48;
    idt[2 * vector + 1] = a >> 32;
}

void init(void)
{
    for (unsigned i = 0; i < 256; i++)
        /* those that a bad stack makes use IST 1 */
        set_gate(i, idt_stub + 16 * i, 0, i == 8 || i == 12 || i == 13, 14);
    u64 base = (u64)&tss, limit = sizeof tss - 1;
    gdt[7] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
    gdt[8] = base >> 32;
    tss.rsp[0] = (u64)page_alloc() + 4096;
    tss.ist[0] = (u64)df_stack + sizeof df_stack;
    tss.iomap = __builtin_offsetof(__typeof__(tss), bitmap);
    memset(tss.bitmap, 0xff, sizeof tss.bitmap);
    tss.bitmap[0x80 / 8] = 0xfe; /* port 0x80 is allowed */
    extern u8 gdt_ptr[], idt_ptr[];
    __asm__ volatile("lgdt (%0); lidt (%1); ltr %w2" : : "r"(gdt_ptr), "r"(idt_ptr), "r"(0x38) : "memory");
    *apic(0xf0) = 0x1ff;
}

void *page_alloc(void)
{
    if (heap_used == sizeof heap) {
        print("out of pages\n");
        done();
    }
    void *p = heap + heap_used;
    heap_used += 4096;
    return p;
}

static u64 *next_table(u64 *entry)
{
    if (!(*entry & PTE_P))
        *entry = (u64)page_alloc() | PTE_P | PTE_W | PTE_U;
    return (u64 *)(*entry & 0xffffffffff000ul);
}
volatile u64 *pte_of(u64 va)
{
    u64 *t = next_table(&pml4[va >> 39 & 511]);
    t = next_table(&t[va >> 30 & 511]);
    t = next_table(&t[va >> 21 & 511]);
    return &t[va >> 12 & 511];
}
void map4k(u64 va, u64 pa, u64 flags)
{
    *pte_of(va) = pa | flags;
    invlpg((void *)va);
}
