/* SPDX-License-Identifier: MIT */
/* rhea-img: copying of contents, with several requests at a time. */
#include <errno.h>
#include <pthread.h>
#include "tools/img/img.h"
#include "block/driver.h"

enum { CHUNK = 512 << 10 }; /* what fits the processor's cache between reading and writing */

/* The source is cut into pieces in order; each worker takes the next one. */
typedef struct Work {
    const ImgCopy *c;
    pthread_mutex_t lock;
    uint64_t next, chunk;
    int error;
    bool writing;
    int64_t start_us;
    pthread_mutex_t writer; /* the host takes one write to a file at a time: who waits for it there spins */
} Work;

static bool take(Work *w, uint64_t *at, uint64_t *len)
{
    pthread_mutex_lock(&w->lock);
    *at = w->next;
    *len = MIN(w->chunk, w->c->length - MIN(w->next, w->c->length));
    w->next += *len;
    bool more = *len && !w->error;
    pthread_mutex_unlock(&w->lock);
    return more;
}

static void done(Work *w, uint64_t len, int r, bool writing)
{
    pthread_mutex_lock(&w->lock);
    if (r && !w->error) {
        w->error = r;
        w->writing = writing;
    }
    img_progress_add(w->c->progress, len);
    pthread_mutex_unlock(&w->lock);
}

static int put_zeroes(const ImgCopy *c, uint64_t at, uint64_t len)
{
    if (c->target_is_zero)
        return 0;
    return block_pwrite_zeroes(c->dst, c->to + at, len, BLOCK_REQ_MAY_UNMAP);
}

/* Data with the runs of zeroes in it left out or written as such. */
static int put_data(const ImgCopy *c, uint64_t at, const uint8_t *buf, uint64_t len)
{
    uint64_t unit = c->sparse ? c->sparse : len;
    int r = 0;
    for (uint64_t done_bytes = 0; done_bytes < len && !r;) {
        bool zero = false;
        uint64_t run = 0;
        while (done_bytes + run < len) {
            uint64_t n = MIN(unit - ((at + done_bytes + run) & (unit - 1)) * (c->sparse != 0), len - done_bytes - run);
            bool is_zero = c->sparse && buf_is_zero(buf + done_bytes + run, n);
            if (run && is_zero != zero)
                break;
            zero = is_zero;
            run += n;
        }
        r = zero ? put_zeroes(c, at + done_bytes, run)
                 : block_pwrite(c->dst, c->to + at + done_bytes, buf + done_bytes, run);
        done_bytes += run;
    }
    return r;
}

/* Pieces that don't start at a cluster (a second source behind an odd first one) can't be compressed. */
static uint64_t target_cluster(const ImgCopy *c)
{
    BlockInfo info;
    block_info(c->dst, &info, NULL);
    uint64_t size = MAX(info.cluster_size, 512u);
    block_info_clear(&info);
    return size;
}

static int put_compressed(const ImgCopy *c, uint64_t at, const uint8_t *buf, uint64_t len)
{
    struct iovec iov = { (void *)buf, len };
    if (buf_is_zero(buf, len))
        return put_zeroes(c, at, len);
    return block_pwritev(c->dst, c->to + at, &iov, 1, c->to % target_cluster(c) ? 0 : BLOCK_REQ_COMPRESSED);
}

/* With salvage, sectors that can't be read become zeroes. */
static int read_piece(const ImgCopy *c, uint64_t at, uint8_t *buf, uint64_t len)
{
    enum { SECTOR = 512 };
    int r = block_pread(c->src, at, buf, len);
    if (!r || !c->salvage)
        return r;
    for (uint64_t i = 0; i < len; i += SECTOR) {
        uint64_t n = MIN(len - i, (uint64_t)SECTOR);
        r = block_pread(c->src, at + i, buf + i, n);
        if (r) {
            memset(buf + i, 0, n);
            warn_reportf("image '%s': %" PRIu64 " bytes at %" PRIu64 " can't be read and become zeroes: %s",
                         block_filename(c->src), n, at + i, g_strerror(-r));
        }
    }
    return 0;
}

/* No faster than was asked for. */
static void hold_back(Work *w)
{
    if (!w->c->rate)
        return;
    pthread_mutex_lock(&w->lock);
    double due = (double)MIN(w->next, w->c->length) / (double)w->c->rate * 1e6 -
                 (double)(g_get_monotonic_time() - w->start_us);
    pthread_mutex_unlock(&w->lock);
    if (due > 0)
        g_usleep((gulong)MIN(due, 60e6));
}

static int copy_piece(Work *w, uint64_t at, uint64_t len, uint8_t *buf, bool *writing)
{
    const ImgCopy *c = w->c;
    uint64_t end = at + len, size = block_size(c->src);
    int r = 0;
    while (at < end && !r) {
        BlockStatus s = { .flags = BLOCK_ZERO | BLOCK_ALLOCATED, .pnum = end - at };
        *writing = false;
        if (at < size) {
            r = block_status_above(c->src, c->base, at, MIN(end, size) - at, &s);
            if (r || !s.pnum)
                return r ? r : -EIO;
        }
        uint64_t n = c->compressed ? len : MIN(s.pnum, end - at);
        bool skip = c->only_allocated && !(s.flags & BLOCK_ALLOCATED);
        if (c->compressed) {
            uint64_t have = at < size ? MIN(n, size - at) : 0;
            memset(buf + have, 0, n - have);
            r = have ? read_piece(c, at, buf, have) : 0;
            *writing = !r;
            r = r ? r : put_compressed(c, at, buf, n);
        } else if (skip) {
            r = 0;
        } else if (s.flags & BLOCK_ZERO) {
            *writing = true;
            r = put_zeroes(c, at, n);
        } else {
            r = read_piece(c, at, buf, n);
            *writing = !r;
            pthread_mutex_lock(&w->writer);
            r = r ? r : put_data(c, at, buf, n);
            pthread_mutex_unlock(&w->writer);
        }
        at += n;
    }
    return r;
}

static void *worker(void *opaque)
{
    Work *w = opaque;
    uint64_t at, len;
    void *buf = NULL;
    if (posix_memalign(&buf, 4096, w->chunk)) {
        done(w, 0, -ENOMEM, false);
        return NULL;
    }
    while (take(w, &at, &len)) {
        bool writing = false;
        int r = copy_piece(w, at, len, buf, &writing);
        done(w, len, r, writing);
        hold_back(w);
    }
    free(buf);
    return NULL;
}

bool img_copy(const ImgCopy *c, Error **errp)
{
    Work w = { .c = c,
               .lock = PTHREAD_MUTEX_INITIALIZER,
               .writer = PTHREAD_MUTEX_INITIALIZER,
               .chunk = CHUNK,
               .start_us = g_get_monotonic_time() };
    if (c->compressed) {
        BlockInfo info;
        block_info(c->dst, &info, NULL);
        w.chunk = info.cluster_size ? info.cluster_size : 65536;
        block_info_clear(&info);
    }
    unsigned jobs = MAX(MIN(c->jobs, 16u), 1u);
    pthread_t thread[16];
    for (unsigned i = 0; i + 1 < jobs; i++) {
        if (pthread_create(&thread[i], NULL, worker, &w))
            jobs = i + 1;
    }
    worker(&w);
    for (unsigned i = 0; i + 1 < jobs; i++)
        pthread_join(thread[i], NULL);
    if (w.error)
        error_set_errno(errp, -w.error, "image '%s': %s", block_filename(w.writing ? c->dst : c->src),
                        w.writing ? "writing" : "reading");
    return !w.error;
}
