/* SPDX-License-Identifier: MIT */
/*
 * Arm's MPS2+ with the IoT kit and SSE-200 images (AN505, AN521: Cortex-M33) and MPS3 with SSE-300 (AN547: Cortex-M55).
 * Each address of memory and peripherals stands twice: Non-secure with bit 28 clear, Secure with it set; protection
 * controllers say which of the two works, for each block of memory and each peripheral.
 */
#include "hw/machine/mcu.h"
#include "hw/misc/iotkit.h"

#define S_ALIAS 0x10000000u
#define NS_WINDOW BIT(32) /* the map as Non-secure transactions see it */

/* --- IDAU: bit 28 is Secure; what NSCCFG opens is callable from Non-secure code --- */

static ArmIdau idau(void *opaque, uint32_t addr)
{
    const IotSec *s = opaque;
    unsigned region = addr >> 28;
    ArmIdau r = { .secure = region & 1, .region = (int)region };
    if (addr >> 20 == 0xe00) { /* private peripheral bus */
        r.exempt = true;
        r.secure = false;
        return r;
    }
    r.callable = (region == 1 && s->nsccfg & 1) || (region == 3 && s->nsccfg & 2);
    return r;
}

/* --- peripherals behind a gate: at `at` Non-secure, at `at` + bit 28 Secure --- */

typedef struct Gated {
    const char *type, *id;
    uint32_t at;
    uint16_t irq[5];
    uint8_t serial;
    const char *props;
    uint8_t ppc, port;
} Gated;

#define UART(n, at_, rx, tx, over, port_) \
    { "cmsdk-apb-uart", "uart" #n, at_, { MCU_IRQ(tx), MCU_IRQ(rx), MCU_IRQ(over), MCU_IRQ(over) }, n + 1, NULL, \
        IOT_APB_PPCEXP0 + 1, port_ }
#define GPIO(n, at_, irq_) { "cmsdk-ahb-gpio", "gpio" #n, at_, { MCU_IRQ(irq_) }, 0, NULL, IOT_AHB_PPCEXP0, n }
#define CLOCK "20000000"
static const Gated sse200_gated[] = {
    { "cmsdk-apb-timer", "timer0", 0x40000000, { MCU_IRQ(3) }, 0, "pclk-frq=" CLOCK, IOT_APB_PPC0, 0 },
    { "cmsdk-apb-timer", "timer1", 0x40001000, { MCU_IRQ(4) }, 0, "pclk-frq=" CLOCK, IOT_APB_PPC0, 1 },
    { "cmsdk-apb-dualtimer", "dualtimer", 0x40002000, { MCU_IRQ(5) }, 0, "timclk-frq=" CLOCK, IOT_APB_PPC0, 2 },
    { "cmsdk-apb-timer", "s32ktimer", 0x4002f000, { MCU_IRQ(2) }, 0, "pclk-frq=32000", IOT_APB_PPC0 + 1, 0 },
    UART(0, 0x40200000, 32, 33, 47, 5),
    UART(1, 0x40201000, 34, 35, 47, 6),
    UART(2, 0x40202000, 36, 37, 47, 7),
    UART(3, 0x40203000, 38, 39, 47, 8),
    UART(4, 0x40204000, 40, 41, 47, 9),
    { "pl022", "spi0", 0x40205000, { MCU_IRQ(51) }, 0, NULL, IOT_APB_PPCEXP0 + 1, 0 },
    { "pl022", "spi1", 0x40206000, { MCU_IRQ(52) }, 0, NULL, IOT_APB_PPCEXP0 + 1, 1 },
    { "pl022", "spi2", 0x40209000, { MCU_IRQ(53) }, 0, NULL, IOT_APB_PPCEXP0 + 1, 2 },
    { "pl022", "spi3", 0x4020a000, { MCU_IRQ(54) }, 0, NULL, IOT_APB_PPCEXP0 + 1, 3 },
    { "pl022", "spi4", 0x4020b000, { MCU_IRQ(55) }, 0, NULL, IOT_APB_PPCEXP0 + 1, 4 },
    { "mps2-fpgaio", "fpgaio", 0x40302000, { 0 }, 0, "prescale-clk=" CLOCK, IOT_APB_PPCEXP0 + 2, 2 },
    { "lan9118", "eth0", 0x42000000, { MCU_IRQ(48) }, 0, NULL, IOT_AHB_PPCEXP0, 4 },
    GPIO(0, 0x40100000, 68),
    GPIO(1, 0x40101000, 69),
    GPIO(2, 0x40102000, 70),
    GPIO(3, 0x40103000, 71),
    { NULL },
};
/* AN521 only: what its two CPUs have between them. */
static const Gated an521_mhus[] = {
    { "armsse-mhu", "mhu0", 0x40003000, { 0 }, 0, NULL, IOT_APB_PPC0, 3 },
    { "armsse-mhu", "mhu1", 0x40004000, { 0 }, 0, NULL, IOT_APB_PPC0, 4 },
    { NULL },
};
static const Gated an505_scc = {
    "mps2-scc", "scc", 0x40300000, { 0 }, 0, "scc-cfg4=2,scc-aid=0x00200008,scc-id=0x41045050", IOT_APB_PPCEXP0 + 2, 0
};
static const Gated an521_scc = {
    "mps2-scc", "scc", 0x40300000, { 0 }, 0, "scc-cfg4=2,scc-aid=0x00200008,scc-id=0x41045210", IOT_APB_PPCEXP0 + 2, 0
};

#undef UART
#define UART(n, at_, rx, tx, port_) \
    { "cmsdk-apb-uart", "uart" #n, at_, { MCU_IRQ(tx), MCU_IRQ(rx), MCU_IRQ(48), MCU_IRQ(48) }, n + 1, NULL, \
        IOT_APB_PPCEXP0 + 2, port_ }
#define SSE_TIMER(n, at_, irq_, port_) \
    { "sse-timer", "timer" #n, at_, { MCU_IRQ(irq_) }, 0, "counter=counter", IOT_APB_PPC0, port_ }
static const Gated sse300_gated[] = {
    SSE_TIMER(0, 0x48000000, 3, 0),
    SSE_TIMER(1, 0x48001000, 4, 1),
    SSE_TIMER(2, 0x48002000, 5, 2),
    SSE_TIMER(3, 0x48003000, 27, 5),
    { "cmsdk-apb-timer", "s32ktimer", 0x4802f000, { MCU_IRQ(2) }, 0, "pclk-frq=32000", IOT_APB_PPC0 + 1, 0 },
    { "lan9118", "eth0", 0x41400000, { MCU_IRQ(49) }, 0, NULL, IOT_AHB_PPCEXP0, 4 },
    GPIO(0, 0x41100000, 69),
    GPIO(1, 0x41101000, 70),
    GPIO(2, 0x41102000, 71),
    GPIO(3, 0x41103000, 72),
    UART(0, 0x49303000, 33, 34, 3),
    UART(1, 0x49304000, 35, 36, 4),
    UART(2, 0x49305000, 37, 38, 5),
    UART(3, 0x49306000, 39, 40, 6),
    UART(4, 0x49307000, 41, 42, 7),
    { "mps2-fpgaio",
      "fpgaio",
      0x49302000,
      { 0 },
      0,
      "prescale-clk=32000000,num-leds=10,has-switches=on,has-dbgctrl=on",
      IOT_APB_PPCEXP0 + 2,
      2 },
    { "mps2-scc",
      "scc",
      0x49300000,
      { 0 },
      0,
      "scc-cfg4=2,scc-aid=0x00200008,scc-id=0x41055470",
      IOT_APB_PPCEXP0 + 2,
      0 },
    { NULL },
};

static bool add_gated(McuMachine *m, const Gated *g, const IotSec *sec, Error **errp)
{
    const McuPart part = { g->type,   g->id,   0, { g->irq[0], g->irq[1], g->irq[2], g->irq[3], g->irq[4] },
                           g->serial, g->props };
    if (!mcu_add_part(m, &part, errp))
        return false;
    IotGate gate = {
        .name = g->id, .target = device_find(g->id)->region[0], .sec = sec, .ppc = g->ppc, .port = g->port
    };
    mem_map(m->machine.memory, g->at, mcu_own(m, iot_gate_new(&gate)), 0);
    gate.secure_alias = true;
    mem_map(m->machine.memory, g->at | S_ALIAS, mcu_own(m, iot_gate_new(&gate)), 0);
    return true;
}

/* A device of the subsystem at its Secure address, and optionally the Non-secure one. */
static void both(McuMachine *m, MemRegion *r, uint32_t at)
{
    mem_map(m->machine.memory, at | S_ALIAS, r, 0);
    mem_map(m->machine.memory, at, mcu_own(m, mem_alias_new("non-secure", r, 0, mem_size(r))), 0);
}

static const McuPart subsystem[] = {
    { "iotkit-secctl", "secctl" }, { "iotkit-sysctl", "sysctl" }, { 0 },
};
static const McuPart sse200_watchdogs[] = {
    { "cmsdk-apb-watchdog", "s-watchdog", 0, { MCU_NMI }, .props = "wdogclk-frq=" CLOCK },
    { "cmsdk-apb-watchdog", "ns-watchdog", 0, { MCU_IRQ(1) }, .props = "wdogclk-frq=" CLOCK }, { 0 },
};
static const McuPart sse300_watchdogs[] = {
    { "sse-watchdog", "s-watchdog", 0, { MCU_NMI }, .props = "counter=counter,resets=on" },
    { "sse-watchdog", "ns-watchdog", 0, { MCU_IRQ(1), MCU_IRQ(0) }, .props = "counter=counter" }, { 0 },
};

static const McuMem sse200_mem[] = {
    { "ssram1", MCU_RAM, 0x00000000, 4 * MiB }, { "ssram1-s", MCU_ALIAS, 0x10000000, 4 * MiB, 0x00000000 },
    { "sram", MCU_RAM, 0x20000000, 128 * KiB }, { "sram-s", MCU_ALIAS, 0x30000000, 128 * KiB, 0x20000000 },
    { "ssram23", MCU_RAM, 0x28000000, 4 * MiB }, { "ssram23-s", MCU_ALIAS, 0x38000000, 4 * MiB, 0x28000000 },
    { "psram", MCU_RAM, 0x80000000, 16 * MiB }, { 0 },
};
static const McuMem sse300_mem[] = {
    { "itcm", MCU_RAM, 0x00000000, 512 * KiB }, { "itcm-s", MCU_ALIAS, 0x10000000, 512 * KiB, 0x00000000 },
    { "sram", MCU_RAM, 0x01000000, 2 * MiB }, { "sram-s", MCU_ALIAS, 0x11000000, 2 * MiB, 0x01000000 },
    { "dtcm", MCU_RAM, 0x20000000, 512 * KiB }, { "dtcm-s", MCU_ALIAS, 0x30000000, 512 * KiB, 0x20000000 },
    { "isram", MCU_RAM, 0x21000000, 4 * MiB }, { "isram-s", MCU_ALIAS, 0x31000000, 4 * MiB, 0x21000000 },
    { "qspi", MCU_RAM, 0x28000000, 8 * MiB }, { "qspi-s", MCU_ALIAS, 0x38000000, 8 * MiB, 0x28000000 },
    { "ddr", MCU_RAM, 0x60000000, 2 * GiB }, { 0 },
};

/*
 * A memory protection controller: its registers, the memory (Non-secure address), size and blocks in KiB, bit of
 * SECMPCINTSTATUS.
 */
typedef struct Mpc { const char *id; uint32_t registers, memory, size, block; uint8_t bit; bool open; } Mpc;
static const Mpc sse200_mpcs[] = {
    { "mpc-sram0", 0x50083000, 0x20000000, 32, 4, 0 }, { "mpc-sram1", 0x50084000, 0x20008000, 32, 4, 1 },
    { "mpc-sram2", 0x50085000, 0x20010000, 32, 4, 2 }, { "mpc-sram3", 0x50086000, 0x20018000, 32, 4, 3 },
    { "mpc-ssram1", 0x58007000, 0x00000000, 4096, 32, 16 }, { "mpc-ssram2", 0x58008000, 0x28000000, 2048, 32, 17 },
    { "mpc-ssram3", 0x58009000, 0x28200000, 2048, 32, 18 }, { NULL },
};
static const Mpc sse300_mpcs[] = {
    { "mpc-isram0", 0x50083000, 0x21000000, 2048, 32, 0 }, { "mpc-isram1", 0x50084000, 0x21200000, 2048, 32, 1 },
    { "mpc-sram", 0x57000000, 0x01000000, 2048, 32, 16 }, { "mpc-qspi", 0x57001000, 0x28000000, 8192, 32, 17 },
    /* the DDR has no second address here */
    { "mpc-ddr", 0x57002000, 0x60000000, 32768, 64, 18, .open = true }, { NULL },
};
enum { MPC_INTERRUPT = 9 };

static MemRegion *region(const char *id, unsigned n) { return device_find(id)->region[n]; }

static bool add_mpc(McuMachine *m, const Mpc *p, const McuMem *memories, Error **errp)
{
    g_autofree char *props = g_strdup_printf("size=%u,block-size=%u", p->size << 10, p->block << 10);
    const McuPart part = { "tz-mpc", p->id, p->registers, .props = props };
    if (!mcu_add_part(m, &part, errp))
        return false;
    Device *d = device_find(p->id);
    device_connect(d, "irq", 0, device_input(device_find("secctl"), "mpc", p->bit));
    for (unsigned i = 0; memories[i].kind && !p->open; i++) { /* a row of the table, a region of the machine */
        uint32_t offset = p->memory - memories[i].at;
        const IotMpcPlace place = { m->machine.memory, m->regions->pdata[i], offset,
                                    p->memory,         p->memory | S_ALIAS,  NS_WINDOW };
        if (memories[i].kind == MCU_RAM && offset < memories[i].size)
            iot_mpc_protect(d, &place);
    }
    return true;
}

static bool wire_subsystem(McuMachine *m, const Gated *gated, const Gated *scc, uint32_t base, const Mpc *mpcs,
                           const McuMem *memories, Error **errp)
{
    for (const McuPart *p = subsystem; p->type; p++) {
        if (!mcu_add_part(m, p, errp))
            return false;
    }
    IotSec *sec = (IotSec *)device_find("secctl");
    arm_board_set_idau(idau, sec);
    for (const Gated *g = gated; g->type; g++) {
        if (!add_gated(m, g, sec, errp))
            return false;
    }
    if (scc && !add_gated(m, scc, sec, errp))
        return false;
    mem_map(m->machine.memory, NS_WINDOW,
            mcu_own(m, mem_alias_new("non-secure transactions", m->machine.memory, 0, NS_WINDOW)), 0);
    device_connect(&sec->dev, "mpc-irq", 0, mcu_irq(m, MPC_INTERRUPT));
    for (const Mpc *p = mpcs; p->id; p++) {
        if (!add_mpc(m, p, memories, errp))
            return false;
    }
    MemRegion *memory = m->machine.memory;
    both(m, region("sysctl", 1), base + 0x20000);
    mem_map(memory, (base | S_ALIAS) + 0x21000, region("sysctl", 0), 0);
    mem_map(memory, 0x50080000, region("secctl", 0), 0);
    mem_map(memory, 0x40080000, region("secctl", 1), 0);
    return true;
}

static bool add_watchdogs(McuMachine *m, const McuPart *dogs, uint32_t at, Error **errp)
{
    for (const McuPart *p = dogs; p->type; p++) {
        if (!mcu_add_part(m, p, errp))
            return false;
    }
    mem_map(m->machine.memory, at | S_ALIAS, region("s-watchdog", 0), 0);
    mem_map(m->machine.memory, at, region("ns-watchdog", 0), 0);
    return true;
}

static bool wire_sse200(McuMachine *m, const Gated *scc, Error **errp)
{
    return wire_subsystem(m, sse200_gated, scc, 0x40000000, sse200_mpcs, sse200_mem, errp) &&
           add_watchdogs(m, sse200_watchdogs, 0x40081000, errp);
}

static bool wire_an505(McuMachine *m, Error **errp) { return wire_sse200(m, &an505_scc, errp); }

static void start_cpu(void *opaque, int n, int vtor) { arm_board_m_cpu_on((unsigned)n, (uint32_t)vtor); }

static bool wire_an521(McuMachine *m, Error **errp)
{
    static const McuPart identity = { "armsse-cpuid", "cpuid" };
    IotSec *sec;
    if (!wire_sse200(m, &an521_scc, errp) || !mcu_add_part(m, &identity, errp))
        return false;
    sec = (IotSec *)device_find("secctl");
    for (unsigned i = 0; an521_mhus[i].type; i++) {
        if (!add_gated(m, &an521_mhus[i], sec, errp))
            return false;
        for (unsigned cpu = 0; cpu < 2; cpu++)
            device_connect(device_find(an521_mhus[i].id), "cpu", cpu, arm_board_nvic_input(cpu, 6 + i));
    }
    device_set_default(device_find("sysctl"), "cpuwait-reset", "2");
    device_connect(device_find("sysctl"), "start", 1, (Irq){ .set = start_cpu, .n = 1 });
    both(m, region("cpuid", 0), 0x4001f000);
    return true;
}

static bool wire_an547(McuMachine *m, Error **errp)
{
    static const McuPart counter = { "sse-counter", "counter", 0x58100000 };
    if (!mcu_add_part(m, &counter, errp))
        return false;
    both(m, region("counter", 1), 0x48101000);
    if (!wire_subsystem(m, sse300_gated, NULL, 0x48000000, sse300_mpcs, sse300_mem, errp) ||
        !add_watchdogs(m, sse300_watchdogs, 0x48040000, errp))
        return false;
    mem_map(m->machine.memory, 0x58041000, region("s-watchdog", 1), 0); /* their refresh frames */
    mem_map(m->machine.memory, 0x48041000, region("ns-watchdog", 1), 0);
    device_connect(device_find("counter"), "changed", 4, device_input(device_find("s-watchdog"), "changed", 0));
    device_connect(device_find("counter"), "changed", 5, device_input(device_find("ns-watchdog"), "changed", 0));
    for (unsigned i = 0; i < 4; i++) {
        char id[] = "timer0";
        id[5] = (char)('0' + i);
        device_connect(device_find("counter"), "changed", i, device_input(device_find(id), "changed", 0));
    }
    return true;
}

/* --- boards --- */

static const UnmodelledRange sse200_unmodelled[] = {
    { "dma", 0x40110000, 0x4000 },           { "dma-s", 0x50110000, 0x4000 },
    { "i2c", 0x40207000, 0x2000 },           { "i2c-s", 0x50207000, 0x2000 },
    { "i2c-shield", 0x4020c000, 0x2000 },    { "i2c-shield-s", 0x5020c000, 0x2000 },
    { "i2s", 0x40301000, 0x1000 },           { "i2s-s", 0x50301000, 0x1000 },
    { "vga", 0x41000000, 0x200000 },         { "vga-s", 0x51000000, 0x200000 },
    { "ethernet", 0x42000000, 0x100000 },    { "ethernet-s", 0x52000000, 0x100000 },
    { "cpu-local", 0x40010000, 0x10000 },    { "cpu-local-s", 0x50010000, 0x10000 },
    { "power-control", 0x50022000, 0xd000 }, { NULL },
};
static const UnmodelledRange sse300_unmodelled[] = {
    { "timers", 0x48000000, 0x10000 },
    { "timers-s", 0x58000000, 0x10000 },
    { "system", 0x48020000, 0x30000 },
    { "system-s", 0x58020000, 0x30000 },
    { "dma", 0x41200000, 0x4000 },
    { "dma-s", 0x51200000, 0x4000 },
    { "ethernet-usb", 0x41400000, 0x200000 },
    { "ethernet-usb-s", 0x51400000, 0x200000 },
    { "i2c-spi", 0x49200000, 0x10000 },
    { "i2c-spi-s", 0x59200000, 0x10000 },
    { "fpga", 0x49300000, 0x10000 },
    { "fpga-s", 0x59300000, 0x10000 },
    { "cpu-local", 0x40010000, 0x10000 },
    { "cpu-local-s", 0x50010000, 0x10000 },
    { NULL },
};

#define M33 \
    .m_ns_window = NS_WINDOW, .m_irqs = 124, .m_cpuclk_hz = 20000000, .m_refclk_hz = 1000000, .m_prio_bits = 3, \
    .m_init_svtor = 0x10000000
static const McuBoard an505 = { sse200_mem, NULL, sse200_unmodelled, .cpu = { M33 }, .wire = wire_an505 };
static const McuBoard an521 = {
    sse200_mem, NULL, sse200_unmodelled, .cpus = 2, .cpu = { M33, .secondaries_off = true }, .wire = wire_an521
};
static const McuBoard an547 = {
    sse300_mem,
    NULL,
    sse300_unmodelled,
    .cpu = { .m_ns_window = NS_WINDOW,
             .m_irqs = 128,
             .m_cpuclk_hz = 32000000,
             .m_refclk_hz = 1000000,
             .m_prio_bits = 3 },
    .wire = wire_an547,
};

MCU_MACHINE(an505_machine, "mps2-an505", "Arm MPS2 with the AN505 image, Cortex-M33", "cortex-m33", an505, 16 * MiB)
MCU_MACHINE(an521_machine, "mps2-an521", "Arm MPS2 with the AN521 image, two Cortex-M33", "cortex-m33", an521, 16 * MiB)
MCU_MACHINE(an547_machine, "mps3-an547", "Arm MPS3 with the AN547 image, Cortex-M55", "cortex-m55", an547, 16 * MiB)
