/* SPDX-License-Identifier: MIT */
/* "quorum": several images that hold the same; what enough of them say is what counts. */
#include <string.h>
#include "base/bits.h"
#include "block/filter.h"

enum { CHILDREN_MAX = 32 };

typedef struct Quorum {
    BlockNode *child[CHILDREN_MAX]; /* the first one is `file` */
    unsigned count, fifo;
    uint64_t threshold;
    bool rewrite;
    pthread_mutex_t lock; /* a vote must not fall between two images' writes */
} Quorum;

static Quorum *quorum_of(BlockNode *n) { return n->opaque; }

/* --- life --- */

static bool has_child(const Opts *o, const char *key)
{
    g_autofree char *prefix = g_strconcat(key, ".", NULL);
    bool found = opts_has(o, key);
    for (unsigned i = 0; i < opts_count(o) && !found; i++)
        found = g_str_has_prefix(opts_key(o, i), prefix);
    return found;
}

static bool open_children(BlockNode *n, Opts *o, Error **errp)
{
    Quorum *q = quorum_of(n);
    q->child[q->count++] = n->file;
    for (;; q->count++) {
        g_autofree char *key = g_strdup_printf("children.%u", q->count);
        if (!has_child(o, key))
            return true;
        if (q->count == CHILDREN_MAX) {
            error_setf(errp, "quorum: more than %d children", CHILDREN_MAX);
            return false;
        }
        BlockNode *c = q->child[q->count] = block_filter_other(n, o, key, errp);
        if (!c)
            return false;
        n->request_align = MAX(n->request_align, c->request_align);
        if (block_size(c) != block_size(n->file)) {
            error_setf(errp, "quorum: '%s' and '%s' differ in size", block_filename(n->file), block_filename(c));
            q->count++;
            return false;
        }
    }
}

static bool parse(BlockNode *n, Opts *o, Error **errp)
{
    static const char *const patterns[] = { "quorum", "fifo", NULL };
    Quorum *q = quorum_of(n);
    bool verify;
    if (!opts_get_u64(o, "vote-threshold", 0, &q->threshold, errp) ||
        !opts_get_bool(o, "rewrite-corrupted", false, &q->rewrite, errp) ||
        !opts_get_bool(o, "blkverify", false, &verify, errp) ||
        !opts_get_enum(o, "read-pattern", patterns, &q->fifo, errp))
        return false;
    bool fits = q->threshold && q->threshold <= q->count && !(verify && (q->count != 2 || q->threshold != 2)) &&
                !(q->rewrite && (verify || q->fifo));
    if (!fits)
        error_setf(errp,
                   "quorum: vote-threshold= is a number of children (here 1 to %u); blkverify=on wants two, both to "
                   "agree; rewrite-corrupted=on goes "
                   "with neither blkverify=on nor read-pattern=fifo",
                   q->count);
    return fits;
}

static void quorum_close(BlockNode *n)
{
    Quorum *q = quorum_of(n);
    for (unsigned i = 1; i < q->count; i++)
        block_unref(q->child[i]);
    pthread_mutex_destroy(&q->lock);
}

static bool quorum_open(BlockNode *n, Opts *o, Error **errp)
{
    pthread_mutex_init(&quorum_of(n)->lock, NULL);
    block_filter_init(n);
    n->size = block_size(n->file);
    if (open_children(n, o, errp) && parse(n, o, errp))
        return true;
    quorum_close(n);
    return false;
}

/* --- voting --- */

/* Of a request without contents: enough successes, or the error that was met most often. */
static int elect(BlockNode *n, const char *what, const int *result)
{
    const Quorum *q = quorum_of(n);
    unsigned good = 0, most = 0;
    int error = -EIO;
    for (unsigned i = 0; i < q->count; i++) {
        unsigned same = 0;
        for (unsigned k = 0; k < q->count; k++)
            same += result[k] == result[i];
        good += !result[i];
        if (result[i] && same > most) {
            most = same;
            error = result[i];
        }
        if (result[i])
            warn_reportf("quorum: image '%s': %s: %s", block_filename(q->child[i]), what, g_strerror(-result[i]));
    }
    return good >= q->threshold ? 0 : error;
}

typedef struct Votes { int result[CHILDREN_MAX]; uint8_t *data[CHILDREN_MAX]; } Votes;

static unsigned votes_for(const Quorum *q, const Votes *v, unsigned i, uint64_t len)
{
    unsigned votes = 0;
    for (unsigned k = 0; k < q->count && !v->result[i]; k++)
        votes += !v->result[k] && !memcmp(v->data[k], v->data[i], len);
    return votes;
}

/* Those who say something else than the winner are told of, and set right if that is asked for. */
static void outvoted(BlockNode *n, const Votes *v, unsigned winner, uint64_t offset, uint64_t len)
{
    const Quorum *q = quorum_of(n);
    for (unsigned i = 0; i < q->count; i++) {
        if (!v->result[i] && !memcmp(v->data[i], v->data[winner], len))
            continue;
        warn_reportf("quorum: image '%s' has other contents at %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                     block_filename(q->child[i]), (guint64)offset, (guint64)(offset + len - 1));
        if (q->rewrite && block_writable(q->child[i]))
            block_pwrite(q->child[i], offset, v->data[winner], len);
    }
}

static int read_votes(BlockNode *n, Votes *v, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    const Quorum *q = quorum_of(n);
    unsigned winner = 0, most = 0;
    for (unsigned i = 0; i < q->count; i++) {
        v->data[i] = g_try_malloc(len);
        v->result[i] = v->data[i] ? block_pread(q->child[i], offset, v->data[i], len) : -ENOMEM;
    }
    for (unsigned i = 0; i < q->count; i++) {
        unsigned votes = votes_for(q, v, i, len);
        if (votes > most) {
            most = votes;
            winner = i;
        }
    }
    if (most < q->threshold) {
        int r = elect(n, "reading", v->result);
        if (!r)
            warn_reportf("quorum: no %u images agree on what is at %" G_GUINT64_FORMAT, (unsigned)q->threshold,
                         (guint64)offset);
        return r ? r : -EIO;
    }
    iov_from_buf(iov, iovcnt, 0, v->data[winner], len);
    if (most < q->count)
        outvoted(n, v, winner, offset, len);
    return 0;
}

static int quorum_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    Quorum *q = quorum_of(n);
    int r = -EIO;
    for (unsigned i = 0; q->fifo && i < q->count; i++) {
        r = block_preadv(q->child[i], offset, iov, iovcnt);
        if (!r)
            return 0;
    }
    if (q->fifo)
        return r;
    Votes v = { 0 };
    pthread_mutex_lock(&q->lock); /* what is outvoted may be written */
    r = read_votes(n, &v, offset, len, iov, iovcnt);
    pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < q->count; i++)
        g_free(v.data[i]);
    return r;
}

/* --- writing --- */

static int quorum_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                          unsigned flags)
{
    Quorum *q = quorum_of(n);
    int result[CHILDREN_MAX];
    g_autofree uint8_t *copy = g_try_malloc(len); /* the guest may change its memory meanwhile: the same for all */
    if (!copy)
        return -ENOMEM;
    iov_to_buf(iov, iovcnt, 0, copy, len);
    pthread_mutex_lock(&q->lock);
    for (unsigned i = 0; i < q->count; i++)
        result[i] = block_pwrite(q->child[i], offset, copy, len);
    pthread_mutex_unlock(&q->lock);
    return elect(n, "writing", result);
}

static int quorum_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    Quorum *q = quorum_of(n);
    int result[CHILDREN_MAX];
    pthread_mutex_lock(&q->lock);
    for (unsigned i = 0; i < q->count; i++)
        result[i] = block_pwrite_zeroes(q->child[i], offset, len,
                                        flags & ~(unsigned)(BLOCK_REQ_FUA | BLOCK_REQ_NO_FALLBACK));
    pthread_mutex_unlock(&q->lock);
    return elect(n, "writing zeroes", result);
}

static int quorum_flush(BlockNode *n)
{
    const Quorum *q = quorum_of(n);
    int result[CHILDREN_MAX];
    for (unsigned i = 0; i < q->count; i++)
        result[i] = block_flush(q->child[i]);
    return elect(n, "flushing", result);
}

static const char *const quorum_options[] = { "children",          "vote-threshold", "blkverify",
                                              "rewrite-corrupted", "read-pattern",   NULL };
static const BlockDriver quorum_driver = {
    .name = "quorum",
    .desc = "several images with the same contents, by majority",
    .instance_size = sizeof(Quorum),
    .options = quorum_options,
    .child = "children.0",
    .open = quorum_open,
    .close = quorum_close,
    .preadv = quorum_preadv,
    .pwritev = quorum_pwritev,
    .pwrite_zeroes = quorum_pwrite_zeroes,
    .flush = quorum_flush,
};
BLOCK_DRIVER_REGISTER(quorum_driver)
