/* SPDX-License-Identifier: MIT */
/* The pc machine: i440FX and PIIX3. */
#include "base/bits.h"
#include "hw/acpi/cpu-hotplug.h"
#include "hw/acpi/pcihp.h"
#include "hw/i386/pc-board.h"

static const UnmodelledRange pc_ranges[] = {
    { "lpt", 0x378, 8, true }, { "superio", 0x2e, 2, true },
    { NULL },
};

static bool add_functions(PcBoard *b, Error **errp)
{
    PciBus *bus = &host_bridge(b->host)->bus;
    g_autofree char *size =
        g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)b->machine.config.ram_size);
    PciDevice *pm = pci_new(bus, "PIIX4_PM", "PIIX4_PM", PCI_DEVFN(1, 3), errp);

    bus->min_slot = 2;
    PciDevice *ide = pci_new(bus, "piix3-ide", "ide", PCI_DEVFN(1, 1), errp);
    if (!ide || !device_start(&ide->dev, errp))
        return false;
    if (!pm || !device_set(&pm->dev, "ram-size", size, errp))
        return false;
    device_set_default(&pm->dev, "smm", b->smm == PC_OFF ? "off" : "on");
    device_connect(&pm->dev, "sci", 0, b->gsi.irq[9]);
    b->pm = piix4_pm(pm);
    return device_start(&pm->dev, errp);
}

static void acpi_update(PcBoard *b)
{
    AcpiPlatform *a = &b->acpi;
    uint16_t pmbase = (uint16_t)(pci_config_get(pci_device(b->pm->owner), 0x40, 4) & 0xffc0);

    a->pm_base = pmbase ? pmbase : 0x600;
    a->gpe0_base = 0xafe0;
    a->gpe0_len = 4;
    a->pcihp_port = piix4_pm_root_hotplug(pci_device(b->pm->owner)) ? ACPI_PCIHP_PORT_PC : 0;
}

static const PcModel pc_model = {
    .flavour = ACPI_PC, .host_type = "i440FX-pcihost", .north_type = "i440FX",
    .south_type = "PIIX3", .south_devfn = PCI_DEVFN(1, 0),
    .low_limit = 0xe0000000, .low_split = 0xc0000000, .hpet_lines = 0x4,
    .cpu_hotplug_port = ACPI_CPUHP_PORT_PC, .unmodelled = pc_ranges,
    .add_functions = add_functions,
    .acpi_update = acpi_update,
};

static bool pc_build(Machine *m, Error **errp)
{
    return pc_board_build(m, &pc_model, errp);
}

static const Property pc_props[] = { PC_BOARD_PROPS, DEFINE_PROP_END };

static const char *const pc_aliases[] = {
    "pc-i440fx-7.2", "pc-i440fx-7.1", "pc-i440fx-7.0", "pc-i440fx-6.2", "pc-i440fx-6.1",
        "pc-i440fx-6.0", "pc-i440fx-5.2",
    "pc-i440fx-5.1", "pc-i440fx-5.0", "pc-i440fx-4.2", "pc-i440fx-4.1", "pc-i440fx-4.0",
        "pc-i440fx-3.1", "pc-i440fx-3.0",
    "pc-i440fx-2.12", "pc-i440fx-2.11", "pc-i440fx-2.10", "pc-i440fx-2.9", "pc-i440fx-2.8",
        "pc-i440fx-2.7", "pc-i440fx-2.6",
    "pc-i440fx-2.5", "pc-i440fx-2.4", NULL,
};

static const MachineType pc_machine = {
    .name = "pc", .desc = "Standard PC (i440FX + PIIX)", .aliases = pc_aliases, .arch = "x86_64",
    .default_cpu = "qemu64",
    .max_cpus = 255, .default_ram = 128 * MiB, .ram_name = "pc.ram", .size = sizeof(PcBoard), .props = pc_props,
    .disk_if = "ide", .ide_units = 2, .build = pc_build,
    .reset = pc_board_reset, .power_button = pc_board_power_button, .nmi = pc_board_nmi,
    .destroy = pc_board_destroy,
};
MACHINE_REGISTER(pc_machine)
