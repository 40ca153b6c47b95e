/* SPDX-License-Identifier: MIT */
/* From a disk's properties to its drive; requests that are held on errors and tried again. */
#include "hw/storage/drive.h"
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "hw/core/machine.h"

enum { SAVED_MAX = 64 << 20 };

static void unknown_drive(const Device *d, const char *name, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; i < blk_count(); i++) {
        if (*blk_name(blk_nth(i)))
            g_ptr_array_add(names, (void *)blk_name(blk_nth(i)));
    }
    for (unsigned i = 0; i < block_node_count(); i++)
        g_ptr_array_add(names, (void *)block_node_name(block_node_nth(i)));
    g_ptr_array_add(names, NULL);
    g_autofree char *object = g_strdup_printf("device '%s': drive", d->id);
    error_set_unknown(errp, object, name, (const char *const *)names->pdata);
}

static bool check_io_sizes(const Device *d, const DriveProps *p, Error **errp)
{
    const struct {
        const char *name;
        uint64_t size;
    } sizes[] = { { "min_io_size", p->min_io_size },
                  { "opt_io_size", p->opt_io_size },
                  { "discard_granularity",
                    p->discard_granularity == DRIVE_DISCARD_AUTO ? 0 : p->discard_granularity } };
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        if (sizes[i].size % p->logical_block_size || sizes[i].size > UINT32_MAX) {
            error_setf(errp,
                       "device '%s': %s=%" G_GUINT64_FORMAT " is no multiple of the %" G_GUINT64_FORMAT
                       " bytes of a sector, below 4 GiB",
                       d->id, sizes[i].name, (guint64)sizes[i].size, (guint64)p->logical_block_size);
            return false;
        }
    }
    return true;
}

const char *const drive_on_off_auto[] = { "on", "off", "auto", NULL };

static void set_accounting(const DriveProps *p, BlockBackend *b)
{
    bool failed, invalid;
    blk_get_accounting(b, &failed, &invalid);
    blk_set_accounting(b, p->account_failed == DRIVE_AUTO ? failed : p->account_failed == DRIVE_ON,
                       p->account_invalid == DRIVE_AUTO ? invalid : p->account_invalid == DRIVE_ON);
}

bool drive_open(Device *d, const DriveProps *p, bool removable, BlockBackend **out, Error **errp)
{
    *out = NULL;
    if (!p->drive && !removable) {
        error_setf(errp, "device '%s': which drive? add drive=ID of a -drive if=none,id=ID or of a -blockdev node",
                   d->id);
        return false;
    }
    if (!check_io_sizes(d, p, errp))
        return false;
    if (!is_pow2(p->logical_block_size) || !is_pow2(p->physical_block_size) ||
        p->physical_block_size < p->logical_block_size) {
        error_setf(errp, "device '%s': sectors of %" G_GUINT64_FORMAT " bytes on a medium of %" G_GUINT64_FORMAT
                   ": both are powers of two, physical_block_size= not below logical_block_size=", d->id,
                   (guint64)p->logical_block_size, (guint64)p->physical_block_size);
        return false;
    }
    BlockBackend *b = p->drive ? blk_find(p->drive) : blk_new(NULL, NULL);
    if (!b) {
        unknown_drive(d, p->drive, errp);
        return false;
    }
    if (!removable && !blk_inserted(b)) {
        error_setf(errp,
                   "device '%s': drive '%s' has no medium, and this device can't be without; add file= to the drive",
                   d->id, p->drive);
        return false;
    }
    if (blk_size(b) % p->logical_block_size) {
        error_setf(errp,
                   "device '%s': drive '%s' is not a whole number of sectors of %" G_GUINT64_FORMAT
                   " bytes; resize the image",
                   d->id, p->drive, (guint64)p->logical_block_size);
        return false;
    }
    if (!blk_attach(b, d->id, errp))
        return false;
    set_accounting(p, b);
    *out = b;
    return true;
}

const char *drive_serial(const Device *d, const DriveProps *p, const BlockBackend *b)
{
    return p->serial ? p->serial : b && blk_serial(b) ? blk_serial(b) : d->id;
}

bool drive_check_geometry(const Device *d, DriveGeometry given, DriveGeometry max, Error **errp)
{
    if (!given.cyls && !given.heads && !given.secs)
        return true;
    if (given.cyls && given.heads && given.secs && given.cyls <= max.cyls && given.heads <= max.heads &&
        given.secs <= max.secs)
        return true;
    error_setf(errp, "device '%s': cyls=%u, heads=%u, secs=%u: give none or all of them, at most %u, %u and %u", d->id,
               given.cyls, given.heads, given.secs, max.cyls, max.heads, max.secs);
    return false;
}

DriveGeometry drive_geometry(DriveGeometry given, const BlockBackend *b)
{
    enum { HEADS = 16, SECS = 63, CYLS_MAX = 16383 };
    uint64_t sectors = b ? blk_size(b) / 512 : 0;
    if (given.cyls)
        return given;
    return (
        DriveGeometry){ .cyls = (uint32_t)CLAMP(sectors / (HEADS * SECS), 2, CYLS_MAX), .heads = HEADS, .secs = SECS };
}

/* --- what failed --- */

const char *const drive_on_errors[] = { "auto", "report", "ignore", "enospc", "stop", NULL };

static BlkOnError policy(int property, BlkOnError of_drive)
{
    return property ? (BlkOnError)(property - 1) : of_drive;
}

/* Holds r when the machine is to stop because of the error; else *error is what the guest learns. */
static bool hold(DriveQueue *q, DriveRequest *r, int *error)
{
    static const char *const names[] = { [BLK_READ] = "read",
                                         [BLK_WRITE] = "write",
                                         [BLK_FLUSH] = "flush",
                                         [BLK_DISCARD] = "discard",
                                         [BLK_WRITE_ZEROES] = "write of zeroes",
                                         [BLK_SCSI] = "SCSI command",
                                         [BLK_STATUS] = "status" };
    bool scsi = r->blk.op == BLK_SCSI,
         read = r->blk.op == BLK_READ || r->blk.op == BLK_STATUS || (scsi && !r->blk.scsi->out);
    BlkOnError action = read ? q->rerror : q->werror;
    if (r->hint || *error == -ENOMEDIUM || (scsi && *error == -ENOTSUP) || action == BLK_ERROR_REPORT ||
        (action == BLK_ERROR_ENOSPC && *error != -ENOSPC))
        return false;
    if (action == BLK_ERROR_IGNORE) {
        *error = 0;
        return false;
    }
    warn_reportf("drive '%s': %s at %" G_GUINT64_FORMAT " failed: %s; the machine stops, 'cont' tries again",
                 blk_name(q->blk), names[r->blk.op], (guint64)r->blk.offset, g_strerror(-*error));
    r->next = NULL;
    if (!q->held)
        q->last = &q->held;
    *q->last = r;
    q->last = &r->next;
    machine_request_pause(RUN_IO_ERROR);
    return true;
}

static void blk_done(BlkRequest *b, int error)
{
    DriveRequest *r = b->opaque;
    DriveQueue *q = r->queue;
    LockDomain *domain = q->dev->domain;
    lock_domain_lock(domain);
    q->in_flight--;
    if (!error || !hold(q, r, &error))
        r->done(r, error);
    lock_domain_unlock(domain);
}

void drive_submit(DriveQueue *q, DriveRequest *r)
{
    r->queue = q;
    r->blk.done = blk_done;
    r->blk.opaque = r;
    q->in_flight++;
    blk_submit(q->blk, &r->blk);
}

bool drive_release(DriveQueue *q, DriveRequest *r)
{
    DriveRequest **p = &q->held;
    while (*p && *p != r)
        p = &(*p)->next;
    if (!*p)
        return false;
    *p = r->next;
    if (q->last == &r->next)
        q->last = p;
    return true;
}

void drive_drop_held(DriveQueue *q, DriveRequestIs *is, const void *of)
{
    for (DriveRequest *r = q->held, *next; r; r = next) {
        next = r->next;
        if (is(r, of) && drive_release(q, r))
            q->ops->drop(r);
    }
}

/* --- waiting, and going on --- */

void drive_settle(DriveQueue *q)
{
    LockDomain *domain = q->dev->domain;
    unsigned held = 0;
    while (q->in_flight) { /* what ends may start more */
        while (lock_domain_held(domain)) { /* workers need it to end what they carry out */
            lock_domain_unlock(domain);
            held++;
        }
        blk_drain(q->blk);
        for (; held; held--)
            lock_domain_lock(domain);
    }
}

static void retry(DriveQueue *q)
{
    DriveRequest *r = q->held;
    q->held = NULL;
    while (r) {
        DriveRequest *next = r->next;
        drive_submit(q, r);
        r = next;
    }
    g_autoptr(GByteArray) saved = q->saved;
    size_t loaded = q->loaded;
    q->saved = g_byte_array_new();
    q->loaded = 0;
    for (size_t at = 0; at < loaded;) {
        uint32_t len = load_le32(saved->data + at);
        if (!q->ops->restart(q->dev, saved->data + at + 4, len))
            warn_reportf("device '%s': a request of the saved machine makes no sense and is left out", q->dev->id);
        at += 4 + len;
    }
}

static GPtrArray *queues; /* of all devices; main thread */

static void machine_changed(RunState s)
{
    for (unsigned i = 0; i < queues->len; i++) {
        DriveQueue *q = queues->pdata[i];
        lock_domain_lock(q->dev->domain);
        if (s == RUN_RUNNING)
            retry(q);
        else if (q->ops->stopping)
            q->ops->stopping(q->dev);
        if (s != RUN_RUNNING)
            drive_settle(q);
        lock_domain_unlock(q->dev->domain);
    }
}

/* --- life --- */

void drive_queue_init(DriveQueue *q, Device *d, const DriveProps *p, BlockBackend *b, const DriveQueueOps *ops)
{
    *q = (DriveQueue){ .dev = d, .blk = b, .ops = ops, .saved = g_byte_array_new() };
    BlkOnError rerror, werror;
    blk_get_on_error(b, &rerror, &werror);
    q->rerror = policy(p->rerror, rerror);
    q->werror = policy(p->werror, werror);
    if (!queues) {
        queues = g_ptr_array_new();
        machine_add_state_listener(machine_changed);
    }
    g_ptr_array_add(queues, q);
}

static void drop_held(DriveQueue *q)
{
    while (q->held) {
        DriveRequest *r = q->held;
        q->held = r->next;
        q->ops->drop(r);
    }
}

void drive_queue_reset(DriveQueue *q)
{
    drive_settle(q);
    drop_held(q);
    g_byte_array_set_size(q->saved, 0);
    q->loaded = 0;
}

void drive_queue_free(DriveQueue *q)
{
    if (!q->blk)
        return;
    drive_queue_reset(q);
    g_ptr_array_remove(queues, q);
    g_byte_array_unref(q->saved);
    blk_detach(q->blk);
    *q = (DriveQueue){ 0 };
}

void drive_queue_saving(DriveQueue *q)
{
    drive_settle(q);
    g_byte_array_set_size(q->saved, q->loaded);
    for (DriveRequest *r = q->held; r && q->ops->save; r = r->next) {
        uint8_t len[4] = { 0 };
        guint at = q->saved->len;
        g_byte_array_append(q->saved, len, sizeof len);
        q->ops->save(r, q->saved);
        store_le32(q->saved->data + at, q->saved->len - at - 4);
    }
}

bool drive_queue_loaded(DriveQueue *q, Error **errp)
{
    drive_settle(q);
    drop_held(q);
    size_t at = 0, len = q->saved->len;
    while (len - at >= 4 && load_le32(q->saved->data + at) <= len - at - 4)
        at += 4 + load_le32(q->saved->data + at);
    bool ok = at == len && (!len || q->ops->restart);
    q->loaded = ok ? (uint32_t)len : 0;
    if (ok)
        return true;
    error_setf(errp, "the saved requests to drive '%s' are cut off", blk_name(q->blk));
    return false;
}

const StateField drive_queue_state[] = { STATE_BUF(DriveQueue, saved, SAVED_MAX), STATE_END_OF_TABLE };
