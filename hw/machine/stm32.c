/* SPDX-License-Identifier: MIT */
/* Boards with STM32: Netduino Plus 2 (STM32F405; RM0090) and STM32VLDISCOVERY (STM32F100RB; RM0041). */
#include "hw/dma/stm32-dma.h"
#include "hw/machine/mcu.h"

#define USART(id, at, n, ser) { "stm32f2xx-usart", id, at, { MCU_IRQ(n) }, .serial = ser }
#define TIMER(id, at, n, ...) { "stm32f2xx-timer", id, at, { MCU_IRQ(n) }, __VA_ARGS__ }
#define SPI(id, at, n) { "stm32f2xx-spi", id, at, { MCU_IRQ(n) } }
#define I2C(id, at, ev, er) { "stm32f2xx-i2c", id, at, { MCU_IRQ(ev), MCU_IRQ(er) } }
#define EXTI(at, ...) \
    { "stm32-exti", "exti", at, { MCU_IRQ(6), MCU_IRQ(7), MCU_IRQ(8), MCU_IRQ(9), MCU_IRQ(10), MCU_IRQ(23), \
        MCU_IRQ(40) } }

/* --- STM32F405 at 168 MHz; the timers run at 84 and 168 MHz --- */

#define APB1 "clock-frequency=84000000"
#define APB2 "clock-frequency=168000000"
#define PORT(id, n, ...) { "stm32f4xx-gpio", id, 0x40020000 + (n) * 0x400, __VA_ARGS__ }
static const McuPart f405_parts[] = {
    { "stm32-rcc", "rcc", 0x40023800, .props = "hse-frequency=25000000" },
    { "stm32f4xx-rtc", "rtc", 0x40002800 },
    { "stm32-flash", "flash", 0x40023c00, .props = "size=1048576" },
    { "stm32-ident", "ident", 0 },
    { "stm32-pwr", "pwr", 0x40007000 },
    { "stm32-syscfg", "syscfg", 0x40013800 },
    EXTI(0x40013c00),
    PORT("gpioa", 0, .props = "moder-reset=0xa8000000,ospeedr-reset=0x0c000000,pupdr-reset=0x64000000"),
    PORT("gpiob", 1, .props = "moder-reset=0x280,ospeedr-reset=0xc0,pupdr-reset=0x100"),
    PORT("gpioc", 2),
    PORT("gpiod", 3),
    PORT("gpioe", 4),
    PORT("gpiof", 5),
    PORT("gpiog", 6),
    PORT("gpioh", 7),
    PORT("gpioi", 8),
    USART("usart1", 0x40011000, 37, 1),
    USART("usart2", 0x40004400, 38, 2),
    USART("usart3", 0x40004800, 39, 3),
    USART("uart4", 0x40004c00, 52, 4),
    USART("uart5", 0x40005000, 53, 0),
    USART("usart6", 0x40011400, 71, 0),
    USART("uart7", 0x40007800, 82, 0),
    USART("uart8", 0x40007c00, 83, 0),
    TIMER("tim2", 0x40000000, 28, .props = APB1 ",wide=on"),
    TIMER("tim3", 0x40000400, 29, .props = APB1),
    TIMER("tim4", 0x40000800, 30, .props = APB1),
    TIMER("tim5", 0x40000c00, 50, .props = APB1 ",wide=on"),
    TIMER("tim6", 0x40001000, 54, .props = APB1),
    TIMER("tim7", 0x40001400, 55, .props = APB1),
    TIMER("tim1", 0x40010000, 25, .props = APB2),
    TIMER("tim8", 0x40010400, 44, .props = APB2),
    TIMER("tim9", 0x40014000, 24, .props = APB2),
    TIMER("tim10", 0x40014400, 25, .props = APB2),
    TIMER("tim11", 0x40014800, 26, .props = APB2),
    { "stm32-adc", "adc1", 0x40012000, { MCU_IRQ(18) } },
    { "stm32-adc", "adc2", 0x40012100, { MCU_IRQ(18) } },
    { "stm32-adc", "adc3", 0x40012200, { MCU_IRQ(18) } },
    SPI("spi1", 0x40013000, 35),
    SPI("spi2", 0x40003800, 36),
    SPI("spi3", 0x40003c00, 51),
    I2C("i2c1", 0x40005400, 31, 32),
    I2C("i2c2", 0x40005800, 33, 34),
    I2C("i2c3", 0x40005c00, 72, 73),
    { "stm32f4xx-dma",
      "dma1",
      0x40026000,
      { MCU_IRQ(11), MCU_IRQ(12), MCU_IRQ(13), MCU_IRQ(14), MCU_IRQ(15), MCU_IRQ(16), MCU_IRQ(17), MCU_IRQ(47) } },
    { "stm32f4xx-dma",
      "dma2",
      0x40026400,
      { MCU_IRQ(56), MCU_IRQ(57), MCU_IRQ(58), MCU_IRQ(59), MCU_IRQ(60), MCU_IRQ(68), MCU_IRQ(69), MCU_IRQ(70) },
      .props = "second=on" },
    { "stm32-iwdg", "iwdg", 0x40003000 },
    { "stm32-wwdg", "wwdg", 0x40002c00, { MCU_IRQ(0) }, .props = "clock-frequency=42000000" },
    { 0 },
};

static const UnmodelledRange f405_unmodelled[] = {
    { "tim12", 0x40001800, 0x400 },
    { "tim13", 0x40001c00, 0x400 },
    { "tim14", 0x40002000, 0x400 },
    { "i2s2ext", 0x40003400, 0x400 },
    { "i2s3ext", 0x40004000, 0x400 },
    { "can1", 0x40006400, 0x400 },
    { "can2", 0x40006800, 0x400 },
    { "dac", 0x40007400, 0x400 },
    { "adc-common", 0x40012300, 0x100 },
    { "sdio", 0x40012c00, 0x400 },
    { "spi4", 0x40013400, 0x400 },
    { "crc", 0x40023000, 0x400 },
    { "bkpsram", 0x40024000, 0x1000 },
    { "ethernet", 0x40028000, 0x1400 },
    { "usb-otg-hs", 0x40040000, 0x40000 },
    { "usb-otg-fs", 0x50000000, 0x31000 },
    { "dcmi", 0x50050000, 0x400 },
    { "rng", 0x50060800, 0x400 },
    { "system-memory", 0x1fff0000, 0x8000 },
    { "option-bytes", 0x1fffc000, 0x1000 },
    { NULL },
};

static const McuMem f405_mem[] = {
    { "sram", MCU_RAM, 0x20000000, 128 * KiB },
    { "ccm", MCU_RAM, 0x10000000, 64 * KiB },
    { "sram-bits", MCU_BITBAND, 0x22000000, 32 * MiB, 0x20000000 },
    { "periph-bits", MCU_BITBAND, 0x42000000, 32 * MiB, 0x40000000 },
    { 0 },
};

/* Requests to the DMA; peripherals of APB2 go to the second one where there are two. */
static const struct { const char *id; uint8_t first, count; bool second;
} requests[] = {
    { "usart1", DMA_USART(1, 0), 2, true }, { "usart2", DMA_USART(2, 0), 2 }, { "usart3", DMA_USART(3, 0), 2 },
    { "uart4", DMA_USART(4, 0), 2 },        { "uart5", DMA_USART(5, 0), 2 },  { "usart6", DMA_USART(6, 0), 2, true },
    { "uart7", DMA_USART(7, 0), 2 },        { "uart8", DMA_USART(8, 0), 2 },  { "spi1", DMA_SPI(1, 0), 2, true },
    { "spi2", DMA_SPI(2, 0), 2 },           { "spi3", DMA_SPI(3, 0), 2 },     { "adc1", DMA_ADC(1), 1, true },
    { "adc2", DMA_ADC(2), 1, true },        { "adc3", DMA_ADC(3), 1, true },  { "tim1", DMA_TIM(1, 0), 5, true },
    { "tim2", DMA_TIM(2, 0), 5 },           { "tim3", DMA_TIM(3, 0), 5 },     { "tim4", DMA_TIM(4, 0), 5 },
    { "tim5", DMA_TIM(5, 0), 5 },           { "tim6", DMA_TIM(6, 0), 5 },     { "tim7", DMA_TIM(7, 0), 5 },
    { "tim8", DMA_TIM(8, 0), 5, true },     { "tim15", DMA_TIM(15, 0), 5 },   { "tim16", DMA_TIM(16, 0), 5 },
    { "tim17", DMA_TIM(17, 0), 5 },
};

static void wire_requests(void)
{
    Device *first = device_find("dma1"), *second = device_find("dma2");
    for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
        Device *d = device_find(requests[i].id), *to = second && requests[i].second ? second : first;
        for (unsigned n = 0; d && n < requests[i].count; n++)
            device_connect(d, "dma", n, device_input(to, "req", requests[i].first + n));
    }
}

/* The RTC's clock and lock, its events through EXTI lines 17 and 22. */
static void wire_backup(McuMachine *m, Device *exti)
{
    Device *rtc = device_find("rtc");
    bool f1 = rtc->region[1];
    device_connect(device_find("rcc"), "rtc", 0, device_input(rtc, "clock", 0));
    device_connect(device_find("pwr"), "open", 0, device_input(rtc, "open", 0));
    device_connect(rtc, "alarm", 0, device_input(exti, "in", 17));
    device_connect(exti, "line", 0, mcu_irq(m, 1));
    device_connect(exti, "line", 1, mcu_irq(m, 41));
    if (f1) {
        mem_map(m->machine.memory, 0x40006c00, rtc->region[1], 0);
        return;
    }
    device_connect(rtc, "wakeup", 0, device_input(exti, "in", 22));
    device_connect(exti, "line", 5, mcu_irq(m, 2));
    device_connect(exti, "line", 6, mcu_irq(m, 3));
}

enum { PPB_PRIORITY = 200 /* above the CPU's own part of that bus */ };

/* Flash at 0x08000000 and, as the boot pins select it, at 0; port pins to SYSCFG to EXTI. */
static bool wire(McuMachine *m, Error **errp)
{
    Device *flash = device_find("flash"), *syscfg = device_find("syscfg"), *exti = device_find("exti");
    mem_map(m->machine.memory, 0x08000000, flash->region[1], 0);
    mem_map(m->machine.memory, 0,
            mcu_own(m, mem_alias_new("flash-at-0", flash->region[1], 0, mem_size(flash->region[1]))), 0);
    mem_map(m->machine.memory, 0xe0042000, device_find("ident")->region[0], PPB_PRIORITY);
    mem_map(m->machine.memory, device_find("dma2") ? 0x1fff7a00 : 0x1ffff7e0, device_find("ident")->region[1], 0);
    for (unsigned i = 0; i < 16; i++)
        device_connect(syscfg, "exti", i, device_input(exti, "in", i));
    wire_requests();
    wire_backup(m, exti);
    for (unsigned port = 0; port < 9; port++) {
        char id[] = "gpioa";
        id[4] = (char)('a' + port);
        Device *gpio = device_find(id);
        for (unsigned i = 0; gpio && i < 16; i++)
            device_connect(gpio, "out", i, device_input(syscfg, "gpio", port * 16 + i));
    }
    return true;
}

static const McuBoard netduinoplus2 = {
    f405_mem,        f405_parts,
    f405_unmodelled, .cpu = { .m_irqs = 96, .m_cpuclk_hz = 168000000, .m_refclk_hz = 21000000 },
    .wire = wire,
};
MCU_MACHINE(netduinoplus2_machine, "netduinoplus2", "Netduino Plus 2, STM32F405, Cortex-M4", "cortex-m4", netduinoplus2,
            128 * KiB)

/* --- STM32F100RB at 24 MHz --- */

#define CLK "clock-frequency=24000000"
#undef PORT
#define PORT(id, n) { "stm32f1xx-gpio", id, 0x40010800 + (n) * 0x400 }
static const McuPart f100_parts[] = {
    { "stm32-rcc", "rcc", 0x40021000, .props = "f1=on" },
    { "stm32f1xx-rtc", "rtc", 0x40002800, { MCU_IRQ(3) } },
    { "stm32-flash", "flash", 0x40022000, .props = "f1=on,size=131072" },
    { "stm32-ident", "ident", 0, .props = "f1=on,idcode=0x10016420,flash-kib=128" },
    { "stm32-pwr", "pwr", 0x40007000, .props = "f1=on" },
    { "stm32-syscfg", "syscfg", 0x40010000 },
    EXTI(0x40010400),
    PORT("gpioa", 0),
    PORT("gpiob", 1),
    PORT("gpioc", 2),
    PORT("gpiod", 3),
    PORT("gpioe", 4),
    PORT("gpiof", 5),
    PORT("gpiog", 6),
    USART("usart1", 0x40013800, 37, 1),
    USART("usart2", 0x40004400, 38, 2),
    USART("usart3", 0x40004800, 39, 3),
    TIMER("tim1", 0x40012c00, 25, .props = CLK),
    TIMER("tim2", 0x40000000, 28, .props = CLK),
    TIMER("tim3", 0x40000400, 29, .props = CLK),
    TIMER("tim4", 0x40000800, 30, .props = CLK),
    TIMER("tim6", 0x40001000, 54, .props = CLK),
    TIMER("tim7", 0x40001400, 55, .props = CLK),
    TIMER("tim15", 0x40014000, 24, .props = CLK),
    TIMER("tim16", 0x40014400, 25, .props = CLK),
    TIMER("tim17", 0x40014800, 26, .props = CLK),
    { "stm32-adc", "adc1", 0x40012400, { MCU_IRQ(18) }, .props = "f1=on" },
    SPI("spi1", 0x40013000, 35),
    SPI("spi2", 0x40003800, 36),
    I2C("i2c1", 0x40005400, 31, 32),
    I2C("i2c2", 0x40005800, 33, 34),
    { "stm32f1xx-dma",
      "dma1",
      0x40020000,
      { MCU_IRQ(11), MCU_IRQ(12), MCU_IRQ(13), MCU_IRQ(14), MCU_IRQ(15), MCU_IRQ(16), MCU_IRQ(17) } },
    { "stm32-iwdg", "iwdg", 0x40003000 },
    { "stm32-wwdg", "wwdg", 0x40002c00, { MCU_IRQ(0) } },
    { 0 },
};

static const UnmodelledRange f100_unmodelled[] = {
    { "dac", 0x40007400, 0x400 }, { "cec", 0x40007800, 0x400 },
    { "crc", 0x40023000, 0x400 }, { "option-bytes", 0x1ffff800, 0x10 }, { NULL },
};

static const McuMem f100_mem[] = {
    { "sram", MCU_RAM, 0x20000000, 8 * KiB },
    { "sram-bits", MCU_BITBAND, 0x22000000, 32 * MiB, 0x20000000 },
    { "periph-bits", MCU_BITBAND, 0x42000000, 32 * MiB, 0x40000000 },
    { 0 },
};

static const McuBoard stm32vldiscovery = {
    f100_mem,     f100_parts, f100_unmodelled, .cpu = { .m_irqs = 61, .m_cpuclk_hz = 24000000, .m_refclk_hz = 3000000 },
    .wire = wire,
};
MCU_MACHINE(stm32vldiscovery_machine, "stm32vldiscovery", "STM32VLDISCOVERY, STM32F100RB, Cortex-M3", "cortex-m3",
            stm32vldiscovery, 8 * KiB)
