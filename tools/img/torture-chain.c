/* SPDX-License-Identifier: MIT */
/*
 * `rhea-img torture --chain`: the guest's image stands on others; jobs, overlays, copy-before-write filters and the
 * commands commit and rebase change that while the guest works. Jobs run in their threads, so a seed does not repeat
 * everything.
 */
#include "base/evloop.h"
#include "tools/img/torture.h"

enum { DEPTH_MAX = 4 };

typedef struct TortureChain {
    BlockBackend *drive;
    BlockJob *job;             /* or NULL */
    BlockJobSpec spec;
    bool stepped;              /* it goes on for a request of the guest at a time */
    bool completing, cancelled, leaves_copy; /* a ready mirror that is cancelled is one */
    unsigned target;           /* TAPE_FILES: none. commit: the base */
    uint32_t *then;            /* backup, copy-before-write: the disk when it began */
    bool fleece;               /* copy-before-write to target */
} TortureChain;

static BlockNode *image(const Torture *r) { return block_skip_filters(r->n); }
static unsigned file_of(const BlockNode *n) { return tape_number(block_filename(n)); }

static unsigned depth(const Torture *r)
{
    unsigned d = 0;
    for (const BlockNode *b = image(r); b; b = block_backing(b))
        d++;
    return d;
}

static BlockNode *layer(const Torture *r, unsigned i)
{
    BlockNode *b = image(r);
    while (b && i--)
        b = block_backing(b);
    return b;
}

/* --- files --- */

static bool in_use(const Torture *r, unsigned file)
{
    bool used = r->chain->target == file;
    for (const BlockNode *b = image(r); b; b = block_backing(b))
        used |= file_of(b) == file;
    return used;
}

/* What they showed is not asked for any more. TAPE_FILES: of all that stand on others. */
static void forget_copies(Torture *r, unsigned file)
{
    for (unsigned i = 0; i < r->copies->len; i++) {
        TortureCopy *c = &g_array_index(r->copies, TortureCopy, i);
        if (c->to == UINT_MAX && (c->file == file || (file == TAPE_FILES && !c->alone)))
            c->to = tape_length(r->tape);
    }
}

static void add_copy(Torture *r, unsigned file, const uint32_t *contents, bool alone)
{
    TortureCopy c = { tape_length(r->tape), UINT_MAX, file, alone, g_memdup2(contents, SECTORS * sizeof *contents) };
    g_array_append_val(r->copies, c);
}

/* A new image on a file that nobody uses; backing NULL: none. TAPE_FILES: it could not be made. */
static unsigned make_image(Torture *r, const BlockNode *backing, Error **errp)
{
    unsigned file = torture_pick(r, TAPE_FILES);
    while (in_use(r, file))
        file = (file + 1) % TAPE_FILES;
    g_autofree char *path = g_strdup_printf("%s.new", r->path);
    g_autoptr(Opts) o = opts_new();
    for (unsigned i = 0; i < opts_count(r->create); i++)
        opts_set(o, opts_key(r->create, i), opts_value(r->create, i));
    if (backing) {
        opts_set(o, "backing_file", block_filename(backing));
        opts_set(o, "backing_fmt", r->format);
    }
    forget_copies(r, file);
    bool ok = block_create(path, r->format, block_size(r->n), o, errp) && torture_load(r, file, path, errp);
    unlink(path);
    return ok ? file : TAPE_FILES;
}

/* --- the drive --- */

static void open_drive(Torture *r, BlockNode *n)
{
    r->n = n;
    r->chain->drive = n ? blk_new("torture", n) : NULL;
}

static void take_root(Torture *r)
{
    r->n = blk_node(r->chain->drive);
    r->now.root = file_of(image(r));
    torture_state(r);
}

static bool then(Torture *r, Error **errp)
{
    r->chain->then = r->chain->then ? r->chain->then : g_new(uint32_t, SECTORS);
    return torture_read(r, r->n, r->chain->then, errp);
}

/* --- jobs --- */

static bool failed(Torture *r, const char *what, Error **errp)
{
    static const char *const names[] = { "stream", "commit", "mirror", "backup" };
    error_setf(errp, "torture: %s: %s", names[r->chain->spec.type], what);
    return false;
}

static bool job_ended(Torture *r, Error **errp)
{
    TortureChain *c = r->chain;
    unsigned root = r->now.root;
    bool moves = c->completing && !c->cancelled;
    take_root(r);
    c->job = NULL;
    unsigned target = c->target;
    c->target = TAPE_FILES;
    if (r->now.root != (moves ? target : root))
        return failed(r, moves ? "the drive did not go over to the target" : "the drive has another image", errp);
    if (c->spec.type == JOB_STREAM && !c->cancelled && g_strcmp0(image(r)->backing_file, c->spec.base))
        return failed(r, "the image still stands on what was streamed", errp);
    if (c->spec.type == JOB_BACKUP && !c->cancelled)
        add_copy(r, target, c->then, c->spec.full);
    if (!c->leaves_copy)
        return true;
    if (!then(r, errp))
        return false;
    add_copy(r, target, c->then, c->spec.full);
    return true;
}

static bool control_job(Torture *r, Error **errp)
{
    TortureChain *c = r->chain;
    BlockJobInfo info = block_job_info(0);
    if (c->completing || c->cancelled)
        return true;
    if (info.ready && !torture_pick(r, 8)) {
        c->completing = torture_pick(r, 4);
        c->cancelled = !c->completing;
        bool force = c->cancelled && torture_pick(r, 2);
        c->leaves_copy = c->cancelled && !force && c->spec.type == JOB_MIRROR;
        if (info.paused && !block_job_resume(c->job, errp))
            return false;
        if (c->completing)
            return block_job_complete(c->job, errp);
        block_job_cancel(c->job, force);
    } else if (!torture_pick(r, 100)) {
        c->cancelled = true;
        block_job_cancel(c->job, true);
    } else if (c->stepped) {
        bool go = !torture_pick(r, 3);
        if (go == info.paused)
            return go ? block_job_resume(c->job, errp) : block_job_pause(c->job, errp);
    }
    return true;
}

static bool compressible(const Torture *r)
{
    BlockInfo info = { 0 };
    uint64_t cluster = r->compress && block_info(image(r), &info, NULL) ? info.cluster_size : 0;
    block_info_clear(&info);
    return cluster && cluster <= 65536;
}

static bool start_job(Torture *r, BlockJobType type, Error **errp)
{
    TortureChain *c = r->chain;
    unsigned layers = depth(r);
    BlockNode *below = NULL;
    c->spec = (BlockJobSpec){ .type = type, .existing = true, .format = r->format };
    c->completing = c->cancelled = c->leaves_copy = false;
    g_autofree char *name = NULL;
    if (type == JOB_STREAM || type == JOB_COMMIT) {
        below = layer(r, type == JOB_STREAM ? 2 + torture_pick(r, layers - 1) : 1 + torture_pick(r, layers - 1));
        c->spec.base = below ? block_filename(below) : NULL;
        c->target = type == JOB_COMMIT ? file_of(below) : TAPE_FILES;
    } else {
        c->spec.full = layers == 1 || torture_pick(r, 2);
        c->spec.compress = type == JOB_BACKUP && compressible(r) && torture_pick(r, 2);
        c->target = make_image(r, c->spec.full ? NULL : block_backing(r->n), errp);
        if (c->target == TAPE_FILES || !then(r, errp))
            return false;
        name = tape_name(c->target);
        c->spec.target = name;
    }
    c->job = block_job_start(c->drive, &c->spec, errp);
    c->stepped = torture_pick(r, 4);
    c->spec.target = NULL;
    return c->job && (!c->stepped || block_job_pause(c->job, errp));
}

/* --- at once --- */

static bool overlay(Torture *r, Error **errp)
{
    unsigned file = make_image(r, image(r), errp);
    if (file == TAPE_FILES)
        return false;
    g_autofree char *name = tape_name(file);
    bool ok = block_overlay(r->chain->drive, name, r->format, true, errp);
    take_root(r);
    return ok;
}

static bool commit_now(Torture *r, Error **errp)
{
    return block_commit_now(r->chain->drive, errp);
}

/* --- the machine is off --- */

/* What the program did with an image is durable when it has ended, as a guest's flush is. */
static void power_off(Torture *r)
{
    blk_free(r->chain->drive);
    r->n = NULL;
    r->chain->drive = NULL;
    if (r->chain->fleece)
        torture_resume(r);
    r->chain->fleece = false;
    r->chain->target = TAPE_FILES;
    torture_promise(r);
}

static bool offline(Torture *r, BlockNode *n, Error **errp)
{
    r->n = n;
    unsigned layers = depth(r);
    bool ok = true;
    if (layers > 1 && torture_pick(r, 2)) {
        unsigned to = 1 + torture_pick(r, layers - 1);
        ok = img_commit_into(n, layer(r, to), to == 1 && n->drv->make_empty, 0, NULL, errp);
    } else if (layers > 1) {
        BlockNode *base = layer(r, 2 + torture_pick(r, layers - 1));
        g_autofree char *name = base ? g_strdup(block_filename(base)) : NULL;
        ok = img_put_on(n, base, name, r->format, NULL, errp);
    }
    r->n = NULL;
    return ok;
}

static bool restart(Torture *r, Error **errp)
{
    power_off(r);
    BlockNode *n = torture_open(r, r->now.root, BLOCK_RDWR, errp);
    bool ok = n && offline(r, n, errp);
    block_unref(n);
    n = ok ? torture_open(r, r->now.root, BLOCK_RDWR | BLOCK_UNMAP, errp) : NULL;
    open_drive(r, n);
    return n;
}

static bool fleece(Torture *r, Error **errp)
{
    TortureChain *c = r->chain;
    unsigned target = then(r, errp) ? make_image(r, image(r), errp) : TAPE_FILES;
    if (target == TAPE_FILES)
        return false;
    g_autoptr(Opts) o = opts_new();
    g_autofree char *file = tape_name(r->now.root), *kept = tape_name(target);
    power_off(r);
    opts_set(o, "driver", "copy-before-write");
    opts_set(o, "file.driver", r->format);
    opts_set(o, "file.file.filename", file);
    opts_set(o, "target.driver", r->format);
    opts_set(o, "target.file.filename", kept);
    opts_set(o, "target.backing", "");
    open_drive(r, block_open(NULL, o, BLOCK_RDWR | BLOCK_UNMAP, errp));
    c->fleece = true;
    torture_pause(r); /* what is kept is looked at when nothing was written behind a flush */
    c->target = target;
    return r->n;
}

/* --- the whole --- */

static bool start_one(Torture *r, Error **errp)
{
    unsigned layers = depth(r), what = torture_pick(r, 12);
    forget_copies(r, TAPE_FILES);
    if (r->chain->fleece || what == 0)
        return restart(r, errp);
    if (what == 1) /* a vmdk image is no longer shown above a parent that was written to */
        return !strcmp(r->format, "vmdk") || fleece(r, errp);
    if (what < 5)
        return layers == DEPTH_MAX || overlay(r, errp);
    if (what < 7)
        return start_job(r, what == 5 ? JOB_MIRROR : JOB_BACKUP, errp);
    if (layers == 1)
        return overlay(r, errp);
    return what == 7 && image(r)->drv->make_empty ? commit_now(r, errp)
                                                  : start_job(r, what < 10 ? JOB_STREAM : JOB_COMMIT, errp);
}

void torture_chain_begin(Torture *r)
{
    static TortureChain chain;
    chain = (TortureChain){ .target = TAPE_FILES };
    evloop_init();
    r->chain = &chain;
    open_drive(r, r->n);
}

bool torture_chain_step(Torture *r, Error **errp)
{
    TortureChain *c = r->chain;
    evloop_iterate(false);
    if (c->fleece)
        forget_copies(r, c->target);
    if (c->job && !block_job_count() && !job_ended(r, errp))
        return false;
    return c->job ? control_job(r, errp) : torture_pick(r, 15) || start_one(r, errp);
}

void torture_chain_flushed(Torture *r)
{
    if (r->chain && r->chain->fleece)
        add_copy(r, r->chain->target, r->chain->then, false);
}

bool torture_chain_end(Torture *r, Error **errp)
{
    TortureChain *c = r->chain;
    c->cancelled = true;
    c->leaves_copy = false;
    block_jobs_end();
    bool ok = !c->job || job_ended(r, errp);
    power_off(r);
    g_free(c->then);
    return ok;
}
