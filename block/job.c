/* SPDX-License-Identifier: MIT */
/* Jobs: their life, their threads, and the change of the graph at the end. */
#include "block/job.h"
#include <string.h>
#include <time.h>
#include "base/evloop.h"
#include "base/thread.h"
#include "block/filter.h"
#include "block/job-internal.h"
#include "block/node.h"

static GPtrArray *jobs; /* main thread */
static const char *const type_names[] = { "stream", "commit", "mirror", "backup" };

/* --- the thread --- */

/* Locked. `anything`: also until something changes. */
static void wait_ns(BlockJob *j, int64_t ns, bool anything)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    ns += t.tv_nsec;
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    while (!pthread_cond_timedwait(&j->changed, &j->lock, &t) && !anything && !j->cancelled)
        continue;
}

/* May the next piece begin? False: the job ends. */
static bool may_go_on(BlockJob *j)
{
    pthread_mutex_lock(&j->lock);
    while ((j->held || j->paused) && !j->cancelled)
        pthread_cond_wait(&j->changed, &j->lock);
    while (j->held) /* the end waits, too: it gives nothing to the graph, but it reads */
        pthread_cond_wait(&j->changed, &j->lock);
    bool go = !j->error && !(j->cancelled && (j->force || !follows(j) || !j->ready)) &&
              !(j->ready && (j->completing || j->cancelled));
    j->busy = go;
    pthread_mutex_unlock(&j->lock);
    return go;
}

/* A piece is done; sleeps for the speed limit. False: there was nothing left of a job that ends by itself. */
static bool piece_done(BlockJob *j, int r, uint64_t bytes)
{
    pthread_mutex_lock(&j->lock);
    j->busy = false;
    j->error = j->error ? j->error : r;
    j->offset += bytes;
    bool more = bytes || follows(j);
    pthread_cond_broadcast(&j->changed);
    if (!bytes && follows(j)) {
        j->ready = true;
        if (!j->completing && !j->cancelled && !r)
            wait_ns(j, 100000000, true);
    } else if (bytes && j->speed) {
        int64_t ns = (int64_t)((double)bytes / (double)j->speed * 1e9);
        if (!j->cancelled)
            wait_ns(j, MIN(ns, INT64_C(1000000000)), false);
    }
    pthread_mutex_unlock(&j->lock);
    return more;
}

static void finish(void *opaque);

static void *run(void *opaque)
{
    BlockJob *j = opaque;
    while (may_go_on(j)) {
        uint64_t bytes;
        int r = job_step(j, &bytes);
        if (!piece_done(j, r, bytes))
            break;
    }
    evloop_defer(NULL, finish, j);
    return NULL;
}

/* --- drains --- */

static void hold(BlockWatch *w)
{
    BlockJob *j = (BlockJob *)w;
    pthread_mutex_lock(&j->lock);
    j->held++;
    while (j->busy)
        pthread_cond_wait(&j->changed, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

static void release(BlockWatch *w)
{
    BlockJob *j = (BlockJob *)w;
    pthread_mutex_lock(&j->lock);
    j->held--;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static void set_watch(BlockNode *n, BlockWatch *w)
{
    block_drain_begin(n);
    BlockWatch *old = n->watch;
    n->watch = w;
    if (old) /* what the drain has held is not released by it any more */
        old->release(old);
    if (w)
        w->hold(w);
    block_drain_end(n);
}

/* --- filters above the image stay --- */

static void refresh_filters(BlockNode *top)
{
    if (!top->drv->filter)
        return;
    refresh_filters(top->file);
    block_filter_init(top);
    top->aio = top->drv->aio && top->file->aio;
}

/* The drive is held. Takes the reference to n. */
static void replace_image(BlockBackend *b, BlockNode *old, BlockNode *n)
{
    BlockNode *above = blk_node(b);
    if (above == old) {
        blk_replace_node(b, n);
        return;
    }
    while (above->file != old)
        above = above->file;
    block_drain_begin(above);
    above->file = n;
    block_drain_end(above);
    block_unref(old);
    refresh_filters(blk_node(b));
}

/* --- the end --- */

static BlockBackend *backend_of(const BlockJob *j)
{
    for (unsigned i = 0; i < blk_count(); i++) {
        if (block_skip_filters(blk_node(blk_nth(i))) == j->node)
            return blk_nth(i);
    }
    return NULL;
}

/* commit: the base is read-only again, unless the drive stands on it now. */
static void leave_base(BlockJob *j, bool pivoted)
{
    if (j->type == JOB_COMMIT && j->base)
        j->base->merging = false;
    if (j->base_was_readonly && !pivoted)
        block_reopen(j->base, false, NULL);
}

static void job_free(BlockJob *j)
{
    g_ptr_array_remove(jobs, j);
    if (j->target && j->type != JOB_COMMIT)
        block_unref(j->target);
    block_unref(j->node);
    if (j->base)
        block_unref(j->base);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->changed);
    g_free(j->drive);
    g_free(j->target_name);
    g_free(j->map);
    g_free(j->copying);
    g_free(j->buf);
    g_free(j);
}

/* All requests are held back: the rest is copied, and the copy is durable. */
static int catch_up(BlockJob *j)
{
    int r = 0;
    for (uint64_t bytes = 1; bytes && !r;)
        r = job_step(j, &bytes);
    return r ? r : block_flush(j->target);
}

static bool drop_chain(BlockJob *j, Error **errp)
{
    const char *file = j->base ? block_filename(j->base) : NULL, *format = j->base ? block_driver_name(j->base) : NULL;
    bool ok = block_change_backing(j->node, file, format, errp);
    if (!ok)
        return false;
    block_drain_begin(j->node);
    BlockNode *old = j->node->backing;
    j->node->backing = j->base ? block_ref(j->base) : NULL;
    block_drain_end(j->node);
    block_unref(old);
    return true;
}

static bool end_follow(BlockJob *j, bool pivot, Error **errp)
{
    BlockBackend *b = backend_of(j);
    if (!b) {
        error_setf(errp, "the drive has another image now");
        return false;
    }
    blk_hold(b);
    int r = catch_up(j);
    if (r)
        error_set_errno(errp, -r, "the rest could not be copied");
    set_watch(j->node, NULL);
    if (!r && pivot)
        replace_image(b, j->node, block_ref(j->target));
    j->target->merging = false;
    blk_release(b);
    return !r;
}

/* Main thread: the thread has ended. */
static void finish(void *opaque)
{
    BlockJob *j = opaque;
    Error *err = NULL;
    pthread_join(j->thread, NULL);
    bool pivot = !j->error && j->completing && !j->cancelled, copy = !j->error && follows(j) && j->ready && !j->force;
    if (j->error)
        error_set_errno(&err, -j->error, "copying failed");
    else if (follows(j) && (pivot || copy))
        end_follow(j, pivot, &err);
    else if (j->type == JOB_STREAM && !j->cancelled && j->node->backing)
        drop_chain(j, &err);
    else if (j->type == JOB_BACKUP && block_flush(j->target))
        error_setf(&err, "the copy can't be written back");
    if (j->node->watch == &j->watch)
        set_watch(j->node, NULL);
    leave_base(j, pivot && !err);
    if (err) {
        error_prependf(&err, "%s of drive '%s'", type_names[j->type], j->drive);
        error_report(err);
        error_free(err);
    }
    job_free(j);
}

/* --- starting --- */

/* What has a protocol in front is no path. */
static char *full_name(const char *file)
{
    g_autofree char *scheme = block_scheme(file);
    return scheme || g_str_has_prefix(file, "json:") ? g_strdup(file) : g_canonicalize_filename(file, NULL);
}

static BlockNode *find_below(BlockNode *n, const char *file, Error **errp)
{
    g_autofree char *want = full_name(file);
    for (BlockNode *b = n->backing; b; b = b->backing) {
        g_autofree char *have = full_name(block_filename(b));
        if (!strcmp(have, want) || !strcmp(block_node_name(b), file))
            return b;
    }
    error_setf(errp, "image '%s' does not stand on '%s'; 'info block -v' shows what it stands on", block_filename(n),
               file);
    return NULL;
}

static bool set_base(BlockJob *j, const BlockJobSpec *s, Error **errp)
{
    BlockNode *base = s->base ? find_below(j->node, s->base, errp) : s->type == JOB_COMMIT ? j->node->backing : NULL;
    if (s->base && !base)
        return false;
    if ((s->type == JOB_COMMIT || s->type == JOB_STREAM) && !j->node->backing) {
        error_setf(errp, "image '%s' has no backing file", block_filename(j->node));
        return false;
    }
    j->base = base ? block_ref(base) : NULL;
    if (s->type != JOB_COMMIT)
        return true;
    j->base_was_readonly = !block_writable(base);
    j->target = base;
    if (!block_reopen(base, true, errp))
        return false;
    base->merging = true;
    return block_size(base) >= block_size(j->node) ||
           block_truncate(base, block_size(j->node), PREALLOC_OFF, false, errp);
}

/* Flags of the drive's image that a new one on its place takes over. */
static unsigned flags_like(const BlockNode *n)
{
    return BLOCK_RDWR | BLOCK_NO_BACKING |
           (block_flags(n) & (BLOCK_DIRECT | BLOCK_NO_FLUSH | BLOCK_WRITETHROUGH | BLOCK_UNMAP));
}

/* A new or existing image of the size of n, on `backing` (NULL: alone). */
static BlockNode *open_new(BlockNode *n, const char *file, const char *format, bool existing, BlockNode *backing,
                           Error **errp)
{
    g_autoptr(Opts) create = opts_new(), open = opts_new();
    if (backing) {
        g_autofree char *name = full_name(block_filename(backing));
        opts_set(create, "backing_file", name);
        opts_set(create, "backing_fmt", block_driver_name(backing));
    }
    if (!existing && !block_create(file, format, block_size(n), create, errp))
        return NULL;
    opts_set(open, "driver", format);
    BlockNode *t = block_open(file, open, flags_like(n), errp);
    if (t && backing) /* also for the parts of clusters that are not copied */
        t->backing = block_ref(backing);
    if (!t || block_size(t) >= block_size(n))
        return t;
    error_setf(errp, "image '%s' is smaller than the drive; resize it to %" G_GUINT64_FORMAT " bytes", file,
               (guint64)block_size(n));
    block_unref(t);
    return NULL;
}

/* Whole clusters can be compressed, and a unit holds some. */
static bool set_compression(BlockJob *j, Error **errp)
{
    BlockInfo info = { 0 };
    uint64_t cluster = block_info(j->target, &info, NULL) ? info.cluster_size : 0;
    block_info_clear(&info);
    if (cluster && cluster <= JOB_UNIT)
        j->compress = cluster;
    else
        error_setf(errp,
                   "image '%s': a compressed backup needs clusters of at most 64 KiB; make it with another "
                   "cluster_size, or leave compress out",
                   block_filename(j->target));
    return j->compress;
}

static bool set_target(BlockJob *j, const BlockJobSpec *s, Error **errp)
{
    const char *format = s->format ? s->format : block_driver_name(j->node);
    j->full = s->full || !j->node->backing;
    if (!j->full && s->type != JOB_STREAM)
        j->base = block_ref(j->node->backing);
    j->target = open_new(j->node, s->target, format, s->existing, j->full ? NULL : j->base, errp);
    return j->target && (!s->compress || set_compression(j, errp));
}

static const BlockJob *job_of(const BlockNode *n)
{
    for (unsigned i = 0; i < block_job_count(); i++) {
        BlockJob *j = jobs->pdata[i];
        if (j->node == n)
            return j;
    }
    return NULL;
}

static bool check_drive(BlockBackend *b, Error **errp)
{
    BlockNode *n = block_skip_filters(blk_node(b));
    if (!n)
        error_setf(errp, "drive '%s' has no medium", blk_name(b));
    else if (!block_writable(n))
        error_setf(errp, "drive '%s' is read-only", blk_name(b));
    else if (n->watch || job_of(n))
        error_setf(errp, "drive '%s' has a job; wait for it or cancel it (info block-jobs)", blk_name(b));
    else
        return true;
    return false;
}

BlockJob *block_job_start(BlockBackend *b, const BlockJobSpec *s, Error **errp)
{
    if (!check_drive(b, errp))
        return NULL;
    BlockJob *j = g_new0(BlockJob, 1);
    j->watch = (BlockWatch){ job_before, job_after, hold, release };
    j->type = s->type;
    j->drive = g_strdup(blk_name(b));
    j->node = block_ref(block_skip_filters(blk_node(b)));
    j->speed = s->speed;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->changed, NULL);
    if (!jobs)
        jobs = g_ptr_array_new();
    g_ptr_array_add(jobs, j);
    bool ok = s->type == JOB_STREAM || s->type == JOB_COMMIT ? set_base(j, s, errp) : set_target(j, s, errp);
    if (ok) {
        job_alloc(j);
        set_watch(j->node, &j->watch);
    } else {
        leave_base(j, false);
        job_free(j);
        return NULL;
    }
    j->thread = thread_start("block job", run, j);
    return j;
}

/* --- control --- */

unsigned block_job_count(void) { return jobs ? jobs->len : 0; }

BlockJobInfo block_job_info(unsigned i)
{
    BlockJob *j = jobs->pdata[i];
    pthread_mutex_lock(&j->lock);
    BlockJobInfo info = { type_names[j->type], j->drive, j->offset, MAX(j->length, j->offset), j->speed,
                          j->paused,           j->ready };
    pthread_mutex_unlock(&j->lock);
    return info;
}

BlockJob *block_job_find(const char *drive, Error **errp)
{
    for (unsigned i = 0; i < block_job_count(); i++) {
        if (!strcmp(((BlockJob *)jobs->pdata[i])->drive, drive))
            return jobs->pdata[i];
    }
    error_setf(errp, "drive '%s' has no job; 'info block-jobs' lists them", drive);
    return NULL;
}

static void change(BlockJob *j, bool *flag, bool to)
{
    pthread_mutex_lock(&j->lock);
    *flag = to;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

bool block_job_pause(BlockJob *j, Error **errp)
{
    change(j, &j->paused, true);
    return true;
}

bool block_job_resume(BlockJob *j, Error **errp)
{
    if (!j->paused) {
        error_setf(errp, "the job of drive '%s' is not paused", j->drive);
        return false;
    }
    change(j, &j->paused, false);
    return true;
}

void block_job_set_speed(BlockJob *j, uint64_t speed)
{
    pthread_mutex_lock(&j->lock);
    j->speed = speed;
    pthread_mutex_unlock(&j->lock);
}

bool block_job_complete(BlockJob *j, Error **errp)
{
    pthread_mutex_lock(&j->lock);
    bool ready = j->ready;
    pthread_mutex_unlock(&j->lock);
    if (!ready) {
        error_setf(errp, "the %s of drive '%s' %s", type_names[j->type], j->drive,
                   follows(j) ? "is not ready; 'info block-jobs' tells" : "completes by itself");
        return false;
    }
    change(j, &j->completing, true);
    return true;
}

void block_job_cancel(BlockJob *j, bool force)
{
    pthread_mutex_lock(&j->lock);
    j->cancelled = true;
    j->force |= force;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

void block_jobs_end(void)
{
    for (unsigned i = 0; i < block_job_count(); i++)
        block_job_cancel(jobs->pdata[i], true);
    while (block_job_count())
        evloop_iterate(true);
}

/* --- at once --- */

bool block_overlay(BlockBackend *b, const char *file, const char *format, bool existing, Error **errp)
{
    if (!check_drive(b, errp))
        return false;
    BlockNode *old = block_skip_filters(blk_node(b)),
              *n = open_new(old, file, format ? format : "qcow2", existing, old, errp);
    if (!n)
        return false;
    blk_hold(b);
    int r = block_flush(n); /* what shall be the drive's image must be there after a power cut */
    if (r)
        error_set_errno(errp, -r, "image '%s': can't be written back", block_filename(n));
    bool ok = !r && block_reopen(old, false, errp); /* flushes */
    if (ok)
        replace_image(b, old, n);
    else
        block_unref(n);
    blk_release(b);
    return ok;
}

bool block_commit_now(BlockBackend *b, Error **errp)
{
    if (!check_drive(b, errp))
        return false;
    BlockJob j = { .type = JOB_COMMIT, .node = block_skip_filters(blk_node(b)) };
    BlockJobSpec s = { .type = JOB_COMMIT };
    int r = 0;
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.changed, NULL);
    blk_hold(b);
    bool ok = set_base(&j, &s, errp);
    if (ok) {
        job_alloc(&j);
        r = catch_up(&j);
    }
    if (r) {
        error_set_errno(errp, -r, "image '%s': it could not be copied into its backing file", block_filename(j.node));
        ok = false;
    }
    ok = ok && block_make_empty(j.node, errp);
    leave_base(&j, false);
    blk_release(b);
    if (j.base)
        block_unref(j.base);
    pthread_mutex_destroy(&j.lock);
    pthread_cond_destroy(&j.changed);
    g_free(j.map);
    g_free(j.copying);
    g_free(j.buf);
    return ok;
}
