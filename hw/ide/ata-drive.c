/* SPDX-License-Identifier: MIT */
/* "ide-hd" and "ide-cd": the drives as devices, and the bus they sit on. */
#include <string.h>
#include "base/bits.h"
#include "hw/ide/ata.h"

enum { SERIAL_MAX = 20, MODEL_MAX = 40 };

/* --- the bus --- */

static bool plug(Bus *bus, Device *d, Error **errp)
{
    IdeBus *b = container_of(bus, IdeBus, bus);
    AtaDrive *a = ata_drive(d);
    unsigned unit = a->unit < 0 ? (b->drive[0] && b->units > 1) : (unsigned)a->unit;

    if (unit >= b->units) {
        error_setf(errp, "bus '%s' has no unit %u; the last is unit=%u", bus->name, unit, b->units - 1);
        return false;
    }
    if (b->drive[unit]) {
        error_setf(errp, "unit %u of bus '%s' is taken by device '%s'; use another bus= or unit=", unit, bus->name,
                   b->drive[unit]->dev.id);
        return false;
    }
    a->unit = (int32_t)unit;
    a->bus = b;
    b->drive[unit] = a;
    d->domain = b->controller->domain;
    return true;
}

static void unplug(Bus *bus, Device *d)
{
    IdeBus *b = container_of(bus, IdeBus, bus);

    for (unsigned i = 0; i < ARRAY_LEN(b->drive); i++) {
        if (b->drive[i] == ata_drive(d)) {
            b->drive[i] = NULL;
            if (b->changed)
                b->changed(b);
        }
    }
}

static void path(Bus *bus, const Device *d, GString *out)
{
    g_string_append_printf(out, "/drive@%x/disk@%x", container_of(bus, IdeBus, bus)->index,
                           ((const AtaDrive *)d)->unit);
}

static bool bus_full(const Bus *bus)
{
    const IdeBus *b = container_of(bus, IdeBus, bus);

    return b->drive[0] && (b->units < 2 || b->drive[1]);
}

const BusType ide_bus_type = { .kind = "IDE", .plug = plug, .unplug = unplug, .full = bus_full, .path = path };

void ide_bus_init(IdeBus *b, const char *name, Device *controller, const AtaHostOps *ops, void *host, unsigned *guard,
                  unsigned units, unsigned index)
{
    unsigned before = 0;

    for (Bus *other = bus_first(); other; other = other->next)
        before += other->type == &ide_bus_type;
    *b = (IdeBus){ .controller = controller,
                   .ops = ops,
                   .host = host,
                   .guard = guard,
                   .units = units,
                   .index = index,
                   .number = before };
    bus_init(&b->bus, &ide_bus_type, name, controller);
}

const AtaDrive *ide_disk(unsigned number, unsigned unit)
{
    for (Bus *bus = bus_first(); bus; bus = bus->next) {
        const IdeBus *b = container_of(bus, IdeBus, bus);
        if (bus->type == &ide_bus_type && b->number == number && unit < b->units)
            return b->drive[unit] && !b->drive[unit]->cd ? b->drive[unit] : NULL;
    }
    return NULL;
}

/* --- the drives --- */

static bool check(AtaDrive *a, Error **errp)
{
    const char *id = a->dev.id, *serial = a->drive.serial ? a->drive.serial : a->blk ? blk_serial(a->blk) : NULL;

    if (!a->bus) {
        error_setf(errp,
                   "device '%s': there is no IDE or SATA controller for it; add -device ahci,id=ahci0 and bus=ahci0.0",
                   id);
        return false;
    }
    if (a->drive.logical_block_size != ATA_SECTOR) {
        error_setf(errp, "device '%s': logical_block_size=%" G_GUINT64_FORMAT ": ATA drives have sectors of 512 bytes",
                   id, (guint64)a->drive.logical_block_size);
        return false;
    }
    if ((serial && strlen(serial) > SERIAL_MAX) || strlen(a->model) > MODEL_MAX || strlen(a->version) > 8) {
        error_setf(errp, "device '%s': a serial number has at most %u characters, a model %u, a version 8", id,
                   SERIAL_MAX, MODEL_MAX);
        return false;
    }
    if (a->drive.discard_granularity && a->drive.discard_granularity != DRIVE_DISCARD_AUTO &&
        a->drive.discard_granularity != ATA_SECTOR) {
        error_setf(errp,
                   "device '%s': discard_granularity=%" G_GUINT64_FORMAT
                   ": TRIM has sectors of 512 bytes, or is not there (0)",
                   id, (guint64)a->drive.discard_granularity);
        return false;
    }
    if (!drive_check_geometry(&a->dev, a->geometry, (DriveGeometry){ 65535, 16, 255 }, errp))
        return false;
    if (serial)
        g_strlcpy(a->serial, serial, sizeof a->serial);
    else
        g_snprintf(a->serial, sizeof a->serial, "QM%05u", (a->bus->number * 2 + (unsigned)a->unit + 1) % 100000);
    return true;
}

static void resized(void *opaque) { }
static const BlkDeviceOps disk_ops = { .resized = resized };

static bool start(Device *d, Error **errp)
{
    AtaDrive *a = ata_drive(d);

    if (!drive_open(d, &a->drive, a->cd, &a->blk, errp))
        return false;
    drive_queue_init(&a->queue, d, &a->drive, a->blk, &ata_queue_ops);
    if (!check(a, errp))
        return false;
    a->geometry = drive_geometry(a->geometry, a->blk);
    if (a->cd) {
        a->mmc.dev = d;
        a->mmc.blk = a->blk;
        a->mmc.vendor = "QEMU";
        a->mmc.product = a->model;
        a->mmc.revision = a->version;
        a->mmc.serial = a->serial;
        a->mmc.atapi = true;
        mmc_start(&a->mmc);
    } else {
        blk_set_device_ops(a->blk, &disk_ops, a);
    }
    if (a->bus->changed)
        a->bus->changed(a->bus);
    return true;
}

static void init_common(Device *d, bool cd)
{
    AtaDrive *a = ata_drive(d);

    a->cd = cd;
    for (unsigned i = 0; i < ATA_TAGS; i++)
        a->ncq[i].a = a;
    a->cmd.a = a;
}

static void init_disk(Device *d) { init_common(d, false); }
static void init_cd(Device *d) { init_common(d, true); }

static void reset(Device *d, ResetPhase phase)
{
    AtaDrive *a = ata_drive(d);

    if (phase != RESET_ENTER || !a->bus)
        return;
    ata_reset(a, true);
    if (a->cd)
        mmc_reset(&a->mmc);
}

static void saving(Device *d) { drive_queue_saving(&ata_drive(d)->queue); }

static bool loaded(Device *d, Error **errp)
{
    AtaDrive *a = ata_drive(d);
    AtaCommand *c = &a->cmd;
    uint64_t size = a->blk ? blk_size(a->blk) : 0, step = a->cd ? MMC_SECTOR : ATA_SECTOR;
    bool medium = c->flow == FLOW_READ || c->flow == FLOW_WRITE;
    bool port = !a->bus->ops->sata && (!c->dma || c->flow == FLOW_CDB); /* buf_end counts */
    bool ok = c->flow <= FLOW_CDB && a->buf_at <= (port ? a->buf_end : ATA_BUFFER) && a->buf_end <= ATA_BUFFER &&
              a->data_len <= ATA_BUFFER && c->at <= c->bytes && c->map_base <= c->at && c->drq <= ATA_MULTIPLE_MAX &&
              a->multiple <= ATA_MULTIPLE_MAX && c->offset % step == 0;

    ok = ok && a->cur_secs && a->cur_heads;
    ok = ok && (c->flow != FLOW_IN || c->bytes == a->data_len) &&
         (c->flow != FLOW_OUT || a->buf_at + (c->bytes - c->at) <= ATA_BUFFER);
    ok = ok && (!medium || (c->bytes <= size + UINT32_MAX && (a->cd || c->offset + c->bytes <= size)));
    ok = ok && (!a->cd || (mmc_loaded(&a->mmc) && a->cd_sector_bytes <= MMC_RAW_SECTOR &&
                           (c->flow != FLOW_READ || a->cd_sector_bytes)));
    ok = ok && (!a->cd || c->flow != FLOW_WRITE) &&
         ((c->flow != FLOW_READ && c->flow != FLOW_IN) || a->buf_at <= a->data_len);
    if (!ok)
        error_setf(errp, "%s '%s': the saved state is not one that this drive can be in", d->type->name, d->id);
    c->stage = STAGE_DATA;
    c->result = 0;
    c->piece = 0;
    c->queued = c->stepping = false;
    return ok && drive_queue_loaded(&a->queue, errp);
}

static void stop(Device *d)
{
    AtaDrive *a = ata_drive(d);

    if (a->bus)
        ata_quiesce(a);
    drive_queue_free(&a->queue);
    a->blk = NULL;
}

static const StateField regs_state[] = { STATE_BYTES(AtaRegs, feature), STATE_BYTES(AtaRegs, count),
                                         STATE_BYTES(AtaRegs, low),     STATE_BYTES(AtaRegs, mid),
                                         STATE_BYTES(AtaRegs, high),    STATE_U8(AtaRegs, device),
                                         STATE_U8(AtaRegs, control),    STATE_U8(AtaRegs, status),
                                         STATE_U8(AtaRegs, error),      STATE_END_OF_TABLE };
static const StateField command_state[] = { STATE_BOOL(AtaCommand, active),
                                            STATE_BOOL(AtaCommand, dma),
                                            STATE_BOOL(AtaCommand, ext),
                                            STATE_BOOL(AtaCommand, waiting),
                                            STATE_BOOL(AtaCommand, fua),
                                            STATE_U8(AtaCommand, opcode),
                                            STATE_U8(AtaCommand, flow),
                                            STATE_U8(AtaCommand, drq),
                                            STATE_U64(AtaCommand, offset),
                                            STATE_U64(AtaCommand, bytes),
                                            STATE_U64(AtaCommand, at),
                                            STATE_U64(AtaCommand, map_base),
                                            STATE_END_OF_TABLE };
static const StateField ncq_error_state[] = { STATE_U8(AtaNcqError, tag),
                                              STATE_U8(AtaNcqError, status),
                                              STATE_U8(AtaNcqError, error),
                                              STATE_U8(AtaNcqError, device),
                                              STATE_U16(AtaNcqError, count),
                                              STATE_U64(AtaNcqError, lba),
                                              STATE_END_OF_TABLE };
#define DRIVE_STATE \
    STATE_STRUCT(AtaDrive, r, regs_state), STATE_STRUCT(AtaDrive, cmd, command_state), STATE_U32(AtaDrive, data_len), \
    STATE_U32(AtaDrive, buf_at), \
    STATE_U32(AtaDrive, buf_end), STATE_BYTES(AtaDrive, cdb), STATE_U8(AtaDrive, multiple), \
    STATE_U8(AtaDrive, dma_mode), STATE_U8(AtaDrive, apm), \
    STATE_U8(AtaDrive, cur_heads), STATE_U8(AtaDrive, cur_secs), STATE_BOOL(AtaDrive, intrq), \
    STATE_BOOL(AtaDrive, write_cache), \
    STATE_BOOL(AtaDrive, look_ahead), STATE_BOOL(AtaDrive, smart), STATE_BOOL(AtaDrive, standby), \
    STATE_BOOL(AtaDrive, ncq_halted), \
    STATE_STRUCT(AtaDrive, ncq_error, ncq_error_state), STATE_BYTES(AtaDrive, data), \
    STATE_STRUCT(AtaDrive, queue, drive_queue_state)
static const StateField disk_state[] = { DRIVE_STATE, STATE_END_OF_TABLE };
static const StateField cd_state[] = { DRIVE_STATE,
                                       STATE_STRUCT(AtaDrive, mmc, mmc_state),
                                       STATE_BOOL(AtaDrive, cd_raw),
                                       STATE_U8(AtaDrive, cd_fields),
                                       STATE_U16(AtaDrive, cd_limit),
                                       STATE_U32(AtaDrive, cd_lba),
                                       STATE_U32(AtaDrive, cd_sector_bytes),
                                       STATE_END_OF_TABLE };

#define COMMON_PROPS(model_) \
    DRIVE_PROPS(AtaDrive, drive), \
    DEFINE_PROP_STRING("model", AtaDrive, model, model_, "model that the guest sees"), \
    DEFINE_PROP_STRING("ver", AtaDrive, version, "2.5+", "firmware version that the guest sees"), \
    DEFINE_PROP_U64("wwn", AtaDrive, wwn, 0, "world wide name"), \
    { .name = "unit", .kind = PROP_I32, .offset = offsetof(AtaDrive, unit), .dflt = -1, \
        .help = "place on the bus; -1: the next" }
static const char *const translations[] = {
    [ATA_TRANS_NONE] = "none",   [ATA_TRANS_LBA] = "lba",   [ATA_TRANS_LARGE] = "large",
    [ATA_TRANS_RECHS] = "rechs", [ATA_TRANS_AUTO] = "auto", NULL
};
static const Property disk_props[] = {
    COMMON_PROPS("QEMU HARDDISK"),
    DRIVE_GEOMETRY_PROPS(AtaDrive, geometry),
    DEFINE_PROP_ENUM("bios-chs-trans", AtaDrive, translation, ATA_TRANS_AUTO, translations,
                     "how a PC's BIOS makes another geometry of it"),
    DEFINE_PROP_U16("rotation_rate", AtaDrive, rotation_rate, 0, "revolutions per minute; 1: an SSD, 0: not said"),
    DEFINE_PROP_END,
};
static const Property cd_props[] = { COMMON_PROPS("QEMU DVD-ROM"), DEFINE_PROP_END };

static const DeviceType disk_type = {
    .name = "ide-hd",
    .desc = "ATA or SATA disk",
    .category = "Storage",
    .size = sizeof(AtaDrive),
    .bus = "IDE",
    .user_creatable = true,
    .props = disk_props,
    .state = disk_state,
    .init = init_disk,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(disk_type)
static const DeviceType cd_type = {
    .name = "ide-cd",
    .desc = "ATAPI CD/DVD drive",
    .category = "Storage",
    .size = sizeof(AtaDrive),
    .bus = "IDE",
    .user_creatable = true,
    .props = cd_props,
    .state = cd_state,
    .init = init_cd,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(cd_type)
