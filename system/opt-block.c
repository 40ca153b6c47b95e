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
    return opts_get_bool(o, "readonly",
                         opts_get_bool(o, "read-only", false, &c->pflash_readonly[n], errp) && c->pflash_readonly[n],
                         &c->pflash_readonly[n], errp) &&
           opts_all_used(o, "-drive", keys, errp);
}

/* --- the options --- */

static const char *const interfaces[] = { "none", "virtio", "ide", "scsi", "floppy", "sd", "pflash", NULL };

static bool answer_formats(Settings *s)
{
    g_autoptr(GString) text = g_string_new(NULL);
    block_print_formats(text);
    return option_answer(s, text);
}

static bool opt_drive(Settings *s, const char *arg, Error **errp)
{
    if (option_is_help(arg))
        return answer_formats(s);
    Opts *o = opts_parse(arg, NULL, errp);
    if (!o) {
        error_prependf(errp, "-drive");
        return false;
    }
    const char *interface = opts_get(o, "if"), *format = opts_get(o, "format");
    if (format && option_is_help(format)) {
        opts_free(o);
        return answer_formats(s);
    }
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

static void add_short(Settings *s, const char *file, const char *index, const char *media)
{
    Opts *o = opts_new();
    opts_set(o, "file", file);
    opts_set(o, "index", index);
    opts_set(o, "media", media);
    g_ptr_array_add(s->drives, o);
}

static bool opt_hda(Settings *s, const char *arg, Error **errp) { add_short(s, arg, "0", "disk"); return true; }
static bool opt_hdb(Settings *s, const char *arg, Error **errp) { add_short(s, arg, "1", "disk"); return true; }
static bool opt_hdc(Settings *s, const char *arg, Error **errp) { add_short(s, arg, "2", "disk"); return true; }
static bool opt_hdd(Settings *s, const char *arg, Error **errp) { add_short(s, arg, "3", "disk"); return true; }
static bool opt_cdrom(Settings *s, const char *arg, Error **errp) { add_short(s, arg, "2", "cdrom"); return true; }

static bool opt_sd(Settings *s, const char *arg, Error **errp)
{
    Opts *o = opts_new();
    opts_set(o, "file", arg);
    opts_set(o, "if", "sd");
    g_ptr_array_add(s->drives, o);
    return true;
}

static void add_floppy(Settings *s, const char *file, const char *index)
{
    Opts *o = opts_new();
    opts_set(o, "file", file);
    opts_set(o, "if", "floppy");
    opts_set(o, "index", index);
    g_ptr_array_add(s->drives, o);
}
static bool opt_fda(Settings *s, const char *arg, Error **errp) { add_floppy(s, arg, "0"); return true; }
static bool opt_fdb(Settings *s, const char *arg, Error **errp) { add_floppy(s, arg, "1"); return true; }

static bool opt_blockdev(Settings *s, const char *arg, Error **errp)
{
    if (option_is_help(arg))
        return answer_formats(s);
    if (!option_keep(s->blockdevs, "-blockdev", arg, "driver", errp))
        return false;
    Opts *o = s->blockdevs->pdata[s->blockdevs->len - 1];
    const char *driver = opts_get(o, "driver");
    if (driver && option_is_help(driver))
        return answer_formats(s);
    if (driver && option_asks_help(o)) {
        g_autoptr(GString) text = g_string_new(NULL);
        return block_print_options(driver, text, errp) && option_answer(s, text);
    }
    if (!opts_has(o, "node-name")) {
        error_setf(errp, "-blockdev '%s': a node needs a name; add node-name=NAME", arg);
        return false;
    }
    return true;
}

#define FIELD(f) .offset = offsetof(Settings, f)
const Option options_block[] = {
    { "drive",
      "file=FILE[,if=none|virtio|ide|scsi|floppy|sd|pflash,media=disk|cdrom,index=,id=,format=,cache=,discard=,"
      "snapshot=,…]",
      "a disk; if=none: for a -device with drive=ID", opt_drive },
    { "blockdev", "[driver=]FORMAT,node-name=NAME,file.driver=file,file.filename=FILE",
      "a node for drive=NAME of a -device; or JSON", opt_blockdev },
    { "fda", "FILE", "a disk for floppy drive A", opt_fda },
    { "fdb", "FILE", "a disk for floppy drive B", opt_fdb },
    { "hda", "FILE", "the first disk, of the machine's usual kind", opt_hda },
    { "hdb", "FILE", "the second", opt_hdb },
    { "hdc", "FILE", "the third (where -cdrom is, too)", opt_hdc },
    { "hdd", "FILE", "the fourth", opt_hdd },
    { "cdrom", "FILE", "a medium for the machine's CD drive", opt_cdrom },
    { "sd", "FILE", "an SD card in the machine's first slot", opt_sd },
    { "pflash", "FILE", "flash of the machine, written back to the file", opt_pflash },
    { "snapshot", NULL, "write to temporary files instead of the images", FIELD(snapshot) },
    { 0 },
};

/* --- from options to drives --- */

static const char *const drive_keys[] = { "if",
                                          "file",
                                          "id",
                                          "format",
                                          "cache",
                                          "aio",
                                          "discard",
                                          "detect-zeroes",
                                          "snapshot",
                                          "readonly",
                                          "read-only",
                                          "serial",
                                          "werror",
                                          "rerror",
                                          "media",
                                          "index",
                                          "bus",
                                          "unit",
                                          "copy-on-read",
                                          "stats-account-failed",
                                          "stats-account-invalid",
                                          NULL };
static bool interval_key(const char *key) { return g_str_has_prefix(key, "stats-intervals."); }

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
    g_autofree char *scheme = block_scheme(block_filename(below));
    g_autofree char *name = scheme ? g_strdup(block_filename(below))
                                   : g_canonicalize_filename(block_filename(below), NULL);
    g_autoptr(Opts) create = opts_new(), open = opts_new();
    opts_set(create, "backing_file", name);
    opts_set(create, "backing_fmt", block_driver_name(below));
    opts_set(open, "driver", "qcow2");
    bool ok = block_create(path, "qcow2", block_size(below), create, errp);
    BlockNode *n = ok ? block_open(path, open,
                                   BLOCK_RDWR | BLOCK_UNMAP | BLOCK_NO_FLUSH | BLOCK_TEMPORARY | BLOCK_NO_BACKING, errp)
                      : NULL;
    if (n)
        block_set_backing(n, below);
    unlink(path);
    return n;
}

static BlockNode *with_copy_on_read(BlockNode *n, Error **errp)
{
    BlockNode *top = block_writable(n) ? block_open_filter("copy-on-read", n, errp) : NULL;
    if (!top && !block_writable(n))
        error_setf(errp, "copy-on-read=on writes to the image, and the drive is read-only");
    if (!top)
        block_unref(n);
    return top;
}

/* Is the image a file of the host, whose driver has aio=? */
static bool on_host_file(const char *file, const Opts *node)
{
    g_autofree char *scheme = file ? block_scheme(file) : NULL;
    return file && !g_str_has_prefix(file, "json:") && (!scheme || !strcmp(scheme, "file")) &&
           !opts_has(node, "file.driver");
}

/* Keys that are the drive's own are taken out; the rest goes to the node ("file.…", "driver" …). */
static BlockNode *open_drive(Settings *s, Opts *o, Error **errp)
{
    bool readonly, snapshot, copy_on_read;
    unsigned flags = 0;
    const char *file = opts_get(o, "file"), *format = opts_get(o, "format"), *media = opts_get(o, "media"),
               *aio = opts_get(o, "aio");
    if (!opts_get_bool(o, "readonly", false, &readonly, errp) ||
        !opts_get_bool(o, "read-only", readonly, &readonly, errp) ||
        !opts_get_bool(o, "copy-on-read", false, &copy_on_read, errp) ||
        !opts_get_bool(o, "snapshot", s->snapshot, &snapshot, errp) ||
        !block_cache_mode(opts_get(o, "cache"), &flags, errp))
        return NULL;
    readonly |= media && !strcmp(media, "cdrom");
    g_autoptr(Opts) node = opts_new();
    for (unsigned i = 0; i < opts_count(o); i++) {
        const char *key = opts_key(o, i);
        bool ours = drive_throttle_key(key) || interval_key(key) ||
                    (g_strv_contains(drive_keys, key) && strcmp(key, "discard") && strcmp(key, "detect-zeroes"));
        if (!ours)
            opts_set(node, key, opts_value(o, i));
    }
    if (format)
        opts_set(node, "driver", format);
    if (aio && !opts_has(node, "file.aio") && on_host_file(file, node))
        opts_set(node, "file.aio", aio);
    if (!readonly && !snapshot)
        flags |= BLOCK_RDWR;
    BlockNode *n = block_open(file, node, flags, errp), *top;
    if (n && snapshot) {
        top = temporary_overlay(n, errp);
        block_unref(n);
        n = top;
    }
    return n && copy_on_read ? with_copy_on_read(n, errp) : n;
}

/* --- where drives go: a row for each interface of -drive --- */

typedef struct Place { unsigned bus, unit; bool given; } Place;
typedef struct Interface {
    const char *name, *disk, *cdrom; /* device types; cdrom NULL: it has none */
    unsigned units, places;          /* on a bus, 0: places are just numbered; altogether. ide: what the machine has */
    const char *bus_format;          /* bus= of the device, which has a unit=; NULL: it finds room for itself */
    bool behind;                     /* behind all -device: one of them is the adapter */
    const char *controller;          /* comes before it when no -device is one; NULL: the board or the user has it */
} Interface;

static const Interface interface_rows[] = {
    { "floppy", "floppy", NULL, 0, 2, "floppy-bus.0", .behind = true, .controller = "isa-fdc" },
    { "ide", "ide-hd", "ide-cd", 0, 0, "ide.%u" },
    { "scsi", "scsi-hd", "scsi-cd", 7, 7, .behind = true },
    { "sd", "sd-card", NULL, 0, 8, .behind = true },
    { "virtio", "virtio-blk-pci", NULL, 0, 64 },
};
static uint64_t places_used[ARRAY_LEN(interface_rows)];
static unsigned drive_devices;

static bool is_ide(const Interface *i) { return !strcmp(i->name, "ide"); }
static uint64_t *used_by(const Interface *i) { return &places_used[i - interface_rows]; }

/* index=, or bus= and unit=, or the first place that is free. */
static bool find_place(const Interface *i, const MachineType *t, Opts *o, Place *at, Error **errp)
{
    uint64_t index, bus, unit, *used = used_by(i);
    unsigned units = is_ide(i) ? t->ide_units : i->units, places = is_ide(i) ? units == 1 ? 6 : 4 : i->places;
    if (is_ide(i) && !units) {
        error_setf(errp, "-drive if=ide: machine '%s' has no IDE or SATA controller; use if=none and a -device",
                   t->name);
        return false;
    }
    if (!opts_get_u64(o, "index", 0, &index, errp) || !opts_get_u64(o, "bus", 0, &bus, errp) ||
        !opts_get_u64(o, "unit", 0, &unit, errp))
        return false;
    bool by_unit = opts_has(o, "bus") || opts_has(o, "unit");
    bool there = !by_unit || (units ? unit < units && bus < places : !bus && unit < places);
    if (by_unit && there)
        index = bus * units + unit;
    else if (!by_unit && !opts_has(o, "index"))
        for (index = 0; index < 63 && *used >> index & 1;)
            index++;
    if (!there || index >= places) {
        error_setf(errp, "-drive if=%s: there is no such place on machine '%s'; index= is from 0 to %u%s", i->name,
                   t->name, places - 1, is_ide(i) || i->places == 2 ? "" : "; more of them with if=none and a -device");
        return false;
    }
    if (*used >> index & 1) {
        error_setf(errp, "-drive if=%s,index=%u: the place is taken; use another index=, of 0 to %u", i->name,
                   (unsigned)index, places - 1);
        return false;
    }
    *used |= BIT(index);
    *at = (Place){ units ? (unsigned)index / units : 0, (unsigned)(units ? index % units : index),
                   by_unit || opts_has(o, "index") };
    return true;
}

/* As QEMU names them: ide0-hd1, scsi0-cd2, virtio0, sd0, floppy1. */
static char *place_name(const Interface *i, const Place *at, bool cdrom)
{
    return i->units || is_ide(i) ? g_strdup_printf("%s%u-%s%u", i->name, at->bus, cdrom ? "cd" : "hd", at->unit)
                                 : g_strdup_printf("%s%u", i->name, at->unit);
}

static const Interface *interface_of(const MachineType *t, const char *name)
{
    const char *wanted = name ? name : t->disk_if ? t->disk_if : "virtio";
    for (unsigned i = 0; i < ARRAY_LEN(interface_rows); i++) {
        if (!strcmp(interface_rows[i].name, wanted))
            return &interface_rows[i];
    }
    return NULL;
}

static bool has_device(const Settings *s, const char *driver)
{
    for (unsigned n = 0; n < s->devices->len; n++) {
        const Opts *o = s->devices->pdata[n];
        for (unsigned k = 0; k < opts_count(o); k++) {
            if (!strcmp(opts_key(o, k), "driver") && !strcmp(opts_value(o, k), driver))
                return true;
        }
    }
    return false;
}

static void add_device(Settings *s, const Interface *i, const Place *at, bool cdrom, const char *drive)
{
    if (i->controller && !has_device(s, i->controller)) {
        Opts *controller = opts_new();
        opts_set(controller, "driver", i->controller);
        g_ptr_array_insert(s->devices, (int)drive_devices++, controller);
    }
    Opts *device = opts_new();
    opts_set(device, "driver", cdrom ? i->cdrom : i->disk);
    g_autofree char *bus = i->bus_format ? g_strdup_printf(i->bus_format, at->bus) : NULL,
                    *unit = g_strdup_printf("%u", at->unit);
    if (bus) {
        opts_set(device, "bus", bus);
        opts_set(device, "unit", unit);
    } else if (i->units && at->given) {
        opts_set(device, "scsi-id", unit);
    }
    opts_set(device, "drive", drive);
    if (i->behind)
        g_ptr_array_add(s->devices, device);
    else
        g_ptr_array_insert(s->devices, (int)drive_devices++, device); /* before the user's own */
}

/* stats-account-failed, stats-account-invalid, stats-intervals.N=SECONDS */
static bool drive_statistics(Opts *o, BlockBackend *b, Error **errp)
{
    bool failed, invalid, ok = true;
    if (!opts_get_bool(o, "stats-account-failed", true, &failed, errp) ||
        !opts_get_bool(o, "stats-account-invalid", true, &invalid, errp))
        return false;
    blk_set_accounting(b, failed, invalid);
    for (unsigned i = 0; ok && i < opts_count(o); i++) {
        uint64_t seconds;
        if (interval_key(opts_key(o, i)))
            ok = opts_get_u64(o, opts_key(o, i), 0, &seconds, errp) && blk_add_interval(b, seconds, errp);
    }
    return ok;
}

static bool setup_drive(Settings *s, const MachineType *t, Opts *o, unsigned number, Error **errp)
{
    const char *interface = opts_get(o, "if"), *id = opts_get(o, "id"), *serial = opts_get(o, "serial");
    const char *media = opts_get(o, "media");
    bool cdrom = media && !strcmp(media, "cdrom");
    Place at = { 0 };
    const Interface *i = interface && !strcmp(interface, "none") ? NULL : interface_of(t, interface);
    if (media && !cdrom && strcmp(media, "disk")) {
        error_setf(errp, "-drive media=%s: it is disk or cdrom", media);
        return false;
    }
    if (i && cdrom && !i->cdrom) {
        error_setf(errp, "-drive media=cdrom: interface '%s' has no CD drives; use if=ide", i->name);
        return false;
    }
    if (i && !find_place(i, t, o, &at, errp))
        return false;
    g_autofree char *name = id ? g_strdup(id) : i ? place_name(i, &at, cdrom) : g_strdup_printf("none%u", number);
    BlkOnError rerror, werror;
    if (blk_find(name)) {
        error_setf(errp, "-drive id=%s: the name is in use; give each drive its own", name);
        return false;
    }
    if (!on_error(o, "rerror", BLK_ERROR_REPORT, &rerror, errp) ||
        !on_error(o, "werror", BLK_ERROR_ENOSPC, &werror, errp))
        return false;
    bool empty = !opts_has(o, "file") && !opts_has(o, "file.filename") && !opts_has(o, "file.driver") &&
                 !opts_has(o, "driver");
    BlockNode *n = empty ? NULL : open_drive(s, o, errp);
    if (!n && !empty) {
        error_prependf(errp, "-drive");
        return false;
    }
    BlockBackend *b = blk_new(name, n);
    blk_set_on_error(b, rerror, werror);
    blk_set_serial(b, serial);
    if (!drive_throttle(o, name, b, errp) || !drive_statistics(o, b, errp)) {
        error_prependf(errp, "-drive id=%s", name);
        return false;
    }
    if (i)
        add_device(s, i, &at, cdrom, name);
    return true;
}

/* The empty CD drive that boards have, unless the user has thought of one. */
static void add_default_cdrom(Settings *s, const MachineConfig *c, const MachineType *t)
{
    const Interface *i = interface_of(t, "ide");
    if (!t->ide_units || c->no_defaults || *used_by(i) >> 2 & 1)
        return;
    for (unsigned n = 0; n < s->devices->len; n++) {
        const Opts *o = s->devices->pdata[n];
        for (unsigned k = 0; k < opts_count(o); k++) {
            if (!strcmp(opts_key(o, k), "driver") && g_str_has_suffix(opts_value(o, k), "-cd"))
                return;
        }
    }
    Place at = { 2 / t->ide_units, 2 % t->ide_units, true };
    g_autofree char *name = place_name(i, &at, true);
    if (blk_find(name))
        return;
    blk_new(name, NULL);
    add_device(s, i, &at, true, name);
}

bool drive_add_running(const char *text, Error **errp)
{
    Settings none = { 0 };
    g_autoptr(Opts) o = opts_parse(text, NULL, errp);
    if (!o)
        return false;
    const char *id = opts_get(o, "id"), *interface = opts_get(o, "if");
    if (!id || (interface && strcmp(interface, "none"))) {
        error_setf(
            errp,
            "drive_add '%s': a drive without device is wanted: if=none,id=NAME,file=...; device_add makes the device",
            text);
        return false;
    }
    opts_set(o, "if", "none");
    BlockBackend *before = blk_find(id);
    if (setup_drive(&none, machine_current()->type, o, 0, errp))
        return true;
    if (!before && blk_find(id))
        blk_free(blk_find(id));
    return false;
}

void settle_drive_devices(Settings *s)
{
    if (bus_find_kind("pci") || !bus_find_kind("virtio-bus"))
        return;
    for (unsigned i = 0; i < drive_devices; i++) {
        Opts *o = s->devices->pdata[i];
        if (!g_strcmp0(opts_get(o, "driver"), "virtio-blk-pci"))
            opts_set(o, "driver", "virtio-blk-device");
    }
}

bool setup_blocks(Settings *s, const Machine *m, Error **errp)
{
    for (unsigned i = 0; i < s->blockdevs->len; i++) {
        if (!block_blockdev_add(s->blockdevs->pdata[i], errp)) {
            error_prependf(errp, "-blockdev");
            return false;
        }
    }
    for (unsigned i = 0; i < s->drives->len; i++) {
        if (!setup_drive(s, m->type, s->drives->pdata[i], i, errp))
            return false;
    }
    add_default_cdrom(s, &m->config, m->type);
    return true;
}
