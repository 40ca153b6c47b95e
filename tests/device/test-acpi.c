/* SPDX-License-Identifier: MIT */
/*
 * ACPI and SMBIOS tables: linked in memory, walked from the RSDP, checksums right; iasl reads and recompiles them
 * without a warning.
 */
#include <glib/gstdio.h>
#include <string.h>
#include "base/bits.h"
#include "hw/acpi/cpu-hotplug.h"
#include "hw/acpi/pcihp.h"
#include "hw/acpi/smbios.h"
#include "hw/acpi/tables.h"
#include "hw/arm/virt-acpi.h"

#define TABLES_AT UINT64_C(0x7ff00000)
#define RSDP_AT UINT64_C(0xf0000)

static uint32_t apic_ids[300];

static AcpiPlatform platform(AcpiFlavour flavour, unsigned cpus)
{
    AcpiPlatform p = {
        .flavour = flavour, .cpus = cpus, .max_cpus = cpus, .apic_ids = apic_ids,
        .below_4g = 0x80000000, .above_4g = 4 * GiB,
        .pm_base = 0x600, .gpe0_base = 0x620, .gpe0_len = 16, .hpet = true, .i8042 = true,
        .rtc = true, .fw_cfg = true,
        .pic = true, .pvpanic_port = 0x505, .smi_port = 0xb2, .reset_port = 0xcf9,
        .reset_value = 0x0f,
        .com_ports = 2, .com_port = { 0x3f8, 0x2f8 }, .com_irq = { 4, 3 }, .s3 = true, .s4 = true,
        .window = { { 0x80000000, 0xafffffff }, { 0xc0000000, 0xfebfffff },
                    { 0x240000000, 0x7fffffffff } }, .windows = 3,
    };

    for (unsigned i = 0; i < ARRAY_LEN(apic_ids); i++)
        apic_ids[i] = i;
    if (flavour != ACPI_MICROVM) {
        p.memory_slots = 3;
        p.cpu_hotplug_port = flavour == ACPI_PC ? ACPI_CPUHP_PORT_PC : ACPI_CPUHP_PORT_Q35;
    }
    if (flavour == ACPI_PC)
        p.pcihp_port = ACPI_PCIHP_PORT_PC;
    if (flavour == ACPI_Q35) {
        p.mmconfig_base = 0xb0000000;
        p.mmconfig_size = 256 * MiB;
    }
    if (flavour == ACPI_MICROVM) {
        p.hpet = p.i8042 = p.s3 = p.s4 = false;
        p.smi_port = p.gpe0_base = p.gpe0_len = 0;
        p.reset_port = 0x610;
        p.windows = 0;
    }
    return p;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--)
        s = (uint8_t)(s + *p++);
    return s;
}

static const uint8_t *at(const AcpiBlobs *b, uint64_t address)
{
    g_assert_cmphex(address, >=, TABLES_AT);
    g_assert_cmphex(address, <, TABLES_AT + b->tables->len);
    return b->tables->data + (address - TABLES_AT);
}

static void run_iasl(const char *dir, const char *name)
{
    g_autofree char *disassemble =
        g_strdup_printf("cd %s && iasl -d %s.dat >%s.d.log 2>&1", dir, name, name);
    g_autofree char *compile =
        g_strdup_printf("cd %s && iasl -we %s.dsl >%s.c.log 2>&1", dir, name, name);
    g_autofree char *log = g_strdup_printf("%s/%s.c.log", dir, name),
                    *dlog = g_strdup_printf("%s/%s.d.log", dir, name), *text = NULL;

    g_assert_cmpint(system(disassemble), ==, 0);
    g_assert_true(g_file_get_contents(dlog, &text, NULL, NULL));
    g_assert_null(strstr(text, "Warning"));
    g_assert_null(strstr(text, "rror:"));
    g_clear_pointer(&text, g_free);
    int status = system(compile);
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    if (status || !strstr(text, "0 Errors") || !strstr(text, " 0 Warnings"))
        g_error("%s: %s", name, text);
}

static void dump_table(const char *dir, const uint8_t *table, unsigned n)
{
    g_autofree char *name = g_strdup_printf("%.4s%u", (const char *)table, n),
                    *path = g_strdup_printf("%s/%s.dat", dir, name);

    g_assert_true(g_file_set_contents(path, (const char *)table, load_le32(table + 4), NULL));
    run_iasl(dir, name);
}

/* Walk as an operating system does. */
static void check_tables(AcpiFlavour flavour, unsigned cpus, bool iasl)
{
    AcpiPlatform p = platform(flavour, cpus);
    AcpiBlobs b = acpi_build(&p);
    const uint8_t *rsdp = b.rsdp->data, *rsdt, *xsdt, *fadt = NULL;
    g_autofree char *dir = g_dir_make_tmp("rhea-acpi-XXXXXX", NULL);
    unsigned count;

    g_assert_cmpuint(b.tables->len % 65536, ==, 0);
    acpi_link(&b, TABLES_AT, RSDP_AT);
    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmpuint(sum(rsdp, 20), ==, 0);
    g_assert_cmpuint(sum(rsdp, 36), ==, 0);
    rsdt = at(&b, load_le32(rsdp + 16));
    xsdt = at(&b, load_le64(rsdp + 24));
    g_assert_cmpmem(rsdt, 4, "RSDT", 4);
    g_assert_cmpmem(xsdt, 4, "XSDT", 4);
    g_assert_cmpuint(sum(rsdt, load_le32(rsdt + 4)), ==, 0);
    g_assert_cmpuint(sum(xsdt, load_le32(xsdt + 4)), ==, 0);
    count = (load_le32(xsdt + 4) - 36) / 8;
    g_assert_cmpuint(count, ==, (load_le32(rsdt + 4) - 36) / 4);
    g_assert_cmpuint(count, >=, 3);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *t = at(&b, load_le64(xsdt + 36 + 8 * i));
        g_assert_true(t == at(&b, load_le32(rsdt + 36 + 4 * i)));
        g_assert_cmpuint(sum(t, load_le32(t + 4)), ==, 0);
        if (!memcmp(t, "FACP", 4))
            fadt = t;
        if (iasl)
            dump_table(dir, t, i);
    }
    g_assert_nonnull(fadt);
    const uint8_t *dsdt = at(&b, load_le32(fadt + 40));
    g_assert_cmpmem(dsdt, 4, "DSDT", 4);
    g_assert_true(dsdt == at(&b, load_le64(fadt + 140)));
    g_assert_cmpuint(sum(dsdt, load_le32(dsdt + 4)), ==, 0);
    const uint8_t *facs = at(&b, load_le32(fadt + 36));
    g_assert_cmpmem(facs, 4, "FACS", 4);
    g_assert_cmpuint((uintptr_t)(facs - b.tables->data) % 64, ==, 0);
    g_assert_cmpuint(load_le32(fadt + 4), ==, 244);
    g_assert_cmphex(load_le32(fadt + 76), ==, 0x608);
    g_assert_cmphex(load_le64(fadt + 116 + 4), ==, p.reset_port);
    if (iasl)
        dump_table(dir, dsdt, 99);
    acpi_blobs_free(&b);
    g_autofree char *clean = g_strdup_printf("rm -rf %s", dir);
    g_assert_cmpint(system(clean), ==, 0);
}

static bool have_iasl(void)
{
    g_autofree char *path = g_find_program_in_path("iasl");

    if (!path)
        g_test_message(
            "iasl is not installed (package acpica-tools): only the structure is checked");
    return path;
}

static void test_q35(void) { check_tables(ACPI_Q35, 4, have_iasl()); }
static void test_pc(void) { check_tables(ACPI_PC, 1, have_iasl()); }
static void test_microvm(void) { check_tables(ACPI_MICROVM, 2, have_iasl()); }
static void test_many_cpus(void) { check_tables(ACPI_Q35, 288, have_iasl()); }

/* The virt machine: no RSDT, no FACS. */
static void check_virt(const VirtFacts *v)
{
    AcpiBlobs b = virt_acpi_build(v);
    const uint8_t *rsdp = b.rsdp->data, *xsdt, *fadt = NULL;
    g_autofree char *dir = g_dir_make_tmp("rhea-acpi-XXXXXX", NULL), *clean = g_strdup_printf("rm -rf %s", dir);
    bool iasl = have_iasl();

    acpi_link(&b, TABLES_AT, RSDP_AT);
    g_assert_cmpuint(sum(rsdp, 36), ==, 0);
    g_assert_cmphex(load_le32(rsdp + 16), ==, 0);
    xsdt = at(&b, load_le64(rsdp + 24));
    for (unsigned i = 0; i < (load_le32(xsdt + 4) - 36) / 8; i++) {
        const uint8_t *t = at(&b, load_le64(xsdt + 36 + 8 * i));
        g_assert_cmpuint(sum(t, load_le32(t + 4)), ==, 0);
        if (!memcmp(t, "FACP", 4))
            fadt = t;
        if (iasl)
            dump_table(dir, t, i);
    }
    g_assert_nonnull(fadt);
    g_assert_cmpuint(load_le32(fadt + 4), ==, 276);
    g_assert_cmphex(load_le32(fadt + 112), ==, 1 << 20);
    const uint8_t *dsdt = at(&b, load_le64(fadt + 140));
    g_assert_cmpmem(dsdt, 4, "DSDT", 4);
    g_assert_cmpuint(sum(dsdt, load_le32(dsdt + 4)), ==, 0);
    if (iasl)
        dump_table(dir, dsdt, 99);
    acpi_blobs_free(&b);
    g_assert_cmpint(system(clean), ==, 0);
}

static void test_virt(void)
{
    static const uint32_t mpidr[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    VirtFacts v = { .cpus = 8,
                    .sockets = 2,
                    .clusters = 1,
                    .cores = 2,
                    .threads = 2,
                    .mpidr = mpidr,
                    .a64 = true,
                    .v8 = true,
                    .pmu = true,
                    .gic_version = 2,
                    .psci = "hvc",
                    .cpu_model = "cortex-a57",
                    .ram_size = GiB,
                    .virtualization = true,
                    .ecam = { 0x4010000000, 256 * MiB },
                    .mmio_high = { 0x8000000000, 512 * GiB } };
    check_virt(&v);
    v.memory_slots = 3;
    v.gic_version = 3;
    v.its = true;
    v.virtualization = false;
    v.psci = "smc";
    v.redist_high = (VirtRange){ 0x4000000000, 64 * MiB };
    check_virt(&v);
}

static void test_smbios(void)
{
    SmbiosFacts f = { .product = "p", .version = "v", .cpu_version = "c",
                      .uuid = "00112233-4455-6677-8899-aabbccddeeff",
                      .bios_info = true, .sockets = 2, .cores = 4, .threads = 2,
                      .below_4g = 2 * GiB, .above_4g = 30 * GiB };
    SmbiosBlobs b = smbios_build(&f);
    const uint8_t *t = b.tables->data, *end = t + b.tables->len, *e;
    unsigned seen[128] = { 0 }, n = 0;

    smbios_link(&b, 0x12345678);
    e = b.anchor->data;
    g_assert_cmpuint(sum(e, 31), ==, 0);
    g_assert_cmpuint(sum(e + 16, 15), ==, 0);
    g_assert_cmphex(load_le32(e + 24), ==, 0x12345678);
    g_assert_cmpuint(load_le16(e + 22), ==, b.tables->len);
    while (t < end) {
        g_assert_cmpuint(t[0], <, 128);
        seen[t[0]]++;
        n++;
        if (t[0] == 1) {
            static const uint8_t uuid[16] = { 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88,
                0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
            g_assert_cmpmem(t + 8, 16, uuid, 16);
        }
        t += t[1];
        while (t[0] || t[1])
            t++;
        t += 2;
    }
    g_assert_true(t == end);
    g_assert_cmpuint(n, ==, load_le16(e + 28));
    g_assert_cmpuint(seen[0], ==, 1);
    g_assert_cmpuint(seen[4], ==, 2);
    g_assert_cmpuint(seen[17], ==, 2); /* 32 GiB in modules of 16 */
    g_assert_cmpuint(seen[19], ==, 2);
    g_assert_cmpuint(seen[127], ==, 1);
    smbios_blobs_free(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi/q35", test_q35);
    g_test_add_func("/acpi/pc", test_pc);
    g_test_add_func("/acpi/microvm", test_microvm);
    g_test_add_func("/acpi/many-cpus", test_many_cpus);
    g_test_add_func("/acpi/virt", test_virt);
    g_test_add_func("/smbios", test_smbios);
    return g_test_run();
}
