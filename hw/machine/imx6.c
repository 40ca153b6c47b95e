/* SPDX-License-Identifier: MIT */
/* SABRE Lite (sabrelite): i.MX6Quad, four Cortex-A9 (IMX6DQRM, chapters 2 and 3). */
#include "hw/intc/arm-gic.h"
#include "hw/machine/aboard.h"
#include "hw/misc/imx6.h"

static Irq spi(ABoardMachine *m, unsigned n) { return arm_gic_spi(m->intc, n); }

static bool intc(ABoardMachine *m, Error **errp)
{
    Device *d = aboard_gic(m, 160, errp);
    if (!d)
        return false;
    mem_map(m->machine.memory, 0x00a00100, aboard_own(m, mem_alias_new("gic-cpu", d->region[1], 0, 0x100)), 0);
    mem_map(m->machine.memory, 0x00a01000, d->region[0], 0);
    return true;
}

static void start_core(void *opaque, int core, int level)
{
    uint32_t argument, pc = imx6_src_entry(opaque, (unsigned)core, &argument);
    if (level && (unsigned)core < cpu_port_count())
        arm_board_cpu_on((unsigned)core, pc, argument);
}

/* The slots' switches: a card pulls its line down; a protected one lets go of the other. */
static const struct { const char *host, *gpio, *pin; unsigned line; bool inverted;
} switches[] = {
    { "usdhc3", "gpio7", "card-inserted", 0, true },
    { "usdhc3", "gpio7", "card-read-only", 1, false },
    { "usdhc4", "gpio2", "card-inserted", 6, true },
};
static void switched(void *opaque, int n, int level)
{
    Irq to = device_input(device_find(switches[n].gpio), "gpio", switches[n].line);
    irq_set(&to, switches[n].inverted ? !level : level);
}

static bool wire(ABoardMachine *m, Error **errp)
{
    for (unsigned i = 0; i < ARRAY_LEN(switches); i++)
        device_connect(device_find(switches[i].host), switches[i].pin, 0, (Irq){ .set = switched, .n = (int)i });
    Device *src = device_find("src");
    for (unsigned cpu = 1; cpu < m->machine.config.cpus && cpu < 4; cpu++)
        device_connect(src, "start", cpu, (Irq){ .set = start_core, .opaque = src, .n = (int)cpu });
    aboard_a9_timers(m);
    return true;
}

static const AMem mem[] = {
    { "ocram", AMEM_RAM, 0x00900000, 256 * KiB, 0 },
    { "caam-ram", AMEM_RAM, 0x00100000, 16 * KiB, 0 },
    { NULL, AMEM_END, 0, 0, 0 },
};
#define UART(n, at, line) { "imx.serial", "uart" #n, at, { AIRQ(line) }, n, NULL }
#define GPIO(n) \
    { "imx.gpio", "gpio" #n, 0x0209c000 + 0x4000 * (n - 1), { AIRQ(64 + 2 * n), AIRQ(65 + 2 * n) }, 0, NULL }
static const APart parts[] = {
    { "a9-scu", "scu", 0x00a00000, { 0 }, 0, NULL },
    { "arm.cortex-a9-global-timer", "gtimer", 0x00a00200, { 0 }, 0, NULL },
    { "arm_mptimer", "mptimer", 0x00a00600, { 0 }, 0, NULL },
    { "l2x0", "l2", 0x00a02000, { 0 }, 0, NULL },
    { "imx6.ccm", "ccm", 0x020c4000, { 0 }, 0, NULL },
    { "imx6.analog", "analog", 0x020c8000, { 0 }, 0, NULL },
    { "imx6.src", "src", 0x020d8000, { 0 }, 0, NULL },
    { "imx7.snvs", "snvs", 0x020cc000, { 0 }, 0, NULL },
    { "imx6.gpt", "gpt", 0x02098000, { AIRQ(55) }, 0, NULL },
    { "imx.epit", "epit1", 0x020d0000, { AIRQ(56) }, 0, NULL },
    { "imx.epit", "epit2", 0x020d4000, { AIRQ(57) }, 0, NULL },
    { "imx2.wdt", "wdog1", 0x020bc000, { 0 }, 0, NULL },
    { "imx2.wdt", "wdog2", 0x020c0000, { 0 }, 0, NULL },
    UART(1, 0x02020000, 26),
    UART(2, 0x021e8000, 27),
    UART(3, 0x021ec000, 28),
    UART(4, 0x021f0000, 29),
    UART(5, 0x021f4000, 30),
    GPIO(1),
    GPIO(2),
    GPIO(3),
    GPIO(4),
    GPIO(5),
    GPIO(6),
    GPIO(7),
    { "imx-usdhc", "usdhc3", 0x02198000, { AIRQ(24) }, 0, NULL }, /* -sd: the slots that the board has come first */
    { "imx-usdhc", "usdhc4", 0x0219c000, { AIRQ(25) }, 0, NULL },
    { "imx-usdhc", "usdhc1", 0x02190000, { AIRQ(22) }, 0, NULL },
    { "imx-usdhc", "usdhc2", 0x02194000, { AIRQ(23) }, 0, NULL },
    { "imx.i2c", "i2c1", 0x021a0000, { AIRQ(36) }, 0, NULL },
    { "imx.i2c", "i2c2", 0x021a4000, { AIRQ(37) }, 0, NULL },
    { "imx.i2c", "i2c3", 0x021a8000, { AIRQ(38) }, 0, NULL },
    { 0 },
};
static const UnmodelledRange ranges[] = {
    { "peripherals", 0x00100000, 0x00700000 }, { "aips1", 0x02000000, 0x100000 }, { "aips2", 0x02100000, 0x100000 },
    { "sata-ipu", 0x02200000, 0xa00000 },      { "pcie", 0x01ffc000, 0x4000 },    { NULL, 0, 0 },
};
static const ABoard board = {
    .ram_at = 0x10000000, .ram_max = 0xf0000000, .id = 3769, .mem = mem, .parts = parts, .unmodelled = ranges,
    .cpu = { .secondaries_off = true, .reset_cbar = 0x00a00000 }, .intc = intc, .irq = spi, .wire = wire,
};
ABOARD_MACHINE(sabrelite, "sabrelite", "SABRE Lite, i.MX6Quad", "arm", "cortex-a9", board, 4, 1 * GiB)
