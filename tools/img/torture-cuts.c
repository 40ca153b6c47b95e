/* SPDX-License-Identifier: MIT */
/*
 * What the cuts of `rhea-img torture` leave: made from the tape, opened, checked, and compared with what had been
 * promised.
 */
#include <errno.h>
#include <unistd.h>
#include "tools/img/torture.h"

static BlockNode *open_with(const Torture *r, unsigned file, const char *key, unsigned flags, Error **errp)
{
    g_autoptr(Opts) o = opts_new();
    g_autofree char *name = tape_name(file), *data = tape_name(DATA_FILE);
    opts_set(o, "driver", r->format);
    if (key)
        opts_set(o, r->key_name, key);
    if (r->data_path) {
        opts_set(o, "data-file.driver", "torture-tape");
        opts_set(o, "data-file.filename", data);
    }
    return block_open(name, o, flags, errp);
}

BlockNode *torture_open(const Torture *r, unsigned file, unsigned flags, Error **errp)
{
    return open_with(r, file, r->keys[!r->now.opens[0]], flags, errp);
}

bool torture_read(Torture *r, BlockNode *n, uint32_t *out, Error **errp)
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

static const TortureOp *nth(const Torture *r, unsigned i) { return &g_array_index(r->ops, TortureOp, i); }

static void settle_one(Torture *r, const TortureOp *o)
{
    for (uint32_t s = o->sector; s < o->sector + o->count; s++) {
        r->zero_too[s] = o->kind == OP_DISCARD || (o->kind != OP_APPLY && !o->value);
        r->newest[s] = o->kind == OP_DISCARD ? r->newest[s] : o->kind == OP_APPLY ? o->image[s] : o->value;
        /* what a disk gains is not dirty */
        r->written[s] = o->kind != OP_RESIZE && (r->written[s] || o->kind != OP_DISCARD);
    }
}

/* The durable ones, one after the other; cuts come in the order of the tape. */
static void settle(Torture *r, const TorturePromise *p)
{
    if (r->unsettled != UINT_MAX && r->unsettled != p->open) { /* its thread has done nothing since */
        settle_one(r, nth(r, r->unsettled));
        r->unsettled = UINT_MAX;
    }
    for (; r->settled < p->ops; r->settled++) {
        if (r->settled == p->open)
            r->unsettled = p->open;
        else
            settle_one(r, nth(r, r->settled));
    }
}

static bool may_give(const TortureOp *o, uint32_t sector, uint32_t value)
{
    return sector >= o->sector && sector < o->sector + o->count &&
           value == (o->kind == OP_APPLY ? o->image[sector] : o->value);
}

static bool fits(const Torture *r, uint32_t sector, uint32_t value, unsigned started)
{
    if (value == r->newest[sector] || (r->zero_too[sector] && !value))
        return true;
    bool ok = r->unsettled != UINT_MAX && may_give(nth(r, r->unsettled), sector, value);
    for (unsigned i = r->settled; i < started && !ok; i++)
        ok = may_give(nth(r, i), sector, value);
    return ok;
}

static bool check_values(Torture *r, const uint32_t *value, uint64_t size, unsigned started, Error **errp)
{
    const TortureOp *last = started > r->settled ? nth(r, started - 1) : NULL;
    if (last && last->kind == OP_APPLY) { /* wholly or not at all */
        if (size == last->size && !memcmp(value, last->image, sizeof r->newest))
            return true;
        started--;
    }
    for (uint32_t s = 0; s < MIN(size, (uint64_t)DISK) / SECTOR; s++) {
        if (!fits(r, s, value[s], started)) {
            error_setf(errp, "sector %u of file %u holds value %u, not %u, which it can't after %u of %u requests", s,
                       r->now.root, value[s], r->newest[s], r->settled, started);
            return false;
        }
    }
    return true;
}

static bool check_size(const Torture *r, uint64_t size, unsigned started, Error **errp)
{
    bool ok = size == (r->settled ? nth(r, r->settled - 1)->size : r->first_size);
    for (unsigned i = r->settled; i < started && !ok; i++)
        ok = nth(r, i)->size == size;
    if (!ok)
        error_setf(errp, "the disk has %" PRIu64 " bytes, which it can't", size);
    return ok;
}

static bool check_snapshot(Torture *r, const BlockSnapshot *b, Error **errp)
{
    static uint32_t value[SECTORS];
    const TortureSnap *s = g_hash_table_lookup(r->snaps, b->name);
    BlockNode *n = s ? torture_open(r, 0, 0, errp) : NULL;
    bool ok = n && block_snapshot_load(n, b->id, errp) && torture_read(r, n, value, errp);
    if (ok && (block_size(n) != s->size || memcmp(value, s->image, sizeof value))) {
        error_setf(errp, "snapshot %s holds other contents than when it was made", b->name);
        ok = false;
    }
    block_unref(n);
    r->seen++;
    return ok;
}

static bool check_snapshots(Torture *r, Error **errp)
{
    GArray *list = NULL;
    BlockNode *n = torture_open(r, 0, 0, errp);
    bool ok = n && block_snapshot_list(n, &list, errp);
    block_unref(n);
    for (unsigned i = 0; ok && i < list->len; i++)
        ok = check_snapshot(r, &g_array_index(list, BlockSnapshot, i), errp);
    if (list)
        g_array_unref(list);
    return ok;
}

static bool check_bitmap(const Torture *r, BlockNode *n, Error **errp)
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

/* Opened for writing, vhdx replays its log, without which it does not open. */
static unsigned for_a_look(const Torture *r) { return strcmp(r->format, "vhdx") ? 0 : BLOCK_RDWR; }

static bool check_one(Torture *r, unsigned file, Error **errp)
{
    BlockCheck c = { 0 };
    BlockNode *n = torture_open(r, file, BLOCK_CHECK | BLOCK_NO_BACKING | for_a_look(r), errp);
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

/* Of the image and all that it stands on. */
static bool check_consistency(Torture *r, unsigned file, Error **errp)
{
    BlockNode *n = torture_open(r, file, for_a_look(r), errp);
    bool ok = n;
    for (BlockNode *b = n; ok && b; b = block_backing(b)) {
        unsigned one = tape_number(block_filename(b));
        ok = check_one(r, one, errp);
        if (!ok)
            error_prependf(errp, "file %u", one);
    }
    block_unref(n);
    return ok;
}

/* A raw external data file shows the same without the image. */
static bool check_raw(Torture *r, uint64_t size, unsigned started, Error **errp)
{
    static uint32_t value[SECTORS];
    g_autoptr(Opts) o = opts_new();
    g_autofree char *name = tape_name(DATA_FILE);
    opts_set(o, "driver", "raw");
    BlockNode *n = block_open(name, o, 0, errp);
    bool ok = n && torture_read(r, n, value, errp) && check_values(r, value, size, started, errp);
    block_unref(n);
    if (n && !ok)
        error_prependf(errp, "raw data file");
    return ok;
}

/* Passphrases that were added open the image, those that were erased don't. */
static bool check_keys(Torture *r, const TortureState *s, Error **errp)
{
    bool settled = s->opens[0] + s->opens[1] + s->refused[0] + s->refused[1] == KEYS;
    if (!r->keys[1] || (settled && torture_pick(r, 8))) /* trying one takes its time, and is meant to */
        return true;
    for (unsigned i = 0; i < KEYS; i++) {
        BlockNode *n = s->opens[i] || s->refused[i] ? open_with(r, 0, r->keys[i], 0, NULL) : NULL;
        bool opened = n;
        block_unref(n);
        if (opened ? s->refused[i] : s->opens[i]) {
            error_setf(errp, "passphrase %u %s", i,
                       opened ? "opens the image although it was erased" : "does not open the image");
            return false;
        }
    }
    return true;
}

static bool check_copies(Torture *r, unsigned event, Error **errp)
{
    static uint32_t value[SECTORS];
    for (unsigned i = 0; i < r->copies->len; i++) {
        const TortureCopy *c = &g_array_index(r->copies, TortureCopy, i);
        if (event < c->from || event > c->to)
            continue;
        BlockNode *n = check_one(r, c->file, errp) ? torture_open(r, c->file, 0, errp) : NULL;
        uint32_t s = 0;
        bool ok = n && torture_read(r, n, value, errp);
        while (ok && s < SECTORS && value[s] == c->image[s])
            s++;
        block_unref(n);
        r->seen++;
        if (ok && s < SECTORS)
            error_setf(errp, "sector %u holds value %u, not %u", s, value[s], c->image[s]);
        if (!ok || s < SECTORS) {
            error_prependf(errp, "the copy in file %u", c->file);
            return false;
        }
    }
    return true;
}

/* As a user would go on: opened for writing, repaired if it says so itself. */
static bool check_contents(Torture *r, unsigned file, unsigned started, Error **errp)
{
    static uint32_t value[SECTORS];
    BlockNode *n = torture_open(r, file, BLOCK_RDWR, errp);
    uint64_t size = n ? block_size(n) : 0;
    bool ok = n && check_size(r, size, started, errp) && torture_read(r, n, value, errp) &&
              check_values(r, value, size, started, errp) && (!r->bitmap || check_bitmap(r, n, errp));
    block_unref(n);
    return ok && (!r->raw_data || check_raw(r, size, started, errp));
}

/* What a cut left, where a user can look at it. */
static void save(const Torture *r, const TapeDisk *d)
{
    for (unsigned f = 0; f < TAPE_FILES; f++) {
        g_autofree char *name = f && !(r->data_path && f == DATA_FILE) ? g_strdup_printf("%s.%u", r->path, f)
                                                                       : g_strdup(f ? r->data_path : r->path);
        if (d->file[f]->len)
            g_file_set_contents(name, (const char *)d->file[f]->data, d->file[f]->len, NULL);
    }
}

static bool look(Torture *r, TapeDisk *d, unsigned event, Error **errp)
{
    TorturePromise done = { .open = UINT_MAX };
    unsigned started = 0;
    const TortureState *s = &g_array_index(r->states, TortureState, 0);
    for (unsigned i = 0; i < r->promises->len && g_array_index(r->promises, TorturePromise, i).event <= event; i++)
        done = g_array_index(r->promises, TorturePromise, i);
    for (unsigned i = 0; i < r->states->len && g_array_index(r->states, TortureState, i).event <= event; i++)
        s = &g_array_index(r->states, TortureState, i);
    while (started < r->ops->len && nth(r, started)->event <= event)
        started++;
    settle(r, &done);
    r->now = *s;
    r->cuts++;
    tape_show(r->tape, d);
    bool ok = check_keys(r, s, errp) && check_consistency(r, s->root, errp) && check_copies(r, event, errp) &&
              check_contents(r, s->root, started, errp) && (!r->snapshots || check_snapshots(r, errp));
    tape_show(r->tape, NULL);
    if (!ok)
        save(r, d);
    return ok;
}

static bool cut_between(Torture *r, const TapeDisk *now, TapeDisk *d, unsigned start, unsigned end, unsigned tries,
                        Error **errp)
{
    for (unsigned k = 0; k < tries && end > start; k++) {
        unsigned upto = start + 1 + torture_pick(r, end - start);
        tape_disk_copy(d, now);
        tape_disk_lose(r->tape, d, upto, r->rand);
        if (!look(r, d, upto, errp)) {
            error_prependf(errp, "power cut amid the first %u of %u writes and flushes", upto, r->tape->events->len);
            return false;
        }
    }
    return true;
}

/* `first`: the tape's events before it made the image. */
bool torture_cut_everywhere(Torture *r, unsigned first, unsigned tries, ImgProgress *p, Error **errp)
{
    TapeDisk now, d;
    bool ok = true;
    tape_disk_init(&now);
    tape_disk_init(&d);
    for (unsigned f = 0; f < TAPE_FILES; f++)
        tape_disk_apply(r->tape, &now, f, first);
    unsigned start = first, total = tape_length(r->tape);
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
        if (ok && !look(r, &d, MIN(i + 1, total), errp)) { /* the flush has ended */
            error_prependf(errp, "power cut behind write or flush %u of %u", i, total);
            ok = false;
        }
        img_progress_add(p, i + 1 - p->done);
    }
    tape_disk_clear(&now);
    tape_disk_clear(&d);
    return ok;
}
