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
    if (!(r->cdb[8] & 1) && spc_lba(r->cdb)) {
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
    p[13] = (uint8_t)__builtin_ctz(d->scsi.drive.physical_block_size / disk_block(d));
    p[14] = disk_unmaps(d) ? 0x80 : 0; /* thin provisioning; what is unmapped reads as anything */
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
    { 0x00, -1, 6, M, test_ready }, { 0x01, -1, 6, M, good }, { 0x03, -1, 6, 0, good },
    { 0x04, -1, 6, W, format_unit }, { 0x08, -1, 6, M, disk_read }, { 0x0a, -1, 6, W, disk_write },
    { 0x12, -1, 6, 0, disk_inquiry }, { 0x15, -1, 6, 0, disk_mode_select }, { 0x16, -1, 6, 0, good },
    { 0x17, -1, 6, 0, good }, { 0x1a, -1, 6, 0, disk_mode_sense }, { 0x1b, -1, 6, 0, start_stop },
    { 0x1d, -1, 6, 0, send_diagnostic }, { 0x1e, -1, 6, 0, prevent_removal },
    { 0x25, -1, 10, M, read_capacity_10 }, { 0x28, -1, 10, M, disk_read }, { 0x2a, -1, 10, W, disk_write },
    { 0x2b, -1, 10, M, disk_in_range }, { 0x2e, -1, 10, W, disk_write_verify }, { 0x2f, -1, 10, M, disk_verify },
    { 0x34, -1, 10, M, disk_in_range }, { 0x35, -1, 10, M, disk_flush }, { 0x41, -1, 10, W, disk_write_same },
    { 0x42, -1, 10, W, disk_unmap }, { 0x55, -1, 10, 0, disk_mode_select }, { 0x56, -1, 10, 0, good },
    { 0x57, -1, 10, 0, good }, { 0x5a, -1, 10, 0, disk_mode_sense },
    { 0x5e, 0, 10, 0, disk_reserve_in }, { 0x5e, 1, 10, 0, disk_reserve_in }, { 0x5e, 2, 10, 0, disk_reserve_in },
    { 0x5e, 3, 10, 0, disk_reserve_in }, { 0x5f, 0, 10, 0, disk_reserve_out }, { 0x5f, 1, 10, 0, disk_reserve_out },
    { 0x5f, 2, 10, 0, disk_reserve_out }, { 0x5f, 3, 10, 0, disk_reserve_out }, { 0x5f, 4, 10, 0, disk_reserve_out },
    { 0x5f, 5, 10, 0, disk_reserve_out }, { 0x5f, 6, 10, 0, disk_reserve_out },
    { 0x88, -1, 16, M, disk_read }, { 0x89, -1, 16, W, disk_compare_and_write }, { 0x8a, -1, 16, W, disk_write },
    { 0x8e, -1, 16, W, disk_write_verify }, { 0x8f, -1, 16, M, disk_verify }, { 0x90, -1, 16, M, disk_in_range },
    { 0x91, -1, 16, M, disk_flush }, { 0x93, -1, 16, W, disk_write_same }, { 0x9e, 0x10, 16, M, read_capacity_16 },
    { 0x9e, 0x12, 16, M, disk_lba_status }, { 0xa0, -1, 12, 0, good }, { 0xa3, 0x0c, 12, 0, disk_report_opcodes },
    { 0xa8, -1, 12, M, disk_read }, { 0xaa, -1, 12, W, disk_write }, { 0xae, -1, 12, W, disk_write_verify },
    { 0xaf, -1, 12, M, disk_verify }, { 0 },
};
#undef M
#undef W

static void parse(ScsiRequest *r)
{
    const ScsiDiskCommand *c = disk_commands;
    while (c->run && (c->op != r->cdb[0] || (c->action >= 0 && c->action != (r->cdb[1] & 31))))
        c++;
    if (c->run) {
        bool out;
        r->command = c;
        r->xfer = spc_transfer(r->cdb, SPC_DISK, disk_block(disk_of(r)), &out);
        r->dir = out ? SCSI_TO_DEVICE : SCSI_FROM_DEVICE;
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
    else if (c->flags & CMD_MEDIUM && !blk_inserted(d->scsi.blk))
        scsi_fail(r, SENSE_NO_MEDIUM);
    else if (c->flags & CMD_MEDIUM && d->stopped)
        scsi_fail(r, SENSE_LUN_NOT_READY);
    else if (c->flags & CMD_WRITES && !blk_writable(d->scsi.blk))
        scsi_fail(r, SENSE_WRITE_PROTECTED);
    else
        c->run(r, d);
}

/* A LUN reset ends neither persistent reservations nor what the medium is (SPC-4, 5.12.5). */
static void unit_reset(ScsiDevice *s)
{
    ScsiDisk *d = (ScsiDisk *)s;
    d->wce = disk_caches(d);
    d->stopped = d->locked = false;
}

static bool may_be_empty(const ScsiDevice *s) { return ((const ScsiDisk *)s)->removable; }
static const ScsiDeviceInfo disk_info = { parse, run, unit_reset, may_be_empty };

/* --- life --- */

static bool medium_locked(void *opaque) { return ((ScsiDisk *)opaque)->locked; }
static void eject_request(void *opaque, bool force) {}
static const BlkDeviceOps fixed_ops = { .resized = scsi_resized };
static const BlkDeviceOps removable_ops = { .resized = scsi_resized,
                                            .medium_changed = scsi_medium_changed,
                                            .medium_locked = medium_locked,
                                            .eject_request = eject_request };

static bool start(Device *dev, Error **errp)
{
    ScsiDisk *d = (ScsiDisk *)dev;
    if (!drive_check_geometry(dev, d->geometry, (DriveGeometry){ 65535, 255, 255 }, errp))
        return false;
    blk_set_device_ops(d->scsi.blk, d->removable ? &removable_ops : &fixed_ops, d);
    unit_reset(&d->scsi);
    scsi_announce(&d->scsi);
    return true;
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

static const Property props[] = {
    SCSI_NAME_PROPS(ScsiDisk, names, "QEMU HARDDISK"),
    DEFINE_PROP_U16("rotation_rate", ScsiDisk, rotation_rate, 0, "rotations a minute; 1: none (SSD), 0: not said"),
    DEFINE_PROP_BOOL("removable", ScsiDisk, removable, false, "the medium can be taken out"),
    DEFINE_PROP_BOOL("dpofua", ScsiDisk, dpofua, false, "say that DPO and FUA are known"),
    { .name = "scsi_version",
      .kind = PROP_I32,
      .offset = offsetof(ScsiDisk, scsi_version),
      .dflt = 5,
      .help = "version of INQUIRY" },
    DEFINE_PROP_SIZE("max_unmap_size", ScsiDisk, max_unmap_size, 1 << 30, "bytes of one UNMAP range"),
    DEFINE_PROP_SIZE("max_io_size", ScsiDisk, max_io_size, INT32_MAX, "bytes of one transfer"),
    DRIVE_GEOMETRY_PROPS(ScsiDisk, geometry),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_BOOL(ScsiDisk, wce),       STATE_BOOL(ScsiDisk, stopped),
                                    STATE_BOOL(ScsiDisk, locked),    STATE_BOOL(ScsiDisk, registered),
                                    STATE_U64(ScsiDisk, key),        STATE_U32(ScsiDisk, pr_generation),
                                    STATE_U8(ScsiDisk, reservation), STATE_END_OF_TABLE };
static const DeviceType scsi_hd_type = {
    .name = "scsi-hd",
    .desc = "SCSI disk",
    .category = "Storage",
    .size = sizeof(ScsiDisk),
    .bus = "scsi",
    .base = &scsi_device_type,
    .user_creatable = true,
    .props = props,
    .state = state,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .class_data = &disk_info,
};
DEVICE_REGISTER(scsi_hd_type)
