/* SPDX-License-Identifier: MIT */
/* The q35 machine: MCH and ICH9 with PCI Express. */
#include "base/bits.h"
#include "hw/acpi/cpu-hotplug.h"
#include "hw/i386/pc-board.h"

/* Legacy blocks of the MCH and of ICH9 that are decoded at fixed places. */
static const UnmodelledRange q35_ranges[] = {
    { "superio", 0x2e, 2, true }, { "superio-2", 0x4e, 2, true }, { "lpt", 0x378, 8, true },
    { "mchbar", 0xfed10000, 0x8000 }, { "dmibar", 0xfed18000, 0x1000 },
    { "egress-port", 0xfed19000, 0x1000 },
    { NULL },
};

static bool add_functions(PcBoard *b, Error **errp)
{
    PciBus *bus = &host_bridge(b->host)->bus;
    g_autofree char *size =
        g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)b->machine.config.ram_size);
    PciDevice *smb;

    b->pm = ich9_lpc_pm(b->south);
    bus->min_slot = 1;
    if (b->sata) {
        PciDevice *ahci = pci_new(bus, "ich9-ahci", "ide", PCI_DEVFN(0x1f, 2), errp);
        if (!ahci || !device_start(&ahci->dev, errp))
            return false;
    }
    if (!b->smbus)
        return true;
    smb = pci_new(bus, "ICH9-SMB", "ICH9-SMB", PCI_DEVFN(0x1f, 3), errp);
    return smb && device_set(&smb->dev, "ram-size", size, errp) && device_start(&smb->dev, errp);
}

static void acpi_update(PcBoard *b)
{
    AcpiPlatform *a = &b->acpi;
    uint16_t pmbase = ich9_lpc_pmbase(b->south);

    a->pm_base = pmbase ? pmbase : 0x600;
    a->gpe0_base = a->pm_base + 0x20;
    a->gpe0_len = 16;
    if (!mch_mmconfig(b->mch, &a->mmconfig_base, &a->mmconfig_size))
        a->mmconfig_base = a->mmconfig_size = 0;
}

static const PcModel q35_model = {
    .flavour = ACPI_Q35, .host_type = "q35-pcihost", .north_type = "mch", .south_type = "ICH9-LPC",
    .south_devfn = PCI_DEVFN(0x1f, 0),
    .south_has_smm = true,
    .low_limit = 0xb0000000, .low_split = 0x80000000, .hpet_lines = 0xff0104,
    .cpu_hotplug_port = ACPI_CPUHP_PORT_Q35,
    .unmodelled = q35_ranges,
    .add_functions = add_functions, .acpi_update = acpi_update,
};

static bool q35_build(Machine *m, Error **errp)
{
    return pc_board_build(m, &q35_model, errp);
}

static const Property q35_props[] = {
    PC_BOARD_PROPS,
    DEFINE_PROP_BOOL("sata", PcBoard, sata, true, "SATA controller"),
    DEFINE_PROP_END,
};

static const char *const q35_aliases[] = {
    "pc-q35-7.2", "pc-q35-7.1", "pc-q35-7.0", "pc-q35-6.2", "pc-q35-6.1", "pc-q35-6.0",
        "pc-q35-5.2", "pc-q35-5.1", "pc-q35-5.0",
    "pc-q35-4.2", "pc-q35-4.1", "pc-q35-4.0.1", "pc-q35-4.0", "pc-q35-3.1", "pc-q35-3.0",
        "pc-q35-2.12", "pc-q35-2.11",
    "pc-q35-2.10", "pc-q35-2.9", "pc-q35-2.8", "pc-q35-2.7", "pc-q35-2.6", "pc-q35-2.5",
        "pc-q35-2.4", NULL,
};

static const MachineType q35_machine = {
    .name = "q35", .desc = "Standard PC (Q35 + ICH9)", .aliases = q35_aliases, .arch = "x86_64",
    .default_cpu = "qemu64",
    .max_cpus = 288, .default_ram = 128 * MiB, .ram_name = "pc.ram", .size = sizeof(PcBoard), .props = q35_props,
    .disk_if = "ide", .ide_units = 1, .build = q35_build,
    .reset = pc_board_reset, .power_button = pc_board_power_button, .nmi = pc_board_nmi,
    .destroy = pc_board_destroy,
};
MACHINE_REGISTER(q35_machine)
