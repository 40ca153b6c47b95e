/* SPDX-License-Identifier: MIT */
/*
 * A tiny kernel that reports on the debug console how it was booted: by multiboot, or with -DPVH by its PVH entry. Ends
 * the emulator through isa-debug-exit with value 0x10.
 */
#include <stdint.h>

static void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
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

static _Noreturn void end(void)
{
    line("map-entries-are-sane ", map_entries >= 2 && map_entries < 64);
    line("ram-mib ", (ram_kib + 512) / 1024);
    text("end\n");
    for (;;)
        outb(0xf4, 0x10);
}

static volatile uint32_t bss_probe[1024];

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
    end();
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
    end();
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
