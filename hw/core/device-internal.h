/* SPDX-License-Identifier: MIT */
/* What device*.c share. */
#ifndef HW_CORE_DEVICE_INTERNAL_H
#define HW_CORE_DEVICE_INTERNAL_H

#include "hw/core/device.h"

/* The kind of bus that a type plugs into, its own or its base's; NULL: none. */
const char *device_type_bus(const DeviceType *t);
/* The property of a type or its bases. */
const Property *device_find_prop(const DeviceType *t, const char *name);
/* All properties, own ones first; caller frees the table with g_free(). */
Property *device_all_props(const DeviceType *t);
void device_set_unknown_type(const char *name, bool creatable_only, Error **errp);
/* Apply -global to a new device; a bad value is kept for device_start(). */
void device_apply_globals(Device *d);
/* The bus that a device which names none goes to. */
void device_choose_bus(Device *d);
/* device_start() on a machine that was reset before, whose vCPUs stand: reset it and tell the guest. */
bool device_start_hot(Device *d, Error **errp);
#endif
