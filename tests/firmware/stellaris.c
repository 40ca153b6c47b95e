/* SPDX-License-Identifier: MIT */
/* LM3S6965: the flash controller erases pages and programs words, with its interrupt; code in flash runs anew after it. */
#include "fw.h"

#define FLASH 0x400fd000
enum { AT = 0x30000, IRQ = 29, KEY = 0xa4420000 };

static volatile uint32_t done;
static void on_flash(void)
{
    CHECK_EQ(REG(FLASH + 0x14), 2);
    REG(FLASH + 0x14) = 2;
    done++;
}

static void program(uint32_t at, uint32_t word)
{
    REG(FLASH) = at;
    REG(FLASH + 4) = word;
    REG(FLASH + 8) = KEY | 1;
    while (REG(FLASH + 8) & 1)
        ;
    BARRIER();
}

static void erase(uint32_t at)
{
    REG(FLASH) = at;
    REG(FLASH + 8) = KEY | 2;
    while (REG(FLASH + 8) & 2)
        ;
    BARRIER();
}

int main(void)
{
    uint32_t (*code)(void) = (uint32_t (*)(void))(AT | 1);
    set_handler(16 + IRQ, on_flash);
    ISER(0) = 1 << IRQ;
    erase(AT);
    CHECK_EQ(REG(AT), 0xffffffff);
    CHECK_EQ(REG(AT + 1020), 0xffffffff);
    CHECK_EQ(done, 0);
    CHECK_EQ(REG(FLASH + 0x0c), 2);
    REG(FLASH + 0x14) = 2;
    REG(FLASH + 0x10) = 2;
    program(AT, 0x47702007); /* movs r0, #7; bx lr */
    CHECK_EQ(done, 1);
    CHECK_EQ(code(), 7);
    program(AT, 0xffffff03); /* bits go to 0 only */
    CHECK_EQ(REG(AT), 0x47702003);
    CHECK_EQ(code(), 3);
    REG(FLASH) = AT;
    REG(FLASH + 8) = 0x12340002; /* no key */
    CHECK_EQ(REG(AT), 0x47702003);
    erase(AT + 4);
    CHECK_EQ(REG(AT), 0xffffffff);
    CHECK_EQ(done, 3);
    print("stellaris: ok\n");
    return 0;
}
