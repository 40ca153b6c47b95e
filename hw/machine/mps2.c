/* SPDX-License-Identifier: MIT */
/* Arm's MPS2+ with the Cortex-M3, M4 and M7 images: application notes AN385, AN386, AN500. */
#include "hw/machine/mcu.h"

#define SYSCLK 25000000

#define UART(n, at_, rx, tx) \
    { "cmsdk-apb-uart", "uart" #n, at_, { MCU_IRQ(tx), MCU_IRQ(rx), MCU_IRQ(12), MCU_IRQ(12) }, .serial = n + 1 }
#define COMMON_PARTS \
    { "cmsdk-apb-timer", "timer0", 0x40000000, { MCU_IRQ(8) } }, \
    { "cmsdk-apb-timer", "timer1", 0x40001000, { MCU_IRQ(9) } }, \
    { "cmsdk-apb-dualtimer", "dualtimer", 0x40002000, { MCU_IRQ(10) } }, \
    UART(0, 0x40004000, 0, 1), UART(1, 0x40005000, 2, 3), UART(2, 0x40006000, 4, 5), UART(3, 0x40007000, 18, 19), \
    UART(4, 0x40009000, 20, 21), \
    { "cmsdk-apb-watchdog", "watchdog", 0x40008000, { MCU_NMI } }, \
    { "cmsdk-ahb-gpio", "gpio0", 0x40010000, { MCU_IRQ(6) } }, \
    { "cmsdk-ahb-gpio", "gpio1", 0x40011000, { MCU_IRQ(7) } }, \
    { "cmsdk-ahb-gpio", "gpio2", 0x40012000, { MCU_IRQ(16) } }, \
    { "cmsdk-ahb-gpio", "gpio3", 0x40013000, { MCU_IRQ(17) } }, \
    { "pl022", "spi0", 0x40020000, { MCU_IRQ(11) } }, \
    { "pl022", "spi1", 0x40021000, { MCU_IRQ(11) } }, \
    { "pl022", "spi2", 0x40025000, { MCU_IRQ(11) } }, \
    { "pl022", "spi3", 0x40026000, { MCU_IRQ(11) } }, \
    { "pl022", "spi4", 0x40027000, { MCU_IRQ(11) } }, \
    { "mps2-fpgaio", "fpgaio", 0x40028000 }
#define ETHERNET(at) { "lan9118", "eth0", at, { MCU_IRQ(13) } }
#define SCC(id) { "mps2-scc", "scc", 0x4002f000, .props = "scc-cfg4=2,scc-aid=0x00200008,scc-id=" id }

static const McuPart an385_parts[] = { COMMON_PARTS, ETHERNET(0x40200000), SCC("0x41043850"), { 0 } };
static const McuPart an386_parts[] = { COMMON_PARTS, ETHERNET(0x40200000), SCC("0x41043860"), { 0 } };
static const McuPart an500_parts[] = { COMMON_PARTS, ETHERNET(0xa0000000), SCC("0x41045000"), { 0 } };

static const UnmodelledRange unmodelled[] = {
    { "cmsdk-ahb-default", 0x40003000, 0x1000 },
    { "i2c0", 0x40022000, 0x1000 },
    { "i2c1", 0x40023000, 0x1000 },
    { "i2s0", 0x40024000, 0x1000 },
    { "i2c2", 0x40029000, 0x1000 },
    { "i2c3", 0x4002a000, 0x1000 },
    { "extra-gpio", 0x40030000, 0x1000 },
    { "rtc", 0x4002b000, 0x1000 },
    { "block-ram-control", 0x41000000, 0x1000 },
    { "vga", 0x41100000, 0x10000 },
    { NULL },
};
#define SSRAM \
    { "ssram1", MCU_RAM, 0x00000000, 4 * MiB }, { "ssram1-again", MCU_ALIAS, 0x00400000, 4 * MiB, 0x00000000 }, \
    { "ssram23", MCU_RAM, 0x20000000, 4 * MiB }, { "ssram23-again", MCU_ALIAS, 0x20400000, 4 * MiB, 0x20000000 }
static const McuMem an385_mem[] = {
    SSRAM,
    { "psram", MCU_RAM, 0x21000000, 16 * MiB },
    { "sram-bits", MCU_BITBAND, 0x22000000, 32 * MiB, 0x20000000 },
    { "periph-bits", MCU_BITBAND, 0x42000000, 32 * MiB, 0x40000000 },
    { "blockram", MCU_RAM, 0x01000000, 16 * KiB },
    { "blockram-2", MCU_ALIAS, 0x01004000, 16 * KiB, 0x01000000 },
    { "blockram-3", MCU_ALIAS, 0x01008000, 16 * KiB, 0x01000000 },
    { "blockram-4", MCU_ALIAS, 0x0100c000, 16 * KiB, 0x01000000 },
    { 0 },
};
static const McuMem an500_mem[] = { SSRAM, { "psram", MCU_RAM, 0x60000000, 16 * MiB }, { 0 } };

#define CPU { .m_irqs = 32, .m_cpuclk_hz = SYSCLK, .m_refclk_hz = 1000000 }
static const McuBoard an385 = { an385_mem, an385_parts, unmodelled, .cpu = CPU };
static const McuBoard an386 = { an385_mem, an386_parts, unmodelled, .cpu = CPU };
static const McuBoard an500 = { an500_mem, an500_parts, unmodelled, .cpu = CPU };

MCU_MACHINE(an385_machine, "mps2-an385", "Arm MPS2 with the AN385 image, Cortex-M3", "cortex-m3", an385, 16 * MiB)
MCU_MACHINE(an386_machine, "mps2-an386", "Arm MPS2 with the AN386 image, Cortex-M4", "cortex-m4", an386, 16 * MiB)
MCU_MACHINE(an500_machine, "mps2-an500", "Arm MPS2 with the AN500 image, Cortex-M7", "cortex-m7", an500, 16 * MiB)
