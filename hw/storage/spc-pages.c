/* SPDX-License-Identifier: MIT */
/* INQUIRY with its vital product data, MODE SENSE and MODE SELECT (SPC-4, 6.4, 6.11 to 6.14, 7.5, 7.8). */
#include <glib.h>
#include <string.h>
#include "base/bits.h"
#include "hw/storage/spc.h"

static void put_text(uint8_t *to, size_t len, const char *text)
{
    memset(to, ' ', len);
    memcpy(to, text, MIN(strlen(text), len));
}

/* --- INQUIRY --- */

static size_t standard(const SpcUnit *u, uint8_t *p)
{
    size_t len = u->standards[0] ? 96 : 36;
    p[1] = u->removable ? 0x80 : 0;
    p[2] = u->version;
    p[3] = u->format;
    p[4] = (uint8_t)(len - 5);
    p[7] = u->queueing;
    put_text(p + 8, 8, u->vendor);
    put_text(p + 16, 16, u->product);
    put_text(p + 32, 4, u->revision);
    for (unsigned i = 0; i < ARRAY_LEN(u->standards) && u->standards[i]; i++)
        store_be(p + 58 + 2 * i, 2, u->standards[i]);
    return len;
}

static size_t page_serial(const SpcUnit *u, uint8_t *p)
{
    size_t n = u->serial ? MIN(strlen(u->serial), 36) : 0;
    memcpy(p + 4, u->serial ? u->serial : "", n);
    return n ? 4 + n : 0;
}

static uint8_t *designator(uint8_t *p, uint8_t set, uint8_t kind, const void *data, size_t len)
{
    p[0] = set;
    p[1] = kind;
    p[3] = (uint8_t)len;
    memcpy(p + 4, data, len);
    return p + 4 + len;
}

static size_t page_identification(const SpcUnit *u, uint8_t *page)
{
    enum {
        BINARY = 1,
        ASCII = 2,
        VENDOR = 0,
        T10 = 1,
        NAA = 3,
        PORT = 0x10,
        RELATIVE_PORT = 4,
        PIV = 0x80,
        SAS = 0x60
    };
    uint8_t *p = page + 4, number[8], t10[8 + 36];
    if (u->t10) {
        put_text(t10, 8, u->vendor);
        put_text(t10 + 8, 36, u->serial ? u->serial : "");
        p = designator(p, ASCII, T10, t10, sizeof t10);
    } else if (u->name) {
        p = designator(p, ASCII, VENDOR, u->name, MIN(strlen(u->name), 255 - 8));
    }
    store_be(number, 8, u->wwn);
    if (u->wwn)
        p = designator(p, BINARY, NAA, number, 8);
    store_be(number, 8, u->port_wwn);
    if (u->port_wwn)
        p = designator(p, SAS | BINARY, PIV | PORT | NAA, number, 8);
    store_be(number, 4, u->port_index);
    if (u->port_index)
        p = designator(p, SAS | BINARY, PIV | PORT | RELATIVE_PORT, number, 4);
    return (size_t)(p - page);
}

static size_t page_list(const SpcUnit *u, uint8_t *p)
{
    uint8_t scratch[SPC_REPLY_MAX] = { 0 };
    size_t n = 5;
    if (page_serial(u, scratch))
        p[n++] = 0x80;
    p[n++] = 0x83;
    for (const SpcVpd *v = u->pages; v && v->page; v++) {
        if (v->fill(u->unit, scratch))
            p[n++] = v->page;
    }
    return n;
}

static size_t vital(const SpcUnit *u, uint8_t page, uint8_t *p)
{
    const SpcVpd *v = u->pages;
    switch (page) {
    case 0x00: return page_list(u, p);
    case 0x80: return page_serial(u, p);
    case 0x83: return page_identification(u, p);
    }
    while (v && v->page && v->page != page)
        v++;
    return v && v->page ? v->fill(u->unit, p) : 0;
}

size_t spc_inquiry(const SpcUnit *u, const uint8_t *cdb, uint8_t *p, uint32_t *sense)
{
    size_t n = 0;
    if (cdb[1] & 1) {
        n = vital(u, cdb[2], p);
        p[1] = cdb[2];
        store_be(p + 2, 2, n ? n - 4 : 0);
    } else if (!cdb[2] && !(cdb[1] & 2)) {
        n = standard(u, p);
    }
    p[0] = u->type;
    *sense = n ? SENSE_NONE : SENSE_INVALID_FIELD;
    return n;
}

/* --- mode pages --- */

static size_t mode_header(const SpcMedium *m, const uint8_t *cdb, uint8_t *p)
{
    bool ten = cdb[0] == 0x5a, descriptor = !(cdb[1] & 8) && m->block, wide = ten && cdb[1] & 16; /* DBD, LLBAA */
    size_t n = ten ? 8 : 4, len = !descriptor ? 0 : wide ? 16 : 8;
    p[ten ? 2 : 1] = m->type;
    p[ten ? 3 : 2] = m->specific;
    p[ten ? 7 : 3] = (uint8_t)len;
    if (ten)
        p[4] = wide && descriptor;
    if (wide && descriptor) {
        store_be(p + n, 8, m->blocks);
        store_be(p + n + 12, 4, m->block);
    } else if (descriptor) {
        store_be(p + n, 4, MIN(m->blocks, UINT32_MAX));
        store_be(p + n + 5, 3, m->block);
    }
    return n + len;
}

size_t spc_mode_sense(const SpcUnit *u, const SpcMedium *m, const uint8_t *cdb, uint8_t *p, uint32_t *sense)
{
    unsigned page = cdb[2] & 0x3f, control = cdb[2] >> 6, subpage = cdb[3];
    bool ten = cdb[0] == 0x5a, any = page == 0x3f;
    if (control == SPC_SAVED) {
        *sense = SENSE_SAVING_PARAMETERS;
        return 0;
    }
    size_t n = mode_header(m, cdb, p);
    for (const SpcMode *k = u->modes; k->len; k++) {
        if (page != 0x3f && page != k->page)
            continue;
        p[n] = k->page;
        p[n + 1] = k->len;
        k->fill(u->unit, control, p + n + 2);
        n += 2u + k->len;
        any = true;
    }
    if (ten)
        store_be(p, 2, n - 2);
    else
        p[0] = (uint8_t)(n - 1);
    *sense = any && (!subpage || subpage == 0xff) ? SENSE_NONE : SENSE_INVALID_FIELD;
    return *sense ? 0 : n;
}

/* What can't be changed must be as it is. */
static uint32_t check_page(const SpcUnit *u, const uint8_t *p, bool *ignored)
{
    uint8_t now[256] = { 0 }, can[256] = { 0 };
    const SpcMode *k = u->modes;
    while (k->len && k->page != (p[0] & 0x3f))
        k++;
    *ignored = k->ignored;
    if (k->ignored)
        return SENSE_NONE;
    if (!k->len || p[0] & 0x40 || p[1] != k->len)
        return SENSE_INVALID_PARAMETER;
    k->fill(u->unit, SPC_CURRENT, now);
    k->fill(u->unit, SPC_CHANGEABLE, can);
    for (unsigned i = 0; i < k->len; i++) {
        if ((p[2 + i] ^ now[i]) & ~can[i])
            return SENSE_INVALID_PARAMETER;
    }
    return SENSE_NONE;
}

static uint32_t select_pages(const SpcUnit *u, const uint8_t *p, size_t len,
                             void (*apply)(void *opaque, const uint8_t *page), void *opaque)
{
    for (size_t at = 0; at < len; at += 2u + p[at + 1]) {
        bool ignored;
        if (len - at < 2 || len - at - 2 < p[at + 1])
            return SENSE_PARAMETER_LENGTH;
        uint32_t sense = check_page(u, p + at, &ignored);
        if (sense)
            return sense;
        if (apply && !ignored)
            apply(opaque, p + at);
    }
    return SENSE_NONE;
}

uint32_t spc_mode_select(const SpcUnit *u, uint32_t block, const uint8_t *cdb, const uint8_t *p, size_t len,
                         void (*apply)(void *opaque, const uint8_t *page), void *opaque)
{
    bool ten = cdb[0] == 0x55;
    size_t header = ten ? 8 : 4;
    if (len < header)
        return SENSE_PARAMETER_LENGTH;
    size_t descriptor = ten ? load_be(p + 6, 2) : p[3], at = header + descriptor;
    bool wide = ten && p[4] & 1;
    if (at > len)
        return SENSE_PARAMETER_LENGTH;
    if (descriptor && block &&
        (descriptor != (wide ? 16 : 8) || load_be(p + header + (wide ? 12 : 5), wide ? 4 : 3) != block))
        return SENSE_INVALID_PARAMETER;
    uint32_t sense = select_pages(u, p + at, len - at, NULL, NULL);
    return sense ? sense : select_pages(u, p + at, len - at, apply, opaque);
}
