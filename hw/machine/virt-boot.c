/* SPDX-License-Identifier: MIT */
/* How the virt machine starts: device tree, tables for firmware, kernels. */
#include <string.h>
#include "hw/acpi/files.h"
#include "hw/acpi/smbios.h"
#include "hw/arm/virt-acpi.h"
#include "hw/firmware/loader.h"
#include "hw/intc/arm-gic.h"
#include "hw/machine/virt-board.h"

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
    SmbiosFacts facts = { .product = "Arm virtual machine",
                          .version = b->machine.type->name,
                          .cpu_version = b->cpu_name,
                          .uuid = c->uuid,
                          .sockets = c->sockets,
                          .cores = c->cores * MAX(c->dies, 1),
                          .threads = c->threads,
                          .below_4g = c->ram_size,
                          .base = VIRT_RAM,
                          .entry_64 = true };
    SmbiosBlobs smbios = smbios_build(&facts);
    bool ok = add_blob(b, "etc/smbios/smbios-tables", smbios.tables, errp) &&
              add_blob(b, "etc/smbios/smbios-anchor", smbios.anchor, errp);
    smbios_blobs_free(&smbios);
    return ok && (c->no_acpi || acpi_files_add(b->fw, build_acpi, &b->machine, errp));
}

static bool load_kernel(VirtBoard *b, Error **errp)
{
    ArmBootBoard board = { .ram_base = VIRT_RAM,
                           .ram_size = b->facts.ram_size,
                           .a64 = b->facts.a64,
                           .has_el3 = b->secure,
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

bool virt_load(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    if (!c->kernel && (c->initrd || c->append)) {
        error_setf(errp, "%s: only with -kernel; add -kernel FILE", c->initrd ? "-initrd" : "-append");
        return false;
    }
    if (c->kernel && !(b->facts.firmware ? kernel_for_firmware(b, errp) : load_kernel(b, errp)))
        return false;
    return !b->facts.firmware || tables_for_firmware(b, errp);
}

bool virt_describe(VirtBoard *b, Error **errp)
{
    const PciDevice *iommu = b->pcie->bus.iommu_device;
    b->facts.iommu = iommu;
    b->facts.iommu_devfn = iommu ? iommu->devfn : 0;
    GBytes *dtb = make_dtb(b, errp);
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
