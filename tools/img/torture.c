/* SPDX-License-Identifier: MIT */
/*
 * rhea-img torture: random work on an image while every write and flush that reaches the file is recorded; then the power is "cut" at
 * every flush, and at random points between flushes with any subset of the writes since the last one done, in any order of sectors. Each
 * resulting file must open, have no corruption (leaks are allowed), and hold everything that a completed flush had promised.
 */
#include <errno.h>
#include <unistd.h>
#include "block/driver.h"
#include "tools/img/img.h"

enum { DISK = 6 << 20, SECTOR = 512, REQUEST_MAX = 200 * 1024 };

/* --- the recording protocol: a file in memory --- */

typedef struct Event { bool flush; uint64_t offset; GBytes *data; } Event;
typedef struct Tape { GPtrArray *events; GByteArray *file; pthread_mutex_t lock; } Tape;
static Tape *tape; /* of the run in progress; the driver below has no other way to it */

static void event_free(void *p)
{
    Event *e = p;
    if (e->data)
        g_bytes_unref(e->data);
    g_free(e);
}

static void record(bool flush, uint64_t offset, const void *data, uint64_t len)
{
    Event *e = g_new0(Event, 1);
    *e = (Event){ flush, offset, flush ? NULL : g_bytes_new(data, len) };
    g_ptr_array_add(tape->events, e);
}

static void put(GByteArray *file, uint64_t offset, const void *data, uint64_t len)
{
    guint old = file->len;
    if (offset + len > old) {
        g_byte_array_set_size(file, (guint)(offset + len));
        memset(file->data + old, 0, file->len - old);
    }
    memcpy(file->data + offset, data, len);
}

static bool tape_open(BlockNode *n, Opts *o, Error **errp)
{
    opts_get(o, "filename");
    n->size = tape->file->len;
    return true;
}
static int tape_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    pthread_mutex_lock(&tape->lock);
    uint64_t have = offset < tape->file->len ? MIN(len, tape->file->len - offset) : 0;
    iov_from_buf(iov, iovcnt, 0, tape->file->data + (have ? offset : 0), have);
    iov_zero(iov, iovcnt, have, len - have);
    pthread_mutex_unlock(&tape->lock);
    return 0;
}
static int tape_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    g_autofree uint8_t *buf = g_malloc(len);
    iov_to_buf(iov, iovcnt, 0, buf, len);
    pthread_mutex_lock(&tape->lock);
    put(tape->file, offset, buf, len);
    record(false, offset, buf, len);
    n->size = tape->file->len;
    pthread_mutex_unlock(&tape->lock);
    return 0;
}
static int tape_flush(BlockNode *n)
{
    pthread_mutex_lock(&tape->lock);
    record(true, 0, NULL, 0);
    pthread_mutex_unlock(&tape->lock);
    return 0;
}
static bool tape_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    uint8_t zero = 0;
    if (size > tape->file->len)
        put(tape->file, size - 1, &zero, 1);
    n->size = tape->file->len;
    return true;
}

static const BlockDriver tape_driver = { .name = "torture-tape", .desc = "records what is written", .protocol = true, .grows = true, .open = tape_open,
                                         .preadv = tape_preadv, .pwritev = tape_pwritev, .flush = tape_flush, .truncate = tape_truncate };

/* --- the guest: sectors hold numbers of their own --- */

typedef struct Op { unsigned event; uint32_t sector, count, value; bool may_zero; } Op; /* value 0: zeroes */
typedef struct Promise { unsigned event; unsigned ops; } Promise; /* a flush was complete at `event`, with the first `ops` done */

typedef struct Run {
    GRand *rand;
    uint64_t seed;
    char *path, *format;
    GArray *ops, *promises;
    uint32_t next_value;
    uint8_t *buf;
    BlockNode *n;
    uint64_t cuts, leaks;
} Run;

static uint32_t pick(Run *r, uint32_t n) { return n ? g_rand_int(r->rand) % n : 0; }

static void fill_sector(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < SECTOR; i += 4)
        memcpy(p + i, &value, 4);
}

static int guest_op(Run *r)
{
    uint32_t sectors = DISK / SECTOR, at = pick(r, sectors), count = 1 + pick(r, pick(r, 4) ? 16 : REQUEST_MAX / SECTOR), kind = pick(r, 20);
    count = MIN(count, sectors - at);
    Op op = { tape->events->len, at, count, kind < 14 ? ++r->next_value : 0, kind >= 17 };
    g_array_append_val(r->ops, op);
    if (kind < 14) {
        for (uint32_t i = 0; i < count; i++)
            fill_sector(r->buf + (size_t)i * SECTOR, op.value);
        return block_pwrite(r->n, (uint64_t)at * SECTOR, r->buf, (size_t)count * SECTOR);
    }
    if (kind < 17)
        return block_pwrite_zeroes(r->n, (uint64_t)at * SECTOR, (uint64_t)count * SECTOR, BLOCK_REQ_MAY_UNMAP);
    return block_pdiscard(r->n, (uint64_t)at * SECTOR, (uint64_t)count * SECTOR);
}

static bool snapshot_op(Run *r, Error **errp)
{
    GArray *list;
    if (!block_snapshot_list(r->n, &list, errp))
        return false;
    BlockSnapshot s = { .icount = UINT64_MAX };
    bool ok = true;
    if (list->len < 2) {
        g_snprintf(s.name, sizeof s.name, "s%u", pick(r, 100000));
        ok = block_snapshot_create(r->n, &s, errp);
    } else {
        ok = block_snapshot_delete(r->n, g_array_index(list, BlockSnapshot, 0).id, errp);
    }
    g_array_unref(list);
    return ok;
}

static bool work(Run *r, uint64_t count, bool snapshots, Error **errp)
{
    for (uint64_t i = 0; i < count; i++) {
        int e = 0;
        if (pick(r, 12) == 0) {
            unsigned ops = r->ops->len;
            e = block_flush(r->n);
            Promise p = { tape->events->len, ops };
            g_array_append_val(r->promises, p);
        } else if (snapshots && pick(r, 60) == 0) {
            if (!snapshot_op(r, errp))
                return false;
        } else {
            e = guest_op(r);
        }
        if (e) {
            error_set_errno(errp, -e, "torture: request %" PRIu64, i);
            return false;
        }
    }
    return true;
}

/* --- cutting --- */

/* May the sector hold `value` when all ops before `done` are durable and those before `started` may be? */
static bool value_fits(const Run *r, uint32_t sector, uint32_t value, unsigned done, unsigned started)
{
    uint32_t newest = 0;
    bool may_zero = true; /* a new disk is zero */
    for (unsigned i = 0; i < started; i++) {
        const Op *o = &g_array_index(r->ops, Op, i);
        if (sector < o->sector || sector >= o->sector + o->count)
            continue;
        if (i >= done) {
            if (value == o->value)
                return true;
        } else if (o->may_zero) { /* a discard: as before, or zero */
            may_zero = true;
        } else {
            newest = o->value;
            may_zero = !o->value;
        }
    }
    return value == newest || (may_zero && !value);
}

static bool check_contents(Run *r, BlockNode *n, unsigned done, unsigned started, Error **errp)
{
    int e = block_pread(n, 0, r->buf, DISK);
    if (e) {
        error_set_errno(errp, -e, "reading");
        return false;
    }
    for (uint32_t s = 0; s < DISK / SECTOR; s++) {
        uint32_t v;
        const uint8_t *p = r->buf + (size_t)s * SECTOR;
        memcpy(&v, p, 4);
        if (memcmp(p, p + 4, SECTOR - 4)) {
            error_setf(errp, "sector %u holds a mixture", s);
            return false;
        }
        if (!value_fits(r, s, v, done, started)) {
            error_setf(errp, "sector %u holds value %u, which it can't after %u of %u requests", s, v, done, started);
            return false;
        }
    }
    return true;
}

static bool look(Run *r, const GByteArray *file, unsigned event, Error **errp)
{
    unsigned done = 0, started = 0;
    for (unsigned i = 0; i < r->promises->len && g_array_index(r->promises, Promise, i).event <= event; i++)
        done = g_array_index(r->promises, Promise, i).ops;
    while (started < r->ops->len && g_array_index(r->ops, Op, started).event <= event)
        started++;
    if (!g_file_set_contents(r->path, (const char *)file->data, file->len, errp))
        return false;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", r->format);
    BlockCheck c = { 0 };
    /* vhdx: its log is replayed first */
    BlockNode *n = block_open(r->path, o, BLOCK_CHECK | (!strcmp(r->format, "vhdx") ? BLOCK_RDWR : 0), errp);
    if (!n)
        return false;
    BlockInfo info;
    block_info(n, &info, NULL);
    bool dirty = info.dirty;
    block_info_clear(&info);
    bool ok = !n->drv->check || block_check(n, &c, 0, errp);
    if (ok && !dirty && (c.corruptions || c.check_errors)) {
        error_setf(errp, "%" PRIu64 " corruptions", c.corruptions + c.check_errors);
        ok = false;
    }
    r->leaks += c.leaks;
    block_unref(n);
    /* and as a user would go on: opened for writing, repaired if it says so itself */
    g_autoptr(Opts) again = opts_new();
    opts_set(again, "driver", r->format);
    n = ok ? block_open(r->path, again, BLOCK_RDWR, errp) : NULL;
    ok = n && check_contents(r, n, done, started, errp);
    if (n)
        block_unref(n);
    r->cuts++;
    return ok;
}

/* Each sector of each write since the last flush is on the disk or not; later writes of a sector may be there without earlier ones. */
static void lose_some(Run *r, GByteArray *file, unsigned from, unsigned to)
{
    unsigned keep = pick(r, 4); /* hardly any, some, most, whole writes */
    for (unsigned i = from; i < to; i++) {
        const Event *e = tape->events->pdata[i];
        gsize len;
        if (e->flush)
            continue;
        const uint8_t *data = g_bytes_get_data(e->data, &len);
        bool whole = keep == 3 && pick(r, 2);
        for (gsize at = 0; at < len;) {
            gsize n = MIN(len - at, SECTOR - ((e->offset + at) & (SECTOR - 1)));
            if (keep == 3 ? whole : pick(r, 4) < keep + 1)
                put(file, e->offset + at, data + at, n);
            at += n;
        }
    }
}

static bool cut_everywhere(Run *r, unsigned tries, ImgProgress *p, Error **errp)
{
    g_autoptr(GByteArray) base = g_byte_array_new();
    unsigned start = 0;
    for (unsigned i = 0; i <= tape->events->len; i++) {
        const Event *e = i < tape->events->len ? tape->events->pdata[i] : NULL;
        if (e && !e->flush)
            continue;
        for (unsigned k = 0; k < tries && i > start; k++) {
            g_autoptr(GByteArray) file = g_byte_array_new();
            g_byte_array_append(file, base->data, base->len);
            unsigned upto = start + 1 + pick(r, i - start);
            lose_some(r, file, start, upto);
            if (file->len && base->len && !look(r, file, upto, errp)) {
                error_prependf(errp, "power cut after %u of %u writes and flushes", upto, tape->events->len);
                return false;
            }
        }
        for (unsigned k = start; k < i; k++) {
            const Event *w = tape->events->pdata[k];
            gsize len = 0;
            const void *data = w->flush ? NULL : g_bytes_get_data(w->data, &len);
            if (data)
                put(base, w->offset, data, len);
        }
        start = i;
        if (base->len && !look(r, base, i, errp)) {
            error_prependf(errp, "power cut at write or flush %u of %u", i, tape->events->len);
            return false;
        }
        img_progress_add(p, i + 1 - p->done);
    }
    return true;
}

/* The new image stands in memory as well as in the file. */
static bool new_image(Run *r, Opts *o, Error **errp)
{
    gchar *contents;
    gsize len;
    if (!block_create(r->path, r->format, DISK, o, errp) || !g_file_get_contents(r->path, &contents, &len, errp))
        return false;
    put(tape->file, 0, contents, len);
    record(false, 0, contents, len);
    record(true, 0, NULL, 0);
    g_free(contents);
    g_autoptr(Opts) open = opts_new();
    opts_set(open, "driver", r->format);
    opts_set(open, "file.driver", "torture-tape");
    r->n = block_open(NULL, open, BLOCK_RDWR | BLOCK_UNMAP, errp);
    return r->n;
}

int img_torture(int argc, char **argv)
{
    gint64 seed = 0, count = 300;
    gint tries = 3;
    gboolean show = FALSE, no_snapshots = FALSE;
    gchar **lists = NULL, *format = "qcow2";
    const GOptionEntry entries[] = {
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the random choices (a new one)", "N" },
        { "count", 0, 0, G_OPTION_ARG_INT64, &count, "requests of the guest (300)", "N" },
        { "tries", 0, 0, G_OPTION_ARG_INT, &tries, "random cuts between two flushes (3)", "N" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &lists, "options of the image", "A=B,..." },
        { "format", 'f', 0, G_OPTION_ARG_STRING, &format, "format of the image (qcow2)", "FMT" },
        { "no-snapshots", 0, 0, G_OPTION_ARG_NONE, &no_snapshots, "no internal snapshots among the requests", NULL },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &show, "show progress", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    g_autoptr(Opts) o = img_options(lists, &err);
    if (!o)
        return img_fail(err);
    block_driver_register(&tape_driver);
    Tape t = { g_ptr_array_new_with_free_func(event_free), g_byte_array_new(), PTHREAD_MUTEX_INITIALIZER };
    tape = &t;
    seed = seed ? seed : (gint64)g_random_int();
    Run r = { .rand = g_rand_new_with_seed((guint32)seed), .seed = (uint64_t)seed, .path = argv[1], .format = format, .buf = g_malloc(DISK),
              .ops = g_array_new(false, false, sizeof(Op)), .promises = g_array_new(false, false, sizeof(Promise)) };
    printf("seed %" G_GINT64_FORMAT "\n", seed);
    bool ok = new_image(&r, o, &err) && work(&r, (uint64_t)count, !no_snapshots && block_has_snapshots(r.n), &err);
    if (r.n)
        block_unref(r.n); /* closing is part of it */
    ImgProgress p;
    img_progress_start(&p, show, t.events->len + 1);
    ok = ok && cut_everywhere(&r, (unsigned)MAX(tries, 0), &p, &err);
    if (ok)
        img_progress_end(&p);
    unsigned events = t.events->len;
    g_ptr_array_unref(t.events);
    g_byte_array_unref(t.file);
    g_array_unref(r.ops);
    g_array_unref(r.promises);
    g_rand_free(r.rand);
    g_free(r.buf);
    if (!ok) {
        error_prependf(&err, "seed %" G_GINT64_FORMAT ": ", seed);
        return img_fail(err);
    }
    printf("%" PRIu64 " power cuts over %u writes and flushes: no corruption, nothing lost; %" PRIu64 " clusters leaked in all\n", r.cuts, events, r.leaks);
    return EXIT_SUCCESS;
}
