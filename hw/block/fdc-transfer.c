/* SPDX-License-Identifier: MIT */
/* Floppy disk controller: commands that move data, a sector at a time (Intel 82078, section 6.1). */
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "hw/block/fdc.h"

FdcTransfer fdc_transfer_of(uint8_t opcode)
{
    switch (opcode & 0x1f) {
    case 0x02: return FDC_READ_TRACK;
    case 0x0c: return FDC_READ_DELETED;
    case 0x05: case 0x09: return FDC_WRITE;
    case 0x0d: return FDC_FORMAT;
    case 0x16: return FDC_VERIFY;
    case 0x11: return FDC_SCAN_EQUAL;
    case 0x19: return FDC_SCAN_LOW;
    case 0x1d: return FDC_SCAN_HIGH;
    default: return FDC_READ;
    }
}

static FdcTransfer kind_of(const Fdc *f) { return fdc_transfer_of(f->fifo[0]); }
static bool is_scan(FdcTransfer t) { return t >= FDC_SCAN_EQUAL; }
static bool by_dma(const Fdc *f) { return f->has_dma && !(f->specify2 & 1) && f->dor & 8; }
static void run(Fdc *f);

/* --- the end --- */

void fdc_result(Fdc *f, uint8_t st0)
{
    uint8_t result[7] = { (uint8_t)(st0 | f->head << 2 | f->drive), f->st1, f->st2, f->c, f->h, f->r, f->n };
    if (f->has_dma)
        isa_dma_request(&f->dev, f->dma, false);
    memcpy(f->fifo, result, sizeof result);
    f->at = 0;
    f->len = sizeof result;
    f->phase = FDC_RESULT;
    fdc_interrupt(f, true);
}

static void fail(Fdc *f, uint8_t st1, uint8_t st2)
{
    f->st1 |= st1;
    f->st2 |= st2;
    fdc_result(f, ST0_ABNORMAL);
}

/* To the sector behind this one. True: the cylinder ends here. */
static bool advance(Fdc *f)
{
    if (f->r != f->eot) {
        f->r++;
        return false;
    }
    f->r = 1;
    if (f->multi) {
        f->head ^= 1;
        f->h ^= 1;
        if (f->head)
            return false;
    }
    f->c++;
    return true;
}

/* A sector is done with. */
static void sector_done(Fdc *f)
{
    FdcTransfer t = kind_of(f);
    uint8_t head = f->head;
    f->phase = FDC_COMMAND;
    if (t == FDC_FORMAT) {
        if (++f->r >= f->eot || f->ended)
            fdc_result(f, 0);
        else
            run(f);
        return;
    }
    if (t == FDC_READ_DELETED) { /* what is there is no deleted data */
        f->st2 |= ST2_CONTROL_MARK;
        f->ended = true;
    }
    bool end = advance(f);
    if (t == FDC_VERIFY && f->fifo[1] & 0x80)
        f->ended = !--f->verify_left;
    bool good = f->ended || (end && (t == FDC_VERIFY || !by_dma(f)));
    if (good || end) {
        f->head = head; /* of the sector that was moved */
        f->st1 |= good ? 0 : ST1_END;
        fdc_result(f, good ? 0 : ST0_ABNORMAL);
    } else {
        run(f);
    }
}

/* --- the disk --- */

static void disk_done(DriveRequest *req, int error)
{
    Fdc *f = container_of(req, Fdc, req);
    if (f->phase != FDC_READING && f->phase != FDC_WRITING) /* reset meanwhile */
        return;
    if (error) {
        fail(f, error == -EROFS ? ST1_NOT_WRITABLE : ST1_DATA_ERROR, error == -EROFS ? 0 : ST2_DATA_ERROR);
    } else if (f->phase == FDC_WRITING || kind_of(f) == FDC_VERIFY) {
        sector_done(f);
    } else {
        f->phase = is_scan(kind_of(f)) ? FDC_FROM_HOST : FDC_TO_HOST;
        run(f);
    }
}

static void submit(Fdc *f, FdcPhase phase)
{
    Floppy *d = fdc_drive(f, f->drive);
    uint64_t offset;
    unsigned track = d ? d->track : 0;
    bool format = kind_of(f) == FDC_FORMAT;
    if (!d || !floppy_sector(d, track, f->head, format ? f->n : f->r, &offset)) {
        if (format) /* a track that the image has no room for */
            sector_done(f);
        else
            fail(f, ST1_NO_DATA, 0);
        return;
    }
    f->phase = (uint8_t)phase;
    f->data_at = 0;
    f->data_len = FDC_SECTOR;
    f->iov = (struct iovec){ f->data, FDC_SECTOR };
    f->req = (DriveRequest){ .blk = { .op = phase == FDC_READING ? BLK_READ : BLK_WRITE,
                                      .offset = offset,
                                      .bytes = FDC_SECTOR,
                                      .iov = &f->iov,
                                      .iovcnt = 1 },
                             .done = disk_done };
    drive_submit(&d->queue, &f->req);
}

void fdc_transfer_restart(Fdc *f) { submit(f, f->phase); }

void fdc_transfer_abort(Fdc *f)
{
    Floppy *d = fdc_drive(f, f->drive);
    bool busy = f->phase == FDC_READING || f->phase == FDC_WRITING;
    f->phase = FDC_COMMAND;
    f->at = f->len = 0;
    if (f->has_dma)
        isa_dma_request(&f->dev, f->dma, false);
    if (busy && d && d->queue.blk && !drive_release(&d->queue, &f->req))
        drive_settle(&d->queue);
    f->phase = FDC_COMMAND;
}

/* --- the host --- */

/* Disk against host: true: what SCAN looks for. 0xff of the host matches all. */
static void scan(Fdc *f, const uint8_t *host, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        uint8_t disk = f->data[f->data_at + i];
        if (host[i] == 0xff || host[i] == disk)
            continue;
        f->st2 &= (uint8_t)~ST2_SCAN_HIT;
        if (kind_of(f) == FDC_SCAN_EQUAL || (kind_of(f) == FDC_SCAN_LOW ? disk > host[i] : disk < host[i]))
            f->st2 |= ST2_SCAN_NOT;
    }
}

/* All of data[] is moved, or the terminal count has come. */
static void data_moved(Fdc *f)
{
    FdcTransfer t = kind_of(f);
    if (f->has_dma)
        isa_dma_request(&f->dev, f->dma, false);
    if (!by_dma(f))
        fdc_interrupt(f, false);
    if (t == FDC_WRITE) {
        memset(f->data + f->data_at, 0, FDC_SECTOR - f->data_at);
        submit(f, FDC_WRITING);
    } else if (t == FDC_FORMAT && f->data_at < 4) {
        fdc_result(f, 0);
    } else if (t == FDC_FORMAT) {
        f->c = f->data[0];
        f->n = f->data[2]; /* the sector's number, until it is written */
        memset(f->data, f->fifo[5], FDC_SECTOR);
        submit(f, FDC_WRITING);
    } else if (is_scan(t) && !(f->st2 & ST2_SCAN_NOT)) {
        f->ended = true; /* found: this sector is the one */
        fdc_result(f, 0);
    } else {
        if (is_scan(t) && !f->ended)
            f->st2 &= (uint8_t)~ST2_SCAN_NOT;
        sector_done(f);
    }
}

void fdc_dma_ready(void *opaque)
{
    Fdc *f = opaque;
    bool to_host = f->phase == FDC_TO_HOST, end;
    if (!to_host && f->phase != FDC_FROM_HOST) {
        isa_dma_request(&f->dev, f->dma, false);
        return;
    }
    uint8_t host[FDC_SECTOR], *at = is_scan(kind_of(f)) ? host : f->data + f->data_at;
    unsigned moved = isa_dma_move(&f->dev, f->dma, at, (unsigned)(f->data_len - f->data_at), to_host, &end);
    if (at == host)
        scan(f, host, moved);
    f->data_at = (uint16_t)(f->data_at + moved);
    f->ended |= end;
    if (end || f->data_at == f->data_len)
        data_moved(f);
}

void fdc_transfer_give(Fdc *f, uint8_t v)
{
    if (is_scan(kind_of(f)))
        scan(f, &v, 1);
    else
        f->data[f->data_at] = v;
    f->data_at++;
    fdc_transfer_byte_taken(f);
}

void fdc_transfer_byte_taken(Fdc *f)
{
    if (f->data_at == f->data_len)
        data_moved(f);
}

/* --- sector after sector --- */

/* What the controller finds when it looks for the sector: ST1 and ST2, 0: it is there. */
static bool sector_missing(Fdc *f, uint8_t *st1, uint8_t *st2)
{
    const Floppy *d = fdc_drive(f, f->drive);
    const FloppyFormat *format = d ? floppy_format(d) : NULL;
    uint64_t offset;
    *st1 = *st2 = 0;
    if (!format || (d->check_rate && format->rate != fdc_rate(f)))
        *st1 = ST1_MISSING_MARK;
    else if (f->c != d->track)
        *st1 = ST1_NO_DATA, *st2 = ST2_WRONG_CYLINDER;
    else if (f->h != f->head || f->n != 2 || !floppy_sector(d, f->c, f->head, f->r, &offset))
        *st1 = ST1_NO_DATA;
    return *st1;
}

static void step(Fdc *f)
{
    FdcTransfer t = kind_of(f);
    uint8_t st1, st2;
    if (f->phase == FDC_COMMAND) { /* the next sector */
        if (t == FDC_FORMAT) {
            f->phase = FDC_FROM_HOST;
            f->data_len = 4;
        } else if (sector_missing(f, &st1, &st2)) {
            fail(f, st1, st2);
        } else if (t == FDC_WRITE) {
            f->phase = FDC_FROM_HOST;
            f->data_len = FDC_SECTOR;
        } else {
            submit(f, FDC_READING);
            return;
        }
        f->data_at = 0;
    }
    if (f->phase != FDC_FROM_HOST && f->phase != FDC_TO_HOST)
        return;
    if (by_dma(f))
        isa_dma_request(&f->dev, f->dma, true);
    else
        fdc_interrupt(f, true);
}

/* Not deeper for each sector, though requests and DMA may end at once. */
static void run(Fdc *f)
{
    f->again = true;
    if (f->running)
        return;
    f->running = true;
    while (f->again) {
        f->again = false;
        step(f);
    }
    f->running = false;
}

void fdc_transfer_start(Fdc *f)
{
    const uint8_t *b = f->fifo;
    FdcTransfer t = kind_of(f);
    Floppy *d;
    f->drive = b[1] & 3;
    f->head = b[1] >> 2 & 1;
    f->st1 = f->st2 = 0;
    f->ended = false;
    f->multi = b[0] & 0x80 && t != FDC_READ_TRACK && t != FDC_FORMAT;
    f->phase = FDC_COMMAND;
    d = fdc_drive(f, f->drive);
    if (t == FDC_FORMAT) {
        f->c = d ? d->track : 0;
        f->h = f->head;
        f->r = 0; /* sectors done */
        f->n = b[2];
        f->eot = b[3];
    } else {
        f->c = b[2];
        f->h = b[3];
        f->r = t == FDC_READ_TRACK ? 1 : b[4];
        f->n = b[5];
        f->eot = b[6];
        f->verify_left = b[8] ? b[8] : 256;
        f->st2 = is_scan(t) ? ST2_SCAN_HIT : 0;
    }
    if (d && f->config & 0x40 && t != FDC_FORMAT) /* implied seek */
        d->track = f->c;
    if (!d || !floppy_ready(d))
        fail(f, ST1_MISSING_MARK, 0);
    else if ((t == FDC_WRITE || t == FDC_FORMAT) && !blk_writable(d->blk))
        fail(f, ST1_NOT_WRITABLE, 0);
    else if (t == FDC_FORMAT && !f->eot)
        fdc_result(f, 0);
    else
        run(f);
}

void fdc_read_id(Fdc *f)
{
    f->drive = f->fifo[1] & 3;
    f->head = f->fifo[1] >> 2 & 1;
    f->st1 = f->st2 = 0;
    const Floppy *d = fdc_drive(f, f->drive);
    const FloppyFormat *format = d ? floppy_format(d) : NULL;
    f->c = d ? d->track : 0;
    f->h = f->head;
    f->n = 2;
    if (!format || (d->check_rate && format->rate != fdc_rate(f)) || f->c >= format->tracks ||
        f->head >= format->heads) {
        fail(f, ST1_MISSING_MARK, 0);
        return;
    }
    f->r = (uint8_t)(f->r % format->sectors + 1); /* the disk turns */
    fdc_result(f, 0);
}
