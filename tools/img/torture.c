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
#include "base/object.h"
#include "tools/img/torture.h"

/* --- the guest: sectors hold numbers of their own --- */

static void fill(uint8_t *p, uint32_t value, uint32_t sectors)
{
    for (size_t i = 0; i < (size_t)sectors * SECTOR; i += 4)
        memcpy(p + i, &value, 4);
}

TortureOp *torture_begin(Torture *r, OpKind kind, uint32_t sector, uint32_t count, uint32_t value)
{
    TortureOp op = { kind, tape_length(r->tape), sector, count, value, NULL, block_size(r->n) };
    g_array_append_val(r->ops, op);
    return &g_array_index(r->ops, TortureOp, r->ops->len - 1);
}

static void promise_first(Torture *r, unsigned ops)
{
    TorturePromise p = { tape_length(r->tape), ops };
    g_array_append_val(r->promises, p);
}

void torture_promise(Torture *r) { promise_first(r, r->ops->len); }

void torture_state(Torture *r)
{
    r->now.event = tape_length(r->tape);
    g_array_append_val(r->states, r->now);
}

static int write_compressed(Torture *r, uint32_t at, uint32_t disk)
{
    BlockInfo info;
    block_info(r->n, &info, NULL);
    uint32_t unit = (uint32_t)MAX(info.cluster_size / SECTOR, 1u);
    block_info_clear(&info);
    at -= at % unit;
    unit = MIN(unit, disk - at);
    uint32_t value = torture_begin(r, OP_SET, at, unit, ++r->next_value)->value;
    fill(r->buf, value, unit);
    struct iovec iov = { r->buf, (size_t)unit * SECTOR };
    return block_pwritev(r->n, (uint64_t)at * SECTOR, &iov, 1, BLOCK_REQ_COMPRESSED);
}

static int guest_op(Torture *r)
{
    uint32_t disk = (uint32_t)(MIN(block_size(r->n), (uint64_t)DISK) / SECTOR), at = torture_pick(r, disk);
    uint32_t count = 1 + torture_pick(r, torture_pick(r, 4) ? 16 : REQUEST_MAX / SECTOR), kind = torture_pick(r, 20);
    uint64_t from = (uint64_t)at * SECTOR;
    count = MIN(count, disk - at);
    if (kind == 13 && r->compress)
        return write_compressed(r, at, disk);
    if (kind < 14) {
        fill(r->buf, torture_begin(r, OP_SET, at, count, ++r->next_value)->value, count);
        return block_pwrite(r->n, from, r->buf, (size_t)count * SECTOR);
    }
    torture_begin(r, kind < 17 ? OP_SET : OP_DISCARD, at, count, 0);
    if (kind < 17)
        return block_pwrite_zeroes(r->n, from, (uint64_t)count * SECTOR, BLOCK_REQ_MAY_UNMAP);
    return block_pdiscard(r->n, from, (uint64_t)count * SECTOR);
}

static bool make_snapshot(Torture *r, Error **errp)
{
    BlockSnapshot s = { .icount = UINT64_MAX };
    TortureSnap *snap = g_new(TortureSnap, 1);
    snap->size = block_size(r->n);
    g_snprintf(s.name, sizeof s.name, "s%u", ++r->next_value);
    if (!torture_read(r, r->n, snap->image, errp)) {
        g_free(snap);
        return false;
    }
    g_hash_table_insert(r->snaps, g_strdup(s.name), snap); /* known before it is made: a cut may find it */
    return block_snapshot_create(r->n, &s, errp);
}

static bool snapshot_op(Torture *r, Error **errp)
{
    GArray *list;
    if (!block_snapshot_list(r->n, &list, errp))
        return false;
    const BlockSnapshot *one = list->len ? &g_array_index(list, BlockSnapshot, torture_pick(r, list->len)) : NULL;
    bool ok;
    if (list->len < 2 && (!one || torture_pick(r, 2))) {
        ok = make_snapshot(r, errp);
    } else if (torture_pick(r, 2)) {
        const TortureSnap *s = g_hash_table_lookup(r->snaps, one->name);
        TortureOp *op = torture_begin(r, OP_APPLY, 0, SECTORS, 0);
        op->image = s->image;
        op->size = s->size;
        ok = block_snapshot_apply(r->n, one->id, errp);
    } else {
        ok = block_snapshot_delete(r->n, one->id, errp);
    }
    g_array_unref(list);
    torture_promise(r);
    return ok;
}

static bool has_snapshots(Torture *r)
{
    GArray *list;
    bool any = block_snapshot_list(r->n, &list, NULL) && list->len;
    g_array_unref(list);
    return any;
}

static bool resize_op(Torture *r, Error **errp)
{
    if (r->old && has_snapshots(r)) /* they have no size of their own */
        return true;
    uint64_t was = block_size(r->n), size = DISK / 2 + (uint64_t)torture_pick(r, SECTORS / 2) * SECTOR, low = MIN(was, size);
    torture_begin(r, OP_RESIZE, (uint32_t)(low / SECTOR), (uint32_t)((MAX(was, size) - low) / SECTOR), 0)->size = size;
    bool ok = block_truncate(r->n, size, torture_pick(r, 4) ? PREALLOC_OFF : PREALLOC_METADATA, true, errp);
    torture_promise(r);
    return ok;
}

static int flush_op(Torture *r)
{
    unsigned ops = r->ops->len;
    int e = block_flush(r->n);
    promise_first(r, ops);
    torture_chain_flushed(r);
    return e;
}

static bool step(Torture *r, uint64_t i, Error **errp)
{
    if (r->chain && !torture_chain_step(r, errp))
        return false;
    int e = 0;
    if (torture_pick(r, 12) == 0)
        e = flush_op(r);
    else if (r->snapshots && torture_pick(r, 50) == 0)
        return snapshot_op(r, errp);
    else if (r->resize && torture_pick(r, 80) == 0)
        return resize_op(r, errp);
    else if (r->amend && torture_pick(r, 50) == 0)
        return torture_amend(r, errp);
    else
        e = guest_op(r);
    if (e)
        error_set_errno(errp, -e, "torture: request %" PRIu64, i);
    return !e;
}

static bool work(Torture *r, uint64_t count, Error **errp)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!step(r, i, errp))
            return false;
    }
    return !r->chain || torture_chain_end(r, errp);
}

/* --- the whole --- */

bool torture_load(Torture *r, unsigned file, const char *path, Error **errp)
{
    g_autofree gchar *contents = NULL;
    gsize len;
    if (!g_file_get_contents(path, &contents, &len, errp))
        return false;
    tape_load(r->tape, file, contents, len);
    return true;
}

/* The second passphrase, if the format has key slots. */
static bool choose_keys(Torture *r, Error **errp)
{
    static const char *const names[] = { "encrypt.key-secret", "key-secret" };
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (opts_has(r->create, names[i]))
            r->key_name = names[i], r->keys[0] = opts_get(r->create, names[i]);
    }
    r->now.opens[0] = true;
    r->now.refused[1] = true;
    if (!r->key_name || g_strcmp0(opts_get(r->create, "encrypt.format"), "aes") == 0)
        return true;
    r->keys[1] = "torture-second";
    return object_new("secret", r->keys[1], errp, "data", "second", NULL);
}

/* Noise is no contents that could be compared. */
static bool clear_noise(Torture *r, Error **errp)
{
    if (block_new_is_zero(r->n))
        return true;
    torture_begin(r, OP_SET, 0, SECTORS, 0);
    memset(r->buf, 0, DISK);
    int e = block_pwrite(r->n, 0, r->buf, DISK);
    e = e ? e : block_flush(r->n);
    if (e)
        error_set_errno(errp, -e, "torture: a new image");
    torture_promise(r);
    return !e;
}

/* Most images have a dirty bitmap; version 2 can't, and without it an image may become one of version 2. */
static bool add_bitmap(Torture *r, Error **errp)
{
    BlockNode *n = torture_open(r, 0, BLOCK_RDWR, errp);
    r->bitmap = n && torture_pick(r, 4) && block_has_bitmaps(n) && block_bitmap_add(n, "marks", GRANULE, BITMAP_PERSISTENT, NULL);
    block_unref(n);
    return n;
}

/* The new image stands on the tape as well as in the file. */
static bool new_image(Torture *r, bool data_file, Error **errp)
{
    r->old = g_strcmp0(opts_get(r->create, "compat"), "0.10") == 0;
    r->raw_data = g_strcmp0(opts_get(r->create, "data_file_raw"), "on") == 0;
    r->data_path = data_file || r->raw_data ? g_strdup_printf("%s.data", r->path) : NULL;
    g_autofree char *base = r->data_path ? g_path_get_basename(r->data_path) : NULL;
    if (base)
        opts_set(r->create, "data_file", base);
    if (!choose_keys(r, errp) || !block_create(r->path, r->format, DISK, r->create, errp) || !torture_load(r, 0, r->path, errp) ||
        (base && !torture_load(r, DATA_FILE, r->data_path, errp)))
        return false;
    tape_flush(r->tape, 0);
    tape_flush(r->tape, DATA_FILE);
    torture_state(r);
    r->n = add_bitmap(r, errp) ? torture_open(r, 0, BLOCK_RDWR | BLOCK_UNMAP, errp) : NULL;
    r->first_size = r->n ? block_size(r->n) : 0;
    return r->n && clear_noise(r, errp);
}

/* What the format can, and `without` does not take away; a chain takes what is of one image alone. */
static bool choose(Torture *r, bool chain, const char *const *without, Error **errp)
{
    static const char *const words[] = { "snapshots", "compression", "resize", "amend", NULL };
    bool qcow2 = !strcmp(r->format, "qcow2");
    for (const char *const *w = without; *w; w++) {
        if (!g_strv_contains(words, *w)) {
            error_set_unknown(errp, "--without", *w, words);
            return false;
        }
    }
    if (chain && (!r->n->drv->change_backing || r->key_name || r->data_path)) {
        error_setf(errp, "--chain is for formats that have backing files, without encryption and external data files");
        return false;
    }
    r->snapshots = !chain && block_has_snapshots(r->n) && !r->data_path && !g_strv_contains(without, words[0]);
    r->compress = qcow2 && !r->data_path && !r->key_name && !g_strv_contains(without, words[1]);
    r->resize = !chain && qcow2 && !g_strv_contains(without, words[2]);
    r->amend = !chain && r->n->drv->amend && !g_strv_contains(without, words[3]);
    r->bitmap &= !chain;
    if (chain)
        torture_chain_begin(r);
    return true;
}

static void copy_clear(gpointer p) { g_free(((TortureCopy *)p)->image); }

static void run_clear(Torture *r)
{
    tape_free(r->tape);
    g_array_unref(r->ops);
    g_array_unref(r->promises);
    g_array_unref(r->states);
    g_array_unref(r->copies);
    g_hash_table_unref(r->snaps);
    g_rand_free(r->rand);
    opts_free(r->create);
    g_free(r->buf);
    g_free(r->data_path);
}

static bool run(Torture *r, bool data_file, bool chain, const char *const *without, uint64_t count, unsigned tries, bool show, Error **errp)
{
    bool ok = new_image(r, data_file, errp) && choose(r, chain, without, errp);
    unsigned first = tape_length(r->tape);
    ok = ok && work(r, count, errp);
    if (!r->chain)
        block_unref(r->n); /* closing is part of it */
    ImgProgress p;
    img_progress_start(&p, show, tape_length(r->tape) + 1);
    ok = ok && torture_cut_everywhere(r, first, tries, &p, errp);
    if (ok)
        img_progress_end(&p);
    return ok;
}

int img_torture(int argc, char **argv)
{
    gint64 seed = 0, count = 300;
    gint tries = 3;
    gboolean show = FALSE, no_snapshots = FALSE, data_file = FALSE, chain = FALSE;
    gchar **lists = NULL, *format = "qcow2", *without = NULL;
    const GOptionEntry entries[] = {
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the random choices (a new one)", "N" },
        { "count", 0, 0, G_OPTION_ARG_INT64, &count, "requests of the guest (300)", "N" },
        { "tries", 0, 0, G_OPTION_ARG_INT, &tries, "random cuts between two flushes (3)", "N" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &lists,
          "options of the image, as create has them: encryption (with --object secret,…), lazy_refcounts, extended_l2, compression_type …", "A=B,..." },
        { "format", 'f', 0, G_OPTION_ARG_STRING, &format, "format of the image (qcow2)", "FMT" },
        { "chain", 0, 0, G_OPTION_ARG_NONE, &chain,
          "a chain of images, on which stream, commit, mirror, backup, overlays, copy-before-write and rebase go on beside the guest's requests", NULL },
        { "data-file", 0, 0, G_OPTION_ARG_NONE, &data_file, "with an external data file, FILE.data (-o data_file_raw=on: raw)", NULL },
        { "without", 0, 0, G_OPTION_ARG_STRING, &without,
          "leave out what the format could: snapshots (made, applied, deleted), compression, resize, amend", "WORD,..." },
        { "no-snapshots", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &no_snapshots, "--without snapshots", NULL },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &show, "show progress", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    Opts *o = img_options(lists, &err);
    if (!o)
        return img_fail(err);
    g_auto(GStrv) words = g_strsplit(without ? without : no_snapshots ? "snapshots" : "", ",", 0);
    seed = seed ? seed : (gint64)g_random_int();
    static Torture r;
    r = (Torture){ .rand = g_rand_new_with_seed((guint32)seed), .path = argv[1], .format = format, .buf = g_malloc(DISK), .tape = tape_new(),
                   .create = o, .ops = g_array_new(false, false, sizeof(TortureOp)), .promises = g_array_new(false, false, sizeof(TorturePromise)),
                   .states = g_array_new(false, false, sizeof(TortureState)), .copies = g_array_new(false, false, sizeof(TortureCopy)),
                   .snaps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free) };
    g_array_set_clear_func(r.copies, copy_clear);
    memset(r.zero_too, true, sizeof r.zero_too); /* a new disk is zero */
    printf("seed %" G_GINT64_FORMAT "\n", seed);
    bool ok = run(&r, data_file, chain, (const char *const *)words, (uint64_t)MAX(count, 1), (unsigned)MAX(tries, 0), show, &err);
    unsigned events = tape_length(r.tape);
    run_clear(&r);
    if (!ok) {
        error_prependf(&err, "seed %" G_GINT64_FORMAT ": ", seed);
        return img_fail(err);
    }
    printf("%" PRIu64 " power cuts over %u writes and flushes: no corruption, nothing lost; %" PRIu64 " snapshots and copies seen, %" PRIu64
           " clusters leaked in all\n", r.cuts, events, r.seen, r.leaks);
    return EXIT_SUCCESS;
}
