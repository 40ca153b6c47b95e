/* SPDX-License-Identifier: MIT */
/*
 * rhea-img torture: random work on an image while every write and flush that reaches its files is recorded (tape.h);
 * then the power is "cut" at every flush, and at random points between flushes with any subset of the writes since the
 * last one done, in any order of sectors. Each resulting image must open, have no corruption (leaks are allowed), and
 * hold everything that had been promised: what a flush covered, snapshots that were made, a size that was set; an
 * internal snapshot is applied wholly or not at all, and a dirty bitmap lacks nothing unless it says that it is not to
 * be used.
 */
#include <errno.h>
#include <unistd.h>
#include "base/object.h"
#include "tools/img/torture.h"

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
    r->bitmap = n && torture_pick(r, 4) && block_has_bitmaps(n) &&
                block_bitmap_add(n, "marks", GRANULE, BITMAP_PERSISTENT, NULL);
    block_unref(n);
    return n;
}

/* The new image stands on the tape as well as in the file. */
static bool new_image(Torture *r, Error **errp)
{
    r->old = g_strcmp0(opts_get(r->create, "compat"), "0.10") == 0;
    r->raw_data = g_strcmp0(opts_get(r->create, "data_file_raw"), "on") == 0;
    if (r->raw_data && !r->data_path)
        r->data_path = g_strdup_printf("%s.data", r->path);
    g_autofree char *base = r->data_path ? g_path_get_basename(r->data_path) : NULL;
    if (base)
        opts_set(r->create, "data_file", base);
    if (!choose_keys(r, errp) || !block_create(r->path, r->format, DISK, r->create, errp) ||
        !torture_load(r, 0, r->path, errp) || (base && !torture_load(r, DATA_FILE, r->data_path, errp)))
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

typedef struct Choice { gboolean chain, beside, show; const char *const *without; gint64 count; gint tries; } Choice;

static bool run(Torture *r, const Choice *c, Error **errp)
{
    bool ok = new_image(r, errp) && choose(r, c->chain, c->without, errp);
    unsigned first = tape_length(r->tape);
    ok = ok && torture_work(r, (uint64_t)MAX(c->count, 1), c->beside, errp);
    if (!r->chain)
        block_unref(r->n); /* closing is part of it */
    ImgProgress p;
    img_progress_start(&p, c->show, tape_length(r->tape) + 1);
    ok = ok && torture_cut_everywhere(r, first, (unsigned)MAX(c->tries, 0), &p, errp);
    if (ok)
        img_progress_end(&p);
    return ok;
}

int img_torture(int argc, char **argv)
{
    gint64 seed = 0;
    Choice c = { .count = 300, .tries = 3 };
    gboolean no_snapshots = FALSE, data_file = FALSE;
    gchar **lists = NULL, *format = "qcow2", *without = NULL;
    const GOptionEntry entries[] = {
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the random choices (a new one)", "N" },
        { "count", 0, 0, G_OPTION_ARG_INT64, &c.count, "requests of the guest (300)", "N" },
        { "tries", 0, 0, G_OPTION_ARG_INT, &c.tries, "random cuts between two flushes (3)", "N" },
        { "options", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &lists,
          "options of the image, as create has them: encryption (with --object secret,…), lazy_refcounts, extended_l2, "
          "compression_type …",
          "A=B,..." },
        { "format", 'f', 0, G_OPTION_ARG_STRING, &format, "format of the image (qcow2)", "FMT" },
        { "chain", 0, 0, G_OPTION_ARG_NONE, &c.chain,
          "a chain of images, on which stream, commit, mirror, backup, overlays, copy-before-write and rebase go on "
          "beside the guest's requests",
          NULL },
        { "beside", 0, 0, G_OPTION_ARG_NONE, &c.beside,
          "a second thread of the guest writes at the same time, so that a seed does not repeat everything", NULL },
        { "data-file", 0, 0, G_OPTION_ARG_NONE, &data_file,
          "with an external data file, FILE.data (-o data_file_raw=on: raw)", NULL },
        { "without", 0, 0, G_OPTION_ARG_STRING, &without,
          "leave out what the format could: snapshots (made, applied, deleted), compression, resize, amend",
          "WORD,..." },
        { "no-snapshots", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &no_snapshots, "--without snapshots", NULL },
        { "progress", 'p', 0, G_OPTION_ARG_NONE, &c.show, "show progress", NULL },
        { NULL }
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
    r = (Torture){ .data_path = data_file ? g_strdup_printf("%s.data", argv[1]) : NULL,
                   .rand = g_rand_new_with_seed((guint32)seed),
                   .path = argv[1],
                   .format = format,
                   .buf = g_malloc(DISK),
                   .tape = tape_new(),
                   .open = UINT_MAX,
                   .unsettled = UINT_MAX,
                   .create = o,
                   .ops = g_array_new(false, false, sizeof(TortureOp)),
                   .promises = g_array_new(false, false, sizeof(TorturePromise)),
                   .states = g_array_new(false, false, sizeof(TortureState)),
                   .copies = g_array_new(false, false, sizeof(TortureCopy)),
                   .snaps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free) };
    g_array_set_clear_func(r.copies, copy_clear);
    pthread_mutex_init(&r.ops_lock, NULL);
    pthread_mutex_init(&r.beside_lock, NULL);
    sem_init(&r.turns, 0, 0);
    memset(r.zero_too, true, sizeof r.zero_too); /* a new disk is zero */
    printf("seed %" G_GINT64_FORMAT "\n", seed);
    c.without = (const char *const *)words;
    bool ok = run(&r, &c, &err);
    unsigned events = tape_length(r.tape);
    run_clear(&r);
    if (!ok) {
        error_prependf(&err, "seed %" G_GINT64_FORMAT ": ", seed);
        return img_fail(err);
    }
    printf("%" PRIu64 " power cuts over %u writes and flushes: no corruption, nothing lost; %" PRIu64
           " snapshots and copies seen, %" PRIu64 " clusters leaked in all\n",
           r.cuts, events, r.seen, r.leaks);
    return EXIT_SUCCESS;
}
