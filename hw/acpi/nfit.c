/* SPDX-License-Identifier: MIT */
/* NFIT: for each module its range of addresses, what of the module lies there, and how it is driven (ACPI 6.4 sections 5.2.25 and 9.20). */
#include "hw/acpi/nfit.h"
#include <stdio.h>
#include <string.h>
#include "base/bits.h"
#include "hw/mem/memory-device.h"

enum { SPA_RANGE = 0, REGION_MAPPING = 1, CONTROL_REGION = 4, DOMAIN_VALID = 2, FORMAT_BYTE_ADDRESSABLE = 0x0301 };
#define ATTRIBUTES (UINT64_C(8) | UINT64_C(0x8000)) /* EFI_MEMORY_WB, EFI_MEMORY_NV */

static bool is_module(const MemoryDevice *m) { return !strcmp(m->kind, "nvdimm"); }

static bool any_module(void)
{
    MemoryDevice *m = memory_device_first();
    while (m && !is_module(m))
        m = m->next;
    return m;
}

static void put_range(AcpiBuilder *b, const MemoryDevice *m, unsigned n)
{
    /* 66f0d379-b4f3-4074-ac43-0d3318b78cdb: persistent memory */
    static const uint8_t persistent[16] = { 0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40, 0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb };
    acpi_put(b, 2, SPA_RANGE);
    acpi_put(b, 2, 56);
    acpi_put(b, 2, n);
    acpi_put(b, 2, DOMAIN_VALID);
    acpi_put(b, 4, 0);
    acpi_put(b, 4, m->node);
    acpi_put_text(b, (const char *)persistent, sizeof(persistent));
    acpi_put(b, 8, m->addr);
    acpi_put(b, 8, m->size);
    acpi_put(b, 8, ATTRIBUTES);
}

static void put_mapping(AcpiBuilder *b, const MemoryDevice *m, unsigned n)
{
    acpi_put(b, 2, REGION_MAPPING);
    acpi_put(b, 2, 48);
    acpi_put(b, 4, n); /* handle: _ADR of the module's device */
    acpi_put(b, 2, n);
    acpi_put(b, 2, n);
    acpi_put(b, 2, n); /* range, control region */
    acpi_put(b, 2, n);
    acpi_put(b, 8, m->size);
    acpi_put(b, 8, 0);
    acpi_put(b, 8, 0);
    acpi_put(b, 2, 0);
    acpi_put(b, 2, 1);
    acpi_put(b, 4, 0);
}

static void put_control(AcpiBuilder *b, unsigned n)
{
    acpi_put(b, 2, CONTROL_REGION);
    acpi_put(b, 2, 32);
    acpi_put(b, 2, n);
    acpi_put(b, 2, 0x8086);
    acpi_put(b, 2, 1);
    acpi_put(b, 2, 1);
    acpi_put_zeros(b, 12);
    acpi_put(b, 4, 0x123456 + n);
    acpi_put(b, 2, FORMAT_BYTE_ADDRESSABLE);
    acpi_put(b, 2, 0);
}

void acpi_build_nfit(AcpiBuilder *b)
{
    unsigned n = 0;
    if (!any_module())
        return;
    uint32_t at = acpi_table_begin(b, "NFIT", 1);
    acpi_put(b, 4, 0);
    for (const MemoryDevice *m = memory_device_first(); m; m = m->next) {
        if (!is_module(m))
            continue;
        n++;
        put_range(b, m, n);
        put_mapping(b, m, n);
        put_control(b, n);
    }
    acpi_table_end(b, at, true);
}

void acpi_nfit_aml(Aml *a)
{
    unsigned n = 0;
    if (!any_module())
        return;
    aml_device(a, "NVDR");
    aml_named_string(a, "_HID", "ACPI0012");
    for (const MemoryDevice *m = memory_device_first(); m; m = m->next) {
        char name[5];
        if (!is_module(m))
            continue;
        n++;
        snprintf(name, sizeof(name), "NV%02X", n & 0xff);
        aml_device(a, name);
        aml_named_int(a, "_ADR", n);
        aml_end(a);
    }
    aml_end(a);
}
