/* SPDX-License-Identifier: MIT */
/* Monitor: help, info, log and trace. */
#include <string.h>
#include "base/log.h"
#include "base/trace.h"
#include "system/monitor.h"

static void print_row(Monitor *mon, const char *before, const MonitorCommand *c)
{
    monitor_printf(mon, "%s%s%s%s -- %s\n", before, c->names, c->args ? " " : "", c->args ? c->args : "", c->help);
}

static void print_info_items(Monitor *mon)
{
    for (const MonitorCommand *c = monitor_info_items; c->names; c++)
        print_row(mon, "info ", c);
}

static bool do_help(Monitor *mon, int argc, char **argv, Error **errp)
{
    unsigned count;
    const MonitorCommand *const *tables = monitor_command_tables(&count);
    if (argc > 1 && !strcmp(argv[1], "info")) {
        print_info_items(mon);
        return true;
    }
    if (argc > 1) {
        const MonitorCommand *c = monitor_find_command(argv[1]);
        if (c)
            print_row(mon, "", c);
        else
            error_setf(errp, "help: no such command '%s'", argv[1]);
        return c != NULL;
    }
    for (unsigned t = 0; t < count; t++) {
        for (const MonitorCommand *c = tables[t]; c->names; c++)
            print_row(mon, "", c);
    }
    return true;
}

static bool do_info(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (argc == 1) {
        print_info_items(mon);
        return true;
    }
    const MonitorCommand *c = monitor_find_in(monitor_info_items, argv[1]);
    if (!c) {
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (const MonitorCommand *i = monitor_info_items; i->names; i++)
            g_ptr_array_add(names, (void *)i->names);
        g_ptr_array_add(names, NULL);
        error_set_unknown(errp, "info", argv[1], (const char *const *)names->pdata);
        return false;
    }
    if ((unsigned)argc - 2 > c->max_args) {
        error_setf(errp, "info %s: too many arguments; usage: info %s %s", argv[1], argv[1], c->args ? c->args : "");
        return false;
    }
    return c->run(mon, argc - 1, argv + 1, errp);
}

static void complete_info(unsigned n, GPtrArray *out)
{
    for (const MonitorCommand *i = monitor_info_items; n == 1 && i->names; i++)
        g_ptr_array_add(out, g_strdup(i->names));
}

static void complete_help(unsigned n, GPtrArray *out)
{
    unsigned count;
    const MonitorCommand *const *tables = monitor_command_tables(&count);
    for (unsigned t = 0; n == 1 && t < count; t++) {
        for (const MonitorCommand *c = tables[t]; c->names; c++)
            g_ptr_array_add(out, g_strndup(c->names, strcspn(c->names, "|")));
    }
}

static bool do_log(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint32_t mask = 0;
    if (strcmp(argv[1], "none") && !log_parse_mask(argv[1], &mask, errp))
        return false;
    log_set_mask(mask);
    return true;
}

static bool do_logfile(Monitor *mon, int argc, char **argv, Error **errp)
{
    return log_set_file(argv[1], errp);
}

static bool do_trace_event(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool off = !strcmp(argv[2], "off");
    if (!off && strcmp(argv[2], "on")) {
        error_setf(errp, "trace-event: '%s' is neither on nor off", argv[2]);
        return false;
    }
    g_autofree char *pattern = g_strconcat(off ? "-" : "", argv[1], NULL);
    return trace_enable(pattern, errp);
}

const MonitorCommand monitor_commands_base[] = {
    { "help|?", "[COMMAND]", "list the commands, or explain one; 'help info' lists what info shows", 0, 1, false,
      do_help, complete_help },
    { "info", "[ITEM]", "show something of the machine", 0, 3, false, do_info, complete_info },
    { "log", "ITEM[,ITEM...]|none", "what goes to the log, as with -d", 1, 1, false, do_log },
    { "logfile", "FILE", "send the log there, as with -D", 1, 1, false, do_logfile },
    { "trace-event", "PATTERN on|off", "switch trace points", 2, 2, false, do_trace_event },
    { 0 },
};
