/* SPDX-License-Identifier: MIT */
/* The human monitor: a character device, line editing, and the dispatch of commands. */
#include <stdarg.h>
#include <string.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "chardev/chardev.h"
#include "system/monitor.h"
#include "system/readline.h"

#define MAX_ARGS 16

struct Monitor {
    Chardev *chr; /* NULL: monitor_execute() */
    Readline line;
    GString *out;
    unsigned cpu;
    bool greeted;
    Monitor *next;
};
static Monitor *monitors;

static const MonitorCommand *const tables[] = {
    monitor_commands_base,   monitor_commands_run,  monitor_commands_drives, monitor_commands_media,
    monitor_commands_live,   monitor_commands_jobs, monitor_commands_nbd,    monitor_commands_guestmem,
    monitor_commands_memory, monitor_commands_plug, monitor_commands_display
};

const MonitorCommand *const *monitor_command_tables(unsigned *count)
{
    *count = ARRAY_LEN(tables);
    return tables;
}

/* ---- what commands use ---- */

GString *monitor_out(Monitor *mon)
{
    return mon->out;
}

void monitor_printf(Monitor *mon, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g_string_append_vprintf(mon->out, fmt, ap);
    va_end(ap);
}

unsigned monitor_cpu(const Monitor *mon)
{
    return mon->cpu;
}

void monitor_set_cpu(Monitor *mon, unsigned index)
{
    mon->cpu = index;
}

const GPtrArray *monitor_history(const Monitor *mon)
{
    return mon->line.history;
}

/* ---- dispatch ---- */

static bool has_name(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = names; len; p++) {
        if (!strncmp(p, name, len) && (p[len] == '|' || !p[len]))
            return true;
        p = strchr(p, '|');
        if (!p)
            break;
    }
    return false;
}

const MonitorCommand *monitor_find_in(const MonitorCommand *table, const char *name)
{
    for (; table->names; table++) {
        if (has_name(table->names, name))
            return table;
    }
    return NULL;
}

const MonitorCommand *monitor_find_command(const char *name)
{
    const MonitorCommand *c = NULL;
    for (unsigned t = 0; !c && t < ARRAY_LEN(tables); t++)
        c = monitor_find_in(tables[t], name);
    return c;
}

/* All names of a table, for completion and for "did you mean". */
static void add_names(const MonitorCommand *table, GPtrArray *out)
{
    for (; table->names; table++) {
        g_auto(GStrv) each = g_strsplit(table->names, "|", -1);
        for (char **n = each; *n; n++)
            g_ptr_array_add(out, g_strdup(*n));
    }
}

static void unknown_command(const char *name, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (unsigned t = 0; t < ARRAY_LEN(tables); t++)
        add_names(tables[t], names);
    g_ptr_array_add(names, NULL);
    const char *near = nearest_name(name, (const char *const *)names->pdata);
    error_setf(errp, "command '%s': not known; %s%s%s", name, near ? "did you mean '" : "help lists all",
               near ? near : "", near ? "'?" : "");
}

/* The next word, quotes removed; NULL at the end of the line. */
static char *next_word(const char **p)
{
    while (**p == ' ')
        ++*p;
    if (!**p)
        return NULL;
    GString *word = g_string_new(NULL);
    bool quoted = false;
    for (; **p && (quoted || **p != ' '); ++*p) {
        if (**p == '"')
            quoted = !quoted;
        else
            g_string_append_c(word, **p);
    }
    return g_string_free(word, FALSE);
}

/* "x/4i" is the command x with "/4i" as its first argument. */
static char *command_word(const char **p)
{
    while (**p == ' ')
        ++*p;
    size_t n = strcspn(*p, " /");
    char *word = g_strndup(*p, n);
    *p += n;
    return word;
}

static bool run_line(Monitor *mon, const char *line, Error **errp)
{
    const char *p = line;
    g_autoptr(GPtrArray) args = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(args, command_word(&p));
    const char *name = args->pdata[0];
    if (!*name)
        return true;
    const MonitorCommand *c = monitor_find_command(name);
    if (!c) {
        unknown_command(name, errp);
        return false;
    }
    while (args->len < MAX_ARGS) {
        while (*p == ' ')
            p++;
        char *word = c->rest && args->len == c->max_args ? (*p ? g_strdup(p) : NULL) : next_word(&p);
        if (!word)
            break;
        g_ptr_array_add(args, word);
        if (c->rest && args->len == c->max_args + 1)
            break;
    }
    if (args->len - 1 < c->min_args || args->len - 1 > c->max_args) {
        error_setf(errp, "%s: wrong number of arguments; usage: %s%s%s", name, name, c->args ? " " : "",
                   c->args ? c->args : "");
        return false;
    }
    g_ptr_array_add(args, NULL);
    return c->run(mon, (int)args->len - 1, (char **)args->pdata, errp);
}

static void report_into(void *opaque, const char *line)
{
    monitor_printf(opaque, "%s\n", line);
}

static void execute(Monitor *mon, const char *line)
{
    Error *err = NULL;
    error_set_sink(report_into, mon);
    if (!run_line(mon, line, &err)) {
        monitor_printf(mon, "%s\n", err->message);
        error_free(err);
    }
    error_set_sink(NULL, NULL);
}

void monitor_execute(const char *line, unsigned cpu, GString *out)
{
    Monitor mon = { .out = out, .cpu = cpu };
    execute(&mon, line);
}

/* ---- terminal side ---- */

/* A terminal in raw mode wants \r\n. */
static void send_text(void *opaque, const char *text, size_t len)
{
    Monitor *mon = opaque;
    g_autoptr(GString) s = g_string_sized_new(len + 16);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            g_string_append_c(s, '\r');
        g_string_append_c(s, text[i]);
    }
    chardev_write_all(mon->chr, s->str, s->len);
}

static void flush(Monitor *mon)
{
    send_text(mon, mon->out->str, mon->out->len);
    g_string_truncate(mon->out, 0);
}

static void on_line(void *opaque, const char *line)
{
    Monitor *mon = opaque;
    execute(mon, line);
    flush(mon);
    readline_show_prompt(&mon->line);
}

static void keep_prefix(GPtrArray *words, const char *prefix)
{
    for (unsigned i = words->len; i-- > 0;) {
        if (!g_str_has_prefix(words->pdata[i], prefix))
            g_ptr_array_remove_index(words, i);
    }
}

static void on_complete(void *opaque, const char *head, GPtrArray *out)
{
    g_auto(GStrv) words = g_strsplit(head, " ", -1);
    unsigned n = g_strv_length(words);
    if (n <= 1) {
        for (unsigned t = 0; t < ARRAY_LEN(tables); t++)
            add_names(tables[t], out);
    } else {
        const MonitorCommand *c = monitor_find_command(words[0]);
        if (c && c->complete)
            c->complete(n - 1, out);
    }
    keep_prefix(out, n ? words[n - 1] : "");
}

static const ReadlineOps line_ops = { send_text, on_line, on_complete };

static void greet(void *opaque)
{
    Monitor *mon = opaque;
    if (!mon->greeted)
        monitor_printf(mon, "Rhea " RHEA_VERSION " monitor - type 'help' for more information\n");
    mon->greeted = true;
    flush(mon);
    readline_show_prompt(&mon->line);
}

static size_t can_read(void *opaque)
{
    return 1024;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    Monitor *mon = opaque;
    readline_input(&mon->line, data, len);
}

static void event(void *opaque, ChardevEvent ev)
{
    Monitor *mon = opaque;
    if (ev == CHR_OPENED)
        mon->greeted = false;
    if (ev == CHR_MUX_OUT)
        send_text(mon, "\n", 1);
    if (ev == CHR_MUX_IN)
        greet(mon);
    if (ev == CHR_OPENED && !chardev_is_mux(mon->chr))
        evloop_defer(NULL, greet, mon); /* behind what the program says while it starts */
}

static void monitor_free(Monitor *mon)
{
    readline_free(&mon->line);
    g_string_free(mon->out, TRUE);
    g_free(mon);
}

bool monitor_new(Chardev *c, Error **errp)
{
    Monitor *mon = g_new0(Monitor, 1);
    ChardevFrontend fe = { .can_read = can_read, .receive = receive, .event = event, .opaque = mon };
    mon->chr = c;
    mon->out = g_string_new(NULL);
    readline_init(&mon->line, "(rhea) ", &line_ops, mon);
    if (!chardev_attach(c, &fe, errp)) {
        monitor_free(mon);
        return false;
    }
    mon->next = monitors;
    monitors = mon;
    return true;
}

void monitors_free(void)
{
    while (monitors) {
        Monitor *mon = monitors;
        monitors = mon->next;
        monitor_free(mon);
    }
}
