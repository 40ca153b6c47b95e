/* SPDX-License-Identifier: MIT */
/* Arm-diff: A64 FP, Advanced SIMD and cryptography, with values and control words that matter there. */
#include "tests/cpu/arm-diff/arm-diff.h"
#include <string.h>

extern const ArmTable arm_simd_table;
static const ArmTable *const tables[] = { &arm_simd_table, NULL };

static void features(ArmFeatures *has)
{
    has->sve = has->sve2 = false;
    has->sm3 = has->sm4 = has->sha512 = has->sha3 = true;
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

static bool memory(Gen *g, const ArmRow *row, uint32_t word)
{
    const ArmField *imm = row_field(row, "imm");
    unsigned rn = get(row, word, "rn"), rm = get(row, word, "rm");
    if (rm == rn)
        return false;
    if (imm && !imm->is_signed)
        word = field_set(imm, word, field_get(imm, word) & 0x3f);
    bool pieces = is(row, "ldn") || is(row, "ldlane"); /* QEMU stores what comes before the fault */
    uint32_t base = gen_chance(g, 3) && !pieces ? RO_BASE - 32 + gen_pick(g, 64)
                                                : DATA_BASE + DATA_SIZE / 4 + gen_pick(g, DATA_SIZE / 2);
    if (gen_chance(g, 15))
        base = DATA_BASE + DATA_SIZE / 2 - gen_pick(g, 80); /* across the pages */
    if (gen_chance(g, 60))
        base &= ~15u;
    if (rm != ~0u && rm != 31)
        gen_word32(g, 0xd2800000 | gen_pick(g, 128) << 5 | rm);
    move_wide(g, rn == 31 ? 28 : rn, base & (rn == 31 ? ~15u : ~0u));
    if (rn == 31)
        gen_word32(g, 0x9100039f); /* add sp, x28, #0 */
    gen_word32(g, word);
    return true;
}

/* Doubles, singles and halves: zeros, ends of the ranges, infinities, NaNs, ties, small integers. */
uint64_t gen_float(Gen *g, unsigned es)
{
    static const uint64_t d[] = { 0,
                                  0x3ff0000000000000,
                                  0x7ff0000000000000,
                                  0x7ff8000000000001,
                                  0x7ff0000000000001,
                                  0x7ff4000000000000,
                                  1,
                                  0x000fffffffffffff,
                                  0x0010000000000000,
                                  0x7fefffffffffffff,
                                  0x41dfffffffc00000,
                                  0x41e0000000000000,
                                  0x43e0000000000000,
                                  0x43f0000000000000,
                                  0x3fe0000000000000,
                                  0x3fdfffffffffffff,
                                  0x3ff8000000000000,
                                  0x4004000000000000,
                                  0x3690000000000000,
                                  0x380fffffffffffff,
                                  0x3810000000000000,
                                  0x47efffffefffffff,
                                  0x0008000000000000,
                                  0x3ff0000000000001,
                                  0x4330000000000001,
                                  0x3fefffffffffffff };
    static const uint32_t s[] = { 0,          0x3f800000, 0x7f800000, 0x7fc00001, 0x7f800001, 0x7fa00000, 1,
                                  0x007fffff, 0x00800000, 0x7f7fffff, 0x4effffff, 0x4f000000, 0x4f800000, 0x5f000000,
                                  0x5f800000, 0x3f000000, 0x3effffff, 0x3fc00000, 0x40200000, 0x33000000, 0x387fffff,
                                  0x38800000, 0x477fefff, 0x477ff000, 0x3f800001, 0x00400000, 0x4b000001, 0x3f7fffff };
    static const uint16_t h[] = { 0,      0x3c00, 0x7c00, 0x7e01, 0x7c01, 0x7d00, 1,      0x03ff, 0x0400,
                                  0x7bff, 0x3800, 0x37ff, 0x3e00, 0x4100, 0x7800, 0x6400, 0x3c01, 0x3bff };
    uint64_t sign = (gen_random(g) & 1) << (8 * es - 1), r = gen_random(g);
    unsigned how = gen_pick(g, 10);
    if (how < 5)
        return sign | (es == 8 ? d[r % G_N_ELEMENTS(d)] : es == 4 ? s[r % G_N_ELEMENTS(s)] : h[r % G_N_ELEMENTS(h)]);
    if (how < 8) { /* near 1, so that sums and products have something to round */
        uint64_t one = es == 8 ? 0x3ff0000000000000 : es == 4 ? 0x3f800000 : 0x3c00;
        unsigned mantissa = es == 8 ? 52 : es == 4 ? 23 : 10;
        uint64_t exp = ((r >> 56 & 7) - 4) << mantissa;
        return sign | ((one + exp) & (UINT64_MAX >> (65 - 8 * es))) |
               (r & ((UINT64_C(1) << mantissa) - 1) &
                (gen_chance(g, 30) ? ~UINT64_C(0) << (mantissa - 4) : ~UINT64_C(0)));
    }
    return r >> (64 - 8 * es);
}

/* The smallest normal number, or 1, and their neighbours. */
static uint64_t tiny_factor(Gen *g, unsigned es)
{
    uint64_t one = es == 8   ? 0x3ff0000000000000
                   : es == 4 ? 0x3f800000
                             : 0x3c00,
             small = es == 8   ? 0x0010000000000000
                     : es == 4 ? 0x00800000
                               : 0x0400;
    return (gen_chance(g, 50) ? one : small) + gen_pick(g, 5) - 2 + ((gen_random(g) & 1) << (8 * es - 1));
}

static bool unit(Gen *g, const ArmRow *row)
{
    uint32_t word = row_word(g, row);
    if (!row_matches(row, word) || is(row, "ldr_lit"))
        return false;
    if (is(row, "sfixed") && (word >> 20 & 7) == 1) /* QEMU 7.2 sign-extends the half's integer beyond 16 bits */
        return false;
    if (row_is(row, "mem"))
        return memory(g, row, word);
    if (gen_chance(g, 12)) { /* read and clear FPSR */
        gen_word32(g, 0xd53b4420 | gen_pick(g, 28)); /* mrs */
        gen_word32(g, 0xd51b443f);                   /* msr fpsr, xzr */
    }
    unsigned rd = get(row, word, "rd"), rn = get(row, word, "rn"), rm = get(row, word, "rm"), t = gen_pick(g, 32);
    bool whole = gen_chance(g, 60); /* what translators make one operation of */
    if (whole && !strcmp(row->name, "sha256h"))
        gen_word32(g, 0x4ea01c00 | rd << 16 | rd << 5 | t); /* mov */
    gen_word32(g, word);
    if (whole && !strcmp(row->name, "sha256h"))
        gen_word32(g, 0x5e005000 | rm << 16 | t << 5 | rn); /* sha256h2 */
    else if (whole && (!strcmp(row->name, "aese") || !strcmp(row->name, "aesd")))
        gen_word32(g, (row->name[3] == 'e' ? 0x4e286800 : 0x4e287800) | rd << 5 | rd); /* aesmc, aesimc */
    return true;
}

static void begin(Gen *g)
{
    DiffState *s = &g->r->start;
    g->r->filler = 0; /* UDF */
    s->r[31] = STACK_BASE + STACK_SIZE / 2;
    unsigned same = gen_pick(g, 4); /* element size for all, or mixed */
    bool tiny = gen_chance(g, 10);   /* products around the smallest normal number */
    for (unsigned n = 0; n < 32; n++) {
        unsigned es = same ? 1u << same : 2u << gen_pick(g, 3);
        if (gen_chance(g, 20))
            continue;
        s->v[n][0] = s->v[n][1] = 0;
        for (unsigned k = 0; k < 16 / es; k++)
            s->v[n][k * es / 8] |= (tiny ? tiny_factor(g, es) : gen_float(g, es)) << 8 * (k * es % 8);
    }
    if (gen_chance(g, 40))
        s->fpcr = (uint32_t)gen_pick(g, 4) << 22;
    if (gen_chance(g, 20))
        s->fpcr |= (uint32_t)gen_random(g) & 0x07080000; /* AHP DN FZ FZ16 */
}

static void end(Gen *g) {}

const DiffIsa isa_simd = { "simd", "arm-diff-runner-a64", "max,pauth-impdef=off",
    { "qemu-aarch64", "-cpu", "max,sve=off", NULL }, tables, features, unit, begin, end };
