/* SPDX-License-Identifier: MIT */
/* Properties: what a user may set on a device or object, as one const table per type. */
#ifndef BASE_PROPS_H
#define BASE_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>
#include "base/error.h"

typedef enum PropKind {
    PROP_END = 0,
    PROP_BOOL, PROP_U8, PROP_U16, PROP_U32, PROP_U64, PROP_I32, /* min..max apply */
    PROP_SIZE,    /* uint64_t; suffixes k M G T */
    PROP_STRING,  /* char *, owned by the device */
    PROP_ENUM,    /* int; choices is a NULL-terminated list of names */
    PROP_CHARDEV, /* Chardev *; value names a -chardev id */
    PROP_LINK,    /* Device *; value names a device id */
} PropKind;

typedef struct Property {
    const char *name; /* QEMU's name where it has one */
    PropKind kind;
    uint32_t offset;
    int64_t dflt;
    const char *dflt_str;
    uint64_t min, max; /* both 0: the type's whole range */
    const char *const *choices;
    const char *help;
} Property;

#define PROP_(k, n, T, f, d, h, ...) \
    { .name = n, .kind = k, .offset = offsetof(T, f), .dflt = d, .help = h, ##__VA_ARGS__ }
#define DEFINE_PROP_BOOL(n, T, f, d, h) PROP_(PROP_BOOL, n, T, f, d, h)
#define DEFINE_PROP_U8(n, T, f, d, h) PROP_(PROP_U8, n, T, f, d, h)
#define DEFINE_PROP_U16(n, T, f, d, h) PROP_(PROP_U16, n, T, f, d, h)
#define DEFINE_PROP_U32(n, T, f, d, h) PROP_(PROP_U32, n, T, f, d, h)
#define DEFINE_PROP_U64(n, T, f, d, h) PROP_(PROP_U64, n, T, f, d, h)
#define DEFINE_PROP_SIZE(n, T, f, d, h) PROP_(PROP_SIZE, n, T, f, d, h)
#define DEFINE_PROP_STRING(n, T, f, d, h) \
    { .name = n, .kind = PROP_STRING, .offset = offsetof(T, f), .dflt_str = d, .help = h }
#define DEFINE_PROP_ENUM(n, T, f, d, c, h) PROP_(PROP_ENUM, n, T, f, d, h, .choices = c)
#define DEFINE_PROP_CHARDEV(n, T, f) \
    { .name = n, .kind = PROP_CHARDEV, .offset = offsetof(T, f), .help = "character back end" }
#define DEFINE_PROP_END { .name = NULL, .kind = PROP_END }

/*
 * Set the defaults, set one from text (error: "OBJECT: property 'x': ..."), get one as text (caller frees), free
 * strings.
 */
void props_set_defaults(const Property *table, void *object);
bool props_set(const Property *table, void *object, const char *what, const char *name, const char *value,
               Error **errp);
char *props_get(const Property *table, const void *object, const char *name);
const Property *props_find(const Property *table, const char *name);
void props_free(const Property *table, void *object);
/*
 * How PROP_CHARDEV and PROP_LINK find what an id names (base does not know those layers); find: NULL when there is
 * none.
 */
typedef struct PropResolver {
    void *(*find)(const char *id);
    const char *(*id)(const void *target);
} PropResolver;
void props_set_resolver(PropKind kind, const PropResolver *r);
void props_print_help(const Property *table, GString *out);
#endif
