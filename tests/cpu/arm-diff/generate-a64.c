/* SPDX-License-Identifier: MIT */
/* Arm-diff: A64 sequences. */
#include "tests/cpu/arm-diff/arm-diff.h"
#include <string.h>

extern const ArmTable arm_a64_table;
static const ArmTable *const tables[] = { &arm_a64_table, NULL };

/* What qemu-aarch64 7.2 lacks, or what user mode does not show. */
static void features(ArmFeatures *has)
{
    has->mte = has->mte2 = has->sve = has->sve2 = has->rng = has->wfxt = has->mops = has->pauth2 = has->fpac =
        has->lse2 = has->ls64 = false;
}

static unsigned get(const ArmRow *row, uint32_t word, const char *name)
{
    const ArmField *f = row_field(row, name);
    return f ? field_get(f, word) : ~0u;
}

static bool is(const ArmRow *row, const char *emitter) { return !strcmp(row->emitter, emitter); }

static void move_wide(Gen *g, unsigned rd, uint32_t value)
{
    gen_word32(g, 0xd2800000 | (value & 0xffff) << 5 | rd);
    gen_word32(g, 0xf2a00000 | value >> 16 << 5 | rd);
}

static void fix(Gen *g, const ArmRow *row)
{
    g->fix[g->fixes].at = g->r->code_len;
    g->fix[g->fixes].row = row;
    g->fix[g->fixes++].unit = g->units + 1 + gen_pick(g, 3);
}

/* --- branches: forward to the start of a unit --- */
static bool branch(Gen *g, const ArmRow *row, uint32_t word)
{
    if (row_field(row, "imm")) {
        fix(g, row);
    } else {
        unsigned rn = get(row, word, "rn");
        if (rn == 31)
            return false;
        fix(g, NULL);
        move_wide(g, rn, 0);
    }
    gen_word32(g, word);
    return true;
}

/* --- memory --- */
static const char *const operands[] = { "rn", "rm", "rt", "rt2", "rs" };

/*
 * Base, index and data registers are different ones, as the combinations that are not are CONSTRAINED UNPREDICTABLE
 * here and there.
 */
static bool registers_fit(const ArmRow *row, uint32_t word)
{
    unsigned seen[G_N_ELEMENTS(operands)], count = 0;
    bool pairs = is(row, "casp");
    if (pairs && (get(row, word, "rs") == 30 || get(row, word, "rt") == 30)) /* QEMU writes X31 there */
        return false;
    for (unsigned n = 0; n < G_N_ELEMENTS(operands); n++) {
        unsigned r = get(row, word, operands[n]);
        if (r == ~0u)
            continue;
        for (unsigned k = 0; k < count; k++)
            if (pairs ? r >> 1 == seen[k] >> 1 : r == seen[k])
                return false;
        seen[count++] = r;
    }
    return true;
}

static uint32_t address(Gen *g, bool aligned)
{
    if (gen_chance(g, 3))
        return RO_BASE - 16 + gen_pick(g, 32);
    uint32_t at = DATA_BASE + DATA_SIZE / 4 + gen_pick(g, DATA_SIZE / 2);
    if (gen_chance(g, 15))
        at = DATA_BASE + DATA_SIZE / 2 - gen_pick(g, 32); /* across the pages */
    return aligned && !gen_chance(g, 5) ? at & ~15u : gen_chance(g, 70) ? at & ~7u : at;
}

static void set_base(Gen *g, unsigned rn, uint32_t value)
{
    move_wide(g, rn == 31 ? 28 : rn, value);
    if (rn == 31)
        gen_word32(g, 0x9100039f); /* add sp, x28, #0 */
}

static bool memory(Gen *g, const ArmRow *row, uint32_t word)
{
    const ArmField *imm = row_field(row, "imm");
    unsigned rn = get(row, word, "rn"), rm = get(row, word, "rm");
    bool ordered = row_is(row, "excl") || strstr(row->features, "lse") || strstr(row->features, "lrcpc") ||
                   is(row, "stlr") || is(row, "ldar");
    if (!registers_fit(row, word))
        return false;
    if (imm && !imm->is_signed)
        word = field_set(imm, word, field_get(imm, word) & 0x3f);
    uint32_t base = address(g, ordered);
    if (strstr(row->features, "lrcpc")) /* QEMU 7.2 lets these be unaligned */
        base &= ~15u;
    if (imm && imm->is_signed && ordered)
        base -= field_get(imm, word); /* LDAPUR: the sum is aligned */
    if (rm != ~0u && rm != 31)
        gen_word32(g, (gen_chance(g, 30) && !(word >> 13 & 1) ? 0x12800000 : 0xd2800000) | gen_pick(g, 128) << 5 | rm);
    if (rn == 31 && (get(row, word, "rt") == 28 || get(row, word, "rt2") == 28 || get(row, word, "rs") == 28))
        return false;
    set_base(g, rn, base);
    bool store = is(row, "stxr") || is(row, "stxp"), paired = store && gen_chance(g, 75);
    if (store && !paired)
        gen_word32(g, 0xd503305f); /* CLREX: after a load of another size what happens is CONSTRAINED UNPREDICTABLE */
    if (paired) {
        uint32_t load = (word | 0x00400000 | 31u << 16) & ~0x1fu;
        unsigned rt = gen_pick(g, 31);
        load |= rt;
        if (rt == rn || rt == get(row, word, "rt2") || rt == get(row, word, "rt"))
            return false;
        if (is(row, "stxr"))
            load |= 31u << 10;
        if (is(row, "stxp") && get(row, word, "rt2") == rn)
            return false;
        gen_word32(g, load);
    }
    gen_word32(g, word);
    return true;
}

/* Flags and FPSR by MRS and MSR. */
static bool system_register(Gen *g)
{
    static const uint32_t words[] = { 0xd53b4200, 0xd51b4200, 0xd53b4420, 0xd53b4400 };
    gen_word32(g, words[gen_pick(g, G_N_ELEMENTS(words))] | gen_pick(g, 32));
    return true;
}

static bool unit(Gen *g, const ArmRow *row)
{
    if (!diff_only && gen_chance(g, 2))
        return system_register(g);
    uint32_t word = row_word(g, row);
    if (!row_matches(row, word))
        return false;
    if (row_is(row, "branch") || is(row, "load_lit"))
        return branch(g, row, word);
    if (row_is(row, "mem"))
        return memory(g, row, word);
    gen_word32(g, word);
    return true;
}

static void begin(Gen *g)
{
    g->r->filler = 0; /* UDF */
    g->r->start.r[31] = STACK_BASE + STACK_SIZE / 2;
}

static void end(Gen *g)
{
    for (unsigned n = 0; n < g->fixes; n++) {
        uint32_t at = g->fix[n].at, target = g->unit[MIN(g->fix[n].unit, g->units)], word;
        if (g->fix[n].row) {
            memcpy(&word, g->r->code + at, 4);
            word = field_set(row_field(g->fix[n].row, "imm"), word, target - at);
            memcpy(g->r->code + at, &word, 4);
            continue;
        }
        for (unsigned half = 0; half < 2; half++) {
            memcpy(&word, g->r->code + at + 4 * half, 4);
            word |= ((CODE_BASE + target) >> 16 * half & 0xffff) << 5;
            memcpy(g->r->code + at + 4 * half, &word, 4);
        }
    }
}

const DiffIsa isa_a64 = { "a64", "arm-diff-runner-a64", "max,pauth-impdef=off",
    { "qemu-aarch64", "-cpu", "max,sve=off", NULL }, tables, features, unit, begin, end };
const DiffIsa *const isas[ISA_COUNT] = { [ISA_A64] = &isa_a64, [ISA_SIMD] = &isa_simd, [ISA_SVE128] = &isa_sve128,
                                         [ISA_SVE256] = &isa_sve256, [ISA_SVE512] = &isa_sve512 };
