/* SPDX-License-Identifier: MIT */
/*
 * arm-diff32: what the generator sends to the oracle under qemu-arm, and what comes back. Little-endian, same layout on
 * both sides.
 */
#ifndef TESTS_ARM_DIFF32_PROTO_H
#define TESTS_ARM_DIFF32_PROTO_H
#include <stdint.h>

#define DIFF_CODE 0x10000000u   /* code; the sequence starts at + DIFF_START */
#define DIFF_DATA 0x31000000u
enum {
    DIFF_START = 0x100,
    DIFF_CODE_MAX = 512,
    DIFF_DATA_SIZE = 1024,
    DIFF_SIG_ILL = 4,
    DIFF_SIG_BUS = 7,
    DIFF_SIG_SEGV = 11
};

typedef struct DiffRegs {
    uint32_t r[16], cpsr, fpscr;
    uint64_t d[32];
} DiffRegs;

typedef struct DiffSequence {
    uint32_t t32, code_len;
    DiffRegs start;
    uint8_t code[DIFF_CODE_MAX], data[DIFF_DATA_SIZE];
} DiffSequence;

typedef struct DiffOutcome {
    uint32_t signal, unused;
    DiffRegs end;
    uint8_t data[DIFF_DATA_SIZE];
} DiffOutcome;

#define DIFF_CPSR 0xff0f0000u   /* bits that sequences may change: NZCVQ, IT[1:0], GE */
#endif
