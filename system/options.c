/* SPDX-License-Identifier: MIT */
/* The command line: walks argv over the option tables. */
#include <stdio.h>
#include <string.h>
#include "base/bits.h"
#include "system/settings.h"

static const OptionGroup groups[] = {
    { "Machine", options_machine },
    { "Boot and firmware", options_boot },
    { "Disks", options_block },
    { "Devices, character devices, monitor", options_devices },
    { "Semihosting (Arm)", options_semihost },
    { "Running, logging, help", options_debug },
};

Settings *settings_new(const char *program)
{
    Settings *s = g_new0(Settings, 1);
    GPtrArray **opts[] = { &s->accels,  &s->chardevs, &s->mons,   &s->devices,
                           &s->objects, &s->fw_cfg,   &s->drives, &s->blockdevs };
    GPtrArray **texts[] = { &s->numa, &s->serials, &s->parallels, &s->monitors };
    s->program = program;
    s->machine_opts = opts_new();
    for (unsigned i = 0; i < ARRAY_LEN(opts); i++)
        *opts[i] = g_ptr_array_new_with_free_func((GDestroyNotify)opts_free);
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = g_ptr_array_new_with_free_func(g_free);
    return s;
}

void settings_free(Settings *s)
{
    GPtrArray *arrays[] = { s->accels, s->chardevs, s->mons, s->devices, s->objects, s->fw_cfg, s->drives, s->blockdevs,
                            s->serials, s->parallels, s->monitors, s->numa };
    for (unsigned i = 0; i < ARRAY_LEN(arrays); i++)
        g_ptr_array_unref(arrays[i]);
    opts_free(s->machine_opts);
    opts_free(s->smp);
    g_free(s->machine);
    g_free(s->debugcon);
    g_free(s->mem_path);
    g_free(s->loadvm);
    g_free(s->pidfile);
    g_free(s->gdb);
    opts_free(s->icount);
    g_free(s->accel_note);
    g_free(s);
}

static const Option *find_option(const char *name)
{
    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        for (const Option *o = groups[g].rows; o->name; o++) {
            if (!strcmp(o->name, name))
                return o;
        }
    }
    return NULL;
}

static void unknown_option(const char *name, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        for (const Option *o = groups[g].rows; o->name; o++)
            g_ptr_array_add(names, (void *)o->name);
    }
    g_ptr_array_add(names, NULL);
    const char *near = nearest_name(name, (const char *const *)names->pdata);
    if (near)
        error_setf(errp, "option '-%s': not known; did you mean '-%s'?", name, near);
    else
        error_setf(errp, "option '-%s': not known; -h lists all options", name);
}

static bool apply(Settings *s, const Option *o, const char *arg, Error **errp)
{
    void *field = (char *)s + o->offset;
    if (o->handle)
        return o->handle(s, arg, errp);
    if (o->arg) {
        g_free(*(char **)field);
        *(char **)field = g_strdup(arg);
    } else {
        *(bool *)field = true;
    }
    return true;
}

bool options_parse(Settings *s, int argc, char **argv, Error **errp)
{
    for (int i = 1; i < argc && !s->done; i++) {
        const char *name = argv[i];
        if (name[0] != '-' || !name[1]) {
            error_setf(errp, "argument '%s': not an option; options begin with '-', -h lists them", name);
            return false;
        }
        name += name[1] == '-' ? 2 : 1;
        const Option *o = find_option(name);
        if (!o) {
            unknown_option(name, errp);
            return false;
        }
        if (o->arg && i + 1 == argc) {
            error_setf(errp, "option '-%s': needs an argument: %s", name, o->arg);
            return false;
        }
        if (!apply(s, o, o->arg ? argv[++i] : NULL, errp))
            return false;
    }
    return true;
}

bool option_is_help(const char *text) { return !strcmp(text, "help") || !strcmp(text, "?"); }
bool option_asks_help(const Opts *o) { return opts_has(o, "help") || opts_has(o, "?"); }

bool option_keep(GPtrArray *list, const char *option, const char *arg, const char *implied, Error **errp)
{
    Opts *o = *arg == '{' ? opts_new() : opts_parse(arg, implied, errp);
    if (o && *arg == '{' && !opts_add_json(o, arg, errp))
        g_clear_pointer(&o, opts_free);
    if (!o) {
        error_prependf(errp, "%s", option);
        return false;
    }
    g_ptr_array_add(list, o);
    return true;
}

bool option_answer(Settings *s, GString *text)
{
    fputs(text->str, stdout);
    s->done = true;
    return true;
}

void options_print_help(GString *out)
{
    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        g_string_append_printf(out, "\n%s\n", groups[g].title);
        for (const Option *o = groups[g].rows; o->name; o++) {
            g_autofree char *head = g_strdup_printf("-%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
            if (!o->help)
                continue;
            if (strlen(head) > 30)
                g_string_append_printf(out, "  %s\n  %-30s %s\n", head, "", o->help);
            else
                g_string_append_printf(out, "  %-30s %s\n", head, o->help);
        }
    }
}
