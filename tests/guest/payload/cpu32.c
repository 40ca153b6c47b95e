/* SPDX-License-Identifier: MIT */
/* Bare-metal test of 32-bit and 16-bit modes: segments, gates, tasks, virtual-8086 mode, paging, real mode, SMM. */
#include "lib32.h"
#include "parts.h"

typedef struct Frame {
    u32 es, ds, edi, esi, ebp, esp_, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss, vm_es, vm_ds, vm_fs,
        vm_gs;
} Frame;
typedef struct Tss {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds,
        fs, gs, ldt;
    u16 trap, iomap;
    u8 bitmap[33];
} __attribute__((packed)) Tss;

extern u64 gdt[], idt[];
extern u32 page_dir[], kernel_esp, gate_seen[3], task_ebx, task_flags, task_tr;
extern u8 idt_stub[], stack_top[], outside_return[], gate_entry[], task_entry[], task_jump_entry[], real_code[],
    real_code_end[], real_int[], smi_code[], smi_code_end[];
void run_outside(u32 eip, u32 esp, u32 cs, u32 ss, u32 eflags, u32 segs);
void go_real(void);

static volatile struct { u32 vector, error, eip, cs, eflags, esp, ss, vm_ds, cr2; } caught;
volatile u32 resume, saved_sp;
static u32 passed, failed;
static Tss tss0, tss1, tss2;
static u8 task_stack[2][4096], user_stack[4096] __attribute__((aligned(16)));
u8 window[8192] __attribute__((aligned(4096)));
static u64 ldt[4];

static void print_hex(u32 v)
{
    print("0x"), print_digits(v);
}
static void check(const char *what, u32 got, u32 want)
{
    if (got == want) {
        passed++;
        return;
    }
    failed++;
    print("FAIL "), print(what), print(": got "), print_hex(got), print(", want "), print_hex(want), print("\n");
}
static void __attribute__((noreturn)) done(void)
{
    print("payload: passed "), print_hex(passed), print(" failed "), print_hex(failed);
    print(failed || !passed ? "\nPAYLOAD FAILED\n" : "\nPAYLOAD OK\n");
    outl(0xf4, failed || !passed);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void on_exception(Frame *f)
{
    caught.vector = f->vector, caught.error = f->error, caught.eip = f->eip, caught.cs = f->cs,
    caught.eflags = f->eflags;
    __asm__ volatile("mov %%cr2, %0" : "=r"(caught.cr2));
    if (f->eflags & 0x20000 || f->cs & 3) {
        caught.esp = f->esp, caught.ss = f->ss, caught.vm_ds = f->eflags & 0x20000 ? f->vm_ds : 0;
        __asm__ volatile("jmp outside_return");
    }
    if (!resume) {
        print("unexpected exception "), print_hex(f->vector), print(" error "), print_hex(f->error), print(" eip ");
        print_hex(f->eip), print("\n");
        failed++;
        done();
    }
    /* go on with the stack as before: rebuild it there */
    __asm__ volatile("mov %0, %%esp\n\tmov $0x10, %%ecx\n\tmov %%ecx, %%ss\n\tmov %0, %%esp\n\t"
                     "jmp *%1" : : "r"(saved_sp), "r"(resume));
    __builtin_unreachable();
}

/* Run insn; a fault goes on behind it. */
#define TRY(insn, ...) do { \
    caught.vector = ~0u; \
    __asm__ volatile("movl $77f, resume\n\tmov %%esp, saved_sp\n\tpushal\n\tsubl $32, saved_sp\n\t" insn "\n" \
                     "77:\tpopal" __VA_ARGS__); \
    resume = 0; \
} while (0)
#define CHECK_EXC(what, v, e) \
    do { check(what ": vector", caught.vector, v); check(what ": error code", caught.error, e); } while (0)
#define CHECK_NONE(what) check(what ": no fault", caught.vector, ~0u)

static u64 descriptor(u32 base, u32 limit, u32 access, u32 flags)
{
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
           (u64)flags << 52 | (u64)(base >> 24) << 56;
}
static u64 gate(u32 offset, u16 sel, u8 type, u8 count)
{
    return (offset & 0xffff) | (u64)sel << 16 | (u64)count << 32 | (u64)type << 40 | (u64)(offset >> 16) << 48;
}
static void fill(void *p, u32 n)
{
    for (u32 i = 0; i < n; i++)
        ((volatile u8 *)p)[i] = 0;
}
static void copy(void *to, const void *from, u32 n)
{
    for (u32 i = 0; i < n; i++)
        ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
}
void *memset(void *p, int c, u32 n) { (void)c; fill(p, n); return p; }
void *memcpy(void *to, const void *from, u32 n) { copy(to, from, n); return to; }

static void init(void)
{
    for (u32 i = 0; i < 64; i++)
        idt[i] = gate((u32)idt_stub + 16 * i, 8, 0x8e, 0);
    gdt[7] = descriptor((u32)&tss0, sizeof tss0 - 1, 0x89, 0);
    gdt[8] = descriptor((u32)&tss1, sizeof tss1 - 1, 0x89, 0);
    gdt[9] = descriptor((u32)&tss2, sizeof tss2 - 1, 0x89, 0);
    tss0.ss0 = 0x10, tss0.esp0 = (u32)stack_top - 8192;
    tss0.iomap = __builtin_offsetof(Tss, bitmap);
    for (u32 i = 0; i < sizeof tss0.bitmap; i++)
        tss0.bitmap[i] = 0xff;
    tss0.bitmap[0x80 / 8] = 0xfe;
    __asm__ volatile("ltr %w0" : : "r"(0x38));
}

static void test_segments(void)
{
    u32 v;
    gdt[5] = descriptor((u32)window, 0xfff, 0x92, 4);
    *(volatile u32 *)(window + 0xffc) = 0x1234;
    TRY("mov $0x28, %%ecx\n\tmov %%ecx, %%fs\n\tmov %%fs:0xffc, %%edx\n\tmov %%edx, task_ebx", : : : "memory");
    CHECK_NONE("read at the limit");
    check("read at the limit", task_ebx, 0x1234);
    TRY("mov %%fs:0xffd, %%edx", : : : "memory");
    CHECK_EXC("read across the limit", 13, 0);
    TRY("mov $-1, %%ebx\n\tmov %%fs:(%%ebx), %%al", : : : "memory");
    CHECK_EXC("read beyond the limit", 13, 0);
    TRY("mov %%esp, %%ebx\n\tmov $0x28, %%ecx\n\tmov %%ecx, %%ss\n\tmov $0x800, %%esp\n\t"
        "mov %%ss:0x1000, %%eax", : : : "memory");
    CHECK_EXC("read beyond the limit of SS", 12, 0);
    gdt[5] = descriptor((u32)window, 0xfff, 0x96, 4); /* expand down */
    TRY("mov $0x28, %%ecx\n\tmov %%ecx, %%fs\n\tmov %%fs:0x1000, %%eax", : : : "memory");
    CHECK_NONE("expand-down, valid");
    TRY("mov %%fs:0xfff, %%eax", : : : "memory");
    CHECK_EXC("expand-down, below", 13, 0);
    gdt[5] = descriptor(0, 0xfffff, 0x90, 0xc); /* read-only */
    TRY("mov $0x28, %%ecx\n\tmov %%ecx, %%fs\n\tmovl $1, %%fs:window", : : : "memory");
    CHECK_EXC("write to a read-only segment", 13, 0);
    gdt[5] = descriptor(0, 0xfffff, 0x12, 0xc); /* not present */
    TRY("mov $0x28, %%ecx\n\tmov %%ecx, %%fs", : : : "memory");
    CHECK_EXC("segment not present", 11, 0x28);
    TRY("mov $0x28, %%ecx\n\tmov %%ecx, %%ss", : : : "memory");
    CHECK_EXC("stack segment not present", 12, 0x28);
    TRY("xor %%ecx, %%ecx\n\tmov %%ecx, %%fs\n\tmov %%fs:0, %%eax", : : : "memory");
    CHECK_EXC("null selector", 13, 0);
    TRY("xor %%ecx, %%ecx\n\tmov %%ecx, %%ss", : : : "memory");
    CHECK_EXC("null SS", 13, 0);
    TRY("mov $0x13, %%ecx\n\tmov %%ecx, %%ss", : : : "memory");
    CHECK_EXC("SS with RPL 3", 13, 0x10);
    TRY("mov $0x78, %%ecx\n\tmov %%ecx, %%ds", : : : "memory");
    CHECK_EXC("execute-only as data", 13, 0x78);
    TRY("ljmp $0x10, $0", : : : "memory");
    CHECK_EXC("far jump to data", 13, 0x10);
    TRY("ljmp $0x18, $0", : : : "memory");
    CHECK_EXC("far jump to DPL 3 code", 13, 0x18);
    /* LDT */
    gdt[6] = descriptor((u32)ldt, sizeof ldt - 1, 0x82, 0);
    ldt[1] = descriptor((u32)window + 0x800, 0xff, 0x92, 4);
    *(volatile u32 *)(window + 0x804) = 0x5678;
    TRY("mov $0x30, %%ecx\n\tlldt %%cx\n\tmov $0x0c, %%ecx\n\tmov %%ecx, %%gs\n\tmov %%gs:4, %%eax\n\t"
        "mov %%eax, task_ebx", : : : "memory");
    CHECK_NONE("LDT");
    check("LDT segment", task_ebx, 0x5678);
    TRY("mov $0x24, %%ecx\n\tmov %%ecx, %%gs", : : : "memory");
    CHECK_EXC("beyond the LDT", 13, 0x24);
    /* LAR, LSL, VERR, VERW, ARPL */
    u8 z;
    __asm__ volatile("lar %2, %0\n\tsetz %1" : "=r"(v), "=q"(z) : "r"(0x10));
    check("LAR", v & 0xf0fe00, 0xc09200);
    check("LAR: Z", z, 1);
    __asm__ volatile("lsl %2, %0\n\tsetz %1" : "=r"(v), "=q"(z) : "r"(0x10));
    check("LSL", v, 0xffffffff);
    __asm__ volatile("verw %1\n\tsetz %0" : "=q"(z) : "r"((u16)0x08));
    check("VERW of code", z, 0);
    __asm__ volatile("verr %1\n\tsetz %0" : "=q"(z) : "r"((u16)0x08));
    check("VERR of code", z, 1);
    v = 0x10;
    __asm__ volatile("arpl %w2, %w0\n\tsetz %1" : "+r"(v), "=q"(z) : "r"(3));
    check("ARPL", v, 0x13);
}

static void test_gates(void)
{
    gdt[10] = gate((u32)gate_entry, 0x08, 0xec, 2); /* DPL 3, two parameters */
    static u8 code[32];
    u8 *p = code;
    *p++ = 0x68, *(u32 *)p = 0x2222, p += 4;            /* push */
    *p++ = 0x68, *(u32 *)p = 0x1111, p += 4;
    *p++ = 0x9a, *(u32 *)p = 0, p += 4, *(u16 *)p = 0x53, p += 2; /* lcall $0x53, $0 */
    *p++ = 0x0f, *p++ = 0x0b;
    run_outside((u32)code, (u32)user_stack + 4096, 0x1b, 0x23, 2, 0);
    CHECK_EXC("back from the call gate", 6, 0);
    check("gate: first parameter", gate_seen[0], 0x1111);
    check("gate: second parameter", gate_seen[1], 0x2222);
    check("gate: cs", gate_seen[2], 8);
    check("gate: the caller's stack is popped", caught.esp, (u32)user_stack + 4096);
    gdt[10] = gate((u32)gate_entry, 0x08, 0x8c, 2); /* DPL 0 */
    run_outside((u32)code, (u32)user_stack + 4096, 0x1b, 0x23, 2, 0);
    CHECK_EXC("call gate of DPL 0", 13, 0x50);
    code[0] = 0xfa; /* cli */
    run_outside((u32)code, (u32)user_stack + 4096, 0x1b, 0x23, 2, 0);
    CHECK_EXC("user cli", 13, 0);
    run_outside((u32)code, (u32)user_stack + 4096, 0x73, 0x23, 2, 0); /* conforming: CPL stays 3 */
    CHECK_EXC("user cli in conforming code", 13, 0);
    check("conforming code: CPL 3", caught.cs, 0x73);
    code[0] = 0xe6, code[1] = 0x80, code[2] = 0xe6, code[3] = 0x81; /* out to 80, 81 */
    run_outside((u32)code, (u32)user_stack + 4096, 0x1b, 0x23, 2, 0);
    CHECK_EXC("user out", 13, 0);
    check("user out: the bitmap allows port 80", caught.eip, (u32)code + 2);
}

static void test_tasks(void)
{
    u32 cr0;
    fill(&tss1, sizeof tss1), fill(&tss2, sizeof tss2);
    tss1.eip = (u32)task_entry, tss1.esp = (u32)task_stack[0] + 4096, tss1.eflags = 2, tss1.ebx = 100;
    tss1.cs = 8, tss1.ds = tss1.es = tss1.ss = tss1.fs = tss1.gs = 0x10;
    tss2 = tss1;
    tss2.eip = (u32)task_jump_entry, tss2.esp = (u32)task_stack[1] + 4096;
    __asm__ volatile("clts");
    TRY("lcall $0x40, $0", : : : "memory");
    CHECK_NONE("call to a task");
    check("task: ebx", task_ebx, 105);
    check("task: TR", task_tr & 0xffff, 0x40);
    check("task: NT", task_flags & 0x4000, 0x4000);
    check("task: back link", tss1.link, 0x38);
    check("task: its state is saved", tss1.ebx, 105);
    check("task: no longer busy", (u32)(gdt[8] >> 40) & 0xff, 0x89);
    check("caller's task: busy", (u32)(gdt[7] >> 40) & 0xff, 0x8b);
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    check("task switch sets TS", cr0 & 8, 8);
    TRY("lcall $0x40, $0", : : : "memory");
    check("task: goes on where it left", task_ebx, 110);
    TRY("ljmp $0x48, $0", : : : "memory");
    CHECK_NONE("jump to a task and back");
    check("jump: TR", task_tr & 0xffff, 0x48);
    check("jump: left task is not busy", (u32)(gdt[9] >> 40) & 0xff, 0x89);
    gdt[11] = gate(0, 0x40, 0x85, 0);
    TRY("lcall $0x58, $0", : : : "memory");
    CHECK_NONE("call through a task gate");
    check("task gate", task_ebx, 115);
    idt[0x30] = gate(0, 0x40, 0x85, 0);
    TRY("int $0x30", : : : "memory");
    CHECK_NONE("interrupt through a task gate");
    check("task gate in the IDT", task_ebx, 120);
    TRY("lcall $0x38, $0", : : : "memory");
    CHECK_EXC("call to a busy task", 13, 0x38);
    gdt[8] &= ~(1ull << 47);
    TRY("lcall $0x40, $0", : : : "memory");
    CHECK_EXC("call to a task that is not present", 11, 0x40);
}

static void test_vm86(void)
{
    u8 *low = (u8 *)0x20000;
    static const u8 cli[] = { 0xfa };
    static const u8 body[] = { 0xb8, 0x34, 0x12,             /* mov $0x1234, %ax */
                               0x8e, 0xd8,                   /* mov %ax, %ds */
                               0xa1, 0x10, 0x00,             /* mov 0x10, %ax */
                               0x50, 0x58,                   /* push, pop */
                               0xcd, 0x21 };                 /* int $0x21 */
    copy(low, cli, 1);
    run_outside(0, 0xfff0, 0x2000, 0x3000, 0x20002, 0x4000);
    CHECK_EXC("VM86 cli", 13, 0);
    check("VM86: ds is pushed", caught.vm_ds, 0x4000);
    check("VM86: cs", caught.cs, 0x2000);
    copy(low, body, sizeof body);
    *(volatile u16 *)(0x12340 + 0x10) = 0xbeef;
    run_outside(0, 0xfff0, 0x2000, 0x3000, 0x20002, 0x4000);
    CHECK_EXC("VM86 int n with IOPL 0", 13, 0);
    check("VM86: ip", caught.eip, sizeof body - 2);
    check("VM86: a segment register is paragraph numbers", caught.vm_ds, 0x1234);
    check("VM86: flags", caught.eflags & 0x20000, 0x20000);
    idt[0x21] = gate((u32)idt_stub + 16 * 0x21, 8, 0xee, 0);
    run_outside(0, 0xfff0, 0x2000, 0x3000, 0x23002, 0x4000);
    CHECK_EXC("VM86 int n with IOPL 3", 0x21, 0);
    low[0] = 0xe6, low[1] = 0x80, low[2] = 0xe6, low[3] = 0x90;
    run_outside(0, 0xfff0, 0x2000, 0x3000, 0x23002, 0x4000);
    CHECK_EXC("VM86 out", 13, 0);
    check("VM86 out: bitmap counts even with IOPL 3", caught.eip, 2);
}

static void test_paging(void)
{
    u32 cr0, cr3, cr4;
    volatile u32 *far_page = (u32 *)0x40000000;
    for (u32 i = 0; i < 64; i++)
        page_dir[i] = i << 22 | 0x83;
    page_dir[0x3fb] = 0xfec00093; /* APICs: uncached */
    page_dir[256] = 0x00000083 | ((u32)window & 0xffc00000);
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 0x10));
    __asm__ volatile("mov %0, %%cr3" : : "r"(page_dir));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0\n\tjmp 1f\n1:" : : "r"(cr0 | 0x80010000u));
    window[5] = 42;
    check("4 MiB page", ((volatile u8 *)far_page)[((u32)window & 0x3fffff) + 5], 42);
    page_dir[256] &= ~2u;
    __asm__ volatile("invlpg (%0)" : : "r"(far_page) : "memory");
    TRY("movl $1, 0x40000000", : : : "memory");
    CHECK_EXC("read-only 4 MiB page", 14, 3);
    check("cr2", caught.cr2, 0x40000000);
    TRY("movl $1, 0x50000000", : : : "memory");
    CHECK_EXC("absent page", 14, 2);
    check("A of the directory entry", page_dir[0] & 0x20, 0x20);
    page_dir[257] = (1u << 21) | 0x83; /* reserved bit */
    TRY("movl 0x40400000, %%eax", : : : "memory");
    CHECK_EXC("reserved bit of a 4 MiB page", 14, 8 | 1);
    /* PAE */
    static u64 pdpt[4] __attribute__((aligned(32))), pd[512] __attribute__((aligned(4096)));
    for (u32 i = 0; i < 64; i++)
        pd[i] = (u64)i << 21 | 0x83;
    pdpt[0] = (u32)pd | 1;
    __asm__ volatile("mov %0, %%cr0\n\tjmp 1f\n1:" : : "r"(cr0));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 0x20));
    __asm__ volatile("mov %1, %%cr3\n\tmov %%cr3, %0" : "=r"(cr3) : "r"(pdpt));
    __asm__ volatile("mov %0, %%cr0\n\tjmp 1f\n1:" : : "r"(cr0 | 0x80010000u));
    check("cr3 under PAE", cr3, (u32)pdpt);
    TRY("movl $1, 0x40000000", : : : "memory");
    CHECK_EXC("PAE: no directory", 14, 2);
    __asm__ volatile("mov %0, %%cr0\n\tjmp 1f\n1:" : : "r"(cr0));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

static void test_16bit(void)
{
    *(volatile u16 *)0x6000 = 0x3ff, *(volatile u32 *)0x6002 = 0; /* IDTR of real mode */
    *(volatile u16 *)(4 * 0x60) = 0x7000 + (real_int - real_code), *(volatile u16 *)(4 * 0x60 + 2) = 0;
    *(volatile u8 *)0 = 0x77;
    copy((void *)0x7000, real_code, real_code_end - real_code);
    *(volatile u32 *)0x5000 = 0, *(volatile u32 *)0x5004 = 0;
    go_real();
    check("real mode ran", *(volatile u16 *)0x5000, 0x1234);
    check("real mode: 16-bit addresses wrap", *(volatile u8 *)0x5002, 0x77);
    check("real mode: int through the IVT", *(volatile u16 *)0x5004, 1);
}

static void test_smm(void)
{
    volatile u32 *apic = (u32 *)0xfee00000;
    copy((void *)0x38000, smi_code, smi_code_end - smi_code);
    copy((void *)0x48000, smi_code, smi_code_end - smi_code);
    *(volatile u32 *)0x5010 = 0;
    apic[0xf0 / 4] = 0x1ff;
    u32 before = 0xabcd1234, after;
    __asm__ volatile("mov %2, %%ebx\n\tmov $0x44200, %%eax\n\tmov %%eax, %1\n\tnop\n\tnop\n\tnop\n\tmov %%ebx, %0"
                     : "=r"(after), "=m"(apic[0x300 / 4]) : "r"(before) : "eax", "ebx", "memory");
    for (volatile u32 i = 0; i < 100000 && !*(volatile u16 *)0x5010; i++)
        ;
    check("SMI taken", *(volatile u16 *)0x5010, 1);
    check("RSM brings registers back", after, before);
    check("SMBASE at reset", *(volatile u32 *)0x5018, 0x30000);
    check("SMM revision: SMBASE can move", *(volatile u32 *)0x5014 & 0x20000, 0x20000);
    apic[0x300 / 4] = 0x44200;
    for (volatile u32 i = 0; i < 100000 && *(volatile u16 *)0x5010 < 2; i++)
        ;
    check("second SMI", *(volatile u16 *)0x5010, 2);
    check("SMBASE has moved", *(volatile u32 *)0x5018, 0x40000);
}

void main(void)
{
    init();
    run_part("segments", test_segments);
    run_part("gates", test_gates);
    run_part("tasks", test_tasks);
    run_part("vm86", test_vm86);
    run_part("16 bit", test_16bit);
    run_part("paging", test_paging);
    run_part("smm", test_smm);
    done();
}
