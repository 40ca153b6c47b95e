/* SPDX-License-Identifier: MIT */
/* SMBIOS structures: system, board, chassis, processors, memory (DMTF DSP0134 2.8.0 chapter 7). */
#include "hw/acpi/smbios.h"

#include <string.h>
#include "base/bits.h"

#define MODULE_MAX (16 * GiB)

enum { ANCHOR_SIZE = 31, MAX_STRINGS = 8 };

/* One structure under construction: fixed part, then its strings. */
typedef struct Builder {
    const SmbiosFacts *f;
    GByteArray *out;
    guint start;
    const char *string[MAX_STRINGS];
    unsigned strings;
    unsigned count, largest;
} Builder;

static void put(Builder *b, unsigned size, uint64_t v)
{
    uint8_t bytes[8];

    store_le(bytes, size, v);
    g_byte_array_append(b->out, bytes, size);
}

static void put_string(Builder *b, const char *s)
{
    if (!s || !*s) {
        put(b, 1, 0);
        return;
    }
    g_assert(b->strings < MAX_STRINGS);
    b->string[b->strings++] = s;
    put(b, 1, b->strings);
}

static void begin(Builder *b, uint8_t type, uint16_t handle)
{
    b->start = b->out->len;
    b->strings = 0;
    put(b, 1, type);
    put(b, 1, 0);
    put(b, 2, handle);
}

static void end(Builder *b)
{
    b->out->data[b->start + 1] = (uint8_t)(b->out->len - b->start);
    for (unsigned i = 0; i < b->strings; i++)
        g_byte_array_append(b->out, (const uint8_t *)b->string[i], (guint)strlen(b->string[i]) + 1);
    put(b, b->strings ? 1 : 2, 0);
    b->count++;
    b->largest = MAX(b->largest, b->out->len - b->start);
}

static void bios_info(Builder *b)
{
    begin(b, 0, 0);
    put_string(b, "Rhea");
    put_string(b, RHEA_VERSION);
    put(b, 2, 0xe800);
    put_string(b, "04/01/2026");
    put(b, 1, 0);
    put(b, 8, BIT(3)); /* characteristics are not described */
    put(b, 2, 0x1400); /* byte 2: is a virtual machine, targeted content */
    put(b, 4, 0xffff0000);
    end(b);
}

/* Bytes 0..7 in little-endian fields (section 7.2.1). */
static void put_uuid(Builder *b, const char *text)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
    uint8_t bytes[16] = { 0 };
    unsigned digits = 0;

    for (; text && *text && digits < 32; text++) {
        if (!g_ascii_isxdigit(*text))
            continue;
        uint8_t *byte = &bytes[order[digits++ / 2]];
        *byte = (uint8_t)(*byte << 4 | g_ascii_xdigit_value(*text));
    }
    g_byte_array_append(b->out, bytes, 16);
}

/* The vendor is the one by which guests recognise a virtual PC. */
static void system_and_chassis(Builder *b)
{
    begin(b, 1, 0x100);
    put_string(b, "QEMU");
    put_string(b, b->f->product);
    put_string(b, b->f->version);
    put_string(b, NULL);
    put_uuid(b, b->f->uuid);
    put(b, 1, 6); /* woken by the power switch */
    put_string(b, NULL);
    put_string(b, NULL);
    end(b);

    begin(b, 3, 0x300);
    put_string(b, "QEMU");
    put(b, 1, 1);
    put_string(b, b->f->version);
    put_string(b, NULL);
    put_string(b, NULL);
    put(b, 4, 0x02030303); /* boot-up, power supply, thermal state safe; security unknown */
    put(b, 4, 0);
    put(b, 4, 0);
    put_string(b, NULL);
    end(b);
}

static void processor(Builder *b, unsigned socket)
{
    unsigned cores = MIN(b->f->cores, 255), threads = MIN(b->f->cores * b->f->threads, 255);
    g_autofree char *name = g_strdup_printf("CPU %u", socket);

    begin(b, 4, (uint16_t)(0x400 + socket));
    put_string(b, name);
    put(b, 1, 3);    /* central processor */
    put(b, 1, 1);    /* family: other */
    put_string(b, "QEMU");
    put(b, 8, 0);
    put_string(b, b->f->cpu_version);
    put(b, 1, 0);
    put(b, 2, 0);
    put(b, 2, 2000);
    put(b, 2, 2000);
    put(b, 1, 0x41); /* populated, enabled */
    put(b, 1, 1);
    put(b, 2, 0xffff), put(b, 2, 0xffff), put(b, 2, 0xffff); /* caches: not described */
    put_string(b, NULL), put_string(b, NULL), put_string(b, NULL);
    put(b, 1, cores), put(b, 1, cores), put(b, 1, threads);
    put(b, 2, 2);
    put(b, 2, 1);
    put(b, 2, b->f->cores), put(b, 2, b->f->cores), put(b, 2, b->f->cores * b->f->threads);
    end(b);
}

static void memory_module(Builder *b, unsigned n, uint64_t bytes)
{
    g_autofree char *name = g_strdup_printf("DIMM %u", n);
    uint64_t mib = bytes / MiB;

    begin(b, 17, (uint16_t)(0x1100 + n));
    put(b, 2, 0x1000);
    put(b, 2, 0xfffe); /* no error information */
    put(b, 2, 0xffff), put(b, 2, 0xffff);
    put(b, 2, mib < 0x7fff ? mib : 0x7fff);
    put(b, 1, 9); /* DIMM */
    put(b, 1, 0);
    put_string(b, name);
    put_string(b, NULL);
    put(b, 1, 7); /* RAM */
    put(b, 2, 2);
    put(b, 2, 0);
    put_string(b, "QEMU");
    put_string(b, NULL), put_string(b, NULL), put_string(b, NULL);
    put(b, 1, 0);
    put(b, 4, mib < 0x7fff ? 0 : mib);
    put(b, 2, 0), put(b, 2, 0), put(b, 2, 0), put(b, 2, 0);
    end(b);
}

static void mapped_range(Builder *b, unsigned n, uint64_t base, uint64_t size)
{
    begin(b, 19, (uint16_t)(0x1300 + n));
    bool wide = (base + size) / KiB > UINT32_MAX;
    put(b, 4, wide ? UINT32_MAX : base / KiB);
    put(b, 4, wide ? UINT32_MAX : (base + size - 1) / KiB);
    put(b, 2, 0x1000);
    put(b, 1, 1);
    put(b, 8, wide ? base : 0), put(b, 8, wide ? base + size - 1 : 0);
    end(b);
}

static void memory(Builder *b)
{
    const SmbiosFacts *f = b->f;
    uint64_t total = f->below_4g + f->above_4g;
    unsigned modules = (unsigned)((total + MODULE_MAX - 1) / MODULE_MAX), n = 0;

    begin(b, 16, 0x1000);
    put(b, 1, 1), put(b, 1, 3), put(b, 1, 6); /* other; system memory; multi-bit ECC */
    put(b, 4, total / KiB < 0x80000000u ? total / KiB : 0x80000000u);
    put(b, 2, 0xfffe);
    put(b, 2, modules);
    put(b, 8, total / KiB < 0x80000000u ? 0 : total);
    end(b);
    for (uint64_t left = total; left; left -= MIN(left, MODULE_MAX))
        memory_module(b, n++, MIN(left, MODULE_MAX));
    mapped_range(b, 0, f->base, f->below_4g);
    if (f->above_4g)
        mapped_range(b, 1, 4 * GiB, f->above_4g);
}

/* Section 5.2.2. */
static GByteArray *entry_point_64(const Builder *b)
{
    uint8_t e[24] = "_SM3_";

    e[6] = sizeof(e);
    e[7] = 3;
    e[10] = 1;
    store_le32(e + 12, b->out->len);
    return g_byte_array_append(g_byte_array_new(), e, sizeof(e));
}

static GByteArray *entry_point(const Builder *b)
{
    uint8_t e[ANCHOR_SIZE] = "_SM_";

    e[5] = ANCHOR_SIZE;
    e[6] = 2, e[7] = 8;
    store_le16(e + 8, (uint16_t)b->largest);
    memcpy(e + 16, "_DMI_", 5);
    store_le16(e + 22, (uint16_t)b->out->len);
    store_le16(e + 28, (uint16_t)b->count);
    e[30] = 0x28;
    return g_byte_array_append(g_byte_array_new(), e, sizeof(e));
}

SmbiosBlobs smbios_build(const SmbiosFacts *f)
{
    Builder b = { .f = f, .out = g_byte_array_new() };

    if (f->bios_info)
        bios_info(&b);
    system_and_chassis(&b);
    for (unsigned i = 0; i < f->sockets; i++)
        processor(&b, i);
    memory(&b);
    begin(&b, 32, 0x2000);
    put(&b, 6, 0), put(&b, 1, 0); /* no errors detected */
    end(&b);
    begin(&b, 127, 0x7f00);
    end(&b);
    return (SmbiosBlobs){ .tables = b.out, .anchor = f->entry_64 ? entry_point_64(&b) : entry_point(&b) };
}

static uint8_t minus_sum(const uint8_t *p, unsigned n)
{
    uint8_t sum = 0;

    while (n--)
        sum = (uint8_t)(sum + *p++);
    return (uint8_t)-sum;
}

void smbios_link(SmbiosBlobs *b, uint32_t tables_at)
{
    uint8_t *e = b->anchor->data;

    store_le32(e + 24, tables_at);
    e[21] = 0, e[4] = 0;
    e[21] = minus_sum(e + 16, 15);
    e[4] = minus_sum(e, ANCHOR_SIZE);
}

void smbios_blobs_free(SmbiosBlobs *b)
{
    g_clear_pointer(&b->tables, g_byte_array_unref);
    g_clear_pointer(&b->anchor, g_byte_array_unref);
}
