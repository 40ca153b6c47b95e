/* SPDX-License-Identifier: MIT */
/*
 * What a SCSI disk says of itself: INQUIRY with its pages, mode pages, supported commands (SPC-4 6.4, 7.5, 7.8; SBC-3
 * 6.4, 6.5).
 */
#include "hw/scsi/scsi-disk.h"

/* --- INQUIRY: the pages of block devices --- */

static size_t page_limits(const void *unit, uint8_t *p)
{
    const ScsiDisk *d = unit;
    uint32_t block = disk_block(d);
    p[4] = 1; /* WSNZ */
    p[5] = CAW_BLOCKS_MAX;
    store_be(p + 6, 2, MIN(d->scsi.drive.min_io_size / block, UINT16_MAX));
    store_be(p + 8, 4, MIN(d->max_io_size / block, UINT32_MAX));
    store_be(p + 12, 4, MIN(d->scsi.drive.opt_io_size / block, UINT32_MAX));
    if (disk_unmaps(d)) {
        store_be(p + 20, 4, MIN(d->max_unmap_size / block, UINT32_MAX));
        store_be(p + 24, 4, UNMAP_RANGES_MAX);
    }
    store_be(p + 28, 4,
             MAX(d->scsi.drive.discard_granularity == DRIVE_DISCARD_AUTO ? 4096 : d->scsi.drive.discard_granularity,
                 block) /
                 block);
    store_be(p + 36, 8, SAME_BYTES_MAX / block);
    return 64;
}

static size_t page_characteristics(const void *unit, uint8_t *p)
{
    store_be(p + 4, 2, ((const ScsiDisk *)unit)->rotation_rate);
    return 64;
}

static size_t page_provisioning(const void *unit, uint8_t *p)
{
    bool unmaps = disk_unmaps(unit);
    p[5] = unmaps ? 0xe0 : 0; /* UNMAP, WRITE SAME (16), WRITE SAME (10) unmap; what is unmapped reads as anything */
    p[6] = unmaps ? 2 : 0;    /* thin */
    return 8;
}

static const SpcVpd pages[] = {
    { 0xb0, page_limits }, { 0xb1, page_characteristics }, { 0xb2, page_provisioning }, { 0 }
};

/* --- mode pages --- */

static void mode_error_recovery(const void *unit, unsigned control, uint8_t *p)
{
    p[0] = control == SPC_CHANGEABLE ? 0 : 0x80; /* AWRE */
}

static void mode_geometry(const void *unit, unsigned control, uint8_t *p)
{
    const ScsiDisk *d = unit;
    if (control == SPC_CHANGEABLE)
        return;
    DriveGeometry g = drive_geometry(d->geometry, d->scsi.blk);
    store_be(p, 3, g.cyls);
    p[3] = (uint8_t)g.heads;
    store_be(p + 4, 3, g.cyls);
    store_be(p + 7, 3, g.cyls);
    store_be(p + 18, 2, d->rotation_rate > 1 ? d->rotation_rate : 5400);
}

static void mode_caching(const void *unit, unsigned control, uint8_t *p)
{
    const ScsiDisk *d = unit;
    bool wce = control == SPC_CURRENT ? d->wce : control == SPC_CHANGEABLE ? !d->scsi.bus->durable : disk_caches(d);
    p[0] = wce ? 4 : 0;
}

static void mode_control(const void *unit, unsigned control, uint8_t *p)
{
    if (control != SPC_CHANGEABLE)
        p[1] = 0x10; /* commands may be reordered */
}

static void mode_exceptions(const void *unit, unsigned control, uint8_t *p) {}

static const SpcMode modes[] = { { 0x01, 10, false, mode_error_recovery }, { 0x04, 22, false, mode_geometry },
                                 { 0x08, 18, false, mode_caching },        { 0x0a, 10, false, mode_control },
                                 { 0x1c, 10, false, mode_exceptions },     { 0 } };

/* --- the commands --- */

static SpcUnit identity(const ScsiDisk *d)
{
    const ScsiNames *n = &d->names;
    return (SpcUnit){ .unit = d,
                      .type = SPC_DISK,
                      .removable = d->removable,
                      .version = (uint8_t)d->scsi_version,
                      .format = 0x12 /* HiSup */,
                      .queueing = 2,
                      .vendor = n->vendor,
                      .product = n->product,
                      .revision = n->ver,
                      .serial = scsi_serial(&d->scsi),
                      .name = scsi_unit_name(&d->scsi, n),
                      .wwn = n->wwn,
                      .port_wwn = n->port_wwn,
                      .port_index = n->port_index,
                      .standards = { 0x00a0, 0x0460, 0x04c0 } /* SAM-5, SPC-4, SBC-3 */,
                      .pages = pages,
                      .modes = modes };
}

static void reply_or_fail(ScsiRequest *r, const uint8_t *p, size_t n, uint32_t sense)
{
    if (sense)
        scsi_fail(r, sense);
    else
        scsi_reply(r, p, n);
}

void disk_inquiry(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[SPC_REPLY_MAX] = { 0 };
    SpcUnit u = identity(d);
    uint32_t sense;
    size_t n = spc_inquiry(&u, r->cdb, p, &sense);
    reply_or_fail(r, p, n, sense);
}

void disk_mode_sense(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[SPC_REPLY_MAX] = { 0 };
    SpcUnit u = identity(d);
    SpcMedium m = { .specific = (uint8_t)((blk_writable(d->scsi.blk) ? 0 : 0x80) | (d->dpofua ? 0x10 : 0)),
                    .blocks = disk_blocks(d),
                    .block = disk_block(d) };
    uint32_t sense;
    size_t n = spc_mode_sense(&u, &m, r->cdb, p, &sense);
    reply_or_fail(r, p, n, sense);
}

static void apply_page(void *opaque, const uint8_t *page)
{
    if ((page[0] & 0x3f) == 0x08)
        ((ScsiDisk *)opaque)->wce = page[2] & 4 && !((ScsiDisk *)opaque)->scsi.bus->durable;
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
    if (!(r->cdb[1] & 0x10) || r->cdb[1] & 1 || r->xfer > sizeof p) { /* PF, and nothing is saved */
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (!r->xfer) {
        scsi_done(r, SCSI_GOOD);
        return;
    }
    SpcUnit u = identity(d);
    bool cached = d->wce || r->stage;
    uint32_t sense = spc_mode_select(&u, disk_block(d), r->cdb, p, scsi_take(r, 0, p, r->xfer), apply_page, d);
    r->stage = cached && !d->wce;
    if (sense)
        scsi_fail(r, sense);
    else if (r->stage) /* what is in the cache goes to the medium */
        scsi_submit(r, BLK_FLUSH, 0, 0, 0, 0, selected);
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
