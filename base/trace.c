/* SPDX-License-Identifier: MIT */
/* Trace points: found in their linker section, switched by glob pattern. */
#include "base/trace.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "base/opts.h"

/* Bounds of the section, made by the linker; weak because a program may have no trace point at all. */
extern TraceEvent *const __start_rhea_trace[] __attribute__((weak));
extern TraceEvent *const __stop_rhea_trace[] __attribute__((weak));

void trace_write(const TraceEvent *event, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    log_write("%s: %s\n", event->name, text);
}

bool trace_enable(const char *pattern, Error **errp)
{
    bool on = *pattern != '-';
    if (!on)
        pattern++;
    unsigned hits = 0;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (TraceEvent *const *e = __start_rhea_trace; e < __stop_rhea_trace; e++) {
        g_ptr_array_add(names, (void *)(*e)->name);
        if (g_pattern_match_simple(pattern, (*e)->name)) {
            (*e)->enabled = on;
            hits++;
        }
    }
    if (hits)
        return true;
    g_ptr_array_add(names, NULL);
    const char *near = nearest_name(pattern, (const char *const *)names->pdata);
    if (near)
        error_setf(errp, "trace event '%s': not known; did you mean '%s'?", pattern, near);
    else
        error_setf(errp, "trace event '%s': not known; '-trace help' lists the events", pattern);
    return false;
}

static bool enable_from_file(const char *path, Error **errp)
{
    g_autofree char *text = NULL;
    GError *err = NULL;
    if (!g_file_get_contents(path, &text, NULL, &err)) {
        error_propagate(errp, err);
        return false;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **l = lines; *l; l++) {
        char *p = g_strstrip(*l);
        if (*p && *p != '#' && !trace_enable(p, errp)) {
            error_prependf(errp, "%s", path);
            return false;
        }
    }
    return true;
}

bool trace_parse(const char *text, Error **errp)
{
    static const char *const valid[] = { "enable", "events", "file", NULL };
    g_autoptr(Opts) o = opts_parse(text, "enable", errp);
    if (!o)
        return false;
    const char *enable = opts_get(o, "enable"), *events = opts_get(o, "events"), *file = opts_get(o, "file");
    return opts_all_used(o, "-trace", valid, errp) && (!file || log_set_file(file, errp)) &&
           (!events || enable_from_file(events, errp)) && (!enable || trace_enable(enable, errp));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void trace_print_help(FILE *to)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (TraceEvent *const *e = __start_rhea_trace; e < __stop_rhea_trace; e++)
        g_ptr_array_add(names, (void *)(*e)->name);
    g_ptr_array_sort(names, by_name);
    fprintf(to, "Trace events:\n");
    for (unsigned i = 0; i < names->len; i++) {
        if (!i || strcmp(names->pdata[i], names->pdata[i - 1]))
            fprintf(to, "  %s\n", (const char *)names->pdata[i]);
    }
}
