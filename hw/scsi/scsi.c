/* SPDX-License-Identifier: MIT */
/* SCSI requests: from an adapter to a logical unit and back, unit attentions, sense (SAM-5, SPC-4). */
#include "hw/scsi/scsi-internal.h"
#include <errno.h>
#include "base/bits.h"
#include "base/iov.h"

enum { INQUIRY = 0x12, REQUEST_SENSE = 0x03, REPORT_LUNS = 0xa0 };

/* --- unit attentions --- */

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

ScsiRequest *scsi_request_new(ScsiBus *b, uint32_t channel, uint32_t target, uint32_t lun, const uint8_t *cdb,
                              unsigned cdb_len, uint64_t tag, void *hba)
{
    if (!scsi_target_exists(b, channel, target))
        return NULL;
    ScsiRequest *r = g_new0(ScsiRequest, 1);
    *r = (ScsiRequest){ .bus = b, .hba = hba, .tag = tag, .channel = channel, .target = target, .lun = lun };
    memcpy(r->cdb, cdb, MIN(cdb_len, SCSI_CDB_MAX));
    r->dev = scsi_find(b, channel, target, lun);
    if (r->dev && !r->dev->ready)
        r->dev = NULL;
    r->again = b->restarting;
    r->stage = b->restarting ? b->restarting - 1 : 0;
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

static void unmap(ScsiRequest *r, uint64_t written)
{
    if (r->mapped)
        dma_vec_finish(&r->data, r->data.to_memory ? written : 0);
    r->mapped = false;
}

void scsi_request_free(ScsiRequest *r)
{
    g_assert(!r->counted);
    unmap(r, 0);
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
    unmap(r, b->dropping ? 0 : r->done_bytes);
    (b->dropping ? b->host->drop : b->host->complete)(r);
}

void scsi_fail_sense(ScsiRequest *r, const uint8_t *data, size_t len)
{
    r->sense_len = (uint8_t)MIN(len, sizeof r->sense);
    memcpy(r->sense, data, r->sense_len);
    r->done_bytes = 0;
    if (r->dev && r->bus->host->no_autosense && !r->cancelled)
        r->dev->pending = spc_sense_parse(data, r->sense_len);
    scsi_done(r, SCSI_CHECK_CONDITION);
}

void scsi_fail_info(ScsiRequest *r, uint32_t sense, uint64_t information)
{
    uint8_t data[SPC_SENSE_BYTES];
    spc_sense_fixed(sense, data);
    if (information <= UINT32_MAX) {
        data[0] |= 0x80;
        store_be(data + 3, 4, information);
    }
    scsi_fail_sense(r, data, sizeof data);
}

void scsi_fail(ScsiRequest *r, uint32_t sense) { scsi_fail_info(r, sense, UINT64_MAX); }

void scsi_fail_io(ScsiRequest *r, int error, uint32_t block)
{
    bool read = r->req.blk.op == BLK_READ;
    uint32_t sense = error == -ENOMEDIUM                  ? SENSE_NO_MEDIUM
                     : error == -ENOSPC                   ? SENSE_SPACE_FULL
                     : error == -ENOMEM                   ? SENSE_TARGET_FAILURE
                     : error == -EROFS || error == -EPERM ? SENSE_WRITE_PROTECTED
                     : read                               ? SENSE_READ_ERROR
                                                          : SENSE_WRITE_ERROR;
    if (sense == SENSE_READ_ERROR || sense == SENSE_WRITE_ERROR)
        scsi_fail_info(r, sense, r->req.blk.offset / block);
    else
        scsi_fail(r, sense);
}

/* --- data --- */

size_t scsi_take(const ScsiRequest *r, uint64_t skip, void *data, size_t len)
{
    size_t n = MIN(len, r->room - MIN(skip, r->room));
    iov_to_buf(r->iov, r->iovcnt, skip, data, n);
    return n;
}

size_t scsi_give(const ScsiRequest *r, uint64_t skip, const void *data, size_t len)
{
    size_t n = MIN(len, r->room - MIN(skip, r->room));
    iov_from_buf(r->iov, r->iovcnt, skip, data, n);
    return n;
}

void scsi_reply(ScsiRequest *r, const void *data, size_t len)
{
    r->done_bytes = scsi_give(r, 0, data, MIN(len, r->xfer));
    scsi_done(r, SCSI_GOOD);
}

static void drive_done(DriveRequest *req, int error)
{
    ScsiRequest *r = container_of(req, ScsiRequest, req);
    r->step(r, error);
}

static void prepare(ScsiRequest *r, BlkOp op, uint64_t offset, uint64_t bytes, const struct iovec *iov, int iovcnt,
                    unsigned flags, void (*step)(ScsiRequest *r, int error))
{
    r->step = step;
    r->req = (DriveRequest){
        .blk = { .op = op, .flags = flags, .offset = offset, .bytes = bytes, .iov = iov, .iovcnt = iovcnt },
        .done = drive_done,
        .hint = r->cancelled
    };
}

static void submit(ScsiRequest *r, BlkOp op, uint64_t offset, uint64_t bytes, const struct iovec *iov, int iovcnt,
                   unsigned flags, void (*step)(ScsiRequest *r, int error))
{
    prepare(r, op, offset, bytes, iov, iovcnt, flags, step);
    drive_submit(&r->dev->queue, &r->req);
}

void scsi_submit_buf(ScsiRequest *r, BlkOp op, uint64_t offset, void *buf, uint64_t bytes, unsigned flags,
                     void (*step)(ScsiRequest *r, int error))
{
    g_free(r->own_iov);
    r->own_iov = g_new(struct iovec, 1);
    *r->own_iov = (struct iovec){ buf, bytes };
    submit(r, op, offset, bytes, r->own_iov, 1, flags, step);
}

void scsi_submit_scsi(ScsiRequest *r, BlockScsi *s, void (*step)(ScsiRequest *r, int error))
{
    const struct iovec *iov = r->iov;
    int n = r->iovcnt;
    if (r->xfer != r->room) {
        g_free(r->own_iov);
        iov = r->own_iov = g_new(struct iovec, MAX(n, 1));
        n = iov_part(r->own_iov, r->iov, n, 0, r->xfer);
    }
    prepare(r, BLK_SCSI, 0, 0, iov, n, 0, step);
    r->req.blk.scsi = s;
    drive_submit(&r->dev->queue, &r->req);
}

void scsi_submit_status(ScsiRequest *r, uint64_t offset, uint64_t bytes, BlockStatus *out,
                        void (*step)(ScsiRequest *r, int error))
{
    prepare(r, BLK_STATUS, offset, bytes, NULL, 0, 0, step);
    r->req.blk.status = out;
    drive_submit(&r->dev->queue, &r->req);
}

/* The initiator's list itself, when all of it is meant. */
void scsi_submit(ScsiRequest *r, BlkOp op, uint64_t offset, uint64_t bytes, uint64_t skip, unsigned flags,
                 void (*step)(ScsiRequest *r, int error))
{
    const struct iovec *iov = r->iov;
    int n = r->iovcnt;
    if (op != BLK_READ && op != BLK_WRITE) {
        n = 0;
    } else if (skip || bytes != r->room) {
        g_free(r->own_iov);
        iov = r->own_iov = g_new(struct iovec, MAX(n, 1));
        n = iov_part(r->own_iov, r->iov, n, skip, bytes);
    }
    submit(r, op, offset, bytes, iov, n, flags, step);
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
    uint8_t data[SPC_SENSE_BYTES];
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
    spc_sense_fixed(sense, data);
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
    if (r->dev->attention[0] && tells_attention(r) && !r->again)
        scsi_fail(r, scsi_take_attention(r->dev));
    else if (!scsi_common_command(r))
        info_of(r->dev)->run(r);
}

DmaVec *scsi_request_map(ScsiRequest *r, AddressSpace *as, MemAttrs attrs)
{
    dma_vec_init(&r->data, as, attrs, r->dir == SCSI_FROM_DEVICE);
    r->mapped = true;
    return &r->data;
}

void scsi_request_go(ScsiRequest *r) { scsi_request_run(r, r->data.iov, (int)r->data.count); }

/* What is held because of an error ends now; what is on its way is not held when it fails. */
void scsi_request_cancel(ScsiRequest *r)
{
    if (!r->counted || r->cancelled)
        return;
    r->cancelled = r->req.hint = true;
    if (r->dev && drive_release(&r->dev->queue, &r->req))
        r->step(r, -ECANCELED);
}

/* --- requests that are held (hw/storage/drive.h) --- */

static void save_held(DriveRequest *req, GByteArray *out)
{
    const ScsiRequest *r = container_of(req, ScsiRequest, req);
    g_byte_array_append(out, &r->stage, 1);
    r->bus->host->save(r, out);
}

static bool restart_held(Device *d, const uint8_t *bytes, size_t len)
{
    ScsiBus *b = ((ScsiDevice *)d)->bus;
    if (!len || bytes[0] == UINT8_MAX)
        return false;
    b->restarting = (uint8_t)(bytes[0] + 1); /* a unit attention that came since does not stop it */
    bool ok = b->host->restart(b, bytes + 1, len - 1);
    b->restarting = 0;
    return ok;
}

static void drop_held(DriveRequest *req)
{
    ScsiRequest *r = container_of(req, ScsiRequest, req);
    ScsiBus *b = r->bus;
    bool before = b->dropping;
    b->dropping = r->cancelled = true;
    r->step(r, -ECANCELED);
    b->dropping = before;
}

static void stopping(Device *dev)
{
    ScsiBus *b = ((ScsiDevice *)dev)->bus;
    if (b->host->stopping)
        b->host->stopping(b);
}
const DriveQueueOps scsi_queue_ops = { save_held, restart_held, drop_held, stopping };

/* --- resets --- */

void scsi_reset_unit(ScsiDevice *d, uint32_t sense)
{
    reset_attention(d, sense);
    info_of(d)->reset(d);
}
