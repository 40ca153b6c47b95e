/* SPDX-License-Identifier: MIT */
/* Device properties of kind chardev find their chardev: hw/core and chardev/ do not know each other. */
#include "chardev/chardev.h"
#include "hw/core/props.h"

static void *resolve(const char *id)
{
    return chardev_find(id);
}

static void __attribute__((constructor)) register_resolver(void)
{
    props_set_chardev_resolver(resolve);
}
