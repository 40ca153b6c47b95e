/* SPDX-License-Identifier: MIT */
/* What the 32-bit bare-metal tests share: types, ports, output by the debug console. */
#ifndef PAYLOAD_LIB32_H
#define PAYLOAD_LIB32_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outw(u16 port, u16 v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u16 inw(u16 port) { u16 v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 inl(u16 port) { u32 v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }

extern u32 start_info; /* hvm_start_info, by PVH */

static inline void print(const char *s)
{
    while (*s)
        outb(0xe9, (u8)*s++);
}
static inline void print_digits(u32 v)
{
    for (int s = 28; s >= 0; s -= 4)
        outb(0xe9, "0123456789abcdef"[v >> s & 15]);
}
#endif
