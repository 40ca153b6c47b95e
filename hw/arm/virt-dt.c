/* SPDX-License-Identifier: MIT */
/* The device tree of the virt machine (Devicetree Specification 0.4; bindings of the Linux kernel's documentation). */
#include <stdio.h>
#include <string.h>
#include "hw/arm/virt.h"

enum {
    PHANDLE_CLOCK = 0x8000,
    PHANDLE_GIC,
    PHANDLE_MSI,
    PHANDLE_GPIO,
    PHANDLE_SECURE_GPIO,
    PHANDLE_IOMMU,
    PHANDLE_CPU0
};
enum { SPI = 0, PPI = 1, EDGE = 1, LEVEL = 4 };

static void secure_only(DevTree *t, const char *path)
{
    dt_string(t, path, "status", "disabled");
    dt_string(t, path, "secure-status", "okay");
}

static void reg1(DevTree *t, const char *path, uint64_t base, uint64_t size)
{
    dt_set(t, path, "reg", HI32(base), LO32(base), HI32(size), LO32(size));
}

/* ---- CPUs ---- */

static const char *cpu_compatible(const VirtFacts *v, char *buf, size_t len)
{
    if (!g_str_has_prefix(v->cpu_model, "cortex-") && !g_str_has_prefix(v->cpu_model, "neoverse-"))
        return "arm,cortex-a57";
    snprintf(buf, len, "arm,%s", v->cpu_model);
    return buf;
}

static void add_cpus(DevTree *t, const VirtFacts *v)
{
    char compatible[64], path[96];
    dt_set(t, "/cpus", "#address-cells", 1);
    dt_set(t, "/cpus", "#size-cells", 0);
    for (unsigned i = v->cpus; i-- > 0;) {
        snprintf(path, sizeof(path), "/cpus/cpu@%u", i);
        dt_string(t, path, "device_type", "cpu");
        dt_string(t, path, "compatible", cpu_compatible(v, compatible, sizeof(compatible)));
        if (v->psci && v->cpus > 1)
            dt_string(t, path, "enable-method", "psci");
        dt_set(t, path, "reg", v->mpidr[i]);
        if (v->numa)
            dt_set(t, path, "numa-node-id", v->numa->cpu_node[i]);
        dt_set(t, path, "phandle", PHANDLE_CPU0 + i);
    }
    for (unsigned i = v->cpus; i-- > 0;) {
        unsigned thread = i % v->threads, core = i / v->threads % v->cores,
                 cluster = i / v->threads / v->cores % v->clusters;
        unsigned socket = i / v->threads / v->cores / v->clusters;
        int n = snprintf(path, sizeof(path), "/cpus/cpu-map/socket%u/cluster%u/core%u", socket, cluster, core);
        if (v->threads > 1)
            snprintf(path + n, sizeof(path) - (size_t)n, "/thread%u", thread);
        dt_set(t, path, "cpu", PHANDLE_CPU0 + i);
    }
}

/* ---- interrupt controller, timer, PMU ---- */

static void add_gic(DevTree *t, const VirtFacts *v)
{
    const char *gic = "/intc@8000000";
    dt_set(t, gic, "phandle", PHANDLE_GIC);
    dt_set(t, gic, "#interrupt-cells", 3);
    dt_empty(t, gic, "interrupt-controller");
    dt_set(t, gic, "#address-cells", 2);
    dt_set(t, gic, "#size-cells", 2);
    dt_empty(t, gic, "ranges");
    if (v->gic_version == 2) {
        dt_string(t, gic, "compatible", "arm,cortex-a15-gic");
        if (v->virtualization)
            dt_set(t, gic, "reg", 0, VIRT_GIC_DIST, 0, 0x10000, 0, VIRT_GIC_CPU, 0, 0x10000, 0, VIRT_GIC_HYP, 0,
                   0x10000, 0, VIRT_GIC_VCPU, 0, 0x10000);
        else
            dt_set(t, gic, "reg", 0, VIRT_GIC_DIST, 0, 0x10000, 0, VIRT_GIC_CPU, 0, 0x10000);
    } else {
        dt_string(t, gic, "compatible", "arm,gic-v3");
        dt_set(t, gic, "#redistributor-regions", v->redist_high.size ? 2 : 1);
        if (v->redist_high.size)
            dt_set(t, gic, "reg", 0, VIRT_GIC_DIST, 0, 0x10000, 0, VIRT_GIC_REDIST, 0, VIRT_GIC_REDIST_SIZE,
                   HI32(v->redist_high.base), LO32(v->redist_high.base), 0, LO32(v->redist_high.size));
        else
            dt_set(t, gic, "reg", 0, VIRT_GIC_DIST, 0, 0x10000, 0, VIRT_GIC_REDIST, 0, VIRT_GIC_REDIST_SIZE);
    }
    if (v->virtualization)
        dt_set(t, gic, "interrupts", PPI, VIRT_PPI_MAINTENANCE - 16, LEVEL);
}

static void add_msi(DevTree *t, const VirtFacts *v)
{
    const char *frame = "/intc@8000000/v2m@8020000", *its = "/intc@8000000/its@8080000";
    if (v->gic_version == 2) {
        dt_string(t, frame, "compatible", "arm,gic-v2m-frame");
        dt_empty(t, frame, "msi-controller");
        reg1(t, frame, VIRT_GIC_V2M, 0x1000);
        dt_set(t, frame, "phandle", PHANDLE_MSI);
    } else if (v->its) {
        dt_string(t, its, "compatible", "arm,gic-v3-its");
        dt_empty(t, its, "msi-controller");
        dt_set(t, its, "#msi-cells", 1);
        reg1(t, its, VIRT_GIC_ITS, 0x20000);
        dt_set(t, its, "phandle", PHANDLE_MSI);
    }
}

/* GICv2: the upper byte says which CPUs a PPI goes to. */
static uint32_t ppi_flags(const VirtFacts *v)
{
    return v->gic_version == 2 ? (uint32_t)(BIT(MIN(v->cpus, 8)) - 1) << 8 | LEVEL : LEVEL;
}

static void add_timer(DevTree *t, const VirtFacts *v)
{
    static const char v8[] = "arm,armv8-timer\0arm,armv7-timer", v7[] = "arm,armv7-timer";
    uint32_t f = ppi_flags(v);
    if (v->v8)
        DT_STRINGS(t, "/timer", "compatible", v8);
    else
        DT_STRINGS(t, "/timer", "compatible", v7);
    dt_empty(t, "/timer", "always-on");
    dt_set(t, "/timer", "interrupts", PPI, VIRT_PPI_SECURE_TIMER - 16, f, PPI, VIRT_PPI_PHYS_TIMER - 16, f,
           PPI, VIRT_PPI_VIRT_TIMER - 16, f, PPI, VIRT_PPI_HYP_TIMER - 16, f);
    if (!v->pmu)
        return;
    dt_string(t, "/pmu", "compatible", "arm,armv8-pmuv3");
    dt_set(t, "/pmu", "interrupts", PPI, VIRT_PPI_PMU - 16, f);
}

static void add_psci(DevTree *t, const VirtFacts *v)
{
    static const char versions[] = "arm,psci-1.0\0arm,psci-0.2\0arm,psci";
    uint32_t base = v->a64 ? 0xc4000000 : 0x84000000;
    if (!v->psci)
        return;
    DT_STRINGS(t, "/psci", "compatible", versions);
    dt_string(t, "/psci", "method", v->psci);
    dt_set(t, "/psci", "cpu_suspend", base + 1);
    dt_set(t, "/psci", "cpu_off", 0x84000002);
    dt_set(t, "/psci", "cpu_on", base + 3);
    dt_set(t, "/psci", "migrate", base + 5);
}

/* ---- devices ---- */

static void add_clock(DevTree *t)
{
    dt_string(t, "/apb-pclk", "compatible", "fixed-clock");
    dt_set(t, "/apb-pclk", "#clock-cells", 0);
    dt_set(t, "/apb-pclk", "clock-frequency", 24000000);
    dt_string(t, "/apb-pclk", "clock-output-names", "clk24mhz");
    dt_set(t, "/apb-pclk", "phandle", PHANDLE_CLOCK);
}

static void add_uart(DevTree *t, uint64_t base, unsigned spi, bool secure)
{
    static const char compatible[] = "arm,pl011\0arm,primecell", names[] = "uartclk\0apb_pclk";
    g_autofree char *path = g_strdup_printf("/pl011@%" G_GINT64_MODIFIER "x", base);
    DT_STRINGS(t, path, "compatible", compatible);
    reg1(t, path, base, 0x1000);
    dt_set(t, path, "interrupts", SPI, spi, LEVEL);
    dt_set(t, path, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
    DT_STRINGS(t, path, "clock-names", names);
    if (secure)
        secure_only(t, path);
    dt_string(t, secure ? "/secure-chosen" : "/chosen", "stdout-path", path);
}

static void add_rtc(DevTree *t)
{
    static const char compatible[] = "arm,pl031\0arm,primecell";
    const char *path = "/pl031@9010000";
    DT_STRINGS(t, path, "compatible", compatible);
    reg1(t, path, VIRT_RTC, 0x1000);
    dt_set(t, path, "interrupts", SPI, VIRT_SPI_RTC, LEVEL);
    dt_set(t, path, "clocks", PHANDLE_CLOCK);
    dt_string(t, path, "clock-names", "apb_pclk");
}

static void add_pl061(DevTree *t, const char *path, uint64_t base, unsigned spi, uint32_t phandle)
{
    static const char compatible[] = "arm,pl061\0arm,primecell";
    DT_STRINGS(t, path, "compatible", compatible);
    reg1(t, path, base, 0x1000);
    dt_set(t, path, "#gpio-cells", 2);
    dt_empty(t, path, "gpio-controller");
    dt_set(t, path, "interrupts", SPI, spi, LEVEL);
    dt_set(t, path, "clocks", PHANDLE_CLOCK);
    dt_string(t, path, "clock-names", "apb_pclk");
    dt_set(t, path, "phandle", phandle);
}

static void add_gpio(DevTree *t, const VirtFacts *v)
{
    static const char *const secure[] = { "poweroff", "restart" };
    add_pl061(t, "/pl061@9030000", VIRT_GPIO, VIRT_SPI_GPIO, PHANDLE_GPIO);
    dt_string(t, "/gpio-keys", "compatible", "gpio-keys");
    dt_string(t, "/gpio-keys/poweroff", "label", "GPIO Key Poweroff");
    dt_set(t, "/gpio-keys/poweroff", "linux,code", 116); /* KEY_POWER */
    dt_set(t, "/gpio-keys/poweroff", "gpios", PHANDLE_GPIO, VIRT_POWER_KEY, 0);
    if (!v->secure)
        return;
    add_pl061(t, "/pl061@90b0000", VIRT_SECURE_GPIO, VIRT_SPI_SECURE_GPIO, PHANDLE_SECURE_GPIO);
    secure_only(t, "/pl061@90b0000");
    for (unsigned i = 0; i < ARRAY_LEN(secure); i++) {
        g_autofree char *name = g_strdup_printf("gpio-%s", secure[i]), *path = g_strdup_printf("/%s", name);
        dt_string(t, path, "compatible", name);
        dt_set(t, path, "gpios", PHANDLE_SECURE_GPIO, i, 0);
        secure_only(t, path);
    }
}

static void add_flash(DevTree *t, const VirtFacts *v)
{
    const char *shared = v->secure ? "/flash@4000000" : "/flash@0";
    if (v->secure) {
        reg1(t, "/secflash@0", VIRT_FLASH0, VIRT_FLASH_SIZE);
        dt_string(t, "/secflash@0", "compatible", "cfi-flash");
        dt_set(t, "/secflash@0", "bank-width", 4);
        secure_only(t, "/secflash@0");
        reg1(t, shared, VIRT_FLASH1, VIRT_FLASH_SIZE);
    } else {
        dt_set(t, shared, "reg", 0, VIRT_FLASH0, 0, VIRT_FLASH_SIZE, 0, VIRT_FLASH1, 0, VIRT_FLASH_SIZE);
    }
    dt_string(t, shared, "compatible", "cfi-flash");
    dt_set(t, shared, "bank-width", 4);
}

static void add_virtio(DevTree *t)
{
    for (unsigned i = VIRT_MMIO_COUNT; i-- > 0;) {
        uint64_t base = VIRT_MMIO + i * VIRT_MMIO_SIZE;
        g_autofree char *path = g_strdup_printf("/virtio_mmio@%" G_GINT64_MODIFIER "x", base);
        dt_string(t, path, "compatible", "virtio,mmio");
        reg1(t, path, base, VIRT_MMIO_SIZE);
        dt_set(t, path, "interrupts", SPI, VIRT_SPI_MMIO + i, EDGE);
        dt_empty(t, path, "dma-coherent");
    }
}

/* Slot and pin to SPI: the swizzle over four lines repeats every four slots. */
static void add_interrupt_map(DevTree *t, const char *path)
{
    uint32_t map[16 * 10], *p = map;
    for (unsigned slot = 0; slot < 4; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            const uint32_t row[10] = {
                slot << 11, 0, 0, pin + 1, PHANDLE_GIC, 0, 0, SPI, VIRT_SPI_PCIE + (slot + pin) % 4, LEVEL
            };
            memcpy(p, row, sizeof(row));
            p += 10;
        }
    }
    dt_cells(t, path, "interrupt-map", ARRAY_LEN(map), map);
    dt_set(t, path, "interrupt-map-mask", 0x1800, 0, 0, 7);
    dt_set(t, path, "#interrupt-cells", 1);
}

static void add_pcie(DevTree *t, const VirtFacts *v)
{
    const char *path = "/pcie@10000000";
    const uint32_t low[] = { 0x01000000, 0, 0, HI32(VIRT_PCIE_PIO), LO32(VIRT_PCIE_PIO), 0, VIRT_PCIE_PIO_SIZE,
                             0x02000000, 0, VIRT_PCIE_MMIO, 0, VIRT_PCIE_MMIO, 0, VIRT_PCIE_MMIO_SIZE };
    uint32_t ranges[ARRAY_LEN(low) + 7], n = ARRAY_LEN(low);
    const VirtRange *h = &v->mmio_high;
    memcpy(ranges, low, sizeof(low));
    if (h->size) {
        const uint32_t high[] = { 0x03000000,    HI32(h->base), LO32(h->base), HI32(h->base),
                                  LO32(h->base), HI32(h->size), LO32(h->size) };
        memcpy(ranges + n, high, sizeof(high));
        n += ARRAY_LEN(high);
    }
    dt_string(t, path, "compatible", "pci-host-ecam-generic");
    dt_string(t, path, "device_type", "pci");
    dt_set(t, path, "#address-cells", 3);
    dt_set(t, path, "#size-cells", 2);
    dt_set(t, path, "linux,pci-domain", 0);
    dt_set(t, path, "bus-range", 0, LO32(v->ecam.size / MiB - 1));
    dt_empty(t, path, "dma-coherent");
    if (v->gic_version == 2 || v->its)
        dt_set(t, path, "msi-map", 0, PHANDLE_MSI, 0, 0x10000);
    reg1(t, path, v->ecam.base, v->ecam.size);
    dt_cells(t, path, "ranges", n, ranges);
    add_interrupt_map(t, path);
}

/* All functions but the IOMMU itself are translated (bindings virtio/iommu, pci/pci-iommu). */
static void add_iommu(DevTree *t, const VirtFacts *v)
{
    static const char compatible[] = "virtio,pci-iommu\0pci1af4,1057";
    char path[64];
    uint32_t id = v->iommu_devfn, after = id + 1;
    if (!v->iommu)
        return;
    snprintf(path, sizeof(path), "/pcie@10000000/virtio_iommu@%x,%x", id >> 3, id & 7);
    DT_STRINGS(t, path, "compatible", compatible);
    dt_set(t, path, "reg", id << 8, 0, 0, 0, 0);
    dt_set(t, path, "#iommu-cells", 1);
    dt_set(t, path, "phandle", PHANDLE_IOMMU);
    if (id)
        dt_set(t, "/pcie@10000000", "iommu-map", 0, PHANDLE_IOMMU, 0, id, after, PHANDLE_IOMMU, after, 0x10000 - after);
    else
        dt_set(t, "/pcie@10000000", "iommu-map", after, PHANDLE_IOMMU, after, 0x10000 - after);
}

static void add_fw_cfg(DevTree *t)
{
    const char *path = "/fw-cfg@9020000";
    dt_string(t, path, "compatible", "qemu,fw-cfg-mmio");
    reg1(t, path, VIRT_FW_CFG, 0x18);
    dt_empty(t, path, "dma-coherent");
}

static void add_platform_bus(DevTree *t)
{
    static const char compatible[] = "qemu,platform\0simple-bus";
    const char *path = "/platform-bus@c000000";
    DT_STRINGS(t, path, "compatible", compatible);
    dt_set(t, path, "#address-cells", 1);
    dt_set(t, path, "#size-cells", 1);
    dt_set(t, path, "ranges", 0, 0, VIRT_PLATFORM_BUS, VIRT_PLATFORM_BUS_SIZE);
    dt_set(t, path, "interrupt-parent", PHANDLE_GIC);
}

/* New at each start: what the kernel seeds its random numbers and its own address with. */
static void add_seeds(DevTree *t, const char *path)
{
    uint32_t seed[10];
    for (unsigned i = 0; i < ARRAY_LEN(seed); i++)
        seed[i] = g_random_int();
    dt_cells(t, path, "kaslr-seed", 2, seed);
    dt_cells(t, path, "rng-seed", 8, seed + 2);
}

/* Memory by node, and how far nodes are from each other (binding "numa"). */
static void add_nodes(DevTree *t, const NumaConfig *c)
{
    uint64_t at = VIRT_RAM;
    for (unsigned i = 0; i < c->nodes; i++) {
        g_autofree char *path = g_strdup_printf("/memory@%" G_GINT64_MODIFIER "x", at);
        if (!c->memory[i])
            continue;
        reg1(t, path, at, c->memory[i]);
        dt_string(t, path, "device_type", "memory");
        dt_set(t, path, "numa-node-id", i);
        at += c->memory[i];
    }
    if (!c->has_distances)
        return;
    unsigned n = 0;
    g_autofree uint32_t *cells = g_new(uint32_t, 3 * c->nodes * c->nodes);
    for (unsigned i = 0; i < c->nodes * c->nodes; i++) {
        cells[n++] = i / c->nodes;
        cells[n++] = i % c->nodes;
        cells[n++] = c->distance[i / c->nodes][i % c->nodes];
    }
    dt_string(t, "/distance-map", "compatible", "numa-distance-map-v1");
    dt_cells(t, "/distance-map", "distance-matrix", n, cells);
}

static void add_memory(DevTree *t, const VirtFacts *v)
{
    if (v->numa) {
        add_nodes(t, v->numa);
    } else {
        reg1(t, "/memory@40000000", VIRT_RAM, v->ram_size);
        dt_string(t, "/memory@40000000", "device_type", "memory");
    }
    if (!v->secure)
        return;
    reg1(t, "/secram@e000000", VIRT_SECURE_RAM, VIRT_SECURE_RAM_SIZE);
    dt_string(t, "/secram@e000000", "device_type", "memory");
    secure_only(t, "/secram@e000000");
}

DevTree *virt_dt_build(const VirtFacts *v)
{
    DevTree *t = dt_new();
    dt_set(t, "/", "interrupt-parent", PHANDLE_GIC);
    dt_string(t, "/", "model", "linux,dummy-virt");
    dt_set(t, "/", "#size-cells", 2);
    dt_set(t, "/", "#address-cells", 2);
    dt_string(t, "/", "compatible", "linux,dummy-virt");
    if (v->randomness)
        add_seeds(t, "/chosen");
    if (v->randomness && v->secure)
        add_seeds(t, "/secure-chosen");
    add_clock(t);
    add_timer(t, v);
    add_cpus(t, v);
    add_flash(t, v);
    add_gic(t, v);
    add_msi(t, v);
    add_uart(t, VIRT_UART, VIRT_SPI_UART, false);
    if (v->secure)
        add_uart(t, VIRT_SECURE_UART, VIRT_SPI_SECURE_UART, true);
    add_rtc(t);
    add_pcie(t, v);
    add_iommu(t, v);
    add_gpio(t, v);
    add_virtio(t);
    add_fw_cfg(t);
    add_platform_bus(t);
    add_memory(t, v);
    add_psci(t, v);
    return t;
}
