/* SPDX-License-Identifier: MIT */
/* What a SCSI disk says of itself: INQUIRY with its pages, mode pages, supported commands (SPC-4 6.4, 7.5, 7.8; SBC-3 6.4, 6.5). */
#include "hw/scsi/scsi-disk.h"

/* --- INQUIRY --- */

static void put_text(uint8_t *to, size_t len, const char *text)
{
    memset(to, ' ', len);
    memcpy(to, text, MIN(strlen(text), len));
}

static size_t standard(const ScsiDisk *d, uint8_t *p)
{
    static const uint16_t versions[] = { 0x00a0, 0x0460, 0x04c0 }; /* SAM-5, SPC-4, SBC-3 */
    p[1] = d->removable ? 0x80 : 0;
    p[2] = (uint8_t)d->scsi_version;
    p[3] = 0x12; /* HiSup, response format 2 */
    p[4] = 96 - 5;
    p[7] = 2;    /* command queueing */
    put_text(p + 8, 8, d->vendor);
    put_text(p + 16, 16, d->product);
    put_text(p + 32, 4, d->ver);
    for (unsigned i = 0; i < ARRAY_LEN(versions); i++)
        store_be(p + 58 + 2 * i, 2, versions[i]);
    return 96;
}

static size_t page_serial(const ScsiDisk *d, uint8_t *p)
{
    const char *serial = disk_serial(d);
    size_t n = serial ? MIN(strlen(serial), 36) : 0;
    memcpy(p + 4, serial ? serial : "", n);
    return 4 + n;
}

static uint8_t *designator(uint8_t *p, uint8_t set, uint8_t kind, const void *data, size_t len)
{
    p[0] = set;
    p[1] = kind;
    p[3] = (uint8_t)len;
    memcpy(p + 4, data, len);
    return p + 4 + len;
}

static size_t page_identification(const ScsiDisk *d, uint8_t *page)
{
    enum { BINARY = 1, ASCII = 2, VENDOR = 0, NAA = 3, PORT = 0x10, RELATIVE_PORT = 4, PIV = 0x80, SAS = 0x60 };
    uint8_t *p = page + 4, number[8];
    const char *id = d->device_id ? d->device_id : disk_serial(d);
    if (id)
        p = designator(p, ASCII, VENDOR, id, MIN(strlen(id), 255 - 8));
    if (d->wwn) {
        store_be(number, 8, d->wwn);
        p = designator(p, BINARY, NAA, number, 8);
    }
    if (d->port_wwn) {
        store_be(number, 8, d->port_wwn);
        p = designator(p, SAS | BINARY, PIV | PORT | NAA, number, 8);
    }
    if (d->port_index) {
        store_be(number, 4, d->port_index);
        p = designator(p, SAS | BINARY, PIV | PORT | RELATIVE_PORT, number, 4);
    }
    return (size_t)(p - page);
}

static size_t page_limits(const ScsiDisk *d, uint8_t *p)
{
    uint32_t block = disk_block(d);
    p[4] = 1; /* WSNZ */
    p[5] = CAW_BLOCKS_MAX;
    store_be(p + 6, 2, MIN(d->min_io_size / block, UINT16_MAX));
    store_be(p + 8, 4, MIN(d->max_io_size / block, UINT32_MAX));
    store_be(p + 12, 4, MIN(d->opt_io_size / block, UINT32_MAX));
    if (blk_writable(d->blk)) {
        store_be(p + 20, 4, MIN(d->max_unmap_size / block, UINT32_MAX));
        store_be(p + 24, 4, UNMAP_RANGES_MAX);
    }
    store_be(p + 28, 4, MAX(d->discard_granularity == UINT32_MAX ? 4096 : d->discard_granularity, block) / block);
    store_be(p + 36, 8, SAME_BYTES_MAX / block);
    return 64;
}

static size_t page_characteristics(const ScsiDisk *d, uint8_t *p)
{
    store_be(p + 4, 2, d->rotation_rate);
    return 64;
}

static size_t page_provisioning(const ScsiDisk *d, uint8_t *p)
{
    p[5] = blk_writable(d->blk) ? 0xe0 : 0; /* UNMAP, WRITE SAME (16), WRITE SAME (10) unmap; what is unmapped reads as anything */
    p[6] = blk_writable(d->blk) ? 2 : 0;    /* thin */
    return 8;
}

static size_t page_list(const ScsiDisk *d, uint8_t *p);
static const struct { uint8_t page; size_t (*fill)(const ScsiDisk *d, uint8_t *p); } pages[] = {
    { 0x00, page_list }, { 0x80, page_serial }, { 0x83, page_identification }, { 0xb0, page_limits }, { 0xb1, page_characteristics },
    { 0xb2, page_provisioning },
};

static bool has_page(const ScsiDisk *d, uint8_t page) { return page != 0x80 || disk_serial(d); }

static size_t page_list(const ScsiDisk *d, uint8_t *p)
{
    size_t n = 4;
    for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
        if (has_page(d, pages[i].page))
            p[n++] = pages[i].page;
    }
    return n;
}

void disk_inquiry(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[512] = { 0 };
    if (!(r->cdb[1] & 1)) {
        if (r->cdb[1] & 2 || r->cdb[2])
            scsi_fail(r, SENSE_INVALID_FIELD);
        else
            scsi_reply(r, p, standard(d, p));
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
        if (pages[i].page != r->cdb[2] || !has_page(d, r->cdb[2]))
            continue;
        size_t n = pages[i].fill(d, p);
        p[1] = r->cdb[2];
        store_be(p + 2, 2, n - 4);
        scsi_reply(r, p, n);
        return;
    }
    scsi_fail(r, SENSE_INVALID_FIELD);
}

/* --- mode pages --- */

enum { CURRENT, CHANGEABLE, DEFAULTS, SAVED };

static void mode_error_recovery(const ScsiDisk *d, unsigned control, uint8_t *p) { p[0] = control == CHANGEABLE ? 0 : 0x80; /* AWRE */ }

static void mode_geometry(const ScsiDisk *d, unsigned control, uint8_t *p)
{
    if (control == CHANGEABLE)
        return;
    uint64_t cylinders = CLAMP(disk_blocks(d) / (255 * 63), 2, 0xffffff);
    store_be(p, 3, cylinders);
    p[3] = 255;
    store_be(p + 4, 3, cylinders);
    store_be(p + 7, 3, cylinders);
    store_be(p + 18, 2, d->rotation_rate > 1 ? d->rotation_rate : 5400);
}

static void mode_caching(const ScsiDisk *d, unsigned control, uint8_t *p)
{
    bool wce = control == CURRENT ? d->wce : control == CHANGEABLE || d->drive.write_cache;
    p[0] = wce ? 4 : 0;
}

static void mode_control(const ScsiDisk *d, unsigned control, uint8_t *p)
{
    if (control != CHANGEABLE)
        p[1] = 0x10; /* commands may be reordered */
}

static void mode_exceptions(const ScsiDisk *d, unsigned control, uint8_t *p) {}

static const struct { uint8_t page, len; void (*fill)(const ScsiDisk *d, unsigned control, uint8_t *p); } mode_pages[] = {
    { 0x01, 10, mode_error_recovery }, { 0x04, 22, mode_geometry }, { 0x08, 18, mode_caching }, { 0x0a, 10, mode_control }, { 0x1c, 10, mode_exceptions },
};

/* The header, and the block descriptor unless DBD. Returns where pages begin. */
static size_t mode_header(const ScsiRequest *r, const ScsiDisk *d, uint8_t *p)
{
    bool ten = r->cdb[0] == 0x5a, descriptor = !(r->cdb[1] & 8), wide = ten && r->cdb[1] & 16;
    uint8_t specific = (uint8_t)((blk_writable(d->blk) ? 0 : 0x80) | (d->dpofua ? 0x10 : 0));
    size_t n = ten ? 8 : 4, len = !descriptor ? 0 : wide ? 16 : 8;
    p[ten ? 3 : 2] = specific;
    if (ten) {
        p[4] = wide && descriptor;
        store_be(p + 6, 2, len);
    } else {
        p[3] = (uint8_t)len;
    }
    if (wide && descriptor) {
        store_be(p + n, 8, disk_blocks(d));
        store_be(p + n + 12, 4, disk_block(d));
    } else if (descriptor) {
        store_be(p + n, 4, MIN(disk_blocks(d), UINT32_MAX));
        store_be(p + n + 5, 3, disk_block(d));
    }
    return n + len;
}

void disk_mode_sense(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[256] = { 0 };
    unsigned page = r->cdb[2] & 0x3f, control = r->cdb[2] >> 6, subpage = r->cdb[3];
    bool ten = r->cdb[0] == 0x5a, any = page == 0x3f;
    if (control == SAVED) {
        scsi_fail(r, SENSE_SAVING_PARAMETERS);
        return;
    }
    size_t n = mode_header(r, d, p);
    for (unsigned i = 0; i < ARRAY_LEN(mode_pages) && (!subpage || subpage == 0xff); i++) {
        if (page != 0x3f && page != mode_pages[i].page)
            continue;
        p[n] = mode_pages[i].page;
        p[n + 1] = mode_pages[i].len;
        mode_pages[i].fill(d, control, p + n + 2);
        n += 2u + mode_pages[i].len;
        any = true;
    }
    if (!any || (subpage && subpage != 0xff)) {
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (ten)
        store_be(p, 2, n - 2);
    else
        p[0] = (uint8_t)(n - 1);
    scsi_reply(r, p, n);
}

/* One page of MODE SELECT: what can't be changed must be as it is. Returns sense. */
static uint32_t select_page(ScsiDisk *d, const uint8_t *p, bool apply)
{
    uint8_t now[32] = { 0 }, can[32] = { 0 };
    for (unsigned i = 0; i < ARRAY_LEN(mode_pages); i++) {
        if ((p[0] & 0x3f) != mode_pages[i].page)
            continue;
        unsigned len = mode_pages[i].len;
        if (p[0] & 0x40 || p[1] != len)
            return SENSE_INVALID_PARAMETER;
        mode_pages[i].fill(d, CURRENT, now);
        mode_pages[i].fill(d, CHANGEABLE, can);
        for (unsigned k = 0; k < len; k++) {
            if ((p[2 + k] ^ now[k]) & ~can[k])
                return SENSE_INVALID_PARAMETER;
        }
        if (apply && mode_pages[i].page == 8)
            d->wce = p[2] & 4;
        return SENSE_NONE;
    }
    return SENSE_INVALID_PARAMETER;
}

static uint32_t select_all(ScsiDisk *d, const uint8_t *p, size_t len, bool ten, bool apply)
{
    size_t header = ten ? 8 : 4;
    if (len < header)
        return SENSE_PARAMETER_LENGTH;
    size_t descriptor = ten ? load_be(p + 6, 2) : p[3], at = header + descriptor;
    bool wide = ten && p[4] & 1;
    if (at > len)
        return SENSE_PARAMETER_LENGTH;
    if (descriptor && descriptor != (wide ? 16 : 8))
        return SENSE_INVALID_PARAMETER;
    if (descriptor && load_be(p + header + (wide ? 12 : 5), wide ? 4 : 3) != disk_block(d))
        return SENSE_INVALID_PARAMETER;
    while (at < len) {
        if (len - at < 2 || len - at - 2 < p[at + 1])
            return SENSE_PARAMETER_LENGTH;
        uint32_t sense = select_page(d, p + at, apply);
        if (sense)
            return sense;
        at += 2u + p[at + 1];
    }
    return SENSE_NONE;
}

static void selected(ScsiRequest *r, int error)
{
    if (error) {
        scsi_fail(r, SENSE_TARGET_FAILURE);
        return;
    }
    r->done_bytes = r->xfer;
    scsi_done(r, SCSI_GOOD);
}

void disk_mode_select(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[SCSI_PARAMETERS_MAX];
    bool ten = r->cdb[0] == 0x55;
    if (!(r->cdb[1] & 0x10) || r->cdb[1] & 1 || r->xfer > sizeof p) { /* PF, and nothing is saved */
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (!r->xfer) {
        scsi_done(r, SCSI_GOOD);
        return;
    }
    size_t n = scsi_take(r, 0, p, r->xfer);
    uint32_t sense = select_all(d, p, n, ten, false);
    if (sense) {
        scsi_fail(r, sense);
        return;
    }
    bool cached = d->wce;
    select_all(d, p, n, ten, true);
    if (cached && !d->wce) /* what is in the cache goes to the medium */
        scsi_submit(r, d->blk, BLK_FLUSH, 0, 0, 0, 0, selected);
    else
        selected(r, 0);
}

/* --- REPORT SUPPORTED OPERATION CODES (SPC-4, 6.35) --- */

static void report_one(ScsiRequest *r)
{
    uint8_t p[4 + 32] = { 0 };
    unsigned how = r->cdb[2] & 7, action = (unsigned)load_be(r->cdb + 4, 2);
    const ScsiDiskCommand *c = disk_commands;
    while (c->run && (c->op != r->cdb[3] || (how >= 2 && c->action >= 0 && (unsigned)c->action != action)))
        c++;
    if (c->run && (how == 1 ? c->action >= 0 : how == 2 && c->action < 0)) {
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    p[1] = c->run ? 3 : 1;
    if (!c->run) {
        scsi_reply(r, p, 4);
        return;
    }
    store_be(p + 2, 2, c->cdb_len);
    p[4] = c->op;
    memset(p + 5, 0xff, c->cdb_len - 1u);
    if (c->action >= 0)
        p[5] = (uint8_t)c->action;
    scsi_reply(r, p, 4u + c->cdb_len);
}

void disk_report_opcodes(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[1024] = { 0 };
    size_t n = 4;
    unsigned how = r->cdb[2] & 7;
    if (how > 3 || r->cdb[2] & 0x80) { /* no time-outs */
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (how) {
        report_one(r);
        return;
    }
    for (const ScsiDiskCommand *c = disk_commands; c->run; c++, n += 8) {
        p[n] = c->op;
        if (c->action >= 0) {
            p[n + 3] = (uint8_t)c->action;
            p[n + 5] = 1;
        }
        p[n + 7] = c->cdb_len;
    }
    store_be(p, 4, n - 4);
    scsi_reply(r, p, n);
}
