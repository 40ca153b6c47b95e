/* SPDX-License-Identifier: MIT */
/* x87 arithmetic on 80-bit values under a control word: the primitives, without the register stack. */
#ifndef TARGET_X86_F80_H
#define TARGET_X86_F80_H

#include "target/x86/cpu.h"

typedef enum F80Op {
    /* r0 = st0 op st1 */
    F80_ADD, F80_SUB, F80_SUBR, F80_MUL, F80_DIV, F80_DIVR, F80_SCALE, F80_PREM, F80_PREM1,
    /* r0 replaces st1 (the instruction pops) */
    F80_YL2X, F80_YL2XP1, F80_PATAN,
    /* r0 = op st0 */
    F80_SQRT, F80_RNDINT, F80_2XM1, F80_SIN, F80_COS, F80_CHS, F80_ABS,
    /* r0 replaces st0, r1 is pushed (TAN, SINCOS: unless C2 is set) */
    F80_TAN, F80_SINCOS, F80_XTRACT,
    /* condition codes only */
    F80_COM, F80_UCOM, F80_TST, F80_XAM,
    /* r0 = a constant, rounded as the control word says */
    F80_LD1, F80_LDL2T, F80_LDL2E, F80_LDPI, F80_LDLG2, F80_LDLN2, F80_LDZ,
} F80Op;

typedef enum F80Format {
    F80_F32,
    F80_F64,
    F80_F80,
    F80_S16,
    F80_S32,
    F80_S64,
    F80_BCD,
    F80_T16,
    F80_T32,
    F80_T64 /* truncate */
} F80Format;

enum {
    F80_IE = 1,
    F80_DE = 2,
    F80_ZE = 4,
    F80_OE = 8,
    F80_UE = 16,
    F80_PE = 32,
    F80_SF = 64,
    F80_ES = 128,
    F80_EXCEPTIONS = 0x3f,
    F80_C0 = 0x100,
    F80_C1 = 0x200,
    F80_C2 = 0x400,
    F80_C3 = 0x4000,
    F80_BUSY = 0x8000
};

/*
 * All return the status word that the operation leaves: exceptions and C0..C3 (ES when one of them is unmasked in cw; a
 * result is then given only where the x87 would store it: overflow, underflow and precision with a register
 * destination).
 */
uint16_t f80_run(F80Op op, uint16_t cw, const X86FpReg *st0, const X86FpReg *st1, X86FpReg *r0, X86FpReg *r1);
/*
 * r0 = st0 op memory (ADD..DIVR, COM), as one operation: the operand's own exceptions have their place among the
 * others.
 */
uint16_t f80_run_memory(F80Op op, uint16_t cw, const X86FpReg *st0, F80Format from, const void *bytes, X86FpReg *r0);
uint16_t f80_load(F80Format from, uint16_t cw, const void *bytes, X86FpReg *r0);
uint16_t f80_store(F80Format to, uint16_t cw, const X86FpReg *st0, void *bytes);
unsigned f80_format_size(F80Format f);
extern const X86FpReg f80_indefinite; /* the default NaN */
#endif
