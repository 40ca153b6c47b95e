/* SPDX-License-Identifier: MIT */
/*
 * The x87, MMX and SSE state of a vCPU and the helpers that execute what is not passed through. Call letters:
 * helpers.h.
 */
#ifndef TARGET_X86_FPU_H
#define TARGET_X86_FPU_H

#include "target/x86/helpers.h"

/* x87 registers by stack position. */
static inline unsigned x87_phys(const X86Cpu *c, unsigned i) { return (c->fp_top + i) & 7; }
static inline X86FpReg *x87_st(X86Cpu *c, unsigned i) { return &c->fpr[x87_phys(c, i)]; }
static inline bool x87_empty(const X86Cpu *c, unsigned i) { return !(c->fp_tags >> x87_phys(c, i) & 1); }

/* Status word with TOP in its place; the 16-bit tag word of FSTENV. */
uint16_t x87_status(const X86Cpu *c);
uint16_t x87_tag_word(const X86Cpu *c);
void x87_set_status(X86Cpu *c, uint16_t sw);
void x87_init(X86Cpu *c); /* FNINIT */
/* After a change of cw or sw: ES and B. */
void x87_update_summary(X86Cpu *c);

/*
 * FNSTENV, FLDENV, FNSAVE, FRSTOR images: osize 2 or 4; the layout follows the mode (SDM vol. 1, 8.1.10). Raise on
 * faults.
 */
void x87_store_env(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank);
void x87_load_env(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank);
void x87_save(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank);
void x87_restore(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank);

/* One x87 instruction. a = (opcode & 7) << 8 | modrm, bits 18:16 the segment register, bits 23:20 the operand size
 * (environments); b = linear address of a memory operand (c->next_pc unused); c = pc of the insn. */
X86_HELPER_VOID(x87);            /* R    . */
/* RP   WAIT: a pending unmasked exception raises #MF (x87 and MMX helpers look themselves); . */
X86_HELPER_VOID(x87_wait);
X86_HELPER(x87_comi);            /* R    FCOMI family, a as for x87: explicit Z P C bits as the result; . */
X86_HELPER_VOID(x87_cmov);       /* R    FCMOVcc: a = stack position, b = condition (0 or 1); . */

/* State images. a = linear address; b = operand size for FSAVE family, REX.W for FX/XSAVE family (8 or 4); c = 1
 * XSAVEOPT, 2 XSAVEC, 3 XSAVES forms where said. */
X86_HELPER_VOID(fxsave);         /* R    . */
X86_HELPER_VOID(fxrstor);        /* R    M */
X86_HELPER_VOID(xsave);          /* R    c: form; . */
X86_HELPER_VOID(xrstor);         /* R    c: form; M */
X86_HELPER_VOID(ldmxcsr);        /* R    a = value: #GP on reserved bits; M */

/* MMX and what SSE does outside the vector rows. */
X86_HELPER_VOID(mmx_enter);      /* .    MMX moves that run inline: TOP = 0, all tags in use */
X86_HELPER_VOID(emms);           /* .    */
/*
 * The 64-bit form of a vector row. a = VecOp, destination << 16, source << 20, imm8 << 24, bit 32: the source is the
 * value b (memory or general register; FROM_XMM_FULL: b and v.scratch[1]), X86MmxForm << 36. Result: TO_G's value.
 */
typedef enum X86MmxForm {
    X86_MMX_LOW,            /* the low halves */
    X86_MMX_HIGH,           /* the upper half of the result is the result: PUNPCKH as PUNPCKL */
    X86_MMX_JOIN,           /* first operand = source : destination: PACK, PHADD */
    X86_MMX_SHUFFLE_BYTES, X86_MMX_ALIGN, /* PSHUFB, PALIGNR */
    X86_MMX_WORD,           /* lane number of 2 bits: PINSRW */
    /* CVTPI2PD, CVTPI2PS, CVTPS2PI, CVTPD2PI */
    X86_MMX_TO_XMM, X86_MMX_TO_XMM_LOW, X86_MMX_FROM_XMM, X86_MMX_FROM_XMM_FULL,
    X86_MMX_TO_G,           /* PMOVMSKB, PEXTRW (lane number of 2 bits given by the emitter) */
} X86MmxForm;
X86_HELPER(mmx);                 /* R    . */
/* A VEC row under X86_MODE_FPTRAP: a = VecOp, destination register << 16, source register << 20, imm8 << 24, bit 32:
 * the source is the value b, bit 33: it is in v.scratch (x86_help_vec_load has put it there). Result: general register.
 * #XM when an unmasked exception came, nothing committed. */
X86_HELPER(vec_trap);            /* RW (only shape F writes flags) . */
X86_HELPER(stmxcsr);              /* .    MXCSR as the result */
X86_HELPER_VOID(align16);        /* RP   a = linear address: #GP(0) when misaligned; . */
X86_HELPER_VOID(vec_load);       /* R    a = linear address, b = size: guest memory -> v.scratch; . */
/*
 * PCMPxSTRx: a = opcode low byte (60..63) | d << 8 | source register << 12 | imm8 << 16 | source in v.scratch << 24 |
 * REX.W << 25
 */
X86_HELPER_VOID(pcmpstr);        /* RW   . */
/* R    a = linear address, b = register number, mask register << 8, 1 << 16 for MMX; . */
X86_HELPER_VOID(maskmovq);
#endif
