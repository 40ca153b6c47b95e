/* SPDX-License-Identifier: MIT */
/* The data lines of an SD card: a buffer between the controller and the medium, one request at a time. */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/sd/sd-internal.h"

#define ERASE_CHUNK (UINT64_C(4) << 30)
enum { OPEN_READ = 16 << 10 };

bool sd_card_busy(const SdCard *c)
{
    return c->mode == MODE_ERASE || c->stopping || c->flush || (c->io && c->io != 1 + BLK_READ);
}

static void tell(SdCard *c)
{
    SdPort *p = c->bus ? c->bus->port : NULL;
    if (p && !c->quiet)
        sd_port_run(p);
}

/* left UINT64_MAX: until CMD12 */
static void advance(SdCard *c, uint64_t n)
{
    c->next += n;
    if (c->left != UINT64_MAX)
        c->left -= n;
}

static void submit(SdCard *c, BlkOp op, uint64_t offset, uint64_t bytes)
{
    c->io = (uint8_t)(1 + op);
    c->io_offset = offset;
    c->io_bytes = bytes;
    sd_submit_again(c);
}

static void done(DriveRequest *r, int error)
{
    SdCard *c = container_of(r, SdCard, request);
    BlkOp op = (BlkOp)(c->io - 1);
    c->io = 0;
    if (error) {
        c->failed = true;
        c->status |= op == BLK_READ ? CARD_ECC_FAILED : CARD_ERROR;
        c->left = 0;
        if (c->mode == MODE_READ_MEM)
            c->mode = MODE_NONE;
    } else if (op == BLK_READ && c->mode == MODE_READ_MEM && c->next >= c->io_offset &&
               c->next - c->io_offset < c->io_bytes) {
        c->pos = (uint32_t)(c->next - c->io_offset);
        c->len = c->pos + (uint32_t)MIN(c->io_bytes - c->pos, c->left);
        advance(c, c->len - c->pos);
    } else if (op == BLK_WRITE) {
        c->blocks_written += (uint32_t)(c->io_bytes / SD_BLOCK);
    }
    if (op == BLK_WRITE)
        c->pos = 0;
    sd_pump(c);
    tell(c);
}

bool sd_submit_again(SdCard *c)
{
    c->iov = (struct iovec){ c->buf, c->io_bytes };
    BlkOp op = (BlkOp)(c->io - 1);
    bool data = op == BLK_READ || op == BLK_WRITE;
    c->request = (DriveRequest){ .done = done,
                                 .blk = { .op = op,
                                          .offset = c->io_offset,
                                          .bytes = c->io_bytes,
                                          .iov = data ? &c->iov : NULL,
                                          .iovcnt = data,
                                          .flags = op == BLK_WRITE_ZEROES ? BLOCK_REQ_MAY_UNMAP : 0 } };
    drive_submit(&c->queue, &c->request);
    return true;
}

/*
 * What comes next, now that nothing is on its way. blk_submit() may call done() from inside: nothing is touched behind
 * submit().
 */
void sd_pump(SdCard *c)
{
    if (c->io || c->quiet)
        return;
    bool write = c->mode == MODE_WRITE_MEM || c->stopping,
         ending = c->stopping || c->mode == MODE_ERASE || (c->mode == MODE_WRITE_MEM && !c->left);
    if (c->mode == MODE_READ_MEM && c->pos == c->len && c->left) {
        uint64_t from = c->next & ~UINT64_C(511), more = MIN(c->left, SD_BUFFER) + (c->next - from);
        uint64_t wanted = c->left == UINT64_MAX ? OPEN_READ : (more + 511) & ~UINT64_C(511);
        if (c->next >= c->size) {
            c->failed = true; /* whoever wants more gets nothing */
            return;
        }
        submit(c, BLK_READ, from, MIN(MIN(wanted, SD_BUFFER), c->size - from));
    } else if (write && c->pos >= SD_BLOCK && (c->pos == SD_BUFFER || ending)) {
        uint32_t n = c->pos & ~511u; /* a piece of a block is not programmed */
        c->next += n;
        c->flush = true;
        submit(c, BLK_WRITE, c->next - n, n);
    } else if (c->mode == MODE_ERASE && c->left) {
        uint64_t n = MIN(c->left, ERASE_CHUNK), at = c->next;
        advance(c, n);
        c->flush = true;
        submit(c, BLK_WRITE_ZEROES, at, n);
    } else if (ending && c->flush) {
        c->flush = false; /* there is no cache that the guest could flush: what is programmed stays */
        submit(c, BLK_FLUSH, 0, 0);
    } else if (ending) {
        c->stopping = false;
        c->mode = MODE_NONE;
        c->pos = 0;
        if (c->state == SD_PRG || c->state == SD_DIS) /* 4.3.4 */
            c->state = c->state == SD_PRG ? SD_TRAN : SD_STBY;
    }
}

/* --- transfers --- */

static void begin(SdCard *c, SdMode mode, SdState state)
{
    c->mode = (uint8_t)mode;
    c->state = (uint8_t)state;
    c->pos = c->len = 0;
    c->failed = false;
}

void sd_start_read(SdCard *c, uint64_t at, uint64_t bytes)
{
    begin(c, MODE_READ_MEM, SD_DATA);
    c->next = at;
    c->left = bytes;
    sd_pump(c);
}

void sd_start_write(SdCard *c, uint64_t at, uint64_t bytes)
{
    begin(c, MODE_WRITE_MEM, SD_RCV);
    c->next = at;
    c->left = bytes;
    c->blocks_written = 0;
}

void sd_start_erase(SdCard *c, uint64_t at, uint64_t bytes)
{
    begin(c, MODE_ERASE, SD_PRG);
    c->next = at;
    c->left = bytes;
    sd_pump(c);
}

void sd_start_reg_read(SdCard *c, size_t len)
{
    begin(c, MODE_READ_REG, SD_DATA);
    c->len = (uint32_t)len;
}

void sd_start_reg_write(SdCard *c, uint8_t which, size_t len)
{
    begin(c, MODE_WRITE_REG, SD_RCV);
    c->written_reg = which;
    c->len = (uint32_t)len;
}

void sd_data_stop(SdCard *c)
{
    if (c->mode == MODE_WRITE_MEM) { /* a piece of a block is lost */
        c->stopping = true;
        c->state = SD_PRG;
        c->mode = MODE_NONE;
        sd_pump(c);
        return;
    }
    if (c->mode == MODE_READ_MEM || c->mode == MODE_READ_REG || c->mode == MODE_WRITE_REG) {
        c->mode = MODE_NONE;
        c->pos = c->len = 0;
    }
    if (c->state == SD_DATA || c->state == SD_RCV)
        c->state = SD_TRAN;
}

/* --- the controller's side --- */

static SdCard *card_of(const SdPort *p)
{
    SdBus *b = p->bus;
    return b && b->port == p && b->card && b->card->size ? b->card : NULL;
}

static size_t readable(const SdCard *c)
{
    return c->mode == MODE_READ_REG || (c->mode == MODE_READ_MEM && !c->io) ? c->len - c->pos : 0;
}

size_t sd_readable(const SdPort *p)
{
    SdCard *c = card_of(p);
    return c ? readable(c) : 0;
}

size_t sd_read(SdPort *p, void *buf, size_t len)
{
    SdCard *c = card_of(p);
    size_t n = c ? MIN(len, readable(c)) : 0;
    if (!n)
        return 0;
    memcpy(buf, (c->mode == MODE_READ_REG ? c->reg : c->buf) + c->pos, n);
    c->pos += (uint32_t)n;
    if (c->pos < c->len)
        return n;
    if (c->mode == MODE_READ_REG || !c->left) {
        c->mode = MODE_NONE;
        c->state = SD_TRAN;
    } else {
        sd_pump(c);
    }
    return n;
}

static size_t writable(const SdCard *c)
{
    if (c->mode == MODE_WRITE_REG)
        return c->len - c->pos;
    return c->mode == MODE_WRITE_MEM && !c->io && c->state == SD_RCV ? MIN(SD_BUFFER - c->pos, c->left) : 0;
}

size_t sd_writable(const SdPort *p)
{
    SdCard *c = card_of(p);
    return c && !c->failed ? writable(c) : 0;
}

size_t sd_write(SdPort *p, const void *buf, size_t len)
{
    SdCard *c = card_of(p);
    size_t n = c && !c->failed ? MIN(len, writable(c)) : 0;
    if (!n)
        return 0;
    memcpy((c->mode == MODE_WRITE_REG ? c->reg : c->buf) + c->pos, buf, n);
    c->pos += (uint32_t)n;
    if (c->mode == MODE_WRITE_REG) {
        if (c->pos == c->len) {
            c->mode = MODE_NONE;
            c->state = SD_TRAN;
            sd_reg_written(c);
        }
        return n;
    }
    if (c->left != UINT64_MAX)
        c->left -= n;
    if (c->next + c->pos > c->size) {
        c->status |= CARD_OUT_OF_RANGE;
        c->failed = true;
        c->pos = (uint32_t)(c->size - c->next);
    }
    if (!c->left)
        c->state = SD_PRG;
    sd_pump(c);
    return n;
}

bool sd_busy(const SdPort *p)
{
    SdCard *c = card_of(p);
    return c && sd_card_busy(c);
}

bool sd_failed(const SdPort *p)
{
    SdCard *c = card_of(p);
    return !c || c->failed;
}

bool sd_present(const SdPort *p) { return card_of(p) != NULL; }
bool sd_readonly(const SdPort *p)
{
    SdCard *c = card_of(p);
    return c && !blk_writable(c->blk);
}

/* --- held requests: they say everything in the card's state --- */

static void save(DriveRequest *r, GByteArray *out) { g_byte_array_append(out, (const uint8_t *)"", 1); }
static bool restart(Device *d, const uint8_t *bytes, size_t len)
{
    SdCard *c = (SdCard *)d;
    return c->io && sd_submit_again(c);
}
static void drop(DriveRequest *r) { container_of(r, SdCard, request)->io = 0; }
const DriveQueueOps sd_queue_ops = { .save = save, .restart = restart, .drop = drop };
