/* SPDX-License-Identifier: MIT */
/*
 * A tiny kernel that reports on the debug console how it was booted: by multiboot, or with -DPVH by its PVH entry. Ends
 * the emulator through isa-debug-exit with value 0x10. Words of the command line make it reset the machine twice before
 * (reset-cf9, reset-kbd, triple-fault), report a panic (panic), or wait for a key first (key).
 */
#include <stdint.h>

static void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static void text(const char *s)
{
    while (*s)
        outb(0xe9, (uint8_t)*s++);
}

static void hex(uint32_t v)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        outb(0xe9, (uint8_t)"0123456789abcdef"[v >> shift & 15]);
}

static void line(const char *name, uint32_t v)
{
    text(name);
    hex(v);
    text("\n");
}

static void string_line(const char *name, uint32_t at)
{
    text(name);
    text((const char *)at);
    text("\n");
}

static uint32_t word(uint32_t at)
{
    return *(volatile uint32_t *)at;
}

static volatile uint32_t bss_probe[1024];
static uint32_t ram_kib, map_entries;

static void map_entry(uint32_t at)
{
    map_entries++;
    if (word(at + 16) == 1)
        ram_kib += word(at + 8) / 1024;
}

static void module(uint32_t start, uint32_t end)
{
    line("module-size ", end - start);
    line("module-begin ", word(start));
    line("module-page-offset ", start & 4095);
}

static int has_word(const char *line, const char *word)
{
    for (; *line; line++) {
        const char *a = line, *b = word;
        while (*b && *a == *b)
            a++, b++;
        if (!*b)
            return 1;
    }
    return 0;
}

/* Survives a reset, as RAM does. */
#define BOOTS (*(volatile uint32_t *)0x3000000)
#define BOOTS_MAGIC 0x600db007u

static void reset_machine(const char *cmdline)
{
    static const struct { uint16_t limit; uint32_t base; } __attribute__((packed)) no_idt;
    if (has_word(cmdline, "reset-cf9"))
        outb(0xcf9, 6);
    if (has_word(cmdline, "reset-kbd"))
        outb(0x64, 0xfe);
    if (has_word(cmdline, "triple-fault"))
        __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
    for (;;)
        ;
}

static void wait_for_key(void)
{
    text("waiting\n");
    while (!(inb(0x64) & 1))
        ;
    line("key ", inb(0x60));
}

static void obey(const char *cmdline)
{
    if (has_word(cmdline, "key"))
        wait_for_key();
    if (has_word(cmdline, "panic")) {
        outb(0x505, 1);
        for (volatile int i = 0; i < 1000000; i++) /* the emulator may need a while to end */
            ;
    }
    if (!has_word(cmdline, "reset") && !has_word(cmdline, "triple"))
        return;
    BOOTS = BOOTS >> 4 == BOOTS_MAGIC >> 4 ? BOOTS + 1 : BOOTS_MAGIC & ~15u;
    line("boots ", BOOTS & 15);
    if ((BOOTS & 15) < 2)
        reset_machine(cmdline);
}

static _Noreturn void end(const char *cmdline)
{
    bss_probe[0] = bss_probe[1023] = 1; /* the next boot must find zeros again */
    obey(cmdline);
    line("map-entries-are-sane ", map_entries >= 2 && map_entries < 64);
    line("ram-mib ", (ram_kib + 512) / 1024);
    text("end\n");
    for (;;)
        outb(0xf4, 0x10);
}

#ifdef PVH
__attribute__((used)) static void report(uint32_t eax, uint32_t info)
{
    text("pvh\n");
    line("magic ", word(info));
    line("bss ", bss_probe[0] | bss_probe[1023]);
    string_line("cmdline ", word(info + 24));
    for (uint32_t i = 0; i < word(info + 12); i++) {
        uint32_t m = word(info + 16) + 32 * i;
        module(word(m), word(m) + word(m + 8));
    }
    for (uint32_t i = 0; i < word(info + 48); i++)
        map_entry(word(info + 40) + 24 * i);
    line("rsdp ", word(word(info + 32)));
    end((const char *)word(info + 24));
}

__asm__(".section .note.Xen, \"a\", @note\n"
        ".long 4, 4, 18\n.asciz \"Xen\"\n.long start\n"
        ".text\n");
#else
__attribute__((used)) static void report(uint32_t eax, uint32_t info)
{
    uint32_t flags = word(info);
    text("multiboot\n");
    line("magic ", eax);
    line("bss ", bss_probe[0] | bss_probe[1023]);
    line("flags ", flags);
    string_line("cmdline ", word(info + 16));
    for (uint32_t i = 0; i < word(info + 20); i++) {
        uint32_t m = word(info + 24) + 16 * i;
        module(word(m), word(m + 4));
        string_line("module-args ", word(m + 8));
    }
    for (uint32_t at = word(info + 48); at < word(info + 48) + word(info + 44); at += word(at) + 4)
        map_entry(at + 4);
    line("lower-is-sane ", word(info + 4) > 500 && word(info + 4) <= 640);
    line("upper-mib ", (word(info + 8) + 1024 + 512) / 1024);
    end((const char *)word(info + 16));
}

__asm__(".section .text.header, \"ax\"\n"
        ".balign 4\n"
        ".long 0x1badb002, 3, -(0x1badb002 + 3)\n"
        ".text\n");
#endif

__asm__(".globl start\n"
        "start:\n"
        "  mov $stack_top, %esp\n"
        "  push %ebx\n"
        "  push %eax\n"
        "  call report\n"
        ".bss\n"
        ".balign 16\n"
        ".skip 4096\n"
        "stack_top:\n"
        ".text\n");
