/* SPDX-License-Identifier: MIT */
/* Character devices of the command line, and what serial ports and monitor are connected to by default. */
#include <string.h>
#include "chardev/chardev.h"
#include "system/monitor.h"
#include "system/settings.h"

/*
 * Defaults, when no option says otherwise (and -nodefaults is not given):
 *  -nographic: first serial port and monitor share the terminal (mon:stdio); with a -serial of the user's the monitor
 * alone has it, with a -monitor of the user's the serial port alone. else: as there is no display yet to show them,
 * serial port and monitor are connected to nothing.
 */
static void add_defaults(Settings *s)
{
    bool serial = s->serials->len > 0, monitor = s->monitors->len > 0 || s->mons->len > 0;
    for (unsigned i = 0; i < s->serials->len; i++)
        monitor |= g_str_has_prefix(s->serials->pdata[i], "mon:");
    if (s->config.no_defaults)
        return;
    if (!s->nographic) {
        s->blind = !serial && !monitor && !s->display_none && !s->debugcon && !s->chardevs->len && !s->daemonize;
        if (!serial)
            g_ptr_array_add(s->serials, g_strdup("null"));
        return;
    }
    if (!serial && !monitor) {
        g_ptr_array_add(s->serials, g_strdup("mon:stdio"));
    } else {
        if (!serial)
            g_ptr_array_add(s->serials, g_strdup("stdio"));
        if (!monitor)
            g_ptr_array_add(s->monitors, g_strdup("stdio"));
    }
}

/* "mon:X": X as a mux that the monitor shares. */
static bool open_one(Settings *s, const char *option, unsigned n, const char *text, Chardev **out, Error **errp)
{
    g_autofree char *id = g_strdup_printf("%s%u", option, n);
    bool none = false;
    *out = chardev_new_short(id, text, &none, errp);
    if (!*out && !none) {
        error_prependf(errp, "-%s '%s'", option, text);
        return false;
    }
    return true;
}

static bool open_ports(Settings *s, const char *option, GPtrArray *texts, Chardev **out, unsigned max, Error **errp)
{
    if (texts->len > max) {
        error_setf(errp, "-%s: given %u times; a machine has at most %u such ports", option, texts->len, max);
        return false;
    }
    for (unsigned i = 0; i < texts->len; i++) {
        if (!open_one(s, option, i, texts->pdata[i], &out[i], errp))
            return false;
    }
    return true;
}

/* A program in the background has let go of the terminal. */
static bool check_background(const Settings *s, Error **errp)
{
    const GPtrArray *const lists[] = { s->serials, s->parallels, s->monitors };
    const char *user = s->debugcon && strstr(s->debugcon, "stdio") ? s->debugcon : NULL;
    for (unsigned l = 0; l < G_N_ELEMENTS(lists); l++) {
        for (unsigned i = 0; i < lists[l]->len; i++)
            user = strstr(lists[l]->pdata[i], "stdio") ? lists[l]->pdata[i] : user;
    }
    for (unsigned i = 0; i < s->chardevs->len; i++) {
        const char *backend = opts_get(s->chardevs->pdata[i], "backend");
        user = backend && !strcmp(backend, "stdio") ? backend : user;
    }
    if (!s->daemonize || !user)
        return true;
    error_setf(
        errp,
        "-daemonize: the terminal cannot be used ('%s'); give -serial and -monitor another device, or -nodefaults",
        user);
    return false;
}

bool setup_chardevs(Settings *s, Error **errp)
{
    add_defaults(s);
    if (!check_background(s, errp))
        return false;
    for (unsigned i = 0; i < s->chardevs->len; i++) {
        if (!chardev_new_opts(s->chardevs->pdata[i], errp)) {
            error_prependf(errp, "-chardev");
            return false;
        }
    }
    if (!open_ports(s, "serial", s->serials, s->config.serial, G_N_ELEMENTS(s->config.serial), errp) ||
        !open_ports(s, "parallel", s->parallels, s->config.parallel, G_N_ELEMENTS(s->config.parallel), errp)) {
        return false;
    }
    memcpy(s->serial_chardevs, s->config.serial, sizeof(s->serial_chardevs));
    return !s->debugcon || open_one(s, "debugcon", 0, s->debugcon, &s->config.debugcon, errp);
}

/* -mon chardev=ID,mode=readline */
static bool open_mon(Opts *o, Error **errp)
{
    static const char *const keys[] = { "chardev", "mode", "id", NULL }, *const modes[] = { "readline", NULL };
    const char *id = opts_get(o, "chardev"), *mode = opts_get(o, "mode");
    opts_get(o, "id");
    if (!opts_all_used(o, "-mon", keys, errp))
        return false;
    if (mode && strcmp(mode, "readline")) {
        error_set_unknown(errp, "-mon mode", mode, modes);
        return false;
    }
    Chardev *c = id ? chardev_find(id) : NULL;
    if (!c) {
        error_setf(errp, "-mon '%s': no such character device; make one with -chardev ...,id=%s", id ? id : "",
                   id ? id : "ID");
        return false;
    }
    return monitor_new(c, errp);
}

bool setup_monitors(Settings *s, Error **errp)
{
    for (unsigned i = 0; i < s->serials->len; i++) {
        const char *text = s->serials->pdata[i];
        if (g_str_has_prefix(text, "mon:") && !monitor_new(s->serial_chardevs[i], errp))
            return false;
    }
    for (unsigned i = 0; i < s->monitors->len; i++) {
        const char *text = s->monitors->pdata[i];
        Chardev *c;
        if (!open_one(s, "monitor", i, text, &c, errp) || (c && !monitor_new(c, errp)))
            return false;
    }
    for (unsigned i = 0; i < s->mons->len; i++) {
        if (!open_mon(s->mons->pdata[i], errp))
            return false;
    }
    return true;
}
