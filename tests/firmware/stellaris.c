/* SPDX-License-Identifier: MIT */
/*
 * LM3S6965: the ADC runs a sequence; the flash controller erases pages and programs words, with its interrupt; code in
 * flash runs anew after it.
 */
#include "fw.h"

#define FLASH 0x400fd000
#define ADC 0x40038000
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

static volatile uint32_t sampled;
static void on_adc(void)
{
    REG(ADC + 0x0c) = 1;
    sampled++;
}

static void test_adc(void)
{
    set_handler(16 + 14, on_adc);
    ISER(0) = 1 << 14;
    REG(ADC + 0x40) = 0x0310; /* inputs 0, 1, 3, then the sensor */
    REG(ADC + 0x44) = 0xe000;
    CHECK_EQ(REG(ADC + 0x4c) & 0x1100, 0x100);
    REG(ADC + 8) = 1;
    REG(ADC + 0x28) = 1; /* it is off */
    REG(ADC) = 1;
    CHECK_EQ(sampled, 0);
    REG(ADC + 0x28) = 1;
    while (!sampled)
        ;
    uint32_t a = REG(ADC + 0x48), b = REG(ADC + 0x48), c = REG(ADC + 0x48), t = REG(ADC + 0x48);
    CHECK(a < 0x400 && b < 0x400 && c < 0x400 && t < 0x400);
    CHECK_EQ(REG(ADC + 0x4c) & 0x1100, 0x100);
    CHECK_EQ(REG(ADC + 0x18), 0);
    (void)REG(ADC + 0x48);
    CHECK_EQ(REG(ADC + 0x18), 1);
}

/* Nobody is on the bus. */
static void test_i2c(void)
{
    enum { I2C = 0x40020000 };
    CHECK_EQ(REG(I2C + 4), 0x20);
    REG(I2C + 0x20) = 0x10;
    REG(I2C) = 0x50 << 1;
    REG(I2C + 8) = 0x5a;
    REG(I2C + 4) = 7;
    CHECK_EQ(REG(I2C + 4), 0x26);
    CHECK_EQ(REG(I2C + 0x14), 1);
    CHECK_EQ(REG(I2C + 0x18), 0);
    REG(I2C + 0x10) = 1;
    CHECK_EQ(REG(I2C + 0x18), 1);
    REG(I2C + 0x1c) = 1;
    CHECK_EQ(REG(I2C + 0x14), 0);
}

int main(void)
{
    test_adc();
    test_i2c();
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
