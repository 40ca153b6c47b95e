/* SPDX-License-Identifier: MIT */
/* Arm-diff: random user-mode sequences from the decode tables, run by QEMU's user emulation and by our CPU, must agree.
 *
 * generate-*.c make sequences (one file an instruction set), oracle.c runs them in the runner under qemu-user, ours.c
 * on a vCPU with page tables of the test's own, main.c compares: registers, flags, vectors, FPCR and FPSR, memory, and
 * the signal that ends a sequence.
 */
#ifndef TESTS_ARM_DIFF_H
#define TESTS_ARM_DIFF_H

#include <glib.h>
#include <stdbool.h>
#include "base/error.h"
#include "target/arm/tcg/decode.h"
#include "tests/cpu/arm-diff/proto.h"

/* --- generation --- */
enum { MAX_UNITS = 24 };

typedef struct Gen {
    DiffRequest *r;
    uint64_t rng;
    unsigned units;
    uint32_t unit[MAX_UNITS + 1];   /* offset of each unit's first byte; the last: the end of the code */
    /* branches to be aimed at the start of a later unit, once that is known */
    unsigned fixes;
    /* row NULL: a MOVZ, MOVK pair of the address */
    struct { uint32_t at; unsigned unit; const ArmRow *row; } fix[MAX_UNITS * 2];
} Gen;

typedef struct DiffIsa {
    const char *name, *runner, *model;
    const char *qemu[5];                         /* command, NULL-terminated */
    const ArmTable *const *tables;               /* NULL-terminated */
    void (*features)(ArmFeatures *has);          /* drop what the oracle lacks */
    bool (*unit)(Gen *g, const ArmRow *row);     /* emit set-up and one instruction; false: not this row */
    void (*begin)(Gen *g);                       /* the start state, after the common random fill */
    void (*end)(Gen *g);                         /* aim the branches */
} DiffIsa;
extern const DiffIsa isa_a64, isa_simd, isa_sve128, isa_sve256, isa_sve512;
extern const DiffIsa *const isas[ISA_COUNT];     /* NULL: not there yet */

uint64_t gen_random(Gen *g);
unsigned gen_pick(Gen *g, unsigned n);           /* 0..n-1 */
bool gen_chance(Gen *g, unsigned percent);
uint64_t gen_interesting(Gen *g);                /* a value: random, small, or near a power of two */
void gen_word32(Gen *g, uint32_t word);
void gen_word16(Gen *g, uint16_t half);
/* Rows' fields. */
const ArmField *row_field(const ArmRow *row, const char *name); /* NULL: none */
uint32_t field_get(const ArmField *f, uint32_t word);           /* raw bits, not sign-extended */
uint32_t field_set(const ArmField *f, uint32_t word, uint32_t value);
bool row_is(const ArmRow *row, const char *tag);
unsigned row_width(const ArmRow *row);           /* 16 or 32 */
bool row_matches(const ArmRow *row, uint32_t word); /* the decoder takes the word for this row */
uint64_t gen_float(Gen *g, unsigned es);         /* a number of that many bytes that matters */
/* A random word of the row. */
uint32_t row_word(Gen *g, const ArmRow *row);

extern const char *diff_only;                    /* only rows whose name or emitter has this in it */
void generate(DiffRequest *r, const DiffIsa *isa, const ArmFeatures *has, uint64_t seed, uint32_t units[MAX_UNITS + 1],
              unsigned *count);
/* Only the nth row in use from now on; false: there are fewer. */
bool generate_only(const DiffIsa *isa, const ArmFeatures *has, unsigned n, const char **name);
void generate_list(const DiffIsa *isa, const ArmFeatures *has);
const ArmFeatures *ours_features(const DiffIsa *isa); /* of the model, less what the oracle lacks */

/* --- the two sides; a batch at a time --- */
bool oracle_start(const DiffIsa *isa, Error **errp);
DiffShared *oracle_shared(void);
bool oracle_run(Error **errp);                   /* shared->request[0..count) -> shared->result */
void oracle_stop(void);
bool ours_setup(const DiffIsa *isa, const char *accel_options, Error **errp);
void ours_run(unsigned isa, const DiffRequest *r, DiffResult *out);
#endif
