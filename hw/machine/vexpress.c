/* SPDX-License-Identifier: MIT */
/*
 * Versatile Express: the motherboard (DUI 0447J) with a Cortex-A9x4 (DUI 0448I) or a Cortex-A15x2 daughterboard (DUI
 * 0604E).
 */
#include "hw/core/irq.h"
#include "hw/intc/arm-gic.h"
#include "hw/machine/aboard.h"
#include "hw/misc/vexpress-sysreg.h"

static Irq spi(ABoardMachine *m, unsigned n) { return arm_gic_spi(m->intc, n); }

/*
 * Secondary CPUs: the boot monitor leaves them waiting until SYS_FLAGS holds an address. Here they are off until then;
 * kernels for this board have a pen of their own behind that address.
 */
static void flags_written(void *opaque, int n, int level)
{
    ABoardMachine *m = opaque;
    uint32_t pc = vexpress_sysreg_flags(device_find("sysreg"));
    for (unsigned i = 1; level && pc && i < m->machine.config.cpus; i++)
        arm_board_cpu_on(i, pc, 0);
}

static bool wire(ABoardMachine *m, Error **errp)
{
    device_connect(device_find("sysreg"), "flags", 0, (Irq){ .set = flags_written, .opaque = m });
    device_connect(device_find("mmc"), "card-inserted", 0, device_input(device_find("sysreg"), "mmc-inserted", 0));
    device_connect(device_find("mmc"), "card-read-only", 0, device_input(device_find("sysreg"), "mmc-read-only", 0));
    return true;
}

/* ---- Cortex-A15: private peripherals at 0x2c000000 ---- */

static bool a15_intc(ABoardMachine *m, Error **errp)
{
    static const uint8_t timer_ppi[] = { 30, 27, 26, 29 };
    Device *d = aboard_gic(m, 160, errp);
    if (!d)
        return false;
    mem_map(m->machine.memory, 0x2c001000, d->region[0], 0);
    mem_map(m->machine.memory, 0x2c002000, d->region[1], 0);
    for (unsigned cpu = 0; cpu < m->machine.config.cpus; cpu++)
        for (unsigned i = 0; i < ARRAY_LEN(timer_ppi); i++)
            arm_board_timer_irq(cpu, i, arm_gic_ppi(d, cpu, timer_ppi[i]));
    return true;
}

#define FLASH "num-blocks=256,sector-length=256k,width=4,device-width=2"
static const AMem a15_mem[] = {
    { "sram", AMEM_RAM, 0x14000000, 32 * MiB, 0 },
    { "vram", AMEM_RAM, 0x18000000, 8 * MiB, 0 },
    { "a15sram", AMEM_RAM, 0x2e000000, 64 * KiB, 0 },
    { NULL, AMEM_END, 0, 0, 0 },
};
static const APart a15_parts[] = {
    { "cfi.pflash01", "flash0", 0x08000000, { 0 }, 0, FLASH },
    { "cfi.pflash01", "flash1", 0x0c000000, { 0 }, 0, FLASH },
    { "lan9118", "eth0", 0x1a000000, { AIRQ(15) }, 0, NULL },
    { "realview_sysctl", "sysreg", 0x1c010000, { 0 }, 0, "proc_id=0x14000237" },
    { "sp810", "sysctl", 0x1c020000, { 0 }, 0, NULL },
    { "pl181", "mmc", 0x1c050000, { AIRQ(9), AIRQ(10) }, 0, NULL },
    { "pl050_keyboard", "kmi0", 0x1c060000, { AIRQ(12) }, 0, NULL },
    { "pl050_mouse", "kmi1", 0x1c070000, { AIRQ(13) }, 0, NULL },
    { "sp805", "watchdog", 0x1c0f0000, { AIRQ(0) }, 0, NULL },
    { "pl011", "serial0", 0x1c090000, { AIRQ(5) }, 1, NULL },
    { "pl011", "serial1", 0x1c0a0000, { AIRQ(6) }, 2, NULL },
    { "pl011", "serial2", 0x1c0b0000, { AIRQ(7) }, 3, NULL },
    { "pl011", "serial3", 0x1c0c0000, { AIRQ(8) }, 4, NULL },
    { "sp804", "timer01", 0x1c110000, { AIRQ(2) }, 0, NULL },
    { "sp804", "timer23", 0x1c120000, { AIRQ(3) }, 0, NULL },
    { "pl031", "rtc", 0x1c170000, { AIRQ(4) }, 0, NULL },
    { 0 },
};
static const UnmodelledRange a15_unmodelled[] = {
    { "usb", 0x1b000000, 0x20000 },    { "i2c-pci", 0x1c030000, 0x1000 }, { "pl041", 0x1c040000, 0x1000 },
    { "virtio", 0x1c130000, 0x10000 }, { "i2c-dvi", 0x1c160000, 0x1000 }, { "compact-flash", 0x1c1a0000, 0x1000 },
    { "pl111", 0x1c1f0000, 0x1000 },   { "dap", 0x20000000, 0x8000000 },  { "dma-pl330", 0x7ffb0000, 0x1000 },
    { "hdlcd", 0x2b000000, 0x1000 },   { "pl341", 0x2b0a0000, 0x1000 },   { "sp805-tile", 0x2b060000, 0x1000 },
    { "pl354", 0x7ffd0000, 0x1000 },   { "scc", 0x7fff0000, 0x1000 },     { NULL, 0, 0 },
};
/* The CPU starts in the first flash, which shows at 0 too. */
static bool a15_wire(ABoardMachine *m, Error **errp)
{
    MemRegion *flash = device_find("flash0")->region[0];
    mem_map(m->machine.memory, 0, aboard_own(m, mem_alias_new("boot", flash, 0, mem_size(flash))), 0);
    return wire(m, errp);
}

static const ABoard a15_board = {
    .ram_at = 0x80000000,
    .ram_max = 30 * GiB,
    .id = 2272,
    .mem = a15_mem,
    .parts = a15_parts,
    .unmodelled = a15_unmodelled,
    .cpu = { .secondaries_off = true, .cntfrq = 24000000, .reset_cbar = 0x2c000000 },
    .intc = a15_intc,
    .irq = spi,
    .wire = a15_wire,
    .boot_flash = "flash0",
};
ABOARD_MACHINE(vexpress_a15, "vexpress-a15", "Arm Versatile Express, Cortex-A15", "arm", "cortex-a15", a15_board, 4,
               1 * GiB)

/* ---- Cortex-A9: private peripherals at 0x1e000000, the motherboard in the legacy map ---- */

static bool a9_intc(ABoardMachine *m, Error **errp)
{
    Device *d = aboard_gic(m, 96, errp);
    if (!d)
        return false;
    mem_map(m->machine.memory, 0x1e000100, aboard_own(m, mem_alias_new("gic-cpu", d->region[1], 0, 0x100)), 0);
    mem_map(m->machine.memory, 0x1e001000, d->region[0], 0);
    return true;
}

static bool a9_wire(ABoardMachine *m, Error **errp)
{
    aboard_a9_timers(m);
    return wire(m, errp);
}

static const AMem a9_mem[] = {
    { "sram", AMEM_RAM, 0x48000000, 32 * MiB, 0 }, { "vram", AMEM_RAM, 0x4c000000, 8 * MiB, 0 },
    { "low-ram", AMEM_ALIAS, 0, 64 * MiB, 0x60000000 }, { NULL, AMEM_END, 0, 0, 0 },
};
static const APart a9_parts[] = {
    { "a9-scu", "scu", 0x1e000000, { 0 }, 0, NULL },
    { "arm.cortex-a9-global-timer", "gtimer", 0x1e000200, { 0 }, 0, NULL },
    { "arm_mptimer", "mptimer", 0x1e000600, { 0 }, 0, NULL },
    { "l2x0", "l2", 0x1e00a000, { 0 }, 0, NULL },
    { "realview_sysctl", "sysreg", 0x10000000, { 0 }, 0, "proc_id=0x0c000191" },
    { "sp810", "sysctl", 0x10001000, { 0 }, 0, NULL },
    { "pl181", "mmc", 0x10005000, { AIRQ(9), AIRQ(10) }, 0, NULL },
    { "pl050_keyboard", "kmi0", 0x10006000, { AIRQ(12) }, 0, NULL },
    { "pl050_mouse", "kmi1", 0x10007000, { AIRQ(13) }, 0, NULL },
    { "sp805", "watchdog", 0x1000f000, { AIRQ(0) }, 0, NULL },
    { "pl011", "serial0", 0x10009000, { AIRQ(5) }, 1, NULL },
    { "pl011", "serial1", 0x1000a000, { AIRQ(6) }, 2, NULL },
    { "pl011", "serial2", 0x1000b000, { AIRQ(7) }, 3, NULL },
    { "pl011", "serial3", 0x1000c000, { AIRQ(8) }, 4, NULL },
    { "sp804", "timer01", 0x10011000, { AIRQ(2) }, 0, NULL },
    { "sp804", "timer23", 0x10012000, { AIRQ(3) }, 0, NULL },
    { "pl031", "rtc", 0x10017000, { AIRQ(4) }, 0, NULL },
    { "sp804", "tile-timer", 0x100e4000, { AIRQ(48) }, 0, NULL },
    { "cfi.pflash01", "flash0", 0x40000000, { 0 }, 0, FLASH },
    { "cfi.pflash01", "flash1", 0x44000000, { 0 }, 0, FLASH },
    { "lan9118", "eth0", 0x4e000000, { AIRQ(15) }, 0, NULL },
    { 0 },
};
static const UnmodelledRange a9_unmodelled[] = {
    { "i2c-pci", 0x10002000, 0x1000 },
    { "pl041", 0x10004000, 0x1000 },
    { "virtio", 0x10013000, 0x1000 },
    { "i2c-dvi", 0x10016000, 0x1000 },
    { "compact-flash", 0x1001a000, 0x1000 },
    { "pl111", 0x1001f000, 0x1000 },
    { "pl111-tile", 0x10020000, 0x1000 },
    { "pl341", 0x100e0000, 0x1000 },
    { "pl354", 0x100e1000, 0x1000 },
    { "sp805-tile", 0x100e5000, 0x1000 },
    { "pl330", 0x100e8000, 0x4000 },
    { "usb", 0x4f000000, 0x20000 },
    { NULL, 0, 0 },
};
static const ABoard a9_board = {
    .ram_at = 0x60000000, .ram_max = 1 * GiB, .id = 2272, .mem = a9_mem, .parts = a9_parts, .unmodelled = a9_unmodelled,
    .cpu = { .secondaries_off = true, .reset_cbar = 0x1e000000 }, .intc = a9_intc, .irq = spi, .wire = a9_wire,
};
ABOARD_MACHINE(vexpress_a9, "vexpress-a9", "Arm Versatile Express, Cortex-A9", "arm", "cortex-a9", a9_board, 4,
               128 * MiB)
