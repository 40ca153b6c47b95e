/* SPDX-License-Identifier: MIT */
/*
 * The microvm machine: CPUs, interrupt controllers, timers and serial ports; a kernel is started directly, without
 * firmware.
 */
#include <inttypes.h>
#include "base/bits.h"
#include "hw/acpi/fixed.h"
#include "hw/i386/pc-acpi.h"
#include "hw/i386/pc-board.h"
#include "hw/virtio/virtio-proxy.h"

#define PM_PORT 0x600
#define SCI 9

/* virtio transports: on the I/O APIC's pins that ISA has no use for. */
#define VIRTIO_BASE UINT64_C(0xfeb00000)
#define VIRTIO_SIZE UINT64_C(0x200)

enum { E820_MAX = 6, PRIO_BIOS = 1, VIRTIO_GSI = 16, VIRTIO_COUNT = IOAPIC_PINS - VIRTIO_GSI };

typedef struct Microvm {
    PcBoard board;
    IsaBus isa;
    BootPlan *plan;
    E820Entry e820[E820_MAX];
    Device *virtio[VIRTIO_COUNT];
} Microvm;

static const UnmodelledRange ranges[] = {
    { "dma-controller-1", 0x00, 0x10, true }, { "post-code", 0x80, 1, true, true },
    { "delay-port", 0xed, 1, true, true },
    { "fpu-error", 0xf0, 2, true }, { "vga", 0x3b0, 0x30, true },
    { "pci-config", 0xcf8, 8, true, true },
    { NULL },
};

static const PcModel microvm_model = { .flavour = ACPI_MICROVM, .low_limit = 0xc0000000,
                                       .low_split = 0xc0000000, .hpet_lines = 0x4,
                                       .unmodelled = ranges };

static bool add_virtio(Microvm *v, Error **errp)
{
    for (unsigned i = VIRTIO_COUNT; i-- > 0;) {
        g_autofree char *id = g_strdup_printf("virtio-mmio%u", i), *index = g_strdup_printf("%u", i);
        g_autofree char *addr = g_strdup_printf("%" PRIu64, VIRTIO_BASE + i * VIRTIO_SIZE);
        Device *d = v->virtio[i] = device_new(device_type_find("virtio-mmio"), id);
        device_set_default(d, "index", index);
        device_set_default(d, "addr", addr);
        device_set_default(d, "force-legacy", "off");
        device_connect(d, "irq", 0, v->board.gsi.irq[VIRTIO_GSI + i]);
        if (!device_start(d, errp))
            return false;
        mem_map(v->board.machine.memory, VIRTIO_BASE + i * VIRTIO_SIZE, d->region[0], 0);
    }
    return true;
}

static bool add_devices(Microvm *v, Error **errp)
{
    PcBoard *b = &v->board;
    Device *pm;

    isa_bus_init(&v->isa, "isa.0", NULL, b->machine.io, b->machine.memory, NULL);
    b->isa = &v->isa;
    if (!pc_board_add_irqchip(b, true, errp) || !pc_board_add_timers(b, errp) ||
        !pc_board_add_serial(b, errp))
        return false;
    pm = device_new_named("acpi-pm", "acpi-pm", errp);
    if (!pm)
        return false;
    device_connect(pm, "sci", 0, b->gsi.irq[SCI]);
    if (!device_start(pm, errp))
        return false;
    mem_map(b->machine.io, PM_PORT, pm->region[0], 0);
    b->pm = acpi_fixed_pm(pm);
    return add_virtio(v, errp);
}

/* What a BIOS would report: conventional memory, then RAM less the tables at its top, then RAM above 4 GiB. */
static unsigned fill_e820(Microvm *v)
{
    const PcBoard *b = &v->board;
    uint64_t tables = b->below_4g - PC_TABLES_RESERVE;
    const E820Entry map[E820_MAX] = {
        { 0, 0x9fc00, E820_RAM }, { 0x9fc00, 0x400, E820_RESERVED },
        { 0xf0000, 0x10000, E820_RESERVED },
        { MiB, tables - MiB, E820_RAM }, { tables, PC_TABLES_RESERVE, E820_ACPI },
        { 4 * GiB, b->above_4g, E820_RAM },
    };

    memcpy(v->e820, map, sizeof(map));
    return b->above_4g ? E820_MAX : E820_MAX - 1;
}

static bool boot_directly(Microvm *v, Error **errp)
{
    PcBoard *b = &v->board;
    BootLayout layout = { .ram_below_4g = b->below_4g, .ram_above_4g = b->above_4g,
                          .reserve = PC_TABLES_RESERVE, .e820 = v->e820 };

    if (b->below_4g < 4 * MiB) {
        error_setf(errp, "machine 'microvm': a kernel needs at least 4 MiB of memory; see -m");
        return false;
    }
    layout.e820_count = fill_e820(v);
    layout.rsdp = b->machine.config.no_acpi ? 0 : PC_RSDP_AT;
    b->acpi.flavour = b->model->flavour;
    b->acpi.pm_base = PM_PORT;
    b->acpi.reset_port = PM_PORT + ACPI_FIXED_RESET;
    b->acpi.reset_value = ACPI_FIXED_RESET_VALUE;
    v->plan = boot_direct_new(&b->machine.config, &layout, &b->machine.boot, errp);
    return v->plan;
}

static bool boot_firmware(Microvm *v, Error **errp)
{
    PcBoard *b = &v->board;
    BootLayout layout = { .ram_below_4g = b->below_4g, .ram_above_4g = b->above_4g };

    if (!pc_board_load_bios(b, NULL, errp))
        return false;
    mem_unmap(b->bios_low);
    mem_map(b->machine.memory, MiB - mem_size(b->bios_low), b->bios_low, PRIO_BIOS);
    return pc_board_add_fw_cfg(b, errp) &&
           boot_through_firmware(b->fw, &b->machine.config, &layout, errp);
}

static bool microvm_build(Machine *m, Error **errp)
{
    Microvm *v = (Microvm *)m;
    PcBoard *b = &v->board;

    b->model = &microvm_model;
    if (!m->config.kernel && !m->config.bios) {
        error_setf(
            errp,
            "machine 'microvm': there is nothing to start; give it -kernel FILE or -bios FILE");
        return false;
    }
    if (!pc_board_add_ram(b, errp))
        return false;
    pc_board_add_unmodelled(b, ranges);
    if (!pc_board_add_cpus(b, errp) || !add_devices(v, errp))
        return false;
    return m->config.bios ? boot_firmware(v, errp) : boot_directly(v, errp);
}

static void microvm_reset(Machine *m)
{
    Microvm *v = (Microvm *)m;

    if (!v->plan)
        return;
    v->board.acpi.virtio_base = VIRTIO_BASE;
    v->board.acpi.virtio_gsi = VIRTIO_GSI;
    v->board.acpi.virtio_used = 0;
    for (unsigned i = 0; i < VIRTIO_COUNT; i++)
        v->board.acpi.virtio_used |= (uint32_t)virtio_mmio_used(v->virtio[i]) << i;
    pc_tables_place(&v->board);
    boot_direct_load(v->plan, m->as_memory);
}

static void microvm_destroy(Machine *m)
{
    Microvm *v = (Microvm *)m;

    if (v->isa.bus.type)
        isa_bus_fini(&v->isa);
    g_clear_pointer(&v->plan, boot_direct_free);
    pc_board_destroy(m);
}

static const Property microvm_props[] = {
    DEFINE_PROP_ENUM("smm", PcBoard, smm, PC_OFF, pc_switch_names, "system management mode"),
    DEFINE_PROP_ENUM("pit", PcBoard, pit_switch, PC_AUTO, pc_switch_names, "8254 interval timer"),
    DEFINE_PROP_ENUM("kernel-irqchip", PcBoard, irqchip, 0, pc_irqchip_names,
                     "where KVM keeps the interrupt controllers"),
    DEFINE_PROP_SIZE("max-ram-below-4g", PcBoard, max_ram_below_4g, 0, "upper bound of RAM below 4 GiB"),
    DEFINE_PROP_END,
};

static const MachineType microvm_machine = {
    .name = "microvm", .desc = "Minimal machine that starts a kernel directly", .arch = "x86_64",
    .default_cpu = "qemu64",
    .max_cpus = 288, .default_ram = 128 * MiB, .ram_name = "pc.ram", .size = sizeof(Microvm), .props = microvm_props,
    .build = microvm_build,
    .reset = microvm_reset, .power_button = pc_board_power_button, .nmi = pc_board_nmi,
    .destroy = microvm_destroy,
};
MACHINE_REGISTER(microvm_machine)
