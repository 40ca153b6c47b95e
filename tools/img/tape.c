/* SPDX-License-Identifier: MIT */
/* Files in memory that record what reaches them; see tape.h. */
#include <string.h>
#include "block/driver.h"
#include "tools/img/tape.h"

static Tape *tape; /* of the run in progress; the driver below has no other way to it */

/* --- files --- */

static void resize(GByteArray *file, uint64_t size)
{
    guint old = file->len;
    g_byte_array_set_size(file, (guint)size);
    if (size > old)
        memset(file->data + old, 0, size - old);
}

static void put(GByteArray *file, uint64_t offset, const void *data, uint64_t len)
{
    if (offset + len > file->len)
        resize(file, offset + len);
    if (len)
        memcpy(file->data + offset, data, len);
}

static void event_free(void *p)
{
    TapeEvent *e = p;
    if (e->data)
        g_bytes_unref(e->data);
    g_free(e);
}

/* Locked. */
static void record(Tape *t, TapeKind kind, unsigned file, uint64_t offset, const void *data, uint64_t len)
{
    if (t->shown)
        return;
    TapeEvent *e = g_new0(TapeEvent, 1);
    *e = (TapeEvent){ kind, file, offset, kind == TAPE_WRITE ? g_bytes_new(data, len) : NULL };
    g_ptr_array_add(t->events, e);
}

/* --- the protocol --- */

#define SCHEME "torture-tape"

char *tape_name(unsigned file) { return g_strdup_printf(SCHEME ":%0*u", (int)(1 + file * 50), file); }

unsigned tape_number(const char *name)
{
    uint64_t n;
    return name && g_str_has_prefix(name, SCHEME ":") && parse_u64(name + strlen(SCHEME ":"), &n) && n < TAPE_FILES
               ? (unsigned)n
               : TAPE_FILES;
}

static unsigned number(const BlockNode *n) { return GPOINTER_TO_UINT(*(void **)n->opaque); }
static GByteArray *bytes(const BlockNode *n) { return (tape->shown ? tape->shown->file : tape->file)[number(n)]; }

static bool tape_parse(const char *filename, Opts *o, Error **errp)
{
    opts_set(o, "filename", filename);
    return true;
}

static bool tape_open(BlockNode *n, Opts *o, Error **errp)
{
    const char *name = opts_get(o, "filename");
    unsigned file = tape_number(name);
    if (!tape || file == TAPE_FILES) {
        error_setf(errp, "'%s' is no file on a tape, which only rhea-img torture has", name ? name : "");
        return false;
    }
    *(void **)n->opaque = GUINT_TO_POINTER(file);
    pthread_mutex_lock(&tape->lock);
    n->size = bytes(n)->len;
    pthread_mutex_unlock(&tape->lock);
    return true;
}

/* Writing is always possible. */
static bool tape_reopened(BlockNode *n, Error **errp) { return true; }

static int tape_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    pthread_mutex_lock(&tape->lock);
    const GByteArray *f = bytes(n);
    uint64_t have = offset < f->len ? MIN(len, f->len - offset) : 0;
    iov_from_buf(iov, iovcnt, 0, f->data + (have ? offset : 0), have);
    iov_zero(iov, iovcnt, have, len - have);
    pthread_mutex_unlock(&tape->lock);
    return 0;
}
static int tape_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                        unsigned flags)
{
    g_autofree uint8_t *buf = g_malloc(len);
    iov_to_buf(iov, iovcnt, 0, buf, len);
    pthread_mutex_lock(&tape->lock);
    put(bytes(n), offset, buf, len);
    record(tape, TAPE_WRITE, number(n), offset, buf, len);
    n->size = bytes(n)->len;
    pthread_mutex_unlock(&tape->lock);
    return 0;
}
static int flush_node(BlockNode *n)
{
    tape_flush(tape, number(n));
    return 0;
}
static bool tape_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    uint8_t zero = 0;
    pthread_mutex_lock(&tape->lock);
    bool longer = size > bytes(n)->len, shorter = size < bytes(n)->len;
    resize(bytes(n), size);
    if (longer)
        record(tape, TAPE_WRITE, number(n), size - 1, &zero, 1);
    else if (shorter)
        record(tape, TAPE_CUT, number(n), size, NULL, 0);
    n->size = size;
    pthread_mutex_unlock(&tape->lock);
    return true;
}

static const char *const tape_schemes[] = { SCHEME, NULL };
static const BlockDriver tape_driver = { .name = SCHEME,
                                         .desc = "records what is written",
                                         .instance_size = sizeof(void *),
                                         .protocol = true,
                                         .grows = true,
                                         .schemes = tape_schemes,
                                         .parse_filename = tape_parse,
                                         .open = tape_open,
                                         .reopened = tape_reopened,
                                         .preadv = tape_preadv,
                                         .pwritev = tape_pwritev,
                                         .flush = flush_node,
                                         .truncate = tape_truncate };

Tape *tape_new(void)
{
    block_driver_register(&tape_driver);
    tape = g_new0(Tape, 1);
    tape->events = g_ptr_array_new_with_free_func(event_free);
    pthread_mutex_init(&tape->lock, NULL);
    for (unsigned i = 0; i < TAPE_FILES; i++)
        tape->file[i] = g_byte_array_new();
    return tape;
}

void tape_free(Tape *t)
{
    g_ptr_array_unref(t->events);
    for (unsigned i = 0; i < TAPE_FILES; i++)
        g_byte_array_unref(t->file[i]);
    pthread_mutex_destroy(&t->lock);
    g_free(t);
    tape = NULL;
}

unsigned tape_length(Tape *t)
{
    pthread_mutex_lock(&t->lock);
    unsigned len = t->events->len;
    pthread_mutex_unlock(&t->lock);
    return len;
}

void tape_load(Tape *t, unsigned file, const void *data, uint64_t len)
{
    pthread_mutex_lock(&t->lock);
    resize(t->file[file], 0);
    put(t->file[file], 0, data, len);
    record(t, TAPE_CUT, file, 0, NULL, 0);
    record(t, TAPE_WRITE, file, 0, data, len);
    pthread_mutex_unlock(&t->lock);
}

void tape_flush(Tape *t, unsigned file)
{
    pthread_mutex_lock(&t->lock);
    record(t, TAPE_FLUSH, file, 0, NULL, 0);
    pthread_mutex_unlock(&t->lock);
}

/* --- what is on the disk --- */

void tape_show(Tape *t, TapeDisk *d) { t->shown = d; }

void tape_disk_init(TapeDisk *d)
{
    for (unsigned i = 0; i < TAPE_FILES; i++)
        d->file[i] = g_byte_array_new(), d->start[i] = 0;
}

void tape_disk_clear(TapeDisk *d)
{
    for (unsigned i = 0; i < TAPE_FILES; i++)
        g_byte_array_unref(d->file[i]);
}

void tape_disk_copy(TapeDisk *d, const TapeDisk *from)
{
    for (unsigned i = 0; i < TAPE_FILES; i++) {
        g_byte_array_set_size(d->file[i], 0);
        g_byte_array_append(d->file[i], from->file[i]->data, from->file[i]->len);
        d->start[i] = from->start[i];
    }
}

void tape_disk_apply(const Tape *t, TapeDisk *d, unsigned file, unsigned to)
{
    for (unsigned i = d->start[file]; i < to; i++) {
        const TapeEvent *e = t->events->pdata[i];
        gsize len = 0;
        if (e->file != file || e->kind == TAPE_FLUSH)
            continue;
        if (e->kind == TAPE_CUT) {
            resize(d->file[file], MIN(e->offset, (uint64_t)d->file[file]->len));
            continue;
        }
        const void *data = g_bytes_get_data(e->data, &len);
        put(d->file[file], e->offset, data, len);
    }
    d->start[file] = to;
}

static bool one_of(GRand *rand, unsigned n) { return g_rand_int(rand) % n == 0; }

static void lose_sectors(TapeDisk *d, const TapeEvent *e, unsigned keep, GRand *rand)
{
    gsize len;
    const uint8_t *data = g_bytes_get_data(e->data, &len);
    bool whole = keep == 3 && one_of(rand, 2);
    for (gsize at = 0; at < len;) {
        gsize n = MIN(len - at, TAPE_SECTOR - ((e->offset + at) & (TAPE_SECTOR - 1)));
        if (keep == 3 ? whole : g_rand_int(rand) % 4 < keep + 1)
            put(d->file[e->file], e->offset + at, data + at, n);
        at += n;
    }
}

void tape_disk_lose(const Tape *t, TapeDisk *d, unsigned to, GRand *rand)
{
    unsigned keep = g_rand_int(rand) % 4; /* hardly any, some, most, whole writes */
    unsigned first = d->start[0];
    for (unsigned f = 1; f < TAPE_FILES; f++)
        first = MIN(first, d->start[f]);
    for (unsigned i = first; i < to; i++) {
        const TapeEvent *e = t->events->pdata[i];
        if (i < d->start[e->file] || e->kind == TAPE_FLUSH)
            continue;
        if (e->kind == TAPE_WRITE)
            lose_sectors(d, e, keep, rand);
        else if (one_of(rand, 2) && e->offset < d->file[e->file]->len)
            resize(d->file[e->file], e->offset);
    }
}
