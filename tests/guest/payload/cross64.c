/* SPDX-License-Identifier: MIT */
/*
 * Bare-metal program for saving and loading at any moment: three CPUs that wait in HLT for every kind of interrupt and
 * for each other, for ever. One that is lost stops it. It prints a letter for each wait that has begun, '!' when the
 * TSC has gone back.
 */
#include "lib64.h"

enum { CPUS = 3, PIC0 = 0x20, PIC8 = 0x28, TIMER = 0x40, CALL, IO_TIMER, SPURIOUS = 0xff, NMI = 2 };
enum {
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    PERIODIC = 1 << 17,
    DEADLINE = 2 << 17,
    MASKED = 1 << 16,
    EXTINT = 0x700,
    MSR_DEADLINE = 0x6e0
};
enum { CLOCKS = 2000 /* of the PIT */, NS = 1000000 };

static volatile u32 pic_ticks, rtc_ticks, io_ticks, timer[CPUS], called[CPUS], nmis[CPUS], started;

static u32 self(void) { return *apic(0x20) >> 24; }
static void eoi(void) { *apic(0xb0) = 0; }

static int on_interrupt(Frame *f)
{
    switch (f->vector) {
    case NMI: nmis[self()]++; return 1;
    case PIC0: pic_ticks++, outb(0x20, 0x20); return 1;
    case PIC8:
        outb(0x70, 0xc), inb(0x71);
        rtc_ticks++;
        outb(0xa0, 0x20), outb(0x20, 0x20);
        return 1;
    case PIC0 + 7: case SPURIOUS: return 1;
    case PIC8 + 7: outb(0x20, 0x20); return 1;
    case TIMER: timer[self()]++, eoi(); return 1;
    case CALL: called[self()]++, eoi(); return 1;
    case IO_TIMER: io_ticks++, eoi(); return 1;
    default: return 0;
    }
}

static void wait_for(volatile u32 *count, u32 before)
{
    __asm__ volatile("cli");
    while (*count == before)
        __asm__ volatile("sti; hlt; cli" : : : "memory", "cc");
}

static void send(u32 cpu, u32 command)
{
    *apic(0x310) = cpu << 24;
    *apic(0x300) = command;
    while (*apic(0x300) & 0x1000)
        ;
}

/* --- the waits --- */

static void by_pic(void)
{
    u32 before = pic_ticks;
    outb(0x21, 0xfe);
    wait_for(&pic_ticks, before);
    wait_for(&pic_ticks, before + 1);
    outb(0x21, 0xff);
}

static void by_io_apic(void)
{
    volatile u32 *io = (volatile u32 *)0xfec00000ul;
    u32 before = io_ticks;
    io[0] = 0x15, io[4] = self() << 24;
    io[0] = 0x14, io[4] = IO_TIMER;
    wait_for(&io_ticks, before);
    wait_for(&io_ticks, before + 1);
    io[0] = 0x14, io[4] = MASKED | IO_TIMER;
}

static void by_rtc(void)
{
    u32 before = rtc_ticks;
    outb(0xa1, 0xfe), outb(0x21, 0xfb);
    outb(0x70, 0xc), inb(0x71);
    outb(0x70, 0xb), outb(0x71, 0x42);
    wait_for(&rtc_ticks, before);
    wait_for(&rtc_ticks, before + 1);
    outb(0x70, 0xb), outb(0x71, 0x02);
    outb(0x21, 0xff), outb(0xa1, 0xff);
}

static void once(void)
{
    u32 before = timer[self()];
    *apic(LVT_TIMER) = TIMER;
    *apic(0x3e0) = 0xb;
    *apic(0x380) = NS;
    wait_for(&timer[self()], before);
}

static void periodic(void)
{
    u32 before = timer[self()];
    *apic(LVT_TIMER) = PERIODIC | TIMER;
    *apic(0x3e0) = 0xb;
    *apic(0x380) = NS / 2;
    for (u32 i = 0; i < 3; i++)
        wait_for(&timer[self()], before + i);
    *apic(LVT_TIMER) = MASKED | TIMER;
    *apic(0x380) = 0;
}

static void deadline(void)
{
    u32 before = timer[self()], r[4];
    cpuid(1, 0, r);
    if (!(r[2] >> 24 & 1))
        return;
    *apic(LVT_TIMER) = DEADLINE | TIMER;
    wrmsr(MSR_DEADLINE, rdtsc() + 2 * NS);
    wait_for(&timer[self()], before);
}

static void call(void)
{
    for (u32 i = 0; i < 20; i++) {
        u32 before = called[0];
        send(1, CALL);
        wait_for(&called[0], before);
    }
}

static void nmi(void)
{
    u32 before = nmis[1];
    send(1, 0x400);
    while (nmis[1] == before)
        __asm__ volatile("pause" : : : "memory");
}

/* The third CPU begins anew. */
static void start(void)
{
    u32 before = started;
    ap_count = 1;
    send(2, 0x4500);
    send(2, 0x4608);
    while (started == before)
        __asm__ volatile("pause" : : : "memory");
    before = called[0];
    if (started & 1)
        send(2, CALL);
    else
        return;
    wait_for(&called[0], before);
}

/* --- */

static void set_up(void)
{
    *apic(0xf0) = 0x100 | SPURIOUS;
    *apic(LVT_LINT0) = self() ? MASKED : EXTINT;
}

void ap_main(void)
{
    set_up();
    if (self() == 2) {
        once();
        started++;
    }
    for (;;) {
        u32 before = called[self()];
        wait_for(&called[self()], before);
        send(0, CALL);
    }
}

static void set_up_pic(void)
{
    static const u8 words[][2] = { { 0x20, 0x11 }, { 0x21, PIC0 }, { 0x21, 4 }, { 0x21, 1 },
                                   { 0xa0, 0x11 }, { 0xa1, PIC8 }, { 0xa1, 2 }, { 0xa1, 1 } };
    for (u32 i = 0; i < sizeof words / 2; i++)
        outb(words[i][0], words[i][1]);
    outb(0x21, 0xff), outb(0xa1, 0xff);
    outb(0x43, 0x34), outb(0x40, CLOCKS & 0xff), outb(0x40, CLOCKS >> 8);
    outb(0x70, 0xa), outb(0x71, 0x26);
}

void main(void)
{
    static const struct { char letter; void (*run)(void);
    } waits[] = {
        { 'P', by_pic },   { 'I', by_io_apic }, { 'R', by_rtc }, { 'O', once },  { 'C', periodic },
        { 'D', deadline }, { 'X', call },       { 'N', nmi },    { 'S', start },
    };
    const u32 count = sizeof waits / sizeof waits[0];
    u32 random = 1;
    u64 last = rdtsc();
    init();
    hook = on_interrupt;
    set_up();
    set_up_pic();
    memcopy((void *)0x8000, ap_start, (u64)(ap_end - ap_start));
    ap_count = 0;
    send(1, 0x4500);
    send(1, 0x4608);
    while (ap_count == 0)
        __asm__ volatile("pause" : : : "memory");
    for (;;) {
        random = random * 1664525 + 1013904223;
        u32 n = (random >> 16) % count;
        u64 now = rdtsc();
        if (now < last)
            outb(0xe9, '!');
        last = now;
        if (named((const char[]){ waits[n].letter, 0 }))
            continue;
        outb(0xe9, (u8)waits[n].letter);
        waits[n].run();
    }
}
