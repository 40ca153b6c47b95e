/* SPDX-License-Identifier: MIT */
/* Errors that a user can act on: one line that names cause, object and remedy. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <glib.h>
#include <stdbool.h>

/*
 * A function that may fail for a reason outside the program is `bool f(..., Error **errp)`: false means failed, and
 * *errp (when errp is not NULL) is set exactly once; the caller frees it with error_free() or reports it. The message
 * has no trailing newline or full stop and names the object, the cause and, where there is one, the remedy:
 *     device 'e1001': no such device type; did you mean 'e1000'?
 */
typedef GError Error;

/* Set *errp (no-op when errp is NULL). *errp must be NULL before. */
void error_setf(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Same, with strerror(os_errno) appended after ": ". */
void error_set_errno(Error **errp, int os_errno, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
/* Put "text: " in front of an error that a callee has set; no-op when *errp is NULL. */
void error_prependf(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Move err into *errp, or free it when errp is NULL. */
void error_propagate(Error **errp, Error *err);
void error_free(Error *err);

/* One line "rhea: ..." on stderr (or the monitor that runs the present command). */
void error_report(const Error *err);
void warn_reportf(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void info_reportf(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

void error_set_timestamps(bool on);       /* stderr lines begin with the time of day (UTC) */
void error_set_program(const char *name); /* what reports on stderr begin with instead of "rhea"; not copied */

/* Where reports go instead of stderr (no "rhea: ", no newline); NULL: back to stderr. Main thread. */
typedef void ErrorSink(void *opaque, const char *line);
void error_set_sink(ErrorSink *fn, void *opaque);

/* The name of the NULL-terminated list that is nearest to `got` by edit distance, or NULL when none is near. */
const char *nearest_name(const char *got, const char *const *names);
/* Set "OBJECT 'got': CAUSE; did you mean 'x'?" or, without a near name, "...; valid: a, b, c". */
void error_set_unknown(Error **errp, const char *object, const char *got, const char *const *valid);

#endif
