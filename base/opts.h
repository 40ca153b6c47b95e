/* SPDX-License-Identifier: MIT */
/* "driver,key=value,flag,nokey" option strings as command lines have them. */
#ifndef BASE_OPTS_H
#define BASE_OPTS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

typedef struct Opts Opts; /* ordered key=value pairs; a repeated key: the last one counts */

/*
 * Parse "v,k=w,..." (",," is a literal comma). The first piece without '=' is the value of implied_key when that is not
 * NULL; later ones mean key=on. (A leading "no" is not stripped.)
 */
Opts *opts_parse(const char *text, const char *implied_key, Error **errp);
/* The same; every value that list_key is given goes to the end of `list` (of g_free()d strings) as well. */
Opts *opts_parse_list(const char *text, const char *implied_key, const char *list_key, GPtrArray *list, Error **errp);
/* {"a": {"b": 1}, "c": [true]} as a.b=1, c.0=on; null is an empty value. */
bool opts_add_json(Opts *o, const char *json, Error **errp);
Opts *opts_new(void);
void opts_free(Opts *o);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Opts, opts_free)
void opts_set(Opts *o, const char *key, const char *value);
bool opts_has(const Opts *o, const char *key);
unsigned opts_count(const Opts *o);
const char *opts_key(const Opts *o, unsigned i);
const char *opts_value(const Opts *o, unsigned i);
bool opts_is_used(const Opts *o, unsigned i); /* has it been read? */

bool opts_port_ok(const char *service, Error **errp); /* a TCP port's number must be below 65536; names pass */

/* Get and mark as used. NULL / default when absent. */
const char *opts_get(Opts *o, const char *key);
bool opts_get_bool(Opts *o, const char *key, bool dflt, bool *out, Error **errp);
bool opts_get_u64(Opts *o, const char *key, uint64_t dflt, uint64_t *out, Error **errp);
bool opts_get_size(Opts *o, const char *key, uint64_t dflt, uint64_t *out, Error **errp); /* 1k 2M 3G; bare = bytes */
/* One of the NULL-terminated list of words: *index is its place; absent: *index stays. */
bool opts_get_enum(Opts *o, const char *key, const char *const *words, unsigned *index, Error **errp);
bool parse_enum(const char *what, const char *text, const char *const *words, unsigned *index, Error **errp);
/* Fails on the first key that nobody has got: "OBJECT: unknown option 'x'; did you mean 'y'?" */
bool opts_all_used(const Opts *o, const char *object, const char *const *valid, Error **errp);

/* The scalar parsers behind them: whole text must match. */
bool parse_u64(const char *text, uint64_t *out);              /* decimal, 0x hex */
bool parse_size(const char *text, uint64_t unit, uint64_t *out); /* suffix b k M G T P; no suffix: times unit */
bool parse_bool(const char *text, bool *out);                 /* on off yes no true false y n */
#endif
