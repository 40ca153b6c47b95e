/* SPDX-License-Identifier: MIT */
/* Stellaris LM3S6965 evaluation board (data sheet DS-LM3S6965): 50 MHz Cortex-M3. */
#include "hw/machine/mcu.h"
#include "hw/ssi/ssi.h"

#define UART(n, at, line) { "pl011", "uart" #n, at, { MCU_IRQ(line) }, .serial = n + 1 }
#define GPIO(id, at, line) { "pl061", id, at, { MCU_IRQ(line) } }
#define GPTM(n, line) { "stellaris-gptm", "gptm" #n, 0x40030000 + n * 0x1000, { MCU_IRQ(line), MCU_IRQ(line + 1) } }

static const McuPart parts[] = {
    { "cmsdk-apb-watchdog", "watchdog", 0x40000000, { MCU_IRQ(18) }, .props = "luminary=on,wdogclk-frq=50000000" },
    GPIO("gpioa", 0x40004000, 0),
    GPIO("gpiob", 0x40005000, 1),
    GPIO("gpioc", 0x40006000, 2),
    GPIO("gpiod", 0x40007000, 3),
    GPIO("gpioe", 0x40024000, 4),
    GPIO("gpiof", 0x40025000, 30),
    GPIO("gpiog", 0x40026000, 31),
    { "pl022", "ssi0", 0x40008000, { MCU_IRQ(7) } },
    UART(0, 0x4000c000, 5),
    UART(1, 0x4000d000, 6),
    UART(2, 0x4000e000, 33),
    GPTM(0, 19),
    GPTM(1, 21),
    GPTM(2, 23),
    GPTM(3, 35),
    { "ssi-sd", "sd" },
    { "stellaris-i2c", "i2c0", 0x40020000, { MCU_IRQ(8) } },
    { "stellaris-i2c", "i2c1", 0x40021000, { MCU_IRQ(37) } },
    { "stellaris-sys", "sys", 0x400fe000, { MCU_IRQ(28) } },
    { "stellaris-flash", "flash-control", 0x400fd000, { MCU_IRQ(29) } },
    { "stellaris-adc", "adc", 0x40038000, { MCU_IRQ(14), MCU_IRQ(15), MCU_IRQ(16), MCU_IRQ(17) } },
    { 0 },
};

static const UnmodelledRange unmodelled[] = {
    { "pwm", 0x40028000, 0x1000 }, { "qei0", 0x4002c000, 0x1000 },
    { "qei1", 0x4002d000, 0x1000 }, { "comparators", 0x4003c000, 0x1000 }, { "ethernet", 0x40048000, 0x1000 },
    { "hibernation", 0x400fc000, 0x1000 }, { NULL },
};

static const McuMem mem[] = {
    { "flash", MCU_ROM, 0x00000000, 256 * KiB },
    { "sram", MCU_RAM, 0x20000000, 64 * KiB },
    { "sram-bits", MCU_BITBAND, 0x22000000, 32 * MiB, 0x20000000 },
    { "periph-bits", MCU_BITBAND, 0x42000000, 32 * MiB, 0x40000000 },
    { 0 },
};

/* The slot for SD cards: SSI0, chosen by PD0. */
static bool wire(McuMachine *m, Error **errp)
{
    pl022_connect(device_find("ssi0"), device_find("sd"), ssi_sd_exchange);
    device_connect(device_find("gpiod"), "gpio", 0, device_input(device_find("sd"), "cs", 0));
    return true;
}

static const McuBoard board = { mem, parts, unmodelled, .wire = wire,
                                .cpu = { .m_irqs = 64, .m_prio_bits = 3, .m_cpuclk_hz = 50000000 } };
MCU_MACHINE(lm3s6965evb_machine, "lm3s6965evb", "Stellaris LM3S6965EVB, Cortex-M3", "cortex-m3", board, 64 * KiB)
