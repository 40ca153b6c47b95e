/* SPDX-License-Identifier: MIT */
/*
 * Random operations on an image beside a model of its contents in memory; now and then the image is closed, opened and
 * checked, by our own check and by qemu-img where that is installed.
 *
 *   random-io [--seed N] [--count N] [--format qcow2] [-o OPTION=VALUE,...] [--backing] [--bitmap] [--data-file]
 * [--no-compress] [--keep FILE]
 */
#include <malloc.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/object.h"
#include "block/block.h"

#define SECRET "--object secret,id=key,data=12345678"
enum {
    DISK = 24 << 20,
    REQUEST_MAX = 300 * 1024,
    SNAPSHOTS = 3,
    STATE_MAX = 1 << 20,
    GRANULE = 32768,
    GRANULES = 2 * DISK / GRANULE
};

enum { NO, YES, EITHER };

enum {
    JUDGED = 30,        /* how often at most qemu-img is asked, which takes longer than all the rest */
    LONG = 50000,       /* so many operations: compressing, snapshots, resizing and reopening are RARE times rarer */
    RARE = 6,
};

typedef struct Run {
    char *path, *base, *format, *options;
    uint64_t seed, count, reopened;
    bool backing, bitmap, qemu, compress, resize, snapshots;
    GRand *rand;
    uint8_t *model, *buf;
    uint64_t size;
    uint8_t *saved[SNAPSHOTS];
    uint64_t saved_size[SNAPSHOTS], state[SNAPSHOTS];
    bool taken[SNAPSHOTS];
    /* what the bitmap must say: NO, YES, or either of a discard that need not have changed all of its range */
    uint8_t dirty[GRANULES];
    uint64_t refused; /* snapshots that narrow refcounts can't hold */
    BlockNode *n;
} Run;

static G_NORETURN void fail(Run *r, const char *what, Error *err)
{
    printf("not ok 1 %s: %s%s%s (seed %" G_GUINT64_FORMAT ")\n", r->format, what, err ? ": " : "",
           err ? err->message : "", (guint64)r->seed);
    exit(1);
}

static uint64_t pick(Run *r, uint64_t n)
{
    return n ? ((uint64_t)g_rand_int(r->rand) << 20 ^ g_rand_int(r->rand)) % n : 0;
}

static bool has_option(const Run *r, const char *text) { return r->options && strstr(r->options, text); }

/* The option that names the passphrase, for encrypted images. */
static const char *key_option(const Run *r)
{
    const char *options = r->options ? r->options : "";
    return strstr(options, "encrypt.key-secret") ? "encrypt.key-secret"
           : strstr(options, "key-secret")       ? "key-secret"
                                                 : NULL;
}

static void open_image(Run *r)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", r->format);
    if (key_option(r))
        opts_set(o, key_option(r), "key");
    r->n = block_open(r->path, o, BLOCK_RDWR | BLOCK_UNMAP, &err);
    if (!r->n)
        fail(r, "open", err);
}

static bool has_check(const Run *r)
{
    static const char *const formats[] = { "qcow2", "vdi", "qed", "vmdk", "vhdx", "parallels", NULL };
    return g_strv_contains(formats, r->format);
}

static void say(void *opaque, const char *line) { printf("# %s\n", line); }

/* Is it qemu-img's turn? Of very many reopenings it sees some, and the last one. */
static bool judged(const Run *r, bool last)
{
    uint64_t expected = r->count / 200 / (r->count >= LONG ? RARE : 1);
    return r->qemu && (last || expected <= JUDGED || r->reopened % (expected / JUDGED) == 0);
}

static void check_image(Run *r, bool last)
{
    Error *err = NULL;
    BlockCheck c = { .say = say };
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", r->format);
    BlockNode *n = block_open(r->path, o, BLOCK_NO_BACKING | BLOCK_CHECK, &err);
    if (!n)
        fail(r, "open for check", err);
    if (has_check(r)) {
        if (!block_check(n, &c, 0, &err))
            fail(r, "check", err);
        if (c.corruptions || c.leaks || c.check_errors)
            fail(r, "check finds faults", NULL);
    }
    block_unref(n);
    if (judged(r, last)) {
        g_autofree char *command =
            g_strdup_printf("qemu-img check -q %s --image-opts driver=%s,file.filename='%s'%s%s%s >&2", SECRET,
                            r->format, r->path, key_option(r) ? "," : "", key_option(r) ? key_option(r) : "",
                            key_option(r) ? "=key" : "");
        if (has_check(r) && system(command))
            fail(r, "qemu-img check finds faults", NULL);
    }
}

/* qemu-img reads what the model has. */
static void compare_image(Run *r)
{
    if (!r->qemu)
        return;
    g_autofree char *twin = g_strdup_printf("%s.twin", r->path);
    if (!g_file_set_contents(twin, (char *)r->model, (gssize)r->size, NULL))
        fail(r, "twin can't be written", NULL);
    g_autofree char *command = g_strdup_printf(
        "qemu-img compare -q %s --image-opts driver=%s,file.filename='%s'%s%s%s driver=raw,file.filename='%s' >&2",
        SECRET, r->format, r->path, key_option(r) ? "," : "", key_option(r) ? key_option(r) : "",
        key_option(r) ? "=key" : "", twin);
    if (system(command))
        fail(r, "qemu-img reads other contents", NULL);
    unlink(twin);
}

/* --- the bitmap says what was written to, closed images' too --- */

static void touch_as(Run *r, uint64_t at, uint64_t len, uint8_t how)
{
    for (uint64_t i = at / GRANULE; len && i <= (at + len - 1) / GRANULE; i++)
        r->dirty[i] = r->dirty[i] == YES ? YES : how;
}
static void touch(Run *r, uint64_t at, uint64_t len) { touch_as(r, at, len, YES); }

/* What was behind the end of the disk. */
static void forget(Run *r)
{
    for (uint64_t i = (r->size + GRANULE - 1) / GRANULE; i < GRANULES; i++)
        r->dirty[i] = NO;
}

static void check_bitmap(Run *r)
{
    Error *err = NULL;
    BlockBitmap *b = block_bitmap_find(r->n, "marks", &err);
    BlockBitmapInfo info;
    if (!b)
        fail(r, "bitmap", err);
    block_bitmap_info(b, &info);
    if (info.inconsistent || info.granularity != GRANULE || info.size != r->size)
        fail(r, "the bitmap is not what it was", NULL);
    for (uint64_t at = 0, pnum; at < r->size; at += GRANULE) {
        uint8_t want = r->dirty[at / GRANULE];
        if (want != EITHER && block_bitmap_status(b, at, 1, &pnum) != (want == YES))
            fail(r, want == YES ? "the bitmap lacks what was written" : "the bitmap has what nobody wrote", NULL);
    }
}

static void change_bitmap(Run *r)
{
    Error *err = NULL;
    if (!block_bitmap_clear(block_bitmap_find(r->n, "marks", NULL), &err))
        fail(r, "clearing the bitmap", err);
    memset(r->dirty, 0, sizeof r->dirty);
}

static void reopen(Run *r, bool deep)
{
    block_unref(r->n);
    r->reopened++;
    check_image(r, false);
    if (deep && judged(r, false))
        compare_image(r);
    open_image(r);
    if (r->bitmap)
        check_bitmap(r);
    if (r->bitmap && pick(r, 3) == 0)
        change_bitmap(r);
}

static void read_and_compare(Run *r, uint64_t at, uint64_t len)
{
    struct iovec iov[3];
    uint64_t a = pick(r, len + 1), b = pick(r, len - a + 1);
    iov[0] = (struct iovec){ r->buf, a };
    iov[1] = (struct iovec){ r->buf + a, b };
    iov[2] = (struct iovec){ r->buf + a + b, len - a - b };
    memset(r->buf, 0xee, len);
    int e = block_preadv(r->n, at, iov, 3);
    if (e)
        fail(r, g_strerror(-e), NULL);
    if (memcmp(r->buf, r->model + at, len)) {
        uint64_t i = 0;
        while (r->buf[i] == r->model[at + i])
            i++;
        printf("# offset 0x%" G_GINT64_MODIFIER "x: 0x%02x, expected 0x%02x\n", (guint64)(at + i), r->buf[i],
               r->model[at + i]);
        fail(r, "contents", NULL);
    }
}

/* Most requests are small, as guests' are: up to 512, 1024 ... 65536 bytes, all as often; some are large. */
static void random_range(Run *r, uint64_t *at, uint64_t *len)
{
    *len = 1 + pick(r, pick(r, 32) ? UINT64_C(512) << pick(r, 8) : REQUEST_MAX);
    *at = pick(r, r->size);
    if (pick(r, 2)) {
        *at &= ~UINT64_C(4095);
        *len = align_up(*len, 4096);
    }
    *len = MIN(*len, r->size - *at);
}

static void write_random(Run *r, uint64_t at, uint64_t len)
{
    uint8_t value = (uint8_t)pick(r, 256);
    for (uint64_t i = 0; i < len; i++)
        r->buf[i] = (uint8_t)(value + (i >> 9));
    if (pick(r, 10) == 0)
        memset(r->buf, 0, len);
    struct iovec iov[2] = { { r->buf, len / 3 }, { r->buf + len / 3, len - len / 3 } };
    int e = block_pwritev(r->n, at, iov, 2, pick(r, 50) ? 0 : BLOCK_REQ_FUA);
    if (e)
        fail(r, g_strerror(-e), NULL);
    memcpy(r->model + at, r->buf, len);
    touch(r, at, len);
}

static void write_zeroes(Run *r, uint64_t at, uint64_t len, unsigned flags)
{
    int e = block_pwrite_zeroes(r->n, at, len, flags);
    if (e)
        fail(r, g_strerror(-e), NULL);
    memset(r->model + at, 0, len);
    touch(r, at, len);
}

static void write_compressed(Run *r, uint64_t at)
{
    BlockInfo info;
    block_info(r->n, &info, NULL);
    uint64_t cluster = MAX(info.cluster_size, 512u);
    block_info_clear(&info);
    at = align_down(at, cluster);
    uint64_t len = MIN(cluster, r->size - at);
    if (cluster > 128 * KiB && pick(r, 16)) /* that much work for one operation not that often */
        return;
    for (uint64_t i = 0; i < len; i++)
        r->buf[i] = (uint8_t)(i >> 7);
    struct iovec iov = { r->buf, len };
    int e = block_pwritev(r->n, at, &iov, 1, BLOCK_REQ_COMPRESSED);
    if (e)
        fail(r, g_strerror(-e), NULL);
    memcpy(r->model + at, r->buf, len);
    touch(r, at, len);
}

/* After a discard either contents are right: take what is there, but it must stay so. */
static void discard(Run *r, uint64_t at, uint64_t len)
{
    if (block_pdiscard(r->n, at, len) || block_pread(r->n, at, r->buf, len))
        fail(r, "discard", NULL);
    for (uint64_t i = 0; i < len; i++) {
        if (r->buf[i] && r->buf[i] != r->model[at + i])
            fail(r, "discarded range holds foreign data", NULL);
    }
    memcpy(r->model + at, r->buf, len);
    touch_as(r, at, len, EITHER);
}

/* Refcounts of few bits can't hold every snapshot: being refused must leave the image as it was. */
static bool narrow(const Run *r)
{
    return has_option(r, "refcount_bits=2") || has_option(r, "refcount_bits=4") || has_option(r, "refcount_bits=8");
}

static void refused(Run *r, const char *what, Error *err)
{
    if (!narrow(r))
        fail(r, what, err);
    r->refused++;
    error_free(err);
}

/* The machine's state of snapshot i, from byte `at` on. */
static void state_bytes(const Run *r, unsigned i, uint64_t at, uint64_t len)
{
    for (uint64_t k = 0; k < len; k++)
        r->buf[k] = (uint8_t)((at + k) * (2 * i + 3) + (at + k) / 512);
}

/* In pieces; room for some or all of it is reserved first, or not. */
static void write_state(Run *r, unsigned i)
{
    r->state[i] = 1 + pick(r, STATE_MAX);
    uint64_t from = pick(r, r->state[i]);
    int e = pick(r, 3) ? block_vmstate_reserve(r->n, from, 1 + pick(r, r->state[i] - from)) : 0;
    for (uint64_t at = 0, len; !e && at < r->state[i]; at += len) {
        len = 1 + pick(r, r->state[i] - at);
        struct iovec iov = { r->buf, len };
        state_bytes(r, i, at, len);
        e = block_vmstate_writev(r->n, at, &iov, 1);
    }
    if (e)
        fail(r, "writing the machine's state", NULL);
}

static void check_state(Run *r, unsigned i, const char *name)
{
    g_autofree uint8_t *is = g_malloc(r->state[i] + 1);
    struct iovec iov = { is, r->state[i] };
    state_bytes(r, i, 0, r->state[i]);
    if (r->state[i] && (block_snapshot_vmstate_readv(r->n, name, 0, &iov, 1) || memcmp(is, r->buf, r->state[i])))
        fail(r, "the machine's state is another one", NULL);
}

static void snapshot(Run *r)
{
    Error *err = NULL;
    unsigned i = (unsigned)pick(r, SNAPSHOTS);
    char name[16];
    g_snprintf(name, sizeof name, "s%u", i);
    if (!r->taken[i]) {
        BlockSnapshot s = { .date_sec = 1, .icount = UINT64_MAX };
        g_strlcpy(s.name, name, sizeof s.name);
        r->state[i] = 0;
        if (pick(r, 2))
            write_state(r, i);
        s.vm_state_size = r->state[i];
        bool made = block_snapshot_create(r->n, &s, &err);
        if (block_vmstate_discard(r->n))
            fail(r, "giving back the machine's state", NULL);
        if (!made) {
            refused(r, "snapshot", err);
            return;
        }
        r->saved[i] = r->saved[i] ? r->saved[i] : g_malloc(2 * DISK);
        memcpy(r->saved[i], r->model, r->size);
        r->saved_size[i] = r->size;
        r->taken[i] = true;
    } else if (pick(r, 2)) {
        check_state(r, i, name);
        if (!block_snapshot_apply(r->n, name, &err) || block_vmstate_discard(r->n)) {
            refused(r, "apply", err);
            return;
        }
        r->size = r->saved_size[i];
        memcpy(r->model, r->saved[i], r->size);
        touch(r, 0, r->size);
        forget(r);
    } else {
        if (!block_snapshot_delete(r->n, name, &err))
            fail(r, "delete", err);
        r->taken[i] = false;
    }
}

static void resize(Run *r)
{
    Error *err = NULL;
    uint64_t size = pick(r, 2) ? DISK / 2 + pick(r, DISK) : r->size + pick(r, 200000) - MIN(100000u, r->size);
    size = align_up(CLAMP(size, (uint64_t)DISK / 2, (uint64_t)DISK / 2 + DISK), 512);
    if (!strcmp(r->format, "qed")) { /* only grows; qemu-img check takes a last cluster that is not whole for a leak */
        size = align_up(size, 65536);
        if (size < r->size)
            return;
    }
    if (has_option(r, "0.10") && (r->taken[0] || r->taken[1] || r->taken[2]))
        return; /* a snapshot of version 2 has no size of its own */
    bool noise = has_option(r, "0.10") && key_option(r); /* what is preallocated then */
    bool allocate = !strcmp(r->format, "qcow2") && !noise && pick(r, 4) == 0;
    if (!block_truncate(r->n, size, allocate ? PREALLOC_METADATA : PREALLOC_OFF, true, &err))
        fail(r, "resize", err);
    if (size > r->size)
        memset(r->model + r->size, 0, size - r->size);
    r->size = size;
    forget(r);
}

static void step(Run *r)
{
    uint64_t at, len, what = pick(r, 1000);
    random_range(r, &at, &len);
    if (what >= 930 && r->count >= LONG && pick(r, RARE))
        what = pick(r, 700);
    if (what < 400)
        write_random(r, at, len);
    else if (what < 700)
        read_and_compare(r, at, len);
    else if (what < 780)
        write_zeroes(r, at, len, what & 1 ? BLOCK_REQ_MAY_UNMAP : 0);
    else if (what < 860)
        discard(r, at, len);
    else if (what < 930 && block_flush(r->n))
        fail(r, "flush", NULL);
    else if (what >= 930 && what < 975 && r->compress)
        write_compressed(r, at);
    else if (what >= 975 && what < 985 && r->snapshots)
        snapshot(r);
    else if (what >= 985 && what < 990 && r->resize)
        resize(r);
    else if (what >= 995)
        reopen(r, what == 999);
}

static void make_base(Run *r)
{
    Error *err = NULL;
    uint64_t size = r->resize ? DISK * 5 / 4 : DISK / 2; /* what resizing brings to light must not be the base's */
    if (!block_create(r->base, !strcmp(r->format, "vmdk") ? "vmdk" : "qcow2", size, NULL, &err))
        fail(r, "create base", err);
    BlockNode *b = block_open(r->base, NULL, BLOCK_RDWR, &err);
    if (!b)
        fail(r, "open base", err);
    for (uint64_t at = 0; at + 100000 < size; at += 300000 + pick(r, 100000)) {
        memset(r->model + at, (int)(at >> 13) | 1, 100000);
        if (block_pwrite(b, at, r->model + at, 100000))
            fail(r, "write base", NULL);
    }
    block_unref(b);
    if (size > DISK)
        memset(r->model + DISK, 0, size - DISK);
}

static Opts *create_options(Run *r)
{
    Error *err = NULL;
    Opts *o = r->options ? opts_parse(r->options, NULL, &err) : opts_new();
    if (!o)
        fail(r, "options", err);
    if (r->backing) {
        opts_set(o, "backing_file", r->base);
        opts_set(o, "backing_fmt", !strcmp(r->format, "vmdk") ? "vmdk" : "qcow2");
    }
    return o;
}

/* What of all that can be done to this image. */
static void choose(Run *r, bool no_compress, bool data_file)
{
    bool qcow2 = !strcmp(r->format, "qcow2");
    r->compress = (qcow2 || !strcmp(r->format, "qcow")) && !no_compress && !data_file;
    bool one_bit = has_option(r, "refcount_bits=1") && !has_option(r, "refcount_bits=16");
    r->snapshots = qcow2 && !data_file && !one_bit;
    r->resize = qcow2 || !strcmp(r->format, "raw") || !strcmp(r->format, "qed");
}

static char *make_folder(void)
{
    /* in memory: flushes of a disk would take nearly all the time */
    char *dir = g_strdup("/dev/shm/rhea-block-XXXXXX");
    if (!getenv("TMPDIR") && g_mkdtemp(dir))
        return dir;
    g_free(dir);
    return g_dir_make_tmp("rhea-block-XXXXXX", NULL);
}

static void set_up(Run *r, const char *data_file)
{
    Error *err = NULL;
    if (!object_new("secret", "key", &err, "data", "12345678", NULL))
        fail(r, "secret", err);
    if (r->backing)
        make_base(r);
    g_autoptr(Opts) o = create_options(r);
    if (data_file)
        opts_set(o, "data_file", data_file);
    if (!block_create(r->path, r->format, DISK, o, &err))
        fail(r, "create", err);
    open_image(r);
    r->size = block_size(r->n); /* some formats round up */
    if (!strcmp(r->format, "luks") && block_pwrite_zeroes(r->n, 0, r->size, 0)) /* noise at first */
        fail(r, "zeroes", NULL);
    if (r->bitmap && !block_bitmap_add(r->n, "marks", GRANULE, BITMAP_PERSISTENT, &err))
        fail(r, "bitmap", err);
}

static void finish(Run *r, const char *data_file)
{
    if (r->bitmap)
        check_bitmap(r);
    block_unref(r->n);
    check_image(r, true);
    compare_image(r);
    g_autofree char *data = NULL;
    gsize len;
    if (has_option(r, "data_file_raw=on") &&
        (!g_file_get_contents(data_file, &data, &len, NULL) || len < r->size || memcmp(data, r->model, r->size)))
        fail(r, "the raw data file holds other contents", NULL);
}

int main(int argc, char **argv)
{
    static Run r = { .format = "qcow2" };
    gchar *where = NULL;
    gint64 seed = 1, count = 1000;
    gboolean backing = FALSE, no_compress = FALSE, bitmap = FALSE, data_file = FALSE;
    const GOptionEntry entries[] = { { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "", "N" },
                                     { "count", 0, 0, G_OPTION_ARG_INT64, &count, "", "N" },
                                     { "format", 0, 0, G_OPTION_ARG_STRING, &r.format, "", "F" },
                                     { "options", 'o', 0, G_OPTION_ARG_STRING, &r.options, "", "O" },
                                     { "backing", 0, 0, G_OPTION_ARG_NONE, &backing, "", NULL },
                                     { "keep", 0, 0, G_OPTION_ARG_STRING, &where, "", "FILE" },
                                     { "bitmap", 0, 0, G_OPTION_ARG_NONE, &bitmap, "", NULL },
                                     { "data-file", 0, 0, G_OPTION_ARG_NONE, &data_file, "", NULL },
                                     { "no-compress", 0, 0, G_OPTION_ARG_NONE, &no_compress, "", NULL },
                                     { NULL } };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    Error *err = NULL;
    if (!g_option_context_parse(context, &argc, &argv, &err))
        fail(&r, "usage", err);
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* buffers of requests would be mapped and unmapped each time */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    r.seed = (uint64_t)seed;
    r.count = (uint64_t)count;
    r.backing = backing;
    r.bitmap = bitmap;
    choose(&r, no_compress, data_file);
    g_autofree char *dir = make_folder();
    r.path = where ? where : g_build_filename(dir, "image", NULL);
    r.base = g_build_filename(dir, "base", NULL);
    g_autofree char *data = data_file ? g_build_filename(dir, "data", NULL) : NULL;
    r.rand = g_rand_new_with_seed((guint32)r.seed);
    g_autofree char *qemu = g_find_program_in_path("qemu-img");
    r.qemu = qemu;
    r.model = g_malloc0(DISK * 2);
    r.buf = g_malloc(4 << 20);
    r.size = DISK;
    printf("1..1\n# seed %" G_GUINT64_FORMAT ", qemu-img %s\n", (guint64)r.seed,
           qemu ? "checks too" : "is not installed");
    set_up(&r, data);
    for (uint64_t i = 0; i < r.count; i++)
        step(&r);
    read_and_compare(&r, 0, MIN(r.size, (uint64_t)4 << 20));
    finish(&r, data);
    if (!where) {
        g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
        if (system(remove))
            return 1;
    }
    printf("# reopened %" PRIu64 " times, %" PRIu64 " snapshots refused\nok 1 %s %s\n", r.reopened, r.refused, r.format,
           r.options ? r.options : "");
    return 0;
}
