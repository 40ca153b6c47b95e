/* SPDX-License-Identifier: MIT */
/* Native-diff: random user-mode instruction sequences, run on the host CPU and translated, must agree.
 *
 * generate.c makes a sequence from the decode tables, native.c runs it on the host, translated.c on a vCPU with flat
 * page tables of the test's own, native-diff.c compares. A sequence ends with UD2, or with the fault of one of its
 * instructions: fault, registers, defined flags and memory are compared; in sequences with floating point the FXSAVE
 * image, too (without the x87's pointers).
 */
#ifndef TESTS_NATIVE_DIFF_H
#define TESTS_NATIVE_DIFF_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/bits.h"
#include "target/x86/cpu.h"
#include "target/x86/tcg/decode.h"

/* The sandbox: the same addresses on both sides; what lies between is unmapped. */
enum {
    CODE_BASE = 0x10000000, CODE_SIZE = 0x2000,
    DATA_BASE = 0x20000000, DATA_SIZE = 0x2000,
    RO_BASE = DATA_BASE + DATA_SIZE, RO_SIZE = 0x1000,   /* read-only, right behind the data */
    STACK_BASE = 0x30000000, STACK_SIZE = 0x1000,
    COUNTER_BASE = 0x40000000, COUNTER_SIZE = 0x1000,    /* loop counters: nothing else writes there */
    MAX_UNITS = 24, MAX_CODE = 1024,
    VECTOR_END = X86_UD,
};
typedef struct Area { const char *name; uint64_t base; uint32_t size; bool writable, executable; } Area;
extern const Area areas[];
enum { AREA_CODE, AREA_DATA, AREA_RO, AREA_STACK, AREA_COUNTER, AREA_COUNT };

/* Segments: flat in 64- and 32-bit code. 16-bit code (by modify_ldt) has bases and limits, and a 16-bit stack. */
typedef struct Segment { uint32_t base, limit; uint16_t sel; } Segment;
typedef struct Segments { Segment cs, ds, ss; } Segments; /* ES = DS; FS and GS are not used */
const Segments *segments_of(unsigned bits); /* native.c */
bool native_has(unsigned bits);             /* the kernel lets us run code of that size */

typedef struct State {
    uint64_t gpr[16], rip, rflags;
    uint8_t fx[416] __attribute__((aligned(16))); /* FXSAVE image up to XMM15 */
} State;
enum { FX_XMM = 160, FX_MXCSR = 24 };

typedef struct Outcome {
    State s;
    unsigned vector;
    uint64_t cr2;          /* page faults */
    uint8_t data[DATA_SIZE], stack[STACK_SIZE], counter[64];
} Outcome;

/* Where a unit (set-up moves and an instruction) starts, and which flags are undefined there. */
typedef struct Unit { uint64_t pc; uint32_t undefined; } Unit;

typedef struct Sequence {
    uint64_t seed;
    unsigned bits;         /* code size: 64, 32, 16 */
    State start;
    uint64_t code_start;   /* linear; pc = code_start - CS base */
    unsigned code_len, units;
    uint8_t code[MAX_CODE];
    Unit unit[MAX_UNITS + 1];
    uint8_t data[DATA_SIZE], stack[STACK_SIZE];
    bool fp;               /* the fx image is compared */
} Sequence;

/* generate.c. What must not be generated: features that the host lacks are found by CPUID. */
typedef enum Mix { MIX_INTEGER, MIX_FP, MIX_ALL } Mix;
void generate_setup(Mix mix);
void generate(Sequence *s, uint64_t seed, unsigned bits);
extern const char *generate_only; /* only rows of that mnemonic, NULL: all */

/* native.c */
void native_setup(void);
void native_run(const Sequence *s, Outcome *out);

/*
 * translated.c: runs sequences in a vCPU thread; `next` is called there for each (false: stop), `done` with its
 * outcome.
 */
typedef struct Driver {
    bool (*next)(Sequence *s, void *opaque);
    void (*done)(const Sequence *s, const Outcome *out, void *opaque);
    void *opaque;
} Driver;
extern bool translated_kicks; /* ask the vCPU to leave generated code, again and again */
bool translated_run(const char *accel_options, const Driver *d, Error **errp);

static inline uint64_t rnd_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
#endif
