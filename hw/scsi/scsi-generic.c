/* SPDX-License-Identifier: MIT */
/*
 * Units of the host for the guest: "scsi-generic" (of any type) hands every command on, "scsi-block" (disks and CD
 * drives) has reads, writes and flushes done by the drive, with its error policy and its limits. By SG_IO, or on an
 * iSCSI target.
 */
#include <errno.h>
#include "base/bits.h"
#include "base/iov.h"
#include "hw/scsi/scsi.h"

enum {
    INQUIRY = 0x12,
    READ_CAPACITY_10 = 0x25,
    SERVICE_ACTION_IN = 0x9e,
    READ_CAPACITY_16 = 0x10,
    VPD_LIMITS = 0xb0,
    FUA = 8,
    PROTECT = 0xe0
};
enum { PROBE_TIMEOUT_MS = 6000, PIECE_BYTES = 1 << 20 };

typedef struct ScsiGeneric {
    ScsiDevice scsi;
    uint32_t io_timeout;
    bool by_drive;     /* scsi-block */
    uint8_t type;      /* of the unit: SPC_DISK ... */
    uint32_t block;    /* state: bytes of a sector, as the unit said last */
} ScsiGeneric;

static ScsiGeneric *unit_of(const ScsiRequest *r) { return (ScsiGeneric *)r->dev; }

/* --- how much data --- */

static void parse(ScsiRequest *r)
{
    const ScsiGeneric *d = unit_of(r);
    bool out;
    r->xfer = spc_transfer(r->cdb, d->type, d->block, &out);
    r->dir = out ? SCSI_TO_DEVICE : SCSI_FROM_DEVICE;
}

/* --- commands that the unit carries out --- */

static void learn(ScsiGeneric *d, const ScsiRequest *r, const BlockScsi *s)
{
    uint8_t p[12] = { 0 };
    bool ten = r->cdb[0] == READ_CAPACITY_10,
         sixteen = r->cdb[0] == SERVICE_ACTION_IN && (r->cdb[1] & 31) == READ_CAPACITY_16;
    if ((!ten && !sixteen) || s->done < (ten ? 8 : 12))
        return;
    iov_to_buf(r->iov, r->iovcnt, 0, p, ten ? 8 : 12);
    uint32_t block = (uint32_t)load_be(p + (ten ? 4 : 8), 4);
    if (block >= 256 && block <= 65536)
        d->block = block;
}

/* What the host can't move in one piece must not be asked for. */
static void limit(const ScsiGeneric *d, const ScsiRequest *r, const BlockScsi *s)
{
    uint8_t p[16];
    if (r->cdb[0] != INQUIRY || !(r->cdb[1] & 1) || r->cdb[2] != VPD_LIMITS || s->done < sizeof p)
        return;
    iov_to_buf(r->iov, r->iovcnt, 0, p, sizeof p);
    uint32_t most = MAX(PIECE_BYTES / d->block, 1u);
    for (unsigned at = 8; at <= 12; at += 4) { /* most, and best */
        uint32_t said = (uint32_t)load_be(p + at, 4);
        store_be(p + at, 4, said > most || (at == 8 && !said) ? most : said);
    }
    iov_from_buf(r->iov, r->iovcnt, 0, p, sizeof p);
}

static void handed_on(ScsiRequest *r, int error)
{
    ScsiGeneric *d = unit_of(r);
    const BlockScsi *s = (const BlockScsi *)r->buf;
    if (error) {
        scsi_fail(r, error == -ENOMEDIUM ? SENSE_NO_MEDIUM
                     : error == -ENOTSUP ? SENSE_INVALID_OPCODE
                     : error == -ENOMEM  ? SENSE_TARGET_FAILURE
                                         : SENSE_ABORTED);
        return;
    }
    if (s->status == SCSI_CHECK_CONDITION) {
        scsi_fail_sense(r, s->sense, s->sense_len);
        return;
    }
    if (!s->status && r->dir == SCSI_FROM_DEVICE) {
        learn(d, r, s);
        limit(d, r, s);
    }
    r->done_bytes = MIN(s->done, r->xfer);
    scsi_done(r, s->status);
}

static void hand_on(ScsiRequest *r)
{
    ScsiGeneric *d = unit_of(r);
    BlockScsi *s = g_new0(BlockScsi, 1);
    r->buf = (uint8_t *)s;
    s->cdb_len = (uint8_t)spc_cdb_length(r->cdb[0]);
    s->out = r->dir == SCSI_TO_DEVICE;
    s->timeout_ms = d->io_timeout * 1000;
    memcpy(s->cdb, r->cdb, s->cdb_len);
    scsi_submit_scsi(r, s, handed_on);
}

static void run_generic(ScsiRequest *r)
{
    if (r->cdb[0] == 0x7f || r->cdb[0] >> 5 == 3) /* CDBs of variable length */
        scsi_fail(r, SENSE_INVALID_OPCODE);
    else
        hand_on(r);
}

/* --- scsi-block: what the drive carries out --- */

static void moved(ScsiRequest *r, int error)
{
    if (error) {
        scsi_fail_io(r, error, unit_of(r)->block);
        return;
    }
    r->done_bytes = r->xfer;
    scsi_done(r, SCSI_GOOD);
}

static void transfer(ScsiRequest *r, BlkOp op)
{
    ScsiGeneric *d = unit_of(r);
    uint64_t lba = spc_lba(r->cdb), count = spc_count(r->cdb), blocks = blk_size(d->scsi.blk) / d->block;
    bool through = r->bus->durable || (r->cdb[0] >> 5 && r->cdb[1] & FUA);
    if (r->cdb[0] >> 5 && r->cdb[1] & PROTECT)
        scsi_fail(r, SENSE_INVALID_FIELD);
    else if (lba > blocks || count > blocks - lba)
        scsi_fail_info(r, SENSE_LBA_RANGE, lba);
    else if (op == BLK_WRITE && !blk_writable(d->scsi.blk))
        scsi_fail(r, SENSE_WRITE_PROTECTED);
    else if (!r->xfer)
        scsi_done(r, SCSI_GOOD);
    else
        scsi_submit(r, op, lba * d->block, r->xfer, 0, op == BLK_WRITE && through ? BLOCK_REQ_FUA : 0, moved);
}

static void flushed(ScsiRequest *r, int error)
{
    if (error)
        scsi_fail_io(r, error, unit_of(r)->block);
    else
        hand_on(r); /* and what is in the unit's own cache */
}

static void run_block(ScsiRequest *r)
{
    switch (r->cdb[0]) {
    case 0x08: case 0x28: case 0x88: case 0xa8: transfer(r, BLK_READ); break;
    case 0x0a: case 0x2a: case 0x8a: case 0xaa: transfer(r, BLK_WRITE); break;
    case 0x35: case 0x91: scsi_submit(r, BLK_FLUSH, 0, 0, 0, 0, flushed); break;
    default: run_generic(r);
    }
}

/* --- life --- */

static void unit_reset(ScsiDevice *d) {}
static const ScsiDeviceInfo generic_info = { parse, run_generic, unit_reset, NULL },
                            scsi_block_info = { parse, run_block, unit_reset, NULL };

/* INQUIRY says the type, READ CAPACITY the size of a sector, if there is a medium. */
static bool ask(ScsiGeneric *d, Error **errp)
{
    uint8_t p[36] = { 0 };
    const char *name = blk_name(d->scsi.blk);
    BlockScsi inquiry = { .cdb = { INQUIRY, 0, 0, 0, sizeof p }, .cdb_len = 6, .timeout_ms = PROBE_TIMEOUT_MS };
    BlockScsi capacity = { .cdb = { READ_CAPACITY_10 }, .cdb_len = 10, .timeout_ms = PROBE_TIMEOUT_MS };
    int error = blk_scsi(d->scsi.blk, &inquiry, p, sizeof p);
    if (error || inquiry.status) {
        error_setf(errp,
                   "device '%s': drive '%s' takes no SCSI commands%s%s; give a SCSI device of the host or an iSCSI "
                   "unit, with format=raw",
                   d->scsi.dev.id, name, error && error != -ENOTSUP ? ": " : "",
                   error && error != -ENOTSUP ? g_strerror(-error) : "");
        return false;
    }
    d->type = p[0] & 31;
    d->block = d->type == SPC_CD ? 2048 : 512;
    if (d->by_drive && d->type != SPC_DISK && d->type != SPC_CD) {
        error_setf(errp, "device '%s': drive '%s' is neither a disk nor a CD drive; use scsi-generic", d->scsi.dev.id,
                   name);
        return false;
    }
    if ((d->type == SPC_DISK || d->type == SPC_CD) && !blk_scsi(d->scsi.blk, &capacity, p, 8) && !capacity.status &&
        load_be(p + 4, 4))
        d->block = CLAMP((uint32_t)load_be(p + 4, 4), 256u, 65536u);
    return true;
}

static bool start(Device *dev, Error **errp)
{
    ScsiGeneric *d = (ScsiGeneric *)dev;
    static const BlkDeviceOps ops = { .resized = scsi_resized };
    if (!ask(d, errp))
        return false;
    if (!blk_writable(d->scsi.blk) && d->type != SPC_CD) {
        error_setf(errp,
                   "device '%s': drive '%s' is read-only, but commands that write can't be told from others; remove "
                   "read-only=on",
                   dev->id, blk_name(d->scsi.blk));
        return false;
    }
    blk_set_device_ops(d->scsi.blk, &ops, d);
    scsi_announce(&d->scsi);
    return true;
}

static void init_block(Device *dev) { ((ScsiGeneric *)dev)->by_drive = true; }

static bool loaded(Device *dev, Error **errp)
{
    ScsiGeneric *d = (ScsiGeneric *)dev;
    if (d->block >= 256 && d->block <= 65536)
        return true;
    error_setf(errp, "device '%s': saved sectors of %u bytes", dev->id, d->block);
    return false;
}

static const Property props[] = { PROP_(PROP_U32, "io_timeout", ScsiGeneric, io_timeout, 30,
                                        "seconds until a command of the host has failed", .min = 1, .max = 3600),
                                  DEFINE_PROP_END };
static const StateField state[] = { STATE_U32(ScsiGeneric, block), STATE_END_OF_TABLE };
static const DeviceType generic_type = {
    .name = "scsi-generic",
    .desc = "a SCSI unit of the host",
    .category = "Storage",
    .size = sizeof(ScsiGeneric),
    .bus = "scsi",
    .base = &scsi_device_type,
    .user_creatable = true,
    .props = props,
    .state = state,
    .start = start,
    .loaded = loaded,
    .class_data = &generic_info,
};
DEVICE_REGISTER(generic_type)
static const DeviceType block_type = {
    .name = "scsi-block",
    .desc = "a SCSI disk or CD drive of the host",
    .category = "Storage",
    .size = sizeof(ScsiGeneric),
    .bus = "scsi",
    .base = &scsi_device_type,
    .user_creatable = true,
    .props = props,
    .state = state,
    .init = init_block,
    .start = start,
    .loaded = loaded,
    .class_data = &scsi_block_info,
};
DEVICE_REGISTER(block_type)
