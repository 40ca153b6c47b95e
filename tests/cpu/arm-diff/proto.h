/* SPDX-License-Identifier: MIT */
/*
 * Arm-diff: what the test and its runner under QEMU's user emulation share: a file of requests and results, mapped by
 * both.
 */
#ifndef TESTS_ARM_DIFF_PROTO_H
#define TESTS_ARM_DIFF_PROTO_H

#include <stdint.h>

/* The sandbox: the same addresses on both sides; what lies between is unmapped. */
enum {
    CODE_BASE = 0x10000000, CODE_SIZE = 0x2000,
    DATA_BASE = 0x20000000, DATA_SIZE = 0x2000,
    RO_BASE = DATA_BASE + DATA_SIZE, RO_SIZE = 0x1000,  /* read-only, right behind the data */
    STACK_BASE = 0x30000000, STACK_SIZE = 0x1000,
    MAX_CODE = 1024, BATCH = 128,
};
enum { ISA_A64, ISA_A32, ISA_T32, ISA_SIMD /* A64: FP and SIMD */, ISA_SVE128, ISA_SVE256, ISA_SVE512, ISA_COUNT };
#define isa_is_sve(isa) ((isa) >= ISA_SVE128 && (isa) <= ISA_SVE512)
#define isa_is_a64(isa) ((isa) == ISA_A64 || (isa) == ISA_SIMD || isa_is_sve(isa))

typedef struct DiffState {
    uint64_t r[32];          /* X0..X30, SP; AArch32: R0..R14 */
    uint64_t pc;
    uint32_t flags;          /* PSTATE / CPSR: NZCV 31:28; AArch32 also Q 27, GE 19:16, IT, T 5 */
    uint32_t fpcr, fpsr;     /* AArch32: FPSCR in fpcr */
    uint32_t unused;
    uint64_t v[32][2];
    uint64_t high[32][6];    /* SVE: bits 128 and up */
    uint64_t p[16], ffr;
} DiffState;

typedef struct DiffRequest {
    DiffState start;
    uint64_t data_seed;
    uint32_t code_len, filler; /* filler: the word that fills the rest of the code area: it ends a sequence */
    uint8_t code[MAX_CODE];
} DiffRequest;

typedef struct DiffResult {
    DiffState end;
    uint64_t fault;          /* address of SIGSEGV, SIGBUS */
    uint32_t signal, unused;
    uint8_t data[DATA_SIZE], stack[STACK_SIZE];
} DiffResult;

typedef struct DiffShared {
    uint32_t count, isa;
    DiffRequest request[BATCH];
    DiffResult result[BATCH];
} DiffShared;

static inline uint64_t diff_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* What data and stack hold at the start. */
static inline void diff_fill(void *to, uint32_t size, uint64_t seed)
{
    uint64_t *p = to;
    for (uint32_t n = 0; n < size / 8; n++)
        p[n] = diff_random(&seed);
}
#endif
