/* SPDX-License-Identifier: MIT */
/* rhea-img bench: a number of requests, so many at a time. */
#include <pthread.h>
#include <stdatomic.h>
#include "block/backend.h"
#include "tools/img/img.h"

typedef struct Bench {
    BlockNode *n;
    pthread_mutex_t lock;
    uint64_t offset, step, size, left;
    unsigned flush_interval, since_flush;
    bool write;
    uint8_t pattern;
    int error;
} Bench;

static bool take(Bench *b, uint64_t *at, bool *flush)
{
    pthread_mutex_lock(&b->lock);
    bool more = b->left && !b->error;
    if (more) {
        b->left--;
        *at = b->offset;
        b->offset += b->step;
        if (b->offset + b->size > block_size(b->n))
            b->offset = 0;
        *flush = b->flush_interval && ++b->since_flush >= b->flush_interval;
        if (*flush)
            b->since_flush = 0;
    }
    pthread_mutex_unlock(&b->lock);
    return more;
}

static void *worker(void *opaque)
{
    Bench *b = opaque;
    uint64_t at;
    bool flush;
    void *buf = NULL;
    if (posix_memalign(&buf, 4096, b->size))
        return NULL;
    memset(buf, b->pattern, b->size);
    while (take(b, &at, &flush)) {
        int r = b->write ? block_pwrite(b->n, at, buf, b->size) : block_pread(b->n, at, buf, b->size);
        if (!r && flush)
            r = block_flush(b->n);
        if (r) {
            pthread_mutex_lock(&b->lock);
            b->error = r;
            pthread_mutex_unlock(&b->lock);
        }
    }
    free(buf);
    return NULL;
}

/* --- with -n or -i: requests of a drive, each followed by the next --- */

enum { SUBMITTING, SUBMITTED, ENDED };
typedef struct Lane {
    Bench *b;
    BlkRequest r;
    struct iovec iov;
    bool flushes;
    _Atomic int state;
} Lane;

static void lane_next(Lane *l, BlockBackend *blk);

static void lane_done(BlkRequest *r, int error)
{
    Lane *l = r->opaque;
    if (error) {
        pthread_mutex_lock(&l->b->lock);
        l->b->error = error;
        pthread_mutex_unlock(&l->b->lock);
    }
    if (atomic_exchange(&l->state, ENDED) == SUBMITTED) /* else the loop that submits goes on */
        lane_next(l, r->blk);
}

static void lane_next(Lane *l, BlockBackend *blk)
{
    uint64_t at;
    do {
        if (l->flushes) {
            l->flushes = false;
            l->r = (BlkRequest){ .op = BLK_FLUSH, .done = lane_done, .opaque = l };
        } else if (take(l->b, &at, &l->flushes)) {
            l->r = (BlkRequest){ .op = l->b->write ? BLK_WRITE : BLK_READ,
                                 .offset = at,
                                 .bytes = l->b->size,
                                 .iov = &l->iov,
                                 .iovcnt = 1,
                                 .done = lane_done,
                                 .opaque = l };
        } else {
            return;
        }
        l->state = SUBMITTING;
        blk_submit(blk, &l->r);
    } while (atomic_exchange(&l->state, SUBMITTED) == ENDED);
}

/* Takes the node. */
static void run_lanes(Bench *b, unsigned depth)
{
    BlockBackend *blk = blk_new("bench", b->n);
    g_autofree Lane *lanes = g_new0(Lane, depth);
    void *buf = NULL;
    b->error = posix_memalign(&buf, 4096, b->size * depth) ? -ENOMEM : 0;
    if (!b->error)
        memset(buf, b->pattern, b->size * depth);
    for (unsigned i = 0; i < depth; i++) {
        lanes[i].b = b;
        lanes[i].iov = (struct iovec){ (char *)buf + i * b->size, b->size };
        lane_next(&lanes[i], blk);
    }
    blk_drain(blk);
    blk_free(blk);
    free(buf);
}

/* Threads with blocking requests. */
static void run_threads(Bench *b, unsigned jobs)
{
    pthread_t thread[64];
    unsigned started = 0;
    while (started + 1 < jobs && !pthread_create(&thread[started], NULL, worker, b))
        started++;
    worker(b);
    while (started)
        pthread_join(thread[--started], NULL);
    block_unref(b->n);
}

int img_bench(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gint64 count = 75000;
    gint depth = 64, pattern = 0, flush_interval = 0;
    gchar *size_text = NULL, *step_text = NULL, *offset_text = NULL;
    gboolean write = FALSE, native = FALSE, quiet = FALSE, no_drain = FALSE;
    const GOptionEntry entries[] = {
        { "format", 'f', 0, G_OPTION_ARG_STRING, &how.format, "format of the image", "FMT" },
        { "count", 'c', 0, G_OPTION_ARG_INT64, &count, "requests (75000)", "N" },
        { "depth", 'd', 0, G_OPTION_ARG_INT, &depth, "requests at a time (64)", "N" },
        { "buffer-size", 's', 0, G_OPTION_ARG_STRING, &size_text, "bytes of a request (4k)", "N" },
        { "step-size", 'S', 0, G_OPTION_ARG_STRING, &step_text, "from one request to the next (its size)", "N" },
        { "offset", 'o', 0, G_OPTION_ARG_STRING, &offset_text, "of the first one", "N" },
        { "flush-interval", 0, 0, G_OPTION_ARG_INT, &flush_interval, "a flush after so many", "N" },
        { "no-drain", 0, 0, G_OPTION_ARG_NONE, &no_drain, "(accepted)", NULL },
        { "pattern", 0, 0, G_OPTION_ARG_INT, &pattern, "byte that is written", "N" },
        { "cache", 't', 0, G_OPTION_ARG_STRING, &how.cache, "cache mode", "MODE" },
        { "native", 'n', 0, G_OPTION_ARG_NONE, &native, "as -i native", NULL },
        { "aio", 'i', 0, G_OPTION_ARG_STRING, &how.aio, "how: threads, native, io_uring", "KIND" },
        { "write", 'w', 0, G_OPTION_ARG_NONE, &write, "write instead of read", NULL },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &how.image_opts, "FILE is a list of options", NULL },
        { "force-share", 'U', 0, G_OPTION_ARG_NONE, &how.share, "read even while another process writes", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "say nothing", NULL }, { NULL }
    };
    int status;
    Error *err = NULL;
    uint64_t size = 4096, step = 0, offset = 0;
    if (!img_parse(&argc, &argv, entries, 1, 1, &status))
        return status;
    if ((size_text && !parse_size(size_text, 1, &size)) || (step_text && !parse_size(step_text, 1, &step)) ||
        (offset_text && !parse_size(offset_text, 1, &offset)) || !size || size > GiB || depth < 1 || depth > 1024 ||
        count < 0)
        return img_failf("bench: -s, -S, -o take sizes, -d 1 to 1024, -c a count");
    if (flush_interval < 0 || (flush_interval && !write))
        return img_failf("bench: --flush-interval is a number of writes; add -w");
    if (pattern < 0 || pattern > 255)
        return img_failf("bench: --pattern is a byte, 0 to 255");
    if (native)
        how.aio = "native";
    BlockNode *n = img_open(argv[1], &how, write ? BLOCK_RDWR : 0, &err);
    if (!n)
        return img_fail(err);
    if (block_size(n) < size || offset > block_size(n) - size) {
        block_unref(n);
        return img_failf("bench: image '%s' is too small for such requests", argv[1]);
    }
    unsigned jobs = (unsigned)MIN(depth, how.aio ? 1024 : 64);
    if (!quiet)
        printf("Sending %" G_GINT64_FORMAT " %s requests, %" PRIu64
               " bytes each, %u in parallel (starting at offset %" PRIu64 ", step size %" PRIu64 ")\n",
               count, write ? "write" : "read", size, jobs, offset, step ? step : size);
    Bench b = { .n = n,
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .offset = offset,
                .step = step ? step : size,
                .size = size,
                .left = (uint64_t)count,
                .flush_interval = (unsigned)flush_interval,
                .write = write,
                .pattern = (uint8_t)pattern };
    if (how.aio && !strcmp(how.aio, "threads"))
        how.aio = NULL;
    gint64 start = g_get_monotonic_time();
    if (how.aio)
        run_lanes(&b, jobs);
    else
        run_threads(&b, jobs);
    double seconds = (double)(g_get_monotonic_time() - start) / 1e6;
    if (b.error)
        return img_failf("bench: %s", g_strerror(-b.error));
    if (!quiet)
        printf("Run completed in %.3f seconds.\n", seconds);
    return EXIT_SUCCESS;
}
