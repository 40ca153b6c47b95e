/* SPDX-License-Identifier: MIT */
/* LM3S6965: an SD card on SSI0: identification, a block that the test put there, blocks that it looks at afterwards. */
#include "fw.h"

#define SSI 0x40008000
#define GPIOD 0x40007000

static uint8_t block[512];

static uint8_t swap(uint8_t out)
{
    REG(SSI + 8) = out;
    while (!(REG(SSI + 0x0c) & 4))
        ;
    return (uint8_t)REG(SSI + 8);
}

/* R1; what follows is still to be read. */
static uint8_t command(unsigned index, uint32_t arg, uint8_t crc)
{
    uint8_t r = 0xff;
    swap(0xff);
    swap((uint8_t)(0x40 | index));
    for (int shift = 24; shift >= 0; shift -= 8)
        swap((uint8_t)(arg >> shift));
    swap(crc);
    for (unsigned i = 0; i < 9 && r & 0x80; i++)
        r = swap(0xff);
    return r;
}

static void read_data(uint8_t *p, unsigned len)
{
    uint8_t token;
    do
        token = swap(0xff);
    while (token == 0xff);
    CHECK_EQ(token, 0xfe);
    for (unsigned i = 0; i < len; i++)
        p[i] = swap(0xff);
    swap(0xff);
    swap(0xff);
}

static void write_data(uint8_t token, uint8_t seed)
{
    swap(0xff);
    swap(token);
    for (unsigned i = 0; i < 512; i++)
        swap((uint8_t)(seed + i * 7));
    swap(0);
    swap(0);
    CHECK_EQ(swap(0xff) & 0x1f, 5);
    while (swap(0xff) != 0xff)
        ;
}

int main(void)
{
    uint8_t id[16];
    REG(GPIOD + 0x400) = 1;     /* PD0: output */
    REG(GPIOD + 4) = 1;
    REG(SSI + 0x10) = 2;
    REG(SSI) = 7;
    REG(SSI + 4) = 2;
    for (unsigned i = 0; i < 10; i++)
        swap(0xff);
    CHECK_EQ(swap(0xff), 0xff); /* nobody is chosen */
    REG(GPIOD + 4) = 0;
    CHECK_EQ(command(0, 0, 0x95), 1);
    CHECK_EQ(command(8, 0x1aa, 0x87), 1);
    swap(0xff), swap(0xff);
    CHECK_EQ(swap(0xff), 1);
    CHECK_EQ(swap(0xff), 0xaa);
    do
        CHECK_EQ(command(55, 0, 0xff) & 0xfe, 0);
    while (command(41, 0x40000000, 0xff));
    CHECK_EQ(command(58, 0, 0xff), 0);
    CHECK_EQ(swap(0xff) & 0x80, 0x80);
    swap(0xff), swap(0xff), swap(0xff);
    CHECK_EQ(command(10, 0, 0xff), 0);
    read_data(id, 16);
    CHECK_EQ(id[0], 0xaa);
    CHECK_EQ(command(13, 0, 0xff), 0);
    CHECK_EQ(swap(0xff), 0);
    CHECK_EQ(command(17, 512, 0xff), 0); /* a small card: bytes */
    read_data(block, 512);
    for (unsigned i = 0; i < 512; i++)
        CHECK_EQ(block[i], (uint8_t)(i ^ 0x5a));
    CHECK_EQ(command(24, 1024, 0xff), 0);
    write_data(0xfe, 3);
    CHECK_EQ(command(25, 2048, 0xff), 0);
    write_data(0xfc, 4);
    write_data(0xfc, 5);
    swap(0xfd);
    swap(0xff);
    while (swap(0xff) != 0xff)
        ;
    CHECK_EQ(command(18, 1024, 0xff), 0);
    for (unsigned n = 0; n < 4; n++) {
        static const uint8_t seeds[] = { 3, 0, 4, 5 };
        read_data(block, 512);
        for (unsigned i = 0; i < 512; i++)
            CHECK_EQ(block[i], n == 1 ? 0 : (uint8_t)(seeds[n] + i * 7));
    }
    CHECK_EQ(command(12, 0, 0xff) & 0x80, 0);
    CHECK_EQ(command(60, 0, 0xff) & 4, 4); /* illegal */
    CHECK_EQ(command(13, 0, 0xff), 0);
    swap(0xff);
    REG(GPIOD + 4) = 1;
    CHECK_EQ(swap(0xff), 0xff);
    print("ssi: ok\n");
    return 0;
}
