/* SPDX-License-Identifier: MIT */
/*
 * rhea-img torture: random work on an image while every write and flush that reaches its files is recorded (tape.h); then the power is
 * "cut" at every flush, and at random points between flushes with any subset of the writes since the last one done, in any order of
 * sectors. Each resulting image must open, have no corruption (leaks are allowed), and hold everything that had been promised: what a
 * flush covered, snapshots that were made, a size that was set; an internal snapshot is applied wholly or not at all, and a dirty bitmap
 * lacks nothing unless it says that it is not to be used.
 */
#include <errno.h>
#include <unistd.h>
#include "block/driver.h"
#include "tools/img/img.h"
#include "tools/img/tape.h"

enum { DISK = 6 << 20, SECTOR = TAPE_SECTOR, SECTORS = DISK / SECTOR, REQUEST_MAX = 200 * 1024, GRANULE = 32768 };

/* --- the guest: sectors hold numbers of their own --- */

typedef enum OpKind { OP_SET, OP_DISCARD /* as before, or zero */, OP_APPLY /* a snapshot: all of the disk */, OP_RESIZE /* zero from now on */ } OpKind;
typedef struct Op {
    OpKind kind;
    unsigned event;             /* it began behind so many of the tape */
    uint32_t sector, count, value; /* value 0: zeroes */
    const uint32_t *image;      /* OP_APPLY: each sector's */
    uint64_t size;              /* of the disk afterwards */
} Op;
typedef struct Promise { unsigned event, ops; } Promise; /* at `event` the first `ops` were durable */
typedef struct Snap { uint64_t size; uint32_t image[SECTORS]; } Snap;

typedef struct Run {
    GRand *rand;
    char *path, *data_path, *format;
    Opts *options;              /* of opening, on the tape */
    const char *key, *key_name; /* of an encrypted image */
    bool old;                   /* version 2 of qcow2 */
    bool snapshots, compress, resize, bitmap, raw_data;
    Tape *tape;
    GArray *ops, *promises;
    GHashTable *snaps;          /* name to Snap */
    uint32_t next_value;
    uint8_t *buf;
    BlockNode *n;
    /* of the cut that is looked at: what the durable ops say of each sector */
    uint32_t newest[SECTORS];
    bool zero_too[SECTORS], written[SECTORS];
    unsigned settled;           /* ops of which that is */
    uint64_t first_size, cuts, leaks, seen; /* snapshots that were looked at */
} Run;

static uint32_t pick(Run *r, uint32_t n) { return n ? g_rand_int(r->rand) % n : 0; }

static void fill(uint8_t *p, uint32_t value, uint32_t sectors)
{
    for (size_t i = 0; i < (size_t)sectors * SECTOR; i += 4)
        memcpy(p + i, &value, 4);
}

static Op *begin(Run *r, OpKind kind, uint32_t sector, uint32_t count, uint32_t value)
{
    Op op = { kind, r->tape->events->len, sector, count, value, NULL, block_size(r->n) };
    g_array_append_val(r->ops, op);
    return &g_array_index(r->ops, Op, r->ops->len - 1);
}

/* What was done until now is durable. */
static void promise(Run *r)
{
    Promise p = { r->tape->events->len, r->ops->len };
    g_array_append_val(r->promises, p);
}

static int write_compressed(Run *r, uint32_t at, uint32_t disk)
{
    BlockInfo info;
    block_info(r->n, &info, NULL);
    uint32_t unit = (uint32_t)MAX(info.cluster_size / SECTOR, 1u);
    block_info_clear(&info);
    at -= at % unit;
    unit = MIN(unit, disk - at);
    uint32_t value = begin(r, OP_SET, at, unit, ++r->next_value)->value;
    fill(r->buf, value, unit);
    struct iovec iov = { r->buf, (size_t)unit * SECTOR };
    return block_pwritev(r->n, (uint64_t)at * SECTOR, &iov, 1, BLOCK_REQ_COMPRESSED);
}

static int guest_op(Run *r)
{
    uint32_t disk = (uint32_t)(MIN(block_size(r->n), (uint64_t)DISK) / SECTOR), at = pick(r, disk);
    uint32_t count = 1 + pick(r, pick(r, 4) ? 16 : REQUEST_MAX / SECTOR), kind = pick(r, 20);
    uint64_t from = (uint64_t)at * SECTOR;
    count = MIN(count, disk - at);
    if (kind == 13 && r->compress)
        return write_compressed(r, at, disk);
    if (kind < 14) {
        fill(r->buf, begin(r, OP_SET, at, count, ++r->next_value)->value, count);
        return block_pwrite(r->n, from, r->buf, (size_t)count * SECTOR);
    }
    begin(r, kind < 17 ? OP_SET : OP_DISCARD, at, count, 0);
    if (kind < 17)
        return block_pwrite_zeroes(r->n, from, (uint64_t)count * SECTOR, BLOCK_REQ_MAY_UNMAP);
    return block_pdiscard(r->n, from, (uint64_t)count * SECTOR);
}

static bool read_values(Run *r, BlockNode *n, uint32_t *out, Error **errp)
{
    uint64_t size = MIN(block_size(n), (uint64_t)DISK);
    int e = block_pread(n, 0, r->buf, size);
    if (e) {
        error_set_errno(errp, -e, "reading");
        return false;
    }
    memset(r->buf + size, 0, DISK - size);
    for (uint32_t s = 0; s < SECTORS; s++) {
        const uint8_t *p = r->buf + (size_t)s * SECTOR;
        memcpy(&out[s], p, 4);
        if (memcmp(p, p + 4, SECTOR - 4)) {
            error_setf(errp, "sector %u holds a mixture", s);
            return false;
        }
    }
    return true;
}

static bool make_snapshot(Run *r, Error **errp)
{
    BlockSnapshot s = { .icount = UINT64_MAX };
    Snap *snap = g_new(Snap, 1);
    snap->size = block_size(r->n);
    g_snprintf(s.name, sizeof s.name, "s%u", ++r->next_value);
    if (!read_values(r, r->n, snap->image, errp)) {
        g_free(snap);
        return false;
    }
    g_hash_table_insert(r->snaps, g_strdup(s.name), snap); /* known before it is made: a cut may find it */
    return block_snapshot_create(r->n, &s, errp);
}

static bool snapshot_op(Run *r, Error **errp)
{
    GArray *list;
    if (!block_snapshot_list(r->n, &list, errp))
        return false;
    const BlockSnapshot *one = list->len ? &g_array_index(list, BlockSnapshot, pick(r, list->len)) : NULL;
    bool ok;
    if (list->len < 2 && (!one || pick(r, 2))) {
        ok = make_snapshot(r, errp);
    } else if (pick(r, 2)) {
        const Snap *s = g_hash_table_lookup(r->snaps, one->name);
        Op *op = begin(r, OP_APPLY, 0, SECTORS, 0);
        op->image = s->image;
        op->size = s->size;
        ok = block_snapshot_apply(r->n, one->id, errp);
    } else {
        ok = block_snapshot_delete(r->n, one->id, errp);
    }
    g_array_unref(list);
    promise(r);
    return ok;
}

static bool has_snapshots(Run *r)
{
    GArray *list;
    bool any = block_snapshot_list(r->n, &list, NULL) && list->len;
    g_array_unref(list);
    return any;
}

static bool resize_op(Run *r, Error **errp)
{
    if (r->old && has_snapshots(r)) /* they have no size of their own */
        return true;
    uint64_t was = block_size(r->n), size = DISK / 2 + (uint64_t)pick(r, SECTORS / 2) * SECTOR, low = MIN(was, size);
    begin(r, OP_RESIZE, (uint32_t)(low / SECTOR), (uint32_t)((MAX(was, size) - low) / SECTOR), 0)->size = size;
    bool ok = block_truncate(r->n, size, pick(r, 4) ? PREALLOC_OFF : PREALLOC_METADATA, true, errp);
    promise(r);
    return ok;
}

static bool work(Run *r, uint64_t count, Error **errp)
{
    for (uint64_t i = 0; i < count; i++) {
        int e = 0;
        if (pick(r, 12) == 0) {
            unsigned ops = r->ops->len;
            e = block_flush(r->n);
            Promise p = { r->tape->events->len, ops };
            g_array_append_val(r->promises, p);
        } else if (r->snapshots && pick(r, 50) == 0) {
            if (!snapshot_op(r, errp))
                return false;
        } else if (r->resize && pick(r, 80) == 0) {
            if (!resize_op(r, errp))
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

/* --- what a cut left --- */

static const Op *nth(const Run *r, unsigned i) { return &g_array_index(r->ops, Op, i); }

/* The durable ones, one after the other; cuts come in the order of the tape. */
static void settle(Run *r, unsigned ops)
{
    for (; r->settled < ops; r->settled++) {
        const Op *o = nth(r, r->settled);
        for (uint32_t s = o->sector; s < o->sector + o->count; s++) {
            r->zero_too[s] = o->kind == OP_DISCARD || (o->kind != OP_APPLY && !o->value);
            r->newest[s] = o->kind == OP_DISCARD ? r->newest[s] : o->kind == OP_APPLY ? o->image[s] : o->value;
            r->written[s] = o->kind != OP_RESIZE && (r->written[s] || o->kind != OP_DISCARD); /* what a disk gains is not dirty */
        }
    }
}

static bool fits(const Run *r, uint32_t sector, uint32_t value, unsigned started)
{
    if (value == r->newest[sector] || (r->zero_too[sector] && !value))
        return true;
    for (unsigned i = r->settled; i < started; i++) {
        const Op *o = nth(r, i);
        if (sector >= o->sector && sector < o->sector + o->count && value == (o->kind == OP_APPLY ? o->image[sector] : o->value))
            return true;
    }
    return false;
}

static bool check_values(Run *r, const uint32_t *value, uint64_t size, unsigned started, Error **errp)
{
    const Op *last = started > r->settled ? nth(r, started - 1) : NULL;
    if (last && last->kind == OP_APPLY) { /* wholly or not at all */
        if (size == last->size && !memcmp(value, last->image, sizeof r->newest))
            return true;
        started--;
    }
    for (uint32_t s = 0; s < MIN(size, (uint64_t)DISK) / SECTOR; s++) {
        if (!fits(r, s, value[s], started)) {
            error_setf(errp, "sector %u holds value %u, which it can't after %u of %u requests", s, value[s], r->settled, started);
            return false;
        }
    }
    return true;
}

static bool check_size(const Run *r, uint64_t size, unsigned started, Error **errp)
{
    bool ok = size == (r->settled ? nth(r, r->settled - 1)->size : r->first_size);
    for (unsigned i = r->settled; i < started && !ok; i++)
        ok = nth(r, i)->size == size;
    if (!ok)
        error_setf(errp, "the disk has %" PRIu64 " bytes, which it can't", size);
    return ok;
}

static BlockNode *open_file(const Run *r, unsigned flags, Error **errp)
{
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", r->format);
    if (r->key)
        opts_set(o, r->key_name, r->key);
    return block_open(r->path, o, flags, errp);
}

static bool check_snapshot(Run *r, const BlockSnapshot *b, Error **errp)
{
    static uint32_t value[SECTORS];
    const Snap *s = g_hash_table_lookup(r->snaps, b->name);
    BlockNode *n = s ? open_file(r, 0, errp) : NULL;
    bool ok = n && block_snapshot_load(n, b->id, errp) && read_values(r, n, value, errp);
    if (ok && (block_size(n) != s->size || memcmp(value, s->image, sizeof value))) {
        error_setf(errp, "snapshot %s holds other contents than when it was made", b->name);
        ok = false;
    }
    block_unref(n);
    r->seen++;
    return ok;
}

static bool check_snapshots(Run *r, Error **errp)
{
    GArray *list = NULL;
    BlockNode *n = open_file(r, 0, errp);
    bool ok = n && block_snapshot_list(n, &list, errp);
    block_unref(n);
    for (unsigned i = 0; ok && i < list->len; i++)
        ok = check_snapshot(r, &g_array_index(list, BlockSnapshot, i), errp);
    if (list)
        g_array_unref(list);
    return ok;
}

static bool check_bitmap(const Run *r, BlockNode *n, Error **errp)
{
    BlockBitmapInfo info;
    BlockBitmap *b = block_bitmap_find(n, "marks", errp);
    if (!b)
        return false;
    block_bitmap_info(b, &info);
    for (uint32_t s = 0; !info.inconsistent && s < MIN(block_size(n), (uint64_t)DISK) / SECTOR; s++) {
        uint64_t pnum;
        if (r->written[s] && !block_bitmap_status(b, (uint64_t)s * SECTOR, 1, &pnum)) {
            error_setf(errp, "the bitmap is called good and lacks sector %u", s);
            return false;
        }
    }
    return true;
}

static bool check_consistency(Run *r, Error **errp)
{
    BlockCheck c = { 0 };
    /* vhdx: its log is replayed first */
    BlockNode *n = open_file(r, BLOCK_CHECK | (!strcmp(r->format, "vhdx") ? BLOCK_RDWR : 0), errp);
    if (!n)
        return false;
    BlockInfo info;
    block_info(n, &info, NULL);
    bool dirty = info.dirty, ok = !n->drv->check || block_check(n, &c, 0, errp);
    block_info_clear(&info);
    if (ok && !dirty && (c.corruptions || c.check_errors)) {
        error_setf(errp, "%" PRIu64 " corruptions", c.corruptions + c.check_errors);
        ok = false;
    }
    r->leaks += c.leaks;
    block_unref(n);
    return ok;
}

/* A raw external data file shows the same without the image. */
static bool check_raw(Run *r, uint64_t size, unsigned started, Error **errp)
{
    static uint32_t value[SECTORS];
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "raw");
    BlockNode *n = block_open(r->data_path, o, 0, errp);
    bool ok = n && read_values(r, n, value, errp) && check_values(r, value, size, started, errp);
    block_unref(n);
    if (n && !ok)
        error_prependf(errp, "raw data file");
    return ok;
}

static bool look(Run *r, const TapeDisk *d, unsigned event, Error **errp)
{
    static uint32_t value[SECTORS];
    unsigned done = 0, started = 0;
    for (unsigned i = 0; i < r->promises->len && g_array_index(r->promises, Promise, i).event <= event; i++)
        done = g_array_index(r->promises, Promise, i).ops;
    while (started < r->ops->len && nth(r, started)->event <= event)
        started++;
    settle(r, done);
    if (!g_file_set_contents(r->path, (const char *)d->file[0]->data, d->file[0]->len, errp) ||
        (r->data_path && !g_file_set_contents(r->data_path, (const char *)d->file[1]->data, d->file[1]->len, errp)))
        return false;
    r->cuts++;
    if (!check_consistency(r, errp))
        return false;
    /* and as a user would go on: opened for writing, repaired if it says so itself */
    BlockNode *n = open_file(r, BLOCK_RDWR, errp);
    uint64_t size = n ? block_size(n) : 0;
    bool ok = n && check_size(r, size, started, errp) && read_values(r, n, value, errp) && check_values(r, value, size, started, errp) &&
              (!r->bitmap || check_bitmap(r, n, errp));
    block_unref(n);
    return ok && (!r->snapshots || check_snapshots(r, errp)) && (!r->raw_data || check_raw(r, size, started, errp));
}

static bool cut_between(Run *r, const TapeDisk *now, TapeDisk *d, unsigned start, unsigned end, unsigned tries, Error **errp)
{
    for (unsigned k = 0; k < tries && end > start; k++) {
        unsigned upto = start + 1 + pick(r, end - start);
        tape_disk_copy(d, now);
        tape_disk_lose(r->tape, d, upto, r->rand);
        if (!look(r, d, upto, errp)) {
            error_prependf(errp, "power cut after %u of %u writes and flushes", upto, r->tape->events->len);
            return false;
        }
    }
    return true;
}

/* `first`: the tape's events before it made the image. */
static bool cut_everywhere(Run *r, unsigned first, unsigned tries, ImgProgress *p, Error **errp)
{
    TapeDisk now, d;
    bool ok = true;
    tape_disk_init(&now);
    tape_disk_init(&d);
    tape_disk_apply(r->tape, &now, 0, first);
    tape_disk_apply(r->tape, &now, 1, first);
    unsigned start = first, total = r->tape->events->len;
    for (unsigned i = first; i <= total && ok; i++) {
        const TapeEvent *e = i < total ? r->tape->events->pdata[i] : NULL;
        if (e && e->kind != TAPE_FLUSH)
            continue;
        ok = cut_between(r, &now, &d, start, i, tries, errp);
        for (unsigned f = 0; f < TAPE_FILES; f++) {
            if (!e || e->file == f)
                tape_disk_apply(r->tape, &now, f, i);
        }
        start = i;
        tape_disk_copy(&d, &now);
        tape_disk_lose(r->tape, &d, i, r->rand); /* of the other file */
        if (ok && !look(r, &d, i, errp)) {
            error_prependf(errp, "power cut at write or flush %u of %u", i, total);
            ok = false;
        }
        img_progress_add(p, i + 1 - p->done);
    }
    tape_disk_clear(&now);
    tape_disk_clear(&d);
    return ok;
}

/* --- the whole --- */

static bool load(Tape *t, unsigned file, const char *path, Error **errp)
{
    g_autofree gchar *contents = NULL;
    gsize len;
    if (!g_file_get_contents(path, &contents, &len, errp))
        return false;
    tape_load(t, file, contents, len);
    return true;
}

static bool add_bitmap(Run *r, Error **errp)
{
    BlockNode *n = open_file(r, BLOCK_RDWR, errp);
    r->bitmap = n && block_has_bitmaps(n) && block_bitmap_add(n, "marks", GRANULE, BITMAP_PERSISTENT, NULL); /* version 2 has none */
    block_unref(n);
    return n;
}

/* The new image stands on the tape as well as in the file. */
static bool new_image(Run *r, Opts *o, bool data_file, Error **errp)
{
    static const char *const keys[] = { "encrypt.key-secret", "key-secret" };
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (opts_has(o, keys[i]))
            r->key_name = keys[i], r->key = g_strdup(opts_get(o, keys[i]));
    }
    r->old = g_strcmp0(opts_get(o, "compat"), "0.10") == 0;
    r->raw_data = g_strcmp0(opts_get(o, "data_file_raw"), "on") == 0;
    r->data_path = data_file || r->raw_data ? g_strdup_printf("%s.data", r->path) : NULL;
    g_autofree char *base = r->data_path ? g_path_get_basename(r->data_path) : NULL;
    if (base)
        opts_set(o, "data_file", base);
    if (!block_create(r->path, r->format, DISK, o, errp) || !add_bitmap(r, errp) || !load(r->tape, 0, r->path, errp) ||
        (base && !load(r->tape, 1, r->data_path, errp)))
        return false;
    g_autoptr(Opts) open = opts_new();
    opts_set(open, "driver", r->format);
    opts_set(open, "file.driver", "torture-tape");
    if (base) {
        opts_set(open, "data-file.driver", "torture-tape");
        opts_set(open, "data-file.filename", "1");
    }
    if (r->key)
        opts_set(open, r->key_name, r->key);
    r->n = block_open(NULL, open, BLOCK_RDWR | BLOCK_UNMAP, errp);
    r->first_size = r->n ? block_size(r->n) : 0;
    return r->n;
}

/* What the format can, and `without` does not take away. */
static bool choose(Run *r, char **without, Error **errp)
{
    static const char *const words[] = { "snapshots", "compression", "resize", NULL };
    bool qcow2 = !strcmp(r->format, "qcow2");
    for (char **w = without; w && *w; w++) {
        if (!g_strv_contains(words, *w)) {
            error_set_unknown(errp, "--without", *w, words);
            return false;
        }
    }
    r->snapshots = block_has_snapshots(r->n) && !r->data_path && !(without && g_strv_contains((const char *const *)without, words[0]));
    r->compress = qcow2 && !r->data_path && !r->key && !(without && g_strv_contains((const char *const *)without, words[1]));
    r->resize = qcow2 && !(without && g_strv_contains((const char *const *)without, words[2]));
    return true;
}

static void run_clear(Run *r)
{
    tape_free(r->tape);
    g_array_unref(r->ops);
    g_array_unref(r->promises);
    g_hash_table_unref(r->snaps);
    g_rand_free(r->rand);
    g_free(r->buf);
    g_free(r->data_path);
    g_free((char *)r->key);
}

int img_torture(int argc, char **argv)
{
    gint64 seed = 0, count = 300;
    gint tries = 3;
    gboolean show = FALSE, no_snapshots = FALSE, data_file = FALSE;
    gchar **lists = NULL, *format = "qcow2", *without = NULL;
    const GOptionEntry entries[] = {
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the random choices (a new one)", "N" },
        { "count", 0, 0, G_OPTION_ARG_INT64, &count, "requests of the guest (300)", "N" },
        { "tries", 0, 0, G_OPTION_ARG_INT, &tries, "random cuts between two flushes (3)", "N" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &lists,
          "options of the image, as create has them: encryption (with --object secret,…), lazy_refcounts, extended_l2, compression_type …", "A=B,..." },
        { "format", 'f', 0, G_OPTION_ARG_STRING, &format, "format of the image (qcow2)", "FMT" },
        { "data-file", 0, 0, G_OPTION_ARG_NONE, &data_file, "with an external data file, FILE.data (-o data_file_raw=on: raw)", NULL },
        { "without", 0, 0, G_OPTION_ARG_STRING, &without,
          "leave out what the format could: snapshots (made, applied, deleted), compression, resize", "WORD,..." },
        { "no-snapshots", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &no_snapshots, "--without snapshots", NULL },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &show, "show progress", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    g_autoptr(Opts) o = img_options(lists, &err);
    if (!o)
        return img_fail(err);
    g_auto(GStrv) words = g_strsplit(without ? without : no_snapshots ? "snapshots" : "", ",", 0);
    seed = seed ? seed : (gint64)g_random_int();
    static Run r;
    r = (Run){ .rand = g_rand_new_with_seed((guint32)seed), .path = argv[1], .format = format, .buf = g_malloc(DISK), .tape = tape_new(),
               .ops = g_array_new(false, false, sizeof(Op)), .promises = g_array_new(false, false, sizeof(Promise)),
               .snaps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free) };
    memset(r.zero_too, true, sizeof r.zero_too); /* a new disk is zero */
    printf("seed %" G_GINT64_FORMAT "\n", seed);
    bool ok = new_image(&r, o, data_file, &err) && choose(&r, words, &err);
    unsigned first = r.tape->events->len;
    ok = ok && work(&r, (uint64_t)MAX(count, 1), &err);
    block_unref(r.n); /* closing is part of it */
    ImgProgress p;
    img_progress_start(&p, show, r.tape->events->len + 1);
    ok = ok && cut_everywhere(&r, first, (unsigned)MAX(tries, 0), &p, &err);
    if (ok)
        img_progress_end(&p);
    unsigned events = r.tape->events->len;
    run_clear(&r);
    if (!ok) {
        error_prependf(&err, "seed %" G_GINT64_FORMAT ": ", seed);
        return img_fail(err);
    }
    printf("%" PRIu64 " power cuts over %u writes and flushes: no corruption, nothing lost; %" PRIu64 " snapshots seen, %" PRIu64 " clusters leaked in all\n",
           r.cuts, events, r.seen, r.leaks);
    return EXIT_SUCCESS;
}
