/* SPDX-License-Identifier: MIT */
/* Limits of -drive: throttling.* and their old names. */
#include <string.h>
#include "block/throttle.h"
#include "system/settings.h"

static const char *const limits[] = { "iops-total", "iops-read", "iops-write", "bps-total", "bps-read", "bps-write" };
static const char *const old_names[] = { "iops", "iops_rd", "iops_wr", "bps", "bps_rd", "bps_wr" };
static const char *const endings[] = { "", "-max", "-max-length" };
static const char *const old_endings[] = { "", "_max", NULL };

/* The key as -object throttle-group has it; NULL: it is about something else. Free it. */
static char *group_key(const char *key)
{
    bool modern = g_str_has_prefix(key, "throttling.");
    const char *name = modern ? key + 11 : key;
    if (!strcmp(name, modern ? "iops-size" : "iops_size"))
        return g_strdup("x-iops-size");
    for (unsigned i = 0; i < G_N_ELEMENTS(limits); i++) {
        for (unsigned e = 0; e < G_N_ELEMENTS(endings) && (modern || old_endings[e]); e++) {
            g_autofree char *known = g_strconcat(modern ? limits[i] : old_names[i],
                                                 modern ? endings[e] : old_endings[e], NULL);
            if (!strcmp(name, known))
                return g_strconcat("x-", limits[i], endings[e], NULL);
        }
    }
    return NULL;
}

static bool is_group(const char *key) { return !strcmp(key, "throttling.group") || !strcmp(key, "group"); }

bool drive_throttle_key(const char *key)
{
    g_autofree char *known = group_key(key);
    return known || is_group(key);
}

/* Into a group that exists: its limits are changed. */
static bool change_group(ThrottleGroup *g, const Opts *o, Error **errp)
{
    for (unsigned i = 0; i < opts_count(o); i++) {
        if (!props_set(((Object *)g)->type->props, g, throttle_group_name(g), opts_key(o, i), opts_value(o, i), errp))
            return false;
    }
    ThrottleConfig c = throttle_group_config(g);
    return throttle_group_set(g, &c, errp);
}

bool drive_throttle(const Opts *o, const char *name, BlockBackend *b, Error **errp)
{
    g_autoptr(Opts) wanted = opts_new();
    const char *group = NULL;
    for (unsigned i = 0; i < opts_count(o); i++) {
        g_autofree char *key = group_key(opts_key(o, i));
        if (key)
            opts_set(wanted, key, opts_value(o, i));
        if (is_group(opts_key(o, i)))
            group = opts_value(o, i);
    }
    if (!group && !opts_count(wanted))
        return true;
    group = group ? group : name;
    if (!object_find(group, NULL)) {
        opts_set(wanted, "qom-type", "throttle-group");
        opts_set(wanted, "id", group);
        if (!object_add(wanted, errp))
            return false;
    } else {
        Object *found = object_get(group, "throttle-group", errp);
        if (!found || !change_group(throttle_group_of(found), wanted, errp))
            return false;
    }
    blk_set_throttle(b, throttle_group_of(object_take(group, "throttle-group", NULL)));
    return true;
}
