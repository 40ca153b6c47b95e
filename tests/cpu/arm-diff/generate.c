/* SPDX-License-Identifier: MIT */
/* Arm-diff: what all instruction sets share in making sequences. */
#include "tests/cpu/arm-diff/arm-diff.h"
#include <stdio.h>
#include <string.h>

const char *diff_only;

uint64_t gen_random(Gen *g) { return diff_random(&g->rng); }
unsigned gen_pick(Gen *g, unsigned n) { return (unsigned)(gen_random(g) % n); }
bool gen_chance(Gen *g, unsigned percent) { return gen_pick(g, 100) < percent; }

uint64_t gen_interesting(Gen *g)
{
    uint64_t r = gen_random(g), near = (uint64_t)(int64_t)(int)(gen_pick(g, 5)) - 2;
    switch (gen_pick(g, 6)) {
    case 0: return r & 0xff;
    case 1: return (UINT64_C(1) << (r & 63)) + near;
    case 2: return (uint64_t)(int64_t)(int32_t)r;
    case 3: return near;
    case 4: return (uint32_t)r;
    default: return r;
    }
}

void gen_word32(Gen *g, uint32_t word)
{
    g_assert(g->r->code_len + 4 <= MAX_CODE);
    memcpy(g->r->code + g->r->code_len, &word, 4);
    g->r->code_len += 4;
}

void gen_word16(Gen *g, uint16_t half)
{
    g_assert(g->r->code_len + 2 <= MAX_CODE);
    memcpy(g->r->code + g->r->code_len, &half, 2);
    g->r->code_len += 2;
}

const ArmField *row_field(const ArmRow *row, const char *name)
{
    for (unsigned n = 0; n < row->fields; n++) {
        if (!strcmp(row->field[n].name, name))
            return &row->field[n];
    }
    return NULL;
}

uint32_t field_get(const ArmField *f, uint32_t word)
{
    uint32_t value = 0;
    for (unsigned n = 0; n < f->pieces; n++)
        value |= (word >> f->piece[n].from & ((1u << f->piece[n].width) - 1)) << f->piece[n].to;
    return value;
}

uint32_t field_set(const ArmField *f, uint32_t word, uint32_t value)
{
    for (unsigned n = 0; n < f->pieces; n++) {
        uint32_t mask = (1u << f->piece[n].width) - 1;
        word = (word & ~(mask << f->piece[n].from)) | (value >> f->piece[n].to & mask) << f->piece[n].from;
    }
    return word;
}

bool row_is(const ArmRow *row, const char *tag)
{
    const char *at = strstr(row->tags, tag);
    size_t len = strlen(tag);
    return at && (at == row->tags || at[-1] == ' ') && (at[len] == ' ' || !at[len]);
}

static bool excluded(const ArmRow *row, uint32_t word)
{
    for (unsigned n = 0; n < row->excludes; n++) {
        if ((word & row->exclude[n].mask) == row->exclude[n].value)
            return true;
    }
    return false;
}

static const DiffIsa *rows_of;
static const ArmFeatures *features;

unsigned row_width(const ArmRow *row)
{
    for (const ArmTable *const *t = rows_of->tables; *t; t++) {
        if (row >= (*t)->row && row < (*t)->row + (*t)->rows)
            return (*t)->width;
    }
    return 32;
}

bool row_matches(const ArmRow *row, uint32_t word)
{
    if (excluded(row, word))
        return false;
    for (const ArmTable *const *t = rows_of->tables; *t; t++) {
        if (row >= (*t)->row && row < (*t)->row + (*t)->rows)
            return arm_decode(*t, features, word) == row;
    }
    return false;
}

uint32_t row_word(Gen *g, const ArmRow *row)
{
    uint32_t word;
    unsigned tries = 0;
    do {
        word = ((uint32_t)gen_random(g) & ~row->mask) | row->value;
        if (row_width(row) == 16)
            word &= 0xffff;
    } while (!row_matches(row, word) && tries++ < 1000);
    return word;
}

/* --- the rows in use --- */
enum { MAX_ROWS = 8192 };
static const ArmRow *rows[MAX_ROWS];
static unsigned row_count;

static void collect(const DiffIsa *isa, const ArmFeatures *has)
{
    rows_of = isa;
    features = has;
    row_count = 0;
    for (const ArmTable *const *t = isa->tables; *t; t++) {
        for (unsigned n = 0; n < (*t)->rows && row_count < MAX_ROWS; n++) {
            const ArmRow *row = &(*t)->row[n];
            bool usable = !row->todo && !row_is(row, "sys") && !row_is(row, "unstable") &&
                          (!row->available || row->available(has));
            if (usable && (!diff_only || strstr(row->name, diff_only) || strstr(row->emitter, diff_only)))
                rows[row_count++] = row;
        }
    }
}

void generate_list(const DiffIsa *isa, const ArmFeatures *has)
{
    collect(isa, has);
    for (unsigned n = 0; n < row_count; n++)
        printf("%-14s %08x %08x %s %s\n", rows[n]->name, rows[n]->mask, rows[n]->value, rows[n]->features,
               rows[n]->tags);
}

static const ArmRow *only_row;
bool generate_only(const DiffIsa *isa, const ArmFeatures *has, unsigned n, const char **name)
{
    if (rows_of != isa)
        collect(isa, has);
    if (n >= row_count)
        return false;
    only_row = rows[n];
    *name = only_row->name;
    return true;
}

static void random_state(Gen *g)
{
    DiffState *s = &g->r->start;
    memset(s, 0, sizeof(*s));
    for (unsigned n = 0; n < 32; n++)
        s->r[n] = gen_interesting(g);
    s->flags = (uint32_t)gen_random(g) & 0xf0000000;
    for (unsigned n = 0; n < 32; n++)
        s->v[n][0] = gen_random(g), s->v[n][1] = gen_random(g);
    s->pc = CODE_BASE;
}

void generate(DiffRequest *r, const DiffIsa *isa, const ArmFeatures *has, uint64_t seed, uint32_t units[MAX_UNITS + 1],
              unsigned *count)
{
    Gen g = { .r = r, .rng = seed * 0x2545f4914f6cdd1d + 1 };
    if (rows_of != isa)
        collect(isa, has);
    g_assert(row_count);
    r->code_len = 0;
    r->data_seed = gen_random(&g);
    random_state(&g);
    isa->begin(&g);
    unsigned wanted = 1 + gen_pick(&g, MAX_UNITS - 1);
    for (unsigned tries = 0; g.units < wanted && tries < 200 && r->code_len < MAX_CODE - 96; tries++) {
        g.unit[g.units] = r->code_len;
        unsigned fixes = g.fixes;
        const ArmRow *row = rows[gen_pick(&g, row_count)];
        if (isa->unit(&g, only_row ? only_row : row)) {
            g.units++;
        } else {
            r->code_len = g.unit[g.units];
            g.fixes = fixes;
        }
    }
    g.unit[g.units] = r->code_len;
    isa->end(&g);
    memcpy(units, g.unit, sizeof(g.unit));
    *count = g.units;
}
