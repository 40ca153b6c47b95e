/* SPDX-License-Identifier: MIT */
/* Monitor: devices and drives that come and go. */
#include <string.h>
#include "block/backend.h"
#include "hw/core/device.h"
#include "system/monitor.h"
#include "system/settings.h"
#include "system/snapshot.h"

static bool do_device_add(Monitor *mon, int argc, char **argv, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(argv[1], "driver", errp);
    if (!o)
        return false;
    const char *driver = opts_get(o, "driver");
    if (!driver || option_is_help(driver)) {
        device_print_list(monitor_out(mon));
        return true;
    }
    if (option_asks_help(o))
        return device_print_help(driver, monitor_out(mon), errp);
    return snapshot_idle(errp) && device_add(o, errp) != NULL;
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

static bool do_device_del(Monitor *mon, int argc, char **argv, Error **errp)
{
    return snapshot_idle(errp) && device_del(argv[1], errp);
}

static void complete_device(unsigned n, GPtrArray *out)
{
    for (Device *d = device_first(); n == 1 && d; d = d->next) {
        if (d->type->user_creatable && d->bus && d->bus->type->may_hot_plug)
            g_ptr_array_add(out, g_strdup(d->id));
    }
}

/* drive_add [ADDRESS] OPTIONS: the address of old times is ignored, as QEMU does. */
static bool do_drive_add(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (!snapshot_idle(errp) || !drive_add_running(argv[argc - 1], errp))
        return false;
    monitor_printf(mon, "OK\n");
    return true;
}

static bool do_drive_del(Monitor *mon, int argc, char **argv, Error **errp)
{
    BlockBackend *b = blk_find(argv[1]);
    if (!b) {
        error_setf(errp, "drive '%s': no such drive; 'info block' lists them", argv[1]);
        return false;
    }
    if (blk_user(b)) {
        error_setf(errp, "drive '%s': device '%s' uses it; device_del it first", argv[1], blk_user(b));
        return false;
    }
    if (!snapshot_idle(errp))
        return false;
    blk_free(b);
    return true;
}

static void complete_drive(unsigned n, GPtrArray *out)
{
    for (unsigned i = 0; n == 1 && i < blk_count(); i++) {
        if (!blk_user(blk_nth(i)))
            g_ptr_array_add(out, g_strdup(blk_name(blk_nth(i))));
    }
}

const MonitorCommand monitor_commands_plug[] = {
    { "device_add", "TYPE[,PROPERTY=VALUE...]", "add a device to the running machine, as -device does at start", 1, 1,
      false, do_device_add, complete_type },
    { "device_del", "ID", "ask the guest to let go of a device, which is removed then", 1, 1, false, do_device_del,
      complete_device },
    { "drive_add", "[ADDRESS] id=ID,file=FILE[,KEY=VALUE...]", "open an image as -drive if=none does, for device_add",
      1, 2, false, do_drive_add },
    { "drive_del", "DRIVE", "close a drive that no device uses", 1, 1, false, do_drive_del, complete_drive },
    { 0 },
};
