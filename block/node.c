/* SPDX-License-Identifier: MIT */
/* Opening and closing of nodes, backing chains, and calls that only look up the driver's function. */
#include <string.h>
#include "base/bits.h"
#include "block/bitmap.h"
#include "block/node.h"

static GPtrArray *named; /* nodes with a name; not referenced; main thread */
static GPtrArray *kept;  /* those of block_blockdev_add(): referenced; main thread */

/* --- life --- */

static BlockNode *node_new(const BlockDriver *drv, unsigned flags)
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

static void node_free(BlockNode *n)
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
    node_free(n);
}

/* --- opening --- */

static bool name_node(BlockNode *n, Opts *o, Error **errp)
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

static const BlockDriver *find_driver(const char *name, Error **errp)
{
    const BlockDriver *d = block_driver_find(name);
    if (!d)
        error_set_unknown(errp, "image format", name, block_formats());
    return d;
}

static bool unused_keys(BlockNode *n, Opts *o, Error **errp)
{
    g_autoptr(GPtrArray) valid = block_driver_keys(n->drv);
    g_autofree char *object = g_strdup_printf("block driver '%s'", n->drv->name);
    return opts_all_used(o, object, (const char *const *)valid->pdata, errp);
}

static bool open_driver(BlockNode *n, Opts *o, Error **errp)
{
    if (!name_node(n, o, errp) || !n->drv->open(n, o, errp))
        return false;
    if (n->drv->aio && n->file)
        n->aio = n->file->aio;
    if (unused_keys(n, o, errp))
        return true;
    if (n->drv->close)
        n->drv->close(n);
    return false;
}

/* A protocol node for a file name or for options. */
static BlockNode *open_protocol(const BlockDriver *drv, const char *filename, Opts *o, unsigned flags, Error **errp)
{
    BlockNode *n = node_new(drv, flags);
    bool ok = block_common_options(o, &n->flags, errp);
    g_autofree char *name = g_strdup(filename); /* it may be one of the options' values */
    if (ok && name && drv->parse_filename)
        ok = drv->parse_filename(name, o, errp);
    else if (ok && name)
        opts_set(o, "filename", name);
    n->filename = g_strdup(name ? name : opts_has(o, "filename") ? opts_get(o, "filename") : drv->name);
    if (ok && open_driver(n, o, errp))
        return n;
    node_free(n);
    return NULL;
}

static const BlockDriver *protocol_for(const char *filename, Error **errp)
{
    g_autofree char *scheme = block_scheme(filename);
    if (!scheme)
        return block_driver_find("file");
    const BlockDriver *d = block_driver_for_scheme(scheme);
    if (!d)
        error_setf(errp, "image '%s': no protocol '%s' in this program; a file of that name is ./%s", filename, scheme, filename);
    return d;
}

/* "blkdebug:CONFIG:IMAGE": a filter between a format and its file. */
static BlockNode *open_filter_name(const BlockDriver *drv, const char *filename, Opts *o, unsigned flags, unsigned depth, Error **errp)
{
    if (!drv->parse_filename(filename, o, errp))
        return NULL;
    g_autofree char *scheme = block_scheme(opts_get(o, "file.filename"));
    opts_set(o, "driver", drv->name);
    if (!scheme)
        opts_set(o, "file.driver", "file");
    return block_open_depth(NULL, o, flags, depth + 1, errp);
}

/* The node below a format, from "file" (a node's name), "file.…" or the file name. */
static BlockNode *open_below(const char *filename, Opts *o, unsigned flags, unsigned depth, Error **errp)
{
    g_autoptr(Opts) sub = block_sub_options(o, "file.");
    const char *reference = opts_get(o, "file");
    flags &= ~(unsigned)(BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH);
    if (reference) {
        BlockNode *n = block_node_find(reference);
        if (n)
            return block_ref(n);
        error_setf(errp, "file='%s': there is no node of that name; define it by an earlier -blockdev", reference);
        return NULL;
    }
    g_autofree char *below = g_strdup(opts_get(sub, "filename"));
    if (!filename && !opts_has(sub, "driver")) /* no format is looked for below a format */
        filename = below;
    if (opts_count(sub) && opts_has(sub, "driver")) {
        if (filename && !opts_has(sub, "filename"))
            opts_set(sub, "filename", filename);
        return block_open_depth(NULL, sub, flags, depth + 1, errp);
    }
    if (!filename) {
        error_setf(errp, "an image needs a file; give file.filename=PATH or the name of a node as file=");
        return NULL;
    }
    const BlockDriver *drv = protocol_for(filename, errp);
    if (drv && drv->filter)
        return open_filter_name(drv, filename, sub, flags, depth, errp);
    return drv ? open_protocol(drv, filename, sub, flags, errp) : NULL;
}

/* What a filter shows ("file", or its other name for that), with the format that it has. */
static BlockNode *open_filtered(const BlockDriver *drv, const char *filename, Opts *o, unsigned flags, unsigned depth, Error **errp)
{
    g_autofree char *prefix = g_strdup_printf("%s.", drv->child ? drv->child : "file");
    g_autoptr(Opts) sub = block_sub_options(o, prefix);
    const char *reference = drv->child ? opts_get(o, drv->child) : NULL;
    if (reference)
        opts_set(o, "file", reference);
    if (drv->child && !opts_count(sub)) {
        opts_free(sub);
        sub = block_sub_options(o, "file.");
    }
    if (opts_has(o, "file") || !opts_count(sub))
        return open_below(filename, o, flags, depth, errp);
    flags &= ~(unsigned)(BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH);
    return block_open_depth(NULL, sub, flags, depth + 1, errp);
}

static const BlockDriver *probe(BlockNode *file, Error **errp)
{
    uint8_t head[BLOCK_PROBE_SIZE] = { 0 };
    size_t len = (size_t)MIN((uint64_t)sizeof head, block_size(file));
    int r = block_pread(file, 0, head, len);
    if (r < 0) {
        error_set_errno(errp, -r, "image '%s': can't be read", block_filename(file));
        return NULL;
    }
    return block_driver_probe(head, len, block_filename(file));
}

/* --- backing --- */

char *block_full_backing_name(const char *image, const char *backing, Error **errp)
{
    g_autofree char *scheme = block_scheme(backing);
    if (g_path_is_absolute(backing) || scheme || g_str_has_prefix(backing, "json:"))
        return g_strdup(backing);
    g_autofree char *image_scheme = block_scheme(image);
    if (g_str_has_prefix(image, "json:") || image_scheme) {
        error_setf(errp, "image '%s': its backing file '%s' is a relative name, and the image itself is no plain file; name the backing file in "
                   "full (rebase -u)", image, backing);
        return NULL;
    }
    g_autofree char *dir = g_path_get_dirname(image);
    return !strcmp(dir, ".") && !g_str_has_prefix(image, "./") ? g_strdup(backing) : g_build_filename(dir, backing, NULL);
}

/* reference: a node's name, "" for none, NULL: as the image says, changed by `sub`. */
static bool open_backing(BlockNode *n, const char *reference, Opts *sub, unsigned depth, Error **errp)
{
    unsigned flags = n->flags & ~(unsigned)(BLOCK_RDWR | BLOCK_CHECK | BLOCK_TEMPORARY | BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH);
    if (reference && *reference) {
        BlockNode *b = block_node_find(reference);
        if (!b)
            error_setf(errp, "backing='%s': there is no node of that name; define it by an earlier -blockdev", reference);
        n->backing = b ? block_ref(b) : NULL;
        return b;
    }
    if (reference || n->flags & BLOCK_NO_BACKING || (!n->backing_file && !opts_count(sub)))
        return true;
    if (depth >= BLOCK_CHAIN_MAX) {
        error_setf(errp, "image '%s': its backing chain is longer than %d layers, or a loop; flatten it with convert", block_filename(n), BLOCK_CHAIN_MAX);
        return false;
    }
    g_autofree char *full = NULL;
    if (!opts_count(sub) || (!opts_has(sub, "file") && !opts_has(sub, "file.filename") && !opts_has(sub, "file.driver"))) {
        full = n->backing_file ? block_full_backing_name(block_filename(n), n->backing_file, errp) : NULL;
        if (!full)
            return false;
    }
    if (n->backing_format && !opts_has(sub, "driver"))
        opts_set(sub, "driver", n->backing_format);
    n->backing = block_open_depth(full, sub, flags, depth + 1, errp);
    if (!n->backing && depth < 4) /* one line must do for any chain */
        error_prependf(errp, "image '%s': backing file", block_filename(n));
    return n->backing;
}

BlockNode *block_open_depth(const char *filename, Opts *o, unsigned flags, unsigned depth, Error **errp)
{
    if (filename && g_str_has_prefix(filename, "json:")) {
        if (!opts_add_json(o, filename + 5, errp))
            return NULL;
        filename = NULL;
    }
    const char *name = opts_get(o, "driver");
    const BlockDriver *drv = name ? find_driver(name, errp) : NULL;
    if (name && !drv)
        return NULL;
    if (drv && drv->protocol)
        return open_protocol(drv, filename, o, flags, errp);
    if (!filename && opts_has(o, "filename"))
        filename = opts_get(o, "filename");
    if (!block_common_options(o, &flags, errp))
        return NULL;
    BlockNode *file = drv && (drv->filter || drv->child) ? open_filtered(drv, filename, o, flags, depth, errp) : open_below(filename, o, flags, depth, errp);
    if (!file)
        return NULL;
    if (!drv)
        drv = probe(file, errp);
    if (!drv) {
        block_unref(file);
        return NULL;
    }
    g_autoptr(Opts) backing = block_sub_options(o, "backing.");
    const char *reference = opts_get(o, "backing");
    BlockNode *n = node_new(drv, flags);
    n->guessed = !name;
    n->file = file;
    n->filename = g_strdup(block_filename(file));
    if (!(file->flags & BLOCK_RDWR))
        n->flags &= ~(unsigned)BLOCK_RDWR;
    if (!open_driver(n, o, errp)) {
        node_free(n);
        return NULL;
    }
    if (!open_backing(n, reference, backing, depth, errp)) {
        if (n->drv->close)
            n->drv->close(n);
        node_free(n);
        return NULL;
    }
    return n;
}

BlockNode *block_open(const char *filename, Opts *options, unsigned flags, Error **errp)
{
    g_autoptr(Opts) copy = opts_new();
    for (unsigned i = 0; options && i < opts_count(options); i++) {
        opts_set(copy, opts_key(options, i), opts_value(options, i));
        opts_get(options, opts_key(options, i));
    }
    return block_open_depth(filename, copy, flags, 0, errp);
}

BlockNode *block_open_filter(const char *driver, BlockNode *file, Error **errp)
{
    const BlockDriver *drv = find_driver(driver, errp);
    g_autoptr(Opts) none = opts_new();
    if (!drv)
        return NULL;
    BlockNode *n = node_new(drv, file->flags & ~(unsigned)(BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH));
    n->file = block_ref(file);
    n->filename = g_strdup(block_filename(file));
    if (!open_driver(n, none, errp)) {
        node_free(n);
        return NULL;
    }
    block_unref(file);
    return n;
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
    while (n->drv->filter && n->file)
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

static bool missing(const BlockNode *n, const char *what, Error **errp)
{
    error_setf(errp, "image '%s': the %s format has no %s", block_filename(n), n->drv->name, what);
    return false;
}

static bool need_write(const BlockNode *n, const char *what, Error **errp)
{
    if (block_writable(n))
        return true;
    error_setf(errp, "image '%s' is read-only: no %s; open it for writing", block_filename(n), what);
    return false;
}

bool block_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    if (n->drv->filter)
        return block_info(n->file, out, errp);
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
        error_setf(errp, "image '%s': the %s protocol can't change between read-only and writable", block_filename(n), n->drv->name);
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
    if (!n->drv->snapshot_create)
        return missing(n, "internal snapshots; qcow2 has", errp);
    if (!need_write(n, "snapshot can be made", errp))
        return false;
    block_drain_begin(n);
    bool ok = n->drv->snapshot_create(n, info, errp);
    block_drain_end(n);
    return ok;
}

bool block_snapshot_apply(BlockNode *n, const char *id_or_name, Error **errp)
{
    n = block_skip_filters(n);
    if (!n->drv->snapshot_apply)
        return missing(n, "internal snapshots; qcow2 has", errp);
    if (!need_write(n, "snapshot can be applied", errp))
        return false;
    block_drain_begin(n);
    bool ok = n->drv->snapshot_apply(n, id_or_name, errp) && block_bitmaps_resize(n, block_size(n), errp);
    block_bitmaps_dirty(n, 0, block_size(n)); /* anything may have changed */
    block_drain_end(n);
    return ok;
}

bool block_snapshot_delete(BlockNode *n, const char *id_or_name, Error **errp)
{
    n = block_skip_filters(n);
    if (!n->drv->snapshot_delete)
        return missing(n, "internal snapshots; qcow2 has", errp);
    if (!need_write(n, "snapshot can be deleted", errp))
        return false;
    block_drain_begin(n);
    bool ok = n->drv->snapshot_delete(n, id_or_name, errp);
    block_drain_end(n);
    return ok;
}

bool block_snapshot_load(BlockNode *n, const char *id_or_name, Error **errp)
{
    n = block_skip_filters(n);
    if (!n->drv->snapshot_load)
        return missing(n, "internal snapshots; qcow2 has", errp);
    block_drain_begin(n);
    bool ok = n->drv->snapshot_load(n, id_or_name, errp);
    block_drain_end(n);
    return ok;
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

int block_snapshot_vmstate_readv(BlockNode *n, const char *id_or_name, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    n = block_skip_filters(n);
    return n->drv->snapshot_vmstate_preadv ? n->drv->snapshot_vmstate_preadv(n, id_or_name, offset, iov, iovcnt) : -ENOTSUP;
}

bool block_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    n = block_skip_filters(n);
    if (!n->drv->check)
        return missing(n, "consistency check", errp);
    if (fix && !need_write(n, "repair is possible", errp))
        return false;
    block_drain_begin(n);
    bool ok = n->drv->check(n, c, fix, errp);
    block_drain_end(n);
    return ok;
}

bool block_change_backing(BlockNode *n, const char *file, const char *format, Error **errp)
{
    n = block_skip_filters(n);
    if (!n->drv->change_backing)
        return missing(n, "backing files", errp);
    if (!need_write(n, "change of the backing file is possible", errp))
        return false;
    block_drain_begin(n);
    bool ok = n->drv->change_backing(n, file, format, errp);
    block_drain_end(n);
    return ok;
}

bool block_make_empty(BlockNode *n, Error **errp)
{
    n = block_skip_filters(n);
    if (!n->drv->make_empty)
        return missing(n, "way to be emptied", errp);
    block_drain_begin(n);
    bool ok = n->drv->make_empty(n, errp);
    block_drain_end(n);
    return ok;
}

bool block_amend(BlockNode *n, Opts *options, bool force, Error **errp)
{
    n = block_skip_filters(n);
    if (!n->drv->amend)
        return missing(n, "options that can be changed", errp);
    if (!need_write(n, "option can be changed", errp) || !block_check_keys(n->drv, n->drv->amend_options, options, errp))
        return false;
    block_drain_begin(n);
    bool ok = n->drv->amend(n, options, force, errp);
    block_drain_end(n);
    return ok;
}
