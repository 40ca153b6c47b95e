/* SPDX-License-Identifier: MIT */
/* The virt machine's parts: RAM, CPUs, interrupt controllers, devices at their places (hw/arm/virt.h). */
#include <inttypes.h>
#include "chardev/chardev.h"
#include "hw/block/pflash.h"
#include "hw/core/cpu-port.h"
#include "hw/firmware/loader.h"
#include "hw/intc/arm-gic.h"
#include "hw/machine/virt-board.h"
#include "hw/mem/memory-device.h"
#include "target/arm/board.h"

enum { V2_CLUSTER = 8, V3_CLUSTER = 16 };

bool virt_add_ram(VirtBoard *b, Error **errp)
{
    Machine *m = &b->machine;
    if (!machine_make_ram(m, errp))
        return false;
    mem_map(m->memory, VIRT_RAM, m->ram, 0);
    memory_devices_init(m, VIRT_RAM + m->config.ram_size);
    memory_devices_range(&b->facts.devices.base, &b->facts.devices.size);
    if (!b->secure)
        return true;
    b->secure_ram = mem_ram_new("virt.secure-ram", VIRT_SECURE_RAM_SIZE, errp);
    if (b->secure_ram)
        mem_map(m->memory, VIRT_SECURE_RAM, b->secure_ram, 0);
    return b->secure_ram;
}

bool virt_add_cpus(VirtBoard *b, Error **errp)
{
    Machine *m = &b->machine;
    VirtFacts *f = &b->facts;
    const CpuFamily *family = cpu_family_find(m->type->arch);
    const char *model = m->config.cpu_model ? m->config.cpu_model : m->type->default_cpu;
    unsigned cluster = f->gic_version == 2 ? V2_CLUSTER : V3_CLUSTER;
    ArmBoardCpus board = { .el2 = b->virtualization,
                           .el3 = b->secure,
                           .mte = b->mte,
                           .secondaries_off = f->psci != NULL,
                           .psci = !f->psci            ? ARM_PSCI_NONE
                                   : b->virtualization ? ARM_PSCI_SMC
                                                       : ARM_PSCI_HVC };
    if (b->secure) {
        board.secure_only[0].base = VIRT_SECURE_RAM, board.secure_only[0].size = VIRT_SECURE_RAM_SIZE;
        board.secure_only[1].base = VIRT_SECURE_UART, board.secure_only[1].size = 0x1000;
        board.secure_only[2].base = VIRT_SECURE_GPIO, board.secure_only[2].size = 0x1000;
    }
    if (!family)
        return virt_refuse(b, errp, "this build has no Arm CPUs");
    arm_board_configure(&board);
    b->mpidr = g_new0(uint32_t, f->cpus);
    f->mpidr = b->mpidr;
    for (unsigned i = 0; i < f->cpus; i++) {
        b->mpidr[i] = i / cluster << 8 | i % cluster;
        if (!family->create(m, i, b->mpidr[i], model, errp))
            return false;
    }
    if (!arm_board_wants_steal_time())
        return true;
    b->steal = mem_ram_new("virt.steal-time", ARM_STEAL_SIZE, errp);
    if (b->steal)
        mem_map(m->memory, VIRT_STEAL_TIME, b->steal, 0);
    arm_board_steal_time(VIRT_STEAL_TIME);
    return b->steal;
}

/* Make a device, set "prop", "value" pairs up to NULL, start it, map its first region. */
static Device *add_device(VirtBoard *b, const char *type, const char *id, hwaddr at, Error **errp, ...)
{
    Device *d = device_new_named(type, id, errp);
    bool ok = d;
    va_list ap;
    va_start(ap, errp);
    for (const char *prop = va_arg(ap, const char *); ok && prop; prop = va_arg(ap, const char *)) {
        const char *value = va_arg(ap, const char *);
        ok = !value || device_set(d, prop, value, errp);
    }
    va_end(ap);
    if (!ok || !device_start(d, errp))
        return NULL;
    if (d->region[0])
        mem_map(b->machine.memory, at, d->region[0], 0);
    return d;
}

static Irq spi(VirtBoard *b, unsigned n)
{
    return b->facts.gic_version == 2 ? arm_gic_spi(b->gic, n) : arm_gicv3_spi(b->gic, n);
}

static void connect_cpu(VirtBoard *b, unsigned cpu)
{
    static const uint8_t timer[] = { VIRT_PPI_PHYS_TIMER, VIRT_PPI_VIRT_TIMER, VIRT_PPI_HYP_TIMER,
                                     VIRT_PPI_SECURE_TIMER, VIRT_PPI_HYPVIRT_TIMER };
    Irq (*ppi)(Device *, unsigned, unsigned) = b->facts.gic_version == 2 ? arm_gic_ppi : arm_gicv3_ppi;
    for (unsigned i = 0; i < ARRAY_LEN(timer); i++)
        arm_board_timer_irq(cpu, i, ppi(b->gic, cpu, timer[i]));
    arm_board_pmu_irq(cpu, ppi(b->gic, cpu, VIRT_PPI_PMU));
}

static bool add_gicv2(VirtBoard *b, Error **errp)
{
    static const uint64_t frame[] = { VIRT_GIC_DIST, VIRT_GIC_CPU, VIRT_GIC_HYP, VIRT_GIC_VCPU };
    char cpus[12];
    g_snprintf(cpus, sizeof(cpus), "%u", b->facts.cpus);
    b->gic = add_device(b, "arm_gic", "gic", VIRT_GIC_DIST, errp, "num-cpu", cpus, "num-irq", "288",
                        "has-security-extensions", b->secure ? "on" : "off", "has-virtualization-extensions",
                        b->virtualization ? "on" : "off", NULL);
    if (!b->gic)
        return false;
    for (unsigned i = 1; i < ARRAY_LEN(frame) && b->gic->region[i]; i++)
        mem_map(b->machine.memory, frame[i], b->gic->region[i], 0);
    if (!arm_gic_place(b->gic, VIRT_GIC_DIST, VIRT_GIC_CPU, errp))
        return false;
    Device *v2m = add_device(b, "arm-gicv2m", "gicv2m", VIRT_GIC_V2M, errp, "base-spi", "48", "num-spi", "64", NULL);
    for (unsigned i = 0; v2m && i < VIRT_V2M_COUNT; i++)
        device_connect(v2m, "spi", i, spi(b, VIRT_SPI_V2M + i));
    return v2m;
}

static bool add_gicv3(VirtBoard *b, Error **errp)
{
    char cpus[12];
    unsigned low = MIN(b->facts.cpus, VIRT_REDIST_LOW_CPUS);
    if (b->facts.cpus > low && !b->facts.redist_high.size)
        return virt_refuse(b, errp, "more than 123 CPUs need highmem=on and a CPU that addresses 40 bits");
    g_snprintf(cpus, sizeof(cpus), "%u", b->facts.cpus);
    b->gic = add_device(b, "arm-gicv3", "gic", VIRT_GIC_DIST, errp, "num-cpu", cpus, "num-irq", "288",
                        "has-security-extensions", b->secure ? "on" : "off", "has-lpi", b->facts.its ? "on" : "off",
                        NULL);
    if (!b->gic)
        return false;
    arm_gicv3_map_redistributors(b->gic, b->machine.memory, VIRT_GIC_REDIST, low, b->facts.redist_high.base);
    if (!arm_gicv3_place(b->gic, VIRT_GIC_DIST, VIRT_GIC_REDIST, low, b->facts.redist_high.base, errp))
        return false;
    if (!b->facts.its)
        return true;
    Device *its = add_device(b, "arm-gicv3-its", "its", VIRT_GIC_ITS, errp, "parent-gicv3", "gic", NULL);
    return its && arm_gicv3_its_place(its, VIRT_GIC_ITS, errp);
}

static bool add_gic(VirtBoard *b, Error **errp)
{
    if (b->facts.gic_version == 2 ? !add_gicv2(b, errp) : !add_gicv3(b, errp))
        return false;
    for (unsigned i = 0; i < b->facts.cpus; i++)
        connect_cpu(b, i);
    return true;
}

static bool add_uart(VirtBoard *b, unsigned n, hwaddr at, unsigned line, Error **errp)
{
    const Chardev *chr = b->machine.config.serial[n];
    g_autofree char *id = g_strdup_printf("serial%u", n);
    Device *d = add_device(b, "pl011", id, at, errp, "chardev", chr ? chardev_id(chr) : NULL, NULL);
    if (d)
        device_connect(d, "irq", 0, spi(b, line));
    return d;
}

static bool add_flash(VirtBoard *b, Error **errp)
{
    static const uint64_t at[] = { VIRT_FLASH0, VIRT_FLASH1 };
    const MachineConfig *c = &b->machine.config;
    for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
        g_autofree char *id = g_strdup_printf("virt.flash%u", i);
        b->flash[i] = add_device(b, "cfi.pflash01", id, at[i], errp, "num-blocks", "256", "sector-length", "256k",
                                 "file", c->pflash[i], "readonly", c->pflash_readonly[i] ? "on" : "off", NULL);
        if (!b->flash[i])
            return false;
    }
    if (!c->bios)
        return true;
    g_autoptr(GBytes) image = firmware_read(c, c->bios, VIRT_FLASH_SIZE, errp);
    return image && pflash_fill(b->flash[0], image, errp);
}

static bool add_gpio(VirtBoard *b, Error **errp)
{
    Device *gpio = add_device(b, "pl061", "gpio", VIRT_GPIO, errp, NULL);
    if (!gpio)
        return false;
    device_connect(gpio, "irq", 0, spi(b, VIRT_SPI_GPIO));
    b->key = add_device(b, "gpio-key", "power-key", 0, errp, NULL);
    if (!b->key)
        return false;
    device_connect(b->key, "line", 0, device_input(gpio, "gpio", VIRT_POWER_KEY));
    if (!b->secure)
        return true;
    gpio = add_device(b, "pl061", "secure-gpio", VIRT_SECURE_GPIO, errp, NULL);
    if (gpio)
        device_connect(gpio, "irq", 0, spi(b, VIRT_SPI_SECURE_GPIO));
    return gpio;
}

static bool add_memory_slots(VirtBoard *b, Error **errp)
{
    Machine *m = &b->machine;
    b->facts.memory_slots = m->config.ram_slots;
    if (!m->config.ram_slots)
        return true;
    Device *d = add_device(b, "acpi-memory-hotplug", "memory-hotplug", VIRT_MEMHP, errp, NULL);
    if (!d)
        return false;
    mem_map(m->memory, VIRT_GED, d->region[1], 0);
    mem_map(m->memory, VIRT_NVDIMM, d->region[2], 0);
    device_connect(d, "event", 0, spi(b, VIRT_SPI_GED));
    device_connect(d, "nvdimm", 0, spi(b, VIRT_SPI_GED));
    return true;
}

static MemRegion *window(VirtBoard *b, const char *name, MemRegion *of, uint64_t from, VirtRange at)
{
    MemRegion *r = mem_alias_new(name, of, from, at.size);
    mem_map(b->machine.memory, at.base, r, 0);
    return r;
}

static bool add_pcie(VirtBoard *b, Error **errp)
{
    Machine *m = &b->machine;
    char buses[8];
    g_snprintf(buses, sizeof(buses), "%u", (unsigned)(b->facts.ecam.size / MiB));
    Device *d = device_new_named("gpex-pcihost", "pcie", errp);
    if (!d || !device_set(d, "buses", buses, errp))
        return false;
    b->pcie = (Gpex *)d;
    b->pcie->io = m->io;
    b->pcie->dma_region = m->memory;
    b->pcie->dma = m->as_memory;
    if (b->facts.gic_version == 2 || b->facts.its) {
        b->pcie->msi_first = b->facts.its ? VIRT_GIC_ITS_TRANSLATER : VIRT_GIC_V2M;
        b->pcie->msi_last = b->pcie->msi_first + (b->facts.its ? 0x10000 : 0x1000) - 1;
    }
    for (unsigned i = 0; i < GPEX_LINES; i++)
        device_connect(d, "irq", i, spi(b, VIRT_SPI_PCIE + i));
    if (!device_start(d, errp))
        return false;
    mem_map(m->memory, b->facts.ecam.base, d->region[0], 0);
    b->pio = window(b, "pcie.pio", m->io, 0, (VirtRange){ VIRT_PCIE_PIO, VIRT_PCIE_PIO_SIZE });
    b->mmio = window(b, "pcie.mmio", b->pcie->mem, VIRT_PCIE_MMIO, (VirtRange){ VIRT_PCIE_MMIO, VIRT_PCIE_MMIO_SIZE });
    b->nothing = gpex_background_new(VIRT_PCIE_MMIO_SIZE + VIRT_PCIE_PIO_SIZE);
    mem_map(m->memory, VIRT_PCIE_MMIO, b->nothing, -1);
    if (b->facts.mmio_high.size) {
        b->nothing_high = gpex_background_new(b->facts.mmio_high.size);
        mem_map(m->memory, b->facts.mmio_high.base, b->nothing_high, -1);
    }
    if (b->facts.mmio_high.size)
        b->mmio_high = window(b, "pcie.mmio-high", b->pcie->mem, b->facts.mmio_high.base, b->facts.mmio_high);
    return gpex_add_root(b->pcie, errp);
}

static bool add_virtio(VirtBoard *b, Error **errp)
{
    for (unsigned i = VIRT_MMIO_COUNT; i-- > 0;) { /* the first -device sits on the last of them, as people know it */
        uint64_t at = VIRT_MMIO + i * VIRT_MMIO_SIZE;
        g_autofree char *id = g_strdup_printf("virtio-mmio%u", i), *index = g_strdup_printf("%u", i),
                        *addr = g_strdup_printf("%" PRIu64, at);
        Device *d = add_device(b, "virtio-mmio", id, at, errp, "index", index, "addr", addr, NULL);
        if (!d)
            return false;
        device_connect(d, "irq", 0, spi(b, VIRT_SPI_MMIO + i));
    }
    return true;
}

bool virt_add_devices(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    Device *rtc;
    if (!add_gic(b, errp) || !add_flash(b, errp) || !add_uart(b, 0, VIRT_UART, VIRT_SPI_UART, errp) ||
        (b->secure && !add_uart(b, 1, VIRT_SECURE_UART, VIRT_SPI_SECURE_UART, errp)))
        return false;
    rtc = add_device(b, "pl031", "rtc", VIRT_RTC, errp, "base", c->rtc_base, "clock", c->rtc_clock, NULL);
    if (!rtc)
        return false;
    device_connect(rtc, "irq", 0, spi(b, VIRT_SPI_RTC));
    if (!add_gpio(b, errp) || !add_memory_slots(b, errp) || !add_pcie(b, errp) || !add_virtio(b, errp))
        return false;
    b->fw = fw_cfg_mem_create(&b->machine, VIRT_FW_CFG, errp);
    return b->fw;
}
