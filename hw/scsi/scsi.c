/* SPDX-License-Identifier: MIT */
/* SCSI requests: from an adapter to a logical unit and back, unit attentions, sense (SAM-5, SPC-4). */
#include "hw/scsi/scsi-internal.h"
#include <errno.h>
#include "base/bits.h"

enum { INQUIRY = 0x12, REQUEST_SENSE = 0x03, REPORT_LUNS = 0xa0 };

/* --- sense --- */

void scsi_sense_fixed(uint32_t sense, uint8_t *out)
{
    memset(out, 0, 18);
    out[0] = 0x70;
    out[2] = (uint8_t)(sense >> 16);
    out[7] = 10;
    out[12] = (uint8_t)(sense >> 8);
    out[13] = (uint8_t)sense;
}

void scsi_attention(ScsiDevice *d, uint32_t sense)
{
    unsigned free_slot = SCSI_ATTENTIONS - 1;
    for (unsigned i = SCSI_ATTENTIONS; i-- > 0;) {
        if (d->attention[i] == sense)
            return;
        if (!d->attention[i])
            free_slot = i;
    }
    d->attention[free_slot] = sense;
    if (d->bus && d->bus->host->changed && sense >> 8 != SENSE_POWER_ON >> 8)
        d->bus->host->changed(d->bus, d, sense);
}

/* A reset says all that came before (SAM-5, 5.14.3). */
static void reset_attention(ScsiDevice *d, uint32_t sense)
{
    memset(d->attention, 0, sizeof d->attention);
    d->attention[0] = sense;
    d->pending = 0;
}

uint32_t scsi_take_attention(ScsiDevice *d)
{
    uint32_t sense = d->attention[0];
    memmove(d->attention, d->attention + 1, sizeof d->attention - sizeof d->attention[0]);
    d->attention[SCSI_ATTENTIONS - 1] = 0;
    return sense;
}

/* --- life of a request --- */

ScsiRequest *scsi_request_new(ScsiBus *b, uint32_t channel, uint32_t target, uint32_t lun, const uint8_t *cdb, unsigned cdb_len, uint64_t tag, void *hba)
{
    if (!scsi_target_exists(b, channel, target))
        return NULL;
    ScsiRequest *r = g_new0(ScsiRequest, 1);
    *r = (ScsiRequest){ .bus = b, .hba = hba, .tag = tag, .channel = channel, .target = target, .lun = lun };
    memcpy(r->cdb, cdb, MIN(cdb_len, SCSI_CDB_MAX));
    r->dev = scsi_find(b, channel, target, lun);
    if (r->dev && !r->dev->ready)
        r->dev = NULL;
    r->dir = SCSI_FROM_DEVICE;
    switch (r->cdb[0]) {
    case REPORT_LUNS: r->xfer = load_be(r->cdb + 6, 4); break;
    case REQUEST_SENSE: r->xfer = r->cdb[4]; break;
    case INQUIRY: r->xfer = load_be(r->cdb + 3, 2); break;
    default:
        r->dir = SCSI_NO_DATA;
        if (r->dev)
            ((const ScsiDeviceInfo *)r->dev->dev.type->class_data)->parse(r);
    }
    if (!r->xfer)
        r->dir = SCSI_NO_DATA;
    return r;
}

void scsi_request_free(ScsiRequest *r)
{
    g_assert(!r->counted);
    g_free(r->own_iov);
    g_free(r->buf);
    g_free(r);
}

static const ScsiDeviceInfo *info_of(const ScsiDevice *d) { return d->dev.type->class_data; }

void scsi_done(ScsiRequest *r, uint8_t status)
{
    r->status = r->cancelled ? SCSI_TASK_ABORTED : status;
    if (r->counted) {
        *r->prev = r->next;
        if (r->next)
            r->next->prev = r->prev;
        r->counted = false;
    }
    ScsiBus *b = r->bus;
    scsi_tasks_request_ended(b, r);
    b->host->complete(r);
}

void scsi_fail_info(ScsiRequest *r, uint32_t sense, uint64_t information)
{
    scsi_sense_fixed(sense, r->sense);
    if (information <= UINT32_MAX) {
        r->sense[0] |= 0x80;
        store_be(r->sense + 3, 4, information);
    }
    r->sense_len = 18;
    r->done_bytes = 0;
    if (r->dev && r->bus->host->no_autosense)
        r->dev->pending = sense;
    scsi_done(r, SCSI_CHECK_CONDITION);
}

void scsi_fail(ScsiRequest *r, uint32_t sense) { scsi_fail_info(r, sense, UINT64_MAX); }

/* --- data --- */

static size_t copy(const ScsiRequest *r, uint64_t skip, void *data, size_t len, bool to_initiator)
{
    size_t done = 0;
    for (int i = 0; i < r->iovcnt && done < len; i++) {
        if (skip >= r->iov[i].iov_len) {
            skip -= r->iov[i].iov_len;
            continue;
        }
        size_t n = MIN(r->iov[i].iov_len - skip, len - done);
        uint8_t *there = (uint8_t *)r->iov[i].iov_base + skip, *here = (uint8_t *)data + done;
        memcpy(to_initiator ? there : here, to_initiator ? here : there, n);
        done += n;
        skip = 0;
    }
    return done;
}

size_t scsi_take(const ScsiRequest *r, uint64_t skip, void *data, size_t len) { return copy(r, skip, data, len, false); }

size_t scsi_give(const ScsiRequest *r, uint64_t skip, const void *data, size_t len) { return copy(r, skip, (void *)data, len, true); }

void scsi_reply(ScsiRequest *r, const void *data, size_t len)
{
    r->done_bytes = copy(r, 0, (void *)data, MIN(len, r->xfer), true);
    scsi_done(r, SCSI_GOOD);
}

static void block_done(BlkRequest *blk, int error)
{
    ScsiRequest *r = blk->opaque;
    LockDomain *domain = r->bus->bus.parent->domain;
    lock_domain_lock(domain);
    r->step(r, error);
    lock_domain_unlock(domain);
}

void scsi_submit_buf(ScsiRequest *r, BlockBackend *b, BlkOp op, uint64_t offset, void *buf, uint64_t bytes, unsigned flags,
                     void (*step)(ScsiRequest *r, int error))
{
    g_free(r->own_iov);
    r->own_iov = g_new(struct iovec, 1);
    *r->own_iov = (struct iovec){ buf, bytes };
    r->step = step;
    r->blk = (BlkRequest){ .op = op, .flags = flags, .offset = offset, .bytes = bytes, .iov = r->own_iov, .iovcnt = 1, .done = block_done, .opaque = r };
    blk_submit(b, &r->blk);
}

/* [skip, skip + bytes) of the initiator's buffer; its own list when that is all of it. */
static void set_data(ScsiRequest *r, uint64_t skip, uint64_t bytes)
{
    r->blk.iov = r->iov;
    r->blk.iovcnt = r->iovcnt;
    if (!skip && bytes == r->room)
        return;
    g_free(r->own_iov);
    r->own_iov = g_new(struct iovec, MAX(r->iovcnt, 1));
    int n = 0;
    for (int i = 0; i < r->iovcnt && bytes; i++) {
        if (skip >= r->iov[i].iov_len) {
            skip -= r->iov[i].iov_len;
            continue;
        }
        size_t piece = MIN(r->iov[i].iov_len - skip, bytes);
        r->own_iov[n++] = (struct iovec){ (uint8_t *)r->iov[i].iov_base + skip, piece };
        bytes -= piece;
        skip = 0;
    }
    r->blk.iov = r->own_iov;
    r->blk.iovcnt = n;
}

void scsi_submit(ScsiRequest *r, BlockBackend *b, BlkOp op, uint64_t offset, uint64_t bytes, uint64_t skip, unsigned flags,
                 void (*step)(ScsiRequest *r, int error))
{
    r->step = step;
    r->blk = (BlkRequest){ .op = op, .flags = flags, .offset = offset, .bytes = bytes, .done = block_done, .opaque = r };
    if (op == BLK_READ || op == BLK_WRITE)
        set_data(r, skip, bytes);
    blk_submit(b, &r->blk);
}

/* --- commands that need no particular logical unit --- */

static void report_luns(ScsiRequest *r)
{
    uint8_t list[8 + 8 * (SCSI_LUNS_MAX + 1)] = { 0 };
    unsigned n = 0;
    if (r->cdb[2] > 2 || r->xfer < 16) {
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    bool any = false;
    for (unsigned pass = 0; pass < 2 && r->cdb[2] != 1; pass++) { /* LUN 0 is always in it, first */
        for (unsigned i = 0; i < r->bus->devices->len && n < SCSI_LUNS_MAX; i++) {
            const ScsiDevice *d = r->bus->devices->pdata[i];
            if (d->channel != r->channel || (uint32_t)d->id != r->target)
                continue;
            any |= !d->lun;
            if (!pass)
                continue;
            if (!n && !any)
                n++;
            uint8_t *e = list + 8 + 8 * n++;
            if (d->lun < 256)
                e[1] = (uint8_t)d->lun;
            else
                store_be(e, 2, 0x4000u | (uint32_t)d->lun); /* flat addressing */
        }
    }
    if (r->dev) { /* that it changed has been noticed now */
        for (unsigned i = 0; i < SCSI_ATTENTIONS; i++) {
            if (r->dev->attention[i] == SENSE_LUNS_CHANGED) {
                memmove(r->dev->attention + i, r->dev->attention + i + 1, (SCSI_ATTENTIONS - 1 - i) * sizeof(uint32_t));
                r->dev->attention[SCSI_ATTENTIONS - 1] = 0;
            }
        }
    }
    store_be(list, 4, 8 * n);
    scsi_reply(r, list, 8 + 8 * n);
}

/* Not a failure: the sense is the data (SPC-4, 6.39). */
static void request_sense(ScsiRequest *r)
{
    uint8_t data[18];
    uint32_t sense = SENSE_LUN_NOT_SUPPORTED;
    if (r->dev) {
        sense = r->dev->pending ? r->dev->pending : scsi_take_attention(r->dev);
        r->dev->pending = 0;
    }
    if (r->cdb[1] & 1) { /* descriptor format */
        const uint8_t d[8] = { 0x72, (uint8_t)(sense >> 16), (uint8_t)(sense >> 8), (uint8_t)sense };
        scsi_reply(r, d, sizeof d);
        return;
    }
    scsi_sense_fixed(sense, data);
    scsi_reply(r, data, sizeof data);
}

bool scsi_common_command(ScsiRequest *r)
{
    if (r->cdb[0] == REPORT_LUNS)
        report_luns(r);
    else if (r->cdb[0] == REQUEST_SENSE)
        request_sense(r);
    else
        return false;
    return true;
}

static void absent_lun(ScsiRequest *r)
{
    static const uint8_t inquiry[36] = { 0x7f, 0, 5, 2, 31 }; /* no device can be here */
    if (r->cdb[0] == INQUIRY && !(r->cdb[1] & 3))
        scsi_reply(r, inquiry, sizeof inquiry);
    else if (!scsi_common_command(r))
        scsi_fail(r, SENSE_LUN_NOT_SUPPORTED);
}

/* Commands that a unit attention does not stop (SPC-4, 5.14.1; MMC-6, 4.2.8). */
static bool tells_attention(const ScsiRequest *r)
{
    switch (r->cdb[0]) {
    case INQUIRY: case REQUEST_SENSE: case REPORT_LUNS: case 0x46: case 0x4a: return false;
    default: return true;
    }
}

void scsi_request_run(ScsiRequest *r, const struct iovec *iov, int iovcnt)
{
    ScsiBus *b = r->bus;
    r->iov = iov;
    r->iovcnt = iovcnt;
    r->room = 0;
    for (int i = 0; i < iovcnt; i++)
        r->room += iov[i].iov_len;
    r->next = b->running;
    r->prev = &b->running;
    if (r->next)
        r->next->prev = &r->next;
    b->running = r;
    r->counted = true;
    if (r->xfer > r->room) {
        r->overrun = true;
        scsi_done(r, SCSI_GOOD);
        return;
    }
    if (!r->dev) {
        absent_lun(r);
        return;
    }
    if (r->cdb[0] != REQUEST_SENSE)
        r->dev->pending = 0;
    if (r->dev->attention[0] && tells_attention(r))
        scsi_fail(r, scsi_take_attention(r->dev));
    else if (!scsi_common_command(r))
        info_of(r->dev)->run(r);
}

void scsi_request_cancel(ScsiRequest *r)
{
    if (r->counted)
        r->cancelled = true;
}

/* --- resets --- */

void scsi_reset_unit(ScsiDevice *d, uint32_t sense)
{
    reset_attention(d, sense);
    info_of(d)->reset(d);
}
