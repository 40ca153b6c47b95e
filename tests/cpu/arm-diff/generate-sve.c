/* SPDX-License-Identifier: MIT */
/* Arm-diff: SVE and SVE2, with vectors of 128, 256 and 512 bits. */
#include "tests/cpu/arm-diff/arm-diff.h"
#include <string.h>

extern const ArmTable arm_sve_table;
static const ArmTable *const tables[] = { &arm_sve_table, NULL };

static void features(ArmFeatures *has) {}

static unsigned get(const ArmRow *row, uint32_t word, const char *name)
{
    const ArmField *f = row_field(row, name);
    return f ? field_get(f, word) : ~0u;
}
static bool is(const ArmRow *row, const char *emitter) { return !strcmp(row->emitter, emitter); }

static void move_wide(Gen *g, unsigned rd, uint64_t value)
{
    for (unsigned n = 0; n < 4; n++)
        gen_word32(g, (n ? 0xf2800000 : 0xd2800000) | n << 21 | (uint32_t)(value >> 16 * n & 0xffff) << 5 | rd);
}

/* crossing: into a page without access. QEMU 7.2 gives up there when no active element is behind the boundary. */
static uint32_t data_address(Gen *g, bool crossing)
{
    uint32_t base = DATA_BASE + DATA_SIZE / 4 + gen_pick(g, DATA_SIZE / 2);
    if (gen_chance(g, 4))
        base = crossing ? RO_BASE + gen_pick(g, 64) - 32 : RO_BASE + RO_SIZE / 2;
    if (gen_chance(g, 4))
        base = crossing ? RO_BASE + RO_SIZE - gen_pick(g, 160) : RO_BASE + 2 * RO_SIZE;
    if (gen_chance(g, 15))
        base = DATA_BASE + DATA_SIZE / 2 - gen_pick(g, 80); /* across the pages */
    return gen_chance(g, 60) ? base & ~15u : base;
}

/* Small numbers in Z(n): offsets; or addresses. */
static void offsets(Gen *g, unsigned n, bool doubles)
{
    unsigned size = doubles ? 3 : 2;
    gen_word32(g, 0x04204000 | size << 22 | gen_pick(g, 16) << 16 | gen_pick(g, 16) << 5 | n); /* index zn, #, # */
}
static void addresses(Gen *g, unsigned n, bool doubles)
{
    unsigned size = doubles ? 3 : 2;
    move_wide(g, 28, data_address(g, true));
    gen_word32(g, 0x04204400 | size << 22 | gen_pick(g, 16) << 16 | 28 << 5 | n); /* index zn, x28, # */
}

static bool memory(Gen *g, const ArmRow *row, uint32_t word)
{
    unsigned rn = get(row, word, "rn"), rm = get(row, word, "rm");
    if (is(row, "gather")) {
        bool doubles = word >> 25 == 0x62 || (word >> 25 == 0x72 && !(word >> (rm == ~0u ? 21 : 22) & 1));
        bool vector_base = rm == ~0u || !strncmp(row->name, "ldnt", 4) || !strncmp(row->name, "stnt", 4);
        if (vector_base) {
            addresses(g, rn, doubles);
            if (rm != ~0u && rm != 31)
                move_wide(g, rm, gen_pick(g, 64));
        } else {
            if (rn == 31)
                return false;
            offsets(g, rm, doubles);
            move_wide(g, rn, data_address(g, true));
        }
        gen_word32(g, word);
        return true;
    }
    if (rm == rn)
        return false;
    bool partial = !strncmp(row->name, "ldff", 4) || !strncmp(row->name, "ldnf", 4);
    if (partial) { /* QEMU 7.2 takes the wrong predicate bits unless a low one is set */
        gen_word32(g, 0x2518e3ee);                         /* ptrue p14.b */
        gen_word32(g, 0x2558c1c0 | get(row, word, "pg"));  /* pfirst pg.b, p14, pg.b */
    }
    if (rm != ~0u && rm != 31)
        move_wide(g, rm, gen_pick(g, 64));
    uint32_t base = data_address(g, partial);
    if (partial) /* where the first element crosses pages, QEMU stores what FFR says is not there */
        base &= ~7u;
    move_wide(g, rn == 31 ? 28 : rn, base & (rn == 31 ? ~15u : ~0u));
    if (rn == 31)
        gen_word32(g, 0x9100039f); /* add sp, x28, #0 */
    gen_word32(g, word);
    return true;
}

static bool unit(Gen *g, const ArmRow *row)
{
    uint32_t word = row_word(g, row);
    if (!row_matches(row, word))
        return false;
    if (!strcmp(row->name, "fmmla_d") && !(g->r->start.p[15] >> 16)) /* UNDEFINED with 128 bits, but not in QEMU 7.2 */
        return false;
    if (is(row, "nop") && get(row, word, "rm") == 31)
        return false;
    if (!strcmp(row->name, "addvl") || !strcmp(row->name, "addpl"))
        word &= ~0x10u; /* not SP */
    if (gen_chance(g, 8)) { /* read and clear FPSR */
        gen_word32(g, 0xd53b4420 | gen_pick(g, 28));
        gen_word32(g, 0xd51b443f);
    }
    if (gen_chance(g, 15))
        /* ptrue */
        gen_word32(g, 0x2518e000 | gen_pick(g, 4) << 22 | (gen_chance(g, 50) ? 31u : gen_pick(g, 32)) << 5 |
                          gen_pick(g, 16));
    if (gen_chance(g, 5))
        gen_word32(g, 0x252c9000); /* setffr */
    if (row_is(row, "mem"))
        return memory(g, row, word);
    /*
     * Operands close to each other; pointers (WHILEWR, WHILERW) by whole elements: QEMU 7.2 does not divide before it
     * compares.
     */
    bool pointers = !strcmp(row->name, "whilewr") || !strcmp(row->name, "whilerw");
    if (!strncmp(row->name, "while", 5) && (pointers || gen_chance(g, 70))) {
        unsigned rn = word >> 5 & 31, rm = word >> 16 & 31, by = gen_pick(g, 80) & (pointers ? ~7u : ~0u);
        if (rn != 31 && rm != 31 && rn != rm)
            gen_word32(g, (gen_chance(g, 70) ? 0x91000000 : 0xd1000000) | by << 10 | rn << 5 | rm);
        else if (pointers)
            return false;
    }
    gen_word32(g, word);
    return true;
}

static void begin(Gen *g, unsigned vq)
{
    DiffState *s = &g->r->start;
    g->r->filler = 0; /* UDF */
    s->r[31] = STACK_BASE + STACK_SIZE / 2;
    unsigned same = gen_pick(g, 4);
    for (unsigned n = 0; n < 32; n++) {
        unsigned es = same ? 1u << same : 2u << gen_pick(g, 3), how = gen_pick(g, 10);
        uint64_t z[8] = { 0 };
        for (unsigned k = 0; k < 16 * vq / es; k++) {
            uint64_t value = how < 5   ? gen_float(g, es)
                             : how < 7 ? gen_interesting(g) & (~UINT64_C(0) >> (64 - 8 * es))
                                       : 0;
            z[k * es / 8] |= value << 8 * (k * es % 8);
        }
        for (unsigned k = 0; k < 2 * vq && how >= 7; k++)
            z[k] = how == 7 ? gen_pick(g, 70) : gen_random(g);
        memcpy(s->v[n], z, 16);
        memcpy(s->high[n], z + 2, sizeof(s->high[n]));
    }
    uint64_t bits = vq == 4 ? ~UINT64_C(0) : (UINT64_C(1) << 16 * vq) - 1;
    for (unsigned n = 0; n < 16; n++)
        s->p[n] = (n == 15 || gen_chance(g, 30) ? ~UINT64_C(0)
                   : gen_chance(g, 10)          ? 0
                                                : gen_random(g) | (gen_chance(g, 50) ? gen_random(g) : 0)) &
                  bits;
    s->ffr = gen_chance(g, 70) ? bits : gen_chance(g, 50) ? bits >> gen_pick(g, 16 * vq) : bits & 0x1f;
    if (gen_chance(g, 40))
        s->fpcr = (uint32_t)gen_pick(g, 4) << 22;
    if (gen_chance(g, 20))
        s->fpcr |= (uint32_t)gen_random(g) & 0x07080000; /* AHP DN FZ FZ16 */
}
static void begin1(Gen *g) { begin(g, 1); }
static void begin2(Gen *g) { begin(g, 2); }
static void begin4(Gen *g) { begin(g, 4); }

static void end(Gen *g) {}

#define SVE(bits, vq) \
    const DiffIsa isa_sve##bits = { "sve" #bits, "arm-diff-runner-a64", "max", \
        { "qemu-aarch64", "-cpu", "max,sve-max-vq=" #vq, NULL }, tables, features, \
                                    unit, begin##vq, end };
SVE(128, 1)
SVE(256, 2)
SVE(512, 4)
