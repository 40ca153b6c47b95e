/* SPDX-License-Identifier: MIT */
/* Trace points (-trace PATTERN): named events that cost one predicted branch when off. */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/error.h"

typedef struct TraceEvent { const char *name; const char *fmt; bool enabled; } TraceEvent;

/* All events of the program stand in one linker section, so that `-trace help` can list them. */
#define TRACE(event, format, ...) do { \
    static TraceEvent trace_##event = { #event, format, false }; \
    static TraceEvent *const trace_##event##_p __attribute__((section("rhea_trace"), used)) = &trace_##event; \
    if (G_UNLIKELY(trace_##event.enabled)) trace_write(&trace_##event, format, ##__VA_ARGS__); \
} while (0)

/* One line: "event: formatted text", with a time stamp when the log has them. */
void trace_write(const TraceEvent *event, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Enable (or with a leading '-', disable) all events that match a glob pattern; an error when none matches. */
bool trace_enable(const char *pattern, Error **errp);
/* -trace [enable=]PATTERN,events=FILE,file=FILE */
bool trace_parse(const char *text, Error **errp);
void trace_print_help(FILE *to);
#endif
