/* SPDX-License-Identifier: MIT */
/* ATA drives: the data phases of a command, by memory lists and by the data port. */
#include <string.h>
#include "base/bits.h"
#include "hw/ide/ata.h"

enum { PIECE_MAX = 4 << 20 };

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

    ata_drop_vec(c, 0);
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
        return ata_data_over(c);
    if (in && a->buf_at == a->data_len)
        return refill(c);
    uint64_t want = in ? a->data_len - a->buf_at : c->bytes - c->at;
    DmaVec v = { 0 };
    ++*a->bus->guard;
    uint64_t mapped = a->bus->ops->map(a, c, &v, c->at, want), got = MIN(mapped, want), left = got;
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
        ata_drop_vec(c, c->result || c->flow == FLOW_WRITE ? 0 : c->piece);
        if (c->result)
            return ata_data_failed(c);
        c->at += c->piece;
        c->piece = 0;
    }
    if (c->at == c->bytes)
        return ata_data_over(c);
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
        return ata_data_failed(c);
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
        return ata_data_over(c);
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
            return ata_data_failed(c);
        c->at += a->data_len;
    }
    if (c->at == c->bytes)
        return ata_data_over(c);
    if (c->flow == FLOW_WRITE)
        a->buf_at = 0;
    offer(c, block_length(c, c->bytes - c->at), c->at || c->opcode == ATA_CMD_PACKET);
    return false;
}

/* The buffer goes to the medium. */
void ata_write_block(AtaCommand *c)
{
    c->piece = c->a->data_len;
    c->one = (struct iovec){ c->a->data, c->piece };
    c->stepping = true;
    bool ended = ata_go(c, BLK_WRITE, c->offset + c->at, c->piece, &c->one, 1);
    c->stepping = false;
    if (ended)
        ata_run(c);
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
        ata_write_block(c);
        return;
    }
    c->at = a->buf_end;
    ata_run(c);
}

uint32_t ata_data_read(AtaDrive *a, unsigned size)
{
    AtaCommand *c = &a->cmd;
    uint32_t v = 0;

    if (a->quiescing || !(a->r.status & ATA_DRQ) || (c->flow != FLOW_READ && c->flow != FLOW_IN) || c->waiting ||
        c->dma)
        return 0;
    uint32_t n = MIN(size, a->buf_end - a->buf_at);
    memcpy(&v, a->data + a->buf_at, n);
    a->buf_at += n;
    c->at += n;
    if (a->buf_at == a->buf_end) {
        a->r.status = ATA_BSY | ATA_DSC;
        ata_run(c);
    }
    return GUINT32_FROM_LE(v);
}

void ata_data_write(AtaDrive *a, unsigned size, uint32_t value)
{
    AtaCommand *c = &a->cmd;

    if (a->quiescing || !(a->r.status & ATA_DRQ) ||
        (c->flow != FLOW_CDB && (c->dma || (c->flow != FLOW_WRITE && c->flow != FLOW_OUT))) || c->waiting)
        return;
    uint32_t n = MIN(size, a->buf_end - a->buf_at), v = GUINT32_TO_LE(value);
    memcpy(a->data + a->buf_at, &v, n);
    a->buf_at += n;
    if (a->buf_at == a->buf_end)
        block_moved(a);
}

bool ata_data_step(AtaCommand *c)
{
    AtaDrive *a = c->a;
    bool mapped = c->dma || a->bus->ops->sata;

    if (mapped && (c->flow == FLOW_IN || c->flow == FLOW_OUT || a->cd_raw))
        return c->piece ? refill(c) : step_copy(c);
    if (mapped)
        return step_list(c);
    if (c->flow == FLOW_WRITE || c->flow == FLOW_OUT)
        return step_pio_out(c);
    return c->piece ? refill(c) : step_pio_in(c);
}
