/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables under construction: headers, pointers, RSDT, XSDT, RSDP, and the script that links them (ACPI 6.4 chapter
 * 5).
 */
#include "hw/acpi/builder.h"

#include <string.h>
#include "base/bits.h"

#define BLOB_ALIGN (64 * KiB) /* contents may be rebuilt, sizes stay */
#define LOADER_ALIGN (16 * KiB) /* more than all tables can need: a directory that was read must stay true */

enum { CHECKSUM_AT = 9 };

/* ---- Loader script: 128-byte commands, little-endian ---- */

enum { CMD_ALLOCATE = 1, CMD_ADD_POINTER = 2, CMD_ADD_CHECKSUM = 3, CMD_SIZE = 128, CMD_NAME = 56,
       ZONE_HIGH = 1, ZONE_FSEG = 2 };

static uint8_t *command(AcpiBuilder *b, uint32_t code, const char *file)
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

static void cmd_allocate(AcpiBuilder *b, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t *c = command(b, CMD_ALLOCATE, file);

    store_le32(c + 60, align);
    c[64] = zone;
}

static void cmd_pointer(AcpiBuilder *b, const char *in, const char *to, uint32_t at, uint8_t size)
{
    uint8_t *c = command(b, CMD_ADD_POINTER, in);

    g_strlcpy((char *)c + 60, to, CMD_NAME);
    store_le32(c + 116, at);
    c[120] = size;
}

static void cmd_checksum(AcpiBuilder *b, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
    uint8_t *c = command(b, CMD_ADD_CHECKSUM, file);

    store_le32(c + 60, at);
    store_le32(c + 64, start);
    store_le32(c + 68, len);
}

/* ---- Tables ---- */

void acpi_put(AcpiBuilder *b, unsigned size, uint64_t v)
{
    uint8_t bytes[8];

    store_le(bytes, size, v);
    g_byte_array_append(acpi_blob(b), bytes, size);
}

void acpi_put_zeros(AcpiBuilder *b, unsigned n)
{
    while (n--)
        acpi_put(b, 1, 0);
}

void acpi_put_text(AcpiBuilder *b, const char *text, unsigned len)
{
    g_byte_array_append(acpi_blob(b), (const uint8_t *)text, len);
}

uint32_t acpi_table_begin(AcpiBuilder *b, const char *signature, uint8_t revision)
{
    uint32_t at;

    while (acpi_blob(b)->len % 16)
        acpi_put(b, 1, 0);
    at = acpi_blob(b)->len;
    acpi_put_text(b, signature, 4);
    acpi_put(b, 4, 0); /* length */
    acpi_put(b, 1, revision);
    acpi_put(b, 1, 0); /* checksum */
    acpi_put_text(b, "RHEA  RHEA", 10);
    acpi_put_text(b, signature, 4);
    acpi_put(b, 4, 1);
    acpi_put_text(b, "RHEA", 4);
    acpi_put(b, 4, 1);
    return at;
}

void acpi_table_end(AcpiBuilder *b, uint32_t at, bool listed)
{
    uint32_t len = acpi_blob(b)->len - at;

    store_le32(acpi_blob(b)->data + at + 4, len);
    cmd_checksum(b, ACPI_FILE_TABLES, at + CHECKSUM_AT, at, len);
    if (listed) {
        g_assert(b->tables < ACPI_MAX_TABLES);
        b->table[b->tables++] = at;
    }
}

/* A pointer of the present table to `target` in the same blob. */
void acpi_put_pointer(AcpiBuilder *b, unsigned size, uint32_t target)
{
    cmd_pointer(b, ACPI_FILE_TABLES, ACPI_FILE_TABLES, acpi_blob(b)->len, (uint8_t)size);
    acpi_put(b, size, target);
}

/* Generic address structure. */
void acpi_put_gas(AcpiBuilder *b, uint8_t space, uint8_t bits, uint8_t access, uint64_t address)
{
    acpi_put(b, 1, address ? space : 0);
    acpi_put(b, 1, address ? bits : 0);
    acpi_put(b, 1, 0);
    acpi_put(b, 1, address ? access : 0);
    acpi_put(b, 8, address);
}

static uint32_t build_root(AcpiBuilder *b, const char *signature, unsigned pointer_size)
{
    uint32_t at = acpi_table_begin(b, signature, 1);

    for (unsigned i = 0; i < b->tables; i++)
        acpi_put_pointer(b, pointer_size, b->table[i]);
    acpi_table_end(b, at, false);
    return at;
}

/* Section 5.2.5.3. */
static void build_rsdp(AcpiBuilder *b, bool with_rsdt, uint32_t rsdt, uint32_t xsdt)
{
    uint8_t r[36] = "RSD PTR ";

    memcpy(r + 9, "RHEA  ", 6);
    r[15] = 2;
    store_le32(r + 16, rsdt);
    store_le32(r + 20, sizeof(r));
    store_le64(r + 24, xsdt);
    g_byte_array_append(b->out.rsdp, r, sizeof(r));
    if (with_rsdt)
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

void acpi_builder_init(AcpiBuilder *b)
{
    *b = (AcpiBuilder){ .out = { g_byte_array_new(), g_byte_array_new(), g_byte_array_new() } };
    cmd_allocate(b, ACPI_FILE_RSDP, 16, ZONE_FSEG);
    cmd_allocate(b, ACPI_FILE_TABLES, 64, ZONE_HIGH);
}

AcpiBlobs acpi_builder_finish(AcpiBuilder *b, bool with_rsdt)
{
    uint32_t rsdt = with_rsdt ? build_root(b, "RSDT", 4) : 0, xsdt = build_root(b, "XSDT", 8);

    build_rsdp(b, with_rsdt, rsdt, xsdt);
    pad(b->out.tables, BLOB_ALIGN);
    pad(b->out.loader, LOADER_ALIGN);
    return b->out;
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
