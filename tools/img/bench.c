/* SPDX-License-Identifier: MIT */
/* rhea-img bench: a number of requests, so many at a time. */
#include <pthread.h>
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

int img_bench(int argc, char **argv)
{
    ImgOpen how = { 0 };
    gint64 count = 75000;
    gint depth = 64, pattern = 0, flush_interval = 0;
    gchar *size_text = NULL, *step_text = NULL, *offset_text = NULL, *aio = NULL;
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
        { "native", 'n', 0, G_OPTION_ARG_NONE, &native, "(accepted)", NULL },
        { "aio", 'i', 0, G_OPTION_ARG_STRING, &aio, "(accepted)", "KIND" },
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
        (offset_text && !parse_size(offset_text, 1, &offset)) || !size || size > GiB || depth < 1 || depth > 1024 || count < 0)
        return img_failf("bench: -s, -S, -o take sizes, -d 1 to 1024, -c a count");
    BlockNode *n = img_open(argv[1], &how, write ? BLOCK_RDWR : 0, &err);
    if (!n)
        return img_fail(err);
    if (block_size(n) < size || offset > block_size(n) - size) {
        block_unref(n);
        return img_failf("bench: image '%s' is too small for such requests", argv[1]);
    }
    unsigned jobs = (unsigned)MIN(depth, 64);
    if (!quiet)
        printf("Sending %" G_GINT64_FORMAT " %s requests, %" PRIu64 " bytes each, %u in parallel (starting at offset %" PRIu64 ", step size %" PRIu64 ")\n",
               count, write ? "write" : "read", size, jobs, offset, step ? step : size);
    Bench b = { .n = n, .lock = PTHREAD_MUTEX_INITIALIZER, .offset = offset, .step = step ? step : size, .size = size, .left = (uint64_t)count,
                .flush_interval = (unsigned)flush_interval, .write = write, .pattern = (uint8_t)pattern };
    gint64 start = g_get_monotonic_time();
    pthread_t thread[64];
    unsigned started = 0;
    while (started + 1 < jobs && !pthread_create(&thread[started], NULL, worker, &b))
        started++;
    worker(&b);
    while (started)
        pthread_join(thread[--started], NULL);
    double seconds = (double)(g_get_monotonic_time() - start) / 1e6;
    block_unref(n);
    if (b.error)
        return img_failf("bench: %s", g_strerror(-b.error));
    if (!quiet)
        printf("Run completed in %.3f seconds.\n", seconds);
    return EXIT_SUCCESS;
}
