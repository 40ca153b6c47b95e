/* SPDX-License-Identifier: MIT */
/* Options about disks: -blockdev, -drive and their short forms, -snapshot. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/backend.h"
#include "block/node.h"
#include "system/settings.h"

/* --- -drive if=pflash: the board's flash has the file --- */

static bool set_pflash(Settings *s, Opts *o, const char *arg, Error **errp)
{
    static const char *const keys[] = { "if", "file", "format", "readonly", "read-only", "unit", "id", NULL };
    MachineConfig *c = &s->config;
    const char *file = opts_get(o, "file"), *format = opts_get(o, "format"), *unit = opts_get(o, "unit");
    unsigned n = unit ? (unsigned)g_ascii_strtoull(unit, NULL, 10) : c->pflash[0] ? 1 : 0;
    opts_get(o, "id");
    if (!file || n > 1 || c->pflash[n]) {
        error_setf(errp, "-drive '%s': if=pflash takes file=FILE and unit=0 or 1, each once", arg);
        return false;
    }
    if (format && strcmp(format, "raw")) {
        error_setf(errp, "-drive '%s': flash is format=raw, not '%s'", arg, format);
        return false;
    }
    c->pflash[n] = g_strdup(file);
    return opts_get_bool(o, "readonly", opts_get_bool(o, "read-only", false, &c->pflash_readonly[n], errp) && c->pflash_readonly[n],
                         &c->pflash_readonly[n], errp) && opts_all_used(o, "-drive", keys, errp);
}

/* --- the options --- */

static const char *const interfaces[] = { "none", "virtio", "pflash", NULL };

static bool opt_drive(Settings *s, const char *arg, Error **errp)
{
    Opts *o = opts_parse(arg, NULL, errp);
    if (!o)
        return false;
    const char *interface = opts_get(o, "if");
    if (interface && !g_strv_contains(interfaces, interface)) {
        error_set_unknown(errp, "-drive: if", interface, interfaces);
        opts_free(o);
        return false;
    }
    if (interface && !strcmp(interface, "pflash")) {
        bool ok = set_pflash(s, o, arg, errp);
        opts_free(o);
        return ok;
    }
    g_ptr_array_add(s->drives, o);
    return true;
}

static bool opt_pflash(Settings *s, const char *arg, Error **errp)
{
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "file", arg);
    return set_pflash(s, o, arg, errp);
}

static bool opt_hda(Settings *s, const char *arg, Error **errp)
{
    Opts *o = opts_new();
    opts_set(o, "file", arg);
    g_ptr_array_add(s->drives, o);
    return true;
}

static bool opt_blockdev(Settings *s, const char *arg, Error **errp)
{
    Opts *o = *arg == '{' ? opts_new() : opts_parse(arg, "driver", errp);
    if (!o)
        return false;
    if (*arg == '{' && !block_options_from_json(o, arg, errp)) {
        opts_free(o);
        return false;
    }
    if (!opts_has(o, "node-name")) {
        error_setf(errp, "-blockdev '%s': a node needs a name; add node-name=NAME", arg);
        opts_free(o);
        return false;
    }
    g_ptr_array_add(s->blockdevs, o);
    return true;
}

#define FIELD(f) .offset = offsetof(Settings, f)
const Option options_block[] = {
    { "drive", "file=FILE[,if=none|virtio|pflash,id=,format=,cache=,discard=,snapshot=,…]", "a disk; if=none: for a -device with drive=ID", opt_drive },
    { "blockdev", "[driver=]FORMAT,node-name=NAME,file.driver=file,file.filename=FILE", "a node for drive=NAME of a -device; or JSON", opt_blockdev },
    { "hda", "FILE", "a disk of the machine's usual kind", opt_hda },
    { "pflash", "FILE", "flash of the machine, written back to the file", opt_pflash },
    { "snapshot", NULL, "write to temporary files instead of the images", FIELD(snapshot) },
    { 0 },
};

/* --- from options to drives --- */

static const char *const drive_keys[] = { "if", "file", "id", "format", "cache", "aio", "discard", "detect-zeroes", "snapshot", "readonly", "read-only",
                                          "serial", "werror", "rerror", "media", "index", "copy-on-read", NULL };

static bool on_error(Opts *o, const char *key, BlkOnError dflt, BlkOnError *out, Error **errp)
{
    static const char *const words[] = { "report", "ignore", "enospc", "stop", NULL };
    unsigned i = dflt;
    bool ok = opts_get_enum(o, key, words, &i, errp);
    *out = (BlkOnError)i;
    return ok;
}

/* An overlay that is gone with the process. */
static BlockNode *temporary_overlay(BlockNode *below, Error **errp)
{
    const char *dir = g_get_tmp_dir();
    g_autofree char *path = g_build_filename(dir, "rhea-overlay-XXXXXX", NULL);
    int fd = g_mkstemp(path);
    if (fd < 0) {
        error_setf(errp, "snapshot=on: no temporary file in '%s'; set TMPDIR to a folder with room", dir);
        return NULL;
    }
    close(fd);
    g_autofree char *name = g_canonicalize_filename(block_filename(below), NULL);
    g_autoptr(Opts) create = opts_new(), open = opts_new();
    opts_set(create, "backing_file", name);
    opts_set(create, "backing_fmt", block_driver_name(below));
    opts_set(open, "driver", "qcow2");
    bool ok = block_create(path, "qcow2", block_size(below), create, errp);
    BlockNode *n = ok ? block_open(path, open, BLOCK_RDWR | BLOCK_UNMAP | BLOCK_NO_FLUSH | BLOCK_TEMPORARY, errp) : NULL;
    unlink(path);
    return n;
}

/* Keys that are the drive's own are taken out; the rest goes to the node ("file.…", "driver" …). */
static BlockNode *open_drive(Settings *s, Opts *o, Error **errp)
{
    bool readonly, snapshot;
    unsigned flags = 0;
    const char *file = opts_get(o, "file"), *format = opts_get(o, "format"), *media = opts_get(o, "media");
    if (!opts_get_bool(o, "readonly", false, &readonly, errp) || !opts_get_bool(o, "read-only", readonly, &readonly, errp) ||
        !opts_get_bool(o, "snapshot", s->snapshot, &snapshot, errp) || !block_cache_mode(opts_get(o, "cache"), &flags, errp))
        return NULL;
    readonly |= media && !strcmp(media, "cdrom");
    g_autoptr(Opts) node = opts_new();
    for (unsigned i = 0; i < opts_count(o); i++) {
        const char *key = opts_key(o, i);
        bool ours = g_strv_contains(drive_keys, key) && strcmp(key, "discard") && strcmp(key, "detect-zeroes");
        if (!ours)
            opts_set(node, key, opts_value(o, i));
    }
    if (format)
        opts_set(node, "driver", format);
    if (!readonly && !snapshot)
        flags |= BLOCK_RDWR;
    BlockNode *n = block_open(file, node, flags, errp), *top;
    if (!n || !snapshot)
        return n;
    top = temporary_overlay(n, errp);
    block_unref(n);
    return top;
}

static bool setup_drive(Settings *s, Opts *o, unsigned number, Error **errp)
{
    const char *interface = opts_get(o, "if"), *id = opts_get(o, "id"), *serial = opts_get(o, "serial");
    g_autofree char *name = id ? g_strdup(id) : g_strdup_printf("drive%u", number);
    BlkOnError rerror, werror;
    if (blk_find(name)) {
        error_setf(errp, "-drive id=%s: the name is in use; give each drive its own", name);
        return false;
    }
    if (!on_error(o, "rerror", BLK_ERROR_REPORT, &rerror, errp) || !on_error(o, "werror", BLK_ERROR_ENOSPC, &werror, errp))
        return false;
    bool empty = !opts_has(o, "file") && !opts_has(o, "file.filename") && !opts_has(o, "file.driver") && !opts_has(o, "driver");
    BlockNode *n = empty ? NULL : open_drive(s, o, errp);
    if (!n && !empty) {
        error_prependf(errp, "-drive: ");
        return false;
    }
    BlockBackend *b = blk_new(name, n);
    blk_set_on_error(b, rerror, werror);
    blk_set_serial(b, serial);
    if (!interface || strcmp(interface, "none")) { /* the machine's usual disk */
        Opts *device = opts_new();
        opts_set(device, "driver", "virtio-blk-pci");
        opts_set(device, "drive", name);
        g_ptr_array_insert(s->devices, 0, device);
    }
    return true;
}

bool setup_blocks(Settings *s, Error **errp)
{
    for (unsigned i = 0; i < s->blockdevs->len; i++) {
        if (!block_blockdev_add(s->blockdevs->pdata[i], errp)) {
            error_prependf(errp, "-blockdev: ");
            return false;
        }
    }
    for (unsigned i = s->drives->len; i-- > 0;) {
        if (!setup_drive(s, s->drives->pdata[i], i, errp))
            return false;
    }
    return true;
}
