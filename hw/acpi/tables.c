/* SPDX-License-Identifier: MIT */
/* Tables of a PC: FADT, MADT, HPET, MCFG, WAET, FACS (ACPI 6.4 chapter 5). */
#include "hw/acpi/nfit.h"
#include "hw/acpi/numa.h"
#include "hw/acpi/viot.h"

#include <string.h>
#include "base/bits.h"
#include "hw/acpi/pm.h"
#include "hw/core/cpu-slots.h"

static uint32_t build_facs(AcpiBuilder *b)
{
    uint32_t at;

    while (acpi_blob(b)->len % 64)
        acpi_put(b, 1, 0);
    at = acpi_blob(b)->len;
    acpi_put_text(b, "FACS", 4);
    acpi_put(b, 4, 64);
    acpi_put_zeros(b, 56);
    return at;
}

static uint32_t build_dsdt(AcpiBuilder *b)
{
    uint32_t at = acpi_table_begin(b, "DSDT", 2);
    GByteArray *aml = acpi_build_dsdt(b->p);

    g_byte_array_append(acpi_blob(b), aml->data, aml->len);
    g_byte_array_unref(aml);
    acpi_table_end(b, at, false);
    return at;
}

enum { /* FADT flags */
    FADT_WBINVD = 1 << 0, FADT_PROC_C1 = 1 << 2, FADT_SLP_BUTTON = 1 << 5, FADT_RTC_S4 = 1 << 7,
    FADT_RESET_REG = 1 << 10, FADT_PLATFORM_CLOCK = 1 << 15, FADT_APIC_CLUSTER = 1 << 18,
    BOOT_LEGACY = 1 << 0, BOOT_8042 = 1 << 1, BOOT_NO_CMOS_RTC = 1 << 5,
    GAS_MEMORY = 0, GAS_IO = 1,
};

static uint32_t fadt_flags(const AcpiPlatform *p)
{
    return FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RTC_S4 | FADT_RESET_REG |
           FADT_PLATFORM_CLOCK | (p->max_cpus > 8 ? FADT_APIC_CLUSTER : 0);
}

/* Offsets 46..95: ports of the fixed hardware, 32-bit form. */
static void fadt_ports(AcpiBuilder *b)
{
    const AcpiPlatform *p = b->p;

    acpi_put(b, 2, 9); /* SCI */
    acpi_put(b, 4, p->smi_port);
    acpi_put(b, 1, p->smi_port ? ACPI_APM_ENABLE : 0);
    acpi_put(b, 1, p->smi_port ? ACPI_APM_DISABLE : 0);
    acpi_put_zeros(b, 2);
    acpi_put(b, 4, p->pm_base);
    acpi_put(b, 4, 0);
    acpi_put(b, 4, p->pm_base + 4u);
    acpi_put_zeros(b, 8);
    acpi_put(b, 4, p->pm_base + 8u);
    acpi_put(b, 4, p->gpe0_base);
    acpi_put(b, 4, 0);
    acpi_put(b, 1, 4);
    acpi_put(b, 1, 2);
    acpi_put(b, 1, 0);
    acpi_put(b, 1, 4);
    acpi_put(b, 1, p->gpe0_len);
    acpi_put_zeros(b, 3);
}

/* Offsets 148..243: the same as generic addresses. */
static void fadt_extended_ports(AcpiBuilder *b)
{
    const AcpiPlatform *p = b->p;

    acpi_put_gas(b, GAS_IO, 32, 0, p->pm_base);
    acpi_put_zeros(b, 12);
    acpi_put_gas(b, GAS_IO, 16, 0, p->pm_base + 4u);
    acpi_put_zeros(b, 24);
    acpi_put_gas(b, GAS_IO, 32, 0, p->pm_base + 8u);
    acpi_put_gas(b, GAS_IO, (uint8_t)(p->gpe0_len * 8), 0, p->gpe0_base);
    acpi_put_zeros(b, 12);
}

static void build_fadt(AcpiBuilder *b, uint32_t facs, uint32_t dsdt)
{
    const AcpiPlatform *p = b->p;
    uint32_t at = acpi_table_begin(b, "FACP", 3);

    acpi_put_pointer(b, 4, facs);
    acpi_put_pointer(b, 4, dsdt);
    acpi_put_zeros(b, 2); /* reserved, profile unspecified */
    fadt_ports(b);
    acpi_put(b, 2, 0xfff); /* no C2 */
    acpi_put(b, 2, 0xfff); /* no C3 */
    acpi_put_zeros(b, 8);
    acpi_put(b, 1, p->rtc ? 0x32 : 0); /* century */
    acpi_put(b, 2, BOOT_LEGACY | (p->i8042 ? BOOT_8042 : 0) | (p->rtc ? 0 : BOOT_NO_CMOS_RTC));
    acpi_put(b, 1, 0);
    acpi_put(b, 4, fadt_flags(p));
    acpi_put_gas(b, GAS_IO, 8, 0, p->reset_port);
    acpi_put(b, 1, p->reset_value);
    acpi_put_zeros(b, 3);
    acpi_put(b, 8, 0);
    acpi_put_pointer(b, 8, dsdt);
    fadt_extended_ports(b);
    acpi_table_end(b, at, true);
}

GByteArray *acpi_madt_cpu(const AcpiPlatform *p, unsigned i, bool enabled)
{
    uint8_t e[16] = { 0 };
    bool small = p->apic_ids[i] < 255 && i < 255;

    store_le16(e, small ? 0x0800 : 0x1009); /* processor local APIC, processor local x2APIC */
    if (small) {
        e[2] = (uint8_t)i;
        e[3] = (uint8_t)p->apic_ids[i];
        store_le32(e + 4, enabled);
    } else {
        store_le32(e + 4, p->apic_ids[i]);
        store_le32(e + 8, enabled);
        store_le32(e + 12, i);
    }
    return g_byte_array_append(g_byte_array_new(), e, small ? 8 : 16);
}

static void madt_cpu(AcpiBuilder *b, unsigned i)
{
    GByteArray *e = acpi_madt_cpu(b->p, i, b->p->cpu_slots ? b->p->cpu_slots->slot[i].filled : i < b->p->cpus);

    g_byte_array_append(acpi_blob(b), e->data, e->len);
    g_byte_array_unref(e);
}

static void madt_override(AcpiBuilder *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    acpi_put(b, 2, 0x0a02);
    acpi_put(b, 1, 0);
    acpi_put(b, 1, irq);
    acpi_put(b, 4, gsi);
    acpi_put(b, 2, flags);
}

static void build_madt(AcpiBuilder *b)
{
    /* the SCI, and what PCI interrupts may use: level, active high */
    static const uint8_t level_irqs[] = { 9, 5, 10, 11 };
    const AcpiPlatform *p = b->p;
    uint32_t at = acpi_table_begin(b, "APIC", 3);

    acpi_put(b, 4, 0xfee00000);
    acpi_put(b, 4, p->pic);
    for (unsigned i = 0; i < p->max_cpus; i++)
        madt_cpu(b, i);
    acpi_put(b, 2, 0x0c01); /* I/O APIC: id 0, interrupts from 0 */
    acpi_put(b, 2, 0);
    acpi_put(b, 4, 0xfec00000);
    acpi_put(b, 4, 0);
    madt_override(b, 0, 2, 0);
    for (unsigned i = 0; i < (p->flavour == ACPI_MICROVM ? 1 : ARRAY_LEN(level_irqs)); i++)
        madt_override(b, level_irqs[i], level_irqs[i], 0x0d);
    acpi_put(b, 2, 0x0604); /* NMI: LINT1 of every CPU */
    acpi_put(b, 1, 0xff);
    acpi_put(b, 2, 0);
    acpi_put(b, 1, 1);
    if (p->max_cpus > 255) {
        acpi_put(b, 2, 0x0c0a);
        acpi_put(b, 2, 0);
        acpi_put(b, 4, UINT32_MAX);
        acpi_put(b, 1, 1);
        acpi_put_zeros(b, 3);
    }
    acpi_table_end(b, at, true);
}

static void build_hpet(AcpiBuilder *b)
{
    uint32_t at = acpi_table_begin(b, "HPET", 1);

    acpi_put(b, 4, 0x8086a201);
    acpi_put_gas(b, GAS_MEMORY, 0, 0, 0xfed00000);
    acpi_put(b, 1, 0);
    acpi_put(b, 2, 0);
    acpi_put(b, 1, 0);
    acpi_table_end(b, at, true);
}

static void build_mcfg(AcpiBuilder *b)
{
    uint32_t at = acpi_table_begin(b, "MCFG", 1);

    acpi_put_zeros(b, 8);
    acpi_put(b, 8, b->p->mmconfig_base);
    acpi_put(b, 2, 0);
    acpi_put(b, 1, 0);
    acpi_put(b, 1, b->p->mmconfig_size / MiB - 1);
    acpi_put(b, 4, 0);
    acpi_table_end(b, at, true);
}

/* Windows ACPI emulated devices table: one read of the PM timer gives a good value. */
static void build_waet(AcpiBuilder *b)
{
    uint32_t at = acpi_table_begin(b, "WAET", 1);

    acpi_put(b, 4, 2);
    acpi_table_end(b, at, true);
}

static void cpu_affinity(AcpiBuilder *b, const void *board, unsigned i, uint8_t node)
{
    const AcpiPlatform *p = board;

    if (p->apic_ids[i] < 255 && i < 255) {
        acpi_put(b, 2, 0x1000);
        acpi_put(b, 1, node);
        acpi_put(b, 1, p->apic_ids[i]);
        acpi_put(b, 4, 1); /* enabled */
        acpi_put_zeros(b, 8);
    } else {
        acpi_put(b, 2, 0x1802);
        acpi_put(b, 2, 0);
        acpi_put(b, 4, node);
        acpi_put(b, 4, p->apic_ids[i]);
        acpi_put(b, 4, 1);
        acpi_put_zeros(b, 8);
    }
}

static void build_numa(AcpiBuilder *b)
{
    const AcpiPlatform *p = b->p;
    AcpiNuma n = { .config = p->numa, .ram = { { 0, p->below_4g }, { 4 * GiB, p->above_4g } },
                   .devices = { p->devices_base, p->devices_size }, .cpus = p->max_cpus,
                   .cpu = cpu_affinity, .board = p };

    acpi_build_numa(b, &n);
    acpi_build_nfit(b);
}

AcpiBlobs acpi_build(const AcpiPlatform *p)
{
    AcpiBuilder b;
    uint32_t facs, dsdt;

    acpi_builder_init(&b);
    b.p = p;
    facs = build_facs(&b);
    dsdt = build_dsdt(&b);
    build_fadt(&b, facs, dsdt);
    build_madt(&b);
    if (p->hpet)
        build_hpet(&b);
    if (p->mmconfig_size)
        build_mcfg(&b);
    build_numa(&b);
    build_waet(&b);
    acpi_build_viot(&b);
    return acpi_builder_finish(&b, true);
}
