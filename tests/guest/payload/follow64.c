/* SPDX-License-Identifier: MIT */
/*
 * Bare-metal test of code between device accesses that come close after each other (under KVM the emulator may run it
 * itself): it computes the same with and without accesses, sees its own stores, faults where it must, and interrupts
 * and the interrupt controllers work amid it.
 */
#include "lib64.h"

enum { ROUNDS = 1000, BOXES = 16, TIMER = 0x40 };
static u64 box[BOXES];

/* Instructions whose results and flags all end up in RAX. RBX: box. RCX, RDX, RDI: scratch. */
#define MIX(access) \
    access "mov %%rax, %%rcx\n\tadd $0x9e3779b9, %%ecx\n\tadc %%rax, %%rax\n\tsetc %%dl\n\t" \
           "movzbl %%dl, %%edx\n\txor %%rcx, %%rax\n\t" \
    access "shl $3, %%rcx\n\tsetc %%dil\n\tror $7, %%eax\n\trcl $1, %%rdx\n\tsbb %%cx, %%ax\n\tlahf\n\t" \
           "sar %%cl, %%rdx\n\t" \
    access "imul $0x1f3, %%rcx, %%rdi\n\tlea 5(%%rdi,%%rax,4), %%rdi\n\tadd %%rdi, %%rax\n\tbt $17, %%rax\n\t" \
           "cmovc %%rdi, %%rdx\n\t" \
    access "push %%rdx\n\tbsf %%rcx, %%rdx\n\tadd (%%rsp), %%rdx\n\tpop %%rdi\n\tdec %%rdi\n\tseto %%cl\n\t" \
           "movsbl %%cl, %%ecx\n\tneg %%rcx\n\t" \
    access "mov %%eax, %%edi\n\tand $15, %%edi\n\txor %%rax, (%%rbx,%%rdi,8)\n\trolq $5, (%%rbx,%%rdi,8)\n\t" \
           "add (%%rbx,%%rdi,8), %%rdx\n\t" \
    access "shld $9, %%rdx, %%rax\n\tbswap %%edx\n\tadd %%rdx, %%rax\n\tmul %%dh\n\tadc %%rcx, %%rdx\n\t" \
           "cmp %%eax, %%edx\n\tjbe 1f\n\tnot %%rdx\n\t" \
    "1: xchg %%rdx, %%rdi\n\tcwtl\n\tcltq\n\tcall 2f\n\tjmp 3f\n\t2: add %%rdi, %%rax\n\tret\n\t" \
    "3: xor %%rdx, %%rax\n\tmov $3, %%ecx\n\t" \
    "4: add $0x55, %%al\n\tmov %%al, 3(%%rbx)\n\tmov %%ah, 9(%%rbx)\n\tloop 4b\n\trol $23, %%rax\n\t"
#define PORT "push %%rax\n\tin $0x80, %%al\n\tpop %%rax\n\t"

static u64 __attribute__((noinline)) plain(u64 x)
{
    __asm__ volatile(MIX("") : "+a"(x) : "b"(box) : "rcx", "rdx", "rdi", "cc", "memory");
    return x;
}
static u64 __attribute__((noinline)) with_accesses(u64 x)
{
    __asm__ volatile(MIX(PORT) : "+a"(x) : "b"(box) : "rcx", "rdx", "rdi", "cc", "memory");
    return x;
}

static u64 rounds(u64 (*turn)(u64))
{
    u64 x = 0x123456789abcdef;
    for (u32 i = 0; i < BOXES; i++)
        box[i] = i * 0x0101010101010101;
    for (u32 i = 0; i < ROUNDS; i++)
        x = turn(x) + i;
    for (u32 i = 0; i < BOXES; i++)
        x = (x ^ box[i]) * 0x100000001b3;
    return x;
}

static void test_arithmetic(void) { EXPECT("the same with accesses", rounds(with_accesses), rounds(plain)); }

/* in $0x80, %al; mov $N, %eax; ret: with another N each time, from another address. */
static void test_code(void)
{
    static const u8 text[] = { 0xe4, 0x80, 0xb8, 0, 0, 0, 0, 0xc3 };
    u8 *page = page_alloc();
    u32 wrong = 0;
    for (u32 i = 0; i < 7; i++)
        memcopy(page + 16 * i, text, sizeof text);
    for (u32 i = 0; i < ROUNDS; i++) {
        u8 *code = page + i % 7 * 16;
        *(volatile u32 *)(code + 3) = i * 0x10001;
        wrong += ((u32 (*)(void))code)() != i * 0x10001;
    }
    EXPECT("new code runs", wrong, 0);
}

/* Pages that come, go and move while accesses go on. */
static void test_pages(void)
{
    const u64 at = 0x4000000000;
    u32 wrong = 0, last = caught.count;
    volatile u64 *a = page_alloc(), *b = page_alloc();
    a[1] = 1, b[1] = 2;
    for (u32 i = 0; i < 400; i++) {
        map4k(at, i & 1 ? (u64)b : (u64)a, PTE_P | PTE_W);
        for (u32 k = 0; k < 20; k++) {
            inb(0x80);
            wrong += *(volatile u64 *)(at + 8) != (i & 1) + 1;
        }
        wrong += !(*pte_of(at) & PTE_A) || *pte_of(at) & PTE_D;
        if (i % 40)
            continue;
        map4k(at, 0, 0);
        TRY("mov $0x4000000000, %%rcx\n\tmov $40, %%edx\n\t1: in $0x80, %%al\n\tcmp $1, %%edx\n\tje 2f\n\t"
            "dec %%edx\n\tjmp 1b\n\t2: mov 16(%%rcx), %%rax",
            : : : "rax", "rcx", "rdx", "memory", "cc");
        wrong += caught.vector != 14 || caught.cr2 != at + 16 || caught.count != ++last;
    }
    EXPECT("mappings", wrong, 0);
}

static void test_controllers(void)
{
    volatile u32 *io = (volatile u32 *)0xfec00000ul;
    u32 wrong = 0, id = *apic(0x20);
    io[0] = 1;
    u32 version = io[4];
    for (u32 i = 0; i < ROUNDS; i++) {
        inb(0x80);
        *apic(0x80) = (i & 15) << 4;
        inb(0x80);
        wrong += *apic(0x80) != (i & 15) << 4 || *apic(0x20) != id;
        io[0] = 1;
        wrong += io[4] != version;
        io[0] = 0x10 + 2 * 20;
        io[4] = 0x10000 | (i & 0xff);
        inb(0x80);
        wrong += (io[4] & 0x100ff) != (0x10000 | (i & 0xff));
    }
    *apic(0x80) = 0;
    EXPECT("controllers answer", wrong, 0);
}

static volatile u32 ticks;
static int on_tick(Frame *f)
{
    if (f->vector != TIMER)
        return 0;
    ticks++;
    *apic(0xb0) = 0;
    return 1;
}

static void test_interrupts(void)
{
    u32 missed = 0;
    hook = on_tick;
    *apic(0x320) = TIMER;
    *apic(0x3e0) = 0xb;
    for (u32 i = 0; i < 20; i++) {
        u32 turns = 0;
        ticks = 0;
        *apic(0x380) = 200000;
        __asm__ volatile("sti\n1:\tin $0x80, %%al\n\tinc %0\n\tcmp $30000000, %0\n\tje 2f\n\tcmpl $0, %1\n\t"
                         "je 1b\n2:\tcli"
                         : "+r"(turns) : "m"(ticks) : "rax", "memory", "cc");
        missed += ticks != 1;
    }
    EXPECT("the timer's interrupts", missed, 0);
    hook = 0;
}

void ap_main(void) {} /* start64.S wants one */

void main(void)
{
    init();
    part("arithmetic", test_arithmetic);
    part("code", test_code);
    part("pages", test_pages);
    part("controllers", test_controllers);
    part("interrupts", test_interrupts);
    done();
}
