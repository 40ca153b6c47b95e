/* SPDX-License-Identifier: MIT */
/* A CD/DVD-ROM drive without its transport: the commands (MMC-6, SPC-4, INF-8020i), tray and medium. */
#include "hw/storage/mmc.h"
#include <errno.h>
#include <string.h>
#include "base/bits.h"

enum { CD_SECTORS_MAX = 80 * 60 * 75, PROFILE_CD = 0x08, PROFILE_DVD = 0x10, SPEED = 706 * 4, FRAMES = 75, LEAD_IN = 150 };
enum { NEEDS_MEDIUM = 1, PASSES_ATTENTION = 2 };

typedef struct Call {
    MmcDrive *m;
    const uint8_t *cdb;
    uint8_t *d;      /* MMC_DATA_MAX, the first 4 KiB are zero */
    MmcResult *r;
} Call;

uint32_t mmc_sectors(const MmcDrive *m)
{
    return m->present && m->blk ? (uint32_t)MIN(blk_size(m->blk) / MMC_SECTOR, UINT32_MAX) : 0;
}

void mmc_fail(MmcDrive *m, MmcResult *r, uint32_t sense)
{
    m->sense = sense;
    *r = (MmcResult){ .phase = MMC_DONE, .status = MMC_CHECK };
}

void mmc_read_failed(MmcDrive *m, MmcResult *r, int error)
{
    mmc_fail(m, r, error == -ENOMEDIUM ? MMC_SENSE_NO_MEDIUM : MMC_SENSE_READ_ERROR);
}

static void fail(Call *k, uint32_t sense) { mmc_fail(k->m, k->r, sense); }

static void reply(Call *k, uint32_t len, uint32_t room)
{
    k->r->length = MIN(len, room);
    k->r->phase = k->r->length ? MMC_DATA_IN : MMC_DONE;
}

static unsigned be16(const uint8_t *p) { return (unsigned)load_be(p, 2); }
static uint32_t be32(const uint8_t *p) { return (uint32_t)load_be(p, 4); }

/* --- sense and inquiry --- */

unsigned mmc_take_sense(MmcDrive *m, uint8_t *out, unsigned room)
{
    uint8_t s[18] = { 0x70, 0, (uint8_t)(m->sense >> 16), [7] = 10, [12] = (uint8_t)(m->sense >> 8), [13] = (uint8_t)m->sense };
    unsigned n = MIN(room, (unsigned)sizeof s);

    memcpy(out, s, n);
    m->sense = MMC_SENSE_NONE;
    return n;
}

static uint32_t next_attention(MmcDrive *m)
{
    for (unsigned i = 0; i < ARRAY_LEN(m->attention); i++) {
        uint32_t what = m->attention[i];
        m->attention[i] = 0;
        if (what)
            return what;
    }
    return 0;
}

static void request_sense(Call *k)
{
    if (!k->m->sense)
        k->m->sense = next_attention(k->m);
    mmc_take_sense(k->m, k->d, 18);
    reply(k, 18, k->cdb[4]);
}

static void put_text(uint8_t *to, unsigned len, const char *text)
{
    memset(to, ' ', len);
    memcpy(to, text, MIN(strlen(text), len));
}

static void inquiry_page(Call *k)
{
    uint8_t *d = k->d;
    unsigned room = be16(k->cdb + 3), len;

    d[0] = 5;
    d[1] = k->cdb[2];
    switch (k->cdb[2]) {
    case 0x00: d[4] = 0; d[5] = 0x80; d[6] = 0x83; len = 3; break;
    case 0x80: len = (unsigned)MIN(strlen(k->m->serial), 36); put_text(d + 4, len, k->m->serial); break;
    case 0x83: /* T10 vendor identification */
        d[4] = 2;
        d[5] = 1;
        d[7] = 8 + 36;
        put_text(d + 8, 8, k->m->vendor);
        put_text(d + 16, 36, k->m->serial);
        len = 4 + 8 + 36;
        break;
    default: fail(k, MMC_SENSE_INVALID_FIELD); return;
    }
    d[3] = (uint8_t)len;
    reply(k, len + 4, room);
}

static void inquiry(Call *k)
{
    uint8_t *d = k->d;

    if (k->cdb[1] & 1) {
        inquiry_page(k);
        return;
    }
    if (k->cdb[2]) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    d[0] = 5;    /* CD-ROM */
    d[1] = 0x80; /* removable */
    d[2] = k->m->atapi ? 0 : 5;
    d[3] = k->m->atapi ? 0x21 : 2;
    d[4] = 31;
    put_text(d + 8, 8, k->m->vendor);
    put_text(d + 16, 16, k->m->product);
    put_text(d + 32, 4, k->m->revision);
    reply(k, 36, k->m->atapi ? k->cdb[4] : be16(k->cdb + 3));
}

/* --- tray --- */

static void update_present(MmcDrive *m)
{
    bool now = !m->tray_open && m->blk && blk_inserted(m->blk);

    if (now == m->present)
        return;
    m->present = now;
    if (now)
        m->attention[1] = MMC_SENSE_MEDIUM_CHANGED;
    m->event_new_media = now;
    m->event_removal = !now;
}

static void move_tray(MmcDrive *m, bool open)
{
    if (m->tray_open == open)
        return;
    m->tray_open = open;
    update_present(m);
    if (m->blk)
        blk_tray_changed(m->blk, open);
}

static void start_stop(Call *k)
{
    MmcDrive *m = k->m;
    bool start = k->cdb[4] & 1, loej = k->cdb[4] & 2;

    if (k->cdb[4] >> 4 || !loej) /* power conditions, spin up or down: nothing to do */
        return;
    if (!start && !m->tray_open && m->locked)
        fail(k, mmc_sectors(m) ? MMC_SENSE_REMOVAL_PREVENTED : MMC_SENSE_NO_MEDIUM);
    else
        move_tray(m, !start);
}

static void prevent_allow(Call *k) { k->m->locked = k->cdb[4] & 1; }

/* --- modes (SPC-4, 7.5; MMC-6, 7) --- */

static unsigned put_page(MmcDrive *m, uint8_t *d, unsigned page, unsigned control)
{
    switch (page) {
    case 0x01:
        memcpy(d, ((const uint8_t[]){ 1, 6, m->error_recovery, m->retries, 0, 0, 0, 0 }), 8);
        if (control == 1)
            d[2] = d[3] = 0xff;
        else if (control == 2)
            d[2] = 0, d[3] = 5;
        return 8;
    case 0x0e:
        memset(d, 0, 16);
        d[0] = 0x0e;
        d[1] = 14;
        d[2] = 4;
        return 16;
    case 0x1a: memcpy(d, ((const uint8_t[12]){ 0x1a, 10 }), 12); return 12;
    case 0x2a: /* capabilities */
        memset(d, 0, 22);
        d[0] = 0x2a;
        d[1] = 20;
        d[2] = 0x3b;         /* CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM are read */
        d[4] = 0x70;         /* mode 2 form 1 and 2, multi-session */
        d[5] = 0x03;         /* CD-DA */
        d[6] = (uint8_t)(0x29 | (m->locked ? 2 : 0)); /* tray, eject, lock */
        store_be(d + 8, 2, SPEED);
        store_be(d + 10, 2, 2);
        store_be(d + 12, 2, 512);
        store_be(d + 14, 2, m->speed);
        return 22;
    default: return 0;
    }
}

static void mode_sense(Call *k)
{
    static const uint8_t all[] = { 0x01, 0x0e, 0x1a, 0x2a };
    bool ten = k->cdb[0] == 0x5a;
    unsigned page = k->cdb[2] & 0x3f, control = k->cdb[2] >> 6, head = ten ? 8 : 4, len = head;

    if (control == 3) {
        fail(k, MMC_SENSE_SAVING);
        return;
    }
    if (k->cdb[3] && k->cdb[3] != 0xff) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    for (unsigned i = 0; i < sizeof all; i++) {
        if (page == 0x3f || page == all[i])
            len += put_page(k->m, k->d + len, all[i], control);
    }
    if (len == head) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    uint8_t medium = k->m->tray_open ? 0x71 : !mmc_sectors(k->m) ? 0x70 : 0x01;
    if (ten) {
        store_be(k->d, 2, len - 2);
        k->d[2] = medium;
    } else {
        k->d[0] = (uint8_t)(len - 1);
        k->d[1] = medium;
    }
    reply(k, len, ten ? be16(k->cdb + 7) : k->cdb[4]);
}

static void mode_select(Call *k)
{
    uint32_t len = k->cdb[0] == 0x55 ? be16(k->cdb + 7) : k->cdb[4];

    if (k->cdb[1] & 1) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    k->r->length = len;
    k->r->phase = len ? MMC_DATA_OUT : MMC_DONE;
}

void mmc_data_out(MmcDrive *m, const uint8_t cdb[16], const uint8_t *data, uint32_t len, MmcResult *r)
{
    bool ten = cdb[0] == 0x55;
    uint32_t head = ten ? 8 : 4;

    *r = (MmcResult){ .phase = MMC_DONE };
    if (len < head) {
        mmc_fail(m, r, MMC_SENSE_PARAMETER_LENGTH);
        return;
    }
    for (uint32_t at = head + (ten ? be16(data + 6) : data[3]); at + 2 <= len;) {
        uint32_t size = 2u + data[at + 1];
        if (size > len - at) {
            mmc_fail(m, r, MMC_SENSE_PARAMETER_LENGTH);
            return;
        }
        switch (data[at] & 0x3f) {
        case 0x01:
            if (size != 8) {
                mmc_fail(m, r, MMC_SENSE_INVALID_PARAMETER);
                return;
            }
            m->error_recovery = data[at + 2];
            m->retries = data[at + 3];
            break;
        case 0x0e: case 0x1a: case 0x2a: break;
        default: mmc_fail(m, r, MMC_SENSE_INVALID_PARAMETER); return;
        }
        at += size;
    }
}

/* --- what the medium is --- */

static bool is_dvd(const MmcDrive *m) { return mmc_sectors(m) > CD_SECTORS_MAX; }

static void read_capacity(Call *k)
{
    store_be(k->d, 4, mmc_sectors(k->m) - 1);
    store_be(k->d + 4, 4, MMC_SECTOR);
    reply(k, 8, 8);
}

/* Minute, second, frame; with the two seconds before block 0. */
static void put_address(uint8_t *d, uint32_t lba, bool msf)
{
    if (!msf) {
        store_be(d, 4, lba);
        return;
    }
    lba += LEAD_IN;
    d[0] = 0;
    d[1] = (uint8_t)MIN(lba / FRAMES / 60, 255);
    d[2] = (uint8_t)(lba / FRAMES % 60);
    d[3] = (uint8_t)(lba % FRAMES);
}

static unsigned put_track(uint8_t *d, uint8_t track, uint32_t lba, bool msf)
{
    d[1] = 0x14; /* data track, ADR 1 */
    d[2] = track;
    put_address(d + 4, lba, msf);
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
            put_address(d + at + 7, i == 2 ? sectors : 0, msf);
    }
    return at;
}

static void read_toc(Call *k)
{
    uint32_t sectors = mmc_sectors(k->m);
    bool msf = k->cdb[1] & 2;
    unsigned format = k->cdb[2] & 0xf, start = k->cdb[6], len = 4;

    if (!format)
        format = k->cdb[9] >> 6; /* where INF-8020i has it */
    switch (format) {
    case 0:
        if (start > 1 && start != 0xaa) {
            fail(k, MMC_SENSE_INVALID_FIELD);
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
    default: fail(k, MMC_SENSE_INVALID_FIELD); return;
    }
    store_be(k->d, 2, len - 2);
    reply(k, len, be16(k->cdb + 7));
}

static void read_disc_info(Call *k)
{
    uint8_t *d = k->d;

    if (k->cdb[1] & 7) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    store_be(d, 2, 32);
    d[2] = 0x0e; /* complete */
    d[3] = d[4] = d[5] = d[6] = 1;
    d[7] = 0x20; /* unrestricted use */
    memset(d + 16, 0xff, 8);
    reply(k, 34, be16(k->cdb + 7));
}

static void read_track_info(Call *k)
{
    uint8_t *d = k->d;

    store_be(d, 2, 34);
    d[2] = d[3] = 1;
    d[5] = 0x04;
    d[6] = 0x01;
    store_be(d + 24, 4, mmc_sectors(k->m));
    reply(k, 36, be16(k->cdb + 7));
}

static void read_dvd_structure(Call *k)
{
    uint8_t *d = k->d;
    uint32_t sectors = mmc_sectors(k->m);
    unsigned len;

    if (k->cdb[1] & 0xf || k->cdb[6]) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    switch (k->cdb[7]) {
    case 0x00: /* physical format */
        if (!is_dvd(k->m)) {
            fail(k, MMC_SENSE_INCOMPATIBLE_FORMAT);
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
    default: fail(k, MMC_SENSE_INVALID_FIELD); return;
    }
    store_be(d, 2, len - 2);
    reply(k, len, be16(k->cdb + 8));
}

/* --- what the drive is (MMC-6, 6.6 and 5.3) --- */

static const struct { uint16_t code; uint8_t flags, len, data[8]; } features[] = { /* flags: version, persistent, current */
    { 0x0001, 0x0b, 8, { 0, 0, 0, 2, 0 } },          /* core: ATAPI */
    { 0x0002, 0x07, 4, { 0x02 } },                   /* morphing */
    { 0x0003, 0x03, 4, { 0x29 } },                   /* removable: tray, eject, lock */
    { 0x0010, 0x00, 8, { 0, 0, 8, 0, 0, 16, 0, 0 } },/* random readable: 2048 bytes */
    { 0x001e, 0x08, 4, { 0 } },                      /* CD read */
    { 0x001f, 0x00, 0, { 0 } },                      /* DVD read */
    { 0x0105, 0x07, 4, { 0 } },                      /* timeout */
};

static void get_configuration(Call *k)
{
    uint8_t *d = k->d;
    unsigned rt = k->cdb[1] & 3, first = be16(k->cdb + 2), len = 8;
    unsigned profile = !mmc_sectors(k->m) ? 0 : is_dvd(k->m) ? PROFILE_DVD : PROFILE_CD;

    if (rt == 3) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    store_be(d + 6, 2, profile);
    if (rt == 2 ? !first : !first || (rt == 1 && !first)) {
        memcpy(d + len, ((const uint8_t[]){ 0, 0, 3, 8, 0, PROFILE_DVD, profile == PROFILE_DVD, 0, 0, PROFILE_CD, profile == PROFILE_CD, 0 }), 12);
        len += 12;
    }
    for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
        unsigned code = features[i].code;
        bool current = features[i].flags & 1 || (code == 0x10 && profile) || (code == 0x1e && profile == PROFILE_CD) || (code == 0x1f && profile == PROFILE_DVD);
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
    reply(k, len, be16(k->cdb + 7));
}

static void get_event_status(Call *k)
{
    MmcDrive *m = k->m;
    uint8_t *d = k->d;
    unsigned len = 4;

    if (!(k->cdb[1] & 1)) { /* only polled */
        fail(k, MMC_SENSE_INVALID_FIELD);
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
    reply(k, len, be16(k->cdb + 7));
}

static void mechanism_status(Call *k)
{
    k->d[1] = k->m->tray_open ? 0x10 : 0;
    k->d[5] = 1;
    reply(k, 8, be16(k->cdb + 8));
}

static void set_speed(Call *k)
{
    unsigned speed = be16(k->cdb + 2);
    k->m->speed = (uint16_t)MIN(speed, SPEED);
}

static void get_performance(Call *k)
{
    uint8_t *d = k->d;

    if (k->cdb[10]) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    store_be(d, 4, 4 + 16);
    store_be(d + 12, 4, SPEED);
    store_be(d + 16, 4, mmc_sectors(k->m) ? mmc_sectors(k->m) - 1 : 0);
    store_be(d + 20, 4, SPEED);
    reply(k, 24, 24);
}

/* --- reading --- */

static void read_blocks(Call *k, uint32_t lba, uint32_t blocks, unsigned bytes, uint8_t fields)
{
    uint32_t sectors = mmc_sectors(k->m);

    if (blocks > sectors || lba > sectors - blocks) {
        fail(k, MMC_SENSE_LBA_RANGE);
        return;
    }
    if (!blocks || !bytes)
        return;
    *k->r = (MmcResult){ .phase = MMC_READ, .lba = lba, .blocks = blocks, .sector_bytes = bytes, .plain = bytes == MMC_SECTOR && !(fields & ~0x10u), .fields = fields };
}

static void read10(Call *k) { read_blocks(k, be32(k->cdb + 2), be16(k->cdb + 7), MMC_SECTOR, 0x10); }
static void read12(Call *k) { read_blocks(k, be32(k->cdb + 2), be32(k->cdb + 6), MMC_SECTOR, 0x10); }

/* Mode 1 sectors: sync 12, header 4, data 2048, EDC and ECC 288 (which hold zeroes here). */
static unsigned sector_length(uint8_t fields)
{
    return (fields & 0x80 ? 12u : 0) + (fields & 0x20 ? 4u : 0) + (fields & 0x10 ? 2048u : 0) + (fields & 0x08 ? 288u : 0);
}

unsigned mmc_form_sector(uint32_t lba, uint8_t fields, const uint8_t *user, uint8_t *out)
{
    uint8_t *p = out, at[4];

    if (fields & 0x80) {
        memset(p, 0xff, 12);
        p[0] = p[11] = 0;
        p += 12;
    }
    if (fields & 0x20) { /* binary-coded decimal minute, second, frame; mode 1 */
        put_address(at, lba, true);
        for (unsigned i = 0; i < 3; i++)
            *p++ = (uint8_t)(at[i + 1] / 10 % 16 << 4 | at[i + 1] % 10);
        *p++ = 1;
    }
    if (fields & 0x10) {
        memcpy(p, user, MMC_SECTOR);
        p += MMC_SECTOR;
    }
    if (fields & 0x08) {
        memset(p, 0, 288);
        p += 288;
    }
    return (unsigned)(p - out);
}

static void read_cd_range(Call *k, uint32_t lba, uint32_t blocks)
{
    uint8_t fields = k->cdb[9] & 0xf8, type = k->cdb[1] >> 2 & 7;

    if (k->cdb[9] & 0x06 || k->cdb[10] & 7) /* C2 errors, sub-channels */
        fail(k, MMC_SENSE_INVALID_FIELD);
    else if (type && type != 2)
        fail(k, MMC_SENSE_ILLEGAL_MODE);
    else
        read_blocks(k, lba, blocks, sector_length(fields), fields);
}

static void read_cd(Call *k) { read_cd_range(k, be32(k->cdb + 2), (uint32_t)load_be(k->cdb + 6, 3)); }

static uint32_t from_msf(const uint8_t *p) { return ((uint32_t)p[0] * 60 + p[1]) * FRAMES + p[2]; }

static void read_cd_msf(Call *k)
{
    uint32_t from = from_msf(k->cdb + 3), to = from_msf(k->cdb + 6);

    if (from < LEAD_IN || to < from)
        fail(k, MMC_SENSE_INVALID_FIELD);
    else
        read_cd_range(k, from - LEAD_IN, to - from);
}

static void seek(Call *k)
{
    if (be32(k->cdb + 2) >= mmc_sectors(k->m))
        fail(k, MMC_SENSE_LBA_RANGE);
}

static void verify(Call *k)
{
    uint32_t sectors = mmc_sectors(k->m), blocks = be16(k->cdb + 7);

    if (k->cdb[1] & 2)
        fail(k, MMC_SENSE_INVALID_FIELD);
    else if (blocks > sectors || be32(k->cdb + 2) > sectors - blocks)
        fail(k, MMC_SENSE_LBA_RANGE);
}

static void nothing(Call *k) { }

static void read_header(Call *k)
{
    if (be32(k->cdb + 2) >= mmc_sectors(k->m)) {
        fail(k, MMC_SENSE_LBA_RANGE);
        return;
    }
    k->d[0] = 1;
    put_address(k->d + 4, be32(k->cdb + 2), k->cdb[1] & 2);
    reply(k, 8, be16(k->cdb + 7));
}

static void read_subchannel(Call *k)
{
    k->d[1] = 0x15; /* no audio status */
    if (k->cdb[2] & 0x40 && k->cdb[3] > 3) {
        fail(k, MMC_SENSE_INVALID_FIELD);
        return;
    }
    reply(k, 4, be16(k->cdb + 7));
}

static const struct { uint8_t opcode, flags; void (*run)(Call *k); } commands[] = {
    { 0x00, NEEDS_MEDIUM, nothing },       { 0x03, PASSES_ATTENTION, request_sense }, { 0x12, PASSES_ATTENTION, inquiry },
    { 0x15, 0, mode_select },              { 0x1a, 0, mode_sense },                   { 0x1b, 0, start_stop },
    { 0x1e, 0, prevent_allow },            { 0x25, NEEDS_MEDIUM, read_capacity },     { 0x28, NEEDS_MEDIUM, read10 },
    { 0x2b, NEEDS_MEDIUM, seek },          { 0x2f, NEEDS_MEDIUM, verify },            { 0x35, 0, nothing },
    { 0x42, NEEDS_MEDIUM, read_subchannel },{ 0x43, NEEDS_MEDIUM, read_toc },         { 0x44, NEEDS_MEDIUM, read_header },
    { 0x46, PASSES_ATTENTION, get_configuration }, { 0x4a, PASSES_ATTENTION, get_event_status }, { 0x4e, 0, nothing },
    { 0x51, NEEDS_MEDIUM, read_disc_info },{ 0x52, NEEDS_MEDIUM, read_track_info },   { 0x55, 0, mode_select },
    { 0x5a, 0, mode_sense },               { 0xa8, NEEDS_MEDIUM, read12 },            { 0xac, 0, get_performance },
    { 0xad, NEEDS_MEDIUM, read_dvd_structure }, { 0xb9, NEEDS_MEDIUM, read_cd_msf },  { 0xbb, 0, set_speed },
    { 0xbd, 0, mechanism_status },         { 0xbe, NEEDS_MEDIUM, read_cd },
};

void mmc_execute(MmcDrive *m, const uint8_t cdb[16], uint8_t *data, MmcResult *r)
{
    Call k = { m, cdb, data, r };
    unsigned i = 0;

    *r = (MmcResult){ .phase = MMC_DONE };
    while (i < ARRAY_LEN(commands) && commands[i].opcode != cdb[0])
        i++;
    if (i == ARRAY_LEN(commands)) {
        fail(&k, MMC_SENSE_INVALID_OPCODE);
        return;
    }
    if (cdb[0] != 0x03)
        m->sense = MMC_SENSE_NONE;
    if (!(commands[i].flags & PASSES_ATTENTION)) {
        uint32_t attention = next_attention(m);
        if (attention) {
            fail(&k, attention);
            return;
        }
    }
    if (commands[i].flags & NEEDS_MEDIUM && !mmc_sectors(m)) {
        fail(&k, m->tray_open ? MMC_SENSE_NO_MEDIUM_OPEN : MMC_SENSE_NO_MEDIUM);
        return;
    }
    memset(data, 0, 4096);
    commands[i].run(&k);
}

/* --- life --- */

/* The user's hand: putting in a medium closes the tray, taking it opens it. */
static void medium_changed(void *opaque, bool present)
{
    MmcDrive *m = opaque;

    lock_domain_lock(m->dev->domain);
    if (present) { /* another one: the guest sees it go first */
        m->present = false;
        m->tray_open = false;
    } else {
        m->tray_open = true;
        m->locked = false;
    }
    update_present(m);
    lock_domain_unlock(m->dev->domain);
}

static void eject_request(void *opaque, bool force)
{
    MmcDrive *m = opaque;

    lock_domain_lock(m->dev->domain);
    m->event_eject = true;
    if (force)
        m->locked = false;
    lock_domain_unlock(m->dev->domain);
}

static void resized(void *opaque) { }
static bool tray_open(void *opaque) { return ((MmcDrive *)opaque)->tray_open; }
static bool medium_locked(void *opaque) { return ((MmcDrive *)opaque)->locked; }
static const BlkDeviceOps device_ops = { medium_changed, eject_request, tray_open, medium_locked, resized };

void mmc_start(MmcDrive *m)
{
    m->speed = SPEED;
    if (m->blk)
        blk_set_device_ops(m->blk, &device_ops, m);
    m->present = m->blk && blk_inserted(m->blk);
}

void mmc_reset(MmcDrive *m)
{
    m->sense = MMC_SENSE_NONE;
    m->attention[0] = MMC_SENSE_RESET;
    m->attention[1] = 0;
    m->locked = false;
    m->event_new_media = m->event_removal = m->event_eject = false;
    m->speed = SPEED;
    m->error_recovery = 0;
    m->retries = 5;
    m->present = !m->tray_open && m->blk && blk_inserted(m->blk);
}

/* The medium that is in the drive now counts, whatever was in it when the state was saved. */
bool mmc_loaded(MmcDrive *m)
{
    bool present = !m->tray_open && m->blk && blk_inserted(m->blk);

    if (present != m->present)
        update_present(m);
    return m->sense <= 0xffffff && m->attention[0] <= 0xffffff && m->attention[1] <= 0xffffff;
}

const StateField mmc_state[] = {
    STATE_U32(MmcDrive, sense), STATE_U32_ARRAY(MmcDrive, attention), STATE_BOOL(MmcDrive, present), STATE_BOOL(MmcDrive, tray_open),
    STATE_BOOL(MmcDrive, locked), STATE_BOOL(MmcDrive, event_new_media), STATE_BOOL(MmcDrive, event_removal), STATE_BOOL(MmcDrive, event_eject),
    STATE_U16(MmcDrive, speed), STATE_U8(MmcDrive, error_recovery), STATE_U8(MmcDrive, retries), STATE_END_OF_TABLE
};
