/* SPDX-License-Identifier: MIT */
/* Options about devices, character devices and the monitor. */
#include <stdio.h>
#include <string.h>
#include "base/object.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "system/settings.h"

static bool opt_device(Settings *s, const char *arg, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);
    if (option_is_help(arg)) {
        device_print_list(text);
        return option_answer(s, text);
    }
    if (!option_keep(s->devices, "-device", arg, "driver", errp))
        return false;
    Opts *o = s->devices->pdata[s->devices->len - 1];
    if (!option_asks_help(o))
        return true;
    const char *driver = opts_get(o, "driver");
    if (!device_print_help(driver ? driver : "", text, errp))
        return false;
    return option_answer(s, text);
}

static bool opt_object(Settings *s, const char *arg, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);
    if (option_is_help(arg)) {
        object_print_list(text);
        return option_answer(s, text);
    }
    if (!option_keep(s->objects, "-object", arg, "qom-type", errp))
        return false;
    Opts *o = s->objects->pdata[s->objects->len - 1];
    if (!option_asks_help(o))
        return true;
    const char *type = opts_get(o, "qom-type");
    if (!object_print_help(type ? type : "", text, errp))
        return false;
    return option_answer(s, text);
}

static bool opt_global(Settings *s, const char *arg, Error **errp)
{
    const char *dot = strchr(arg, '.'), *eq = strchr(arg, '=');
    if (dot && eq && dot < eq) {
        g_autofree char *driver = g_strndup(arg, (gsize)(dot - arg));
        g_autofree char *prop = g_strndup(dot + 1, (gsize)(eq - dot - 1));
        return device_add_global(driver, prop, eq + 1, errp);
    }
    static const char *const keys[] = { "driver", "property", "value", NULL };
    g_autoptr(Opts) o = opts_parse(arg, NULL, errp);
    if (!o)
        return false;
    const char *driver = opts_get(o, "driver"), *prop = opts_get(o, "property"), *value = opts_get(o, "value");
    if (!opts_all_used(o, "-global", keys, errp))
        return false;
    if (!driver || !prop || !value) {
        error_setf(errp, "-global '%s': write DRIVER.PROPERTY=VALUE", arg);
        return false;
    }
    return device_add_global(driver, prop, value, errp);
}

static bool opt_chardev(Settings *s, const char *arg, Error **errp)
{
    if (option_is_help(arg)) {
        g_autoptr(GString) text = g_string_new(NULL);
        chardev_print_list(text);
        return option_answer(s, text);
    }
    return option_keep(s->chardevs, "-chardev", arg, "backend", errp);
}

static bool opt_serial(Settings *s, const char *arg, Error **errp)
{
    g_ptr_array_add(s->serials, g_strdup(arg));
    return true;
}

static bool opt_parallel(Settings *s, const char *arg, Error **errp)
{
    g_ptr_array_add(s->parallels, g_strdup(arg));
    return true;
}

static bool opt_monitor(Settings *s, const char *arg, Error **errp)
{
    g_ptr_array_add(s->monitors, g_strdup(arg));
    return true;
}

static bool opt_mon(Settings *s, const char *arg, Error **errp)
{
    return option_keep(s->mons, "-mon", arg, "chardev", errp);
}

#define FIELD(f) .offset = offsetof(Settings, f)
const Option options_devices[] = {
    { "object", "TYPE,id=ID[,PROPERTY=VALUE...]",
      "make an object that devices and drives name; -object help lists types", opt_object },
    { "device", "TYPE[,PROPERTY=VALUE...]", "add a device; -device help lists types, -device TYPE,help properties",
      opt_device },
    { "global", "TYPE.PROPERTY=VALUE", "default of a property of all devices of a type", opt_global },
    { "nodefaults", NULL, "only the devices that the machine always has, and those of options",
      FIELD(config.no_defaults) },
    { "chardev", "BACKEND,id=ID[,KEY=VALUE...]", "a character device; -chardev help lists back ends", opt_chardev },
    { "serial", "DEV", "serial port, up to four times: stdio, mon:stdio, pty, file:F, unix:P, tcp:H:P, null, none",
      opt_serial },
    { "parallel", "DEV", "parallel port, up to three times", opt_parallel },
    { "debugcon", "DEV", "debug console at I/O port 0xe9", NULL, offsetof(Settings, debugcon) },
    { "monitor", "DEV", "the monitor on a character device", opt_monitor },
    { "mon", "[chardev=]ID[,mode=readline]", "the monitor on a -chardev", opt_mon },
    { 0 },
};
