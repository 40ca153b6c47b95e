/* SPDX-License-Identifier: MIT */
/* scsi-cd: a CD/DVD-ROM drive on SCSI; commands, medium and tray are those of hw/storage/mmc.h. */
#include "hw/scsi/scsi.h"
#include "hw/storage/mmc.h"

enum { FORM_CHUNK = 16 };

typedef struct ScsiCd {
    ScsiDevice scsi;
    ScsiNames names;
    MmcDrive mmc;
} ScsiCd;

static ScsiCd *cd_of(const ScsiRequest *r) { return (ScsiCd *)r->dev; }

static void parse(ScsiRequest *r)
{
    bool out;
    r->xfer = spc_transfer(r->cdb, SPC_CD, MMC_SECTOR, &out);
    r->dir = out ? SCSI_TO_DEVICE : SCSI_FROM_DEVICE;
}

/* --- carrying out --- */

static void failed(ScsiRequest *r) { scsi_fail(r, mmc_take_sense(&cd_of(r)->mmc)); }

static void read_failed(ScsiRequest *r, int error)
{
    MmcResult m;
    mmc_read_failed(&cd_of(r)->mmc, &m, error);
    failed(r);
}

static void plain_read(ScsiRequest *r, int error)
{
    if (error) {
        read_failed(r, error);
        return;
    }
    r->done_bytes = r->left;
    scsi_done(r, SCSI_GOOD);
}

/*
 * Sectors with headers and the like, a few at a time. r->at: sectors done, r->left: sectors to do, r->blk.offset: where
 * the last read began.
 */
static void formed_read(ScsiRequest *r, int error);

static void formed_next(ScsiRequest *r)
{
    if (!r->left || r->cancelled) {
        scsi_done(r, SCSI_GOOD);
        return;
    }
    r->buf_len = MIN(r->left, (uint64_t)FORM_CHUNK) * MMC_SECTOR;
    scsi_submit_buf(r, BLK_READ, r->at * MMC_SECTOR, r->buf, r->buf_len, 0, formed_read);
}

static void formed_read(ScsiRequest *r, int error)
{
    uint8_t sector[MMC_RAW_SECTOR];
    if (error) {
        read_failed(r, error);
        return;
    }
    for (uint64_t i = 0; i < r->buf_len; i += MMC_SECTOR, r->at++, r->left--) {
        unsigned n = mmc_form_sector((uint32_t)r->at, r->cdb[9], r->buf + i, sector);
        r->done_bytes += scsi_give(r, r->done_bytes, sector, n);
    }
    formed_next(r);
}

static void start_read(ScsiRequest *r, const MmcResult *m)
{
    if (!m->blocks) {
        scsi_done(r, SCSI_GOOD);
    } else if (m->plain) {
        r->left = MIN((uint64_t)m->blocks * MMC_SECTOR, r->room);
        scsi_submit(r, BLK_READ, (uint64_t)m->lba * MMC_SECTOR, r->left, 0, 0, plain_read);
    } else {
        r->at = m->lba;
        r->left = m->blocks;
        r->buf = g_malloc(FORM_CHUNK * MMC_SECTOR);
        formed_next(r);
    }
}

static void run(ScsiRequest *r)
{
    ScsiCd *d = cd_of(r);
    g_autofree uint8_t *data = g_malloc(MMC_DATA_MAX);
    uint8_t cdb[16];
    MmcResult m = { 0 };
    memcpy(cdb, r->cdb, sizeof cdb);
    mmc_execute(&d->mmc, cdb, data, &m);
    if (m.phase == MMC_DATA_OUT) {
        size_t n = scsi_take(r, 0, data, MIN(m.length, (uint32_t)MMC_DATA_MAX));
        mmc_data_out(&d->mmc, cdb, data, (uint32_t)n, &m);
        r->done_bytes = n;
    }
    if (m.phase == MMC_READ)
        start_read(r, &m);
    else if (m.phase == MMC_DATA_IN)
        scsi_reply(r, data, m.length);
    else if (m.status == MMC_GOOD)
        scsi_done(r, SCSI_GOOD);
    else
        failed(r);
}

/* Unit attentions are the drive's own. */
static void unit_reset(ScsiDevice *s)
{
    memset(s->attention, 0, sizeof s->attention);
    mmc_reset(&((ScsiCd *)s)->mmc);
}

static bool may_be_empty(const ScsiDevice *s) { return true; }
static const ScsiDeviceInfo cd_info = { parse, run, unit_reset, may_be_empty };

/* --- life --- */

static bool start(Device *dev, Error **errp)
{
    ScsiCd *d = (ScsiCd *)dev;
    const ScsiNames *n = &d->names;
    d->mmc = (MmcDrive){ .dev = dev,
                         .blk = d->scsi.blk,
                         .vendor = n->vendor,
                         .product = n->product,
                         .revision = n->ver,
                         .serial = scsi_serial(&d->scsi),
                         .name = scsi_unit_name(&d->scsi, n),
                         .wwn = n->wwn,
                         .port_wwn = n->port_wwn,
                         .port_index = n->port_index };
    mmc_start(&d->mmc);
    unit_reset(&d->scsi);
    scsi_announce(&d->scsi);
    return true;
}

static bool loaded(Device *dev, Error **errp)
{
    if (mmc_loaded(&((ScsiCd *)dev)->mmc))
        return true;
    error_setf(errp, "device '%s': the saved state is not one that a drive can be in", dev->id);
    return false;
}

static const Property props[] = { SCSI_NAME_PROPS(ScsiCd, names, "QEMU CD-ROM"), DEFINE_PROP_END };
static const StateField state[] = { STATE_STRUCT(ScsiCd, mmc, mmc_state), STATE_END_OF_TABLE };
static const DeviceType scsi_cd_type = {
    .name = "scsi-cd",
    .desc = "SCSI CD-ROM",
    .category = "Storage",
    .size = sizeof(ScsiCd),
    .bus = "scsi",
    .base = &scsi_device_type,
    .user_creatable = true,
    .props = props,
    .state = state,
    .start = start,
    .loaded = loaded,
    .class_data = &cd_info,
};
DEVICE_REGISTER(scsi_cd_type)
