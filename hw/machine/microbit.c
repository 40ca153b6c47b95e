/* SPDX-License-Identifier: MIT */
/*
 * BBC micro:bit version 1: nRF51822 (nRF51 Series Reference Manual 3.0). LEDs and buttons are GPIO pins: `info` shows
 * them.
 */
#include "hw/machine/mcu.h"
#include "hw/misc/nrf51.h"

/* A peripheral's interrupt is its number, which stands in its address. */
#define PERIPH(type, id, n, ...) { type, id, 0x40000000 + (n) * 0x1000, { MCU_IRQ(n) }, __VA_ARGS__ }

static const McuPart parts[] = {
    PERIPH("nrf51-clock", "clock-power", 0),
    PERIPH("nrf51-uart", "uart", 2, .serial = 1),
    PERIPH("nrf51-twi", "twi0", 3),
    PERIPH("nrf51-twi", "twi1", 4),
    PERIPH("nrf51-gpiote", "gpiote", 6),
    PERIPH("nrf51-timer", "timer0", 8),
    PERIPH("nrf51-timer", "timer1", 9),
    PERIPH("nrf51-timer", "timer2", 10),
    PERIPH("nrf51-rtc", "rtc0", 11),
    PERIPH("nrf51-temp", "temp", 12),
    PERIPH("nrf51-rng", "rng", 13),
    PERIPH("nrf51-wdt", "wdt", 16),
    PERIPH("nrf51-rtc", "rtc1", 17),
    { "nrf51-nvm", "nvm", 0x4001e000 },
    { "nrf51-ppi", "ppi", 0x4001f000 },
    { "nrf51-gpio", "gpio", 0x50000000, .props = "pulled-up=0x04020000" }, /* buttons A (17) and B (26) */
    { 0 },
};

static const UnmodelledRange unmodelled[] = {
    { "radio", 0x40001000, 0x1000 },        { "adc", 0x40007000, 0x1000 },
    { "ecb", 0x4000e000, 0x1000 },          { "ccm-aar", 0x4000f000, 0x1000 },
    { "qdec", 0x40012000, 0x1000 },         { "lpcomp", 0x40013000, 0x1000 },
    { "swi", 0x40014000, 0x6000 },          { "apb", 0x40020000, 0xe0000 },
    { "factory-trim", 0xf0000000, 0x1000 }, { NULL },
};

static const McuMem mem[] = { { "sram", MCU_RAM, 0x20000000, 16 * KiB }, { 0 } };

static bool wire(McuMachine *m, Error **errp)
{
    Device *nvm = device_find("nvm");
    mem_map(m->machine.memory, 0x10000000, nvm->region[1], 0);
    mem_map(m->machine.memory, 0x10001000, nvm->region[2], 0);
    mem_map(m->machine.memory, 0x00000000, nvm->region[3], 0);
    for (const McuPart *p = parts; p->type; p++) {
        Device *d = device_find(p->id);
        if (d->type->base != &nrf51_base_type)
            continue;
        ((NrfPeriph *)d)->at = p->at;
        ((NrfPeriph *)d)->ppi = device_find("ppi");
    }
    nrf_gpiote_attach(device_find("gpiote"), device_find("gpio"));
    return true;
}

static const McuBoard board = { mem, parts, unmodelled,
                                .cpu = { .m_irqs = 32, .m_prio_bits = 2, .m_cpuclk_hz = 16000000 }, .wire = wire };
MCU_MACHINE(microbit_machine, "microbit", "BBC micro:bit, nRF51822, Cortex-M0", "cortex-m0", board, 16 * KiB)
