/* SPDX-License-Identifier: MIT */
/*
 * What -object makes: helpers of devices and back ends that a user names (iothread, secret, memory-backend-ram,
 * throttle-group …).
 */
#ifndef BASE_OBJECT_H
#define BASE_OBJECT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/opts.h"
#include "base/props.h"

typedef struct Object Object;

/* One const descriptor a type. The instance structure's first member is an Object. */
typedef struct ObjectType {
    const char *name;      /* as -object has it: "memory-backend-ram" */
    const char *kind;      /* what users of it ask for: "memory-backend"; NULL: the name */
    const char *desc;      /* one line for -object help */
    size_t size;
    const Property *props; /* or NULL */
    bool (*complete)(Object *o, Error **errp); /* all properties are set; optional */
    void (*finalize)(Object *o);               /* also after a failed complete; optional */
} ObjectType;

struct Object {
    const ObjectType *type;
    char *id;
    unsigned users;        /* object_take() less object_release() */
    Object *next;
};

/* All in the main thread. */
void object_type_register(const ObjectType *type);
#define OBJECT_REGISTER(type_) \
    static void __attribute__((constructor)) type_##_register(void) { object_type_register(&type_); }

/* Make one: keys "qom-type" (the type's name; -object's first word), "id", properties. Not used keys are errors. */
Object *object_add(Opts *opts, Error **errp);
/* The same by name, for defaults that the program makes (id must be free). */
/* name, value, ..., NULL */
Object *object_new(const char *type, const char *id, Error **errp, ...) G_GNUC_NULL_TERMINATED;
/* Fails while somebody uses it. */
bool object_del(const char *id, Error **errp);
void objects_free_all(void); /* at exit, latest first */

/*
 * kind NULL: any. object_get names what is missing or of another kind: "no object 'x' of kind iothread; add -object
 * iothread,id=x".
 */
Object *object_find(const char *id, const char *kind);
Object *object_get(const char *id, const char *kind, Error **errp);
/* object_get() and count a user, who releases it. */
Object *object_take(const char *id, const char *kind, Error **errp);
void object_release(Object *o);
Object *object_first(void); /* in order of creation */

void object_print_list(GString *out);                                    /* -object help */
bool object_print_help(const char *type, GString *out, Error **errp);    /* -object TYPE,help */
#endif
