/* SPDX-License-Identifier: MIT */
/* FADT, MADT, HPET, MCFG, WAET, FACS, RSDT, XSDT, RSDP, and the script that links them (ACPI 6.4 chapter 5). */
#include "hw/acpi/tables.h"

#include <string.h>
#include "base/bits.h"
#include "hw/acpi/pm.h"

#define BLOB_ALIGN (64 * KiB) /* contents may be rebuilt, sizes stay */
#define LOADER_ALIGN 4096

enum { HEADER_SIZE = 36, CHECKSUM_AT = 9, MAX_TABLES = 16 };

typedef struct Builder {
    const AcpiPlatform *p;
    AcpiBlobs out;
    uint32_t table[MAX_TABLES]; /* offsets of what RSDT and XSDT list */
    unsigned tables;
} Builder;

/* ---- Loader script: 128-byte commands, little-endian ---- */

enum { CMD_ALLOCATE = 1, CMD_ADD_POINTER = 2, CMD_ADD_CHECKSUM = 3, CMD_SIZE = 128, CMD_NAME = 56,
       ZONE_HIGH = 1, ZONE_FSEG = 2 };

static uint8_t *command(Builder *b, uint32_t code, const char *file)
{
    guint at = b->out.loader->len;
    uint8_t *c;

    g_byte_array_set_size(b->out.loader, at + CMD_SIZE);
    c = b->out.loader->data + at;
    memset(c, 0, CMD_SIZE);
    store_le32(c, code);
    g_strlcpy((char *)c + 4, file, CMD_NAME);
    return c;
}

static void cmd_allocate(Builder *b, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t *c = command(b, CMD_ALLOCATE, file);

    store_le32(c + 60, align);
    c[64] = zone;
}

static void cmd_pointer(Builder *b, const char *in, const char *to, uint32_t at, uint8_t size)
{
    uint8_t *c = command(b, CMD_ADD_POINTER, in);

    g_strlcpy((char *)c + 60, to, CMD_NAME);
    store_le32(c + 116, at);
    c[120] = size;
}

static void cmd_checksum(Builder *b, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
    uint8_t *c = command(b, CMD_ADD_CHECKSUM, file);

    store_le32(c + 60, at);
    store_le32(c + 64, start);
    store_le32(c + 68, len);
}

/* ---- Tables ---- */

static GByteArray *blob(Builder *b) { return b->out.tables; }

static void put(Builder *b, unsigned size, uint64_t v)
{
    uint8_t bytes[8];

    store_le(bytes, size, v);
    g_byte_array_append(blob(b), bytes, size);
}

static void put_zeros(Builder *b, unsigned n)
{
    while (n--)
        put(b, 1, 0);
}

static void put_text(Builder *b, const char *text, unsigned len)
{
    g_byte_array_append(blob(b), (const uint8_t *)text, len);
}

static uint32_t table_begin(Builder *b, const char *signature, uint8_t revision)
{
    uint32_t at;

    while (blob(b)->len % 16)
        put(b, 1, 0);
    at = blob(b)->len;
    put_text(b, signature, 4);
    put(b, 4, 0); /* length */
    put(b, 1, revision);
    put(b, 1, 0); /* checksum */
    put_text(b, "RHEA  RHEA", 10);
    put_text(b, signature, 4);
    put(b, 4, 1);
    put_text(b, "RHEA", 4);
    put(b, 4, 1);
    return at;
}

static void table_end(Builder *b, uint32_t at, bool listed)
{
    uint32_t len = blob(b)->len - at;

    store_le32(blob(b)->data + at + 4, len);
    cmd_checksum(b, ACPI_FILE_TABLES, at + CHECKSUM_AT, at, len);
    if (listed) {
        g_assert(b->tables < MAX_TABLES);
        b->table[b->tables++] = at;
    }
}

/* A pointer of the present table to `target` in the same blob. */
static void put_pointer(Builder *b, unsigned size, uint32_t target)
{
    cmd_pointer(b, ACPI_FILE_TABLES, ACPI_FILE_TABLES, blob(b)->len, (uint8_t)size);
    put(b, size, target);
}

/* Generic address structure. */
static void put_gas(Builder *b, uint8_t space, uint8_t bits, uint8_t access, uint64_t address)
{
    put(b, 1, address ? space : 0);
    put(b, 1, address ? bits : 0);
    put(b, 1, 0);
    put(b, 1, address ? access : 0);
    put(b, 8, address);
}

static uint32_t build_facs(Builder *b)
{
    uint32_t at;

    while (blob(b)->len % 64)
        put(b, 1, 0);
    at = blob(b)->len;
    put_text(b, "FACS", 4);
    put(b, 4, 64);
    put_zeros(b, 56);
    return at;
}

static uint32_t build_dsdt(Builder *b)
{
    uint32_t at = table_begin(b, "DSDT", 2);
    GByteArray *aml = acpi_build_dsdt(b->p);

    g_byte_array_append(blob(b), aml->data, aml->len);
    g_byte_array_unref(aml);
    table_end(b, at, false);
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
static void fadt_ports(Builder *b)
{
    const AcpiPlatform *p = b->p;

    put(b, 2, 9); /* SCI */
    put(b, 4, p->smi_port);
    put(b, 1, p->smi_port ? ACPI_APM_ENABLE : 0);
    put(b, 1, p->smi_port ? ACPI_APM_DISABLE : 0);
    put_zeros(b, 2);
    put(b, 4, p->pm_base);
    put(b, 4, 0);
    put(b, 4, p->pm_base + 4u);
    put_zeros(b, 8);
    put(b, 4, p->pm_base + 8u);
    put(b, 4, p->gpe0_base);
    put(b, 4, 0);
    put(b, 1, 4);
    put(b, 1, 2);
    put(b, 1, 0);
    put(b, 1, 4);
    put(b, 1, p->gpe0_len);
    put_zeros(b, 3);
}

/* Offsets 148..243: the same as generic addresses. */
static void fadt_extended_ports(Builder *b)
{
    const AcpiPlatform *p = b->p;

    put_gas(b, GAS_IO, 32, 0, p->pm_base);
    put_zeros(b, 12);
    put_gas(b, GAS_IO, 16, 0, p->pm_base + 4u);
    put_zeros(b, 24);
    put_gas(b, GAS_IO, 32, 0, p->pm_base + 8u);
    put_gas(b, GAS_IO, (uint8_t)(p->gpe0_len * 8), 0, p->gpe0_base);
    put_zeros(b, 12);
}

static void build_fadt(Builder *b, uint32_t facs, uint32_t dsdt)
{
    const AcpiPlatform *p = b->p;
    uint32_t at = table_begin(b, "FACP", 3);

    put_pointer(b, 4, facs);
    put_pointer(b, 4, dsdt);
    put_zeros(b, 2); /* reserved, profile unspecified */
    fadt_ports(b);
    put(b, 2, 0xfff); /* no C2 */
    put(b, 2, 0xfff); /* no C3 */
    put_zeros(b, 8);
    put(b, 1, p->rtc ? 0x32 : 0); /* century */
    put(b, 2, BOOT_LEGACY | (p->i8042 ? BOOT_8042 : 0) | (p->rtc ? 0 : BOOT_NO_CMOS_RTC));
    put(b, 1, 0);
    put(b, 4, fadt_flags(p));
    put_gas(b, GAS_IO, 8, 0, p->reset_port);
    put(b, 1, p->reset_value);
    put_zeros(b, 3);
    put(b, 8, 0);
    put_pointer(b, 8, dsdt);
    fadt_extended_ports(b);
    table_end(b, at, true);
}

static void madt_cpu(Builder *b, unsigned i)
{
    const AcpiPlatform *p = b->p;
    bool present = i < p->cpus;

    if (p->apic_ids[i] < 255 && i < 255) {
        put(b, 2, 0x0800);
        put(b, 1, i);
        put(b, 1, p->apic_ids[i]);
        put(b, 4, present);
    } else { /* local x2APIC */
        put(b, 2, 0x1009);
        put(b, 2, 0);
        put(b, 4, p->apic_ids[i]);
        put(b, 4, present);
        put(b, 4, i);
    }
}

static void madt_override(Builder *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    put(b, 2, 0x0a02);
    put(b, 1, 0);
    put(b, 1, irq);
    put(b, 4, gsi);
    put(b, 2, flags);
}

static void build_madt(Builder *b)
{
    static const uint8_t level_irqs[] = { 9, 5, 10, 11 }; /* the SCI, and what PCI interrupts may use: level, active high */
    const AcpiPlatform *p = b->p;
    uint32_t at = table_begin(b, "APIC", 3);

    put(b, 4, 0xfee00000);
    put(b, 4, p->pic);
    for (unsigned i = 0; i < p->max_cpus; i++)
        madt_cpu(b, i);
    put(b, 2, 0x0c01); /* I/O APIC: id 0, interrupts from 0 */
    put(b, 2, 0);
    put(b, 4, 0xfec00000);
    put(b, 4, 0);
    madt_override(b, 0, 2, 0);
    for (unsigned i = 0; i < (p->flavour == ACPI_MICROVM ? 1 : ARRAY_LEN(level_irqs)); i++)
        madt_override(b, level_irqs[i], level_irqs[i], 0x0d);
    put(b, 2, 0x0604); /* NMI: LINT1 of every CPU */
    put(b, 1, 0xff);
    put(b, 2, 0);
    put(b, 1, 1);
    if (p->max_cpus > 255) {
        put(b, 2, 0x0c0a);
        put(b, 2, 0);
        put(b, 4, UINT32_MAX);
        put(b, 1, 1);
        put_zeros(b, 3);
    }
    table_end(b, at, true);
}

static void build_hpet(Builder *b)
{
    uint32_t at = table_begin(b, "HPET", 1);

    put(b, 4, 0x8086a201);
    put_gas(b, GAS_MEMORY, 0, 0, 0xfed00000);
    put(b, 1, 0);
    put(b, 2, 0);
    put(b, 1, 0);
    table_end(b, at, true);
}

static void build_mcfg(Builder *b)
{
    uint32_t at = table_begin(b, "MCFG", 1);

    put_zeros(b, 8);
    put(b, 8, b->p->mmconfig_base);
    put(b, 2, 0);
    put(b, 1, 0);
    put(b, 1, b->p->mmconfig_size / MiB - 1);
    put(b, 4, 0);
    table_end(b, at, true);
}

/* Windows ACPI emulated devices table: one read of the PM timer gives a good value. */
static void build_waet(Builder *b)
{
    uint32_t at = table_begin(b, "WAET", 1);

    put(b, 4, 2);
    table_end(b, at, true);
}

static uint32_t build_root(Builder *b, const char *signature, unsigned pointer_size)
{
    uint32_t at = table_begin(b, signature, 1);

    for (unsigned i = 0; i < b->tables; i++)
        put_pointer(b, pointer_size, b->table[i]);
    table_end(b, at, false);
    return at;
}

/* Section 5.2.5.3. */
static void build_rsdp(Builder *b, uint32_t rsdt, uint32_t xsdt)
{
    uint8_t r[36] = "RSD PTR ";

    memcpy(r + 9, "RHEA  ", 6);
    r[15] = 2;
    store_le32(r + 16, rsdt);
    store_le32(r + 20, sizeof(r));
    store_le64(r + 24, xsdt);
    g_byte_array_append(b->out.rsdp, r, sizeof(r));
    cmd_pointer(b, ACPI_FILE_RSDP, ACPI_FILE_TABLES, 16, 4);
    cmd_pointer(b, ACPI_FILE_RSDP, ACPI_FILE_TABLES, 24, 8);
    cmd_checksum(b, ACPI_FILE_RSDP, 8, 0, 20);
    cmd_checksum(b, ACPI_FILE_RSDP, 32, 0, 36);
}

static void pad(GByteArray *a, guint align)
{
    guint old = a->len;

    g_byte_array_set_size(a, (guint)align_up(MAX(old, 1u), align));
    memset(a->data + old, 0, a->len - old);
}

AcpiBlobs acpi_build(const AcpiPlatform *p)
{
    Builder b = { .p = p, .out = { g_byte_array_new(), g_byte_array_new(), g_byte_array_new() } };
    uint32_t facs, dsdt, rsdt, xsdt;

    cmd_allocate(&b, ACPI_FILE_RSDP, 16, ZONE_FSEG);
    cmd_allocate(&b, ACPI_FILE_TABLES, 64, ZONE_HIGH);
    facs = build_facs(&b);
    dsdt = build_dsdt(&b);
    build_fadt(&b, facs, dsdt);
    build_madt(&b);
    if (p->hpet)
        build_hpet(&b);
    if (p->mmconfig_size)
        build_mcfg(&b);
    build_waet(&b);
    rsdt = build_root(&b, "RSDT", 4);
    xsdt = build_root(&b, "XSDT", 8);
    build_rsdp(&b, rsdt, xsdt);
    pad(b.out.tables, BLOB_ALIGN);
    pad(b.out.loader, LOADER_ALIGN);
    return b.out;
}

void acpi_blobs_free(AcpiBlobs *b)
{
    g_clear_pointer(&b->tables, g_byte_array_unref);
    g_clear_pointer(&b->rsdp, g_byte_array_unref);
    g_clear_pointer(&b->loader, g_byte_array_unref);
}

static GByteArray *named_blob(AcpiBlobs *b, const char *file)
{
    return !strcmp(file, ACPI_FILE_RSDP) ? b->rsdp : b->tables;
}

static void run_checksum(GByteArray *blob_, uint32_t at, uint32_t start, uint32_t len)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + blob_->data[start + i]);
    blob_->data[at] = (uint8_t)(blob_->data[at] - sum);
}

void acpi_link(AcpiBlobs *b, uint64_t tables_at, uint64_t rsdp_at)
{
    for (guint at = 0; at < b->loader->len; at += CMD_SIZE) {
        const uint8_t *c = b->loader->data + at;
        GByteArray *in = named_blob(b, (const char *)c + 4);
        if (load_le32(c) == CMD_ADD_POINTER) {
            uint8_t *field = in->data + load_le32(c + 116);
            uint64_t to = strcmp((const char *)c + 60, ACPI_FILE_RSDP) ? tables_at : rsdp_at;
            store_le(field, c[120], load_le(field, c[120]) + to);
        } else if (load_le32(c) == CMD_ADD_CHECKSUM) {
            run_checksum(in, load_le32(c + 60), load_le32(c + 64), load_le32(c + 68));
        }
    }
}
