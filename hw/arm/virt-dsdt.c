/* SPDX-License-Identifier: MIT */
/* The DSDT of the virt machine: CPUs, serial port, virtio transports, PCI host, GPIO with the power button. */
#include <stdio.h>
#include "hw/acpi/memory-hotplug.h"
#include "hw/acpi/nfit.h"
#include "hw/arm/virt-acpi.h"

static const uint32_t gsi_base = 32;

static void memory_and_irq(Aml *a, uint64_t base, uint64_t size, bool edge, int spi)
{
    uint32_t gsi = gsi_base + (uint32_t)MAX(spi, 0);
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_memory32(a, true, (uint32_t)base, (uint32_t)size);
    if (spi >= 0)
        aml_res_interrupt(a, edge, false, 1, &gsi);
    aml_resources_end(a);
}

static void device(Aml *a, const char *name, const char *hid, unsigned uid)
{
    aml_device(a, name);
    aml_named_string(a, "_HID", hid);
    aml_named_int(a, "_UID", uid);
}

static void cpus(Aml *a, const VirtFacts *v)
{
    for (unsigned i = 0; i < v->cpus; i++) {
        char name[5];
        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        device(a, name, "ACPI0007", i);
        aml_end(a);
    }
}

static void fixed_devices(Aml *a)
{
    device(a, "COM0", "ARMH0011", 0);
    memory_and_irq(a, VIRT_UART, 0x1000, false, VIRT_SPI_UART);
    aml_end(a);
    aml_device(a, "FWCF");
    aml_named_string(a, "_HID", "QEMU0002");
    aml_named_int(a, "_STA", 0x0b);
    aml_named_int(a, "_CCA", 1);
    memory_and_irq(a, VIRT_FW_CFG, 0x18, false, -1);
    aml_end(a);
    for (unsigned i = 0; i < VIRT_MMIO_COUNT; i++) {
        char name[5];
        snprintf(name, sizeof(name), "VR%02u", i);
        device(a, name, "LNRO0005", i);
        aml_named_int(a, "_CCA", 1);
        memory_and_irq(a, VIRT_MMIO + i * VIRT_MMIO_SIZE, VIRT_MMIO_SIZE, true, (int)(VIRT_SPI_MMIO + i));
        aml_end(a);
    }
}

/* The button pulls line 3 of the GPIO controller; its event method tells the system. */
static void power_button(Aml *a)
{
    device(a, "GPO0", "ARMH0061", 0);
    memory_and_irq(a, VIRT_GPIO, 0x1000, false, VIRT_SPI_GPIO);
    aml_named(a, "_AEI");
    aml_resources(a);
    aml_res_gpio_int(a, VIRT_POWER_KEY, "GPO0");
    aml_resources_end(a);
    aml_method(a, "_E03", 0, false);
    aml_op(a, AML_NOTIFY), aml_name(a, "\\_SB.PWRB"), aml_int(a, 0x80);
    aml_end(a);
    aml_end(a);
    aml_device(a, "PWRB");
    aml_named_string(a, "_HID", "PNP0C0C");
    aml_named_int(a, "_UID", 0);
    aml_end(a);
}

/* ---- PCI ---- */

static void links(Aml *a)
{
    for (unsigned i = 0; i < 4; i++) {
        char name[5];
        uint32_t gsi = gsi_base + VIRT_SPI_PCIE + i;
        snprintf(name, sizeof(name), "GSI%u", i);
        device(a, name, "PNP0C0F", i);
        for (unsigned k = 0; k < 2; k++) {
            aml_named(a, k ? "_CRS" : "_PRS");
            aml_resources(a);
            aml_res_interrupt(a, false, false, 1, &gsi);
            aml_resources_end(a);
        }
        aml_method(a, "_SRS", 1, false);
        aml_end(a);
        aml_end(a);
    }
}

static void routing(Aml *a)
{
    aml_named(a, "_PRT");
    aml_package(a, 32 * 4);
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            char name[5];
            snprintf(name, sizeof(name), "GSI%u", (slot + pin) % 4);
            aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_name(a, name);
            aml_int(a, 0);
            aml_end(a);
        }
    }
    aml_end(a);
}

static void windows(Aml *a, const VirtFacts *v)
{
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_bus(a, 0, (uint16_t)(v->ecam.size / MiB - 1));
    aml_res_dword_memory(a, VIRT_PCIE_MMIO, VIRT_PCIE_MMIO + VIRT_PCIE_MMIO_SIZE - 1);
    aml_res_dword_io(a, 0, VIRT_PCIE_PIO_SIZE - 1, VIRT_PCIE_PIO);
    if (v->mmio_high.size)
        aml_res_qword_memory(a, v->mmio_high.base, v->mmio_high.base + v->mmio_high.size - 1);
    aml_resources_end(a);
}

static void pci(Aml *a, const VirtFacts *v)
{
    links(a);
    aml_device(a, "PCI0");
    aml_named_string(a, "_HID", "PNP0A08");
    aml_named_string(a, "_CID", "PNP0A03");
    aml_named_int(a, "_SEG", 0);
    aml_named_int(a, "_BBN", 0);
    aml_named_int(a, "_UID", 0);
    aml_named_int(a, "_CCA", 1);
    routing(a);
    windows(a, v);
    aml_pci_osc(a);
    aml_device(a, "RES0"); /* configuration space */
    aml_named_string(a, "_HID", "PNP0C02");
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_qword_memory(a, v->ecam.base, v->ecam.base + v->ecam.size - 1);
    aml_resources_end(a);
    aml_end(a);
    aml_end(a);
}

/* Events that are no fixed hardware's and no GPIO's (ACPI 6.4 section 5.6.9): a read of the selector says which. */
static void event_device(Aml *a)
{
    static const struct { unsigned bit; const char *method; } events[] = {
        { ACPI_GED_MEMORY, "\\_SB.MHPC.MSCN" }, { ACPI_GED_NVDIMM, "\\_SB.NVDR.CAME" },
    };
    const uint32_t gsi = gsi_base + VIRT_SPI_GED;
    device(a, "GED", "ACPI0013", 0);
    aml_named(a, "_CRS"); /* interrupts only: Linux takes no others */
    aml_resources(a);
    aml_res_interrupt(a, true, false, 1, &gsi);
    aml_resources_end(a);
    aml_region(a, "EREG", AML_SYSTEM_MEMORY, VIRT_GED, ACPI_GED_SIZE);
    aml_field(a, "EREG", AML_DWORD_ACC);
    aml_field_unit(a, "ESEL", 32);
    aml_end(a);
    aml_method(a, "_EVT", 1, true);
    aml_op(a, AML_STORE), aml_name(a, "ESEL"), aml_local(a, 0);
    for (unsigned i = 0; i < ARRAY_LEN(events); i++) {
        aml_if(a);
        aml_op(a, AML_AND), aml_local(a, 0), aml_int(a, events[i].bit), aml_null_target(a);
        aml_name(a, events[i].method);
        aml_end(a);
    }
    aml_end(a);
    aml_end(a);
}

GByteArray *virt_acpi_dsdt(const VirtFacts *v)
{
    Aml *a = aml_new();
    aml_scope(a, "\\_SB");
    cpus(a, v);
    fixed_devices(a);
    pci(a, v);
    power_button(a);
    if (v->memory_slots) {
        acpi_nfit_aml(a, v->memory_slots, AML_SYSTEM_MEMORY, VIRT_NVDIMM);
        acpi_memory_hotplug_aml(a, v->memory_slots, AML_SYSTEM_MEMORY, VIRT_MEMHP);
        event_device(a);
    }
    aml_end(a);
    return aml_finish(a);
}
