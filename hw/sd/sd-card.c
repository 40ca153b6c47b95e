/* SPDX-License-Identifier: MIT */
/* SD cards and eMMC as devices: their drive, its media, reset and saved state. */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/sd/sd-internal.h"

static void tell_card(SdCard *c)
{
    SdPort *p = c->bus ? c->bus->port : NULL;
    if (p && p->ops->card && p->host->started)
        p->ops->card(p);
}

static void take_medium(SdCard *c)
{
    uint64_t size = blk_size(c->blk);
    c->size = sd_size_fits(size, c->emmc) ? size : 0;
    if (size && !c->size)
        warn_reportf(
            "device '%s': an SD card can't have the size of the medium in '%s'; resize it to a multiple of 512 KiB",
            c->dev.id, blk_name(c->blk));
}

static void forget_transfer(SdCard *c)
{
    c->quiet = true;
    c->mode = MODE_NONE;
    drive_queue_reset(&c->queue);
    c->quiet = false;
    c->io = 0;
}

static void medium_changed(void *opaque, bool present)
{
    SdCard *c = opaque;
    lock_domain_lock(c->dev.domain);
    forget_transfer(c);
    take_medium(c);
    sd_power_on(c);
    tell_card(c);
    lock_domain_unlock(c->dev.domain);
}
static void eject_request(void *opaque, bool force) {}

static void resized(void *opaque) { medium_changed(opaque, true); }
static const BlkDeviceOps emmc_ops = { .resized = resized };
static const BlkDeviceOps sd_ops = { .medium_changed = medium_changed,
                                     .resized = resized,
                                     .eject_request = eject_request };

static bool start(Device *d, Error **errp)
{
    SdCard *c = (SdCard *)d;
    BlockBackend *b;
    if (!drive_open(d, &c->drive, !c->emmc, &b, errp))
        return false;
    if (blk_inserted(b) && !sd_size_fits(blk_size(b), c->emmc)) {
        error_setf(errp,
                   "device '%s': an SD card can't have the size of drive '%s'; resize the image to a multiple of 512 "
                   "KiB, at most 2 TiB",
                   d->id, blk_name(b));
        blk_detach(b);
        return false;
    }
    c->blk = b;
    drive_queue_init(&c->queue, d, &c->drive, b, &sd_queue_ops);
    blk_set_device_ops(b, c->emmc ? &emmc_ops : &sd_ops, c);
    take_medium(c);
    sd_power_on(c);
    tell_card(c);
    return true;
}

static void stop(Device *d)
{
    SdCard *c = (SdCard *)d;
    c->quiet = true;
    c->mode = MODE_NONE;
    drive_queue_free(&c->queue);
    c->size = 0;
    if (c->bus && c->blk)
        tell_card(c);
    c->blk = NULL;
}

static void reset(Device *d, ResetPhase phase)
{
    SdCard *c = (SdCard *)d;
    if (phase != RESET_ENTER)
        return;
    forget_transfer(c);
    take_medium(c);
    sd_power_on(c);
    memset(c->buf, 0, sizeof c->buf);
    memset(c->reg, 0, sizeof c->reg);
    c->io_offset = c->io_bytes = 0;
}

static void saving(Device *d) { drive_queue_saving(&((SdCard *)d)->queue); }

static bool loaded(Device *d, Error **errp)
{
    SdCard *c = (SdCard *)d;
    if (!drive_queue_loaded(&c->queue, errp))
        return false;
    bool data = c->io == 1 + BLK_READ || c->io == 1 + BLK_WRITE,
         reg = c->mode == MODE_READ_REG || c->mode == MODE_WRITE_REG;
    c->size = blk_size(c->blk);
    c->high_capacity = c->size > UINT64_C(2) << 30;
    if (c->state >= SD_STATES || c->mode >= MODES || c->io > 1 + BLK_WRITE_ZEROES ||
        c->len > (reg ? sizeof c->reg : SD_BUFFER) ||
        c->pos > (c->mode == MODE_WRITE_MEM || c->stopping ? SD_BUFFER : c->len) || !c->block_len ||
        c->block_len > SD_BLOCK || c->next > c->size || c->pos > SD_BUFFER ||
        (c->mode == MODE_WRITE_MEM && c->pos > c->size - c->next) ||
        (c->left != UINT64_MAX && c->left > c->size - c->next) || c->io_offset > c->size ||
        c->io_bytes > c->size - c->io_offset || (data && c->io_bytes > SD_BUFFER) ||
        (c->io && !drive_queue_holds(&c->queue))) {
        error_setf(errp, "device '%s': the saved state of a transfer makes no sense, or the card is another one",
                   d->id);
        c->mode = MODE_NONE;
        c->io = 0;
        c->stopping = false;
        c->pos = c->len = 0;
        c->block_len = SD_BLOCK;
        return false;
    }
    return true;
}

static const StateField state[] = {
    STATE_STRUCT(SdCard, queue, drive_queue_state),
    STATE_U8(SdCard, state),
    STATE_U8(SdCard, mode),
    STATE_U8(SdCard, io),
    STATE_BOOL(SdCard, app),
    STATE_BOOL(SdCard, failed),
    STATE_BOOL(SdCard, stopping),
    STATE_BOOL(SdCard, flush),
    STATE_U8(SdCard, bus_width),
    STATE_U8(SdCard, function),
    STATE_U8(SdCard, written_reg),
    STATE_U16(SdCard, rca),
    STATE_U32(SdCard, status),
    STATE_U32(SdCard, block_len),
    STATE_U32(SdCard, erase_start),
    STATE_U32(SdCard, erase_end),
    STATE_U32(SdCard, count),
    STATE_U32(SdCard, blocks_written),
    STATE_U64(SdCard, next),
    STATE_U64(SdCard, left),
    STATE_U64(SdCard, io_offset),
    STATE_U64(SdCard, io_bytes),
    STATE_U32(SdCard, pos),
    STATE_U32(SdCard, len),
    STATE_BYTES(SdCard, csd),
    STATE_BYTES(SdCard, ext_csd),
    STATE_BYTES(SdCard, reg),
    STATE_BYTES(SdCard, buf),
    STATE_END_OF_TABLE,
};
static const Property sd_props[] = {
    DRIVE_PROPS(SdCard, drive),
    DEFINE_PROP_BOOL("spi", SdCard, spi, false, "wired for SPI"),
    PROP_(PROP_U8, "spec_version", SdCard, spec_version, 3, "1: 1.10, 2: 2.00, 3: 3.01", .min = 1, .max = 3),
    DEFINE_PROP_END,
};
static const Property emmc_props[] = { DRIVE_PROPS(SdCard, drive), DEFINE_PROP_END };
static void emmc_init(Device *d) { ((SdCard *)d)->emmc = true; }

static const DeviceType sd_type = {
    .name = "sd-card",
    .desc = "SD card",
    .category = "Storage",
    .size = sizeof(SdCard),
    .bus = "sd",
    .user_creatable = true,
    .props = sd_props,
    .state = state,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
};
static const DeviceType emmc_type = {
    .name = "emmc",
    .desc = "eMMC",
    .category = "Storage",
    .size = sizeof(SdCard),
    .bus = "sd",
    .user_creatable = true,
    .props = emmc_props,
    .state = state,
    .init = emmc_init,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(sd_type)
DEVICE_REGISTER(emmc_type)
