/* SPDX-License-Identifier: MIT */
/* A CD/DVD-ROM drive: what it tells of itself and its medium (MMC-6, SPC-4). */
#include <string.h>
#include "base/bits.h"
#include "hw/storage/mmc-internal.h"

enum { CD_SECTORS_MAX = 80 * 60 * 75, PROFILE_CD = 0x08, PROFILE_DVD = 0x10 };

/* --- modes (SPC-4, 7.5; MMC-6, 7) --- */

static void mode_error_recovery(const void *unit, unsigned control, uint8_t *p)
{
    const MmcDrive *m = unit;

    p[0] = control == SPC_CHANGEABLE ? 0xff : control == SPC_DEFAULTS ? 0 : m->error_recovery;
    p[1] = control == SPC_CHANGEABLE ? 0xff : control == SPC_DEFAULTS ? 5 : m->retries;
}

static void mode_audio(const void *unit, unsigned control, uint8_t *p) { p[0] = control == SPC_CHANGEABLE ? 0 : 4; }
static void mode_power(const void *unit, unsigned control, uint8_t *p) { }

static void mode_capabilities(const void *unit, unsigned control, uint8_t *p)
{
    const MmcDrive *m = unit;

    if (control == SPC_CHANGEABLE)
        return;
    p[0] = 0x3b;         /* CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM are read */
    p[2] = 0x70;         /* mode 2 form 1 and 2, multi-session */
    p[3] = 0x03;         /* CD-DA */
    p[4] = (uint8_t)(0x29 | (m->locked ? 2 : 0)); /* tray, eject, lock */
    store_be(p + 6, 2, MMC_SPEED);
    store_be(p + 8, 2, 2);
    store_be(p + 10, 2, 512);
    store_be(p + 12, 2, m->speed);
}

static const SpcMode modes[] = { { 0x01, 6, false, mode_error_recovery },
                                 { 0x0e, 14, true, mode_audio },
                                 { 0x1a, 10, true, mode_power },
                                 { 0x2a, 20, true, mode_capabilities },
                                 { 0 } };

static SpcUnit identity(const MmcDrive *m)
{
    return (SpcUnit){ .unit = m,
                      .type = SPC_CD,
                      .removable = true,
                      .version = m->atapi ? 0 : 5,
                      .format = m->atapi ? 0x21 : 2,
                      .queueing = m->atapi ? 0 : 2,
                      .vendor = m->vendor,
                      .product = m->product,
                      .revision = m->revision,
                      .serial = m->serial,
                      .t10 = m->atapi,
                      .name = m->name,
                      .wwn = m->wwn,
                      .port_wwn = m->port_wwn,
                      .port_index = m->port_index,
                      .modes = modes };
}

static void reply_or_fail(MmcCall *k, size_t len, unsigned room, uint32_t sense)
{
    if (sense)
        fail(k, sense);
    else
        mmc_reply(k, (uint32_t)len, room);
}

void mmc_inquiry(MmcCall *k)
{
    SpcUnit u = identity(k->m);
    uint32_t sense;
    size_t n = spc_inquiry(&u, k->cdb, k->d, &sense);

    reply_or_fail(k, n, k->m->atapi && !(k->cdb[1] & 1) ? k->cdb[4] : be16(k->cdb + 3), sense);
}

void mmc_mode_sense(MmcCall *k)
{
    SpcUnit u = identity(k->m);
    SpcMedium medium = { .type = k->m->tray_open ? 0x71 : !mmc_sectors(k->m) ? 0x70 : 0x01 };
    uint32_t sense;
    size_t n = spc_mode_sense(&u, &medium, k->cdb, k->d, &sense);

    reply_or_fail(k, n, k->cdb[0] == 0x5a ? be16(k->cdb + 7) : k->cdb[4], sense);
}

void mmc_mode_select(MmcCall *k)
{
    uint32_t len = k->cdb[0] == 0x55 ? be16(k->cdb + 7) : k->cdb[4];

    if (k->cdb[1] & 1) {
        fail(k, SENSE_INVALID_FIELD);
        return;
    }
    k->r->length = len;
    k->r->phase = len ? MMC_DATA_OUT : MMC_DONE;
}

static void apply_page(void *opaque, const uint8_t *page)
{
    MmcDrive *m = opaque;

    m->error_recovery = page[2];
    m->retries = page[3];
}

void mmc_data_out(MmcDrive *m, const uint8_t cdb[16], const uint8_t *data, uint32_t len, MmcResult *r)
{
    SpcUnit u = identity(m);
    uint32_t sense = spc_mode_select(&u, 0, cdb, data, len, apply_page, m);

    *r = (MmcResult){ .phase = MMC_DONE };
    if (sense)
        mmc_fail(m, r, sense);
}

/* --- what the medium is --- */

static bool is_dvd(const MmcDrive *m) { return mmc_sectors(m) > CD_SECTORS_MAX; }

void mmc_read_capacity(MmcCall *k)
{
    store_be(k->d, 4, mmc_sectors(k->m) - 1);
    store_be(k->d + 4, 4, MMC_SECTOR);
    mmc_reply(k, 8, 8);
}

static unsigned put_track(uint8_t *d, uint8_t track, uint32_t lba, bool msf)
{
    d[1] = 0x14; /* data track, ADR 1 */
    d[2] = track;
    mmc_put_address(d + 4, lba, msf);
    return 8;
}

/* Q sub-channel entries: first and last track, lead-out, track 1. */
static unsigned raw_toc(uint8_t *d, uint32_t sectors, bool msf)
{
    static const uint8_t points[] = { 0xa0, 0xa1, 0xa2, 1 };
    unsigned at = 4;

    d[2] = d[3] = 1;
    for (unsigned i = 0; i < sizeof points; i++, at += 11) {
        d[at] = 1;
        d[at + 1] = 0x14;
        d[at + 3] = points[i];
        if (i < 2)
            d[at + 8] = 1;
        else
            mmc_put_address(d + at + 7, i == 2 ? sectors : 0, msf);
    }
    return at;
}

void mmc_read_toc(MmcCall *k)
{
    uint32_t sectors = mmc_sectors(k->m);
    bool msf = k->cdb[1] & 2;
    unsigned format = k->cdb[2] & 0xf, start = k->cdb[6], len = 4;

    if (!format)
        format = k->cdb[9] >> 6; /* where INF-8020i has it */
    switch (format) {
    case 0:
        if (start > 1 && start != 0xaa) {
            fail(k, SENSE_INVALID_FIELD);
            return;
        }
        k->d[2] = k->d[3] = 1;
        if (start <= 1)
            len += put_track(k->d + len, 1, 0, msf);
        len += put_track(k->d + len, 0xaa, sectors, msf);
        break;
    case 1:
        k->d[2] = k->d[3] = 1;
        len += put_track(k->d + len, 1, 0, msf);
        break;
    case 2: len = raw_toc(k->d, sectors, msf); break;
    default: fail(k, SENSE_INVALID_FIELD); return;
    }
    store_be(k->d, 2, len - 2);
    mmc_reply(k, len, be16(k->cdb + 7));
}

void mmc_read_disc_info(MmcCall *k)
{
    uint8_t *d = k->d;

    if (k->cdb[1] & 7) {
        fail(k, SENSE_INVALID_FIELD);
        return;
    }
    store_be(d, 2, 32);
    d[2] = 0x0e; /* complete */
    d[3] = d[4] = d[5] = d[6] = 1;
    d[7] = 0x20; /* unrestricted use */
    memset(d + 16, 0xff, 8);
    mmc_reply(k, 34, be16(k->cdb + 7));
}

void mmc_read_track_info(MmcCall *k)
{
    uint8_t *d = k->d;

    store_be(d, 2, 34);
    d[2] = d[3] = 1;
    d[5] = 0x04;
    d[6] = 0x01;
    store_be(d + 24, 4, mmc_sectors(k->m));
    mmc_reply(k, 36, be16(k->cdb + 7));
}

void mmc_read_dvd_structure(MmcCall *k)
{
    uint8_t *d = k->d;
    uint32_t sectors = mmc_sectors(k->m);
    unsigned len;

    if (k->cdb[1] & 0xf || k->cdb[6]) {
        fail(k, SENSE_INVALID_FIELD);
        return;
    }
    switch (k->cdb[7]) {
    case 0x00: /* physical format */
        if (!is_dvd(k->m)) {
            fail(k, SENSE_INCOMPATIBLE_FORMAT);
            return;
        }
        len = 4 + 2048;
        d[4] = 1;
        d[5] = 0xf;
        d[6] = 1;
        store_be(d + 8, 4, 0x30000);
        store_be(d + 12, 4, 0x30000 + sectors - 1);
        break;
    case 0x01: len = 4 + 4; break; /* no copyright system */
    case 0x04: len = 4 + 2048; break;
    case 0xff:
        len = 4 + 4 * 3;
        for (unsigned i = 0; i < 3; i++) {
            static const uint8_t codes[] = { 0x00, 0x01, 0x04 };
            d[4 + i * 4] = codes[i];
            d[5 + i * 4] = 0x40;
            store_be(d + 6 + i * 4, 2, i == 1 ? 8 : 2052);
        }
        break;
    default: fail(k, SENSE_INVALID_FIELD); return;
    }
    store_be(d, 2, len - 2);
    mmc_reply(k, len, be16(k->cdb + 8));
}

/* --- what the drive is (MMC-6, 6.6 and 5.3) --- */

/* flags: version, persistent, current */
static const struct { uint16_t code; uint8_t flags, len, data[8]; } features[] = {
    { 0x0001, 0x0b, 8, { 0, 0, 0, 2, 0 } },          /* core: ATAPI */
    { 0x0002, 0x07, 4, { 0x02 } },                   /* morphing */
    { 0x0003, 0x03, 4, { 0x29 } },                   /* removable: tray, eject, lock */
    { 0x0010, 0x00, 8, { 0, 0, 8, 0, 0, 16, 0, 0 } },/* random readable: 2048 bytes */
    { 0x001e, 0x08, 4, { 0 } },                      /* CD read */
    { 0x001f, 0x00, 0, { 0 } },                      /* DVD read */
    { 0x0105, 0x07, 4, { 0 } },                      /* timeout */
};

void mmc_get_configuration(MmcCall *k)
{
    uint8_t *d = k->d;
    unsigned rt = k->cdb[1] & 3, first = be16(k->cdb + 2), len = 8;
    unsigned profile = !mmc_sectors(k->m) ? 0 : is_dvd(k->m) ? PROFILE_DVD : PROFILE_CD;

    if (rt == 3) {
        fail(k, SENSE_INVALID_FIELD);
        return;
    }
    store_be(d + 6, 2, profile);
    if (rt == 2 ? !first : !first || (rt == 1 && !first)) {
        memcpy(d + len,
               ((const uint8_t[]){ 0, 0, 3, 8, 0, PROFILE_DVD, profile == PROFILE_DVD, 0, 0, PROFILE_CD,
                                   profile == PROFILE_CD, 0 }),
               12);
        len += 12;
    }
    for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
        unsigned code = features[i].code;
        bool current = features[i].flags & 1 || (code == 0x10 && profile) || (code == 0x1e && profile == PROFILE_CD) ||
                       (code == 0x1f && profile == PROFILE_DVD);
        if ((rt == 2 ? code != first : code < first) || (rt == 1 && !current))
            continue;
        store_be(d + len, 2, code);
        d[len + 2] = (uint8_t)((features[i].flags & 0xfe) | current);
        d[len + 3] = features[i].len;
        memcpy(d + len + 4, features[i].data, features[i].len);
        if (code == 1)
            d[len + 7] = k->m->atapi ? 2 : 1;
        len += 4u + features[i].len;
    }
    store_be(d, 4, len - 4);
    mmc_reply(k, len, be16(k->cdb + 7));
}

void mmc_get_event_status(MmcCall *k)
{
    MmcDrive *m = k->m;
    uint8_t *d = k->d;
    unsigned len = 4;

    if (!(k->cdb[1] & 1)) { /* only polled */
        fail(k, SENSE_INVALID_FIELD);
        return;
    }
    d[3] = 0x10;
    d[2] = 0x80; /* no event of these classes */
    if (k->cdb[4] & 0x10) {
        d[2] = 4;
        d[4] = m->event_eject ? 1 : m->event_new_media ? 2 : m->event_removal ? 3 : 0;
        d[5] = (uint8_t)(m->tray_open | (m->present ? 2 : 0));
        if (m->event_eject)
            m->event_eject = false;
        else if (m->event_new_media)
            m->event_new_media = false;
        else
            m->event_removal = false;
        len = 8;
    }
    store_be(d, 2, len - 2);
    mmc_reply(k, len, be16(k->cdb + 7));
}

void mmc_mechanism_status(MmcCall *k)
{
    k->d[1] = k->m->tray_open ? 0x10 : 0;
    k->d[5] = 1;
    mmc_reply(k, 8, be16(k->cdb + 8));
}

void mmc_set_speed(MmcCall *k)
{
    unsigned speed = be16(k->cdb + 2);
    k->m->speed = (uint16_t)MIN(speed, MMC_SPEED);
}

void mmc_get_performance(MmcCall *k)
{
    uint8_t *d = k->d;

    if (k->cdb[10]) {
        fail(k, SENSE_INVALID_FIELD);
        return;
    }
    store_be(d, 4, 4 + 16);
    store_be(d + 12, 4, MMC_SPEED);
    store_be(d + 16, 4, mmc_sectors(k->m) ? mmc_sectors(k->m) - 1 : 0);
    store_be(d + 20, 4, MMC_SPEED);
    mmc_reply(k, 24, 24);
}
