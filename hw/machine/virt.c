/* SPDX-License-Identifier: MIT */
/* The virt machine: the board that only exists as an emulator's, for Arm kernels and firmware (memory map: hw/arm/virt.h). */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "chardev/chardev.h"
#include "hw/acpi/files.h"
#include "hw/acpi/memory-hotplug.h"
#include "hw/acpi/smbios.h"
#include "hw/arm/virt-acpi.h"
#include "hw/arm/virt.h"
#include "hw/block/pflash.h"
#include "hw/core/cpu-port.h"
#include "hw/core/irqchip-host.h"
#include "hw/core/machine.h"
#include "hw/firmware/arm.h"
#include "hw/firmware/fw_cfg.h"
#include "hw/firmware/loader.h"
#include "hw/intc/arm-gic.h"
#include "hw/mem/memory-device.h"
#include "hw/pci/gpex.h"
#include "target/arm/board.h"
#include "target/arm/models.h"

enum { GIC_AUTO, GIC_2, GIC_3, GIC_4, GIC_MAX, GIC_HOST };
enum { V2_CPUS = 8, V2_CLUSTER = 8, V3_CLUSTER = 16, REDIST_LOW_CPUS = VIRT_GIC_REDIST_SIZE / 0x20000 };
static const char *const gic_names[] = { "auto", "2", "3", "4", "max", "host", NULL };
static const char *const irqchip_names[] = { "on", "off", "split", NULL };
static const char *const iommu_names[] = { "none", NULL };

typedef struct VirtBoard {
    Machine machine;
    /* -machine properties */
    int gic_version, iommu, irqchip;
    bool secure, virtualization, highmem, high_ecam, high_mmio, high_redist, its, mte, usb, ras, randomness;
    char *dumpdtb;
    /* Parts */
    VirtFacts facts;
    uint32_t *mpidr;
    char *cpu_name;
    Device *gic, *flash[2], *key;
    Gpex *pcie;
    FwCfg *fw;
    MemRegion *secure_ram, *steal, *pio, *mmio, *mmio_high, *nothing, *nothing_high;
    ArmBoot *boot;
    GBytes *dtb; /* with firmware: at the start of RAM */
} VirtBoard;

static bool refuse(VirtBoard *b, Error **errp, const char *why)
{
    error_setf(errp, "machine '%s': %s", b->machine.type->name, why);
    return false;
}

/* ---- what is asked for ---- */

static bool choose_gic(VirtBoard *b, Error **errp)
{
    unsigned cpus = b->machine.config.max_cpus;
    const IrqchipHost *h = irqchip_host();
    unsigned offered = h ? h->gic_versions : 1 << 2 | 1 << 3;
    VirtFacts *f = &b->facts;
    bool prefers_2 = b->gic_version == GIC_2 || (b->gic_version == GIC_AUTO && cpus <= V2_CPUS);
    f->gic_version = prefers_2 ? 2 : 3;
    if (b->gic_version != GIC_2 && b->gic_version != GIC_3 && !(offered >> f->gic_version & 1))
        f->gic_version = 5 - f->gic_version; /* the other one */
    f->its = f->gic_version == 3 && b->its && (!h || h->its_new);
    if (!(offered >> f->gic_version & 1)) {
        error_setf(errp, "machine '%s': gic-version=%u: KVM does not have it %s; use gic-version=host%s", b->machine.type->name, f->gic_version,
                   irqchip_host_gic() ? "on this host" : "with kernel-irqchip=off", irqchip_host_gic() ? "" : " or kernel-irqchip=on");
        return false;
    }
    if (f->gic_version == 2 && cpus > V2_CPUS)
        return refuse(b, errp, "gic-version=2 serves at most 8 CPUs; use gic-version=3");
    return true;
}

static bool choose_cpu(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    const char *model = c->cpu_model ? c->cpu_model : b->machine.type->default_cpu;
    VirtFacts *f = &b->facts;
    b->cpu_name = g_strndup(model, strcspn(model, ","));
    const ArmModel *m = arm_model_find(b->cpu_name);
    if (m && m->has.m_profile) {
        error_setf(errp, "machine '%s': -cpu %s is a microcontroller; this machine takes Cortex-A and Neoverse models",
                   b->machine.type->name, b->cpu_name);
        return false;
    }
    f->cpu_model = b->cpu_name;
    f->a64 = !m || (m->has.aarch64 && !strstr(model, "aarch64=off")); /* an unknown name: creating the CPU says so */
    f->v8 = !m || m->has.v8;
    f->pmu = m && m->has.pmuv3 && !strstr(model, "pmu=off");
    return true;
}

static bool choose_facts(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    VirtFacts *f = &b->facts;
    if (b->usb)
        return refuse(b, errp, "usb=on: there is no USB controller in this version; leave it out");
    if (c->pflash[0] && c->bios)
        return refuse(b, errp, "the first flash takes its contents from -bios or from -drive if=pflash, not from both");
    f->cpus = c->cpus;
    f->sockets = c->sockets;
    f->clusters = MAX(c->dies, 1);
    f->cores = c->cores;
    f->threads = c->threads;
    f->secure = b->secure;
    f->virtualization = b->virtualization;
    f->ram_size = c->ram_size;
    f->numa = c->numa;
    f->randomness = b->randomness;
    f->firmware = c->bios || c->pflash[0];
    /* With a Secure state and nothing that starts a kernel for us, PSCI is the guest's own firmware's */
    f->psci = b->secure && (f->firmware || !c->kernel) ? NULL : b->virtualization ? "smc" : "hvc";
    if (!b->highmem && VIRT_RAM + c->ram_size > 4 * GiB)
        return refuse(b, errp, "highmem=off leaves room for 3 GiB of memory; see -m");
    return choose_gic(b, errp) && choose_cpu(b, errp);
}

/* Above 256 GiB or RAM, each at a multiple of its size, as far as the CPU can address. */
static void choose_high_ranges(VirtBoard *b, unsigned phys_bits)
{
    VirtFacts *f = &b->facts;
    uint64_t at = MAX(256 * GiB, align_up(memory_devices_end(&b->machine, VIRT_RAM + f->ram_size), GiB)), limit = phys_bits < 64 ? BIT(phys_bits) : UINT64_MAX;
    VirtRange high_ecam = { 0 };
    const struct { VirtRange *range; uint64_t size; bool on; } want[] = {
        { &f->redist_high, VIRT_HIGH_REDIST_SIZE, b->high_redist && f->gic_version == 3 && f->cpus > REDIST_LOW_CPUS },
        { &high_ecam, VIRT_HIGH_ECAM_SIZE, b->high_ecam }, { &f->mmio_high, VIRT_HIGH_MMIO_SIZE, b->high_mmio },
    };
    for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
        at = align_up(at, want[i].size);
        if (b->highmem && want[i].on && at + want[i].size <= limit)
            *want[i].range = (VirtRange){ at, want[i].size };
        at += want[i].size;
    }
    f->ecam = high_ecam.size ? high_ecam : (VirtRange){ VIRT_PCIE_ECAM, VIRT_PCIE_ECAM_SIZE };
}

/* ---- parts ---- */

static bool add_ram(VirtBoard *b, Error **errp)
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

static bool add_cpus(VirtBoard *b, Error **errp)
{
    Machine *m = &b->machine;
    VirtFacts *f = &b->facts;
    const CpuFamily *family = cpu_family_find(m->type->arch);
    const char *model = m->config.cpu_model ? m->config.cpu_model : m->type->default_cpu;
    unsigned cluster = f->gic_version == 2 ? V2_CLUSTER : V3_CLUSTER;
    ArmBoardCpus board = { .el2 = b->virtualization, .el3 = b->secure, .mte = b->mte, .secondaries_off = f->psci != NULL,
                           .psci = !f->psci ? ARM_PSCI_NONE : b->virtualization ? ARM_PSCI_SMC : ARM_PSCI_HVC };
    if (b->secure) {
        board.secure_only[0].base = VIRT_SECURE_RAM, board.secure_only[0].size = VIRT_SECURE_RAM_SIZE;
        board.secure_only[1].base = VIRT_SECURE_UART, board.secure_only[1].size = 0x1000;
        board.secure_only[2].base = VIRT_SECURE_GPIO, board.secure_only[2].size = 0x1000;
    }
    if (!family)
        return refuse(b, errp, "this build has no Arm CPUs");
    arm_board_configure(&board);
    b->mpidr = g_new0(uint32_t, f->cpus);
    f->mpidr = b->mpidr;
    for (unsigned i = 0; i < f->cpus; i++) {
        b->mpidr[i] = i / cluster << 8 | i % cluster;
        if (!family->create(m, i, b->mpidr[i], model, errp))
            return false;
    }
    choose_high_ranges(b, family->phys_bits ? family->phys_bits(m) : 40);
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
    static const uint8_t timer[] = { VIRT_PPI_PHYS_TIMER, VIRT_PPI_VIRT_TIMER, VIRT_PPI_HYP_TIMER, VIRT_PPI_SECURE_TIMER,
                                     VIRT_PPI_HYPVIRT_TIMER };
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
    b->gic = add_device(b, "arm_gic", "gic", VIRT_GIC_DIST, errp, "num-cpu", cpus, "num-irq", "288", "has-security-extensions",
                        b->secure ? "on" : "off", "has-virtualization-extensions", b->virtualization ? "on" : "off", NULL);
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
    unsigned low = MIN(b->facts.cpus, REDIST_LOW_CPUS);
    if (b->facts.cpus > low && !b->facts.redist_high.size)
        return refuse(b, errp, "more than 123 CPUs need highmem=on and a CPU that addresses 40 bits");
    g_snprintf(cpus, sizeof(cpus), "%u", b->facts.cpus);
    b->gic = add_device(b, "arm-gicv3", "gic", VIRT_GIC_DIST, errp, "num-cpu", cpus, "num-irq", "288", "has-security-extensions",
                        b->secure ? "on" : "off", "has-lpi", b->facts.its ? "on" : "off", NULL);
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
        b->flash[i] = add_device(b, "cfi.pflash01", id, at[i], errp, "num-blocks", "256", "sector-length", "256k", "file", c->pflash[i],
                                 "readonly", c->pflash_readonly[i] ? "on" : "off", NULL);
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
        g_autofree char *id = g_strdup_printf("virtio-mmio%u", i), *index = g_strdup_printf("%u", i), *addr = g_strdup_printf("%" PRIu64, at);
        Device *d = add_device(b, "virtio-mmio", id, at, errp, "index", index, "addr", addr, NULL);
        if (!d)
            return false;
        device_connect(d, "irq", 0, spi(b, VIRT_SPI_MMIO + i));
    }
    return true;
}

static bool add_devices(VirtBoard *b, Error **errp)
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

/* ---- boot ---- */

static DevTree *user_tree(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    g_autoptr(GBytes) file = loader_read_file("device tree", c->dtb, 8 * MiB, errp);
    DevTree *t = file ? dt_parse(file, c->dtb, errp) : NULL;
    if (t && !dt_has(t, "/memory@40000000") && !dt_has(t, "/memory")) {
        dt_string(t, "/memory@40000000", "device_type", "memory");
        if (!dt_root_reg(t, "/memory@40000000", VIRT_RAM, c->ram_size))
            warn_reportf("device tree '%s': its cells are too narrow for this machine's memory", c->dtb);
    }
    return t;
}

static GBytes *make_dtb(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    g_autoptr(DevTree) t = c->dtb ? user_tree(b, errp) : virt_dt_build(&b->facts);
    if (!t)
        return NULL;
    if (c->append)
        dt_string(t, "/chosen", "bootargs", c->append);
    if (b->boot && b->boot->initrd) {
        uint64_t start = b->boot->initrd_at, end = start + g_bytes_get_size(b->boot->initrd);
        dt_set(t, "/chosen", "linux,initrd-start", HI32(start), LO32(start));
        dt_set(t, "/chosen", "linux,initrd-end", HI32(end), LO32(end));
    }
    return dt_finish(t);
}

static bool dump_dtb(VirtBoard *b, GBytes *dtb, Error **errp)
{
    size_t len;
    const char *p = g_bytes_get_data(dtb, &len);
    g_autoptr(GError) err = NULL;
    if (!g_file_set_contents(b->dumpdtb, p, (gssize)len, &err)) {
        error_setf(errp, "machine '%s': dumpdtb: %s", b->machine.type->name, err->message);
        return false;
    }
    info_reportf("device tree written to '%s'", b->dumpdtb);
    b->machine.config.start_paused = true;
    machine_request_exit(0);
    return true;
}

/* Firmware loads the kernel itself: its pieces are items of fw_cfg. */
static bool kernel_for_firmware(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    const char *line = c->append ? c->append : "";
    g_autoptr(GBytes) kernel = arm_kernel_file(c, errp), initrd = NULL;
    if (!kernel || (c->initrd && !(initrd = loader_read_file("initrd", c->initrd, 2 * GiB, errp))))
        return false;
    fw_cfg_set_u32(b->fw, FW_CFG_KERNEL_SIZE, (uint32_t)g_bytes_get_size(kernel));
    fw_cfg_set_gbytes(b->fw, FW_CFG_KERNEL_DATA, kernel);
    if (initrd) {
        fw_cfg_set_u32(b->fw, FW_CFG_INITRD_SIZE, (uint32_t)g_bytes_get_size(initrd));
        fw_cfg_set_gbytes(b->fw, FW_CFG_INITRD_DATA, initrd);
    }
    fw_cfg_set_u32(b->fw, FW_CFG_CMDLINE_SIZE, (uint32_t)strlen(line) + 1);
    fw_cfg_set_bytes(b->fw, FW_CFG_CMDLINE_DATA, line, strlen(line) + 1);
    return true;
}

static bool add_blob(VirtBoard *b, const char *name, const GByteArray *data, Error **errp)
{
    return fw_cfg_add_file(b->fw, name, data->data, data->len, errp);
}

static AcpiBlobs build_acpi(Machine *m) { return virt_acpi_build(&((VirtBoard *)m)->facts); }

/* Firmware finds the tables in fw_cfg and gives them to the system; without firmware the device tree says all. */
static bool tables_for_firmware(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    SmbiosFacts facts = { .product = "Arm virtual machine", .version = b->machine.type->name, .cpu_version = b->cpu_name, .uuid = c->uuid,
                          .sockets = c->sockets, .cores = c->cores * MAX(c->dies, 1), .threads = c->threads, .below_4g = c->ram_size,
                          .base = VIRT_RAM, .entry_64 = true };
    SmbiosBlobs smbios = smbios_build(&facts);
    bool ok = add_blob(b, "etc/smbios/smbios-tables", smbios.tables, errp) &&
              add_blob(b, "etc/smbios/smbios-anchor", smbios.anchor, errp);
    smbios_blobs_free(&smbios);
    return ok && (c->no_acpi || acpi_files_add(b->fw, build_acpi, &b->machine, errp));
}

static bool load_kernel(VirtBoard *b, Error **errp)
{
    ArmBootBoard board = { .ram_base = VIRT_RAM, .ram_size = b->facts.ram_size, .a64 = b->facts.a64, .has_el3 = b->secure,
                           .board_id = UINT32_MAX };
    b->boot = arm_boot_new(&b->machine.config, &board, errp);
    if (!b->boot)
        return false;
    if (b->facts.gic_version == 2)
        arm_gic_reset_nonsecure(b->gic);
    else
        arm_gicv3_reset_nonsecure(b->gic);
    return true;
}

static bool prepare_boot(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    if (!c->kernel && (c->initrd || c->append)) {
        error_setf(errp, "%s: only with -kernel; add -kernel FILE", c->initrd ? "-initrd" : "-append");
        return false;
    }
    if (c->kernel && !(b->facts.firmware ? kernel_for_firmware(b, errp) : load_kernel(b, errp)))
        return false;
    GBytes *dtb = !b->facts.firmware || tables_for_firmware(b, errp) ? make_dtb(b, errp) : NULL;
    if (!dtb)
        return false;
    if (b->dumpdtb && !dump_dtb(b, dtb, errp)) {
        g_bytes_unref(dtb);
        return false;
    }
    if (b->boot)
        return arm_boot_set_dtb(b->boot, dtb, errp);
    b->dtb = dtb;
    return true;
}

static bool virt_build(Machine *m, Error **errp)
{
    VirtBoard *b = (VirtBoard *)m;
    return choose_facts(b, errp) && add_ram(b, errp) && add_cpus(b, errp) && add_devices(b, errp) && prepare_boot(b, errp);
}

static void virt_reset(Machine *m)
{
    VirtBoard *b = (VirtBoard *)m;
    if (b->boot) {
        arm_boot_load(b->boot, m->as_memory, &m->boot);
    } else {
        size_t len = g_bytes_get_size(b->dtb);
        if (len <= m->config.ram_size)
            as_write_rom(m->as_memory, VIRT_RAM, g_bytes_get_data(b->dtb, NULL), len);
    }
}

static void virt_power_button(Machine *m)
{
    Irq press = device_input(((VirtBoard *)m)->key, "press", 0);
    irq_pulse(&press);
}

static void virt_destroy(Machine *m)
{
    VirtBoard *b = (VirtBoard *)m;
    MemRegion **regions[] = { &b->secure_ram, &b->steal, &b->pio, &b->mmio, &b->mmio_high, &b->nothing, &b->nothing_high };
    memory_devices_free();
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++)
        g_clear_pointer(regions[i], mem_region_free);
    arm_boot_free(b->boot);
    g_clear_pointer(&b->dtb, g_bytes_unref);
    g_free(b->mpidr);
    g_free(b->cpu_name);
}

#define SWITCH(name, f, dflt, help) DEFINE_PROP_BOOL(name, VirtBoard, f, dflt, help)
static const Property virt_props[] = {
    DEFINE_PROP_ENUM("gic-version", VirtBoard, gic_version, GIC_AUTO, gic_names, "2 (up to 8 CPUs), 3; 4 and max are 3; host is what KVM has"),
    DEFINE_PROP_ENUM("kernel-irqchip", VirtBoard, irqchip, 0, irqchip_names, "whether KVM keeps the interrupt controller"),
    SWITCH("secure", secure, false, "EL3 and the Secure state"),
    SWITCH("virtualization", virtualization, false, "EL2, for hypervisors inside"),
    SWITCH("highmem", highmem, true, "use addresses above 4 GiB"),
    SWITCH("highmem-ecam", high_ecam, true, "PCIe configuration space for 256 buses above 4 GiB"),
    SWITCH("highmem-mmio", high_mmio, true, "PCIe memory window above 4 GiB"),
    SWITCH("highmem-redists", high_redist, true, "redistributors above 4 GiB for more than 123 CPUs"),
    SWITCH("its", its, true, "interrupt translation service (gic-version=3)"),
    SWITCH("mte", mte, false, "memory tagging"),
    SWITCH("ras", ras, false, "report host memory errors (KVM only)"),
    SWITCH("usb", usb, false, "USB controller (none in this version)"),
    DEFINE_PROP_ENUM("iommu", VirtBoard, iommu, 0, iommu_names, "IOMMU (none in this version)"),
    SWITCH("dtb-randomness", randomness, true, "random seeds in the device tree"),
    SWITCH("dtb-kaslr-seed", randomness, true, "the same"),
    DEFINE_PROP_STRING("dumpdtb", VirtBoard, dumpdtb, NULL, "write the device tree to this file and end"),
    DEFINE_PROP_END,
};

static const char *const virt_aliases[] = {
    "virt-7.2", "virt-7.1", "virt-7.0", "virt-6.2", "virt-6.1", "virt-6.0", "virt-5.2", "virt-5.1", "virt-5.0", "virt-4.2", "virt-4.1",
    "virt-4.0", "virt-3.1", "virt-3.0", "virt-2.12", "virt-2.11", "virt-2.10", "virt-2.9", "virt-2.8", "virt-2.7", "virt-2.6", NULL,
};

static const MachineType virt_machine = {
    .name = "virt", .desc = "Arm virtual machine", .aliases = virt_aliases, .arch = "aarch64", .default_cpu = "cortex-a57",
    .max_cpus = 512, .default_ram = 128 * MiB, .ram_name = "mach-virt.ram", .size = sizeof(VirtBoard), .props = virt_props, .build = virt_build,
    .reset = virt_reset, .power_button = virt_power_button, .destroy = virt_destroy,
};
MACHINE_REGISTER(virt_machine)
