/* SPDX-License-Identifier: MIT */
/* What scripts/decode.py makes of a .decode file: rows for translation, and the same rows as data for tests. */
#ifndef TARGET_ARM_TCG_DECODE_H
#define TARGET_ARM_TCG_DECODE_H

#include <stdbool.h>
#include <stdint.h>
#include "target/arm/features.h"

typedef struct ArmTrans ArmTrans;
typedef struct ArmRow ArmRow;

/* A field: its value is made of pieces of the word. */
typedef struct ArmField {
    const char *name;
    bool is_signed;
    uint8_t pieces;
    struct { uint8_t from, width, to; } piece[5]; /* bits from..from+width-1 of the word are bits to.. of the value */
} ArmField;

struct ArmRow {
    const char *name, *emitter, *tags, *features; /* tags and features: words with blanks between */
    uint32_t mask, value;
    bool todo;
    bool (*available)(const ArmFeatures *has);    /* NULL: always */
    const ArmField *field;
    uint8_t fields, excludes;
    struct { uint32_t mask, value; } exclude[4];  /* words that are not this row */
    void (*emit)(ArmTrans *x, uint32_t word);
};

typedef struct ArmTable {
    const char *name;
    unsigned width;
    const ArmRow *row;
    unsigned rows;
    int (*match)(const ArmFeatures *has, uint32_t word); /* number of the row, -1: none */
} ArmTable;

static inline const ArmRow *arm_decode(const ArmTable *t, const ArmFeatures *has, uint32_t word)
{
    int n = t->match(has, word);
    return n < 0 ? NULL : &t->row[n];
}
#endif
