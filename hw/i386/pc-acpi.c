/* SPDX-License-Identifier: MIT */
/* Facts of a PC board for its ACPI and SMBIOS tables, and their two ways into the guest: fw_cfg files or RAM. */
#include "hw/block/floppy.h"
#include "hw/i386/pc-acpi.h"

#include "base/bits.h"
#include "hw/acpi/files.h"
#include "hw/acpi/smbios.h"
#include "hw/acpi/tables.h"
#include "hw/mem/memory-device.h"
#include "hw/misc/vmgenid.h"

#define PCI_WINDOW_START UINT64_C(0x80000000)
#define PCI_WINDOW_END UINT64_C(0xfec00000)
#define PCI_WINDOW64_LAST UINT64_C(0x7fffffffff) /* 39 bits: what every CPU model can address */

/* ---- Facts ---- */

static void add_window(AcpiPlatform *a, uint64_t first, uint64_t end)
{
    if (first < end && a->windows < ACPI_MAX_WINDOWS)
        a->window[a->windows++] = (AcpiWindow){ first, end - 1 };
}

static void pci_windows(AcpiPlatform *a)
{
    uint64_t start = MAX(a->below_4g, PCI_WINDOW_START), ecam = a->mmconfig_base,
             ecam_end = ecam + a->mmconfig_size;
    uint64_t high = align_up(MAX(4 * GiB + a->above_4g, a->devices_base + a->devices_size), GiB);

    a->windows = 0;
    if (a->mmconfig_size && ecam >= start && ecam_end <= PCI_WINDOW_END) {
        add_window(a, start, ecam);
        add_window(a, ecam_end, PCI_WINDOW_END);
    } else {
        add_window(a, start, PCI_WINDOW_END);
    }
    add_window(a, high, MAX(PCI_WINDOW64_LAST + 1, high + 32 * GiB));
}

static void com_ports(AcpiPlatform *a)
{
    static const struct { const char *id; uint16_t port; uint8_t irq; } coms[] = {
        { "serial0", 0x3f8, 4 }, { "serial1", 0x2f8, 3 }, { "serial2", 0x3e8, 4 },
        { "serial3", 0x2e8, 3 },
    };

    a->com_ports = 0;
    for (unsigned i = 0; i < ARRAY_LEN(coms); i++) {
        if (!device_find(coms[i].id))
            continue;
        a->com_port[a->com_ports] = coms[i].port;
        a->com_irq[a->com_ports++] = coms[i].irq;
    }
}

static void find_pvpanic(Device *d, void *opaque)
{
    g_autofree char *port = strcmp(d->type->name, "pvpanic") ? NULL : props_get(d->type->props, d, "ioport");

    if (port)
        *(uint16_t *)opaque = (uint16_t)g_ascii_strtoull(port, NULL, 0);
}

void pc_acpi_facts(PcBoard *b)
{
    AcpiPlatform *a = &b->acpi;

    a->cpus = b->machine.config.cpus;
    a->max_cpus = b->machine.config.max_cpus;
    a->apic_ids = b->apic_ids;
    a->cpu_slots = b->machine.cpu_slots;
    a->cpu_hotplug_port = b->cpu_hotplug ? b->model->cpu_hotplug_port : 0;
    a->below_4g = b->below_4g;
    a->above_4g = b->above_4g;
    a->numa = b->machine.config.numa;
    a->memory_slots = b->memory_hotplug ? b->machine.config.ram_slots : 0;
    memory_devices_range(&a->devices_base, &a->devices_size);
    a->hpet = b->hpet;
    a->rtc = b->rtc;
    a->pic = b->pic;
    a->fw_cfg = b->fw;
    a->i8042 = device_find("i8042");
    a->s3 = b->pm && !b->pm->disable_s3;
    a->s4 = b->pm && !b->pm->disable_s4;
    a->dma = true;
    a->fdc = floppy_controller_exists();
    a->floppies = (uint8_t)((floppy_cmos_type(0) != 0) | (floppy_cmos_type(1) != 0) << 1);
    a->pvpanic_port = 0;
    device_foreach(find_pvpanic, &a->pvpanic_port);
    a->vmgenid = vmgenid_address();
    com_ports(a);
    if (b->model->acpi_update) {
        b->model->acpi_update(b);
        pci_windows(a);
    }
}

/* ---- Through firmware ---- */

static AcpiBlobs build_tables(Machine *m)
{
    pc_acpi_facts(pc_board(m));
    return acpi_build(&pc_board(m)->acpi);
}

bool pc_acpi_setup(PcBoard *b, Error **errp)
{
    b->acpi.flavour = b->model->flavour;
    b->acpi.smi_port = 0xb2;
    b->acpi.reset_port = 0xcf9;
    b->acpi.reset_value = 0x0f;
    return acpi_files_add(b->fw, build_tables, &b->machine, errp);
}

static SmbiosBlobs build_smbios(PcBoard *b, bool bios_info)
{
    const MachineConfig *c = &b->machine.config;
    SmbiosFacts facts = {
        .product = b->machine.type->desc, .version = b->machine.type->name,
        .cpu_version = "virtual CPU", .uuid = c->uuid,
        .bios_info = bios_info, .sockets = c->sockets, .cores = c->cores * MAX(c->dies, 1),
        .threads = c->threads,
        .below_4g = b->below_4g, .above_4g = b->above_4g,
    };

    return smbios_build(&facts);
}

bool pc_smbios_setup(PcBoard *b, Error **errp)
{
    SmbiosBlobs s = build_smbios(b, false);
    bool ok =
        fw_cfg_add_file(b->fw, "etc/smbios/smbios-tables", s.tables->data, s.tables->len, errp) &&
        fw_cfg_add_file(b->fw, "etc/smbios/smbios-anchor", s.anchor->data, s.anchor->len, errp);

    smbios_blobs_free(&s);
    return ok;
}

/* ---- Into RAM ---- */

#define SMBIOS_ANCHOR_AT 0xf0100u

void pc_tables_place(PcBoard *b)
{
    AddressSpace *as = b->machine.as_memory;
    uint64_t at = b->below_4g - PC_TABLES_RESERVE;
    SmbiosBlobs smbios = build_smbios(b, true);

    smbios_link(&smbios, (uint32_t)at);
    as_write(as, at, smbios.tables->data, smbios.tables->len, MEM_ATTRS_DEVICE);
    as_write(as, SMBIOS_ANCHOR_AT, smbios.anchor->data, smbios.anchor->len, MEM_ATTRS_DEVICE);
    at += align_up(smbios.tables->len, 4096);
    smbios_blobs_free(&smbios);
    if (b->machine.config.no_acpi)
        return;
    AcpiBlobs blobs = build_tables(&b->machine);
    acpi_link(&blobs, at, PC_RSDP_AT);
    as_write(as, at, blobs.tables->data, blobs.tables->len, MEM_ATTRS_DEVICE);
    as_write(as, PC_RSDP_AT, blobs.rsdp->data, blobs.rsdp->len, MEM_ATTRS_DEVICE);
    acpi_blobs_free(&blobs);
}
