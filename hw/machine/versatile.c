/* SPDX-License-Identifier: MIT */
/* Versatile/PB926EJ-S (DUI 0225D): ARM926, vectored interrupt controller and a secondary one behind its line 31. */
#include "hw/machine/aboard.h"

enum { SIC = 32 }; /* lines of the secondary controller follow the 32 of the first */

static Irq line(ABoardMachine *m, unsigned n)
{
    return n < SIC ? device_input(m->intc, "in", n) : device_input(device_find("sic"), "in", n - SIC);
}

static void cpu_line(void *opaque, int fiq, int level)
{
    CpuPort *p = cpu_port(0);
    p->ops->set_line(p, fiq ? CPU_LINE_NMI : CPU_LINE_INTR, level != 0);
}

static bool intc(ABoardMachine *m, Error **errp)
{
    Device *vic = device_new_named("pl190", "vic", errp), *sic = device_new_named("versatilepb_sic", "sic", errp);
    if (!vic || !sic)
        return false;
    m->intc = vic;
    device_connect(vic, "irq", 0, (Irq){ .set = cpu_line, .n = 0 });
    device_connect(vic, "fiq", 0, (Irq){ .set = cpu_line, .n = 1 });
    device_connect(sic, "irq", 0, device_input(vic, "in", 31));
    for (unsigned i = 0; i < 10; i++)
        device_connect(sic, "out", i, device_input(vic, "in", 21 + i));
    if (!device_start(vic, errp) || !device_start(sic, errp))
        return false;
    mem_map(m->machine.memory, 0x10140000, vic->region[0], 0);
    mem_map(m->machine.memory, 0x10003000, sic->region[0], 0);
    return true;
}

#define S(n) AIRQ(SIC + (n))
static const APart parts[] = {
    { "realview_sysctl", "sysreg", 0x10000000, { 0 }, 0, "sys_id=0x41007004,proc_id=0x02000000" },
    { "pl181", "mmc0", 0x10005000, { AIRQ(22), S(1) }, 0, NULL },
    { "pl181", "mmc1", 0x1000b000, { AIRQ(23), S(2) }, 0, NULL },
    { "pl050_keyboard", "kmi0", 0x10006000, { S(3) }, 0, NULL },
    { "pl050_mouse", "kmi1", 0x10007000, { S(4) }, 0, NULL },
    { "pl011", "serial3", 0x10009000, { S(6) }, 4, NULL },
    { "smc91c111", "eth0", 0x10010000, { S(25) }, 0, NULL },
    { "pl110_versatile", "clcd", 0x10120000, { AIRQ(16) }, 0, NULL },
    { "sp810", "sysctl", 0x101e0000, { 0 }, 0, NULL },
    { "sp805", "watchdog", 0x101e1000, { AIRQ(0) }, 0, "wdogclk-frq=1000000" },
    { "sp804", "timer01", 0x101e2000, { AIRQ(4) }, 0, NULL },
    { "sp804", "timer23", 0x101e3000, { AIRQ(5) }, 0, NULL },
    { "pl061", "gpio0", 0x101e4000, { AIRQ(6) }, 0, NULL },
    { "pl061", "gpio1", 0x101e5000, { AIRQ(7) }, 0, NULL },
    { "pl061", "gpio2", 0x101e6000, { AIRQ(8) }, 0, NULL },
    { "pl061", "gpio3", 0x101e7000, { AIRQ(9) }, 0, NULL },
    { "pl031", "rtc", 0x101e8000, { AIRQ(10) }, 0, NULL },
    { "pl011", "serial0", 0x101f1000, { AIRQ(12) }, 1, NULL },
    { "pl011", "serial1", 0x101f2000, { AIRQ(13) }, 2, NULL },
    { "pl011", "serial2", 0x101f3000, { AIRQ(14) }, 3, NULL },
    { "pl022", "ssp", 0x101f4000, { AIRQ(11) }, 0, NULL },
    { "cfi.pflash01", "flash0", 0x34000000, { 0 }, 0, "num-blocks=256,sector-length=256k,width=4,device-width=2" },
    { 0 },
};
static const UnmodelledRange ranges[] = {
    { "pci-control", 0x10001000, 0x1000 }, { "i2c", 0x10002000, 0x1000 },    { "pl041", 0x10004000, 0x1000 },
    { "charlcd", 0x10008000, 0x1000 },     { "sci1", 0x1000a000, 0x1000 },   { "usb", 0x10020000, 0x10000 },
    { "ssmc", 0x10100000, 0x10000 },       { "mpmc", 0x10110000, 0x10000 },  { "pl080", 0x10130000, 0x1000 },
    { "sci0", 0x101f0000, 0x1000 },        { "pci", 0x41000000, 0x3000000 }, { NULL, 0, 0 },
};
static const ABoard board = {
    .ram_at = 0, .ram_max = 256 * MiB, .id = 387, .parts = parts, .unmodelled = ranges, .intc = intc, .irq = line,
};
ABOARD_MACHINE(versatilepb, "versatilepb", "Arm Versatile/PB, ARM926EJ-S", "arm", "arm926", board, 1, 128 * MiB)
