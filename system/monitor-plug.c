/* SPDX-License-Identifier: MIT */
/* Monitor: devices and drives that come and go. */
#include <string.h>
#include "block/backend.h"
#include "hw/core/device.h"
#include "system/monitor.h"
#include "system/settings.h"

static bool do_device_add(Monitor *mon, int argc, char **argv, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(argv[1], "driver", errp);
    if (!o)
        return false;
    const char *driver = opts_get(o, "driver");
    if (!driver || !strcmp(driver, "help") || !strcmp(driver, "?")) {
        device_print_list(monitor_out(mon));
        return true;
    }
    if (opts_has(o, "help") || opts_has(o, "?"))
        return device_print_help(driver, monitor_out(mon), errp);
    return device_add(o, errp) != NULL;
}

static void complete_type(unsigned n, GPtrArray *out)
{
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    for (unsigned i = 0; n == 1 && i < count; i++) {
        if (all[i]->user_creatable)
            g_ptr_array_add(out, g_strdup(all[i]->name));
    }
}

static bool do_device_del(Monitor *mon, int argc, char **argv, Error **errp) { return device_del(argv[1], errp); }

static void complete_device(unsigned n, GPtrArray *out)
{
    for (Device *d = device_first(); n == 1 && d; d = d->next) {
        if (d->type->user_creatable && d->bus && d->bus->type->may_hot_plug)
            g_ptr_array_add(out, g_strdup(d->id));
    }
}

const MonitorCommand monitor_commands_plug[] = {
    { "device_add", "TYPE[,PROPERTY=VALUE...]", "add a device to the running machine, as -device does at start", 1, 1, false, do_device_add, complete_type },
    { "device_del", "ID", "ask the guest to let go of a device, which is removed then", 1, 1, false, do_device_del, complete_device },
    { 0 },
};
