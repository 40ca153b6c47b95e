/* SPDX-License-Identifier: MIT */
/* Encoding of ACPI machine language (ACPI 6.4 section 20.2). */
#include "hw/acpi/aml.h"

#include <string.h>
#include "base/bits.h"

#define MAX_NESTING 16

enum { EXT_OP = 0x5b };

struct Aml {
    GByteArray *out;
    guint open[MAX_NESTING]; /* where the length of each open package goes */
    unsigned depth;
    GByteArray *resources;
};

Aml *aml_new(void)
{
    Aml *a = g_new0(Aml, 1);

    a->out = g_byte_array_new();
    return a;
}

GByteArray *aml_finish(Aml *a)
{
    GByteArray *out = a->out;

    g_assert(!a->depth && !a->resources);
    g_free(a);
    return out;
}

static void put(Aml *a, const void *data, size_t len) { g_byte_array_append(a->out, data, (guint)len); }
static void put8(Aml *a, unsigned v) { uint8_t b = (uint8_t)v; put(a, &b, 1); }

static void put_le(Aml *a, unsigned size, uint64_t v)
{
    uint8_t bytes[8];

    store_le(bytes, size, v);
    put(a, bytes, size);
}

void aml_op(Aml *a, AmlOp op) { put8(a, op); }
void aml_null_target(Aml *a) { put8(a, 0); }
void aml_arg(Aml *a, unsigned n) { g_assert(n < 7); put8(a, 0x68 + n); }
void aml_local(Aml *a, unsigned n) { g_assert(n < 8); put8(a, 0x60 + n); }

static void put_segment(Aml *a, const char *s, size_t len)
{
    char seg[4] = { '_', '_', '_', '_' };

    g_assert(len >= 1 && len <= 4);
    memcpy(seg, s, len);
    put(a, seg, 4);
}

/* Section 20.2.2: "\A.B" as prefix, count, four-character segments padded with '_'. */
void aml_name(Aml *a, const char *path)
{
    unsigned segments = 1;

    while (*path == '\\' || *path == '^')
        put8(a, (uint8_t)*path++);
    if (!*path) {
        put8(a, 0);
        return;
    }
    for (const char *p = path; *p; p++)
        segments += *p == '.';
    if (segments == 2)
        put8(a, 0x2e);
    else if (segments > 2)
        put8(a, 0x2f), put8(a, segments);
    while (segments--) {
        const char *dot = strchrnul(path, '.');
        put_segment(a, path, (size_t)(dot - path));
        path = dot + 1;
    }
}

void aml_int(Aml *a, uint64_t v)
{
    static const uint8_t prefix[] = { [1] = 0x0a, [2] = 0x0b, [4] = 0x0c, [8] = 0x0e };
    unsigned size = v <= 0xff ? 1 : v <= 0xffff ? 2 : v <= UINT32_MAX ? 4 : 8;

    if (v <= 1) {
        put8(a, (unsigned)v);
        return;
    }
    put8(a, prefix[size]);
    put_le(a, size, v);
}

void aml_string(Aml *a, const char *s)
{
    put8(a, 0x0d);
    put(a, s, strlen(s) + 1);
}

/* Section 19.3.4: three letters of five bits and four hex digits, big-endian. */
void aml_eisaid(Aml *a, const char *id)
{
    uint32_t v = 0;

    g_assert(strlen(id) == 7);
    for (unsigned i = 0; i < 3; i++)
        v = v << 5 | ((uint32_t)id[i] - 0x40);
    for (unsigned i = 3; i < 7; i++)
        v = v << 4 | (uint32_t)g_ascii_xdigit_value(id[i]);
    put8(a, 0x0c);
    put_le(a, 4, __builtin_bswap32(v));
}

/* ---- Packages ---- */

static void begin(Aml *a)
{
    g_assert(a->depth < MAX_NESTING);
    a->open[a->depth++] = a->out->len;
}

/* Section 20.2.4: the length counts its own bytes. */
static unsigned encode_length(uint8_t out[4], uint32_t len, bool with_itself)
{
    unsigned n = 1;

    if (len + with_itself > 0x3f)
        n = len + 2u * with_itself <= 0xfff ? 2 : len + 3u * with_itself <= 0xfffff ? 3 : 4;
    if (with_itself)
        len += n;
    out[0] = (uint8_t)(n == 1 ? len : (n - 1) << 6 | (len & 0xf));
    for (unsigned i = 1; i < n; i++)
        out[i] = (uint8_t)(len >> (8 * i - 4));
    return n;
}

void aml_end(Aml *a)
{
    uint8_t bytes[4];
    guint at, old, n;

    g_assert(a->depth);
    at = a->open[--a->depth];
    old = a->out->len;
    n = encode_length(bytes, old - at, true);
    g_byte_array_set_size(a->out, old + n);
    memmove(a->out->data + at + n, a->out->data + at, old - at);
    memcpy(a->out->data + at, bytes, n);
}

void aml_scope(Aml *a, const char *path) { put8(a, 0x10); begin(a); aml_name(a, path); }
void aml_device(Aml *a, const char *name) { put8(a, EXT_OP); put8(a, 0x82); begin(a); aml_name(a, name); }
void aml_if(Aml *a) { put8(a, 0xa0); begin(a); }
void aml_while(Aml *a) { put8(a, 0xa2); begin(a); }
void aml_else(Aml *a) { put8(a, 0xa1); begin(a); }
void aml_package(Aml *a, unsigned elements) { g_assert(elements < 256); put8(a, 0x12); begin(a); put8(a, elements); }

void aml_method(Aml *a, const char *name, unsigned args, bool serialized)
{
    put8(a, 0x14);
    begin(a);
    aml_name(a, name);
    put8(a, args | (serialized ? 8 : 0));
}

void aml_buffer_begin(Aml *a) { put8(a, 0x11); begin(a); }

void aml_buffer(Aml *a, const void *data, size_t len)
{
    aml_buffer_begin(a);
    aml_int(a, len);
    put(a, data, len);
    aml_end(a);
}

void aml_uuid(Aml *a, const char *uuid)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
    uint8_t bytes[16], n = 0;

    for (const char *p = uuid; *p && n < 16; p++) {
        if (*p == '-')
            continue;
        bytes[order[n++]] = (uint8_t)(g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]));
        p++;
    }
    g_assert(n == 16);
    aml_buffer(a, bytes, 16);
}

void aml_named(Aml *a, const char *name) { put8(a, 0x08); aml_name(a, name); }
void aml_named_int(Aml *a, const char *name, uint64_t v) { aml_named(a, name); aml_int(a, v); }
void aml_named_eisaid(Aml *a, const char *name, const char *id) { aml_named(a, name); aml_eisaid(a, id); }
void aml_named_string(Aml *a, const char *name, const char *s) { aml_named(a, name); aml_string(a, s); }

void aml_region_begin(Aml *a, const char *name, AmlSpace space)
{
    put8(a, EXT_OP);
    put8(a, 0x80);
    aml_name(a, name);
    put8(a, space);
}

void aml_region(Aml *a, const char *name, AmlSpace space, uint64_t offset, uint64_t length)
{
    aml_region_begin(a, name, space);
    aml_int(a, offset);
    aml_int(a, length);
}

void aml_field(Aml *a, const char *region, AmlAccess access)
{
    put8(a, EXT_OP);
    put8(a, 0x81);
    begin(a);
    aml_name(a, region);
    put8(a, access);
}

void aml_field_unit(Aml *a, const char *name, unsigned bits)
{
    uint8_t bytes[4];

    if (name)
        put_segment(a, name, strlen(name));
    else
        put8(a, 0);
    put(a, bytes, encode_length(bytes, bits, false));
}

void aml_dword_fields(Aml *a, const char *region, const char *const *names, unsigned count)
{
    aml_field(a, region, AML_DWORD_ACC);
    for (unsigned i = 0; i < count; i++)
        aml_field_unit(a, names[i], 32);
    aml_end(a);
}

/* ---- Resources ---- */

void aml_resources(Aml *a)
{
    g_assert(!a->resources);
    a->resources = a->out;
    a->out = g_byte_array_new();
}

void aml_resources_end(Aml *a)
{
    static const uint8_t end_tag[2] = { 0x79, 0 };
    GByteArray *list = a->out;

    put(a, end_tag, 2);
    a->out = a->resources;
    a->resources = NULL;
    aml_buffer(a, list->data, list->len);
    g_byte_array_unref(list);
}

void aml_res_io(Aml *a, uint16_t base, uint8_t align, uint8_t len)
{
    put8(a, 0x47);
    put8(a, 1); /* decodes 16 bits */
    put_le(a, 2, base);
    put_le(a, 2, base);
    put8(a, align);
    put8(a, len);
}

void aml_res_irq(Aml *a, unsigned irq)
{
    put8(a, 0x22);
    put_le(a, 2, BIT(irq));
}

void aml_res_dma(Aml *a, unsigned channel)
{
    put8(a, 0x2a);
    put8(a, BIT(channel));
    put8(a, 0);
}

void aml_res_interrupt(Aml *a, bool edge, bool shared, unsigned count, const uint32_t *gsi)
{
    put8(a, 0x89);
    put_le(a, 2, 2 + 4 * count);
    put8(a, 1u | (edge ? 2 : 0) | (shared ? 8 : 0)); /* consumer */
    put8(a, count);
    for (unsigned i = 0; i < count; i++)
        put_le(a, 4, gsi[i]);
}

void aml_res_memory32(Aml *a, bool writable, uint32_t base, uint32_t len)
{
    put8(a, 0x86);
    put_le(a, 2, 9);
    put8(a, writable);
    put_le(a, 4, base);
    put_le(a, 4, len);
}

/* Address space descriptors (section 6.4.3.5): minimum and maximum fixed, positive decode, producer. */
static void address_space(Aml *a, uint8_t tag, unsigned width, unsigned type, unsigned type_flags,
                          uint64_t first, uint64_t last, uint64_t translation)
{
    const uint64_t fields[5] = { 0, first, last, translation, last - first + 1 };

    put8(a, tag);
    put_le(a, 2, 3 + 5 * width);
    put8(a, type);
    put8(a, 0x0c);
    put8(a, type_flags);
    for (unsigned i = 0; i < 5; i++)
        put_le(a, width, fields[i]);
}

void aml_res_bus(Aml *a, uint16_t first, uint16_t last) { address_space(a, 0x88, 2, 2, 0, first, last, 0); }
void aml_res_word_io(Aml *a, uint16_t first, uint16_t last) { address_space(a, 0x88, 2, 1, 3, first, last, 0); }
void aml_res_dword_memory(Aml *a, uint32_t first, uint32_t last) { address_space(a, 0x87, 4, 0, 3, first, last, 0); }
void aml_res_qword_memory(Aml *a, uint64_t first, uint64_t last) { address_space(a, 0x8a, 8, 0, 3, first, last, 0); }
void aml_res_dword_io(Aml *a, uint16_t first, uint16_t last, uint32_t at)
{
    address_space(a, 0x87, 4, 1, 3, first, last, at);
}

/* Section 6.4.3.8.1: the pin table follows the 23 fixed bytes, then the name. */
void aml_res_gpio_int(Aml *a, uint16_t pin, const char *source)
{
    size_t name = strlen(source) + 1;

    put8(a, 0x8c);
    put_le(a, 2, 22 + name);
    put8(a, 1);
    put8(a, 0);
    put_le(a, 2, 1);          /* consumer */
    put_le(a, 2, 1);          /* edge, active high, exclusive */
    put8(a, 1);               /* pull up */
    put_le(a, 4, 0);          /* drive, debounce */
    put_le(a, 2, 23);
    put8(a, 0);
    put_le(a, 2, 25);
    put_le(a, 2, 25 + name);
    put_le(a, 2, 0);
    put_le(a, 2, pin);
    put(a, source, name);
}
