/* SPDX-License-Identifier: MIT */
/* ATA drives: the life of a command: requests to the medium, completion, what is held, reset. */
#include "hw/ide/ata.h"
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"

static bool step(AtaCommand *c);

void ata_run(AtaCommand *c)
{
    c->stepping = true;
    while (step(c))
        ;
    c->stepping = false;
    if (!c->active && c->a->bus->ops->idle)
        c->a->bus->ops->idle(c->a);
}

/* --- requests to the medium --- */

void ata_drop_vec(AtaCommand *c, uint64_t written)
{
    if (c->vec.iov) {
        ++*c->a->bus->guard;
        dma_vec_finish(&c->vec, written);
        --*c->a->bus->guard;
    }
    c->vec.iov = NULL;
    g_clear_pointer(&c->trimmed, g_free);
}

static void done(DriveRequest *req, int error)
{
    AtaCommand *c = container_of(req, AtaCommand, req);
    AtaDrive *a = c->a;

    c->result = error;
    if (a->quiescing || (c->queued && a->ncq_halted)) {
        ata_drop_vec(c, c->flow == FLOW_READ && !error ? c->piece : 0);
        c->active = c->ended_inline = false;
        if (c->queued)
            a->ncq_active &= ~(uint32_t)BIT(c->tag);
    } else if (c->stepping) {
        c->ended_inline = true;
    } else {
        ata_run(c);
    }
}

bool ata_go(AtaCommand *c, BlkOp op, uint64_t offset, uint64_t bytes, const struct iovec *iov, int n)
{
    AtaDrive *a = c->a;
    bool through = op == BLK_WRITE && (c->fua || !a->write_cache);

    c->ended_inline = false;
    c->req = (DriveRequest){ .blk = { .op = op,
                                      .offset = offset,
                                      .bytes = bytes,
                                      .iov = iov,
                                      .iovcnt = n,
                                      .flags = through ? BLOCK_REQ_FUA : 0 },
                             .done = done };
    drive_submit(&a->queue, &c->req);
    return c->ended_inline;
}

void ata_drain(AtaDrive *a) { drive_settle(&a->queue); }

void ata_quiesce(AtaDrive *a)
{
    a->quiescing++;
    if (a->queue.blk)
        drive_queue_reset(&a->queue);
    a->quiescing--;
    a->cmd.active = a->cmd.waiting = false;
    a->cmd.flow = FLOW_NONE;
    a->ncq_active = 0;
    a->ncq_halted = false;
    a->r.status &= (uint8_t)~(ATA_BSY | ATA_DRQ);
    a->buf_at = a->buf_end = a->data_len = 0;
}

/* --- completion --- */

void ata_finish(AtaCommand *c, uint8_t error)
{
    AtaDrive *a = c->a;
    /* A PIO data-in command has interrupted for its last block already. */
    bool pio_in = !a->bus->ops->sata && !c->dma && (c->flow == FLOW_READ || c->flow == FLOW_IN) &&
                  c->opcode != ATA_CMD_PACKET;

    ata_drop_vec(c, 0);
    c->active = c->waiting = false;
    c->error = error;
    if (c->queued) {
        a->ncq_active &= ~(uint32_t)BIT(c->tag);
        a->ncq_halted |= error != 0;
    }
    a->r.status = ATA_DRDY | ATA_DSC | (error ? ATA_ERR : 0);
    a->r.error = error;
    if (c->queued && error)
        a->ncq_error = (AtaNcqError){ .tag = c->tag,
                                      .status = a->r.status,
                                      .error = error,
                                      .device = c->device,
                                      .count = c->count,
                                      .lba = (c->offset + c->at) / ATA_SECTOR };
    a->bus->ops->finished(a, c, error || !pio_in);
    c->flow = FLOW_NONE;
}

void ata_out_of_range(AtaCommand *c, BlkOp op)
{
    drive_invalid(&c->a->queue, op);
    ata_finish(c, ATA_IDNF);
}

static void media_error(AtaCommand *c, bool writing)
{
    AtaDrive *a = c->a;

    if (!c->queued)
        ata_set_lba(a, (c->offset + c->at) / ATA_SECTOR, c->ext);
    ata_finish(c, writing ? ATA_ABRT : ATA_UNC);
}

bool ata_data_over(AtaCommand *c)
{
    if (c->opcode == ATA_CMD_PACKET)
        return ata_cd_over(c);
    return ata_disk_over(c);
}

bool ata_data_failed(AtaCommand *c)
{
    if (c->opcode == ATA_CMD_PACKET)
        ata_cd_over(c);
    else
        media_error(c, c->flow == FLOW_WRITE);
    return false;
}

/* --- the stages --- */

static bool step_plain(AtaCommand *c)
{
    if (c->result && c->result != -ENOMEDIUM)
        ata_finish(c, ATA_ABRT);
    else
        ata_finish(c, 0);
    return false;
}

static bool step(AtaCommand *c)
{
    if (c->stage == STAGE_RANGES)
        return ata_disk_ranges(c);
    if (c->stage == STAGE_PLAIN)
        return step_plain(c);
    return ata_data_step(c);
}

void ata_start(AtaCommand *c, AtaFlow flow, bool dma, uint64_t bytes)
{
    AtaDrive *a = c->a;

    c->stage = STAGE_DATA;
    c->flow = flow;
    c->dma = dma;
    c->bytes = bytes;
    c->at = c->piece = c->map_base = 0;
    c->short_list = false;
    if (!c->queued) {
        a->buf_at = a->buf_end = 0;
        if (flow != FLOW_IN)
            a->data_len = 0;
    }
    if (dma && !a->bus->ops->sata && !a->bus->ops->dma_ready(a)) {
        c->waiting = true;
        a->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        return;
    }
    if (!c->stepping)
        ata_run(c);
}

void ata_start_stage(AtaCommand *c, AtaStage stage, BlkOp op)
{
    c->stage = stage;
    c->flow = FLOW_NONE;
    c->stepping = true;
    bool ended = ata_go(c, op, 0, 0, NULL, 0);
    c->stepping = false;
    if (ended)
        ata_run(c);
}

void ata_dma_start(AtaDrive *a)
{
    AtaCommand *c = &a->cmd;

    if (a->quiescing || !c->active || !c->waiting)
        return;
    c->waiting = false;
    a->r.status = ATA_BSY | ATA_DSC;
    ata_run(c);
}

void ata_dma_stop(AtaDrive *a)
{
    AtaCommand *c = &a->cmd;

    if (!c->active || !c->dma || c->waiting)
        return;
    ata_drain(a);
    if (!c->active || !drive_queue_holds(&a->queue))
        return;
    drive_queue_reset(&a->queue);
    c->active = c->waiting = true;
    c->piece = 0;
    c->map_base = c->at;
    a->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
}

/* --- what is held because of an error --- */

enum { HELD_QUEUED = 0x80 };

static void save_held(DriveRequest *r, GByteArray *out)
{
    const AtaCommand *c = container_of(r, AtaCommand, req);
    const AtaHostOps *ops = c->a->bus->ops;
    uint8_t bytes[2] = { c->stage, ops->slot ? (uint8_t)(ops->slot(c->a, c) | (c->queued ? HELD_QUEUED : 0)) : 0 };

    g_byte_array_append(out, bytes, sizeof bytes);
}

/* PATA: the command's registers and buffer say where it stood. */
static bool go_on(AtaCommand *c, uint8_t stage)
{
    AtaDrive *a = c->a;

    if (!c->active || c->waiting)
        return false;
    if (stage == STAGE_PLAIN) {
        ata_start_stage(c, STAGE_PLAIN, BLK_FLUSH);
    } else if (stage == STAGE_RANGES && !a->cd && c->flow == FLOW_OUT && a->buf_at >= 8 && !(a->buf_at % 8) &&
               !(c->bytes % 8)) {
        a->buf_at -= 8; /* this range again */
        c->stage = STAGE_RANGES;
        ata_run(c);
    } else if (stage == STAGE_DATA && c->flow == FLOW_WRITE && !c->dma && a->data_len &&
               a->data_len <= c->bytes - c->at) {
        ata_write_block(c);
    } else if (stage == STAGE_DATA && (c->flow == FLOW_READ || (c->flow == FLOW_WRITE && c->dma))) {
        ata_run(c);
    } else {
        return false;
    }
    return true;
}

static bool restart_held(Device *d, const uint8_t *bytes, size_t len)
{
    AtaDrive *a = ata_drive(d);

    if (len != 2)
        return false;
    if (!a->bus->ops->fetch_again)
        return go_on(&a->cmd, bytes[0]);
    if (!(bytes[1] & HELD_QUEUED))
        a->cmd.active = false;
    return a->bus->ops->fetch_again(a, bytes[1] & (HELD_QUEUED - 1));
}

static void drop_held(DriveRequest *r)
{
    AtaCommand *c = container_of(r, AtaCommand, req);

    ata_drop_vec(c, 0);
    c->active = false;
    if (c->queued)
        c->a->ncq_active &= ~(uint32_t)BIT(c->tag);
}
const DriveQueueOps ata_queue_ops = { save_held, restart_held, drop_held };

/* --- commands --- */

static const AtaRow *find_row(const AtaDrive *a, uint8_t opcode)
{
    const AtaRow *row = a->cd ? ata_cd_rows : ata_disk_rows;

    while (row->run && row->opcode != opcode)
        row++;
    return row->run ? row : NULL;
}

static AtaCommand *begin(AtaCommand *c, AtaDrive *a, uint8_t opcode)
{
    *c = (AtaCommand){ .a = a, .active = true, .opcode = opcode };
    return c;
}

void ata_command(AtaDrive *a, uint8_t opcode)
{
    if (a->quiescing)
        return;
    if (opcode == ATA_CMD_DEVICE_RESET && a->cd) {
        uint8_t device = a->r.device, control = a->r.control;
        ata_reset(a, false); /* no interrupt */
        a->r.device = device & ATA_DEV;
        a->r.control = control;
        return;
    }
    if (a->cmd.active) {
        log_guest_error(a->dev.id, "ATA: command 0x%02x while another is going on", opcode);
        return;
    }
    const AtaRow *row = find_row(a, opcode);
    AtaCommand *c = begin(&a->cmd, a, opcode);
    a->r.status = ATA_BSY | ATA_DSC;
    a->r.error = 0;
    a->cd_raw = false;
    c->ext = row && row->flags & ROW_EXT;
    if (row)
        row->run(a, c);
    else
        ata_finish(c, ATA_ABRT);
}

void ata_queued(AtaDrive *a, uint8_t opcode, const AtaRegs *r, unsigned tag)
{
    AtaCommand *c = &a->ncq[tag];

    if (a->quiescing || c->active)
        return;
    begin(c, a, opcode)->queued = true;
    c->ext = true;
    c->tag = (uint8_t)tag;
    c->fua = r->device & 0x80;
    c->device = r->device;
    a->ncq_active |= (uint32_t)BIT(tag);
    uint64_t lba = r->low[0] | (uint64_t)r->mid[0] << 8 | (uint64_t)r->high[0] << 16 | (uint64_t)r->low[1] << 24 |
                   (uint64_t)r->mid[1] << 32 | (uint64_t)r->high[1] << 40;
    uint32_t count = r->feature[0] | r->feature[1] << 8;
    bool write = opcode == ATA_CMD_WRITE_FPDMA;
    c->count = (uint16_t)count;
    c->offset = lba * ATA_SECTOR;
    count = count ? count : 65536;
    if (a->cd || (opcode != ATA_CMD_READ_FPDMA && !write))
        ata_finish(c, ATA_ABRT);
    else if (count > ata_sectors(a) || lba > ata_sectors(a) - count)
        ata_out_of_range(c, write ? BLK_WRITE : BLK_READ);
    else if (write && !blk_writable(a->blk))
        ata_finish(c, ATA_ABRT);
    else
        ata_start(c, write ? FLOW_WRITE : FLOW_READ, true, (uint64_t)count * ATA_SECTOR);
}

/* --- registers --- */

void ata_set_lba(AtaDrive *a, uint64_t lba, bool ext)
{
    AtaRegs *r = &a->r;

    r->low[0] = (uint8_t)lba;
    r->mid[0] = (uint8_t)(lba >> 8);
    r->high[0] = (uint8_t)(lba >> 16);
    if (ext) {
        r->low[1] = (uint8_t)(lba >> 24);
        r->mid[1] = (uint8_t)(lba >> 32);
        r->high[1] = (uint8_t)(lba >> 40);
    } else {
        r->device = (uint8_t)((r->device & 0xf0) | (lba >> 24 & 0xf));
    }
}

void ata_set_signature(AtaDrive *a)
{
    AtaRegs *r = &a->r;

    r->device &= ATA_DEV;
    r->count[0] = r->low[0] = 1;
    r->mid[0] = a->cd ? 0x14 : 0;
    r->high[0] = a->cd ? 0xeb : 0;
    r->count[1] = r->low[1] = r->mid[1] = r->high[1] = r->feature[0] = r->feature[1] = 0;
}

void ata_reset(AtaDrive *a, bool power_on)
{
    ata_quiesce(a);
    ata_set_signature(a);
    a->r.device = 0;
    a->r.control = 0;
    a->r.error = 1; /* diagnostics: no fault */
    a->r.status = a->cd ? 0 : ATA_DRDY | ATA_DSC;
    a->intrq = a->standby = a->cd_raw = false;
    if (!power_on)
        return;
    a->multiple = ATA_MULTIPLE_MAX;
    a->dma_mode = 0x45;
    a->apm = 0;
    a->cur_heads = (uint8_t)a->geometry.heads;
    a->cur_secs = (uint8_t)a->geometry.secs;
    a->write_cache = a->drive.write_cache;
    a->look_ahead = a->smart = true;
    memset(&a->ncq_error, 0, sizeof a->ncq_error);
    memset(a->cdb, 0, sizeof a->cdb);
    memset(a->data, 0, ATA_BUFFER);
    a->cmd = (AtaCommand){ .a = a };
    a->cd_fields = 0;
    a->cd_lba = a->cd_sector_bytes = 0;
}

uint64_t ata_sectors(const AtaDrive *a) { return a->blk ? blk_size(a->blk) / ATA_SECTOR : 0; }
