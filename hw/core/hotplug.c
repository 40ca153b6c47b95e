/* SPDX-License-Identifier: MIT */
/* Devices that come and go while the machine runs. */
#include <string.h>
#include "base/evloop.h"
#include "base/trace.h"
#include "hw/core/device-internal.h"
#include "hw/core/machine.h"

/* ---- coming ---- */

static const MachineHotplug *machine_hotplug(void)
{
    const Machine *m = machine_current();
    return m ? m->type->hotplug : NULL;
}

static bool may_hot_plug(Device *d, Error **errp)
{
    const MachineHotplug *h = machine_hotplug();
    if (d->bus && d->bus->type->may_hot_plug)
        return d->bus->type->may_hot_plug(d->bus, d, errp);
    if (!d->bus && h)
        return h->may_hot_plug(machine_current(), d, errp);
    if (d->bus)
        error_setf(errp, "device '%s': bus '%s' takes and gives no devices while the machine runs; add it with -device",
                   d->id, d->bus->name);
    else
        error_setf(errp, "device '%s': a %s can't come or go while the machine runs; add it with -device", d->id,
                   d->type->name);
    return false;
}

static void tell_plugged(Device *d)
{
    const MachineHotplug *h = machine_hotplug();
    if (d->bus && d->bus->type->hot_plugged)
        d->bus->type->hot_plugged(d->bus, d);
    else if (!d->bus && h && h->hot_plugged)
        h->hot_plugged(machine_current(), d);
}

bool device_start_hot(Device *d, Error **errp)
{
    const char *kind = device_type_bus(d->type);
    device_choose_bus(d);
    bool missing = !d->bus && kind && strcmp(kind, "system"); /* device_start() says which */
    if ((!missing && !may_hot_plug(d, errp)) || !device_start(d, errp))
        return false;
    device_reset_one(d);
    tell_plugged(d);
    TRACE(device_added, "%s (%s)", d->id, d->type->name);
    return true;
}

/* ---- going ---- */

static GPtrArray *deleted_listeners;

void device_add_deleted_listener(void (*deleted)(const char *id))
{
    if (!deleted_listeners)
        deleted_listeners = g_ptr_array_new();
    if (!g_ptr_array_find(deleted_listeners, (void *)deleted, NULL))
        g_ptr_array_add(deleted_listeners, (void *)deleted);
}

static Device *child_of(const Device *d)
{
    Device *c = device_first();
    while (c && !(c->bus && c->bus->parent == d))
        c = c->next;
    return c;
}

/* With everything on its buses, the innermost first. The vCPUs stand. */
static void remove_tree(Device *d)
{
    for (Device *c; (c = child_of(d));)
        remove_tree(c);
    g_autofree char *id = g_strdup(d->id);
    device_free(d);
    TRACE(device_deleted, "%s", id);
    for (unsigned i = 0; deleted_listeners && i < deleted_listeners->len; i++)
        ((void (*)(const char *))deleted_listeners->pdata[i])(id);
}

static bool kept;

static void remove_all(bool also_asked)
{
    for (Device *d = kept ? NULL : device_first(), *next; d; d = next) {
        next = d->next;
        if (d->leaving || (also_asked && d->unplug_asked)) {
            remove_tree(d);
            next = device_first(); /* any number of them are gone */
        }
    }
}

static void remove_leaving(void *opaque)
{
    machine_stand_still();
    remove_all(false);
    machine_go_on();
}

void device_finish_unplugs(void) { remove_all(true); }

void device_keep_all(bool keep)
{
    kept = keep;
    if (!keep)
        evloop_defer(NULL, remove_leaving, NULL);
}

void device_unplugged(Device *d)
{
    d->leaving = true;
    evloop_defer(NULL, remove_leaving, NULL);
}

static bool ask(Device *d, Error **errp)
{
    const MachineHotplug *h = machine_hotplug();
    if (d->bus && d->bus->type->ask_unplug) {
        d->unplug_asked = d->bus->type->ask_unplug(d->bus, d, errp);
        return d->unplug_asked;
    }
    if (!d->bus && h && h->ask_unplug) {
        d->unplug_asked = h->ask_unplug(machine_current(), d, errp);
        return d->unplug_asked;
    }
    remove_tree(d);
    return true;
}

bool device_del(const char *id, Error **errp)
{
    Device *d = device_find(id);
    if (!d) {
        error_setf(errp, "device '%s': no such device; 'info qtree' lists them", id);
        return false;
    }
    if (!d->type->user_creatable) {
        error_setf(errp, "device '%s': it is a part of the machine", id);
        return false;
    }
    if (d->leaving) {
        error_setf(errp, "device '%s': it is on its way out", id);
        return false;
    }
    machine_stand_still();
    bool ok = may_hot_plug(d, errp) && ask(d, errp);
    machine_go_on();
    return ok;
}
