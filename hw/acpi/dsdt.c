/* SPDX-License-Identifier: MIT */
/* The DSDT: PCI root with its windows and interrupt routing, ISA devices, sleep states, CPUs. */
#include <stdio.h>
#include "base/bits.h"
#include "hw/acpi/aml.h"
#include "hw/acpi/cpu-hotplug.h"
#include "hw/acpi/memory-hotplug.h"
#include "hw/acpi/nfit.h"
#include "hw/acpi/pm.h"
#include "hw/acpi/tables.h"

enum { PCI_SLOTS = 32, PCI_PINS = 4, ISA_BRIDGE_Q35 = 0x001f0000, ISA_BRIDGE_PC = 0x00010000,
       MAX_LINKS = 8 };

static const uint32_t link_irqs[] = { 5, 10, 11 };

static unsigned links_of(const AcpiPlatform *p) { return p->flavour == ACPI_Q35 ? 8 : 4; }

/* Method(name) { Return (callee (field)) } */
static void method_returning_call(Aml *a, const char *name, const char *callee, const char *field)
{
    aml_method(a, name, 0, true);
    aml_op(a, AML_RETURN);
    aml_name(a, callee);
    aml_name(a, field);
    aml_end(a);
}

/* ---- PCI interrupt links: the PIRQ routing registers of the ISA bridge ---- */

static void pirq_fields(Aml *a, const AcpiPlatform *p)
{
    char name[5] = "PRQA";

    aml_field(a, "\\_SB.PCI0.ISA.PIRQ", AML_BYTE_ACC);
    for (unsigned i = 0; i < links_of(p); i++) {
        if (i == 4)
            aml_field_unit(a, NULL, 32); /* 0x64..0x67 */
        name[3] = (char)('A' + i);
        aml_field_unit(a, name, 8);
    }
    aml_end(a);
}

/* LSTA: status of a link from its register; LCRS: its current interrupt. Bit 7: not routed. */
static void link_helpers(Aml *a)
{
    uint32_t none = 0;

    aml_method(a, "LSTA", 1, false);
    aml_if(a);
    aml_op(a, AML_AND), aml_arg(a, 0), aml_int(a, 0x80), aml_null_target(a);
    aml_op(a, AML_RETURN), aml_int(a, 0x09);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, 0x0b);
    aml_end(a);

    aml_method(a, "LCRS", 1, true);
    aml_named(a, "RES0");
    aml_resources(a);
    aml_res_interrupt(a, false, true, 1, &none);
    aml_resources_end(a);
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_name(a, "RES0"), aml_int(a, 5), aml_name(a, "IRQN");
    aml_if(a);
    aml_op(a, AML_LLESS), aml_arg(a, 0), aml_int(a, 0x80);
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_name(a, "IRQN");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_name(a, "RES0");
    aml_end(a);
}

static void link_device(Aml *a, unsigned i)
{
    char name[5] = "LNKA", field[5] = "PRQA";

    name[3] = field[3] = (char)('A' + i);
    aml_device(a, name);
    aml_named_eisaid(a, "_HID", "PNP0C0F");
    aml_named_int(a, "_UID", i);
    aml_named(a, "_PRS");
    aml_resources(a);
    aml_res_interrupt(a, false, true, ARRAY_LEN(link_irqs), link_irqs);
    aml_resources_end(a);
    method_returning_call(a, "_STA", "LSTA", field);
    method_returning_call(a, "_CRS", "LCRS", field);
    aml_method(a, "_DIS", 0, false);
    aml_op(a, AML_OR), aml_name(a, field), aml_int(a, 0x80), aml_name(a, field);
    aml_end(a);
    aml_method(a, "_SRS", 1, true);
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 0), aml_int(a, 5), aml_name(a, "IRQN");
    aml_op(a, AML_STORE), aml_name(a, "IRQN"), aml_name(a, field);
    aml_end(a);
    aml_end(a);
}

/* The SCI as a link: function 3 of the PIIX interrupts through it and cannot be moved. */
static void sci_link(Aml *a)
{
    uint32_t sci = 9;

    aml_device(a, "LNKS");
    aml_named_eisaid(a, "_HID", "PNP0C0F");
    aml_named_int(a, "_UID", MAX_LINKS);
    for (unsigned i = 0; i < 2; i++) {
        aml_named(a, i ? "_CRS" : "_PRS");
        aml_resources(a);
        aml_res_interrupt(a, false, true, 1, &sci);
        aml_resources_end(a);
    }
    aml_named_int(a, "_STA", 0x0b);
    aml_method(a, "_DIS", 0, false);
    aml_end(a);
    aml_method(a, "_SRS", 1, false);
    aml_end(a);
    aml_end(a);
}

static void links(Aml *a, const AcpiPlatform *p)
{
    aml_scope(a, "\\_SB");
    pirq_fields(a, p);
    link_helpers(a);
    for (unsigned i = 0; i < links_of(p); i++)
        link_device(a, i);
    if (p->flavour == ACPI_PC)
        sci_link(a);
    aml_end(a);
}

/* ---- Interrupt routing tables ---- */

static unsigned pirq_of(const AcpiPlatform *p, unsigned slot, unsigned pin)
{
    if (p->flavour == ACPI_PC)
        return (slot + pin + 3) % 4;
    return slot < 25 ? (slot + pin) % 4 + 4 : pin;
}

/* _PRT entries (ACPI 6.4 section 6.2.13): by link, or with gsi_base by global interrupt number. */
static void routing_table(Aml *a, const AcpiPlatform *p, unsigned gsi_base)
{
    char link[5] = "LNKA";

    aml_package(a, PCI_SLOTS * PCI_PINS);
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            bool sci = p->flavour == ACPI_PC && slot == 1 && pin == 0;
            link[3] = sci ? 'S' : (char)('A' + pirq_of(p, slot, pin));
            aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            if (gsi_base)
                aml_int(a, 0);
            else
                aml_name(a, link);
            aml_int(a, gsi_base ? gsi_base + pirq_of(p, slot, pin) : 0);
            aml_end(a);
        }
    }
    aml_end(a);
}

static void routing(Aml *a, const AcpiPlatform *p)
{
    if (p->flavour == ACPI_PC) { /* the links' interrupts are the same numbers at both controllers */
        aml_named(a, "_PRT");
        routing_table(a, p, 0);
        return;
    }
    aml_named(a, "PRTP");
    routing_table(a, p, 0);
    aml_named(a, "PRTA");
    routing_table(a, p, 16);
    aml_method(a, "_PRT", 0, false);
    aml_if(a);
    aml_op(a, AML_LEQUAL), aml_name(a, "\\PICF"), aml_int(a, 0);
    aml_op(a, AML_RETURN), aml_name(a, "PRTP");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_name(a, "PRTA");
    aml_end(a);
}

/* ---- PCI root ---- */

static void root_resources(Aml *a, const AcpiPlatform *p)
{
    uint16_t last_bus = p->mmconfig_size ? (uint16_t)(p->mmconfig_size / MiB - 1) : 255;

    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_bus(a, 0, last_bus);
    aml_res_io(a, 0xcf8, 1, 8);
    aml_res_word_io(a, 0x0000, 0x0cf7);
    aml_res_word_io(a, 0x0d00, 0xffff);
    aml_res_dword_memory(a, 0xa0000, 0xbffff);
    for (unsigned i = 0; i < p->windows; i++) {
        if (p->window[i].last <= UINT32_MAX)
            aml_res_dword_memory(a, (uint32_t)p->window[i].first, (uint32_t)p->window[i].last);
        else
            aml_res_qword_memory(a, p->window[i].first, p->window[i].last);
    }
    aml_resources_end(a);
}

/* ---- ISA devices ---- */

static void isa_device(Aml *a, const char *name, const char *hid, uint16_t port, uint8_t len,
                       int irq)
{
    aml_device(a, name);
    aml_named_eisaid(a, "_HID", hid);
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, port, 1, len);
    if (irq >= 0)
        aml_res_irq(a, (unsigned)irq);
    aml_resources_end(a);
    aml_end(a);
}

static void keyboard_and_mouse(Aml *a)
{
    aml_device(a, "KBD");
    aml_named_eisaid(a, "_HID", "PNP0303");
    aml_named_int(a, "_STA", 0x0f);
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, 0x60, 1, 1);
    aml_res_io(a, 0x64, 1, 1);
    aml_res_irq(a, 1);
    aml_resources_end(a);
    aml_end(a);
    aml_device(a, "MOU");
    aml_named_eisaid(a, "_HID", "PNP0F13");
    aml_named_int(a, "_STA", 0x0f);
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_irq(a, 12);
    aml_resources_end(a);
    aml_end(a);
}

static void com_port(Aml *a, const AcpiPlatform *p, unsigned i)
{
    char name[5] = "COM1";

    name[3] = (char)('1' + i);
    aml_device(a, name);
    aml_named_eisaid(a, "_HID", "PNP0501");
    aml_named_int(a, "_UID", i + 1);
    aml_named_int(a, "_STA", 0x0f);
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, p->com_port[i], 0, 8);
    aml_res_irq(a, p->com_irq[i]);
    aml_resources_end(a);
    aml_end(a);
}

static void dma_controllers(Aml *a)
{
    aml_device(a, "DMAC");
    aml_named_eisaid(a, "_HID", "PNP0200");
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, 0x00, 1, 0x10);
    aml_res_io(a, 0x81, 1, 0x0f);
    aml_res_io(a, 0xc0, 1, 0x20);
    aml_res_dma(a, 4);
    aml_resources_end(a);
    aml_end(a);
}

/* _FDE (ACPI 6.4, 9.9.1): for each of four drives whether it is there, then whether there is a tape. */
static void floppy_controller(Aml *a, const AcpiPlatform *p)
{
    uint8_t drives[20] = { p->floppies & 1, [4] = p->floppies >> 1 & 1, [16] = 2 };

    aml_device(a, "FDC0");
    aml_named_eisaid(a, "_HID", "PNP0700");
    aml_named_int(a, "_STA", 0x0f);
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, 0x3f2, 0, 4);
    aml_res_io(a, 0x3f7, 0, 1);
    aml_res_irq(a, 6);
    aml_res_dma(a, 2);
    aml_resources_end(a);
    aml_named(a, "_FDE");
    aml_buffer(a, drives, sizeof(drives));
    aml_end(a);
}

static void isa_devices(Aml *a, const AcpiPlatform *p)
{
    if (p->dma)
        dma_controllers(a);
    if (p->fdc)
        floppy_controller(a, p);
    if (p->rtc)
        isa_device(a, "RTC", "PNP0B00", 0x70, 8, 8);
    if (p->i8042)
        keyboard_and_mouse(a);
    for (unsigned i = 0; i < p->com_ports; i++)
        com_port(a, p, i);
}

static void isa_bridge(Aml *a, const AcpiPlatform *p)
{
    aml_device(a, "ISA");
    aml_named_int(a, "_ADR", p->flavour == ACPI_Q35 ? ISA_BRIDGE_Q35 : ISA_BRIDGE_PC);
    aml_region(a, "PIRQ", AML_PCI_CONFIG, 0x60, p->flavour == ACPI_Q35 ? 0x0c : 0x04);
    isa_devices(a, p);
    aml_end(a);
}

/* ---- Devices that firmware and guests find by their paravirtual names ---- */

static void paravirtual(Aml *a, const AcpiPlatform *p)
{
    if (p->fw_cfg) {
        aml_device(a, "FWCF");
        aml_named_string(a, "_HID", "QEMU0002");
        aml_named_int(a, "_STA", 0x0b);
        aml_named(a, "_CRS");
        aml_resources(a);
        aml_res_io(a, 0x510, 1, 0x0c);
        aml_resources_end(a);
        aml_end(a);
    }
    if (p->pvpanic_port) {
        aml_device(a, "PEVT");
        aml_named_string(a, "_HID", "QEMU0001");
        aml_named_int(a, "_STA", 0x0f);
        aml_named(a, "_CRS");
        aml_resources(a);
        aml_res_io(a, p->pvpanic_port, 1, 1);
        aml_resources_end(a);
        aml_end(a);
    }
}

/* "Virtual Machine Generation ID" (Microsoft, 2012): where the identifier is; event 5 tells that it has changed. */
static void generation_id(Aml *a, const AcpiPlatform *p)
{
    aml_device(a, "VGEN");
    aml_named_string(a, "_HID", "QEMUVGID");
    aml_named_string(a, "_CID", "VM_Gen_Counter");
    aml_named_string(a, "_DDN", "VM_Gen_Counter");
    aml_named(a, "ADDR");
    aml_package(a, 2);
    aml_int(a, p->vmgenid & UINT32_MAX);
    aml_int(a, p->vmgenid >> 32);
    aml_end(a);
    aml_method(a, "CHNG", 0, false);
    aml_op(a, AML_NOTIFY), aml_name(a, "\\_SB.VGEN"), aml_int(a, 0x80);
    aml_end(a);
    aml_end(a);
}

static void virtio_transports(Aml *a, const AcpiPlatform *p)
{
    for (unsigned i = 0; i < 32; i++) {
        uint32_t gsi = p->virtio_gsi + i;
        char name[5];
        if (!(p->virtio_used >> i & 1))
            continue;
        snprintf(name, sizeof(name), "VR%02u", i);
        aml_device(a, name);
        aml_named_string(a, "_HID", "LNRO0005");
        aml_named_int(a, "_UID", i);
        aml_named_int(a, "_CCA", 1);
        aml_named(a, "_CRS");
        aml_resources(a);
        aml_res_memory32(a, true, (uint32_t)p->virtio_base + i * 0x200, 0x200);
        aml_res_interrupt(a, false, false, 1, &gsi);
        aml_resources_end(a);
        aml_end(a);
    }
}

static void pci_root(Aml *a, const AcpiPlatform *p)
{
    aml_scope(a, "\\_SB");
    aml_device(a, "PCI0");
    if (p->flavour == ACPI_Q35) {
        aml_named_eisaid(a, "_HID", "PNP0A08");
        aml_named_eisaid(a, "_CID", "PNP0A03");
        aml_pci_osc(a);
    } else {
        aml_named_eisaid(a, "_HID", "PNP0A03");
    }
    aml_named_int(a, "_UID", 0);
    aml_named_int(a, "_BBN", 0);
    root_resources(a, p);
    isa_bridge(a, p);
    paravirtual(a, p);
    aml_end(a);
    aml_end(a);
    links(a, p);
    aml_scope(a, "\\_SB.PCI0");
    routing(a, p);
    aml_end(a);
}

/* ---- System board ---- */

static void fixed_memory(Aml *a, const char *name, const char *hid, uint32_t base, uint32_t len,
                         bool writable)
{
    aml_device(a, name);
    aml_named_eisaid(a, "_HID", hid);
    aml_named_int(a, "_UID", 0);
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_memory32(a, writable, base, len);
    aml_resources_end(a);
    aml_end(a);
}

static void processors(Aml *a, const AcpiPlatform *p)
{
    for (unsigned i = 0; i < p->max_cpus; i++) {
        char name[5];
        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        aml_device(a, name);
        aml_named_string(a, "_HID", "ACPI0007");
        aml_named_int(a, "_UID", i);
        aml_named_int(a, "_STA", i < p->cpus ? 0x0f : 0);
        aml_end(a);
    }
}

static void sleep_state(Aml *a, const char *name, unsigned type)
{
    aml_named(a, name);
    aml_package(a, 4);
    aml_int(a, type);
    aml_int(a, type);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a);
}

/* \_PIC tells which interrupt controllers the system uses: 0 the 8259 pair, 1 the I/O APIC. */
static void interrupt_model(Aml *a)
{
    aml_named_int(a, "\\PICF", 0);
    aml_method(a, "\\_PIC", 1, false);
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_name(a, "\\PICF");
    aml_end(a);
}

/* A general purpose event calls a method. */
static void event_method(Aml *a, const char *event, const char *method)
{
    aml_scope(a, "\\_GPE");
    aml_method(a, event, 0, false);
    aml_name(a, method);
    aml_end(a);
    aml_end(a);
}

GByteArray *acpi_build_dsdt(const AcpiPlatform *p)
{
    Aml *a = aml_new();

    interrupt_model(a);
    if (p->flavour != ACPI_MICROVM)
        pci_root(a, p);
    if (p->pcihp_port)
        acpi_dsdt_pcihp(a, p);
    aml_scope(a, "\\_SB");
    if (p->flavour == ACPI_MICROVM) {
        isa_devices(a, p);
        paravirtual(a, p);
        virtio_transports(a, p);
    }
    if (p->hpet)
        fixed_memory(a, "HPET", "PNP0103", 0xfed00000, 0x400, false);
    if (p->mmconfig_size)
        fixed_memory(a, "MRES", "PNP0C02", (uint32_t)p->mmconfig_base, (uint32_t)p->mmconfig_size,
                     true);
    if (p->cpu_hotplug_port)
        acpi_cpu_hotplug_aml(a, p);
    else
        processors(a, p);
    if (p->vmgenid)
        generation_id(a, p);
    if (p->memory_slots) {
        acpi_memory_hotplug_aml(a, p->memory_slots, AML_SYSTEM_IO, ACPI_MEMHP_PORT);
        acpi_nfit_aml(a, p->memory_slots, AML_SYSTEM_IO, ACPI_NVDIMM_PORT);
    }
    aml_end(a);
    if (p->cpu_hotplug_port)
        event_method(a, "_E02", "\\_SB.CPUS.CSCN");
    if (p->memory_slots) {
        event_method(a, "_E03", "\\_SB.MHPC.MSCN");
        event_method(a, "_E04", "\\_SB.NVDR.CAME");
    }
    if (p->vmgenid)
        event_method(a, "_E05", "\\_SB.VGEN.CHNG");
    if (p->s3)
        sleep_state(a, "\\_S3", ACPI_SLP_S3);
    if (p->s4)
        sleep_state(a, "\\_S4", ACPI_SLP_S4);
    sleep_state(a, "\\_S5", ACPI_SLP_S5);
    return aml_finish(a);
}
