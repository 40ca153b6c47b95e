/* SPDX-License-Identifier: MIT */
/*
 * Raspberry Pi 2: system timer, PL011, and pictures by the mailbox: what the firmware answers, then a pattern of 16 and
 * one of 32 bits a pixel.
 */
#ifndef ABOARD_RASPI_H
#define ABOARD_RASPI_H

enum {
    BASE = 0x3f000000,
    TIMER = BASE + 0x3000,
    INTC = BASE + 0xb200,
    MBOX = BASE + 0xb880,
    UART = BASE + 0x201000,
    GPIO = BASE + 0x200000
};

static void put(char c)
{
    while (REG(UART + 0x18) & 0x20)
        ;
    REG(UART) = (uint32_t)c;
}
static void start(void)
{
    REG(INTC + 0x10) = 1 << 1;
    REG(TIMER) = 2;
    REG(TIMER + 0x10) = REG(TIMER + 4) + 1000;
}
static void interrupt(void)
{
    if (!(REG(TIMER) & 2))
        return;
    REG(TIMER) = 2;
    if (++ticks < 10)
        REG(TIMER + 0x10) = REG(TIMER + 4) + 1000;
    else
        REG(INTC + 0x1c) = 1 << 1;
}

static void text(const char *s);
static void hex(uint32_t v)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[v >> shift & 15]);
}

static volatile uint32_t message[300] __attribute__((aligned(16)));

/* One tag with its value; what comes back stands in message[] from word 5 on. */
static void property(uint32_t tag, unsigned bytes, uint32_t a, uint32_t b)
{
    uint32_t answer;
    for (unsigned i = 0; i < 300; i++)
        message[i] = 0;
    message[0] = 24 + (bytes + 3) / 4 * 4;
    message[2] = tag;
    message[3] = bytes;
    message[5] = a;
    message[6] = b;
    __asm__ volatile("dsb" ::: "memory");
    while (REG(MBOX + 0x38) & 0x80000000)
        ;
    REG(MBOX + 0x20) = (uint32_t)(uintptr_t)message | 8;
    do {
        while (REG(MBOX + 0x18) & 0x40000000)
            ;
        answer = REG(MBOX);
    } while ((answer & 15) != 8);
    __asm__ volatile("dsb" ::: "memory");
}

static void show(uint32_t tag, unsigned bytes, uint32_t a, uint32_t b)
{
    property(tag, bytes, a, b);
    hex(tag);
    put(' ');
    hex(message[1]);
    put(' ');
    hex(message[4]);
    for (unsigned i = 0; i < bytes / 4 && i < 5; i++) {
        put(' ');
        hex(message[5 + i]);
    }
    text("\r\n");
}

static void wait(void)
{
    text("board: picture\r\n");
    while (REG(UART + 0x18) & 0x10)
        ;
    (void)REG(UART);
}

static uint32_t address(void)
{
    show(0x40001, 8, 16, 0);
    return message[5] & 0x3fffffff;
}

/* ---- the SD card: sdhost by PIO, then by the DMA controller; the same block by the SDHCI ---- */

enum { SDHOST = BASE + 0x202000, SDHCI = BASE + 0x300000, DMA = BASE + 0x7000 };

static void slot(unsigned function)
{
    REG(GPIO + 0x10) = (REG(GPIO + 0x10) & 0x00ffffff) | function << 24 | function << 27; /* 48, 49 */
    REG(GPIO + 0x14) = function | function << 3 | function << 6 | function << 9;
}

static uint32_t sd(unsigned index, uint32_t arg, uint32_t how)
{
    REG(SDHOST + 4) = arg;
    REG(SDHOST) = 0x8000 | how | index;
    while (REG(SDHOST) & 0x8000)
        ;
    return REG(SDHOST) & 0x4000 ? 0xdead : REG(SDHOST + 0x10);
}

static void card(void)
{
    static volatile uint32_t block[8] __attribute__((aligned(32))), data[256] __attribute__((aligned(32)));
    uint32_t sum = 0, rca;
    slot(4);
    sd(0, 0, 0x400);
    sd(8, 0x1aa, 0);
    do
        sd(55, 0, 0);
    while (!(sd(41, 0x40ff8000, 0) >> 31));
    sd(2, 0, 0x200);
    rca = sd(3, 0, 0) & 0xffff0000;
    sd(7, rca, 0x800);
    REG(SDHOST + 0x3c) = 512;
    REG(SDHOST + 0x50) = 1;
    sd(17, 512, 0x40);
    for (unsigned i = 0; i < 128; i++) {
        while (!(REG(SDHOST + 0x34) >> 4 & 31))
            ;
        sum += REG(SDHOST + 0x40) * (i + 1);
    }
    text("sum ");
    hex(sum);
    text("\r\n");
    /* two blocks to the card by DMA */
    for (unsigned i = 0; i < 256; i++)
        data[i] = i * 0x01020304;
    block[0] = 13 << 16 | 0x40 | 0x100 | 1; /* request 13 paces the writes; the source counts */
    block[1] = (uint32_t)(uintptr_t)data | 0xc0000000;
    block[2] = 0x7e202040;
    block[3] = 1024;
    block[4] = block[5] = 0;
    REG(SDHOST + 0x50) = 2;
    sd(25, 1024, 0x80);
    __asm__ volatile("dsb" ::: "memory");
    REG(DMA + 4) = (uint32_t)(uintptr_t)block | 0xc0000000;
    REG(DMA) = 1;
    while (!(REG(DMA) & 2))
        ;
    while ((REG(SDHOST + 0x34) & 15) != 1)
        ;
    sd(12, 0, 0x800);
    hex(REG(DMA) & 0x107);
    REG(DMA) = 6;
    hex(REG(DMA) & 0x107);
    put(' ');
    hex(REG(DMA + 0xfe0));
    text("\r\n");
    /* the SDHCI has the lines now, and sdhost nobody */
    slot(7);
    REG(SDHCI + 0x34) = 0xffffffff;
    put(' ');
    hex(sd(13, rca, 0));
    REG(SDHCI + 4) = 512 | 1 << 16;
    REG(SDHCI + 8) = 1024;
    REG(SDHCI + 0xc) = (17 << 8 | 32 | 2) << 16 | 16;
    while (!(REG(SDHCI + 0x30) & 32))
        ;
    sum = 0;
    for (unsigned i = 0; i < 128; i++)
        sum |= REG(SDHCI + 0x20) ^ i * 0x01020304;
    put(' ');
    hex(sum);
    text("\r\nboard: card\r\n");
}

static void more(void)
{
    if (REG(SDHCI + 0x24) >> 16 & 1)
        card();
    static const struct { uint32_t tag, bytes, a, b;
    } tags[] = {
        { 0x1, 4 },           { 0x10001, 4 },           { 0x10002, 4 },
        { 0x10003, 8 },       { 0x10004, 8 },           { 0x10005, 8 },
        { 0x10006, 8 },       { 0x20001, 8, 0 },        { 0x20002, 8, 0 },
        { 0x28001, 8, 0, 3 }, { 0x30001, 8, 1 },        { 0x30002, 8, 1 },
        { 0x30002, 8, 2 },    { 0x30004, 8, 2 },        { 0x30007, 8, 2 },
        { 0x30006, 8 },       { 0x3000a, 8 },           { 0x60001, 4 },
        { 0x12345, 8 },       { 0x40008, 4 },           { 0x40003, 8 },
        { 0x40005, 4 },       { 0x40006, 4 },           { 0x40007, 4 },
        { 0x40009, 8 },       { 0x4000a, 16 },          { 0x44003, 8, 320, 200 },
        { 0x40003, 8 },       { 0x48003, 8, 160, 100 }, { 0x48004, 8, 160, 200 },
        { 0x48005, 4, 16 },   { 0x48009, 8, 0, 50 },    { 0x40008, 4 },
    };
    for (unsigned i = 0; i < sizeof tags / sizeof tags[0]; i++)
        show(tags[i].tag, tags[i].bytes, tags[i].a, tags[i].b);
    volatile uint16_t *half = (volatile uint16_t *)(uintptr_t)address();
    for (unsigned y = 0; y < 200; y++)
        for (unsigned x = 0; x < 160; x++)
            half[y * 160 + x] = (uint16_t)(x * 409 + y * 2111);
    wait();
    show(0x48004, 8, 160, 100);
    show(0x48009, 8, 0, 0);
    show(0x48005, 4, 32, 0);
    show(0x48006, 4, 0, 0);
    volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)address();
    for (unsigned y = 0; y < 100; y++)
        for (unsigned x = 0; x < 160; x++)
            word[y * 160 + x] = x | y << 8 | (x ^ y) << 16;
    wait();
    show(0x48006, 4, 1, 0);
    wait();
    show(0x48005, 4, 8, 0);
    for (unsigned i = 0; i < 256; i++)
        message[7 + i] = i | (255 - i) << 8 | (i * 5 & 255) << 16;
    for (unsigned first = 0; first < 256; first += 64) {
        property(0x4800b, 8 + 64 * 4, first, 64); /* colours are 0: then for real */
        message[0] = 24 + 8 + 64 * 4;
        message[1] = message[4] = 0;
        message[3] = 8 + 64 * 4;
        message[5] = first;
        message[6] = 64;
        for (unsigned i = 0; i < 64; i++)
            message[7 + i] = (first + i) | (255 - first - i) << 8 | ((first + i) * 5 & 255) << 16;
        __asm__ volatile("dsb" ::: "memory");
        REG(MBOX + 0x20) = (uint32_t)(uintptr_t)message | 8;
        while (REG(MBOX + 0x18) & 0x40000000)
            ;
        (void)REG(MBOX);
        hex(message[4]);
        put(' ');
        hex(message[5]);
        text("\r\n");
    }
    volatile uint8_t *byte = (volatile uint8_t *)(uintptr_t)address();
    for (unsigned y = 0; y < 100; y++)
        for (unsigned x = 0; x < 160; x++)
            byte[y * 160 + x] = (uint8_t)(x + y);
    wait();
    text("board: done\r\n");
}
#endif
