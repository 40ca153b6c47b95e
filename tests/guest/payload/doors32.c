/* SPDX-License-Identifier: MIT */
/*
 * Reads blocks from an NVMe and a virtio disk, each after the last one's interrupt, and tells how often it rang and was
 * interrupted. Started by the BIOS of q35; on microvm, the disk is virtio over MMIO, whose interrupt is a line. After
 * "doors: done" it stands still, and the monitor can be asked how the doorbells came.
 */
#include "lib32.h"

#define MMIO(at) (*(volatile u32 *)(u32)(at))
#define BARRIER() __asm__ volatile("lock; addl $0, (%%esp)" : : : "memory")

enum { READS = 200, ENTRIES = 16, NVME_VECTOR = 0x30, VIRTIO_VECTOR = 0x31, APIC = 0xfee00000, SECTOR = 512 };

typedef struct Frame { u32 es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags; } Frame;
extern u64 idt[];
extern u8 idt_stub[];
u8 window[1]; /* of a test segment that start32.S knows, and that is not used here */
volatile u32 nvme_interrupts, virtio_interrupts;
static u32 failed, nvme_rung, nvme_admin_rung, virtio_rung;

static void tell(const char *name, u32 v)
{
    print(name), print(" "), print_digits(v), print("\n");
}
static void check(const char *what, u32 got, u32 want)
{
    if (got == want)
        return;
    failed++;
    print("FAIL "), print(what), tell(": got", got);
}
static void __attribute__((noreturn)) give_up(const char *why)
{
    print("FAIL "), print(why), print("\ndoors: done\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}

void on_exception(Frame *f)
{
    tell("vector", f->vector), tell("eip", f->eip);
    give_up("exception");
}

/*
 * Interrupts come only while wait_for() lets them. The way back is made by hand, with interrupts off: kernels that
 * emulate guests do not know IRET in protected mode.
 */
#define HANDLER(name, count) \
    extern u8 name[]; \
    __asm__(#name ": incl " #count "\n\tmovl $0, 0xfee000b0\n\tpush %eax\n\tmov 4(%esp), %eax\n\t" \
                  "mov %eax, 12(%esp)\n\tpop %eax\n\tadd $8, %esp\n\tret")
HANDLER(on_nvme, nvme_interrupts);
HANDLER(on_virtio, virtio_interrupts);

/*
 * A line: the device lowers it before the end of the interrupt. One without a cause does not count: kernels that
 * emulate guests end an interrupt when it begins, so that a line which is still up interrupts again.
 */
u32 mmio_at;
volatile u32 line_interrupts;
extern u8 on_mmio[];
HANDLER(on_line, line_interrupts);
__asm__("on_mmio: push %eax\n\tpush %ecx\n\tmov mmio_at, %ecx\n\tmov 0x60(%ecx), %eax\n\t"
        "mov %eax, 0x64(%ecx)\n\ttest %eax, %eax\n\tjz 1f\n\t"
        "incl virtio_interrupts\n1:\tpop %ecx\n\tpop %eax\n\tjmp on_line");

static void set_gate(u32 n, const u8 *handler)
{
    idt[n] = ((u32)handler & 0xffff) | 0x80000 | (u64)(0x8e00 | ((u32)handler & 0xffff0000u)) << 32;
}

static void wait_for(volatile u32 *count, u32 more_than)
{
    __asm__ volatile("cli");
    while (*count <= more_than)
        __asm__ volatile("sti; hlt" : : : "memory", "cc");
}

/* --- PCI --- */

static u32 config(u32 function, u32 at) { outl(0xcf8, 0x80000000u | function << 8 | at); return inl(0xcfc); }
static void set_config(u32 function, u32 at, u32 v) { outl(0xcf8, 0x80000000u | function << 8 | at); outl(0xcfc, v); }

static u32 find(u32 id)
{
    for (u32 f = 0; f < 256; f++) {
        if (config(f, 0) == id)
            return f;
    }
    give_up("no such device");
}

/* One vector of the MSI-X table: to this CPU. */
static void set_vector(u32 function, u32 entry, u32 vector)
{
    for (u32 cap = config(function, 0x34) & 0xfc; cap; cap = config(function, cap) >> 8 & 0xfc) {
        if ((config(function, cap) & 0xff) != 0x11)
            continue;
        u32 where = config(function, cap + 4),
            table = (config(function, 0x10 + (where & 7) * 4) & ~15u) + (where & ~7u) + entry * 16;
        set_config(function, 4, config(function, 4) | 6);
        set_config(function, cap, config(function, cap) | 0x80000000u);
        MMIO(table) = APIC, MMIO(table + 4) = 0, MMIO(table + 8) = vector, MMIO(table + 12) = 0;
        return;
    }
    give_up("no MSI-X");
}

/* --- NVMe (NVM Express 1.4) --- */

typedef struct Sqe { u32 d[16]; } Sqe;
typedef struct Cqe { u32 result, reserved; u16 head, sq, id, status; } Cqe;
static Sqe asq[ENTRIES] __attribute__((aligned(4096))), sq[ENTRIES] __attribute__((aligned(4096)));
static volatile Cqe acq[ENTRIES] __attribute__((aligned(4096))), cq[ENTRIES] __attribute__((aligned(4096)));
static volatile u32 shadow[1024] __attribute__((aligned(4096))), event[1024] __attribute__((aligned(4096)));
static u8 data[4096] __attribute__((aligned(4096)));
static u32 bar, admin_at;

static void admin(u32 opcode, u32 prp1, u32 prp2, u32 d10, u32 d11)
{
    u32 at = admin_at++ % ENTRIES, phase = ((admin_at - 1) / ENTRIES + 1) & 1;
    asq[at] = (Sqe){ { opcode | at << 16, 0, 0, 0, 0, 0, prp1, 0, prp2, 0, d10, d11 } };
    BARRIER();
    MMIO(bar + 0x1000) = (at + 1) % ENTRIES;
    while ((acq[at].status & 1) != phase)
        __asm__ volatile("pause");
    check("admin command", acq[at].status >> 1, 0);
    MMIO(bar + 0x1004) = (at + 1) % ENTRIES;
    nvme_admin_rung += 2;
}

/*
 * The driver's part of the shadow doorbells: write the value there; ring when the controller wants to be told of it
 * (appendix B.5).
 */
static void ring(u32 door, u16 value)
{
    u16 old = (u16)shadow[door];
    shadow[door] = value;
    BARRIER();
    u16 wanted = (u16)event[door];
    if ((u16)(value - wanted - 1) < (u16)(value - old)) {
        nvme_rung++;
        MMIO(bar + 0x1000 + door * 4) = value;
    }
}

static void make_queues(void)
{
    admin(5, (u32)cq, 0, 1 | (ENTRIES - 1) << 16, 3 | 1 << 16); /* completion queue 1: interrupts by vector 1 */
    admin(1, (u32)sq, 0, 1 | (ENTRIES - 1) << 16, 1 | 1 << 16);
}

/* Other queues of the same number: they find their shadow doorbells in the buffers that the controller knows. */
static void renew_queues(void)
{
    admin(0, 0, 0, 1, 0);
    admin(4, 0, 0, 1, 0);
    shadow[2] = shadow[3] = event[2] = event[3] = 0;
    for (u32 i = 0; i < ENTRIES; i++)
        cq[i].status = 0;
    make_queues();
}

static void start_nvme(u32 function)
{
    bar = config(function, 0x10) & ~15u;
    set_vector(function, 1, NVME_VECTOR);
    MMIO(bar + 0x14) = 0;
    while (MMIO(bar + 0x1c) & 1)
        ;
    MMIO(bar + 0x24) = (ENTRIES - 1) << 16 | (ENTRIES - 1);
    MMIO(bar + 0x28) = (u32)asq, MMIO(bar + 0x2c) = 0, MMIO(bar + 0x30) = (u32)acq, MMIO(bar + 0x34) = 0;
    MMIO(bar + 0x14) = 4 << 20 | 6 << 16 | 1;
    while (!(MMIO(bar + 0x1c) & 1))
        ;
    make_queues();
    admin(0x7c, (u32)shadow, (u32)event, 0, 0);
}

static void read_nvme(u32 number)
{
    u32 turn = number % (READS / 2), at = turn % ENTRIES, phase = (turn / ENTRIES + 1) & 1, before = nvme_interrupts;
    if (number == READS / 2)
        renew_queues();
    sq[at] = (Sqe){ { 2 | at << 16, 1, 0, 0, 0, 0, (u32)data, 0, 0, 0, number % 8 } };
    BARRIER();
    ring(2, (u16)((at + 1) % ENTRIES));
    wait_for(&nvme_interrupts, before);
    check("NVMe: phase", cq[at].status & 1, phase);
    check("NVMe: status", cq[at].status >> 1, 0);
    check("NVMe: data", data[0], number % 8);
    ring(3, (u16)((at + 1) % ENTRIES));
}

/* --- virtio-blk by its legacy window (VIRTIO 1.2, 4.1.4.10) --- */

static u8 rings[3 * 4096] __attribute__((aligned(4096)));
static struct { u32 type, reserved; u64 sector; } request;
static u8 answer[SECTOR], status;
static u16 port, size;
typedef struct Desc { u64 at; u32 length; u16 flags, next; } Desc;

static void start_virtio(u32 function)
{
    port = (u16)(config(function, 0x10) & ~3u);
    set_vector(function, 1, VIRTIO_VECTOR);
    set_config(function, 4, config(function, 4) | 7);
    outb(port + 18, 0);
    outb(port + 18, 3);
    outl(port + 4, 0);
    outw(port + 14, 0);
    size = inw(port + 12);
    outl(port + 8, (u32)rings >> 12);
    outw(port + 22, 1); /* this queue interrupts by vector 1 */
    check("virtio: vector", inw(port + 22), 1);
    outb(port + 18, 7);
    Desc *d = (Desc *)rings;
    d[0] = (Desc){ (u32)&request, 16, 1, 1 };
    d[1] = (Desc){ (u32)answer, SECTOR, 3, 2 };
    d[2] = (Desc){ (u32)&status, 1, 2, 0 };
}

static void read_virtio(u32 number, void (*ring_it)(void))
{
    volatile u16 *avail = (u16 *)(rings + size * 16);
    u32 before = virtio_interrupts;
    request.type = 0, request.sector = number % 8, status = 0xff;
    avail[2 + number % size] = 0;
    BARRIER();
    avail[1] = (u16)(number + 1);
    BARRIER();
    virtio_rung++;
    ring_it();
    wait_for(&virtio_interrupts, before);
    check("virtio: status", *(volatile u8 *)&status, 0);
    check("virtio: data", *(volatile u8 *)answer, number % 8);
}

/* --- virtio-blk over MMIO (VIRTIO 1.2, 4.2): each request and its interrupt by a line of the I/O APIC --- */

enum {
    MMIO_FIRST = 0xfeb00000,
    MMIO_STEP = 0x200,
    MMIO_COUNT = 8,
    MMIO_PIN = 16,
    MMIO_QUEUE = 16,
    IO_APIC = 0xfec00000
};

/* The transport that has a disk: its number, or -1. */
static int find_mmio(void)
{
    for (int i = 0; i < MMIO_COUNT; i++) {
        mmio_at = MMIO_FIRST + (u32)i * MMIO_STEP;
        if (MMIO(mmio_at) == 0x74726976 && MMIO(mmio_at + 8) == 2)
            return i;
    }
    return -1;
}

static void set_pin(u32 pin, u32 low)
{
    MMIO(IO_APIC) = 0x11 + 2 * pin, MMIO(IO_APIC + 0x10) = 0;
    MMIO(IO_APIC) = 0x10 + 2 * pin, MMIO(IO_APIC + 0x10) = low;
}

static void start_mmio(u32 number)
{
    Desc *d = (Desc *)rings;
    set_pin(MMIO_PIN + number, 0x8000 | VIRTIO_VECTOR);
    MMIO(mmio_at + 0x70) = 0;
    MMIO(mmio_at + 0x70) = 3;
    MMIO(mmio_at + 0x24) = 0, MMIO(mmio_at + 0x20) = 0;
    MMIO(mmio_at + 0x24) = 1, MMIO(mmio_at + 0x20) = 1; /* VIRTIO_F_VERSION_1 and nothing else */
    MMIO(mmio_at + 0x70) = 11;
    check("mmio: features", MMIO(mmio_at + 0x70), 11);
    MMIO(mmio_at + 0x30) = 0;
    MMIO(mmio_at + 0x38) = size = MMIO_QUEUE;
    MMIO(mmio_at + 0x80) = (u32)rings, MMIO(mmio_at + 0x84) = 0;
    MMIO(mmio_at + 0x90) = (u32)rings + MMIO_QUEUE * 16, MMIO(mmio_at + 0x94) = 0;
    MMIO(mmio_at + 0xa0) = (u32)rings + 4096, MMIO(mmio_at + 0xa4) = 0;
    MMIO(mmio_at + 0x44) = 1;
    MMIO(mmio_at + 0x70) = 15;
    d[0] = (Desc){ (u32)&request, 16, 1, 1 };
    d[1] = (Desc){ (u32)answer, SECTOR, 3, 2 };
    d[2] = (Desc){ (u32)&status, 1, 2, 0 };
}

static void ring_mmio(void) { MMIO(mmio_at + 0x50) = 0; }
static void ring_port(void) { outw(port + 16, 0); }

static void main_mmio(u32 number)
{
    set_gate(VIRTIO_VECTOR, on_mmio);
    start_mmio(number);
    for (u32 i = 0; i < READS; i++)
        read_virtio(i, ring_mmio);
}

static void main_pci(void)
{
    start_nvme(find(0x00101b36));
    for (u32 i = 0; i < READS; i++)
        read_nvme(i);
    start_virtio(find(0x10011af4));
    for (u32 i = 0; i < READS; i++)
        read_virtio(i, ring_port);
    tell("nvme rung", nvme_rung), tell("nvme admin", nvme_admin_rung), tell("nvme interrupts", nvme_interrupts);
}

void main(void)
{
    for (u32 n = 0; n < 64; n++)
        set_gate(n, idt_stub + 16 * n);
    set_gate(NVME_VECTOR, on_nvme), set_gate(VIRTIO_VECTOR, on_virtio);
    outb(0x21, 0xff), outb(0xa1, 0xff);
    MMIO(APIC + 0xf0) = 0x1ff;
    int number = find_mmio();
    if (number >= 0)
        main_mmio((u32)number);
    else
        main_pci();
    tell("virtio rung", virtio_rung), tell("virtio interrupts", virtio_interrupts), tell("failed", failed);
    print("doors: done\n");
}
