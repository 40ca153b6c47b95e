/* SPDX-License-Identifier: MIT */
/* Options about running, logging and help. */
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/trace.h"
#include "hw/watchdog/watchdog.h"
#include "system/settings.h"

static bool opt_help(Settings *s, const char *arg, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);
    options_print_help(text);
    printf("usage: %s [options]\n%s\nExample: %s -M q35 -m 512 -kernel vmlinuz -initrd initrd -append console=ttyS0 "
           "-nographic\n",
           s->program, text->str, s->program);
    s->done = true;
    return true;
}

static bool opt_version(Settings *s, const char *arg, Error **errp)
{
    printf("Rhea full-system emulator version %s\n", RHEA_VERSION);
    s->done = true;
    return true;
}

static bool opt_d(Settings *s, const char *arg, Error **errp)
{
    uint32_t mask;
    if (option_is_help(arg)) {
        log_print_help(stdout);
        s->done = true;
        return true;
    }
    if (!log_parse_mask(arg, &mask, errp))
        return false;
    log_set_mask(log_mask | mask);
    return true;
}

static bool opt_D(Settings *s, const char *arg, Error **errp)
{
    return log_set_file(arg, errp);
}

static bool opt_trace(Settings *s, const char *arg, Error **errp)
{
    if (option_is_help(arg)) {
        trace_print_help(stdout);
        s->done = true;
        return true;
    }
    return trace_parse(arg, errp);
}

static bool opt_s(Settings *s, const char *arg, Error **errp)
{
    g_free(s->gdb);
    s->gdb = g_strdup("tcp::1234");
    return true;
}

static bool opt_no_user_config(Settings *s, const char *arg, Error **errp)
{
    return true; /* there is no user's configuration file that could be read */
}

/* ---- -action ---- */

static bool opt_msg(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "timestamp", NULL };
    bool on = false;
    g_autoptr(Opts) o = opts_parse(arg, NULL, errp);
    if (!o || !opts_get_bool(o, "timestamp", false, &on, errp) || !opts_all_used(o, "-msg", keys, errp))
        return false;
    error_set_timestamps(on);
    return true;
}

static bool set_reboot(RunPolicy *p, unsigned choice)
{
    p->reboot_exits = choice == 1;
    return true;
}

static bool set_shutdown(RunPolicy *p, unsigned choice)
{
    p->shutdown_pauses = choice == 1;
    return true;
}

static bool set_panic(RunPolicy *p, unsigned choice)
{
    p->panic = (PanicAction)choice;
    return true;
}

static bool set_watchdog(RunPolicy *p, unsigned choice)
{
    watchdog_set_action((WatchdogAction)choice);
    return true;
}

static const struct Action {
    const char *event;
    const char *const choices[8];
    bool (*set)(RunPolicy *p, unsigned choice);
} actions[] = {
    { "reboot", { "reset", "shutdown" }, set_reboot },
    { "shutdown", { "poweroff", "pause" }, set_shutdown },
    { "panic", { "shutdown", "pause", "exit-failure", "none" }, set_panic }, /* in the order of PanicAction */
    /* in that of WatchdogAction */
    { "watchdog", { "reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi" }, set_watchdog },
};

bool policy_set_action(RunPolicy *p, const char *event, const char *value, Error **errp)
{
    static const char *const events[] = { "reboot", "shutdown", "panic", "watchdog", NULL };
    for (unsigned i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (strcmp(actions[i].event, event))
            continue;
        for (unsigned c = 0; actions[i].choices[c]; c++) {
            if (!strcmp(actions[i].choices[c], value))
                return actions[i].set(p, c);
        }
        g_autofree char *object = g_strdup_printf("-action %s", event);
        error_set_unknown(errp, object, value, actions[i].choices);
        return false;
    }
    error_set_unknown(errp, "-action: event", event, events);
    return false;
}

static bool opt_action(Settings *s, const char *arg, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(arg, NULL, errp);
    if (!o)
        return false;
    for (unsigned i = 0; i < opts_count(o); i++) {
        if (!policy_set_action(&s->policy, opts_key(o, i), opts_value(o, i), errp))
            return false;
    }
    return true;
}

static bool opt_watchdog_action(Settings *s, const char *arg, Error **errp)
{
    return policy_set_action(&s->policy, "watchdog", arg, errp);
}

#define FIELD(f) .offset = offsetof(Settings, f)
const Option options_debug[] = {
    { "no-reboot", NULL, "end the program when the guest reboots", FIELD(policy.reboot_exits) },
    { "no-shutdown", NULL, "stay, paused, when the guest powers off", FIELD(policy.shutdown_pauses) },
    { "action", "reboot=,shutdown=,panic=,watchdog=", "what these events of the guest lead to", opt_action },
    { "watchdog-action", "ACTION", "the same as -action watchdog=ACTION", opt_watchdog_action },
    { "S", NULL, "do not start the CPUs; 'cont' in the monitor does", FIELD(config.start_paused) },
    { "gdb", "DEV",
      "wait for GDB there: tcp::1234, unix:PATH, stdio, chardev:ID, none; -S lets it see the first instruction",
      FIELD(gdb) },
    { "s", NULL, "the same as -gdb tcp::1234", opt_s },
    { "d", "ITEM[,ITEM...]", "log these; -d help lists them", opt_d },
    { "D", "FILE", "write the log there instead of to stderr", opt_D },
    { "trace", "PATTERN", "switch trace points on; -trace help lists them", opt_trace },
    { "msg", "timestamp=on|off", "lines on stderr begin with the time", opt_msg },
    { "pidfile", "FILE", "write the process id there", FIELD(pidfile) },
    { "daemonize", NULL, "go to the background once the machine stands", FIELD(daemonize) },
    { "no-user-config", NULL, "accepted: there is no user's configuration file", opt_no_user_config },
    { "version", NULL, "print the version", opt_version },
    { "h", NULL, "print this text", opt_help },
    { "help", NULL, NULL, opt_help },
    { 0 },
};
