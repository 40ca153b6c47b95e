/* SPDX-License-Identifier: MIT */
/* Nodes: their life and names, those that users define, and calls that only look up the driver's function. */
#include <string.h>
#include "base/bits.h"
#include "block/bitmap.h"
#include "block/node.h"

static GPtrArray *named; /* nodes with a name; not referenced; main thread */
static GPtrArray *kept;  /* those of block_blockdev_add(): referenced; main thread */

/* --- life --- */

BlockNode *block_node_new(const BlockDriver *drv, unsigned flags)
{
    BlockNode *n = g_new0(BlockNode, 1);
    n->drv = drv;
    n->opaque = g_malloc0(MAX(drv->instance_size, 1u));
    n->flags = flags;
    n->refs = 1;
    n->request_align = 1;
    in_flight_init(&n->in_flight);
    in_flight_init(&n->aligned);
    pthread_mutex_init(&n->partial, NULL);
    return n;
}

void block_node_free(BlockNode *n)
{
    if (named && *block_node_name(n))
        g_ptr_array_remove(named, n);
    if (n->file)
        block_unref(n->file);
    if (n->backing)
        block_unref(n->backing);
    block_bitmaps_free(n);
    in_flight_destroy(&n->in_flight);
    in_flight_destroy(&n->aligned);
    pthread_mutex_destroy(&n->partial);
    g_free(n->opaque);
    g_free(n->filename);
    g_free(n->node_name);
    g_free(n->backing_file);
    g_free(n->backing_format);
    g_free(n);
}

bool block_node_take_name(BlockNode *n, Opts *o, Error **errp)
{
    const char *name = opts_get(o, "node-name");
    if (!name)
        return true;
    if (block_node_find(name)) {
        error_setf(errp, "node-name '%s' is in use; every node needs a name of its own", name);
        return false;
    }
    n->node_name = g_strdup(name);
    if (!named)
        named = g_ptr_array_new();
    g_ptr_array_add(named, n);
    return true;
}

BlockNode *block_ref(BlockNode *n)
{
    atomic_fetch_add(&n->refs, 1);
    return n;
}

void block_unref(BlockNode *n)
{
    if (!n || atomic_fetch_sub(&n->refs, 1) != 1)
        return;
    Error *err = NULL;
    if (block_writable(n) && n->drv->inactivate && !n->drv->inactivate(n, &err)) {
        error_report(err);
        error_free(err);
    }
    block_flush(n);
    if (n->drv->close)
        n->drv->close(n);
    block_node_free(n);
}

/* --- what a node is --- */

const char *block_driver_name(const BlockNode *n) { return n->drv->name; }
const char *block_filename(const BlockNode *n) { return n->filename ? n->filename : n->drv->name; }
const char *block_node_name(const BlockNode *n) { return n->node_name ? n->node_name : ""; }
BlockNode *block_file(const BlockNode *n) { return n->file; }
BlockNode *block_backing(const BlockNode *n) { return block_skip_filters((BlockNode *)n)->backing; }
bool block_new_is_zero(const BlockNode *n) { return !n->drv->new_is_noise; }
bool block_writable(const BlockNode *n) { return n->flags & BLOCK_RDWR; }
unsigned block_flags(const BlockNode *n) { return n->flags; }

/* A filter is as long as what it shows, which may grow. */
static const BlockNode *sized(const BlockNode *n)
{
    while (n->drv->filter && !n->drv->own_size && n->file)
        n = n->file;
    return n;
}

uint64_t block_size(const BlockNode *n) { return atomic_load_explicit(&sized(n)->size, memory_order_relaxed); }
bool block_grows(const BlockNode *n) { return sized(n)->drv->grows; }

void block_grown(BlockNode *n, uint64_t end)
{
    uint64_t size = block_size(n);
    while (end > size && !atomic_compare_exchange_weak(&n->size, &size, end))
        continue;
}

BlockNode *block_node_find(const char *node_name)
{
    for (unsigned i = 0; named && i < named->len; i++) {
        BlockNode *n = named->pdata[i];
        if (!strcmp(n->node_name, node_name))
            return n;
    }
    return NULL;
}

unsigned block_node_count(void) { return named ? named->len : 0; }
BlockNode *block_node_nth(unsigned i) { return named && i < named->len ? named->pdata[i] : NULL; }

/* --- nodes that users define --- */

BlockNode *block_blockdev_add(Opts *options, Error **errp)
{
    if (!opts_has(options, "node-name")) {
        error_setf(errp, "a node needs a name; add node-name=NAME");
        return NULL;
    }
    BlockNode *n = block_open(NULL, options, BLOCK_RDWR, errp);
    if (n && !kept)
        kept = g_ptr_array_new_with_free_func((GDestroyNotify)block_unref);
    if (n)
        g_ptr_array_add(kept, n);
    return n;
}

bool block_blockdev_del(const char *node_name, Error **errp)
{
    BlockNode *n = block_node_find(node_name);
    guint i;
    if (!n || !kept || !g_ptr_array_find(kept, n, &i)) {
        error_setf(errp, "node '%s': there is no node of that name that was added by a user", node_name);
        return false;
    }
    if (n->refs > 1) {
        error_setf(errp, "node '%s' is in use by a device or another node; remove that first", node_name);
        return false;
    }
    g_ptr_array_remove_index(kept, i);
    return true;
}

void block_blockdev_free_all(void)
{
    while (kept && kept->len)
        g_ptr_array_remove_index(kept, kept->len - 1);
}

/* --- functions that a format may have --- */

/* An operation on the whole node, if the driver has it, and the node can be written where that is a `change` (else
 * NULL): requests stand until end(). */
static bool begin(BlockNode *n, bool has, const char *what, const char *change, Error **errp)
{
    if (!has)
        error_setf(errp, "image '%s': the %s format has no %s", block_filename(n), n->drv->name, what);
    else if (change && !block_writable(n))
        error_setf(errp, "image '%s' is read-only: no %s; open it for writing", block_filename(n), change);
    else
        block_drain_begin(n);
    return has && (!change || block_writable(n));
}

static bool end(BlockNode *n, bool ok)
{
    block_drain_end(n);
    return ok;
}

bool block_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    if (n->drv->filter) {
        bool ok = block_info(n->file, out, errp);
        out->virtual_size = block_size(n);
        return ok;
    }
    *out = (BlockInfo){ .virtual_size = block_size(n), .details = g_ptr_array_new_with_free_func(g_free) };
    BlockInfo below = { 0 };
    if (n->file && block_info(n->file, &below, NULL)) {
        out->actual_size = below.actual_size;
        out->has_actual = below.has_actual;
    }
    block_info_clear(&below);
    out->backing_filename = g_strdup(n->backing_file);
    out->backing_format = g_strdup(n->backing_format);
    if (n->backing_file)
        out->backing_full = block_full_backing_name(block_filename(n), n->backing_file, NULL);
    return !n->drv->info || n->drv->info(n, out, errp);
}

void block_info_clear(BlockInfo *i)
{
    g_free(i->backing_filename);
    g_free(i->backing_full);
    g_free(i->backing_format);
    if (i->details)
        g_ptr_array_unref(i->details);
    *i = (BlockInfo){ 0 };
}

static bool reopen_one(BlockNode *n, bool writable, Error **errp)
{
    if (block_writable(n) == writable)
        return true;
    if (n->drv->protocol && !n->drv->reopened) {
        error_setf(errp, "image '%s': the %s protocol can't change between read-only and writable", block_filename(n),
                   n->drv->name);
        return false;
    }
    if (!writable && n->drv->inactivate && !n->drv->inactivate(n, errp))
        return false;
    if (!writable)
        block_flush(n);
    unsigned before = n->flags;
    block_drain_begin(n);
    n->flags = writable ? n->flags | BLOCK_RDWR : n->flags & ~(unsigned)BLOCK_RDWR;
    bool ok = !n->drv->reopened || n->drv->reopened(n, errp);
    if (!ok)
        n->flags = before;
    block_drain_end(n);
    return ok;
}

bool block_reopen(BlockNode *n, bool writable, Error **errp)
{
    BlockNode *first = writable ? n->file : n, *second = writable ? n : n->file;
    if (first && !(first == n ? reopen_one(n, writable, errp) : block_reopen(first, writable, errp)))
        return false;
    if (!second)
        return true;
    if (second == n ? reopen_one(n, writable, errp) : block_reopen(second, writable, errp))
        return true;
    if (first) /* as it was */
        first == n ? (void)reopen_one(n, !writable, NULL) : (void)block_reopen(first, !writable, NULL);
    return false;
}

bool block_has_snapshots(const BlockNode *n) { return block_skip_filters((BlockNode *)n)->drv->snapshot_create; }

bool block_snapshot_list(BlockNode *n, GArray **out, Error **errp)
{
    n = block_skip_filters(n);
    *out = g_array_new(false, true, sizeof(BlockSnapshot));
    return !n->drv->snapshot_list || n->drv->snapshot_list(n, *out, errp);
}

bool block_snapshot_create(BlockNode *n, const BlockSnapshot *info, Error **errp)
{
    n = block_skip_filters(n);
    return begin(n, n->drv->snapshot_create, "internal snapshots; qcow2 has", "snapshot can be made", errp) &&
           end(n, n->drv->snapshot_create(n, info, errp));
}

bool block_snapshot_apply(BlockNode *n, const char *id_or_name, Error **errp)
{
    n = block_skip_filters(n);
    if (!begin(n, n->drv->snapshot_apply, "internal snapshots; qcow2 has", "snapshot can be applied", errp))
        return false;
    bool ok = n->drv->snapshot_apply(n, id_or_name, errp) && block_bitmaps_resize(n, block_size(n), errp);
    block_bitmaps_dirty(n, 0, block_size(n)); /* anything may have changed */
    return end(n, ok);
}

bool block_snapshot_delete(BlockNode *n, const char *id_or_name, Error **errp)
{
    n = block_skip_filters(n);
    return begin(n, n->drv->snapshot_delete, "internal snapshots; qcow2 has", "snapshot can be deleted", errp)
           && end(n, n->drv->snapshot_delete(n, id_or_name, errp));
}

bool block_snapshot_load(BlockNode *n, const char *id_or_name, Error **errp)
{
    n = block_skip_filters(n);
    return begin(n, n->drv->snapshot_load, "internal snapshots; qcow2 has", NULL, errp) &&
           end(n, n->drv->snapshot_load(n, id_or_name, errp));
}

int block_vmstate_writev(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    n = block_skip_filters(n);
    if (!block_writable(n))
        return -EROFS;
    return n->drv->vmstate_pwritev ? n->drv->vmstate_pwritev(n, offset, iov, iovcnt) : -ENOTSUP;
}

int block_vmstate_reserve(BlockNode *n, uint64_t offset, uint64_t len)
{
    n = block_skip_filters(n);
    return block_writable(n) && n->drv->vmstate_reserve ? n->drv->vmstate_reserve(n, offset, len) : -ENOTSUP;
}

int block_vmstate_discard(BlockNode *n)
{
    n = block_skip_filters(n);
    return n->drv->vmstate_discard ? n->drv->vmstate_discard(n) : -ENOTSUP;
}

int block_snapshot_vmstate_readv(BlockNode *n, const char *id_or_name, uint64_t offset, const struct iovec *iov,
                                 int iovcnt)
{
    n = block_skip_filters(n);
    return n->drv->snapshot_vmstate_preadv ? n->drv->snapshot_vmstate_preadv(n, id_or_name, offset, iov, iovcnt)
                                           : -ENOTSUP;
}

bool block_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    n = block_skip_filters(n);
    return begin(n, n->drv->check, "consistency check", fix ? "repair is possible" : NULL, errp) &&
           end(n, n->drv->check(n, c, fix, errp));
}

bool block_change_backing(BlockNode *n, const char *file, const char *format, Error **errp)
{
    n = block_skip_filters(n);
    return begin(n, n->drv->change_backing, "backing files", "change of the backing file is possible", errp)
           && end(n, n->drv->change_backing(n, file, format, errp));
}

bool block_make_empty(BlockNode *n, Error **errp)
{
    n = block_skip_filters(n);
    return begin(n, n->drv->make_empty, "way to be emptied", NULL, errp) && end(n, n->drv->make_empty(n, errp));
}

bool block_amend(BlockNode *n, Opts *options, bool force, Error **errp)
{
    n = block_skip_filters(n);
    return begin(n, n->drv->amend, "options that can be changed", "option can be changed", errp) &&
           end(n, block_check_keys(n->drv, n->drv->amend_options, options, errp) &&
                      n->drv->amend(n, options, force, errp));
}
