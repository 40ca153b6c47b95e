/* SPDX-License-Identifier: MIT */
/* Libraries of protocols: loaded when the first image needs one, as they are large and most runs use none. */
#ifndef BLOCK_LIBRARY_H
#define BLOCK_LIBRARY_H

#include "block/driver.h"

/*
 * LIST is a macro of one argument X, which is X(function) for each function that is used: LIBRARY(lib, "libx.so.1",
 * "libx1", LIST) makes `lib`, whose fields have the functions' names, and lib_load(), which fills them or says what to
 * install. Any thread.
 */
#define LIBRARY_FIELD_(f) __typeof__(f) *f;
#define LIBRARY_NAME_(f) #f,
#define LIBRARY(lib, soname, package, LIST) \
    static struct { LIST(LIBRARY_FIELD_) } lib; \
    static bool lib##_load(Error **errp) \
    { \
        static const char *const names[] = { LIST(LIBRARY_NAME_) NULL }; \
        static bool loaded; \
        return library_load(soname, package, names, (void **)&lib, &loaded, errp); \
    }

bool library_load(const char *soname, const char *package, const char *const *names, void **functions, bool *loaded,
                  Error **errp);
#endif
