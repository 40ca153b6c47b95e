/* SPDX-License-Identifier: MIT */
/* scsi-cd: a CD/DVD-ROM drive on SCSI; commands, medium and tray are those of hw/storage/mmc.h. */
#include "base/bits.h"
#include "hw/scsi/scsi.h"
#include "hw/storage/drive.h"
#include "hw/storage/mmc.h"

enum { READ_CD = 0xbe, READ_CD_MSF = 0xb9, FORM_CHUNK = 16 };

typedef struct ScsiCd {
    ScsiDevice scsi;
    DriveProps drive;
    char *vendor, *product, *ver;
    BlockBackend *blk;
    MmcDrive mmc;
} ScsiCd;

static ScsiCd *cd_of(const ScsiRequest *r) { return (ScsiCd *)r->dev; }

/* --- how much data a CDB moves: where its length stands (SPC-4, MMC-6) --- */

enum { AT_4, AT_3_2, AT_6_3, AT_7_2, AT_8_2, FIXED_8, BLOCKS_6, BLOCKS_10, BLOCKS_12, DESCRIPTORS, OUT_4, OUT_7_2, OUT_8_2 };
static const struct { uint8_t op, length; } lengths[] = {
    { 0x08, BLOCKS_6 }, { 0x12, AT_3_2 }, { 0x15, OUT_4 }, { 0x1a, AT_4 }, { 0x23, AT_7_2 }, { 0x25, FIXED_8 }, { 0x28, BLOCKS_10 }, { 0x3c, AT_6_3 },
    { 0x42, AT_7_2 }, { 0x43, AT_7_2 }, { 0x44, AT_7_2 }, { 0x46, AT_7_2 }, { 0x4a, AT_7_2 }, { 0x51, AT_7_2 }, { 0x52, AT_7_2 }, { 0x55, OUT_7_2 },
    { 0x5a, AT_7_2 }, { 0x5c, AT_7_2 }, { 0xa3, OUT_8_2 }, { 0xa4, AT_8_2 }, { 0xa8, BLOCKS_12 }, { 0xac, DESCRIPTORS }, { 0xad, AT_8_2 }, { 0xbd, AT_8_2 },
};

static uint64_t data_length(const uint8_t *c, unsigned how)
{
    switch (how) {
    case AT_4: case OUT_4: return c[4];
    case AT_3_2: return load_be(c + 3, 2);
    case AT_6_3: return load_be(c + 6, 3);
    case AT_7_2: case OUT_7_2: return load_be(c + 7, 2);
    case AT_8_2: case OUT_8_2: return load_be(c + 8, 2);
    case FIXED_8: return 8;
    case BLOCKS_6: return (c[4] ? c[4] : 256) * (uint64_t)MMC_SECTOR;
    case BLOCKS_10: return load_be(c + 7, 2) * MMC_SECTOR;
    case BLOCKS_12: return load_be(c + 6, 4) * MMC_SECTOR;
    default: return 8 + 16 * load_be(c + 8, 2);
    }
}

static void parse_read_cd(ScsiRequest *r)
{
    static const uint8_t nothing[MMC_SECTOR];
    const uint8_t *c = r->cdb;
    uint8_t sector[MMC_RAW_SECTOR];
    uint32_t from = (c[3] * 60u + c[4]) * 75 + c[5], to = (c[6] * 60u + c[7]) * 75 + c[8];
    uint64_t count = c[0] == READ_CD ? load_be(c + 6, 3) : to > from ? to - from : 0;
    r->dir = SCSI_FROM_DEVICE;
    r->xfer = count * mmc_form_sector(0, c[9], nothing, sector);
}

static void parse(ScsiRequest *r)
{
    if (r->cdb[0] == READ_CD || r->cdb[0] == READ_CD_MSF)
        parse_read_cd(r);
    for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
        if (lengths[i].op == r->cdb[0]) {
            r->dir = lengths[i].length >= OUT_4 ? SCSI_TO_DEVICE : SCSI_FROM_DEVICE;
            r->xfer = data_length(r->cdb, lengths[i].length);
        }
    }
}

/* --- carrying out --- */

static void failed(ScsiRequest *r)
{
    uint8_t sense[18];
    mmc_take_sense(&cd_of(r)->mmc, sense, sizeof sense);
    scsi_fail(r, (uint32_t)(sense[2] & 15) << 16 | (uint32_t)sense[12] << 8 | sense[13]);
}

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

/* Sectors with headers and the like, a few at a time. r->at: sectors done, r->left: sectors to do, r->blk.offset: where the last read began. */
static void formed_read(ScsiRequest *r, int error);

static void formed_next(ScsiRequest *r)
{
    ScsiCd *d = cd_of(r);
    if (!r->left || r->cancelled) {
        scsi_done(r, SCSI_GOOD);
        return;
    }
    r->buf_len = MIN(r->left, (uint64_t)FORM_CHUNK) * MMC_SECTOR;
    scsi_submit_buf(r, d->blk, BLK_READ, r->at * MMC_SECTOR, r->buf, r->buf_len, 0, formed_read);
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
    ScsiCd *d = cd_of(r);
    if (!m->blocks) {
        scsi_done(r, SCSI_GOOD);
    } else if (m->plain) {
        r->left = MIN((uint64_t)m->blocks * MMC_SECTOR, r->room);
        scsi_submit(r, d->blk, BLK_READ, (uint64_t)m->lba * MMC_SECTOR, r->left, 0, 0, plain_read);
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

static BlockBackend *backend(ScsiDevice *s) { return ((ScsiCd *)s)->blk; }
static const ScsiDeviceInfo cd_info = { .parse = parse, .run = run, .reset = unit_reset, .backend = backend };

/* --- life --- */

static bool start(Device *dev, Error **errp)
{
    ScsiCd *d = (ScsiCd *)dev;
    if (!drive_open(dev, &d->drive, true, &d->blk, errp))
        return false;
    d->mmc = (MmcDrive){ .dev = dev, .blk = d->blk, .vendor = d->vendor, .product = d->product, .revision = d->ver,
                         .serial = d->drive.serial ? d->drive.serial : d->blk ? blk_serial(d->blk) : NULL };
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

static void stop(Device *dev)
{
    ScsiCd *d = (ScsiCd *)dev;
    scsi_leave(&d->scsi);
    if (d->blk)
        blk_detach(d->blk);
    d->blk = NULL;
}

static const Property props[] = {
    DRIVE_PROPS(ScsiCd, drive),
    DEFINE_PROP_STRING("vendor", ScsiCd, vendor, "QEMU", "vendor of INQUIRY, 8 characters"), /* QEMU's words: guests name drives by them */
    DEFINE_PROP_STRING("product", ScsiCd, product, "QEMU CD-ROM", "product of INQUIRY, 16 characters"),
    DEFINE_PROP_STRING("ver", ScsiCd, ver, "2.5+", "revision of INQUIRY, 4 characters"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(ScsiCd, mmc, mmc_state), STATE_END_OF_TABLE };
static const DeviceType scsi_cd_type = {
    .name = "scsi-cd", .desc = "SCSI CD-ROM", .category = "Storage", .size = sizeof(ScsiCd), .bus = "scsi", .base = &scsi_device_type,
    .user_creatable = true, .props = props, .state = state, .start = start, .stop = stop, .loaded = loaded, .class_data = &cd_info,
};
DEVICE_REGISTER(scsi_cd_type)
