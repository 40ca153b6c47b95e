/* SPDX-License-Identifier: MIT */
/* NFIT: for each module its range of addresses, what of the module lies there, and how it is driven (ACPI 6.4 sections 5.2.25 and 9.20). */
#include "hw/acpi/nfit.h"
#include <stdio.h>
#include "base/bits.h"
#include "hw/mem/nvdimm.h"

enum { SPA_RANGE = 0, REGION_MAPPING = 1, CONTROL_REGION = 4, DOMAIN_VALID = 2, FORMAT_BYTE_ADDRESSABLE = 0x0301 };
#define ATTRIBUTES (UINT64_C(8) | UINT64_C(0x8000)) /* EFI_MEMORY_WB, EFI_MEMORY_NV */

static bool any_module(void)
{
    MemoryDevice *m = memory_device_first();
    while (m && !is_nvdimm(m))
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
    acpi_put(b, 8, nvdimm_data_size(m));
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
    acpi_put(b, 8, nvdimm_data_size(m));
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
        if (!is_nvdimm(m))
            continue;
        n++;
        put_range(b, m, n);
        put_mapping(b, m, n);
        put_control(b, n);
    }
    acpi_table_end(b, at, true);
}

/* Mid (LBUF, index, length) */
static void mid(Aml *a)
{
    aml_op(a, AML_MID), aml_name(a, "LBUF");
}

/* The label area lies in memory behind the data; ACPI 6.4 section 6.5.10: _LSI tells its size, _LSR reads and _LSW writes it. */
static void label_methods(Aml *a, uint64_t at, uint64_t size)
{
    aml_region(a, "LREG", AML_SYSTEM_MEMORY, at, size);
    aml_field(a, "LREG", AML_ANY_ACC);
    aml_field_unit(a, "LBUF", (unsigned)size * 8);
    aml_end(a);
    aml_named(a, "_LSI");
    aml_package(a, 3);
    aml_int(a, 0), aml_int(a, size), aml_int(a, size);
    aml_end(a);
    aml_named(a, "LPKG");
    aml_package(a, 2);
    aml_int(a, 0), aml_int(a, 0);
    aml_end(a);

    aml_method(a, "_LSR", 2, true);
    aml_op(a, AML_STORE), mid(a), aml_arg(a, 0), aml_arg(a, 1), aml_null_target(a);
    aml_op(a, AML_INDEX), aml_name(a, "LPKG"), aml_int(a, 1), aml_null_target(a);
    aml_op(a, AML_RETURN), aml_name(a, "LPKG");
    aml_end(a);

    /* what stands before, what is new, what stands behind */
    aml_method(a, "_LSW", 3, true);
    aml_op(a, AML_STORE), mid(a), aml_int(a, 0), aml_arg(a, 0), aml_null_target(a), aml_local(a, 0);
    aml_op(a, AML_ADD), aml_arg(a, 0), aml_arg(a, 1), aml_local(a, 1);
    aml_op(a, AML_STORE), mid(a), aml_local(a, 1), aml_int(a, size), aml_null_target(a), aml_local(a, 2);
    aml_op(a, AML_CONCATENATE), aml_local(a, 0), aml_arg(a, 2), aml_local(a, 3);
    aml_op(a, AML_CONCATENATE), aml_local(a, 3), aml_local(a, 2), aml_local(a, 4);
    aml_op(a, AML_STORE), aml_local(a, 4), aml_name(a, "LBUF");
    aml_op(a, AML_RETURN), aml_int(a, 0);
    aml_end(a);
}

/* Linux looks for the methods above on a module whose _DSM it knows: Microsoft's, of which there is no function but the one that says so. */
static void known_family(Aml *a)
{
    static const uint8_t mask = 1, none = 0;
    aml_method(a, "_DSM", 4, true);
    aml_if(a);
    aml_op(a, AML_LAND);
    aml_op(a, AML_LEQUAL), aml_arg(a, 0), aml_uuid(a, "1ee68b36-d4bd-4a1a-9a16-4f8e53d46e05");
    aml_op(a, AML_LEQUAL), aml_arg(a, 2), aml_int(a, 0);
    aml_op(a, AML_RETURN), aml_buffer(a, &mask, 1);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_buffer(a, &none, 1);
    aml_end(a);
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
        if (!is_nvdimm(m))
            continue;
        n++;
        snprintf(name, sizeof(name), "NV%02X", n & 0xff);
        aml_device(a, name);
        aml_named_int(a, "_ADR", n);
        if (nvdimm_label_size(m)) {
            known_family(a);
            label_methods(a, m->addr + m->size - nvdimm_label_size(m), nvdimm_label_size(m));
        }
        aml_end(a);
    }
    aml_end(a);
}
