/* SPDX-License-Identifier: MIT */
/* savevm, loadvm, delvm: the machine's state goes into the first image that can hold it, a snapshot into all. */
#include "system/snapshot.h"
#include <string.h>
#include <time.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/evloop.h"
#include "base/log.h"
#include "base/thread.h"
#include "block/backend.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/core/ram.h"
#include "hw/core/save.h"

/* --- the disks --- */

typedef struct Disk { BlockBackend *blk; BlockNode *node; } Disk;

/* Writable disks, each image once. False: one of them can't have snapshots. */
static bool find_disks(GArray **out, Error **errp)
{
    *out = g_array_new(false, true, sizeof(Disk));
    for (unsigned i = 0; i < blk_count(); i++) {
        BlockBackend *b = blk_nth(i);
        if (!blk_node(b))
            continue;
        Disk d = { b, block_skip_filters(blk_node(b)) };
        bool known = !block_writable(blk_node(b));
        for (unsigned k = 0; !known && k < (*out)->len; k++)
            known = g_array_index(*out, Disk, k).node == d.node;
        if (known)
            continue;
        if (!block_has_snapshots(d.node)) {
            const char *format = block_driver_name(d.node);
            error_setf(errp,
                       "drive '%s' is writable, and its format (%s) has no snapshots; convert the image to qcow2, or "
                       "add readonly=on or snapshot=on",
                       blk_name(b), format);
            return false;
        }
        g_array_append_val(*out, d);
    }
    return true;
}

static bool need_disks(GArray **out, Error **errp)
{
    if (!find_disks(out, errp))
        return false;
    if ((*out)->len)
        return true;
    error_setf(
        errp,
        "no disk can hold a snapshot; add a drive of format=qcow2, or save to a file by its path (savevm ./NAME)");
    return false;
}

static Disk *disk(GArray *disks, unsigned i) { return &g_array_index(disks, Disk, i); }

/* The snapshot of that name; false: none, or an error. */
static bool find_snapshot(BlockNode *n, const char *name, BlockSnapshot *out, Error **errp)
{
    GArray *list = NULL;
    bool found = false;
    if (block_snapshot_list(n, &list, errp)) {
        for (unsigned i = 0; i < list->len && !found; i++) {
            *out = g_array_index(list, BlockSnapshot, i);
            found = !strcmp(out->name, name);
        }
    }
    g_array_unref(list);
    return found;
}

/* --- what the state is written to and read from --- */

typedef struct Source { BlockNode *node; char id[128]; } Source;

static int state_write(void *opaque, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    return block_vmstate_writev(opaque, offset, iov, iovcnt);
}

static int state_reserve(void *opaque, uint64_t offset, uint64_t len)
{
    return block_vmstate_reserve(opaque, offset, len);
}
static void state_write_out(void *opaque) { block_write_out(opaque); }

static int state_read(void *opaque, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    const Source *s = opaque;
    return block_snapshot_vmstate_readv(s->node, s->id, offset, iov, iovcnt);
}

/* --- saving --- */

/* Old snapshots of the name, by disk: they go when the new ones stand. */
static void delete_ids(GArray *disks, char (*id)[128], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        Error *err = NULL;
        if (id[i][0] && !block_snapshot_delete(disk(disks, i)->node, id[i], &err)) {
            error_report(err);
            error_free(err);
        }
    }
}

/* The id of the newest snapshot of a name. */
static void note_id(BlockNode *n, const char *name, char id[128])
{
    GArray *list = NULL;
    id[0] = '\0';
    if (block_snapshot_list(n, &list, NULL)) {
        for (unsigned i = 0; i < list->len; i++) {
            const BlockSnapshot *s = &g_array_index(list, BlockSnapshot, i);
            if (!strcmp(s->name, name))
                g_strlcpy(id, s->id, 128);
        }
    }
    g_array_unref(list);
}

/* One snapshot on every disk, or on none. */
static bool snapshot_disks(GArray *disks, const char *name, uint64_t state_size, Error **errp)
{
    g_autofree char (*old)[128] = g_malloc0_n(disks->len, 128), (*new)[128] = g_malloc0_n(disks->len, 128);
    BlockSnapshot info = { .vm_clock_ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS), .icount = UINT64_MAX };
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    info.date_sec = (uint32_t)now.tv_sec;
    info.date_nsec = (uint32_t)now.tv_nsec;
    g_strlcpy(info.name, name, sizeof info.name);
    for (unsigned i = 0; i < disks->len; i++) {
        BlockNode *n = disk(disks, i)->node;
        note_id(n, name, old[i]);
        info.vm_state_size = i ? 0 : state_size;
        if (!block_snapshot_create(n, &info, errp)) {
            delete_ids(disks, new, i);
            return false;
        }
        note_id(n, name, new[i]);
    }
    delete_ids(disks, old, disks->len);
    return true;
}

static bool finish_save(Save *s, GArray *disks, const char *name, Error **errp)
{
    uint64_t size;
    bool ok = save_end(s, &size, errp);
    ok = ok && snapshot_disks(disks, name, size, errp);
    int r = block_vmstate_discard(disk(disks, 0)->node);
    if (r && ok)
        warn_reportf("image '%s': the saved state's second copy could not be given back: %s",
                     block_filename(disk(disks, 0)->node), g_strerror(-r));
    return ok;
}

/* The machine stands while fn runs, and is then what it was. */
static RunState stand(RunState how)
{
    RunState before = machine_run_state();
    machine_pause(how);
    return before;
}

static void go_on(RunState before)
{
    machine_pause(before == RUN_RUNNING ? RUN_PAUSED : before);
    if (before == RUN_RUNNING)
        machine_resume();
}

static bool check_name(const char *name, Error **errp)
{
    if (*name && strlen(name) < sizeof ((BlockSnapshot *)0)->name)
        return true;
    error_setf(errp, "'%.40s%s' is no name of a snapshot; use 1 to 255 bytes", name, strlen(name) > 40 ? "..." : "");
    return false;
}

/* --- in the background: passes over the memory that the guest has changed, each in a thread of its own --- */

enum { PASSES_MAX = 12, FEW_PAGES = 4096, LAG_NS = 20000000 };

static struct Background {
    char *name;        /* NULL: none */
    Save *save;
    GArray *disks;
    pthread_t thread;
    bool ok;
    Error *err;
    unsigned passes;
    uint64_t last;     /* pages of the last pass */
} bg;

bool snapshot_idle(Error **errp)
{
    if (bg.name)
        error_setf(errp,
                   "the machine is being saved as '%s' while it runs: wait until that has ended (info savevm), or stop "
                   "it by savevm_cancel",
                   bg.name);
    return !bg.name;
}

static void background_free(void)
{
    ram_dirty_stop();
    device_keep_all(false);
    save_free(bg.save);
    for (unsigned i = 0; i < bg.disks->len; i++)
        block_unref(disk(bg.disks, i)->node);
    g_array_unref(bg.disks);
    g_free(bg.name);
    bg = (struct Background){ 0 };
}

static void background_failed(Error *err)
{
    block_vmstate_discard(disk(bg.disks, 0)->node);
    error_prependf(&err, "savevm '%s'", bg.name);
    error_report(err);
    error_free(err);
    background_free();
}

static void background_next(void *opaque);

static void *background_pass(void *opaque)
{
    bg.ok = save_ram(bg.save, &bg.err);
    evloop_defer(NULL, background_next, NULL);
    return NULL;
}

static void background_last(void)
{
    int64_t start = clock_ns(CLOCK_REALTIME_NS);
    uint64_t written = save_written(bg.save);
    Error *err = NULL;
    RunState before = stand(RUN_SAVING);
    bool ok = finish_save(bg.save, bg.disks, bg.name, &err);
    go_on(before);
    if (!ok) {
        background_failed(err);
        return;
    }
    info_reportf("snapshot '%s' is saved: %" G_GUINT64_FORMAT
                 " MiB in %u passes while the guest ran, %" G_GUINT64_FORMAT " KiB in a pause of %" G_GINT64_FORMAT
                 " ms",
                 bg.name, (guint64)(written / MiB), bg.passes, (guint64)((save_written(bg.save) - written) / KiB),
                 (gint64)((clock_ns(CLOCK_REALTIME_NS) - start) / 1000000));
    background_free();
}

/* Main thread: a pass has ended. */
static void background_next(void *opaque)
{
    pthread_join(bg.thread, NULL);
    bg.passes++;
    if (!bg.ok) {
        background_failed(g_steal_pointer(&bg.err));
        return;
    }
    ram_dirty_sync();
    uint64_t pages = ram_dirty_count();
    bool enough = pages <= FEW_PAGES || bg.passes >= PASSES_MAX || (bg.passes > 2 && pages > bg.last / 4 * 3);
    bg.last = pages;
    if (enough || machine_run_state() != RUN_RUNNING)
        background_last();
    else
        bg.thread = thread_start("savevm", background_pass, NULL);
}

static bool background_begin(Save *s, GArray *disks, const char *name, Error **errp)
{
    if (!ram_dirty_start(errp))
        return false;
    bg = (struct Background){ .name = g_strdup(name), .save = s, .disks = g_array_ref(disks) };
    for (unsigned i = 0; i < disks->len; i++)
        block_ref(disk(disks, i)->node);
    device_keep_all(true); /* with their memory, which is being saved */
    bg.thread = thread_start("savevm", background_pass, NULL);
    return true;
}

static bool not_busy(Error **errp)
{
    if (bg.name)
        error_setf(errp, "snapshot '%s' is being saved; wait for it (info savevm) or end it (savevm_cancel)", bg.name);
    return !bg.name;
}

bool snapshot_cancel(Error **errp)
{
    if (!bg.name) {
        error_setf(errp, "no snapshot is being saved");
        return false;
    }
    save_cancel(bg.save);
    return true;
}

void snapshot_end(void)
{
    if (!bg.name)
        return;
    save_cancel(bg.save);
    pthread_join(bg.thread, NULL);
    block_vmstate_discard(disk(bg.disks, 0)->node);
    g_clear_error(&bg.err);
    background_free();
}

bool snapshot_progress(SnapshotProgress *out)
{
    *out = (SnapshotProgress){ bg.name, bg.save ? save_written(bg.save) : 0, bg.passes };
    return bg.name;
}

/* --- the commands --- */

static bool save_now(GArray *disks, const char *name, const SnapshotOptions *o, Error **errp)
{
    SaveIo io = {
        .write = state_write, .reserve = state_reserve, .write_out = state_write_out, .opaque = disk(disks, 0)->node
    };
    int r = block_vmstate_discard(disk(disks, 0)->node); /* what a load may have left there */
    Save *s = r ? NULL : save_new(&io, o->compress, errp);
    if (r)
        error_set_errno(errp, -r, "image '%s': there is no room for the state", block_filename(disk(disks, 0)->node));
    if (!s)
        return false;
    if (o->background && machine_run_state() == RUN_RUNNING) {
        if (background_begin(s, disks, name, errp))
            return true;
        save_free(s);
        return false;
    }
    RunState before = stand(RUN_SAVING);
    bool ok = finish_save(s, disks, name, errp);
    go_on(before);
    save_free(s);
    return ok;
}

bool snapshot_save(const char *name, const SnapshotOptions *o, Error **errp)
{
    g_autoptr(GArray) disks = NULL;
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *dflt = g_date_time_format(now, "vm-%Y%m%d%H%M%S");
    name = name ? name : dflt;
    if (not_busy(errp) && check_name(name, errp) && device_check_savable(errp) && need_disks(&disks, errp) &&
        save_now(disks, name, o, errp))
        return true;
    error_prependf(errp, "savevm '%s'", name);
    return false;
}

/* The snapshot on every disk; the machine's state in one of them. */
static bool find_everywhere(GArray *disks, const char *name, char (*id)[128], Source *source, uint64_t *size,
                            Error **errp)
{
    *source = (Source){ 0 };
    for (unsigned i = 0; i < disks->len; i++) {
        BlockSnapshot s;
        if (!find_snapshot(disk(disks, i)->node, name, &s, errp)) {
            if (!errp || !*errp)
                error_setf(errp, "drive '%s' has no snapshot of that name; 'info snapshots' lists them",
                           blk_name(disk(disks, i)->blk));
            return false;
        }
        g_strlcpy(id[i], s.id, 128);
        if (!source->node && s.vm_state_size) {
            source->node = disk(disks, i)->node;
            g_strlcpy(source->id, s.id, sizeof source->id);
            *size = s.vm_state_size;
        }
    }
    if (!source->node)
        error_setf(errp, "it is a snapshot of the disks alone, without a machine; apply it while the machine is off "
                         "(rhea-img snapshot -a)");
    return source->node;
}

static bool apply_disks(GArray *disks, char (*id)[128], Error **errp)
{
    for (unsigned i = 0; i < disks->len; i++) {
        BlockNode *n = disk(disks, i)->node;
        if (!block_snapshot_apply(n, id[i], errp))
            return false;
        block_vmstate_discard(n);
    }
    return true;
}

static bool load_now(GArray *disks, const char *name, bool *began, Error **errp)
{
    g_autofree char (*id)[128] = g_malloc0_n(disks->len, 128);
    Source source;
    SaveIo io = { .read = state_read, .opaque = &source };
    if (!find_everywhere(disks, name, id, &source, &io.size, errp))
        return false;
    Load *l = load_check(&io, errp);
    if (!l)
        return false;
    device_settle_all(); /* requests on their way belong to what is given up */
    *began = true;
    bool ok = apply_disks(disks, id, errp) && load_all(l, errp);
    load_free(l);
    return ok;
}

bool snapshot_load(const char *name, Error **errp)
{
    g_autoptr(GArray) disks = NULL;
    bool began = false, ok = not_busy(errp) && need_disks(&disks, errp);
    if (ok) {
        RunState before = stand(RUN_LOADING);
        ok = load_now(disks, name, &began, errp);
        machine_pause(ok || !began ? (before == RUN_RUNNING ? RUN_PAUSED : before) : RUN_INTERNAL_ERROR);
        if (ok && before == RUN_RUNNING)
            machine_resume();
    }
    if (!ok)
        error_prependf(errp, "loadvm '%s'", name);
    return ok;
}

bool snapshot_delete(const char *name, Error **errp)
{
    g_autoptr(GArray) disks = NULL;
    bool ok = not_busy(errp) && need_disks(&disks, errp);
    unsigned deleted = 0;
    for (unsigned i = 0; ok && i < disks->len; i++) {
        BlockSnapshot s;
        if (find_snapshot(disk(disks, i)->node, name, &s, errp)) {
            ok = block_snapshot_delete(disk(disks, i)->node, s.id, errp);
            deleted++;
        }
    }
    if (ok && !deleted) {
        error_setf(errp, "no disk has a snapshot of that name; 'info snapshots' lists them");
        ok = false;
    }
    if (!ok)
        error_prependf(errp, "delvm '%s'", name);
    return ok;
}

/* --- listing --- */

static bool on_all(GArray *lists, const char *name)
{
    bool all = true;
    for (unsigned d = 0; d < lists->len && all; d++) {
        GArray *list = g_array_index(lists, GArray *, d);
        all = false;
        for (unsigned i = 0; i < list->len; i++)
            all |= !strcmp(g_array_index(list, BlockSnapshot, i).name, name);
    }
    return all;
}

static void sort_out(SnapshotList *out, GArray *lists, unsigned d, const char *drive)
{
    GArray *list = g_array_index(lists, GArray *, d);
    SnapshotDisk *p = g_new0(SnapshotDisk, 1);
    p->drive = g_strdup(drive);
    p->snapshots = g_array_new(false, true, sizeof(BlockSnapshot));
    for (unsigned i = 0; i < list->len; i++) {
        BlockSnapshot s = g_array_index(list, BlockSnapshot, i);
        if (!on_all(lists, s.name))
            g_array_append_val(p->snapshots, s);
        else if (!d)
            g_array_append_val(out->all, s);
    }
    g_ptr_array_add(out->partial, p);
}

static void free_disk(gpointer p)
{
    SnapshotDisk *d = p;
    g_free(d->drive);
    g_array_unref(d->snapshots);
    g_free(d);
}

void snapshot_list_clear(SnapshotList *l)
{
    g_array_unref(l->all);
    g_ptr_array_unref(l->partial);
}

bool snapshot_list(SnapshotList *out, Error **errp)
{
    g_autoptr(GArray) disks = NULL, lists = g_array_new(false, true, sizeof(GArray *));
    bool ok = need_disks(&disks, errp);
    *out = (SnapshotList){ g_array_new(false, true, sizeof(BlockSnapshot)), g_ptr_array_new_with_free_func(free_disk) };
    for (unsigned i = 0; ok && i < disks->len; i++) {
        GArray *list = NULL;
        ok = block_snapshot_list(disk(disks, i)->node, &list, errp);
        g_array_append_val(lists, list);
    }
    for (unsigned i = 0; ok && i < disks->len; i++)
        sort_out(out, lists, i, blk_name(disk(disks, i)->blk));
    for (unsigned i = 0; i < lists->len; i++)
        g_array_unref(g_array_index(lists, GArray *, i));
    if (!ok)
        snapshot_list_clear(out);
    return ok;
}
