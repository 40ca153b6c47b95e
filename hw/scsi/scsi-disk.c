/* SPDX-License-Identifier: MIT */
/* scsi-hd: a SCSI disk (SBC-3, SPC-4): its commands as a table, and its life. */
#include "hw/scsi/scsi-disk.h"
#include <stdio.h>

/* --- small commands --- */

static void good(ScsiRequest *r, ScsiDisk *d) { scsi_done(r, SCSI_GOOD); }

static void test_ready(ScsiRequest *r, ScsiDisk *d) { scsi_done(r, SCSI_GOOD); }

static void read_capacity_10(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[8];
    if (!(r->cdb[8] & 1) && disk_lba(r->cdb)) {
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    store_be(p, 4, MIN(disk_blocks(d) - 1, UINT32_MAX));
    store_be(p + 4, 4, disk_block(d));
    r->xfer = sizeof p;
    scsi_reply(r, p, sizeof p);
}

static void read_capacity_16(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[32] = { 0 };
    store_be(p, 8, disk_blocks(d) - 1);
    store_be(p + 8, 4, disk_block(d));
    p[13] = (uint8_t)__builtin_ctz(d->drive.physical_block_size / disk_block(d));
    p[14] = blk_writable(d->blk) ? 0x80 : 0; /* thin provisioning; what is unmapped reads as anything */
    scsi_reply(r, p, sizeof p);
}

/* All of it is "mapped or unknown": what is allocated is the image's secret. */
static void lba_status(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[24] = { 0 };
    uint64_t lba = disk_lba(r->cdb), blocks = disk_blocks(d);
    if (lba >= blocks) {
        scsi_fail_info(r, SENSE_LBA_RANGE, lba);
        return;
    }
    store_be(p, 4, sizeof p - 4);
    store_be(p + 8, 8, lba);
    store_be(p + 16, 4, MIN(blocks - lba, UINT32_MAX));
    scsi_reply(r, p, sizeof p);
}

static void start_stop(ScsiRequest *r, ScsiDisk *d)
{
    bool start = r->cdb[4] & 1, load = r->cdb[4] & 2;
    if (r->cdb[4] >> 4) { /* a power condition */
        scsi_done(r, SCSI_GOOD);
        return;
    }
    if (load && !d->removable) {
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (load && !start && d->locked) {
        scsi_fail(r, SENSE_REMOVAL_PREVENTED);
        return;
    }
    d->stopped = !start;
    if (start)
        scsi_done(r, SCSI_GOOD);
    else
        disk_flush(r, d);
}

static void prevent_removal(ScsiRequest *r, ScsiDisk *d)
{
    d->locked = r->cdb[4] & 1;
    scsi_done(r, SCSI_GOOD);
}

static void send_diagnostic(ScsiRequest *r, ScsiDisk *d)
{
    if (r->xfer || r->cdb[1] >> 5) /* no self-test but the default one */
        scsi_fail(r, SENSE_INVALID_FIELD);
    else
        scsi_done(r, SCSI_GOOD);
}

/* The medium has its format; with a list of parameters as without. */
static void format_unit(ScsiRequest *r, ScsiDisk *d)
{
    if (r->cdb[1] & 0xc0)
        scsi_fail(r, SENSE_INVALID_FIELD);
    else
        disk_flush(r, d);
}

/* --- the table, by operation code --- */

#define M CMD_MEDIUM
#define W CMD_MEDIUM | CMD_WRITES
const ScsiDiskCommand disk_commands[] = {
    { 0x00, -1, 6, LEN_NONE, M, test_ready }, { 0x01, -1, 6, LEN_NONE, M, good }, { 0x03, -1, 6, LEN_IN4, 0, good },
    { 0x04, -1, 6, LEN_NONE, W, format_unit }, { 0x08, -1, 6, LEN_READ, M, disk_read }, { 0x0a, -1, 6, LEN_WRITE, W, disk_write },
    { 0x12, -1, 6, LEN_IN4, 0, disk_inquiry }, { 0x15, -1, 6, LEN_OUT4, 0, disk_mode_select }, { 0x16, -1, 6, LEN_NONE, 0, good },
    { 0x17, -1, 6, LEN_NONE, 0, good }, { 0x1a, -1, 6, LEN_IN4, 0, disk_mode_sense }, { 0x1b, -1, 6, LEN_NONE, 0, start_stop },
    { 0x1d, -1, 6, LEN_OUT4 /* bytes 3 and 4 */, 0, send_diagnostic }, { 0x1e, -1, 6, LEN_NONE, 0, prevent_removal },
    { 0x25, -1, 10, LEN_IN10, M, read_capacity_10 }, { 0x28, -1, 10, LEN_READ, M, disk_read }, { 0x2a, -1, 10, LEN_WRITE, W, disk_write },
    { 0x2b, -1, 10, LEN_NONE, M, disk_in_range }, { 0x2e, -1, 10, LEN_WRITE, W, disk_write_verify }, { 0x2f, -1, 10, LEN_VERIFY, M, disk_verify },
    { 0x34, -1, 10, LEN_NONE, M, disk_in_range }, { 0x35, -1, 10, LEN_NONE, M, disk_flush }, { 0x41, -1, 10, LEN_SAME10, W, disk_write_same },
    { 0x42, -1, 10, LEN_OUT7, W, disk_unmap }, { 0x55, -1, 10, LEN_OUT7, 0, disk_mode_select }, { 0x56, -1, 10, LEN_NONE, 0, good },
    { 0x57, -1, 10, LEN_NONE, 0, good }, { 0x5a, -1, 10, LEN_IN7, 0, disk_mode_sense },
    { 0x5e, 0, 10, LEN_IN7, 0, disk_reserve_in }, { 0x5e, 1, 10, LEN_IN7, 0, disk_reserve_in }, { 0x5e, 2, 10, LEN_IN7, 0, disk_reserve_in },
    { 0x5e, 3, 10, LEN_IN7, 0, disk_reserve_in }, { 0x5f, 0, 10, LEN_OUT5, 0, disk_reserve_out }, { 0x5f, 1, 10, LEN_OUT5, 0, disk_reserve_out },
    { 0x5f, 2, 10, LEN_OUT5, 0, disk_reserve_out }, { 0x5f, 3, 10, LEN_OUT5, 0, disk_reserve_out }, { 0x5f, 4, 10, LEN_OUT5, 0, disk_reserve_out },
    { 0x5f, 5, 10, LEN_OUT5, 0, disk_reserve_out }, { 0x5f, 6, 10, LEN_OUT5, 0, disk_reserve_out },
    { 0x88, -1, 16, LEN_READ, M, disk_read }, { 0x89, -1, 16, LEN_CAW, W, disk_compare_and_write }, { 0x8a, -1, 16, LEN_WRITE, W, disk_write },
    { 0x8e, -1, 16, LEN_WRITE, W, disk_write_verify }, { 0x8f, -1, 16, LEN_VERIFY, M, disk_verify }, { 0x90, -1, 16, LEN_NONE, M, disk_in_range },
    { 0x91, -1, 16, LEN_NONE, M, disk_flush }, { 0x93, -1, 16, LEN_SAME16, W, disk_write_same }, { 0x9e, 0x10, 16, LEN_IN10, M, read_capacity_16 },
    { 0x9e, 0x12, 16, LEN_IN10, M, lba_status }, { 0xa0, -1, 12, LEN_IN6, 0, good }, { 0xa3, 0x0c, 12, LEN_IN6, 0, disk_report_opcodes },
    { 0xa8, -1, 12, LEN_READ, M, disk_read }, { 0xaa, -1, 12, LEN_WRITE, W, disk_write }, { 0xae, -1, 12, LEN_WRITE, W, disk_write_verify },
    { 0xaf, -1, 12, LEN_VERIFY, M, disk_verify }, { 0 },
};
#undef M
#undef W

static void set_length(ScsiRequest *r, const ScsiDisk *d, unsigned how)
{
    const uint8_t *c = r->cdb;
    uint64_t blocks = (uint64_t)disk_count(c) * disk_block(d);
    r->dir = how >= LEN_OUT4 && how != LEN_READ ? SCSI_TO_DEVICE : SCSI_FROM_DEVICE;
    switch (how) {
    case LEN_IN4: case LEN_OUT4: r->xfer = c[0] == 0x1d ? load_be(c + 3, 2) : c[4]; break;
    case LEN_IN7: case LEN_OUT7: r->xfer = load_be(c + 7, 2); break;
    case LEN_IN10: r->xfer = c[0] == 0x25 ? 8 : load_be(c + 10, 4); break;
    case LEN_IN6: r->xfer = load_be(c + 6, 4); break;
    case LEN_OUT5: r->xfer = load_be(c + 5, 4); break;
    case LEN_READ: case LEN_WRITE: r->xfer = blocks; break;
    case LEN_VERIFY: r->xfer = (c[1] >> 1 & 3) == 1 ? blocks : (c[1] >> 1 & 3) == 3 ? disk_block(d) : 0; break;
    case LEN_SAME10: r->xfer = disk_block(d); break;
    case LEN_SAME16: r->xfer = c[1] & 1 ? 0 : disk_block(d); break;
    case LEN_CAW: r->xfer = 2ull * c[13] * disk_block(d); break;
    default: r->xfer = 0; break;
    }
}

static void parse(ScsiRequest *r)
{
    const ScsiDiskCommand *c = disk_commands;
    while (c->run && (c->op != r->cdb[0] || (c->action >= 0 && c->action != (r->cdb[1] & 31))))
        c++;
    if (c->run) {
        r->command = c;
        set_length(r, disk_of(r), c->length);
    }
}

static bool known_opcode(uint8_t op)
{
    const ScsiDiskCommand *c = disk_commands;
    while (c->run && c->op != op)
        c++;
    return c->run;
}

static void run(ScsiRequest *r)
{
    ScsiDisk *d = disk_of(r);
    const ScsiDiskCommand *c = r->command;
    if (r->cdb[0] == 0x12)
        disk_inquiry(r, d);
    else if (!c)
        scsi_fail(r, known_opcode(r->cdb[0]) ? SENSE_INVALID_FIELD : SENSE_INVALID_OPCODE);
    else if (c->flags & CMD_MEDIUM && !blk_inserted(d->blk))
        scsi_fail(r, SENSE_NO_MEDIUM);
    else if (c->flags & CMD_MEDIUM && d->stopped)
        scsi_fail(r, SENSE_LUN_NOT_READY);
    else if (c->flags & CMD_WRITES && !blk_writable(d->blk))
        scsi_fail(r, SENSE_WRITE_PROTECTED);
    else
        c->run(r, d);
}

/* A LUN reset ends neither persistent reservations nor what the medium is (SPC-4, 5.12.5). */
static void unit_reset(ScsiDevice *s)
{
    ScsiDisk *d = (ScsiDisk *)s;
    d->wce = d->drive.write_cache;
    d->stopped = d->locked = false;
}

static BlockBackend *backend(ScsiDevice *s) { return ((ScsiDisk *)s)->blk; }
static const ScsiDeviceInfo disk_info = { .parse = parse, .run = run, .reset = unit_reset, .backend = backend };

/* --- life --- */

const char *disk_serial(const ScsiDisk *d) { return d->drive.serial ? d->drive.serial : blk_serial(d->blk); }

static void medium_changed(void *opaque, bool present)
{
    ScsiDisk *d = opaque;
    lock_domain_lock(d->scsi.dev.domain);
    scsi_attention(&d->scsi, SENSE_MEDIUM_CHANGED);
    lock_domain_unlock(d->scsi.dev.domain);
}

static void resized(void *opaque)
{
    ScsiDisk *d = opaque;
    lock_domain_lock(d->scsi.dev.domain);
    scsi_attention(&d->scsi, SENSE_CAPACITY_CHANGED);
    lock_domain_unlock(d->scsi.dev.domain);
}

static bool medium_locked(void *opaque) { return ((ScsiDisk *)opaque)->locked; }
static void eject_request(void *opaque, bool force) {}
static const BlkDeviceOps fixed_ops = { .resized = resized };
static const BlkDeviceOps removable_ops = { .resized = resized, .medium_changed = medium_changed, .medium_locked = medium_locked,
                                            .eject_request = eject_request };

static bool start(Device *dev, Error **errp)
{
    ScsiDisk *d = (ScsiDisk *)dev;
    if (!drive_open(dev, &d->drive, false, &d->blk, errp))
        return false;
    if (!d->removable && !blk_inserted(d->blk)) {
        error_setf(errp, "device '%s': drive '%s' has no medium; add file=FILE, or removable=on", dev->id, blk_name(d->blk));
        return false;
    }
    blk_set_device_ops(d->blk, d->removable ? &removable_ops : &fixed_ops, d);
    unit_reset(&d->scsi);
    scsi_announce(&d->scsi);
    return true;
}

static void stop(Device *dev)
{
    ScsiDisk *d = (ScsiDisk *)dev;
    scsi_leave(&d->scsi);
    if (d->blk)
        blk_detach(d->blk);
    d->blk = NULL;
}

static void reset(Device *dev, ResetPhase phase)
{
    ScsiDisk *d = (ScsiDisk *)dev;
    if (phase == RESET_ENTER) { /* power on: reservations are not kept over it */
        d->registered = false;
        d->key = d->pr_generation = d->reservation = 0;
    }
}

static bool loaded(Device *dev, Error **errp)
{
    ScsiDisk *d = (ScsiDisk *)dev;
    if (d->reservation > 8 || (d->reservation && !d->registered)) {
        error_setf(errp, "device '%s': a saved reservation that can't be", dev->id);
        return false;
    }
    return true;
}

#define TEXT(n, f, d, h) DEFINE_PROP_STRING(n, ScsiDisk, f, d, h)
static const Property props[] = {
    DRIVE_PROPS(ScsiDisk, drive),
    /* QEMU's words: guests name disks by them (/dev/disk/by-id) */
    TEXT("vendor", vendor, "QEMU", "vendor of INQUIRY, 8 characters"), TEXT("product", product, "QEMU HARDDISK", "product of INQUIRY, 16 characters"),
    TEXT("ver", ver, "2.5+", "revision of INQUIRY, 4 characters"), TEXT("device_id", device_id, NULL, "name in page 83h; none: the serial number"),
    DEFINE_PROP_U64("wwn", ScsiDisk, wwn, 0, "world-wide name of the unit"), DEFINE_PROP_U64("port_wwn", ScsiDisk, port_wwn, 0, "world-wide name of the port"),
    DEFINE_PROP_U16("port_index", ScsiDisk, port_index, 0, "relative number of the port"),
    DEFINE_PROP_U16("rotation_rate", ScsiDisk, rotation_rate, 0, "rotations a minute; 1: none (SSD), 0: not said"),
    DEFINE_PROP_BOOL("removable", ScsiDisk, removable, false, "the medium can be taken out"),
    DEFINE_PROP_BOOL("dpofua", ScsiDisk, dpofua, false, "say that DPO and FUA are known"),
    { .name = "scsi_version", .kind = PROP_I32, .offset = offsetof(ScsiDisk, scsi_version), .dflt = 5, .help = "version of INQUIRY" },
    DEFINE_PROP_SIZE("max_unmap_size", ScsiDisk, max_unmap_size, 1 << 30, "bytes of one UNMAP range"),
    DEFINE_PROP_SIZE("max_io_size", ScsiDisk, max_io_size, INT32_MAX, "bytes of one transfer"),
    DEFINE_PROP_SIZE("min_io_size", ScsiDisk, min_io_size, 0, "granularity of transfers"),
    DEFINE_PROP_SIZE("opt_io_size", ScsiDisk, opt_io_size, 0, "best size of transfers"),
    DEFINE_PROP_SIZE("discard_granularity", ScsiDisk, discard_granularity, UINT32_MAX, "bytes that UNMAP frees at least"),
    DEFINE_PROP_END,
};
static const StateField state[] = {
    STATE_BOOL(ScsiDisk, wce), STATE_BOOL(ScsiDisk, stopped), STATE_BOOL(ScsiDisk, locked), STATE_BOOL(ScsiDisk, registered), STATE_U64(ScsiDisk, key),
    STATE_U32(ScsiDisk, pr_generation), STATE_U8(ScsiDisk, reservation), STATE_END_OF_TABLE
};
static const DeviceType scsi_hd_type = {
    .name = "scsi-hd", .desc = "SCSI disk", .category = "Storage", .size = sizeof(ScsiDisk), .bus = "scsi", .base = &scsi_device_type,
    .user_creatable = true, .props = props, .state = state, .start = start, .stop = stop, .reset = reset, .loaded = loaded, .class_data = &disk_info,
};
DEVICE_REGISTER(scsi_hd_type)
