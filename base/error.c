/* SPDX-License-Identifier: MIT */
/* Errors that a user can act on, and the nearest valid name for a mistyped one. */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static GQuark error_domain(void)
{
    return g_quark_from_static_string("rhea");
}

static void set_message(Error **errp, const char *fmt, va_list ap)
{
    if (!errp)
        return;
    g_assert(!*errp);
    *errp = g_error_new_valist(error_domain(), 0, fmt, ap);
}

void error_setf(Error **errp, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set_message(errp, fmt, ap);
    va_end(ap);
}

void error_set_errno(Error **errp, int os_errno, const char *fmt, ...)
{
    if (!errp)
        return;
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_setf(errp, "%s: %s", text, g_strerror(os_errno));
}

void error_prependf(Error **errp, const char *fmt, ...)
{
    if (!errp || !*errp)
        return;
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    char *old = (*errp)->message;
    (*errp)->message = g_strdup_printf("%s: %s", text, old);
    g_free(old);
}

void error_propagate(Error **errp, Error *err)
{
    if (!err)
        return;
    if (errp) {
        g_assert(!*errp);
        *errp = err;
    } else {
        error_free(err);
    }
}

void error_free(Error *err)
{
    if (err)
        g_error_free(err);
}

static __thread ErrorSink *sink; /* the main thread's; reports of other threads go to stderr */
static __thread void *sink_opaque;

void error_set_sink(ErrorSink *fn, void *opaque)
{
    sink = fn;
    sink_opaque = opaque;
}

static const char *program = "rhea";
static bool timestamps;

void error_set_timestamps(bool on) { timestamps = on; }

void error_set_program(const char *name) { program = name; }

static void emit(const char *prefix, const char *text)
{
    if (sink) {
        g_autofree char *line = g_strconcat(prefix, text, NULL);
        sink(sink_opaque, line);
    } else {
        g_autoptr(GDateTime) now = timestamps ? g_date_time_new_now_utc() : NULL;
        g_autofree char *time = now ? g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ ") : NULL;
        fprintf(stderr, "%s%s: %s%s\n", time ? time : "", program, prefix, text);
    }
}

void error_report(const Error *err)
{
    emit("", err->message);
}

#define REPORT(prefix) do { \
    va_list ap; \
    va_start(ap, fmt); \
    g_autofree char *text = g_strdup_vprintf(fmt, ap); \
    va_end(ap); \
    emit(prefix, text); \
} while (0)

void warn_reportf(const char *fmt, ...) { REPORT("warning: "); }
void info_reportf(const char *fmt, ...) { REPORT(""); }

/* Optimal string alignment distance: insert, delete, replace, swap neighbours; case does not count. */
static unsigned edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > 63 || lb > 63)
        return UINT_MAX / 4;
    unsigned d[64][64];
    for (size_t i = 0; i <= la; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= lb; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        for (size_t j = 1; j <= lb; j++) {
            char x = g_ascii_tolower(a[i - 1]), y = g_ascii_tolower(b[j - 1]);
            unsigned v = MIN(d[i - 1][j] + 1, d[i][j - 1] + 1);
            v = MIN(v, d[i - 1][j - 1] + (x != y));
            if (i > 1 && j > 1 && x == g_ascii_tolower(b[j - 2]) && y == g_ascii_tolower(a[i - 2]))
                v = MIN(v, d[i - 2][j - 2] + 1);
            d[i][j] = v;
        }
    }
    return d[la][lb];
}

const char *nearest_name(const char *got, const char *const *names)
{
    const char *best = NULL;
    size_t len = strlen(got);
    unsigned best_distance = 2 * (1 + (len <= 3 ? 1 : len <= 8 ? 2 : 3));
    for (; *got && names && *names; names++) {
        /* of two as near the one of the same length */
        unsigned d = 2 * edit_distance(got, *names) + (strlen(*names) != len);
        if (d < best_distance) {
            best_distance = d;
            best = *names;
        }
    }
    return best;
}

void error_set_unknown(Error **errp, const char *object, const char *got, const char *const *valid)
{
    const char *near = nearest_name(got, valid);
    if (near) {
        error_setf(errp, "%s '%s': not known; did you mean '%s'?", object, got, near);
        return;
    }
    g_autoptr(GString) list = g_string_new(NULL);
    for (const char *const *n = valid; n && *n; n++)
        g_string_append_printf(list, "%s%s", list->len ? ", " : "", *n);
    if (list->len)
        error_setf(errp, "%s '%s': not known; valid: %s", object, got, list->str);
    else
        error_setf(errp, "%s '%s': not known", object, got);
}
