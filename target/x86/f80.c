/* SPDX-License-Identifier: MIT */
/* x87 primitives on the host's own x87: exact by construction, also for unmasked exceptions. */
#include "target/x86/f80.h"

const X86FpReg f80_indefinite = { .mant = UINT64_C(0xc000000000000000), .sign_exp = 0xffff };

unsigned f80_format_size(F80Format f)
{
    static const uint8_t size[] = { 4, 8, 10, 2, 4, 8, 10, 2, 4, 8 };
    return size[f];
}

#if defined(__x86_64__)
/*
 * The host runs the operation under the guest's own control word, so that an unmasked exception leaves what the
 * hardware leaves. It can't trap here: an x87 exception is delivered by the next waiting instruction, and FNCLEX comes
 * first.
 */
#define HOST_CW "fldcw %[host]\n\t"
#define X87_CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory"
static const uint16_t host_cw = 0x037f;

#define RUN(insn, pops) \
    __asm__ volatile("fldt %[b]\n\tfldt %[a]\n\tfldcw %[cw]\n\t" insn "\n\tfnstsw %[sw]\n\t" \
                     "fnclex\n\t" HOST_CW pops "fnclex\n\temms" \
                     : [r0] "=m"(*r0), [r1] "=m"(*r1), [sw] "=m"(sw) \
                     : [a] "m"(*st0), [b] "m"(*st1), [cw] "m"(cw), [host] "m"(host_cw) \
                     : X87_CLOBBERS)
#define ONE "fstpt %[r0]\n\t"
#define TWO "fstpt %[r1]\n\tfstpt %[r0]\n\t" /* the pushed value is on top */

uint16_t f80_run(F80Op op, uint16_t cw, const X86FpReg *st0, const X86FpReg *st1, X86FpReg *r0, X86FpReg *r1)
{
    uint16_t sw = 0;
    switch (op) {
    case F80_ADD: RUN("fadd %%st(1), %%st", ONE); break;
    case F80_SUB: RUN("fsub %%st(1), %%st", ONE); break;
    case F80_SUBR: RUN("fsubr %%st(1), %%st", ONE); break;
    case F80_MUL: RUN("fmul %%st(1), %%st", ONE); break;
    case F80_DIV: RUN("fdiv %%st(1), %%st", ONE); break;
    case F80_DIVR: RUN("fdivr %%st(1), %%st", ONE); break;
    case F80_SCALE: RUN("fscale", ONE); break;
    case F80_PREM: RUN("fprem", ONE); break;
    case F80_PREM1: RUN("fprem1", ONE); break;
    case F80_YL2X: RUN("fyl2x", ONE); break;
    case F80_YL2XP1: RUN("fyl2xp1", ONE); break;
    case F80_PATAN: RUN("fpatan", ONE); break;
    case F80_SQRT: RUN("fsqrt", ONE); break;
    case F80_RNDINT: RUN("frndint", ONE); break;
    case F80_2XM1: RUN("f2xm1", ONE); break;
    case F80_SIN: RUN("fsin", ONE); break;
    case F80_COS: RUN("fcos", ONE); break;
    case F80_CHS: RUN("fchs", ONE); break;
    case F80_ABS: RUN("fabs", ONE); break;
    case F80_TAN: RUN("fptan", TWO); break;
    case F80_SINCOS: RUN("fsincos", TWO); break;
    case F80_XTRACT: RUN("fxtract", TWO); break;
    case F80_COM: RUN("fcom %%st(1)", ONE); break;
    case F80_UCOM: RUN("fucom %%st(1)", ONE); break;
    case F80_TST: RUN("ftst", ONE); break;
    case F80_XAM: RUN("fxam", ONE); break;
    case F80_LD1: RUN("fld1", ONE); break;
    case F80_LDL2T: RUN("fldl2t", ONE); break;
    case F80_LDL2E: RUN("fldl2e", ONE); break;
    case F80_LDPI: RUN("fldpi", ONE); break;
    case F80_LDLG2: RUN("fldlg2", ONE); break;
    case F80_LDLN2: RUN("fldln2", ONE); break;
    case F80_LDZ: RUN("fldz", ONE); break;
    }
    /* TAN and SINCOS out of range push nothing: the one value popped is the operand */
    if ((op == F80_TAN || op == F80_SINCOS) && sw & F80_C2)
        *r0 = *st0;
    return sw;
}

#define RUN_MEMORY(insn) \
    __asm__ volatile("fldt %[a]\n\tfldcw %[cw]\n\t" insn " %[in]\n\tfnstsw %[sw]\n\t" \
                     "fnclex\n\t" HOST_CW ONE "fnclex\n\temms" \
                     : [r0] "=m"(*r0), [sw] "=m"(sw) \
                     : [a] "m"(*st0), [in] "m"(buf), [cw] "m"(cw), [host] "m"(host_cw) \
                     : X87_CLOBBERS)
#define RUN_MEMORY_FORMATS(f) \
    switch (from) { \
    case F80_F32: RUN_MEMORY("f" f "s"); break; \
    case F80_F64: RUN_MEMORY("f" f "l"); break; \
    case F80_S16: RUN_MEMORY("fi" f "s"); break; \
    default: RUN_MEMORY("fi" f "l"); break; \
    }

uint16_t f80_run_memory(F80Op op, uint16_t cw, const X86FpReg *st0, F80Format from, const void *bytes, X86FpReg *r0)
{
    struct { uint8_t b[16]; } buf = { 0 };
    uint16_t sw = 0;
    memcpy(&buf, bytes, f80_format_size(from));
    switch (op) {
    case F80_ADD: RUN_MEMORY_FORMATS("add"); break;
    case F80_MUL: RUN_MEMORY_FORMATS("mul"); break;
    case F80_SUB: RUN_MEMORY_FORMATS("sub"); break;
    case F80_SUBR: RUN_MEMORY_FORMATS("subr"); break;
    case F80_DIV: RUN_MEMORY_FORMATS("div"); break;
    case F80_DIVR: RUN_MEMORY_FORMATS("divr"); break;
    default: RUN_MEMORY_FORMATS("com"); break;
    }
    return sw;
}

#define LOAD(insn) \
    __asm__ volatile("fldcw %[cw]\n\t" insn " %[in]\n\tfnstsw %[sw]\n\tfnclex\n\t" HOST_CW "fstpt %[r0]\n\t" \
                     "fnclex\n\temms" \
                     : [r0] "=m"(*r0), [sw] "=m"(sw) \
                     : [in] "m"(buf), [cw] "m"(cw), [host] "m"(host_cw) \
                     : X87_CLOBBERS)

uint16_t f80_load(F80Format from, uint16_t cw, const void *bytes, X86FpReg *r0)
{
    struct { uint8_t b[16]; } buf = { 0 };
    uint16_t sw = 0;
    memcpy(&buf, bytes, f80_format_size(from));
    switch (from) {
    case F80_F32: LOAD("flds"); break;
    case F80_F64: LOAD("fldl"); break;
    case F80_F80: memcpy(&r0->mant, buf.b, 8), memcpy(&r0->sign_exp, buf.b + 8, 2); break;
    case F80_S16: case F80_T16: LOAD("filds"); break;
    case F80_S32: case F80_T32: LOAD("fildl"); break;
    case F80_S64: case F80_T64: LOAD("fildll"); break;
    case F80_BCD: LOAD("fbld"); break;
    }
    return sw;
}

#define STORE(insn) \
    __asm__ volatile("fldt %[a]\n\tfldcw %[cw]\n\t" insn " %[out]\n\tfnstsw %[sw]\n\tfnclex\n\t" HOST_CW "emms" \
                     : [out] "=m"(buf), [sw] "=m"(sw) \
                     : [a] "m"(*st0), [cw] "m"(cw), [host] "m"(host_cw) \
                     : X87_CLOBBERS)

uint16_t f80_store(F80Format to, uint16_t cw, const X86FpReg *st0, void *bytes)
{
    struct { uint8_t b[16]; } buf = { 0 };
    uint16_t sw = 0;
    switch (to) {
    case F80_F32: STORE("fstps"); break;
    case F80_F64: STORE("fstpl"); break;
    case F80_F80: memcpy(buf.b, &st0->mant, 8), memcpy(buf.b + 8, &st0->sign_exp, 2); break;
    case F80_S16: STORE("fistps"); break;
    case F80_S32: STORE("fistpl"); break;
    case F80_S64: STORE("fistpll"); break;
    case F80_BCD: STORE("fbstp"); break;
    case F80_T16: STORE("fisttps"); break;
    case F80_T32: STORE("fisttpl"); break;
    case F80_T64: STORE("fisttpll"); break;
    }
    memcpy(bytes, &buf, f80_format_size(to));
    return sw;
}
#else
#error "x87 arithmetic needs an x86 host for now: docs/deviations.md"
#endif
