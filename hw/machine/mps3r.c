/* SPDX-License-Identifier: MIT */
/*
 * Arm's MPS3 with the AN536 image: one or two Cortex-R52. Each core sees its own UART and 4 KiB of RAM at the same
 * addresses. The interrupts of the FPGA's peripherals are not wired.
 */
#include "hw/intc/arm-gic.h"
#include "hw/machine/aboard.h"

enum { CORES = 2, GIC = 0xf0000000, GIC_REDIST = 0xf0100000, CORE_UART = 0xe7c00000, CORE_RAM = 0xe7c01000, SPIS = 96 };

/* --- what every core has for itself: accesses go by who asks; those of devices and debuggers to core 0 --- */

typedef struct PerCore { MemRegion *of[CORES]; } PerCore;

static MemSection section_of(const PerCore *p, hwaddr offset, MemAttrs attrs)
{
    MemRegion *r = p->of[attrs.cpu < CORES ? attrs.cpu : 0];
    return (MemSection){ .region = r, .offset = offset, .len = mem_size(r) - offset };
}

static MemResult core_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    MemSection s = section_of(opaque, offset, attrs);
    const uint8_t *host = mem_host(s.region);
    *value = 0;
    if (!host)
        return mem_io_read(&s, size, value, attrs);
    memcpy(value, host + offset, size);
    return MEM_OK;
}

static MemResult core_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    MemSection s = section_of(opaque, offset, attrs);
    uint8_t *host = mem_host(s.region);
    if (!host)
        return mem_io_write(&s, size, value, attrs);
    memcpy(host + offset, &value, size);
    return MEM_OK;
}

static const MemOps core_ops = { .read = core_read, .write = core_write };

static void per_core(ABoardMachine *m, const char *name, hwaddr at, MemRegion *const of[CORES])
{
    PerCore *p = g_new(PerCore, 1);
    memcpy(p->of, of, sizeof p->of);
    MemRegion *r = mem_io_new(name, mem_size(of[0]), &core_ops, p, NULL);
    mem_set_opaque_free(r, g_free);
    mem_map(m->machine.memory, at, aboard_own(m, r), 0);
}

static MemRegion *own_ram(ABoardMachine *m, const char *name, Error **errp)
{
    MemRegion *r = mem_ram_new(name, 4 * KiB, errp);
    return r ? aboard_own(m, r) : NULL;
}

static bool wire(ABoardMachine *m, Error **errp)
{
    MemRegion *uart[CORES] = { device_find("uart0")->region[0], device_find("uart1")->region[0] };
    MemRegion *ram[CORES] = { own_ram(m, "core0-ram", errp), NULL };
    if (!ram[0] || !(ram[1] = own_ram(m, "core1-ram", errp)))
        return false;
    per_core(m, "core-uart", CORE_UART, uart);
    per_core(m, "core-ram", CORE_RAM, ram);
    return true;
}

/* --- GICv3 (IHI 0069), the cores' timers --- */

static Irq spi(ABoardMachine *m, unsigned n) { return arm_gicv3_spi(m->intc, n); }

static bool intc(ABoardMachine *m, Error **errp)
{
    static const uint8_t timer_ppi[] = { [0] = 30, [1] = 27, [2] = 26 }; /* EL1 physical, virtual, EL2 */
    g_autofree char *cpus = g_strdup_printf("%u", m->machine.config.cpus), *lines = g_strdup_printf("%u", SPIS + 32);
    Device *d = device_new_named("arm-gicv3", "gic", errp);
    if (!d || !device_set(d, "num-cpu", cpus, errp) || !device_set(d, "num-irq", lines, errp) || !device_start(d, errp))
        return false;
    m->intc = d;
    mem_map(m->machine.memory, GIC, d->region[0], 0);
    arm_gicv3_map_redistributors(d, m->machine.memory, GIC_REDIST, m->machine.config.cpus, 0);
    for (unsigned cpu = 0; cpu < m->machine.config.cpus; cpu++) {
        for (unsigned t = 0; t < ARRAY_LEN(timer_ppi); t++)
            arm_board_timer_irq(cpu, t, arm_gicv3_ppi(d, cpu, timer_ppi[t]));
        arm_board_pmu_irq(cpu, arm_gicv3_ppi(d, cpu, 23));
    }
    return true;
}

/* --- the board --- */

static const AMem mem[] = {
    { "atcm", AMEM_RAM, 0x00000000, 32 * KiB, 0 },
    { "qspi", AMEM_ROM, 0x08000000, 8 * MiB, 0 },
    { "bram", AMEM_RAM, 0x10000000, 512 * KiB, 0 },
    { "core0-tcm-a", AMEM_ALIAS, 0xee000000, 32 * KiB, 0x00000000 },
    { "core0-tcm-b", AMEM_RAM, 0xee100000, 32 * KiB, 0 },
    { "core0-tcm-c", AMEM_RAM, 0xee200000, 32 * KiB, 0 },
    { "core1-tcm-a", AMEM_RAM, 0xee400000, 32 * KiB, 0 },
    { "core1-tcm-b", AMEM_RAM, 0xee500000, 32 * KiB, 0 },
    { "core1-tcm-c", AMEM_RAM, 0xee600000, 32 * KiB, 0 },
    { NULL, AMEM_END, 0, 0, 0 },
};
static const APart parts[] = {
    { "cmsdk-apb-uart", "uart0", 0, { 0 }, 1, NULL },
    { "cmsdk-apb-uart", "uart1", 0, { 0 }, 2, NULL },
    { "cmsdk-apb-uart", "uart2", 0xe0205000, { 0 }, 3, NULL },
    { "cmsdk-apb-uart", "uart3", 0xe0206000, { 0 }, 4, NULL },
    { "cmsdk-apb-uart", "uart4", 0xe0207000, { 0 }, 5, NULL },
    { "cmsdk-apb-uart", "uart5", 0xe0208000, { 0 }, 6, NULL },
    { "mps2-scc", "scc", 0xe0200000, { 0 }, 0, "scc-cfg4=2,scc-aid=0x00200008,scc-id=0x41055360" },
    { "mps2-fpgaio", "fpgaio", 0xe0202000, { 0 }, 0, "prescale-clk=50000000,num-leds=10,has-switches=on" },
    { 0 },
};
static const UnmodelledRange ranges[] = { { "peripherals", 0xe0000000, 0x300000 }, { NULL, 0, 0 } };
static const ABoard board = {
    .ram_at = 0x20000000,
    .ram_max = 3 * GiB,
    .id = ~0u,
    .mem = mem,
    .parts = parts,
    .unmodelled = ranges,
    .cpu = { .cntfrq = 100000000, .el2 = true },
    .intc = intc,
    .irq = spi,
    .wire = wire,
};
ABOARD_MACHINE(mps3_an536, "mps3-an536", "Arm MPS3 with the AN536 image, Cortex-R52", "arm", "cortex-r52", board, CORES,
               1 * GiB)
