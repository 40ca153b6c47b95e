/* SPDX-License-Identifier: MIT */
/* Floppy drives: disks by their size, the change line, what firmware is told. */
#include "base/bits.h"
#include "hw/block/fdc.h"
#include "hw/block/floppy.h"

/* The first row of a drive's type is what it takes a disk for whose size is not here. */
static const FloppyFormat formats[] = {
    { FLOPPY_144, 18, 80, 2, 0 }, { FLOPPY_144, 20, 80, 2, 0 }, { FLOPPY_144, 21, 80, 2, 0 },
    { FLOPPY_144, 21, 82, 2, 0 }, { FLOPPY_144, 21, 83, 2, 0 }, { FLOPPY_144, 22, 80, 2, 0 },
    { FLOPPY_144, 23, 80, 2, 0 }, { FLOPPY_144, 24, 80, 2, 0 }, { FLOPPY_288, 36, 80, 2, 3 },
    { FLOPPY_288, 39, 80, 2, 3 }, { FLOPPY_288, 40, 80, 2, 3 }, { FLOPPY_288, 44, 80, 2, 3 },
    { FLOPPY_288, 48, 80, 2, 3 }, { FLOPPY_144, 9, 80, 2, 2 },  { FLOPPY_144, 10, 80, 2, 2 },
    { FLOPPY_144, 10, 82, 2, 2 }, { FLOPPY_144, 10, 83, 2, 2 }, { FLOPPY_144, 13, 80, 2, 2 },
    { FLOPPY_144, 14, 80, 2, 2 }, { FLOPPY_120, 15, 80, 2, 0 }, { FLOPPY_120, 18, 82, 2, 0 },
    { FLOPPY_120, 9, 40, 2, 1 },  { FLOPPY_120, 9, 40, 1, 1 },  { FLOPPY_120, 10, 41, 2, 1 },
    { FLOPPY_120, 10, 42, 2, 1 }, { FLOPPY_120, 8, 40, 2, 1 },  { FLOPPY_120, 8, 40, 1, 1 },
};

static uint64_t bytes_of(const FloppyFormat *f) { return (uint64_t)f->sectors * f->tracks * f->heads * FDC_SECTOR; }

static const FloppyFormat *by_size(uint64_t size)
{
    for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
        if (bytes_of(&formats[i]) == size)
            return &formats[i];
    }
    return NULL;
}

const FloppyFormat *floppy_format(const Floppy *d)
{
    if (!blk_inserted(d->blk))
        return NULL;
    const FloppyFormat *f = by_size(blk_size(d->blk));
    for (unsigned i = 0; !f && i < ARRAY_LEN(formats); i++) {
        if (formats[i].drive == d->type)
            f = &formats[i];
    }
    return f;
}

bool floppy_ready(const Floppy *d) { return blk_inserted(d->blk); }

bool floppy_sector(const Floppy *d, unsigned track, unsigned head, unsigned sector, uint64_t *offset)
{
    const FloppyFormat *f = floppy_format(d);
    if (!f || track >= f->tracks || head >= f->heads || !sector || sector > f->sectors)
        return false;
    *offset = (((uint64_t)track * f->heads + head) * f->sectors + sector - 1) * FDC_SECTOR;
    return *offset + FDC_SECTOR <= blk_size(d->blk);
}

/* --- the device --- */

static void medium_changed(void *opaque, bool present)
{
    Floppy *d = opaque;
    lock_domain_lock(d->dev.domain);
    d->changed = true;
    lock_domain_unlock(d->dev.domain);
}
static const BlkDeviceOps ops = { .medium_changed = medium_changed };

/* A request that was held is the controller's only one: it makes it again from its own registers. */
static void save_held(DriveRequest *r, GByteArray *out) { g_byte_array_append(out, (const uint8_t *)"f", 1); }
static bool restart_held(Device *dev, const uint8_t *bytes, size_t len)
{
    Floppy *d = (Floppy *)dev;
    if (len != 1 || !d->fdc || fdc_drive(d->fdc, d->fdc->drive) != d ||
        (d->fdc->phase != FDC_READING && d->fdc->phase != FDC_WRITING))
        return false;
    fdc_transfer_restart(d->fdc);
    return true;
}
static void drop_held(DriveRequest *r) {}
static const DriveQueueOps queue_ops = { save_held, restart_held, drop_held };

static bool plug(Bus *bus, Device *dev, Error **errp)
{
    Floppy *d = (Floppy *)dev;
    Fdc *f = container_of(bus, Fdc, bus);
    for (unsigned i = 0; d->unit == UINT32_MAX && i < FDC_DRIVES; i++) {
        if (!f->unit[i])
            d->unit = i;
    }
    if (d->unit >= FDC_DRIVES || f->unit[d->unit]) {
        error_setf(errp, "device '%s': unit=%d of '%s' is taken, or not 0 or 1", dev->id, (int)d->unit, bus->name);
        return false;
    }
    d->fdc = f;
    f->unit[d->unit] = d;
    return true;
}

static void unplug(Bus *bus, Device *dev) { container_of(bus, Fdc, bus)->unit[((Floppy *)dev)->unit] = NULL; }

static void path(Bus *bus, const Device *dev, GString *out)
{
    g_string_append_printf(out, "/floppy@%u", ((const Floppy *)dev)->unit);
}

const BusType floppy_bus_type = { .kind = "floppy-bus", .plug = plug, .unplug = unplug, .path = path };

static bool start(Device *dev, Error **errp)
{
    Floppy *d = (Floppy *)dev;
    if (!drive_open(dev, &d->drive, true, &d->blk, errp))
        return false;
    if (d->type == FLOPPY_AUTO) {
        const FloppyFormat *f = by_size(blk_size(d->blk));
        d->type = f ? f->drive : FLOPPY_288;
    }
    drive_queue_init(&d->queue, dev, &d->drive, d->blk, &queue_ops);
    blk_set_device_ops(d->blk, &ops, d);
    return true;
}

static void reset(Device *dev, ResetPhase phase)
{
    Floppy *d = (Floppy *)dev;
    if (phase != RESET_ENTER || !d->queue.blk)
        return;
    drive_queue_reset(&d->queue);
    d->track = 0;
    d->changed = true;
}

static void saving(Device *dev) { drive_queue_saving(&((Floppy *)dev)->queue); }
static bool loaded(Device *dev, Error **errp)
{
    return drive_queue_loaded(&((Floppy *)dev)->queue, errp);
}
static void stop(Device *dev)
{
    Floppy *d = (Floppy *)dev;
    if (d->fdc && d->queue.blk)
        fdc_transfer_abort(d->fdc);
    drive_queue_free(&d->queue);
}

/* --- for the board: CMOS byte 10h, ACPI's _FDE and _FDI --- */

static const Floppy *nth(unsigned unit)
{
    const Bus *b = bus_find_kind("floppy-bus");
    return b && unit < FDC_DRIVES ? container_of(b, const Fdc, bus)->unit[unit] : NULL;
}

uint8_t floppy_cmos_type(unsigned unit)
{
    static const uint8_t types[] = { [FLOPPY_120] = 2, [FLOPPY_144] = 4, [FLOPPY_288] = 5 };
    const Floppy *d = nth(unit);
    return d && d->type >= FLOPPY_120 ? types[d->type] : 0;
}

bool floppy_controller_exists(void) { return bus_find_kind("floppy-bus") != NULL; }

void floppy_shape(unsigned unit, unsigned *tracks, unsigned *sectors, unsigned *heads)
{
    const Floppy *d = nth(unit);
    *tracks = 80;
    *heads = 2;
    *sectors = !d || d->type == FLOPPY_288 ? 36 : d->type == FLOPPY_120 ? 15 : 18;
}

static const char *const types[] = { "auto", "none", "120", "144", "288", NULL };
static const Property props[] = {
    DRIVE_PROPS(Floppy, drive),
    PROP_(PROP_U32, "unit", Floppy, unit, UINT32_MAX, "0: A, 1: B; without it the first free one", .max = UINT32_MAX),
    DEFINE_PROP_ENUM("drive-type", Floppy, type, FLOPPY_AUTO, types,
                     "kind of drive; auto: by the disk in it, 2.88 MB without one"),
    DEFINE_PROP_BOOL("check_media_rate", Floppy, check_rate, true, "data can be read at the disk's rate only"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(Floppy, queue, drive_queue_state), STATE_U8(Floppy, track),
                                    STATE_BOOL(Floppy, changed), STATE_END_OF_TABLE };
static const DeviceType floppy_type = {
    .name = "floppy",
    .desc = "floppy drive",
    .category = "Storage",
    .size = sizeof(Floppy),
    .bus = "floppy-bus",
    .user_creatable = true,
    .props = props,
    .state = state,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(floppy_type)
