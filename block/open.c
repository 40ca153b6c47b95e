/* SPDX-License-Identifier: MIT */
/*
 * From a file name and options to a node: its protocol, its format (probed where none is given), filters, and the
 * backing chain.
 */
#include <string.h>
#include "block/node.h"

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
    if (!block_node_take_name(n, o, errp) || !n->drv->open(n, o, errp))
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
    BlockNode *n = block_node_new(drv, flags);
    bool ok = block_common_options(o, &n->flags, errp);
    g_autofree char *name = g_strdup(filename); /* it may be one of the options' values */
    if (ok && name && drv->parse_filename)
        ok = drv->parse_filename(name, o, errp);
    else if (ok && name)
        opts_set(o, "filename", name);
    n->filename = g_strdup(name ? name : opts_has(o, "filename") ? opts_get(o, "filename") : drv->name);
    if (ok && open_driver(n, o, errp))
        return n;
    block_node_free(n);
    return NULL;
}

static const BlockDriver *protocol_for(const char *filename, Error **errp)
{
    g_autofree char *scheme = block_scheme(filename);
    if (!scheme)
        return block_driver_find("file");
    const BlockDriver *d = block_driver_for_scheme(scheme);
    if (!d)
        error_setf(errp, "image '%s': no protocol '%s' in this program; a file of that name is ./%s", filename, scheme,
                   filename);
    return d;
}

/* "blkdebug:CONFIG:IMAGE": a filter between a format and its file. */
static BlockNode *open_filter_name(const BlockDriver *drv, const char *filename, Opts *o, unsigned flags,
                                   unsigned depth, Error **errp)
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
static BlockNode *open_filtered(const BlockDriver *drv, const char *filename, Opts *o, unsigned flags, unsigned depth,
                                Error **errp)
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
        error_setf(errp,
                   "image '%s': its backing file '%s' is a relative name, and the image itself is no plain file; name "
                   "the backing file in "
                   "full (rebase -u)",
                   image, backing);
        return NULL;
    }
    g_autofree char *dir = g_path_get_dirname(image);
    return !strcmp(dir, ".") && !g_str_has_prefix(image, "./") ? g_strdup(backing)
                                                               : g_build_filename(dir, backing, NULL);
}

/* reference: a node's name, "" for none, NULL: as the image says, changed by `sub`. */
static bool open_backing(BlockNode *n, const char *reference, Opts *sub, unsigned depth, Error **errp)
{
    unsigned flags = n->flags & ~(unsigned)(BLOCK_RDWR | BLOCK_CHECK | BLOCK_TEMPORARY | BLOCK_ZERO_DETECT |
                                            BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH);
    if (reference && *reference) {
        BlockNode *b = block_node_find(reference);
        if (!b)
            error_setf(errp, "backing='%s': there is no node of that name; define it by an earlier -blockdev",
                       reference);
        n->backing = b ? block_ref(b) : NULL;
        return b;
    }
    if (reference || n->flags & BLOCK_NO_BACKING || (!n->backing_file && !opts_count(sub)))
        return true;
    if (depth >= BLOCK_CHAIN_MAX) {
        error_setf(errp, "image '%s': its backing chain is longer than %d layers, or a loop; flatten it with convert",
                   block_filename(n), BLOCK_CHAIN_MAX);
        return false;
    }
    g_autofree char *full = NULL;
    if (!opts_count(sub) ||
        (!opts_has(sub, "file") && !opts_has(sub, "file.filename") && !opts_has(sub, "file.driver"))) {
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

void block_set_backing(BlockNode *n, BlockNode *backing)
{
    g_assert(!n->backing);
    n->backing = block_ref(backing);
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
    BlockNode *file = drv && (drv->filter || drv->child) ? open_filtered(drv, filename, o, flags, depth, errp)
                                                         : open_below(filename, o, flags, depth, errp);
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
    BlockNode *n = block_node_new(drv, flags);
    n->guessed = !name;
    n->file = file;
    n->filename = g_strdup(block_filename(file));
    if (!(file->flags & BLOCK_RDWR))
        n->flags &= ~(unsigned)BLOCK_RDWR;
    if (!open_driver(n, o, errp)) {
        block_node_free(n);
        return NULL;
    }
    if (!open_backing(n, reference, backing, depth, errp)) {
        if (n->drv->close)
            n->drv->close(n);
        block_node_free(n);
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
    BlockNode *n = block_node_new(drv,
                                  file->flags & ~(unsigned)(BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH));
    n->file = block_ref(file);
    n->filename = g_strdup(block_filename(file));
    if (!open_driver(n, none, errp)) {
        block_node_free(n);
        return NULL;
    }
    block_unref(file);
    return n;
}
