/* SPDX-License-Identifier: MIT */
/*
 * Filter "blklogwrites": every write, discard and flush goes to a log as well, from which the image can be put together
 * as a power cut at any time would have left it. The format is dm-log-writes' (Linux:
 * Documentation/admin-guide/device-mapper/log-writes.rst): a sector with the super block, then for each entry a sector
 * that tells of it, and its data. A flush stands behind all writes that were complete when it began, and before all
 * others.
 */
#include <string.h>
#include "base/bits.h"
#include "block/filter.h"

#define LOG_MAGIC UINT64_C(0x6a736677736872)
enum { LOG_VERSION = 1, FLAG_FLUSH = 1, FLAG_DISCARD = 4, SUPER_BYTES = 28, ENTRY_BYTES = 32, ENTRY_MAX = 1 << 26 };

typedef struct Entry { uint64_t offset, len, flags; uint8_t *data; } Entry;

typedef struct LogNode {
    BlockNode *log;
    uint64_t sector, interval;
    pthread_mutex_t flushing;  /* one flush at a time */
    pthread_mutex_t lock;      /* of all below */
    bool in_flush;
    GQueue late;               /* of Entry: complete while a flush was on its way */
    uint64_t entries, end;     /* end: where the next one goes */
} LogNode;

static LogNode *log_of(BlockNode *n) { return n->opaque; }

/* --- the log --- */

static int write_super(LogNode *l)
{
    g_autofree uint8_t *b = g_malloc0(l->sector);
    store_le64(b, LOG_MAGIC);
    store_le64(b + 8, LOG_VERSION);
    store_le64(b + 16, l->entries);
    store_le32(b + 24, (uint32_t)l->sector);
    return block_pwrite(l->log, 0, b, l->sector);
}

static int append(LogNode *l, const Entry *e)
{
    g_autofree uint8_t *head = g_malloc0(l->sector);
    uint64_t data = e->data ? e->len : 0;
    store_le64(head, e->offset / l->sector);
    store_le64(head + 8, e->len / l->sector);
    store_le64(head + 16, e->flags);
    store_le64(head + 24, data);
    struct iovec iov[] = { { head, l->sector }, { e->data, data } };
    int r = block_pwritev(l->log, l->end, iov, data ? 2 : 1, 0);
    if (r)
        return r;
    l->end += l->sector + data;
    return ++l->entries % l->interval ? 0 : write_super(l);
}

static void entry_free(void *p)
{
    g_free(((Entry *)p)->data);
    g_free(p);
}

/* Takes e's data. */
static int enter(BlockNode *n, Entry e)
{
    LogNode *l = log_of(n);
    int r = 0;
    pthread_mutex_lock(&l->lock);
    if (l->in_flush) {
        g_queue_push_tail(&l->late, g_memdup2(&e, sizeof e));
    } else {
        r = append(l, &e);
        g_free(e.data);
    }
    pthread_mutex_unlock(&l->lock);
    return r;
}

/* --- requests --- */

static int log_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    uint8_t *copy = len <= ENTRY_MAX ? g_try_malloc(len) : NULL; /* the guest may change its memory meanwhile */
    if (!copy)
        return -ENOMEM;
    struct iovec one = { copy, len };
    iov_to_buf(iov, iovcnt, 0, copy, len);
    int r = filter_pwritev(n, offset, len, &one, 1, flags);
    if (r) {
        g_free(copy);
        return r;
    }
    return enter(n, (Entry){ offset, len, 0, copy });
}

static int log_pdiscard(BlockNode *n, uint64_t offset, uint64_t len)
{
    int r = filter_pdiscard(n, offset, len);
    return r ? r : enter(n, (Entry){ offset, len, FLAG_DISCARD, NULL });
}

static int log_flush(BlockNode *n)
{
    LogNode *l = log_of(n);
    static const Entry flush = { .flags = FLAG_FLUSH };
    pthread_mutex_lock(&l->flushing);
    pthread_mutex_lock(&l->lock);
    l->in_flush = true;
    pthread_mutex_unlock(&l->lock);
    int r = filter_flush(n);
    pthread_mutex_lock(&l->lock);
    r = r ? r : append(l, &flush);
    l->in_flush = false;
    for (Entry *e; (e = g_queue_pop_head(&l->late)); entry_free(e))
        r = r ? r : append(l, e);
    r = r ? r : write_super(l);
    pthread_mutex_unlock(&l->lock);
    pthread_mutex_unlock(&l->flushing);
    return r;
}

/* --- life --- */

/* Goes through the entries of a log that is there to its end. */
static bool go_on(LogNode *l, Error **errp)
{
    uint8_t b[ENTRY_BYTES] = { 0 };
    uint64_t size = block_size(l->log);
    if (block_pread(l->log, 0, b, SUPER_BYTES) || load_le64(b) != LOG_MAGIC || load_le64(b + 8) != LOG_VERSION ||
        load_le32(b + 24) != l->sector) {
        error_setf(errp, "blklogwrites: '%s' is no log with sectors of %u bytes; leave out log-append",
                   block_filename(l->log), (unsigned)l->sector);
        return false;
    }
    uint64_t count = load_le64(b + 16);
    while (l->entries < count && l->end < size && !block_pread(l->log, l->end, b, sizeof b) &&
           load_le64(b + 24) < size) {
        l->end += l->sector + load_le64(b + 24);
        l->entries++;
    }
    if (l->entries == count && l->end <= size)
        return true;
    error_setf(errp, "blklogwrites: the log '%s' ends within its entries", block_filename(l->log));
    return false;
}

static bool open_log(BlockNode *n, Opts *o, Error **errp)
{
    LogNode *l = log_of(n);
    bool more;
    if (!opts_get_size(o, "log-sector-size", 512, &l->sector, errp) ||
        !opts_get_u64(o, "log-super-update-interval", 4096, &l->interval, errp) ||
        !opts_get_bool(o, "log-append", false, &more, errp))
        return false;
    if (!is_pow2(l->sector) || l->sector < 512 || l->sector > 1 << 20 || !l->interval) {
        error_setf(errp, "blklogwrites: %s", l->interval ? "log-sector-size= must be a power of two from 512 to 1 MiB" :
                                                           "log-super-update-interval= must not be 0");
        return false;
    }
    l->log = block_filter_other(n, o, "log", errp);
    if (!l->log)
        return false;
    l->end = l->sector;
    int r = more ? 0 : write_super(l);
    if (r)
        error_set_errno(errp, -r, "blklogwrites: log '%s'", block_filename(l->log));
    if (!r && (!more || go_on(l, errp)))
        return true;
    block_unref(l->log);
    return false;
}

static bool log_open(BlockNode *n, Opts *o, Error **errp)
{
    LogNode *l = log_of(n);
    if (!open_log(n, o, errp))
        return false;
    block_filter_init(n);
    n->request_align = (unsigned)MAX(n->request_align, l->sector);
    n->zero_align = (unsigned)MAX(n->zero_align, l->sector);
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->flushing, NULL);
    g_queue_init(&l->late);
    return true;
}

static void log_close(BlockNode *n)
{
    LogNode *l = log_of(n);
    write_super(l);
    block_unref(l->log);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->flushing);
}

static const char *const log_options[] = { "log", "log-sector-size", "log-append", "log-super-update-interval", NULL };
static const BlockDriver log_driver = {
    .name = "blklogwrites",
    .desc = "filter: logs writes and flushes, for power cuts",
    .instance_size = sizeof(LogNode),
    .options = log_options,
    .filter = true,
    .open = log_open,
    .close = log_close,
    .preadv = filter_preadv,
    .pwritev = log_pwritev,
    .pdiscard = log_pdiscard,
    .flush = log_flush,
    .status = filter_status,
    .truncate = filter_truncate,
};
BLOCK_DRIVER_REGISTER(log_driver)
