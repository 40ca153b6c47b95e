/* SPDX-License-Identifier: MIT */
/* Zynq-7000 (UG585, chapters 4 and 7): two Cortex-A9; boards such as ZC702 and ZedBoard. */
#include "hw/intc/arm-gic.h"
#include "hw/machine/aboard.h"

static Irq spi(ABoardMachine *m, unsigned n) { return arm_gic_spi(m->intc, n); }

static bool intc(ABoardMachine *m, Error **errp)
{
    Device *d = aboard_gic(m, 96, errp);
    if (!d)
        return false;
    mem_map(m->machine.memory, 0xf8f00100, aboard_own(m, mem_alias_new("gic-cpu", d->region[1], 0, 0x100)), 0);
    mem_map(m->machine.memory, 0xf8f01000, d->region[0], 0);
    return true;
}

static void start_core(void *opaque, int n, int level)
{
    if (level && cpu_port_count() > 1)
        arm_board_cpu_on(1, 0, 0);
}

static bool wire(ABoardMachine *m, Error **errp)
{
    device_connect(device_find("slcr"), "start", 0, (Irq){ .set = start_core });
    aboard_a9_timers(m);
    return true;
}

static const AMem mem[] = { { "ocm", AMEM_RAM, 0xfffc0000, 256 * KiB, 0 }, { NULL, AMEM_END, 0, 0, 0 } };
static const APart parts[] = {
    { "a9-scu", "scu", 0xf8f00000, { 0 }, 0, NULL },
    { "arm.cortex-a9-global-timer", "gtimer", 0xf8f00200, { 0 }, 0, "clock-frequency=333333333" },
    { "arm_mptimer", "mptimer", 0xf8f00600, { 0 }, 0, "clock-frequency=333333333" },
    { "l2x0", "l2", 0xf8f02000, { 0 }, 0, NULL },
    { "xilinx-zynq_slcr", "slcr", 0xf8000000, { 0 }, 0, NULL },
    { "zynq.ddr-ctlr", "ddrc", 0xf8006000, { 0 }, 0, NULL },
    { "cadence_uart", "uart0", 0xe0000000, { AIRQ(27) }, 1, NULL },
    { "cadence_uart", "uart1", 0xe0001000, { AIRQ(50) }, 2, NULL },
    { "cadence_ttc", "ttc0", 0xf8001000, { AIRQ(10), AIRQ(11), AIRQ(12) }, 0, NULL },
    { "cadence_ttc", "ttc1", 0xf8002000, { AIRQ(37), AIRQ(38), AIRQ(39) }, 0, NULL },
    { "generic-sdhci", "sdio0", 0xe0100000, { AIRQ(24) }, 0, "capareg=0x69ec0080" },
    { "generic-sdhci", "sdio1", 0xe0101000, { AIRQ(47) }, 0, "capareg=0x69ec0080" },
    { "cadence_gem", "gem0", 0xe000b000, { AIRQ(22) }, 0, NULL },
    { "cadence_gem", "gem1", 0xe000c000, { AIRQ(45) }, 0, NULL },
    { 0 },
};
static const UnmodelledRange ranges[] = {
    { "peripherals", 0xe0002000, 0xd000 },    { "smc", 0xe1000000, 0x4000000 },
    { "dma-pl330", 0xf8003000, 0x2000 },      { "swdt", 0xf8005000, 0x1000 },
    { "devcfg", 0xf8007000, 0x1000 },         { "axi-hp", 0xf8008000, 0x8000 },
    { "coresight", 0xf8800000, 0x200000 },    { "qos", 0xf8900000, 0x100000 },
    { "qspi-linear", 0xfc000000, 0x2000000 }, { NULL, 0, 0 },
};
static const ABoard board = {
    .ram_at = 0, .ram_max = 1 * GiB, .id = 0xd32, .mem = mem, .parts = parts, .unmodelled = ranges,
    .cpu = { .secondaries_off = true, .reset_cbar = 0xf8f00000 }, .intc = intc, .irq = spi, .wire = wire,
};
ABOARD_MACHINE(xilinx_zynq_a9, "xilinx-zynq-a9", "Xilinx Zynq-7000, Cortex-A9", "arm", "cortex-a9", board, 2, 512 * MiB)
