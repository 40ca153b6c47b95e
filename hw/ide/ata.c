/* SPDX-License-Identifier: MIT */
/* ATA drives: the life of a command: data phases by memory lists and by the data port, completion, reset. */
#include "hw/ide/ata.h"
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"

enum { PIECE_MAX = 4 << 20 };

static bool step(AtaCommand *c);

static void run(AtaCommand *c)
{
    c->stepping = true;
    while (step(c))
        ;
    c->stepping = false;
    if (!c->active && c->a->bus->ops->idle)
        c->a->bus->ops->idle(c->a);
}

/* --- requests to the medium --- */

static void drop_vec(AtaCommand *c, uint64_t written)
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
        drop_vec(c, c->flow == FLOW_READ && !error ? c->piece : 0);
        c->active = c->ended_inline = false;
        if (c->queued)
            a->ncq_active &= ~(uint32_t)BIT(c->tag);
    } else if (c->stepping) {
        c->ended_inline = true;
    } else {
        run(c);
    }
}

bool ata_go(AtaCommand *c, BlkOp op, uint64_t offset, uint64_t bytes, const struct iovec *iov, int n)
{
    AtaDrive *a = c->a;
    bool through = op == BLK_WRITE && (c->fua || !a->write_cache);

    c->ended_inline = false;
    c->req = (DriveRequest){ .blk = { .op = op, .offset = offset, .bytes = bytes, .iov = iov, .iovcnt = n, .flags = through ? BLOCK_REQ_FUA : 0 },
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
    bool pio_in = !a->bus->ops->sata && !c->dma && (c->flow == FLOW_READ || c->flow == FLOW_IN) && c->opcode != ATA_CMD_PACKET;

    drop_vec(c, 0);
    c->active = c->waiting = false;
    c->error = error;
    if (c->queued) {
        a->ncq_active &= ~(uint32_t)BIT(c->tag);
        a->ncq_halted |= error != 0;
    }
    a->r.status = ATA_DRDY | ATA_DSC | (error ? ATA_ERR : 0);
    a->r.error = error;
    if (c->queued && error)
        a->ncq_error = (AtaNcqError){ .tag = c->tag, .status = a->r.status, .error = error, .device = c->device, .count = c->count,
                                      .lba = (c->offset + c->at) / ATA_SECTOR };
    a->bus->ops->finished(a, c, error || !pio_in);
    c->flow = FLOW_NONE;
}

static void media_error(AtaCommand *c, bool writing)
{
    AtaDrive *a = c->a;

    if (!c->queued)
        ata_set_lba(a, (c->offset + c->at) / ATA_SECTOR, c->ext);
    ata_finish(c, writing ? ATA_ABRT : ATA_UNC);
}

static bool data_over(AtaCommand *c)
{
    if (c->opcode == ATA_CMD_PACKET)
        return ata_cd_over(c);
    return ata_disk_over(c);
}

static bool failed(AtaCommand *c)
{
    if (c->opcode == ATA_CMD_PACKET)
        ata_cd_over(c);
    else
        media_error(c, c->flow == FLOW_WRITE);
    return false;
}

/* --- data by memory lists --- */

/* Cut the list to `bytes`. */
static const struct iovec *trim(AtaCommand *c, uint64_t bytes, int *n)
{
    c->trimmed = g_memdup2(c->vec.iov, c->vec.count * sizeof *c->vec.iov);
    for (*n = 0; bytes; bytes -= c->trimmed[(*n)++].iov_len)
        c->trimmed[*n].iov_len = MIN(c->trimmed[*n].iov_len, bytes);
    return c->trimmed;
}

static bool list_ended(AtaCommand *c)
{
    AtaDrive *a = c->a;

    drop_vec(c, 0);
    c->piece = 0;
    if (a->bus->ops->sata) {
        c->short_list = true;
        ata_finish(c, ATA_ABRT);
    } else {
        c->waiting = true;
        c->map_base = c->at;
        a->bus->ops->dma_short(a);
    }
    return false;
}

static bool refill(AtaCommand *c);

/* Copy between the drive's buffer and the list. */
static bool step_copy(AtaCommand *c)
{
    AtaDrive *a = c->a;
    bool in = c->flow != FLOW_OUT;

    if (c->at == c->bytes)
        return data_over(c);
    if (in && a->buf_at == a->data_len)
        return refill(c);
    uint64_t want = in ? a->data_len - a->buf_at : c->bytes - c->at;
    DmaVec v = { 0 };
    ++*a->bus->guard;
    uint64_t got = MIN(a->bus->ops->map(a, c, &v, c->at, want), want), left = got;
    for (unsigned i = 0; i < v.count && left; i++) {
        size_t n = MIN(v.iov[i].iov_len, left);
        if (in)
            memcpy(v.iov[i].iov_base, a->data + a->buf_at, n);
        else
            memcpy(a->data + a->buf_at, v.iov[i].iov_base, n);
        a->buf_at += (uint32_t)n;
        left -= n;
    }
    dma_vec_finish(&v, in ? got : 0);
    --*a->bus->guard;
    c->at += got;
    return got ? true : list_ended(c);
}

static bool step_list(AtaCommand *c)
{
    AtaDrive *a = c->a;
    unsigned sector = a->cd ? MMC_SECTOR : ATA_SECTOR;

    if (c->piece) {
        drop_vec(c, c->result || c->flow == FLOW_WRITE ? 0 : c->piece);
        if (c->result)
            return failed(c);
        c->at += c->piece;
        c->piece = 0;
    }
    if (c->at == c->bytes)
        return data_over(c);
    uint64_t want = MIN(c->bytes - c->at, PIECE_MAX);
    c->vec.iov = NULL;
    ++*a->bus->guard;
    uint64_t got = a->bus->ops->map(a, c, &c->vec, c->at, want);
    --*a->bus->guard;
    if (got < sector)
        return list_ended(c);
    c->piece = align_down(MIN(got, want), sector);
    int n = (int)c->vec.count;
    const struct iovec *iov = c->piece == got ? c->vec.iov : trim(c, c->piece, &n);
    return ata_go(c, c->flow == FLOW_READ ? BLK_READ : BLK_WRITE, c->offset + c->at, c->piece, iov, n);
}

/* --- data by the data port --- */

/* The buffer is empty: read the next block of sectors into it. */
static bool refill(AtaCommand *c)
{
    AtaDrive *a = c->a;

    if (!c->piece) {
        uint64_t sector = !a->cd ? ATA_SECTOR : a->cd_sector_bytes, left = (c->bytes - c->at) / sector;
        uint64_t most = a->cd ? ATA_BUFFER / MMC_RAW_SECTOR : MAX(c->drq, 1u);
        uint64_t n = MIN(left, most), medium = a->cd ? MMC_SECTOR : ATA_SECTOR;
        c->piece = n * medium;
        c->one = (struct iovec){ a->data, c->piece };
        a->r.status = ATA_BSY | ATA_DSC;
        return ata_go(c, BLK_READ, c->offset + c->at / sector * medium, c->piece, &c->one, 1);
    }
    if (c->result)
        return failed(c);
    a->data_len = (uint32_t)c->piece;
    a->buf_at = a->buf_end = 0;
    c->piece = 0;
    if (a->cd_raw) { /* from the last sector down: they grow */
        uint32_t n = a->data_len / MMC_SECTOR;
        for (uint32_t i = n; i-- > 0;) {
            uint8_t user[MMC_SECTOR];
            memcpy(user, a->data + (size_t)i * MMC_SECTOR, sizeof user);
            mmc_form_sector(a->cd_lba + i, a->cd_fields, user, a->data + (size_t)i * a->cd_sector_bytes);
        }
        a->cd_lba += n;
        a->data_len = n * a->cd_sector_bytes;
    }
    return true;
}

static void offer(AtaCommand *c, uint32_t block, bool interrupt)
{
    AtaDrive *a = c->a;

    a->buf_end = a->buf_at + block;
    a->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    a->bus->ops->data_ready(a, interrupt);
}

static uint32_t block_length(AtaCommand *c, uint64_t left)
{
    AtaDrive *a = c->a;
    bool multiple = c->flow == FLOW_READ || c->flow == FLOW_WRITE;

    if (a->cd && c->opcode == ATA_CMD_PACKET)
        return ata_cd_block(a, (uint32_t)MIN(left, ATA_BUFFER));
    return (uint32_t)MIN(left, multiple ? MAX(c->drq, 1u) * ATA_SECTOR : ATA_SECTOR);
}

static bool step_pio_in(AtaCommand *c)
{
    AtaDrive *a = c->a;

    if (c->at == c->bytes)
        return data_over(c);
    if (a->buf_at == a->data_len)
        return refill(c);
    offer(c, block_length(c, a->data_len - a->buf_at), true);
    return false;
}

static bool step_pio_out(AtaCommand *c)
{
    AtaDrive *a = c->a;

    if (c->piece) {
        c->piece = 0;
        if (c->result)
            return failed(c);
        c->at += a->data_len;
    }
    if (c->at == c->bytes)
        return data_over(c);
    if (c->flow == FLOW_WRITE)
        a->buf_at = 0;
    offer(c, block_length(c, c->bytes - c->at), c->at || c->opcode == ATA_CMD_PACKET);
    return false;
}

/* The buffer goes to the medium. */
static void write_block(AtaCommand *c)
{
    c->piece = c->a->data_len;
    c->one = (struct iovec){ c->a->data, c->piece };
    c->stepping = true;
    bool ended = ata_go(c, BLK_WRITE, c->offset + c->at, c->piece, &c->one, 1);
    c->stepping = false;
    if (ended)
        run(c);
}

/* The guest has moved the whole block. */
static void block_moved(AtaDrive *a)
{
    AtaCommand *c = &a->cmd;

    a->r.status = ATA_BSY | ATA_DSC;
    if (c->flow == FLOW_CDB) {
        memcpy(a->cdb, a->data, 12);
        memset(a->cdb + 12, 0, 4);
        c->flow = FLOW_NONE;
        ata_cd_cdb(a);
        return;
    }
    if (c->flow == FLOW_WRITE) {
        a->data_len = a->buf_end;
        write_block(c);
        return;
    }
    c->at = a->buf_end;
    run(c);
}

uint32_t ata_data_read(AtaDrive *a, unsigned size)
{
    AtaCommand *c = &a->cmd;
    uint32_t v = 0;

    if (a->quiescing || !(a->r.status & ATA_DRQ) || (c->flow != FLOW_READ && c->flow != FLOW_IN) || c->waiting || c->dma)
        return 0;
    uint32_t n = MIN(size, a->buf_end - a->buf_at);
    memcpy(&v, a->data + a->buf_at, n);
    a->buf_at += n;
    c->at += n;
    if (a->buf_at == a->buf_end) {
        a->r.status = ATA_BSY | ATA_DSC;
        run(c);
    }
    return GUINT32_FROM_LE(v);
}

void ata_data_write(AtaDrive *a, unsigned size, uint32_t value)
{
    AtaCommand *c = &a->cmd;

    if (a->quiescing || !(a->r.status & ATA_DRQ) || (c->flow != FLOW_CDB && (c->dma || (c->flow != FLOW_WRITE && c->flow != FLOW_OUT))) || c->waiting)
        return;
    uint32_t n = MIN(size, a->buf_end - a->buf_at), v = GUINT32_TO_LE(value);
    memcpy(a->data + a->buf_at, &v, n);
    a->buf_at += n;
    if (a->buf_at == a->buf_end)
        block_moved(a);
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
    AtaDrive *a = c->a;
    bool mapped = c->dma || a->bus->ops->sata;

    if (c->stage == STAGE_RANGES)
        return ata_disk_ranges(c);
    if (c->stage == STAGE_PLAIN)
        return step_plain(c);
    if (mapped && (c->flow == FLOW_IN || c->flow == FLOW_OUT || a->cd_raw))
        return c->piece ? refill(c) : step_copy(c);
    if (mapped)
        return step_list(c);
    if (c->flow == FLOW_WRITE || c->flow == FLOW_OUT)
        return step_pio_out(c);
    return c->piece ? refill(c) : step_pio_in(c);
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
        run(c);
}

void ata_start_stage(AtaCommand *c, AtaStage stage, BlkOp op)
{
    c->stage = stage;
    c->flow = FLOW_NONE;
    c->stepping = true;
    bool ended = ata_go(c, op, 0, 0, NULL, 0);
    c->stepping = false;
    if (ended)
        run(c);
}

void ata_dma_start(AtaDrive *a)
{
    AtaCommand *c = &a->cmd;

    if (a->quiescing || !c->active || !c->waiting)
        return;
    c->waiting = false;
    a->r.status = ATA_BSY | ATA_DSC;
    run(c);
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
    } else if (stage == STAGE_RANGES && !a->cd && c->flow == FLOW_OUT && a->buf_at >= 8 && !(a->buf_at % 8) && !(c->bytes % 8)) {
        a->buf_at -= 8; /* this range again */
        c->stage = STAGE_RANGES;
        run(c);
    } else if (stage == STAGE_DATA && c->flow == FLOW_WRITE && !c->dma && a->data_len && a->data_len <= c->bytes - c->at) {
        write_block(c);
    } else if (stage == STAGE_DATA && (c->flow == FLOW_READ || (c->flow == FLOW_WRITE && c->dma))) {
        run(c);
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

    drop_vec(c, 0);
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
        ata_finish(c, ATA_IDNF);
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
    a->cur_heads = (uint8_t)a->heads;
    a->cur_secs = (uint8_t)a->secs;
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
