/* SPDX-License-Identifier: MIT */
/*
 * Raspberry Pi: BCM2835 (raspi0, raspi1ap), BCM2836 (raspi2b), BCM2837 (raspi3b). Kernels come with -kernel and their
 * device tree with -dtb.
 */
#include "base/bits.h"
#include "hw/machine/aboard.h"
#include "hw/misc/bcm2835.h"
#include "hw/sd/sdhci.h"

enum { ARM_LINES = 64, ARM_MAILBOX = 65, DMA_LINE = 16, DMA_LINES = 12, DREQ_SDHOST = 13 };

static Irq line(ABoardMachine *m, unsigned n)
{
    Device *ic = device_find("ic");
    return n < ARM_LINES ? device_input(ic, "gpu", n) : device_input(ic, "arm", n - ARM_LINES);
}

static void cpu_line(void *opaque, int n, int level)
{
    CpuPort *p = cpu_port((unsigned)n / 2);
    p->ops->set_line(p, n & 1 ? CPU_LINE_NMI : CPU_LINE_INTR, level != 0);
}
static Irq to_cpu(unsigned cpu, bool fiq) { return (Irq){ .set = cpu_line, .n = (int)(cpu * 2 + fiq) }; }

static Device *start(Device *d, Error **errp) { return d && device_start(d, errp) ? d : NULL; }

static bool ic_new(ABoardMachine *m, uint64_t at, Error **errp)
{
    m->intc = start(device_new_named("bcm2835-ic", "ic", errp), errp);
    if (m->intc)
        mem_map(m->machine.memory, at, m->intc->region[0], 0);
    return m->intc;
}

static bool intc_2835(ABoardMachine *m, Error **errp)
{
    if (!ic_new(m, 0x2000b200, errp))
        return false;
    device_connect(m->intc, "irq", 0, to_cpu(0, false));
    device_connect(m->intc, "fiq", 0, to_cpu(0, true));
    return true;
}

/* ---- four cores ---- */

/* The firmware's code for the other cores waits for an address in mailbox 3 of the core. */
static void start_core(void *opaque, int core, int level)
{
    uint64_t pc = 0;
    AddressSpace *as = machine_current()->as_memory;
    if (!level || as_load(as, 0x400000cc + 16u * (unsigned)core, 4, &pc, MEM_ATTRS_DEVICE) != MEM_OK ||
        (unsigned)core >= cpu_port_count())
        return;
    as_store(as, 0x400000cc + 16u * (unsigned)core, 4, pc, MEM_ATTRS_DEVICE);
    arm_board_cpu_on((unsigned)core, pc, 0);
}

static bool intc_2836(ABoardMachine *m, Error **errp)
{
    static const uint8_t timer_bit[] = { 1, 3, 2, 0 }; /* physical, virtual, hypervisor, secure */
    Device *local = start(device_new_named("bcm2836-control", "control", errp), errp);
    if (!local || !ic_new(m, 0x3f00b200, errp))
        return false;
    mem_map(m->machine.memory, 0x40000000, local->region[0], 0);
    device_connect(m->intc, "irq", 0, device_input(local, "gpu-irq", 0));
    device_connect(m->intc, "fiq", 0, device_input(local, "gpu-fiq", 0));
    for (unsigned cpu = 0; cpu < m->machine.config.cpus && cpu < 4; cpu++) {
        device_connect(local, "irq", cpu, to_cpu(cpu, false));
        device_connect(local, "fiq", cpu, to_cpu(cpu, true));
        device_connect(local, "start", cpu, (Irq){ .set = start_core, .n = (int)cpu });
        for (unsigned i = 0; i < ARRAY_LEN(timer_bit); i++)
            arm_board_timer_irq(cpu, i, device_input(local, "timer", cpu * 4 + timer_bit[i]));
        arm_board_pmu_irq(cpu, device_input(local, "pmu", cpu));
    }
    return true;
}

/* arm64 kernels: cores spin on the words from 0xd8 on (device tree: spin-table). A64: DDI 0487, C6. */
static void start_spinning(void *opaque, ResetPhase phase)
{
    static const uint32_t spin[] = {
        0xd53800a6, /* mrs x6, mpidr_el1 */  0x924004c6, /* and x6, x6, #3 */  0xd2801b05, /* mov x5, #0xd8 */
        0xd503205f, /* 1: wfe */             0xf86678a4, /* ldr x4, [x5, x6, lsl #3] */ 0xb4ffffc4, /* cbz x4, 1b */
        0xd2800000, /* mov x0, #0 */         0xd61f0080, /* br x4 */
    };
    ABoardMachine *m = opaque;
    if (phase != RESET_EXIT || !m->boot)
        return;
    uint8_t zero[32] = { 0 };
    as_write_rom(m->machine.as_memory, 0xd8, zero, sizeof zero);
    as_write_rom(m->machine.as_memory, 0x300, spin, sizeof spin);
    for (unsigned i = 1; i < m->machine.config.cpus; i++)
        arm_board_cpu_on(i, 0x300, 0);
}
static const MachinePart spin_part = { .name = "spin-table", .reset = start_spinning };

/* The I2C masters lie apart; both SD controllers share the slot; sdhost paces the DMA controller. */
static bool wire(ABoardMachine *m, Error **errp)
{
    Device *i2c = device_find("i2c"), *dma = device_find("dma"), *sdhost = device_find("sdhost");
    for (unsigned i = 0; i < DMA_LINES; i++)
        device_connect(dma, "irq", i, line(m, DMA_LINE + i));
    device_connect(sdhost, "dreq", 0, device_input(dma, "dreq", DREQ_SDHOST));
    bcm2835_gpio_controllers(device_find("gpio"), bcm2835_sdhost_port(sdhost), sdhci_board_port(device_find("emmc")));
    uint64_t base = m->board->min_cpus ? 0x3f000000 : 0x20000000;
    mem_map(m->machine.memory, base + 0x804000, i2c->region[1], 0);
    mem_map(m->machine.memory, base + 0x805000, i2c->region[2], 0);
    return true;
}

static bool wire_3b(ABoardMachine *m, Error **errp)
{
    wire(m, errp);
    machine_part_add(&spin_part, m);
    return true;
}

#define PERIPHERALS(base, revision) \
    { "bcm2835-sys-timer", "systimer", base + 0x3000, { AIRQ(0), AIRQ(1), AIRQ(2), AIRQ(3) }, 0, NULL }, \
    { "bcm2835-mbox", "mbox", base + 0xb880, { AIRQ(ARM_MAILBOX) }, 0, "board-rev=" revision }, \
    { "bcm2835-powermgt", "powermgt", base + 0x100000, { 0 }, 0, NULL }, \
    { "bcm2835-rng", "rng", base + 0x104000, { 0 }, 0, NULL }, \
    { "bcm2835_gpio", "gpio", base + 0x200000, { AIRQ(49), AIRQ(50) }, 0, NULL }, \
    { "pl011", "serial0", base + 0x201000, { AIRQ(57) }, 1, NULL }, \
    { "bcm2835-sdhost", "sdhost", base + 0x202000, { AIRQ(56) }, 0, NULL }, \
    { "generic-sdhci", "emmc", base + 0x300000, { AIRQ(62) }, 0, "capareg=0x052134b4,no-slot=on" }, \
    { "bcm2835-dma", "dma", base + 0x7000, { 0 }, 0, "peripherals=" #base }, \
    { "bcm2835-cprman", "cprman", base + 0x101000, { 0 }, 0, NULL }, \
    { "bcm2835-thermal", "thermal", base + 0x212000, { 0 }, 0, NULL }, \
    { "bcm2835-i2c", "i2c", base + 0x205000, { AIRQ(53) }, 0, NULL }, \
    { "bcm2835-aux", "aux", base + 0x215000, { AIRQ(29) }, 2, NULL }
#define UNMODELLED(base) \
    { "dma15", base + 0xe05000, 0x1000 }, { "arm-timer", base + 0xb400, 0x100 }, { "i2s", base + 0x203000, 0x1000 }, \
    { "spi0", base + 0x204000, 0x1000 }, { "pwm", base + 0x20c000, 0x1000 }, { "aux-spi", base + 0x215000, 0x1000 }, \
    { "v3d", base + 0xc00000, 0x1000 }, { "usb", base + 0x980000, 0x10000 }, { "peripherals", base, 0x1000000 }

static const APart parts_2835[] = { PERIPHERALS(0x20000000, "0x920092"), { 0 } };
static const APart parts_1ap[] = { PERIPHERALS(0x20000000, "0x900021"), { 0 } };
static const APart parts_2b[] = { PERIPHERALS(0x3f000000, "0xa21041"), { 0 } };
static const APart parts_3b[] = { PERIPHERALS(0x3f000000, "0xa02082"), { 0 } };
static const UnmodelledRange ranges_2835[] = { UNMODELLED(0x20000000), { NULL, 0, 0 } };
static const UnmodelledRange ranges_2836[] = { UNMODELLED(0x3f000000),
                                               { "local", 0x40000000, 0x40000 },
                                               { NULL, 0, 0 } };

static const ABoard board_0 = { .ram_at = 0,
                                .ram_max = 512 * MiB,
                                .ram_kept = 64 * MiB,
                                .id = 3138,
                                .parts = parts_2835,
                                .unmodelled = ranges_2835,
                                .intc = intc_2835,
                                .irq = line,
                                .wire = wire };
static const ABoard board_1ap = { .ram_at = 0,
                                  .ram_max = 512 * MiB,
                                  .ram_kept = 64 * MiB,
                                  .id = 3138,
                                  .parts = parts_1ap,
                                  .unmodelled = ranges_2835,
                                  .intc = intc_2835,
                                  .irq = line,
                                  .wire = wire };
static uint32_t core_affinity(unsigned cpu) { return cpu | 0xf00; }
static const ABoard board_2b = {
    .ram_at = 0, .ram_max = 1 * GiB, .ram_kept = 64 * MiB, .id = 3139, .parts = parts_2b,
    .unmodelled = ranges_2836, .min_cpus = 4, .affinity = core_affinity,
    .cpu = { .secondaries_off = true, .cntfrq = 19200000 }, .intc = intc_2836, .irq = line, .wire = wire,
};
static const ABoard board_3b = {
    .ram_at = 0,
    .ram_max = 1 * GiB,
    .ram_kept = 64 * MiB,
    .id = UINT32_MAX,
    .parts = parts_3b,
    .unmodelled = ranges_2836,
    .min_cpus = 4,
    .cpu = { .el2 = true, .secondaries_off = true, .cntfrq = 19200000 },
    .intc = intc_2836,
    .irq = line,
    .wire = wire_3b,
};
ABOARD_MACHINE(raspi0, "raspi0", "Raspberry Pi Zero", "arm", "arm1176", board_0, 1, 512 * MiB)
ABOARD_MACHINE(raspi1ap, "raspi1ap", "Raspberry Pi A+", "arm", "arm1176", board_1ap, 1, 512 * MiB)
ABOARD_MACHINE(raspi2b, "raspi2b", "Raspberry Pi 2B", "arm", "cortex-a7", board_2b, 4, 1 * GiB)
ABOARD_MACHINE(raspi3b, "raspi3b", "Raspberry Pi 3B", "aarch64", "cortex-a53", board_3b, 4, 1 * GiB)
