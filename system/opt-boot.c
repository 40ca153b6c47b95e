/* SPDX-License-Identifier: MIT */
/* Options about firmware, kernel and boot order. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "system/settings.h"

static void replace(char **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
}

/* Letters of boot devices: a floppy, c disk, d CD-ROM, n to p network; each at most once. */
static bool check_order(const char *what, const char *order, Error **errp)
{
    for (const char *p = order; *p; p++) {
        if (*p < 'a' || *p > 'p') {
            error_setf(
                errp,
                "-boot %s '%s': '%c' is no boot device; use letters a (floppy), c (disk), d (CD-ROM), n (network)",
                what, order, *p);
            return false;
        }
        if (strchr(p + 1, *p)) {
            error_setf(errp, "-boot %s '%s': '%c' stands there twice", what, order, *p);
            return false;
        }
    }
    return true;
}

static bool opt_boot(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "order", "once", "menu", "strict", NULL };
    MachineConfig *c = &s->config;
    g_autoptr(Opts) o = opts_parse(arg, "order", errp);
    if (!o)
        return false;
    const char *order = opts_get(o, "order"), *once = opts_get(o, "once");
    if ((order && !check_order("order", order, errp)) || (once && !check_order("once", once, errp)) ||
        !opts_get_bool(o, "menu", c->boot_menu, &c->boot_menu, errp) ||
        !opts_get_bool(o, "strict", c->boot_strict, &c->boot_strict, errp) || !opts_all_used(o, "-boot", keys, errp)) {
        return false;
    }
    if (order)
        replace(&c->boot_order, order);
    if (once)
        replace(&c->boot_once, once);
    return true;
}

static bool opt_L(Settings *s, const char *arg, Error **errp)
{
    struct stat st;
    if (stat(arg, &st) < 0 || !S_ISDIR(st.st_mode)) {
        error_setf(errp, "-L '%s': no such folder", arg);
        return false;
    }
    replace(&s->config.firmware_dir, arg);
    return true;
}

static bool opt_fw_cfg(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "name", "file", "string", NULL };
    Opts *o = opts_parse(arg, "name", errp);
    if (!o)
        return false;
    const char *name = opts_get(o, "name"), *file = opts_get(o, "file"), *string = opts_get(o, "string");
    g_ptr_array_add(s->fw_cfg, o);
    if (!opts_all_used(o, "-fw_cfg", keys, errp))
        return false;
    if (!name || !file == !string) {
        error_setf(errp, "-fw_cfg '%s': write name=NAME,file=FILE or name=NAME,string=TEXT", arg);
        return false;
    }
    return true;
}

#define FIELD(f) .offset = offsetof(Settings, f)
const Option options_boot[] = {
    { "kernel", "FILE",
      "boot this kernel: Linux bzImage, ELF with PVH note, multiboot; Arm: Image, zImage, uImage, ELF, raw",
      FIELD(config.kernel) },
    { "initrd", "FILE", "its initial RAM disk (multiboot: \"FILE ARGS,FILE2\" modules)", FIELD(config.initrd) },
    { "append", "TEXT", "its command line", FIELD(config.append) },
    { "dtb", "FILE", "device tree (machines that have one)", FIELD(config.dtb) },
    { "bios", "FILE", "firmware instead of the machine's usual one", FIELD(config.bios) },
    { "L", "FOLDER", "look for firmware there first", opt_L },
    { "boot", "[order=]LETTERS[,once=,menu=on|off,strict=on|off]", "order of boot devices", opt_boot },
    { "fw_cfg", "[name=]NAME,file=FILE|string=TEXT", "a file for the firmware's configuration device", opt_fw_cfg },
    { "loadvm", "NAME", "start from a snapshot of the monitor's savevm; with a / in it: from a file", FIELD(loadvm) },
    { 0 },
};
