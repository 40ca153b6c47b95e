/* SPDX-License-Identifier: MIT */
/* Device properties of kind chardev find their chardev: hw/core and chardev/ do not know each other. */
#include "chardev/chardev.h"
#include "base/props.h"

static void *find(const char *id)
{
    return chardev_find(id);
}

static const char *id_of(const void *target)
{
    return chardev_id(target);
}

static void __attribute__((constructor)) register_resolver(void)
{
    static const PropResolver resolver = { find, id_of };
    props_set_resolver(PROP_CHARDEV, &resolver);
}
