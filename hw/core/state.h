/* SPDX-License-Identifier: MIT */
/* Declared state: one const table per structure serves save, load, snapshot, migration and `info`. */
#ifndef HW_CORE_STATE_H
#define HW_CORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

typedef enum StateKind {
    STATE_END = 0,
    STATE_U8, STATE_U16, STATE_U32, STATE_U64, STATE_BOOL, STATE_BYTES, /* count = bytes */
    STATE_STRUCT,  /* sub: table of the nested structure */
    STATE_TIMER,   /* Timer *: deadline, -1 when not armed */
    STATE_BUF,     /* GByteArray *: length-prefixed, at most max bytes */
} StateKind;

typedef struct StateField {
    const char *name;
    StateKind kind;
    uint32_t offset;
    uint32_t count;  /* array length, 1 for a scalar */
    uint32_t stride; /* of one element */
    uint32_t max;    /* STATE_BUF */
    const struct StateField *sub;
} StateField;

#define STATE_SIZEOF(T, f) ((uint32_t)sizeof(((T *)0)->f))
#define STATE_SCALAR_(k, T, f) \
    { .name = #f, .kind = k, .offset = offsetof(T, f), .count = 1, .stride = STATE_SIZEOF(T, f) }
#define STATE_ARRAY_(k, T, f) { .name = #f, .kind = k, .offset = offsetof(T, f), \
    .count = STATE_SIZEOF(T, f) / STATE_SIZEOF(T, f[0]), .stride = STATE_SIZEOF(T, f[0]) }
/* The static assertion in each keeps the declared width equal to the field's. */
#define STATE_W_(n, T, f) (sizeof(char[1 - 2 * !!(STATE_SIZEOF(T, f) != (n))]) * 0)
#define STATE_U8(T, f) \
    { .name = #f, .kind = STATE_U8, .offset = offsetof(T, f) + STATE_W_(1, T, f), .count = 1, .stride = 1 }
#define STATE_U16(T, f) \
    { .name = #f, .kind = STATE_U16, .offset = offsetof(T, f) + STATE_W_(2, T, f), .count = 1, .stride = 2 }
#define STATE_U32(T, f) \
    { .name = #f, .kind = STATE_U32, .offset = offsetof(T, f) + STATE_W_(4, T, f), .count = 1, .stride = 4 }
#define STATE_U64(T, f) \
    { .name = #f, .kind = STATE_U64, .offset = offsetof(T, f) + STATE_W_(8, T, f), .count = 1, .stride = 8 }
#define STATE_BOOL(T, f) \
    { .name = #f, .kind = STATE_BOOL, .offset = offsetof(T, f) + STATE_W_(1, T, f), .count = 1, .stride = 1 }
#define STATE_U8_ARRAY(T, f) STATE_ARRAY_(STATE_U8, T, f)
#define STATE_U16_ARRAY(T, f) STATE_ARRAY_(STATE_U16, T, f)
#define STATE_U32_ARRAY(T, f) STATE_ARRAY_(STATE_U32, T, f)
#define STATE_U64_ARRAY(T, f) STATE_ARRAY_(STATE_U64, T, f)
#define STATE_BOOL_ARRAY(T, f) STATE_ARRAY_(STATE_BOOL, T, f)
#define STATE_BYTES(T, f) \
    { .name = #f, .kind = STATE_BYTES, .offset = offsetof(T, f), .count = STATE_SIZEOF(T, f), .stride = 1 }
#define STATE_STRUCT(T, f, table) { .name = #f, .kind = STATE_STRUCT, .offset = offsetof(T, f), .count = 1, \
    .stride = STATE_SIZEOF(T, f), .sub = table }
#define STATE_STRUCT_ARRAY(T, f, table) { .name = #f, .kind = STATE_STRUCT, .offset = offsetof(T, f), \
    .count = STATE_SIZEOF(T, f) / STATE_SIZEOF(T, f[0]), .stride = STATE_SIZEOF(T, f[0]), .sub = table }
#define STATE_TIMER(T, f) STATE_SCALAR_(STATE_TIMER, T, f)
#define STATE_BUF(T, f, maxlen) { .name = #f, .kind = STATE_BUF, .offset = offsetof(T, f), .count = 1, \
    .stride = sizeof(void *), .max = maxlen }
#define STATE_END_OF_TABLE { .name = NULL, .kind = STATE_END }

/*
 * A stream of named sections, each a list of named, typed fields (format in docs/state.md). Loading is by name: an
 * unknown name, a wrong type or length, a missing field is an error that names section and field. Input is untrusted.
 */
typedef struct StateWriter StateWriter;
typedef struct StateReader StateReader;
StateWriter *state_writer_new(void);
GBytes *state_writer_finish(StateWriter *w); /* frees w */
void state_save_section(StateWriter *w, const char *section, const StateField *table, const void *object);
StateReader *state_reader_new(GBytes *stream, Error **errp); /* checks magic, version and checksum */
void state_reader_free(StateReader *r);
bool state_reader_has(const StateReader *r, const char *section);
bool state_load_section(StateReader *r, const char *section, const StateField *table, void *object, Error **errp);
/* Fails when a section of the stream was not asked for. */
bool state_reader_all_used(StateReader *r, Error **errp);
/* "name=value" lines for the monitor. */
void state_print(const StateField *table, const void *object, GString *out);
#endif
